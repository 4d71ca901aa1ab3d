#include "collector/outbox.h"

#include <stdlib.h>

#define NONE UINT32_MAX

/* A sample at rest. Slots are taken last in, first out, so that memory is touched only as far as
 * the queue ever grew. */
struct held {
    uint64_t series;
    int64_t at_ms;
    double value;
    uint32_t next; /* in its queue, batch or the free list */
    uint8_t status;
    uint8_t reason_len;
    char reason[DYN_REASON_MAX];
};

struct chain {
    uint32_t first; /* the oldest */
    uint32_t last;
    uint32_t count;
};

struct partition {
    struct chain waiting;
    struct chain batch;
    uint64_t seq;        /* of the batch formed last */
    uint64_t lost;       /* dropped, and said by no batch yet */
    uint64_t batch_lost; /* what the batch says */
    size_t batch_bytes;
    int64_t retry_ms; /* not before this */
    bool formed;      /* `batch` has its number */
    bool sent;        /* and an answer is owed */
    bool tried;       /* and it was sent before */
};

struct outbox {
    struct outbox_options options;
    char *member;
    struct partition *partitions;
    struct held *pool;
    uint32_t free_first; /* of the slots given back */
    uint32_t untouched;  /* slots from here on were never used */
    bool online;
    struct dyn_buf message;
    struct sample samples[DYN_BATCH_SAMPLES_MAX];
    struct outbox_counts counts;
};

_Static_assert(DYN_REASON_MAX <= UINT8_MAX, "a reason's length stands in one byte");

struct outbox *outbox_new(const struct outbox_options *options)
{
    DYN_ASSERT(options->partitions > 0);
    DYN_ASSERT(options->age_max_ms <= SAMPLE_AGE_MAX_MS);
    struct outbox *outbox = calloc(1, sizeof *outbox);
    if (outbox == NULL) {
        return NULL;
    }
    outbox->options = *options;
    if (options->samples_max == 0) {
        outbox->options.samples_max = OUTBOX_SAMPLES_MAX;
    }
    outbox->free_first = NONE;
    dyn_buf_init(&outbox->message, DYN_ENTRY_MAX);
    outbox->member = strndup(options->member.ptr, options->member.len);
    outbox->partitions = calloc(options->partitions, sizeof *outbox->partitions);
    outbox->pool = malloc(outbox->options.samples_max * sizeof *outbox->pool);
    if (outbox->member == NULL || outbox->partitions == NULL || outbox->pool == NULL) {
        outbox_free(outbox);
        return NULL;
    }
    for (uint32_t i = 0; i < options->partitions; i++) {
        outbox->partitions[i].waiting.first = NONE;
        outbox->partitions[i].batch.first = NONE;
    }
    return outbox;
}

void outbox_free(struct outbox *outbox)
{
    if (outbox == NULL) {
        return;
    }
    dyn_buf_fini(&outbox->message);
    free(outbox->member);
    free(outbox->partitions);
    free(outbox->pool);
    free(outbox);
}

void outbox_age_max(struct outbox *outbox, int64_t age_max_ms)
{
    DYN_ASSERT(age_max_ms <= SAMPLE_AGE_MAX_MS);
    outbox->options.age_max_ms = age_max_ms;
}

const struct outbox_counts *outbox_counts(const struct outbox *outbox)
{
    return &outbox->counts;
}

/* ---- the pool ---- */

static void chain_push(struct outbox *outbox, struct chain *chain, uint32_t slot)
{
    outbox->pool[slot].next = NONE;
    if (chain->count == 0) {
        chain->first = slot;
    } else {
        outbox->pool[chain->last].next = slot;
    }
    chain->last = slot;
    chain->count++;
}

static uint32_t chain_shift(struct outbox *outbox, struct chain *chain)
{
    DYN_ASSERT(chain->count > 0);
    uint32_t slot = chain->first;
    chain->first = outbox->pool[slot].next;
    chain->count--;
    return slot;
}

