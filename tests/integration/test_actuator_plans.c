#include "support_actuator.h"

#include "common/message.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* The real actuator, a real Redis and the fake Heroku, of an app with dynos, Redis and logs. */

static const char WORLD[] =
    "{'accounts': [{'email': 'ops@example.com', 'keys': ['canary-good-key']}],"
    " 'apps': [{'name': 'shop', 'owner': 'ops@example.com', 'formation': {'web': 4},"
    "   'addons': [{'name': 'redis-round-1', 'plan': 'rediscloud:100'},"
    "              {'name': 'logs-flat-2', 'plan': 'papertrail:fixa'}]},"
    "  {'name': 'other', 'owner': 'ops@example.com', 'formation': {'web': 1},"
    "   'addons': [{'name': 'redis-other-9', 'plan': 'rediscloud:25'}]}]}";

enum {
    DYNOS,
    REDIS,
    LOGS
};

static struct support_redis *redis;
static struct support_file *file;
static struct program *actuator;
static struct heroku heroku;
static struct config *config;

static void configure(const char *of_redis)
{
    support_file_write(file,
                       "version: 2\n"
                       "heroku_api_url: http://127.0.0.1:%u\n"
                       "redis: {partitions: 1, lease: " SUPPORT_LEASE "}\n"
                       "accounts: {main: {heroku_api_key: \"${DYN_TEST_KEY}\"}}\n"
                       "apps:\n"
                       "  shop:\n"
                       "    account: main\n"
                       "    scaler: {interval: 1}\n"
                       "    controller_plugins:\n"
                       "      - name: dynos\n"
                       "        type: dynos\n"
                       "        input_plugins: [{name: wave, type: sine}]\n"
                       "      - name: redis\n"
                       "        type: rediscloud\n"
                       "%s"
                       "        input_plugins: [{name: wave, type: sine}]\n"
                       "      - name: logs\n"
                       "        type: papertrail\n"
                       "        input_plugins: [{name: wave, type: sine}]\n",
                       heroku.port, of_redis);
}

static void start_actuator(void)
{
    actuator = support_actuator_start(file, redis, "act-1");
}

static void setup_with(const char *of_redis)
{
    ck_assert_int_eq(setenv("DYN_TEST_KEY", "canary-good-key", 1), 0);
    redis = support_redis_new(&(struct support_redis_options){.append_only = true});
    support_setup(redis);
    support_redis_leases_known(redis, "main", NULL);
    heroku = heroku_start(WORLD);
    file = support_file_new("dynosaur.yaml");
    configure(of_redis);
    struct dyn_error error = {""};
    config = config_load(support_file_path(file), &error);
    ck_assert_msg(config != NULL, "%s", error.text);
    start_actuator();
    program_await(actuator, "event=lease_taken");
}

static void setup(void)
{
    setup_with("");
}

static void setup_downgrade(void)
{
    setup_with("        allow_downgrade: true\n        scale_down_cooldown: 3\n");
}

static void teardown(void)
{
    ck_assert_int_eq(program_count(actuator, "canary"), 0);
    support_no_violations(&heroku);
    program_free(actuator);
    config_free(config);
    support_file_free(file);
    ck_assert_int_eq(heroku_stop(&heroku), 0);
    support_redis_free(redis);
}

static void say(size_t which, const char *plan, bool raise_only)
{
    const struct config_controller *controller = &config->apps[0].controllers[which];
    int32_t rung = plan_rung(controller->plans, plan);
    ck_assert_int_gt(rung, 0);
    support_say_target_of(redis, &config->apps[0], controller, rung, raise_only);
}

static void await_plan(const char *addon, const char *plan, int seconds)
{
    for (int i = 0; !heroku_plan_is(&heroku, addon, plan); i++) {
        if (i == seconds * 50) {
            (void)program_count(actuator, "action");
            ck_abort_msg("%s is not %s:\n%s", addon, plan, program_output(actuator));
        }
        support_nap();
    }
}

