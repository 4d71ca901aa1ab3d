#include "tests/sim/sim_fleet.h"

#include "actuator/actuator.h"
#include "collector/collector.h"
#include "estimator/estimator.h"
#include "reporter/reporter.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_MAX 32768
#define RESTART_US (2 * SIM_S)

struct fleet fleet;

static struct {
    struct sim_random random;
    struct sim_random plans; /* of its own: what is drawn of dynos stays as it was */
    void (*watch)(void *arg, const struct fleet_slot *slot, uint64_t process, bool runs);
    void *arg;
    char text[FILE_MAX];
    size_t text_len;
} own;

static const struct {
    const struct service_ops *ops;
    const char *name;
} ROLES[FLEET_ROLES] = {{&collector_ops, "col"},
                        {&estimator_ops, "est"},
                        {&actuator_ops, "act"},
                        {&reporter_ops, "rep"}};

static int64_t draw(int64_t low, int64_t high)
{
    return sim_random_range(&own.random, low, high);
}

static int64_t draw_of_plans(int64_t low, int64_t high)
{
    return sim_random_range(&own.plans, low, high);
}

/* ---- the configuration ---- */

static void DYN_PRINTF(1, 2) add(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = vsnprintf(own.text + own.text_len, sizeof own.text - own.text_len, format, args);
    va_end(args);
    DYN_ASSERT(len >= 0 && (size_t)len < sizeof own.text - own.text_len);
    own.text_len += (size_t)len;
}

static void input_write(const struct fleet_input *input, size_t at)
{
    static const int64_t periods[] = {60, 60, 90, 120, 180};
    int64_t period_s = periods[draw(0, 4)];
    add("          - {name: %s, type: http_json, url: \"" SIM_SOURCES_URL "/input/%zu\",\n",
        input->name, at);
    add("             pointer: /data/value, interval: %lld, timeout: 4,",
        (long long)(input->interval_ms / 1000));
    if (!fleet.apps[input->app].plans) {
        add(" per_resource: %.0f,", input->per_resource);
    }
    add("\n");
    add("             hysteresis_period: %lld, on_outage: %s}\n", (long long)period_s,
        draw(0, 9) == 0 ? "ignore" : "hold");
}

/* The controller of a Redis; how much its largest plan holds. */
static double plans_draw(struct fleet_app *app, int64_t down_cooldown_s)
{
    const struct plan_table *plans = plan_table_find("rediscloud");
    int64_t max = draw_of_plans(4, plans->count);
    app->provision_ms = draw_of_plans(0, 2) * 20000;
    add("  %s:\n    account: acc-%zu\n    controller_plugins:\n      - name: redis\n"
        "        type: rediscloud\n        min_resource: %s\n        max_resource: %s\n"
        "        scale_down_cooldown: %lld\n        allow_downgrade: %s\n"
        "        input_plugins:\n",
        app->name, app->account, plans->plans[draw_of_plans(0, 1)].name, plans->plans[max - 1].name,
        (long long)down_cooldown_s, draw_of_plans(0, 4) == 0 ? "false" : "true");
    return plans->plans[max - 1].holds[PLAN_SIZE];
}

static void app_draw(struct fleet_app *app, size_t at)
{
    static const int64_t steps[] = {25, 25, 50, 100};
    (void)snprintf(app->name, sizeof app->name, "app-%u-%u", (unsigned)at % 100,
                   (unsigned)draw(100, 999) % 1000);
    app->account = (size_t)draw(0, (int64_t)fleet.accounts_count - 1);
    app->heroku_account = fleet.account_of[app->account];
    app->first_input = fleet.inputs_count;
    app->inputs_count = draw(0, 2) == 0 ? 2 : 1;
    int64_t max = draw(8, 40);
    app->start = (int)draw(1, 6);
    int64_t step = steps[draw(0, 3)];
    int64_t down_cooldown_s = draw(1, 6) * 10;
    int64_t min = draw(1, 2);
    double holds = 0;
    app->plans = draw_of_plans(0, 3) == 0;
    if (app->plans) {
        holds = plans_draw(app, down_cooldown_s);
    } else {
        add("  %s:\n    account: acc-%zu\n    controller_plugins:\n      - name: web\n"
            "        type: dynos\n        min_resource: %lld\n        max_resource: %lld\n"
            "        scale_down_cooldown: %lld\n        max_step_down: %lld\n"
            "        input_plugins:\n",
            app->name, app->account, (long long)min, (long long)max, (long long)down_cooldown_s,
            (long long)step);
    }
    for (size_t i = 0; i < app->inputs_count; i++) {
        struct fleet_input *input = &fleet.inputs[fleet.inputs_count];
        (void)snprintf(input->name, sizeof input->name, "in-%zu", fleet.inputs_count);
        input->app = at;
        input->interval_ms = draw(1, 4) * 5000;
        input->per_resource = (double)draw(1, 20) * 10;
        double whole = app->plans ? holds : input->per_resource * (double)max;
        input->top = whole * (draw(0, 3) == 0 ? 1.3 : 0.8);
        input_write(input, fleet.inputs_count++);
    }
}

