/*
 * feed: from the streams to one sink. It owns the sink's host, its cursor, its deduplication and a
 * reader of its own, so that no sink waits for another.
 *
 * A sink of statistics gets one delivery for each entry of the reports that it owns the partition
 * of; a sink of errors the events that the deduplication lets through, and the actions. A sink of
 * one app gets that app's only. Without a stored cursor statistics begin now, events and actions
 * FEED_BACK_MS ago.
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
};

/** DYN_CONFIG, DYN_NOTFOUND and the like with words when the sink cannot work. */
DYN_NODISCARD dyn_err feed_new(const struct feed_options *options, struct feed **out_feed,
                               struct dyn_error *error);
void feed_free(struct feed *feed);
/** The command connection stands: load the cursor, or write what is left. */
void feed_redis_ready(struct feed *feed);
/** Begin nothing new. */
void feed_drain(struct feed *feed);
bool feed_is_idle(const struct feed *feed);
bool feed_is_ready(const struct feed *feed, struct dyn_buf *why);

#endif
