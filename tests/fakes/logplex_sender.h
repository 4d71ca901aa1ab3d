/*
 * logplex_sender: Logplex as a drain's receiver sees it, and a judge of how that answers.
 *
 * Lines are framed as Logplex frames them and gathered in a batch; a batch goes out by POST over
 * connections that are kept open, each try to the next of the receivers, as a router in front of
 * them would do it. What is not answered by 2xx within 5 s is tried three times in all under the
 * same frame id, then dropped, and the next batch begins with an L10; what is answered by another
 * 4xx than 429 is dropped for good, without an L10.
 *
 * A rule that an answer broke is kept in words: late, no HTTP, or not empty by its own account.
 *
 * It blocks. Threads: one.
 */
#ifndef DYN_TESTS_LOGPLEX_SENDER_H
#define DYN_TESTS_LOGPLEX_SENDER_H

#include "common/str.h"

#define LOGPLEX_TARGETS_MAX 16

struct logplex;

struct logplex_options {
    const int *ports; /* of receivers on 127.0.0.1 */
    size_t ports_count;
    const char *token;
    const char *password; /* NULL: none in the drain's URL */
    bool chunked;         /* the body in chunks of many sizes, which Logplex itself does not do */
};

struct logplex_counts {
    uint64_t batches;
    uint64_t tries;
    uint64_t taken;   /* batches */
    uint64_t dropped; /* lines, after three tries */
    uint64_t refused; /* lines, for good */
};

struct logplex *logplex_new(const struct logplex_options *options);
void logplex_free(struct logplex *logplex);

/** A line into the present batch. */
void logplex_add(struct logplex *logplex, int64_t wall_s, const char *app, const char *process,
                 const char *message);
/** The same of the router: a request. */
void logplex_request(struct logplex *logplex, int64_t wall_s, unsigned status, unsigned connect_ms,
                     unsigned service_ms);
/** Send the batch; the status that it got last, 0: no answer. */
int logplex_send(struct logplex *logplex);
/** Whom the next try goes to. */
void logplex_turn(struct logplex *logplex, size_t target);
/** The answers to the next `tries` tries do not arrive: the connection ends when they come. */
void logplex_lose_answers(struct logplex *logplex, unsigned tries);

const struct logplex_counts *logplex_counts(const struct logplex *logplex);
/** The first rule that was broken; "" none. */
const char *logplex_violation(const struct logplex *logplex);

#endif
