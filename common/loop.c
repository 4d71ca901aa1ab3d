#include "common/loop.h"

#include "common/clock.h"

#include <uv.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <unistd.h>

enum {
    SUSPEND_MIN_MS = 1000, /* a lead of CLOCK_BOOTTIME over CLOCK_MONOTONIC that is no jitter */
    READ_BYTES = 16 * 1024
};

struct dyn_loop {
    uv_loop_t uv;
    uv_timer_t wake; /* ends the wait of dyn_loop_once() */
    struct dyn_timer *timers;
    size_t handles; /* made and not yet freed by their owners */
    int64_t now_ms;
    int64_t lead_ms; /* of CLOCK_BOOTTIME over libuv's clock */
};

struct dyn_timer {
    uv_timer_t uv;
    struct dyn_loop *loop;
    struct dyn_timer *prev;
    struct dyn_timer *next;
    dyn_timer_fn *fn;
    void *arg;
    int64_t due_ms;
    int64_t repeat_ms;
    bool active;
};

struct dyn_watch {
    uv_poll_t uv;
    struct dyn_loop *loop;
    dyn_watch_fn *fn;
    void *arg;
    int events;
};

struct dyn_signal {
    uv_signal_t uv;
    struct dyn_loop *loop;
    dyn_signal_fn *fn;
    void *arg;
};

/* Lives until its owner has freed it and libuv has closed both handles. */
struct dyn_child {
    uv_process_t process;
    uv_poll_t poll;
    struct dyn_loop *loop;
    void (*exited)(void *arg, int status, struct dyn_str output, bool truncated);
    void *arg;
    struct dyn_buf output;
    int output_fd; /* our end of its standard output, or -1 */
    unsigned handles_open;
    bool truncated;
    bool running;
    bool freed;
};

static void timer_fired(uv_timer_t *uv);

static void timer_arm(struct dyn_timer *timer)
{
    int64_t left_ms = timer->due_ms - timer->loop->now_ms;
    int failed = uv_timer_start(&timer->uv, timer_fired, left_ms > 0 ? (uint64_t)left_ms : 0, 0);
    DYN_ASSERT(failed == 0);
}

/*
 * Take the time. libuv counts with CLOCK_MONOTONIC, which stands still while the machine is
 * suspended; when CLOCK_BOOTTIME has run ahead of it, every timer is set anew.
 */
static void loop_touch(struct dyn_loop *loop)
{
    loop->now_ms = dyn_clock_boot_ms();
    int64_t lead_ms = loop->now_ms - (int64_t)(uv_hrtime() / 1000000);
    if (lead_ms - loop->lead_ms < SUSPEND_MIN_MS) {
        return;
    }
    loop->lead_ms = lead_ms;
    for (struct dyn_timer *timer = loop->timers; timer != NULL; timer = timer->next) {
        if (timer->active) {
            timer_arm(timer);
        }
    }
}

struct dyn_loop *dyn_loop_new(void)
{
    struct dyn_loop *loop = calloc(1, sizeof *loop);
    if (loop == NULL) {
        return NULL;
    }
    if (uv_loop_init(&loop->uv) != 0) {
        free(loop);
        return NULL;
    }
    (void)uv_timer_init(&loop->uv, &loop->wake);
    loop->now_ms = dyn_clock_boot_ms();
    loop->lead_ms = loop->now_ms - (int64_t)(uv_hrtime() / 1000000);
    return loop;
}

void dyn_loop_free(struct dyn_loop *loop)
{
    if (loop == NULL) {
        return;
    }
    DYN_ASSERT(loop->handles == 0);
    uv_close((uv_handle_t *)&loop->wake, NULL);
    /* A dyn_loop_stop() that no run has seen yet would end the first of these at once. */
    int alive = 0;
    do {
        alive = uv_run(&loop->uv, UV_RUN_DEFAULT);
    } while (alive != 0);
    int failed = uv_loop_close(&loop->uv);
    DYN_ASSERT(failed == 0);
    free(loop);
}

