/*
 * sim_heroku: the actuator's core and a Heroku to act upon, in virtual time.
 *
 * The model runs what it was last told to, answers every request at once with 200, and has no rate
 * limit. Whatever else decides what runs (cool-downs, steps, coverage) is the core's own.
 *
 * Ownership: the configuration is borrowed. Threads: one.
 */
#ifndef DYN_CLI_SIM_HEROKU_H
#define DYN_CLI_SIM_HEROKU_H

#include "common/config.h"
#include "common/message.h"

struct sim_heroku;

struct sim_change {
    size_t app;        /* index into config->apps */
    size_t controller; /* index into its controllers */
    int32_t from, to;
};

struct sim_heroku_options {
    const struct config *config; /* what is not `live` in it does not scale */
    int32_t start;               /* quantity of everything; 0: each controller's min_resource */
    int64_t now_ms;              /* the core leads from SIM_LEAD_MS before this */
    void (*changed)(void *arg, const struct sim_change *change);
    /** What runs of a controller that an input's target depends on. Called from within the calls
     *  below. */
    void (*running)(void *arg, uint64_t controller, int32_t quantity);
    void *arg;
};

/* What a new leader waits out lies before the first sample. */
#define SIM_LEAD_MS 60000

struct sim_heroku *sim_heroku_new(const struct sim_heroku_options *options); /* NULL: no memory */
void sim_heroku_free(struct sim_heroku *heroku);
void sim_heroku_target(struct sim_heroku *heroku, uint32_t partition, const struct target *target,
                       int64_t now_ms);
void sim_heroku_mark(struct sim_heroku *heroku, const struct mark *mark, int64_t now_ms);
void sim_heroku_tick(struct sim_heroku *heroku, int64_t now_ms);
int32_t sim_heroku_runs(const struct sim_heroku *heroku, size_t app, size_t controller);

#endif
