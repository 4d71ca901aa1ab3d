/* The reporter as it ships, with a real Redis. What the other services write is written here. */
#include "common/bus.h"
#include "common/clock.h"
#include "common/config.h"

#include "support_program.h"
#include "support_redis.h"

#include <check.h>
#include <math.h>
#include <signal.h>

/* Short, so that whoever follows a killed one need not wait. */
#define LEASE "lease: {renew: 0.2, estimator_wait: 1, beat: 0.2, gone: 0.8}"

static struct support_redis *redis;
static struct support_file *file;
static struct program *program;
static struct config *config;

static void config_write(const char *sinks)
{
    struct dyn_error error = {""};
    support_file_write(file,
                       "version: 2\n"
                       "redis: {url: \"%s\", partitions: 2, " LEASE "}\n"
                       "accounts: {main: {heroku_api_key: '${KEY}'}}\n"
                       "%s"
                       "apps:\n"
                       "  shop:\n"
                       "    controller_plugins:\n"
                       "      - name: web\n"
                       "        type: dynos\n"
                       "        input_plugins:\n"
                       "          - {name: users, type: sine}\n"
                       "          - {name: rpm, type: random}\n"
                       "  blog:\n"
                       "    controller_plugins:\n"
                       "      - name: web\n"
                       "        type: dynos\n"
                       "        input_plugins:\n"
                       "          - {name: users, type: sine}\n",
                       support_redis_url(redis), sinks);
    config_free(config);
    config = config_load(support_file_path(file), &error);
    ck_assert_msg(config != NULL, "%s", error.text);
}

static void set_up(void)
{
    char schema[16];
    redis = support_redis_new(NULL);
    support_redis_load_functions(redis);
    (void)snprintf(schema, sizeof schema, "%d", MESSAGE_SCHEMA);
    (void)support_redis_call(redis, "HSET", "dyn:setup", "partitions", "2", "functions",
                             bus_functions_version, "schema", schema, NULL);
    file = support_file_new("dynosaur.yaml");
    config = NULL;
    program = NULL;
    config_write("stats_plugins: [{type: console}]\n");
}

static void tear_down(void)
{
    program_free(program);
    config_free(config);
    support_file_free(file);
    support_redis_free(redis);
}

static void add(const char *key, struct dyn_buf *message)
{
    const char *argv[] = {"XADD", key, "*", "m", dyn_buf_text(message)};
    size_t lengths[] = {4, strlen(key), 1, 1, message->len};
    ck_assert_int_eq(dyn_buf_result(message), DYN_OK);
    const char *answer = support_redis_call_bytes(redis, 5, argv, lengths);
    ck_assert_msg(strchr(answer, '-') != NULL, "%s", answer);
    dyn_buf_fini(message);
}

static void event_add(const char *input, enum event_state state, const char *text)
{
    struct dyn_buf message;
    dyn_buf_init(&message, DYN_ENTRY_MAX);
    message_write_event(&message, &(struct event){.level = EVENT_ERROR,
                                                  .state = state,
                                                  .code = DYN_STR("input_outage"),
                                                  .app = DYN_STR("shop"),
                                                  .controller = DYN_STR("web"),
                                                  .input = dyn_str_from(input),
                                                  .service = DYN_STR("estimator"),
                                                  .instance = DYN_STR("host-1"),
                                                  .text = dyn_str_from(text),
                                                  .wall_ms = 1767225600000});
    add("dyn:events", &message);
}

static void action_add(const char *app, int32_t to)
{
    struct dyn_buf message;
    dyn_buf_init(&message, DYN_ENTRY_MAX);
    message_write_action(&message, &(struct action){.controller = 1,
                                                    .account = DYN_STR("main"),
                                                    .app = dyn_str_from(app),
                                                    .name = DYN_STR("web"),
                                                    .process_type = DYN_STR("web"),
                                                    .from = 2,
                                                    .to = to,
                                                    .target = 9,
                                                    .outcome = ACTION_DONE,
                                                    .http_status = 200,
                                                    .request_id = DYN_STR("r-1"),
                                                    .wall_ms = 1767225600000});
    add("dyn:actions", &message);
}

static const char *reports_key(size_t app)
{
    static char key[64];
    (void)snprintf(key, sizeof key, "dyn:{%u}:reports", (unsigned)config->apps[app].partition);
    return key;
}

