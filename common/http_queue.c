#include "common/http_queue.h"

size_t http_queue_slot(struct dyn_str origin)
{
    return (size_t)(dyn_hash(DYN_HASH_SEED, origin) % HTTP_SLOTS);
}

void http_queue_push(struct http_queue *queue, struct http_transfer *transfer)
{
    DYN_ASSERT(transfer->slot < HTTP_SLOTS);
    http_list_push(&queue->slots[transfer->slot].waiting, transfer);
    queue->waiting++;
}

void http_queue_remove(struct http_queue *queue, struct http_transfer *transfer)
{
    DYN_ASSERT(transfer->list == &queue->slots[transfer->slot].waiting);
    http_list_remove(transfer);
    queue->waiting--;
}

static bool slot_has_room(const struct http_queue *queue, size_t slot)
{
    return queue->active < queue->active_max && queue->slots[slot].active < queue->host_active_max;
}

/* One of each slot in turn: a host with a long queue does not hold up the others. */
struct http_transfer *http_queue_next(struct http_queue *queue)
{
    for (size_t i = 0; queue->waiting > 0 && i < HTTP_SLOTS; i++) {
        size_t slot = queue->slot_next;
        struct http_transfer *transfer = queue->slots[slot].waiting.first;
        if (queue->active >= queue->active_max) {
            return NULL;
        }
        queue->slot_next = (slot + 1) % HTTP_SLOTS;
        if (transfer != NULL && slot_has_room(queue, slot)) {
            http_queue_remove(queue, transfer);
            return transfer;
        }
    }
    return NULL;
}

bool http_queue_is_free(const struct http_queue *queue, size_t slot)
{
    return queue->waiting == 0 && slot_has_room(queue, slot);
}

void http_queue_enter(struct http_queue *queue, size_t slot)
{
    DYN_ASSERT(slot_has_room(queue, slot));
    queue->active++;
    queue->slots[slot].active++;
}

void http_queue_leave(struct http_queue *queue, size_t slot)
{
    DYN_ASSERT(queue->slots[slot].active > 0);
    queue->active--;
    queue->slots[slot].active--;
}

/* Timeouts differ, so a slot's list is not in the order of its ends. */
struct http_transfer *http_queue_expired(struct http_queue *queue, int64_t now_ms, size_t *slot)
{
    for (; *slot < HTTP_SLOTS; (*slot)++) {
        struct http_transfer *at = queue->slots[*slot].waiting.first;
        while (at != NULL && now_ms - at->started_ms < at->total_timeout_ms) {
            at = at->next;
        }
        if (at != NULL) {
            http_queue_remove(queue, at);
            return at;
        }
    }
    return NULL;
}
