/*
 * Controllers whose resources are the plans of an add-on: their tables, their range, and how their
 * inputs turn values into plans.
 */
#include "common/config_internal.h"

#include <ctype.h>
#include <math.h>

/* What one rung down an hour is, where nothing else is written: each change moves data. */
#define PLAN_DOWN_COOLDOWN_MS 3600000

static const struct config_field keys_rediscloud[] = {
    {.key = "name", .type = CONFIG_STRING, .required = true, .help = "of the plan, in full"},
    {.key = "max_memory",
     .type = CONFIG_NUMBER,
     .min = 1e-9,
     .max = DYN_VALUE_MAX,
     .help = "megabytes; empty: no limit"},
    {.key = "max_connections",
     .type = CONFIG_NUMBER,
     .min = 1e-9,
     .max = DYN_VALUE_MAX,
     .help = "empty: no limit"},
    {.key = NULL},
};

static const struct config_field keys_papertrail[] = {
    {.key = "name", .type = CONFIG_STRING, .required = true, .help = "of the plan, in full"},
    {.key = "max_log_volume",
     .type = CONFIG_NUMBER,
     .min = 1e-9,
     .max = DYN_VALUE_MAX,
     .help = "bytes a day; empty: no limit"},
    {.key = NULL},
};

/* By type of controller. A measure's name stands where its size stands in the table's keys. */
static const struct kind {
    const char *type;
    const struct config_field *keys;
    const char *measures[PLAN_MEASURES];
} kinds[CONFIG_PLAN_KINDS] = {
    {"rediscloud", keys_rediscloud, {"memory", "connections"}},
    {"papertrail", keys_papertrail, {"log_volume", NULL}},
};

static const char *const choices_measure[] = {"memory", "connections", "log_volume", NULL};

const struct config_field config_keys_plan_input[] = {
    {.key = "measure",
     .type = CONFIG_ENUM,
     .choices = choices_measure,
     .help = "what of a plan the value is held against; default: its memory or its log volume"},
    {.key = "max_percentage_threshold",
     .type = CONFIG_PERCENT,
     .min = 1,
     .max = 100,
     .fallback = "90",
     .help = "share of a plan's size that may be used"},
    {.key = NULL},
};

/* Inputs that measure one thing of one add-on, whatever is written. */
static const struct {
    const char *type;
    const char *addon;
    enum plan_measure measure;
} inputs[] = {
    {"rediscloud_memory", "rediscloud", PLAN_SIZE},
    {"rediscloud_connections", "rediscloud", PLAN_CONNECTIONS},
    {"rediscloud_random", "rediscloud", PLAN_SIZE},
    {"papertrail", "papertrail", PLAN_SIZE},
    {"papertrail_random", "papertrail", PLAN_SIZE},
};

/* CONFIG_PLAN_KINDS: not one of plans. */
static size_t kind_find(const char *type)
{
    size_t i = 0;

    while (i < CONFIG_PLAN_KINDS && strcmp(kinds[i].type, type) != 0) {
        i++;
    }
    return i;
}

const struct config_field *config_plan_keys(size_t kind)
{
    DYN_ASSERT(kind < CONFIG_PLAN_KINDS);
    return kinds[kind].keys;
}

/* ---- tables ---- */

/* SERVICE:PLAN, as Heroku writes it: it goes into requests as it is. */
static size_t service_length(const char *name)
{
    size_t service = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-");
    size_t rest = 0;

    if (service == 0 || name[service] != ':') {
        return 0;
    }
    while (isalnum((unsigned char)name[service + 1 + rest]) ||
           (name[service + 1 + rest] != '\0' && strchr("-_.", name[service + 1 + rest]) != NULL)) {
        rest++;
    }
    return rest > 0 && name[service + 1 + rest] == '\0' && service + 1 + rest <= DYN_NAME_MAX
               ? service
               : 0;
}

