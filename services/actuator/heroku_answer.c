#include "actuator/heroku.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/redact.h"

#define WORDS_MAX 160

struct heroku_answer_store {
    json_t *root;
    char words[WORDS_MAX];
    struct act_formation formations[HEROKU_FORMATIONS_MAX];
    struct act_addon addons[HEROKU_ADDONS_MAX];
};

struct heroku_answer_store *heroku_answer_store_new(void)
{
    return calloc(1, sizeof(struct heroku_answer_store));
}

void heroku_answer_store_free(struct heroku_answer_store *store)
{
    if (store != NULL) {
        json_decref(store->root);
        free(store);
    }
}

/* ---- words ---- */

static void words_set(struct heroku_answer_store *store, const struct heroku_reply *reply,
                      struct dyn_str text)
{
    redact(store->words, sizeof store->words, text, &reply->key, 1);
}

static struct dyn_str member_text(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_string(value)) {
        return DYN_STR("");
    }
    return (struct dyn_str){json_string_value(value), json_string_length(value)};
}

static void words_of_error(struct heroku_answer_store *store, const struct heroku_reply *reply)
{
    char text[2 * WORDS_MAX];
    struct dyn_str id = member_text(store->root, "id");
    struct dyn_str message = member_text(store->root, "message");
    if (id.len == 0 && message.len == 0) {
        (void)snprintf(text, sizeof text, "HTTP %ld without words", reply->status);
    } else {
        id.len = id.len < 64 ? id.len : 64;
        message.len = message.len < WORDS_MAX ? message.len : WORDS_MAX;
        (void)snprintf(text, sizeof text, DYN_STR_FMT ": " DYN_STR_FMT, DYN_STR_ARG(id),
                       DYN_STR_ARG(message));
    }
    words_set(store, reply, dyn_str_from(text));
}

/* ---- bodies ---- */

static bool whole_number(const json_t *value, int64_t max, int64_t *out)
{
    if (!json_is_integer(value)) {
        return false;
    }
    int64_t number = (int64_t)json_integer_value(value);
    if (number < 0 || number > max) {
        return false;
    }
    *out = number;
    return true;
}

static bool read_formations(struct heroku_answer_store *store, struct act_answer *out)
{
    size_t count = json_array_size(store->root);
    if (!json_is_array(store->root) || count > HEROKU_FORMATIONS_MAX) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        const json_t *item = json_array_get(store->root, i);
        struct dyn_str type = member_text(item, "type");
        int64_t quantity;
        if (type.len == 0 || type.len > DYN_NAME_MAX ||
            !whole_number(json_object_get(item, "quantity"), HEROKU_QUANTITY_MAX, &quantity)) {
            return false;
        }
        store->formations[i] = (struct act_formation){type, (int32_t)quantity};
    }
    out->formations = store->formations;
    out->formations_count = count;
    return true;
}

static struct dyn_str member_of(const json_t *object, const char *key, const char *member)
{
    return member_text(json_object_get(object, key), member);
}

static bool name_ok(struct dyn_str name, size_t max)
{
    return name.len > 0 && name.len <= max;
}

/* A state that is none of ours is taken for one of change: nothing is asked for then. */
static bool read_addon(const json_t *item, struct act_addon *out)
{
    struct dyn_str state = member_text(item, "state");
    *out = (struct act_addon){
        .service = member_of(item, "addon_service", "name"),
        .id = member_text(item, "id"),
        .name = member_text(item, "name"),
        .plan = member_of(item, "plan", "name"),
        .provisioning = !dyn_str_is(state, "provisioned"),
        .leaving = dyn_str_is(state, "deprovisioned"),
    };
    return name_ok(out->service, DYN_NAME_MAX) && name_ok(out->id, HEROKU_ID_MAX) &&
           name_ok(out->name, DYN_NAME_MAX) && name_ok(out->plan, DYN_NAME_MAX) && state.len > 0;
}

static bool read_addons(struct heroku_answer_store *store, struct act_answer *out)
{
    size_t count = json_array_size(store->root);
    if (!json_is_array(store->root) || count > HEROKU_ADDONS_MAX) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (!read_addon(json_array_get(store->root, i), &store->addons[i])) {
            return false;
        }
    }
    out->addons = store->addons;
    out->addons_count = count;
    return true;
}

/* One add-on; one of another service is none to us. */
static bool read_changed(struct heroku_answer_store *store, const char *service,
                         struct act_answer *out)
{
    if (!read_addon(store->root, &store->addons[0]) ||
        !dyn_str_is(store->addons[0].service, service)) {
        return false;
    }
    out->addons = store->addons;
    out->addons_count = 1;
    return true;
}

/* One formation; an answer about another process type is none to us. */
static bool read_written(const struct heroku_answer_store *store, const char *process_type,
                         struct act_answer *out)
{
    int64_t quantity;
    if (!dyn_str_is(member_text(store->root, "type"), process_type) ||
        !whole_number(json_object_get(store->root, "quantity"), HEROKU_QUANTITY_MAX, &quantity)) {
        return false;
    }
    out->quantity = (int32_t)quantity;
    return true;
}

static bool read_body(struct heroku_answer_store *store, enum act_request_kind kind,
                      const char *process_type, struct act_answer *out)
{
    switch (kind) {
    case ACT_READ_FORMATION:
        return read_formations(store, out);
    case ACT_READ_APP:
        out->maintenance = json_is_true(json_object_get(store->root, "maintenance"));
        return json_is_boolean(json_object_get(store->root, "maintenance"));
    case ACT_READ_ACCOUNT:
        out->identity = member_text(store->root, "id");
        return out->identity.len > 0 && out->identity.len < 64;
    case ACT_READ_LIMITS:
        return whole_number(json_object_get(store->root, "remaining"), INT64_MAX, &out->remaining);
    case ACT_READ_ADDONS:
        return read_addons(store, out);
    case ACT_WRITE:
        return read_written(store, process_type, out);
    case ACT_WRITE_PLAN:
        return read_changed(store, process_type, out);
    }
    return false;
}

