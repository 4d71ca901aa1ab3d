/* The client's side of a connection: what common/bus_hiredis.c is on a real one. */
#include "tests/sim/sim_internal.h"

#include "common/bus_internal.h"

void bus_redis_detach(struct bus *bus)
{
    struct sim_conn *conn = bus->redis;
    bus->redis = NULL;
    if (conn != NULL) {
        sim_conn_detach(conn);
    }
}

void sim_bus_receive(struct sim_conn *conn, struct sim_packet *packet)
{
    struct bus *bus = conn->bus;
    if (bus == NULL) { /* what the server says to somebody who has hung up */
        sim_packet_free(packet);
        return;
    }
    bus_enter(bus);
    if (packet->kind == PACKET_END) {
        bus_redis_detach(bus);
        bus_lose(bus, packet->why, INT64_MIN);
    } else {
        bus_answered(bus, &packet->answer->root);
    }
    bus_leave(bus);
    sim_packet_free(packet);
}

dyn_err bus_command_send(struct bus *bus, const struct dyn_str *argv, size_t argc,
                         int64_t timeout_ms, bus_fn *fn, void *arg)
{
    DYN_ASSERT(argc > 0);
    struct sim_conn *conn = bus->redis;
    if (conn->process->dying) {
        return DYN_CLOSED;
    }
    sim_wire_send(conn, &conn->out, sim_packet_command(argv, argc));
    bus_call_push(bus, fn, arg, timeout_ms > 0 ? timeout_ms : DYN_BUS_COMMAND_TIMEOUT_MS);
    return DYN_OK;
}

void bus_connect(struct bus *bus)
{
    DYN_ASSERT(bus->redis == NULL && bus->count == 0);
    bus->redis = sim_conn_open(sim_server_of(bus->target.host), bus);
    if (bus_greet(bus) != DYN_OK) {
        bus_drop(bus, "the handshake cannot be sent", INT64_MIN);
    }
}