static void actual_add(size_t app, int32_t running)
{
    struct dyn_buf message;
    dyn_buf_init(&message, DYN_ENTRY_MAX);
    message_write_actual(&message,
                         &(struct actual){.controller = config->apps[app].controllers[0].id,
                                          .wall_ms = dyn_clock_wall_ms(),
                                          .running = running,
                                          .target = 5});
    add(reports_key(app), &message);
}

/* The first app's controller, with a value of `users`; `rpm` never gave one. */
static void report_add(size_t app, double value)
{
    struct dyn_buf message;
    const struct config_controller *controller = &config->apps[app].controllers[0];
    int64_t now_ms = dyn_clock_wall_ms();
    struct report report = {.controller = controller->id, .log_ms = now_ms, .estimate = 7};
    for (size_t i = 0; i < controller->inputs_count; i++) {
        report.inputs[i] = (struct report_input){.series = controller->inputs[i].series,
                                                 .value = i == 0 ? value : (double)NAN,
                                                 .max = i == 0 ? value + 0.5 : (double)NAN,
                                                 .estimate = i == 0 ? 7 : -1};
    }
    report.inputs_count = (uint32_t)controller->inputs_count;
    dyn_buf_init(&message, DYN_ENTRY_MAX);
    message_begin_reports(&message, now_ms, 1);
    message_add_report(&message, &report);
    add(reports_key(app), &message);
}

static void reporter_start(bool stdout_full)
{
    char path[512];
    const char *build = getenv("DYN_BUILD");
    (void)snprintf(path, sizeof path, "%s/services/dynosaur-reporter",
                   build != NULL ? build : "build/dev");
    const char *argv[] = {path, "--config", support_file_path(file), "--http", "0", NULL};
    const char *full[] = {"/bin/sh",
                          "-c",
                          "exec \"$0\" --config \"$1\" --http 0 > /dev/full",
                          path,
                          support_file_path(file),
                          NULL};
    program_free(program);
    program = program_start(stdout_full ? full : argv);
    program_await(program, "event=redis_ready");
}

/* Until the streams are followed: what statistics there are before that is not shown. */
static void reporter_await_ready(void)
{
    int64_t until_ms = dyn_clock_boot_ms() + 20000;
    while (program_http(program, "/readyz") != 200) {
        ck_assert_msg(dyn_clock_boot_ms() < until_ms, "%s %s", program_body(program),
                      program_output(program));
        (void)support_redis_call(redis, "PING", NULL);
    }
}

START_TEST(statistics_have_the_names_of_the_original)
{
    reporter_start(false);
    reporter_await_ready();
    actual_add(0, 4);
    report_add(0, 42);
    program_await(program, "dynosaur.shop.web.users.value 42\n"
                           "dynosaur.shop.web.users.max 42.5\n"
                           "dynosaur.shop.web.users.estimate 7\n"
                           "dynosaur.shop.web.combined.estimate 7\n"
                           "dynosaur.shop.web.combined.actual 4\n");
    report_add(1, 0.25);
    program_await(program, "dynosaur.blog.web.users.value 0.25\n"
                           "dynosaur.blog.web.users.max 0.75\n"
                           "dynosaur.blog.web.users.estimate 7\n"
                           "dynosaur.blog.web.combined.estimate 7\n");
    ck_assert_int_eq(program_count(program, "dynosaur.blog.web.combined.actual"), 0);
    ck_assert_int_eq(program_count(program, "rpm"), 0);
}
END_TEST

START_TEST(a_sink_of_one_app_gets_that_app_only)
{
    config_write("");
    support_file_write(
        file,
        "version: 2\n"
        "redis: {url: \"%s\", partitions: 2, " LEASE "}\n"
        "accounts: {main: {heroku_api_key: '${KEY}'}}\n"
        "apps:\n"
        "  shop:\n"
        "    stats_plugins: [{type: console}]\n"
        "    controller_plugins:\n"
        "      - {name: web, type: dynos, input_plugins: [{name: users, type: sine}]}\n"
        "  blog:\n"
        "    controller_plugins:\n"
        "      - {name: web, type: dynos, input_plugins: [{name: users, type: sine}]}\n",
        support_redis_url(redis));
    struct dyn_error error = {""};
    config_free(config);
    config = config_load(support_file_path(file), &error);
    ck_assert_msg(config != NULL, "%s", error.text);
    reporter_start(false);
    reporter_await_ready();
    report_add(1, 1);
    report_add(0, 2);
    report_add(1, 3);
    program_await(program, "dynosaur.shop.web.users.value 2\n");
    program_signal(program, SIGTERM);
    ck_assert_int_eq(program_end(program), 0);
    ck_assert_int_eq(program_count(program, "dynosaur.blog"), 0);
}
END_TEST

