#include "actuator/core_internal.h"

#include <stdlib.h>

/* ---- flights ---- */

struct act_flight *act_flight_new(struct act_core *core, size_t account, struct act_now now)
{
    struct act_account *held = &core->accounts[account];
    if (held->flights >= ACT_FLIGHTS_MAX) {
        return NULL;
    }
    for (size_t i = 0; i < core->flights_count; i++) {
        struct act_flight *flight = &core->flights[i];
        if (flight->token == 0) {
            *flight = (struct act_flight){
                .token = ++core->token,
                .account = account,
                .app = ACT_NONE,
                .ctl = ACT_NONE,
                .at = now.boot_ms,
            };
            held->flights++;
            return flight;
        }
    }
    return NULL;
}

void act_flight_free(struct act_core *core, struct act_flight *flight)
{
    DYN_ASSERT(flight->token != 0);
    if (flight->app != ACT_NONE) {
        core->apps[flight->app].flying = false;
    }
    DYN_ASSERT(core->accounts[flight->account].flights > 0);
    core->accounts[flight->account].flights--;
    flight->token = 0;
}

struct act_flight *act_flight_find(struct act_core *core, uint64_t token)
{
    for (size_t i = 0; i < core->flights_count && token != 0; i++) {
        if (core->flights[i].token == token) {
            return &core->flights[i];
        }
    }
    return NULL;
}

void act_flight_send(struct act_core *core, struct act_flight *flight)
{
    flight->key = core->accounts[flight->account].key;
    struct act_request request = {
        .kind = flight->kind,
        .token = flight->token,
        .account = flight->account,
    };
    if (flight->app != ACT_NONE) {
        request.app = core->apps[flight->app].config->name;
    }
    if (act_is_write(flight->kind)) {
        DYN_ASSERT(flight->intent.to >= 1);
        /* A fall by steps may begin above all that a target can say. */
        DYN_ASSERT(flight->intent.to <= DYN_QUANTITY_MAX ||
                   flight->intent.to < flight->intent.from);
        request.process_type = core->ctls[flight->ctl].config->process_type;
    }
    if (flight->kind == ACT_WRITE) {
        request.quantity = flight->intent.to;
    } else if (flight->kind == ACT_WRITE_PLAN) {
        const struct act_ctl *ctl = &core->ctls[flight->ctl];
        DYN_ASSERT(flight->intent.to <= ctl->config->plans->count);
        request.addon = ctl->addon;
        request.plan = ctl->config->plans->plans[flight->intent.to - 1].name;
    }
    core->effects.send(core->effects.arg, &request);
}

/* ---- judging ---- */

/* What Heroku's limit leaves for one process type, given what the others have. */
static int32_t ctl_ceiling(const struct act_core *core, const struct act_ctl *ctl, int64_t now)
{
    const struct act_app *app = &core->apps[ctl->app];
    if (app->limit < 0 || now >= app->limit_until || act_ctl_scale(ctl) != ACT_DYNOS) {
        return INT32_MAX;
    }
    int32_t left = app->limit - app->others;
    for (size_t i = app->first; i < app->first + app->count; i++) {
        if (&core->ctls[i] != ctl && act_ctl_scale(&core->ctls[i]) == ACT_DYNOS &&
            core->ctls[i].running > 0) {
            left -= core->ctls[i].running;
        }
    }
    return left > 0 ? left : 0;
}

static bool ctl_paused(const struct act_core *core, const struct act_ctl *ctl, int64_t wall_ms)
{
    return wall_ms < core->pause_until_wall || wall_ms < ctl->pause_until_wall ||
           wall_ms < core->apps[ctl->app].pause_until_wall;
}

