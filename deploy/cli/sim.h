/*
 * sim: recorded values through the services' own cores, second by second, in virtual time.
 *
 * Each row of a trace is one good sample at its time. Values of an input with a `target` are taken
 * as measured at the dynos that run at the start, and fall in proportion as more run: a recording
 * cannot know what else would have been measured. A tick follows each second from the first
 * sample on to the last. Every controller is taken as `live`, whatever the file says: sim_new()
 * changes the configuration that it is given, before any core has seen it.
 *
 * Ownership: the configuration is borrowed until sim_free(); traces that were bound are owned.
 * Threads: one.
 */
#ifndef DYN_CLI_SIM_H
#define DYN_CLI_SIM_H

#include "common/config.h"
#include "common/trace.h"

#define SIM_SPAN_MAX_MS (10LL * 366 * 86400000) /* of all traces together; refused */

struct sim_input {
    const struct config_input *config;
    size_t controller; /* index into sim->controllers */
    struct trace *trace;
    const char *path; /* of the trace; borrowed */
    size_t next;      /* row of the trace */
    int32_t demand;   /* what the newest value asks for by itself, at most max_resource */
    int32_t measured; /* dynos that its values are taken to be measured at; 0: it has no target */
    double max;       /* of the window, as last told; NaN: none */
    int32_t estimate;
};

struct sim_controller {
    const struct config_app *app;
    const struct config_controller *config;
    enum config_mode mode; /* what the file says */
    size_t app_index, index;
    size_t first_input;
    int32_t target; /* -1: none yet */
    bool raise_only;
    int32_t running; /* to be told to the fold; -1: nothing new */
    /* what became of it */
    uint64_t ups, downs;
    int64_t dyno_ms;
    int64_t below_ms;  /* fewer ran than the newest value of any input asks for */
    int64_t at_max_ms; /* max_resource ran */
    int32_t peak_runs, peak_target;
};

/* The state after the first tick at or after a sample. */
struct sim_row {
    int64_t at_ms; /* of the sample */
    uint32_t input;
    bool raise_only;
    double value; /* of the sample */
    double max;
    int32_t estimate, target; /* -1: none */
    int32_t runs;
};

struct sim {
    struct config *config;
    struct sim_input *inputs;
    struct sim_controller *controllers;
    size_t inputs_count, controllers_count;
    int64_t first_ms, last_ms, ticks; /* of samples; ticks */
    struct sim_row *rows;             /* in the order of the samples */
    size_t rows_count;
};

struct sim *sim_new(struct config *config); /* NULL: no memory */
void sim_free(struct sim *sim);

/** The input called `name` (APP/CONTROLLER/INPUT, or INPUT alone where only one has that name);
 * NULL and words with the candidates. */
struct sim_input *sim_input_find(struct sim *sim, struct dyn_str name, struct dyn_error *error);
/** "APP/CONTROLLER/INPUT" */
void sim_input_name(const struct sim *sim, const struct sim_input *input, char *out, size_t size);
#define SIM_INPUT_NAME_MAX (3 * DYN_NAME_MAX + 3)

/** Every input has a trace; `start` dynos run at first, 0: each controller's min_resource. */
DYN_NODISCARD dyn_err sim_run(struct sim *sim, int32_t start, struct dyn_error *error);

/* ---- what is told of a run (sim_output.c, sim_plot.c) ---- */

void sim_print_summary(const struct sim *sim, FILE *out);
/** Likely mistakes in traces and configuration, on standard error. */
void sim_print_warnings(const struct sim *sim);
DYN_NODISCARD dyn_err sim_write_csv(const struct sim *sim, const char *path,
                                    struct dyn_error *error);
/** Whether the path's suffix names a kind of picture that sim_plot() draws: .svg, .png. */
bool sim_plot_known(const char *path);
/** By gnuplot, which must be installed. */
DYN_NODISCARD dyn_err sim_plot(const struct sim *sim, const char *path, struct dyn_error *error);

#endif
