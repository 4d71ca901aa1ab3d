#include "common/str.h"

#include <check.h>
#include <float.h>
#include <math.h>

START_TEST(strings_compare_by_their_bytes)
{
    ck_assert(dyn_str_is(DYN_STR("web"), "web"));
    ck_assert(!dyn_str_is(DYN_STR("web"), "we"));
    ck_assert(!dyn_str_is(DYN_STR("web"), "wec"));
    ck_assert(dyn_str_is(dyn_str_from(NULL), ""));
    ck_assert(dyn_str_eq(dyn_str_from(NULL), dyn_str_from("")));
    ck_assert(!dyn_str_eq(DYN_STR("a\0b"), DYN_STR("a\0c")));
    ck_assert(dyn_str_starts(DYN_STR("worker"), "work"));
    ck_assert(dyn_str_starts(dyn_str_from(NULL), ""));
    ck_assert(!dyn_str_starts(DYN_STR("wo"), "work"));
}
END_TEST

START_TEST(trim_takes_white_space_from_both_ends)
{
    ck_assert(dyn_str_is(dyn_str_trim(DYN_STR(" \t a b\r\n")), "a b"));
    ck_assert(dyn_str_is(dyn_str_trim(DYN_STR("  \n")), ""));
    ck_assert(dyn_str_is(dyn_str_trim(dyn_str_from(NULL)), ""));
}
END_TEST

static void check_i64(const char *text, dyn_err want, int64_t value)
{
    int64_t out = 4711;
    ck_assert_msg(dyn_str_i64(dyn_str_from(text), &out) == want, "%s", text);
    ck_assert_int_eq(out, want == DYN_OK ? value : 4711);
}

START_TEST(whole_numbers_are_read_to_their_bounds)
{
    check_i64("0", DYN_OK, 0);
    check_i64("-0", DYN_OK, 0);
    check_i64("007", DYN_OK, 7);
    check_i64("9223372036854775807", DYN_OK, INT64_MAX);
    check_i64("-9223372036854775808", DYN_OK, INT64_MIN);
    check_i64("9223372036854775808", DYN_RANGE, 0);
    check_i64("-9223372036854775809", DYN_RANGE, 0);
    uint64_t out = 0;
    ck_assert_int_eq(dyn_str_u64(DYN_STR("18446744073709551615"), &out), DYN_OK);
    ck_assert_uint_eq(out, UINT64_MAX);
    ck_assert_int_eq(dyn_str_u64(DYN_STR("18446744073709551616"), &out), DYN_RANGE);
    ck_assert_int_eq(dyn_str_u64(DYN_STR("99999999999999999999"), &out), DYN_RANGE);
    ck_assert_int_eq(dyn_str_u64(DYN_STR("-1"), &out), DYN_BADMSG);
    ck_assert_uint_eq(out, UINT64_MAX);
}
END_TEST

START_TEST(what_is_no_whole_number_is_refused)
{
    const char *const bad[] = {
        "", "-", "+1", " 1", "1 ", "1.0", "0x10", "--1", "12a", "ten", "99999999999999999999x"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        check_i64(bad[i], DYN_BADMSG, 0);
    }
    int64_t out = 0;
    ck_assert_int_eq(dyn_str_i64(DYN_STR("1\0002"), &out), DYN_BADMSG);
}
END_TEST

static void check_double(const char *text, dyn_err want, double value)
{
    double out = 4711;
    ck_assert_msg(dyn_str_double(dyn_str_from(text), &out) == want, "%s", text);
    ck_assert_double_eq(out, want == DYN_OK ? value : 4711);
}

START_TEST(decimals_are_read_and_all_else_refused)
{
    check_double("0", DYN_OK, 0);
    check_double("-12.5", DYN_OK, -12.5);
    check_double("1e3", DYN_OK, 1000);
    check_double("25E-1", DYN_OK, 2.5);
    check_double("1.7976931348623157e308", DYN_OK, DBL_MAX);
    check_double("1e-400", DYN_OK, 0);
    check_double("1e999", DYN_RANGE, 0);
    check_double("-1e999", DYN_RANGE, 0);
    const char *const bad[] = {"",    "-",     ".",  "e5", "1e",  "1e+", "inf",  "-inf", "nan",
                               "NaN", "0x1p3", " 1", "1 ", "1,5", "+1",  "1e5x", "1_000"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        check_double(bad[i], DYN_BADMSG, 0);
    }
}
END_TEST

