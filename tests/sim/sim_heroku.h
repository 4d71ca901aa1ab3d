/*
 * sim_heroku: the model Heroku: accounts with keys and a pool of requests each, apps with a
 * quantity of `web`, or the plan of a Redis: then quantities are its rungs, from 1. Requests are
 * judged and answered by the code of tests/fakes, on the world's clock; faults and what people do
 * come from here.
 *
 * Threads: one. There is one world at a time.
 */
#ifndef DYN_SIM_HEROKU_H
#define DYN_SIM_HEROKU_H

#include "tests/sim/sim.h"
#include "tests/sim/sim_http.h"

#define HEROKU_ACCOUNTS_MAX 4
#define HEROKU_APPS_MAX 8
#define HEROKU_RULES_MAX 32

void heroku_begin(void);
void heroku_end(void);
/** Its number. The pool has `capacity` tokens, and `per_minute` more each minute. */
size_t heroku_account_add(const char *email, double capacity, double per_minute);
void heroku_key_add(size_t account, const char *key);
size_t heroku_app_add(const char *name, size_t account, int quantity);
/** One whose Redis counts; a change of plan takes so long. */
size_t heroku_redis_add(const char *name, size_t account, int rung, int64_t provision_ms);

int heroku_quantity(size_t app);
bool heroku_in_maintenance(size_t app);
int heroku_tokens(size_t account);
double heroku_capacity(size_t account);
/** The number of requests that broke a rule of tests/fakes, by rule; NULL beyond the last. */
const char *heroku_broken_rule(size_t index, const char **out_detail);
size_t heroku_requests(void);

/* ---- what people do ---- */

void heroku_human_set(size_t app, int quantity);
void heroku_maintenance_set(size_t app, bool on);
/** Somebody else's programs use the pool up, but for `left`. */
void heroku_pool_use(size_t account, double left);

/* ---- faults ---- */

enum heroku_fault {
    HEROKU_401,
    HEROKU_402,
    HEROKU_SUSPENDED, /* 403 */
    HEROKU_404,
    HEROKU_409,
    HEROKU_LIMIT, /* 422 with a limit */
    HEROKU_422,   /* without */
    HEROKU_429,
    HEROKU_429_RETRY, /* with Retry-After */
    HEROKU_500,
    HEROKU_503_HTML,
    HEROKU_DROP,      /* the connection closes, nothing is done */
    HEROKU_DONE_MUTE, /* done, and no answer in time */
    HEROKU_STALL,     /* done after 30 s */
    HEROKU_TRUNCATED, /* done; half a body */
    HEROKU_HUGE,      /* done; a body without an end */
    HEROKU_IGNORED,   /* said to be done, and not done */
    HEROKU_FAULTS
};
const char *heroku_fault_text(enum heroku_fault fault);

struct heroku_rule {
    enum heroku_fault fault;
    size_t account; /* SIZE_MAX: any */
    size_t app;     /* SIZE_MAX: any request */
    bool writes_only;
    double chance;
    int64_t from, until;
    int limit; /* HEROKU_LIMIT; seconds of HEROKU_429_RETRY */
};
/** Forgotten when its time is over; the oldest goes when there are too many. */
void heroku_rule_add(const struct heroku_rule *rule);
void heroku_rules_clear(void);
/** Since when every request of the account is refused as by 401, 402 or 403 suspended; -1: it is
 *  not. */
int64_t heroku_refused_since(size_t account);

/* ---- for an auditor ---- */

enum heroku_note_kind {
    HEROKU_NOTE_APPLIED, /* a write changed an app, or wrote what was there */
    HEROKU_NOTE_LIMITED, /* the pool was empty: 429 */
    HEROKU_NOTE_HUMAN,   /* a human's change */
    HEROKU_NOTE_REFUSED, /* an answer other than 2xx, but the two above */
};
struct heroku_note {
    enum heroku_note_kind kind;
    size_t account; /* SIZE_MAX: none such */
    size_t app;     /* SIZE_MAX: not of an app */
    int from, to;
    long status;
    bool late;                           /* it was stalled: older than anybody waits for */
    const struct sim_exchange *exchange; /* NULL: HEROKU_NOTE_HUMAN */
};
void heroku_watch(void (*fn)(void *arg, const struct heroku_note *note), void *arg);
/** Which app a path is about, and whether the request is a write; SIZE_MAX: none. */
size_t heroku_app_of(const struct sim_exchange *exchange);
bool heroku_is_write(const struct sim_exchange *exchange);
/** The quantity that a write asks for; -1: it is none. */
int heroku_wish_of(const struct sim_exchange *exchange);
size_t heroku_account_of(const struct sim_exchange *exchange);

#endif
