/*
 * support_judge: whether what a fleet did holds the invariants, from its tapes and the fake
 * Heroku's record. The maxima are computed anew here from all samples, O(n) a question.
 */
#ifndef DYN_TESTS_SUPPORT_JUDGE_H
#define DYN_TESTS_SUPPORT_JUDGE_H

#include "support_fleet.h"

/* A published target is known to the actuator, and its request is with Heroku, within this. */
#define JUDGE_LATE_MS 3000

/**
 * I2 and I4: the epochs of published targets never fall; fold all recorded values again, and every
 * published target must be equal, bit for bit. Left out are targets decided under another
 * configuration than the fleet's present one. How many were compared.
 */
size_t judge_replay(struct fleet *fleet);

/**
 * I1 on the bus: no target lies below what the samples in force during the window ask for, and
 * none that may lower was published without good samples over the whole window. How many targets
 * that may lower there were.
 */
size_t judge_targets(struct fleet *fleet);

struct judge_run {
    size_t rises, falls;
    int64_t late_ms; /* the longest time from a sample that asks for more to Heroku's answer;
                        INT64_MAX: that many never ran */
};
/**
 * I1 at Heroku, for the one controller of `app`, whose quantity was `first` at the start: no change
 * lowers below what a published target allowed, or below what the window asks for.
 */
struct judge_run judge_changes(struct fleet *fleet, const char *app, int first);

struct judge_sample {
    int64_t at_ms;     /* when it was taken */
    int64_t logged_ms; /* of its entry */
    int64_t end_ms;    /* when the next one was in force; INT64_MAX: none yet */
    double value;
    bool late; /* too late to count for coverage, or out of order */
};
struct judge_samples {
    struct judge_sample *samples;
    size_t count;
};
/** The good samples of an input; the caller frees `samples`. */
struct judge_samples judge_samples(struct fleet *fleet, const struct config_app *app,
                                   const struct config_input *input);
const struct config_app *judge_app(const struct fleet *fleet, const char *name);

#endif
