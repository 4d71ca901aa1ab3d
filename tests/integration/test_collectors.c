/* Several real collectors share 60 inputs; a metric API writes down who asked for what, and when.
 */
#include "support_program.h"
#include "support_redis.h"

#include "common/bus.h"
#include "common/clock.h"
#include "common/message.h"

#include <check.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    INPUTS = 60,
    WHO_MAX = 8,
    REQUESTS_MAX = 100000,
    INTERVAL_MS = 1000,
    LATE_MS = 450, /* a busy machine; readings stay at least half an interval apart */
    BEAT_MS = 200,
    GONE_MS = 900,
    TAKEN_MS = 200
};

#define SHORT_TIMES "lease: {beat: 0.2, gone: 0.9}"

/* ---- the metric API ---- */

struct request {
    int input;
    int who;
    int64_t at_ms;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct request requests[REQUESTS_MAX];
static size_t requests_count;

static void *api_serve(void *arg)
{
    int fd = (int)(intptr_t)arg;
    char head[2048] = "";
    size_t len = 0;
    ssize_t got = 1;
    while (got > 0 && len < sizeof head - 1 && strstr(head, "\r\n\r\n") == NULL) {
        got = recv(fd, head + len, sizeof head - 1 - len, 0);
        len += got > 0 ? (size_t)got : 0;
        head[len] = '\0';
    }
    struct request request = {.at_ms = dyn_clock_boot_ms()};
    const char *who = strstr(head, "X-Who: ");
    if (who != NULL && sscanf(head, "GET /%d", &request.input) == 1 &&
        sscanf(who, "X-Who: %d", &request.who) == 1) {
        const char *answer = "HTTP/1.1 200 OK\r\nContent-Length: 11\r\nConnection: close\r\n\r\n"
                             "{\"value\":7}";
        (void)pthread_mutex_lock(&lock);
        if (requests_count < REQUESTS_MAX) {
            requests[requests_count++] = request;
        }
        (void)pthread_mutex_unlock(&lock);
        (void)send(fd, answer, strlen(answer), MSG_NOSIGNAL);
    }
    close(fd);
    return NULL;
}

static void *api_accept(void *arg)
{
    int listener = (int)(intptr_t)arg;
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        pthread_t thread;
        if (fd < 0 || pthread_create(&thread, NULL, api_serve, (void *)(intptr_t)fd) != 0) {
            return NULL;
        }
        pthread_detach(thread);
    }
}

static int api_start(void)
{
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t len = sizeof address;
    struct sockaddr *any = (struct sockaddr *)&address;
    ck_assert_int_eq(bind(listener, any, len), 0);
    ck_assert_int_eq(listen(listener, 256), 0);
    ck_assert_int_eq(getsockname(listener, any, &len), 0);
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, api_accept, (void *)(intptr_t)listener), 0);
    pthread_detach(thread);
    return ntohs(address.sin_port);
}

/* ---- the collectors ---- */

static struct support_redis *redis;
static struct support_file *file;
static struct program *collectors[WHO_MAX];

static void setup(void)
{
    char schema[16];
    redis = support_redis_new(NULL);
    support_redis_load_functions(redis);
    snprintf(schema, sizeof schema, "%d", MESSAGE_SCHEMA);
    support_redis_call(redis, "HSET", "dyn:setup", "partitions", "1", "functions",
                       bus_functions_version, "schema", schema, NULL);
    file = support_file_new("dynosaur.yaml");
    memset(collectors, 0, sizeof collectors);
    requests_count = 0;
}

static void teardown(void)
{
    for (int who = 0; who < WHO_MAX; who++) {
        program_free(collectors[who]);
    }
    support_file_free(file);
    support_redis_free(redis);
}

