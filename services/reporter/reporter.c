#include "reporter/reporter.h"

#include "common/http.h"
#include "reporter/owner.h"

enum {
    DRAIN_LOOK_MS = 20
};

struct reporter {
    struct http_client *http;
    struct owner *owner;
    struct dyn_timer *drain;
};

/* Drained when nothing is with a sink any more and all is handed over. */
static void drain_look(void *arg)
{
    struct service *service = arg;
    const struct reporter *reporter = service->state;
    if (owner_is_drained(reporter->owner)) {
        service_stop(service, 0);
    }
}

static dyn_err reporter_start(struct service *service, struct dyn_error *error)
{
    struct reporter *reporter = service->state;
    reporter->http = http_client_new(service->loop, &(struct http_client_options){0});
    reporter->drain = dyn_timer_new(service->loop, drain_look, service);
    if (reporter->http != NULL) {
        reporter->owner = owner_new(service, reporter->http);
    }
    if (reporter->owner == NULL || reporter->drain == NULL ||
        owner_configure(reporter->owner, service->config) != DYN_OK) {
        return dyn_error_set(error, DYN_NOMEM, "out of memory");
    }
    return DYN_OK;
}

static void reporter_redis_ready(struct service *service, struct dyn_str replid)
{
    const struct reporter *reporter = service->state;
    owner_open(reporter->owner, replid);
}

static void reporter_redis_lost(struct service *service, const char *why)
{
    const struct reporter *reporter = service->state;
    owner_close(reporter->owner, why);
}

/* The sinks begin anew at their cursors: what was with one of them may come to it once more. */
static void reporter_reload(struct service *service, struct config *next)
{
    const struct reporter *reporter = service->state;
    if (owner_configure(reporter->owner, next) != DYN_OK) {
        /* Sinks of the old configuration may be left, and that is freed now. */
        dyn_out_of_memory("the sinks of the new configuration");
    }
}

static void reporter_drain(struct service *service)
{
    const struct reporter *reporter = service->state;
    owner_drain(reporter->owner);
    dyn_timer_start(reporter->drain, 0, DRAIN_LOOK_MS);
}

static void reporter_stop(struct service *service)
{
    struct reporter *reporter = service->state;
    owner_free(reporter->owner);
    dyn_timer_free(reporter->drain);
    if (reporter->http != NULL) {
        http_client_free(reporter->http);
    }
}

static bool reporter_ready(struct service *service, struct dyn_buf *why)
{
    const struct reporter *reporter = service->state;
    return owner_is_ready(reporter->owner, why);
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
