/*
 * support_fold: a fold of one partition with two apps, what the tests tell it and what it gave.
 * Shop has two inputs, blog has one. Times are seconds of the log where they do not say `ms`.
 *
 * Threads: one. One fold at a time; a test may change the configuration before it says anything.
 */
#ifndef DYN_TESTS_SUPPORT_FOLD_H
#define DYN_TESTS_SUPPORT_FOLD_H

#include "estimator/fold.h"

#include <check.h>

#define SERIES_USERS 11
#define SERIES_RPM 22
#define SERIES_BLOG 33
#define SHOP 1001
#define BLOG 1002

extern struct config_input shop_inputs[2];
extern struct config_input blog_inputs[1];
extern struct config_controller shop_controller;
extern struct config_controller blog_controller;
extern struct config config;

extern struct fold *fold;
extern const struct fold_out out;
extern uint64_t epoch;    /* of the ticks that follow */
extern int64_t ticked_at; /* the last tick's ms; -1: the next one is a leader's first */
extern uint64_t batch_seq;

struct fold_got {
    size_t count; /* targets that changed */
    struct target last;
    bool changed;
};
extern struct fold_got shop_got, blog_got;
extern size_t keyframes;
extern size_t reports;
extern struct report shop_report;
extern char events[4096];   /* "CODE INPUT raised\n" of each */
extern uint64_t told_epoch; /* the fold's, when it told the last one */

void fold_setup(void);
void fold_teardown(void);
/** A fold of the configuration as the test has changed it. */
void fold_again(void);

void send_at(int64_t now_ms, uint64_t series, int64_t age_ms, enum sample_status status,
             double value);
void say(int64_t now_s, uint64_t series, double value);
void say_failure(int64_t now_s, uint64_t series);
/** Without an epoch, or a configuration, of its own the tick has the test's. */
void tick_with(int64_t now_ms, struct tick tick);
void tick(int64_t now_s);
/** Both of shop's inputs and blog's say the same value each minute, with a tick each second. */
void run(int64_t from_s, int64_t to_s, double value);
/** Another leader: the next tick is its first. */
void take_over(void);

/** Blog's dynos become the plans of its Redis, of which two are allowed. */
void blog_scales_plans(enum plan_measure measure);

#endif
