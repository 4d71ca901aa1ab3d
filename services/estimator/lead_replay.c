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

/* The log does not go on where the leaders before stood: entries are gone, which nobody may have
 * folded. */
static void lead_miss(struct lead *lead)
{
    if (lead->breaks == BREAK_NONE) {
        dyn_log(DYN_LOG_WARN, "log_cut", "partition=%" PRIu32 " msg=%s", lead->partition,
                dyn_log_quoted("entries that were published from are gone from the log: nothing is "
                               "scaled down before the windows are covered"));
        lead->breaks = BREAK_REDIS;
    }
}

/* What lies further back than is read may have been trimmed; what lies after that may not. An entry
 * that nobody folds is not where reading began: the log is followed from its beginning then. */
static void lead_replay_first(struct lead *lead, struct entry_id id)
{
    lead->replaying = false;
    if (id.ms <= FOLD_MS_MAX) {
        lead->from = id;
    }
    if (lead->cursor.ms > lead->back.ms && entry_id_compare(id, lead->cursor) > 0) {
        lead_miss(lead);
    }
}

static void lead_replay_entry(void *arg, const struct bus_entry *entry)
{
    struct lead *lead = arg;
    if (lead->replaying) {
        lead_replay_first(lead, entry->id);
    }
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

static void lead_replay_from(struct lead *lead, struct entry_id last)
{
    int64_t back_ms = 2 * lead->host.service->config->longest_window_ms;
    lead->replaying = true;
    lead->back.ms = last.ms > (uint64_t)back_ms ? last.ms - (uint64_t)back_ms : 0;
    struct bus_range range = {
        .key = lead->values,
        .from = lead->back,
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
        bool found = newest != NULL && bus_reply_entry(newest, &entry) == DYN_OK;
        if (entry_id_compare(found ? entry.id : (struct entry_id){0, 0}, lead->cursor) < 0) {
            lead_miss(lead);
        }
        if (found) {
            lead_replay_from(lead, entry.id);
        } else {
            lead_follow(lead);
        }
    }
    lead_leave(lead);
}

void lead_replay(struct lead *lead)
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
