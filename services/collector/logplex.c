#include "collector/logplex.h"

#define LENGTH_DIGITS_MAX 7
#define MS_DIGITS_MAX 9
#define NONE UINT32_MAX

struct frame {
    struct dyn_str time;
    struct dyn_str app;
    struct dyn_str process;
    struct dyn_str message; /* without the line feed at its end */
};

struct request {
    uint32_t status;
    uint32_t connect_ms; /* NONE: it has none */
    uint32_t service_ms;
    struct dyn_str code; /* "" mostly */
};

/* ---- numbers and times ---- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Digits at the start, at most `max` of them; returns how many there are. */
static size_t digits_read(struct dyn_str text, size_t max, uint64_t *out)
{
    uint64_t value = 0;
    size_t len = 0;
    while (len < text.len && len < max && is_digit(text.ptr[len])) {
        value = value * 10 + (uint64_t)(text.ptr[len] - '0');
        len++;
    }
    *out = value;
    return len;
}

/* Exactly `len` digits at `at`; -1: they are not there. */
static int64_t field_read(struct dyn_str text, size_t at, size_t len)
{
    uint64_t value = 0;
    if (at + len > text.len ||
        digits_read((struct dyn_str){text.ptr + at, len}, len, &value) != len) {
        return -1;
    }
    return (int64_t)value;
}

/* Days since 1970 of a date of the Gregorian calendar: years that begin in March end with the
 * day that is not always there. */
static int64_t days_since_1970(int64_t year, int64_t month, int64_t day)
{
    int64_t y = month > 2 ? year : year - 1;
    int64_t m = month > 2 ? month - 3 : month + 9;
    return y * 365 + y / 4 - y / 100 + y / 400 + (m * 153 + 2) / 5 + day - 1 - 719468;
}

static bool date_is_real(int64_t year, int64_t month, int64_t day)
{
    static const int64_t lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (year < 1970 || month < 1 || month > 12 || day < 1) {
        return false;
    }
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return day <= lengths[month - 1] + (month == 2 && leap ? 1 : 0);
}

/* Z, +02:00 or -05:30. */
static dyn_err zone_read(struct dyn_str text, int64_t *out_s)
{
    if (dyn_str_is(text, "Z")) {
        *out_s = 0;
        return DYN_OK;
    }
    int64_t hours = field_read(text, 1, 2);
    int64_t minutes = field_read(text, 4, 2);
    if (text.len != 6 || (text.ptr[0] != '+' && text.ptr[0] != '-') || text.ptr[3] != ':' ||
        hours < 0 || hours > 23 || minutes < 0 || minutes > 59) {
        return DYN_BADMSG;
    }
    *out_s = (hours * 60 + minutes) * (text.ptr[0] == '+' ? 60 : -60);
    return DYN_OK;
}

static bool marks_are(struct dyn_str text)
{
    return text.len >= 20 && text.ptr[4] == '-' && text.ptr[7] == '-' && text.ptr[10] == 'T' &&
           text.ptr[13] == ':' && text.ptr[16] == ':';
}

