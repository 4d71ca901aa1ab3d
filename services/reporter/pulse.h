/*
 * pulse: whether the engine lives, from what Redis shows of it. A core: no clock, no I/O.
 *
 * It lives when, within the last PULSE_MAX_MS, somebody of each role beat in its membership, and
 * each partition's log was folded up to then. That metrics fail, or Heroku, is no matter of the
 * engine's; what is not known, because Redis is away, counts as not so.
 *
 * Ownership: a value; it holds no memory. Threads: one.
 */
#ifndef DYN_REPORTER_PULSE_H
#define DYN_REPORTER_PULSE_H

#include "common/limits.h"
#include "common/str.h"

#define PULSE_MAX_MS 30000

enum pulse_role {
    PULSE_COLLECTOR,
    PULSE_ESTIMATOR,
    PULSE_ACTUATOR,
    PULSE_ROLES
};

struct pulse {
    uint32_t partitions;
    int64_t folded_ms[DYN_PARTITIONS_MAX]; /* up to then, on our clock; INT64_MIN: never seen */
    int64_t cursor_ms[DYN_PARTITIONS_MAX]; /* as it was last seen */
    struct {
        bool seen;
        uint64_t beats;  /* what was seen */
        int64_t beat_ms; /* when it last changed; INT64_MIN: never seen to */
    } roles[PULSE_ROLES];
};

void pulse_init(struct pulse *pulse, uint32_t partitions); /* at most DYN_PARTITIONS_MAX */
const char *pulse_role_name(enum pulse_role role);         /* "collector" */
/** A partition is folded up to `cursor_ms` of Redis' clock, which says `redis_ms`. Where that was
 *  set back, a cursor ahead of it counts when it moves. */
void pulse_fold(struct pulse *pulse, uint32_t partition, int64_t cursor_ms, int64_t redis_ms,
                int64_t now_ms);
/** The beats of a role's members, summed up so that any that moves changes it. */
void pulse_beat(struct pulse *pulse, enum pulse_role role, uint64_t beats, int64_t now_ms);
/** False, and why: the first thing that is missing. */
bool pulse_lives(const struct pulse *pulse, int64_t now_ms, struct dyn_error *why);

#endif
