/*
 * The keys that belong to no plugin: sections, names and policies. config_types.c has the others.
 */
#include "common/config_internal.h"

#define DAY_S 86400.0
#define LONGEST_S (30 * DAY_S)

#define SECTION(name, words)                                   \
    {                                                          \
        .key = (name), .type = CONFIG_SECTION, .help = (words) \
    }

const struct config_field config_keys_root[] = {
    {.key = "version",
     .type = CONFIG_INT,
     .min = 1,
     .max = 2,
     .fallback = "1",
     .help = "2 for the keys of this table; the original's form needs none"},
    SECTION("redis", "where the bus is"),
    SECTION("accounts", "map of account name to its key"),
    SECTION("defaults", "policies for everything below"),
    {.key = "include",
     .type = CONFIG_STRINGS,
     .help = "files of apps, relative to this file and within its directory; * matches"},
    SECTION("apps", "map of app name to what an app's file has, or a list of such files"),
    SECTION("plans", "map of add-on to the list of its plans, in place of the built-in one"),
    {.key = "heroku_api_url",
     .type = CONFIG_STRING,
     .fallback = "https://api.heroku.com",
     .help = "another address for tests and proxies"},
    SECTION("stats_plugins", "list of statistics sinks, for all apps"),
    SECTION("error_handlers", "list of error sinks, for all apps; default: console"),
    SECTION("success_handlers", "list of sinks told while all is well, for all apps"),
    {.key = NULL},
};

const struct config_field config_keys_app[] = {
    SECTION("scaler", "the app itself"),
    SECTION("controller_plugins", "list of what is scaled, at least one"),
    SECTION("stats_plugins", "list of statistics sinks"),
    SECTION("error_handlers", "list of error sinks; default: console"),
    SECTION("success_handlers", "list of sinks told while all is well"),
    {.key = NULL},
};

const struct config_field config_keys_app_only[] = {
    {.key = "account",
     .type = CONFIG_STRING,
     .help = "a name under `accounts`; needless when there is only one"},
    SECTION("defaults", "policies for this app"),
    {.key = NULL},
};

const struct config_field config_keys_redis[] = {
    {.key = "url",
     .type = CONFIG_SECRET,
     .fallback = "${REDIS_URL:-redis://127.0.0.1:6379}",
     .help = "redis://[user:password@]host:port/db, rediss:// (TLS) or unix:///path"},
    {.key = "username",
     .type = CONFIG_SECRET,
     .plain = true,
     .help = "instead of the URL's; needs password"},
    {.key = "password",
     .type = CONFIG_SECRET,
     .help = "instead of the URL's, such as ${file:/run/secrets/redis}"},
    {.key = "replicas",
     .type = CONFIG_INT,
     .min = 0,
     .max = 16,
     .help = "that must have a lease or an intent before it counts (WAIT); 0, with sentinel 1"},
    SECTION("sentinel", "the Sentinels that know which Redis is the master"),
    {.key = "tls_ca",
     .type = CONFIG_STRING,
     .help = "PEM file of the authorities that rediss:// trusts; the system's when not given"},
    {.key = "tls_cert",
     .type = CONFIG_STRING,
     .help = "PEM file of the client's certificate, where the server asks for one"},
    {.key = "tls_key", .type = CONFIG_STRING, .help = "PEM file of its key"},
    {.key = "tls_insecure",
     .type = CONFIG_BOOL,
     .fallback = "false",
     .help = "true: accept any certificate (Heroku's are self-signed)"},
    {.key = "prefix",
     .type = CONFIG_STRING,
     .fallback = "dyn",
     .help = "of all keys; letters, digits, - _ :"},
    {.key = "partitions",
     .type = CONFIG_INT,
     .min = 1,
     .max = DYN_PARTITIONS_MAX,
     .fallback = "8",
     .help = "logs that the apps are spread over; fixed by the first setup"},
    {.key = "max_bytes",
     .type = CONFIG_INT,
     .min = 1048576,
     .max = 1099511627776.0,
     .fallback = "33554432",
     .help = "of all streams together"},
    SECTION("lease", "how leases and membership keep time"),
    {.key = NULL},
};

