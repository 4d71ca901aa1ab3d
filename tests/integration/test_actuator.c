#include "support_actuator.h"

#include "common/message.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* The real actuator, a real Redis and the fake Heroku; the test is the estimator. */

static const char WORLD[] =
    "{'accounts': [{'email': 'ops@example.com', 'keys': ['canary-good-key']}],"
    " 'apps': [{'name': 'shop', 'owner': 'ops@example.com',"
    "           'formation': {'web': 4, 'worker': 1}}]}";

static struct support_redis *redis;
static struct support_file *file;
static struct program *actuator;
static struct heroku heroku;
static struct config *config;

static void start_actuator(void)
{
    actuator = support_actuator_start(file, redis, "act-1");
}

static void configure_app(const char *app, const char *mode, int max)
{
    support_file_write(file,
                       "version: 2\n"
                       "heroku_api_url: http://127.0.0.1:%u\n"
                       "redis: {partitions: 1, lease: " SUPPORT_LEASE "}\n"
                       "accounts: {main: {heroku_api_key: \"${DYN_TEST_KEY}\"}}\n"
                       "apps:\n"
                       "  %s:\n"
                       "    account: main\n"
                       "    scaler: {interval: 1}\n"
                       "    controller_plugins:\n"
                       "      - name: dynos\n"
                       "        type: dynos\n"
                       "        mode: %s\n"
                       "        max_resource: %d\n"
                       "        input_plugins:\n"
                       "          - {name: wave, type: sine}\n",
                       heroku.port, app, mode, max);
}

static void configure(const char *mode, int max)
{
    configure_app("shop", mode, max);
}

static void reload(void)
{
    program_signal(actuator, SIGHUP);
    program_await(actuator, "event=config_reloaded");
}

static void setup(void)
{
    ck_assert_int_eq(setenv("DYN_TEST_KEY", "canary-good-key", 1), 0);
    redis = support_redis_new(&(struct support_redis_options){.append_only = true});
    support_setup(redis);
    support_redis_leases_known(redis, "main", NULL);
    heroku = heroku_start(WORLD);
    file = support_file_new("dynosaur.yaml");
    configure("live", 50);
    struct dyn_error error = {""};
    config = config_load(support_file_path(file), &error);
    ck_assert_msg(config != NULL, "%s", error.text);
    start_actuator();
    program_await(actuator, "event=lease_taken");
}

static void teardown(void)
{
    /* The canary: the key is in nothing that anybody can read. */
    ck_assert_int_eq(program_count(actuator, "canary"), 0);
    ck_assert_ptr_null(
        strstr(support_redis_call(redis, "XRANGE", "dyn:events", "-", "+", NULL), "canary"));
    program_free(actuator);
    config_free(config);
    support_file_free(file);
    ck_assert_int_eq(heroku_stop(&heroku), 0);
    support_redis_free(redis);
}

static void say_target(int rung, bool raise_only)
{
    support_say_target(redis, config, 0, rung, raise_only);
}

static int web(void)
{
    return support_web(&heroku, "shop");
}

static void await_web(int quantity, int seconds)
{
    if (!support_web_is(&heroku, "shop", quantity, seconds * 1000)) {
        (void)program_count(actuator, "action");
        ck_abort_msg("web is %d and not %d:\n%s", web(), quantity, program_output(actuator));
    }
}

static int count_requests(const char *method, const char *path)
{
    return support_requests(&heroku, method, path);
}

static int writes(void)
{
    return count_requests("PATCH", "/apps/shop/formation/web");
}

static void fault(const char *json)
{
    json_decref(heroku_control(&heroku, "POST", "/faults", json));
}

static void no_violations(void)
{
    support_no_violations(&heroku);
}

/* ---- the tests ---- */

