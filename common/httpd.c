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
    POSTS_MEMORY = 32 * 1024, /* more of it, since bodies come through the same memory */
    POSTS_IDLE_S = 300,
    BODY_EXCESS = 8, /* so many times too big: the connection is closed */
    LISTEN_BACKLOG = 64
};

struct httpd {
    struct MHD_Daemon *daemon;
    struct dyn_watch *watch;
    struct dyn_timer *timer;
    uint16_t port;
    httpd_fn *fn;
    struct httpd_posts posts; /* body NULL: none are taken */
    void *arg;
    size_t held;                   /* bytes of bodies */
    struct httpd_request *waiting; /* suspended, in no order */
};

struct httpd_request {
    struct httpd *httpd;
    struct MHD_Connection *connection;
    struct httpd_request *next; /* of those that wait */
    struct httpd_request **link;
    const char *path;
    const char *words;
    struct dyn_buf body;
    size_t received;
    int status; /* 0: not known yet */
    bool whole; /* its end has come */
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

/* ---- POSTs ---- */

static enum MHD_Result post_answer(struct httpd_request *request)
{
    struct httpd_answer answer = {.status = request->status,
                                  .content_type = "text/plain; charset=utf-8"};
    dyn_buf_init(&answer.body, BODY_MAX);
    if (request->words[0] != '\0') {
        (void)dyn_buf_addf(&answer.body, "%s\n", request->words);
    }
    if (request->status < 300) {
        (void)MHD_set_connection_option(request->connection, MHD_CONNECTION_OPTION_TIMEOUT,
                                        (unsigned)POSTS_IDLE_S);
    }
    return answer_send(request->connection, &answer);
}

static void post_refuse(struct httpd_request *request, int status, const char *words)
{
    request->status = status;
    request->words = words;
    request->httpd->held -= request->body.cap;
    dyn_buf_fini(&request->body);
    if (status == 413) {
        request->httpd->posts.too_big(request->httpd->arg, request);
    }
}

/* What a head says of the body's length; 0 when it does not say it, or wrongly. */
static uint64_t length_said(const struct httpd_request *request)
{
    uint64_t length = 0;
    const char *text = httpd_request_header(request, MHD_HTTP_HEADER_CONTENT_LENGTH);
    return text != NULL && dyn_str_u64(dyn_str_from(text), &length) == DYN_OK ? length : 0;
}

static enum MHD_Result post_begin(struct httpd *httpd, struct MHD_Connection *connection,
                                  const char *path, void **out)
{
    struct httpd_request *request = calloc(1, sizeof *request);
    if (request == NULL) {
        return MHD_NO;
    }
    request->httpd = httpd;
    request->connection = connection;
    request->path = path;
    request->words = "";
    dyn_buf_init(&request->body, httpd->posts.body_max);
    *out = request;
    request->status = httpd->posts.head(httpd->arg, request, &request->words);
    if (request->status == 0 && length_said(request) > httpd->posts.body_max) {
        post_refuse(request, 413, "the body is too big");
    }
    return request->status == 0 ? MHD_YES : post_answer(request);
}

static enum MHD_Result post_add(struct httpd_request *request, const char *bytes, size_t len)
{
    struct httpd *httpd = request->httpd;
    request->received += len;
    if (request->status != 0) {
        /* It is read to its end, since an answer in the middle would not be read. */
        return request->received <= BODY_EXCESS * httpd->posts.body_max ? MHD_YES : MHD_NO;
    }
    size_t before = request->body.cap;
    dyn_err err = dyn_buf_add(&request->body, bytes, len);
    httpd->held += request->body.cap - before;
    if (err == DYN_TOOBIG) {
        post_refuse(request, 413, "the body is too big");
    } else if (err != DYN_OK || httpd->held > httpd->posts.bodies_max) {
        post_refuse(request, 503, "too much is under way");
    }
    return MHD_YES;
}

static enum MHD_Result post_end(struct httpd_request *request)
{
    struct httpd *httpd = request->httpd;
    if (!request->whole) {
        request->whole = true;
        if (request->status == 0) {
            httpd->posts.body(httpd->arg, request, dyn_buf_str(&request->body));
        }
    }
    if (request->status != 0) {
        return post_answer(request);
    }
    MHD_suspend_connection(request->connection); /* until httpd_request_answer() */
    request->next = httpd->waiting;
    request->link = &httpd->waiting;
    if (request->next != NULL) {
        request->next->link = &request->next;
    }
    httpd->waiting = request;
    return MHD_YES;
}

static enum MHD_Result post_take(struct httpd *httpd, struct MHD_Connection *connection,
                                 const char *path, const char *upload, size_t *upload_size,
                                 void **request)
{
    if (*request == NULL) {
        return post_begin(httpd, connection, path, request);
    }
    if (*upload_size > 0) {
        enum MHD_Result result = post_add(*request, upload, *upload_size);
        *upload_size = 0;
        return result;
    }
    return post_end(*request);
}

static void request_over(void *arg, struct MHD_Connection *connection, void **request,
                         enum MHD_RequestTerminationCode why)
{
    struct httpd_request *over = *request;
    (void)arg;
    (void)connection;
    (void)why;
    if (over != NULL) {
        DYN_ASSERT(over->link == NULL);
        over->httpd->held -= over->body.cap;
        dyn_buf_fini(&over->body);
        free(over);
        *request = NULL;
    }
}

void httpd_request_answer(struct httpd_request *request, int status, const char *words)
{
    DYN_ASSERT(request->status == 0 && status != 0);
    request->status = status;
    request->words = words;
    if (request->link != NULL) {
        *request->link = request->next;
        if (request->next != NULL) {
            request->next->link = request->link;
        }
        request->link = NULL;
        MHD_resume_connection(request->connection);
        dyn_timer_start(request->httpd->timer, 0, 0); /* no descriptor tells of it */
    }
}

const char *httpd_request_path(const struct httpd_request *request)
{
    return request->path;
}

const char *httpd_request_header(const struct httpd_request *request, const char *name)
{
    return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

bool httpd_request_password(const struct httpd_request *request, struct dyn_buf *out)
{
    char *password = NULL;
    char *user = MHD_basic_auth_get_username_password(request->connection, &password);
    bool there = user != NULL && password != NULL;
    if (there) {
        there = dyn_buf_add_str(out, dyn_str_from(password)) == DYN_OK;
    }
    if (password != NULL) {
        explicit_bzero(password, strlen(password));
    }
    MHD_free(password);
    MHD_free(user);
    return there;
}

/* ---- all requests ---- */

static enum MHD_Result request_take(void *arg, struct MHD_Connection *connection, const char *url,
                                    const char *method, const char *version, const char *upload,
                                    size_t *upload_size, void **request)
{
    (void)version;
    struct httpd *httpd = arg;
    if (httpd->posts.body != NULL && strcmp(method, "POST") == 0) {
        return post_take(httpd, connection, url, upload, upload_size, request);
    }
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
    bool posts = httpd->posts.body != NULL;
    httpd->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | (posts ? MHD_ALLOW_SUSPEND_RESUME : 0), 0, NULL, NULL, request_take, httpd,
        MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
        posts ? httpd->posts.connections_max : (unsigned)CONNECTIONS_MAX,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)CONNECTION_TIMEOUT_S,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        posts ? (size_t)POSTS_MEMORY : (size_t)CONNECTION_MEMORY, MHD_OPTION_NOTIFY_COMPLETED,
        request_over, httpd, MHD_OPTION_END);
    return httpd->daemon != NULL;
}

struct httpd *httpd_new(struct dyn_loop *loop, const struct httpd_options *options,
                        struct dyn_error *error)
{
    int fd = -1;
    struct httpd *httpd = calloc(1, sizeof *httpd);
    if (httpd == NULL) {
        (void)dyn_error_set(error, DYN_NOMEM, "http: out of memory");
        return NULL;
    }
    httpd->fn = options->fn;
    httpd->arg = options->arg;
    if (options->posts != NULL) {
        httpd->posts = *options->posts;
    }
    if (socket_listen(options->address, options->port, &fd, &httpd->port, error) != DYN_OK) {
        goto fail;
    }
    if (!daemon_start(httpd, fd)) {
        (void)close(fd);
        (void)dyn_error_set(error, DYN_IO, "http: cannot start the server on port %u",
                            (unsigned)options->port);
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
    while (httpd->waiting != NULL) {
        httpd_request_answer(httpd->waiting, 503, "");
    }
    dyn_watch_free(httpd->watch);
    dyn_timer_free(httpd->timer);
    if (httpd->daemon != NULL) {
        MHD_stop_daemon(httpd->daemon);
    }
    free(httpd);
}
