#include "common/http.h"

#include <check.h>

/* Sun, 06 Nov 1994 08:49:37 GMT, the example of RFC 9110. */
#define NOV_1994 INT64_C(784111777)
#define HOUR_MS (3600 * INT64_C(1000))

static int64_t wait_of(const char *value, int64_t now_s)
{
    int64_t wait_s = -1;
    dyn_err err = http_retry_after(dyn_str_from(value), now_s * 1000, INT64_C(1) << 40, &wait_s);
    ck_assert_msg(err == DYN_OK, "\"%s\" was refused", value);
    return wait_s;
}

static void refuse(const char *value)
{
    int64_t wait_s = -7;
    dyn_err err = http_retry_after(dyn_str_from(value), NOV_1994 * 1000, 3600, &wait_s);
    ck_assert_msg(err == DYN_BADMSG, "\"%s\" was taken", value);
    ck_assert_int_eq(wait_s, -7);
}

START_TEST(seconds_are_taken_as_they_are)
{
    ck_assert_int_eq(wait_of("0", NOV_1994), 0);
    ck_assert_int_eq(wait_of("120", NOV_1994), 120);
    ck_assert_int_eq(wait_of(" 30\t", NOV_1994), 30);
    ck_assert_int_eq(wait_of("007", NOV_1994), 7);
}
END_TEST

START_TEST(a_wait_is_capped)
{
    static const char *const values[] = {"61", "99999999999999999999999999999999999999",
                                         "18446744073709551616", "Fri, 31 Dec 9999 23:59:59 GMT"};
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        int64_t wait_s = -1;
        dyn_err err = http_retry_after(dyn_str_from(values[i]), NOV_1994 * 1000, 60, &wait_s);
        ck_assert_int_eq(err, DYN_OK);
        ck_assert_int_eq(wait_s, 60);
    }
}
END_TEST

START_TEST(the_largest_caps_do_not_overflow)
{
    int64_t wait_s = -1;
    dyn_err err = http_retry_after(DYN_STR("9223372036854775807"), 0, INT64_MAX, &wait_s);
    ck_assert_int_eq(err, DYN_OK);
    ck_assert_int_eq(wait_s, INT64_MAX);
    err = http_retry_after(DYN_STR("99999999999999999999"), 0, INT64_MAX, &wait_s);
    ck_assert_int_eq(err, DYN_OK);
    ck_assert_int_eq(wait_s, INT64_MAX);
    err = http_retry_after(DYN_STR("9"), 0, 0, &wait_s);
    ck_assert_int_eq(err, DYN_OK);
    ck_assert_int_eq(wait_s, 0);
}
END_TEST

START_TEST(all_three_forms_of_a_date_mean_the_same)
{
    int64_t now_s = NOV_1994 - 37;
    ck_assert_int_eq(wait_of("Sun, 06 Nov 1994 08:49:37 GMT", now_s), 37);
    ck_assert_int_eq(wait_of("Sunday, 06-Nov-94 08:49:37 GMT", now_s), 37);
    ck_assert_int_eq(wait_of("Sun Nov  6 08:49:37 1994", now_s), 37);
    ck_assert_int_eq(wait_of("Wed Nov 16 08:49:37 1994", now_s), 37 + 10 * 86400);
}
END_TEST

START_TEST(a_date_gone_by_is_no_wait)
{
    ck_assert_int_eq(wait_of("Sun, 06 Nov 1994 08:49:37 GMT", NOV_1994), 0);
    ck_assert_int_eq(wait_of("Sun, 06 Nov 1994 08:49:37 GMT", NOV_1994 + 5), 0);
    ck_assert_int_eq(wait_of("Mon, 01 Jan 0001 00:00:00 GMT", NOV_1994), 0);
    ck_assert_int_eq(wait_of("Sat, 01 Jan 0000 00:00:00 GMT", NOV_1994), 0);
}
END_TEST

START_TEST(a_part_of_a_second_is_waited_for)
{
    int64_t wait_s = -1;
    dyn_err err = http_retry_after(DYN_STR("Sun, 06 Nov 1994 08:49:37 GMT"),
                                   (NOV_1994 - 2) * 1000 + 999, 60, &wait_s);
    ck_assert_int_eq(err, DYN_OK);
    ck_assert_int_eq(wait_s, 2);
}
END_TEST

