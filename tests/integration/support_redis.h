/*
 * support_redis: a private redis-server for a test.
 *
 * It lives in a temporary directory on a Unix socket (and on a free loopback port when asked for),
 * and dies with the process that started it. Every failure to start ends the test program: a
 * test of the bus has nothing to say without a server.
 */
#ifndef DYN_TESTS_SUPPORT_REDIS_H
#define DYN_TESTS_SUPPORT_REDIS_H

#include <stdbool.h>
#include <stddef.h>

struct support_clock;
struct support_redis;

struct support_redis_options {
    bool append_only;     /* an AOF, appendfsync always: what was acknowledged survives a kill */
    bool tcp;             /* a loopback port besides the socket */
    const char *password; /* of the default user; NULL: none */
    const char *const *arguments;      /* further ones, NULL-terminated, or NULL */
    const struct support_clock *clock; /* its wall clock; NULL: the true one */
    const char *sentinel; /* the lines of its configuration: a Sentinel and no server of data */
};

/** Started and answering. `options` may be NULL. */
struct support_redis *support_redis_new(const struct support_redis_options *options);
/** Not started yet; support_redis_start() does that. */
struct support_redis *support_redis_prepare(const struct support_redis_options *options);
void support_redis_free(struct support_redis *redis); /* kills it, removes its directory */

const char *support_redis_url(const struct support_redis *redis);  /* unix://..., with password */
const char *support_redis_path(const struct support_redis *redis); /* the socket's */
int support_redis_port(const struct support_redis *redis);         /* 0 without `tcp` */
int support_redis_pid(const struct support_redis *redis);          /* 0 when it does not run */

void support_redis_start(
    struct support_redis *redis);                     /* on the same data; waits until it answers */
void support_redis_stop(struct support_redis *redis); /* SIGTERM, and waits for its end */
void support_redis_kill(struct support_redis *redis); /* SIGKILL, and waits for its end */
void support_redis_freeze(struct support_redis *redis); /* SIGSTOP */
void support_redis_thaw(struct support_redis *redis);   /* SIGCONT */

/**
 * One command over a connection of its own, blocking; the arguments are texts, and NULL ends them.
 * The answer as redis-cli would print it raw: one line an element, "(nil)", errors with their
 * words. It lives until the next call.
 */
const char *support_redis_call(struct support_redis *redis, const char *command, ...)
    __attribute__((sentinel));
/** The same for bytes. */
const char *support_redis_call_bytes(struct support_redis *redis, size_t argc,
                                     const char *const *argv, const size_t *lengths);
/** Further calls, and the PING that a start waits for, are this user's. Both are borrowed; NULL:
 *  nobody's. */
void support_redis_login(struct support_redis *redis, const char *user, const char *password);
/** As if somebody had held these leases and given them up under this very server: without that an
 *  actuator waits before it writes, since a journal that is not there may have been lost. NULL ends
 *  the accounts. */
void support_redis_leases_known(struct support_redis *redis, const char *account, ...)
    __attribute__((sentinel));
/** FUNCTION LOAD REPLACE of common/dyn.lua. */
void support_redis_load_functions(struct support_redis *redis);

#endif
