/*
 * http_json: a number out of the JSON document behind a URL. The URL and the headers may carry
 * secrets, so that words about a failure name the host only.
 */
#include "collector/api.h"
#include "collector/sources.h"

struct http_json {
    struct api api;
    struct dyn_buf url;
    struct api_headers headers;
};

static void http_json_fini(void *state)
{
    struct http_json *source = state;
    dyn_buf_wipe(&source->url);
    api_headers_fini(&source->headers);
}

static dyn_err http_json_init(void *state, struct source_host *host, struct dyn_error *error)
{
    struct http_json *source = state;
    const struct config_options *options = &source_input(host)->options;
    dyn_buf_init(&source->url, DYN_SECRET_MAX);
    dyn_err err =
        config_secret_resolve(&config_option(options, "url")->as.secret, &source->url, error);
    if (err == DYN_OK) {
        api_init(&source->api, host, dyn_buf_str(&source->url));
        api_hide(&source->api, dyn_buf_str(&source->url));
        err = api_headers_resolve(&source->headers, &source->api, config_option(options, "headers"),
                                  error);
    }
    if (err != DYN_OK) {
        http_json_fini(source);
    }
    return err;
}

static void http_json_answered(void *arg, struct api *api, const struct api_answer *answer)
{
    struct http_json *source = arg;
    struct dyn_error error = {""};
    double number = 0;
    if (!api_read(api, answer)) {
        return;
    }
    const char *pointer = config_option(&source_input(source->api.host)->options, "pointer")->as.s;
    const json_t *value = dyn_json_at(answer->json, pointer, &error);
    if (value == NULL || dyn_json_number(value, false, &number, &error) != DYN_OK) {
        api_fail(api, "%s", error.text);
        return;
    }
    api_good(api, number);
}

static void http_json_poll(void *state, struct source_host *host, int64_t now_ms, int64_t wall_ms)
{
    struct http_json *source = state;
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
        .answered = http_json_answered,
        .arg = source,
    };
    api_send(&source->api, &request);
}

static void http_json_cancel(void *state)
{
    struct http_json *source = state;
    api_cancel(&source->api);
}

const struct source_ops source_http_json = {
    .name = "http_json",
    .state_size = sizeof(struct http_json),
    .init = http_json_init,
    .poll = http_json_poll,
    .cancel = http_json_cancel,
    .fini = http_json_fini,
};
