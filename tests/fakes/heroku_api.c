#include "heroku_api.h"

#include "heroku_catalog.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define ACCEPT_FORM "application/vnd.heroku+json; version=3"
#define RETRY_GRACE_MS 250

void reply_json(struct reply *reply, unsigned status, json_t *body)
{
    json_decref(reply->body);
    reply->status = status;
    reply->body = body;
}

static const char *error_url(const char *id)
{
    if (strcmp(id, "rate_limit") == 0) {
        return "https://devcenter.heroku.com/articles/platform-api-reference#rate-limits";
    }
    if (strcmp(id, "cannot_run_above_limit") == 0 || strcmp(id, "cannot_update_above_limit") == 0) {
        return "https://devcenter.heroku.com/articles/dyno-size#default-scaling-limits";
    }
    return "https://devcenter.heroku.com/articles/platform-api-reference#errors";
}

void reply_error(struct reply *reply, unsigned status, const char *id, const char *format, ...)
{
    char message[WORDS_SIZE];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    json_t *body =
        json_pack("{s:s, s:s*, s:s}", "id", id, "message", message, "url", error_url(id));
    reply_json(reply, status, body);
}

bool fields_known(struct call *call, json_t *object, const char *const *known)
{
    if (!json_is_object(object)) {
        reply_error(call->reply, 422, "invalid_params", "Require params as an object.");
        return false;
    }
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value)
    {
        size_t i = 0;
        while (known[i] != NULL && strcmp(known[i], key) != 0) {
            i++;
        }
        if (known[i] == NULL) {
            record_violation(call->record, call->n, "unknown_field", "%.60s", key);
            reply_error(call->reply, 422, "invalid_params", "Unknown param: %.60s.", key);
            return false;
        }
    }
    return true;
}

/* ---- who asks ---- */

static int base64_digit(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c != '\0' ? strchr(digits, c) : NULL;
    return at != NULL ? (int)(at - digits) : -1;
}

/* The password of `base64(":" + password)`; false for any other user or form. */
static bool basic_password(const char *text, char *out, size_t size)
{
    unsigned bits = 0;
    int have = 0;
    size_t length = 0;
    for (; *text != '\0' && *text != '='; text++) {
        int digit = base64_digit(*text);
        if (digit < 0) {
            return false;
        }
        bits = (bits << 6 | (unsigned)digit) & 0xFFFFU;
        have += 6;
        if (have >= 8) {
            have -= 8;
            if (length + 1 >= size) {
                return false;
            }
            out[length++] = (char)(bits >> have & 0xFFU);
        }
    }
    out[length] = '\0';
    if (length == 0 || out[0] != ':') {
        return false;
    }
    memmove(out, out + 1, length);
    return true;
}

static bool key_read(const char *authorization, char *out, size_t size)
{
    if (authorization == NULL) {
        return false;
    }
    if (strncasecmp(authorization, "Bearer ", 7) == 0) {
        word_copy(out, size, authorization + 7);
        return *out != '\0';
    }
    return strncasecmp(authorization, "Basic ", 6) == 0 &&
           basic_password(authorization + 6, out, size);
}

void call_account_find(struct call *call)
{
    char key[WORDS_SIZE];
    if (key_read(call->headers.authorization, key, sizeof key)) {
        call->account = world_account_by_key(call->world, key, &call->scope);
    }
}

/* ---- the path ---- */

bool call_path_set(struct call *call, const char *path)
{
    if (strlen(path) >= sizeof call->path) {
        return false;
    }
    word_copy(call->path, sizeof call->path, path);
    char *state = NULL;
    for (char *part = strtok_r(call->path, "/", &state); part != NULL;
         part = strtok_r(NULL, "/", &state)) {
        if (call->part_count == PATH_PARTS_MAX) {
            return false;
        }
        call->parts[call->part_count++] = part;
    }
    return true;
}

struct app *call_app(const struct call *call)
{
    if (call->part_count < 2 || strcmp(call->parts[0], "apps") != 0) {
        return NULL;
    }
    return world_app(call->world, call->parts[1]);
}

bool call_is_write(const struct call *call)
{
    return call->part_count >= 2 && strcmp(call->parts[0], "apps") == 0 &&
           strcmp(call->method, "GET") != 0 && strcmp(call->method, "HEAD") != 0;
}

/* ---- judging the headers ---- */

static bool accept_good(const char *accept)
{
    size_t length = strlen(ACCEPT_FORM);
    return accept != NULL && strncmp(accept, ACCEPT_FORM, length) == 0 &&
           (accept[length] == '\0' || accept[length] == '.');
}

static bool content_type_good(const char *type)
{
    return type != NULL && strncasecmp(type, "application/json", 16) == 0 &&
           (type[16] == '\0' || type[16] == ';' || type[16] == ' ');
}

static bool method_has_body(const char *method)
{
    return strcmp(method, "PATCH") == 0 || strcmp(method, "POST") == 0 ||
           strcmp(method, "PUT") == 0;
}

/* `name/version`, as Heroku asks. */
static bool agent_good(const char *agent)
{
    size_t name = strcspn(agent, "/ ");
    return name > 0 && agent[name] == '/' && isalnum((unsigned char)agent[name + 1]);
}

