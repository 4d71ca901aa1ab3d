/*
 * One real reporter with every sink there is, against servers that judge them all; and after errors
 * of all of them no credential anywhere: not in its output, in Redis or in its metrics.
 */
#include "common/bus.h"
#include "common/clock.h"
#include "common/config.h"
#include "common/json.h"
#include "tests/integration/support_key.h"
#include "tests/integration/support_metrics.h"
#include "tests/integration/support_program.h"
#include "tests/integration/support_redis.h"

#include <check.h>
#include <dirent.h>
#include <signal.h>
#include <time.h>

#define HEX32 "ca4a4cca4a4cca4a4cca4a4cca4a4c00"
#define AWAIT_MS 40000
#define TURN_MS 200

/* What no one may see again. */
static const struct {
    const char *variable;
    const char *value;
} secrets[] = {
    {"LIBRATO", "canary-librato"},
    {"APPOPTICS", "canary-librato"},
    {"BUGSNAG", HEX32},
    {"AWS_ID", "CANARYAWSID"},
    {"AWS_KEY", "canary-aws/key+1"},
    {"AWS_TOKEN", "canary-aws-token=="},
    {"WEBHOOK", "canary-webhook"},
    {"SLACK", "canary-slack"},
    {"PAGERDUTY", HEX32},
    {"CRONUT_API", "canary-cronut-api"},
    {"CRONUT_JOB", "CANARYJOB"},
    {"CHECK", "canary-check"},
};
#define SECRETS (sizeof secrets / sizeof secrets[0])

static struct support_redis *redis;
static struct support_file *file;
static struct program *program;
static struct metrics fake;
static struct config *config;
static unsigned beats;

static void setup(void)
{
    char schema[16];
    redis = support_redis_new(&(struct support_redis_options){.append_only = true});
    support_redis_load_functions(redis);
    (void)snprintf(schema, sizeof schema, "%d", MESSAGE_SCHEMA);
    (void)support_redis_call(redis, "HSET", "dyn:setup", "partitions", "1", "functions",
                             bus_functions_version, "schema", schema, NULL);
    file = support_file_new("dynosaur.yaml");
    for (size_t i = 0; i < SECRETS; i++) {
        ck_assert_int_eq(setenv(secrets[i].variable, secrets[i].value, 1), 0);
    }
    program = NULL;
    config = NULL;
    beats = 0;
}

static void teardown(void)
{
    program_free(program);
    metrics_stop(&fake);
    config_free(config);
    support_file_free(file);
    support_redis_free(redis);
}

static void config_write(void)
{
    struct dyn_error error = {""};
    unsigned port = fake.port;
    support_file_write(
        file,
        "version: 2\n"
        "redis: {url: \"%s\", partitions: 1}\n"
        "accounts: {main: {heroku_api_key: '${KEY}'}}\n"
        "stats_plugins:\n"
        "- {type: console}\n"
        "- {type: librato, api_email: me@example.com, api_key: '${LIBRATO}',\n"
        "   api_url: 'http://127.0.0.1:%u/librato'}\n"
        "- {type: appoptics, api_key: '${APPOPTICS}', api_url: 'http://127.0.0.1:%u/appoptics'}\n"
        "- {type: statsd, port: %u}\n"
        "error_handlers:\n"
        "- {type: console}\n"
        "- {type: bugsnag, api_key: '${BUGSNAG}', api_url: 'http://127.0.0.1:%u/bugsnag'}\n"
        "- {type: ses, from: a@example.com, to: [b@example.com, c@example.com],\n"
        "   aws_access_key_id: '${AWS_ID}', aws_secret_access_key: '${AWS_KEY}',\n"
        "   aws_session_token: '${AWS_TOKEN}', api_url: 'http://127.0.0.1:%u/ses'}\n"
        "- {type: webhook, url: 'http://127.0.0.1:%u/webhook', secret: '${WEBHOOK}'}\n"
        "- {type: slack, url: 'http://127.0.0.1:%u/slack/services/${SLACK}'}\n"
        "- {type: pagerduty, routing_key: '${PAGERDUTY}', api_url: "
        "'http://127.0.0.1:%u/pagerduty'}\n"
        "success_handlers:\n"
        "- {type: cronut, host: 'http://127.0.0.1:%u/cronut', api_token: '${CRONUT_API}',\n"
        "   cronut_token: '${CRONUT_JOB}', public_key: '${CRONUT_KEY}'}\n"
        "- {type: healthcheck, url: 'http://127.0.0.1:%u/healthcheck/${CHECK}'}\n"
        "apps: {shop: {controller_plugins: [{name: web, type: dynos, input_plugins: "
        "[{name: users, type: sine}]}]}}\n",
        support_redis_url(redis), port, port, port, port, port, port, port, port, port, port);
    config_free(config);
    config = config_load(support_file_path(file), &error);
    ck_assert_msg(config != NULL, "%s", error.text);
}

