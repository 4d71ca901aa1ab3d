/*
 * collector: the service. Reads every input of the configuration at its turns (poller) and puts
 * what they say on the bus (outbox).
 */
#ifndef DYN_COLLECTOR_COLLECTOR_H
#define DYN_COLLECTOR_COLLECTOR_H

#include "common/service.h"

#define COLLECTOR_HTTP_PORT 9101
#define COLLECTOR_DRAIN_PORT 9110

extern const struct service_ops collector_ops;

#endif
