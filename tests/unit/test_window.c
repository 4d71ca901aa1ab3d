#include "estimator/window.h"

#include <check.h>
#include <float.h>
#include <math.h>
#include <stdio.h>

static const struct window_rule minute = {
    .period_ms = 300000, .interval_ms = 60000, .max_gap_ms = 180000, .doubt_zero_ms = 300000};

static struct window window;

static void setup(void)
{
    window_init(&window);
}

static void teardown(void)
{
    window_fini(&window);
}

static void add(int64_t at_s, double value)
{
    window_add(&window, &minute, at_s * 1000, at_s * 1000, value);
}

static double max_at(int64_t now_s)
{
    window_expire(&window, &minute, now_s * 1000);
    return window_max(&window);
}

static enum input_cover cover_at(int64_t now_s)
{
    return window_cover(&window, &minute, now_s * 1000);
}

START_TEST(an_empty_window_has_no_value_and_no_cover)
{
    ck_assert(isnan(window_max(&window)));
    ck_assert(isnan(window_value(&window)));
    ck_assert_int_eq(cover_at(1000), COVER_NEVER);
    ck_assert_int_eq(window_covered_at(&window, &minute, 1000), 0);
}
END_TEST

START_TEST(a_value_stays_in_force_until_the_next_one)
{
    add(1000, 500);
    ck_assert_double_eq(max_at(100000), 500);
    add(100000, 3);
    ck_assert_double_eq(window_value(&window), 3);
    ck_assert_double_eq(max_at(100299), 500);
    ck_assert_int_eq(window_max_until(&window), 100000 * 1000LL);
    ck_assert_double_eq(max_at(100300), 3);
}
END_TEST

START_TEST(a_late_value_counts_for_the_maximum_and_is_never_the_value)
{
    add(1000, 10);
    add(1060, 5);
    window_add(&window, &minute, 1030 * 1000, 1070 * 1000, 99);
    ck_assert_double_eq(window_value(&window), 5);
    ck_assert_double_eq(max_at(1070), 99);
    ck_assert_double_eq(max_at(1359), 99);
    ck_assert_double_eq(max_at(1360), 5);
}
END_TEST

START_TEST(a_late_value_below_the_newest_changes_nothing)
{
    add(1000, 10);
    add(1060, 50);
    window_add(&window, &minute, 1030 * 1000, 1070 * 1000, 20);
    ck_assert_double_eq(max_at(1070), 50);
    ck_assert_uint_eq(window.count, 1);
}
END_TEST

/* As a log drain tells what it knows at least: with an age above the interval. */
static void add_at_least(int64_t now_s, double value)
{
    window_add(&window, &minute, now_s * 1000 - minute.interval_ms - 1, now_s * 1000, value);
}

START_TEST(what_is_late_and_lower_ends_nothing)
{
    add(1000, 900);
    add_at_least(1120, 50);
    ck_assert_double_eq(window_value(&window), 900);
    ck_assert_int_eq(window_max_until(&window), INT64_MAX);
    ck_assert_double_eq(max_at(1400), 900);
    add(1180, 300);
    ck_assert_double_eq(max_at(1479), 900);
    ck_assert_double_eq(max_at(1480), 300);
}
END_TEST

START_TEST(what_is_late_and_higher_is_in_force_until_the_next_in_time)
{
    add(1000, 50);
    add_at_least(1120, 900);
    add_at_least(1180, 70);
    ck_assert_double_eq(window_value(&window), 900);
    add(1240, 40);
    ck_assert_double_eq(max_at(1539), 900);
    ck_assert_double_eq(max_at(1540), 40);
}
END_TEST

START_TEST(coverage_needs_a_whole_period_of_good_samples)
{
    for (int64_t t = 1000; t < 1300; t += 60) {
        add(t, 10);
        ck_assert_int_eq(cover_at(t), COVER_YOUNG);
        ck_assert_int_eq(window_covered_at(&window, &minute, t * 1000), 1300 * 1000);
    }
    ck_assert_int_eq(cover_at(1299), COVER_YOUNG);
    ck_assert_int_eq(cover_at(1300), COVER_YES);
}
END_TEST

