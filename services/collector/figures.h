/*
 * figures: what the closed buckets of a drain say: requests a minute, percentiles, errors; and
 * whether that is all that there was.
 *
 * A figure rests on the newest `period` buckets. It is whole only when none of them tells of lost
 * lines, and when lines of any kind came all the time: FIGURES_SILENT_BUCKETS in a row without one
 * mean a drain that does not reach us, or no traffic, and nobody can tell which. What is not whole
 * may be higher, so that it must not make anything fall.
 *
 * Threads: one. No pointers, no fini.
 */
#ifndef DYN_COLLECTOR_FIGURES_H
#define DYN_COLLECTOR_FIGURES_H

#include "collector/tally.h"

#define FIGURES_PERIOD_MAX 60 /* buckets: 10 minutes */
#define FIGURES_SILENT_BUCKETS 3

enum figure {
    FIGURE_RPM, /* requests a minute */
    FIGURE_SERVICE_P50,
    FIGURE_SERVICE_P95,
    FIGURE_SERVICE_P99,
    FIGURE_CONNECT_P50,
    FIGURE_CONNECT_P95,
    FIGURE_CONNECT_P99,
    FIGURE_ERROR_RATE, /* percent of requests answered with a 5xx */
    FIGURES
};

/** "rpm", "service_p95", ...; what `value` may be in the configuration. FIGURES: no such name. */
enum figure figure_find(const char *name);

struct figures {
    size_t period;                  /* buckets */
    size_t count;                   /* buckets that are looked at: those of the period, or more */
    struct tally_bucket sum;        /* of the period */
    bool heard[FIGURES_PERIOD_MAX]; /* a line came; the oldest first */
};

/** `period` buckets, 1 to FIGURES_PERIOD_MAX. */
void figures_begin(struct figures *figures, size_t period);
/** A bucket's hash has this field; `index` counts from the oldest of `count`. */
void figures_add(struct figures *figures, size_t index, struct dyn_str field, struct dyn_str count);

enum figures_state {
    FIGURES_WHOLE,
    FIGURES_AT_LEAST, /* lines are missing: it is that at least; `why` says so */
    FIGURES_NONE      /* there is no such figure; `why` says why */
};
/** No request at all is 0, of percentiles too: nobody waits. */
enum figures_state figures_value(const struct figures *figures, enum figure figure,
                                 bool silence_is_zero, double *out, struct dyn_error *why);

#endif
