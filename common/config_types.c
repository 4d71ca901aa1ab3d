#include "common/config_internal.h"

#define DAY_S 86400.0
#define LONGEST_S (30 * DAY_S) /* no window, pause or hold is longer */

/* ---- sources ---- */

static const struct config_field fields_none[] = {{.key = NULL}};

static const struct config_field fields_sine[] = {
    {.key = "period",
     .type = CONFIG_SECONDS,
     .min = 1,
     .max = LONGEST_S,
     .fallback = "30",
     .help = "seconds of one wave"},
    {.key = NULL},
};

static const struct config_field fields_random[] = {
    {.key = "seed",
     .type = CONFIG_INT,
     .fallback = "0",
     .help = "start of the random walk; equal seeds, equal walks"},
    {.key = NULL},
};

static const char *const choices_at_end[] = {"loop", "stop", NULL};

static const struct config_field fields_csv[] = {
    {.key = "file",
     .type = CONFIG_STRING,
     .required = true,
     .help = "path of the file, first line the columns' names"},
    {.key = "time_column",
     .type = CONFIG_STRING,
     .help =
         "name or number of the column that says when; the first unless told, or `row_interval`"},
    {.key = "value_column",
     .type = CONFIG_STRING,
     .help = "name or number of the value's column; the second unless told"},
    {.key = "row_interval",
     .type = CONFIG_SECONDS,
     .min = 0.001,
     .max = LONGEST_S,
     .help = "time from one row to the next, in place of a time column"},
    {.key = "speed",
     .type = CONFIG_NUMBER,
     .min = 0.001,
     .max = 1e6,
     .fallback = "1",
     .help = "how many times faster than life the file is played"},
    {.key = "at_end",
     .type = CONFIG_ENUM,
     .choices = choices_at_end,
     .fallback = "loop",
     .help = "begin again, or give no more values"},
    {.key = NULL},
};

static const struct config_field fields_file[] = {
    {.key = "file", .type = CONFIG_STRING, .required = true, .help = "absolute path; one number"},
    {.key = "max_age",
     .type = CONFIG_SECONDS,
     .min = 1,
     .max = LONGEST_S,
     .fallback = "300",
     .help = "a file that was written longer ago says nothing"},
    {.key = NULL},
};

static const struct config_field fields_exec[] = {
    {.key = "command",
     .type = CONFIG_STRINGS,
     .required = true,
     .help = "program and arguments; no shell; prints one number"},
    {.key = "timeout",
     .type = CONFIG_SECONDS,
     .min = 0.1,
     .max = 300,
     .fallback = "10",
     .help = "the program is killed after this"},
    {.key = "env",
     .type = CONFIG_HEADERS,
     .help = "the program's environment; it gets no other variable of ours"},
    {.key = NULL},
};

/* What every source has that asks over HTTP. */
#define FIELD_TIMEOUT                                                                      \
    {                                                                                      \
        .key = "timeout", .type = CONFIG_SECONDS, .min = 0.1, .max = 60, .fallback = "10", \
        .help = "for the whole request"                                                    \
    }
#define FIELD_ALLOW_HTTP                                               \
    {                                                                  \
        .key = "allow_http", .type = CONFIG_BOOL, .fallback = "false", \
        .help = "take http:// for a host that is not this machine"     \
    }
#define FIELD_HEADERS                                                                           \
    {                                                                                           \
        .key = "headers", .type = CONFIG_HEADERS, .help = "request headers; values are secrets" \
    }
#define FIELD_API_URL                                                          \
    {                                                                          \
        .key = "api_url", .type = CONFIG_STRING,                               \
        .help = "another address for tests and proxies; default: the vendor's" \
    }

static const struct config_field fields_http_json[] = {
    {.key = "url",
     .type = CONFIG_SECRET,
     .required = true,
     .help = "where to GET; may carry a token, so it is a secret"},
    FIELD_HEADERS,
    {.key = "pointer",
     .type = CONFIG_STRING,
     .required = true,
     .help = "JSON pointer to the number, such as /data/0/active"},
    FIELD_TIMEOUT,
    FIELD_ALLOW_HTTP,
    {.key = NULL},
};

