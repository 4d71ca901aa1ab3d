/* common/loop.h on virtual time: timers and signals. Nothing in a simulation has a descriptor or a
 * child; what asks for one is refused, and the story says so. */
#include "tests/sim/sim_internal.h"

#include <signal.h>

struct dyn_loop {
    struct sim_process *process; /* NULL: made outside of all */
    struct dyn_signal *signals;
    size_t handles;
};

struct dyn_timer {
    struct sim_event event;
    struct dyn_loop *loop;
    dyn_timer_fn *fn;
    void *arg;
    int64_t due_ms; /* of the host's CLOCK_BOOTTIME */
    int64_t repeat_ms;
};

struct dyn_signal {
    struct dyn_signal *next;
    struct dyn_loop *loop;
    int signum;
    dyn_signal_fn *fn;
    void *arg;
};

/* A mistake of ours: what asks for it cannot be simulated. */
static _Noreturn void refuse(const char *words)
{
    dyn_assert_failed(words, __FILE__, __LINE__, __func__);
}

static const struct sim_host right_host = {0};

static const struct sim_host *loop_host(const struct dyn_loop *loop)
{
    return loop->process != NULL ? loop->process->host : &right_host;
}

struct dyn_loop *dyn_loop_new(void)
{
    struct dyn_loop *loop = calloc(1, sizeof *loop);
    DYN_ASSERT(loop != NULL);
    loop->process = sim_process_current();
    return loop;
}

void dyn_loop_free(struct dyn_loop *loop)
{
    if (loop != NULL) {
        DYN_ASSERT(loop->handles == 0);
        free(loop);
    }
}

void dyn_loop_run(struct dyn_loop *loop)
{
    (void)loop;
    refuse("sim_run() turns the loops");
}

void dyn_loop_once(struct dyn_loop *loop, int wait_ms)
{
    (void)wait_ms;
    dyn_loop_run(loop);
}

void dyn_loop_stop(struct dyn_loop *loop)
{
    loop->process->stopped = true;
}

int64_t dyn_loop_now_ms(const struct dyn_loop *loop)
{
    return sim_host_boot_us(loop_host(loop)) / SIM_MS;
}

/* ---- timers ---- */

/* The true time when the host's clock will not be early. Late by up to a millisecond, as a real
 * loop is: or all that was started together would stay in step for ever. */
static void timer_arm(struct dyn_timer *timer)
{
    int64_t left_us = sim_host_boot_left(loop_host(timer->loop), timer->due_ms);
    int64_t late_us = sim_random_range(sim_jitter(), 0, SIM_MS - 1);
    sim_event_set(&timer->event, timer->loop->process,
                  sim_now() + (left_us > 0 ? left_us + late_us : 0), sim_timer_fired, timer);
}

void sim_timer_fired(void *arg)
{
    struct dyn_timer *timer = arg;
    int64_t now_ms = dyn_loop_now_ms(timer->loop);
    if (now_ms < timer->due_ms) {
        timer_arm(timer);
        return;
    }
    if (timer->repeat_ms > 0) {
        timer->due_ms += timer->repeat_ms;
        if (timer->due_ms <= now_ms) {
            timer->due_ms = now_ms + timer->repeat_ms;
        }
        timer_arm(timer);
    }
    timer->fn(timer->arg);
}

struct dyn_timer *dyn_timer_new(struct dyn_loop *loop, dyn_timer_fn *fn, void *arg)
{
    DYN_ASSERT(fn != NULL);
    struct dyn_timer *timer = calloc(1, sizeof *timer);
    DYN_ASSERT(timer != NULL);
    timer->loop = loop;
    timer->fn = fn;
    timer->arg = arg;
    loop->handles++;
    return timer;
}

void dyn_timer_start(struct dyn_timer *timer, int64_t delay_ms, int64_t repeat_ms)
{
    DYN_ASSERT(repeat_ms >= 0);
    timer->due_ms = dyn_loop_now_ms(timer->loop) + (delay_ms > 0 ? delay_ms : 0);
    timer->repeat_ms = repeat_ms;
    timer_arm(timer);
}

void dyn_timer_stop(struct dyn_timer *timer)
{
    sim_event_cancel(&timer->event);
}

bool dyn_timer_active(const struct dyn_timer *timer)
{
    return sim_event_is_set(&timer->event);
}

void dyn_timer_free(struct dyn_timer *timer)
{
    if (timer != NULL) {
        sim_event_cancel(&timer->event);
        timer->loop->handles--;
        free(timer);
    }
}

/* ---- signals ---- */

struct dyn_signal *dyn_signal_new(struct dyn_loop *loop, int signum, dyn_signal_fn *fn, void *arg)
{
    struct dyn_signal *sig = calloc(1, sizeof *sig);
    DYN_ASSERT(sig != NULL);
    *sig = (struct dyn_signal){loop->signals, loop, signum, fn, arg};
    loop->signals = sig;
    loop->handles++;
    return sig;
}

void dyn_signal_free(struct dyn_signal *sig)
{
    if (sig == NULL) {
        return;
    }
    struct dyn_signal **at = &sig->loop->signals;
    while (*at != sig) {
        at = &(*at)->next;
    }
    *at = sig->next;
    sig->loop->handles--;
    free(sig);
}

bool sim_loop_signal(struct dyn_loop *loop, int signum)
{
    for (struct dyn_signal *sig = loop->signals; sig != NULL; sig = sig->next) {
        if (sig->signum == signum) {
            sig->fn(sig->arg, signum);
            return true;
        }
    }
    return false;
}

/* ---- what there is none of ---- */

struct dyn_watch *dyn_watch_new(struct dyn_loop *loop, int fd, dyn_watch_fn *fn, void *arg)
{
    (void)loop;
    (void)fn;
    (void)arg;
    sim_story("a descriptor (%d) was to be watched: there are none here", fd);
    return NULL;
}

void dyn_watch_set(struct dyn_watch *watch, int events)
{
    (void)watch;
    (void)events;
    refuse("no watch was made");
}

void dyn_watch_free(struct dyn_watch *watch)
{
    DYN_ASSERT(watch == NULL);
}

dyn_err dyn_work_start(struct dyn_loop *loop, void (*work)(void *data), void (*done)(void *data),
                       void *data)
{
    (void)loop;
    (void)work;
    (void)done;
    (void)data;
    refuse("nothing is to be done on another thread");
}

dyn_err dyn_child_start(struct dyn_loop *loop, const struct dyn_child_options *options,
                        struct dyn_child **out_child, struct dyn_error *error)
{
    (void)loop;
    (void)out_child;
    sim_story("%s was to be run: there are no programs here", options->argv[0]);
    return dyn_error_set(error, DYN_UNSUPPORTED, "a simulation runs no programs");
}

int dyn_child_pid(const struct dyn_child *child)
{
    (void)child;
    refuse("no child was started");
}

void dyn_child_kill(struct dyn_child *child, int signum)
{
    (void)signum;
    (void)dyn_child_pid(child);
}

void dyn_child_free(struct dyn_child *child)
{
    DYN_ASSERT(child == NULL);
}
