#include "common/bus.h"

#include "common/bus_url.h"
#include "common/clock.h"

#include <async.h>
#include <fcntl.h>
#include <signal.h>

#define BACKOFF_FIRST_MS 100
#define BACKOFF_LAST_MS 5000
#define STABLE_MS 5000 /* a connection that lived so long was a good one: back off anew */
#define CHECK_EVERY_MS 100
#define WHY_MAX 256
#define NAME_MAX_BYTES 64

/* One command's bytes: a full dyn_publish of the largest targets, with room to spare. */
#define COMMAND_BYTES_MAX ((size_t)DYN_PUBLISH_MAX * DYN_ENTRY_MAX + (size_t)1024 * 1024)

/* The handshake's commands are few, and wait in the same ring. */
#define HANDSHAKE_MAX 8
#define CALLS_MAX (DYN_BUS_PENDING_MAX + HANDSHAKE_MAX)

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
    char name[NAME_MAX_BYTES];
    enum bus_state state;
    redisAsyncContext *redis; /* NULL when down */
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
    char why[WHY_MAX];
};

static void bus_connect(struct bus *bus);

static void bus_destroy(struct bus *bus)
{
    dyn_buf_wipe(&bus->command);
    bus_url_fini(&bus->url);
    free(bus->calls);
    free(bus);
}

static void bus_enter(struct bus *bus)
{
    bus->depth++;
}

static void bus_leave(struct bus *bus)
{
    DYN_ASSERT(bus->depth > 0);
    bus->depth--;
    if (bus->depth == 0 && bus->dying) {
        bus_destroy(bus);
    }
}

/* ---- calls ---- */

static void call_push(struct bus *bus, bus_fn *fn, void *arg, int64_t timeout_ms)
{
    DYN_ASSERT(bus->count < CALLS_MAX);
    bus->calls[(bus->first + bus->count) % CALLS_MAX] = (struct call){
        .fn = fn,
        .arg = arg,
        .deadline_ms = dyn_loop_now_ms(bus->loop) + timeout_ms,
    };
    bus->count++;
}

static struct call call_pop(struct bus *bus)
{
    struct call call = bus->calls[bus->first];
    bus->first = (bus->first + 1) % CALLS_MAX;
    bus->count--;
    return call;
}

/* What is late at `now_ms` is answered with DYN_TIMEOUT, the rest with `err`. */
static void calls_fail(struct bus *bus, dyn_err err, int64_t now_ms)
{
    while (bus->count > 0) {
        struct call call = call_pop(bus);
        if (call.fn != NULL) {
            call.fn(call.arg, call.deadline_ms <= now_ms ? DYN_TIMEOUT : err, NULL);
        }
    }
}

static bool calls_late(const struct bus *bus, int64_t now_ms)
{
    for (size_t i = 0; i < bus->count; i++) {
        if (bus->calls[(bus->first + i) % CALLS_MAX].deadline_ms <= now_ms) {
            return true;
        }
    }
    return false;
}

/* ---- the end of a connection ---- */

/* Full jitter: anything up to a bound that doubles with each failure. */
static void retry_later(struct bus *bus)
{
    int64_t bound = BACKOFF_FIRST_MS;
    for (unsigned i = 0; i < bus->attempts && bound < BACKOFF_LAST_MS; i++) {
        bound *= 2;
    }
    bound = bound < BACKOFF_LAST_MS ? bound : BACKOFF_LAST_MS;
    bus->attempts++;
    dyn_timer_start(bus->retry, 1 + (int64_t)(dyn_random() % (uint64_t)bound), 0);
}

/* The connection is gone from hiredis' side, or `redis` was detached: tell everyone. */
static void bus_lose(struct bus *bus, const char *why, int64_t late_ms)
{
    if (bus->was_ready && dyn_loop_now_ms(bus->loop) - bus->ready_at_ms >= STABLE_MS) {
        bus->attempts = 0;
    }
    bus->was_ready = false;
    dyn_str_copy(bus->why, sizeof(bus->why), dyn_str_from(why));
    bus->state = BUS_DOWN;
    bus->overdue = false;
    dyn_timer_stop(bus->check);
    retry_later(bus);
    calls_fail(bus, DYN_CLOSED, late_ms);
    if (!bus->dying && !bus->told) {
        bus->told = true;
        if (bus->options.lost != NULL) {
            bus->options.lost(bus->options.arg, bus->why);
        }
    }
}

