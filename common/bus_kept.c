/*
 * Commands that replicas must have. Each is sent at once; one WAIT follows for all of a turn of the
 * loop, and no other while it is under way, so that replicas that are away hold the connection for
 * one or two timeouts and not for one a command.
 */
#include "common/bus_internal.h"

#include <inttypes.h>

/* Lives until its WAIT is answered, or the connection is lost. */
struct kept_call {
    struct bus *bus;
    bus_fn *fn; /* NULL: answered already */
    void *arg;
    struct bus_reply *reply; /* of the command, which succeeded; NULL: it is still to come */
    struct kept_call *next;
};

static void kept_answer(struct kept_call *kept, dyn_err err, const struct bus_reply *reply)
{
    bus_fn *fn = kept->fn;
    kept->fn = NULL;
    if (fn != NULL) {
        fn(kept->arg, err, reply);
    }
}

static void kept_free(struct kept_call *kept)
{
    bus_reply_free(kept->reply);
    free(kept);
}

static void on_command(void *arg, dyn_err err, const struct bus_reply *reply)
{
    struct kept_call *kept = arg;
    if (err != DYN_OK) {
        kept_answer(kept, err, reply);
        return;
    }
    kept->reply = bus_reply_copy(reply);
    if (kept->reply == NULL) {
        bus_reset(kept->bus, "out of memory"); /* it was done, and nobody could be told what */
    }
}

/* The calls of a list, which is the newest first, in the order of their sending. */
static struct kept_call *list_turn(struct kept_call *list)
{
    struct kept_call *turned = NULL;
    while (list != NULL) {
        struct kept_call *next = list->next;
        list->next = turned;
        turned = list;
        list = next;
    }
    return turned;
}

static void list_answer(struct kept_call *list, dyn_err err)
{
    while (list != NULL) {
        struct kept_call *next = list->next;
        bool done = err == DYN_OK || err == DYN_UNKEPT;
        kept_answer(list, done && list->reply == NULL ? DYN_CLOSED : err,
                    done ? list->reply : NULL);
        kept_free(list);
        list = next;
    }
}

static void on_wait(void *arg, dyn_err err, const struct bus_reply *reply)
{
    struct kept_call *list = arg;
    struct bus *bus = list->bus;
    bus->waiting = false;
    bool reached = err == DYN_OK && bus_reply_u64(reply) >= bus->replicas;
    if (!reached && reply != NULL) {
        err = DYN_UNKEPT; /* also when WAIT itself was refused: the commands were done */
    }
    list_answer(list, err);
    bus_kept_wait(bus);
}

void bus_kept_wait(void *arg)
{
    struct bus *bus = arg;
    if (bus->unwaited == NULL || bus->waiting || bus->state != BUS_READY) {
        return;
    }
    char replicas[16];
    char timeout[24];
    (void)snprintf(replicas, sizeof(replicas), "%u", bus->replicas);
    (void)snprintf(timeout, sizeof(timeout), "%" PRId64, bus->wait_ms);
    const struct dyn_str argv[] = {DYN_STR("WAIT"), dyn_str_from(replicas), dyn_str_from(timeout)};
    struct kept_call *list = list_turn(bus->unwaited);
    dyn_err err =
        bus_command_send(bus, argv, 3, bus->wait_ms + DYN_BUS_COMMAND_TIMEOUT_MS, on_wait, list);
    if (err != DYN_OK) {
        bus->unwaited = list_turn(list);
        bus_reset(bus, "out of memory");
        return;
    }
    bus->unwaited = NULL;
    bus->wait_ms = 0;
    bus->waiting = true;
}

void bus_kept_lose(struct bus *bus, dyn_err err)
{
    struct kept_call *list = list_turn(bus->unwaited);
    bus->unwaited = NULL;
    bus->wait_ms = 0;
    list_answer(list, err);
}

dyn_err bus_command_kept(struct bus *bus, const struct dyn_str *argv, size_t argc,
                         int64_t timeout_ms, bus_fn *fn, void *arg)
{
    DYN_ASSERT(timeout_ms > 0 && timeout_ms <= DYN_BUS_KEPT_TIMEOUT_MS);
    if (bus->replicas == 0) {
        return bus_command(bus, argv, argc, 0, fn, arg);
    }
    struct kept_call *kept = calloc(1, sizeof(*kept));
    if (kept == NULL) {
        return DYN_NOMEM;
    }
    *kept = (struct kept_call){.bus = bus, .fn = fn, .arg = arg, .next = bus->unwaited};
    dyn_err err = bus_command(bus, argv, argc, 0, on_command, kept);
    if (err != DYN_OK) {
        free(kept);
        return err;
    }
    bus->unwaited = kept;
    bus->wait_ms = timeout_ms > bus->wait_ms ? timeout_ms : bus->wait_ms;
    if (!bus->waiting && !dyn_timer_active(bus->wait)) {
        dyn_timer_start(bus->wait, 0, 0);
    }
    return DYN_OK;
}
