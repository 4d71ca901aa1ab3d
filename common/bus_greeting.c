#include "common/bus_internal.h"

/* The first refusal ends the connection; the answers behind it are not looked at. */
static void greeting_refuse(struct bus *bus, const char *what, const struct bus_reply *reply)
{
    if (bus->state != BUS_GREETING) {
        return;
    }
    struct dyn_error why;
    struct dyn_str words = bus_reply_str(reply);
    (void)dyn_error_set(&why, DYN_REFUSED, "%s: " DYN_STR_FMT, what, DYN_STR_ARG(words));
    bus_reset(bus, why.text);
}

static void on_auth(void *arg, dyn_err err, const struct bus_reply *reply)
{
    if (err == DYN_REFUSED) {
        greeting_refuse(arg, "the server refuses user or password", reply);
    }
}

static void on_greeting(void *arg, dyn_err err, const struct bus_reply *reply)
{
    if (err == DYN_REFUSED) {
        greeting_refuse(arg, "the server refuses", reply);
    }
}

static void on_role(void *arg, dyn_err err, const struct bus_reply *reply)
{
    on_greeting(arg, err, reply);
    if (err != DYN_OK) {
        return;
    }
    const struct bus_reply *role = bus_reply_at(reply, 0);
    if (role == NULL || !dyn_str_is(bus_reply_str(role), "master")) {
        greeting_refuse(arg, "the server is no master but", role);
    }
}

struct dyn_str bus_info_find(struct dyn_str info, const char *name)
{
    char key[64];
    size_t len = (size_t)snprintf(key, sizeof(key), "\n%s:", name);
    DYN_ASSERT(len < sizeof(key));
    const char *at = info.len > 0 ? memmem(info.ptr, info.len, key, len) : NULL;
    if (at == NULL) {
        return DYN_STR("");
    }
    at += len;
    size_t left = info.len - (size_t)(at - info.ptr);
    const char *end = memchr(at, '\r', left);
    return (struct dyn_str){at, end != NULL ? (size_t)(end - at) : left};
}

static void greeting_end(struct bus *bus, struct dyn_str replid)
{
    bus->state = BUS_READY;
    bus->was_ready = true;
    bus->ready_at_ms = dyn_loop_now_ms(bus->loop);
    bus->told = false;
    dyn_str_copy(bus->replid, sizeof(bus->replid), replid);
    if (bus->options.ready != NULL) {
        bus->options.ready(bus->options.arg, replid);
    }
}

static void on_info(void *arg, dyn_err err, const struct bus_reply *reply)
{
    struct bus *bus = arg;
    on_greeting(arg, err, reply);
    if (err != DYN_OK || bus->state != BUS_GREETING) {
        return;
    }
    struct dyn_str replid = bus_info_find(bus_reply_str(reply), "master_replid");
    if (replid.len == 0) {
        greeting_refuse(bus, "the server tells no master_replid", reply);
        return;
    }
    greeting_end(bus, replid);
}

dyn_err bus_greet_auth(struct bus *bus, const char *user, const char *password, bus_fn *fn)
{
    if (password[0] == '\0') {
        return DYN_OK;
    }
    struct dyn_str auth[] = {DYN_STR("AUTH"), dyn_str_from(user), dyn_str_from(password)};
    bool named = user[0] != '\0';
    if (!named) {
        auth[1] = auth[2];
    }
    dyn_err err = bus_command_send(bus, auth, named ? 3 : 2, 0, fn, bus);
    explicit_bzero(bus->command.ptr, bus->command.len);
    return err;
}

static dyn_err user_greet(struct bus *bus)
{
    const struct bus_url *url = &bus->url;
    dyn_err err = bus_greet_auth(bus, url->user, url->password, on_auth);
    if (err == DYN_OK && url->db != 0) {
        char db[16];
        (void)snprintf(db, sizeof(db), "%d", url->db);
        struct dyn_str argv[] = {DYN_STR("SELECT"), dyn_str_from(db)};
        err = bus_command_send(bus, argv, 2, 0, on_greeting, bus);
    }
    return err;
}

/* A user who may do nothing but what is wanted may not PING either. */
static void on_foreign(void *arg, dyn_err err, const struct bus_reply *reply)
{
    struct bus *bus = arg;
    if ((err != DYN_OK && err != DYN_REFUSED) || bus->state != BUS_GREETING) {
        return;
    }
    if (err == DYN_OK || dyn_str_starts(bus_reply_str(reply), "NOPERM")) {
        greeting_end(bus, DYN_STR(""));
    } else {
        greeting_refuse(bus, "the server refuses", reply);
    }
}

static dyn_err foreign_greet(struct bus *bus)
{
    struct dyn_str ping[] = {DYN_STR("PING")};
    dyn_err err = user_greet(bus);
    return err == DYN_OK ? bus_command_send(bus, ping, 1, 0, on_foreign, bus) : err;
}

static dyn_err master_greet(struct bus *bus)
{
    dyn_err err = user_greet(bus);
    struct dyn_str name[] = {DYN_STR("CLIENT"), DYN_STR("SETNAME"), dyn_str_from(bus->name)};
    struct dyn_str role[] = {DYN_STR("ROLE")};
    struct dyn_str info[] = {DYN_STR("INFO"), DYN_STR("replication")};
    if (err == DYN_OK) {
        err = bus_command_send(bus, name, 3, 0, on_greeting, bus);
    }
    if (err == DYN_OK) {
        err = bus_command_send(bus, role, 1, 0, on_role, bus);
    }
    return err == DYN_OK ? bus_command_send(bus, info, 2, 0, on_info, bus) : err;
}

dyn_err bus_greet(struct bus *bus)
{
    if (bus->state == BUS_ASKING) {
        return bus_sentinel_ask(bus);
    }
    return bus->options.foreign ? foreign_greet(bus) : master_greet(bus);
}