START_TEST(a_number_of_too_many_digits_is_refused)
{
    char digits[1024];
    memset(digits, '1', sizeof digits);
    double out = 0;
    ck_assert_int_eq(dyn_str_double((struct dyn_str){digits, 300}, &out), DYN_OK);
    ck_assert_int_eq(dyn_str_double((struct dyn_str){digits, sizeof digits}, &out), DYN_BADMSG);
}
END_TEST

START_TEST(the_hash_is_fnv_1a_and_chains)
{
    ck_assert_uint_eq(dyn_hash(DYN_HASH_SEED, DYN_STR("")), UINT64_C(0xcbf29ce484222325));
    ck_assert_uint_eq(dyn_hash(DYN_HASH_SEED, DYN_STR("a")), UINT64_C(0xaf63dc4c8601ec8c));
    ck_assert_uint_eq(dyn_hash(DYN_HASH_SEED, DYN_STR("foobar")), UINT64_C(0x85944171f73967e8));
    uint64_t half = dyn_hash(DYN_HASH_SEED, DYN_STR("foo"));
    ck_assert_uint_eq(dyn_hash(half, DYN_STR("bar")), UINT64_C(0x85944171f73967e8));
}
END_TEST

START_TEST(the_nearest_name_is_found_when_it_is_near)
{
    const char *const names[] = {"interval", "name", "type", "min_resource", "max_resource", "key"};
    const size_t count = sizeof names / sizeof names[0];
    ck_assert_str_eq(dyn_str_nearest(DYN_STR("interval"), names, count), "interval");
    ck_assert_str_eq(dyn_str_nearest(DYN_STR("intreval"), names, count), "interval");
    ck_assert_str_eq(dyn_str_nearest(DYN_STR("nmae"), names, count), "name");
    ck_assert_str_eq(dyn_str_nearest(DYN_STR("max_ressources"), names, count), "max_resource");
    ck_assert_str_eq(dyn_str_nearest(DYN_STR("mix_resource"), names, count), "min_resource");
    ck_assert_ptr_null(dyn_str_nearest(DYN_STR("colour"), names, count));
    ck_assert_ptr_null(dyn_str_nearest(DYN_STR("nnnme"), names, count));
    ck_assert_ptr_null(dyn_str_nearest(DYN_STR("x"), names, count));
    ck_assert_ptr_null(dyn_str_nearest(DYN_STR(""), names, count));
    ck_assert_ptr_null(dyn_str_nearest(DYN_STR("name"), NULL, 0));
}
END_TEST

