#include "collector/collector.h"

#include "collector/drain.h"
#include "collector/outbox.h"
#include "collector/poller.h"
#include "collector/schedule.h"

#include "common/clock.h"
#include "common/peers.h"

#include <inttypes.h>

enum {
    MEASURE_MS = 1000,
    DRAIN_READINGS_MS = 4000, /* then readings under way are given up */
    DRAIN_MS = 8000,          /* then what is queued is given up; a service has 10 s */
    DRAIN_LOOK_MS = 20,
    KEY_MAX = DYN_NAME_MAX + 32,
    ENTRY_BYTES_FIRST = 128, /* a guess at an entry until some were sent */
    ENTRY_OVERHEAD = 32,     /* what Redis keeps besides the message */
    ENTRIES_MIN = 1000
};

struct collector;

struct way { /* to one partition's log */
    struct collector *collector;
    uint32_t partition;
    char key[KEY_MAX];
};

struct measures {
    struct metric *polls;
    struct metric *ended[SAMPLE_STATUS_COUNT];
    struct metric *skipped;
    struct metric *late;
    struct metric *members;
    struct metric *inputs;
    struct metric *disabled;
    struct metric *reading;
    struct metric *queued;
    struct metric *sent;
    struct metric *lost;
    struct metric *batches;
    struct metric *resent;
    struct metric *batches_drained[DRAIN_ENDS];
    struct metric *lines_drained[DRAIN_LINES];
};

struct collector {
    struct service *service;
    struct http_client *http;
    struct peers *peers;
    char member[DYN_NAME_MAX]; /* our name, of this process alone */
    bool sharing;              /* the membership was known once */
    struct poller *poller;
    struct drain *drain;
    char prefix[DYN_NAME_MAX]; /* of all keys */
    struct outbox *outbox;
    struct dyn_timer *outbox_timer;
    int64_t outbox_armed_ms; /* INT64_MAX: not armed */
    struct dyn_timer *measure_timer;
    struct way *ways;
    double entry_bytes; /* a running mean */
    int64_t drain_ms;   /* when draining began */
    uint64_t told_lost;
    struct measures measures;
};

/* ---- to the bus ---- */

static void collector_pump(struct collector *collector);

static void batch_answered(void *arg, dyn_err err, const struct bus_reply *reply)
{
    struct way *way = arg;
    struct collector *collector = way->collector;
    if (err == DYN_REFUSED) {
        char words[DYN_ERROR_TEXT_MAX];
        dyn_str_copy(words, sizeof words, bus_reply_str(reply));
        dyn_log(DYN_LOG_ERROR, "batch_refused", "key=%s msg=%s", way->key, dyn_log_quoted(words));
    }
    outbox_answer(collector->outbox, way->partition, err,
                  dyn_loop_now_ms(collector->service->loop));
    collector_pump(collector);
}

/* Half of the bytes are for the values; how many entries that is depends on their size. */
static uint64_t entries_max(const struct collector *collector)
{
    const struct config_redis *redis = &collector->service->config->redis;
    double share = (double)redis->max_bytes / 2 / redis->partitions;
    double entries = share / (collector->entry_bytes + ENTRY_OVERHEAD);
    return entries > ENTRIES_MIN ? (uint64_t)entries : ENTRIES_MIN;
}

static dyn_err batch_send(void *arg, uint32_t partition, struct dyn_str message)
{
    struct collector *collector = arg;
    struct way *way = &collector->ways[partition];
    collector->entry_bytes += ((double)message.len - collector->entry_bytes) / 64;
    return bus_add(collector->service->bus, way->key, message, entries_max(collector),
                   batch_answered, way);
}

static void outbox_arm(struct collector *collector, int64_t at_ms)
{
    if (at_ms >= collector->outbox_armed_ms) {
        return;
    }
    collector->outbox_armed_ms = at_ms;
    dyn_timer_start(collector->outbox_timer, at_ms - dyn_loop_now_ms(collector->service->loop), 0);
}

