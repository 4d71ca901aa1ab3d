#include "collector/figures.h"

#include <check.h>
#include <stdlib.h>

static struct figures figures;
static struct dyn_error why;
static double value;

static void setup(void)
{
    figures_begin(&figures, 6);
    why = (struct dyn_error){""};
    value = -1;
}

static void add(size_t index, const char *field, const char *count)
{
    figures_add(&figures, index, dyn_str_from(field), dyn_str_from(count));
}

/* Each bucket has heard a line. */
static void heard(void)
{
    for (size_t i = 0; i < figures.count; i++) {
        add(i, "l", "1");
    }
}

static enum figures_state read_as(enum figure figure)
{
    return figures_value(&figures, figure, false, &value, &why);
}

static void whole(enum figure figure, double expected)
{
    ck_assert_int_eq(read_as(figure), FIGURES_WHOLE);
    ck_assert_double_eq(value, expected);
}

START_TEST(requests_are_counted_over_the_period_and_told_a_minute)
{
    heard();
    add(0, "n", "100");
    add(5, "n", "20");
    whole(FIGURE_RPM, 120);
    figures_begin(&figures, 2); /* 20 s; the bucket before is looked at for silence only */
    ck_assert_uint_eq(figures.count, 3);
    heard();
    add(0, "n", "1000");
    add(1, "n", "100");
    add(2, "n", "20");
    whole(FIGURE_RPM, 360);
}
END_TEST

START_TEST(percentiles_and_errors_are_of_all_buckets_together)
{
    heard();
    add(0, "n", "95");
    add(0, "s10", "95");
    add(0, "c1", "95");
    add(3, "n", "5");
    add(3, "e", "4");
    add(3, "s160", "4");
    add(3, "s207", "1");
    add(3, "c2", "5");
    whole(FIGURE_SERVICE_P50, 10);
    whole(FIGURE_SERVICE_P95, 10);
    whole(FIGURE_SERVICE_P99, histogram_bin_longest_ms(160));
    whole(FIGURE_CONNECT_P50, 1);
    whole(FIGURE_CONNECT_P95, 1);
    whole(FIGURE_CONNECT_P99, 2);
    whole(FIGURE_ERROR_RATE, 4);
}
END_TEST

START_TEST(no_requests_are_zero_where_lines_come)
{
    heard();
    for (int figure = 0; figure < FIGURES; figure++) {
        whole((enum figure)figure, 0);
    }
}
END_TEST

START_TEST(requests_that_no_dyno_served_have_no_percentile)
{
    heard();
    add(1, "n", "30");
    add(1, "e", "30");
    ck_assert_int_eq(read_as(FIGURE_SERVICE_P95), FIGURES_NONE);
    ck_assert_str_eq(why.text, "none of 30 requests has that time: no dyno served them");
    whole(FIGURE_ERROR_RATE, 100);
    whole(FIGURE_RPM, 30);
}
END_TEST

START_TEST(lost_lines_make_it_a_least_figure)
{
    heard();
    add(2, "n", "60");
    add(4, "x", "491");
    ck_assert_int_eq(read_as(FIGURE_RPM), FIGURES_AT_LEAST);
    ck_assert_double_eq(value, 60);
    ck_assert_str_eq(why.text, "Heroku dropped 491 log lines (L10): at least 60");
}
END_TEST

START_TEST(silence_of_half_a_minute_is_not_taken_for_less)
{
    add(0, "l", "5");
    add(0, "n", "5");
    add(1, "l", "1");
    add(5, "l", "1");
    ck_assert_int_eq(read_as(FIGURE_RPM), FIGURES_AT_LEAST);
    ck_assert_double_eq(value, 5);
    ck_assert_str_eq(why.text, "no line for 30 s: no traffic, or a drain that does not reach us");
    ck_assert_int_eq(figures_value(&figures, FIGURE_RPM, true, &value, &why), FIGURES_WHOLE);
    add(3, "l", "1"); /* two silent ones in a row at most */
    whole(FIGURE_RPM, 5);
    figures_begin(&figures, 1);
    ck_assert_int_eq(read_as(FIGURE_RPM), FIGURES_AT_LEAST);
    ck_assert_double_eq(value, 0);
}
END_TEST

START_TEST(every_figure_has_its_name)
{
    ck_assert_int_eq(figure_find("rpm"), FIGURE_RPM);
    ck_assert_int_eq(figure_find("service_p95"), FIGURE_SERVICE_P95);
    ck_assert_int_eq(figure_find("error_rate"), FIGURE_ERROR_RATE);
    ck_assert_int_eq(figure_find("p95"), FIGURES);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("figures");
    TCase *all = tcase_create("all");
    tcase_add_checked_fixture(all, setup, NULL);
    tcase_add_test(all, requests_are_counted_over_the_period_and_told_a_minute);
    tcase_add_test(all, percentiles_and_errors_are_of_all_buckets_together);
    tcase_add_test(all, no_requests_are_zero_where_lines_come);
    tcase_add_test(all, requests_that_no_dyno_served_have_no_percentile);
    tcase_add_test(all, lost_lines_make_it_a_least_figure);
    tcase_add_test(all, silence_of_half_a_minute_is_not_taken_for_less);
    tcase_add_test(all, every_figure_has_its_name);
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
