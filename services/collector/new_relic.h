/*
 * new_relic: what New Relic is asked and what its answers mean, for the sources that ask it. Pure:
 * time comes in as an argument.
 *
 * Agents report once a minute, each at its own second: the newest minute lacks some of them and
 * grows until about a minute after its end. So a figure is the newest one that ended
 * NEW_RELIC_LAG_MS ago or earlier, and one that ended more than NEW_RELIC_AGE_MAX_MS ago is none.
 */
#ifndef DYN_COLLECTOR_NEW_RELIC_H
#define DYN_COLLECTOR_NEW_RELIC_H

#include "common/config.h"
#include "common/json.h"

#define NEW_RELIC_LAG_MS 60000
#define NEW_RELIC_RANGE_MS 300000 /* asked for; REST refuses less than a minute */
#define NEW_RELIC_AGE_MAX_MS 900000

/** Where the API is: `api_url` if given, else by `region`. Without / at its end. */
void new_relic_base(const struct config_options *options, struct dyn_buf *out);
/** The header's name for a key: only user keys begin with NRAK-. */
const char *new_relic_key_header(struct dyn_str key);

/** Append the path and query of a metric's last complete minutes; `kind` is "applications" or
 *  "components". */
void new_relic_metric_path(struct dyn_buf *out, const char *kind, const char *id,
                           const char *metric, const char *value, int64_t wall_ms);
/** The figure in its answer. A call_count is brought to a minute, however long the slice.
 * DYN_BADMSG or DYN_NOTFOUND with words when there is none. */
DYN_NODISCARD dyn_err new_relic_metric_read(json_t *root, const char *metric, const char *value,
                                            int64_t wall_ms, double *out, struct dyn_error *error);

/** Append the body of a NerdGraph request. DYN_NOMEM. */
DYN_NODISCARD dyn_err new_relic_nrql_body(struct dyn_buf *out, const char *account_id,
                                          const char *nrql);
/** The one number in its answer. DYN_NOTFOUND: the query yielded nothing, or null; DYN_REFUSED: the
 *  answer holds errors, whose words are the caller's to find; DYN_BADMSG: another shape. */
DYN_NODISCARD dyn_err new_relic_nrql_read(json_t *root, int64_t wall_ms, double *out,
                                          struct dyn_error *error);

#endif
