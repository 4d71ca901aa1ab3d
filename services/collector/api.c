#include "collector/api.h"

#include "common/clock.h"

/* A request outlives the source when it was given up: then it has no owner. */
struct api_exchange {
    struct api *owner;
    struct http_transfer *transfer;
    void (*answered)(void *arg, struct api *api, const struct api_answer *answer);
    void *arg;
};

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

void api_init(struct api *api, struct source_host *host, struct dyn_str url)
{
    *api = (struct api){.host = host};
    api_name(api, url);
}

void api_name(struct api *api, struct dyn_str url)
{
    dyn_str_copy(api->name, sizeof api->name, url.len > 0 ? url_host(url) : url);
}

/* ---- waiting ---- */

bool api_waiting(struct api *api, int64_t now_ms)
{
    if (now_ms >= api->wait_until_ms) {
        return false;
    }
    api_fail(api, "not asked for %lld s more: %s",
             (long long)((api->wait_until_ms - now_ms + 999) / 1000), api->wait_why);
    return true;
}

void api_wait(struct api *api, int64_t wait_ms, const char *why)
{
    api->wait_until_ms = dyn_loop_now_ms(source_loop(api->host)) + wait_ms;
    dyn_str_copy(api->wait_why, sizeof api->wait_why, dyn_str_from(why));
}

/* What a server says about when to come again: Retry-After, or the end of a limit's period as Unix
 * seconds or in seconds. */
static bool answer_wait_s(const struct http_answer *http, int64_t *out)
{
    static const char *const resets[] = {"X-RateLimit-Reset", "X-Rate-Limit-Reset"};
    int64_t wall_ms = dyn_clock_wall_ms();
    struct dyn_str value = http_header(http, "Retry-After");
    if (value.ptr != NULL && http_retry_after(value, wall_ms, API_TOLD_MAX_S, out) == DYN_OK) {
        return true;
    }
    for (size_t i = 0; i < sizeof resets / sizeof resets[0]; i++) {
        int64_t at = 0;
        value = http_header(http, resets[i]);
        if (value.ptr == NULL || dyn_str_i64(dyn_str_trim(value), &at) != DYN_OK || at < 0) {
            continue;
        }
        int64_t wait = at > 1000000000 ? at - wall_ms / 1000 : at;
        *out = wait < 0 ? 0 : wait;
        *out = *out > API_TOLD_MAX_S ? API_TOLD_MAX_S : *out;
        return true;
    }
    return false;
}

/* Twice as long each time. */
static int64_t wait_grown_ms(struct api *api, int64_t first_ms)
{
    int64_t wait_ms = first_ms;
    for (unsigned i = 0; i < api->refusals && wait_ms < API_WAIT_MAX_S * 1000; i++) {
        wait_ms *= 2;
    }
    api->refusals++;
    return wait_ms < API_WAIT_MAX_S * 1000 ? wait_ms : API_WAIT_MAX_S * 1000;
}

void api_wait_longer(struct api *api, const char *why)
{
    int64_t first_ms = api->error_wait_ms > 0 ? api->error_wait_ms : API_WAIT_MIN_S * 1000LL;
    api_wait(api, wait_grown_ms(api, first_ms), why);
}

static void refusal_wait(struct api *api, const struct api_answer *answer, const char *words)
{
    int64_t wait_s = 0;
    bool told = answer_wait_s(answer->http, &wait_s);
    char why[DYN_REASON_MAX + 1];
    (void)snprintf(why, sizeof why, "it answered with status %ld%s%.100s", answer->status,
                   words[0] != '\0' ? ": " : "", words);
    if (answer->status == 429) {
        api_wait(api, told ? wait_s * 1000 : wait_grown_ms(api, API_WAIT_MIN_S * 1000LL), why);
    } else if (answer->status == 503 && told) {
        api_wait(api, wait_s * 1000, why);
    } else if (answer->status >= 500 && api->error_wait_ms > 0) {
        api_wait_longer(api, why);
    }
}

/* ---- what the host is told ---- */

void api_good(struct api *api, double value)
{
    api->refusals = 0;
    source_good(api->host, value);
}

void api_fail(struct api *api, const char *format, ...)
{
    struct dyn_error error;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(error.text, sizeof error.text, format, args);
    va_end(args);
    source_failed(api->host, SAMPLE_ERROR, "%s: %s", api->name, error.text);
}

void api_refuse(struct api *api, const struct api_answer *answer)
{
    char words[API_WORDS_MAX + 1];
    api_answer_words(api, answer, words);
    refusal_wait(api, answer, words);
    if (answer->status >= 300 && answer->status < 400) {
        api_fail(api, "answered with status %ld; redirects are not followed", answer->status);
    } else {
        api_fail(api, "answered with status %ld%s%s", answer->status, words[0] != '\0' ? ": " : "",
                 words);
    }
}

bool api_read(struct api *api, const struct api_answer *answer)
{
    if (answer->status != 200) {
        api_refuse(api, answer);
        return false;
    }
    if (answer->json == NULL) {
        api_fail(api, "%s", answer->json_error);
        return false;
    }
    return true;
}

/* ---- requests ---- */

