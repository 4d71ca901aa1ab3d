#include "reporter/feed.h"

#include "common/clock.h"
#include "reporter/cursor.h"
#include "reporter/dedup.h"
#include "reporter/host.h"

#include <inttypes.h>

enum {
    STREAMS_MAX = DYN_PARTITIONS_MAX + 2,
    KEY_MAX = 256,
    EXPIRED_MAX = CURSOR_CALL_MAX / 2
};

enum stream_kind {
    STREAM_REPORTS,
    STREAM_EVENTS,
    STREAM_ACTIONS
};

struct stream {
    enum stream_kind kind;
    char key[KEY_MAX];
    char field[CURSOR_FIELD_MAX]; /* of the cursor's hash */
    struct entry_id last;         /* the last entry that was queued */
    bool begun;                   /* `last` was an entry, here or in the hash, and no mere time */
    size_t reader;                /* its index there */
};

struct feed {
    struct feed_options options;
    char name[FEED_NAME_MAX]; /* errors:console */
    struct stream streams[STREAMS_MAX];
    size_t streams_count;
    struct sink_host *host;
    struct cursor *cursor;
    struct bus_reader *reader; /* NULL until the cursor is loaded */
    struct pack_reader *unpack;
    struct dedup *dedup;
    struct names_stats stats;
    struct event event; /* what the delivery under way points to */
    struct action action;
    struct dyn_error dead; /* the words of the dead letter under way */
    struct metric *suppressed;
    struct metric *skipped;
    unsigned answers; /* owed by the bus for dead letters */
    bool paused;      /* the queue is full: nothing is read */
    bool led;         /* feed_lead() came */
    bool loading;     /* the cursor */
    bool connected;
    bool draining;
    bool dying;
};

static const char *prefix_of(const struct feed *feed)
{
    return feed->options.config->redis.prefix;
}

/* ---- which streams ---- */

static void stream_add(struct feed *feed, enum stream_kind kind, const char *key, const char *field)
{
    DYN_ASSERT(feed->streams_count < STREAMS_MAX);
    struct stream *stream = &feed->streams[feed->streams_count++];
    *stream = (struct stream){.kind = kind, .reader = SIZE_MAX};
    dyn_str_copy(stream->key, sizeof stream->key, dyn_str_from(key));
    dyn_str_copy(stream->field, sizeof stream->field, dyn_str_from(field));
}

static void streams_choose(struct feed *feed, const struct sink_ops *ops)
{
    char key[KEY_MAX];
    char field[CURSOR_FIELD_MAX];
    uint32_t partitions = feed->options.config->redis.partitions;
    for (uint32_t i = 0; ops->kind == CONFIG_STATS && i < partitions; i++) {
        (void)snprintf(key, sizeof key, "%s:{%" PRIu32 "}:reports", prefix_of(feed), i);
        (void)snprintf(field, sizeof field, "reports:%" PRIu32, i);
        stream_add(feed, STREAM_REPORTS, key, field);
    }
    if (ops->kind == CONFIG_ERRORS) {
        (void)snprintf(key, sizeof key, "%s:events", prefix_of(feed));
        stream_add(feed, STREAM_EVENTS, key, "events");
    }
    if (ops->wants_actions) {
        (void)snprintf(key, sizeof key, "%s:actions", prefix_of(feed));
        stream_add(feed, STREAM_ACTIONS, key, "actions");
    }
}

/* ---- what the sink gets of an entry ---- */

static bool app_is_wanted(const struct feed *feed, struct dyn_str app)
{
    size_t only = feed->options.sink->app;
    return only == SIZE_MAX || dyn_str_is(app, feed->options.config->apps[only].name);
}

static bool reports_prepare(struct feed *feed, struct sink_delivery *out)
{
    struct report report = {0};
    uint32_t reports = 0;
    dyn_err err = message_read_reports(feed->unpack, &report.log_ms, &reports);
    names_stats_clear(&feed->stats);
    while (err == DYN_OK) {
        err = message_read_report(feed->unpack, &report);
        if (err == DYN_OK) {
            (void)names_add(feed->options.names, &report, feed->options.sink->app, &feed->stats);
        }
    }
    if (err != DYN_NOTFOUND || names_finish(&feed->stats) != DYN_OK) {
        feed->skipped->value++;
        return false;
    }
    out->stats = feed->stats.stats;
    out->stats_count = feed->stats.count;
    return feed->stats.count > 0;
}

