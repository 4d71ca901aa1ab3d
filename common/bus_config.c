#include "common/bus_config.h"

#include "common/bus_url.h"

struct taking {
    struct bus_config config;
    struct dyn_buf secret;
    struct dyn_error *error;
    dyn_err err;
};

/* A copy of the struct's own; NULL stays NULL. */
static const char *text_keep(struct taking *taking, const char *text)
{
    struct bus_config *config = &taking->config;
    if (text == NULL || taking->err != DYN_OK) {
        return NULL;
    }
    DYN_ASSERT(config->texts_count < BUS_CONFIG_TEXTS_MAX);
    char *copy = strdup(text);
    if (copy == NULL) {
        taking->err = dyn_error_set(taking->error, DYN_NOMEM, "out of memory");
        return NULL;
    }
    config->texts[config->texts_count++] = copy;
    return copy;
}

static const char *secret_keep(struct taking *taking, const char *key,
                               const struct config_secret *secret)
{
    struct dyn_error why = {""};
    if (secret->template == NULL || taking->err != DYN_OK) {
        return NULL;
    }
    taking->err = config_secret_resolve(secret, &taking->secret, &why);
    if (taking->err != DYN_OK) {
        (void)dyn_error_set(taking->error, taking->err, "%s: %s", key, why.text);
        return NULL;
    }
    return text_keep(taking, dyn_buf_text(&taking->secret));
}

static void sentinel_take(struct taking *taking, const struct config_sentinel *sentinel)
{
    struct bus_access *access = &taking->config.access;
    if (sentinel->master == NULL) {
        return;
    }
    access->sentinel_master = text_keep(taking, sentinel->master);
    access->sentinel_username = secret_keep(taking, "redis.sentinel.username", &sentinel->username);
    access->sentinel_password = secret_keep(taking, "redis.sentinel.password", &sentinel->password);
    for (size_t i = 0; i < BUS_NODES_MAX && sentinel->nodes[i] != NULL; i++) {
        taking->config.nodes[i] = text_keep(taking, sentinel->nodes[i]);
    }
}

dyn_err bus_config_resolve(const struct config_redis *redis, const char *url,
                           struct bus_config *out, struct dyn_error *error)
{
    struct taking taking = {.error = error, .err = DYN_OK};
    struct bus_access *access = &taking.config.access;
    dyn_buf_init(&taking.secret, DYN_SECRET_MAX);
    taking.config.url =
        url != NULL ? text_keep(&taking, url) : secret_keep(&taking, "redis.url", &redis->url);
    if (url == NULL) {
        access->username = secret_keep(&taking, "redis.username", &redis->username);
        access->password = secret_keep(&taking, "redis.password", &redis->password);
        sentinel_take(&taking, &redis->sentinel);
    }
    if (url == NULL || strncmp(url, "rediss://", strlen("rediss://")) == 0) {
        access->tls_ca = text_keep(&taking, redis->tls_ca);
        access->tls_cert = text_keep(&taking, redis->tls_cert);
        access->tls_key = text_keep(&taking, redis->tls_key);
        access->tls_insecure = redis->tls_insecure;
    }
    access->replicas = url == NULL || redis->replicas_given ? redis->replicas : 0;
    dyn_buf_wipe(&taking.secret);
    if (taking.err != DYN_OK) {
        bus_config_fini(&taking.config);
        return taking.err;
    }
    *out = taking.config;
    if (access->sentinel_master != NULL) {
        out->access.sentinel_nodes = out->nodes;
    }
    return DYN_OK;
}

static bool text_same(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

bool bus_config_same(const struct bus_config *a, const struct bus_config *b)
{
    const struct bus_access *x = &a->access;
    const struct bus_access *y = &b->access;
    for (size_t i = 0; i < BUS_NODES_MAX; i++) {
        if (!text_same(a->nodes[i], b->nodes[i])) {
            return false;
        }
    }
    return text_same(a->url, b->url) && text_same(x->username, y->username) &&
           text_same(x->password, y->password) && text_same(x->tls_ca, y->tls_ca) &&
           text_same(x->tls_cert, y->tls_cert) && text_same(x->tls_key, y->tls_key) &&
           x->tls_insecure == y->tls_insecure &&
           text_same(x->sentinel_master, y->sentinel_master) &&
           text_same(x->sentinel_username, y->sentinel_username) &&
           text_same(x->sentinel_password, y->sentinel_password) && x->replicas == y->replicas;
}

void bus_config_fini(struct bus_config *config)
{
    for (size_t i = 0; i < config->texts_count; i++) {
        explicit_bzero(config->texts[i], strlen(config->texts[i]));
        free(config->texts[i]);
    }
    *config = (struct bus_config){0};
}
