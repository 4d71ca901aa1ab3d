/*
 * Messages with their place, and the keys of a map against the vocabulary.
 */
#include "common/config_internal.h"

#include <stdarg.h>
#include <strings.h>

/* ---- refusals and warnings ---- */

dyn_err config_refuse_at(struct dyn_error *error, const char *file, int line, int column,
                         const char *key, const char *format, ...)
{
    char words[DYN_ERROR_TEXT_MAX];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(words, sizeof(words), format, args);
    va_end(args);
    return dyn_error_set(error, DYN_CONFIG, "%s:%d:%d: %s%s%s", file, line, column,
                         key != NULL ? key : "", key != NULL ? ": " : "", words);
}

dyn_err config_refuse(struct config_loader *loader, const struct config_node *node,
                      const char *format, ...)
{
    char words[DYN_ERROR_TEXT_MAX];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(words, sizeof(words), format, args);
    va_end(args);
    return config_refuse_at(loader->error, node->file, node->line, node->column, node->key, "%s",
                            words);
}

dyn_err config_refuse_key(struct config_loader *loader, const struct config_node *node,
                          const char *format, ...)
{
    char words[DYN_ERROR_TEXT_MAX];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(words, sizeof(words), format, args);
    va_end(args);
    return config_refuse_at(loader->error, node->file, node->key_line, node->key_column, node->key,
                            "%s", words);
}

void config_warn(struct config_loader *loader, const struct config_node *node, const char *format,
                 ...)
{
    struct config *config = &loader->owned->config;
    char words[DYN_ERROR_TEXT_MAX];
    va_list args;

    if (config->warnings_count == CONFIG_WARNINGS_MAX) {
        loader->owned->warnings_more++;
        return;
    }
    va_start(args, format);
    (void)vsnprintf(words, sizeof(words), format, args);
    va_end(args);
    config->warnings = config_arena_grow(loader->arena, config->warnings, config->warnings_count,
                                         sizeof(*config->warnings));
    config->warnings[config->warnings_count++] = config_arena_printf(
        loader->arena, "%s:%d:%d: %s%s%s", node->file,
        node->key != NULL ? node->key_line : node->line,
        node->key != NULL ? node->key_column : node->column, node->key != NULL ? node->key : "",
        node->key != NULL ? ": " : "", words);
}

const char *config_did_you_mean(struct config_arena *arena, const char *word,
                                const char *const *names, size_t count)
{
    const char *nearest = dyn_str_nearest(dyn_str_from(word), names, count);

    return nearest == NULL ? "" : config_arena_printf(arena, " (did you mean \"%s\"?)", nearest);
}

/* ---- maps ---- */

bool config_node_is_null(const struct config_node *node)
{
    return node->kind == CONFIG_NODE_SCALAR && !node->quoted && node->template == NULL &&
           (node->text[0] == '\0' || strcmp(node->text, "~") == 0 ||
            strcasecmp(node->text, "null") == 0);
}

const struct config_node *config_node_get(const struct config_node *map, const char *key)
{
    const struct config_node *node = map != NULL ? map->first : NULL;

    while (node != NULL && strcmp(node->key, key) != 0) {
        node = node->next;
    }
    return node;
}

static bool field_named(const struct config_field *field, const char *key)
{
    if (strcmp(field->key, key) == 0) {
        return true;
    }
    for (size_t i = 0; i < 3 && field->aliases[i] != NULL; i++) {
        if (strcmp(field->aliases[i], key) == 0) {
            return true;
        }
    }
    return false;
}

const struct config_node *config_node_find(const struct config_node *map,
                                           const struct config_field *field)
{
    const struct config_node *node = map != NULL ? map->first : NULL;

    while (node != NULL && (!field_named(field, node->key) || config_node_is_null(node))) {
        node = node->next;
    }
    return node;
}

#define TABLE_FIELDS_MAX 64 /* of all tables of one map; ours to keep */

static dyn_err key_unknown(struct config_loader *loader, const struct config_node *node,
                           const struct config_field *const *fields, size_t count)
{
    const char *names[TABLE_FIELDS_MAX];

    for (size_t i = 0; i < count; i++) {
        names[i] = fields[i]->key;
    }
    return config_refuse_key(loader, node,
                             "found an unknown key, expected one of the keys for "
                             "this place%s",
                             config_did_you_mean(loader->arena, node->key, names, count));
}

static dyn_err key_check(struct config_loader *loader, const struct config_node *node,
                         const struct config_field *const *fields, size_t count,
                         const struct config_node **seen)
{
    size_t i = 0;

    while (i < count && !field_named(fields[i], node->key)) {
        i++;
    }
    if (i == count) {
        return key_unknown(loader, node, fields, count);
    }
    if (seen[i] != NULL) {
        return config_refuse_key(loader, node,
                                 "found a second name for %s, expected one (also on line %d)",
                                 seen[i]->key, seen[i]->key_line);
    }
    seen[i] = node;
    if (strcmp(fields[i]->key, node->key) != 0) {
        config_warn(loader, node, "is read as %s", fields[i]->key);
    }
    return DYN_OK;
}

dyn_err config_keys_check(struct config_loader *loader, const struct config_node *map,
                          const struct config_field *const *tables, size_t count)
{
    const struct config_field *fields[TABLE_FIELDS_MAX];
    const struct config_node *seen[TABLE_FIELDS_MAX] = {NULL};
    size_t total = 0;

    for (size_t i = 0; i < count; i++) {
        for (const struct config_field *f = tables[i]; f != NULL && f->key != NULL; f++) {
            DYN_ASSERT(total < TABLE_FIELDS_MAX);
            fields[total++] = f;
        }
    }
    for (const struct config_node *node = map->first; node != NULL; node = node->next) {
        dyn_err err = key_check(loader, node, fields, total, seen);

        if (err != DYN_OK) {
            return err;
        }
    }
    return DYN_OK;
}
