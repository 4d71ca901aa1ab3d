#include "heroku_api.h"

#include "heroku_catalog.h"

#include <stdio.h>
#include <string.h>

static json_t *json_time(int64_t wall_ms)
{
    char text[TIME_SIZE];
    time_text(wall_ms, text);
    return json_string(text);
}

/* {id, name} of something that has no more to it. */
static json_t *json_named(const char *kind, const char *name)
{
    char id[UUID_SIZE];
    uuid_of(kind, name, id);
    return json_pack("{s:s, s:s}", "id", id, "name", name);
}

json_t *json_account(const struct account *account)
{
    return json_pack("{s:s, s:s, s:n, s:b, s:b, s:s, s:b, s:n, s:s, s:s, s:b, s:b, s:n}", "id",
                     account->id, "email", account->email, "name", "allow_tracking", 1, "beta", 0,
                     "created_at", "2012-01-01T12:00:00Z", "federated", 0, "identity_provider",
                     "last_login", "2012-01-01T12:00:00Z", "updated_at", "2012-01-01T12:00:00Z",
                     "two_factor_authentication", 1, "verified", 1, "default_team");
}

json_t *json_app(const struct world *world, const struct app *app)
{
    const struct account *owner = world_account(world, app->owner);
    char git_url[WORDS_SIZE];
    char web_url[WORDS_SIZE];
    snprintf(git_url, sizeof git_url, "https://git.heroku.com/%s.git", app->name);
    snprintf(web_url, sizeof web_url, "https://%s.herokuapp.com/", app->name);
    json_t *object = json_pack(
        "{s:b, s:n, s:s, s:o, s:o, s:o, s:s, s:s, s:b, s:b, s:s}", "acm", 0, "archived_at",
        "buildpack_provided_description", "Ruby/Rack", "build_stack",
        json_named("stack", "heroku-24"), "created_at", json_time(app->created_ms), "generation",
        json_named("generation", "cedar"), "git_url", git_url, "id", app->id, "internal_routing", 0,
        "maintenance", app->maintenance, "name", app->name);
    json_t *rest = json_pack(
        "{s:{s:s, s:s}, s:n, s:n, s:o, s:o, s:i, s:i, s:n, s:o, s:o, s:s}", "owner", "email",
        owner != NULL ? owner->email : "nobody@example.com", "id", app->owner, "organization",
        "team", "region", json_named("region", "us"), "released_at", json_time(app->created_ms),
        "repo_size", 0, "slug_size", 0, "space", "stack", json_named("stack", "heroku-24"),
        "updated_at", json_time(app->updated_ms), "web_url", web_url);
    json_object_update(object, rest);
    json_decref(rest);
    return object;
}

json_t *json_formation(const struct app *app, const struct formation *formation)
{
    char command[WORDS_SIZE];
    snprintf(command, sizeof command, "bundle exec %s", formation->type);
    return json_pack("{s:{s:s, s:s}, s:s, s:o, s:o, s:s, s:i, s:s, s:s, s:o}", "app", "id", app->id,
                     "name", app->name, "command", command, "created_at",
                     json_time(formation->created_ms), "dyno_size",
                     json_named("size", formation->size), "id", formation->id, "quantity",
                     formation->quantity, "size", formation->size, "type", formation->type,
                     "updated_at", json_time(formation->updated_ms));
}

static json_t *json_dyno(const struct world *world, const struct app *app,
                         const struct formation *formation, int at)
{
    char name[WORDS_SIZE];
    char id[UUID_SIZE];
    char key[2 * WORDS_SIZE];
    char release[UUID_SIZE];
    int64_t age_ms = world_now_ms(world) - formation->started_ms[at];
    snprintf(name, sizeof name, "%s.%d", formation->type, at + 1);
    snprintf(key, sizeof key, "%s %s %lld", app->name, name, (long long)formation->started_ms[at]);
    uuid_of("dyno", key, id);
    uuid_of("release", app->name, release);
    return json_pack("{s:n, s:s, s:o, s:s, s:s, s:{s:s, s:i}, s:{s:s, s:s}, s:s, s:s, s:s, s:o}",
                     "attach_url", "command", "bundle exec", "created_at",
                     json_time(wall_now_ms() - age_ms), "id", id, "name", name, "release", "id",
                     release, "version", 1, "app", "id", app->id, "name", app->name, "size",
                     formation->size, "state", age_ms < world->boot_ms ? "starting" : "up", "type",
                     formation->type, "updated_at", json_time(wall_now_ms() - age_ms));
}

