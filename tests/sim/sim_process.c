/* Processes: the services as they are, each with a host's clocks and links of its own. */
#include "tests/sim/sim_internal.h"

#include "actuator/kill_timer.h"

#include <signal.h>

static struct {
    struct sim_process *first;
    struct sim_process *last;
    struct sim_process *current;
    uint64_t ids;
} all;

/* ---- who runs ---- */

struct sim_process *sim_process_enter(struct sim_process *process)
{
    struct sim_process *before = all.current;
    all.current = process;
    return before;
}

struct sim_process *sim_process_current(void)
{
    return all.current;
}

const char *sim_process_name(const struct sim_process *process)
{
    return process->name;
}

const struct service_ops *sim_process_ops(const struct sim_process *process)
{
    return process->ops;
}

struct service *sim_process_service(struct sim_process *process)
{
    return &process->run->service;
}

struct sim_host *sim_process_host(struct sim_process *process)
{
    return process->host;
}

uint64_t sim_process_id(const struct sim_process *process)
{
    return process->id;
}

bool sim_process_is_dying(const struct sim_process *process)
{
    return process->dying;
}

struct sim_process *sim_process_first(void)
{
    return all.first;
}

struct sim_process *sim_process_next(struct sim_process *process)
{
    return process->next;
}

/* ---- the end ---- */

static void process_free(struct sim_process *process)
{
    sim_event_cancel(&process->killer);
    sim_events_forget(process);
    DYN_ASSERT(process->conns == NULL);
    if (process->previous != NULL) {
        process->previous->next = process->next;
    } else {
        all.first = process->next;
    }
    if (process->next != NULL) {
        process->next->previous = process->previous;
    } else {
        all.last = process->previous;
    }
    free(process->config);
    free(process);
}

/* It cleans up as at any end of its own; when it is `dying`, nothing of that leaves it. */
static int process_clean(struct sim_process *process)
{
    struct sim_process *before = sim_process_enter(process);
    int status = service_run_end(process->run);
    process->run = NULL;
    (void)sim_process_enter(before);
    return status;
}

static void process_vanish(struct sim_process *process)
{
    DYN_ASSERT(all.current != process);
    process->dying = true;
    (void)process_clean(process);
}

void sim_process_kill(struct sim_process *process)
{
    sim_story("%s is killed", process->name);
    process_vanish(process);
    process_free(process);
}

/* Killed by a timer of its own: whoever watches over it hears of that. */
static void process_kill_itself(struct sim_process *process)
{
    sim_story("%s is killed by its own timer", process->name);
    process_vanish(process);
    if (process->ended != NULL) {
        process->ended(process->arg, process, 128 + SIGKILL);
    }
    process_free(process);
}

void sim_process_settle(struct sim_process *process)
{
    if (process->doomed) {
        process_kill_itself(process);
    } else if (process->stopped) {
        int status = process_clean(process);
        sim_story("%s ended with %d", process->name, status);
        if (process->ended != NULL) {
            process->ended(process->arg, process, status);
        }
        process_free(process);
    }
}

void sim_processes_end(void)
{
    while (all.last != NULL) {
        sim_process_kill(all.last);
    }
    memset(&all, 0, sizeof all);
}

static void killer_fired(void *arg)
{
    process_kill_itself(arg);
}

/* Of the kernel, so that it also fires in a stopped process. */
void kill_timer_set(int64_t deadline_ms)
{
    struct sim_process *process = sim_process_current();
    DYN_ASSERT(process != NULL);
    if (process->dying) {
        return;
    }
    if (deadline_ms == INT64_MAX) {
        sim_event_cancel(&process->killer);
        return;
    }
    int64_t left_us = sim_host_boot_left(process->host, deadline_ms);
    sim_event_set(&process->killer, NULL, sim_now() + left_us, killer_fired, process);
}

/* ---- SIGSTOP, SIGCONT ---- */

void sim_process_hold(struct sim_process *process, struct sim_event *event)
{
    event->held = true;
    event->held_next = NULL;
    if (process->held_last != NULL) {
        process->held_last->held_next = event;
    } else {
        process->held_first = event;
    }
    process->held_last = event;
}

void sim_process_held_remove(struct sim_process *process, struct sim_event *event)
{
    struct sim_event *before = NULL;
    for (struct sim_event *at = process->held_first; at != event; at = at->held_next) {
        before = at;
    }
    if (before != NULL) {
        before->held_next = event->held_next;
    } else {
        process->held_first = event->held_next;
    }
    if (process->held_last == event) {
        process->held_last = before;
    }
    event->held = false;
}

