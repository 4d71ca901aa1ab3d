/*
 * support_bus: a real Redis, a loop, and what a bus to that Redis tells.
 *
 * Threads: one. support_bus_setup() and support_bus_teardown() are a fixture.
 */
#ifndef DYN_TESTS_SUPPORT_BUS_H
#define DYN_TESTS_SUPPORT_BUS_H

#include "common/bus.h"
#include "common/clock.h"
#include "support_redis.h"

#include <check.h>

extern struct dyn_loop *loop;
extern struct support_redis *redis; /* appends to a file; on a socket and on TCP */

void support_bus_setup(void);
void support_bus_teardown(void);

/* What the callbacks of one bus saw. */
struct seen {
    int ready;
    int lost;
    char replid[64];
    char why[512];
    size_t answers[DYN_UNSUPPORTED + 1]; /* by dyn_err */
    size_t total;
    char text[256]; /* the last answer's */
    int troubles;
    char trouble[512];
    bool may_pass; /* the last error */
};

/** Told to `seen` from then on, which is the argument of all callbacks. */
struct bus *bus_open(struct seen *seen, const char *url);
void on_ready(void *arg, struct dyn_str replid);
void on_lost(void *arg, const char *why);
void on_answer(void *arg, dyn_err err, const struct bus_reply *reply);
/** Add an entry to the stream s, and wait for the answer. */
void add_one(struct bus *bus, struct seen *seen);
/** Add so many entries, and wait for the answers. */
void fill(struct bus *bus, struct seen *seen, const char *key, size_t count);

/* Turn the loop until the condition holds; the test fails when it does not within 20 s. */
#define UNTIL(condition)                                                                        \
    do {                                                                                        \
        int64_t until_ms = dyn_clock_boot_ms() + 20000;                                         \
        while (!(condition)) {                                                                  \
            ck_assert_msg(dyn_clock_boot_ms() < until_ms, "waited in vain for %s", #condition); \
            dyn_loop_once(loop, 20);                                                            \
        }                                                                                       \
    } while (0)

#endif