static const struct config_field fields_google_analytics[] = {
    {.key = "client_email",
     .type = CONFIG_STRING,
     .required = true,
     .help = "the service account's address"},
    {.key = "property_id",
     .type = CONFIG_STRING,
     .help = "number of the GA4 property; neither G-... nor the old view's"},
    {.key = "analytics_view_id",
     .type = CONFIG_STRING,
     .help = "view of Universal Analytics, which Google has ended: write property_id"},
    {.key = "key", .type = CONFIG_SECRET, .help = "private key, PEM, | for newline"},
    {.key = "keyfile", .type = CONFIG_STRING, .help = "PKCS#12 file, in place of `key`"},
    {.key = "passphrase",
     .type = CONFIG_SECRET,
     .fallback = "notasecret",
     .plain = true,
     .help = "of the key file"},
    {.key = "token_url",
     .type = CONFIG_STRING,
     .fallback = "https://oauth2.googleapis.com/token",
     .help = "where the key is exchanged for a token"},
    FIELD_API_URL,
    FIELD_TIMEOUT,
    FIELD_ALLOW_HTTP,
    {.key = NULL},
};

static const char *const choices_region[] = {"us", "eu", NULL};

#define FIELD_REGION                                                                       \
    {                                                                                      \
        .key = "region", .type = CONFIG_ENUM, .choices = choices_region, .fallback = "us", \
        .help = "where New Relic keeps the account"                                        \
    }

static const struct config_field fields_new_relic[] = {
    {.key = "key",
     .type = CONFIG_SECRET,
     .required = true,
     .help = "a user key (NRAK-...), or for app_id and component_id an older REST key"},
    {.key = "app_id",
     .aliases = {"appid"},
     .type = CONFIG_STRING,
     .help = "number of an application; of app_id, component_id and nrql one is needed"},
    {.key = "component_id", .type = CONFIG_STRING, .help = "number of a plug-in's component"},
    {.key = "metric",
     .type = CONFIG_STRING,
     .fallback = "HttpDispatcher",
     .help = "of app_id or component_id"},
    {.key = "value",
     .type = CONFIG_STRING,
     .fallback = "call_count",
     .help = "of the metric; counts are taken per minute"},
    {.key = "account_id", .type = CONFIG_STRING, .help = "number of the account; for nrql"},
    {.key = "nrql", .type = CONFIG_STRING, .help = "NRQL that yields exactly one number"},
    {.key = "empty_is_zero",
     .type = CONFIG_BOOL,
     .fallback = "false",
     .help = "true: NRQL that yields nothing means 0, and is no error"},
    FIELD_REGION,
    FIELD_API_URL,
    FIELD_TIMEOUT,
    FIELD_ALLOW_HTTP,
    {.key = NULL},
};

static const struct config_field fields_papertrail[] = {
    {.key = "papertrail_api_key",
     .type = CONFIG_SECRET,
     .required = true,
     .help = "Papertrail API token"},
    FIELD_API_URL,
    FIELD_TIMEOUT,
    FIELD_ALLOW_HTTP,
    {.key = NULL},
};

static const struct config_field fields_rediscloud[] = {
    {.key = "component_id",
     .type = CONFIG_STRING,
     .required = true,
     .help = "New Relic's id of the Redis component"},
    {.key = "new_relic_api_key",
     .type = CONFIG_SECRET,
     .required = true,
     .help = "New Relic API key"},
    FIELD_REGION,
    FIELD_API_URL,
    FIELD_TIMEOUT,
    FIELD_ALLOW_HTTP,
    {.key = NULL},
};

static const struct config_field fields_plan_random[] = {
    {.key = "seed", .type = CONFIG_INT, .fallback = "0", .help = "start of the random walk"},
    {.key = NULL},
};

static const struct config_field fields_prometheus[] = {
    {.key = "url",
     .type = CONFIG_SECRET,
     .required = true,
     .help = "base of the Prometheus server, such as https://prom.example.com"},
    {.key = "query",
     .type = CONFIG_STRING,
     .required = true,
     .help = "PromQL that yields exactly one number"},
    {.key = "empty_is_zero",
     .type = CONFIG_BOOL,
     .fallback = "false",
     .help = "true: a query that yields nothing means 0, and is no error"},
    FIELD_HEADERS,
    FIELD_TIMEOUT,
    FIELD_ALLOW_HTTP,
    {.key = NULL},
};

static const char *const choices_read[] = {"list", "set",    "sorted_set", "stream",
                                           "lag",  "number", NULL};