static bool actual_prepare(struct feed *feed)
{
    struct actual actual = {0};
    if (message_read_actual(feed->unpack, &actual) != DYN_OK ||
        !names_actual(feed->options.names, &actual)) {
        feed->skipped->value++;
    }
    return false;
}

static void seen_field(uint64_t fingerprint, char *out, size_t size)
{
    (void)snprintf(out, size, "seen:%016" PRIx64, fingerprint);
}

static void seen_forget(struct feed *feed, uint64_t fingerprint)
{
    char field[CURSOR_FIELD_MAX];
    seen_field(fingerprint, field, sizeof field);
    cursor_set(feed->cursor, field, "");
}

static bool event_prepare(struct feed *feed, struct host_item *item, struct sink_delivery *out)
{
    const struct dedup_entry *entry = NULL;
    uint64_t forgotten = 0;
    if (message_read_event(feed->unpack, &feed->event) != DYN_OK) {
        feed->skipped->value++;
        return false;
    }
    if (!app_is_wanted(feed, feed->event.app)) {
        return false;
    }
    int64_t now_ms = (int64_t)(item->id.ms & INT64_MAX);
    bool tell = dedup_take(feed->dedup, &feed->event, now_ms, &out->repeats, &entry, &forgotten);
    if (forgotten != 0) {
        seen_forget(feed, forgotten);
    }
    /* A few at a time: they go out in one call with the cursor. */
    for (int i = 0; i < EXPIRED_MAX; i++) {
        uint64_t old = dedup_expire(feed->dedup, now_ms);
        if (old == 0) {
            break;
        }
        seen_forget(feed, old);
    }
    /* It goes out with the cursor: an event must not be known before it was told. */
    if (entry != NULL && entry->fingerprint != 0) {
        seen_field(entry->fingerprint, item->seen_name, sizeof item->seen_name);
        dedup_format(entry, item->seen_value, sizeof item->seen_value);
    }
    if (!tell) {
        feed->suppressed->value++;
        return false;
    }
    out->event = &feed->event;
    if (entry != NULL) {
        out->incident = entry->incident;
        out->others = entry->incident != 0 ? dedup_others(feed->dedup, entry) : 0;
    }
    return true;
}

static bool action_prepare(struct feed *feed, struct sink_delivery *out)
{
    if (message_read_action(feed->unpack, &feed->action) != DYN_OK) {
        feed->skipped->value++;
        return false;
    }
    out->action = &feed->action;
    out->controller = names_controller(feed->options.names, feed->action.controller);
    return app_is_wanted(feed, feed->action.app);
}

static bool item_prepare(void *arg, struct host_item *item, struct sink_delivery *out)
{
    struct feed *feed = arg;
    enum stream_kind stream = feed->streams[item->stream].kind;
    enum message_kind kind = 0;
    if (pack_reader_start(feed->unpack, dyn_buf_str(&item->message)) == DYN_OK) {
        kind = message_read_kind(feed->unpack);
    }
    if (stream == STREAM_REPORTS && kind == MESSAGE_REPORT) {
        return reports_prepare(feed, out);
    }
    if (stream == STREAM_REPORTS && kind == MESSAGE_ACTUAL) {
        return actual_prepare(feed);
    }
    if (stream == STREAM_EVENTS && kind == MESSAGE_EVENT) {
        return event_prepare(feed, item, out);
    }
    if (stream == STREAM_ACTIONS && kind == MESSAGE_ACTION) {
        return action_prepare(feed, out);
    }
    feed->skipped->value++;
    return false;
}

/* ---- after the sink ---- */

static void item_accepted(void *arg, const struct host_item *item)
{
    struct feed *feed = arg;
    char id[ENTRY_ID_TEXT];
    entry_id_format(item->id, id, sizeof id);
    cursor_move(feed->cursor, feed->streams[item->stream].field, id);
    if (item->seen_name[0] != '\0') {
        cursor_set(feed->cursor, item->seen_name, item->seen_value);
    }
    cursor_flush(feed->cursor);
}

static bool host_may(void *arg)
{
    const struct feed *feed = arg;
    bool each = feed->options.sink->type->kind == CONFIG_ERRORS;
    return feed->options.may_deliver(feed->options.arg) && (!each || cursor_is_clean(feed->cursor));
}

static void cursor_settled(void *arg)
{
    struct feed *feed = arg;
    host_go(feed->host);
}

