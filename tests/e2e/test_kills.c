/* kill -9 of everything, one after the other, while the load falls. */
#include "support_judge.h"
#include "support_source.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#define WORLD                                                                                      \
    FLEET_ACCOUNTS " 'apps': [{'name': 'saw', 'owner': 'a@example.com', 'formation': {'web': 2}}," \
                   "{'name': 'broken', 'owner': 'a@example.com', 'formation': {'web': 2}}]}"

#define CONFIG                                                                                     \
    "accounts: {a: {heroku_api_key: \"${FLEET_KEY_A}\"}}\n"                                        \
    "defaults: {interval: 0.5, hysteresis_period: 4, max_gap: 3, scale_down_cooldown: 1, "         \
    "max_step_down: 100, min_resource: 1}\n"                                                       \
    "apps:\n"                                                                                      \
    "  saw:\n"                                                                                     \
    "    controller_plugins:\n"                                                                    \
    "      - name: dynos\n"                                                                        \
    "        type: dynos\n"                                                                        \
    "        input_plugins: [{name: load, type: csv, file: %s, value_column: load, row_interval: " \
    "0.5, "                                                                                        \
    "per_resource: 10}]\n"                                                                         \
    "  broken:\n"                                                                                  \
    "    controller_plugins:\n"                                                                    \
    "      - name: dynos\n"                                                                        \
    "        type: dynos\n"                                                                        \
    "        input_plugins: [{name: load, type: http_json, url: \"http://127.0.0.1:%d/0\", "       \
    "pointer: /value, timeout: 1, per_resource: 100}]\n"

static struct fleet *fleet;
static struct support_file *saw;

/* 24 s from 400 down to 20, and again. */
static void saw_write(void)
{
    struct dyn_buf text;
    dyn_buf_init(&text, 4096);
    (void)dyn_buf_addf(&text, "load\n");
    for (int i = 0; i < 48; i++) {
        (void)dyn_buf_addf(&text, "%d\n", 400 - i * 8);
    }
    saw = support_file_new("saw.csv");
    support_file_write(saw, "%s", dyn_buf_text(&text));
    dyn_buf_fini(&text);
}

static void setup(void)
{
    saw_write();
    int port = source_server_start();
    source_say(0, SOURCE_GOOD, 800);
    fleet = fleet_new(&(struct fleet_options){.world = WORLD, .partitions = 2});
    fleet_configure(fleet, CONFIG, support_file_path(saw), port);
}

static void teardown(void)
{
    fleet_free(fleet);
    support_file_free(saw);
}

/* Wait for the next fall; how long it took. */
static int64_t await_fall(const char *after)
{
    int64_t since_ms = fleet_now_ms();
    while (fleet_now_ms() < since_ms + 60000) {
        struct fleet_changes changes = fleet_changes(fleet, "saw", 2);
        int before = changes.first;
        bool fell = false;
        for (size_t i = 0; i < changes.count; i++) {
            fell = fell ||
                   (changes.changes[i].quantity < before && changes.changes[i].at_ms > since_ms);
            before = changes.changes[i].quantity;
        }
        free(changes.changes);
        if (fell) {
            printf("kills: after %s the next fall came within %lld ms\n", after,
                   (long long)(fleet_now_ms() - since_ms));
            return fleet_now_ms() - since_ms;
        }
        fleet_pass(fleet, 200);
    }
    fleet_fail(fleet, "nothing falls any more after %s", after);
}

static void kill_and_restart(enum fleet_part part, const char *name)
{
    fleet_kill(fleet, part);
    fleet_start(fleet, part);
    fleet_await_ready(fleet, part);
    (void)await_fall(name);
}

/* Whether the fault that was set has met its request. */
static bool fault_is_used_up(void)
{
    json_t *answer = heroku_control(fleet_heroku(fleet), "GET", "/faults", NULL);
    ck_assert_uint_eq(json_array_size(answer), 1);
    bool used = json_integer_value(json_object_get(json_array_get(answer, 0), "hits")) > 0;
    json_decref(answer);
    return used;
}

/* The successor finds the intent in the journal, waits until the request behind it must have ended,
 * reads what came of it and goes on. */