static void drain_check(struct collector *collector)
{
    const struct service *service = collector->service;
    if (!service->draining) {
        return;
    }
    int64_t drained_ms = dyn_loop_now_ms(service->loop) - collector->drain_ms;
    uint32_t queued = outbox_counts(collector->outbox)->queued;
    bool read = poller_counts(collector->poller)->reading == 0 || drained_ms > DRAIN_READINGS_MS;
    /* The goodbye is unanswered, or the queue's last batch. */
    bool asked = bus_is_ready(service->bus) && bus_pending(service->bus) > 0;
    if (read && ((queued == 0 && !asked) || drained_ms > DRAIN_MS)) {
        dyn_log(queued == 0 ? DYN_LOG_INFO : DYN_LOG_ERROR, "drained", "unsent=%" PRIu32, queued);
        service_stop(collector->service, queued == 0 ? 0 : 1);
    }
}

static void collector_pump(struct collector *collector)
{
    if (collector->service->bus == NULL) {
        return; /* it is being taken down: these are the last answers */
    }
    outbox_turn(collector->outbox, dyn_loop_now_ms(collector->service->loop),
                collector->service->draining);
    outbox_arm(collector, outbox_next_ms(collector->outbox));
    drain_check(collector);
}

static void outbox_fired(void *arg)
{
    struct collector *collector = arg;
    collector->outbox_armed_ms = INT64_MAX;
    collector_pump(collector);
}

/* ---- from the inputs ---- */

/* What a figure is known to be at least, beside the error that it is: a good sample that is older
 * than an interval counts for the window's maximum, and covers nothing. */
static void least_add(struct collector *collector, const struct poller_input *of, double value,
                      int64_t now_ms)
{
    int64_t age_ms = of->input->interval_ms + 1;
    const struct sample sample = {.series = of->input->series,
                                  .status = SAMPLE_GOOD,
                                  .age_ms = age_ms < SAMPLE_AGE_MAX_MS ? age_ms : SAMPLE_AGE_MAX_MS,
                                  .value = value};
    outbox_add(collector->outbox, of->app->partition, &sample, now_ms);
}

static void input_sample(void *arg, const struct poller_input *of, enum sample_status status,
                         double value, struct dyn_str words)
{
    struct collector *collector = arg;
    int64_t now_ms = dyn_loop_now_ms(collector->service->loop);
    struct sample sample = {
        .series = of->input->series, .status = status, .value = value, .reason = words};
    if (status != SAMPLE_GOOD && value > 0) {
        least_add(collector, of, value, now_ms);
    }
    outbox_add(collector->outbox, of->app->partition, &sample, now_ms);
    outbox_arm(collector, now_ms + OUTBOX_LINGER_MS);
    if (status != SAMPLE_GOOD) {
        char text[DYN_REASON_MAX + 1];
        dyn_str_copy(text, sizeof text, words);
        dyn_log(DYN_LOG_DEBUG, "poll_failed", "app=%s input=%s msg=%s", of->app->name,
                of->input->name, dyn_log_quoted(text));
    }
}

/* Only logged: its samples say so, and whoever leads their partition tells people, also of the end
 * when the secret came with another process. */
static void input_disabled(void *arg, const struct poller_input *of, const char *why)
{
    (void)arg;
    dyn_log(why != NULL ? DYN_LOG_ERROR : DYN_LOG_INFO,
            why != NULL ? "input_disabled" : "input_enabled",
            "app=%s controller=%s input=%s msg=%s", of->app->name, of->controller->name,
            of->input->name, dyn_log_quoted(why != NULL ? why : "it is set up again"));
}

static void drain_trouble(void *arg, const char *why)
{
    struct collector *collector = arg;
    struct event event = {
        .level = why != NULL ? EVENT_ERROR : EVENT_INFO,
        .state = why != NULL ? EVENT_RAISED : EVENT_OVER,
        .code = DYN_STR("drain_not_listening"),
        .text = dyn_str_from(why != NULL ? why : "log drains are taken"),
    };
    service_event(collector->service, &event);
}

/* ---- which inputs are ours ---- */

static bool input_owned(void *arg, uint64_t series)
{
    const struct collector *collector = arg;
    return members_owns(peers_members(collector->peers), series);
}

/* Inputs that were another's have waited for their detection: they are read at once. When nobody
 * else is there at our start, all are ours, and they are spread. */
