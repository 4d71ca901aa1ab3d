#include "common/bus_internal.h"

#include "common/clock.h"

#include <signal.h>

#define BACKOFF_FIRST_MS 100
#define BACKOFF_LAST_MS 5000
#define BACKOFF_LAST_SENTINEL_MS 1000 /* a failover is to be seen soon, and asking is cheap */
#define STABLE_MS 5000 /* a connection that lived so long was a good one: back off anew */

#define CHECK_EVERY_MS 100
#define GREETING_MS 5000          /* from connecting to ready */
#define GREETING_SENTINEL_MS 2000 /* as there may be another master to try */

/* One command's bytes: a full dyn_publish of the largest targets, with room to spare. */
#define COMMAND_BYTES_MAX ((size_t)DYN_PUBLISH_MAX * DYN_ENTRY_MAX + (size_t)1024 * 1024)

/* The handshake's commands are few, and wait in the same ring. */
#define HANDSHAKE_MAX 8
#define CALLS_MAX (DYN_BUS_PENDING_MAX + HANDSHAKE_MAX)

static void bus_destroy(struct bus *bus)
{
    dyn_buf_wipe(&bus->command);
    bus_url_fini(&bus->url);
    bus_sentinel_free(bus->sentinel);
    bus_tls_free(bus->tls);
    free(bus->calls);
    free(bus);
}

void bus_enter(struct bus *bus)
{
    bus->depth++;
}

void bus_leave(struct bus *bus)
{
    DYN_ASSERT(bus->depth > 0);
    bus->depth--;
    if (bus->depth == 0 && bus->dying) {
        bus_destroy(bus);
    }
}

/* ---- calls ---- */

void bus_call_push(struct bus *bus, bus_fn *fn, void *arg, int64_t timeout_ms)
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

static dyn_err reply_err(const struct bus_reply *reply)
{
    if (bus_reply_type(reply) != BUS_ERROR) {
        return DYN_OK;
    }
    return dyn_str_starts(bus_reply_str(reply), "FENCED") ? DYN_FENCED : DYN_REFUSED;
}

void bus_answered(struct bus *bus, const struct bus_reply *reply)
{
    if (bus->count == 0) {
        return;
    }
    bus_enter(bus);
    dyn_err err = reply_err(reply);
    struct call call = call_pop(bus);
    if (call.fn != NULL) {
        call.fn(call.arg, err, reply);
    }
    if (err == DYN_REFUSED && !bus->dying) {
        bus_trouble_see(bus, bus_reply_str(reply));
    }
    bus_leave(bus);
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
    int64_t last = bus->sentinel != NULL ? BACKOFF_LAST_SENTINEL_MS : BACKOFF_LAST_MS;
    int64_t bound = BACKOFF_FIRST_MS;
    for (unsigned i = 0; i < bus->attempts && bound < last; i++) {
        bound *= 2;
    }
    bound = bound < last ? bound : last;
    bus->attempts++;
    dyn_timer_start(bus->retry, 1 + (int64_t)(dyn_random() % (uint64_t)bound), 0);
}

static void lost_tell(struct bus *bus)
{
    if (bus->dying || (bus->told && strcmp(bus->why, bus->why_told) == 0)) {
        return;
    }
    bus->told = true;
    memcpy(bus->why_told, bus->why, sizeof(bus->why_told));
    if (bus->options.lost != NULL) {
        bus->options.lost(bus->options.arg, bus->why);
    }
}

/* The connection is gone from hiredis' side, or `redis` was detached: tell everyone. */
void bus_lose(struct bus *bus, const char *why, int64_t late_ms)
{
    dyn_str_copy(bus->why, sizeof(bus->why), dyn_str_from(why));
    bool goes_on = bus->sentinel != NULL && bus_sentinel_goes_on(bus, why);
    if (bus->was_ready && dyn_loop_now_ms(bus->loop) - bus->ready_at_ms >= STABLE_MS) {
        bus->attempts = 0;
    }
    bus->was_ready = false;
    bus->state = BUS_DOWN;
    bus->overdue = false;
    dyn_timer_stop(bus->check);
    if (goes_on) {
        dyn_timer_start(bus->retry, 0, 0);
    } else {
        retry_later(bus);
    }
    calls_fail(bus, DYN_CLOSED, late_ms);
    bus_kept_lose(bus, DYN_CLOSED);
    if (!goes_on) {
        lost_tell(bus);
    }
}

void bus_drop(struct bus *bus, const char *why, int64_t late_ms)
{
    bus_redis_detach(bus);
    bus_lose(bus, why, late_ms);
}

/* A late answer ends the connection. It must be late twice: when this program itself was held up,
 * the answer may lie in the socket, and one turn of the loop is needed to find it. */
