/* Cronut and a health check's URL: pings that are decrypted and judged, as its server does. */
#include "metrics_sinks.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CIPHER_MAX 2048
#define SKEW_S 30
#define NOT_FOUND "<html><title>The page you were looking for doesn't exist (404)</title></html>"

static int digit(char c)
{
    const char *digits = "0123456789ABCDEFabcdef";
    const char *at = c != '\0' ? strchr(digits, c) : NULL;
    int value = at != NULL ? (int)(at - digits) : -1;
    return value > 15 ? value - 6 : value;
}

/* The field's bytes, which may be any. 0: it is not there, or not a form's. */
static size_t cipher_read(const struct ask *ask, unsigned char out[CIPHER_MAX])
{
    static const char name[] = "public_id=";
    const char *at = ask->body + sizeof name - 1;
    size_t len = 0;
    if (strncmp(ask->body, name, sizeof name - 1) != 0) {
        return 0;
    }
    for (; *at != '\0' && len < CIPHER_MAX; at++) {
        if (*at == '%' && digit(at[1]) >= 0 && digit(at[2]) >= 0) {
            out[len++] = (unsigned char)(digit(at[1]) * 16 + digit(at[2]));
            at += 2;
        } else if (*at == '+') {
            out[len++] = ' ';
        } else if (strchr("&=%/", *at) != NULL || (unsigned char)*at < ' ' || (*at & 0x80) != 0) {
            violation(ask, "bad_form", "%c stands in the form as it is", *at);
            return 0;
        } else {
            out[len++] = (unsigned char)*at;
        }
    }
    return len;
}

/* PKCS#1 v1.5, without the implicit rejection that newer OpenSSLs have: 0 is a bad padding. */
static size_t cipher_open(const char *pem, const unsigned char *bytes, size_t size, char *out,
                          size_t out_size)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    EVP_PKEY_CTX *context = key != NULL ? EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL) : NULL;
    unsigned char plain[CIPHER_MAX];
    size_t len = sizeof plain;
    bool good = context != NULL && EVP_PKEY_decrypt_init(context) == 1 &&
                EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) == 1 &&
                EVP_PKEY_decrypt(context, plain, &len, bytes, size) == 1 && len < out_size;
    if (good) {
        memcpy(out, plain, len);
        out[len] = '\0';
    }
    EVP_PKEY_CTX_free(context);
    EVP_PKEY_free(key);
    BIO_free(bio);
    return good ? len : 0;
}

/* The same bytes twice are a ping twice for Cronut, and no good client's. */
static void repeat_judge(const struct ask *ask, json_t *state)
{
    const char *last = json_string_value(json_object_get(state, "last"));
    if (last != NULL && strcmp(last, ask->body) == 0) {
        violation(ask, "same_bytes", "each ping is made anew");
    }
    json_object_set_new(state, "last", json_string(ask->body));
}

static bool is_job(json_t *state, const char *name)
{
    json_t *job = json_object_get(json_object_get(state, "jobs"), name);
    if (json_is_integer(job)) {
        json_integer_set(job, json_integer_value(job) + 1);
    }
    return json_is_integer(job);
}

static bool ping_take(const struct ask *ask, json_t *state)
{
    unsigned char cipher[CIPHER_MAX];
    char plain[256];
    const char *pem = json_string_value(json_object_get(state, "private_key"));
    size_t size = cipher_read(ask, cipher);
    repeat_judge(ask, state);
    if (size == 0 || pem == NULL || cipher_open(pem, cipher, size, plain, sizeof plain) == 0) {
        violation(ask, "bad_cipher", "%zu bytes cannot be read", size);
        return false;
    }
    char *dash = strchr(plain, '-');
    long long at = strtoll(plain, NULL, 10);
    long long off = at - fake_now_ms(ask->fake) / 1000;
    if (dash == NULL || off > SKEW_S || off < -SKEW_S) {
        violation(ask, "bad_time", "%lld s off", off);
        return false;
    }
    if (!is_job(state, dash + 1)) {
        violation(ask, "unknown_job", "%s", dash + 1);
        return false;
    }
    return true;
}

bool cronut_serve(struct ask *ask, struct reply *reply)
{
    json_t *state = vendor_state(ask, "cronut");
    const char *wanted = json_string_value(json_object_get(state, "token"));
    const char *token = ask_header(ask, "X-CRONUT-API-TOKEN");
    if (strncmp(ask->path, "/cronut/", 8) != 0) {
        return false;
    }
    (void)post_judge(ask, "application/x-www-form-urlencoded");
    if (token == NULL || token[0] == '\0') {
        violation(ask, "bad_token", "none");
        reply_text(reply, 401, "application/json; charset=utf-8", "Empty token given.");
    } else if (wanted == NULL || strcmp(token, wanted) != 0) {
        violation(ask, "bad_token", "another");
        reply_text(reply, 401, "application/json; charset=utf-8", "Invalid token.");
    } else if (strcmp(ask->path, "/cronut/ping/") != 0 || !ping_take(ask, state)) {
        reply_text(reply, 404, "text/html", NOT_FOUND);
    } else {
        reply_text(reply, 200, "text/html", "<html><title>Cronut</title>PONG!</html>");
    }
    return true;
}

bool healthcheck_serve(struct ask *ask, struct reply *reply)
{
    json_t *state = vendor_state(ask, "healthcheck");
    if (strncmp(ask->path, "/healthcheck/", 13) != 0) {
        return false;
    }
    json_t *count = json_object_get(json_object_get(state, "checks"), ask->path + 13);
    if (strcmp(ask->method, "GET") != 0) {
        violation(ask, "bad_method", "%s", ask->method);
    }
    if (!json_is_integer(count)) {
        violation(ask, "unknown_check", "%s", ask->path);
        reply_text(reply, 404, "text/plain", "not found");
        return true;
    }
    json_integer_set(count, json_integer_value(count) + 1);
    reply_text(reply, 200, "text/plain", "OK");
    return true;
}
