/* The life of a service in its loop: start, events, reload, drain, end. */
#include "common/service_internal.h"

#include "common/clock.h"

#include <signal.h>
#include <unistd.h>

enum {
    DRAIN_MS = 10 * 1000,
    DRAIN_ALARM_S = 12,   /* ends a process that does not even turn its loop any more */
    LAST_EVENTS_MS = 1000 /* what is left to tell may take so long at the end */
};

static struct service_run *run_of(struct service *service)
{
    return (struct service_run *)service;
}

/* ---- events ---- */

static void event_log(const struct event *event)
{
    static const enum dyn_log_level levels[] = {DYN_LOG_INFO, DYN_LOG_WARN, DYN_LOG_ERROR};
    static const char *const states[] = {"", "raised", "over"};
    struct dyn_buf fields;
    char code[DYN_NAME_MAX + 1];
    char text[DYN_ERROR_TEXT_MAX + 1];
    dyn_buf_init(&fields, 4096);
    dyn_str_copy(code, sizeof code, event->code);
    dyn_str_copy(text, sizeof text, event->text);
    dyn_log_field(&fields, "state", dyn_str_from(states[event->state]));
    dyn_log_field(&fields, "app", event->app);
    dyn_log_field(&fields, "controller", event->controller);
    dyn_log_field(&fields, "input", event->input);
    dyn_log_field(&fields, "cause", event->cause);
    dyn_log(levels[event->level], code, "%smsg=%s", dyn_buf_text(&fields), dyn_log_quoted(text));
    dyn_buf_fini(&fields);
}

void service_event(struct service *service, const struct event *event)
{
    struct event told = *event;
    DYN_ASSERT(told.code.len > 0);
    told.service = dyn_str_from(service->name);
    told.instance = dyn_str_from(service->instance);
    told.wall_ms = dyn_clock_wall_ms();
    event_log(&told);
    service_events_add(&run_of(service)->events, &told);
}

/* ---- the end ---- */

static void events_drained(void *arg)
{
    struct service_run *run = arg;
    if (run->stopping) {
        dyn_loop_stop(run->service.loop);
    }
}

void service_stop(struct service *service, int status)
{
    struct service_run *run = run_of(service);
    if (run->stopping) {
        return;
    }
    run->stopping = true;
    run->status = status;
    if (run->events.count > 0 && run->events.open) {
        dyn_timer_start(run->deadline, LAST_EVENTS_MS, 0);
    } else {
        dyn_loop_stop(service->loop);
    }
}

static void deadline_passed(void *arg)
{
    struct service_run *run = arg;
    if (run->stopping) {
        dyn_loop_stop(run->service.loop);
        return;
    }
    dyn_log(DYN_LOG_ERROR, "drain_too_long", "limit_ms=%d", DRAIN_MS);
    run->stopping = true;
    run->status = 1;
    dyn_loop_stop(run->service.loop);
}

static void drain_begin(void *arg, int signum)
{
    struct service_run *run = arg;
    struct service *service = &run->service;
    if (run->stopping) {
        return;
    }
    if (service->draining) {
        dyn_log(DYN_LOG_WARN, "drain_cut_short", "signal=%d", signum);
        service_stop(service, 1);
        return;
    }
    dyn_log(DYN_LOG_INFO, "draining", "signal=%d", signum);
    service->draining = true;
    dyn_timer_start(run->deadline, DRAIN_MS, 0);
    service_process_alarm(DRAIN_ALARM_S);
    if (run->ops->drain != NULL) {
        run->ops->drain(service);
    } else {
        service_stop(service, 0);
    }
}

/* ---- reload ---- */

static void warnings_log(const struct config *config)
{
    for (size_t i = 0; i < config->warnings_count; i++) {
        dyn_log(DYN_LOG_WARN, "config_warning", "msg=%s", dyn_log_quoted(config->warnings[i]));
    }
}

