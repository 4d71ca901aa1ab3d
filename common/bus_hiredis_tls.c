/*
 * TLS below hiredis. hiredis would make a connection without looking at the server's name, so the
 * SSL object is made here.
 */
#include "common/bus_internal.h"

#ifdef DYN_HIREDIS_SSL

#include "common/lookup.h"

#include <async.h>
#include <hiredis_ssl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

struct bus_tls {
    SSL_CTX *context;
    bool insecure;
    char why[BUS_WHY_MAX / 2]; /* the last certificate was not accepted; "": it was */
};

static void openssl_refuse(struct dyn_error *error, const char *what, const char *file)
{
    char words[160];
    ERR_error_string_n(ERR_get_error(), words, sizeof(words));
    (void)dyn_error_set(error, DYN_CONFIG, "%s %s: %s", what, file, words);
    ERR_clear_error();
}

static bool trust_load(struct bus_tls *tls, const char *ca, struct dyn_error *error)
{
    if (tls->insecure) {
        return true;
    }
    if (ca == NULL ? SSL_CTX_set_default_verify_paths(tls->context) != 1
                   : SSL_CTX_load_verify_locations(tls->context, ca, NULL) != 1) {
        openssl_refuse(error, "redis.tls_ca", ca != NULL ? ca : "of the system");
        return false;
    }
    return true;
}

static bool certificate_load(struct bus_tls *tls, const struct bus_access *access,
                             struct dyn_error *error)
{
    if (access->tls_cert == NULL) {
        return true;
    }
    if (SSL_CTX_use_certificate_chain_file(tls->context, access->tls_cert) != 1) {
        openssl_refuse(error, "redis.tls_cert", access->tls_cert);
        return false;
    }
    const char *key = access->tls_key != NULL ? access->tls_key : "";
    if (SSL_CTX_use_PrivateKey_file(tls->context, key, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(tls->context) != 1) {
        openssl_refuse(error, "redis.tls_key", key);
        return false;
    }
    return true;
}

/* A passphrase would be asked for on the terminal. */
static int no_passphrase(char *out, int size, int writing, void *arg)
{
    (void)out;
    (void)size;
    (void)writing;
    (void)arg;
    return -1;
}

struct bus_tls *bus_tls_new(const struct bus_access *access, struct dyn_error *error)
{
    struct bus_tls *tls = calloc(1, sizeof(*tls));
    if (tls == NULL || (tls->context = SSL_CTX_new(TLS_client_method())) == NULL) {
        (void)dyn_error_set(error, DYN_NOMEM, "out of memory");
        bus_tls_free(tls);
        return NULL;
    }
    tls->insecure = access->tls_insecure;
    SSL_CTX_set_default_passwd_cb(tls->context, no_passphrase);
    if (SSL_CTX_set_min_proto_version(tls->context, TLS1_2_VERSION) != 1 ||
        !trust_load(tls, access->tls_ca, error) || !certificate_load(tls, access, error)) {
        bus_tls_free(tls);
        return NULL;
    }
    return tls;
}

void bus_tls_free(struct bus_tls *tls)
{
    if (tls != NULL) {
        SSL_CTX_free(tls->context);
        free(tls);
    }
}

/* hiredis tells that a handshake failed, and not why. */
static int on_verify(int good, X509_STORE_CTX *store)
{
    const SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct bus_tls *tls = SSL_get_app_data(ssl);
    if (good != 1) {
        (void)snprintf(tls->why, sizeof(tls->why), "the server's certificate is not accepted: %s",
                       X509_verify_cert_error_string(X509_STORE_CTX_get_error(store)));
    }
    return good;
}

/* The certificate must be of `host`; a name is also told to the server, which may have several. */
static bool host_expect(SSL *ssl, const char *host, bool insecure)
{
    bool numeric = dyn_address_is_numeric(host);
    if (!numeric && SSL_set_tlsext_host_name(ssl, host) != 1) {
        return false;
    }
    if (insecure) {
        SSL_set_verify(ssl, SSL_VERIFY_NONE, NULL);
        return true;
    }
    SSL_set_verify(ssl, SSL_VERIFY_PEER, on_verify);
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return numeric ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1
                   : SSL_set1_host(ssl, host) == 1;
}

dyn_err bus_tls_begin(struct bus_tls *tls, struct redisAsyncContext *redis, const char *host)
{
    tls->why[0] = '\0';
    bus_tls_clear();
    SSL *ssl = SSL_new(tls->context);
    if (ssl == NULL) {
        return DYN_NOMEM;
    }
    SSL_set_app_data(ssl, tls);
    if (!host_expect(ssl, host, tls->insecure) || redisInitiateSSL(&redis->c, ssl) != REDIS_OK) {
        SSL_free(ssl);
        return DYN_NOMEM;
    }
    return DYN_OK;
}

void bus_tls_clear(void)
{
    ERR_clear_error();
}

const char *bus_tls_why(const struct bus_tls *tls, const char *words)
{
    return tls != NULL && tls->why[0] != '\0' ? tls->why : words;
}

#else

struct bus_tls *bus_tls_new(const struct bus_access *access, struct dyn_error *error)
{
    (void)access;
    (void)dyn_error_set(error, DYN_UNSUPPORTED,
                        "rediss:// needs TLS, which this build does not have: build where hiredis "
                        "has it (libhiredis-dev 1.0 or later: Debian 13), or put a TLS tunnel "
                        "(stunnel) before Redis and use redis://");
    return NULL;
}

void bus_tls_free(struct bus_tls *tls)
{
    (void)tls;
}

dyn_err bus_tls_begin(struct bus_tls *tls, struct redisAsyncContext *redis, const char *host)
{
    (void)tls;
    (void)redis;
    (void)host;
    return DYN_UNSUPPORTED;
}

void bus_tls_clear(void)
{
}

const char *bus_tls_why(const struct bus_tls *tls, const char *words)
{
    (void)tls;
    return words;
}

#endif
