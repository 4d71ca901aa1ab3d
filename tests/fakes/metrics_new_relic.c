/* New Relic's REST v2 metric data and NerdGraph, under /new_relic (US) and /new_relic_eu. */
#include "metrics_fake.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MINUTE_MS 60000
#define COMPLETE_MS 60000 /* agents report up to so long after a minute's end */

struct range {
    int64_t from_ms;
    int64_t to_ms;
};

static void refuse(struct reply *reply, unsigned status, const char *title, const char *message)
{
    json_t *error = json_pack("{s:s}", "title", title);
    if (message != NULL) {
        json_object_set_new(error, "messages", json_pack("[s]", message));
    }
    reply_json(reply, status, json_pack("{s:o}", "error", error));
}

/* ISO 8601 in UTC. */
static bool time_parse(const char *text, int64_t *out)
{
    struct tm tm = {0};
    const char *rest = text != NULL ? strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) : NULL;
    if (rest == NULL || (strcmp(rest, "Z") != 0 && strcmp(rest, "+00:00") != 0)) {
        return false;
    }
    *out = (int64_t)timegm(&tm) * 1000;
    return true;
}

static json_t *time_text(int64_t at_ms)
{
    char text[40];
    time_t seconds = (time_t)(at_ms / 1000);
    struct tm tm;
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S+00:00", gmtime_r(&seconds, &tm));
    return json_string(text);
}

/* What the key sent may do: "user", "rest", "ingest"; NULL: nothing here. */
static const char *key_kind(const struct ask *ask, const char *region)
{
    const char *user = ask_header(ask, "Api-Key");
    const char *rest = ask_header(ask, "X-Api-Key");
    const char *sent = user != NULL ? user : rest;
    const json_t *key =
        sent != NULL
            ? json_object_get(json_object_get(vendor_state(ask, "new_relic"), "keys"), sent)
            : NULL;
    const char *kind = json_string_value(json_object_get(key, "kind"));
    const char *home = json_string_value(json_object_get(key, "region"));
    if (user != NULL && rest != NULL) {
        violation(ask, "two_keys", "Api-Key and X-Api-Key");
    }
    if (kind == NULL || strcmp(home != NULL ? home : "us", region) != 0) {
        violation(ask, "bad_key", "%s", sent == NULL ? "none" : "unknown here");
        return NULL;
    }
    if ((strcmp(kind, "user") == 0) != (user != NULL)) {
        violation(ask, "wrong_key_header", "%s key", kind);
        return NULL;
    }
    return kind;
}

/* ---- REST ---- */

static json_t *slice_of(json_t *values, const char *wanted, int64_t from_ms, int64_t to_ms,
                        int64_t now_ms)
{
    /* What has not all been reported yet is less than it will be. */
    double share = to_ms > now_ms - COMPLETE_MS ? 0.5 : 1;
    json_t *shown = json_object();
    const char *name = NULL;
    json_t *value = NULL;
    json_object_foreach(values, name, value)
    {
        bool count = strcmp(name, "call_count") == 0;
        double number = fake_number(value, to_ms) * share;
        number *= count ? (double)(to_ms - from_ms) / MINUTE_MS : 1;
        if (wanted != NULL && strcmp(wanted, name) != 0) {
            continue;
        }
        json_object_set_new(shown, name,
                            fake_number_is(value) ? json_real(number) : json_incref(value));
    }
    return json_pack("{s:o, s:o, s:o}", "from", time_text(from_ms), "to", time_text(to_ms),
                     "values", shown);
}

static json_t *slices_of(json_t *metric, const char *value, struct range range, int64_t now_ms)
{
    json_t *slices = json_array();
    json_int_t slice_s = json_integer_value(json_object_get(metric, "slice_s"));
    int64_t step_ms = slice_s > 0 ? slice_s * 1000 : MINUTE_MS;
    if (slice_s < 0) {
        return slices; /* it has fallen silent */
    }
    for (int64_t at = range.from_ms / step_ms * step_ms; at + step_ms <= range.to_ms;
         at += step_ms) {
        json_array_append_new(
            slices, slice_of(json_object_get(metric, "values"), value, at, at + step_ms, now_ms));
    }
    return slices;
}

static bool range_read(const struct ask *ask, struct reply *reply, struct range *range)
{
    char *from = ask_param(ask, "from");
    char *to = ask_param(ask, "to");
    int64_t now_ms = fake_now_ms(ask->fake);
    bool good = false;
    range->to_ms = now_ms;
    range->from_ms = now_ms - (int64_t)30 * MINUTE_MS;
    if ((from != NULL && !time_parse(from, &range->from_ms)) ||
        (to != NULL && !time_parse(to, &range->to_ms))) {
        violation(ask, "bad_time", "%s to %s", from != NULL ? from : "", to != NULL ? to : "");
        refuse(reply, 422, "Invalid time", "cannot parse from or to");
    } else if (range->to_ms - range->from_ms < MINUTE_MS) {
        violation(ask, "short_range", "%lld ms", (long long)(range->to_ms - range->from_ms));
        refuse(reply, 422, "Invalid time range", "must be at least 60 seconds");
    } else {
        if (range->to_ms > now_ms + 5000) {
            violation(ask, "future", "asks for %lld ms ahead", (long long)(range->to_ms - now_ms));
        }
        good = true;
    }
    free(from);
    free(to);
    return good;
}

