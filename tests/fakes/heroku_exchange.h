/*
 * heroku_exchange: one request from arrival to answer; what heroku_http and heroku_answer share.
 */
#ifndef TESTS_FAKES_HEROKU_EXCHANGE_H
#define TESTS_FAKES_HEROKU_EXCHANGE_H

#include "heroku_api.h"
#include "heroku_server.h"

/* One request from arrival to answer. */
struct exchange {
    struct fake *fake;
    struct MHD_Connection *connection;
    struct call call;
    struct reply reply;
    json_t *fault; /* its `do`; NULL when all is well */
    json_int_t n;
    int remaining; /* tokens left; -1 when no account asked */
    bool counted;  /* as a write in flight */
    char request_id[WORDS_SIZE];
    char etag[UUID_SIZE + 2]; /* empty: none */
};

/** A number, or 0, and whether the key is there and neither false nor null. */
int64_t fault_int(const struct exchange *ex, const char *key);
bool fault_has(const struct exchange *ex, const char *key);

/** Fills the reply as the fault's `status` wants it. The caller holds the lock. */
void answer_fault(struct exchange *ex);

/** What goes out, spoiled as the fault wants it; NULL without memory. */
struct MHD_Response *answer_new(struct exchange *ex);

#endif
