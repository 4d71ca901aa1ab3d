#include "estimator/estimator.h"

#include "common/clock.h"
#include "common/peers.h"
#include "estimator/lead.h"
#include "estimator/share.h"

#include <inttypes.h>

#define ESTIMATOR_LAG_MAX_MS 30000 /* behind the log by more: not ready */
#define ESTIMATOR_LOOK_MAX_MS 500  /* a foreign lease is looked at no less often */
#define ESTIMATOR_GOODBYE_MS 20    /* the last commands leave within that */

struct estimator {
    struct service *service;
    struct bus_reader *reader; /* all partitions' logs, and the commands */
    size_t commands;           /* the reader's index of the stream of commands */
    struct pack_reader *unpack;
    struct pins pins;
    struct lead_host host;
    char owner[DYN_NAME_MAX + 32]; /* in leases and among the members: of this process alone */
    struct leases *leases;         /* each partition's, by its number */
    struct peers *peers;
    struct share share;
    struct dyn_timer *ticker;
    struct dyn_timer *retry;
    struct lead *leads[DYN_PARTITIONS_MAX]; /* NULL: not led now */
    uint32_t breaks[DYN_PARTITIONS_MAX];    /* of the first tick; until a lead is live */
    char replid[64];                        /* of the Redis that we knew last; "": none yet */
    bool commanding;                        /* the command connection stands, and fits */
    bool reading;                           /* the reader's connection stands */
    bool instructed;                        /* all commands of before the start have been read */
    struct metric *lag;
    struct metric *led;
    struct metric *own;
};

static uint32_t estimator_partitions(const struct estimator *estimator)
{
    return estimator->service->config->redis.partitions;
}

static void estimator_end_lead(struct estimator *estimator, uint32_t partition)
{
    lead_end(estimator->leads[partition]);
    estimator->leads[partition] = NULL;
}

/* ---- what to lead ---- */

/* What is able, it says to the others: membership is what partitions are shared out by. Not able
 * before the commands are known: a first tick without the pins that are in force would let pinned
 * apps go for a second. */
static void estimator_review(struct estimator *estimator)
{
    int64_t now = dyn_clock_boot_ms();
    bool able = estimator->commanding && estimator->reading && estimator->instructed;
    if (estimator->service->draining) {
        return;
    }
    if (able && !estimator->share.able) {
        peers_open(estimator->peers, estimator->service->bus);
    } else if (!able && estimator->share.able) {
        peers_close(estimator->peers);
    }
    share_able(&estimator->share, able, now);
    for (uint32_t p = 0; p < estimator_partitions(estimator); p++) {
        bool held = leases_is_held(estimator->leases, p);
        leases_wish(estimator->leases, p, share_wish(&estimator->share, p, held, now));
    }
}

static void estimator_members_changed(void *arg)
{
    struct estimator *estimator = arg;
    uint32_t own = 0;
    share_spread(&estimator->share, peers_members(estimator->peers));
    for (uint32_t p = 0; p < estimator_partitions(estimator); p++) {
        own += estimator->share.ours[p];
    }
    estimator->own->value = own;
    dyn_log(DYN_LOG_INFO, "members", "estimators=%zu own=%" PRIu32,
            members_count(peers_members(estimator->peers)), own);
    estimator_review(estimator);
}

/* ---- leases and leads ---- */

/* Another history than the one that this partition was led on last: a Redis that restarted or
 * failed over while nobody led. A Redis that never had a leader has nothing that could be missing.
 */
static void estimator_check_server(struct estimator *estimator, uint32_t partition,
                                   const struct lease_grant *grant)
{
    if (grant->other_server && !grant->first && estimator->breaks[partition] == BREAK_NONE) {
        estimator->breaks[partition] = BREAK_REDIS;
        dyn_log(DYN_LOG_WARN, "redis_history", "partition=%" PRIu32 " msg=%s", partition,
                dyn_log_quoted("Redis is another one than when this was led last: nothing is "
                               "scaled down before the windows are covered"));
    }
}

