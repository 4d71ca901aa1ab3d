/*
 * host: one input's side of the collector: its source, the reading under way, and what became of
 * it.
 *
 * Every reading that host_poll() begins ends in exactly one sample, by `host_options.sample`: the
 * source's answer, or SAMPLE_TIMEOUT from host_expire(). What a source says while no reading is
 * under way is counted and not taken. A source that could not be set up gives SAMPLE_DISABLED with
 * the reason at each reading.
 *
 * Ownership: a host owns its source's state; the configuration it is given must outlive it or be
 *            replaced (host_reload).
 * Threads:   the loop thread only.
 */
#ifndef DYN_COLLECTOR_HOST_H
#define DYN_COLLECTOR_HOST_H

#include "collector/source.h"

struct host_options {
    struct dyn_loop *loop;
    struct http_client *http;
    /** A reading has ended; `words` is "" when status is SAMPLE_GOOD, else at most DYN_REASON_MAX
     *  bytes. From inside host_poll() or later. */
    void (*sample)(void *arg, struct source_host *host, enum sample_status status, double value,
                   struct dyn_str words);
    void *arg;
};

/** NULL: no memory. A source that cannot be set up makes a host that is disabled. `slot` is the
 *  owner's number for it. `options` and `ops` must outlive the host; ops NULL: disabled. */
struct source_host *host_new(const struct host_options *options, const struct source_ops *ops,
                             const struct config_app *app, const struct config_input *input,
                             uint32_t slot);
void host_free(struct source_host *host); /* a reading under way is given up without a sample */

/** Point to a new configuration's input, which must be host_same(). Its source goes on, unless it
 *  was disabled or has secrets, which may be others now: then it is set up anew, and a reading
 *  under way is given up without a sample (returns true). */
bool host_reload(struct source_host *host, const struct config_app *app,
                 const struct config_input *input);
/** Whether the input reads the same thing as often as this host does. */
bool host_same(const struct source_host *host, const struct config_input *input);

void host_poll(struct source_host *host, int64_t now_ms, int64_t wall_ms);
void host_expire(struct source_host *host); /* the reading under way has run out of time */

uint32_t host_slot(const struct source_host *host);
bool host_reading(const struct source_host *host);
const char *host_disabled(const struct source_host *host); /* why; NULL when it is not */
uint64_t host_stray_answers(const struct source_host *host);

#endif