static void header_violation(struct call *call, const char *rule, const char *value)
{
    record_violation(call->record, call->n, rule, "%.200s", value != NULL ? value : "(none)");
}

void api_judge(struct call *call)
{
    const struct headers *headers = &call->headers;
    char key[WORDS_SIZE];
    if (headers->user_agent == NULL || headers->user_agent[0] == '\0') {
        header_violation(call, "missing_user_agent", NULL);
    } else if (!agent_good(headers->user_agent)) {
        header_violation(call, "bad_user_agent", headers->user_agent);
    }
    if (!accept_good(headers->accept)) {
        header_violation(call, "bad_accept", headers->accept);
    }
    if (!key_read(headers->authorization, key, sizeof key)) {
        header_violation(call, "bad_authorization", headers->authorization != NULL ? "form" : NULL);
    }
    if (method_has_body(call->method) && !content_type_good(headers->content_type)) {
        header_violation(call, "bad_content_type", headers->content_type);
    }
    if (headers->expect != NULL) {
        header_violation(call, "expect_header", headers->expect);
    }
    const struct account *account = call->account;
    int64_t now = wall_now_ms();
    /* What was under way when the 429 left may still come in. */
    if (account != NULL && now < account->retry_ms && now > account->limited_ms + RETRY_GRACE_MS) {
        header_violation(call, "before_retry_after", account->email);
    }
}

/* ---- small handlers ---- */

static void account_info(struct call *call)
{
    reply_json(call->reply, 200, json_account(call->account));
}

static void rate_limits(struct call *call)
{
    int remaining = account_remaining(call->account, world_now_ms(call->world));
    reply_json(call->reply, 200, json_pack("{s:i}", "remaining", remaining));
}

static void apps_list(struct call *call)
{
    json_t *all = json_array();
    for (size_t i = 0; i < call->world->app_count; i++) {
        const struct app *app = call->world->apps[i];
        if (app_visible(app, call->account)) {
            json_array_append_new(all, json_app(call->world, app));
        }
    }
    list_reply(call, all);
}

static void user_apps_list(struct call *call)
{
    if (strcmp(call->parts[1], "~") != 0 &&
        world_account(call->world, call->parts[1]) != call->account) {
        reply_error(call->reply, 404, "not_found", "Couldn't find that user.");
        return;
    }
    apps_list(call);
}

static void app_info(struct call *call, struct app *app)
{
    reply_json(call->reply, 200, json_app(call->world, app));
}

static void app_monitors(struct call *call, struct app *app)
{
    /* Heroku's private metrics API takes the id, never the name. */
    if (strcmp(call->parts[1], app->id) != 0) {
        reply_error(call->reply, 404, "not_found", "Couldn't find that app.");
        return;
    }
    json_t *monitors = app->monitors != NULL ? json_deep_copy(app->monitors) : json_array();
    reply_json(call->reply, 200, monitors);
}

static void attachments_list(struct call *call)
{
    reply_json(call->reply, 200, json_array());
}

static void app_attachments_list(struct call *call, struct app *app)
{
    (void)app;
    attachments_list(call);
}

static void sizes_list(struct call *call)
{
    reply_json(call->reply, 200, json_dyno_sizes());
}

static void app_sizes_list(struct call *call, struct app *app)
{
    (void)app;
    sizes_list(call);
}

static void sizes_info(struct call *call)
{
    const struct dyno_size *size = dyno_size_find(call->parts[1]);
    if (size == NULL) {
        reply_error(call->reply, 404, "not_found", "Couldn't find that dyno size.");
        return;
    }
    json_t *all = json_dyno_sizes();
    reply_json(call->reply, 200, json_incref(json_array_get(all, (size_t)(size - DYNO_SIZES))));
    json_decref(all);
}

static void service_plans_info(struct call *call)
{
    plans_info(call, call->parts[3]);
}

static void plan_info(struct call *call)
{
    plans_info(call, call->parts[1]);
}

/* ---- routes ---- */

enum need {
    NEED_IDENTITY,
    NEED_READ,
    NEED_WRITE
};

struct route {
    const char *method;
    const char *pattern; /* `*` is any one part */
    enum need need;
    void (*plain)(struct call *call);
    void (*with_app)(struct call *call, struct app *app); /* the second part is an app */
};

