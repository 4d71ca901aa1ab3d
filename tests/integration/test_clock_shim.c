/* The clock shim steps the wall clock of real programs, and nothing else of theirs. */
#include "support_clock.h"
#include "support_program.h"
#include "support_redis.h"

#include "common/clock.h"

#include <check.h>
#include <stdlib.h>

#define HOUR_MS 3600000

static struct support_clock *clock_of_redis;
static struct support_redis *redis;

static void setup(void)
{
    clock_of_redis = support_clock_new();
    redis = support_redis_new(&(struct support_redis_options){.clock = clock_of_redis});
}

static void teardown(void)
{
    support_redis_free(redis);
    support_clock_free(clock_of_redis);
}

struct id {
    int64_t ms, seq;
};

static struct id entry_add(void)
{
    char *end = NULL;
    const char *id = support_redis_call(redis, "XADD", "stream", "*", "f", "v", (char *)NULL);
    int64_t ms = strtoll(id, &end, 10);
    ck_assert_msg(*end == '-', "%s", id);
    return (struct id){ms, strtoll(end + 1, NULL, 10)};
}

static int64_t away_from(int64_t wall_ms)
{
    int64_t away_ms = wall_ms - dyn_clock_wall_ms();
    return away_ms < 0 ? -away_ms : away_ms;
}

START_TEST(entry_ids_jump_ahead_with_the_clock_and_stay_there_when_it_goes_back)
{
    ck_assert_int_lt(away_from(entry_add().ms), 5000);
    support_clock_set(clock_of_redis, HOUR_MS);
    struct id ahead = entry_add();
    ck_assert_int_lt(away_from(ahead.ms - HOUR_MS), 5000);
    support_clock_set(clock_of_redis, 0);
    struct id back = entry_add();
    ck_assert_int_eq(back.ms, ahead.ms);
    ck_assert_int_eq(back.seq, ahead.seq + 1);
    const char *time = support_redis_call(redis, "TIME", (char *)NULL);
    ck_assert_int_lt(away_from(strtoll(time, NULL, 10) * 1000), 5000);
}
END_TEST

START_TEST(a_key_that_expires_is_gone_when_the_clock_steps_ahead)
{
    (void)support_redis_call(redis, "SET", "k", "v", "PX", "600000", (char *)NULL);
    ck_assert_str_eq(support_redis_call(redis, "GET", "k", (char *)NULL), "v");
    support_clock_set(clock_of_redis, HOUR_MS);
    ck_assert_str_eq(support_redis_call(redis, "GET", "k", (char *)NULL), "(nil)");
}
END_TEST

START_TEST(a_program_sees_the_step_in_all_three_calls_and_none_in_elapsed_time)
{
    static const char *const argv[] = {
        "/usr/bin/python3", "-c",
        "import time\n"
        "print('seconds', int(time.time()))\n"
        "print('elapsed', int(time.clock_gettime(time.CLOCK_BOOTTIME)))\n"
        "print('end', flush=True)\n",
        NULL};
    support_clock_set(clock_of_redis, -10 * HOUR_MS);
    support_clock_lend(clock_of_redis);
    struct program *program = program_start(argv);
    support_clock_end();
    program_await(program, "end");
    const char *output = program_output(program);
    const char *seconds = strstr(output, "seconds ");
    const char *elapsed = strstr(output, "elapsed ");
    ck_assert_msg(seconds != NULL && elapsed != NULL, "%s", output);
    ck_assert_int_lt(away_from((strtoll(seconds + 8, NULL, 10) * 1000) + 10 * HOUR_MS), 5000);
    ck_assert_int_lt(llabs(strtoll(elapsed + 8, NULL, 10) - (dyn_clock_boot_ms() / 1000)), 5);
    ck_assert_int_eq(program_end(program), 0);
    program_free(program);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("clock_shim");
    TCase *tests = tcase_create("clock_shim");
    tcase_set_timeout(tests, 30);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, entry_ids_jump_ahead_with_the_clock_and_stay_there_when_it_goes_back);
    tcase_add_test(tests, a_key_that_expires_is_gone_when_the_clock_steps_ahead);
    tcase_add_test(tests, a_program_sees_the_step_in_all_three_calls_and_none_in_elapsed_time);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
