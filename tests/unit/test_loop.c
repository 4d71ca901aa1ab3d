#include "common/loop.h"

#include "common/clock.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum {
    PATIENCE_MS = 20000
};

int clock_gettime(clockid_t id, struct timespec *at);
int close_range(unsigned first, unsigned last, int flags);

/* What a suspended machine does to CLOCK_BOOTTIME alone, and a kernel without close_range(). */
static time_t suspended_s;
static bool close_range_missing;

int clock_gettime(clockid_t id, struct timespec *at)
{
    int failed = (int)syscall(SYS_clock_gettime, id, at);
    if (failed == 0 && id == CLOCK_BOOTTIME) {
        at->tv_sec += suspended_s;
    }
    return failed;
}

int close_range(unsigned first, unsigned last, int flags)
{
    if (close_range_missing) {
        errno = ENOSYS;
        return -1;
    }
    return (int)syscall(SYS_close_range, first, last, flags);
}

static struct dyn_loop *loop;

static void loop_start(void)
{
    loop = dyn_loop_new();
    ck_assert_ptr_nonnull(loop);
}

static void loop_end(void)
{
    dyn_loop_free(loop);
}

/* Turn the loop until *done, however long a loaded machine takes. */
static void await(const int *done)
{
    int64_t end_ms = dyn_clock_boot_ms() + PATIENCE_MS;
    while (*done == 0) {
        ck_assert_int_lt(dyn_clock_boot_ms(), end_ms);
        dyn_loop_once(loop, 100);
    }
}

struct beat {
    struct dyn_timer *timer;
    int count;
    int until;
    int64_t last_ms;
};

static void beat_once(void *arg)
{
    struct beat *beat = arg;
    beat->count++;
    beat->last_ms = dyn_loop_now_ms(loop);
    if (beat->count == beat->until) {
        dyn_timer_free(beat->timer);
        beat->timer = NULL;
    }
}

START_TEST(a_timer_fires_once_and_never_early)
{
    struct beat beat = {.until = 2};
    beat.timer = dyn_timer_new(loop, beat_once, &beat);
    ck_assert(!dyn_timer_active(beat.timer));
    int64_t start_ms = dyn_clock_boot_ms();
    dyn_timer_start(beat.timer, 20, 0);
    ck_assert(dyn_timer_active(beat.timer));
    dyn_loop_run(loop);
    ck_assert_int_eq(beat.count, 1);
    ck_assert_int_ge(beat.last_ms, start_ms + 20);
    ck_assert(!dyn_timer_active(beat.timer));
    dyn_timer_start(beat.timer, -5, 0);
    dyn_loop_run(loop);
    ck_assert_int_eq(beat.count, 2);
}
END_TEST

START_TEST(a_timer_repeats_until_freed_in_its_own_callback)
{
    struct beat beat = {.until = 4};
    beat.timer = dyn_timer_new(loop, beat_once, &beat);
    int64_t start_ms = dyn_clock_boot_ms();
    dyn_timer_start(beat.timer, 0, 5);
    dyn_loop_run(loop);
    ck_assert_int_eq(beat.count, 4);
    ck_assert_int_ge(beat.last_ms, start_ms + 15);
}
END_TEST

START_TEST(a_stopped_or_freed_timer_is_silent)
{
    struct beat beat = {0};
    struct dyn_timer *stopped = dyn_timer_new(loop, beat_once, &beat);
    struct dyn_timer *freed = dyn_timer_new(loop, beat_once, &beat);
    dyn_timer_start(stopped, 0, 1);
    dyn_timer_start(freed, 0, 1);
    dyn_timer_stop(stopped);
    dyn_timer_free(freed);
    dyn_timer_free(NULL);
    dyn_loop_run(loop);
    ck_assert_int_eq(beat.count, 0);
    dyn_timer_free(stopped);
}
END_TEST

static void stop_loop(void *arg)
{
    (void)arg;
    dyn_loop_stop(loop);
}