static void members_changed(void *arg)
{
    struct collector *collector = arg;
    const struct poller_counts *counts = poller_counts(collector->poller);
    size_t members = members_count(peers_members(collector->peers));
    bool begins_alone = !collector->sharing && members == 1;
    uint64_t taken = counts->taken;
    uint64_t let_go = counts->let_go;
    collector->sharing = true;
    if (poller_share(collector->poller, collector->service->config,
                     begins_alone ? SCHEDULE_FIRST_MS : SCHEDULE_TAKEN_MS) != DYN_OK) {
        dyn_log(DYN_LOG_ERROR, "share_incomplete", "msg=%s",
                dyn_log_quoted("no memory for some of the inputs: they are not read"));
    }
    dyn_log(DYN_LOG_INFO, "inputs_shared",
            "members=%zu inputs=%" PRIu32 " taken=%" PRIu64 " let_go=%" PRIu64, members,
            counts->inputs, counts->taken - taken, counts->let_go - let_go);
}

static dyn_err peers_make(struct collector *collector)
{
    const struct service *service = collector->service;
    const struct config_redis *redis = &service->config->redis;
    char key[KEY_MAX];
    (void)snprintf(key, sizeof key, "%s:{col}:members", redis->prefix);
    collector->peers = peers_new(service->loop, &(struct peers_options){
                                                    .key = key,
                                                    .self = collector->member,
                                                    .text = service->instance,
                                                    .beat_ms = redis->lease.beat_ms,
                                                    .gone_ms = redis->lease.gone_ms,
                                                    .changed = members_changed,
                                                    .arg = collector,
                                                });
    return collector->peers != NULL ? DYN_OK : DYN_NOMEM;
}

/* ---- measures ---- */

static void drain_measures_make(struct metrics *metrics, struct measures *m)
{
    static const char *const ends[DRAIN_ENDS] = {"end=\"taken\"", "end=\"repeated\"",
                                                 "end=\"unauthorized\"", "end=\"refused\"",
                                                 "end=\"put_off\""};
    static const char *const kinds[DRAIN_LINES] = {"kind=\"all\"", "kind=\"router\"",
                                                   "kind=\"lost\"", "kind=\"stray\""};
    for (size_t i = 0; i < DRAIN_ENDS; i++) {
        m->batches_drained[i] = metrics_counter(metrics, "dynosaur_drain_batches_total", ends[i],
                                                "Batches of log drains, by what became of them.");
    }
    for (size_t i = 0; i < DRAIN_LINES; i++) {
        m->lines_drained[i] = metrics_counter(metrics, "dynosaur_drain_lines_total", kinds[i],
                                              "Lines of the batches taken; lost: told to be so.");
    }
}

static void drain_measure(const struct collector *collector)
{
    const struct drain_counts *counts = drain_counts(collector->drain);
    for (size_t i = 0; i < DRAIN_ENDS; i++) {
        collector->measures.batches_drained[i]->value = (double)counts->batches[i];
    }
    for (size_t i = 0; i < DRAIN_LINES; i++) {
        collector->measures.lines_drained[i]->value = (double)counts->lines[i];
    }
}

static void measures_make(struct collector *collector)
{
    struct metrics *metrics = collector->service->metrics;
    struct measures *m = &collector->measures;
    static const char *const labels[SAMPLE_STATUS_COUNT] = {
        "status=\"good\"", "status=\"error\"", "status=\"timeout\"", "status=\"disabled\""};
    m->polls = metrics_counter(metrics, "dynosaur_polls_total", "", "Readings begun.");
    for (size_t i = 0; i < SAMPLE_STATUS_COUNT; i++) {
        m->ended[i] = metrics_counter(metrics, "dynosaur_readings_total", labels[i],
                                      "Readings ended, by status.");
    }
    m->skipped = metrics_counter(metrics, "dynosaur_skipped_turns_total", "",
                                 "Turns that could not begin in time.");
    m->late = metrics_gauge(metrics, "dynosaur_poll_late_seconds", "",
                            "How late the last reading began.");
    m->members = metrics_gauge(metrics, "dynosaur_members", "",
                               "Collectors that share the inputs; 0: not known yet.");
    m->inputs = metrics_gauge(metrics, "dynosaur_inputs", "", "Inputs read here.");
    m->disabled = metrics_gauge(metrics, "dynosaur_inputs_disabled", "",
                                "Inputs whose source cannot be set up.");
    m->reading = metrics_gauge(metrics, "dynosaur_readings_under_way", "", "Readings under way.");
    m->queued = metrics_gauge(metrics, "dynosaur_queued_samples", "",
                              "Samples that Redis has not acknowledged.");
    m->sent = metrics_counter(metrics, "dynosaur_samples_sent_total", "",
                              "Samples that Redis acknowledged.");
    m->lost = metrics_counter(metrics, "dynosaur_samples_lost_total", "",
                              "Samples dropped: queue full, or too old.");
    m->batches = metrics_counter(metrics, "dynosaur_batches_total", "", "Batches acknowledged.");
    m->resent = metrics_counter(metrics, "dynosaur_batches_resent_total", "",
                                "Batches sent again without an answer to the first.");
    drain_measures_make(metrics, m);
}

