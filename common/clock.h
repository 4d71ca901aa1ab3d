/*
 * clock: the only place that asks the machine for the time.
 *
 * Cores take time as an argument. Shells take elapsed time from CLOCK_BOOTTIME, which counts
 * through a suspended machine and never steps; the wall clock is for people and for entry IDs.
 */
#ifndef DYN_COMMON_CLOCK_H
#define DYN_COMMON_CLOCK_H

#include "common/str.h"

#include <stdint.h>

int64_t dyn_clock_boot_ms(void);
int64_t dyn_clock_boot_ns(void);
int64_t dyn_clock_wall_ms(void);

/** 2012-01-01T12:00:00Z; buffer of at least 32 bytes. */
void dyn_clock_format(int64_t wall_ms, char *out, size_t size);

/**
 * `YYYY-MM-DD[T ]HH:MM:SS[.fff][Z|+00:00]` taken as UTC, or Unix seconds (fraction allowed).
 * DYN_BADMSG otherwise; DYN_RANGE beyond the years 1970 to 9999.
 */
DYN_NODISCARD dyn_err dyn_clock_parse(struct dyn_str text, int64_t *out_wall_ms);

/** Random bits for ids and jitter, not for keys. */
uint64_t dyn_random(void);

#endif
