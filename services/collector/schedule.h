/*
 * schedule: when each input is read. A core: no clock, no I/O, time comes in as an argument.
 *
 * An input's turns stand on a grid, `interval` apart, at a phase that its series id decides, so
 * that many inputs spread evenly and a restarted collector reads at the same points. The first
 * reading of an added input does not wait for the grid: it comes within first_ms. The grid of
 * another machine is another one (CLOCK_BOOTTIME), so that who takes an input over reads it at
 * once.
 *
 * Invariants: never two readings of one input are under way; two readings of one input begin at
 *             least half an interval apart, and at most an interval where the reading was done by
 *             then and no turn was skipped; a turn that could not begin within half an interval
 *             is skipped and counted, never made up for; a reading not done by its deadline is
 *             expired, once.
 * Cost:       a binary heap with one entry an input: O(log n) a reading, 48 bytes an input.
 * Ownership:  slots are numbers that the caller hands out, below what schedule_reserve() was told.
 * Threads:    the loop thread only.
 */
#ifndef DYN_COLLECTOR_SCHEDULE_H
#define DYN_COLLECTOR_SCHEDULE_H

#include "common/err.h"

#include <stdbool.h>
#include <stdint.h>

#define SCHEDULE_FIRST_MS 10000        /* the first readings of many inputs are spread over this, */
#define SCHEDULE_TAKEN_MS 200          /* of those that were another collector's over this */
#define SCHEDULE_DEADLINE_MIN_MS 1000  /* shorter would call a slow answer an outage */
#define SCHEDULE_DEADLINE_MAX_MS 30000 /* longer would tell an outage late */

struct schedule;

enum schedule_event_kind {
    SCHEDULE_ADD,    /* slot, series, interval_ms, first_ms */
    SCHEDULE_REMOVE, /* slot: free again; a reading under way is forgotten */
    SCHEDULE_DONE,   /* slot: the reading under way has ended; nothing when there is none */
    SCHEDULE_TURN    /* time has passed */
};

struct schedule_event {
    enum schedule_event_kind kind;
    uint32_t slot;
    uint64_t series;
    int64_t interval_ms; /* > 0 */
    int64_t first_ms;    /* > 0: the first reading comes within that, and within an interval */
};

enum schedule_effect_kind {
    SCHEDULE_POLL,  /* begin a reading; DONE is owed */
    SCHEDULE_EXPIRE /* the deadline has passed: give the reading up; no DONE is owed any more */
};

struct schedule_effect {
    enum schedule_effect_kind kind;
    uint32_t slot;
    int64_t late_ms;  /* since the turn or the deadline */
    uint64_t skipped; /* POLL: turns skipped since the reading before */
};

struct schedule *schedule_new(void); /* NULL: no memory */
void schedule_free(struct schedule *schedule);
/** Make room for slots [0, slots). Never shrinks. DYN_NOMEM leaves it as it was. */
DYN_NODISCARD dyn_err schedule_reserve(struct schedule *schedule, uint32_t slots);

/**
 * One step. Only TURN has effects: at most `out_max` of them, returned; when that many came, ask
 * again with the same time. `now_ms` never falls from one step to the next.
 */
size_t schedule_step(struct schedule *schedule, const struct schedule_event *event, int64_t now_ms,
                     struct schedule_effect *out, size_t out_max);

/** When the next TURN has something to do; INT64_MAX: never. */
int64_t schedule_next_ms(const struct schedule *schedule);

/** min(interval, 30 s), but at least 1 s. */
int64_t schedule_deadline_ms(int64_t interval_ms);

#endif
