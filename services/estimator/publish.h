/*
 * publish: targets on their way to Redis. One call of dyn_publish is in flight at a time; what is
 * decided meanwhile waits here, the newest of each controller in place of older ones, in the order
 * in which they first came. A pure queue: the caller sends.
 *
 * Ownership: owns the payloads. Threads: one.
 */
#ifndef DYN_ESTIMATOR_PUBLISH_H
#define DYN_ESTIMATOR_PUBLISH_H

#include "common/message.h"

struct publish;

/** Room for one payload of each of `controllers` controllers. NULL: no memory. */
struct publish *publish_new(size_t controllers);
void publish_free(struct publish *queue);

/** Encode and keep. DYN_NOMEM, DYN_TOOBIG: not kept; DYN_RANGE: more controllers than was said. */
dyn_err publish_put(struct publish *queue, const struct target *target);
size_t publish_count(const struct publish *queue);

struct publish_item {
    uint64_t controller;
    struct dyn_buf payload;
};
/** The oldest, at most `max`; borrowed until the next put. */
size_t publish_peek(struct publish *queue, const struct publish_item **out, size_t max);
/** Forget the `count` oldest: they were sent. */
void publish_drop(struct publish *queue, size_t count);

#endif
