/*
 * A file of the original with all its sections: each input asks a vendor, all three controllers
 * move, each sink and handler tells one. Then each vendor refuses with the very secret that it was
 * given in its words: no program may say it on (see support_fleet.h).
 */
#include "support_fleet.h"

#include "../integration/support_key.h"
#include "../integration/support_metrics.h"
#include "common/json.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#define NEW_RELIC FLEET_CANARY "newrelic-4be1"
#define PAPERTRAIL FLEET_CANARY "papertrail-77d0"
#define LIBRATO FLEET_CANARY "librato-0a9c"
#define BUGSNAG "58aa3c0119e7d2b4f6c0158aa3c01b2c" /* no other is a key of Bugsnag */
#define SES FLEET_CANARY "ses-e1f0b7d5a2c4e6f8a0b2c4d6e8f0"
#define SES_ID "AKIDCANARY0001"
#define CRONUT_API FLEET_CANARY "cronut-api-31f7"
#define CRONUT_JOB FLEET_CANARY "cronut-job-9c2e"
#define MOVE_S 60

/* What a person copies from the original's README, with addresses of the fake: ^ begins them. */
static const char file[] =
    "apps:\n"
    "  my-shop:\n"
    "    scaler:\n"
    "      heroku_api_key: <%= ENV['FLEET_KEY_A'] %>\n"
    "      interval: 1\n"
    "    controller_plugins:\n"
    "      - name: web\n"
    "        type: Dynosaur::Controllers::DynosControllerPlugin\n"
    "        min_resource: 2\n"
    "        max_resource: 30\n"
    "        input_plugins:\n"
    "          - name: visitors\n"
    "            type: Dynosaur::Inputs::GoogleAnalyticsInputPlugin\n"
    "            client_email: shop@example.com\n"
    "            analytics_view_id: 4711\n"
    "            key: <%= ENV['GA_KEY'].gsub(\"\\n\", \"|\") %>\n"
    "            users_per_dyno: 100\n"
    "            interval: 2\n"
    "            api_url: \"^google\"\n"
    "            token_url: \"^google/token\"\n"
    "          - name: requests\n"
    "            type: Dynosaur::Inputs::NewRelicInputPlugin\n"
    "            key: <%= ENV['NEW_RELIC_KEY'] %>\n"
    "            appid: 12\n"
    "            rpm_per_dyno: 150\n"
    "            interval: 2\n"
    "            api_url: \"^new_relic\"\n"
    "      - name: cache\n"
    "        type: Dynosaur::Controllers::RediscloudControllerPlugin\n"
    "        min_resource_name: rediscloud:25\n"
    "        max_resource_name: rediscloud:1000\n"
    "        input_plugins:\n"
    "          - name: memory\n"
    "            type: Dynosaur::Inputs::RediscloudMemoryUsageInputPlugin\n"
    "            component_id: 13\n"
    "            new_relic_api_key: <%= ENV['NEW_RELIC_KEY'] %>\n"
    "            interval: 2\n"
    "            api_url: \"^new_relic\"\n"
    "          - name: connections\n"
    "            type: Dynosaur::Inputs::RediscloudConnectionUsageInputPlugin\n"
    "            component_id: 13\n"
    "            new_relic_api_key: <%= ENV['NEW_RELIC_KEY'] %>\n"
    "            interval: 2\n"
    "            api_url: \"^new_relic\"\n"
    "      - name: logs\n"
    "        type: Dynosaur::Controllers::PapertrailControllerPlugin\n"
    "        input_plugins:\n"
    "          - name: volume\n"
    "            type: Dynosaur::Inputs::PapertrailInputPlugin\n"
    "            papertrail_api_key: <%= ENV['PAPERTRAIL_KEY'] %>\n"
    "            interval: 2\n"
    "            api_url: \"^papertrail\"\n"
    "stats_plugins:\n"
    "  - {name: console, type: \"Dynosaur::Stats::Console\"}\n"
    "  - name: librato\n"
    "    type: Dynosaur::Stats::Librato\n"
    "    api_email: ops@example.com\n"
    "    api_key: <%= ENV['LIBRATO_KEY'] %>\n"
    "    interval: 1\n"
    "    api_url: \"^librato\"\n"
    "error_handlers:\n"
    "  - {name: console, type: \"Dynosaur::ErrorHandler::Console\"}\n"
    "  - name: bugsnag\n"
    "    type: Dynosaur::ErrorHandler::Bugsnag\n"
    "    api_key: <%= ENV['BUGSNAG_KEY'] %>\n"
    "    api_url: \"^bugsnag/\"\n"
    "  - name: mail\n"
    "    type: Dynosaur::ErrorHandler::Ses\n"
    "    from: dynosaur@example.com\n"
    "    to: ops@example.com\n"
    "    aws_access_key_id: <%= ENV['AWS_ID'] %>\n"
    "    aws_secret_access_key: <%= ENV['AWS_KEY'] %>\n"
    "    api_url: \"^ses\"\n"
    "success_handlers:\n"
    "  - name: cronut\n"
    "    type: Dynosaur::Success::Cronut\n"
    "    host: \"^cronut\"\n"
    "    api_token: <%= ENV['CRONUT_API'] %>\n"
    "    cronut_token: <%= ENV['CRONUT_JOB'] %>\n"
    "    public_key: <%= ENV['CRONUT_PUBLIC'] %>\n";

