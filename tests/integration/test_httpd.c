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

static void set_up(void)
{
    struct dyn_error error = {""};
    loop = dyn_loop_new();
    ck_assert_ptr_nonnull(loop);
    httpd = httpd_new(loop, "127.0.0.1", 0, handle, NULL, &error);
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
    ck_assert_ptr_null(httpd_new(loop, "127.0.0.1", httpd_port(httpd), handle, NULL, &error));
    ck_assert_ptr_nonnull(strstr(error.text, "Address already in use"));
}
END_TEST

START_TEST(an_address_must_be_numeric)
{
    struct dyn_error error = {""};
    ck_assert_ptr_null(httpd_new(loop, "localhost", 0, handle, NULL, &error));
    ck_assert_ptr_nonnull(strstr(error.text, "localhost"));
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
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
