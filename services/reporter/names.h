/*
 * names: from the numbers on the bus to the names that the original Dynosaur gave its statistics.
 *
 *   dynosaur.APP.CONTROLLER.INPUT.value, .max, .estimate
 *   dynosaur.APP.CONTROLLER.combined.estimate, .actual
 *
 * What a value is not known for is left out: absent and zero are different. The last `actual` of
 * each controller is kept, since the actuator reports at its own pace; one older than
 * NAMES_ACTUAL_MS is no news any more.
 *
 * Ownership: names_new() borrows the configuration, which must outlive it.
 */
#ifndef DYN_REPORTER_NAMES_H
#define DYN_REPORTER_NAMES_H

#include "reporter/sink.h"

#define NAMES_ACTUAL_MS 600000 /* 10 min */

struct names;

struct names *names_new(const struct config *config); /* NULL: no memory */
void names_free(struct names *names);
/** NULL: this configuration has none of that id. */
const struct config_controller *names_controller(const struct names *names, uint64_t controller);
/** Remember what runs. False: a controller that this configuration does not have. */
bool names_actual(struct names *names, const struct actual *actual);

/* The statistics of one entry, made anew for each; reused memory. */
struct names_stats {
    struct sink_stat *stats;
    size_t count;
    size_t room;
    struct dyn_buf text; /* all their names, NUL-terminated, one after the other */
};
void names_stats_init(struct names_stats *stats);
void names_stats_fini(struct names_stats *stats);
void names_stats_clear(struct names_stats *stats);
/** Append one controller's numbers. False, and nothing appended: it is unknown, or not of `app`
 *  (an index; SIZE_MAX: any). */
bool names_add(const struct names *names, const struct report *report, size_t app,
               struct names_stats *stats);
/** After the last names_add(): the names are set. DYN_TOOBIG or DYN_NOMEM when some are missing. */
DYN_NODISCARD dyn_err names_finish(struct names_stats *stats);

#endif
