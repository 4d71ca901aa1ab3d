/*
 * heroku_catalog: what Heroku sells: dyno sizes with their limits, add-on plans. Names are real,
 * prices invented.
 */
#ifndef TESTS_FAKES_HEROKU_CATALOG_H
#define TESTS_FAKES_HEROKU_CATALOG_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct dyno_size {
    const char *name;
    int per_type; /* dynos of one process type at most; 0 is no limit of its own */
    int per_app;  /* dynos of this size in one app at most; 0 likewise */
    bool raisable;
    bool fir;
    int cents;
    double memory;
};

struct plan {
    const char *service;
    const char *name;
    int cents;
};

extern const struct dyno_size DYNO_SIZES[];
extern const size_t DYNO_SIZE_COUNT;
extern const struct plan PLANS[];
extern const size_t PLAN_COUNT;

/** By id, or by name without regard to case; NULL when unknown. */
const struct dyno_size *dyno_size_find(const char *name);

/** By id or full name; NULL when unknown. */
const struct plan *plan_find(const char *name);

#endif
