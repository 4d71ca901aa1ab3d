/*
 * google_analytics: people on the site now, of a GA4 property, or of a view of the old Universal
 * Analytics. A service account's key is exchanged for a token, which is kept until shortly before
 * its end; a 401 costs it, and one new one is tried at once. Errors of the server count against a
 * quota of ten an hour, so they slow the polling.
 */
#include "collector/api.h"
#include "collector/google.h"
#include "collector/sources.h"
#include "common/clock.h"

#define ERROR_WAIT_MS 60000 /* then doubled: at most eight errors in an hour */
#define FORM_MAX 16384

struct google {
    struct api api;
    struct dyn_jwt_key *key;
    struct dyn_buf url;         /* of the report */
    struct dyn_buf form;        /* of the token */
    struct api_headers headers; /* of the report, with the token; empty: there is none */
    int64_t token_until_ms;     /* of the loop */
    int64_t wall_ms;            /* of the reading under way */
    bool ga4;
    bool renewed; /* the reading under way has asked for a token already */
};

static void google_fini(void *state)
{
    struct google *source = state;
    dyn_jwt_key_free(source->key);
    dyn_buf_fini(&source->url);
    dyn_buf_wipe(&source->form);
    api_headers_fini(&source->headers);
}

/* ---- set up ---- */

static dyn_err keyfile_load(struct google *source, const struct config_options *options,
                            struct dyn_error *error)
{
    struct dyn_buf pass;
    struct dyn_buf path;
    const char *file = config_option(options, "keyfile")->as.s;
    const char *home = getenv("HOME");
    dyn_buf_init(&pass, DYN_SECRET_MAX);
    dyn_buf_init(&path, DYN_SECRET_MAX);
    if (file[0] == '~' && file[1] == '/' && home != NULL) {
        (void)dyn_buf_addf(&path, "%s%s", home, file + 1);
    } else {
        (void)dyn_buf_add_str(&path, dyn_str_from(file));
    }
    dyn_err err =
        config_secret_resolve(&config_option(options, "passphrase")->as.secret, &pass, error);
    if (err == DYN_OK) {
        err =
            dyn_jwt_key_from_pkcs12(dyn_buf_text(&path), dyn_buf_text(&pass), &source->key, error);
    }
    dyn_buf_wipe(&pass);
    dyn_buf_fini(&path);
    return err;
}

static dyn_err key_load(struct google *source, const struct config_options *options,
                        struct dyn_error *error)
{
    struct dyn_error why = {""};
    struct dyn_buf pem;
    if (!config_option(options, "key")->given) {
        return keyfile_load(source, options, error);
    }
    dyn_buf_init(&pem, DYN_SECRET_MAX);
    dyn_err err = config_secret_resolve(&config_option(options, "key")->as.secret, &pem, error);
    if (err == DYN_OK) {
        err = dyn_jwt_key_from_pem(dyn_buf_str(&pem), &source->key, &why);
        if (err != DYN_OK) {
            (void)dyn_error_set(error, err, "key: %s", why.text);
        }
    }
    dyn_buf_wipe(&pem);
    return err;
}

static void url_make(struct google *source, const struct config_options *options)
{
    const struct config_value *property = config_option(options, "property_id");
    const char *view = config_option(options, "analytics_view_id")->as.s;
    source->ga4 = property->given;
    api_base(&source->url, config_option(options, "api_url"),
             source->ga4 ? "https://analyticsdata.googleapis.com" : "https://www.googleapis.com");
    if (source->ga4) {
        (void)dyn_buf_addf(&source->url, "/v1beta/properties/%s:runRealtimeReport", property->as.s);
    } else {
        (void)dyn_buf_addf(&source->url,
                           "/analytics/v3/data/realtime?ids=ga%%3A%s&metrics=rt%%3AactiveUsers",
                           dyn_str_starts(dyn_str_from(view), "ga:") ? view + 3 : view);
    }
}

static dyn_err google_init(void *state, struct source_host *host, struct dyn_error *error)
{
    struct google *source = state;
    const struct config_options *options = &source_input(host)->options;
    dyn_buf_init(&source->url, DYN_HTTP_URL_MAX);
    dyn_buf_init(&source->form, FORM_MAX);
    url_make(source, options);
    dyn_err err = dyn_buf_result(&source->url);
    if (err == DYN_OK) {
        err = key_load(source, options, error);
    }
    if (err != DYN_OK) {
        google_fini(source);
        return err;
    }
    api_init(&source->api, host, dyn_buf_str(&source->url));
    source->api.headers = &source->headers;
    source->api.error_wait_ms = ERROR_WAIT_MS;
    return DYN_OK;
}

/* ---- the report ---- */

static void token_send(struct google *source);

static void report_answered(void *arg, struct api *api, const struct api_answer *answer)
{
    struct google *source = arg;
    struct dyn_error error = {""};
    double number = 0;
    if (answer->status == 401) {
        api_headers_fini(&source->headers);
        if (!source->renewed) {
            token_send(source);
            return;
        }
    }
    if (!api_read(api, answer)) {
        int64_t wait_ms = answer->json != NULL ? google_quota_wait_ms(answer->json) : 0;
        if (wait_ms > 0 && http_header(answer->http, "Retry-After").ptr == NULL) {
            api_wait(api, wait_ms, "its quota is used up");
        }
        return;
    }
    dyn_err err = source->ga4 ? google_report_read(answer->json, &number, &error)
                              : google_realtime_read(answer->json, &number, &error);
    if (err != DYN_OK) {
        api_fail(api, "%s", error.text);
        return;
    }
    api_good(api, number);
}

