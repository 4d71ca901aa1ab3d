#include "deploy/cli/sim_heroku.h"

#include "actuator/core.h"

#define SIM_TOKENS 4500 /* what Heroku tells an account that has used none */
#define SIM_TICK_MS 1000

/* What runs of an app, by controller: dynos, or the rung of an add-on's plan; and both as Heroku
 * tells them. */
struct sim_app {
    int32_t runs[DYN_CONFIG_CONTROLLERS_MAX];
    struct act_formation formations[DYN_CONFIG_CONTROLLERS_MAX];
    struct act_addon addons[DYN_CONFIG_CONTROLLERS_MAX];
};

/* An effect that is owed an answer; effects must not call the core themselves. */
struct sim_owed {
    bool begin; /* act_begun(), else act_answer() */
    struct act_request request;
};

struct sim_heroku {
    struct sim_heroku_options options;
    struct act_core *core;
    struct sim_app *apps;
    struct sim_owed *owed;
    size_t owed_count;
    size_t owed_max;
};

static struct act_now sim_now(int64_t now_ms)
{
    return (struct act_now){.boot_ms = now_ms, .wall_ms = now_ms};
}

/* ---- the model ---- */

static void sim_app_fill(struct sim_app *app, const struct config_app *config, int32_t start)
{
    for (size_t c = 0; c < config->controllers_count; c++) {
        const struct config_controller *controller = &config->controllers[c];
        bool given = start > 0 && controller->plans == NULL;
        app->runs[c] = given ? start : controller->min_resource;
    }
}

static size_t sim_app_index(const struct sim_heroku *heroku, const char *name)
{
    const struct config *config = heroku->options.config;
    size_t index = 0;
    while (index < config->apps_count && strcmp(config->apps[index].name, name) != 0) {
        index++;
    }
    DYN_ASSERT(index < config->apps_count);
    return index;
}

static struct act_addon sim_addon(const struct config_controller *controller, int32_t rung)
{
    return (struct act_addon){
        .service = dyn_str_from(controller->process_type),
        .id = dyn_str_from(controller->name),
        .name = dyn_str_from(controller->addon != NULL ? controller->addon : controller->name),
        .plan = dyn_str_from(controller->plans->plans[rung - 1].name),
    };
}

static void sim_read(struct sim_heroku *heroku, size_t a, struct act_answer *out)
{
    const struct config_app *config = &heroku->options.config->apps[a];
    struct sim_app *app = &heroku->apps[a];
    for (size_t c = 0; c < config->controllers_count; c++) {
        const struct config_controller *controller = &config->controllers[c];
        if (controller->plans != NULL) {
            app->addons[out->addons_count++] = sim_addon(controller, app->runs[c]);
        } else {
            app->formations[out->formations_count++] =
                (struct act_formation){dyn_str_from(controller->process_type), app->runs[c]};
        }
    }
    out->formations = app->formations;
    out->addons = app->addons;
}

/* Whether that is the controller that a write is for. */
static bool sim_is_for(const struct config_controller *controller,
                       const struct act_request *request)
{
    return request->kind == ACT_WRITE_PLAN
               ? controller->plans != NULL && strcmp(controller->name, request->addon) == 0
               : controller->plans == NULL &&
                     strcmp(controller->process_type, request->process_type) == 0;
}

static void sim_write(struct sim_heroku *heroku, size_t a, const struct act_request *request,
                      struct act_answer *out)
{
    const struct config_app *config = &heroku->options.config->apps[a];
    struct sim_app *app = &heroku->apps[a];
    size_t c = 0;
    while (!sim_is_for(&config->controllers[c], request)) {
        c++;
        DYN_ASSERT(c < config->controllers_count);
    }
    const struct config_controller *controller = &config->controllers[c];
    int32_t to = request->kind == ACT_WRITE ? request->quantity
                                            : plan_rung(controller->plans, request->plan);
    struct sim_change change = {a, c, app->runs[c], to};
    app->runs[c] = to;
    out->quantity = to;
    if (request->kind == ACT_WRITE_PLAN) {
        app->addons[0] = sim_addon(controller, to);
        out->addons = app->addons;
        out->addons_count = 1;
    }
    if (change.from != change.to) {
        heroku->options.changed(heroku->options.arg, &change);
    }
}

static struct act_answer sim_answer(struct sim_heroku *heroku, const struct act_request *request)
{
    struct act_answer answer = {
        .class = ACT_OK, .status = 200, .remaining = SIM_TOKENS, .retry_after_ms = -1, .limit = -1};
    switch (request->kind) {
    case ACT_READ_FORMATION:
    case ACT_READ_ADDONS:
        sim_read(heroku, sim_app_index(heroku, request->app), &answer);
        break;
    case ACT_WRITE:
    case ACT_WRITE_PLAN:
        sim_write(heroku, sim_app_index(heroku, request->app), request, &answer);
        break;
    case ACT_READ_ACCOUNT:
        answer.identity = dyn_str_from(heroku->options.config->accounts[request->account].name);
        break;
    case ACT_READ_APP:
    case ACT_READ_LIMITS:
        break;
    }
    return answer;
}

/* ---- effects ---- */

static void sim_owe(struct sim_heroku *heroku, struct sim_owed owed)
{
    DYN_ASSERT(heroku->owed_count < heroku->owed_max);
    heroku->owed[heroku->owed_count++] = owed;
}