START_TEST(very_long_words_are_near_to_nothing)
{
    char word[65];
    memset(word, 'a', sizeof word);
    char name[65];
    memset(name, 'a', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    const char *const names[] = {name};
    ck_assert_ptr_null(dyn_str_nearest((struct dyn_str){word, 65}, names, 1));
    ck_assert_ptr_eq(dyn_str_nearest((struct dyn_str){word, 63}, names, 1), name);
}
END_TEST

START_TEST(a_copy_is_cut_at_a_whole_character)
{
    char out[6];
    dyn_str_copy(out, sizeof out, DYN_STR("abc"));
    ck_assert_str_eq(out, "abc");
    dyn_str_copy(out, sizeof out, DYN_STR("abcdefg"));
    ck_assert_str_eq(out, "abcde");
    dyn_str_copy(out, sizeof out, DYN_STR("abcd\xc3\xa9"));
    ck_assert_str_eq(out, "abcd");
    dyn_str_copy(out, sizeof out, DYN_STR("abc\xc3\xa9"));
    ck_assert_str_eq(out, "abc\xc3\xa9");
    dyn_str_copy(out, sizeof out, DYN_STR("ab\xf0\x9f\x98\x80"));
    ck_assert_str_eq(out, "ab");
    dyn_str_copy(out, sizeof out, DYN_STR("\x80\x80\x80\x80\x80\x80\x80"));
    ck_assert_uint_eq(strlen(out), 5);
    dyn_str_copy(out, sizeof out, dyn_str_from(NULL));
    ck_assert_str_eq(out, "");
    dyn_str_copy(out, 1, DYN_STR("abc"));
    ck_assert_str_eq(out, "");
}
END_TEST

START_TEST(a_buffer_grows_to_its_maximum_and_no_further)
{
    struct dyn_buf buf;
    dyn_buf_init(&buf, 1000);
    ck_assert_str_eq(dyn_buf_text(&buf), "");
    for (int i = 0; i < 100; i++) {
        ck_assert_int_eq(dyn_buf_addf(&buf, "%010d", i), DYN_OK);
    }
    ck_assert_uint_eq(buf.len, 1000);
    ck_assert_uint_eq(strlen(dyn_buf_text(&buf)), 1000);
    ck_assert_int_eq(dyn_buf_result(&buf), DYN_OK);
    ck_assert_int_eq(dyn_buf_add(&buf, "", 0), DYN_OK);
    ck_assert_int_eq(dyn_buf_add(&buf, "x", 1), DYN_TOOBIG);
    ck_assert_uint_eq(buf.len, 1000);
    ck_assert_uint_le(buf.cap, 1001);
    dyn_buf_fini(&buf);
    dyn_buf_fini(&buf);
}
END_TEST

START_TEST(a_buffer_remembers_that_it_failed)
{
    struct dyn_buf buf;
    dyn_buf_init(&buf, 4);
    ck_assert_int_eq(dyn_buf_add_str(&buf, DYN_STR("abc")), DYN_OK);
    ck_assert_int_eq(dyn_buf_add_str(&buf, DYN_STR("de")), DYN_TOOBIG);
    ck_assert_int_eq(dyn_buf_add_str(&buf, DYN_STR("f")), DYN_TOOBIG);
    ck_assert_int_eq(dyn_buf_result(&buf), DYN_TOOBIG);
    ck_assert_str_eq(dyn_buf_text(&buf), "abc");
    dyn_buf_clear(&buf);
    ck_assert_int_eq(dyn_buf_result(&buf), DYN_OK);
    ck_assert_str_eq(dyn_buf_text(&buf), "");
    ck_assert_int_eq(dyn_buf_add_str(&buf, DYN_STR("wxyz")), DYN_OK);
    ck_assert(dyn_str_is(dyn_buf_str(&buf), "wxyz"));
    ck_assert_int_eq(dyn_buf_addf(&buf, "%zu", SIZE_MAX), DYN_TOOBIG);
    dyn_buf_wipe(&buf);
    ck_assert_ptr_null(buf.ptr);
}
END_TEST

START_TEST(reserved_room_is_committed_or_left)
{
    struct dyn_buf buf;
    dyn_buf_init(&buf, 100);
    ck_assert_ptr_nonnull(dyn_buf_reserve(&buf, 80));
    ck_assert_uint_eq(buf.len, 0);
    char *room = dyn_buf_reserve(&buf, 100);
    ck_assert_ptr_nonnull(room);
    memset(room, 'x', 100);
    dyn_buf_commit(&buf, 100);
    ck_assert_uint_eq(strlen(dyn_buf_text(&buf)), 100);
    ck_assert_ptr_null(dyn_buf_reserve(&buf, 1));
    ck_assert_int_eq(dyn_buf_result(&buf), DYN_TOOBIG);
    dyn_buf_clear(&buf);
    ck_assert_ptr_null(dyn_buf_reserve(&buf, SIZE_MAX));
    dyn_buf_fini(&buf);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("str");
    TCase *text = tcase_create("text");
    tcase_add_test(text, strings_compare_by_their_bytes);
    tcase_add_test(text, trim_takes_white_space_from_both_ends);
    tcase_add_test(text, the_hash_is_fnv_1a_and_chains);
    tcase_add_test(text, the_nearest_name_is_found_when_it_is_near);
    tcase_add_test(text, very_long_words_are_near_to_nothing);
    tcase_add_test(text, a_copy_is_cut_at_a_whole_character);
    suite_add_tcase(suite, text);
    TCase *numbers = tcase_create("numbers");
    tcase_add_test(numbers, whole_numbers_are_read_to_their_bounds);
    tcase_add_test(numbers, what_is_no_whole_number_is_refused);
    tcase_add_test(numbers, decimals_are_read_and_all_else_refused);
    tcase_add_test(numbers, a_number_of_too_many_digits_is_refused);
    suite_add_tcase(suite, numbers);
    TCase *buffers = tcase_create("buffers");
    tcase_add_test(buffers, a_buffer_grows_to_its_maximum_and_no_further);
    tcase_add_test(buffers, a_buffer_remembers_that_it_failed);
    tcase_add_test(buffers, reserved_room_is_committed_or_left);
    suite_add_tcase(suite, buffers);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