START_TEST(a_target_becomes_the_formation_and_leaves_its_traces)
{
    say_target(9, true);
    await_web(9, 10);
    program_await(actuator, "event=action");
    ck_assert_int_eq(writes(), 1);
    ck_assert_str_eq(support_redis_call(redis, "XLEN", "dyn:actions", NULL), "1");
    ck_assert_str_eq(support_redis_call(redis, "HLEN", "dyn:{act}:main:state", NULL), "1");
    ck_assert_int_gt(atoi(support_redis_call(redis, "XLEN", "dyn:{0}:reports", NULL)), 0);
    /* Field and :done, and nothing open. */
    ck_assert_str_eq(support_redis_call(redis, "HLEN", "dyn:{act}:main:journal", NULL), "2");
    ck_assert_int_eq(program_http(actuator, "/readyz"), 200);
    ck_assert_int_eq(program_http(actuator, "/metrics"), 200);
    ck_assert_ptr_nonnull(strstr(program_body(actuator), "dynosaur_accounts_led 1"));
    no_violations();
}
END_TEST

START_TEST(a_fall_waits_for_a_mark)
{
    say_target(2, false);
    for (int i = 0; i < 50; i++) {
        support_nap();
    }
    ck_assert_int_eq(web(), 4);
    support_say_mark(redis);
    await_web(3, 10);
    no_violations();
}
END_TEST

START_TEST(the_newest_target_is_read_at_the_start)
{
    program_signal(actuator, SIGTERM);
    ck_assert_int_eq(program_end(actuator), 0);
    program_free(actuator);
    say_target(7, true);
    start_actuator();
    await_web(7, 10);
    no_violations();
}
END_TEST

START_TEST(shadow_writes_nothing_and_a_reload_makes_it_live)
{
    configure("shadow", 50);
    reload();
    say_target(9, true);
    program_await(actuator, "outcome=shadow");
    ck_assert_int_eq(writes(), 0);
    for (int i = 0; i < 500; i++) {
        if (strcmp(support_redis_call(redis, "XLEN", "dyn:actions", NULL), "1") == 0) {
            break;
        }
        support_nap();
    }
    ck_assert_str_eq(support_redis_call(redis, "XLEN", "dyn:actions", NULL), "1");
    configure("live", 50);
    program_signal(actuator, SIGHUP);
    await_web(9, 10);
    no_violations();
}
END_TEST

/* Each error class: one fault, and the target is reached all the same within seconds. */
static const struct {
    const char *fault;
    int writes; /* 0: not counted */
} healing[] = {
    {"{'match': {'method': 'PATCH'}, 'do': {'status': 500}}", 2},
    {"{'match': {'method': 'PATCH'}, 'do': {'status': 503, 'apply': true}}", 1},
    {"{'match': {'method': 'PATCH'}, 'do': {'status': 502}}", 2},
    {"{'match': {'method': 'PATCH'}, 'do': {'status': 409}}", 2},
    {"{'match': {'method': 'PATCH'}, 'do': {'drop_before': true}}", 2},
    {"{'match': {'method': 'PATCH'}, 'do': {'drop_after_apply': true}}", 1},
    {"{'match': {'method': 'PATCH'}, 'do': {'truncate_body': true}}", 1},
    {"{'match': {'method': 'PATCH'}, 'do': {'garbage_body': true}}", 1},
    {"{'match': {'method': 'PATCH'}, 'do': {'empty_body': true}}", 1},
    {"{'match': {'method': 'PATCH'}, 'do': {'wrong_shape': true}}", 1},
    {"{'match': {'method': 'PATCH'}, 'do': {'huge_body': 3}}", 1},
    {"{'match': {'method': 'PATCH'}, 'do': {'status': 429, 'headers': {'Retry-After': '2'}}}", 2},
    {"{'match': {'method': 'GET', 'path': '/apps/shop$'}, 'do': {'status': 500}}", 1},
    {"{'match': {'method': 'GET', 'path': '/apps/shop$'}, 'do': {'garbage_body': true}}", 1},
};