struct act_verdict act_ctl_judge(const struct act_core *core, const struct act_ctl *ctl,
                                 struct act_now now)
{
    const struct act_app *app = &core->apps[ctl->app];
    const struct act_partition *part = &core->partitions[app->config->partition];
    struct act_facts facts = {
        .policy = ctl->config,
        .now = now.boot_ms,
        .running = ctl->running,
        .target = ctl->target,
        .raise_only = ctl->raise_only,
        .paused = ctl_paused(core, ctl, now.wall_ms),
        .maintenance = app->maintenance,
        .mark_at = ctl->decided_epoch == part->epoch ? part->mark_at : ACT_NEVER,
        .last_up = ctl->last_up,
        .last_down = ctl->last_down,
        .changes = act_changes_count(ctl, now.boot_ms),
        .changes_free_at = (now.boot_ms / ACT_CHANGE_SLOT_MS + 1) * ACT_CHANGE_SLOT_MS,
        .manual_floor = ctl->human.floor,
        .manual_until = ctl->human.until,
        .ceiling = ctl_ceiling(core, ctl, now.boot_ms),
        .refused = ctl->refused,
        .refused_until = ctl->refused_until,
        .provisioning = ctl->provisioning,
    };
    return act_judge(&facts);
}

enum guard act_ctl_blocked(const struct act_core *core, const struct act_ctl *ctl,
                           struct act_now now, int64_t *out_until)
{
    const struct act_app *app = &core->apps[ctl->app];
    const struct act_account *account = &core->accounts[app->config->account];
    *out_until = 0;
    if (account->key_missing) {
        return GUARD_DISABLED;
    }
    if (!account->led || !account->loaded) {
        return GUARD_JOURNAL;
    }
    /* A refused key cannot be told whose it is either: that is not the journal's doing. */
    if (account->bad_until != ACT_NEVER) {
        *out_until = account->bad_until;
        return GUARD_ACCOUNT;
    }
    if (!account->clear) {
        return GUARD_JOURNAL;
    }
    if (account->checking) {
        return GUARD_ACCOUNT;
    }
    int64_t blocked =
        app->blocked_until > ctl->blocked_until ? app->blocked_until : ctl->blocked_until;
    const struct act_reading *reading = &app->readings[act_ctl_scale(ctl)];
    blocked = reading->blocked_until > blocked ? reading->blocked_until : blocked;
    if (now.boot_ms < blocked) {
        *out_until = blocked;
        return GUARD_CONTROLLER;
    }
    if (ctl->missing) {
        return GUARD_CONTROLLER;
    }
    return GUARD_NONE;
}

static void ctl_guard(struct act_ctl *ctl, enum guard guard, int64_t until)
{
    ctl->guard = guard;
    ctl->until = until;
}

/* An app whose journal has an open intent waits until the last request behind it has ended; every
 * app where the journal may have lost one. */
static int64_t app_settle_at(const struct act_core *core, const struct act_app *app)
{
    const struct act_account *account = &core->accounts[app->config->account];
    int64_t at = account->doubtful ? account->settle_at : ACT_NEVER;
    for (size_t i = app->first; i < app->first + app->count; i++) {
        if (core->ctls[i].open && core->ctls[i].settle_at > at) {
            at = core->ctls[i].settle_at;
        }
    }
    return at;
}

static bool scale_has_open(const struct act_core *core, const struct act_app *app,
                           enum act_scale scale)
{
    for (size_t i = app->first; i < app->first + app->count; i++) {
        if (core->ctls[i].open && act_ctl_scale(&core->ctls[i]) == scale) {
            return true;
        }
    }
    return false;
}

static bool app_has_open(const struct act_core *core, const struct act_app *app)
{
    return scale_has_open(core, app, ACT_DYNOS) || scale_has_open(core, app, ACT_PLANS);
}

