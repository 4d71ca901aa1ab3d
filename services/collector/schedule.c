#include "collector/schedule.h"

#include <stdlib.h>

/* One input. Its one place in the heap is its next turn, or its deadline while it is read. */
struct item {
    int64_t at_ms;      /* the heap's key */
    int64_t started_ms; /* when the last reading began; below zero: never */
    int64_t interval_ms;
    int64_t phase_ms; /* the grid is { phase_ms + k * interval_ms } */
    uint64_t skipped;
    uint32_t place; /* in the heap; NOWHERE: not scheduled */
    bool reading;
};

#define NOWHERE UINT32_MAX

struct schedule {
    struct item *items; /* by slot */
    uint32_t *heap;     /* slots, the earliest first */
    uint32_t capacity;
    uint32_t count;
};

int64_t schedule_deadline_ms(int64_t interval_ms)
{
    if (interval_ms < SCHEDULE_DEADLINE_MIN_MS) {
        return SCHEDULE_DEADLINE_MIN_MS;
    }
    return interval_ms < SCHEDULE_DEADLINE_MAX_MS ? interval_ms : SCHEDULE_DEADLINE_MAX_MS;
}

struct schedule *schedule_new(void)
{
    return calloc(1, sizeof(struct schedule));
}

void schedule_free(struct schedule *schedule)
{
    if (schedule == NULL) {
        return;
    }
    free(schedule->items);
    free(schedule->heap);
    free(schedule);
}

dyn_err schedule_reserve(struct schedule *schedule, uint32_t slots)
{
    if (slots <= schedule->capacity) {
        return DYN_OK;
    }
    DYN_ASSERT(slots < NOWHERE);
    struct item *items = realloc(schedule->items, slots * sizeof *items);
    if (items == NULL) {
        return DYN_NOMEM;
    }
    schedule->items = items;
    uint32_t *heap = realloc(schedule->heap, slots * sizeof *heap);
    if (heap == NULL) {
        return DYN_NOMEM;
    }
    schedule->heap = heap;
    for (uint32_t slot = schedule->capacity; slot < slots; slot++) {
        items[slot] = (struct item){.place = NOWHERE};
    }
    schedule->capacity = slots;
    return DYN_OK;
}

/* ---- the heap ---- */

/* Equal times go by slot, so that the order never depends on history. */
static bool item_before(const struct schedule *schedule, uint32_t a, uint32_t b)
{
    int64_t at_a = schedule->items[a].at_ms;
    int64_t at_b = schedule->items[b].at_ms;
    return at_a != at_b ? at_a < at_b : a < b;
}

static void heap_put(struct schedule *schedule, uint32_t place, uint32_t slot)
{
    schedule->heap[place] = slot;
    schedule->items[slot].place = place;
}

static void heap_up(struct schedule *schedule, uint32_t place, uint32_t slot)
{
    while (place > 0) {
        uint32_t parent = (place - 1) / 2;
        if (!item_before(schedule, slot, schedule->heap[parent])) {
            break;
        }
        heap_put(schedule, place, schedule->heap[parent]);
        place = parent;
    }
    heap_put(schedule, place, slot);
}

static void heap_down(struct schedule *schedule, uint32_t place, uint32_t slot)
{
    while (2 * place + 1 < schedule->count) {
        uint32_t child = 2 * place + 1;
        if (child + 1 < schedule->count &&
            item_before(schedule, schedule->heap[child + 1], schedule->heap[child])) {
            child++;
        }
        if (!item_before(schedule, schedule->heap[child], slot)) {
            break;
        }
        heap_put(schedule, place, schedule->heap[child]);
        place = child;
    }
    heap_put(schedule, place, slot);
}

/* Move a slot to another time; it enters the heap when it was not in it. */
static void item_move(struct schedule *schedule, uint32_t slot, int64_t at_ms)
{
    struct item *item = &schedule->items[slot];
    bool earlier = item->place == NOWHERE || at_ms < item->at_ms;
    uint32_t place = item->place == NOWHERE ? schedule->count++ : item->place;
    item->at_ms = at_ms;
    if (earlier) {
        heap_up(schedule, place, slot);
    } else {
        heap_down(schedule, place, slot);
    }
}

static void item_leave(struct schedule *schedule, uint32_t slot)
{
    uint32_t place = schedule->items[slot].place;
    uint32_t last = schedule->heap[--schedule->count];
    schedule->items[slot].place = NOWHERE;
    if (last != slot) {
        /* One of the two moves nothing: the last may belong above or below the hole. */
        heap_up(schedule, place, last);
        heap_down(schedule, schedule->items[last].place, last);
    }
}

/* ---- the grid ---- */

