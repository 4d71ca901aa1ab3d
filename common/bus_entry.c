/* Streams over a bus: entries in, entries out, and a stream's pages. Knows bus.h only. */
#include "common/bus.h"

#include <inttypes.h>

/* Keys are a prefix, a tag and a name. */
#define KEY_MAX 256

void bus_key_partition(struct dyn_buf *out, const char *prefix, uint32_t partition,
                       const char *name)
{
    (void)dyn_buf_addf(out, "%s:{%" PRIu32 "}:%s", prefix, partition, name);
}

dyn_err bus_add(struct bus *bus, const char *key, struct dyn_str payload, uint64_t maxlen,
                bus_fn *fn, void *arg)
{
    char bound[24];
    (void)snprintf(bound, sizeof(bound), "%" PRIu64, maxlen);
    struct dyn_str argv[8] = {DYN_STR("XADD"), dyn_str_from(key)};
    size_t argc = 2;
    if (maxlen > 0) {
        argv[argc++] = DYN_STR("MAXLEN");
        argv[argc++] = DYN_STR("~");
        argv[argc++] = dyn_str_from(bound);
    }
    argv[argc++] = DYN_STR("*");
    argv[argc++] = DYN_STR("m");
    argv[argc++] = payload;
    return bus_command(bus, argv, argc, 0, fn, arg);
}

dyn_err bus_reply_entry(const struct bus_reply *reply, struct bus_entry *out)
{
    const struct bus_reply *id = bus_reply_at(reply, 0);
    const struct bus_reply *fields = bus_reply_at(reply, 1);
    struct bus_entry entry = {.message = {NULL, 0}};
    if (id == NULL || fields == NULL || entry_id_parse(bus_reply_str(id), &entry.id) != DYN_OK) {
        return DYN_BADMSG;
    }
    for (size_t i = 0; i + 1 < bus_reply_count(fields); i += 2) {
        if (dyn_str_is(bus_reply_str(bus_reply_at(fields, i)), "m")) {
            entry.message = bus_reply_str(bus_reply_at(fields, i + 1));
            break;
        }
    }
    *out = entry;
    return DYN_OK;
}

/* ---- ranges ---- */

struct range_read {
    struct bus *bus;
    struct bus_range range;
    char key[KEY_MAX];
    struct entry_id last; /* the last entry given; pages go on behind it */
    bool started;
};

static dyn_err range_ask(struct range_read *read);

static void range_end(struct range_read *read, dyn_err err)
{
    struct bus_range range = read->range;
    free(read);
    range.done(range.arg, err);
}

static void on_page(void *arg, dyn_err err, const struct bus_reply *reply)
{
    struct range_read *read = arg;
    if (err != DYN_OK) {
        range_end(read, err);
        return;
    }
    size_t count = bus_reply_count(reply);
    for (size_t i = 0; i < count; i++) {
        struct bus_entry entry;
        if (bus_reply_entry(bus_reply_at(reply, i), &entry) != DYN_OK) {
            range_end(read, DYN_BADMSG);
            return;
        }
        read->last = entry.id;
        read->started = true;
        read->range.entry(read->range.arg, &entry);
    }
    bool whole = count < DYN_BUS_READ_COUNT || entry_id_compare(read->last, read->range.to) >= 0;
    err = whole ? DYN_OK : range_ask(read);
    if (whole || err != DYN_OK) {
        range_end(read, err);
    }
}

static dyn_err range_ask(struct range_read *read)
{
    char from[ENTRY_ID_TEXT + 1] = "(";
    char to[ENTRY_ID_TEXT];
    char count[16];
    /* The first page begins with `from` itself, the others behind the last entry. */
    entry_id_format(read->started ? read->last : read->range.from, from + 1, sizeof(from) - 1);
    entry_id_format(read->range.to, to, sizeof(to));
    (void)snprintf(count, sizeof(count), "%d", DYN_BUS_READ_COUNT);
    const struct dyn_str argv[] = {
        DYN_STR("XRANGE"), dyn_str_from(read->key), dyn_str_from(read->started ? from : from + 1),
        dyn_str_from(to),  DYN_STR("COUNT"),        dyn_str_from(count),
    };
    return bus_command(read->bus, argv, 6, 0, on_page, read);
}

dyn_err bus_range_start(struct bus *bus, const struct bus_range *range)
{
    DYN_ASSERT(range->entry != NULL && range->done != NULL);
    if (strlen(range->key) >= KEY_MAX) {
        return DYN_TOOBIG;
    }
    struct range_read *read = calloc(1, sizeof(*read));
    if (read == NULL) {
        return DYN_NOMEM;
    }
    read->bus = bus;
    read->range = *range;
    dyn_str_copy(read->key, sizeof(read->key), dyn_str_from(range->key));
    read->range.key = NULL; /* the caller's */
    dyn_err err = range_ask(read);
    if (err != DYN_OK) {
        free(read);
    }
    return err;
}
