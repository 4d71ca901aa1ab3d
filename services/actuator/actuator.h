/*
 * actuator: the service around the core. See README.md for the data path.
 */
#ifndef DYN_ACTUATOR_ACTUATOR_H
#define DYN_ACTUATOR_ACTUATOR_H

#include "common/service.h"

extern const struct service_ops actuator_ops;

#endif
