/*
 * An app whose dynos, Redis and logs are scaled together: all three controllers of the original
 * with their inputs, through the four programs, against the fakes.
 */
#include "support_cli.h"
#include "support_judge.h"

#include "../integration/support_metrics.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#define WORLD                                                                                   \
    FLEET_ACCOUNTS " 'apps': [{'name': 'shop', 'owner': 'a@example.com', 'formation': {'web': " \
                   "2}, 'addons': [{'name': 'redis-round-1', 'plan': 'rediscloud:100'}, "       \
                   "{'name': 'logs-flat-2', 'plan': 'papertrail:choklad'}]}]}"

#define VENDORS                                                                       \
    "{'papertrail': {'tokens': {'token-1': {'used': 1000, 'plan_limit': 10485760}}}," \
    " 'new_relic': {'keys': {'rest-1': {'kind': 'rest'}}, 'components': {'77': {"     \
    "   'Component/redis/Used memory[megabytes]': {'values': {'average_value': 50}}," \
    "   'Component/redis/Connections[connections]': {'values': {'average_value': 30}}}}}}"

#define TIMES "interval: 0.5, hysteresis_period: 4, max_gap: 3"
#define OF_REDIS                                                \
    "new_relic_api_key: rest-1, component_id: 77, timeout: 2, " \
    "api_url: \"http://127.0.0.1:%u/new_relic\", " TIMES "}\n"
#define CONFIG                                                                              \
    "accounts: {a: {heroku_api_key: \"${FLEET_KEY_A}\"}}\n"                                 \
    "stats_plugins: [{type: console}]\n"                                                    \
    "apps:\n"                                                                               \
    "  shop:\n"                                                                             \
    "    scaler: {interval: 1}\n"                                                           \
    "    controller_plugins:\n"                                                             \
    "      - name: dynos\n"                                                                 \
    "        type: Dynosaur::Controllers::DynosControllerPlugin\n"                          \
    "        min_resource: 1\n"                                                             \
    "        scale_down_cooldown: 1\n"                                                      \
    "        max_step_down: 100\n"                                                          \
    "        input_plugins:\n"                                                              \
    "          - {name: wave, type: Dynosaur::Inputs::SinePlugin, period: 20, " TIMES "}\n" \
    "      - name: redis\n"                                                                 \
    "        type: Dynosaur::Controllers::RediscloudControllerPlugin\n"                     \
    "        min_resource_name: rediscloud:100\n"                                           \
    "        max_resource_name: rediscloud:2500\n"                                          \
    "        allow_downgrade: true\n"                                                       \
    "        scale_down_cooldown: 1\n"                                                      \
    "        input_plugins:\n"                                                              \
    "          - {name: memory, type: "                                                     \
    "Dynosaur::Inputs::RediscloudMemoryUsageInputPlugin, " OF_REDIS                         \
    "          - {name: connections, "                                                      \
    "type: Dynosaur::Inputs::RediscloudConnectionUsageInputPlugin, " OF_REDIS               \
    "      - name: logs\n"                                                                  \
    "        type: Dynosaur::Controllers::PapertrailControllerPlugin\n"                     \
    "        input_plugins:\n"                                                              \
    "          - {name: volume, type: Dynosaur::Inputs::PapertrailInputPlugin, "            \
    "papertrail_api_key: token-1, timeout: 2, "                                             \
    "api_url: \"http://127.0.0.1:%u/papertrail\", " TIMES "}\n"

static struct fleet *fleet;
static struct metrics vendors;

static void setup(void)
{
    cli_setup();
    vendors = metrics_start(VENDORS);
    fleet = fleet_new(&(struct fleet_options){.world = WORLD, .partitions = 1});
    fleet_configure(fleet, CONFIG, vendors.port, vendors.port, vendors.port);
}

static void teardown(void)
{
    metrics_are_content(&vendors);
    fleet_free(fleet);
    metrics_stop(&vendors);
    cli_teardown();
}

