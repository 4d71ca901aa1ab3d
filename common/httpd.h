/*
 * httpd: what a program serves on a loopback port: GET /healthz, /readyz, /metrics. Known to this
 * file alone: libmicrohttpd (its epoll descriptor and its timeout are in our loop; no threads).
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

/** `address` "127.0.0.1" or "0.0.0.0" and so on; port 0: any free one. */
struct httpd *httpd_new(struct dyn_loop *loop, const char *address, uint16_t port, httpd_fn *fn,
                        void *arg, struct dyn_error *error);
uint16_t httpd_port(const struct httpd *httpd);
void httpd_free(struct httpd *httpd);

#endif
