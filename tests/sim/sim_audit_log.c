/*
 * I3 and I4: an own fold of each partition, by the estimator's core, fed with every entry as Redis
 * takes it. What it gives must be what the leader publishes, bit for bit; and at the end the
 * leader's mark must stand behind every entry.
 *
 * Where Redis lost something, the fold begins anew with what is left, and is believed again once a
 * leader has taken the partition after that. What was lost and was not folded must be told
 * (log_break, samples_lost).
 */
#include "estimator/refold.h"
#include "tests/sim/sim_audit_internal.h"

#include <inttypes.h>
#include <stdlib.h>

#define GIVEN_KEPT 4096
#define FOLDED_US (15 * SIM_S) /* an entry is folded within that, where all is well */
#define BATCH_US (40 * SIM_S)  /* twice the longest interval */
#define MARK_US (14 * SIM_S)   /* a batch is marked within that, also over a slow link */
#define HEARD_US (15 * SIM_S)  /* an answer is heard by then, or was given up */
#define STORED_US SIM_MINUTE
#define TELL_US (60 * SIM_S) /* a loss is told within that, once all is well */

struct given {
    struct entry_id decided;
    uint64_t controller;
    uint64_t bytes; /* hash */
    int32_t rung;
    bool raise_only;
};

struct part {
    char key[64]; /* of its log */
    struct refold refold;
    struct given *given; /* a ring */
    size_t given_count;
    struct sim_server *server; /* whose log is folded */
    uint64_t epoch;            /* of the newest leader's first tick */
    bool broken;               /* the log was cut, and no leader has taken it since */
    struct entry_id last;      /* of the log */
    int64_t last_at;
    struct entry_id last_batch;
    int64_t last_batch_at;
    struct entry_id marked;
    struct entry_id unmarked; /* about the oldest batch behind the mark */
    int64_t unmarked_since;   /* when that was taken; 0: there is none */
    int64_t lost_at;          /* entries that nobody had folded went; 0: told, or none */
};

static struct {
    struct part parts[DYN_PARTITIONS_MAX];
    struct pack_reader *reader;
    struct dyn_buf bytes;
    bool lost_told; /* some collector said that it dropped what nobody wants any more */
} logs;

/* ---- the fold ---- */

static void fold_gave(void *arg, const struct target *target, bool changed)
{
    struct part *part = arg;
    (void)changed;
    dyn_buf_clear(&logs.bytes);
    message_write_target(&logs.bytes, target);
    part->given[part->given_count++ % GIVEN_KEPT] = (struct given){
        target->decided, target->controller, dyn_hash(DYN_HASH_SEED, dyn_buf_str(&logs.bytes)),
        target->rung, target->raise_only};
}

static bool part_at(void *arg, size_t index, struct entry_id *out_id, struct dyn_str *out_message)
{
    const struct part *part = arg;
    struct bus_entry entry;
    if (!sim_stream_at(part->server, part->key, index, &entry)) {
        return false;
    }
    *out_id = entry.id;
    *out_message = entry.message;
    return true;
}

static void part_feed(struct part *part, size_t index)
{
    struct fold_out out = {.target = fold_gave, .arg = part};
    dyn_err err = refold_entry(&part->refold, index, &out);
    DYN_ASSERT(err != DYN_NOTFOUND && err != DYN_NOMEM);
    uint64_t epoch = fold_epoch(part->refold.fold);
    if (epoch != part->epoch) {
        part->epoch = epoch;
        part->broken = !part->refold.whole;
    }
}

static void part_begin(struct part *part, uint32_t partition)
{
    const struct refold_log log = {part_at, part};
    refold_fini(&part->refold);
    dyn_err err = refold_init(&part->refold, fleet.config, partition, &log);
    DYN_ASSERT(err == DYN_OK);
}

static bool estimator_lives(void)
{
    for (size_t i = 0; i < fleet.slots_count; i++) {
        if (fleet.slots[i].role == FLEET_ESTIMATOR && fleet.slots[i].process != NULL) {
            return true;
        }
    }
    return false;
}

/* Another history: what the primary has is all there is. A log that is gone as a whole is known to
 * those estimators alone that live. */
static void part_again(struct part *part, uint32_t partition)
{
    struct bus_entry entry;
    part_begin(part, partition);
    part->server = sim_server_primary();
    struct entry_id before = part->last_batch;
    part->last = (struct entry_id){0, 0};
    part->last_batch = (struct entry_id){0, 0};
    for (size_t i = 0; sim_stream_at(part->server, part->key, i, &entry); i++) {
        part_feed(part, i);
        part->last = entry.id;
    }
    part->broken = true;
    /* A leader folds at once what it marks every other second. */
    bool folded = part->unmarked_since == 0 || sim_now() - part->unmarked_since < MARK_US;
    if (entry_id_compare(part->last, before) < 0 && !folded &&
        (part->last.ms != 0 || estimator_lives())) {
        part->lost_at = sim_now();
    }
    part->unmarked_since = 0;
    part->marked = (struct entry_id){0, 0};
}