static void world_start(void)
{
    struct support_key key;
    char pem[2 * SUPPORT_KEY_MAX] = "";
    char state[2 * SUPPORT_KEY_MAX + 1024];
    support_key_make(&key);
    ck_assert_int_eq(setenv("CRONUT_KEY", key.private_line, 1), 0);
    for (const char *c = key.private_line; *c != '\0'; c++) {
        (void)snprintf(pem + strlen(pem), sizeof pem - strlen(pem), *c == '|' ? "\\n" : "%c", *c);
    }
    (void)snprintf(state, sizeof state,
                   "{'librato': {'email': 'me@example.com', 'token': 'canary-librato'},"
                   "'bugsnag': {'key': '" HEX32 "'},"
                   "'ses': {'key': 'CANARYAWSID', 'secret': 'canary-aws/key+1', 'token': "
                   "'canary-aws-token==', 'verified': ['a@example.com']},"
                   "'webhook': {'secret': 'canary-webhook'},"
                   "'slack': {'paths': {'/services/canary-slack': 'ok'}},"
                   "'pagerduty': {'keys': {'" HEX32 "': {}}},"
                   "'cronut': {'token': 'canary-cronut-api', 'jobs': {'CANARYJOB': 0}, "
                   "'private_key': '%s'},"
                   "'healthcheck': {'checks': {'canary-check': 0}}}",
                   pem);
    fake = metrics_start(state);
}

/* ---- what the other programs write ---- */

static void add(const char *key, struct dyn_buf *message)
{
    const char *argv[] = {"XADD", key, "*", "m", dyn_buf_text(message)};
    size_t lengths[] = {4, strlen(key), 1, 1, message->len};
    ck_assert_int_eq(dyn_buf_result(message), DYN_OK);
    (void)support_redis_call_bytes(redis, 5, argv, lengths);
    dyn_buf_fini(message);
}

static void event_add(void)
{
    struct dyn_buf message;
    dyn_buf_init(&message, DYN_ENTRY_MAX);
    message_write_event(&message, &(struct event){.level = EVENT_ERROR,
                                                  .state = EVENT_RAISED,
                                                  .code = DYN_STR("input_outage"),
                                                  .app = DYN_STR("shop"),
                                                  .controller = DYN_STR("web"),
                                                  .input = DYN_STR("users"),
                                                  .service = DYN_STR("estimator"),
                                                  .instance = DYN_STR("host-1"),
                                                  .cause = DYN_STR("api.newrelic.com"),
                                                  .text = DYN_STR("no value since 300 s"),
                                                  .wall_ms = dyn_clock_wall_ms()});
    add("dyn:events", &message);
}

static void action_add(void)
{
    struct dyn_buf message;
    dyn_buf_init(&message, DYN_ENTRY_MAX);
    message_write_action(&message, &(struct action){.controller = 1,
                                                    .account = DYN_STR("main"),
                                                    .app = DYN_STR("shop"),
                                                    .name = DYN_STR("web"),
                                                    .process_type = DYN_STR("web"),
                                                    .from = 2,
                                                    .to = 5,
                                                    .target = 5,
                                                    .outcome = ACTION_REFUSED,
                                                    .http_status = 422,
                                                    .words = DYN_STR("no room"),
                                                    .wall_ms = dyn_clock_wall_ms()});
    add("dyn:actions", &message);
}