static struct fleet *fleet;
static struct metrics fake;
static struct support_key google_key;
static struct support_key cronut_key;
static struct fleet_secret secrets[] = {
    {FLEET_COLLECTOR, "GA_KEY", google_key.private_line},
    {FLEET_COLLECTOR, "NEW_RELIC_KEY", NEW_RELIC},
    {FLEET_COLLECTOR, "PAPERTRAIL_KEY", PAPERTRAIL},
    {FLEET_REPORTER, "LIBRATO_KEY", LIBRATO},
    {FLEET_REPORTER, "BUGSNAG_KEY", BUGSNAG},
    {FLEET_REPORTER, "AWS_ID", SES_ID},
    {FLEET_REPORTER, "AWS_KEY", SES},
    {FLEET_REPORTER, "CRONUT_API", CRONUT_API},
    {FLEET_REPORTER, "CRONUT_JOB", CRONUT_JOB},
    {FLEET_REPORTER, "CRONUT_PUBLIC", cronut_key.public_line},
    {.value = NULL},
};

/* ---- the world ---- */

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void say(const char *format, ...)
{
    static char state[3 * SUPPORT_KEY_MAX];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(state, sizeof state, format, args);
    va_end(args);
    json_decref(metrics_control(&fake, "POST", "state", state));
}

static void demand_say(int visitors, int requests, int megabytes, int connections, int bytes)
{
    say("{'google': {'views': {'4711': {'users': %d, 'viewers': ['shop@example.com']}}}}",
        visitors);
    say("{'new_relic': {'applications': {'12': {'HttpDispatcher': {'values': {'call_count': "
        "%d}}}}}}",
        requests);
    say("{'new_relic': {'components': {'13': {"
        "'Component/redis/Used memory[megabytes]': {'values': {'average_value': %d}}, "
        "'Component/redis/Connections[connections]': {'values': {'average_value': %d}}}}}}",
        megabytes, connections);
    say("{'papertrail': {'tokens': {'" PAPERTRAIL "': {'used': %d, 'plan_limit': 10485760}}}}",
        bytes);
}

static void vendors_begin(void)
{
    fake = metrics_start("{}");
    say("{'google': {'accounts': {'shop@example.com': {'public_key': '%s'}}}}",
        google_key.public_json);
    say("{'new_relic': {'keys': {'" NEW_RELIC "': {'kind': 'rest'}}}}");
    say("{'librato': {'email': 'ops@example.com', 'token': '" LIBRATO "'},"
        " 'bugsnag': {'key': '" BUGSNAG "'},"
        " 'ses': {'key': '" SES_ID "', 'secret': '" SES
        "', 'verified': ['dynosaur@example.com']}}");
    say("{'cronut': {'token': '" CRONUT_API "', 'jobs': {'" CRONUT_JOB
        "': 0}, 'private_key': '%s'}}",
        cronut_key.private_json);
}

static const char world[] =
    FLEET_ACCOUNTS "'apps': [{'name': 'my-shop', 'owner': 'a@example.com', 'formation': {'web': 2},"
                   " 'addons': [{'name': 'rediscloud-round-1', 'plan': 'rediscloud:25',"
                   "             'provision_ms': 1500},"
                   "            {'name': 'papertrail-flat-2', 'plan': 'papertrail:choklad'}]}]}";

static void configure(void)
{
    struct dyn_buf text;
    dyn_buf_init(&text, 65536);
    for (const char *at = file; *at != '\0'; at++) {
        ck_assert_int_eq(*at == '^' ? dyn_buf_addf(&text, "http://127.0.0.1:%u/", fake.port)
                                    : dyn_buf_add(&text, at, 1),
                         DYN_OK);
    }
    fleet_configure(fleet, "%s", dyn_buf_text(&text));
    dyn_buf_fini(&text);
}

static void setup(void)
{
    support_key_make(&google_key);
    support_key_make(&cronut_key);
    vendors_begin();
    fleet = fleet_new(&(struct fleet_options){.world = world, .partitions = 2, .secrets = secrets});
    configure();
}

