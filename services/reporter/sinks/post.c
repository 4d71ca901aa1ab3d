#include "reporter/sinks/post.h"

#include "common/clock.h"
#include "common/http_url.h"

/* A request outlives the sink when it was given up: then it has no owner. */
struct post_exchange {
    struct post *owner;
    struct http_transfer *transfer;
    void (*answered)(void *arg, struct post *post, const struct post_answer *answer);
    void *arg;
};

void post_init(struct post *post, struct sink_host *host)
{
    *post = (struct post){.host = host};
}

void post_fini(struct post *post)
{
    post_cancel(post);
    for (size_t i = 0; i < post->secrets_count; i++) {
        dyn_buf_wipe(&post->secrets[i].text);
    }
    post->secrets_count = 0;
    for (size_t i = 0; i < post->headers_count; i++) {
        explicit_bzero(post->headers[i], strlen(post->headers[i]));
        free(post->headers[i]);
    }
    post->headers_count = 0;
}

/* ---- what the configuration says ---- */

static const struct config_value *option_of(const struct post *post, const char *key)
{
    return config_option(&sink_config(post->host)->options, key);
}

static bool text_is_plain(struct dyn_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c < ' ' || c == 0x7f) {
            return false;
        }
    }
    return true;
}

/* Its own copy, NUL-terminated, which the words are searched for. */
static dyn_err secret_keep(struct post *post, struct dyn_str text, struct dyn_buf **out)
{
    DYN_ASSERT(post->secrets_count < POST_SECRETS_MAX);
    struct post_secret *secret = &post->secrets[post->secrets_count++];
    secret->open = 0;
    dyn_buf_init(&secret->text, DYN_SECRET_MAX);
    *out = &secret->text;
    return dyn_buf_add_str(&secret->text, text);
}

dyn_err post_hide(struct post *post, struct dyn_str text)
{
    struct dyn_buf *kept = NULL;
    return secret_keep(post, text, &kept);
}

dyn_err post_secret(struct post *post, const char *key, const char **out_text,
                    struct dyn_error *error)
{
    const struct config_value *option = option_of(post, key);
    struct dyn_buf text;
    struct dyn_buf *kept = NULL;
    if (!option->given) {
        *out_text = NULL;
        return DYN_OK;
    }
    dyn_buf_init(&text, DYN_SECRET_MAX);
    dyn_err err = config_secret_resolve(&option->as.secret, &text, error);
    struct dyn_str plain = dyn_str_trim(dyn_buf_str(&text));
    if (err == DYN_OK && plain.len == 0) {
        err = dyn_error_set(error, DYN_NOTFOUND, "`%s` is empty", key);
    }
    if (err == DYN_OK && !text_is_plain(plain)) {
        err = dyn_error_set(error, DYN_CONFIG, "`%s` has control characters in it", key);
    }
    if (err == DYN_OK) {
        err = secret_keep(post, plain, &kept);
    }
    dyn_buf_wipe(&text);
    if (err == DYN_OK) {
        *out_text = dyn_buf_text(kept);
    }
    return err;
}

static dyn_err url_check(const struct post *post, const char *key, struct dyn_str text,
                         struct http_url *out, struct dyn_error *error)
{
    if (http_url_parse(text, out) != DYN_OK) {
        return dyn_error_set(error, DYN_CONFIG, "`%s` is no http or https URL", key);
    }
    if (!out->https && !out->loopback && !option_of(post, "allow_http")->as.b) {
        return dyn_error_set(error, DYN_CONFIG,
                             "`%s` is plain http to " DYN_STR_FMT
                             ", which all on the way can read: write https, or allow_http: true",
                             key, DYN_STR_ARG(out->origin));
    }
    return DYN_OK;
}

dyn_err post_url(struct post *post, const char *key, const char **out_text, struct dyn_error *error)
{
    struct http_url url;
    const char *text = NULL;
    dyn_err err = post_secret(post, key, &text, error);
    if (err != DYN_OK || text == NULL) {
        *out_text = text;
        return err;
    }
    err = url_check(post, key, dyn_str_from(text), &url, error);
    if (err != DYN_OK) {
        return err;
    }
    /* What stands before the host, a user and a password, is a secret of its own. */
    struct post_secret *secret = &post->secrets[post->secrets_count - 1];
    const char *user = strstr(text, "://") + 3;
    secret->open = (size_t)(url.origin.ptr + url.origin.len - text);
    if (url.origin.ptr > user) {
        err = post_hide(post, (struct dyn_str){user, (size_t)(url.origin.ptr - user - 1)});
    }
    *out_text = text;
    return err;
}