static void estimator_lease_taken(void *arg, size_t lease, const struct lease_grant *grant)
{
    struct estimator *estimator = arg;
    uint32_t partition = (uint32_t)lease;
    share_taken(&estimator->share, partition, dyn_clock_boot_ms());
    estimator_check_server(estimator, partition, grant);
    DYN_ASSERT(estimator->leads[partition] == NULL);
    estimator->leads[partition] =
        lead_start(&estimator->host, partition, grant, estimator->breaks[partition]);
    if (estimator->leads[partition] == NULL && !dyn_timer_active(estimator->retry)) {
        dyn_timer_start(estimator->retry, LEAD_RETRY_MS, 0);
    }
}

static void estimator_lease_lost(void *arg, size_t lease, const char *why)
{
    struct estimator *estimator = arg;
    uint32_t partition = (uint32_t)lease;
    estimator_end_lead(estimator, partition);
    if (!estimator->commanding) {
        return; /* that Redis is away has been told */
    }
    bool given_up =
        estimator->service->draining ||
        share_wish(&estimator->share, partition, true, dyn_clock_boot_ms()) == LEASE_UNWANTED;
    dyn_log(given_up ? DYN_LOG_INFO : DYN_LOG_WARN, given_up ? "lease_given_up" : "lease_lost",
            "partition=%" PRIu32 " msg=%s", partition, dyn_log_quoted(why));
}

/* Whatever is held and not led is taken anew: what the lead before sent may still be under way, and
 * must not pass for the next one's. */
static void estimator_lead_again(void *arg)
{
    struct estimator *estimator = arg;
    for (uint32_t p = 0; p < estimator_partitions(estimator); p++) {
        if (estimator->leads[p] == NULL) {
            leases_again(estimator->leases, p);
        }
    }
}

static void estimator_lead_over(void *arg, uint32_t partition, bool fenced, const char *why)
{
    struct estimator *estimator = arg;
    estimator->leads[partition] = NULL;
    if (fenced) {
        leases_fenced(estimator->leases, partition);
        return;
    }
    if (estimator->commanding) {
        share_failed(&estimator->share, partition, dyn_clock_boot_ms());
        dyn_log(DYN_LOG_WARN, "lead_ended", "partition=%" PRIu32 " msg=%s", partition,
                dyn_log_quoted(why));
    }
    if (!dyn_timer_active(estimator->retry)) {
        dyn_timer_start(estimator->retry, LEAD_RETRY_MS, 0);
    }
}

static void estimator_lead_ticked(void *arg, uint32_t partition, int64_t sent_ms)
{
    struct estimator *estimator = arg;
    leases_beaten(estimator->leases, partition, sent_ms);
    leases_acted(estimator->leases, partition); /* its first tick has told the break */
}

static void estimator_lead_anew(struct estimator *estimator)
{
    for (uint32_t p = 0; p < estimator_partitions(estimator); p++) {
        estimator_end_lead(estimator, p);
    }
    estimator_lead_again(estimator);
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
            estimator->breaks[p] = BREAK_NONE;
            share_led(&estimator->share, p);
        }
        int64_t own = lead_lag_ms(lead, wall);
        lag = own > lag ? own : lag;
        lead_tick(lead);
    }
    estimator->lag->value = (double)lag / 1000;
    estimator->led->value = led;
    estimator_review(estimator);
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
        estimator_review(estimator);
    }
    for (uint32_t p = 0; p < estimator_partitions(estimator); p++) {
        if (estimator->leads[p] != NULL && lead_stream(estimator->leads[p]) != SIZE_MAX) {
            lead_round(estimator->leads[p]);
        }
    }
}

/* Another history behind the same address: what was folded may not be there any more. */
static void estimator_new_history(struct estimator *estimator, struct dyn_str replid, bool rewound)
{
    bool other = estimator->replid[0] != 0 && !dyn_str_is(replid, estimator->replid);
    dyn_str_copy(estimator->replid, sizeof(estimator->replid), replid);
    if (!other && !rewound) {
        return;
    }
    dyn_log(DYN_LOG_WARN, "redis_history", "rewound=%d msg=%s", rewound,
            dyn_log_quoted("Redis was restarted or lost entries: windows are read again, and "
                           "nothing is scaled down before they are covered"));
    for (uint32_t p = 0; p < DYN_PARTITIONS_MAX; p++) {
        estimator->breaks[p] = BREAK_REDIS;
    }
    estimator_lead_anew(estimator);
}

