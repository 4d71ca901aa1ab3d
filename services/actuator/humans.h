/*
 * humans: whether a reading shows our own doing or somebody else's. Somebody else is a person, the
 * Heroku CLI, or Heroku's own autoscaler; each means it, so it is not undone: a raise is a floor
 * for manual_hold, after a lowering nothing moves for that long.
 */
#ifndef DYN_ACTUATOR_HUMANS_H
#define DYN_ACTUATOR_HUMANS_H

#include <stdbool.h>
#include <stdint.h>

#define HUMAN_LATE_MS 90000 /* a write without an answer may show that much later */

/* Times are boot ms. */
struct act_human {
    int32_t confirmed; /* what Heroku last confirmed; -1: nothing yet */
    int32_t floor;     /* -1: none; 0: lowered by hand; else raised to that by hand */
    int64_t until;     /* when the floor or the hold ends */
    /* A write of ours without an answer: both of its ends are ours. */
    int32_t maybe_from;
    int32_t maybe_to;
    int64_t maybe_until;
    /* A write that was confirmed: what ran before it, in case Heroku did not keep it. */
    int32_t before;
    int64_t before_until;
};

enum act_seen {
    SEEN_SAME,    /* as confirmed */
    SEEN_FIRST,   /* nothing was confirmed before */
    SEEN_OURS,    /* the outcome of a write without an answer */
    SEEN_UNDONE,  /* a confirmed write was not kept; once a write, then it counts as lowered */
    SEEN_RAISED,  /* by somebody else */
    SEEN_LOWERED, /* by somebody else */
};

void act_human_init(struct act_human *human);
/** A write was confirmed: `from` ran before, `to` is what Heroku says now. */
void act_human_confirm(struct act_human *human, int32_t from, int32_t to, int64_t now);
/** A write had no usable answer. */
void act_human_doubt(struct act_human *human, int32_t from, int32_t to, int64_t until);
/** A confirmed write is not finished yet: what ran before it may still come back. */
void act_human_unfinished(struct act_human *human, int64_t now);
/** A reading. Afterwards it is what is confirmed. */
enum act_seen act_human_see(struct act_human *human, int32_t running, int64_t hold_ms, int64_t now);

#endif
