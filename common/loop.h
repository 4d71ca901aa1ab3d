/*
 * loop: timers, descriptors, signals and child processes on one libuv loop.
 *
 * Life of a handle: x_new() makes it, x_free() ends it; after x_free() returns no callback of it
 * comes again, and its memory goes when libuv has closed it. x_free(NULL) is fine, and freeing a
 * handle inside its own callback is too. Callbacks run on the loop's thread, the one that calls
 * dyn_loop_run(). Times are milliseconds of CLOCK_BOOTTIME.
 */
#ifndef DYN_COMMON_LOOP_H
#define DYN_COMMON_LOOP_H

#include "common/err.h"
#include "common/str.h"

#include <stdbool.h>
#include <stdint.h>

struct dyn_loop;
struct dyn_timer;
struct dyn_watch;
struct dyn_signal;
struct dyn_child;

struct dyn_loop *dyn_loop_new(void);       /* NULL: no memory or no descriptors */
void dyn_loop_free(struct dyn_loop *loop); /* every handle freed before; runs the last closes */
void dyn_loop_run(struct dyn_loop *loop);  /* until dyn_loop_stop() or nothing is left to await */
void dyn_loop_stop(struct dyn_loop *loop);
/** Run ready callbacks and wait at most `wait_ms` for one; for tests and for small programs. */
void dyn_loop_once(struct dyn_loop *loop, int wait_ms);
int64_t dyn_loop_now_ms(const struct dyn_loop *loop); /* taken before each callback */

typedef void dyn_timer_fn(void *arg);
struct dyn_timer *dyn_timer_new(struct dyn_loop *loop, dyn_timer_fn *fn, void *arg);
/**
 * (Re)start; fires once after `delay_ms`, then each `repeat_ms` unless that is 0. Never early by
 * dyn_loop_now_ms(); beats that were missed (a suspended machine, a long callback) are left out.
 */
void dyn_timer_start(struct dyn_timer *timer, int64_t delay_ms, int64_t repeat_ms);
void dyn_timer_stop(struct dyn_timer *timer);
bool dyn_timer_active(const struct dyn_timer *timer);
void dyn_timer_free(struct dyn_timer *timer);

enum {
    DYN_READABLE = 1,
    DYN_WRITABLE = 2,
    DYN_FAILED = 4
};
/**
 * `events` has DYN_FAILED when the descriptor broke; DYN_READABLE and DYN_WRITABLE as asked for
 * are set with it, so that a library that polls finds the error by reading. The watch is stopped
 * then, since a broken descriptor stays ready for ever; dyn_watch_set() starts it again.
 */
typedef void dyn_watch_fn(void *arg, int events);
/**
 * The descriptor stays the caller's, who closes it after dyn_watch_free(); it becomes non-blocking.
 * NULL: no memory, already watched, or nothing that can be polled.
 */
struct dyn_watch *dyn_watch_new(struct dyn_loop *loop, int fd, dyn_watch_fn *fn, void *arg);
void dyn_watch_set(struct dyn_watch *watch, int events); /* 0 stops */
void dyn_watch_free(struct dyn_watch *watch);

typedef void dyn_signal_fn(void *arg, int signum);
/** NULL: no memory, or a signal that cannot be caught. */
struct dyn_signal *dyn_signal_new(struct dyn_loop *loop, int signum, dyn_signal_fn *fn, void *arg);
void dyn_signal_free(struct dyn_signal *sig);

/**
 * Run work(data) on another thread, which may block there, then done(data) on the loop's, exactly
 * once. There are few such threads, and dyn_loop_free() waits for what runs on them. DYN_NOMEM:
 * neither is called.
 */
DYN_NODISCARD dyn_err dyn_work_start(struct dyn_loop *loop, void (*work)(void *data),
                                     void (*done)(void *data), void *data);

struct dyn_child_options {
    const char *const *argv; /* argv[0] a path or a name in env's PATH; no shell */
    const char *const *env;  /* the whole environment, NAME=value, NULL-terminated */
    const char *cwd;         /* NULL: ours */
    size_t output_max;       /* bytes of standard output kept; 0: stdout is inherited */
    bool quiet;              /* standard error goes nowhere instead of ours */
    /** The child is gone and its output complete; what it left running in its process group was
     *  killed. `status` is the exit code, or 128 + signal. `truncated`: it wrote more than
     *  output_max. `output` lives during the call. Called exactly once unless freed before. */
    void (*exited)(void *arg, int status, struct dyn_str output, bool truncated);
    void *arg;
};
/**
 * Standard input is /dev/null, descriptors other than 0 to 2 are not inherited, the child leads a
 * new session and process group. DYN_NOTFOUND: no such program or directory; DYN_NOMEM; DYN_IO.
 */
DYN_NODISCARD dyn_err dyn_child_start(struct dyn_loop *loop,
                                      const struct dyn_child_options *options,
                                      struct dyn_child **out_child, struct dyn_error *error);
int dyn_child_pid(const struct dyn_child *child);
void dyn_child_kill(struct dyn_child *child, int signum); /* the child's process group */
/** Kills what still runs, calls nothing any more. */
void dyn_child_free(struct dyn_child *child);

#endif
