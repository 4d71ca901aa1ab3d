/* A dead man's switch as the reporter ships it, with a real Redis. What the engine's programs write
 * there is written here. */
#include "common/bus.h"
#include "common/clock.h"
#include "tests/integration/support_metrics.h"
#include "tests/integration/support_program.h"
#include "tests/integration/support_redis.h"

#include <check.h>
#include <signal.h>
#include <time.h>

#define LEASE "lease: {renew: 0.2, estimator_wait: 1, beat: 0.2, gone: 0.8}"
#define PARTITIONS 2
#define AWAIT_MS 30000
#define LOOKS_MS 6000 /* the reporter looks each 2 s, and wants to see two beats */
#define TURN_MS 250

static struct support_redis *redis;
static struct support_file *file;
static struct program *program;
static struct metrics fake;
static unsigned beats;

static void setup(void)
{
    char schema[16];
    redis = support_redis_new(NULL);
    support_redis_load_functions(redis);
    (void)snprintf(schema, sizeof schema, "%d", MESSAGE_SCHEMA);
    (void)support_redis_call(redis, "HSET", "dyn:setup", "partitions", "2", "functions",
                             bus_functions_version, "schema", schema, NULL);
    file = support_file_new("dynosaur.yaml");
    program = NULL;
    beats = 0;
    fake = metrics_start("{'healthcheck': {'checks': {'my-check': 0}}}");
}

static void teardown(void)
{
    program_free(program);
    metrics_stop(&fake);
    support_file_free(file);
    support_redis_free(redis);
}

static void reporter_start(const char *check)
{
    char path[512];
    const char *build = getenv("DYN_BUILD");
    const char *argv[] = {path, "--config", support_file_path(file), "--http", "0", NULL};
    (void)snprintf(path, sizeof path, "%s/services/dynosaur-reporter",
                   build != NULL ? build : "build/dev");
    support_file_write(file,
                       "version: 2\n"
                       "redis: {url: \"%s\", partitions: 2, " LEASE "}\n"
                       "accounts: {main: {heroku_api_key: '${KEY}'}}\n"
                       "success_handlers:\n"
                       "- {type: healthcheck, url: \"http://127.0.0.1:%u/healthcheck/%s\"}\n"
                       "apps: {shop: {controller_plugins: [{name: web, type: dynos, input_plugins: "
                       "[{name: users, type: sine}]}]}}\n",
                       support_redis_url(redis), fake.port, check);
    program_free(program);
    program = program_start(argv);
    program_await(program, "event=redis_ready");
}

static void pause_turn(void)
{
    const struct timespec pause = {.tv_nsec = TURN_MS * 1000000L};
    (void)nanosleep(&pause, NULL);
}

/* All roles beat and each partition is folded, but for what is left out. */
static void engine_turn(const char *silent_role, int behind_partition)
{
    static const char *const roles[] = {"col", "est", "act"};
    char key[64];
    char text[64];
    (void)snprintf(text, sizeof text, "%u host-1", ++beats);
    for (size_t i = 0; i < 3; i++) {
        (void)snprintf(key, sizeof key, "dyn:{%s}:members", roles[i]);
        bool silent = silent_role != NULL && strcmp(roles[i], silent_role) == 0;
        (void)support_redis_call(redis, "HSET", key, "one", silent ? "1 host-1" : text, NULL);
    }
    for (int i = 0; i < PARTITIONS; i++) {
        int64_t cursor_ms = dyn_clock_wall_ms() - (i == behind_partition ? 60000 : 500);
        (void)snprintf(key, sizeof key, "dyn:{%d}:lease", i);
        (void)snprintf(text, sizeof text, "%lld", (long long)cursor_ms);
        (void)support_redis_call(redis, "HSET", key, "owner", "o", "cursor_ms", text, NULL);
    }
    pause_turn();
}

static void engine_run(int64_t for_ms, const char *silent_role, int behind_partition)
{
    int64_t end_ms = dyn_clock_boot_ms() + for_ms;
    while (dyn_clock_boot_ms() < end_ms) {
        engine_turn(silent_role, behind_partition);
    }
}

static size_t pings(void)
{
    return metrics_asked(&fake, "/healthcheck");
}

static void pings_await(size_t count)
{
    int64_t end_ms = dyn_clock_boot_ms() + AWAIT_MS;
    while (pings() < count) {
        ck_assert_msg(dyn_clock_boot_ms() < end_ms, "%s", program_output(program));
        engine_turn(NULL, -1);
    }
    ck_assert_uint_eq(pings(), count);
}

START_TEST(a_ping_comes_once_the_whole_engine_lives)
{
    reporter_start("my-check");
    engine_run(LOOKS_MS, "act", -1);
    ck_assert_uint_eq(pings(), 0);
    engine_run(LOOKS_MS, NULL, 1);
    ck_assert_uint_eq(pings(), 0);
    pings_await(1);
    program_await(program, "event=engine_lives");
    metrics_are_content(&fake);
    ck_assert_int_eq(program_http(program, "/metrics"), 200);
    ck_assert_ptr_nonnull(strstr(program_body(program), "dynosaur_reporter_engine_alive 1"));
    ck_assert_ptr_nonnull(strstr(program_body(program),
                                 "dynosaur_reporter_accepted_total{sink=\"success:healthcheck\"} "
                                 "1"));
}
END_TEST

START_TEST(whoever_follows_keeps_to_the_minute)
{
    char before[32];
    reporter_start("my-check");
    pings_await(1);
    program_signal(program, SIGTERM);
    ck_assert_int_eq(program_end(program), 0);
    reporter_start("my-check");
    engine_run(LOOKS_MS, NULL, -1);
    ck_assert_uint_eq(pings(), 1);
    program_signal(program, SIGTERM);
    ck_assert_int_eq(program_end(program), 0);
    (void)snprintf(before, sizeof before, "%lld", (long long)dyn_clock_wall_ms() - 61000);
    (void)support_redis_call(redis, "HSET", "dyn:{rep}:success:healthcheck", "pinged", before,
                             NULL);
    reporter_start("my-check");
    pings_await(2);
}
END_TEST

START_TEST(a_ping_that_is_refused_is_told)
{
    reporter_start("another");
    pings_await(1);
    program_await(program, "event=sink_failed");
    program_await(program, "success:healthcheck did not take a ping: answered with status 404: "
                           "not found");
    engine_run(2000, NULL, -1);
    ck_assert_uint_eq(pings(), 1); /* the next comes in its turn */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("success");
    TCase *tests = tcase_create("success");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, a_ping_comes_once_the_whole_engine_lives);
    tcase_add_test(tests, whoever_follows_keeps_to_the_minute);
    tcase_add_test(tests, a_ping_that_is_refused_is_told);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