static void cursor_fenced(void *arg)
{
    struct feed *feed = arg;
    feed->options.fenced(feed->options.arg);
}

static void feed_destroy(struct feed *feed)
{
    free(feed->dedup);
    names_stats_fini(&feed->stats);
    pack_reader_free(feed->unpack);
    free(feed);
}

static void dead_tell(struct feed *feed)
{
    service_event(feed->options.service,
                  &(struct event){.level = EVENT_WARN,
                                  .code = DYN_STR("sink_failed"),
                                  .cause = dyn_str_from(feed->name),
                                  .input = dyn_str_from(feed->options.sink->name),
                                  .text = dyn_str_from(feed->dead.text)});
}

static void dead_answered(void *arg, dyn_err err, const struct bus_reply *reply)
{
    (void)reply;
    struct feed *feed = arg;
    feed->answers--;
    if (!feed->dying) {
        if (err == DYN_OK) {
            dead_tell(feed);
        }
        host_buried(feed->host, err == DYN_OK);
    } else if (feed->answers == 0) {
        feed_destroy(feed);
    }
}

static void item_bury(void *arg, const struct host_item *item, const char *why)
{
    struct feed *feed = arg;
    char dead[KEY_MAX];
    char id[ENTRY_ID_TEXT];
    (void)snprintf(dead, sizeof dead, "%s:dead", prefix_of(feed));
    entry_id_format(item->id, id, sizeof id);
    struct dyn_str argv[] = {DYN_STR("XADD"),
                             dyn_str_from(dead),
                             DYN_STR("MAXLEN"),
                             DYN_STR("~"),
                             DYN_STR(FEED_DEAD_KEPT),
                             DYN_STR("*"),
                             DYN_STR("sink"),
                             dyn_str_from(feed->name),
                             DYN_STR("stream"),
                             dyn_str_from(feed->streams[item->stream].key),
                             DYN_STR("id"),
                             dyn_str_from(id),
                             DYN_STR("why"),
                             dyn_str_from(why),
                             DYN_STR("m"),
                             dyn_buf_str(&item->message)};
    if (bus_command(feed->options.service->bus, argv, sizeof argv / sizeof argv[0], 0,
                    dead_answered, feed) != DYN_OK) {
        host_buried(feed->host, false);
        return;
    }
    feed->answers++;
    (void)dyn_error_set(&feed->dead, DYN_OK, "%s did not take %s of %s: %s", feed->name, id,
                        feed->streams[item->stream].key, why);
}

/* ---- reading ---- */

static void streams_follow(struct feed *feed)
{
    for (size_t i = 0; i < feed->streams_count; i++) {
        struct stream *stream = &feed->streams[i];
        stream->reader = bus_reader_follow(feed->reader, stream->key, stream->last);
        DYN_ASSERT(stream->reader != SIZE_MAX);
    }
}

static void streams_forget(struct feed *feed)
{
    for (size_t i = 0; i < feed->streams_count; i++) {
        bus_reader_forget(feed->reader, feed->streams[i].reader);
    }
}

static void reader_entry(void *arg, size_t index, const struct bus_entry *entry)
{
    struct feed *feed = arg;
    size_t at = 0;
    while (at < feed->streams_count && feed->streams[at].reader != index) {
        at++;
    }
    DYN_ASSERT(at < feed->streams_count);
    dyn_err err = host_add(feed->host, at, entry->id, entry->message);
    if (err == DYN_BUSY) {
        /* Nothing is lost: reading goes on behind the last entry that was queued. */
        feed->paused = true;
        streams_forget(feed);
        return;
    }
    if (err != DYN_OK) {
        feed->skipped->value++;
    }
    feed->streams[at].last = entry->id;
    feed->streams[at].begun = true;
}

static void host_room(void *arg)
{
    struct feed *feed = arg;
    if (feed->paused && !feed->draining) {
        feed->paused = false;
        streams_follow(feed);
    }
}

/* Follow the reader to where the streams went back to. True: entries that we know of were lost.
 * A stream that is older than the time to begin at, or empty, lost nothing. */
static bool streams_rewind(struct feed *feed)
{
    bool lost = false;
    for (size_t i = 0; i < feed->streams_count; i++) {
        struct stream *stream = &feed->streams[i];
        struct entry_id cursor = bus_reader_cursor(feed->reader, stream->reader);
        if (entry_id_compare(cursor, stream->last) < 0) {
            lost = lost || stream->begun;
            stream->last = cursor;
        }
    }
    return lost;
}

