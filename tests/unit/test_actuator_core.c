/* The actuator's core: the plain case, and what the bus says. */
#include "tests/unit/support_actuator.h"

#include <check.h>

/* ---- the plain case ---- */

START_TEST(nothing_is_asked_before_the_lease_and_the_journal)
{
    model_pass(&m, 5000);
    ck_assert_int_eq(m.sent_count, 0);
    act_lead(m.core, 0, 7, NULL, m.now);
    model_pass(&m, 5000);
    ck_assert_int_eq(m.reads, 0);
    ck_assert_int_eq(model_guard(&m, 0), GUARD_JOURNAL);
    act_journal_loaded(m.core, 0, m.now);
    model_settle(&m);
    model_pass(&m, 1000);
    ck_assert_int_eq(m.reads, 1);
    ck_assert_int_eq(model_guard(&m, 0), GUARD_NO_TARGET);
}
END_TEST

START_TEST(a_rise_is_written_at_once_through_the_journal)
{
    model_lead(&m);
    ck_assert_int_eq(model_want(&m, 0, 9, true), DYN_OK);
    ck_assert_int_eq(m.quantity[0], 9);
    ck_assert_int_eq(m.begins, 1);
    ck_assert_int_eq(m.ends, 1);
    ck_assert_int_eq(m.last_outcome, ACTION_DONE);
    ck_assert_int_eq(m.journal[0].confirmed, 9);
    ck_assert_int_eq(model_guard(&m, 0), GUARD_NONE);
}
END_TEST

START_TEST(an_equal_quantity_is_never_written)
{
    model_lead(&m);
    (void)model_want(&m, 0, 4, false);
    model_pass(&m, 300000);
    ck_assert_int_eq(m.writes, 0);
    ck_assert_int_eq(model_guard(&m, 0), GUARD_NONE);
}
END_TEST

START_TEST(heroku_is_read_once_a_minute)
{
    model_lead(&m);
    int before = m.reads;
    model_pass(&m, 600000);
    ck_assert_int_ge(m.reads - before, 9);
    ck_assert_int_le(m.reads - before, 10);
}
END_TEST

START_TEST(a_change_rests_on_a_fresh_reading)
{
    model_lead(&m);
    model_pass(&m, 20000);
    int before = m.reads;
    (void)model_want(&m, 0, 6, false);
    ck_assert_int_eq(m.reads, before + 1);
    ck_assert_int_eq(m.quantity[0], 6);
}
END_TEST

START_TEST(a_fall_goes_by_a_quarter_and_waits_between)
{
    m.quantity[0] = 20;
    model_lead(&m);
    model_mark(&m);
    (void)model_want(&m, 0, 2, false);
    ck_assert_int_eq(m.quantity[0], 15);
    ck_assert_int_eq(model_guard(&m, 0), GUARD_STEP);
    model_pass(&m, 30000);
    model_mark(&m);
    model_pass(&m, 29000);
    ck_assert_int_eq(m.quantity[0], 15);
    model_pass(&m, 2000);
    ck_assert_int_eq(m.quantity[0], 12);
    for (int i = 0; i < 40; i++) {
        model_mark(&m);
        model_pass(&m, 20000);
    }
    ck_assert_int_eq(m.quantity[0], 2);
    ck_assert_int_eq(model_guard(&m, 0), GUARD_NONE);
}
END_TEST

START_TEST(a_fall_from_above_every_maximum_goes_by_steps_too)
{
    static const int32_t steps[] = {300, 225, 200};
    m.controllers[0].max_resource = DYN_QUANTITY_MAX;
    m.quantity[0] = 400;
    model_lead(&m);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        model_mark(&m);
        (void)model_want(&m, 0, 200, false);
        ck_assert_int_eq(m.quantity[0], steps[i]);
        model_pass(&m, 61000);
    }
    ck_assert_int_eq(m.writes, 3);
}
END_TEST

/* ---- what the bus says is checked ---- */

START_TEST(a_target_out_of_range_is_refused_and_told)
{
    model_lead(&m);
    ck_assert_int_eq(model_want(&m, 0, 51, false), DYN_REFUSED);
    ck_assert_int_eq(model_want(&m, 0, 0, false), DYN_REFUSED);
    ck_assert_int_eq(model_want(&m, 0, -3, false), DYN_REFUSED);
    ck_assert_int_eq(m.writes, 0);
    ck_assert_ptr_nonnull(strstr(m.events, "+target_refused"));
    (void)model_want(&m, 0, 5, false);
    ck_assert_ptr_nonnull(strstr(m.events, "-target_refused"));
}
END_TEST

