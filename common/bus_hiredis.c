#include "common/bus_internal.h"

#include "common/lookup.h"

#include <async.h>
#include <fcntl.h>

/* ---- replies ---- */

static const struct bus_reply *reply_wrap(const redisReply *reply)
{
    return (const struct bus_reply *)reply;
}

static const redisReply *reply_unwrap(const struct bus_reply *reply)
{
    return (const redisReply *)reply;
}

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

static bool reply_fill(redisReply *to, const redisReply *from)
{
    to->type = from->type;
    to->integer = from->integer;
    if (from->str != NULL) {
        to->str = malloc(from->len + 1);
        if (to->str == NULL) {
            return false;
        }
        memcpy(to->str, from->str, from->len);
        to->str[from->len] = '\0';
        to->len = from->len;
    }
    if (from->elements == 0) {
        return true;
    }
    to->element = calloc(from->elements, sizeof(void *));
    while (to->element != NULL && to->elements < from->elements) {
        redisReply *part = calloc(1, sizeof(*part));
        if (part == NULL) {
            return false;
        }
        to->element[to->elements] = part;
        if (!reply_fill(part, from->element[to->elements++])) {
            return false;
        }
    }
    return to->element != NULL;
}

static void reply_end(redisReply *reply)
{
    for (size_t i = 0; i < reply->elements; i++) {
        reply_end(reply->element[i]);
    }
    free(reply->element);
    free(reply->str);
    free(reply);
}

struct bus_reply *bus_reply_copy(const struct bus_reply *reply)
{
    redisReply *copy = calloc(1, sizeof(*copy));
    if (copy != NULL && !reply_fill(copy, reply_unwrap(reply))) {
        reply_end(copy);
        copy = NULL;
    }
    return (struct bus_reply *)copy;
}

void bus_reply_free(struct bus_reply *reply)
{
    if (reply != NULL) {
        reply_end((redisReply *)reply);
    }
}

/* ---- bounds ---- */

#if HIREDIS_MAJOR >= 1
typedef size_t reply_count;
#else
typedef int reply_count;
#endif

/* An array of n elements has 4 n bytes at least (":1\r\n"): what is claimed beyond is not reserved.
 */
#define REPLY_ELEMENTS_MAX (DYN_BUS_FOREIGN_REPLY_MAX / 4)
#define REPLY_TOO_BIG "an answer that is too big"

static void *(*array_create)(const redisReadTask *task, reply_count count);

static void *array_create_bounded(const redisReadTask *task, reply_count count)
{
    return (size_t)count <= REPLY_ELEMENTS_MAX ? array_create(task, count) : NULL;
}

static void redis_bound(redisAsyncContext *redis)
{
    static redisReplyObjectFunctions bounded;
    if (array_create == NULL) {
        bounded = *redis->c.reader->fn;
        array_create = bounded.createArray;
        bounded.createArray = array_create_bounded;
    }
    redis->c.reader->fn = &bounded;
}

/* Of a reply that is not whole yet, so much has come. */
static bool redis_over_bound(const redisAsyncContext *redis)
{
    const struct bus *bus = redis->data;
    return bus != NULL && bus->options.reply_max > 0 &&
           redis->c.reader->len - redis->c.reader->pos > bus->options.reply_max;
}

static const char *redis_why(const struct bus *bus, const redisAsyncContext *redis)
{
    if (bus->options.reply_max > 0 && redis->c.err == REDIS_ERR_OOM) {
        return REPLY_TOO_BIG;
    }
    return bus_tls_why(bus->tls, redis->errstr);
}

/* ---- the end of a connection ---- */