static void estimator_reader_ready(void *arg, struct dyn_str replid, bool rewound)
{
    struct estimator *estimator = arg;
    estimator->reading = true;
    estimator_new_history(estimator, replid, rewound);
    estimator_review(estimator);
}

static void estimator_reader_lost(void *arg, const char *why)
{
    struct estimator *estimator = arg;
    estimator->reading = false;
    dyn_log(DYN_LOG_WARN, "reader_lost", "msg=%s", dyn_log_quoted(why));
    estimator_review(estimator);
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
    estimator->own = metrics_gauge(metrics, "dynosaur_partitions_own", "",
                                   "Partitions that fall to this process; others are led only "
                                   "while nobody else does.");
}

static void estimator_stop(struct service *service)
{
    struct estimator *estimator = service->state;
    for (uint32_t p = 0; p < DYN_PARTITIONS_MAX; p++) {
        estimator_end_lead(estimator, p);
    }
    leases_free(estimator->leases);
    peers_free(estimator->peers);
    bus_reader_free(estimator->reader);
    pack_reader_free(estimator->unpack);
    dyn_timer_free(estimator->ticker);
    dyn_timer_free(estimator->retry);
}

static bool estimator_make_leases(struct estimator *estimator)
{
    const struct config_redis *redis = &estimator->service->config->redis;
    int64_t look_ms = redis->lease.estimator_wait_ms / 4;
    struct leases_options options = {
        .owner = estimator->owner,
        .times = {.renew_ms = redis->lease.renew_ms,
                  .wait_ms = redis->lease.estimator_wait_ms,
                  .look_ms = look_ms < ESTIMATOR_LOOK_MAX_MS ? look_ms : ESTIMATOR_LOOK_MAX_MS},
        .taken = estimator_lease_taken,
        .lost = estimator_lease_lost,
        .arg = estimator,
    };
    estimator->leases = leases_new(estimator->service->loop, &options);
    for (uint32_t p = 0; estimator->leases != NULL && p < redis->partitions; p++) {
        struct dyn_buf key;
        dyn_buf_init(&key, DYN_NAME_MAX * 2);
        bus_key_partition(&key, redis->prefix, p, "lease");
        size_t lease = leases_add(estimator->leases, dyn_buf_text(&key));
        dyn_buf_fini(&key);
        if (lease == SIZE_MAX) {
            return false;
        }
        DYN_ASSERT(lease == p);
        leases_wish(estimator->leases, p, LEASE_UNWANTED);
    }
    return estimator->leases != NULL;
}

static bool estimator_make_peers(struct estimator *estimator)
{
    const struct config_redis *redis = &estimator->service->config->redis;
    char key[DYN_NAME_MAX * 2];
    snprintf(key, sizeof(key), "%s:{est}:members", redis->prefix);
    struct peers_options options = {
        .key = key,
        .self = estimator->owner,
        .text = estimator->service->instance,
        .beat_ms = redis->lease.beat_ms,
        .gone_ms = redis->lease.gone_ms,
        .changed = estimator_members_changed,
        .arg = estimator,
    };
    estimator->peers = peers_new(estimator->service->loop, &options);
    share_init(&estimator->share, redis->partitions, redis->lease.gone_ms);
    return estimator->peers != NULL;
}

