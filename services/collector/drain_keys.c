#include "collector/drain_keys.h"

#include "common/digest.h"

#include <inttypes.h>

dyn_err drain_id(struct dyn_str token, char out[static DRAIN_ID_SIZE])
{
    char hex[DYN_SHA256_HEX_SIZE];
    dyn_err err = dyn_sha256_hex(token, hex);
    if (err == DYN_OK) {
        dyn_str_copy(out, DRAIN_ID_SIZE, dyn_str_from(hex));
    }
    return err;
}

void drain_key_bucket(char out[static DRAIN_KEY_SIZE], const char *prefix, const char *id,
                      int64_t start_s)
{
    (void)snprintf(out, DRAIN_KEY_SIZE, "%s:{col}:drain:%s:%" PRId64, prefix, id, start_s);
}

void drain_key_frames(char out[static DRAIN_KEY_SIZE], const char *prefix, const char *id,
                      int64_t nth)
{
    (void)snprintf(out, DRAIN_KEY_SIZE, "%s:{col}:drain:%s:frames:%" PRId64, prefix, id, nth);
}
