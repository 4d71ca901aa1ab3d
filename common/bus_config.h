/*
 * bus_config: what the configuration says about Redis, secrets looked up, as the bus takes it.
 *
 * Ownership: all texts are the struct's own; bus_config_fini() wipes them. A struct that is zero is
 * empty.
 */
#ifndef DYN_COMMON_BUS_CONFIG_H
#define DYN_COMMON_BUS_CONFIG_H

#include "common/bus.h"
#include "common/config.h"

#define BUS_CONFIG_TEXTS_MAX 32

/* Copied by value it must not be: access points into it. */
struct bus_config {
    const char *url;
    struct bus_access access;
    const char *nodes[BUS_CONFIG_TEXTS_MAX]; /* access.sentinel_nodes */
    char *texts[BUS_CONFIG_TEXTS_MAX];
    size_t texts_count;
};

/**
 * With `url`, that server is meant and no other: of the rest only the tls_ keys count, where it is
 * rediss://, and `replicas` where the file names a number. DYN_NOTFOUND and words when a secret
 * cannot be had; DYN_NOMEM. Nothing is held then.
 */
DYN_NODISCARD dyn_err bus_config_resolve(const struct config_redis *redis, const char *url,
                                         struct bus_config *out, struct dyn_error *error);
bool bus_config_same(const struct bus_config *a, const struct bus_config *b);
void bus_config_fini(struct bus_config *config);

#endif
