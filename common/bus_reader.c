/* Following streams, on top of bus.h. A round is: check the streams when that is due, then XREAD.
 */
#include "common/bus_internal.h"

#include <inttypes.h>

#define BLOCK_MS "500"
#define CHECK_STREAMS_MS 5000
#define STREAMS_MAX 256
#define KEY_MAX 256

struct followed {
    char key[KEY_MAX];
    struct entry_id cursor;
    bool active;
    bool asked; /* the running XREAD, or check, knows of it and of `cursor` */
    /* As of the last check since it is followed and connected. What came since then is counted by
     * the server and by us: when the server counts less, it began anew meanwhile. */
    bool checked;
    struct entry_id checked_last; /* last-generated-id */
    uint64_t added;               /* entries-added, and those read since that lie behind it */
};

struct bus_reader {
    struct dyn_loop *loop;
    struct bus *bus;
    struct bus_reader_options options;
    struct followed *streams;
    size_t streams_count;
    char replid[BUS_REPLID_MAX];
    bool working;       /* a round is under way */
    bool announced;     /* `ready` was called for this connection */
    bool rewound;       /* the running check found a stream gone back */
    size_t checks_left; /* answers that the running check waits for */
    size_t check_next;  /* the stream whose answer comes next: they come in order */
    int64_t checked_at_ms;
    size_t count; /* entries a stream that the running XREAD asks for */
    unsigned depth;
    bool dying;
};

static void round_begin(struct bus_reader *reader);

static void reader_leave(struct bus_reader *reader)
{
    reader->depth--;
    if (reader->depth == 0 && reader->dying) {
        free(reader->streams);
        free(reader);
    }
}

static size_t streams_active(const struct bus_reader *reader)
{
    size_t active = 0;
    for (size_t i = 0; i < reader->streams_count; i++) {
        active += reader->streams[i].active ? 1 : 0;
    }
    return active;
}

/* A read was refused. What may pass is the bus's to tell; anything else lasts until a person acts,
 * and nothing comes meanwhile. */
static void read_refused(struct bus_reader *reader, const char *what, const struct bus_reply *reply)
{
    char why[KEY_MAX + 256];
    struct dyn_str words = bus_reply_str(reply);
    (void)snprintf(why, sizeof(why), "%s cannot be read: " DYN_STR_FMT, what, DYN_STR_ARG(words));
    if (!bus_reply_may_pass(reply) && reader->options.trouble != NULL) {
        reader->options.trouble(reader->options.arg, why);
    }
    if (!reader->dying) {
        bus_reset(reader->bus, why);
    }
}

/* ---- reading ---- */

/* Entries are the last thing looked at before the callback: it may free or forget anything. */
static bool stream_take(struct bus_reader *reader, size_t index, const struct bus_reply *entries)
{
    size_t count = bus_reply_count(entries);
    for (size_t i = 0; i < count && !reader->dying && reader->streams[index].active; i++) {
        struct bus_entry entry;
        if (bus_reply_entry(bus_reply_at(entries, i), &entry) != DYN_OK) {
            bus_reset(reader->bus, "a stream's entry cannot be read");
            break;
        }
        struct followed *stream = &reader->streams[index];
        stream->cursor = entry.id;
        stream->added += entry_id_compare(entry.id, stream->checked_last) > 0 ? 1 : 0;
        reader->options.entry(reader->options.arg, index, &entry);
    }
    return count >= reader->count;
}

static size_t stream_find(const struct bus_reader *reader, struct dyn_str key)
{
    for (size_t i = 0; i < reader->streams_count; i++) {
        if (dyn_str_is(key, reader->streams[i].key)) {
            return i;
        }
    }
    return SIZE_MAX;
}

