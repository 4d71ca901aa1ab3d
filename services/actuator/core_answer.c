#include "actuator/core_internal.h"
#include "common/limits.h"

/* The answer's share that concerns the budget, whatever was asked. */
static void answer_budget(struct act_core *core, const struct act_flight *flight,
                          const struct act_answer *answer, struct act_now now)
{
    struct act_budget *budget = act_account_budget(core, flight->account);
    bool free = flight->kind == ACT_READ_LIMITS;
    if (free || flight->counted) {
        act_budget_answered(budget, flight->number, free, answer->remaining, now.boot_ms);
    }
    if (answer->class == ACT_RATE_LIMITED) {
        if (act_budget_limited(budget, answer->retry_after_ms, act_random(core), now.boot_ms)) {
            char text[96];
            (void)snprintf(text, sizeof text, "Heroku's rate limit is reached: waiting for %d s",
                           (int)((budget->blocked_until - now.boot_ms) / 1000));
            act_tell_account(core, flight->account, TOLD_RATE, true, "heroku_rate_limit", text);
        }
    } else if (answer->class == ACT_OK && !free) {
        act_budget_served(budget);
        act_tell_account(core, flight->account, TOLD_RATE, false, "heroku_rate_limit",
                         "Heroku answers again");
    }
}

/* ---- readings ---- */

static void ctl_words(struct act_ctl *ctl, struct dyn_str words)
{
    dyn_str_copy(ctl->words, sizeof ctl->words, words);
}

static void ctl_block(struct act_core *core, struct act_ctl *ctl, struct dyn_str words)
{
    ctl_words(ctl, words);
    char text[ACT_WORDS_MAX + 96];
    (void)snprintf(text, sizeof text,
                   "Heroku refuses this app, process type or add-on, tried again in "
                   "ten minutes: %s",
                   ctl->words);
    act_tell(core, ctl, &ctl->told, TOLD_CONTROLLER, true, "heroku_controller", text);
}

static void ctl_changed(struct act_ctl *ctl, const struct intent *intent, struct act_now now)
{
    if (intent->to > intent->from) {
        ctl->last_up = now.boot_ms;
    } else {
        ctl->last_down = now.boot_ms;
    }
    act_changes_add(ctl, now.boot_ms, now.boot_ms);
}

/* An intent whose answer never came: the reading says what became of it. */
static void settle_open(struct act_core *core, struct act_ctl *ctl, int32_t running,
                        struct act_now now)
{
    struct action action = act_action_make(core, ctl, &ctl->intent, ctl->intent_target, now);
    bool done = running == ctl->intent.to;
    action.outcome = done ? ACTION_DONE : ACTION_FAILED;
    action.http_status = ctl->intent_status;
    action.words = done ? DYN_STR("without an answer, but a later reading shows it done")
                        : DYN_STR("without an answer, and a later reading does not show it");
    if (done) {
        ctl_changed(ctl, &ctl->intent, now);
    }
    act_ctl_settle(core, ctl, now, &ctl->intent, &action);
}

static void tell_human(struct act_core *core, struct act_ctl *ctl, enum act_seen seen,
                       int32_t before, int32_t running)
{
    char from[CONFIG_RUNG_TEXT];
    char to[CONFIG_RUNG_TEXT];
    char text[256 + 2 * CONFIG_RUNG_TEXT];
    int minutes = (int)(ctl->config->manual_hold_ms / 60000);
    bool raised = seen == SEEN_RAISED;
    (void)snprintf(text, sizeof text, "somebody %s %s from %s to %s: %s for %d min",
                   raised ? "raised" : "lowered", ctl->config->process_type,
                   config_rung_text(ctl->config, before, from),
                   config_rung_text(ctl->config, running, to),
                   raised ? "taken as a floor" : "left alone", minutes);
    act_tell_once(core, ctl, EVENT_WARN, "human_change", text);
}

