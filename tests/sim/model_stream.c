/* Streams. */
#include "tests/sim/model.h"

#include <inttypes.h>

static const struct entry_id id_first = {0, 0};
static const struct entry_id id_last = {UINT64_MAX, UINT64_MAX};

static bool stream_of(const struct model_store *store, struct dyn_str name,
                      struct model_answer *answer, struct bus_reply *reply,
                      const struct model_stream **out)
{
    static const struct model_stream empty = {0};
    struct model_key *key = NULL;
    if (!model_key_of(store, name, true, answer, reply, &key)) {
        return false;
    }
    *out = key != NULL ? &key->stream : &empty;
    return true;
}

/* ---- IDs ---- */

static bool number_parse(struct dyn_str text, uint64_t *out)
{
    return dyn_str_u64(text, out) == DYN_OK;
}

/* "ms" or "ms-seq"; `missing` is the sequence of the first. */
static bool id_parse(struct dyn_str text, uint64_t missing, struct entry_id *out)
{
    const char *dash = memchr(text.ptr, '-', text.len);
    struct dyn_str ms = {text.ptr, dash != NULL ? (size_t)(dash - text.ptr) : text.len};
    struct entry_id id = {0, missing};
    if (!number_parse(ms, &id.ms) ||
        (dash != NULL &&
         !number_parse((struct dyn_str){dash + 1, text.len - ms.len - 1}, &id.seq))) {
        return false;
    }
    *out = id;
    return true;
}

static void id_refuse(struct model_answer *answer, struct bus_reply *reply)
{
    model_put_error(answer, reply, "ERR Invalid stream ID specified as stream command argument");
}

/* The digits of `number`, ending before `end`; where they begin. */
static char *digits_put(char *end, uint64_t number)
{
    do {
        *--end = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    return end;
}

static void id_put(struct model_answer *answer, struct bus_reply *reply, struct entry_id id)
{
    char text[ENTRY_ID_TEXT];
    char *end = text + sizeof text;
    char *at = digits_put(end, id.seq);
    *--at = '-';
    at = digits_put(at, id.ms);
    model_put_str(answer, reply, (struct dyn_str){at, (size_t)(end - at)});
}

static bool id_step(struct entry_id *id, bool up)
{
    if (up) {
        if (entry_id_compare(*id, id_last) == 0) {
            return false;
        }
        id->ms += id->seq == UINT64_MAX;
        id->seq++;
        return true;
    }
    if (entry_id_compare(*id, id_first) == 0) {
        return false;
    }
    id->ms -= id->seq == 0;
    id->seq--;
    return true;
}

/* One end of a range: "-", "+", an ID, or one behind "(". */
static bool bound_parse(struct dyn_str text, bool start, struct model_answer *answer,
                        struct bus_reply *reply, struct entry_id *out)
{
    bool open = text.len > 1 && text.ptr[0] == '(';
    if (open) {
        text.ptr++;
        text.len--;
    } else if (dyn_str_is(text, "-") || dyn_str_is(text, "+")) {
        *out = text.ptr[0] == '-' ? id_first : id_last;
        return true;
    }
    if (!id_parse(text, start ? 0 : UINT64_MAX, out)) {
        id_refuse(answer, reply);
        return false;
    }
    if (open && !id_step(out, start)) {
        model_put_error(answer, reply, "ERR invalid %s ID for the interval",
                        start ? "start" : "end");
        return false;
    }
    return true;
}

/* ---- entries ---- */

static void entry_put(struct model_answer *answer, struct bus_reply *reply,
                      const struct model_entry *entry)
{
    struct bus_reply *items = model_put_array(answer, reply, 2);
    struct bus_reply *fields = model_put_array(answer, &items[1], (size_t)2 * entry->fields);
    const char *at = entry->blob->bytes;
    id_put(answer, &items[0], entry->id);
    for (uint32_t i = 0; i < 2 * entry->fields; i++) {
        uint32_t len = 0;
        memcpy(&len, at, sizeof len);
        model_put_str(answer, &fields[i], (struct dyn_str){at + sizeof len, len});
        at += sizeof len + len;
    }
}

static struct model_blob *entry_pack(const struct dyn_str *pairs, size_t count)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        bytes += sizeof(uint32_t) + pairs[i].len;
    }
    struct model_blob *blob = malloc(sizeof *blob + bytes);
    DYN_ASSERT(blob != NULL);
    blob->refs = 1;
    blob->len = (uint32_t)bytes;
    char *at = blob->bytes;
    for (size_t i = 0; i < count; i++) {
        uint32_t len = (uint32_t)pairs[i].len;
        memcpy(at, &len, sizeof len);
        if (len > 0) {
            memcpy(at + sizeof len, pairs[i].ptr, len);
        }
        at += sizeof len + len;
    }
    return blob;
}

