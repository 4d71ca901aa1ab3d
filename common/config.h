/*
 * config: the configuration file, read once into one immutable tree.
 *
 * Two spellings give the same tree: the original Dynosaur's file (`scaler`, `controller_plugins`,
 * ...), one app, unchanged, ERB forms included; and `version: 2` with `redis`, `accounts`,
 * `defaults`, `include` and `apps`. Precedence, from weak to strong: built-in < defaults <
 * account < app < controller < input; for `mode` the most careful wins.
 *
 * The whole file is refused for what is wrong in its structure; every message names
 * file:line:column, the key, what was found, what would do, and the nearest known name.
 * A secret is not resolved here: the service that needs it asks for it (config_secret_resolve), so
 * that the other services need not have it.
 *
 * Ownership: struct config owns all that it points to; nothing in it changes after config_load().
 * Threads: any may read.
 */
#ifndef DYN_COMMON_CONFIG_H
#define DYN_COMMON_CONFIG_H

#include "common/limits.h"
#include "common/plans.h"
#include "common/str.h"

/* ---- the vocabulary: which types exist and which keys each takes (config_types.c) ---- */

enum config_value_type {
    CONFIG_BOOL,
    CONFIG_INT,
    CONFIG_NUMBER,
    CONFIG_SECONDS, /* a number of seconds, or 90s, 5m, 2h, 1d; kept as milliseconds in `i` */
    CONFIG_STRING,
    CONFIG_SECRET,  /* never printed, never hashed, resolved late */
    CONFIG_ENUM,    /* one of `choices` */
    CONFIG_RUNG,    /* a whole number, or a plan's name where the controller has a plan table */
    CONFIG_STRINGS, /* a list of strings, or one string: exec's arguments, receivers */
    CONFIG_HEADERS, /* a map of HTTP header to text; every value is a secret */
    CONFIG_PERCENT, /* 25 or "25%"; kept in `d` */
    CONFIG_SECTION, /* a map or list with a vocabulary of its own; no value is kept */
};

struct config_field {
    const char *key;
    const char *aliases[3]; /* other spellings with the same meaning, NULL-ended */
    enum config_value_type type;
    bool required;
    double min, max;      /* numbers; seconds in s; min == max == 0: no bound but the type's */
    const char *fallback; /* the built-in default as it would stand in the file; NULL: none */
    const char *const *choices; /* CONFIG_ENUM, NULL-ended */
    const char *help;           /* one line for people */
    bool plain;                 /* CONFIG_SECRET: may stand in the file without a warning */
};

enum config_kind {
    CONFIG_SOURCE,     /* input_plugins */
    CONFIG_CONTROLLER, /* controller_plugins */
    CONFIG_STATS,      /* stats_plugins */
    CONFIG_ERRORS,     /* error_handlers */
    CONFIG_SUCCESS,    /* success_handlers */
    CONFIG_KINDS
};

struct config_type {
    enum config_kind kind;
    const char *name;                  /* short: "sine", "dynos", "console" */
    const char *aliases[3];            /* the original's class names, NULL-ended */
    const struct config_field *fields; /* own keys, ended by .key == NULL; NULL: none */
    /* Sources: value -> resources is ceil(value / per_resource); its key's name here and the
     * default, e.g. "users_per_dyno" and 100. Also taken under the name per_resource. */
    const char *per_resource_key;
    double per_resource_default; /* 0: per_resource is required */
    const char *help;
};

/** All types of a kind, ended by .name == NULL. */
const struct config_type *config_types(enum config_kind kind);
/** By short name or alias (with or without `Dynosaur::...::`); NULL when unknown. */
const struct config_type *config_type_find(enum config_kind kind, struct dyn_str name);

/* ---- values ---- */

/** Where a value was written, or which level gave it; for `check` and for messages. */
struct config_origin {
    const char *file; /* NULL: built in */
    int line;         /* 1-based; 0: built in */
    int column;
    const char *level; /* "built-in", "defaults", "account", "app", "controller", "input", ... */
};

/**
 * Text with late parts: literal pieces and ${X}, ${X:-d}, ${file:PATH}, <%= ENV['X'] %>,
 * <%= ENV.fetch('X', 'd') %>, each with an optional .gsub("\n", "|") behind it.
 */
struct config_template;

struct config_secret {
    const struct config_template *template; /* NULL: not given */
    const char
        *shown; /* how `check` prints it: "<env HEROKU_API_KEY>", "<file /run/x>", "<literal>" */
};