void dyn_loop_run(struct dyn_loop *loop)
{
    loop_touch(loop);
    (void)uv_run(&loop->uv, UV_RUN_DEFAULT);
    loop_touch(loop);
}

void dyn_loop_stop(struct dyn_loop *loop)
{
    uv_stop(&loop->uv);
}

static void wake_fired(uv_timer_t *uv)
{
    (void)uv; /* that the loop woke up is all */
}

void dyn_loop_once(struct dyn_loop *loop, int wait_ms)
{
    uv_update_time(&loop->uv);
    loop_touch(loop);
    if (wait_ms > 0) {
        (void)uv_timer_start(&loop->wake, wake_fired, (uint64_t)wait_ms, 0);
        (void)uv_run(&loop->uv, UV_RUN_ONCE);
        (void)uv_timer_stop(&loop->wake);
    } else {
        (void)uv_run(&loop->uv, UV_RUN_NOWAIT);
    }
    loop_touch(loop);
}

int64_t dyn_loop_now_ms(const struct dyn_loop *loop)
{
    return loop->now_ms;
}

static void handle_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void timer_fired(uv_timer_t *uv)
{
    struct dyn_timer *timer = uv->data;
    loop_touch(timer->loop);
    int64_t now_ms = timer->loop->now_ms;
    if (now_ms < timer->due_ms) {
        timer_arm(timer); /* libuv's idea of now was older than the start */
        return;
    }
    if (timer->repeat_ms > 0) {
        timer->due_ms += timer->repeat_ms;
        if (timer->due_ms <= now_ms) {
            timer->due_ms = now_ms + timer->repeat_ms;
        }
        timer_arm(timer);
    } else {
        dyn_timer_stop(timer);
    }
    timer->fn(timer->arg);
}

struct dyn_timer *dyn_timer_new(struct dyn_loop *loop, dyn_timer_fn *fn, void *arg)
{
    DYN_ASSERT(fn != NULL);
    struct dyn_timer *timer = calloc(1, sizeof *timer);
    if (timer == NULL) {
        return NULL;
    }
    (void)uv_timer_init(&loop->uv, &timer->uv);
    timer->uv.data = timer;
    timer->loop = loop;
    timer->fn = fn;
    timer->arg = arg;
    timer->next = loop->timers;
    if (loop->timers != NULL) {
        loop->timers->prev = timer;
    }
    loop->timers = timer;
    loop->handles++;
    return timer;
}

void dyn_timer_start(struct dyn_timer *timer, int64_t delay_ms, int64_t repeat_ms)
{
    DYN_ASSERT(repeat_ms >= 0);
    /* The loop's time may lie a long callback back; the delay counts from now. */
    timer->due_ms = dyn_clock_boot_ms() + (delay_ms > 0 ? delay_ms : 0);
    timer->repeat_ms = repeat_ms;
    timer->active = true;
    timer_arm(timer);
}

void dyn_timer_stop(struct dyn_timer *timer)
{
    timer->active = false;
    (void)uv_timer_stop(&timer->uv);
}

bool dyn_timer_active(const struct dyn_timer *timer)
{
    return timer->active;
}

void dyn_timer_free(struct dyn_timer *timer)
{
    if (timer == NULL) {
        return;
    }
    if (timer->prev != NULL) {
        timer->prev->next = timer->next;
    } else {
        timer->loop->timers = timer->next;
    }
    if (timer->next != NULL) {
        timer->next->prev = timer->prev;
    }
    timer->loop->handles--;
    uv_close((uv_handle_t *)&timer->uv, handle_closed);
}