void sim_process_freeze(struct sim_process *process)
{
    process->frozen = true;
    sim_story("%s is stopped", process->name);
}

/* Those of `held` that are timers, or are none, in their order. */
static void held_release(struct sim_process *process, struct sim_event *held, bool timers)
{
    while (held != NULL) {
        struct sim_event *next = held->held_next;
        if (held->held && (held->fn == sim_timer_fired) == timers) {
            held->held = false;
            process->events--;
            sim_event_set(held, process, sim_now(), held->fn, held->arg);
        }
        held = next;
    }
}

/* As a loop does that finds much at once: first the timers, then what has arrived. */
void sim_process_thaw(struct sim_process *process)
{
    struct sim_event *held = process->held_first;
    process->held_first = NULL;
    process->held_last = NULL;
    process->frozen = false;
    sim_story("%s goes on", process->name);
    held_release(process, held, true);
    held_release(process, held, false);
}

bool sim_process_is_frozen(const struct sim_process *process)
{
    return process->frozen;
}

/* ---- signals ---- */

static void process_terminate(void *arg)
{
    struct sim_process *process = arg;
    (void)sim_loop_signal(process->run->service.loop, SIGTERM);
}

static void process_hang_up(void *arg)
{
    struct sim_process *process = arg;
    (void)sim_loop_signal(process->run->service.loop, SIGHUP);
}

void sim_process_drain(struct sim_process *process)
{
    sim_event_set(&process->terminate, process, sim_now(), process_terminate, process);
}

void sim_process_reload(struct sim_process *process)
{
    sim_event_set(&process->hang_up, process, sim_now(), process_hang_up, process);
}

static void alarm_rang(void *arg)
{
    struct sim_process *process = arg;
    process->doomed = true;
}

void service_process_alarm(unsigned seconds)
{
    struct sim_process *process = sim_process_current();
    sim_event_cancel(&process->alarm);
    if (seconds > 0) {
        sim_event_set(&process->alarm, process, sim_now() + seconds * SIM_S, alarm_rang, process);
    }
}

/* ---- the beginning ---- */

static void nothing(void *arg)
{
    (void)arg;
}

static void process_link(struct sim_process *process)
{
    process->previous = all.last;
    if (all.last != NULL) {
        all.last->next = process;
    } else {
        all.first = process;
    }
    all.last = process;
}

struct sim_process *sim_process_start(const struct sim_process_options *options)
{
    DYN_ASSERT(options->ops != NULL && options->instance != NULL && options->config != NULL);
    struct sim_process *process = calloc(1, sizeof *process);
    DYN_ASSERT(process != NULL);
    dyn_str_copy(process->name, sizeof process->name, dyn_str_from(options->instance));
    process->id = ++all.ids;
    process->ops = options->ops;
    process->config = strdup(options->config);
    process->host = options->host != NULL ? options->host : &process->own_host;
    process->ended = options->ended;
    process->arg = options->arg;
    process_link(process);

    struct service_options run = {.task = SERVICE_RUN, .config = process->config};
    dyn_str_copy(run.instance, sizeof run.instance, dyn_str_from(options->instance));
    int status = 0;
    struct sim_process *before = sim_process_enter(process);
    process->run = service_run_begin(options->ops, &run, &status);
    (void)sim_process_enter(before);
    if (process->run == NULL) {
        sim_story("%s did not start: %d", process->name, status);
        process_free(process);
        return NULL;
    }
    /* It may have stopped already; it ends after an event of its own. */
    sim_event_set(&process->terminate, process, sim_now(), nothing, process);
    return process;
}

/* ---- links ---- */

struct sim_link_state *sim_link_state(struct sim_process *process, enum sim_link link)
{
    DYN_ASSERT(link < SIM_LINK_COUNT);
    return &process->links[link];
}

void sim_link_changed(struct sim_process *process, enum sim_link link)
{
    const struct sim_link_state *state = &process->links[link];
    static const char *const names[] = {"Redis", "HTTP"};
    sim_story("%s - %s: out %s, in %s, %lld ms more", process->name, names[link],
              state->cut_out ? "cut" : "whole", state->cut_in ? "cut" : "whole",
              (long long)(state->delay_us / SIM_MS));
    if (link == SIM_LINK_REDIS) {
        for (struct sim_conn *conn = process->conns; conn != NULL; conn = conn->process_next) {
            sim_wire_kick(conn, &conn->out);
            sim_wire_kick(conn, &conn->in);
        }
    }
}
