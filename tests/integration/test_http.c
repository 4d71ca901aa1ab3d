/* Requests against a server that behaves as each test asks: every one ends in one `done`. */
#include "common/clock.h"
#include "common/http.h"
#include "common/limits.h"
#include "tests/integration/support_script_server.h"

#include <check.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#define BODY_KEPT 4096

static struct script_server server;
static struct dyn_loop *loop;
static struct http_client *client;

/* What came of a request. */
struct outcome {
    long status;
    size_t body_len;
    struct http_transfer *transfer;
    int done; /* calls of `done` */
    dyn_err err;
    int again; /* requests still to start from inside `done` */
    int asked; /* calls of before_send */
    bool sent;
    bool cancel_inside;
    bool hold_back; /* what before_send says */
    bool cancel_asked;
    char kind[64]; /* the X-Kind header */
    char retry_after[64];
    char error[DYN_ERROR_TEXT_MAX];
    char body[BODY_KEPT];
};

/* A resolver that hangs on one name: getaddrinfo() runs in a thread of curl's. */
int getaddrinfo(const char *name, const char *service, const struct addrinfo *req,
                struct addrinfo **pai)
{
    (void)service;
    (void)req;
    (void)pai;
    if (name != NULL && strcmp(name, "hangs.example.org") == 0) {
        usleep(1500 * 1000);
    }
    return EAI_NONAME;
}

static void outcome_take(void *arg, const struct http_answer *answer)
{
    struct outcome *outcome = arg;
    outcome->done++;
    outcome->err = answer->err;
    outcome->status = answer->status;
    outcome->sent = answer->sent;
    outcome->body_len = answer->body.len;
    dyn_str_copy(outcome->error, sizeof(outcome->error), dyn_str_from(answer->error));
    dyn_str_copy(outcome->body, sizeof(outcome->body), answer->body);
    dyn_str_copy(outcome->kind, sizeof(outcome->kind), http_header(answer, "x-kind"));
    dyn_str_copy(outcome->retry_after, sizeof(outcome->retry_after),
                 http_header(answer, "Retry-After"));
    ck_assert_int_ge(answer->elapsed_ms, 0);
    if (answer->err == DYN_OK) {
        ck_assert_str_eq(answer->error, "");
    } else {
        ck_assert_str_ne(answer->error, "");
        ck_assert_int_eq(answer->status, 0);
        ck_assert_uint_eq(answer->body.len, 0);
    }
    if (outcome->cancel_inside) {
        http_cancel(outcome->transfer);
    }
}

static void setup(void)
{
    memset(&server, 0, sizeof(server));
    script_server_start(&server);
    loop = dyn_loop_new();
    ck_assert_ptr_nonnull(loop);
    client = http_client_new(loop, NULL);
    ck_assert_ptr_nonnull(client);
}

static void teardown(void)
{
    http_client_free(client);
    dyn_loop_free(loop);
}

static const char *url_of(const char *path)
{
    static char url[256];
    snprintf(url, sizeof(url), "http://127.0.0.1:%d%s", server.port, path);
    return url;
}

static struct http_request request_of(const char *method, const char *url, struct outcome *outcome)
{
    struct http_request request = {.method = method, .url = url, .done = outcome_take};
    request.total_timeout_ms = 5000;
    request.arg = outcome;
    return request;
}

static void start(const struct http_request *request, struct outcome *outcome)
{
    struct dyn_error error = {""};
    dyn_err err = http_start(client, request, &outcome->transfer, &error);
    ck_assert_msg(err == DYN_OK, "%s", error.text);
    ck_assert_int_eq(outcome->done, 0);
}

/* Turn the loop until `count` of the outcomes are there, and a little longer for a second `done`.
 */
static void await_all(const struct outcome *outcomes, int count)
{
    int64_t end_ms = dyn_clock_boot_ms() + 20000;
    for (int i = 0; i < count; i++) {
        while (outcomes[i].done == 0) {
            ck_assert_int_lt(dyn_clock_boot_ms(), end_ms);
            dyn_loop_once(loop, 100);
        }
    }
    dyn_loop_once(loop, 10);
    for (int i = 0; i < count; i++) {
        ck_assert_int_eq(outcomes[i].done, 1);
    }
}

