/*
 * What ran when, what a target makes of a value (Kubernetes' own examples among them), and what a
 * fold does with both.
 */
#include "estimator/running.h"

#include "estimator/fold.h"

#include <check.h>
#include <math.h>

static struct running running;
static struct config_input input;

static void setup(void)
{
    running = (struct running){.count = 0};
    input = (struct config_input){.conversion = CONFIG_TARGET, .target = 100, .tolerance = 0.1};
}

/* ---- the arithmetic ---- */

static const struct {
    double target, value;
    int32_t runs, wanted;
} examples[] = {
    /* Kubernetes' documentation of the HorizontalPodAutoscaler: 200m of 100m doubles, 50m of 100m
     * halves, 305% of 50% makes one pod seven; what is nearer to 1 than 0.1 changes nothing. */
    {100, 200, 4, 8},
    {100, 50, 4, 2},
    {50, 305, 1, 7},
    {100, 109.9, 10, 10},
    {100, 90.1, 10, 10},
    {100, 90, 10, 10},  /* 1 - 0.9 is less than 0.1 in binary */
    {100, 110, 10, 11}, /* and 1.1 - 1 is more */
    {100, 111, 10, 12}, /* ceil(11.1) */
    {100, 89, 10, 9},   /* ceil(8.9) */
    /* Of the tests of its calculator: means of pods against a target. */
    {30, 50, 3, 5},
    {15000, 20000, 3, 4},
    {20000, 20666.6, 3, 3},
    {50, 28, 5, 3},
    {20000, 12000, 5, 3},
    {100, 101.6, 3, 3},
    /* bounds */
    {100, 0, 10, 0},
    {100, 0.001, 10, 1},
    {300, 480, 1, 2},
    {1e-9, 1e15, 255, FOLD_RESOURCES_MAX},
    {1e-9, 1e308, 255, FOLD_RESOURCES_MAX},
    {1e15, 1e-300, 255, 1},
    {1e15, 1e15, 255, 255},
};

START_TEST(what_runs_follows_the_ratio_as_in_kubernetes)
{
    input.target = examples[_i].target;
    int32_t runs = examples[_i].runs;
    int32_t asked = running_estimate(&input, examples[_i].value, runs, runs);
    ck_assert_msg(asked == examples[_i].wanted, "%g of %g with %d: %d, not %d", examples[_i].value,
                  examples[_i].target, (int)runs, (int)asked, (int)examples[_i].wanted);
}
END_TEST

START_TEST(the_tolerance_may_be_another_or_none)
{
    input.tolerance = 0.5;
    ck_assert_int_eq(running_estimate(&input, 149, 10, 10), 10);
    ck_assert_int_eq(running_estimate(&input, 151, 10, 10), 16);
    input.tolerance = 0;
    ck_assert_int_eq(running_estimate(&input, 100, 10, 10), 10);
    ck_assert_int_eq(running_estimate(&input, 101, 10, 10), 11);
    ck_assert_int_eq(running_estimate(&input, 99, 10, 10), 10);
}
END_TEST

START_TEST(what_was_given_a_moment_ago_is_not_asked_for_twice)
{
    /* From 5 to 10, and the value still shows the 5. */
    ck_assert_int_eq(running_estimate(&input, 200, 10, 5), 10);
    /* It grew meanwhile: only what goes beyond. */
    ck_assert_int_eq(running_estimate(&input, 300, 10, 5), 15);
    /* Above its target it never asks for less than what runs. */
    ck_assert_int_eq(running_estimate(&input, 120, 10, 1), 10);
    ck_assert_int_eq(running_estimate(&input, 1e308, 10, 0), 10);
    /* Below it the fewest do not count. */
    ck_assert_int_eq(running_estimate(&input, 50, 10, 1), 5);
}
END_TEST

/* ---- what ran when ---- */

static int32_t ran(int64_t at)
{
    int32_t runs = -1;
    int32_t fewest = -1;
    return running_at(&running, at, 0, &runs, &fewest) ? runs : -1;
}

static int32_t fewest_of(int64_t at, int64_t settle_ms)
{
    int32_t runs = -1;
    int32_t fewest = -1;
    return running_at(&running, at, settle_ms, &runs, &fewest) ? fewest : -1;
}