static const struct config_field fields_redis[] = {
    {.key = "url",
     .type = CONFIG_SECRET,
     .required = true,
     .help = "of the app's own Redis: redis://[user:password@]host:port/db, rediss:// (TLS) or "
             "unix:///path"},
    {.key = "key", .type = CONFIG_STRING, .required = true, .help = "name of the key"},
    {.key = "read",
     .type = CONFIG_ENUM,
     .choices = choices_read,
     .fallback = "list",
     .help = "what is under the key: a list, set, sorted set or stream is counted; a number is "
             "read; lag is what a consumer group of a stream has not been given yet"},
    {.key = "group", .type = CONFIG_STRING, .help = "of lag: name of the consumer group"},
    {.key = "username",
     .type = CONFIG_SECRET,
     .plain = true,
     .help = "instead of the URL's; needs password"},
    {.key = "password", .type = CONFIG_SECRET, .help = "instead of the URL's"},
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
    FIELD_TIMEOUT,
    {.key = NULL},
};

static const char *const choices_token_in[] = {"path", "header", NULL};

static const struct config_field fields_hirefire[] = {
    {.key = "url",
     .type = CONFIG_SECRET,
     .required = true,
     .help = "of the app; without `token`, of its page /hirefire/TOKEN/info itself"},
    {.key = "token", .type = CONFIG_SECRET, .help = "the app's HIREFIRE_TOKEN"},
    {.key = "token_in",
     .type = CONFIG_ENUM,
     .choices = choices_token_in,
     .fallback = "path",
     .help = "header: keeps it out of logs; needs hirefire-resource 1.0 or newer in the app"},
    {.key = "metric",
     .type = CONFIG_STRING,
     .required = true,
     .help = "process type in the answer, such as worker"},
    FIELD_TIMEOUT,
    FIELD_ALLOW_HTTP,
    {.key = NULL},
};

static const char *const choices_figure[] = {"rpm",         "service_p50", "service_p95",
                                             "service_p99", "connect_p50", "connect_p95",
                                             "connect_p99", "error_rate",  NULL};

static const struct config_field fields_log_drain[] = {
    {.key = "token",
     .aliases = {"drain_token"},
     .type = CONFIG_SECRET,
     .required = true,
     .help = "the drain's token, d.UUID, as `heroku drains --json` shows it"},
    {.key = "password",
     .type = CONFIG_SECRET,
     .help = "the one in the drain's URL, https://user:PASSWORD@host/drain"},
    {.key = "value",
     .aliases = {"metric"},
     .type = CONFIG_ENUM,
     .choices = choices_figure,
     .fallback = "rpm",
     .help = "requests a minute; service or connect time in ms; percent answered with 5xx"},
    {.key = "period",
     .type = CONFIG_SECONDS,
     .min = 10,
     .max = 600,
     .fallback = "60",
     .help = "over which the figure is taken, in steps of 10 s"},
    {.key = "delay",
     .type = CONFIG_SECONDS,
     .min = 1,
     .max = 60,
     .fallback = "15",
     .help = "how long the lines of ten seconds may take until they are here"},
    {.key = "empty_is_zero",
     .type = CONFIG_BOOL,
     .fallback = "false",
     .help = "true: a drain that is silent for 30 s means no requests, and is no error"},
    {.key = NULL},
};

