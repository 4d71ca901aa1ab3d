/*
 * The skeleton of a service, in a real process: this program run again with TINY_SERVICE in its
 * environment is a service that counts in Redis how often it became ready.
 */
#include "common/service.h"

#include "support_program.h"
#include "support_redis.h"

#include <check.h>
#include <signal.h>
#include <unistd.h>

/* ---- the tiny service ---- */

struct tiny {
    struct dyn_timer *finish;
    bool ready;
};

static const char *tiny_wish(void)
{
    const char *wish = getenv("TINY_SERVICE");
    return wish != NULL ? wish : "";
}

static void tiny_finish(void *arg)
{
    service_stop(arg, 0);
}

static dyn_err tiny_start(struct service *service, struct dyn_error *error)
{
    struct tiny *tiny = service->state;
    if (strcmp(tiny_wish(), "refuse") == 0) {
        return dyn_error_set(error, DYN_CONFIG, "tiny refuses its configuration");
    }
    if (strcmp(tiny_wish(), "fail") == 0) {
        return dyn_error_set(error, DYN_IO, "tiny cannot start");
    }
    if (strcmp(tiny_wish(), "terminate") == 0) {
        (void)raise(SIGTERM);
    }
    tiny->finish = dyn_timer_new(service->loop, tiny_finish, service);
    service_event(service, &(struct event){.level = EVENT_INFO,
                                           .code = DYN_STR("tiny_started"),
                                           .app = DYN_STR("shop"),
                                           .text = DYN_STR("tiny has started")});
    return DYN_OK;
}

static void tiny_redis_ready(struct service *service, struct dyn_str replid)
{
    struct tiny *tiny = service->state;
    struct dyn_str argv[] = {DYN_STR("INCR"), DYN_STR("tiny:ready")};
    tiny->ready = true;
    DYN_ASSERT(replid.len == 40);
    dyn_err err = bus_command(service->bus, argv, 2, 0, NULL, NULL);
    DYN_ASSERT(err == DYN_OK);
    for (int i = 0; i < 6 && strcmp(tiny_wish(), "troubled") == 0; i++) {
        service_redis_trouble(service, i % 2 == 0 ? "OOM full" : "NOPERM may not");
    }
}

static void tiny_redis_lost(struct service *service, const char *why)
{
    struct tiny *tiny = service->state;
    DYN_ASSERT(tiny->ready);
    tiny->ready = false;
    dyn_log(DYN_LOG_INFO, "tiny_lost", "msg=%s", dyn_log_quoted(why));
}

static void tiny_reload(struct service *service, struct config *next)
{
    DYN_ASSERT(next != service->config);
    dyn_log(DYN_LOG_INFO, "tiny_reload", "app=%s", next->apps[0].name);
}

static void tiny_drain(struct service *service)
{
    struct tiny *tiny = service->state;
    DYN_ASSERT(service->draining);
    if (strcmp(tiny_wish(), "stuck") != 0) {
        dyn_timer_start(tiny->finish, 50, 0);
    }
}

static void tiny_stop(struct service *service)
{
    struct tiny *tiny = service->state;
    DYN_ASSERT(service->bus == NULL);
    dyn_timer_free(tiny->finish);
}

static bool tiny_ready(struct service *service, struct dyn_buf *why)
{
    (void)service;
    if (strcmp(tiny_wish(), "lazy") == 0) {
        (void)dyn_buf_addf(why, "tiny is lazy");
        return false;
    }
    return true;
}

static const struct service_ops tiny_ops = {
    .name = "tiny",
    .help = "Counts how often it became ready.",
    .http_port = 18099,
    .state_size = sizeof(struct tiny),
    .start = tiny_start,
    .redis_ready = tiny_redis_ready,
    .redis_lost = tiny_redis_lost,
    .reload = tiny_reload,
    .drain = tiny_drain,
    .stop = tiny_stop,
    .ready = tiny_ready,
};

/* ---- the tests ---- */

static struct support_redis *redis;
static struct program *program;
static struct support_file *file;

static void config_write(const char *app, int partitions)
{
    support_file_write(file,
                       "version: 2\n"
                       "redis: {url: \"%s\", partitions: %d}\n"
                       "accounts: {main: {heroku_api_key: '${KEY}'}}\n"
                       "apps:\n"
                       "  %s:\n"
                       "    controller_plugins:\n"
                       "      - name: web\n"
                       "        type: dynos\n"
                       "        input_plugins:\n"
                       "          - {name: wave, type: sine}\n",
                       support_redis_url(redis), partitions, app);
}

