/* The command line that all services share. */
#include "common/service_internal.h"

#include <arpa/inet.h>
#include <unistd.h>

struct option {
    const char *name;
    const char *value; /* how its value is called in the help; NULL: it takes none */
    const char *help;
    bool optional; /* the value may be left out */
};

enum {
    OPT_CONFIG,
    OPT_REDIS,
    OPT_HTTP,
    OPT_INSTANCE,
    OPT_CHECK,
    OPT_VERSION,
    OPT_HELP,
    OPT_DIE,
    OPT_DRAIN,
    OPT_COUNT
};

static const struct option table[OPT_COUNT] = {
    [OPT_CONFIG] = {"--config", "FILE", "the configuration (required)", false},
    [OPT_REDIS] = {"--redis", "URL", "instead of the configuration's redis.url; or $DYNOSAUR_REDIS",
                   false},
    [OPT_HTTP] = {"--http", "[ADDRESS:]PORT",
                  "/healthz, /readyz, /metrics; 0: any free port; off: none", false},
    [OPT_INSTANCE] = {"--instance", "NAME", "this process's name (default HOSTNAME-PID)", false},
    [OPT_CHECK] = {"--check", NULL, "read the configuration, say what is wrong, end", false},
    [OPT_VERSION] = {"--version", NULL, "print the version, end", false},
    [OPT_HELP] = {"--help", NULL, "print this, end", false},
    [OPT_DIE] = {"--die-with-parent", "PID", "be killed when the parent (PID) ends", true},
    [OPT_DRAIN] = {"--drain", "[ADDRESS:]PORT",
                   "where log drains are taken, by inputs log_drain; off: nowhere", false},
};

/* The last one is only for who takes log drains. */
static size_t options_count(const struct service_ops *ops)
{
    return ops->drain_port != 0 ? OPT_COUNT : OPT_DRAIN;
}

void service_options_help(const struct service_ops *ops, FILE *out)
{
    (void)fprintf(out, "usage: dynosaur-%s --config FILE [OPTION]...\n\n", ops->name);
    if (ops->help != NULL) {
        (void)fprintf(out, "%s\n\n", ops->help);
    }
    for (size_t i = 0; i < options_count(ops); i++) {
        char shown[64];
        const struct option *option = &table[i];
        const char *value = option->value != NULL ? option->value : "";
        const char *before = option->optional ? "[=" : *value != '\0' ? " " : "";
        (void)snprintf(shown, sizeof shown, "%s%s%s%s", option->name, before, value,
                       option->optional ? "]" : "");
        (void)fprintf(out, "  %-24s %s\n", shown, option->help);
    }
    (void)fprintf(out,
                  "\n--http is 127.0.0.1:%u when not given. SIGTERM and SIGINT drain, SIGHUP reads "
                  "the configuration\nagain and keeps the old one when the new one is wrong. Exit "
                  "status: 0 done, 2 usage or\nconfiguration, 1 anything else.\n",
                  (unsigned)ops->http_port);
    if (ops->drain_port != 0) {
        (void)fprintf(out, "--drain is 127.0.0.1:%u when not given.\n", (unsigned)ops->drain_port);
    }
}

static dyn_err option_unknown(const struct service_ops *ops, const char *arg, struct dyn_str name,
                              struct dyn_error *error)
{
    const char *names[OPT_COUNT];
    for (size_t i = 0; i < options_count(ops); i++) {
        names[i] = table[i].name;
    }
    const char *nearest = dyn_str_nearest(name, names, options_count(ops));
    if (nearest != NULL) {
        return dyn_error_set(error, DYN_CONFIG, "unknown option %s: did you mean %s?", arg,
                             nearest);
    }
    return dyn_error_set(error, DYN_CONFIG, "unknown option %s: see --help", arg);
}

static dyn_err port_parse(struct dyn_str text, uint16_t *out)
{
    uint64_t port = 0;
    if (dyn_str_u64(text, &port) != DYN_OK || port > UINT16_MAX) {
        return DYN_BADMSG;
    }
    *out = (uint16_t)port;
    return DYN_OK;
}

static bool address_is_numeric(const char *text)
{
    unsigned char bytes[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, text, bytes) == 1 || inet_pton(AF_INET6, text, bytes) == 1;
}

/* Where to listen, of --http and --drain; "off" is an empty address. */
static dyn_err listen_parse(const char *name, const char *value, char address[static 64],
                            uint16_t *port, struct dyn_error *error)
{
    if (strcmp(value, "off") == 0) {
        address[0] = '\0';
        return DYN_OK;
    }
    struct dyn_str host = DYN_STR("127.0.0.1");
    const char *digits = value;
    const char *colon = strrchr(value, ':');
    if (colon != NULL) {
        host = (struct dyn_str){value, (size_t)(colon - value)};
        digits = colon + 1;
    }
    if (host.len >= 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']') {
        host = (struct dyn_str){host.ptr + 1, host.len - 2};
    }
    dyn_str_copy(address, 64, host);
    if (port_parse(dyn_str_from(digits), port) != DYN_OK || !address_is_numeric(address)) {
        return dyn_error_set(error, DYN_CONFIG,
                             "%s %s: expected PORT, ADDRESS:PORT with a numeric address "
                             "(127.0.0.1, 0.0.0.0, [::1]), or off",
                             name, value);
    }
    return DYN_OK;
}

