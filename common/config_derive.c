/*
 * What follows from the rest of a configuration: ids, partitions, the hash, what Redis needs.
 */
#include "common/config_internal.h"

#define SAMPLE_BYTES 24.0
#define TICK_BYTES 60.0
#define RUNNING_BYTES 60.0 /* told every 15 s */
#define TARGET_BYTES 450.0
#define TARGETS_KEPT 10.0 /* keyframes: one a minute, kept ten minutes */
#define REPORT_BYTES 30.0
#define REPORTS_KEPT_S 300.0
#define FIXED_BYTES (2.0 * 1024 * 1024)
#define DRAIN_BUCKET_BYTES 1000.0 /* of ten seconds, of a busy app */
#define DRAIN_FRAMES_BYTES 4200.0
#define DRAIN_KEPT_S 60.0 /* beyond what is read */

/* Each part with its length, so that ("ab", "c") and ("a", "bc") differ. */
static uint64_t hash_text(uint64_t seed, const char *text)
{
    struct dyn_str s = dyn_str_from(text);
    uint64_t len = s.len;
    unsigned char bytes[8];

    for (size_t i = 0; i < 8; i++) {
        bytes[i] = (unsigned char)(len >> (i * 8U));
    }
    return dyn_hash(dyn_hash(seed, (struct dyn_str){(const char *)bytes, 8}), s);
}

static uint64_t hash_number(uint64_t seed, double number)
{
    char text[40];

    (void)snprintf(text, sizeof(text), "%.17g", number);
    return hash_text(seed, text);
}

/* Sums of mixed hashes do not depend on the order in which a file names things. */
static uint64_t mixed(uint64_t hash)
{
    hash ^= hash >> 31;
    hash *= UINT64_C(0x9E3779B97F4A7C15);
    return hash ^ (hash >> 29);
}

static uint64_t hash_value(uint64_t seed, const struct config_value *value)
{
    uint64_t hash = hash_text(seed, value->field->key);
    struct dyn_buf text;

    if (value->field->type == CONFIG_STRINGS) {
        for (size_t i = 0; i < value->as.list.count; i++) {
            hash = hash_text(hash, value->as.list.items[i]);
        }
        return hash;
    }
    if (value->field->type == CONFIG_HEADERS) {
        uint64_t sum = 0;

        for (size_t i = 0; i < value->as.headers.count; i++) {
            sum += mixed(hash_text(hash, value->as.headers.names[i]));
        }
        return hash_number(hash, (double)(sum >> 11));
    }
    dyn_buf_init(&text, (size_t)4 * DYN_SECRET_MAX);
    config_value_text(value, &text);
    hash = hash_text(hash, dyn_buf_text(&text));
    dyn_buf_fini(&text);
    return hash;
}

static uint64_t hash_options(uint64_t seed, const struct config_options *options)
{
    for (size_t i = 0; i < options->count; i++) {
        const struct config_value *value = &options->values[i];

        if (value->given && value->field->type != CONFIG_SECRET) {
            seed = hash_value(seed, value);
        }
    }
    return seed;
}

static uint64_t series_of(const struct config_app *app, const struct config_controller *controller,
                          const struct config_input *in)
{
    uint64_t hash = hash_text(DYN_HASH_SEED, app->name);

    hash = hash_text(hash, controller->name);
    hash = hash_text(hash, in->name);
    hash = hash_text(hash, in->type->name);
    return hash_options(hash, &in->options);
}

/* Of fewer parts than an input's series, so that it is never one. */
static uint64_t running_series_of(const struct config_app *app,
                                  const struct config_controller *controller)
{
    uint64_t hash = hash_text(DYN_HASH_SEED, app->name);

    return hash_text(hash_text(hash, controller->name), controller->process_type);
}

static uint64_t input_hash(const struct config_input *in)
{
    uint64_t hash = hash_number(DYN_HASH_SEED, (double)(in->series >> 32));

    hash = hash_number(hash, (double)(in->series & UINT32_MAX));
    hash = hash_number(hash, (double)in->interval_ms);
    hash = hash_number(hash, (double)in->hysteresis_period_ms);
    hash = hash_number(hash, (double)in->max_gap_ms);
    hash = hash_number(hash, (double)in->doubt_zero_ms);
    hash = hash_number(hash, in->on_outage);
    hash = hash_number(hash, in->fallback);
    hash = hash_number(hash, in->per_resource);
    hash = hash_number(hash, in->measure);
    hash = hash_number(hash, in->threshold_percent);
    if (in->conversion == CONFIG_TARGET) {
        hash = hash_number(hash_text(hash, "target"), in->target);
        hash = hash_number(hash, in->tolerance);
        hash = hash_number(hash, (double)in->settle_ms);
    }
    for (size_t i = 0; i < in->steps_count; i++) {
        hash = hash_number(hash, in->steps[i].from);
        hash = hash_number(hash, in->steps[i].resources);
    }
    return hash;
}