START_TEST(events_and_actions_are_lines_on_the_console_by_default)
{
    config_write("");
    reporter_start(false);
    event_add("users", EVENT_RAISED, "no answer \"in\" time");
    program_await(program, "ts=2026-01-01T00:00:00Z level=error event=input_outage state=raised "
                           "app=shop controller=web input=users service=estimator instance=host-1 "
                           "msg=\"no answer \\\"in\\\" time\"\n");
    event_add("users", EVENT_RAISED, "again");
    event_add("users", EVENT_OVER, "it answers");
    program_await(program, "state=over");
    program_await(program, "repeated=1 msg=\"it answers\"\n");
    action_add("shop", 4);
    program_await(program, "level=info event=action outcome=done app=shop controller=web "
                           "process_type=web from=2 to=4 target=9 status=200 request_id=r-1 "
                           "msg=\"\"\n");
    ck_assert_int_eq(program_count(program, "again"), 0);
}
END_TEST

START_TEST(a_kill_loses_no_event_and_repeats_none_that_was_settled)
{
    char input[32];
    config_write("");
    reporter_start(false);
    for (int i = 0; i < 50; i++) {
        (void)snprintf(input, sizeof input, "before-%d-", i);
        event_add(input, EVENT_RAISED, "gone");
    }
    program_await(program, "input=before-49-");
    program_signal(program, SIGKILL);
    ck_assert_int_eq(program_end(program), 128 + SIGKILL);
    ck_assert_int_eq(program_count(program, "event=input_outage"), 50);
    for (int i = 0; i < 50; i++) {
        (void)snprintf(input, sizeof input, "after-%d-", i);
        event_add(input, EVENT_RAISED, "gone");
    }
    event_add("before-0-", EVENT_RAISED, "a repeat over the restart");
    event_add("before-1-", EVENT_OVER, "back again");
    reporter_start(false);
    program_await(program, "back again");
    for (int i = 0; i < 50; i++) {
        (void)snprintf(input, sizeof input, "input=after-%d-", i);
        ck_assert_int_eq(program_count(program, input), 1);
    }
    ck_assert_int_eq(program_count(program, "a repeat over the restart"), 0);
    /* Only what was with the sink when it was killed may come twice. */
    ck_assert_int_le(program_count(program, "input=before-"), 1 + 50);
    ck_assert_int_eq(program_count(program, "input=before-0-"), 0);
}
END_TEST

START_TEST(what_fails_five_times_is_a_dead_letter)
{
    config_write("");
    event_add("users", EVENT_RAISED, "nobody can read this");
    reporter_start(true);
    program_await(program, "event=sink_failed");
    program_await(program, "standard output: No space left on device");
    const char *dead = support_redis_call(redis, "XRANGE", "dyn:dead", "-", "+", NULL);
    ck_assert_ptr_nonnull(strstr(dead, "\nsink\nerrors:console\nstream\ndyn:events\n"));
    ck_assert_ptr_nonnull(strstr(dead, "\nwhy\nstandard output: No space left on device\n"));
    while (strcmp(support_redis_call(redis, "HEXISTS", "dyn:{rep}:errors:console", "events", NULL),
                  "1") != 0) {
    }
    ck_assert_int_eq(program_http(program, "/metrics"), 200);
    ck_assert_ptr_nonnull(
        strstr(program_body(program), "dynosaur_reporter_dead_total{sink=\"errors:console\"} 1\n"));
}
END_TEST