/* The first point of the grid at or after `from_ms`. */
static int64_t grid_at(const struct item *item, int64_t from_ms)
{
    int64_t rest = (from_ms - item->phase_ms) % item->interval_ms;
    if (rest < 0) {
        rest += item->interval_ms;
    }
    return rest == 0 ? from_ms : from_ms + item->interval_ms - rest;
}

/* The turn that follows the reading begun last: not closer than half an interval behind it, nor
 * missed by more than half an interval now. What lies between the two was skipped. A first reading
 * is off the grid: where that makes the way to the grid longer than an interval, there is one turn
 * more in between. */
static int64_t turn_next(struct item *item, int64_t now_ms)
{
    int64_t half = item->interval_ms / 2;
    int64_t apart = item->started_ms + item->interval_ms - half;
    int64_t next = grid_at(item, apart);
    int64_t open = grid_at(item, now_ms - half);
    if (next > item->started_ms + item->interval_ms && now_ms - half <= apart) {
        return apart;
    }
    if (open <= next) {
        return next;
    }
    item->skipped += (uint64_t)((open - next) / item->interval_ms);
    return open;
}

/* ---- events ---- */

static void step_add(struct schedule *schedule, const struct schedule_event *event, int64_t now_ms)
{
    DYN_ASSERT(event->slot < schedule->capacity);
    DYN_ASSERT(event->interval_ms > 0 && event->first_ms > 0);
    struct item *item = &schedule->items[event->slot];
    DYN_ASSERT(item->place == NOWHERE);
    int64_t interval = event->interval_ms;
    int64_t spread = interval < event->first_ms ? interval : event->first_ms;
    /* The high bits, mixed: a hash's low ones decide the partition elsewhere. */
    uint64_t mixed = (event->series ^ (event->series >> 31)) * UINT64_C(0x9E3779B97F4A7C15);
    *item = (struct item){
        .place = NOWHERE,
        .interval_ms = interval,
        .phase_ms = (int64_t)((mixed >> 16) % (uint64_t)interval),
        .started_ms = now_ms - interval,
    };
    item_move(schedule, event->slot, now_ms + (int64_t)((mixed >> 20) % (uint64_t)spread));
}

static void step_remove(struct schedule *schedule, uint32_t slot)
{
    DYN_ASSERT(slot < schedule->capacity);
    if (schedule->items[slot].place != NOWHERE) {
        item_leave(schedule, slot);
    }
}

static void step_done(struct schedule *schedule, uint32_t slot, int64_t now_ms)
{
    DYN_ASSERT(slot < schedule->capacity);
    struct item *item = &schedule->items[slot];
    if (item->place != NOWHERE && item->reading) {
        item->reading = false;
        item_move(schedule, slot, turn_next(item, now_ms));
    }
}

/* What the earliest entry, which is due, asks for; false: a turn missed for good. */
static bool step_due(struct schedule *schedule, uint32_t slot, int64_t now_ms,
                     struct schedule_effect *out)
{
    struct item *item = &schedule->items[slot];
    int64_t late = now_ms - item->at_ms;
    if (item->reading) {
        *out = (struct schedule_effect){.kind = SCHEDULE_EXPIRE, .slot = slot, .late_ms = late};
        item->reading = false;
        item_move(schedule, slot, turn_next(item, now_ms));
        return true;
    }
    if (late > item->interval_ms / 2) {
        int64_t open = grid_at(item, now_ms - item->interval_ms / 2);
        item->skipped += 1 + (uint64_t)((open - item->at_ms - 1) / item->interval_ms);
        item_move(schedule, slot, open);
        return false;
    }
    *out = (struct schedule_effect){
        .kind = SCHEDULE_POLL, .slot = slot, .late_ms = late, .skipped = item->skipped};
    item->skipped = 0;
    item->reading = true;
    item->started_ms = now_ms;
    item_move(schedule, slot, now_ms + schedule_deadline_ms(item->interval_ms));
    return true;
}

size_t schedule_step(struct schedule *schedule, const struct schedule_event *event, int64_t now_ms,
                     struct schedule_effect *out, size_t out_max)
{
    size_t count = 0;
    switch (event->kind) {
    case SCHEDULE_ADD:
        step_add(schedule, event, now_ms);
        break;
    case SCHEDULE_REMOVE:
        step_remove(schedule, event->slot);
        break;
    case SCHEDULE_DONE:
        step_done(schedule, event->slot, now_ms);
        break;
    case SCHEDULE_TURN:
        while (count < out_max && schedule_next_ms(schedule) <= now_ms) {
            count += step_due(schedule, schedule->heap[0], now_ms, &out[count]) ? 1 : 0;
        }
        break;
    }
    return count;
}

int64_t schedule_next_ms(const struct schedule *schedule)
{
    return schedule->count == 0 ? INT64_MAX : schedule->items[schedule->heap[0]].at_ms;
}
