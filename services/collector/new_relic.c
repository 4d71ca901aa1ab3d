#include "collector/new_relic.h"

#include "collector/api.h"
#include "common/clock.h"

#define MINUTE_MS 60000

void new_relic_base(const struct config_options *options, struct dyn_buf *out)
{
    const char *region = config_option(options, "region")->as.s;
    api_base(out, config_option(options, "api_url"),
             strcmp(region, "eu") == 0 ? "https://api.eu.newrelic.com"
                                       : "https://api.newrelic.com");
}

const char *new_relic_key_header(struct dyn_str key)
{
    return dyn_str_starts(key, "NRAK-") ? "Api-Key" : "X-Api-Key";
}

/* ---- REST ---- */

static void time_add(struct dyn_buf *out, const char *name, int64_t at_ms)
{
    char text[32];
    dyn_clock_format(at_ms, text, sizeof text);
    (void)dyn_buf_addf(out, "&%s=", name);
    api_encode(out, dyn_str_from(text));
}

void new_relic_metric_path(struct dyn_buf *out, const char *kind, const char *id,
                           const char *metric, const char *value, int64_t wall_ms)
{
    int64_t to_ms = (wall_ms - NEW_RELIC_LAG_MS) / MINUTE_MS * MINUTE_MS;
    (void)dyn_buf_addf(out, "/v2/%s/%s/metrics/data.json?names%%5B%%5D=", kind, id);
    api_encode(out, dyn_str_from(metric));
    (void)dyn_buf_addf(out, "&values%%5B%%5D=");
    api_encode(out, dyn_str_from(value));
    time_add(out, "from", to_ms - NEW_RELIC_RANGE_MS);
    time_add(out, "to", to_ms);
}

static bool time_at(const json_t *object, const char *key, int64_t *out)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL && dyn_clock_parse(dyn_str_from(text), out) == DYN_OK;
}

static const json_t *metric_find(json_t *root, const char *metric, struct dyn_error *error)
{
    const json_t *list = dyn_json_at(root, "/metric_data/metrics", NULL);
    if (!json_is_array(list)) {
        (void)dyn_error_set(error, DYN_BADMSG, "another shape than {\"metric_data\": ...}");
        return NULL;
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *found = json_array_get(list, i);
        const char *name = json_string_value(json_object_get(found, "name"));
        if (name != NULL && strcmp(name, metric) == 0) {
            return found;
        }
    }
    (void)dyn_error_set(error, DYN_NOTFOUND, "knows no metric %.80s of this id", metric);
    return NULL;
}

/* The newest slice that is complete; NULL, and words, when there is none of late. */
static const json_t *slice_find(const json_t *slices, int64_t wall_ms, struct dyn_error *error)
{
    const json_t *newest = NULL;
    int64_t newest_ms = INT64_MIN;
    for (size_t i = 0; i < json_array_size(slices); i++) {
        const json_t *slice = json_array_get(slices, i);
        int64_t to_ms = 0;
        if (time_at(slice, "to", &to_ms) && to_ms > newest_ms &&
            to_ms <= wall_ms - NEW_RELIC_LAG_MS) {
            newest = slice;
            newest_ms = to_ms;
        }
    }
    if (newest != NULL && newest_ms >= wall_ms - NEW_RELIC_AGE_MAX_MS) {
        return newest;
    }
    (void)dyn_error_set(error, DYN_NOTFOUND, "has no complete timeslice of the last %d min",
                        NEW_RELIC_AGE_MAX_MS / MINUTE_MS);
    return NULL;
}

dyn_err new_relic_metric_read(json_t *root, const char *metric, const char *value, int64_t wall_ms,
                              double *out, struct dyn_error *error)
{
    const json_t *found = metric_find(root, metric, error);
    const json_t *slice =
        found != NULL ? slice_find(json_object_get(found, "timeslices"), wall_ms, error) : NULL;
    int64_t from_ms = 0;
    int64_t to_ms = 0;
    double number = 0;
    if (slice == NULL) {
        return DYN_NOTFOUND;
    }
    dyn_err err = dyn_json_number(json_object_get(json_object_get(slice, "values"), value), false,
                                  &number, error);
    if (err != DYN_OK) {
        return err;
    }
    if (strcmp(value, "call_count") == 0) {
        bool timed = time_at(slice, "from", &from_ms) && time_at(slice, "to", &to_ms);
        if (!timed || to_ms <= from_ms) {
            return dyn_error_set(error, DYN_BADMSG, "a timeslice of no length");
        }
        number = number * MINUTE_MS / (double)(to_ms - from_ms);
    }
    *out = number;
    return DYN_OK;
}

