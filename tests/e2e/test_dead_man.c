/* The dead man's switch with the real engine: it is told to live while all its programs do,
 * whatever the metrics say, and not when one of them is gone. */
#include "support_fleet.h"

#include <check.h>

/* The input's file is not there: an outage of the metrics is no matter of the engine's. */
#define CONFIG                                                                        \
    "accounts: {a: {heroku_api_key: \"${FLEET_KEY_A}\"}}\n"                           \
    "success_handlers: [{type: healthcheck, url: \"http://127.0.0.1:1/my-check\"}]\n" \
    "apps:\n"                                                                         \
    "  shop:\n"                                                                       \
    "    controller_plugins:\n"                                                       \
    "      - name: web\n"                                                             \
    "        type: dynos\n"                                                           \
    "        input_plugins:\n"                                                        \
    "          - {name: none, type: file, file: /nonexistent/number, interval: 1, "   \
    "per_resource: 10}\n"

static struct fleet *fleet;

static void setup(void)
{
    fleet = fleet_new(&(struct fleet_options){.world = FLEET_SHOP, .partitions = 2});
    fleet_configure(fleet, "%s", CONFIG);
}

static void teardown(void)
{
    fleet_free(fleet);
}

START_TEST(it_is_told_to_live_while_all_its_programs_do)
{
    fleet_start_all(fleet);
    fleet_await_printed(fleet, FLEET_REPORTER, "event=engine_lives partitions=2", 1);
    fleet_await_printed(fleet, FLEET_REPORTER, "success:healthcheck did not take a ping", 1);
    fleet_kill(fleet, FLEET_ACTUATOR);
    fleet_await_printed(fleet, FLEET_REPORTER,
                        "event=engine_silent msg=\"no actuator was seen to beat for 30 s\"", 1);
    fleet_start(fleet, FLEET_ACTUATOR);
    fleet_await_printed(fleet, FLEET_REPORTER, "event=engine_lives", 2);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("dead_man");
    TCase *tests = tcase_create("dead_man");
    tcase_set_timeout(tests, 280);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, it_is_told_to_live_while_all_its_programs_do);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
