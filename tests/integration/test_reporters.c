/* Several real reporters share the sinks: what each of them told is counted together. */
#include "support_program.h"
#include "support_redis.h"

#include "common/bus.h"
#include "common/clock.h"
#include "common/message.h"

#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SHORT_TIMES "lease: {renew: 0.2, estimator_wait: 1.2, beat: 0.2, gone: 0.8}"

enum {
    LIVES_MAX = 8,
    EVENTS_MAX = 2000,
    WAIT_MS = 1200,
    GONE_MS = 800,
    AWAIT_MS = 20000
};

static struct support_redis *redis;
static struct support_file *file;
static struct program *lives[LIVES_MAX];
static int lives_count;
static int events_count;

static void setup(void)
{
    char schema[16];
    redis = support_redis_new(NULL);
    support_redis_load_functions(redis);
    (void)snprintf(schema, sizeof schema, "%d", MESSAGE_SCHEMA);
    (void)support_redis_call(redis, "HSET", "dyn:setup", "partitions", "1", "functions",
                             bus_functions_version, "schema", schema, NULL);
    file = support_file_new("dynosaur.yaml");
    memset(lives, 0, sizeof lives);
    lives_count = events_count = 0;
}

static void teardown(void)
{
    for (int i = 0; i < lives_count; i++) {
        program_free(lives[i]);
    }
    support_file_free(file);
    support_redis_free(redis);
}

static void configure(const char *sinks)
{
    support_file_write(file,
                       "version: 2\n"
                       "redis: {url: \"%s\", partitions: 1, " SHORT_TIMES "}\n"
                       "accounts: {main: {heroku_api_key: '${KEY}'}}\n"
                       "%s"
                       "apps:\n"
                       "  shop:\n"
                       "    controller_plugins:\n"
                       "      - {name: web, type: dynos, input_plugins: [{name: a, type: sine}]}\n",
                       support_redis_url(redis), sinks);
}

static struct program *start(void)
{
    char path[512];
    char instance[16];
    (void)snprintf(path, sizeof path, "%s/services/dynosaur-reporter", getenv("DYN_BUILD"));
    (void)snprintf(instance, sizeof instance, "rep-%d", lives_count);
    const char *argv[] = {path,     "--config",    support_file_path(file),
                          "--http", "127.0.0.1:0", "--instance",
                          instance, NULL};
    ck_assert_int_lt(lives_count, LIVES_MAX);
    lives[lives_count++] = program_start(argv);
    program_await(lives[lives_count - 1], "event=redis_ready");
    return lives[lives_count - 1];
}

static void pass(int64_t ms)
{
    const struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&pause, NULL);
}

static void await_ready(struct program *program)
{
    int64_t until_ms = dyn_clock_boot_ms() + AWAIT_MS;
    while (program_http(program, "/readyz") != 200) {
        ck_assert_msg(dyn_clock_boot_ms() < until_ms, "%s", program_body(program));
        pass(10);
    }
}

static void event_add(int n, enum event_state state, const char *text)
{
    struct dyn_buf message;
    char input[32];
    (void)snprintf(input, sizeof input, "e-%d-", n);
    dyn_buf_init(&message, DYN_ENTRY_MAX);
    message_write_event(&message, &(struct event){.level = EVENT_ERROR,
                                                  .state = state,
                                                  .code = DYN_STR("input_outage"),
                                                  .app = DYN_STR("shop"),
                                                  .controller = DYN_STR("web"),
                                                  .input = dyn_str_from(input),
                                                  .service = DYN_STR("estimator"),
                                                  .instance = DYN_STR("host-1"),
                                                  .text = dyn_str_from(text),
                                                  .wall_ms = 1767225600000});
    const char *argv[] = {"XADD", "dyn:events", "*", "m", dyn_buf_text(&message)};
    size_t lengths[] = {4, 10, 1, 1, message.len};
    ck_assert_ptr_nonnull(strchr(support_redis_call_bytes(redis, 5, argv, lengths), '-'));
    dyn_buf_fini(&message);
}

/* So many new troubles, one each few milliseconds. */
static void events_add(int count)
{
    for (int i = 0; i < count; i++) {
        ck_assert_int_lt(events_count, EVENTS_MAX);
        event_add(events_count++, EVENT_RAISED, "gone");
        pass(3);
    }
}

/* How often that stands in what all of them printed. */
static int printed(const char *text)
{
    int count = 0;
    for (int i = 0; i < lives_count; i++) {
        count += program_count(lives[i], text);
    }
    return count;
}

/* How often event n was told as raised. */
static int told(int n)
{
    char text[96];
    (void)snprintf(text, sizeof text, "state=raised app=shop controller=web input=e-%d- ", n);
    return printed(text);
}

