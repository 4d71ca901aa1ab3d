#include "common/digest.h"

#include <limits.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>

#define SHA256_BYTES 32

static void hex_write(const unsigned char *digest, char out[DYN_SHA256_HEX_SIZE])
{
    for (size_t i = 0; i < SHA256_BYTES; i++) {
        (void)snprintf(out + 2 * i, 3, "%02x", digest[i]);
    }
}

dyn_err dyn_sha256_hex(struct dyn_str bytes, char out[DYN_SHA256_HEX_SIZE])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    const char *from = bytes.ptr != NULL ? bytes.ptr : "";
    if (EVP_Digest(from, bytes.len, digest, NULL, EVP_sha256(), NULL) != 1) {
        return DYN_NOMEM;
    }
    hex_write(digest, out);
    return DYN_OK;
}

dyn_err dyn_hmac_sha256_hex(struct dyn_str key, struct dyn_str bytes, char out[DYN_SHA256_HEX_SIZE])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    const char *secret = key.ptr != NULL ? key.ptr : "";
    const char *from = bytes.ptr != NULL ? bytes.ptr : "";
    DYN_ASSERT(key.len <= INT_MAX);
    if (HMAC(EVP_sha256(), secret, (int)key.len, (const unsigned char *)from, bytes.len, digest,
             NULL) == NULL) {
        return DYN_NOMEM;
    }
    hex_write(digest, out);
    return DYN_OK;
}
