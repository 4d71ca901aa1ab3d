/* The server's side of connections: what is done with each command. */
#include "tests/sim/sim_server.h"

/* ---- answers ---- */

void sim_answer_send(struct sim_conn *conn, struct model_answer *answer)
{
    if (conn->bus == NULL) { /* nobody listens any more */
        model_answer_free(answer);
        return;
    }
    struct sim_packet *packet = sim_packet_new(PACKET_ANSWER);
    packet->answer = answer;
    sim_wire_send(conn, &conn->in, packet);
}

void sim_readers_serve(struct sim_server *server)
{
    if (!server->touched) {
        return;
    }
    server->touched = false;
    struct sim_blocked *blocked = server->blocked;
    while (blocked != NULL) {
        struct model_answer *answer = model_answer_new();
        if (blocked->reads && model_read_run(&server->store, &blocked->read, answer)) {
            sim_unblock(blocked, answer);
            blocked = server->blocked; /* what its client sent meanwhile may have changed all */
        } else {
            model_answer_free(answer);
            blocked = blocked->next;
        }
    }
}

static bool server_refuses(struct sim_server *server, const struct model_command *command,
                           const struct sim_packet *packet, struct model_answer *answer)
{
    const struct model_bars bars = {
        .full = server->faults[SIM_FAULT_OOM],
        .disk = server->faults[SIM_FAULT_MISCONF],
        .alone =
            server->min_replicas > 0 && sim_server_replicas_good(server) < server->min_replicas,
        .is_replica = server->is_replica,
        .loading = server->faults[SIM_FAULT_LOADING],
        .no_functions = server->faults[SIM_FAULT_NO_FUNCTIONS],
    };
    const char *words = model_command_barred(command, &bars, packet->argv, packet->argc);
    if (words != NULL) {
        model_put_error(answer, &answer->root, "%s", words);
    }
    return words != NULL;
}

static void role_put(const struct sim_server *server, struct model_answer *answer)
{
    struct bus_reply *items = model_put_array(answer, &answer->root, server->is_replica ? 5 : 3);
    if (server->is_replica) {
        model_put_str(answer, &items[0], DYN_STR("slave"));
        model_put_str(answer, &items[1], DYN_STR("redis"));
        model_put_int(&items[2], 6379);
        model_put_str(answer, &items[3], DYN_STR("connected"));
        model_put_int(&items[4], 0);
    } else {
        model_put_str(answer, &items[0], DYN_STR("master"));
        model_put_int(&items[1], 0);
        (void)model_put_array(answer, &items[2], 0);
    }
}

static void info_put(const struct sim_server *server, struct model_answer *answer)
{
    char text[256];
    int len = snprintf(text, sizeof text, "# Replication\r\nrole:%s\r\nmaster_replid:%s\r\n",
                       server->is_replica ? "slave" : "master", server->replid);
    model_put_str(answer, &answer->root, (struct dyn_str){text, (size_t)len});
}

/* A Sentinel knows one thing. */
static void sentinel_run(const struct sim_server *sentinel, const struct sim_packet *packet,
                         struct model_answer *answer)
{
    char host[32];
    bool asks = packet->argc == 3 && model_name_is(packet->argv[0], "sentinel") &&
                model_name_is(packet->argv[1], "get-master-addr-by-name");
    if (!asks) {
        model_put_status(&answer->root, "OK"); /* AUTH */
        return;
    }
    (void)snprintf(host, sizeof host, "redis-%u", sentinel->names);
    struct bus_reply *items = model_put_array(answer, &answer->root, 2);
    model_put_str(answer, &items[0], dyn_str_from(host));
    model_put_str(answer, &items[1], DYN_STR("6379"));
}

/* WAIT: false when it is to wait. */
static bool wait_begin(struct sim_conn *conn, const struct sim_packet *packet,
                       struct model_answer *answer)
{
    int64_t replicas = 0;
    int64_t timeout_ms = 0;
    if (!model_number(packet->argv[1], &replicas) || !model_number(packet->argv[2], &timeout_ms)) {
        model_put_error(answer, &answer->root, "ERR value is not an integer or out of range");
        return true;
    }
    if (timeout_ms < 0) {
        model_put_error(answer, &answer->root, "ERR timeout is negative");
        return true;
    }
    unsigned have = conn->wrote_at < 0 ? sim_server_replicas_good(conn->server) : 0;
    if (replicas <= (int64_t)have) {
        model_put_int(&answer->root, have);
        return true;
    }
    sim_block_wait(conn, replicas, timeout_ms);
    return false;
}

