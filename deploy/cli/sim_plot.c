#include "deploy/cli/sim.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#define PLOT_WIDTH 1400
#define PLOT_HEIGHT 700    /* of one controller */
#define PLOT_PANELS_MAX 12 /* controllers in one picture; refused */
#define PLOT_BUCKETS 1500  /* more rows than a few a pixel are thinned */

/* ---- data: one block of rows for each input ---- */

static void plot_row(FILE *file, const struct sim_row *row)
{
    fprintf(file, "%.3f %.9g ", (double)row->at_ms / 1000, row->value);
    if (isnan(row->max)) {
        fputs("NaN ", file);
    } else {
        fprintf(file, "%.9g ", row->max);
    }
    if (row->target < 0) {
        fputs("NaN ", file);
    } else {
        fprintf(file, "%d ", row->target);
    }
    fprintf(file, "%d\n", row->runs);
}

/* Of all rows of one bucket the ones that the eye would see: the extremes and the last. */
struct plot_bucket {
    int64_t number;
    const struct sim_row *kept[5]; /* highest and lowest value, highest and lowest runs, last */
};

static void plot_bucket_take(struct plot_bucket *bucket, const struct sim_row *row)
{
    const struct sim_row **kept = bucket->kept;
    kept[0] = kept[0] == NULL || row->value > kept[0]->value ? row : kept[0];
    kept[1] = kept[1] == NULL || row->value < kept[1]->value ? row : kept[1];
    kept[2] = kept[2] == NULL || row->runs > kept[2]->runs ? row : kept[2];
    kept[3] = kept[3] == NULL || row->runs < kept[3]->runs ? row : kept[3];
    kept[4] = row;
}

static void plot_bucket_write(FILE *file, struct plot_bucket *bucket)
{
    const size_t count = sizeof(bucket->kept) / sizeof(bucket->kept[0]);
    const struct sim_row *written = NULL;
    while (bucket->kept[0] != NULL) {
        /* Rows lie in one array in the order of time: the next is the least address behind. */
        const struct sim_row *next = NULL;
        for (size_t i = 0; i < count; i++) {
            const struct sim_row *row = bucket->kept[i];
            if ((written == NULL || row > written) && (next == NULL || row < next)) {
                next = row;
            }
        }
        if (next == NULL) {
            break;
        }
        plot_row(file, next);
        written = next;
    }
    *bucket = (struct plot_bucket){0};
}

static void plot_data(FILE *file, const struct sim *sim, size_t input)
{
    int64_t span = sim->last_ms - sim->first_ms + 1;
    struct plot_bucket bucket = {0};
    fprintf(file, "$input%zu << END\n", input);
    for (size_t i = 0; i < sim->rows_count; i++) {
        const struct sim_row *row = &sim->rows[i];
        if (row->input != input) {
            continue;
        }
        int64_t number = (row->at_ms - sim->first_ms) * PLOT_BUCKETS / span;
        if (number != bucket.number) {
            plot_bucket_write(file, &bucket);
            bucket.number = number;
        }
        plot_bucket_take(&bucket, row);
    }
    plot_bucket_write(file, &bucket);
    fputs("END\n", file);
}

/* ---- the script ---- */

/* A text in single quotes; what would end the line or the quotes becomes harmless. */
static void plot_quoted(FILE *file, const char *text)
{
    fputc('\'', file);
    for (; *text != 0; text++) {
        if (*text == '\'') {
            fputc('\'', file);
        }
        fputc((unsigned char)*text < ' ' ? ' ' : *text, file);
    }
    fputc('\'', file);
}

static void plot_controller(FILE *file, const struct sim *sim, size_t index)
{
    const struct sim_controller *controller = &sim->controllers[index];
    char title[2 * DYN_NAME_MAX + 64];
    snprintf(title, sizeof(title), "%s / %s (simulated)", controller->app->name,
             controller->config->name);
    fputs("set title ", file);
    plot_quoted(file, title);
    fprintf(file, " font 'DejaVu Sans,20'\nset y2range [0:%d]\nplot ",
            controller->peak_runs + controller->peak_runs / 3 + 1);
    for (size_t i = 0; i < controller->config->inputs_count; i++) {
        size_t input = controller->first_input + i;
        const char *name = sim->inputs[input].config->name;
        char key[DYN_NAME_MAX + 32];
        fprintf(file, "$input%zu using 1:2 with lines lw 1 lc rgb '%s' title ", input,
                i % 2 == 0 ? "#7fa8d1" : "#b39bc8");
        snprintf(key, sizeof(key), "%s", name);
        plot_quoted(file, key);
        fprintf(file, ", $input%zu using 1:3 with steps lw 1.5 lc rgb '%s' title ", input,
                i % 2 == 0 ? "#1f5f99" : "#6a4c93");
        snprintf(key, sizeof(key), "%s, window maximum", name);
        plot_quoted(file, key);
        fputs(", ", file);
    }
    /* The target is a halo around what runs: where they part, both are seen. */
    fprintf(file,
            "$input%zu using 1:4 axes x1y2 with steps lw 5 lc rgb '#fdc086' title 'target', "
            "$input%zu using 1:5 axes x1y2 with steps lw 2 lc rgb '#b2182b' title 'running'\n",
            controller->first_input, controller->first_input);
}

