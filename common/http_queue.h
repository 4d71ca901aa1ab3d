/*
 * http_queue: which transfer may run, so that no more connections than allowed are open.
 *
 * Ours because libcurl 7.88 neither checks the timeouts of the transfers in its own queue nor
 * starts their connect timeout when they leave it. Hosts are told apart by a hash into slots; two
 * that fall into one slot share its limit, which does no harm.
 *
 * Invariants: active is the sum of all slots' active and at most active_max; a slot's is at most
 *             host_active_max.
 */
#ifndef DYN_COMMON_HTTP_QUEUE_H
#define DYN_COMMON_HTTP_QUEUE_H

#include "common/http_transfer.h"

#define HTTP_SLOTS 256

struct http_slot {
    long active;
    struct http_list waiting;
};

struct http_queue {
    long active_max;
    long host_active_max;
    long active;
    size_t waiting;
    size_t slot_next;
    struct http_slot slots[HTTP_SLOTS];
};

size_t http_queue_slot(struct dyn_str origin);
void http_queue_push(struct http_queue *queue, struct http_transfer *transfer);
void http_queue_remove(struct http_queue *queue, struct http_transfer *transfer);
/** Take out one that may run now, the slots in turn; NULL when there is none. */
struct http_transfer *http_queue_next(struct http_queue *queue);
/** Nobody waits, and this one may run. */
bool http_queue_is_free(const struct http_queue *queue, size_t slot);
void http_queue_enter(struct http_queue *queue, size_t slot);
void http_queue_leave(struct http_queue *queue, size_t slot);
/** Take out one whose time is over, looking from `*slot` on; NULL when there is none. */
struct http_transfer *http_queue_expired(struct http_queue *queue, int64_t now_ms, size_t *slot);

#endif
