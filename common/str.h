/*
 * str: text and bytes with their lengths.
 *
 * struct dyn_str is borrowed: it points into something that somebody else owns and lives no
 * longer than that. struct dyn_buf is owned, grows, and is born with a maximum; beyond it every
 * append fails and the buffer remembers that it failed, so that a run of appends needs one check
 * at its end. A dyn_buf's bytes are always NUL-terminated (the NUL is not counted).
 */
#ifndef DYN_COMMON_STR_H
#define DYN_COMMON_STR_H

#include "common/err.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct dyn_str {
    const char *ptr; /* may be NULL only when len is 0; not NUL-terminated */
    size_t len;
};

#define DYN_STR(literal) ((struct dyn_str){(literal), sizeof(literal) - 1})
#define DYN_STR_FMT "%.*s"
#define DYN_STR_ARG(s) (int)(s).len, ((s).ptr != NULL ? (s).ptr : "")

struct dyn_str dyn_str_from(const char *text); /* NULL becomes the empty string */
bool dyn_str_eq(struct dyn_str a, struct dyn_str b);
bool dyn_str_is(struct dyn_str a, const char *text);
bool dyn_str_starts(struct dyn_str s, const char *prefix);
struct dyn_str dyn_str_trim(struct dyn_str s);

/** Whole string, decimal, no sign but '-', no spaces. DYN_BADMSG or DYN_RANGE. */
DYN_NODISCARD dyn_err dyn_str_i64(struct dyn_str s, int64_t *out);
DYN_NODISCARD dyn_err dyn_str_u64(struct dyn_str s, uint64_t *out);
/** Whole string, decimal floating point, in the C locale, finite; no hex, no inf, no nan. */
DYN_NODISCARD dyn_err dyn_str_double(struct dyn_str s, double *out);

/** 64-bit FNV-1a, chained: pass DYN_HASH_SEED first, then the result. Stable across builds. */
#define DYN_HASH_SEED UINT64_C(14695981039346656037)
uint64_t dyn_hash(uint64_t seed, struct dyn_str s);

/**
 * The nearest of `count` names to `word` by edit distance (a swap of neighbours counts one), the
 * first of equals. NULL when none is near: at most a third of the word, but one edit always may be.
 */
const char *dyn_str_nearest(struct dyn_str word, const char *const *names, size_t count);

/** Copy at most size - 1 bytes and a NUL, cutting at a UTF-8 boundary. */
void dyn_str_copy(char *out, size_t size, struct dyn_str s);

struct dyn_buf {
    char *ptr; /* NULL until the first append */
    size_t len;
    size_t cap;
    size_t max;     /* bytes; len never exceeds it */
    dyn_err failed; /* what the first failed append met; later ones fail with it */
};

void dyn_buf_init(struct dyn_buf *buf, size_t max);
void dyn_buf_fini(struct dyn_buf *buf);  /* frees; a second call is harmless */
void dyn_buf_wipe(struct dyn_buf *buf);  /* explicit_bzero, then fini: for secrets */
void dyn_buf_clear(struct dyn_buf *buf); /* keeps the memory, forgets the failure */
dyn_err dyn_buf_add(struct dyn_buf *buf, const void *bytes, size_t len);
dyn_err dyn_buf_add_str(struct dyn_buf *buf, struct dyn_str s);
dyn_err dyn_buf_addf(struct dyn_buf *buf, const char *format, ...) DYN_PRINTF(2, 3);
dyn_err dyn_buf_vaddf(struct dyn_buf *buf, const char *format, va_list args) DYN_PRINTF(2, 0);
/** Make room for `more` bytes and return where they go, or NULL; add them with dyn_buf_commit. */
char *dyn_buf_reserve(struct dyn_buf *buf, size_t more);
void dyn_buf_commit(struct dyn_buf *buf, size_t len);
struct dyn_str dyn_buf_str(const struct dyn_buf *buf);
const char *dyn_buf_text(const struct dyn_buf *buf); /* "" when empty */
/** DYN_OK, or DYN_TOOBIG / DYN_NOMEM when any append failed. What was added before is whole. */
DYN_NODISCARD dyn_err dyn_buf_result(const struct dyn_buf *buf);

#endif
