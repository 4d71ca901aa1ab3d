/* What becomes of a fold when another leader takes the partition. */
#include "tests/unit/support_fold.h"

#define SERIES_RUNNING 44

START_TEST(ticks_of_a_lower_epoch_are_ignored)
{
    run(600, 1200, 901);
    epoch = 5;
    tick_with(1200 * 1000, (struct tick){0});
    size_t before = shop_got.count;
    tick_with(1201 * 1000, (struct tick){.epoch = 4, .breaks = BREAK_REDIS});
    ck_assert_uint_eq(shop_got.count, before);
    ck_assert(!shop_got.last.raise_only);
    struct fold_counts counts;
    fold_counts(fold, &counts);
    ck_assert_uint_eq(counts.ticks_ignored, 1);
}
END_TEST

START_TEST(a_tick_of_an_epoch_that_no_lease_can_have_is_ignored)
{
    run(600, 1200, 901);
    size_t before = shop_got.count;
    tick_with(1200 * 1000, (struct tick){.epoch = UINT64_MAX, .elapsed_ms = 1000});
    tick_with(1201 * 1000, (struct tick){.epoch = 1201 * 1000 + 86400001, .elapsed_ms = 1000});
    ck_assert_uint_eq(shop_got.count, before);
    ck_assert_uint_eq(fold_epoch(fold), epoch);
    struct fold_counts counts;
    fold_counts(fold, &counts);
    ck_assert_uint_eq(counts.ticks_ignored, 2);
    tick_with(1202 * 1000, (struct tick){.epoch = 1202 * 1000 + 86400000, .elapsed_ms = 1000});
    ck_assert_uint_gt(shop_got.count, before);
}
END_TEST

START_TEST(a_new_epoch_gives_every_target_again)
{
    run(600, 1200, 901);
    size_t before = shop_got.count;
    epoch = 9;
    tick_with(1200 * 1000, (struct tick){0});
    ck_assert_uint_eq(shop_got.count, before + 1);
    ck_assert_uint_eq(shop_got.last.epoch, 9);
}
END_TEST

START_TEST(a_new_epoch_tells_again_of_what_is_out)
{
    run(600, 1200, 901);
    for (int64_t t = 1200; t < 1800; t++) {
        tick(t);
    }
    events[0] = 0;
    tick(1800);
    ck_assert_str_eq(events, "");
    epoch = 2;
    tick_with(1801 * 1000, (struct tick){0});
    ck_assert_ptr_nonnull(strstr(events, "input_outage rpm raised"));
}
END_TEST

START_TEST(a_new_leader_tells_anew_what_is_above_all_plans)
{
    blog_scales_plans(PLAN_SIZE);
    run(600, 660, 50000);
    take_over();
    tick(660);
    ck_assert_str_eq(events, "above_plans users raised\nabove_plans users raised\n");
}
END_TEST

START_TEST(a_late_value_of_an_ignored_input_gives_a_new_leader_nothing)
{
    blog_inputs[0].on_outage = CONFIG_IGNORE;
    run(600, 1200, 901);
    for (int64_t t = 1200; t < 2400; t++) {
        tick(t);
    }
    epoch++;
    tick(2400);
    size_t before = blog_got.count;
    send_at(2401 * 1000, SERIES_BLOG, 500000, SAMPLE_GOOD, 1500);
    ck_assert_uint_eq(blog_got.count, before);
}
END_TEST

static uint64_t breaks(void)
{
    struct fold_counts counts;
    fold_counts(fold, &counts);
    return counts.jumps;
}

/* 901 at 1200 is in force until 1260, so that nothing may fall before 1560. The clock is set 100 s
 * ahead at 1330. */
START_TEST(a_clock_that_is_set_while_nobody_leads_ends_coverage)
{
    run(600, 1200, 250);
    for (int64_t t = 1200; t < 1560; t++) {
        int64_t log = t < 1330 ? t : t + 100;
        if (t % 60 == 0) {
            say(log, SERIES_BLOG, t == 1200 ? 901 : 250);
        }
        if (t == 1337) {
            take_over();
            tick(log);
        } else if (t < 1328 || t > 1337) {
            tick_with(log * 1000, (struct tick){.elapsed_ms = 1000});
        }
        ck_assert(t < 1200 || blog_got.last.rung == 10 || blog_got.last.raise_only);
    }
    ck_assert_uint_eq(breaks(), 1);
    ck_assert_ptr_nonnull(strstr(events, "log_break  once\n"));
}
END_TEST

START_TEST(a_successor_within_half_a_minute_keeps_coverage)
{
    run(600, 1200, 250);
    take_over();
    tick(1199 + 30);
    ck_assert(!blog_got.last.raise_only);
    take_over();
    tick_with(1229 * 1000 + 30001, (struct tick){0});
    ck_assert(blog_got.last.raise_only);
    ck_assert_uint_eq(breaks(), 1);
}
END_TEST