START_TEST(an_error_heals)
{
    fault(healing[_i].fault);
    say_target(9, true);
    await_web(9, 20);
    program_await(actuator, "outcome=done");
    ck_assert_int_eq(writes(), healing[_i].writes);
    ck_assert_int_eq(program_count(actuator, "human_change"), 0);
    no_violations();
}
END_TEST

/* Each error class that is not to be repeated at once. */
static const struct {
    const char *fault;
    const char *event;
    int web;
} lasting[] = {
    {"{'match': {'method': 'PATCH'}, 'do': {'status': 403}}", "event=heroku_controller", 4},
    {"{'match': {'method': 'PATCH'}, 'do': {'status': 404}}", "event=heroku_controller", 4},
    {"{'match': {'method': 'PATCH'}, 'do': {'status': 401}}", "event=heroku_controller", 4},
    {"{'match': {'method': 'PATCH'}, 'do': {'status': 422}}", "event=heroku_refused", 4},
    {"{'match': {'method': 'PATCH'}, 'do': {'status': 422, 'id': 'verification_needed'}}",
     "event=heroku_refused", 4},
    {"{'times': -1, 'match': {'path': '/a'}, 'do': {'status': 402}}", "event=heroku_account", 4},
    {"{'times': -1, 'match': {'path': '/a'}, 'do': {'status': 403, 'id': 'suspended'}}",
     "event=heroku_account", 4},
    {"{'match': {'method': 'PATCH'}, 'do': {'status': 422, 'id': 'cannot_update_above_limit', "
     "'extra': {'limit': 7}}}",
     "event=heroku_limit", 6},
};

START_TEST(an_error_is_told_and_not_repeated)
{
    fault(lasting[_i].fault);
    say_target(9, true);
    program_await(actuator, lasting[_i].event);
    await_web(lasting[_i].web, 10);
    int before = writes();
    for (int i = 0; i < 100; i++) {
        support_nap();
    }
    ck_assert_int_eq(writes(), before);
    ck_assert_int_eq(web(), lasting[_i].web);
    no_violations();
}
END_TEST

START_TEST(a_missing_key_is_told_and_asks_nothing)
{
    program_signal(actuator, SIGTERM);
    ck_assert_int_eq(program_end(actuator), 0);
    program_free(actuator);
    int before = count_requests("GET", "/account");
    ck_assert_int_eq(unsetenv("DYN_TEST_KEY"), 0);
    start_actuator();
    program_await(actuator, "event=heroku_key_missing");
    say_target(9, true);
    program_await(actuator, "event=lease_taken");
    for (int i = 0; i < 50; i++) {
        support_nap();
    }
    ck_assert_int_eq(count_requests("GET", "/account"), before);
    ck_assert_int_eq(web(), 4);
}
END_TEST

START_TEST(killed_between_intent_and_answer_it_is_settled_by_a_reading)
{
    fault("{'match': {'method': 'PATCH'}, 'do': {'stall_after_apply_ms': 5000}}");
    say_target(9, true);
    for (int i = 0; i < 500 && writes() == 0; i++) {
        support_nap();
    }
    ck_assert_int_eq(writes(), 1);
    program_signal(actuator, SIGKILL);
    ck_assert_int_eq(program_end(actuator), 128 + SIGKILL);
    program_free(actuator);
    ck_assert_str_eq(support_redis_call(redis, "HLEN", "dyn:{act}:main:journal", NULL), "2");
    say_target(12, true);
    struct timespec from;
    struct timespec to;
    clock_gettime(CLOCK_BOOTTIME, &from);
    start_actuator();
    program_await(actuator, "event=lease_taken");
    clock_gettime(CLOCK_BOOTTIME, &to);
    ck_assert_int_ge(to.tv_sec - from.tv_sec, SUPPORT_WAIT_MS / 1000 - 1);
    clock_gettime(CLOCK_BOOTTIME, &from);
    await_web(12, 40);
    clock_gettime(CLOCK_BOOTTIME, &to);
    ck_assert_int_ge(to.tv_sec - from.tv_sec, SUPPORT_SETTLE_MS / 1000 - 1);
    ck_assert_int_eq(writes(), 2);
    ck_assert_int_eq(program_count(actuator, "human_change"), 0);
    ck_assert_str_eq(support_redis_call(redis, "XLEN", "dyn:actions", NULL), "2");
    no_violations();
}
END_TEST