static dyn_err plan_read(struct config_loader *loader, const struct config_node *node,
                         const struct kind *kind, struct plan *out)
{
    const struct config_field *const tables[] = {kind->keys};
    struct config_options options;
    dyn_err err;

    if (node->kind != CONFIG_NODE_MAP) {
        return config_refuse_at(loader->error, node->file, node->line, node->column, "plans",
                                "found no map, expected such as {name: %s:100, %s: 100}",
                                kind->type, kind->keys[1].key);
    }
    err = config_keys_check(loader, node, tables, 1);
    if (err == DYN_OK) {
        err = config_options_read(loader, kind->keys, node, "plan", &options);
    }
    if (err != DYN_OK) {
        return err;
    }
    out->name = options.values[0].as.s;
    for (size_t i = 0; i < PLAN_MEASURES; i++) {
        bool told = i + 1 < options.count && options.values[i + 1].given;

        out->holds[i] = told ? options.values[i + 1].as.d : (double)INFINITY;
    }
    if (service_length(out->name) == 0) {
        return config_refuse(loader, config_node_get(node, "name"),
                             "found another name, expected a plan's in full, such as %s:100",
                             kind->type);
    }
    return DYN_OK;
}

/* Rungs are an order: of size, and each plan once. */
static dyn_err order_check(struct config_loader *loader, const struct config_node *node,
                           const struct kind *kind, const struct plan_table *table,
                           const struct plan *plan)
{
    const struct plan *before = table->count > 0 ? &table->plans[table->count - 1] : plan;
    size_t service = service_length(before->name);
    const struct config_node *name = config_node_get(node, "name");

    if (plan_rung(table, plan->name) != 0) {
        return config_refuse(loader, name, "found \"%s\" again, expected each plan once",
                             plan->name);
    }
    if (strncmp(before->name, plan->name, service + 1) != 0) {
        return config_refuse(loader, name, "found a plan of another add-on, expected %.*s:...",
                             (int)service, before->name);
    }
    if (plan->holds[PLAN_SIZE] < before->holds[PLAN_SIZE]) {
        return config_refuse(loader, name,
                             "found less %s than of %s before it, expected the plans in order, the "
                             "smallest first",
                             kind->keys[1].key, before->name);
    }
    return DYN_OK;
}

static dyn_err table_read(struct config_loader *loader, const struct config_node *map,
                          const char *key, const struct kind *kind, const struct plan_table **out)
{
    const struct config_node *list = NULL;
    struct plan_table *table = config_arena_alloc(loader->arena, sizeof(*table));
    struct plan *plans;
    dyn_err err = config_list_get(loader, map, key, DYN_PLANS_MAX, &list);

    if (err != DYN_OK) {
        return err;
    }
    plans = config_arena_alloc(loader->arena, list->count * sizeof(*plans));
    table->plans = plans;
    for (const struct config_node *node = list->first; node != NULL; node = node->next) {
        struct plan *plan = &plans[table->count];

        err = plan_read(loader, node, kind, plan);
        if (err == DYN_OK) {
            err = order_check(loader, node, kind, table, plan);
        }
        if (err != DYN_OK) {
            return err;
        }
        table->count++;
    }
    table->addon = config_arena_copy(
        loader->arena, (struct dyn_str){plans[0].name, service_length(plans[0].name)});
    *out = table;
    return DYN_OK;
}

dyn_err config_plans_read(struct config_loader *loader, const struct config_node *root)
{
    const struct config_node *map = NULL;
    dyn_err err = config_map_get(loader, root, "plans", &map);
    const struct config_node *node = err == DYN_OK && map != NULL ? map->first : NULL;

    for (; node != NULL && err == DYN_OK; node = node->next) {
        size_t kind = kind_find(node->key);

        if (kind == CONFIG_PLAN_KINDS) {
            return config_refuse_key(loader, node,
                                     "found an add-on that has no controller, "
                                     "expected rediscloud or papertrail");
        }
        err = table_read(loader, map, node->key, &kinds[kind], &loader->plans[kind]);
    }
    return err;
}

