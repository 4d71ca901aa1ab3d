#include "collector/histogram.h"

#include "common/err.h"

/* [16, 32) begins the first doubling with bins of its own; below, bin and value are the same. */
#define PER_DOUBLING 16U
#define PER_DOUBLING_BITS 4U

size_t histogram_bin(uint32_t ms)
{
    if (ms < PER_DOUBLING) {
        return ms;
    }
    if (ms > HISTOGRAM_LONGEST_MS) {
        return HISTOGRAM_BINS - 1;
    }
    unsigned highest = 31U - (unsigned)__builtin_clz(ms);
    unsigned shift = highest - PER_DOUBLING_BITS;
    return (size_t)shift * PER_DOUBLING + (ms >> shift);
}

uint32_t histogram_bin_longest_ms(size_t bin)
{
    DYN_ASSERT(bin < HISTOGRAM_BINS);
    if (bin < PER_DOUBLING) {
        return (uint32_t)bin;
    }
    uint32_t shift = (uint32_t)(bin / PER_DOUBLING) - 1;
    uint32_t first = (uint32_t)(bin % PER_DOUBLING) + PER_DOUBLING;
    return ((first + 1) << shift) - 1;
}

void histogram_add(struct histogram *histogram, size_t bin, uint64_t count)
{
    DYN_ASSERT(bin < HISTOGRAM_BINS);
    uint32_t *at = &histogram->counts[bin];
    *at = count < UINT32_MAX - *at ? *at + (uint32_t)count : UINT32_MAX;
}

uint64_t histogram_total(const struct histogram *histogram)
{
    uint64_t total = 0;
    for (size_t bin = 0; bin < HISTOGRAM_BINS; bin++) {
        total += histogram->counts[bin];
    }
    return total;
}

uint32_t histogram_percentile(const struct histogram *histogram, unsigned percent)
{
    DYN_ASSERT(percent >= 1 && percent <= 100);
    uint64_t total = histogram_total(histogram);
    uint64_t rank = (total * percent + 99) / 100;
    uint64_t seen = 0;
    for (size_t bin = 0; bin < HISTOGRAM_BINS; bin++) {
        seen += histogram->counts[bin];
        if (rank > 0 && seen >= rank) {
            return histogram_bin_longest_ms(bin);
        }
    }
    return 0;
}
