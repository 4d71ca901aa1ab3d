/* The main job: a wave of users, followed at once on the way up and trailed on the way down. */
#include "support_judge.h"

#include <check.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#define CONFIG                                                                           \
    "accounts: {a: {heroku_api_key: \"${FLEET_KEY_A}\"}}\n"                              \
    "apps:\n"                                                                            \
    "  shop:\n"                                                                          \
    "    scaler: {interval: 1}\n"                                                        \
    "    controller_plugins:\n"                                                          \
    "      - name: dynos\n"                                                              \
    "        type: dynos\n"                                                              \
    "        min_resource: 1\n"                                                          \
    "        max_resource: 50\n"                                                         \
    "        scale_down_cooldown: 1\n"                                                   \
    "        max_step_down: 100\n"                                                       \
    "        input_plugins:\n"                                                           \
    "          - {name: wave, type: sine, period: 20, interval: 0.5, per_resource: 10, " \
    "hysteresis_period: 6, max_gap: 3}\n"                                                \
    "stats_plugins: [{type: console}]\n"

static struct fleet *fleet;

static void setup(void)
{
    fleet = fleet_new(&(struct fleet_options){.world = FLEET_SHOP, .partitions = 1});
    fleet_configure(fleet, "%s", CONFIG);
}

static void teardown(void)
{
    fleet_free(fleet);
}

/* The last number that the reporter printed under this name. */
static double stat(const char *name)
{
    char line[128];
    const char *output = program_output(fleet_program(fleet, FLEET_REPORTER));
    const char *last = NULL;
    (void)snprintf(line, sizeof line, "\n%s ", name);
    for (const char *at = strstr(output, line); at != NULL; at = strstr(at + 1, line)) {
        last = at + strlen(line);
    }
    if (last == NULL) {
        fleet_fail(fleet, "the reporter never printed %s", name);
    }
    return last != NULL ? strtod(last, NULL) : NAN;
}

static void statistics_are_right(void)
{
    double value = stat("dynosaur.shop.dynos.wave.value");
    double max = stat("dynosaur.shop.dynos.wave.max");
    ck_assert_double_ge(value, 0);
    ck_assert_double_le(max, 100);
    ck_assert_double_le(value, max);
    ck_assert_double_eq(stat("dynosaur.shop.dynos.wave.estimate"), ceil(max / 10));
    ck_assert_double_eq(stat("dynosaur.shop.dynos.combined.estimate"),
                        ceil(max / 10) > 1 ? ceil(max / 10) : 1);
    double actual = stat("dynosaur.shop.dynos.combined.actual");
    ck_assert_double_ge(actual, 1);
    ck_assert_double_le(actual, 10);
}

START_TEST(a_wave_is_followed_at_once_and_trailed_by_the_window)
{
    fleet_start_all(fleet);
    fleet_await_quantity(fleet, "shop", 10, 30);
    fleet_pass(fleet, 20000);
    statistics_are_right();
    size_t compared = judge_replay(fleet);
    size_t may_lower = judge_targets(fleet);
    struct judge_run run = judge_changes(fleet, "shop", 2);
    printf("wave: %zu targets equal, %zu of them may lower; %zu rises, %zu falls, a rise took at "
           "most %lld ms\n",
           compared, may_lower, run.rises, run.falls, (long long)run.late_ms);
    ck_assert_uint_gt(compared, 20);
    ck_assert_uint_gt(run.rises, 3);
    ck_assert_uint_gt(run.falls, 2);
    ck_assert_int_le(run.late_ms, 5000);
}
END_TEST

START_TEST(a_wrong_file_and_a_sighup_change_nothing)
{
    fleet_start_all(fleet);
    fleet_spoil(fleet, "version: 2\nappps: {}\n");
    for (enum fleet_part part = 0; part < FLEET_PARTS; part++) {
        program_signal(fleet_program(fleet, part), SIGHUP);
        fleet_await_printed(fleet, part, "event=config_refused", 1);
        ck_assert_int_gt(fleet_printed(fleet, part, "did you mean"), 0);
    }
    fleet_await_quantity(fleet, "shop", 10, 30);
    for (enum fleet_part part = 0; part < FLEET_PARTS; part++) {
        ck_assert_int_eq(program_http(fleet_program(fleet, part), "/readyz"), 200);
    }
    fleet_configure(fleet, "%s", CONFIG);
    for (enum fleet_part part = 0; part < FLEET_PARTS; part++) {
        program_signal(fleet_program(fleet, part), SIGHUP);
        fleet_await_printed(fleet, part, "event=config_reloaded", 1);
        fleet_await_ready(fleet, part);
    }
}
END_TEST

static void setup_away(void)
{
    fleet = fleet_new(
        &(struct fleet_options){.world = FLEET_SHOP, .partitions = 1, .redis_away = true});
    fleet_configure(fleet, "%s", CONFIG);
}

START_TEST(all_four_wait_for_redis_say_so_once_and_then_work)
{
    for (enum fleet_part part = 0; part < FLEET_PARTS; part++) {
        fleet_start(fleet, part);
    }
    for (enum fleet_part part = 0; part < FLEET_PARTS; part++) {
        fleet_await_printed(fleet, part, "event=redis_away", 1);
        ck_assert_int_eq(program_http(fleet_program(fleet, part), "/readyz"), 503);
        ck_assert_int_eq(program_http(fleet_program(fleet, part), "/healthz"), 200);
    }
    fleet_pass(fleet, 3000);
    fleet_redis_begin(fleet);
    for (enum fleet_part part = 0; part < FLEET_PARTS; part++) {
        fleet_await_ready(fleet, part);
        ck_assert_int_eq(fleet_printed(fleet, part, "event=redis_away"), 1);
    }
    fleet_await_quantity(fleet, "shop", 10, 40);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("wave");
    TCase *tests = tcase_create("wave");
    TCase *away = tcase_create("away");
    tcase_set_timeout(tests, 150);
    tcase_set_timeout(away, 150);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_checked_fixture(away, setup_away, teardown);
    tcase_add_test(tests, a_wave_is_followed_at_once_and_trailed_by_the_window);
    tcase_add_test(tests, a_wrong_file_and_a_sighup_change_nothing);
    tcase_add_test(away, all_four_wait_for_redis_say_so_once_and_then_work);
    suite_add_tcase(suite, tests);
    suite_add_tcase(suite, away);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
