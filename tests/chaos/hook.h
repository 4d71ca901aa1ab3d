/*
 * hook: a page that is told what happens, the webhook of fake-metrics, and events of our own that
 * must come to it.
 *
 * Who was told what is judged by what the page took, never by what a reporter says of itself; the
 * page judges the form of each delivery (../fakes/README.md).
 *
 * Ownership: hook_start() starts a process, hook_end() ends it.
 * Threads:   one.
 */
#ifndef DYN_TESTS_CHAOS_HOOK_H
#define DYN_TESTS_CHAOS_HOOK_H

#include "scene.h"

#define HOOK_EVENTS_MAX 4096
#define HOOK_LEASE "dyn:{rep}:errors:webhook:lease"

struct hook {
    struct program *program;
    struct heroku pages; /* nothing but the port of its pages */
    char sinks[160];     /* of the configuration: this page beside the console */
    size_t raised;
    bool may_repeat[HOOK_EVENTS_MAX];
};

/* Of all that came, after hook_judge(). */
struct hook_tally {
    size_t deliveries, repeated;
};

void hook_start(struct hook *hook);
void hook_end(struct hook *hook);

/** Raise an error that nobody raised before, and return its number. `may_repeat`: a reporter may
 *  die between its delivery and the cursor of that, and then it comes once more. */
size_t hook_raise(struct hook *hook, struct scene *scene, bool may_repeat);
/** How often it was told that. */
size_t hook_times(const struct hook *hook, size_t number);
/** Fail unless each event came, nothing of anybody came twice but what may, nothing was given up,
 *  and the page is content. */
struct hook_tally hook_judge(const struct hook *hook, struct scene *scene);

#endif