static void reader_ready(void *arg, struct dyn_str replid, bool rewound)
{
    struct feed *feed = arg;
    feed->connected = true;
    if (rewound && streams_rewind(feed)) {
        dyn_log(DYN_LOG_INFO, "feed_rewound", "sink=%s replid=" DYN_STR_FMT, feed->name,
                DYN_STR_ARG(replid));
    }
}

static void reader_lost(void *arg, const char *why)
{
    struct feed *feed = arg;
    feed->connected = false;
    dyn_log(DYN_LOG_WARN, "reader_lost", "sink=%s msg=%s", feed->name, dyn_log_quoted(why));
}

static void reader_trouble(void *arg, const char *why)
{
    struct feed *feed = arg;
    service_redis_trouble(feed->options.service, why);
}

static void reading_begin(struct feed *feed)
{
    struct dyn_error error = {""};
    const struct service *service = feed->options.service;
    feed->reader = bus_reader_new(service->loop,
                                  &(struct bus_reader_options){.url = service->redis_url,
                                                               .access = service->redis_access,
                                                               .commands = service->bus,
                                                               .name = "dynosaur-reporter",
                                                               .count = HOST_QUEUE_MAX,
                                                               .entry = reader_entry,
                                                               .ready = reader_ready,
                                                               .lost = reader_lost,
                                                               .trouble = reader_trouble,
                                                               .arg = feed},
                                  &error);
    if (feed->reader == NULL) {
        dyn_log(DYN_LOG_ERROR, "feed_unread", "sink=%s msg=%s", feed->name,
                dyn_log_quoted(error.text));
        return;
    }
    int64_t now_ms = dyn_clock_wall_ms();
    for (size_t i = 0; i < feed->streams_count; i++) {
        struct stream *stream = &feed->streams[i];
        int64_t from_ms = stream->kind == STREAM_REPORTS ? now_ms : now_ms - FEED_BACK_MS;
        if (!stream->begun) {
            stream->last = (struct entry_id){.ms = (uint64_t)from_ms};
        }
    }
    streams_follow(feed);
}

/* ---- the cursor ---- */

static void seen_restore(struct feed *feed, struct dyn_str hex, struct dyn_str value)
{
    char text[17];
    struct dedup_entry entry;
    if (hex.len != 16) {
        return;
    }
    dyn_str_copy(text, sizeof text, hex);
    uint64_t fingerprint = strtoull(text, NULL, 16);
    if (dedup_parse(fingerprint, value, &entry) == DYN_OK) {
        dedup_restore(feed->dedup, &entry);
    }
}

static void cursor_field(void *arg, struct dyn_str field, struct dyn_str value)
{
    struct feed *feed = arg;
    if (dyn_str_starts(field, "seen:")) {
        seen_restore(feed, (struct dyn_str){field.ptr + 5, field.len - 5}, value);
        return;
    }
    for (size_t i = 0; i < feed->streams_count; i++) {
        struct stream *stream = &feed->streams[i];
        if (dyn_str_is(field, stream->field)) {
            stream->begun = entry_id_parse(value, &stream->last) == DYN_OK;
        }
    }
}

static void cursor_loaded(void *arg, dyn_err err)
{
    struct feed *feed = arg;
    feed->loading = false;
    if (err == DYN_OK && !feed->draining) {
        reading_begin(feed);
    } else if (err == DYN_REFUSED) {
        dyn_log(DYN_LOG_ERROR, "cursor_refused", "sink=%s", feed->name);
    }
    /* Otherwise feed_go() loads again. */
}

void feed_go(struct feed *feed)
{
    if (feed->reader != NULL) {
        cursor_flush(feed->cursor);
        host_go(feed->host);
    } else if (feed->led && !feed->loading && !feed->draining) {
        feed->loading = cursor_load(feed->cursor, cursor_field, cursor_loaded, feed) == DYN_OK;
    }
}

void feed_lead(struct feed *feed, struct dyn_str epoch)
{
    feed->led = true;
    cursor_lead(feed->cursor, epoch);
    feed_go(feed);
}

/* ---- life ---- */

