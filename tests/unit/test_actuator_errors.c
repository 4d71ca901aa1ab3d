/* The actuator's core: what follows from answers that are not what was asked for. */
#include "tests/unit/support_actuator.h"

#include <check.h>

START_TEST(an_unanswered_write_that_was_done_is_no_human)
{
    model_lead(&m);
    m.applied_anyway = true;
    model_fail_next(&m, ACT_WRITE, ACT_UNCERTAIN, 0, 1);
    (void)model_want(&m, 0, 9, false);
    model_pass(&m, 10000);
    ck_assert_int_eq(m.writes, 1);
    ck_assert_int_eq(m.quantity[0], 9);
    ck_assert_int_eq(m.last_outcome, ACTION_DONE);
    ck_assert_ptr_null(strstr(m.events, "human_change"));
}
END_TEST

START_TEST(an_unanswered_write_that_was_not_done_is_tried_again)
{
    model_lead(&m);
    model_fail_next(&m, ACT_WRITE, ACT_UNCERTAIN, 503, 3);
    (void)model_want(&m, 0, 9, false);
    ck_assert_int_eq(model_guard(&m, 0), GUARD_JOURNAL);
    model_pass(&m, 60000);
    ck_assert_int_eq(m.writes, 4);
    ck_assert_int_eq(m.quantity[0], 9);
    ck_assert_ptr_null(strstr(m.events, "human_change"));
}
END_TEST

START_TEST(an_unanswered_write_that_shows_late_is_no_human)
{
    model_lead(&m);
    (void)model_want(&m, 0, 5, false);
    model_fail_next(&m, ACT_WRITE, ACT_UNCERTAIN, 0, 1);
    model_fail_next(&m, ACT_READ_FORMATION, ACT_OK, 200, 0);
    m.hold_answers = false;
    (void)model_want(&m, 0, 9, false);
    model_pass(&m, 3000);
    m.quantity[0] = 9;
    model_pass(&m, 120000);
    ck_assert_ptr_null(strstr(m.events, "human_change"));
}
END_TEST

START_TEST(an_unanswered_write_that_shows_behind_a_later_one_is_no_human)
{
    model_lead(&m);
    (void)model_want(&m, 0, 5, false);
    model_fail_next(&m, ACT_WRITE, ACT_UNCERTAIN, 0, 1);
    (void)model_want(&m, 0, 9, false);
    (void)model_want(&m, 0, 12, false);
    model_pass(&m, 10000);
    ck_assert_int_eq(m.quantity[0], 12);
    m.quantity[0] = 9;
    model_pass(&m, 65000);
    ck_assert_ptr_null(strstr(m.events, "human_change"));
    ck_assert_int_eq(m.quantity[0], 12);
}
END_TEST

START_TEST(an_unanswered_write_that_was_done_counts_among_the_changes)
{
    m.controllers[0].max_changes_per_hour = 1;
    model_lead(&m);
    m.applied_anyway = true;
    model_fail_next(&m, ACT_WRITE, ACT_UNCERTAIN, 0, 1);
    (void)model_want(&m, 0, 9, false);
    model_pass(&m, 10000);
    ck_assert_int_eq(m.quantity[0], 9);
    (void)model_want(&m, 0, 12, false);
    model_pass(&m, 10000);
    ck_assert_int_eq(model_guard(&m, 0), GUARD_CHANGES);
    ck_assert_int_eq(m.writes, 1);
}
END_TEST

START_TEST(a_429_waits_as_told_and_loses_nothing)
{
    model_lead(&m);
    model_fail_next(&m, ACT_WRITE, ACT_RATE_LIMITED, 429, 1);
    m.fault[model_kind(&m, ACT_WRITE)].retry_after_ms = 20000;
    (void)model_want(&m, 0, 9, false);
    ck_assert_int_eq(m.last_outcome, ACTION_REFUSED);
    model_pass(&m, 19000);
    ck_assert_int_eq(model_guard(&m, 0), GUARD_BUDGET);
    ck_assert_ptr_nonnull(strstr(m.events, "+heroku_rate_limit"));
    model_pass(&m, 8000);
    ck_assert_int_eq(m.quantity[0], 9);
    ck_assert_ptr_nonnull(strstr(m.events, "-heroku_rate_limit"));
}
END_TEST