START_TEST(a_gap_larger_than_max_gap_begins_coverage_anew)
{
    for (int64_t t = 1000; t <= 1300; t += 60) {
        add(t, 10);
    }
    ck_assert_int_eq(cover_at(1300), COVER_YES);
    ck_assert_int_eq(cover_at(1480), COVER_YES);
    ck_assert_int_eq(cover_at(1481), COVER_STALE);
    add(1481, 10);
    ck_assert_int_eq(cover_at(1481), COVER_YOUNG);
    ck_assert_int_eq(cover_at(1661), COVER_YOUNG);
}
END_TEST

START_TEST(samples_older_than_an_interval_do_not_cover)
{
    for (int64_t t = 1000; t <= 1600; t += 60) {
        window_add(&window, &minute, t * 1000, (t + 61) * 1000, 10);
    }
    ck_assert_int_eq(cover_at(1661), COVER_STALE);
    ck_assert_double_eq(max_at(1661), 10);
}
END_TEST

START_TEST(a_break_begins_coverage_anew)
{
    for (int64_t t = 1000; t <= 1300; t += 60) {
        add(t, 10);
    }
    window_break(&window);
    ck_assert_int_eq(cover_at(1300), COVER_YOUNG);
    ck_assert_int_eq(window_covered_at(&window, &minute, 1300 * 1000), 0);
    add(1360, 10);
    ck_assert_int_eq(cover_at(1539), COVER_YOUNG);
    ck_assert_int_eq(window_covered_at(&window, &minute, 1400 * 1000), 1660 * 1000);
}
END_TEST

START_TEST(a_sample_in_time_but_out_of_order_makes_nothing_older)
{
    for (int64_t t = 1000; t <= 1300; t += 60) {
        add(t, 10);
    }
    window_add(&window, &minute, 1250 * 1000, 1305 * 1000, 10);
    ck_assert_int_eq(cover_at(1480), COVER_YES);
    ck_assert_int_eq(cover_at(1481), COVER_STALE);
}
END_TEST

START_TEST(the_first_sample_covers_from_its_own_time_on)
{
    window_add(&window, &minute, 990 * 1000, 1000 * 1000, 10);
    ck_assert_int_eq(window_covered_at(&window, &minute, 1000 * 1000), 1290 * 1000);
}
END_TEST

START_TEST(equal_values_take_one_place)
{
    for (int64_t t = 1000; t <= 1300; t += 60) {
        add(t, 10);
        ck_assert_uint_eq(window.count, 1);
    }
}
END_TEST

START_TEST(a_sample_taken_before_a_break_covers_from_its_arrival_on)
{
    for (int64_t t = 1000; t <= 1300; t += 60) {
        add(t, 10);
    }
    window_break(&window);
    window_add(&window, &minute, 1290 * 1000, 1340 * 1000, 10);
    ck_assert_int_eq(window_covered_at(&window, &minute, 1340 * 1000), 1640 * 1000);
}
END_TEST

START_TEST(a_break_before_the_first_sample_is_remembered)
{
    window_break(&window);
    window_add(&window, &minute, 990 * 1000, 1000 * 1000, 10);
    ck_assert_int_eq(window_covered_at(&window, &minute, 1000 * 1000), 1300 * 1000);
}
END_TEST

START_TEST(zeros_after_demand_are_doubted_for_one_more_window)
{
    for (int64_t t = 1000; t <= 1300; t += 60) {
        add(t, 10);
    }
    for (int64_t t = 1360; t < 1960; t += 60) {
        add(t, 0);
        ck_assert_int_eq(cover_at(t), COVER_DOUBT);
        ck_assert_int_eq(window_covered_at(&window, &minute, t * 1000), 1960 * 1000);
    }
    ck_assert_int_eq(cover_at(1959), COVER_DOUBT);
    ck_assert_int_eq(cover_at(1960), COVER_YES);
}
END_TEST

START_TEST(zeros_are_doubted_anew_after_a_clock_that_jumped)
{
    add(1000, 10);
    add(1060, 0);
    window_break(&window);
    for (int64_t t = 4660; t < 5260; t += 60) {
        add(t, 0);
        ck_assert_int_ne(cover_at(t), COVER_YES);
    }
    ck_assert_int_eq(cover_at(5259), COVER_DOUBT);
    ck_assert_int_eq(cover_at(5260), COVER_YES);
}
END_TEST

