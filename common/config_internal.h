/*
 * config_internal: what the config_*.c files share and nobody else includes.
 *
 * The way of a file: bytes -> config_erb.c replaces each ERB tag by a token of the same width
 * -> config_yaml.c makes a tree of marked nodes -> config_load.c reads the tree against the
 * vocabulary of config_types.c, each value by config_value.c -> struct config.
 * A token is text to YAML, so nothing that comes from the environment is ever read as structure.
 */
#ifndef DYN_COMMON_CONFIG_INTERNAL_H
#define DYN_COMMON_CONFIG_INTERNAL_H

#include "common/config.h"

/* ---- memory: everything of one owner, freed at once (config_arena.c) ---- */

struct config_arena {
    struct config_chunk *chunks; /* newest first */
};

/** Zeroed, aligned for anything, never NULL: a start-up without memory ends the program. */
void *config_arena_alloc(struct config_arena *arena, size_t size);
char *config_arena_copy(struct config_arena *arena, struct dyn_str text);
char *config_arena_printf(struct config_arena *arena, const char *format, ...) DYN_PRINTF(2, 3);
/** Room for one more element of a growing array; returns the array, moved when it was full. */
void *config_arena_grow(struct config_arena *arena, void *items, size_t count, size_t size);
void config_arena_fini(struct config_arena *arena);

/* ---- templates (config_erb.c, config_template.c) ---- */

enum config_piece_kind {
    CONFIG_PIECE_LITERAL,
    CONFIG_PIECE_ENV,
    CONFIG_PIECE_FILE
};

struct config_piece {
    enum config_piece_kind kind;
    const char *text;     /* the literal, the variable's name, the file's path */
    const char *fallback; /* NULL: the variable must be set */
    bool when_empty;      /* ${X:-d}: the fallback also stands in for an empty variable */
    bool bars;            /* .gsub("\n", "|") */
};

struct config_template {
    const struct config_piece *pieces;
    size_t count;
};

/*
 * A token: U+E000, five digits, padding, U+E001. Private-use characters are text to YAML wherever
 * they stand, quoted or not, and no file of a person holds them (one that does is refused).
 */
#define CONFIG_TOKEN_BEGIN "\xEE\x80\x80"
#define CONFIG_TOKEN_END "\xEE\x80\x81"
#define CONFIG_TOKEN_MARK 3
#define CONFIG_TOKEN_DIGITS 5

/** Letters, digits and _, no digit first: what ${X} and ENV['X'] may name. */
bool config_variable_ok(struct dyn_str name);

/** The ERB tags of one file, in order; a token in the text names one by its index. */
struct config_tags {
    struct config_piece *items;
    size_t count;
};

/**
 * Copy `text` to `out` with each <%= %> outside comments replaced by a token of as many characters
 * on the same line. Refuses every other use of ERB.
 */
dyn_err config_erb_scan(struct config_arena *arena, const char *file, struct dyn_str text,
                        struct dyn_buf *out, struct config_tags *tags, struct dyn_error *error);
/** Whether the text holds a token or ${: only then it needs a template. */
bool config_template_needed(struct dyn_str text);
/** NULL and a static reason in `why` when the text is malformed. */
const struct config_template *config_template_parse(struct config_arena *arena, struct dyn_str text,
                                                    const struct config_tags *tags,
                                                    const char **why);
const struct config_template *config_template_literal(struct config_arena *arena, const char *text);
const struct config_template *config_template_copy(struct config_arena *arena,
                                                   const struct config_template *from);
const char *config_template_shown(struct config_arena *arena,
                                  const struct config_template *template);
bool config_template_equal(const struct config_template *a, const struct config_template *b);
DYN_NODISCARD dyn_err config_template_resolve(const struct config_template *template,
                                              struct dyn_buf *out, struct dyn_error *error);

/* ---- the tree of one file (config_yaml.c) ---- */

#define CONFIG_NODES_MAX 100000 /* of one file; refused */