static struct outcome run(const struct http_request *request)
{
    struct outcome *outcome = request->arg;
    start(request, outcome);
    await_all(outcome, 1);
    return *outcome;
}

static struct outcome get(const char *path)
{
    struct outcome outcome = {0};
    struct http_request request = request_of("GET", url_of(path), &outcome);
    return run(&request);
}

START_TEST(an_answer_comes_with_status_header_and_body)
{
    struct outcome outcome = get("/ok");
    ck_assert_int_eq(outcome.err, DYN_OK);
    ck_assert_int_eq(outcome.status, 200);
    ck_assert_str_eq(outcome.body, "hello");
    ck_assert_str_eq(outcome.kind, "plain");
    ck_assert(outcome.sent);
}
END_TEST

START_TEST(a_chunked_body_is_put_together)
{
    struct outcome outcome = get("/chunked");
    ck_assert_int_eq(outcome.err, DYN_OK);
    ck_assert_str_eq(outcome.body, "hello");
}
END_TEST

START_TEST(a_trailer_replaces_no_header)
{
    struct outcome outcome = get("/trailer");
    ck_assert_int_eq(outcome.err, DYN_OK);
    ck_assert_str_eq(outcome.kind, "head");
}
END_TEST

START_TEST(an_error_status_is_an_answer_and_the_last_header_counts)
{
    struct outcome outcome = get("/twice");
    ck_assert_int_eq(outcome.err, DYN_OK);
    ck_assert_int_eq(outcome.status, 429);
    ck_assert_str_eq(outcome.retry_after, "30");
    ck_assert_int_eq(get("/missing").status, 404);
    ck_assert_int_eq(get("/nobody").status, 204);
}
END_TEST

START_TEST(a_redirect_is_not_followed)
{
    struct outcome outcome = get("/redirect");
    ck_assert_int_eq(outcome.err, DYN_OK);
    ck_assert_int_eq(outcome.status, 302);
    ck_assert_int_eq(server.requests, 1);
}
END_TEST

static const struct {
    const char *path;
    dyn_err err;
} failures[] = {
    {"/cut", DYN_IO},         {"/cutchunk", DYN_IO},  {"/reset", DYN_IO},
    {"/garbage", DYN_IO},     {"/drop", DYN_IO},      {"/huge", DYN_TOOBIG},
    {"/headers", DYN_TOOBIG}, {"/slow", DYN_TIMEOUT}, {"/never", DYN_TIMEOUT},
    {"/interim", DYN_TOOBIG},
};

START_TEST(a_bad_answer_ends_with_its_reason)
{
    struct outcome outcome = {0};
    struct http_request request = request_of("GET", url_of(failures[_i].path), &outcome);
    request.total_timeout_ms = 400;
    run(&request);
    ck_assert_msg(outcome.err == failures[_i].err, "%s: %s", failures[_i].path, outcome.error);
    ck_assert(outcome.sent);
    /* The client still works. */
    ck_assert_str_eq(get("/ok").body, "hello");
}
END_TEST

START_TEST(a_header_line_without_end_does_not_stop_the_program)
{
    struct outcome outcome = get("/longheader");
    ck_assert_msg(outcome.err == DYN_IO || outcome.err == DYN_TOOBIG, "%s", outcome.error);
}
END_TEST

START_TEST(fifty_mebibytes_in_chunks_are_cut_off_early)
{
    ck_assert_int_eq(get("/huge").err, DYN_TOOBIG);
    ck_assert_int_lt(server.sent, 20LL * 1024 * 1024);
}
END_TEST

START_TEST(a_body_of_exactly_its_bound_is_taken)
{
    for (size_t max = 4; max <= 5; max++) {
        struct outcome outcome = {0};
        struct http_request request = request_of("GET", url_of("/chunked"), &outcome);
        request.body_max = max;
        run(&request);
        ck_assert_int_eq(outcome.err, max == 5 ? DYN_OK : DYN_TOOBIG);
    }
}
END_TEST