/* Two apps, since a controller has at most 32 inputs. */
static void configure(const char *times)
{
    char apps[16384] = "";
    int port = api_start();
    for (int i = 0; i < INPUTS; i++) {
        size_t used = strlen(apps);
        if (i % (INPUTS / 2) == 0) {
            snprintf(apps + used, sizeof apps - used,
                     "  shop-%d:\n"
                     "    account: main\n"
                     "    controller_plugins:\n"
                     "      - name: dynos\n"
                     "        type: dynos\n"
                     "        input_plugins:\n",
                     i);
            used = strlen(apps);
        }
        snprintf(apps + used, sizeof apps - used,
                 "          - {name: i%d, type: http_json, url: \"http://127.0.0.1:%d/%d\", "
                 "headers: {X-Who: \"${TEST_WHO}\"}, pointer: /value, per_resource: 1}\n",
                 i, port, i);
    }
    support_file_write(file,
                       "version: 2\n"
                       "redis: {partitions: 1, %s}\n"
                       "accounts: {main: {heroku_api_key: \"${KEY:-none}\"}}\n"
                       "defaults: {interval: 1, hysteresis_period: 60}\n"
                       "apps:\n%s",
                       times, apps);
}

static void start(int who)
{
    static char path[1024];
    char text[16];
    snprintf(path, sizeof path, "%s/services/dynosaur-collector", getenv("DYN_BUILD"));
    snprintf(text, sizeof text, "%d", who);
    const char *const argv[] = {path,
                                "--config",
                                support_file_path(file),
                                "--redis",
                                support_redis_url(redis),
                                "--http",
                                "127.0.0.1:0",
                                NULL};
    (void)setenv("TEST_WHO", text, 1);
    collectors[who] = program_start(argv);
    program_await(collectors[who], "event=redis_ready");
}

static void await_members(int who, int members)
{
    char text[64];
    snprintf(text, sizeof text, "event=inputs_shared members=%d ", members);
    program_await(collectors[who], text);
}

static void end(int who, int signum)
{
    program_signal(collectors[who], signum);
    ck_assert_int_eq(program_end(collectors[who]), signum == SIGKILL ? 128 + SIGKILL : 0);
}

static void pass(int64_t ms)
{
    const struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&pause, NULL);
}

static void start_three(void)
{
    for (int who = 0; who < 3; who++) {
        start(who);
    }
    for (int who = 0; who < 3; who++) {
        await_members(who, 3);
    }
    pass(INTERVAL_MS + LATE_MS);
}

/* ---- judging ---- */

/* The requests so far that came at or after from_ms. */
static size_t history(int64_t from_ms, struct request **out)
{
    (void)pthread_mutex_lock(&lock);
    size_t first = 0;
    while (first < requests_count && requests[first].at_ms < from_ms) {
        first++;
    }
    size_t count = requests_count - first;
    *out = malloc((count + 1) * sizeof **out);
    ck_assert_ptr_nonnull(*out);
    memcpy(*out, requests + first, count * sizeof **out);
    (void)pthread_mutex_unlock(&lock);
    return count;
}

/* Who asked for each input last; -1: nobody since from_ms. */
static void owners(int64_t from_ms, int *out)
{
    struct request *log = NULL;
    size_t count = history(from_ms, &log);
    for (int i = 0; i < INPUTS; i++) {
        out[i] = -1;
    }
    for (size_t r = 0; r < count; r++) {
        out[log[r].input] = log[r].who;
    }
    free(log);
}

/* From from_ms on no input waited longer than an interval and `more_ms`; where `moves` does not
 * allow two at once, it was asked for once an interval by the one owner. */