static void set_up(void)
{
    redis = support_redis_prepare(NULL);
    file = support_file_new("dynosaur.yaml");
    config_write("shop", 4);
    program = NULL;
}

static void tear_down(void)
{
    program_free(program);
    support_file_free(file);
    support_redis_free(redis);
}

static void setup_store(const char *partitions, const char *functions)
{
    char schema[16];
    (void)snprintf(schema, sizeof schema, "%d", MESSAGE_SCHEMA);
    (void)support_redis_call(redis, "HSET", "dyn:setup", "partitions", partitions, "functions",
                             functions, "schema", schema, NULL);
}

static void tiny_run(const char *wish)
{
    (void)setenv("TINY_SERVICE", wish, 1);
    const char *argv[] = {"/proc/self/exe", "--config", support_file_path(file),
                          "--http",         "0",        NULL};
    program = program_start(argv);
}

static void tiny_run_ready(void)
{
    support_redis_start(redis);
    setup_store("4", bus_functions_version);
    tiny_run("plain");
    program_await(program, "event=redis_ready");
}

static int run_with(const char *first, const char *second, const char *third)
{
    (void)setenv("TINY_SERVICE", "plain", 1);
    const char *argv[] = {"/proc/self/exe", first, second, third, NULL};
    program = program_start(argv);
    return program_end(program);
}

START_TEST(help_is_printed_and_is_no_failure)
{
    ck_assert_int_eq(run_with("--help", NULL, NULL), 0);
    ck_assert_ptr_nonnull(strstr(program_output(program), "usage: dynosaur-tiny --config FILE"));
    ck_assert_ptr_nonnull(strstr(program_output(program), "Counts how often it became ready."));
    ck_assert_ptr_nonnull(strstr(program_output(program), "127.0.0.1:18099"));
    ck_assert_ptr_nonnull(strstr(program_output(program), "--die-with-parent[=PID]"));
}
END_TEST

START_TEST(the_version_is_printed)
{
    ck_assert_int_eq(run_with("--version", NULL, NULL), 0);
    ck_assert_str_eq(program_output(program), "dynosaur-tiny " DYN_VERSION "\n");
}
END_TEST

static const struct {
    const char *args[3];
    const char *words;
} wrong_usage[] = {
    {{NULL}, "--config FILE is missing"},
    {{"--confg", "x"}, "unknown option --confg: did you mean --config?"},
    {{"--frobnicate"}, "unknown option --frobnicate: see --help"},
    {{"--config"}, "--config needs a value"},
    {{"--check=yes"}, "--check takes no value"},
    {{"file.yaml"}, "unexpected argument file.yaml"},
    {{"--http", "localhost:80"}, "--http localhost:80: expected PORT"},
    {{"--http", "70000"}, "--http 70000: expected PORT"},
    {{"--http=127.0.0.1:x"}, "expected PORT"},
    {{"--instance", "a b"}, "--instance a b"},
    {{"--die-with-parent=x"}, "--die-with-parent=x: expected a process id"},
};

START_TEST(wrong_usage_is_exit_2_with_words)
{
    const char *const *args = wrong_usage[_i].args;
    ck_assert_int_eq(run_with(args[0], args[1], args[2]), 2);
    ck_assert_msg(strstr(program_output(program), wrong_usage[_i].words) != NULL, "%s",
                  program_output(program));
}
END_TEST

START_TEST(check_says_ok_for_a_good_file)
{
    char ok[256];
    ck_assert_int_eq(run_with("--check", "--config", support_file_path(file)), 0);
    (void)snprintf(ok, sizeof ok, "%s: ok\n", support_file_path(file));
    ck_assert_ptr_nonnull(strstr(program_output(program), ok));
}
END_TEST

START_TEST(check_says_what_is_wrong_with_exit_2)
{
    support_file_write(file, "version: 2\napss: {}\n");
    ck_assert_int_eq(run_with("--check", "--config", support_file_path(file)), 2);
    ck_assert_ptr_nonnull(strstr(program_output(program), "apss"));
    ck_assert_ptr_null(strstr(program_output(program), ": ok"));
}
END_TEST

START_TEST(a_wrong_file_ends_a_start_with_exit_2)
{
    support_file_write(file, "version: 2\napss: {}\n");
    tiny_run("plain");
    ck_assert_int_eq(program_end(program), 2);
    ck_assert_ptr_nonnull(strstr(program_output(program), "event=not_started"));
}
END_TEST

