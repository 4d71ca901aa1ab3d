/*
 * lead: what this estimator does with one partition under one epoch of its lease.
 *
 *   re-read two windows of the log -> follow it live
 *
 * While it follows: a fenced tick each second, targets published as they are decided (one call of
 * dyn_publish in flight), a mark every LEAD_MARK_TICKS ticks, reports as they come due. Targets,
 * reports and events go out only once this leader's own first tick has been read back: what was
 * folded before was the former leader's to tell.
 *
 * Whatever goes wrong (a lost connection, a refusal, a reply that never came) ends the lead; the
 * estimator starts another one under another epoch, which re-reads the log. Nothing is carried over
 * but the log. The lease itself is the estimator's to keep (common/leases.h).
 *
 * Ownership: made by lead_start(); frees itself after lead_end() or `over`, once no command of it
 * is under way any more. Threads: the loop's.
 */
#ifndef DYN_ESTIMATOR_LEAD_H
#define DYN_ESTIMATOR_LEAD_H

#include "common/leases.h"
#include "common/service.h"
#include "estimator/pins.h"

#define LEAD_TICK_MS 1000
#define LEAD_MARK_TICKS 2 /* an actuator falls only with a mark younger than 30 s */
#define LEAD_RETRY_MS 1000

struct lead;

struct lead_host {
    struct service *service;
    struct bus_reader *reader;
    struct pins *pins;
    const char *owner; /* our name in the leases */
    struct lead_metrics {
        struct metric *samples, *failed, *unknown, *lost, *malformed, *ticks, *targets, *reports;
        struct metric *replayed; /* entries re-read at a take-over */
    } metrics;
    /** The lead is over, for `why`, and may not be used any more; `fenced`: another estimator
     *  holds the lease now. Not called after lead_end(). */
    void (*over)(void *arg, uint32_t partition, bool fenced, const char *why);
    /** A tick that was sent at `sent_ms` of the boot clock was written: it renewed the lease. */
    void (*ticked)(void *arg, uint32_t partition, int64_t sent_ms);
    void *arg;
};

/** Begin, under the epoch that the lease was granted with. `breaks` go into the first tick. NULL:
 * no memory. */
struct lead *lead_start(const struct lead_host *host, uint32_t partition,
                        const struct lease_grant *grant, uint32_t breaks);
/** Stop at once. NULL is fine. */
void lead_end(struct lead *lead);

/** The estimator's reader has an entry of this lead's stream. */
void lead_entry(struct lead *lead, const struct bus_entry *entry);
/** The reader's reply is through: send what was decided. */
void lead_round(struct lead *lead);
/** Call each LEAD_TICK_MS. */
void lead_tick(struct lead *lead);

size_t lead_stream(const struct lead *lead); /* the reader's index; SIZE_MAX: not following yet */
bool lead_is_live(const struct lead *lead);  /* its own first tick has been folded */
/** Milliseconds between the last folded entry and `wall_ms`. */
int64_t lead_lag_ms(const struct lead *lead, int64_t wall_ms);

#endif
