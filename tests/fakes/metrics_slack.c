/* Slack's incoming webhooks: the URL is the secret, the answers are words. */
#include "metrics_sinks.h"

#include <string.h>

#define SECTION_MAX 3000
/* A second is asked for; on a busy machine one comes late and the next does not. */
#define PACE_MS 500

/* Angle brackets are Slack's own; an ampersand begins one of three entities. */
static bool is_escaped(const char *text)
{
    for (const char *at = text; *at != '\0'; at++) {
        bool entity = strncmp(at, "&amp;", 5) == 0 || strncmp(at, "&lt;", 4) == 0 ||
                      strncmp(at, "&gt;", 4) == 0;
        if (*at == '<' || *at == '>' || (*at == '&' && !entity)) {
            return false;
        }
    }
    return true;
}

/* NULL, or what Slack says. */
static const char *message_refusal(const struct ask *ask, json_t *message)
{
    const char *text = json_string_value(json_object_get(message, "text"));
    json_t *blocks = json_object_get(message, "blocks");
    if (!json_is_object(message)) {
        return "invalid_payload";
    }
    if (text == NULL || text[0] == '\0') {
        return "missing_text_or_fallback_or_attachments";
    }
    if (!is_escaped(text)) {
        violation(ask, "not_escaped", "%.100s", text);
    }
    for (size_t i = 0; i < json_array_size(blocks); i++) {
        json_t *block = json_object_get(json_array_get(blocks, i), "text");
        const char *words = json_string_value(json_object_get(block, "text"));
        if (words == NULL || words[0] == '\0' || characters_of(words) > SECTION_MAX) {
            return "invalid_blocks";
        }
    }
    return NULL;
}

static void message_take(struct ask *ask, json_t *state, struct reply *reply)
{
    json_t *message = json_loadb(ask->body, ask->body_size, JSON_REJECT_DUPLICATES, NULL);
    json_int_t now_ms = (json_int_t)fake_now_ms(ask->fake);
    json_int_t last_ms = json_integer_value(json_object_get(state, "last_ms"));
    const char *refusal = message_refusal(ask, message);
    json_decref(message);
    if (!post_judge(ask, "application/json")) {
        refusal = "invalid_payload";
    }
    if (refusal != NULL) {
        violation(ask, "bad_message", "%s", refusal);
        reply_text(reply, 400, "text/plain", refusal);
        return;
    }
    if (now_ms - last_ms < PACE_MS) {
        violation(ask, "too_fast", "%d ms after the last one", (int)(now_ms - last_ms));
        reply_text(reply, 429, "text/plain", "rate_limited");
        reply_header(reply, "Retry-After", "1");
        return;
    }
    json_object_set_new(state, "last_ms", json_integer(now_ms));
    reply_text(reply, 200, "text/plain", "ok");
}

bool slack_serve(struct ask *ask, struct reply *reply)
{
    json_t *state = vendor_state(ask, "slack");
    if (strncmp(ask->path, "/slack", 6) != 0) {
        return false;
    }
    const char *known =
        json_string_value(json_object_get(json_object_get(state, "paths"), ask->path + 6));
    if (known == NULL) {
        violation(ask, "no_service", "no such webhook");
        reply_text(reply, 404, "text/plain", "no_service");
    } else if (strcmp(known, "ok") != 0) {
        reply_text(reply, strcmp(known, "channel_is_archived") == 0 ? 410 : 404, "text/plain",
                   known);
    } else {
        message_take(ask, state, reply);
    }
    return true;
}
