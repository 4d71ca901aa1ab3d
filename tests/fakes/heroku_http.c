#include "heroku_exchange.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define RECORDED_BODY_MAX 4096

/* ---- arrival ---- */

static const char *header(struct exchange *ex, const char *name)
{
    return MHD_lookup_connection_value(ex->connection, MHD_HEADER_KIND, name);
}

static void headers_read(struct exchange *ex)
{
    ex->call.headers = (struct headers){
        .accept = header(ex, "Accept"),
        .authorization = header(ex, "Authorization"),
        .content_type = header(ex, "Content-Type"),
        .user_agent = header(ex, "User-Agent"),
        .request_id = header(ex, "Request-Id"),
        .range = header(ex, "Range"),
        .expect = header(ex, "Expect"),
        .expansion = header(ex, "Accept-Expansion"),
        .if_none_match = header(ex, "If-None-Match"),
    };
    const char *override = header(ex, "X-Http-Method-Override");
    if (override != NULL && strcmp(ex->call.method, "POST") == 0 &&
        strcasecmp(override, "PATCH") == 0) {
        ex->call.method = "PATCH";
    }
}

static json_t *text_or_null(const char *text, size_t size)
{
    json_t *value = text != NULL ? json_stringn(text, size) : NULL;
    return value != NULL ? value : json_null();
}

static json_t *word_or_null(const char *text)
{
    return text_or_null(text, text != NULL ? strlen(text) : 0);
}

/* What is kept of the key: the last four characters, and how it was sent. */
static json_t *entry_new(const struct exchange *ex, const char *path, const struct app *app)
{
    const struct call *call = &ex->call;
    const struct headers *h = &call->headers;
    const char *auth = h->authorization;
    size_t scheme = auth != NULL ? strcspn(auth, " ") : 0;
    size_t length = auth != NULL ? strlen(auth) : 0;
    json_t *headers =
        json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "accept", word_or_null(h->accept),
                  "authorization", text_or_null(auth, scheme), "content-type",
                  word_or_null(h->content_type), "user-agent", word_or_null(h->user_agent),
                  "request-id", word_or_null(h->request_id), "range", word_or_null(h->range));
    size_t kept = call->text_size < RECORDED_BODY_MAX ? call->text_size : RECORDED_BODY_MAX;
    return json_pack("{s:I, s:s, s:o, s:o, s:o, s:o, s:o, s:i, s:o}", "time_ms",
                     (json_int_t)wall_now_ms(), "method", call->method, "path", word_or_null(path),
                     "app", word_or_null(app != NULL ? app->name : NULL), "account",
                     word_or_null(call->account != NULL ? call->account->email : NULL), "key",
                     word_or_null(length > scheme + 4 ? auth + length - 4 : NULL), "body",
                     text_or_null(call->text_size > 0 ? call->text : NULL, kept), "status", 0,
                     "headers", headers);
}

static void write_begin(struct exchange *ex, struct app *app)
{
    if (app == NULL || !call_is_write(&ex->call) || agent_is_cli(ex->call.headers.user_agent)) {
        return;
    }
    if (app->writes > 0) {
        record_violation(&ex->fake->record, ex->n, "write_overlap",
                         "%d writes to %s were in flight already", app->writes, app->name);
    }
    app->writes++;
    ex->counted = true;
}

static void request_id_make(struct exchange *ex)
{
    char own[UUID_SIZE];
    char number[24];
    const char *theirs = ex->call.headers.request_id;
    snprintf(number, sizeof number, "%llu", (unsigned long long)++ex->fake->ids);
    uuid_of("request", number, own);
    if (theirs != NULL) {
        snprintf(ex->request_id, sizeof ex->request_id, "%s,%.200s", own, theirs);
    } else {
        word_copy(ex->request_id, sizeof ex->request_id, own);
    }
}

static void exchange_begin(struct exchange *ex, const char *path)
{
    struct fake *fake = ex->fake;
    struct call *call = &ex->call;
    headers_read(ex);
    pthread_mutex_lock(&fake->lock);
    if (!call_path_set(call, path)) {
        call->part_count = 0;
    }
    call_account_find(call);
    struct app *app = call_app(call);
    ex->n = record_add(&fake->record, entry_new(ex, path, app));
    call->n = ex->n;
    request_id_make(ex);
    api_judge(call);
    write_begin(ex, app);
    ex->fault = faults_take(&fake->faults, call->method, path, app, call->account);
    if (ex->fault != NULL) {
        json_object_set(record_at(&fake->record, ex->n), "fault", ex->fault);
    }
    pthread_mutex_unlock(&fake->lock);
}