START_TEST(a_service_that_refuses_its_configuration_ends_with_2_and_any_other_failure_with_1)
{
    tiny_run("refuse");
    ck_assert_int_eq(program_end(program), 2);
    ck_assert_ptr_nonnull(strstr(program_output(program), "tiny refuses its configuration"));
    program_free(program);
    tiny_run("fail");
    ck_assert_int_eq(program_end(program), 1);
    ck_assert_ptr_nonnull(strstr(program_output(program), "tiny cannot start"));
}
END_TEST

START_TEST(sigterm_drains_and_ends_with_0)
{
    tiny_run_ready();
    program_signal(program, SIGTERM);
    ck_assert_int_eq(program_end(program), 0);
    ck_assert_ptr_nonnull(strstr(program_output(program), "event=draining"));
    ck_assert_ptr_nonnull(strstr(program_output(program), "event=stopped"));
}
END_TEST

START_TEST(sigterm_during_start_drains_too)
{
    tiny_run("terminate");
    ck_assert_int_eq(program_end(program), 0);
    ck_assert_ptr_nonnull(strstr(program_output(program), "event=draining"));
}
END_TEST

START_TEST(a_second_sigterm_ends_a_drain_that_is_stuck)
{
    tiny_run("stuck");
    program_await(program, "event=started");
    program_signal(program, SIGTERM);
    program_await(program, "event=draining");
    program_signal(program, SIGTERM);
    ck_assert_int_eq(program_end(program), 1);
    ck_assert_ptr_nonnull(strstr(program_output(program), "event=drain_cut_short"));
}
END_TEST

START_TEST(a_drain_that_is_stuck_is_ended_after_ten_seconds)
{
    tiny_run("stuck");
    program_await(program, "event=started");
    program_signal(program, SIGTERM);
    ck_assert_int_eq(program_end(program), 1);
    ck_assert_ptr_nonnull(strstr(program_output(program), "event=drain_too_long"));
}
END_TEST

START_TEST(sighup_takes_a_good_file_and_keeps_the_old_one_for_a_bad_one)
{
    tiny_run_ready();
    config_write("store", 4);
    program_signal(program, SIGHUP);
    program_await(program, "event=tiny_reload app=store");
    program_await(program, "event=config_reloaded");
    support_file_write(file, "version: 2\napss: {}\n");
    program_signal(program, SIGHUP);
    program_await(program, "event=config_refused");
    config_write("store", 8);
    program_signal(program, SIGHUP);
    program_await(program, "need a restart");
    config_write("last", 4);
    program_signal(program, SIGHUP);
    program_await(program, "event=tiny_reload app=last");
    program_signal(program, SIGTERM);
    ck_assert_int_eq(program_end(program), 0);
}
END_TEST

START_TEST(redis_away_at_start_is_awaited)
{
    tiny_run("plain");
    program_await(program, "event=redis_away");
    ck_assert_int_eq(program_http(program, "/healthz"), 200);
    ck_assert_int_eq(program_http(program, "/readyz"), 503);
    ck_assert_ptr_nonnull(strstr(program_body(program), "Redis is away"));
    support_redis_start(redis);
    program_await(program, "event=setup_missing");
    ck_assert_ptr_nonnull(strstr(program_output(program), "run: dynosaur setup "));
    ck_assert_int_eq(program_http(program, "/readyz"), 503);
    ck_assert_str_eq(support_redis_call(redis, "EXISTS", "tiny:ready", NULL), "0");
    setup_store("4", "of another time");
    program_await(program, "event=setup_other");
    setup_store("4", bus_functions_version);
    program_await(program, "event=redis_ready");
    ck_assert_int_eq(program_http(program, "/readyz"), 200);
    ck_assert_str_eq(program_body(program), "ready\n");
}
END_TEST

START_TEST(redis_lost_and_back_is_told_once_each)
{
    tiny_run_ready();
    support_redis_kill(redis);
    program_await(program, "event=tiny_lost");
    ck_assert_int_eq(program_http(program, "/readyz"), 503);
    support_redis_start(redis);
    program_await(program, "event=setup_missing");
    setup_store("4", bus_functions_version);
    program_await(program, "event=redis_ready");
    program_await(program, "Redis was away for ");
    program_signal(program, SIGTERM);
    ck_assert_int_eq(program_end(program), 0);
    ck_assert_int_eq(program_count(program, "event=redis_away state"), 0);
    ck_assert_int_eq(program_count(program, "event=tiny_lost"), 1);
    ck_assert_int_eq(program_count(program, "event=redis_ready"), 2);
}
END_TEST

