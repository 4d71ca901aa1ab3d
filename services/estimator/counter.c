#include "estimator/counter.h"

enum turn {
    TURN_NONE,
    TURN_DAY,    /* the first of its day */
    TURN_WITHIN, /* a clear drop on a day that has turned, or began with us */
};

static enum turn turn_of(const struct window *window, int64_t turned_at, int64_t at, double value)
{
    double last = window_value(window);
    if (window->count == 0 || value >= last) {
        return TURN_NONE;
    }
    if (at / COUNTER_DAY_MS != turned_at / COUNTER_DAY_MS) {
        return TURN_DAY;
    }
    return value < last * COUNTER_CLEAR_DROP ? TURN_WITHIN : TURN_NONE;
}

/* A drop was not believed yet at `at`, the time of a reading. */
static bool doubts(const struct window *window, const struct window_rule *rule, int64_t at)
{
    return window->covered_since < WINDOW_BROKEN && window->covered_since > at - rule->period_ms;
}

void counter_add(struct window *window, int64_t *turned_at, const struct window_rule *rule,
                 int64_t at, int64_t now, double value)
{
    if (at < window->last_at) {
        return;
    }
    enum turn turn = turn_of(window, *turned_at, at, value);
    /* A drop that is not believed yet is not believed for the next reading's sake. */
    bool young = turn != TURN_DAY && doubts(window, rule, at);
    if (turn != TURN_NONE) {
        window->count = 0;
    }
    if (turn != TURN_NONE || *turned_at == WINDOW_NEVER) {
        *turned_at = at;
    }
    window_add(window, rule, at, now, value);
    if (turn == TURN_WITHIN) {
        window->covered_since = now;
    } else if (!young && window->good_at == at) {
        window->covered_since = at - rule->period_ms;
    }
}

void counter_break(struct window *window, const struct window_rule *rule, int64_t now)
{
    if (doubts(window, rule, window->last_at)) {
        window->covered_since = now;
    } else {
        window_break(window);
    }
}
