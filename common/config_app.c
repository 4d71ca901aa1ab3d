#include "common/config_internal.h"

#include <ctype.h>

static bool app_name_ok(const char *name)
{
    size_t len = strlen(name);

    if (len < 3 || len > 30 || !islower((unsigned char)name[0]) || name[len - 1] == '-') {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (!islower((unsigned char)name[i]) && !isdigit((unsigned char)name[i]) &&
            name[i] != '-') {
            return false;
        }
    }
    return true;
}

static dyn_err name_refuse(struct config_loader *loader, const struct config_node *node,
                           bool is_key)
{
    return config_refuse_at(loader->error, node->file, is_key ? node->key_line : node->line,
                            is_key ? node->key_column : node->column, node->key,
                            "found another name, expected an app's: 3 to 30 lower-case letters, "
                            "digits and -, a letter first");
}

/* The name stands in scaler, or is the key in the map of apps; both only if they agree. */
static dyn_err app_name_read(struct config_loader *loader, const struct config_node *map,
                             const struct config_node *scaler, const char *name,
                             struct config_app *out)
{
    const struct config_node *node = config_node_get(scaler, "heroku_app_name");
    const char *text = name;
    dyn_err err = DYN_OK;

    if (name != NULL && !app_name_ok(name)) {
        return name_refuse(loader, map, true);
    }
    if (name == NULL || (node != NULL && !config_node_is_null(node))) {
        if (scaler == NULL) {
            return config_refuse_at(loader->error, map->file, map->line, map->column, "scaler",
                                    "found nothing, expected a map with heroku_app_name");
        }
        err = config_text_required(loader, scaler, "heroku_app_name", &text);
    }
    if (err != DYN_OK) {
        return err;
    }
    DYN_ASSERT(text != NULL);
    if (!app_name_ok(text)) {
        DYN_ASSERT(node != NULL); /* the key was checked above */
        return name_refuse(loader, node, false);
    }
    if (name != NULL && strcmp(name, text) != 0) {
        return config_refuse(loader, node, "found another name than the app's key, expected %s",
                             name);
    }
    out->name = config_arena_copy(loader->arena, dyn_str_from(text));
    return DYN_OK;
}

/* ---- which account ---- */

static size_t account_find(const struct config *config, const char *name)
{
    size_t i = 0;

    DYN_ASSERT(name != NULL);
    while (i < config->accounts_count && strcmp(config->accounts[i].name, name) != 0) {
        i++;
    }
    return i;
}

static dyn_err account_unknown(struct config_loader *loader, const struct config_node *node,
                               const char *name)
{
    const struct config *config = &loader->owned->config;
    const char **names =
        config_arena_alloc(loader->arena, (config->accounts_count + 1) * sizeof(*names));

    for (size_t i = 0; i < config->accounts_count; i++) {
        names[i] = config->accounts[i].name;
    }
    return config_refuse(loader, node, "found \"%.64s\", expected a name under accounts%s", name,
                         config_did_you_mean(loader->arena, name, names, config->accounts_count));
}

/* A key in the app's own file: the account that has the same key, or one named after the app. */
static dyn_err own_account(struct config_loader *loader, const struct config_node *map,
                           const struct config_value *key, struct config_app *app)
{
    struct config *config = &loader->owned->config;
    struct config_account account = {.name = loader->version == 1 ? "default" : app->name,
                                     .origin = key->origin,
                                     .heroku_api_key = key->as.secret,
                                     .reserve_percent = 40};

    for (size_t i = 0; i < config->accounts_count; i++) {
        if (config_template_equal(config->accounts[i].heroku_api_key.template,
                                  key->as.secret.template)) {
            app->account = i;
            return DYN_OK;
        }
    }
    if (account_find(config, account.name) < config->accounts_count ||
        config->accounts_count == DYN_CONFIG_ACCOUNTS_MAX) {
        return config_refuse(loader, map,
                             "found another heroku_api_key than that of account %s (or more than "
                             "%d accounts), expected account: NAME",
                             account.name, DYN_CONFIG_ACCOUNTS_MAX);
    }
    app->account = config->accounts_count;
    config_account_add(loader, &account, NULL);
    return DYN_OK;
}

