/* Retry-After and the three forms of an HTTP date (RFC 9110, 5.6.7). */
#include "common/http.h"

#include <ctype.h>

/* What is left to read; a failed step leaves `good` false and the later ones do nothing. */
struct date_reader {
    struct dyn_str rest;
    bool good;
};

struct date_parts {
    int64_t year;
    int64_t month; /* 1 to 12 */
    int64_t day;
    int64_t hour;
    int64_t minute;
    int64_t second;
};

static const char *const month_names[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                          "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
static const char *const day_names[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                        "Thursday", "Friday", "Saturday"};

static void reader_skip(struct date_reader *reader, size_t len)
{
    reader->rest.ptr += len;
    reader->rest.len -= len;
}

static void reader_expect(struct date_reader *reader, const char *text)
{
    if (!reader->good || !dyn_str_starts(reader->rest, text)) {
        reader->good = false;
        return;
    }
    reader_skip(reader, strlen(text));
}

/* Exactly `width` digits. */
static int64_t reader_number(struct date_reader *reader, size_t width)
{
    int64_t number = 0;
    if (!reader->good || reader->rest.len < width) {
        reader->good = false;
        return 0;
    }
    for (size_t i = 0; i < width; i++) {
        char digit = reader->rest.ptr[i];
        if (digit < '0' || digit > '9') {
            reader->good = false;
            return 0;
        }
        number = number * 10 + (digit - '0');
    }
    reader_skip(reader, width);
    return number;
}

/* A month's name, as its number from 1. */
static int64_t reader_month(struct date_reader *reader)
{
    for (size_t i = 0; reader->good && i < sizeof(month_names) / sizeof(month_names[0]); i++) {
        if (dyn_str_starts(reader->rest, month_names[i])) {
            reader_skip(reader, 3);
            return (int64_t)i + 1;
        }
    }
    reader->good = false;
    return 0;
}

static void reader_time(struct date_reader *reader, struct date_parts *parts)
{
    parts->hour = reader_number(reader, 2);
    reader_expect(reader, ":");
    parts->minute = reader_number(reader, 2);
    reader_expect(reader, ":");
    parts->second = reader_number(reader, 2);
}

/* The letters of a weekday: its name's length when it is a full or a three-letter name, or 0. */
static size_t weekday_len(struct dyn_str s, bool full)
{
    for (size_t i = 0; i < sizeof(day_names) / sizeof(day_names[0]); i++) {
        size_t len = full ? strlen(day_names[i]) : 3;
        if (s.len > len && memcmp(s.ptr, day_names[i], len) == 0) {
            return len;
        }
    }
    return 0;
}

/* Sun, 06 Nov 1994 08:49:37 GMT */
static void reader_imf(struct date_reader *reader, struct date_parts *parts)
{
    reader_expect(reader, ", ");
    parts->day = reader_number(reader, 2);
    reader_expect(reader, " ");
    parts->month = reader_month(reader);
    reader_expect(reader, " ");
    parts->year = reader_number(reader, 4);
    reader_expect(reader, " ");
    reader_time(reader, parts);
    reader_expect(reader, " GMT");
}

/* Sunday, 06-Nov-94 08:49:37 GMT; the century is the one that makes it at most 50 years ahead. */
static void reader_rfc850(struct date_reader *reader, int64_t year_now, struct date_parts *parts)
{
    reader_expect(reader, ", ");
    parts->day = reader_number(reader, 2);
    reader_expect(reader, "-");
    parts->month = reader_month(reader);
    reader_expect(reader, "-");
    parts->year = year_now - year_now % 100 + reader_number(reader, 2);
    if (parts->year > year_now + 50) {
        parts->year -= 100;
    }
    reader_expect(reader, " ");
    reader_time(reader, parts);
    reader_expect(reader, " GMT");
}

/* Sun Nov  6 08:49:37 1994 */
static void reader_asctime(struct date_reader *reader, struct date_parts *parts)
{
    reader_expect(reader, " ");
    parts->month = reader_month(reader);
    reader_expect(reader, " ");
    if (dyn_str_starts(reader->rest, " ")) {
        reader_expect(reader, " ");
        parts->day = reader_number(reader, 1);
    } else {
        parts->day = reader_number(reader, 2);
    }
    reader_expect(reader, " ");
    reader_time(reader, parts);
    reader_expect(reader, " ");
    parts->year = reader_number(reader, 4);
}

static bool year_is_leap(int64_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int64_t month_days(int64_t year, int64_t month)
{
    static const int64_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return month == 2 && year_is_leap(year) ? 29 : days[month - 1];
}

/* A leap second is allowed and counts as the next minute's first. */
static bool parts_are_valid(const struct date_parts *parts)
{
    return parts->month >= 1 && parts->month <= 12 && parts->day >= 1 &&
           parts->day <= month_days(parts->year, parts->month) && parts->hour <= 23 &&
           parts->minute <= 59 && parts->second <= 60;
}

/* Days from 1970-01-01 to the first of January; years 0 and up. */
static int64_t year_start_days(int64_t year)
{
    int64_t before = year > 0 ? year - 1 : 0; /* whole years since year 0, which was a leap year */
    int64_t leaps = year > 0 ? before / 4 - before / 100 + before / 400 + 1 : 0;
    return year * 365 + leaps - 719528;
}

static int64_t parts_seconds(const struct date_parts *parts)
{
    int64_t days = year_start_days(parts->year) + parts->day - 1;
    for (int64_t month = 1; month < parts->month; month++) {
        days += month_days(parts->year, month);
    }
    return ((days * 24 + parts->hour) * 60 + parts->minute) * 60 + parts->second;
}

/* The calendar year of a moment, for the century of a two-digit one. */
static int64_t year_of(int64_t wall_ms)
{
    int64_t days = wall_ms / (86400 * INT64_C(1000));
    int64_t year = 1970 + days / 366;
    while (year_start_days(year + 1) <= days) {
        year++;
    }
    return year;
}

static dyn_err date_parse(struct dyn_str value, int64_t now_wall_ms, int64_t *out_seconds)
{
    struct date_reader reader = {value, true};
    struct date_parts parts = {0};
    size_t full = weekday_len(value, true);
    size_t brief = weekday_len(value, false);

    if (full > 0) {
        reader_skip(&reader, full);
        reader_rfc850(&reader, year_of(now_wall_ms), &parts);
    } else if (brief > 0 && value.ptr[brief] == ',') {
        reader_skip(&reader, brief);
        reader_imf(&reader, &parts);
    } else if (brief > 0) {
        reader_skip(&reader, brief);
        reader_asctime(&reader, &parts);
    } else {
        return DYN_BADMSG;
    }
    if (!reader.good || reader.rest.len != 0 || !parts_are_valid(&parts)) {
        return DYN_BADMSG;
    }
    *out_seconds = parts_seconds(&parts);
    return DYN_OK;
}

/* Digits only; a number of any length ends at `max_s`. */
static dyn_err delay_parse(struct dyn_str value, int64_t max_s, int64_t *out_s)
{
    uint64_t max = (uint64_t)max_s;
    uint64_t seconds = 0;
    for (size_t i = 0; i < value.len; i++) {
        if (value.ptr[i] < '0' || value.ptr[i] > '9') {
            return DYN_BADMSG;
        }
        seconds = seconds > max / 10 ? max : seconds * 10 + (uint64_t)(value.ptr[i] - '0');
        seconds = seconds > max ? max : seconds;
    }
    *out_s = (int64_t)seconds;
    return DYN_OK;
}

dyn_err http_retry_after(struct dyn_str value, int64_t now_wall_ms, int64_t max_s, int64_t *out_s)
{
    DYN_ASSERT(max_s >= 0);
    DYN_ASSERT(now_wall_ms >= 0);
    struct dyn_str text = dyn_str_trim(value);
    if (text.len == 0) {
        return DYN_BADMSG;
    }
    if (isdigit((unsigned char)text.ptr[0])) {
        return delay_parse(text, max_s, out_s);
    }
    int64_t date_s;
    if (date_parse(text, now_wall_ms, &date_s) != DYN_OK) {
        return DYN_BADMSG;
    }
    /* The present second is cut off, so that the wait is rounded up. */
    int64_t now_s = now_wall_ms / 1000;
    int64_t wait_s = date_s - now_s;
    *out_s = wait_s <= 0 ? 0 : (wait_s > max_s ? max_s : wait_s);
    return DYN_OK;
}
