#include "estimator/lead_internal.h"

#include "common/clock.h"

#include <inttypes.h>

#define LEAD_VALUES_PERCENT 75 /* of redis.max_bytes, for the values of all partitions */

static void lead_free(struct lead *lead)
{
    fold_free(lead->fold);
    pack_reader_free(lead->unpack);
    publish_free(lead->queue);
    dyn_timer_free(lead->timer);
    dyn_buf_fini(&lead->scratch);
    dyn_buf_fini(&lead->report_bytes);
    free(lead);
}

void lead_hold(struct lead *lead)
{
    lead->holds++;
}

void lead_leave(struct lead *lead)
{
    lead->holds--;
    if (lead->ended && lead->holds == 0) {
        lead_free(lead);
    }
}

static void lead_stop(struct lead *lead)
{
    lead->ended = true;
    dyn_timer_stop(lead->timer);
    if (lead->stream != SIZE_MAX) {
        bus_reader_forget(lead->host.reader, lead->stream);
        lead->stream = SIZE_MAX;
    }
}

void lead_over(struct lead *lead, bool fenced, const char *why)
{
    if (!lead->ended) {
        lead_stop(lead);
        lead->host.over(lead->host.arg, lead->partition, fenced, why);
    }
}

bool lead_send(struct lead *lead, const struct dyn_str *argv, size_t argc, bus_fn *fn)
{
    dyn_err err = bus_command(lead->host.service->bus, argv, argc, 0, fn, lead);
    if (err != DYN_OK) {
        lead_over(lead, false, dyn_err_text(err));
        return false;
    }
    lead_hold(lead);
    return true;
}

bool lead_good(struct lead *lead, dyn_err err, const struct bus_reply *reply, const char *what)
{
    if (lead->ended) {
        return false;
    }
    if (err == DYN_OK) {
        return true;
    }
    char why[DYN_ERROR_TEXT_MAX];
    struct dyn_str words = reply != NULL ? bus_reply_str(reply) : DYN_STR("");
    snprintf(why, sizeof(why), "%s: %s%s" DYN_STR_FMT, what, dyn_err_text(err),
             words.len > 0 ? ": " : "", DYN_STR_ARG(words));
    lead_over(lead, err == DYN_FENCED, why);
    return false;
}

/* ---- following ---- */

static void lead_count(struct lead *lead)
{
    struct fold_counts now;
    fold_counts(lead->fold, &now);
    const struct fold_counts *before = &lead->counted;
    struct lead_metrics *metrics = &lead->host.metrics;
    metrics->samples->value += (double)(now.samples - before->samples);
    metrics->failed->value += (double)(now.failed - before->failed);
    metrics->unknown->value += (double)(now.unknown - before->unknown);
    metrics->lost->value += (double)(now.lost - before->lost);
    metrics->malformed->value += (double)(now.malformed - before->malformed);
    metrics->ticks->value += (double)(now.ticks - before->ticks);
    lead->counted = now;
}

void lead_entry(struct lead *lead, const struct bus_entry *entry)
{
    if (lead->ended) {
        return;
    }
    lead->entries++;
    lead->bytes += entry->message.len + 32; /* about what a stream adds to an entry */
    (void)fold_entry(lead->fold, lead->unpack, entry->id, entry->message, &lead->out);
}

void lead_round(struct lead *lead)
{
    lead_hold(lead);
    lead_flush_reports(lead);
    lead_publish(lead);
    lead_leave(lead);
}

static void lead_ticked(void *arg, dyn_err err, const struct bus_reply *reply)
{
    struct lead *lead = arg;
    if (lead_good(lead, err, reply, "dyn_tick")) {
        lead->tick_in_flight = false;
        lead->host.ticked(lead->host.arg, lead->partition, lead->tick_sent_ms);
    }
    lead_leave(lead);
}

/* How many entries the partition's share of redis.max_bytes holds; 0: not known yet. */
static uint64_t lead_entries_max(const struct lead *lead)
{
    const struct config_redis *redis = &lead->host.service->config->redis;
    if (lead->entries < 1000) {
        return 0;
    }
    uint64_t share = (uint64_t)redis->max_bytes * LEAD_VALUES_PERCENT / 100 / redis->partitions;
    return share / (lead->bytes / lead->entries) + 1;
}