static void entries_put(struct model_answer *answer, struct bus_reply *reply,
                        const struct model_stream *stream, size_t from, size_t count)
{
    struct bus_reply *items = model_put_array(answer, reply, count);
    for (size_t i = 0; i < count; i++) {
        entry_put(answer, &items[i], model_stream_at(stream, from + i));
    }
}

/* ---- trimming ---- */

struct trim {
    enum {
        TRIM_NOT,
        TRIM_MAXLEN,
        TRIM_MINID
    } by;
    bool about;
    bool limited;
    int64_t limit; /* 0: none */
    int64_t maxlen;
    struct entry_id minid;
};

/* How many of the oldest entries go; whole nodes only with ~. */
static uint64_t trim_count(const struct model_store *store, const struct model_stream *stream,
                           const struct trim *trim)
{
    uint64_t limit = trim->limited ? (uint64_t)trim->limit
                     : trim->about ? (uint64_t)100 * store->node_entries
                                   : 0;
    uint64_t over = 0;
    if (trim->by == TRIM_MAXLEN) {
        over = stream->count > (uint64_t)trim->maxlen ? stream->count - (uint64_t)trim->maxlen : 0;
    } else {
        over = model_stream_find(stream, trim->minid);
    }
    if (!trim->about) {
        return over;
    }
    uint64_t gone = 0;
    while (gone < over) {
        uint32_t node = model_stream_at(stream, gone)->node;
        uint64_t end = gone;
        while (end < stream->count && model_stream_at(stream, end)->node == node) {
            end++;
        }
        if (end > over || (limit > 0 && end > limit)) {
            break;
        }
        gone = end;
    }
    return gone;
}

static int64_t trim_do(struct model_store *store, struct dyn_str name, const struct trim *trim)
{
    struct model_key *key = model_key_find(store, name);
    uint64_t count = key != NULL ? trim_count(store, &key->stream, trim) : 0;
    if (count > 0) {
        struct model_op op = {.kind = MODEL_TRIM, .key = model_blob_ref(key->name), .count = count};
        (void)model_store_do(store, &op);
        model_blob_free(op.key);
    }
    return (int64_t)count;
}

/* "MAXLEN|MINID [=|~] threshold [LIMIT count]" from argv[*at] on. */
static bool trim_parse(const struct dyn_str *argv, size_t argc, size_t *at, struct trim *trim,
                       struct model_answer *answer, struct bus_reply *reply)
{
    trim->by = model_name_is(argv[*at], "maxlen") ? TRIM_MAXLEN : TRIM_MINID;
    (*at)++;
    if (*at + 1 < argc && (dyn_str_is(argv[*at], "~") || dyn_str_is(argv[*at], "="))) {
        trim->about = argv[*at].ptr[0] == '~';
        (*at)++;
    }
    if (*at >= argc) {
        model_put_error(answer, reply, "ERR syntax error");
        return false;
    }
    if (trim->by == TRIM_MINID) {
        if (!id_parse(argv[*at], 0, &trim->minid)) {
            id_refuse(answer, reply);
            return false;
        }
    } else if (!model_number(argv[*at], &trim->maxlen)) {
        model_put_error(answer, reply, "ERR value is not an integer or out of range");
        return false;
    } else if (trim->maxlen < 0) {
        model_put_error(answer, reply, "ERR The MAXLEN argument must be >= 0.");
        return false;
    }
    (*at)++;
    return true;
}

static bool limit_parse(const struct dyn_str *argv, size_t argc, size_t *at, struct trim *trim,
                        struct model_answer *answer, struct bus_reply *reply)
{
    if (*at + 1 >= argc || !model_name_is(argv[*at], "limit")) {
        return true;
    }
    if (!model_number(argv[*at + 1], &trim->limit)) {
        model_put_error(answer, reply, "ERR value is not an integer or out of range");
        return false;
    }
    if (trim->limit < 0) {
        model_put_error(answer, reply, "ERR The LIMIT argument must be >= 0.");
        return false;
    }
    trim->limited = true;
    *at += 2;
    return true;
}

