/*
 * support_actuator: the actuator's core and a model Heroku around it: a token bucket, formations or
 * the plans of an add-on, and whatever answer a test asks for. Time moves by hand.
 *
 * What must never happen fails the test from within: two requests in flight for an app, a write out
 * of range, a write in mode shadow.
 */
#ifndef DYN_TESTS_UNIT_SUPPORT_ACTUATOR_H
#define DYN_TESTS_UNIT_SUPPORT_ACTUATOR_H

#include "actuator/core.h"

#include <check.h>

#define WALL INT64_C(1700000000000)
#define QUEUE 64

struct model {
    struct config config;
    struct config_account accounts[2];
    struct config_app apps[4];
    struct config_controller controllers[4];
    struct act_core *core;
    struct act_now now;

    /* Heroku. */
    int32_t quantity[4]; /* of each app's web; -1: no such type */
    bool plans;          /* quantities are rungs of an add-on's plans */
    bool provisioning;   /* ... which is being changed */
    bool both;           /* the second quantity is that of the first app's add-on */
    int32_t others;      /* dynos of a second process type */
    bool maintenance;
    int64_t tokens, tokens_max;
    int64_t refill_ms;
    int64_t refilled_at;
    const char *identity[2];
    int overdrawn; /* requests that found the pool empty */
    int silent;    /* no RateLimit-Remaining */

    /* The next answer to a request of that kind; class 0: as the model has it. */
    struct act_answer fault[ACT_WRITE_PLAN + 1];
    int faults[ACT_WRITE_PLAN + 1]; /* how many answers are so */
    bool applied_anyway;            /* a write that fails is done all the same */
    bool not_kept;                  /* a write is confirmed and not done */
    dyn_err begin_answer;
    bool hold_answers;
    bool lazy; /* some answers come later, and in any order */

    bool tells;    /* somebody wants to know whose a key is, and clears */
    char told[64]; /* what it was told */

    /* What the core did. */
    struct act_request sent[QUEUE];
    int sent_count;
    uint64_t begun[QUEUE];
    int begun_count;
    int in_flight[4];
    int writes, reads, begins, ends, notes;
    struct act_request last_write;
    enum action_outcome last_outcome;
    int32_t last_action_to;
    int actions;
    char events[4096];
    char running[512];
    bool running_deaf; /* it cannot be told */
    struct intent journal[4];
    int fenced;
    int trusted; /* so often a journal was */
    bool lowest_checked;
    int32_t lowest[4]; /* a write below is an error */
};

/** `apps` apps with one controller each, split over `accounts` accounts, and a core that has them.
 */
void model_init(struct model *model, size_t apps, size_t accounts);
void model_controller(struct config_controller *controller, uint64_t id);
/** What the controllers scale from here on: plans, in place of dynos. Before model_start(). */
void model_scale_plans(struct model *model);
/** Another core, with what the model is now. The one of before is the caller's to free. */
void model_start(struct model *model);

/** All accounts are led from now on, with empty journals. */
void model_lead(struct model *model);
void model_mark(struct model *model);
dyn_err model_want(struct model *model, size_t app, int32_t rung, bool raise_only);
enum guard model_guard(struct model *model, size_t app);

void model_pass(struct model *model, int64_t ms);
/** Answer all that is under way, and what follows from it. */
void model_settle(struct model *model);
void model_answer(struct model *model, struct act_request request);
/** The kind of request for what the model scales: of dynos that kind itself. */
enum act_request_kind model_kind(const struct model *model, enum act_request_kind kind);
/** The next `count` answers to such requests. */
void model_fail_next(struct model *model, enum act_request_kind kind, enum act_class class,
                     int32_t status, int count);

void model_seed(uint64_t seed);
uint64_t model_dice(uint64_t sides);

extern struct model m; /* of the test that runs */

/** What is the same for dynos and for plans is added to a test case of each: one app of one
 * account, with `m` made and freed around each test. */
TCase *model_tcase_dynos(Suite *suite);
TCase *model_tcase_plans(Suite *suite);
TCase *model_tcase(Suite *suite, const char *name, SFun set_up);
void model_teardown(void);
/** Run and free it: what main() returns. */
int model_run(Suite *suite);

#endif