static void watch_polled(uv_poll_t *uv, int status, int events)
{
    struct dyn_watch *watch = uv->data;
    int told = 0;
    loop_touch(watch->loop);
    if (status < 0) {
        /* libuv names no events with an error and has stopped the handle. */
        told = DYN_FAILED | watch->events;
        (void)uv_poll_stop(uv);
        watch->events = 0;
    } else {
        told |= (events & UV_READABLE) != 0 ? DYN_READABLE : 0;
        told |= (events & UV_WRITABLE) != 0 ? DYN_WRITABLE : 0;
    }
    watch->fn(watch->arg, told);
}

struct dyn_watch *dyn_watch_new(struct dyn_loop *loop, int fd, dyn_watch_fn *fn, void *arg)
{
    DYN_ASSERT(fn != NULL);
    struct dyn_watch *watch = calloc(1, sizeof *watch);
    if (watch == NULL) {
        return NULL;
    }
    if (uv_poll_init(&loop->uv, &watch->uv, fd) != 0) {
        free(watch);
        return NULL;
    }
    watch->uv.data = watch;
    watch->loop = loop;
    watch->fn = fn;
    watch->arg = arg;
    loop->handles++;
    return watch;
}

void dyn_watch_set(struct dyn_watch *watch, int events)
{
    DYN_ASSERT((events & ~(DYN_READABLE | DYN_WRITABLE)) == 0);
    if (events == watch->events) {
        return;
    }
    int wanted = 0;
    wanted |= (events & DYN_READABLE) != 0 ? UV_READABLE : 0;
    wanted |= (events & DYN_WRITABLE) != 0 ? UV_WRITABLE : 0;
    int failed =
        wanted != 0 ? uv_poll_start(&watch->uv, wanted, watch_polled) : uv_poll_stop(&watch->uv);
    DYN_ASSERT(failed == 0);
    watch->events = events;
}

void dyn_watch_free(struct dyn_watch *watch)
{
    if (watch == NULL) {
        return;
    }
    watch->loop->handles--;
    uv_close((uv_handle_t *)&watch->uv, handle_closed);
}

static void signal_came(uv_signal_t *uv, int signum)
{
    struct dyn_signal *sig = uv->data;
    loop_touch(sig->loop);
    sig->fn(sig->arg, signum);
}

struct dyn_signal *dyn_signal_new(struct dyn_loop *loop, int signum, dyn_signal_fn *fn, void *arg)
{
    DYN_ASSERT(fn != NULL);
    struct dyn_signal *sig = calloc(1, sizeof *sig);
    if (sig == NULL) {
        return NULL;
    }
    if (uv_signal_init(&loop->uv, &sig->uv) != 0) {
        free(sig);
        return NULL;
    }
    sig->uv.data = sig;
    sig->loop = loop;
    sig->fn = fn;
    sig->arg = arg;
    if (uv_signal_start(&sig->uv, signal_came, signum) != 0) {
        uv_close((uv_handle_t *)&sig->uv, handle_closed);
        return NULL;
    }
    loop->handles++;
    return sig;
}

void dyn_signal_free(struct dyn_signal *sig)
{
    if (sig == NULL) {
        return;
    }
    sig->loop->handles--;
    uv_close((uv_handle_t *)&sig->uv, handle_closed);
}

static void child_release(struct dyn_child *child)
{
    if (child->freed && child->handles_open == 0) {
        dyn_buf_fini(&child->output);
        free(child);
    }
}

static void child_handle_closed(uv_handle_t *handle)
{
    struct dyn_child *child = handle->data;
    child->handles_open--;
    child_release(child);
}

static void child_output_close(struct dyn_child *child)
{
    if (child->output_fd >= 0) {
        uv_close((uv_handle_t *)&child->poll, child_handle_closed);
        (void)close(child->output_fd);
        child->output_fd = -1;
    }
}

