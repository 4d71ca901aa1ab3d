/*
 * How long it takes at default settings from the death of who leads to the first good deed of who
 * follows: kill -9, something to do in the same moment, and the record of who sees it done.
 */
#include "chaos.h"
#include "hook.h"
#include "verdict.h"

#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STEP_MS 100
#define SETTLE_MS 12000 /* until leases and inputs are spread again */
#define WAIT_MS 60000
#define NEVER_MS 600000
#define LATE_MS 5000
#define CURSOR_MS 1000 /* until the cursor of a delivery is written for certain */
#define EVENT_MS 1000  /* between events while nobody delivers */
#define LEVEL_STEP 10
#define LEVEL_MAX 900 /* then it begins below again */

static const struct scene_times times = {
    .interval = 500, .window = 30000, .max_gap = 5000, .cooldown = 1000};

struct failover {
    struct scene scene;
    struct hook hook;
    int level;
    int64_t took_ms[FLEET_PARTS][CHAOS_TIMES_MAX];
};

/* How it is measured of one part. */
struct measure {
    int promised_ms; /* at default settings */

    /** Let the leader do what it does, so that it is known who leads. */
    void (*before)(struct failover *failover);

    /** The copy that is to die. */
    unsigned (*leader)(struct failover *failover, int time);

    /** It is dead. Give who follows something to do; when that was done, by the wall clock. */
    int64_t (*after)(struct failover *failover, int64_t died_ms);
};

/* Let some time pass, unless it has been a minute. */
static void await_pass(struct scene *scene, int64_t since_ms, const char *who, const char *what)
{
    if (fleet_now_ms() > since_ms + WAIT_MS) {
        scene_fail(scene, "%s: %s for a minute", who, what);
    }
    scene_pass(scene, STEP_MS);
}

/* ---- who leads ---- */

static unsigned copy_named(const struct scene *scene, enum fleet_part part, const char *text,
                           size_t len)
{
    for (unsigned copy = 0; copy < scene->copies; copy++) {
        const char *name = fleet_instance(scene->fleet, part, copy);
        if (strlen(name) == len && strncmp(name, text, len) == 0) {
            return copy;
        }
    }
    ck_abort_msg("nobody is called %.*s", (int)len, text);
    return 0;
}

/* The owner of a lease: the instance, '-', and hex digits. */
static unsigned copy_holding(const struct scene *scene, enum fleet_part part, const char *key)
{
    const char *owner =
        support_redis_call(fleet_redis(scene->fleet), "HGET", key, "owner", (char *)NULL);
    const char *end = strrchr(owner, '-');
    ck_assert_msg(end != NULL, "the owner of %s is %s", key, owner);
    return copy_named(scene, part, owner, (size_t)(end - owner));
}

/* How many inputs it reads, by its own word. */
static double inputs_read(const struct scene *scene, unsigned copy)
{
    struct program *program = fleet_copy(scene->fleet, FLEET_COLLECTOR, copy);
    ck_assert_int_eq(program_http(program, "/metrics"), 200);
    const char *at = strstr(program_body(program), "\ndynosaur_inputs ");
    ck_assert_ptr_nonnull(at);
    return strtod(at + strlen("\ndynosaur_inputs "), NULL);
}

/* Inputs are shared out, not always evenly; one that has none is missed by nobody. */
static unsigned collector_leader(struct failover *failover, int time)
{
    const struct scene *scene = &failover->scene;
    unsigned most = 0;
    (void)time;
    for (unsigned copy = 1; copy < scene->copies; copy++) {
        most = inputs_read(scene, copy) > inputs_read(scene, most) ? copy : most;
    }
    return most;
}

/* Of app-0's partition. */
static unsigned estimator_leader(struct failover *failover, int time)
{
    char key[64];
    (void)time;
    (void)snprintf(key, sizeof key, "dyn:{%" PRIu32 "}:lease",
                   judge_app(failover->scene.fleet, scene_app(0))->partition);
    return copy_holding(&failover->scene, FLEET_ESTIMATOR, key);
}

