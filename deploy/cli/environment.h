/*
 * environment: what a child of `dynosaur FILE` may see of ours: a few names that every program
 * needs, and what its part of the configuration asks for. Nobody else's secrets.
 *
 * Ownership: owns its texts, which are wiped at the end. Threads: one.
 */
#ifndef DYN_CLI_ENVIRONMENT_H
#define DYN_CLI_ENVIRONMENT_H

#include "common/config.h"

struct environment {
    char **items; /* NAME=value, NULL-ended */
    size_t count;
};

/** The names that every program gets. DYN_NOMEM: nothing is held. */
DYN_NODISCARD dyn_err environment_plain(struct environment *out);
/** These, and the variables of one service. */
DYN_NODISCARD dyn_err environment_of(const struct config *config, enum config_service service,
                                     struct environment *out);
/** Add NAME=value; there must be none of that name. */
DYN_NODISCARD dyn_err environment_add(struct environment *environment, const char *name,
                                      const char *value);
bool environment_same(const struct environment *a, const struct environment *b);
void environment_fini(struct environment *environment); /* also of a zeroed one */

#endif
