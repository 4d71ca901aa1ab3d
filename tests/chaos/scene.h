/*
 * scene: a fleet of up to two of each program under a demand that is known exactly, a supervisor
 * that restarts what died, and the story of what was done to it.
 *
 * Ownership: scene_start() makes everything, scene_end() ends it and fails the test unless every
 *            program ends well (support_fleet.h).
 * Threads:   one.
 */
#ifndef DYN_TESTS_CHAOS_SCENE_H
#define DYN_TESTS_CHAOS_SCENE_H

#include "../e2e/support_judge.h"
#include "../e2e/support_source.h"

#define SCENE_APPS 4
#define SCENE_PARTITIONS 2
#define SCENE_FIRST 2 /* what each app runs at the start */
#define SCENE_PER_RESOURCE 10
#define SCENE_PLATEAUS_MAX 512

/* Splitmix64: the same numbers from the same seed, everywhere. */
struct dice {
    uint64_t state;
};
uint64_t dice_roll(struct dice *dice);
/** A whole number of [low, high]. */
int dice_between(struct dice *dice, int low, int high);

/* What the source said from one moment to another: the truth that everything is judged by. */
struct plateau {
    int64_t from_ms, to_ms; /* wall clock; INT64_MAX: still */
    int level;
};
struct demand {
    struct plateau plateaus[SCENE_PLATEAUS_MAX];
    size_t count;
};

/* Milliseconds of the configuration. */
struct scene_times {
    int interval, window, max_gap, cooldown;
    const char *lease; /* of `redis`, ", lease: {...}"; NULL: as built */
    int renew, hold, estimator_wait, actuator_wait, beat, gone;
};

struct scene_program {
    bool stopped;       /* by SIGSTOP, now */
    bool was_stopped;   /* ever, in this life */
    bool killed;        /* by us */
    int64_t restart_ms; /* wall clock; 0: it runs */
};

struct scene {
    struct fleet *fleet;
    struct scene_times times;
    const char *sinks; /* sections of the configuration, as text; NULL: as built */
    unsigned copies;
    int64_t began_ms; /* wall clock */
    struct demand demand[SCENE_APPS];
    struct scene_program programs[FLEET_PARTS][FLEET_COPIES_MAX];
    bool redis_away; /* killed or stopped */
    FILE *story;
    unsigned self_ended; /* actuators that their own timer killed */
};

/** Start the Redis, the fake Heroku and `copies` of each program, and wait until they are ready. */
void scene_start(struct scene *scene, const struct scene_times *times, unsigned copies,
                 const char *folder);
/* The same in two steps, with a fleet of the caller's wishes. */
void scene_prepare(struct scene *scene, const struct scene_times *times, unsigned copies,
                   const struct fleet_options *options);
void scene_begin(struct scene *scene);
void scene_end(struct scene *scene);

/** One line of the story, with its time. */
void scene_tell(struct scene *scene, const char *format, ...) __attribute__((format(printf, 2, 3)));
/** Fail with the outputs of all. */
_Noreturn void scene_fail(struct scene *scene, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
const char *scene_app(unsigned app);
/** What this level asks for. */
int scene_asked(int level);
int64_t scene_age(const struct scene *scene); /* milliseconds since the start */

void scene_demand(struct scene *scene, unsigned app, int level);
int scene_level(const struct scene *scene, unsigned app);
/** Let time pass, collect, restart what died. A program that died by itself fails the test. */
void scene_pass(struct scene *scene, int ms);

/** False: it does not run. */
bool scene_kill(struct scene *scene, enum fleet_part part, unsigned copy, int restart_after_ms);
bool scene_stop(struct scene *scene, enum fleet_part part, unsigned copy);
void scene_go_on(struct scene *scene, enum fleet_part part, unsigned copy);
/** Whether all that should run does. */
bool scene_is_whole(const struct scene *scene);

#endif