START_TEST(a_late_demand_among_zeros_begins_their_doubt_anew)
{
    add(1000, 10);
    for (int64_t t = 1060; t <= 1660; t += 60) {
        add(t, 0);
    }
    ck_assert_int_eq(cover_at(1660), COVER_YES);
    window_add(&window, &minute, 1630 * 1000, 1700 * 1000, 5); /* in force until 1660 */
    ck_assert_int_eq(cover_at(1700), COVER_DOUBT);
    for (int64_t t = 1720; t <= 2220; t += 60) {
        add(t, 0);
    }
    ck_assert_int_eq(cover_at(2259), COVER_DOUBT);
    ck_assert_int_eq(cover_at(2260), COVER_YES);
}
END_TEST

START_TEST(a_late_zero_among_zeros_changes_no_doubt)
{
    for (int64_t t = 1000; t <= 1600; t += 60) {
        add(t, 0);
    }
    window_add(&window, &minute, 1530 * 1000, 1600 * 1000, 0);
    ck_assert_int_eq(cover_at(1600), COVER_YES);
}
END_TEST

START_TEST(zeros_without_demand_before_are_doubted_as_well)
{
    for (int64_t t = 1000; t <= 1600; t += 60) {
        add(t, 0);
    }
    ck_assert_int_eq(cover_at(1599), COVER_DOUBT);
    ck_assert_int_eq(cover_at(1600), COVER_YES);
}
END_TEST

START_TEST(zeros_are_believed_at_once_when_doubt_is_off)
{
    struct window_rule rule = minute;
    rule.doubt_zero_ms = 0;
    for (int64_t t = 1000; t <= 1300; t += 60) {
        window_add(&window, &rule, t * 1000, t * 1000, t < 1100 ? 10 : 0);
    }
    ck_assert_int_eq(window_cover(&window, &rule, 1300 * 1000), COVER_YES);
}
END_TEST

START_TEST(a_full_window_merges_and_never_says_less)
{
    struct window_rule rule = {INT64_C(1) << 40, 1000, 15000, 0};
    for (int i = 0; i < DYN_WINDOW_SPANS_MAX + 100; i++) {
        window_add(&window, &rule, i, i, 1e6 - i);
    }
    ck_assert_uint_le(window.count, DYN_WINDOW_SPANS_MAX);
    ck_assert_uint_eq(window.merged, 100);
    ck_assert_double_eq(window_max(&window), 1e6);
}
END_TEST

/* ---- the oracle: every sample's force kept in a list, searched whole ---- */

#define FORCES 4096
struct force {
    int64_t end;
    double value;
};
static struct force forces[FORCES];
static size_t forces_count;

static int64_t oracle_last_at;

static struct force *oracle_newest(void)
{
    for (size_t i = 0; i < forces_count; i++) {
        if (forces[i].end == INT64_MAX) {
            return &forces[i];
        }
    }
    return NULL;
}

static void oracle_add(int64_t at, int64_t now, double value)
{
    struct force *newest = oracle_newest();
    if (at < oracle_last_at) {
        forces[forces_count++] = (struct force){oracle_last_at, value};
        return;
    }
    if (newest != NULL && now - at > minute.interval_ms && value < newest->value) {
        return;
    }
    if (newest != NULL) {
        newest->end = at;
    }
    forces[forces_count++] = (struct force){INT64_MAX, value};
    oracle_last_at = at;
}

static double oracle_max(int64_t from)
{
    double max = NAN;
    size_t kept = 0;
    for (size_t i = 0; i < forces_count; i++) {
        if (forces[i].end > from) {
            max = isnan(max) || forces[i].value > max ? forces[i].value : max;
            forces[kept++] = forces[i];
        }
    }
    forces_count = kept;
    return max;
}