/* One read; false when nothing (more) is there now. What is over the bound is thrown away. */
static bool child_output_read(struct dyn_child *child)
{
    char bytes[READ_BYTES];
    ssize_t got = read(child->output_fd, bytes, sizeof bytes);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return false;
    }
    if (got <= 0) {
        child_output_close(child);
        return false;
    }
    size_t room = child->output.max - child->output.len;
    size_t len = (size_t)got < room ? (size_t)got : room;
    dyn_err err = dyn_buf_add(&child->output, bytes, len);
    if (len < (size_t)got || err != DYN_OK) {
        child->truncated = true;
    }
    return true;
}

static void child_output_ready(uv_poll_t *uv, int status, int events)
{
    (void)status; /* an error shows when reading */
    (void)events;
    (void)child_output_read(uv->data);
}

static void child_ended(uv_process_t *process, int64_t exit_status, int term_signal)
{
    struct dyn_child *child = process->data;
    child->running = false;
    /* The group's number is not given to others while a member of it lives. */
    (void)kill(-process->pid, SIGKILL);
    /* All that the child wrote is in the pipe by now. Its end may never come: a grandchild that
       left the group can hold the other side. */
    bool more = true;
    while (more && child->output_fd >= 0 && !child->truncated) {
        more = child_output_read(child);
    }
    child_output_close(child);
    uv_close((uv_handle_t *)process, child_handle_closed);
    if (!child->freed) {
        int status = term_signal != 0 ? 128 + term_signal : (int)exit_status;
        loop_touch(child->loop);
        child->exited(child->arg, status, dyn_buf_str(&child->output), child->truncated);
    }
}

/* Where close_range() is unknown: old kernels, and sandboxes that refuse what they do not know. */
static bool descriptors_seal_each(void)
{
    DIR *dir = opendir("/proc/self/fd");
    if (dir == NULL) {
        return false;
    }
    for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        int64_t fd = 0;
        if (dyn_str_i64(dyn_str_from(entry->d_name), &fd) == DYN_OK && fd > STDERR_FILENO) {
            (void)fcntl((int)fd, F_SETFD, FD_CLOEXEC);
        }
    }
    (void)closedir(dir);
    return true;
}

/* Libraries open sockets without CLOEXEC; no child may inherit an authenticated connection. */
static bool descriptors_seal(void)
{
    return close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC) == 0 || descriptors_seal_each();
}

static dyn_err child_pipe(struct dyn_child *child, int *out_write_fd)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return DYN_IO;
    }
    if (uv_poll_init(&child->loop->uv, &child->poll, ends[0]) != 0) {
        (void)close(ends[0]);
        (void)close(ends[1]);
        return DYN_IO;
    }
    child->poll.data = child;
    child->output_fd = ends[0];
    child->handles_open++;
    int failed = uv_poll_start(&child->poll, UV_READABLE, child_output_ready);
    DYN_ASSERT(failed == 0);
    *out_write_fd = ends[1];
    return DYN_OK;
}

/* A libuv error code, or 0. */
static int child_spawn(struct dyn_child *child, const struct dyn_child_options *options,
                       int write_fd)
{
    uv_stdio_container_t stdio[3] = {{.flags = UV_IGNORE}};
    stdio[1].flags = UV_INHERIT_FD;
    stdio[1].data.fd = write_fd >= 0 ? write_fd : STDOUT_FILENO;
    stdio[2].flags = options->quiet ? UV_IGNORE : UV_INHERIT_FD;
    stdio[2].data.fd = STDERR_FILENO;
    uv_process_options_t uv_options = {
        .exit_cb = child_ended,
        .file = options->argv[0],
        .cwd = options->cwd,
        .flags = UV_PROCESS_DETACHED,
        .stdio_count = 3,
        .stdio = stdio,
    };
    /* libuv does not write through them, it only lacks the const. */
    memcpy(&uv_options.args, &options->argv, sizeof uv_options.args);
    memcpy(&uv_options.env, &options->env, sizeof uv_options.env);
    child->process.data = child;
    child->handles_open++;
    int failed = uv_spawn(&child->loop->uv, &child->process, &uv_options);
    if (failed != 0) {
        uv_close((uv_handle_t *)&child->process, child_handle_closed);
    }
    return failed;
}

