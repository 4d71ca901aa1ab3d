#include "heroku_state.h"

#include "heroku_catalog.h"

#include <stdio.h>
#include <string.h>

static bool refuse(char error[WORDS_SIZE], const char *what, const char *about)
{
    snprintf(error, WORDS_SIZE, "%s: %.100s", what, about != NULL ? about : "(none)");
    return false;
}

bool keys_known(json_t *object, const char *const *known, char error[WORDS_SIZE])
{
    if (!json_is_object(object)) {
        return refuse(error, "not an object", NULL);
    }
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value)
    {
        size_t i = 0;
        while (known[i] != NULL && strcmp(known[i], key) != 0) {
            i++;
        }
        if (known[i] == NULL) {
            return refuse(error, "unknown key", key);
        }
    }
    return true;
}

static const char *text_at(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static bool int_at(const json_t *object, const char *key, int64_t *out, char error[WORDS_SIZE])
{
    const json_t *value = json_object_get(object, key);
    if (value == NULL) {
        return true;
    }
    if (!json_is_integer(value) || json_integer_value(value) < 0) {
        return refuse(error, "not a whole number", key);
    }
    *out = json_integer_value(value);
    return true;
}

/* ---- accounts ---- */

static bool key_merge(struct account *account, const json_t *value, const char *scope,
                      char error[WORDS_SIZE])
{
    const char *text = json_is_string(value) ? json_string_value(value) : text_at(value, "key");
    const char *own = json_is_object(value) ? text_at(value, "scope") : NULL;
    if (text == NULL || *text == '\0') {
        return refuse(error, "a key is a string or {key, scope}", account->email);
    }
    struct account_key *key = NULL;
    for (size_t i = 0; i < account->key_count; i++) {
        if (strcmp(account->keys[i].text, text) == 0) {
            key = &account->keys[i];
        }
    }
    if (key == NULL) {
        if (account->key_count == ACCOUNT_KEYS_MAX) {
            return refuse(error, "too many keys", account->email);
        }
        key = &account->keys[account->key_count++];
        word_copy(key->text, sizeof key->text, text);
    }
    word_copy(key->scope, sizeof key->scope, own != NULL ? own : scope);
    return true;
}

static bool account_keys_merge(struct account *account, const json_t *object,
                               char error[WORDS_SIZE])
{
    const char *scope = text_at(object, "scope");
    scope = scope != NULL ? scope : "global";
    const json_t *single = json_object_get(object, "key");
    if (single != NULL && !key_merge(account, single, scope, error)) {
        return false;
    }
    const json_t *keys = json_object_get(object, "keys");
    if (keys == NULL) {
        return true;
    }
    account->key_count = 0;
    for (size_t i = 0; i < json_array_size(keys); i++) {
        if (!key_merge(account, json_array_get(keys, i), scope, error)) {
            return false;
        }
    }
    return true;
}

static bool account_merge(struct world *world, json_t *object, char error[WORDS_SIZE])
{
    static const char *const known[] = {"email",    "id",        "key",        "keys", "scope",
                                        "capacity", "remaining", "per_minute", NULL};
    const char *email = text_at(object, "email");
    if (!keys_known(object, known, error)) {
        return false;
    }
    if (email == NULL) {
        return refuse(error, "an account needs an email", NULL);
    }
    struct account *account = world_account(world, email);
    if (account == NULL) {
        account = world_account_add(world, email);
    }
    if (text_at(object, "id") != NULL) {
        word_copy(account->id, sizeof account->id, text_at(object, "id"));
    }
    int64_t remaining = -1;
    int64_t capacity = -1;
    if (!int_at(object, "remaining", &remaining, error) ||
        !int_at(object, "capacity", &capacity, error)) {
        return false;
    }
    if (capacity >= 0) {
        account->capacity = (double)capacity;
        account->tokens = account->capacity;
    }
    if (json_is_number(json_object_get(object, "per_minute"))) {
        account_remaining(account, world_now_ms(world));
        account->per_minute = json_number_value(json_object_get(object, "per_minute"));
    }
    if (remaining >= 0) {
        account->tokens = (double)remaining;
        account->refilled_ms = world_now_ms(world);
    }
    return account_keys_merge(account, object, error);
}

/* ---- apps ---- */

static bool formation_merge(struct world *world, struct app *app, const char *type,
                            const json_t *value, char error[WORDS_SIZE])
{
    struct formation *formation = app_formation(app, type);
    if (json_is_null(value)) {
        if (formation != NULL) {
            app_formation_remove(app, formation);
        }
        return true;
    }
    const json_t *quantity = json_is_object(value) ? json_object_get(value, "quantity") : value;
    const char *size = json_is_object(value) ? text_at(value, "size") : NULL;
    if (quantity != NULL && (!json_is_integer(quantity) || json_integer_value(quantity) < 0 ||
                             json_integer_value(quantity) > QUANTITY_MAX)) {
        return refuse(error, "formation: not a quantity", type);
    }
    if (size != NULL && dyno_size_find(size) == NULL) {
        return refuse(error, "formation: no such size", size);
    }
    /* What an app has when it is made was up long before. */
    int64_t now = world_now_ms(world);
    if (formation == NULL) {
        formation = app_formation_add(app, type);
        now -= world->boot_ms;
    }
    if (size != NULL) {
        word_copy(formation->size, sizeof formation->size, dyno_size_find(size)->name);
    }
    if (quantity != NULL) {
        formation_set(app, formation, (int)json_integer_value(quantity), now);
    }
    return true;
}

static bool addon_merge(struct app *app, json_t *object, char error[WORDS_SIZE])
{
    static const char *const known[] = {"name",    "service",      "plan", "plan_locked", "late",
                                        "failing", "provision_ms", "id",   "state",       NULL};
    if (!keys_known(object, known, error)) {
        return false;
    }
    const char *plan = text_at(object, "plan");
    const char *name = text_at(object, "name");
    if (name == NULL || (plan != NULL && plan_find(plan) == NULL)) {
        return refuse(error, "an add-on needs a name and a known plan", plan);
    }
    struct addon *addon = app_addon(app, name);
    if (addon == NULL) {
        if (plan == NULL) {
            return refuse(error, "a new add-on needs a plan", name);
        }
        addon = app_addon_add(app, name);
    }
    if (plan != NULL) {
        word_copy(addon->plan, sizeof addon->plan, plan_find(plan)->name);
        word_copy(addon->service, sizeof addon->service, plan_find(plan)->service);
        addon->next[0] = '\0';
        addon->updated_ms = wall_now_ms();
    }
    const struct {
        const char *key;
        bool *value;
    } flags[] = {
        {"plan_locked", &addon->plan_locked}, {"late", &addon->late}, {"failing", &addon->failing}};
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        const json_t *value = json_object_get(object, flags[i].key);
        *flags[i].value = value != NULL ? json_is_true(value) : *flags[i].value;
    }
    return int_at(object, "provision_ms", &addon->provision_ms, error);
}

