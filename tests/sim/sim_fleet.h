/*
 * sim_fleet: the fleet that a seed draws: apps, accounts, inputs, the configuration file, and the
 * processes of each role, kept running by a supervisor.
 *
 * The file lies in a folder of the caller's. Threads: one.
 */
#ifndef DYN_SIM_FLEET_H
#define DYN_SIM_FLEET_H

#include "common/config.h"
#include "tests/sim/sim.h"
#include "tests/sim/sim_demand.h"
#include "tests/sim/sim_heroku.h"

#define FLEET_APPS_MAX 6
#define FLEET_ACCOUNTS_MAX 3
#define FLEET_SLOTS_MAX 16
#define FLEET_NAME_MAX 24

enum fleet_role {
    FLEET_COLLECTOR,
    FLEET_ESTIMATOR,
    FLEET_ACTUATOR,
    FLEET_REPORTER,
    FLEET_ROLES
};

struct fleet_input {
    char name[FLEET_NAME_MAX];
    size_t app;
    int64_t interval_ms;
    double per_resource; /* of dynos */
    double top;          /* the highest value that the source takes */
    const struct config_input *config;
};

struct fleet_app {
    char name[FLEET_NAME_MAX];
    size_t account; /* of the configuration, and heroku_account of the model */
    size_t heroku_account;
    size_t heroku; /* its number in the model */
    int start;
    bool plans; /* a Redis is scaled, in place of dynos */
    int64_t provision_ms;
    size_t first_input;
    size_t inputs_count;
    const struct config_app *config;
    const struct config_controller *controller;
};

struct fleet_slot { /* a place for one process */
    enum fleet_role role;
    unsigned number;
    unsigned starts;
    char instance[FLEET_NAME_MAX];
    struct sim_host host;
    struct sim_process *process; /* NULL: not running now */
    bool wanted;                 /* the supervisor starts it again */
    struct sim_event start;
};

struct fleet {
    unsigned partitions;
    unsigned replicas;
    bool tight_pool; /* Heroku's pool is small enough to matter */
    size_t accounts_count;
    size_t heroku_accounts_count;
    size_t account_of[FLEET_ACCOUNTS_MAX]; /* the model's, of each of the configuration */
    struct fleet_app apps[FLEET_APPS_MAX];
    size_t apps_count;
    struct fleet_input inputs[DEMAND_INPUTS_MAX];
    size_t inputs_count;
    struct fleet_slot slots[FLEET_SLOTS_MAX];
    size_t slots_count;
    int64_t longest_window_ms;
    struct config *config;
    char path[256];
};

extern struct fleet fleet;

/** What is asked for in place of what the seed draws. */
struct fleet_wish {
    const char *folder; /* where the file goes, named by the seed */
    unsigned each;      /* of every role; 0: the seed */
    unsigned least;     /* of every role, what the seed draws notwithstanding */
};
/** Draw it. Before sim_begin(): `seed` is the world's. */
void fleet_draw(uint64_t seed, const struct fleet_wish *wish);
/** After sim_begin(): Heroku, demand and processes. */
void fleet_begin(int64_t seconds, int64_t calm_s);
void fleet_end(void);

/** kill -9; the supervisor starts another after `down_us`; -1: never. */
void fleet_kill(struct fleet_slot *slot, int64_t down_us);
struct fleet_slot *fleet_slot_of(const struct sim_process *process);
size_t fleet_running(enum fleet_role role);
/** Called when a process was started or is gone, killed or not. */
void fleet_watch(void (*fn)(void *arg, const struct fleet_slot *slot, uint64_t process, bool runs),
                 void *arg);
/** The input with this series, or of this controller; SIZE_MAX: none. */
size_t fleet_input_of(uint64_t series);
size_t fleet_app_of(uint64_t controller);

#endif
