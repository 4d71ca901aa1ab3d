#include "common/config_internal.h"

#define INPUT_POLICIES_MAX 16 /* keys of config_policy_input, with room */

/* In the order of config_policy_input. */
static struct config_value *value_of(struct config_value *values, const char *key)
{
    return &values[config_field_of(config_policy_input, key) - config_policy_input];
}

static int64_t longer(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static dyn_err outage_read(struct config_loader *loader, const struct config_node *map,
                           const struct config_levels *levels, struct config_value *values,
                           struct config_input *out)
{
    struct config_value *on_outage = value_of(values, "on_outage");
    const struct config_value *fallback = value_of(values, "fallback");
    const struct config_node *ignored;

    /* `fallback: N` alone says it all, unless the same or a stronger level says on_outage. */
    if (fallback->given && config_level_find(levels, fallback->field, &ignored) >
                               config_level_find(levels, on_outage->field, &ignored)) {
        on_outage->as.s = "fallback";
        on_outage->origin = fallback->origin;
    }
    if (strcmp(on_outage->as.s, "ignore") == 0) {
        out->on_outage = CONFIG_IGNORE;
    } else if (strcmp(on_outage->as.s, "fallback") == 0) {
        out->on_outage = CONFIG_FALLBACK;
    }
    if (out->on_outage != CONFIG_FALLBACK) {
        return DYN_OK;
    }
    if (!fallback->given) {
        return config_refuse_value(loader, on_outage, map,
                                   "found fallback without a number, expected also fallback: N");
    }
    return config_rung_read(loader, map, fallback, out->plans, &out->fallback);
}

static dyn_err gap_refuse(struct config_loader *loader, const struct config_node *map,
                          const struct config_value *value, const struct config_input *in)
{
    return config_refuse_value(loader, value, map,
                               config_arena_printf(loader->arena,
                                                   "found %.10g s, expected at least the interval "
                                                   "(%.10g s)",
                                                   (double)value->as.i / 1000,
                                                   (double)in->interval_ms / 1000));
}

/* A default that follows from another value is shown as if it had been given. */
static int64_t seconds_or(struct config_value *value, int64_t otherwise_ms)
{
    if (!value->given) {
        value->given = true;
        value->as.i = otherwise_ms;
    }
    return value->as.i;
}

static dyn_err windows_read(struct config_loader *loader, const struct config_node *map,
                            struct config_value *values, struct config_input *out)
{
    struct config_value *hysteresis = value_of(values, "hysteresis_period");
    struct config_value *max_gap = value_of(values, "max_gap");

    out->interval_ms = value_of(values, "interval")->as.i;
    out->hysteresis_period_ms = seconds_or(hysteresis, longer(300000, out->interval_ms));
    out->max_gap_ms = seconds_or(max_gap, longer(3 * out->interval_ms, 15000));
    out->doubt_zero_ms = seconds_or(value_of(values, "doubt_zero"), out->hysteresis_period_ms);
    if (out->hysteresis_period_ms < out->interval_ms) {
        return gap_refuse(loader, map, hysteresis, out);
    }
    if (out->max_gap_ms < out->interval_ms) {
        return gap_refuse(loader, map, max_gap, out);
    }
    return DYN_OK;
}

static struct config_field per_resource_field(const struct config_type *type)
{
    bool own =
        type->per_resource_key != NULL && strcmp(type->per_resource_key, "per_resource") != 0;

    return (struct config_field){.key = type->per_resource_key,
                                 .aliases = {own ? "per_resource" : NULL},
                                 .type = CONFIG_NUMBER,
                                 .min = 1e-9,
                                 .max = 1e15};
}

static dyn_err per_resource_read(struct config_loader *loader, const struct config_node *map,
                                 struct config_input *out)
{
    struct config_field field = per_resource_field(out->type);
    const struct config_node *node = NULL;
    struct config_value value;
    dyn_err err;

    if (field.key == NULL) {
        return DYN_OK;
    }
    node = config_node_find(map, &field);
    if (node == NULL && out->type->per_resource_default <= 0) {
        return config_refuse_at(loader->error, map->file, map->line, map->column, field.key,
                                "found nothing, expected the value that one resource serves");
    }
    out->per_resource = out->type->per_resource_default;
    if (node == NULL) {
        return DYN_OK;
    }
    err = config_value_read(loader, &field, node, "input", &value);
    if (err == DYN_OK && value.given) {
        out->per_resource = value.as.d;
    }
    return err;
}

static dyn_err input_keys_check(struct config_loader *loader, const struct config_node *map,
                                const struct config_controller *controller,
                                const struct config_type *type)
{
    const struct config_field ratio[] = {per_resource_field(type), {.key = NULL}};
    const struct config_field *const tables[] = {
        config_keys_input, config_policy_input, type->fields,
        controller->plans != NULL ? config_keys_plan_input : ratio, config_keys_conversion};
    const struct config_node *written =
        ratio[0].key != NULL ? config_node_find(map, &ratio[0]) : NULL;

    if (written != NULL && controller->plans != NULL) {
        return config_refuse_key(loader, written,
                                 "found a ratio where plans are scaled, expected none: the table "
                                 "of plans says what each holds");
    }
    return config_keys_check(loader, map, tables, 5);
}

static dyn_err input_read(struct config_loader *loader, const struct config_node *map,
                          const struct config_levels *above,
                          const struct config_controller *controller, struct config_input *out)
{
    struct config_levels levels = *above;
    struct config_value values[INPUT_POLICIES_MAX];
    size_t count = config_fields_count(config_policy_input);
    dyn_err err = config_type_read(loader, map, CONFIG_SOURCE, &out->type);

    DYN_ASSERT(count <= INPUT_POLICIES_MAX);
    if (err == DYN_OK) {
        err = input_keys_check(loader, map, controller, out->type);
    }
    if (err == DYN_OK) {
        err = config_name_read(loader, map, &out->name);
    }
    if (err == DYN_OK) {
        err = config_options_read(loader, out->type->fields, map, "input", &out->options);
    }
    if (err == DYN_OK) {
        err = config_source_check(loader, map, out);
    }
    if (err == DYN_OK) {
        err = config_conversion_read(loader, map, out);
    }
    if (err == DYN_OK && controller->plans != NULL) {
        err = config_plans_input_read(loader, map, controller, out);
    } else if (err == DYN_OK && out->conversion == CONFIG_PER_RESOURCE) {
        err = per_resource_read(loader, map, out);
    }
    levels.maps[CONFIG_LEVEL_INPUT] = map;
    if (err == DYN_OK) {
        err = config_policies_read(loader, &levels, config_policy_input, values);
    }
    if (err == DYN_OK) {
        err = windows_read(loader, map, values, out);
    }
    if (err == DYN_OK) {
        err = config_source_windows_check(loader, map, out);
    }
    if (err == DYN_OK) {
        err = outage_read(loader, map, &levels, values, out);
    }
    if (err == DYN_OK && !loader->lean) {
        struct config_value *kept = config_arena_alloc(loader->arena, count * sizeof(*kept));

        memcpy(kept, values, count * sizeof(*kept));
        out->policy = (struct config_options){kept, count};
    }
    out->counter = err == DYN_OK && strcmp(out->type->name, "papertrail") == 0;
    out->origin = (struct config_origin){map->file, map->line, map->column, "input"};
    return err;
}

dyn_err config_inputs_read(struct config_loader *loader, const struct config_node *map,
                           const struct config_levels *levels, struct config_controller *out)
{
    const struct config_node *list = NULL;
    dyn_err err = config_list_get(loader, map, "input_plugins", DYN_CONFIG_INPUTS_MAX, &list);

    if (err != DYN_OK) {
        return err;
    }
    out->inputs = config_arena_alloc(loader->arena, list->count * sizeof(*out->inputs));
    for (const struct config_node *node = list->first; node != NULL; node = node->next) {
        struct config_input *in = &out->inputs[out->inputs_count];

        err = input_read(loader, node, levels, out, in);
        if (err == DYN_OK) {
            err = config_conversion_check(loader, node, in, out);
        }
        if (err != DYN_OK) {
            return err;
        }
        out->needs_running = out->needs_running || in->conversion == CONFIG_TARGET;
        for (size_t i = 0; i < out->inputs_count; i++) {
            if (strcmp(out->inputs[i].name, in->name) == 0) {
                return config_refuse(loader, config_node_get(node, "name"),
                                     "found \"%s\" again, expected each input's name once in a "
                                     "controller (first on line %d)",
                                     in->name, out->inputs[i].origin.line);
            }
        }
        out->inputs_count++;
    }
    return DYN_OK;
}