static void ctl_read(struct act_core *core, struct act_ctl *ctl, int32_t running,
                     struct act_now now)
{
    int32_t before = ctl->human.confirmed;
    ctl->missing = false;
    ctl->running = running;
    ctl->running_at = now.boot_ms;
    enum act_seen seen =
        act_human_see(&ctl->human, running, ctl->config->manual_hold_ms, now.boot_ms);
    if (seen == SEEN_RAISED || seen == SEEN_LOWERED) {
        tell_human(core, ctl, seen, before, running);
    } else if (seen == SEEN_UNDONE) {
        act_tell_once(core, ctl, EVENT_WARN, "write_not_kept",
                      "Heroku confirmed a change, but a reading does not show it: trying again");
        ctl->retry_at = now.boot_ms + act_backoff(core, ++ctl->attempts);
    }
    if (ctl->open) {
        settle_open(core, ctl, running, now);
    } else if (seen != SEEN_SAME) {
        act_ctl_note(core, ctl, now);
    }
}

/* What runs cannot be told: `words` say why. Whatever was asked for has not come of it. */
static void ctl_missing(struct act_core *core, struct act_ctl *ctl, const char *words,
                        struct act_now now)
{
    char text[ACT_WORDS_MAX + 64];
    ctl->missing = true;
    ctl->provisioning = false;
    ctl->running = -1;
    ctl_words(ctl, dyn_str_from(words));
    (void)snprintf(text, sizeof text, "cannot be scaled, read again each minute: %s", ctl->words);
    act_tell(core, ctl, &ctl->told, TOLD_CONTROLLER, true, "heroku_controller", text);
    if (ctl->open) {
        settle_open(core, ctl, -1, now);
    }
}

static const struct act_formation *formation_find(const struct act_answer *answer, const char *type)
{
    for (size_t i = 0; i < answer->formations_count; i++) {
        if (dyn_str_is(answer->formations[i].type, type)) {
            return &answer->formations[i];
        }
    }
    return NULL;
}

static bool is_ours(const struct act_core *core, const struct act_app *app, struct dyn_str type)
{
    for (size_t i = app->first; i < app->first + app->count; i++) {
        if (act_ctl_scale(&core->ctls[i]) == ACT_DYNOS &&
            dyn_str_is(type, core->ctls[i].config->process_type)) {
            return true;
        }
    }
    return false;
}

static void reading_done(struct act_reading *reading, int64_t asked_at)
{
    reading->read_at = asked_at;
    reading->stale = false;
    reading->attempts = 0;
}

static void read_formation(struct act_core *core, struct act_app *app, int64_t asked_at,
                           const struct act_answer *answer, struct act_now now)
{
    app->others = 0;
    for (size_t i = 0; i < answer->formations_count; i++) {
        const struct act_formation *formation = &answer->formations[i];
        if (!is_ours(core, app, formation->type) &&
            formation->quantity <= INT32_MAX - app->others) {
            app->others += formation->quantity;
        }
    }
    reading_done(&app->readings[ACT_DYNOS], asked_at);
    for (size_t i = app->first; i < app->first + app->count; i++) {
        struct act_ctl *ctl = &core->ctls[i];
        if (act_ctl_scale(ctl) != ACT_DYNOS) {
            continue;
        }
        const struct act_formation *found = formation_find(answer, ctl->config->process_type);
        if (found == NULL) {
            ctl_missing(core, ctl, "the app has no such process type", now);
            continue;
        }
        act_tell(core, ctl, &ctl->told, TOLD_CONTROLLER, false, "heroku_controller",
                 "Heroku tells what runs");
        ctl_read(core, ctl, found->quantity, now);
    }
}

/* ---- add-ons ---- */

static bool addon_is_meant(const struct config_controller *config, const struct act_addon *addon)
{
    return dyn_str_is(addon->service, config->process_type) &&
           (config->addon == NULL || dyn_str_is(addon->name, config->addon) ||
            dyn_str_is(addon->id, config->addon));
}

