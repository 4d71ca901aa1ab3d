#include "collector/sources.h"

static const struct source_ops *const sources[] = {
    &source_sine,
    &source_random,
    &source_csv,
    &source_file,
    &source_exec,
    &source_http_json,
    &source_prometheus,
    &source_hirefire,
    &source_log_drain,
    &source_redis,
    &source_new_relic,
    &source_google_analytics,
    &source_papertrail,
    &source_rediscloud_memory,
    &source_rediscloud_connections,
    &source_rediscloud_random,
    &source_papertrail_random,
};

const struct source_ops *source_find(const char *name)
{
    for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++) {
        if (strcmp(sources[i]->name, name) == 0) {
            return sources[i];
        }
    }
    return NULL;
}
