/*
 * The one file that knows libyaml. Its event interface only: the document interface resolves
 * aliases (a cycle is one line) and lets duplicate keys pass. Size is bounded before it starts;
 * depth as events come, and it hands out an event after at most 1 KiB of looking ahead, so a file
 * of brackets ends early too.
 */
#include "common/config_internal.h"

#include <yaml.h>

struct builder {
    struct config_tree *tree;
    struct dyn_error *error;
    yaml_parser_t parser;
    struct config_node *stack[DYN_CONFIG_DEPTH_MAX]; /* open lists and maps */
    struct config_node *last[DYN_CONFIG_DEPTH_MAX];  /* their newest child */
    size_t depth;
    struct config_node *pending; /* a map's entry that has its key and waits for its value */
    size_t nodes;
    size_t documents;
};

static dyn_err refuse_mark(struct builder *builder, yaml_mark_t mark, const char *words)
{
    return config_refuse_at(builder->error, builder->tree->file, (int)mark.line + 1,
                            (int)mark.column + 1, NULL, "%s", words);
}

/* A bad byte has no mark, only an offset into the text. */
static dyn_err refuse_reader(struct builder *builder, struct dyn_str text)
{
    size_t end =
        builder->parser.problem_offset < text.len ? builder->parser.problem_offset : text.len;
    int line = 1;
    int column = 1;

    for (size_t i = 0; i < end; i++) {
        column = text.ptr[i] == '\n' ? 1 : column + 1;
        line += text.ptr[i] == '\n';
    }
    return config_refuse_at(builder->error, builder->tree->file, line, column, NULL,
                            "found bytes that are no YAML text (%s), expected UTF-8",
                            builder->parser.problem);
}

static dyn_err refuse_parser(struct builder *builder, struct dyn_str text)
{
    const yaml_parser_t *parser = &builder->parser;

    if (parser->error == YAML_READER_ERROR) {
        return refuse_reader(builder, text);
    }
    return config_refuse_at(builder->error, builder->tree->file, (int)parser->problem_mark.line + 1,
                            (int)parser->problem_mark.column + 1, NULL, "not valid YAML: %s%s%s",
                            parser->problem != NULL ? parser->problem : "no reason given",
                            parser->context != NULL ? ", " : "",
                            parser->context != NULL ? parser->context : "");
}

static bool awaits_key(const struct builder *builder)
{
    return builder->depth > 0 && builder->pending == NULL &&
           builder->stack[builder->depth - 1]->kind == CONFIG_NODE_MAP;
}

static void node_link(struct builder *builder, struct config_node *node)
{
    struct config_node *parent;

    if (builder->depth == 0) {
        builder->tree->root = node;
        return;
    }
    parent = builder->stack[builder->depth - 1];
    if (builder->last[builder->depth - 1] == NULL) {
        parent->first = node;
    } else {
        builder->last[builder->depth - 1]->next = node;
    }
    builder->last[builder->depth - 1] = node;
    parent->count++;
}

/* A node for the value that begins at `mark`: the pending entry of a map, or a new one. */
static struct config_node *node_begin(struct builder *builder, yaml_mark_t mark)
{
    struct config_node *node = builder->pending;

    if (node == NULL) {
        node = config_arena_alloc(&builder->tree->arena, sizeof(*node));
        node_link(builder, node);
        builder->nodes++;
    }
    builder->pending = NULL;
    node->file = builder->tree->file;
    node->line = (int)mark.line + 1;
    node->column = (int)mark.column + 1;
    return node;
}

static dyn_err key_begin(struct builder *builder, const yaml_event_t *event)
{
    struct dyn_str text = {(const char *)event->data.scalar.value, event->data.scalar.length};
    struct config_node *node;

    if (config_template_needed(text)) {
        return refuse_mark(builder, event->start_mark,
                           "found a variable as a key, expected a plain word");
    }
    if (text.len > DYN_NAME_MAX || memchr(text.ptr, '\0', text.len) != NULL) {
        return refuse_mark(builder, event->start_mark,
                           "found a key that is too long or holds a NUL, expected a plain word");
    }
    node = config_arena_alloc(&builder->tree->arena, sizeof(*node));
    node->key = config_arena_copy(&builder->tree->arena, text);
    node->key_line = (int)event->start_mark.line + 1;
    node->key_column = (int)event->start_mark.column + 1;
    node_link(builder, node);
    builder->pending = node;
    builder->nodes++;
    return DYN_OK;
}

