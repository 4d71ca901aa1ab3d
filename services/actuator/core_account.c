#include "actuator/core_internal.h"

static void account_bad(struct act_core *core, size_t at, const struct act_answer *answer,
                        struct act_now now)
{
    struct act_account *account = &core->accounts[at];
    account->bad_until = now.boot_ms + ACT_BLOCKED_MS;
    dyn_str_copy(account->words, sizeof account->words, answer->words);
    char text[ACT_WORDS_MAX + 64];
    (void)snprintf(text, sizeof text, "Heroku refuses the key (%d): %s", (int)answer->status,
                   account->words);
    act_tell_account(core, at, TOLD_ACCOUNT, true, "heroku_account", text);
}

/* Apps that were refused like a bad key, while the key is good: it is the app. */
static void suspects_settle(struct act_core *core, size_t at, bool blocked, struct act_now now)
{
    for (size_t i = 0; i < core->apps_count; i++) {
        struct act_app *app = &core->apps[i];
        if (app->config->account != at || !app->suspect) {
            continue;
        }
        app->suspect = false;
        if (!blocked) {
            continue;
        }
        app->blocked_until = now.boot_ms + ACT_BLOCKED_MS;
        for (size_t j = app->first; j < app->first + app->count; j++) {
            struct act_ctl *ctl = &core->ctls[j];
            act_tell(core, ctl, &ctl->told, TOLD_CONTROLLER, true, "heroku_controller", ctl->words);
        }
    }
}

/* One that no account uses: there is one while two share. */
static size_t budget_free(const struct act_core *core)
{
    bool used[DYN_CONFIG_ACCOUNTS_MAX] = {false};
    for (size_t i = 0; i < core->accounts_count; i++) {
        used[core->accounts[i].budget] = true;
    }
    size_t at = 0;
    while (used[at]) {
        at++;
    }
    DYN_ASSERT(at < core->accounts_count);
    return at;
}

static void budget_change(struct act_core *core, size_t at, size_t wanted)
{
    struct act_account *account = &core->accounts[at];
    struct act_budget *to = &core->budgets[wanted];
    uint32_t flying = 0;
    bool asking = false;
    for (size_t i = 0; i < core->flights_count; i++) {
        struct act_flight *flight = &core->flights[i];
        if (flight->token != 0 && flight->account == at) {
            flight->number = to->sent;
            flying += flight->counted;
            asking = asking || flight->kind == ACT_READ_LIMITS;
        }
    }
    act_budget_move(&core->budgets[account->budget], to, flying, asking);
    account->budget = wanted;
}

/* Two keys of one account share one budget; keys of two accounts never do, also when a key has
 * become one of another account. */
static void account_join(struct act_core *core, size_t at)
{
    struct act_account *account = &core->accounts[at];
    bool strangers = false;
    for (size_t i = 0; i < core->accounts_count; i++) {
        const struct act_account *other = &core->accounts[i];
        if (i == at || other->identity_state != IDENTITY_KNOWN) {
            continue;
        }
        if (strcmp(other->identity, account->identity) != 0) {
            strangers = strangers || other->budget == account->budget;
        } else if (other->budget != account->budget) {
            const struct act_budget *from = act_account_budget(core, at);
            budget_change(core, at, other->budget);
            act_budget_join(act_account_budget(core, at), from);
            return;
        }
    }
    if (strangers) {
        size_t own = budget_free(core);
        act_budget_init(&core->budgets[own], account->config->reserve_percent);
        budget_change(core, at, own);
    }
}

/* A new one is nobody's business but ours once all who might write to it know. */
static void identity_set(struct act_core *core, size_t at, enum act_identity state,
                         struct dyn_str identity)
{
    struct act_account *account = &core->accounts[at];
    char before[ACT_IDENTITY_MAX];
    memcpy(before, account->identity, sizeof before);
    account->identity_state = state;
    dyn_str_copy(account->identity, sizeof account->identity, identity);
    if (core->effects.identity != NULL) {
        account->clear = account->clear && strcmp(before, account->identity) == 0;
        core->effects.identity(core->effects.arg, at, dyn_str_from(account->identity));
    }
}

void act_answer_account(struct act_core *core, size_t at, const struct act_answer *answer,
                        struct act_now now)
{
    struct act_account *account = &core->accounts[at];
    account->asked = false;
    account->attempts++;
    switch (answer->class) {
    case ACT_OK:
        identity_set(core, at, IDENTITY_KNOWN, answer->identity);
        account_join(core, at);
        act_tell_account(core, at, TOLD_IDENTITY, false, "heroku_identity",
                         "Heroku tells whose key it is");
        break;
    case ACT_ACCOUNT_BAD:
        account->checking = false;
        suspects_settle(core, at, false, now);
        account_bad(core, at, answer, now);
        return;
    case ACT_FORBIDDEN:
    case ACT_CONFLICT:
    case ACT_LIMIT:
    case ACT_REFUSED:
        /* A key that may not ask whose it is may still scale; it gets a budget of its own. */
        identity_set(core, at, IDENTITY_PRIVATE, DYN_STR(""));
        act_tell_account(core, at, TOLD_IDENTITY, true, "heroku_identity",
                         "the key may not read GET /account: if another key belongs to the same "
                         "account, their requests are not counted together");
        break;
    case ACT_RATE_LIMITED:
        return;
    case ACT_NOT_SENT:
    case ACT_UNCERTAIN:
        account->retry_at = now.boot_ms + act_backoff(core, account->attempts);
        return;
    }
    account->attempts = 0;
    account->checking = false;
    account->bad_until = ACT_NEVER;
    suspects_settle(core, at, true, now);
    act_tell_account(core, at, TOLD_ACCOUNT, false, "heroku_account", "Heroku takes the key");
}
