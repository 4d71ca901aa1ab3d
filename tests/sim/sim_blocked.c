/* Clients that wait. Their timeouts follow the server's wall clock, as in the real one. */
#include "tests/sim/sim_server.h"

static void blocked_over(void *arg);

static int64_t deadline_at(const struct sim_blocked *blocked)
{
    if (blocked->deadline_wall_us == 0) {
        return INT64_MAX;
    }
    int64_t left_us = blocked->deadline_wall_us - sim_host_wall_us(&blocked->conn->server->host);
    return sim_now() + (left_us > 0 ? left_us : 0);
}

static void blocked_arm(struct sim_blocked *blocked)
{
    int64_t at = deadline_at(blocked);
    if (!blocked->reads) {
        int64_t told_at = sim_server_told_at(blocked->conn->server, blocked->conn->wrote_at);
        at = told_at < at ? told_at : at;
    }
    if (at == INT64_MAX) {
        sim_event_cancel(&blocked->over);
    } else {
        sim_event_set(&blocked->over, NULL, at, blocked_over, blocked);
    }
}

static struct sim_blocked *blocked_new(struct sim_conn *conn, int64_t timeout_ms)
{
    struct sim_server *server = conn->server;
    struct sim_blocked *blocked = calloc(1, sizeof *blocked);
    DYN_ASSERT(blocked != NULL && conn->blocked == NULL);
    blocked->conn = conn;
    conn->blocked = blocked;
    if (timeout_ms > 0) {
        blocked->deadline_wall_us = sim_host_wall_us(&server->host) + timeout_ms * SIM_MS;
    }
    blocked->next = server->blocked;
    if (server->blocked != NULL) {
        server->blocked->previous = blocked;
    }
    server->blocked = blocked;
    return blocked;
}

void sim_block_read(struct sim_conn *conn, struct sim_packet *packet, struct model_answer *memory,
                    const struct model_read *read)
{
    struct sim_blocked *blocked = blocked_new(conn, read->block_ms);
    blocked->reads = true;
    blocked->read = *read;
    blocked->packet = packet;
    blocked->memory = memory;
    blocked_arm(blocked);
}

void sim_block_wait(struct sim_conn *conn, int64_t replicas, int64_t timeout_ms)
{
    struct sim_blocked *blocked = blocked_new(conn, timeout_ms);
    blocked->replicas = replicas;
    blocked_arm(blocked);
}

void sim_blocked_free(struct sim_blocked *blocked)
{
    if (blocked == NULL) {
        return;
    }
    sim_event_cancel(&blocked->over);
    if (blocked->previous != NULL) {
        blocked->previous->next = blocked->next;
    } else {
        blocked->conn->server->blocked = blocked->next;
    }
    if (blocked->next != NULL) {
        blocked->next->previous = blocked->previous;
    }
    sim_packet_free(blocked->packet);
    model_answer_free(blocked->memory);
    free(blocked);
}

void sim_unblock(struct sim_blocked *blocked, struct model_answer *answer)
{
    struct sim_conn *conn = blocked->conn;
    conn->blocked = NULL;
    sim_blocked_free(blocked);
    sim_client_go_on(conn, answer);
}

static void blocked_over(void *arg)
{
    struct sim_blocked *blocked = arg;
    struct sim_server *server = blocked->conn->server;
    bool late = deadline_at(blocked) <= sim_now();
    struct model_answer *answer = model_answer_new();
    if (!blocked->reads) {
        unsigned have = sim_server_replicas_have(server, blocked->conn->wrote_at);
        if (have < blocked->replicas && !late) {
            model_answer_free(answer);
            blocked_arm(blocked);
            return;
        }
        model_put_int(&answer->root, have);
    }
    sim_unblock(blocked, answer);
}

void sim_blocked_turn(struct sim_server *server)
{
    for (struct sim_blocked *blocked = server->blocked; blocked != NULL; blocked = blocked->next) {
        blocked_arm(blocked);
    }
}
