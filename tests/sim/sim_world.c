/* The heap of events, randomness, hosts. */
#include "tests/sim/sim_internal.h"

#define WALL_BEGIN_MS INT64_C(1767225600000) /* 2026-01-01 */
#define STUCK_EVENTS 5000000                 /* at one instant: something goes round in circles */

struct slot {
    int64_t at;
    uint64_t order;
    struct sim_event *event;
};

static struct {
    bool begun;
    struct sim_options options;
    int64_t now;
    uint64_t orders;
    uint64_t events_run;
    uint64_t events_at_now;
    struct slot *heap; /* from 1 on */
    size_t count;
    size_t room;
    void (*step)(void *arg);
    void *step_arg;
} world;

/* ---- randomness ---- */

uint64_t sim_random_bits(struct sim_random *random)
{
    random->state += UINT64_C(0x9E3779B97F4A7C15);
    uint64_t z = random->state;
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

struct sim_random sim_random_of(const char *purpose)
{
    struct sim_random random = {world.options.seed};
    uint64_t first = sim_random_bits(&random);
    random.state = dyn_hash(first ^ DYN_HASH_SEED, dyn_str_from(purpose));
    (void)sim_random_bits(&random);
    return random;
}

int64_t sim_random_range(struct sim_random *random, int64_t low, int64_t high)
{
    DYN_ASSERT(low <= high);
    uint64_t span = (uint64_t)high - (uint64_t)low + 1;
    uint64_t bits = sim_random_bits(random);
    return span == 0 ? (int64_t)bits : low + (int64_t)(bits % span);
}

double sim_random_unit(struct sim_random *random)
{
    return (double)(sim_random_bits(random) >> 11) * 0x1.0p-53;
}

bool sim_random_chance(struct sim_random *random, double probability)
{
    return sim_random_unit(random) < probability;
}

/* ---- the heap ---- */

static bool slot_before(const struct slot *a, const struct slot *b)
{
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void slot_put(size_t place, struct slot slot)
{
    world.heap[place] = slot;
    slot.event->place = place;
}

static void heap_up(size_t place, struct slot slot)
{
    while (place > 1 && slot_before(&slot, &world.heap[place / 2])) {
        slot_put(place, world.heap[place / 2]);
        place /= 2;
    }
    slot_put(place, slot);
}

static void heap_down(size_t place, struct slot slot)
{
    for (;;) {
        size_t child = 2 * place;
        if (child > world.count) {
            break;
        }
        if (child < world.count && slot_before(&world.heap[child + 1], &world.heap[child])) {
            child++;
        }
        if (!slot_before(&world.heap[child], &slot)) {
            break;
        }
        slot_put(place, world.heap[child]);
        place = child;
    }
    slot_put(place, slot);
}

static void heap_move(size_t place, struct slot slot)
{
    if (place > 1 && slot_before(&slot, &world.heap[place / 2])) {
        heap_up(place, slot);
    } else {
        heap_down(place, slot);
    }
}

static void heap_add(struct slot slot)
{
    if (world.count + 1 >= world.room) {
        size_t room = world.room > 0 ? 2 * world.room : 1024;
        world.heap = reallocarray(world.heap, room, sizeof *world.heap);
        DYN_ASSERT(world.heap != NULL);
        world.room = room;
    }
    world.count++;
    heap_up(world.count, slot);
}

static void heap_remove(size_t place)
{
    world.heap[place].event->place = 0;
    struct slot last = world.heap[world.count--];
    if (place <= world.count) {
        heap_move(place, last);
    }
}

/* ---- events ---- */

void sim_event_set(struct sim_event *event, struct sim_process *process, int64_t at,
                   void (*fn)(void *arg), void *arg)
{
    DYN_ASSERT(world.begun);
    if (event->held) {
        sim_event_cancel(event);
    }
    event->at = at > world.now ? at : world.now;
    event->order = ++world.orders;
    event->fn = fn;
    event->arg = arg;
    struct slot slot = {event->at, event->order, event};
    if (event->place != 0) {
        DYN_ASSERT(event->process == process);
        heap_move(event->place, slot);
        return;
    }
    event->process = process;
    if (process != NULL) {
        process->events++;
    }
    heap_add(slot);
}

void sim_event_cancel(struct sim_event *event)
{
    if (event->held) {
        sim_process_held_remove(event->process, event);
    } else if (event->place != 0) {
        heap_remove(event->place);
    } else {
        return;
    }
    if (event->process != NULL) {
        event->process->events--;
    }
}

bool sim_event_is_set(const struct sim_event *event)
{
    return event->place != 0 || event->held;
}

void sim_events_forget(struct sim_process *process)
{
    while (process->held_first != NULL) {
        sim_event_cancel(process->held_first);
    }
    for (size_t i = world.count; i > 0 && process->events > 0; i--) {
        if (i <= world.count && world.heap[i].event->process == process) {
            sim_event_cancel(world.heap[i].event);
            i = world.count + 1; /* places have changed */
        }
    }
}

struct later {
    struct sim_event event;
    void (*fn)(void *arg);
    void *arg;
};

static void later_run(void *arg)
{
    struct later later = *(struct later *)arg;
    free(arg);
    later.fn(later.arg);
}

void sim_at(int64_t at, void (*fn)(void *arg), void *arg)
{
    struct later *later = calloc(1, sizeof *later);
    DYN_ASSERT(later != NULL);
    later->fn = fn;
    later->arg = arg;
    sim_event_set(&later->event, NULL, at, later_run, later);
}

static void event_run(struct sim_event *event)
{
    struct sim_process *process = event->process;
    if (process == NULL) {
        event->fn(event->arg);
        return;
    }
    process->events--;
    struct sim_process *before = sim_process_enter(process);
    event->fn(event->arg);
    (void)sim_process_enter(before);
    sim_process_settle(process);
}

static void event_next(void)
{
    struct sim_event *event = world.heap[1].event;
    heap_remove(1);
    world.events_at_now = event->at > world.now ? 0 : world.events_at_now + 1;
    DYN_ASSERT(world.events_at_now < STUCK_EVENTS);
    world.now = event->at;
    if (event->process != NULL && event->process->frozen) {
        sim_process_hold(event->process, event);
        return;
    }
    world.events_run++;
    event_run(event);
    if (world.step != NULL) {
        world.step(world.step_arg);
    }
}

/* ---- the world ---- */

void sim_begin(const struct sim_options *options)
{
    DYN_ASSERT(!world.begun);
    world.begun = true;
    world.options = *options;
    if (world.options.wall_ms == 0) {
        world.options.wall_ms = WALL_BEGIN_MS;
    }
    if (world.options.prefix == NULL) {
        world.options.prefix = "dyn";
    }
    sim_story_begin(options->story);
    sim_clock_begin();
    sim_wires_begin();
    sim_servers_begin();
}

void sim_end(void)
{
    DYN_ASSERT(world.begun && sim_process_current() == NULL);
    world.step = NULL;
    sim_processes_end();
    sim_servers_end();
    for (size_t i = world.count; i > 0; i--) {
        struct sim_event *event = world.heap[i].event;
        if (event->fn == later_run) {
            free(event->arg);
        }
    }
    free(world.heap);
    memset(&world, 0, sizeof world);
}

void sim_run(int64_t until)
{
    DYN_ASSERT(sim_process_current() == NULL);
    while (world.count > 0 && world.heap[1].at <= until) {
        event_next();
    }
    if (world.now < until) {
        world.now = until;
    }
}

int64_t sim_now(void)
{
    return world.now;
}

int64_t sim_wall_ms(void)
{
    return world.options.wall_ms + world.now / SIM_MS;
}

void sim_step_set(void (*fn)(void *arg), void *arg)
{
    world.step = fn;
    world.step_arg = arg;
}

uint64_t sim_events_count(void)
{
    return world.events_run;
}

const struct sim_options *sim_options_get(void)
{
    return &world.options;
}

/* ---- hosts ---- */

static int64_t host_passed_us(const struct sim_host *host, int64_t true_us)
{
    return true_us + true_us * host->boot_ppm / 1000000;
}

int64_t sim_host_boot_us(const struct sim_host *host)
{
    return host->boot_offset_us + host_passed_us(host, world.now);
}

int64_t sim_host_boot_left(const struct sim_host *host, int64_t boot_ms)
{
    int64_t left_us = boot_ms * SIM_MS - sim_host_boot_us(host);
    if (left_us <= 0) {
        return 0;
    }
    return host->boot_ppm == 0
               ? left_us
               : left_us + 1 - left_us * host->boot_ppm / (1000000 + host->boot_ppm);
}

int64_t sim_host_wall_us(const struct sim_host *host)
{
    return world.options.wall_ms * SIM_MS + host->wall_offset_us + host_passed_us(host, world.now);
}

void sim_host_wall_step(struct sim_host *host, int64_t by_us)
{
    host->wall_offset_us += by_us;
    sim_servers_wall_stepped(host);
}
