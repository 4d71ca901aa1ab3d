/*
 * google: what Google's token endpoint and its two realtime APIs are told, and what their answers
 * mean. Pure: time comes in as an argument.
 */
#ifndef DYN_COLLECTOR_GOOGLE_H
#define DYN_COLLECTOR_GOOGLE_H

#include "common/json.h"
#include "common/jwt.h"

#define GOOGLE_TOKEN_MAX 8192      /* bytes; refused */
#define GOOGLE_TOKEN_EARLY_S 60    /* a token is renewed so long before its end */
#define GOOGLE_TOKEN_DEFAULT_S 300 /* when the answer does not say how long it lasts */

/** Append the form that asks for a token. */
DYN_NODISCARD dyn_err google_token_form(const struct dyn_jwt_key *key, const char *email,
                                        const char *token_url, int64_t wall_ms,
                                        struct dyn_buf *out);
/** The token, borrowed from `root`, and for how many seconds it may be used. DYN_BADMSG. */
DYN_NODISCARD dyn_err google_token_read(json_t *root, struct dyn_str *out_token,
                                        int64_t *out_lasts_s, struct dyn_error *error);

/** The body that asks GA4 for the people of the last five minutes. */
struct dyn_str google_report_body(void);
/** Their number; a report without rows is 0. DYN_BADMSG: it is no such report. */
DYN_NODISCARD dyn_err google_report_read(json_t *root, double *out, struct dyn_error *error);
/** The same of the old realtime API (v3). */
DYN_NODISCARD dyn_err google_realtime_read(json_t *root, double *out, struct dyn_error *error);

/** How long the words of a refusal say to wait; 0: they do not speak of a quota. */
int64_t google_quota_wait_ms(json_t *root);

#endif