static dyn_err account_read(struct config_loader *loader, const struct config_node *map,
                            const struct config_node *scaler, const struct config_value *key,
                            struct config_app *app)
{
    const struct config *config = &loader->owned->config;
    const struct config_node *node = config_node_get(map, "account");
    const char *name = "default";
    dyn_err err = DYN_OK;

    if (node != NULL && !config_node_is_null(node)) {
        err = config_text_required(loader, map, "account", &name);
        app->account = err == DYN_OK ? account_find(config, name) : 0;
        if (err == DYN_OK && key->given) {
            return config_refuse(loader, node,
                                 "found account beside scaler.heroku_api_key, expected one");
        }
        return err == DYN_OK && app->account == config->accounts_count
                   ? account_unknown(loader, node, name)
                   : err;
    }
    if (key->given) {
        return own_account(loader, map, key, app);
    }
    if (loader->version == 1 || config->accounts_count == 0) {
        const struct config_node *at = scaler != NULL ? scaler : map;

        return config_refuse_at(loader->error, at->file, at->line, at->column, "heroku_api_key",
                                "found nothing, expected a text%s",
                                loader->version == 1 ? "" : ", or an account under accounts");
    }
    app->account = config->accounts_count == 1 ? 0 : account_find(config, name);
    if (app->account == config->accounts_count) {
        return config_refuse_at(loader->error, map->file, map->line, map->column, "account",
                                "found nothing, expected one of the %zu names under accounts",
                                config->accounts_count);
    }
    return DYN_OK;
}

/* ---- the app ---- */

static bool scales_the_same(const struct config_controller *a, const struct config_controller *b)
{
    bool same = strcmp(a->process_type, b->process_type) == 0;

    if (a->plans == NULL || b->plans == NULL) {
        return same && a->plans == NULL && b->plans == NULL;
    }
    return same && (a->addon == NULL || b->addon == NULL || strcmp(a->addon, b->addon) == 0);
}

/* Two controllers of one process type or add-on would set it in turns, for ever. */
static dyn_err controller_unique(struct config_loader *loader, const struct config_node *node,
                                 const struct config_app *app,
                                 const struct config_controller *controller)
{
    for (size_t i = 0; i < app->controllers_count; i++) {
        const struct config_controller *other = &app->controllers[i];

        if (strcmp(other->name, controller->name) == 0) {
            return config_refuse(loader, config_node_get(node, "name"),
                                 "found \"%s\" again, expected each controller's name once in an "
                                 "app (first on line %d)",
                                 controller->name, other->origin.line);
        }
        if (scales_the_same(other, controller) && controller->plans != NULL) {
            return config_refuse_at(loader->error, node->file, node->line, node->column, "addon",
                                    "found %s, whose plan controller \"%s\" scales already, "
                                    "expected the names of two add-ons",
                                    controller->process_type, other->name);
        }
        if (scales_the_same(other, controller)) {
            return config_refuse_at(loader->error, node->file, node->line, node->column,
                                    "process_type",
                                    "found %s, which controller \"%s\" scales already, expected "
                                    "another",
                                    controller->process_type, other->name);
        }
    }
    return DYN_OK;
}

static dyn_err controllers_read(struct config_loader *loader, const struct config_node *map,
                                const struct config_levels *levels, struct config_app *app)
{
    const struct config_node *list = NULL;
    dyn_err err = config_list_get(loader, map, config_kind_section(CONFIG_CONTROLLER),
                                  DYN_CONFIG_CONTROLLERS_MAX, &list);

    if (err != DYN_OK) {
        return err;
    }
    app->controllers = config_arena_alloc(loader->arena, list->count * sizeof(*app->controllers));
    for (const struct config_node *node = list->first; node != NULL; node = node->next) {
        struct config_controller *controller = &app->controllers[app->controllers_count];

        err = config_controller_read(loader, node, levels, controller);
        if (err != DYN_OK) {
            return err;
        }
        err = controller_unique(loader, node, app, controller);
        if (err != DYN_OK) {
            return err;
        }
        app->controllers_count++;
    }
    return DYN_OK;
}

