#include "actuator/core_internal.h"

static void emit(struct act_core *core, const struct act_ctl *ctl, const char *account,
                 enum event_level level, enum event_state state, const char *code, const char *text)
{
    struct event event = {
        .level = state == EVENT_OVER ? EVENT_INFO : level,
        .state = state,
        .code = dyn_str_from(code),
        .app = dyn_str_from(ctl != NULL ? core->apps[ctl->app].config->name : ""),
        .controller = dyn_str_from(ctl != NULL ? ctl->config->name : ""),
        .cause = dyn_str_from(account != NULL ? account : ""),
        .text = dyn_str_from(text),
    };
    core->effects.event(core->effects.arg, &event);
}

void act_tell(struct act_core *core, const struct act_ctl *ctl, unsigned *told, unsigned bit,
              bool on, const char *code, const char *text)
{
    bool was = (*told & bit) != 0;
    if (was == on) {
        return;
    }
    *told ^= bit;
    emit(core, ctl, NULL, EVENT_WARN, on ? EVENT_RAISED : EVENT_OVER, code, text);
}

void act_tell_account(struct act_core *core, size_t account, unsigned bit, bool on,
                      const char *code, const char *text)
{
    struct act_account *held = &core->accounts[account];
    bool was = (held->told & bit) != 0;
    if (was == on) {
        return;
    }
    held->told ^= bit;
    char words[ACT_WORDS_MAX + 2 * DYN_NAME_MAX];
    (void)snprintf(words, sizeof words, "account %s: %s", held->config->name, text);
    enum event_level level = bit == TOLD_RATE || bit == TOLD_IDENTITY ? EVENT_WARN : EVENT_ERROR;
    emit(core, NULL, held->config->name, level, on ? EVENT_RAISED : EVENT_OVER, code, words);
}

void act_tell_once(struct act_core *core, const struct act_ctl *ctl, enum event_level level,
                   const char *code, const char *text)
{
    emit(core, ctl, NULL, level, EVENT_ONCE, code, text);
}

struct action act_action_make(const struct act_core *core, const struct act_ctl *ctl,
                              const struct intent *intent, int32_t target, struct act_now now)
{
    const struct act_app *app = &core->apps[ctl->app];
    return (struct action){
        .controller = ctl->config->id,
        .account = dyn_str_from(core->accounts[app->config->account].config->name),
        .app = dyn_str_from(app->config->name),
        .name = dyn_str_from(ctl->config->name),
        .process_type = dyn_str_from(ctl->config->process_type),
        .from = intent->from,
        .to = intent->to,
        .target = target,
        .request_id = DYN_STR(""),
        .words = DYN_STR(""),
        .decided = intent->decided,
        .epoch = intent->epoch,
        .wall_ms = now.wall_ms,
    };
}

void act_ctl_actual(const struct act_core *core, const struct act_ctl *ctl, struct act_now now,
                    struct actual *out)
{
    (void)core;
    *out = (struct actual){
        .controller = ctl->config->id,
        .wall_ms = now.wall_ms,
        .running = ctl->running,
        .target = ctl->target,
        .raise_only = ctl->raise_only,
        .guard = ctl->guard,
        .until_ms = ctl->until > 0 ? now.wall_ms + (ctl->until - now.boot_ms) : 0,
        .words = DYN_STR(""),
    };
    switch (ctl->guard) {
    case GUARD_ACCOUNT:
    case GUARD_DISABLED:
        out->words = dyn_str_from(core->accounts[core->apps[ctl->app].config->account].words);
        break;
    case GUARD_CONTROLLER:
    case GUARD_LIMIT:
    case GUARD_REFUSED:
    case GUARD_RETRY:
    case GUARD_NO_READING:
        out->words = dyn_str_from(ctl->words);
        break;
    case GUARD_NONE:
    case GUARD_MODE_OFF:
    case GUARD_SHADOW:
    case GUARD_RAISE_ONLY_MODE:
    case GUARD_NO_TARGET:
    case GUARD_UNCOVERED:
    case GUARD_OLD_MARK:
    case GUARD_UP_COOLDOWN:
    case GUARD_DOWN_COOLDOWN:
    case GUARD_STEP:
    case GUARD_CHANGES:
    case GUARD_MANUAL_FLOOR:
    case GUARD_MANUAL_HOLD:
    case GUARD_ZERO:
    case GUARD_MAINTENANCE:
    case GUARD_BUDGET:
    case GUARD_IN_FLIGHT:
    case GUARD_JOURNAL:
    case GUARD_PAUSED:
    case GUARD_PROVISIONING:
    case GUARD_DOWNGRADE:
    case GUARD_COUNT:
        break;
    }
}

