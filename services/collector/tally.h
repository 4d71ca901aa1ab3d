/*
 * tally: what the lines of one batch add up to, by ten-second bucket of the lines' own times; and
 * how a bucket stands in Redis.
 *
 * A bucket is a hash there, whose fields are only ever added to: `l` lines of any kind, `n`
 * requests, `e` of them answered with a 5xx, `x` lines that are known to be lost, `sB` and `cB`
 * requests whose service or connect time lies in bin B of a histogram. Sums of sums: whoever got
 * the lines, and in which order, the bucket comes out the same.
 *
 * Memory: 130 KB, one for the process; nothing is allocated. Threads: one.
 */
#ifndef DYN_COLLECTOR_TALLY_H
#define DYN_COLLECTOR_TALLY_H

#include "collector/histogram.h"
#include "common/str.h"

#define TALLY_BUCKET_S 10
#define TALLY_KEPT_MAX_S 720 /* what lies further back matters to nobody any more */
#define TALLY_AHEAD_S 60     /* a clock may be wrong by as much; later times are not believed */
#define TALLY_BUCKETS ((TALLY_KEPT_MAX_S + TALLY_AHEAD_S) / TALLY_BUCKET_S + 2)
#define TALLY_TEXT_MAX 8192 /* bytes of tally_write(), more than all fields can take */

struct tally_bucket {
    uint64_t lines;
    uint64_t requests;
    uint64_t errors;
    uint64_t dropped;
    struct histogram service;
    struct histogram connect;
};

struct tally {
    int64_t first_s;            /* where buckets[0] begins, in Unix time */
    int64_t now_s;              /* of the last tally_begin() */
    size_t count;               /* buckets that lines may fall into */
    size_t used[TALLY_BUCKETS]; /* which of them have something, in the order of their first line */
    size_t used_count;
    bool is_used[TALLY_BUCKETS];
    struct tally_bucket buckets[TALLY_BUCKETS];
    /* Of the whole batch. */
    uint64_t lines;
    uint64_t requests;
    uint64_t dropped;
    uint64_t strays; /* lines of a time too long ago or to come, and lines of no known form */
};

/** Begin with nothing; lines of [now_s - kept_s, now_s + TALLY_AHEAD_S] will count. The first call
 *  is on zeroed memory. */
void tally_begin(struct tally *tally, int64_t now_s, int64_t kept_s);
/** The bucket of a time, from now on one that is used; NULL: not to be counted. */
struct tally_bucket *tally_at(struct tally *tally, int64_t wall_s);
/** `count` lines of [from_s, to_s] are lost: said in each of its buckets that can still be told. */
void tally_drop(struct tally *tally, int64_t from_s, int64_t to_s, uint64_t count);

/** Where the i-th used bucket begins, in Unix time. */
int64_t tally_start_s(const struct tally *tally, size_t i);
/** Append what the i-th used bucket has, "l 12 n 7 s18 7 "; returns its `dropped`, which is not
 *  among it. */
uint64_t tally_write(const struct tally *tally, size_t i, struct dyn_buf *out);

/** Add a field of a bucket in Redis to `bucket`. What is no field of ours is skipped. */
void tally_read(struct tally_bucket *bucket, struct dyn_str field, struct dyn_str count);

#endif
