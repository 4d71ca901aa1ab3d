#include "tests/unit/support_actuator.h"

#include <check.h>

#define PLANS 50

static struct plan plans[PLANS];
static char plan_names[PLANS][16];
static const struct plan_table plan_table = {.addon = "test", .plans = plans, .count = PLANS};

static size_t app_of(const struct model *m, const char *name)
{
    for (size_t i = 0; i < m->config.apps_count; i++) {
        if (strcmp(m->apps[i].name, name) == 0) {
            return i;
        }
    }
    ck_abort_msg("unknown app %s", name);
    return 0;
}

static void on_send(void *arg, const struct act_request *request)
{
    struct model *m = arg;
    ck_assert_int_lt(m->sent_count, QUEUE);
    if (request->app != NULL) {
        size_t app = app_of(m, request->app);
        ck_assert_msg(m->in_flight[app]++ == 0, "two in flight for an app");
    }
    m->sent[m->sent_count] = *request;
    if (request->kind == ACT_WRITE_PLAN) {
        ck_assert_str_eq(request->addon, "the-id");
        ck_assert_str_eq(request->process_type, "test");
        m->sent[m->sent_count].quantity = plan_rung(&plan_table, request->plan);
    }
    m->sent_count++;
}

static void on_begin(void *arg, uint64_t token, size_t account, const char *app,
                     const struct intent *intent)
{
    struct model *m = arg;
    (void)account;
    ck_assert(intent->open);
    ck_assert_int_ne(intent->from, intent->to);
    ck_assert_int_eq(m->in_flight[app_of(m, app)], 0);
    ck_assert_int_lt(m->begun_count, QUEUE);
    m->begun[m->begun_count++] = token;
    m->begins++;
    if (m->begin_answer == DYN_OK) {
        m->journal[app_of(m, app)] = *intent;
    }
}

static void on_end(void *arg, size_t account, const char *app, const struct intent *intent,
                   const struct action *action)
{
    struct model *m = arg;
    (void)account;
    ck_assert(!intent->open);
    m->journal[app_of(m, app)] = *intent;
    if (action == NULL) {
        m->notes++;
        return;
    }
    m->ends++;
    m->actions++;
    m->last_outcome = action->outcome;
    m->last_action_to = action->to;
}

static void on_action(void *arg, size_t account, const struct action *action)
{
    struct model *m = arg;
    (void)account;
    m->actions++;
    m->last_outcome = action->outcome;
    m->last_action_to = action->to;
}

static void on_event(void *arg, const struct event *event)
{
    struct model *m = arg;
    static const char *const marks[] = {"!", "+", "-"};
    size_t len = strlen(m->events);
    (void)snprintf(m->events + len, sizeof m->events - len, "%s" DYN_STR_FMT " ",
                   marks[event->state], DYN_STR_ARG(event->code));
}

static void on_actual(void *arg, size_t account, const struct actual *actual, bool changed)
{
    (void)arg;
    (void)account;
    (void)actual;
    (void)changed;
}

static bool on_running(void *arg, const struct config_app *app,
                       const struct config_controller *controller, int32_t quantity, int64_t age_ms)
{
    struct model *m = arg;
    size_t len = strlen(m->running);
    ck_assert_ptr_eq(app->controllers, controller);
    (void)snprintf(m->running + len, sizeof m->running - len, "%s%s=%d@%d ",
                   m->running_deaf ? "!" : "", app->name, (int)quantity, (int)(age_ms / 1000));
    return !m->running_deaf;
}

static void on_fenced(void *arg, size_t account)
{
    struct model *m = arg;
    (void)account;
    m->fenced++;
}

static void on_identity(void *arg, size_t account, struct dyn_str identity)
{
    struct model *m = arg;
    (void)account;
    dyn_str_copy(m->told, sizeof m->told, identity);
}

void model_controller(struct config_controller *controller, uint64_t id)
{
    *controller = (struct config_controller){
        .name = "web",
        .id = id,
        .process_type = "web",
        .min_resource = 1,
        .max_resource = 50,
        .mode = CONFIG_MODE_LIVE,
        .scale_down_cooldown_ms = 60000,
        .max_step_down_percent = 25,
        .manual_hold_ms = 3600000,
    };
}

void model_start(struct model *m)
{
    struct act_effects effects = {on_send,   on_begin,   on_end,    on_action, on_event,
                                  on_actual, on_running, on_fenced, NULL,      m};
    effects.identity = m->tells ? on_identity : NULL;
    m->core = act_core_new(&m->config, &effects, 42, m->now);
    ck_assert_ptr_nonnull(m->core);
}