static const struct config_type types_source[] = {
    {CONFIG_SOURCE,
     "sine",
     {"SinePlugin", "SineInputPlugin"},
     fields_sine,
     "per_resource",
     10,
     "a wave from 0 to 100, to try things out"},
    {CONFIG_SOURCE,
     "random",
     {"RandomPlugin", "RandomInputPlugin"},
     fields_random,
     "per_resource",
     2,
     "a random walk, to try things out"},
    {CONFIG_SOURCE, "csv", {NULL}, fields_csv, "per_resource", 0, "plays a recorded file"},
    {CONFIG_SOURCE, "file", {NULL}, fields_file, "per_resource", 0, "a number in a file"},
    {CONFIG_SOURCE,
     "exec",
     {NULL},
     fields_exec,
     "per_resource",
     0,
     "a number that a program prints"},
    {CONFIG_SOURCE,
     "http_json",
     {NULL},
     fields_http_json,
     "per_resource",
     0,
     "a number out of a JSON answer"},
    {CONFIG_SOURCE,
     "google_analytics",
     {"GoogleAnalyticsInputPlugin"},
     fields_google_analytics,
     "users_per_dyno",
     100,
     "active users"},
    {CONFIG_SOURCE,
     "new_relic",
     {"NewRelicInputPlugin", "NewRelicPlugin"},
     fields_new_relic,
     "rpm_per_dyno",
     150,
     "requests per minute"},
    {CONFIG_SOURCE,
     "papertrail",
     {"PapertrailInputPlugin"},
     fields_papertrail,
     "per_resource",
     0,
     "bytes logged today"},
    {CONFIG_SOURCE,
     "rediscloud_memory",
     {"RediscloudMemoryUsageInputPlugin"},
     fields_rediscloud,
     "per_resource",
     0,
     "megabytes used"},
    {CONFIG_SOURCE,
     "rediscloud_connections",
     {"RediscloudConnectionUsageInputPlugin"},
     fields_rediscloud,
     "per_resource",
     0,
     "connections used"},
    {CONFIG_SOURCE,
     "rediscloud_random",
     {"RediscloudRandomInputPlugin"},
     fields_plan_random,
     "per_resource",
     0,
     "a random memory size"},
    {CONFIG_SOURCE,
     "papertrail_random",
     {"PapertrailRandomInputPlugin"},
     fields_plan_random,
     "per_resource",
     0,
     "a random log volume"},
    {CONFIG_SOURCE,
     "prometheus",
     {NULL},
     fields_prometheus,
     "per_resource",
     0,
     "the number of a PromQL query"},
    {CONFIG_SOURCE,
     "redis",
     {NULL},
     fields_redis,
     "per_resource",
     0,
     "a queue's length, or a number, in a Redis"},
    {CONFIG_SOURCE,
     "hirefire",
     {NULL},
     fields_hirefire,
     "per_resource",
     0,
     "a number that an app serves for HireFire"},
    {CONFIG_SOURCE,
     "log_drain",
     {NULL},
     fields_log_drain,
     "per_resource",
     0,
     "requests, times or errors out of Heroku's router log, as a log drain brings it"},
    {.name = NULL},
};

/* ---- controllers ---- */

static const struct config_field fields_plans[] = {
    {.key = "allow_downgrade",
     .type = CONFIG_BOOL,
     .fallback = "false",
     .help = "true: smaller plans are asked for as well, one at a time"},
    {.key = "addon",
     .type = CONFIG_STRING,
     .help = "name or id of the add-on, where the app has several of the service"},
    {.key = "plans",
     .type = CONFIG_SECTION,
     .help = "list of the add-on's plans, in place of the built-in one"},
    {.key = NULL},
};

static const struct config_type types_controller[] = {
    {CONFIG_CONTROLLER,
     "dynos",
     {"DynosControllerPlugin"},
     fields_none,
     NULL,
     0,
     "quantity of a process type"},
    {CONFIG_CONTROLLER,
     "rediscloud",
     {"RediscloudControllerPlugin"},
     fields_plans,
     NULL,
     0,
     "plan of the rediscloud add-on"},
    {CONFIG_CONTROLLER,
     "papertrail",
     {"PapertrailControllerPlugin"},
     fields_plans,
     NULL,
     0,
     "plan of the papertrail add-on"},
    {.name = NULL},
};

/* ---- sinks ---- */

static const char *const choices_actions[] = {"all", "failed", "none", NULL};

#define FIELD_ACTIONS(which)                                                                    \
    {                                                                                           \
        .key = "actions", .type = CONFIG_ENUM, .choices = choices_actions, .fallback = (which), \
        .help = "which changes of dynos and plans are told beside the errors"                   \
    }

static const char *const choices_librato[] = {"metrics", "measurements", NULL};

#define FIELD_STATS_INTERVAL                                                               \
    {                                                                                      \
        .key = "interval", .type = CONFIG_SECONDS, .min = 1, .max = 3600, .fallback = "5", \
        .help = "least time between two posts"                                             \
    }

static const struct config_field fields_librato[] = {
    {.key = "api_email", .type = CONFIG_STRING, .required = true, .help = "of the account"},
    {.key = "api_key", .type = CONFIG_SECRET, .required = true, .help = "of the account"},
    {.key = "api",
     .type = CONFIG_ENUM,
     .choices = choices_librato,
     .fallback = "metrics",
     .help = "metrics: gauges, as ever; measurements: with tags, for accounts that have these"},
    FIELD_STATS_INTERVAL,
    FIELD_API_URL,
    FIELD_TIMEOUT,
    FIELD_ALLOW_HTTP,
    {.key = NULL},
};

