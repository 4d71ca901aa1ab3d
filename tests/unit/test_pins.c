#include "estimator/pins.h"

#include <check.h>
#include <stdlib.h>

static struct config_controller controllers[3] = {
    {.name = "dynos", .id = 1, .max_resource = 20},
    {.name = "workers", .id = 2, .max_resource = 5},
    {.name = "dynos", .id = 3, .max_resource = 20},
};
static struct config_app apps[2] = {
    {.name = "shop", .partition = 0, .controllers = controllers, .controllers_count = 2},
    {.name = "blog", .partition = 1, .controllers = &controllers[2], .controllers_count = 1},
};
static const struct config config = {.apps = apps, .apps_count = 2};
static struct pins pins;
static struct tick tick;

static void setup(void)
{
    pins.count = 0;
}

static dyn_err command(enum command_verb verb, const char *app, const char *controller,
                       int32_t rung, int64_t until_ms)
{
    struct command given = {.verb = verb,
                            .app = dyn_str_from(app),
                            .controller = dyn_str_from(controller),
                            .rung = rung,
                            .until_ms = until_ms};
    return pins_command(&pins, &config, 0, &given);
}

START_TEST(a_pin_stands_in_its_partitions_tick_until_its_time)
{
    ck_assert_int_eq(command(COMMAND_PIN, "shop", "dynos", 7, 5000), DYN_OK);
    pins_fill(&pins, 0, 4999, &tick);
    ck_assert_uint_eq(tick.pins_count, 1);
    ck_assert_uint_eq(tick.pins[0].controller, 1);
    ck_assert_int_eq(tick.pins[0].rung, 7);
    pins_fill(&pins, 1, 4999, &tick);
    ck_assert_uint_eq(tick.pins_count, 0);
    pins_fill(&pins, 0, 5000, &tick);
    ck_assert_uint_eq(tick.pins_count, 0);
    ck_assert_uint_eq(pins.count, 0);
}
END_TEST

START_TEST(a_number_for_an_app_is_not_meant_for_its_plans)
{
    controllers[1].plans = plan_table_find("rediscloud");
    ck_assert_int_eq(command(COMMAND_PIN, "shop", "", 3, INT64_MAX), DYN_OK);
    pins_fill(&pins, 0, 1, &tick);
    ck_assert_uint_eq(tick.pins_count, 1);
    ck_assert_uint_eq(tick.pins[0].controller, 1);
    ck_assert_int_eq(command(COMMAND_PIN, "shop", "workers", 4, INT64_MAX), DYN_OK);
    pins_fill(&pins, 0, 1, &tick);
    ck_assert_uint_eq(tick.pins_count, 2);
    ck_assert_int_eq(command(COMMAND_UNPIN, "shop", "", 0, 0), DYN_OK);
    pins_fill(&pins, 0, 1, &tick);
    ck_assert_uint_eq(tick.pins_count, 0);
    controllers[1].plans = NULL;
}
END_TEST

START_TEST(a_newer_pin_replaces_and_an_unpin_removes)
{
    ck_assert_int_eq(command(COMMAND_PIN, "shop", "", 3, INT64_MAX), DYN_OK);
    ck_assert_int_eq(command(COMMAND_PIN, "shop", "dynos", 9, INT64_MAX), DYN_OK);
    pins_fill(&pins, 0, 1, &tick);
    ck_assert_uint_eq(tick.pins_count, 2);
    ck_assert_int_eq(command(COMMAND_UNPIN, "shop", "", 0, 0), DYN_OK);
    pins_fill(&pins, 0, 1, &tick);
    ck_assert_uint_eq(tick.pins_count, 0);
}
END_TEST

START_TEST(what_cannot_be_pinned_is_refused)
{
    ck_assert_int_eq(command(COMMAND_PIN, "nope", "", 3, INT64_MAX), DYN_NOTFOUND);
    ck_assert_int_eq(command(COMMAND_PIN, "shop", "workers", 6, INT64_MAX), DYN_RANGE);
    ck_assert_int_eq(command(COMMAND_PIN, "shop", "dynos", 0, INT64_MAX), DYN_RANGE);
    ck_assert_int_eq(command(COMMAND_PIN, "shop", "workers", 4, INT64_MAX), DYN_OK);
    ck_assert_int_eq(command(COMMAND_PIN, "shop", "workers", 6, INT64_MAX), DYN_RANGE);
    ck_assert_uint_eq(pins.count, 1); /* a refused pin leaves the one that is in force */
    ck_assert_int_eq(command(COMMAND_UNPIN, "shop", "workers", 0, 0), DYN_OK);
    ck_assert_int_eq(command(COMMAND_PAUSE, "shop", "", 0, INT64_MAX), DYN_OK);
    ck_assert_uint_eq(pins.count, 0);
}
END_TEST

/* A tick has room for so many; one more would push another out of it, unsaid. */
START_TEST(a_partition_has_so_many_pins_and_no_more)
{
    static struct config_controller many[DYN_PINS_MAX + 1];
    static struct config_app crowd[2] = {
        {.name = "crowd", .controllers = many, .controllers_count = DYN_PINS_MAX},
        {.name = "last", .controllers = &many[DYN_PINS_MAX], .controllers_count = 1}};
    const struct config crowded = {.apps = crowd, .apps_count = 2};
    for (size_t i = 0; i <= DYN_PINS_MAX; i++) {
        many[i] = (struct config_controller){.name = "dynos", .id = i + 1, .max_resource = 20};
    }
    struct command pin = {
        .verb = COMMAND_PIN, .app = DYN_STR("crowd"), .rung = 3, .until_ms = INT64_MAX};
    ck_assert_int_eq(pins_command(&pins, &crowded, 0, &pin), DYN_OK);
    pin.app = DYN_STR("last");
    ck_assert_int_eq(pins_command(&pins, &crowded, 0, &pin), DYN_TOOBIG);
    pins.items[7].pin.until_ms = 999;
    ck_assert_int_eq(pins_command(&pins, &crowded, 998, &pin), DYN_TOOBIG);
    ck_assert_int_eq(pins_command(&pins, &crowded, 999, &pin), DYN_OK);
    pin.verb = COMMAND_UNPIN;
    ck_assert_int_eq(pins_command(&pins, &crowded, 0, &pin), DYN_OK);
    pin.verb = COMMAND_PIN;
    crowd[1].partition = 1;
    ck_assert_int_eq(pins_command(&pins, &crowded, 0, &pin), DYN_OK);
    pin.app = DYN_STR("crowd");
    pin.rung = 4;
    ck_assert_int_eq(pins_command(&pins, &crowded, 0, &pin), DYN_OK);
    pins_fill(&pins, 0, 1, &tick);
    ck_assert_uint_eq(tick.pins_count, DYN_PINS_MAX);
    pins_fill(&pins, 1, 1, &tick);
    ck_assert_uint_eq(tick.pins_count, 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pins");
    TCase *tests = tcase_create("pins");
    tcase_add_checked_fixture(tests, setup, NULL);
    tcase_add_test(tests, a_pin_stands_in_its_partitions_tick_until_its_time);
    tcase_add_test(tests, a_number_for_an_app_is_not_meant_for_its_plans);
    tcase_add_test(tests, a_newer_pin_replaces_and_an_unpin_removes);
    tcase_add_test(tests, a_partition_has_so_many_pins_and_no_more);
    tcase_add_test(tests, what_cannot_be_pinned_is_refused);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
