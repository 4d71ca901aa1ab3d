#include "common/clock.h"

#include <check.h>

static void check_parse(const char *text, dyn_err want, int64_t wall_ms)
{
    int64_t out = 4711;
    ck_assert_msg(dyn_clock_parse(dyn_str_from(text), &out) == want, "%s", text);
    ck_assert_int_eq(out, want == DYN_OK ? wall_ms : 4711);
}

START_TEST(calendar_times_are_read_as_utc)
{
    check_parse("1970-01-01T00:00:00Z", DYN_OK, 0);
    check_parse("2012-01-01T12:00:00Z", DYN_OK, INT64_C(1325419200000));
    check_parse("2012-01-01 12:00:00", DYN_OK, INT64_C(1325419200000));
    check_parse("2012-01-01T12:00:00+00:00", DYN_OK, INT64_C(1325419200000));
    check_parse("2012-01-01T12:00:00.25Z", DYN_OK, INT64_C(1325419200250));
    check_parse("2012-01-01T12:00:00.123456789Z", DYN_OK, INT64_C(1325419200123));
    check_parse("2012-02-29T00:00:00Z", DYN_OK, INT64_C(1330473600000));
    check_parse("9999-12-31T23:59:59.999Z", DYN_OK, INT64_C(253402300799999));
}
END_TEST

START_TEST(unix_seconds_are_read_with_their_fraction)
{
    check_parse("0", DYN_OK, 0);
    check_parse("1325419200", DYN_OK, INT64_C(1325419200000));
    check_parse("1325419200.5", DYN_OK, INT64_C(1325419200500));
    check_parse("1325419200.0009", DYN_OK, INT64_C(1325419200000));
    check_parse("253402300799", DYN_OK, INT64_C(253402300799000));
}
END_TEST

START_TEST(what_is_no_time_is_refused)
{
    const char *const bad[] = {"",
                               "now",
                               ".5",
                               "1.",
                               "1.5x",
                               "1 ",
                               "1e9",
                               "2012-01-01",
                               "2012-01-01T12:00Z",
                               "2012-01-01T12:00:00.Z",
                               "2012-01-01T12:00:00+01:00",
                               "2012-01-01T12:00:00 ",
                               "2012-01-01T12:00:00ZZ",
                               "2012-1-01T12:00:00Z",
                               "2012-13-01T12:00:00Z",
                               "2012-00-01T12:00:00Z",
                               "2012-01-00T12:00:00Z",
                               "2011-02-29T12:00:00Z",
                               "2012-01-01T24:00:00Z",
                               "2012-01-01T12:60:00Z",
                               "2012-01-01T12:00:60Z"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        check_parse(bad[i], DYN_BADMSG, 0);
    }
}
END_TEST

START_TEST(times_beyond_the_years_1970_to_9999_are_out_of_range)
{
    check_parse("1969-12-31T23:59:59Z", DYN_RANGE, 0);
    check_parse("-1", DYN_RANGE, 0);
    check_parse("-0.5", DYN_RANGE, 0);
    check_parse("253402300800", DYN_RANGE, 0);
    check_parse("99999999999999999999", DYN_RANGE, 0);
}
END_TEST

START_TEST(a_time_is_printed_as_it_is_read)
{
    char text[32];
    dyn_clock_format(INT64_C(1325419200999), text, sizeof text);
    ck_assert_str_eq(text, "2012-01-01T12:00:00Z");
    dyn_clock_format(-1, text, sizeof text);
    ck_assert_str_eq(text, "1970-01-01T00:00:00Z");
    dyn_clock_format(INT64_MAX, text, sizeof text);
    ck_assert_str_eq(text, "9999-12-31T23:59:59Z");
}
END_TEST

START_TEST(the_clocks_go_forward)
{
    int64_t ns = dyn_clock_boot_ns();
    int64_t ms = dyn_clock_boot_ms();
    ck_assert_int_gt(ns, 0);
    ck_assert_int_ge(ms, ns / 1000000);
    ck_assert_int_ge(dyn_clock_boot_ns(), ns);
    ck_assert_int_gt(dyn_clock_wall_ms(), INT64_C(1325419200000));
}
END_TEST

START_TEST(random_numbers_differ)
{
    uint64_t first = dyn_random();
    ck_assert(dyn_random() != first || dyn_random() != first);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("clock");
    TCase *tcase = tcase_create("clock");
    tcase_add_test(tcase, calendar_times_are_read_as_utc);
    tcase_add_test(tcase, unix_seconds_are_read_with_their_fraction);
    tcase_add_test(tcase, what_is_no_time_is_refused);
    tcase_add_test(tcase, times_beyond_the_years_1970_to_9999_are_out_of_range);
    tcase_add_test(tcase, a_time_is_printed_as_it_is_read);
    tcase_add_test(tcase, the_clocks_go_forward);
    tcase_add_test(tcase, random_numbers_differ);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