/* ---- the answer ---- */

static void retry_after_note(struct exchange *ex)
{
    const char *text =
        json_string_value(json_object_get(json_object_get(ex->fault, "headers"), "Retry-After"));
    long seconds = text != NULL ? strtol(text, NULL, 10) : 0;
    if (ex->reply.status == 429 && seconds > 0 && ex->call.account != NULL) {
        ex->call.account->limited_ms = wall_now_ms();
        ex->call.account->retry_ms = ex->call.account->limited_ms + seconds * 1000;
    }
}

static void exchange_apply(struct exchange *ex)
{
    struct fake *fake = ex->fake;
    pthread_mutex_lock(&fake->lock);
    bool refuse = fault_int(ex, "status") > 0;
    if (!refuse || fault_has(ex, "apply")) {
        ex->call.ignore = fault_has(ex, "accept_but_ignore");
        api_handle(&ex->call);
    }
    if (refuse) {
        answer_fault(ex);
    }
    ex->remaining = -1;
    if (ex->call.account != NULL) {
        ex->remaining = account_remaining(ex->call.account, world_now_ms(&fake->world));
    }
    if (ex->reply.status == 429) {
        ex->remaining = 0;
    }
    pthread_mutex_unlock(&fake->lock);
}

/* Before the answer leaves: a client that has it may write again at once. */
static void exchange_end(struct exchange *ex, unsigned status)
{
    struct fake *fake = ex->fake;
    pthread_mutex_lock(&fake->lock);
    retry_after_note(ex);
    json_t *entry = record_at(&fake->record, ex->n);
    if (entry != NULL) {
        json_object_set_new(entry, "status", json_integer(status));
        json_object_set_new(entry, "done_ms", json_integer(wall_now_ms()));
    }
    struct app *app = ex->counted ? call_app(&ex->call) : NULL;
    if (app != NULL && app->writes > 0) {
        app->writes--;
    }
    pthread_mutex_unlock(&fake->lock);
}

static enum MHD_Result exchange_send(struct exchange *ex)
{
    struct MHD_Response *response = answer_new(ex);
    if (response == NULL) {
        exchange_end(ex, 0);
        return MHD_NO;
    }
    unsigned status = ex->reply.status;
    exchange_end(ex, status);
    enum MHD_Result result = MHD_queue_response(ex->connection, status, response);
    MHD_destroy_response(response);
    return result;
}

/* Without an answer MHD closes the connection: what a dropped one looks like. */
static enum MHD_Result exchange_run(struct exchange *ex)
{
    fake_pause(ex->fake, fault_int(ex, "stall_ms"));
    if (fault_has(ex, "drop_before")) {
        exchange_end(ex, 0);
        return MHD_NO;
    }
    exchange_apply(ex);
    fake_pause(ex->fake, fault_int(ex, "stall_after_apply_ms"));
    if (fault_has(ex, "drop_after_apply")) {
        exchange_end(ex, 0);
        return MHD_NO;
    }
    return exchange_send(ex);
}

enum MHD_Result api_serve(void *cls, struct MHD_Connection *connection, const char *url,
                          const char *method, const char *version, const char *data, size_t *size,
                          void **state)
{
    (void)version;
    if (*state == NULL) {
        *state = calloc(1, sizeof(struct upload));
        return *state != NULL ? MHD_YES : MHD_NO;
    }
    struct upload *upload = *state;
    if (!upload_take(upload, data, size)) {
        return MHD_YES;
    }
    struct exchange ex = {.fake = cls, .connection = connection};
    ex.call.world = &ex.fake->world;
    ex.call.record = &ex.fake->record;
    ex.call.method = method;
    ex.call.text = upload->text != NULL ? upload->text : "";
    ex.call.text_size = upload->too_large ? 0 : upload->size;
    ex.call.reply = &ex.reply;
    exchange_begin(&ex, url);
    enum MHD_Result result = exchange_run(&ex);
    json_decref(ex.reply.body);
    json_decref(ex.fault);
    return result;
}
