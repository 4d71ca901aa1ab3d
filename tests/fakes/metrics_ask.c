/* A request looked into, an answer made, a breach noted. */
#include "metrics_fake.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define VIOLATIONS_MAX 1000

json_t *vendor_state(const struct ask *ask, const char *vendor)
{
    json_t *state = json_object_get(ask->fake->state, vendor);
    if (!json_is_object(state)) {
        state = json_object();
        json_object_set_new(ask->fake->state, vendor, state);
    }
    return state;
}

const char *ask_header(const struct ask *ask, const char *name)
{
    return MHD_lookup_connection_value(ask->connection, MHD_HEADER_KIND, name);
}

static int hex(char c)
{
    const char *digits = "0123456789abcdef";
    const char *at = c != '\0' ? strchr(digits, c | 0x20) : NULL;
    return at != NULL ? (int)(at - digits) : -1;
}

static char *decoded(const char *text, size_t len)
{
    char *out = calloc(1, len + 1);
    size_t size = 0;
    for (size_t i = 0; out != NULL && i < len; i++) {
        if (text[i] == '%' && i + 2 < len && hex(text[i + 1]) >= 0 && hex(text[i + 2]) >= 0) {
            out[size++] = (char)(hex(text[i + 1]) * 16 + hex(text[i + 2]));
            i += 2;
        } else {
            out[size++] = (char)(text[i] == '+' ? ' ' : text[i]);
        }
    }
    return out;
}

static const char *query_of(const struct ask *ask)
{
    const char *mark = strchr(ask->uri, '?');
    return mark != NULL ? mark + 1 : "";
}

static char *param_in(const char *text, const char *name)
{
    size_t len = strlen(name);
    for (const char *at = text; *at != '\0';) {
        size_t size = strcspn(at, "&");
        char *key = decoded(at, strcspn(at, "=&"));
        bool same = key != NULL && strlen(key) == len && strcmp(key, name) == 0;
        size_t key_size = strcspn(at, "=&");
        free(key);
        if (same) {
            size_t skip = key_size < size ? key_size + 1 : key_size;
            return decoded(at + skip, size - skip);
        }
        at += size;
        at += *at == '&' ? 1 : 0;
    }
    return NULL;
}

char *ask_param(const struct ask *ask, const char *name)
{
    const char *type = ask_header(ask, "Content-Type");
    char *value = param_in(query_of(ask), name);
    if (value == NULL && type != NULL &&
        strncmp(type, "application/x-www-form-urlencoded", 33) == 0) {
        value = param_in(ask->body, name);
    }
    return value;
}

void ask_params_judge(const struct ask *ask, const char *const *known)
{
    const char *query = query_of(ask);
    size_t bad = strcspn(query, "[]{}\"<>^`|\\ ");
    if (query[bad] != '\0') {
        violation(ask, "query_not_encoded", "%c stands in the query as it is", query[bad]);
    }
    for (const char *at = query; *at != '\0';) {
        char *key = decoded(at, strcspn(at, "=&"));
        bool found = false;
        for (size_t i = 0; known[i] != NULL && key != NULL; i++) {
            found = found || strcmp(known[i], key) == 0;
        }
        if (!found) {
            violation(ask, "unknown_parameter", "%.64s", key != NULL ? key : "");
        }
        free(key);
        at += strcspn(at, "&");
        at += *at == '&' ? 1 : 0;
    }
}

void violation(const struct ask *ask, const char *rule, const char *format, ...)
{
    char detail[256];
    va_list args;
    va_start(args, format);
    vsnprintf(detail, sizeof detail, format, args);
    va_end(args);
    if (json_array_size(ask->fake->violations) < VIOLATIONS_MAX) {
        json_array_append_new(ask->fake->violations,
                              json_pack("{s:I, s:s, s:s, s:s, s:s}", "n", ask->n, "rule", rule,
                                        "detail", detail, "method", ask->method, "path",
                                        ask->path));
    }
}

void reply_text(struct reply *reply, unsigned status, const char *type, const char *text)
{
    free(reply->text);
    reply->status = status;
    reply->type = type;
    reply->text = strdup(text);
}

void reply_json(struct reply *reply, unsigned status, json_t *body)
{
    free(reply->text);
    reply->status = status;
    reply->type = "application/json";
    reply->text = json_dumps(body, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(15));
    json_decref(body);
}

void reply_header(struct reply *reply, const char *name, const char *value)
{
    if (reply->headers == NULL) {
        reply->headers = json_object();
    }
    json_object_set_new(reply->headers, name, json_string(value));
}

int64_t fake_now_ms(const struct fake *fake)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 + fake->advance_ms;
}

bool fake_number_is(const json_t *value)
{
    return json_is_number(value) || json_array_size(json_object_get(value, "wave")) == 2;
}

double fake_number(const json_t *value, int64_t now_ms)
{
    const json_t *wave = json_object_get(value, "wave");
    if (wave == NULL) {
        return json_number_value(value);
    }
    double low = json_number_value(json_array_get(wave, 0));
    double high = json_number_value(json_array_get(wave, 1));
    double period_ms = json_number_value(json_object_get(value, "period_s")) * 1000;
    double turn = period_ms > 0 ? fmod((double)now_ms, period_ms) / period_ms : 0;
    return ceil(low + (high - low) * (1 + sin(2 * M_PI * turn)) / 2);
}
