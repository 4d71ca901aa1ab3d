#include "common/httpd.h"

#include <arpa/inet.h>
#include <check.h>
#include <fcntl.h>
#include <unistd.h>

static struct dyn_loop *loop;
static struct httpd *httpd;
static int handled;

static void handle(void *arg, const char *path, struct httpd_answer *answer)
{
    (void)arg;
    handled++;
    if (strcmp(path, "/hello") == 0) {
        (void)dyn_buf_addf(&answer->body, "hello\n");
    } else if (strcmp(path, "/metrics") == 0) {
        answer->content_type = "text/plain; version=0.0.4";
        for (int i = 0; i < 100000; i++) {
            (void)dyn_buf_addf(&answer->body, "line %06d\n", i);
        }
    } else if (strcmp(path, "/endless") == 0) {
        while (dyn_buf_add(&answer->body, "0123456789", 10) == DYN_OK) {
        }
    } else {
        answer->status = 404;
    }
}

static const struct httpd_options plain = {.address = "127.0.0.1", .fn = handle};

static void set_up(void)
{
    struct dyn_error error = {""};
    loop = dyn_loop_new();
    ck_assert_ptr_nonnull(loop);
    httpd = httpd_new(loop, &plain, &error);
    ck_assert_msg(httpd != NULL, "%s", error.text);
    ck_assert_uint_ne(httpd_port(httpd), 0);
    handled = 0;
}

static void tear_down(void)
{
    httpd_free(httpd);
    dyn_loop_free(loop);
}

static int client_open(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(httpd_port(httpd))};
    ck_assert_int_eq(inet_pton(AF_INET, "127.0.0.1", &address.sin_addr), 1);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    return fd;
}

/* The server turns in this very thread: read until it closes the connection. */
static void client_read(int fd, struct dyn_buf *out)
{
    char bytes[65536];
    for (int turn = 0; turn < 2000; turn++) {
        dyn_loop_once(loop, 5);
        ssize_t len = read(fd, bytes, sizeof bytes);
        if (len == 0) {
            return;
        }
        if (len > 0) {
            ck_assert_int_eq(dyn_buf_add(out, bytes, (size_t)len), DYN_OK);
        }
    }
    ck_abort_msg("no end of the answer");
}

static void ask(const char *request, struct dyn_buf *out)
{
    dyn_buf_init(out, 16 << 20);
    int fd = client_open();
    ck_assert_int_eq(write(fd, request, strlen(request)), (ssize_t)strlen(request));
    client_read(fd, out);
    (void)close(fd);
}

START_TEST(a_known_path_is_answered)
{
    struct dyn_buf answer;
    ask("GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", &answer);
    ck_assert(dyn_str_starts(dyn_buf_str(&answer), "HTTP/1.1 200 "));
    ck_assert_ptr_nonnull(strstr(dyn_buf_text(&answer), "Content-Type: text/plain; charset=utf-8"));
    ck_assert_str_eq(strstr(dyn_buf_text(&answer), "\r\n\r\n"), "\r\n\r\nhello\n");
    dyn_buf_fini(&answer);
}
END_TEST

START_TEST(an_unknown_path_is_404)
{
    struct dyn_buf answer;
    ask("GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", &answer);
    ck_assert(dyn_str_starts(dyn_buf_str(&answer), "HTTP/1.1 404 "));
    dyn_buf_fini(&answer);
}
END_TEST

START_TEST(an_answer_of_a_megabyte_comes_whole)
{
    struct dyn_buf answer;
    ask("GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", &answer);
    ck_assert_ptr_nonnull(strstr(dyn_buf_text(&answer), "version=0.0.4"));
    const char *body = strstr(dyn_buf_text(&answer), "\r\n\r\n") + 4;
    ck_assert_uint_eq(strlen(body), 1200000);
    ck_assert_str_eq(body + 1200000 - 12, "line 099999\n");
    dyn_buf_fini(&answer);
}
END_TEST

START_TEST(an_answer_over_its_bound_is_500)
{
    struct dyn_buf answer;
    ask("GET /endless HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", &answer);
    ck_assert(dyn_str_starts(dyn_buf_str(&answer), "HTTP/1.1 500 "));
    dyn_buf_fini(&answer);
}
END_TEST

START_TEST(other_methods_are_refused)
{
    struct dyn_buf answer;
    ask("POST /hello HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi",
        &answer);
    ck_assert(dyn_str_starts(dyn_buf_str(&answer), "HTTP/1.1 405 "));
    ck_assert_ptr_nonnull(strstr(dyn_buf_text(&answer), "Allow: GET, HEAD"));
    ck_assert_int_eq(handled, 0);
    dyn_buf_fini(&answer);
}
END_TEST