enum config_node_kind {
    CONFIG_NODE_SCALAR,
    CONFIG_NODE_LIST,
    CONFIG_NODE_MAP
};

struct config_node {
    enum config_node_kind kind;
    bool quoted;      /* scalars: "" and '' are text, never null */
    const char *file; /* lives as long as the configuration */
    int line, column; /* 1-based */
    const char *key;  /* of an entry of a map; NULL elsewhere */
    int key_line, key_column;
    const char *text;                       /* scalars; NUL-terminated, no NUL inside */
    const struct config_template *template; /* scalars with late parts, else NULL */
    struct config_node *first, *next;       /* children in the file's order; siblings */
    size_t count;
};

struct config_tree {
    const char *file;
    struct config_arena arena;
    struct config_tags tags;
    struct config_node *root; /* a map */
};

/** Build the tree of `text`; config_tree_fini() is owed either way. */
DYN_NODISCARD dyn_err config_tree_parse(struct config_tree *tree, const char *file,
                                        struct dyn_str text, struct dyn_error *error);
void config_tree_fini(struct config_tree *tree);

/* ---- the vocabulary of what is no plugin (config_types.c) ---- */

extern const struct config_field config_keys_root[];     /* version: 2 */
extern const struct config_field config_keys_app[];      /* the original's file; an app's file */
extern const struct config_field config_keys_app_only[]; /* version: 2, an app: account, ... */
extern const struct config_field config_keys_redis[];
extern const struct config_field config_keys_lease[];
extern const struct config_field config_keys_sentinel[]; /* redis.sentinel */
extern const struct config_field config_keys_account[];
extern const struct config_field config_keys_scaler[];
extern const struct config_field config_keys_controller[]; /* name, type, input_plugins */
extern const struct config_field config_keys_input[];      /* name, type */
extern const struct config_field config_keys_conversion[]; /* an input's target, step, ... */
extern const struct config_field config_keys_sink[];       /* name, type */
extern const struct config_field config_policy_app[];
extern const struct config_field config_policy_controller[];
extern const struct config_field config_policy_input[];

extern const struct config_field config_keys_plan_input[]; /* inputs of controllers of plans */

const char *config_kind_section(enum config_kind kind); /* "input_plugins", ... */
size_t config_fields_count(const struct config_field *fields);

/* ---- reading (config_refuse.c, config_value.c) ---- */

#define CONFIG_WARNINGS_MAX 200 /* more are counted, not kept */

struct config_owned {
    struct config config; /* first: config_free() finds the rest from it */
    struct config_arena arena;
    const char **plain_variables; /* read while loading, by every service */
    size_t plain_variables_count;
    size_t warnings_more;
};

#define CONFIG_PLAN_KINDS 2 /* types of controllers that scale plans */

struct config_loader {
    struct config_owned *owned;
    struct config_arena *arena; /* the configuration's */
    struct dyn_error *error;
    const char *directory;       /* real path that includes may not leave; NULL: no includes */
    const char *shown_directory; /* the same as the user wrote it, with '/' behind it, or "" */
    const char *real_file;       /* of the main file, which an include does not bring again */
    size_t files;                /* included so far */
    bool lean;                   /* config_load_lean() */
    int64_t version;
    const struct plan_table *plans[CONFIG_PLAN_KINDS]; /* the file's own; NULL: as built in */
    const struct config_node *defaults;                /* of the main file, or NULL */
    const struct config_node **account_defaults; /* beside config.accounts; entries may be NULL */
};

/** Refuse: file:line:column: key: words. `key` may be NULL. Always DYN_CONFIG. */
dyn_err config_refuse_at(struct dyn_error *error, const char *file, int line, int column,
                         const char *key, const char *format, ...) DYN_PRINTF(6, 7);
/** The same at a value's, or at an entry's key's, place. */
dyn_err config_refuse(struct config_loader *loader, const struct config_node *node,
                      const char *format, ...) DYN_PRINTF(3, 4);