static struct metric *counter(struct feed *feed, const char *name, const char *help)
{
    struct dyn_buf labels;
    dyn_buf_init(&labels, 1024);
    metrics_label(&labels, "sink", dyn_str_from(feed->name));
    struct metric *metric =
        metrics_counter(feed->options.service->metrics, name, dyn_buf_text(&labels), help);
    dyn_buf_fini(&labels);
    return metric;
}

static dyn_err host_make(struct feed *feed, const struct sink_ops *ops, struct dyn_error *error)
{
    return host_new(&(struct host_options){.loop = feed->options.service->loop,
                                           .http = feed->options.http,
                                           .config = feed->options.sink,
                                           .ops = ops,
                                           .drop_oldest = ops->kind == CONFIG_STATS,
                                           .counters = host_counters_make(
                                               feed->options.service->metrics, feed->name),
                                           .may = host_may,
                                           .prepare = item_prepare,
                                           .bury = item_bury,
                                           .accepted = item_accepted,
                                           .room = host_room,
                                           .arg = feed},
                    &feed->host, error);
}

void feed_name(const struct config_sink *sink, char out[FEED_NAME_MAX])
{
    const char *kind = sink->type->kind == CONFIG_STATS    ? "stats"
                       : sink->type->kind == CONFIG_ERRORS ? "errors"
                                                           : "success";
    (void)snprintf(out, FEED_NAME_MAX, "%s:%s", kind, sink->name);
}

dyn_err feed_new(const struct feed_options *options, struct feed **out_feed,
                 struct dyn_error *error)
{
    const struct config_type *type = options->sink->type;
    const struct sink_ops *ops = sink_find(type->kind, type->name);
    char key[KEY_MAX + 2 * DYN_NAME_MAX];
    dyn_err err = DYN_NOMEM;
    if (ops == NULL) {
        return dyn_error_set(error, DYN_UNSUPPORTED, "the sink %s has no code in this version",
                             type->name);
    }
    struct feed *feed = calloc(1, sizeof *feed);
    if (feed == NULL) {
        return dyn_error_set(error, DYN_NOMEM, "out of memory");
    }
    feed->options = *options;
    feed_name(options->sink, feed->name);
    (void)snprintf(key, sizeof key, "%s:{rep}:%s", prefix_of(feed), feed->name);
    names_stats_init(&feed->stats);
    feed->unpack = pack_reader_new();
    feed->dedup = calloc(1, sizeof *feed->dedup);
    feed->cursor = cursor_new(&(struct cursor_options){.bus = &options->service->bus,
                                                       .key = key,
                                                       .lease = options->lease,
                                                       .owner = options->owner,
                                                       .settled = cursor_settled,
                                                       .fenced = cursor_fenced,
                                                       .arg = feed});
    if (feed->unpack == NULL || feed->dedup == NULL || feed->cursor == NULL) {
        (void)dyn_error_set(error, DYN_NOMEM, "out of memory");
        goto fail;
    }
    feed->suppressed = counter(feed, "dynosaur_reporter_suppressed_total",
                               "Events that were repeats, and only counted.");
    feed->skipped = counter(feed, "dynosaur_reporter_skipped_total",
                            "Entries that could not be read or belong to nobody here.");
    streams_choose(feed, ops);
    err = host_make(feed, ops, error);
    if (err != DYN_OK) {
        goto fail;
    }
    *out_feed = feed;
    return DYN_OK;
fail:
    cursor_free(feed->cursor);
    feed_destroy(feed);
    return err;
}

void feed_free(struct feed *feed)
{
    if (feed == NULL) {
        return;
    }
    feed->dying = true;
    bus_reader_free(feed->reader);
    host_free(feed->host);
    cursor_free(feed->cursor);
    if (feed->answers == 0) {
        feed_destroy(feed);
    }
}

void feed_drain(struct feed *feed)
{
    feed->draining = true;
    host_drain(feed->host);
    if (feed->reader != NULL && !feed->paused) {
        feed->paused = true;
        streams_forget(feed);
    }
}

bool feed_is_idle(const struct feed *feed)
{
    return host_is_idle(feed->host) &&
           (cursor_is_clean(feed->cursor) || !bus_is_ready(feed->options.service->bus));
}

bool feed_is_ready(const struct feed *feed, struct dyn_buf *why)
{
    if (feed->connected) {
        return true;
    }
    (void)dyn_buf_addf(why, "%s: %s\n", feed->name,
                       feed->reader == NULL ? "the cursor is not loaded" : "the streams are away");
    return false;
}
