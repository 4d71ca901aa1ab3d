/* Librato's gauges and tagged measurements, and AppOptics': one bad entry refuses the whole post.
 */
#include "metrics_sinks.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MAX_BYTES 255
#define BATCH_MAX 1000
#define YEAR_S (365LL * 86400)

static bool is_allowed(struct ask *ask, json_t *state, bool appoptics)
{
    char *password = NULL;
    char *user = MHD_basic_auth_get_username_password(ask->connection, &password);
    const char *email = json_string_value(json_object_get(state, "email"));
    const char *token = json_string_value(json_object_get(state, "token"));
    bool right = user != NULL && password != NULL && token != NULL;
    if (right && appoptics) {
        right = strcmp(user, token) == 0 && password[0] == '\0';
    } else if (right) {
        right = email != NULL && strcmp(user, email) == 0 && strcmp(password, token) == 0;
    }
    MHD_free(user);
    MHD_free(password);
    return right;
}

static bool text_is_legal(const char *text, size_t max, const char *more)
{
    size_t len = text != NULL ? strlen(text) : 0;
    for (size_t i = 0; i < len; i++) {
        if (!isalnum((unsigned char)text[i]) && strchr(more, text[i]) == NULL) {
            return false;
        }
    }
    return len > 0 && len <= max;
}

static json_t *member_of(json_t *state, const char *name)
{
    json_t *member = json_object_get(state, name);
    if (member == NULL) {
        member = json_object();
        json_object_set_new(state, name, member);
    }
    return member;
}

static bool is_unwanted(json_t *state, const char *name)
{
    json_t *list = json_object_get(state, "refuse");
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (strcmp(json_string_value(json_array_get(list, i)), name) == 0) {
            return true;
        }
    }
    return false;
}

static void reply_params(struct reply *reply, const char *param, const char *words)
{
    reply_json(reply, 400,
               json_pack("{s:{s:{s:[s]}}, s:i}", "errors", "params", param, words, "request_time",
                         1458846729));
}

static bool tags_are_legal(json_t *tags)
{
    const char *name = NULL;
    json_t *value = NULL;
    json_object_foreach(tags, name, value)
    {
        if (!text_is_legal(name, 64, "-.:_") ||
            !text_is_legal(json_string_value(value), 255, "-.:_?\\/ ")) {
            return false;
        }
    }
    return json_object_size(tags) > 0;
}

/* False: refused, and said why. */
static bool entry_judge(const struct ask *ask, json_t *state, json_t *entry, bool tagged,
                        struct reply *reply)
{
    static const char *const of_gauge[] = {"name", "value", "measure_time", "source", NULL};
    static const char *const of_measurement[] = {"name", "value", "time", "tags", NULL};
    char words[400];
    const char *name = json_string_value(json_object_get(entry, "name"));
    json_t *time = json_object_get(entry, tagged ? "time" : "measure_time");
    json_t *value = json_object_get(entry, "value");
    json_int_t now_s = (json_int_t)(fake_now_ms(ask->fake) / 1000);
    members_judge(ask, entry, tagged ? of_measurement : of_gauge);
    if (!text_is_legal(name, NAME_MAX_BYTES, ".:_-") || is_unwanted(state, name)) {
        snprintf(words, sizeof words, "%.300s is not a valid metric name", name);
        reply_params(reply, "name", words);
        return false;
    }
    if (!json_is_number(value)) {
        reply_params(reply, "value", "is not a number");
        return false;
    }
    if (json_is_real(value) && json_real_value(value) == trunc(json_real_value(value))) {
        violation(ask, "whole_as_real", "%s", name);
    }
    if (time != NULL && (!json_is_integer(time) || json_integer_value(time) > now_s + 3600)) {
        reply_params(reply, "measure_time", "is too far in the future");
        return false;
    }
    if (time != NULL && json_integer_value(time) < now_s - YEAR_S) {
        reply_params(reply, "measure_time", "is too far in the past");
        return false;
    }
    if (tagged && !tags_are_legal(json_object_get(entry, "tags"))) {
        reply_params(reply, "tags", "is not present or not valid");
        return false;
    }
    return true;
}

static void entry_store(const struct ask *ask, json_t *state, json_t *entry, bool tagged)
{
    const char *name = json_string_value(json_object_get(entry, "name"));
    json_t *stored = member_of(state, "stored");
    json_t *counts = member_of(state, "counts");
    bool appoptics = strncmp(ask->path, "/appoptics/", 11) == 0;
    json_t *times = member_of(state, appoptics ? "appoptics_times" : "times");
    json_t *time = json_object_get(entry, tagged ? "time" : "measure_time");
    if (time != NULL && json_equal(json_object_get(times, name), time)) {
        violation(ask, "stored_twice", "%s", name);
    }
    json_object_set(times, name, time);
    json_object_set(stored, name, json_object_get(entry, "value"));
    json_object_set_new(counts, name,
                        json_integer(json_integer_value(json_object_get(counts, name)) + 1));
}

static void entries_take(struct ask *ask, json_t *state, bool tagged, struct reply *reply)
{
    json_t *body = json_loadb(ask->body, ask->body_size, JSON_REJECT_DUPLICATES, NULL);
    json_t *list = json_object_get(body, tagged ? "measurements" : "gauges");
    bool good = true;
    if (json_array_size(list) == 0) {
        violation(ask, "empty_post", "an error, and no way to say nothing");
        reply_json(reply, 400,
                   json_pack("{s:{s:[s]}}", "errors", "request", "Must contain a measurement"));
        json_decref(body);
        return;
    }
    if (json_array_size(list) > BATCH_MAX) {
        violation(ask, "too_many", "%zu", json_array_size(list));
    }
    for (size_t i = 0; i < json_array_size(list) && good; i++) {
        good = entry_judge(ask, state, json_array_get(list, i), tagged, reply);
    }
    for (size_t i = 0; i < json_array_size(list) && good; i++) {
        entry_store(ask, state, json_array_get(list, i), tagged);
    }
    if (good) {
        reply_text(reply, tagged ? 202 : 200, "application/json", "");
        reply_header(reply, "X-Librato-RateLimit-Std", "remaining=101");
    }
    json_decref(body);
}

bool librato_serve(struct ask *ask, struct reply *reply)
{
    bool appoptics = strncmp(ask->path, "/appoptics/v1/", 14) == 0;
    json_t *state = vendor_state(ask, "librato");
    if (!appoptics && strncmp(ask->path, "/librato/v1/", 12) != 0) {
        return false;
    }
    const char *what = strrchr(ask->path, '/') + 1;
    bool tagged = strcmp(what, "measurements") == 0;
    bool typed = post_judge(ask, "application/json");
    if (!is_allowed(ask, state, appoptics)) {
        violation(ask, "bad_authorization", "user or password");
        reply_text(reply, 401, "text/plain", "Credentials are required to access this resource.");
    } else if (!tagged && (appoptics || strcmp(what, "metrics") != 0)) {
        violation(ask, "unknown_path", "%s", ask->path);
        reply_json(reply, 404, json_pack("{s:{s:[s]}}", "errors", "request", "Not Found"));
    } else if (!typed) {
        reply_json(reply, 415, json_pack("{s:{s:[s]}}", "errors", "request", "not JSON"));
    } else {
        entries_take(ask, state, tagged, reply);
    }
    return true;
}