START_TEST(nothing_is_known_before_it_was_told_nor_an_hour_after)
{
    ck_assert_int_eq(ran(1000), -1);
    running_add(&running, 1000, 5);
    ck_assert_int_eq(ran(999), -1);
    ck_assert_int_eq(ran(1000), 5);
    ck_assert_int_eq(ran(1000 + RUNNING_OLD_MS), 5);
    ck_assert_int_eq(ran(1001 + RUNNING_OLD_MS), -1);
    running_add(&running, 2000, 5);
    ck_assert_int_eq(ran(1001 + RUNNING_OLD_MS), 5);
}
END_TEST

START_TEST(a_late_value_meets_what_ran_at_its_time)
{
    running_add(&running, 1000, 5);
    running_add(&running, 2000, 8);
    running_add(&running, 3000, 2);
    ck_assert_int_eq(ran(1999), 5);
    ck_assert_int_eq(ran(2000), 8);
    ck_assert_int_eq(ran(2999), 8);
    ck_assert_int_eq(ran(9000), 2);
    ck_assert_int_eq(fewest_of(2500, 0), 8);
    ck_assert_int_eq(fewest_of(2500, 500), 8);
    ck_assert_int_eq(fewest_of(2500, 501), 5);
    ck_assert_int_eq(fewest_of(2500, INT64_C(1) << 40), 5);
    ck_assert_int_eq(fewest_of(3000, 10), 2);
}
END_TEST

START_TEST(nothing_is_in_proportion_to_nothing)
{
    running_add(&running, 1000, 0);
    ck_assert_int_eq(ran(1500), -1);
    running_add(&running, 2000, 3);
    ck_assert_int_eq(ran(2500), 3);
    ck_assert_int_eq(fewest_of(2500, 1000), 0);
}
END_TEST

START_TEST(what_is_no_quantity_changes_nothing)
{
    const double wrong[] = {-1, 0.5, 255.5, 256, 1e308, (double)NAN, (double)INFINITY};
    running_add(&running, 1000, 5);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        running_add(&running, 2000, wrong[i]);
        ck_assert_int_eq(ran(3000), 5);
        ck_assert_int_eq(running.seen_at, 1000);
    }
    running_add(&running, 2000, 255);
    ck_assert_int_eq(ran(3000), 255);
}
END_TEST

START_TEST(what_is_older_than_what_is_known_is_not_taken)
{
    running_add(&running, 100000, 5);
    running_add(&running, 100000 - RUNNING_JITTER_MS - 1, 9);
    ck_assert_int_eq(ran(100000), 5);
    ck_assert_uint_eq(running.count, 1);
    /* Told later and of about the same time: the log's order counts. */
    running_add(&running, 99000, 9);
    ck_assert_int_eq(ran(100000), 9);
    ck_assert_int_eq(ran(99999), -1);
}
END_TEST

START_TEST(the_oldest_change_is_forgotten_at_the_bound)
{
    for (int i = 0; i < RUNNING_KEPT + 5; i++) {
        running_add(&running, 1000 * (i + 1), i % 2 == 0 ? 3 : 4);
    }
    ck_assert_uint_eq(running.count, RUNNING_KEPT);
    ck_assert_int_eq(ran(5999), -1);
    ck_assert_int_eq(ran(6000), 4);
    ck_assert_int_eq(ran(1000 * (RUNNING_KEPT + 5)), 3);
}
END_TEST

/* ---- in a fold; times are seconds ---- */

#define SERIES 11
#define RUNNING 12
#define SHOP 1001

static struct config_controller controller;
static struct config_app app;
static struct config config;
static struct fold *fold;
static struct target got;
static size_t given;
static char events[1024];
static int64_t now_s;
static uint64_t seq;       /* of entries */
static uint64_t batch_seq; /* of batches */

static void take_target(void *arg, const struct target *target, bool changed)
{
    (void)arg;
    got = *target;
    given += changed;
}