void model_scale_plans(struct model *m)
{
    for (int i = 0; i < PLANS; i++) {
        (void)snprintf(plan_names[i], sizeof plan_names[i], "test:%d", i + 1);
        plans[i] = (struct plan){plan_names[i], {i + 1, i + 1}};
    }
    m->plans = true;
    for (size_t i = 0; i < m->config.apps_count; i++) {
        m->controllers[i].plans = &plan_table;
        m->controllers[i].process_type = plan_table.addon;
        m->controllers[i].allow_downgrade = true;
    }
}

void model_init(struct model *m, size_t apps, size_t accounts)
{
    static const char *const names[] = {"alpha", "beta", "gamma", "delta"};
    *m = (struct model){.now = {1000000, WALL}, .tokens = 4500, .tokens_max = 4500};
    m->refill_ms = 800;
    m->refilled_at = m->now.boot_ms;
    m->identity[0] = "one";
    m->identity[1] = "two";
    for (size_t i = 0; i < accounts; i++) {
        m->accounts[i] =
            (struct config_account){.name = i == 0 ? "first" : "second", .reserve_percent = 40};
    }
    for (size_t i = 0; i < apps; i++) {
        model_controller(&m->controllers[i], 100 + i);
        m->apps[i] = (struct config_app){.name = names[i],
                                         .account = i % accounts,
                                         .interval_ms = 5000,
                                         .controllers = &m->controllers[i],
                                         .controllers_count = 1};
        m->quantity[i] = 4;
    }
    m->config = (struct config){
        .accounts = m->accounts, .accounts_count = accounts, .apps = m->apps, .apps_count = apps};
    m->config.redis.partitions = 1;
    model_start(m);
}

static void refill(struct model *m)
{
    while (m->refilled_at + m->refill_ms <= m->now.boot_ms) {
        m->refilled_at += m->refill_ms;
        m->tokens += m->tokens < m->tokens_max;
    }
}

/* What the add-ons of an app are told to be: ours is the second. */
static void addons_fill(const struct model *m, int32_t rung, struct act_addon *addons)
{
    addons[0] = (struct act_addon){.service = DYN_STR("other"),
                                   .id = DYN_STR("other-id"),
                                   .name = DYN_STR("other-1"),
                                   .plan = DYN_STR("other:1")};
    addons[1] = (struct act_addon){.service = DYN_STR("test"),
                                   .id = DYN_STR("the-id"),
                                   .name = DYN_STR("test-1"),
                                   .plan = dyn_str_from(rung > 0 ? plan_names[rung - 1] : "?"),
                                   .provisioning = m->provisioning};
}

static void answer_as_modelled(struct model *m, const struct act_request *request,
                               struct act_answer *answer, struct act_formation *formations,
                               struct act_addon *addons)
{
    size_t app = request->app != NULL ? app_of(m, request->app) : 0;
    switch (request->kind) {
    case ACT_READ_FORMATION:
        formations[0] = (struct act_formation){DYN_STR("worker"), m->others};
        formations[1] = (struct act_formation){DYN_STR("web"), m->quantity[app]};
        answer->formations = formations;
        answer->formations_count = m->quantity[app] >= 0 ? 2 : 1;
        break;
    case ACT_READ_APP:
        answer->maintenance = m->maintenance;
        break;
    case ACT_READ_ACCOUNT:
        answer->identity = dyn_str_from(m->identity[request->account]);
        break;
    case ACT_READ_LIMITS:
        break;
    case ACT_WRITE:
        answer->quantity = request->quantity;
        break;
    case ACT_READ_ADDONS:
        addons_fill(m, m->quantity[m->both ? 1 : app], addons);
        answer->addons = addons;
        answer->addons_count = m->quantity[app] >= 0 ? 2 : 1;
        break;
    case ACT_WRITE_PLAN:
        addons_fill(m, request->quantity, addons);
        answer->addons = addons + 1;
        answer->addons_count = 1;
        break;
    }
}

static void check_write(struct model *m, const struct act_request *request)
{
    size_t app = app_of(m, request->app);
    m->writes++;
    m->last_write = *request;
    ck_assert_int_ge(request->quantity, 1);
    ck_assert(request->quantity <= m->controllers[app].max_resource ||
              request->quantity < m->quantity[app]); /* on the way down from above it */
    ck_assert_int_ne(m->controllers[app].mode, CONFIG_MODE_SHADOW);
    if (m->lowest_checked) {
        ck_assert_int_ge(request->quantity, m->lowest[app]);
    }
}