dyn_err logplex_time(struct dyn_str text, int64_t *out_wall_s)
{
    uint64_t fraction = 0;
    int64_t zone_s = 0;
    if (!marks_are(text)) {
        return DYN_BADMSG;
    }
    int64_t year = field_read(text, 0, 4);
    int64_t month = field_read(text, 5, 2);
    int64_t day = field_read(text, 8, 2);
    int64_t hour = field_read(text, 11, 2);
    int64_t minute = field_read(text, 14, 2);
    int64_t second = field_read(text, 17, 2);
    if (!date_is_real(year, month, day) || hour < 0 || hour > 23 || minute < 0 || minute > 59 ||
        second < 0 || second > 60) {
        return DYN_BADMSG;
    }
    struct dyn_str rest = {text.ptr + 19, text.len - 19};
    if (rest.ptr[0] == '.') {
        size_t len = digits_read((struct dyn_str){rest.ptr + 1, rest.len - 1}, 9, &fraction) + 1;
        rest = (struct dyn_str){rest.ptr + len, rest.len - len};
    }
    if (rest.len == 0 || zone_read(rest, &zone_s) != DYN_OK) {
        return DYN_BADMSG;
    }
    *out_wall_s =
        days_since_1970(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - zone_s;
    return DYN_OK;
}

/* ---- frames ---- */

/* What stands in front of the next space, which is taken away with it. False: no space. */
static bool word_take(struct dyn_str *rest, struct dyn_str *out)
{
    const char *space = rest->len > 0 ? memchr(rest->ptr, ' ', rest->len) : NULL;
    if (space == NULL) {
        return false;
    }
    size_t len = (size_t)(space - rest->ptr);
    *out = (struct dyn_str){rest->ptr, len};
    *rest = (struct dyn_str){space + 1, rest->len - len - 1};
    return true;
}

/* <PRI>1 TIME HOST APP PROCID MSGID MESSAGE */
static bool frame_read(struct dyn_str text, struct frame *out)
{
    struct dyn_str ignored;
    struct frame frame;
    if (!dyn_str_starts(text, "<") || !word_take(&text, &ignored) ||
        !word_take(&text, &frame.time) || !word_take(&text, &ignored) ||
        !word_take(&text, &frame.app) || !word_take(&text, &frame.process) ||
        !word_take(&text, &ignored)) {
        return false;
    }
    frame.message = text;
    if (text.len > 0 && text.ptr[text.len - 1] == '\n') {
        frame.message.len--;
    }
    *out = frame;
    return true;
}

/* ---- a line of the router ---- */

/* The end of a quoted value that begins behind the quote at `at`: the quote that a space or the end
 * follows, since one inside need not be escaped. */
static size_t quote_end(struct dyn_str text, size_t at)
{
    while (at < text.len) {
        const char *quote = memchr(text.ptr + at, '"', text.len - at);
        if (quote == NULL) {
            break;
        }
        at = (size_t)(quote - text.ptr);
        if (at + 1 == text.len || text.ptr[at + 1] == ' ') {
            return at;
        }
        at++;
    }
    return text.len;
}

/* Takes the next pair away; false: there is none. A word without = is a key without a value. */
static bool pair_take(struct dyn_str *rest, struct dyn_str *key, struct dyn_str *value)
{
    size_t at = 0;
    while (at < rest->len && rest->ptr[at] == ' ') {
        at++;
    }
    if (at == rest->len) {
        return false;
    }
    size_t begin = at;
    while (at < rest->len && rest->ptr[at] != '=' && rest->ptr[at] != ' ') {
        at++;
    }
    *key = (struct dyn_str){rest->ptr + begin, at - begin};
    at += at < rest->len && rest->ptr[at] == '=';
    bool quoted = at < rest->len && rest->ptr[at] == '"';
    begin = quoted ? at + 1 : at;
    if (quoted) {
        at = quote_end(*rest, begin);
    } else {
        const char *space = at < rest->len ? memchr(rest->ptr + at, ' ', rest->len - at) : NULL;
        at = space != NULL ? (size_t)(space - rest->ptr) : rest->len;
    }
    *value = (struct dyn_str){rest->ptr + begin, at - begin};
    at += quoted && at < rest->len;
    *rest = (struct dyn_str){rest->ptr + at, rest->len - at};
    return true;
}

/* "18ms" or "18"; NONE: something else, or nothing. */
static uint32_t ms_read(struct dyn_str text)
{
    uint64_t ms = 0;
    size_t len = digits_read(text, MS_DIGITS_MAX, &ms);
    struct dyn_str unit = {text.ptr + len, text.len - len};
    return len > 0 && (unit.len == 0 || dyn_str_is(unit, "ms")) ? (uint32_t)ms : NONE;
}

static struct request request_read(struct dyn_str message)
{
    struct request request = {.connect_ms = NONE, .service_ms = NONE};
    struct dyn_str key;
    struct dyn_str value;
    bool ours = true; /* the client has said nothing yet */
    while (pair_take(&message, &key, &value)) {
        if (dyn_str_is(key, "service")) {
            request.service_ms = ms_read(value);
        } else if (dyn_str_is(key, "connect")) {
            request.connect_ms = ms_read(value);
        } else if (dyn_str_is(key, "status")) {
            request.status = ms_read(value);
        } else if (dyn_str_is(key, "code") && ours) {
            request.code = value;
        } else if (dyn_str_is(key, "path")) {
            ours = false;
        }
    }
    return request;
}

static const char *const no_dyno_asked[] = {"H80", "H81", "H82", NULL};
static const char *const client_left[] = {"H27", "H28", NULL};

static bool code_is_among(struct dyn_str code, const char *const *codes)
{
    for (; code.len > 0 && *codes != NULL; codes++) {
        if (dyn_str_is(code, *codes)) {
            return true;
        }
    }
    return false;
}

static void request_add(struct tally *tally, struct tally_bucket *bucket, struct dyn_str message)
{
    struct request request = request_read(message);
    if (code_is_among(request.code, no_dyno_asked)) {
        return;
    }
    tally->requests++;
    bucket->requests++;
    bucket->errors += request.status >= 500 && request.status <= 599;
    if (request.connect_ms != NONE) {
        histogram_add(&bucket->connect, histogram_bin(request.connect_ms), 1);
    }
    if (request.service_ms != NONE && request.status != 101 &&
        !code_is_among(request.code, client_left)) {
        histogram_add(&bucket->service, histogram_bin(request.service_ms), 1);
    }
}

/* ---- lines that tell of lost ones ---- */

/* "... N messages dropped since TIME.", or lost; false: it says nothing of the kind. */
static bool loss_read(struct dyn_str message, uint64_t *out_count, struct dyn_str *out_since)
{
    static const char words[] = " messages ";
    const char *at = memmem(message.ptr, message.len, words, sizeof words - 1);
    const char *since = memmem(message.ptr, message.len, " since ", 7);
    if (at == NULL || since == NULL) {
        return false;
    }
    const char *digits = at;
    while (digits > message.ptr && is_digit(digits[-1])) {
        digits--;
    }
    if (digits_read((struct dyn_str){digits, (size_t)(at - digits)}, 18, out_count) == 0) {
        return false;
    }
    since += 7;
    *out_since = (struct dyn_str){since, (size_t)(message.ptr + message.len - since)};
    return true;
}

/* 2024-04-26T16:55:49+00:00.275 and a full stop: here the fraction comes last. */
static int64_t since_read(struct dyn_str text, int64_t otherwise_s)
{
    int64_t since_s = otherwise_s;
    struct dyn_str plain = text;
    for (size_t i = 19; i < text.len; i++) {
        if (text.ptr[i] == '.' && text.ptr[19] != '.') {
            plain.len = i;
            break;
        }
    }
    if (plain.len == text.len && text.len > 0 && text.ptr[text.len - 1] == '.') {
        plain.len--;
    }
    if (logplex_time(plain, &since_s) != DYN_OK || since_s > otherwise_s) {
        return otherwise_s;
    }
    return since_s;
}

static void loss_add(struct tally *tally, const struct frame *frame, int64_t wall_s)
{
    uint64_t count = 0;
    struct dyn_str since;
    if (loss_read(frame->message, &count, &since) && count > 0) {
        tally_drop(tally, since_read(since, wall_s), wall_s, count);
    }
}

static bool tells_of_loss(const struct frame *frame)
{
    if (dyn_str_is(frame->process, "logplex")) {
        return dyn_str_is(frame->app, "heroku") && dyn_str_starts(frame->message, "Error L10 ");
    }
    return dyn_str_is(frame->process, "log-shuttle") &&
           (dyn_str_starts(frame->message, "Error L12") ||
            dyn_str_starts(frame->message, "Error L13"));
}

/* ---- all of it ---- */

static void frame_add(struct tally *tally, struct dyn_str text)
{
    struct frame frame;
    int64_t wall_s = 0;
    tally->lines++;
    if (!frame_read(text, &frame) || logplex_time(frame.time, &wall_s) != DYN_OK) {
        tally->strays++;
        return;
    }
    struct tally_bucket *bucket = tally_at(tally, wall_s);
    if (bucket == NULL) {
        tally->strays++;
        return;
    }
    if (tells_of_loss(&frame)) {
        loss_add(tally, &frame, wall_s);
        return;
    }
    bucket->lines++;
    if (dyn_str_is(frame.process, "router") && dyn_str_is(frame.app, "heroku")) {
        request_add(tally, bucket, frame.message);
    }
}

dyn_err logplex_read(struct tally *tally, struct dyn_str body, uint64_t *out_frames)
{
    uint64_t frames = 0;
    while (body.len > 0) {
        uint64_t length = 0;
        size_t digits = digits_read(body, LENGTH_DIGITS_MAX, &length);
        if (digits == 0 || digits == body.len || body.ptr[digits] != ' ' || length == 0 ||
            length > body.len - digits - 1) {
            return DYN_BADMSG;
        }
        const char *text = body.ptr + digits + 1;
        frame_add(tally, (struct dyn_str){text, (size_t)length});
        frames++;
        body.len -= digits + 1 + (size_t)length;
        body.ptr = text + length;
    }
    *out_frames = frames;
    return DYN_OK;
}
