/*
 * bus: one connection to Redis on the loop. Known to bus_hiredis.c alone: hiredis.
 *
 * A bus connects by itself and reconnects for ever (full jitter, 100 ms to 5 s). It is ready when
 * authentication, SELECT, CLIENT SETNAME and ROLE (which must say master) have passed; `ready`
 * tells the replication ID (master_replid of INFO), of which Redis draws another at each start and
 * each promotion: so its owner sees another history behind the same address, also where a server
 * was replaced and is the primary again.
 * Whatever goes wrong on a connection, including a command that is not answered in time, ends that
 * connection: every command under way is answered with DYN_CLOSED or DYN_TIMEOUT, then `lost`.
 * So do the error replies READONLY (the server has become a replica) and LOADING (it has no data
 * yet), and, with Sentinels, NOREPLICAS (it may be a master of the past). Nothing here blocks: host
 * names are resolved on a thread. SIGPIPE must be ignored; bus_new() sees to it. bus_free() and
 * bus_reset() may be called in any callback.
 *
 * With Sentinels each (re)connect asks them in turn, from the one on whose word the last good
 * connection rested, at most 1 s each, and tries each master that one of them names; the host of
 * the URL is not used. `lost` says what each of them said when none led to a master.
 *
 * Ownership: arguments are copied before bus_command() returns; a reply lives during its callback.
 * Threads: the loop thread only.
 */
#ifndef DYN_COMMON_BUS_H
#define DYN_COMMON_BUS_H

#include "common/loop.h"
#include "common/message.h"

struct bus;
struct bus_reply;

/** How the server is reached, as far as the URL does not say it. NULL, false and 0: not so. The bus
 *  keeps copies. */
struct bus_access {
    const char *username; /* instead of the URL's, with a password only */
    const char *password; /* instead of the URL's */
    /* PEM files, for rediss:// only: whom to trust (NULL: whom the system trusts) and who we are.
     */
    const char *tls_ca;
    const char *tls_cert;
    const char *tls_key;
    bool tls_insecure;                 /* accept any certificate of any name */
    const char *sentinel_master;       /* the name that the Sentinels know; NULL: none is asked */
    const char *const *sentinel_nodes; /* host:port, NULL-terminated; with rediss:// by TLS too */
    const char *sentinel_username;
    const char *sentinel_password;
    unsigned replicas; /* that bus_command_kept() must reach */
};

struct bus_options {
    const char *url; /* redis://[user:password@]host:port[/db] or unix:///path[?db=n]; the bus keeps
                        what it needs and never prints the user part. rediss:// is DYN_UNSUPPORTED
                        where hiredis has no TLS */
    const struct bus_access *access; /* NULL: the URL says it all */
    /* A server of somebody else's, to be asked something: only AUTH and SELECT, where the URL wants
     * them, and PING come before `ready`, which is told "". It may be a replica. */
    bool foreign;
    size_t reply_max; /* bytes of one reply; a longer one ends the connection; 0: no bound */
    const char *name; /* for CLIENT SETNAME, "dynosaur-estimator" */
    void (*ready)(void *arg, struct dyn_str replid);
    /** Once a loss or failed series of attempts, and again while it lasts when the reason is
     *  another. */
    void (*lost)(void *arg, const char *why);
    /** A command met a trouble of the server's rather than its own: OOM, MISCONF, NOREPLICAS, BUSY,
     *  NOPERM, a stream whose IDs are used up. `why` has the server's words and what to do. Comes
     *  behind the command's own answer, once for each that meets it. May be NULL. */
    void (*trouble)(void *arg, const char *why);
    void *arg;
};

/** NULL and words when the URL is wrong; a server that is away is no error. */
struct bus *bus_new(struct dyn_loop *loop, const struct bus_options *options,
                    struct dyn_error *error);
void bus_free(struct bus *bus); /* answers what is under way with DYN_CANCELLED */
bool bus_is_ready(const struct bus *bus);
/** Throw the connection away and connect anew, in a later turn of the loop. */
void bus_reset(struct bus *bus, const char *why);

/**
 * `reply` is NULL unless err is DYN_OK, DYN_UNKEPT (see bus_command_kept) or DYN_REFUSED (an error
 * reply: its words are bus_reply_str()); DYN_FENCED is the error reply of our Functions that begins
 * with FENCED.
 */
typedef void bus_fn(void *arg, dyn_err err, const struct bus_reply *reply);

/**
 * Send one command; the answer comes exactly once, later. DYN_CLOSED when not ready and DYN_BUSY
 * with DYN_BUS_PENDING_MAX under way: then `fn` is never called. timeout_ms 0:
 * DYN_BUS_COMMAND_TIMEOUT_MS. `fn` may be NULL. Commands of one turn of the loop leave in one
 * write.
 */
DYN_NODISCARD dyn_err bus_command(struct bus *bus, const struct dyn_str *argv, size_t argc,
                                  int64_t timeout_ms, bus_fn *fn, void *arg);
size_t bus_pending(const struct bus *bus);

/**
 * As bus_command(), for what must not be lost by a failover. With `replicas` in bus_options the
 * answer is DYN_OK only when WAIT, sent behind the command, says that as many of them have it; it
 * is DYN_UNKEPT, with the command's reply, when the command succeeded and WAIT did not. Every other
 * error is the command's; after DYN_CLOSED and DYN_TIMEOUT nobody knows. Without replicas it is
 * bus_command(). `timeout_ms` is how long WAIT may take, 1 to DYN_BUS_KEPT_TIMEOUT_MS; everything
 * behind it on this connection waits as well. The calls of one turn of the loop share one WAIT, of
 * the longest of their timeouts.
 */
