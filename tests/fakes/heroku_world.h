/*
 * heroku_world: what the fake Heroku knows: accounts with their keys and request pools, apps with
 * their process types, dynos and add-ons.
 *
 * Ownership: the world owns everything in it; pointers handed out hold until the next change.
 * Threads:   the caller holds the fake's lock.
 */
#ifndef TESTS_FAKES_HEROKU_WORLD_H
#define TESTS_FAKES_HEROKU_WORLD_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UUID_SIZE 37
#define TIME_SIZE 24
#define WORD_SIZE 130
#define WORDS_SIZE 400
#define ACCOUNT_KEYS_MAX 16
#define APP_COLLABORATORS_MAX 16
#define QUANTITY_MAX 10000

struct account_key {
    char text[WORD_SIZE];
    char scope[WORD_SIZE];
};

struct account {
    char id[UUID_SIZE];
    char email[WORD_SIZE];
    struct account_key keys[ACCOUNT_KEYS_MAX];
    size_t key_count;
    double tokens; /* as of refilled_ms */
    double capacity;
    double per_minute;
    int64_t refilled_ms;
    int64_t
        limited_ms; /* wall clock of the last answer with Retry-After, and until when it holds */
    int64_t retry_ms;
};

struct formation {
    char id[UUID_SIZE];
    char type[WORD_SIZE];
    char size[WORD_SIZE];
    int quantity;
    int refused; /* the last quantity refused for the limit; -1 when none */
    int64_t created_ms;
    int64_t updated_ms;
    int64_t *started_ms; /* of each dyno, on the world's clock */
};

struct addon {
    char id[UUID_SIZE];
    char name[WORD_SIZE];
    char service[WORD_SIZE];
    char plan[WORD_SIZE];
    char next[WORD_SIZE]; /* the plan to be from ready_ms on; "": it is told at once */
    bool plan_locked;
    bool late;            /* a change tells the plan of before until it is done */
    bool failing;         /* ... and for ever: it comes to nothing */
    int64_t provision_ms; /* how long a plan change takes; 0 is at once */
    int64_t ready_ms;     /* on the world's clock; provisioning until then */
    int64_t created_ms;
    int64_t updated_ms;
};

struct app {
    char id[UUID_SIZE];
    char name[WORD_SIZE];
    char owner[UUID_SIZE];
    char collaborators[APP_COLLABORATORS_MAX][UUID_SIZE];
    size_t collaborator_count;
    bool maintenance;
    int limit;      /* dynos of all process types; 0 is Heroku's default */
    int size_limit; /* of the large sizes, per process type; 0 is Heroku's default */
    int writes;     /* in flight */
    int64_t created_ms;
    int64_t updated_ms;
    struct formation *formations;
    size_t formation_count;
    struct addon *addons;
    size_t addon_count;
    json_t *monitors; /* of Heroku's own autoscaler, served as they are; may be NULL */
};

struct world {
    struct account **accounts;
    size_t account_count;
    struct app **apps;
    size_t app_count;
    int64_t clock_skew_ms; /* moved by the control port */
    int64_t boot_ms;
};

/** Everything freed; the world is empty afterwards. */
void world_fini(struct world *world);

/** The world's clock: monotonic, and moved forward by the control port. */
int64_t world_now_ms(const struct world *world);

/** Milliseconds since 1970, never moved. */
int64_t wall_now_ms(void);

/** A stable UUID for a name: the same in each run. */
void uuid_of(const char *kind, const char *name, char out[UUID_SIZE]);

/** `2012-01-01T12:00:00Z`. */
void time_text(int64_t wall_ms, char out[TIME_SIZE]);

/** Copies what fits, always terminated. */
void word_copy(char *out, size_t size, const char *text);

/** By id or e-mail; NULL when there is none. */
struct account *world_account(const struct world *world, const char *name);
struct account *world_account_add(struct world *world, const char *email);

/** The account that a key belongs to, and the key's scope. */
struct account *world_account_by_key(const struct world *world, const char *key,
                                     const char **out_scope);

/** By id or name; NULL when there is none. */
struct app *world_app(const struct world *world, const char *name);
struct app *world_app_add(struct world *world, const char *name, const struct account *owner);
void world_app_remove(struct world *world, struct app *app);
bool app_visible(const struct app *app, const struct account *account);

/** By id or type. */
struct formation *app_formation(const struct app *app, const char *type);
struct formation *app_formation_add(struct app *app, const char *type);
void app_formation_remove(struct app *app, struct formation *formation);

/** Sets the quantity; new dynos begin to boot, the highest numbers go first. */
void formation_set(struct app *app, struct formation *formation, int quantity, int64_t now_ms);

/** By id or name. */
struct addon *app_addon(const struct app *app, const char *name);
struct addon *app_addon_add(struct app *app, const char *name);
const char *addon_state(const struct addon *addon, int64_t now_ms);
const char *addon_plan(const struct addon *addon, int64_t now_ms);

/** Refills the account's pool, then takes `cost` if that much is there. */
bool account_take(struct account *account, double cost, int64_t now_ms);
int account_remaining(struct account *account, int64_t now_ms);

#endif
