#include "estimator/refold.h"

dyn_err refold_init(struct refold *refold, const struct config *config, uint32_t partition,
                    const struct refold_log *log)
{
    *refold = (struct refold){.config = config, .partition = partition, .log = *log};
    refold->reader = pack_reader_new();
    refold->fold = fold_new(config, partition);
    if (refold->reader == NULL || refold->fold == NULL) {
        refold_fini(refold);
        return DYN_NOMEM;
    }
    return DYN_OK;
}

void refold_fini(struct refold *refold)
{
    pack_reader_free(refold->reader);
    fold_free(refold->fold);
    refold->reader = NULL;
    refold->fold = NULL;
}

static void refold_silent(void *arg, const struct target *target, bool changed)
{
    (void)arg, (void)target, (void)changed;
}

/* Where the entries before `index` and not before `from` begin; and whether none is missing there.
 */
static size_t refold_begin(const struct refold *refold, size_t index, struct entry_id from,
                           bool *out_whole)
{
    struct dyn_str message;
    struct entry_id id;
    size_t begin = index;
    *out_whole = from.ms == 0 && from.seq == 0;
    for (size_t i = index; i > 0; i--) {
        if (!refold->log.at(refold->log.arg, i - 1, &id, &message)) {
            continue;
        }
        int order = entry_id_compare(id, from);
        *out_whole = *out_whole || order <= 0;
        if (order < 0) {
            break;
        }
        begin = i - 1;
    }
    return begin;
}

/* What a leader knows that read the log from `from` on before its first tick, the entry at `index`.
 * A tick that is not its first is met where the log begins in the middle of its time. */
static dyn_err refold_anew(struct refold *refold, size_t index, const struct tick *tick)
{
    const struct fold_out silent = {.target = refold_silent};
    struct entry_id from = tick->from;
    bool first = tick->elapsed_ms == 0;
    struct fold *fold = fold_new(refold->config, refold->partition);
    struct dyn_str message;
    struct entry_id id;
    if (fold == NULL) {
        return DYN_NOMEM;
    }
    for (size_t i = refold_begin(refold, index, from, &refold->whole); i < index; i++) {
        if (refold->log.at(refold->log.arg, i, &id, &message)) {
            (void)fold_entry(fold, refold->reader, id, message, &silent);
        }
    }
    refold->whole = refold->whole && first;
    fold_free(refold->fold);
    refold->fold = fold;
    return DYN_OK;
}

dyn_err refold_entry(struct refold *refold, size_t index, const struct fold_out *out)
{
    struct dyn_str message;
    struct entry_id id;
    const struct tick *tick;
    if (!refold->log.at(refold->log.arg, index, &id, &message)) {
        return DYN_NOTFOUND;
    }
    if (fold_is_taken_over(refold->fold, refold->reader, id, message, &tick)) {
        dyn_err err = refold_anew(refold, index, tick);
        if (err != DYN_OK || !refold->log.at(refold->log.arg, index, &id, &message)) {
            return err != DYN_OK ? err : DYN_NOTFOUND;
        }
    }
    struct fold_counts before;
    struct fold_counts after;
    fold_counts(refold->fold, &before);
    dyn_err err = fold_entry(refold->fold, refold->reader, id, message, out);
    fold_counts(refold->fold, &after);
    refold->samples += after.samples - before.samples;
    refold->good += after.good - before.good;
    refold->ticks += after.ticks - before.ticks;
    refold->ticks_ignored += after.ticks_ignored - before.ticks_ignored;
    return err;
}
