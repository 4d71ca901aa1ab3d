#include "actuator/core_internal.h"

#include <stdlib.h>

/* ---- life ---- */

static size_t count_controllers(const struct config *config)
{
    size_t count = 0;
    for (size_t i = 0; i < config->apps_count; i++) {
        count += config->apps[i].controllers_count;
    }
    return count;
}

static int index_compare(const void *a, const void *b)
{
    const struct act_index *left = a;
    const struct act_index *right = b;
    return left->id < right->id ? -1 : left->id > right->id;
}

static void ctl_init(struct act_ctl *ctl, const struct config_controller *config, size_t app)
{
    *ctl = (struct act_ctl){
        .config = config,
        .app = app,
        .target = -1,
        .running = -1,
        .last_up = ACT_NEVER,
        .last_down = ACT_NEVER,
        .settle_at = ACT_NEVER,
        .retry_at = ACT_NEVER,
        .journal_at = ACT_NEVER,
        .blocked_until = ACT_NEVER,
        .refused_until = ACT_NEVER,
        .pause_until_wall = INT64_MIN,
        .shadow_told = -1,
        .guard = GUARD_NO_READING,
        .unmet_since = ACT_NEVER,
        .at_max_since = ACT_NEVER,
        .actual_at = ACT_NEVER,
        .actual_guard = GUARD_COUNT,
        .actual_running = -2,
        .actual_target = -2,
        .told_at = ACT_NEVER,
    };
    act_human_init(&ctl->human);
}

static void app_init(struct act_app *app, const struct config_app *config, size_t first)
{
    *app = (struct act_app){
        .config = config,
        .first = first,
        .count = config->controllers_count,
        .maintenance_at = ACT_NEVER,
        .retry_at = ACT_NEVER,
        .blocked_until = ACT_NEVER,
        .limit = -1,
        .limit_until = ACT_NEVER,
        .pause_until_wall = INT64_MIN,
    };
    for (size_t i = 0; i < ACT_SCALES; i++) {
        app->readings[i] = (struct act_reading){
            .read_at = ACT_NEVER, .retry_at = ACT_NEVER, .blocked_until = ACT_NEVER};
    }
}

static void account_init(struct act_core *core, size_t index)
{
    core->accounts[index] = (struct act_account){
        .config = &core->config->accounts[index],
        .bad_until = ACT_NEVER,
        .retry_at = ACT_NEVER,
        .settle_at = ACT_NEVER,
        .budget = index,
    };
    act_budget_init(&core->budgets[index], core->config->accounts[index].reserve_percent);
}

static void fill(struct act_core *core)
{
    for (size_t i = 0; i < core->accounts_count; i++) {
        account_init(core, i);
    }
    size_t at = 0;
    for (size_t i = 0; i < core->apps_count; i++) {
        const struct config_app *app = &core->config->apps[i];
        app_init(&core->apps[i], app, at);
        for (size_t j = 0; j < app->controllers_count; j++, at++) {
            ctl_init(&core->ctls[at], &app->controllers[j], i);
            core->index[at] = (struct act_index){app->controllers[j].id, at};
        }
    }
    qsort(core->index, core->ctls_count, sizeof *core->index, index_compare);
    for (size_t i = 0; i < DYN_PARTITIONS_MAX; i++) {
        core->partitions[i].mark_at = ACT_NEVER;
    }
}

/* calloc(0, n) may give NULL, which would look like no memory. */
static void *room(size_t count, size_t size)
{
    return calloc(count > 0 ? count : 1, size);
}

struct act_core *act_core_new(const struct config *config, const struct act_effects *effects,
                              uint64_t seed, struct act_now now)
{
    (void)now;
    struct act_core *core = calloc(1, sizeof *core);
    if (core == NULL) {
        return NULL;
    }
    core->config = config;
    core->effects = *effects;
    core->random = seed;
    core->pause_until_wall = INT64_MIN;
    core->accounts_count = config->accounts_count;
    core->apps_count = config->apps_count;
    core->ctls_count = count_controllers(config);
    core->flights_count = config->accounts_count * ACT_FLIGHTS_MAX;
    core->accounts = room(core->accounts_count, sizeof *core->accounts);
    core->budgets = room(core->accounts_count, sizeof *core->budgets);
    core->apps = room(core->apps_count, sizeof *core->apps);
    core->needs = room(core->apps_count, sizeof *core->needs);
    core->ctls = room(core->ctls_count, sizeof *core->ctls);
    core->index = room(core->ctls_count, sizeof *core->index);
    core->flights = room(core->flights_count, sizeof *core->flights);
    if (core->accounts == NULL || core->budgets == NULL || core->apps == NULL ||
        core->needs == NULL || core->ctls == NULL || core->index == NULL || core->flights == NULL) {
        act_core_free(core);
        return NULL;
    }
    fill(core);
    return core;
}