dyn_err config_refuse_key(struct config_loader *loader, const struct config_node *node,
                          const char *format, ...) DYN_PRINTF(3, 4);
void config_warn(struct config_loader *loader, const struct config_node *node, const char *format,
                 ...) DYN_PRINTF(3, 4);

/** An entry of a map by name; NULL when absent or when `map` is NULL. */
const struct config_node *config_node_get(const struct config_node *map, const char *key);
/** By the field's key or an alias; an entry left empty counts as absent. */
const struct config_node *config_node_find(const struct config_node *map,
                                           const struct config_field *field);
bool config_node_is_null(const struct config_node *node);

/**
 * Every key of `map` belongs to one of the `count` tables, and no field is given under two names;
 * aliases are told.
 */
dyn_err config_keys_check(struct config_loader *loader, const struct config_node *map,
                          const struct config_field *const *tables, size_t count);

/** Read `node` as `field` says; NULL: the built-in default, `given` is false when there is none. */
dyn_err config_value_read(struct config_loader *loader, const struct config_field *field,
                          const struct config_node *node, const char *level,
                          struct config_value *out);
/** All fields of a table out of one map; required ones must be there. */
dyn_err config_options_read(struct config_loader *loader, const struct config_field *fields,
                            const struct config_node *map, const char *level,
                            struct config_options *out);
/** A key's text, which must be there. */
dyn_err config_text_required(struct config_loader *loader, const struct config_node *map,
                             const char *key, const char **out);

/* Appends " (did you mean ...)" material: the nearest name, or "" ; lives in the arena. */
const char *config_did_you_mean(struct config_arena *arena, const char *word,
                                const char *const *names, size_t count);

/** Value as `check` prints it and as the hash takes it, secrets as shown. */
void config_value_text(const struct config_value *value, struct dyn_buf *out);

/* ---- the rest ---- */

/** As config_load, from memory; `include` is refused. Also what the fuzzer drives. */
struct config *config_load_text(const char *name, struct dyn_str text, struct dyn_error *error);

/** Read each file that a pattern names and hand its tree over; a file lives for that call only. */
dyn_err config_include(struct config_loader *loader, const struct config_node *pattern,
                       dyn_err (*each)(struct config_loader *loader,
                                       const struct config_node *root));
/** A whole file; `error` says "PATH: why". */
dyn_err config_file_read(const char *path, bool regular_only, struct dyn_buf *out,
                         struct dyn_error *error);

/** The levels that a policy is looked for in, strongest last. */
enum config_level {
    CONFIG_LEVEL_DEFAULTS,
    CONFIG_LEVEL_ACCOUNT,
    CONFIG_LEVEL_APP,
    CONFIG_LEVEL_CONTROLLER,
    CONFIG_LEVEL_INPUT,
    CONFIG_LEVELS
};

struct config_levels {
    const struct config_node *maps[CONFIG_LEVELS]; /* NULL: nothing written there */
    const struct config_node *scaler; /* of the app, or NULL: mode and dry_run may stand there */
};

/** A map of policies: known keys, right values. */
dyn_err config_policies_check(struct config_loader *loader, const struct config_node *map);
dyn_err config_policy_read(struct config_loader *loader, const struct config_levels *levels,
                           const struct config_field *field, struct config_value *out);
/** The strongest level that says something and what it says, or -1 and NULL. */
int config_level_find(const struct config_levels *levels, const struct config_field *field,
                      const struct config_node **out);
/** The field of a table by its key, which must be there. */
const struct config_field *config_field_of(const struct config_field *fields, const char *key);
/** All policies of a table, into `out_values`, which has room for config_fields_count(fields). */
dyn_err config_policies_read(struct config_loader *loader, const struct config_levels *levels,
                             const struct config_field *fields, struct config_value *out_values);
/** Refuse at a value's place, or at `map` when the value is built in. */
dyn_err config_refuse_value(struct config_loader *loader, const struct config_value *value,
                            const struct config_node *map, const char *words);