static void take_event(void *arg, const struct event *event)
{
    (void)arg;
    size_t len = strlen(events);
    (void)snprintf(events + len, sizeof events - len, DYN_STR_FMT "%s ", DYN_STR_ARG(event->code),
                   event->state == EVENT_RAISED ? "+" : "-");
}

static const struct fold_out out = {.target = take_target, .event = take_event};

static void fold_setup(void)
{
    setup();
    input.name = "p95";
    input.interval_ms = 10000;
    input.hysteresis_period_ms = 300000;
    input.max_gap_ms = 30000;
    input.doubt_zero_ms = 300000;
    input.settle_ms = 60000;
    input.series = SERIES;
    controller = (struct config_controller){.name = "web",
                                            .id = SHOP,
                                            .running_series = RUNNING,
                                            .needs_running = true,
                                            .min_resource = 2,
                                            .max_resource = 50,
                                            .inputs = &input,
                                            .inputs_count = 1};
    app = (struct config_app){
        .name = "shop", .interval_ms = 5000, .controllers = &controller, .controllers_count = 1};
    config = (struct config){.apps = &app, .apps_count = 1, .hash = 77};
    fold = fold_new(&config, 0);
    ck_assert_ptr_nonnull(fold);
    memset(&got, 0, sizeof got);
    given = 0;
    events[0] = '\0';
    now_s = 1000;
    seq = 0;
    batch_seq = 0;
}

static void fold_teardown(void)
{
    fold_free(fold);
}

static void say(uint64_t series, int64_t age_s, double value)
{
    struct sample sample = {.series = series, .age_ms = age_s * 1000, .value = value};
    struct batch batch = {.member = DYN_STR("c1"), .seq = ++batch_seq, .count = 1};
    fold_batch(fold, (struct entry_id){(uint64_t)now_s * 1000, ++seq}, &batch, &sample, &out);
}

static void tick(void)
{
    struct tick tick = {.epoch = 1, .config = 77, .elapsed_ms = now_s > 1000 ? 1000 : 0};
    fold_tick(fold, (struct entry_id){(uint64_t)now_s * 1000, ++seq}, &tick, &out);
}

/* `runs` is told each minute, the value every ten seconds, for so long. */
static void run(int64_t seconds, int32_t runs, double value)
{
    for (int64_t end = now_s + seconds; now_s < end; now_s++) {
        if (runs >= 0 && now_s % 60 == 0) {
            say(RUNNING, 0, runs);
        }
        if (now_s % 10 == 0) {
            say(SERIES, 0, value);
        }
        tick();
    }
}

START_TEST(a_target_is_not_given_before_it_is_known_what_runs)
{
    run(170, -1, 200);
    ck_assert_uint_eq(given, 0);
    ck_assert_str_eq(events, "");
    run(30, -1, 200);
    ck_assert_uint_eq(given, 0);
    ck_assert_str_eq(events, "running_unknown+ ");
    say(RUNNING, 0, 4);
    run(60, -1, 200);
    ck_assert_int_eq(got.rung, 8);
    ck_assert(got.raise_only);
    ck_assert_double_eq(got.inputs[0].value, 200);
    ck_assert_double_eq(got.inputs[0].max, 200);
    ck_assert_int_eq(got.inputs[0].estimate, 8);
    ck_assert_str_eq(events, "running_unknown+ running_unknown- ");
}
END_TEST

START_TEST(a_rise_is_decided_on_the_batch_that_brings_it)
{
    run(700, 10, 100);
    ck_assert_int_eq(got.rung, 10);
    ck_assert(!got.raise_only);
    size_t before = given;
    say(SERIES, 0, 151);
    ck_assert_uint_eq(given, before + 1);
    ck_assert_int_eq(got.rung, 16);
    ck_assert_uint_eq(got.decided.seq, seq);
}
END_TEST

START_TEST(a_change_that_the_value_does_not_show_yet_is_not_made_twice)
{
    run(700, 5, 100);
    run(20, 5, 200);
    ck_assert_int_eq(got.rung, 10);
    say(RUNNING, 0, 10);
    run(60, 10, 200); /* the new dynos boot */
    ck_assert_int_eq(got.rung, 10);
    run(600, 10, 100);
    ck_assert_int_eq(got.rung, 10);
    run(60, 10, 200); /* and now it is twice too much again */
    ck_assert_int_eq(got.rung, 20);
}
END_TEST

