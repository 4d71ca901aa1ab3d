/* The actuator's core: its own guards, and people. */
#include "tests/unit/support_actuator.h"

#include <check.h>

/* ---- own guards ---- */

START_TEST(what_runs_is_told_at_once_and_again_where_a_target_needs_it)
{
    m.controllers[0].needs_running = true;
    model_lead(&m);
    ck_assert_str_eq(m.running, "alpha=4@0 ");
    (void)model_want(&m, 0, 9, true);
    model_pass(&m, 1000);
    ck_assert_str_eq(m.running, "alpha=4@0 alpha=9@0 ");
    m.running[0] = '\0';
    model_pass(&m, 13000);
    ck_assert_str_eq(m.running, "");
    /* Heroku is away: what is known gets older, and is told with its age. */
    model_fail_next(&m, ACT_READ_FORMATION, ACT_UNCERTAIN, 503, 1000);
    model_pass(&m, 2000);
    ck_assert_str_eq(m.running, "alpha=9@15 ");
    model_pass(&m, 60000);
    ck_assert_str_eq(m.running, "alpha=9@15 alpha=9@30 alpha=9@45 alpha=9@60 alpha=9@75 ");
    m.faults[ACT_READ_FORMATION] = 0;
    m.quantity[0] = 0;
    m.running[0] = '\0';
    model_pass(&m, 90000);
    ck_assert_ptr_nonnull(strstr(m.running, "alpha=0@0 "));
}
END_TEST

START_TEST(what_runs_is_told_again_until_it_could_be)
{
    m.controllers[0].needs_running = true;
    m.running_deaf = true;
    model_lead(&m);
    ck_assert_ptr_eq(strstr(m.running, "!alpha=4@0 "), m.running);
    m.running_deaf = false;
    m.running[0] = '\0';
    model_pass(&m, 10000);
    ck_assert_ptr_eq(strstr(m.running, "alpha=4@"), m.running);
    ck_assert_ptr_null(strstr(m.running + 1, "alpha"));
}
END_TEST

START_TEST(what_runs_is_not_told_where_nothing_depends_on_it)
{
    model_lead(&m);
    (void)model_want(&m, 0, 9, true);
    model_pass(&m, 120000);
    ck_assert_str_eq(m.running, "");
}
END_TEST

START_TEST(mode_off_asks_nothing)
{
    m.controllers[0].mode = CONFIG_MODE_OFF;
    model_lead(&m);
    (void)model_want(&m, 0, 9, false);
    model_pass(&m, 120000);
    ck_assert_int_eq(m.reads, 0);
    ck_assert_int_eq(model_guard(&m, 0), GUARD_MODE_OFF);
}
END_TEST

START_TEST(mode_shadow_reads_and_tells_its_decision_once)
{
    m.controllers[0].mode = CONFIG_MODE_SHADOW;
    model_lead(&m);
    (void)model_want(&m, 0, 9, false);
    model_pass(&m, 120000);
    ck_assert_int_ge(m.reads, 2);
    ck_assert_int_eq(m.writes, 0);
    ck_assert_int_eq(m.actions, 1);
    ck_assert_int_eq(m.last_outcome, ACTION_SHADOW);
    ck_assert_int_eq(m.last_action_to, 9);
    ck_assert_int_eq(model_guard(&m, 0), GUARD_SHADOW);
    (void)model_want(&m, 0, 11, false);
    ck_assert_int_eq(m.actions, 2);
}
END_TEST

START_TEST(mode_raise_only_raises_only)
{
    m.controllers[0].mode = CONFIG_MODE_RAISE_ONLY;
    model_lead(&m);
    model_mark(&m);
    (void)model_want(&m, 0, 3, false);
    ck_assert_int_eq(model_guard(&m, 0), GUARD_RAISE_ONLY_MODE);
    (void)model_want(&m, 0, 6, false);
    ck_assert_int_eq(m.quantity[0], 6);
}
END_TEST

START_TEST(the_up_cooldown_holds_the_next_rise)
{
    m.controllers[0].scale_up_cooldown_ms = 120000;
    model_lead(&m);
    (void)model_want(&m, 0, 6, false);
    (void)model_want(&m, 0, 8, false);
    ck_assert_int_eq(m.quantity[0], 6);
    ck_assert_int_eq(model_guard(&m, 0), GUARD_UP_COOLDOWN);
    model_pass(&m, 121000);
    ck_assert_int_eq(m.quantity[0], 8);
}
END_TEST

