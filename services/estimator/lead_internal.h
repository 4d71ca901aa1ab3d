/*
 * lead_internal: what lead.c (its life, ticks), lead_replay.c (re-reading the log)
 * and lead_tell.c (what goes out) share. Nobody else includes it.
 *
 * A lead may end inside any call that sends: whoever enters it from outside holds it (lead_hold)
 * until it leaves (lead_leave), and every command under way holds it until its answer has left.
 */
#ifndef DYN_ESTIMATOR_LEAD_INTERNAL_H
#define DYN_ESTIMATOR_LEAD_INTERNAL_H

#include "estimator/fold.h"
#include "estimator/lead.h"
#include "estimator/publish.h"

#define LEAD_KEY_MAX 256

struct lead {
    struct lead_host host;
    uint32_t partition;
    size_t holds; /* commands whose answers are owed, and calls of ours on the stack */
    bool ended;   /* lead_end() was called, or `over` */
    uint32_t breaks;

    char lease[LEAD_KEY_MAX], values[LEAD_KEY_MAX], targets[LEAD_KEY_MAX];
    char reports[LEAD_KEY_MAX], newest[LEAD_KEY_MAX];
    char epoch[LEASE_EPOCH_TEXT];
    uint64_t epoch_number;
    struct entry_id cursor; /* of the leaders before */

    struct fold *fold;
    struct pack_reader *unpack;
    struct fold_out out;
    struct fold_counts counted; /* what the metrics have already */
    size_t stream;

    struct dyn_timer *timer; /* the beginning */
    bool replaying;          /* the first entry of the log is awaited */
    struct entry_id from;    /* the first entry that was re-read; 0-0: none */
    struct entry_id back;    /* where re-reading was to begin */
    struct tick tick;        /* the next one; its pins, its breaks */
    struct dyn_buf scratch;
    bool tick_in_flight;
    int64_t tick_sent_ms; /* boot time of the last tick that was sent; 0: none */
    uint64_t ticks;
    uint64_t bytes, entries; /* folded live: what an entry weighs on average */

    struct publish *queue;
    bool publish_in_flight;
    bool mark_due;
    uint64_t call;
    char controllers[DYN_PUBLISH_MAX][24];

    struct dyn_buf report_bytes;
    uint32_t reports_count;
    int64_t reports_log_ms;
};

/* lead.c */
void lead_hold(struct lead *lead);
void lead_leave(struct lead *lead);
/** End it, and tell its host why; a second call does nothing. */
void lead_over(struct lead *lead, bool fenced, const char *why);
/** Send a command whose answer ends in lead_leave(). False: it could not be sent, and the lead is
 * over. */
bool lead_send(struct lead *lead, const struct dyn_str *argv, size_t argc, bus_fn *fn);
/** Whether to go on with an answer; a bad one ends the lead. */
bool lead_good(struct lead *lead, dyn_err err, const struct bus_reply *reply, const char *what);
void lead_send_tick(struct lead *lead);

/* lead_replay.c */
/** Re-read the log, then follow it. */
void lead_replay(struct lead *lead);

/* lead_tell.c */
/** Where the fold's targets, reports and events go. */
struct fold_out lead_out(struct lead *lead);
/** Send what waits, unless a call is in flight. */
void lead_publish(struct lead *lead);
void lead_flush_reports(struct lead *lead);

#endif