/* Whose request changed app-0 last. */
static unsigned actuator_leader(struct failover *failover, int time)
{
    const struct scene *scene = &failover->scene;
    unsigned copy = 0;
    (void)time;
    bool found = false;
    json_t *answer = heroku_control(fleet_heroku(scene->fleet), "GET", "/requests?since=0", NULL);
    const json_t *requests = json_object_get(answer, "requests");
    for (size_t i = json_array_size(requests); i-- > 0 && !found;) {
        const json_t *request = json_array_get(requests, i);
        const char *app = json_string_value(json_object_get(request, "app"));
        const char *id =
            json_string_value(json_object_get(json_object_get(request, "headers"), "request-id"));
        if (app != NULL && strcmp(app, scene_app(0)) == 0 &&
            strcmp(json_string_value(json_object_get(request, "method")), "PATCH") == 0) {
            copy = copy_named(scene, FLEET_ACTUATOR, id, (size_t)(strrchr(id, '-') - id));
            found = true;
        }
    }
    json_decref(answer);
    ck_assert(found);
    return copy;
}

static unsigned reporter_leader(struct failover *failover, int time)
{
    (void)time;
    return copy_holding(&failover->scene, FLEET_REPORTER, HOOK_LEASE);
}

/* ---- what it does ---- */

static void rise(struct failover *failover)
{
    failover->level += LEVEL_STEP;
    scene_demand(&failover->scene, 0, failover->level);
}

/* Until app-0 runs what the level asks for; when Heroku was told so. */
static int64_t rise_await(struct failover *failover)
{
    struct scene *scene = &failover->scene;
    int64_t since_ms = fleet_now_ms();
    int64_t at_ms = 0;
    while (fleet_quantity(scene->fleet, scene_app(0)) != scene_asked(failover->level)) {
        await_pass(scene, since_ms, scene_app(0), "nothing was written");
    }
    struct fleet_changes changes = fleet_changes(scene->fleet, scene_app(0), SCENE_FIRST);
    at_ms = changes.changes[changes.count - 1].at_ms;
    free(changes.changes);
    return at_ms;
}

static void rise_before(struct failover *failover)
{
    if (failover->level > LEVEL_MAX) {
        failover->level = 0;
    }
    rise(failover);
    (void)rise_await(failover);
}

static int64_t rise_after(struct failover *failover, int64_t died_ms)
{
    (void)died_ms;
    rise(failover);
    return rise_await(failover);
}

/* When an app's input was asked first after that; 0: not yet. */
static int64_t poll_first(unsigned app, int64_t after_ms)
{
    int64_t first_ms = 0;
    size_t count = 0;
    struct source_served *served = source_record(&count);
    for (size_t i = 0; i < count && first_ms == 0; i++) {
        first_ms = served[i].source == app && served[i].at_ms > after_ms ? served[i].at_ms : 0;
    }
    free(served);
    return first_ms;
}

/* Of the inputs that fell silent with the collector, the last one to be asked again. */
static int64_t polls_after(struct failover *failover, int64_t died_ms)
{
    int64_t last_ms = 0;
    for (unsigned app = 0; app < SCENE_APPS; app++) {
        int64_t first_ms = 0;
        while ((first_ms = poll_first(app, died_ms)) == 0) {
            await_pass(&failover->scene, died_ms, scene_app(app), "nobody asked its input");
        }
        last_ms = first_ms > last_ms ? first_ms : last_ms;
    }
    return last_ms;
}

/* All is told; and the death comes while one more is, or is about to be. */
static void told_before(struct failover *failover)
{
    struct scene *scene = &failover->scene;
    int64_t since_ms = fleet_now_ms();
    size_t number = hook_raise(&failover->hook, scene, false);
    while (hook_times(&failover->hook, number) == 0) {
        await_pass(scene, since_ms, "webhook", "nothing was delivered");
    }
    scene_pass(scene, CURSOR_MS);
    (void)hook_raise(&failover->hook, scene, true);
}

/* When it was seen that the first event after the death came; others go on to happen. */
static int64_t told_after(struct failover *failover, int64_t died_ms)
{
    struct scene *scene = &failover->scene;
    int64_t next_ms = died_ms + EVENT_MS;
    size_t number = hook_raise(&failover->hook, scene, false);
    while (hook_times(&failover->hook, number) == 0) {
        if (fleet_now_ms() >= next_ms) {
            (void)hook_raise(&failover->hook, scene, false);
            next_ms += EVENT_MS;
        }
        await_pass(scene, died_ms, "webhook", "nothing was delivered");
    }
    return fleet_now_ms();
}

