/*
 * papertrail: bytes logged in the current period, which is a UTC day for Heroku's plans. A counter
 * that only grows until its period turns: the newest reading says all, and a clear drop is a new
 * period, not less demand; that is the window's to see.
 */
#include "collector/api.h"
#include "collector/sources.h"

#define PAPERTRAIL_URL "https://papertrailapp.com"

struct papertrail {
    struct api api;
    struct dyn_buf token;
    struct dyn_buf url;
    struct api_headers headers;
};

static void papertrail_fini(void *state)
{
    struct papertrail *source = state;
    dyn_buf_wipe(&source->token);
    dyn_buf_fini(&source->url);
    api_headers_fini(&source->headers);
}

static dyn_err papertrail_init(void *state, struct source_host *host, struct dyn_error *error)
{
    struct papertrail *source = state;
    const struct config_options *options = &source_input(host)->options;
    dyn_buf_init(&source->token, DYN_SECRET_MAX);
    dyn_buf_init(&source->url, DYN_HTTP_URL_MAX);
    api_base(&source->url, config_option(options, "api_url"), PAPERTRAIL_URL);
    (void)dyn_buf_add_str(&source->url, DYN_STR("/api/v1/accounts.json"));
    api_init(&source->api, host, dyn_buf_str(&source->url));
    dyn_err err = api_secret_resolve(&source->api, config_option(options, "papertrail_api_key"),
                                     &source->token, error);
    if (err == DYN_OK) {
        err = api_headers_add(&source->headers, "X-Papertrail-Token", dyn_buf_str(&source->token));
    }
    if (err == DYN_OK) {
        err = api_headers_add(&source->headers, "Accept", DYN_STR("application/json"));
    }
    if (err == DYN_OK) {
        err = dyn_buf_result(&source->url);
    }
    if (err != DYN_OK) {
        papertrail_fini(source);
    }
    return err;
}

static void papertrail_answered(void *arg, struct api *api, const struct api_answer *answer)
{
    struct dyn_error error = {""};
    double bytes = 0;
    (void)arg;
    if (!api_read(api, answer)) {
        return;
    }
    /* Some accounts have been seen to get digits in quotes. */
    if (dyn_json_number(json_object_get(answer->json, "log_data_transfer_used"), true, &bytes,
                        &error) != DYN_OK) {
        api_fail(api, "log_data_transfer_used: %s", error.text);
        return;
    }
    api_good(api, bytes);
}

static void papertrail_poll(void *state, struct source_host *host, int64_t now_ms, int64_t wall_ms)
{
    struct papertrail *source = state;
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
        .answered = papertrail_answered,
        .arg = source,
    };
    api_send(&source->api, &request);
}

static void papertrail_cancel(void *state)
{
    struct papertrail *source = state;
    api_cancel(&source->api);
}

const struct source_ops source_papertrail = {
    .name = "papertrail",
    .state_size = sizeof(struct papertrail),
    .init = papertrail_init,
    .poll = papertrail_poll,
    .cancel = papertrail_cancel,
    .fini = papertrail_fini,
};