static void accounts_draw(void)
{
    fleet.accounts_count = (size_t)draw(1, FLEET_ACCOUNTS_MAX);
    bool shared = fleet.accounts_count > 1 && draw(0, 3) == 0;
    fleet.heroku_accounts_count = fleet.accounts_count - shared;
    add("accounts:\n");
    for (size_t i = 0; i < fleet.accounts_count; i++) {
        fleet.account_of[i] = i < fleet.heroku_accounts_count ? i : 0;
        char name[48];
        char key[48];
        (void)snprintf(name, sizeof name, "SIM_HEROKU_KEY_%zu", i);
        (void)snprintf(key, sizeof key, "key-%zu", i);
        (void)setenv(name, key, 1);
        add("  acc-%zu: {heroku_api_key: \"${%s}\"}\n", i, name);
    }
}

static void file_make(uint64_t seed, const char *folder)
{
    (void)snprintf(fleet.path, sizeof fleet.path, "%s/%llu.yaml", folder, (unsigned long long)seed);
    FILE *file = fopen(fleet.path, "we");
    DYN_ASSERT(file != NULL);
    size_t written = fwrite(own.text, 1, own.text_len, file);
    int closed = fclose(file);
    DYN_ASSERT(written == own.text_len && closed == 0);
}

static void config_find(void)
{
    struct dyn_error error = {""};
    fleet.config = config_load(fleet.path, &error);
    if (fleet.config == NULL) {
        (void)fprintf(stderr, "%s\n%s\n", own.text, error.text);
        abort();
    }
    fleet.longest_window_ms = fleet.config->longest_window_ms;
    for (size_t i = 0; i < fleet.apps_count; i++) {
        struct fleet_app *app = &fleet.apps[i];
        for (size_t c = 0; c < fleet.config->apps_count; c++) {
            if (strcmp(fleet.config->apps[c].name, app->name) == 0) {
                app->config = &fleet.config->apps[c];
                app->controller = &app->config->controllers[0];
            }
        }
        DYN_ASSERT(app->config != NULL);
        for (size_t k = 0; k < app->inputs_count; k++) {
            fleet.inputs[app->first_input + k].config = &app->controller->inputs[k];
        }
    }
}

static void slots_draw(const struct fleet_wish *wish)
{
    for (int role = 0; role < FLEET_ROLES; role++) {
        int64_t kind = draw(0, 9);
        int64_t count = kind == 0 ? 1 : kind == 1 ? 3 : 2;
        count = count < wish->least ? wish->least : count;
        count = wish->each > 0 ? wish->each : count;
        for (int64_t i = 0; i < count; i++) {
            DYN_ASSERT(fleet.slots_count < FLEET_SLOTS_MAX);
            struct fleet_slot *slot = &fleet.slots[fleet.slots_count++];
            slot->role = (enum fleet_role)role;
            slot->number = (unsigned)i + 1;
            slot->wanted = true;
            slot->host.boot_offset_us = draw(0, 1000000) * SIM_S;
            slot->host.boot_ppm = draw(-50, 50);
        }
    }
}

void fleet_draw(uint64_t seed, const struct fleet_wish *wish)
{
    memset(&fleet, 0, sizeof fleet);
    own.random = (struct sim_random){seed ^ UINT64_C(0x5eed0f1ee7)};
    own.plans = (struct sim_random){seed ^ UINT64_C(0x5eed0b1a25)};
    own.text_len = 0;
    fleet.partitions = draw(0, 3) == 0 ? 3 : 2;
    fleet.replicas = draw(0, 9) < 6;
    fleet.tight_pool = draw(0, 4) == 0;
    fleet.apps_count = (size_t)draw(3, FLEET_APPS_MAX);
    add("version: 2\nheroku_api_url: " SIM_HEROKU_URL "\n"
        "redis: {url: \"redis://127.0.0.1:6379\", partitions: %u, replicas: %u}\n",
        fleet.partitions, fleet.replicas);
    accounts_draw();
    add("defaults: {report_interval: %lld, manual_hold: 180}\napps:\n", (long long)draw(2, 15));
    for (size_t i = 0; i < fleet.apps_count; i++) {
        app_draw(&fleet.apps[i], i);
    }
    if (draw(0, 3) == 0) {
        add("stats_plugins:\n  - {type: console}\n");
    }
    slots_draw(wish);
    file_make(seed, wish->folder);
    config_find();
}

/* ---- processes ---- */

