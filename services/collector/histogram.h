/*
 * histogram: counts of times in milliseconds, in bins that are the same everywhere, so that those
 * of several collectors are merged by adding bin to bin.
 *
 * Log-linear: below 32 ms a bin a millisecond, then 16 bins each time that the value doubles, so
 * that a bin is at most 6.25% wide. The last bin takes all that is longer than 65,535 ms.
 *
 * A percentile is by nearest rank, and is told as the longest time of its bin: never lower than the
 * truth, and at most 6.25% higher.
 *
 * Threads: one. No pointers, no fini.
 */
#ifndef DYN_COLLECTOR_HISTOGRAM_H
#define DYN_COLLECTOR_HISTOGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HISTOGRAM_BINS 208
#define HISTOGRAM_LONGEST_MS 65535

struct histogram {
    uint32_t counts[HISTOGRAM_BINS]; /* saturate */
};

/** The bin of a time. */
size_t histogram_bin(uint32_t ms);
/** The longest time of a bin. */
uint32_t histogram_bin_longest_ms(size_t bin);

void histogram_add(struct histogram *histogram, size_t bin, uint64_t count);
uint64_t histogram_total(const struct histogram *histogram);
/** The `percent`-th percentile, 1 to 100; 0 when there are no counts. */
uint32_t histogram_percentile(const struct histogram *histogram, unsigned percent);

#endif
