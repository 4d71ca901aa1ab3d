#include "reporter/host.h"

#include "common/clock.h"

#include <stdarg.h>

enum {
    BURY_RETRY_MS = 1000,
    MAY_RETRY_MS = 250,
    TURN_MAX = 64,
    LABELS_MAX = 1024
};

enum host_phase {
    HOST_IDLE,    /* the first item, if any, has not been begun */
    HOST_WITH,    /* the sink has it; the timer is its limit */
    HOST_PAUSE,   /* it failed; the timer begins the next try */
    HOST_BURYING, /* among the dead letters soon; the timer, if active, tries again */
};

struct sink_host {
    struct host_options options;
    void *state;
    struct host_item *items; /* a ring */
    size_t items_max;
    size_t gather_max;
    size_t first;
    size_t count;
    size_t bytes;
    size_t gathered; /* of the first items: the sink has them */
    bool flushing;   /* it was told to send them */
    int64_t wait_until_ms;
    enum host_phase phase;
    unsigned tries; /* of the first item that failed */
    struct sink_delivery delivery;
    struct dyn_error why; /* the last failure's words */
    struct dyn_timer *timer;
    struct dyn_timer *turn; /* goes on with the queue, so that the loop turns in between */
    bool pumping;
    bool full; /* an item was refused since the last `room` */
    bool draining;
};

static void host_pump(struct sink_host *host);
static void timer_passed(void *arg);

const struct config_sink *sink_config(const struct sink_host *host)
{
    return host->options.config;
}

struct dyn_loop *sink_loop(const struct sink_host *host)
{
    return host->options.loop;
}

struct http_client *sink_http(const struct sink_host *host)
{
    return host->options.http;
}

struct host_counters host_counters_make(struct metrics *metrics, const char *sink)
{
    struct dyn_buf labels;
    dyn_buf_init(&labels, LABELS_MAX);
    metrics_label(&labels, "sink", dyn_str_from(sink));
    const char *text = dyn_buf_text(&labels);
    struct host_counters counters = {
        .accepted = &metrics_counter(metrics, "dynosaur_reporter_accepted_total", text,
                                     "Deliveries that the sink accepted.")
                         ->value,
        .failed = &metrics_counter(metrics, "dynosaur_reporter_failures_total", text,
                                   "Tries that failed.")
                       ->value,
        .dead = &metrics_counter(metrics, "dynosaur_reporter_dead_total", text,
                                 "Entries among the dead letters.")
                     ->value,
        .dropped = &metrics_counter(metrics, "dynosaur_reporter_dropped_total", text,
                                    "Statistics dropped: the sink was too slow.")
                        ->value,
        .queued = &metrics_gauge(metrics, "dynosaur_reporter_queued", text,
                                 "Entries that wait for the sink.")
                       ->value};
    dyn_buf_fini(&labels);
    return counters;
}

static void turn_passed(void *arg)
{
    host_pump(arg);
}

dyn_err host_new(const struct host_options *options, struct sink_host **out_host,
                 struct dyn_error *error)
{
    struct sink_host *host = calloc(1, sizeof *host);
    dyn_err err = DYN_NOMEM;
    if (host == NULL) {
        return dyn_error_set(error, DYN_NOMEM, "out of memory");
    }
    host->options = *options;
    host->gather_max = options->ops->gather_max > 0 ? options->ops->gather_max : HOST_GATHER_MAX;
    host->items_max = 2 * host->gather_max > HOST_QUEUE_MAX ? 2 * host->gather_max : HOST_QUEUE_MAX;
    host->items = calloc(host->items_max, sizeof *host->items);
    host->state = calloc(1, options->ops->state_size > 0 ? options->ops->state_size : 1);
    host->timer = dyn_timer_new(options->loop, timer_passed, host);
    host->turn = dyn_timer_new(options->loop, turn_passed, host);
    if (host->items == NULL || host->state == NULL || host->timer == NULL || host->turn == NULL) {
        (void)dyn_error_set(error, DYN_NOMEM, "out of memory");
        goto fail;
    }
    err = options->ops->init(host->state, host, error);
    if (err != DYN_OK) {
        goto fail;
    }
    *out_host = host;
    return DYN_OK;
fail:
    dyn_timer_free(host->timer);
    dyn_timer_free(host->turn);
    free(host->state);
    free(host->items);
    free(host);
    return err;
}

/* ---- the queue ---- */

static struct host_item *item_at(struct sink_host *host, size_t index)
{
    return &host->items[(host->first + index) % host->items_max];
}

static void item_pop(struct sink_host *host)
{
    struct host_item *item = item_at(host, 0);
    host->bytes -= item->message.len;
    dyn_buf_fini(&item->message);
    host->first = (host->first + 1) % host->items_max;
    host->count--;
    *host->options.counters.queued = (double)host->count;
}