static dyn_err child_start(struct dyn_child *child, const struct dyn_child_options *options,
                           struct dyn_error *error)
{
    int write_fd = -1;
    if (options->output_max > 0 && child_pipe(child, &write_fd) != DYN_OK) {
        return dyn_error_set(error, DYN_IO, "cannot start %s: no pipe for its output",
                             options->argv[0]);
    }
    dyn_err err = DYN_OK;
    if (!descriptors_seal()) {
        err = dyn_error_set(error, DYN_IO, "cannot start %s: open descriptors would leak into it",
                            options->argv[0]);
        goto done;
    }
    int failed = child_spawn(child, options, write_fd);
    if (failed != 0) {
        err = failed == UV_ENOENT ? DYN_NOTFOUND : failed == UV_ENOMEM ? DYN_NOMEM : DYN_IO;
        err =
            dyn_error_set(error, err, "cannot start %s: %s", options->argv[0], uv_strerror(failed));
    }
done:
    if (write_fd >= 0) {
        (void)close(write_fd);
    }
    return err;
}

dyn_err dyn_child_start(struct dyn_loop *loop, const struct dyn_child_options *options,
                        struct dyn_child **out_child, struct dyn_error *error)
{
    DYN_ASSERT(options->argv != NULL && options->argv[0] != NULL);
    DYN_ASSERT(options->env != NULL && options->exited != NULL);
    struct dyn_child *child = calloc(1, sizeof *child);
    if (child == NULL) {
        return dyn_error_set(error, DYN_NOMEM, "cannot start %s: out of memory", options->argv[0]);
    }
    child->loop = loop;
    child->exited = options->exited;
    child->arg = options->arg;
    child->output_fd = -1;
    dyn_buf_init(&child->output, options->output_max);
    dyn_err err = child_start(child, options, error);
    if (err != DYN_OK) {
        child->freed = true;
        child_output_close(child);
        child_release(child);
        return err;
    }
    child->running = true;
    loop->handles++;
    *out_child = child;
    return DYN_OK;
}

int dyn_child_pid(const struct dyn_child *child)
{
    return child->process.pid;
}

void dyn_child_kill(struct dyn_child *child, int signum)
{
    if (child->running) {
        (void)kill(-child->process.pid, signum);
    }
}

void dyn_child_free(struct dyn_child *child)
{
    if (child == NULL) {
        return;
    }
    DYN_ASSERT(!child->freed);
    child->loop->handles--;
    child->freed = true;
    /* A handle closed while its process runs would leave a zombie: it is closed when it ended. */
    dyn_child_kill(child, SIGKILL);
    child_output_close(child);
    child_release(child);
}

/* ---- work for other threads ---- */

struct work {
    uv_work_t uv;
    struct dyn_loop *loop;
    void (*work)(void *data);
    void (*done)(void *data);
    void *data;
};

static void work_run(uv_work_t *uv)
{
    struct work *work = uv->data;
    work->work(work->data);
}

static void work_done(uv_work_t *uv, int status)
{
    (void)status; /* nobody cancels it */
    struct work *work = uv->data;
    loop_touch(work->loop);
    work->done(work->data);
    free(work);
}

dyn_err dyn_work_start(struct dyn_loop *loop, void (*work)(void *data), void (*done)(void *data),
                       void *data)
{
    struct work *request = calloc(1, sizeof *request);
    if (request == NULL) {
        return DYN_NOMEM;
    }
    *request = (struct work){.loop = loop, .work = work, .done = done, .data = data};
    request->uv.data = request;
    int failed = uv_queue_work(&loop->uv, &request->uv, work_run, work_done);
    DYN_ASSERT(failed == 0); /* only for a request without work */
    return DYN_OK;
}
