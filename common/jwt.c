#include "common/jwt.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/provider.h>

#define RSA_BITS_MIN 2048 /* fewer can be broken, and nobody issues them */
#define PEM_MAX 16384

struct dyn_jwt_key {
    EVP_PKEY *pkey;
};

void dyn_base64url_add(struct dyn_buf *out, struct dyn_str bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint32_t bits = 0;
    unsigned held = 0; /* bits of `bits` not yet written */
    for (size_t i = 0; i < bytes.len; i++) {
        bits = bits << 8U | (unsigned char)bytes.ptr[i];
        for (held += 8; held >= 6; held -= 6) {
            (void)dyn_buf_add(out, &digits[bits >> (held - 6) & 63U], 1);
        }
    }
    if (held > 0) {
        (void)dyn_buf_add(out, &digits[bits << (6 - held) & 63U], 1);
    }
}

/* ---- keys ---- */

/* Without one OpenSSL asks whoever sits at the terminal. */
static int passphrase_refuse(char *buffer, int size, int writing, void *arg)
{
    (void)buffer;
    (void)size;
    (void)writing;
    (void)arg;
    return -1;
}

/* Takes `pkey` over, NULL included. */
static dyn_err key_wrap(EVP_PKEY *pkey, struct dyn_jwt_key **out, struct dyn_error *error)
{
    if (pkey == NULL || EVP_PKEY_get_base_id(pkey) != EVP_PKEY_RSA) {
        EVP_PKEY_free(pkey);
        return dyn_error_set(error, DYN_BADMSG, "holds no RSA private key without passphrase");
    }
    if (EVP_PKEY_get_bits(pkey) < RSA_BITS_MIN) {
        EVP_PKEY_free(pkey);
        return dyn_error_set(error, DYN_BADMSG, "an RSA key of fewer than %d bits", RSA_BITS_MIN);
    }
    struct dyn_jwt_key *key = malloc(sizeof *key);
    if (key == NULL) {
        EVP_PKEY_free(pkey);
        return DYN_NOMEM;
    }
    key->pkey = pkey;
    *out = key;
    return DYN_OK;
}

void dyn_pem_lines(struct dyn_buf *out, struct dyn_str pem)
{
    for (size_t i = 0; i < pem.len; i++) {
        bool escaped = pem.ptr[i] == '\\' && i + 1 < pem.len && pem.ptr[i + 1] == 'n';
        (void)dyn_buf_add(out, escaped || pem.ptr[i] == '|' ? "\n" : &pem.ptr[i], 1);
        i += escaped ? 1 : 0;
    }
}

dyn_err dyn_jwt_key_from_pem(struct dyn_str pem, struct dyn_jwt_key **out, struct dyn_error *error)
{
    struct dyn_buf text;
    EVP_PKEY *pkey = NULL;
    dyn_buf_init(&text, PEM_MAX);
    dyn_pem_lines(&text, pem);
    BIO *bio = BIO_new_mem_buf(dyn_buf_text(&text), (int)text.len);
    if (bio != NULL) {
        pkey = PEM_read_bio_PrivateKey(bio, NULL, passphrase_refuse, NULL);
        BIO_free(bio);
    }
    dyn_buf_wipe(&text);
    return key_wrap(pkey, out, error);
}

static dyn_err file_read(const char *path, struct dyn_buf *out, struct dyn_error *error)
{
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return dyn_error_set(error, DYN_NOTFOUND, "keyfile %s cannot be opened", path);
    }
    char *to = dyn_buf_reserve(out, DYN_JWT_KEYFILE_MAX);
    size_t got = to != NULL ? fread(to, 1, DYN_JWT_KEYFILE_MAX, file) : 0;
    bool whole = to != NULL && ferror(file) == 0 && fgetc(file) == EOF;
    (void)fclose(file);
    if (!whole) {
        return dyn_error_set(error, DYN_TOOBIG, "keyfile %s cannot be read, or is too big", path);
    }
    dyn_buf_commit(out, got);
    return DYN_OK;
}

/* The key in a context of its own, which may have the ciphers of old files, brought into the
 * default one. NULL: it cannot be had. */