START_TEST(a_401_stops_the_account_when_get_account_fails_too)
{
    model_lead(&m);
    model_fail_next(&m, ACT_WRITE, ACT_ACCOUNT_BAD, 401, 1);
    model_fail_next(&m, ACT_READ_ACCOUNT, ACT_ACCOUNT_BAD, 401, 1);
    (void)model_want(&m, 0, 9, false);
    model_pass(&m, 590000);
    ck_assert_int_eq(model_guard(&m, 0), GUARD_ACCOUNT);
    ck_assert_int_eq(m.quantity[0], 4);
    ck_assert_ptr_nonnull(strstr(m.events, "+heroku_account"));
    ck_assert(!act_account_usable(m.core, 0));
    model_pass(&m, 20000);
    ck_assert_int_eq(m.quantity[0], 9);
    ck_assert_ptr_nonnull(strstr(m.events, "-heroku_account"));
}
END_TEST

START_TEST(a_401_with_a_good_key_blocks_the_app)
{
    model_lead(&m);
    model_fail_next(&m, ACT_WRITE, ACT_ACCOUNT_BAD, 403, 1);
    (void)model_want(&m, 0, 9, false);
    model_pass(&m, 2000);
    ck_assert_int_eq(model_guard(&m, 0), GUARD_CONTROLLER);
    model_pass(&m, 590000);
    ck_assert_int_eq(m.quantity[0], 4);
    model_pass(&m, 20000);
    ck_assert_int_eq(m.quantity[0], 9);
}
END_TEST

START_TEST(a_403_or_404_blocks_the_controller_for_ten_minutes)
{
    model_lead(&m);
    model_fail_next(&m, ACT_WRITE, ACT_FORBIDDEN, 404, 1);
    (void)model_want(&m, 0, 9, false);
    model_pass(&m, 590000);
    ck_assert_int_eq(model_guard(&m, 0), GUARD_CONTROLLER);
    ck_assert_int_eq(m.writes, 1);
    ck_assert_ptr_nonnull(strstr(m.events, "+heroku_controller"));
    model_pass(&m, 20000);
    ck_assert_int_eq(m.quantity[0], 9);
}
END_TEST

START_TEST(an_app_that_cannot_be_read_is_blocked_for_ten_minutes)
{
    model_fail_next(&m, ACT_READ_FORMATION, ACT_FORBIDDEN, 404, 1);
    model_lead(&m);
    (void)model_want(&m, 0, 9, false);
    model_pass(&m, 590000);
    ck_assert_int_eq(model_guard(&m, 0), GUARD_CONTROLLER);
    model_pass(&m, 20000);
    ck_assert_int_eq(m.quantity[0], 9);
}
END_TEST

START_TEST(a_process_type_that_is_gone_is_told_until_it_is_back)
{
    model_lead(&m);
    (void)model_want(&m, 0, 6, false);
    m.quantity[0] = -1;
    model_pass(&m, 61000);
    ck_assert_int_eq(model_guard(&m, 0), GUARD_CONTROLLER);
    m.quantity[0] = 6;
    model_pass(&m, 61000);
    ck_assert_int_eq(model_guard(&m, 0), GUARD_NONE);
    ck_assert_ptr_nonnull(strstr(m.events, "-heroku_controller"));
}
END_TEST

START_TEST(a_limit_is_applied_less_the_other_process_types)
{
    m.others = 3;
    model_lead(&m);
    model_fail_next(&m, ACT_WRITE, ACT_LIMIT, 422, 1);
    m.fault[model_kind(&m, ACT_WRITE)].limit = 10;
    (void)model_want(&m, 0, 20, false);
    ck_assert_int_eq(m.quantity[0], 7);
    ck_assert_int_eq(model_guard(&m, 0), GUARD_LIMIT);
    model_pass(&m, 600000);
    ck_assert_int_eq(m.writes, 2);
    ck_assert_ptr_nonnull(strstr(m.events, "+heroku_limit"));
    ck_assert_ptr_nonnull(strstr(m.events, "+unmet"));
}
END_TEST

START_TEST(a_limit_below_what_runs_lowers_nothing)
{
    m.others = 3;
    model_lead(&m);
    model_fail_next(&m, ACT_WRITE, ACT_LIMIT, 422, 1);
    m.fault[model_kind(&m, ACT_WRITE)].limit = 2;
    (void)model_want(&m, 0, 20, false);
    model_pass(&m, 10000);
    ck_assert_int_eq(m.quantity[0], 4);
    ck_assert_int_eq(model_guard(&m, 0), GUARD_LIMIT);
}
END_TEST

