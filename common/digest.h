/*
 * digest: hashes that others prescribe. Known to digest.c alone: OpenSSL's digests.
 */
#ifndef DYN_COMMON_DIGEST_H
#define DYN_COMMON_DIGEST_H

#include "common/str.h"

#define DYN_SHA256_HEX_SIZE 65 /* 64 digits in lower case and a NUL */

/** SHA-256 as hexadecimal digits. DYN_NOMEM leaves `out` as it was. */
DYN_NODISCARD dyn_err dyn_sha256_hex(struct dyn_str bytes, char out[DYN_SHA256_HEX_SIZE]);

/** HMAC-SHA256 of `bytes` under `key`, as hexadecimal digits. DYN_NOMEM leaves `out` as it was. */
DYN_NODISCARD dyn_err dyn_hmac_sha256_hex(struct dyn_str key, struct dyn_str bytes,
                                          char out[DYN_SHA256_HEX_SIZE]);

#endif
