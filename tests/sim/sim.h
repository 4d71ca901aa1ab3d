/*
 * sim: a world in one thread: the real services on virtual clocks, with a model of Redis.
 *
 * There is one world at a time: sim_begin() to sim_end(). Whatever happens is an event in one heap,
 * ordered by true time and then by the order of its making, so that a seed replays exactly. The
 * services are linked as they are; what they stand on is replaced at link time:
 *
 *   common/loop.h       sim_loop.c    timers in the heap; no descriptors, no children
 *   common/clock.h      sim_clock.c   the clocks of the host of the process that runs
 *   common/log.h        sim_story.c   lines of the story
 *   common/bus_hiredis  sim_bus.c     connections to sim_server.c, with latency and faults
 *   common/http.h       sim_http.c    the model Heroku and the metric sources
 *   kill_timer.h        sim_process.c (of the actuator)
 *
 * Nothing may depend on addresses, on the machine's clocks or on whether the story is told.
 * Times are microseconds of true time since sim_begin() unless a name says otherwise. Functions
 * whose first argument is a process or a server take no NULL.
 */
#ifndef DYN_SIM_SIM_H
#define DYN_SIM_SIM_H

#include "common/message.h"
#include "common/service.h"

#include <stdbool.h>
#include <stdint.h>

#define SIM_MS INT64_C(1000)
#define SIM_S INT64_C(1000000)
#define SIM_MINUTE (60 * SIM_S)

/* ---- the world ---- */

struct sim_options {
    uint64_t seed;
    bool story;          /* tell it on standard error as it happens; costs much time */
    int64_t wall_ms;     /* the wall clock of a right host at the begin; 0: 2026-01-01 */
    unsigned replicas;   /* Redis servers beside the primary: 0 or 1 */
    unsigned partitions; /* what the model `dynosaur setup` stores; 0: nothing is set up */
    const char *prefix;  /* NULL: "dyn" */
};

void sim_begin(const struct sim_options *options);
/** Kills what still runs and frees everything. */
void sim_end(void);
/** Run every event up to `until`; then it is `until`. */
void sim_run(int64_t until);
int64_t sim_now(void);
/** Wall clock of a right host. */
int64_t sim_wall_ms(void);
/** Called after every event, outside of any process. NULL: nobody. */
void sim_step_set(void (*fn)(void *arg), void *arg);
uint64_t sim_events_count(void); /* run so far: the same for the same seed */

/* ---- randomness: splitmix64, one stream a purpose, so that one more draw here moves none there */

struct sim_random {
    uint64_t state;
};
/** A stream of this world's seed, by name. */
struct sim_random sim_random_of(const char *purpose);
uint64_t sim_random_bits(struct sim_random *random);
/** In [low, high]. */
int64_t sim_random_range(struct sim_random *random, int64_t low, int64_t high);
/** In [0, 1). */
double sim_random_unit(struct sim_random *random);
bool sim_random_chance(struct sim_random *random, double probability);

/* ---- events ---- */

struct sim_process;

/*
 * The caller owns the memory of a sim_event, zeroed at first, and keeps it where it is while it is
 * set. An event of a process runs inside it (its clocks, its name in the story), waits while it is
 * frozen, and is cancelled when it ends.
 */
struct sim_event {
    int64_t at;
    uint64_t order;
    void (*fn)(void *arg);
    void *arg;
    struct sim_process *process; /* NULL: the world's */
    size_t place;                /* in the heap, from 1 on; 0: not set */
    struct sim_event *held_next; /* while its process is frozen */
    bool held;
};

/** (Re)set it to `at`, or now if that has passed. */
void sim_event_set(struct sim_event *event, struct sim_process *process, int64_t at,
                   void (*fn)(void *arg), void *arg);
void sim_event_cancel(struct sim_event *event);
bool sim_event_is_set(const struct sim_event *event);

/** An event of the world that nobody needs to cancel. */
void sim_at(int64_t at, void (*fn)(void *arg), void *arg);

