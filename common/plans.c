#include "common/plans.h"

#include <math.h>
#include <string.h>

#define MIB (1024.0 * 1024)
#define GIB (1024.0 * MIB)

static const struct plan papertrail[] = {
    {"papertrail:choklad", {10 * MIB, INFINITY}},  {"papertrail:fixa", {50 * MIB, INFINITY}},
    {"papertrail:ludvig", {100 * MIB, INFINITY}},  {"papertrail:forsta", {200 * MIB, INFINITY}},
    {"papertrail:volmar", {500 * MIB, INFINITY}},  {"papertrail:liatorp", {1 * GIB, INFINITY}},
    {"papertrail:fredrik", {5 * GIB, INFINITY}},   {"papertrail:numerar", {10 * GIB, INFINITY}},
    {"papertrail:galant", {10 * GIB, INFINITY}},   {"papertrail:sparsam", {20 * GIB, INFINITY}},
    {"papertrail:grundtal", {20 * GIB, INFINITY}},
};

static const struct plan rediscloud[] = {
    {"rediscloud:25", {25, 10}},
    {"rediscloud:100", {100, 256}},
    {"rediscloud:250", {250, 256}},
    {"rediscloud:500", {500, 512}},
    {"rediscloud:1000", {1000, 1024}},
    {"rediscloud:2500", {2500, INFINITY}},
    {"rediscloud:5000", {5000, INFINITY}},
    {"rediscloud:10000", {10000, INFINITY}},
    {"rediscloud:25000", {25000, INFINITY}},
    {"rediscloud:50000", {50000, INFINITY}},
};

static const struct plan_table tables[] = {
    {"papertrail", papertrail, sizeof papertrail / sizeof papertrail[0]},
    {"rediscloud", rediscloud, sizeof rediscloud / sizeof rediscloud[0]},
};

const struct plan_table *plan_table_find(const char *addon)
{
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        if (strcmp(tables[i].addon, addon) == 0) {
            return &tables[i];
        }
    }
    return NULL;
}

int32_t plan_rung_of(const struct plan_table *table, struct dyn_str name)
{
    for (int32_t i = 0; i < table->count; i++) {
        if (dyn_str_is(name, table->plans[i].name)) {
            return i + 1;
        }
    }
    return 0;
}

int32_t plan_rung(const struct plan_table *table, const char *name)
{
    return plan_rung_of(table, dyn_str_from(name));
}

int32_t plan_rung_for(const struct plan_table *table, enum plan_measure measure,
                      double threshold_percent, double value, bool *out_above)
{
    DYN_ASSERT(measure < PLAN_MEASURES);
    int32_t rung = 1;
    while (rung <= table->count &&
           !(table->plans[rung - 1].holds[measure] * threshold_percent / 100 > value)) {
        rung++;
    }
    if (out_above != NULL) {
        *out_above = rung > table->count;
    }
    return rung <= table->count ? rung : table->count;
}
