/*
 * sink: the contract of a reporting plugin. One file in sinks/, one exported table, one line in
 * sinks.c; its keys stand in common/config_types.c.
 *
 * The host reads the streams, keeps the cursor and the retries, and moves the cursor only after the
 * sink accepted. Delivery is at least once; a slow sink delays itself alone.
 */
#ifndef DYN_REPORTER_SINK_H
#define DYN_REPORTER_SINK_H

#include "common/config.h"
#include "common/http.h"
#include "common/message.h"

struct sink_host; /* one sink's side of the reporter */

const struct config_sink *sink_config(const struct sink_host *host);
struct dyn_loop *sink_loop(const struct sink_host *host);
struct http_client *sink_http(const struct sink_host *host);

/** The answer owed for a deliver(). DYN_OK: accepted. An error whose advice is RETRY is tried again
 *  (full jitter; after the fifth failure it is dead-lettered with the words); any other error
 *  dead-letters at once. No answer within a minute is a failure: cancel() is called. */
void sink_done(struct sink_host *host, dyn_err err, const char *format, ...) DYN_PRINTF(3, 4);

/** Instead of sink_done(), from inside deliver(), by a sink that has flush(): this one is taken
 * along. It ends with the sink_done() that is owed for flush(). */
void sink_gather(struct sink_host *host);

/** Give the sink nothing for so long from now: what a server asked for, or a pace of the sink's
 * own. Said before sink_done(). */
void sink_wait(struct sink_host *host, int64_t wait_ms);

/** One number for statistics, named as the original named it. */
struct sink_stat {
    const char *name; /* dynosaur.APP.CONTROLLER.INPUT.value */
    double value;
    int64_t at_ms;    /* wall ms */
    const char *plan; /* where value is the rung of one: "rediscloud:250"; else NULL */
};

/** What a sink gets: the statistics of one entry for CONFIG_STATS, events for CONFIG_ERRORS;
 * actions go to both kinds that ask for them (wants_actions). The numbers of one controller stand
 * together. To CONFIG_SUCCESS a delivery says that the engine lives, and has nothing in it.
 */
struct sink_delivery {
    bool first; /* nothing is gathered yet: what was before has ended */
    const struct sink_stat *stats;
    size_t stats_count;
    const struct event *event; /* NULL: none */
    uint64_t repeats;  /* how often `event` came again, and was not told, since it was last told */
    uint64_t incident; /* equal for troubles of one cause; 0: no error that can be over */
    uint32_t others;   /* so many more of the incident are told and not over */
    const struct action *action; /* NULL: none */
    /* Of `action`: what its numbers mean, see config_rung_text(). NULL: the configuration has it no
     * more. */
    const struct config_controller *controller;
};

struct sink_ops {
    enum config_kind kind;
    const char *name; /* the type's short name */
    size_t state_size;
    bool wants_actions;
    size_t gather_max; /* of one flush(); 0: HOST_GATHER_MAX */

    /** Check options and resolve secrets. No I/O. On failure nothing stays held. */
    dyn_err (*init)(void *state, struct sink_host *host, struct dyn_error *error);
    /** Take one delivery. One sink_done() is owed, later or from inside; what the delivery points
     *  to lives until then, or until sink_gather(). The next one comes after that answer. */
    void (*deliver)(void *state, struct sink_host *host, const struct sink_delivery *delivery);
    /** Send all that was gathered since the delivery that was the first: nothing more waits, or
     *  `gather_max` have come. One sink_done() for all is owed; after a failure flush() comes
     *  again. NULL: the sink gathers nothing. */
    void (*flush)(void *state, struct sink_host *host);
    /** Give up the delivery under way; no answer is taken for it any more. May be NULL. */
    void (*cancel)(void *state);
    void (*fini)(void *state); /* may be NULL */
};

/** By the type's short name; NULL when there is no code for it. */
const struct sink_ops *sink_find(enum config_kind kind, const char *name);

#endif
