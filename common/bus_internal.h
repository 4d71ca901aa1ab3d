/*
 * bus_internal: what the files of the bus share.
 *
 * bus.c              its life: the calls under way, losing a connection, trying again
 * bus_sentinel.c     which server to try next, where Sentinels know
 * bus_greeting.c     the handshake
 * bus_trouble.c      error replies that mean more than their command's failure
 * bus_kept.c         commands that replicas must have
 * bus_hiredis.c      all that knows hiredis: connecting, sending, replies, its events on our loop
 * bus_hiredis_tls.c  TLS below it
 *
 * Threads: the loop thread only.
 */
#ifndef DYN_COMMON_BUS_INTERNAL_H
#define DYN_COMMON_BUS_INTERNAL_H

#include "common/bus.h"
#include "common/bus_url.h"

#define BUS_WHY_MAX 512
#define BUS_NAME_MAX 64
#define BUS_REPLID_MAX 64

enum bus_state {
    BUS_DOWN,     /* no connection; the retry timer runs */
    BUS_ASKING,   /* connecting to a Sentinel, or its answer is awaited */
    BUS_GREETING, /* connecting, or the handshake's answers are awaited */
    BUS_READY,
    BUS_RESETTING, /* as ready, but given up: the retry timer ends the connection */
};

struct call {
    bus_fn *fn; /* may be NULL */
    void *arg;
    int64_t deadline_ms;
};

/** Where the next connection goes. */
struct bus_target {
    bool is_unix;
    bool tls;
    char host[BUS_URL_HOST_MAX]; /* or the socket's path */
    int port;
};

struct bus_sentinel;
struct bus_tls;
struct kept_call;

struct bus {
    struct dyn_loop *loop;
    struct bus_options options;
    struct bus_url url;
    char name[BUS_NAME_MAX];
    enum bus_state state;
    struct bus_target target;
    struct redisAsyncContext *redis; /* NULL when down; looked into by bus_hiredis.c alone */
    struct dyn_lookup *lookup;       /* of the target's host; bus_hiredis.c's alone */
    struct bus_tls *tls;             /* NULL: the URL is not rediss:// */
    struct bus_sentinel *sentinel;   /* NULL: the URL says where the server is */
    struct dyn_timer *retry;
    struct dyn_timer *check;
    struct dyn_buf command; /* reused for every command's bytes */
    struct call *calls;     /* a ring, in the order of sending, which is that of the answers */
    size_t first;
    size_t count;
    unsigned attempts;           /* failed since the last good connection */
    int64_t greeted_by_ms;       /* else the connection is given up */
    int64_t doubted_at_ms;       /* when a master of the past was last suspected */
    char replid[BUS_REPLID_MAX]; /* that the server told when this connection became ready */
    bool was_ready;              /* this connection got through the handshake, at ready_at_ms */
    int64_t ready_at_ms;
    bool overdue;   /* the last check found a late answer */
    bool told;      /* `lost` was called since the last `ready`, with `why_told` */
    unsigned depth; /* callbacks of hiredis or the loop that are under way */
    bool dying;     /* freed inside one of them: its memory goes when they have returned */
    char why[BUS_WHY_MAX];
    char why_told[BUS_WHY_MAX];

    unsigned replicas;          /* that a kept call must reach */
    struct dyn_timer *wait;     /* sends WAIT for the kept calls of this turn */
    struct kept_call *unwaited; /* kept calls that no WAIT was sent for yet, the newest first */
    int64_t wait_ms;            /* the longest of their timeouts */
    bool waiting;               /* a WAIT is under way */
};

/* ---- bus.c ---- */

/** Around every callback of hiredis or the loop: a bus freed in between goes with the last one. */
void bus_enter(struct bus *bus);
void bus_leave(struct bus *bus);

/** Note a command that was sent; answers come in the order of these calls. There must be room in
 *  the ring. */
void bus_call_push(struct bus *bus, bus_fn *fn, void *arg, int64_t timeout_ms);
/** Hand a reply to the call whose answer comes next; one that nobody waits for is dropped. */
void bus_answered(struct bus *bus, const struct bus_reply *reply);

