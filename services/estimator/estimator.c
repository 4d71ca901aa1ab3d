#include "estimator/estimator.h"

#include "common/clock.h"
#include "estimator/lead.h"

#include <inttypes.h>

#define ESTIMATOR_LAG_MAX_MS 30000 /* behind the log by more: not ready */

struct estimator {
    struct service *service;
    struct bus_reader *reader; /* all partitions' logs, and the commands */
    size_t commands;           /* the reader's index of the stream of commands */
    struct pack_reader *unpack;
    struct pins pins;
    struct lead_host host;
    struct dyn_timer *ticker;
    struct dyn_timer *retry;
    struct lead *leads[DYN_PARTITIONS_MAX]; /* NULL: not led now */
    bool patient[DYN_PARTITIONS_MAX];       /* another estimator took it; until a lead is live */
    uint32_t breaks[DYN_PARTITIONS_MAX];    /* of the first tick; until a lead is live */
    char run_id[64];                        /* of the Redis that we knew last; "": none yet */
    bool commanding;                        /* the command connection stands, and fits */
    bool reading;                           /* the reader's connection stands */
    bool instructed;                        /* all commands of before the start have been read */
    struct metric *lag;
    struct metric *led;
};

static uint32_t estimator_partitions(const struct estimator *estimator)
{
    return estimator->service->config->redis.partitions;
}

static void estimator_end_leads(struct estimator *estimator, bool release)
{
    for (uint32_t p = 0; p < DYN_PARTITIONS_MAX; p++) {
        lead_end(estimator->leads[p], release);
        estimator->leads[p] = NULL;
    }
}

/* Take what is not led, once both connections stand. Not before the commands are known: a first
 * tick without the pins that are in force would let pinned apps go for a second. */
static void estimator_lead(void *arg)
{
    struct estimator *estimator = arg;
    if (!estimator->commanding || !estimator->reading || !estimator->instructed ||
        estimator->service->draining) {
        return;
    }
    bool all = true;
    for (uint32_t p = 0; p < estimator_partitions(estimator); p++) {
        if (estimator->leads[p] == NULL) {
            estimator->leads[p] =
                lead_start(&estimator->host, p, estimator->patient[p], estimator->breaks[p]);
        }
        all = all && estimator->leads[p] != NULL;
    }
    if (!all) {
        dyn_timer_start(estimator->retry, LEAD_RETRY_MS, 0);
    }
}

static void estimator_lead_over(void *arg, uint32_t partition, bool fenced, const char *why)
{
    struct estimator *estimator = arg;
    estimator->leads[partition] = NULL;
    estimator->patient[partition] = estimator->patient[partition] || fenced;
    if (estimator->commanding) {
        dyn_log(DYN_LOG_WARN, fenced ? "lease_lost" : "lead_ended", "partition=%" PRIu32 " msg=%s",
                partition, dyn_log_quoted(why));
    }
    if (!dyn_timer_active(estimator->retry)) {
        dyn_timer_start(estimator->retry, LEAD_RETRY_MS, 0);
    }
}

static void estimator_tick(void *arg)
{
    struct estimator *estimator = arg;
    int64_t wall = dyn_clock_wall_ms();
    int64_t lag = 0;
    uint32_t led = 0;
    for (uint32_t p = 0; p < estimator_partitions(estimator); p++) {
        struct lead *lead = estimator->leads[p];
        if (lead == NULL) {
            continue;
        }
        if (lead_is_live(lead)) {
            led++;
            estimator->patient[p] = false;
            estimator->breaks[p] = BREAK_NONE;
        }
        int64_t own = lead_lag_ms(lead, wall);
        lag = own > lag ? own : lag;
        lead_tick(lead);
    }
    estimator->lag->value = (double)lag / 1000;
    estimator->led->value = led;
}

/* ---- the reader ---- */

static void estimator_command(struct estimator *estimator, const struct bus_entry *entry)
{
    struct command command;
    dyn_err err = pack_reader_start(estimator->unpack, entry->message);
    if (err == DYN_OK && message_read_kind(estimator->unpack) == MESSAGE_COMMAND) {
        err = message_read_command(estimator->unpack, &command);
    } else {
        err = err == DYN_OK ? DYN_BADMSG : err;
    }
    if (err == DYN_OK) {
        err = pins_command(&estimator->pins, estimator->service->config, dyn_clock_wall_ms(),
                           &command);
    }
    if (err != DYN_OK) {
        dyn_log(DYN_LOG_WARN, "command_refused", "id=%" PRIu64 "-%" PRIu64 " msg=%s", entry->id.ms,
                entry->id.seq, dyn_log_quoted(dyn_err_text(err)));
    }
}