#define FIELD_LEASE(name, least, most, built_in, words)                       \
    {                                                                         \
        .key = (name), .type = CONFIG_SECONDS, .min = (least), .max = (most), \
        .fallback = (built_in), .help = (words)                               \
    }

const struct config_field config_keys_lease[] = {
    FIELD_LEASE("renew", 0.05, 60, "3", "a holder renews that often"),
    FIELD_LEASE("estimator_wait", 0.2, 600, "8",
                "a partition's or a sink's lease is taken when it stood still that long"),
    FIELD_LEASE("hold", 0.2, 600, "12",
                "an actuator writes no longer than that after its last renewal"),
    FIELD_LEASE("actuator_wait", 0.2, 600, "17",
                "an account's lease is taken when it stood still that long"),
    FIELD_LEASE("beat", 0.05, 60, "1.5", "a member says that often that it lives"),
    FIELD_LEASE("gone", 0.2, 600, "6", "a member that was silent that long is gone"),
    {.key = NULL},
};

const struct config_field config_keys_sentinel[] = {
    {.key = "master",
     .type = CONFIG_STRING,
     .required = true,
     .help = "the name in `sentinel monitor NAME ...`"},
    {.key = "nodes",
     .type = CONFIG_STRINGS,
     .required = true,
     .help = "host:port of each Sentinel, at most 16; port 26379 when not given"},
    {.key = "username",
     .type = CONFIG_SECRET,
     .plain = true,
     .help = "for the Sentinels; needs password"},
    {.key = "password", .type = CONFIG_SECRET, .help = "for the Sentinels"},
    {.key = NULL},
};

const struct config_field config_keys_account[] = {
    {.key = "heroku_api_key",
     .type = CONFIG_SECRET,
     .required = true,
     .help = "only the actuator reads it"},
    {.key = "reserve",
     .type = CONFIG_PERCENT,
     .min = 0,
     .max = 95,
     .fallback = "40",
     .help = "share of Heroku's rate limit that is left to people"},
    SECTION("defaults", "policies for this account's apps"),
    {.key = NULL},
};

static const char *const choices_mode[] = {"off", "shadow", "raise_only", "live", NULL};
static const char *const choices_on_outage[] = {"hold", "ignore", "fallback", NULL};

#define FIELD_MODE                                                                       \
    {                                                                                    \
        .key = "mode", .type = CONFIG_ENUM, .choices = choices_mode, .fallback = "live", \
        .help = "the most careful of all levels wins"                                    \
    }
#define FIELD_DRY_RUN                                                   \
    {                                                                   \
        .key = "dry_run", .type = CONFIG_BOOL, .fallback = "false",     \
        .help = "true: decide and report, change nothing (mode shadow)" \
    }

const struct config_field config_keys_scaler[] = {
    {.key = "heroku_app_name", .type = CONFIG_STRING, .help = "name of the app at Heroku"},
    {.key = "heroku_api_key",
     .type = CONFIG_SECRET,
     .help = "the original's form; with `accounts` it stands there"},
    FIELD_DRY_RUN,
    FIELD_MODE,
    {.key = "interval",
     .aliases = {"report_interval"},
     .type = CONFIG_SECONDS,
     .min = 0.1,
     .max = 3600,
     .fallback = "5",
     .help = "time between reports; decisions are made at once"},
    {.key = NULL},
};

const struct config_field config_keys_controller[] = {
    {.key = "name", .type = CONFIG_STRING, .required = true, .help = "unique in its app"},
    {.key = "type", .type = CONFIG_STRING, .required = true, .help = "what is scaled"},
    SECTION("input_plugins", "list of what is measured, at least one"),
    {.key = NULL},
};

const struct config_field config_keys_input[] = {
    {.key = "name", .type = CONFIG_STRING, .required = true, .help = "unique in its controller"},
    {.key = "type", .type = CONFIG_STRING, .required = true, .help = "what is measured"},
    {.key = NULL},
};

const struct config_field config_keys_conversion[] = {
    {.key = "target",
     .type = CONFIG_NUMBER,
     .min = 1e-9,
     .max = 1e15,
     .help = "what the value should come to; it falls as more runs"},
    {.key = "tolerance",
     .type = CONFIG_PERCENT,
     .min = 0,
     .max = 50,
     .fallback = "10",
     .help = "of target: a value that near changes nothing"},
    {.key = "settle",
     .type = CONFIG_SECONDS,
     .min = 0,
     .max = 3600,
     .fallback = "60",
     .help = "of target: how long values may still show what ran before a change"},
    SECTION("step", "map of a value to the resources that are wanted from it on"),
    {.key = NULL},
};