static void data_reply(const struct ask *ask, struct reply *reply, json_t *metrics)
{
    struct range range;
    char *name = ask_param(ask, "names[]");
    char *value = ask_param(ask, "values[]");
    if (name == NULL) {
        violation(ask, "no_name", "names[] is missing");
        refuse(reply, 422, "Missing parameter", "names[]");
    } else if (range_read(ask, reply, &range)) {
        json_t *metric = json_object_get(metrics, name);
        json_t *found = json_array();
        if (metric != NULL) {
            json_array_append_new(
                found, json_pack("{s:s, s:o}", "name", name, "timeslices",
                                 slices_of(metric, value, range, fake_now_ms(ask->fake))));
        }
        reply_json(
            reply, 200,
            json_pack("{s:{s:o, s:o, s:o, s:o, s:o}}", "metric_data", "from",
                      time_text(range.from_ms), "to", time_text(range.to_ms), "metrics_not_found",
                      metric == NULL ? json_pack("[s]", name) : json_array(), "metrics_found",
                      metric != NULL ? json_pack("[s]", name) : json_array(), "metrics", found));
    }
    free(name);
    free(value);
}

/* /v2/KIND/ID/metrics/data.json */
static void rest_serve(const struct ask *ask, struct reply *reply, const char *path,
                       const char *region)
{
    static const char *const known[] = {"names[]", "values[]",  "from", "to",
                                        "period",  "summarize", NULL};
    char kind[20] = "";
    char id[20] = "";
    int end = 0;
    const char *may = key_kind(ask, region);
    if (may == NULL) {
        refuse(reply, 401, "The API key provided is invalid", NULL);
        return;
    }
    if (strcmp(may, "ingest") == 0) {
        reply_text(reply, 403, "text/html", "<html>Sorry, an error on New Relic</html>");
        return;
    }
    if (strcmp(ask->method, "GET") != 0) {
        violation(ask, "bad_method", "%s", ask->method);
    }
    ask_params_judge(ask, known);
    if (sscanf(path, "/v2/%19[a-z]/%19[0-9]/metrics/data.json%n", kind, id, &end) != 2 ||
        path[end] != '\0' || end == 0) {
        refuse(reply, 404, "no such page", NULL);
        return;
    }
    json_t *metrics = json_object_get(json_object_get(vendor_state(ask, "new_relic"), kind), id);
    if (metrics == NULL) {
        refuse(reply, 404, "No Application found with id", id);
        return;
    }
    data_reply(ask, reply, metrics);
}

/* ---- NerdGraph ---- */

static void graph_refuse(struct reply *reply, unsigned status, const char *code,
                         const char *message)
{
    reply_json(reply, status,
               json_pack("{s:[{s:{s:s}, s:s}]}", "errors", "extensions", "error_code", code,
                         "message", message));
}

static void graph_answer(const struct ask *ask, struct reply *reply, json_t *body)
{
    const char *query = json_string_value(json_object_get(body, "query"));
    json_t *variables = json_object_get(body, "variables");
    json_t *id = json_object_get(variables, "id");
    const char *nrql = json_string_value(json_object_get(variables, "q"));
    char account[32];
    if (query == NULL || strstr(query, "nrql(query: $q)") == NULL || !json_is_integer(id) ||
        nrql == NULL) {
        violation(ask, "bad_body", "%.100s", query != NULL ? query : "no query");
        graph_refuse(reply, 400, "BAD_REQUEST", "cannot parse");
        return;
    }
    snprintf(account, sizeof account, "%lld", (long long)json_integer_value(id));
    json_t *queries =
        json_object_get(json_object_get(vendor_state(ask, "new_relic"), "accounts"), account);
    json_t *told = json_object_get(queries, nrql);
    if (queries == NULL) {
        reply_json(reply, 200,
                   json_pack("{s:{s:{s:n}}, s:[{s:s}]}", "data", "actor", "account", "errors",
                             "message", "Access denied."));
    } else if (json_is_string(told)) {
        reply_json(reply, 200,
                   json_pack("{s:{s:{s:{s:n}}}, s:[{s:O, s:{s:s}}]}", "data", "actor", "account",
                             "nrql", "errors", "message", told, "extensions", "errorClass",
                             "NRDB:1106924"));
    } else {
        reply_json(reply, 200,
                   json_pack("{s:{s:{s:{s:{s:o}}}}}", "data", "actor", "account", "nrql", "results",
                             told != NULL ? json_deep_copy(told) : json_array()));
    }
}

static void graph_serve(const struct ask *ask, struct reply *reply, const char *region)
{
    const char *type = ask_header(ask, "Content-Type");
    const char *may = key_kind(ask, region);
    json_t *body = json_loadb(ask->body, ask->body_size, JSON_REJECT_DUPLICATES, NULL);
    if (may == NULL || strcmp(may, "user") != 0) {
        graph_refuse(reply, 401, "BAD_API_KEY", "Bad API Key or no API Key provided");
    } else if (strcmp(ask->method, "POST") != 0 || type == NULL ||
               strncmp(type, "application/json", 16) != 0) {
        violation(ask, "bad_content_type", "%s %s", ask->method, type != NULL ? type : "none");
        graph_refuse(reply, 400, "BAD_REQUEST", "expected JSON by POST");
    } else {
        graph_answer(ask, reply, body);
    }
    json_decref(body);
}

bool new_relic_serve(struct ask *ask, struct reply *reply)
{
    static const char us[] = "/new_relic/";
    static const char eu[] = "/new_relic_eu/";
    bool european = strncmp(ask->path, eu, sizeof eu - 1) == 0;
    if (!european && strncmp(ask->path, us, sizeof us - 1) != 0) {
        return false;
    }
    const char *path = ask->path + (european ? sizeof eu : sizeof us) - 2;
    if (strcmp(path, "/graphql") == 0) {
        graph_serve(ask, reply, european ? "eu" : "us");
    } else {
        rest_serve(ask, reply, path, european ? "eu" : "us");
    }
    return true;
}
