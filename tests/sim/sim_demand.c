#include "tests/sim/sim_demand.h"

#include "tests/sim/sim_http.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum shape {
    SHAPE_FLAT,
    SHAPE_WAVE,
    SHAPE_STEPS,
    SHAPE_SPIKES,
    SHAPE_ZEROS, /* demand with holes of real zeros */
    SHAPES
};

struct source {
    enum shape shape;
    double *values; /* by second */
    enum demand_fault fault;
    struct demand_poll polls[DEMAND_POLLS_KEPT];
    size_t polls_count; /* ever */
    int64_t polled_at;
};

static struct {
    struct source sources[DEMAND_INPUTS_MAX];
    size_t count;
    int64_t seconds;
    struct sim_random random;
    void (*told)(void *arg, size_t input, uint64_t process, bool good, double value);
    void *arg;
} demand;

/* ---- shapes ---- */

static void fill(struct source *source, int64_t from, int64_t to, double value)
{
    for (int64_t s = from < 0 ? 0 : from; s < to && s < demand.seconds; s++) {
        source->values[s] = floor(value);
    }
}

static void fill_wave(struct source *source, double top)
{
    double low = top * 0.1 * (double)sim_random_range(&demand.random, 0, 6);
    double period = (double)sim_random_range(&demand.random, 180, 900);
    double phase = sim_random_unit(&demand.random) * 6.283;
    for (int64_t s = 0; s < demand.seconds; s++) {
        double wave = (sin((double)s * 6.283185307 / period + phase) + 1) / 2;
        source->values[s] = floor(low + (top - low) * wave);
    }
}

static void fill_steps(struct source *source, double top)
{
    int64_t at = 0;
    while (at < demand.seconds) {
        int64_t next = at + sim_random_range(&demand.random, 40, 300);
        fill(source, at, next, top * sim_random_unit(&demand.random));
        at = next;
    }
}

static void fill_spikes(struct source *source, double top)
{
    fill(source, 0, demand.seconds, top * 0.15);
    int64_t at = sim_random_range(&demand.random, 20, 200);
    while (at < demand.seconds) {
        int64_t width = sim_random_range(&demand.random, 1, 45);
        fill(source, at, at + width, top * (0.5 + sim_random_unit(&demand.random) / 2));
        at += width + sim_random_range(&demand.random, 60, 400);
    }
}

static void fill_zeros(struct source *source, double top)
{
    fill_steps(source, top);
    int64_t at = sim_random_range(&demand.random, 60, 300);
    while (at < demand.seconds) {
        int64_t width = sim_random_range(&demand.random, 10, 400);
        fill(source, at, at + width, 0);
        at += width + sim_random_range(&demand.random, 100, 400);
    }
}

static void shape_fill(struct source *source, double top)
{
    switch (source->shape) {
    case SHAPE_WAVE:
        fill_wave(source, top);
        break;
    case SHAPE_STEPS:
        fill_steps(source, top);
        break;
    case SHAPE_SPIKES:
        fill_spikes(source, top);
        break;
    case SHAPE_ZEROS:
        fill_zeros(source, top);
        break;
    case SHAPE_FLAT:
    case SHAPES:
        fill(source, 0, demand.seconds, top * 0.6);
        break;
    }
}

/* ---- its life ---- */

void demand_begin(size_t inputs, const double *top, int64_t seconds, int64_t calm_s)
{
    DYN_ASSERT(inputs <= DEMAND_INPUTS_MAX);
    memset(&demand, 0, sizeof demand);
    demand.count = inputs;
    demand.seconds = seconds;
    demand.random = sim_random_of("demand");
    for (size_t i = 0; i < inputs; i++) {
        struct source *source = &demand.sources[i];
        source->values = calloc((size_t)seconds, sizeof *source->values);
        DYN_ASSERT(source->values != NULL);
        source->shape = (enum shape)sim_random_range(&demand.random, 0, SHAPES - 1);
        source->polled_at = -1;
        shape_fill(source, top[i]);
        if (seconds > calm_s) {
            fill(source, seconds - calm_s, seconds, source->values[seconds - calm_s]);
        }
    }
}

void demand_end(void)
{
    for (size_t i = 0; i < demand.count; i++) {
        free(demand.sources[i].values);
    }
    memset(&demand, 0, sizeof demand);
}

