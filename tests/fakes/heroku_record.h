/*
 * heroku_record: every request that came, and what a real Heroku or a careful reader would have
 * held against it.
 *
 * Bounds:  the newest RECORD_MAX requests and VIOLATIONS_MAX violations are kept; older ones are
 *          counted.
 * Threads: the caller holds the fake's lock.
 */
#ifndef TESTS_FAKES_HEROKU_RECORD_H
#define TESTS_FAKES_HEROKU_RECORD_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define RECORD_MAX 100000
#define VIOLATIONS_MAX 10000

struct record {
    json_t *requests; /* oldest first; those in the first half are dropped when full */
    json_int_t first; /* number of the oldest kept */
    json_int_t next;
    json_t *violations;
    json_int_t violations_dropped;
};

void record_init(struct record *record);
void record_fini(struct record *record);

/** Takes over the entry, numbers it and returns its number. */
json_int_t record_add(struct record *record, json_t *entry);

/** The entry of that number, borrowed; NULL when it was dropped. */
json_t *record_at(const struct record *record, json_int_t n);

/** Notes that request `n` broke a rule. The official CLI, a human's hand, is not judged. */
void record_violation(struct record *record, json_int_t n, const char *rule, const char *format,
                      ...) __attribute__((format(printf, 4, 5)));

/** Entries after `since`, in full. The caller owns the result. */
json_t *record_since(const struct record *record, json_int_t since);
json_t *record_violations(const struct record *record);

/** Whether this user agent is the official CLI's. */
bool agent_is_cli(const char *agent);

#endif