static void on_read(void *arg, dyn_err err, const struct bus_reply *reply)
{
    struct bus_reader *reader = arg;
    reader->depth++;
    if (err == DYN_REFUSED) {
        read_refused(reader, "streams", reply);
    }
    if (err == DYN_OK) {
        bool behind = false;
        for (size_t i = 0; i < bus_reply_count(reply) && !reader->dying; i++) {
            const struct bus_reply *stream = bus_reply_at(reply, i);
            const struct bus_reply *key = bus_reply_at(stream, 0);
            const struct bus_reply *entries = bus_reply_at(stream, 1);
            size_t index = key != NULL ? stream_find(reader, bus_reply_str(key)) : SIZE_MAX;
            if (index != SIZE_MAX && entries != NULL && reader->streams[index].asked) {
                behind = stream_take(reader, index, entries) || behind;
            }
        }
        if (!reader->dying && reader->options.round != NULL) {
            reader->options.round(reader->options.arg, behind);
        }
        if (!reader->dying) {
            round_begin(reader);
        }
    }
    reader_leave(reader);
}

static dyn_err read_ask(struct bus_reader *reader, size_t active)
{
    size_t argc = 6 + 2 * active;
    struct dyn_str *argv = calloc(argc, sizeof(*argv));
    char(*ids)[ENTRY_ID_TEXT] = calloc(active, sizeof(*ids));
    char count[24];
    dyn_err err = DYN_NOMEM;
    if (argv != NULL && ids != NULL) {
        size_t share = reader->options.count / active;
        reader->count = share > 0 ? share : 1;
        (void)snprintf(count, sizeof(count), "%zu", reader->count);
        const struct dyn_str head[] = {DYN_STR("XREAD"), DYN_STR("COUNT"),  dyn_str_from(count),
                                       DYN_STR("BLOCK"), DYN_STR(BLOCK_MS), DYN_STR("STREAMS")};
        memcpy(argv, head, sizeof(head));
        size_t at = 0;
        for (size_t i = 0; i < reader->streams_count; i++) {
            if (reader->streams[i].active) {
                entry_id_format(reader->streams[i].cursor, ids[at], sizeof(ids[at]));
                reader->streams[i].asked = true;
                argv[6 + at] = dyn_str_from(reader->streams[i].key);
                argv[6 + active + at] = dyn_str_from(ids[at]);
                at++;
            }
        }
        err = bus_command(reader->bus, argv, argc, 0, on_read, reader);
    }
    free(ids);
    free(argv);
    return err;
}

/* ---- checking ---- */

struct stream_info {
    struct entry_id last; /* zero: the stream is missing */
    uint64_t added;
};

static struct stream_info info_read(const struct bus_reply *reply)
{
    struct stream_info info = {.last = {0, 0}};
    for (size_t i = 0; i + 1 < bus_reply_count(reply); i += 2) {
        struct dyn_str name = bus_reply_str(bus_reply_at(reply, i));
        const struct bus_reply *value = bus_reply_at(reply, i + 1);
        if (dyn_str_is(name, "last-generated-id") &&
            entry_id_parse(bus_reply_str(value), &info.last) != DYN_OK) {
            info.last = (struct entry_id){0, 0};
        } else if (dyn_str_is(name, "entries-added")) {
            info.added = bus_reply_u64(value);
        }
    }
    return info;
}

/* Whether entries were lost: it lies before the cursor, or has fewer than it had. */
static bool stream_judge(struct followed *stream, const struct stream_info *info)
{
    bool lost = stream->checked && info->added < stream->added;
    if (entry_id_compare(info->last, stream->cursor) < 0) {
        stream->cursor = info->last;
        lost = true;
    }
    stream->checked = true;
    stream->checked_last = info->last;
    stream->added = info->added;
    return lost;
}

static void check_end(struct bus_reader *reader)
{
    bool tell = !reader->announced || reader->rewound;
    reader->announced = true;
    reader->checked_at_ms = dyn_loop_now_ms(reader->loop);
    if (tell && reader->options.ready != NULL) {
        reader->options.ready(reader->options.arg, dyn_str_from(reader->replid), reader->rewound);
    }
    if (!reader->dying) {
        round_begin(reader);
    }
}