/* Take the connection away from hiredis; it frees its context when it can. */
static void redis_detach(struct bus *bus)
{
    redisAsyncContext *redis = bus->redis;
    bus->redis = NULL;
    if (redis != NULL) {
        redis->data = NULL;
        redisAsyncFree(redis);
    }
}

static void bus_drop(struct bus *bus, const char *why, int64_t late_ms)
{
    redis_detach(bus);
    bus_lose(bus, why, late_ms);
}

static void on_disconnect(const redisAsyncContext *redis, int status)
{
    struct bus *bus = redis->data;
    if (bus == NULL) {
        return;
    }
    bus_enter(bus);
    bus->redis->data = NULL; /* hiredis frees it after this */
    bus->redis = NULL;
    bus_lose(bus, status == REDIS_OK ? "the connection was closed" : redis->errstr, INT64_MIN);
    bus_leave(bus);
}

static void on_connect(const redisAsyncContext *redis, int status)
{
    struct bus *bus = redis->data;
    if (bus == NULL || status == REDIS_OK) {
        return;
    }
    bus_enter(bus);
    bus->redis->data = NULL; /* hiredis frees it after this */
    bus->redis = NULL;
    bus_lose(bus, redis->errstr, INT64_MIN);
    bus_leave(bus);
}

/* A late answer ends the connection. It must be late twice: when this program itself was held up,
 * the answer may lie in the socket, and one turn of the loop is needed to find it. */
static void on_check(void *arg)
{
    struct bus *bus = arg;
    int64_t now_ms = dyn_loop_now_ms(bus->loop);
    if (!calls_late(bus, now_ms)) {
        bus->overdue = false;
        return;
    }
    if (!bus->overdue) {
        bus->overdue = true;
        return;
    }
    bus_enter(bus);
    bus_drop(bus, "no answer in time", now_ms);
    bus_leave(bus);
}

static void on_retry(void *arg)
{
    struct bus *bus = arg;
    bus_enter(bus);
    if (bus->state == BUS_RESETTING) {
        char why[WHY_MAX];
        dyn_str_copy(why, sizeof(why), dyn_str_from(bus->why));
        bus_drop(bus, why, INT64_MIN);
    } else {
        bus_connect(bus);
    }
    bus_leave(bus);
}

void bus_reset(struct bus *bus, const char *why)
{
    if (bus->redis == NULL || bus->state == BUS_RESETTING) {
        return;
    }
    dyn_str_copy(bus->why, sizeof(bus->why), dyn_str_from(why));
    bus->state = BUS_RESETTING;
    dyn_timer_start(bus->retry, 0, 0);
}

/* ---- answers ---- */

static const struct bus_reply *reply_wrap(const redisReply *reply)
{
    return (const struct bus_reply *)reply;
}

static const redisReply *reply_unwrap(const struct bus_reply *reply)
{
    return (const redisReply *)reply;
}

static dyn_err reply_err(const struct bus_reply *reply)
{
    if (bus_reply_type(reply) != BUS_ERROR) {
        return DYN_OK;
    }
    return dyn_str_starts(bus_reply_str(reply), "FENCED") ? DYN_FENCED : DYN_REFUSED;
}

static void on_reply(redisAsyncContext *redis, void *data, void *private_data)
{
    (void)private_data;
    struct bus *bus = redis->data;
    if (bus == NULL || data == NULL || bus->count == 0) {
        return; /* detached, or on its way to on_disconnect, which answers what is left */
    }
    bus_enter(bus);
    const struct bus_reply *reply = reply_wrap(data);
    dyn_err err = reply_err(reply);
    struct call call = call_pop(bus);
    if (call.fn != NULL) {
        call.fn(call.arg, err, reply);
    }
    if (err == DYN_REFUSED && !bus->dying && dyn_str_starts(bus_reply_str(reply), "READONLY")) {
        bus_reset(bus, "the server is a replica now");
    }
    bus_leave(bus);
}

/* ---- sending ---- */

