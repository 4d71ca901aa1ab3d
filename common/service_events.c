/* The events that wait to be told, and their way to the stream. */
#include "common/service_internal.h"

enum {
    EVENTS_RETRY_MS = 5000,
    EVENTS_ROOM_FIRST = 16
};

static void events_send(struct service_events *events);

static struct dyn_buf *waiting_at(struct service_events *events, size_t index)
{
    return &events->waiting[(events->first + index) % events->room];
}

static void waiting_pop(struct service_events *events)
{
    dyn_buf_fini(waiting_at(events, 0));
    events->first = (events->first + 1) % events->room;
    events->count--;
}

static bool waiting_grow(struct service_events *events)
{
    size_t room = events->room == 0 ? EVENTS_ROOM_FIRST : events->room * 2;
    struct dyn_buf *grown = room <= DYN_EVENTS_WAITING ? calloc(room, sizeof *grown) : NULL;
    if (grown == NULL) {
        return false;
    }
    for (size_t i = 0; i < events->count; i++) {
        grown[i] = *waiting_at(events, i);
    }
    free(events->waiting);
    events->waiting = grown;
    events->room = room;
    events->first = 0;
    return true;
}

static void drop_tell(struct service_events *events)
{
    events->dropped->value++;
    if (!events->losing) {
        dyn_log(DYN_LOG_ERROR, "events_dropped", "key=%s waiting=%zu msg=%s", events->key,
                events->count,
                dyn_log_quoted("more events than can wait for Redis: the oldest are not told"));
    }
    events->losing = true;
}

/* Make room for one more. What is under way stays: its answer is still to come. */
static void oldest_drop(struct service_events *events)
{
    drop_tell(events);
    if (events->sending) {
        struct dyn_buf under_way = *waiting_at(events, 0);
        *waiting_at(events, 0) = *waiting_at(events, 1);
        *waiting_at(events, 1) = under_way;
    }
    waiting_pop(events);
}

static void event_answered(void *arg, dyn_err err, const struct bus_reply *reply)
{
    struct service_events *events = arg;
    DYN_ASSERT(events->sending);
    DYN_ASSERT(events->count > 0);
    events->sending = false;
    if (err == DYN_OK) {
        events->sent->value++;
        waiting_pop(events);
    } else if (err == DYN_REFUSED && bus_reply_may_pass(reply)) {
        dyn_timer_start(events->retry, EVENTS_RETRY_MS, 0); /* Redis is full, or so; told already */
        return;
    } else if (err == DYN_REFUSED) {
        char words[DYN_ERROR_TEXT_MAX];
        dyn_str_copy(words, sizeof words, bus_reply_str(reply));
        dyn_log(DYN_LOG_ERROR, "event_refused", "key=%s msg=%s", events->key,
                dyn_log_quoted(words));
        events->dropped->value++;
        waiting_pop(events);
    }
    events_send(events);
}

static void events_send(struct service_events *events)
{
    if (events->count == 0) {
        events->losing = false;
        events->drained(events->arg);
        return;
    }
    if (!events->open || events->sending) {
        return;
    }
    dyn_err err = bus_add(events->bus, events->key, dyn_buf_str(waiting_at(events, 0)),
                          DYN_EVENTS_KEPT, event_answered, events);
    /* When the bus is busy the next event, or the next connection, tries again. */
    events->sending = err == DYN_OK;
}

void service_events_add(struct service_events *events, const struct event *event)
{
    struct dyn_buf bytes;
    dyn_buf_init(&bytes, DYN_ENTRY_MAX);
    message_write_event(&bytes, event);
    bool full = events->count == events->room && !waiting_grow(events);
    if (dyn_buf_result(&bytes) != DYN_OK || events->room == 0) {
        drop_tell(events);
        dyn_buf_fini(&bytes);
        return;
    }
    if (full) {
        oldest_drop(events);
    }
    *waiting_at(events, events->count) = bytes;
    events->count++;
    events_send(events);
}

void service_events_open(struct service_events *events, bool open)
{
    events->open = open;
    if (open) {
        events_send(events);
    }
}

void service_events_retry(void *arg)
{
    events_send(arg);
}

void service_events_fini(struct service_events *events)
{
    while (events->count > 0) {
        waiting_pop(events);
    }
    free(events->waiting);
    events->waiting = NULL;
    events->room = 0;
}