static int writes(void)
{
    json_t *answer = heroku_control(&heroku, "GET", "/requests?since=0", NULL);
    int count = 0;
    size_t i;
    json_t *request;
    json_array_foreach(json_object_get(answer, "requests"), i, request)
    {
        count += strcmp(json_string_value(json_object_get(request, "method")), "PATCH") == 0 &&
                 strstr(json_string_value(json_object_get(request, "path")), "/addons/") != NULL;
    }
    json_decref(answer);
    return count;
}

static void rest(int ms)
{
    for (int i = 0; i < ms / 20; i++) {
        support_nap();
    }
}

static void control(const char *path, const char *json)
{
    json_decref(heroku_control(&heroku, "POST", path, json));
}

static void redis_addon(const char *more)
{
    char text[256];
    (void)snprintf(text, sizeof text,
                   "{'apps': [{'name': 'shop', 'addons': [{'name': 'redis-round-1', %s}]}]}", more);
    control("/state", text);
}

/* ---- the tests ---- */

START_TEST(a_target_becomes_the_plan_and_leaves_its_traces)
{
    say(REDIS, "rediscloud:500", true);
    await_plan("redis-round-1", "rediscloud:500", 10);
    program_await(actuator, "from=rediscloud:100 to=rediscloud:500 target=rediscloud:500 "
                            "outcome=done status=200");
    ck_assert_int_eq(writes(), 1);
    ck_assert(heroku_plan_is(&heroku, "logs-flat-2", "papertrail:fixa"));
    ck_assert(heroku_plan_is(&heroku, "redis-other-9", "rediscloud:25"));
    ck_assert_str_eq(support_redis_call(redis, "XLEN", "dyn:actions", NULL), "1");
    ck_assert_str_eq(support_redis_call(redis, "HLEN", "dyn:{act}:main:journal", NULL), "4");
}
END_TEST

START_TEST(dynos_and_two_add_ons_of_one_app_move_one_at_a_time)
{
    support_say_target_of(redis, &config->apps[0], &config->apps[0].controllers[DYNOS], 9, true);
    say(REDIS, "rediscloud:250", true);
    say(LOGS, "papertrail:forsta", true);
    await_plan("redis-round-1", "rediscloud:250", 10);
    await_plan("logs-flat-2", "papertrail:forsta", 10);
    ck_assert(support_web_is(&heroku, "shop", 9, 10000));
    ck_assert_int_eq(writes(), 2);
}
END_TEST

START_TEST(what_provisions_is_left_alone_and_then_goes_on)
{
    redis_addon(_i == 0 ? "'provision_ms': 4000" : "'provision_ms': 4000, 'late': true");
    say(REDIS, "rediscloud:250", true);
    program_await(actuator, "outcome=done status=202");
    program_await(actuator, "msg=\"taken, not finished yet\"");
    say(REDIS, "rediscloud:1000", true);
    rest(2000);
    ck_assert_int_eq(writes(), 1);
    await_plan("redis-round-1", "rediscloud:1000", 40);
    ck_assert_int_eq(writes(), 2);
    ck_assert_int_eq(program_count(actuator, "human_change"), 0);
}
END_TEST

START_TEST(a_change_that_comes_to_nothing_is_told_and_tried_again)
{
    redis_addon("'provision_ms': 2000, 'failing': true");
    say(REDIS, "rediscloud:250", true);
    program_await(actuator, "outcome=done status=202");
    say(REDIS, "rediscloud:500", true);
    program_await(actuator, "event=write_not_kept");
    redis_addon("'provision_ms': 0, 'failing': false");
    await_plan("redis-round-1", "rediscloud:500", 40);
    ck_assert_int_eq(program_count(actuator, "human_change"), 0);
}
END_TEST

