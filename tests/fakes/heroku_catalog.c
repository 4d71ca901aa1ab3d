#include "heroku_catalog.h"

#include "heroku_world.h"

#include <string.h>
#include <strings.h>

const struct dyno_size DYNO_SIZES[] = {
    {"Eco", 1, 2, false, false, 500, 0.5},
    {"Basic", 1, 0, false, false, 700, 0.5},
    {"Standard-1X", 0, 0, false, false, 2500, 0.5},
    {"Standard-2X", 0, 0, false, false, 5000, 1},
    {"Performance-M", 10, 0, true, false, 25000, 2.5},
    {"Performance-L", 10, 0, true, false, 50000, 14},
    {"Performance-L-RAM", 10, 0, true, false, 50000, 30},
    {"Performance-XL", 10, 0, true, false, 75000, 62},
    {"Performance-2XL", 10, 0, true, false, 150000, 126},
    {"Private-S", 10, 0, true, false, 25000, 1},
    {"Private-M", 10, 0, true, false, 50000, 2.5},
    {"Private-L", 10, 0, true, false, 100000, 14},
    {"Shield-S", 10, 0, true, false, 30000, 1},
    {"Shield-M", 10, 0, true, false, 60000, 2.5},
    {"Shield-L", 10, 0, true, false, 120000, 14},
    {"dyno-1c-0.5gb", 0, 0, false, true, 2500, 0.5},
    {"dyno-2c-1gb", 0, 0, false, true, 5000, 1},
    {"dyno-2c-4gb", 0, 0, false, true, 8000, 4},
};
const size_t DYNO_SIZE_COUNT = sizeof DYNO_SIZES / sizeof DYNO_SIZES[0];

const struct plan PLANS[] = {
    {"papertrail", "papertrail:choklad", 0},      {"papertrail", "papertrail:fixa", 700},
    {"papertrail", "papertrail:ludvig", 1000},    {"papertrail", "papertrail:forsta", 1800},
    {"papertrail", "papertrail:volmar", 3500},    {"papertrail", "papertrail:liatorp", 6500},
    {"papertrail", "papertrail:fredrik", 23000},  {"papertrail", "papertrail:numerar", 42500},
    {"papertrail", "papertrail:galant", 47500},   {"papertrail", "papertrail:sparsam", 72500},
    {"papertrail", "papertrail:grundtal", 80000}, {"rediscloud", "rediscloud:25", 0},
    {"rediscloud", "rediscloud:100", 1000},       {"rediscloud", "rediscloud:250", 2300},
    {"rediscloud", "rediscloud:500", 4100},       {"rediscloud", "rediscloud:1000", 7100},
    {"rediscloud", "rediscloud:2500", 13800},     {"rediscloud", "rediscloud:5000", 27200},
    {"rediscloud", "rediscloud:10000", 39500},    {"rediscloud", "rediscloud:25000", 79900},
    {"rediscloud", "rediscloud:50000", 129900},
};
const size_t PLAN_COUNT = sizeof PLANS / sizeof PLANS[0];

const struct dyno_size *dyno_size_find(const char *name)
{
    for (size_t i = 0; i < DYNO_SIZE_COUNT; i++) {
        char id[UUID_SIZE];
        uuid_of("size", DYNO_SIZES[i].name, id);
        if (strcasecmp(DYNO_SIZES[i].name, name) == 0 || strcmp(id, name) == 0) {
            return &DYNO_SIZES[i];
        }
    }
    return NULL;
}

const struct plan *plan_find(const char *name)
{
    for (size_t i = 0; i < PLAN_COUNT; i++) {
        char id[UUID_SIZE];
        uuid_of("plan", PLANS[i].name, id);
        if (strcmp(PLANS[i].name, name) == 0 || strcmp(id, name) == 0) {
            return &PLANS[i];
        }
    }
    return NULL;
}
