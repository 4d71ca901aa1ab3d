#include "heroku_exchange.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HUGE_MEBIBYTES 50
#define GARBAGE_SIZE 4096
#define STREAM_BLOCK 65536

int64_t fault_int(const struct exchange *ex, const char *key)
{
    return json_integer_value(json_object_get(ex->fault, key));
}

bool fault_has(const struct exchange *ex, const char *key)
{
    const json_t *value = json_object_get(ex->fault, key);
    return value != NULL && !json_is_false(value) && !json_is_null(value);
}

/* ---- refusals ---- */

struct fault_text {
    unsigned status;
    const char *id;
    const char *message;
};

/* The first of a status is what comes when the fault names no id. */
static const struct fault_text FAULT_TEXTS[] = {
    {400, "bad_request", "Bad request."},
    {401, "unauthorized", "Invalid credentials provided."},
    {402, "delinquent", "This account is delinquent, please pay your bill."},
    {403, "forbidden", "You do not have access to the app."},
    {403, "suspended", "This account is suspended."},
    {403, "two_factor", "A second authentication factor is required."},
    {404, "not_found", "Couldn't find that app."},
    {406, "not_acceptable", "Not acceptable."},
    {409, "conflict", "The resource was changed by another request."},
    {410, "gone", "The resource is gone."},
    {412, "precondition_failed", "The resource has changed."},
    {416, "requested_range_not_satisfiable", "The requested range is not satisfiable."},
    {422, "invalid_params", "Invalid params."},
    {422, "cannot_update_above_limit", "Cannot update to more than 100 dynos per app."},
    {422, "cannot_run_above_limit", "Cannot run more than 1 Eco size dynos."},
    {422, "verification_needed", "Please verify your account to do this."},
    {422, "multiple_matches", "Ambiguous identifier; multiple matches."},
    {423, "confirmation_required", "Confirmation is required."},
    {429, "rate_limit",
     "Your account reached the API rate limit\n"
     "Please wait a few minutes before making new requests"},
    {500, "internal_server_error", "Internal server error."},
    {503, "service_unavailable", "The API is unavailable, please try again."},
};

static const struct fault_text *fault_text_find(unsigned status, const char *id)
{
    for (size_t i = 0; i < sizeof FAULT_TEXTS / sizeof FAULT_TEXTS[0]; i++) {
        const struct fault_text *text = &FAULT_TEXTS[i];
        if (text->status == status && (id == NULL || strcmp(text->id, id) == 0)) {
            return text;
        }
    }
    return NULL;
}

void answer_fault(struct exchange *ex)
{
    const char *id = json_string_value(json_object_get(ex->fault, "id"));
    const char *message = json_string_value(json_object_get(ex->fault, "message"));
    unsigned status = (unsigned)fault_int(ex, "status");
    const struct fault_text *text = fault_text_find(status, id);
    if (text != NULL) {
        id = text->id;
        message = message != NULL ? message : text->message;
    }
    reply_error(&ex->reply, status, id != NULL ? id : "error", "%s",
                message != NULL ? message : "Something went wrong.");
    json_t *extra = json_object_get(ex->fault, "extra");
    if (json_is_object(extra)) {
        json_object_update(ex->reply.body, extra);
    }
    if (ex->call.account != NULL && status != 429 && !fault_has(ex, "apply")) {
        account_take(ex->call.account, 1, world_now_ms(&ex->fake->world));
    }
}

/* ---- bodies, good and bad ---- */

struct stream {
    char *text; /* NULL: an endless array */
    size_t size;
    size_t fail_at; /* breaks the connection there */
};

static void stream_free(void *cls)
{
    struct stream *stream = cls;
    free(stream->text);
    free(stream);
}

static ssize_t stream_read(void *cls, uint64_t at, char *out, size_t max)
{
    struct stream *stream = cls;
    if (at >= stream->fail_at) {
        return MHD_CONTENT_READER_END_WITH_ERROR;
    }
    if (at >= stream->size) {
        return MHD_CONTENT_READER_END_OF_STREAM;
    }
    size_t left = (stream->size < stream->fail_at ? stream->size : stream->fail_at) - (size_t)at;
    size_t count = left < max ? left : max;
    if (stream->text != NULL) {
        memcpy(out, stream->text + at, count);
    } else {
        for (size_t i = 0; i < count; i++) {
            out[i] = (at + i) % 2 == 1 ? (char)'0' : (char)',';
        }
        if (at == 0) {
            out[0] = '[';
        }
    }
    return (ssize_t)count;
}

static struct MHD_Response *stream_response(char *text, size_t size, size_t fail_at, uint64_t told)
{
    struct stream *stream = calloc(1, sizeof *stream);
    if (stream == NULL) {
        free(text);
        return NULL;
    }
    *stream = (struct stream){.text = text, .size = size, .fail_at = fail_at};
    return MHD_create_response_from_callback(told, STREAM_BLOCK, stream_read, stream, stream_free);
}

