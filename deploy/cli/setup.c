/* `dynosaur setup`: what Redis must hold before the services work with it. */
#include "deploy/cli/online.h"

#include <inttypes.h>

enum {
    OPTION_WAIT = ONLINE_OPTIONS,
    WAIT_DEFAULT_S = 10,
    WAIT_MAX_S = 3600,
    KEY_MAX = DYN_NAME_MAX + 64,
    VERSION_MAX = 32
};

struct setup {
    const struct cli_command *command;
    const struct config *config;
    struct remote *remote;
    char version[VERSION_MAX];
    char policy[VERSION_MAX];
    bool persists;
    bool has_partitions;
    uint64_t partitions; /* as stored */
    int64_t length;      /* of the stream last asked for */
};

/* ---- what Redis says ---- */

/* The value of `name` in the lines of INFO. */
static struct dyn_str info_value(struct dyn_str info, const char *name)
{
    size_t len = strlen(name);
    const char *at = info.ptr;
    const char *end = info.ptr + info.len;
    while (at != NULL && at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        struct dyn_str line = {at, (size_t)((stop != NULL ? stop : end) - at)};
        if (line.len > len && dyn_str_starts(line, name) && line.ptr[len] == ':') {
            return dyn_str_trim((struct dyn_str){line.ptr + len + 1, line.len - len - 1});
        }
        at = stop != NULL ? stop + 1 : NULL;
    }
    return DYN_STR("");
}

static void take_server(void *arg, const struct bus_reply *reply)
{
    struct setup *setup = arg;
    dyn_str_copy(setup->version, sizeof setup->version,
                 info_value(bus_reply_str(reply), "redis_version"));
}

static void take_persistence(void *arg, const struct bus_reply *reply)
{
    struct setup *setup = arg;
    setup->persists = dyn_str_is(info_value(bus_reply_str(reply), "aof_enabled"), "1");
}

static void take_memory(void *arg, const struct bus_reply *reply)
{
    struct setup *setup = arg;
    dyn_str_copy(setup->policy, sizeof setup->policy,
                 info_value(bus_reply_str(reply), "maxmemory_policy"));
}

static void take_partitions(void *arg, const struct bus_reply *reply)
{
    struct setup *setup = arg;
    setup->has_partitions = dyn_str_u64(bus_reply_str(reply), &setup->partitions) == DYN_OK;
}

static void take_length(void *arg, const struct bus_reply *reply)
{
    ((struct setup *)arg)->length = bus_reply_int(reply);
}

/* ---- the checks ---- */

static int server_check(struct setup *setup)
{
    struct dyn_error error = {""};
    if (remote_ask(setup->remote, take_server, setup, &error, "INFO", "server", NULL) != DYN_OK ||
        remote_ask(setup->remote, take_persistence, setup, &error, "INFO", "persistence", NULL) !=
            DYN_OK ||
        remote_ask(setup->remote, take_memory, setup, &error, "INFO", "memory", NULL) != DYN_OK) {
        return cli_failed(setup->command, "%s", error.text);
    }
    if (strtol(setup->version, NULL, 10) < 7) {
        return cli_failed(setup->command,
                          "this is Redis %s: Dynosaur needs 7.0 or later (for its Functions)",
                          setup->version[0] != '\0' ? setup->version : "of an unknown version");
    }
    if (setup->policy[0] != '\0' && strcmp(setup->policy, "noeviction") != 0) {
        cli_warn("maxmemory-policy is %s: a full Redis would throw away streams in silence. Set it "
                 "to noeviction",
                 setup->policy);
    }
    if (!setup->persists) {
        cli_warn("this Redis keeps no append-only file: its restart loses the windows, and nothing "
                 "is scaled down for a whole hysteresis_period then. Set appendonly yes");
    }
    return CLI_DONE;
}

/* Whether a values stream of the layout as it is stored holds anything. */
static int streams_are_used(struct setup *setup, bool *out_used)
{
    *out_used = false;
    for (uint64_t p = 0; p < setup->partitions && p < DYN_PARTITIONS_MAX && !*out_used; p++) {
        char key[KEY_MAX];
        struct dyn_error error = {""};
        (void)snprintf(key, sizeof key, "%s:{%" PRIu64 "}:values", setup->config->redis.prefix, p);
        if (remote_ask(setup->remote, take_length, setup, &error, "XLEN", key, NULL) != DYN_OK) {
            return cli_failed(setup->command, "%s", error.text);
        }
        *out_used = setup->length > 0;
    }
    return CLI_DONE;
}