static void await_told(int n)
{
    int64_t until_ms = dyn_clock_boot_ms() + AWAIT_MS;
    while (told(n) == 0) {
        ck_assert_msg(dyn_clock_boot_ms() < until_ms, "event %d was not told", n);
        pass(10);
    }
}

/* All events so far were told, and at most `repeats` of them a second time. */
static void check_told(int repeats)
{
    int seen = 0;
    await_told(events_count - 1);
    for (int n = 0; n < events_count; n++) {
        int times = told(n);
        ck_assert_msg(times == 1 || times == 2, "event %d was told %d times", n, times);
        seen += times - 1;
    }
    ck_assert_int_le(seen, repeats);
}

static void end(struct program *program, int signum)
{
    program_signal(program, signum);
    ck_assert_int_eq(program_end(program), signum == SIGKILL ? 128 + SIGKILL : 0);
}

/* ---- tests ---- */

START_TEST(of_two_one_tells_every_event_and_the_other_is_ready)
{
    configure("");
    struct program *owner = start();
    await_ready(owner);
    struct program *standby = start();
    await_ready(standby);
    events_add(50);
    check_told(0);
    ck_assert_int_eq(program_count(owner, "sink=errors:console epoch=") +
                         program_count(standby, "sink=errors:console epoch="),
                     1 + program_count(owner, "event=sink_lost"));
    ck_assert_int_eq(program_http(standby, "/readyz"), 200);
}
END_TEST

START_TEST(one_that_drains_hands_over_at_once_and_nothing_is_told_twice)
{
    configure("");
    struct program *owner = start();
    await_ready(owner);
    struct program *next = start();
    await_ready(next);
    events_add(100);
    struct program *first = program_count(owner, "input=e-99-") > 0 ? owner : next;
    struct program *second = first == owner ? next : owner;
    program_signal(first, SIGTERM);
    events_add(100);
    ck_assert_int_eq(program_end(first), 0);
    program_await(second, "event=sink_taken");
    check_told(0);
    end(second, SIGTERM);
}
END_TEST

START_TEST(a_killed_one_is_followed_and_repeats_one_delivery_at_most)
{
    configure("");
    struct program *owner = start();
    await_ready(owner);
    program_await(owner, "event=sink_taken");
    events_add(100);
    await_told(60);
    end(owner, SIGKILL);
    struct program *next = start();
    events_add(100);
    program_await(next, "event=sink_taken");
    check_told(1);
}
END_TEST

START_TEST(what_was_raised_by_one_is_repeated_and_resolved_by_the_other_as_by_one)
{
    configure("");
    struct program *owner = start();
    await_ready(owner);
    events_add(1);
    check_told(0);
    end(owner, SIGTERM);
    event_add(0, EVENT_RAISED, "a repeat for the follower");
    event_add(1, EVENT_OVER, "over without a beginning");
    event_add(0, EVENT_OVER, "it answers");
    struct program *next = start();
    program_await(next, "repeated=1 msg=\"it answers\"");
    ck_assert_int_eq(printed("a repeat for the follower"), 0);
    ck_assert_int_eq(printed("over without a beginning"), 0);
    ck_assert_int_eq(told(0), 1);
}
END_TEST

START_TEST(one_that_comes_is_given_its_share_of_the_sinks)
{
    configure("stats_plugins: [{type: console, name: one}, {type: console, name: two}]\n"
              "error_handlers: [{type: console, name: three}, {type: console, name: four}]\n");
    struct program *owner = start();
    await_ready(owner);
    for (int i = 0; i < 4; i++) {
        program_await(owner, "event=sink_taken");
    }
    events_add(20);
    struct program *next = start();
    events_add(100);
    program_await(next, "event=sinks_shared members=2 sinks=2");
    program_await(next, "event=sink_taken");
    program_await(next, "event=sink_taken");
    events_add(20);
    for (int n = 0; n < events_count; n++) {
        int64_t until_ms = dyn_clock_boot_ms() + AWAIT_MS;
        while (told(n) < 2 && dyn_clock_boot_ms() < until_ms) {
            pass(10);
        }
        ck_assert_msg(told(n) == 2, "event %d was told %d times by two sinks", n, told(n));
    }
    ck_assert_int_eq(program_count(owner, "event=sink_lost"), 2);
    ck_assert_int_eq(program_count(next, "event=sink_lost"), 0);
}
END_TEST

/* What it printed from `from` on until it took the sink again has no event in it. */
static void check_silent(struct program *program, size_t from)
{
    const char *output = program_output(program) + from;
    const char *again = strstr(output, "event=sink_taken");
    const char *event = strstr(output, "event=input_outage");
    ck_assert_msg(event == NULL || (again != NULL && again < event), "it delivered: %s", output);
}

