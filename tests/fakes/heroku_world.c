#include "heroku_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define POOL_CAPACITY 4500.0
#define POOL_PER_MINUTE 75.0

/* A test program has no better answer to an empty memory than to end. */
static void *grown(void *old, size_t count, size_t size)
{
    void *memory = reallocarray(old, count, size);
    if (memory == NULL) {
        fputs("fake-heroku: out of memory\n", stderr);
        abort();
    }
    return memory;
}

static void *zeroed(size_t size)
{
    void *memory = grown(NULL, 1, size);
    memset(memory, 0, size);
    return memory;
}

static int64_t clock_ms(clockid_t id)
{
    struct timespec now;
    clock_gettime(id, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t world_now_ms(const struct world *world)
{
    return clock_ms(CLOCK_MONOTONIC) + world->clock_skew_ms;
}

int64_t wall_now_ms(void)
{
    return clock_ms(CLOCK_REALTIME);
}

static uint64_t text_hash(const char *kind, const char *text, uint64_t hash)
{
    for (const char *p = kind; *p != '\0'; p++) {
        hash = (hash ^ (uint8_t)*p) * 1099511628211U;
    }
    for (const char *p = text; *p != '\0'; p++) {
        hash = (hash ^ (uint8_t)*p) * 1099511628211U;
    }
    hash ^= hash >> 29;
    return hash * 0x9E3779B97F4A7C15U;
}

void uuid_of(const char *kind, const char *name, char out[UUID_SIZE])
{
    uint64_t high = text_hash(kind, name, 14695981039346656037U);
    uint64_t low = text_hash(name, kind, 0x5851F42D4C957F2DU);
    snprintf(out, UUID_SIZE, "%08x-%04x-4%03x-8%03x-%04x%08x", (unsigned)(high >> 32),
             (unsigned)(high >> 16 & 0xFFFF), (unsigned)(high & 0xFFF),
             (unsigned)(low >> 48 & 0xFFF), (unsigned)(low >> 32 & 0xFFFF),
             (unsigned)(low & 0xFFFFFFFF));
}

void time_text(int64_t wall_ms, char out[TIME_SIZE])
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm parts;
    gmtime_r(&seconds, &parts);
    strftime(out, TIME_SIZE, "%Y-%m-%dT%H:%M:%SZ", &parts);
}

void word_copy(char *out, size_t size, const char *text)
{
    snprintf(out, size, "%s", text);
}

/* ---- accounts ---- */

struct account *world_account(const struct world *world, const char *name)
{
    for (size_t i = 0; i < world->account_count; i++) {
        struct account *account = world->accounts[i];
        if (strcmp(account->id, name) == 0 || strcmp(account->email, name) == 0) {
            return account;
        }
    }
    return NULL;
}

struct account *world_account_add(struct world *world, const char *email)
{
    struct account *account = zeroed(sizeof *account);
    word_copy(account->email, sizeof account->email, email);
    uuid_of("account", email, account->id);
    account->capacity = POOL_CAPACITY;
    account->per_minute = POOL_PER_MINUTE;
    account->tokens = account->capacity;
    account->refilled_ms = world_now_ms(world);
    world->accounts = grown(world->accounts, world->account_count + 1, sizeof(struct account *));
    world->accounts[world->account_count++] = account;
    return account;
}

struct account *world_account_by_key(const struct world *world, const char *key,
                                     const char **out_scope)
{
    for (size_t i = 0; i < world->account_count; i++) {
        struct account *account = world->accounts[i];
        for (size_t k = 0; k < account->key_count; k++) {
            if (strcmp(account->keys[k].text, key) == 0) {
                *out_scope = account->keys[k].scope;
                return account;
            }
        }
    }
    return NULL;
}

static void account_refill(struct account *account, int64_t now_ms)
{
    double gained = (double)(now_ms - account->refilled_ms) * account->per_minute / 60000.0;
    account->refilled_ms = now_ms;
    account->tokens += gained;
    if (account->tokens > account->capacity) {
        account->tokens = account->capacity;
    }
}

bool account_take(struct account *account, double cost, int64_t now_ms)
{
    account_refill(account, now_ms);
    if (account->tokens < cost) {
        return false;
    }
    account->tokens -= cost;
    return true;
}

int account_remaining(struct account *account, int64_t now_ms)
{
    account_refill(account, now_ms);
    return (int)account->tokens;
}

/* ---- apps ---- */

struct app *world_app(const struct world *world, const char *name)
{
    for (size_t i = 0; i < world->app_count; i++) {
        struct app *app = world->apps[i];
        if (strcmp(app->name, name) == 0 || strcmp(app->id, name) == 0) {
            return app;
        }
    }
    return NULL;
}

struct app *world_app_add(struct world *world, const char *name, const struct account *owner)
{
    struct app *app = zeroed(sizeof *app);
    word_copy(app->name, sizeof app->name, name);
    uuid_of("app", name, app->id);
    word_copy(app->owner, sizeof app->owner, owner->id);
    app->created_ms = wall_now_ms();
    app->updated_ms = app->created_ms;
    world->apps = grown(world->apps, world->app_count + 1, sizeof(struct app *));
    world->apps[world->app_count++] = app;
    return app;
}

static void app_free(struct app *app)
{
    for (size_t i = 0; i < app->formation_count; i++) {
        free(app->formations[i].started_ms);
    }
    free(app->formations);
    free(app->addons);
    json_decref(app->monitors);
    free(app);
}

void world_app_remove(struct world *world, struct app *app)
{
    for (size_t i = 0; i < world->app_count; i++) {
        if (world->apps[i] == app) {
            memmove(&world->apps[i], &world->apps[i + 1],
                    (world->app_count - i - 1) * sizeof(struct app *));
            world->app_count--;
            app_free(app);
            return;
        }
    }
}

bool app_visible(const struct app *app, const struct account *account)
{
    if (strcmp(app->owner, account->id) == 0) {
        return true;
    }
    for (size_t i = 0; i < app->collaborator_count; i++) {
        if (strcmp(app->collaborators[i], account->id) == 0) {
            return true;
        }
    }
    return false;
}

void world_fini(struct world *world)
{
    for (size_t i = 0; i < world->app_count; i++) {
        app_free(world->apps[i]);
    }
    for (size_t i = 0; i < world->account_count; i++) {
        free(world->accounts[i]);
    }
    free(world->apps);
    free(world->accounts);
    memset(world, 0, sizeof *world);
}

/* ---- process types ---- */

struct formation *app_formation(const struct app *app, const char *type)
{
    for (size_t i = 0; i < app->formation_count; i++) {
        struct formation *formation = &app->formations[i];
        if (strcmp(formation->type, type) == 0 || strcmp(formation->id, type) == 0) {
            return formation;
        }
    }
    return NULL;
}

struct formation *app_formation_add(struct app *app, const char *type)
{
    app->formations = grown(app->formations, app->formation_count + 1, sizeof(struct formation));
    struct formation *formation = &app->formations[app->formation_count++];
    memset(formation, 0, sizeof *formation);
    word_copy(formation->type, sizeof formation->type, type);
    word_copy(formation->size, sizeof formation->size, "Standard-1X");
    uuid_of(app->name, type, formation->id);
    formation->refused = -1;
    formation->created_ms = wall_now_ms();
    formation->updated_ms = formation->created_ms;
    return formation;
}

void app_formation_remove(struct app *app, struct formation *formation)
{
    size_t at = (size_t)(formation - app->formations);
    free(formation->started_ms);
    memmove(formation, formation + 1, (app->formation_count - at - 1) * sizeof *formation);
    app->formation_count--;
}

void formation_set(struct app *app, struct formation *formation, int quantity, int64_t now_ms)
{
    if (quantity > formation->quantity) {
        formation->started_ms =
            grown(formation->started_ms, (size_t)quantity, sizeof *formation->started_ms);
        for (int i = formation->quantity; i < quantity; i++) {
            formation->started_ms[i] = now_ms;
        }
    }
    if (quantity != formation->quantity) {
        formation->quantity = quantity;
        formation->updated_ms = wall_now_ms();
        for (size_t i = 0; i < app->formation_count; i++) {
            app->formations[i].refused = -1;
        }
    }
}

/* ---- add-ons ---- */

struct addon *app_addon(const struct app *app, const char *name)
{
    for (size_t i = 0; i < app->addon_count; i++) {
        struct addon *addon = &app->addons[i];
        if (strcmp(addon->name, name) == 0 || strcmp(addon->id, name) == 0) {
            return addon;
        }
    }
    return NULL;
}

struct addon *app_addon_add(struct app *app, const char *name)
{
    app->addons = grown(app->addons, app->addon_count + 1, sizeof(struct addon));
    struct addon *addon = &app->addons[app->addon_count++];
    memset(addon, 0, sizeof *addon);
    word_copy(addon->name, sizeof addon->name, name);
    uuid_of("addon", name, addon->id);
    addon->created_ms = wall_now_ms();
    addon->updated_ms = addon->created_ms;
    return addon;
}

const char *addon_plan(const struct addon *addon, int64_t now_ms)
{
    bool done = addon->next[0] != '\0' && now_ms >= addon->ready_ms;
    return done ? addon->next : addon->plan;
}

const char *addon_state(const struct addon *addon, int64_t now_ms)
{
    return now_ms < addon->ready_ms ? "provisioning" : "provisioned";
}