/** The connection is gone (`bus->redis` is NULL): answer what is under way, with DYN_TIMEOUT what
 *  was due by `late_ms` and with DYN_CLOSED the rest; tell `lost`; try again later. */
void bus_lose(struct bus *bus, const char *why, int64_t late_ms);
/** Take the connection away from hiredis, then lose it. `why` must not lie in its context. */
void bus_drop(struct bus *bus, const char *why, int64_t late_ms);

/* ---- bus_sentinel.c ---- */

/** NULL and words when a node is no address. */
struct bus_sentinel *bus_sentinel_new(const struct bus_access *access, struct dyn_error *error);
void bus_sentinel_free(struct bus_sentinel *sentinel);
/** Point bus->target at what comes next: a Sentinel (BUS_ASKING), or a master that one named
 *  (BUS_GREETING). */
enum bus_state bus_sentinel_aim(struct bus *bus);
/** Ask the Sentinel that was connected to. Its answer resets the bus. */
DYN_NODISCARD dyn_err bus_sentinel_ask(struct bus *bus);
/**
 * A connection, to whomever, has ended. True: the round goes on at once with another target. False:
 * there is none left, and `bus->why` says what all of them said; or it was a good connection.
 */
DYN_NODISCARD bool bus_sentinel_goes_on(struct bus *bus, const char *why);
/** The master is to be doubted: begin the next round with another Sentinel. Nothing without them.
 */
void bus_sentinel_doubt(struct bus *bus);

/* ---- bus_greeting.c ---- */

/** Connected, or connecting: send what comes first. Its answers make the bus ready, or reset it. */
DYN_NODISCARD dyn_err bus_greet(struct bus *bus);

/** AUTH as a user, or as the default one (""); nothing is sent when the password is "". */
DYN_NODISCARD dyn_err bus_greet_auth(struct bus *bus, const char *user, const char *password,
                                     bus_fn *fn);

/** The value of a line of INFO's, "role"; empty when there is none. */
struct dyn_str bus_info_find(struct dyn_str info, const char *name);

/* ---- bus_trouble.c ---- */

/** A command got this error reply, and its caller has been told: tell `trouble`, end the connection
 *  if it must. */
void bus_trouble_see(struct bus *bus, struct dyn_str words);

/* ---- bus_kept.c ---- */

void bus_kept_wait(void *arg); /* bus->wait fired */
/** The connection is gone, and every call was answered: so are those that no WAIT was sent for. */
void bus_kept_lose(struct bus *bus, dyn_err err);

/* ---- bus_hiredis.c ---- */

/** Open a connection to bus->target and greet; there must be none. A failure is a loss like any
 *  other. */
void bus_connect(struct bus *bus);
/** Take the connection away from hiredis; it frees its context when it can. No callback follows. */
void bus_redis_detach(struct bus *bus);
/** As bus_command(), in whatever state the bus is; there must be a connection. */
DYN_NODISCARD dyn_err bus_command_send(struct bus *bus, const struct dyn_str *argv, size_t argc,
                                       int64_t timeout_ms, bus_fn *fn, void *arg);
/** A copy that outlives the callback, NULL without memory; bus_reply_free(NULL) is fine. */
struct bus_reply *bus_reply_copy(const struct bus_reply *reply);
void bus_reply_free(struct bus_reply *reply);

/* ---- bus_hiredis_tls.c ---- */

/** Reads the files of `access` (NULL: none). NULL and words when that fails, or where hiredis has
 *  no TLS. */
struct bus_tls *bus_tls_new(const struct bus_access *access, struct dyn_error *error);
void bus_tls_free(struct bus_tls *tls);
/** Begin a handshake on a connection of hiredis that was just opened to `host`. */
DYN_NODISCARD dyn_err bus_tls_begin(struct bus_tls *tls, struct redisAsyncContext *redis,
                                    const char *host);
/** Before hiredis reads or writes: it takes an error that another user of OpenSSL, or a connection
 *  before, left behind for one of its own. */
void bus_tls_clear(void);
/** Why the last connection failed: `words`, or better ones. `tls` may be NULL. */
const char *bus_tls_why(const struct bus_tls *tls, const char *words);

#endif
