/*
 * sim_audit_internal: what the files of the auditor share. Nobody else includes it.
 */
#ifndef DYN_SIM_AUDIT_INTERNAL_H
#define DYN_SIM_AUDIT_INTERNAL_H

#include "tests/sim/sim_audit.h"

struct audit {
    enum fault_class class;
    int64_t calm_from;
    int64_t until;
    unsigned violations;
    uint64_t hash;
    struct audit_counts counts;
    struct audit_times times[FAILOVERS];
    struct pack_reader *reader;
};
extern struct audit audit;

/** An invariant is broken: told at once, with the time. */
void audit_broken(const char *invariant, const char *format, ...) DYN_PRINTF(2, 3);
void audit_failover_took(enum audit_failover kind, int64_t us);
/** The partition in "dyn:{3}:NAME"; -1: the key is another. */
int audit_partition_of(struct dyn_str key, const char *name);

/* sim_audit_demand.c */
void audit_demand_begin(void);
void audit_demand_end(void);
void audit_demand_sample(size_t input, int64_t at, double value, const struct sim_write *write);
void audit_demand_human(size_t app);
void audit_demand_sent(const struct sim_exchange *exchange);
/** When the input's last good sample in time was stored; -1: never. */
int64_t audit_demand_heard(size_t input);
/** What the whole window asks for now; -1: unknown. */
int audit_demand_need(size_t app, int64_t at);

/* sim_audit_writers.c */
void audit_writers_begin(void);
void audit_writers_write(const struct sim_write *write);
void audit_writers_sent(const struct sim_exchange *exchange);
void audit_writers_note(const struct heroku_note *note);
void audit_writers_polled(size_t input, uint64_t process);
void audit_writers_gone(const struct fleet_slot *slot, uint64_t process);
void audit_writers_finish(void);

/* sim_audit_log.c */
void audit_log_begin(void);
void audit_log_end(void);
void audit_log_write(const struct sim_write *write);
void audit_log_event(const struct event *event);
void audit_log_look(void);
void audit_log_finish(void);

/* sim_audit_told.c */
void audit_told_begin(void);
void audit_told_event(const struct event *event);
void audit_told_look(void);
void audit_told_finish(void);

#endif