static void redis_uses(double megabytes, double connections)
{
    char text[512];
    (void)snprintf(text, sizeof text,
                   "{'new_relic': {'keys': {'rest-1': {'kind': 'rest'}}, 'components': {'77': {"
                   "'Component/redis/Used memory[megabytes]': {'values': {'average_value': %g}},"
                   "'Component/redis/Connections[connections]': "
                   "{'values': {'average_value': %g}}}}}}",
                   megabytes, connections);
    json_decref(metrics_control(&vendors, "POST", "state", text));
}

static void logs_use(long long bytes)
{
    char text[256];
    (void)snprintf(text, sizeof text,
                   "{'papertrail': {'tokens': {'token-1': {'used': %lld, 'plan_limit': 1}}}}",
                   bytes);
    json_decref(metrics_control(&vendors, "POST", "state", text));
}

static void heroku_says(const char *json)
{
    json_decref(heroku_control(fleet_heroku(fleet), "POST", "/state", json));
}

static void redis_addon(const char *more)
{
    char text[256];
    (void)snprintf(text, sizeof text,
                   "{'apps': [{'name': 'shop', 'addons': [{'name': 'redis-round-1', %s}]}]}", more);
    heroku_says(text);
}

static const char *explained(const char *controller)
{
    (void)cli_run("explain shop/%s '%s' --redis '%s'", controller, fleet_config(fleet)->file,
                  support_redis_url(fleet_redis(fleet)));
    return cli_output();
}

static int pin(const char *words)
{
    return cli_run("%s '%s' --redis '%s'", words, fleet_config(fleet)->file,
                   support_redis_url(fleet_redis(fleet)));
}

static void a_plan_is_pinned_by_its_name(void)
{
    ck_assert_int_eq(pin("pin shop/redis 3 --for 1h"), 2);
    ck_assert_ptr_nonnull(strstr(cli_output(), "shop/redis scales plans: say one"));
    ck_assert_int_eq(pin("pin shop/redis rediscloud:7 --for 1h"), 2);
    ck_assert_ptr_nonnull(strstr(cli_output(), "shop/redis has no plan rediscloud:7"));
    ck_assert_int_eq(pin("pin shop/redis rediscloud:5000 --for 1h"), 2);
    ck_assert_ptr_nonnull(strstr(cli_output(), "shop/redis has max_resource rediscloud:2500"));
    ck_assert_int_eq(pin("pin shop/redis rediscloud:1000 --for 1h"), 0);
    fleet_await_plan(fleet, "redis-round-1", "rediscloud:1000", 20);
    ck_assert_int_eq(pin("unpin shop/redis"), 0);
    fleet_await_plan(fleet, "redis-round-1", "rediscloud:500", 30);
}

static void judge(void)
{
    size_t compared = judge_replay(fleet);
    size_t may_lower = judge_targets(fleet);
    struct judge_run run = judge_changes(fleet, "shop", 2);
    printf("plans: %zu targets equal when folded again, %zu of them may lower; dynos rose %zu "
           "times and fell %zu times\n",
           compared, may_lower, run.rises, run.falls);
    ck_assert_uint_gt(run.rises, 1);
}

START_TEST(dynos_redis_and_logs_of_one_app_each_follow_their_own)
{
    fleet_start_all(fleet);
    fleet_await_quantity(fleet, "shop", 10, 40);
    ck_assert(heroku_plan_is(fleet_heroku(fleet), "redis-round-1", "rediscloud:100"));
    redis_uses(95, 30);
    fleet_await_plan(fleet, "redis-round-1", "rediscloud:250", 20);
    logs_use(51380224);
    fleet_await_plan(fleet, "logs-flat-2", "papertrail:ludvig", 20);
    redis_uses(95, 240);
    fleet_await_plan(fleet, "redis-round-1", "rediscloud:500", 20);
    fleet_await_printed(fleet, FLEET_REPORTER,
                        "process_type=rediscloud from=rediscloud:250 to=rediscloud:500 "
                        "target=rediscloud:500 status=200",
                        1);
    fleet_await_printed(fleet, FLEET_REPORTER,
                        "\ndynosaur.shop.redis.combined.actual rediscloud:500\n", 1);
    fleet_await_printed(fleet, FLEET_REPORTER,
                        "\ndynosaur.shop.redis.memory.estimate rediscloud:250\n", 1);
    ck_assert_ptr_nonnull(strstr(explained("redis"), "shop/redis: rediscloud:500, wanted "
                                                     "rediscloud:500"));
    ck_assert_ptr_nonnull(strstr(cli_output(), "asks for rediscloud:250"));
    ck_assert_ptr_nonnull(strstr(explained("logs"), "shop/logs: papertrail:ludvig, wanted "
                                                    "papertrail:ludvig"));
    a_plan_is_pinned_by_its_name();
    redis_uses(60, 30); /* down, one at a time, when the window has passed */
    fleet_await_plan(fleet, "redis-round-1", "rediscloud:250", 30);
    fleet_await_plan(fleet, "redis-round-1", "rediscloud:100", 30);
    logs_use(1000); /* not allowed to fall */
    fleet_pass(fleet, 6000);
    ck_assert(heroku_plan_is(fleet_heroku(fleet), "logs-flat-2", "papertrail:ludvig"));
    judge();
}
END_TEST

