/*
 * counter: the window of a counter that only grows within its period, a UTC day, and begins anew
 * with the next: what a vendor says was used today.
 *
 * Its newest reading says all that is known of its period, so one good reading covers, however long
 * nothing came before; a late one says nothing. The period turns with the first reading of a UTC
 * day that is lower than the one before it, by whatever: what was before is forgotten. It is the
 * data that turns it: vendors are late, so that the first readings of a day may still be
 * yesterday's. A second fall on the same day is a mistake of the vendor's, or a turn at an hour
 * that nobody knows of: it counts from half on, and then needs a whole hysteresis_period of
 * readings before anything may fall.
 *
 * Days are 86,400 s of the log's time since 1970, as the log's own: no calendar is looked into.
 * Threads: one.
 */
#ifndef DYN_ESTIMATOR_COUNTER_H
#define DYN_ESTIMATOR_COUNTER_H

#include "estimator/window.h"

#define COUNTER_DAY_MS 86400000
#define COUNTER_CLEAR_DROP 0.5 /* of the value before */

/** As window_add(). `turned_at` is the input's: when its period was last seen to begin;
 *  WINDOW_NEVER before the first sample. */
void counter_add(struct window *window, int64_t *turned_at, const struct window_rule *rule,
                 int64_t at, int64_t now, double value);

/** As window_break(), at `now`. A drop that was not believed with the newest reading is doubted
 * anew from then on. */
void counter_break(struct window *window, const struct window_rule *rule, int64_t now);

#endif