static bool app_parts_merge(struct world *world, struct app *app, const json_t *object,
                            char error[WORDS_SIZE])
{
    const char *type;
    json_t *value;
    json_object_foreach(json_object_get(object, "formation"), type, value)
    {
        if (!formation_merge(world, app, type, value, error)) {
            return false;
        }
    }
    const json_t *addons = json_object_get(object, "addons");
    for (size_t i = 0; i < json_array_size(addons); i++) {
        if (!addon_merge(app, json_array_get(addons, i), error)) {
            return false;
        }
    }
    const json_t *collaborators = json_object_get(object, "collaborators");
    if (collaborators != NULL) {
        app->collaborator_count = 0;
    }
    for (size_t i = 0; i < json_array_size(collaborators); i++) {
        const char *name = json_string_value(json_array_get(collaborators, i));
        const struct account *account = name != NULL ? world_account(world, name) : NULL;
        if (account == NULL || app->collaborator_count == APP_COLLABORATORS_MAX) {
            return refuse(error, "collaborators: no such account, or too many", name);
        }
        word_copy(app->collaborators[app->collaborator_count++], UUID_SIZE, account->id);
    }
    return true;
}

static bool app_fields_merge(struct app *app, const json_t *object, char error[WORDS_SIZE])
{
    int64_t limit = app->limit;
    int64_t size_limit = app->size_limit;
    if (!int_at(object, "limit", &limit, error) ||
        !int_at(object, "size_limit", &size_limit, error)) {
        return false;
    }
    if (limit > QUANTITY_MAX || size_limit > QUANTITY_MAX) {
        return refuse(error, "limit too large", app->name);
    }
    app->limit = (int)limit;
    app->size_limit = (int)size_limit;
    if (text_at(object, "id") != NULL) {
        word_copy(app->id, sizeof app->id, text_at(object, "id"));
    }
    if (json_object_get(object, "maintenance") != NULL) {
        app->maintenance = json_is_true(json_object_get(object, "maintenance"));
    }
    if (json_object_get(object, "monitors") != NULL) {
        json_decref(app->monitors);
        app->monitors = json_deep_copy(json_object_get(object, "monitors"));
    }
    return true;
}

