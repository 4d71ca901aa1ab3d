/*
 * sim_internal: what the files of the world share. Judges and faults need sim.h only.
 *
 * sim_world.c      the heap of events, randomness, hosts
 * sim_process.c    processes: their life, their links
 * sim_loop.c       common/loop.h
 * sim_clock.c      common/clock.h
 * sim_story.c      common/log.h, and the story
 * sim_wire.c       connections: what is under way, latency, cuts
 * sim_bus.c        the client's side: the seam of common/bus_internal.h
 * sim_server.h     the server's side: what its files share
 * model_*.c        what a server answers; knows no world (model.h)
 */
#ifndef DYN_SIM_INTERNAL_H
#define DYN_SIM_INTERNAL_H

#include "tests/sim/model.h"
#include "tests/sim/sim.h"

#include "common/service_internal.h"

/* ---- sim_world.c ---- */

const struct sim_options *sim_options_get(void);
/** True time until the host's CLOCK_BOOTTIME is `boot_ms`, never too short; 0: it has passed. */
int64_t sim_host_boot_left(const struct sim_host *host, int64_t boot_ms);
void sim_events_forget(struct sim_process *process); /* cancels every one of it */

/* ---- sim_process.c ---- */

struct sim_process {
    struct sim_process *next;
    struct sim_process *previous;
    uint64_t id;
    char name[DYN_NAME_MAX];
    char *config;
    const struct service_ops *ops;
    struct service_run *run;
    struct sim_host *host;
    struct sim_host own_host;
    void (*ended)(void *arg, struct sim_process *process, int status);
    void *arg;
    struct sim_event *held_first; /* what came while it was frozen, in that order */
    struct sim_event *held_last;
    size_t events; /* of it, set or held */
    struct sim_link_state links[SIM_LINK_COUNT];
    struct redisAsyncContext *conns; /* to Redis, that it has not closed */
    struct sim_event killer;
    struct sim_event terminate;
    struct sim_event hang_up;
    struct sim_event alarm;
    bool frozen;
    bool dying;
    bool stopped; /* its loop was stopped: it ends after this event */
    bool doomed;  /* killed by itself: it is gone after this event */
};

/** Become `process` (or nobody); what it was before. */
struct sim_process *sim_process_enter(struct sim_process *process);
/** After an event of `process` ran in it: end what has stopped. */
void sim_process_settle(struct sim_process *process);
void sim_process_hold(struct sim_process *process, struct sim_event *event);
void sim_process_held_remove(struct sim_process *process, struct sim_event *event);
void sim_processes_end(void);

/* ---- sim_loop.c ---- */

void sim_timer_fired(void *arg); /* the `fn` of every timer's event */
/** Call the handler of a signal; false when there is none. */
bool sim_loop_signal(struct dyn_loop *loop, int signum);

/* ---- sim_clock.c ---- */

void sim_clock_begin(void);
struct sim_random *sim_jitter(void); /* how late timers are */

/* ---- sim_story.c ---- */

void sim_story_begin(bool told);

/* ---- sim_wire.c: a connection ---- */

struct sim_packet {
    struct sim_packet *next;
    int64_t at;    /* when it arrives */
    uint64_t turn; /* of the event that sent it */
    enum {
        PACKET_CONNECT,
        PACKET_COMMAND,
        PACKET_ANSWER,
        PACKET_END,
    } kind;
    struct model_answer *answer; /* PACKET_ANSWER */
    const char *why;             /* PACKET_END to a client: static words */
    size_t argc;                 /* PACKET_COMMAND */
    struct dyn_str argv[];       /* their bytes lie behind them */
};

struct sim_packets {
    struct sim_packet *first;
    struct sim_packet *last;
};

/* One direction: what is under way arrives in order. */
struct sim_wire {
    struct sim_packets packets;
    int64_t last_at;
    struct sim_event arrival; /* of the first */
    bool held;                /* cut, or the server takes nothing */
};

struct sim_blocked;

struct redisAsyncContext {
    struct redisAsyncContext *next; /* of its server */
    struct redisAsyncContext *previous;
    struct redisAsyncContext *process_next;
    struct redisAsyncContext *process_previous;
    struct sim_server *server;
    struct sim_process *process; /* NULL: it closed its side, or is gone */
    uint64_t process_id;
    char name[DYN_NAME_MAX];
    struct bus *bus; /* NULL when the process has closed its side */
    struct sim_wire out;
    struct sim_wire in;

    /* The server's side. */
    bool accepted;
    bool closed;
    struct sim_blocked *blocked;
    struct sim_packets pending; /* came while it was blocked */
    int64_t wrote_at;           /* its last write, for WAIT; -1: none */
};
#define sim_conn redisAsyncContext /* what hiredis calls a connection */

struct sim_packet *sim_packet_new(int kind);
struct sim_packet *sim_packet_command(const struct dyn_str *argv, size_t argc);
void sim_packet_free(struct sim_packet *packet); /* and its answer */
void sim_packets_add(struct sim_packets *packets, struct sim_packet *packet);
struct sim_packet *sim_packets_take(struct sim_packets *packets);
void sim_packets_drop(struct sim_packets *packets);

void sim_wires_begin(void);
/** A connection of the process that runs, to `server`; CONNECT is under way. */
struct sim_conn *sim_conn_open(struct sim_server *server, struct bus *bus);
/** The client closes its side: nothing more reaches it; what it sent before this turn, does. */
void sim_conn_detach(struct sim_conn *conn);
/** End its memory when neither side needs it any more. */
void sim_conn_release(struct sim_conn *conn);
void sim_wire_send(struct sim_conn *conn, struct sim_wire *wire, struct sim_packet *packet);
/** Set, or take back, the next arrival: after the link or the server changed. */
void sim_wire_kick(struct sim_conn *conn, struct sim_wire *wire);
void sim_wire_drop(struct sim_wire *wire);

/* ---- sim_bus.c ---- */

/** A packet reached the client, which takes it over. */
void sim_bus_receive(struct sim_conn *conn, struct sim_packet *packet);

/* ---- sim_server.c ---- */

/** A packet reached the server, which takes it over. */
void sim_server_receive(struct sim_conn *conn, struct sim_packet *packet);
/** "redis-0", "sentinel-2"; any other name leads to the primary. */
struct sim_server *sim_server_of(const char *host);
bool sim_server_is_stalled(const struct sim_server *server);
void sim_server_adopt(struct sim_server *server, struct sim_conn *conn);
void sim_server_forget(struct sim_conn *conn); /* its side is closed */
void sim_servers_begin(void);
void sim_servers_end(void);
void sim_servers_wall_stepped(const struct sim_host *host);

#endif