/* Judge one controller; true when it may write but for the reading, the budget and its turn. */
static bool ctl_plan(struct act_core *core, struct act_ctl *ctl, struct act_now now,
                     struct act_verdict *out)
{
    const struct act_app *app = &core->apps[ctl->app];
    const struct act_reading *reading = &app->readings[act_ctl_scale(ctl)];
    int64_t readable_at = reading->retry_at > app->retry_at ? reading->retry_at : app->retry_at;
    *out = act_ctl_judge(core, ctl, now);
    int64_t until;
    enum guard blocked = act_ctl_blocked(core, ctl, now, &until);
    if (out->guard == GUARD_MODE_OFF) {
        ctl_guard(ctl, GUARD_MODE_OFF, 0);
        return false;
    }
    if (blocked != GUARD_NONE) {
        ctl_guard(ctl, blocked, until);
        return false;
    }
    if (!out->write) {
        bool retrying = out->guard == GUARD_NO_READING && now.boot_ms < readable_at;
        ctl_guard(ctl, retrying ? GUARD_RETRY : out->guard, retrying ? readable_at : out->until);
        return false;
    }
    if (app_has_open(core, app) || now.boot_ms < ctl->journal_at ||
        now.boot_ms < app_settle_at(core, app)) {
        ctl_guard(ctl, GUARD_JOURNAL, 0);
        return false;
    }
    int64_t retry_at = ctl->retry_at > readable_at ? ctl->retry_at : readable_at;
    if (now.boot_ms < retry_at) {
        ctl_guard(ctl, GUARD_RETRY, retry_at);
        return false;
    }
    ctl_guard(ctl, app->flying ? GUARD_IN_FLIGHT : GUARD_BUDGET, 0);
    return !app->flying;
}

/* What is switched off is read only to settle what it left open: that holds the whole app. */
static bool scale_is_watched(const struct act_core *core, const struct act_app *app,
                             enum act_scale scale)
{
    for (size_t i = app->first; i < app->first + app->count; i++) {
        const struct act_ctl *ctl = &core->ctls[i];
        if ((ctl->config->mode != CONFIG_MODE_OFF || ctl->open) && act_ctl_scale(ctl) == scale) {
            return true;
        }
    }
    return false;
}

static bool app_is_watched(const struct act_core *core, const struct act_app *app)
{
    return scale_is_watched(core, app, ACT_DYNOS) || scale_is_watched(core, app, ACT_PLANS);
}

/* The more urgent of two writes of one app: a rise before a fall, then the relative distance. */
static bool more_urgent(const struct act_need *a, const struct act_need *b)
{
    if (a->purpose != b->purpose) {
        return a->purpose < b->purpose;
    }
    return a->urgency > b->urgency;
}

static enum act_request_kind reading_kind(enum act_scale scale)
{
    return scale == ACT_PLANS ? ACT_READ_ADDONS : ACT_READ_FORMATION;
}

static int64_t reading_period_ms(const struct act_core *core, const struct act_app *app,
                                 enum act_scale scale)
{
    for (size_t i = app->first; i < app->first + app->count; i++) {
        if (act_ctl_scale(&core->ctls[i]) == scale && core->ctls[i].guard == GUARD_PROVISIONING) {
            return ACT_UNFINISHED_MS;
        }
    }
    return ACT_READ_PERIOD_MS;
}

/* A reading of what runs that nobody waits for but the clock. */
static struct act_need need_scale(const struct act_core *core, size_t at, enum act_scale scale,
                                  struct act_now now)
{
    const struct act_app *app = &core->apps[at];
    const struct act_reading *reading = &app->readings[scale];
    struct act_need need = {.app = at, .ctl = ACT_NONE, .purpose = ACT_FOR_READ};
    bool first = reading->read_at == ACT_NEVER || scale_has_open(core, app, scale);
    bool due = first || reading->stale ||
               now.boot_ms - reading->read_at >= reading_period_ms(core, app, scale);
    if (!due || !scale_is_watched(core, app, scale) || now.boot_ms < reading->blocked_until ||
        now.boot_ms < reading->retry_at) {
        return need;
    }
    need.kind = reading_kind(scale);
    /* What has never been read cannot be helped at all. */
    need.purpose = first ? ACT_FOR_FALL : ACT_FOR_READ;
    need.urgency = first ? 1e9 : (double)(now.boot_ms - reading->read_at);
    return need;
}

