/*
 * Google: the token endpoint, which verifies the assertion with the account's public key, GA4's
 * realtime report and the old realtime API, under /google.
 */
#include "metrics_fake.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SCOPE "https://www.googleapis.com/auth/analytics.readonly"
#define ERROR_REST_MS 30000 /* who asks again sooner after a 5xx uses up the quota of errors */

/* ---- the assertion ---- */

struct part {
    char *bytes; /* NUL-terminated; NULL: not base64url */
    size_t len;
};

static int digit_of(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const char *at = c != '\0' ? strchr(digits, c) : NULL;
    return at != NULL ? (int)(at - digits) : -1;
}

static struct part part_decode(const char *text, size_t len)
{
    struct part part = {calloc(len + 4, 1), 0};
    unsigned bits = 0;
    unsigned held = 0;
    for (size_t i = 0; i < len; i++) {
        int digit = digit_of(text[i]);
        if (digit < 0) {
            free(part.bytes);
            return (struct part){NULL, 0};
        }
        bits = bits << 6 | (unsigned)digit;
        held += 6;
        if (held >= 8) {
            held -= 8;
            part.bytes[part.len++] = (char)(unsigned char)(bits >> held & 0xffU);
        }
    }
    return part;
}

static bool signature_verify(const char *pem, const char *text, size_t len, struct part signature)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    EVP_PKEY *key = PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool good = key != NULL && EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, key) == 1 &&
                EVP_DigestVerify(context, (const unsigned char *)signature.bytes, signature.len,
                                 (const unsigned char *)text, len) == 1;
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(key);
    BIO_free(bio);
    return good;
}

static bool claim_is(const json_t *claims, const char *name, const char *wanted)
{
    const char *found = json_string_value(json_object_get(claims, name));
    return found != NULL && strcmp(found, wanted) == 0;
}

/* The error of claims that Google would not take; NULL: they are good. */
static const char *claims_judge(const struct ask *ask, const json_t *claims, const char **words)
{
    const json_t *iat = json_object_get(claims, "iat");
    const json_t *exp = json_object_get(claims, "exp");
    json_int_t now_s = fake_now_ms(ask->fake) / 1000;
    json_int_t from = json_integer_value(iat);
    json_int_t to = json_integer_value(exp);
    const char *host = ask_header(ask, "Host");
    char url[256];
    snprintf(url, sizeof url, "http://%s%s", host != NULL ? host : "", ask->path);
    if (!claim_is(claims, "scope", SCOPE)) {
        *words = "scope is not the one for reading Analytics";
        return "invalid_scope";
    }
    if (!claim_is(claims, "aud", url)) {
        *words = "Invalid JWT: Failed audience check.";
        return "invalid_grant";
    }
    if (!json_is_integer(iat) || !json_is_integer(exp) || to - from > 3600 || to <= now_s ||
        llabs(now_s - from) > 300) {
        *words = "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable "
                 "timeframe. Check your iat and exp values in the JWT claim.";
        return "invalid_grant";
    }
    return NULL;
}

/* The account that an assertion proves; NULL, and what Google says. */
static const char *assertion_judge(const struct ask *ask, const char *text, json_t **out_claims,
                                   const char **error, const char **words)
{
    size_t first = strcspn(text, ".");
    size_t second = text[first] == '.' ? first + 1 + strcspn(text + first + 1, ".") : first;
    *error = "invalid_grant";
    *words = "Invalid JWT Signature.";
    if (text[second] != '.' || strchr(text + second + 1, '.') != NULL) {
        *words = "Bad Request";
        return NULL;
    }
    struct part header = part_decode(text, first);
    struct part claims = part_decode(text + first + 1, second - first - 1);
    struct part signature = part_decode(text + second + 1, strlen(text + second + 1));
    json_t *head = json_loadb(header.bytes != NULL ? header.bytes : "", header.len, 0, NULL);
    *out_claims = json_loadb(claims.bytes != NULL ? claims.bytes : "", claims.len, 0, NULL);
    const char *email = json_string_value(json_object_get(*out_claims, "iss"));
    json_t *account =
        email != NULL
            ? json_object_get(json_object_get(vendor_state(ask, "google"), "accounts"), email)
            : NULL;
    const char *pem = json_string_value(json_object_get(account, "public_key"));
    bool good = false;
    if (pem == NULL) {
        *words = "Invalid grant: account not found";
    } else if (claim_is(head, "alg", "RS256") && claim_is(head, "typ", "JWT") &&
               signature.bytes != NULL && signature_verify(pem, text, second, signature)) {
        const char *why = claims_judge(ask, *out_claims, words);
        good = why == NULL;
        *error = why;
    }
    json_decref(head);
    free(header.bytes);
    free(claims.bytes);
    free(signature.bytes);
    return good ? email : NULL;
}