static void actuator_dies_while_heroku_works(void)
{
    json_decref(heroku_control(
        fleet_heroku(fleet), "POST", "/faults",
        "{'match': {'app': 'saw', 'method': 'PATCH'}, 'do': {'stall_after_apply_ms': 3000}}"));
    for (int i = 0; i < 600 && !fault_is_used_up(); i++) {
        fleet_pass(fleet, 50);
    }
    ck_assert(fault_is_used_up());
    kill_and_restart(FLEET_ACTUATOR, "the actuator's death amid a change");
}

/* Every change was told by the reporter's console, and not many of them twice. */
static void actions_are_told(void)
{
    struct fleet_changes changes = fleet_changes(fleet, "saw", 2);
    struct fleet_changes others = fleet_changes(fleet, "broken", 2);
    size_t made = changes.count + others.count;
    int said = fleet_printed(fleet, FLEET_REPORTER, "event=action outcome=done");
    printf("kills: %zu changes at Heroku, %d told\n", made, said);
    ck_assert_int_ge(said + 1, (int)made);
    ck_assert_int_le(said, (int)made + 3);
    free(changes.changes);
    free(others.changes);
}

START_TEST(whatever_is_killed_comes_back_and_nothing_falls_that_may_not)
{
    fleet_start_all(fleet);
    fleet_await_quantity(fleet, "broken", 8, 30);
    source_say(0, SOURCE_NOTHING, 0);
    (void)await_fall("the start");
    fleet_await_printed(fleet, FLEET_REPORTER, "event=input_stale state=raised app=broken", 1);
    kill_and_restart(FLEET_ESTIMATOR, "the estimator's death");
    kill_and_restart(FLEET_REPORTER, "the reporter's death");
    kill_and_restart(FLEET_COLLECTOR, "the collector's death");
    support_redis_kill(fleet_redis(fleet));
    fleet_pass(fleet, 1000);
    support_redis_start(fleet_redis(fleet));
    for (enum fleet_part part = 0; part < FLEET_PARTS; part++) {
        fleet_await_ready(fleet, part);
    }
    (void)await_fall("Redis' death");
    kill_and_restart(FLEET_ACTUATOR, "the actuator's death");
    actuator_dies_while_heroku_works();
    fleet_pass(fleet, 2000);
    ck_assert_int_eq(fleet_quantity(fleet, "broken"), 8);
    ck_assert_int_eq(
        fleet_printed(fleet, FLEET_REPORTER, "event=input_stale state=raised app=broken"), 1);
    actions_are_told();
    printf("kills: %zu targets equal when folded again, ", judge_replay(fleet));
    printf("%zu of them may lower\n", judge_targets(fleet));
    struct judge_run run = judge_changes(fleet, "saw", 2);
    printf("kills: %zu rises, %zu falls\n", run.rises, run.falls);
    ck_assert_uint_gt(run.falls, 5);
}
END_TEST

START_TEST(a_second_estimator_and_actuator_take_over_and_the_first_ones_come_back)
{
    fleet_start_all(fleet);
    fleet_await_quantity(fleet, "broken", 8, 30);
    fleet_start(fleet, FLEET_ESTIMATOR);
    fleet_start(fleet, FLEET_ACTUATOR);
    fleet_await_ready(fleet, FLEET_ESTIMATOR);
    fleet_await_ready(fleet, FLEET_ACTUATOR);
    fleet_await_printed(fleet, FLEET_ESTIMATOR, "event=lease_given_up", 1); /* of two partitions */
    (void)await_fall("a second of each");
    fleet_kill(fleet, FLEET_ESTIMATOR);
    fleet_kill(fleet, FLEET_ACTUATOR);
    fleet_await_printed(fleet, FLEET_ESTIMATOR, "event=leading", 4); /* both, one, and it again */
    (void)await_fall("the death of the second ones");
    printf("kills: %zu targets equal when folded again, ", judge_replay(fleet));
    printf("%zu of them may lower\n", judge_targets(fleet));
    (void)judge_changes(fleet, "saw", 2);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("kills");
    TCase *tests = tcase_create("kills");
    tcase_set_timeout(tests, 250);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, whatever_is_killed_comes_back_and_nothing_falls_that_may_not);
    tcase_add_test(tests, a_second_estimator_and_actuator_take_over_and_the_first_ones_come_back);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