START_TEST(another_refusal_is_remembered_until_the_target_changes)
{
    model_lead(&m);
    model_fail_next(&m, ACT_WRITE, ACT_REFUSED, 422, 1);
    (void)model_want(&m, 0, 9, false);
    model_pass(&m, 600000);
    ck_assert_int_eq(m.writes, 1);
    ck_assert_int_eq(model_guard(&m, 0), GUARD_REFUSED);
    (void)model_want(&m, 0, 8, false);
    ck_assert_int_eq(m.quantity[0], 8);
    ck_assert_ptr_nonnull(strstr(m.events, "-heroku_refused"));
}
END_TEST

START_TEST(a_refusal_is_tried_again_in_an_hour)
{
    model_lead(&m);
    model_fail_next(&m, ACT_WRITE, _i == 0 ? ACT_REFUSED : ACT_LIMIT, 422, 1);
    m.fault[ACT_WRITE].limit = _i == 0 ? -1 : 100; /* it does not explain the refusal */
    (void)model_want(&m, 0, 9, false);
    ck_assert_int_eq(model_guard(&m, 0), GUARD_REFUSED);
    model_pass(&m, ACT_LIMIT_MS - 1000);
    ck_assert_int_eq(m.writes, 1);
    model_pass(&m, 2000);
    ck_assert_int_eq(m.quantity[0], 9);
}
END_TEST

START_TEST(a_conflict_reads_again_and_tries_once_more)
{
    model_lead(&m);
    model_fail_next(&m, ACT_WRITE, ACT_CONFLICT, 409, 1);
    int before = m.reads;
    (void)model_want(&m, 0, 9, false);
    ck_assert_int_eq(m.quantity[0], 9);
    ck_assert_int_eq(m.reads, before + 1);
    model_fail_next(&m, ACT_WRITE, ACT_CONFLICT, 409, 2);
    (void)model_want(&m, 0, 12, false);
    ck_assert_int_eq(model_guard(&m, 0), GUARD_RETRY);
    model_pass(&m, 10000);
    ck_assert_int_eq(m.quantity[0], 12);
}
END_TEST

START_TEST(failed_readings_are_retried_with_growing_waits)
{
    model_fail_next(&m, ACT_READ_FORMATION, ACT_UNCERTAIN, 503, 1000);
    model_lead(&m);
    (void)model_want(&m, 0, 9, false);
    model_pass(&m, 600000);
    ck_assert_int_ge(1000 - m.faults[model_kind(&m, ACT_READ_FORMATION)], 10);
    ck_assert_int_le(1000 - m.faults[model_kind(&m, ACT_READ_FORMATION)], 60);
    ck_assert_ptr_nonnull(strstr(m.events, "+unmet"));
    m.faults[model_kind(&m, ACT_READ_FORMATION)] = 0;
    model_pass(&m, 61000);
    ck_assert_int_eq(m.quantity[0], 9);
    ck_assert_ptr_nonnull(strstr(m.events, "-unmet"));
}
END_TEST

START_TEST(a_missing_key_disables_the_account_loudly)
{
    act_key(m.core, 0, false, "HEROKU_API_KEY is not set", m.now);
    model_lead(&m);
    (void)model_want(&m, 0, 9, false);
    ck_assert_int_eq(model_guard(&m, 0), GUARD_DISABLED);
    ck_assert_int_eq(m.sent_count, 0);
    ck_assert_ptr_nonnull(strstr(m.events, "+heroku_key_missing"));
    act_key(m.core, 0, true, NULL, m.now);
    model_pass(&m, 2000);
    ck_assert_int_eq(m.quantity[0], 9);
}
END_TEST

START_TEST(at_the_maximum_for_five_minutes_is_told_and_told_over)
{
    model_lead(&m);
    (void)model_want(&m, 0, 50, false);
    model_pass(&m, 290000);
    ck_assert_ptr_null(strstr(m.events, "at_maximum"));
    model_pass(&m, 20000);
    ck_assert_ptr_nonnull(strstr(m.events, "+at_maximum"));
    (void)model_want(&m, 0, 49, true);
    ck_assert_ptr_nonnull(strstr(m.events, "-at_maximum"));
}
END_TEST

START_TEST(a_limit_is_shared_with_the_apps_other_controllers)
{
    model_teardown();
    model_init(&m, 1, 1);
    model_controller(&m.controllers[1], 101);
    m.controllers[1].name = m.controllers[1].process_type = "worker";
    m.apps[0].controllers_count = 2;
    model_teardown();
    model_start(&m);
    m.others = 10;
    model_lead(&m);
    model_fail_next(&m, ACT_WRITE, ACT_LIMIT, 422, 1);
    m.fault[model_kind(&m, ACT_WRITE)].limit = 20;
    (void)model_want(&m, 0, 15, false);
    model_pass(&m, 1000);
    ck_assert_int_eq(m.quantity[0], 10);
    ck_assert_int_eq(model_guard(&m, 0), GUARD_LIMIT);
    /* Not believed for ever. */
    model_pass(&m, ACT_LIMIT_MS);
    ck_assert_int_eq(m.quantity[0], 15);
}
END_TEST

