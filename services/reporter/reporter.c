#include "reporter/reporter.h"

#include "common/http.h"
#include "reporter/feed.h"

enum {
    DRAIN_LOOK_MS = 20
};

struct reporter {
    struct service *service;
    struct http_client *http;
    struct names *names;
    struct feed **feeds;
    size_t feeds_count;
    struct dyn_timer *drain;
    bool redis_ready;
};

static void feeds_free(struct reporter *reporter)
{
    for (size_t i = 0; i < reporter->feeds_count; i++) {
        feed_free(reporter->feeds[i]);
    }
    free(reporter->feeds);
    reporter->feeds = NULL;
    reporter->feeds_count = 0;
    names_free(reporter->names);
    reporter->names = NULL;
}

/* A sink that cannot work is told and left out; the others do their work. */
static void feed_start(struct reporter *reporter, const struct config *config,
                       const struct config_sink *sink)
{
    struct feed *feed = NULL;
    struct dyn_error error = {""};
    dyn_err err = feed_new(&(struct feed_options){.service = reporter->service,
                                                  .names = reporter->names,
                                                  .http = reporter->http,
                                                  .config = config,
                                                  .sink = sink},
                           &feed, &error);
    if (err == DYN_OK) {
        reporter->feeds[reporter->feeds_count++] = feed;
        return;
    }
    service_event(reporter->service, &(struct event){.level = EVENT_ERROR,
                                                     .code = DYN_STR("sink_disabled"),
                                                     .input = dyn_str_from(sink->name),
                                                     .text = dyn_str_from(error.text)});
}

static dyn_err feeds_start(struct reporter *reporter, const struct config *config)
{
    static const enum config_kind kinds[] = {CONFIG_STATS, CONFIG_ERRORS};
    size_t most = config->sinks_count[CONFIG_STATS] + config->sinks_count[CONFIG_ERRORS];
    reporter->feeds = calloc(most > 0 ? most : 1, sizeof(struct feed *));
    reporter->names = names_new(config);
    if (reporter->feeds == NULL || reporter->names == NULL) {
        return DYN_NOMEM;
    }
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        for (size_t i = 0; i < config->sinks_count[kinds[k]]; i++) {
            feed_start(reporter, config, &config->sinks[kinds[k]][i]);
        }
    }
    return DYN_OK;
}

/* Drained when nothing is with a sink any more and the cursors are written. */
static void drain_look(void *arg)
{
    struct reporter *reporter = arg;
    for (size_t i = 0; i < reporter->feeds_count; i++) {
        if (!feed_is_idle(reporter->feeds[i])) {
            return;
        }
    }
    service_stop(reporter->service, 0);
}

static dyn_err reporter_start(struct service *service, struct dyn_error *error)
{
    struct reporter *reporter = service->state;
    reporter->service = service;
    reporter->http = http_client_new(service->loop, &(struct http_client_options){0});
    reporter->drain = dyn_timer_new(service->loop, drain_look, reporter);
    if (reporter->http == NULL || reporter->drain == NULL ||
        feeds_start(reporter, service->config) != DYN_OK) {
        return dyn_error_set(error, DYN_NOMEM, "out of memory");
    }
    return DYN_OK;
}

static void reporter_redis_ready(struct service *service, struct dyn_str run_id)
{
    (void)run_id;
    struct reporter *reporter = service->state;
    reporter->redis_ready = true;
    for (size_t i = 0; i < reporter->feeds_count; i++) {
        feed_redis_ready(reporter->feeds[i]);
    }
}

static void reporter_redis_lost(struct service *service, const char *why)
{
    (void)why;
    struct reporter *reporter = service->state;
    reporter->redis_ready = false;
}

/* The sinks begin anew at their cursors: what was with one of them may come to it once more. */
static void reporter_reload(struct service *service, struct config *next)
{
    struct reporter *reporter = service->state;
    feeds_free(reporter);
    if (feeds_start(reporter, next) != DYN_OK) {
        service_stop(service, 1);
        return;
    }
    for (size_t i = 0; reporter->redis_ready && i < reporter->feeds_count; i++) {
        feed_redis_ready(reporter->feeds[i]);
    }
}

static void reporter_drain(struct service *service)
{
    struct reporter *reporter = service->state;
    for (size_t i = 0; i < reporter->feeds_count; i++) {
        feed_drain(reporter->feeds[i]);
    }
    dyn_timer_start(reporter->drain, 0, DRAIN_LOOK_MS);
}

static void reporter_stop(struct service *service)
{
    struct reporter *reporter = service->state;
    feeds_free(reporter);
    dyn_timer_free(reporter->drain);
    if (reporter->http != NULL) {
        http_client_free(reporter->http);
    }
}

static bool reporter_ready(struct service *service, struct dyn_buf *why)
{
    const struct reporter *reporter = service->state;
    bool ready = true;
    for (size_t i = 0; i < reporter->feeds_count; i++) {
        ready = feed_is_ready(reporter->feeds[i], why) && ready;
    }
    return ready;
}

const struct service_ops reporter_ops = {
    .name = "reporter",
    .help =
        "Hands statistics, events and actions on to where people look: consoles, services, mail.",
    .http_port = 9104,
    .state_size = sizeof(struct reporter),
    .start = reporter_start,
    .redis_ready = reporter_redis_ready,
    .redis_lost = reporter_redis_lost,
    .reload = reporter_reload,
    .drain = reporter_drain,
    .stop = reporter_stop,
    .ready = reporter_ready,
};
