/*
 * What all four programs serve on /metrics, judged by Prometheus' own `promtool check metrics`: the
 * format, names, units, help. Skipped, and told, where promtool is not there (Debian's package
 * prometheus).
 */
#include "support_fleet.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SKIPPED 77 /* tests/CMakeLists.txt knows it */

/* With a vendor that is away, so that what counts failures does. */
#define CONFIG                                                                                \
    "accounts: {a: {heroku_api_key: \"${FLEET_KEY_A}\"}}\n"                                   \
    "apps:\n"                                                                                 \
    "  shop:\n"                                                                               \
    "    scaler: {interval: 1}\n"                                                             \
    "    controller_plugins:\n"                                                               \
    "      - name: dynos\n"                                                                   \
    "        type: dynos\n"                                                                   \
    "        min_resource: 1\n"                                                               \
    "        max_resource: 50\n"                                                              \
    "        input_plugins:\n"                                                                \
    "          - {name: wave, type: sine, period: 20, interval: 0.5, max_gap: 3}\n"           \
    "          - {name: load, type: sine, period: 20, interval: 0.5, max_gap: 3, "            \
    "target: 100000}\n"                                                                       \
    "          - {name: away, type: prometheus, url: \"http://127.0.0.1:1\", query: up, "     \
    "interval: 0.5, max_gap: 3, per_resource: 1, on_outage: ignore}\n"                        \
    "          - {name: queue, type: redis, url: \"redis://127.0.0.1:1\", key: a\\\"b\\\\c, " \
    "interval: 0.5, max_gap: 3, per_resource: 1, on_outage: ignore}\n"                        \
    "stats_plugins: [{type: console}]\n"                                                      \
    "error_handlers: [{type: console}, {type: webhook, url: \"http://127.0.0.1:1/x\"}]\n"

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

/* Nothing is printed by promtool when nothing is wrong. */
static void judged_by_promtool(enum fleet_part part)
{
    struct support_file *file = support_file_new("metrics");
    ck_assert_int_eq(program_http(fleet_program(fleet, part), "/metrics"), 200);
    const char *body = program_body(fleet_program(fleet, part));
    support_file_write(file, "%s", body);
    ck_assert_ptr_nonnull(strstr(body, "# TYPE dynosaur_"));
    const char *const argv[] = {"/bin/sh", "-c", "exec promtool check metrics <\"$0\"",
                                support_file_path(file), NULL};
    struct program *promtool = program_start(argv);
    int status = program_end(promtool);
    const char *words = program_output(promtool);
    ck_assert_msg(status == 0 && words[0] == '\0', "%s: promtool ends with %d: %s\n%s",
                  fleet_part_name(part), status, words, body);
    program_free(promtool);
    support_file_free(file);
}

START_TEST(all_metrics_of_all_programs_are_as_prometheus_wants_them)
{
    fleet_start_all(fleet);
    fleet_await_quantity(fleet, "shop", 10, 30);
    for (enum fleet_part part = 0; part < FLEET_PARTS; part++) {
        judged_by_promtool(part);
    }
}
END_TEST

static bool promtool_is_there(void)
{
    const char *path = getenv("PATH");
    while (path != NULL && *path != '\0') {
        char name[1024];
        size_t len = strcspn(path, ":");
        (void)snprintf(name, sizeof name, "%.*s/promtool", (int)len, path);
        if (access(name, X_OK) == 0) {
            return true;
        }
        path += len + (path[len] == ':');
    }
    return false;
}

int main(void)
{
    if (!promtool_is_there()) {
        printf("skipped: promtool is not there to judge /metrics: deploy/install-packages test\n");
        return SKIPPED;
    }
    Suite *suite = suite_create("metrics");
    TCase *tests = tcase_create("metrics");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, all_metrics_of_all_programs_are_as_prometheus_wants_them);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
