/*
 * log: one logfmt line per event on stderr.
 *
 *   ts=2026-01-02T03:04:05Z level=warn service=actuator event=heroku_429 app=shop wait_s=30
 * msg="..."
 *
 * The message of an event is written by the service that decides what to do about it, once.
 * A line that repeats (same level, event and fields) within a minute of its last printing is
 * counted and not printed; the next one that is printed says repeated=COUNT. Secrets never come
 * here. Threads: any, one line is one write.
 */
#ifndef DYN_COMMON_LOG_H
#define DYN_COMMON_LOG_H

#include "common/str.h"

enum dyn_log_level {
    DYN_LOG_DEBUG,
    DYN_LOG_INFO,
    DYN_LOG_WARN,
    DYN_LOG_ERROR
};

void dyn_log_init(const char *service, enum dyn_log_level least);

/**
 * `event` is a short_snake_name; `fields` is a printf format of further ` key=value` pairs and may
 * end in msg="..."; values that may hold spaces or quotes are printed with
 * dyn_log_quoted(). A line break in them becomes a space; a long line is cut.
 */
void dyn_log(enum dyn_log_level level, const char *event, const char *fields, ...) DYN_PRINTF(3, 4);

/**
 * The text as a quoted logfmt value: quotes, backslashes and control characters escaped, cut with
 * "..." when long. It lives in a ring of buffers of this thread; at most 8 in one dyn_log().
 */
const char *dyn_log_quoted(const char *text);

/** Append `key=value ` to `out`, quoted where it must be; nothing when the value is empty. For
 * lines of fields that are not known beforehand; not for text that may be longer than
 * DYN_ERROR_TEXT_MAX.
 */
void dyn_log_field(struct dyn_buf *out, const char *key, struct dyn_str value);

#endif