/* What a running service cannot change: everything that it already said to Redis. */
static dyn_err redis_is_same(struct service_run *run, const struct config *next,
                             struct dyn_error *error)
{
    const struct config_redis *before = &run->service.config->redis;
    if (next->redis.partitions != before->partitions ||
        strcmp(next->redis.prefix, before->prefix) != 0) {
        return dyn_error_set(error, DYN_CONFIG,
                             "%s: redis.partitions and redis.prefix need a restart", next->file);
    }
    if (memcmp(&next->redis.lease, &before->lease, sizeof before->lease) != 0) {
        return dyn_error_set(error, DYN_CONFIG, "%s: redis.lease needs a restart", next->file);
    }
    if (run->options.redis != NULL) {
        return DYN_OK;
    }
    struct bus_config redis;
    dyn_err err = bus_config_resolve(&next->redis, NULL, &redis, error);
    if (err != DYN_OK) {
        return err;
    }
    if (!bus_config_same(&redis, &run->redis)) {
        err = dyn_error_set(error, DYN_CONFIG,
                            "%s: how Redis is reached (url, user, TLS, Sentinels, replicas) needs "
                            "a restart",
                            next->file);
    }
    bus_config_fini(&redis);
    return err;
}

static void reload_count(struct service *service, const char *outcome)
{
    struct dyn_buf labels;
    dyn_buf_init(&labels, 256);
    metrics_label(&labels, "outcome", dyn_str_from(outcome));
    metrics_counter(service->metrics, "dynosaur_config_reloads_total", dyn_buf_text(&labels),
                    "Times that the configuration was read again.")
        ->value++;
    dyn_buf_fini(&labels);
}

static void reload(void *arg, int signum)
{
    (void)signum;
    struct service_run *run = arg;
    struct service *service = &run->service;
    struct dyn_error error = {""};
    if (service->draining || run->stopping) {
        return;
    }
    struct config *next = config_load_lean(run->options.config, &error);
    if (next == NULL || redis_is_same(run, next, &error) != DYN_OK) {
        config_free(next);
        reload_count(service, "refused");
        service_event(service, &(struct event){.level = EVENT_ERROR,
                                               .code = DYN_STR("config_refused"),
                                               .text = dyn_str_from(error.text)});
        return;
    }
    warnings_log(next);
    if (run->ops->reload != NULL) {
        run->ops->reload(service, next);
    }
    config_free(service->config);
    service->config = next;
    reload_count(service, "taken");
    dyn_log(DYN_LOG_INFO, "config_reloaded", "file=%s config=%016llx", run->options.config,
            (unsigned long long)next->hash);
}

/* ---- the beginning ---- */

static void instance_name(struct service_run *run)
{
    char *name = run->options.instance;
    if (*name == '\0') {
        char host[64] = "host";
        (void)gethostname(host, sizeof host - 1);
        (void)snprintf(name, sizeof run->options.instance, "%s-%d", host, (int)getpid());
    }
    run->service.instance = name;
}

static dyn_err metrics_start(struct service_run *run, struct dyn_error *error)
{
    struct service *service = &run->service;
    struct dyn_buf labels;
    service->metrics = metrics_new();
    if (service->metrics == NULL) {
        return dyn_error_set(error, DYN_NOMEM, "out of memory");
    }
    dyn_buf_init(&labels, 1024);
    metrics_label(&labels, "version", dyn_str_from(DYN_VERSION));
    metrics_label(&labels, "service", dyn_str_from(service->name));
    metrics_label(&labels, "instance", dyn_str_from(service->instance));
    metrics_gauge(service->metrics, "dynosaur_build_info", dyn_buf_text(&labels),
                  "1; which program this is.")
        ->value = 1;
    dyn_buf_fini(&labels);
    run->events.sent = metrics_counter(service->metrics, "dynosaur_events_total", "",
                                       "Events that went to the stream.");
    run->events.dropped = metrics_counter(service->metrics, "dynosaur_events_dropped_total", "",
                                          "Events lost: too many while Redis was away.");
    run->events.drained = events_drained;
    run->events.arg = run;
    (void)snprintf(run->events.key, sizeof run->events.key, "%s:events",
                   service->config->redis.prefix);
    return DYN_OK;
}

