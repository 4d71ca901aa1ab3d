#include "estimator/lead.h"

#include "common/clock.h"
#include "estimator/fold.h"
#include "estimator/publish.h"

#include <inttypes.h>

#define LEAD_KEY_MAX 256
#define LEAD_REPORTS_MAX (48 * 1024) /* bytes of reports in one entry, below DYN_ENTRY_MAX */
#define LEAD_VALUES_PERCENT 75       /* of redis.max_bytes, for the values of all partitions */
#define LEAD_ARGS_MAX (16 + 2 * DYN_PUBLISH_MAX)
#define LEAD_REPORTS_KEPT 600 /* entries: five minutes of a large partition */

struct lead {
    struct lead_host host;
    uint32_t partition;
    size_t holds; /* commands whose answers are owed, and calls of ours on the stack */
    bool ended;   /* lead_end() was called, or `over` */
    bool patient;
    uint32_t breaks;

    char lease[LEAD_KEY_MAX], values[LEAD_KEY_MAX], targets[LEAD_KEY_MAX];
    char reports[LEAD_KEY_MAX], newest[LEAD_KEY_MAX];
    char seen_epoch[24], seen_beat[24]; /* the lease as it was last seen */
    int64_t seen_at_ms;                 /* boot time since which it stands like that */
    char epoch[24];
    uint64_t epoch_number;

    struct fold *fold;
    struct pack_reader *unpack;
    struct fold_out out;
    struct fold_counts counted; /* what the metrics have already */
    size_t stream;

    struct dyn_timer *timer; /* the next look at a foreign lease */
    struct tick tick;        /* the next one; its pins, its breaks */
    struct dyn_buf scratch;
    bool tick_in_flight;
    int64_t tick_sent_ms; /* boot time of the last tick that was sent; 0: none */
    uint64_t ticks;
    uint64_t bytes, entries; /* folded live: what an entry weighs on average */

    struct publish *queue;
    bool publish_in_flight;
    bool mark_due;
    uint64_t call;
    char controllers[DYN_PUBLISH_MAX][24];

    struct dyn_buf report_bytes;
    uint32_t reports_count;
    int64_t reports_log_ms;
};

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

/* Whoever enters a lead holds it until it leaves: it may end on the way. */
static void lead_hold(struct lead *lead)
{
    lead->holds++;
}

static void lead_leave(struct lead *lead)
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

static void lead_over(struct lead *lead, bool fenced, const char *why)
{
    if (!lead->ended) {
        lead_stop(lead);
        lead->host.over(lead->host.arg, lead->partition, fenced, why);
    }
}

/* Every command of a lead goes out here; one that cannot be sent ends the lead. Its answer leaves
 * the lead. */
static bool lead_send(struct lead *lead, const struct dyn_str *argv, size_t argc, bus_fn *fn)
{
    dyn_err err = bus_command(lead->host.service->bus, argv, argc, 0, fn, lead);
    if (err != DYN_OK) {
        lead_over(lead, false, dyn_err_text(err));
        return false;
    }
    lead_hold(lead);
    return true;
}

/* Whether to go on with an answer; a bad one ends the lead. */
static bool lead_good(struct lead *lead, dyn_err err, const struct bus_reply *reply,
                      const char *what)
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

/* ---- taking the lease ---- */

static void lead_look(struct lead *lead);

static void lead_look_now(void *arg)
{
    struct lead *lead = arg;
    lead_hold(lead);
    lead_look(lead);
    lead_leave(lead);
}

static void lead_send_tick(struct lead *lead);

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
                             dyn_str_from(lead->seen_beat)};
    (void)lead_send(lead, argv, 7, lead_acquired);
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

static void lead_look(struct lead *lead)
{
    struct dyn_str argv[] = {DYN_STR("HMGET"), dyn_str_from(lead->lease), DYN_STR("owner"),
                             DYN_STR("epoch"), DYN_STR("beat")};
    (void)lead_send(lead, argv, 5, lead_looked);
}

/* ---- publishing ---- */

static void lead_publish(struct lead *lead);

