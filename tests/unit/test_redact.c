#include "common/redact.h"

#include <check.h>
#include <stdlib.h>

#define KEY "HRKU-0123456789abcdef"

static const struct dyn_str secrets[] = {{KEY, sizeof KEY - 1}, {"pw", 2}, {"", 0}};

static const char *shown(const char *text)
{
    static char out[64];
    redact(out, sizeof out, dyn_str_from(text), secrets, 3);
    return out;
}

START_TEST(a_secret_is_hidden_whole_and_in_part)
{
    ck_assert_str_eq(shown("no key like " KEY "!"), "no key like [hidden]!");
    ck_assert_str_eq(shown("not 0123456789ab here"), "not [hidden] here");
    ck_assert_str_eq(shown(KEY KEY), "[hidden][hidden]");
    ck_assert_str_eq(shown("not 0123456 here"), "not 0123456 here"); /* seven bytes tell nothing */
    ck_assert_str_eq(shown("wrong: pw"), "wrong: [hidden]");
}
END_TEST

START_TEST(words_are_one_line_of_ascii)
{
    ck_assert_str_eq(shown("\r\n a\t\tb\x01\x7f c\x1b[31m\n"), "a b c [31m");
    ck_assert_str_eq(shown("caf\xc3\xa9"), "caf??");
    ck_assert_str_eq(shown(""), "");
}
END_TEST

START_TEST(long_words_are_cut_after_they_were_hidden)
{
    char text[5000];
    memset(text, 'w', sizeof text);
    text[sizeof text - 1] = '\0';
    memcpy(text + 52, KEY, strlen(KEY));
    ck_assert_uint_eq(strlen(shown(text)), 63);
    ck_assert_str_eq(shown(text) + 52, "[hidden]www");
}
END_TEST

START_TEST(without_secrets_words_are_only_cleaned)
{
    char out[8];
    redact(out, sizeof out, DYN_STR("a\nb"), NULL, 0);
    ck_assert_str_eq(out, "a b");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("redact");
    TCase *tests = tcase_create("redact");
    tcase_add_test(tests, a_secret_is_hidden_whole_and_in_part);
    tcase_add_test(tests, words_are_one_line_of_ascii);
    tcase_add_test(tests, long_words_are_cut_after_they_were_hidden);
    tcase_add_test(tests, without_secrets_words_are_only_cleaned);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
