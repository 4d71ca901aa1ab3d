#include "common/digest.h"

#include <openssl/evp.h>
#include <stdio.h>

#define SHA256_BYTES 32

dyn_err dyn_sha256_hex(struct dyn_str bytes, char out[DYN_SHA256_HEX_SIZE])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    const char *from = bytes.ptr != NULL ? bytes.ptr : "";
    if (EVP_Digest(from, bytes.len, digest, NULL, EVP_sha256(), NULL) != 1) {
        return DYN_NOMEM;
    }
    for (size_t i = 0; i < SHA256_BYTES; i++) {
        (void)snprintf(out + 2 * i, 3, "%02x", digest[i]);
    }
    return DYN_OK;
}