json_t *json_dynos(const struct world *world, const struct app *app)
{
    json_t *all = json_array();
    for (size_t i = 0; i < app->formation_count; i++) {
        for (int d = 0; d < app->formations[i].quantity; d++) {
            json_array_append_new(all, json_dyno(world, app, &app->formations[i], d));
        }
    }
    return all;
}

json_t *json_plan(const char *name)
{
    const struct plan *plan = plan_find(name);
    if (plan == NULL) {
        return json_named("plan", name);
    }
    const char *human = strchr(plan->name, ':') + 1;
    json_t *object = json_named("plan", plan->name);
    json_t *rest =
        json_pack("{s:o, s:n, s:s, s:b, s:s, s:s, s:b, s:b, s:{s:i, s:b, s:s}, s:b, s:s, s:s, s:b}",
                  "addon_service", json_named("service", plan->service), "compliance", "created_at",
                  "2012-01-01T12:00:00Z", "default", plan->cents == 0, "description", plan->name,
                  "human_name", human, "installable_inside_private_network", 0,
                  "installable_outside_private_network", 1, "price", "cents", plan->cents,
                  "contract", 0, "unit", "month", "space_default", 0, "state", "public",
                  "updated_at", "2012-01-01T12:00:00Z", "visible", 1);
    json_object_update(object, rest);
    json_decref(rest);
    return object;
}

json_t *json_addon(const struct world *world, const struct app *app, const struct addon *addon,
                   const char *expansion)
{
    bool expanded = expansion != NULL && strstr(expansion, "plan") != NULL;
    const char *name = addon_plan(addon, world_now_ms(world));
    const struct plan *plan = plan_find(name);
    json_t *object = json_pack(
        "{s:[], s:o, s:{s:s, s:s, s:s}, s:{s:s, s:s}, s:{s:i, s:b, s:s}, s:[], s:o}", "actions",
        "addon_service", json_named("service", addon->service), "billing_entity", "id", app->id,
        "name", app->name, "type", "app", "app", "id", app->id, "name", app->name, "billed_price",
        "cents", plan != NULL ? plan->cents : 0, "contract", 0, "unit", "month", "config_vars",
        "created_at", json_time(addon->created_ms));
    json_t *rest =
        json_pack("{s:s, s:s, s:o, s:s, s:s, s:o, s:n}", "id", addon->id, "name", addon->name,
                  "plan", expanded ? json_plan(name) : json_named("plan", name), "provider_id",
                  "abcd1234", "state", addon_state(addon, world_now_ms(world)), "updated_at",
                  json_time(addon->updated_ms), "web_url");
    json_object_update(object, rest);
    json_decref(rest);
    return object;
}

json_t *json_dyno_sizes(void)
{
    json_t *all = json_array();
    for (size_t i = 0; i < DYNO_SIZE_COUNT; i++) {
        const struct dyno_size *size = &DYNO_SIZES[i];
        json_t *object = json_named("size", size->name);
        json_t *rest = json_pack(
            "{s:s, s:i, s:{s:i, s:s}, s:b, s:o, s:f, s:f, s:b}", "architecture", "amd64", "compute",
            1, "cost", "cents", size->cents, "unit", "month", "dedicated", size->raisable,
            "generation", json_named("generation", size->fir ? "fir" : "cedar"), "memory",
            size->memory, "precise_dyno_units", size->memory, "private_space_only", 0);
        json_object_update(object, rest);
        json_decref(rest);
        json_array_append_new(all, object);
    }
    return all;
}