static void slot_tell(const struct fleet_slot *slot, uint64_t process, bool runs)
{
    if (own.watch != NULL) {
        own.watch(own.arg, slot, process, runs);
    }
}

void fleet_watch(void (*fn)(void *arg, const struct fleet_slot *slot, uint64_t process, bool runs),
                 void *arg)
{
    own.watch = fn;
    own.arg = arg;
}

static void slot_start(void *arg);

static void slot_ended(void *arg, struct sim_process *process, int status)
{
    struct fleet_slot *slot = arg;
    (void)status;
    slot->process = NULL;
    slot_tell(slot, sim_process_id(process), false);
    if (slot->wanted) {
        sim_event_set(&slot->start, NULL, sim_now() + RESTART_US, slot_start, slot);
    }
}

static void slot_start(void *arg)
{
    struct fleet_slot *slot = arg;
    if (slot->process != NULL || !slot->wanted) {
        return;
    }
    (void)snprintf(slot->instance, sizeof slot->instance, "%s-%u.%u", ROLES[slot->role].name,
                   slot->number, ++slot->starts);
    struct sim_process_options options = {
        .ops = ROLES[slot->role].ops,
        .instance = slot->instance,
        .config = fleet.path,
        .host = &slot->host,
        .ended = slot_ended,
        .arg = slot,
    };
    slot->process = sim_process_start(&options);
    DYN_ASSERT(slot->process != NULL);
    slot_tell(slot, sim_process_id(slot->process), true);
}

void fleet_kill(struct fleet_slot *slot, int64_t down_us)
{
    if (slot->process != NULL) {
        uint64_t id = sim_process_id(slot->process);
        sim_process_kill(slot->process);
        slot->process = NULL;
        slot_tell(slot, id, false);
    }
    slot->wanted = down_us >= 0;
    if (slot->wanted) {
        sim_event_set(&slot->start, NULL, sim_now() + down_us, slot_start, slot);
    }
}

struct fleet_slot *fleet_slot_of(const struct sim_process *process)
{
    for (size_t i = 0; i < fleet.slots_count; i++) {
        if (process != NULL && fleet.slots[i].process == process) {
            return &fleet.slots[i];
        }
    }
    return NULL;
}

size_t fleet_running(enum fleet_role role)
{
    size_t count = 0;
    for (size_t i = 0; i < fleet.slots_count; i++) {
        count += fleet.slots[i].role == role && fleet.slots[i].process != NULL;
    }
    return count;
}

size_t fleet_input_of(uint64_t series)
{
    for (size_t i = 0; i < fleet.inputs_count; i++) {
        if (fleet.inputs[i].config->series == series) {
            return i;
        }
    }
    return SIZE_MAX;
}

size_t fleet_app_of(uint64_t controller)
{
    for (size_t i = 0; i < fleet.apps_count; i++) {
        if (fleet.apps[i].controller->id == controller) {
            return i;
        }
    }
    return SIZE_MAX;
}

/* ---- its life ---- */

static void heroku_make(void)
{
    heroku_begin();
    for (size_t i = 0; i < fleet.heroku_accounts_count; i++) {
        char email[64];
        (void)snprintf(email, sizeof email, "ops-%zu@example.com", i);
        (void)heroku_account_add(email, fleet.tight_pool ? 150 : 4500, fleet.tight_pool ? 20 : 75);
    }
    for (size_t i = 0; i < fleet.accounts_count; i++) {
        char key[48];
        (void)snprintf(key, sizeof key, "key-%zu", i);
        heroku_key_add(fleet.account_of[i], key);
    }
    for (size_t i = 0; i < fleet.apps_count; i++) {
        struct fleet_app *app = &fleet.apps[i];
        app->heroku = app->plans ? heroku_redis_add(app->name, app->heroku_account, app->start,
                                                    app->provision_ms)
                                 : heroku_app_add(app->name, app->heroku_account, app->start);
    }
}

void fleet_begin(int64_t seconds, int64_t calm_s)
{
    double top[DEMAND_INPUTS_MAX];
    for (size_t i = 0; i < fleet.inputs_count; i++) {
        top[i] = fleet.inputs[i].top;
    }
    heroku_make();
    demand_begin(fleet.inputs_count, top, seconds, calm_s);
    for (size_t i = 0; i < fleet.slots_count; i++) {
        struct fleet_slot *slot = &fleet.slots[i];
        sim_event_set(&slot->start, NULL, draw(0, 3000) * SIM_MS, slot_start, slot);
    }
}

void fleet_end(void)
{
    for (size_t i = 0; i < fleet.slots_count; i++) {
        fleet.slots[i].wanted = false;
        sim_event_cancel(&fleet.slots[i].start);
    }
    demand_end();
    heroku_end();
    config_free(fleet.config);
    (void)unlink(fleet.path);
}