START_TEST(a_refused_connection_sent_nothing)
{
    /* A port that was bound and never listened on refuses. */
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    char url[128];
    snprintf(url, sizeof(url), "http://me:secret@127.0.0.1:%d/path?token=secret",
             ntohs(address.sin_port));
    struct outcome outcome = {0};
    struct http_request request = request_of("PATCH", url, &outcome);
    run(&request);
    ck_assert_int_eq(outcome.err, DYN_IO);
    ck_assert(!outcome.sent);
    ck_assert_ptr_nonnull(strstr(outcome.error, "/path: "));
    ck_assert_ptr_null(strstr(outcome.error, "secret"));
    close(fd);
}
END_TEST

START_TEST(a_resolver_that_hangs_holds_up_nobody)
{
    struct outcome outcome = {0};
    struct http_request request = request_of("GET", "https://hangs.example.org/", &outcome);
    request.connect_timeout_ms = 200;
    int64_t began_ms = dyn_clock_boot_ms();
    run(&request);
    ck_assert_int_eq(outcome.err, DYN_TIMEOUT);
    ck_assert(!outcome.sent);
    ck_assert_int_lt(dyn_clock_boot_ms() - began_ms, 1000);
    /* Its thread is given the time to go, so that it is not counted as a leak. */
    usleep(1600 * 1000);
}
END_TEST

START_TEST(a_name_that_does_not_resolve_is_an_error)
{
    struct outcome outcome = {0};
    struct http_request request = request_of("GET", "https://nowhere.example.org/", &outcome);
    run(&request);
    ck_assert_int_eq(outcome.err, DYN_IO);
    ck_assert_ptr_nonnull(strstr(outcome.error, "nowhere.example.org"));
}
END_TEST

START_TEST(a_write_has_its_headers_and_none_of_curls_own)
{
    const char *headers[] = {"Authorization: Bearer canary", "Content-Type: application/json"};
    char big[3000];
    memset(big, 'b', sizeof(big));
    struct outcome outcome = {0};
    struct http_request request = request_of("PATCH", url_of("/echo"), &outcome);
    request.headers = headers;
    request.headers_count = 2;
    request.body = (struct dyn_str){big, sizeof(big)};
    run(&request);
    ck_assert_int_eq(outcome.err, DYN_OK);
    ck_assert_ptr_nonnull(strstr(outcome.body, "PATCH /echo HTTP/1.1\r\n"));
    ck_assert_ptr_nonnull(strstr(outcome.body, "Authorization: Bearer canary\r\n"));
    ck_assert_ptr_nonnull(strstr(outcome.body, "Content-Type: application/json\r\n"));
    ck_assert_ptr_nonnull(strstr(outcome.body, "Content-Length: 3000\r\n"));
    ck_assert_ptr_nonnull(strstr(outcome.body, "User-Agent: dynosaur/"));
    ck_assert_ptr_null(strstr(outcome.body, "Expect:"));
    ck_assert_ptr_null(strstr(outcome.body, "x-www-form"));
    ck_assert_ptr_null(strstr(outcome.body, "Accept-Encoding"));
}
END_TEST

START_TEST(a_handle_used_again_keeps_nothing_of_the_last_request)
{
    const char *headers[] = {"Authorization: Bearer canary"};
    struct outcome first = {0};
    struct http_request request = request_of("POST", url_of("/echo"), &first);
    request.headers = headers;
    request.headers_count = 1;
    request.body = DYN_STR("canary");
    run(&request);
    ck_assert_ptr_nonnull(strstr(first.body, "\r\n\r\ncanary"));
    ck_assert_ptr_null(strstr(first.body, "x-www-form"));

    struct outcome second = get("/echo");
    ck_assert_ptr_nonnull(strstr(second.body, "GET /echo HTTP/1.1\r\n"));
    ck_assert_ptr_null(strstr(second.body, "canary"));
    ck_assert_ptr_null(strstr(second.body, "Content-Length"));

    struct outcome third = {0};
    struct http_request empty = request_of("DELETE", url_of("/echo"), &third);
    run(&empty);
    ck_assert_ptr_nonnull(strstr(third.body, "DELETE /echo HTTP/1.1\r\n"));
    ck_assert_ptr_null(strstr(third.body, "canary"));
}
END_TEST