static void plot_script(FILE *file, const struct sim *sim, const char *path, bool svg)
{
    size_t panels = sim->controllers_count;
    fprintf(file, "set terminal %s size %d,%zu %s font 'DejaVu Sans,14' background rgb 'white'\n",
            svg ? "svg" : "pngcairo", PLOT_WIDTH, PLOT_HEIGHT * panels, svg ? "dynamic" : "");
    fputs("set encoding utf8\nset output ", file);
    plot_quoted(file, path);
    fputs("\nset xdata time\nset timefmt '%s'\n"
          "set xtics out nomirror\nset ytics out nomirror\nset y2tics out nomirror\n"
          "set grid xtics ytics lc rgb '#dddddd' lw 1\nset border 11 lc rgb '#555555'\n"
          "set key outside bottom center horizontal samplen 3 noenhanced\n"
          "set title noenhanced\nset rmargin 10\nset lmargin 12\n"
          "set ylabel 'value'\nset y2label 'dynos'\nset yrange [0:*]\n",
          file);
    fprintf(file, "set format x '%s'\nset xlabel 'UTC'\nset xrange ['%" PRId64 "':'%" PRId64 "']\n",
            sim->last_ms - sim->first_ms > 3 * 86400000LL ? "%Y-%m-%d" : "%m-%d %H:%M",
            sim->first_ms / 1000, sim->last_ms / 1000 + 1);
    for (size_t i = 0; i < sim->inputs_count; i++) {
        plot_data(file, sim, i);
    }
    fprintf(file, "set multiplot layout %zu,1\n", panels);
    for (size_t i = 0; i < panels; i++) {
        plot_controller(file, sim, i);
    }
    fputs("unset multiplot\nunset output\n", file);
}

/* ---- gnuplot ---- */

/* The child gets the script as its input and nothing else of ours: no secret of the environment. */
static dyn_err plot_spawn(int script, pid_t *out_pid, struct dyn_error *error)
{
    char name[] = "gnuplot";
    char zone[] = "TZ=UTC";
    char *argv[] = {name, NULL};
    char locale[] = "LC_ALL=C.UTF-8";
    char *environment[] = {zone, locale, NULL};
    posix_spawn_file_actions_t actions;
    if (posix_spawn_file_actions_init(&actions) != 0) {
        return dyn_error_set(error, DYN_NOMEM, "out of memory");
    }
    int err = posix_spawn_file_actions_adddup2(&actions, script, STDIN_FILENO);
    if (err == 0) {
        err = posix_spawnp(out_pid, name, &actions, NULL, argv, environment);
    }
    posix_spawn_file_actions_destroy(&actions);
    if (err == ENOENT) {
        return dyn_error_set(error, DYN_NOTFOUND,
                             "--plot needs gnuplot, which is not installed here; `apt-get install "
                             "gnuplot-nox`, or use --csv");
    }
    return err == 0 ? DYN_OK : dyn_error_set(error, DYN_IO, "gnuplot: %s", strerror(err));
}

static dyn_err plot_run(int script, const char *path, struct dyn_error *error)
{
    pid_t pid = 0;
    int status = 0;
    dyn_err err = plot_spawn(script, &pid, error);
    if (err != DYN_OK) {
        return err;
    }
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR) {
            return dyn_error_set(error, DYN_IO, "gnuplot: %s", strerror(errno));
        }
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        return dyn_error_set(error, DYN_IO, "gnuplot could not draw %s", path);
    }
    return DYN_OK;
}

static bool plot_has_suffix(const char *path, const char *suffix)
{
    size_t len = strlen(path);
    size_t tail = strlen(suffix);
    return len > tail && strcmp(path + len - tail, suffix) == 0;
}

bool sim_plot_known(const char *path)
{
    return plot_has_suffix(path, ".svg") || plot_has_suffix(path, ".png");
}

dyn_err sim_plot(const struct sim *sim, const char *path, struct dyn_error *error)
{
    DYN_ASSERT(sim_plot_known(path));
    bool svg = plot_has_suffix(path, ".svg");
    if (sim->controllers_count > PLOT_PANELS_MAX) {
        return dyn_error_set(error, DYN_CONFIG,
                             "--plot: %zu controllers are too many for one picture (%d at most)",
                             sim->controllers_count, PLOT_PANELS_MAX);
    }
    FILE *script = tmpfile();
    if (script == NULL) {
        return dyn_error_set(error, DYN_IO, "a temporary file: %s", strerror(errno));
    }
    plot_script(script, sim, path, svg);
    dyn_err err = DYN_OK;
    if (fflush(script) != 0 || ferror(script) != 0 || fseek(script, 0, SEEK_SET) != 0) {
        err = dyn_error_set(error, DYN_IO, "a temporary file: %s", strerror(errno));
    } else {
        err = plot_run(fileno(script), path, error);
    }
    fclose(script);
    return err;
}
