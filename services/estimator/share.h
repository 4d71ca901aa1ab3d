/*
 * share: which partitions this estimator wishes to lead. A core: no clock, no I/O.
 *
 * The members of the role share out the partitions evenly (members_spread()). Those that fall to us
 * are wanted; the others are spare: ours only while their owner does not take them. What we hold
 * and what falls to another is handed over: at once, when it was ours before; after
 * SHARE_KEEP_GONES times redis.lease.gone, when we took it as a spare: its owner could not lead it
 * then, and may not be able to now, and each change of hands costs a re-reading of the log. Each
 * time that it comes back that long doubles, until the membership changes.
 *
 * Where we hold a partition and fail to lead it SHARE_FAILURES_MAX times in a row, and there are
 * others, it is given up and left alone for redis.lease.gone; for SHARE_KEEP_GONES of them it is
 * but a spare one.
 *
 * Whoever cannot lead (no connection, commands not read yet) wishes for nothing, and gives up what
 * it holds once that has lasted redis.lease.gone.
 *
 * Ownership: a value; it holds no memory. Threads: one.
 */
#ifndef DYN_ESTIMATOR_SHARE_H
#define DYN_ESTIMATOR_SHARE_H

#include "common/lease.h"
#include "common/limits.h"
#include "common/members.h"

#define SHARE_KEEP_GONES 5   /* 30 s with the built-in times */
#define SHARE_KEEP_DOUBLES 6 /* ... doubled that often at most */
#define SHARE_FAILURES_MAX 3 /* leads of ours that ended before they were live, in a row */

struct share {
    uint32_t partitions;
    int64_t gone_ms;
    bool known; /* share_spread() was called with a membership that is known */
    bool alone; /* no other estimator that is known */
    bool able;
    int64_t able_until_ms; /* while not able: when it was the last time */
    bool ours[DYN_PARTITIONS_MAX];
    int64_t spare_since_ms[DYN_PARTITIONS_MAX]; /* taken as a spare then; SHARE_OWN: not as one */
    unsigned spares[DYN_PARTITIONS_MAX];        /* times that it was, of this membership */
    unsigned failures[DYN_PARTITIONS_MAX];      /* since a lead of ours was live */
    int64_t failed_ms[DYN_PARTITIONS_MAX];      /* SHARE_FAILURES_MAX times; INT64_MIN / 2: never */
};

#define SHARE_OWN INT64_MIN

void share_init(struct share *share, uint32_t partitions, int64_t gone_ms);
/** Whether this process can lead at all, from now on. */
void share_able(struct share *share, bool able, int64_t now_ms);
/** The membership is known, or changed. */
void share_spread(struct share *share, const struct members *members);
/** The partition's lease was taken. */
void share_taken(struct share *share, uint32_t partition, int64_t now_ms);

/** A lead of ours ended before it was live, though Redis answered. */
void share_failed(struct share *share, uint32_t partition, int64_t now_ms);
/** A lead of ours is live. */
void share_led(struct share *share, uint32_t partition);

/** What to wish for now, the partition's lease being `held` or not. Time alone may change it. */
enum lease_wish share_wish(const struct share *share, uint32_t partition, bool held,
                           int64_t now_ms);

#endif