static dyn_err scalar_template(struct builder *builder, const yaml_event_t *event,
                               struct dyn_str text, struct config_node *node)
{
    const char *why = NULL;

    if (!config_template_needed(text)) {
        return DYN_OK;
    }
    node->template = config_template_parse(&builder->tree->arena, text, &builder->tree->tags, &why);
    return node->template != NULL ? DYN_OK : refuse_mark(builder, event->start_mark, why);
}

static dyn_err scalar_add(struct builder *builder, const yaml_event_t *event)
{
    struct dyn_str text = {(const char *)event->data.scalar.value, event->data.scalar.length};
    struct config_node *node;

    if (event->data.scalar.tag != NULL) {
        return refuse_mark(builder, event->start_mark,
                           "found a tag (text that begins with !), expected text in quotes");
    }
    if (awaits_key(builder)) {
        return key_begin(builder, event);
    }
    if (memchr(text.ptr, '\0', text.len) != NULL) {
        return refuse_mark(builder, event->start_mark, "found a NUL in a text, expected none");
    }
    if (memmem(text.ptr, text.len, "<%", 2) != NULL) {
        return refuse_mark(builder, event->start_mark,
                           "found an ERB tag behind a # inside text, expected it elsewhere");
    }
    node = node_begin(builder, event->start_mark);
    node->kind = CONFIG_NODE_SCALAR;
    node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    node->text = config_arena_copy(&builder->tree->arena, text);
    return scalar_template(builder, event, text, node);
}

static dyn_err open_add(struct builder *builder, yaml_mark_t mark, enum config_node_kind kind,
                        const unsigned char *tag)
{
    struct config_node *node;

    if (tag != NULL) {
        return refuse_mark(builder, mark,
                           "found a tag (text that begins with !), expected text in quotes");
    }
    if (awaits_key(builder)) {
        return refuse_mark(builder, mark, "found a list or map as a key, expected a plain word");
    }
    if (builder->depth == DYN_CONFIG_DEPTH_MAX) {
        return config_refuse_at(builder->error, builder->tree->file, (int)mark.line + 1,
                                (int)mark.column + 1, NULL,
                                "found more than %d lists and maps inside one another, expected "
                                "at most that",
                                DYN_CONFIG_DEPTH_MAX);
    }
    node = node_begin(builder, mark);
    node->kind = kind;
    builder->stack[builder->depth] = node;
    builder->last[builder->depth] = NULL;
    builder->depth++;
    return DYN_OK;
}

static int compare_keys(const void *a, const void *b)
{
    const struct config_node *left = *(const struct config_node *const *)a;
    const struct config_node *right = *(const struct config_node *const *)b;
    int order = strcmp(left->key, right->key);

    if (order == 0) {
        order = left->key_line != right->key_line ? left->key_line - right->key_line
                                                  : left->key_column - right->key_column;
    }
    return order;
}

/* Sorted, for a map of thousands of apps; comparing each with each would be the quadratic part. */
static dyn_err duplicates_refuse(struct builder *builder, const struct config_node *map)
{
    const struct config_node **sorted;
    size_t count = 0;

    if (map->count < 2) {
        return DYN_OK;
    }
    sorted = config_arena_alloc(&builder->tree->arena, map->count * sizeof(struct config_node *));
    for (const struct config_node *node = map->first; node != NULL; node = node->next) {
        sorted[count++] = node;
    }
    qsort(sorted, count, sizeof(struct config_node *), compare_keys);
    for (size_t i = 1; i < count; i++) {
        if (strcmp(sorted[i - 1]->key, sorted[i]->key) == 0) {
            return config_refuse_at(builder->error, builder->tree->file, sorted[i]->key_line,
                                    sorted[i]->key_column, sorted[i]->key,
                                    "found the key again, expected it once (first on line %d)",
                                    sorted[i - 1]->key_line);
        }
    }
    return DYN_OK;
}

static dyn_err close_add(struct builder *builder)
{
    const struct config_node *node;

    DYN_ASSERT(builder->depth > 0);
    builder->depth--;
    node = builder->stack[builder->depth];
    return node->kind == CONFIG_NODE_MAP ? duplicates_refuse(builder, node) : DYN_OK;
}

static dyn_err anchor_refuse(struct builder *builder, const yaml_event_t *event,
                             const unsigned char *anchor)
{
    if (anchor == NULL) {
        return DYN_OK;
    }
    return refuse_mark(builder, event->start_mark,
                       "found an anchor (text that begins with &), expected text in quotes");
}