START_TEST(a_user_and_a_password_are_told_to_one_request_only)
{
    struct outcome first = {0};
    struct http_request request = request_of("POST", url_of("/echo"), &first);
    request.user = "user@example.com";
    request.password = "75AFDB82";
    request.body = DYN_STR("x");
    run(&request);
    ck_assert_ptr_nonnull(
        strstr(first.body, "Authorization: Basic dXNlckBleGFtcGxlLmNvbTo3NUFGREI4Mg==\r\n"));
    ck_assert_ptr_nonnull(strstr(first.body, "\r\n\r\nx"));

    struct outcome second = {0};
    struct http_request other = request_of("POST", url_of("/echo"), &second);
    other.user = "t0ken";
    other.password = "";
    run(&other);
    ck_assert_ptr_nonnull(strstr(second.body, "Authorization: Basic dDBrZW46\r\n"));

    struct outcome third = get("/echo");
    ck_assert_ptr_null(strstr(third.body, "Authorization"));
}
END_TEST

START_TEST(proxies_of_the_environment_are_not_used)
{
    ck_assert_int_eq(setenv("http_proxy", "http://127.0.0.1:1", 1), 0);
    ck_assert_int_eq(setenv("ALL_PROXY", "http://127.0.0.1:1", 1), 0);
    ck_assert_int_eq(get("/ok").err, DYN_OK);
}
END_TEST