DYN_NODISCARD dyn_err bus_command_kept(struct bus *bus, const struct dyn_str *argv, size_t argc,
                                       int64_t timeout_ms, bus_fn *fn, void *arg);

/** XADD key [MAXLEN ~ maxlen] * m payload; maxlen 0: no trimming. */
DYN_NODISCARD dyn_err bus_add(struct bus *bus, const char *key, struct dyn_str payload,
                              uint64_t maxlen, bus_fn *fn, void *arg);

enum bus_reply_type {
    BUS_NIL,
    BUS_STRING,
    BUS_STATUS,
    BUS_ERROR,
    BUS_INTEGER,
    BUS_ARRAY
};
enum bus_reply_type bus_reply_type(const struct bus_reply *reply);
struct dyn_str bus_reply_str(const struct bus_reply *reply); /* "" when it is no text */
/* A number, or text that is wholly a decimal number; 0 when it is neither or does not fit. */
int64_t bus_reply_int(const struct bus_reply *reply);
uint64_t bus_reply_u64(const struct bus_reply *reply);
size_t bus_reply_count(const struct bus_reply *reply); /* 0 when it is no array */
/** The error is one of the server's state (LOADING, OOM, MISCONF, NOREPLICAS, ...), so that the
 * same command may succeed later. */
bool bus_reply_may_pass(const struct bus_reply *reply);
/** NULL beyond the end. */
const struct bus_reply *bus_reply_at(const struct bus_reply *reply, size_t index);

/** One entry of a stream reply: its ID and the value of its field "m" (ptr NULL when it has none:
 *  an entry of somebody else, to be skipped and counted). */
struct bus_entry {
    struct entry_id id;
    struct dyn_str message;
};
/** DYN_BADMSG when `reply` is not an entry. */
DYN_NODISCARD dyn_err bus_reply_entry(const struct bus_reply *reply, struct bus_entry *out);

/*
 * A reader follows streams over a connection of its own: XREAD COUNT n BLOCK 500. Entries come in
 * order, each stream's in its own; `behind` is false when the reply was not full, so that what was
 * written before it has been read.
 *
 * Reading goes on undisturbed from a server that has become a replica, or is cut off from all
 * others, and what it has grows old in silence. So every 5 s the reader asks again what the server
 * is, and connects anew when it is no master any more, has another replication ID than before, or
 * is not the one that takes the commands.
 */
struct bus_reader;
struct bus_reader_options {
    const char *url;
    const struct bus_access *access; /* as in bus_options */
    const char *name;
    /** The connection of the commands, NULL: none. Both must be to one server; while they are not,
     *  both are reset, until they are. Borrowed for as long as the loop turns. */
    struct bus *commands;
    size_t count; /* entries a reply, shared out over the streams; 0: DYN_BUS_READ_COUNT */
    /** An entry of streams[stream]; borrowed. */
    void (*entry)(void *arg, size_t stream, const struct bus_entry *entry);
    /** After each reply. */
    void (*round)(void *arg, bool behind);
    /** Connected: another replication ID than before means another history. On each (re)connect,
     * and every 5 s, the reader asks how each stream stands; `rewound` is true when entries were
     * lost: its last ID lies below the cursor, which is then set back to it, or it counts fewer
     * entries than it had (deleted or flushed, and written to again). Called on each (re)connect,
     * and again whenever a later check finds a stream gone back. */
    void (*ready)(void *arg, struct dyn_str replid, bool rewound);
    void (*lost)(void *arg, const char *why);
    /** As in bus_options; streams that cannot be read (a key of another type, a user who may not):
     *  nothing comes, of the others either, until that is mended; and, found by the check every
     *  5 s, a stream that ends in the highest possible ID: nothing can be added to it until it is
     *  deleted. */
    void (*trouble)(void *arg, const char *why);
    void *arg;
};
struct bus_reader *bus_reader_new(struct dyn_loop *loop, const struct bus_reader_options *options,
                                  struct dyn_error *error);
void bus_reader_free(struct bus_reader *reader);
/** Follow `key` from behind `after` on; {0,0} is from the beginning. Its index, or SIZE_MAX when it
 *  is followed already or there are too many. Takes effect within 500 ms. */
size_t bus_reader_follow(struct bus_reader *reader, const char *key, struct entry_id after);
/** No entry of it comes any more. The index is used again for the same key only. */
void bus_reader_forget(struct bus_reader *reader, size_t stream);
struct entry_id bus_reader_cursor(const struct bus_reader *reader, size_t stream);

/**
 * Read [from, to] of a stream in pages of DYN_BUS_READ_COUNT by XRANGE over an ordinary bus.
 * `entry` for each; then `done` exactly once, from the loop. {UINT64_MAX, UINT64_MAX} is the end.
 */
struct bus_range {
    const char *key;
    struct entry_id from;
    struct entry_id to;
    void (*entry)(void *arg, const struct bus_entry *entry);
    void (*done)(void *arg, dyn_err err);
    void *arg;
};
DYN_NODISCARD dyn_err bus_range_start(struct bus *bus, const struct bus_range *range);

/*
 * The Functions library `dyn` (common/dyn.lua, loaded by `dynosaur setup`). Each takes the lease's
 * key first and refuses with FENCED when owner and epoch do not match. Arguments and replies are in
 * PROTOCOL.md.
 */
extern const char bus_functions_source[];  /* the library's text, for FUNCTION LOAD REPLACE */
extern const char bus_functions_version[]; /* of the text: another text, another version */

/** "dyn:{3}:values" */
void bus_key_partition(struct dyn_buf *out, const char *prefix, uint32_t partition,
                       const char *name);

#endif
