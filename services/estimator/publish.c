#include "estimator/publish.h"

struct publish {
    struct publish_item *items; /* `capacity` of them; the first `count` wait */
    size_t capacity;
    size_t count;
    uint32_t *slots; /* controller -> index + 1 by open addressing; rebuilt by publish_drop() */
    size_t slots_count;
};

struct publish *publish_new(size_t controllers)
{
    struct publish *queue = calloc(1, sizeof(*queue));
    if (queue == NULL) {
        return NULL;
    }
    queue->capacity = controllers;
    queue->slots_count = 2;
    while (queue->slots_count < controllers * 2) {
        queue->slots_count *= 2;
    }
    queue->items = calloc(controllers + 1, sizeof(*queue->items));
    queue->slots = calloc(queue->slots_count, sizeof(*queue->slots));
    if (queue->items == NULL || queue->slots == NULL) {
        publish_free(queue);
        return NULL;
    }
    for (size_t i = 0; i < controllers; i++) {
        dyn_buf_init(&queue->items[i].payload, DYN_ENTRY_MAX);
    }
    return queue;
}

void publish_free(struct publish *queue)
{
    if (queue == NULL) {
        return;
    }
    for (size_t i = 0; queue->items != NULL && i < queue->capacity; i++) {
        dyn_buf_fini(&queue->items[i].payload);
    }
    free(queue->items);
    free(queue->slots);
    free(queue);
}

static uint32_t *publish_slot(struct publish *queue, uint64_t controller)
{
    size_t at = (size_t)controller & (queue->slots_count - 1);
    while (queue->slots[at] != 0 && queue->items[queue->slots[at] - 1].controller != controller) {
        at = (at + 1) & (queue->slots_count - 1);
    }
    return &queue->slots[at];
}

dyn_err publish_put(struct publish *queue, const struct target *target)
{
    uint32_t *slot = publish_slot(queue, target->controller);
    bool waits = *slot != 0;
    if (!waits && queue->count == queue->capacity) {
        return DYN_RANGE;
    }
    struct publish_item *item = &queue->items[waits ? *slot - 1 : queue->count];
    item->controller = target->controller;
    dyn_buf_clear(&item->payload);
    message_write_target(&item->payload, target);
    dyn_err err = dyn_buf_result(&item->payload);
    if (!waits && err == DYN_OK) {
        queue->count++;
        *slot = (uint32_t)queue->count;
    }
    return err;
}

size_t publish_count(const struct publish *queue)
{
    return queue->count;
}

size_t publish_peek(struct publish *queue, const struct publish_item **out, size_t max)
{
    *out = queue->items;
    return queue->count < max ? queue->count : max;
}

void publish_drop(struct publish *queue, size_t count)
{
    DYN_ASSERT(count <= queue->count);
    for (size_t i = 0; i < queue->count - count; i++) {
        struct publish_item sent = queue->items[i];
        queue->items[i] = queue->items[i + count];
        queue->items[i + count] = sent;
    }
    queue->count -= count;
    memset(queue->slots, 0, queue->slots_count * sizeof(*queue->slots));
    for (size_t i = 0; i < queue->count; i++) {
        *publish_slot(queue, queue->items[i].controller) = (uint32_t)i + 1;
    }
}
