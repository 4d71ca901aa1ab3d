/*
 * rsa: public keys that others gave us to encrypt with. Known to rsa.c alone: OpenSSL's decoders.
 *
 * Words about a key never hold bytes of it.
 */
#ifndef DYN_COMMON_RSA_H
#define DYN_COMMON_RSA_H

#include "common/str.h"

#define DYN_RSA_BYTES_MAX 2048 /* of what was encrypted: a key of 16,384 bits */

struct dyn_rsa_key;

/** As PEM, either form of a public key, or a private one, of which the public half is used; | and
 *  \n stand for line ends as well. DYN_BADMSG: not such a key, or one too short or too long. */
DYN_NODISCARD dyn_err dyn_rsa_key_from_pem(struct dyn_str pem, struct dyn_rsa_key **out,
                                           struct dyn_error *error);
void dyn_rsa_key_free(struct dyn_rsa_key *key); /* NULL is fine */

/** Append `bytes`, encrypted (PKCS#1 v1.5): as many bytes as the key has, never the same twice.
 *  DYN_TOOBIG: more than the key's bytes less 11. */
DYN_NODISCARD dyn_err dyn_rsa_encrypt(const struct dyn_rsa_key *key, struct dyn_str bytes,
                                      struct dyn_buf *out);

#endif
