#include "actuator/core_internal.h"

void act_flight_begin(struct act_core *core, const struct act_need *need, struct act_flight *flight,
                      struct act_now now)
{
    struct act_ctl *ctl = &core->ctls[need->ctl];
    flight->kind = need->kind;
    flight->ctl = need->ctl;
    flight->target = ctl->target;
    flight->intent = act_intent_make(core, ctl, now);
    flight->intent.to = need->want;
    flight->intent.open = true;
    core->effects.begin(core->effects.arg, flight->token, flight->account,
                        core->apps[need->app].config->name, &flight->intent);
}

/* Why a recorded intent is not acted upon after all; NULL: it is. */
static const char *begun_refusal(struct act_core *core, const struct act_flight *flight,
                                 struct act_now now)
{
    const struct act_account *account = &core->accounts[flight->account];
    if (flight->app == ACT_NONE) {
        return "the app has left the configuration";
    }
    if (!act_can_ask(core, account) || account->epoch != flight->intent.epoch) {
        return "the lease was lost, the program ends, or pauses are read anew";
    }
    if (account->identity_state == IDENTITY_UNKNOWN) {
        return "whose the key is is asked anew";
    }
    if (now.boot_ms - flight->at > ACT_BEGIN_MAX_AGE_MS) {
        return "recording the intent took too long";
    }
    const struct act_ctl *ctl = &core->ctls[flight->ctl];
    struct act_verdict verdict = act_ctl_judge(core, ctl, now);
    int64_t until;
    if (act_ctl_blocked(core, ctl, now, &until) != GUARD_NONE || !verdict.write ||
        verdict.want != flight->intent.to || ctl->running != flight->intent.from) {
        return "the decision changed meanwhile";
    }
    return NULL;
}

static void begun_give_up(struct act_core *core, struct act_flight *flight, const char *why,
                          struct act_now now)
{
    if (flight->app != ACT_NONE) {
        struct act_ctl *ctl = &core->ctls[flight->ctl];
        struct action action = act_action_make(core, ctl, &flight->intent, flight->target, now);
        action.outcome = ACTION_FAILED;
        char words[ACT_WORDS_MAX];
        (void)snprintf(words, sizeof words, "nothing was sent: %s", why);
        action.words = dyn_str_from(words);
        act_ctl_settle(core, ctl, now, &flight->intent, &action);
    }
}

void act_begun(struct act_core *core, uint64_t token, dyn_err err, struct act_now now)
{
    struct act_flight *flight = act_flight_find(core, token);
    if (flight == NULL) {
        return;
    }
    DYN_ASSERT(act_is_write(flight->kind) && !flight->begun);
    const char *refusal = err == DYN_OK ? begun_refusal(core, flight, now) : NULL;
    if (err == DYN_OK && refusal == NULL) {
        flight->begun = true;
        flight->at = now.boot_ms;
        act_flight_send(core, flight);
        return;
    }
    struct act_budget *budget = act_account_budget(core, flight->account);
    act_budget_answered(budget, flight->number, false, -1, now.boot_ms);
    size_t app = flight->app;
    size_t account = flight->account;
    if (err == DYN_OK) {
        begun_give_up(core, flight, refusal, now);
    } else if (app != ACT_NONE) {
        core->ctls[flight->ctl].journal_at = now.boot_ms + ACT_JOURNAL_RETRY_MS;
        if (err == DYN_BUSY) {
            /* Every intent of a former holder is settled before: it is one of ours whose recording
             * went unanswered, and nothing was sent for it. */
            begun_give_up(core, flight, "recording the intent went unanswered", now);
        }
    }
    act_flight_free(core, flight);
    if (err == DYN_FENCED && core->accounts[account].led) {
        act_unlead(core, account, now);
        if (core->effects.fenced != NULL) {
            core->effects.fenced(core->effects.arg, account);
        }
    }
    if (app != ACT_NONE) {
        act_app_step(core, app, now);
    }
}
