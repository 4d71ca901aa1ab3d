/* The actuator's core: what is different with the plans of an add-on, and apps with both. */
#include "tests/unit/support_actuator.h"

#include <check.h>

/* ---- what is different with the plans of an add-on ---- */

static void says(const char *events)
{
    ck_assert_str_eq(m.events, events);
    m.events[0] = '\0';
}

START_TEST(a_smaller_plan_is_not_asked_for_unless_allowed)
{
    m.controllers[0].allow_downgrade = false;
    model_lead(&m);
    model_mark(&m);
    (void)model_want(&m, 0, 3, false);
    model_pass(&m, 600000);
    ck_assert_int_eq(m.writes, 0);
    ck_assert_int_eq(model_guard(&m, 0), GUARD_DOWNGRADE);
    (void)model_want(&m, 0, 6, false);
    ck_assert_int_eq(m.quantity[0], 6);
    ck_assert_int_eq(model_guard(&m, 0), GUARD_NONE);
}
END_TEST

START_TEST(a_fall_is_one_plan_at_a_time)
{
    m.quantity[0] = 40;
    model_lead(&m);
    model_mark(&m);
    (void)model_want(&m, 0, 37, false);
    ck_assert_int_eq(m.quantity[0], 39);
    ck_assert_int_eq(model_guard(&m, 0), GUARD_STEP);
    for (int i = 0; i < 5; i++) {
        model_pass(&m, 30000);
        model_mark(&m);
    }
    ck_assert_int_eq(m.quantity[0], 37);
    ck_assert_int_eq(m.writes, 3);
    ck_assert_str_eq(m.last_write.plan, "test:37");
}
END_TEST

START_TEST(a_change_that_is_not_finished_is_left_alone_and_blamed_on_nobody)
{
    model_lead(&m);
    m.provisioning = true;
    (void)model_want(&m, 0, 6, false);
    ck_assert_int_eq(m.writes, 1);
    ck_assert_int_eq(m.last_outcome, ACTION_DONE);
    ck_assert(!m.journal[0].open);
    ck_assert_int_eq(m.journal[0].confirmed, 6);
    (void)model_want(&m, 0, 9, false);
    ck_assert_int_eq(model_guard(&m, 0), GUARD_PROVISIONING);
    m.quantity[0] = 4; /* readings tell the plan of before until it is over */
    model_pass(&m, 150000);
    ck_assert_int_eq(model_guard(&m, 0), GUARD_PROVISIONING);
    ck_assert_int_eq(m.writes, 1);
    m.quantity[0] = 6;
    m.provisioning = false;
    model_pass(&m, 61000);
    ck_assert_int_eq(m.writes, 2);
    ck_assert_int_eq(m.quantity[0], 9);
    ck_assert_ptr_null(strstr(m.events, "human_change"));
}
END_TEST

START_TEST(a_change_that_came_to_nothing_is_tried_again)
{
    model_lead(&m);
    m.provisioning = true;
    (void)model_want(&m, 0, 6, false);
    m.quantity[0] = 4;
    model_pass(&m, 400000);
    m.provisioning = false;
    model_pass(&m, 70000);
    ck_assert_int_eq(m.writes, 2);
    ck_assert_int_eq(m.quantity[0], 6);
    ck_assert_ptr_null(strstr(m.events, "human_change"));
    ck_assert_ptr_nonnull(strstr(m.events, "!write_not_kept"));
}
END_TEST

START_TEST(an_unanswered_change_that_is_under_way_is_done)
{
    model_lead(&m);
    model_fail_next(&m, ACT_WRITE, ACT_UNCERTAIN, 503, 1);
    m.provisioning = true;
    (void)model_want(&m, 0, 6, false);
    ck_assert(m.journal[0].open);
    model_pass(&m, 3000);
    ck_assert(!m.journal[0].open);
    ck_assert_int_eq(m.last_outcome, ACTION_DONE);
    ck_assert_int_eq(m.journal[0].confirmed, 6);
    model_pass(&m, 100000);
    ck_assert_int_eq(m.writes, 1);
}
END_TEST

START_TEST(somebody_elses_change_is_judged_when_it_is_over)
{
    model_lead(&m);
    (void)model_want(&m, 0, 4, false);
    m.quantity[0] = 7;
    m.provisioning = true;
    model_pass(&m, 130000);
    ck_assert_ptr_null(strstr(m.events, "human_change"));
    ck_assert_int_eq(model_guard(&m, 0), GUARD_PROVISIONING);
    m.provisioning = false;
    model_pass(&m, 61000);
    ck_assert_ptr_nonnull(strstr(m.events, "!human_change"));
    ck_assert_int_eq(model_guard(&m, 0), GUARD_OLD_MARK);
    model_mark(&m);
    model_pass(&m, 1000);
    ck_assert_int_eq(model_guard(&m, 0), GUARD_MANUAL_FLOOR);
}
END_TEST

