/* The body of a log drain: whatever comes, what is counted adds up, and what is written of it for
 * Redis is what is read there again.
 */
#include "collector/drain_call.h"
#include "collector/figures.h"
#include "collector/logplex.h"

#define NOW_S 1714150740 /* 2024-04-26T16:59:00Z */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The fields of a bucket as Redis would answer them. */
static void fields_read(struct dyn_str text, struct tally_bucket *bucket, struct figures *figures)
{
    while (text.len > 0) {
        const char *first = memchr(text.ptr, ' ', text.len);
        DYN_ASSERT(first != NULL);
        struct dyn_str field = {text.ptr, (size_t)(first - text.ptr)};
        struct dyn_str rest = {first + 1, text.len - field.len - 1};
        const char *second = memchr(rest.ptr, ' ', rest.len);
        DYN_ASSERT(second != NULL);
        struct dyn_str count = {rest.ptr, (size_t)(second - rest.ptr)};
        tally_read(bucket, field, count);
        figures_add(figures, 0, field, count);
        text = (struct dyn_str){second + 1, rest.len - count.len - 1};
    }
}

static void bucket_check(const struct tally *tally, size_t i, struct dyn_str text)
{
    const struct tally_bucket *bucket = &tally->buckets[tally->used[i]];
    struct tally_bucket again = {.dropped = bucket->dropped};
    struct figures figures;
    struct dyn_error why = {""};
    figures_begin(&figures, FIGURES_SILENT_BUCKETS);
    DYN_ASSERT(bucket->errors <= bucket->requests && bucket->requests <= bucket->lines);
    DYN_ASSERT(histogram_total(&bucket->service) <= bucket->requests);
    DYN_ASSERT(histogram_total(&bucket->connect) <= bucket->requests);
    fields_read(text, &again, &figures);
    DYN_ASSERT(memcmp(&again, bucket, sizeof again) == 0);
    for (int figure = 0; figure < FIGURES; figure++) {
        double value = -1;
        enum figures_state state = figures_value(&figures, (enum figure)figure, true, &value, &why);
        DYN_ASSERT(state == FIGURES_NONE ? why.text[0] != '\0' : value >= 0 && value <= 1e15);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct tally tally;
    static struct drain_call call;
    uint64_t frames = UINT64_MAX;
    uint64_t lines = 0;
    const uint64_t frame = 7;
    if (call.text.max == 0) {
        drain_call_init(&call);
    }
    tally_begin(&tally, NOW_S, TALLY_KEPT_MAX_S);
    dyn_err err = logplex_read(&tally, (struct dyn_str){(const char *)data, size}, &frames);
    DYN_ASSERT(err == DYN_OK ? frames == tally.lines : frames == UINT64_MAX);
    if (drain_call_write(&call, &tally, "dyn", "0123456789abcdef", &frame, 60) != DYN_OK) {
        return 0;
    }
    DYN_ASSERT(call.argc == 3 + 2 + 3 + 3 * tally.used_count);
    for (size_t i = 0; i < tally.used_count; i++) {
        lines += tally.buckets[tally.used[i]].lines;
        bucket_check(&tally, i, call.argv[call.argc - 2 * (tally.used_count - i) + 1]);
    }
    DYN_ASSERT(lines + tally.strays <= tally.lines);
    return 0;
}
