#include "tests/unit/support_actuator.h"

#include <stdlib.h>

#define PLANS 50

static struct plan plans[PLANS];
static char plan_names[PLANS][16];
static const struct plan_table plan_table = {.addon = "test", .plans = plans, .count = PLANS};

static size_t app_of(const struct model *model, const char *name)
{
    for (size_t i = 0; i < model->config.apps_count; i++) {
        if (strcmp(model->apps[i].name, name) == 0) {
            return i;
        }
    }
    ck_abort_msg("unknown app %s", name);
    return 0;
}

static void on_send(void *arg, const struct act_request *request)
{
    struct model *model = arg;
    ck_assert_int_lt(model->sent_count, QUEUE);
    if (request->app != NULL) {
        size_t app = app_of(model, request->app);
        ck_assert_msg(model->in_flight[app]++ == 0, "two in flight for an app");
    }
    model->sent[model->sent_count] = *request;
    if (request->kind == ACT_WRITE_PLAN) {
        ck_assert_str_eq(request->addon, "the-id");
        ck_assert_str_eq(request->process_type, "test");
        model->sent[model->sent_count].quantity = plan_rung(&plan_table, request->plan);
    }
    model->sent_count++;
}

static void on_begin(void *arg, uint64_t token, size_t account, const char *app,
                     const struct intent *intent)
{
    struct model *model = arg;
    (void)account;
    ck_assert(intent->open);
    ck_assert_int_ne(intent->from, intent->to);
    ck_assert_int_eq(model->in_flight[app_of(model, app)], 0);
    ck_assert_int_lt(model->begun_count, QUEUE);
    model->begun[model->begun_count++] = token;
    model->begins++;
    if (model->begin_answer == DYN_OK) {
        model->journal[app_of(model, app)] = *intent;
    }
}

static void on_end(void *arg, size_t account, const char *app, const struct intent *intent,
                   const struct action *action)
{
    struct model *model = arg;
    (void)account;
    ck_assert(!intent->open);
    model->journal[app_of(model, app)] = *intent;
    if (action == NULL) {
        model->notes++;
        return;
    }
    model->ends++;
    model->actions++;
    model->last_outcome = action->outcome;
    model->last_action_to = action->to;
}

static void on_action(void *arg, size_t account, const struct action *action)
{
    struct model *model = arg;
    (void)account;
    model->actions++;
    model->last_outcome = action->outcome;
    model->last_action_to = action->to;
}

