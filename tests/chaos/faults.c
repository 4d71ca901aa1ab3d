#include "faults.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#define HOUR_MS 3600000
#define START_MS 500 /* of a program that is started again */

struct weight {
    enum fault_kind kind;
    int weight;
};

static const struct weight weights[] = {
    {FAULT_KILL, 24}, {FAULT_STOP, 18},      {FAULT_LINK, 24},      {FAULT_LINKS, 6},
    {FAULT_CLOCK, 6}, {FAULT_REDIS_KILL, 6}, {FAULT_REDIS_STOP, 5}, {FAULT_REDIS_CLOCK, 5},
    {FAULT_FLUSH, 3}, {FAULT_DELETE, 3},
};

/* The proxy's verbs; %s is the link. The first two are done once and end at once. */
static const char *const link_ways[] = {
    "cut %s",      "reset %s",      "refuse %s",   "drop-up %s",    "drop-down %s",
    "stall-up %s", "stall-down %s", "delay %s %d", "trickle %s %d", "half-open %s",
};
#define WAYS (sizeof link_ways / sizeof link_ways[0])
#define WAYS_ONCE 2
#define WAY_STALLS 5 /* from here on bytes come late */
#define WAY_DELAY 7
#define WAY_TRICKLE 8
#define WAY_HALF_OPEN 9

static const int clock_steps_ms[] = {10000, -10000, HOUR_MS, -HOUR_MS};
static const char *const clock_names[] = {"+10 s", "-10 s", "+1 h", "-1 h"};
static const char *const streams[] = {"values", "targets", "reports"};

static enum fault_kind kind_draw(struct dice *dice)
{
    int sum = 0;
    for (size_t i = 0; i < FAULT_KINDS; i++) {
        sum += weights[i].weight;
    }
    int left = dice_between(dice, 0, sum - 1);
    for (size_t i = 0; i < FAULT_KINDS; i++) {
        left -= weights[i].weight;
        if (left < 0) {
            return weights[i].kind;
        }
    }
    return FAULT_KILL;
}

struct fault fault_draw(struct dice *dice, const struct scene *scene, int last_ms)
{
    int hold_ms = scene->times.hold;
    struct fault fault = {.kind = kind_draw(dice)};
    fault.part = (enum fleet_part)dice_between(dice, 0, FLEET_PARTS - 1);
    fault.copy = (unsigned)dice_between(dice, 0, (int)scene->copies - 1);
    fault.at_ms = dice_between(dice, 0, last_ms);
    fault.for_ms = dice_between(dice, hold_ms / 2, 3 * hold_ms);
    fault.what = dice_between(dice, 0, 1000000);
    fault.ms = dice_between(dice, 200, 2000);
    switch (fault.kind) {
    case FAULT_KILL:
        fault.ms = dice_between(dice, 100, 2000);
        fault.for_ms = fault.ms + START_MS;
        break;
    case FAULT_LINK:
    case FAULT_LINKS:
        fault.what = fault.what % (int)WAYS;
        fault.ms = fault.what == WAY_TRICKLE ? dice_between(dice, 1, 4) : fault.ms;
        break;
    case FAULT_CLOCK:
    case FAULT_REDIS_CLOCK:
        fault.what = fault.what % 8; /* which step, and whether it goes back */
        break;
    case FAULT_DELETE:
        fault.what = fault.what % (3 * SCENE_PARTITIONS);
        break;
    case FAULT_STOP:
    case FAULT_REDIS_KILL:
    case FAULT_REDIS_STOP:
    case FAULT_FLUSH:
    case FAULT_KINDS:
    default:
        break;
    }
    return fault;
}

bool fault_spoils_tape(const struct fault *fault)
{
    return fault->kind == FAULT_FLUSH || fault->kind == FAULT_DELETE ||
           fault->kind == FAULT_REDIS_CLOCK;
}

bool fault_hits_collectors(const struct fault *fault)
{
    return fault->kind >= FAULT_REDIS_KILL ||
           (fault->part == FLEET_COLLECTOR && fault->kind != FAULT_CLOCK);
}

