/*
 * ERB tags, found before YAML is read. Where a comment or a quoted text begins is only guessed as
 * YAML would see it: a wrong guess leaves a tag in a text, which config_yaml.c refuses, or reads
 * one in a comment, which YAML drops.
 */
#include "common/config_internal.h"

#include <ctype.h>

#define TAGS_MAX 20000

#define ERB_SUPPORTED                                                         \
    "expected <%%= ENV['X'] %%> or <%%= ENV.fetch('X', 'default') %%>, with " \
    ".gsub(\"\\n\", \"|\") behind it or not"

/* ---- reading what stands in a tag ---- */

struct cursor {
    const char *ptr;
    const char *end;
};

static void spaces_skip(struct cursor *at)
{
    while (at->ptr < at->end && (*at->ptr == ' ' || *at->ptr == '\t')) {
        at->ptr++;
    }
}

static bool text_take(struct cursor *at, const char *text)
{
    size_t len = strlen(text);

    spaces_skip(at);
    if ((size_t)(at->end - at->ptr) < len || memcmp(at->ptr, text, len) != 0) {
        return false;
    }
    at->ptr += len;
    return true;
}

/* 'text' or "text"; no escapes and no interpolation, which would be Ruby's to understand. */
static bool quoted_take(struct cursor *at, struct dyn_str *out)
{
    const char *close;
    char quote;

    spaces_skip(at);
    if (at->ptr == at->end || (*at->ptr != '\'' && *at->ptr != '"')) {
        return false;
    }
    quote = *at->ptr;
    close = memchr(at->ptr + 1, quote, (size_t)(at->end - at->ptr - 1));
    if (close == NULL) {
        return false;
    }
    *out = (struct dyn_str){at->ptr + 1, (size_t)(close - at->ptr - 1)};
    at->ptr = close + 1;
    return memchr(out->ptr, '\\', out->len) == NULL && memmem(out->ptr, out->len, "#{", 2) == NULL;
}

/* A default without quotes: a number, true or false. nil is as good as none. */
static bool bare_take(struct cursor *at, struct dyn_str *out)
{
    const char *from;

    spaces_skip(at);
    from = at->ptr;
    while (at->ptr < at->end && (isalnum((unsigned char)*at->ptr) || *at->ptr == '.' ||
                                 *at->ptr == '-' || *at->ptr == '_')) {
        at->ptr++;
    }
    *out = (struct dyn_str){from, (size_t)(at->ptr - from)};
    if (dyn_str_is(*out, "nil")) {
        *out = (struct dyn_str){"", 0};
        return true;
    }
    return dyn_str_is(*out, "true") || dyn_str_is(*out, "false") ||
           (out->len > 0 && (isdigit((unsigned char)*from) || *from == '-'));
}

static bool gsub_take(struct cursor *at)
{
    return text_take(at, "(") && text_take(at, "\"\\n\"") && text_take(at, ",") &&
           (text_take(at, "\"|\"") || text_take(at, "'|'")) && text_take(at, ")");
}

static bool erb_parse(struct config_arena *arena, struct dyn_str code, struct config_piece *out)
{
    struct cursor at = {code.ptr, code.ptr + code.len};
    struct config_piece piece = {.kind = CONFIG_PIECE_ENV};
    struct dyn_str name = {NULL, 0};
    struct dyn_str fallback;

    if (!text_take(&at, "ENV")) {
        return false;
    }
    if (text_take(&at, "[")) {
        if (!quoted_take(&at, &name) || !text_take(&at, "]")) {
            return false;
        }
    } else if (text_take(&at, ".fetch") && text_take(&at, "(")) {
        if (!quoted_take(&at, &name)) {
            return false;
        }
        if (text_take(&at, ",")) {
            if (!quoted_take(&at, &fallback) && !bare_take(&at, &fallback)) {
                return false;
            }
            piece.fallback = config_arena_copy(arena, fallback);
        }
        if (!text_take(&at, ")")) {
            return false;
        }
    }
    if (text_take(&at, ".gsub")) {
        if (!gsub_take(&at)) {
            return false;
        }
        piece.bars = true;
    }
    spaces_skip(&at);
    if (at.ptr != at.end || !config_variable_ok(name)) {
        return false;
    }
    piece.text = config_arena_copy(arena, name);
    *out = piece;
    return true;
}

/* ---- finding the tags ---- */

enum scan_state {
    SCAN_PLAIN,
    SCAN_SINGLE,
    SCAN_DOUBLE
};

struct scan {
    struct config_arena *arena;
    const char *file;
    struct dyn_str text;
    size_t at;
    int line;
    int column;
    enum scan_state state;
    bool value_start; /* a quote here opens a quoted text; inside a word it is an apostrophe */
    struct dyn_buf *out;
    struct config_tags *tags;
    struct dyn_error *error;
};

static void scan_copy(struct scan *scan)
{
    char c = scan->text.ptr[scan->at];

    (void)dyn_buf_add(scan->out, &c, 1);
    scan->at++;
    if (c == '\n') {
        scan->line++;
        scan->column = 1;
    } else if (((unsigned char)c & 0xC0U) != 0x80U) {
        scan->column++;
    }
}

static char scan_peek(const struct scan *scan, size_t ahead)
{
    if (scan->at + ahead >= scan->text.len) {
        return '\n';
    }
    return scan->text.ptr[scan->at + ahead];
}