START_TEST(an_epoch_that_is_over_is_ignored)
{
    model_lead(&m);
    struct mark newer = {.epoch = 5, .folded = {(uint64_t)m.now.wall_ms, 0}};
    act_mark(m.core, 0, &newer, m.now);
    ck_assert_int_eq(model_want(&m, 0, 9, false), DYN_REFUSED);
    ck_assert_int_eq(m.writes, 0);
}
END_TEST

START_TEST(a_target_of_another_partition_or_app_is_ignored)
{
    model_lead(&m);
    struct target target = {.controller = 100, .app = DYN_STR("alpha"), .rung = 9, .epoch = 1};
    ck_assert_int_eq(act_target(m.core, 1, &target, m.now), DYN_REFUSED);
    ck_assert_int_eq(act_target(m.core, 9999, &target, m.now), DYN_REFUSED);
    target.app = DYN_STR("beta");
    ck_assert_int_eq(act_target(m.core, 0, &target, m.now), DYN_REFUSED);
    target.controller = 5;
    ck_assert_int_eq(act_target(m.core, 0, &target, m.now), DYN_REFUSED);
}
END_TEST

START_TEST(a_raise_only_target_lets_nothing_fall)
{
    model_lead(&m);
    model_mark(&m);
    (void)model_want(&m, 0, 2, true);
    model_mark(&m);
    model_pass(&m, 25000);
    ck_assert_int_eq(m.writes, 0);
    ck_assert_int_eq(model_guard(&m, 0), GUARD_UNCOVERED);
}
END_TEST

START_TEST(an_old_mark_lets_nothing_fall_and_holds_no_rise)
{
    model_lead(&m);
    model_mark(&m);
    model_pass(&m, 31000);
    (void)model_want(&m, 0, 3, false);
    ck_assert_int_eq(model_guard(&m, 0), GUARD_OLD_MARK);
    /* A mark that is not newer is no sign of life. */
    struct mark again = {.epoch = 1, .folded = {1, 0}};
    act_mark(m.core, 0, &again, m.now);
    model_pass(&m, 1000);
    ck_assert_int_eq(m.writes, 0);
    (void)model_want(&m, 0, 8, false);
    ck_assert_int_eq(m.quantity[0], 8);
}
END_TEST

START_TEST(a_target_decided_before_the_one_held_is_ignored)
{
    struct target target = {.controller = 100,
                            .app = DYN_STR("alpha"),
                            .name = DYN_STR("web"),
                            .rung = 8,
                            .decided = {20, 0},
                            .epoch = 1};
    model_lead(&m);
    model_mark(&m);
    ck_assert_int_eq(act_target(m.core, 0, &target, m.now), DYN_OK);
    model_settle(&m);
    ck_assert_int_eq(m.quantity[0], 8);
    /* The newest targets are asked for again on another connection: what they say may be older. */
    target.rung = 2;
    target.decided = (struct entry_id){19, 9};
    ck_assert_int_eq(act_target(m.core, 0, &target, m.now), DYN_REFUSED);
    model_pass(&m, 1000);
    ck_assert_int_eq(model_guard(&m, 0), GUARD_NONE);
    /* A new leader's log may begin anew. */
    target.rung = 9;
    target.epoch = 2;
    ck_assert_int_eq(act_target(m.core, 0, &target, m.now), DYN_OK);
    model_settle(&m);
    ck_assert_int_eq(m.quantity[0], 9);
}
END_TEST

START_TEST(a_target_that_the_new_leader_has_not_restated_lets_nothing_fall)
{
    struct mark said = {.epoch = 2, .folded = {(uint64_t)m.now.wall_ms, 0}};
    struct target target = {
        .controller = 100, .app = DYN_STR("alpha"), .name = DYN_STR("web"), .rung = 3, .epoch = 2};
    model_lead(&m);
    (void)model_want(&m, 0, 3, false);
    act_mark(m.core, 0, &said, m.now);
    model_pass(&m, 10000);
    ck_assert_int_eq(m.writes, 0);
    ck_assert_int_eq(model_guard(&m, 0), GUARD_OLD_MARK);
    ck_assert_int_eq(act_target(m.core, 0, &target, m.now), DYN_OK);
    model_settle(&m);
    ck_assert_int_eq(m.quantity[0], 3);
}
END_TEST

START_TEST(a_new_epoch_counts_its_marks_anew)
{
    struct mark said = {.epoch = 2, .folded = {1000, 0}};
    struct target target = {
        .controller = 100, .app = DYN_STR("alpha"), .name = DYN_STR("web"), .rung = 3, .epoch = 2};
    model_lead(&m);
    model_mark(&m);
    model_pass(&m, 31000);
    /* After a failover to a slower clock its log stands behind the one before. */
    ck_assert_int_eq(act_target(m.core, 0, &target, m.now), DYN_OK);
    model_settle(&m);
    ck_assert_int_eq(model_guard(&m, 0), GUARD_OLD_MARK);
    act_mark(m.core, 0, &said, m.now);
    model_pass(&m, 1000);
    ck_assert_int_eq(m.quantity[0], 3);
}
END_TEST

