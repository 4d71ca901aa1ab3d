/*
 * The plugin lists of an app: controllers with their inputs, and sinks.
 */
#include "common/config_internal.h"

#include <ctype.h>

static const char *const level_names[CONFIG_LEVELS] = {"defaults", "account", "app", "controller",
                                                       "input"};

/* ---- policies ---- */

const struct config_field *config_field_of(const struct config_field *fields, const char *key)
{
    while (fields->key != NULL && strcmp(fields->key, key) != 0) {
        fields++;
    }
    DYN_ASSERT(fields->key != NULL);
    return fields;
}

/* The strongest level that says something, or -1. */
int config_level_find(const struct config_levels *levels, const struct config_field *field,
                      const struct config_node **out)
{
    for (int i = CONFIG_LEVELS - 1; i >= 0; i--) {
        const struct config_node *node = config_node_find(levels->maps[i], field);

        if (node != NULL) {
            *out = node;
            return i;
        }
    }
    *out = NULL;
    return -1;
}

dyn_err config_policy_read(struct config_loader *loader, const struct config_levels *levels,
                           const struct config_field *field, struct config_value *out)
{
    const struct config_node *node = NULL;
    int level = config_level_find(levels, field, &node);

    return config_value_read(loader, field, node, level >= 0 ? level_names[level] : "built-in",
                             out);
}

dyn_err config_policies_read(struct config_loader *loader, const struct config_levels *levels,
                             const struct config_field *fields, struct config_value *out_values)
{
    size_t count = config_fields_count(fields);

    for (size_t i = 0; i < count; i++) {
        dyn_err err = config_policy_read(loader, levels, &fields[i], &out_values[i]);

        if (err != DYN_OK) {
            return err;
        }
    }
    return DYN_OK;
}

/* The values of all policies that stand in `map`, whether or not a stronger level hides them. */
static dyn_err policy_values_check(struct config_loader *loader, const struct config_node *map)
{
    const struct config_field *const tables[] = {config_policy_app, config_policy_controller,
                                                 config_policy_input};

    for (size_t i = 0; i < 3; i++) {
        for (const struct config_field *field = tables[i]; field->key != NULL; field++) {
            const struct config_node *node = config_node_find(map, field);
            struct config_value ignored;
            dyn_err err = DYN_OK;

            if (node != NULL) {
                err = config_value_read(loader, field, node, "", &ignored);
            }
            if (err != DYN_OK) {
                return err;
            }
        }
    }
    return DYN_OK;
}

dyn_err config_policies_check(struct config_loader *loader, const struct config_node *map)
{
    const struct config_field *const tables[] = {config_policy_app, config_policy_controller,
                                                 config_policy_input};
    dyn_err err;

    if (map->kind != CONFIG_NODE_MAP) {
        return config_refuse(loader, map, "found no map, expected keys such as hysteresis_period");
    }
    err = config_keys_check(loader, map, tables, 3);
    return err != DYN_OK ? err : policy_values_check(loader, map);
}

dyn_err config_refuse_value(struct config_loader *loader, const struct config_value *value,
                            const struct config_node *map, const char *words)
{
    const struct config_origin *at = &value->origin;

    return config_refuse_at(loader->error, at->file != NULL ? at->file : map->file,
                            at->file != NULL ? at->line : map->line,
                            at->file != NULL ? at->column : map->column, value->field->key, "%s",
                            words);
}

/* ---- types ---- */

static const char *type_words(struct config_loader *loader, enum config_kind kind,
                              const char *found)
{
    const char *names[64];
    const char *colon = strrchr(found, ':');
    const char *list = "";
    size_t count = 0;

    for (const struct config_type *type = config_types(kind); type->name != NULL; type++) {
        names[count++] = type->name;
        for (size_t i = 0; i < 3 && type->aliases[i] != NULL; i++) {
            DYN_ASSERT(count < 64);
            names[count++] = type->aliases[i];
        }
        list = config_arena_printf(loader->arena, "%s%s%s", list, list[0] != '\0' ? ", " : "",
                                   type->name);
    }
    return config_arena_printf(
        loader->arena, "%s%s", list,
        config_did_you_mean(loader->arena, colon != NULL ? colon + 1 : found, names, count));
}

