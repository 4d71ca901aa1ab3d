/* AWS Signature Version 4, verified from its description alone, without libcurl. */
#include "metrics_sigv4.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TEXT_SIZE 8192
#define SKEW_S 900

static void hex_write(const unsigned char *digest, char out[65])
{
    for (size_t i = 0; i < 32; i++) {
        snprintf(out + 2 * i, 3, "%02x", digest[i]);
    }
}

static void sha256(const char *bytes, size_t size, char out[65])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    EVP_Digest(bytes, size, digest, NULL, EVP_sha256(), NULL);
    hex_write(digest, out);
}

static void hmac(const void *key, size_t key_size, const char *text, unsigned char out[32])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    HMAC(EVP_sha256(), key, (int)key_size, (const unsigned char *)text, strlen(text), digest, NULL);
    memcpy(out, digest, 32);
}

static bool refuse(struct sigv4_refusal *out, unsigned status, const char *code, const char *format,
                   ...) __attribute__((format(printf, 4, 5)));

static bool refuse(struct sigv4_refusal *out, unsigned status, const char *code, const char *format,
                   ...)
{
    va_list args;
    va_start(args, format);
    out->status = status;
    out->code = code;
    vsnprintf(out->message, sizeof out->message, format, args);
    va_end(args);
    return false;
}

struct claim {
    char key[129];
    char date[9];
    char region[65];
    char service[65];
    char headers[1024];
    char signature[65];
};

static bool claim_parse(const char *header, struct claim *out)
{
    return sscanf(header,
                  "AWS4-HMAC-SHA256 Credential=%128[^/]/%8[0-9]/%64[^/]/%64[^/]/aws4_request, "
                  "SignedHeaders=%1023[^,], Signature=%64[0-9a-f]",
                  out->key, out->date, out->region, out->service, out->headers,
                  out->signature) == 6;
}

/* False: a header is signed that did not come. */
static bool headers_add(const struct ask *ask, const struct claim *claim, char *out,
                        struct sigv4_refusal *refusal)
{
    char names[1024];
    char *rest = names;
    char last[128] = "";
    snprintf(names, sizeof names, "%s", claim->headers);
    for (char *name = strtok_r(names, ";", &rest); name != NULL;
         name = strtok_r(NULL, ";", &rest)) {
        const char *value = ask_header(ask, name);
        size_t len = strlen(out);
        if (value == NULL) {
            return refuse(refusal, 403, "IncompleteSignature",
                          "'%s' is named as a SignedHeader, but it does not exist in the request",
                          name);
        }
        if (strcmp(last, name) >= 0) {
            return refuse(refusal, 403, "SignatureDoesNotMatch", "SignedHeaders are not sorted");
        }
        snprintf(last, sizeof last, "%s", name);
        snprintf(out + len, TEXT_SIZE - len, "%s:%s\n", name, value);
    }
    return true;
}

static bool name_is_signed(const struct claim *claim, const char *name)
{
    char wanted[128];
    char all[1040];
    snprintf(wanted, sizeof wanted, ";%s;", name);
    snprintf(all, sizeof all, ";%s;", claim->headers);
    return strstr(all, wanted) != NULL;
}

static bool time_is_right(const struct ask *ask, const struct claim *claim, const char *at,
                          struct sigv4_refusal *refusal)
{
    struct tm tm = {0};
    const char *end = at != NULL ? strptime(at, "%Y%m%dT%H%M%SZ", &tm) : NULL;
    const char *told = json_string_value(json_object_get(vendor_state(ask, "ses"), "now"));
    if (end == NULL || *end != '\0' || strncmp(at, claim->date, 8) != 0) {
        return refuse(refusal, 403, "IncompleteSignature",
                      "Date must be in ISO-8601 'basic format'");
    }
    long long skew = (long long)timegm(&tm) - fake_now_ms(ask->fake) / 1000;
    if (told == NULL && (skew > SKEW_S || skew < -SKEW_S)) {
        return refuse(refusal, 403, "SignatureDoesNotMatch", "Signature expired: %s", at);
    }
    return true;
}

/* All but the signature itself. */
static bool claim_judge(const struct ask *ask, const struct claim *claim,
                        const struct sigv4_wanted *wanted, struct sigv4_refusal *refusal)
{
    const char *token = ask_header(ask, "X-Amz-Security-Token");
    if (strcmp(claim->key, wanted->key) != 0) {
        return refuse(refusal, 403, wanted->unknown_key,
                      "The security token included in the request is invalid.");
    }
    if (strcmp(claim->region, wanted->region) != 0 || strcmp(claim->service, "ses") != 0) {
        return refuse(refusal, 403, "SignatureDoesNotMatch",
                      "Credential should be scoped to a valid region and correct service: 'ses', "
                      "not '%s/%s'",
                      claim->region, claim->service);
    }
    if (!name_is_signed(claim, "host") || !name_is_signed(claim, "x-amz-date")) {
        return refuse(refusal, 403, "SignatureDoesNotMatch", "host and x-amz-date must be signed");
    }
    if (wanted->token != NULL && (token == NULL || strcmp(token, wanted->token) != 0 ||
                                  !name_is_signed(claim, "x-amz-security-token"))) {
        return refuse(refusal, 403, wanted->unknown_key,
                      "The security token included in the request is invalid.");
    }
    return time_is_right(ask, claim, ask_header(ask, "X-Amz-Date"), refusal);
}

static void signature_make(const struct claim *claim, const char *secret, const char *to_sign,
                           char out[65])
{
    const char *const parts[] = {claim->region, claim->service, "aws4_request", to_sign};
    char first[256];
    unsigned char key[32];
    snprintf(first, sizeof first, "AWS4%s", secret);
    hmac(first, strlen(first), claim->date, key);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        hmac(key, sizeof key, parts[i], key);
    }
    hex_write(key, out);
}

bool sigv4_verify(const struct ask *ask, const char *path, const struct sigv4_wanted *wanted,
                  struct sigv4_refusal *refusal)
{
    struct claim claim;
    char canonical[TEXT_SIZE];
    char to_sign[TEXT_SIZE];
    char hash[65];
    const char *header = ask_header(ask, "Authorization");
    if (header == NULL) {
        return refuse(refusal, 403, "MissingAuthenticationToken", "Missing Authentication Token");
    }
    if (!claim_parse(header, &claim)) {
        return refuse(refusal, 400, "IncompleteSignature", "Authorization header is not complete");
    }
    snprintf(canonical, sizeof canonical, "%s\n%s\n\n", ask->method, path);
    if (!claim_judge(ask, &claim, wanted, refusal) ||
        !headers_add(ask, &claim, canonical, refusal)) {
        return false;
    }
    size_t len = strlen(canonical);
    sha256(ask->body, ask->body_size, hash);
    snprintf(canonical + len, sizeof canonical - len, "\n%s\n%s", claim.headers, hash);
    sha256(canonical, strlen(canonical), hash);
    snprintf(to_sign, sizeof to_sign, "AWS4-HMAC-SHA256\n%s\n%s/%s/%s/aws4_request\n%s",
             ask_header(ask, "X-Amz-Date"), claim.date, claim.region, claim.service, hash);
    signature_make(&claim, wanted->secret, to_sign, hash);
    if (CRYPTO_memcmp(hash, claim.signature, 64) != 0) {
        return refuse(refusal, 403, "SignatureDoesNotMatch",
                      "The request signature we calculated does not match the signature you "
                      "provided.\n\nThe Canonical String for this request should have "
                      "been\n'%.1000s'\n\nThe String-to-Sign should have been\n'%.500s'\n",
                      canonical, to_sign);
    }
    return true;
}
