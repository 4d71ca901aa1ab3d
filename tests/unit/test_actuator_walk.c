/* The actuator's core: whatever happens, no invariant breaks. */
#include "tests/unit/support_actuator.h"

#include <check.h>
#include <stdlib.h>

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
    model_teardown();
    model_init(&m, 4, 1);
    if (of_plans) {
        model_teardown();
        model_scale_plans(&m);
        model_start(&m);
    }
    model_seed((uint64_t)_i + 1);
    m.tokens = m.tokens_max = 20 + (int64_t)model_dice(200);
    m.refill_ms = 1000 + (int64_t)model_dice(5000);
    if (_i % 2 == 1) { /* nothing is left to people: the last token may be used, and no more */
        model_teardown();
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
        model_teardown();
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

/* Whatever is scaled. */
static void add_all(TCase *tcase)
{
    tcase_add_loop_test(tcase, a_random_walk_breaks_no_invariant, 0, 12);
}

static void add_dynos(TCase *tcase)
{
    tcase_add_test(tcase, the_same_events_give_the_same_effects);
}

int main(void)
{
    Suite *suite = suite_create("actuator_walk");
    TCase *dynos = model_tcase_dynos(suite);
    TCase *of_plans = model_tcase_plans(suite);
    add_all(dynos);
    add_dynos(dynos);
    add_all(of_plans);
    return model_run(suite);
}