static const struct config_field fields_appoptics[] = {
    {.key = "api_key", .type = CONFIG_SECRET, .required = true, .help = "API token"},
    FIELD_STATS_INTERVAL,
    FIELD_API_URL,
    FIELD_TIMEOUT,
    FIELD_ALLOW_HTTP,
    {.key = NULL},
};

static const struct config_field fields_statsd[] = {
    {.key = "host", .type = CONFIG_STRING, .fallback = "127.0.0.1", .help = "of the agent"},
    {.key = "port",
     .type = CONFIG_INT,
     .min = 1,
     .max = 65535,
     .fallback = "8125",
     .help = "UDP port of the agent"},
    {.key = NULL},
};

static const struct config_type types_stats[] = {
    {CONFIG_STATS, "console", {"Console"}, fields_none, NULL, 0, "one line a report"},
    {CONFIG_STATS, "librato", {"Librato"}, fields_librato, NULL, 0, "Librato metrics"},
    {CONFIG_STATS,
     "appoptics",
     {NULL},
     fields_appoptics,
     NULL,
     0,
     "measurements of AppOptics, Librato's successor"},
    {CONFIG_STATS, "statsd", {"Statsd"}, fields_statsd, NULL, 0, "statsd gauges over UDP"},
    {.name = NULL},
};

static const struct config_field fields_bugsnag[] = {
    {.key = "api_key", .type = CONFIG_SECRET, .required = true, .help = "of the project"},
    {.key = "release_stage",
     .type = CONFIG_STRING,
     .fallback = "production",
     .help = "told with each error"},
    FIELD_ACTIONS("failed"),
    FIELD_API_URL,
    FIELD_TIMEOUT,
    FIELD_ALLOW_HTTP,
    {.key = NULL},
};

static const char *const choices_ses[] = {"v1", "v2", NULL};

static const struct config_field fields_ses[] = {
    {.key = "from", .type = CONFIG_STRING, .required = true, .help = "sender's address"},
    {.key = "to", .type = CONFIG_STRINGS, .required = true, .help = "receivers' addresses"},
    {.key = "aws_access_key_id", .type = CONFIG_SECRET, .required = true, .help = "AWS key id"},
    {.key = "aws_secret_access_key", .type = CONFIG_SECRET, .required = true, .help = "AWS key"},
    {.key = "aws_session_token",
     .type = CONFIG_SECRET,
     .help = "with a key that lasts for a while only"},
    {.key = "region", .type = CONFIG_STRING, .fallback = "us-east-1", .help = "AWS region"},
    {.key = "api",
     .type = CONFIG_ENUM,
     .choices = choices_ses,
     .fallback = "v2",
     .help = "v1: the older Query API"},
    {.key = "subject",
     .type = CONFIG_STRING,
     .fallback = "Dynosaur Error",
     .help = "how subjects begin"},
    {.key = "interval",
     .type = CONFIG_SECONDS,
     .min = 1,
     .max = DAY_S,
     .fallback = "900",
     .help = "least time between two mails; what happens meanwhile is one mail at its end"},
    FIELD_ACTIONS("failed"),
    FIELD_API_URL,
    FIELD_TIMEOUT,
    FIELD_ALLOW_HTTP,
    {.key = NULL},
};

static const struct config_field fields_webhook[] = {
    {.key = "url", .type = CONFIG_SECRET, .required = true, .help = "where to POST"},
    {.key = "secret", .type = CONFIG_SECRET, .help = "signs the body with HMAC-SHA256"},
    FIELD_HEADERS,
    FIELD_ACTIONS("all"),
    FIELD_TIMEOUT,
    FIELD_ALLOW_HTTP,
    {.key = NULL},
};

static const struct config_field fields_slack[] = {
    {.key = "url", .type = CONFIG_SECRET, .required = true, .help = "of the incoming webhook"},
    FIELD_ACTIONS("failed"),
    FIELD_TIMEOUT,
    FIELD_ALLOW_HTTP,
    {.key = NULL},
};

static const struct config_field fields_pagerduty[] = {
    {.key = "routing_key",
     .type = CONFIG_SECRET,
     .required = true,
     .help = "integration key, 32 characters"},
    FIELD_API_URL,
    FIELD_TIMEOUT,
    FIELD_ALLOW_HTTP,
    {.key = NULL},
};