START_TEST(the_loop_runs_until_it_is_stopped)
{
    struct beat beat = {0};
    struct dyn_timer *endless = dyn_timer_new(loop, beat_once, &beat);
    struct dyn_timer *stop = dyn_timer_new(loop, stop_loop, NULL);
    dyn_timer_start(endless, 0, 1);
    dyn_timer_start(stop, 10, 0);
    dyn_loop_run(loop);
    ck_assert_int_gt(beat.count, 0);
    dyn_timer_free(endless);
    dyn_timer_free(stop);
}
END_TEST

START_TEST(timers_count_the_time_that_a_machine_was_suspended)
{
    struct beat hour = {.until = 1};
    struct beat tick = {.until = 5};
    hour.timer = dyn_timer_new(loop, beat_once, &hour);
    tick.timer = dyn_timer_new(loop, beat_once, &tick);
    dyn_timer_start(hour.timer, 3600 * 1000, 0);
    dyn_timer_start(tick.timer, 1, 1);
    suspended_s = 3600;
    dyn_loop_run(loop);
    ck_assert_int_eq(hour.count, 1);
    ck_assert_int_eq(tick.count, 5);
}
END_TEST

struct watched {
    struct dyn_watch *watch;
    int fd;
    int events;
    int calls;
    bool free_it;
};

static void watched_ready(void *arg, int events)
{
    struct watched *watched = arg;
    watched->events = events;
    watched->calls++;
    if (watched->free_it) {
        dyn_watch_free(watched->watch);
        (void)close(watched->fd);
        watched->watch = NULL;
        return;
    }
    dyn_watch_set(watched->watch, 0);
}

START_TEST(a_watched_pipe_tells_when_it_is_ready)
{
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    struct watched in = {.fd = ends[0]};
    struct watched out = {.fd = ends[1]};
    in.watch = dyn_watch_new(loop, ends[0], watched_ready, &in);
    out.watch = dyn_watch_new(loop, ends[1], watched_ready, &out);
    dyn_watch_set(in.watch, DYN_READABLE);
    dyn_watch_set(out.watch, DYN_WRITABLE);
    await(&out.calls);
    ck_assert_int_eq(out.events, DYN_WRITABLE);
    ck_assert_int_eq(in.calls, 0);
    ck_assert_int_eq(write(ends[1], "x", 1), 1);
    await(&in.calls);
    ck_assert_int_eq(in.events, DYN_READABLE);
    dyn_loop_once(loop, 0);
    ck_assert_int_eq(in.calls, 1); /* still readable, but the watch was set to 0 */
    dyn_watch_free(in.watch);
    dyn_watch_free(out.watch);
    dyn_watch_free(NULL);
    (void)close(ends[0]);
    (void)close(ends[1]);
}
END_TEST

START_TEST(a_broken_descriptor_fails_with_the_events_asked_for)
{
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    struct watched out = {.fd = ends[1]};
    out.watch = dyn_watch_new(loop, ends[1], watched_ready, &out);
    (void)close(ends[0]);
    dyn_watch_set(out.watch, DYN_WRITABLE);
    await(&out.calls);
    ck_assert_int_eq(out.events, DYN_FAILED | DYN_WRITABLE);
    dyn_loop_once(loop, 0);
    ck_assert_int_eq(out.calls, 1);
    out.calls = 0;
    out.free_it = true;
    dyn_watch_set(out.watch, DYN_WRITABLE);
    await(&out.calls);
    ck_assert_int_eq(out.events, DYN_FAILED | DYN_WRITABLE);
}
END_TEST

