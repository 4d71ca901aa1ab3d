/* The actuator's core: leases, the journal, and what follows from who led an account before. */
#include "tests/unit/support_actuator.h"

#include <check.h>

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
        ck_assert_uint_eq(act_write_account(m.core, m.begun[0], m.now), 0);
        act_clear(m.core, 0, false, m.now);
        ck_assert_uint_eq(act_write_account(m.core, m.begun[0], m.now), SIZE_MAX);
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

START_TEST(a_fall_that_is_overtaken_on_its_way_does_not_leave)
{
    struct command pause = {.verb = COMMAND_PAUSE, .app = DYN_STR("alpha"), .until_ms = INT64_MAX};
    m.quantity[0] = 8;
    model_lead(&m);
    model_mark(&m);
    m.hold_answers = true;
    (void)model_want(&m, 0, 6, false);
    struct act_request request = m.sent[--m.sent_count]; /* maintenance */
    model_answer(&m, request);
    act_begun(m.core, m.begun[--m.begun_count], DYN_OK, m.now);
    ck_assert_int_eq(m.sent_count, 1);
    ck_assert_int_eq(m.sent[0].kind, ACT_WRITE);
    m.now.boot_ms += 3000; /* it connects */
    ck_assert_uint_eq(act_write_account(m.core, m.sent[0].token, m.now), 0);
    (void)model_want(&m, 0, 5, false);
    ck_assert_uint_eq(act_write_account(m.core, m.sent[0].token, m.now), 0);
    if (_i == 0) {
        (void)model_want(&m, 0, 20, false);
    } else if (_i == 1) {
        (void)model_want(&m, 0, 6, true);
    } else {
        act_command(m.core, &pause, m.now);
    }
    ck_assert_uint_eq(act_write_account(m.core, m.sent[0].token, m.now), SIZE_MAX);
}
END_TEST

START_TEST(a_write_that_heroku_told_to_wait_on_its_way_does_not_leave)
{
    model_teardown();
    model_init(&m, 2, 1);
    m.quantity[0] = 4;
    model_lead(&m);
    model_mark(&m);
    m.hold_answers = true;
    (void)model_want(&m, 0, 6, false);
    struct act_request request = m.sent[--m.sent_count]; /* maintenance */
    model_answer(&m, request);
    act_begun(m.core, m.begun[--m.begun_count], DYN_OK, m.now);
    ck_assert_int_eq(m.sent[0].kind, ACT_WRITE);
    (void)model_want(&m, 1, 9, false); /* another app of the account asks something */
    ck_assert_int_eq(m.sent_count, 2);
    ck_assert_uint_eq(act_write_account(m.core, m.sent[0].token, m.now), 0);
    model_fail_next(&m, m.sent[1].kind, ACT_RATE_LIMITED, 429, 1);
    model_answer(&m, m.sent[1]);
    ck_assert_uint_eq(act_write_account(m.core, m.sent[0].token, m.now), SIZE_MAX);
}
END_TEST

/* ---- what a journal says ---- */

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
    model_teardown();
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

/* ---- who led before whom ---- */

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

/* What epoch 7 noted last. */
static const struct intent noted = {
    .controller = 100, .from = 9, .to = 9, .epoch = 7, .confirmed = 9, .manual_floor = -1};

START_TEST(a_doubt_is_over_when_the_journal_says_no_more_than_is_known)
{
    lead_with(&(struct act_former){.settle_ms = 11000, .doubtful = true}, &noted);
    ck_assert_int_eq(m.notes, 1);
    ck_assert_int_eq(m.journal[0].confirmed, -1);
    model_pass(&m, 10000);
    ck_assert_int_eq(m.trusted, 0);
    model_pass(&m, 60000);
    ck_assert_int_eq(m.trusted, 1);
    ck_assert_int_eq(m.journal[0].confirmed, 4);
}
END_TEST