static void count_descriptor_flags(int *out_open, int *out_cloexec)
{
    *out_open = 0;
    *out_cloexec = 0;
    for (int fd = 3; fd < 1024; fd++) {
        struct sockaddr_in peer = {0};
        socklen_t len = sizeof(peer);
        if (getpeername(fd, (struct sockaddr *)&peer, &len) == 0 &&
            ntohs(peer.sin_port) == server.port) {
            *out_open += 1;
            *out_cloexec += (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0;
        }
    }
}

START_TEST(sockets_are_closed_on_exec_and_a_write_keeps_none)
{
    int open_count;
    int cloexec_count;
    get("/ok");
    count_descriptor_flags(&open_count, &cloexec_count);
    ck_assert_int_eq(open_count, 1);
    ck_assert_int_eq(cloexec_count, 1);

    struct outcome outcome = {0};
    struct http_request request = request_of("PATCH", url_of("/ok"), &outcome);
    run(&request);
    ck_assert_int_eq(outcome.err, DYN_OK);
    ck_assert_int_eq(server.connections, 2);
    count_descriptor_flags(&open_count, &cloexec_count);
    ck_assert_int_eq(open_count, 1);
}
END_TEST

START_TEST(what_must_not_be_sent_is_refused_at_once)
{
    static const char *const bad_headers[] = {"X: a\r\nY: b", "X: a\n", "no colon",
                                              ": empty",      "A B: c", "X: \x01"};
    struct outcome outcome = {0};
    struct dyn_error error = {""};
    for (size_t i = 0; i < sizeof(bad_headers) / sizeof(bad_headers[0]); i++) {
        struct http_request request = request_of("GET", url_of("/ok"), &outcome);
        request.headers = &bad_headers[i];
        request.headers_count = 1;
        ck_assert_int_eq(http_start(client, &request, NULL, &error), DYN_BADMSG);
    }
    static const char *const bad_urls[] = {"http://example.org/",
                                           "http://user@10.0.0.1/?token=canary",
                                           "file:///etc/passwd", "https://a b?canary"};
    for (size_t i = 0; i < sizeof(bad_urls) / sizeof(bad_urls[0]); i++) {
        struct http_request request = request_of("GET", bad_urls[i], &outcome);
        ck_assert_int_eq(http_start(client, &request, NULL, &error), DYN_BADMSG);
        ck_assert_ptr_null(strstr(error.text, "canary"));
    }
    struct http_request request = request_of("HEAD", url_of("/ok"), &outcome);
    ck_assert_int_eq(http_start(client, &request, NULL, &error), DYN_BADMSG);
    request = request_of("GET", url_of("/ok"), &outcome);
    request.headers = bad_headers;
    request.headers_count = DYN_HTTP_REQUEST_HEADERS_MAX + 1;
    ck_assert_int_eq(http_start(client, &request, NULL, &error), DYN_BADMSG);
    request = request_of("POST", url_of("/ok"), &outcome);
    char *big = calloc(1, DYN_HTTP_REQUEST_MAX);
    ck_assert_ptr_nonnull(big);
    request.body = (struct dyn_str){big, DYN_HTTP_REQUEST_MAX};
    ck_assert_int_eq(http_start(client, &request, NULL, &error), DYN_TOOBIG);
    free(big);
    dyn_loop_once(loop, 20);
    ck_assert_int_eq(outcome.done, 0);
    ck_assert_int_eq(server.connections, 0);
}
END_TEST

START_TEST(plain_http_goes_where_it_is_allowed)
{
    struct outcome outcome = {0};
    struct http_request request = request_of("GET", "http://nowhere.example.org/", &outcome);
    request.allow_http = true;
    run(&request);
    ck_assert_int_eq(outcome.err, DYN_IO); /* it did try to resolve the name */
}
END_TEST

START_TEST(a_cancelled_request_ends_later_and_once)
{
    struct outcome outcome = {0};
    struct http_request request = request_of("GET", url_of("/never"), &outcome);
    start(&request, &outcome);
    while (server.requests == 0) {
        dyn_loop_once(loop, 10);
    }
    http_cancel(outcome.transfer);
    http_cancel(outcome.transfer);
    ck_assert_int_eq(outcome.done, 0);
    await_all(&outcome, 1);
    ck_assert_int_eq(outcome.err, DYN_CANCELLED);
    ck_assert(outcome.sent);
}
END_TEST

START_TEST(a_request_cancelled_before_its_start_sends_nothing)
{
    struct outcome outcome = {0};
    struct http_request request = request_of("GET", url_of("/ok"), &outcome);
    start(&request, &outcome);
    http_cancel(outcome.transfer);
    await_all(&outcome, 1);
    ck_assert_int_eq(outcome.err, DYN_CANCELLED);
    ck_assert(!outcome.sent);
    ck_assert_int_eq(server.requests, 0);
}
END_TEST

START_TEST(cancelling_inside_done_is_harmless)
{
    struct outcome outcome = {.cancel_inside = true};
    struct http_request request = request_of("GET", url_of("/ok"), &outcome);
    run(&request);
    ck_assert_int_eq(outcome.err, DYN_OK);
    struct outcome cancelled = {.cancel_inside = true};
    request.arg = &cancelled;
    start(&request, &cancelled);
    http_cancel(cancelled.transfer);
    await_all(&cancelled, 1);
    ck_assert_int_eq(cancelled.err, DYN_CANCELLED);
}
END_TEST

START_TEST(freeing_the_client_ends_what_was_cancelled)
{
    struct outcome outcomes[3] = {{0}, {0}, {0}};
    struct http_client_options options = {.host_connections_max = 2};
    struct http_client *small = http_client_new(loop, &options);
    ck_assert_ptr_nonnull(small);
    for (int i = 0; i < 3; i++) {
        struct http_request request = request_of("GET", url_of("/never"), &outcomes[i]);
        ck_assert_int_eq(http_start(small, &request, &outcomes[i].transfer, NULL), DYN_OK);
    }
    dyn_loop_once(loop, 10);
    for (int i = 0; i < 3; i++) {
        http_cancel(outcomes[i].transfer);
    }
    http_client_free(small);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(outcomes[i].done, 1);
        ck_assert_int_eq(outcomes[i].err, DYN_CANCELLED);
    }
}
END_TEST

static bool outcome_before_send(void *arg)
{
    struct outcome *outcome = arg;
    outcome->asked++;
    if (outcome->cancel_asked) {
        http_cancel(outcome->transfer);
    }
    return !outcome->hold_back;
}

