/*
 * I6: at the end, after the calm, each app stands at its target, or its state names what holds it.
 * I9: what lasts longer than it may is told by an event. And in a world where nothing goes wrong,
 * nothing is told, and nothing is changed that need not be.
 */
#include "tests/sim/sim_audit_internal.h"

#include <inttypes.h>

#define FAILOVER_US (30 * SIM_S) /* whoever tells may have to be followed first */
#define ACCOUNT_US (90 * SIM_S)  /* a reading is due each minute, and GET /account behind it */
#define STATE_US (40 * SIM_S)    /* an actuator's note of what runs is that old at most */

static struct {
    int64_t inputs[DEMAND_INPUTS_MAX]; /* when its silence was told last; -1: never, or over */
    int64_t accused[DEMAND_INPUTS_MAX];
    int64_t accounts[FLEET_ACCOUNTS_MAX]; /* when its refusal was told last; -1: never, or over */
    int64_t limited[FLEET_ACCOUNTS_MAX];  /* or that its requests are limited */
    bool silent[FLEET_ACCOUNTS_MAX];      /* it was found so */
    int64_t broke_at; /* when a log_break was told last: who watched it may tell it again later */
} told;

void audit_told_begin(void)
{
    told.broke_at = INT64_MIN / 2;
    for (size_t i = 0; i < DEMAND_INPUTS_MAX; i++) {
        told.inputs[i] = -1;
        told.accused[i] = -1;
    }
    for (size_t i = 0; i < FLEET_ACCOUNTS_MAX; i++) {
        told.accounts[i] = -1;
        told.limited[i] = -1;
    }
}

/* ---- events ---- */

static size_t input_named(const struct event *event)
{
    for (size_t i = 0; i < fleet.inputs_count; i++) {
        if (dyn_str_is(event->input, fleet.inputs[i].name)) {
            return i;
        }
    }
    return SIZE_MAX;
}

static size_t account_named(const struct event *event)
{
    for (size_t i = 0; i < fleet.accounts_count; i++) {
        char name[48];
        (void)snprintf(name, sizeof name, "acc-%zu", i);
        if (dyn_str_is(event->cause, name)) {
            return i;
        }
    }
    return SIZE_MAX;
}

/* What may be told though nothing is wrong: demand beyond the maximum, a fall by many steps. */
static void quiet_event(const struct event *event)
{
    bool harmless = event->level == EVENT_INFO || dyn_str_is(event->code, "at_maximum") ||
                    dyn_str_is(event->code, "above_plans") || dyn_str_is(event->code, "unmet");
    if (!harmless) {
        audit_broken("I9", "nothing is wrong, and this is told: " DYN_STR_FMT ", " DYN_STR_FMT,
                     DYN_STR_ARG(event->code), DYN_STR_ARG(event->text));
    }
}

void audit_told_event(const struct event *event)
{
    bool over = event->state == EVENT_OVER;
    if (dyn_str_is(event->code, "input_stale") || dyn_str_is(event->code, "input_outage")) {
        size_t input = input_named(event);
        if (input != SIZE_MAX) {
            told.inputs[input] = over ? -1 : sim_now();
        }
    } else if (dyn_str_is(event->code, "heroku_account") ||
               dyn_str_is(event->code, "heroku_rate_limit")) {
        size_t account = account_named(event);
        int64_t *at = dyn_str_is(event->code, "heroku_account") ? told.accounts : told.limited;
        if (account != SIZE_MAX) {
            at[account] = over ? -1 : sim_now();
        }
    }
    if (dyn_str_is(event->code, "log_break")) {
        told.broke_at = sim_now();
    }
    if (audit.class == CLASS_QUIET) {
        quiet_event(event);
    }
}

/* ---- I9: inputs ---- */

/* The log's own end: entries come, and their IDs go on as the clocks do. */
static bool log_goes_on(void)
{
    return faults_log_stands_until() == 0;
}

