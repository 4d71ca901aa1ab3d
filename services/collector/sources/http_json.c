/*
 * http_json: a number out of the JSON document behind a URL. The URL and the headers may carry
 * secrets, so that words about a failure name the host only.
 */
#include "collector/sources.h"

#include "common/json.h"

#define HOST_MAX 80 /* bytes of the host in a reason; cut */

/* A request outlives the source when it was given up: then it has no owner. */
struct reading {
    struct http_json *owner;
    struct source_host *host;
    struct http_transfer *transfer;
};

struct http_json {
    struct reading *reading; /* NULL: none is under way */
    struct dyn_buf url;
    char **headers; /* "Name: value" */
    size_t headers_count;
    char host[HOST_MAX + 1];
};

static void http_json_fini(void *state)
{
    struct http_json *source = state;
    dyn_buf_wipe(&source->url);
    for (size_t i = 0; i < source->headers_count; i++) {
        explicit_bzero(source->headers[i], strlen(source->headers[i]));
        free(source->headers[i]);
    }
    free(source->headers);
    source->headers = NULL;
    source->headers_count = 0;
}

/* The host of a URL: behind the scheme and any user part, without port and path. */
static struct dyn_str url_host(struct dyn_str url)
{
    const char *scheme = memmem(url.ptr, url.len, "://", 3);
    const char *from = scheme != NULL ? scheme + 3 : url.ptr;
    const char *end = url.ptr + url.len;
    const char *stop = from;
    while (stop < end && *stop != '/' && *stop != '?' && *stop != '#') {
        if (*stop == '@') {
            from = stop + 1;
        }
        stop++;
    }
    const char *colon = memrchr(from, ':', (size_t)(stop - from));
    const char *bracket = memchr(from, ']', (size_t)(stop - from));
    if (colon != NULL && (bracket == NULL || colon > bracket)) {
        stop = colon;
    }
    return (struct dyn_str){from, (size_t)(stop - from)};
}

static dyn_err headers_resolve(struct http_json *source, const struct config_value *headers,
                               struct dyn_error *error)
{
    size_t count = headers->given ? headers->as.headers.count : 0;
    source->headers = calloc(count + 1, sizeof *source->headers);
    if (source->headers == NULL) {
        return DYN_NOMEM;
    }
    struct dyn_buf value;
    dyn_buf_init(&value, DYN_SECRET_MAX);
    dyn_err err = DYN_OK;
    for (size_t i = 0; i < count && err == DYN_OK; i++) {
        err = config_secret_resolve(&headers->as.headers.values[i], &value, error);
        if (err != DYN_OK) {
            break;
        }
        if (asprintf(&source->headers[i], "%s: %s", headers->as.headers.names[i],
                     dyn_buf_text(&value)) < 0) {
            source->headers[i] = NULL;
            err = DYN_NOMEM;
        } else {
            source->headers_count++;
        }
    }
    dyn_buf_wipe(&value);
    return err;
}

static dyn_err http_json_init(void *state, struct source_host *host, struct dyn_error *error)
{
    struct http_json *source = state;
    const struct config_options *options = &source_input(host)->options;
    dyn_buf_init(&source->url, DYN_SECRET_MAX);
    dyn_err err =
        config_secret_resolve(&config_option(options, "url")->as.secret, &source->url, error);
    if (err == DYN_OK) {
        err = headers_resolve(source, config_option(options, "headers"), error);
    }
    if (err != DYN_OK) {
        http_json_fini(source);
        return err;
    }
    dyn_str_copy(source->host, sizeof source->host, url_host(dyn_buf_str(&source->url)));
    return DYN_OK;
}

/* The number in a good answer. */
static dyn_err answer_number(struct dyn_str body, const char *pointer, double *out,
                             struct dyn_error *error)
{
    json_t *root = dyn_json_parse(body, error);
    if (root == NULL) {
        return DYN_BADMSG;
    }
    dyn_err err = DYN_NOTFOUND;
    const json_t *value = dyn_json_at(root, pointer, error);
    if (value != NULL) {
        err = dyn_json_number(value, false, out, error);
    }
    json_decref(root);
    return err;
}

/* http's words begin with the URL, whose path may be a secret here; a reason begins behind it. */
static const char *error_reason(const char *words)
{
    const char *reason = strstr(words, ": ");
    return reason != NULL ? reason + 2 : words;
}

static void http_json_answered(struct source_host *host, const char *name,
                               const struct http_answer *answer)
{
    struct dyn_error error = {""};
    double value = 0;
    const char *pointer = config_option(&source_input(host)->options, "pointer")->as.s;
    if (answer->err != DYN_OK) {
        source_failed(host, answer->err == DYN_TIMEOUT ? SAMPLE_TIMEOUT : SAMPLE_ERROR, "%s: %s",
                      name, error_reason(answer->error));
    } else if (answer->status != 200) {
        source_failed(host, SAMPLE_ERROR, "%s: answered with status %ld", name, answer->status);
    } else if (answer_number(answer->body, pointer, &value, &error) != DYN_OK) {
        source_failed(host, SAMPLE_ERROR, "%s: %s", name, error.text);
    } else {
        source_good(host, value);
    }
}

static void http_json_done(void *arg, const struct http_answer *answer)
{
    struct reading *reading = arg;
    if (reading->owner != NULL) {
        reading->owner->reading = NULL;
        http_json_answered(reading->host, reading->owner->host, answer);
    }
    free(reading);
}

static void http_json_poll(void *state, struct source_host *host, int64_t now_ms, int64_t wall_ms)
{
    struct http_json *source = state;
    (void)now_ms;
    (void)wall_ms;
    const struct config_options *options = &source_input(host)->options;
    struct dyn_error error = {""};
    struct reading *reading = calloc(1, sizeof *reading);
    if (reading == NULL) {
        source_failed(host, SAMPLE_ERROR, "%s: out of memory", source->host);
        return;
    }
    *reading = (struct reading){.owner = source, .host = host};
    struct http_request request = {
        .method = "GET",
        .url = dyn_buf_text(&source->url),
        .headers = (const char *const *)source->headers,
        .headers_count = source->headers_count,
        .total_timeout_ms = config_option(options, "timeout")->as.i,
        .allow_http = config_option(options, "allow_http")->as.b,
        .done = http_json_done,
        .arg = reading,
    };
    dyn_err err = http_start(source_http(host), &request, &reading->transfer, &error);
    if (err != DYN_OK) {
        free(reading);
        source_failed(host, SAMPLE_ERROR, "%s: %s", source->host, error.text);
        return;
    }
    source->reading = reading;
}

static void http_json_cancel(void *state)
{
    struct http_json *source = state;
    if (source->reading != NULL) {
        source->reading->owner = NULL;
        http_cancel(source->reading->transfer);
        source->reading = NULL;
    }
}

const struct source_ops source_http_json = {
    .name = "http_json",
    .state_size = sizeof(struct http_json),
    .init = http_json_init,
    .poll = http_json_poll,
    .cancel = http_json_cancel,
    .fini = http_json_fini,
};