static void estimator_entry(void *arg, size_t stream, const struct bus_entry *entry)
{
    struct estimator *estimator = arg;
    if (stream == estimator->commands) {
        estimator_command(estimator, entry);
        return;
    }
    for (uint32_t p = 0; p < estimator_partitions(estimator); p++) {
        if (estimator->leads[p] != NULL && lead_stream(estimator->leads[p]) == stream) {
            lead_entry(estimator->leads[p], entry);
            return;
        }
    }
}

static void estimator_round(void *arg, bool behind)
{
    struct estimator *estimator = arg;
    if (!behind && !estimator->instructed) {
        estimator->instructed = true;
        estimator_lead(estimator);
    }
    for (uint32_t p = 0; p < estimator_partitions(estimator); p++) {
        if (estimator->leads[p] != NULL && lead_stream(estimator->leads[p]) != SIZE_MAX) {
            lead_round(estimator->leads[p]);
        }
    }
}

/* Another history behind the same address: what was folded may not be there any more. */
static void estimator_new_history(struct estimator *estimator, struct dyn_str run_id, bool rewound)
{
    bool other = estimator->run_id[0] != 0 && !dyn_str_is(run_id, estimator->run_id);
    dyn_str_copy(estimator->run_id, sizeof(estimator->run_id), run_id);
    if (!other && !rewound) {
        return;
    }
    dyn_log(DYN_LOG_WARN, "redis_history", "rewound=%d msg=%s", rewound,
            dyn_log_quoted("Redis was restarted or lost entries: windows are read again, and "
                           "nothing is scaled down before they are covered"));
    for (uint32_t p = 0; p < DYN_PARTITIONS_MAX; p++) {
        estimator->breaks[p] = BREAK_REDIS;
    }
    estimator_end_leads(estimator, false);
}

static void estimator_reader_ready(void *arg, struct dyn_str run_id, bool rewound)
{
    struct estimator *estimator = arg;
    estimator->reading = true;
    estimator_new_history(estimator, run_id, rewound);
    estimator_lead(estimator);
}

static void estimator_reader_lost(void *arg, const char *why)
{
    struct estimator *estimator = arg;
    estimator->reading = false;
    dyn_log(DYN_LOG_WARN, "reader_lost", "msg=%s", dyn_log_quoted(why));
}

static void estimator_reader_trouble(void *arg, const char *why)
{
    struct estimator *estimator = arg;
    service_redis_trouble(estimator->service, why);
}

/* ---- the service ---- */

static void estimator_make_metrics(struct estimator *estimator)
{
    struct metrics *metrics = estimator->service->metrics;
    struct lead_metrics *own = &estimator->host.metrics;
    own->samples = metrics_counter(metrics, "dynosaur_samples_total", "", "Samples folded.");
    own->failed = metrics_counter(metrics, "dynosaur_samples_failed_total", "",
                                  "Samples that told of a failed poll.");
    own->unknown = metrics_counter(metrics, "dynosaur_samples_unknown_total", "",
                                   "Samples of a series that the configuration does not have.");
    own->lost = metrics_counter(metrics, "dynosaur_samples_lost_total", "",
                                "Samples that collectors or Redis lost.");
    own->malformed = metrics_counter(metrics, "dynosaur_entries_malformed_total", "",
                                     "Entries of the log that are no message of ours.");
    own->ticks = metrics_counter(metrics, "dynosaur_ticks_total", "", "Ticks folded.");
    own->targets = metrics_counter(metrics, "dynosaur_targets_published_total", "",
                                   "Targets published, keyframes included.");
    own->reports =
        metrics_counter(metrics, "dynosaur_reports_total", "", "Controllers' reports written.");
    own->replayed = metrics_counter(metrics, "dynosaur_replayed_entries_total", "",
                                    "Entries re-read when a partition was taken.");
    estimator->lag = metrics_gauge(metrics, "dynosaur_fold_lag_seconds", "",
                                   "Age of the last folded entry, of the worst partition.");
    estimator->led = metrics_gauge(metrics, "dynosaur_partitions_led", "",
                                   "Partitions whose targets this process publishes.");
}

static void estimator_stop(struct service *service)
{
    struct estimator *estimator = service->state;
    estimator_end_leads(estimator, false);
    bus_reader_free(estimator->reader);
    pack_reader_free(estimator->unpack);
    dyn_timer_free(estimator->ticker);
    dyn_timer_free(estimator->retry);
}

