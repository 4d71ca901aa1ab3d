/*
 * support_metrics: a fake-metrics process of one's own, and its control pages.
 *
 * Ownership: metrics_start starts a process that ends with this one, metrics_stop ends it.
 * Threads:   one.
 */
#ifndef TESTS_INTEGRATION_SUPPORT_METRICS_H
#define TESTS_INTEGRATION_SUPPORT_METRICS_H

#include <jansson.h>
#include <sys/types.h>

struct metrics {
    pid_t pid;
    unsigned port;
};

/** Starts it with the given world (single quotes stand for double ones); fails the test if not. */
struct metrics metrics_start(const char *state);
void metrics_stop(struct metrics *metrics);

/** Asks a control page, such as "state"; `body` NULL is none (single quotes for double). The caller
 *  owns what comes. */
json_t *metrics_control(const struct metrics *metrics, const char *method, const char *page,
                        const char *body);
/** The body of the n-th request, from 0, -1 the last, as JSON. The caller owns it. */
json_t *metrics_body(const struct metrics *metrics, int n);
/** How often a path, or all that begin with it, was asked for. */
size_t metrics_asked(const struct metrics *metrics, const char *path);
/** How often a rule was broken; NULL: any. */
size_t metrics_violations(const struct metrics *metrics, const char *rule);
/** Fails the test, and says what, when any rule was broken. */
void metrics_are_content(const struct metrics *metrics);

#endif