START_TEST(a_refused_plan_is_tried_again_in_ten_minutes)
{
    model_lead(&m);
    model_fail_next(&m, ACT_WRITE, ACT_REFUSED, 422, 1);
    (void)model_want(&m, 0, 6, false);
    ck_assert_int_eq(model_guard(&m, 0), GUARD_REFUSED);
    says("+heroku_refused ");
    model_pass(&m, 590000);
    ck_assert_int_eq(m.writes, 1);
    model_pass(&m, 11000);
    ck_assert_int_eq(m.writes, 2);
    ck_assert_int_eq(m.quantity[0], 6);
    ck_assert_ptr_nonnull(strstr(m.events, "-heroku_refused"));
}
END_TEST

/* Somebody was faster: Heroku refuses ours, and the reading says why. */
START_TEST(a_plan_refused_for_a_change_under_way_is_tried_when_that_is_over)
{
    model_lead(&m);
    model_fail_next(&m, ACT_WRITE, ACT_REFUSED, 422, 1);
    m.provisioning = true;
    (void)model_want(&m, 0, 6, false);
    ck_assert_int_eq(model_guard(&m, 0), GUARD_PROVISIONING);
    m.provisioning = false;
    model_pass(&m, 61000);
    ck_assert_int_eq(m.quantity[0], 6);
}
END_TEST

START_TEST(a_limit_that_is_told_of_a_plan_is_a_refusal)
{
    model_lead(&m);
    model_fail_next(&m, ACT_WRITE, ACT_LIMIT, 422, 1);
    m.fault[ACT_WRITE_PLAN].limit = 2;
    (void)model_want(&m, 0, 6, false);
    ck_assert_int_eq(model_guard(&m, 0), GUARD_REFUSED);
}
END_TEST

START_TEST(a_plan_that_is_not_in_the_table_changes_nothing_and_is_told)
{
    m.quantity[0] = 0;
    model_lead(&m);
    (void)model_want(&m, 0, 6, false);
    model_pass(&m, 61000);
    ck_assert_int_eq(m.writes, 0);
    ck_assert_int_eq(model_guard(&m, 0), GUARD_CONTROLLER);
    struct actual actual;
    ck_assert_int_eq(act_explain(m.core, 100, m.now, &actual), DYN_OK);
    ck_assert(dyn_str_is(actual.words, "its plan ? is not in the table of plans"));
    says("+heroku_controller ");
    m.quantity[0] = 4;
    model_pass(&m, 61000);
    ck_assert_int_eq(m.quantity[0], 6);
}
END_TEST

START_TEST(a_plan_that_vanishes_settles_what_was_open)
{
    model_lead(&m);
    model_fail_next(&m, ACT_WRITE, ACT_UNCERTAIN, 503, 1);
    m.quantity[0] = 4;
    m.applied_anyway = false;
    m.hold_answers = true;
    (void)model_want(&m, 0, 6, false);
    m.hold_answers = false;
    model_settle(&m);
    m.quantity[0] = -1;
    model_pass(&m, 5000);
    ck_assert(!m.journal[0].open);
    ck_assert_int_eq(m.last_outcome, ACTION_FAILED);
    ck_assert_int_eq(model_guard(&m, 0), GUARD_CONTROLLER);
}
END_TEST

/* ---- which add-on ---- */

static const struct {
    const char *wanted; /* addon: in the configuration */
    const char *words;  /* NULL: it is found */
    size_t count;
    bool leaving;
} addon_cases[] = {
    {NULL, NULL, 1, false},
    {NULL, "the app has no add-on  of test", 0, false},
    {NULL, "the app has 2 add-ons of test: write the name of one as addon", 2, false},
    {"test-b", NULL, 2, false},
    {"id-b", NULL, 2, false},
    {"test-c", "the app has no add-on test-c of test", 2, false},
    {NULL, "the add-on is being removed", 1, true},
};

