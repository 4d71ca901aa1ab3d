/*
 * drain_call: the call of the Function dyn_drain that adds a tally to Redis; arguments in
 * common/PROTOCOL.md. A core: no I/O.
 *
 * Memory: 20 KB and the texts, kept from call to call. Threads: one.
 */
#ifndef DYN_COLLECTOR_DRAIN_CALL_H
#define DYN_COLLECTOR_DRAIN_CALL_H

#include "collector/drain_keys.h"
#include "collector/tally.h"

#define DRAIN_CALL_KEYS (TALLY_BUCKETS + 2)
#define DRAIN_CALL_ARGS (3 + DRAIN_CALL_KEYS + 3 + 2 * TALLY_BUCKETS)
#define DRAIN_NUMBER_SIZE 24

struct drain_call {
    struct dyn_str argv[DRAIN_CALL_ARGS];
    size_t argc;
    char keys[DRAIN_CALL_KEYS][DRAIN_KEY_SIZE];
    char keys_count[DRAIN_NUMBER_SIZE];
    char frame[DRAIN_NUMBER_SIZE];
    char frames_kept[DRAIN_NUMBER_SIZE];
    char kept[DRAIN_NUMBER_SIZE];
    char lost[TALLY_BUCKETS][DRAIN_NUMBER_SIZE];
    struct dyn_buf text; /* the buckets' counts, back to back */
};

void drain_call_init(struct drain_call *call);
void drain_call_fini(struct drain_call *call);

/** `frame` NULL: nothing is counted but what is lost. Buckets live for kept_s from now. argv
 *  lives until the next call. DYN_NOMEM. */
DYN_NODISCARD dyn_err drain_call_write(struct drain_call *call, const struct tally *tally,
                                       const char *prefix, const char *id, const uint64_t *frame,
                                       int64_t kept_s);

#endif
