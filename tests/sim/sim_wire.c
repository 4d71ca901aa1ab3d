/* Connections: two directions, in each of which what is under way arrives in order. */
#include "tests/sim/sim_server.h"

static struct sim_random latency;

void sim_wires_begin(void)
{
    latency = sim_random_of("latency of Redis");
}

/* ---- packets ---- */

static struct sim_packet *packet_make(int kind, size_t argc, size_t bytes)
{
    struct sim_packet *packet = malloc(sizeof *packet + argc * sizeof packet->argv[0] + bytes);
    DYN_ASSERT(packet != NULL);
    memset(packet, 0, sizeof *packet);
    packet->kind = (unsigned)kind;
    packet->argc = argc;
    packet->turn = sim_events_count();
    return packet;
}

struct sim_packet *sim_packet_new(int kind)
{
    return packet_make(kind, 0, 0);
}

struct sim_packet *sim_packet_command(const struct dyn_str *argv, size_t argc)
{
    size_t bytes = 0;
    for (size_t i = 0; i < argc; i++) {
        bytes += argv[i].len;
    }
    struct sim_packet *packet = packet_make(PACKET_COMMAND, argc, bytes);
    char *at = (char *)(packet->argv + argc);
    for (size_t i = 0; i < argc; i++) {
        packet->argv[i] = (struct dyn_str){at, argv[i].len};
        if (argv[i].len > 0) {
            memcpy(at, argv[i].ptr, argv[i].len);
        }
        at += argv[i].len;
    }
    return packet;
}

void sim_packet_free(struct sim_packet *packet)
{
    if (packet != NULL) {
        model_answer_free(packet->answer);
        free(packet);
    }
}

void sim_packets_add(struct sim_packets *packets, struct sim_packet *packet)
{
    packet->next = NULL;
    if (packets->last != NULL) {
        packets->last->next = packet;
    } else {
        packets->first = packet;
    }
    packets->last = packet;
}

struct sim_packet *sim_packets_take(struct sim_packets *packets)
{
    struct sim_packet *packet = packets->first;
    if (packet != NULL) {
        packets->first = packet->next;
        if (packets->first == NULL) {
            packets->last = NULL;
        }
        packet->next = NULL;
    }
    return packet;
}

void sim_packets_drop(struct sim_packets *packets)
{
    for (struct sim_packet *packet = sim_packets_take(packets); packet != NULL;
         packet = sim_packets_take(packets)) {
        sim_packet_free(packet);
    }
}

/* ---- one direction ---- */

/* Mostly under half a millisecond, sometimes much more. */
static int64_t latency_draw(void)
{
    uint64_t kind = sim_random_bits(&latency) % 1000;
    if (kind < 2) {
        return sim_random_range(&latency, 5 * SIM_MS, 50 * SIM_MS);
    }
    if (kind < 20) {
        return sim_random_range(&latency, 500, 5 * SIM_MS);
    }
    return sim_random_range(&latency, 100, 500);
}

/* How long after a cut what was lost is sent again. When its sender is gone, the machine goes on
 * trying for a while. */
static int64_t resend_draw(const struct sim_conn *conn)
{
    return conn->process != NULL ? sim_random_range(&latency, 50 * SIM_MS, 1500 * SIM_MS)
                                 : sim_random_range(&latency, 50 * SIM_MS, 20 * SIM_S);
}

static void out_arrived(void *arg)
{
    struct sim_conn *conn = arg;
    struct sim_packet *packet = sim_packets_take(&conn->out.packets);
    sim_wire_kick(conn, &conn->out);
    sim_server_receive(conn, packet);
}

static void in_arrived(void *arg)
{
    struct sim_conn *conn = arg;
    struct sim_packet *packet = sim_packets_take(&conn->in.packets);
    sim_wire_kick(conn, &conn->in);
    sim_bus_receive(conn, packet);
}

static bool wire_is_held(const struct sim_conn *conn, bool is_out)
{
    if (is_out && sim_server_is_stalled(conn->server)) {
        return true;
    }
    if (conn->process == NULL) {
        return false;
    }
    const struct sim_link_state *link = &conn->process->links[SIM_LINK_REDIS];
    return is_out ? link->cut_out : link->cut_in;
}

