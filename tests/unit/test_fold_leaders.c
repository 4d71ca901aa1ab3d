/* What becomes of a fold when another leader takes the partition. */
#include "tests/unit/support_fold.h"

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
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
