/*
 * keeper: one child process, started again when it ends by itself, stopped cleanly when asked.
 *
 * A child that ends is started again after a random wait whose bound doubles from KEEPER_FIRST_MS
 * to KEEPER_LONGEST_MS; one that was up for KEEPER_STEADY_MS begins anew with the first.
 * Exit status 2 is a wrong configuration: it is told and not tried again.
 *
 * Ownership: the name, the arguments and the environment are borrowed. Threads: the loop's.
 */
#ifndef DYN_CLI_KEEPER_H
#define DYN_CLI_KEEPER_H

#include "common/loop.h"

#define KEEPER_FIRST_MS 500
#define KEEPER_LONGEST_MS 30000
#define KEEPER_STEADY_MS 60000
#define KEEPER_STOP_MS 10000 /* from SIGTERM to SIGKILL */

struct keeper;

struct keeper_options {
    const char *name;        /* for people */
    const char *const *argv; /* argv[0] a path or a name in PATH */
    const char *const *env;  /* the whole environment */
    const char *cwd;         /* NULL: ours */
    /** It ended with status 2, or cannot be started at all: it is not tried again. */
    void (*wrong)(void *arg, const char *why);
    /** What keeper_stop() asked for is done. */
    void (*stopped)(void *arg);
    void *arg;
};

/** NULL: no memory. */
struct keeper *keeper_new(struct dyn_loop *loop, const struct keeper_options *options);
void keeper_free(struct keeper *keeper); /* kills what still runs */
void keeper_start(struct keeper *keeper);
/** SIGTERM, later SIGKILL; `stopped` comes exactly once, at once when nothing runs. */
void keeper_stop(struct keeper *keeper);
/** The same, and then it is started again, with `env`. */
void keeper_renew(struct keeper *keeper, const char *const *env);
void keeper_signal(struct keeper *keeper, int signum); /* nothing when it does not run */
int keeper_pid(const struct keeper *keeper);           /* 0: it does not run */

#endif