START_TEST(a_watch_may_be_freed_in_its_own_callback)
{
    int ends[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    struct watched in = {.fd = ends[0], .free_it = true};
    in.watch = dyn_watch_new(loop, ends[0], watched_ready, &in);
    dyn_watch_set(in.watch, DYN_READABLE | DYN_WRITABLE);
    (void)close(ends[1]);
    await(&in.calls);
    dyn_loop_once(loop, 0);
    ck_assert_int_eq(in.calls, 1);
}
END_TEST

START_TEST(what_cannot_be_polled_is_refused)
{
    struct watched in = {0};
    ck_assert_ptr_null(dyn_watch_new(loop, -1, watched_ready, &in));
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    ck_assert_ptr_null(dyn_watch_new(loop, fd, watched_ready, &in));
    (void)close(fd);
}
END_TEST

struct caught {
    struct dyn_signal *sig;
    int signum;
};

static void signal_caught(void *arg, int signum)
{
    struct caught *caught = arg;
    caught->signum = signum;
    dyn_signal_free(caught->sig);
}

START_TEST(a_signal_comes_on_the_loop_and_may_free_itself)
{
    struct caught caught = {0};
    caught.sig = dyn_signal_new(loop, SIGHUP, signal_caught, &caught);
    ck_assert_ptr_nonnull(caught.sig);
    ck_assert_int_eq(kill(getpid(), SIGHUP), 0);
    ck_assert_int_eq(caught.signum, 0);
    await(&caught.signum);
    ck_assert_int_eq(caught.signum, SIGHUP);
    ck_assert_ptr_null(dyn_signal_new(loop, SIGKILL, signal_caught, &caught));
    dyn_signal_free(NULL);
}
END_TEST

struct ended {
    struct dyn_child *child;
    int calls;
    int status;
    bool truncated;
    size_t len;
    char output[4096];
};

static void child_exited(void *arg, int status, struct dyn_str output, bool truncated)
{
    struct ended *ended = arg;
    ended->calls++;
    ended->status = status;
    ended->truncated = truncated;
    ended->len = output.len;
    dyn_str_copy(ended->output, sizeof ended->output, output);
    dyn_child_free(ended->child);
    ended->child = NULL;
}

static const char *const clean_env[] = {"PATH=/usr/bin:/bin", "ONLY=this", NULL};

static void shell_start(struct ended *ended, const char *script, size_t output_max)
{
    const char *const argv[] = {"sh", "-c", script, NULL};
    struct dyn_child_options options = {.argv = argv,
                                        .env = clean_env,
                                        .output_max = output_max,
                                        .quiet = true,
                                        .exited = child_exited,
                                        .arg = ended};
    struct dyn_error error = {""};
    ck_assert_msg(dyn_child_start(loop, &options, &ended->child, &error) == DYN_OK, "%s",
                  error.text);
    ck_assert_int_gt(dyn_child_pid(ended->child), 0);
}

static void shell_run(struct ended *ended, const char *script, size_t output_max)
{
    shell_start(ended, script, output_max);
    await(&ended->calls);
}

START_TEST(a_child_tells_its_output_and_its_status)
{
    struct ended ended = {0};
    shell_run(&ended, "echo 42; echo noise >&2; exit 3", 100);
    ck_assert_str_eq(ended.output, "42\n");
    ck_assert_int_eq(ended.status, 3);
    ck_assert(!ended.truncated);
    ended = (struct ended){0};
    shell_run(&ended, "kill -TERM $$", 100);
    ck_assert_int_eq(ended.status, 128 + SIGTERM);
    ck_assert_uint_eq(ended.len, 0);
    ended = (struct ended){0};
    shell_run(&ended, "exit 0", 0);
    ck_assert_int_eq(ended.status, 0);
}
END_TEST

START_TEST(output_is_kept_to_its_bound_and_read_to_its_end)
{
    struct ended ended = {0};
    shell_run(&ended, "printf 0123456789", 10);
    ck_assert_str_eq(ended.output, "0123456789");
    ck_assert(!ended.truncated);
    ended = (struct ended){0};
    shell_run(&ended, "head -c 1000000 /dev/zero | tr '\\0' x; exit 7", 10);
    ck_assert_str_eq(ended.output, "xxxxxxxxxx");
    ck_assert(ended.truncated);
    ck_assert_int_eq(ended.status, 7);
}
END_TEST

START_TEST(a_child_that_closes_its_output_early_is_awaited)
{
    struct ended ended = {0};
    shell_run(&ended, "echo early; exec >/dev/null; echo late; exit 5", 100);
    ck_assert_str_eq(ended.output, "early\n");
    ck_assert_int_eq(ended.status, 5);
}
END_TEST

START_TEST(a_grandchild_that_holds_the_output_is_not_waited_for)
{
    struct ended ended = {0};
    shell_run(&ended, "echo out; setsid sh -c 'sleep 2' & sleep 600 & exit 0", 100);
    ck_assert_str_eq(ended.output, "out\n");
    ck_assert_int_eq(ended.status, 0);
}
END_TEST

START_TEST(a_child_that_ignores_sigterm_is_killed)
{
    struct ended ended = {0};
    /* The trap stands when the file is gone: no signal comes too early. */
    char path[] = "/tmp/dyn_test_loop_XXXXXX";
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    char script[160];
    (void)snprintf(script, sizeof script, "trap '' TERM; rm %s; while :; do sleep 600; done", path);
    shell_start(&ended, script, 100);
    int64_t end_ms = dyn_clock_boot_ms() + PATIENCE_MS;
    while (access(path, F_OK) == 0 && dyn_clock_boot_ms() < end_ms) {
        dyn_loop_once(loop, 10);
    }
    dyn_child_kill(ended.child, SIGTERM);
    dyn_loop_once(loop, 50);
    ck_assert_int_eq(ended.calls, 0);
    dyn_child_kill(ended.child, SIGKILL);
    await(&ended.calls);
    ck_assert_int_eq(ended.status, 128 + SIGKILL);
    (void)close(fd);
}
END_TEST

START_TEST(a_freed_child_is_killed_and_reaped_in_silence)
{
    struct ended ended = {0};
    shell_start(&ended, "sleep 600 & wait", 100);
    int pid = dyn_child_pid(ended.child);
    dyn_child_free(ended.child);
    dyn_child_free(NULL);
    dyn_loop_run(loop);
    ck_assert_int_eq(ended.calls, 0);
    ck_assert_int_eq(kill(pid, 0), -1);
    ck_assert_int_eq(errno, ESRCH);
}
END_TEST

START_TEST(a_child_has_a_clean_environment_and_its_own_group)
{
    ck_assert_int_eq(setenv("SECRET", "canary", 1), 0);
    struct ended ended = {0};
    shell_run(&ended, "tr '\\0' '\\n' </proc/self/environ", 1000);
    ck_assert_ptr_nonnull(strstr(ended.output, "ONLY=this"));
    ck_assert_ptr_null(strstr(ended.output, "canary"));
    ended = (struct ended){0};
    shell_run(&ended, "cut -d' ' -f1,5,6 /proc/$$/stat", 100);
    int pid = 0;
    int group = 0;
    int session = 0;
    ck_assert_int_eq(sscanf(ended.output, "%d %d %d", &pid, &group, &session), 3);
    ck_assert_int_eq(group, pid);
    ck_assert_int_eq(session, pid);
}
END_TEST

static void check_descriptors(void)
{
    int leaky = socket(AF_UNIX, SOCK_STREAM, 0); /* without CLOEXEC, as hiredis and curl do */
    int high = fcntl(leaky, F_DUPFD, 200);
    ck_assert_int_ge(high, 200);
    struct ended ended = {0};
    /* The descriptor by which the shell reads the folder is gone when the names are looked at. */
    shell_run(&ended, "cd /proc/$$/fd && for n in *; do [ -L $n ] && echo $n; done; readlink 0",
              1000);
    ck_assert_str_eq(ended.output, "0\n1\n2\n/dev/null\n");
    (void)close(leaky);
    (void)close(high);
}

START_TEST(a_child_has_the_first_three_descriptors_only)
{
    check_descriptors();
}
END_TEST

START_TEST(descriptors_do_not_leak_where_close_range_is_missing)
{
    close_range_missing = true;
    check_descriptors();
}
END_TEST

START_TEST(a_child_that_cannot_start_is_an_error_and_no_callback)
{
    struct ended ended = {0};
    struct dyn_error error = {""};
    const char *const argv[] = {"/nonexistent/program", NULL};
    struct dyn_child_options options = {
        .argv = argv, .env = clean_env, .output_max = 10, .exited = child_exited, .arg = &ended};
    ck_assert_int_eq(dyn_child_start(loop, &options, &ended.child, &error), DYN_NOTFOUND);
    ck_assert_ptr_nonnull(strstr(error.text, "/nonexistent/program"));
    const char *const shell[] = {"sh", "-c", "pwd", NULL};
    options.argv = shell;
    options.cwd = "/nonexistent";
    ck_assert_int_eq(dyn_child_start(loop, &options, &ended.child, &error), DYN_NOTFOUND);
    const char *const directory[] = {"/tmp", NULL};
    options.argv = directory;
    options.cwd = NULL;
    options.output_max = 0;
    ck_assert_int_eq(dyn_child_start(loop, &options, &ended.child, NULL), DYN_IO);
    ck_assert_ptr_null(ended.child);
    options.argv = shell;
    options.cwd = "/tmp";
    options.output_max = 100;
    ck_assert_int_eq(dyn_child_start(loop, &options, &ended.child, &error), DYN_OK);
    await(&ended.calls);
    ck_assert_int_eq(ended.calls, 1);
    ck_assert_str_eq(ended.output, "/tmp\n");
}
END_TEST

START_TEST(a_loop_frees_what_is_still_closing)
{
    struct dyn_loop *other = dyn_loop_new();
    struct beat beat = {0};
    struct dyn_timer *timer = dyn_timer_new(other, beat_once, &beat);
    dyn_timer_start(timer, 0, 1);
    dyn_loop_stop(other);
    dyn_timer_free(timer);
    dyn_loop_free(other);
    dyn_loop_free(NULL);
    ck_assert_int_eq(beat.count, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("loop");
    TCase *timers = tcase_create("timers");
    tcase_add_checked_fixture(timers, loop_start, loop_end);
    tcase_add_test(timers, a_timer_fires_once_and_never_early);
    tcase_add_test(timers, a_timer_repeats_until_freed_in_its_own_callback);
    tcase_add_test(timers, a_stopped_or_freed_timer_is_silent);
    tcase_add_test(timers, the_loop_runs_until_it_is_stopped);
    tcase_add_test(timers, a_loop_frees_what_is_still_closing);
    suite_add_tcase(suite, timers);
    TCase *watches = tcase_create("watches");
    tcase_add_checked_fixture(watches, loop_start, loop_end);
    tcase_add_test(watches, a_watched_pipe_tells_when_it_is_ready);
    tcase_add_test(watches, a_broken_descriptor_fails_with_the_events_asked_for);
    tcase_add_test(watches, a_watch_may_be_freed_in_its_own_callback);
    tcase_add_test(watches, what_cannot_be_polled_is_refused);
    tcase_add_test(watches, a_signal_comes_on_the_loop_and_may_free_itself);
    suite_add_tcase(suite, watches);
    TCase *children = tcase_create("children");
    tcase_set_timeout(children, 60);
    tcase_add_checked_fixture(children, loop_start, loop_end);
    tcase_add_test(children, a_child_tells_its_output_and_its_status);
    tcase_add_test(children, output_is_kept_to_its_bound_and_read_to_its_end);
    tcase_add_test(children, a_child_that_closes_its_output_early_is_awaited);
    tcase_add_test(children, a_grandchild_that_holds_the_output_is_not_waited_for);
    tcase_add_test(children, a_child_that_ignores_sigterm_is_killed);
    tcase_add_test(children, a_freed_child_is_killed_and_reaped_in_silence);
    tcase_add_test(children, a_child_has_a_clean_environment_and_its_own_group);
    tcase_add_test(children, a_child_has_the_first_three_descriptors_only);
    tcase_add_test(children, a_child_that_cannot_start_is_an_error_and_no_callback);
    suite_add_tcase(suite, children);
    SRunner *runner = srunner_create(suite);
    if (srunner_fork_status(runner) == CK_FORK) {
        /* These change what the whole process sees. */
        tcase_add_test(timers, timers_count_the_time_that_a_machine_was_suspended);
        tcase_add_test(children, descriptors_do_not_leak_where_close_range_is_missing);
    }
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