/* The names alone say which rung is which; sizes say which is asked for. */
static uint64_t ladder_hash(uint64_t seed, const struct plan_table *plans, bool sizes)
{
    for (int32_t i = 0; plans != NULL && i < plans->count; i++) {
        seed = hash_text(seed, plans->plans[i].name);
        for (int m = 0; sizes && m < PLAN_MEASURES; m++) {
            seed = hash_number(seed, plans->plans[i].holds[m]);
        }
    }
    return seed;
}

static uint64_t controller_hash(const struct config_controller *controller)
{
    uint64_t hash = hash_text(DYN_HASH_SEED, controller->name);
    uint64_t inputs = 0;

    hash = hash_text(hash, controller->type->name);
    hash = hash_options(hash, &controller->options);
    hash = hash_text(hash, controller->process_type);
    hash = ladder_hash(hash, controller->plans, true);
    hash = hash_number(hash, controller->min_resource);
    hash = hash_number(hash, controller->max_resource);
    hash = hash_number(hash, controller->mode);
    hash = hash_number(hash, (double)controller->scale_up_cooldown_ms);
    hash = hash_number(hash, (double)controller->scale_down_cooldown_ms);
    hash = hash_number(hash, controller->max_step_up);
    hash = hash_number(hash, controller->max_step_down_percent);
    hash = hash_number(hash, controller->max_changes_per_hour);
    hash = hash_number(hash, (double)controller->manual_hold_ms);
    for (size_t i = 0; i < controller->inputs_count; i++) {
        inputs += mixed(input_hash(&controller->inputs[i]));
    }
    return hash ^ mixed(inputs);
}

static uint64_t app_hash(const struct config *config, const struct config_app *app)
{
    const struct config_account *account = &config->accounts[app->account];
    uint64_t hash = hash_text(DYN_HASH_SEED, app->name);
    uint64_t controllers = 0;

    hash = hash_text(hash, account->name);
    hash = hash_number(hash, account->reserve_percent);
    for (size_t i = 0; i < app->controllers_count; i++) {
        controllers += mixed(controller_hash(&app->controllers[i]));
    }
    return hash ^ mixed(controllers);
}

/* How far back the log must be read to know what an input's window knows: what lies at its far end
 * may be a max_gap older. Twice the longest is read. */
static int64_t window_of(const struct config_input *in)
{
    int64_t window_ms = in->hysteresis_period_ms + in->doubt_zero_ms;
    return window_ms > in->max_gap_ms ? window_ms : in->max_gap_ms;
}

static void app_derive(struct config *config, struct config_app *app)
{
    app->partition =
        (uint32_t)(dyn_hash(DYN_HASH_SEED, dyn_str_from(app->name)) % config->redis.partitions);
    for (size_t i = 0; i < app->controllers_count; i++) {
        struct config_controller *controller = &app->controllers[i];

        controller->id =
            ladder_hash(hash_text(hash_text(DYN_HASH_SEED, app->name), controller->name),
                        controller->plans, false);
        controller->running_series = running_series_of(app, controller);
        for (size_t k = 0; k < controller->inputs_count; k++) {
            struct config_input *in = &controller->inputs[k];
            int64_t window_ms = window_of(in);

            in->series = series_of(app, controller, in);
            if (window_ms > config->longest_window_ms) {
                config->longest_window_ms = window_ms;
            }
        }
    }
}

void config_derive(struct config *config)
{
    uint64_t apps = 0;

    for (size_t i = 0; i < config->apps_count; i++) {
        app_derive(config, &config->apps[i]);
        apps += mixed(app_hash(config, &config->apps[i]));
    }
    config->hash = hash_number(DYN_HASH_SEED, config->redis.partitions) ^ mixed(apps);
}

/* The counts of a log drain, which expire. */
static double drain_bytes(const struct config_input *in)
{
    double read_s;

    if (strcmp(in->type->name, "log_drain") != 0) {
        return 0;
    }
    read_s = (double)(config_option(&in->options, "period")->as.i +
                      config_option(&in->options, "delay")->as.i) /
             1000;
    return DRAIN_FRAMES_BYTES + DRAIN_BUCKET_BYTES * (read_s + DRAIN_KEPT_S) / 10;
}