START_TEST(more_than_any_plan_holds_is_told_and_cut_and_provisioning_is_waited_for)
{
    redis_addon("'provision_ms': 6000, 'late': true");
    fleet_start_all(fleet);
    redis_uses(400, 30);
    fleet_await_printed(fleet, FLEET_ACTUATOR,
                        "to=rediscloud:500 target=rediscloud:500 "
                        "outcome=done status=202",
                        1);
    redis_uses(60000, 30);
    fleet_await_printed(fleet, FLEET_REPORTER, "event=above_plans state=raised", 1);
    fleet_await_plan(fleet, "redis-round-1", "rediscloud:2500", 60);
    ck_assert_ptr_nonnull(strstr(explained("redis"), "asks for more than rediscloud:50000"));
    ck_assert_ptr_nonnull(strstr(cli_output(), "cut to max_resource rediscloud:2500"));
    redis_uses(1000, 30);
    fleet_await_printed(fleet, FLEET_REPORTER, "event=above_plans state=over", 1);
    ck_assert_int_eq(fleet_printed(fleet, FLEET_REPORTER, "event=human_change"), 0);
    judge();
}
END_TEST

START_TEST(an_actuator_that_dies_amid_a_change_leaves_it_to_the_next)
{
    redis_addon("'provision_ms': 12000, 'late': true");
    json_decref(heroku_control(fleet_heroku(fleet), "POST", "/faults",
                               "{'match': {'method': 'PATCH', 'path': '/apps/shop/addons/'}, "
                               "'do': {'stall_after_apply_ms': 8000}}"));
    fleet_start_all(fleet);
    redis_uses(200, 30);
    for (int i = 0; heroku_plan_is(fleet_heroku(fleet), "redis-round-1", "rediscloud:100"); i++) {
        ck_assert_int_lt(i, 300);
        json_t *requests = heroku_control(fleet_heroku(fleet), "GET", "/requests?since=0", NULL);
        char *text = json_dumps(requests, 0);
        bool asked = strstr(text, "rediscloud:250") != NULL;
        free(text);
        json_decref(requests);
        if (asked) {
            break;
        }
        fleet_pass(fleet, 100);
    }
    fleet_kill(fleet, FLEET_ACTUATOR);
    redis_uses(400, 30);
    fleet_start(fleet, FLEET_ACTUATOR);
    fleet_await_plan(fleet, "redis-round-1", "rediscloud:500", 90);
    ck_assert_int_eq(fleet_printed(fleet, FLEET_REPORTER, "event=human_change"), 0);
    ck_assert_int_eq(fleet_printed(fleet, FLEET_ACTUATOR, "to=rediscloud:250"), 1);
    ck_assert_int_eq(fleet_printed(fleet, FLEET_ACTUATOR, "to=rediscloud:500"), 1);
    (void)judge_replay(fleet);
    (void)judge_targets(fleet);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("plans");
    TCase *tests = tcase_create("plans");
    tcase_set_timeout(tests, 240);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, dynos_redis_and_logs_of_one_app_each_follow_their_own);
    tcase_add_test(tests, more_than_any_plan_holds_is_told_and_cut_and_provisioning_is_waited_for);
    tcase_add_test(tests, an_actuator_that_dies_amid_a_change_leaves_it_to_the_next);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
