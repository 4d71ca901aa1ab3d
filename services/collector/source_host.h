/*
 * source_host: one input's side of the collector: its source, the reading under way, and what
 * became of it.
 *
 * Every reading that source_host_poll() begins ends in exactly one sample, by
 * `source_host_options.sample`: the source's answer, or SAMPLE_TIMEOUT from source_host_expire().
 * What a source says while no reading is under way is counted and not taken. A source that could
 * not be set up gives SAMPLE_DISABLED with the reason at each reading.
 *
 * Ownership: a host owns its source's state; the configuration it is given must outlive it or be
 *            replaced (source_host_reload).
 * Threads:   the loop thread only.
 */
#ifndef DYN_COLLECTOR_SOURCE_HOST_H
#define DYN_COLLECTOR_SOURCE_HOST_H

#include "collector/source.h"

struct source_host_options {
    struct dyn_loop *loop;
    struct http_client *http;
    struct bus *bus;    /* NULL, with `prefix`: none */
    const char *prefix; /* lives as long as the hosts */
    /** A reading has ended; `words` is "" when status is SAMPLE_GOOD, else at most DYN_REASON_MAX
     *  bytes. With SAMPLE_ERROR a `value` above 0 is what it is known to be at least. From inside
     *  source_host_poll() or later. */
    void (*sample)(void *arg, struct source_host *host, enum sample_status status, double value,
                   struct dyn_str words);
    void *arg;
};

/** NULL: no memory. A source that cannot be set up makes a host that is disabled. `slot` is the
 *  owner's number for it. `options` and `ops` must outlive the host; ops NULL: disabled. */
struct source_host *source_host_new(const struct source_host_options *options,
                                    const struct source_ops *ops, const struct config_app *app,
                                    const struct config_input *input, uint32_t slot);
void source_host_free(
    struct source_host *host); /* a reading under way is given up without a sample */

/** Point to a new configuration's input, which must be source_host_same(). Its source goes on,
 *  unless it was disabled or has secrets, which may be others now: then it is set up anew, when a
 *  reading under way has ended. */
void source_host_reload(struct source_host *host, const struct config_app *app,
                        const struct config_input *input);
/** Whether the input reads the same thing as often as this host does. */
bool source_host_same(const struct source_host *host, const struct config_input *input);

void source_host_poll(struct source_host *host, int64_t now_ms, int64_t wall_ms);
void source_host_expire(struct source_host *host); /* the reading under way has run out of time */

uint32_t source_host_slot(const struct source_host *host);
bool source_host_reading(const struct source_host *host);
const char *source_host_disabled(const struct source_host *host); /* why; NULL when it is not */
uint64_t source_host_stray_answers(const struct source_host *host);

#endif
