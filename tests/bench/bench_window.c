/*
 * The window beside a hand-written loop that does the least a sliding maximum can: the same
 * monotonic deque keyed by the end of force, in a fixed array, with no bound, no coverage, no late
 * samples. One update is: a sample, then the maximum. A thousand windows lie in the cache, a
 * million do not.
 */
#include "common/clock.h"
#include "estimator/window.h"

#include <stdio.h>

#define PERIOD_MS 300000
#define STEP_MS 60000
#define TURNS 15
#define SLOTS 8 /* a 300 s window at a 60 s interval has at most 6 */

struct bare {
    int64_t end[SLOTS];
    double value[SLOTS];
    unsigned head, count;
};

static inline double bare_step(struct bare *bare, int64_t now, double value)
{
    if (bare->count > 0) {
        bare->end[(bare->head + bare->count - 1) % SLOTS] = now;
    }
    while (bare->count > 0 && bare->value[(bare->head + bare->count - 1) % SLOTS] <= value) {
        bare->count--;
    }
    bare->end[(bare->head + bare->count) % SLOTS] = INT64_MAX;
    bare->value[(bare->head + bare->count) % SLOTS] = value;
    bare->count++;
    while (bare->end[bare->head] <= now - PERIOD_MS) {
        bare->head = (bare->head + 1) % SLOTS;
        bare->count--;
    }
    return bare->value[bare->head];
}

static double *values;
#define VALUES (1 << 20)

static const struct window_rule rule = {PERIOD_MS, STEP_MS, 3 * STEP_MS, PERIOD_MS};

static double run_bare(struct bare *all, size_t count, size_t rounds, double *sum)
{
    int64_t begun = dyn_clock_boot_ns();
    size_t v = 0;
    for (size_t round = 0; round < rounds; round++) {
        int64_t now = (int64_t)(round + 1) * STEP_MS;
        for (size_t i = 0; i < count; i++) {
            *sum += bare_step(&all[i], now, values[v++ & (VALUES - 1)]);
        }
    }
    return (double)(dyn_clock_boot_ns() - begun) / (double)(count * rounds);
}

static double run_window(struct window *all, size_t count, size_t rounds, double *sum)
{
    int64_t begun = dyn_clock_boot_ns();
    size_t v = 0;
    for (size_t round = 0; round < rounds; round++) {
        int64_t now = (int64_t)(round + 1) * STEP_MS;
        for (size_t i = 0; i < count; i++) {
            window_add(&all[i], &rule, now, now, values[v++ & (VALUES - 1)]);
            *sum += window_max(&all[i]);
        }
    }
    return (double)(dyn_clock_boot_ns() - begun) / (double)(count * rounds);
}

static void measure(size_t count, size_t rounds)
{
    struct bare *bare = calloc(count, sizeof(*bare));
    struct window *windows = calloc(count, sizeof(*windows));
    double sums[2] = {0, 0};
    double best[2] = {1e9, 1e9};
    for (size_t i = 0; i < count; i++) {
        window_init(&windows[i]);
    }
    /* Warm up: rings grow, pages come. Then the best of some, taken in turns. */
    (void)run_bare(bare, count, 10, &sums[0]);
    (void)run_window(windows, count, 10, &sums[1]);
    for (int turn = 0; turn < TURNS; turn++) {
        memset(bare, 0, count * sizeof(*bare));
        for (size_t i = 0; i < count; i++) {
            windows[i].count = 0;
            windows[i].last_at = windows[i].good_at = windows[i].zero_since = WINDOW_NEVER;
            windows[i].covered_since = INT64_MAX;
        }
        sums[0] = sums[1] = 0;
        double ns = run_bare(bare, count, rounds, &sums[0]);
        best[0] = ns < best[0] ? ns : best[0];
        ns = run_window(windows, count, rounds, &sums[1]);
        best[1] = ns < best[1] ? ns : best[1];
    }
    printf(
        "window  %8zu windows: %5.1f ns an update, bare loop %5.1f ns: %.2f times (limit 1.5)%s\n",
        count, best[1], best[0], best[1] / best[0], sums[0] == sums[1] ? "" : "  MAXIMA DIFFER");
    for (size_t i = 0; i < count; i++) {
        window_fini(&windows[i]);
    }
    free(bare);
    free(windows);
}

int main(void)
{
    values = malloc(VALUES * sizeof(*values));
    if (values == NULL) {
        return EXIT_FAILURE;
    }
    for (size_t i = 0; i < VALUES; i++) {
        values[i] = (double)(dyn_random() % 100000);
    }
    measure(1000, 1000);
    measure(1000000, 10);
    free(values);
    return EXIT_SUCCESS;
}
