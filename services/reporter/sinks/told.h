/*
 * told: events and actions in words, and which of them a sink is to tell. No I/O.
 */
#ifndef DYN_REPORTER_SINKS_TOLD_H
#define DYN_REPORTER_SINKS_TOLD_H

#include "reporter/sink.h"

const char *told_level(const struct event *event); /* "info", "warning", "error" */
const char *told_state(const struct event *event); /* "once", "raised", "over" */
/** Whether the outcome is what was wanted: done, or decided only (mode shadow). */
bool told_is_done(const struct action *action);
/** An event always; an action as the sink's option `actions` says: all, failed or none. */
bool told_is_wanted(const struct sink_host *host, const struct sink_delivery *delivery);

/** One of the action's numbers of resources: "4", or "rediscloud:250" where it is a plan's. */
const char *told_rung(const struct sink_delivery *delivery, int32_t rung,
                      char out[static CONFIG_RUNG_TEXT]);

/** "shop dynos users" : what it is about, "" for nothing in particular. */
void told_place(const struct event *event, struct dyn_buf *out);
/** One line for people: where, what, and how often it was not told. */
void told_headline(const struct sink_delivery *delivery, struct dyn_buf *out);

#endif
