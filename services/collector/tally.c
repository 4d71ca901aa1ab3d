#include "collector/tally.h"

#include <inttypes.h>

static int64_t bucket_floor(int64_t wall_s)
{
    return wall_s - wall_s % TALLY_BUCKET_S;
}

void tally_begin(struct tally *tally, int64_t now_s, int64_t kept_s)
{
    DYN_ASSERT(kept_s >= 0 && kept_s <= TALLY_KEPT_MAX_S);
    if (now_s < TALLY_KEPT_MAX_S) {
        now_s = TALLY_KEPT_MAX_S; /* a clock that was never set */
    }
    for (size_t i = 0; i < tally->used_count; i++) {
        memset(&tally->buckets[tally->used[i]], 0, sizeof tally->buckets[0]);
        tally->is_used[tally->used[i]] = false;
    }
    tally->used_count = 0;
    tally->lines = 0;
    tally->requests = 0;
    tally->dropped = 0;
    tally->strays = 0;
    tally->now_s = now_s;
    tally->first_s = bucket_floor(now_s - kept_s);
    int64_t last_s = bucket_floor(now_s + TALLY_AHEAD_S);
    tally->count = (size_t)((last_s - tally->first_s) / TALLY_BUCKET_S) + 1;
    DYN_ASSERT(tally->count <= TALLY_BUCKETS);
}

struct tally_bucket *tally_at(struct tally *tally, int64_t wall_s)
{
    if (wall_s < tally->first_s) {
        return NULL;
    }
    size_t index = (size_t)((wall_s - tally->first_s) / TALLY_BUCKET_S);
    if (index >= tally->count) {
        return NULL;
    }
    if (!tally->is_used[index]) {
        tally->is_used[index] = true;
        tally->used[tally->used_count++] = index;
    }
    return &tally->buckets[index];
}

void tally_drop(struct tally *tally, int64_t from_s, int64_t to_s, uint64_t count)
{
    int64_t end_s = tally->first_s + (int64_t)tally->count * TALLY_BUCKET_S;
    int64_t at_s = from_s > tally->first_s ? bucket_floor(from_s) : tally->first_s;
    tally->dropped += count;
    for (; at_s <= to_s && at_s < end_s; at_s += TALLY_BUCKET_S) {
        struct tally_bucket *bucket = tally_at(tally, at_s);
        DYN_ASSERT(bucket != NULL);
        bucket->dropped += count;
    }
}

/* ---- as it stands in Redis ---- */

int64_t tally_start_s(const struct tally *tally, size_t i)
{
    DYN_ASSERT(i < tally->used_count);
    return tally->first_s + (int64_t)tally->used[i] * TALLY_BUCKET_S;
}

static void count_write(struct dyn_buf *out, char field, uint64_t count)
{
    if (count > 0) {
        (void)dyn_buf_addf(out, "%c %" PRIu64 " ", field, count);
    }
}

static void histogram_write(struct dyn_buf *out, char field, const struct histogram *histogram)
{
    for (size_t bin = 0; bin < HISTOGRAM_BINS; bin++) {
        if (histogram->counts[bin] > 0) {
            (void)dyn_buf_addf(out, "%c%zu %" PRIu32 " ", field, bin, histogram->counts[bin]);
        }
    }
}

uint64_t tally_write(const struct tally *tally, size_t i, struct dyn_buf *out)
{
    DYN_ASSERT(i < tally->used_count);
    const struct tally_bucket *bucket = &tally->buckets[tally->used[i]];
    count_write(out, 'l', bucket->lines);
    count_write(out, 'n', bucket->requests);
    count_write(out, 'e', bucket->errors);
    histogram_write(out, 's', &bucket->service);
    histogram_write(out, 'c', &bucket->connect);
    return bucket->dropped;
}

void tally_read(struct tally_bucket *bucket, struct dyn_str field, struct dyn_str count)
{
    uint64_t value = 0;
    uint64_t bin = 0;
    if (field.len == 0 || dyn_str_u64(count, &value) != DYN_OK || value > UINT32_MAX) {
        return;
    }
    struct dyn_str digits = {field.ptr + 1, field.len - 1};
    if (field.ptr[0] == 's' || field.ptr[0] == 'c') {
        if (dyn_str_u64(digits, &bin) == DYN_OK && bin < HISTOGRAM_BINS) {
            histogram_add(field.ptr[0] == 's' ? &bucket->service : &bucket->connect, bin, value);
        }
        return;
    }
    uint64_t *const sums[] = {&bucket->lines, &bucket->requests, &bucket->errors, &bucket->dropped};
    static const char fields[] = "lnex";
    const char *at = field.len == 1 ? strchr(fields, field.ptr[0]) : NULL;
    if (at != NULL && *at != '\0') {
        *sums[at - fields] += value;
    }
}