START_TEST(the_add_on_that_is_meant_is_found_or_it_is_said_why_not)
{
    static const char *const names[] = {"test-a", "test-b"};
    static const char *const ids[] = {"id-a", "id-b"};
    struct act_addon addons[2];
    for (size_t i = 0; i < 2; i++) {
        addons[i] = (struct act_addon){.service = DYN_STR("test"),
                                       .id = dyn_str_from(ids[i]),
                                       .name = dyn_str_from(names[i]),
                                       .plan = DYN_STR("test:5"),
                                       .leaving = addon_cases[_i].leaving};
    }
    m.controllers[0].addon = addon_cases[_i].wanted;
    model_fail_next(&m, ACT_READ_FORMATION, ACT_OK, 200, 1);
    m.fault[ACT_READ_ADDONS].addons = addons;
    m.fault[ACT_READ_ADDONS].addons_count = addon_cases[_i].count;
    model_lead(&m);
    struct actual actual;
    ck_assert_int_eq(act_explain(m.core, 100, m.now, &actual), DYN_OK);
    if (addon_cases[_i].words == NULL) {
        ck_assert_int_eq(actual.running, 5);
    } else {
        ck_assert_int_eq(actual.running, -1);
        ck_assert_msg(dyn_str_is(actual.words, addon_cases[_i].words), DYN_STR_FMT,
                      DYN_STR_ARG(actual.words));
    }
}
END_TEST

START_TEST(a_reload_to_another_add_on_forgets_what_is_there)
{
    model_lead(&m);
    struct config next = m.config;
    struct config_app apps[1] = {m.apps[0]};
    struct config_controller controllers[1] = {m.controllers[0]};
    controllers[0].addon = "test-1";
    apps[0].controllers = controllers;
    next.apps = apps;
    ck_assert_int_eq(act_core_reload(m.core, &next, m.now), DYN_OK);
    struct actual actual;
    ck_assert_int_eq(act_explain(m.core, 100, m.now, &actual), DYN_OK);
    ck_assert_int_eq(actual.running, -1);
    model_pass(&m, 1000);
    ck_assert_int_eq(act_explain(m.core, 100, m.now, &actual), DYN_OK);
    ck_assert_int_eq(actual.running, 4);
}
END_TEST

/* ---- an app with both: alpha's web, and its add-on at the plan of quantity[1] ---- */

static void setup_both(void)
{
    model_init(&m, 2, 1);
    act_core_free(m.core);
    model_scale_plans(&m);
    model_controller(&m.controllers[0], 100);
    m.plans = false;
    m.both = true;
    m.apps[0].controllers_count = 2;
    m.config.apps_count = 1;
    model_start(&m);
}

static dyn_err want_plan(int32_t rung)
{
    struct target target = {.controller = m.controllers[1].id,
                            .app = DYN_STR("alpha"),
                            .name = DYN_STR("web"),
                            .rung = rung,
                            .epoch = 1};
    dyn_err err = act_target(m.core, 0, &target, m.now);
    model_settle(&m);
    return err;
}

START_TEST(both_of_an_app_are_read_and_written_one_at_a_time)
{
    model_lead(&m);
    ck_assert_int_eq(m.reads, 2);
    ck_assert_int_eq(model_want(&m, 0, 9, false), DYN_OK);
    ck_assert_int_eq(want_plan(6), DYN_OK);
    model_pass(&m, 1000);
    ck_assert_int_eq(m.quantity[0], 9);
    ck_assert_int_eq(m.quantity[1], 6);
    ck_assert_int_eq(m.writes, 2);
    ck_assert_int_eq(model_guard(&m, 0), GUARD_NONE);
    ck_assert_int_eq(model_guard(&m, 1), GUARD_NONE);
}
END_TEST

START_TEST(dynos_move_while_the_add_ons_cannot_be_read)
{
    model_lead(&m);
    model_pass(&m, 60000);
    model_fail_next(&m, ACT_READ_ADDONS, ACT_UNCERTAIN, 503, 1000);
    model_pass(&m, 200000);
    ck_assert_int_eq(model_guard(&m, 1), GUARD_NO_TARGET);
    (void)want_plan(6);
    ck_assert_int_eq(model_guard(&m, 1), GUARD_RETRY);
    (void)model_want(&m, 0, 9, false);
    ck_assert_int_eq(m.quantity[0], 9); /* at once */
    model_pass(&m, 2000);
    ck_assert_int_eq(m.quantity[1], 4);
    ck_assert_int_eq(model_guard(&m, 1), GUARD_RETRY);
    m.faults[ACT_READ_ADDONS] = 0;
    model_pass(&m, 61000);
    ck_assert_int_eq(m.quantity[1], 6);
}
END_TEST