/* ---- hosts: where processes and servers get their time ---- */

struct sim_host {
    int64_t boot_offset_us; /* CLOCK_BOOTTIME - true time: set once, before anything runs there */
    int64_t boot_ppm;       /* how much too fast its oscillator is, for both clocks */
    int64_t wall_offset_us; /* steps: CLOCK_REALTIME - that of a right host */
};

int64_t sim_host_boot_us(const struct sim_host *host);
int64_t sim_host_wall_us(const struct sim_host *host);
void sim_host_wall_step(struct sim_host *host, int64_t by_us);

/* ---- processes ---- */

struct sim_process_options {
    const struct service_ops *ops;
    const char *instance;  /* unique among those alive: "est-1" */
    const char *config;    /* path of the file */
    struct sim_host *host; /* NULL: one of its own, exact. Must outlive the process */
    /** It ended by itself, by sim_process_drain() or by its own kill timer, with this exit status
     *  (137 for that); the process is freed after the call. A supervisor starts another by
     * sim_at(). NULL: nobody cares. */
    void (*ended)(void *arg, struct sim_process *process, int status);
    void *arg;
};

/** NULL when it could not start: `ended` is not called, the story says why. */
struct sim_process *sim_process_start(const struct sim_process_options *options);
/** kill -9: it is gone when this returns, without a word; what it sent is still on its way. Not
 *  from inside the process itself. */
void sim_process_kill(struct sim_process *process);
/** SIGSTOP: its timers and what arrives wait, its clocks run on. */
void sim_process_freeze(struct sim_process *process);
void sim_process_thaw(struct sim_process *process);
bool sim_process_is_frozen(const struct sim_process *process);
/** SIGTERM, SIGHUP; they wait while it is frozen. */
void sim_process_drain(struct sim_process *process);
void sim_process_reload(struct sim_process *process);

const char *sim_process_name(const struct sim_process *process); /* "est-1" */
const struct service_ops *sim_process_ops(const struct sim_process *process);
struct service *sim_process_service(struct sim_process *process);
struct sim_host *sim_process_host(struct sim_process *process);
/** A number of its own, never used again: for tables that outlive it. */
uint64_t sim_process_id(const struct sim_process *process);
/** Whose code runs, or NULL outside of all. */
struct sim_process *sim_process_current(void);
/** It is being freed after a kill: nothing that it says or sends may count. */
bool sim_process_is_dying(const struct sim_process *process);
struct sim_process *sim_process_first(void); /* those alive, in the order of their start */
struct sim_process *sim_process_next(struct sim_process *process);

/* ---- the links of a process ---- */

enum sim_link {
    SIM_LINK_REDIS,
    SIM_LINK_HTTP, /* obeyed by sim_http.c */
    SIM_LINK_COUNT
};

/* What is sent while a direction is cut is sent again when it is whole: it arrives late, also when
 * its sender has given the connection up or died meanwhile, unless the connection was reset. */
struct sim_link_state {
    bool cut_out;     /* from the process: nothing arrives */
    bool cut_in;      /* to the process: nothing arrives */
    int64_t delay_us; /* more than usual, each way */
};
struct sim_link_state *sim_link_state(struct sim_process *process, enum sim_link link);
/** After changing it: what waited for a whole direction goes on. */
void sim_link_changed(struct sim_process *process, enum sim_link link);
/** Its connections to Redis are reset now: both sides see it. */
void sim_link_reset(struct sim_process *process);

/* ---- Redis: server 0 is the first primary, 1 its replica ---- */

struct sim_server;
struct sim_server *sim_server_at(unsigned index);
struct sim_server *sim_server_primary(void);                 /* where new connections are led */
struct sim_host *sim_server_host(struct sim_server *server); /* for steps of its wall clock */

