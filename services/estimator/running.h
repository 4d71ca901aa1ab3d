/*
 * running: how many resources ran when, as the actuator told the log, and what a `target` makes of
 * a value: the arithmetic of Kubernetes' HorizontalPodAutoscaler.
 *
 * A quantity is in force from the time at which Heroku was read, or confirmed a change, until that
 * of the next other one. A value is set against the quantity of its own time, not of the time when
 * it is folded: else each change that the value has not seen yet would be made once more.
 *
 * A change shows late in values (dynos boot; values are means of minutes). So what a value above
 * the target asks for starts from the fewest that ran in the `settle_ms` before it: it does not ask
 * twice for what was already given. A value below the target needs no such care, since the window
 * keeps what was asked for before.
 *
 * Invariants: count <= RUNNING_KEPT; the spans' times never fall.
 * Ownership:  holds no pointers. Threads: one.
 */
#ifndef DYN_ESTIMATOR_RUNNING_H
#define DYN_ESTIMATOR_RUNNING_H

#include "common/config.h"

#define RUNNING_KEPT 32         /* changes that are remembered; the oldest is forgotten */
#define RUNNING_OLD_MS 3600000  /* what was not told for so long is not known any more */
#define RUNNING_JITTER_MS 10000 /* the log's order counts where times differ by less */

struct running_span {
    int64_t from;
    int32_t quantity;
};

struct running {
    struct running_span spans[RUNNING_KEPT]; /* from oldest to newest */
    unsigned count;
    int64_t seen_at; /* the newest time of which a quantity is known; any, while count is 0 */
};

/** `quantity` ran at `at`. What is no quantity, or older than what is known, changes nothing. */
void running_add(struct running *running, int64_t at, double quantity);

/** What ran at `at`, and the fewest since `settle_ms` before. False, and nothing written: it is not
 *  known, or nothing ran, to which nothing can be in proportion. */
DYN_NODISCARD bool running_at(const struct running *running, int64_t at, int64_t settle_ms,
                              int32_t *out_runs, int32_t *out_fewest);

/** ceil(runs x value / target); `runs` within the tolerance. `value` is finite and at least 0. */
int32_t running_estimate(const struct config_input *input, double value, int32_t runs,
                         int32_t fewest);

#endif
