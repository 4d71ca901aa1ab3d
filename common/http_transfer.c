#include "common/http_transfer.h"

#include "common/clock.h"
#include "common/http_queue.h"
#include "common/http_url.h"

#include <strings.h>

#define PATH_SHOWN 160   /* bytes of a path in an error */
#define KEEP_BYTES 65536 /* buffers that grew beyond it are not kept in the pool */

void http_list_push(struct http_list *list, struct http_transfer *transfer)
{
    DYN_ASSERT(transfer->list == NULL);
    transfer->list = list;
    transfer->next = NULL;
    transfer->previous = list->last;
    if (list->last != NULL) {
        list->last->next = transfer;
    } else {
        list->first = transfer;
    }
    list->last = transfer;
}

void http_list_remove(struct http_transfer *transfer)
{
    struct http_list *list = transfer->list;
    DYN_ASSERT(list != NULL);
    if (transfer->previous != NULL) {
        transfer->previous->next = transfer->next;
    } else {
        list->first = transfer->next;
    }
    if (transfer->next != NULL) {
        transfer->next->previous = transfer->previous;
    } else {
        list->last = transfer->previous;
    }
    transfer->list = NULL;
}

void http_transfer_free(struct http_transfer *transfer)
{
    dyn_buf_wipe(&transfer->copy);
    dyn_buf_fini(&transfer->answer_body);
    dyn_buf_fini(&transfer->answer_headers.text);
    free(transfer);
}

struct http_transfer *http_transfer_new(struct http_client *client)
{
    struct http_transfer *transfer = calloc(1, sizeof(*transfer));
    if (transfer == NULL) {
        return NULL;
    }
    transfer->client = client;
    dyn_buf_init(&transfer->copy, DYN_HTTP_REQUEST_MAX);
    dyn_buf_init(&transfer->answer_body, DYN_HTTP_BODY_MAX);
    /* Each line gets a NUL more than was counted. */
    dyn_buf_init(&transfer->answer_headers.text, DYN_HTTP_HEADERS_BYTES_MAX + DYN_HTTP_HEADERS_MAX);
    return transfer;
}

void http_transfer_rest(struct http_transfer *transfer)
{
    if (transfer->copy.cap > KEEP_BYTES) {
        dyn_buf_wipe(&transfer->copy);
    } else if (transfer->copy.ptr != NULL) {
        explicit_bzero(transfer->copy.ptr, transfer->copy.len);
    }
    if (transfer->answer_body.cap > KEEP_BYTES) {
        dyn_buf_fini(&transfer->answer_body);
    }
    transfer->list = NULL;
    transfer->next = NULL;
}

static void reason_write(const struct http_transfer *transfer, dyn_err err, const char *why,
                         char *out, size_t size)
{
    if (err == DYN_TIMEOUT) {
        snprintf(out, size, "no %s within %lld ms", transfer->sent ? "whole answer" : "connection",
                 (long long)(dyn_clock_boot_ms() - transfer->started_ms));
    } else if (err == DYN_TOOBIG) {
        snprintf(out, size, "the answer is over its bounds (%zu bytes, %d header lines)",
                 transfer->body_max, DYN_HTTP_HEADERS_MAX);
    } else if (err == DYN_REFUSED) {
        snprintf(out, size, "held back before it was sent");
    } else {
        snprintf(out, size, "%s", err == DYN_IO ? why : dyn_err_text(err));
    }
}

/* The URL appears without user information and query, which may be secrets. */
void http_transfer_explain(const struct http_transfer *transfer, dyn_err err, const char *why,
                           struct dyn_error *out_error)
{
    struct http_url url = {0};
    char reason[DYN_ERROR_TEXT_MAX];
    dyn_err parsed = http_url_parse(dyn_str_from(transfer->url), &url);
    DYN_ASSERT(parsed == DYN_OK);
    reason_write(transfer, err, why, reason, sizeof(reason));
    if (url.path.len > PATH_SHOWN) {
        url.path.len = PATH_SHOWN;
    }
    dyn_error_set(out_error, err, "%s %s://" DYN_STR_FMT DYN_STR_FMT ": %s", transfer->method,
                  url.https ? "https" : "http", DYN_STR_ARG(url.origin), DYN_STR_ARG(url.path),
                  reason);
}