static void token_give(const struct ask *ask, struct reply *reply, const char *email)
{
    json_t *state = vendor_state(ask, "google");
    json_t *tokens = json_object_get(state, "tokens");
    json_int_t lasts_s = json_integer_value(json_object_get(state, "expires_in"));
    char token[80];
    if (tokens == NULL) {
        tokens = json_object();
        json_object_set_new(state, "tokens", tokens);
    }
    lasts_s = lasts_s > 0 ? lasts_s : 3599;
    snprintf(token, sizeof token, "ya29.c4nary-%zu.%lld...", json_object_size(tokens) + 1,
             (long long)ask->n);
    json_object_set_new(tokens, token,
                        json_pack("{s:s, s:I}", "email", email, "until_ms",
                                  (json_int_t)fake_now_ms(ask->fake) + lasts_s * 1000));
    reply_json(reply, 200,
               json_pack("{s:s, s:I, s:s}", "access_token", token, "expires_in", lasts_s,
                         "token_type", "Bearer"));
}

static void token_serve(const struct ask *ask, struct reply *reply)
{
    const char *type = ask_header(ask, "Content-Type");
    char *grant = ask_param(ask, "grant_type");
    char *assertion = ask_param(ask, "assertion");
    json_t *claims = NULL;
    const char *error = "invalid_request";
    const char *words = "Bad Request";
    const char *email = NULL;
    if (strcmp(ask->method, "POST") != 0 || type == NULL ||
        strcmp(type, "application/x-www-form-urlencoded") != 0) {
        violation(ask, "bad_content_type", "%s %s", ask->method, type != NULL ? type : "none");
    } else if (grant == NULL || assertion == NULL ||
               strcmp(grant, "urn:ietf:params:oauth:grant-type:jwt-bearer") != 0) {
        error = "unsupported_grant_type";
    } else {
        email = assertion_judge(ask, assertion, &claims, &error, &words);
    }
    if (email != NULL) {
        token_give(ask, reply, email);
    } else {
        violation(ask, "bad_assertion", "%s: %s", error, words);
        reply_json(reply, 400, json_pack("{s:s, s:s}", "error", error, "error_description", words));
    }
    json_decref(claims);
    free(grant);
    free(assertion);
}

/* ---- the reports ---- */

static void refuse(struct reply *reply, unsigned status, const char *name, const char *message)
{
    reply_json(reply, status,
               json_pack("{s:{s:i, s:s, s:s}}", "error", "code", (int)status, "message", message,
                         "status", name));
}

/* Whose token it is; NULL, and refused. */
static const char *bearer_of(const struct ask *ask, struct reply *reply)
{
    const char *sent = ask_header(ask, "Authorization");
    const json_t *token = NULL;
    if (sent != NULL && strncmp(sent, "Bearer ", 7) == 0) {
        token = json_object_get(json_object_get(vendor_state(ask, "google"), "tokens"), sent + 7);
    }
    if (token == NULL) {
        violation(ask, "bad_token", "%s", sent == NULL ? "none" : "unknown");
    } else if (json_integer_value(json_object_get(token, "until_ms")) <= fake_now_ms(ask->fake)) {
        violation(ask, "expired_token", "ended");
    } else {
        return json_string_value(json_object_get(token, "email"));
    }
    refuse(reply, 401, "UNAUTHENTICATED",
           "Request had invalid authentication credentials. Expected OAuth 2 access token.");
    return NULL;
}

static bool may_view(const json_t *site, const char *email)
{
    const json_t *viewers = json_object_get(site, "viewers");
    for (size_t i = 0; i < json_array_size(viewers); i++) {
        if (strcmp(json_string_value(json_array_get(viewers, i)), email) == 0) {
            return true;
        }
    }
    return false;
}

/* What is wrong with the body of a report's request; NULL: nothing. */
static const char *report_judge(json_t *body)
{
    static const char *const fields[] = {"metrics", "minuteRanges", "returnPropertyQuota", "limit",
                                         NULL};
    const json_t *metrics = json_object_get(body, "metrics");
    const json_t *range = json_array_get(json_object_get(body, "minuteRanges"), 0);
    const json_t *start = json_object_get(range, "startMinutesAgo");
    const char *key = NULL;
    json_t *value = NULL;
    json_object_foreach(body, key, value)
    {
        bool known = false;
        for (size_t i = 0; fields[i] != NULL; i++) {
            known = known || strcmp(fields[i], key) == 0;
        }
        if (!known) {
            return "Invalid JSON payload received. Unknown name.";
        }
    }
    if (json_array_size(metrics) != 1 ||
        !claim_is(json_array_get(metrics, 0), "name", "activeUsers")) {
        return "Field metrics is not one that this test knows.";
    }
    if (json_array_size(json_object_get(body, "minuteRanges")) != 1 || !json_is_integer(start) ||
        json_integer_value(start) > 29 || json_integer_value(start) < 0) {
        return "minuteRanges: startMinutesAgo must be from 0 to 29.";
    }
    return NULL;
}