/* One fault, and the plan is reached all the same within seconds. */
static const struct {
    const char *fault;
    int writes;
} healing[] = {
    {"{'match': {'method': 'PATCH'}, 'do': {'status': 500}}", 2},
    {"{'match': {'method': 'PATCH'}, 'do': {'status': 503, 'apply': true}}", 1},
    {"{'match': {'method': 'PATCH'}, 'do': {'status': 409}}", 2},
    {"{'match': {'method': 'PATCH'}, 'do': {'drop_before': true}}", 2},
    {"{'match': {'method': 'PATCH'}, 'do': {'drop_after_apply': true}}", 1},
    {"{'match': {'method': 'PATCH'}, 'do': {'garbage_body': true}}", 1},
    {"{'match': {'method': 'PATCH'}, 'do': {'wrong_shape': true}}", 1},
    {"{'match': {'method': 'PATCH'}, 'do': {'huge_body': 3}}", 1},
    {"{'match': {'method': 'PATCH'}, 'do': {'status': 429, 'headers': {'Retry-After': '2'}}}", 2},
    {"{'match': {'method': 'GET', 'path': '/apps/shop$'}, 'do': {'status': 500}}", 1},
};

START_TEST(an_error_heals)
{
    control("/faults", healing[_i].fault);
    say(REDIS, "rediscloud:500", true);
    await_plan("redis-round-1", "rediscloud:500", 20);
    program_await(actuator, "outcome=done");
    ck_assert_int_eq(writes(), healing[_i].writes);
    ck_assert_int_eq(program_count(actuator, "human_change"), 0);
}
END_TEST

static const struct {
    const char *fault; /* NULL: the plan is locked */
    const char *event;
} lasting[] = {
    {"{'match': {'method': 'PATCH'}, 'do': {'status': 403}}", "event=heroku_controller"},
    {"{'match': {'method': 'PATCH'}, 'do': {'status': 404}}", "event=heroku_controller"},
    {"{'match': {'method': 'PATCH'}, 'do': {'status': 423}}", "event=heroku_refused"},
    {"{'match': {'method': 'PATCH'}, 'do': {'status': 422, 'extra': {'limit': 1}}}",
     "event=heroku_refused"},
    {NULL, "event=heroku_refused"},
};

START_TEST(an_error_is_told_and_not_repeated_and_dynos_go_on)
{
    if (lasting[_i].fault != NULL) {
        control("/faults", lasting[_i].fault);
    } else {
        redis_addon("'plan_locked': true");
    }
    say(REDIS, "rediscloud:500", true);
    program_await(actuator, lasting[_i].event);
    rest(2000);
    ck_assert_int_eq(writes(), 1);
    ck_assert(heroku_plan_is(&heroku, "redis-round-1", "rediscloud:100"));
    support_say_target_of(redis, &config->apps[0], &config->apps[0].controllers[DYNOS], 9, true);
    ck_assert(support_web_is(&heroku, "shop", 9, 10000));
}
END_TEST

START_TEST(add_ons_that_cannot_be_read_hold_no_dynos)
{
    program_signal(actuator, SIGTERM);
    ck_assert_int_eq(program_end(actuator), 0);
    program_free(actuator);
    control("/faults", "{'times': -1, 'match': {'method': 'GET', 'path': '/apps/shop/addons'}, "
                       "'do': {'stall_ms': 1000, 'status': 503}}");
    start_actuator();
    support_say_target_of(redis, &config->apps[0], &config->apps[0].controllers[DYNOS], 9, true);
    say(REDIS, "rediscloud:500", true);
    ck_assert(support_web_is(&heroku, "shop", 9, 15000));
    ck_assert_int_eq(writes(), 0);
    json_decref(heroku_control(&heroku, "DELETE", "/faults", NULL));
    await_plan("redis-round-1", "rediscloud:500", 60);
}
END_TEST

START_TEST(a_smaller_plan_is_not_asked_for)
{
    support_say_mark(redis);
    say(REDIS, "rediscloud:25", false);
    for (int i = 0; i < 4; i++) {
        rest(500);
        support_say_mark(redis);
    }
    ck_assert_int_eq(writes(), 0);
}
END_TEST