static dyn_err loop_start(struct service_run *run, struct dyn_error *error)
{
    struct dyn_loop *loop = dyn_loop_new();
    run->service.loop = loop;
    if (loop != NULL) {
        run->signals[0] = dyn_signal_new(loop, SIGTERM, drain_begin, run);
        run->signals[1] = dyn_signal_new(loop, SIGINT, drain_begin, run);
        run->signals[2] = dyn_signal_new(loop, SIGHUP, reload, run);
        run->deadline = dyn_timer_new(loop, deadline_passed, run);
    }
    if (run->deadline == NULL || run->signals[0] == NULL || run->signals[1] == NULL ||
        run->signals[2] == NULL) {
        return dyn_error_set(error, DYN_NOMEM, "out of memory or descriptors");
    }
    return DYN_OK;
}

static dyn_err config_start(struct service_run *run, struct dyn_error *error)
{
    run->service.config = config_load_lean(run->options.config, error);
    if (run->service.config == NULL) {
        return DYN_CONFIG;
    }
    warnings_log(run->service.config);
    return DYN_OK;
}

static dyn_err state_start(struct service_run *run, struct dyn_error *error)
{
    run->service.state = calloc(1, run->ops->state_size > 0 ? run->ops->state_size : 1);
    if (run->service.state == NULL) {
        return dyn_error_set(error, DYN_NOMEM, "out of memory");
    }
    return DYN_OK;
}

static dyn_err run_start(struct service_run *run, struct dyn_error *error)
{
    static dyn_err (*const steps[])(struct service_run *, struct dyn_error *) = {
        /* The signals first: from here on SIGTERM drains. */
        loop_start,         config_start,        metrics_start,
        service_http_start, service_redis_start, state_start};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        dyn_err err = steps[i](run, error);
        if (err != DYN_OK) {
            return err;
        }
    }
    dyn_err err = run->ops->start(&run->service, error);
    if (err == DYN_OK) {
        dyn_log(DYN_LOG_INFO, "started", "version=%s instance=%s config=%016llx http_port=%u",
                DYN_VERSION, run->service.instance, (unsigned long long)run->service.config->hash,
                run->httpd != NULL ? (unsigned)httpd_port(run->httpd) : 0U);
    }
    return err;
}

static void run_stop(struct service_run *run)
{
    service_process_alarm(0);
    service_redis_stop(run);
    if (run->service.state != NULL) {
        run->ops->stop(&run->service);
        free(run->service.state);
    }
    httpd_free(run->httpd);
    for (size_t i = 0; i < sizeof run->signals / sizeof run->signals[0]; i++) {
        dyn_signal_free(run->signals[i]);
    }
    dyn_timer_free(run->deadline);
    dyn_loop_free(run->service.loop);
    service_events_fini(&run->events);
    metrics_free(run->service.metrics);
    config_free(run->service.config);
    bus_config_fini(&run->redis);
}

struct service_run *service_run_begin(const struct service_ops *ops,
                                      const struct service_options *options, int *out_status)
{
    struct dyn_error error = {""};
    struct service_run *run = calloc(1, sizeof *run);
    if (run == NULL) {
        dyn_out_of_memory("the service");
    }
    run->ops = ops;
    run->options = *options;
    run->service.name = ops->name;
    run->service.drain_address = run->options.drain_address;
    run->service.drain_port = run->options.drain_port;
    run->started_wall_ms = dyn_clock_wall_ms();
    instance_name(run);
    dyn_err err = run_start(run, &error);
    if (err == DYN_OK) {
        return run;
    }
    dyn_log(DYN_LOG_ERROR, "not_started", "msg=%s", dyn_log_quoted(error.text));
    run_stop(run);
    free(run);
    *out_status = err == DYN_CONFIG ? SERVICE_EXIT_CONFIG : 1;
    return NULL;
}

int service_run_end(struct service_run *run)
{
    int status = run->status;
    run_stop(run);
    free(run);
    return status;
}
