/* Gauges in datagrams against an agent that judges them. */
#include "common/clock.h"
#include "common/json.h"
#include "tests/integration/support_metrics.h"
#include "tests/integration/support_name.h"
#include "tests/integration/support_sink.h"

#include <check.h>
#include <math.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define NUMBERS_MAX 500

int clock_gettime(clockid_t id, struct timespec *at);
void arc4random_buf(void *bytes, size_t len);

/* Pauses between tries are not waited for. */
static int64_t ahead_s;

int clock_gettime(clockid_t id, struct timespec *at)
{
    int result = (int)syscall(SYS_clock_gettime, id, at);
    at->tv_sec += id == CLOCK_REALTIME ? 0 : ahead_s;
    return result;
}

void arc4random_buf(void *bytes, size_t len)
{
    memset(bytes, 0, len);
}

static struct metrics fake;
static struct sink_stat stats[NUMBERS_MAX];
static char names[NUMBERS_MAX][64];

static void setup(void)
{
    ahead_s = 0;
    sink_setup();
    fake = metrics_start("{}");
}

static void teardown(void)
{
    metrics_stop(&fake);
    sink_teardown();
}

static void statsd_configure(const char *host, unsigned port)
{
    sink_configure("stats_plugins", "type: statsd, host: \"%s\", port: %u", host, port);
}

/* The agent's gauges when there are so many, or in the end. The caller owns them. */
static json_t *gauges(size_t count)
{
    const struct timespec pause = {.tv_nsec = 20000000};
    json_t *found = NULL;
    for (int i = 0; i < 250 && json_object_size(found) < count; i++) {
        json_decref(found);
        (void)nanosleep(&pause, NULL);
        json_t *state = metrics_control(&fake, "GET", "state", NULL);
        found = json_incref(dyn_json_at(state, "/statsd/gauges", NULL));
        json_decref(state);
    }
    ck_assert_uint_eq(json_object_size(found), count);
    metrics_are_content(&fake);
    return found;
}

static double gauge(json_t *all, const char *name)
{
    json_t *value = json_object_get(all, name);
    ck_assert_msg(value != NULL, "no gauge %s", name);
    return json_number_value(value);
}

static struct sink_stat number_now(const char *name, double value)
{
    return (struct sink_stat){.name = name, .value = value, .at_ms = dyn_clock_wall_ms()};
}

static void all_accepted(double count)
{
    struct sink_tally tally = sink_run_ahead(&ahead_s);
    ck_assert_msg(tally.dead == 0 && tally.failed == 0, "%s", tally.why);
    ck_assert_double_eq(tally.accepted, count);
}

START_TEST(gauges_have_the_names_and_numbers_that_agents_understand)
{
    const struct sink_stat some[] = {
        number_now("dynosaur.shop.dynos.users.value", 42),
        number_now("dynosaur.shop.dynos.users.max", 0.25),
        number_now("dynosaur.shop.dynos.users.low", -7.5),
        number_now("dynosaur.shop.redis connections:a|b@c\n.\xc3\xa4", 1),
        number_now("dynosaur.shop.dynos.huge", 1e300),
        number_now("dynosaur.shop.dynos.tiny", 1e-9),
        number_now("dynosaur.shop.dynos.third", 1.0 / 3),
    };
    statsd_configure("127.0.0.1", fake.port);
    sink_add_stats(some, sizeof some / sizeof some[0]);
    all_accepted(1);
    json_t *all = gauges(7);
    ck_assert_double_eq(gauge(all, "dynosaur.shop.dynos.users.value"), 42);
    ck_assert_double_eq(gauge(all, "dynosaur.shop.dynos.users.max"), 0.25);
    ck_assert_double_eq(gauge(all, "dynosaur.shop.dynos.users.low"), -7.5);
    ck_assert_double_eq(gauge(all, "dynosaur.shop.redis_connections_a_b_c_.__"), 1);
    ck_assert_double_eq(gauge(all, "dynosaur.shop.dynos.huge"), 1e300);
    ck_assert_double_eq(gauge(all, "dynosaur.shop.dynos.tiny"), 0);
    ck_assert_double_eq_tol(gauge(all, "dynosaur.shop.dynos.third"), 1.0 / 3, 1e-6);
    json_decref(all);
}
END_TEST