bool http_transfer_add_body(struct http_transfer *transfer, struct dyn_str bytes)
{
    if (bytes.len > transfer->body_max - transfer->answer_body.len) {
        transfer->verdict = DYN_TOOBIG;
        return false;
    }
    dyn_err err = dyn_buf_add_str(&transfer->answer_body, bytes);
    if (err != DYN_OK) {
        transfer->verdict = err;
        return false;
    }
    return true;
}

/* Lines of interim answers count, but those of the last one alone are kept; trailers are not. */
bool http_transfer_add_header(struct http_transfer *transfer, struct dyn_str line)
{
    struct http_headers *headers = &transfer->answer_headers;
    struct dyn_str text = dyn_str_trim(line);
    headers->count++;
    headers->bytes += line.len;
    if (headers->count > DYN_HTTP_HEADERS_MAX || headers->bytes > DYN_HTTP_HEADERS_BYTES_MAX) {
        transfer->verdict = DYN_TOOBIG;
        return false;
    }
    if (dyn_str_starts(text, "HTTP/")) {
        dyn_buf_clear(&headers->text);
    } else if (text.len > 0 && transfer->answer_body.len == 0) {
        dyn_buf_add_str(&headers->text, text);
        dyn_buf_add(&headers->text, "", 1);
    }
    if (headers->text.failed) {
        transfer->verdict = DYN_NOMEM;
        return false;
    }
    return true;
}

struct dyn_str http_header(const struct http_answer *answer, const char *name)
{
    struct dyn_str found = {NULL, 0};
    size_t name_len = strlen(name);
    if (answer->headers == NULL) {
        return found;
    }
    const struct dyn_buf *text = &answer->headers->text;
    for (size_t at = 0; at < text->len;) {
        const char *line = text->ptr + at;
        size_t len = strnlen(line, text->len - at);
        if (len > name_len && line[name_len] == ':' && strncasecmp(line, name, name_len) == 0) {
            struct dyn_str value = {line + name_len + 1, len - name_len - 1};
            found = dyn_str_trim(value);
        }
        at += len + 1;
    }
    return found;
}

