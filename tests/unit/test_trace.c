#include "common/trace.h"

#include "common/clock.h"
#include "common/limits.h"

#include <check.h>
#include <unistd.h>

static char path[] = "/tmp/dyn-trace-XXXXXX";
static struct trace *trace;
static struct dyn_error error;

static void setup(void)
{
    strcpy(path + sizeof path - 7, "XXXXXX");
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
    trace = NULL;
    error.text[0] = '\0';
}

static void teardown(void)
{
    trace_free(trace);
    (void)unlink(path);
}

static void load(const char *text, struct trace_options options)
{
    FILE *file = fopen(path, "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(text, 1, strlen(text), file), strlen(text));
    fclose(file);
    trace_free(trace);
    trace = trace_load(path, &options, &error);
}

#define DEFAULTS ((struct trace_options){0})

static void check_row(size_t index, const char *when, double value)
{
    int64_t at_ms = 0;
    ck_assert_int_eq(dyn_clock_parse(dyn_str_from(when), &at_ms), DYN_OK);
    ck_assert_uint_lt(index, trace->count);
    ck_assert_int_eq(trace->rows[index].at_ms, at_ms);
    ck_assert_double_eq(trace->rows[index].value, value);
}

START_TEST(the_first_column_is_the_time_and_the_second_the_value)
{
    load("timestamp,value\n2014-04-10 00:04:00,94.0\n2014-04-10T00:09:00,56\n", DEFAULTS);
    ck_assert_msg(trace != NULL, "%s", error.text);
    ck_assert_uint_eq(trace->count, 2);
    check_row(0, "2014-04-10 00:04:00", 94);
    check_row(1, "2014-04-10 00:09:00", 56);
    ck_assert_uint_eq(trace->malformed + trace->unordered, 0);
}
END_TEST

START_TEST(a_file_without_names_unix_times_crlf_and_quotes_are_read)
{
    load("\xEF\xBB\xBF"
         "1000,1\r\n\"1000.5\", 2 \r\n\r\n1002,\"3\"",
         DEFAULTS);
    ck_assert_msg(trace != NULL, "%s", error.text);
    ck_assert_uint_eq(trace->count, 3);
    ck_assert_int_eq(trace->rows[1].at_ms, 1000500);
    ck_assert_double_eq(trace->rows[2].value, 3);
}
END_TEST

START_TEST(columns_are_found_by_name_and_by_number)
{
    const char *text = "a,\"users, \"\"all\"\"\",when\n5,7,100\n6,8,200\n";
    load(text, (struct trace_options){.time_column = "when", .value_column = "users, \"all\""});
    ck_assert_msg(trace != NULL, "%s", error.text);
    ck_assert_int_eq(trace->rows[1].at_ms, 200000);
    ck_assert_double_eq(trace->rows[1].value, 8);
    load(text, (struct trace_options){.time_column = "3", .value_column = "1"});
    ck_assert_double_eq(trace->rows[0].value, 5);
    ck_assert_int_eq(trace->rows[0].at_ms, 100000);
}
END_TEST

START_TEST(a_column_that_is_not_there_is_refused_by_its_name)
{
    load("a,b\n1,2\n", (struct trace_options){.value_column = "users"});
    ck_assert_ptr_null(trace);
    ck_assert_ptr_nonnull(strstr(error.text, "users"));
    load("a,b\n1,2\n", (struct trace_options){.value_column = "3"});
    ck_assert_ptr_null(trace);
    load("a,b\n1,2\n", (struct trace_options){.value_column = "0"});
    ck_assert_ptr_null(trace);
    load("a,b\n1,2\n", (struct trace_options){.value_column = "99999999999"});
    ck_assert_ptr_null(trace);
}
END_TEST

START_TEST(a_fixed_step_needs_no_times)
{
    load("5\n6\nbad\n8\n", (struct trace_options){.step_ms = 250});
    ck_assert_msg(trace != NULL, "%s", error.text);
    ck_assert_uint_eq(trace->count, 3);
    ck_assert_uint_eq(trace->malformed, 1);
    ck_assert_int_eq(trace->rows[1].at_ms, 250);
    ck_assert_int_eq(trace->rows[2].at_ms, 750);
    load("n,v\n1,5\n1,6\n", (struct trace_options){.step_ms = 1000});
    ck_assert_uint_eq(trace->count, 2);
    ck_assert_double_eq(trace->rows[1].value, 6);
}
END_TEST

START_TEST(rows_that_cannot_be_used_are_skipped_counted_and_told_with_their_line)
{
    load("time,value\n"
         "100,1\n"
         "100,2\n"
         "99,3\n"
         "abc,4\n"
         "101\n"
         "102,-5\n"
         "103,nan\n"
         "104,1e999\n"
         "105,\n"
         "106,7\n",
         DEFAULTS);
    ck_assert_msg(trace != NULL, "%s", error.text);
    ck_assert_uint_eq(trace->count, 2);
    ck_assert_uint_eq(trace->unordered, 2);
    ck_assert_uint_eq(trace->malformed, 6);
    ck_assert_uint_eq(trace->messages_count, TRACE_MESSAGES_MAX);
    char want[64];
    (void)snprintf(want, sizeof want, "%s:3: ", path);
    ck_assert(dyn_str_starts(dyn_str_from(trace->messages[0]), want));
    (void)snprintf(want, sizeof want, "%s:5: ", path);
    ck_assert(dyn_str_starts(dyn_str_from(trace->messages[2]), want));
}
END_TEST

START_TEST(a_broken_first_row_is_not_taken_for_names)
{
    load("100,oops\n200,1\n", DEFAULTS);
    ck_assert_ptr_nonnull(trace);
    ck_assert_uint_eq(trace->malformed, 1);
}
END_TEST

START_TEST(a_file_without_a_usable_row_is_refused)
{
    load("", DEFAULTS);
    ck_assert_ptr_null(trace);
    load("time,value\n", DEFAULTS);
    ck_assert_ptr_null(trace);
    load("time,value\nx,y\n", DEFAULTS);
    ck_assert_ptr_null(trace);
    ck_assert_ptr_nonnull(strstr(error.text, ":2: "));
    load("\"\n\"\",\"", DEFAULTS);
    ck_assert_ptr_null(trace);
}
END_TEST

START_TEST(a_file_that_cannot_be_read_or_is_too_large_is_refused)
{
    struct trace_options options = DEFAULTS;
    ck_assert_ptr_null(trace_load("/nonexistent/trace.csv", &options, &error));
    ck_assert_ptr_nonnull(strstr(error.text, "/nonexistent/trace.csv"));
    ck_assert_ptr_null(trace_load("/tmp", &options, &error));
    ck_assert_int_eq(truncate(path, DYN_TRACE_FILE_MAX + 1), 0);
    ck_assert_ptr_null(trace_load(path, &options, &error));
    ck_assert_ptr_nonnull(strstr(error.text, "over"));
}
END_TEST

START_TEST(the_value_in_force_is_that_of_the_row_at_or_before)
{
    load("100,1\n110,2\n130,3\n", DEFAULTS);
    ck_assert_double_eq(trace_value(trace, -1), 1);
    ck_assert_double_eq(trace_value(trace, 0), 1);
    ck_assert_double_eq(trace_value(trace, 9999), 1);
    ck_assert_double_eq(trace_value(trace, 10000), 2);
    ck_assert_double_eq(trace_value(trace, 29999), 2);
    ck_assert_double_eq(trace_value(trace, 30000), 3);
    ck_assert_double_eq(trace_value(trace, 1000000), 3);
    ck_assert_int_eq(trace_length_ms(trace), 50000);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("trace");
    TCase *files = tcase_create("files");
    tcase_add_checked_fixture(files, setup, teardown);
    tcase_add_test(files, the_first_column_is_the_time_and_the_second_the_value);
    tcase_add_test(files, a_file_without_names_unix_times_crlf_and_quotes_are_read);
    tcase_add_test(files, columns_are_found_by_name_and_by_number);
    tcase_add_test(files, a_column_that_is_not_there_is_refused_by_its_name);
    tcase_add_test(files, a_fixed_step_needs_no_times);
    tcase_add_test(files, rows_that_cannot_be_used_are_skipped_counted_and_told_with_their_line);
    tcase_add_test(files, a_broken_first_row_is_not_taken_for_names);
    tcase_add_test(files, a_file_without_a_usable_row_is_refused);
    tcase_add_test(files, a_file_that_cannot_be_read_or_is_too_large_is_refused);
    tcase_add_test(files, the_value_in_force_is_that_of_the_row_at_or_before);
    suite_add_tcase(suite, files);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
