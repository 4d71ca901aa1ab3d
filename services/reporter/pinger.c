#include "reporter/pinger.h"

#include "common/clock.h"
#include "reporter/cursor.h"
#include "reporter/host.h"

#include <inttypes.h>

#define PINGED "pinged" /* the cursor's field: when, in ms of the wall clock */
#define KEY_MAX (2 * DYN_NAME_MAX + FEED_NAME_MAX)

struct pinger {
    struct feed_options options;
    struct engine *engine;
    char name[FEED_NAME_MAX]; /* success:cronut */
    struct sink_host *host;
    struct cursor *cursor;
    int64_t interval_ms;
    int64_t next_ms; /* of dyn_clock_boot_ms() */
    bool led;        /* pinger_lead() came */
    bool loading;    /* the cursor */
    bool loaded;
    bool draining;
};

/* ---- what the host asks ---- */

static bool host_may(void *arg)
{
    const struct pinger *pinger = arg;
    struct dyn_error why;
    return pinger->options.may_deliver(pinger->options.arg) && engine_lives(pinger->engine, &why);
}

static bool ping_prepare(void *arg, struct host_item *item, struct sink_delivery *out)
{
    (void)arg;
    (void)item;
    (void)out;
    return true;
}

static void ping_bury(void *arg, const struct host_item *item, const char *why)
{
    struct pinger *pinger = arg;
    struct dyn_error words;
    (void)item;
    (void)dyn_error_set(&words, DYN_OK, "%s did not take a ping: %s", pinger->name, why);
    service_event(pinger->options.service,
                  &(struct event){.level = EVENT_WARN,
                                  .code = DYN_STR("sink_failed"),
                                  .cause = dyn_str_from(pinger->name),
                                  .input = dyn_str_from(pinger->options.sink->name),
                                  .text = dyn_str_from(words.text)});
    host_buried(pinger->host, true);
}

/* Called for a ping that was given up as well: to have been told so is no ping. */
static void ping_ended(void *arg, const struct host_item *item)
{
    (void)arg;
    (void)item;
}

static void host_room(void *arg)
{
    (void)arg;
}

static void cursor_fenced(void *arg)
{
    const struct pinger *pinger = arg;
    pinger->options.fenced(pinger->options.arg);
}

static void cursor_settled(void *arg)
{
    (void)arg;
}

/* ---- pinging ---- */

static void ping_begin(struct pinger *pinger)
{
    char text[32];
    struct entry_id id = {.ms = (uint64_t)dyn_clock_wall_ms()};
    if (host_add(pinger->host, 0, id, DYN_STR("ping")) != DYN_OK) {
        return;
    }
    pinger->next_ms = dyn_clock_boot_ms() + pinger->interval_ms;
    (void)snprintf(text, sizeof text, "%" PRIu64, id.ms);
    cursor_set(pinger->cursor, PINGED, text);
    cursor_flush(pinger->cursor);
}

/* Not sooner than an interval after the last one, whoever sent it. */
static void cursor_field(void *arg, struct dyn_str field, struct dyn_str value)
{
    struct pinger *pinger = arg;
    char text[32];
    if (!dyn_str_is(field, PINGED)) {
        return;
    }
    dyn_str_copy(text, sizeof text, value);
    int64_t ago_ms = dyn_clock_wall_ms() - strtoll(text, NULL, 10);
    if (ago_ms >= 0 && ago_ms < pinger->interval_ms) {
        pinger->next_ms = dyn_clock_boot_ms() + pinger->interval_ms - ago_ms;
    }
}

static void cursor_loaded(void *arg, dyn_err err)
{
    struct pinger *pinger = arg;
    pinger->loading = false;
    pinger->loaded = err == DYN_OK;
    if (err == DYN_REFUSED) {
        dyn_log(DYN_LOG_ERROR, "cursor_refused", "sink=%s", pinger->name);
    }
}

void pinger_go(struct pinger *pinger)
{
    if (!pinger->led || pinger->draining) {
        return;
    }
    if (!pinger->loaded) {
        pinger->loading = pinger->loading || cursor_load(pinger->cursor, cursor_field,
                                                         cursor_loaded, pinger) == DYN_OK;
        return;
    }
    if (host_queued(pinger->host) == 0 && dyn_clock_boot_ms() >= pinger->next_ms &&
        host_may(pinger)) {
        ping_begin(pinger);
    }
    cursor_flush(pinger->cursor);
    host_go(pinger->host);
}

void pinger_lead(struct pinger *pinger, struct dyn_str epoch)
{
    pinger->led = true;
    cursor_lead(pinger->cursor, epoch);
    pinger_go(pinger);
}

/* ---- life ---- */

static dyn_err host_make(struct pinger *pinger, const struct sink_ops *ops, struct dyn_error *error)
{
    const struct feed_options *options = &pinger->options;
    return host_new(&(struct host_options){.loop = options->service->loop,
                                           .http = options->http,
                                           .config = options->sink,
                                           .ops = ops,
                                           .counters = host_counters_make(options->service->metrics,
                                                                          pinger->name),
                                           .may = host_may,
                                           .prepare = ping_prepare,
                                           .bury = ping_bury,
                                           .accepted = ping_ended,
                                           .room = host_room,
                                           .arg = pinger},
                    &pinger->host, error);
}

dyn_err pinger_new(const struct feed_options *options, struct engine *engine,
                   struct pinger **out_pinger, struct dyn_error *error)
{
    const struct config_type *type = options->sink->type;
    const struct sink_ops *ops = sink_find(type->kind, type->name);
    char key[KEY_MAX];
    if (ops == NULL) {
        return dyn_error_set(error, DYN_UNSUPPORTED, "the sink %s has no code in this version",
                             type->name);
    }
    struct pinger *pinger = calloc(1, sizeof *pinger);
    if (pinger == NULL) {
        return dyn_error_set(error, DYN_NOMEM, "out of memory");
    }
    pinger->options = *options;
    pinger->engine = engine;
    pinger->interval_ms = config_option(&options->sink->options, "interval")->as.i;
    feed_name(options->sink, pinger->name);
    (void)snprintf(key, sizeof key, "%s:{rep}:%s", options->config->redis.prefix, pinger->name);
    pinger->cursor = cursor_new(&(struct cursor_options){.bus = &options->service->bus,
                                                         .key = key,
                                                         .lease = options->lease,
                                                         .owner = options->owner,
                                                         .settled = cursor_settled,
                                                         .fenced = cursor_fenced,
                                                         .arg = pinger});
    dyn_err err = pinger->cursor != NULL ? host_make(pinger, ops, error)
                                         : dyn_error_set(error, DYN_NOMEM, "out of memory");
    if (err != DYN_OK) {
        cursor_free(pinger->cursor);
        free(pinger);
        return err;
    }
    *out_pinger = pinger;
    return DYN_OK;
}

void pinger_free(struct pinger *pinger)
{
    if (pinger != NULL) {
        host_free(pinger->host);
        cursor_free(pinger->cursor);
        free(pinger);
    }
}

void pinger_drain(struct pinger *pinger)
{
    pinger->draining = true;
    host_drain(pinger->host);
}

bool pinger_is_idle(const struct pinger *pinger)
{
    return host_is_idle(pinger->host) &&
           (cursor_is_clean(pinger->cursor) || !bus_is_ready(pinger->options.service->bus));
}

bool pinger_is_ready(const struct pinger *pinger, struct dyn_buf *why)
{
    if (!pinger->loaded) {
        (void)dyn_buf_addf(why, "%s: the cursor is not loaded\n", pinger->name);
    }
    return pinger->loaded;
}
