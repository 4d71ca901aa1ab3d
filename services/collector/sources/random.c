/*
 * random: a walk that begins between 45 and 54 and goes at most 9 up or down; a seed repeats it.
 * rediscloud_random and papertrail_random: the same in hundredths of the third plan, so that
 * several plans come to be asked for.
 */
#include "collector/sources.h"

#include "common/plans.h"

#define PLAN_INDEX 2

struct walk {
    uint64_t bits;
    int64_t value;
    double scale; /* of what is told; 0: 1 */
    bool begun;
};

/* splitmix64: small, and good enough from any seed. */
static uint64_t walk_bits(struct walk *walk)
{
    walk->bits += UINT64_C(0x9E3779B97F4A7C15);
    uint64_t z = walk->bits;
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

static dyn_err walk_init(void *state, struct source_host *host, struct dyn_error *error)
{
    struct walk *walk = state;
    (void)error;
    const struct config_value *seed = config_option(&source_input(host)->options, "seed");
    /* Without a seed each input walks by itself, the same way after each start. */
    walk->bits = seed->given ? (uint64_t)seed->as.i : source_input(host)->series;
    return DYN_OK;
}

static dyn_err memory_init(void *state, struct source_host *host, struct dyn_error *error)
{
    struct walk *walk = state;
    walk->scale = plan_table_find("rediscloud")->plans[PLAN_INDEX].holds[PLAN_SIZE] / 100;
    return walk_init(state, host, error);
}

static dyn_err volume_init(void *state, struct source_host *host, struct dyn_error *error)
{
    struct walk *walk = state;
    walk->scale = plan_table_find("papertrail")->plans[PLAN_INDEX].holds[PLAN_SIZE] / 100;
    return walk_init(state, host, error);
}

static void walk_poll(void *state, struct source_host *host, int64_t now_ms, int64_t wall_ms)
{
    struct walk *walk = state;
    (void)now_ms;
    (void)wall_ms;
    if (!walk->begun) {
        walk->begun = true;
        walk->value = 45 + (int64_t)(walk_bits(walk) % 10);
    } else {
        walk->value += (int64_t)(walk_bits(walk) % 19) - 9;
    }
    if (walk->value < 0) {
        walk->value = 0;
    }
    source_good(host, (double)walk->value * (walk->scale > 0 ? walk->scale : 1));
}

const struct source_ops source_random = {
    .name = "random",
    .state_size = sizeof(struct walk),
    .init = walk_init,
    .poll = walk_poll,
};

const struct source_ops source_rediscloud_random = {
    .name = "rediscloud_random",
    .state_size = sizeof(struct walk),
    .init = memory_init,
    .poll = walk_poll,
};

const struct source_ops source_papertrail_random = {
    .name = "papertrail_random",
    .state_size = sizeof(struct walk),
    .init = volume_init,
    .poll = walk_poll,
};
