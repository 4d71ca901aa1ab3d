/*
 * sim_demand: what each input of the fleet truly counts at any time, and the metric sources that
 * tell it, rightly or not: GET SIM_SOURCES_URL/input/K answers {"data":{"value":N}}.
 *
 * Threads: one. There is one world at a time.
 */
#ifndef DYN_SIM_DEMAND_H
#define DYN_SIM_DEMAND_H

#include "tests/sim/sim.h"

#define DEMAND_INPUTS_MAX 16
#define DEMAND_POLLS_KEPT 1024 /* of an input: what a collector holds back while Redis is away */

enum demand_fault {
    DEMAND_GOOD,
    DEMAND_ERROR,   /* 500 */
    DEMAND_GARBAGE, /* 200, and no number in it */
    DEMAND_SILENT,  /* no answer at all */
    DEMAND_ZERO,    /* an agent that lost its own source: zeros */
    DEMAND_FAULTS
};

/** A new world of `inputs`, each of a shape of its own; `top` is the highest value that one takes,
 *  by input. The last `calm_s` of `seconds` are flat. */
void demand_begin(size_t inputs, const double *top, int64_t seconds, int64_t calm_s);
void demand_end(void);

double demand_at(size_t input, int64_t at);
const char *demand_shape(size_t input);

void demand_fault_set(size_t input, enum demand_fault fault);
enum demand_fault demand_fault_of(size_t input);
const char *demand_fault_text(enum demand_fault fault);

/* What sources really said. */
struct demand_poll {
    int64_t at; /* when the answer left */
    uint64_t process;
    double value;
    bool stored; /* Redis was given it */
};
/** The good answer to `process` with that value that left last before `at`, of the last
 *  DEMAND_POLLS_KEPT; NULL: it was never told that. It counts as stored from then on. */
const struct demand_poll *demand_told(size_t input, uint64_t process, double value, int64_t at);
/** The index-th newest good answer of those that are kept; NULL beyond the last. */
const struct demand_poll *demand_poll_at(size_t input, size_t index);
/** When anybody last asked that input, and got a number; -1: never. */
int64_t demand_polled_at(size_t input);
/** Called with every answer that is sent. `good`: it holds a number. */
void demand_watch(void (*fn)(void *arg, size_t input, uint64_t process, bool good, double value),
                  void *arg);

#endif