/* The most urgent of the readings that an app is due. */
static struct act_need need_reading(const struct act_core *core, size_t at, struct act_now now)
{
    const struct act_app *app = &core->apps[at];
    struct act_need best = need_scale(core, at, ACT_DYNOS, now);
    struct act_need plans = need_scale(core, at, ACT_PLANS, now);
    if (plans.kind != 0 && (best.kind == 0 || more_urgent(&plans, &best))) {
        best = plans;
    }
    if (best.kind == 0 && app->maintenance &&
        now.boot_ms - app->maintenance_at >= ACT_READ_PERIOD_MS) {
        best.kind = ACT_READ_APP;
        best.urgency = (double)(now.boot_ms - app->maintenance_at);
    }
    return best;
}

/* Judge all controllers of an app, and say what it needs next; kind 0: nothing. */
static struct act_need app_plan(struct act_core *core, size_t at, struct act_now now)
{
    struct act_app *app = &core->apps[at];
    struct act_need best = {.app = at, .ctl = ACT_NONE};
    for (size_t i = app->first; i < app->first + app->count; i++) {
        struct act_ctl *ctl = &core->ctls[i];
        struct act_verdict verdict;
        if (!ctl_plan(core, ctl, now, &verdict)) {
            continue;
        }
        bool rise = verdict.want > ctl->running;
        double distance = rise ? ctl->target - ctl->running : ctl->running - ctl->target;
        struct act_need need = {
            .kind = act_ctl_scale(ctl) == ACT_PLANS ? ACT_WRITE_PLAN : ACT_WRITE,
            .purpose = rise ? ACT_FOR_RISE : ACT_FOR_FALL,
            .urgency = distance / (double)ctl->running,
            .app = at,
            .ctl = i,
            .want = verdict.want,
        };
        if (best.kind == 0 || more_urgent(&need, &best)) {
            best = need;
        }
    }
    const struct act_account *account = &core->accounts[app->config->account];
    if (app->flying || !act_can_ask(core, account) || !account->clear || account->checking ||
        account->bad_until != ACT_NEVER || account->identity_state == IDENTITY_UNKNOWN ||
        now.boot_ms < app->blocked_until || now.boot_ms < app->retry_at ||
        now.boot_ms < app_settle_at(core, app) || !app_is_watched(core, app)) {
        best.kind = 0;
        return best;
    }
    if (best.kind == 0) {
        return need_reading(core, at, now);
    }
    enum act_scale scale = act_ctl_scale(&core->ctls[best.ctl]);
    const struct act_reading *reading = &app->readings[scale];
    if (reading->stale || now.boot_ms - reading->read_at > ACT_FRESH_MS) {
        best.kind = reading_kind(scale);
    } else if (now.boot_ms - app->maintenance_at >= ACT_READ_PERIOD_MS) {
        best.kind = ACT_READ_APP;
    }
    return best;
}

/* ---- doing ---- */

/* False when the budget or the number of requests under way says: not now. */
static bool need_do(struct act_core *core, const struct act_need *need, struct act_now now)
{
    struct act_app *app = &core->apps[need->app];
    size_t account = app->config->account;
    struct act_budget *budget = act_account_budget(core, account);
    if (!act_budget_may(budget, need->purpose, now.boot_ms)) {
        return false;
    }
    struct act_flight *flight = act_flight_new(core, account, now);
    if (flight == NULL) {
        core->accounts[account].crowded = true;
        return false;
    }
    flight->app = need->app;
    app->flying = true;
    flight->counted = true;
    flight->number = act_budget_take(budget, now.boot_ms);
    if (need->ctl != ACT_NONE) {
        ctl_guard(&core->ctls[need->ctl], GUARD_IN_FLIGHT, 0);
    }
    if (act_is_write(need->kind)) {
        act_flight_begin(core, need, flight, now);
    } else {
        flight->kind = need->kind;
        act_flight_send(core, flight);
    }
    return true;
}

static void app_watch(struct act_core *core, const struct act_app *app, struct act_now now)
{
    for (size_t i = app->first; i < app->first + app->count; i++) {
        act_ctl_watch(core, &core->ctls[i], now);
    }
}