static void lead_published(void *arg, dyn_err err, const struct bus_reply *reply)
{
    struct lead *lead = arg;
    if (lead_good(lead, err, reply, "dyn_publish")) {
        lead->publish_in_flight = false;
        lead_publish(lead);
    }
    lead_leave(lead);
}

static size_t lead_publish_args(struct lead *lead, struct dyn_str *argv, size_t argc)
{
    const struct publish_item *items;
    size_t count = publish_peek(lead->queue, &items, DYN_PUBLISH_MAX);
    for (size_t i = 0; i < count; i++) {
        snprintf(lead->controllers[i], sizeof(lead->controllers[i]), "%016" PRIx64,
                 items[i].controller);
        argv[argc++] = dyn_str_from(lead->controllers[i]);
        argv[argc++] = dyn_buf_str(&items[i].payload);
    }
    dyn_buf_clear(&lead->scratch);
    if (lead->mark_due) {
        struct mark mark = {lead->partition, lead->epoch_number, fold_last(lead->fold),
                            fold_config(lead->fold)->hash};
        message_write_mark(&lead->scratch, &mark);
    }
    argv[argc++] = dyn_buf_str(&lead->scratch);
    return argc;
}

static void lead_publish(struct lead *lead)
{
    if (lead->publish_in_flight || !lead_is_live(lead) ||
        (publish_count(lead->queue) == 0 && !lead->mark_due)) {
        return;
    }
    struct entry_id cursor = fold_last(lead->fold);
    size_t count = publish_count(lead->queue);
    count = count < DYN_PUBLISH_MAX ? count : DYN_PUBLISH_MAX;
    char number[5][24];
    snprintf(number[0], sizeof(number[0]), "%" PRIu64, lead->call + 1);
    snprintf(number[1], sizeof(number[1]), "%" PRIu64, cursor.ms);
    snprintf(number[2], sizeof(number[2]), "%" PRIu64, cursor.seq);
    uint64_t kept_ms = 2 * (uint64_t)lead->host.service->config->longest_window_ms;
    snprintf(number[3], sizeof(number[3]), "%" PRIu64,
             cursor.ms > kept_ms ? cursor.ms - kept_ms : 0);
    snprintf(number[4], sizeof(number[4]), "%zu", count);
    struct dyn_str argv[LEAD_ARGS_MAX] = {
        DYN_STR("FCALL"),
        DYN_STR("dyn_publish"),
        DYN_STR("3"),
        dyn_str_from(lead->lease),
        dyn_str_from(lead->targets),
        dyn_str_from(lead->newest),
        dyn_str_from(lead->host.service->instance),
        dyn_str_from(lead->epoch),
    };
    size_t argc = 8;
    for (size_t i = 0; i < 5; i++) {
        argv[argc++] = dyn_str_from(number[i]);
    }
    argc = lead_publish_args(lead, argv, argc);
    if (!lead_send(lead, argv, argc, lead_published)) {
        return;
    }
    lead->call++;
    lead->publish_in_flight = true;
    lead->mark_due = false;
    lead->host.metrics.targets->value += (double)count;
    publish_drop(lead->queue, count);
}

/* ---- what the fold says ---- */

static void lead_take_target(void *arg, const struct target *target, bool changed)
{
    struct lead *lead = arg;
    (void)changed;
    if (!lead_is_live(lead)) {
        return;
    }
    dyn_err err = publish_put(lead->queue, target);
    if (err != DYN_OK) {
        dyn_log(DYN_LOG_ERROR, "target_not_kept",
                "partition=%" PRIu32 " controller=%016" PRIx64 " msg=%s", lead->partition,
                target->controller, dyn_log_quoted(dyn_err_text(err)));
    }
}

static void lead_flush_reports(struct lead *lead)
{
    if (lead->reports_count == 0) {
        return;
    }
    dyn_buf_clear(&lead->scratch);
    message_begin_reports(&lead->scratch, lead->reports_log_ms, lead->reports_count);
    (void)dyn_buf_add_str(&lead->scratch, dyn_buf_str(&lead->report_bytes));
    /* Statistics may be lost, and are not worth ending a lead for. */
    dyn_err err = bus_add(lead->host.service->bus, lead->reports, dyn_buf_str(&lead->scratch),
                          LEAD_REPORTS_KEPT, NULL, NULL);
    lead->host.metrics.reports->value += err == DYN_OK ? lead->reports_count : 0;
    dyn_buf_clear(&lead->report_bytes);
    lead->reports_count = 0;
}

