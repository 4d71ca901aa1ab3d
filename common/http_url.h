/*
 * http_url: what of a URL must be known before it goes to libcurl.
 *
 * Stricter than RFC 3986, so that no two readers can differ about which host is meant: ASCII
 * only, one '@' at most, no backslash, and hosts of letters, digits, '.', '-', '_' or [IPv6].
 */
#ifndef DYN_COMMON_HTTP_URL_H
#define DYN_COMMON_HTTP_URL_H

#include "common/str.h"

struct http_url {
    bool https;
    bool loopback;         /* localhost, 127.0.0.0/8 or [::1], literally */
    struct dyn_str origin; /* host and port as written, without user information */
    struct dyn_str path;   /* without query and fragment; may be empty */
};

/** The parts point into `url`. DYN_BADMSG: not an absolute http or https URL as described above. */
DYN_NODISCARD dyn_err http_url_parse(struct dyn_str url, struct http_url *out);

#endif
