/*
 * sim_faults: what goes wrong, when, and for how long: drawn from the seed, by class, and over
 * before the calm at the end. And the journal of it, for an auditor who must know what was to be
 * expected.
 *
 * Threads: one.
 */
#ifndef DYN_SIM_FAULTS_H
#define DYN_SIM_FAULTS_H

#include "tests/sim/sim_fleet.h"

enum fault_area {
    AREA_PROCESS = 1, /* killed, stopped, drained */
    AREA_NETWORK = 2,
    AREA_REDIS = 4,   /* away, slow, refusing */
    AREA_HISTORY = 8, /* Redis lost something: failover, restart, flush, DEL */
    AREA_CLOCK = 16,
    AREA_HEROKU = 32,
    AREA_SOURCE = 64,
    AREA_HUMAN = 128,
    AREA_DELETE = 256, /* a key of Redis is deleted by hand: nothing says so to anybody */
    AREA_ALL = 511,
};

enum fault_class {
    CLASS_QUIET,
    CLASS_KILLS, /* one process at a time, with time to recover: what failover takes */
    CLASS_LIGHT,
    CLASS_HEAVY,
    CLASS_REDIS,
    CLASS_HEROKU,
    CLASS_SOURCES,
    CLASS_CLOCKS,
    CLASSES
};
const char *fault_class_text(enum fault_class class);

/** Which class the seed has, before anything else is drawn. */
enum fault_class faults_class(uint64_t seed);
/** Draw all that happens in [from, until]. After fleet_begin(). */
void faults_begin(enum fault_class class, int64_t from, int64_t until);
void faults_end(void);

/** Since when nothing of these areas is wrong any more; 0: nothing ever was; INT64_MAX: something
 *  is. */
int64_t faults_over_since(unsigned areas);
/** Whether something of these areas was wrong at any time of [from, to]. */
bool faults_touched(unsigned areas, int64_t from, int64_t to);
/** The same, of one process, app, account or input (`of` as the journal has it). */
bool faults_touched_by(unsigned areas, uint64_t of, int64_t from, int64_t to);
/** A wall clock of a Redis server was set back below what it has shown: IDs stand still until it is
 *  there again. The time of that; 0: no. */
int64_t faults_log_stands_until(void);
/** The log began anew after its clock had been set back: its IDs are lower than some that were
 * seen.
 */
bool faults_log_went_back(void);
size_t faults_count(void);

/** Called as a fault begins; `of`: the process's id, where it is one's. */
void faults_watch(void (*fn)(void *arg, unsigned area, uint64_t of), void *arg);

#endif
