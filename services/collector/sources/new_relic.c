/*
 * new_relic: requests per minute, or another figure: of an application or a component by REST v2,
 * or of any NRQL query by NerdGraph.
 */
#include "collector/new_relic.h"
#include "collector/api.h"
#include "collector/sources.h"

struct new_relic {
    struct api api;
    struct dyn_buf key;
    struct dyn_buf url;
    struct dyn_buf body; /* of NerdGraph; empty for REST */
    struct api_headers headers;
    size_t base_len; /* of the URL, before what changes from reading to reading */
    int64_t wall_ms; /* of the reading under way */
};

static void new_relic_fini(void *state)
{
    struct new_relic *source = state;
    dyn_buf_wipe(&source->key);
    dyn_buf_fini(&source->url);
    dyn_buf_fini(&source->body);
    api_headers_fini(&source->headers);
}

static dyn_err request_make(struct new_relic *source, const struct config_options *options,
                            struct dyn_error *error)
{
    const struct config_value *nrql = config_option(options, "nrql");
    dyn_err err =
        api_secret_resolve(&source->api, config_option(options, "key"), &source->key, error);
    if (err == DYN_OK) {
        const char *name =
            nrql->given ? "Api-Key" : new_relic_key_header(dyn_buf_str(&source->key));
        err = api_headers_add(&source->headers, name, dyn_buf_str(&source->key));
    }
    if (err == DYN_OK) {
        err = api_headers_add(&source->headers, "Accept", DYN_STR("application/json"));
    }
    if (err != DYN_OK || !nrql->given) {
        return err;
    }
    (void)dyn_buf_add_str(&source->url, DYN_STR("/graphql"));
    err = api_headers_add(&source->headers, "Content-Type", DYN_STR("application/json"));
    if (err == DYN_OK) {
        err = new_relic_nrql_body(&source->body, config_option(options, "account_id")->as.s,
                                  nrql->as.s);
    }
    return err;
}

static dyn_err new_relic_init(void *state, struct source_host *host, struct dyn_error *error)
{
    struct new_relic *source = state;
    const struct config_options *options = &source_input(host)->options;
    dyn_buf_init(&source->key, DYN_SECRET_MAX);
    dyn_buf_init(&source->url, DYN_HTTP_URL_MAX);
    dyn_buf_init(&source->body, DYN_CONFIG_FILE_MAX);
    new_relic_base(options, &source->url);
    api_init(&source->api, host, dyn_buf_str(&source->url));
    dyn_err err = request_make(source, options, error);
    if (err == DYN_OK) {
        err = dyn_buf_result(&source->url);
    }
    if (err != DYN_OK) {
        new_relic_fini(source);
        return err;
    }
    source->base_len = source->url.len;
    return DYN_OK;
}

static void metric_tell(const struct new_relic *source, struct api *api,
                        const struct api_answer *answer)
{
    const struct config_options *options = &source_input(api->host)->options;
    struct dyn_error error = {""};
    double number = 0;
    if (new_relic_metric_read(answer->json, config_option(options, "metric")->as.s,
                              config_option(options, "value")->as.s, source->wall_ms, &number,
                              &error) != DYN_OK) {
        api_fail(api, "%s", error.text);
        return;
    }
    api_good(api, number);
}

static void nrql_tell(const struct new_relic *source, struct api *api,
                      const struct api_answer *answer)
{
    const struct config_options *options = &source_input(api->host)->options;
    struct dyn_error error = {""};
    char words[API_WORDS_MAX + 1];
    double number = 0;
    dyn_err err = new_relic_nrql_read(answer->json, source->wall_ms, &number, &error);
    if (err == DYN_OK) {
        api_good(api, number);
    } else if (err == DYN_REFUSED) {
        /* NerdGraph says what is wrong with status 200. */
        api_answer_words(api, answer, words);
        api_fail(api, "refuses the query: %s", words);
    } else if (err == DYN_NOTFOUND && config_option(options, "empty_is_zero")->as.b) {
        api_good(api, 0);
    } else {
        api_fail(api, "%s", error.text);
    }
}

static void new_relic_answered(void *arg, struct api *api, const struct api_answer *answer)
{
    const struct new_relic *source = arg;
    if (!api_read(api, answer)) {
        return;
    }
    if (source->body.len > 0) {
        nrql_tell(source, api, answer);
    } else {
        metric_tell(source, api, answer);
    }
}

static void new_relic_poll(void *state, struct source_host *host, int64_t now_ms, int64_t wall_ms)
{
    struct new_relic *source = state;
    const struct config_options *options = &source_input(host)->options;
    const struct config_value *app = config_option(options, "app_id");
    if (api_waiting(&source->api, now_ms)) {
        return;
    }
    bool graph = source->body.len > 0;
    source->wall_ms = wall_ms;
    source->url.len = source->base_len;
    if (!graph) {
        const struct config_value *id = app->given ? app : config_option(options, "component_id");
        new_relic_metric_path(&source->url, app->given ? "applications" : "components", id->as.s,
                              config_option(options, "metric")->as.s,
                              config_option(options, "value")->as.s, wall_ms);
    }
    if (dyn_buf_result(&source->url) != DYN_OK) {
        api_fail(&source->api, "the URL would be too long");
        return;
    }
    const struct api_request request = {
        .method = graph ? "POST" : "GET",
        .url = dyn_buf_text(&source->url),
        .headers = (const char *const *)source->headers.lines,
        .headers_count = source->headers.count,
        .body = graph ? dyn_buf_str(&source->body) : (struct dyn_str){NULL, 0},
        .timeout_ms = config_option(options, "timeout")->as.i,
        .allow_http = config_option(options, "allow_http")->as.b,
        .answered = new_relic_answered,
        .arg = source,
    };
    api_send(&source->api, &request);
}

static void new_relic_cancel(void *state)
{
    struct new_relic *source = state;
    api_cancel(&source->api);
}

const struct source_ops source_new_relic = {
    .name = "new_relic",
    .state_size = sizeof(struct new_relic),
    .init = new_relic_init,
    .poll = new_relic_poll,
    .cancel = new_relic_cancel,
    .fini = new_relic_fini,
};
