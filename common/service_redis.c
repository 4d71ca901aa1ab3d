/* The command connection: said when it comes and goes, and compared with what `setup` stored. */
#include "common/clock.h"
#include "common/service_internal.h"

enum {
    MISSING_RETRY_MS = 1000,
    OTHER_RETRY_MS = 5000,
    TROUBLE_EVENT_MS = 60000,
    REPLID_MAX = 64
};

static void setup_ask(void *arg);

static void link_set(struct service_run *run, enum service_link link, const char *why)
{
    run->link = link;
    (void)dyn_error_set(&run->link_why, DYN_OK, "%s", why);
}

/* Connected, but not to be used yet: said when the words are new, asked again later. */
static void link_wait(struct service_run *run, const char *event, const char *words,
                      int64_t retry_ms)
{
    if (run->link != LINK_WAITING || strcmp(run->link_why.text, words) != 0) {
        dyn_log(DYN_LOG_WARN, event, "msg=%s", dyn_log_quoted(words));
    }
    link_set(run, LINK_WAITING, words);
    dyn_timer_start(run->ask, retry_ms, 0);
}

static void link_open(struct service_run *run)
{
    int64_t now_ms = dyn_loop_now_ms(run->service.loop);
    int64_t away_s = run->away_since_ms != 0 ? (now_ms - run->away_since_ms) / 1000 : 0;
    bool was_lost = run->away_since_ms != 0;
    run->away_since_ms = 0;
    link_set(run, LINK_READY, "");
    run->link_ready->value = 1;
    dyn_log(DYN_LOG_INFO, "redis_ready", "replid=%s away_s=%lld", dyn_buf_text(&run->replid),
            (long long)away_s);
    service_events_open(&run->events, true);
    if (was_lost) {
        char text[128];
        (void)snprintf(text, sizeof text, "Redis was away for %lld s", (long long)away_s);
        service_event(&run->service, &(struct event){.level = EVENT_WARN,
                                                     .code = DYN_STR("redis_away"),
                                                     .cause = DYN_STR("redis"),
                                                     .text = dyn_str_from(text)});
    }
    if (run->ops->redis_ready != NULL) {
        run->ops->redis_ready(&run->service, dyn_buf_str(&run->replid));
    }
}

static void partitions_differ(struct service_run *run, uint64_t stored)
{
    dyn_log(DYN_LOG_ERROR, "other_partitions", "configured=%u stored=%llu msg=%s",
            (unsigned)run->service.config->redis.partitions, (unsigned long long)stored,
            dyn_log_quoted("the number of partitions in redis.partitions is not the one that this "
                           "Redis was set up with: correct the file, or another redis.prefix"));
    service_stop(&run->service, 2);
}

/* `fields` are partitions, functions and schema, each a string or nil. */
static void setup_compare(struct service_run *run, const struct bus_reply *fields)
{
    struct dyn_str functions = bus_reply_str(bus_reply_at(fields, 1));
    struct dyn_str schema = bus_reply_str(bus_reply_at(fields, 2));
    const struct bus_reply *partitions = bus_reply_at(fields, 0);
    uint64_t stored = 0;
    uint64_t version = 0;
    char words[DYN_ERROR_TEXT_MAX];
    if (partitions == NULL || dyn_str_u64(bus_reply_str(partitions), &stored) != DYN_OK) {
        (void)snprintf(words, sizeof words, "this Redis is not set up: run: dynosaur setup %s",
                       run->options.config);
        link_wait(run, "setup_missing", words, MISSING_RETRY_MS);
    } else if (stored != run->service.config->redis.partitions) {
        partitions_differ(run, stored);
    } else if (!dyn_str_is(functions, bus_functions_version) ||
               dyn_str_u64(schema, &version) != DYN_OK || version != MESSAGE_SCHEMA) {
        (void)snprintf(words, sizeof words,
                       "this Redis was set up by another version (functions " DYN_STR_FMT
                       ", here %s): run: dynosaur setup %s",
                       DYN_STR_ARG(functions), bus_functions_version, run->options.config);
        link_wait(run, "setup_other", words, OTHER_RETRY_MS);
    } else {
        link_open(run);
    }
}

static void setup_answered(void *arg, dyn_err err, const struct bus_reply *reply)
{
    struct service_run *run = arg;
    if (run->stopping) {
        return;
    }
    if (err == DYN_OK) {
        setup_compare(run, reply);
    } else if (err == DYN_REFUSED) {
        char words[DYN_ERROR_TEXT_MAX];
        (void)snprintf(words, sizeof words, "Redis refuses to tell %s:setup: " DYN_STR_FMT,
                       run->service.config->redis.prefix, DYN_STR_ARG(bus_reply_str(reply)));
        link_wait(run, "setup_refused", words, OTHER_RETRY_MS);
    }
    /* Otherwise the connection has ended, and the next one asks. */
}

static void setup_ask(void *arg)
{
    struct service_run *run = arg;
    char key[DYN_NAME_MAX + 16];
    (void)snprintf(key, sizeof key, "%s:setup", run->service.config->redis.prefix);
    struct dyn_str argv[] = {DYN_STR("HMGET"), dyn_str_from(key), DYN_STR("partitions"),
                             DYN_STR("functions"), DYN_STR("schema")};
    if (bus_command(run->service.bus, argv, sizeof argv / sizeof argv[0], 0, setup_answered, run) !=
        DYN_OK) {
        dyn_timer_start(run->ask, MISSING_RETRY_MS, 0);
    }
}