START_TEST(a_doubt_lasts_as_long_as_something_of_before_is_open)
{
    model_fail_next(&m, ACT_READ_FORMATION, ACT_FORBIDDEN, 403, 1);
    lead_with(&(struct act_former){.settle_ms = 11000, .doubtful = true}, &left_open);
    model_pass(&m, 60000);
    ck_assert_int_eq(m.trusted, 0);
    model_pass(&m, ACT_BLOCKED_MS);
    ck_assert_int_eq(m.ends, 1);
    ck_assert_int_eq(m.trusted, 1);
}
END_TEST

START_TEST(a_journal_without_a_doubt_is_not_noted_anew)
{
    lead_with(&(struct act_former){.settle_ms = 6000}, &noted);
    model_pass(&m, 60000);
    ck_assert_int_eq(m.trusted, 0);
    ck_assert_int_eq(m.notes, 1); /* what the reading told */
    ck_assert_ptr_nonnull(strstr(m.events, "human_change"));
}
END_TEST

/* Also when the machine was started since. */
START_TEST(a_successor_counts_the_last_changes_of_those_before_it)
{
    struct intent intent = noted;
    m.controllers[0].max_changes_per_hour = 2;
    m.controllers[0].scale_down_cooldown_ms = 0;
    m.quantity[0] = 9;
    intent.last_up_ms = WALL - 600000;
    intent.last_down_ms = WALL - 1200000;
    m.now.boot_ms = _i == 0 ? 100000000 : 100000;
    lead_with(NULL, &intent);
    (void)model_want(&m, 0, 11, false);
    model_pass(&m, 2000);
    ck_assert_int_eq(m.quantity[0], 9);
    ck_assert_int_eq(model_guard(&m, 0), GUARD_CHANGES);
    model_pass(&m, 3900000);
    ck_assert_int_eq(m.quantity[0], 11);
}
END_TEST

/* Whatever is scaled. */
static void add_all(TCase *tcase)
{
    tcase_add_test(tcase, an_open_intent_of_before_waits_and_is_settled_by_a_reading);
    tcase_add_test(tcase, settling_outlasts_the_last_request_of_whoever_wrote_before);
    tcase_add_test(tcase, what_was_given_up_is_settled_at_once);
    tcase_add_test(tcase, without_an_open_intent_nobody_waits_for_the_one_before);
    tcase_add_test(tcase, a_journal_that_lost_something_makes_every_app_wait_and_accuses_nobody);
    tcase_add_test(tcase, nothing_is_asked_for_apps_before_their_account_is_clear);
    tcase_add_test(tcase, a_key_of_another_account_must_be_cleared_anew);
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
}

static void add_dynos(TCase *tcase)
{
    tcase_add_test(tcase, an_entry_of_another_accounts_journal_is_ignored);
    tcase_add_loop_test(tcase, a_fall_that_is_overtaken_on_its_way_does_not_leave, 0, 3);
    tcase_add_test(tcase, a_write_that_heroku_told_to_wait_on_its_way_does_not_leave);
    tcase_add_loop_test(tcase, only_what_the_last_epoch_left_open_is_settled_at_once, 0, 2);
    tcase_add_test(tcase, a_wait_outlasts_a_lease_that_is_lost_and_taken_again);
    tcase_add_test(tcase, a_doubt_is_over_when_the_journal_says_no_more_than_is_known);
    tcase_add_test(tcase, a_doubt_lasts_as_long_as_something_of_before_is_open);
    tcase_add_loop_test(tcase, a_successor_counts_the_last_changes_of_those_before_it, 0, 2);
    tcase_add_test(tcase, a_journal_without_a_doubt_is_not_noted_anew);
}

int main(void)
{
    Suite *suite = suite_create("actuator_takeover");
    TCase *dynos = model_tcase_dynos(suite);
    TCase *of_plans = model_tcase_plans(suite);
    add_all(dynos);
    add_dynos(dynos);
    add_all(of_plans);
    return model_run(suite);
}
