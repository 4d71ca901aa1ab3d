/* What Heroku answers when it does not say yes, and what the actuator then does. */
#include "support_judge.h"
#include "support_source.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#define APP(name, owner) "{'name': '" name "', 'owner': '" owner "@example.com', 'formation': {"
#define WORLD                                                                                      \
    FLEET_ACCOUNTS " 'apps': [" APP("busy", "a") "'web': 2}}," APP("lost", "a") "'web': 2}}," APP( \
        "slow",                                                                                    \
        "a") "'web': 2}}," APP("small",                                                            \
                               "a") "'web': 2, 'worker': 1}, 'limit': 6}," APP("polite",           \
                                                                               "b") "'web': 2}}]}"

#define CONTROLLER(name, account, source)                                                       \
    "  " name ":\n"                                                                             \
    "    account: " account "\n"                                                                \
    "    controller_plugins:\n"                                                                 \
    "      - {name: dynos, type: dynos, scale_down_cooldown: 1, max_step_down: 100,\n"          \
    "         input_plugins: [{name: load, type: http_json, url: \"http://127.0.0.1:%d/" source \
    "\", pointer: /value, interval: 0.5, timeout: 1, per_resource: 100, hysteresis_period: 4, " \
    "max_gap: 3}]}\n"

#define CONFIG                                                          \
    "accounts:\n"                                                       \
    "  a: {heroku_api_key: \"${FLEET_KEY_A}\"}\n"                       \
    "  b: {heroku_api_key: \"${FLEET_KEY_B}\"}\n"                       \
    "apps:\n" CONTROLLER("busy", "a", "0") CONTROLLER("lost", "a", "1") \
        CONTROLLER("slow", "a", "2") CONTROLLER("small", "a", "3") CONTROLLER("polite", "b", "4")

#define APPS 5
static const char *const apps[APPS] = {"busy", "lost", "slow", "small", "polite"};

static struct fleet *fleet;

static void setup(void)
{
    int port = source_server_start();
    for (unsigned i = 0; i < APPS; i++) {
        source_say(i, SOURCE_GOOD, 200);
    }
    fleet = fleet_new(&(struct fleet_options){.world = WORLD, .partitions = 1});
    fleet_configure(fleet, CONFIG, port, port, port, port, port);
    fleet_start_all(fleet);
    fleet_pass(fleet, 3000);
}

static void teardown(void)
{
    fleet_free(fleet);
}

static void faults(const char *body)
{
    json_decref(heroku_control(fleet_heroku(fleet), "POST", "/faults", body));
}

struct count {
    size_t requests, writes;
    int64_t first_ms, last_ms; /* of the requests */
    int status;                /* of the first write */
};

/* Requests for an app (NULL: of an account) that came after `since_ms`. */
static struct count requests(const char *app, const char *account, int64_t since_ms)
{
    struct count count = {0};
    json_t *answer = heroku_control(fleet_heroku(fleet), "GET", "/requests?since=0", NULL);
    const json_t *all = json_object_get(answer, "requests");
    for (size_t i = 0; i < json_array_size(all); i++) {
        const json_t *request = json_array_get(all, i);
        const char *of = json_string_value(json_object_get(request, app ? "app" : "account"));
        int64_t at_ms = json_integer_value(json_object_get(request, "time_ms"));
        if (of == NULL || strcmp(of, app != NULL ? app : account) != 0 || at_ms < since_ms) {
            continue;
        }
        count.first_ms = count.requests == 0 ? at_ms : count.first_ms;
        count.last_ms = at_ms;
        count.requests++;
        if (strcmp(json_string_value(json_object_get(request, "method")), "PATCH") == 0) {
            count.status = count.writes == 0
                               ? (int)json_integer_value(json_object_get(request, "status"))
                               : count.status;
            count.writes++;
        }
    }
    json_decref(answer);
    return count;
}