START_TEST(events_wait_for_redis_and_arrive)
{
    tiny_run("plain");
    program_await(program, "event=redis_away");
    support_redis_start(redis);
    setup_store("4", bus_functions_version);
    program_await(program, "event=redis_ready");
    program_signal(program, SIGTERM);
    ck_assert_int_eq(program_end(program), 0);
    ck_assert_ptr_nonnull(
        strstr(program_output(program), "event=tiny_started app=shop msg=\"tiny has started\""));
    ck_assert_str_eq(support_redis_call(redis, "XLEN", "dyn:events", NULL), "1");
}
END_TEST

START_TEST(a_full_redis_is_told_with_what_to_do_and_events_wait_for_room)
{
    tiny_run_ready();
    (void)support_redis_call(redis, "CONFIG", "SET", "maxmemory", "1", NULL);
    support_file_write(file, "apps: [\n");
    program_signal(program, SIGHUP);
    program_await(program, "event=config_refused");
    program_await(program, "event=redis_trouble cause=redis msg=\"OOM ");
    program_await(program, "raise its maxmemory");
    ck_assert_int_eq(program_http(program, "/metrics"), 200);
    ck_assert_ptr_nonnull(strstr(program_body(program), "\ndynosaur_redis_troubles_total "));
    ck_assert_ptr_null(strstr(program_body(program), "\ndynosaur_redis_troubles_total 0\n"));
    (void)support_redis_call(redis, "CONFIG", "SET", "maxmemory", "0", NULL);
    /* tiny_started, config_refused, redis_trouble */
    for (int i = 0;
         i < 200 && strcmp(support_redis_call(redis, "XLEN", "dyn:events", NULL), "3") != 0; i++) {
        (void)usleep(50000);
    }
    ck_assert_str_eq(support_redis_call(redis, "XLEN", "dyn:events", NULL), "3");
    ck_assert_int_eq(program_count(program, "event=event_refused"), 0);
}
END_TEST

START_TEST(two_kinds_of_trouble_in_turn_are_one_event_each)
{
    support_redis_start(redis);
    setup_store("4", bus_functions_version);
    tiny_run("troubled");
    program_await(program, "event=redis_ready");
    program_await(program, "msg=\"NOPERM may not\"");
    program_signal(program, SIGTERM);
    program_await(program, "event=stopped");
    /* tiny_started, and the two */
    ck_assert_str_eq(support_redis_call(redis, "XLEN", "dyn:events", NULL), "3");
}
END_TEST

START_TEST(another_number_of_partitions_is_exit_2)
{
    support_redis_start(redis);
    setup_store("8", bus_functions_version);
    tiny_run("plain");
    ck_assert_int_eq(program_end(program), 2);
    ck_assert_ptr_nonnull(
        strstr(program_output(program), "event=other_partitions configured=4 stored=8"));
    ck_assert_str_eq(support_redis_call(redis, "EXISTS", "tiny:ready", NULL), "0");
}
END_TEST

START_TEST(a_service_that_does_not_work_says_why)
{
    support_redis_start(redis);
    setup_store("4", bus_functions_version);
    tiny_run("lazy");
    program_await(program, "event=redis_ready");
    ck_assert_int_eq(program_http(program, "/readyz"), 503);
    ck_assert_str_eq(program_body(program), "tiny is lazy\n");
    ck_assert_int_eq(program_http(program, "/nothing"), 404);
}
END_TEST

START_TEST(metrics_tell_the_process_and_the_build)
{
    tiny_run_ready();
    ck_assert_int_eq(program_http(program, "/metrics"), 200);
    const char *body = program_body(program);
    ck_assert_ptr_nonnull(strstr(body, "dynosaur_build_info{version=\"" DYN_VERSION
                                       "\",service=\"tiny\",instance=\""));
    ck_assert_ptr_nonnull(strstr(body, "\nprocess_resident_memory_bytes "));
    ck_assert_ptr_nonnull(strstr(body, "\nprocess_open_fds "));
    ck_assert_ptr_nonnull(strstr(body, "\nprocess_start_time_seconds 1"));
    ck_assert_ptr_nonnull(strstr(body, "\ndynosaur_redis_ready 1\n"));
}
END_TEST