static const struct route ROUTES[] = {
    {"GET", "account", NEED_IDENTITY, account_info, NULL},
    {"GET", "account/rate-limits", NEED_IDENTITY, rate_limits, NULL},
    {"GET", "apps", NEED_READ, apps_list, NULL},
    {"GET", "users/*/apps", NEED_READ, user_apps_list, NULL},
    {"GET", "apps/*", NEED_READ, NULL, app_info},
    {"GET", "apps/*/formation", NEED_READ, NULL, formation_list},
    {"PATCH", "apps/*/formation", NEED_WRITE, NULL, formation_update_batch},
    {"GET", "apps/*/formation/*", NEED_READ, NULL, formation_info},
    {"PATCH", "apps/*/formation/*", NEED_WRITE, NULL, formation_update_one},
    {"GET", "apps/*/formation/*/monitors", NEED_READ, NULL, app_monitors},
    {"GET", "apps/*/dynos", NEED_READ, NULL, formation_dynos},
    {"GET", "apps/*/available-dyno-sizes", NEED_READ, NULL, app_sizes_list},
    {"GET", "apps/*/addons", NEED_READ, NULL, addons_list},
    {"GET", "apps/*/addons/*", NEED_READ, NULL, addons_info},
    {"PATCH", "apps/*/addons/*", NEED_WRITE, NULL, addons_update},
    {"GET", "apps/*/addon-attachments", NEED_READ, NULL, app_attachments_list},
    {"GET", "addons", NEED_READ, addons_list_all, NULL},
    {"GET", "addons/*", NEED_READ, addons_info_any, NULL},
    {"GET", "addon-attachments", NEED_READ, attachments_list, NULL},
    {"POST", "actions/addons/resolve", NEED_READ, addons_resolve, NULL},
    {"GET", "addon-services/*/plans", NEED_READ, plans_list, NULL},
    {"GET", "addon-services/*/plans/*", NEED_READ, service_plans_info, NULL},
    {"GET", "plans/*", NEED_READ, plan_info, NULL},
    {"GET", "dyno-sizes", NEED_READ, sizes_list, NULL},
    {"GET", "dyno-sizes/*", NEED_READ, sizes_info, NULL},
};

static bool route_matches(const struct route *route, const struct call *call)
{
    if (strcmp(route->method, call->method) != 0) {
        return false;
    }
    const char *pattern = route->pattern;
    for (size_t i = 0; i < call->part_count; i++) {
        size_t length = strcspn(pattern, "/");
        bool any = length == 1 && *pattern == '*';
        if (length == 0 || (!any && (strncmp(pattern, call->parts[i], length) != 0 ||
                                     call->parts[i][length] != '\0'))) {
            return false;
        }
        pattern += length;
        pattern += *pattern == '/' ? 1 : 0;
    }
    return *pattern == '\0';
}

static const struct route *route_find(const struct call *call)
{
    for (size_t i = 0; i < sizeof ROUTES / sizeof ROUTES[0]; i++) {
        if (route_matches(&ROUTES[i], call)) {
            return &ROUTES[i];
        }
    }
    return NULL;
}

static bool scope_allows(const char *scope, enum need need)
{
    bool write = strcmp(scope, "global") == 0 || strcmp(scope, "write") == 0 ||
                 strcmp(scope, "write-protected") == 0;
    bool read = write || strcmp(scope, "read") == 0 || strcmp(scope, "read-protected") == 0;
    return need == NEED_IDENTITY || (need == NEED_READ && read) || write;
}

/* ---- the order in which Heroku refuses ---- */

static bool body_read(struct call *call)
{
    if (!method_has_body(call->method)) {
        return true;
    }
    if (!content_type_good(call->headers.content_type)) {
        reply_error(call->reply, 400, "bad_request", "Content-Type must be application/json.");
        return false;
    }
    call->body = json_loadb(call->text, call->text_size, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(call->body)) {
        record_violation(call->record, call->n, "bad_body", "not a JSON object");
        reply_error(call->reply, 400, "bad_request", "Unable to parse the request body as JSON.");
        return false;
    }
    return true;
}

static bool admitted(struct call *call, const struct route *route)
{
    if (call->account == NULL) {
        reply_error(call->reply, 401, "unauthorized", "Invalid credentials provided.");
        return false;
    }
    double cost = route != NULL && route->plain == rate_limits ? 0 : 1;
    if (!account_take(call->account, cost, world_now_ms(call->world))) {
        reply_error(call->reply, 429, "rate_limit",
                    "Your account reached the API rate limit\n"
                    "Please wait a few minutes before making new requests");
        return false;
    }
    if (!accept_good(call->headers.accept)) {
        reply_error(call->reply, 406, "not_acceptable",
                    "Accept must be application/vnd.heroku+json; version=3.");
        return false;
    }
    if (route == NULL) {
        record_violation(call->record, call->n, "unknown_endpoint", "%s", call->method);
        reply_error(call->reply, 404, "not_found", "The requested API endpoint was not found.");
        return false;
    }
    if (!scope_allows(call->scope, route->need)) {
        reply_error(call->reply, 403, "forbidden",
                    "The scope of this OAuth authorization does not allow this action.");
        return false;
    }
    return true;
}

static void route_run(struct call *call, const struct route *route)
{
    if (route->plain != NULL) {
        route->plain(call);
        return;
    }
    struct app *app = call_app(call);
    if (app == NULL) {
        reply_error(call->reply, 404, "not_found", "Couldn't find that app.");
        return;
    }
    if (!app_visible(app, call->account)) {
        reply_error(call->reply, 403, "forbidden", "You do not have access to the app %s.",
                    app->name);
        return;
    }
    route->with_app(call, app);
}

void api_handle(struct call *call)
{
    const struct route *route = route_find(call);
    if (admitted(call, route) && body_read(call)) {
        route_run(call, route);
    }
    json_decref(call->body);
    call->body = NULL;
}
