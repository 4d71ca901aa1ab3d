/*
 * sim_http: the HTTP client of the services in the simulated world, and what its servers see of it.
 *
 * A request is an exchange: it leaves its process when the connection stands and before_send said
 * yes, and from then on lives by itself. Its process may die, freeze or give it up: the server does
 * what it was asked all the same, and only the answer finds nobody. Servers are told apart by the
 * URL: what begins with SIM_SOURCES_URL goes to the metric sources, everything else to Heroku.
 *
 * Ownership: an exchange is freed once it was answered and its client let go of it; a server calls
 * sim_exchange_answer() or sim_exchange_drop() exactly once, from an event of the world.
 */
#ifndef DYN_SIM_HTTP_H
#define DYN_SIM_HTTP_H

#include "common/http.h"
#include "tests/sim/sim.h"

#define SIM_HEROKU_URL "https://api.heroku.com"
#define SIM_SOURCES_URL "http://127.0.0.1:7000"
#define SIM_EXCHANGE_HEADERS 8
#define SIM_EXCHANGE_BODY 256

struct sim_exchange {
    /* The request. */
    uint64_t process; /* sim_process_id() of who sent it; it may be gone */
    char sender[32];
    char method[8];
    char path[256]; /* behind the host */
    char user_agent[64];
    char headers[SIM_EXCHANGE_HEADERS][320]; /* "Name: value" */
    size_t headers_count;
    char body[SIM_EXCHANGE_BODY];
    size_t body_len;
    bool has_body;
    int64_t sent_at;

    /* The answer; the server fills it before sim_exchange_answer(). */
    long status;
    char *reply; /* owned; may be NULL */
    size_t reply_len;
    bool cut;             /* the body breaks off: the client sees a broken connection */
    char remaining[24];   /* RateLimit-Remaining; "": not there */
    char retry_after[24]; /* "": not there */
    char request_id[96];

    /* sim_http's own. */
    struct http_transfer *transfer; /* NULL: nobody waits any more */
    struct sim_event event;
    bool arrived;
    bool answered;
    bool dropped;
    void *server; /* the server's own */
};

/** The value of a header of the request; NULL when it was not sent. */
const char *sim_exchange_header(const struct sim_exchange *exchange, const char *name);
/** The answer leaves now. */
void sim_exchange_answer(struct sim_exchange *exchange);
/** The connection closes without an answer. */
void sim_exchange_drop(struct sim_exchange *exchange);

/* The servers: a request arrives. */
void sim_heroku_arrive(struct sim_exchange *exchange);
void sim_sources_arrive(struct sim_exchange *exchange);

/** Called as a request leaves its process, before anything else can happen to it. */
void sim_http_watch(void (*fn)(void *arg, const struct sim_exchange *exchange), void *arg);
/** Usual time of one way; drawn for each from half of it to twice. */
void sim_http_latency(int64_t usual_us);

#endif
