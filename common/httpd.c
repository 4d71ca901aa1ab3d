#include "common/httpd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <unistd.h>

enum {
    CONNECTIONS_MAX = 64, /* more are not accepted until one ends */
    CONNECTION_TIMEOUT_S = 10,
    CONNECTION_MEMORY = 16 * 1024, /* request line and headers; more is answered by 431 */
    BODY_MAX = 4 * 1024 * 1024,
    LISTEN_BACKLOG = 64
};

struct httpd {
    struct MHD_Daemon *daemon;
    struct dyn_watch *watch;
    struct dyn_timer *timer;
    uint16_t port;
    httpd_fn *fn;
    void *arg;
};

static enum MHD_Result answer_send(struct MHD_Connection *connection, struct httpd_answer *answer)
{
    if (dyn_buf_result(&answer->body) != DYN_OK) {
        dyn_buf_clear(&answer->body);
        (void)dyn_buf_addf(&answer->body, "the answer is too long\n");
        answer->status = 500;
    }
    struct MHD_Response *response =
        MHD_create_response_from_buffer(answer->body.len, answer->body.ptr, MHD_RESPMEM_MUST_COPY);
    dyn_buf_fini(&answer->body);
    if (response == NULL) {
        return MHD_NO;
    }
    enum MHD_Result result =
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, answer->content_type);
    if (result == MHD_YES && answer->status == 405) {
        result = MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    }
    if (result == MHD_YES) {
        result = MHD_queue_response(connection, (unsigned)answer->status, response);
    }
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result request_take(void *arg, struct MHD_Connection *connection, const char *url,
                                    const char *method, const char *version, const char *upload,
                                    size_t *upload_size, void **request)
{
    (void)version;
    (void)upload;
    (void)upload_size;
    (void)request;
    struct httpd *httpd = arg;
    struct httpd_answer answer = {.status = 200, .content_type = "text/plain; charset=utf-8"};
    dyn_buf_init(&answer.body, BODY_MAX);
    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0) {
        answer.status = 405;
    } else {
        httpd->fn(httpd->arg, url, &answer);
    }
    return answer_send(connection, &answer);
}

/* MHD tells after each run when it must run again though no descriptor became ready. */
static void timer_set(struct httpd *httpd)
{
    MHD_UNSIGNED_LONG_LONG wait_ms = 0;
    if (MHD_get_timeout(httpd->daemon, &wait_ms) == MHD_YES) {
        dyn_timer_start(httpd->timer, (int64_t)wait_ms, 0);
    } else {
        dyn_timer_stop(httpd->timer);
    }
}

static void daemon_run(void *arg)
{
    struct httpd *httpd = arg;
    (void)MHD_run(httpd->daemon);
    timer_set(httpd);
}

static void daemon_readable(void *arg, int events)
{
    (void)events;
    daemon_run(arg);
}

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static dyn_err address_parse(const char *text, uint16_t port, union address *out,
                             socklen_t *out_len)
{
    union address address = {0};
    if (inet_pton(AF_INET, text, &address.v4.sin_addr) == 1) {
        address.v4.sin_family = AF_INET;
        address.v4.sin_port = htons(port);
        *out_len = sizeof address.v4;
    } else if (inet_pton(AF_INET6, text, &address.v6.sin6_addr) == 1) {
        address.v6.sin6_family = AF_INET6;
        address.v6.sin6_port = htons(port);
        *out_len = sizeof address.v6;
    } else {
        return DYN_BADMSG;
    }
    *out = address;
    return DYN_OK;
}

/* A socket of ours, not of MHD's, so that errno says what is wrong with it. */
static dyn_err socket_listen(const char *text, uint16_t port, int *out_fd, uint16_t *out_port,
                             struct dyn_error *error)
{
    union address address;
    socklen_t len = 0;
    if (address_parse(text, port, &address, &len) != DYN_OK) {
        return dyn_error_set(error, DYN_CONFIG, "http address %s: not a numeric IP address", text);
    }
    int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return dyn_error_set(error, DYN_IO, "http: socket: %s", strerror(errno));
    }
    int on = 1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(fd, &address.any, len) != 0 || listen(fd, LISTEN_BACKLOG) != 0 ||
        getsockname(fd, &address.any, &len) != 0) {
        dyn_err err = dyn_error_set(error, DYN_IO, "http: listen on %s port %u: %s", text,
                                    (unsigned)port, strerror(errno));
        (void)close(fd);
        return err;
    }
    *out_fd = fd;
    *out_port =
        ntohs(address.any.sa_family == AF_INET ? address.v4.sin_port : address.v6.sin6_port);
    return DYN_OK;
}

static bool daemon_start(struct httpd *httpd, int fd)
{
    httpd->daemon = MHD_start_daemon(
        MHD_USE_EPOLL, 0, NULL, NULL, request_take, httpd, MHD_OPTION_LISTEN_SOCKET, fd,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)CONNECTION_TIMEOUT_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)CONNECTION_MEMORY, MHD_OPTION_END);
    return httpd->daemon != NULL;
}

struct httpd *httpd_new(struct dyn_loop *loop, const char *address, uint16_t port, httpd_fn *fn,
                        void *arg, struct dyn_error *error)
{
    int fd = -1;
    struct httpd *httpd = calloc(1, sizeof *httpd);
    if (httpd == NULL) {
        (void)dyn_error_set(error, DYN_NOMEM, "http: out of memory");
        return NULL;
    }
    httpd->fn = fn;
    httpd->arg = arg;
    if (socket_listen(address, port, &fd, &httpd->port, error) != DYN_OK) {
        goto fail;
    }
    if (!daemon_start(httpd, fd)) {
        (void)close(fd);
        (void)dyn_error_set(error, DYN_IO, "http: cannot start the server on port %u",
                            (unsigned)port);
        goto fail;
    }
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(httpd->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    httpd->timer = dyn_timer_new(loop, daemon_run, httpd);
    httpd->watch =
        info != NULL ? dyn_watch_new(loop, info->epoll_fd, daemon_readable, httpd) : NULL;
    if (httpd->timer == NULL || httpd->watch == NULL) {
        (void)dyn_error_set(error, DYN_NOMEM, "http: out of memory");
        goto fail;
    }
    dyn_watch_set(httpd->watch, DYN_READABLE);
    timer_set(httpd);
    return httpd;
fail:
    httpd_free(httpd);
    return NULL;
}

uint16_t httpd_port(const struct httpd *httpd)
{
    return httpd->port;
}

void httpd_free(struct httpd *httpd)
{
    if (httpd == NULL) {
        return;
    }
    dyn_watch_free(httpd->watch);
    dyn_timer_free(httpd->timer);
    if (httpd->daemon != NULL) {
        MHD_stop_daemon(httpd->daemon);
    }
    free(httpd);
}
