#include "collector/drain_call.h"

#include <check.h>
#include <stdlib.h>

#define NOW_S 1714150740
#define ID "0123456789abcdef"

static struct tally tally;
static struct drain_call call;

static void setup(void)
{
    drain_call_init(&call);
    tally_begin(&tally, NOW_S, TALLY_KEPT_MAX_S);
}

static void teardown(void)
{
    drain_call_fini(&call);
}

static void is(size_t from, const char *const *expected, size_t count)
{
    ck_assert_uint_eq(call.argc, from + count);
    for (size_t i = 0; i < count; i++) {
        ck_assert_msg(dyn_str_is(call.argv[from + i], expected[i]), "%zu: " DYN_STR_FMT ", not %s",
                      from + i, DYN_STR_ARG(call.argv[from + i]), expected[i]);
    }
}

START_TEST(a_tally_becomes_the_arguments_of_its_call)
{
    const uint64_t frame = 1152921504606846975;
    tally_at(&tally, NOW_S + 5)->lines = 3;
    struct tally_bucket *bucket = tally_at(&tally, NOW_S - 3);
    bucket->lines = 2;
    bucket->requests = 1;
    histogram_add(&bucket->service, 18, 1);
    tally_drop(&tally, NOW_S - 9, NOW_S - 3, 7);
    ck_assert_int_eq(drain_call_write(&call, &tally, "dyn", ID, &frame, 135), DYN_OK);
    const char *const expected[] = {"FCALL",
                                    "dyn_drain",
                                    "4",
                                    "dyn:{col}:drain:" ID ":frames:14284589",
                                    "dyn:{col}:drain:" ID ":frames:14284588",
                                    "dyn:{col}:drain:" ID ":1714150740",
                                    "dyn:{col}:drain:" ID ":1714150730",
                                    "1152921504606846975",
                                    "240",
                                    "135",
                                    "0",
                                    "l 3 ",
                                    "7",
                                    "l 2 n 1 s18 1 "};
    is(0, expected, sizeof expected / sizeof expected[0]);
}
END_TEST

START_TEST(a_loss_alone_has_no_frame_and_nothing_has_no_bucket)
{
    tally_drop(&tally, NOW_S, NOW_S, 5);
    ck_assert_int_eq(drain_call_write(&call, &tally, "x:y", ID, NULL, 60), DYN_OK);
    ck_assert(dyn_str_is(call.argv[5], "x:y:{col}:drain:" ID ":1714150740"));
    const char *const loss[] = {"", "240", "60", "5", ""};
    is(6, loss, 5);
    tally_begin(&tally, NOW_S, 60);
    ck_assert_int_eq(drain_call_write(&call, &tally, "dyn", ID, NULL, 60), DYN_OK);
    const char *const nothing[] = {"", "240", "60"};
    is(5, nothing, 3);
}
END_TEST

START_TEST(every_bucket_full_still_fits)
{
    const uint64_t frame = 1;
    for (size_t i = 0; i < tally.count; i++) {
        struct tally_bucket *bucket = tally_at(&tally, tally.first_s + (int64_t)i * TALLY_BUCKET_S);
        bucket->lines = bucket->requests = bucket->errors = bucket->dropped = UINT64_MAX;
        for (size_t bin = 0; bin < HISTOGRAM_BINS; bin++) {
            histogram_add(&bucket->service, bin, UINT64_MAX);
            histogram_add(&bucket->connect, bin, UINT64_MAX);
        }
    }
    ck_assert_uint_eq(tally.used_count, tally.count);
    ck_assert_int_eq(drain_call_write(&call, &tally, "dyn", ID, &frame, 720), DYN_OK);
    ck_assert_uint_eq(call.argc, 3 + 2 + 3 + 3 * tally.count);
    ck_assert_uint_le(tally.count, 128); /* what dyn_drain takes */
}
END_TEST

START_TEST(a_clock_that_was_never_set_does_no_harm)
{
    tally_begin(&tally, 12, TALLY_KEPT_MAX_S);
    ck_assert_ptr_nonnull(tally_at(&tally, 700));
    ck_assert_ptr_null(tally_at(&tally, NOW_S));
    ck_assert_ptr_null(tally_at(&tally, -5));
    ck_assert_ptr_null(tally_at(&tally, INT64_MAX));
    tally_drop(&tally, INT64_MIN + 100, INT64_MAX, 1);
    ck_assert_uint_eq(tally.used_count, tally.count);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("drain_call");
    TCase *all = tcase_create("all");
    tcase_add_checked_fixture(all, setup, teardown);
    tcase_add_test(all, a_tally_becomes_the_arguments_of_its_call);
    tcase_add_test(all, a_loss_alone_has_no_frame_and_nothing_has_no_bucket);
    tcase_add_test(all, every_bucket_full_still_fits);
    tcase_add_test(all, a_clock_that_was_never_set_does_no_harm);
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