static void command_add_header(struct dyn_buf *out, char tag, size_t number)
{
    char text[24];
    size_t at = sizeof(text);
    text[--at] = '\n';
    text[--at] = '\r';
    do {
        text[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    text[--at] = tag;
    (void)dyn_buf_add(out, text + at, sizeof(text) - at);
}

/* One command's bytes into bus->command. */
static dyn_err command_format(struct bus *bus, const struct dyn_str *argv, size_t argc)
{
    struct dyn_buf *out = &bus->command;
    dyn_buf_clear(out);
    command_add_header(out, '*', argc);
    for (size_t i = 0; i < argc; i++) {
        command_add_header(out, '$', argv[i].len);
        (void)dyn_buf_add_str(out, argv[i]);
        (void)dyn_buf_add(out, "\r\n", 2);
    }
    return dyn_buf_result(out);
}

static dyn_err command_send(struct bus *bus, const struct dyn_str *argv, size_t argc,
                            int64_t timeout_ms, bus_fn *fn, void *arg)
{
    DYN_ASSERT(argc > 0);
    dyn_err err = command_format(bus, argv, argc);
    if (err != DYN_OK) {
        return err;
    }
    if (redisAsyncFormattedCommand(bus->redis, on_reply, NULL, bus->command.ptr,
                                   bus->command.len) != REDIS_OK) {
        return DYN_CLOSED;
    }
    call_push(bus, fn, arg, timeout_ms > 0 ? timeout_ms : DYN_BUS_COMMAND_TIMEOUT_MS);
    return DYN_OK;
}

dyn_err bus_command(struct bus *bus, const struct dyn_str *argv, size_t argc, int64_t timeout_ms,
                    bus_fn *fn, void *arg)
{
    if (!bus_is_ready(bus)) {
        return DYN_CLOSED;
    }
    if (bus->count >= DYN_BUS_PENDING_MAX) {
        return DYN_BUSY;
    }
    return command_send(bus, argv, argc, timeout_ms, fn, arg);
}

size_t bus_pending(const struct bus *bus)
{
    return bus->count;
}

bool bus_is_ready(const struct bus *bus)
{
    return bus->state == BUS_READY;
}

/* ---- the handshake ---- */

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

/* The value of a line "run_id:..." of INFO; empty when there is none. */
static struct dyn_str run_id_find(struct dyn_str info)
{
    static const char key[] = "run_id:";
    const char *at = info.len > 0 ? memmem(info.ptr, info.len, key, sizeof(key) - 1) : NULL;
    if (at == NULL) {
        return (struct dyn_str){"", 0};
    }
    at += sizeof(key) - 1;
    size_t left = info.len - (size_t)(at - info.ptr);
    const char *end = memchr(at, '\r', left);
    return (struct dyn_str){at, end != NULL ? (size_t)(end - at) : left};
}

static void on_info(void *arg, dyn_err err, const struct bus_reply *reply)
{
    struct bus *bus = arg;
    on_greeting(arg, err, reply);
    if (err != DYN_OK || bus->state != BUS_GREETING) {
        return;
    }
    struct dyn_str run_id = run_id_find(bus_reply_str(reply));
    if (run_id.len == 0) {
        greeting_refuse(bus, "the server tells no run_id", reply);
        return;
    }
    bus->state = BUS_READY;
    bus->was_ready = true;
    bus->ready_at_ms = dyn_loop_now_ms(bus->loop);
    bus->told = false;
    if (bus->options.ready != NULL) {
        bus->options.ready(bus->options.arg, run_id);
    }
}

static dyn_err greet(struct bus *bus)
{
    const struct bus_url *url = &bus->url;
    dyn_err err = DYN_OK;
    if (url->password[0] != '\0') {
        struct dyn_str auth[] = {DYN_STR("AUTH"), dyn_str_from(url->user),
                                 dyn_str_from(url->password)};
        bool named = url->user[0] != '\0';
        if (!named) {
            auth[1] = auth[2];
        }
        err = command_send(bus, auth, named ? 3 : 2, 0, on_auth, bus);
        explicit_bzero(bus->command.ptr, bus->command.len);
    }
    if (err == DYN_OK && url->db != 0) {
        char db[16];
        (void)snprintf(db, sizeof(db), "%d", url->db);
        struct dyn_str argv[] = {DYN_STR("SELECT"), dyn_str_from(db)};
        err = command_send(bus, argv, 2, 0, on_greeting, bus);
    }
    struct dyn_str name[] = {DYN_STR("CLIENT"), DYN_STR("SETNAME"), dyn_str_from(bus->name)};
    struct dyn_str role[] = {DYN_STR("ROLE")};
    struct dyn_str info[] = {DYN_STR("INFO"), DYN_STR("server")};
    if (err == DYN_OK) {
        err = command_send(bus, name, 3, 0, on_greeting, bus);
    }
    if (err == DYN_OK) {
        err = command_send(bus, role, 1, 0, on_role, bus);
    }
    return err == DYN_OK ? command_send(bus, info, 2, 0, on_info, bus) : err;
}

/* ---- hiredis on our loop ---- */

/* hiredis' own adapter for libuv drops libuv's errors, and then no callback ever comes. */
struct adapter {
    redisAsyncContext *redis;
    struct dyn_watch *watch;
    int events;
    bool busy;   /* inside on_event */
    bool closed; /* hiredis let go of it */
};

static void adapter_set(struct adapter *adapter, int events)
{
    if (adapter->events != events) {
        adapter->events = events;
        dyn_watch_set(adapter->watch, events);
    }
}

static void adapter_add_read(void *data)
{
    struct adapter *adapter = data;
    adapter_set(adapter, adapter->events | DYN_READABLE);
}

static void adapter_del_read(void *data)
{
    struct adapter *adapter = data;
    adapter_set(adapter, adapter->events & ~DYN_READABLE);
}

static void adapter_add_write(void *data)
{
    struct adapter *adapter = data;
    adapter_set(adapter, adapter->events | DYN_WRITABLE);
}

static void adapter_del_write(void *data)
{
    struct adapter *adapter = data;
    adapter_set(adapter, adapter->events & ~DYN_WRITABLE);
}

static void adapter_cleanup(void *data)
{
    struct adapter *adapter = data;
    dyn_watch_free(adapter->watch);
    adapter->watch = NULL;
    adapter->closed = true;
    if (!adapter->busy) {
        free(adapter);
    }
}

static void adapter_on_event(void *arg, int events)
{
    struct adapter *adapter = arg;
    adapter->busy = true;
    if ((events & DYN_READABLE) != 0) {
        redisAsyncHandleRead(adapter->redis);
    }
    if ((events & DYN_WRITABLE) != 0 && !adapter->closed) {
        redisAsyncHandleWrite(adapter->redis);
    }
    adapter->busy = false;
    if (adapter->closed) {
        free(adapter);
    }
}

static dyn_err adapter_attach(struct dyn_loop *loop, redisAsyncContext *redis)
{
    struct adapter *adapter = calloc(1, sizeof(*adapter));
    if (adapter == NULL) {
        return DYN_NOMEM;
    }
    adapter->redis = redis;
    adapter->watch = dyn_watch_new(loop, redis->c.fd, adapter_on_event, adapter);
    if (adapter->watch == NULL) {
        free(adapter);
        return DYN_NOMEM;
    }
    redis->ev.data = adapter;
    redis->ev.addRead = adapter_add_read;
    redis->ev.delRead = adapter_del_read;
    redis->ev.addWrite = adapter_add_write;
    redis->ev.delWrite = adapter_del_write;
    redis->ev.cleanup = adapter_cleanup;
    return DYN_OK;
}

/* ---- connecting ---- */

static redisAsyncContext *redis_open(const struct bus_url *url)
{
    if (url->is_unix) {
        return redisAsyncConnectUnix(url->host);
    }
    return redisAsyncConnect(url->host, url->port);
}

static void bus_connect(struct bus *bus)
{
    DYN_ASSERT(bus->redis == NULL && bus->count == 0);
    bus->state = BUS_GREETING;
    bus->redis = redis_open(&bus->url);
    if (bus->redis == NULL) {
        bus_lose(bus, "out of memory", INT64_MIN);
        return;
    }
    if (bus->redis->err != 0) {
        char why[WHY_MAX];
        dyn_str_copy(why, sizeof(why), dyn_str_from(bus->redis->errstr));
        bus_drop(bus, why, INT64_MIN);
        return;
    }
    /* Neither library sets it, and a program that we start must not inherit the connection. */
    (void)fcntl(bus->redis->c.fd, F_SETFD, FD_CLOEXEC);
    bus->redis->data = bus;
    if (adapter_attach(bus->loop, bus->redis) != DYN_OK) {
        bus_drop(bus, "out of memory", INT64_MIN);
        return;
    }
    (void)redisAsyncSetConnectCallback(bus->redis, on_connect);
    (void)redisAsyncSetDisconnectCallback(bus->redis, on_disconnect);
    dyn_timer_start(bus->check, CHECK_EVERY_MS, CHECK_EVERY_MS);
    if (greet(bus) != DYN_OK) {
        bus_drop(bus, "out of memory", INT64_MIN);
    }
}

struct bus *bus_new(struct dyn_loop *loop, const struct bus_options *options,
                    struct dyn_error *error)
{
    DYN_ASSERT(loop != NULL && options->url != NULL && options->name != NULL);
    struct bus *bus = calloc(1, sizeof(*bus));
    if (bus == NULL) {
        (void)dyn_error_set(error, DYN_NOMEM, "out of memory");
        return NULL;
    }
    dyn_buf_init(&bus->command, COMMAND_BYTES_MAX);
    if (bus_url_parse(options->url, &bus->url, error) != DYN_OK) {
        goto fail;
    }
    bus->loop = loop;
    bus->options = *options;
    bus->options.url = NULL;  /* holds a password, and is the caller's */
    bus->options.name = NULL; /* copied */
    dyn_str_copy(bus->name, sizeof(bus->name), dyn_str_from(options->name));
    bus->calls = calloc(CALLS_MAX, sizeof(*bus->calls));
    bus->retry = dyn_timer_new(loop, on_retry, bus);
    bus->check = dyn_timer_new(loop, on_check, bus);
    if (bus->calls == NULL || bus->retry == NULL || bus->check == NULL) {
        (void)dyn_error_set(error, DYN_NOMEM, "out of memory");
        goto fail;
    }
    /* hiredis writes without MSG_NOSIGNAL. */
    (void)signal(SIGPIPE, SIG_IGN);
    dyn_timer_start(bus->retry, 0, 0);
    return bus;

fail:
    dyn_timer_free(bus->check);
    dyn_timer_free(bus->retry);
    bus_destroy(bus);
    return NULL;
}

void bus_free(struct bus *bus)
{
    if (bus == NULL || bus->dying) {
        return;
    }
    bus->dying = true;
    bus->state = BUS_DOWN;
    bus_enter(bus);
    dyn_timer_free(bus->check);
    dyn_timer_free(bus->retry);
    redis_detach(bus);
    calls_fail(bus, DYN_CANCELLED, INT64_MIN);
    bus_leave(bus);
}

/* ---- replies ---- */

enum bus_reply_type bus_reply_type(const struct bus_reply *reply)
{
    switch (reply_unwrap(reply)->type) {
    case REDIS_REPLY_STRING:
        return BUS_STRING;
    case REDIS_REPLY_STATUS:
        return BUS_STATUS;
    case REDIS_REPLY_ERROR:
        return BUS_ERROR;
    case REDIS_REPLY_INTEGER:
        return BUS_INTEGER;
    case REDIS_REPLY_ARRAY:
        return BUS_ARRAY;
    default:
        return BUS_NIL;
    }
}

struct dyn_str bus_reply_str(const struct bus_reply *reply)
{
    const redisReply *inner = reply_unwrap(reply);
    if (inner == NULL || inner->str == NULL) {
        return (struct dyn_str){"", 0};
    }
    return (struct dyn_str){inner->str, inner->len};
}

int64_t bus_reply_int(const struct bus_reply *reply)
{
    const redisReply *inner = reply_unwrap(reply);
    int64_t number = 0;
    if (inner->type == REDIS_REPLY_INTEGER) {
        return inner->integer;
    }
    return dyn_str_i64(bus_reply_str(reply), &number) == DYN_OK ? number : 0;
}

uint64_t bus_reply_u64(const struct bus_reply *reply)
{
    const redisReply *inner = reply_unwrap(reply);
    uint64_t number = 0;
    if (inner->type == REDIS_REPLY_INTEGER) {
        return inner->integer > 0 ? (uint64_t)inner->integer : 0;
    }
    return dyn_str_u64(bus_reply_str(reply), &number) == DYN_OK ? number : 0;
}

size_t bus_reply_count(const struct bus_reply *reply)
{
    const redisReply *inner = reply_unwrap(reply);
    return inner->type == REDIS_REPLY_ARRAY ? inner->elements : 0;
}

const struct bus_reply *bus_reply_at(const struct bus_reply *reply, size_t index)
{
    if (index >= bus_reply_count(reply)) {
        return NULL;
    }
    return reply_wrap(reply_unwrap(reply)->element[index]);
}
