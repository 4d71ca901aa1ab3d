#include "estimator/window.h"

#include <math.h>

/* Spans lie in the ring from oldest to newest: ends rise, values fall. */
static struct window_span *window_ring(struct window *window)
{
    return window->capacity == WINDOW_INLINE ? window->ring.fixed : window->ring.grown;
}

static const struct window_span *window_at(const struct window *window, unsigned index)
{
    const struct window_span *ring =
        window->capacity == WINDOW_INLINE ? window->ring.fixed : window->ring.grown;
    return &ring[(window->head + index) & (window->capacity - 1U)];
}

static struct window_span *window_slot(struct window *window, unsigned index)
{
    return &window_ring(window)[(window->head + index) & (window->capacity - 1U)];
}

void window_init(struct window *window)
{
    *window = (struct window){
        .capacity = WINDOW_INLINE,
        .last_at = WINDOW_NEVER,
        .good_at = WINDOW_NEVER,
        .covered_since = WINDOW_UNCOVERED,
        .zero_since = WINDOW_NEVER,
    };
}

void window_fini(struct window *window)
{
    if (window->capacity != WINDOW_INLINE) {
        free(window->ring.grown);
    }
    window_init(window);
}

static bool window_grow(struct window *window)
{
    unsigned capacity = window->capacity * 2U;
    if (capacity > DYN_WINDOW_SPANS_MAX) {
        return false;
    }
    struct window_span *grown = malloc(capacity * sizeof(*grown));
    if (grown == NULL) {
        return false;
    }
    for (unsigned i = 0; i < window->count; i++) {
        grown[i] = *window_at(window, i);
    }
    if (window->capacity != WINDOW_INLINE) {
        free(window->ring.grown);
    }
    window->ring.grown = grown;
    window->head = 0;
    window->capacity = (uint16_t)capacity;
    return true;
}

static void window_drop_front(struct window *window)
{
    window->head = (uint16_t)((window->head + 1U) & (window->capacity - 1U));
    window->count--;
}

/* The second oldest takes the higher value of the oldest: it stays up longer, never lower. */
static void window_merge_front(struct window *window)
{
    window_slot(window, 1)->value = window_at(window, 0)->value;
    window_drop_front(window);
    window->merged = (uint16_t)(window->merged + (window->merged < UINT16_MAX));
}

static void window_push(struct window *window, struct window_span span)
{
    if (window->count == window->capacity && !window_grow(window)) {
        window_merge_front(window);
    }
    *window_slot(window, window->count) = span;
    window->count++;
}

static void window_pop_up_to(struct window *window, double value)
{
    while (window->count > 0 && window_at(window, window->count - 1U)->value <= value) {
        window->count--;
    }
}

/* The one path of nearly every sample, in one piece: what leaves at the back, what leaves at the
 * front, what comes. */
static void window_append(struct window *window, int64_t at, int64_t from, double value)
{
    struct window_span *ring = window_ring(window);
    unsigned mask = window->capacity - 1U;
    unsigned head = window->head;
    unsigned count = window->count;
    if (count > 0) {
        struct window_span *newest = &ring[(head + count - 1U) & mask];
        newest->end = at;
        if (value > 0) {
            window->zero_since = WINDOW_NEVER;
        } else if (newest->value > 0) {
            window->zero_since = at;
        }
    } else if (!(value > 0)) {
        window->zero_since = at;
    }
    while (count > 0 && ring[(head + count - 1U) & mask].value <= value) {
        count--;
    }
    while (count > 0 && ring[head].end <= from) {
        head = (head + 1U) & mask;
        count--;
    }
    window->head = (uint16_t)head;
    window->last_at = at;
    if (count <= mask) {
        ring[(head + count) & mask] = (struct window_span){INT64_MAX, value};
        window->count = (uint16_t)(count + 1U);
    } else {
        window->count = (uint16_t)count;
        window_push(window, (struct window_span){INT64_MAX, value});
    }
}