void audit_log_begin(void)
{
    memset(&logs, 0, sizeof logs);
    logs.reader = pack_reader_new();
    DYN_ASSERT(logs.reader != NULL);
    dyn_buf_init(&logs.bytes, DYN_ENTRY_MAX);
    for (uint32_t n = 0; n < fleet.partitions; n++) {
        struct part *part = &logs.parts[n];
        part->given = calloc(GIVEN_KEPT, sizeof *part->given);
        DYN_ASSERT(part->given != NULL);
        (void)snprintf(part->key, sizeof part->key, "dyn:{%" PRIu32 "}:values", n);
        part->server = sim_server_primary();
        part_begin(part, n);
    }
}

void audit_log_end(void)
{
    for (uint32_t n = 0; n < fleet.partitions; n++) {
        refold_fini(&logs.parts[n].refold);
        free(logs.parts[n].given);
    }
    pack_reader_free(logs.reader);
    dyn_buf_fini(&logs.bytes);
}

/* ---- values ---- */

static void batch_taken(const struct sim_write *write)
{
    struct batch batch;
    struct sample samples[DYN_BATCH_SAMPLES_MAX];
    if (pack_reader_start(logs.reader, write->value) != DYN_OK ||
        message_read_kind(logs.reader) != MESSAGE_BATCH ||
        message_read_batch(logs.reader, &batch, samples) != DYN_OK) {
        return;
    }
    for (uint32_t i = 0; i < batch.count; i++) {
        size_t input = fleet_input_of(samples[i].series);
        if (input == SIZE_MAX) {
            audit_broken("I3", "%s stores a series that no input has", write->name);
        } else if (samples[i].status == SAMPLE_GOOD) {
            audit.counts.samples++;
            audit_demand_sample(input, sim_now() - samples[i].age_ms * SIM_MS, samples[i].value,
                                write);
        }
    }
}

static void values_added(struct part *part, const struct sim_write *write)
{
    part->last = write->id;
    part->last_at = sim_now();
    if (!dyn_str_is(write->call, "dyn_tick") && write->process != 0) {
        part->last_batch = write->id;
        part->last_batch_at = sim_now();
        if (part->unmarked_since == 0) {
            part->unmarked = write->id;
            part->unmarked_since = sim_now();
        }
        batch_taken(write);
    }
}

/* ---- targets ---- */

/* What the log, folded again, gave there; the same, if it is among what one entry gave: a batch may
 * raise a target twice. NULL: nothing. */
static const struct given *given_find(const struct part *part, const struct target *target,
                                      uint64_t bytes)
{
    const struct given *found = NULL;
    size_t kept = part->given_count < GIVEN_KEPT ? part->given_count : GIVEN_KEPT;
    for (size_t back = 1; back <= kept; back++) {
        const struct given *given = &part->given[(part->given_count - back) % GIVEN_KEPT];
        bool there = given->controller == target->controller &&
                     entry_id_compare(given->decided, target->decided) == 0;
        if (there && given->bytes == bytes) {
            return given;
        }
        found = there && found == NULL ? given : found;
    }
    return found;
}

static void target_added(struct part *part, const struct sim_write *write,
                         const struct target *target)
{
    uint64_t bytes = dyn_hash(DYN_HASH_SEED, write->value);
    const struct given *given = given_find(part, target, bytes);
    audit.counts.targets++;
    if (given != NULL && given->bytes == bytes) {
        audit.counts.targets_equal++;
        return;
    }
    if (part->broken) {
        audit.counts.targets_unjudged++;
        return;
    }
    char decided[ENTRY_ID_TEXT];
    entry_id_format(target->decided, decided, sizeof decided);
    audit_broken(
        "I4",
        "%s publishes %d%s for " DYN_STR_FMT " decided at %s; the log, folded again, %s "
        "%d%s",
        write->name, target->rung, target->raise_only ? " raise_only" : "",
        DYN_STR_ARG(target->app), decided, given != NULL ? "gives" : "decides nothing there;",
        given != NULL ? given->rung : 0, given != NULL && given->raise_only ? " raise_only" : "");
}

static void targets_added(struct part *part, const struct sim_write *write)
{
    static struct target target;
    struct mark mark;
    if (pack_reader_start(logs.reader, write->value) != DYN_OK) {
        return;
    }
    enum message_kind kind = message_read_kind(logs.reader);
    if (kind == MESSAGE_TARGET && message_read_target(logs.reader, &target) == DYN_OK) {
        if (sim_story_told()) {
            sim_story("%s publishes " DYN_STR_FMT " %d%s", write->name, DYN_STR_ARG(target.app),
                      target.rung, target.raise_only ? " raise_only" : "");
        }
        target_added(part, write, &target);
    } else if (kind == MESSAGE_MARK && message_read_mark(logs.reader, &mark) == DYN_OK) {
        part->marked = mark.folded;
        if (entry_id_compare(mark.folded, part->unmarked) >= 0) {
            bool more = entry_id_compare(mark.folded, part->last_batch) < 0;
            part->unmarked = part->last_batch;
            part->unmarked_since = more ? sim_now() : 0;
        }
    }
}