/* http's words begin with the URL, whose path may be a secret; a reason begins behind it. */
static const char *error_reason(const char *words)
{
    const char *reason = strstr(words, ": ");
    return reason != NULL ? reason + 2 : words;
}

static void api_done(void *arg, const struct http_answer *http)
{
    struct api_exchange exchange = *(struct api_exchange *)arg;
    free(arg);
    struct api *api = exchange.owner;
    if (api == NULL) {
        return;
    }
    api->exchange = NULL;
    if (http->err != DYN_OK) {
        source_failed(api->host, http->err == DYN_TIMEOUT ? SAMPLE_TIMEOUT : SAMPLE_ERROR, "%s: %s",
                      api->name, error_reason(http->error));
        return;
    }
    struct dyn_error error = {""};
    struct api_answer answer = {
        .status = http->status, .body = http->body, .http = http, .json_error = error.text};
    answer.json = dyn_json_parse(http->body, &error);
    exchange.answered(exchange.arg, api, &answer);
    json_decref(answer.json);
}

void api_send(struct api *api, const struct api_request *request)
{
    DYN_ASSERT(api->exchange == NULL);
    struct dyn_error error = {""};
    struct api_exchange *exchange = calloc(1, sizeof *exchange);
    if (exchange == NULL) {
        api_fail(api, "out of memory");
        return;
    }
    *exchange =
        (struct api_exchange){.owner = api, .answered = request->answered, .arg = request->arg};
    struct http_request sent = {
        .method = request->method,
        .url = request->url,
        .headers = request->headers,
        .headers_count = request->headers_count,
        .body = request->body,
        .total_timeout_ms = request->timeout_ms,
        .allow_http = request->allow_http,
        .done = api_done,
        .arg = exchange,
    };
    dyn_err err = http_start(source_http(api->host), &sent, &exchange->transfer, &error);
    if (err != DYN_OK) {
        free(exchange);
        api_fail(api, "%s", error.text);
        return;
    }
    api->exchange = exchange;
}

void api_cancel(struct api *api)
{
    if (api->exchange != NULL) {
        api->exchange->owner = NULL;
        http_cancel(api->exchange->transfer);
        api->exchange = NULL;
    }
}

/* ---- what goes into a request ---- */

dyn_err api_headers_add(struct api_headers *headers, const char *name, struct dyn_str value)
{
    char *line = NULL;
    char **lines = realloc(headers->lines, (headers->count + 1) * sizeof *lines);
    if (lines == NULL) {
        return DYN_NOMEM;
    }
    headers->lines = lines;
    if (asprintf(&line, "%s: " DYN_STR_FMT, name, DYN_STR_ARG(value)) < 0) {
        return DYN_NOMEM;
    }
    headers->lines[headers->count++] = line;
    return DYN_OK;
}

dyn_err api_headers_resolve(struct api_headers *headers, struct api *api,
                            const struct config_value *option, struct dyn_error *error)
{
    size_t count = option->given ? option->as.headers.count : 0;
    struct dyn_buf value;
    dyn_err err = DYN_OK;
    api->headers = headers;
    dyn_buf_init(&value, DYN_SECRET_MAX);
    for (size_t i = 0; i < count && err == DYN_OK; i++) {
        const char *name = option->as.headers.names[i];
        err = config_secret_resolve(&option->as.headers.values[i], &value, error);
        if (err == DYN_OK) {
            err = api_headers_add(headers, name, dyn_buf_str(&value));
        }
    }
    dyn_buf_wipe(&value);
    return err;
}

void api_headers_fini(struct api_headers *headers)
{
    for (size_t i = 0; i < headers->count; i++) {
        explicit_bzero(headers->lines[i], strlen(headers->lines[i]));
        free(headers->lines[i]);
    }
    free(headers->lines);
    *headers = (struct api_headers){.lines = NULL};
}

dyn_err api_text_resolve(const struct config_value *option, struct dyn_buf *out,
                         struct dyn_error *error)
{
    dyn_err err = config_secret_resolve(&option->as.secret, out, error);
    if (err != DYN_OK) {
        return err;
    }
    while (out->len > 0 && (out->ptr[out->len - 1] == '\n' || out->ptr[out->len - 1] == '\r')) {
        out->ptr[--out->len] = '\0';
    }
    if (out->len == 0) {
        return dyn_error_set(error, DYN_BADMSG, "%s is empty", option->field->key);
    }
    return DYN_OK;
}

dyn_err api_secret_resolve(struct api *api, const struct config_value *option, struct dyn_buf *out,
                           struct dyn_error *error)
{
    dyn_err err = api_text_resolve(option, out, error);
    if (err == DYN_OK) {
        api_hide(api, dyn_buf_str(out));
    }
    return err;
}

void api_base(struct dyn_buf *out, const struct config_value *option, const char *otherwise)
{
    struct dyn_str text = dyn_str_from(option->given ? option->as.s : otherwise);
    while (text.len > 0 && text.ptr[text.len - 1] == '/') {
        text.len--;
    }
    (void)dyn_buf_add_str(out, text);
}

void api_encode(struct dyn_buf *out, struct dyn_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '-' || c == '.' || c == '_' || c == '~';
        (void)dyn_buf_addf(out, plain ? "%c" : "%%%02X", c);
    }
}
