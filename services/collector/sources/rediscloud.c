/*
 * rediscloud_memory, rediscloud_connections: what Redis Cloud's plug-in told New Relic, of one
 * component. New Relic has ended such components; the inputs are there for those who have a server
 * that still answers so.
 */
#include "collector/api.h"
#include "collector/new_relic.h"
#include "collector/sources.h"

#define MEMORY "Component/redis/Used memory[megabytes]"
#define CONNECTIONS "Component/redis/Connections[connections]"
#define VALUE "average_value"

struct rediscloud {
    struct api api;
    struct dyn_buf key;
    struct dyn_buf url;
    struct api_headers headers;
    const char *metric;
    size_t base_len; /* of the URL, before what changes from reading to reading */
    int64_t wall_ms; /* of the reading under way */
};

static void rediscloud_fini(void *state)
{
    struct rediscloud *source = state;
    dyn_buf_wipe(&source->key);
    dyn_buf_fini(&source->url);
    api_headers_fini(&source->headers);
}

static dyn_err rediscloud_init(struct rediscloud *source, struct source_host *host,
                               const char *metric, struct dyn_error *error)
{
    const struct config_options *options = &source_input(host)->options;
    dyn_buf_init(&source->key, DYN_SECRET_MAX);
    dyn_buf_init(&source->url, DYN_HTTP_URL_MAX);
    new_relic_base(options, &source->url);
    source->base_len = source->url.len;
    source->metric = metric;
    api_init(&source->api, host, dyn_buf_str(&source->url));
    dyn_err err = api_secret_resolve(&source->api, config_option(options, "new_relic_api_key"),
                                     &source->key, error);
    if (err == DYN_OK) {
        struct dyn_str key = dyn_buf_str(&source->key);
        err = api_headers_add(&source->headers, new_relic_key_header(key), key);
    }
    if (err == DYN_OK) {
        err = api_headers_add(&source->headers, "Accept", DYN_STR("application/json"));
    }
    if (err != DYN_OK) {
        rediscloud_fini(source);
    }
    return err;
}

static dyn_err memory_init(void *state, struct source_host *host, struct dyn_error *error)
{
    return rediscloud_init(state, host, MEMORY, error);
}

static dyn_err connections_init(void *state, struct source_host *host, struct dyn_error *error)
{
    return rediscloud_init(state, host, CONNECTIONS, error);
}

static void rediscloud_answered(void *arg, struct api *api, const struct api_answer *answer)
{
    const struct rediscloud *source = arg;
    struct dyn_error error = {""};
    double number = 0;
    if (!api_read(api, answer)) {
        return;
    }
    if (new_relic_metric_read(answer->json, source->metric, VALUE, source->wall_ms, &number,
                              &error) != DYN_OK) {
        api_fail(api, "%s", error.text);
        return;
    }
    api_good(api, number);
}

static void rediscloud_poll(void *state, struct source_host *host, int64_t now_ms, int64_t wall_ms)
{
    struct rediscloud *source = state;
    const struct config_options *options = &source_input(host)->options;
    if (api_waiting(&source->api, now_ms)) {
        return;
    }
    source->wall_ms = wall_ms;
    source->url.len = source->base_len;
    new_relic_metric_path(&source->url, "components", config_option(options, "component_id")->as.s,
                          source->metric, VALUE, wall_ms);
    if (dyn_buf_result(&source->url) != DYN_OK) {
        api_fail(&source->api, "the URL would be too long");
        return;
    }
    const struct api_request request = {
        .method = "GET",
        .url = dyn_buf_text(&source->url),
        .headers = (const char *const *)source->headers.lines,
        .headers_count = source->headers.count,
        .timeout_ms = config_option(options, "timeout")->as.i,
        .allow_http = config_option(options, "allow_http")->as.b,
        .answered = rediscloud_answered,
        .arg = source,
    };
    api_send(&source->api, &request);
}

static void rediscloud_cancel(void *state)
{
    struct rediscloud *source = state;
    api_cancel(&source->api);
}

const struct source_ops source_rediscloud_memory = {
    .name = "rediscloud_memory",
    .state_size = sizeof(struct rediscloud),
    .init = memory_init,
    .poll = rediscloud_poll,
    .cancel = rediscloud_cancel,
    .fini = rediscloud_fini,
};

const struct source_ops source_rediscloud_connections = {
    .name = "rediscloud_connections",
    .state_size = sizeof(struct rediscloud),
    .init = connections_init,
    .poll = rediscloud_poll,
    .cancel = rediscloud_cancel,
    .fini = rediscloud_fini,
};