static bool scan_is(const struct scan *scan, const char *text)
{
    size_t len = strlen(text);

    return scan->text.len - scan->at >= len && memcmp(scan->text.ptr + scan->at, text, len) == 0;
}

static size_t characters(struct dyn_str text)
{
    size_t count = 0;

    for (size_t i = 0; i < text.len; i++) {
        count += ((unsigned char)text.ptr[i] & 0xC0U) != 0x80U;
    }
    return count;
}

static dyn_err scan_refuse(const struct scan *scan, const char *found)
{
    return config_refuse_at(scan->error, scan->file, scan->line, scan->column, "ERB",
                            "found %s, " ERB_SUPPORTED, found);
}

static dyn_err scan_tag(struct scan *scan)
{
    struct dyn_str rest = {scan->text.ptr + scan->at, scan->text.len - scan->at};
    struct dyn_str tag;
    struct config_piece piece;
    const char *close = memmem(rest.ptr, rest.len, "%>", 2);
    size_t width;

    if (close == NULL) {
        return scan_refuse(scan, "<% without %>");
    }
    tag = (struct dyn_str){rest.ptr, (size_t)(close + 2 - rest.ptr)};
    if (memchr(tag.ptr, '\n', tag.len) != NULL) {
        return scan_refuse(scan, "a tag over several lines");
    }
    if (tag.len < 5 || tag.ptr[2] != '=' ||
        !erb_parse(scan->arena, (struct dyn_str){tag.ptr + 3, tag.len - 5}, &piece)) {
        return scan_refuse(scan, "other Ruby code");
    }
    if (scan->tags->count == TAGS_MAX) {
        return scan_refuse(scan, "more than 20000 tags");
    }
    scan->tags->items =
        config_arena_grow(scan->arena, scan->tags->items, scan->tags->count, sizeof(piece));
    scan->tags->items[scan->tags->count] = piece;
    width = characters(tag);
    (void)dyn_buf_addf(scan->out, CONFIG_TOKEN_BEGIN "%05zu", scan->tags->count++);
    for (size_t i = CONFIG_TOKEN_DIGITS + 2; i < width; i++) {
        (void)dyn_buf_add(scan->out, "x", 1);
    }
    (void)dyn_buf_add(scan->out, CONFIG_TOKEN_END, CONFIG_TOKEN_MARK);
    scan->at += tag.len;
    scan->column += (int)width;
    scan->value_start = false;
    return DYN_OK;
}

static void scan_comment(struct scan *scan)
{
    while (scan->at < scan->text.len && scan->text.ptr[scan->at] != '\n') {
        scan_copy(scan);
    }
}

static void scan_plain(struct scan *scan)
{
    char c = scan_peek(scan, 0);
    char next = scan_peek(scan, 1);
    bool space_next = next == ' ' || next == '\t' || next == '\n' || next == '\r';

    if (c == '\n' || c == '[' || c == '{' || c == ',' || (c == ':' && space_next)) {
        scan->value_start = true;
    } else if ((c == '"' || c == '\'') && scan->value_start) {
        scan->state = c == '"' ? SCAN_DOUBLE : SCAN_SINGLE;
        scan->value_start = false;
    } else if (c != ' ' && c != '\t' && !((c == '-' || c == '?') && space_next)) {
        scan->value_start = false;
    }
    scan_copy(scan);
}

static void scan_quoted(struct scan *scan)
{
    char c = scan_peek(scan, 0);

    if ((scan->state == SCAN_DOUBLE && c == '\\') ||
        (scan->state == SCAN_SINGLE && c == '\'' && scan_peek(scan, 1) == '\'')) {
        scan_copy(scan);
        if (scan->at == scan->text.len || scan_is(scan, "<%")) {
            return;
        }
    } else if (c == (scan->state == SCAN_DOUBLE ? '"' : '\'')) {
        scan->state = SCAN_PLAIN;
    }
    scan_copy(scan);
}

static dyn_err scan_step(struct scan *scan)
{
    char before = '\n';

    if (scan->at > 0) {
        before = scan->text.ptr[scan->at - 1];
    }
    if (scan_is(scan, "<%")) {
        return scan_tag(scan);
    }
    if (scan_is(scan, CONFIG_TOKEN_BEGIN) || scan_is(scan, CONFIG_TOKEN_END)) {
        return config_refuse_at(scan->error, scan->file, scan->line, scan->column, NULL,
                                "found a private-use character, expected text");
    }
    if (scan->state != SCAN_PLAIN) {
        scan_quoted(scan);
    } else if (scan_peek(scan, 0) == '#' && (before == ' ' || before == '\t' || before == '\n')) {
        scan_comment(scan);
    } else {
        scan_plain(scan);
    }
    return DYN_OK;
}

dyn_err config_erb_scan(struct config_arena *arena, const char *file, struct dyn_str text,
                        struct dyn_buf *out, struct config_tags *tags, struct dyn_error *error)
{
    struct scan scan = {.arena = arena,
                        .file = file,
                        .text = text,
                        .line = 1,
                        .column = 1,
                        .value_start = true,
                        .out = out,
                        .tags = tags,
                        .error = error};

    while (scan.at < text.len) {
        dyn_err err = scan_step(&scan);

        if (err != DYN_OK) {
            return err;
        }
    }
    return DYN_OK;
}