/* What the sink has already stays where it is; the next one goes. */
static void oldest_drop(struct sink_host *host)
{
    size_t begun = host->gathered;
    if (host->phase != HOST_IDLE && !host->flushing) {
        begun++;
    }
    DYN_ASSERT(begun < host->count);
    struct host_item victim = *item_at(host, begun);
    for (size_t i = begun; i > 0; i--) {
        *item_at(host, i) = *item_at(host, i - 1);
    }
    *item_at(host, 0) = victim;
    item_pop(host);
    (*host->options.counters.dropped)++;
}

static bool queue_is_full(const struct sink_host *host, size_t more)
{
    return host->count == host->items_max || host->bytes + more > HOST_QUEUE_BYTES_MAX;
}

dyn_err host_add(struct sink_host *host, size_t stream, struct entry_id id, struct dyn_str message)
{
    if (message.len > DYN_ENTRY_MAX) {
        return DYN_TOOBIG;
    }
    if (queue_is_full(host, message.len) && !host->options.drop_oldest) {
        host->full = true;
        return DYN_BUSY;
    }
    while (queue_is_full(host, message.len)) {
        oldest_drop(host);
    }
    struct host_item item = {.stream = stream, .id = id};
    dyn_buf_init(&item.message, DYN_ENTRY_MAX);
    dyn_err err = dyn_buf_add_str(&item.message, message);
    if (err != DYN_OK) {
        dyn_buf_fini(&item.message);
        return err;
    }
    *item_at(host, host->count) = item;
    host->count++;
    host->bytes += message.len;
    *host->options.counters.queued = (double)host->count;
    host_pump(host);
    return DYN_OK;
}

/* ---- one item's way ---- */

static void item_end(struct sink_host *host)
{
    host->phase = HOST_IDLE;
    dyn_timer_stop(host->timer);
    host->options.accepted(host->options.arg, item_at(host, 0));
    item_pop(host);
    if (host->gathered > 0) {
        host->gathered--;
    }
    if (host->gathered == 0) {
        host->flushing = false;
        host->tries = 0;
    }
}

static bool host_may(const struct sink_host *host)
{
    return !host->draining && host->options.may(host->options.arg);
}

/* To the sink: the item behind what it has gathered, or the word to send that. */
static void item_deliver(struct sink_host *host)
{
    int64_t wait_ms = host->wait_until_ms - dyn_loop_now_ms(host->options.loop);
    bool may = host_may(host);
    if (!may || wait_ms > 0) {
        int64_t least_ms = may ? 0 : MAY_RETRY_MS;
        host->phase = HOST_PAUSE;
        dyn_timer_start(host->timer, wait_ms > least_ms ? wait_ms : least_ms, 0);
        return;
    }
    host->phase = HOST_WITH;
    dyn_timer_start(host->timer, HOST_ANSWER_MS, 0);
    if (host->flushing) {
        host->options.ops->flush(host->state, host);
    } else {
        host->delivery.first = host->gathered == 0;
        host->options.ops->deliver(host->state, host, &host->delivery);
    }
}

/* Of what was gathered, what had nothing to tell is no loss. */
static void item_bury(struct sink_host *host)
{
    while (host->flushing && !item_at(host, 0)->told) {
        item_end(host);
    }
    if (host->count == 0 || (host->phase == HOST_IDLE && !host->flushing)) {
        return;
    }
    host->phase = HOST_BURYING;
    dyn_timer_stop(host->timer);
    if (!host->options.may(host->options.arg)) {
        dyn_timer_start(host->timer, BURY_RETRY_MS, 0);
        return;
    }
    host->options.bury(host->options.arg, item_at(host, 0), host->why.text);
}

static void item_fail(struct sink_host *host, dyn_err err)
{
    host->tries++;
    (*host->options.counters.failed)++;
    if (dyn_err_advice(err) != DYN_ADVICE_RETRY || host->tries == HOST_TRIES) {
        item_bury(host);
        return;
    }
    int64_t most_ms = (int64_t)HOST_BACKOFF_FIRST_MS << (host->tries - 1);
    most_ms = most_ms < HOST_BACKOFF_LAST_MS ? most_ms : HOST_BACKOFF_LAST_MS;
    int64_t pause_ms = (int64_t)(dyn_random() % (uint64_t)(most_ms + 1));
    int64_t wait_ms = host->wait_until_ms - dyn_loop_now_ms(host->options.loop);
    host->phase = HOST_PAUSE;
    dyn_timer_start(host->timer, pause_ms > wait_ms ? pause_ms : wait_ms, 0);
}

void sink_wait(struct sink_host *host, int64_t wait_ms)
{
    host->wait_until_ms = dyn_loop_now_ms(host->options.loop) + wait_ms;
}

