/* The actuator's core. What holds for dynos and for plans is tested with both. */
#include "tests/unit/support_actuator.h"

#include <check.h>
#include <stdlib.h>

static struct model m;

static void setup(void)
{
    model_init(&m, 1, 1);
}

static void setup_plans(void)
{
    model_init(&m, 1, 1);
    act_core_free(m.core);
    model_scale_plans(&m);
    model_start(&m);
}

static void teardown(void)
{
    act_core_free(m.core);
}

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

/* ---- errors ---- */

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

/* ---- journal and lease ---- */

/* What the journal of one who was killed between intent and answer holds. */
static void lead_after(const struct act_former *former)
{
    m.quantity[0] = 9;
    act_lead(m.core, 0, 8, former, m.now);
    struct intent intent = {.controller = 100,
                            .from = 4,
                            .to = 9,
                            .epoch = 7,
                            .open = true,
                            .confirmed = 4,
                            .manual_floor = -1};
    act_journal_entry(m.core, 0, &intent, m.now);
    act_journal_loaded(m.core, 0, m.now);
    model_settle(&m);
    (void)model_want(&m, 0, 12, false);
}

START_TEST(an_open_intent_of_before_waits_and_is_settled_by_a_reading)
{
    lead_after(&(struct act_former){.settle_ms = 6000});
    model_pass(&m, 5000);
    ck_assert_int_eq(m.reads, 0);
    model_pass(&m, 3000);
    ck_assert_int_eq(m.ends, 2);
    ck_assert_int_eq(m.quantity[0], 12);
    ck_assert_ptr_null(strstr(m.events, "human_change"));
}
END_TEST

START_TEST(settling_outlasts_the_last_request_of_whoever_wrote_before)
{
    const struct config_lease lease = {.hold_ms = 12000, .actuator_wait_ms = 17000};
    ck_assert_int_eq(act_settle_ms(&lease, true, false), 6000);
    ck_assert_int_eq(act_settle_ms(&lease, false, true), DYN_HTTP_TOTAL_TIMEOUT_MS + 1000);
    ck_assert_int_eq(act_settle_ms(&lease, false, false), 12000 + DYN_HTTP_TOTAL_TIMEOUT_MS + 1000);
}
END_TEST

START_TEST(what_was_given_up_is_settled_at_once)
{
    lead_after(NULL);
    model_pass(&m, 1000);
    ck_assert_int_eq(m.ends, 2);
    ck_assert_int_eq(m.quantity[0], 12);
}
END_TEST

START_TEST(without_an_open_intent_nobody_waits_for_the_one_before)
{
    act_lead(m.core, 0, 8, &(struct act_former){.settle_ms = 6000}, m.now);
    act_journal_loaded(m.core, 0, m.now);
    model_settle(&m);
    (void)model_want(&m, 0, 12, false);
    model_pass(&m, 1000);
    ck_assert_int_eq(m.quantity[0], 12);
}
END_TEST

START_TEST(a_journal_that_lost_something_makes_every_app_wait_and_accuses_nobody)
{
    act_lead(m.core, 0, 8, &(struct act_former){.settle_ms = 6000, .doubtful = true}, m.now);
    struct intent intent = {
        .controller = 100, .from = 9, .to = 9, .confirmed = 9, .manual_floor = -1};
    act_journal_entry(m.core, 0, &intent, m.now);
    act_journal_loaded(m.core, 0, m.now);
    model_settle(&m);
    (void)model_want(&m, 0, 12, false);
    model_pass(&m, 5000);
    ck_assert_int_eq(m.reads, 0);
    ck_assert_int_eq(m.quantity[0], 4);
    model_pass(&m, 3000);
    ck_assert_int_eq(m.quantity[0], 12);
    ck_assert_ptr_null(strstr(m.events, "human_change"));
}
END_TEST