/* Asked when all has been read. */
static bool limit_is_good(const struct trim *trim, struct model_answer *answer,
                          struct bus_reply *reply)
{
    if (trim->limited && !trim->about) {
        model_put_error(answer, reply,
                        "ERR syntax error, LIMIT cannot be used without the special ~ option");
        return false;
    }
    return true;
}

void model_xtrim(struct model_store *store, const struct dyn_str *argv, size_t argc,
                 struct model_answer *answer, struct bus_reply *reply)
{
    const struct model_stream *stream = NULL;
    struct trim trim = {.by = TRIM_NOT};
    size_t at = 2;
    if (!model_name_is(argv[2], "maxlen") && !model_name_is(argv[2], "minid")) {
        model_put_error(answer, reply, "ERR syntax error");
        return;
    }
    if (!trim_parse(argv, argc, &at, &trim, answer, reply) ||
        !limit_parse(argv, argc, &at, &trim, answer, reply)) {
        return;
    }
    if (at != argc) {
        model_put_error(answer, reply, "ERR syntax error");
        return;
    }
    if (limit_is_good(&trim, answer, reply) && stream_of(store, argv[1], answer, reply, &stream)) {
        model_put_int(reply, trim_do(store, argv[1], &trim));
    }
}

/* ---- XADD ---- */

/* The ID that * makes: the server's clock, or one above the last. */
static bool id_next(const struct model_store *store, const struct model_stream *stream,
                    struct entry_id *out)
{
    uint64_t now_ms = store->wall_us > 0 ? (uint64_t)(store->wall_us / 1000) : 0;
    if (now_ms > stream->last.ms) {
        *out = (struct entry_id){now_ms, 0};
        return true;
    }
    *out = stream->last;
    return id_step(out, true);
}

static void entry_add(struct model_store *store, struct dyn_str name, struct entry_id id,
                      const struct dyn_str *pairs, size_t count)
{
    struct model_op op = {.kind = MODEL_ADD,
                          .key = model_key_blob(model_key_find(store, name), name),
                          .id = id,
                          .fields = (uint32_t)(count / 2),
                          .value = entry_pack(pairs, count)};
    (void)model_store_do(store, &op);
    model_blob_free(op.key);
    model_blob_free(op.value);
}

void model_xadd(struct model_store *store, const struct dyn_str *argv, size_t argc,
                struct model_answer *answer, struct bus_reply *reply)
{
    const struct model_stream *stream = NULL;
    struct trim trim = {.by = TRIM_NOT};
    struct entry_id id = id_first;
    size_t at = 2;
    if (model_name_is(argv[at], "maxlen") || model_name_is(argv[at], "minid")) {
        if (!trim_parse(argv, argc, &at, &trim, answer, reply) ||
            !limit_parse(argv, argc, &at, &trim, answer, reply)) {
            return;
        }
    }
    bool made = at < argc && dyn_str_is(argv[at], "*");
    if (!made && at < argc && !id_parse(argv[at], 0, &id)) {
        id_refuse(answer, reply);
        return;
    }
    if (!limit_is_good(&trim, answer, reply)) {
        return;
    }
    at++;
    if (at + 2 > argc || (argc - at) % 2 != 0) {
        model_put_error(answer, reply, "ERR wrong number of arguments for 'xadd' command");
        return;
    }
    if (!made && entry_id_compare(id, id_first) == 0) {
        model_put_error(answer, reply, "ERR The ID specified in XADD must be greater than 0-0");
        return;
    }
    if (!stream_of(store, argv[1], answer, reply, &stream)) {
        return;
    }
    if (entry_id_compare(stream->last, id_last) == 0) {
        model_put_error(answer, reply,
                        "ERR The stream has exhausted the last possible ID, unable to add more "
                        "items");
        return;
    }
    if (made ? !id_next(store, stream, &id) : entry_id_compare(id, stream->last) <= 0) {
        model_put_error(answer, reply,
                        "ERR The ID specified in XADD is equal or smaller than the target stream "
                        "top item");
        return;
    }
    entry_add(store, argv[1], id, argv + at, argc - at);
    if (trim.by != TRIM_NOT) {
        (void)trim_do(store, argv[1], &trim);
    }
    id_put(answer, reply, id);
}

