#include "common/clock.h"
#include "deploy/cli/cli.h"
#include "deploy/cli/sim.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>

#define HOUR_MS 3600000.0
#define MINUTE_MS 60000.0

/* ---- the summary ---- */

static void sim_print_fixed(const struct sim *sim, const struct sim_controller *controller,
                            const char *what, int32_t fixed, FILE *out)
{
    double fixed_hours = (double)fixed * (double)sim->ticks * 1000 / HOUR_MS;
    double hours = (double)controller->dyno_ms / HOUR_MS;
    fprintf(out, "  %-14s %.1f with %d all the time (%s): %.1f%% saved\n", "", fixed_hours, fixed,
            what, fixed_hours > 0 ? 100 * (1 - hours / fixed_hours) : 0);
}

static void sim_print_minutes(const struct sim *sim, const char *what, int64_t ms, FILE *out)
{
    fprintf(out, "  %-14s %.1f min (%.2f%%)\n", what, (double)ms / MINUTE_MS,
            100 * (double)ms / ((double)sim->ticks * 1000));
}

static void sim_print_controller(const struct sim *sim, const struct sim_controller *controller,
                                 FILE *out)
{
    fprintf(out, "%s/%s\n", controller->app->name, controller->config->name);
    if (controller->mode != CONFIG_MODE_LIVE) {
        fprintf(out, "  %-14s the file says %s; simulated as live\n", "mode",
                config_mode_text(controller->mode));
    }
    for (size_t i = 0; i < controller->config->inputs_count; i++) {
        const struct sim_input *input = &sim->inputs[controller->first_input + i];
        fprintf(out, "  %-14s %zu of %s\n", "samples", input->trace->count, input->config->name);
        if (input->measured > 0) {
            fprintf(out, "  %-14s %.10g; values are taken as measured at %d dynos (--start)\n",
                    "target", input->config->target, (int)input->measured);
        }
    }
    fprintf(out, "  %-14s %" PRIu64 " (%" PRIu64 " up, %" PRIu64 " down)\n", "changes",
            controller->ups + controller->downs, controller->ups, controller->downs);
    if (controller->config->plans == NULL) {
        fprintf(out, "  %-14s %.1f\n", "dyno-hours", (double)controller->dyno_ms / HOUR_MS);
        sim_print_fixed(sim, controller, "highest target", controller->peak_target, out);
        sim_print_fixed(sim, controller, "max_resource", controller->config->max_resource, out);
    }
    sim_print_minutes(sim, "below demand", controller->below_ms, out);
    sim_print_minutes(sim, "at maximum", controller->at_max_ms, out);
    char runs[CONFIG_RUNG_TEXT];
    char target[CONFIG_RUNG_TEXT];
    fprintf(out, "  %-14s %s running, target %s\n", "peak",
            config_rung_text(controller->config, controller->peak_runs, runs),
            config_rung_text(controller->config, controller->peak_target, target));
}

void sim_print_summary(const struct sim *sim, FILE *out)
{
    char from[32];
    char to[32];
    dyn_clock_format(sim->first_ms, from, sizeof(from));
    dyn_clock_format(sim->last_ms, to, sizeof(to));
    fprintf(out, "%s to %s (%.1f days, %" PRId64 " ticks)\n", from, to,
            (double)(sim->last_ms - sim->first_ms) / 86400000, sim->ticks);
    for (size_t i = 0; i < sim->controllers_count; i++) {
        sim_print_controller(sim, &sim->controllers[i], out);
    }
}

/* ---- warnings ---- */

static int sim_compare_steps(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a;
    int64_t right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

/* 0: one row has no step. */
static int64_t sim_median_step(const struct trace *trace)
{
    size_t count = trace->count - 1;
    int64_t *steps = count > 0 ? malloc(count * sizeof(*steps)) : NULL;
    if (steps == NULL) {
        return 0;
    }
    for (size_t i = 0; i < count; i++) {
        steps[i] = trace->rows[i + 1].at_ms - trace->rows[i].at_ms;
    }
    qsort(steps, count, sizeof(*steps), sim_compare_steps);
    int64_t median = steps[count / 2];
    free(steps);
    return median;
}

void sim_print_warnings(const struct sim *sim)
{
    for (size_t i = 0; i < sim->inputs_count; i++) {
        const struct sim_input *input = &sim->inputs[i];
        int64_t step_ms = sim_median_step(input->trace);
        if (step_ms <= input->config->max_gap_ms) {
            continue;
        }
        char name[SIM_INPUT_NAME_MAX];
        sim_input_name(sim, input, name, sizeof(name));
        cli_warn("%s: the trace's step (%" PRId64 " s) is longer than max_gap (%" PRId64
                 " s): nothing will ever fall; set interval: %" PRId64,
                 name, step_ms / 1000, input->config->max_gap_ms / 1000, (step_ms + 999) / 1000);
    }
}

/* ---- CSV ---- */

/* The fewest digits that read back as the same number; nothing for NaN. */
static void sim_csv_number(FILE *file, double value)
{
    char text[32] = "";
    for (int digits = 15; !isnan(value) && digits <= 17; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, value);
        if (strtod(text, NULL) == value) {
            break;
        }
    }
    fputs(text, file);
}

static void sim_csv_count(FILE *file, int32_t count)
{
    if (count >= 0) {
        fprintf(file, "%d", count);
    }
}

/* Names may hold anything that the configuration takes. */
static void sim_csv_text(FILE *file, const char *text)
{
    if (strpbrk(text, ",\"\r\n") == NULL) {
        fputs(text, file);
        return;
    }
    fputc('"', file);
    for (; *text != 0; text++) {
        if (*text == '"') {
            fputc('"', file);
        }
        fputc(*text, file);
    }
    fputc('"', file);
}

static void sim_csv_row(FILE *file, const struct sim *sim, const struct sim_row *row)
{
    const struct sim_input *input = &sim->inputs[row->input];
    const struct sim_controller *controller = &sim->controllers[input->controller];
    fprintf(file, "%" PRId64, row->at_ms / 1000);
    if (row->at_ms % 1000 != 0) {
        fprintf(file, ".%03" PRId64, row->at_ms % 1000);
    }
    const char *const names[] = {controller->app->name, controller->config->name,
                                 input->config->name};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        fputc(',', file);
        sim_csv_text(file, names[i]);
    }
    fputc(',', file);
    sim_csv_number(file, row->value);
    fputc(',', file);
    sim_csv_number(file, row->max);
    fputc(',', file);
    sim_csv_count(file, row->estimate);
    fputc(',', file);
    sim_csv_count(file, row->target);
    fprintf(file, ",%d,%d\n", row->raise_only, row->runs);
}

dyn_err sim_write_csv(const struct sim *sim, const char *path, struct dyn_error *error)
{
    FILE *file = fopen(path, "we");
    if (file == NULL) {
        return dyn_error_set(error, DYN_IO, "%s: %s", path, strerror(errno));
    }
    fputs("time,app,controller,input,value,max,estimate,target,raise_only,runs\n", file);
    for (size_t i = 0; i < sim->rows_count; i++) {
        sim_csv_row(file, sim, &sim->rows[i]);
    }
    bool failed = ferror(file) != 0;
    if (fclose(file) != 0 || failed) {
        return dyn_error_set(error, DYN_IO, "%s: %s", path, strerror(errno));
    }
    return DYN_OK;
}
