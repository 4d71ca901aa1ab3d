/* Bugsnag's endpoint for events. It takes everything that is not too big; the judge does not. */
#include "metrics_sinks.h"

#include <stdio.h>
#include <string.h>

#define BODY_LEAST_MAX 512000 /* the strictest limit that its documents ever named */

static void text_wanted(const struct ask *ask, json_t *object, const char *name)
{
    if (!json_is_string(json_object_get(object, name))) {
        violation(ask, "missing_field", "%s", name);
    }
}

static void exception_judge(const struct ask *ask, json_t *exception)
{
    json_t *stack = json_object_get(exception, "stacktrace");
    text_wanted(ask, exception, "errorClass");
    text_wanted(ask, exception, "message");
    if (!json_is_array(stack)) {
        violation(ask, "missing_field", "stacktrace");
    }
    for (size_t i = 0; i < json_array_size(stack); i++) {
        json_t *frame = json_array_get(stack, i);
        text_wanted(ask, frame, "file");
        text_wanted(ask, frame, "method");
        if (!json_is_integer(json_object_get(frame, "lineNumber"))) {
            violation(ask, "missing_field", "lineNumber");
        }
    }
}

static void event_judge(const struct ask *ask, json_t *event)
{
    static const char *const severities[] = {"error", "warning", "info", NULL};
    static const char *const known[] = {
        "exceptions", "breadcrumbs",    "context",  "groupingHash", "unhandled",
        "severity",   "severityReason", "user",     "app",          "device",
        "session",    "featureFlags",   "metaData", "request",      NULL};
    json_t *exceptions = json_object_get(event, "exceptions");
    const char *name = NULL;
    json_t *tab = NULL;
    members_judge(ask, event, known);
    if (json_array_size(exceptions) == 0) {
        violation(ask, "missing_field", "exceptions");
    }
    for (size_t i = 0; i < json_array_size(exceptions); i++) {
        exception_judge(ask, json_array_get(exceptions, i));
    }
    if (!is_one_of(json_string_value(json_object_get(event, "severity")), severities)) {
        violation(ask, "bad_severity", "not one of three");
    }
    json_object_foreach(json_object_get(event, "metaData"), name, tab)
    {
        if (!json_is_object(tab)) {
            violation(ask, "bad_tab", "%s", name);
        }
    }
}

static void body_judge(const struct ask *ask, json_t *body)
{
    const char *version = ask_header(ask, "Bugsnag-Payload-Version");
    const char *header = ask_header(ask, "Bugsnag-Api-Key");
    const char *key = json_string_value(json_object_get(body, "apiKey"));
    const char *payload = json_string_value(json_object_get(body, "payloadVersion"));
    json_t *notifier = json_object_get(body, "notifier");
    json_t *events = json_object_get(body, "events");
    json_t *known = json_object_get(vendor_state(ask, "bugsnag"), "key");
    if (!json_is_object(body)) {
        violation(ask, "bad_body", "no JSON object");
        return;
    }
    if (version == NULL || payload == NULL || strcmp(version, payload) != 0) {
        violation(ask, "bad_version", "%s", payload != NULL ? payload : "none");
    }
    if (header == NULL || key == NULL || strcmp(header, key) != 0 ||
        (known != NULL && strcmp(key, json_string_value(known)) != 0)) {
        violation(ask, "bad_key", "it would be dropped without a word");
    }
    text_wanted(ask, notifier, "name");
    text_wanted(ask, notifier, "version");
    text_wanted(ask, notifier, "url");
    if (json_array_size(events) == 0) {
        violation(ask, "missing_field", "events");
    }
    for (size_t i = 0; i < json_array_size(events); i++) {
        event_judge(ask, json_array_get(events, i));
    }
}

bool bugsnag_serve(struct ask *ask, struct reply *reply)
{
    char id[32];
    if (strncmp(ask->path, "/bugsnag", 8) != 0) {
        return false;
    }
    json_t *body = json_loadb(ask->body, ask->body_size, JSON_REJECT_DUPLICATES, NULL);
    (void)post_judge(ask, "application/json");
    body_judge(ask, body);
    json_decref(body);
    if (strcmp(ask->path, "/bugsnag/") != 0) {
        violation(ask, "unknown_path", "%s", ask->path);
    }
    if (ask->body_size == 0 || ask->body_size > BODY_LEAST_MAX) {
        violation(ask, "bad_size", "%zu", ask->body_size);
        reply_text(reply, 400, "text/plain; charset=utf-8", "bad request\n");
        reply_header(reply, "Bugsnag-Error-Code", "5");
        return true;
    }
    snprintf(id, sizeof id, "%024llx", (unsigned long long)ask->n);
    reply_text(reply, 200, "text/plain", "OK");
    reply_header(reply, "Bugsnag-Event-ID", id);
    return true;
}
