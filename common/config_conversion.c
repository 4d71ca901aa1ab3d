/*
 * How an input's values become resources, where it is not by so many for each: `target` and `step`.
 * Senseless ones are refused: a table that does not rise, or that can never ask for anything.
 */
#include "common/config_internal.h"

static const struct config_field *field_of(const char *key)
{
    return config_field_of(config_keys_conversion, key);
}

static const struct config_node *node_of(const struct config_node *map, const char *key)
{
    return config_node_find(map, field_of(key));
}

static dyn_err value_of(struct config_loader *loader, const struct config_node *map,
                        const char *key, struct config_value *out)
{
    return config_value_read(loader, field_of(key), node_of(map, key), "input", out);
}

/* ---- target ---- */

static dyn_err target_read(struct config_loader *loader, const struct config_node *map,
                           struct config_input *out)
{
    struct config_value target;
    struct config_value tolerance;
    struct config_value settle;
    dyn_err err = value_of(loader, map, "target", &target);

    if (err == DYN_OK) {
        err = value_of(loader, map, "tolerance", &tolerance);
    }
    if (err == DYN_OK) {
        err = value_of(loader, map, "settle", &settle);
    }
    if (err == DYN_OK) {
        out->conversion = CONFIG_TARGET;
        out->target = target.as.d;
        out->tolerance = tolerance.as.d / 100;
        out->settle_ms = settle.as.i;
    }
    return err;
}

/* ---- step ---- */

static dyn_err step_read(struct config_loader *loader, const struct config_node *node,
                         const struct config_step *below, struct config_step *out)
{
    static const struct config_field resources = {
        .key = "step", .type = CONFIG_INT, .min = 0, .max = DYN_QUANTITY_MAX};
    struct config_value value;
    dyn_err err;

    if (dyn_str_double(dyn_str_from(node->key), &out->from) != DYN_OK || out->from < 0 ||
        out->from > DYN_VALUE_MAX) {
        return config_refuse_key(loader, node,
                                 "found a key that is no value of at least 0, expected such as "
                                 "step: {0: 2, 300: 4}");
    }
    if (config_node_is_null(node)) {
        return config_refuse_key(loader, node, "found nothing, expected a whole number");
    }
    err = config_value_read(loader, &resources, node, "input", &value);
    if (err != DYN_OK) {
        return err;
    }
    out->resources = (int32_t)value.as.i;
    if (below != NULL && out->from <= below->from) {
        return config_refuse_key(loader, node,
                                 "found %.10g behind %.10g, expected values that rise", out->from,
                                 below->from);
    }
    if (below != NULL && out->resources <= below->resources) {
        return config_refuse(loader, node, "found %d behind %d, expected resources that rise",
                             (int)out->resources, (int)below->resources);
    }
    return DYN_OK;
}

static dyn_err steps_read(struct config_loader *loader, const struct config_node *list,
                          struct config_input *out)
{
    struct config_step *steps;
    size_t count = 0;

    if (list->kind != CONFIG_NODE_MAP || list->count == 0 || list->count > DYN_CONFIG_STEPS_MAX) {
        return config_refuse(loader, list,
                             "found another thing than a map of 1 to %d steps, expected such as "
                             "step: {0: 2, 300: 4}",
                             DYN_CONFIG_STEPS_MAX);
    }
    steps = config_arena_alloc(loader->arena, list->count * sizeof(*steps));
    for (const struct config_node *node = list->first; node != NULL; node = node->next) {
        dyn_err err = step_read(loader, node, count > 0 ? &steps[count - 1] : NULL, &steps[count]);

        if (err != DYN_OK) {
            return err;
        }
        count++;
    }
    out->conversion = CONFIG_STEP;
    out->steps = steps;
    out->steps_count = count;
    return DYN_OK;
}

/* ---- both ---- */

/* The key that says per_resource in this map, or NULL. */
static const struct config_node *ratio_node(const struct config_node *map,
                                            const struct config_input *in)
{
    const struct config_node *node = in->type->per_resource_key != NULL
                                         ? config_node_get(map, in->type->per_resource_key)
                                         : NULL;

    return node != NULL ? node : config_node_get(map, "per_resource");
}

dyn_err config_conversion_read(struct config_loader *loader, const struct config_node *map,
                               struct config_input *out)
{
    static const char *const of_target[] = {"tolerance", "settle"};
    const struct config_node *target = node_of(map, "target");
    const struct config_node *step = node_of(map, "step");
    const struct config_node *ratio = ratio_node(map, out);
    const struct config_node *said = target != NULL ? target : step;

    for (size_t i = 0; target == NULL && i < sizeof(of_target) / sizeof(of_target[0]); i++) {
        const struct config_node *node = node_of(map, of_target[i]);

        if (node != NULL) {
            return config_refuse_key(loader, node, "found it without target, expected both");
        }
    }
    if (said == NULL) {
        return DYN_OK;
    }
    if (ratio != NULL || (target != NULL && step != NULL)) {
        return config_refuse_key(loader, said, "found it beside %s, expected one of them",
                                 ratio != NULL ? ratio->key : "step");
    }
    if (out->type->per_resource_key == NULL) {
        return config_refuse_key(loader, said, "found it for type %s, whose values have their own",
                                 out->type->name);
    }
    return target != NULL ? target_read(loader, map, out) : steps_read(loader, step, out);
}

dyn_err config_conversion_check(struct config_loader *loader, const struct config_node *map,
                                const struct config_input *in,
                                const struct config_controller *controller)
{
    const struct config_node *target = node_of(map, "target");
    const struct config_node *step = node_of(map, "step");

    if (in->conversion == CONFIG_PER_RESOURCE) {
        return DYN_OK;
    }
    if (strcmp(controller->type->name, "dynos") != 0) {
        return config_refuse_key(loader, target != NULL ? target : step,
                                 "found it for plans, expected a controller of dynos");
    }
    if (in->conversion == CONFIG_STEP) {
        int32_t most = in->steps[in->steps_count - 1].resources;

        if (most <= controller->min_resource) {
            return config_refuse(loader, step,
                                 "found a table that never asks for more than min_resource (%d)",
                                 (int)controller->min_resource);
        }
        if (most > controller->max_resource) {
            config_warn(loader, step, "asks for up to %d, which max_resource (%d) never allows",
                        (int)most, (int)controller->max_resource);
        }
        return DYN_OK;
    }
    if (in->counter) {
        return config_refuse_key(loader, target,
                                 "found it for what grows all day, whatever runs; expected "
                                 "per_resource or step");
    }
    if (in->settle_ms > in->hysteresis_period_ms) {
        return config_refuse_at(loader->error, map->file, map->line, map->column, "settle",
                                "found %.10g s, expected at most the hysteresis_period (%.10g s)",
                                (double)in->settle_ms / 1000,
                                (double)in->hysteresis_period_ms / 1000);
    }
    return DYN_OK;
}
