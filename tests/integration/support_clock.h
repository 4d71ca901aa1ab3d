/*
 * support_clock: wall clocks of other programs, stepped at run time (chaos/clock_shim.c).
 *
 * Between support_clock_lend() and support_clock_end() a program that is started gets the clock.
 */
#ifndef DYN_TESTS_SUPPORT_CLOCK_H
#define DYN_TESTS_SUPPORT_CLOCK_H

#include <stdint.h>

struct support_clock;

struct support_clock *support_clock_new(void);
void support_clock_free(struct support_clock *clock); /* NULL is fine */

/** From now on it shows the true time and `offset_ms`. */
void support_clock_set(struct support_clock *clock, int64_t offset_ms);
int64_t support_clock_offset(const struct support_clock *clock);

/** Programs started from now on have this clock; NULL changes nothing. */
void support_clock_lend(const struct support_clock *clock);
/** Programs started from now on have the true one. */
void support_clock_end(void);

#endif