static void input_look(size_t input)
{
    const struct fleet_input *held = &fleet.inputs[input];
    int64_t heard = audit_demand_heard(input);
    int64_t well =
        faults_over_since(AREA_PROCESS | AREA_NETWORK | AREA_REDIS | AREA_HISTORY | AREA_CLOCK);
    if (well == INT64_MAX || !log_goes_on()) {
        return;
    }
    int64_t since = heard > well + FAILOVER_US ? heard : well + FAILOVER_US;
    int64_t may_us = (held->config->max_gap_ms + 3 * held->interval_ms) * SIM_MS + 10 * SIM_S;
    if (sim_now() - since <= may_us || told.accused[input] >= since) {
        return;
    }
    audit.counts.told_checks++;
    if (told.inputs[input] < heard || told.inputs[input] < 0) {
        told.accused[input] = sim_now();
        audit_broken("I9", "%s has been silent for %lld s (since %.1f s), and nobody tells",
                     held->name, (long long)((sim_now() - heard) / SIM_S),
                     (double)heard / (double)SIM_S);
    }
}

/* ---- I9: accounts ---- */

/* Too low for reads or falls: people have used it, or it is small from the beginning. */
static bool pool_is_low(size_t account)
{
    return fleet.tight_pool || heroku_tokens(account) < 0.72 * heroku_capacity(account);
}

static bool account_has_apps(size_t account)
{
    for (size_t i = 0; i < fleet.apps_count; i++) {
        if (fleet.apps[i].account == account) {
            return true;
        }
    }
    return false;
}

/* By any of the names that the configuration has for it. */
static bool account_is_told(size_t account)
{
    for (size_t i = 0; i < fleet.accounts_count; i++) {
        if (fleet.account_of[i] == fleet.account_of[account] &&
            (told.accounts[i] >= 0 || told.limited[i] >= 0)) {
            return true;
        }
    }
    return false;
}

static void account_look(size_t account)
{
    int64_t since = heroku_refused_since(fleet.account_of[account]);
    int64_t well = faults_over_since(AREA_PROCESS | AREA_NETWORK | AREA_REDIS | AREA_HISTORY);
    bool starved =
        pool_is_low(fleet.account_of[account]); /* nothing but the free question goes out */
    if (since < 0 || well == INT64_MAX || starved || !account_has_apps(account)) {
        told.silent[account] = false;
        return;
    }
    since = since > well + FAILOVER_US ? since : well + FAILOVER_US;
    if (sim_now() - since <= ACCOUNT_US || told.silent[account]) {
        return;
    }
    audit.counts.told_checks++;
    if (!account_is_told(account)) {
        told.silent[account] = true;
        audit_broken("I9", "acc-%zu has been refused since %.1f s, and nobody tells", account,
                     (double)since / (double)SIM_S);
    }
}

void audit_told_look(void)
{
    for (size_t i = 0; i < fleet.accounts_count; i++) {
        account_look(i);
    }
    for (size_t i = 0; i < fleet.inputs_count; i++) {
        input_look(i);
    }
}

/* ---- I6 ---- */

struct stand {
    const struct fleet_app *app;
    int runs;
    bool has_target;
    struct target target;
    bool has_actual;
    struct actual actual;
};

static struct dyn_str hash_field(const char *key, uint64_t controller)
{
    char field[24];
    (void)snprintf(field, sizeof field, "%016" PRIx64, controller);
    return sim_hash_get(sim_server_primary(), key, field);
}

static void stand_read(struct stand *stand)
{
    char key[64];
    uint64_t id = stand->app->controller->id;
    (void)snprintf(key, sizeof key, "dyn:{%" PRIu32 "}:newest", stand->app->config->partition);
    struct dyn_str bytes = hash_field(key, id);
    stand->has_target = bytes.ptr != NULL && pack_reader_start(audit.reader, bytes) == DYN_OK &&
                        message_read_kind(audit.reader) == MESSAGE_TARGET &&
                        message_read_target(audit.reader, &stand->target) == DYN_OK;
    (void)snprintf(key, sizeof key, "dyn:{act}:acc-%zu:state", stand->app->account);
    bytes = hash_field(key, id);
    stand->has_actual = bytes.ptr != NULL && pack_reader_start(audit.reader, bytes) == DYN_OK &&
                        message_read_kind(audit.reader) == MESSAGE_ACTUAL &&
                        message_read_actual(audit.reader, &stand->actual) == DYN_OK;
}

