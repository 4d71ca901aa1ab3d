/*
 * A `target` in a closed loop: a load that is shared by what runs, through all four programs. It is
 * reached, kept, and reached again, without swinging; and the tape folds to the same targets.
 */
#include "support_judge.h"
#include "support_source.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#define CONFIG                                                                                   \
    "accounts: {a: {heroku_api_key: \"${FLEET_KEY_A}\"}}\n"                                      \
    "apps:\n"                                                                                    \
    "  shop:\n"                                                                                  \
    "    scaler: {interval: 1}\n"                                                                \
    "    controller_plugins:\n"                                                                  \
    "      - name: dynos\n"                                                                      \
    "        type: dynos\n"                                                                      \
    "        min_resource: 1\n"                                                                  \
    "        max_resource: 50\n"                                                                 \
    "        scale_down_cooldown: 1\n"                                                           \
    "        max_step_down: 50\n"                                                                \
    "        input_plugins:\n"                                                                   \
    "          - {name: p95, type: http_json, url: \"http://127.0.0.1:%d/0\", pointer: /value, " \
    "interval: 0.5, target: 100, settle: 2, hysteresis_period: 5, max_gap: 3}\n"

static struct fleet *fleet;

static void setup(void)
{
    int port = source_server_start();
    fleet = fleet_new(&(struct fleet_options){.world = FLEET_SHOP, .partitions = 1});
    fleet_configure(fleet, CONFIG, port);
}

static void teardown(void)
{
    fleet_free(fleet);
}

/* The load lasts so long, and shows in the value a little after what runs has changed. */
static void load(double amount, int seconds)
{
    int shown = fleet_quantity(fleet, "shop");
    int next = shown;
    for (int i = 0; i < seconds * 2; i++) {
        source_say(0, SOURCE_GOOD, amount / shown);
        fleet_pass(fleet, 500);
        shown = next;
        next = fleet_quantity(fleet, "shop");
    }
}

static size_t changes_count(void)
{
    struct fleet_changes changes = fleet_changes(fleet, "shop", 2);
    free(changes.changes);
    return changes.count;
}

START_TEST(a_target_is_reached_and_kept_without_swinging)
{
    source_say(0, SOURCE_GOOD, 300);
    fleet_start_all(fleet);
    load(600, 12);
    ck_assert_int_eq(fleet_quantity(fleet, "shop"), 6);
    size_t up = changes_count();
    load(630, 10); /* within the tolerance */
    ck_assert_int_eq(fleet_quantity(fleet, "shop"), 6);
    ck_assert_uint_eq(changes_count(), up);
    load(300, 16);
    ck_assert_int_eq(fleet_quantity(fleet, "shop"), 3);
    size_t down = changes_count();
    load(300, 8);
    ck_assert_int_eq(fleet_quantity(fleet, "shop"), 3);
    ck_assert_uint_eq(changes_count(), down);
    size_t compared = judge_replay(fleet);
    printf("target: %zu changes up, %zu down, %zu targets equal\n", up, down - up, compared);
    ck_assert_uint_le(up, 2);
    ck_assert_uint_le(down - up, 2);
    ck_assert_uint_gt(compared, 5);
}
END_TEST

START_TEST(nothing_falls_while_nobody_says_what_runs)
{
    source_say(0, SOURCE_GOOD, 300);
    fleet_start_all(fleet);
    load(600, 12);
    ck_assert_int_eq(fleet_quantity(fleet, "shop"), 6);
    fleet_kill(fleet, FLEET_ACTUATOR);
    source_say(0, SOURCE_GOOD, 1);
    fleet_pass(fleet, 8000);
    ck_assert_int_eq(fleet_quantity(fleet, "shop"), 6);
    fleet_start(fleet, FLEET_ACTUATOR);
    fleet_await_quantity(fleet, "shop", 1, 40);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("target");
    TCase *tests = tcase_create("target");
    tcase_set_timeout(tests, 240);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_target_is_reached_and_kept_without_swinging);
    tcase_add_test(tests, nothing_falls_while_nobody_says_what_runs);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
