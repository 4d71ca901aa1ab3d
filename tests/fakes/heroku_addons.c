#include "heroku_api.h"

#include "heroku_catalog.h"

#include <string.h>

static json_t *addon_json(const struct call *call, const struct app *app, const struct addon *addon)
{
    return json_addon(call->world, app, addon, call->headers.expansion);
}

static void addon_missing(struct call *call)
{
    reply_error(call->reply, 404, "not_found", "Couldn't find that add-on.");
}

void addons_list(struct call *call, struct app *app)
{
    json_t *all = json_array();
    for (size_t i = 0; i < app->addon_count; i++) {
        json_array_append_new(all, addon_json(call, app, &app->addons[i]));
    }
    list_reply(call, all);
}

void addons_list_all(struct call *call)
{
    json_t *all = json_array();
    for (size_t a = 0; a < call->world->app_count; a++) {
        const struct app *app = call->world->apps[a];
        for (size_t i = 0; i < app->addon_count && app_visible(app, call->account); i++) {
            json_array_append_new(all, addon_json(call, app, &app->addons[i]));
        }
    }
    list_reply(call, all);
}

void addons_info(struct call *call, struct app *app)
{
    const struct addon *addon = app_addon(app, call->parts[3]);
    if (addon == NULL) {
        addon_missing(call);
        return;
    }
    reply_json(call->reply, 200, addon_json(call, app, addon));
}

void addons_info_any(struct call *call)
{
    for (size_t a = 0; a < call->world->app_count; a++) {
        const struct app *app = call->world->apps[a];
        const struct addon *addon = app_addon(app, call->parts[1]);
        if (addon != NULL && app_visible(app, call->account)) {
            reply_json(call->reply, 200, addon_json(call, app, addon));
            return;
        }
    }
    addon_missing(call);
}

static const struct plan *plan_asked(struct call *call, const struct addon *addon)
{
    const json_t *value = json_object_get(call->body, "plan");
    if (json_is_object(value)) {
        const json_t *name = json_object_get(value, "name");
        value = name != NULL ? name : json_object_get(value, "id");
    }
    const char *name = json_string_value(value);
    if (name == NULL) {
        reply_error(call->reply, 422, "invalid_params", "Require params: plan.");
        return NULL;
    }
    const struct plan *plan = plan_find(name);
    if (plan == NULL || strcmp(plan->service, addon->service) != 0) {
        reply_error(call->reply, 422, "invalid_params",
                    "Couldn't find either the add-on service or the add-on plan of \"%s\".", name);
        return NULL;
    }
    return plan;
}

void addons_update(struct call *call, struct app *app)
{
    static const char *const known[] = {"plan", NULL};
    struct addon *addon = app_addon(app, call->parts[3]);
    if (addon == NULL) {
        addon_missing(call);
        return;
    }
    const struct plan *plan =
        fields_known(call, call->body, known) ? plan_asked(call, addon) : NULL;
    if (plan == NULL) {
        return;
    }
    int64_t now = world_now_ms(call->world);
    if (strcmp(addon_state(addon, now), "provisioned") != 0) {
        record_violation(call->record, call->n, "plan_change_while_provisioning", "%s",
                         addon->name);
        reply_error(call->reply, 422, "invalid_params", "Add-on is still being provisioned.");
        return;
    }
    if (addon->plan_locked) {
        reply_error(call->reply, 422, "invalid_params", "This add-on does not allow plan changes.");
        return;
    }
    if (addon->next[0] != '\0') { /* what was late is done */
        word_copy(addon->plan, sizeof addon->plan, addon->next);
        addon->next[0] = '\0';
    }
    if (strcmp(addon->plan, plan->name) == 0) {
        record_violation(call->record, call->n, "equal_plan", "%s is %s already", addon->name,
                         plan->name);
    }
    if (!call->ignore) {
        const char *later = addon->failing ? addon->plan : plan->name;
        char *kept = addon->late || addon->failing ? addon->next : addon->plan;
        word_copy(kept, sizeof addon->plan, later);
        addon->updated_ms = wall_now_ms();
        addon->ready_ms = now + addon->provision_ms;
    }
    bool waiting = strcmp(addon_state(addon, now), "provisioned") != 0;
    reply_json(call->reply, waiting ? 202 : 200, addon_json(call, app, addon));
}

void addons_resolve(struct call *call)
{
    static const char *const known[] = {"addon", "app", "addon_service", NULL};
    if (!fields_known(call, call->body, known)) {
        return;
    }
    const char *name = json_string_value(json_object_get(call->body, "addon"));
    const char *app_name = json_string_value(json_object_get(call->body, "app"));
    const char *service = json_string_value(json_object_get(call->body, "addon_service"));
    if (name == NULL) {
        reply_error(call->reply, 422, "invalid_params", "Require params: addon.");
        return;
    }
    json_t *found = json_array();
    for (size_t a = 0; a < call->world->app_count; a++) {
        const struct app *app = call->world->apps[a];
        bool named =
            app_name == NULL || strcmp(app->name, app_name) == 0 || strcmp(app->id, app_name) == 0;
        for (size_t i = 0; named && i < app->addon_count && app_visible(app, call->account); i++) {
            const struct addon *addon = &app->addons[i];
            bool meant = strcmp(addon->name, name) == 0 || strcmp(addon->id, name) == 0 ||
                         strcmp(addon->service, name) == 0;
            if (meant && (service == NULL || strcmp(addon->service, service) == 0)) {
                json_array_append_new(found, addon_json(call, app, addon));
            }
        }
    }
    size_t count = json_array_size(found);
    if (count == 1) {
        reply_json(call->reply, 200, found);
        return;
    }
    json_decref(found);
    if (count == 0) {
        addon_missing(call);
    } else {
        reply_error(call->reply, 422, "multiple_matches",
                    "Ambiguous identifier; multiple matches.");
    }
}

void plans_list(struct call *call)
{
    json_t *all = json_array();
    for (size_t i = 0; i < PLAN_COUNT; i++) {
        char id[UUID_SIZE];
        uuid_of("service", PLANS[i].service, id);
        if (strcmp(PLANS[i].service, call->parts[1]) == 0 || strcmp(id, call->parts[1]) == 0) {
            json_array_append_new(all, json_plan(PLANS[i].name));
        }
    }
    if (json_array_size(all) == 0) {
        json_decref(all);
        reply_error(call->reply, 404, "not_found", "Couldn't find that add-on service.");
        return;
    }
    reply_json(call->reply, 200, all);
}

void plans_info(struct call *call, const char *name)
{
    const struct plan *plan = plan_find(name);
    if (plan == NULL) {
        reply_error(call->reply, 404, "not_found", "Couldn't find that plan.");
        return;
    }
    reply_json(call->reply, 200, json_plan(plan->name));
}
