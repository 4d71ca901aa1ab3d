/*
 * feed: from the streams to one sink. It owns the sink's host, its cursor, its deduplication and a
 * reader of its own, so that no sink waits for another.
 *
 * It begins with feed_lead(), when the sink's lease was taken, and gives nothing to the sink unless
 * `may_deliver` agrees. To a sink of errors it gives nothing before the cursor of what it got last
 * is written: whoever follows repeats one delivery at most.
 *
 * A sink of statistics gets one delivery for each entry of the reports; a sink of errors the events
 * that the deduplication lets through, and the actions. A sink of one app gets that app's only.
 * Without a stored cursor statistics begin now, events and actions FEED_BACK_MS ago.
 */
#ifndef DYN_REPORTER_FEED_H
#define DYN_REPORTER_FEED_H

#include "common/service.h"
#include "reporter/names.h"

#define FEED_BACK_MS 300000   /* 5 min */
#define FEED_DEAD_KEPT "1000" /* entries of PREFIX:dead; Redis drops the oldest */

struct feed;

struct feed_options {
    struct service *service;
    struct names *names;
    struct http_client *http;
    const struct config *config; /* outlives the feed */
    const struct config_sink *sink;
    const char *lease; /* the key of the sink's lease */
    const char *owner; /* our name in it */
    /** The lease is held, and will be for a while. */
    bool (*may_deliver)(void *arg);
    void (*fenced)(void *arg); /* it is another's, as Redis says */
    void *arg;
};

/** errors:console: what its cursor's key ends in. */
#define FEED_NAME_MAX (2 * DYN_NAME_MAX + 32)
void feed_name(const struct config_sink *sink, char out[FEED_NAME_MAX]);

/** DYN_CONFIG, DYN_NOTFOUND and the like with words when the sink cannot work. */
DYN_NODISCARD dyn_err feed_new(const struct feed_options *options, struct feed **out_feed,
                               struct dyn_error *error);
void feed_free(struct feed *feed);
/** The lease is held, under this epoch: load the cursor and begin. When it began before, nobody
 *  may have held the lease in between: what is left is written, and it goes on. */
void feed_lead(struct feed *feed, struct dyn_str epoch);
/** Time has passed, or what `may_deliver` says may have changed. */
void feed_go(struct feed *feed);
/** Begin nothing new. */
void feed_drain(struct feed *feed);
/** Nothing is with the sink, and the cursor is written as far as it can be. */
bool feed_is_idle(const struct feed *feed);
bool feed_is_ready(const struct feed *feed, struct dyn_buf *why);

#endif
