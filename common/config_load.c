#include "common/config_internal.h"

#include <ctype.h>
#include <errno.h>
#include <libgen.h>
#include <limits.h>

/* ---- the main file's own sections ---- */

dyn_err config_map_get(struct config_loader *loader, const struct config_node *parent,
                       const char *key, const struct config_node **out)
{
    const struct config_node *map = config_node_get(parent, key);

    if (map == NULL || config_node_is_null(map)) {
        *out = NULL;
        return DYN_OK;
    }
    if (map->kind != CONFIG_NODE_MAP) {
        return config_refuse(loader, map, "found %s, expected a map of keys",
                             map->kind == CONFIG_NODE_LIST ? "a list" : "a text");
    }
    *out = map;
    return DYN_OK;
}

/* Plain http carries the key in the open: for this machine, or a name that only a private network
 * (such as docker's) can resolve, and then it is told. */
static dyn_err api_url_read(struct config_loader *loader, const struct config_node *root)
{
    static const char *const loopback[] = {"127.0.0.1", "localhost", "[::1]"};
    const struct config_field *field = config_keys_root;
    const struct config_node *node = config_node_get(root, "heroku_api_url");
    struct config_value value;
    const char *host;
    size_t len;
    dyn_err err;

    while (strcmp(field->key, "heroku_api_url") != 0) {
        field++;
    }
    err = config_value_read(loader, field, node, "file", &value);
    if (err != DYN_OK) {
        return err;
    }
    loader->owned->config.heroku_api_url = value.as.s;
    if (strncmp(value.as.s, "https://", 8) == 0 && value.as.s[8] != '\0') {
        return DYN_OK;
    }
    host = value.as.s + 7;
    if (strncmp(value.as.s, "http://", 7) != 0 || *host == '\0') {
        return config_refuse(loader, node, "found another text, expected an https:// address");
    }
    for (size_t i = 0; i < 3; i++) {
        len = strlen(loopback[i]);
        if (strncmp(host, loopback[i], len) == 0 && strchr(":/", host[len]) != NULL) {
            return DYN_OK;
        }
    }
    if (memchr(host, '.', strcspn(host, ":/")) != NULL || host[0] == '[') {
        return config_refuse(loader, node,
                             "found http:// for a host that is not this machine, expected "
                             "https://");
    }
    config_warn(loader, node, "is http://: Heroku keys travel in the open");
    return DYN_OK;
}

/* ---- accounts ---- */

void config_account_add(struct config_loader *loader, const struct config_account *account,
                        const struct config_node *defaults)
{
    struct config *config = &loader->owned->config;

    DYN_ASSERT(config->accounts_count < DYN_CONFIG_ACCOUNTS_MAX);
    config->accounts = config_arena_grow(loader->arena, config->accounts, config->accounts_count,
                                         sizeof(*config->accounts));
    loader->account_defaults =
        config_arena_grow(loader->arena, loader->account_defaults, config->accounts_count,
                          sizeof(struct config_node *));
    loader->account_defaults[config->accounts_count] = defaults;
    config->accounts[config->accounts_count++] = *account;
}

static bool account_name_ok(const char *name)
{
    size_t good = 0;

    while (isalnum((unsigned char)name[good]) || name[good] == '-' || name[good] == '_') {
        good++;
    }
    return good > 0 && good <= 64 && name[good] == '\0';
}

static dyn_err account_read(struct config_loader *loader, const struct config_node *map)
{
    const struct config_field *const tables[] = {config_keys_account};
    struct config_account account = {
        .name = config_arena_copy(loader->arena, dyn_str_from(map->key)),
        .origin = {map->file, map->key_line, map->key_column, "account"}};
    const struct config_node *defaults = NULL;
    struct config_options options;
    dyn_err err;

    if (!account_name_ok(map->key)) {
        return config_refuse_key(loader, map,
                                 "found another name, expected 1 to 64 letters, "
                                 "digits, - or _");
    }
    if (map->kind != CONFIG_NODE_MAP) {
        return config_refuse(loader, map, "found no map, expected heroku_api_key in it");
    }
    err = config_keys_check(loader, map, tables, 1);
    if (err == DYN_OK) {
        err = config_options_read(loader, config_keys_account, map, "account", &options);
    }
    if (err == DYN_OK) {
        err = config_map_get(loader, map, "defaults", &defaults);
    }
    if (err == DYN_OK && defaults != NULL) {
        err = config_policies_check(loader, defaults);
    }
    if (err != DYN_OK) {
        return err;
    }
    account.heroku_api_key = config_option(&options, "heroku_api_key")->as.secret;
    account.reserve_percent = config_option(&options, "reserve")->as.d;
    config_account_add(loader, &account, defaults);
    return DYN_OK;
}

