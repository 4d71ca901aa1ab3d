/*
 * sources: the table of every source that this build has. A source file exports its table here and
 * nothing else; source_find() (source.h) looks it up.
 */
#ifndef DYN_COLLECTOR_SOURCES_H
#define DYN_COLLECTOR_SOURCES_H

#include "collector/source.h"

extern const struct source_ops source_sine;
extern const struct source_ops source_random;
extern const struct source_ops source_csv;
extern const struct source_ops source_file;
extern const struct source_ops source_exec;
extern const struct source_ops source_http_json;
extern const struct source_ops source_prometheus;
extern const struct source_ops source_hirefire;
extern const struct source_ops source_log_drain;
extern const struct source_ops source_redis;
extern const struct source_ops source_new_relic;
extern const struct source_ops source_google_analytics;
extern const struct source_ops source_papertrail;
extern const struct source_ops source_rediscloud_memory;
extern const struct source_ops source_rediscloud_connections;
extern const struct source_ops source_rediscloud_random;
extern const struct source_ops source_papertrail_random;

#endif
