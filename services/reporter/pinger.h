/*
 * pinger: a dead man's switch: one sink of success_handlers, which is told each interval that the
 * engine lives (engine.h), and hears nothing when it does not.
 *
 * It begins with pinger_lead(), when the sink's lease was taken. When the last ping began is
 * kept in the hash PREFIX:{rep}:success:SINK, so that whoever follows keeps to the interval. A ping
 * that fails is tried again as the host does; one that is given up is told (sink_failed), and the
 * next comes in its turn.
 *
 * Threads: the loop thread only.
 */
#ifndef DYN_REPORTER_PINGER_H
#define DYN_REPORTER_PINGER_H

#include "reporter/engine.h"
#include "reporter/feed.h"

struct pinger;

/** As of a feed; `engine` outlives it. */
DYN_NODISCARD dyn_err pinger_new(const struct feed_options *options, struct engine *engine,
                                 struct pinger **out_pinger, struct dyn_error *error);
void pinger_free(struct pinger *pinger);
/** The lease is held, under this epoch. */
void pinger_lead(struct pinger *pinger, struct dyn_str epoch);
/** Time has passed. */
void pinger_go(struct pinger *pinger);
/** Begin nothing new. */
void pinger_drain(struct pinger *pinger);
bool pinger_is_idle(const struct pinger *pinger);
bool pinger_is_ready(const struct pinger *pinger, struct dyn_buf *why);

#endif
