#include "common/log.h"

#include "common/str.h"

#include <check.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t id, struct timespec *at);

/* The minute of the repeats must not be waited for: the tests own CLOCK_BOOTTIME. */
static int64_t boot_s = 1000;

int clock_gettime(clockid_t id, struct timespec *at)
{
    if (id == CLOCK_BOOTTIME) {
        *at = (struct timespec){.tv_sec = boot_s};
        return 0;
    }
    return (int)syscall(SYS_clock_gettime, id, at);
}

static int pipe_out = -1;
static int stderr_saved = -1;
static char printed[16384];

static void capture_start(void)
{
    int ends[2];
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    stderr_saved = dup(STDERR_FILENO);
    ck_assert_int_ge(dup2(ends[1], STDERR_FILENO), 0);
    (void)close(ends[1]);
    pipe_out = ends[0];
    dyn_log_init("tester", DYN_LOG_INFO);
}

static void capture_end(void)
{
    (void)dup2(stderr_saved, STDERR_FILENO);
    (void)close(stderr_saved);
    (void)close(pipe_out);
}

/* What was printed since the last call. */
static const char *captured(void)
{
    ssize_t len = read(pipe_out, printed, sizeof printed - 1);
    printed[len > 0 ? len : 0] = '\0';
    return printed;
}

static const char *captured_after_time(void)
{
    const char *line = captured();
    ck_assert_int_eq(strncmp(line, "ts=20", 5), 0);
    ck_assert_uint_gt(strlen(line), 24);
    return line + 24;
}

START_TEST(an_event_is_one_line)
{
    dyn_log(DYN_LOG_WARN, "heroku_429", "app=%s wait_s=%d", "shop", 30);
    ck_assert_str_eq(captured_after_time(),
                     "level=warn service=tester event=heroku_429 app=shop wait_s=30\n");
    dyn_log(DYN_LOG_ERROR, "started", "%s", "");
    ck_assert_str_eq(captured_after_time(), "level=error service=tester event=started\n");
    dyn_log(DYN_LOG_INFO, "read", " msg=%s", dyn_log_quoted("all is well"));
    ck_assert_str_eq(captured_after_time(),
                     "level=info service=tester event=read msg=\"all is well\"\n");
}
END_TEST

START_TEST(a_value_cannot_start_a_line_of_its_own)
{
    dyn_log(DYN_LOG_INFO, "read", "app=%s", "a\nts=1 level=error\r\x1b[2J");
    ck_assert_str_eq(captured_after_time(),
                     "level=info service=tester event=read app=a ts=1 level=error  [2J\n");
}
END_TEST

START_TEST(lines_below_the_level_are_not_printed)
{
    dyn_log(DYN_LOG_DEBUG, "detail", "n=%d", 1);
    ck_assert_str_eq(captured(), "");
    dyn_log_init("tester", DYN_LOG_DEBUG);
    dyn_log(DYN_LOG_DEBUG, "detail", "n=%d", 1);
    ck_assert_str_eq(captured_after_time(), "level=debug service=tester event=detail n=1\n");
}
END_TEST

START_TEST(repeats_within_a_minute_are_counted_and_not_printed)
{
    dyn_log(DYN_LOG_WARN, "redis_away", "port=%d", 6379);
    (void)captured_after_time();
    boot_s += 59;
    dyn_log(DYN_LOG_WARN, "redis_away", "port=%d", 6379);
    dyn_log(DYN_LOG_WARN, "redis_away", "port=%d", 6379);
    ck_assert_str_eq(captured(), "");
    dyn_log(DYN_LOG_WARN, "redis_away", "port=%d", 6380);
    ck_assert_str_eq(captured_after_time(),
                     "level=warn service=tester event=redis_away port=6380\n");
    boot_s += 1;
    dyn_log(DYN_LOG_WARN, "redis_away", "port=%d", 6379);
    ck_assert_str_eq(captured_after_time(),
                     "level=warn service=tester event=redis_away repeated=2 port=6379\n");
    boot_s += 60;
    dyn_log(DYN_LOG_WARN, "redis_away", "port=%d", 6379);
    ck_assert_str_eq(captured_after_time(),
                     "level=warn service=tester event=redis_away port=6379\n");
}
END_TEST

