/* PagerDuty's Events API v2, with the incidents that are open. */
#include "metrics_sinks.h"

#include <string.h>

#define SUMMARY_MAX 1024
#define KEY_MAX 255
#define BODY_MAX (512U * 1024U)

/* NULL, or what is wrong with it. */
static const char *payload_refusal(const struct ask *ask, json_t *payload)
{
    static const char *const severities[] = {"critical", "error", "warning", "info", NULL};
    static const char *const known[] = {"summary",   "source",         "severity",
                                        "timestamp", "component",      "group",
                                        "class",     "custom_details", NULL};
    const char *summary = json_string_value(json_object_get(payload, "summary"));
    const char *source = json_string_value(json_object_get(payload, "source"));
    members_judge(ask, payload, known);
    if (summary == NULL || summary[0] == '\0') {
        return "'payload.summary' is missing or blank";
    }
    if (characters_of(summary) > SUMMARY_MAX) {
        return "'payload.summary' is too long";
    }
    if (source == NULL || source[0] == '\0') {
        return "'payload.source' is missing or blank";
    }
    if (!is_one_of(json_string_value(json_object_get(payload, "severity")), severities)) {
        return "'payload.severity' is invalid (must be one of the following: critical, warning, "
               "error or info)";
    }
    return NULL;
}

static const char *event_refusal(const struct ask *ask, json_t *state, json_t *event)
{
    static const char *const actions[] = {"trigger", "acknowledge", "resolve", NULL};
    static const char *const known[] = {"routing_key", "event_action", "dedup_key",
                                        "payload",     "client",       "client_url",
                                        "links",       "images",       NULL};
    const char *key = json_string_value(json_object_get(event, "routing_key"));
    const char *action = json_string_value(json_object_get(event, "event_action"));
    const char *dedup = json_string_value(json_object_get(event, "dedup_key"));
    members_judge(ask, event, known);
    if (key == NULL || strlen(key) != 32) {
        return "Service key is the wrong length (should be 32 characters)";
    }
    if (json_object_get(json_object_get(state, "keys"), key) == NULL) {
        return "Invalid routing key";
    }
    if (!is_one_of(action, actions)) {
        return "'event_action' is invalid";
    }
    if (dedup == NULL || strlen(dedup) > KEY_MAX) {
        return "'dedup_key' is missing or too long";
    }
    return strcmp(action, "trigger") == 0 ? payload_refusal(ask, json_object_get(event, "payload"))
                                          : NULL;
}

static void incident_note(const struct ask *ask, json_t *state, json_t *event)
{
    const char *key = json_string_value(json_object_get(event, "dedup_key"));
    const char *action = json_string_value(json_object_get(event, "event_action"));
    json_t *open = json_object_get(state, "open");
    if (open == NULL) {
        open = json_object();
        json_object_set_new(state, "open", open);
    }
    if (strcmp(action, "trigger") == 0) {
        json_object_set(open, key, json_object_get(event, "payload"));
    } else if (json_object_del(open, key) != 0) {
        violation(ask, "not_open", "%s of %s", action, key);
    }
}

bool pagerduty_serve(struct ask *ask, struct reply *reply)
{
    json_t *state = vendor_state(ask, "pagerduty");
    if (strncmp(ask->path, "/pagerduty/", 11) != 0) {
        return false;
    }
    json_t *event = json_loadb(ask->body, ask->body_size, JSON_REJECT_DUPLICATES, NULL);
    const char *refusal = event_refusal(ask, state, event);
    if (strcmp(ask->path, "/pagerduty/v2/enqueue") != 0 || !post_judge(ask, "application/json") ||
        ask->body_size > BODY_MAX) {
        refusal = "JSON cannot be parsed";
    }
    if (refusal != NULL) {
        violation(ask, "bad_event", "%s", refusal);
        reply_json(reply, 400,
                   json_pack("{s:s, s:s, s:[s]}", "status", "invalid event", "message",
                             "Event object is invalid", "errors", refusal));
    } else {
        incident_note(ask, state, event);
        reply_json(reply, 202,
                   json_pack("{s:s, s:s, s:O}", "status", "success", "message", "Event processed",
                             "dedup_key", json_object_get(event, "dedup_key")));
    }
    json_decref(event);
    return true;
}
