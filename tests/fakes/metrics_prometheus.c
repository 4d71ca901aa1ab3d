/* Prometheus' instant query, under /prometheus. */
#include "metrics_fake.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void error_reply(struct reply *reply, unsigned status, const char *type, const char *words)
{
    reply_json(reply, status,
               json_pack("{s:s, s:s, s:s}", "status", "error", "errorType", type, "error", words));
}

/* A number becomes what a query without labels yields; all else is told as it stands. */
static json_t *data_of(const struct ask *ask, json_t *told)
{
    char text[40];
    if (told == NULL) {
        return json_pack("{s:s, s:[]}", "resultType", "vector", "result");
    }
    if (!fake_number_is(told)) {
        return json_deep_copy(told);
    }
    snprintf(text, sizeof text, "%.17g", fake_number(told, fake_now_ms(ask->fake)));
    return json_pack("{s:s, s:[{s:{}, s:[f, s]}]}", "resultType", "vector", "result", "metric",
                     "value", (double)fake_now_ms(ask->fake) / 1000, text);
}

static bool duration_good(const char *text)
{
    char *end = NULL;
    double number = strtod(text, &end);
    return end != text && number > 0 &&
           (strcmp(end, "ms") == 0 || strcmp(end, "s") == 0 || strcmp(end, "m") == 0 ||
            *end == '\0');
}

static void query_serve(struct ask *ask, struct reply *reply, json_t *state)
{
    char *query = ask_param(ask, "query");
    char *timeout = ask_param(ask, "timeout");
    if (timeout != NULL && !duration_good(timeout)) {
        violation(ask, "bad_timeout", "%s", timeout);
        error_reply(reply, 400, "bad_data", "invalid parameter \"timeout\"");
    } else if (query == NULL || *query == '\0') {
        violation(ask, "no_query", "none");
        error_reply(reply, 400, "bad_data",
                    "invalid parameter \"query\": unknown position: parse error: no expression "
                    "found in input");
    } else if (strchr(query, '(') != NULL && strchr(query, ')') == NULL) {
        error_reply(reply, 400, "bad_data",
                    "invalid parameter \"query\": 1:5: parse error: unclosed left parenthesis");
    } else {
        json_t *told = json_object_get(json_object_get(state, "queries"), query);
        reply_json(reply, 200,
                   json_pack("{s:s, s:o}", "status", "success", "data", data_of(ask, told)));
    }
    free(query);
    free(timeout);
}

bool prometheus_serve(struct ask *ask, struct reply *reply)
{
    static const char *const known[] = {"query", "time", "timeout", NULL};
    if (strncmp(ask->path, "/prometheus/", 12) != 0) {
        return false;
    }
    json_t *state = vendor_state(ask, "prometheus");
    const char *wanted = json_string_value(json_object_get(state, "authorization"));
    const char *sent = ask_header(ask, "Authorization");
    if (strcmp(ask->path + 11, "/api/v1/query") != 0) {
        reply_text(reply, 404, "text/plain", "404 page not found");
    } else if (wanted != NULL && (sent == NULL || strcmp(wanted, sent) != 0)) {
        violation(ask, "bad_authorization", "%s", sent == NULL ? "none" : "another");
        reply_text(reply, 401, "text/html", "<html><body>401</body></html>");
    } else {
        ask_params_judge(ask, known);
        query_serve(ask, reply, state);
    }
    return true;
}