START_TEST(the_down_cooldown_holds_the_next_fall)
{
    model_lead(&m);
    (void)model_want(&m, 0, 6, false);
    model_mark(&m);
    (void)model_want(&m, 0, 5, false);
    ck_assert_int_eq(model_guard(&m, 0), GUARD_DOWN_COOLDOWN);
    model_pass(&m, 50000);
    model_mark(&m);
    model_pass(&m, 11000);
    ck_assert_int_eq(m.quantity[0], 5);
}
END_TEST

START_TEST(max_step_up_goes_by_steps)
{
    m.controllers[0].max_step_up = 3;
    m.controllers[0].scale_up_cooldown_ms = 10000;
    model_lead(&m);
    (void)model_want(&m, 0, 12, false);
    ck_assert_int_eq(m.quantity[0], 7);
    ck_assert_int_eq(model_guard(&m, 0), GUARD_STEP);
    model_pass(&m, 21000);
    ck_assert_int_eq(m.quantity[0], 12);
}
END_TEST

START_TEST(changes_an_hour_are_bounded)
{
    m.controllers[0].max_changes_per_hour = 3;
    model_lead(&m);
    for (int i = 0; i < 6; i++) {
        (void)model_want(&m, 0, 5 + i, false);
    }
    ck_assert_int_eq(m.writes, 3);
    ck_assert_int_eq(model_guard(&m, 0), GUARD_CHANGES);
    model_pass(&m, 3300000);
    ck_assert_int_eq(m.writes, 3);
    model_pass(&m, 700000);
    ck_assert_int_eq(m.writes, 4);
}
END_TEST

START_TEST(zero_is_left_alone_until_it_ends)
{
    m.quantity[0] = 0;
    model_lead(&m);
    (void)model_want(&m, 0, 9, false);
    model_pass(&m, 120000);
    ck_assert_int_eq(m.writes, 0);
    ck_assert_int_eq(model_guard(&m, 0), GUARD_ZERO);
    m.quantity[0] = 2;
    model_pass(&m, 61000);
    ck_assert_int_eq(m.quantity[0], 9);
}
END_TEST

START_TEST(maintenance_is_left_alone_until_it_ends)
{
    model_lead(&m);
    m.maintenance = true;
    (void)model_want(&m, 0, 9, false);
    model_pass(&m, 120000);
    ck_assert_int_eq(m.writes, 0);
    ck_assert_int_eq(model_guard(&m, 0), GUARD_MAINTENANCE);
    m.maintenance = false;
    model_pass(&m, 62000);
    ck_assert_int_eq(m.quantity[0], 9);
}
END_TEST

START_TEST(a_pause_holds_until_it_is_taken_back)
{
    model_lead(&m);
    struct command command = {
        .verb = COMMAND_PAUSE, .app = DYN_STR("alpha"), .until_ms = INT64_MAX};
    act_command(m.core, &command, m.now);
    (void)model_want(&m, 0, 9, false);
    model_pass(&m, 10000);
    ck_assert_int_eq(model_guard(&m, 0), GUARD_PAUSED);
    command.verb = COMMAND_RESUME;
    act_command(m.core, &command, m.now);
    model_pass(&m, 1000);
    ck_assert_int_eq(m.quantity[0], 9);
    command = (struct command){.verb = COMMAND_PAUSE, .until_ms = m.now.wall_ms + 5000};
    act_command(m.core, &command, m.now);
    (void)model_want(&m, 0, 10, false);
    ck_assert_int_eq(model_guard(&m, 0), GUARD_PAUSED);
    model_pass(&m, 6000);
    ck_assert_int_eq(m.quantity[0], 10);
}
END_TEST

START_TEST(nothing_moves_before_it_is_known_what_is_paused)
{
    struct command pause = {.verb = COMMAND_PAUSE, .app = DYN_STR("alpha"), .until_ms = INT64_MAX};
    act_commands(m.core, false, m.now);
    model_lead(&m);
    (void)model_want(&m, 0, 9, false);
    model_pass(&m, 5000);
    ck_assert_int_eq(m.reads, 0);
    if (_i == 1) {
        act_command(m.core, &pause, m.now);
    }
    act_commands(m.core, true, m.now);
    model_settle(&m);
    model_pass(&m, 1000);
    ck_assert_int_eq(m.quantity[0], _i == 1 ? 4 : 9);
}
END_TEST

START_TEST(a_pause_of_something_else_holds_nothing)
{
    struct command pause = {
        .verb = COMMAND_PAUSE, .app = DYN_STR("beta"), .until_ms = WALL + 10000000};
    model_lead(&m);
    act_command(m.core, &pause, m.now);
    (void)model_want(&m, 0, 6, false);
    ck_assert_int_eq(m.quantity[0], 6);
    pause.app = DYN_STR("alpha");
    pause.controller = DYN_STR("worker");
    act_command(m.core, &pause, m.now);
    (void)model_want(&m, 0, 9, false);
    ck_assert_int_eq(m.quantity[0], 9);
}
END_TEST