void sink_gather(struct sink_host *host)
{
    DYN_ASSERT(host->phase == HOST_WITH && !host->flushing);
    DYN_ASSERT(host->options.ops->flush != NULL);
    host->phase = HOST_IDLE;
    dyn_timer_stop(host->timer);
    host->gathered++;
    host_pump(host);
}

/* One word of the sink ends all that it has. */
static void items_accept(struct sink_host *host)
{
    size_t count = host->flushing ? host->gathered : 1;
    DYN_ASSERT(host->flushing || host->gathered == 0);
    for (size_t i = 0; i < count; i++) {
        *host->options.counters.accepted += item_at(host, 0)->told;
        item_end(host);
    }
}

void sink_done(struct sink_host *host, dyn_err err, const char *format, ...)
{
    if (host->phase != HOST_WITH) {
        return; /* an answer after cancel() */
    }
    if (err == DYN_OK) {
        items_accept(host);
    } else {
        va_list args;
        va_start(args, format);
        (void)vsnprintf(host->why.text, sizeof host->why.text, format, args);
        va_end(args);
        item_fail(host, err);
    }
    host_pump(host);
}

void host_buried(struct sink_host *host, bool done)
{
    DYN_ASSERT(host->phase == HOST_BURYING);
    if (!done) {
        dyn_timer_start(host->timer, BURY_RETRY_MS, 0);
        return;
    }
    (*host->options.counters.dead)++;
    item_end(host);
    if (host->flushing) {
        item_bury(host);
    }
    host_pump(host);
}

static void timer_passed(void *arg)
{
    struct sink_host *host = arg;
    switch (host->phase) {
    case HOST_WITH:
        host->phase = HOST_PAUSE; /* no answer is taken any more */
        if (host->options.ops->cancel != NULL) {
            host->options.ops->cancel(host->state);
        }
        (void)dyn_error_set(&host->why, DYN_TIMEOUT, "no answer within %d s",
                            HOST_ANSWER_MS / 1000);
        item_fail(host, DYN_TIMEOUT);
        break;
    case HOST_PAUSE:
        item_deliver(host);
        break;
    case HOST_BURYING:
        item_bury(host);
        break;
    case HOST_IDLE:
        break;
    }
}

/* The next item, or, when there is none or enough are gathered, all of these. */
static void item_begin(struct sink_host *host)
{
    if (host->gathered > 0 &&
        (host->gathered == host->count || host->gathered == host->gather_max)) {
        host->flushing = true;
        item_deliver(host);
        return;
    }
    struct host_item *item = item_at(host, host->gathered);
    host->delivery = (struct sink_delivery){0};
    item->told = host->options.prepare(host->options.arg, item, &host->delivery);
    if (item->told) {
        item_deliver(host);
    } else if (host->gathered > 0) {
        host->gathered++; /* the cursor must not pass those before it */
    } else {
        item_end(host);
    }
}

/* Begin what waits. A sink may answer from inside deliver(): the loop here, not recursion, goes on;
 * and after some items the program's own loop is let turn. */
static void host_pump(struct sink_host *host)
{
    if (host->pumping) {
        return;
    }
    host->pumping = true;
    for (int i = 0; i < TURN_MAX && host->phase == HOST_IDLE && host->count > 0 && host_may(host);
         i++) {
        item_begin(host);
    }
    host->pumping = false;
    if (host->phase == HOST_IDLE && host->count > 0 && host_may(host)) {
        dyn_timer_start(host->turn, 0, 0);
    }
    if (host->full && host->count <= host->items_max / 2 && !host->draining) {
        host->full = false;
        host->options.room(host->options.arg);
    }
}

void host_go(struct sink_host *host)
{
    host_pump(host);
}

void host_drain(struct sink_host *host)
{
    host->draining = true;
}

bool host_is_idle(const struct sink_host *host)
{
    bool burying = host->phase == HOST_BURYING && !dyn_timer_active(host->timer);
    return host->phase != HOST_WITH && !burying;
}

size_t host_queued(const struct sink_host *host)
{
    return host->count;
}

void host_free(struct sink_host *host)
{
    if (host == NULL) {
        return;
    }
    if (host->phase == HOST_WITH && host->options.ops->cancel != NULL) {
        host->phase = HOST_IDLE;
        host->options.ops->cancel(host->state);
    }
    host->phase = HOST_IDLE;
    if (host->options.ops->fini != NULL) {
        host->options.ops->fini(host->state);
    }
    while (host->count > 0) {
        item_pop(host);
    }
    dyn_timer_free(host->timer);
    dyn_timer_free(host->turn);
    free(host->state);
    free(host->items);
    free(host);
}