START_TEST(plans_move_while_the_formation_is_refused)
{
    model_lead(&m);
    model_fail_next(&m, ACT_READ_FORMATION, ACT_FORBIDDEN, 403, 1);
    model_pass(&m, 61000);
    ck_assert_int_eq(model_guard(&m, 0), GUARD_CONTROLLER);
    (void)want_plan(6);
    ck_assert_int_eq(m.quantity[1], 6);
}
END_TEST

START_TEST(dynos_move_while_a_plan_is_being_changed)
{
    model_lead(&m);
    m.provisioning = true;
    (void)want_plan(6);
    (void)model_want(&m, 0, 9, false);
    ck_assert_int_eq(m.quantity[0], 9);
    (void)want_plan(7);
    model_pass(&m, 1000);
    ck_assert_int_eq(model_guard(&m, 1), GUARD_PROVISIONING);
}
END_TEST

START_TEST(an_open_intent_of_dynos_switched_off_holds_no_plan_for_ever)
{
    struct intent intent = {.controller = 100,
                            .from = 4,
                            .to = 9,
                            .epoch = 7,
                            .open = true,
                            .confirmed = 4,
                            .manual_floor = -1};
    m.controllers[0].mode = CONFIG_MODE_OFF;
    act_lead(m.core, 0, 8, &(struct act_former){.settle_ms = 6000}, m.now);
    act_journal_entry(m.core, 0, &intent, m.now);
    act_journal_loaded(m.core, 0, m.now);
    model_settle(&m);
    (void)want_plan(6);
    model_pass(&m, 7000);
    ck_assert_int_eq(m.ends, 2); /* the open one, and the plan's */
    ck_assert_int_eq(m.quantity[1], 6);
    ck_assert_int_eq(m.quantity[0], 4);
}
END_TEST

START_TEST(a_limit_on_dynos_leaves_plans_alone)
{
    model_lead(&m);
    m.quantity[1] = 40;
    model_pass(&m, 61000);
    model_fail_next(&m, ACT_WRITE, ACT_LIMIT, 422, 1);
    m.fault[ACT_WRITE].limit = 20;
    (void)model_want(&m, 0, 30, false);
    ck_assert_int_eq(m.quantity[0], 20); /* the plan's rung takes nothing away */
    (void)want_plan(45);
    model_pass(&m, 1000);
    ck_assert_int_eq(m.quantity[1], 45);
}
END_TEST

static void add_plans(TCase *tcase)
{
    tcase_add_test(tcase, a_smaller_plan_is_not_asked_for_unless_allowed);
    tcase_add_test(tcase, a_fall_is_one_plan_at_a_time);
    tcase_add_test(tcase, a_change_that_is_not_finished_is_left_alone_and_blamed_on_nobody);
    tcase_add_test(tcase, a_change_that_came_to_nothing_is_tried_again);
    tcase_add_test(tcase, an_unanswered_change_that_is_under_way_is_done);
    tcase_add_test(tcase, somebody_elses_change_is_judged_when_it_is_over);
    tcase_add_test(tcase, a_refused_plan_is_tried_again_in_ten_minutes);
    tcase_add_test(tcase, a_plan_refused_for_a_change_under_way_is_tried_when_that_is_over);
    tcase_add_test(tcase, a_limit_that_is_told_of_a_plan_is_a_refusal);
    tcase_add_test(tcase, a_plan_that_is_not_in_the_table_changes_nothing_and_is_told);
    tcase_add_test(tcase, a_plan_that_vanishes_settles_what_was_open);
    tcase_add_loop_test(tcase, the_add_on_that_is_meant_is_found_or_it_is_said_why_not, 0,
                        (int)(sizeof addon_cases / sizeof *addon_cases));
    tcase_add_test(tcase, a_reload_to_another_add_on_forgets_what_is_there);
}

static void add_both(TCase *tcase)
{
    tcase_add_test(tcase, both_of_an_app_are_read_and_written_one_at_a_time);
    tcase_add_test(tcase, dynos_move_while_the_add_ons_cannot_be_read);
    tcase_add_test(tcase, plans_move_while_the_formation_is_refused);
    tcase_add_test(tcase, dynos_move_while_a_plan_is_being_changed);
    tcase_add_test(tcase, an_open_intent_of_dynos_switched_off_holds_no_plan_for_ever);
    tcase_add_test(tcase, a_limit_on_dynos_leaves_plans_alone);
}

int main(void)
{
    Suite *suite = suite_create("actuator_plans");
    TCase *of_plans = model_tcase_plans(suite);
    add_plans(of_plans);
    add_both(model_tcase(suite, "both", setup_both));
    return model_run(suite);
}