static void on_event(void *arg, const struct event *event)
{
    struct model *model = arg;
    static const char *const marks[] = {"!", "+", "-"};
    size_t len = strlen(model->events);
    (void)snprintf(model->events + len, sizeof model->events - len, "%s" DYN_STR_FMT " ",
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
    struct model *model = arg;
    size_t len = strlen(model->running);
    ck_assert_ptr_eq(app->controllers, controller);
    (void)snprintf(model->running + len, sizeof model->running - len, "%s%s=%d@%d ",
                   model->running_deaf ? "!" : "", app->name, (int)quantity, (int)(age_ms / 1000));
    return !model->running_deaf;
}

static void on_fenced(void *arg, size_t account)
{
    struct model *model = arg;
    (void)account;
    model->fenced++;
}

static void on_trusted(void *arg, size_t account)
{
    struct model *model = arg;
    (void)account;
    model->trusted++;
}

static void on_identity(void *arg, size_t account, struct dyn_str identity)
{
    struct model *model = arg;
    (void)account;
    dyn_str_copy(model->told, sizeof model->told, identity);
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

void model_start(struct model *model)
{
    struct act_effects effects = {on_send,    on_begin,  on_end, on_action,  on_event, on_actual,
                                  on_running, on_fenced, NULL,   on_trusted, model};
    effects.identity = model->tells ? on_identity : NULL;
    model->core = act_core_new(&model->config, &effects, 42, model->now);
    ck_assert_ptr_nonnull(model->core);
}

void model_scale_plans(struct model *model)
{
    for (int i = 0; i < PLANS; i++) {
        (void)snprintf(plan_names[i], sizeof plan_names[i], "test:%d", i + 1);
        plans[i] = (struct plan){plan_names[i], {i + 1, i + 1}};
    }
    model->plans = true;
    for (size_t i = 0; i < model->config.apps_count; i++) {
        model->controllers[i].plans = &plan_table;
        model->controllers[i].process_type = plan_table.addon;
        model->controllers[i].allow_downgrade = true;
    }
}

void model_init(struct model *model, size_t apps, size_t accounts)
{
    static const char *const names[] = {"alpha", "beta", "gamma", "delta"};
    *model = (struct model){.now = {1000000, WALL}, .tokens = 4500, .tokens_max = 4500};
    model->refill_ms = 800;
    model->refilled_at = model->now.boot_ms;
    model->identity[0] = "one";
    model->identity[1] = "two";
    for (size_t i = 0; i < accounts; i++) {
        model->accounts[i] =
            (struct config_account){.name = i == 0 ? "first" : "second", .reserve_percent = 40};
    }
    for (size_t i = 0; i < apps; i++) {
        model_controller(&model->controllers[i], 100 + i);
        model->apps[i] = (struct config_app){.name = names[i],
                                             .account = i % accounts,
                                             .interval_ms = 5000,
                                             .controllers = &model->controllers[i],
                                             .controllers_count = 1};
        model->quantity[i] = 4;
    }
    model->config = (struct config){.accounts = model->accounts,
                                    .accounts_count = accounts,
                                    .apps = model->apps,
                                    .apps_count = apps};
    model->config.redis.partitions = 1;
    model_start(model);
}

static void refill(struct model *model)
{
    while (model->refilled_at + model->refill_ms <= model->now.boot_ms) {
        model->refilled_at += model->refill_ms;
        model->tokens += model->tokens < model->tokens_max;
    }
}

/* What the add-ons of an app are told to be: ours is the second. */
static void addons_fill(const struct model *model, int32_t rung, struct act_addon *addons)
{
    addons[0] = (struct act_addon){.service = DYN_STR("other"),
                                   .id = DYN_STR("other-id"),
                                   .name = DYN_STR("other-1"),
                                   .plan = DYN_STR("other:1")};
    addons[1] = (struct act_addon){.service = DYN_STR("test"),
                                   .id = DYN_STR("the-id"),
                                   .name = DYN_STR("test-1"),
                                   .plan = dyn_str_from(rung > 0 ? plan_names[rung - 1] : "?"),
                                   .provisioning = model->provisioning};
}

static void answer_as_modelled(struct model *model, const struct act_request *request,
                               struct act_answer *answer, struct act_formation *formations,
                               struct act_addon *addons)
{
    size_t app = request->app != NULL ? app_of(model, request->app) : 0;
    switch (request->kind) {
    case ACT_READ_FORMATION:
        formations[0] = (struct act_formation){DYN_STR("worker"), model->others};
        formations[1] = (struct act_formation){DYN_STR("web"), model->quantity[app]};
        answer->formations = formations;
        answer->formations_count = model->quantity[app] >= 0 ? 2 : 1;
        break;
    case ACT_READ_APP:
        answer->maintenance = model->maintenance;
        break;
    case ACT_READ_ACCOUNT:
        answer->identity = dyn_str_from(model->identity[request->account]);
        break;
    case ACT_READ_LIMITS:
        break;
    case ACT_WRITE:
        answer->quantity = request->quantity;
        break;
    case ACT_READ_ADDONS:
        addons_fill(model, model->quantity[model->both ? 1 : app], addons);
        answer->addons = addons;
        answer->addons_count = model->quantity[app] >= 0 ? 2 : 1;
        break;
    case ACT_WRITE_PLAN:
        addons_fill(model, request->quantity, addons);
        answer->addons = addons + 1;
        answer->addons_count = 1;
        break;
    }
}

static void check_write(struct model *model, const struct act_request *request)
{
    size_t app = app_of(model, request->app);
    model->writes++;
    model->last_write = *request;
    ck_assert_int_ge(request->quantity, 1);
    ck_assert(request->quantity <= model->controllers[app].max_resource ||
              request->quantity < model->quantity[app]); /* on the way down from above it */
    ck_assert_int_ne(model->controllers[app].mode, CONFIG_MODE_SHADOW);
    if (model->lowest_checked) {
        ck_assert_int_ge(request->quantity, model->lowest[app]);
    }
}

void model_answer(struct model *model, struct act_request request)
{
    struct act_formation formations[2];
    struct act_addon addons[2];
    struct act_answer answer = {.status = 200, .remaining = -1, .retry_after_ms = -1, .limit = -1};
    answer.words = DYN_STR("words");
    bool fault = model->faults[request.kind] > 0;
    refill(model);
    if (request.kind != ACT_READ_LIMITS) {
        model->overdrawn += model->tokens == 0;
        model->tokens -= model->tokens > 0;
    }
    model->reads += request.kind == ACT_READ_FORMATION || request.kind == ACT_READ_ADDONS;
    if (act_is_write(request.kind)) {
        check_write(model, &request);
    }
    if (fault) {
        model->faults[request.kind]--;
        answer = model->fault[request.kind];
    } else {
        answer_as_modelled(model, &request, &answer, formations, addons);
    }
    if (act_is_write(request.kind) && (!fault || model->applied_anyway) && !model->not_kept) {
        bool addon = model->both && request.kind == ACT_WRITE_PLAN;
        model->quantity[addon ? 1 : app_of(model, request.app)] = request.quantity;
    }
    answer.remaining = model->silent ? -1 : model->tokens;
    if (request.app != NULL) {
        model->in_flight[app_of(model, request.app)]--;
    }
    act_answer(model->core, request.token, &answer, model->now);
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

void model_settle(struct model *model)
{
    while (!model->hold_answers && (model->sent_count > 0 || model->begun_count > 0)) {
        if (model->lazy && model_dice(3) == 0) {
            return;
        }
        if (model->begun_count > 0) {
            uint64_t token = model->begun[--model->begun_count];
            act_begun(model->core, token, model->begin_answer, model->now);
            continue;
        }
        size_t at = model->lazy ? model_dice((uint64_t)model->sent_count) : 0;
        struct act_request request = model->sent[at];
        model->sent_count--;
        memmove(model->sent + at, model->sent + at + 1,
                ((size_t)model->sent_count - at) * sizeof *model->sent);
        model_answer(model, request);
    }
}

void model_pass(struct model *model, int64_t ms)
{
    for (int64_t done = 0; done < ms; done += ACT_TICK_MS) {
        model->now.boot_ms += ACT_TICK_MS;
        model->now.wall_ms += ACT_TICK_MS;
        act_tick(model->core, model->now);
        model_settle(model);
    }
}

void model_lead(struct model *model)
{
    for (size_t i = 0; i < model->config.accounts_count; i++) {
        act_lead(model->core, i, 7, NULL, model->now);
        act_journal_loaded(model->core, i, model->now);
    }
    model_settle(model);
    model_pass(model, 1000);
}

void model_mark(struct model *model)
{
    struct mark said = {.epoch = 1, .folded = {(uint64_t)model->now.wall_ms, 0}};
    act_mark(model->core, 0, &said, model->now);
}

dyn_err model_want(struct model *model, size_t app, int32_t rung, bool raise_only)
{
    struct target target = {.controller = model->controllers[app].id,
                            .app = dyn_str_from(model->apps[app].name),
                            .name = DYN_STR("web"),
                            .rung = rung,
                            .raise_only = raise_only,
                            .epoch = 1};
    dyn_err err = act_target(model->core, 0, &target, model->now);
    model_settle(model);
    return err;
}

enum guard model_guard(struct model *model, size_t app)
{
    struct actual actual;
    ck_assert_int_eq(act_explain(model->core, model->controllers[app].id, model->now, &actual),
                     DYN_OK);
    return actual.guard;
}

enum act_request_kind model_kind(const struct model *model, enum act_request_kind kind)
{
    if (model->plans && kind == ACT_READ_FORMATION) {
        return ACT_READ_ADDONS;
    }
    return model->plans && kind == ACT_WRITE ? ACT_WRITE_PLAN : kind;
}

void model_fail_next(struct model *model, enum act_request_kind kind, enum act_class class,
                     int32_t status, int count)
{
    kind = model_kind(model, kind);
    model->fault[kind] = (struct act_answer){.class = class,
                                             .status = status,
                                             .remaining = -1,
                                             .retry_after_ms = -1,
                                             .limit = -1,
                                             .words = DYN_STR("no")};
    model->faults[kind] = count;
}

/* ---- suites ---- */

struct model m;

static void setup(void)
{
    model_init(&m, 1, 1);
}

static void setup_plans(void)
{
    model_init(&m, 1, 1);
    act_core_free(m.core);
    model_scale_plans(&m);
    model_start(&m);
}

void model_teardown(void)
{
    act_core_free(m.core);
}

TCase *model_tcase(Suite *suite, const char *name, SFun set_up)
{
    TCase *tcase = tcase_create(name);
    tcase_add_checked_fixture(tcase, set_up, model_teardown);
    tcase_set_timeout(tcase, 60);
    suite_add_tcase(suite, tcase);
    return tcase;
}

TCase *model_tcase_dynos(Suite *suite)
{
    return model_tcase(suite, "dynos", setup);
}

TCase *model_tcase_plans(Suite *suite)
{
    return model_tcase(suite, "plans", setup_plans);
}

int model_run(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