/* Somebody wrote an entry with the highest ID: an XADD finds none above it. */
static void stream_end_tell(struct bus_reader *reader, const char *key, struct entry_id last)
{
    char why[KEY_MAX + 256];
    if (last.ms != UINT64_MAX || last.seq != UINT64_MAX || reader->options.trouble == NULL) {
        return;
    }
    (void)snprintf(why, sizeof(why),
                   "%s has an entry with the highest possible ID, so that nothing can be added to "
                   "it any more: DEL %s (what is lost with it is seen, and only raises)",
                   key, key);
    reader->options.trouble(reader->options.arg, why);
}

static void on_check(void *arg, dyn_err err, const struct bus_reply *reply)
{
    struct bus_reader *reader = arg;
    if (reader->dying || !bus_is_ready(reader->bus) || (err != DYN_OK && err != DYN_REFUSED)) {
        return; /* also when an answer before this one ended the check */
    }
    reader->depth++;
    struct followed *stream = &reader->streams[reader->check_next];
    bool missing = err == DYN_REFUSED && dyn_str_starts(bus_reply_str(reply), "ERR no such key");
    if (err == DYN_REFUSED && !missing) {
        read_refused(reader, stream->key, reply);
    } else {
        struct stream_info info = {.last = {0, 0}};
        if (!missing) {
            info = info_read(reply);
        }
        if (stream->active && stream->asked && stream_judge(stream, &info)) {
            reader->rewound = true;
        }
        stream_end_tell(reader, stream->key, info.last);
        reader->check_next++;
        if (--reader->checks_left == 0) {
            check_end(reader);
        }
    }
    reader_leave(reader);
}

/* The server that takes the commands is another one: one of the two is of the past, and nobody here
 * knows which. */
static bool server_is_shared(struct bus_reader *reader)
{
    struct bus *commands = reader->options.commands;
    if (commands == NULL || !bus_is_ready(commands) ||
        strcmp(commands->replid, reader->replid) == 0) {
        return true;
    }
    bus_sentinel_doubt(commands);
    bus_reset(commands, "streams are read from another server than this one");
    return false;
}

static void server_doubt(struct bus_reader *reader, const char *why)
{
    bus_sentinel_doubt(reader->bus);
    bus_reset(reader->bus, why);
}

static void on_server(void *arg, dyn_err err, const struct bus_reply *reply)
{
    struct bus_reader *reader = arg;
    if (reader->dying || !bus_is_ready(reader->bus) || (err != DYN_OK && err != DYN_REFUSED)) {
        return;
    }
    reader->depth++;
    struct dyn_str info = bus_reply_str(reply);
    if (err == DYN_REFUSED) {
        read_refused(reader, "INFO", reply);
    } else if (!dyn_str_is(bus_info_find(info, "role"), "master")) {
        server_doubt(reader, "the server is a replica now");
    } else if (!dyn_str_is(bus_info_find(info, "master_replid"), reader->replid)) {
        server_doubt(reader, "the server has another history now");
    } else if (!server_is_shared(reader)) {
        server_doubt(reader, "commands go to another server than this one");
    }
    reader_leave(reader);
}

/* Forgotten streams are asked for too: an index then needs no list of its own. */
static void check_begin(struct bus_reader *reader)
{
    const struct dyn_str info[] = {DYN_STR("INFO"), DYN_STR("replication")};
    reader->rewound = false;
    reader->check_next = 0;
    reader->checks_left = reader->streams_count;
    if (bus_command(reader->bus, info, 2, 0, on_server, reader) != DYN_OK) {
        bus_reset(reader->bus, "the server cannot be asked what it is");
        return;
    }
    if (reader->checks_left == 0) {
        check_end(reader);
        return;
    }
    for (size_t i = 0; i < reader->streams_count; i++) {
        reader->streams[i].asked = true;
        const struct dyn_str argv[] = {DYN_STR("XINFO"), DYN_STR("STREAM"),
                                       dyn_str_from(reader->streams[i].key)};
        if (bus_command(reader->bus, argv, 3, 0, on_check, reader) != DYN_OK) {
            bus_reset(reader->bus, "the streams cannot be asked for");
            return;
        }
    }
}