static void report_add(void)
{
    struct dyn_buf message;
    const struct config_controller *controller = &config->apps[0].controllers[0];
    int64_t now_ms = dyn_clock_wall_ms();
    struct report report = {.controller = controller->id, .log_ms = now_ms, .estimate = 7};
    report.inputs[0] = (struct report_input){
        .series = controller->inputs[0].series, .value = 42, .max = 42.5, .estimate = 7};
    report.inputs_count = 1;
    dyn_buf_init(&message, DYN_ENTRY_MAX);
    message_begin_reports(&message, now_ms, 1);
    message_add_report(&message, &report);
    add("dyn:{0}:reports", &message);
}

/* All roles beat, and the partition is folded. */
static void engine_turn(void)
{
    static const char *const roles[] = {"dyn:{col}:members", "dyn:{est}:members",
                                        "dyn:{act}:members"};
    const struct timespec pause = {.tv_nsec = TURN_MS * 1000000L};
    char text[64];
    (void)snprintf(text, sizeof text, "%u host-1", ++beats);
    for (size_t i = 0; i < 3; i++) {
        (void)support_redis_call(redis, "HSET", roles[i], "one", text, NULL);
    }
    (void)snprintf(text, sizeof text, "%lld", (long long)dyn_clock_wall_ms());
    (void)support_redis_call(redis, "HSET", "dyn:{0}:lease", "owner", "o", "cursor_ms", text, NULL);
    (void)nanosleep(&pause, NULL);
}

static void reporter_start(void)
{
    char path[512];
    const char *build = getenv("DYN_BUILD");
    const char *argv[] = {path, "--config", support_file_path(file), "--http", "0", NULL};
    int64_t until_ms = dyn_clock_boot_ms() + AWAIT_MS;
    (void)snprintf(path, sizeof path, "%s/services/dynosaur-reporter",
                   build != NULL ? build : "build/dev");
    program = program_start(argv);
    program_await(program, "event=redis_ready");
    while (program_http(program, "/readyz") != 200) {
        ck_assert_msg(dyn_clock_boot_ms() < until_ms, "%s", program_body(program));
        engine_turn();
    }
    report_add();
    event_add();
    action_add();
}

/* ---- what came of it ---- */

/* The end of what it printed. */
static const char *output_end(void)
{
    const char *output = program_output(program);
    size_t len = strlen(output);
    return len > 1500 ? output + len - 1500 : output;
}

static void asked_await(const char *path, size_t count)
{
    int64_t until_ms = dyn_clock_boot_ms() + AWAIT_MS;
    while (metrics_asked(&fake, path) < count) {
        ck_assert_msg(dyn_clock_boot_ms() < until_ms, "%s was not asked %zu times: %s", path, count,
                      output_end());
        engine_turn();
    }
}

START_TEST(every_sink_gets_what_is_its_own)
{
    world_start();
    config_write();
    reporter_start();
    asked_await("/librato/v1/metrics", 1);
    asked_await("/appoptics/v1/measurements", 1);
    asked_await("/bugsnag/", 2);
    asked_await("/ses/v2/email/outbound-emails", 2); /* two receivers; the rest is a digest later */
    asked_await("/webhook", 2);
    asked_await("/slack", 2);
    asked_await("/pagerduty", 1);
    asked_await("/cronut/ping/", 1);
    asked_await("/healthcheck", 1);
    metrics_are_content(&fake);
    json_t *state = metrics_control(&fake, "GET", "state", NULL);
    ck_assert_double_eq(
        json_number_value(dyn_json_at(state, "/statsd/gauges/dynosaur.shop.web.users.value", NULL)),
        42);
    ck_assert_int_eq(json_integer_value(dyn_json_at(state, "/cronut/jobs/CANARYJOB", NULL)), 1);
    ck_assert_uint_eq(json_object_size(dyn_json_at(state, "/pagerduty/open", NULL)), 1);
    json_decref(state);
    ck_assert_int_eq(program_count(program, "sink_failed"), 0);
    program_signal(program, SIGTERM);
    ck_assert_int_eq(program_end(program), 0);
}
END_TEST

