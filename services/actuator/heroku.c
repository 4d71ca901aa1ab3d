#include "actuator/heroku.h"
#include "common/clock.h"

#include <stdlib.h>

#define URL_MAX 2048
#define BODY_MAX (DYN_NAME_MAX + 32)
#define REQUEST_ID_MAX 160
#define KEY_HEADER "Authorization: Bearer "

/* One request, from heroku_send() until its answer. */
struct call {
    struct heroku *heroku;
    struct call *next;
    struct call *prev;
    struct http_transfer *transfer; /* NULL: it could not start */
    enum act_request_kind kind;
    uint64_t token;
    int64_t deadline;
    char process_type[DYN_NAME_MAX + 1];
    char request_id[REQUEST_ID_MAX];
    struct dyn_buf key;     /* the header that it was sent with; wiped with the call */
    struct dyn_error error; /* why it could not start */
};

struct heroku {
    struct heroku_options options;
    struct http_client *http;
    struct dyn_timer *failed; /* answers what could not start */
    struct heroku_answer_store *store;
    struct call *calls;
    uint64_t requests;
    bool closing;
};

static void call_link(struct call *call)
{
    struct heroku *heroku = call->heroku;
    call->next = heroku->calls;
    if (heroku->calls != NULL) {
        heroku->calls->prev = call;
    }
    heroku->calls = call;
}

static void call_unlink(struct heroku *heroku, struct call *call)
{
    if (call->prev != NULL) {
        call->prev->next = call->next;
    } else {
        heroku->calls = call->next;
    }
    if (call->next != NULL) {
        call->next->prev = call->prev;
    }
}

static void call_free(struct call *call)
{
    dyn_buf_wipe(&call->key);
    free(call);
}

static void call_finish(struct call *call, const struct heroku_reply *reply)
{
    struct heroku *heroku = call->heroku;
    call_unlink(heroku, call);
    if (!heroku->closing) {
        struct act_answer answer;
        heroku_read_answer(heroku->store, call->kind, call->process_type, reply,
                           dyn_clock_wall_ms(), &answer);
        heroku->options.answered(heroku->options.arg, call->token, &answer);
    }
    call_free(call);
}

static struct dyn_str key_sent(const struct call *call)
{
    struct dyn_str header = dyn_buf_str(&call->key);
    size_t before = sizeof KEY_HEADER - 1;
    return header.len > before ? (struct dyn_str){header.ptr + before, header.len - before}
                               : DYN_STR("");
}

static void on_done(void *arg, const struct http_answer *answer)
{
    struct call *call = arg;
    struct heroku_reply reply = {
        .err = answer->err,
        .sent = answer->sent,
        .error = answer->error,
        .status = answer->status,
        .body = answer->body,
        .remaining = http_header(answer, "RateLimit-Remaining"),
        .retry_after = http_header(answer, "Retry-After"),
        .request_id = http_header(answer, "Request-Id"),
        .key = key_sent(call),
    };
    if (reply.request_id.len == 0) {
        reply.request_id = dyn_str_from(call->request_id);
    }
    call_finish(call, &reply);
}

/* The last look before a write leaves: a process that was stopped meanwhile sends nothing. */
static bool before_send(void *arg)
{
    const struct call *call = arg;
    const struct heroku_options *options = &call->heroku->options;
    return dyn_clock_boot_ms() < call->deadline && options->may_write(options->arg, call->token);
}

static void on_failed(void *arg)
{
    struct heroku *heroku = arg;
    struct call *call = heroku->calls;
    while (call != NULL) {
        struct call *next = call->next;
        if (call->transfer == NULL) {
            struct heroku_reply reply = {.err = DYN_REFUSED, .error = call->error.text};
            call_finish(call, &reply);
        }
        call = next;
    }
}

struct heroku *heroku_new(struct dyn_loop *loop, const struct heroku_options *options)
{
    struct heroku *heroku = calloc(1, sizeof *heroku);
    if (heroku == NULL) {
        return NULL;
    }
    heroku->options = *options;
    heroku->http = http_client_new(loop, &(struct http_client_options){0});
    heroku->failed = dyn_timer_new(loop, on_failed, heroku);
    heroku->store = heroku_answer_store_new();
    if (heroku->http == NULL || heroku->failed == NULL || heroku->store == NULL) {
        heroku_free(heroku);
        return NULL;
    }
    return heroku;
}

void heroku_free(struct heroku *heroku)
{
    if (heroku == NULL) {
        return;
    }
    heroku->closing = true;
    struct call *call = heroku->calls;
    while (call != NULL) {
        struct call *next = call->next;
        if (call->transfer != NULL) {
            http_cancel(call->transfer);
        } else {
            call_unlink(heroku, call);
            call_free(call);
        }
        call = next;
    }
    /* Every cancelled transfer is delivered by this, and frees its call. */
    http_client_free(heroku->http);
    dyn_timer_free(heroku->failed);
    heroku_answer_store_free(heroku->store);
    free(heroku);
}

