/*
 * redact: words of the outer world as people may see them: one line of ASCII without secrets.
 *
 * Servers quote what they were sent, whole or in part. Each run of REDACT_PART bytes or more that
 * also stands in a secret becomes "[hidden]"; a shorter secret counts as a whole only. White space
 * and control characters become one blank, bytes beyond ASCII a question mark.
 *
 * Threads: any.
 */
#ifndef DYN_COMMON_REDACT_H
#define DYN_COMMON_REDACT_H

#include "common/str.h"

#define REDACT_PART 8
#define REDACT_TEXT_MAX 1024 /* bytes of the text that are looked at */

/** Into `out`, cut to size - 1 bytes, and a NUL. The secrets are borrowed for the call. */
void redact(char *out, size_t size, struct dyn_str text, const struct dyn_str *secrets,
            size_t secrets_count);

#endif