START_TEST(nothing_is_asked_for_apps_before_their_account_is_clear)
{
    act_core_free(m.core);
    m.tells = true;
    model_start(&m);
    model_lead(&m);
    ck_assert_str_eq(m.told, "one");
    (void)model_want(&m, 0, 12, false);
    model_pass(&m, 5000);
    ck_assert_int_eq(m.reads, 0);
    act_clear(m.core, 0, true, m.now);
    model_settle(&m);
    ck_assert_int_eq(m.quantity[0], 12);
    /* Each taking must be cleared anew. */
    act_unlead(m.core, 0, m.now);
    act_clear(m.core, 0, true, m.now);
    act_lead(m.core, 0, 8, NULL, m.now);
    act_journal_loaded(m.core, 0, m.now);
    (void)model_want(&m, 0, 13, false);
    model_settle(&m);
    ck_assert_int_eq(m.quantity[0], 12);
    act_clear(m.core, 0, true, m.now);
    model_settle(&m);
    ck_assert_int_eq(m.quantity[0], 13);
}
END_TEST

START_TEST(a_key_of_another_account_must_be_cleared_anew)
{
    act_core_free(m.core);
    m.tells = true;
    model_start(&m);
    model_lead(&m);
    act_clear(m.core, 0, true, m.now);
    model_settle(&m);
    m.identity[0] = "another";
    act_key(m.core, 0, true, "", m.now);
    model_pass(&m, 1000);
    ck_assert_str_eq(m.told, "another");
    (void)model_want(&m, 0, 12, false);
    model_pass(&m, 1000);
    ck_assert_int_eq(m.quantity[0], 4);
    act_clear(m.core, 0, true, m.now);
    model_settle(&m);
    ck_assert_int_eq(m.quantity[0], 12);
    /* The same one again changes nothing. */
    act_key(m.core, 0, true, "", m.now);
    model_pass(&m, 1000);
    (void)model_want(&m, 0, 13, false);
    model_settle(&m);
    ck_assert_int_eq(m.quantity[0], 13);
}
END_TEST

START_TEST(a_human_change_while_we_were_down_is_seen)
{
    act_lead(m.core, 0, 8, NULL, m.now);
    struct intent intent = {
        .controller = 100, .from = 9, .to = 9, .confirmed = 9, .manual_floor = -1};
    act_journal_entry(m.core, 0, &intent, m.now);
    act_journal_loaded(m.core, 0, m.now);
    model_settle(&m);
    model_pass(&m, 1000);
    (void)model_want(&m, 0, 12, false);
    ck_assert_int_eq(model_guard(&m, 0), GUARD_MANUAL_HOLD);
}
END_TEST

START_TEST(what_the_journal_lost_while_another_led_is_nobodys_doing)
{
    model_lead(&m);
    ck_assert_int_eq(model_guard(&m, 0), GUARD_NO_TARGET);
    act_unlead(m.core, 0, m.now);
    m.quantity[0] = 9; /* by another actuator, before Redis was flushed */
    act_lead(m.core, 0, 9, NULL, m.now);
    act_journal_loaded(m.core, 0, m.now);
    model_settle(&m);
    model_pass(&m, 1000);
    ck_assert_ptr_null(strstr(m.events, "human_change"));
    (void)model_want(&m, 0, 12, false);
    model_pass(&m, 1000);
    ck_assert_int_eq(m.quantity[0], 12);
}
END_TEST

START_TEST(a_hold_of_the_journal_lasts_no_longer_than_configured)
{
    act_lead(m.core, 0, 8, NULL, m.now);
    struct intent intent = {.controller = 100,
                            .confirmed = 4,
                            .manual_floor = 0,
                            .manual_until_ms = m.now.wall_ms + INT64_C(1000000000)};
    act_journal_entry(m.core, 0, &intent, m.now);
    act_journal_loaded(m.core, 0, m.now);
    model_settle(&m);
    (void)model_want(&m, 0, 12, false);
    model_pass(&m, 3590000);
    ck_assert_int_eq(m.quantity[0], 4);
    model_pass(&m, 20000);
    ck_assert_int_eq(m.quantity[0], 12);
}
END_TEST

