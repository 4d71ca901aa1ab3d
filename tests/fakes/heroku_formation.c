#include "heroku_api.h"

#include "heroku_catalog.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UPDATES_MAX 64
#define APP_LIMIT_CEDAR 100
#define APP_LIMIT_FIR 255

/* One wished change, checked against the world before any is made. */
struct change {
    struct formation *formation;
    int quantity;
    const char *size;
    bool absolute;
};

struct changes {
    struct change items[UPDATES_MAX];
    size_t count;
};

static void type_missing(struct call *call, const char *type)
{
    reply_error(call->reply, 404, "not_found", "Couldn't find that process type (%s).", type);
}

void formation_list(struct call *call, struct app *app)
{
    json_t *all = json_array();
    for (size_t i = 0; i < app->formation_count; i++) {
        json_array_append_new(all, json_formation(app, &app->formations[i]));
    }
    reply_json(call->reply, 200, all);
}

void formation_info(struct call *call, struct app *app)
{
    const struct formation *formation = app_formation(app, call->parts[3]);
    if (formation == NULL) {
        type_missing(call, call->parts[3]);
        return;
    }
    reply_json(call->reply, 200, json_formation(app, formation));
}

void formation_dynos(struct call *call, struct app *app)
{
    reply_json(call->reply, 200, json_dynos(call->world, app));
}

/* ---- reading the wish ---- */

/* Integers, decimal strings, and signed strings that are relative to what is there. */
static bool quantity_parse(const json_t *value, struct change *change)
{
    long long number = 0;
    bool relative = false;
    if (json_is_integer(value)) {
        number = json_integer_value(value);
    } else if (json_is_string(value)) {
        const char *text = json_string_value(value);
        size_t sign = text[0] == '+' || text[0] == '-' ? 1 : 0;
        size_t digits = strspn(text + sign, "0123456789");
        if (digits == 0 || digits > 9 || text[sign + digits] != '\0') {
            return false;
        }
        relative = sign == 1;
        number = strtoll(text, NULL, 10);
    } else {
        return false;
    }
    number += relative ? change->formation->quantity : 0;
    if (number < 0 || number > INT_MAX) {
        return false;
    }
    change->quantity = (int)number;
    change->absolute = !relative;
    return true;
}

/* `dyno_size` as an object with id or name, or as a string; `size` is its old spelling. */
static bool size_parse(struct call *call, const json_t *wish, struct change *change)
{
    const json_t *value = json_object_get(wish, "dyno_size");
    value = value != NULL ? value : json_object_get(wish, "size");
    if (value == NULL) {
        return true;
    }
    if (json_is_object(value)) {
        const json_t *name = json_object_get(value, "name");
        value = name != NULL ? name : json_object_get(value, "id");
    }
    const char *name = json_string_value(value);
    const struct dyno_size *size = name != NULL ? dyno_size_find(name) : NULL;
    if (size == NULL) {
        reply_error(call->reply, 422, "invalid_params", "No such size as %s.",
                    name != NULL ? name : "that");
        return false;
    }
    change->size = size->name;
    return true;
}

static void wish_judge(struct call *call, const struct app *app, const struct change *change)
{
    const struct formation *formation = change->formation;
    if (!change->absolute) {
        record_violation(call->record, call->n, "relative_quantity", "%s of %s", formation->type,
                         app->name);
    } else if (change->quantity == formation->quantity &&
               (change->size == NULL || strcmp(change->size, formation->size) == 0)) {
        record_violation(call->record, call->n, "equal_quantity", "%s of %s is %d already",
                         formation->type, app->name, change->quantity);
    }
    if (change->absolute && change->quantity == formation->refused) {
        record_violation(call->record, call->n, "repeated_above_limit",
                         "%s of %s: %d was refused before, and nothing changed since",
                         formation->type, app->name, change->quantity);
    }
}

static bool wish_read(struct call *call, struct app *app, const json_t *wish, const char *type,
                      struct changes *changes)
{
    struct formation *formation = app_formation(app, type);
    if (formation == NULL) {
        type_missing(call, type);
        return false;
    }
    struct change *change = &changes->items[changes->count++];
    *change = (struct change){.formation = formation, .quantity = formation->quantity};
    const json_t *quantity = json_object_get(wish, "quantity");
    if (quantity != NULL && !quantity_parse(quantity, change)) {
        reply_error(call->reply, 422, "invalid_params", "Invalid quantity.");
        return false;
    }
    if (!size_parse(call, wish, change)) {
        return false;
    }
    if (quantity == NULL && change->size == NULL) {
        reply_error(call->reply, 422, "invalid_params", "Require params: quantity or size.");
        return false;
    }
    if (quantity != NULL) {
        wish_judge(call, app, change);
    }
    return true;
}

/* ---- limits ---- */

static void above_limit(struct call *call, const struct changes *changes, const char *id, int limit,
                        const char *size)
{
    if (size != NULL) {
        reply_error(call->reply, 422, id, "Cannot run more than %d %s size dynos.", limit, size);
        json_object_set_new(call->reply->body, "size", json_string(size));
    } else {
        reply_error(call->reply, 422, id, "Cannot update to more than %d dynos per app.", limit);
    }
    json_object_set_new(call->reply->body, "limit", json_integer(limit));
    for (size_t i = 0; i < changes->count; i++) {
        changes->items[i].formation->refused = changes->items[i].quantity;
    }
}

