/*
 * estimator: the service that leads partitions. Its table for service_main().
 */
#ifndef DYN_ESTIMATOR_ESTIMATOR_H
#define DYN_ESTIMATOR_ESTIMATOR_H

#include "common/service.h"

extern const struct service_ops estimator_ops;

#endif
