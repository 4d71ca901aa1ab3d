#include "common/config_internal.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/*
 * A token: U+E000, five digits, padding, U+E001. Private-use characters are text to YAML wherever
 * they stand, quoted or not, and no file of a person holds them (one that does is refused).
 */
#define TOKEN_BEGIN "\xEE\x80\x80"
#define TOKEN_END "\xEE\x80\x81"
#define TOKEN_MARK 3
#define TOKEN_DIGITS 5
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

static bool variable_ok(struct dyn_str name)
{
    if (name.len == 0 || name.len > DYN_NAME_MAX || isdigit((unsigned char)name.ptr[0])) {
        return false;
    }
    for (size_t i = 0; i < name.len; i++) {
        if (!isalnum((unsigned char)name.ptr[i]) && name.ptr[i] != '_') {
            return false;
        }
    }
    return true;
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
    if (at.ptr != at.end || !variable_ok(name)) {
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
    return scan->at + ahead < scan->text.len ? scan->text.ptr[scan->at + ahead] : '\n';
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
    (void)dyn_buf_addf(scan->out, TOKEN_BEGIN "%05zu", scan->tags->count++);
    for (size_t i = TOKEN_DIGITS + 2; i < width; i++) {
        (void)dyn_buf_add(scan->out, "x", 1);
    }
    (void)dyn_buf_add(scan->out, TOKEN_END, TOKEN_MARK);
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

    if (c == '\n' || c == '[' || c == '{' || c == ',') {
        scan->value_start = true;
    } else if (c == ':' && space_next) {
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
    char before = scan->at > 0 ? scan->text.ptr[scan->at - 1] : '\n';

    if (scan_is(scan, "<%")) {
        return scan_tag(scan);
    }
    if (scan_is(scan, TOKEN_BEGIN) || scan_is(scan, TOKEN_END)) {
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

/* ---- templates ---- */

bool config_template_needed(struct dyn_str text)
{
    return memmem(text.ptr, text.len, TOKEN_BEGIN, TOKEN_MARK) != NULL ||
           memmem(text.ptr, text.len, "${", 2) != NULL;
}

struct parse {
    struct config_arena *arena;
    struct cursor at;
    const struct config_tags *tags;
    struct config_piece *pieces;
    size_t count;
    const char *why;
};

static void piece_add(struct parse *parse, struct config_piece piece)
{
    parse->pieces =
        config_arena_grow(parse->arena, parse->pieces, parse->count, sizeof(struct config_piece));
    parse->pieces[parse->count++] = piece;
}

static void literal_add(struct parse *parse, const char *from, const char *to)
{
    if (to > from) {
        struct dyn_str text = {from, (size_t)(to - from)};

        piece_add(parse, (struct config_piece){.kind = CONFIG_PIECE_LITERAL,
                                               .text = config_arena_copy(parse->arena, text)});
    }
}

static bool token_parse(struct parse *parse)
{
    const char *digits = parse->at.ptr + TOKEN_MARK;
    const char *close =
        memmem(parse->at.ptr, (size_t)(parse->at.end - parse->at.ptr), TOKEN_END, TOKEN_MARK);
    uint64_t index;

    parse->why = "found a private-use character, expected text";
    if (close == NULL || close - digits < TOKEN_DIGITS ||
        dyn_str_u64((struct dyn_str){digits, TOKEN_DIGITS}, &index) != DYN_OK ||
        index >= parse->tags->count) {
        return false;
    }
    piece_add(parse, parse->tags->items[index]);
    parse->at.ptr = close + TOKEN_MARK;
    return true;
}

/* ${X}, ${X:-d} or ${file:PATH}; the cursor stands on the $. */
static bool dollar_parse(struct parse *parse)
{
    const char *from = parse->at.ptr + 2;
    const char *close = memchr(from, '}', (size_t)(parse->at.end - from));
    struct dyn_str inside;
    struct dyn_str name;
    const char *split;
    struct config_piece piece = {.kind = CONFIG_PIECE_ENV};

    parse->why =
        "found ${ that is none of ${X}, ${X:-default}, ${file:PATH}, expected one of these "
        "($${ stands for a plain ${)";
    if (close == NULL) {
        return false;
    }
    inside = (struct dyn_str){from, (size_t)(close - from)};
    name = inside;
    split = memmem(inside.ptr, inside.len, ":-", 2);
    if (dyn_str_starts(inside, "file:/")) {
        struct dyn_str path = {inside.ptr + 5, inside.len - 5};

        piece.kind = CONFIG_PIECE_FILE;
        piece.text = config_arena_copy(parse->arena, path);
    } else {
        if (split != NULL) {
            struct dyn_str fallback = {split + 2, (size_t)(close - split - 2)};

            name.len = (size_t)(split - inside.ptr);
            piece.fallback = config_arena_copy(parse->arena, fallback);
            piece.when_empty = true;
        }
        if (!variable_ok(name)) {
            return false;
        }
        piece.text = config_arena_copy(parse->arena, name);
    }
    piece_add(parse, piece);
    parse->at.ptr = close + 1;
    return true;
}

/* One special thing at the cursor; false when it is malformed. */
static bool special_parse(struct parse *parse)
{
    if (*parse->at.ptr != '$') {
        return token_parse(parse);
    }
    if (parse->at.ptr[1] == '{') {
        return dollar_parse(parse);
    }
    literal_add(parse, parse->at.ptr + 1, parse->at.ptr + 3); /* $${ stands for ${ */
    parse->at.ptr += 3;
    return true;
}

static bool is_special(const struct cursor *at)
{
    size_t left = (size_t)(at->end - at->ptr);

    return (left >= 2 && memcmp(at->ptr, "${", 2) == 0) ||
           (left >= 3 && memcmp(at->ptr, "$${", 3) == 0) ||
           (left >= TOKEN_MARK && memcmp(at->ptr, TOKEN_BEGIN, TOKEN_MARK) == 0);
}

const struct config_template *config_template_parse(struct config_arena *arena, struct dyn_str text,
                                                    const struct config_tags *tags,
                                                    const char **why)
{
    struct parse parse = {
        .arena = arena, .at = {text.ptr, text.ptr + text.len}, .tags = tags, .pieces = NULL};
    const char *from = text.ptr;
    struct config_template *template;

    while (parse.at.ptr < parse.at.end) {
        if (!is_special(&parse.at)) {
            parse.at.ptr++;
            continue;
        }
        literal_add(&parse, from, parse.at.ptr);
        if (!special_parse(&parse)) {
            *why = parse.why;
            return NULL;
        }
        from = parse.at.ptr;
    }
    literal_add(&parse, from, parse.at.end);
    template = config_arena_alloc(arena, sizeof(*template));
    template->pieces = parse.pieces;
    template->count = parse.count;
    return template;
}

const struct config_template *config_template_literal(struct config_arena *arena, const char *text)
{
    struct config_piece *piece = config_arena_alloc(arena, sizeof(*piece));
    struct config_template *template = config_arena_alloc(arena, sizeof(*template));

    piece->kind = CONFIG_PIECE_LITERAL;
    piece->text = config_arena_copy(arena, dyn_str_from(text));
    template->pieces = piece;
    template->count = 1;
    return template;
}

const struct config_template *config_template_copy(struct config_arena *arena,
                                                   const struct config_template *from)
{
    struct config_template *copy = config_arena_alloc(arena, sizeof(*copy));
    struct config_piece *pieces = config_arena_alloc(arena, from->count * sizeof(*pieces));

    for (size_t i = 0; i < from->count; i++) {
        pieces[i] = from->pieces[i];
        pieces[i].text = config_arena_copy(arena, dyn_str_from(from->pieces[i].text));
        if (from->pieces[i].fallback != NULL) {
            pieces[i].fallback = config_arena_copy(arena, dyn_str_from(from->pieces[i].fallback));
        }
    }
    copy->pieces = pieces;
    copy->count = from->count;
    return copy;
}

const char *config_template_shown(struct config_arena *arena,
                                  const struct config_template *template)
{
    const char *shown = "";

    for (size_t i = 0; i < template->count; i++) {
        const struct config_piece *piece = &template->pieces[i];

        if (piece->kind == CONFIG_PIECE_LITERAL) {
            shown = config_arena_printf(arena, "%s<literal>", shown);
        } else if (piece->kind == CONFIG_PIECE_FILE) {
            shown = config_arena_printf(arena, "%s<file %s>", shown, piece->text);
        } else {
            shown = config_arena_printf(arena, "%s<env %s%s>", shown, piece->text,
                                        piece->fallback != NULL ? " or default" : "");
        }
    }
    return shown;
}

bool config_template_is_literal(const struct config_template *template)
{
    return template->count == 1 && template->pieces[0].kind == CONFIG_PIECE_LITERAL;
}

static bool text_equal(const char *a, const char *b)
{
    return (a == NULL) == (b == NULL) && (a == NULL || strcmp(a, b) == 0);
}

bool config_template_equal(const struct config_template *a, const struct config_template *b)
{
    if (a->count != b->count) {
        return false;
    }
    for (size_t i = 0; i < a->count; i++) {
        if (a->pieces[i].kind != b->pieces[i].kind || a->pieces[i].bars != b->pieces[i].bars ||
            !text_equal(a->pieces[i].text, b->pieces[i].text) ||
            !text_equal(a->pieces[i].fallback, b->pieces[i].fallback)) {
            return false;
        }
    }
    return true;
}

/* ---- resolving ---- */

static dyn_err file_resolve(const char *path, struct dyn_buf *out, struct dyn_error *error)
{
    struct dyn_buf content;
    struct dyn_error why = {""};
    dyn_err err;

    dyn_buf_init(&content, DYN_SECRET_MAX);
    err = config_file_read(path, false, &content, &why);
    if (err == DYN_OK) {
        struct dyn_str text = dyn_buf_str(&content);

        /* Files of secrets mostly end in a newline that is no part of the secret. */
        if (text.len > 0 && text.ptr[text.len - 1] == '\n') {
            text.len--;
        }
        err = dyn_buf_add_str(out, text);
    } else {
        err = dyn_error_set(error, DYN_NOTFOUND, "%s", why.text);
    }
    dyn_buf_wipe(&content);
    return err;
}

static dyn_err env_resolve(const struct config_piece *piece, struct dyn_buf *out,
                           struct dyn_error *error)
{
    const char *value = getenv(piece->text);

    if (value == NULL || (piece->when_empty && *value == '\0')) {
        value = piece->fallback;
    }
    if (value == NULL) {
        return dyn_error_set(error, DYN_NOTFOUND, "environment variable %s is not set",
                             piece->text);
    }
    for (; *value != '\0'; value++) {
        char c = piece->bars && *value == '\n' ? '|' : *value;

        (void)dyn_buf_add(out, &c, 1);
    }
    return DYN_OK;
}

static dyn_err piece_resolve(const struct config_piece *piece, struct dyn_buf *out,
                             struct dyn_error *error)
{
    switch (piece->kind) {
    case CONFIG_PIECE_ENV:
        return env_resolve(piece, out, error);
    case CONFIG_PIECE_FILE:
        return file_resolve(piece->text, out, error);
    case CONFIG_PIECE_LITERAL:
        (void)dyn_buf_add_str(out, dyn_str_from(piece->text));
        return DYN_OK;
    }
    return DYN_OK;
}

dyn_err config_template_resolve(const struct config_template *template, struct dyn_buf *out,
                                struct dyn_error *error)
{
    dyn_buf_clear(out);
    for (size_t i = 0; i < template->count; i++) {
        dyn_err err = piece_resolve(&template->pieces[i], out, error);

        if (err != DYN_OK) {
            return err;
        }
    }
    if (dyn_buf_result(out) != DYN_OK || out->len > DYN_SECRET_MAX) {
        return dyn_error_set(error, DYN_NOTFOUND, "the value is longer than %d bytes",
                             DYN_SECRET_MAX);
    }
    return DYN_OK;
}

dyn_err config_secret_resolve(const struct config_secret *secret, struct dyn_buf *out,
                              struct dyn_error *error)
{
    dyn_err err;

    dyn_buf_clear(out);
    if (secret->template == NULL) {
        return dyn_error_set(error, DYN_NOTFOUND, "no value is given");
    }
    err = config_template_resolve(secret->template, out, error);
    if (err == DYN_OK && out->len == 0) {
        return dyn_error_set(error, DYN_NOTFOUND, "%s is empty", secret->shown);
    }
    return err;
}

void config_secret_variables(const struct config_secret *secret,
                             void (*each)(void *arg, const char *name), void *arg)
{
    for (size_t i = 0; secret->template != NULL && i < secret->template->count; i++) {
        if (secret->template->pieces[i].kind == CONFIG_PIECE_ENV) {
            each(arg, secret->template->pieces[i].text);
        }
    }
}