/* ---- all of them ---- */

static const struct measure measures[FLEET_PARTS] = {
    [FLEET_COLLECTOR] = {8000, rise_before, collector_leader, polls_after},
    [FLEET_ESTIMATOR] = {12000, rise_before, estimator_leader, rise_after},
    [FLEET_ACTUATOR] = {25000, rise_before, actuator_leader, rise_after},
    [FLEET_REPORTER] = {10000, told_before, reporter_leader, told_after},
};

static int64_t failover_once(struct failover *failover, enum fleet_part part, int time)
{
    const struct measure *measure = &measures[part];
    struct scene *scene = &failover->scene;
    measure->before(failover);
    unsigned copy = measure->leader(failover, time);
    scene_tell(scene, "kill -9 %s", fleet_instance(scene->fleet, part, copy));
    int64_t died_ms = fleet_now_ms();
    ck_assert(scene_kill(scene, part, copy, NEVER_MS));
    int64_t took_ms = measure->after(failover, died_ms) - died_ms;
    scene_tell(scene, "%" PRId64 " ms", took_ms);
    scene->programs[part][copy].restart_ms = fleet_now_ms();
    scene_pass(scene, STEP_MS);
    fleet_await_copy(scene->fleet, part, copy);
    scene_pass(scene, SETTLE_MS);
    return took_ms;
}

static int ms_compare(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a;
    int64_t right = *(const int64_t *)b;
    return left < right ? -1 : left > right;
}

static bool part_tell(struct failover *failover, enum fleet_part part, int count)
{
    int64_t *took_ms = failover->took_ms[part];
    qsort(took_ms, (size_t)count, sizeof *took_ms, ms_compare);
    int promised_ms = measures[part].promised_ms;
    bool kept = took_ms[count - 1] <= promised_ms;
    printf(
        "%-10s %2d deaths: %6.1f s at least, %6.1f s median, %6.1f s at most; promised %4.1f s%s\n",
        fleet_part_name(part), count, (double)took_ms[0] / 1000, (double)took_ms[count / 2] / 1000,
        (double)took_ms[count - 1] / 1000, promised_ms / 1e3, kept ? "" : "   TOO LATE");
    return kept;
}

static void told_tell(struct failover *failover)
{
    struct hook_tally tally = hook_judge(&failover->hook, &failover->scene);
    printf(
        "webhook    %zu errors raised and none lost; %zu deliveries, %zu of them once more of what "
        "a death met under way\n",
        failover->hook.raised, tally.deliveries, tally.repeated);
}

static void failover_start(struct failover *failover, const char *folder)
{
    char path[512];
    *failover = (struct failover){.level = SCENE_FIRST * SCENE_PER_RESOURCE};
    (void)snprintf(path, sizeof path, "%s/story", folder);
    failover->scene.story = fopen(path, "we");
    ck_assert_ptr_nonnull(failover->scene.story);
    hook_start(&failover->hook);
    failover->scene.sinks = failover->hook.sinks;
    scene_start(&failover->scene, &times, 2, folder);
    scene_pass(&failover->scene, SETTLE_MS);
}

void failover_run(const struct chaos_options *options, const char *folder)
{
    static struct failover failover;
    bool kept = true;
    struct verdict verdict = {0};
    failover_start(&failover, folder);
    for (int time = 0; time < options->times; time++) {
        for (enum fleet_part part = 0; part < FLEET_PARTS; part++) {
            failover.took_ms[part][time] = failover_once(&failover, part, time);
        }
    }
    for (enum fleet_part part = 0; part < FLEET_PARTS; part++) {
        kept &= part_tell(&failover, part, options->times);
    }
    told_tell(&failover);
    verdict_falls(&failover.scene, LATE_MS, &verdict);
    verdict_writers(&failover.scene);
    scene_end(&failover.scene);
    hook_end(&failover.hook);
    (void)fclose(failover.scene.story);
    ck_assert_msg(kept, "it took longer than promised");
}