static void report_reply(const struct ask *ask, struct reply *reply, const json_t *site)
{
    json_int_t users =
        (json_int_t)fake_number(json_object_get(site, "users"), fake_now_ms(ask->fake));
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)users);
    if (users == 0) {
        reply_json(reply, 200, json_pack("{s:s}", "kind", "analyticsData#runRealtimeReport"));
        return;
    }
    reply_json(reply, 200,
               json_pack("{s:[{s:s, s:s}], s:[{s:[{s:s}]}], s:i, s:s}", "metricHeaders", "name",
                         "activeUsers", "type", "TYPE_INTEGER", "rows", "metricValues", "value",
                         text, "rowCount", 1, "kind", "analyticsData#runRealtimeReport"));
}

static void report_serve(const struct ask *ask, struct reply *reply, const char *id, size_t len)
{
    char name[32];
    const char *type = ask_header(ask, "Content-Type");
    const char *email = bearer_of(ask, reply);
    if (email == NULL) {
        return;
    }
    snprintf(name, sizeof name, "%.*s", (int)len, id);
    const json_t *site =
        json_object_get(json_object_get(vendor_state(ask, "google"), "properties"), name);
    json_t *body = json_loadb(ask->body, ask->body_size, JSON_REJECT_DUPLICATES, NULL);
    const char *wrong = report_judge(body);
    if (strcmp(ask->method, "POST") != 0 || type == NULL ||
        strncmp(type, "application/json", 16) != 0) {
        wrong = "expected JSON by POST";
    }
    if (wrong != NULL) {
        violation(ask, "bad_report", "%s", wrong);
        refuse(reply, 400, "INVALID_ARGUMENT", wrong);
    } else if (!may_view(site, email)) {
        refuse(reply, 403, "PERMISSION_DENIED",
               "User does not have sufficient permissions for this property.");
    } else {
        report_reply(ask, reply, site);
    }
    json_decref(body);
}

static void realtime_serve(const struct ask *ask, struct reply *reply)
{
    static const char *const known[] = {"ids", "metrics", NULL};
    const char *email = bearer_of(ask, reply);
    if (email == NULL) {
        return;
    }
    char *ids = ask_param(ask, "ids");
    char *metrics = ask_param(ask, "metrics");
    ask_params_judge(ask, known);
    const json_t *site =
        ids != NULL && strncmp(ids, "ga:", 3) == 0
            ? json_object_get(json_object_get(vendor_state(ask, "google"), "views"), ids + 3)
            : NULL;
    json_int_t users =
        (json_int_t)fake_number(json_object_get(site, "users"), fake_now_ms(ask->fake));
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)users);
    if (metrics == NULL || strcmp(metrics, "rt:activeUsers") != 0) {
        violation(ask, "bad_report", "metrics is %s", metrics != NULL ? metrics : "missing");
        refuse(reply, 400, "INVALID_ARGUMENT", "metrics");
    } else if (!may_view(site, email)) {
        reply_json(reply, 403,
                   json_pack("{s:{s:[{s:s, s:s}], s:i, s:s}}", "error", "errors", "domain",
                             "global", "reason", "insufficientPermissions", "code", 403, "message",
                             "User does not have sufficient permissions for this profile."));
    } else if (users == 0) {
        reply_json(reply, 200,
                   json_pack("{s:s, s:i}", "kind", "analytics#realtimeData", "totalResults", 0));
    } else {
        reply_json(reply, 200,
                   json_pack("{s:s, s:i, s:[[s]]}", "kind", "analytics#realtimeData",
                             "totalResults", 1, "rows", text));
    }
    free(ids);
    free(metrics);
}

bool google_serve(struct ask *ask, struct reply *reply)
{
    static const char property[] = "/google/v1beta/properties/";
    static const char run[] = ":runRealtimeReport";
    const char *id = ask->path + sizeof property - 1;
    if (strncmp(ask->path, "/google/", 8) != 0) {
        return false;
    }
    if (strcmp(ask->path, "/google/token") == 0) {
        token_serve(ask, reply);
    } else if (strcmp(ask->path, "/google/analytics/v3/data/realtime") == 0) {
        realtime_serve(ask, reply);
    } else if (strncmp(ask->path, property, sizeof property - 1) == 0 &&
               strcmp(id + strspn(id, "0123456789"), run) == 0) {
        report_serve(ask, reply, id, strspn(id, "0123456789"));
    } else {
        violation(ask, "unknown_path", "%s", ask->path);
        reply_text(reply, 404, "text/html", "<html><title>Error 404</title></html>");
    }
    return true;
}

void google_note_error(struct ask *ask)
{
    if (strncmp(ask->path, "/google/", 8) == 0) {
        ask->fake->google_error_ms = fake_now_ms(ask->fake);
    }
}

void google_note_request(struct ask *ask)
{
    int64_t since_ms = fake_now_ms(ask->fake) - ask->fake->google_error_ms;
    if (strncmp(ask->path, "/google/", 8) == 0 && since_ms < ERROR_REST_MS) {
        violation(ask, "repeated_after_error", "%lld ms after a 5xx", (long long)since_ms);
    }
}