START_TEST(leap_days_and_centuries_are_counted)
{
    ck_assert_int_eq(wait_of("Tue, 29 Feb 2000 00:00:00 GMT", INT64_C(951782400) - 1), 1);
    ck_assert_int_eq(wait_of("Wed, 01 Mar 2000 00:00:00 GMT", INT64_C(951868800) - 1), 1);
    ck_assert_int_eq(wait_of("Thu, 29 Feb 2024 12:00:00 GMT", INT64_C(1709208000) - 1), 1);
    ck_assert_int_eq(wait_of("Mon, 01 Mar 2100 00:00:00 GMT", INT64_C(4107542400) - 1), 1);
    ck_assert_int_eq(wait_of("Sat, 31 Dec 2016 23:59:60 GMT", INT64_C(1483228800) - 1), 1);
    ck_assert_int_eq(wait_of("Fri, 31 Dec 9999 23:59:59 GMT", INT64_C(253402300799) - 1), 1);
    refuse("Wed, 29 Feb 2023 00:00:00 GMT");
    refuse("Mon, 29 Feb 2100 00:00:00 GMT");
}
END_TEST

START_TEST(two_digits_of_a_year_lie_at_most_fifty_years_ahead)
{
    int64_t now_s = INT64_C(1767225600); /* 2026-01-01 */
    ck_assert_int_eq(wait_of("Friday, 01-Jan-27 00:00:00 GMT", now_s), 365 * INT64_C(86400));
    ck_assert_int_gt(wait_of("Wednesday, 01-Jan-76 00:00:00 GMT", now_s), 49 * 365 * 86400);
    ck_assert_int_eq(wait_of("Saturday, 01-Jan-77 00:00:00 GMT", now_s), 0);
}
END_TEST

START_TEST(what_is_neither_is_refused)
{
    static const char *const values[] = {"",
                                         " ",
                                         "-1",
                                         "+1",
                                         "1.5",
                                         "1e3",
                                         "0x10",
                                         "12 34",
                                         "soon",
                                         "Sun",
                                         "Sunday",
                                         "Sun,",
                                         "Sun, 06 Nov 1994 08:49:37",
                                         "Sun, 06 Nov 1994 08:49:37 CET",
                                         "Sun, 06 Nov 1994 08:49:37 GMT+1",
                                         "Sun, 6 Nov 1994 08:49:37 GMT",
                                         "Sun, 00 Nov 1994 08:49:37 GMT",
                                         "Sun, 31 Nov 1994 08:49:37 GMT",
                                         "Sun, 06 Foo 1994 08:49:37 GMT",
                                         "Sun, 06 Nov 1994 24:00:00 GMT",
                                         "Sun, 06 Nov 1994 08:60:37 GMT",
                                         "Sun, 06 Nov 1994 08:49:61 GMT",
                                         "Son, 06 Nov 1994 08:49:37 GMT",
                                         "Sun, 06 Nov 19940 08:49:37 GMT",
                                         "Sunday, 06 Nov 1994 08:49:37 GMT",
                                         "Sun Nov 6 08:49:37 1994",
                                         "Sun Nov  6 08:49:37 94",
                                         "1994-11-06T08:49:37Z"};
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        refuse(values[i]);
    }
}
END_TEST

START_TEST(every_prefix_of_a_date_is_refused)
{
    static const char *const dates[] = {"Sun, 06 Nov 1994 08:49:37 GMT",
                                        "Sunday, 06-Nov-94 08:49:37 GMT",
                                        "Sun Nov  6 08:49:37 1994"};
    for (size_t i = 0; i < sizeof(dates) / sizeof(dates[0]); i++) {
        for (size_t len = 0; len < strlen(dates[i]); len++) {
            int64_t wait_s;
            char *exact = malloc(len + 1); /* so that a sanitizer sees a step too far */
            ck_assert_ptr_nonnull(exact);
            memcpy(exact, dates[i], len);
            struct dyn_str part = {exact, len};
            ck_assert_int_eq(http_retry_after(part, HOUR_MS, 60, &wait_s), DYN_BADMSG);
            free(exact);
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http_date");
    TCase *tcase = tcase_create("retry_after");
    tcase_add_test(tcase, seconds_are_taken_as_they_are);
    tcase_add_test(tcase, a_wait_is_capped);
    tcase_add_test(tcase, the_largest_caps_do_not_overflow);
    tcase_add_test(tcase, all_three_forms_of_a_date_mean_the_same);
    tcase_add_test(tcase, a_date_gone_by_is_no_wait);
    tcase_add_test(tcase, a_part_of_a_second_is_waited_for);
    tcase_add_test(tcase, leap_days_and_centuries_are_counted);
    tcase_add_test(tcase, two_digits_of_a_year_lie_at_most_fifty_years_ahead);
    tcase_add_test(tcase, what_is_neither_is_refused);
    tcase_add_test(tcase, every_prefix_of_a_date_is_refused);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