static dyn_err accounts_read(struct config_loader *loader, const struct config_node *root)
{
    const struct config_node *map = NULL;
    dyn_err err = config_map_get(loader, root, "accounts", &map);

    if (map != NULL && map->count > DYN_CONFIG_ACCOUNTS_MAX) {
        return config_refuse(loader, map, "found %zu accounts, expected at most %d", map->count,
                             DYN_CONFIG_ACCOUNTS_MAX);
    }
    for (const struct config_node *node = map != NULL ? map->first : NULL;
         node != NULL && err == DYN_OK; node = node->next) {
        err = account_read(loader, node);
    }
    return err;
}

/* ---- files of apps ---- */

static dyn_err apps_map_read(struct config_loader *loader, const struct config_node *apps)
{
    for (const struct config_node *node = apps->first; node != NULL; node = node->next) {
        dyn_err err = config_app_read(loader, node, node->key);

        if (err != DYN_OK) {
            return err;
        }
    }
    return DYN_OK;
}

static dyn_err included_read(struct config_loader *loader, const struct config_node *root)
{
    static const struct config_field keys[] = {
        {.key = "version", .type = CONFIG_INT, .min = 1, .max = 2, .fallback = "1"},
        {.key = "apps", .type = CONFIG_SECTION},
        {.key = NULL},
    };
    const struct config_field *const tables[] = {keys};
    const struct config_node *apps = NULL;
    dyn_err err;

    if (config_node_get(root, "apps") == NULL) {
        return config_app_read(loader, root, NULL);
    }
    err = config_keys_check(loader, root, tables, 1);
    if (err == DYN_OK) {
        err = config_map_get(loader, root, "apps", &apps);
    }
    return err == DYN_OK && apps != NULL ? apps_map_read(loader, apps) : err;
}

static dyn_err include_read(struct config_loader *loader, const struct config_node *root)
{
    const struct config_node *node = config_node_get(root, "include");
    dyn_err err = DYN_OK;

    if (node == NULL || config_node_is_null(node)) {
        return DYN_OK;
    }
    if (node->kind != CONFIG_NODE_LIST) {
        return config_include(loader, node, included_read);
    }
    for (const struct config_node *i = node->first; i != NULL && err == DYN_OK; i = i->next) {
        err = config_include(loader, i, included_read);
    }
    return err;
}

static dyn_err apps_read(struct config_loader *loader, const struct config_node *root)
{
    const struct config_node *apps = config_node_get(root, "apps");
    dyn_err err = DYN_OK;

    if (apps == NULL || config_node_is_null(apps)) {
        return DYN_OK;
    }
    if (apps->kind == CONFIG_NODE_MAP) {
        return apps_map_read(loader, apps);
    }
    if (apps->kind == CONFIG_NODE_SCALAR) {
        return config_refuse(loader, apps,
                             "found a text, expected a map of apps or a list of "
                             "files");
    }
    for (const struct config_node *i = apps->first; i != NULL && err == DYN_OK; i = i->next) {
        err = i->kind == CONFIG_NODE_MAP ? config_app_read(loader, i, NULL)
                                         : config_include(loader, i, included_read);
    }
    return err;
}

/* ---- the two forms ---- */

static dyn_err version_read(struct config_loader *loader, const struct config_node *root)
{
    const struct config_field *field = &config_keys_root[0];
    struct config_value value;
    dyn_err err =
        config_value_read(loader, field, config_node_get(root, field->key), "file", &value);

    if (err == DYN_OK) {
        loader->version = value.as.i;
    }
    return err;
}

static bool in_table(const struct config_field *fields, const char *key)
{
    while (fields->key != NULL && strcmp(fields->key, key) != 0) {
        fields++;
    }
    return fields->key != NULL;
}

