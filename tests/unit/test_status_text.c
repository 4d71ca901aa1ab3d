#include "deploy/cli/status_text.h"

#include <check.h>
#include <math.h>

/* 2026-01-02T03:07:17Z */
#define NOW_MS INT64_C(1767323237000)
#define S INT64_C(1000)

static const struct config_type dynos = {.kind = CONFIG_CONTROLLER, .name = "dynos"};
static struct config_input inputs[1];
static struct config_controller controllers[2];
static struct config_app apps[2];
static struct config_account accounts[1];
static struct config config;
static struct target targets[2];
static struct actual actuals[2];
static struct fleet_controller stands[2];
static struct fleet_account fleet_accounts[1];
static struct fleet fleet;
static struct dyn_buf out;

static void begin(void)
{
    inputs[0] = (struct config_input){.name = "users", .hysteresis_period_ms = 300 * S};
    accounts[0] = (struct config_account){.name = "main"};
    memset(&fleet, 0, sizeof fleet);
    for (size_t i = 0; i < 2; i++) {
        controllers[i] = (struct config_controller){.name = "web",
                                                    .type = &dynos,
                                                    .max_resource = 100,
                                                    .mode = CONFIG_MODE_LIVE,
                                                    .inputs = inputs,
                                                    .inputs_count = 1};
        apps[i] = (struct config_app){.name = i == 0 ? "shop" : "blog",
                                      .partition = (uint32_t)i,
                                      .controllers = &controllers[i],
                                      .controllers_count = 1};
        memset(&targets[i], 0, sizeof targets[i]);
        targets[i].rung = 10;
        targets[i].log_ms = NOW_MS;
        targets[i].inputs_count = 1;
        targets[i].inputs[0] = (struct input_story){.name = DYN_STR("users"),
                                                    .value = 42,
                                                    .value_at = NOW_MS - 12 * S,
                                                    .max = 930,
                                                    .estimate = 10,
                                                    .health = INPUT_OK};
        actuals[i] = (struct actual){.wall_ms = NOW_MS, .running = 10, .target = 10};
        stands[i] = (struct fleet_controller){.app = &apps[i],
                                              .config = &controllers[i],
                                              .target = &targets[i],
                                              .actual = &actuals[i]};
        fleet.partitions[i] =
            (struct fleet_partition){.used = true, .leader = "est-1", .folded_ms = NOW_MS - 2 * S};
    }
    config = (struct config){
        .redis.partitions = 8, .accounts = accounts, .accounts_count = 1, .apps = apps};
    fleet_accounts[0] = (struct fleet_account){.config = accounts, .leader = "act-2"};
    fleet.config = &config;
    fleet.now_ms = NOW_MS;
    fleet.controllers = stands;
    fleet.controllers_count = 2;
    fleet.accounts = fleet_accounts;
    dyn_buf_init(&out, 65536);
}

static void end(void)
{
    dyn_buf_fini(&out);
}

static const char *stated(bool all)
{
    dyn_buf_clear(&out);
    status_text(&out, &fleet, all);
    return dyn_buf_text(&out);
}

START_TEST(a_healthy_fleet_takes_one_line)
{
    ck_assert_str_eq(stated(false), "all well: 2 of 2 controllers at target, 2 of 2 inputs ok, 2 "
                                    "of 2 partitions folded\n");
    ck_assert_str_eq(stated(true), "all well: 2 of 2 controllers at target, 2 of 2 inputs ok, 2 "
                                   "of 2 partitions folded\n"
                                   "partition 0: led by est-1\n"
                                   "partition 1: led by est-1\n"
                                   "account main: led by act-2\n"
                                   "shop/web: 10 of 10 dynos\n"
                                   "blog/web: 10 of 10 dynos\n");
}
END_TEST

START_TEST(trouble_comes_first_and_names_what_holds)
{
    fleet.partitions[1].leader[0] = '\0';
    fleet.partitions[1].folded_ms = NOW_MS - 45 * S;
    fleet_accounts[0].leader[0] = '\0';
    actuals[0].running = 8;
    actuals[0].guard = GUARD_DOWN_COOLDOWN;
    actuals[0].until_ms = NOW_MS + 50 * S;
    targets[1].raise_only = true;
    targets[1].inputs[0].health = INPUT_STALE;
    targets[1].inputs[0].cover = COVER_STALE;
    targets[1].inputs[0].reason = DYN_STR("HTTP 500 from stats.example.com");
    ck_assert_str_eq(
        stated(false),
        "partition 1: no estimator leads it; last folded at 03:06:32 UTC (45 s ago): nothing of it "
        "is scaled down\n"
        "account main: no actuator leads it: nothing of it is scaled\n"
        "shop/web: 8 of 10 dynos, down_cooldown until 03:08:07 UTC (in 50 s)\n"
        "blog/web input users: stale, no value for 12 s (HTTP 500 from stats.example.com): nothing "
        "is scaled down until values are back for 5 min\n"
        "1 of 2 controllers at target, 1 of 2 inputs ok, 1 of 2 partitions folded\n");
}
END_TEST

START_TEST(what_nobody_has_told_is_trouble)
{
    stands[0].target = NULL;
    stands[0].actual = NULL;
    fleet.partitions[0] = (struct fleet_partition){.used = true};
    controllers[1].mode = CONFIG_MODE_OFF;
    ck_assert_str_eq(stated(false),
                     "partition 0: no estimator leads it; never folded: nothing of it is scaled "
                     "down\n"
                     "shop/web: ? dynos, no target; the actuator has told nothing\n"
                     "0 of 1 controller at target, 1 of 2 inputs ok, 1 of 2 partitions folded, 1 "
                     "with mode: off\n");
}
END_TEST

START_TEST(the_view_has_a_line_for_each_controller_and_input)
{
    controllers[1].inputs_count = 0;
    targets[1].inputs_count = 0;
    targets[0].inputs[0].value = NAN;
    dyn_buf_clear(&out);
    status_view(&out, &fleet, 0);
    ck_assert_str_eq(dyn_buf_text(&out),
                     "shop/web                 10 of 10 dynos\n"
                     "  users                  value        -  max      930  asks  10  ok\n"
                     "blog/web                 10 of 10 dynos\n");
    dyn_buf_clear(&out);
    status_view(&out, &fleet, 12);
    ck_assert_str_eq(dyn_buf_text(&out), "shop/web    \n  users     \nblog/web    \n");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("status_text");
    TCase *tcase = tcase_create("status_text");
    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_test(tcase, a_healthy_fleet_takes_one_line);
    tcase_add_test(tcase, trouble_comes_first_and_names_what_holds);
    tcase_add_test(tcase, what_nobody_has_told_is_trouble);
    tcase_add_test(tcase, the_view_has_a_line_for_each_controller_and_input);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
