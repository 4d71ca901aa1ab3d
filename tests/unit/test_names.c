/* The names of statistics, and of the plans that their numbers are. */
#include "reporter/names.h"

#include <check.h>
#include <math.h>

static struct config_input inputs[2] = {{.name = "memory", .series = 7},
                                        {.name = "users", .series = 8}};
static struct config_controller controllers[2] = {
    {.name = "redis", .id = 1, .inputs = &inputs[0], .inputs_count = 1},
    {.name = "web", .id = 2, .inputs = &inputs[1], .inputs_count = 1},
};
static struct config_app app = {.name = "shop", .controllers = controllers, .controllers_count = 2};
static const struct config config = {.apps = &app, .apps_count = 1};
static struct names *names;
static struct names_stats stats;

static void setup(void)
{
    controllers[0].plans = plan_table_find("rediscloud");
    names = names_new(&config);
    ck_assert_ptr_nonnull(names);
    names_stats_init(&stats);
}

static void teardown(void)
{
    names_stats_fini(&stats);
    names_free(names);
}

static struct report report_of(uint64_t controller, uint64_t series, int32_t estimate)
{
    struct report report = {
        .controller = controller, .log_ms = 1000, .estimate = estimate, .inputs_count = 1};
    report.inputs[0] =
        (struct report_input){.series = series, .value = 95, .max = (double)NAN, .estimate = 11};
    return report;
}

static void is(size_t at, const char *name, double value, const char *plan)
{
    ck_assert_uint_lt(at, stats.count);
    ck_assert_str_eq(stats.stats[at].name, name);
    ck_assert_double_eq(stats.stats[at].value, value);
    ck_assert_pstr_eq(stats.stats[at].plan, plan);
}

START_TEST(numbers_of_plans_have_their_names_and_others_have_none)
{
    struct actual actual = {.controller = 1, .wall_ms = 1000, .running = 3};
    struct report redis = report_of(1, 7, 4);
    struct report web = report_of(2, 8, 5);
    ck_assert(names_actual(names, &actual));
    ck_assert(names_add(names, &redis, SIZE_MAX, &stats));
    ck_assert(names_add(names, &web, SIZE_MAX, &stats));
    ck_assert_int_eq(names_finish(&stats), DYN_OK);
    is(0, "dynosaur.shop.redis.memory.value", 95, NULL);
    is(1, "dynosaur.shop.redis.memory.estimate", 11, "more than rediscloud:50000");
    is(2, "dynosaur.shop.redis.combined.estimate", 4, "rediscloud:500");
    is(3, "dynosaur.shop.redis.combined.actual", 3, "rediscloud:250");
    is(4, "dynosaur.shop.web.users.value", 95, NULL);
    is(5, "dynosaur.shop.web.users.estimate", 11, NULL);
    is(6, "dynosaur.shop.web.combined.estimate", 5, NULL);
    ck_assert_uint_eq(stats.count, 7);
}
END_TEST

START_TEST(what_is_not_known_is_left_out)
{
    struct actual actual = {.controller = 1, .wall_ms = 1000, .running = -1};
    struct report redis = report_of(1, 99, -1);
    ck_assert(names_actual(names, &actual));
    ck_assert(names_add(names, &redis, SIZE_MAX, &stats));
    ck_assert_int_eq(names_finish(&stats), DYN_OK);
    ck_assert_uint_eq(stats.count, 0);
    ck_assert_ptr_null(names_controller(names, 3));
    ck_assert_ptr_eq(names_controller(names, 2), &controllers[1]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("names");
    TCase *all = tcase_create("all");
    tcase_add_checked_fixture(all, setup, teardown);
    tcase_add_test(all, numbers_of_plans_have_their_names_and_others_have_none);
    tcase_add_test(all, what_is_not_known_is_left_out);
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