static bool app_merge(struct world *world, json_t *object, char error[WORDS_SIZE])
{
    static const char *const known[] = {
        "name",        "id",    "owner",  "collaborators", "formation",  "addons", "monitors",
        "maintenance", "limit", "delete", "dynos",         "size_limit", NULL};
    const char *name = text_at(object, "name");
    const char *owner_name = text_at(object, "owner");
    if (!keys_known(object, known, error)) {
        return false;
    }
    if (name == NULL) {
        return refuse(error, "an app needs a name", NULL);
    }
    const struct account *owner = owner_name != NULL ? world_account(world, owner_name) : NULL;
    if (owner_name != NULL && owner == NULL) {
        return refuse(error, "owner: no such account", owner_name);
    }
    struct app *app = world_app(world, name);
    if (json_is_true(json_object_get(object, "delete"))) {
        if (app == NULL) {
            return refuse(error, "no such app", name);
        }
        world_app_remove(world, app);
        return true;
    }
    if (app == NULL) {
        if (owner == NULL) {
            return refuse(error, "no such app, and no owner to make it for", name);
        }
        app = world_app_add(world, name, owner);
    }
    if (owner != NULL) {
        word_copy(app->owner, sizeof app->owner, owner->id);
    }
    return app_fields_merge(app, object, error) && app_parts_merge(world, app, object, error);
}

bool state_merge(struct world *world, json_t *document, char error[WORDS_SIZE])
{
    static const char *const known[] = {"accounts", "apps", NULL};
    if (!keys_known(document, known, error)) {
        return false;
    }
    const json_t *accounts = json_object_get(document, "accounts");
    for (size_t i = 0; i < json_array_size(accounts); i++) {
        if (!account_merge(world, json_array_get(accounts, i), error)) {
            return false;
        }
    }
    const json_t *apps = json_object_get(document, "apps");
    for (size_t i = 0; i < json_array_size(apps); i++) {
        if (!app_merge(world, json_array_get(apps, i), error)) {
            return false;
        }
    }
    return true;
}

/* ---- out ---- */

static json_t *account_dump(struct account *account, int64_t now)
{
    json_t *keys = json_array();
    for (size_t i = 0; i < account->key_count; i++) {
        json_array_append_new(keys, json_pack("{s:s, s:s}", "key", account->keys[i].text, "scope",
                                              account->keys[i].scope));
    }
    return json_pack("{s:s, s:s, s:o, s:i, s:i, s:f}", "email", account->email, "id", account->id,
                     "keys", keys, "remaining", account_remaining(account, now), "capacity",
                     (int)account->capacity, "per_minute", account->per_minute);
}

static json_t *app_dump(const struct world *world, const struct app *app)
{
    int64_t now = world_now_ms(world);
    json_t *formation = json_object();
    int up = 0;
    int starting = 0;
    for (size_t i = 0; i < app->formation_count; i++) {
        const struct formation *f = &app->formations[i];
        json_object_set_new(formation, f->type,
                            json_pack("{s:i, s:s}", "quantity", f->quantity, "size", f->size));
        for (int d = 0; d < f->quantity; d++) {
            bool booted = now - f->started_ms[d] >= world->boot_ms;
            up += booted ? 1 : 0;
            starting += booted ? 0 : 1;
        }
    }
    json_t *addons = json_array();
    for (size_t i = 0; i < app->addon_count; i++) {
        const struct addon *a = &app->addons[i];
        json_array_append_new(addons,
                              json_pack("{s:s, s:s, s:s, s:s, s:b, s:I}", "name", a->name,
                                        "service", a->service, "plan", addon_plan(a, now), "state",
                                        addon_state(a, now), "plan_locked", a->plan_locked,
                                        "provision_ms", (json_int_t)a->provision_ms));
    }
    json_t *collaborators = json_array();
    for (size_t i = 0; i < app->collaborator_count; i++) {
        json_array_append_new(collaborators, json_string(app->collaborators[i]));
    }
    return json_pack("{s:s, s:s, s:s, s:o, s:b, s:i, s:i, s:o, s:o, s:{s:i, s:i}}", "name",
                     app->name, "id", app->id, "owner", app->owner, "collaborators", collaborators,
                     "maintenance", app->maintenance, "limit", app->limit, "size_limit",
                     app->size_limit, "formation", formation, "addons", addons, "dynos", "up", up,
                     "starting", starting);
}

json_t *state_dump(const struct world *world)
{
    json_t *accounts = json_array();
    for (size_t i = 0; i < world->account_count; i++) {
        json_array_append_new(accounts, account_dump(world->accounts[i], world_now_ms(world)));
    }
    json_t *apps = json_array();
    for (size_t i = 0; i < world->app_count; i++) {
        json_array_append_new(apps, app_dump(world, world->apps[i]));
    }
    return json_pack("{s:o, s:o}", "accounts", accounts, "apps", apps);
}