static bool method_is_known(const char *method)
{
    static const char *const methods[] = {"GET", "POST", "PATCH", "PUT", "DELETE"};
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        if (strcmp(method, methods[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* "Name: value" with a token for a name and no control characters, CR and LF above all. */
static bool header_is_valid(const char *header)
{
    size_t name_len = strcspn(header, ":");
    if (name_len == 0 || header[name_len] != ':') {
        return false;
    }
    for (size_t i = 0; header[i] != '\0'; i++) {
        unsigned char byte = (unsigned char)header[i];
        bool control = (byte < ' ' && byte != '\t') || byte == 0x7f;
        if (control || (i < name_len && (byte == ' ' || byte == '\t' || byte == ';'))) {
            return false;
        }
    }
    return true;
}

static dyn_err request_check(const struct http_request *request, struct http_url *out_url,
                             struct dyn_error *error)
{
    if (!method_is_known(request->method)) {
        return dyn_error_set(error, DYN_BADMSG, "an HTTP method that is not supported");
    }
    if (http_url_parse(dyn_str_from(request->url), out_url) != DYN_OK) {
        return dyn_error_set(error, DYN_BADMSG,
                             "not a URL; expected https://host/path without spaces");
    }
    if (!out_url->https && !out_url->loopback && !request->allow_http) {
        return dyn_error_set(error, DYN_BADMSG,
                             "http://" DYN_STR_FMT
                             " is not encrypted; use https, or allow plain http for this host",
                             DYN_STR_ARG(out_url->origin));
    }
    if (request->headers_count > DYN_HTTP_REQUEST_HEADERS_MAX) {
        return dyn_error_set(error, DYN_BADMSG, "%zu request headers; at most %d are sent",
                             request->headers_count, DYN_HTTP_REQUEST_HEADERS_MAX);
    }
    for (size_t i = 0; i < request->headers_count; i++) {
        if (!header_is_valid(request->headers[i])) {
            return dyn_error_set(error, DYN_BADMSG,
                                 "request header %zu is not \"Name: value\", or holds a line "
                                 "break; does a secret end in one?",
                                 i + 1);
        }
    }
    return DYN_OK;
}

static bool headers_name(const struct http_request *request, const char *prefix)
{
    for (size_t i = 0; i < request->headers_count; i++) {
        if (strncasecmp(request->headers[i], prefix, strlen(prefix)) == 0) {
            return true;
        }
    }
    return false;
}

static void copy_add(struct dyn_buf *copy, const char *text)
{
    dyn_buf_add(copy, text, strlen(text) + 1);
}

static char *copy_next(char **at)
{
    char *text = *at;
    *at += strlen(text) + 1;
    return text;
}

/* All text of the request goes into one buffer, whose place is known once it is whole; then the
   pointers into it are set in the order of writing. */
static dyn_err transfer_copy(struct http_transfer *transfer, const struct http_request *request)
{
    struct dyn_buf *copy = &transfer->copy;
    bool has_body = request->body.ptr != NULL || strcmp(request->method, "GET") != 0;

    dyn_buf_clear(copy);
    transfer->lines_count = request->headers_count;
    copy_add(copy, request->method);
    copy_add(copy, request->url);
    for (size_t i = 0; i < request->headers_count; i++) {
        copy_add(copy, request->headers[i]);
    }
    /* An empty value keeps curl from sending a header of its own. Before 8.3.0 it also signs what
       it so does not send; what is signed is too small for an Expect. */
    if (request->sigv4 == NULL) {
        copy_add(copy, "Expect:");
        transfer->lines_count++;
    }
    if (has_body && !headers_name(request, "Content-Type:")) {
        copy_add(copy, "Content-Type:");
        transfer->lines_count++;
    }
    if (request->user != NULL) {
        copy_add(copy, request->sigv4 != NULL ? request->sigv4 : "");
        copy_add(copy, request->user);
        copy_add(copy, request->password);
    }
    dyn_buf_add_str(copy, request->body);
    dyn_err err = dyn_buf_result(copy);
    if (err != DYN_OK) {
        return err;
    }

    char *at = copy->ptr;
    transfer->method = copy_next(&at);
    transfer->url = copy_next(&at);
    for (size_t i = 0; i < transfer->lines_count; i++) {
        transfer->lines[i] = copy_next(&at);
    }
    const char *sigv4 = request->user != NULL ? copy_next(&at) : "";
    transfer->sigv4 = sigv4[0] != '\0' ? sigv4 : NULL;
    transfer->user = request->user != NULL ? copy_next(&at) : NULL;
    transfer->password = request->user != NULL ? copy_next(&at) : NULL;
    transfer->body = has_body ? at : NULL;
    transfer->body_len = request->body.len;
    return DYN_OK;
}

static int64_t or_default(int64_t value, int64_t fallback)
{
    return value > 0 ? value : fallback;
}

static void transfer_reset(struct http_transfer *transfer, const struct http_request *request,
                           const struct http_url *url)
{
    transfer->list = NULL;
    transfer->write = strcmp(request->method, "GET") != 0;
    transfer->slot = http_queue_slot(url->origin);
    transfer->body_max = request->body_max > 0 ? request->body_max : DYN_HTTP_BODY_MAX;
    transfer->connect_timeout_ms =
        or_default(request->connect_timeout_ms, DYN_HTTP_CONNECT_TIMEOUT_MS);
    transfer->total_timeout_ms = or_default(request->total_timeout_ms, DYN_HTTP_TOTAL_TIMEOUT_MS);
    transfer->started_ms = dyn_clock_boot_ms();
    transfer->before_send = request->before_send;
    transfer->done = request->done;
    transfer->arg = request->arg;
    dyn_buf_clear(&transfer->answer_body);
    transfer->answer_body.max = transfer->body_max;
    dyn_buf_clear(&transfer->answer_headers.text);
    transfer->answer_headers.count = 0;
    transfer->answer_headers.bytes = 0;
    transfer->sent = false;
    transfer->finishing = false;
    transfer->verdict = DYN_OK;
}

dyn_err http_transfer_fill(struct http_transfer *transfer, const struct http_request *request,
                           struct dyn_error *error)
{
    struct http_url url = {0};
    DYN_ASSERT(request->done != NULL);
    dyn_err err = request_check(request, &url, error);
    if (err != DYN_OK) {
        return err;
    }
    err = transfer_copy(transfer, request);
    if (err != DYN_OK) {
        return dyn_error_set(error, err, "an HTTP request of more than %d bytes",
                             DYN_HTTP_REQUEST_MAX);
    }
    transfer_reset(transfer, request, &url);
    return DYN_OK;
}