/* No part of a secret that is long enough to be told from others. */
static void is_clean(const char *what, const char *bytes, size_t len)
{
    for (size_t i = 0; i < SECRETS; i++) {
        const char *value = secrets[i].value;
        ck_assert_msg(memmem(bytes, len, value, strlen(value)) == NULL, "%s holds the value of %s",
                      what, secrets[i].variable);
    }
}

/* All that was ever written to Redis lies there. */
static void redis_is_clean(void)
{
    static char bytes[4 << 20];
    char folder[512];
    char path[1024];
    size_t all = 0;
    (void)snprintf(folder, sizeof folder, "%s", support_redis_path(redis));
    *strrchr(folder, '/') = '\0';
    (void)strncat(folder, "/appendonlydir", sizeof folder - strlen(folder) - 1);
    DIR *dir = opendir(folder);
    ck_assert_ptr_nonnull(dir);
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        (void)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        FILE *in = entry->d_name[0] != '.' ? fopen(path, "re") : NULL;
        size_t len = in != NULL ? fread(bytes, 1, sizeof bytes, in) : 0;
        is_clean(entry->d_name, bytes, len);
        all += len;
        if (in != NULL) {
            (void)fclose(in);
        }
    }
    (void)closedir(dir);
    ck_assert_uint_gt(all, 2000);
}

/* Each API refuses, and says all that it knows in its answer. */
static void world_refuses(void)
{
    static const struct {
        const char *path;
        const char *secrets;
    } apis[] = {
        {"/librato", "canary-librato"},
        {"/appoptics", "canary-librato"},
        {"/bugsnag", HEX32},
        {"/ses", "CANARYAWSID canary-aws/key+1 canary-aws-token=="},
        {"/webhook", "canary-webhook"},
        {"/slack", "canary-slack"},
        {"/pagerduty", HEX32},
        {"/cronut", "canary-cronut-api CANARYJOB"},
        {"/healthcheck", "canary-check"},
    };
    char answer[1024];
    world_start();
    for (size_t i = 0; i < sizeof apis / sizeof apis[0]; i++) {
        (void)snprintf(answer, sizeof answer,
                       "{'path': '%s', 'status': 403, 'body': '{\\'message\\': \\'no: %s\\'}'}",
                       apis[i].path, apis[i].secrets);
        json_decref(metrics_control(&fake, "POST", "answers", answer));
    }
}

static void refusal_await(const char *sink)
{
    int64_t until_ms = dyn_clock_boot_ms() + AWAIT_MS;
    char words[128];
    (void)snprintf(words, sizeof words, "%s did not take", sink);
    while (program_count(program, words) == 0) {
        ck_assert_msg(dyn_clock_boot_ms() < until_ms, "%s: %s", words, output_end());
        engine_turn();
    }
}

START_TEST(after_errors_of_all_sinks_no_secret_stands_anywhere)
{
    static const char *const sinks[] = {
        "stats:librato",    "stats:appoptics", "errors:bugsnag",
        "errors:ses",       "errors:webhook",  "errors:slack",
        "errors:pagerduty", "success:cronut",  "success:healthcheck"};
    world_refuses();
    config_write();
    reporter_start();
    for (size_t i = 0; i < sizeof sinks / sizeof sinks[0]; i++) {
        refusal_await(sinks[i]);
    }
    ck_assert_int_eq(program_http(program, "/metrics"), 200);
    is_clean("/metrics", program_body(program), strlen(program_body(program)));
    ck_assert_int_eq(program_http(program, "/readyz"), 200);
    is_clean("/readyz", program_body(program), strlen(program_body(program)));
    program_signal(program, SIGTERM);
    ck_assert_int_eq(program_end(program), 0);
    is_clean("the output", program_output(program), strlen(program_output(program)));
    ck_assert_int_gt(program_count(program, "[hidden]"), 8);
    redis_is_clean();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("all_sinks");
    TCase *tests = tcase_create("all_sinks");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 180);
    tcase_add_test(tests, every_sink_gets_what_is_its_own);
    tcase_add_test(tests, after_errors_of_all_sinks_no_secret_stands_anywhere);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