dyn_err config_type_read(struct config_loader *loader, const struct config_node *map,
                         enum config_kind kind, const struct config_type **out)
{
    const struct config_type *type;
    const char *text;
    dyn_err err;

    if (map->kind != CONFIG_NODE_MAP) {
        return config_refuse_at(loader->error, map->file, map->line, map->column,
                                config_kind_section(kind), "found %s, expected a map with a type",
                                map->kind == CONFIG_NODE_LIST ? "a list" : "a text");
    }
    err = config_text_required(loader, map, "type", &text);
    if (err != DYN_OK) {
        return err;
    }
    type = config_type_find(kind, dyn_str_from(text));
    if (type == NULL) {
        return config_refuse(loader, config_node_get(map, "type"),
                             "found the unknown type \"%.64s\", expected one of %s", text,
                             type_words(loader, kind, text));
    }
    *out = type;
    return DYN_OK;
}

/* ---- names and lists ---- */

dyn_err config_name_read(struct config_loader *loader, const struct config_node *map,
                         const char **out)
{
    const char *name;
    dyn_err err = config_text_required(loader, map, "name", &name);

    if (err != DYN_OK) {
        return err;
    }
    for (const char *c = name; *c != '\0'; c++) {
        if (iscntrl((unsigned char)*c) || c - name >= DYN_NAME_MAX) {
            return config_refuse(loader, config_node_get(map, "name"),
                                 "found a name that is too long or holds control characters, "
                                 "expected at most %d printable ones",
                                 DYN_NAME_MAX);
        }
    }
    *out = name;
    return DYN_OK;
}

dyn_err config_list_get(struct config_loader *loader, const struct config_node *map,
                        const char *key, size_t most, const struct config_node **out)
{
    const struct config_node *list = config_node_get(map, key);

    if (list == NULL || config_node_is_null(list) ||
        (list->kind == CONFIG_NODE_LIST && list->count == 0)) {
        return config_refuse_at(loader->error, map->file, map->line, map->column, key,
                                "found none, expected a list with at least one");
    }
    if (list->kind != CONFIG_NODE_LIST) {
        return config_refuse(loader, list, "found %s, expected a list (lines that begin with -)",
                             list->kind == CONFIG_NODE_MAP ? "a map" : "a text");
    }
    if (list->count > most) {
        return config_refuse(loader, list, "found %zu, expected at most %zu", list->count, most);
    }
    *out = list;
    return DYN_OK;
}

/* ---- controllers ---- */

/* The most careful of what any level says; `values` then shows it with where it came from. */
static dyn_err mode_read(struct config_loader *loader, const struct config_levels *levels,
                         struct config_value *shown, enum config_mode *out)
{
    const struct config_field *mode_field = config_field_of(config_policy_controller, "mode");
    const struct config_field *dry_field = config_field_of(config_policy_controller, "dry_run");
    enum config_mode least = CONFIG_MODE_LIVE;

    for (size_t i = 0; i <= CONFIG_LEVEL_CONTROLLER + 1; i++) {
        bool at_scaler = i > CONFIG_LEVEL_CONTROLLER;
        const struct config_node *map = at_scaler ? levels->scaler : levels->maps[i];
        const char *level = level_names[at_scaler ? CONFIG_LEVEL_APP : i];
        struct config_value mode;
        struct config_value dry;
        dyn_err err =
            config_value_read(loader, mode_field, config_node_find(map, mode_field), level, &mode);

        if (err == DYN_OK) {
            err =
                config_value_read(loader, dry_field, config_node_find(map, dry_field), level, &dry);
        }
        if (err != DYN_OK) {
            return err;
        }
        for (enum config_mode m = CONFIG_MODE_OFF; m < least; m++) {
            bool by_dry_run = m == CONFIG_MODE_SHADOW && dry.as.b;

            if (by_dry_run || strcmp(mode.as.s, config_mode_text(m)) == 0) {
                least = m;
                *shown = mode;
                shown->as.s = config_mode_text(m);
                shown->origin = by_dry_run ? dry.origin : mode.origin;
            }
        }
    }
    *out = least;
    return DYN_OK;
}

