#include "deploy/cli/online.h"

#include "deploy/cli/place.h"

bool online_option(struct online *online, int option, const char *value)
{
    if (option == ONLINE_REDIS) {
        online->redis = value;
    } else if (option == ONLINE_STATE) {
        online->state = value;
    }
    return option == ONLINE_REDIS || option == ONLINE_STATE;
}

const char *online_file(const struct cli_command *command, const char *file)
{
    const char *variable = getenv("DYNOSAUR_CONFIG");
    if (file == NULL && variable != NULL && *variable != '\0') {
        return variable;
    }
    if (file == NULL) {
        (void)cli_usage(command, "which FILE? Name it, or set DYNOSAUR_CONFIG");
    }
    return file;
}

static int online_connect(const struct cli_command *command, int64_t wait_ms, struct online *online)
{
    struct dyn_error error = {""};
    struct bus_config redis = {0};
    int status = CLI_DONE;
    online->redis = place_redis_given(online->redis);
    if (place_redis(online->config, online->redis, online->state, &redis, &error) != DYN_OK) {
        status = cli_failed(command, "%s", error.text);
    } else {
        online->remote = remote_open(&redis, wait_ms, &error);
        bool is_private = online->redis == NULL && !place_redis_is_named(online->config);
        if (online->remote == NULL) {
            status = cli_failed(command, "%s%s%s", error.text,
                                is_private ? "; does it run? It is started by: dynosaur " : "",
                                is_private ? online->config->file : "");
        }
    }
    bus_config_fini(&redis);
    return status;
}

int online_open(const struct cli_command *command, const char *file, int64_t wait_ms,
                struct online *online)
{
    struct dyn_error error = {""};
    online->config = config_load(file, &error);
    if (online->config == NULL) {
        (void)fprintf(stderr, "%s\n", error.text);
        return CLI_USAGE;
    }
    int status = online_connect(command, wait_ms, online);
    if (status != CLI_DONE) {
        online_close(online);
    }
    return status;
}

void online_close(struct online *online)
{
    remote_close(online->remote);
    online->remote = NULL;
    config_free(online->config);
    online->config = NULL;
}