static void sim_send(void *arg, const struct act_request *request)
{
    sim_owe(arg, (struct sim_owed){.request = *request});
}

static void sim_begin(void *arg, uint64_t token, size_t account, const char *app,
                      const struct intent *intent)
{
    (void)intent;
    struct act_request request = {.token = token, .account = account, .app = app};
    sim_owe(arg, (struct sim_owed){.begin = true, .request = request});
}

static void sim_end(void *arg, size_t account, const char *app, const struct intent *intent,
                    const struct action *action)
{
    (void)arg, (void)account, (void)app, (void)intent, (void)action;
}

static void sim_action(void *arg, size_t account, const struct action *action)
{
    (void)arg, (void)account, (void)action;
}

static void sim_event(void *arg, const struct event *event)
{
    (void)arg, (void)event;
}

static void sim_actual(void *arg, size_t account, const struct actual *actual, bool changed)
{
    (void)arg, (void)account, (void)actual, (void)changed;
}

static bool sim_running(void *arg, const struct config_app *app,
                        const struct config_controller *controller, int32_t quantity,
                        int64_t age_ms)
{
    struct sim_heroku *heroku = arg;
    (void)app, (void)age_ms;
    heroku->options.running(heroku->options.arg, controller->id, quantity);
    return true;
}

/* Every answer may bring new effects: go on until none is owed. */
static void sim_settle(struct sim_heroku *heroku, int64_t now_ms)
{
    while (heroku->owed_count > 0) {
        struct sim_owed owed = heroku->owed[0];
        heroku->owed_count--;
        memmove(heroku->owed, heroku->owed + 1, heroku->owed_count * sizeof(*heroku->owed));
        if (owed.begin) {
            act_begun(heroku->core, owed.request.token, DYN_OK, sim_now(now_ms));
            continue;
        }
        struct act_answer answer = sim_answer(heroku, &owed.request);
        act_answer(heroku->core, owed.request.token, &answer, sim_now(now_ms));
    }
}

/* ---- life ---- */

static void sim_lead(struct sim_heroku *heroku)
{
    int64_t now_ms = heroku->options.now_ms - SIM_LEAD_MS;
    for (size_t i = 0; i < heroku->options.config->accounts_count; i++) {
        act_lead(heroku->core, i, 1, NULL, sim_now(now_ms));
        sim_settle(heroku, now_ms);
        act_journal_loaded(heroku->core, i, sim_now(now_ms));
        sim_settle(heroku, now_ms);
    }
    for (; now_ms < heroku->options.now_ms; now_ms += SIM_TICK_MS) {
        sim_heroku_tick(heroku, now_ms);
    }
}

struct sim_heroku *sim_heroku_new(const struct sim_heroku_options *options)
{
    const struct config *config = options->config;
    struct sim_heroku *heroku = calloc(1, sizeof(*heroku));
    if (heroku == NULL) {
        return NULL;
    }
    heroku->options = *options;
    /* One thing at a time an app, and a few of an account. */
    heroku->owed_max = config->apps_count + config->accounts_count * (ACT_FLIGHTS_MAX + 4);
    heroku->apps = calloc(config->apps_count + 1, sizeof(*heroku->apps));
    heroku->owed = calloc(heroku->owed_max + 1, sizeof(*heroku->owed));
    struct act_effects effects = {.send = sim_send,
                                  .begin = sim_begin,
                                  .end = sim_end,
                                  .action = sim_action,
                                  .event = sim_event,
                                  .actual = sim_actual,
                                  .running = sim_running,
                                  .arg = heroku};
    heroku->core = act_core_new(config, &effects, 1, sim_now(options->now_ms - SIM_LEAD_MS));
    if (heroku->apps == NULL || heroku->owed == NULL || heroku->core == NULL) {
        sim_heroku_free(heroku);
        return NULL;
    }
    for (size_t a = 0; a < config->apps_count; a++) {
        sim_app_fill(&heroku->apps[a], &config->apps[a], options->start);
    }
    sim_lead(heroku);
    return heroku;
}

void sim_heroku_free(struct sim_heroku *heroku)
{
    if (heroku == NULL) {
        return;
    }
    act_core_free(heroku->core);
    free(heroku->apps);
    free(heroku->owed);
    free(heroku);
}

void sim_heroku_target(struct sim_heroku *heroku, uint32_t partition, const struct target *target,
                       int64_t now_ms)
{
    dyn_err err = act_target(heroku->core, partition, target, sim_now(now_ms));
    DYN_ASSERT(err == DYN_OK);
    sim_settle(heroku, now_ms);
}

void sim_heroku_mark(struct sim_heroku *heroku, const struct mark *mark, int64_t now_ms)
{
    act_mark(heroku->core, mark->partition, mark, sim_now(now_ms));
    sim_settle(heroku, now_ms);
}

void sim_heroku_tick(struct sim_heroku *heroku, int64_t now_ms)
{
    act_tick(heroku->core, sim_now(now_ms));
    sim_settle(heroku, now_ms);
}

int32_t sim_heroku_runs(const struct sim_heroku *heroku, size_t app, size_t controller)
{
    return heroku->apps[app].runs[controller];
}