dyn_err config_plans_choose(struct config_loader *loader, const struct config_node *map,
                            struct config_controller *out)
{
    size_t kind = kind_find(out->type->name);
    const struct config_node *own = config_node_get(map, "plans");

    if (kind == CONFIG_PLAN_KINDS) {
        return DYN_OK;
    }
    out->plans =
        loader->plans[kind] != NULL ? loader->plans[kind] : plan_table_find(kinds[kind].type);
    DYN_ASSERT(out->plans != NULL);
    return own != NULL && !config_node_is_null(own)
               ? table_read(loader, map, "plans", &kinds[kind], &out->plans)
               : DYN_OK;
}

/* ---- rungs ---- */

dyn_err config_rung_read(struct config_loader *loader, const struct config_node *map,
                         const struct config_value *value, const struct plan_table *plans,
                         int32_t *out)
{
    const char *names[DYN_PLANS_MAX];
    char *end = NULL;

    if (plans == NULL) {
        long whole = strtol(value->as.s, &end, 10);

        if (*end != '\0') {
            return config_refuse_value(loader, value, map,
                                       config_arena_printf(loader->arena,
                                                           "found \"%.64s\", expected a whole "
                                                           "number: dynos have no plan",
                                                           value->as.s));
        }
        *out = (int32_t)whole;
        return DYN_OK;
    }
    if (plan_rung(plans, value->as.s) != 0) {
        *out = plan_rung(plans, value->as.s);
        return DYN_OK;
    }
    DYN_ASSERT(plans->count > 0 && plans->count <= DYN_PLANS_MAX);
    for (int32_t i = 0; i < plans->count; i++) {
        names[i] = plans->plans[i].name;
    }
    return config_refuse_value(
        loader, value, map,
        config_arena_printf(
            loader->arena, "found \"%.64s\", expected a plan of the table, %s to %s%s", value->as.s,
            plans->plans[0].name, plans->plans[plans->count - 1].name,
            config_did_you_mean(loader->arena, value->as.s, names, (size_t)plans->count)));
}

const char *config_rung_text(const struct config_controller *controller, int32_t rung,
                             char out[static CONFIG_RUNG_TEXT])
{
    const struct plan_table *plans = controller->plans;

    if (plans == NULL || rung < 1) {
        (void)snprintf(out, CONFIG_RUNG_TEXT, "%d", (int)rung);
    } else if (rung > plans->count) {
        (void)snprintf(out, CONFIG_RUNG_TEXT, "more than %s", plans->plans[plans->count - 1].name);
    } else {
        (void)snprintf(out, CONFIG_RUNG_TEXT, "%s", plans->plans[rung - 1].name);
    }
    return out;
}

/* ---- the controller's own policies ---- */

static size_t policy_index(const char *key)
{
    return (size_t)(config_field_of(config_policy_controller, key) - config_policy_controller);
}

/* What a level above says is meant for dynos. */
static dyn_err own_read(struct config_loader *loader, const struct config_node *map,
                        const char *key, struct config_value *values)
{
    struct config_value *value = &values[policy_index(key)];
    const struct config_field *field = value->field;

    return config_value_read(loader, field, config_node_find(map, field), "controller", value);
}

static dyn_err bound_read(struct config_loader *loader, const struct config_node *map,
                          const char *key, struct config_value *values,
                          const struct plan_table *plans, const char *otherwise, int32_t *out)
{
    struct config_value *value = &values[policy_index(key)];
    dyn_err err = own_read(loader, map, key, values);

    if (err == DYN_OK && value->origin.file == NULL) {
        value->as.s = otherwise;
    }
    return err == DYN_OK ? config_rung_read(loader, map, value, plans, out) : err;
}