static void collector_measure(void *arg)
{
    struct collector *collector = arg;
    struct measures *m = &collector->measures;
    const struct poller_counts *polled = poller_counts(collector->poller);
    const struct outbox_counts *sent = outbox_counts(collector->outbox);
    m->polls->value = (double)polled->polls;
    for (size_t i = 0; i < SAMPLE_STATUS_COUNT; i++) {
        m->ended[i]->value = (double)polled->ended[i];
    }
    m->skipped->value = (double)polled->skipped;
    m->late->value = (double)polled->late_ms / 1000;
    m->members->value = (double)members_count(peers_members(collector->peers));
    m->inputs->value = polled->inputs;
    m->disabled->value = polled->disabled;
    m->reading->value = polled->reading;
    m->queued->value = sent->queued;
    m->sent->value = (double)sent->delivered;
    m->lost->value = (double)sent->dropped;
    m->batches->value = (double)sent->batches;
    m->resent->value = (double)sent->resent;
    drain_measure(collector);
    if (sent->dropped > collector->told_lost) {
        dyn_log(DYN_LOG_ERROR, "samples_lost", "total=%" PRIu64, sent->dropped);
        collector->told_lost = sent->dropped;
    }
    drain_check(collector);
}

/* ---- the service ---- */

/* Nothing older can matter to any window that is still decided by. */
static int64_t age_max_ms(const struct config *config)
{
    int64_t retention_ms = 2 * config->longest_window_ms;
    return retention_ms < SAMPLE_AGE_MAX_MS ? retention_ms : SAMPLE_AGE_MAX_MS;
}

static dyn_err outbox_make(struct collector *collector)
{
    const struct service *service = collector->service;
    uint32_t partitions = service->config->redis.partitions;
    struct outbox_options options = {
        .member = dyn_str_from(collector->member),
        .partitions = partitions,
        .linger_ms = OUTBOX_LINGER_MS,
        .age_max_ms = age_max_ms(service->config),
        .send = batch_send,
        .arg = collector,
    };
    collector->outbox = outbox_new(&options);
    collector->ways = calloc(partitions, sizeof *collector->ways);
    if (collector->outbox == NULL || collector->ways == NULL) {
        return DYN_NOMEM;
    }
    for (uint32_t i = 0; i < partitions; i++) {
        struct way *way = &collector->ways[i];
        struct dyn_buf key;
        dyn_buf_init(&key, KEY_MAX);
        bus_key_partition(&key, service->config->redis.prefix, i, "values");
        dyn_str_copy(way->key, sizeof way->key, dyn_buf_str(&key));
        dyn_buf_fini(&key);
        way->collector = collector;
        way->partition = i;
    }
    return DYN_OK;
}

static dyn_err inputs_make(struct collector *collector)
{
    const struct service *service = collector->service;
    struct poller_options options = {
        .loop = service->loop,
        .http = collector->http,
        .bus = service->bus,
        .prefix = collector->prefix,
        .owns = input_owned,
        .sample = input_sample,
        .disabled = input_disabled,
        .arg = collector,
    };
    const struct drain_options drain = {
        .loop = service->loop,
        .bus = service->bus,
        .prefix = collector->prefix,
        .address = service->drain_address,
        .port = service->drain_port,
        .trouble = drain_trouble,
        .arg = collector,
    };
    collector->poller = poller_new(&options);
    collector->drain = drain_new(&drain);
    if (collector->poller == NULL || collector->drain == NULL) {
        return DYN_NOMEM;
    }
    dyn_err err = poller_configure(collector->poller, service->config);
    return err == DYN_OK ? drain_configure(collector->drain, service->config) : err;
}

