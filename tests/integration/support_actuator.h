/*
 * support_actuator: what a test of actuators needs beside Redis and the fake Heroku: the test is
 * `dynosaur setup` and the estimator.
 *
 * Threads: one.
 */
#ifndef DYN_TESTS_SUPPORT_ACTUATOR_H
#define DYN_TESTS_SUPPORT_ACTUATOR_H

#include "support_heroku.h"
#include "support_program.h"
#include "support_redis.h"

#include "common/config.h"

/* As short as a loaded machine with sanitizers bears. */
#define SUPPORT_LEASE \
    "{renew: 0.4, hold: 3, actuator_wait: 4, estimator_wait: 2, beat: 0.2, gone: 0.8}"
#define SUPPORT_WAIT_MS 4000
#define SUPPORT_SETTLE_MS 10000 /* hold + 10 s - wait + 1 s, as the actuator reckons it */

/** The Functions and PREFIX:setup with one partition. */
void support_setup(struct support_redis *redis);
struct program *support_actuator_start(const struct support_file *file,
                                       const struct support_redis *redis, const char *instance);

/** The newest target of an app's first controller, as dyn_publish would write it. */
void support_say_target(struct support_redis *redis, const struct config *config, size_t app,
                        int rung, bool raise_only);
/** The same of any controller. */
void support_say_target_of(struct support_redis *redis, const struct config_app *app,
                           const struct config_controller *controller, int rung, bool raise_only);
/** A newer mark of partition 0. */
void support_say_mark(struct support_redis *redis);

/** What runs of the app's process type web. */
int support_web(const struct heroku *heroku, const char *app);
/** Wait until it is so; false after `ms`. */
bool support_web_is(const struct heroku *heroku, const char *app, int quantity, int ms);
/** Requests that the fake Heroku has logged; "" for any method or path. */
int support_requests(const struct heroku *heroku, const char *method, const char *path);
/** Fails the test if the fake Heroku saw anything that must not be. */
void support_no_violations(const struct heroku *heroku);

void support_nap(void); /* 20 ms, between two looks */

#endif