/* ---- sending ---- */

static dyn_err key_header(const struct config_account *account, struct dyn_buf *out,
                          struct dyn_error *error)
{
    struct dyn_buf key;
    dyn_buf_init(&key, DYN_SECRET_MAX);
    dyn_err err = config_secret_resolve(&account->heroku_api_key, &key, error);
    struct dyn_str trimmed = dyn_str_trim(dyn_buf_str(&key));
    if (err == DYN_OK && !heroku_key_ok(trimmed)) {
        err = dyn_error_set(error, DYN_BADMSG,
                            "heroku_api_key of account %s is empty or has characters that no key "
                            "has: set it to what `heroku authorizations:create` printed",
                            account->name);
    }
    if (err == DYN_OK) {
        (void)dyn_buf_add_str(out, DYN_STR(KEY_HEADER));
        err = dyn_buf_add_str(out, trimmed);
    }
    dyn_buf_wipe(&key);
    return err;
}

dyn_err heroku_key_check(const struct config_account *account, struct dyn_error *error)
{
    struct dyn_buf header;
    dyn_buf_init(&header, DYN_SECRET_MAX + 64);
    dyn_err err = key_header(account, &header, error);
    dyn_buf_wipe(&header);
    return err;
}

static dyn_err url_make(struct dyn_buf *out, const char *base, const struct act_request *request)
{
    struct dyn_str root = dyn_str_from(base);
    while (root.len > 0 && root.ptr[root.len - 1] == '/') {
        root.len--;
    }
    (void)dyn_buf_add_str(out, root);
    return heroku_path(out, request);
}

static dyn_err start(struct call *call, const char *base, const struct config_account *account,
                     const struct act_request *request)
{
    struct dyn_buf url;
    char body[BODY_MAX] = "";
    char id[REQUEST_ID_MAX + 16];
    dyn_buf_init(&url, URL_MAX);
    (void)snprintf(id, sizeof id, "Request-Id: %s", call->request_id);
    dyn_err err = key_header(account, &call->key, &call->error);
    if (err == DYN_OK && url_make(&url, base, request) != DYN_OK) {
        err = dyn_error_set(&call->error, DYN_BADMSG, "no URL can be made of these names");
    }
    if (err == DYN_OK) {
        bool write = act_is_write(request->kind);
        const char *headers[] = {"Accept: application/vnd.heroku+json; version=3",
                                 dyn_buf_text(&call->key), id, "Content-Type: application/json"};
        if (request->kind == ACT_WRITE) {
            (void)snprintf(body, sizeof body, "{\"quantity\":%d}", (int)request->quantity);
        } else if (request->kind == ACT_WRITE_PLAN) {
            /* The configuration takes no plan whose name would need escapes. */
            (void)snprintf(body, sizeof body, "{\"plan\":\"%s\"}", request->plan);
        }
        struct http_request sent = {
            .method = write ? "PATCH" : "GET",
            .url = dyn_buf_text(&url),
            .headers = headers,
            .headers_count = write ? 4 : 3,
            .body = write ? dyn_str_from(body) : (struct dyn_str){NULL, 0},
            .body_max = (size_t)DYN_HEROKU_BODY_MAX,
            .before_send = write ? before_send : NULL,
            .done = on_done,
            .arg = call,
        };
        err = http_start(call->heroku->http, &sent, &call->transfer, &call->error);
    }
    dyn_buf_fini(&url);
    return err;
}

void heroku_send(struct heroku *heroku, const char *base, const struct config_account *account,
                 const struct act_request *request, int64_t deadline_boot_ms)
{
    struct call *call = calloc(1, sizeof *call);
    if (call == NULL) {
        dyn_out_of_memory("a request to Heroku"); /* whose answer is owed; a start settles all */
    }
    call->heroku = heroku;
    call->kind = request->kind;
    call->token = request->token;
    call->deadline = deadline_boot_ms;
    dyn_str_copy(call->process_type, sizeof call->process_type,
                 dyn_str_from(request->process_type));
    (void)snprintf(call->request_id, sizeof call->request_id, "%.100s-%llu",
                   heroku->options.instance, (unsigned long long)++heroku->requests);
    dyn_buf_init(&call->key, DYN_SECRET_MAX + 64);
    call_link(call);
    if (start(call, base, account, request) != DYN_OK) {
        call->transfer = NULL;
        dyn_timer_start(heroku->failed, 0, 0);
    }
}