struct config_value {
    const struct config_field *field;
    struct config_origin origin;
    bool given; /* false: neither written nor has it a default; the rest is zero */
    union {
        bool b;
        int64_t i;     /* INT, SECONDS (ms) */
        double d;      /* NUMBER, PERCENT */
        const char *s; /* STRING, ENUM, RUNG */
        struct config_secret secret;
        struct {
            const char *const *items; /* `count` and a NULL */
            size_t count;
        } list; /* STRINGS */
        struct {
            const char *const *names;
            const struct config_secret *values;
            size_t count;
        } headers;
    } as;
};

/** One plugin's own options, in the order of its fields. */
struct config_options {
    const struct config_value *values;
    size_t count;
};

/** The value of a key that the type's table declares; asking for another is our mistake. */
const struct config_value *config_option(const struct config_options *options, const char *key);

/**
 * The secret's text, from the environment or a file, now. `out` is cleared first and wiped by the
 * caller (dyn_buf_wipe). DYN_NOTFOUND and words (which variable or file is missing, never its
 * content) when it cannot be had.
 */
DYN_NODISCARD dyn_err config_secret_resolve(const struct config_secret *secret, struct dyn_buf *out,
                                            struct dyn_error *error);

/** The environment variables that a secret or header map needs, one call each. */
void config_secret_variables(const struct config_secret *secret,
                             void (*each)(void *arg, const char *name), void *arg);

/* ---- the tree ---- */

enum config_mode {
    CONFIG_MODE_OFF,
    CONFIG_MODE_SHADOW,
    CONFIG_MODE_RAISE_ONLY,
    CONFIG_MODE_LIVE
};
const char *config_mode_text(enum config_mode mode);

enum config_on_outage {
    CONFIG_HOLD,
    CONFIG_IGNORE,
    CONFIG_FALLBACK
};

/** How an input's value becomes resources. */
enum config_conversion {
    CONFIG_PER_RESOURCE, /* so many of the value for each resource */
    CONFIG_STEP,         /* by a table */
    CONFIG_TARGET,       /* so that the value, which falls as more runs, comes to a target */
};

struct config_step {
    double from; /* from this value on */
    int32_t resources;
};

struct config_input {
    const char *name;
    const struct config_type *type;
    struct config_options options;
    struct config_origin origin;
    int64_t interval_ms;          /* 60 s */
    int64_t hysteresis_period_ms; /* 300 s; >= interval */
    int64_t max_gap_ms;           /* max(3 x interval, 15 s) */
    int64_t doubt_zero_ms;        /* one hysteresis_period; 0: zeros are believed at once */
    enum config_on_outage on_outage;
    int32_t fallback;               /* resources, for CONFIG_FALLBACK */
    double per_resource;            /* > 0: resources = ceil(value / per_resource) */
    const struct plan_table *plans; /* the controller's; not NULL: resources are the rung of the
                                       smallest plan whose `measure` holds the value, and one more
                                       than there are when none does */
    enum plan_measure measure;
    double threshold_percent; /* 90: share of a plan that may be used */
    enum config_conversion conversion;
    double target;     /* CONFIG_TARGET: > 0 */
    double tolerance;  /* CONFIG_TARGET: 0.1; a ratio that near to 1 changes nothing */
    int64_t settle_ms; /* CONFIG_TARGET: so long a change of what runs may not show */
    const struct config_step *steps; /* CONFIG_STEP: both columns rise */
    size_t steps_count;
    bool counter;                 /* grows, and begins anew each UTC day */
    uint64_t series;              /* hash of app, controller, input, type, non-secret options */
    struct config_options policy; /* the same values with their origins, for `check` */
};

struct config_controller {
    const char *name;
    const struct config_type *type;
    struct config_options options;
    struct config_origin origin;
    /* Hash of app and controller name, and of the names of its plans: what was kept of another
     * ladder, whose rungs meant something else, is another controller's. */
    uint64_t id;
    uint64_t running_series;        /* what runs, as the actuator tells the log */
    bool needs_running;             /* an input of it has a target */
    const char *process_type;       /* "web"; of plans the add-on's service, "rediscloud" */
    const struct plan_table *plans; /* NULL: it scales dynos; else the plan of an add-on */
    const char *addon;              /* which, by name or id; NULL: the only one of that service */
    bool allow_downgrade;           /* of plans; else a fall is decided and told, not made */
    int32_t min_resource;           /* 2; of plans the first's rung */
    int32_t max_resource;           /* 100; of plans the last's */
    enum config_mode mode;          /* dry_run: true is shadow */
    int64_t scale_up_cooldown_ms;   /* 0 */
    int64_t scale_down_cooldown_ms; /* 60 s */
    int32_t max_step_up;            /* 0: none */
    double max_step_down_percent;   /* 25; at least one step always */
    int32_t max_changes_per_hour;   /* 0: none */
    int64_t manual_hold_ms;         /* 1 h */
    struct config_input *inputs;    /* at least one */
    size_t inputs_count;
    struct config_options policy; /* the same values with their origins, for `check` */
};

