/* Times as people and files write them: what is taken lies within 1970 to 9999, and means the same
 * once it is written out and read again. */
#include "common/clock.h"

#define YEAR_10000_MS INT64_C(253402300800000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dyn_str text = {(const char *)data, size};
    int64_t wall_ms = -1;
    int64_t again_ms = -1;
    char written[32];
    dyn_err err = dyn_clock_parse(text, &wall_ms);
    if (err != DYN_OK) {
        DYN_ASSERT(err == DYN_BADMSG || err == DYN_RANGE);
        DYN_ASSERT(wall_ms == -1);
        return 0;
    }
    DYN_ASSERT(wall_ms >= 0 && wall_ms < YEAR_10000_MS);
    dyn_clock_format(wall_ms, written, sizeof written);
    err = dyn_clock_parse(dyn_str_from(written), &again_ms);
    DYN_ASSERT(err == DYN_OK && again_ms == wall_ms - wall_ms % 1000);
    return 0;
}