void lead_send_tick(struct lead *lead)
{
    int64_t boot = dyn_clock_boot_ms();
    lead->tick = (struct tick){
        .epoch = lead->epoch_number,
        .elapsed_ms = lead->tick_sent_ms != 0 ? boot - lead->tick_sent_ms : 0,
        .config = fold_config(lead->fold)->hash,
        .breaks = lead->breaks,
        .from = lead->from,
    };
    pins_fill(lead->host.pins, lead->partition, dyn_clock_wall_ms(), &lead->tick);
    dyn_buf_clear(&lead->scratch);
    message_write_tick(&lead->scratch, &lead->tick);
    uint64_t last_ms = fold_last(lead->fold).ms;
    uint64_t kept_ms = 2 * (uint64_t)lead->host.service->config->longest_window_ms;
    char minid[24];
    char maxlen[24];
    snprintf(minid, sizeof(minid), "%" PRIu64, last_ms > kept_ms ? last_ms - kept_ms : 0);
    snprintf(maxlen, sizeof(maxlen), "%" PRIu64, lead_entries_max(lead));
    struct dyn_str argv[] = {
        DYN_STR("FCALL"),          DYN_STR("dyn_tick"),         DYN_STR("2"),
        dyn_str_from(lead->lease), dyn_str_from(lead->values),  dyn_str_from(lead->host.owner),
        dyn_str_from(lead->epoch), dyn_buf_str(&lead->scratch), dyn_str_from(minid),
        dyn_str_from(maxlen)};
    if (!lead_send(lead, argv, 10, lead_ticked)) {
        return;
    }
    lead->breaks = BREAK_NONE;
    lead->tick_in_flight = true;
    lead->tick_sent_ms = boot;
    lead->mark_due = lead->mark_due || lead->ticks++ % LEAD_MARK_TICKS == 0;
    lead_publish(lead);
}

void lead_tick(struct lead *lead)
{
    lead_hold(lead);
    if (lead->stream != SIZE_MAX && !lead->tick_in_flight) {
        lead_count(lead);
        lead_send_tick(lead);
    }
    lead_leave(lead);
}

/* ---- its life ---- */

static void lead_begin(void *arg)
{
    struct lead *lead = arg;
    lead_hold(lead);
    lead_replay(lead);
    lead_leave(lead);
}

static void lead_key(const struct lead *lead, char *out, const char *name)
{
    struct dyn_buf key;
    dyn_buf_init(&key, LEAD_KEY_MAX - 1);
    bus_key_partition(&key, lead->host.service->config->redis.prefix, lead->partition, name);
    dyn_str_copy(out, LEAD_KEY_MAX, dyn_buf_str(&key));
    dyn_buf_fini(&key);
}

struct lead *lead_start(const struct lead_host *host, uint32_t partition,
                        const struct lease_grant *grant, uint32_t breaks)
{
    struct lead *lead = calloc(1, sizeof(*lead));
    if (lead == NULL) {
        return NULL;
    }
    lead->host = *host;
    lead->partition = partition;
    lead->epoch_number = grant->epoch;
    dyn_str_copy(lead->epoch, sizeof(lead->epoch), grant->epoch_text);
    lead->breaks = breaks;
    lead->cursor = grant->cursor;
    lead->stream = SIZE_MAX;
    lead->unpack = pack_reader_new();
    lead->timer = dyn_timer_new(host->service->loop, lead_begin, lead);
    lead->out = lead_out(lead);
    dyn_buf_init(&lead->scratch, DYN_ENTRY_MAX);
    dyn_buf_init(&lead->report_bytes, DYN_ENTRY_MAX);
    if (lead->unpack == NULL || lead->timer == NULL) {
        lead_free(lead);
        return NULL;
    }
    lead_key(lead, lead->lease, "lease");
    lead_key(lead, lead->values, "values");
    lead_key(lead, lead->targets, "targets");
    lead_key(lead, lead->reports, "reports");
    lead_key(lead, lead->newest, "newest");
    /* It begins from the loop, so that it cannot be over before this returns. */
    dyn_timer_start(lead->timer, 0, 0);
    return lead;
}

void lead_end(struct lead *lead)
{
    if (lead != NULL) {
        lead_hold(lead);
        lead_stop(lead);
        lead_leave(lead);
    }
}

size_t lead_stream(const struct lead *lead)
{
    return lead->stream;
}

bool lead_is_live(const struct lead *lead)
{
    return lead->fold != NULL && fold_epoch(lead->fold) == lead->epoch_number;
}

int64_t lead_lag_ms(const struct lead *lead, int64_t wall_ms)
{
    return lead->fold != NULL ? wall_ms - (int64_t)fold_last(lead->fold).ms : 0;
}
