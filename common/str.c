#include "common/str.h"

#include <errno.h>
#include <limits.h>
#include <locale.h>
#include <math.h>

enum {
    DOUBLE_TEXT_MAX = 512, /* bytes of a number; the largest double has 309 digits */
    NEAREST_MAX = 64,      /* bytes of a word that is compared; longer ones are near to nothing */
    BUF_CAP_MIN = 64
};

struct dyn_str dyn_str_from(const char *text)
{
    return (struct dyn_str){text, text != NULL ? strlen(text) : 0};
}

bool dyn_str_eq(struct dyn_str a, struct dyn_str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

bool dyn_str_is(struct dyn_str a, const char *text)
{
    return dyn_str_eq(a, dyn_str_from(text));
}

bool dyn_str_starts(struct dyn_str s, const char *prefix)
{
    size_t len = strlen(prefix);
    return len == 0 || (s.len >= len && memcmp(s.ptr, prefix, len) == 0);
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

struct dyn_str dyn_str_trim(struct dyn_str s)
{
    while (s.len > 0 && is_space(s.ptr[0])) {
        s.ptr++;
        s.len--;
    }
    while (s.len > 0 && is_space(s.ptr[s.len - 1])) {
        s.len--;
    }
    return s;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

dyn_err dyn_str_u64(struct dyn_str s, uint64_t *out)
{
    if (s.len == 0) {
        return DYN_BADMSG;
    }
    uint64_t value = 0;
    bool over = false;
    for (size_t i = 0; i < s.len; i++) {
        if (!is_digit(s.ptr[i])) {
            return DYN_BADMSG;
        }
        uint64_t digit = (uint64_t)(s.ptr[i] - '0');
        if (value > (UINT64_MAX - digit) / 10) {
            over = true; /* read on: what follows may still be no number at all */
        }
        value = value * 10 + digit;
    }
    if (over) {
        return DYN_RANGE;
    }
    *out = value;
    return DYN_OK;
}

dyn_err dyn_str_i64(struct dyn_str s, int64_t *out)
{
    bool negative = dyn_str_starts(s, "-");
    if (negative) {
        s.ptr++;
        s.len--;
    }
    uint64_t size = 0;
    dyn_err err = dyn_str_u64(s, &size);
    if (err != DYN_OK) {
        return err;
    }
    if (size > (uint64_t)INT64_MAX + (negative ? 1 : 0)) {
        return DYN_RANGE;
    }
    if (!negative) {
        *out = (int64_t)size;
    } else {
        *out = size == 0 ? 0 : -(int64_t)(size - 1) - 1; /* no overflow at INT64_MIN */
    }
    return DYN_OK;
}

static size_t digits_skip(struct dyn_str *s)
{
    size_t count = 0;
    while (s->len > 0 && is_digit(s->ptr[0])) {
        s->ptr++;
        s->len--;
        count++;
    }
    return count;
}

static bool char_skip(struct dyn_str *s, char c)
{
    if (s->len == 0 || s->ptr[0] != c) {
        return false;
    }
    s->ptr++;
    s->len--;
    return true;
}

/* strtod() takes more than decimals (hex, infinities, spaces), so the form is checked first. */
static bool is_decimal(struct dyn_str s)
{
    (void)char_skip(&s, '-');
    size_t digits = digits_skip(&s);
    if (char_skip(&s, '.')) {
        digits += digits_skip(&s);
    }
    if (digits == 0) {
        return false;
    }
    if (char_skip(&s, 'e') || char_skip(&s, 'E')) {
        if (!char_skip(&s, '-')) {
            (void)char_skip(&s, '+');
        }
        if (digits_skip(&s) == 0) {
            return false;
        }
    }
    return s.len == 0;
}

dyn_err dyn_str_double(struct dyn_str s, double *out)
{
    char text[DOUBLE_TEXT_MAX];
    if (s.len >= sizeof text || !is_decimal(s)) {
        return DYN_BADMSG;
    }
    memcpy(text, s.ptr, s.len);
    text[s.len] = '\0';
    /* glibc hands out its own static object for "C": nothing is allocated. */
    locale_t locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (locale == (locale_t)0) {
        return DYN_NOMEM;
    }
    double value = strtod_l(text, NULL, locale);
    freelocale(locale);
    if (!isfinite(value)) {
        return DYN_RANGE;
    }
    *out = value;
    return DYN_OK;
}

uint64_t dyn_hash(uint64_t seed, struct dyn_str s)
{
    uint64_t hash = seed;
    for (size_t i = 0; i < s.len; i++) {
        hash ^= (unsigned char)s.ptr[i];
        hash *= UINT64_C(1099511628211);
    }
    return hash;
}

static size_t min3(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;
    return least < c ? least : c;
}

/* Optimal string alignment: insertions, deletions, substitutions, swaps of neighbours. */
static size_t edit_distance(struct dyn_str a, struct dyn_str b)
{
    size_t rows[3][NEAREST_MAX + 1];
    size_t *before = rows[0];
    size_t *last = rows[1];
    size_t *row = rows[2];
    memset(rows, 0, sizeof rows);
    for (size_t j = 0; j <= b.len; j++) {
        last[j] = j;
    }
    for (size_t i = 1; i <= a.len; i++) {
        row[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            size_t change = a.ptr[i - 1] == b.ptr[j - 1] ? 0 : 1;
            row[j] = min3(last[j] + 1, row[j - 1] + 1, last[j - 1] + change);
            bool swapped =
                i > 1 && j > 1 && a.ptr[i - 1] == b.ptr[j - 2] && a.ptr[i - 2] == b.ptr[j - 1];
            if (swapped && before[j - 2] + 1 < row[j]) {
                row[j] = before[j - 2] + 1;
            }
        }
        size_t *oldest = before;
        before = last;
        last = row;
        row = oldest;
    }
    return last[b.len];
}

const char *dyn_str_nearest(struct dyn_str word, const char *const *names, size_t count)
{
    if (word.len > NEAREST_MAX) {
        return NULL;
    }
    /* One edit is always allowed, but never one that replaces the whole word. */
    size_t near = word.len / 3 > 1 ? word.len / 3 : 1;
    const char *best = NULL;
    for (size_t i = 0; i < count; i++) {
        struct dyn_str name = dyn_str_from(names[i]);
        if (name.len > NEAREST_MAX) {
            continue;
        }
        size_t distance = edit_distance(word, name);
        if (distance == 0) {
            return names[i];
        }
        if (distance <= near && distance < word.len) {
            best = names[i];
            near = distance - 1;
        }
    }
    return best;
}

void dyn_str_copy(char *out, size_t size, struct dyn_str s)
{
    DYN_ASSERT(size > 0);
    size_t len = s.len;
    if (len > size - 1) {
        len = size - 1;
        size_t cut = len;
        for (int back = 0; back < 3 && cut > 0 && ((unsigned char)s.ptr[cut] & 0xC0) == 0x80;
             back++) {
            cut--;
        }
        /* Four continuation bytes in a row are not UTF-8: cut anywhere. */
        if (((unsigned char)s.ptr[cut] & 0xC0) != 0x80) {
            len = cut;
        }
    }
    if (len > 0) {
        memcpy(out, s.ptr, len);
    }
    out[len] = '\0';
}

void dyn_buf_init(struct dyn_buf *buf, size_t max)
{
    DYN_ASSERT(max < SIZE_MAX / 2);
    *buf = (struct dyn_buf){.max = max};
}

void dyn_buf_fini(struct dyn_buf *buf)
{
    free(buf->ptr);
    dyn_buf_init(buf, buf->max);
}

void dyn_buf_wipe(struct dyn_buf *buf)
{
    if (buf->ptr != NULL) {
        explicit_bzero(buf->ptr, buf->cap);
    }
    dyn_buf_fini(buf);
}

void dyn_buf_clear(struct dyn_buf *buf)
{
    buf->len = 0;
    buf->failed = DYN_OK;
    if (buf->ptr != NULL) {
        buf->ptr[0] = '\0';
    }
}

/* realloc() would leave the old bytes in freed memory, and some buffers hold secrets. */
static bool buf_grow(struct dyn_buf *buf, size_t need)
{
    size_t cap = buf->cap * 2 > BUF_CAP_MIN ? buf->cap * 2 : BUF_CAP_MIN;
    if (cap < need) {
        cap = need;
    }
    if (cap > buf->max + 1) {
        cap = buf->max + 1;
    }
    char *ptr = malloc(cap);
    if (ptr == NULL) {
        return false;
    }
    if (buf->ptr != NULL) {
        memcpy(ptr, buf->ptr, buf->len + 1);
        explicit_bzero(buf->ptr, buf->cap);
        free(buf->ptr);
    } else {
        ptr[0] = '\0';
    }
    buf->ptr = ptr;
    buf->cap = cap;
    return true;
}

char *dyn_buf_reserve(struct dyn_buf *buf, size_t more)
{
    DYN_ASSERT(buf->len <= buf->max);
    if (buf->failed != DYN_OK) {
        return NULL;
    }
    if (more > buf->max - buf->len) {
        buf->failed = DYN_TOOBIG;
        return NULL;
    }
    if (buf->len + more + 1 > buf->cap && !buf_grow(buf, buf->len + more + 1)) {
        buf->failed = DYN_NOMEM;
        return NULL;
    }
    return buf->ptr + buf->len;
}

void dyn_buf_commit(struct dyn_buf *buf, size_t len)
{
    DYN_ASSERT(buf->cap > buf->len && len < buf->cap - buf->len);
    buf->len += len;
    buf->ptr[buf->len] = '\0';
}

dyn_err dyn_buf_add(struct dyn_buf *buf, const void *bytes, size_t len)
{
    char *room = dyn_buf_reserve(buf, len);
    if (room == NULL) {
        return buf->failed;
    }
    if (len > 0) {
        memcpy(room, bytes, len);
    }
    dyn_buf_commit(buf, len);
    return DYN_OK;
}

dyn_err dyn_buf_add_str(struct dyn_buf *buf, struct dyn_str s)
{
    return dyn_buf_add(buf, s.ptr, s.len);
}

dyn_err dyn_buf_vaddf(struct dyn_buf *buf, const char *format, va_list args)
{
    va_list measured;
    va_copy(measured, args);
    int len = vsnprintf(NULL, 0, format, measured);
    va_end(measured);
    if (len < 0) {
        buf->failed = buf->failed != DYN_OK ? buf->failed : DYN_BADMSG;
        return buf->failed;
    }
    char *room = dyn_buf_reserve(buf, (size_t)len);
    if (room == NULL) {
        return buf->failed;
    }
    (void)vsnprintf(room, (size_t)len + 1, format, args);
    dyn_buf_commit(buf, (size_t)len);
    return DYN_OK;
}

dyn_err dyn_buf_addf(struct dyn_buf *buf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    dyn_err err = dyn_buf_vaddf(buf, format, args);
    va_end(args);
    return err;
}

struct dyn_str dyn_buf_str(const struct dyn_buf *buf)
{
    return (struct dyn_str){buf->ptr, buf->len};
}

const char *dyn_buf_text(const struct dyn_buf *buf)
{
    return buf->ptr != NULL ? buf->ptr : "";
}

dyn_err dyn_buf_result(const struct dyn_buf *buf)
{
    return buf->failed;
}
