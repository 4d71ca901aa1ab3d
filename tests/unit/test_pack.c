/* Msgpack with bounds: what is written is read, and what is hostile is refused. */
#include "common/limits.h"
#include "common/pack.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>

static struct pack_reader *reader;
static struct dyn_buf buf;

static void setup(void)
{
    reader = pack_reader_new();
    ck_assert_ptr_nonnull(reader);
    dyn_buf_init(&buf, (size_t)1024 * 1024);
}

static void teardown(void)
{
    pack_reader_free(reader);
    dyn_buf_fini(&buf);
}

static dyn_err start(const char *bytes, size_t len)
{
    return pack_reader_start(reader, (struct dyn_str){bytes, len});
}

#define START(literal) start(literal, sizeof(literal) - 1)

START_TEST(what_is_written_is_read)
{
    pack_array(&buf, 12);
    pack_u64(&buf, 0);
    pack_u64(&buf, UINT64_MAX);
    pack_i64(&buf, INT64_MIN);
    pack_i64(&buf, INT64_MAX);
    pack_f64(&buf, 0.1);
    pack_bool(&buf, true);
    pack_bool(&buf, false);
    pack_nil(&buf);
    pack_str(&buf, DYN_STR("a\0b"));
    pack_text(&buf, "text");
    pack_text(&buf, NULL);
    pack_array(&buf, 0);
    ck_assert_int_eq(dyn_buf_result(&buf), DYN_OK);
    ck_assert_int_eq(pack_reader_start(reader, dyn_buf_str(&buf)), DYN_OK);
    ck_assert_uint_eq(pack_read_array(reader, 12, 12), 12);
    ck_assert_uint_eq(pack_read_u64(reader), 0);
    ck_assert(pack_read_u64(reader) == UINT64_MAX);
    ck_assert(pack_read_i64(reader) == INT64_MIN);
    ck_assert(pack_read_i64(reader) == INT64_MAX);
    ck_assert(pack_read_f64(reader) == 0.1);
    ck_assert(pack_read_bool(reader));
    ck_assert(!pack_read_nil(reader));
    ck_assert(!pack_read_bool(reader));
    ck_assert(pack_read_nil(reader));
    ck_assert(dyn_str_eq(pack_read_str(reader, 3), DYN_STR("a\0b")));
    ck_assert(dyn_str_is(pack_read_str(reader, 10), "text"));
    ck_assert(!pack_reader_done(reader));
    pack_skip(reader);
    ck_assert_uint_eq(pack_read_array(reader, 0, 5), 0);
    ck_assert(pack_reader_done(reader));
    ck_assert_int_eq(pack_reader_end(reader), DYN_OK);
}
END_TEST

START_TEST(a_float_takes_nine_bytes_and_keeps_its_bits)
{
    pack_f64(&buf, 3);
    ck_assert_uint_eq(buf.len, 9);
    dyn_buf_clear(&buf);
    pack_f64(&buf, -0.0);
    ck_assert_int_eq(pack_reader_start(reader, dyn_buf_str(&buf)), DYN_OK);
    ck_assert(signbit(pack_read_f64(reader)));
}
END_TEST

START_TEST(integers_are_taken_as_floats_and_floats_not_as_integers)
{
    ck_assert_int_eq(START("\x92\x05\xff"), DYN_OK);
    (void)pack_read_array(reader, 2, 2);
    ck_assert(pack_read_f64(reader) == 5);
    ck_assert(pack_read_f64(reader) == -1);
    ck_assert_int_eq(START("\xca\x3f\x80\x00\x00"), DYN_OK);
    ck_assert_uint_eq(pack_read_u64(reader), 0);
    ck_assert_int_eq(pack_reader_end(reader), DYN_BADMSG);
}
END_TEST

START_TEST(the_first_error_sticks_and_later_reads_are_zero)
{
    ck_assert_int_eq(START("\x92\xa1x\x07"), DYN_OK);
    (void)pack_read_array(reader, 2, 2);
    ck_assert_uint_eq(pack_read_u64(reader), 0);
    ck_assert_uint_eq(pack_read_u64(reader), 0);
    ck_assert_uint_eq(pack_read_array(reader, 0, 9), 0);
    ck_assert_uint_eq(pack_read_str(reader, 9).len, 0);
    ck_assert(!pack_read_bool(reader));
    ck_assert(!pack_read_nil(reader));
    pack_reader_fail(reader, DYN_UNSUPPORTED);
    ck_assert_int_eq(pack_reader_end(reader), DYN_BADMSG);
    /* A new message forgets it. */
    ck_assert_int_eq(START("\x07"), DYN_OK);
    ck_assert_uint_eq(pack_read_u64(reader), 7);
    ck_assert_int_eq(pack_reader_end(reader), DYN_OK);
}
END_TEST

START_TEST(counts_lengths_and_ranges_are_bounded)
{
    ck_assert_int_eq(START("\x92\x01\x02"), DYN_OK);
    ck_assert_uint_eq(pack_read_array(reader, 3, 4), 0);
    ck_assert_int_eq(pack_reader_end(reader), DYN_BADMSG);
    ck_assert_int_eq(START("\xa3xyz"), DYN_OK);
    ck_assert_uint_eq(pack_read_str(reader, 2).len, 0);
    ck_assert_int_eq(pack_reader_end(reader), DYN_BADMSG);
    ck_assert_int_eq(START("\x05"), DYN_OK);
    ck_assert_int_eq(pack_read_range(reader, 6, 9), 6);
    ck_assert_int_eq(pack_reader_end(reader), DYN_BADMSG);
    ck_assert_int_eq(START("\xcf\xff\xff\xff\xff\xff\xff\xff\xff"), DYN_OK);
    ck_assert_int_eq(pack_read_i64(reader), 0);
    ck_assert_int_eq(pack_reader_end(reader), DYN_BADMSG);
}
END_TEST

