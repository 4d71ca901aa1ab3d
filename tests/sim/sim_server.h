/*
 * sim_server: what the files of the model servers share.
 *
 * sim_server.c   the life of servers, faults, replication
 * sim_client.c   their side of connections: what is done with each command
 * sim_blocked.c  clients that wait: XREAD BLOCK, WAIT
 * sim_log.c      what was written of late, for those who lag behind: the replica, the disk
 */
#ifndef DYN_SIM_SERVER_H
#define DYN_SIM_SERVER_H

#include "tests/sim/sim_internal.h"

#define SIM_SERVERS 2
#define SIM_DISK_US (10 * SIM_S) /* a restart may lose so much at most */

/* ---- sim_log.c ---- */

enum sim_log_reader {
    SIM_LOG_DISK,
    SIM_LOG_REPLICA,
    SIM_LOG_READERS
};

struct sim_logged;
struct sim_log {
    struct sim_logged *ops; /* from `first` on */
    size_t first;
    size_t count;
    size_t room;
    uint64_t begin; /* the number of the first; each has one, in order */
    uint64_t next[SIM_LOG_READERS];
    bool reads[SIM_LOG_READERS];
};

void sim_log_add(struct sim_log *log, const struct model_op *op);
void sim_log_follow(struct sim_log *log, enum sim_log_reader reader); /* from now on */
void sim_log_unfollow(struct sim_log *log, enum sim_log_reader reader);
/** Do to `store` what the reader has not seen yet and was written by `until`. */
void sim_log_apply(struct sim_log *log, enum sim_log_reader reader, int64_t until,
                   struct model_store *store);
void sim_log_end(struct sim_log *log);

/* ---- sim_server.c ---- */

struct sim_server {
    unsigned index;
    struct sim_host host;
    char replid[41];
    bool running;
    int64_t stopped_at;
    struct model_store store;
    struct model_store disk; /* as it was some time ago */
    struct sim_log log;
    unsigned logged;
    bool faults[SIM_FAULT_COUNT];
    unsigned min_replicas;
    int64_t max_lag_us;
    struct sim_conn *conns;
    struct sim_blocked *blocked;
    struct sim_conn *client; /* whose command runs; NULL: the world's */
    struct dyn_str call;
    bool touched; /* a stream grew: who waits for it is to be served */

    bool is_sentinel; /* then it has no data, and names a server */
    unsigned names;

    /* As a replica. */
    bool is_replica;
    bool link_whole;
    bool to_sync; /* what it has is of another history than the primary's */
    int64_t link_lag_us;
    int64_t seen_until;
    int64_t flowed_at; /* when the link was last seen to work, when it does not */
};

unsigned sim_server_replicas_good(const struct sim_server *server); /* as min-replicas counts */
unsigned sim_server_replicas_have(const struct sim_server *server, int64_t wrote_at);
/** When the primary will know that the replica has it, as things stand; INT64_MAX: never. */
int64_t sim_server_told_at(const struct sim_server *server, int64_t wrote_at);

/* ---- sim_client.c ---- */

void sim_answer_send(struct sim_conn *conn, struct model_answer *answer);
void sim_server_hang_up(struct sim_conn *conn, const char *why);
void sim_client_close(struct sim_conn *conn); /* the server's side alone */
/** A command has run: who waits for the streams that it added to, is answered. */
void sim_readers_serve(struct sim_server *server);
/** A client that waited has its answer; on with what it sent meanwhile. */
void sim_client_go_on(struct sim_conn *conn, struct model_answer *answer);

/* ---- sim_blocked.c ---- */

struct sim_blocked {
    struct sim_blocked *next; /* of the server */
    struct sim_blocked *previous;
    struct sim_conn *conn;
    struct sim_event over;
    int64_t deadline_wall_us; /* of the server's clock; 0: none */
    bool reads;               /* XREAD; else WAIT */
    struct model_read read;
    struct sim_packet *packet; /* what `read` points into */
    struct model_answer *memory;
    int64_t replicas;
};

/** Both take the packet over, and the answer, in which `read` lies. */
void sim_block_read(struct sim_conn *conn, struct sim_packet *packet, struct model_answer *memory,
                    const struct model_read *read);
void sim_block_wait(struct sim_conn *conn, int64_t replicas, int64_t timeout_ms);
void sim_unblock(struct sim_blocked *blocked, struct model_answer *answer);
void sim_blocked_free(struct sim_blocked *blocked); /* NULL is fine */
/** The server's wall clock, or replication, has changed. */
void sim_blocked_turn(struct sim_server *server);

#endif