static const struct config_type types_errors[] = {
    {CONFIG_ERRORS, "console", {"Console"}, fields_none, NULL, 0, "one line an error"},
    {CONFIG_ERRORS, "bugsnag", {"Bugsnag"}, fields_bugsnag, NULL, 0, "Bugsnag"},
    {CONFIG_ERRORS, "ses", {"Ses", "SES"}, fields_ses, NULL, 0, "e-mail by Amazon SES"},
    {CONFIG_ERRORS, "webhook", {NULL}, fields_webhook, NULL, 0, "signed JSON by POST"},
    {CONFIG_ERRORS, "slack", {"Slack"}, fields_slack, NULL, 0, "a Slack channel"},
    {CONFIG_ERRORS, "pagerduty", {"PagerDuty"}, fields_pagerduty, NULL, 0, "PagerDuty"},
    {.name = NULL},
};

static const struct config_field fields_cronut[] = {
    {.key = "host", .type = CONFIG_STRING, .required = true, .help = "of the Cronut server"},
    {.key = "api_token", .type = CONFIG_SECRET, .required = true, .help = "of the Cronut server"},
    {.key = "cronut_token", .type = CONFIG_SECRET, .required = true, .help = "of the job"},
    {.key = "public_key", .type = CONFIG_SECRET, .required = true, .help = "PEM, | for newline"},
    {.key = "interval",
     .type = CONFIG_SECONDS,
     .min = 60,
     .max = DAY_S,
     .fallback = "60",
     .help = "least time between two pings"},
    FIELD_TIMEOUT,
    FIELD_ALLOW_HTTP,
    {.key = NULL},
};

static const struct config_field fields_healthcheck[] = {
    {.key = "url", .type = CONFIG_SECRET, .required = true, .help = "to GET while all is well"},
    {.key = "interval",
     .type = CONFIG_SECONDS,
     .min = 60,
     .max = DAY_S,
     .fallback = "60",
     .help = "least time between two pings"},
    FIELD_TIMEOUT,
    FIELD_ALLOW_HTTP,
    {.key = NULL},
};

static const struct config_type types_success[] = {
    {CONFIG_SUCCESS, "cronut", {"Cronut"}, fields_cronut, NULL, 0, "pings Cronut"},
    {CONFIG_SUCCESS, "healthcheck", {NULL}, fields_healthcheck, NULL, 0, "pings a URL"},
    {.name = NULL},
};

static const struct {
    const struct config_type *types;
    const char *section;
} kinds[CONFIG_KINDS] = {
    [CONFIG_SOURCE] = {types_source, "input_plugins"},
    [CONFIG_CONTROLLER] = {types_controller, "controller_plugins"},
    [CONFIG_STATS] = {types_stats, "stats_plugins"},
    [CONFIG_ERRORS] = {types_errors, "error_handlers"},
    [CONFIG_SUCCESS] = {types_success, "success_handlers"},
};

const struct config_type *config_types(enum config_kind kind)
{
    DYN_ASSERT(kind < CONFIG_KINDS);
    return kinds[kind].types;
}

const char *config_kind_section(enum config_kind kind)
{
    DYN_ASSERT(kind < CONFIG_KINDS);
    return kinds[kind].section;
}

/* "Dynosaur::Inputs::SinePlugin" -> "SinePlugin"; other text stays as it is. */
static struct dyn_str class_name(struct dyn_str name)
{
    const char *colons;

    if (!dyn_str_starts(name, "Dynosaur::")) {
        return name;
    }
    colons = memrchr(name.ptr, ':', name.len);
    return (struct dyn_str){colons + 1, (size_t)(name.ptr + name.len - (colons + 1))};
}

const struct config_type *config_type_find(enum config_kind kind, struct dyn_str name)
{
    const struct config_type *type;
    struct dyn_str plain = class_name(name);

    for (type = config_types(kind); type->name != NULL; type++) {
        if (dyn_str_is(name, type->name)) {
            return type;
        }
        for (size_t i = 0; i < 3 && type->aliases[i] != NULL; i++) {
            if (dyn_str_is(plain, type->aliases[i])) {
                return type;
            }
        }
    }
    return NULL;
}

size_t config_fields_count(const struct config_field *fields)
{
    size_t count = 0;

    while (fields != NULL && fields[count].key != NULL) {
        count++;
    }
    return count;
}

const char *config_mode_text(enum config_mode mode)
{
    static const char *const texts[] = {"off", "shadow", "raise_only", "live"};

    DYN_ASSERT((size_t)mode < sizeof(texts) / sizeof(texts[0]));
    return texts[mode];
}