static void check_gaps(int64_t from_ms, int64_t more_ms, bool moves)
{
    struct request *log = NULL;
    size_t count = history(from_ms, &log);
    int64_t last[INPUTS];
    int who[INPUTS];
    int64_t now_ms = dyn_clock_boot_ms();
    for (int i = 0; i < INPUTS; i++) {
        last[i] = INT64_MIN;
        who[i] = -1;
    }
    for (size_t r = 0; r < count; r++) {
        int i = log[r].input;
        int64_t gap_ms = log[r].at_ms - (last[i] == INT64_MIN ? from_ms : last[i]);
        ck_assert_msg(gap_ms <= INTERVAL_MS + LATE_MS + more_ms, "input %d waited %lld ms", i,
                      (long long)gap_ms);
        if (!moves && last[i] != INT64_MIN) {
            ck_assert_msg(gap_ms >= INTERVAL_MS - LATE_MS, "input %d: %lld ms apart", i,
                          (long long)gap_ms);
            ck_assert_int_eq(log[r].who, who[i]);
        }
        last[i] = log[r].at_ms;
        who[i] = log[r].who;
    }
    for (int i = 0; i < INPUTS; i++) {
        ck_assert_int_le(now_ms - last[i], INTERVAL_MS + LATE_MS + more_ms);
    }
    free(log);
}

/* How long after from_ms each input of `gone` was first asked for by another, at most. */
static int64_t slowest_takeover(int64_t from_ms, const int *before, int gone)
{
    struct request *log = NULL;
    size_t count = history(from_ms, &log);
    int64_t slowest_ms = 0;
    for (int i = 0; i < INPUTS; i++) {
        int64_t first_ms = INT64_MAX;
        for (size_t r = 0; r < count && before[i] == gone; r++) {
            if (log[r].input == i && log[r].who != gone && log[r].at_ms < first_ms) {
                first_ms = log[r].at_ms;
            }
        }
        if (before[i] == gone) {
            ck_assert_msg(first_ms != INT64_MAX, "nobody took input %d over", i);
            slowest_ms = first_ms - from_ms > slowest_ms ? first_ms - from_ms : slowest_ms;
        }
    }
    free(log);
    return slowest_ms;
}

/* ---- tests ---- */

START_TEST(three_share_the_inputs_and_each_is_read_once_an_interval)
{
    configure(SHORT_TIMES);
    start_three();
    int64_t from_ms = dyn_clock_boot_ms();
    pass(4 * INTERVAL_MS);
    check_gaps(from_ms, 0, false);
    int owner[INPUTS];
    int share[WHO_MAX] = {0};
    owners(from_ms, owner);
    for (int i = 0; i < INPUTS; i++) {
        ck_assert_int_ge(owner[i], 0);
        share[owner[i]]++;
    }
    for (int who = 0; who < 3; who++) {
        ck_assert_int_ge(share[who], 8); /* 20 expected, standard deviation 3.7 */
    }
    ck_assert_int_eq(program_http(collectors[0], "/readyz"), 200);
    ck_assert_int_eq(program_http(collectors[0], "/metrics"), 200);
    ck_assert_ptr_nonnull(strstr(program_body(collectors[0]), "dynosaur_members 3"));
}
END_TEST

START_TEST(what_a_killed_one_read_goes_over_and_nothing_else_moves)
{
    configure(SHORT_TIMES);
    start_three();
    int before[INPUTS];
    int after[INPUTS];
    int64_t start_ms = dyn_clock_boot_ms();
    pass(INTERVAL_MS + LATE_MS);
    owners(start_ms, before);
    int64_t killed_ms = dyn_clock_boot_ms();
    end(1, SIGKILL);
    await_members(0, 2);
    await_members(2, 2);
    pass(3 * INTERVAL_MS);
    ck_assert_int_le(slowest_takeover(killed_ms, before, 1),
                     GONE_MS + BEAT_MS + TAKEN_MS + LATE_MS);
    check_gaps(start_ms, GONE_MS + BEAT_MS + TAKEN_MS, true);
    owners(killed_ms + 100, after);
    for (int i = 0; i < INPUTS; i++) {
        ck_assert_int_ne(after[i], 1);
        ck_assert(before[i] == 1 || after[i] == before[i]);
    }
    check_gaps(dyn_clock_boot_ms() - INTERVAL_MS, 0, false);
}
END_TEST

