/*
 * post: what a sink needs that speaks to an HTTP API: one request at a time, its answer judged, the
 * server's own words for a refusal, without secrets, and the wait that a server asks for.
 *
 * A sink keeps one struct post in its state. Each post_send() ends in one sink_done(), unless the
 * sink asked for the answer itself (`answered`) and then goes on with post_taken(), post_refused(),
 * post_failed() or another post_send().
 *
 * Ownership: secrets and headers live in the post until post_fini(), which wipes them.
 * Threads:   the loop thread only.
 */
#ifndef DYN_REPORTER_SINKS_POST_H
#define DYN_REPORTER_SINKS_POST_H

#include "common/json.h"
#include "reporter/sink.h"

#define POST_WORDS_MAX 300    /* bytes of the server's words; cut */
#define POST_SECRETS_MAX 8    /* more is our mistake; headers are counted apart */
#define POST_ANSWER_MAX 65536 /* bytes of an answer; more is refused */
#define POST_WAIT_MIN_S 30    /* a server that says "too many" and not for how long; doubled */
#define POST_WAIT_MAX_S 900   /* each time up to this; also the longest that a server may ask for */

struct post_exchange;

struct post_secret {
    struct dyn_buf text;
    size_t open; /* its first bytes are no secret: a URL's scheme and host */
};

struct post {
    struct sink_host *host;
    struct post_exchange *exchange; /* NULL: none is under way */
    struct post_secret secrets[POST_SECRETS_MAX];
    size_t secrets_count;
    char *headers[DYN_HTTP_REQUEST_HEADERS_MAX]; /* "Name: value"; the values are hidden as well */
    size_t headers_count;
    unsigned refusals; /* in a row, of those that ask to wait */
};

struct post_answer {
    long status;
    json_t *json; /* NULL: not JSON */
    struct dyn_str body;
    const struct http_answer *http; /* for http_header() */
};

struct post_request {
    const char *method; /* "POST" when NULL */
    const char *url;
    const char *const *headers; /* beside the post's own; "Name: value" */
    size_t headers_count;
    struct dyn_str body; /* ptr NULL: none */
    const char *user;    /* these as http_request has them */
    const char *password;
    const char *sigv4;
    /** NULL: any 2xx is good. `answer` and all in it live during the call. */
    void (*answered)(void *arg, struct post *post, const struct post_answer *answer);
    void *arg;
};

void post_init(struct post *post, struct sink_host *host);
void post_fini(struct post *post); /* cancels */

/** The option's text, as a C string that lives as long as the post; hidden from all words. White
 *  space around it is dropped: it comes from files. DYN_NOTFOUND, or DYN_CONFIG: it has control
 *  characters. NULL and DYN_OK when it is not given and need not be. */
DYN_NODISCARD dyn_err post_secret(struct post *post, const char *key, const char **out_text,
                                  struct dyn_error *error);
/** The same for a URL, whose scheme and host may be told. DYN_CONFIG: none that we may ask. */
DYN_NODISCARD dyn_err post_url(struct post *post, const char *key, const char **out_text,
                               struct dyn_error *error);
/** A secret made of others, as the token of Basic authorization; it is copied. */
DYN_NODISCARD dyn_err post_hide(struct post *post, struct dyn_str text);
/** Sent with each request. The value is told to nobody. */
DYN_NODISCARD dyn_err post_header(struct post *post, const char *name, const char *value);
/** The option `headers`: the same. */
DYN_NODISCARD dyn_err post_headers(struct post *post, struct dyn_error *error);
/** The option `api_url`, or what stands for it when it is not given; without a slash at its end. */
DYN_NODISCARD dyn_err post_base(struct post *post, const char *fallback, struct dyn_buf *out,
                                struct dyn_error *error);
/** The same of an option that names a host, or a URL; the scheme is https where there is none. */
DYN_NODISCARD dyn_err post_host(struct post *post, const char *key, struct dyn_buf *out,
                                struct dyn_error *error);

void post_send(struct post *post, const struct post_request *request);
void post_cancel(struct post *post); /* idempotent */

bool post_is_good(const struct post_answer *answer); /* 2xx */
/** sink_done(): it went well. */
void post_taken(struct post *post);
/** sink_done(): the status and the server's words. 408, 429 and 5xx are tried again, when the
 * server said for how long it wants to be left alone, not before. */
void post_refused(struct post *post, const struct post_answer *answer);
/** sink_done() in words of ours. */
void post_failed(struct post *post, dyn_err err, const char *format, ...) DYN_PRINTF(3, 4);
/** Ask no more for as long as the answer says, or ever longer from time to time. */
void post_slow_down(struct post *post, const struct post_answer *answer);

/** Text of the server for people: printable, in one line, secrets hidden, cut. */
void post_words(const struct post *post, struct dyn_str text, char out[static POST_WORDS_MAX + 1]);
/** What an answer says of itself: the errors of its JSON, or its text. "" when it says nothing. */
void post_answer_words(const struct post *post, const struct post_answer *answer,
                       char out[static POST_WORDS_MAX + 1]);

/* ---- bodies ---- */

/** As a JSON string; bytes that are no UTF-8 become '?'. NULL: no memory. */
json_t *post_text(struct dyn_str text);
/** "2018-01-01T15:00:00.000Z" */
#define POST_TIME_SIZE 32
void post_time(int64_t wall_ms, char out[static POST_TIME_SIZE]);
/** Append a field of a form, any bytes, percent-encoded; with & when `out` is not empty. */
void post_form_add(struct dyn_buf *out, const char *name, struct dyn_str value);
/** Append as JSON and release `root`. A NULL anywhere within makes the buffer fail. */
void post_dump(struct dyn_buf *out, json_t *root);

#endif