START_TEST(redis_away_stops_writing_and_back_it_goes_on)
{
    support_redis_kill(redis);
    program_await(actuator, "event=lease_lost");
    support_redis_start(redis);
    program_await(actuator, "event=lease_taken");
    /* Another server: what the journal has may be less than what was written. */
    say_target(9, true);
    await_web(9, 30);
    ck_assert_int_eq(writes(), 1);
    no_violations();
}
END_TEST

static void say_command(enum command_verb verb)
{
    struct command command = {.verb = verb, .app = DYN_STR("shop"), .until_ms = INT64_MAX};
    struct dyn_buf out;
    dyn_buf_init(&out, DYN_ENTRY_MAX);
    message_write_command(&out, &command);
    const char *add[] = {"XADD", "dyn:commands", "*", "m", dyn_buf_text(&out)};
    size_t lengths[] = {4, 12, 1, 1, out.len};
    support_redis_call_bytes(redis, 5, add, lengths);
    dyn_buf_fini(&out);
}

static void a_second(void)
{
    for (int i = 0; i < 50; i++) {
        support_nap();
    }
}

/* `_i` 1: the app is new to an actuator that has read the pause already. */
START_TEST(a_pause_holds_and_a_resume_lets_go)
{
    if (_i == 1) {
        configure_app("other", "live", 50);
        reload();
    }
    say_command(COMMAND_PAUSE);
    a_second();
    if (_i == 1) {
        configure("live", 50);
        reload();
    }
    say_target(9, true);
    a_second();
    a_second();
    ck_assert_int_eq(writes(), 0);
    say_command(COMMAND_RESUME);
    await_web(9, 10);
}
END_TEST

START_TEST(hostile_entries_are_counted_and_harmless)
{
    support_redis_call(redis, "XADD", "dyn:{0}:targets", "*", "m", "\xdd\x0f\xff\xff\xff", NULL);
    support_redis_call(redis, "XADD", "dyn:{0}:targets", "*", "x", "y", NULL);
    support_redis_call(redis, "XADD", "dyn:commands", "*", "m", "nonsense", NULL);
    say_target(9, true);
    await_web(9, 10);
    ck_assert_int_eq(program_http(actuator, "/metrics"), 200);
    ck_assert_ptr_nonnull(strstr(program_body(actuator), "dynosaur_malformed_total 3"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("actuator");
    TCase *tcase = tcase_create("actuator");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 90);
    tcase_add_test(tcase, a_target_becomes_the_formation_and_leaves_its_traces);
    tcase_add_test(tcase, a_fall_waits_for_a_mark);
    tcase_add_test(tcase, the_newest_target_is_read_at_the_start);
    tcase_add_test(tcase, shadow_writes_nothing_and_a_reload_makes_it_live);
    tcase_add_loop_test(tcase, an_error_heals, 0, (int)(sizeof healing / sizeof *healing));
    tcase_add_loop_test(tcase, an_error_is_told_and_not_repeated, 0,
                        (int)(sizeof lasting / sizeof *lasting));
    tcase_add_test(tcase, a_missing_key_is_told_and_asks_nothing);
    tcase_add_test(tcase, killed_between_intent_and_answer_it_is_settled_by_a_reading);
    tcase_add_test(tcase, redis_away_stops_writing_and_back_it_goes_on);
    tcase_add_loop_test(tcase, a_pause_holds_and_a_resume_lets_go, 0, 2);
    tcase_add_test(tcase, hostile_entries_are_counted_and_harmless);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