START_TEST(a_request_held_back_sends_nothing)
{
    struct outcome outcome = {.hold_back = true};
    struct http_request request = request_of("PATCH", url_of("/ok"), &outcome);
    request.before_send = outcome_before_send;
    run(&request);
    ck_assert_int_eq(outcome.err, DYN_REFUSED);
    ck_assert(!outcome.sent);
    ck_assert_int_eq(outcome.asked, 1);
    ck_assert_int_eq(server.connections, 1);
    ck_assert_int_eq(server.requests, 0);

    struct outcome allowed = {0};
    request.arg = &allowed;
    run(&request);
    ck_assert_int_eq(allowed.err, DYN_OK);
    ck_assert_int_eq(allowed.asked, 1);
}
END_TEST

START_TEST(a_request_may_be_cancelled_while_it_asks)
{
    struct outcome outcome = {.hold_back = true, .cancel_asked = true};
    struct http_request request = request_of("PATCH", url_of("/ok"), &outcome);
    request.before_send = outcome_before_send;
    run(&request);
    ck_assert_int_ne(outcome.err, DYN_OK);
    ck_assert(!outcome.sent);
    ck_assert_int_eq(server.requests, 0);
}
END_TEST

START_TEST(a_write_whose_connection_dies_is_sent_once)
{
    get("/ok"); /* leaves a kept connection, on which curl would send and repeat */
    struct outcome outcome = {0};
    struct http_request request = request_of("PATCH", url_of("/drop"), &outcome);
    request.body = DYN_STR("{}");
    run(&request);
    ck_assert_int_eq(outcome.err, DYN_IO);
    ck_assert(outcome.sent);
    dyn_loop_once(loop, 50);
    ck_assert_int_eq(server.requests, 2);
}
END_TEST

START_TEST(a_read_on_a_dead_connection_is_repeated)
{
    ck_assert_int_eq(get("/once").err, DYN_OK);
    ck_assert_int_eq(get("/once").err, DYN_OK);
    ck_assert_int_eq(server.connections, 2);
}
END_TEST

START_TEST(two_hundred_reads_share_their_connections)
{
    static struct outcome outcomes[200];
    for (int round = 0; round < 3; round++) {
        memset(outcomes, 0, sizeof(outcomes));
        for (int i = 0; i < 200; i++) {
            struct http_request request = request_of("GET", url_of("/ok"), &outcomes[i]);
            start(&request, &outcomes[i]);
        }
        await_all(outcomes, 200);
        for (int i = 0; i < 200; i++) {
            ck_assert_msg(outcomes[i].err == DYN_OK, "%s", outcomes[i].error);
        }
    }
    ck_assert_int_eq(server.requests, 600);
    ck_assert_int_le(server.connections, DYN_HTTP_HOST_CONNECTIONS_MAX);
}
END_TEST

START_TEST(those_who_wait_for_a_connection_time_out_in_time)
{
    struct outcome outcomes[5] = {{0}, {0}, {0}, {0}, {0}};
    struct http_client_options options = {.host_connections_max = 1};
    http_client_free(client);
    client = http_client_new(loop, &options);
    ck_assert_ptr_nonnull(client);
    for (int i = 0; i < 5; i++) {
        struct http_request request = request_of("GET", url_of("/never"), &outcomes[i]);
        request.total_timeout_ms = i == 0 ? 600 : 200;
        start(&request, &outcomes[i]);
    }
    /* One that may wait longer gets the connection, and its connect timeout starts then. */
    struct outcome patient = {0};
    struct http_request request = request_of("GET", url_of("/ok"), &patient);
    request.connect_timeout_ms = 300;
    start(&request, &patient);
    int64_t began_ms = dyn_clock_boot_ms();
    await_all(outcomes + 1, 4);
    ck_assert_int_lt(dyn_clock_boot_ms() - began_ms, 500);
    ck_assert_int_eq(outcomes[4].err, DYN_TIMEOUT);
    ck_assert(!outcomes[4].sent);
    ck_assert_int_eq(outcomes[0].done, 0);
    await_all(&patient, 1);
    ck_assert_msg(patient.err == DYN_OK, "%s", patient.error);
    ck_assert_int_eq(outcomes[0].done, 1);
    ck_assert_int_eq(server.requests, 2);
}
END_TEST