static void lead_take_report(void *arg, const struct report *report)
{
    struct lead *lead = arg;
    if (!lead_is_live(lead)) {
        return;
    }
    if (lead->report_bytes.len > LEAD_REPORTS_MAX || report->log_ms != lead->reports_log_ms) {
        lead_flush_reports(lead);
    }
    lead->reports_log_ms = report->log_ms;
    message_add_report(&lead->report_bytes, report);
    lead->reports_count++;
}

static void lead_take_event(void *arg, const struct event *event)
{
    struct lead *lead = arg;
    if (lead_is_live(lead)) {
        service_event(lead->host.service, event);
    }
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

static void lead_send_tick(struct lead *lead)
{
    int64_t boot = dyn_clock_boot_ms();
    lead->tick = (struct tick){
        .epoch = lead->epoch_number,
        .elapsed_ms = lead->tick_sent_ms != 0 ? boot - lead->tick_sent_ms : 0,
        .config = fold_config(lead->fold)->hash,
        .breaks = lead->breaks,
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
    struct dyn_str argv[] = {DYN_STR("FCALL"),
                             DYN_STR("dyn_tick"),
                             DYN_STR("2"),
                             dyn_str_from(lead->lease),
                             dyn_str_from(lead->values),
                             dyn_str_from(lead->host.service->instance),
                             dyn_str_from(lead->epoch),
                             dyn_buf_str(&lead->scratch),
                             dyn_str_from(minid),
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

static void lead_key(const struct lead *lead, char *out, const char *name)
{
    struct dyn_buf key;
    dyn_buf_init(&key, LEAD_KEY_MAX - 1);
    bus_key_partition(&key, lead->host.service->config->redis.prefix, lead->partition, name);
    dyn_str_copy(out, LEAD_KEY_MAX, dyn_buf_str(&key));
    dyn_buf_fini(&key);
}

struct lead *lead_start(const struct lead_host *host, uint32_t partition, bool patient,
                        uint32_t breaks)
{
    struct lead *lead = calloc(1, sizeof(*lead));
    if (lead == NULL) {
        return NULL;
    }
    lead->host = *host;
    lead->partition = partition;
    lead->patient = patient;
    lead->breaks = breaks;
    lead->stream = SIZE_MAX;
    lead->unpack = pack_reader_new();
    lead->timer = dyn_timer_new(host->service->loop, lead_look_now, lead);
    lead->out = (struct fold_out){lead_take_target, lead_take_report, lead_take_event, lead};
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
    /* The first look comes from the loop, as every later answer does. */
    dyn_timer_start(lead->timer, 0, 0);
    return lead;
}

/* A lead that is given up owes nothing any more; whether the release arrived is all the same to it:
 * a lease that is not released is taken when it has stood still. */
static void lead_released(void *arg, dyn_err err, const struct bus_reply *reply)
{
    (void)err;
    (void)reply;
    lead_leave(arg);
}

void lead_end(struct lead *lead, bool release)
{
    if (lead == NULL) {
        return;
    }
    lead_hold(lead);
    lead_stop(lead);
    if (release && lead->epoch_number != 0) {
        struct dyn_str argv[] = {DYN_STR("FCALL"),
                                 DYN_STR("dyn_release"),
                                 DYN_STR("1"),
                                 dyn_str_from(lead->lease),
                                 dyn_str_from(lead->host.service->instance),
                                 dyn_str_from(lead->epoch)};
        (void)lead_send(lead, argv, 6, lead_released);
    }
    lead_leave(lead);
}

size_t lead_stream(const struct lead *lead)
{
    return lead->stream;
}

bool lead_is_live(const struct lead *lead)
{
    return lead->fold != NULL && lead->epoch_number != 0 &&
           fold_epoch(lead->fold) == lead->epoch_number;
}

int64_t lead_lag_ms(const struct lead *lead, int64_t wall_ms)
{
    return lead->fold != NULL ? wall_ms - (int64_t)fold_last(lead->fold).ms : 0;
}