START_TEST(the_window_keeps_what_was_asked_for_and_not_values)
{
    run(700, 10, 200);
    ck_assert_int_eq(got.rung, 20);
    /* 20 run, which brings it to the target: the 200 of before must not be set against the 20. */
    say(RUNNING, 0, 20);
    run(900, 20, 100);
    ck_assert_int_eq(got.rung, 20);
    ck_assert(!got.raise_only);
    /* Half the load: it falls after a whole window, to 10, and what runs meanwhile changes nothing.
     */
    run(280, 20, 50);
    ck_assert_int_eq(got.rung, 20);
    run(40, 20, 50);
    ck_assert_int_eq(got.rung, 10);
    say(RUNNING, 0, 15);
    run(120, 15, 66.6);
    ck_assert_int_eq(got.rung, 10);
    say(RUNNING, 0, 10);
    run(900, 10, 100);
    ck_assert_int_eq(got.rung, 10);
}
END_TEST

START_TEST(nothing_falls_while_it_is_not_known_what_runs)
{
    run(700, 10, 100);
    run(400, 10, 20);
    ck_assert_int_eq(got.rung, 2);
    ck_assert(!got.raise_only);
    /* The last word is an hour old: values go on, and say nothing. */
    run(RUNNING_OLD_MS / 1000 + 70, -1, 20);
    ck_assert(got.raise_only);
    ck_assert_int_eq(got.inputs[0].health, INPUT_OK);
    ck_assert_int_eq(got.inputs[0].cover, COVER_STALE);
    run(180, -1, 20);
    ck_assert_str_eq(events, "running_unknown+ ");
    run(200, 10, 20);
    ck_assert(got.raise_only);
    ck_assert_str_eq(events, "running_unknown+ running_unknown- ");
    run(300, 10, 20);
    ck_assert(!got.raise_only);
}
END_TEST

START_TEST(nothing_is_decided_for_an_app_at_zero)
{
    run(700, 10, 100);
    ck_assert_int_eq(got.rung, 10);
    say(RUNNING, 0, 0);
    run(600, 0, 0);
    ck_assert_int_eq(got.rung, 10);
    ck_assert(got.raise_only);
}
END_TEST

START_TEST(zeros_after_demand_are_doubted_and_then_ask_for_the_minimum)
{
    run(700, 10, 100);
    run(590, 10, 0);
    ck_assert(got.raise_only);
    ck_assert_int_eq(got.inputs[0].cover, COVER_DOUBT);
    run(30, 10, 0);
    ck_assert(!got.raise_only);
    ck_assert_int_eq(got.rung, 2);
    ck_assert_int_eq(got.reason, TARGET_AT_MIN);
}
END_TEST

START_TEST(a_value_beyond_all_belief_asks_for_the_maximum)
{
    run(700, 10, 100);
    say(SERIES, 0, 1e308);
    ck_assert_int_eq(got.rung, 50);
    ck_assert_int_eq(got.estimate, FOLD_RESOURCES_MAX);
    ck_assert_int_eq(got.reason, TARGET_AT_MAX);
}
END_TEST

START_TEST(a_break_of_the_log_ends_coverage_of_both_windows)
{
    run(700, 10, 100);
    ck_assert(!got.raise_only);
    struct tick broken = {.epoch = 1, .config = 77, .elapsed_ms = 1000, .breaks = BREAK_REDIS};
    fold_tick(fold, (struct entry_id){(uint64_t)now_s++ * 1000, ++seq}, &broken, &out);
    ck_assert(got.raise_only);
    run(290, 10, 100);
    ck_assert(got.raise_only);
    run(30, 10, 100);
    ck_assert(!got.raise_only);
}
END_TEST