static int partitions_check(struct setup *setup)
{
    char key[KEY_MAX];
    struct dyn_error error = {""};
    bool used = false;
    (void)snprintf(key, sizeof key, "%s:setup", setup->config->redis.prefix);
    if (remote_ask(setup->remote, take_partitions, setup, &error, "HGET", key, "partitions",
                   NULL) != DYN_OK) {
        return cli_failed(setup->command, "%s", error.text);
    }
    if (!setup->has_partitions || setup->partitions == setup->config->redis.partitions) {
        return CLI_DONE;
    }
    int status = streams_are_used(setup, &used);
    if (status == CLI_DONE && used) {
        (void)fprintf(stderr,
                      "dynosaur setup: this Redis was set up with %" PRIu64
                      " partitions and holds values of them; redis.partitions is %" PRIu32
                      " now. Set it back, or use another redis.prefix\n",
                      setup->partitions, setup->config->redis.partitions);
        return CLI_USAGE;
    }
    return status;
}

/* ---- what is stored ---- */

static int setup_store(struct setup *setup)
{
    char key[KEY_MAX];
    char partitions[16];
    char schema[16];
    struct dyn_error error = {""};
    (void)snprintf(key, sizeof key, "%s:setup", setup->config->redis.prefix);
    (void)snprintf(partitions, sizeof partitions, "%" PRIu32, setup->config->redis.partitions);
    (void)snprintf(schema, sizeof schema, "%d", MESSAGE_SCHEMA);
    if (remote_ask(setup->remote, NULL, NULL, &error, "FUNCTION", "LOAD", "REPLACE",
                   bus_functions_source, NULL) != DYN_OK ||
        remote_ask(setup->remote, NULL, NULL, &error, "HSET", key, "partitions", partitions,
                   "functions", bus_functions_version, "schema", schema, NULL) != DYN_OK) {
        return cli_failed(setup->command, "%s", error.text);
    }
    (void)printf("Redis %s is set up: %s partitions under %s:, functions %s, schema %s\n",
                 setup->version, partitions, setup->config->redis.prefix, bus_functions_version,
                 schema);
    return CLI_DONE;
}

static int setup_do(const struct cli_command *self, struct online *online)
{
    struct setup setup = {.command = self, .config = online->config, .remote = online->remote};
    int status = server_check(&setup);
    if (status == CLI_DONE) {
        status = partitions_check(&setup);
    }
    if (status == CLI_DONE) {
        status = setup_store(&setup);
    }
    return status;
}

static int run(const struct cli_command *self, int argc, char **argv)
{
    struct cli_args args = {.command = self, .argc = argc, .argv = argv};
    struct online online = {0};
    const char *file = NULL;
    int64_t wait_s = WAIT_DEFAULT_S;
    for (int option = cli_args_next(&args); option != CLI_ARG_END; option = cli_args_next(&args)) {
        if (option == CLI_ARG_WRONG) {
            return CLI_USAGE;
        }
        if (option == CLI_ARG_PLAIN) {
            if (!cli_take_file(self, args.value, &file)) {
                return CLI_USAGE;
            }
        } else if (option == OPTION_WAIT) {
            if (!cli_number(self, "--wait", args.value, 0, WAIT_MAX_S, &wait_s)) {
                return CLI_USAGE;
            }
        } else {
            (void)online_option(&online, option, args.value);
        }
    }
    file = online_file(self, file);
    if (file == NULL) {
        return CLI_USAGE;
    }
    int status = online_open(self, file, wait_s * 1000 + 1, &online);
    if (status == CLI_DONE) {
        status = setup_do(self, &online);
        online_close(&online);
    }
    return status;
}

static const struct cli_option options[] = {
    ONLINE_OPTION_LINES,
    {"--wait", "S", "wait that many seconds for Redis (10)"},
    {NULL, NULL, NULL},
};

const struct cli_command cli_setup = {
    .name = "setup",
    .arguments = "FILE [--redis URL] [--wait S]",
    .summary = "prepare the Redis that a configuration names",
    .help =
        "Loads the Functions into Redis and stores the number of partitions; the services wait\n"
        "for it. May be run again at any time. `dynosaur FILE` does it by itself.",
    .options = options,
    .run = run,
};