/* ---- people ---- */

START_TEST(raised_by_hand_is_a_floor_for_manual_hold)
{
    model_lead(&m);
    (void)model_want(&m, 0, 5, false);
    m.quantity[0] = 12;
    model_pass(&m, 61000);
    ck_assert_ptr_nonnull(strstr(m.events, "!human_change"));
    model_mark(&m);
    model_pass(&m, 1000);
    ck_assert_int_eq(model_guard(&m, 0), GUARD_MANUAL_FLOOR);
    ck_assert_int_eq(m.journal[0].manual_floor, 12);
    (void)model_want(&m, 0, 14, false);
    ck_assert_int_eq(m.quantity[0], 14);
    model_pass(&m, 3600000);
    (void)model_want(&m, 0, 5, false);
    model_mark(&m);
    model_pass(&m, 1000);
    ck_assert_int_eq(m.quantity[0], 11);
}
END_TEST

START_TEST(lowered_by_hand_moves_nothing_for_manual_hold)
{
    model_lead(&m);
    (void)model_want(&m, 0, 10, false);
    model_pass(&m, 100000);
    m.quantity[0] = 2;
    model_pass(&m, 61000);
    ck_assert_int_eq(model_guard(&m, 0), GUARD_MANUAL_HOLD);
    (void)model_want(&m, 0, 20, false);
    model_pass(&m, 3000000);
    ck_assert_int_eq(m.quantity[0], 2);
    model_pass(&m, 700000);
    ck_assert_int_eq(m.quantity[0], 20);
}
END_TEST

START_TEST(a_write_that_heroku_did_not_keep_is_tried_again)
{
    model_lead(&m);
    m.not_kept = true;
    (void)model_want(&m, 0, 9, false);
    m.not_kept = false;
    ck_assert_int_eq(m.quantity[0], 4);
    model_pass(&m, 65000);
    ck_assert_ptr_nonnull(strstr(m.events, "!write_not_kept"));
    ck_assert_int_eq(m.quantity[0], 9);
    ck_assert_ptr_null(strstr(m.events, "human_change"));
}
END_TEST

START_TEST(lowered_by_hand_to_what_ran_before_is_a_human_after_a_while)
{
    model_lead(&m);
    (void)model_want(&m, 0, 9, false);
    model_pass(&m, 100000);
    m.quantity[0] = 4;
    model_pass(&m, 61000);
    ck_assert_int_eq(model_guard(&m, 0), GUARD_MANUAL_HOLD);
}
END_TEST

/* Whatever is scaled. */
static void add_all(TCase *tcase)
{
    tcase_add_test(tcase, what_runs_is_told_again_until_it_could_be);
    tcase_add_test(tcase, what_runs_is_not_told_where_nothing_depends_on_it);
    tcase_add_test(tcase, mode_off_asks_nothing);
    tcase_add_test(tcase, mode_shadow_reads_and_tells_its_decision_once);
    tcase_add_test(tcase, mode_raise_only_raises_only);
    tcase_add_test(tcase, the_up_cooldown_holds_the_next_rise);
    tcase_add_test(tcase, the_down_cooldown_holds_the_next_fall);
    tcase_add_test(tcase, max_step_up_goes_by_steps);
    tcase_add_test(tcase, changes_an_hour_are_bounded);
    tcase_add_test(tcase, maintenance_is_left_alone_until_it_ends);
    tcase_add_test(tcase, a_pause_holds_until_it_is_taken_back);
    tcase_add_loop_test(tcase, nothing_moves_before_it_is_known_what_is_paused, 0, 2);
    tcase_add_test(tcase, a_pause_of_something_else_holds_nothing);
    tcase_add_test(tcase, lowered_by_hand_moves_nothing_for_manual_hold);
    tcase_add_test(tcase, a_write_that_heroku_did_not_keep_is_tried_again);
    tcase_add_test(tcase, lowered_by_hand_to_what_ran_before_is_a_human_after_a_while);
}

static void add_dynos(TCase *tcase)
{
    tcase_add_test(tcase, what_runs_is_told_at_once_and_again_where_a_target_needs_it);
    tcase_add_test(tcase, zero_is_left_alone_until_it_ends);
    tcase_add_test(tcase, raised_by_hand_is_a_floor_for_manual_hold);
}

int main(void)
{
    Suite *suite = suite_create("actuator_guards");
    TCase *dynos = model_tcase_dynos(suite);
    TCase *of_plans = model_tcase_plans(suite);
    add_all(dynos);
    add_dynos(dynos);
    add_all(of_plans);
    return model_run(suite);
}
