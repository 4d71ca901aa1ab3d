#include "estimator/counter.h"

#include <check.h>
#include <time.h>

#define S 1000LL
#define MIN (60 * S)
#define MIB (1024.0 * 1024.0)

static const struct window_rule rule = {
    .period_ms = 300 * S, .interval_ms = 60 * S, .max_gap_ms = 180 * S};

static struct window window;
static int64_t turned_at;

static void setup(void)
{
    window_init(&window);
    turned_at = WINDOW_NEVER;
}

static void teardown(void)
{
    window_fini(&window);
}

static void add(int64_t at, double value)
{
    counter_add(&window, &turned_at, &rule, at, at, value);
    window_expire(&window, &rule, at);
}

static void check(int64_t now, double max, enum input_cover cover)
{
    window_expire(&window, &rule, now);
    ck_assert(isnan(max) ? isnan(window_max(&window)) : window_max(&window) == max);
    ck_assert_int_eq(window_cover(&window, &rule, now), cover);
}

/* Milliseconds of a UTC midnight. */
static int64_t midnight(int year, int month, int day)
{
    struct tm tm = {.tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day};
    return (int64_t)timegm(&tm) * S;
}

START_TEST(one_reading_covers_and_a_rise_counts_at_once)
{
    int64_t at = midnight(2026, 11, 24) + 10 * 60 * MIN;
    check(at, NAN, COVER_NEVER);
    add(at, 5 * MIB);
    check(at, 5 * MIB, COVER_YES);
    add(at + MIN, 6 * MIB);
    check(at + MIN, 6 * MIB, COVER_YES);
    check(at + MIN + 181 * S, 6 * MIB, COVER_STALE);
    add(at + 600 * MIN, 90 * MIB); /* after a long silence */
    check(at + 600 * MIN, 90 * MIB, COVER_YES);
}
END_TEST

/* Midnights that programs have failed at. */
static const struct {
    int year, month, day;
} nights[] = {
    {2026, 11, 24}, {2026, 12, 1}, {2027, 1, 1}, {2027, 2, 28}, {2027, 3, 1},
    {2028, 2, 29},  {2028, 3, 1},  {2100, 3, 1}, {2026, 3, 29}, {2026, 10, 25},
};

START_TEST(a_day_begins_anew_at_the_second_of_midnight)
{
    int64_t night = midnight(nights[_i].year, nights[_i].month, nights[_i].day);
    add(night - 60 * MIN, 80 * MIB);
    add(night - 1, 90 * MIB);
    check(night - 1, 90 * MIB, COVER_YES);
    add(night, 89 * MIB); /* of a busy night: already as much as that, and yet a new day */
    check(night, 89 * MIB, COVER_YES);
    ck_assert_int_eq(turned_at, night);
}
END_TEST

START_TEST(nothing_turns_a_millisecond_before_midnight)
{
    int64_t night = midnight(nights[_i].year, nights[_i].month, nights[_i].day);
    add(night - 23 * 60 * MIN, 1 * MIB);
    add(night - MIN, 90 * MIB);
    add(night - 1, 89 * MIB); /* late figures may be a little lower */
    check(night - 1, 90 * MIB, COVER_YES);
    check(night + MIN, 90 * MIB, COVER_YES);
}
END_TEST

START_TEST(a_vendor_that_is_late_turns_the_day_when_its_figure_drops)
{
    int64_t night = midnight(2026, 12, 1);
    add(night - MIN, 90 * MIB);
    add(night + 1 * S, 90 * MIB);
    add(night + 61 * S, 91 * MIB); /* still yesterday's */
    check(night + 61 * S, 91 * MIB, COVER_YES);
    add(night + 121 * S, 0);
    check(night + 121 * S, 0, COVER_YES); /* and zero is no silence */
    add(night + 181 * S, 1 * MIB);
    check(night + 181 * S, 1 * MIB, COVER_YES);
}
END_TEST

START_TEST(a_drop_at_noon_must_last_a_window)
{
    int64_t noon = midnight(2026, 11, 24) + 12 * 60 * MIN;
    add(noon - 13 * 60 * MIN, 70 * MIB);
    add(noon - 12 * 60 * MIN, 1 * MIB); /* the day has turned */
    add(noon, 90 * MIB);
    add(noon + MIN, 0);
    for (int i = 2; i <= 5; i++) {
        add(noon + i * MIN, 0);
        check(noon + i * MIN, 0, COVER_YOUNG);
    }
    add(noon + 6 * MIN, 1);
    check(noon + 6 * MIN, 1, COVER_YES);
}
END_TEST

