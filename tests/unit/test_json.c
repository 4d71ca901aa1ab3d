#include "common/json.h"

#include <check.h>
#include <math.h>

static json_t *parsed(const char *text)
{
    struct dyn_error error = {""};
    json_t *root = dyn_json_parse(dyn_str_from(text), &error);
    ck_assert_msg(root != NULL, "%s", error.text);
    return root;
}

static void check_refused(struct dyn_str text, const char *words)
{
    struct dyn_error error = {""};
    ck_assert_ptr_null(dyn_json_parse(text, &error));
    ck_assert_msg(strstr(error.text, words) != NULL, "%s", error.text);
}

START_TEST(whole_documents_are_parsed)
{
    json_t *root = parsed(" {\"a\": [1, \"x\", null]} \n");
    ck_assert(json_is_object(root));
    json_decref(root);
    root = parsed("42");
    ck_assert(json_is_integer(root));
    json_decref(root);
}
END_TEST

START_TEST(what_is_not_json_is_refused_without_quoting_it)
{
    check_refused(DYN_STR(""), "empty");
    check_refused(dyn_str_from(NULL), "empty");
    check_refused(DYN_STR("{\"a\": 1} x"), "line 1, column");
    check_refused(DYN_STR("{\"a\":"), "not JSON");
    check_refused(DYN_STR("[NaN]"), "not JSON");
    check_refused(DYN_STR("[Infinity]"), "not JSON");
    check_refused(DYN_STR("[1e999]"), "beyond all bounds");
    check_refused(DYN_STR("[\"\xff\"]"), "not JSON");
    check_refused(DYN_STR("[1]\0"), "not JSON");
    check_refused(DYN_STR("{\"a\": 1, \"a\": 2}"), "comes twice");
    struct dyn_error error;
    ck_assert_ptr_null(dyn_json_parse(DYN_STR("[\"canary\" canary]"), &error));
    ck_assert_ptr_null(strstr(error.text, "canary"));
}
END_TEST

START_TEST(nesting_is_bounded)
{
    char text[2 * DYN_JSON_DEPTH_MAX + 2];
    memset(text, '[', DYN_JSON_DEPTH_MAX);
    memset(text + DYN_JSON_DEPTH_MAX, ']', DYN_JSON_DEPTH_MAX);
    json_t *root = dyn_json_parse((struct dyn_str){text, (size_t)2 * DYN_JSON_DEPTH_MAX}, NULL);
    ck_assert_ptr_nonnull(root);
    json_decref(root);
    memset(text, '[', DYN_JSON_DEPTH_MAX + 1);
    memset(text + DYN_JSON_DEPTH_MAX + 1, ']', DYN_JSON_DEPTH_MAX + 1);
    check_refused((struct dyn_str){text, sizeof text}, "deeper than 64");
}
END_TEST

START_TEST(brackets_in_strings_and_closed_ones_are_no_nesting)
{
    char text[512] = "[\"\\\"";
    memset(text + 4, '[', 200);
    memcpy(text + 204, "\\\\\"]", 5);
    json_decref(parsed(text));
    for (size_t i = 0; i < 150; i++) {
        memcpy(text + 1 + 3 * i, "[],", 4);
    }
    memcpy(text + 1 + 3 * 149, "[]]", 4);
    json_decref(parsed(text));
}
END_TEST

START_TEST(an_integer_beyond_64_bits_does_not_spoil_the_document)
{
    json_t *root = parsed("{\"id\": 18446744073709551615, \"users\": 7}");
    double out = 0;
    ck_assert_int_eq(dyn_json_number(json_object_get(root, "users"), false, &out, NULL), DYN_OK);
    ck_assert_double_eq(out, 7);
    json_decref(root);
}
END_TEST

static void check_at(json_t *root, const char *pointer, double want)
{
    struct dyn_error error = {""};
    double out = 0;
    json_t *value = dyn_json_at(root, pointer, &error);
    ck_assert_msg(value != NULL, "%s: %s", pointer, error.text);
    ck_assert_int_eq(dyn_json_number(value, false, &out, NULL), DYN_OK);
    ck_assert_double_eq(out, want);
}