static dyn_err range_read(struct config_loader *loader, const struct config_node *map,
                          struct config_controller *out)
{
    const struct config_value *min = config_option(&out->policy, "min_resource");
    const struct config_value *max = config_option(&out->policy, "max_resource");

    dyn_err err = config_rung_read(loader, map, min, out->plans, &out->min_resource);

    if (err == DYN_OK) {
        err = config_rung_read(loader, map, max, out->plans, &out->max_resource);
    }
    if (err != DYN_OK || out->min_resource <= out->max_resource) {
        return err;
    }
    if (min->origin.file != NULL) {
        return config_refuse_value(
            loader, min, map,
            config_arena_printf(loader->arena, "found %s, expected at most max_resource (%s)",
                                min->as.s, max->as.s));
    }
    return config_refuse_value(loader, max, map,
                               config_arena_printf(loader->arena,
                                                   "found %s, expected at least min_resource (%s)",
                                                   max->as.s, min->as.s));
}

static dyn_err process_type_check(struct config_loader *loader, const struct config_node *map,
                                  const struct config_value *value)
{
    const char *text = value->as.s;
    size_t good = 0;

    while (isalnum((unsigned char)text[good]) || text[good] == '_' || text[good] == '-') {
        good++;
    }
    if (good == 0 || good > DYN_NAME_MAX || text[good] != '\0') {
        return config_refuse_value(loader, value, map,
                                   "found another name, expected a process type: 1 to 128 letters, "
                                   "digits, - or _");
    }
    return DYN_OK;
}

static dyn_err guards_read(struct config_loader *loader, const struct config_node *map,
                           const struct config_levels *levels, struct config_controller *out)
{
    size_t count = config_fields_count(config_policy_controller);
    struct config_value *values = config_arena_alloc(loader->arena, count * sizeof(*values));
    const struct config_options *policy = &out->policy;
    dyn_err err = config_policies_read(loader, levels, config_policy_controller, values);

    out->policy = (struct config_options){values, count};
    if (err == DYN_OK && out->plans != NULL) {
        err = config_plans_policies_read(loader, map, values, out);
    }
    if (err != DYN_OK) {
        return err;
    }
    out->process_type =
        out->plans != NULL ? out->plans->addon : config_option(policy, "process_type")->as.s;
    out->scale_up_cooldown_ms = config_option(policy, "scale_up_cooldown")->as.i;
    out->scale_down_cooldown_ms = config_option(policy, "scale_down_cooldown")->as.i;
    out->max_step_up = (int32_t)config_option(policy, "max_step_up")->as.i;
    out->max_step_down_percent = config_option(policy, "max_step_down")->as.d;
    out->max_changes_per_hour = (int32_t)config_option(policy, "max_changes_per_hour")->as.i;
    out->manual_hold_ms = config_option(policy, "manual_hold")->as.i;
    if (out->plans == NULL) {
        err = process_type_check(loader, map, config_option(policy, "process_type"));
    }
    if (err == DYN_OK) {
        err = range_read(loader, map, out);
    }
    if (err == DYN_OK) {
        size_t mode =
            (size_t)(config_field_of(config_policy_controller, "mode") - config_policy_controller);

        err = mode_read(loader, levels, &values[mode], &out->mode);
    }
    return err;
}

