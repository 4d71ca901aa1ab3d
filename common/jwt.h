/*
 * jwt: signed assertions (RFC 7515, RS256) and the private keys that sign them. Known to jwt.c
 * alone: OpenSSL's keys.
 *
 * Words about a key never hold bytes of it.
 */
#ifndef DYN_COMMON_JWT_H
#define DYN_COMMON_JWT_H

#include "common/str.h"

#define DYN_JWT_KEYFILE_MAX 65536 /* bytes; refused */

struct dyn_jwt_key;

/** An RSA key as PEM; | and \n stand for line ends as well, since a key in one line has none.
 *  DYN_BADMSG: not such a key, or one that needs a passphrase. */
DYN_NODISCARD dyn_err dyn_jwt_key_from_pem(struct dyn_str pem, struct dyn_jwt_key **out,
                                           struct dyn_error *error);
/** The RSA key in a PKCS#12 file; old ciphers need OpenSSL's legacy provider. DYN_NOTFOUND: no such
 *  file; DYN_BADMSG: not such a file, or another passphrase. */
DYN_NODISCARD dyn_err dyn_jwt_key_from_pkcs12(const char *path, const char *passphrase,
                                              struct dyn_jwt_key **out, struct dyn_error *error);
void dyn_jwt_key_free(struct dyn_jwt_key *key); /* NULL is fine */

/** Append HEADER.CLAIMS.SIGNATURE; `claims` is a JSON object as text. */
DYN_NODISCARD dyn_err dyn_jwt_sign(const struct dyn_jwt_key *key, struct dyn_str claims,
                                   struct dyn_buf *out);

/** Append a PEM text in lines: | and \n stand for line ends as well. */
void dyn_pem_lines(struct dyn_buf *out, struct dyn_str pem);

/** Append in the alphabet of URLs, without padding (RFC 4648, 5). */
void dyn_base64url_add(struct dyn_buf *out, struct dyn_str bytes);

#endif
