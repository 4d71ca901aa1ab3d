/*
 * fleet: what Redis knows of everything that a configuration names, read at one time.
 *
 * Ownership: the configuration is borrowed and must outlive the fleet; the rest is the fleet's.
 * Threads: one.
 */
#ifndef DYN_CLI_FLEET_H
#define DYN_CLI_FLEET_H

#include "common/config.h"
#include "common/message.h"
#include "deploy/cli/remote.h"

#define FLEET_OWNER_MAX (DYN_NAME_MAX + 64)
#define FLEET_OLD_MARK_MS 30000 /* the actuator lowers nothing with an older mark */

struct fleet_controller {
    const struct config_app *app;
    const struct config_controller *config;
    struct target *target;                     /* the newest; NULL: none yet */
    struct actual *actual;                     /* what the actuator last said; NULL: nothing yet */
    struct report *report;                     /* the newest of the last reports; NULL: none */
    struct dyn_buf target_bytes, actual_bytes; /* what their texts point into */
};

struct fleet_partition {
    bool used;                    /* an app lies in it */
    char leader[FLEET_OWNER_MAX]; /* the estimator's instance; "": none */
    int64_t folded_ms;            /* log time up to which the log was folded; 0: no mark */
};

struct fleet_account {
    const struct config_account *config;
    char leader[FLEET_OWNER_MAX]; /* the actuator's instance, as far as Redis tells; "": none */
};

struct fleet {
    const struct config *config;
    int64_t now_ms;
    struct fleet_controller *controllers;
    size_t controllers_count;
    struct fleet_partition partitions[DYN_PARTITIONS_MAX];
    struct fleet_account *accounts;
    size_t unread; /* messages that could not be read */
};

/** NULL and words when Redis cannot be read. */
struct fleet *fleet_read(struct remote *remote, const struct config *config,
                         struct dyn_error *error);
void fleet_free(struct fleet *fleet);

struct fleet_action {
    struct action action;
    struct dyn_buf bytes;
};
/** The newest actions of `app` (NULL: of all), newest first: at most `max`; `*out_count` of them
 *  are in `out`. To be freed one by one with dyn_buf_fini(&bytes). */
DYN_NODISCARD dyn_err fleet_read_actions(struct remote *remote, const struct config *config,
                                         const char *app, struct fleet_action *out, size_t max,
                                         size_t *out_count, struct dyn_error *error);

#endif