/* ---- NerdGraph ---- */

dyn_err new_relic_nrql_body(struct dyn_buf *out, const char *account_id, const char *nrql)
{
    static const char query[] = "query($id: Int!, $q: Nrql!) { actor { account(id: $id) { "
                                "nrql(query: $q) { results } } } }";
    uint64_t id = 0;
    if (dyn_str_u64(dyn_str_from(account_id), &id) != DYN_OK || id > INT64_MAX) {
        return DYN_RANGE;
    }
    json_t *body = json_pack("{s:s, s:{s:I, s:s}}", "query", query, "variables", "id",
                             (json_int_t)id, "q", nrql);
    char *text = body != NULL ? json_dumps(body, JSON_COMPACT) : NULL;
    json_decref(body);
    if (text == NULL) {
        return DYN_NOMEM;
    }
    (void)dyn_buf_add_str(out, dyn_str_from(text));
    free(text);
    return dyn_buf_result(out);
}

static bool key_is_time(const char *key)
{
    return strcmp(key, "beginTimeSeconds") == 0 || strcmp(key, "endTimeSeconds") == 0 ||
           strcmp(key, "timestamp") == 0;
}

/* The one value of a row beside its times; a percentile is an object of one. NULL: none or more. */
static json_t *row_value(json_t *row)
{
    json_t *found = NULL;
    for (void *at = json_object_iter(row); at != NULL; at = json_object_iter_next(row, at)) {
        if (key_is_time(json_object_iter_key(at))) {
            continue;
        }
        if (found != NULL) {
            return NULL;
        }
        found = json_object_iter_value(at);
    }
    if (json_is_object(found) && json_object_size(found) == 1) {
        return row_value(found);
    }
    return found;
}

/* Of the rows of a TIMESERIES the newest that is complete; else the only one. */
static json_t *row_find(const json_t *rows, int64_t wall_ms, struct dyn_error *error)
{
    json_t *newest = NULL;
    double newest_s = 0;
    size_t count = json_array_size(rows);
    json_t *first = json_array_get(rows, 0);
    if (count == 1 && json_object_get(first, "endTimeSeconds") == NULL) {
        return first;
    }
    for (size_t i = 0; i < count; i++) {
        json_t *row = json_array_get(rows, i);
        double end_s = json_number_value(json_object_get(row, "endTimeSeconds"));
        if (end_s == newest_s && newest != NULL) {
            newest = NULL; /* of two groups, not of two times */
            break;
        }
        if (end_s > newest_s && end_s * 1000 <= (double)(wall_ms - NEW_RELIC_LAG_MS) &&
            end_s * 1000 >= (double)(wall_ms - NEW_RELIC_AGE_MAX_MS)) {
            newest = row;
            newest_s = end_s;
        }
    }
    if (newest == NULL) {
        (void)dyn_error_set(error, DYN_BADMSG,
                            "the query yields %zu rows; expected one number (no FACET), or a "
                            "TIMESERIES with a complete minute",
                            count);
    }
    return newest;
}

dyn_err new_relic_nrql_read(json_t *root, int64_t wall_ms, double *out, struct dyn_error *error)
{
    const json_t *errors = json_object_get(root, "errors");
    const json_t *rows = dyn_json_at(root, "/data/actor/account/nrql/results", NULL);
    if (json_array_size(errors) > 0) {
        return DYN_REFUSED;
    }
    if (!json_is_array(rows)) {
        return dyn_error_set(error, DYN_BADMSG, "another shape than {\"data\": {\"actor\": ...}}");
    }
    if (json_array_size(rows) == 0) {
        return dyn_error_set(error, DYN_NOTFOUND, "the query yields nothing");
    }
    json_t *row = row_find(rows, wall_ms, error);
    if (row == NULL) {
        return DYN_BADMSG;
    }
    const json_t *value = row_value(row);
    if (value == NULL) {
        return dyn_error_set(error, DYN_BADMSG, "a row of %zu values; expected one number",
                             json_object_size(row));
    }
    if (json_is_null(value)) {
        return dyn_error_set(error, DYN_NOTFOUND, "the query yields null");
    }
    return dyn_json_number(value, false, out, error);
}