static dyn_err collector_start(struct service *service, struct dyn_error *error)
{
    struct collector *collector = service->state;
    collector->service = service;
    collector->outbox_armed_ms = INT64_MAX;
    collector->entry_bytes = ENTRY_BYTES_FIRST;
    dyn_str_copy(collector->prefix, sizeof collector->prefix,
                 dyn_str_from(service->config->redis.prefix));
    (void)snprintf(collector->member, sizeof collector->member, "%.100s-%08" PRIx32,
                   service->instance, (uint32_t)dyn_random());
    struct http_client_options http = {.connections_max = 0};
    collector->http = http_client_new(service->loop, &http);
    collector->outbox_timer = dyn_timer_new(service->loop, outbox_fired, collector);
    collector->measure_timer = dyn_timer_new(service->loop, collector_measure, collector);
    if (collector->http == NULL || collector->outbox_timer == NULL ||
        collector->measure_timer == NULL || outbox_make(collector) != DYN_OK ||
        peers_make(collector) != DYN_OK) {
        return dyn_error_set(error, DYN_NOMEM, "no memory for the collector");
    }
    if (inputs_make(collector) != DYN_OK) {
        return dyn_error_set(error, DYN_NOMEM, "no memory for the inputs");
    }
    measures_make(collector);
    dyn_timer_start(collector->measure_timer, MEASURE_MS, MEASURE_MS);
    return DYN_OK;
}

static void collector_redis_ready(struct service *service, struct dyn_str replid)
{
    struct collector *collector = service->state;
    (void)replid; /* what is unanswered is sent again, whichever server answers */
    outbox_online(collector->outbox, true);
    peers_open(collector->peers, service->bus);
    collector_pump(collector);
}

static void collector_redis_lost(struct service *service, const char *why)
{
    struct collector *collector = service->state;
    (void)why;
    outbox_online(collector->outbox, false);
    peers_close(collector->peers); /* what is ours stays ours: its values wait in the queue */
}

static void collector_reload(struct service *service, struct config *next)
{
    struct collector *collector = service->state;
    /* The partitions of a running Redis do not change; the service refuses such a file's Redis. */
    outbox_age_max(collector->outbox, age_max_ms(next));
    if (poller_configure(collector->poller, next) != DYN_OK ||
        drain_configure(collector->drain, next) != DYN_OK) {
        dyn_log(DYN_LOG_ERROR, "reload_incomplete", "msg=%s",
                dyn_log_quoted("no memory for some of the inputs: they are not read"));
    }
}

static void collector_drain(struct service *service)
{
    struct collector *collector = service->state;
    collector->drain_ms = dyn_loop_now_ms(service->loop);
    poller_stop(collector->poller);
    drain_stop(collector->drain);
    peers_leave(collector->peers);
    collector_pump(collector);
    dyn_timer_start(collector->measure_timer, DRAIN_LOOK_MS, DRAIN_LOOK_MS);
}

static void collector_stop(struct service *service)
{
    struct collector *collector = service->state;
    poller_free(collector->poller);
    drain_free(collector->drain);
    http_client_free(collector->http);
    outbox_free(collector->outbox);
    peers_free(collector->peers);
    dyn_timer_free(collector->outbox_timer);
    dyn_timer_free(collector->measure_timer);
    free(collector->ways);
}

static bool collector_ready(struct service *service, struct dyn_buf *why)
{
    struct collector *collector = service->state;
    const struct poller_counts *counts = poller_counts(collector->poller);
    if (!members_known(peers_members(collector->peers))) {
        dyn_buf_addf(why, "the other collectors are not known yet");
        return false;
    }
    if (counts->inputs > 0 && counts->disabled == counts->inputs) {
        dyn_buf_addf(why, "every input is disabled");
        return false;
    }
    return drain_is_ready(collector->drain, why);
}

const struct service_ops collector_ops = {
    .name = "collector",
    .help = "Reads the inputs of all apps at their intervals and puts the values on the bus.",
    .http_port = COLLECTOR_HTTP_PORT,
    .drain_port = COLLECTOR_DRAIN_PORT,
    .state_size = sizeof(struct collector),
    .start = collector_start,
    .redis_ready = collector_redis_ready,
    .redis_lost = collector_redis_lost,
    .reload = collector_reload,
    .drain = collector_drain,
    .stop = collector_stop,
    .ready = collector_ready,
};