/* The connection's own commands; false when there is no answer yet. */
static bool conn_run(struct sim_conn *conn, const char *name, const struct sim_packet *packet,
                     struct model_answer *answer)
{
    if (strcmp(name, "role") == 0) {
        role_put(conn->server, answer);
    } else if (strcmp(name, "info") == 0) {
        info_put(conn->server, answer);
    } else if (strcmp(name, "wait") == 0) {
        return wait_begin(conn, packet, answer);
    } else {
        model_put_status(&answer->root, "OK"); /* AUTH, SELECT, CLIENT */
    }
    return true;
}

/* XREAD; false when there is no answer yet. */
static bool read_run(struct sim_conn *conn, struct sim_packet *packet, struct model_answer *answer)
{
    struct model_read read;
    const struct model_store *store = &conn->server->store;
    if (!model_read_parse(store, packet->argv, packet->argc, answer, &read) ||
        model_read_run(store, &read, answer) || read.block_ms < 0) {
        return true;
    }
    sim_block_read(conn, packet, answer, &read);
    return false;
}

/* The answer, or NULL while the client waits; then the packet was taken. */
static struct model_answer *command_run(struct sim_conn *conn, struct sim_packet **packet)
{
    struct sim_server *server = conn->server;
    struct sim_packet *in = *packet;
    const struct model_command *command = model_command_find(in->argv[0]);
    struct model_answer *answer = model_answer_new();
    bool answered = true;
    if (server->is_sentinel) {
        sentinel_run(server, in, answer);
        return answer;
    }
    if (model_command_refused(command, in->argv, in->argc, answer) ||
        server_refuses(server, command, in, answer)) {
        return answer;
    }
    if (command->run == NULL) {
        answered = conn_run(conn, command->name, in, answer);
    } else if (command->run == model_xread) {
        if (!read_run(conn, in, answer)) {
            *packet = NULL; /* it waits, with both */
            return NULL;
        }
    } else {
        server->client = conn;
        server->call = command->run == model_fcall ? in->argv[1] : in->argv[0];
        server->store.wall_us = sim_host_wall_us(&server->host);
        command->run(&server->store, in->argv, in->argc, answer, &answer->root);
        server->client = NULL;
    }
    if (!answered) {
        model_answer_free(answer);
        return NULL;
    }
    return answer;
}

static void client_run(struct sim_conn *conn, struct sim_packet *packet)
{
    struct sim_server *server = conn->server;
    struct model_answer *answer = command_run(conn, &packet);
    if (answer != NULL) {
        sim_answer_send(conn, answer);
    }
    sim_packet_free(packet);
    sim_readers_serve(server);
}

void sim_client_go_on(struct sim_conn *conn, struct model_answer *answer)
{
    sim_answer_send(conn, answer);
    while (conn->blocked == NULL && conn->pending.first != NULL) {
        client_run(conn, sim_packets_take(&conn->pending));
    }
}

/* ---- connections ---- */

void sim_server_adopt(struct sim_server *server, struct sim_conn *conn)
{
    conn->next = server->conns;
    if (server->conns != NULL) {
        server->conns->previous = conn;
    }
    server->conns = conn;
}

void sim_server_forget(struct sim_conn *conn)
{
    if (conn->previous != NULL) {
        conn->previous->next = conn->next;
    } else {
        conn->server->conns = conn->next;
    }
    if (conn->next != NULL) {
        conn->next->previous = conn->previous;
    }
}

void sim_client_close(struct sim_conn *conn)
{
    conn->closed = true;
    sim_packets_drop(&conn->pending);
    sim_blocked_free(conn->blocked);
    conn->blocked = NULL;
}

void sim_server_hang_up(struct sim_conn *conn, const char *why)
{
    if (!conn->closed) {
        sim_client_close(conn);
    }
    if (conn->bus != NULL) {
        struct sim_packet *packet = sim_packet_new(PACKET_END);
        packet->why = why;
        sim_wire_send(conn, &conn->in, packet);
    }
}

void sim_server_receive(struct sim_conn *conn, struct sim_packet *packet)
{
    struct sim_server *server = conn->server;
    if (packet->kind == PACKET_END) {
        sim_packet_free(packet);
        sim_client_close(conn);
        sim_conn_release(conn);
        return;
    }
    if (packet->kind == PACKET_CONNECT && !server->running) {
        sim_server_hang_up(conn, "Connection refused");
    }
    conn->accepted = conn->accepted || packet->kind == PACKET_CONNECT;
    if (conn->closed || packet->kind == PACKET_CONNECT) {
        sim_packet_free(packet);
    } else if (conn->blocked != NULL) {
        sim_packets_add(&conn->pending, packet);
    } else {
        client_run(conn, packet);
    }
    sim_conn_release(conn);
}