START_TEST(a_reading_asked_for_before_the_lease_says_nothing)
{
    model_lead(&m);
    m.hold_answers = true;
    model_pass(&m, 61000);
    ck_assert_int_eq(m.sent_count, 2); /* the rate limits first */
    struct act_request request = m.sent[--m.sent_count];
    ck_assert_int_eq(request.kind, model_kind(&m, ACT_READ_FORMATION));
    act_unlead(m.core, 0, m.now);
    m.now.boot_ms += 3000;
    struct intent intent = {
        .controller = 100, .from = 9, .to = 9, .confirmed = 9, .manual_floor = -1};
    act_lead(m.core, 0, 9, NULL, m.now);
    act_journal_entry(m.core, 0, &intent, m.now);
    act_journal_loaded(m.core, 0, m.now);
    /* Another actuator wrote in between; Heroku had answered before that. */
    model_answer(&m, request);
    m.quantity[0] = 9;
    m.hold_answers = false;
    model_settle(&m);
    model_pass(&m, 1000);
    struct actual actual;
    ck_assert_int_eq(act_explain(m.core, 100, m.now, &actual), DYN_OK);
    ck_assert_int_eq(actual.running, 9);
    ck_assert_ptr_null(strstr(m.events, "human_change"));
}
END_TEST

START_TEST(a_lost_lease_stops_writing_at_once)
{
    model_lead(&m);
    m.begin_answer = DYN_FENCED;
    (void)model_want(&m, 0, 9, false);
    model_pass(&m, 60000);
    ck_assert_int_eq(m.writes, 0);
    ck_assert_int_eq(m.fenced, 1);
    ck_assert_int_eq(model_guard(&m, 0), GUARD_JOURNAL);
}
END_TEST

START_TEST(an_intent_that_cannot_be_recorded_is_not_acted_upon)
{
    model_lead(&m);
    m.begin_answer = DYN_TIMEOUT;
    (void)model_want(&m, 0, 9, false);
    model_pass(&m, 10000);
    ck_assert_int_eq(m.writes, 0);
    ck_assert_int_eq(model_guard(&m, 0), GUARD_JOURNAL);
    m.begin_answer = DYN_BUSY;
    model_pass(&m, 3000);
    ck_assert_int_eq(m.writes, 0);
    ck_assert_int_ge(m.ends, 1);
    m.begin_answer = DYN_OK;
    model_pass(&m, 3000);
    ck_assert_int_eq(m.quantity[0], 9);
}
END_TEST

START_TEST(a_lease_lost_between_journal_and_request_sends_nothing)
{
    model_lead(&m);
    m.hold_answers = true;
    (void)model_want(&m, 0, 9, false);
    ck_assert_int_eq(m.sent_count, 1); /* maintenance */
    m.hold_answers = false;
    struct act_request request = m.sent[--m.sent_count];
    m.hold_answers = true;
    model_answer(&m, request);
    ck_assert_int_eq(m.begun_count, 1);
    act_unlead(m.core, 0, m.now);
    m.hold_answers = false;
    model_settle(&m);
    model_pass(&m, 5000);
    ck_assert_int_eq(m.writes, 0);
}
END_TEST

START_TEST(a_drain_starts_nothing_new)
{
    model_lead(&m);
    act_drain(m.core);
    (void)model_want(&m, 0, 9, false);
    model_pass(&m, 120000);
    ck_assert_int_eq(m.writes, 0);
    ck_assert_uint_eq(act_in_flight(m.core, 0), 0);
}
END_TEST

/* ---- between the journal and the request ---- */

enum meanwhile {
    MEANWHILE_HIGHER,
    MEANWHILE_RAISE_ONLY,
    MEANWHILE_PAUSED,
    MEANWHILE_LATE,
    MEANWHILE_OTHER_LEASE,
    MEANWHILE_DRAINING,
    MEANWHILE_NO_KEY,
    MEANWHILE_NOT_CLEAR,
    MEANWHILE_COUNT
};

