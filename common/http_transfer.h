/*
 * http_transfer: a request while it lives: what was copied of it and what came of its answer.
 *
 * Private to the client, see http_internal.h. A transfer is in one list at most.
 */
#ifndef DYN_COMMON_HTTP_TRANSFER_H
#define DYN_COMMON_HTTP_TRANSFER_H

#include "common/http.h"
#include "common/limits.h"

struct http_easy;

struct http_headers {
    struct dyn_buf text; /* "Name: value" lines, each ended by a NUL */
    size_t count;        /* all lines since the start of the transfer */
    size_t bytes;
};

struct http_list {
    struct http_transfer *first;
    struct http_transfer *last;
};

/* The headers of a request and the two that keep curl from sending some of its own. */
#define HTTP_LINES_MAX (DYN_HTTP_REQUEST_HEADERS_MAX + 2)

struct http_transfer {
    struct http_client *client;
    struct http_list *list;
    struct http_transfer *previous;
    struct http_transfer *next; /* in `list`, or in the pool */
    struct http_easy *easy;     /* the curl handle lent to it; NULL while it waits */
    struct dyn_buf copy;        /* all text of the request; the pointers below point into it */
    const char *method;
    const char *url;
    const char *sigv4; /* NULL: not signed */
    const char *user;  /* NULL: none, and no password */
    const char *password;
    const char *body; /* NULL: none, and no Content-Length */
    size_t body_len;
    char *lines[HTTP_LINES_MAX];
    size_t lines_count;
    size_t slot; /* in the queue */
    size_t body_max;
    int64_t connect_timeout_ms;
    int64_t total_timeout_ms;
    int64_t started_ms;
    bool (*before_send)(void *arg);
    void (*done)(void *arg, const struct http_answer *answer);
    void *arg;
    struct dyn_buf answer_body;
    struct http_headers answer_headers;
    bool write; /* anything but GET */
    bool sent;
    bool finishing;  /* `done` is being called */
    dyn_err verdict; /* why it is to end whatever curl says; DYN_OK while nothing speaks for it */
};

void http_list_push(struct http_list *list, struct http_transfer *transfer);
void http_list_remove(struct http_transfer *transfer);

struct http_transfer *http_transfer_new(struct http_client *client); /* NULL: no memory */
void http_transfer_free(struct http_transfer *transfer);
/** Wipe what may be secret and keep only small buffers, for the pool. */
void http_transfer_rest(struct http_transfer *transfer);
/** Check and copy a request. On failure the transfer can be used for another one. */
DYN_NODISCARD dyn_err http_transfer_fill(struct http_transfer *transfer,
                                         const struct http_request *request,
                                         struct dyn_error *error);

/** Take in some of the answer. False: it is over its bound, and the verdict says so. */
bool http_transfer_add_body(struct http_transfer *transfer, struct dyn_str bytes);
bool http_transfer_add_header(struct http_transfer *transfer, struct dyn_str line);

/** The words for a failed transfer; `why` are curl's, for DYN_IO. */
void http_transfer_explain(const struct http_transfer *transfer, dyn_err err, const char *why,
                           struct dyn_error *out_error);

#endif
