/*
 * engine: looks at the members and the partitions' leases in Redis each two seconds, and says
 * whether the engine lives (pulse.h).
 *
 * Threads: the loop thread only.
 */
#ifndef DYN_REPORTER_ENGINE_H
#define DYN_REPORTER_ENGINE_H

#include "common/service.h"

struct engine;

/** Looks only while somebody wants to know: engine_want(). NULL: no memory. */
struct engine *engine_new(struct service *service);
void engine_free(struct engine *engine); /* after the bus */
void engine_want(struct engine *engine, bool wanted);
/** False, and why. It is logged when that changes. */
bool engine_lives(struct engine *engine, struct dyn_error *why);

#endif