static void not_for_plans(struct config_loader *loader, const struct config_node *map,
                          const char *key, struct config_value *values)
{
    struct config_value *value = &values[policy_index(key)];
    const struct config_node *node = config_node_find(map, value->field);

    if (node != NULL) {
        config_warn(loader, node, "means nothing for plans, which fall by one at a time");
    }
    *value = (struct config_value){.field = value->field};
}

dyn_err config_plans_policies_read(struct config_loader *loader, const struct config_node *map,
                                   struct config_value *values, struct config_controller *out)
{
    const struct plan_table *plans = out->plans;
    struct config_value *cooldown = &values[policy_index("scale_down_cooldown")];
    const struct config_value *addon = config_option(&out->options, "addon");
    dyn_err err = bound_read(loader, map, "min_resource", values, plans, plans->plans[0].name,
                             &out->min_resource);

    if (err == DYN_OK) {
        err = bound_read(loader, map, "max_resource", values, plans,
                         plans->plans[plans->count - 1].name, &out->max_resource);
    }
    if (err == DYN_OK) {
        err = own_read(loader, map, "scale_down_cooldown", values);
    }
    if (err != DYN_OK) {
        return err;
    }
    if (cooldown->origin.file == NULL) {
        cooldown->as.i = PLAN_DOWN_COOLDOWN_MS;
    }
    not_for_plans(loader, map, "process_type", values);
    not_for_plans(loader, map, "max_step_down", values);
    out->addon = addon->given ? addon->as.s : NULL;
    out->allow_downgrade = config_option(&out->options, "allow_downgrade")->as.b;
    return DYN_OK;
}

/* ---- inputs ---- */

static dyn_err measure_refuse(struct config_loader *loader, const struct config_node *map,
                              const char *found, const struct kind *kind)
{
    return config_refuse_at(loader->error, map->file, map->line, map->column, "measure",
                            "found %s in a controller of %s, expected %s%s%s", found, kind->type,
                            kind->measures[0], kind->measures[1] != NULL ? " or " : "",
                            kind->measures[1] != NULL ? kind->measures[1] : "");
}

static dyn_err measure_read(struct config_loader *loader, const struct config_node *map,
                            const struct config_value *written, const struct kind *kind,
                            struct config_input *out)
{
    for (size_t i = 0; i < sizeof(inputs) / sizeof(inputs[0]); i++) {
        if (strcmp(inputs[i].type, out->type->name) != 0) {
            continue;
        }
        out->measure = inputs[i].measure;
        if (strcmp(inputs[i].addon, kind->type) != 0) {
            return measure_refuse(loader, map, out->type->name, kind);
        }
        return written->given && strcmp(written->as.s, kind->measures[out->measure]) != 0
                   ? measure_refuse(loader, map, written->as.s, kind)
                   : DYN_OK;
    }
    for (int m = 0; written->given && m < PLAN_MEASURES; m++) {
        if (kind->measures[m] != NULL && strcmp(kind->measures[m], written->as.s) == 0) {
            out->measure = (enum plan_measure)m;
            return DYN_OK;
        }
    }
    out->measure = PLAN_SIZE;
    return written->given ? measure_refuse(loader, map, written->as.s, kind) : DYN_OK;
}

dyn_err config_plans_input_read(struct config_loader *loader, const struct config_node *map,
                                const struct config_controller *controller,
                                struct config_input *out)
{
    const struct kind *kind = &kinds[kind_find(controller->type->name)];
    struct config_options options;
    dyn_err err = config_options_read(loader, config_keys_plan_input, map, "input", &options);

    if (err != DYN_OK) {
        return err;
    }
    out->plans = controller->plans;
    out->threshold_percent = config_option(&options, "max_percentage_threshold")->as.d;
    return measure_read(loader, map, config_option(&options, "measure"), kind, out);
}

const char *config_measure_text(const struct config_controller *controller,
                                enum plan_measure measure)
{
    size_t kind = kind_find(controller->type->name);

    DYN_ASSERT(kind < CONFIG_PLAN_KINDS && measure < PLAN_MEASURES);
    return kinds[kind].measures[measure];
}
