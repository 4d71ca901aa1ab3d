/*
 * http: requests by libcurl's multi interface on the loop.
 *
 * Each request ends in exactly one call of `done`, later and from the loop, also when it was
 * cancelled or could not start. Bodies are counted as they come and cut off at `body_max`
 * (CURLOPT_MAXFILESIZE lets chunked ones through). No redirects are followed, no proxy is taken
 * from the environment, the only protocols are https, and http where the host is loopback or
 * `allow_http` is set. More than the connections allowed wait in a queue of ours. Writes (any
 * method but GET) use a fresh connection that is not kept: libcurl silently repeats a PATCH when a
 * reused connection died.
 *
 * Ownership: everything in http_request is copied before http_start() returns.
 * Threads: the loop thread only.
 */
#ifndef DYN_COMMON_HTTP_H
#define DYN_COMMON_HTTP_H

#include "common/loop.h"

struct http_client;
struct http_transfer;

struct http_client_options {
    const char *user_agent; /* "dynosaur/1.0.0" when NULL */
    const char *ca_file;    /* NULL: the system's */
    long connections_max;   /* 0: DYN_HTTP_CONNECTIONS_MAX */
    long host_connections_max;
};

struct http_client *http_client_new(struct dyn_loop *loop,
                                    const struct http_client_options *options);
/** Every transfer ended or cancelled before; `done` of those cancelled comes during the call.
 *  Not from inside `done`. */
void http_client_free(struct http_client *client);

struct http_answer {
    dyn_err err;       /* DYN_OK: an answer came, whatever its status; otherwise `error` says why:
                          DYN_TIMEOUT, DYN_IO (resolve, connect, TLS, reset), DYN_TOOBIG,
                          DYN_CANCELLED, DYN_REFUSED (`before_send` said no: nothing was sent) */
    const char *error; /* words, "" when err is DYN_OK; never holds a header or a body of ours */
    bool sent;         /* the request may have reached the server */
    long status;       /* 0 when no whole answer came; body and headers are empty then, too */
    struct dyn_str body;
    int64_t elapsed_ms;
    const struct http_headers *headers; /* for http_header() */
};

/** The last value of a header by name (case-insensitive); ptr NULL when it did not come. */
struct dyn_str http_header(const struct http_answer *answer, const char *name);

/**
 * Seconds from a Retry-After value (RFC 9110, 10.2.3): delay-seconds or an HTTP date, relative to
 * `now_wall_ms`. Never negative; capped at `max_s`. DYN_BADMSG when it is neither.
 */
DYN_NODISCARD dyn_err http_retry_after(struct dyn_str value, int64_t now_wall_ms, int64_t max_s,
                                       int64_t *out_s);

struct http_request {
    const char *method; /* "GET", "POST", "PATCH", "PUT", "DELETE" */
    const char *url;
    const char *const *headers; /* "Name: value", `headers_count` of them; refused with CR or LF */
    size_t headers_count;
    const char *user; /* Basic authorization, with `password`; NULL: none */
    const char *password;
    /* AWS Signature Version 4 instead: "aws:amz:REGION:SERVICE", or NULL; `user` and `password` are
       the key id and the secret key. libcurl signs the host, the date and all of `headers`:
       Content-Type must be one of them. POST only, without a query: more than that older libcurls
       sign wrong. */
    const char *sigv4;
    struct dyn_str body;        /* sent with Content-Length when ptr is not NULL */
    size_t body_max;            /* 0: DYN_HTTP_BODY_MAX */
    int64_t connect_timeout_ms; /* 0: DYN_HTTP_CONNECT_TIMEOUT_MS */
    int64_t total_timeout_ms;   /* 0: DYN_HTTP_TOTAL_TIMEOUT_MS; the wait in the queue counts */
    bool allow_http;            /* plain http beyond loopback */
    /** Asked when the connection stands, right before the request is written
     *  (CURLOPT_PREREQFUNCTION). False: nothing is sent, DYN_REFUSED. May be NULL. Asked again
     *  when a GET is repeated because its kept connection was dead. It must not start a request. */
    bool (*before_send)(void *arg);
    void (*done)(void *arg, const struct http_answer *answer); /* answer lives during the call */
    void *arg;
};

/**
 * On failure `done` is never called. DYN_BADMSG: a method, URL or header that we refuse;
 * DYN_TOOBIG: more to send than DYN_HTTP_REQUEST_MAX; DYN_BUSY: the queue is full.
 */
DYN_NODISCARD dyn_err http_start(struct http_client *client, const struct http_request *request,
                                 struct http_transfer **out_transfer, struct dyn_error *error);

/** Give up; `done` comes later with DYN_CANCELLED. Harmless inside `done` of that transfer. */
void http_cancel(struct http_transfer *transfer);

#endif