static void round_begin(struct bus_reader *reader)
{
    if (!bus_is_ready(reader->bus)) {
        return; /* on_ready begins anew */
    }
    bool due = dyn_loop_now_ms(reader->loop) - reader->checked_at_ms >= CHECK_STREAMS_MS;
    size_t active = streams_active(reader);
    reader->working = true;
    if (!reader->announced || (due && active > 0)) {
        check_begin(reader);
        return;
    }
    reader->working = active > 0;
    if (active > 0 && read_ask(reader, active) != DYN_OK) {
        bus_reset(reader->bus, "the streams cannot be read");
    }
}

/* ---- the connection ---- */

static void on_ready(void *arg, struct dyn_str replid)
{
    struct bus_reader *reader = arg;
    reader->depth++;
    dyn_str_copy(reader->replid, sizeof(reader->replid), replid);
    reader->announced = false;
    round_begin(reader);
    reader_leave(reader);
}

static void on_lost(void *arg, const char *why)
{
    struct bus_reader *reader = arg;
    reader->depth++;
    if (reader->options.lost != NULL && !reader->dying) {
        reader->options.lost(reader->options.arg, why);
    }
    reader_leave(reader);
}

static void on_trouble(void *arg, const char *why)
{
    struct bus_reader *reader = arg;
    reader->depth++;
    if (reader->options.trouble != NULL && !reader->dying) {
        reader->options.trouble(reader->options.arg, why);
    }
    reader_leave(reader);
}

struct bus_reader *bus_reader_new(struct dyn_loop *loop, const struct bus_reader_options *options,
                                  struct dyn_error *error)
{
    DYN_ASSERT(options->entry != NULL);
    struct bus_reader *reader = calloc(1, sizeof(*reader));
    struct followed *streams = calloc(STREAMS_MAX, sizeof(*streams));
    if (reader == NULL || streams == NULL) {
        (void)dyn_error_set(error, DYN_NOMEM, "out of memory");
        goto fail;
    }
    reader->loop = loop;
    reader->options = *options;
    reader->streams = streams;
    if (reader->options.count == 0 || reader->options.count > DYN_BUS_READ_COUNT) {
        reader->options.count = DYN_BUS_READ_COUNT;
    }
    const struct bus_options bus_options = {.url = options->url,
                                            .access = options->access,
                                            .name = options->name,
                                            .ready = on_ready,
                                            .lost = on_lost,
                                            .trouble = on_trouble,
                                            .arg = reader};
    reader->bus = bus_new(loop, &bus_options, error);
    if (reader->bus == NULL) {
        goto fail;
    }
    reader->options.url = NULL;
    reader->options.access = NULL;
    reader->options.name = NULL;
    return reader;

fail:
    free(streams);
    free(reader);
    return NULL;
}

void bus_reader_free(struct bus_reader *reader)
{
    if (reader == NULL || reader->dying) {
        return;
    }
    reader->depth++;
    reader->dying = true;
    bus_free(reader->bus);
    reader_leave(reader);
}

size_t bus_reader_follow(struct bus_reader *reader, const char *key, struct entry_id after)
{
    size_t index = stream_find(reader, dyn_str_from(key));
    if (index == SIZE_MAX) {
        if (reader->streams_count == STREAMS_MAX || strlen(key) >= KEY_MAX) {
            return SIZE_MAX;
        }
        index = reader->streams_count++;
        dyn_str_copy(reader->streams[index].key, KEY_MAX, dyn_str_from(key));
    } else if (reader->streams[index].active) {
        return SIZE_MAX;
    }
    struct followed *stream = &reader->streams[index];
    stream->cursor = after;
    stream->active = true;
    stream->asked = false;
    stream->checked = false;
    if (!reader->working) {
        round_begin(reader);
    }
    return index;
}

void bus_reader_forget(struct bus_reader *reader, size_t stream)
{
    DYN_ASSERT(stream < reader->streams_count);
    reader->streams[stream].active = false;
}

struct entry_id bus_reader_cursor(const struct bus_reader *reader, size_t stream)
{
    DYN_ASSERT(stream < reader->streams_count);
    return reader->streams[stream].cursor;
}
