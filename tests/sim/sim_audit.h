/*
 * sim_audit: checks the invariants of the design while the world runs, by means of its own: from
 * what the sources returned, what Redis was given, what Heroku was asked, and what went wrong.
 *
 *   I1 demand       sim_audit_demand.c   each write that lowers, as it leaves its process
 *   I2 one writer   sim_audit_writers.c  each publication; each write, as it leaves and as it is
 * done I3, I4 the log  sim_audit_log.c      an own fold of each partition; its targets, bit for bit
 *   I5 budget       sim_audit_writers.c  each answer of the model Heroku
 *   I6, I9          sim_audit_told.c     every few seconds, and at the end
 *
 * Threads: one.
 */
#ifndef DYN_SIM_AUDIT_H
#define DYN_SIM_AUDIT_H

#include "tests/sim/sim_faults.h"

/** After fleet_begin(); `until`: the end, `calm_from`: nothing goes wrong from there on. */
void audit_begin(enum fault_class class, int64_t calm_from, int64_t until);
/** The last checks; then what was found. */
void audit_finish(void);
void audit_end(void);

/** How many times an invariant was broken. */
unsigned audit_violations(void);
/** A hash of all that Redis and Heroku were told: the same for the same seed. */
uint64_t audit_hash(void);

/* From the death of whoever held something to its successor's first good deed; ms, -1: none. */
enum audit_failover {
    FAILOVER_ESTIMATOR, /* to the next target or mark published */
    FAILOVER_TAKEN,     /* of an actuator, to the next taking of the account's lease */
    FAILOVER_ACTUATOR,  /* to the next request to Heroku for the account */
    FAILOVER_WRITE,     /* to its next write */
    FAILOVER_COLLECTOR, /* to the next good poll of each of its inputs */
    FAILOVERS
};
struct audit_times {
    int64_t worst_ms;
    uint64_t worst_seed; /* where several seeds are added up */
    int64_t sum_ms;
    unsigned count;
};
const struct audit_times *audit_failover(enum audit_failover kind);

/** What was looked at, for people who wonder whether the auditor does anything. */
struct audit_counts {
    unsigned writes, falls, targets, targets_equal, targets_unjudged, polls, samples, events;
    unsigned told_checks;
};
const struct audit_counts *audit_counts(void);

#endif
