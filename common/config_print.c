#include "common/config_internal.h"

#include <math.h>

struct printer {
    FILE *out;
    struct dyn_buf line;
};

static void origin_text(const struct config_origin *origin, char *out, size_t size)
{
    if (origin->file == NULL) {
        (void)snprintf(out, size, "built-in");
    } else {
        (void)snprintf(out, size, "%s %s:%d:%d", origin->level, origin->file, origin->line,
                       origin->column);
    }
}

/* One `key: value   # where from` line; `origin` may be NULL. */
static void line_end(struct printer *printer, const struct config_origin *origin)
{
    char where[512];

    if (origin == NULL) {
        fprintf(printer->out, "%s\n", dyn_buf_text(&printer->line));
    } else {
        origin_text(origin, where, sizeof(where));
        fprintf(printer->out, "%-52s # %s\n", dyn_buf_text(&printer->line), where);
    }
    dyn_buf_clear(&printer->line);
}

static void line_print(struct printer *printer, const struct config_origin *origin,
                       const char *format, ...) DYN_PRINTF(3, 4);

static void line_print(struct printer *printer, const struct config_origin *origin,
                       const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)dyn_buf_vaddf(&printer->line, format, args);
    va_end(args);
    line_end(printer, origin);
}

static void options_print(struct printer *printer, const struct config_options *options, int indent)
{
    for (size_t i = 0; i < options->count; i++) {
        const struct config_value *value = &options->values[i];

        if (value->given) {
            (void)dyn_buf_addf(&printer->line, "%*s%s: ", indent, "", value->field->key);
            config_value_text(value, &printer->line);
            line_end(printer, &value->origin);
        }
    }
}

static void input_print(struct printer *printer, const struct config_controller *controller,
                        const struct config_input *in)
{
    line_print(printer, &in->origin, "          %s:", in->name);
    line_print(printer, NULL, "            type: %s", in->type->name);
    options_print(printer, &in->options, 12);
    if (in->conversion == CONFIG_TARGET) {
        line_print(printer, NULL, "            target: %.10g", in->target);
        line_print(printer, NULL, "            tolerance: %.10g%%", in->tolerance * 100);
        line_print(printer, NULL, "            settle: %.10gs", (double)in->settle_ms / 1000);
    } else if (in->conversion == CONFIG_STEP) {
        line_print(printer, NULL, "            step:");
    }
    for (size_t i = 0; i < in->steps_count; i++) {
        line_print(printer, NULL, "              %.10g: %d", in->steps[i].from,
                   (int)in->steps[i].resources);
    }
    if (in->per_resource > 0) {
        line_print(printer, NULL, "            %s: %.10g", in->type->per_resource_key,
                   in->per_resource);
    }
    if (in->plans != NULL) {
        line_print(printer, NULL, "            measure: %s",
                   config_measure_text(controller, in->measure));
        line_print(printer, NULL, "            max_percentage_threshold: %.10g%%",
                   in->threshold_percent);
    }
    options_print(printer, &in->policy, 12);
}

static void plans_print(struct printer *printer, const struct config_controller *controller)
{
    const struct plan_table *plans = controller->plans;

    if (plans == NULL) {
        return;
    }
    line_print(printer, NULL, "        plans:");
    for (int32_t i = 0; i < plans->count; i++) {
        (void)dyn_buf_addf(&printer->line, "          %s:", plans->plans[i].name);
        for (int m = 0; m < PLAN_MEASURES; m++) {
            if (isfinite(plans->plans[i].holds[m])) {
                (void)dyn_buf_addf(&printer->line, " %s %.15g",
                                   config_measure_text(controller, (enum plan_measure)m),
                                   plans->plans[i].holds[m]);
            }
        }
        line_end(printer, NULL);
    }
}

static void app_print(struct printer *printer, const struct config *config,
                      const struct config_app *app)
{
    line_print(printer, &app->origin, "  %s:", app->name);
    line_print(printer, NULL, "    account: %s", config->accounts[app->account].name);
    line_print(printer, NULL, "    report_interval: %.10gs", (double)app->interval_ms / 1000);
    line_print(printer, NULL, "    partition: %u", app->partition);
    line_print(printer, NULL, "    controllers:");
    for (size_t i = 0; i < app->controllers_count; i++) {
        const struct config_controller *controller = &app->controllers[i];

        line_print(printer, &controller->origin, "      %s:", controller->name);
        line_print(printer, NULL, "        type: %s", controller->type->name);
        options_print(printer, &controller->options, 8);
        options_print(printer, &controller->policy, 8);
        plans_print(printer, controller);
        line_print(printer, NULL, "        inputs:");
        for (size_t k = 0; k < controller->inputs_count; k++) {
            input_print(printer, controller, &controller->inputs[k]);
        }
    }
}