static void teardown(void)
{
    fleet_free(fleet);
    metrics_stop(&fake);
}

/* The plan of the app's n-th add-on, as the fake Heroku has it. */
static void plan_read(unsigned n, char out[64])
{
    char pointer[64];
    json_t *state = heroku_control(fleet_heroku(fleet), "GET", "/state", NULL);
    (void)snprintf(pointer, sizeof pointer, "/apps/0/addons/%u/plan", n);
    const char *plan = json_string_value(dyn_json_at(state, pointer, NULL));
    ck_assert_ptr_nonnull(plan);
    (void)snprintf(out, 64, "%s", plan);
    json_decref(state);
}

static void await_plan(unsigned n, const char *wanted)
{
    char plan[64];
    int64_t until_ms = fleet_now_ms() + MOVE_S * 1000;
    for (plan_read(n, plan); strcmp(plan, wanted) != 0; plan_read(n, plan)) {
        if (fleet_now_ms() > until_ms) {
            fleet_fail(fleet, "the plan is %s, not %s", plan, wanted);
        }
        fleet_pass(fleet, 50);
    }
}

/* Until so many requests for the path have come. */
static void await_asked(const char *path, size_t times)
{
    int64_t until_ms = fleet_now_ms() + MOVE_S * 1000;
    while (metrics_asked(&fake, path) < times) {
        if (fleet_now_ms() > until_ms) {
            fleet_fail(fleet, "%s was asked for %zu times only", path, metrics_asked(&fake, path));
        }
        fleet_pass(fleet, 50);
    }
}

static void answer_instead(const char *path, const char *secret)
{
    static char text[2 * SUPPORT_KEY_MAX];
    (void)snprintf(text, sizeof text,
                   "{'path': '%s', 'status': 401, 'body': 'The key %s is not ours'}", path, secret);
    json_decref(metrics_control(&fake, "POST", "answers", text));
}

/* ---- the tests ---- */

START_TEST(all_sections_of_the_original_work)
{
    demand_say(650, 900, 50, 20, 1000000);
    fleet_start_all(fleet);
    fleet_await_quantity(fleet, "my-shop", 7, MOVE_S); /* ceil(650 / 100), and 900 / 150 is 6 */
    await_plan(0, "rediscloud:100");
    demand_say(650, 1800, 95, 240, 51380224);
    fleet_await_quantity(fleet, "my-shop", 12, MOVE_S);
    await_plan(0, "rediscloud:500"); /* 95 MB fit 250; 240 connections do not */
    await_plan(1, "papertrail:ludvig");
    await_asked("/librato", 2);
    await_asked("/cronut", 1);
    json_t *state = metrics_control(&fake, "GET", "state", NULL);
    const json_t *stored = dyn_json_at(state, "/librato/stored", NULL);
    ck_assert_double_eq(
        json_number_value(json_object_get(stored, "dynosaur.my-shop.web.combined.estimate")), 12);
    ck_assert_int_eq(json_integer_value(dyn_json_at(state, "/cronut/jobs/" CRONUT_JOB, NULL)), 1);
    json_decref(state);
    metrics_are_content(&fake);
}
END_TEST

START_TEST(a_vendor_that_quotes_a_secret_is_not_quoted)
{
    demand_say(650, 900, 50, 20, 1000000);
    fleet_start_all(fleet);
    fleet_await_quantity(fleet, "my-shop", 7, MOVE_S);
    json_decref(heroku_control(
        fleet_heroku(fleet), "POST", "/faults",
        "[{'times': -1, 'do': {'status': 401, 'message': 'no key like " FLEET_KEY_A "'}}]"));
    demand_say(1150, 900, 50, 20, 1000000);
    await_asked("/bugsnag", 1);
    await_asked("/ses", 1);
    answer_instead("/new_relic", NEW_RELIC);
    answer_instead("/papertrail", PAPERTRAIL);
    answer_instead("/google", google_key.private_line);
    fleet_await_printed(fleet, FLEET_REPORTER, "input_stale", 3);
    answer_instead("/librato", LIBRATO);
    answer_instead("/bugsnag", BUGSNAG);
    answer_instead("/ses", SES);
    answer_instead("/cronut", CRONUT_API);
    json_decref(metrics_control(&fake, "DELETE", "answers", "{'path': '/new_relic'}"));
    fleet_await_printed(fleet, FLEET_REPORTER, "not ours", 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("original");
    TCase *tests = tcase_create("original");
    tcase_set_timeout(tests, 280);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, all_sections_of_the_original_work);
    tcase_add_test(tests, a_vendor_that_quotes_a_secret_is_not_quoted);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
