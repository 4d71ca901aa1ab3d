/*
 * source: the contract of an input plugin. One file in sources/, one exported table, one line in
 * sources.c; its keys stand in common/config_types.c, so that every program can read the file.
 *
 * The host allocates the state, keeps the schedule, the deadline and the queue, and turns what a
 * source says into a sample. A source never says a number when it failed.
 */
#ifndef DYN_COLLECTOR_SOURCE_H
#define DYN_COLLECTOR_SOURCE_H

#include "common/bus.h"
#include "common/config.h"
#include "common/http.h"
#include "common/loop.h"
#include "common/message.h"

struct source_host; /* one input's side of the collector */

/** What a source may ask its host for. The configuration may be replaced between two polls by one
 *  that says the same: ask anew in each poll, or copy; keep no pointer into it. */
const struct config_input *source_input(const struct source_host *host);
const struct config_app *source_app(const struct source_host *host);
struct dyn_loop *source_loop(const struct source_host *host);
struct http_client *source_http(const struct source_host *host);

/** Our own Redis, and the prefix of all that is ours in it; for what collectors tell each other.
 *  NULL: there is none. */
struct bus *source_bus(const struct source_host *host);
const char *source_prefix(const struct source_host *host);

/** When the host gives a reading up, counted from its poll(). */
int64_t source_deadline_ms(const struct source_host *host);

/** The answer owed for a poll(): a number. What is not finite, negative or above
 *  DYN_VALUE_MAX becomes an error. */
void source_good(struct source_host *host, double value);
/** The answer owed for a poll(): none, and why, in words without secrets; cut to DYN_REASON_MAX.
 *  `status` is SAMPLE_ERROR or SAMPLE_TIMEOUT. */
void source_failed(struct source_host *host, enum sample_status status, const char *format, ...)
    DYN_PRINTF(3, 4);
/** The answer owed for a poll(): no number that may be relied on, and why; but it is known to be
 *  that much at least. It may raise a target, and covers nothing. */
void source_at_least(struct source_host *host, double value, const char *format, ...)
    DYN_PRINTF(3, 4);

struct source_ops {
    const char *name;  /* the type's short name in common/config_types.c */
    size_t state_size; /* the host allocates, zeroes and frees it */

    /** Check options and resolve secrets, keep what lasts. No I/O but reading local files. On
     *  failure nothing stays held; DYN_NOTFOUND (a secret is missing) disables this input only,
     *  any other failure too, and is told. */
    dyn_err (*init)(void *state, struct source_host *host, struct dyn_error *error);

    /** Begin one reading and return at once. One source_good() or source_failed() is owed, later
     *  or from inside poll(). `now_ms` is the loop's time, `wall_ms` the wall clock. */
    void (*poll)(void *state, struct source_host *host, int64_t now_ms, int64_t wall_ms);

    /** Give up the reading under way; the host has already written it down as a timeout. After it
     *  returns the source answers no more for that reading: the next poll() may come at once.
     *  Also called before fini(). Idempotent. May be NULL where poll() answers from inside. */
    void (*cancel)(void *state);

    /** Release what init() kept; accepts a half-made state. The last call. May be NULL. */
    void (*fini)(void *state);
};

/** By the type's short name; NULL: not built. */
const struct source_ops *source_find(const char *name);

#endif
