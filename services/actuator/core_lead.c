#include "actuator/core_internal.h"

/* ---- leases ---- */

int64_t act_settle_ms(const struct config_lease *lease, bool stood_still, bool own)
{
    /* A holder that does not know sends its last request at its deadline. */
    int64_t rest_ms = DYN_HTTP_TOTAL_TIMEOUT_MS + (own ? 0 : lease->hold_ms);
    rest_ms -= stood_still ? lease->actuator_wait_ms : 0;
    return (rest_ms > 0 ? rest_ms : 0) + ACT_SETTLE_MARGIN_MS;
}

void act_lead(struct act_core *core, size_t account, uint64_t epoch,
              const struct act_former *former, struct act_now now)
{
    DYN_ASSERT(account < core->accounts_count);
    struct act_account *held = &core->accounts[account];
    held->led = true;
    held->loaded = false;
    held->clear = core->effects.identity == NULL;
    int64_t settle_at = now.boot_ms + (former != NULL ? former->settle_ms : 0);
    held->settle_at = settle_at > held->settle_at ? settle_at : held->settle_at;
    held->clean = former != NULL ? former->clean : 0;
    held->doubtful = former != NULL && former->doubtful;
    held->led_at = now.boot_ms;
    held->epoch = epoch;
    /* Somebody else may have written since the last time: the journal and a reading tell. What the
     * journal has lost is nobody's doing. */
    for (size_t i = 0; i < core->apps_count; i++) {
        struct act_app *app = &core->apps[i];
        if (app->config->account != account) {
            continue;
        }
        act_app_stale(app);
        for (size_t j = app->first; j < app->first + app->count; j++) {
            core->ctls[j].open = false;
            core->ctls[j].doubted = false;
            core->ctls[j].human.confirmed = -1;
        }
    }
}

void act_unlead(struct act_core *core, size_t account, struct act_now now)
{
    DYN_ASSERT(account < core->accounts_count);
    (void)now;
    core->accounts[account].led = false;
    core->accounts[account].loaded = false;
    core->accounts[account].clear = false;
}

void act_clear(struct act_core *core, size_t account, bool clear, struct act_now now)
{
    DYN_ASSERT(account < core->accounts_count);
    struct act_account *held = &core->accounts[account];
    bool begins = clear && held->led && !held->clear;
    held->clear = clear && held->led;
    if (begins && held->loaded) {
        act_tick(core, now);
    }
}

/* ---- the journal ---- */

/* A time on somebody's wall clock. One that lies ahead is now: waits never grow by a clock. */
static int64_t past_to_boot(int64_t wall, struct act_now now)
{
    if (wall <= 0) {
        return ACT_NEVER;
    }
    return wall >= now.wall_ms ? now.boot_ms : now.boot_ms - (now.wall_ms - wall);
}

/* The request behind an intent has ended by then. */
static int64_t intent_settle_at(const struct act_account *held, const struct intent *intent)
{
    return held->clean != 0 && intent->epoch == held->clean ? held->led_at : held->settle_at;
}

void act_journal_entry(struct act_core *core, size_t account, const struct intent *intent,
                       struct act_now now)
{
    size_t at = act_find_ctl(core, intent->controller);
    if (at == ACT_NONE || core->apps[core->ctls[at].app].config->account != account) {
        return;
    }
    const struct act_account *held = &core->accounts[account];
    struct act_ctl *ctl = &core->ctls[at];
    ctl->last_up = past_to_boot(intent->last_up_ms, now);
    ctl->last_down = past_to_boot(intent->last_down_ms, now);
    /* Of the changes that others did, the journal has two. */
    if (act_changes_count(ctl, now.boot_ms) == 0) {
        act_changes_add(ctl, ctl->last_up, now.boot_ms);
        act_changes_add(ctl, ctl->last_down, now.boot_ms);
    }
    act_human_init(&ctl->human);
    ctl->human.confirmed = held->doubtful ? -1 : intent->confirmed;
    ctl->doubted = ctl->human.confirmed != intent->confirmed;
    if (intent->manual_floor >= 0 && intent->manual_until_ms > now.wall_ms) {
        int64_t rest = intent->manual_until_ms - now.wall_ms;
        rest = rest < ctl->config->manual_hold_ms ? rest : ctl->config->manual_hold_ms;
        ctl->human.floor = intent->manual_floor;
        ctl->human.until = now.boot_ms + rest;
    }
    if (intent->open) {
        ctl->open = true;
        ctl->intent = *intent;
        ctl->intent_target = intent->to;
        ctl->intent_status = 0;
        ctl->settle_at = intent_settle_at(held, intent);
        act_human_doubt(&ctl->human, intent->from, intent->to, ctl->settle_at + HUMAN_LATE_MS);
    }
}

void act_journal_loaded(struct act_core *core, size_t account, struct act_now now)
{
    DYN_ASSERT(account < core->accounts_count);
    struct act_account *held = &core->accounts[account];
    if (!held->led) {
        return;
    }
    held->loaded = true;
    act_tick(core, now);
}

/* Nor shall a successor believe it. What is open is written when it is settled, which may take
 * long: its app cannot be read, say. True: nothing of either is left. */
static bool doubts_note(struct act_core *core, size_t account, struct act_now now)
{
    size_t notes = 0;
    bool open = false;
    for (size_t i = 0; i < core->ctls_count && notes < ACT_NOTES_MAX; i++) {
        struct act_ctl *ctl = &core->ctls[i];
        if (core->apps[ctl->app].config->account != account) {
            continue;
        }
        open = open || ctl->open;
        if (ctl->doubted && !ctl->open) {
            act_ctl_note(core, ctl, now);
            notes++;
        }
    }
    return !open && notes < ACT_NOTES_MAX;
}

void act_doubt_step(struct act_core *core, size_t at, struct act_now now)
{
    struct act_account *account = &core->accounts[at];
    if (!account->doubtful || !account->led || !account->loaded) {
        return;
    }
    bool noted = doubts_note(core, at, now);
    if (!noted || now.boot_ms < account->settle_at) {
        return;
    }
    account->doubtful = false;
    if (core->effects.trusted != NULL) {
        core->effects.trusted(core->effects.arg, at);
    }
}

/* ---- keys ---- */

void act_key(struct act_core *core, size_t account, bool present, const char *why,
             struct act_now now)
{
    DYN_ASSERT(account < core->accounts_count);
    (void)now;
    struct act_account *held = &core->accounts[account];
    held->key_missing = !present;
    held->key++;
    held->identity_state = IDENTITY_UNKNOWN;
    /* It is asked whose the new one is; what the old one met says nothing. */
    held->checking = false;
    held->asked = false;
    for (size_t i = 0; i < core->apps_count; i++) {
        core->apps[i].suspect = core->apps[i].suspect && core->apps[i].config->account != account;
    }
    held->bad_until = ACT_NEVER;
    held->retry_at = ACT_NEVER;
    dyn_str_copy(held->words, sizeof held->words, dyn_str_from(present ? "" : why));
    act_tell_account(core, account, TOLD_KEY, !present, "heroku_key_missing",
                     present ? "heroku_api_key can be had again" : held->words);
}