START_TEST(one_that_was_stopped_delivers_nothing_when_it_wakes)
{
    configure("");
    struct program *owner = start();
    await_ready(owner);
    events_add(20);
    check_told(0);
    program_signal(owner, SIGSTOP);
    struct program *next = start();
    events_add(20);
    program_await(next, "event=sink_taken");
    check_told(0);
    size_t before = strlen(program_output(owner));
    events_add(20); /* it finds these when it wakes */
    program_signal(owner, SIGCONT);
    program_await(owner, "event=sink_lost");
    events_add(20);
    check_told(0);
    check_silent(owner, before);
    await_ready(owner);
    end(next, SIGTERM); /* and back */
    events_add(20);
    check_told(0);
    check_silent(owner, before);
}
END_TEST

START_TEST(connections_that_are_cut_repeat_nothing)
{
    configure("");
    struct program *owner = start();
    await_ready(owner);
    program_await(owner, "event=sink_taken");
    for (int i = 0; i < 5; i++) {
        events_add(40);
        (void)support_redis_call(redis, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes", NULL);
        events_add(10);
        program_await(owner, "event=sink_taken");
    }
    check_told(0);
    ck_assert_int_ge(program_count(owner, "event=sink_taken"), 6);
    end(owner, SIGTERM);
}
END_TEST

START_TEST(errors_wait_until_the_cursor_of_the_one_before_is_written)
{
    configure("");
    struct program *owner = start();
    await_ready(owner);
    events_add(5);
    check_told(0);
    (void)support_redis_call(redis, "FUNCTION", "DELETE", "dyn", NULL);
    events_add(20);
    pass(300); /* what would have come, had it not to wait, has come */
    ck_assert_int_le(printed("event=input_outage"), 5 + 1);
    support_redis_load_functions(redis);
    check_told(0);
}
END_TEST

/* A reporter whose standard output is a pipe that nobody reads yet; its end for reading. */
static int start_blocked(char *pipe_path, size_t size)
{
    char path[512];
    const char *config = support_file_path(file);
    (void)snprintf(path, sizeof path, "%s/services/dynosaur-reporter", getenv("DYN_BUILD"));
    (void)snprintf(pipe_path, size, "%.*s/pipe", (int)(strrchr(config, '/') - config), config);
    ck_assert_int_eq(mkfifo(pipe_path, 0600), 0);
    int fd = open(pipe_path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_ge(fcntl(fd, F_SETPIPE_SZ, 4096), 0);
    const char *argv[] = {"/bin/sh", "-c",   "exec \"$0\" --config \"$1\" --http 0 > \"$2\"",
                          path,      config, pipe_path,
                          NULL};
    lives[lives_count++] = program_start(argv);
    return fd;
}

START_TEST(a_delivery_that_takes_its_time_ends_before_the_sink_is_handed_over)
{
    static char out[65536];
    char pipe_path[512];
    size_t len = 0;
    configure("");
    int fd = start_blocked(pipe_path, sizeof pipe_path);
    struct program *owner = lives[0];
    program_await(owner, "event=sink_taken");
    await_ready(owner);
    struct program *next = start();
    await_ready(next);
    events_add(40); /* more than the pipe takes */
    pass(300);
    program_signal(owner, SIGTERM);
    pass(2 * WAIT_MS);
    ck_assert_int_eq(program_count(next, "event=sink_taken"), 0);
    for (int i = 0; i < 200; i++) {
        ssize_t got = read(fd, out + len, sizeof out - 1 - len);
        len += got > 0 ? (size_t)got : 0;
        pass(5);
    }
    ck_assert_int_eq(program_end(owner), 0);
    program_await(next, "event=sink_taken");
    await_told(events_count - 1);
    for (int n = 0; n < events_count; n++) {
        char text[32];
        (void)snprintf(text, sizeof text, "input=e-%d- ", n);
        const char *first = strstr(out, text);
        int times = told(n) + (first != NULL) + (first != NULL && strstr(first + 1, text) != NULL);
        ck_assert_msg(times == 1, "event %d was told %d times", n, times);
    }
    (void)close(fd);
    (void)unlink(pipe_path);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("reporters");
    TCase *tests = tcase_create("reporters");
    tcase_set_timeout(tests, 90);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, of_two_one_tells_every_event_and_the_other_is_ready);
    tcase_add_test(tests, one_that_drains_hands_over_at_once_and_nothing_is_told_twice);
    tcase_add_test(tests, a_killed_one_is_followed_and_repeats_one_delivery_at_most);
    tcase_add_test(tests, what_was_raised_by_one_is_repeated_and_resolved_by_the_other_as_by_one);
    tcase_add_test(tests, one_that_comes_is_given_its_share_of_the_sinks);
    tcase_add_test(tests, one_that_was_stopped_delivers_nothing_when_it_wakes);
    tcase_add_test(tests, connections_that_are_cut_repeat_nothing);
    tcase_add_test(tests, errors_wait_until_the_cursor_of_the_one_before_is_written);
    tcase_add_test(tests, a_delivery_that_takes_its_time_ends_before_the_sink_is_handed_over);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
