#include "actuator/core_internal.h"

static size_t account_find(const struct act_core *core, const char *name)
{
    for (size_t i = 0; i < core->accounts_count; i++) {
        if (strcmp(core->accounts[i].config->name, name) == 0) {
            return i;
        }
    }
    return ACT_NONE;
}

/* What is under way for accounts that leave is not answered any more: no budget that another one
 * shares shall wait for it. */
static void end_flights(const struct act_core *next, struct act_core *old, struct act_now now)
{
    for (size_t i = 0; i < old->flights_count; i++) {
        struct act_flight *flight = &old->flights[i];
        if (flight->token == 0 ||
            account_find(next, old->accounts[flight->account].config->name) != ACT_NONE) {
            continue;
        }
        bool free = flight->kind == ACT_READ_LIMITS;
        if (free || flight->counted) {
            act_budget_answered(act_account_budget(old, flight->account), flight->number, free, -1,
                                now.boot_ms);
        }
        flight->token = 0;
    }
}

/* Accounts that shared a budget share it on; the first of them brings it along. */
static void move_accounts(struct act_core *next, const struct act_core *old)
{
    for (size_t i = 0; i < next->accounts_count; i++) {
        struct act_account *to = &next->accounts[i];
        const struct config_account *config = to->config;
        size_t from = account_find(old, config->name);
        if (from == ACT_NONE) {
            continue;
        }
        *to = old->accounts[from];
        to->config = config;
        to->budget = i;
        next->budgets[i] = old->budgets[old->accounts[from].budget];
        next->budgets[i].reserve = config->reserve_percent / 100;
        for (size_t j = 0; j < i; j++) {
            size_t other = account_find(old, next->accounts[j].config->name);
            if (other != ACT_NONE && old->accounts[other].budget == old->accounts[from].budget) {
                to->budget = next->accounts[j].budget;
                break;
            }
        }
    }
}

static bool same_app(const struct act_core *next, const struct act_app *to,
                     const struct act_core *old, const struct act_app *from)
{
    return strcmp(to->config->name, from->config->name) == 0 &&
           strcmp(next->accounts[to->config->account].config->name,
                  old->accounts[from->config->account].config->name) == 0;
}

static const char *addon_of(const struct config_controller *config)
{
    return config->addon != NULL ? config->addon : "";
}

static void move_ctl(struct act_ctl *to, const struct act_ctl *from)
{
    const struct config_controller *config = to->config;
    size_t app = to->app;
    *to = *from;
    to->config = config;
    to->app = app;
    to->actual_at = ACT_NEVER;
    if (strcmp(config->process_type, from->config->process_type) != 0 ||
        strcmp(addon_of(config), addon_of(from->config)) != 0) {
        to->running = -1;
        to->provisioning = false;
        act_human_init(&to->human);
    }
    if (to->target > config->max_resource) {
        to->target = -1;
    }
}

/* Where each old controller's app stands now; ACT_NONE: gone. */
static size_t moved_app(const struct act_core *next, const struct act_core *old, size_t at)
{
    const struct act_app *from = &old->apps[at];
    for (size_t i = from->first; i < from->first + from->count; i++) {
        size_t ctl = act_find_ctl(next, old->ctls[i].config->id);
        if (ctl != ACT_NONE && same_app(next, &next->apps[next->ctls[ctl].app], old, from)) {
            return next->ctls[ctl].app;
        }
    }
    return ACT_NONE;
}

static void move_apps(struct act_core *next, const struct act_core *old)
{
    for (size_t i = 0; i < old->apps_count; i++) {
        const struct act_app *from = &old->apps[i];
        size_t at = moved_app(next, old, i);
        if (at == ACT_NONE) {
            continue;
        }
        struct act_app kept = next->apps[at];
        next->apps[at] = *from;
        next->apps[at].config = kept.config;
        next->apps[at].first = kept.first;
        next->apps[at].count = kept.count;
        /* New controllers of it have no reading yet. */
        act_app_stale(&next->apps[at]);
        for (size_t j = from->first; j < from->first + from->count; j++) {
            size_t ctl = act_find_ctl(next, old->ctls[j].config->id);
            if (ctl != ACT_NONE && next->ctls[ctl].app == at) {
                move_ctl(&next->ctls[ctl], &old->ctls[j]);
            }
        }
    }
}

/* A pause is of a name, whatever account that belongs to now. */
static void move_pauses(struct act_core *next, const struct act_core *old)
{
    next->pause_until_wall = old->pause_until_wall;
    for (size_t i = 0; i < old->ctls_count; i++) {
        const struct act_ctl *from = &old->ctls[i];
        size_t at = act_find_ctl(next, from->config->id);
        if (at != ACT_NONE) {
            struct act_ctl *to = &next->ctls[at];
            to->pause_until_wall = from->pause_until_wall;
            next->apps[to->app].pause_until_wall = old->apps[from->app].pause_until_wall;
        }
    }
}

static void move_flight(const struct act_core *next, const struct act_core *old,
                        struct act_flight *flight)
{
    const char *account = old->accounts[flight->account].config->name;
    flight->account = account_find(next, account);
    DYN_ASSERT(flight->account != ACT_NONE);
    if (flight->app != ACT_NONE) {
        flight->app = moved_app(next, old, flight->app);
    }
    if (flight->ctl != ACT_NONE) {
        flight->ctl = act_find_ctl(next, old->ctls[flight->ctl].config->id);
        if (flight->ctl == ACT_NONE && flight->app != ACT_NONE) {
            next->apps[flight->app].flying = false;
            flight->app = ACT_NONE;
        }
    }
}

/* Requests under way keep their tokens; no account has more than it has room for. */
static void move_flights(struct act_core *next, const struct act_core *old)
{
    size_t count = 0;
    for (size_t i = 0; i < old->flights_count; i++) {
        if (old->flights[i].token != 0) {
            DYN_ASSERT(count < next->flights_count);
            next->flights[count] = old->flights[i];
            move_flight(next, old, &next->flights[count++]);
        }
    }
}

dyn_err act_core_reload(struct act_core *core, const struct config *next_config, struct act_now now)
{
    struct act_core *next = act_core_new(next_config, &core->effects, core->random, now);
    if (next == NULL) {
        return DYN_NOMEM;
    }
    next->token = core->token;
    next->draining = core->draining;
    next->deaf = core->deaf;
    memcpy(next->partitions, core->partitions, sizeof next->partitions);
    end_flights(next, core, now);
    move_accounts(next, core);
    move_apps(next, core);
    move_pauses(next, core);
    move_flights(next, core);
    struct act_core old = *core;
    *core = *next;
    *next = old;
    act_core_free(next);
    return DYN_OK;
}