/* A key of the other form is no spelling mistake, so its message says where it belongs. */
static dyn_err form_check(struct config_loader *loader, const struct config_node *root)
{
    bool first = loader->version == 1;

    for (const struct config_node *node = root->first; node != NULL; node = node->next) {
        bool in_root = in_table(config_keys_root, node->key);
        bool in_app = in_table(config_keys_app, node->key);

        if (first && !in_app && (in_root || in_table(config_keys_app_only, node->key)) &&
            strcmp(node->key, "version") != 0) {
            return config_refuse_key(loader, node,
                                     "found a key of version 2, expected also "
                                     "\"version: 2\" in the file");
        }
        if (!first && in_app && !in_root) {
            return config_refuse_key(loader, node,
                                     "found a key of one app, expected it under apps: NAME:");
        }
    }
    return DYN_OK;
}

static dyn_err fleet_read(struct config_loader *loader, const struct config_node *root)
{
    const struct config_field *const tables[] = {config_keys_root};
    dyn_err err = config_keys_check(loader, root, tables, 1);

    if (err == DYN_OK) {
        err = config_map_get(loader, root, "defaults", &loader->defaults);
    }
    if (err == DYN_OK && loader->defaults != NULL) {
        err = config_policies_check(loader, loader->defaults);
    }
    if (err == DYN_OK) {
        err = config_plans_read(loader, root);
    }
    if (err == DYN_OK) {
        err = accounts_read(loader, root);
    }
    if (err == DYN_OK) {
        err = config_sinks_read(loader, root, SIZE_MAX);
    }
    if (err == DYN_OK) {
        err = apps_read(loader, root);
    }
    if (err == DYN_OK) {
        err = include_read(loader, root);
    }
    if (err == DYN_OK && loader->owned->config.apps_count == 0) {
        return config_refuse_at(loader->error, root->file, root->line, root->column, "apps",
                                "found no app, expected at least one");
    }
    return err;
}

static int compare_apps(const void *a, const void *b)
{
    const struct config_app *left = *(const struct config_app *const *)a;
    const struct config_app *right = *(const struct config_app *const *)b;
    int order = strcmp(left->name, right->name);

    return order != 0 ? order : (left > right) - (left < right);
}

static dyn_err apps_unique(struct config_loader *loader)
{
    struct config *config = &loader->owned->config;
    const struct config_app **sorted =
        config_arena_alloc(loader->arena, config->apps_count * sizeof(struct config_app *));

    for (size_t i = 0; i < config->apps_count; i++) {
        sorted[i] = &config->apps[i];
    }
    qsort(sorted, config->apps_count, sizeof(struct config_app *), compare_apps);
    for (size_t i = 1; i < config->apps_count; i++) {
        const struct config_origin *first = &sorted[i - 1]->origin;
        const struct config_origin *again = &sorted[i]->origin;

        if (strcmp(sorted[i - 1]->name, sorted[i]->name) == 0) {
            return config_refuse_at(
                loader->error, again->file, again->line, again->column, sorted[i]->name,
                "found the app again, expected it once (first at %s:%d)", first->file, first->line);
        }
    }
    return DYN_OK;
}

/* Errors must go somewhere; the original's default. */
static void console_add(struct config *config, struct config_arena *arena)
{
    struct config_sink *sink;

    for (size_t i = 0; i < config->sinks_count[CONFIG_ERRORS]; i++) {
        if (config->sinks[CONFIG_ERRORS][i].app == SIZE_MAX) {
            return;
        }
    }
    config->sinks[CONFIG_ERRORS] =
        config_arena_grow(arena, config->sinks[CONFIG_ERRORS], config->sinks_count[CONFIG_ERRORS],
                          sizeof(struct config_sink));
    sink = &config->sinks[CONFIG_ERRORS][config->sinks_count[CONFIG_ERRORS]++];
    *sink = (struct config_sink){.name = "console",
                                 .type = config_type_find(CONFIG_ERRORS, DYN_STR("console")),
                                 .origin = {.level = "built-in"},
                                 .app = SIZE_MAX};
}

static dyn_err root_read(struct config_loader *loader, const struct config_node *root)
{
    dyn_err err = version_read(loader, root);

    if (err == DYN_OK) {
        err = form_check(loader, root);
    }
    if (err == DYN_OK) {
        err = config_redis_read(loader, root);
    }
    if (err == DYN_OK) {
        err = api_url_read(loader, root);
    }
    if (err == DYN_OK) {
        err = loader->version == 1 ? config_app_read(loader, root, NULL) : fleet_read(loader, root);
    }
    if (err == DYN_OK) {
        err = apps_unique(loader);
    }
    return err;
}

