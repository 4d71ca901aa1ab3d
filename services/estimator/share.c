#include "estimator/share.h"

#include <inttypes.h>
#include <stdio.h>

void share_init(struct share *share, uint32_t partitions, int64_t gone_ms)
{
    DYN_ASSERT(partitions <= DYN_PARTITIONS_MAX);
    *share = (struct share){
        .partitions = partitions, .gone_ms = gone_ms, .able_until_ms = INT64_MIN / 2};
    for (uint32_t p = 0; p < DYN_PARTITIONS_MAX; p++) {
        share->spare_since_ms[p] = SHARE_OWN;
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
}

void share_taken(struct share *share, uint32_t partition, int64_t now_ms)
{
    DYN_ASSERT(partition < share->partitions);
    share->spare_since_ms[partition] = share->ours[partition] ? SHARE_OWN : now_ms;
}

enum lease_wish share_wish(const struct share *share, uint32_t partition, bool held, int64_t now_ms)
{
    DYN_ASSERT(partition < share->partitions);
    if (!share->able) {
        bool soon = now_ms - share->able_until_ms < share->gone_ms;
        return held && soon ? LEASE_SPARE : LEASE_UNWANTED;
    }
    if (share->ours[partition]) {
        return LEASE_WANTED;
    }
    if (!share->known || !held) {
        return LEASE_SPARE;
    }
    int64_t since_ms = share->spare_since_ms[partition];
    bool kept = since_ms != SHARE_OWN && now_ms - since_ms < SHARE_KEEP_GONES * share->gone_ms;
    return kept ? LEASE_SPARE : LEASE_UNWANTED;
}