START_TEST(more_kinds_of_lines_than_are_remembered_are_all_printed)
{
    for (int i = 0; i < 200; i++) {
        dyn_log(DYN_LOG_INFO, "kind", "n=%d", i);
        ck_assert_ptr_nonnull(strstr(captured_after_time(), "event=kind n="));
    }
}
END_TEST

START_TEST(a_very_long_line_is_cut_and_still_one_line)
{
    char value[8192];
    memset(value, 'v', sizeof value);
    value[sizeof value - 1] = '\0';
    dyn_log(DYN_LOG_INFO, "long", "value=%s", value);
    const char *line = captured();
    ck_assert_uint_eq(strlen(line), 4096);
    ck_assert_ptr_eq(strchr(line, '\n'), line + 4095);
}
END_TEST

START_TEST(quoting_escapes_what_would_end_the_value)
{
    ck_assert_str_eq(dyn_log_quoted("plain"), "\"plain\"");
    ck_assert_str_eq(dyn_log_quoted(""), "\"\"");
    ck_assert_str_eq(dyn_log_quoted(NULL), "\"\"");
    ck_assert_str_eq(dyn_log_quoted("a\"b\\c"), "\"a\\\"b\\\\c\"");
    ck_assert_str_eq(dyn_log_quoted("a\nb\tc\rd\x01\x7f"), "\"a\\nb\\tc\\rd\\u0001\\u007f\"");
    ck_assert_str_eq(dyn_log_quoted("caf\xc3\xa9"), "\"caf\xc3\xa9\"");
}
END_TEST

START_TEST(eight_quoted_values_live_side_by_side)
{
    const char *values[8];
    for (int i = 0; i < 8; i++) {
        char text[2] = {(char)('a' + i), '\0'};
        values[i] = dyn_log_quoted(text);
    }
    ck_assert_str_eq(values[0], "\"a\"");
    ck_assert_str_eq(values[7], "\"h\"");
}
END_TEST

START_TEST(a_long_quoted_value_is_cut_at_a_whole_character)
{
    char text[4096];
    for (size_t offset = 0; offset < 2; offset++) {
        memset(text, 'x', offset);
        for (size_t i = offset; i + 2 < sizeof text; i += 2) {
            memcpy(text + i, "\xc3\xa9", 3);
        }
        const char *quoted = dyn_log_quoted(text);
        size_t len = strlen(quoted);
        ck_assert_uint_lt(len, 1024);
        ck_assert_uint_gt(len, 1000);
        ck_assert_str_eq(quoted + len - 5, "\xa9...\"");
    }
    memset(text, '\x01', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    const char *quoted = dyn_log_quoted(text);
    ck_assert_str_eq(quoted + strlen(quoted) - 10, "\\u0001...\"");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("log");
    TCase *lines = tcase_create("lines");
    tcase_add_checked_fixture(lines, capture_start, capture_end);
    tcase_add_test(lines, an_event_is_one_line);
    tcase_add_test(lines, a_value_cannot_start_a_line_of_its_own);
    tcase_add_test(lines, lines_below_the_level_are_not_printed);
    tcase_add_test(lines, repeats_within_a_minute_are_counted_and_not_printed);
    tcase_add_test(lines, more_kinds_of_lines_than_are_remembered_are_all_printed);
    tcase_add_test(lines, a_very_long_line_is_cut_and_still_one_line);
    suite_add_tcase(suite, lines);
    TCase *quoting = tcase_create("quoting");
    tcase_add_test(quoting, quoting_escapes_what_would_end_the_value);
    tcase_add_test(quoting, eight_quoted_values_live_side_by_side);
    tcase_add_test(quoting, a_long_quoted_value_is_cut_at_a_whole_character);
    suite_add_tcase(suite, quoting);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
