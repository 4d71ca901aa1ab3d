/*
 * metrics: counters and gauges of one process, and their Prometheus text (exposition format 0.0.4).
 *
 * A metric is made at start-up and then written through its pointer: no look-up on a hot path.
 * Threads: the loop thread only.
 */
#ifndef DYN_COMMON_METRICS_H
#define DYN_COMMON_METRICS_H

#include "common/str.h"

struct metrics;

struct metric {
    double value; /* counters only rise */
};

struct metrics *metrics_new(void);
void metrics_free(struct metrics *metrics);
/**
 * `name` as Prometheus has it (dynosaur_samples_total: counters end in _total); `labels` is "" or
 * `key="value",key="value"`, already escaped by metrics_label(). The same name and labels give the
 * same metric. Never NULL: with no memory left, a metric that is not printed.
 */
struct metric *metrics_counter(struct metrics *metrics, const char *name, const char *labels,
                               const char *help);
struct metric *metrics_gauge(struct metrics *metrics, const char *name, const char *labels,
                             const char *help);
/** Append `key="escaped value"`, with a comma when `out` is not empty. */
void metrics_label(struct dyn_buf *out, const char *key, struct dyn_str value);
void metrics_write(const struct metrics *metrics, struct dyn_buf *out);

#endif