dyn_err config_controller_read(struct config_loader *loader, const struct config_node *map,
                               const struct config_levels *above, struct config_controller *out)
{
    struct config_levels levels = *above;
    dyn_err err = config_type_read(loader, map, CONFIG_CONTROLLER, &out->type);

    if (err == DYN_OK) {
        const struct config_field *const tables[] = {config_keys_controller,
                                                     config_policy_controller, config_policy_input,
                                                     out->type->fields};

        err = config_keys_check(loader, map, tables, 4);
    }
    if (err == DYN_OK) {
        err = config_name_read(loader, map, &out->name);
    }
    if (err == DYN_OK) {
        err = policy_values_check(loader, map);
    }
    if (err == DYN_OK) {
        err = config_options_read(loader, out->type->fields, map, "controller", &out->options);
    }
    if (err == DYN_OK) {
        err = config_plans_choose(loader, map, out);
    }
    levels.maps[CONFIG_LEVEL_CONTROLLER] = map;
    if (err == DYN_OK) {
        err = guards_read(loader, map, &levels, out);
    }
    if (err == DYN_OK) {
        err = config_inputs_read(loader, map, &levels, out);
    }
    out->origin = (struct config_origin){map->file, map->line, map->column, "controller"};
    return err;
}

/* ---- sinks ---- */

static dyn_err sink_name_read(struct config_loader *loader, const struct config_node *map,
                              size_t app, struct config_sink *out)
{
    const struct config_node *node = config_node_get(map, "name");
    dyn_err err = DYN_OK;

    out->name = out->type->name;
    if (node != NULL && !config_node_is_null(node)) {
        err = config_name_read(loader, map, &out->name);
    }
    if (err == DYN_OK && app != SIZE_MAX) {
        /* Every app may have its console; the name must tell them apart on the bus. */
        out->name = config_arena_printf(loader->arena, "%s/%s",
                                        loader->owned->config.apps[app].name, out->name);
    }
    return err;
}

static dyn_err sink_read(struct config_loader *loader, const struct config_node *map,
                         enum config_kind kind, size_t app, struct config_sink *out)
{
    dyn_err err = config_type_read(loader, map, kind, &out->type);

    if (err == DYN_OK) {
        DYN_ASSERT(out->type != NULL);
        const struct config_field *const tables[] = {config_keys_sink, out->type->fields};

        err = config_keys_check(loader, map, tables, 2);
    }
    if (err == DYN_OK) {
        err = sink_name_read(loader, map, app, out);
    }
    if (err == DYN_OK) {
        err = config_options_read(loader, out->type->fields, map, "sink", &out->options);
    }
    out->origin = (struct config_origin){map->file, map->line, map->column, "sink"};
    out->app = app;
    return err;
}

static dyn_err kind_read(struct config_loader *loader, const struct config_node *list,
                         enum config_kind kind, size_t app)
{
    struct config *config = &loader->owned->config;
    size_t first = config->sinks_count[kind];

    for (const struct config_node *node = list->first; node != NULL; node = node->next) {
        struct config_sink sink = {.app = app};
        dyn_err err = sink_read(loader, node, kind, app, &sink);

        if (err != DYN_OK) {
            return err;
        }
        for (size_t i = first; i < config->sinks_count[kind]; i++) {
            if (strcmp(config->sinks[kind][i].name, sink.name) == 0) {
                return config_refuse_at(loader->error, node->file, node->line, node->column,
                                        list->key,
                                        "found two named \"%s\", expected a name: of its own for "
                                        "each (first on line %d)",
                                        sink.name, config->sinks[kind][i].origin.line);
            }
        }
        config->sinks[kind] = config_arena_grow(loader->arena, config->sinks[kind],
                                                config->sinks_count[kind], sizeof(sink));
        config->sinks[kind][config->sinks_count[kind]++] = sink;
    }
    return DYN_OK;
}

dyn_err config_sinks_read(struct config_loader *loader, const struct config_node *map, size_t app)
{
    for (enum config_kind kind = CONFIG_STATS; kind <= CONFIG_SUCCESS; kind++) {
        const struct config_node *list = config_node_get(map, config_kind_section(kind));
        dyn_err err;

        if (list == NULL || config_node_is_null(list)) {
            continue;
        }
        err = config_list_get(loader, map, config_kind_section(kind), DYN_CONFIG_SINKS_MAX, &list);
        if (err == DYN_OK) {
            err = kind_read(loader, list, kind, app);
        }
        if (err != DYN_OK) {
            return err;
        }
    }
    return DYN_OK;
}