int64_t config_redis_bytes(const struct config *config)
{
    double retention_s = 2.0 * (double)config->longest_window_ms / 1000;
    double bytes = FIXED_BYTES + config->redis.partitions * retention_s * TICK_BYTES;

    for (size_t i = 0; i < config->apps_count; i++) {
        const struct config_app *app = &config->apps[i];

        for (size_t c = 0; c < app->controllers_count; c++) {
            const struct config_controller *controller = &app->controllers[c];

            bytes += TARGETS_KEPT * TARGET_BYTES;
            if (controller->needs_running) {
                bytes += RUNNING_BYTES * retention_s / 15;
            }
            for (size_t k = 0; k < controller->inputs_count; k++) {
                bytes +=
                    SAMPLE_BYTES * retention_s * 1000 / (double)controller->inputs[k].interval_ms;
                bytes += REPORT_BYTES * REPORTS_KEPT_S * 1000 / (double)app->interval_ms;
                bytes += drain_bytes(&controller->inputs[k]);
            }
        }
    }
    return (int64_t)bytes;
}

/* ---- who needs which secret ---- */

struct names {
    const char **items;
    size_t count;
    struct config_arena arena;
};

static void name_keep(void *arg, const char *name)
{
    struct names *names = arg;

    names->items =
        config_arena_grow(&names->arena, names->items, names->count, sizeof(*names->items));
    names->items[names->count++] = name;
}

static void options_keep(struct names *names, const struct config_options *options)
{
    for (size_t i = 0; i < options->count; i++) {
        const struct config_value *value = &options->values[i];

        if (value->given && value->field->type == CONFIG_SECRET) {
            config_secret_variables(&value->as.secret, name_keep, names);
        } else if (value->given && value->field->type == CONFIG_HEADERS) {
            for (size_t k = 0; k < value->as.headers.count; k++) {
                config_secret_variables(&value->as.headers.values[k], name_keep, names);
            }
        }
    }
}

static void inputs_keep(struct names *names, const struct config *config)
{
    for (size_t i = 0; i < config->apps_count; i++) {
        for (size_t c = 0; c < config->apps[i].controllers_count; c++) {
            const struct config_controller *controller = &config->apps[i].controllers[c];

            for (size_t k = 0; k < controller->inputs_count; k++) {
                options_keep(names, &controller->inputs[k].options);
            }
        }
    }
}

static void service_keep(struct names *names, const struct config *config,
                         enum config_service service)
{
    switch (service) {
    case CONFIG_COLLECTOR:
        inputs_keep(names, config);
        break;
    case CONFIG_ACTUATOR:
        for (size_t i = 0; i < config->accounts_count; i++) {
            config_secret_variables(&config->accounts[i].heroku_api_key, name_keep, names);
        }
        break;
    case CONFIG_REPORTER:
        for (int kind = CONFIG_STATS; kind <= CONFIG_SUCCESS; kind++) {
            for (size_t i = 0; i < config->sinks_count[kind]; i++) {
                options_keep(names, &config->sinks[kind][i].options);
            }
        }
        break;
    case CONFIG_ESTIMATOR:
        break;
    }
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

void config_service_variables(const struct config *config, enum config_service service,
                              void (*each)(void *arg, const char *name), void *arg)
{
    const struct config_owned *owned = (const struct config_owned *)config;
    struct names names = {NULL, 0, {NULL}};

    config_secret_variables(&config->redis.url, name_keep, &names);
    config_secret_variables(&config->redis.username, name_keep, &names);
    config_secret_variables(&config->redis.password, name_keep, &names);
    config_secret_variables(&config->redis.sentinel.username, name_keep, &names);
    config_secret_variables(&config->redis.sentinel.password, name_keep, &names);
    for (size_t i = 0; i < owned->plain_variables_count; i++) {
        name_keep(&names, owned->plain_variables[i]); /* every service reads the whole file */
    }
    service_keep(&names, config, service);
    if (names.count > 0) {
        qsort(names.items, names.count, sizeof(*names.items), compare_names);
    }
    for (size_t i = 0; i < names.count; i++) {
        if (i == 0 || strcmp(names.items[i - 1], names.items[i]) != 0) {
            each(arg, names.items[i]);
        }
    }
    config_arena_fini(&names.arena);
}
