#include "common/err.h"

#include <check.h>
#include <signal.h>
#include <string.h>

START_TEST(every_code_has_words_and_advice)
{
    ck_assert_str_eq(dyn_err_text(DYN_OK), "ok");
    ck_assert_int_eq(dyn_err_advice(DYN_OK), DYN_ADVICE_NONE);
    for (int code = DYN_OK + 1; code <= (int)DYN_UNSUPPORTED; code++) {
        ck_assert_str_ne(dyn_err_text((dyn_err)code), "unknown error");
        ck_assert_int_ne(dyn_err_advice((dyn_err)code), DYN_ADVICE_NONE);
    }
    ck_assert_str_eq(dyn_err_text(DYN_TIMEOUT), "timed out");
    ck_assert_int_eq(dyn_err_advice(DYN_TIMEOUT), DYN_ADVICE_RETRY);
    ck_assert_int_eq(dyn_err_advice(DYN_CONFIG), DYN_ADVICE_STOP);
}
END_TEST

START_TEST(an_error_hands_its_code_back_with_words)
{
    struct dyn_error error;
    ck_assert_int_eq(dyn_error_set(&error, DYN_RANGE, "%d is over %d", 7, 5), DYN_RANGE);
    ck_assert_str_eq(error.text, "7 is over 5");
    ck_assert_int_eq(dyn_error_set(NULL, DYN_IO, "nobody listens"), DYN_IO);
}
END_TEST

START_TEST(long_words_are_cut_and_not_overrun)
{
    char words[2 * DYN_ERROR_TEXT_MAX];
    memset(words, 'a', sizeof words);
    words[sizeof words - 1] = '\0';
    struct dyn_error error;
    (void)dyn_error_set(&error, DYN_IO, "%s", words);
    ck_assert_uint_eq(strlen(error.text), DYN_ERROR_TEXT_MAX - 1);
}
END_TEST

START_TEST(a_broken_assertion_aborts)
{
    (void)fclose(stderr);
    DYN_ASSERT(1 + 1 == 3);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("err");
    TCase *tcase = tcase_create("err");
    tcase_add_test(tcase, every_code_has_words_and_advice);
    tcase_add_test(tcase, an_error_hands_its_code_back_with_words);
    tcase_add_test(tcase, long_words_are_cut_and_not_overrun);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    if (srunner_fork_status(runner) == CK_FORK) {
        tcase_add_test_raise_signal(tcase, a_broken_assertion_aborts, SIGABRT);
    }
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