/* The one that the controller means; NULL, and why, where that cannot be told. */
static const struct act_addon *addon_find(const struct config_controller *config,
                                          const struct act_answer *answer, char *why, size_t size)
{
    const struct act_addon *found = NULL;
    size_t count = 0;
    for (size_t i = 0; i < answer->addons_count; i++) {
        if (addon_is_meant(config, &answer->addons[i])) {
            found = &answer->addons[i];
            count++;
        }
    }
    if (count == 0) {
        (void)snprintf(why, size, "the app has no add-on %.64s of %.64s",
                       config->addon != NULL ? config->addon : "", config->process_type);
    } else if (count > 1) {
        (void)snprintf(why, size,
                       "the app has %zu add-ons of %.64s: write the name of one as addon", count,
                       config->process_type);
    } else if (found->leaving) {
        (void)snprintf(why, size, "the add-on is being removed");
    } else if (plan_rung_of(config->plans, found->plan) == 0) {
        (void)snprintf(why, size, "its plan " DYN_STR_FMT " is not in the table of plans",
                       DYN_STR_ARG(found->plan));
    } else {
        return found;
    }
    return NULL;
}

/* A change that is under way is taken for ours if one of ours is open: Heroku takes one at a time.
 * Whose it was otherwise shows when it is over. */
static void plan_under_way(struct act_core *core, struct act_ctl *ctl, int32_t rung,
                           struct act_now now)
{
    ctl->missing = false;
    ctl->provisioning = true;
    ctl->running = rung;
    act_human_unfinished(&ctl->human, now.boot_ms);
    if (ctl->open) {
        act_human_confirm(&ctl->human, ctl->intent.from, ctl->intent.to, now.boot_ms);
        settle_open(core, ctl, ctl->intent.to, now);
    }
}

static void read_addons(struct act_core *core, struct act_app *app, int64_t asked_at,
                        const struct act_answer *answer, struct act_now now)
{
    reading_done(&app->readings[ACT_PLANS], asked_at);
    for (size_t i = app->first; i < app->first + app->count; i++) {
        struct act_ctl *ctl = &core->ctls[i];
        char why[ACT_WORDS_MAX] = "";
        if (act_ctl_scale(ctl) != ACT_PLANS) {
            continue;
        }
        const struct act_addon *found = addon_find(ctl->config, answer, why, sizeof why);
        if (found == NULL) {
            ctl_missing(core, ctl, why, now);
            continue;
        }
        act_tell(core, ctl, &ctl->told, TOLD_CONTROLLER, false, "heroku_controller",
                 "Heroku tells what runs");
        dyn_str_copy(ctl->addon, sizeof ctl->addon, found->id);
        int32_t rung = plan_rung_of(ctl->config->plans, found->plan);
        if (found->provisioning) {
            ctl->refused = 0; /* that was why */
            plan_under_way(core, ctl, rung, now);
        } else {
            ctl->provisioning = false;
            ctl_read(core, ctl, rung, now);
        }
    }
}

/* ---- readings that failed ---- */

/* Whether a failed reading of that kind leaves the controller in the dark. */
static bool read_concerns(enum act_request_kind kind, const struct act_ctl *ctl)
{
    return kind == ACT_READ_APP || (kind == ACT_READ_ADDONS) == (act_ctl_scale(ctl) == ACT_PLANS);
}

static void read_words(struct act_core *core, const struct act_app *app, enum act_request_kind kind,
                       struct dyn_str words)
{
    for (size_t i = app->first; i < app->first + app->count; i++) {
        if (read_concerns(kind, &core->ctls[i])) {
            ctl_words(&core->ctls[i], words);
        }
    }
}

/* A refusal that may be the whole account's: ask Heroku about the key itself. */
static void app_suspect(struct act_core *core, struct act_app *app)
{
    app->suspect = true;
    act_app_stale(app);
    core->accounts[app->config->account].checking = true;
}

static void read_refused(struct act_core *core, struct act_app *app, enum act_request_kind kind,
                         const struct act_answer *answer, struct act_now now)
{
    int64_t *blocked_until = kind == ACT_READ_APP      ? &app->blocked_until
                             : kind == ACT_READ_ADDONS ? &app->readings[ACT_PLANS].blocked_until
                                                       : &app->readings[ACT_DYNOS].blocked_until;
    *blocked_until = now.boot_ms + ACT_BLOCKED_MS;
    for (size_t i = app->first; i < app->first + app->count; i++) {
        if (read_concerns(kind, &core->ctls[i])) {
            ctl_block(core, &core->ctls[i], answer->words);
        }
    }
}

