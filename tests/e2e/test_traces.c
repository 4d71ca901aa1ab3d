/* Recorded loads of real sites, many times faster than life, all in one fleet. */
#include "support_judge.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* `skip` seconds of each trace are of no use here; a time of the trace passes `speed` times as
 * fast. What a dyno serves is chosen so that 5 to 40 of them run. */
static const struct {
    const char *app, *file;
    int speed, per_resource;
} traces[] = {
    {"cup", "worldcup98_requests_per_minute.csv", 21600, 120},
    {"elb", "nab_elb_request_count_8c0756.csv", 600, 10},
    {"aapl", "nab_twitter_volume_AAPL.csv", 300, 8},
    {"amzn", "nab_twitter_volume_AMZN.csv", 600, 4},
    {"crm", "nab_twitter_volume_CRM.csv", 900, 1},
    {"goog", "nab_twitter_volume_GOOG.csv", 300, 3},
};
#define TRACES (sizeof traces / sizeof traces[0])
#define SECONDS 30

static struct fleet *fleet;
static char folder[512];

static void world_write(struct dyn_buf *out)
{
    (void)dyn_buf_addf(out, "%s 'apps': [", FLEET_ACCOUNTS);
    for (size_t i = 0; i < TRACES; i++) {
        (void)dyn_buf_addf(out,
                           "%s{'name': '%s', 'owner': '%s@example.com', 'formation': {'web': 2}}",
                           i > 0 ? "," : "", traces[i].app, i % 2 == 0 ? "a" : "b");
    }
    (void)dyn_buf_addf(out, "]}");
}

static void apps_write(struct dyn_buf *out)
{
    (void)dyn_buf_addf(out, "accounts:\n"
                            "  a: {heroku_api_key: \"${FLEET_KEY_A}\"}\n"
                            "  b: {heroku_api_key: \"${FLEET_KEY_B}\"}\n"
                            "defaults: {interval: 0.5, hysteresis_period: 5, max_gap: 3, "
                            "scale_down_cooldown: 1, max_step_down: 100, min_resource: 1}\n"
                            "apps:\n");
    for (size_t i = 0; i < TRACES; i++) {
        (void)dyn_buf_addf(
            out,
            "  %s:\n"
            "    account: %s\n"
            "    controller_plugins:\n"
            "      - name: dynos\n"
            "        type: dynos\n"
            "        input_plugins:\n"
            "          - {name: load, type: csv, file: %s/%s, time_column: 1, value_column: 2, "
            "speed: %d, per_resource: %d}\n",
            traces[i].app, i % 2 == 0 ? "a" : "b", folder, traces[i].file, traces[i].speed,
            traces[i].per_resource);
    }
}

START_TEST(six_recorded_loads_are_followed_and_never_undercut)
{
    struct dyn_buf text;
    dyn_buf_init(&text, 16384);
    world_write(&text);
    fleet = fleet_new(&(struct fleet_options){.world = dyn_buf_text(&text), .partitions = 3});
    dyn_buf_clear(&text);
    apps_write(&text);
    fleet_configure(fleet, "%s", dyn_buf_text(&text));
    dyn_buf_fini(&text);
    fleet_start_all(fleet);
    fleet_pass(fleet, SECONDS * 1000);
    printf("traces: %zu published targets equal when folded again\n", judge_replay(fleet));
    printf("traces: %zu targets that may lower, none below its window\n", judge_targets(fleet));
    size_t falls = 0;
    for (size_t i = 0; i < TRACES; i++) {
        struct judge_run run = judge_changes(fleet, traces[i].app, 2);
        struct judge_samples samples =
            judge_samples(fleet, judge_app(fleet, traces[i].app),
                          &judge_app(fleet, traces[i].app)->controllers[0].inputs[0]);
        printf("traces: %s: %zu samples, %zu rises, %zu falls, a rise took at most %lld ms\n",
               traces[i].app, samples.count, run.rises, run.falls, (long long)run.late_ms);
        ck_assert_uint_gt(samples.count, SECONDS);
        ck_assert_uint_gt(run.rises, 0);
        ck_assert_int_le(run.late_ms, 8000);
        falls += run.falls;
        free(samples.samples);
    }
    ck_assert_uint_gt(falls, 5);
    fleet_free(fleet);
}
END_TEST

int main(void)
{
    const char *source = getenv("DYN_SOURCE");
    (void)snprintf(folder, sizeof folder, "%s/../shared/traces", source != NULL ? source : ".");
    if (access(folder, R_OK) != 0) {
        printf("skipped: no recorded traces in %s\n", folder);
        return EXIT_SUCCESS;
    }
    Suite *suite = suite_create("traces");
    TCase *tests = tcase_create("traces");
    tcase_set_timeout(tests, 200);
    tcase_add_test(tests, six_recorded_loads_are_followed_and_never_undercut);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
