#include "common/metrics.h"

#include <math.h>

enum {
    FAMILIES_MAX = 256,
    SERIES_MAX = 100000 /* of one family; more are counted by nobody and not printed */
};

struct series {
    struct metric metric; /* first: what the caller writes */
    uint64_t hash;
    char *labels;
};

struct family {
    char *name;
    char *help;
    const char *type;
    struct series **series;
    size_t count;
    size_t room;
};

struct metrics {
    struct family *families[FAMILIES_MAX];
    size_t count;
    struct metric unprinted; /* stands in for what could not be made */
};

struct metrics *metrics_new(void)
{
    return calloc(1, sizeof(struct metrics));
}

static void family_free(struct family *family)
{
    if (family == NULL) {
        return;
    }
    for (size_t i = 0; i < family->count; i++) {
        free(family->series[i]->labels);
        free(family->series[i]);
    }
    free(family->series);
    free(family->name);
    free(family->help);
    free(family);
}

void metrics_free(struct metrics *metrics)
{
    if (metrics == NULL) {
        return;
    }
    for (size_t i = 0; i < metrics->count; i++) {
        family_free(metrics->families[i]);
    }
    free(metrics);
}

/* Prometheus: [a-zA-Z_:][a-zA-Z0-9_:]* */
static bool name_is_valid(const char *name)
{
    for (const char *at = name; *at != '\0'; at++) {
        bool letter =
            (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') || *at == '_' || *at == ':';
        bool digit = *at >= '0' && *at <= '9';
        if (!letter && !(digit && at != name)) {
            return false;
        }
    }
    return *name != '\0';
}

static bool name_ends(const char *name, const char *end)
{
    size_t len = strlen(name);
    size_t end_len = strlen(end);
    return len > end_len && strcmp(name + len - end_len, end) == 0;
}

static struct family *family_make(struct metrics *metrics, const char *name, const char *type,
                                  const char *help)
{
    if (metrics->count == FAMILIES_MAX) {
        return NULL;
    }
    struct family *family = calloc(1, sizeof *family);
    if (family == NULL) {
        return NULL;
    }
    family->type = type;
    family->name = strdup(name);
    family->help = strdup(help);
    if (family->name == NULL || family->help == NULL) {
        family_free(family);
        return NULL;
    }
    metrics->families[metrics->count] = family;
    metrics->count++;
    return family;
}

static struct family *family_get(struct metrics *metrics, const char *name, const char *type,
                                 const char *help)
{
    for (size_t i = 0; i < metrics->count; i++) {
        if (strcmp(metrics->families[i]->name, name) == 0) {
            /* One name cannot be a counter here and a gauge there. */
            DYN_ASSERT(strcmp(metrics->families[i]->type, type) == 0);
            return metrics->families[i];
        }
    }
    return family_make(metrics, name, type, help);
}

static bool family_grow(struct family *family)
{
    if (family->count < family->room) {
        return true;
    }
    if (family->room >= SERIES_MAX) {
        return false;
    }
    size_t room = family->room == 0 ? 4 : family->room * 2;
    struct series **series = realloc(family->series, room * sizeof(struct series *));
    if (series == NULL) {
        return false;
    }
    family->series = series;
    family->room = room;
    return true;
}

static struct series *series_make(struct family *family, const char *labels, uint64_t hash)
{
    if (!family_grow(family)) {
        return NULL;
    }
    struct series *series = calloc(1, sizeof *series);
    char *copy = strdup(labels);
    if (series == NULL || copy == NULL) {
        free(series);
        free(copy);
        return NULL;
    }
    series->hash = hash;
    series->labels = copy;
    family->series[family->count] = series;
    family->count++;
    return series;
}

static struct metric *metric_get(struct metrics *metrics, const char *name, const char *labels,
                                 const char *type, const char *help)
{
    DYN_ASSERT(name_is_valid(name));
    struct family *family = family_get(metrics, name, type, help);
    if (family == NULL) {
        return &metrics->unprinted;
    }
    uint64_t hash = dyn_hash(DYN_HASH_SEED, dyn_str_from(labels));
    for (size_t i = 0; i < family->count; i++) {
        struct series *series = family->series[i];
        if (series->hash == hash && strcmp(series->labels, labels) == 0) {
            return &series->metric;
        }
    }
    struct series *series = series_make(family, labels, hash);
    return series != NULL ? &series->metric : &metrics->unprinted;
}

struct metric *metrics_counter(struct metrics *metrics, const char *name, const char *labels,
                               const char *help)
{
    DYN_ASSERT(name_ends(name, "_total"));
    return metric_get(metrics, name, labels, "counter", help);
}

struct metric *metrics_gauge(struct metrics *metrics, const char *name, const char *labels,
                             const char *help)
{
    DYN_ASSERT(!name_ends(name, "_total"));
    return metric_get(metrics, name, labels, "gauge", help);
}

static void text_escape(struct dyn_buf *out, struct dyn_str text, bool quotes)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '\n') {
            (void)dyn_buf_add(out, "\\n", 2);
        } else if (c == '\\' || (c == '"' && quotes)) {
            (void)dyn_buf_add(out, (const char[]){'\\', c}, 2);
        } else {
            (void)dyn_buf_add(out, &c, 1);
        }
    }
}

void metrics_label(struct dyn_buf *out, const char *key, struct dyn_str value)
{
    DYN_ASSERT(name_is_valid(key) && strchr(key, ':') == NULL);
    (void)dyn_buf_addf(out, "%s%s=\"", out->len > 0 ? "," : "", key);
    text_escape(out, value, true);
    (void)dyn_buf_add(out, "\"", 1);
}

static void number_write(struct dyn_buf *out, double value)
{
    if (isnan(value)) {
        (void)dyn_buf_addf(out, "NaN\n");
    } else if (isinf(value)) {
        (void)dyn_buf_addf(out, "%cInf\n", value > 0 ? '+' : '-');
    } else {
        /* 15 digits where they read back as the same number, which spares 0.10000000000000001. */
        char text[40];
        (void)snprintf(text, sizeof text, "%.15g", value);
        double back = 0;
        bool same = dyn_str_double(dyn_str_from(text), &back) == DYN_OK && back == value;
        (void)dyn_buf_addf(out, "%.*g\n", same ? 15 : 17, value);
    }
}

void metrics_write(const struct metrics *metrics, struct dyn_buf *out)
{
    for (size_t i = 0; i < metrics->count; i++) {
        const struct family *family = metrics->families[i];
        (void)dyn_buf_addf(out, "# HELP %s ", family->name);
        text_escape(out, dyn_str_from(family->help), false);
        (void)dyn_buf_addf(out, "\n# TYPE %s %s\n", family->name, family->type);
        for (size_t j = 0; j < family->count; j++) {
            const struct series *series = family->series[j];
            if (*series->labels != '\0') {
                (void)dyn_buf_addf(out, "%s{%s} ", family->name, series->labels);
            } else {
                (void)dyn_buf_addf(out, "%s ", family->name);
            }
            number_write(out, series->metric.value);
        }
    }
}