static void on_check(void *arg)
{
    struct bus *bus = arg;
    int64_t now_ms = dyn_loop_now_ms(bus->loop);
    bool greets = bus->state == BUS_GREETING || bus->state == BUS_ASKING;
    if (!calls_late(bus, now_ms) && !(greets && now_ms >= bus->greeted_by_ms)) {
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

static void dial(struct bus *bus)
{
    bus->greeted_by_ms =
        dyn_loop_now_ms(bus->loop) + (bus->sentinel != NULL ? GREETING_SENTINEL_MS : GREETING_MS);
    if (bus->sentinel != NULL) {
        bus->state = bus_sentinel_aim(bus);
    } else {
        bus->state = BUS_GREETING;
        bus->target = (struct bus_target){
            .is_unix = bus->url.is_unix, .tls = bus->url.tls, .port = bus->url.port};
        memcpy(bus->target.host, bus->url.host, sizeof(bus->target.host));
    }
    dyn_timer_start(bus->check, CHECK_EVERY_MS, CHECK_EVERY_MS);
    bus_connect(bus);
}

static void on_retry(void *arg)
{
    struct bus *bus = arg;
    bus_enter(bus);
    if (bus->state == BUS_RESETTING) {
        char why[BUS_WHY_MAX];
        dyn_str_copy(why, sizeof(why), dyn_str_from(bus->why));
        bus_drop(bus, why, INT64_MIN);
    } else {
        dial(bus);
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

/* ---- sending ---- */

dyn_err bus_command(struct bus *bus, const struct dyn_str *argv, size_t argc, int64_t timeout_ms,
                    bus_fn *fn, void *arg)
{
    if (!bus_is_ready(bus)) {
        return DYN_CLOSED;
    }
    if (bus->count >= DYN_BUS_PENDING_MAX) {
        return DYN_BUSY;
    }
    return bus_command_send(bus, argv, argc, timeout_ms, fn, arg);
}

size_t bus_pending(const struct bus *bus)
{
    return bus->count;
}

bool bus_is_ready(const struct bus *bus)
{
    return bus->state == BUS_READY;
}

/* ---- life ---- */

/* What the URL leaves out, or what stands instead of it. */
static dyn_err access_take(struct bus *bus, const struct bus_access *access,
                           struct dyn_error *error)
{
    static const struct bus_access none = {0};
    struct bus_url *url = &bus->url;
    access = access != NULL ? access : &none;
    if (strlen(access->username != NULL ? access->username : "") >= sizeof(url->user) ||
        strlen(access->password != NULL ? access->password : "") >= sizeof(url->password)) {
        return dyn_error_set(error, DYN_CONFIG, "user or password of Redis is too long");
    }
    if (access->password != NULL) {
        if (access->username != NULL) {
            dyn_str_copy(url->user, sizeof(url->user), dyn_str_from(access->username));
        }
        dyn_str_copy(url->password, sizeof(url->password), dyn_str_from(access->password));
    }
    if (!url->tls && (access->tls_ca != NULL || access->tls_cert != NULL || access->tls_insecure)) {
        return dyn_error_set(error, DYN_CONFIG,
                             "tls_ca, tls_cert, tls_key and tls_insecure need a Redis URL that "
                             "begins with rediss://");
    }
    bus->replicas = access->replicas;
    if (url->tls && (bus->tls = bus_tls_new(access, error)) == NULL) {
        return DYN_CONFIG;
    }
    if (access->sentinel_master != NULL && url->is_unix) {
        return dyn_error_set(error, DYN_CONFIG,
                             "with Sentinels the Redis URL must begin with redis:// or rediss://");
    }
    if (access->sentinel_master != NULL &&
        (bus->sentinel = bus_sentinel_new(access, error)) == NULL) {
        return DYN_CONFIG;
    }
    return DYN_OK;
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
    if (bus_url_parse(options->url, &bus->url, error) != DYN_OK ||
        access_take(bus, options->access, error) != DYN_OK) {
        goto fail;
    }
    bus->loop = loop;
    bus->options = *options;
    bus->options.url = NULL; /* holds a password, and is the caller's */
    bus->options.access = NULL;
    bus->options.name = NULL; /* copied */
    dyn_str_copy(bus->name, sizeof(bus->name), dyn_str_from(options->name));
    bus->calls = calloc(CALLS_MAX, sizeof(*bus->calls));
    bus->retry = dyn_timer_new(loop, on_retry, bus);
    bus->check = dyn_timer_new(loop, on_check, bus);
    bus->wait = dyn_timer_new(loop, bus_kept_wait, bus);
    if (bus->calls == NULL || bus->retry == NULL || bus->check == NULL || bus->wait == NULL) {
        (void)dyn_error_set(error, DYN_NOMEM, "out of memory");
        goto fail;
    }
    /* hiredis writes without MSG_NOSIGNAL. */
    (void)signal(SIGPIPE, SIG_IGN);
    dyn_timer_start(bus->retry, 0, 0);
    return bus;

fail:
    dyn_timer_free(bus->wait);
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
    dyn_timer_free(bus->wait);
    dyn_timer_free(bus->check);
    dyn_timer_free(bus->retry);
    bus_redis_detach(bus);
    calls_fail(bus, DYN_CANCELLED, INT64_MIN);
    bus_kept_lose(bus, DYN_CANCELLED);
    bus_leave(bus);
}