static dyn_err instance_parse(const char *value, struct service_options *out,
                              struct dyn_error *error)
{
    DYN_ASSERT(value != NULL);
    if (*value == '\0' || strlen(value) >= sizeof out->instance) {
        return dyn_error_set(error, DYN_CONFIG, "--instance: expected 1 to %zu characters",
                             sizeof out->instance - 1);
    }
    for (const char *at = value; *at != '\0'; at++) {
        if (*at <= ' ' || *at > '~' || *at == '"' || *at == '=') {
            return dyn_error_set(error, DYN_CONFIG,
                                 "--instance %s: no spaces, quotes or = in it, please", value);
        }
    }
    dyn_str_copy(out->instance, sizeof out->instance, dyn_str_from(value));
    return DYN_OK;
}

static dyn_err parent_parse(const char *value, struct service_options *out, struct dyn_error *error)
{
    out->die_with_parent = true;
    int64_t pid = 0;
    if (*value == '\0') {
        return DYN_OK;
    }
    if (dyn_str_i64(dyn_str_from(value), &pid) != DYN_OK || pid < 1 || pid > INT32_MAX) {
        return dyn_error_set(error, DYN_CONFIG, "--die-with-parent=%s: expected a process id",
                             value);
    }
    out->parent = (pid_t)pid;
    return DYN_OK;
}

static dyn_err option_take(size_t which, char *value, struct service_options *out,
                           struct dyn_error *error)
{
    switch (which) {
    case OPT_CONFIG:
        out->config = value;
        return DYN_OK;
    case OPT_REDIS:
        out->redis = value;
        return DYN_OK;
    case OPT_HTTP:
        return listen_parse("--http", value, out->http_address, &out->http_port, error);
    case OPT_INSTANCE:
        return instance_parse(value, out, error);
    case OPT_CHECK:
        out->task = SERVICE_CHECK;
        return DYN_OK;
    case OPT_DRAIN:
        return listen_parse("--drain", value, out->drain_address, &out->drain_port, error);
    case OPT_VERSION:
        out->task = SERVICE_VERSION;
        return DYN_OK;
    case OPT_HELP:
        out->task = SERVICE_HELP;
        return DYN_OK;
    default:
        return parent_parse(value, out, error);
    }
}

static char none[] = ""; /* the value of an option without one */

/* One option, with its value behind '=' or in the next argument. Moves *at to the last one used. */
static dyn_err argument_take(int argc, char **argv, int *at, const struct service_ops *ops,
                             struct service_options *out, struct dyn_error *error)
{
    char *arg = argv[*at];
    if (strncmp(arg, "--", 2) != 0) {
        return dyn_error_set(error, DYN_CONFIG,
                             "unexpected argument %s: the configuration stands behind --config",
                             arg);
    }
    char *equals = strchr(arg, '=');
    struct dyn_str name = {arg, equals != NULL ? (size_t)(equals - arg) : strlen(arg)};
    size_t which = 0;
    while (which < options_count(ops) && !dyn_str_is(name, table[which].name)) {
        which++;
    }
    if (which == options_count(ops)) {
        return option_unknown(ops, arg, name, error);
    }
    const struct option *option = &table[which];
    char *value = equals != NULL ? equals + 1 : NULL;
    if (option->value == NULL && value != NULL) {
        return dyn_error_set(error, DYN_CONFIG, "%s takes no value", option->name);
    }
    if (option->value != NULL && !option->optional && value == NULL) {
        (*at)++;
        value = *at < argc ? argv[*at] : NULL;
    }
    if (value == NULL) {
        value = none;
    }
    if (option->value != NULL && !option->optional && *value == '\0') {
        return dyn_error_set(error, DYN_CONFIG, "%s needs a value: %s %s", option->name,
                             option->name, option->value);
    }
    return option_take(which, value, out, error);
}

dyn_err service_options_parse(int argc, char **argv, const struct service_ops *ops,
                              struct service_options *out, struct dyn_error *error)
{
    struct service_options options = {.http_address = "127.0.0.1",
                                      .http_port = ops->http_port,
                                      .drain_address = "127.0.0.1",
                                      .drain_port = ops->drain_port};
    char *redis = getenv("DYNOSAUR_REDIS");
    options.redis = redis != NULL && *redis != '\0' ? redis : NULL;
    for (int i = 1; i < argc; i++) {
        dyn_err err = argument_take(argc, argv, &i, ops, &options, error);
        if (err != DYN_OK) {
            return err;
        }
        if (options.task == SERVICE_HELP || options.task == SERVICE_VERSION) {
            *out = options;
            return DYN_OK;
        }
    }
    if (options.config == NULL) {
        return dyn_error_set(error, DYN_CONFIG, "--config FILE is missing: see --help");
    }
    *out = options;
    return DYN_OK;
}