/* Held by Heroku, the network or Redis rather than by what somebody wished. */
static bool is_trouble(enum guard guard)
{
    return guard == GUARD_BUDGET || guard == GUARD_ACCOUNT || guard == GUARD_CONTROLLER ||
           guard == GUARD_LIMIT || guard == GUARD_REFUSED || guard == GUARD_RETRY ||
           guard == GUARD_JOURNAL || guard == GUARD_IN_FLIGHT || guard == GUARD_NO_READING ||
           guard == GUARD_DISABLED;
}

/* A shortage that none has asked for is told whatever holds it; a surplus only in trouble, since
 * a fall takes its steps. */
static bool is_unmet(const struct act_ctl *ctl)
{
    if (ctl->target < 0 || ctl->config->mode == CONFIG_MODE_OFF ||
        ctl->config->mode == CONFIG_MODE_SHADOW || ctl->target == ctl->running) {
        return false;
    }
    if (is_trouble(ctl->guard)) {
        return true;
    }
    bool short_of = ctl->running > 0 && ctl->target > ctl->running;
    return short_of && ctl->guard != GUARD_PAUSED && ctl->guard != GUARD_MAINTENANCE &&
           ctl->guard != GUARD_MANUAL_HOLD;
}

static void watch_unmet(struct act_core *core, struct act_ctl *ctl, struct act_now now)
{
    if (!is_unmet(ctl)) {
        ctl->unmet_since = ACT_NEVER;
        act_tell(core, ctl, &ctl->told, TOLD_UNMET, false, "unmet", "stands at its target again");
        return;
    }
    if (ctl->unmet_since == ACT_NEVER) {
        ctl->unmet_since = now.boot_ms;
    }
    if (now.boot_ms - ctl->unmet_since < ACT_UNMET_MS) {
        return;
    }
    char wanted[CONFIG_RUNG_TEXT];
    char running[CONFIG_RUNG_TEXT];
    char text[DYN_ERROR_TEXT_MAX];
    bool dynos = act_ctl_scale(ctl) == ACT_DYNOS;
    (void)snprintf(text, sizeof text, "%s%s wanted, %s %s for %d s: %s (%s)",
                   config_rung_text(ctl->config, ctl->target, wanted), dynos ? " dynos" : "",
                   config_rung_text(ctl->config, ctl->running, running), dynos ? "run" : "is there",
                   (int)((now.boot_ms - ctl->unmet_since) / 1000), guard_text(ctl->guard),
                   guard_words(ctl->guard));
    act_tell(core, ctl, &ctl->told, TOLD_UNMET, true, "unmet", text);
}

static void watch_maximum(struct act_core *core, struct act_ctl *ctl, struct act_now now)
{
    bool at_max = ctl->target == ctl->config->max_resource &&
                  ctl->config->max_resource > ctl->config->min_resource &&
                  ctl->config->mode != CONFIG_MODE_OFF;
    if (!at_max) {
        ctl->at_max_since = ACT_NEVER;
        act_tell(core, ctl, &ctl->told, TOLD_AT_MAX, false, "at_maximum",
                 "the target is below max_resource again");
        return;
    }
    if (ctl->at_max_since == ACT_NEVER) {
        ctl->at_max_since = now.boot_ms;
    }
    if (now.boot_ms - ctl->at_max_since >= ACT_AT_MAX_MS) {
        char max[CONFIG_RUNG_TEXT];
        char text[128 + CONFIG_RUNG_TEXT];
        (void)snprintf(text, sizeof text,
                       "at max_resource (%s) for five minutes: demand may be higher",
                       config_rung_text(ctl->config, ctl->config->max_resource, max));
        act_tell(core, ctl, &ctl->told, TOLD_AT_MAX, true, "at_maximum", text);
    }
}

