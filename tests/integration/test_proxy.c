/* The fault proxy does to a connection what it says. */
#include "support_proxy.h"

#include "common/clock.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SOON_MS 5000
#define NEVER_MS 150

static struct support_proxy *proxy;
static int target; /* listens */
static unsigned port;
static int client, server; /* one connection through the proxy */

static int listener_new(unsigned *out_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, size), 0);
    ck_assert_int_eq(listen(fd, 8), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    *out_port = ntohs(address.sin_port);
    return fd;
}

/* -1, and errno: refused. */
static int port_connect(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

static bool readable(int fd, int wait_ms)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    return poll(&ready, 1, wait_ms) == 1;
}

static void say(int fd, const char *text)
{
    ck_assert_int_eq(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* Exactly this text comes; how many pieces it came in. */
static int hear(int fd, const char *text)
{
    char got[256] = "";
    size_t len = 0;
    int pieces = 0;
    while (len < strlen(text)) {
        ck_assert_msg(readable(fd, SOON_MS), "no more than \"%s\" came", got);
        ssize_t more = recv(fd, got + len, sizeof got - 1 - len, 0);
        ck_assert_int_gt(more, 0);
        len += (size_t)more;
        pieces++;
    }
    ck_assert_str_eq(got, text);
    return pieces;
}

static void setup(void)
{
    char name[32];
    unsigned target_port = 0;
    target = listener_new(&target_port);
    proxy = support_proxy_new();
    (void)snprintf(name, sizeof name, "tcp:%u", target_port);
    port = support_proxy_link(proxy, "a", name);
    client = port_connect();
    ck_assert_int_ge(client, 0);
    ck_assert(readable(target, SOON_MS));
    server = accept4(target, NULL, NULL, SOCK_CLOEXEC);
    ck_assert_int_ge(server, 0);
}

static void teardown(void)
{
    support_proxy_free(proxy);
    (void)close(client);
    (void)close(server);
    (void)close(target);
}

START_TEST(what_is_said_passes_both_ways_and_is_counted)
{
    say(client, "hello");
    (void)hear(server, "hello");
    say(server, "you too");
    (void)hear(client, "you too");
    ck_assert_str_eq(support_proxy_say(proxy, "stats a"), "accepted=1 open=1 up=5 down=7");
    say(client, "bye");
    ck_assert_int_eq(shutdown(client, SHUT_RDWR), 0);
    (void)hear(server, "bye");
    char byte = 0;
    ck_assert(readable(server, SOON_MS));
    ck_assert_int_eq(recv(server, &byte, 1, 0), 0);
}
END_TEST

START_TEST(refuse_refuses_new_connections_until_it_ends)
{
    (void)support_proxy_say(proxy, "refuse a");
    ck_assert_int_eq(port_connect(), -1);
    ck_assert_int_eq(errno, ECONNREFUSED);
    say(client, "still here");
    (void)hear(server, "still here");
    (void)support_proxy_say(proxy, "pass a");
    int another = port_connect();
    ck_assert_int_ge(another, 0);
    (void)close(another);
}
END_TEST

START_TEST(a_cut_ends_and_a_reset_resets_what_is_open)
{
    char byte = 0;
    (void)support_proxy_say(proxy, "cut a");
    ck_assert(readable(client, SOON_MS));
    ck_assert_int_eq(recv(client, &byte, 1, 0), 0);
    ck_assert(readable(server, SOON_MS));
    ck_assert_int_eq(recv(server, &byte, 1, 0), 0);
    int another = port_connect();
    int other = accept4(target, NULL, NULL, SOCK_CLOEXEC);
    (void)support_proxy_say(proxy, "reset a");
    ck_assert(readable(another, SOON_MS));
    ck_assert_int_eq(recv(another, &byte, 1, 0), -1);
    ck_assert_int_eq(errno, ECONNRESET);
    ck_assert(readable(other, SOON_MS));
    ck_assert_int_eq(recv(other, &byte, 1, 0), -1);
    ck_assert_int_eq(errno, ECONNRESET);
    (void)close(another);
    (void)close(other);
}
END_TEST

START_TEST(one_way_is_lost_for_good_and_the_other_goes_on)
{
    (void)support_proxy_say(proxy, "drop-up a");
    say(client, "lost");
    say(server, "heard");
    (void)hear(client, "heard");
    ck_assert(!readable(server, NEVER_MS));
    (void)support_proxy_say(proxy, "pass a");
    say(client, "after it");
    ck_assert(!readable(server, NEVER_MS));
    int another = port_connect();
    int other = accept4(target, NULL, NULL, SOCK_CLOEXEC);
    (void)support_proxy_say(proxy, "drop-down a");
    say(other, "lost");
    say(another, "heard");
    (void)hear(other, "heard");
    ck_assert(!readable(another, NEVER_MS));
    (void)close(another);
    (void)close(other);
}
END_TEST

START_TEST(what_a_stall_held_arrives_when_it_ends)
{
    (void)support_proxy_say(proxy, "stall-up a");
    say(client, "late");
    say(server, "heard");
    (void)hear(client, "heard");
    ck_assert(!readable(server, NEVER_MS));
    (void)support_proxy_say(proxy, "stall-down a");
    (void)hear(server, "late");
    say(server, "late, too");
    ck_assert(!readable(client, NEVER_MS));
    (void)support_proxy_say(proxy, "pass a");
    (void)hear(client, "late, too");
}
END_TEST

START_TEST(a_delay_is_as_long_as_told_and_keeps_the_order)
{
    (void)support_proxy_say(proxy, "delay a 200");
    int64_t since_ms = dyn_clock_boot_ms();
    say(client, "one ");
    say(client, "two");
    (void)hear(server, "one two");
    ck_assert_int_ge(dyn_clock_boot_ms() - since_ms, 199);
    say(server, "three");
    (void)hear(client, "three");
    ck_assert_int_ge(dyn_clock_boot_ms() - since_ms, 398);
}
END_TEST

START_TEST(a_trickle_is_a_byte_at_a_time)
{
    (void)support_proxy_say(proxy, "trickle a 20");
    int64_t since_ms = dyn_clock_boot_ms();
    say(client, "0123456789");
    ck_assert_int_ge(hear(server, "0123456789"), 5);
    ck_assert_int_ge(dyn_clock_boot_ms() - since_ms, 9 * 20 - 1);
}
END_TEST

START_TEST(half_open_accepts_and_swallows)
{
    (void)support_proxy_say(proxy, "half-open a");
    int another = port_connect();
    ck_assert_int_ge(another, 0);
    say(another, "anybody?");
    ck_assert(!readable(another, NEVER_MS));
    ck_assert(!readable(target, 0));
    say(client, "lost");
    ck_assert(!readable(server, NEVER_MS));
    (void)support_proxy_say(proxy, "pass a");
    say(another, "now?");
    ck_assert(!readable(another, NEVER_MS));
    (void)close(another);
}
END_TEST

START_TEST(more_than_its_queue_makes_it_stop_reading_and_nothing_is_lost)
{
    static char block[65536];
    size_t sent = 0;
    (void)support_proxy_say(proxy, "stall-up a");
    for (;;) {
        struct pollfd ready = {.fd = client, .events = POLLOUT};
        if (poll(&ready, 1, NEVER_MS) != 1) {
            break;
        }
        ssize_t len = send(client, block, sizeof block, MSG_NOSIGNAL | MSG_DONTWAIT);
        ck_assert_int_gt(len, 0);
        sent += (size_t)len;
        ck_assert_uint_lt(sent, 64u * 1024 * 1024);
    }
    (void)support_proxy_say(proxy, "pass a");
    for (size_t got = 0; got < sent;) {
        ck_assert(readable(server, SOON_MS));
        ssize_t len = recv(server, block, sizeof block, 0);
        ck_assert_int_gt(len, 0);
        got += (size_t)len;
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("proxy");
    TCase *tests = tcase_create("proxy");
    tcase_set_timeout(tests, 30);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, what_is_said_passes_both_ways_and_is_counted);
    tcase_add_test(tests, refuse_refuses_new_connections_until_it_ends);
    tcase_add_test(tests, a_cut_ends_and_a_reset_resets_what_is_open);
    tcase_add_test(tests, one_way_is_lost_for_good_and_the_other_goes_on);
    tcase_add_test(tests, what_a_stall_held_arrives_when_it_ends);
    tcase_add_test(tests, a_delay_is_as_long_as_told_and_keeps_the_order);
    tcase_add_test(tests, a_trickle_is_a_byte_at_a_time);
    tcase_add_test(tests, half_open_accepts_and_swallows);
    tcase_add_test(tests, more_than_its_queue_makes_it_stop_reading_and_nothing_is_lost);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
