#include "common/plans.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>

/* The original's own examples, threshold 90. */
static const struct {
    const char *addon;
    enum plan_measure measure;
    double value;
    const char *plan;
} worked[] = {
    {"rediscloud", PLAN_SIZE, 70, "rediscloud:100"},
    {"rediscloud", PLAN_SIZE, 89, "rediscloud:100"},
    {"rediscloud", PLAN_SIZE, 95, "rediscloud:250"},
    {"rediscloud", PLAN_SIZE, 120, "rediscloud:250"},
    {"rediscloud", PLAN_SIZE, 200, "rediscloud:250"},
    {"rediscloud", PLAN_CONNECTIONS, 30, "rediscloud:100"},
    {"rediscloud", PLAN_CONNECTIONS, 240, "rediscloud:500"},
    {"rediscloud", PLAN_CONNECTIONS, 400, "rediscloud:500"},
    {"rediscloud", PLAN_CONNECTIONS, 1000, "rediscloud:2500"},
    {"rediscloud", PLAN_CONNECTIONS, 10000, "rediscloud:2500"},
    {"papertrail", PLAN_SIZE, 51380224, "papertrail:ludvig"},
    {"papertrail", PLAN_SIZE, 93323264, "papertrail:ludvig"},
    {"papertrail", PLAN_SIZE, 157286400, "papertrail:forsta"},
};

static const struct plan_table *table_of(const char *addon)
{
    const struct plan_table *table = plan_table_find(addon);
    ck_assert_ptr_nonnull(table);
    return table;
}

START_TEST(a_figure_needs_the_plan_that_the_original_chose)
{
    const struct plan_table *table = table_of(worked[_i].addon);
    bool above = true;
    int32_t rung = plan_rung_for(table, worked[_i].measure, 90, worked[_i].value, &above);
    ck_assert_str_eq(table->plans[rung - 1].name, worked[_i].plan);
    ck_assert_int_eq(plan_rung(table, worked[_i].plan), rung);
    ck_assert(!above);
}
END_TEST

START_TEST(a_plan_must_hold_strictly_more)
{
    const struct plan_table *table = table_of("rediscloud");
    ck_assert_int_eq(plan_rung_for(table, PLAN_SIZE, 90, 22.5, NULL), 2);
    ck_assert_int_eq(plan_rung_for(table, PLAN_SIZE, 90, 22.4, NULL), 1);
    ck_assert_int_eq(plan_rung_for(table, PLAN_SIZE, 100, 25, NULL), 2);
    ck_assert_int_eq(plan_rung_for(table, PLAN_SIZE, 90, 0, NULL), 1);
}
END_TEST

START_TEST(above_all_is_the_largest_and_is_said)
{
    const struct plan_table *table = table_of("papertrail");
    bool above = false;
    ck_assert_int_eq(plan_rung_for(table, PLAN_SIZE, 90, 1e15, &above), 11);
    ck_assert(above);
    ck_assert_int_eq(plan_rung_for(table, PLAN_SIZE, 90, 18.0 * 1024 * 1024 * 1024 - 1, &above),
                     10);
    ck_assert(!above);
}
END_TEST

START_TEST(of_plans_of_one_size_the_lower_is_taken)
{
    const struct plan_table *table = table_of("papertrail");
    int32_t rung = plan_rung_for(table, PLAN_SIZE, 90, 6e9, NULL);
    ck_assert_str_eq(table->plans[rung - 1].name, "papertrail:numerar");
}
END_TEST

START_TEST(sizes_rise_with_the_rungs_and_names_are_found)
{
    static const char *const addons[] = {"papertrail", "rediscloud"};
    for (size_t a = 0; a < 2; a++) {
        const struct plan_table *table = table_of(addons[a]);
        for (int32_t i = 0; i < table->count; i++) {
            ck_assert_int_eq(plan_rung(table, table->plans[i].name), i + 1);
            for (int m = 0; i > 0 && m < PLAN_MEASURES; m++) {
                ck_assert(table->plans[i].holds[m] >= table->plans[i - 1].holds[m]);
            }
        }
        ck_assert_int_eq(plan_rung(table, "rediscloud:7"), 0);
    }
    ck_assert_ptr_null(plan_table_find("postgres"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("plans");
    TCase *all = tcase_create("all");
    tcase_add_loop_test(all, a_figure_needs_the_plan_that_the_original_chose, 0,
                        (int)(sizeof worked / sizeof worked[0]));
    tcase_add_test(all, a_plan_must_hold_strictly_more);
    tcase_add_test(all, above_all_is_the_largest_and_is_said);
    tcase_add_test(all, of_plans_of_one_size_the_lower_is_taken);
    tcase_add_test(all, sizes_rise_with_the_rungs_and_names_are_found);
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