START_TEST(a_fold_that_begins_later_comes_to_the_same)
{
    run(400, 5, 100);
    run(300, 10, 150);
    struct fold *first = fold;
    struct target whole = got;
    fold = fold_new(&config, 0);
    now_s -= 640; /* two windows and a little */
    seq += 100000;
    for (int64_t end = now_s + 340; now_s < end; now_s++) {
        if (now_s % 60 == 0) {
            say(RUNNING, 15, 5); /* restated with its age */
        }
        if (now_s % 10 == 0) {
            say(SERIES, 0, 100);
        }
        tick();
    }
    run(300, 10, 150);
    ck_assert_int_eq(got.rung, whole.rung);
    ck_assert_int_eq(got.raise_only, whole.raise_only);
    ck_assert_int_eq(got.inputs[0].estimate, whole.inputs[0].estimate);
    ck_assert_int_eq(got.inputs[0].cover, whole.inputs[0].cover);
    fold_free(first);
}
END_TEST

START_TEST(a_sample_of_what_runs_that_nobody_needs_is_unknown)
{
    struct fold_counts counts;
    controller.needs_running = false;
    input.conversion = CONFIG_PER_RESOURCE;
    input.per_resource = 10;
    fold_free(fold);
    fold = fold_new(&config, 0);
    say(RUNNING, 0, 5);
    say(SERIES, 0, 95);
    fold_counts(fold, &counts);
    ck_assert_uint_eq(counts.unknown, 1);
    ck_assert_int_eq(got.rung, 10);
}
END_TEST

/* ---- step ---- */

START_TEST(a_step_asks_by_its_table)
{
    static const struct config_step steps[] = {{10, 2}, {300, 4}, {800, 9}};
    static const struct {
        double value;
        int32_t wanted;
    } table[] = {{0, 0},      {9.999, 0}, {10, 2},   {299.9, 2}, {300, 4},
                 {799.99, 4}, {800, 9},   {1e15, 9}, {1e308, 9}};
    input.conversion = CONFIG_STEP;
    input.steps = steps;
    input.steps_count = sizeof steps / sizeof steps[0];
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        ck_assert_int_eq(fold_resources(&input, table[i].value), table[i].wanted);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("running");
    TCase *tests = tcase_create("running");
    tcase_add_checked_fixture(tests, setup, NULL);
    tcase_add_loop_test(tests, what_runs_follows_the_ratio_as_in_kubernetes, 0,
                        (int)(sizeof examples / sizeof examples[0]));
    tcase_add_test(tests, the_tolerance_may_be_another_or_none);
    tcase_add_test(tests, what_was_given_a_moment_ago_is_not_asked_for_twice);
    tcase_add_test(tests, nothing_is_known_before_it_was_told_nor_an_hour_after);
    tcase_add_test(tests, a_late_value_meets_what_ran_at_its_time);
    tcase_add_test(tests, nothing_is_in_proportion_to_nothing);
    tcase_add_test(tests, what_is_no_quantity_changes_nothing);
    tcase_add_test(tests, what_is_older_than_what_is_known_is_not_taken);
    tcase_add_test(tests, the_oldest_change_is_forgotten_at_the_bound);
    tcase_add_test(tests, a_step_asks_by_its_table);
    suite_add_tcase(suite, tests);
    TCase *folds = tcase_create("fold");
    tcase_add_checked_fixture(folds, fold_setup, fold_teardown);
    tcase_add_test(folds, a_target_is_not_given_before_it_is_known_what_runs);
    tcase_add_test(folds, a_rise_is_decided_on_the_batch_that_brings_it);
    tcase_add_test(folds, a_change_that_the_value_does_not_show_yet_is_not_made_twice);
    tcase_add_test(folds, the_window_keeps_what_was_asked_for_and_not_values);
    tcase_add_test(folds, nothing_falls_while_it_is_not_known_what_runs);
    tcase_add_test(folds, nothing_is_decided_for_an_app_at_zero);
    tcase_add_test(folds, zeros_after_demand_are_doubted_and_then_ask_for_the_minimum);
    tcase_add_test(folds, a_value_beyond_all_belief_asks_for_the_maximum);
    tcase_add_test(folds, a_break_of_the_log_ends_coverage_of_both_windows);
    tcase_add_test(folds, a_fold_that_begins_later_comes_to_the_same);
    tcase_add_test(folds, a_sample_of_what_runs_that_nobody_needs_is_unknown);
    suite_add_tcase(suite, folds);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