void act_core_free(struct act_core *core)
{
    if (core == NULL) {
        return;
    }
    free(core->accounts);
    free(core->budgets);
    free(core->apps);
    free(core->needs);
    free(core->ctls);
    free(core->index);
    free(core->flights);
    free(core);
}

/* ---- small things that the other files need ---- */

size_t act_find_ctl(const struct act_core *core, uint64_t id)
{
    struct act_index key = {.id = id};
    const struct act_index *found =
        bsearch(&key, core->index, core->ctls_count, sizeof *core->index, index_compare);
    return found == NULL ? ACT_NONE : found->ctl;
}

/* splitmix64: the jitter's, not for keys. */
uint64_t act_random(struct act_core *core)
{
    core->random += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = core->random;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

struct act_budget *act_account_budget(struct act_core *core, size_t account)
{
    DYN_ASSERT(account < core->accounts_count);
    return &core->budgets[core->accounts[account].budget];
}

int64_t act_backoff(struct act_core *core, unsigned attempts)
{
    unsigned doublings = attempts < 6 ? attempts : 6;
    int64_t most = (int64_t)ACT_RETRY_BASE_MS << doublings;
    if (most > ACT_RETRY_MAX_MS) {
        most = ACT_RETRY_MAX_MS;
    }
    return (int64_t)(act_random(core) % (uint64_t)(most + 1));
}

static int64_t slot_of(int64_t now)
{
    return now / ACT_CHANGE_SLOT_MS;
}

/* Slots between the newest and now are over an hour old once they are reused. */
static void changes_turn(struct act_ctl *ctl, int64_t now)
{
    int64_t slot = slot_of(now);
    if (slot - ctl->changes_slot >= ACT_CHANGE_SLOTS) {
        memset(ctl->changes, 0, sizeof ctl->changes);
        ctl->changes_slot = slot;
    }
    while (ctl->changes_slot < slot) {
        ctl->changes_slot++;
        ctl->changes[ctl->changes_slot % ACT_CHANGE_SLOTS] = 0;
    }
}

void act_changes_add(struct act_ctl *ctl, int64_t at, int64_t now)
{
    DYN_ASSERT(at <= now);
    if (now - at >= (ACT_CHANGE_SLOTS - 1) * ACT_CHANGE_SLOT_MS) {
        return; /* over an hour old */
    }
    changes_turn(ctl, now);
    int64_t number = slot_of(at > 0 ? at : 0); /* the machine may have started since */
    uint16_t *slot = &ctl->changes[number % ACT_CHANGE_SLOTS];
    if (*slot < UINT16_MAX) {
        (*slot)++;
    }
}

int32_t act_changes_count(const struct act_ctl *ctl, int64_t now)
{
    int64_t passed = slot_of(now) - ctl->changes_slot;
    int32_t count = 0;
    for (int64_t i = 0; i + passed < ACT_CHANGE_SLOTS; i++) {
        if (ctl->changes_slot - i < 0) {
            break;
        }
        count += ctl->changes[(ctl->changes_slot - i) % ACT_CHANGE_SLOTS];
    }
    return count;
}

void act_app_stale(struct act_app *app)
{
    for (size_t i = 0; i < ACT_SCALES; i++) {
        app->readings[i].stale = true;
    }
}

struct act_reading *act_ctl_reading(struct act_core *core, const struct act_ctl *ctl)
{
    return &core->apps[ctl->app].readings[act_ctl_scale(ctl)];
}

bool act_can_ask(const struct act_core *core, const struct act_account *account)
{
    return !core->draining && !core->deaf && account->led && account->loaded &&
           !account->key_missing;
}

static int64_t to_wall(int64_t boot, struct act_now now)
{
    return boot == ACT_NEVER ? 0 : now.wall_ms - (now.boot_ms - boot);
}

struct intent act_intent_make(const struct act_core *core, const struct act_ctl *ctl,
                              struct act_now now)
{
    const struct act_app *app = &core->apps[ctl->app];
    bool manual = ctl->human.floor >= 0 && now.boot_ms < ctl->human.until;
    return (struct intent){
        .controller = ctl->config->id,
        .from = ctl->running >= 0 ? ctl->running : 0,
        .to = ctl->running >= 0 ? ctl->running : 0,
        .decided = ctl->decided,
        .epoch = core->accounts[app->config->account].epoch,
        .confirmed = ctl->human.confirmed,
        .confirmed_wall_ms = ctl->human.confirmed >= 0 ? now.wall_ms : 0,
        .wall_ms = now.wall_ms,
        .last_up_ms = to_wall(ctl->last_up, now),
        .last_down_ms = to_wall(ctl->last_down, now),
        .manual_until_ms = manual ? to_wall(ctl->human.until, now) : 0,
        .manual_floor = manual ? ctl->human.floor : -1,
    };
}

/* ---- the bus ---- */

static void app_resume(struct act_core *core, struct act_app *app, int64_t until)
{
    app->pause_until_wall = until;
    for (size_t i = app->first; i < app->first + app->count; i++) {
        core->ctls[i].pause_until_wall = INT64_MIN;
    }
}

/* A pause of something larger covers what it holds; a resume lifts it there as well. */
static void app_command(struct act_core *core, struct act_app *app, struct dyn_str controller,
                        int64_t until)
{
    if (controller.len == 0) {
        app_resume(core, app, until);
        return;
    }
    for (size_t i = app->first; i < app->first + app->count; i++) {
        if (dyn_str_is(controller, core->ctls[i].config->name)) {
            core->ctls[i].pause_until_wall = until;
        }
    }
}

void act_command(struct act_core *core, const struct command *command, struct act_now now)
{
    (void)now;
    if (command->verb != COMMAND_PAUSE && command->verb != COMMAND_RESUME) {
        return;
    }
    int64_t until = command->verb == COMMAND_PAUSE ? command->until_ms : INT64_MIN;
    if (command->app.len == 0) {
        core->pause_until_wall = until;
    }
    for (size_t i = 0; i < core->apps_count; i++) {
        struct act_app *app = &core->apps[i];
        if (command->app.len == 0) {
            app_resume(core, app, INT64_MIN);
        } else if (dyn_str_is(command->app, app->config->name)) {
            app_command(core, app, command->controller, until);
        }
    }
}

void act_commands(struct act_core *core, bool told, struct act_now now)
{
    bool begins = core->deaf && told;
    core->deaf = !told;
    if (begins) {
        act_tick(core, now);
    }
}

static dyn_err target_refuse(struct act_core *core, struct act_ctl *ctl,
                             const struct target *target)
{
    char max[CONFIG_RUNG_TEXT];
    char text[160 + CONFIG_RUNG_TEXT];
    (void)snprintf(
        text, sizeof text, "a target of %d was ignored: it must lie within 1 and max_resource (%s)",
        (int)target->rung, config_rung_text(ctl->config, ctl->config->max_resource, max));
    act_tell(core, ctl, &ctl->told, TOLD_TARGET, true, "target_refused", text);
    return DYN_REFUSED;
}

/* A leader's log may stand behind that of the one before it, after a failover to a slower clock. */
static void epoch_see(struct act_partition *part, uint64_t epoch)
{
    if (epoch > part->epoch) {
        part->epoch = epoch;
        part->folded = (struct entry_id){0, 0};
    }
}

/* The newest targets and the stream are read on two connections: either may be behind. */
static bool target_is_older(const struct act_ctl *ctl, const struct target *target)
{
    return target->epoch == ctl->decided_epoch &&
           entry_id_compare(target->decided, ctl->decided) < 0;
}

dyn_err act_target(struct act_core *core, uint32_t partition, const struct target *target,
                   struct act_now now)
{
    size_t at = act_find_ctl(core, target->controller);
    if (at == ACT_NONE || partition >= DYN_PARTITIONS_MAX) {
        return DYN_REFUSED;
    }
    struct act_ctl *ctl = &core->ctls[at];
    const struct config_app *app = core->apps[ctl->app].config;
    if (app->partition != partition || !dyn_str_is(target->app, app->name) ||
        target->epoch < core->partitions[partition].epoch || target_is_older(ctl, target)) {
        return DYN_REFUSED;
    }
    epoch_see(&core->partitions[partition], target->epoch);
    if (target->rung < 1 || target->rung > ctl->config->max_resource ||
        target->rung > DYN_QUANTITY_MAX) {
        return target_refuse(core, ctl, target);
    }
    act_tell(core, ctl, &ctl->told, TOLD_TARGET, false, "target_refused", "targets are in range");
    if (ctl->target != target->rung) {
        ctl->refused = 0;
        ctl->conflicted = false;
        act_tell(core, ctl, &ctl->told, TOLD_REFUSED, false, "heroku_refused",
                 "the target has changed");
    }
    ctl->target = target->rung;
    ctl->raise_only = target->raise_only;
    ctl->decided = target->decided;
    ctl->decided_epoch = target->epoch;
    act_app_step(core, ctl->app, now);
    return DYN_OK;
}

void act_history(struct act_core *core)
{
    for (size_t i = 0; i < DYN_PARTITIONS_MAX; i++) {
        core->partitions[i] = (struct act_partition){.mark_at = ACT_NEVER};
    }
    for (size_t i = 0; i < core->ctls_count; i++) {
        core->ctls[i].decided_epoch = 0;
    }
}

void act_mark(struct act_core *core, uint32_t partition, const struct mark *mark,
              struct act_now now)
{
    if (partition >= DYN_PARTITIONS_MAX || mark->partition != partition ||
        mark->epoch < core->partitions[partition].epoch) {
        return;
    }
    struct act_partition *part = &core->partitions[partition];
    epoch_see(part, mark->epoch);
    if (entry_id_compare(mark->folded, part->folded) > 0) {
        part->folded = mark->folded;
        part->mark_at = now.boot_ms;
    }
}

void act_drain(struct act_core *core)
{
    core->draining = true;
}

/* ---- what it knows ---- */

size_t act_in_flight(const struct act_core *core, size_t account)
{
    DYN_ASSERT(account < core->accounts_count);
    return core->accounts[account].flights;
}

size_t act_writing(const struct act_core *core, size_t account)
{
    size_t count = 0;
    for (size_t i = 0; i < core->flights_count; i++) {
        const struct act_flight *flight = &core->flights[i];
        count += flight->token != 0 && flight->account == account && act_is_write(flight->kind);
    }
    return count;
}

/* A fall that would not be decided any more, or whose app has left the configuration. */
static bool flight_is_overtaken(const struct act_core *core, const struct act_flight *flight,
                                struct act_now now)
{
    const struct intent *intent = &flight->intent;
    if (flight->app == ACT_NONE || intent->to > intent->from) {
        return flight->app == ACT_NONE;
    }
    struct act_verdict verdict = act_ctl_judge(core, &core->ctls[flight->ctl], now);
    return !verdict.write || verdict.want > intent->to;
}

size_t act_write_account(const struct act_core *core, uint64_t token, struct act_now now)
{
    for (size_t i = 0; i < core->flights_count; i++) {
        const struct act_flight *flight = &core->flights[i];
        if (flight->token == token && act_is_write(flight->kind)) {
            const struct act_account *account = &core->accounts[flight->account];
            bool ours = account->led && account->clear && account->epoch == flight->intent.epoch;
            bool stays = act_budget_waits(&core->budgets[account->budget], now.boot_ms) ||
                         flight_is_overtaken(core, flight, now);
            return ours && !stays ? flight->account : ACT_NONE;
        }
    }
    return ACT_NONE;
}

bool act_account_usable(const struct act_core *core, size_t account)
{
    DYN_ASSERT(account < core->accounts_count);
    const struct act_account *held = &core->accounts[account];
    return held->led && held->loaded && !held->key_missing && held->bad_until == ACT_NEVER;
}

int64_t act_tokens(const struct act_core *core, size_t account)
{
    DYN_ASSERT(account < core->accounts_count);
    const struct act_budget *budget = &core->budgets[core->accounts[account].budget];
    return budget->told_at == BUDGET_NEVER ? -1 : budget->left;
}

dyn_err act_explain(const struct act_core *core, uint64_t controller, struct act_now now,
                    struct actual *out)
{
    size_t at = act_find_ctl(core, controller);
    if (at == ACT_NONE) {
        return DYN_NOTFOUND;
    }
    act_ctl_actual(core, &core->ctls[at], now, out);
    return DYN_OK;
}
