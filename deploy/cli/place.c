#include "deploy/cli/place.h"

#include <errno.h>
#include <inttypes.h>
#include <unistd.h>

static void base_directory(char *out, size_t size)
{
    const char *state_home = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");
    if (state_home != NULL && state_home[0] == '/') {
        (void)snprintf(out, size, "%s/dynosaur", state_home);
    } else {
        (void)snprintf(out, size, "%s/.local/state/dynosaur", home != NULL ? home : "");
    }
}

dyn_err place_find(const char *state, const char *file, struct place *out, struct dyn_error *error)
{
    struct place place;
    char base[2048];
    char *path = realpath(file, NULL);
    if (path == NULL) {
        return dyn_error_set(error, DYN_CONFIG, "%s: %s", file, strerror(errno));
    }
    base_directory(base, sizeof base);
    uint64_t hash = dyn_hash(DYN_HASH_SEED, dyn_str_from(path));
    free(path);
    int length = 0;
    char here[2048] = "";
    if (state == NULL) {
        length = snprintf(place.directory, sizeof place.directory, "%s/%016" PRIx64, base, hash);
    } else if (state[0] == '/' || getcwd(here, sizeof here) != NULL) {
        length = snprintf(place.directory, sizeof place.directory, "%s%s%s", here,
                          here[0] != '\0' ? "/" : "", state);
    }
    /* '?' would end the path in a Redis URL. */
    if (length <= 0 || (size_t)length + sizeof("/redis.sock") > sizeof place.socket ||
        strchr(place.directory, '?') != NULL) {
        return dyn_error_set(error, DYN_CONFIG,
                             "the state directory must have at most %zu characters and no '?' in "
                             "it, since a Unix socket lies there: choose another one with --state",
                             sizeof place.socket - sizeof("/redis.sock"));
    }
    (void)snprintf(place.lock, sizeof place.lock, "%s/lock", place.directory);
    (void)snprintf(place.socket, sizeof place.socket, "%.*s/redis.sock", length, place.directory);
    (void)snprintf(place.url, sizeof place.url, "unix://%s", place.socket);
    *out = place;
    return DYN_OK;
}

const char *place_redis_given(const char *option)
{
    const char *variable = getenv(PLACE_REDIS_VARIABLE);
    return option == NULL && variable != NULL && *variable != '\0' ? variable : option;
}

bool place_redis_is_named(const struct config *config)
{
    const char *variable = getenv("REDIS_URL");
    return config->redis.url_given || config->redis.sentinel.master != NULL ||
           (variable != NULL && *variable != '\0');
}

dyn_err place_redis(const struct config *config, const char *redis, const char *state,
                    struct bus_config *out, struct dyn_error *error)
{
    struct place place;
    if (redis == NULL && !place_redis_is_named(config)) {
        dyn_err err = place_find(state, config->file, &place, error);
        if (err != DYN_OK) {
            return err;
        }
        redis = place.url;
    }
    return bus_config_resolve(&config->redis, redis, out, error);
}