static char *garbage_new(void)
{
    char *garbage = malloc(GARBAGE_SIZE);
    uint32_t state = 12345;
    for (size_t i = 0; garbage != NULL && i < GARBAGE_SIZE; i++) {
        state = state * 1664525U + 1013904223U;
        garbage[i] = (char)(state >> 24);
    }
    return garbage;
}

/* Any other JSON than what the schema promises: what the fault says, or array for object. */
static void shape_spoil(struct exchange *ex)
{
    json_t *other = json_object_get(ex->fault, "wrong_shape");
    if (json_is_true(other)) {
        other = json_is_array(ex->reply.body) ? json_pack("{s:s}", "quantity", "many")
                                              : json_pack("[{s:s}]", "quantity", "many");
        reply_json(&ex->reply, ex->reply.status, other);
        return;
    }
    reply_json(&ex->reply, ex->reply.status, json_deep_copy(other));
}

static bool fault_is_html(const struct exchange *ex)
{
    int64_t status = fault_int(ex, "status");
    const json_t *html = json_object_get(ex->fault, "html");
    return html != NULL
               ? json_is_true(html)
               : (status == 502 || status == 504) && json_object_get(ex->fault, "id") == NULL;
}

static char *body_text(struct exchange *ex)
{
    if (fault_is_html(ex)) {
        return strdup("<!DOCTYPE html>\n<html><head><title>Error</title></head>"
                      "<body><h1>Application error</h1></body></html>\n");
    }
    if (fault_has(ex, "garbage_body")) {
        return garbage_new();
    }
    if (fault_has(ex, "empty_body") || ex->reply.body == NULL) {
        return strdup("");
    }
    if (fault_has(ex, "wrong_shape")) {
        shape_spoil(ex);
    }
    return json_dumps(ex->reply.body, JSON_COMPACT | JSON_ENCODE_ANY);
}

/* A tag over the content; 304 when the client has just that. */
static void etag_make(struct exchange *ex, const char *text)
{
    char id[UUID_SIZE];
    uuid_of("etag", text, id);
    snprintf(ex->etag, sizeof ex->etag, "\"%s\"", id);
    const char *theirs = ex->call.headers.if_none_match;
    if (theirs != NULL && strcmp(theirs, ex->etag) == 0 && ex->reply.status == 200 &&
        strcmp(ex->call.method, "GET") == 0) {
        ex->reply.status = 304;
    }
}

static struct MHD_Response *body_response(struct exchange *ex)
{
    if (fault_has(ex, "huge_body")) {
        int64_t mebibytes = fault_int(ex, "huge_body");
        size_t size = (size_t)(mebibytes > 0 ? mebibytes : HUGE_MEBIBYTES) * 1024 * 1024;
        return stream_response(NULL, size, SIZE_MAX, MHD_SIZE_UNKNOWN);
    }
    char *text = body_text(ex);
    if (text == NULL) {
        return NULL;
    }
    bool garbage = fault_has(ex, "garbage_body") && !fault_is_html(ex);
    size_t size = garbage ? GARBAGE_SIZE : strlen(text);
    if (fault_has(ex, "truncate_body")) {
        return stream_response(text, size, size / 2, size);
    }
    if (!garbage) {
        etag_make(ex, text);
    }
    size = ex->reply.status == 304 ? 0 : size;
    return MHD_create_response_from_buffer(size, text, MHD_RESPMEM_MUST_FREE);
}

static void fault_headers_add(const struct exchange *ex, struct MHD_Response *response)
{
    const char *name;
    json_t *value;
    json_object_foreach(json_object_get(ex->fault, "headers"), name, value)
    {
        MHD_del_response_header(response, name,
                                MHD_get_response_header(response, name) != NULL
                                    ? MHD_get_response_header(response, name)
                                    : "");
        if (json_is_string(value)) {
            MHD_add_response_header(response, name, json_string_value(value));
        }
    }
}

struct MHD_Response *answer_new(struct exchange *ex)
{
    struct MHD_Response *response = body_response(ex);
    if (response == NULL) {
        return NULL;
    }
    char number[24];
    snprintf(number, sizeof number, "%d", ex->remaining);
    MHD_add_response_header(response, "Content-Type",
                            fault_is_html(ex) ? "text/html; charset=utf-8" : "application/json");
    MHD_add_response_header(response, "Request-Id", ex->request_id);
    if (ex->remaining >= 0) {
        MHD_add_response_header(response, "RateLimit-Remaining", number);
    }
    if (ex->etag[0] != '\0') {
        MHD_add_response_header(response, "ETag", ex->etag);
    }
    if (ex->reply.ranged) {
        MHD_add_response_header(response, "Accept-Ranges", "id, name, updated_at");
    }
    if (ex->reply.content_range[0] != '\0') {
        MHD_add_response_header(response, "Content-Range", ex->reply.content_range);
    }
    if (ex->reply.next_range[0] != '\0') {
        MHD_add_response_header(response, "Next-Range", ex->reply.next_range);
    }
    fault_headers_add(ex, response);
    return response;
}
