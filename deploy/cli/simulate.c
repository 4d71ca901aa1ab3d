/*
 * simulate: what would this configuration have done with that day's values?
 */
#include "deploy/cli/cli.h"
#include "deploy/cli/sim.h"

enum {
    OPTION_TRACE,
    OPTION_START,
    OPTION_CSV,
    OPTION_PLOT
};

static const struct cli_option options[] = {
    [OPTION_TRACE] = {"--trace", "INPUT=FILE.csv",
                      "the values of one input: a column of times (UTC, or Unix\n"
                      "seconds) and one of values; one for each input of FILE.\n"
                      "INPUT is APP/CONTROLLER/INPUT, or the input's name alone\n"
                      "where no other has it"},
    [OPTION_START] = {"--start", "N", "dynos that run at the start (default: min_resource)"},
    [OPTION_CSV] = {"--csv", "OUT.csv", "write the state after each sample"},
    [OPTION_PLOT] = {"--plot", "OUT.svg|png", "draw it (by gnuplot)"},
    {.name = NULL},
};

struct simulate {
    const struct cli_command *self;
    const char *file;
    const char **traces; /* INPUT=FILE */
    size_t traces_count;
    int64_t start; /* 0: not given */
    const char *csv;
    const char *plot;
};

/* ---- the command line ---- */

static int simulate_args(struct simulate *simulate, int argc, char **argv)
{
    struct cli_args args = {.command = simulate->self, .argc = argc, .argv = argv};
    int found;
    while ((found = cli_args_next(&args)) != CLI_ARG_END) {
        if (found == CLI_ARG_WRONG) {
            return CLI_USAGE;
        }
        if (found == CLI_ARG_PLAIN && simulate->file != NULL) {
            return cli_usage(simulate->self, "one FILE at a time, not also %s", args.value);
        }
        if (found == CLI_ARG_PLAIN) {
            simulate->file = args.value;
        } else if (found == OPTION_TRACE) {
            simulate->traces[simulate->traces_count++] = args.value;
        } else if (found == OPTION_CSV) {
            simulate->csv = args.value;
        } else if (found == OPTION_PLOT) {
            simulate->plot = args.value;
        } else if (!cli_number(simulate->self, "--start", args.value, 1, DYN_QUANTITY_MAX,
                               &simulate->start)) {
            return CLI_USAGE;
        }
    }
    if (simulate->file == NULL) {
        return cli_usage(simulate->self, "the configuration file is missing");
    }
    if (simulate->plot != NULL && !sim_plot_known(simulate->plot)) {
        return cli_usage(simulate->self, "--plot: %s must end in .svg or .png", simulate->plot);
    }
    return CLI_DONE;
}

/* ---- traces ---- */

static void simulate_tell_skipped(const struct trace *trace, const char *path)
{
    for (size_t i = 0; i < trace->messages_count; i++) {
        cli_warn("%s", trace->messages[i]);
    }
    if (trace->malformed + trace->unordered > 0) {
        cli_warn("%s: skipped %zu rows that cannot be read and %zu out of order", path,
                 trace->malformed, trace->unordered);
    }
}

static int simulate_bind(const struct simulate *simulate, struct sim *sim, const char *text)
{
    struct dyn_error error = {.text = ""};
    const char *equals = strchr(text, '=');
    if (equals == NULL || equals == text || equals[1] == 0) {
        return cli_usage(simulate->self, "--trace must be INPUT=FILE.csv, not '%s'", text);
    }
    struct dyn_str name = {text, (size_t)(equals - text)};
    struct sim_input *input = sim_input_find(sim, name, &error);
    if (input == NULL) {
        return cli_usage(simulate->self, "%s", error.text);
    }
    if (input->trace != NULL) {
        return cli_usage(simulate->self, DYN_STR_FMT " has two traces: %s and %s",
                         DYN_STR_ARG(name), input->path, equals + 1);
    }
    input->path = equals + 1;
    input->trace = trace_load(input->path, &(struct trace_options){0}, &error);
    if (input->trace == NULL) {
        cli_failed(simulate->self, "%s", error.text);
        return CLI_USAGE;
    }
    simulate_tell_skipped(input->trace, input->path);
    return CLI_DONE;
}

static int simulate_bind_all(const struct simulate *simulate, struct sim *sim)
{
    for (size_t i = 0; i < simulate->traces_count; i++) {
        int status = simulate_bind(simulate, sim, simulate->traces[i]);
        if (status != CLI_DONE) {
            return status;
        }
    }
    for (size_t i = 0; i < sim->inputs_count; i++) {
        if (sim->inputs[i].trace == NULL) {
            char name[SIM_INPUT_NAME_MAX];
            sim_input_name(sim, &sim->inputs[i], name, sizeof(name));
            return cli_usage(simulate->self, "%s has no trace; give --trace %s=FILE.csv", name,
                             name);
        }
    }
    return CLI_DONE;
}

/* ---- the run ---- */

static int simulate_output(const struct simulate *simulate, const struct sim *sim)
{
    struct dyn_error error = {.text = ""};
    sim_print_summary(sim, stdout);
    sim_print_warnings(sim);
    if (simulate->csv != NULL && sim_write_csv(sim, simulate->csv, &error) != DYN_OK) {
        return cli_failed(simulate->self, "%s", error.text);
    }
    if (simulate->plot != NULL && sim_plot(sim, simulate->plot, &error) != DYN_OK) {
        return cli_failed(simulate->self, "%s", error.text);
    }
    return CLI_DONE;
}

static int simulate_config(const struct simulate *simulate, struct config *config)
{
    struct dyn_error error = {.text = ""};
    struct sim *sim = sim_new(config);
    if (sim == NULL) {
        return cli_failed(simulate->self, "out of memory");
    }
    int status = simulate_bind_all(simulate, sim);
    if (status == CLI_DONE && sim_run(sim, (int32_t)simulate->start, &error) != DYN_OK) {
        status = cli_failed(simulate->self, "%s", error.text);
    }
    if (status == CLI_DONE) {
        status = simulate_output(simulate, sim);
    }
    sim_free(sim);
    return status;
}

static int simulate_run(const struct cli_command *self, int argc, char **argv)
{
    struct simulate simulate = {.self = self};
    simulate.traces = calloc((size_t)argc + 1, sizeof(*simulate.traces));
    if (simulate.traces == NULL) {
        return cli_failed(self, "out of memory");
    }
    int status = simulate_args(&simulate, argc, argv);
    if (status == CLI_DONE) {
        struct config *config = cli_config_load(simulate.file);
        status = config != NULL ? simulate_config(&simulate, config) : CLI_USAGE;
        config_free(config);
    }
    free(simulate.traces);
    return status;
}

const struct cli_command cli_simulate = {
    .name = "simulate",
    .arguments = "FILE --trace INPUT=FILE.csv ... [--start N] [--csv OUT.csv] [--plot OUT.svg]",
    .summary = "replay recorded values through a configuration, in seconds",
    .help = "Runs the services' own cores over recorded values in virtual time, against a Heroku\n"
            "that does what it is told. Every controller is taken as live. Prints what would have\n"
            "been: changes, dyno-hours against a fixed size, minutes below demand.",
    .options = options,
    .run = simulate_run,
};