/* ---- ranges ---- */

void model_xlen(struct model_store *store, const struct dyn_str *argv, size_t argc,
                struct model_answer *answer, struct bus_reply *reply)
{
    (void)argc;
    const struct model_stream *stream = NULL;
    if (stream_of(store, argv[1], answer, reply, &stream)) {
        model_put_int(reply, (int64_t)stream->count);
    }
}

static void range_put(struct model_store *store, const struct dyn_str *argv, size_t argc,
                      bool reverse, struct model_answer *answer, struct bus_reply *reply)
{
    const struct model_stream *stream = NULL;
    struct entry_id from = id_first;
    struct entry_id to = id_last;
    int64_t count = -1;
    if (!bound_parse(argv[reverse ? 3 : 2], true, answer, reply, &from) ||
        !bound_parse(argv[reverse ? 2 : 3], false, answer, reply, &to)) {
        return;
    }
    if (argc > 4 && (argc != 6 || !model_name_is(argv[4], "count"))) {
        model_put_error(answer, reply, "ERR syntax error");
        return;
    }
    if (argc == 6 && !model_number(argv[5], &count)) {
        model_put_error(answer, reply, "ERR value is not an integer or out of range");
        return;
    }
    if (argc == 6 && count < 0) {
        count = 0;
    }
    if (!stream_of(store, argv[1], answer, reply, &stream)) {
        return;
    }
    if (count == 0 && model_key_find(store, argv[1]) != NULL) {
        model_put_nil(reply);
        return;
    }
    size_t begin = model_stream_find(stream, from);
    size_t end = id_step(&to, true) ? model_stream_find(stream, to) : stream->count;
    size_t there = end > begin ? end - begin : 0;
    size_t told = count > 0 && (uint64_t)count < there ? (size_t)count : there;
    entries_put(answer, reply, stream, reverse ? end - told : begin, told);
    for (size_t i = 0; reverse && i < told / 2; i++) {
        struct bus_reply swapped = reply->items[i];
        reply->items[i] = reply->items[told - 1 - i];
        reply->items[told - 1 - i] = swapped;
    }
}

void model_xrange(struct model_store *store, const struct dyn_str *argv, size_t argc,
                  struct model_answer *answer, struct bus_reply *reply)
{
    range_put(store, argv, argc, false, answer, reply);
}

void model_xrevrange(struct model_store *store, const struct dyn_str *argv, size_t argc,
                     struct model_answer *answer, struct bus_reply *reply)
{
    range_put(store, argv, argc, true, answer, reply);
}

/* ---- XREAD ---- */

static bool read_options(const struct dyn_str *argv, size_t argc, struct model_answer *answer,
                         struct model_read *read, size_t *out_at)
{
    for (size_t i = 1; i < argc; i++) {
        int64_t number = 0;
        bool more = i + 1 < argc;
        if (more && model_name_is(argv[i], "count")) {
            if (!model_number(argv[++i], &number)) {
                model_put_error(answer, &answer->root,
                                "ERR value is not an integer or out of range");
                return false;
            }
            read->count = number > 0 ? (size_t)number : 0;
        } else if (more && model_name_is(argv[i], "block")) {
            if (!model_number(argv[++i], &number)) {
                model_put_error(answer, &answer->root,
                                "ERR timeout is not an integer or out of range");
                return false;
            }
            if (number < 0) {
                model_put_error(answer, &answer->root, "ERR timeout is negative");
                return false;
            }
            read->block_ms = number;
        } else if (more && model_name_is(argv[i], "streams")) {
            *out_at = i + 1;
            return true;
        } else {
            break;
        }
    }
    model_put_error(answer, &answer->root, "ERR syntax error");
    return false;
}

bool model_read_parse(const struct model_store *store, const struct dyn_str *argv, size_t argc,
                      struct model_answer *answer, struct model_read *out)
{
    struct model_read read = {.block_ms = -1};
    size_t at = 0;
    if (!read_options(argv, argc, answer, &read, &at)) {
        return false;
    }
    if ((argc - at) % 2 != 0) {
        model_put_error(answer, &answer->root,
                        "ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' "
                        "must be specified.");
        return false;
    }
    read.streams = (argc - at) / 2;
    read.keys = argv + at;
    read.after = model_take(answer, read.streams * sizeof *read.after);
    for (size_t i = 0; i < read.streams; i++) {
        struct dyn_str text = argv[at + read.streams + i];
        const struct model_stream *stream = NULL;
        if (!stream_of(store, read.keys[i], answer, &answer->root, &stream)) {
            return false;
        }
        if (dyn_str_is(text, "$")) {
            read.after[i] = stream->last;
        } else if (!id_parse(text, 0, &read.after[i])) {
            id_refuse(answer, &answer->root);
            return false;
        }
    }
    *out = read;
    return true;
}