int fault_slows_ms(const struct scene *scene, const struct fault *fault)
{
    int hold_ms = scene->times.hold;
    bool slows = fault->kind == FAULT_STOP || fault->kind == FAULT_REDIS_STOP ||
                 ((fault->kind == FAULT_LINK || fault->kind == FAULT_LINKS) &&
                  fault->what >= WAY_STALLS && fault->what != WAY_HALF_OPEN);
    int late_ms = fault->what == WAY_DELAY ? 2 * fault->ms : fault->for_ms;
    return !slows ? 0 : late_ms < hold_ms ? late_ms : hold_ms;
}

/* ---- links ---- */

static void link_say(struct scene *scene, const struct fault *fault, unsigned copy,
                     const char *format)
{
    char name[64];
    char command[128];
    (void)snprintf(name, sizeof name, "%s-%u", fleet_part_name(fault->part), copy);
    /* From the table above. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    (void)snprintf(command, sizeof command, format, name, fault->ms);
#pragma GCC diagnostic pop
    (void)support_proxy_say(fleet_proxy(scene->fleet), "%s", command);
    scene_tell(scene, "proxy: %s", command);
}

static void links_say(struct scene *scene, const struct fault *fault, const char *format)
{
    for (unsigned copy = 0; copy < scene->copies; copy++) {
        if (fault->kind == FAULT_LINKS || copy == fault->copy) {
            link_say(scene, fault, copy, format);
        }
    }
}

static void link_begin(struct scene *scene, struct fault *fault)
{
    if (strncmp(link_ways[fault->what], "refuse", 6) == 0) {
        links_say(scene, fault, "cut %s");
    }
    links_say(scene, fault, link_ways[fault->what]);
    fault->for_ms = fault->what < WAYS_ONCE ? 0 : fault->for_ms;
}

/* ---- Redis ---- */

static void redis_clock_step(struct scene *scene, const struct fault *fault)
{
    int step = fault->what % 4;
    support_clock_set(fleet_redis_clock(scene->fleet), clock_steps_ms[step]);
    scene_tell(scene, "the clock of Redis steps %s", clock_names[step]);
}

static void redis_kill(struct scene *scene)
{
    support_redis_kill(fleet_redis(scene->fleet));
    fleet_tape_pause(scene->fleet, true);
    scene_tell(scene, "kill -9 Redis");
}

static void redis_stop(struct scene *scene)
{
    support_redis_freeze(fleet_redis(scene->fleet));
    fleet_tape_pause(scene->fleet, true);
    scene_tell(scene, "SIGSTOP Redis");
}

static void flush(struct scene *scene)
{
    (void)support_redis_call(fleet_redis(scene->fleet), "FLUSHALL", (char *)NULL);
    fleet_setup(scene->fleet);
    scene_tell(scene, "FLUSHALL, and the setup anew");
}

static void stream_delete(struct scene *scene, const struct fault *fault)
{
    char key[64];
    (void)snprintf(key, sizeof key, "dyn:{%d}:%s", fault->what / 3, streams[fault->what % 3]);
    (void)support_redis_call(fleet_redis(scene->fleet), "DEL", key, (char *)NULL);
    scene_tell(scene, "DEL %s", key);
}

/* ---- programs ---- */

static void program_fault_begin(struct scene *scene, const struct fault *fault)
{
    const char *name = fleet_part_name(fault->part);
    switch (fault->kind) {
    case FAULT_KILL:
        if (scene_kill(scene, fault->part, fault->copy, fault->ms)) {
            scene_tell(scene, "kill -9 %s-%u", name, fault->copy);
        }
        break;
    case FAULT_STOP:
        if (scene_stop(scene, fault->part, fault->copy)) {
            scene_tell(scene, "SIGSTOP %s-%u", name, fault->copy);
        }
        break;
    case FAULT_CLOCK:
        support_clock_set(fleet_clock(scene->fleet, fault->part, fault->copy),
                          clock_steps_ms[fault->what % 4]);
        scene_tell(scene, "the clock of %s-%u steps %s", name, fault->copy,
                   clock_names[fault->what % 4]);
        break;
    case FAULT_LINK:
    case FAULT_LINKS:
    case FAULT_REDIS_KILL:
    case FAULT_REDIS_STOP:
    case FAULT_REDIS_CLOCK:
    case FAULT_FLUSH:
    case FAULT_DELETE:
    case FAULT_KINDS:
    default:
        ck_abort_msg("no fault of a program");
    }
}

/* Redis that is away already cannot be taken away, or told anything. */
static bool redis_fault_begin(struct scene *scene, struct fault *fault)
{
    if (scene->redis_away) {
        return false;
    }
    switch (fault->kind) {
    case FAULT_REDIS_KILL:
        redis_kill(scene);
        scene->redis_away = true;
        break;
    case FAULT_REDIS_STOP:
        redis_stop(scene);
        scene->redis_away = true;
        break;
    case FAULT_REDIS_CLOCK:
        redis_clock_step(scene, fault);
        break;
    case FAULT_FLUSH:
        flush(scene);
        break;
    case FAULT_DELETE:
        stream_delete(scene, fault);
        break;
    case FAULT_KILL:
    case FAULT_STOP:
    case FAULT_LINK:
    case FAULT_LINKS:
    case FAULT_CLOCK:
    case FAULT_KINDS:
    default:
        ck_abort_msg("no fault of Redis");
    }
    return true;
}

static bool fault_begin(struct scene *scene, struct fault *fault)
{
    if (fault->kind == FAULT_LINK || fault->kind == FAULT_LINKS) {
        link_begin(scene, fault);
        return true;
    }
    if (fault->kind < FAULT_REDIS_KILL) {
        program_fault_begin(scene, fault);
        return true;
    }
    return redis_fault_begin(scene, fault);
}

static void fault_end(struct scene *scene, const struct fault *fault)
{
    switch (fault->kind) {
    case FAULT_STOP:
        scene_go_on(scene, fault->part, fault->copy);
        scene_tell(scene, "SIGCONT %s-%u", fleet_part_name(fault->part), fault->copy);
        break;
    case FAULT_LINK:
    case FAULT_LINKS:
        if (fault->what >= WAYS_ONCE) {
            links_say(scene, fault, "pass %s");
        }
        break;
    case FAULT_CLOCK:
        if (fault->what >= 4) {
            support_clock_set(fleet_clock(scene->fleet, fault->part, fault->copy), 0);
            scene_tell(scene, "the clock of %s-%u is right again", fleet_part_name(fault->part),
                       fault->copy);
        }
        break;
    case FAULT_REDIS_KILL:
        support_redis_start(fleet_redis(scene->fleet));
        fleet_tape_pause(scene->fleet, false);
        scene->redis_away = false;
        scene_tell(scene, "Redis is started again");
        break;
    case FAULT_REDIS_STOP:
        support_redis_thaw(fleet_redis(scene->fleet));
        fleet_tape_pause(scene->fleet, false);
        scene->redis_away = false;
        scene_tell(scene, "SIGCONT Redis");
        break;
    case FAULT_REDIS_CLOCK:
        if (fault->what >= 4) {
            support_clock_set(fleet_redis_clock(scene->fleet), 0);
            scene_tell(scene, "the clock of Redis is right again");
        }
        break;
    case FAULT_KILL:
    case FAULT_FLUSH:
    case FAULT_DELETE:
    case FAULT_KINDS:
    default:
        break;
    }
}

void fault_step(struct scene *scene, struct fault *fault, int64_t age_ms)
{
    if (fault->state == FAULT_WAITS && age_ms >= fault->at_ms) {
        fault->state = fault_begin(scene, fault) ? FAULT_HAPPENS : FAULT_OVER;
    }
    if (fault->state == FAULT_HAPPENS && age_ms >= fault->at_ms + fault->for_ms) {
        fault_end(scene, fault);
        fault->state = FAULT_OVER;
        fault->over_ms = fleet_now_ms();
    }
}