static void sinks_print(struct printer *printer, const struct config *config, enum config_kind kind)
{
    if (config->sinks_count[kind] == 0) {
        return;
    }
    line_print(printer, NULL, "%s:", config_kind_section(kind));
    for (size_t i = 0; i < config->sinks_count[kind]; i++) {
        const struct config_sink *sink = &config->sinks[kind][i];

        line_print(printer, &sink->origin, "  %s:", sink->name);
        line_print(printer, NULL, "    type: %s", sink->type->name);
        options_print(printer, &sink->options, 4);
    }
}

static void text_print(struct printer *printer, const char *key, const char *text)
{
    if (text != NULL) {
        line_print(printer, NULL, "%s: %s", key, text);
    }
}

static void sentinel_print(struct printer *printer, const struct config_sentinel *sentinel)
{
    if (sentinel->master == NULL) {
        return;
    }
    line_print(printer, NULL, "  sentinel:");
    line_print(printer, NULL, "    master: %s", sentinel->master);
    (void)dyn_buf_addf(&printer->line, "    nodes:");
    for (size_t i = 0; sentinel->nodes[i] != NULL; i++) {
        (void)dyn_buf_addf(&printer->line, "%s %s", i > 0 ? "," : "", sentinel->nodes[i]);
    }
    line_end(printer, NULL);
    text_print(printer, "    username", sentinel->username.shown);
    text_print(printer, "    password", sentinel->password.shown);
}

static void redis_print(struct printer *printer, const struct config *config)
{
    const struct config_redis *redis = &config->redis;

    line_print(printer, NULL, "redis:");
    line_print(printer, NULL, "  url: %s", redis->url.shown);
    text_print(printer, "  username", redis->username.shown);
    text_print(printer, "  password", redis->password.shown);
    text_print(printer, "  tls_ca", redis->tls_ca);
    text_print(printer, "  tls_cert", redis->tls_cert);
    text_print(printer, "  tls_key", redis->tls_key);
    text_print(printer, "  tls_insecure", redis->tls_insecure ? "true" : NULL);
    sentinel_print(printer, &redis->sentinel);
    line_print(printer, NULL, "  replicas: %u", redis->replicas);
    line_print(printer, NULL, "  prefix: %s", redis->prefix);
    line_print(printer, NULL, "  partitions: %u", redis->partitions);
    line_print(printer, NULL, "  max_bytes: %lld", (long long)redis->max_bytes);
    line_print(printer, NULL, "  needed_bytes: %lld", (long long)config_redis_bytes(config));
}

static void variable_print(void *arg, const char *name)
{
    struct printer *printer = arg;

    (void)dyn_buf_addf(&printer->line, " %s", name);
}

static void services_print(struct printer *printer, const struct config *config)
{
    static const char *const names[] = {"collector", "estimator", "actuator", "reporter"};

    line_print(printer, NULL, "variables:");
    for (int service = CONFIG_COLLECTOR; service <= CONFIG_REPORTER; service++) {
        (void)dyn_buf_addf(&printer->line, "  %s:", names[service]);
        config_service_variables(config, (enum config_service)service, variable_print, printer);
        line_end(printer, NULL);
    }
}

static void lease_print(struct printer *printer, const struct config_lease *lease)
{
    const struct {
        const char *key;
        int64_t ms;
    } times[] = {
        {"renew", lease->renew_ms}, {"estimator_wait", lease->estimator_wait_ms},
        {"hold", lease->hold_ms},   {"actuator_wait", lease->actuator_wait_ms},
        {"beat", lease->beat_ms},   {"gone", lease->gone_ms},
    };
    line_print(printer, NULL, "  lease:");
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        line_print(printer, NULL, "    %s: %.10gs", times[i].key, (double)times[i].ms / 1000);
    }
}

void config_print(const struct config *config, FILE *out)
{
    struct printer printer = {.out = out};

    dyn_buf_init(&printer.line, (size_t)1024 * 1024);
    line_print(&printer, NULL, "file: %s", config->file);
    line_print(&printer, NULL, "hash: %016llx", (unsigned long long)config->hash);
    redis_print(&printer, config);
    lease_print(&printer, &config->redis.lease);
    line_print(&printer, NULL, "heroku_api_url: %s", config->heroku_api_url);
    line_print(&printer, NULL, "accounts:");
    for (size_t i = 0; i < config->accounts_count; i++) {
        const struct config_account *account = &config->accounts[i];

        line_print(&printer, &account->origin, "  %s:", account->name);
        line_print(&printer, NULL, "    heroku_api_key: %s", account->heroku_api_key.shown);
        line_print(&printer, NULL, "    reserve: %.10g%%", account->reserve_percent);
    }
    line_print(&printer, NULL, "apps:");
    for (size_t i = 0; i < config->apps_count; i++) {
        app_print(&printer, config, &config->apps[i]);
    }
    for (int kind = CONFIG_STATS; kind <= CONFIG_SUCCESS; kind++) {
        sinks_print(&printer, config, (enum config_kind)kind);
    }
    services_print(&printer, config);
    dyn_buf_fini(&printer.line);
}