START_TEST(a_mistake_of_one_reading_lowers_nothing)
{
    int64_t noon = midnight(2026, 11, 24) + 12 * 60 * MIN;
    add(noon, 90 * MIB); /* the first reading ever: no midnight was seen */
    add(noon + MIN, 0);
    check(noon + MIN, 0, COVER_YOUNG);
    add(noon + 2 * MIN, 90 * MIB);
    check(noon + 2 * MIN, 90 * MIB, COVER_YOUNG);
    add(noon + 20 * MIN, 1 * MIB); /* nor does a silence behind it make it true */
    check(noon + 20 * MIN, 1 * MIB, COVER_YOUNG);
}
END_TEST

START_TEST(a_late_sample_says_nothing)
{
    int64_t night = midnight(2026, 12, 1);
    add(night - MIN, 90 * MIB);
    add(night + MIN, 1 * MIB);
    counter_add(&window, &turned_at, &rule, night - S, night + 2 * MIN, 91 * MIB);
    check(night + 2 * MIN, 1 * MIB, COVER_YES);
}
END_TEST

START_TEST(a_break_is_over_with_the_next_reading)
{
    int64_t noon = midnight(2026, 11, 24) + 12 * 60 * MIN;
    add(noon, 90 * MIB);
    counter_break(&window, &rule, noon);
    check(noon, 90 * MIB, COVER_YOUNG);
    add(noon + MIN, 90 * MIB);
    check(noon + MIN, 90 * MIB, COVER_YES);
}
END_TEST

START_TEST(a_drop_that_is_doubted_is_doubted_anew_after_a_break)
{
    int64_t noon = midnight(2026, 11, 24) + 12 * 60 * MIN;
    add(noon, 90 * MIB);
    add(noon + MIN, 1 * MIB);
    counter_break(&window, &rule, noon + 90 * S);
    counter_break(&window, &rule, noon + 100 * S); /* and another one before the next reading */
    for (int i = 2; i <= 6; i++) {
        add(noon + i * MIN, 1 * MIB);
        check(noon + i * MIN, 1 * MIB, COVER_YOUNG);
    }
    add(noon + 7 * MIN, 1 * MIB);
    check(noon + 7 * MIN, 1 * MIB, COVER_YES);
}
END_TEST

/* However far the clock jumped, no reading came meanwhile. */
START_TEST(a_clock_that_jumped_makes_no_drop_true)
{
    int64_t noon = midnight(2026, 11, 24) + 12 * 60 * MIN;
    add(noon, 90 * MIB);
    add(noon + MIN, 1 * MIB);
    counter_break(&window, &rule, noon + 60 * MIN);
    add(noon + 61 * MIN, 1 * MIB);
    check(noon + 61 * MIN, 1 * MIB, COVER_YOUNG);
}
END_TEST

START_TEST(a_year_of_readings_is_followed)
{
    int64_t from = midnight(2028, 1, 1);
    for (int64_t minute = 0; minute < 366 * 1440; minute += 7) {
        int64_t at = from + minute * MIN;
        double used = (double)(at % COUNTER_DAY_MS) * (1 + (double)(minute / 1440 % 7));
        add(at, used);
        check(at, used, COVER_YES);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("counter");
    TCase *all = tcase_create("all");
    int count = (int)(sizeof nights / sizeof nights[0]);
    tcase_add_checked_fixture(all, setup, teardown);
    tcase_add_test(all, one_reading_covers_and_a_rise_counts_at_once);
    tcase_add_loop_test(all, a_day_begins_anew_at_the_second_of_midnight, 0, count);
    tcase_add_loop_test(all, nothing_turns_a_millisecond_before_midnight, 0, count);
    tcase_add_test(all, a_vendor_that_is_late_turns_the_day_when_its_figure_drops);
    tcase_add_test(all, a_drop_at_noon_must_last_a_window);
    tcase_add_test(all, a_mistake_of_one_reading_lowers_nothing);
    tcase_add_test(all, a_late_sample_says_nothing);
    tcase_add_test(all, a_break_is_over_with_the_next_reading);
    tcase_add_test(all, a_drop_that_is_doubted_is_doubted_anew_after_a_break);
    tcase_add_test(all, a_clock_that_jumped_makes_no_drop_true);
    tcase_add_test(all, a_year_of_readings_is_followed);
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
