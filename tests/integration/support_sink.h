/*
 * support_sink: one sink as the reporter runs it: the real plugin under its real host, its keys
 * read from text by the real reader, HTTP over the real client, deduplication included. Only the
 * streams are the test's.
 *
 * Threads: one. One sink at a time.
 */
#ifndef DYN_TESTS_SUPPORT_SINK_H
#define DYN_TESTS_SUPPORT_SINK_H

#include "reporter/host.h"

struct sink_tally { /* since sink_configure() */
    double accepted;
    double failed;
    double dead;
    double dropped;
    char why[DYN_ERROR_TEXT_MAX]; /* of the last dead letter */
};

void sink_setup(void);
void sink_teardown(void);

/** Set the sink up: its section ("error_handlers") and its keys as they stand between { and } in
 * the file. What was there before goes. Fails the test when it cannot work. */
void sink_configure(const char *section, const char *format, ...) DYN_PRINTF(2, 3);
/** The words of a sink that cannot work, or of a configuration that is refused. */
const char *sink_refused(const char *section, const char *format, ...) DYN_PRINTF(2, 3);

/** Queue an event, if the deduplication lets it through. Texts must live until sink_run() is done.
 */
void sink_add_event(struct event event);
void sink_add_action(struct action action);
void sink_add_ping(void); /* the engine lives */
void sink_add_stats(const struct sink_stat *stats, size_t count);
/** Until the queue is empty. Fails the test when that takes longer than 20 s. */
struct sink_tally sink_run(void);
/** The same, for a test that owns the elapsed time: while the sink rests, seconds are passed over.
 */
struct sink_tally sink_run_ahead(int64_t *ahead_s);
/** For so long, or until the queue is empty. */
struct sink_tally sink_run_for(int64_t ms);
size_t sink_waiting(void); /* items not ended yet */

/** An error of an input, raised or over. */
struct event sink_event(const char *app, enum event_state state, const char *cause);
struct action sink_action(int32_t from, int32_t to, enum action_outcome outcome);

#endif