#define CONFIG_RUNG_TEXT (DYN_NAME_MAX + 16)
/** A number of resources for people: "4", "rediscloud:250", or "more than rediscloud:50000". */
const char *config_rung_text(const struct config_controller *controller, int32_t rung,
                             char out[static CONFIG_RUNG_TEXT]);

struct config_app {
    const char *name; /* heroku_app_name */
    struct config_origin origin;
    size_t account; /* index into accounts */
    int64_t
        interval_ms;    /* scaler.interval, 5 s: evaluations are continuous, this is the reports' */
    uint32_t partition; /* hash of the name, modulo redis.partitions */
    struct config_controller *controllers;
    size_t controllers_count;
};

struct config_account {
    const char *name; /* "default" in the original's form */
    struct config_origin origin;
    struct config_secret heroku_api_key;
    double reserve_percent; /* 40: share of Heroku's rate limit left to humans */
};

struct config_sink {
    const char *name; /* the type's short name, or `name:` where given; unique of its kind */
    const struct config_type *type;
    struct config_options options;
    struct config_origin origin;
    size_t app; /* index into apps, or SIZE_MAX: for all */
};

/* redis.lease: how leases and membership keep time; all in ms. Shorter for tests; what would break
   the protocol is refused. Every program of a fleet must have the same. */
struct config_lease {
    int64_t renew_ms;          /* 3000: a holder renews that often */
    int64_t estimator_wait_ms; /* 8000: a partition's lease must stand still that long; so must a
                                  sink's */
    int64_t hold_ms;           /* 12000: an actuator may write until its last renewal + this */
    int64_t actuator_wait_ms;  /* 17000: an account's lease must stand still that long */
    int64_t beat_ms;           /* 1500: a member beats that often */
    int64_t gone_ms;           /* 6000: a member whose beats stand still that long is gone */
};

struct config_sentinel {
    const char *master;       /* NULL: no Sentinel */
    const char *const *nodes; /* host:port, NULL-terminated */
    struct config_secret username;
    struct config_secret password;
};

/** bus_config_resolve() looks the secrets up. */
struct config_redis {
    struct config_secret url;      /* redis://[user:password@]host:port/db, rediss://, unix:///path;
                                      default redis://127.0.0.1:6379 */
    bool url_given;                /* the file says it; else it is $REDIS_URL or built in */
    struct config_secret username; /* instead of the URL's */
    struct config_secret password;
    const char *tls_ca; /* PEM files, or NULL */
    const char *tls_cert;
    const char *tls_key;
    bool tls_insecure;
    struct config_sentinel sentinel;
    uint32_t replicas;   /* that a lease or an intent must reach; 0, with a Sentinel 1 */
    bool replicas_given; /* the file says it */
    const char *prefix;  /* "dyn": letters, digits, '-', '_', ':' */
    uint32_t partitions; /* 8 */
    int64_t max_bytes;   /* 32 MiB for all streams */
    struct config_lease lease;
};

struct config {
    const char *file;
    struct config_redis redis;
    const char *heroku_api_url; /* https://api.heroku.com */
    struct config_account *accounts;
    size_t accounts_count;
    struct config_app *apps;
    size_t apps_count;
    struct config_sink *sinks[CONFIG_KINDS]; /* STATS, ERRORS, SUCCESS */
    size_t sinks_count[CONFIG_KINDS];
    int64_t longest_window_ms; /* the longest hysteresis_period + doubt_zero, or max_gap */
    uint64_t hash;   /* of all that decides: equal hashes, equal folds. No secrets in it */
    char **warnings; /* what was read but should be told: an alias, a likely mistake */
    size_t warnings_count;
};

/** NULL, and the one message to print, when the file is refused. */
struct config *config_load(const char *path, struct dyn_error *error);
/** The same without the inputs' `policy`, which only config_print() reads: what a service needs of
 * a fleet of 100,000 inputs is 60 MB less. */
struct config *config_load_lean(const char *path, struct dyn_error *error);
void config_free(struct config *config);

/**
 * The effective configuration for people: every value with its origin, secrets as `shown`, then
 * which service needs which secret. Written to `out`.
 */
void config_print(const struct config *config, FILE *out);

/** Bytes of Redis that the streams of this configuration need (formula in common/README.md). */
int64_t config_redis_bytes(const struct config *config);

/** Which service needs a secret. */
enum config_service {
    CONFIG_COLLECTOR,
    CONFIG_ESTIMATOR,
    CONFIG_ACTUATOR,
    CONFIG_REPORTER
};
/** Each environment variable that the service may need, secrets of others left out, once each. */
void config_service_variables(const struct config *config, enum config_service service,
                              void (*each)(void *arg, const char *name), void *arg);

#endif