static size_t read_from(const struct model_stream *stream, struct entry_id after)
{
    return id_step(&after, true) ? model_stream_find(stream, after) : stream->count;
}

bool model_read_run(const struct model_store *store, const struct model_read *read,
                    struct model_answer *answer)
{
    size_t served = 0;
    for (size_t i = 0; i < read->streams; i++) {
        const struct model_key *key = model_key_find(store, read->keys[i]);
        served += key != NULL && key->is_stream &&
                  read_from(&key->stream, read->after[i]) < key->stream.count;
    }
    if (served == 0) {
        model_put_nil(&answer->root);
        return false;
    }
    struct bus_reply *streams = model_put_array(answer, &answer->root, served);
    for (size_t i = 0; i < read->streams; i++) {
        const struct model_key *key = model_key_find(store, read->keys[i]);
        if (key == NULL || !key->is_stream) {
            continue;
        }
        size_t from = read_from(&key->stream, read->after[i]);
        size_t count = key->stream.count - from;
        if (count > 0) {
            struct bus_reply *pair = model_put_array(answer, streams++, 2);
            model_put_str(answer, &pair[0], read->keys[i]);
            entries_put(answer, &pair[1], &key->stream, from,
                        read->count > 0 && read->count < count ? read->count : count);
        }
    }
    return true;
}

/* Without its waiting, which is the server's. */
void model_xread(struct model_store *store, const struct dyn_str *argv, size_t argc,
                 struct model_answer *answer, struct bus_reply *reply)
{
    struct model_read read;
    DYN_ASSERT(reply == &answer->root);
    if (model_read_parse(store, argv, argc, answer, &read)) {
        (void)model_read_run(store, &read, answer);
    }
}

/* ---- XINFO ---- */

void model_xinfo(struct model_store *store, const struct dyn_str *argv, size_t argc,
                 struct model_answer *answer, struct bus_reply *reply)
{
    const struct model_stream *stream = NULL;
    if (!model_name_is(argv[1], "stream")) {
        model_put_error(answer, reply, "ERR unknown subcommand '%.*s'. Try XINFO HELP.",
                        (int)argv[1].len, argv[1].ptr);
        return;
    }
    if (argc < 3) {
        model_put_error(answer, reply, "ERR wrong number of arguments for 'xinfo|stream' command");
        return;
    }
    if (model_key_find(store, argv[2]) == NULL) {
        model_put_error(answer, reply, "ERR no such key");
        return;
    }
    if (!stream_of(store, argv[2], answer, reply, &stream)) {
        return;
    }
    struct bus_reply *items = model_put_array(answer, reply, 16);
    size_t at = 0;
    model_put_str(answer, &items[at++], DYN_STR("length"));
    model_put_int(&items[at++], (int64_t)stream->count);
    model_put_str(answer, &items[at++], DYN_STR("last-generated-id"));
    id_put(answer, &items[at++], stream->last);
    model_put_str(answer, &items[at++], DYN_STR("max-deleted-entry-id"));
    id_put(answer, &items[at++], id_first);
    model_put_str(answer, &items[at++], DYN_STR("entries-added"));
    model_put_int(&items[at++], (int64_t)stream->added);
    model_put_str(answer, &items[at++], DYN_STR("recorded-first-entry-id"));
    id_put(answer, &items[at++], stream->count > 0 ? model_stream_at(stream, 0)->id : id_first);
    model_put_str(answer, &items[at++], DYN_STR("groups"));
    model_put_int(&items[at++], 0);
    for (size_t end = 0; end < 2; end++) {
        model_put_str(answer, &items[at++],
                      end == 0 ? DYN_STR("first-entry") : DYN_STR("last-entry"));
        if (stream->count > 0) {
            entry_put(answer, &items[at],
                      model_stream_at(stream, end == 0 ? 0 : stream->count - 1));
        }
        at++;
    }
}