START_TEST(a_first_leader_finds_values_and_no_break)
{
    for (int64_t t = 600; t <= 900; t += 60) {
        say(t, SERIES_BLOG, 250);
    }
    tick(900);
    ck_assert_int_eq(blog_got.last.rung, 3);
    ck_assert(!blog_got.last.raise_only);
    ck_assert_uint_eq(breaks(), 0);
}
END_TEST

START_TEST(what_is_no_more_above_all_plans_is_told_by_the_next_leader)
{
    blog_scales_plans(PLAN_SIZE);
    run(600, 660, 50000);
    run(660, 955, 44999);
    say(960, SERIES_BLOG, 44999); /* nobody leads, and the high value leaves the window */
    events[0] = 0;
    take_over();
    tick(965);
    ck_assert_str_eq(events, "above_plans users over\n");
}
END_TEST

START_TEST(an_input_that_can_be_asked_again_is_told_by_the_next_leader)
{
    send_at(600 * 1000, SERIES_BLOG, 0, SAMPLE_DISABLED, 0);
    tick(601);
    take_over();
    tick(605);
    ck_assert_str_eq(events, "input_disabled users raised\ninput_disabled users raised\n");
    say(610, SERIES_BLOG, 250); /* nobody leads */
    events[0] = 0;
    take_over();
    tick(615);
    ck_assert_str_eq(events, "input_disabled users over\n");
}
END_TEST

/* Blog's target is in proportion to what runs, which nobody tells. */
static void blog_waits_for_what_runs(void)
{
    blog_inputs[0].conversion = CONFIG_TARGET;
    blog_inputs[0].target = 100;
    blog_controller.needs_running = true;
    blog_controller.running_series = SERIES_RUNNING;
    fold_again();
    run(600, 900, 250);
    ck_assert_str_eq(events, "running_unknown  raised\n");
}

START_TEST(what_runs_and_is_known_again_is_told_by_the_next_leader)
{
    blog_waits_for_what_runs();
    say(900, SERIES_RUNNING, 4); /* nobody leads */
    events[0] = 0;
    take_over();
    tick(905);
    ck_assert_str_eq(events, "running_unknown  over\n");
}
END_TEST

START_TEST(a_new_leader_tells_anew_that_what_runs_is_not_known)
{
    blog_waits_for_what_runs();
    take_over();
    tick(905);
    ck_assert_str_eq(events, "running_unknown  raised\nrunning_unknown  raised\n");
}
END_TEST

START_TEST(what_was_lost_while_nobody_led_is_told_with_the_next_first_tick)
{
    run(600, 660, 901);
    batch_seq += 3;
    say(660, SERIES_USERS, 5);
    events[0] = 0; /* nobody led: it was told to nobody */
    take_over();
    tick(665);
    ck_assert_str_eq(events, "samples_lost  once\n");
    ck_assert_uint_eq(told_epoch, epoch); /* a leader lets out what is told under its own */
    take_over();
    tick(670);
    ck_assert_str_eq(events, "samples_lost  once\n");
}
END_TEST

START_TEST(what_was_lost_under_a_leader_is_told_once)
{
    run(600, 660, 901);
    batch_seq += 3;
    say(660, SERIES_USERS, 5);
    tick(661);
    take_over();
    tick(665);
    ck_assert_str_eq(events, "samples_lost  once\n");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("fold_leaders");
    TCase *tests = tcase_create("fold_leaders");
    tcase_add_checked_fixture(tests, fold_setup, fold_teardown);
    tcase_add_test(tests, ticks_of_a_lower_epoch_are_ignored);
    tcase_add_test(tests, a_tick_of_an_epoch_that_no_lease_can_have_is_ignored);
    tcase_add_test(tests, a_new_epoch_gives_every_target_again);
    tcase_add_test(tests, a_new_epoch_tells_again_of_what_is_out);
    tcase_add_test(tests, a_new_leader_tells_anew_what_is_above_all_plans);
    tcase_add_test(tests, a_late_value_of_an_ignored_input_gives_a_new_leader_nothing);
    tcase_add_test(tests, a_clock_that_is_set_while_nobody_leads_ends_coverage);
    tcase_add_test(tests, a_successor_within_half_a_minute_keeps_coverage);
    tcase_add_test(tests, a_first_leader_finds_values_and_no_break);
    tcase_add_test(tests, what_is_no_more_above_all_plans_is_told_by_the_next_leader);
    tcase_add_test(tests, an_input_that_can_be_asked_again_is_told_by_the_next_leader);
    tcase_add_test(tests, what_runs_and_is_known_again_is_told_by_the_next_leader);
    tcase_add_test(tests, a_new_leader_tells_anew_that_what_runs_is_not_known);
    tcase_add_test(tests, what_was_lost_while_nobody_led_is_told_with_the_next_first_tick);
    tcase_add_test(tests, what_was_lost_under_a_leader_is_told_once);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
