/*
 * plans: the plans of an add-on as rungs of a ladder, and which of them a figure needs. The tables
 * are the original's; vendors rename plans and change sizes, so the configuration may have others.
 *
 * Rungs count from 1, in the order of the table, which is that of price and of every size.
 */
#ifndef DYN_COMMON_PLANS_H
#define DYN_COMMON_PLANS_H

#include "common/str.h"

#include <stdbool.h>
#include <stdint.h>

enum plan_measure {
    PLAN_SIZE,        /* rediscloud: megabytes of memory; papertrail: bytes logged in a day */
    PLAN_CONNECTIONS, /* rediscloud only */
    PLAN_MEASURES
};

struct plan {
    const char *name;            /* "rediscloud:100" */
    double holds[PLAN_MEASURES]; /* INFINITY: no limit */
};

struct plan_table {
    const char *addon; /* "rediscloud", "papertrail" */
    const struct plan *plans;
    int32_t count;
};

/** NULL: no such table. */
const struct plan_table *plan_table_find(const char *addon);
/** The rung of a plan's full name; 0: it is not in the table. */
int32_t plan_rung(const struct plan_table *table, const char *name);
int32_t plan_rung_of(const struct plan_table *table, struct dyn_str name);

/**
 * The lowest rung of which `threshold_percent` is more than `value`. Where there is none, the
 * highest; `out_above`, if not NULL, says so.
 */
int32_t plan_rung_for(const struct plan_table *table, enum plan_measure measure,
                      double threshold_percent, double value, bool *out_above);

#endif