START_TEST(pointers_name_values_as_rfc_6901_says)
{
    json_t *root = parsed("{\"foo\": [10, 11], \"\": 0, \"a/b\": 1, \"c%d\": 2, \"m~n\": 8,"
                          " \"~1\": 9, \"x\": {\"\": {\"y\": 3}}, \"7\": 4}");
    ck_assert_ptr_eq(dyn_json_at(root, "", NULL), root);
    check_at(root, "/foo/0", 10);
    check_at(root, "/foo/1", 11);
    check_at(root, "/", 0);
    check_at(root, "/a~1b", 1);
    check_at(root, "/c%d", 2);
    check_at(root, "/m~0n", 8);
    check_at(root, "/~01", 9);
    check_at(root, "/x//y", 3);
    check_at(root, "/7", 4);
    json_decref(root);
}
END_TEST

START_TEST(pointers_that_name_nothing_say_how_far_they_came)
{
    json_t *root = parsed("{\"foo\": [10, 11], \"n\": 1}");
    const char *const bad[] = {"foo",     "/foo/2",  "/foo/-", "/foo/01",
                               "/foo/00", "/foo/ 0", "/foo/",  "/n/x",
                               "/foo~",   "/foo~2",  "/bar/0", "/foo/18446744073709551616"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct dyn_error error = {""};
        ck_assert_msg(dyn_json_at(root, bad[i], &error) == NULL, "%s", bad[i]);
        ck_assert_str_ne(error.text, "");
    }
    struct dyn_error error = {""};
    ck_assert_ptr_null(dyn_json_at(root, "/bar/0", &error));
    ck_assert_str_eq(error.text, "nothing at /bar/0 (there is no /bar)");
    char pointer[400];
    memset(pointer, 'p', sizeof pointer);
    pointer[0] = '/';
    pointer[sizeof pointer - 1] = '\0';
    ck_assert_ptr_null(dyn_json_at(root, pointer, NULL));
    json_decref(root);
}
END_TEST

START_TEST(only_finite_numbers_are_numbers)
{
    json_t *root =
        parsed("[1, -2.5, \"12.5\", \"x\", \"1e999\", \"nan\", true, null, {}, [], \"\"]");
    double out = 0;
    struct dyn_error error = {""};
    ck_assert_int_eq(dyn_json_number(json_array_get(root, 0), false, &out, &error), DYN_OK);
    ck_assert_double_eq(out, 1);
    ck_assert_int_eq(dyn_json_number(json_array_get(root, 1), true, &out, &error), DYN_OK);
    ck_assert_double_eq(out, -2.5);
    ck_assert_int_eq(dyn_json_number(json_array_get(root, 2), false, &out, &error), DYN_BADMSG);
    ck_assert_str_eq(error.text, "a string where a number was expected");
    ck_assert_double_eq(out, -2.5);
    ck_assert_int_eq(dyn_json_number(json_array_get(root, 2), true, &out, &error), DYN_OK);
    ck_assert_double_eq(out, 12.5);
    ck_assert_int_eq(dyn_json_number(json_array_get(root, 4), true, &out, &error), DYN_RANGE);
    const size_t no_numbers[] = {3, 5, 6, 7, 8, 9, 10};
    for (size_t i = 0; i < sizeof no_numbers / sizeof no_numbers[0]; i++) {
        const json_t *value = json_array_get(root, no_numbers[i]);
        ck_assert_int_eq(dyn_json_number(value, true, &out, &error), DYN_BADMSG);
    }
    ck_assert_int_eq(dyn_json_number(NULL, true, &out, &error), DYN_NOTFOUND);
    ck_assert_double_eq(out, 12.5);
    json_decref(root);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("json");
    TCase *tcase = tcase_create("json");
    tcase_add_test(tcase, whole_documents_are_parsed);
    tcase_add_test(tcase, what_is_not_json_is_refused_without_quoting_it);
    tcase_add_test(tcase, nesting_is_bounded);
    tcase_add_test(tcase, brackets_in_strings_and_closed_ones_are_no_nesting);
    tcase_add_test(tcase, an_integer_beyond_64_bits_does_not_spoil_the_document);
    tcase_add_test(tcase, pointers_name_values_as_rfc_6901_says);
    tcase_add_test(tcase, pointers_that_name_nothing_say_how_far_they_came);
    tcase_add_test(tcase, only_finite_numbers_are_numbers);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