const struct config_field config_keys_sink[] = {
    {.key = "name", .type = CONFIG_STRING, .help = "when two of one type are needed"},
    {.key = "type", .type = CONFIG_STRING, .required = true, .help = "where to"},
    {.key = NULL},
};

const struct config_field config_policy_app[] = {
    {.key = "report_interval",
     .type = CONFIG_SECONDS,
     .min = 0.1,
     .max = 3600,
     .fallback = "5",
     .help = "time between reports; an app's scaler calls it interval"},
    {.key = NULL},
};

const struct config_field config_policy_controller[] = {
    {.key = "process_type",
     .type = CONFIG_STRING,
     .fallback = "web",
     .help = "which process type is scaled"},
    {.key = "min_resource",
     .aliases = {"min_web_dynos", "min_resource_name"},
     .type = CONFIG_RUNG,
     .min = 0,
     .max = DYN_QUANTITY_MAX,
     .fallback = "2",
     .help = "never fewer; 0 counts as 1"},
    {.key = "max_resource",
     .aliases = {"max_web_dynos", "max_resource_name"},
     .type = CONFIG_RUNG,
     .min = 1,
     .max = DYN_QUANTITY_MAX,
     .fallback = "100",
     .help = "never more"},
    FIELD_MODE,
    FIELD_DRY_RUN,
    {.key = "scale_up_cooldown",
     .type = CONFIG_SECONDS,
     .min = 0,
     .max = DAY_S,
     .fallback = "0",
     .help = "least time from a change to a rise"},
    {.key = "scale_down_cooldown",
     .type = CONFIG_SECONDS,
     .min = 0,
     .max = DAY_S,
     .fallback = "60",
     .help = "least time from a change to a fall"},
    {.key = "max_step_up",
     .type = CONFIG_INT,
     .min = 0,
     .max = DYN_QUANTITY_MAX,
     .fallback = "0",
     .help = "most that one rise adds; 0: no bound"},
    {.key = "max_step_down",
     .type = CONFIG_PERCENT,
     .min = 1,
     .max = 100,
     .fallback = "25",
     .help = "most percent that one fall takes away, one dyno at least"},
    {.key = "max_changes_per_hour",
     .type = CONFIG_INT,
     .min = 0,
     .max = 3600,
     .fallback = "0",
     .help = "0: no bound"},
    {.key = "manual_hold",
     .type = CONFIG_SECONDS,
     .min = 0,
     .max = LONGEST_S,
     .fallback = "1h",
     .help = "how long a change by hand is respected"},
    {.key = NULL},
};

const struct config_field config_policy_input[] = {
    {.key = "interval",
     .type = CONFIG_SECONDS,
     .min = 0.1,
     .max = DAY_S,
     .fallback = "60",
     .help = "time between two readings"},
    {.key = "hysteresis_period",
     .aliases = {"relaxation_period"},
     .type = CONFIG_SECONDS,
     .min = 0.1,
     .max = LONGEST_S,
     .help = "a fall rests on the highest value of this long; default 300, or the interval where "
             "that is longer"},
    {.key = "max_gap",
     .type = CONFIG_SECONDS,
     .min = 0.1,
     .max = LONGEST_S,
     .help = "longest silence that still counts as covered; default 3 intervals, 15 s at least"},
    {.key = "doubt_zero",
     .type = CONFIG_SECONDS,
     .min = 0,
     .max = LONGEST_S,
     .help = "how long zeros after demand are doubted; default one hysteresis_period; 0: never"},
    {.key = "on_outage",
     .type = CONFIG_ENUM,
     .choices = choices_on_outage,
     .fallback = "hold",
     .help = "when no value comes: hold what runs, ignore the input, or `fallback`"},
    {.key = "fallback",
     .type = CONFIG_RUNG,
     .min = 0,
     .max = DYN_QUANTITY_MAX,
     .help = "resources to ask for in an outage"},
    {.key = NULL},
};
