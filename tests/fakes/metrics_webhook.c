/* A user's own page that takes signed JSON, and checks it as the documentation tells it to. */
#include "metrics_sinks.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEX_SIZE 65
#define TOLERANCE_S 300

static void hmac_hex(const char *key, const char *bytes, size_t size, char out[HEX_SIZE])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    HMAC(EVP_sha256(), key, (int)strlen(key), (const unsigned char *)bytes, size, digest, NULL);
    for (int i = 0; i < 32; i++) {
        snprintf(out + (size_t)2 * (size_t)i, 3, "%02x", digest[i]);
    }
}

static bool plain_is_right(const struct ask *ask, const char *secret)
{
    char wanted[HEX_SIZE];
    const char *header = ask_header(ask, "X-Hub-Signature-256");
    if (header == NULL || strncmp(header, "sha256=", 7) != 0 || strlen(header) != 71) {
        return false;
    }
    hmac_hex(secret, ask->body, ask->body_size, wanted);
    return CRYPTO_memcmp(header + 7, wanted, 64) == 0;
}

static bool timed_is_right(const struct ask *ask, const char *secret)
{
    char wanted[HEX_SIZE];
    long long at = 0;
    char given[HEX_SIZE] = "";
    char *text = NULL;
    const char *header = ask_header(ask, "X-Dynosaur-Signature");
    if (header == NULL || sscanf(header, "t=%lld,v1=%64[0-9a-f]", &at, given) != 2) {
        return false;
    }
    int size = asprintf(&text, "%lld.%s", at, ask->body);
    hmac_hex(secret, text, (size_t)size, wanted);
    free(text);
    long long age = fake_now_ms(ask->fake) / 1000 - at;
    return CRYPTO_memcmp(given, wanted, 64) == 0 && age < TOLERANCE_S && age > -TOLERANCE_S;
}

static void body_judge(const struct ask *ask)
{
    static const char *const of_event[] = {"state",      "level", "code",    "app",
                                           "controller", "input", "service", "instance",
                                           "text",       "time",  NULL};
    static const char *const of_action[] = {"outcome", "app",        "controller", "process_type",
                                            "words",   "request_id", "time",       NULL};
    json_t *body = json_loadb(ask->body, ask->body_size, JSON_REJECT_DUPLICATES, NULL);
    const char *type = json_string_value(json_object_get(body, "type"));
    const char *header = ask_header(ask, "X-Dynosaur-Event");
    if (type == NULL || header == NULL || strcmp(type, header) != 0) {
        violation(ask, "bad_type", "%s and %s", type != NULL ? type : "none",
                  header != NULL ? header : "none");
        json_decref(body);
        return;
    }
    const char *const *wanted = strcmp(type, "event") == 0 ? of_event : of_action;
    for (; *wanted != NULL; wanted++) {
        if (!json_is_string(json_object_get(body, *wanted))) {
            violation(ask, "bad_body", "no %s", *wanted);
        }
    }
    json_decref(body);
}

/* A delivery's number comes again only with the same bytes. */
static void number_judge(const struct ask *ask, json_t *state)
{
    const char *number = ask_header(ask, "X-Dynosaur-Delivery");
    json_t *seen = json_object_get(state, "seen");
    if (number == NULL || strlen(number) < 16) {
        violation(ask, "no_number", "X-Dynosaur-Delivery");
        return;
    }
    if (seen == NULL) {
        seen = json_object();
        json_object_set_new(state, "seen", seen);
    }
    const char *before = json_string_value(json_object_get(seen, number));
    if (before != NULL && strcmp(before, ask->body) != 0) {
        violation(ask, "number_again", "%.40s", number);
    }
    json_object_set_new(seen, number, json_string(ask->body));
}

bool webhook_serve(struct ask *ask, struct reply *reply)
{
    json_t *state = vendor_state(ask, "webhook");
    const char *secret = json_string_value(json_object_get(state, "secret"));
    if (strncmp(ask->path, "/webhook", 8) != 0) {
        return false;
    }
    (void)post_judge(ask, "application/json");
    if (secret != NULL && (!plain_is_right(ask, secret) || !timed_is_right(ask, secret))) {
        violation(ask, "bad_signature", "it is not of these bytes and this secret");
        reply_json(reply, 401, json_pack("{s:s}", "error", "the signature is wrong"));
        return true;
    }
    body_judge(ask);
    number_judge(ask, state);
    reply_text(reply, 200, "text/plain", "");
    return true;
}