START_TEST(an_intent_that_is_overtaken_sends_nothing)
{
    struct command pause = {
        .verb = COMMAND_PAUSE, .app = DYN_STR("alpha"), .until_ms = WALL + 10000000};
    model_lead(&m);
    m.hold_answers = true;
    (void)model_want(&m, 0, 9, false);
    ck_assert_int_eq(m.sent_count, 1); /* maintenance */
    struct act_request request = m.sent[--m.sent_count];
    model_answer(&m, request);
    ck_assert_int_eq(m.begun_count, 1);
    switch ((enum meanwhile)_i) {
    case MEANWHILE_HIGHER:
        (void)model_want(&m, 0, 11, false);
        break;
    case MEANWHILE_RAISE_ONLY:
        (void)model_want(&m, 0, 2, true);
        break;
    case MEANWHILE_PAUSED:
        act_command(m.core, &pause, m.now);
        break;
    case MEANWHILE_LATE:
        m.now.boot_ms += ACT_BEGIN_MAX_AGE_MS + 1;
        break;
    case MEANWHILE_OTHER_LEASE:
        act_unlead(m.core, 0, m.now);
        act_lead(m.core, 0, 9, NULL, m.now);
        act_journal_loaded(m.core, 0, m.now);
        break;
    case MEANWHILE_DRAINING:
        act_drain(m.core);
        break;
    case MEANWHILE_NO_KEY:
        act_key(m.core, 0, false, "gone", m.now);
        break;
    case MEANWHILE_NOT_CLEAR:
        ck_assert_uint_eq(act_writing(m.core, 0), 1);
        ck_assert_uint_eq(act_write_account(m.core, m.begun[0]), 0);
        act_clear(m.core, 0, false, m.now);
        ck_assert_uint_eq(act_write_account(m.core, m.begun[0]), SIZE_MAX);
        break;
    case MEANWHILE_COUNT:
        break;
    }
    m.begun_count = 0;
    act_begun(m.core, m.begun[0], DYN_OK, m.now);
    for (int i = 0; i < m.sent_count; i++) {
        ck_assert(!act_is_write(m.sent[i].kind));
    }
    ck_assert_int_eq(m.last_outcome, ACTION_FAILED);
    ck_assert_int_eq(m.ends, 1);
}
END_TEST

/* ---- what a journal, a limit, a mark or a reload says ---- */

START_TEST(cooldowns_of_the_journal_go_on)
{
    int64_t said = _i == 2 ? WALL + 10000000 : WALL - 10000; /* a clock that ran ahead is now */
    struct intent intent = {.controller = 100, .confirmed = 4, .manual_floor = -1};
    m.controllers[0].scale_up_cooldown_ms = 60000;
    intent.last_up_ms = _i == 1 ? 0 : said;
    intent.last_down_ms = _i == 1 ? said : 0;
    act_lead(m.core, 0, 8, NULL, m.now);
    act_journal_entry(m.core, 0, &intent, m.now);
    act_journal_loaded(m.core, 0, m.now);
    model_settle(&m);
    model_pass(&m, 1000);
    model_mark(&m);
    (void)model_want(&m, 0, _i == 1 ? 3 : 9, false);
    ck_assert_int_eq(model_guard(&m, 0), _i == 1 ? GUARD_DOWN_COOLDOWN : GUARD_UP_COOLDOWN);
    for (int i = 0; i < 7; i++) {
        model_pass(&m, 10000);
        model_mark(&m);
    }
    ck_assert_int_eq(m.quantity[0], _i == 1 ? 3 : 9);
}
END_TEST

START_TEST(an_entry_of_another_accounts_journal_is_ignored)
{
    teardown();
    model_init(&m, 2, 2);
    struct intent intent = {.controller = 100, .from = 4, .to = 9, .open = true, .confirmed = 4};
    act_lead(m.core, 0, 8, NULL, m.now);
    act_lead(m.core, 1, 8, NULL, m.now);
    act_journal_entry(m.core, 1, &intent, m.now);
    act_journal_loaded(m.core, 0, m.now);
    act_journal_loaded(m.core, 1, m.now);
    model_settle(&m);
    model_pass(&m, 1000);
    (void)model_want(&m, 0, 6, false);
    ck_assert_int_eq(m.quantity[0], 6);
}
END_TEST

