/* The actuator's core: other configurations, and keys that share an account. */
#include "tests/unit/support_actuator.h"

#include <check.h>

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

START_TEST(two_keys_of_one_account_share_one_budget)
{
    model_teardown();
    model_init(&m, 2, 2);
    m.identity[1] = "one";
    model_lead(&m);
    ck_assert_int_eq(act_tokens(m.core, 0), act_tokens(m.core, 1));
    int64_t before = act_tokens(m.core, 1);
    (void)model_want(&m, 0, 9, false);
    ck_assert_int_lt(act_tokens(m.core, 1), before);
    model_teardown();
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
    model_teardown();
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
    model_teardown();
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

/* Until requests of that kind are under way, which alone are left unanswered; the first of them. */
static struct act_request pass_until(enum act_request_kind kind)
{
    m.hold_answers = true;
    for (int ticks = 0; m.sent_count == 0; ticks++) {
        ck_assert_int_lt(ticks, 1000);
        m.now.boot_ms += ACT_TICK_MS;
        act_tick(m.core, m.now);
        for (int i = 0; i < m.sent_count; i++) {
            struct act_request request = m.sent[i];
            if (request.kind != kind) {
                m.sent[i--] = m.sent[--m.sent_count];
                model_answer(&m, request);
            }
        }
    }
    return m.sent[0];
}

/* Of two that share a budget, the one leaves that has a request under way. */
START_TEST(an_account_that_leaves_takes_its_requests_out_of_a_shared_budget)
{
    static const enum act_request_kind kinds[] = {ACT_READ_LIMITS, ACT_READ_FORMATION};
    model_teardown();
    model_init(&m, 2, 2);
    m.identity[1] = "one";
    model_lead(&m);
    size_t left = 1 - pass_until(kinds[_i]).account;
    struct config next = m.config;
    struct config_app app = m.apps[left];
    app.account = 0;
    next.accounts = &m.accounts[left];
    next.accounts_count = 1;
    next.apps = &app;
    next.apps_count = 1;
    ck_assert_int_eq(act_core_reload(m.core, &next, m.now), DYN_OK);
    m.hold_answers = false;
    model_settle(&m);
    model_fail_next(&m, ACT_WRITE, ACT_RATE_LIMITED, 429, 1);
    (void)model_want(&m, left, 9, false);
    model_pass(&m, 120000);
    ck_assert_int_eq(m.quantity[left], 9);
    ck_assert_int_gt(act_tokens(m.core, 0), 0);
    ck_assert_int_eq(act_tokens(m.core, 0), m.tokens);
}
END_TEST

/* A core that tells whose its keys are, and a key that becomes another one while it is asked for.
 */
static struct act_request key_asked_for(void)
{
    act_core_free(m.core);
    m.tells = true;
    model_start(&m);
    model_lead(&m);
    act_clear(m.core, 0, true, m.now);
    model_settle(&m);
    act_key(m.core, 0, true, NULL, m.now);
    struct act_request asked = pass_until(ACT_READ_ACCOUNT);
    act_key(m.core, 0, true, NULL, m.now);
    m.sent_count--;
    return asked;
}

START_TEST(whose_the_key_of_before_was_says_nothing_of_the_new_one)
{
    struct act_request asked = key_asked_for();
    model_answer(&m, asked);
    m.identity[0] = "another";
    m.hold_answers = false;
    model_pass(&m, 1000);
    ck_assert_str_eq(m.told, "another");
}
END_TEST

START_TEST(a_refusal_of_the_key_of_before_says_nothing_of_the_new_one)
{
    struct act_request asked = key_asked_for();
    model_fail_next(&m, ACT_READ_ACCOUNT, ACT_ACCOUNT_BAD, 401, 1);
    model_answer(&m, asked);
    m.hold_answers = false;
    model_pass(&m, 1000);
    ck_assert_int_ne(model_guard(&m, 0), GUARD_ACCOUNT);
    ck_assert_ptr_null(strstr(m.events, "heroku_account"));
}
END_TEST

START_TEST(a_reading_refused_with_the_key_of_before_blocks_nothing)
{
    model_lead(&m);
    m.now.boot_ms += ACT_READ_PERIOD_MS;
    struct act_request reading = pass_until(ACT_READ_FORMATION);
    act_key(m.core, 0, true, NULL, m.now);
    m.sent_count--;
    model_fail_next(&m, ACT_READ_FORMATION, ACT_ACCOUNT_BAD, 401, 1);
    model_answer(&m, reading);
    m.hold_answers = false;
    (void)model_want(&m, 0, 9, false);
    model_pass(&m, 5000);
    ck_assert_int_eq(m.quantity[0], 9);
}
END_TEST

START_TEST(nothing_is_written_with_a_key_that_nobody_was_asked_about)
{
    model_lead(&m);
    m.hold_answers = true;
    (void)model_want(&m, 0, 9, false);
    for (int i = 0; m.begun_count == 0 && i < 100; i++) {
        model_pass(&m, ACT_TICK_MS);
        while (m.sent_count > 0) {
            model_answer(&m, m.sent[--m.sent_count]);
        }
    }
    act_key(m.core, 0, true, NULL, m.now); /* a reload: it may be another account's */
    act_begun(m.core, m.begun[--m.begun_count], DYN_OK, m.now);
    for (int i = 0; i < m.sent_count; i++) {
        ck_assert(!act_is_write(m.sent[i].kind));
    }
    ck_assert_int_eq(m.ends, 1);
    m.hold_answers = false;
    model_pass(&m, 5000);
    ck_assert_int_eq(m.quantity[0], 9);
}
END_TEST

START_TEST(a_pause_outlives_a_move_to_another_account)
{
    struct command pause = {.verb = COMMAND_PAUSE, .app = DYN_STR("alpha"), .until_ms = INT64_MAX};
    model_teardown();
    model_init(&m, 2, 2);
    model_lead(&m);
    if (_i == 1) {
        pause.controller = DYN_STR("web");
    }
    act_command(m.core, &pause, m.now);
    struct config next = m.config;
    struct config_app apps[] = {m.apps[0], m.apps[1]};
    apps[0].account = 1;
    next.apps = apps;
    ck_assert_int_eq(act_core_reload(m.core, &next, m.now), DYN_OK);
    model_pass(&m, 1000);
    (void)model_want(&m, 0, 9, false);
    model_pass(&m, 1000);
    ck_assert_int_eq(model_guard(&m, 0), GUARD_PAUSED);
    ck_assert_int_eq(m.quantity[0], 4);
}
END_TEST

/* Whatever is scaled. */
static void add_all(TCase *tcase)
{
    tcase_add_test(tcase, a_reload_keeps_what_is_known);
    tcase_add_test(tcase, answers_after_a_reload_find_their_app);
}

static void add_dynos(TCase *tcase)
{
    tcase_add_test(tcase, a_reload_to_another_process_type_forgets_what_ran);
    tcase_add_test(tcase, two_keys_of_one_account_share_one_budget);
    tcase_add_loop_test(tcase, a_key_of_another_account_leaves_the_shared_budget, 0, 2);
    tcase_add_loop_test(tcase, an_account_that_leaves_takes_its_requests_out_of_a_shared_budget, 0,
                        2);
    tcase_add_test(tcase, whose_the_key_of_before_was_says_nothing_of_the_new_one);
    tcase_add_test(tcase, a_refusal_of_the_key_of_before_says_nothing_of_the_new_one);
    tcase_add_test(tcase, a_reading_refused_with_the_key_of_before_blocks_nothing);
    tcase_add_test(tcase, nothing_is_written_with_a_key_that_nobody_was_asked_about);
    tcase_add_loop_test(tcase, a_pause_outlives_a_move_to_another_account, 0, 2);
    tcase_add_test(tcase, the_greatest_relative_shortage_goes_first);
}

int main(void)
{
    Suite *suite = suite_create("actuator_reload");
    TCase *dynos = model_tcase_dynos(suite);
    TCase *of_plans = model_tcase_plans(suite);
    add_all(dynos);
    add_dynos(dynos);
    add_all(of_plans);
    return model_run(suite);
}