static void slot_release(struct outbox *outbox, uint32_t slot)
{
    outbox->pool[slot].next = outbox->free_first;
    outbox->free_first = slot;
    outbox->counts.queued--;
}

/* Drop the oldest sample that waits anywhere; false: none waits. */
static bool drop_oldest(struct outbox *outbox)
{
    struct partition *victim = NULL;
    int64_t oldest = INT64_MAX;
    for (uint32_t i = 0; i < outbox->options.partitions; i++) {
        struct partition *partition = &outbox->partitions[i];
        if (partition->waiting.count > 0 && outbox->pool[partition->waiting.first].at_ms < oldest) {
            oldest = outbox->pool[partition->waiting.first].at_ms;
            victim = partition;
        }
    }
    if (victim == NULL) {
        return false;
    }
    slot_release(outbox, chain_shift(outbox, &victim->waiting));
    victim->lost++;
    outbox->counts.dropped++;
    return true;
}

static uint32_t slot_take(struct outbox *outbox)
{
    if (outbox->counts.queued == outbox->options.samples_max && !drop_oldest(outbox)) {
        return NONE;
    }
    uint32_t slot = outbox->free_first;
    if (slot != NONE) {
        outbox->free_first = outbox->pool[slot].next;
    } else {
        slot = outbox->untouched++;
    }
    outbox->counts.queued++;
    return slot;
}

void outbox_add(struct outbox *outbox, uint32_t partition, const struct sample *sample,
                int64_t now_ms)
{
    DYN_ASSERT(partition < outbox->options.partitions);
    outbox->counts.added++;
    struct partition *to = &outbox->partitions[partition];
    uint32_t slot = slot_take(outbox);
    if (slot == NONE) {
        to->lost++;
        outbox->counts.dropped++;
        return;
    }
    struct held *held = &outbox->pool[slot];
    held->series = sample->series;
    held->at_ms = now_ms - sample->age_ms;
    held->value = sample->value;
    held->status = (uint8_t)sample->status;
    char reason[DYN_REASON_MAX + 1];
    dyn_str_copy(reason, sizeof reason, sample->reason);
    held->reason_len = (uint8_t)strlen(reason);
    memcpy(held->reason, reason, held->reason_len);
    chain_push(outbox, &to->waiting, slot);
}

/* ---- batches ---- */

/* Samples come in nearly in order, so those that are too old stand in front. */
static void drop_aged(struct outbox *outbox, struct chain *chain, uint64_t *lost, int64_t now_ms)
{
    while (chain->count > 0 &&
           now_ms - outbox->pool[chain->first].at_ms > outbox->options.age_max_ms) {
        slot_release(outbox, chain_shift(outbox, chain));
        (*lost)++;
        outbox->counts.dropped++;
    }
}

static void batch_form(struct outbox *outbox, struct partition *partition)
{
    DYN_ASSERT(!partition->formed);
    partition->formed = true;
    partition->tried = false;
    partition->seq++;
    partition->batch_lost = partition->lost;
    partition->lost = 0;
    while (partition->waiting.count > 0 && partition->batch.count < DYN_BATCH_SAMPLES_MAX) {
        chain_push(outbox, &partition->batch, chain_shift(outbox, &partition->waiting));
    }
}

static int64_t age_bounded(int64_t age_ms)
{
    if (age_ms < 0) {
        return 0;
    }
    return age_ms < SAMPLE_AGE_MAX_MS ? age_ms : SAMPLE_AGE_MAX_MS;
}

static dyn_err batch_write(struct outbox *outbox, const struct partition *partition, int64_t now_ms)
{
    uint32_t count = 0;
    for (uint32_t slot = partition->batch.first; count < partition->batch.count; count++) {
        const struct held *held = &outbox->pool[slot];
        outbox->samples[count] = (struct sample){
            .series = held->series,
            .age_ms = age_bounded(now_ms - held->at_ms),
            .status = (enum sample_status)held->status,
            .value = held->value,
            .reason = {held->reason, held->reason_len},
        };
        slot = held->next;
    }
    struct batch batch = {
        .member = dyn_str_from(outbox->member),
        .seq = partition->seq,
        .lost = partition->batch_lost,
        .count = count,
    };
    dyn_buf_clear(&outbox->message);
    message_write_batch(&outbox->message, &batch, outbox->samples);
    return dyn_buf_result(&outbox->message);
}

