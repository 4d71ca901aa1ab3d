/*
 * metrics_fake: what the parts of fake-metrics share: the world, a request, its answer, and the
 * list of what a good client does not do.
 *
 * Each vendor is one function that answers the requests for its paths, as the real service would,
 * and notes what that would refuse or mind. All run under one lock.
 */
#ifndef TESTS_FAKES_METRICS_FAKE_H
#define TESTS_FAKES_METRICS_FAKE_H

#include <jansson.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct fake {
    pthread_mutex_t lock;
    json_t *state;      /* by vendor; see README.md */
    json_t *requests;   /* oldest first */
    json_t *violations; /* the same */
    json_t *answers;    /* what is said instead of the truth */
    json_int_t advance_ms;
    int64_t google_error_ms; /* when it last answered 5xx */
};

struct ask {
    struct fake *fake;
    struct MHD_Connection *connection;
    const char *method;
    const char *path;
    const char *uri; /* as it was sent, with the query */
    const char *body;
    size_t body_size;
    json_int_t n; /* of the request, in `requests` */
};

struct reply {
    unsigned status;
    const char *type; /* "application/json" */
    char *text;       /* owned */
    json_t *headers;  /* name -> value; NULL: none */
};

/** Whether the path is the vendor's; then `reply` is filled. */
typedef bool vendor_fn(struct ask *ask, struct reply *reply);
vendor_fn prometheus_serve;
vendor_fn hirefire_serve;
vendor_fn new_relic_serve;
vendor_fn google_serve;
vendor_fn papertrail_serve;

/** A 5xx was said instead of the truth; and: a request has come. */
void google_note_error(struct ask *ask);
void google_note_request(struct ask *ask);
vendor_fn sinks_serve; /* all that sinks tell, see metrics_sinks.h */

/** Takes StatsD's datagrams at the UDP port of that number until statsd_stop(). NULL: it cannot. */
struct statsd;
struct statsd *statsd_start(struct fake *fake, uint16_t port);
void statsd_stop(struct statsd *statsd);

/** New key pairs: google.pem, the private key of every service account of the world, and
 * cronut.pem, the public one, are written to the folder; the world has the others. */
bool keys_make(json_t *state, const char *folder);

/** The vendor's part of the world, an empty object when there is none; borrowed. */
json_t *vendor_state(const struct ask *ask, const char *vendor);
const char *ask_header(const struct ask *ask, const char *name);
/** A parameter of the query or, of a form, of the body, decoded; NULL: none. The caller frees it.
 */
char *ask_param(const struct ask *ask, const char *name);
/** The same: of any of these parameters that come, those not in `known` (NULL-ended) are noted. */
void ask_params_judge(const struct ask *ask, const char *const *known);
void violation(const struct ask *ask, const char *rule, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/** Steals `body`. */
void reply_json(struct reply *reply, unsigned status, json_t *body);
void reply_text(struct reply *reply, unsigned status, const char *type, const char *text);
void reply_header(struct reply *reply, const char *name, const char *value);

/** Wall clock, moved by the control port. */
int64_t fake_now_ms(const struct fake *fake);

/** A number of the world, as it is at that time: {"wave": [20, 80], "period_s": 60} is a sine from
 *  20 to 80, a whole number. What is neither is 0. */
double fake_number(const json_t *value, int64_t now_ms);
bool fake_number_is(const json_t *value);

#endif