/* ---- entries ---- */

static void warnings_finish(struct config_owned *owned)
{
    struct config *config = &owned->config;
    int64_t bytes = config_redis_bytes(config);

    if (bytes > config->redis.max_bytes) {
        owned->warnings_more += config->warnings_count >= CONFIG_WARNINGS_MAX;
        config->warnings = config_arena_grow(&owned->arena, config->warnings,
                                             config->warnings_count, sizeof(*config->warnings));
        config->warnings[config->warnings_count++] = config_arena_printf(
            &owned->arena, "%s: redis.max_bytes is %lld, the streams need about %lld", config->file,
            (long long)config->redis.max_bytes, (long long)bytes);
    }
    if (owned->warnings_more > 0) {
        config->warnings = config_arena_grow(&owned->arena, config->warnings,
                                             config->warnings_count, sizeof(*config->warnings));
        config->warnings[config->warnings_count++] = config_arena_printf(
            &owned->arena, "%s: and %zu further warnings", config->file, owned->warnings_more);
    }
}

static struct config *load(struct config_loader *loader, const char *name, struct dyn_str text)
{
    struct config_owned *owned = calloc(1, sizeof(*owned));
    struct config_tree tree;
    dyn_err err;

    if (owned == NULL) {
        (void)dyn_error_set(loader->error, DYN_NOMEM, "%s: out of memory", name);
        return NULL;
    }
    loader->owned = owned;
    loader->arena = &owned->arena;
    owned->config.file = config_arena_copy(&owned->arena, dyn_str_from(name));
    err = config_tree_parse(&tree, owned->config.file, text, loader->error);
    if (err == DYN_OK) {
        err = root_read(loader, tree.root);
    }
    config_tree_fini(&tree);
    if (err != DYN_OK) {
        config_free(&owned->config);
        return NULL;
    }
    console_add(&owned->config, &owned->arena);
    config_derive(&owned->config);
    warnings_finish(owned);
    return &owned->config;
}

struct config *config_load_text(const char *name, struct dyn_str text, struct dyn_error *error)
{
    struct config_loader loader = {.error = error};

    return load(&loader, name, text);
}

/* Where includes are looked for: the directory of the file itself, links followed. */
static bool directories_set(struct config_loader *loader, const char *path, char *real,
                            char *directory, char *shown)
{
    const char *slash = strrchr(path, '/');
    size_t len = slash != NULL ? (size_t)(slash - path) + 1 : 0;

    if (realpath(path, real) == NULL || len >= PATH_MAX) {
        return false;
    }
    memcpy(directory, real, strlen(real) + 1);
    memcpy(shown, path, len);
    shown[len] = '\0';
    loader->real_file = real;
    loader->directory = dirname(directory);
    loader->shown_directory = shown;
    return true;
}

static struct config *load_file(const char *path, bool lean, struct dyn_error *error)
{
    char real[PATH_MAX];
    char directory[PATH_MAX];
    char shown[PATH_MAX];
    struct config_loader loader = {.error = error, .lean = lean};
    struct config *config = NULL;
    struct dyn_buf text;

    if (!directories_set(&loader, path, real, directory, shown)) {
        (void)dyn_error_set(error, DYN_CONFIG, "%s: cannot be read: %s", path, strerror(errno));
        return NULL;
    }
    dyn_buf_init(&text, DYN_CONFIG_FILE_MAX);
    if (config_file_read(path, false, &text, error) == DYN_OK) {
        config = load(&loader, path, dyn_buf_str(&text));
    }
    if (config == NULL && error != NULL && error->text[0] == '\0') {
        (void)dyn_error_set(error, DYN_NOMEM, "%s: out of memory", path);
    }
    dyn_buf_wipe(&text);
    return config;
}

struct config *config_load(const char *path, struct dyn_error *error)
{
    return load_file(path, false, error);
}

struct config *config_load_lean(const char *path, struct dyn_error *error)
{
    return load_file(path, true, error);
}

void config_free(struct config *config)
{
    struct config_owned *owned = (struct config_owned *)config;

    if (owned != NULL) {
        config_arena_fini(&owned->arena);
        free(owned);
    }
}
