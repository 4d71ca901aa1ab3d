#include "estimator/share.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void share_init(struct share *share, uint32_t partitions, int64_t gone_ms)
{
    DYN_ASSERT(partitions <= DYN_PARTITIONS_MAX);
    *share = (struct share){.partitions = partitions,
                            .gone_ms = gone_ms,
                            .alone = true,
                            .able_until_ms = INT64_MIN / 2};
    for (uint32_t p = 0; p < DYN_PARTITIONS_MAX; p++) {
        share->spare_since_ms[p] = SHARE_OWN;
        share->failed_ms[p] = INT64_MIN / 2;
    }
}

void share_able(struct share *share, bool able, int64_t now_ms)
{
    if (share->able && !able) {
        share->able_until_ms = now_ms;
    }
    share->able = able;
}

/* A partition's key is its number's hash: every estimator has the same ones. */
static uint64_t share_key(uint32_t partition)
{
    char text[16];
    (void)snprintf(text, sizeof text, "%" PRIu32, partition);
    return dyn_hash(DYN_HASH_SEED, dyn_str_from(text));
}

void share_spread(struct share *share, const struct members *members)
{
    uint64_t keys[DYN_PARTITIONS_MAX];
    for (uint32_t p = 0; p < share->partitions; p++) {
        keys[p] = share_key(p);
    }
    members_spread(members, keys, share->partitions, share->ours);
    share->known = members_known(members);
    share->alone = members_count(members) <= 1;
    memset(share->spares, 0, sizeof share->spares);
}

void share_taken(struct share *share, uint32_t partition, int64_t now_ms)
{
    DYN_ASSERT(partition < share->partitions);
    bool spare = !share->ours[partition];
    share->spare_since_ms[partition] = spare ? now_ms : SHARE_OWN;
    share->spares[partition] = spare ? share->spares[partition] + 1 : 0;
}

void share_failed(struct share *share, uint32_t partition, int64_t now_ms)
{
    DYN_ASSERT(partition < share->partitions);
    if (++share->failures[partition] >= SHARE_FAILURES_MAX) {
        share->failures[partition] = 0;
        share->failed_ms[partition] = now_ms;
    }
}

void share_led(struct share *share, uint32_t partition)
{
    DYN_ASSERT(partition < share->partitions);
    share->failures[partition] = 0;
}

static int64_t keep_ms(const struct share *share, uint32_t partition)
{
    unsigned doubles = share->spares[partition] > 0 ? share->spares[partition] - 1 : 0;
    doubles = doubles < SHARE_KEEP_DOUBLES ? doubles : SHARE_KEEP_DOUBLES;
    return (SHARE_KEEP_GONES * share->gone_ms) << doubles;
}

enum lease_wish share_wish(const struct share *share, uint32_t partition, bool held, int64_t now_ms)
{
    DYN_ASSERT(partition < share->partitions);
    if (!share->able) {
        bool soon = now_ms - share->able_until_ms < share->gone_ms;
        return held && soon ? LEASE_SPARE : LEASE_UNWANTED;
    }
    int64_t since_failed_ms = now_ms - share->failed_ms[partition];
    if (!share->alone && since_failed_ms < share->gone_ms) {
        return LEASE_UNWANTED; /* somebody else may be able to */
    }
    if (share->ours[partition]) {
        bool failed = since_failed_ms < SHARE_KEEP_GONES * share->gone_ms;
        return failed ? LEASE_SPARE : LEASE_WANTED;
    }
    if (!share->known || !held) {
        return LEASE_SPARE;
    }
    int64_t since_ms = share->spare_since_ms[partition];
    bool kept = since_ms != SHARE_OWN && now_ms - since_ms < keep_ms(share, partition);
    return kept ? LEASE_SPARE : LEASE_UNWANTED;
}
