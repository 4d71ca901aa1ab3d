#include "reporter/engine.h"

#include "common/clock.h"
#include "reporter/pulse.h"

#include <inttypes.h>

enum {
    LOOK_MS = 2000,
    KEY_MAX = 256
};

/* One question to Redis, and whose answer it is. */
struct question {
    struct engine *engine;
    uint32_t index;
};

struct engine {
    struct service *service;
    struct pulse pulse;
    struct dyn_timer *timer;
    struct question partitions[DYN_PARTITIONS_MAX];
    struct question roles[PULSE_ROLES];
    int64_t redis_ms; /* of the newest look; 0: not known */
    struct metric *alive;
    bool told;             /* it lived once */
    int64_t since_ms;      /* it is silent */
    struct dyn_error last; /* what is missing as it was last told; "": nothing is */
};

static const char *prefix_of(const struct engine *engine)
{
    return engine->service->config->redis.prefix;
}

/* ---- looking ---- */

static void time_answered(void *arg, dyn_err err, const struct bus_reply *reply)
{
    struct engine *engine = arg;
    engine->redis_ms = 0;
    if (err == DYN_OK && bus_reply_count(reply) == 2) {
        engine->redis_ms = bus_reply_int(bus_reply_at(reply, 0)) * 1000 +
                           bus_reply_int(bus_reply_at(reply, 1)) / 1000;
    }
}

/* A partition that nobody ever led has no cursor. */
static void cursor_answered(void *arg, dyn_err err, const struct bus_reply *reply)
{
    const struct question *question = arg;
    struct engine *engine = question->engine;
    int64_t cursor_ms = err == DYN_OK ? bus_reply_int(bus_reply_at(reply, 0)) : 0;
    if (cursor_ms > 0 && engine->redis_ms > 0) {
        pulse_fold(&engine->pulse, question->index, cursor_ms, engine->redis_ms,
                   dyn_clock_boot_ms());
    }
}

static void members_answered(void *arg, dyn_err err, const struct bus_reply *reply)
{
    const struct question *question = arg;
    uint64_t sum = 0;
    if (err != DYN_OK) {
        return;
    }
    for (size_t i = 0; i + 1 < bus_reply_count(reply); i += 2) {
        uint64_t hash = dyn_hash(DYN_HASH_SEED, bus_reply_str(bus_reply_at(reply, i)));
        sum += dyn_hash(hash, bus_reply_str(bus_reply_at(reply, i + 1)));
    }
    pulse_beat(&question->engine->pulse, (enum pulse_role)question->index, sum,
               dyn_clock_boot_ms());
}

/* What is not answered is not known, and so is no life. */
static void ask(const struct engine *engine, const char *command, const char *key,
                const char *field, bus_fn *fn, void *arg)
{
    const struct dyn_str argv[] = {dyn_str_from(command), dyn_str_from(key), dyn_str_from(field)};
    size_t argc = field[0] != '\0' ? 3 : key[0] != '\0' ? 2 : 1;
    dyn_err err = bus_command(engine->service->bus, argv, argc, 0, fn, arg);
    if (err != DYN_OK) {
        dyn_log(DYN_LOG_DEBUG, "engine_unseen", "key=%s msg=%s", key, dyn_err_text(err));
    }
}

static void engine_look(void *arg)
{
    static const char *const tags[PULSE_ROLES] = {"col", "est", "act"};
    struct engine *engine = arg;
    struct dyn_error why;
    char key[KEY_MAX];
    if (engine->service->bus == NULL || !bus_is_ready(engine->service->bus)) {
        return;
    }
    ask(engine, "TIME", "", "", time_answered, engine);
    for (uint32_t i = 0; i < engine->pulse.partitions; i++) {
        (void)snprintf(key, sizeof key, "%s:{%" PRIu32 "}:lease", prefix_of(engine), i);
        ask(engine, "HMGET", key, "cursor_ms", cursor_answered, &engine->partitions[i]);
    }
    for (uint32_t i = 0; i < PULSE_ROLES; i++) {
        (void)snprintf(key, sizeof key, "%s:{%s}:members", prefix_of(engine), tags[i]);
        ask(engine, "HGETALL", key, "", members_answered, &engine->roles[i]);
    }
    (void)engine_lives(engine, &why);
}

/* ---- life ---- */

struct engine *engine_new(struct service *service)
{
    struct engine *engine = calloc(1, sizeof *engine);
    if (engine == NULL) {
        return NULL;
    }
    engine->service = service;
    engine->timer = dyn_timer_new(service->loop, engine_look, engine);
    engine->alive = metrics_gauge(service->metrics, "dynosaur_reporter_engine_alive", "",
                                  "Whether all roles beat and every partition is folded.");
    if (engine->timer == NULL) {
        free(engine);
        return NULL;
    }
    pulse_init(&engine->pulse, service->config->redis.partitions);
    for (uint32_t i = 0; i < DYN_PARTITIONS_MAX; i++) {
        engine->partitions[i] = (struct question){engine, i};
    }
    for (uint32_t i = 0; i < PULSE_ROLES; i++) {
        engine->roles[i] = (struct question){engine, i};
    }
    return engine;
}

void engine_free(struct engine *engine)
{
    if (engine != NULL) {
        dyn_timer_free(engine->timer);
        free(engine);
    }
}

void engine_want(struct engine *engine, bool wanted)
{
    if (wanted && !dyn_timer_active(engine->timer)) {
        dyn_timer_start(engine->timer, 0, LOOK_MS);
    } else if (!wanted) {
        dyn_timer_stop(engine->timer);
    }
}

bool engine_lives(struct engine *engine, struct dyn_error *why)
{
    int64_t now_ms = dyn_clock_boot_ms();
    bool lives = pulse_lives(&engine->pulse, now_ms, why);
    engine->alive->value = lives;
    if (lives && (!engine->told || engine->last.text[0] != '\0')) {
        dyn_log(DYN_LOG_INFO, "engine_lives", "partitions=%" PRIu32 " silent_s=%" PRId64,
                engine->pulse.partitions, engine->told ? (now_ms - engine->since_ms) / 1000 : 0);
        engine->told = true;
        engine->last.text[0] = '\0';
    } else if (!lives && engine->told && strcmp(engine->last.text, why->text) != 0) {
        dyn_log(DYN_LOG_WARN, "engine_silent", "msg=%s", dyn_log_quoted(why->text));
        engine->since_ms = engine->last.text[0] == '\0' ? now_ms : engine->since_ms;
        engine->last = *why;
    }
    return lives;
}