/* Guards that nothing in a calm world can be the reason of any more. */
static bool guard_is_stuck(const struct stand *stand)
{
    switch (stand->actual.guard) {
    case GUARD_NONE:
    case GUARD_NO_TARGET:
    case GUARD_NO_READING:
    case GUARD_OLD_MARK:
    case GUARD_JOURNAL:
    case GUARD_RETRY:
    case GUARD_DISABLED:
    case GUARD_MODE_OFF:
    case GUARD_SHADOW:
    case GUARD_PAUSED:
        return true;
    case GUARD_UNCOVERED:
        return log_goes_on() && sim_now() - told.broke_at > 2 * fleet.longest_window_ms * SIM_MS;
    case GUARD_BUDGET:
        return !pool_is_low(stand->app->heroku_account);
    case GUARD_IN_FLIGHT: /* a note of it is half a minute old at most, see stand_judge() */
    case GUARD_UP_COOLDOWN:
    case GUARD_DOWN_COOLDOWN:
    case GUARD_STEP:
    case GUARD_CHANGES:
    case GUARD_MANUAL_FLOOR:
    case GUARD_MANUAL_HOLD:
    case GUARD_ZERO:
    case GUARD_MAINTENANCE:
    case GUARD_ACCOUNT:
    case GUARD_CONTROLLER:
    case GUARD_LIMIT:
    case GUARD_REFUSED:
    case GUARD_RAISE_ONLY_MODE:
    case GUARD_PROVISIONING:
    case GUARD_DOWNGRADE:
    case GUARD_COUNT:
        return false;
    }
    return true;
}

static int wanted(const struct fleet_app *app)
{
    int need = audit_demand_need((size_t)(app - fleet.apps), sim_now());
    int least = app->controller->min_resource > 1 ? app->controller->min_resource : 1;
    need = need < app->controller->max_resource ? need : app->controller->max_resource;
    return need > least ? need : least;
}

/* Whether the actuator may be behind what runs: it has no tokens to read, or must not. */
static bool stand_is_blind(const struct stand *stand)
{
    return stand->actual.guard == GUARD_ACCOUNT || stand->actual.guard == GUARD_CONTROLLER ||
           stand->actual.guard == GUARD_IN_FLIGHT || pool_is_low(stand->app->heroku_account);
}

static void stand_judge_actual(const struct stand *stand)
{
    const struct fleet_app *app = stand->app;
    int64_t age_ms = sim_wall_ms() - stand->actual.wall_ms;
    bool blind = stand_is_blind(stand);
    if (age_ms > STATE_US / SIM_MS && !faults_touched(AREA_CLOCK, 0, sim_now())) {
        audit_broken("I6", "%s: what the actuator says of it is %lld s old", app->name,
                     (long long)(age_ms / 1000));
    } else if (stand->runs != stand->target.rung && guard_is_stuck(stand) && !blind) {
        audit_broken("I6", "%s runs %d and not %d%s; what holds it: %s (the actuator says %d runs)",
                     app->name, stand->runs, stand->target.rung,
                     stand->target.raise_only ? " raise_only" : "", guard_text(stand->actual.guard),
                     stand->actual.running);
    } else if (stand->actual.running != stand->runs && !blind) {
        audit_broken("I6", "%s runs %d, and the actuator says %d (%s)", app->name, stand->runs,
                     stand->actual.running, guard_text(stand->actual.guard));
    }
}

static void stand_judge(const struct stand *stand)
{
    const struct fleet_app *app = stand->app;
    if (faults_log_went_back()) {
        return; /* what was lost under a clock that is ahead stays newer than what comes after it */
    }
    if (!stand->has_target) {
        audit_broken("I6", "%s has no target at the end", app->name);
        return;
    }
    if (log_goes_on() && stand->target.rung != wanted(app)) {
        audit_broken("I6", "%s has the target %d%s at the end; its window asks for %d", app->name,
                     stand->target.rung, stand->target.raise_only ? " raise_only" : "",
                     wanted(app));
    }
    if (stand->has_actual) {
        stand_judge_actual(stand);
    } else {
        audit_broken("I6", "%s: no actuator says what runs", app->name);
    }
}

void audit_told_finish(void)
{
    for (size_t i = 0; i < fleet.apps_count; i++) {
        static struct stand stand;
        stand =
            (struct stand){.app = &fleet.apps[i], .runs = heroku_quantity(fleet.apps[i].heroku)};
        stand_read(&stand);
        stand_judge(&stand);
    }
}