static void report_send(struct google *source)
{
    const struct config_options *options = &source_input(source->api.host)->options;
    const struct api_request request = {
        .method = source->ga4 ? "POST" : "GET",
        .url = dyn_buf_text(&source->url),
        .headers = (const char *const *)source->headers.lines,
        .headers_count = source->headers.count,
        .body = source->ga4 ? google_report_body() : (struct dyn_str){NULL, 0},
        .timeout_ms = config_option(options, "timeout")->as.i,
        .allow_http = config_option(options, "allow_http")->as.b,
        .answered = report_answered,
        .arg = source,
    };
    api_name(&source->api, dyn_buf_str(&source->url));
    api_send(&source->api, &request);
}

/* ---- the token ---- */

static dyn_err token_keep(struct google *source, struct dyn_str token, int64_t lasts_s)
{
    struct dyn_buf value;
    dyn_buf_init(&value, GOOGLE_TOKEN_MAX + 16);
    (void)dyn_buf_addf(&value, "Bearer " DYN_STR_FMT, DYN_STR_ARG(token));
    api_headers_fini(&source->headers);
    dyn_err err = api_headers_add(&source->headers, "Authorization", dyn_buf_str(&value));
    if (err == DYN_OK) {
        err = api_headers_add(&source->headers, "Content-Type", DYN_STR("application/json"));
    }
    dyn_buf_wipe(&value);
    if (err != DYN_OK) {
        api_headers_fini(&source->headers);
        return err;
    }
    source->token_until_ms = dyn_loop_now_ms(source_loop(source->api.host)) + lasts_s * 1000;
    return DYN_OK;
}

/* A wrong key, account or clock: what people need to know is in the words, and the time. */
static void token_refused(const struct google *source, struct api *api,
                          const struct api_answer *answer)
{
    char words[API_WORDS_MAX + 1];
    char time[32];
    api_answer_words(api, answer, words);
    dyn_clock_format(source->wall_ms, time, sizeof time);
    api_wait_longer(api, words);
    api_fail(api, "gave no token: status %ld: %s (our clock: %s)", answer->status, words, time);
}

static void token_answered(void *arg, struct api *api, const struct api_answer *answer)
{
    struct google *source = arg;
    struct dyn_error error = {""};
    struct dyn_str token;
    int64_t lasts_s = 0;
    if (answer->status >= 400 && answer->status < 500 && answer->status != 429) {
        token_refused(source, api, answer);
        return;
    }
    if (!api_read(api, answer)) {
        return;
    }
    dyn_err err = google_token_read(answer->json, &token, &lasts_s, &error);
    if (err == DYN_OK) {
        err = token_keep(source, token, lasts_s);
    }
    if (err != DYN_OK) {
        api_fail(api, "%s", error.text[0] != '\0' ? error.text : dyn_err_text(err));
        return;
    }
    report_send(source);
}

static void token_send(struct google *source)
{
    static const char *const headers[] = {"Content-Type: application/x-www-form-urlencoded"};
    const struct config_options *options = &source_input(source->api.host)->options;
    const char *url = config_option(options, "token_url")->as.s;
    source->renewed = true;
    dyn_buf_clear(&source->form);
    api_name(&source->api, dyn_str_from(url));
    dyn_err err = google_token_form(source->key, config_option(options, "client_email")->as.s, url,
                                    source->wall_ms, &source->form);
    if (err != DYN_OK) {
        api_fail(&source->api, "the assertion cannot be signed: %s", dyn_err_text(err));
        return;
    }
    /* Of older forms nothing can come back. */
    source->api.secrets_count = 0;
    api_hide(&source->api, dyn_buf_str(&source->form));
    const struct api_request request = {
        .method = "POST",
        .url = url,
        .headers = headers,
        .headers_count = 1,
        .body = dyn_buf_str(&source->form),
        .timeout_ms = config_option(options, "timeout")->as.i,
        .allow_http = config_option(options, "allow_http")->as.b,
        .answered = token_answered,
        .arg = source,
    };
    api_send(&source->api, &request);
}

/* ---- readings ---- */

static void google_poll(void *state, struct source_host *host, int64_t now_ms, int64_t wall_ms)
{
    struct google *source = state;
    (void)host;
    if (api_waiting(&source->api, now_ms)) {
        return;
    }
    source->wall_ms = wall_ms;
    source->renewed = false;
    if (source->headers.count > 0 && now_ms < source->token_until_ms) {
        report_send(source);
    } else {
        token_send(source);
    }
}

static void google_cancel(void *state)
{
    struct google *source = state;
    api_cancel(&source->api);
}

const struct source_ops source_google_analytics = {
    .name = "google_analytics",
    .state_size = sizeof(struct google),
    .init = google_init,
    .poll = google_poll,
    .cancel = google_cancel,
    .fini = google_fini,
};
