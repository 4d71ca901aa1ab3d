/*
 * drain_keys: where the counts of a log drain stand in Redis. A drain's id is the first 16 digits
 * of its token's SHA-256: the token itself, which is a credential, is nowhere on the bus.
 */
#ifndef DYN_COLLECTOR_DRAIN_KEYS_H
#define DYN_COLLECTOR_DRAIN_KEYS_H

#include "common/limits.h"
#include "common/str.h"

#define DRAIN_ID_SIZE 17
#define DRAIN_KEY_SIZE (DYN_NAME_MAX + 64)
#define DRAIN_FRAMES_S 120 /* frames are remembered for that long at least, twice that at most */

/** DYN_NOMEM leaves `out` as it was. */
DYN_NODISCARD dyn_err drain_id(struct dyn_str token, char out[static DRAIN_ID_SIZE]);

/** PREFIX:{col}:drain:ID:SECONDS, the bucket that begins then. */
void drain_key_bucket(char out[static DRAIN_KEY_SIZE], const char *prefix, const char *id,
                      int64_t start_s);
/** PREFIX:{col}:drain:ID:frames:N, the frames that came in the N-th DRAIN_FRAMES_S. */
void drain_key_frames(char out[static DRAIN_KEY_SIZE], const char *prefix, const char *id,
                      int64_t nth);

#endif