/* What a process type will be when the changes are made. */
static struct change after_changes(struct formation *formation, const struct changes *changes)
{
    struct change after = {
        .formation = formation, .quantity = formation->quantity, .size = formation->size};
    for (size_t i = 0; i < changes->count; i++) {
        if (changes->items[i].formation == formation) {
            after.quantity = changes->items[i].quantity;
            after.size = changes->items[i].size != NULL ? changes->items[i].size : after.size;
        }
    }
    return after;
}

static bool size_limits_hold(struct call *call, const struct app *app,
                             const struct changes *changes, const struct change *after)
{
    const struct dyno_size *size = dyno_size_find(after->size);
    int limit = size->per_type;
    if (size->raisable && app->size_limit > 0) {
        limit = app->size_limit;
    }
    if (limit > 0 && after->quantity > limit) {
        above_limit(call, changes, "cannot_run_above_limit", limit, size->name);
        return false;
    }
    long total = 0;
    for (size_t i = 0; i < app->formation_count && size->per_app > 0; i++) {
        struct change other = after_changes(&app->formations[i], changes);
        total += dyno_size_find(other.size) == size ? other.quantity : 0;
    }
    if (size->per_app > 0 && total > size->per_app) {
        above_limit(call, changes, "cannot_run_above_limit", size->per_app, size->name);
        return false;
    }
    return true;
}

/* Only what is asked to grow is held against the limits: lowering is always allowed. */
static bool limits_hold(struct call *call, const struct app *app, const struct changes *changes)
{
    long total = 0;
    bool fir = false;
    bool grows = false;
    for (size_t i = 0; i < app->formation_count; i++) {
        struct change after = after_changes(&app->formations[i], changes);
        total += after.quantity;
        fir = fir || dyno_size_find(after.size)->fir;
        bool larger = after.quantity > app->formations[i].quantity ||
                      strcmp(after.size, app->formations[i].size) != 0;
        grows = grows || after.quantity > app->formations[i].quantity;
        if (larger && !size_limits_hold(call, app, changes, &after)) {
            return false;
        }
    }
    int limit = fir ? APP_LIMIT_FIR : APP_LIMIT_CEDAR;
    limit = app->limit > 0 ? app->limit : limit;
    if (grows && total > limit) {
        above_limit(call, changes, "cannot_update_above_limit", limit, NULL);
        return false;
    }
    return true;
}

static void changes_apply(struct call *call, struct app *app, const struct changes *changes)
{
    if (call->ignore) {
        return;
    }
    for (size_t i = 0; i < changes->count; i++) {
        const struct change *change = &changes->items[i];
        if (change->size != NULL) {
            word_copy(change->formation->size, sizeof change->formation->size, change->size);
            change->formation->updated_ms = wall_now_ms();
        }
        formation_set(app, change->formation, change->quantity, world_now_ms(call->world));
    }
}

/* ---- the two updates ---- */

void formation_update_one(struct call *call, struct app *app)
{
    static const char *const known[] = {"quantity", "dyno_size", "size", NULL};
    struct changes changes = {.count = 0};
    if (!fields_known(call, call->body, known) ||
        !wish_read(call, app, call->body, call->parts[3], &changes) ||
        !limits_hold(call, app, &changes)) {
        return;
    }
    changes_apply(call, app, &changes);
    reply_json(call->reply, 200, json_formation(app, changes.items[0].formation));
}

static bool updates_read(struct call *call, struct app *app, struct changes *changes)
{
    static const char *const known[] = {"updates", NULL};
    static const char *const known_inside[] = {"type", "quantity", "dyno_size", "size", NULL};
    const json_t *updates = json_object_get(call->body, "updates");
    if (!fields_known(call, call->body, known)) {
        return false;
    }
    if (!json_is_array(updates) || json_array_size(updates) > UPDATES_MAX) {
        reply_error(call->reply, 422, "invalid_params", "Require params: updates.");
        return false;
    }
    for (size_t i = 0; i < json_array_size(updates); i++) {
        json_t *wish = json_array_get(updates, i);
        if (!fields_known(call, wish, known_inside)) {
            return false;
        }
        const char *type = json_string_value(json_object_get(wish, "type"));
        if (type == NULL) {
            reply_error(call->reply, 422, "invalid_params", "Require params: type.");
            return false;
        }
        if (!wish_read(call, app, wish, type, changes)) {
            return false;
        }
    }
    return true;
}

void formation_update_batch(struct call *call, struct app *app)
{
    struct changes changes = {.count = 0};
    if (!updates_read(call, app, &changes) || !limits_hold(call, app, &changes)) {
        return;
    }
    changes_apply(call, app, &changes);
    json_t *changed = json_array();
    for (size_t i = 0; i < changes.count; i++) {
        json_array_append_new(changed, json_formation(app, changes.items[i].formation));
    }
    reply_json(call->reply, 200, changed);
}