static dyn_err estimator_start(struct service *service, struct dyn_error *error)
{
    struct estimator *estimator = service->state;
    estimator->service = service;
    struct bus_reader_options options = {
        .url = service->redis_url,
        .access = service->redis_access,
        .name = "dynosaur-estimator-reader",
        .entry = estimator_entry,
        .round = estimator_round,
        .ready = estimator_reader_ready,
        .lost = estimator_reader_lost,
        .trouble = estimator_reader_trouble,
        .arg = estimator,
    };
    estimator->reader = bus_reader_new(service->loop, &options, error);
    if (estimator->reader == NULL) {
        return DYN_CONFIG;
    }
    char key[DYN_NAME_MAX * 2];
    snprintf(key, sizeof(key), "%s:commands", service->config->redis.prefix);
    estimator->commands = bus_reader_follow(estimator->reader, key, (struct entry_id){0, 0});
    estimator->unpack = pack_reader_new();
    estimator->ticker = dyn_timer_new(service->loop, estimator_tick, estimator);
    estimator->retry = dyn_timer_new(service->loop, estimator_lead, estimator);
    if (estimator->commands == SIZE_MAX || estimator->unpack == NULL || estimator->ticker == NULL ||
        estimator->retry == NULL) {
        return dyn_error_set(error, DYN_NOMEM, "no memory to start");
    }
    estimator->host.service = service;
    estimator->host.reader = estimator->reader;
    estimator->host.pins = &estimator->pins;
    estimator->host.over = estimator_lead_over;
    estimator->host.arg = estimator;
    estimator_make_metrics(estimator);
    dyn_timer_start(estimator->ticker, LEAD_TICK_MS, LEAD_TICK_MS);
    return DYN_OK;
}

static void estimator_redis_ready(struct service *service, struct dyn_str run_id)
{
    struct estimator *estimator = service->state;
    estimator->commanding = true;
    estimator_new_history(estimator, run_id, false);
    estimator_lead(estimator);
}

static void estimator_redis_lost(struct service *service, const char *why)
{
    struct estimator *estimator = service->state;
    (void)why;
    estimator->commanding = false;
    estimator_end_leads(estimator, false);
}

/* Another configuration is another fold: each partition is taken anew, under a new epoch. */
static void estimator_reload(struct service *service, struct config *next)
{
    struct estimator *estimator = service->state;
    (void)next; /* service->config is it when the timer fires */
    estimator_end_leads(estimator, false);
    dyn_timer_start(estimator->retry, 0, 0);
}

static void estimator_drained(void *arg)
{
    struct estimator *estimator = arg;
    service_stop(estimator->service, 0);
}

/* The releases leave with this turn of the loop; their answers need not be awaited. */
static void estimator_drain(struct service *service)
{
    struct estimator *estimator = service->state;
    dyn_timer_stop(estimator->ticker);
    estimator_end_leads(estimator, true);
    dyn_timer_free(estimator->retry);
    estimator->retry = dyn_timer_new(service->loop, estimator_drained, estimator);
    if (estimator->retry == NULL) {
        service_stop(service, 0);
        return;
    }
    dyn_timer_start(estimator->retry, 100, 0);
}

static bool estimator_ready(struct service *service, struct dyn_buf *why)
{
    const struct estimator *estimator = service->state;
    uint32_t led = 0;
    for (uint32_t p = 0; p < estimator_partitions(estimator); p++) {
        const struct lead *lead = estimator->leads[p];
        led += lead != NULL && lead_is_live(lead);
    }
    if (led < estimator_partitions(estimator)) {
        dyn_buf_addf(why, "leads %" PRIu32 " of %" PRIu32 " partitions", led,
                     estimator_partitions(estimator));
        return false;
    }
    if (estimator->lag->value * 1000 > ESTIMATOR_LAG_MAX_MS) {
        dyn_buf_addf(why, "the log is folded %.0f s late", estimator->lag->value);
        return false;
    }
    return true;
}

const struct service_ops estimator_ops = {
    .name = "estimator",
    .http_port = 9102,
    .state_size = sizeof(struct estimator),
    .start = estimator_start,
    .redis_ready = estimator_redis_ready,
    .redis_lost = estimator_redis_lost,
    .reload = estimator_reload,
    .drain = estimator_drain,
    .stop = estimator_stop,
    .ready = estimator_ready,
};