static void window_insert_late(struct window *window, double value)
{
    struct window_span newest = *window_at(window, window->count - 1U);
    if (value <= newest.value) {
        return;
    }
    if (window->zero_since != WINDOW_NEVER) {
        window->zero_since = window->last_at; /* demand lay among the zeros: doubted anew */
    }
    window->count--;
    window_pop_up_to(window, value);
    window_push(window, (struct window_span){window->last_at, value});
    window_push(window, newest);
}

/* Coverage begins; after a break not before the sample arrived, since what lies between its time
 * and that may be lost. Zeros that were not believed yet are doubted from here on: what came before
 * may have been a clock that jumped. Seldom, and out of the way of window_add(), which is
 * measurably faster so. */
static __attribute__((noinline, cold)) void window_begin(struct window *window, int64_t at,
                                                         int64_t now)
{
    window->covered_since = window->covered_since == WINDOW_BROKEN ? now : at;
    if (window->zero_since != WINDOW_NEVER) {
        window->zero_since = window->covered_since;
    }
}

static void window_cover_with(struct window *window, const struct window_rule *rule, int64_t at,
                              int64_t now)
{
    if (now - at > rule->interval_ms) {
        return;
    }
    if (window->covered_since >= WINDOW_BROKEN || at - window->good_at > rule->max_gap_ms) {
        window_begin(window, at, now);
    }
    if (at > window->good_at) {
        window->good_at = at;
    }
}

void window_expire(struct window *window, const struct window_rule *rule, int64_t now)
{
    const struct window_span *ring = window_ring(window);
    unsigned mask = window->capacity - 1U;
    int64_t from = now - rule->period_ms;
    while (window->count > 0 && ring[window->head].end <= from) {
        window->head = (uint16_t)((window->head + 1U) & mask);
        window->count--;
    }
}

void window_add(struct window *window, const struct window_rule *rule, int64_t at, int64_t now,
                double value)
{
    DYN_ASSERT(at <= now);
    /* What is late may be but a part of what was: it ends nothing that is higher. */
    bool ends = now - at <= rule->interval_ms || !(value < window_value(window));
    if (ends && at >= window->last_at) {
        window_append(window, at, now - rule->period_ms, value);
    } else {
        window_insert_late(window, value);
        window_expire(window, rule, now);
    }
    window_cover_with(window, rule, at, now);
}

int64_t window_max_until(const struct window *window)
{
    return window->count > 0 ? window_at(window, 0)->end : INT64_MAX;
}

double window_value(const struct window *window)
{
    return window->count > 0 ? window_at(window, window->count - 1U)->value : NAN;
}

void window_break(struct window *window)
{
    window->covered_since = WINDOW_BROKEN;
}

static bool window_doubts(const struct window *window, const struct window_rule *rule, int64_t now)
{
    return rule->doubt_zero_ms > 0 && window->zero_since != WINDOW_NEVER &&
           now - window->zero_since < rule->period_ms + rule->doubt_zero_ms;
}

enum input_cover window_cover(const struct window *window, const struct window_rule *rule,
                              int64_t now)
{
    if (window->count == 0) {
        return COVER_NEVER;
    }
    if (window->good_at == WINDOW_NEVER || now - window->good_at > rule->max_gap_ms) {
        return COVER_STALE;
    }
    if (window->covered_since > now - rule->period_ms) {
        return COVER_YOUNG;
    }
    return window_doubts(window, rule, now) ? COVER_DOUBT : COVER_YES;
}

int64_t window_covered_at(const struct window *window, const struct window_rule *rule, int64_t now)
{
    int64_t covered = 0;
    if (window->covered_since < WINDOW_BROKEN && window->covered_since > now - rule->period_ms) {
        covered = window->covered_since + rule->period_ms;
    }
    if (window_doubts(window, rule, now)) {
        int64_t believed = window->zero_since + rule->period_ms + rule->doubt_zero_ms;
        covered = believed > covered ? believed : covered;
    }
    return covered;
}

size_t window_bytes(const struct window *window)
{
    return window->capacity == WINDOW_INLINE ? 0 : window->capacity * sizeof(struct window_span);
}