static dyn_err estimator_start(struct service *service, struct dyn_error *error)
{
    struct estimator *estimator = service->state;
    estimator->service = service;
    snprintf(estimator->owner, sizeof(estimator->owner), "%.100s-%016" PRIx64, service->instance,
             dyn_random());
    struct bus_reader_options options = {
        .url = service->redis_url,
        .access = service->redis_access,
        .commands = service->bus,
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
    estimator->retry = dyn_timer_new(service->loop, estimator_lead_again, estimator);
    if (estimator->commands == SIZE_MAX || estimator->unpack == NULL || estimator->ticker == NULL ||
        estimator->retry == NULL || !estimator_make_leases(estimator) ||
        !estimator_make_peers(estimator)) {
        return dyn_error_set(error, DYN_NOMEM, "no memory to start");
    }
    estimator->host.service = service;
    estimator->host.reader = estimator->reader;
    estimator->host.pins = &estimator->pins;
    estimator->host.owner = estimator->owner;
    estimator->host.over = estimator_lead_over;
    estimator->host.ticked = estimator_lead_ticked;
    estimator->host.arg = estimator;
    estimator_make_metrics(estimator);
    dyn_timer_start(estimator->ticker, LEAD_TICK_MS, LEAD_TICK_MS);
    return DYN_OK;
}

static void estimator_redis_ready(struct service *service, struct dyn_str replid)
{
    struct estimator *estimator = service->state;
    estimator->commanding = true;
    estimator_new_history(estimator, replid, false);
    leases_open(estimator->leases, service->bus, replid);
    estimator_review(estimator);
}

static void estimator_redis_lost(struct service *service, const char *why)
{
    struct estimator *estimator = service->state;
    estimator->commanding = false;
    leases_close(estimator->leases, why);
    estimator_review(estimator);
}

/* Another configuration is another fold: each partition is taken anew, under a new epoch. By then
 * the new configuration is the service's. */
static void estimator_reload(struct service *service, struct config *next)
{
    (void)next;
    estimator_lead_anew(service->state);
}

static void estimator_drained(void *arg)
{
    struct estimator *estimator = arg;
    service_stop(estimator->service, 0);
}

static void estimator_left(void *arg)
{
    struct estimator *estimator = arg;
    dyn_timer_free(estimator->retry);
    estimator->retry = dyn_timer_new(estimator->service->loop, estimator_drained, estimator);
    if (estimator->retry == NULL) {
        estimator_drained(estimator);
        return;
    }
    dyn_timer_start(estimator->retry, ESTIMATOR_GOODBYE_MS, 0);
}

static void estimator_drain(struct service *service)
{
    struct estimator *estimator = service->state;
    dyn_timer_stop(estimator->ticker);
    dyn_timer_stop(estimator->retry);
    peers_leave(estimator->peers);
    leases_leave(estimator->leases, estimator_left, estimator);
}

static bool estimator_leads(const struct estimator *estimator, uint32_t partition)
{
    const struct lead *lead = estimator->leads[partition];
    return lead != NULL && lead_is_live(lead);
}

/* " 0 3 7": the partitions that are led, or those that should be and are not. */
static void estimator_list(const struct estimator *estimator, bool led, struct dyn_buf *out)
{
    for (uint32_t p = 0; p < estimator_partitions(estimator); p++) {
        bool leads = estimator_leads(estimator, p);
        if (led ? leads : estimator->share.ours[p] && !leads) {
            (void)dyn_buf_addf(out, " %" PRIu32, p);
        }
    }
}

static bool estimator_ready(struct service *service, struct dyn_buf *why)
{
    const struct estimator *estimator = service->state;
    if (!estimator->share.known) {
        (void)dyn_buf_addf(why, "%s",
                           estimator->share.able
                               ? "which other estimators there are is not known yet"
                               : "the commands of before have not been read yet");
        return false;
    }
    uint32_t led = 0;
    uint32_t owed = 0;
    for (uint32_t p = 0; p < estimator_partitions(estimator); p++) {
        led += estimator_leads(estimator, p);
        owed += estimator->share.ours[p] && !estimator_leads(estimator, p);
    }
    if (owed > 0) {
        (void)dyn_buf_addf(why, "does not lead these partitions, which fall to it:");
        estimator_list(estimator, false, why);
        return false;
    }
    if (estimator->lag->value * 1000 > ESTIMATOR_LAG_MAX_MS) {
        (void)dyn_buf_addf(why, "the log is folded %.0f s late", estimator->lag->value);
        return false;
    }
    if (led == 0) {
        (void)dyn_buf_addf(why, "standby, others lead all partitions");
    } else {
        (void)dyn_buf_addf(why, "leads partitions");
        estimator_list(estimator, true, why);
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