static void watch_actual(struct act_core *core, struct act_ctl *ctl, struct act_now now)
{
    const struct config_app *app = core->apps[ctl->app].config;
    bool changed = ctl->guard != ctl->actual_guard || ctl->running != ctl->actual_running ||
                   ctl->target != ctl->actual_target;
    if (!changed && now.boot_ms < ctl->actual_at) {
        return;
    }
    ctl->actual_guard = ctl->guard;
    ctl->actual_running = ctl->running;
    ctl->actual_target = ctl->target;
    /* Thousands that changed at once (a start) must not all fall due in one tick for ever after. */
    int64_t interval = app->interval_ms > 0 ? app->interval_ms : 1;
    int64_t spread = (int64_t)(ctl->config->id % (uint64_t)interval) + 1;
    ctl->actual_at = now.boot_ms + (changed ? spread : interval);
    struct actual actual;
    act_ctl_actual(core, ctl, now, &actual);
    core->effects.actual(core->effects.arg, app->account, &actual, changed);
}

/* The estimator sets values against what ran when they came: it must hear of a change at once. */
static void watch_running(struct act_core *core, struct act_ctl *ctl, struct act_now now)
{
    if (core->effects.running == NULL || !ctl->config->needs_running || ctl->running < 0) {
        return;
    }
    bool changed = ctl->told_at == ACT_NEVER || ctl->told_running != ctl->running;
    if (!changed && now.boot_ms - ctl->told_at < ACT_RUNNING_MS) {
        return;
    }
    int64_t age_ms = now.boot_ms - ctl->running_at;
    if (core->effects.running(core->effects.arg, core->apps[ctl->app].config, ctl->config,
                              ctl->running, age_ms)) {
        ctl->told_running = ctl->running;
        ctl->told_at = now.boot_ms;
    }
}

static void watch_shadow(struct act_core *core, struct act_ctl *ctl, struct act_now now)
{
    if (ctl->guard != GUARD_SHADOW) {
        ctl->shadow_told = ctl->guard == GUARD_NONE ? -1 : ctl->shadow_told;
        return;
    }
    struct act_verdict verdict = act_ctl_judge(core, ctl, now);
    if (verdict.want == ctl->shadow_told) {
        return;
    }
    ctl->shadow_told = verdict.want;
    struct intent intent = act_intent_make(core, ctl, now);
    intent.to = verdict.want;
    struct action action = act_action_make(core, ctl, &intent, ctl->target, now);
    action.outcome = ACTION_SHADOW;
    core->effects.action(core->effects.arg, core->apps[ctl->app].config->account, &action);
}

void act_ctl_watch(struct act_core *core, struct act_ctl *ctl, struct act_now now)
{
    if (!core->accounts[core->apps[ctl->app].config->account].led) {
        return; /* another actuator tells */
    }
    if (ctl->guard == GUARD_NONE && ctl->target == ctl->running) {
        act_tell(core, ctl, &ctl->told, TOLD_LIMIT, false, "heroku_limit",
                 "the target fits into Heroku's limit");
    }
    watch_shadow(core, ctl, now);
    watch_unmet(core, ctl, now);
    watch_maximum(core, ctl, now);
    watch_actual(core, ctl, now);
    watch_running(core, ctl, now);
}

void act_ctl_note(struct act_core *core, struct act_ctl *ctl, struct act_now now)
{
    const struct act_app *app = &core->apps[ctl->app];
    if (!core->accounts[app->config->account].led || ctl->open) {
        return;
    }
    ctl->doubted = false;
    struct intent intent = act_intent_make(core, ctl, now);
    core->effects.end(core->effects.arg, app->config->account, app->config->name, &intent, NULL);
}

void act_ctl_settle(struct act_core *core, struct act_ctl *ctl, struct act_now now,
                    const struct intent *intent, const struct action *action)
{
    const struct act_app *app = &core->apps[ctl->app];
    ctl->open = false;
    if (!core->accounts[app->config->account].led) {
        return; /* whoever leads now finds it open and settles it */
    }
    ctl->doubted = false;
    struct intent settled = act_intent_make(core, ctl, now);
    settled.from = intent->from;
    settled.to = intent->to;
    settled.decided = intent->decided;
    core->effects.end(core->effects.arg, app->config->account, app->config->name, &settled, action);
}