void audit_log_write(const struct sim_write *write)
{
    int values = audit_partition_of(write->key, "values");
    int targets = audit_partition_of(write->key, "targets");
    if (write->server != sim_server_primary()) {
        return; /* an old primary: whatever it takes is lost */
    }
    if (write->kind == SIM_WRITE_ADD && values >= 0) {
        struct part *part = &logs.parts[values];
        bool went_back = entry_id_compare(write->id, part->last) <= 0;
        if (part->server != write->server || went_back) {
            part_again(part, (uint32_t)values); /* the entry is there already */
        } else {
            part_feed(part, sim_stream_count(part->server, part->key) - 1);
        }
        values_added(part, write);
    } else if (write->kind == SIM_WRITE_ADD && targets >= 0) {
        targets_added(&logs.parts[targets], write);
    } else if (write->kind == SIM_WRITE_DELETE && write->server == sim_server_primary()) {
        for (uint32_t n = 0; n < fleet.partitions; n++) {
            if (write->key.len == 0 || (int)n == values) {
                part_again(&logs.parts[n], n);
            }
        }
    }
}

void audit_log_event(const struct event *event)
{
    logs.lost_told = logs.lost_told || dyn_str_is(event->code, "samples_lost");
    if (dyn_str_is(event->code, "log_break") || dyn_str_is(event->code, "samples_lost")) {
        for (uint32_t n = 0; n < fleet.partitions; n++) {
            char words[32];
            (void)snprintf(words, sizeof words, "partition %" PRIu32 ":", n);
            char *text = strndup(event->text.ptr, event->text.len);
            if (text != NULL &&
                (strstr(text, words) != NULL || dyn_str_is(event->code, "samples_lost"))) {
                logs.parts[n].lost_at = 0;
            }
            free(text);
        }
    }
}

/* A restart with less than there was shows in the log's end alone. */
static void part_look(struct part *part, uint32_t partition)
{
    struct bus_entry entry;
    struct sim_server *primary = sim_server_primary();
    size_t count = sim_stream_count(primary, part->key);
    bool gone = part->last.ms != 0 &&
                (count == 0 || !sim_stream_at(primary, part->key, count - 1, &entry) ||
                 entry_id_compare(entry.id, part->last) < 0);
    if (part->server != primary || gone) {
        part_again(part, partition);
    }
    int64_t well = faults_over_since(AREA_PROCESS | AREA_NETWORK | AREA_REDIS | AREA_HISTORY);
    if (faults_log_went_back()) {
        part->lost_at = 0; /* ticks of lower epochs than the log has are passed over, see I6 */
    }
    if (part->lost_at != 0 && well != INT64_MAX && sim_now() - well > TELL_US &&
        sim_now() - part->lost_at > TELL_US) {
        audit_broken("I3",
                     "entries of partition %" PRIu32 " that nobody had folded were lost at %.1f s, "
                     "and nothing was told",
                     partition, (double)part->lost_at / (double)SIM_S);
        part->lost_at = 0;
    }
}

void audit_log_look(void)
{
    for (uint32_t n = 0; n < fleet.partitions; n++) {
        part_look(&logs.parts[n], n);
    }
}

static bool process_lives(uint64_t id)
{
    for (struct sim_process *process = sim_process_first(); process != NULL;
         process = sim_process_next(process)) {
        if (sim_process_id(process) == id) {
            return true;
        }
    }
    return false;
}

/* What a collector heard, and lives to store, is stored, or told as lost. */
static void polls_judge(size_t input)
{
    const struct demand_poll *poll = NULL;
    for (size_t i = 0; (poll = demand_poll_at(input, i)) != NULL; i++) {
        bool heard = !faults_touched_by(AREA_NETWORK | AREA_PROCESS, poll->process,
                                        poll->at - HEARD_US, poll->at + HEARD_US);
        if (!poll->stored && heard && sim_now() - poll->at > STORED_US && !logs.lost_told &&
            process_lives(poll->process)) {
            audit_broken("I3", "%s said %.0f at %.1f s, and that was never stored",
                         fleet.inputs[input].name, poll->value, (double)poll->at / (double)SIM_S);
            return;
        }
    }
}

void audit_log_finish(void)
{
    for (size_t i = 0; i < fleet.inputs_count; i++) {
        polls_judge(i);
    }
    for (uint32_t n = 0; n < fleet.partitions; n++) {
        const struct part *part = &logs.parts[n];
        if (faults_log_stands_until() == 0 && part->last_batch_at != 0 &&
            sim_now() - part->last_batch_at > BATCH_US) {
            audit_broken("I3", "partition %" PRIu32 " got no batch for %lld s", n,
                         (long long)((sim_now() - part->last_batch_at) / SIM_S));
        }
        if (part->unmarked_since != 0 && sim_now() - part->unmarked_since > FOLDED_US &&
            faults_log_stands_until() == 0 && !faults_log_went_back()) {
            char marked[ENTRY_ID_TEXT];
            char last[ENTRY_ID_TEXT];
            entry_id_format(part->marked, marked, sizeof marked);
            entry_id_format(part->last_batch, last, sizeof last);
            audit_broken("I3", "partition %" PRIu32 " is folded up to %s, its last batch is %s", n,
                         marked, last);
        }
    }
}
