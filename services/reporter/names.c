#include "reporter/names.h"

#include <math.h>

enum {
    TEXT_MAX = 16 * 1024 * 1024
};

struct place {
    uint64_t controller;
    size_t app;
    const struct config_app *config_app;
    const struct config_controller *config;
    int32_t running; /* -1: unknown */
    int64_t wall_ms;
};

struct names {
    struct place *places; /* by controller */
    size_t count;
};

static int place_compare(const void *a, const void *b)
{
    const struct place *left = a;
    const struct place *right = b;
    return (left->controller > right->controller) - (left->controller < right->controller);
}

struct names *names_new(const struct config *config)
{
    size_t count = 0;
    for (size_t i = 0; i < config->apps_count; i++) {
        count += config->apps[i].controllers_count;
    }
    struct names *names = calloc(1, sizeof *names);
    struct place *places = calloc(count > 0 ? count : 1, sizeof *places);
    if (names == NULL || places == NULL) {
        free(names);
        free(places);
        return NULL;
    }
    names->places = places;
    for (size_t i = 0; i < config->apps_count; i++) {
        const struct config_app *app = &config->apps[i];
        for (size_t j = 0; j < app->controllers_count; j++) {
            places[names->count++] = (struct place){.controller = app->controllers[j].id,
                                                    .app = i,
                                                    .config_app = app,
                                                    .config = &app->controllers[j],
                                                    .running = -1};
        }
    }
    qsort(places, count, sizeof *places, place_compare);
    return names;
}

void names_free(struct names *names)
{
    if (names != NULL) {
        free(names->places);
        free(names);
    }
}

static struct place *place_find(const struct names *names, uint64_t controller)
{
    struct place key = {.controller = controller};
    return bsearch(&key, names->places, names->count, sizeof key, place_compare);
}

const struct config_controller *names_controller(const struct names *names, uint64_t controller)
{
    const struct place *place = place_find(names, controller);
    return place != NULL ? place->config : NULL;
}

bool names_actual(struct names *names, const struct actual *actual)
{
    struct place *place = place_find(names, actual->controller);
    if (place == NULL) {
        return false;
    }
    if (actual->wall_ms >= place->wall_ms) {
        place->running = actual->running;
        place->wall_ms = actual->wall_ms;
    }
    return true;
}

void names_stats_init(struct names_stats *stats)
{
    *stats = (struct names_stats){0};
    dyn_buf_init(&stats->text, TEXT_MAX);
}

void names_stats_fini(struct names_stats *stats)
{
    dyn_buf_fini(&stats->text);
    free(stats->stats);
    stats->stats = NULL;
}

void names_stats_clear(struct names_stats *stats)
{
    dyn_buf_clear(&stats->text);
    stats->count = 0;
}

static bool stats_grow(struct names_stats *stats)
{
    if (stats->count < stats->room) {
        return true;
    }
    size_t room = stats->room == 0 ? 256 : stats->room * 2;
    struct sink_stat *grown = realloc(stats->stats, room * sizeof *grown);
    if (grown == NULL) {
        return false;
    }
    stats->stats = grown;
    stats->room = room;
    return true;
}

/* The texts follow each other, a plan's behind its number's name; names_finish() knows where. */
static void stat_add(struct names_stats *stats, const struct place *place, const char *input,
                     const char *what, const struct sink_stat *stat)
{
    if (isnan(stat->value)) {
        return;
    }
    if (!stats_grow(stats)) {
        stats->text.failed = DYN_NOMEM;
        return;
    }
    dyn_err err = dyn_buf_addf(&stats->text, "dynosaur.%s.%s.%s.%s%c", place->config_app->name,
                               place->config->name, input, what, '\0');
    if (err == DYN_OK && stat->plan != NULL) {
        err = dyn_buf_addf(&stats->text, "%s%c", stat->plan, '\0');
    }
    if (err == DYN_OK) {
        stats->stats[stats->count] = *stat;
        stats->stats[stats->count++].plan = stat->plan != NULL ? "" : NULL;
    }
}

static void value_add(struct names_stats *stats, const struct place *place, const char *input,
                      const char *what, double value, int64_t at_ms)
{
    stat_add(stats, place, input, what, &(struct sink_stat){.value = value, .at_ms = at_ms});
}

/* `count` -1: not known. */
static void resources_add(struct names_stats *stats, const struct place *place, const char *input,
                          const char *what, int32_t count, int64_t at_ms)
{
    char plan[CONFIG_RUNG_TEXT];
    if (count >= 0) {
        bool plans = place->config->plans != NULL;
        stat_add(stats, place, input, what,
                 &(struct sink_stat){.value = count,
                                     .at_ms = at_ms,
                                     .plan = plans ? config_rung_text(place->config, count, plan)
                                                   : NULL});
    }
}

static const char *input_name(const struct config_controller *controller, uint64_t series)
{
    for (size_t i = 0; i < controller->inputs_count; i++) {
        if (controller->inputs[i].series == series) {
            return controller->inputs[i].name;
        }
    }
    return NULL;
}

bool names_add(const struct names *names, const struct report *report, size_t app,
               struct names_stats *stats)
{
    const struct place *place = place_find(names, report->controller);
    if (place == NULL || (app != SIZE_MAX && app != place->app)) {
        return false;
    }
    int64_t at_ms = report->log_ms;
    for (uint32_t i = 0; i < report->inputs_count; i++) {
        const struct report_input *input = &report->inputs[i];
        const char *name = input_name(place->config, input->series);
        if (name != NULL) {
            value_add(stats, place, name, "value", input->value, at_ms);
            value_add(stats, place, name, "max", input->max, at_ms);
            resources_add(stats, place, name, "estimate", input->estimate, at_ms);
        }
    }
    resources_add(stats, place, "combined", "estimate", report->estimate, at_ms);
    if (at_ms - place->wall_ms <= NAMES_ACTUAL_MS) {
        resources_add(stats, place, "combined", "actual", place->running, at_ms);
    }
    return true;
}

dyn_err names_finish(struct names_stats *stats)
{
    const char *at = dyn_buf_text(&stats->text);
    for (size_t i = 0; i < stats->count; i++) {
        stats->stats[i].name = at;
        at += strlen(at) + 1;
        if (stats->stats[i].plan != NULL) {
            stats->stats[i].plan = at;
            at += strlen(at) + 1;
        }
    }
    return dyn_buf_result(&stats->text);
}
