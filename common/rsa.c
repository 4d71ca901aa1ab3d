#include "common/rsa.h"

#include "common/jwt.h"

#include <openssl/decoder.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#define BITS_MIN 1024
#define PADDING_BYTES 11
#define PEM_MAX 16384

struct dyn_rsa_key {
    EVP_PKEY *pkey;
};

/* Without one OpenSSL asks whoever sits at the terminal. */
static int passphrase_refuse(char *out, size_t size, size_t *out_len, const OSSL_PARAM params[],
                             void *arg)
{
    (void)out;
    (void)size;
    (void)out_len;
    (void)params;
    (void)arg;
    return 0;
}

static EVP_PKEY *pem_decode(struct dyn_str pem)
{
    EVP_PKEY *pkey = NULL;
    const unsigned char *at = (const unsigned char *)pem.ptr;
    size_t left = pem.len;
    /* A selection of 0 takes what is there, public or private. */
    OSSL_DECODER_CTX *context =
        OSSL_DECODER_CTX_new_for_pkey(&pkey, "PEM", NULL, "RSA", 0, NULL, NULL);
    if (context != NULL &&
        (OSSL_DECODER_CTX_set_passphrase_cb(context, passphrase_refuse, NULL) != 1 ||
         OSSL_DECODER_from_data(context, &at, &left) != 1)) {
        EVP_PKEY_free(pkey);
        pkey = NULL;
    }
    OSSL_DECODER_CTX_free(context);
    return pkey;
}

dyn_err dyn_rsa_key_from_pem(struct dyn_str pem, struct dyn_rsa_key **out, struct dyn_error *error)
{
    struct dyn_buf text;
    dyn_buf_init(&text, PEM_MAX);
    dyn_pem_lines(&text, pem);
    EVP_PKEY *pkey = dyn_buf_result(&text) == DYN_OK ? pem_decode(dyn_buf_str(&text)) : NULL;
    dyn_buf_wipe(&text);
    if (pkey == NULL) {
        return dyn_error_set(error, DYN_BADMSG, "holds no RSA public key");
    }
    int bits = EVP_PKEY_get_bits(pkey);
    if (bits < BITS_MIN || bits > DYN_RSA_BYTES_MAX * 8) {
        EVP_PKEY_free(pkey);
        return dyn_error_set(error, DYN_BADMSG, "an RSA key of %d bits: at least %d are wanted",
                             bits, BITS_MIN);
    }
    struct dyn_rsa_key *key = malloc(sizeof *key);
    if (key == NULL) {
        EVP_PKEY_free(pkey);
        return dyn_error_set(error, DYN_NOMEM, "out of memory");
    }
    key->pkey = pkey;
    *out = key;
    return DYN_OK;
}

void dyn_rsa_key_free(struct dyn_rsa_key *key)
{
    if (key != NULL) {
        EVP_PKEY_free(key->pkey);
        free(key);
    }
}

dyn_err dyn_rsa_encrypt(const struct dyn_rsa_key *key, struct dyn_str bytes, struct dyn_buf *out)
{
    size_t len = (size_t)EVP_PKEY_get_size(key->pkey);
    if (bytes.len + PADDING_BYTES > len) {
        return DYN_TOOBIG;
    }
    char *to = dyn_buf_reserve(out, len);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, key->pkey, NULL);
    bool done = to != NULL && context != NULL && EVP_PKEY_encrypt_init(context) == 1 &&
                EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) == 1 &&
                EVP_PKEY_encrypt(context, (unsigned char *)to, &len,
                                 (const unsigned char *)bytes.ptr, bytes.len) == 1;
    EVP_PKEY_CTX_free(context);
    if (!done) {
        return DYN_NOMEM;
    }
    dyn_buf_commit(out, len);
    return DYN_OK;
}
