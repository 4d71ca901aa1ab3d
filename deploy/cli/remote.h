/*
 * remote: Redis for commands that ask a few things and end: each call waits for its answer.
 *
 * Ownership: a reply lives during its callback. Threads: one.
 */
#ifndef DYN_CLI_REMOTE_H
#define DYN_CLI_REMOTE_H

#include "common/bus_config.h"

struct remote;

/** Connected, or NULL and words when that took longer than `wait_ms` or what was configured is
 * wrong. */
struct remote *remote_open(const struct bus_config *redis, int64_t wait_ms,
                           struct dyn_error *error);
void remote_close(struct remote *remote);

typedef void remote_fn(void *arg, const struct bus_reply *reply);

/** Send a command and wait. `fn`, which may be NULL, gets the answer; an error reply is
 *  DYN_REFUSED with the server's words, and `fn` is not called. */
DYN_NODISCARD dyn_err remote_call(struct remote *remote, const struct dyn_str *argv, size_t argc,
                                  remote_fn *fn, void *arg, struct dyn_error *error);

/** The same for texts, the last of which is followed by NULL; at most 16. */
DYN_NODISCARD dyn_err remote_ask(struct remote *remote, remote_fn *fn, void *arg,
                                 struct dyn_error *error, ...) __attribute__((sentinel));

#endif