double demand_at(size_t input, int64_t at)
{
    int64_t second = at / SIM_S;
    DYN_ASSERT(input < demand.count);
    return demand.sources[input].values[second < demand.seconds ? second : demand.seconds - 1];
}

const char *demand_shape(size_t input)
{
    static const char *const texts[SHAPES] = {"flat", "wave", "steps", "spikes", "zeros"};
    return texts[demand.sources[input].shape];
}

void demand_fault_set(size_t input, enum demand_fault fault)
{
    DYN_ASSERT(input < demand.count);
    demand.sources[input].fault = fault;
}

enum demand_fault demand_fault_of(size_t input)
{
    return demand.sources[input].fault;
}

const char *demand_fault_text(enum demand_fault fault)
{
    static const char *const texts[DEMAND_FAULTS] = {"good", "status 500", "garbage", "silence",
                                                     "false zeros"};
    return texts[fault];
}

static struct demand_poll *poll_at(struct source *source, size_t index)
{
    size_t kept = source->polls_count < DEMAND_POLLS_KEPT ? source->polls_count : DEMAND_POLLS_KEPT;
    return index < kept ? &source->polls[(source->polls_count - 1 - index) % DEMAND_POLLS_KEPT]
                        : NULL;
}

const struct demand_poll *demand_poll_at(size_t input, size_t index)
{
    return poll_at(&demand.sources[input], index);
}

const struct demand_poll *demand_told(size_t input, uint64_t process, double value, int64_t at)
{
    struct source *source = &demand.sources[input];
    struct demand_poll *found = NULL;
    struct demand_poll *poll = NULL;
    /* Of the same answers, the newest that is not stored yet: what a stalled server takes late
     * bears a later time. */
    for (size_t i = 0; (poll = poll_at(source, i)) != NULL; i++) {
        /* Whole numbers, which a double holds exactly. */
        bool told = poll->process == process && poll->at <= at + SIM_S && poll->value >= value &&
                    poll->value <= value;
        if (told && !poll->stored) {
            found = poll;
            break;
        }
        found = told && found == NULL ? poll : found;
    }
    if (found != NULL) {
        found->stored = true;
    }
    return found;
}

int64_t demand_polled_at(size_t input)
{
    return demand.sources[input].polled_at;
}

void demand_watch(void (*fn)(void *arg, size_t input, uint64_t process, bool good, double value),
                  void *arg)
{
    demand.told = fn;
    demand.arg = arg;
}

/* ---- the sources' server ---- */

static void source_answer(void *arg)
{
    struct sim_exchange *exchange = arg;
    char text[96];
    size_t input = (size_t)strtoul(exchange->path + strlen("/input/"), NULL, 10);
    DYN_ASSERT(input < demand.count);
    struct source *source = &demand.sources[input];
    double value = source->fault == DEMAND_ZERO ? 0 : demand_at(input, sim_now());
    bool good = source->fault == DEMAND_GOOD || source->fault == DEMAND_ZERO;
    exchange->status = source->fault == DEMAND_ERROR ? 500 : 200;
    if (good) {
        (void)snprintf(text, sizeof text, "{\"data\":{\"value\":%.0f}}", value);
        source->polls[source->polls_count++ % DEMAND_POLLS_KEPT] =
            (struct demand_poll){sim_now(), exchange->process, value, false};
        source->polled_at = sim_now();
    } else {
        (void)snprintf(text, sizeof text, "%s",
                       source->fault == DEMAND_GARBAGE ? "{\"data\":{\"value\":\"n/a\"}}"
                                                       : "<html>Internal Server Error</html>");
    }
    exchange->reply = strdup(text);
    DYN_ASSERT(exchange->reply != NULL);
    exchange->reply_len = strlen(text);
    if (demand.told != NULL) {
        demand.told(demand.arg, input, exchange->process, good, value);
    }
    sim_exchange_answer(exchange);
}

static void source_never(void *arg)
{
    sim_exchange_drop(arg);
}

void sim_sources_arrive(struct sim_exchange *exchange)
{
    size_t input = (size_t)strtoul(exchange->path + strlen("/input/"), NULL, 10);
    bool silent = input < demand.count && demand.sources[input].fault == DEMAND_SILENT;
    int64_t takes = sim_random_range(&demand.random, 1, 120) * SIM_MS;
    if (silent) {
        sim_at(sim_now() + SIM_MINUTE, source_never, exchange);
    } else {
        sim_at(sim_now() + takes, source_answer, exchange);
    }
}
