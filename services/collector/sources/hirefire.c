/*
 * hirefire: what an app tells HireFire of one of its process types: jobs that wait, or seconds of
 * latency, as its author chose. A wrong token is not refused by the adapter: the app answers with
 * some page of its own, so only the right shape counts.
 */
#include "collector/api.h"
#include "collector/sources.h"

struct hirefire {
    struct api api;
    struct dyn_buf token;
    struct dyn_buf url;
    struct api_headers headers;
};

static void hirefire_fini(void *state)
{
    struct hirefire *source = state;
    dyn_buf_wipe(&source->token);
    dyn_buf_wipe(&source->url);
    api_headers_fini(&source->headers);
}

/* With a token the URL is the app's; without one it is that of the page, as it stands. */
static dyn_err request_make(struct hirefire *source, const struct config_options *options,
                            struct dyn_error *error)
{
    struct dyn_buf *url = &source->url;
    const struct config_value *token = config_option(options, "token");
    dyn_err err = api_headers_add(&source->headers, "Accept", DYN_STR("application/json"));
    if (err != DYN_OK || !token->given) {
        return err;
    }
    err = api_secret_resolve(&source->api, token, &source->token, error);
    if (err != DYN_OK) {
        return err;
    }
    while (url->len > 0 && url->ptr[url->len - 1] == '/') {
        url->ptr[--url->len] = '\0';
    }
    (void)dyn_buf_add_str(url, DYN_STR("/hirefire"));
    if (strcmp(config_option(options, "token_in")->as.s, "header") == 0) {
        err = api_headers_add(&source->headers, "HireFire-Token", dyn_buf_str(&source->token));
    } else {
        (void)dyn_buf_add_str(url, DYN_STR("/"));
        api_encode(url, dyn_buf_str(&source->token));
        (void)dyn_buf_add_str(url, DYN_STR("/info"));
    }
    return err != DYN_OK ? err : dyn_buf_result(url);
}

static dyn_err hirefire_init(void *state, struct source_host *host, struct dyn_error *error)
{
    struct hirefire *source = state;
    const struct config_options *options = &source_input(host)->options;
    dyn_buf_init(&source->url, (size_t)2 * DYN_SECRET_MAX);
    dyn_buf_init(&source->token, DYN_SECRET_MAX);
    dyn_err err =
        config_secret_resolve(&config_option(options, "url")->as.secret, &source->url, error);
    if (err == DYN_OK) {
        api_init(&source->api, host, dyn_buf_str(&source->url));
        err = request_make(source, options, error);
    }
    if (err == DYN_OK) {
        api_hide(&source->api, dyn_buf_str(&source->url));
        return DYN_OK;
    }
    hirefire_fini(source);
    return err;
}

/* The one element with that name; NULL, and told, when there is none or more than one. */
static const json_t *element_find(struct api *api, const json_t *list, const char *name)
{
    const json_t *found = NULL;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *element = json_array_get(list, i);
        const char *is = json_string_value(json_object_get(element, "name"));
        if (is == NULL) {
            api_fail(api, "another shape than [{\"name\", \"value\"}, ...]");
            return NULL;
        }
        if (strcmp(is, name) == 0 && found != NULL) {
            api_fail(api, "two elements are named %.64s", name);
            return NULL;
        }
        found = strcmp(is, name) == 0 ? element : found;
    }
    if (found == NULL) {
        api_fail(api, "tells of %zu process types, but of no %.64s", json_array_size(list), name);
    }
    return found;
}

static void hirefire_answered(void *arg, struct api *api, const struct api_answer *answer)
{
    const struct hirefire *source = arg;
    struct dyn_error error = {""};
    double number = 0;
    if (!api_read(api, answer)) {
        return;
    }
    if (!json_is_array(answer->json)) {
        api_fail(api, "another shape than [{\"name\", \"value\"}, ...]");
        return;
    }
    const struct config_options *options = &source_input(source->api.host)->options;
    const json_t *element = element_find(api, answer->json, config_option(options, "metric")->as.s);
    if (element == NULL) {
        return;
    }
    const json_t *value = json_object_get(element, "value");
    if (value == NULL) {
        value = json_object_get(element, "quantity"); /* older adapters */
    }
    if (dyn_json_number(value, false, &number, &error) != DYN_OK) {
        api_fail(api, "%s", error.text);
        return;
    }
    api_good(api, number);
}

static void hirefire_poll(void *state, struct source_host *host, int64_t now_ms, int64_t wall_ms)
{
    struct hirefire *source = state;
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
        .answered = hirefire_answered,
        .arg = source,
    };
    api_send(&source->api, &request);
}

static void hirefire_cancel(void *state)
{
    struct hirefire *source = state;
    api_cancel(&source->api);
}

const struct source_ops source_hirefire = {
    .name = "hirefire",
    .state_size = sizeof(struct hirefire),
    .init = hirefire_init,
    .poll = hirefire_poll,
    .cancel = hirefire_cancel,
    .fini = hirefire_fini,
};