static void outcome_chain(void *arg, const struct http_answer *answer)
{
    struct outcome *outcome = arg;
    outcome->err = answer->err;
    if (outcome->again == 0) {
        outcome->done++;
        return;
    }
    outcome->again--;
    struct http_request request = request_of("GET", url_of("/ok"), outcome);
    request.done = outcome_chain;
    dyn_err err = http_start(client, &request, NULL, NULL);
    ck_assert_int_eq(err, DYN_OK);
}

START_TEST(done_may_start_the_next_request)
{
    struct outcome outcome = {.again = 50};
    struct http_request request = request_of("GET", url_of("/ok"), &outcome);
    request.done = outcome_chain;
    run(&request);
    ck_assert_int_eq(outcome.err, DYN_OK);
    ck_assert_int_eq(server.requests, 51);
    ck_assert_int_eq(server.connections, 1);
}
END_TEST

START_TEST(kept_connections_do_not_keep_the_loop_running)
{
    struct outcome outcome = {0};
    struct http_request request = request_of("GET", url_of("/ok"), &outcome);
    start(&request, &outcome);
    dyn_loop_run(loop);
    ck_assert_int_eq(outcome.done, 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http");
    TCase *tcase = tcase_create("requests");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, an_answer_comes_with_status_header_and_body);
    tcase_add_test(tcase, a_chunked_body_is_put_together);
    tcase_add_test(tcase, a_trailer_replaces_no_header);
    tcase_add_test(tcase, an_error_status_is_an_answer_and_the_last_header_counts);
    tcase_add_test(tcase, a_redirect_is_not_followed);
    tcase_add_loop_test(tcase, a_bad_answer_ends_with_its_reason, 0,
                        (int)(sizeof(failures) / sizeof(failures[0])));
    tcase_add_test(tcase, a_header_line_without_end_does_not_stop_the_program);
    tcase_add_test(tcase, fifty_mebibytes_in_chunks_are_cut_off_early);
    tcase_add_test(tcase, a_body_of_exactly_its_bound_is_taken);
    tcase_add_test(tcase, a_refused_connection_sent_nothing);
    tcase_add_test(tcase, a_resolver_that_hangs_holds_up_nobody);
    tcase_add_test(tcase, a_name_that_does_not_resolve_is_an_error);
    tcase_add_test(tcase, a_write_has_its_headers_and_none_of_curls_own);
    tcase_add_test(tcase, a_handle_used_again_keeps_nothing_of_the_last_request);
    tcase_add_test(tcase, a_user_and_a_password_are_told_to_one_request_only);
    tcase_add_test(tcase, proxies_of_the_environment_are_not_used);
    tcase_add_test(tcase, sockets_are_closed_on_exec_and_a_write_keeps_none);
    tcase_add_test(tcase, what_must_not_be_sent_is_refused_at_once);
    tcase_add_test(tcase, plain_http_goes_where_it_is_allowed);
    tcase_add_test(tcase, a_cancelled_request_ends_later_and_once);
    tcase_add_test(tcase, a_request_cancelled_before_its_start_sends_nothing);
    tcase_add_test(tcase, cancelling_inside_done_is_harmless);
    tcase_add_test(tcase, freeing_the_client_ends_what_was_cancelled);
    tcase_add_test(tcase, a_request_held_back_sends_nothing);
    tcase_add_test(tcase, a_request_may_be_cancelled_while_it_asks);
    tcase_add_test(tcase, a_write_whose_connection_dies_is_sent_once);
    tcase_add_test(tcase, a_read_on_a_dead_connection_is_repeated);
    tcase_add_test(tcase, two_hundred_reads_share_their_connections);
    tcase_add_test(tcase, those_who_wait_for_a_connection_time_out_in_time);
    tcase_add_test(tcase, done_may_start_the_next_request);
    tcase_add_test(tcase, kept_connections_do_not_keep_the_loop_running);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
