/* What people decide: modes that change less, and hands that scale by themselves. */
#include "support_judge.h"
#include "support_source.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#define APP(name) "{'name': '" name "', 'owner': 'a@example.com', 'formation': {'web': 4}}"
#define WORLD \
    FLEET_ACCOUNTS " 'apps': [" APP("dry") "," APP("rises") "," APP("floor") "," APP("hold") "]}"

#define CONTROLLER(name, more, source)                                                          \
    "  " name ":\n"                                                                             \
    "    controller_plugins:\n"                                                                 \
    "      - {name: dynos, type: dynos, min_resource: 1, max_resource: 50, " more               \
    "scale_down_cooldown: 1, max_step_down: 100,\n"                                             \
    "         input_plugins: [{name: load, type: http_json, url: \"http://127.0.0.1:%d/" source \
    "\", pointer: /value, interval: 0.5, timeout: 1, per_resource: 100, hysteresis_period: 4, " \
    "max_gap: 3}]}\n"

#define CONFIG                                                                      \
    "accounts: {a: {heroku_api_key: \"${FLEET_KEY_A}\"}}\n"                         \
    "apps:\n" CONTROLLER("dry", "mode: shadow, ", "0")                              \
        CONTROLLER("rises", "mode: raise_only, ", "1") CONTROLLER("floor", "", "2") \
            CONTROLLER("hold", "", "3")

static struct fleet *fleet;

static void setup(void)
{
    int port = source_server_start();
    for (unsigned i = 0; i < 4; i++) {
        source_say(i, SOURCE_GOOD, 800);
    }
    fleet = fleet_new(&(struct fleet_options){.world = WORLD, .partitions = 1});
    fleet_configure(fleet, CONFIG, port, port, port, port);
}

static void teardown(void)
{
    fleet_free(fleet);
}

static void scale_by_hand(const char *app, int quantity)
{
    char body[256];
    (void)snprintf(body, sizeof body, "{'apps': [{'name': '%s', 'formation': {'web': %d}}]}", app,
                   quantity);
    json_decref(heroku_control(fleet_heroku(fleet), "POST", "/state", body));
}

START_TEST(shadow_changes_nothing_raise_only_never_lowers_and_hands_are_respected)
{
    fleet_start_all(fleet);
    fleet_await_quantity(fleet, "rises", 8, 30);
    fleet_await_quantity(fleet, "floor", 8, 30);
    fleet_await_quantity(fleet, "hold", 8, 30);
    fleet_await_printed(fleet, FLEET_ACTUATOR, "outcome=shadow", 1);
    /* A change by hand is seen by the reading before the next change, unless the last reading is
     * younger than ten seconds. */
    fleet_pass(fleet, 11000);
    scale_by_hand("floor", 20);
    scale_by_hand("hold", 5);
    source_say(0, SOURCE_GOOD, 1500);
    source_say(1, SOURCE_GOOD, 300);
    source_say(2, SOURCE_GOOD, 300);
    source_say(3, SOURCE_GOOD, 1000);
    fleet_pass(fleet, 9000);
    ck_assert_int_eq(fleet_quantity(fleet, "rises"), 8);
    ck_assert_int_eq(fleet_quantity(fleet, "floor"), 20);
    ck_assert_int_eq(fleet_quantity(fleet, "hold"), 5);
    source_say(1, SOURCE_GOOD, 900);
    source_say(2, SOURCE_GOOD, 2500);
    fleet_await_quantity(fleet, "rises", 9, 10);
    fleet_await_quantity(fleet, "floor", 25, 10);
    source_say(2, SOURCE_GOOD, 100);
    fleet_await_quantity(fleet, "floor", 20, 20);
    fleet_pass(fleet, 3000);
    ck_assert_int_eq(fleet_quantity(fleet, "floor"), 20);
    ck_assert_int_eq(fleet_quantity(fleet, "hold"), 5);
    ck_assert_int_eq(fleet_quantity(fleet, "dry"), 4);
    struct fleet_changes changes = fleet_changes(fleet, "dry", 4);
    ck_assert_uint_eq(changes.count, 0);
    free(changes.changes);
    ck_assert_uint_gt(judge_replay(fleet), 20);
    ck_assert_uint_gt(judge_targets(fleet), 10);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("modes");
    TCase *tests = tcase_create("modes");
    tcase_set_timeout(tests, 200);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, shadow_changes_nothing_raise_only_never_lowers_and_hands_are_respected);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