static void link_connected(void *arg, struct dyn_str replid)
{
    struct service_run *run = arg;
    dyn_buf_clear(&run->replid);
    (void)dyn_buf_add_str(&run->replid, replid);
    link_set(run, LINK_ASKING, "connected to Redis, not yet compared with its setup");
    setup_ask(run);
}

static void link_lost(void *arg, const char *why)
{
    struct service_run *run = arg;
    enum service_link before = run->link;
    char words[DYN_ERROR_TEXT_MAX];
    dyn_timer_stop(run->ask);
    (void)snprintf(words, sizeof words, "Redis is away: %s", why);
    link_set(run, LINK_AWAY, words);
    service_events_open(&run->events, false);
    run->link_ready->value = 0;
    dyn_log(DYN_LOG_WARN, "redis_away", "msg=%s", dyn_log_quoted(why));
    if (before == LINK_AWAY) {
        run->link_failures->value++;
        return;
    }
    if (before == LINK_READY) {
        run->link_losses->value++;
        run->away_since_ms = dyn_loop_now_ms(run->service.loop);
        if (run->ops->redis_lost != NULL) {
            run->ops->redis_lost(&run->service, why);
        }
    }
}

/* ---- trouble ---- */

/* The place of this kind, or of the one that was told longest ago. */
static struct service_trouble *trouble_of(struct service_run *run, const char *word)
{
    struct service_trouble *place = &run->troubles[0];
    for (size_t i = 0; i < SERVICE_TROUBLES; i++) {
        struct service_trouble *at = &run->troubles[i];
        if (strcmp(at->word, word) == 0) {
            return at;
        }
        place = at->told_ms < place->told_ms ? at : place;
    }
    return place;
}

void service_redis_trouble(struct service *service, const char *why)
{
    struct service_run *run = (struct service_run *)service;
    int64_t now_ms = dyn_loop_now_ms(service->loop);
    char word[sizeof run->troubles[0].word];
    run->link_troubles->value++;
    dyn_str_copy(word, sizeof word, (struct dyn_str){why, strcspn(why, " ")});
    struct service_trouble *kind = trouble_of(run, word);
    if (strcmp(word, kind->word) == 0 && now_ms - kind->told_ms < TROUBLE_EVENT_MS) {
        dyn_log(DYN_LOG_ERROR, "redis_trouble", "cause=redis msg=%s", dyn_log_quoted(why));
        return;
    }
    memcpy(kind->word, word, sizeof kind->word);
    kind->told_ms = now_ms;
    service_event(service, &(struct event){.level = EVENT_ERROR,
                                           .code = DYN_STR("redis_trouble"),
                                           .cause = DYN_STR("redis"),
                                           .text = dyn_str_from(why)});
}

static void link_trouble(void *arg, const char *why)
{
    struct service_run *run = arg;
    service_redis_trouble(&run->service, why);
}

/* ---- life ---- */

static dyn_err redis_resolve(struct service_run *run, struct dyn_error *error)
{
    char *given = run->options.redis;
    dyn_err err = bus_config_resolve(&run->service.config->redis, given, &run->redis, error);
    if (given != NULL) {
        /* The command line can be read by everybody on the machine. */
        explicit_bzero(given, strlen(given));
    }
    return err;
}

dyn_err service_redis_start(struct service_run *run, struct dyn_error *error)
{
    struct service *service = &run->service;
    char name[DYN_NAME_MAX];
    dyn_buf_init(&run->replid, REPLID_MAX);
    if (redis_resolve(run, error) != DYN_OK) {
        return DYN_CONFIG;
    }
    service->redis_url = run->redis.url;
    service->redis_access = &run->redis.access;
    run->link_troubles = metrics_counter(service->metrics, "dynosaur_redis_troubles_total", "",
                                         "Commands that Redis refused for a reason of its own.");
    run->link_ready = metrics_gauge(service->metrics, "dynosaur_redis_ready", "",
                                    "1 while Redis answers and is set up.");
    run->link_losses = metrics_counter(service->metrics, "dynosaur_redis_losses_total", "",
                                       "Command connections lost.");
    run->link_failures = metrics_counter(service->metrics, "dynosaur_redis_failures_total", "",
                                         "Further failed series of attempts to connect.");
    run->ask = dyn_timer_new(service->loop, setup_ask, run);
    run->events.retry = dyn_timer_new(service->loop, service_events_retry, &run->events);
    if (run->ask == NULL || run->events.retry == NULL) {
        return dyn_error_set(error, DYN_NOMEM, "out of memory");
    }
    (void)snprintf(name, sizeof name, "dynosaur-%s", service->name);
    link_set(run, LINK_NEW, "not connected to Redis yet");
    service->bus = bus_new(service->loop,
                           &(struct bus_options){.url = service->redis_url,
                                                 .access = service->redis_access,
                                                 .name = name,
                                                 .ready = link_connected,
                                                 .lost = link_lost,
                                                 .trouble = link_trouble,
                                                 .arg = run},
                           error);
    run->events.bus = service->bus;
    return service->bus != NULL ? DYN_OK : DYN_CONFIG;
}

void service_redis_stop(struct service_run *run)
{
    struct bus *bus = run->service.bus;
    service_events_open(&run->events, false);
    bus_free(bus);
    run->service.bus = NULL;
    dyn_timer_free(run->ask);
    run->ask = NULL;
    dyn_timer_free(run->events.retry);
    run->events.retry = NULL;
    dyn_buf_fini(&run->replid);
}