static EVP_PKEY *pkcs12_open(struct dyn_str bytes, const char *passphrase)
{
    EVP_PKEY *pkey = NULL;
    EVP_PKEY *moved = NULL;
    X509 *certificate = NULL;
    unsigned char *der = NULL;
    OSSL_LIB_CTX *context = OSSL_LIB_CTX_new();
    OSSL_PROVIDER *usual = OSSL_PROVIDER_load(context, "default");
    OSSL_PROVIDER *legacy = OSSL_PROVIDER_load(context, "legacy");
    BIO *bio = BIO_new_mem_buf(bytes.ptr, (int)bytes.len);
    PKCS12 *file = PKCS12_init_ex(NID_pkcs7_data, context, NULL);
    if (bio != NULL && file != NULL && d2i_PKCS12_bio(bio, &file) != NULL &&
        PKCS12_parse(file, passphrase, &pkey, &certificate, NULL) == 1 && pkey != NULL) {
        int len = i2d_PrivateKey(pkey, &der);
        const unsigned char *at = der;
        moved = len > 0 ? d2i_AutoPrivateKey(NULL, &at, len) : NULL;
        OPENSSL_clear_free(der, len > 0 ? (size_t)len : 0);
    }
    EVP_PKEY_free(pkey);
    X509_free(certificate);
    PKCS12_free(file);
    BIO_free(bio);
    OSSL_PROVIDER_unload(legacy);
    OSSL_PROVIDER_unload(usual);
    OSSL_LIB_CTX_free(context);
    return moved;
}

dyn_err dyn_jwt_key_from_pkcs12(const char *path, const char *passphrase, struct dyn_jwt_key **out,
                                struct dyn_error *error)
{
    struct dyn_buf bytes;
    EVP_PKEY *pkey = NULL;
    dyn_buf_init(&bytes, DYN_JWT_KEYFILE_MAX);
    dyn_err err = file_read(path, &bytes, error);
    if (err == DYN_OK) {
        pkey = pkcs12_open(dyn_buf_str(&bytes), passphrase);
        if (pkey == NULL) {
            err = dyn_error_set(error, DYN_BADMSG,
                                "keyfile %s: not PKCS#12, another passphrase, or ciphers that need "
                                "OpenSSL's legacy provider",
                                path);
        }
    }
    dyn_buf_wipe(&bytes);
    return err != DYN_OK ? err : key_wrap(pkey, out, error);
}

void dyn_jwt_key_free(struct dyn_jwt_key *key)
{
    if (key != NULL) {
        EVP_PKEY_free(key->pkey);
        free(key);
    }
}

/* ---- signing ---- */

static dyn_err signature_add(const struct dyn_jwt_key *key, struct dyn_str text,
                             struct dyn_buf *out)
{
    size_t len = 0;
    unsigned char *signature = NULL;
    dyn_err err = DYN_NOMEM;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    const unsigned char *bytes = (const unsigned char *)text.ptr;
    if (context == NULL || EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key->pkey) != 1 ||
        EVP_DigestSign(context, NULL, &len, bytes, text.len) != 1) {
        goto fail;
    }
    signature = malloc(len);
    if (signature == NULL || EVP_DigestSign(context, signature, &len, bytes, text.len) != 1) {
        goto fail;
    }
    (void)dyn_buf_add_str(out, DYN_STR("."));
    dyn_base64url_add(out, (struct dyn_str){(const char *)signature, len});
    err = dyn_buf_result(out);

fail:
    free(signature);
    EVP_MD_CTX_free(context);
    return err;
}

dyn_err dyn_jwt_sign(const struct dyn_jwt_key *key, struct dyn_str claims, struct dyn_buf *out)
{
    size_t from = out->len;
    dyn_base64url_add(out, DYN_STR("{\"alg\":\"RS256\",\"typ\":\"JWT\"}"));
    (void)dyn_buf_add_str(out, DYN_STR("."));
    dyn_base64url_add(out, claims);
    dyn_err err = dyn_buf_result(out);
    if (err != DYN_OK) {
        return err;
    }
    struct dyn_buf text; /* `out` may move while the signature is added */
    dyn_buf_init(&text, out->max);
    (void)dyn_buf_add(&text, out->ptr + from, out->len - from);
    err = dyn_buf_result(&text);
    if (err == DYN_OK) {
        err = signature_add(key, dyn_buf_str(&text), out);
    }
    dyn_buf_wipe(&text);
    return err;
}