static dyn_err app_keys_check(struct config_loader *loader, const struct config_node *map,
                              bool whole_file)
{
    static const struct config_field version[] = {
        {.key = "version", .type = CONFIG_INT, .min = 1, .max = 2, .fallback = "1"},
        {.key = NULL},
    };
    const struct config_field *const tables[] = {config_keys_app,
                                                 loader->version == 1 ? NULL : config_keys_app_only,
                                                 whole_file ? version : NULL};

    return config_keys_check(loader, map, tables, 3);
}

static dyn_err scaler_read(struct config_loader *loader, const struct config_node *map,
                           const struct config_node **out, struct config_options *out_options)
{
    const struct config_field *const tables[] = {config_keys_scaler};
    dyn_err err = config_map_get(loader, map, "scaler", out);

    if (err == DYN_OK && *out != NULL) {
        err = config_keys_check(loader, *out, tables, 1);
    }
    if (err == DYN_OK) {
        err = config_options_read(loader, config_keys_scaler, *out, "app", out_options);
    }
    return err;
}

static dyn_err levels_read(struct config_loader *loader, const struct config_node *map,
                           struct config_app *app, struct config_levels *levels)
{
    dyn_err err = DYN_OK;

    levels->maps[CONFIG_LEVEL_DEFAULTS] = loader->defaults;
    levels->maps[CONFIG_LEVEL_ACCOUNT] = loader->account_defaults[app->account];
    if (loader->version != 1) {
        err = config_map_get(loader, map, "defaults", &levels->maps[CONFIG_LEVEL_APP]);
    }
    if (err == DYN_OK && levels->maps[CONFIG_LEVEL_APP] != NULL) {
        err = config_policies_check(loader, levels->maps[CONFIG_LEVEL_APP]);
    }
    return err;
}

static dyn_err interval_read(struct config_loader *loader, const struct config_levels *levels,
                             const struct config_options *scaler, struct config_app *app)
{
    const struct config_value *own = config_option(scaler, "interval");
    struct config_value inherited;
    dyn_err err = config_policy_read(loader, levels, config_policy_app, &inherited);

    if (err == DYN_OK) {
        app->interval_ms = own->origin.file != NULL ? own->as.i : inherited.as.i;
    }
    return err;
}

static dyn_err app_add(struct config_loader *loader, const struct config_node *map,
                       const struct config_app *app)
{
    struct config *config = &loader->owned->config;

    if (config->apps_count == DYN_CONFIG_APPS_MAX) {
        return config_refuse(loader, map, "found more than %d apps, expected at most that",
                             DYN_CONFIG_APPS_MAX);
    }
    config->apps = config_arena_grow(loader->arena, config->apps, config->apps_count, sizeof(*app));
    config->apps[config->apps_count++] = *app;
    return config_sinks_read(loader, map, loader->version == 1 ? SIZE_MAX : config->apps_count - 1);
}

dyn_err config_app_read(struct config_loader *loader, const struct config_node *map,
                        const char *name)
{
    struct config_app app = {.origin = {map->file, map->line, map->column, "app"}};
    struct config_levels levels = {.maps = {NULL}};
    struct config_options scaler;
    dyn_err err;

    if (map->kind != CONFIG_NODE_MAP) {
        return config_refuse(loader, map, "found no map, expected controller_plugins in it");
    }
    if (map->key != NULL) {
        app.origin.line = map->key_line;
        app.origin.column = map->key_column;
    }
    err = app_keys_check(loader, map, name == NULL);
    if (err == DYN_OK) {
        err = scaler_read(loader, map, &levels.scaler, &scaler);
    }
    if (err == DYN_OK) {
        err = app_name_read(loader, map, levels.scaler, name, &app);
    }
    if (err == DYN_OK) {
        err = account_read(loader, map, levels.scaler, config_option(&scaler, "heroku_api_key"),
                           &app);
    }
    if (err == DYN_OK) {
        err = levels_read(loader, map, &app, &levels);
    }
    if (err == DYN_OK) {
        err = interval_read(loader, &levels, &scaler, &app);
    }
    if (err == DYN_OK) {
        err = controllers_read(loader, map, &levels, &app);
    }
    return err == DYN_OK ? app_add(loader, map, &app) : err;
}
