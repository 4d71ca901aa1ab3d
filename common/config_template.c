#include "common/config_internal.h"

#include <ctype.h>

struct cursor {
    const char *ptr;
    const char *end;
};

bool config_variable_ok(struct dyn_str name)
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

bool config_template_needed(struct dyn_str text)
{
    return memmem(text.ptr, text.len, CONFIG_TOKEN_BEGIN, CONFIG_TOKEN_MARK) != NULL ||
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
    const char *digits = parse->at.ptr + CONFIG_TOKEN_MARK;
    const char *close = memmem(parse->at.ptr, (size_t)(parse->at.end - parse->at.ptr),
                               CONFIG_TOKEN_END, CONFIG_TOKEN_MARK);
    uint64_t index;

    parse->why = "found a private-use character, expected text";
    if (close == NULL || close - digits < CONFIG_TOKEN_DIGITS ||
        dyn_str_u64((struct dyn_str){digits, CONFIG_TOKEN_DIGITS}, &index) != DYN_OK ||
        index >= parse->tags->count) {
        return false;
    }
    piece_add(parse, parse->tags->items[index]);
    parse->at.ptr = close + CONFIG_TOKEN_MARK;
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
        if (!config_variable_ok(name)) {
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
           (left >= CONFIG_TOKEN_MARK &&
            memcmp(at->ptr, CONFIG_TOKEN_BEGIN, CONFIG_TOKEN_MARK) == 0);
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
        (void)dyn_buf_add(out, piece->bars && *value == '\n' ? "|" : value, 1);
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