static dyn_err event_add(struct builder *builder, const yaml_event_t *event)
{
    dyn_err err = DYN_OK;

    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        builder->documents++;
        return builder->documents == 1 ? DYN_OK
                                       : refuse_mark(builder, event->start_mark,
                                                     "found a second document (---), expected one");
    case YAML_ALIAS_EVENT:
        return refuse_mark(builder, event->start_mark,
                           "found an alias (text that begins with *), expected text in quotes");
    case YAML_SCALAR_EVENT:
        err = anchor_refuse(builder, event, event->data.scalar.anchor);
        return err != DYN_OK ? err : scalar_add(builder, event);
    case YAML_SEQUENCE_START_EVENT:
        err = anchor_refuse(builder, event, event->data.sequence_start.anchor);
        return err != DYN_OK ? err
                             : open_add(builder, event->start_mark, CONFIG_NODE_LIST,
                                        event->data.sequence_start.tag);
    case YAML_MAPPING_START_EVENT:
        err = anchor_refuse(builder, event, event->data.mapping_start.anchor);
        return err != DYN_OK ? err
                             : open_add(builder, event->start_mark, CONFIG_NODE_MAP,
                                        event->data.mapping_start.tag);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        return close_add(builder);
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_STREAM_END_EVENT:
    case YAML_DOCUMENT_END_EVENT:
        return DYN_OK;
    }
    return DYN_OK;
}

static dyn_err events_read(struct builder *builder, struct dyn_str text)
{
    bool end = false;

    while (!end) {
        yaml_event_t event;
        dyn_err err;

        if (!yaml_parser_parse(&builder->parser, &event)) {
            return refuse_parser(builder, text);
        }
        end = event.type == YAML_STREAM_END_EVENT;
        err = event_add(builder, &event);
        if (err == DYN_OK && builder->nodes > CONFIG_NODES_MAX) {
            err = refuse_mark(builder, event.start_mark,
                              "found more than 100000 values, expected a smaller file");
        }
        yaml_event_delete(&event);
        if (err != DYN_OK) {
            return err;
        }
    }
    return DYN_OK;
}

static dyn_err yaml_read(struct config_tree *tree, struct dyn_str text, struct dyn_error *error)
{
    struct builder builder = {.tree = tree, .error = error};
    dyn_err err;

    if (!yaml_parser_initialize(&builder.parser)) {
        return dyn_error_set(error, DYN_NOMEM, "%s: out of memory", tree->file);
    }
    yaml_parser_set_encoding(&builder.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&builder.parser,
                                 (const unsigned char *)(text.len > 0 ? text.ptr : ""), text.len);
    err = events_read(&builder, text);
    yaml_parser_delete(&builder.parser);
    return err;
}

static dyn_err root_check(const struct config_tree *tree, struct dyn_error *error)
{
    const struct config_node *root = tree->root;

    if (root == NULL || config_node_is_null(root)) {
        return config_refuse_at(error, tree->file, 1, 1, NULL,
                                "found an empty file, expected scaler and controller_plugins, or "
                                "version: 2 and apps");
    }
    if (root->kind != CONFIG_NODE_MAP) {
        return config_refuse_at(error, tree->file, root->line, root->column, NULL,
                                "found %s, expected keys such as scaler and controller_plugins",
                                root->kind == CONFIG_NODE_LIST ? "a list" : "a text");
    }
    return DYN_OK;
}

dyn_err config_tree_parse(struct config_tree *tree, const char *file, struct dyn_str text,
                          struct dyn_error *error)
{
    struct dyn_buf scanned;
    dyn_err err;

    *tree = (struct config_tree){.file = file};
    if (text.len > DYN_CONFIG_FILE_MAX) {
        return config_refuse_at(error, file, 1, 1, NULL,
                                "found more than %d bytes, expected a smaller file (include "
                                "brings in others)",
                                DYN_CONFIG_FILE_MAX);
    }
    /* A token is longer in bytes than its tag by the six bytes of its two marks at most. */
    dyn_buf_init(&scanned, (size_t)DYN_CONFIG_FILE_MAX * 2);
    err = config_erb_scan(&tree->arena, file, text, &scanned, &tree->tags, error);
    if (err == DYN_OK) {
        err = dyn_buf_result(&scanned);
    }
    if (err == DYN_OK) {
        err = yaml_read(tree, dyn_buf_str(&scanned), error);
    }
    if (err == DYN_OK) {
        err = root_check(tree, error);
    }
    dyn_buf_wipe(&scanned);
    return err;
}

void config_tree_fini(struct config_tree *tree)
{
    config_arena_fini(&tree->arena);
}