START_TEST(a_limit_is_shared_with_the_apps_other_controllers)
{
    teardown();
    model_init(&m, 1, 1);
    model_controller(&m.controllers[1], 101);
    m.controllers[1].name = m.controllers[1].process_type = "worker";
    m.apps[0].controllers_count = 2;
    teardown();
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

START_TEST(a_reload_to_another_process_type_forgets_what_ran)
{
    model_lead(&m);
    struct config next = m.config;
    struct config_controller controller = m.controllers[0];
    struct config_app app = m.apps[0];
    struct actual actual;
    controller.process_type = "worker";
    app.controllers = &controller;
    next.apps = &app;
    ck_assert_int_eq(act_core_reload(m.core, &next, m.now), DYN_OK);
    ck_assert_int_eq(act_explain(m.core, 100, m.now, &actual), DYN_OK);
    ck_assert_int_eq(actual.running, -1);
    m.others = 2;
    model_pass(&m, 1000);
    ck_assert_int_eq(act_explain(m.core, 100, m.now, &actual), DYN_OK);
    ck_assert_int_eq(actual.running, 2);
    ck_assert_ptr_null(strstr(m.events, "human_change"));
}
END_TEST

/* ---- budget, shares, reload ---- */

START_TEST(two_keys_of_one_account_share_one_budget)
{
    teardown();
    model_init(&m, 2, 2);
    m.identity[1] = "one";
    model_lead(&m);
    ck_assert_int_eq(act_tokens(m.core, 0), act_tokens(m.core, 1));
    int64_t before = act_tokens(m.core, 1);
    (void)model_want(&m, 0, 9, false);
    ck_assert_int_lt(act_tokens(m.core, 1), before);
    teardown();
    model_init(&m, 2, 2);
    model_lead(&m);
    model_fail_next(&m, ACT_WRITE, ACT_RATE_LIMITED, 429, 1);
    (void)model_want(&m, 0, 9, false);
    (void)model_want(&m, 1, 9, false);
    ck_assert_int_eq(m.quantity[0], 4);
    ck_assert_int_eq(m.quantity[1], 9);
}
END_TEST

/* `changed` is the account whose key becomes one of another account. */
START_TEST(a_key_of_another_account_leaves_the_shared_budget)
{
    size_t changed = (size_t)_i;
    size_t kept = 1 - changed;
    teardown();
    model_init(&m, 2, 2);
    m.identity[1] = "one";
    model_lead(&m);
    m.identity[changed] = "three";
    act_key(m.core, changed, true, NULL, m.now);
    model_pass(&m, 1000);
    model_fail_next(&m, ACT_WRITE, ACT_RATE_LIMITED, 429, 1);
    (void)model_want(&m, kept, 9, false);
    (void)model_want(&m, changed, 9, false);
    ck_assert_int_eq(m.quantity[kept], 4);
    ck_assert_int_eq(m.quantity[changed], 9);
    model_pass(&m, 60000);
    ck_assert_int_eq(m.quantity[kept], 9);
    ck_assert_uint_eq(act_in_flight(m.core, 0), 0);
}
END_TEST

START_TEST(the_greatest_relative_shortage_goes_first)
{
    teardown();
    model_init(&m, 4, 1);
    m.quantity[0] = 20;
    m.quantity[1] = 2;
    model_lead(&m);
    model_fail_next(&m, ACT_WRITE, ACT_RATE_LIMITED, 429, 1);
    m.fault[model_kind(&m, ACT_WRITE)].retry_after_ms = 1000;
    (void)model_want(&m, 3, 5, false); /* brings the wait */
    (void)model_want(&m, 0, 30, false);
    (void)model_want(&m, 1, 10, false);
    m.hold_answers = true;
    m.sent_count = 0;
    for (int i = 0; i < 20 && m.sent_count == 0; i++) {
        m.now.boot_ms += 250;
        act_tick(m.core, m.now);
        if (m.sent_count > 0 && m.sent[0].kind == ACT_READ_LIMITS) {
            struct act_request request = m.sent[0];
            memmove(m.sent, m.sent + 1, (size_t)--m.sent_count * sizeof *m.sent);
            model_answer(&m, request);
        }
    }
    ck_assert_int_gt(m.sent_count, 0);
    ck_assert_str_eq(m.sent[0].app, "beta");
}
END_TEST

START_TEST(a_reload_keeps_what_is_known)
{
    model_lead(&m);
    (void)model_want(&m, 0, 9, false);
    struct config next = m.config;
    struct config_controller controller = m.controllers[0];
    struct config_app app = m.apps[0];
    controller.max_resource = 8;
    app.controllers = &controller;
    next.apps = &app;
    ck_assert_int_eq(act_core_reload(m.core, &next, m.now), DYN_OK);
    struct actual actual;
    ck_assert_int_eq(act_explain(m.core, 100, m.now, &actual), DYN_OK);
    ck_assert_int_eq(actual.running, 9);
    ck_assert_int_eq(actual.target, -1);
    ck_assert_int_eq(model_want(&m, 0, 9, false), DYN_REFUSED);
    model_pass(&m, 1000);
    ck_assert_int_eq(m.quantity[0], 9);
    next.apps_count = 0;
    ck_assert_int_eq(act_core_reload(m.core, &next, m.now), DYN_OK);
    ck_assert_int_eq(act_explain(m.core, 100, m.now, &actual), DYN_NOTFOUND);
}
END_TEST

START_TEST(answers_after_a_reload_find_their_app)
{
    model_lead(&m);
    model_pass(&m, 20000);
    m.hold_answers = true;
    (void)model_want(&m, 0, 9, false);
    ck_assert_int_eq(m.sent_count, 1);
    struct config next = m.config;
    ck_assert_int_eq(act_core_reload(m.core, &next, m.now), DYN_OK);
    m.hold_answers = false;
    model_settle(&m);
    model_pass(&m, 1000);
    ck_assert_int_eq(m.quantity[0], 9);
    ck_assert_uint_eq(act_in_flight(m.core, 0), 0);
    m.hold_answers = true;
    model_pass(&m, 20000);
    (void)model_want(&m, 0, 12, false);
    next.apps_count = 0;
    ck_assert_int_eq(act_core_reload(m.core, &next, m.now), DYN_OK);
    m.hold_answers = false;
    model_settle(&m);
    ck_assert_int_eq(m.quantity[0], 9);
    ck_assert_uint_eq(act_in_flight(m.core, 0), 0);
}
END_TEST

static void random_fault(void)
{
    static const enum act_class classes[] = {ACT_NOT_SENT,  ACT_UNCERTAIN, ACT_ACCOUNT_BAD,
                                             ACT_FORBIDDEN, ACT_CONFLICT,  ACT_LIMIT,
                                             ACT_REFUSED,   ACT_UNCERTAIN, ACT_RATE_LIMITED};
    static const enum act_request_kind kinds[] = {ACT_READ_FORMATION, ACT_READ_APP,
                                                  ACT_READ_ACCOUNT, ACT_READ_LIMITS, ACT_WRITE};
    enum act_request_kind kind = model_kind(&m, kinds[model_dice(sizeof kinds / sizeof *kinds)]);
    enum act_class class = classes[model_dice(sizeof classes / sizeof *classes)];
    model_fail_next(&m, kind, class, 500, 1 + (int)model_dice(3));
    m.fault[kind].limit = class == ACT_LIMIT ? (int32_t)model_dice(60) : -1;
    m.applied_anyway = class == ACT_UNCERTAIN && model_dice(2) == 0;
}

/* Never two in flight an app, never an equal quantity, never out of range: checked in the model's
 * callbacks. Never below what a raise_only target found running, never a token too many: here. */
START_TEST(a_random_walk_breaks_no_invariant)
{
    bool of_plans = m.plans;
    teardown();
    model_init(&m, 4, 1);
    if (of_plans) {
        teardown();
        model_scale_plans(&m);
        model_start(&m);
    }
    model_seed((uint64_t)_i + 1);
    m.tokens = m.tokens_max = 20 + (int64_t)model_dice(200);
    m.refill_ms = 1000 + (int64_t)model_dice(5000);
    if (_i % 2 == 1) { /* nothing is left to people: the last token may be used, and no more */
        teardown();
        m.accounts[0].reserve_percent = 0;
        m.tokens = m.tokens_max = 5;
        model_start(&m);
    }
    model_lead(&m);
    m.lazy = true;
    for (int step = 0; step < 3000; step++) {
        size_t app = model_dice(4);
        switch (model_dice(10)) {
        case 0:
        case 1:
        case 2:
            m.lowest_checked = true;
            for (size_t i = 0; i < 4; i++) {
                struct actual actual;
                ck_assert_int_eq(act_explain(m.core, 100 + i, m.now, &actual), DYN_OK);
                m.lowest[i] = actual.raise_only && actual.running > 0 ? actual.running : 0;
            }
            m.lowest[app] = 0;
            (void)model_want(&m, app, (int32_t)model_dice(60), model_dice(3) == 0);
            m.lowest_checked = false;
            break;
        case 3:
            random_fault();
            break;
        case 4:
            m.quantity[app] = (int32_t)model_dice(30);
            m.provisioning = of_plans && model_dice(3) == 0;
            break;
        case 5:
            act_unlead(m.core, 0, m.now);
            act_lead(m.core, 0, 7 + (uint64_t)step, NULL, m.now);
            act_journal_loaded(m.core, 0, m.now);
            model_settle(&m);
            break;
        default:
            model_mark(&m);
            model_pass(&m, (int64_t)model_dice(40) * 250);
            break;
        }
        m.events[0] = '\0';
        ck_assert_int_eq(m.overdrawn, 0);
    }
    ck_assert_int_gt(m.writes, of_plans ? 0 : 10);
    m.provisioning = false;
    /* I6: left in peace, everything ends at its target or a guard says why. */
    memset(m.faults, 0, sizeof m.faults);
    m.lazy = false;
    for (int i = 0; i < 4; i++) {
        model_pass(&m, 2000000);
        m.events[0] = '\0';
    }
    for (size_t i = 0; i < 4; i++) {
        struct actual actual;
        ck_assert_int_eq(act_explain(m.core, 100 + i, m.now, &actual), DYN_OK);
        ck_assert(actual.running == actual.target || actual.guard != GUARD_NONE);
        ck_assert_int_eq(m.in_flight[i], 0);
    }
}
END_TEST

START_TEST(the_same_events_give_the_same_effects)
{
    int writes[2];
    int64_t tokens[2];
    for (int i = 0; i < 2; i++) {
        teardown();
        model_init(&m, 4, 1);
        model_fail_next(&m, ACT_WRITE, ACT_UNCERTAIN, 503, 5);
        model_lead(&m);
        for (size_t app = 0; app < 4; app++) {
            (void)model_want(&m, app, 9, false);
        }
        model_pass(&m, 30000);
        writes[i] = m.writes;
        tokens[i] = m.tokens;
    }
    ck_assert_int_eq(writes[0], writes[1]);
    ck_assert_int_eq(tokens[0], tokens[1]);
}
END_TEST

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
    tcase_add_test(tcase, lowered_by_hand_moves_nothing_for_manual_hold);
    tcase_add_test(tcase, a_write_that_heroku_did_not_keep_is_tried_again);
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
    tcase_add_test(tcase, an_open_intent_of_before_waits_and_is_settled_by_a_reading);
    tcase_add_test(tcase, nothing_is_asked_for_apps_before_their_account_is_clear);
    tcase_add_test(tcase, a_key_of_another_account_must_be_cleared_anew);
    tcase_add_test(tcase, settling_outlasts_the_last_request_of_whoever_wrote_before);
    tcase_add_test(tcase, what_was_given_up_is_settled_at_once);
    tcase_add_test(tcase, without_an_open_intent_nobody_waits_for_the_one_before);
    tcase_add_test(tcase, a_journal_that_lost_something_makes_every_app_wait_and_accuses_nobody);
    tcase_add_test(tcase, a_human_change_while_we_were_down_is_seen);
    tcase_add_test(tcase, what_the_journal_lost_while_another_led_is_nobodys_doing);
    tcase_add_test(tcase, a_hold_of_the_journal_lasts_no_longer_than_configured);
    tcase_add_test(tcase, a_reading_asked_for_before_the_lease_says_nothing);
    tcase_add_test(tcase, a_lost_lease_stops_writing_at_once);
    tcase_add_test(tcase, an_intent_that_cannot_be_recorded_is_not_acted_upon);
    tcase_add_test(tcase, a_lease_lost_between_journal_and_request_sends_nothing);
    tcase_add_test(tcase, a_drain_starts_nothing_new);
    tcase_add_loop_test(tcase, an_intent_that_is_overtaken_sends_nothing, 0, MEANWHILE_COUNT);
    tcase_add_loop_test(tcase, cooldowns_of_the_journal_go_on, 0, 3);
    tcase_add_test(tcase,
                   after_another_history_any_epoch_is_taken_and_nothing_falls_before_its_mark);
    tcase_add_test(tcase, a_mark_of_an_epoch_that_is_over_is_no_sign_of_life);
    tcase_add_test(tcase, lowered_by_hand_to_what_ran_before_is_a_human_after_a_while);
    tcase_add_test(tcase, a_write_without_an_answer_explains_nothing_for_ever);
    tcase_add_test(tcase, a_refusal_ends_with_its_target);
    tcase_add_test(tcase, a_pause_of_something_else_holds_nothing);
    tcase_add_test(tcase, a_reload_keeps_what_is_known);
    tcase_add_test(tcase, answers_after_a_reload_find_their_app);
    tcase_add_loop_test(tcase, a_random_walk_breaks_no_invariant, 0, 12);
}

