/*
 * What the keys of one type of input must be together, beyond what the vocabulary says of each.
 */
#include "common/config_internal.h"

static dyn_err csv_check(struct config_loader *loader, const struct config_node *map,
                         const struct config_input *in)
{
    const struct config_value *rows = config_option(&in->options, "row_interval");
    const struct config_value *column = config_option(&in->options, "time_column");

    if (rows->given && column->given) {
        return config_refuse_value(loader, rows, map,
                                   "found row_interval beside time_column, expected one");
    }
    return DYN_OK;
}

static dyn_err http_json_check(struct config_loader *loader, const struct config_node *map,
                               const struct config_input *in)
{
    const struct config_value *pointer = config_option(&in->options, "pointer");

    if (pointer->as.s[0] != '/' && pointer->as.s[0] != '\0') {
        return config_refuse_value(loader, pointer, map,
                                   "found a text without / at its start, expected a JSON pointer "
                                   "such as /data/0/active");
    }
    return DYN_OK;
}

/* What becomes part of a path, or is a number for the vendor. Not given is fine. */
static dyn_err digits_check(struct config_loader *loader, const struct config_node *map,
                            const struct config_input *in, const char *key, const char *prefix)
{
    const struct config_value *value = config_option(&in->options, key);
    const char *text = value->given ? value->as.s : "0";

    if (prefix != NULL && strncmp(text, prefix, strlen(prefix)) == 0) {
        text += strlen(prefix);
    }
    if (text[0] == '\0' || strspn(text, "0123456789") != strlen(text) || strlen(text) > 18) {
        return config_refuse_value(loader, value, map,
                                   config_arena_printf(loader->arena,
                                                       "found another text, expected the number "
                                                       "that the vendor shows%s%s",
                                                       prefix != NULL ? ", also with " : "",
                                                       prefix != NULL ? prefix : ""));
    }
    return DYN_OK;
}

static dyn_err missing_refuse(struct config_loader *loader, const struct config_node *map,
                              const char *words)
{
    return config_refuse_at(loader->error, map->file, map->line, map->column, "type", "%s", words);
}

static dyn_err new_relic_check(struct config_loader *loader, const struct config_node *map,
                               const struct config_input *in)
{
    static const char *const ids[] = {"app_id", "component_id", "account_id"};
    bool app = config_option(&in->options, "app_id")->given;
    bool component = config_option(&in->options, "component_id")->given;
    bool nrql = config_option(&in->options, "nrql")->given;

    if ((app ? 1 : 0) + (component ? 1 : 0) + (nrql ? 1 : 0) != 1) {
        return missing_refuse(loader, map, "expected exactly one of app_id, component_id and nrql");
    }
    if (nrql && !config_option(&in->options, "account_id")->given) {
        return missing_refuse(loader, map, "found nrql alone, expected account_id beside it");
    }
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        dyn_err err = digits_check(loader, map, in, ids[i], NULL);

        if (err != DYN_OK) {
            return err;
        }
    }
    return DYN_OK;
}

static dyn_err rediscloud_check(struct config_loader *loader, const struct config_node *map,
                                const struct config_input *in)
{
    config_warn(loader, config_node_get(map, "component_id"),
                "New Relic has ended plug-ins' components on 2021-06-16: the figures must come "
                "from elsewhere, such as http_json or exec");
    return digits_check(loader, map, in, "component_id", NULL);
}

static dyn_err google_check(struct config_loader *loader, const struct config_node *map,
                            const struct config_input *in)
{
    bool property = config_option(&in->options, "property_id")->given;
    bool view = config_option(&in->options, "analytics_view_id")->given;
    dyn_err err = digits_check(loader, map, in, "property_id", NULL);

    if (err == DYN_OK) {
        err = digits_check(loader, map, in, "analytics_view_id", "ga:");
    }
    if (err != DYN_OK) {
        return err;
    }
    if (!property && !view) {
        return missing_refuse(loader, map, "expected property_id, the number of the GA4 property");
    }
    if (!config_option(&in->options, "key")->given &&
        !config_option(&in->options, "keyfile")->given) {
        return missing_refuse(loader, map, "expected key or keyfile");
    }
    if (!property) {
        config_warn(loader, config_node_get(map, "analytics_view_id"),
                    "Google has ended Universal Analytics and its realtime API: write property_id "
                    "with the number of the GA4 property instead");
    }
    return DYN_OK;
}

static dyn_err log_drain_check(struct config_loader *loader, const struct config_node *map,
                               const struct config_input *in)
{
    const struct config_value *period = config_option(&in->options, "period");

    if (period->as.i % 10000 != 0) {
        return config_refuse_value(loader, period, map,
                                   "found another time, expected a multiple of 10 s");
    }
    if (!config_option(&in->options, "password")->given) {
        config_warn(loader, config_node_get(map, "token"),
                    "whoever knows the drain's token may tell us of requests: add a password to "
                    "the drain's URL and here");
    }
    return DYN_OK;
}

static dyn_err redis_check(struct config_loader *loader, const struct config_node *map,
                           const struct config_input *in)
{
    const struct config_value *group = config_option(&in->options, "group");
    bool lag = strcmp(config_option(&in->options, "read")->as.s, "lag") == 0;
    bool cert = config_option(&in->options, "tls_cert")->given;

    if (lag && !group->given) {
        return missing_refuse(loader, map, "found read: lag alone, expected group beside it");
    }
    if (!lag && group->given) {
        return config_refuse_value(loader, group, map,
                                   "found a group without read: lag, expected both");
    }
    if (config_option(&in->options, "username")->given &&
        !config_option(&in->options, "password")->given) {
        return missing_refuse(loader, map, "found username alone, expected password beside it");
    }
    if (cert != config_option(&in->options, "tls_key")->given) {
        return missing_refuse(loader, map, "found one of tls_cert and tls_key, expected both");
    }
    return DYN_OK;
}

dyn_err config_source_check(struct config_loader *loader, const struct config_node *map,
                            const struct config_input *in)
{
    static const struct {
        const char *type;
        dyn_err (*check)(struct config_loader *loader, const struct config_node *map,
                         const struct config_input *in);
    } checks[] = {
        {"csv", csv_check},
        {"http_json", http_json_check},
        {"new_relic", new_relic_check},
        {"google_analytics", google_check},
        {"log_drain", log_drain_check},
        {"redis", redis_check},
        {"rediscloud_memory", rediscloud_check},
        {"rediscloud_connections", rediscloud_check},
    };

    for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
        if (strcmp(in->type->name, checks[i].type) == 0) {
            return checks[i].check(loader, map, in);
        }
    }
    return DYN_OK;
}

dyn_err config_source_windows_check(struct config_loader *loader, const struct config_node *map,
                                    const struct config_input *in)
{
    if (strcmp(in->type->name, "new_relic") == 0 && in->hysteresis_period_ms < 60000) {
        return config_refuse_at(loader->error, map->file, map->line, map->column,
                                "hysteresis_period",
                                "found %.10g s, expected at least 60 s: New Relic's figures are of "
                                "whole minutes",
                                (double)in->hysteresis_period_ms / 1000);
    }
    if (strcmp(in->type->name, "log_drain") == 0 && in->interval_ms > 600000) {
        return config_refuse_at(loader->error, map->file, map->line, map->column, "interval",
                                "found %.10g s, expected at most 600 s: counts are kept for "
                                "minutes",
                                (double)in->interval_ms / 1000);
    }
    return DYN_OK;
}