/* Send the formed batch, for the first time or again. */
static void batch_send(struct outbox *outbox, uint32_t index, int64_t now_ms)
{
    struct partition *partition = &outbox->partitions[index];
    drop_aged(outbox, &partition->batch, &partition->batch_lost, now_ms);
    if (batch_write(outbox, partition, now_ms) != DYN_OK) {
        partition->retry_ms = now_ms + OUTBOX_RETRY_MS; /* no memory: it may come back */
        return;
    }
    if (outbox->options.send(outbox->options.arg, index, dyn_buf_str(&outbox->message)) != DYN_OK) {
        partition->retry_ms = now_ms + OUTBOX_RETRY_MS;
        return;
    }
    partition->batch_bytes = outbox->message.len;
    outbox->counts.resent += partition->tried ? 1 : 0;
    partition->sent = true;
    partition->tried = true;
}

void outbox_online(struct outbox *outbox, bool online)
{
    outbox->online = online;
    for (uint32_t i = 0; online && i < outbox->options.partitions; i++) {
        outbox->partitions[i].retry_ms = 0;
    }
}

static void partition_answer(struct outbox *outbox, struct partition *partition, dyn_err err,
                             int64_t now_ms)
{
    DYN_ASSERT(partition->sent);
    partition->sent = false;
    if (err != DYN_OK) {
        /* A lost connection is over when outbox_online() says so; anything else is tried again in
         * a while, under the same number, since it may have been applied. */
        partition->retry_ms = now_ms + OUTBOX_RETRY_MS;
        return;
    }
    outbox->counts.delivered += partition->batch.count;
    outbox->counts.batches++;
    outbox->counts.bytes += partition->batch_bytes;
    while (partition->batch.count > 0) {
        slot_release(outbox, chain_shift(outbox, &partition->batch));
    }
    partition->formed = false;
}

void outbox_answer(struct outbox *outbox, uint32_t partition, dyn_err err, int64_t now_ms)
{
    DYN_ASSERT(partition < outbox->options.partitions);
    partition_answer(outbox, &outbox->partitions[partition], err, now_ms);
}

/* When the partition wants its next step; INT64_MAX: it waits for an answer, or has nothing. */
static int64_t partition_due(const struct outbox *outbox, const struct partition *partition)
{
    if (!outbox->online || partition->sent) {
        return INT64_MAX;
    }
    if (partition->formed) {
        return partition->retry_ms;
    }
    if (partition->waiting.count >= DYN_BATCH_SAMPLES_MAX) {
        return 0;
    }
    if (partition->waiting.count > 0) {
        return outbox->pool[partition->waiting.first].at_ms + outbox->options.linger_ms;
    }
    return partition->lost > 0 ? 0 : INT64_MAX;
}

void outbox_turn(struct outbox *outbox, int64_t now_ms, bool flush)
{
    for (uint32_t i = 0; i < outbox->options.partitions; i++) {
        struct partition *partition = &outbox->partitions[i];
        /* Also while the bus is away, so that what is of no use makes room. */
        drop_aged(outbox, &partition->waiting, &partition->lost, now_ms);
        int64_t due = partition_due(outbox, partition);
        bool hurry = flush && !partition->formed; /* not what the bus has refused just now */
        if (due == INT64_MAX || (due > now_ms && !hurry)) {
            continue;
        }
        if (!partition->formed) {
            batch_form(outbox, partition);
        }
        batch_send(outbox, i, now_ms);
    }
}

int64_t outbox_next_ms(const struct outbox *outbox)
{
    int64_t next = INT64_MAX;
    for (uint32_t i = 0; i < outbox->options.partitions; i++) {
        int64_t due = partition_due(outbox, &outbox->partitions[i]);
        next = due < next ? due : next;
    }
    return next;
}