START_TEST(a_write_without_an_answer_explains_nothing_for_ever)
{
    model_lead(&m);
    model_fail_next(&m, ACT_WRITE, ACT_UNCERTAIN, 0, 1);
    (void)model_want(&m, 0, 9, false);
    (void)model_want(&m, 0, 12, false);
    model_pass(&m, 100000);
    ck_assert_int_eq(m.quantity[0], 12);
    m.quantity[0] = 9;
    model_pass(&m, 61000);
    ck_assert_int_eq(model_guard(&m, 0), GUARD_MANUAL_HOLD);
}
END_TEST

START_TEST(a_refusal_ends_with_its_target)
{
    model_lead(&m);
    model_fail_next(&m, ACT_WRITE, ACT_REFUSED, 422, 1);
    (void)model_want(&m, 0, 9, false);
    model_pass(&m, 10000);
    ck_assert_int_eq(model_guard(&m, 0), GUARD_REFUSED);
    (void)model_want(&m, 0, 4, false);
    (void)model_want(&m, 0, 9, false);
    model_pass(&m, 1000);
    ck_assert_int_eq(m.quantity[0], 9);
}
END_TEST

START_TEST(a_change_taken_otherwise_than_asked_for_is_not_hammered)
{
    model_lead(&m);
    model_fail_next(&m, ACT_WRITE, ACT_OK, 200, 5);
    m.fault[model_kind(&m, ACT_WRITE)].quantity = 4;
    (void)model_want(&m, 0, 9, false);
    model_pass(&m, 59000);
    ck_assert_int_eq(m.writes, 1);
    model_pass(&m, 2000);
    ck_assert_int_eq(m.writes, 2);
}
END_TEST

/* Whatever is scaled. */
static void add_all(TCase *tcase)
{
    tcase_add_test(tcase, an_unanswered_write_that_was_done_is_no_human);
    tcase_add_test(tcase, an_unanswered_write_that_was_not_done_is_tried_again);
    tcase_add_test(tcase, an_unanswered_write_that_shows_late_is_no_human);
    tcase_add_test(tcase, an_unanswered_write_that_shows_behind_a_later_one_is_no_human);
    tcase_add_test(tcase, an_unanswered_write_that_was_done_counts_among_the_changes);
    tcase_add_test(tcase, a_429_waits_as_told_and_loses_nothing);
    tcase_add_test(tcase, a_401_stops_the_account_when_get_account_fails_too);
    tcase_add_test(tcase, a_401_with_a_good_key_blocks_the_app);
    tcase_add_test(tcase, a_403_or_404_blocks_the_controller_for_ten_minutes);
    tcase_add_test(tcase, an_app_that_cannot_be_read_is_blocked_for_ten_minutes);
    tcase_add_test(tcase, a_process_type_that_is_gone_is_told_until_it_is_back);
    tcase_add_test(tcase, a_conflict_reads_again_and_tries_once_more);
    tcase_add_test(tcase, failed_readings_are_retried_with_growing_waits);
    tcase_add_test(tcase, a_missing_key_disables_the_account_loudly);
    tcase_add_test(tcase, at_the_maximum_for_five_minutes_is_told_and_told_over);
    tcase_add_test(tcase, a_write_without_an_answer_explains_nothing_for_ever);
    tcase_add_test(tcase, a_refusal_ends_with_its_target);
}

static void add_dynos(TCase *tcase)
{
    tcase_add_test(tcase, a_limit_is_applied_less_the_other_process_types);
    tcase_add_test(tcase, a_limit_below_what_runs_lowers_nothing);
    tcase_add_loop_test(tcase, a_refusal_is_tried_again_in_an_hour, 0, 2);
    tcase_add_test(tcase, another_refusal_is_remembered_until_the_target_changes);
    tcase_add_test(tcase, a_limit_is_shared_with_the_apps_other_controllers);
    tcase_add_test(tcase, a_change_taken_otherwise_than_asked_for_is_not_hammered);
}

int main(void)
{
    Suite *suite = suite_create("actuator_errors");
    TCase *dynos = model_tcase_dynos(suite);
    TCase *of_plans = model_tcase_plans(suite);
    add_all(dynos);
    add_dynos(dynos);
    add_all(of_plans);
    return model_run(suite);
}