void sim_server_stop(struct sim_server *server); /* connections are refused, those there reset */
/** Start again, with another replid, with all data but the writes of the last `lost_us`. */
void sim_server_start(struct sim_server *server, int64_t lost_us);
/** The replication link: broken, the replica stands still; whole again, it catches up. */
void sim_replication_set(bool whole, int64_t lag_us);
/** The replica becomes the primary with what it has; new connections are led to it. The old one,
 *  when it runs, stays a master to those connected to it until it is demoted. */
void sim_failover(void);
/** Those connected to a demoted server get READONLY; its data become the primary's. */
void sim_server_demote(struct sim_server *server);

/* Three Sentinels. A configuration that names them ("sentinel-0:26379" ...) is led by what they
 * say, "redis-0:6379" or "redis-1:6379"; any other host of a URL is always the primary. */
#define SIM_SENTINELS 3
struct sim_server *sim_sentinel_at(unsigned index); /* to stop, start and stall */
/** What it says from now on; sim_failover() tells all of them. */
void sim_sentinel_name(struct sim_server *sentinel, unsigned server);

enum sim_server_fault {
    SIM_FAULT_OOM,          /* commands that may need memory are refused, but for allow-oom */
    SIM_FAULT_MISCONF,      /* writes are refused: the disk */
    SIM_FAULT_LOADING,      /* everything is refused */
    SIM_FAULT_NO_FUNCTIONS, /* FCALL: ERR Function not found */
    SIM_FAULT_STALL,        /* it answers nothing: what arrives waits */
    SIM_FAULT_COUNT
};
void sim_server_fault(struct sim_server *server, enum sim_server_fault fault, bool on);
/** NOREPLICAS for writes when fewer replicas are whole; 0: not asked for. */
void sim_server_min_replicas(struct sim_server *server, unsigned count, int64_t max_lag_us);
void sim_server_flush(struct sim_server *server);
void sim_server_delete(struct sim_server *server, const char *key);
/** XADD key 18446744073709551615-18446744073709551615 m x */
void sim_server_entry_last(struct sim_server *server, const char *key);
/** What `dynosaur setup` would store, again: after a flush. */
void sim_server_setup(struct sim_server *server);
/** Run a command as an operator would, now; true unless its answer is an error. */
bool sim_server_command(struct sim_server *server, const struct dyn_str *argv, size_t argc);

/* ---- looking into Redis: for an auditor ---- */

enum sim_write_kind {
    SIM_WRITE_ADD,    /* stream: id, value = field m */
    SIM_WRITE_TRIM,   /* stream: entries below id are gone */
    SIM_WRITE_SET,    /* hash: field, value */
    SIM_WRITE_UNSET,  /* hash: field */
    SIM_WRITE_DELETE, /* key; "" is all of them */
};
struct sim_write {
    enum sim_write_kind kind;
    struct sim_server *server;
    uint64_t process;    /* sim_process_id() of who sent it; it may be gone. 0: the world */
    const char *name;    /* and its name */
    struct dyn_str call; /* the command or Function that did it: "dyn_publish" */
    struct dyn_str key;
    struct entry_id id;
    struct dyn_str field;
    struct dyn_str value;
};
/** Every write on a server that was a master, as it is done; borrowed. Not for what a replica
 *  copies. */
void sim_writes_watch(void (*fn)(void *arg, const struct sim_write *write), void *arg);

/** The hash's field; ptr NULL when there is none. Borrowed until the next event. */
struct dyn_str sim_hash_get(struct sim_server *server, const char *key, const char *field);
const char *sim_server_replid(const struct sim_server *server);
size_t sim_stream_count(struct sim_server *server, const char *key);
/** The index-th oldest; false beyond the end. Borrowed until the next event. */
bool sim_stream_at(struct sim_server *server, const char *key, size_t index, struct bus_entry *out);

/* ---- the story ---- */

/** A line "true time, process, words", only when the story is told. Build no arguments before
 *  asking sim_story_told(). */
void sim_story(const char *format, ...) DYN_PRINTF(1, 2);
bool sim_story_told(void);

#endif
