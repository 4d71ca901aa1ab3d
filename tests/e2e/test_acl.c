/* All programs as users of their own, each with what its role needs and nothing else: none of them
 * is refused a command. fleet_free() looks into Redis' ACL LOG, which has every refusal. */
#include "support_cli.h"
#include "support_fleet.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#define CONFIG                                                                           \
    "accounts: {a: {heroku_api_key: \"${FLEET_KEY_A}\"}}\n"                              \
    "apps:\n"                                                                            \
    "  shop:\n"                                                                          \
    "    scaler: {interval: 1}\n"                                                        \
    "    controller_plugins:\n"                                                          \
    "      - name: web\n"                                                                \
    "        type: dynos\n"                                                              \
    "        min_resource: 1\n"                                                          \
    "        max_resource: 50\n"                                                         \
    "        scale_down_cooldown: 1\n"                                                   \
    "        max_step_down: 100\n"                                                       \
    "        input_plugins:\n"                                                           \
    "          - {name: wave, type: sine, period: 20, interval: 0.5, per_resource: 10, " \
    "hysteresis_period: 6, max_gap: 3}\n"                                                \
    "          - {name: idle, type: sine, interval: 0.5, target: 1000000, settle: 1, "   \
    "hysteresis_period: 6, max_gap: 3}\n"                                                \
    "stats_plugins: [{type: console}]\n"                                                 \
    "success_handlers: [{type: healthcheck, url: \"http://127.0.0.1:1/none\"}]\n"

static struct acl_users *users;
static struct fleet *fleet;

static void setup(void)
{
    cli_setup();
    users = acl_users_new();
    fleet = fleet_new(&(struct fleet_options){
        .world = FLEET_SHOP, .partitions = 2, .redis_away = true, .users = users});
    fleet_configure(fleet, "%s", CONFIG);
}

static void teardown(void)
{
    fleet_free(fleet);
    acl_users_free(users);
    cli_teardown();
}

/* A command of `dynosaur` about this fleet, as this role. */
static void command(const char *role, const char *words)
{
    int status = cli_run("%s '%s' --redis '%s'", words, fleet_config(fleet)->file,
                         fleet_redis_url(fleet, role));
    if (status != 0) {
        fleet_fail(fleet, "%s: %s ended with %d: %s", role, words, status, cli_output());
    }
}

static void an_operator_works(void)
{
    command("operator", "status --all");
    command("operator", "status --json");
    command("operator", "explain shop");
    command("operator", "watch --for 1");
    command("operator", "pause shop");
    command("operator", "resume shop");
    command("operator", "pin shop/web 5 --for 1h");
    fleet_await_quantity(fleet, "shop", 5, 30);
    command("operator", "unpin shop/web");
    fleet_await_quantity(fleet, "shop", 10, 40);
    command("operator", "events");
    command("operator", "actions");
    command("operator", "record --app shop -o shop.rec");
    command("operator", "record --app shop --seconds 2 -o shop.rec");
}

START_TEST(the_four_programs_setup_and_an_operator_need_no_more_than_their_users_may)
{
    fleet_redis_begin(fleet);
    command("deployer", "setup");
    fleet_start_all(fleet);
    fleet_await_quantity(fleet, "shop", 10, 40);
    an_operator_works();
    fleet_await_printed(fleet, FLEET_REPORTER, "event=engine_lives", 1);
    for (enum fleet_part part = 0; part < FLEET_PARTS; part++) {
        fleet_kill(fleet, part);
        fleet_start(fleet, part);
    }
    for (enum fleet_part part = 0; part < FLEET_PARTS; part++) {
        fleet_await_ready(fleet, part);
    }
    fleet_pass(fleet, 5000);
    command("deployer", "setup");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("acl");
    TCase *tests = tcase_create("acl");
    tcase_set_timeout(tests, 200);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests,
                   the_four_programs_setup_and_an_operator_need_no_more_than_their_users_may);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