START_TEST(headers_over_their_bound_are_refused)
{
    struct dyn_buf request;
    struct dyn_buf answer;
    dyn_buf_init(&request, 1 << 20);
    (void)dyn_buf_addf(&request, "GET /hello HTTP/1.1\r\nHost: x\r\nLong: ");
    for (int i = 0; i < 4000; i++) {
        (void)dyn_buf_addf(&request, "0123456789");
    }
    (void)dyn_buf_addf(&request, "\r\n\r\n");
    ask(dyn_buf_text(&request), &answer);
    ck_assert(dyn_str_starts(dyn_buf_str(&answer), "HTTP/1.1 431 "));
    ck_assert_int_eq(handled, 0);
    dyn_buf_fini(&request);
    dyn_buf_fini(&answer);
}
END_TEST

START_TEST(a_slow_client_holds_up_nobody)
{
    struct dyn_buf answer;
    int slow = client_open();
    ck_assert_int_eq(write(slow, "GET /he", 7), 7);
    ask("GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", &answer);
    ck_assert(dyn_str_starts(dyn_buf_str(&answer), "HTTP/1.1 200 "));
    dyn_buf_fini(&answer);
    (void)close(slow);
}
END_TEST

START_TEST(a_port_that_is_taken_is_said)
{
    struct dyn_error error = {""};
    const struct httpd_options taken = {
        .address = "127.0.0.1", .port = httpd_port(httpd), .fn = handle};
    ck_assert_ptr_null(httpd_new(loop, &taken, &error));
    ck_assert_ptr_nonnull(strstr(error.text, "Address already in use"));
}
END_TEST

START_TEST(an_address_must_be_numeric)
{
    struct dyn_error error = {""};
    const struct httpd_options named = {.address = "localhost", .fn = handle};
    ck_assert_ptr_null(httpd_new(loop, &named, &error));
    ck_assert_ptr_nonnull(strstr(error.text, "localhost"));
}
END_TEST

/* ---- POSTs ---- */

#define POST_BODY_MAX 1000

static struct httpd_request *waits; /* a body came that was not answered yet */
static struct dyn_buf bodies;       /* of all requests, each with | behind it */
static int too_bigs;
static char passwords[100];

static int post_head(void *arg, struct httpd_request *request, const char **words)
{
    struct dyn_buf password;
    (void)arg;
    dyn_buf_init(&password, 50);
    if (httpd_request_password(request, &password)) {
        dyn_str_copy(passwords, sizeof passwords, dyn_buf_str(&password));
    }
    dyn_buf_fini(&password);
    if (httpd_request_header(request, "x-secret") == NULL) {
        *words = "no secret";
        return 401;
    }
    return strcmp(httpd_request_path(request), "/post") == 0 ? 0 : 404;
}

static void post_body(void *arg, struct httpd_request *request, struct dyn_str body)
{
    (void)arg;
    (void)dyn_buf_add_str(&bodies, body);
    (void)dyn_buf_addf(&bodies, "|");
    if (dyn_str_starts(body, "wait")) {
        waits = request;
    } else {
        httpd_request_answer(request, 200, "");
    }
}

static void post_too_big(void *arg, struct httpd_request *request)
{
    (void)arg;
    ck_assert_str_eq(httpd_request_path(request), "/post");
    too_bigs++;
}

static void posts_set_up(void)
{
    static const struct httpd_posts posts = {
        .connections_max = 8,
        .body_max = POST_BODY_MAX,
        .bodies_max = 4096,
        .head = post_head,
        .body = post_body,
        .too_big = post_too_big,
    };
    const struct httpd_options options = {.address = "127.0.0.1", .fn = handle, .posts = &posts};
    struct dyn_error error = {""};
    loop = dyn_loop_new();
    httpd = httpd_new(loop, &options, &error);
    ck_assert_msg(httpd != NULL, "%s", error.text);
    dyn_buf_init(&bodies, 1 << 20);
    waits = NULL;
    too_bigs = 0;
}

static void posts_tear_down(void)
{
    tear_down();
    dyn_buf_fini(&bodies);
}

#define POST "POST /post HTTP/1.1\r\nHost: x\r\nX-Secret: 1\r\n"

