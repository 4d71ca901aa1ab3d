/*
 * drain_table: which log drains the configuration has, and who may send for one: the drain's token,
 * and the password of its URL where the input has one.
 *
 * Secrets are resolved when the table is read; what is kept is their SHA-256, which is also what is
 * compared, so that no time tells how much of a guess was right.
 *
 * Threads: one.
 */
#ifndef DYN_COLLECTOR_DRAIN_TABLE_H
#define DYN_COLLECTOR_DRAIN_TABLE_H

#include "collector/drain_keys.h"
#include "common/config.h"
#include "common/digest.h"

#define DRAIN_KEPT_SLACK_S 60 /* a bucket may be read that long after its lines had their time */

struct drain_known { /* an input's drain */
    char token[DYN_SHA256_HEX_SIZE];
    char password[DYN_SHA256_HEX_SIZE]; /* "": none is asked for */
    char id[DRAIN_ID_SIZE];
    int64_t kept_s; /* how long its buckets are needed: by the longest of all with this token */
};

struct drain_table {
    struct drain_known *known; /* by their tokens */
    size_t count;
};

/** The drains of a configuration, in place of what was there. `out_asked`: how many inputs ask for
 *  one; those whose secrets cannot be had are in no table. DYN_NOMEM: all is as it was. */
DYN_NODISCARD dyn_err drain_table_read(struct drain_table *table, const struct config *config,
                                       size_t *out_asked);
void drain_table_fini(struct drain_table *table);

/** NULL: there is no such drain, or it has another password. */
const struct drain_known *drain_table_find(const struct drain_table *table, struct dyn_str token,
                                           struct dyn_str password);

#endif