START_TEST(values_left_unread_are_an_error)
{
    ck_assert_int_eq(START("\x92\x01\x02"), DYN_OK);
    (void)pack_read_array(reader, 0, 2);
    (void)pack_read_u64(reader);
    ck_assert_int_eq(pack_reader_end(reader), DYN_BADMSG);
}
END_TEST

START_TEST(a_claim_of_what_is_not_there_is_refused_before_it_is_believed)
{
    ck_assert_int_eq(START("\xdd\x0f\xff\xff\xff"), DYN_BADMSG);
    ck_assert_int_eq(START("\xdf\x0f\xff\xff\xff"), DYN_BADMSG);
    ck_assert_int_eq(START("\xdf\xff\xff\xff\xff"), DYN_BADMSG);
    ck_assert_int_eq(START("\xdb\xff\xff\xff\xff"), DYN_BADMSG);
    ck_assert_int_eq(START("\xc9\xff\xff\xff\xff\x01"), DYN_BADMSG);
    ck_assert_int_eq(START("\x92\x01"), DYN_BADMSG);
    ck_assert_int_eq(START("\x01\x02"), DYN_BADMSG);
    ck_assert_int_eq(START("\xc1"), DYN_BADMSG);
    ck_assert_int_eq(START(""), DYN_BADMSG);
    ck_assert_int_eq(pack_reader_start(reader, (struct dyn_str){NULL, 0}), DYN_BADMSG);
}
END_TEST

START_TEST(depth_is_bounded)
{
    char bytes[10001];
    memset(bytes, 0x91, sizeof(bytes));
    bytes[10000] = (char)0xc0;
    ck_assert_int_eq(start(bytes, sizeof(bytes)), DYN_BADMSG);
    /* As deep as allowed, and one deeper. */
    ck_assert_int_eq(start(bytes + 10000 - DYN_PACK_DEPTH_MAX, DYN_PACK_DEPTH_MAX + 1), DYN_OK);
    for (int i = 0; i < DYN_PACK_DEPTH_MAX; i++) {
        ck_assert_uint_eq(pack_read_array(reader, 1, 1), 1);
    }
    ck_assert(pack_read_nil(reader));
    ck_assert_int_eq(pack_reader_end(reader), DYN_OK);
    ck_assert_int_eq(start(bytes + 10000 - DYN_PACK_DEPTH_MAX - 1, DYN_PACK_DEPTH_MAX + 2),
                     DYN_BADMSG);
}
END_TEST

START_TEST(size_is_bounded)
{
    static char bytes[DYN_ENTRY_MAX + 1];
    /* An array of small numbers that fills an entry: its zone is the largest there is. */
    bytes[0] = (char)0xdd;
    bytes[2] = (char)((DYN_ENTRY_MAX - 5) >> 16);
    bytes[3] = (char)((DYN_ENTRY_MAX - 5) >> 8 & 0xff);
    bytes[4] = (char)((DYN_ENTRY_MAX - 5) & 0xff);
    ck_assert_int_eq(start(bytes, DYN_ENTRY_MAX), DYN_OK);
    ck_assert_uint_eq(pack_read_array(reader, 0, DYN_ENTRY_MAX), DYN_ENTRY_MAX - 5);
    ck_assert_int_eq(start(bytes, DYN_ENTRY_MAX + 1), DYN_TOOBIG);
}
END_TEST

START_TEST(a_writer_stops_at_the_buffers_bound)
{
    struct dyn_buf small;
    dyn_buf_init(&small, 8);
    pack_str(&small, DYN_STR("longer than eight"));
    ck_assert_int_eq(dyn_buf_result(&small), DYN_TOOBIG);
    dyn_buf_fini(&small);
}
END_TEST

START_TEST(every_two_bytes_are_survived)
{
    for (unsigned i = 0; i < 65536; i++) {
        const char bytes[] = {(char)(i >> 8), (char)(i & 0xff)};
        if (start(bytes, 2) == DYN_OK) {
            pack_skip(reader);
            ck_assert_int_eq(pack_reader_end(reader), DYN_OK);
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pack");
    TCase *tests = tcase_create("pack");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, what_is_written_is_read);
    tcase_add_test(tests, a_float_takes_nine_bytes_and_keeps_its_bits);
    tcase_add_test(tests, integers_are_taken_as_floats_and_floats_not_as_integers);
    tcase_add_test(tests, the_first_error_sticks_and_later_reads_are_zero);
    tcase_add_test(tests, counts_lengths_and_ranges_are_bounded);
    tcase_add_test(tests, values_left_unread_are_an_error);
    tcase_add_test(tests, a_claim_of_what_is_not_there_is_refused_before_it_is_believed);
    tcase_add_test(tests, depth_is_bounded);
    tcase_add_test(tests, size_is_bounded);
    tcase_add_test(tests, a_writer_stops_at_the_buffers_bound);
    tcase_add_test(tests, every_two_bytes_are_survived);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