START_TEST(a_smaller_plan_that_is_allowed_comes_one_at_a_time)
{
    redis_addon("'plan': 'rediscloud:500'");
    rest(200);
    say(REDIS, "rediscloud:100", true);
    rest(1000);
    ck_assert_int_eq(writes(), 0); /* the target is raise_only */
    say(REDIS, "rediscloud:100", false);
    for (int i = 0; i < 40 && writes() < 2; i++) {
        support_say_mark(redis);
        rest(500);
    }
    await_plan("redis-round-1", "rediscloud:100", 5);
    ck_assert_int_eq(writes(), 2);
    ck_assert_int_eq(program_count(actuator, "from=rediscloud:500 to=rediscloud:250 "
                                             "target=rediscloud:100"),
                     1);
}
END_TEST

START_TEST(an_unknown_plan_changes_nothing_and_is_told)
{
    program_signal(actuator, SIGTERM);
    ck_assert_int_eq(program_end(actuator), 0);
    program_free(actuator);
    configure("        plans: [{name: rediscloud:250, max_memory: 250}, {name: "
              "rediscloud:500}]\n");
    config_free(config);
    struct dyn_error error = {""};
    config = config_load(support_file_path(file), &error);
    ck_assert_msg(config != NULL, "%s", error.text);
    say(REDIS, "rediscloud:500", true);
    start_actuator();
    program_await(actuator, "its plan rediscloud:100 is not in the table of plans");
    rest(1000);
    ck_assert_int_eq(writes(), 0);
}
END_TEST

START_TEST(killed_between_intent_and_answer_it_is_settled_by_a_reading)
{
    control("/faults", "{'match': {'method': 'PATCH'}, 'do': {'stall_after_apply_ms': 5000}}");
    redis_addon("'provision_ms': 20000, 'late': true");
    say(REDIS, "rediscloud:250", true);
    for (int i = 0; i < 500 && writes() == 0; i++) {
        support_nap();
    }
    ck_assert_int_eq(writes(), 1);
    program_signal(actuator, SIGKILL);
    ck_assert_int_eq(program_end(actuator), 128 + SIGKILL);
    program_free(actuator);
    say(REDIS, "rediscloud:500", true);
    start_actuator();
    program_await(actuator, "to=rediscloud:250 target=rediscloud:250 outcome=done");
    await_plan("redis-round-1", "rediscloud:500", 60);
    ck_assert_int_eq(writes(), 2);
    ck_assert_int_eq(program_count(actuator, "human_change"), 0);
    ck_assert_str_eq(support_redis_call(redis, "XLEN", "dyn:actions", NULL), "2");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("actuator_plans");
    TCase *tests = tcase_create("plans");
    TCase *downgrade = tcase_create("downgrade");
    tcase_set_timeout(tests, 120);
    tcase_set_timeout(downgrade, 120);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_checked_fixture(downgrade, setup_downgrade, teardown);
    tcase_add_test(tests, a_target_becomes_the_plan_and_leaves_its_traces);
    tcase_add_test(tests, dynos_and_two_add_ons_of_one_app_move_one_at_a_time);
    tcase_add_loop_test(tests, what_provisions_is_left_alone_and_then_goes_on, 0, 2);
    tcase_add_test(tests, a_change_that_comes_to_nothing_is_told_and_tried_again);
    tcase_add_loop_test(tests, an_error_heals, 0, (int)(sizeof healing / sizeof *healing));
    tcase_add_loop_test(tests, an_error_is_told_and_not_repeated_and_dynos_go_on, 0,
                        (int)(sizeof lasting / sizeof *lasting));
    tcase_add_test(tests, add_ons_that_cannot_be_read_hold_no_dynos);
    tcase_add_test(tests, a_smaller_plan_is_not_asked_for);
    tcase_add_test(tests, an_unknown_plan_changes_nothing_and_is_told);
    tcase_add_test(tests, killed_between_intent_and_answer_it_is_settled_by_a_reading);
    tcase_add_test(downgrade, a_smaller_plan_that_is_allowed_comes_one_at_a_time);
    suite_add_tcase(suite, tests);
    suite_add_tcase(suite, downgrade);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