static dyn_err base_add(const struct post *post, const char *key, struct dyn_str text,
                        struct dyn_buf *out, struct dyn_error *error)
{
    struct http_url url;
    while (text.len > 0 && text.ptr[text.len - 1] == '/') {
        text.len--;
    }
    dyn_err err = url_check(post, key, text, &url, error);
    return err == DYN_OK ? dyn_buf_add_str(out, text) : err;
}

dyn_err post_base(struct post *post, const char *fallback, struct dyn_buf *out,
                  struct dyn_error *error)
{
    const struct config_value *option = option_of(post, "api_url");
    struct dyn_str text = dyn_str_from(option->given ? option->as.s : fallback);
    return base_add(post, "api_url", text, out, error);
}

dyn_err post_host(struct post *post, const char *key, struct dyn_buf *out, struct dyn_error *error)
{
    const char *host = option_of(post, key)->as.s;
    struct dyn_buf text;
    dyn_buf_init(&text, DYN_HTTP_URL_MAX);
    (void)dyn_buf_addf(&text, "%s%s", strstr(host, "://") == NULL ? "https://" : "", host);
    dyn_err err = dyn_buf_result(&text);
    if (err == DYN_OK) {
        err = base_add(post, key, dyn_buf_str(&text), out, error);
    }
    dyn_buf_fini(&text);
    return err;
}

static dyn_err header_add(struct post *post, const char *name, const char *value)
{
    char *line = NULL;
    if (post->headers_count == DYN_HTTP_REQUEST_HEADERS_MAX) {
        return DYN_TOOBIG;
    }
    if (asprintf(&line, "%s: %s", name, value) < 0) {
        return DYN_NOMEM;
    }
    post->headers[post->headers_count++] = line;
    return DYN_OK;
}

dyn_err post_header(struct post *post, const char *name, const char *value)
{
    return header_add(post, name, value);
}

dyn_err post_headers(struct post *post, struct dyn_error *error)
{
    const struct config_value *option = option_of(post, "headers");
    size_t count = option->given ? option->as.headers.count : 0;
    struct dyn_buf value;
    dyn_err err = DYN_OK;
    dyn_buf_init(&value, DYN_SECRET_MAX);
    for (size_t i = 0; i < count && err == DYN_OK; i++) {
        err = config_secret_resolve(&option->as.headers.values[i], &value, error);
        if (err == DYN_OK) {
            err = header_add(post, option->as.headers.names[i], dyn_buf_text(&value));
        }
    }
    dyn_buf_wipe(&value);
    return err;
}

/* ---- requests ---- */

/* http's words begin with the URL, whose path may be a secret; a reason begins behind it. */
static const char *error_reason(const char *words)
{
    const char *reason = strstr(words, ": ");
    return reason != NULL ? reason + 2 : words;
}

static void answer_tell(const struct post_exchange *exchange, const struct http_answer *http)
{
    struct post *post = exchange->owner;
    struct post_answer answer = {.status = http->status, .body = http->body, .http = http};
    struct dyn_error error = {""};
    answer.json = dyn_json_parse(http->body, &error);
    if (exchange->answered != NULL) {
        exchange->answered(exchange->arg, post, &answer);
    } else if (post_is_good(&answer)) {
        post_taken(post);
    } else {
        post_refused(post, &answer);
    }
    json_decref(answer.json);
}

static void post_done(void *arg, const struct http_answer *http)
{
    struct post_exchange exchange = *(struct post_exchange *)arg;
    free(arg);
    if (exchange.owner == NULL) {
        return;
    }
    exchange.owner->exchange = NULL;
    if (http->err != DYN_OK) {
        sink_done(exchange.owner->host, http->err, "%s", error_reason(http->error));
        return;
    }
    answer_tell(&exchange, http);
}

static size_t lines_fill(const struct post *post, const struct post_request *request,
                         const char *lines[DYN_HTTP_REQUEST_HEADERS_MAX])
{
    size_t count = 0;
    for (size_t i = 0; i < post->headers_count; i++) {
        lines[count++] = post->headers[i];
    }
    for (size_t i = 0; i < request->headers_count && count < DYN_HTTP_REQUEST_HEADERS_MAX; i++) {
        lines[count++] = request->headers[i];
    }
    return count;
}

void post_send(struct post *post, const struct post_request *request)
{
    DYN_ASSERT(post->exchange == NULL);
    const char *lines[DYN_HTTP_REQUEST_HEADERS_MAX];
    struct dyn_error error = {""};
    struct post_exchange *exchange = calloc(1, sizeof *exchange);
    if (exchange == NULL) {
        sink_done(post->host, DYN_BUSY, "out of memory");
        return;
    }
    *exchange =
        (struct post_exchange){.owner = post, .answered = request->answered, .arg = request->arg};
    struct http_request sent = {
        .method = request->method != NULL ? request->method : "POST",
        .url = request->url,
        .headers = lines,
        .headers_count = lines_fill(post, request, lines),
        .body = request->body,
        .body_max = POST_ANSWER_MAX,
        .total_timeout_ms = option_of(post, "timeout")->as.i,
        .allow_http = option_of(post, "allow_http")->as.b,
        .sigv4 = request->sigv4,
        .user = request->user,
        .password = request->password,
        .done = post_done,
        .arg = exchange,
    };
    dyn_err err = http_start(sink_http(post->host), &sent, &exchange->transfer, &error);
    if (err != DYN_OK) {
        free(exchange);
        sink_done(post->host, err, "%s", error_reason(error.text));
        return;
    }
    post->exchange = exchange;
}