static void answered(const char *request, const char *start)
{
    struct dyn_buf answer;
    ask(request, &answer);
    ck_assert_msg(dyn_str_starts(dyn_buf_str(&answer), start), "%s", dyn_buf_text(&answer));
    dyn_buf_fini(&answer);
}

START_TEST(a_body_comes_whole_however_it_is_sent)
{
    answered(POST "Connection: close\r\nContent-Length: 5\r\n\r\nhello", "HTTP/1.1 200 ");
    answered(POST "Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
                  "3\r\nhel\r\n1\r\nl\r\n1\r\no\r\n0\r\n\r\n",
             "HTTP/1.1 200 ");
    answered(POST "Connection: close\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 200 ");
    ck_assert_str_eq(dyn_buf_text(&bodies), "hello|hello||");
    answered("GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "HTTP/1.1 200 ");
}
END_TEST

START_TEST(a_body_may_come_byte_by_byte_and_two_on_one_connection)
{
    static const char request[] = POST "Content-Length: 5\r\n\r\nhello" POST
                                       "Connection: close\r\nContent-Length: 3\r\n\r\nyou";
    struct dyn_buf answer;
    int fd = client_open();
    for (size_t i = 0; i + 1 < sizeof request; i++) {
        ck_assert_int_eq(write(fd, request + i, 1), 1);
        dyn_loop_once(loop, 0);
    }
    dyn_buf_init(&answer, 1 << 20);
    client_read(fd, &answer);
    ck_assert_str_eq(dyn_buf_text(&bodies), "hello|you|");
    ck_assert(dyn_str_starts(dyn_buf_str(&answer), "HTTP/1.1 200 "));
    ck_assert_ptr_nonnull(strstr(dyn_buf_text(&answer), "Content-Length: 0\r\n"));
    ck_assert_ptr_nonnull(strstr(dyn_buf_text(&answer) + 10, "HTTP/1.1 200 "));
    dyn_buf_fini(&answer);
    (void)close(fd);
}
END_TEST

START_TEST(an_answer_may_come_later_and_others_do_not_wait_for_it)
{
    static const char request[] = POST "Connection: close\r\nContent-Length: 4\r\n\r\nwait";
    struct dyn_buf answer;
    int first = client_open();
    int second = client_open();
    struct httpd_request *held[2] = {NULL, NULL};
    int fds[] = {first, second};
    for (int i = 0; i < 2; i++) {
        ck_assert_int_gt(write(fds[i], request, sizeof request - 1), 0);
        for (int turn = 0; turn < 1000 && waits == NULL; turn++) {
            dyn_loop_once(loop, 5);
        }
        ck_assert_ptr_nonnull(waits);
        held[i] = waits;
        waits = NULL;
    }
    answered(POST "Connection: close\r\nContent-Length: 1\r\n\r\nx", "HTTP/1.1 200 ");
    httpd_request_answer(held[0], 503, "later");
    dyn_buf_init(&answer, 1 << 20);
    client_read(first, &answer);
    ck_assert(dyn_str_starts(dyn_buf_str(&answer), "HTTP/1.1 503 "));
    ck_assert_ptr_nonnull(strstr(dyn_buf_text(&answer), "later\n"));
    dyn_buf_fini(&answer);
    (void)close(first);
    (void)close(second); /* gone while it waits: its answer goes nowhere */
    httpd_request_answer(held[1], 200, "");
    for (int turn = 0; turn < 20; turn++) {
        dyn_loop_once(loop, 5);
    }
}
END_TEST

START_TEST(who_waits_when_the_server_ends_is_cut_off)
{
    static const char request[] = POST "Content-Length: 4\r\n\r\nwait";
    int fd = client_open();
    ck_assert_int_gt(write(fd, request, sizeof request - 1), 0);
    for (int turn = 0; turn < 1000 && waits == NULL; turn++) {
        dyn_loop_once(loop, 5);
    }
    ck_assert_ptr_nonnull(waits);
    (void)close(fd);
}
END_TEST

START_TEST(a_body_over_its_bound_is_413_and_told)
{
    struct dyn_buf request;
    dyn_buf_init(&request, 1 << 20);
    answered(POST "Connection: close\r\nContent-Length: 1001\r\n\r\n", "HTTP/1.1 413 ");
    ck_assert_int_eq(too_bigs, 1);
    (void)dyn_buf_addf(&request, POST "Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 101; i++) {
        (void)dyn_buf_addf(&request, "a\r\n0123456789\r\n");
    }
    (void)dyn_buf_addf(&request, "0\r\n\r\n");
    answered(dyn_buf_text(&request), "HTTP/1.1 413 ");
    ck_assert_int_eq(too_bigs, 2);
    ck_assert_str_eq(dyn_buf_text(&bodies), "");
    dyn_buf_fini(&request);
}
END_TEST

START_TEST(bodies_over_their_bound_together_are_503)
{
    struct dyn_buf whole;
    int fds[5];
    dyn_buf_init(&whole, 1 << 20);
    (void)dyn_buf_addf(&whole, POST "Connection: close\r\nContent-Length: 900\r\n\r\n%0900d", 0);
    for (int i = 0; i < 5; i++) { /* each lacks its last byte; the last is too much already */
        fds[i] = client_open();
        ck_assert_int_gt(write(fds[i], whole.ptr, whole.len - 1), 0);
        dyn_loop_once(loop, 5);
        dyn_loop_once(loop, 5);
    }
    answered(dyn_buf_text(&whole), "HTTP/1.1 503 ");
    for (int i = 0; i < 5; i++) {
        (void)close(fds[i]);
    }
    for (int turn = 0; turn < 20; turn++) {
        dyn_loop_once(loop, 5);
    }
    answered(dyn_buf_text(&whole), "HTTP/1.1 200 ");
    dyn_buf_fini(&whole);
}
END_TEST

START_TEST(a_head_that_is_refused_costs_no_body)
{
    answered("POST /post HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n", "HTTP/1.1 401 ");
    answered("POST /other HTTP/1.1\r\nHost: x\r\nX-Secret: 1\r\nContent-Length: 5\r\n\r\n",
             "HTTP/1.1 404 ");
    answered("PUT /post HTTP/1.1\r\nHost: x\r\nX-Secret: 1\r\nContent-Length: 0\r\n"
             "Connection: close\r\n\r\n",
             "HTTP/1.1 405 ");
    ck_assert_str_eq(dyn_buf_text(&bodies), "");
    ck_assert_int_eq(too_bigs, 0);
}
END_TEST

START_TEST(the_password_of_basic_authorization_is_read)
{
    passwords[0] = '\0';
    answered(POST "Authorization: Basic dXNlcjpzZWNyZXQ=\r\nConnection: close\r\n"
                  "Content-Length: 0\r\n\r\n",
             "HTTP/1.1 200 ");
    ck_assert_str_eq(passwords, "secret");
    passwords[0] = '\0';
    static const char *const odd[] = {"Basic dXNlcg==", "Basic ", "Basic %%%", "Bearer dXNlcjp4",
                                      "Basic"};
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        char request[300];
        (void)snprintf(request, sizeof request,
                       POST "Authorization: %s\r\nConnection: close\r\n"
                            "Content-Length: 0\r\n\r\n",
                       odd[i]);
        answered(request, "HTTP/1.1 200 ");
        ck_assert_str_eq(passwords, "");
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("httpd");
    TCase *tests = tcase_create("httpd");
    tcase_set_timeout(tests, 30);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, a_known_path_is_answered);
    tcase_add_test(tests, an_unknown_path_is_404);
    tcase_add_test(tests, an_answer_of_a_megabyte_comes_whole);
    tcase_add_test(tests, an_answer_over_its_bound_is_500);
    tcase_add_test(tests, other_methods_are_refused);
    tcase_add_test(tests, headers_over_their_bound_are_refused);
    tcase_add_test(tests, a_slow_client_holds_up_nobody);
    tcase_add_test(tests, a_port_that_is_taken_is_said);
    tcase_add_test(tests, an_address_must_be_numeric);
    suite_add_tcase(suite, tests);
    TCase *posts = tcase_create("posts");
    tcase_set_timeout(posts, 30);
    tcase_add_checked_fixture(posts, posts_set_up, posts_tear_down);
    tcase_add_test(posts, a_body_comes_whole_however_it_is_sent);
    tcase_add_test(posts, a_body_may_come_byte_by_byte_and_two_on_one_connection);
    tcase_add_test(posts, an_answer_may_come_later_and_others_do_not_wait_for_it);
    tcase_add_test(posts, who_waits_when_the_server_ends_is_cut_off);
    tcase_add_test(posts, a_body_over_its_bound_is_413_and_told);
    tcase_add_test(posts, bodies_over_their_bound_together_are_503);
    tcase_add_test(posts, a_head_that_is_refused_costs_no_body);
    tcase_add_test(posts, the_password_of_basic_authorization_is_read);
    suite_add_tcase(suite, posts);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