/* ---- the class ---- */

static enum act_class class_of_refusal(const struct heroku_answer_store *store, long status,
                                       struct act_answer *out)
{
    int64_t limit;
    switch (status) {
    case 401:
    case 402:
        return ACT_ACCOUNT_BAD;
    case 403:
        return dyn_str_is(member_text(store->root, "id"), "suspended") ? ACT_ACCOUNT_BAD
                                                                       : ACT_FORBIDDEN;
    case 404:
        return ACT_FORBIDDEN;
    case 408:
        return ACT_UNCERTAIN;
    case 409:
        return ACT_CONFLICT;
    case 422:
        if (whole_number(json_object_get(store->root, "limit"), HEROKU_QUANTITY_MAX, &limit)) {
            out->limit = (int32_t)limit;
            return ACT_LIMIT;
        }
        return ACT_REFUSED;
    case 429:
        return ACT_RATE_LIMITED;
    default:
        return status >= 300 && status < 500 ? ACT_REFUSED : ACT_UNCERTAIN;
    }
}

static void read_headers(const struct heroku_reply *reply, int64_t now_wall_ms,
                         struct act_answer *out)
{
    int64_t number;
    if (dyn_str_i64(dyn_str_trim(reply->remaining), &number) == DYN_OK && number >= 0) {
        out->remaining = number;
    }
    if (reply->retry_after.ptr != NULL &&
        http_retry_after(reply->retry_after, now_wall_ms, HEROKU_RETRY_AFTER_MAX_S, &number) ==
            DYN_OK) {
        out->retry_after_ms = number * 1000;
    }
    out->request_id = reply->request_id;
    if (out->request_id.len > DYN_NAME_MAX) {
        out->request_id.len = DYN_NAME_MAX;
    }
}

void heroku_read_answer(struct heroku_answer_store *store, enum act_request_kind kind,
                        const char *process_type, const struct heroku_reply *reply,
                        int64_t now_wall_ms, struct act_answer *out)
{
    *out = (struct act_answer){
        .remaining = -1,
        .retry_after_ms = -1,
        .limit = -1,
        .words = DYN_STR(""),
        .request_id = DYN_STR(""),
        .identity = DYN_STR(""),
    };
    json_decref(store->root);
    store->root = NULL;
    if (reply->err != DYN_OK) {
        out->class = reply->sent ? ACT_UNCERTAIN : ACT_NOT_SENT;
        words_set(store, reply, dyn_str_from(reply->error));
        out->words = dyn_str_from(store->words);
        return;
    }
    out->status = (int32_t)reply->status;
    read_headers(reply, now_wall_ms, out);
    /* A proxy in front answers in HTML: then the status alone counts. */
    store->root = dyn_json_parse(reply->body, NULL);
    if (reply->status < 200 || reply->status > 299) {
        out->class = class_of_refusal(store, reply->status, out);
        words_of_error(store, reply);
        out->words = dyn_str_from(store->words);
        return;
    }
    /* 206 is a part of a list: not the whole truth. */
    if (reply->status == 206 || !read_body(store, kind, process_type, out)) {
        out->class = ACT_UNCERTAIN;
        out->words = DYN_STR("Heroku's answer does not hold what it must");
    }
}

/* ---- paths and keys ---- */

static dyn_err path_part(struct dyn_buf *out, const char *name)
{
    size_t len = strlen(name);
    if (len == 0 || len > DYN_NAME_MAX || strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
        return DYN_BADMSG;
    }
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)name[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '-' || c == '_' || c == '.';
        (void)(plain ? dyn_buf_add(out, &c, 1) : dyn_buf_addf(out, "%%%02X", c));
    }
    return dyn_buf_result(out);
}

dyn_err heroku_path(struct dyn_buf *out, const struct act_request *request)
{
    if (request->kind == ACT_READ_ACCOUNT) {
        return dyn_buf_addf(out, "/account");
    }
    if (request->kind == ACT_READ_LIMITS) {
        return dyn_buf_addf(out, "/account/rate-limits");
    }
    DYN_ASSERT(request->app != NULL);
    (void)dyn_buf_addf(out, "/apps/");
    dyn_err err = path_part(out, request->app);
    bool addons = request->kind == ACT_READ_ADDONS || request->kind == ACT_WRITE_PLAN;
    if (err == DYN_OK && request->kind != ACT_READ_APP) {
        err = dyn_buf_addf(out, "%s", addons ? "/addons" : "/formation");
    }
    if (err == DYN_OK && request->kind == ACT_WRITE_PLAN) {
        DYN_ASSERT(request->addon != NULL);
        (void)dyn_buf_addf(out, "/");
        err = path_part(out, request->addon);
    }
    if (err == DYN_OK && request->kind == ACT_WRITE) {
        DYN_ASSERT(request->process_type != NULL);
        (void)dyn_buf_addf(out, "/");
        err = path_part(out, request->process_type);
    }
    return err;
}

bool heroku_key_ok(struct dyn_str key)
{
    for (size_t i = 0; i < key.len; i++) {
        if (key.ptr[i] <= ' ' || key.ptr[i] > '~') {
            return false;
        }
    }
    return key.len > 0;
}
