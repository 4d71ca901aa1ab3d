#include "collector/google.h"

#include "collector/api.h"

#define SCOPE "https://www.googleapis.com/auth/analytics.readonly"
#define GRANT "urn:ietf:params:oauth:grant-type:jwt-bearer"
#define LASTS_S 3600 /* Google takes no longer one */
#define MINUTE_MS 60000

/* ---- the token ---- */

dyn_err google_token_form(const struct dyn_jwt_key *key, const char *email, const char *token_url,
                          int64_t wall_ms, struct dyn_buf *out)
{
    json_int_t now_s = (json_int_t)(wall_ms / 1000);
    json_t *claims = json_pack("{s:s, s:s, s:s, s:I, s:I}", "iss", email, "scope", SCOPE, "aud",
                               token_url, "iat", now_s, "exp", now_s + LASTS_S);
    char *text = claims != NULL ? json_dumps(claims, JSON_COMPACT) : NULL;
    json_decref(claims);
    if (text == NULL) {
        return DYN_NOMEM;
    }
    (void)dyn_buf_add_str(out, DYN_STR("grant_type="));
    api_encode(out, DYN_STR(GRANT));
    (void)dyn_buf_add_str(out, DYN_STR("&assertion="));
    dyn_err err = dyn_jwt_sign(key, dyn_str_from(text), out); /* its alphabet is that of URLs */
    free(text);
    return err;
}

/* A token becomes a header line: visible ASCII and nothing else. */
static bool token_good(const char *token, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (token[i] <= ' ' || token[i] > '~') {
            return false;
        }
    }
    return len > 0 && len <= GOOGLE_TOKEN_MAX;
}

dyn_err google_token_read(json_t *root, struct dyn_str *out_token, int64_t *out_lasts_s,
                          struct dyn_error *error)
{
    const json_t *token = json_object_get(root, "access_token");
    const json_t *lasts = json_object_get(root, "expires_in");
    double lasts_s = GOOGLE_TOKEN_DEFAULT_S;
    if (!json_is_string(token) ||
        !token_good(json_string_value(token), json_string_length(token))) {
        return dyn_error_set(error, DYN_BADMSG, "the answer holds no access token");
    }
    if (lasts != NULL && (dyn_json_number(lasts, true, &lasts_s, error) != DYN_OK || lasts_s < 1)) {
        return dyn_error_set(error, DYN_BADMSG, "the access token has no time left");
    }
    lasts_s = lasts_s > LASTS_S ? LASTS_S : lasts_s;
    *out_token = (struct dyn_str){json_string_value(token), json_string_length(token)};
    *out_lasts_s = lasts_s > 2 * GOOGLE_TOKEN_EARLY_S ? (int64_t)lasts_s - GOOGLE_TOKEN_EARLY_S
                                                      : (int64_t)(lasts_s / 2);
    return DYN_OK;
}

/* ---- reports ---- */

struct dyn_str google_report_body(void)
{
    return DYN_STR(
        "{\"metrics\":[{\"name\":\"activeUsers\"}],\"minuteRanges\":[{\"name\":\"last5\","
        "\"startMinutesAgo\":4,\"endMinutesAgo\":0}]}");
}

static bool kind_is(const json_t *root, const char *kind)
{
    const char *found = json_string_value(json_object_get(root, "kind"));
    return found != NULL && strcmp(found, kind) == 0;
}

/* Numbers are strings in both APIs. */
static dyn_err cell_read(const json_t *cell, double *out, struct dyn_error *error)
{
    if (!json_is_string(cell)) {
        return dyn_error_set(error, DYN_BADMSG, "the report's figure is no string");
    }
    return dyn_json_number(cell, true, out, error);
}

dyn_err google_report_read(json_t *root, double *out, struct dyn_error *error)
{
    const json_t *rows = json_object_get(root, "rows");
    const json_t *headers = json_object_get(root, "metricHeaders");
    if (!kind_is(root, "analyticsData#runRealtimeReport")) {
        return dyn_error_set(error, DYN_BADMSG, "the answer is no realtime report");
    }
    if (rows == NULL || (json_is_array(rows) && json_array_size(rows) == 0)) {
        *out = 0; /* nobody is there: proto3 leaves out what is empty */
        return DYN_OK;
    }
    if (json_array_size(rows) != 1) {
        return dyn_error_set(error, DYN_BADMSG, "the report has %zu rows; expected one",
                             json_array_size(rows));
    }
    const json_t *values = json_object_get(json_array_get(rows, 0), "metricValues");
    for (size_t i = 0; i < json_array_size(headers); i++) {
        const char *name = json_string_value(json_object_get(json_array_get(headers, i), "name"));
        if (name != NULL && strcmp(name, "activeUsers") == 0) {
            return cell_read(json_object_get(json_array_get(values, i), "value"), out, error);
        }
    }
    return dyn_error_set(error, DYN_BADMSG, "the report has no activeUsers");
}

dyn_err google_realtime_read(json_t *root, double *out, struct dyn_error *error)
{
    const json_t *rows = json_object_get(root, "rows");
    const json_t *total = json_object_get(root, "totalResults");
    if (!kind_is(root, "analytics#realtimeData") || !json_is_integer(total)) {
        return dyn_error_set(error, DYN_BADMSG, "the answer is no realtime data");
    }
    if (json_integer_value(total) == 0 && rows == NULL) {
        *out = 0;
        return DYN_OK;
    }
    const json_t *row = json_array_get(rows, 0);
    if (json_array_size(rows) != 1 || json_array_size(row) != 1) {
        return dyn_error_set(error, DYN_BADMSG, "the data has another shape than one figure");
    }
    return cell_read(json_array_get(row, 0), out, error);
}

/* ---- quotas ---- */

static bool text_has(json_t *root, const char *pointer, const char *part)
{
    const char *text = json_string_value(dyn_json_at(root, pointer, NULL));
    return text != NULL && strstr(text, part) != NULL;
}

int64_t google_quota_wait_ms(json_t *root)
{
    static const struct {
        const char *pointer;
        const char *part;
        int64_t wait_ms;
    } quotas[] = {
        {"/error/message", "concurrent requests", MINUTE_MS / 2},
        {"/error/message", "per day", 60LL * MINUTE_MS},
        {"/error/message", "per hour", 30LL * MINUTE_MS},
        {"/error/message", "thresholded", 30LL * MINUTE_MS},
        {"/error/errors/0/reason", "dailyLimitExceeded", 60LL * MINUTE_MS},
        {"/error/errors/0/reason", "quotaExceeded", 60LL * MINUTE_MS},
        {"/error/errors/0/reason", "ateLimitExceeded", MINUTE_MS}, /* of the user or not */
    };
    for (size_t i = 0; i < sizeof quotas / sizeof quotas[0]; i++) {
        if (text_has(root, quotas[i].pointer, quotas[i].part)) {
            return quotas[i].wait_ms;
        }
    }
    return 0;
}
