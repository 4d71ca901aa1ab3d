/*
 * window: the highest value of the last hysteresis_period, and whether it may be trusted to fall.
 *
 * A good sample is in force from its time until the time of the next good one. The maximum at
 * `now` is the highest value in force at any time of [now - period, now]. It is kept as a monotonic
 * deque keyed by the end of each sample's force (Lemire, "Streaming maximum-minimum filter using no
 * more than three comparisons per element", 2006): O(1) amortised, exact.
 *
 * A late sample (older than the newest one) was in force until the newest one, as far as anybody
 * can still know: it counts for the maximum until it leaves the window, and is never the value.
 *
 * A sample older than an interval when it was folded may be but a part of what was (a log drain's
 * "at least"): where it is lower than the value in force it ends nothing, and leaves no trace.
 *
 * Coverage: `good_at` is the newest sample that came in time (not older than an interval when it
 * was folded), `covered_since` the first such sample of the present run without a gap larger than
 * max_gap.
 *
 * Bound: DYN_WINDOW_SPANS_MAX spans. Beyond it the two oldest are merged into one with the higher
 * value and the later end: never lower than the truth, and counted in `merged`.
 *
 * Memory: the first WINDOW_INLINE spans lie in the window itself; more are allocated, doubling,
 * and kept. Times are log milliseconds. Threads: one.
 */
#ifndef DYN_ESTIMATOR_WINDOW_H
#define DYN_ESTIMATOR_WINDOW_H

#include "common/limits.h"
#include "common/message.h"

#include <math.h>

#define WINDOW_INLINE 4
#define WINDOW_NEVER INT64_MIN
#define WINDOW_UNCOVERED INT64_MAX    /* no good sample yet */
#define WINDOW_BROKEN (INT64_MAX - 1) /* a break, and no good sample since */

struct window_span {
    int64_t end; /* INT64_MAX: the newest, still in force */
    double value;
};

struct window {
    union {
        struct window_span fixed[WINDOW_INLINE];
        struct window_span *grown;
    } ring;
    uint16_t head;
    uint16_t count;
    uint16_t capacity; /* a power of two; WINDOW_INLINE: `fixed` is in use */
    uint16_t merged;   /* saturates */
    int64_t last_at;   /* time of the newest sample, whose force lasts; WINDOW_NEVER: none */
    int64_t good_at;
    int64_t covered_since; /* or WINDOW_UNCOVERED, WINDOW_BROKEN, which are later than all times */
    int64_t zero_since;    /* first zero of the present run of zeros, but not before coverage began,
                              nor before the newest one when late demand came; NEVER: none. The
                              very first zeros are doubted as well: demand may lie in a part of the
                              log that is not seen any more */
};

struct window_rule {
    int64_t period_ms;
    int64_t interval_ms;
    int64_t max_gap_ms;
    int64_t doubt_zero_ms;
};

void window_init(struct window *window);
void window_fini(struct window *window);

/**
 * Fold a good sample of time `at` that the log brings at `now` (at <= now), and forget what left
 * [now - period, now]. With no memory to grow,
 * spans are merged as at the bound: the maximum may stay up longer, and is never lower.
 */
void window_add(struct window *window, const struct window_rule *rule, int64_t at, int64_t now,
                double value);

/** Forget what left [now - period, now]. */
void window_expire(struct window *window, const struct window_rule *rule, int64_t now);

/** The maximum; NaN when there never was a sample. As of the last window_add or window_expire(). */
static inline double window_max(const struct window *window)
{
    const struct window_span *ring =
        window->capacity == WINDOW_INLINE ? window->ring.fixed : window->ring.grown;
    return window->count > 0 ? ring[window->head].value : NAN;
}

/** The newest value; NaN when there never was a sample. */
double window_value(const struct window *window);

/** A break in the log: coverage begins anew when the next good sample arrives, and so does the
 * doubt of zeros. */
void window_break(struct window *window);

/** Whether the window says all that is needed to ask for less at `now`, and if not, why. */
enum input_cover window_cover(const struct window *window, const struct window_rule *rule,
                              int64_t now);

/** The time from which window_cover() will say yes if good samples go on; 0: not known, or now. */
int64_t window_covered_at(const struct window *window, const struct window_rule *rule, int64_t now);

/** The time until which the maximum was in force; INT64_MAX: it still is, or there is none. */
int64_t window_max_until(const struct window *window);

/** Bytes beyond sizeof(struct window). */
size_t window_bytes(const struct window *window);

#endif
