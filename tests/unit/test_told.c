/* Actions in words: numbers of dynos, names of plans. */
#include "reporter/sinks/told.h"

#include <check.h>

static struct dyn_buf line;
static struct config_controller controller;
static struct action action;

static void setup(void)
{
    dyn_buf_init(&line, 1024);
    controller = (struct config_controller){.name = "redis"};
    action = (struct action){.app = DYN_STR("shop"),
                             .process_type = DYN_STR("rediscloud"),
                             .from = 2,
                             .to = 3,
                             .target = 5,
                             .outcome = ACTION_REFUSED,
                             .words = DYN_STR("no")};
}

static void teardown(void)
{
    dyn_buf_fini(&line);
}

static const char *told(const struct config_controller *of)
{
    dyn_buf_clear(&line);
    told_headline(&(struct sink_delivery){.action = &action, .controller = of}, &line);
    return dyn_buf_text(&line);
}

START_TEST(dynos_are_told_as_numbers)
{
    ck_assert_str_eq(told(&controller), "shop rediscloud: 2 -> 3 (on the way to 5), refused: no");
}
END_TEST

START_TEST(plans_are_told_by_their_names)
{
    controller.plans = plan_table_find("rediscloud");
    ck_assert_str_eq(told(&controller), "shop rediscloud: rediscloud:100 -> rediscloud:250 (on the "
                                        "way to rediscloud:1000), refused: no");
    action.outcome = ACTION_DONE;
    action.words = DYN_STR("");
    action.to = action.target;
    ck_assert_str_eq(told(&controller), "shop rediscloud: rediscloud:100 -> rediscloud:1000");
}
END_TEST

START_TEST(what_the_configuration_has_no_more_is_told_as_numbers)
{
    ck_assert_str_eq(told(NULL), "shop rediscloud: 2 -> 3 (on the way to 5), refused: no");
}
END_TEST

START_TEST(a_rung_beyond_the_table_is_more_than_its_last)
{
    char text[CONFIG_RUNG_TEXT];
    struct sink_delivery delivery = {.action = &action, .controller = &controller};
    controller.plans = plan_table_find("papertrail");
    ck_assert_str_eq(told_rung(&delivery, 12, text), "more than papertrail:grundtal");
    ck_assert_str_eq(told_rung(&delivery, 11, text), "papertrail:grundtal");
    ck_assert_str_eq(told_rung(&delivery, -1, text), "-1");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("told");
    TCase *all = tcase_create("all");
    tcase_add_checked_fixture(all, setup, teardown);
    tcase_add_test(all, dynos_are_told_as_numbers);
    tcase_add_test(all, plans_are_told_by_their_names);
    tcase_add_test(all, what_the_configuration_has_no_more_is_told_as_numbers);
    tcase_add_test(all, a_rung_beyond_the_table_is_more_than_its_last);
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