/* -7 where there was -7.5 would else be -14.5. */
START_TEST(a_negative_gauge_replaces_the_one_before)
{
    const struct sink_stat first = number_now("a.low", -7.5);
    const struct sink_stat second = number_now("a.low", -7);
    const struct sink_stat last = number_now("z.last", 1);
    statsd_configure(support_loopback(), fake.port);
    sink_add_stats(&first, 1);
    sink_add_stats(&second, 1);
    sink_add_stats(&last, 1);
    all_accepted(3);
    json_t *all = gauges(2);
    ck_assert_double_eq(gauge(all, "a.low"), -7);
    json_decref(all);
}
END_TEST

START_TEST(many_numbers_are_datagrams_of_bounded_size)
{
    static char longest[700];
    memset(longest, 'n', sizeof longest - 1);
    for (size_t i = 0; i < NUMBERS_MAX; i++) {
        (void)snprintf(names[i], sizeof names[i], "dynosaur.shop.dynos.x.%04zu", i);
        stats[i] = number_now(i == 0 ? longest : names[i], i < 5 ? -1e300 : 1);
    }
    statsd_configure("127.0.0.1", fake.port);
    sink_add_stats(stats, NUMBERS_MAX);
    all_accepted(1);
    json_decref(gauges(NUMBERS_MAX));
}
END_TEST

START_TEST(what_is_no_number_or_old_is_left_out)
{
    struct sink_stat some[] = {number_now("a.nan", NAN), number_now("a.inf", INFINITY),
                               number_now("a.old", 1), number_now("a.new", 1)};
    some[2].at_ms -= 61000;
    statsd_configure("127.0.0.1", fake.port);
    sink_add_stats(some, 4);
    all_accepted(1);
    json_t *all = gauges(1);
    ck_assert_double_eq(gauge(all, "a.new"), 1);
    json_decref(all);
}
END_TEST

START_TEST(an_agent_that_is_not_there_is_noticed)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof address;
    char wanted[64];
    const struct sink_stat one = number_now("a", 1);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ck_assert_int_eq(bind(fd, (const struct sockaddr *)&address, len), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    statsd_configure("127.0.0.1", ntohs(address.sin_port));
    (void)close(fd);
    sink_add_stats(&one, 1);
    struct sink_tally tally = sink_run_ahead(&ahead_s);
    ck_assert_double_eq(tally.failed, 5);
    ck_assert_double_eq(tally.dead, 1);
    (void)snprintf(wanted, sizeof wanted, "127.0.0.1 port %u: nobody listens there",
                   (unsigned)ntohs(address.sin_port));
    ck_assert_str_eq(tally.why, wanted);
    statsd_configure("127.0.0.1", fake.port);
    sink_add_stats(&one, 1);
    all_accepted(1);
    json_decref(gauges(1));
}
END_TEST

START_TEST(a_host_that_does_not_resolve_is_tried_again)
{
    const struct sink_stat one = number_now("a", 1);
    statsd_configure("statsd.invalid", 8125);
    sink_add_stats(&one, 1);
    struct sink_tally tally = sink_run_ahead(&ahead_s);
    ck_assert_double_eq(tally.failed, 5);
    ck_assert_double_eq(tally.dead, 1);
    ck_assert_ptr_nonnull(strstr(tally.why, "statsd.invalid: "));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sink_statsd");
    TCase *tests = tcase_create("statsd");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, gauges_have_the_names_and_numbers_that_agents_understand);
    tcase_add_test(tests, a_negative_gauge_replaces_the_one_before);
    tcase_add_test(tests, many_numbers_are_datagrams_of_bounded_size);
    tcase_add_test(tests, what_is_no_number_or_old_is_left_out);
    tcase_add_test(tests, an_agent_that_is_not_there_is_noticed);
    tcase_add_test(tests, a_host_that_does_not_resolve_is_tried_again);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