START_TEST(after_another_history_any_epoch_is_taken_and_nothing_falls_before_its_mark)
{
    model_lead(&m);
    model_mark(&m);
    (void)model_want(&m, 0, 9, false);
    ck_assert_int_eq(m.quantity[0], 9);
    struct target target = {.controller = 100,
                            .app = dyn_str_from(m.config.apps[0].name),
                            .name = DYN_STR("web"),
                            .rung = 12,
                            .epoch = 5};
    ck_assert_int_eq(act_target(m.core, 0, &target, m.now), DYN_OK);
    model_settle(&m);
    ck_assert_int_eq(m.quantity[0], 12);
    target.epoch = 3;
    target.rung = 13;
    ck_assert_int_eq(act_target(m.core, 0, &target, m.now), DYN_REFUSED);
    act_history(m.core);
    ck_assert_int_eq(act_target(m.core, 0, &target, m.now), DYN_OK);
    model_settle(&m);
    ck_assert_int_eq(m.quantity[0], 13);
    model_pass(&m, 61000);
    target.rung = 12;
    ck_assert_int_eq(act_target(m.core, 0, &target, m.now), DYN_OK);
    model_pass(&m, 5000);
    ck_assert_int_eq(model_guard(&m, 0), GUARD_OLD_MARK);
    struct mark said = {.epoch = 3, .folded = {1, 0}};
    act_mark(m.core, 0, &said, m.now);
    model_pass(&m, 1000);
    ck_assert_int_eq(m.quantity[0], 12);
}
END_TEST

START_TEST(a_mark_of_an_epoch_that_is_over_is_no_sign_of_life)
{
    struct target target = {
        .controller = 100, .app = DYN_STR("alpha"), .name = DYN_STR("web"), .rung = 3, .epoch = 2};
    model_lead(&m);
    ck_assert_int_eq(act_target(m.core, 0, &target, m.now), DYN_OK);
    model_mark(&m);
    model_pass(&m, 1000);
    ck_assert_int_eq(model_guard(&m, 0), GUARD_OLD_MARK);
    struct mark elsewhere = {.partition = 1, .epoch = 2, .folded = {5, 0}};
    act_mark(m.core, 0, &elsewhere, m.now);
    model_pass(&m, 1000);
    ck_assert_int_eq(model_guard(&m, 0), GUARD_OLD_MARK);
}
END_TEST

/* Whatever is scaled. */
static void add_all(TCase *tcase)
{
    tcase_add_test(tcase, nothing_is_asked_before_the_lease_and_the_journal);
    tcase_add_test(tcase, a_rise_is_written_at_once_through_the_journal);
    tcase_add_test(tcase, an_equal_quantity_is_never_written);
    tcase_add_test(tcase, heroku_is_read_once_a_minute);
    tcase_add_test(tcase, a_change_rests_on_a_fresh_reading);
    tcase_add_test(tcase, a_target_out_of_range_is_refused_and_told);
    tcase_add_test(tcase, an_epoch_that_is_over_is_ignored);
    tcase_add_test(tcase, a_target_of_another_partition_or_app_is_ignored);
    tcase_add_test(tcase, a_raise_only_target_lets_nothing_fall);
    tcase_add_test(tcase, an_old_mark_lets_nothing_fall_and_holds_no_rise);
    tcase_add_test(tcase, a_target_decided_before_the_one_held_is_ignored);
    tcase_add_test(tcase, a_target_that_the_new_leader_has_not_restated_lets_nothing_fall);
    tcase_add_test(tcase, a_new_epoch_counts_its_marks_anew);
    tcase_add_test(tcase,
                   after_another_history_any_epoch_is_taken_and_nothing_falls_before_its_mark);
    tcase_add_test(tcase, a_mark_of_an_epoch_that_is_over_is_no_sign_of_life);
}

static void add_dynos(TCase *tcase)
{
    tcase_add_test(tcase, a_fall_goes_by_a_quarter_and_waits_between);
    tcase_add_test(tcase, a_fall_from_above_every_maximum_goes_by_steps_too);
}

int main(void)
{
    Suite *suite = suite_create("actuator_core");
    TCase *dynos = model_tcase_dynos(suite);
    TCase *of_plans = model_tcase_plans(suite);
    add_all(dynos);
    add_dynos(dynos);
    add_all(of_plans);
    return model_run(suite);
}
