/*
 * place: where a `dynosaur FILE` on this machine keeps its state, and which Redis a command asks.
 */
#ifndef DYN_CLI_PLACE_H
#define DYN_CLI_PLACE_H

#include "common/bus_config.h"

#define PLACE_SOCKET_MAX 107 /* bytes that the kernel allows in the path of a Unix socket */

#define PLACE_REDIS_VARIABLE "DYNOSAUR_REDIS" /* what services and commands take for --redis */

struct place {
    char directory[4096];
    char lock[4096 + 16];
    char socket[PLACE_SOCKET_MAX + 1];
    char url[PLACE_SOCKET_MAX + 16]; /* unix:// and the socket */
};

/** `state` as given with --state, or NULL: a directory of the file's own. Makes nothing. */
DYN_NODISCARD dyn_err place_find(const char *state, const char *file, struct place *out,
                                 struct dyn_error *error);

/** The Redis given with --redis, else by $DYNOSAUR_REDIS; NULL: none. */
const char *place_redis_given(const char *option);

/** Whether the configuration names a Redis (in the file, or by $REDIS_URL), so that there is no
 *  private one. */
bool place_redis_is_named(const struct config *config);

/**
 * The Redis that a command is to ask: `redis` as given with --redis, else what the configuration
 * names, else the private one. bus_config_fini() is owed.
 */
DYN_NODISCARD dyn_err place_redis(const struct config *config, const char *redis, const char *state,
                                  struct bus_config *out, struct dyn_error *error);

#endif