static uint64_t state = 88172645463325252U;
static uint64_t next_random(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static double hostile_value(void)
{
    static const double odd[] = {0, 0, DBL_MIN / 8, DBL_TRUE_MIN, DBL_MAX, 1e308, 1, 0.1, -0.0};
    uint64_t r = next_random();
    return r % 4 == 0 ? odd[(r >> 8) % (sizeof(odd) / sizeof(odd[0]))] : (double)(r >> 40);
}

static void walk(uint64_t samples, int64_t step_max)
{
    int64_t now = 1000000;
    oracle_last_at = INT64_MIN;
    forces_count = 0;
    for (uint64_t i = 0; i < samples; i++) {
        uint64_t r = next_random();
        int64_t step = (int64_t)(r % (uint64_t)step_max);
        now += r % 7 == 0 ? 0 : (r % 1009 == 0 ? step * 100 : step);
        int64_t age = r % 5 == 0 ? (int64_t)((r >> 20) % 400000) : 0;
        double value = hostile_value();
        window_add(&window, &minute, now - age, now, value);
        oracle_add(now - age, now, value);
        int64_t ask = now + (int64_t)((r >> 32) % 1000);
        window_expire(&window, &minute, ask);
        double want = oracle_max(ask - minute.period_ms);
        ck_assert_msg(window_max(&window) == want, "sample %llu: %g, the oracle says %g",
                      (unsigned long long)i, window_max(&window), want);
        now = ask;
    }
    ck_assert_uint_eq(window.merged, 0);
}

START_TEST(it_agrees_with_the_oracle_over_a_million_hostile_samples)
{
    walk(1000000, 60000);
}
END_TEST

START_TEST(it_agrees_with_the_oracle_when_samples_come_fast)
{
    walk(30000, 300);
}
END_TEST

/* Coverage by its definition: the in-time samples' times in order, walked back from the newest. */
START_TEST(coverage_agrees_with_its_definition)
{
    enum {
        COUNT = 3000
    };
    static int64_t good[COUNT];
    int64_t now = 1000000;
    for (int i = 0; i < COUNT; i++) {
        uint64_t r = next_random();
        now += (int64_t)(r % 40000) + (r % 50 == 0 ? 200000 : 0);
        good[i] = now;
        window_add(&window, &minute, now, now, 1 + (double)(r % 100));
        int64_t ask = now + (int64_t)(r >> 40) % 250000;
        int run = i;
        while (run > 0 && good[run] - good[run - 1] <= minute.max_gap_ms) {
            run--;
        }
        bool covered = good[run] <= ask - minute.period_ms && ask - now <= minute.max_gap_ms;
        ck_assert_int_eq(window_cover(&window, &minute, ask) == COVER_YES, covered);
        now = ask;
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("window");
    TCase *tests = tcase_create("window");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, an_empty_window_has_no_value_and_no_cover);
    tcase_add_test(tests, a_value_stays_in_force_until_the_next_one);
    tcase_add_test(tests, a_late_value_counts_for_the_maximum_and_is_never_the_value);
    tcase_add_test(tests, a_late_value_below_the_newest_changes_nothing);
    tcase_add_test(tests, what_is_late_and_lower_ends_nothing);
    tcase_add_test(tests, what_is_late_and_higher_is_in_force_until_the_next_in_time);
    tcase_add_test(tests, coverage_needs_a_whole_period_of_good_samples);
    tcase_add_test(tests, a_gap_larger_than_max_gap_begins_coverage_anew);
    tcase_add_test(tests, samples_older_than_an_interval_do_not_cover);
    tcase_add_test(tests, a_break_begins_coverage_anew);
    tcase_add_test(tests, a_sample_in_time_but_out_of_order_makes_nothing_older);
    tcase_add_test(tests, the_first_sample_covers_from_its_own_time_on);
    tcase_add_test(tests, equal_values_take_one_place);
    tcase_add_test(tests, a_sample_taken_before_a_break_covers_from_its_arrival_on);
    tcase_add_test(tests, a_break_before_the_first_sample_is_remembered);
    tcase_add_test(tests, zeros_after_demand_are_doubted_for_one_more_window);
    tcase_add_test(tests, zeros_are_doubted_anew_after_a_clock_that_jumped);
    tcase_add_test(tests, a_late_demand_among_zeros_begins_their_doubt_anew);
    tcase_add_test(tests, a_late_zero_among_zeros_changes_no_doubt);
    tcase_add_test(tests, zeros_without_demand_before_are_doubted_as_well);
    tcase_add_test(tests, zeros_are_believed_at_once_when_doubt_is_off);
    tcase_add_test(tests, a_full_window_merges_and_never_says_less);
    tcase_add_test(tests, it_agrees_with_the_oracle_over_a_million_hostile_samples);
    tcase_add_test(tests, it_agrees_with_the_oracle_when_samples_come_fast);
    tcase_add_test(tests, coverage_agrees_with_its_definition);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
