#include "collector/figures.h"

#include <inttypes.h>

static const char *const names[FIGURES] = {
    [FIGURE_RPM] = "rpm",
    [FIGURE_SERVICE_P50] = "service_p50",
    [FIGURE_SERVICE_P95] = "service_p95",
    [FIGURE_SERVICE_P99] = "service_p99",
    [FIGURE_CONNECT_P50] = "connect_p50",
    [FIGURE_CONNECT_P95] = "connect_p95",
    [FIGURE_CONNECT_P99] = "connect_p99",
    [FIGURE_ERROR_RATE] = "error_rate",
};

enum figure figure_find(const char *name)
{
    size_t figure = 0;
    while (figure < FIGURES && strcmp(names[figure], name) != 0) {
        figure++;
    }
    return (enum figure)figure;
}

void figures_begin(struct figures *figures, size_t period)
{
    DYN_ASSERT(period >= 1 && period <= FIGURES_PERIOD_MAX);
    *figures = (struct figures){.period = period};
    figures->count = period > FIGURES_SILENT_BUCKETS ? period : FIGURES_SILENT_BUCKETS;
}

void figures_add(struct figures *figures, size_t index, struct dyn_str field, struct dyn_str count)
{
    DYN_ASSERT(index < figures->count);
    figures->heard[index] |= dyn_str_is(field, "l");
    if (index >= figures->count - figures->period) {
        tally_read(&figures->sum, field, count);
    }
}

static size_t longest_silence(const struct figures *figures)
{
    size_t longest = 0;
    size_t silence = 0;
    for (size_t i = 0; i < figures->count; i++) {
        silence = figures->heard[i] ? 0 : silence + 1;
        longest = silence > longest ? silence : longest;
    }
    return longest;
}

static bool percentile_read(const struct figures *figures, const struct histogram *histogram,
                            unsigned percent, double *out)
{
    *out = histogram_percentile(histogram, percent);
    return figures->sum.requests == 0 || histogram_total(histogram) > 0;
}

/* False: there were requests, and none of them has what the figure is about. */
static bool figure_read(const struct figures *figures, enum figure figure, double *out)
{
    const struct tally_bucket *sum = &figures->sum;
    switch (figure) {
    case FIGURE_SERVICE_P50:
        return percentile_read(figures, &sum->service, 50, out);
    case FIGURE_SERVICE_P95:
        return percentile_read(figures, &sum->service, 95, out);
    case FIGURE_SERVICE_P99:
        return percentile_read(figures, &sum->service, 99, out);
    case FIGURE_CONNECT_P50:
        return percentile_read(figures, &sum->connect, 50, out);
    case FIGURE_CONNECT_P95:
        return percentile_read(figures, &sum->connect, 95, out);
    case FIGURE_CONNECT_P99:
        return percentile_read(figures, &sum->connect, 99, out);
    case FIGURE_ERROR_RATE:
        *out = sum->requests > 0 ? 100.0 * (double)sum->errors / (double)sum->requests : 0;
        return true;
    case FIGURE_RPM:
    case FIGURES:
        break;
    }
    *out = (double)sum->requests * 60 / (double)(figures->period * TALLY_BUCKET_S);
    return true;
}

enum figures_state figures_value(const struct figures *figures, enum figure figure,
                                 bool silence_is_zero, double *out, struct dyn_error *why)
{
    double value = 0;
    size_t silence = longest_silence(figures);
    bool silent = silence >= FIGURES_SILENT_BUCKETS && !silence_is_zero;
    if (!figure_read(figures, figure, &value)) {
        (void)dyn_error_set(why, DYN_NOTFOUND,
                            "none of %" PRIu64 " requests has that time: no dyno served them",
                            figures->sum.requests);
        return FIGURES_NONE;
    }
    *out = value;
    if (figures->sum.dropped > 0) {
        (void)dyn_error_set(why, DYN_RANGE,
                            "Heroku dropped %" PRIu64 " log lines (L10): at least %.10g",
                            figures->sum.dropped, value);
        return FIGURES_AT_LEAST;
    }
    if (silent) {
        (void)dyn_error_set(why, DYN_RANGE,
                            "no line for %zu s: no traffic, or a drain that does not reach us",
                            silence * TALLY_BUCKET_S);
        return FIGURES_AT_LEAST;
    }
    return FIGURES_WHOLE;
}
