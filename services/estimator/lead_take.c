#include "estimator/lead_internal.h"

#include <inttypes.h>

static void lead_follow(struct lead *lead)
{
    struct entry_id from = fold_last(lead->fold);
    lead->stream = bus_reader_follow(lead->host.reader, lead->values, from);
    if (lead->stream == SIZE_MAX) {
        lead_over(lead, false, "no memory to follow the log");
        return;
    }
    struct fold_counts counts;
    fold_counts(lead->fold, &counts);
    lead->counted = counts;
    dyn_log(DYN_LOG_INFO, "leading", "partition=%" PRIu32 " epoch=%s inputs=%zu replayed=%" PRIu64,
            lead->partition, lead->epoch, counts.inputs, counts.samples);
    lead_send_tick(lead);
}

static void lead_replay_entry(void *arg, const struct bus_entry *entry)
{
    struct lead *lead = arg;
    if (!lead->ended) {
        lead->host.metrics.replayed->value += 1;
        (void)fold_entry(lead->fold, lead->unpack, entry->id, entry->message, &lead->out);
    }
}

static void lead_replay_done(void *arg, dyn_err err)
{
    struct lead *lead = arg;
    if (lead_good(lead, err, NULL, "re-reading the log")) {
        lead_follow(lead);
    }
    lead_leave(lead);
}

static void lead_replay(struct lead *lead, struct entry_id last)
{
    int64_t back_ms = 2 * lead->host.service->config->longest_window_ms;
    struct bus_range range = {
        .key = lead->values,
        .from = {last.ms > (uint64_t)back_ms ? last.ms - (uint64_t)back_ms : 0, 0},
        .to = {UINT64_MAX, UINT64_MAX},
        .entry = lead_replay_entry,
        .done = lead_replay_done,
        .arg = lead,
    };
    dyn_err err = bus_range_start(lead->host.service->bus, &range);
    if (err == DYN_OK) {
        lead_hold(lead);
    } else {
        lead_over(lead, false, dyn_err_text(err));
    }
}

static void lead_found_newest(void *arg, dyn_err err, const struct bus_reply *reply)
{
    struct lead *lead = arg;
    struct bus_entry entry;
    if (lead_good(lead, err, reply, "the log's newest entry")) {
        const struct bus_reply *newest = bus_reply_at(reply, 0);
        if (newest != NULL && bus_reply_entry(newest, &entry) == DYN_OK) {
            lead_replay(lead, entry.id);
        } else {
            lead_follow(lead);
        }
    }
    lead_leave(lead);
}

static void lead_find_newest(struct lead *lead)
{
    struct dyn_str argv[] = {DYN_STR("XREVRANGE"), dyn_str_from(lead->values), DYN_STR("+"),
                             DYN_STR("-"),         DYN_STR("COUNT"),           DYN_STR("1")};
    lead->fold = fold_new(lead->host.service->config, lead->partition);
    struct fold_counts counts = {0};
    if (lead->fold != NULL) {
        fold_counts(lead->fold, &counts);
        lead->queue = publish_new(counts.controllers);
    }
    if (lead->queue == NULL) {
        lead_over(lead, false, "no memory for the windows");
        return;
    }
    (void)lead_send(lead, argv, 6, lead_found_newest);
}

static void lead_acquired(void *arg, dyn_err err, const struct bus_reply *reply)
{
    struct lead *lead = arg;
    if (lead_good(lead, err, reply, "dyn_acquire")) {
        const struct bus_reply *epoch = bus_reply_at(reply, 0);
        struct dyn_str text = epoch != NULL ? bus_reply_str(epoch) : DYN_STR("");
        dyn_str_copy(lead->epoch, sizeof(lead->epoch), text);
        if (dyn_str_u64(text, &lead->epoch_number) == DYN_OK) {
            lead_find_newest(lead);
        } else {
            lead_over(lead, false, "dyn_acquire answered with no epoch; run dynosaur setup");
        }
    }
    lead_leave(lead);
}

static void lead_acquire(struct lead *lead)
{
    struct dyn_str argv[] = {DYN_STR("FCALL"),
                             DYN_STR("dyn_acquire"),
                             DYN_STR("1"),
                             dyn_str_from(lead->lease),
                             dyn_str_from(lead->host.service->instance),
                             dyn_str_from(lead->seen_epoch),
                             dyn_str_from(lead->seen_beat),
                             DYN_STR("")};
    (void)lead_send(lead, argv, 8, lead_acquired);
}

static struct dyn_str lead_field(const struct bus_reply *reply, size_t index, struct dyn_str absent)
{
    const struct bus_reply *field = bus_reply_at(reply, index);
    return field != NULL && bus_reply_type(field) == BUS_STRING ? bus_reply_str(field) : absent;
}

static void lead_weigh(struct lead *lead, const struct bus_reply *reply)
{
    struct dyn_str owner = lead_field(reply, 0, DYN_STR(""));
    struct dyn_str epoch = lead_field(reply, 1, DYN_STR("0"));
    struct dyn_str beat = lead_field(reply, 2, DYN_STR("0"));
    int64_t now = dyn_loop_now_ms(lead->host.service->loop);
    if (!dyn_str_is(epoch, lead->seen_epoch) || !dyn_str_is(beat, lead->seen_beat)) {
        dyn_str_copy(lead->seen_epoch, sizeof(lead->seen_epoch), epoch);
        dyn_str_copy(lead->seen_beat, sizeof(lead->seen_beat), beat);
        lead->seen_at_ms = now;
    }
    if (!lead->patient || owner.len == 0 || now - lead->seen_at_ms >= LEAD_STILL_MS) {
        lead_acquire(lead);
    } else {
        dyn_timer_start(lead->timer, LEAD_RETRY_MS, 0);
    }
}

static void lead_looked(void *arg, dyn_err err, const struct bus_reply *reply)
{
    struct lead *lead = arg;
    if (lead_good(lead, err, reply, "the lease")) {
        lead_weigh(lead, reply);
    }
    lead_leave(lead);
}

void lead_look(struct lead *lead)
{
    struct dyn_str argv[] = {DYN_STR("HMGET"), dyn_str_from(lead->lease), DYN_STR("owner"),
                             DYN_STR("epoch"), DYN_STR("beat")};
    (void)lead_send(lead, argv, 5, lead_looked);
}
