/*
 * prometheus: the number that a PromQL query yields now. One number, exactly: an answer with none
 * or with several says nothing about demand.
 */
#include "collector/api.h"
#include "collector/sources.h"

struct prometheus {
    struct api api;
    struct dyn_buf url; /* whole, with the query */
    struct api_headers headers;
};

static void prometheus_fini(void *state)
{
    struct prometheus *source = state;
    dyn_buf_wipe(&source->url);
    api_headers_fini(&source->headers);
}

/* Behind the base, which may have a path, but no query of its own. */
static dyn_err url_make(struct prometheus *source, const struct config_options *options,
                        struct dyn_error *error)
{
    struct dyn_buf *url = &source->url;
    if (memchr(url->ptr, '?', url->len) != NULL || memchr(url->ptr, '#', url->len) != NULL) {
        return dyn_error_set(error, DYN_BADMSG, "url has ? or # in it; expected the server's base");
    }
    while (url->len > 0 && url->ptr[url->len - 1] == '/') {
        url->ptr[--url->len] = '\0';
    }
    (void)dyn_buf_addf(url, "/api/v1/query?timeout=%lldms&query=",
                       (long long)config_option(options, "timeout")->as.i);
    api_encode(url, dyn_str_from(config_option(options, "query")->as.s));
    return dyn_buf_result(url);
}

static dyn_err prometheus_init(void *state, struct source_host *host, struct dyn_error *error)
{
    struct prometheus *source = state;
    const struct config_options *options = &source_input(host)->options;
    dyn_buf_init(&source->url, (size_t)2 * DYN_SECRET_MAX);
    dyn_err err =
        config_secret_resolve(&config_option(options, "url")->as.secret, &source->url, error);
    size_t base_len = source->url.len;
    if (err == DYN_OK) {
        err = url_make(source, options, error);
    }
    if (err == DYN_OK) {
        struct dyn_str url = dyn_buf_str(&source->url);
        api_init(&source->api, host, url);
        /* The query is no secret, and what the server says of it is wanted. */
        api_hide(&source->api, (struct dyn_str){url.ptr, base_len < url.len ? base_len : url.len});
        err = api_headers_resolve(&source->headers, &source->api, config_option(options, "headers"),
                                  error);
    }
    if (err != DYN_OK) {
        prometheus_fini(source);
    }
    return err;
}

/* `pair` is [time, "number"]: a number, to Prometheus, is a string. */
static void pair_tell(struct api *api, json_t *pair)
{
    const json_t *text = json_array_get(pair, 1);
    double number = 0;
    char words[API_WORDS_MAX + 1];
    if (!json_is_array(pair) || json_array_size(pair) != 2 || !json_is_string(text)) {
        api_fail(api, "an element without [time, \"number\"]; expected no histogram, no range");
        return;
    }
    if (dyn_json_number(text, true, &number, NULL) == DYN_OK) {
        api_good(api, number);
        return;
    }
    api_words(api, dyn_str_from(json_string_value(text)), words);
    api_fail(api, "the query yields \"%.32s\"; expected a finite number (0/0 is NaN)", words);
}

static void vector_tell(struct prometheus *source, json_t *result)
{
    struct api *api = &source->api;
    const struct config_options *options = &source_input(api->host)->options;
    size_t count = json_array_size(result);
    if (!json_is_array(result)) {
        api_fail(api, "the result is no array");
    } else if (count == 1) {
        pair_tell(api, dyn_json_at(result, "/0/value", NULL));
    } else if (count == 0 && config_option(options, "empty_is_zero")->as.b) {
        api_good(api, 0);
    } else if (count == 0) {
        api_fail(api, "the query yields nothing; expected one number (see empty_is_zero)");
    } else {
        api_fail(api, "the query yields %zu numbers; expected one (sum, max, ...)", count);
    }
}

static void prometheus_answered(void *arg, struct api *api, const struct api_answer *answer)
{
    struct prometheus *source = arg;
    if (!api_read(api, answer)) {
        return;
    }
    const char *status = json_string_value(dyn_json_at(answer->json, "/status", NULL));
    const char *type = json_string_value(dyn_json_at(answer->json, "/data/resultType", NULL));
    json_t *result = dyn_json_at(answer->json, "/data/result", NULL);
    if (status == NULL || type == NULL || strcmp(status, "success") != 0) {
        char words[API_WORDS_MAX + 1];
        api_answer_words(api, answer, words);
        api_fail(api, "no success: %s", words[0] != '\0' ? words : "another shape than expected");
    } else if (strcmp(type, "vector") == 0) {
        vector_tell(source, result);
    } else if (strcmp(type, "scalar") == 0) {
        pair_tell(api, result);
    } else {
        api_fail(api, "the query yields a %s; expected one number",
                 strcmp(type, "string") == 0 ? "text" : "range of numbers");
    }
}

static void prometheus_poll(void *state, struct source_host *host, int64_t now_ms, int64_t wall_ms)
{
    struct prometheus *source = state;
    const struct config_options *options = &source_input(host)->options;
    (void)wall_ms;
    if (api_waiting(&source->api, now_ms)) {
        return;
    }
    const struct api_request request = {
        .method = "GET",
        .url = dyn_buf_text(&source->url),
        .headers = (const char *const *)source->headers.lines,
        .headers_count = source->headers.count,
        .timeout_ms = config_option(options, "timeout")->as.i,
        .allow_http = config_option(options, "allow_http")->as.b,
        .answered = prometheus_answered,
        .arg = source,
    };
    api_send(&source->api, &request);
}

static void prometheus_cancel(void *state)
{
    struct prometheus *source = state;
    api_cancel(&source->api);
}

const struct source_ops source_prometheus = {
    .name = "prometheus",
    .state_size = sizeof(struct prometheus),
    .init = prometheus_init,
    .poll = prometheus_poll,
    .cancel = prometheus_cancel,
    .fini = prometheus_fini,
};