void sim_wire_kick(struct sim_conn *conn, struct sim_wire *wire)
{
    bool is_out = wire == &conn->out;
    struct sim_packet *first = wire->packets.first;
    bool was_held = wire->held;
    wire->held = wire_is_held(conn, is_out);
    if (first == NULL || wire->held) {
        sim_event_cancel(&wire->arrival);
        return;
    }
    if (was_held) {
        int64_t again = sim_now() + resend_draw(conn);
        first->at = first->at > again ? first->at : again;
        wire->last_at = wire->last_at > first->at ? wire->last_at : first->at;
    }
    sim_event_set(&wire->arrival, is_out ? NULL : conn->process, first->at,
                  is_out ? out_arrived : in_arrived, conn);
}

void sim_wire_send(struct sim_conn *conn, struct sim_wire *wire, struct sim_packet *packet)
{
    int64_t more = conn->process != NULL ? conn->process->links[SIM_LINK_REDIS].delay_us : 0;
    int64_t at = sim_now() + latency_draw() + more;
    wire->last_at = at > wire->last_at ? at : wire->last_at;
    packet->at = wire->last_at;
    sim_packets_add(&wire->packets, packet);
    if (wire->packets.first == packet) {
        sim_wire_kick(conn, wire);
    }
}

void sim_wire_drop(struct sim_wire *wire)
{
    sim_packets_drop(&wire->packets);
    sim_event_cancel(&wire->arrival);
}

/* ---- both ---- */

struct sim_conn *sim_conn_open(struct sim_server *server, struct bus *bus)
{
    struct sim_process *process = sim_process_current();
    DYN_ASSERT(process != NULL);
    struct sim_conn *conn = calloc(1, sizeof *conn);
    DYN_ASSERT(conn != NULL);
    conn->server = server;
    conn->process = process;
    conn->process_id = process->id;
    dyn_str_copy(conn->name, sizeof conn->name, dyn_str_from(process->name));
    conn->bus = bus;
    conn->wrote_at = -1;
    conn->process_next = process->conns;
    if (process->conns != NULL) {
        process->conns->process_previous = conn;
    }
    process->conns = conn;
    sim_server_adopt(server, conn);
    sim_wire_send(conn, &conn->out, sim_packet_new(PACKET_CONNECT));
    return conn;
}

/* What was sent in this very turn has not left the process yet. */
static void unsent_drop(struct sim_conn *conn)
{
    struct sim_packets kept = {NULL, NULL};
    for (struct sim_packet *packet = sim_packets_take(&conn->out.packets); packet != NULL;
         packet = sim_packets_take(&conn->out.packets)) {
        if (packet->kind == PACKET_COMMAND && packet->turn == sim_events_count()) {
            sim_packet_free(packet);
        } else {
            sim_packets_add(&kept, packet);
        }
    }
    conn->out.packets = kept;
}

void sim_conn_detach(struct sim_conn *conn)
{
    struct sim_process *process = conn->process;
    DYN_ASSERT(process != NULL);
    sim_wire_drop(&conn->in);
    unsent_drop(conn);
    if (conn->process_previous != NULL) {
        conn->process_previous->process_next = conn->process_next;
    } else {
        process->conns = conn->process_next;
    }
    if (conn->process_next != NULL) {
        conn->process_next->process_previous = conn->process_previous;
    }
    conn->process_next = NULL;
    conn->process_previous = NULL;
    conn->bus = NULL;
    sim_wire_send(conn, &conn->out, sim_packet_new(PACKET_END));
    conn->process = NULL;
    sim_wire_kick(conn, &conn->out);
}

void sim_conn_release(struct sim_conn *conn)
{
    if (conn->process == NULL && conn->out.packets.first == NULL && conn->closed) {
        sim_wire_drop(&conn->in);
        sim_server_forget(conn);
        free(conn);
    }
}

void sim_link_reset(struct sim_process *process)
{
    sim_story("%s: its connections to Redis are reset", process->name);
    for (struct sim_conn *conn = process->conns; conn != NULL; conn = conn->process_next) {
        sim_wire_drop(&conn->out);
        sim_wire_drop(&conn->in);
        sim_server_hang_up(conn, "Connection reset by peer");
    }
}
