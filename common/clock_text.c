/* Times as text. Asks no clock. */
#include "common/clock.h"

#include <time.h>

static const int64_t SECONDS_MAX = INT64_C(253402300799); /* 9999-12-31T23:59:59Z */

void dyn_clock_format(int64_t wall_ms, char *out, size_t size)
{
    DYN_ASSERT(size >= 32);
    int64_t seconds = wall_ms > 0 ? wall_ms / 1000 : 0;
    time_t at = (time_t)(seconds < SECONDS_MAX ? seconds : SECONDS_MAX);
    struct tm tm;
    (void)gmtime_r(&at, &tm);
    (void)strftime(out, size, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool char_take(struct dyn_str *s, char c)
{
    if (s->len == 0 || s->ptr[0] != c) {
        return false;
    }
    s->ptr++;
    s->len--;
    return true;
}

/* Exactly `width` digits. */
static bool digits_take(struct dyn_str *s, size_t width, int *out)
{
    int value = 0;
    for (size_t i = 0; i < width; i++) {
        if (i >= s->len || !is_digit(s->ptr[i])) {
            return false;
        }
        value = value * 10 + (s->ptr[i] - '0');
    }
    s->ptr += width;
    s->len -= width;
    *out = value;
    return true;
}

/* Nothing, or '.' and one or more digits of which the first three count. */
static bool fraction_take(struct dyn_str *s, int *out_ms)
{
    int ms = 0;
    if (char_take(s, '.')) {
        int weight = 100;
        if (s->len == 0 || !is_digit(s->ptr[0])) {
            return false;
        }
        while (s->len > 0 && is_digit(s->ptr[0])) {
            ms += (s->ptr[0] - '0') * weight;
            weight /= 10;
            s->ptr++;
            s->len--;
        }
    }
    *out_ms = ms;
    return true;
}

static bool date_take(struct dyn_str *s, struct tm *tm)
{
    return digits_take(s, 4, &tm->tm_year) && char_take(s, '-') && digits_take(s, 2, &tm->tm_mon) &&
           char_take(s, '-') && digits_take(s, 2, &tm->tm_mday);
}

static bool time_take(struct dyn_str *s, struct tm *tm)
{
    return digits_take(s, 2, &tm->tm_hour) && char_take(s, ':') && digits_take(s, 2, &tm->tm_min) &&
           char_take(s, ':') && digits_take(s, 2, &tm->tm_sec);
}

static dyn_err calendar_parse(struct dyn_str s, int64_t *out_wall_ms)
{
    struct tm tm = {0};
    int ms = 0;
    if (!date_take(&s, &tm) || (!char_take(&s, 'T') && !char_take(&s, ' ')) ||
        !time_take(&s, &tm) || !fraction_take(&s, &ms)) {
        return DYN_BADMSG;
    }
    if (s.len != 0 && !dyn_str_is(s, "Z") && !dyn_str_is(s, "+00:00")) {
        return DYN_BADMSG;
    }
    if (tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 59) {
        return DYN_BADMSG;
    }
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    struct tm named = tm;
    time_t seconds = timegm(&tm);
    /* timegm() carries a 31st of February over into March; such a day was a mistake. */
    if (tm.tm_mon != named.tm_mon) {
        return DYN_BADMSG;
    }
    if (named.tm_year < 70) {
        return DYN_RANGE;
    }
    *out_wall_ms = (int64_t)seconds * 1000 + ms;
    return DYN_OK;
}

static dyn_err unix_parse(struct dyn_str s, int64_t *out_wall_ms)
{
    const char *dot = memchr(s.ptr, '.', s.len);
    struct dyn_str whole = {s.ptr, dot != NULL ? (size_t)(dot - s.ptr) : s.len};
    struct dyn_str rest = {s.ptr + whole.len, s.len - whole.len};
    int64_t seconds = 0;
    int ms = 0;
    dyn_err err = dyn_str_i64(whole, &seconds);
    if (err == DYN_BADMSG || !fraction_take(&rest, &ms) || rest.len != 0) {
        return DYN_BADMSG;
    }
    if (err != DYN_OK || s.ptr[0] == '-' || seconds > SECONDS_MAX) {
        return DYN_RANGE;
    }
    *out_wall_ms = seconds * 1000 + ms;
    return DYN_OK;
}

dyn_err dyn_clock_parse(struct dyn_str text, int64_t *out_wall_ms)
{
    if (text.len == 0) {
        return DYN_BADMSG;
    }
    if (text.len > 4 && text.ptr[4] == '-') {
        return calendar_parse(text, out_wall_ms);
    }
    return unix_parse(text, out_wall_ms);
}