static void read_failed(struct act_core *core, struct act_app *app, enum act_request_kind kind,
                        const struct act_answer *answer, struct act_now now)
{
    read_words(core, app, kind, answer->words);
    if (kind == ACT_READ_APP) {
        app->retry_at = now.boot_ms + act_backoff(core, ++app->attempts);
        return;
    }
    struct act_reading *reading = &app->readings[kind == ACT_READ_ADDONS ? ACT_PLANS : ACT_DYNOS];
    reading->stale = true;
    reading->retry_at = now.boot_ms + act_backoff(core, ++reading->attempts);
}

static void read_good(struct act_core *core, struct act_app *app, const struct act_flight *flight,
                      const struct act_answer *answer, struct act_now now)
{
    if (flight->kind == ACT_READ_FORMATION) {
        read_formation(core, app, flight->at, answer, now);
    } else if (flight->kind == ACT_READ_ADDONS) {
        read_addons(core, app, flight->at, answer, now);
    } else {
        app->maintenance = answer->maintenance;
        app->maintenance_at = flight->at;
        app->attempts = 0;
    }
}

static void answer_read(struct act_core *core, const struct act_flight *flight,
                        const struct act_answer *answer, struct act_now now)
{
    struct act_app *app = &core->apps[flight->app];
    switch (answer->class) {
    case ACT_OK:
        read_good(core, app, flight, answer, now);
        return;
    case ACT_ACCOUNT_BAD:
        read_words(core, app, flight->kind, answer->words);
        app_suspect(core, app);
        return;
    case ACT_FORBIDDEN:
    case ACT_LIMIT:
    case ACT_REFUSED:
        read_refused(core, app, flight->kind, answer, now);
        return;
    case ACT_RATE_LIMITED:
        return;
    case ACT_NOT_SENT:
    case ACT_UNCERTAIN:
    case ACT_CONFLICT:
        read_failed(core, app, flight->kind, answer, now);
        return;
    }
}

/* ---- writes ---- */

/* A plan that Heroku will get at; until then it tells the new one or the one before. */
static bool write_is_unfinished(const struct act_flight *flight, const struct act_answer *answer)
{
    return flight->kind == ACT_WRITE_PLAN && answer->class == ACT_OK &&
           answer->addons[0].provisioning;
}

static void write_done(struct act_core *core, struct act_ctl *ctl, const struct act_flight *flight,
                       const struct act_answer *answer, struct act_now now)
{
    const struct intent *intent = &flight->intent;
    bool unfinished = write_is_unfinished(flight, answer);
    ctl->running = answer->quantity;
    ctl->running_at = now.boot_ms;
    ctl->provisioning = unfinished;
    act_human_confirm(&ctl->human, intent->from, unfinished ? intent->to : answer->quantity,
                      now.boot_ms);
    ctl_changed(ctl, intent, now);
    ctl->attempts = 0;
    ctl->conflicted = false;
    if (answer->quantity != intent->to && !unfinished) {
        /* Taken, but otherwise than asked for: no reason to hammer. */
        act_ctl_reading(core, ctl)->stale = true;
        ctl->retry_at = now.boot_ms + ACT_RETRY_MAX_MS;
    }
    act_tell(core, ctl, &ctl->told, TOLD_CONTROLLER, false, "heroku_controller",
             "Heroku takes changes again");
    act_tell(core, ctl, &ctl->told, TOLD_REFUSED, false, "heroku_refused",
             "Heroku takes changes again");
}