void post_cancel(struct post *post)
{
    if (post->exchange != NULL) {
        post->exchange->owner = NULL;
        http_cancel(post->exchange->transfer);
        post->exchange = NULL;
    }
}

/* ---- answers ---- */

bool post_is_good(const struct post_answer *answer)
{
    return answer->status >= 200 && answer->status < 300;
}

void post_taken(struct post *post)
{
    post->refusals = 0;
    sink_done(post->host, DYN_OK, "%s", "");
}

void post_failed(struct post *post, dyn_err err, const char *format, ...)
{
    struct dyn_error error;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(error.text, sizeof error.text, format, args);
    va_end(args);
    sink_done(post->host, err, "%s", error.text);
}

void post_slow_down(struct post *post, const struct post_answer *answer)
{
    struct dyn_str value = http_header(answer->http, "Retry-After");
    int64_t wait_s = 0;
    if (value.ptr == NULL ||
        http_retry_after(value, dyn_clock_wall_ms(), POST_WAIT_MAX_S, &wait_s) != DYN_OK) {
        wait_s = POST_WAIT_MIN_S;
        for (unsigned i = 0; i < post->refusals && wait_s < POST_WAIT_MAX_S; i++) {
            wait_s *= 2;
        }
        post->refusals++;
    }
    sink_wait(post->host, (wait_s < POST_WAIT_MAX_S ? wait_s : POST_WAIT_MAX_S) * 1000);
}

void post_refused(struct post *post, const struct post_answer *answer)
{
    char words[POST_WORDS_MAX + 1];
    bool told = http_header(answer->http, "Retry-After").ptr != NULL;
    bool later = answer->status == 408 || answer->status == 429 || answer->status >= 500;
    post_answer_words(post, answer, words);
    if (answer->status == 429 || (later && told)) {
        post_slow_down(post, answer);
    }
    if (answer->status >= 300 && answer->status < 400) {
        (void)snprintf(words, sizeof words, "redirects are not followed");
    }
    post_failed(post, later ? DYN_BUSY : DYN_REFUSED, "answered with status %ld%s%s",
                answer->status, words[0] != '\0' ? ": " : "", words);
}

/* ---- bodies ---- */

json_t *post_text(struct dyn_str text)
{
    text = text.ptr != NULL ? text : DYN_STR("");
    json_t *whole = json_stringn(text.ptr, text.len);
    char *copy = whole == NULL ? malloc(text.len + 1) : NULL;
    if (copy == NULL) {
        return whole;
    }
    for (size_t i = 0; i < text.len; i++) {
        copy[i] = text.ptr[i];
        if ((unsigned char)copy[i] >= 0x80) {
            copy[i] = '?';
        }
    }
    whole = json_stringn(copy, text.len);
    free(copy);
    return whole;
}

void post_time(int64_t wall_ms, char out[static POST_TIME_SIZE])
{
    char text[POST_TIME_SIZE];
    dyn_clock_format(wall_ms, text, sizeof text);
    text[strcspn(text, "Z")] = '\0';
    (void)snprintf(out, POST_TIME_SIZE, "%.20s.%03dZ", text,
                   (int)(wall_ms > 0 ? wall_ms % 1000 : 0));
}

void post_form_add(struct dyn_buf *out, const char *name, struct dyn_str value)
{
    static const char hex[] = "0123456789ABCDEF";
    (void)dyn_buf_addf(out, "%s%s=", out->len > 0 ? "&" : "", name);
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.ptr[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '-' || c == '.' || c == '_' || c == '~';
        const char coded[] = {'%', hex[c >> 4], hex[c & 15]};
        (void)dyn_buf_add(out, plain ? &value.ptr[i] : coded, plain ? 1 : sizeof coded);
    }
}

static int dump_add(const char *bytes, size_t len, void *arg)
{
    return dyn_buf_add(arg, bytes, len) == DYN_OK ? 0 : -1;
}

void post_dump(struct dyn_buf *out, json_t *root)
{
    int failed = json_dump_callback(root, dump_add, out, JSON_COMPACT | JSON_REAL_PRECISION(15));
    if (failed != 0 && out->failed == DYN_OK) {
        out->failed = DYN_NOMEM;
    }
    json_decref(root);
}