START_TEST(redis_url_of_the_command_line_wins_and_leaves_it)
{
    char path[64];
    char line[4096] = "";
    support_redis_start(redis);
    setup_store("4", bus_functions_version);
    support_file_write(file, "scaler: {heroku_app_name: shop, heroku_api_key: key}\n"
                             "controller_plugins:\n"
                             "  - name: web\n"
                             "    type: Dynosaur::Controllers::DynosControllerPlugin\n"
                             "    input_plugins:\n"
                             "      - {name: wave, type: 'Dynosaur::Inputs::SinePlugin'}\n");
    (void)support_redis_call(redis, "HSET", "dyn:setup", "partitions", "8", NULL);
    (void)setenv("TINY_SERVICE", "plain", 1);
    const char *argv[] = {"/proc/self/exe",
                          "--config",
                          support_file_path(file),
                          "--redis",
                          support_redis_url(redis),
                          "--http",
                          "off",
                          NULL};
    program = program_start(argv);
    program_await(program, "event=redis_ready");
    (void)snprintf(path, sizeof path, "/proc/%d/cmdline", program_pid(program));
    FILE *stream = fopen(path, "r");
    ck_assert_ptr_nonnull(stream);
    size_t len = fread(line, 1, sizeof line - 1, stream);
    (void)fclose(stream);
    ck_assert_uint_gt(len, 0);
    ck_assert_ptr_null(memmem(line, len, "unix://", 7));
    ck_assert_ptr_nonnull(memmem(line, len, "--http", 6));
}
END_TEST

START_TEST(a_process_dies_with_its_parent)
{
    (void)setenv("TINY_SERVICE", "plain", 1);
    const char *orphan[] = {
        "/proc/self/exe",      "--config", support_file_path(file), "--http", "off",
        "--die-with-parent=1", NULL};
    program = program_start(orphan);
    ck_assert_int_eq(program_end(program), 1);
    ck_assert_ptr_nonnull(strstr(program_output(program), "the parent has ended already"));
}
END_TEST

static void usage_add(Suite *suite)
{
    TCase *usage = tcase_create("usage");
    tcase_set_timeout(usage, 60);
    tcase_add_checked_fixture(usage, set_up, tear_down);
    tcase_add_test(usage, help_is_printed_and_is_no_failure);
    tcase_add_test(usage, the_version_is_printed);
    tcase_add_loop_test(usage, wrong_usage_is_exit_2_with_words, 0,
                        sizeof wrong_usage / sizeof wrong_usage[0]);
    tcase_add_test(usage, check_says_ok_for_a_good_file);
    tcase_add_test(usage, check_says_what_is_wrong_with_exit_2);
    suite_add_tcase(suite, usage);
}

static void life_add(Suite *suite)
{
    TCase *life = tcase_create("life");
    tcase_set_timeout(life, 60);
    tcase_add_checked_fixture(life, set_up, tear_down);
    tcase_add_test(life, a_wrong_file_ends_a_start_with_exit_2);
    tcase_add_test(
        life, a_service_that_refuses_its_configuration_ends_with_2_and_any_other_failure_with_1);
    tcase_add_test(life, sigterm_drains_and_ends_with_0);
    tcase_add_test(life, sigterm_during_start_drains_too);
    tcase_add_test(life, a_second_sigterm_ends_a_drain_that_is_stuck);
    tcase_add_test(life, a_drain_that_is_stuck_is_ended_after_ten_seconds);
    tcase_add_test(life, sighup_takes_a_good_file_and_keeps_the_old_one_for_a_bad_one);
    tcase_add_test(life, a_process_dies_with_its_parent);
    suite_add_tcase(suite, life);
}

static void redis_add(Suite *suite)
{
    TCase *tests = tcase_create("redis");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, redis_away_at_start_is_awaited);
    tcase_add_test(tests, redis_lost_and_back_is_told_once_each);
    tcase_add_test(tests, events_wait_for_redis_and_arrive);
    tcase_add_test(tests, a_full_redis_is_told_with_what_to_do_and_events_wait_for_room);
    tcase_add_test(tests, two_kinds_of_trouble_in_turn_are_one_event_each);
    tcase_add_test(tests, another_number_of_partitions_is_exit_2);
    tcase_add_test(tests, a_service_that_does_not_work_says_why);
    tcase_add_test(tests, metrics_tell_the_process_and_the_build);
    tcase_add_test(tests, redis_url_of_the_command_line_wins_and_leaves_it);
    suite_add_tcase(suite, tests);
}

int main(int argc, char **argv)
{
    if (getenv("TINY_SERVICE") != NULL) {
        return service_main(argc, argv, &tiny_ops);
    }
    Suite *suite = suite_create("service");
    usage_add(suite);
    life_add(suite);
    redis_add(suite);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