dyn_err config_name_read(struct config_loader *loader, const struct config_node *map,
                         const char **out);
dyn_err config_inputs_read(struct config_loader *loader, const struct config_node *map,
                           const struct config_levels *levels, struct config_controller *out);
/* What the keys of the input's type must be together, and then its windows (config_source.c). */
dyn_err config_source_check(struct config_loader *loader, const struct config_node *map,
                            const struct config_input *in);
dyn_err config_source_windows_check(struct config_loader *loader, const struct config_node *map,
                                    const struct config_input *in);
/** How values become resources, where the input says it by `target` or `step`: else out->conversion
 *  is CONFIG_PER_RESOURCE (config_conversion.c). */
dyn_err config_conversion_read(struct config_loader *loader, const struct config_node *map,
                               struct config_input *out);
/** The same against what was read later: the window and the controller. */
dyn_err config_conversion_check(struct config_loader *loader, const struct config_node *map,
                                const struct config_input *in,
                                const struct config_controller *controller);
/** The map under `key`, NULL when absent or empty. */
dyn_err config_map_get(struct config_loader *loader, const struct config_node *parent,
                       const char *key, const struct config_node **out);

/* ---- config_plans.c ---- */

/** The keys of one plan of a kind's table; kind < CONFIG_PLAN_KINDS. */
const struct config_field *config_plan_keys(size_t kind);
/** The section `plans` of a fleet's file. */
dyn_err config_plans_read(struct config_loader *loader, const struct config_node *root);
/** The plans that a controller scales; NULL stays where it scales dynos. */
dyn_err config_plans_choose(struct config_loader *loader, const struct config_node *map,
                            struct config_controller *out);
/** What differs from dynos in the policies of a controller of plans, in `values` and `out`. */
dyn_err config_plans_policies_read(struct config_loader *loader, const struct config_node *map,
                                   struct config_value *values, struct config_controller *out);
/** How an input of such a controller turns values into plans. */
dyn_err config_plans_input_read(struct config_loader *loader, const struct config_node *map,
                                const struct config_controller *controller,
                                struct config_input *out);
/** A CONFIG_RUNG as a number: of dynos, or the rung of a plan. */
dyn_err config_rung_read(struct config_loader *loader, const struct config_node *map,
                         const struct config_value *value, const struct plan_table *plans,
                         int32_t *out);
const char *config_measure_text(const struct config_controller *controller,
                                enum plan_measure measure);

/* ---- config_lease.c ---- */

/** `map` NULL: nothing is said, all as built in. */
dyn_err config_lease_read(struct config_loader *loader, const struct config_node *map,
                          struct config_lease *out);
/** The list under `key`, of 1 to `most`. */
dyn_err config_list_get(struct config_loader *loader, const struct config_node *map,
                        const char *key, size_t most, const struct config_node **out);
/** `defaults` may be NULL. The caller has checked the count. */
void config_account_add(struct config_loader *loader, const struct config_account *account,
                        const struct config_node *defaults);
/** One entry of a plugin list: a map whose `type` is known. */
dyn_err config_type_read(struct config_loader *loader, const struct config_node *map,
                         enum config_kind kind, const struct config_type **out);
/** The section `redis`, into the configuration. */
dyn_err config_redis_read(struct config_loader *loader, const struct config_node *root);
dyn_err config_controller_read(struct config_loader *loader, const struct config_node *map,
                               const struct config_levels *above, struct config_controller *out);
/** The sink lists of `map`; `app` as in struct config_sink. */
dyn_err config_sinks_read(struct config_loader *loader, const struct config_node *map, size_t app);
/** One app; `name` from the map of apps, or NULL where scaler must say it. */
dyn_err config_app_read(struct config_loader *loader, const struct config_node *map,
                        const char *name);

/** Ids, partitions, the longest window, the hash: all that follows from the rest. */
void config_derive(struct config *config);
#endif
