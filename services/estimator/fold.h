/*
 * fold: from one partition's log to its targets. Values and ticks go in, in the log's order;
 * targets, reports and events come out. The same log, read from the same entry on, gives the same
 * targets, bit for bit, whoever folds it: the estimator, `dynosaur replay`, `dynosaur simulate`,
 * the tests. Where a leader began to read stands in its ticks (refold.h).
 *
 * Time is the log's: entry IDs. A rise is decided on the batch that brings it; everything else
 * (a fall, coverage, outages, pins) on a tick that is read back. Ticks of an
 * epoch below the highest one seen are ignored, and so are those of an epoch far beyond their own
 * ID, which no lease can have. The first tick of a new epoch makes every target be given again.
 *
 * Ticks whose elapsed times and IDs drift apart by more than FOLD_JUMP_MS, or that carry a break,
 * end coverage: nothing falls before good samples reach over a whole window again. So does more
 * than FOLD_ALONE_MS between the ticks of two leaders, in which the clock may have been set unseen;
 * where no leader is known to have been before there is nothing to miss.
 *
 * A fold has one configuration for life: another one is another fold, which re-reads its windows
 * from the log (they are found by series, so an input that did not change loses nothing) and begins
 * a new epoch.
 *
 * Ownership: the configuration is borrowed and must live until fold_free(). Outputs borrow from the
 * fold and live during their call. Memory: no allocation per sample once windows have grown (see
 * window.h). Threads: one.
 */
#ifndef DYN_ESTIMATOR_FOLD_H
#define DYN_ESTIMATOR_FOLD_H

#include "common/config.h"
#include "common/message.h"

#define FOLD_MS_MAX INT64_C(253402300799999) /* 9999-12-31: an entry of a later ID is malformed */
#define FOLD_EPOCH_AHEAD_MS 86400000         /* an epoch is Redis' milliseconds, or little more */
#define FOLD_JUMP_MS 5000                    /* a slow disk can delay a write of Redis by 2 s */
#define FOLD_ALONE_MS 30000                  /* a lease stands still for 8 s before it is taken */
#define FOLD_DRIFT_MS 1               /* forgiven each tick: NTP slews by at most 0.5 ms a second */
#define FOLD_OUTAGE_MS 300000         /* the original's OUTAGE */
#define FOLD_HELD_AGAIN_MS 3600000    /* what lasts is told again each hour */
#define FOLD_KEYFRAME_TICKS 60        /* every target is restated within that many ticks */
#define FOLD_RESOURCES_MAX 1000000000 /* far beyond every max_resource: no overflow on the way */
#define FOLD_UNKNOWN_MS 180000        /* what runs is not known for so long: told */
#define FOLD_MEMBERS_MAX 256 /* collectors whose sequence is watched; the oldest is forgotten */

struct fold;

struct fold_out {
    /** A target that changed, or (`changed` false) is only restated: a keyframe. */
    void (*target)(void *arg, const struct target *target, bool changed);
    /** Each controller, every scaler.interval. May be NULL. */
    void (*report)(void *arg, const struct report *report);
    /** Inputs that went stale, into outage, came back; samples lost; clock jumps. May be NULL.
     *  level, state, code, app, controller, input, cause and text are set. */
    void (*event)(void *arg, const struct event *event);
    void *arg;
};

/** The resources that a value asks for by itself; of plans one more than there are when none holds
 *  it. Not of an input with a target, where that depends on what runs. */
int32_t fold_resources(const struct config_input *config, double value);

/** NULL: no memory. */
struct fold *fold_new(const struct config *config, uint32_t partition);
void fold_free(struct fold *fold);

/** Fold a batch whose entry has the ID `id`. Samples of unknown series are counted and skipped. */
void fold_batch(struct fold *fold, struct entry_id id, const struct batch *batch,
                const struct sample *samples, const struct fold_out *out);
void fold_tick(struct fold *fold, struct entry_id id, const struct tick *tick,
               const struct fold_out *out);

/**
 * Fold one entry's bytes, whatever it is. DYN_BADMSG or DYN_UNSUPPORTED: not one of ours, nothing
 * happened but that it was counted.
 */
dyn_err fold_entry(struct fold *fold, struct pack_reader *reader, struct entry_id id,
                   struct dyn_str message, const struct fold_out *out);

/** Whether the entry is a tick of another leader than the one that was folded last. Nothing is
 *  folded. `out_tick` is borrowed until the next call. */
bool fold_is_taken_over(struct fold *fold, struct pack_reader *reader, struct entry_id id,
                        struct dyn_str message, const struct tick **out_tick);

/** Give the controller's target as it stands after the last entry, like a keyframe. DYN_NOTFOUND:
 *  it has none, or is not of this partition. */
DYN_NODISCARD dyn_err fold_restate(struct fold *fold, uint64_t controller,
                                   const struct fold_out *out);

/** The log ms since which every input of the controller has been heard; INT64_MAX: one never was,
 * or it is not of this partition. What happened before lies at most one window behind that. */
int64_t fold_heard_since(const struct fold *fold, uint64_t controller);

const struct config *fold_config(const struct fold *fold);

uint64_t fold_epoch(const struct fold *fold); /* the highest seen; 0: none */
struct entry_id fold_last(const struct fold *fold);

struct fold_counts {
    uint64_t samples, good, failed, unknown, late, lost, malformed, ticks, ticks_ignored, jumps;
    size_t controllers, inputs;
};
void fold_counts(const struct fold *fold, struct fold_counts *out);
/** All memory of the fold but the configuration; every input is looked at. */
size_t fold_bytes(const struct fold *fold);

#endif
