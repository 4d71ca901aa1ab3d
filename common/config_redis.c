/* The section `redis`: where the bus is and how it is reached. Its secrets stay unresolved here. */
#include "common/bus_url.h"
#include "common/config_internal.h"

#include <ctype.h>

static dyn_err prefix_check(struct config_loader *loader, const struct config_node *map,
                            const char *prefix)
{
    size_t good = 0;

    while (isalnum((unsigned char)prefix[good]) ||
           (prefix[good] != '\0' && strchr("-_:", prefix[good]) != NULL)) {
        good++;
    }
    if (good == 0 || good > 64 || prefix[good] != '\0') {
        return config_refuse(loader, config_node_get(map, "prefix"),
                             "found another text, expected 1 to 64 letters, digits, - _ or :");
    }
    return DYN_OK;
}

static dyn_err user_check(struct config_loader *loader, const struct config_node *map,
                          const struct config_secret *username,
                          const struct config_secret *password)
{
    if (username->template != NULL && password->template == NULL) {
        return config_refuse(loader, config_node_get(map, "username"),
                             "found a username without password, expected both");
    }
    return DYN_OK;
}

/* ---- sentinel ---- */

static dyn_err nodes_check(struct config_loader *loader, const struct config_node *map,
                           const struct config_value *nodes)
{
    const struct config_node *list = config_node_get(map, "nodes");
    const struct config_node *item = list->kind == CONFIG_NODE_LIST ? list->first : list;
    struct bus_node node;

    if (nodes->as.list.count > BUS_NODES_MAX) {
        return config_refuse(loader, list, "found %zu, expected at most %d Sentinels",
                             nodes->as.list.count, BUS_NODES_MAX);
    }
    for (size_t i = 0; i < nodes->as.list.count; i++, item = item->next) {
        if (bus_node_parse(dyn_str_from(nodes->as.list.items[i]), BUS_SENTINEL_PORT, &node) !=
            DYN_OK) {
            return config_refuse_at(loader->error, item->file, item->line, item->column, "nodes",
                                    "found another text, expected host:port of a Sentinel, or "
                                    "[address]:port");
        }
    }
    return DYN_OK;
}

static dyn_err sentinel_read(struct config_loader *loader, const struct config_node *redis_map,
                             struct config_sentinel *out)
{
    const struct config_field *const tables[] = {config_keys_sentinel};
    const struct config_node *map = NULL;
    struct config_options options;
    dyn_err err = config_map_get(loader, redis_map, "sentinel", &map);

    if (err != DYN_OK || map == NULL) {
        return err;
    }
    err = config_keys_check(loader, map, tables, 1);
    if (err == DYN_OK) {
        err = config_options_read(loader, config_keys_sentinel, map, "redis", &options);
    }
    if (err == DYN_OK) {
        err = nodes_check(loader, map, config_option(&options, "nodes"));
    }
    if (err != DYN_OK) {
        return err;
    }
    out->master = config_option(&options, "master")->as.s;
    if (out->master[0] == '\0' || strlen(out->master) >= DYN_NAME_MAX) {
        return config_refuse(loader, config_node_get(map, "master"),
                             "found an empty or too long text, expected the name in "
                             "`sentinel monitor NAME ...`");
    }
    out->nodes = config_option(&options, "nodes")->as.list.items;
    out->username = config_option(&options, "username")->as.secret;
    out->password = config_option(&options, "password")->as.secret;
    return user_check(loader, map, &out->username, &out->password);
}

/* ---- redis ---- */

static const char *text_of(const struct config_options *options, const char *key)
{
    const struct config_value *value = config_option(options, key);

    return value->given && value->as.s[0] != '\0' ? value->as.s : NULL;
}

static dyn_err reach_read(struct config_loader *loader, const struct config_node *map,
                          const struct config_options *options)
{
    struct config_redis *redis = &loader->owned->config.redis;
    const struct config_value *replicas = config_option(options, "replicas");

    redis->url = config_option(options, "url")->as.secret;
    redis->url_given = config_option(options, "url")->origin.file != NULL;
    redis->username = config_option(options, "username")->as.secret;
    redis->password = config_option(options, "password")->as.secret;
    redis->tls_ca = text_of(options, "tls_ca");
    redis->tls_cert = text_of(options, "tls_cert");
    redis->tls_key = text_of(options, "tls_key");
    redis->tls_insecure = config_option(options, "tls_insecure")->as.b;
    if ((redis->tls_cert == NULL) != (redis->tls_key == NULL)) {
        return config_refuse(loader,
                             config_node_get(map, redis->tls_cert == NULL ? "tls_key" : "tls_cert"),
                             "found one of tls_cert and tls_key, expected both");
    }
    redis->replicas_given = replicas->given;
    redis->replicas = redis->sentinel.master != NULL ? 1 : 0;
    if (replicas->given) {
        redis->replicas = (uint32_t)replicas->as.i;
    }
    return user_check(loader, map, &redis->username, &redis->password);
}

dyn_err config_redis_read(struct config_loader *loader, const struct config_node *root)
{
    struct config_redis *redis = &loader->owned->config.redis;
    const struct config_field *const tables[] = {config_keys_redis};
    const struct config_node *map = NULL;
    struct config_options options;
    dyn_err err = config_map_get(loader, root, "redis", &map);

    if (err == DYN_OK && map != NULL) {
        err = config_keys_check(loader, map, tables, 1);
    }
    if (err == DYN_OK) {
        err = config_options_read(loader, config_keys_redis, map, "redis", &options);
    }
    if (err == DYN_OK) {
        err = sentinel_read(loader, map, &redis->sentinel);
    }
    if (err == DYN_OK) {
        err = reach_read(loader, map, &options);
    }
    if (err != DYN_OK) {
        return err;
    }
    redis->prefix = config_option(&options, "prefix")->as.s;
    redis->partitions = (uint32_t)config_option(&options, "partitions")->as.i;
    redis->max_bytes = config_option(&options, "max_bytes")->as.i;
    err = prefix_check(loader, map, redis->prefix);
    const struct config_node *lease = NULL;
    if (err == DYN_OK && map != NULL) {
        err = config_map_get(loader, map, "lease", &lease);
    }
    return err == DYN_OK ? config_lease_read(loader, lease, &redis->lease) : err;
}