START_TEST(errors_of_one_app_are_got_over_with_no_change_made_twice)
{
    int64_t since_ms = fleet_now_ms();
    faults(
        "[{'match': {'app': 'busy', 'method': 'PATCH'}, 'times': 2, 'do': {'status': 503}},"
        " {'match': {'app': 'lost', 'method': 'PATCH'}, 'do': {'drop_after_apply': true}},"
        " {'match': {'app': 'slow', 'method': 'PATCH'}, 'do': {'stall_after_apply_ms': 12000}}]");
    for (unsigned i = 0; i < APPS; i++) {
        source_say(i, SOURCE_GOOD, 800);
    }
    fleet_await_quantity(fleet, "busy", 8, 30);
    fleet_await_quantity(fleet, "lost", 8, 10);
    fleet_await_quantity(fleet, "slow", 8, 10);
    fleet_await_quantity(fleet, "polite", 8, 10);
    fleet_await_quantity(fleet, "small", 5, 10); /* 6 less the worker */
    fleet_await_printed(fleet, FLEET_REPORTER, "event=heroku_limit state=raised app=small", 1);
    fleet_pass(fleet, 14000);
    struct count count = requests("busy", NULL, since_ms);
    ck_assert_uint_eq(count.writes, 3);
    count = requests("lost", NULL, since_ms);
    ck_assert_uint_eq(count.writes, 1); /* the reading behind it showed that it was done */
    ck_assert_int_eq(count.status, 0);
    ck_assert_uint_ge(count.requests, 2);
    count = requests("slow", NULL, since_ms);
    ck_assert_uint_eq(count.writes, 1);
    count = requests("small", NULL, since_ms);
    ck_assert_uint_eq(count.writes, 2);
    ck_assert_int_eq(count.status, 422);
    ck_assert_int_eq(fleet_quantity(fleet, "slow"), 8);
    /* Each of them goes on as ever. */
    for (unsigned i = 0; i < APPS; i++) {
        source_say(i, SOURCE_GOOD, 300);
    }
    for (unsigned i = 0; i < APPS; i++) {
        fleet_await_quantity(fleet, apps[i], 3, 30);
    }
    fleet_await_printed(fleet, FLEET_REPORTER, "event=heroku_limit state=over app=small", 1);
    ck_assert_uint_gt(judge_replay(fleet), 20);
}
END_TEST

START_TEST(a_rate_limit_and_a_refused_key_hold_one_account_only)
{
    int64_t since_ms = fleet_now_ms();
    faults("{'match': {'account': 'b@example.com'},"
           " 'do': {'status': 429, 'headers': {'Retry-After': '4'}}}");
    source_say(0, SOURCE_GOOD, 800);
    source_say(4, SOURCE_GOOD, 800);
    fleet_await_quantity(fleet, "busy", 8, 10);
    fleet_await_quantity(fleet, "polite", 8, 30);
    struct count count = requests(NULL, "b@example.com", since_ms);
    struct fleet_changes changes = fleet_changes(fleet, "polite", 2);
    ck_assert_uint_eq(changes.count, 1);
    ck_assert_int_ge(changes.changes[0].at_ms, count.first_ms + 4000);
    free(changes.changes);

    faults("{'match': {'account': 'b@example.com'}, 'times': -1, 'do': {'status': 401}}");
    source_say(0, SOURCE_GOOD, 1200);
    source_say(4, SOURCE_GOOD, 1200);
    fleet_await_printed(fleet, FLEET_REPORTER, "event=heroku_account state=raised", 1);
    fleet_await_quantity(fleet, "busy", 12, 10);
    fleet_pass(fleet, 1000);
    int64_t quiet_ms = fleet_now_ms();
    fleet_pass(fleet, 5000);
    count = requests(NULL, "b@example.com", quiet_ms);
    ck_assert_uint_eq(count.requests, 0);
    ck_assert_int_eq(fleet_quantity(fleet, "polite"), 8);
    /* Another key, perhaps: a reload tries it at once. */
    json_decref(heroku_control(fleet_heroku(fleet), "DELETE", "/faults", NULL));
    program_signal(fleet_program(fleet, FLEET_ACTUATOR), SIGHUP);
    fleet_await_quantity(fleet, "polite", 12, 20);
    fleet_await_printed(fleet, FLEET_REPORTER, "event=heroku_account state=over", 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("errors");
    TCase *tests = tcase_create("errors");
    tcase_set_timeout(tests, 150);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, errors_of_one_app_are_got_over_with_no_change_made_twice);
    tcase_add_test(tests, a_rate_limit_and_a_refused_key_hold_one_account_only);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
