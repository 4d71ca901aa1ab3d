/* The actuator's core: what follows from who led an account before. */
#include "tests/unit/support_actuator.h"

#include <check.h>
#include <stdlib.h>

static struct model m;

static void setup(void)
{
    model_init(&m, 1, 1);
}

static void teardown(void)
{
    act_core_free(m.core);
}

/* The account is ours under epoch 9, with one intent in its journal. */
static void lead_with(const struct act_former *former, const struct intent *intent)
{
    act_lead(m.core, 0, 9, former, m.now);
    act_journal_entry(m.core, 0, intent, m.now);
    act_journal_loaded(m.core, 0, m.now);
    model_settle(&m);
}

/* An intent that epoch 7 left open. */
static const struct intent left_open = {.controller = 100,
                                        .from = 4,
                                        .to = 9,
                                        .epoch = 7,
                                        .confirmed = 4,
                                        .open = true,
                                        .manual_floor = -1};

START_TEST(only_what_the_last_epoch_left_open_is_settled_at_once)
{
    struct act_former former = {.settle_ms = 6000, .clean = _i == 0 ? 7 : 8};
    lead_with(&former, &left_open);
    model_pass(&m, 1000);
    ck_assert_int_eq(m.ends, _i == 0 ? 1 : 0);
    model_pass(&m, 6000);
    ck_assert_int_eq(m.ends, 1);
}
END_TEST

START_TEST(a_wait_outlasts_a_lease_that_is_lost_and_taken_again)
{
    struct act_former former = {.settle_ms = 23000};
    lead_with(&former, &left_open);
    model_pass(&m, 3000);
    act_unlead(m.core, 0, m.now); /* the connection breaks once more */
    former = (struct act_former){.settle_ms = 1000, .clean = 8};
    lead_with(&former, &left_open);
    model_pass(&m, 19000);
    ck_assert_int_eq(m.ends, 0);
    model_pass(&m, 2000);
    ck_assert_int_eq(m.ends, 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("actuator_takeover");
    TCase *tcase = tcase_create("takeover");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, only_what_the_last_epoch_left_open_is_settled_at_once, 0, 2);
    tcase_add_test(tcase, a_wait_outlasts_a_lease_that_is_lost_and_taken_again);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