START_TEST(entries_of_somebody_else_are_skipped_and_counted)
{
    config_write("");
    (void)support_redis_call(redis, "XADD", "dyn:events", "*", "other", "field", NULL);
    (void)support_redis_call(redis, "XADD", "dyn:events", "*", "m", "garbage", NULL);
    event_add("users", EVENT_RAISED, "after the garbage");
    reporter_start(false);
    program_await(program, "after the garbage");
    ck_assert_int_eq(program_http(program, "/metrics"), 200);
    ck_assert_ptr_nonnull(strstr(program_body(program),
                                 "dynosaur_reporter_skipped_total{sink=\"errors:console\"} 2\n"));
}
END_TEST

START_TEST(redis_that_comes_back_empty_is_followed_again)
{
    config_write("");
    reporter_start(false);
    event_add("users", EVENT_RAISED, "first life");
    program_await(program, "first life");
    support_redis_kill(redis);
    program_await(program, "event=redis_away");
    support_redis_start(redis);
    support_redis_load_functions(redis);
    (void)support_redis_call(redis, "HSET", "dyn:setup", "partitions", "2", "functions",
                             bus_functions_version, "schema", "1", NULL);
    program_await(program, "event=redis_ready");
    reporter_await_ready();
    event_add("rpm", EVENT_RAISED, "second life");
    program_await(program, "second life");
}
END_TEST

START_TEST(a_reload_takes_other_sinks_and_goes_on_at_the_cursors)
{
    config_write("");
    reporter_start(false);
    reporter_await_ready();
    event_add("users", EVENT_RAISED, "before the reload");
    program_await(program, "before the reload");
    config_write("stats_plugins: [{type: console}]\n");
    program_signal(program, SIGHUP);
    program_await(program, "event=config_reloaded");
    reporter_await_ready();
    report_add(0, 42);
    program_await(program, "dynosaur.shop.web.users.value 42\n");
    event_add("rpm", EVENT_RAISED, "after the reload");
    program_await(program, "after the reload");
    program_signal(program, SIGTERM);
    ck_assert_int_eq(program_end(program), 0);
    ck_assert_int_eq(program_count(program, "before the reload"), 1);
}
END_TEST

/* Statistics begin now, events and actions some minutes ago: no stream goes back to that. */
START_TEST(a_first_start_beside_empty_and_old_streams_is_no_loss)
{
    config_write("stats_plugins: [{type: console}]\n");
    (void)support_redis_call(redis, "XADD", "dyn:events", "1-1", "m", "long ago", NULL);
    reporter_start(false);
    reporter_await_ready();
    event_add("users", EVENT_RAISED, "the first one");
    program_await(program, "the first one");
    report_add(0, 42);
    program_await(program, "dynosaur.shop.web.users.value 42\n");
    program_signal(program, SIGTERM);
    ck_assert_int_eq(program_end(program), 0);
    ck_assert_int_eq(program_count(program, "event=feed_rewound"), 0);
}
END_TEST

START_TEST(a_stream_that_lost_what_was_told_is_reported)
{
    config_write("");
    reporter_start(false);
    reporter_await_ready();
    event_add("users", EVENT_RAISED, "soon lost");
    program_await(program, "soon lost");
    program_signal(program, SIGTERM);
    ck_assert_int_eq(program_end(program), 0);
    ck_assert_int_eq(program_count(program, "event=feed_rewound"), 0);
    (void)support_redis_call(redis, "DEL", "dyn:events", NULL);
    reporter_start(false);
    program_await(program, "event=feed_rewound");
    event_add("rpm", EVENT_RAISED, "after the loss");
    program_await(program, "after the loss");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("reporter");
    TCase *tests = tcase_create("reporter");
    tcase_set_timeout(tests, 90);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, statistics_have_the_names_of_the_original);
    tcase_add_test(tests, a_sink_of_one_app_gets_that_app_only);
    tcase_add_test(tests, events_and_actions_are_lines_on_the_console_by_default);
    tcase_add_test(tests, a_kill_loses_no_event_and_repeats_none_that_was_settled);
    tcase_add_test(tests, what_fails_five_times_is_a_dead_letter);
    tcase_add_test(tests, entries_of_somebody_else_are_skipped_and_counted);
    tcase_add_test(tests, redis_that_comes_back_empty_is_followed_again);
    tcase_add_test(tests, a_first_start_beside_empty_and_old_streams_is_no_loss);
    tcase_add_test(tests, a_stream_that_lost_what_was_told_is_reported);
    tcase_add_test(tests, a_reload_takes_other_sinks_and_goes_on_at_the_cursors);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
