/*
 * json: reading numbers and text out of answers by JSON pointer (RFC 6901), with bounds. jansson
 * does the parsing; its types appear only in services that build or walk larger documents.
 */
#ifndef DYN_COMMON_JSON_H
#define DYN_COMMON_JSON_H

#include "common/str.h"

#include <jansson.h>

#define DYN_JSON_DEPTH_MAX 64

/**
 * Parse a whole document: bounded depth, no trailing bytes, no duplicate keys. Where an integer is
 * beyond int64, all numbers of the document become reals. NULL, and words in `error` (never bytes
 * of the document), when it is not JSON. The caller owns the result (json_decref). Without memory
 * for it the process ends. The loop thread only: jansson's allocator is everybody's.
 */
json_t *dyn_json_parse(struct dyn_str text, struct dyn_error *error);

/** The value that a pointer names ("" is the whole, "/a/0/b"), borrowed; NULL when there is none.
 */
json_t *dyn_json_at(json_t *root, const char *pointer, struct dyn_error *error);

/**
 * A finite number; a JSON number, or a string that is wholly one when `numeric_strings`.
 * DYN_NOTFOUND when `value` is NULL, DYN_BADMSG when it is no number, DYN_RANGE when not finite.
 */
DYN_NODISCARD dyn_err dyn_json_number(const json_t *value, bool numeric_strings, double *out,
                                      struct dyn_error *error);

#endif