static void add_dynos(TCase *tcase)
{
    tcase_add_test(tcase, what_runs_is_told_at_once_and_again_where_a_target_needs_it);
    tcase_add_test(tcase, a_fall_goes_by_a_quarter_and_waits_between);
    tcase_add_test(tcase, a_fall_from_above_every_maximum_goes_by_steps_too);
    tcase_add_test(tcase, zero_is_left_alone_until_it_ends);
    tcase_add_test(tcase, raised_by_hand_is_a_floor_for_manual_hold);
    tcase_add_test(tcase, a_limit_is_applied_less_the_other_process_types);
    tcase_add_test(tcase, a_limit_below_what_runs_lowers_nothing);
    tcase_add_test(tcase, another_refusal_is_remembered_until_the_target_changes);
    tcase_add_test(tcase, an_entry_of_another_accounts_journal_is_ignored);
    tcase_add_test(tcase, a_limit_is_shared_with_the_apps_other_controllers);
    tcase_add_test(tcase, a_change_taken_otherwise_than_asked_for_is_not_hammered);
    tcase_add_test(tcase, a_reload_to_another_process_type_forgets_what_ran);
    tcase_add_test(tcase, two_keys_of_one_account_share_one_budget);
    tcase_add_loop_test(tcase, a_key_of_another_account_leaves_the_shared_budget, 0, 2);
    tcase_add_test(tcase, the_greatest_relative_shortage_goes_first);
    tcase_add_test(tcase, the_same_events_give_the_same_effects);
}

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
    tcase_add_test(tcase, a_reload_to_another_add_on_forgets_what_is_there);
    tcase_add_loop_test(tcase, the_add_on_that_is_meant_is_found_or_it_is_said_why_not, 0,
                        (int)(sizeof addon_cases / sizeof *addon_cases));
}

static void add_both(TCase *tcase)
{
    tcase_add_test(tcase, both_of_an_app_are_read_and_written_one_at_a_time);
    tcase_add_test(tcase, dynos_move_while_the_add_ons_cannot_be_read);
    tcase_add_test(tcase, plans_move_while_the_formation_is_refused);
    tcase_add_test(tcase, dynos_move_while_a_plan_is_being_changed);
    tcase_add_test(tcase, a_limit_on_dynos_leaves_plans_alone);
}

static TCase *tcase_new(Suite *suite, const char *name, SFun set_up)
{
    TCase *tcase = tcase_create(name);
    tcase_add_checked_fixture(tcase, set_up, teardown);
    tcase_set_timeout(tcase, 60);
    suite_add_tcase(suite, tcase);
    return tcase;
}

int main(void)
{
    Suite *suite = suite_create("actuator_core");
    TCase *dynos = tcase_new(suite, "dynos", setup);
    TCase *of_plans = tcase_new(suite, "plans", setup_plans);
    add_all(dynos);
    add_dynos(dynos);
    add_all(of_plans);
    add_plans(of_plans);
    add_both(tcase_new(suite, "both", setup_both));
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
