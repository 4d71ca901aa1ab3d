/*
 * outbox: samples on their way to the bus. A core: no clock, no I/O; it is told the time, and sends
 * through a function.
 *
 * Each partition has a queue and at most one batch that is sent and not answered, so that batches
 * of one partition can never overtake each other. A batch is formed when the oldest sample has
 * waited for `linger_ms`, or a whole batch is there. Once formed it keeps its number and its
 * samples until the bus has answered: a resend is the same batch with fresh ages, and its reader
 * drops the repeat.
 *
 * All queues share one pool. A full pool drops its oldest waiting sample; a sample older than
 * `age_max_ms` is of no use to any window and goes, too. Both are counted, and the next batch of
 * that partition says how many are `lost`.
 *
 * Invariants: queued + in batches <= samples_max; a partition's numbers are 1, 2, 3, ... without a
 *             hole.
 * Threads:    the loop thread only.
 */
#ifndef DYN_COLLECTOR_OUTBOX_H
#define DYN_COLLECTOR_OUTBOX_H

#include "common/message.h"

#define OUTBOX_SAMPLES_MAX 65536
#define OUTBOX_LINGER_MS 5
#define OUTBOX_RETRY_MS 1000 /* a batch that the server refused is offered again after this */

struct outbox;

struct outbox_options {
    struct dyn_str member; /* unique a start of this process; copied */
    uint32_t partitions;
    uint32_t samples_max; /* 0: OUTBOX_SAMPLES_MAX */
    int64_t linger_ms;
    int64_t age_max_ms; /* at most SAMPLE_AGE_MAX_MS */
    /** Take a batch along, and owe an outbox_answer(), later. Anything but DYN_OK: not taken,
     *  nothing owed, tried again after OUTBOX_RETRY_MS. */
    dyn_err (*send)(void *arg, uint32_t partition, struct dyn_str message);
    void *arg;
};

struct outbox_counts {
    uint64_t added;
    uint64_t delivered; /* samples in answered batches */
    uint64_t dropped;   /* full pool, too old, or a batch over its bound */
    uint64_t batches;   /* answered */
    uint64_t bytes;     /* of messages answered */
    uint64_t resent;    /* batches sent again */
    uint32_t queued;    /* samples held now */
};

struct outbox *outbox_new(const struct outbox_options *options); /* NULL: no memory */
void outbox_free(struct outbox *outbox);
void outbox_age_max(struct outbox *outbox, int64_t age_max_ms); /* another configuration */

/** `sample->age_ms` counts before `now_ms`; the reason is copied and cut to DYN_REASON_MAX. */
void outbox_add(struct outbox *outbox, uint32_t partition, const struct sample *sample,
                int64_t now_ms);

/** The bus can be sent to, or no longer: then batches wait, and what was sent and not answered is
 *  sent again when it is back (its answer, an error, has come or will come before). */
void outbox_online(struct outbox *outbox, bool online);

/** The bus's answer to the batch that the partition has under way. */
void outbox_answer(struct outbox *outbox, uint32_t partition, dyn_err err, int64_t now_ms);

/** Form and send what is due. With `flush` nothing lingers, but what was refused still waits. */
void outbox_turn(struct outbox *outbox, int64_t now_ms, bool flush);

/** When the next outbox_turn() has something to do; INT64_MAX: never. */
int64_t outbox_next_ms(const struct outbox *outbox);

const struct outbox_counts *outbox_counts(const struct outbox *outbox);

#endif
