#include "deploy/cli/keeper.h"

#include "common/clock.h"

#include <signal.h>

enum {
    EXIT_WRONG = 2,
    EXIT_SIGNAL = 128
};

struct keeper {
    struct dyn_loop *loop;
    struct keeper_options options;
    struct dyn_child *child; /* NULL: it does not run */
    struct dyn_timer *again;
    struct dyn_timer *deadline; /* of a stop */
    int64_t started_ms;
    int64_t bound_ms; /* of the next wait */
    bool stopping;
    bool renewing;
};

static void child_start(struct keeper *keeper);

static void again_due(void *arg)
{
    child_start(arg);
}

static void deadline_passed(void *arg)
{
    struct keeper *keeper = arg;
    (void)fprintf(stderr, "dynosaur: %s does not end: killed\n", keeper->options.name);
    keeper_signal(keeper, SIGKILL);
}

static void wait_again(struct keeper *keeper)
{
    if (dyn_loop_now_ms(keeper->loop) - keeper->started_ms >= KEEPER_STEADY_MS) {
        keeper->bound_ms = KEEPER_FIRST_MS;
    }
    int64_t wait_ms =
        KEEPER_FIRST_MS / 2 + (int64_t)(dyn_random() % (uint64_t)(keeper->bound_ms + 1));
    keeper->bound_ms =
        keeper->bound_ms * 2 < KEEPER_LONGEST_MS ? keeper->bound_ms * 2 : KEEPER_LONGEST_MS;
    dyn_timer_start(keeper->again, wait_ms, 0);
}

static void child_exited(void *arg, int status, struct dyn_str output, bool truncated)
{
    struct keeper *keeper = arg;
    char why[DYN_ERROR_TEXT_MAX];
    (void)output;
    (void)truncated;
    dyn_child_free(keeper->child);
    keeper->child = NULL;
    dyn_timer_stop(keeper->deadline);
    if (keeper->stopping) {
        keeper->options.stopped(keeper->options.arg);
        return;
    }
    if (keeper->renewing) {
        keeper->renewing = false;
        child_start(keeper);
        return;
    }
    if (status == EXIT_WRONG) {
        (void)snprintf(why, sizeof why, "%s refuses its configuration", keeper->options.name);
        keeper->options.wrong(keeper->options.arg, why);
        return;
    }
    (void)fprintf(stderr, "dynosaur: %s ended with %s %d: started again\n", keeper->options.name,
                  status > EXIT_SIGNAL ? "signal" : "status",
                  status > EXIT_SIGNAL ? status - EXIT_SIGNAL : status);
    wait_again(keeper);
}

static void child_start(struct keeper *keeper)
{
    struct dyn_error error = {""};
    struct dyn_child_options options = {.argv = keeper->options.argv,
                                        .env = keeper->options.env,
                                        .cwd = keeper->options.cwd,
                                        .exited = child_exited,
                                        .arg = keeper};
    keeper->started_ms = dyn_loop_now_ms(keeper->loop);
    dyn_err err = dyn_child_start(keeper->loop, &options, &keeper->child, &error);
    if (err == DYN_NOTFOUND) {
        keeper->options.wrong(keeper->options.arg, error.text);
    } else if (err != DYN_OK) {
        (void)fprintf(stderr, "dynosaur: %s\n", error.text);
        wait_again(keeper);
    }
}

struct keeper *keeper_new(struct dyn_loop *loop, const struct keeper_options *options)
{
    struct keeper *keeper = calloc(1, sizeof *keeper);
    if (keeper == NULL) {
        return NULL;
    }
    keeper->loop = loop;
    keeper->options = *options;
    keeper->bound_ms = KEEPER_FIRST_MS;
    keeper->again = dyn_timer_new(loop, again_due, keeper);
    keeper->deadline = dyn_timer_new(loop, deadline_passed, keeper);
    if (keeper->again == NULL || keeper->deadline == NULL) {
        keeper_free(keeper);
        return NULL;
    }
    return keeper;
}

void keeper_free(struct keeper *keeper)
{
    if (keeper == NULL) {
        return;
    }
    dyn_child_free(keeper->child);
    dyn_timer_free(keeper->again);
    dyn_timer_free(keeper->deadline);
    free(keeper);
}

void keeper_start(struct keeper *keeper)
{
    if (keeper->child == NULL && !dyn_timer_active(keeper->again)) {
        child_start(keeper);
    }
}

void keeper_stop(struct keeper *keeper)
{
    keeper->stopping = true;
    dyn_timer_stop(keeper->again);
    if (keeper->child == NULL) {
        keeper->options.stopped(keeper->options.arg);
        return;
    }
    keeper_signal(keeper, SIGTERM);
    dyn_timer_start(keeper->deadline, KEEPER_STOP_MS, 0);
}

void keeper_renew(struct keeper *keeper, const char *const *env)
{
    keeper->options.env = env;
    if (keeper->child != NULL && !keeper->stopping) {
        keeper->renewing = true;
        keeper_signal(keeper, SIGTERM);
        dyn_timer_start(keeper->deadline, KEEPER_STOP_MS, 0);
    }
}

void keeper_signal(struct keeper *keeper, int signum)
{
    if (keeper->child != NULL) {
        dyn_child_kill(keeper->child, signum);
    }
}

int keeper_pid(const struct keeper *keeper)
{
    return keeper->child != NULL ? dyn_child_pid(keeper->child) : 0;
}
