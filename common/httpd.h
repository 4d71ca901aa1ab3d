/*
 * httpd: what a program serves: GET /healthz, /readyz, /metrics on a loopback port; and POSTs with
 * a body, where it takes any. Known to this file alone: libmicrohttpd (its epoll descriptor and its
 * timeout are in our loop; no threads).
 *
 * Threads: the loop thread only.
 */
#ifndef DYN_COMMON_HTTPD_H
#define DYN_COMMON_HTTPD_H

#include "common/loop.h"

struct httpd;

struct httpd_answer {
    int status;               /* 200 before the handler runs */
    const char *content_type; /* "text/plain; charset=utf-8" before the handler runs */
    struct dyn_buf body;      /* at most 4 MiB */
};
/** Answer GET `path`; leave status 404 for a path that is not known. */
typedef void httpd_fn(void *arg, const char *path, struct httpd_answer *answer);

struct httpd_request; /* a POST; lives until it is answered */

/*
 * POSTs: their bodies are held whole, each and all together within a bound. Whoever sent nothing
 * for 10 s loses the connection, and so does whoever goes on long after a body was too big; after
 * an answer of 2xx it may rest for 5 minutes, which is longer than any client of ours keeps one.
 */
struct httpd_posts {
    unsigned connections_max; /* more are not accepted until one ends */
    size_t body_max;          /* bytes of one body; a larger one is answered by 413 */
    size_t bodies_max;        /* of all that are held; beyond that 503 */
    /** The head has come. Not 0: that is the answer, with `words`, and the body stays unread. */
    int (*head)(void *arg, struct httpd_request *request, const char **words);
    /** The body has come, borrowed. httpd_request_answer() is owed once, now or later, but before
     *  httpd_free(). */
    void (*body)(void *arg, struct httpd_request *request, struct dyn_str body);
    /** head() took a request whose body is too big: it has been answered. */
    void (*too_big)(void *arg, struct httpd_request *request);
};

const char *httpd_request_path(const struct httpd_request *request);
/** NULL: it is not there. By name without case. */
const char *httpd_request_header(const struct httpd_request *request, const char *name);
/** The password of Basic authorization, appended. False: there is none. */
bool httpd_request_password(const struct httpd_request *request, struct dyn_buf *out);
/** `words` live for ever, for people; "" for none. The request is gone. */
void httpd_request_answer(struct httpd_request *request, int status, const char *words);

struct httpd_options {
    const char *address; /* "127.0.0.1", "0.0.0.0" and so on */
    uint16_t port;       /* 0: any free one */
    httpd_fn *fn;
    const struct httpd_posts *posts; /* copied; NULL: none are taken */
    void *arg;                       /* of all functions */
};

struct httpd *httpd_new(struct dyn_loop *loop, const struct httpd_options *options,
                        struct dyn_error *error);
uint16_t httpd_port(const struct httpd *httpd);
void httpd_free(struct httpd *httpd); /* whoever waits for an answer is cut off */

#endif