void model_answer(struct model *m, struct act_request request)
{
    struct act_formation formations[2];
    struct act_addon addons[2];
    struct act_answer answer = {.status = 200, .remaining = -1, .retry_after_ms = -1, .limit = -1};
    answer.words = DYN_STR("words");
    bool fault = m->faults[request.kind] > 0;
    refill(m);
    if (request.kind != ACT_READ_LIMITS) {
        m->overdrawn += m->tokens == 0;
        m->tokens -= m->tokens > 0;
    }
    m->reads += request.kind == ACT_READ_FORMATION || request.kind == ACT_READ_ADDONS;
    if (act_is_write(request.kind)) {
        check_write(m, &request);
    }
    if (fault) {
        m->faults[request.kind]--;
        answer = m->fault[request.kind];
    } else {
        answer_as_modelled(m, &request, &answer, formations, addons);
    }
    if (act_is_write(request.kind) && (!fault || m->applied_anyway) && !m->not_kept) {
        bool addon = m->both && request.kind == ACT_WRITE_PLAN;
        m->quantity[addon ? 1 : app_of(m, request.app)] = request.quantity;
    }
    answer.remaining = m->silent ? -1 : m->tokens;
    if (request.app != NULL) {
        m->in_flight[app_of(m, request.app)]--;
    }
    act_answer(m->core, request.token, &answer, m->now);
}

static uint64_t dice_state;

void model_seed(uint64_t seed)
{
    dice_state = seed;
}

uint64_t model_dice(uint64_t sides)
{
    dice_state = dice_state * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (dice_state >> 33) % sides;
}

void model_settle(struct model *m)
{
    while (!m->hold_answers && (m->sent_count > 0 || m->begun_count > 0)) {
        if (m->lazy && model_dice(3) == 0) {
            return;
        }
        if (m->begun_count > 0) {
            uint64_t token = m->begun[--m->begun_count];
            act_begun(m->core, token, m->begin_answer, m->now);
            continue;
        }
        size_t at = m->lazy ? model_dice((uint64_t)m->sent_count) : 0;
        struct act_request request = m->sent[at];
        m->sent_count--;
        memmove(m->sent + at, m->sent + at + 1, ((size_t)m->sent_count - at) * sizeof *m->sent);
        model_answer(m, request);
    }
}

void model_pass(struct model *m, int64_t ms)
{
    for (int64_t done = 0; done < ms; done += ACT_TICK_MS) {
        m->now.boot_ms += ACT_TICK_MS;
        m->now.wall_ms += ACT_TICK_MS;
        act_tick(m->core, m->now);
        model_settle(m);
    }
}

void model_lead(struct model *m)
{
    for (size_t i = 0; i < m->config.accounts_count; i++) {
        act_lead(m->core, i, 7, NULL, m->now);
        act_journal_loaded(m->core, i, m->now);
    }
    model_settle(m);
    model_pass(m, 1000);
}

void model_mark(struct model *m)
{
    struct mark said = {.epoch = 1, .folded = {(uint64_t)m->now.wall_ms, 0}};
    act_mark(m->core, 0, &said, m->now);
}

dyn_err model_want(struct model *m, size_t app, int32_t rung, bool raise_only)
{
    struct target target = {.controller = m->controllers[app].id,
                            .app = dyn_str_from(m->apps[app].name),
                            .name = DYN_STR("web"),
                            .rung = rung,
                            .raise_only = raise_only,
                            .epoch = 1};
    dyn_err err = act_target(m->core, 0, &target, m->now);
    model_settle(m);
    return err;
}

enum guard model_guard(struct model *m, size_t app)
{
    struct actual actual;
    ck_assert_int_eq(act_explain(m->core, m->controllers[app].id, m->now, &actual), DYN_OK);
    return actual.guard;
}

enum act_request_kind model_kind(const struct model *m, enum act_request_kind kind)
{
    if (m->plans && kind == ACT_READ_FORMATION) {
        return ACT_READ_ADDONS;
    }
    return m->plans && kind == ACT_WRITE ? ACT_WRITE_PLAN : kind;
}

void model_fail_next(struct model *m, enum act_request_kind kind, enum act_class class,
                     int32_t status, int count)
{
    kind = model_kind(m, kind);
    m->fault[kind] = (struct act_answer){.class = class,
                                         .status = status,
                                         .remaining = -1,
                                         .retry_after_ms = -1,
                                         .limit = -1,
                                         .words = DYN_STR("no")};
    m->faults[kind] = count;
}