static void write_limited(struct act_core *core, struct act_ctl *ctl,
                          const struct act_flight *flight, const struct act_answer *answer,
                          struct act_now now)
{
    struct act_app *app = &core->apps[ctl->app];
    app->limit = answer->limit;
    app->limit_until = now.boot_ms + ACT_LIMIT_MS;
    act_ctl_reading(core, ctl)->stale = true;
    ctl_words(ctl, answer->words);
    char text[ACT_WORDS_MAX + 96];
    (void)snprintf(text, sizeof text, "%d dynos wanted, Heroku's limit for the whole app is %d: %s",
                   (int)flight->target, (int)answer->limit, ctl->words);
    act_tell(core, ctl, &ctl->told, TOLD_LIMIT, true, "heroku_limit", text);
    if (act_ctl_judge(core, ctl, now).want == flight->intent.to) {
        ctl->refused = flight->intent.to; /* the limit does not explain it */
        ctl->refused_until = now.boot_ms + ACT_LIMIT_MS;
    }
}

/* A plan is refused for what passes as well, such as a change that somebody else has begun: a
 * reading tells, and the same plan is tried again some time. */
static void write_refused(struct act_core *core, struct act_ctl *ctl, int32_t quantity,
                          const struct act_answer *answer, struct act_now now)
{
    char rung[CONFIG_RUNG_TEXT];
    char text[ACT_WORDS_MAX + CONFIG_RUNG_TEXT + 96];
    bool plan = act_ctl_scale(ctl) == ACT_PLANS;
    ctl->refused = quantity;
    ctl->refused_until = now.boot_ms + (plan ? ACT_BLOCKED_MS : ACT_LIMIT_MS);
    act_ctl_reading(core, ctl)->stale |= plan;
    ctl_words(ctl, answer->words);
    (void)snprintf(text, sizeof text, "Heroku refuses %s%s (%d): %s",
                   config_rung_text(ctl->config, quantity, rung), plan ? "" : " dynos",
                   (int)answer->status, ctl->words);
    act_tell(core, ctl, &ctl->told, TOLD_REFUSED, true, "heroku_refused", text);
}

/* No usable answer: it may have been done, now or in a while. It stays open in the journal until
 * a reading has told. */
static void write_uncertain(struct act_core *core, struct act_ctl *ctl,
                            const struct act_flight *flight, const struct act_answer *answer,
                            struct act_now now)
{
    struct act_reading *reading = act_ctl_reading(core, ctl);
    reading->stale = true;
    ctl_words(ctl, answer->words);
    ctl->open = true;
    ctl->intent = flight->intent;
    ctl->intent_target = flight->target;
    ctl->intent_status = answer->status;
    ctl->settle_at = now.boot_ms;
    act_human_doubt(&ctl->human, flight->intent.from, flight->intent.to,
                    now.boot_ms + HUMAN_LATE_MS);
    ctl->retry_at = now.boot_ms + act_backoff(core, ++ctl->attempts);
    reading->retry_at = ctl->retry_at;
}

static void write_failed(struct act_core *core, struct act_ctl *ctl,
                         const struct act_flight *flight, const struct act_answer *answer,
                         struct act_now now)
{
    struct act_app *app = &core->apps[ctl->app];
    switch (answer->class) {
    case ACT_ACCOUNT_BAD:
        ctl_words(ctl, answer->words);
        app_suspect(core, app);
        break;
    case ACT_FORBIDDEN:
        ctl->blocked_until = now.boot_ms + ACT_BLOCKED_MS;
        ctl_block(core, ctl, answer->words);
        break;
    case ACT_CONFLICT:
        act_ctl_reading(core, ctl)->stale = true;
        ctl_words(ctl, answer->words);
        if (ctl->conflicted) {
            ctl->retry_at = now.boot_ms + ACT_RETRY_BASE_MS + act_backoff(core, ++ctl->attempts);
        }
        ctl->conflicted = true;
        break;
    case ACT_LIMIT:
        if (flight->kind == ACT_WRITE) {
            write_limited(core, ctl, flight, answer, now);
        } else {
            write_refused(core, ctl, flight->intent.to, answer, now);
        }
        break;
    case ACT_REFUSED:
        write_refused(core, ctl, flight->intent.to, answer, now);
        break;
    case ACT_NOT_SENT:
        ctl_words(ctl, answer->words);
        ctl->retry_at = now.boot_ms + act_backoff(core, ++ctl->attempts);
        break;
    case ACT_OK:
    case ACT_UNCERTAIN:
    case ACT_RATE_LIMITED:
        break;
    }
}

