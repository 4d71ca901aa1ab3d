/* Retry-After values: whatever comes, the wait lies between zero and its bound. */
#include "common/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dyn_str value = {(const char *)data, size};
    int64_t now_ms = INT64_C(1767225600000);
    int64_t wait_s = -1;
    dyn_err err = http_retry_after(value, now_ms, 3600, &wait_s);
    DYN_ASSERT(err == DYN_OK || err == DYN_BADMSG);
    DYN_ASSERT(err == DYN_OK ? (wait_s >= 0 && wait_s <= 3600) : wait_s == -1);
    return 0;
}
