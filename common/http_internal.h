/*
 * http_internal: what the files of the client share.
 *
 * http.c           its life, the requests and those that wait, the pool of transfers
 * http_transfer.c  a request while it lives
 * http_queue.c     which may run
 * http_curl.c      all that knows libcurl: its events on our loop, its handles, how transfers end
 * http_socket.c    the table of the descriptors that curl uses
 *
 * Threads: the loop thread only.
 */
#ifndef DYN_COMMON_HTTP_INTERNAL_H
#define DYN_COMMON_HTTP_INTERNAL_H

#include "common/http_queue.h"
#include "common/http_transfer.h"

struct http_socket {
    struct http_client *client;
    struct dyn_watch *watch;
    int fd;
    bool ours;  /* made by http_curl.c and closed there */
    int wanted; /* what curl asks for */
    int armed;  /* what the watch is set to: an idle connection keeps it until it rings */
};

struct http_client {
    struct dyn_loop *loop;
    void *multi; /* CURLM; looked into by http_curl.c alone, as is the share, a CURLSH */
    void *share;
    char *user_agent;
    char *ca_file;
    struct dyn_timer *curl_timer;
    struct dyn_timer *ended_timer;
    struct dyn_timer *queue_timer;
    bool delivering;
    struct http_queue queue;
    struct http_list ended;
    struct http_transfer *idle_transfers;
    long idle_transfers_count;
    struct http_easy *idle_easies;
    struct http_socket **sockets; /* by descriptor */
    size_t sockets_cap;
};

/* ---- http.c ---- */

/** Put a transfer that nobody needs any more into the pool, or free it. */
void http_client_give(struct http_transfer *transfer);
/** Run of those in the queue what may run now. One that cannot ends with the reason. */
void http_client_start_waiting(struct http_client *client);

/* ---- http_socket.c ---- */

/** A watch of `fd` that calls http_curl_socket_ready(), in the table; what the table had for that
 *  number goes. `ours`: made by us. NULL: no memory, or a number beyond the table. */
struct http_socket *http_socket_new(struct http_client *client, int fd, bool ours);
void http_socket_free(struct http_socket *sock); /* does not close; NULL is fine */
/** Nothing is in flight: kept connections must not keep the loop alive. */
void http_sockets_rest(struct http_client *client);

/* ---- http_curl.c ---- */

/** What the client has of curl, with the loop and the limits set. On failure nothing is held. */
DYN_NODISCARD bool http_curl_init(struct http_client *client);
/** No transfer may run. Kept connections are closed. */
void http_curl_fini(struct http_client *client);
/** Lend the transfer a curl handle and set it going. On failure it is as it was. */
DYN_NODISCARD dyn_err http_curl_run(struct http_transfer *transfer);
/** Events of an http_socket. */
void http_curl_socket_ready(void *arg, int events);
/** Hand out what ended, then start what waited for it. */
void http_curl_drain(struct http_client *client);
/** Of that, only those in the list `ended`. */
void http_curl_drain_ended(struct http_client *client);

#endif