/* Of plans: the plan that Heroku tells as its rung. */
static void plan_resolve(const struct act_ctl *ctl, const struct act_flight *flight,
                         struct act_answer *answer)
{
    if (flight->kind != ACT_WRITE_PLAN || answer->class != ACT_OK) {
        return;
    }
    DYN_ASSERT(answer->addons_count == 1);
    answer->quantity = plan_rung_of(ctl->config->plans, answer->addons[0].plan);
    if (answer->quantity == 0) {
        answer->class = ACT_UNCERTAIN;
        answer->words = DYN_STR("Heroku tells a plan that is not in the table");
    }
}

static void answer_write(struct act_core *core, const struct act_flight *flight,
                         const struct act_answer *told, struct act_now now)
{
    struct act_ctl *ctl = &core->ctls[flight->ctl];
    struct act_answer resolved = *told;
    const struct act_answer *answer = &resolved;
    plan_resolve(ctl, flight, &resolved);
    if (answer->class == ACT_UNCERTAIN) {
        write_uncertain(core, ctl, flight, answer, now);
        return;
    }
    bool done = answer->class == ACT_OK;
    if (done) {
        write_done(core, ctl, flight, answer, now);
    } else {
        write_failed(core, ctl, flight, answer, now);
    }
    struct action action = act_action_make(core, ctl, &flight->intent, flight->target, now);
    action.outcome = done                            ? ACTION_DONE
                     : answer->class == ACT_NOT_SENT ? ACTION_FAILED
                                                     : ACTION_REFUSED;
    action.http_status = answer->status;
    action.request_id = answer->request_id;
    action.words =
        write_is_unfinished(flight, answer) ? DYN_STR("taken, not finished yet") : answer->words;
    act_ctl_settle(core, ctl, now, &flight->intent, &action);
}

/* Somebody else may have written since an older reading was asked for; act_lead() has asked for a
 * new one. */
static bool is_of_this_lease(const struct act_core *core, const struct act_flight *flight)
{
    const struct act_account *account = &core->accounts[flight->account];
    return account->loaded && flight->at >= account->led_at;
}

/* Of a request that was sent with a key of before. That such a key is refused says nothing of the
 * one that took its place: then it comes to no more than an answer that did not come. */
static struct act_answer old_key_answer(const struct act_flight *flight,
                                        const struct act_answer *answer)
{
    struct act_answer told = *answer;
    if (told.class == ACT_ACCOUNT_BAD) {
        told.class = act_is_write(flight->kind) ? ACT_NOT_SENT : ACT_UNCERTAIN;
    }
    return told;
}

void act_answer(struct act_core *core, uint64_t token, const struct act_answer *answer,
                struct act_now now)
{
    struct act_flight *found = act_flight_find(core, token);
    if (found == NULL) {
        return; /* its account has left the configuration */
    }
    struct act_flight flight = *found;
    DYN_ASSERT(!act_is_write(flight.kind) || flight.begun);
    act_flight_free(core, found);
    answer_budget(core, &flight, answer, now);
    bool old_key = flight.key != core->accounts[flight.account].key;
    struct act_answer told = old_key ? old_key_answer(&flight, answer) : *answer;
    answer = &told;
    switch (flight.kind) {
    case ACT_READ_ACCOUNT:
        if (!old_key) {
            act_answer_account(core, flight.account, answer, now);
        }
        break;
    case ACT_READ_LIMITS:
        if (answer->class == ACT_ACCOUNT_BAD) {
            core->accounts[flight.account].checking = true;
        }
        break;
    case ACT_READ_FORMATION:
    case ACT_READ_APP:
    case ACT_READ_ADDONS:
        if (flight.app != ACT_NONE && is_of_this_lease(core, &flight)) {
            answer_read(core, &flight, answer, now);
        }
        break;
    case ACT_WRITE:
    case ACT_WRITE_PLAN:
        if (flight.app != ACT_NONE) {
            answer_write(core, &flight, answer, now);
        }
        break;
    }
    if (flight.app != ACT_NONE) {
        act_app_step(core, flight.app, now);
    }
    act_backlog_step(core, flight.account, now);
}