void act_app_step(struct act_core *core, size_t at, struct act_now now)
{
    struct act_app *app = &core->apps[at];
    struct act_account *account = &core->accounts[app->config->account];
    struct act_need need = app_plan(core, at, now);
    /* Where others wait for tokens, the tick hands them out in order of urgency. */
    if (need.kind != 0 && (account->backlog || !need_do(core, &need, now))) {
        account->backlog = true;
    }
    app_watch(core, app, now);
}

static int need_compare(const void *a, const void *b)
{
    const struct act_need *left = a;
    const struct act_need *right = b;
    if (left->purpose != right->purpose) {
        return left->purpose < right->purpose ? -1 : 1;
    }
    if (left->urgency > right->urgency || left->urgency < right->urgency) {
        return left->urgency > right->urgency ? -1 : 1;
    }
    return left->app < right->app ? -1 : left->app > right->app;
}

/* Whose key it is, and what is left of its rate limit. */
static void account_step(struct act_core *core, size_t at, struct act_now now)
{
    struct act_account *account = &core->accounts[at];
    if (!act_can_ask(core, account)) {
        return;
    }
    struct act_budget *budget = act_account_budget(core, at);
    if (act_budget_wants_limits(budget, now.boot_ms)) {
        struct act_flight *flight = act_flight_new(core, at, now);
        if (flight != NULL) {
            flight->kind = ACT_READ_LIMITS;
            flight->number = act_budget_ask(budget, now.boot_ms);
            act_flight_send(core, flight);
        }
    }
    bool again = account->bad_until != ACT_NEVER && now.boot_ms >= account->bad_until;
    bool wanted = again || account->checking ||
                  (account->bad_until == ACT_NEVER && account->identity_state == IDENTITY_UNKNOWN);
    if (!wanted || account->asked || now.boot_ms < account->retry_at ||
        !act_budget_may(budget, ACT_FOR_RISE, now.boot_ms)) {
        return;
    }
    struct act_flight *flight = act_flight_new(core, at, now);
    if (flight != NULL) {
        flight->kind = ACT_READ_ACCOUNT;
        flight->counted = true;
        flight->number = act_budget_take(budget, now.boot_ms);
        account->asked = true;
        act_flight_send(core, flight);
    }
}

/* What the apps of an account need, the most urgent first; ACT_NONE: of all accounts. */
static void hand_out(struct act_core *core, size_t account, struct act_now now)
{
    size_t count = 0;
    for (size_t i = 0; i < core->apps_count; i++) {
        if (account != ACT_NONE && core->apps[i].config->account != account) {
            continue;
        }
        struct act_need need = app_plan(core, i, now);
        if (need.kind != 0) {
            core->needs[count++] = need;
        }
    }
    qsort(core->needs, count, sizeof *core->needs, need_compare);
    for (size_t i = 0; i < count; i++) {
        if (!need_do(core, &core->needs[i], now)) {
            core->accounts[core->apps[core->needs[i].app].config->account].backlog = true;
        }
    }
}

/* Those who wait need not wait for the tick when requests have ended; not after each of them, since
 * every app of the account is looked at. */
void act_backlog_step(struct act_core *core, size_t at, struct act_now now)
{
    struct act_account *account = &core->accounts[at];
    if (!account->crowded || account->flights > ACT_FLIGHTS_MAX / 2 ||
        now.boot_ms - account->handed_out_at < ACT_HAND_OUT_MS) {
        return;
    }
    account->backlog = false;
    account->crowded = false;
    account->handed_out_at = now.boot_ms;
    hand_out(core, at, now);
}

void act_tick(struct act_core *core, struct act_now now)
{
    for (size_t i = 0; i < core->accounts_count; i++) {
        core->accounts[i].backlog = false;
        core->accounts[i].crowded = false;
        account_step(core, i, now);
        act_doubt_step(core, i, now);
    }
    hand_out(core, ACT_NONE, now);
    for (size_t i = 0; i < core->apps_count; i++) {
        app_watch(core, &core->apps[i], now);
    }
}
