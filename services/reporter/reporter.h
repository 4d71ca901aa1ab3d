/*
 * reporter: the service. Streams in, sinks out; see README.md.
 */
#ifndef DYN_REPORTER_REPORTER_H
#define DYN_REPORTER_REPORTER_H

#include "common/service.h"

extern const struct service_ops reporter_ops;

#endif