/* Take the connection away from hiredis; it frees its context when it can. */
void bus_redis_detach(struct bus *bus)
{
    redisAsyncContext *redis = bus->redis;
    dyn_lookup_free(bus->lookup);
    bus->lookup = NULL;
    bus->redis = NULL;
    if (redis != NULL) {
        redis->data = NULL;
        redisAsyncFree(redis);
    }
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
    bus_lose(bus, status == REDIS_OK ? "the connection was closed" : redis_why(bus, redis),
             INT64_MIN);
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

static void on_reply(redisAsyncContext *redis, void *data, void *private_data)
{
    (void)private_data;
    struct bus *bus = redis->data;
    if (bus != NULL && data != NULL) { /* else detached, or on its way to on_disconnect */
        bus_answered(bus, reply_wrap(data));
    }
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

dyn_err bus_command_send(struct bus *bus, const struct dyn_str *argv, size_t argc,
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
    bus_call_push(bus, fn, arg, timeout_ms > 0 ? timeout_ms : DYN_BUS_COMMAND_TIMEOUT_MS);
    return DYN_OK;
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
    bus_tls_clear();
    if ((events & DYN_READABLE) != 0) {
        redisAsyncHandleRead(adapter->redis);
    }
    if (!adapter->closed && redis_over_bound(adapter->redis)) {
        struct bus *bus = adapter->redis->data;
        bus_enter(bus);
        bus_drop(bus, REPLY_TOO_BIG, INT64_MIN);
        bus_leave(bus);
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

/* `address` is numeric, or the socket's path: hiredis would wait for a resolver. */
static void redis_open(struct bus *bus, const char *address)
{
    bus->redis = bus->target.is_unix ? redisAsyncConnectUnix(address)
                                     : redisAsyncConnect(address, bus->target.port);
    if (bus->redis == NULL) {
        bus_lose(bus, "out of memory", INT64_MIN);
        return;
    }
    if (bus->redis->err != 0) {
        char why[BUS_WHY_MAX];
        dyn_str_copy(why, sizeof(why), dyn_str_from(bus->redis->errstr));
        bus_drop(bus, why, INT64_MIN);
        return;
    }
    /* Neither library sets it, and a program that we start must not inherit the connection. */
    (void)fcntl(bus->redis->c.fd, F_SETFD, FD_CLOEXEC);
    bus->redis->data = bus;
    if (bus->options.reply_max > 0) {
        redis_bound(bus->redis);
    }
    if (adapter_attach(bus->loop, bus->redis) != DYN_OK) {
        bus_drop(bus, "out of memory", INT64_MIN);
        return;
    }
    if (bus->target.tls && bus_tls_begin(bus->tls, bus->redis, bus->target.host) != DYN_OK) {
        char why[BUS_WHY_MAX];
        dyn_str_copy(why, sizeof(why), dyn_str_from(bus_tls_why(bus->tls, bus->redis->c.errstr)));
        bus_drop(bus, why, INT64_MIN);
        return;
    }
    (void)redisAsyncSetConnectCallback(bus->redis, on_connect);
    (void)redisAsyncSetDisconnectCallback(bus->redis, on_disconnect);
    if (bus_greet(bus) != DYN_OK) {
        bus_drop(bus, "out of memory", INT64_MIN);
    }
}

static void on_lookup(void *arg, const char *const *addresses, size_t count, const char *why)
{
    struct bus *bus = arg;
    bus_enter(bus);
    dyn_lookup_free(bus->lookup);
    bus->lookup = NULL;
    if (count > 0) {
        /* One that does not answer must not hide the others for ever. */
        redis_open(bus, addresses[bus->attempts % count]);
    } else {
        bus_lose(bus, why, INT64_MIN);
    }
    bus_leave(bus);
}

void bus_connect(struct bus *bus)
{
    DYN_ASSERT(bus->redis == NULL && bus->lookup == NULL && bus->count == 0);
    if (bus->target.is_unix || dyn_address_is_numeric(bus->target.host)) {
        redis_open(bus, bus->target.host);
        return;
    }
    bus->lookup = dyn_lookup_new(bus->loop, bus->target.host, on_lookup, bus);
    if (bus->lookup == NULL) {
        bus_lose(bus, "out of memory", INT64_MIN);
    }
}