START_TEST(one_that_comes_takes_its_share_and_nothing_else_moves)
{
    configure(SHORT_TIMES);
    start_three();
    int before[INPUTS];
    int after[INPUTS];
    int64_t start_ms = dyn_clock_boot_ms();
    pass(INTERVAL_MS + LATE_MS);
    owners(start_ms, before);
    start(3);
    for (int who = 0; who <= 3; who++) {
        await_members(who, 4);
    }
    int64_t joined_ms = dyn_clock_boot_ms();
    pass(4 * INTERVAL_MS);
    check_gaps(start_ms, TAKEN_MS, true); /* nobody waited for the hand-over */
    owners(joined_ms + INTERVAL_MS, after);
    int moved = 0;
    for (int i = 0; i < INPUTS; i++) {
        ck_assert(after[i] == before[i] || after[i] == 3);
        moved += after[i] == 3;
    }
    ck_assert_int_ge(moved, 5); /* 15 expected, standard deviation 3.4 */
    ck_assert_int_le(moved, 28);
    check_gaps(joined_ms + 2 * INTERVAL_MS, 0, false);
}
END_TEST

START_TEST(one_that_drains_says_goodbye_and_is_followed_without_a_wait)
{
    configure("lease: {beat: 0.2, gone: 60}");
    start_three();
    int before[INPUTS];
    int64_t start_ms = dyn_clock_boot_ms();
    pass(INTERVAL_MS + LATE_MS);
    owners(start_ms, before);
    int64_t ended_ms = dyn_clock_boot_ms();
    end(2, SIGTERM);
    await_members(0, 2);
    await_members(1, 2);
    pass(INTERVAL_MS);
    ck_assert_int_le(slowest_takeover(ended_ms, before, 2), BEAT_MS + TAKEN_MS + LATE_MS);
}
END_TEST

START_TEST(without_redis_everybody_goes_on_with_what_is_its_own)
{
    configure("lease: {beat: 0.2, gone: 8}");
    start_three();
    int64_t start_ms = dyn_clock_boot_ms();
    support_redis_freeze(redis);
    pass(4 * INTERVAL_MS);
    check_gaps(start_ms, 0, false);
    support_redis_thaw(redis);
    pass(2 * INTERVAL_MS);
    check_gaps(start_ms, 0, false);
}
END_TEST

START_TEST(by_default_a_killed_one_is_followed_within_eight_seconds)
{
    configure("lease: {}");
    start_three();
    int before[INPUTS];
    int64_t start_ms = dyn_clock_boot_ms();
    pass(INTERVAL_MS + LATE_MS);
    owners(start_ms, before);
    int64_t killed_ms = dyn_clock_boot_ms();
    end(0, SIGKILL);
    await_members(1, 2);
    await_members(2, 2);
    pass(INTERVAL_MS);
    int64_t took_ms = slowest_takeover(killed_ms, before, 0);
    printf("collectors: from kill -9 to the last first reading by others: %lld ms\n",
           (long long)took_ms);
    ck_assert_int_le(took_ms, 8000);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("collectors");
    TCase *real = tcase_create("real");
    tcase_add_checked_fixture(real, setup, teardown);
    tcase_add_test(real, three_share_the_inputs_and_each_is_read_once_an_interval);
    tcase_add_test(real, what_a_killed_one_read_goes_over_and_nothing_else_moves);
    tcase_add_test(real, one_that_comes_takes_its_share_and_nothing_else_moves);
    tcase_add_test(real, one_that_drains_says_goodbye_and_is_followed_without_a_wait);
    tcase_add_test(real, without_redis_everybody_goes_on_with_what_is_its_own);
    tcase_add_test(real, by_default_a_killed_one_is_followed_within_eight_seconds);
    tcase_set_timeout(real, 90);
    suite_add_tcase(suite, real);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
