/*
 * heroku_fault: what shall go wrong, for which requests, and how often.
 *
 * Threads: the caller holds the fake's lock; an action returned is a reference of its own, which
 *          nobody changes, and may be read without it.
 */
#ifndef TESTS_FAKES_HEROKU_FAULT_H
#define TESTS_FAKES_HEROKU_FAULT_H

#include "heroku_world.h"

#include <regex.h>

struct fault {
    json_t *rule;
    regex_t path;
    bool has_path;
    int64_t times; /* left; -1 for ever */
    int64_t after; /* matching requests to let pass first */
    int64_t hits;
};

struct faults {
    struct fault **items;
    size_t count;
};

void faults_clear(struct faults *faults);

/** Adds one rule or an array of them; false, and words in `error`, when one is not understood. */
bool faults_add(struct faults *faults, json_t *rules, char error[WORDS_SIZE]);

/**
 * The `do` of the first fault that wants this request, counted as used; NULL when none does.
 * The caller releases it. `app` and `account` may be NULL.
 */
json_t *faults_take(struct faults *faults, const char *method, const char *path,
                    const struct app *app, const struct account *account);

/** The rules with their figures. The caller owns the result. */
json_t *faults_dump(const struct faults *faults);

#endif
