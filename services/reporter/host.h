/*
 * host: the queue in front of one sink, its retries, and what becomes of what it will not take.
 *
 * One item is with the sink at a time, in order. It ends as accepted, or, after HOST_TRIES failures
 * (full jitter between them), in the dead letters; only then `accepted` is called, and the cursor
 * may move. A sink that gathers has up to HOST_GATHER_MAX of them, or what it says, which end
 * together. A sink that does not answer within HOST_ANSWER_MS has failed. A full queue drops its
 * oldest item, counted, when `drop_oldest`; otherwise it takes no more and `room` says when it does
 * again.
 *
 * Ownership: messages are copied. Threads: the loop thread only.
 */
#ifndef DYN_REPORTER_HOST_H
#define DYN_REPORTER_HOST_H

#include "common/metrics.h"
#include "reporter/sink.h"

#define HOST_TRIES 5
#define HOST_BACKOFF_FIRST_MS 1000 /* the n-th pause is random in [0, first * 2^n], up to last */
#define HOST_BACKOFF_LAST_MS 60000
#define HOST_ANSWER_MS 60000
#define HOST_GATHER_MAX 64
#define HOST_QUEUE_MAX 256           /* items; twice what a sink gathers, where that is more */
#define HOST_QUEUE_BYTES_MAX 8388608 /* of their messages: 8 MiB */

#define HOST_SEEN_NAME 64
#define HOST_SEEN_VALUE 128
struct host_item {
    size_t stream; /* the owner's number for it */
    struct entry_id id;
    struct dyn_buf message;
    bool told; /* the host's own: prepare() found something to tell of it */
    /* What prepare() wants to find again in accepted(); "" at first. */
    char seen_name[HOST_SEEN_NAME];
    char seen_value[HOST_SEEN_VALUE];
};

struct host_counters {
    double *accepted;
    double *failed; /* failures, tries counted */
    double *dead;
    double *dropped;
    double *queued; /* a gauge */
};

struct host_options {
    struct dyn_loop *loop;
    struct http_client *http;
    const struct config_sink *config;
    const struct sink_ops *ops;
    bool drop_oldest;
    struct host_counters counters;
    /** Whether something may be given to the sink, or buried, now: asked right before. After a no
     *  host_go() goes on; a second try looks again by itself. */
    bool (*may)(void *arg);
    /** Turn a message into what the sink gets; it lives until the item has ended. False: there is
     *  nothing to tell of it. Called once an item. */
    bool (*prepare)(void *arg, struct host_item *item, struct sink_delivery *out);
    /** Put the item among the dead letters, then call host_buried(), once. */
    void (*bury)(void *arg, const struct host_item *item, const char *why);
    void (*accepted)(void *arg, const struct host_item *item);
    void (*room)(void *arg);
    void *arg;
};

/** A sink's counters as `dynosaur_reporter_..._total{sink="errors:console"}`. */
struct host_counters host_counters_make(struct metrics *metrics, const char *sink);
/** DYN_CONFIG or DYN_NOTFOUND (a secret) from the sink's init(). */
DYN_NODISCARD dyn_err host_new(const struct host_options *options, struct sink_host **out_host,
                               struct dyn_error *error);
void host_free(struct sink_host *host);
/** DYN_BUSY: the queue is full, await `room`. */
DYN_NODISCARD dyn_err host_add(struct sink_host *host, size_t stream, struct entry_id id,
                               struct dyn_str message);
/** False: Redis did not take it; it is tried again in a second. */
void host_buried(struct sink_host *host, bool done);
/** What `may` says may have changed. */
void host_go(struct sink_host *host);
/** Begin nothing new. */
void host_drain(struct sink_host *host);
bool host_is_idle(const struct sink_host *host); /* nothing is with the sink or being buried */
size_t host_queued(const struct sink_host *host);

#endif
