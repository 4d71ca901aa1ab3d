/*
 * refold: a log folded again, so that it gives the targets that were given when it was led.
 *
 * A leader that takes a partition re-reads two windows of its log and knows nothing from before:
 * not the last value of an input that fell silent, not since when zeros have been told, not how far
 * the clock had drifted. Its first tick says where its reading began (`from`), so a log that
 * several leaders led is folded as each of them did: at the first tick of another epoch with a new
 * fold, from that entry on. What a whole log gives is then what was given, bit for bit, with
 * nothing to forgive but entries that are gone.
 *
 * Ownership: a refold owns its fold; the configuration and the log are borrowed. Threads: one.
 */
#ifndef DYN_ESTIMATOR_REFOLD_H
#define DYN_ESTIMATOR_REFOLD_H

#include "estimator/fold.h"

/** The entries of one partition's log, in order. */
struct refold_log {
    /** False: there is no entry of the log at `index`; the others count all the same. The message
     *  lives until the next call. */
    bool (*at)(void *arg, size_t index, struct entry_id *out_id, struct dyn_str *out_message);
    void *arg;
};

struct refold {
    const struct config *config;
    uint32_t partition;
    struct refold_log log;
    struct pack_reader *reader;
    struct fold *fold;
    bool whole; /* the log has all that the leader of now had read */
    uint64_t samples, good, ticks, ticks_ignored; /* of the log, each entry once */
};

/** DYN_NOMEM: nothing stays held. */
DYN_NODISCARD dyn_err refold_init(struct refold *refold, const struct config *config,
                                  uint32_t partition, const struct refold_log *log);
void refold_fini(struct refold *refold);

/**
 * Fold the entry at `index`, which is the next one. Where another leader takes over with it, a new
 * fold takes in first, without a word, what that leader had read.
 *
 * Returns what fold_entry() does, DYN_NOTFOUND where there is no entry, DYN_NOMEM with the fold of
 * before left standing.
 */
DYN_NODISCARD dyn_err refold_entry(struct refold *refold, size_t index, const struct fold_out *out);

#endif
