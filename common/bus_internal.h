/*
 * bus_internal: what the files of the bus share.
 *
 * bus.c           its life: the calls under way, losing a connection, trying again
 * bus_greeting.c  the handshake
 * bus_hiredis.c   all that knows hiredis: connecting, sending, replies, its events on our loop
 *
 * Threads: the loop thread only.
 */
#ifndef DYN_COMMON_BUS_INTERNAL_H
#define DYN_COMMON_BUS_INTERNAL_H

#include "common/bus.h"
#include "common/bus_url.h"

#define BUS_WHY_MAX 256
#define BUS_NAME_MAX 64

enum bus_state {
    BUS_DOWN,     /* no connection; the retry timer runs */
    BUS_GREETING, /* connecting, or the handshake's answers are awaited */
    BUS_READY,
    BUS_RESETTING, /* as ready, but given up: the retry timer ends the connection */
};

struct call {
    bus_fn *fn; /* may be NULL */
    void *arg;
    int64_t deadline_ms;
};

struct bus {
    struct dyn_loop *loop;
    struct bus_options options;
    struct bus_url url;
    char name[BUS_NAME_MAX];
    enum bus_state state;
    struct redisAsyncContext *redis; /* NULL when down; looked into by bus_hiredis.c alone */
    struct dyn_timer *retry;
    struct dyn_timer *check;
    struct dyn_buf command; /* reused for every command's bytes */
    struct call *calls;     /* a ring, in the order of sending, which is that of the answers */
    size_t first;
    size_t count;
    unsigned attempts; /* failed since the last good connection */
    bool was_ready;    /* this connection got through the handshake, at ready_at_ms */
    int64_t ready_at_ms;
    bool overdue;   /* the last check found a late answer */
    bool told;      /* `lost` was called since the last `ready` */
    unsigned depth; /* callbacks of hiredis or the loop that are under way */
    bool dying;     /* freed inside one of them: its memory goes when they have returned */
    char why[BUS_WHY_MAX];
};

/* ---- bus.c ---- */

/** Around every callback of hiredis or the loop: a bus freed in between goes with the last one. */
void bus_enter(struct bus *bus);
void bus_leave(struct bus *bus);

/** Note a command that was sent; answers come in the order of these calls. There must be room in
 *  the ring. */
void bus_call_push(struct bus *bus, bus_fn *fn, void *arg, int64_t timeout_ms);
/** The call whose answer comes next; there must be one. */
struct call bus_call_pop(struct bus *bus);

/** The connection is gone (`bus->redis` is NULL): answer what is under way, with DYN_TIMEOUT what
 *  was due by `late_ms` and with DYN_CLOSED the rest; tell `lost`; try again later. */
void bus_lose(struct bus *bus, const char *why, int64_t late_ms);
/** Take the connection away from hiredis, then lose it. `why` must not lie in its context. */
void bus_drop(struct bus *bus, const char *why, int64_t late_ms);

/* ---- bus_greeting.c ---- */

/** Send the handshake's commands. Their answers make the bus ready, or reset it. */
DYN_NODISCARD dyn_err bus_greet(struct bus *bus);

/* ---- bus_hiredis.c ---- */

/** Open a connection and greet; there must be none. A failure is a loss like any other. */
void bus_connect(struct bus *bus);
/** Take the connection away from hiredis; it frees its context when it can. No callback follows. */
void bus_redis_detach(struct bus *bus);
/** As bus_command(), in whatever state the bus is; there must be a connection. */
DYN_NODISCARD dyn_err bus_command_send(struct bus *bus, const struct dyn_str *argv, size_t argc,
                                       int64_t timeout_ms, bus_fn *fn, void *arg);

#endif
