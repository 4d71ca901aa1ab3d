#include "common/config_internal.h"

#include <math.h>
#include <strings.h>

#define FOUND_MAX 48            /* characters of a wrong value in a message */
#define SECONDS_MAX 315360000.0 /* ten years, where a field has no bound of its own */

/* ---- values ---- */

struct reading {
    struct config_loader *loader;
    const struct config_field *field;
    const struct config_node *node; /* NULL: the built-in default */
    const char *text;
    struct config_value *out;
};

static void range_words(const struct config_field *field, double least, double most, char *out,
                        size_t size)
{
    if (field->min != field->max) {
        least = field->min;
        most = field->max;
    }
    (void)snprintf(out, size, " from %.10g to %.10g", least, most);
}

static const char *expected_words(struct config_loader *loader, const struct config_field *field)
{
    char range[80] = "";
    const char *list = "one of";

    if (field->min != field->max) {
        range_words(field, 0, 0, range, sizeof(range));
    }
    switch (field->type) {
    case CONFIG_BOOL:
        return "true or false";
    case CONFIG_INT:
        return config_arena_printf(loader->arena, "a whole number%s", range);
    case CONFIG_RUNG:
        return config_arena_printf(loader->arena, "a whole number%s, or a plan's name in full",
                                   range);
    case CONFIG_NUMBER:
        return config_arena_printf(loader->arena, "a number%s", range);
    case CONFIG_PERCENT:
        return config_arena_printf(loader->arena, "percent%s, such as 25 or \"25%%\"", range);
    case CONFIG_SECONDS:
        return config_arena_printf(loader->arena, "seconds%s, or such as 90s, 5m, 2h, 1d", range);
    case CONFIG_STRING:
    case CONFIG_SECRET:
        return "a text";
    case CONFIG_STRINGS:
        return "a list of texts";
    case CONFIG_HEADERS:
        return "a map of names to texts";
    case CONFIG_SECTION:
        return "a map or list";
    case CONFIG_ENUM:
        for (size_t i = 0; field->choices[i] != NULL; i++) {
            list = config_arena_printf(loader->arena, "%s%s%s", list, i == 0 ? " " : ", ",
                                       field->choices[i]);
        }
        return list;
    }
    return "another value";
}

/* What stands there; never what a variable or file brought in, and never a secret. */
static const char *found_words(struct config_loader *loader, const struct config_field *field,
                               const struct config_node *node)
{
    char cut[FOUND_MAX];

    if (node->kind != CONFIG_NODE_SCALAR) {
        return node->kind == CONFIG_NODE_LIST ? "a list" : "a map";
    }
    if (node->template != NULL) {
        return config_arena_printf(loader->arena, "what %s holds",
                                   config_template_shown(loader->arena, node->template));
    }
    if (field->type == CONFIG_SECRET || field->type == CONFIG_HEADERS) {
        return "a text";
    }
    if (config_node_is_null(node)) {
        return "nothing";
    }
    dyn_str_copy(cut, sizeof(cut), dyn_str_from(node->text));
    return config_arena_printf(loader->arena, "\"%s\"", cut);
}

static dyn_err wrong(const struct reading *reading)
{
    struct config_loader *loader = reading->loader;
    const char *hint = "";

    DYN_ASSERT(reading->node != NULL); /* our own defaults are right */
    if (reading->field->type == CONFIG_ENUM && reading->node->template == NULL &&
        reading->node->kind == CONFIG_NODE_SCALAR) {
        size_t count = 0;

        while (reading->field->choices[count] != NULL) {
            count++;
        }
        hint =
            config_did_you_mean(loader->arena, reading->node->text, reading->field->choices, count);
    }
    return config_refuse(loader, reading->node, "found %s, expected %s%s",
                         found_words(loader, reading->field, reading->node),
                         expected_words(loader, reading->field), hint);
}

static bool in_range(const struct config_field *field, double value)
{
    return field->min == field->max || (value >= field->min && value <= field->max);
}

static bool bool_parse(const char *text, bool *out)
{
    static const char *const words[] = {"false", "true", "no", "yes", "off", "on"};

    for (size_t i = 0; i < 6; i++) {
        if (strcasecmp(text, words[i]) == 0) {
            *out = i % 2 == 1;
            return true;
        }
    }
    return false;
}

static bool int_parse(const struct config_field *field, const char *text, int64_t *out)
{
    return dyn_str_i64(dyn_str_from(text), out) == DYN_OK && in_range(field, (double)*out);
}

static bool number_parse(const struct config_field *field, struct dyn_str text, double *out)
{
    return dyn_str_double(text, out) == DYN_OK && in_range(field, *out);
}

static bool percent_parse(const struct config_field *field, const char *text, double *out)
{
    struct dyn_str number = dyn_str_from(text);

    if (number.len > 0 && number.ptr[number.len - 1] == '%') {
        number.len--;
    }
    return number_parse(field, number, out);
}

static bool seconds_parse(const struct config_field *field, const char *text, int64_t *out_ms)
{
    static const struct {
        char unit;
        double seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
    struct dyn_str number = dyn_str_from(text);
    double factor = 1;
    double seconds;

    for (size_t i = 0; i < 4 && number.len > 0; i++) {
        if (number.ptr[number.len - 1] == units[i].unit) {
            factor = units[i].seconds;
            number.len--;
            break;
        }
    }
    if (dyn_str_double(number, &seconds) != DYN_OK) {
        return false;
    }
    seconds *= factor;
    if (!in_range(field, seconds) || seconds < 0 || seconds > SECONDS_MAX) {
        return false;
    }
    *out_ms = llround(seconds * 1000);
    return true;
}

static bool enum_parse(const struct config_field *field, const char *text, const char **out)
{
    for (size_t i = 0; field->choices[i] != NULL; i++) {
        if (strcmp(field->choices[i], text) == 0) {
            *out = field->choices[i];
            return true;
        }
    }
    return false;
}

static bool scalar_parse(const struct reading *reading)
{
    const struct config_field *field = reading->field;
    struct config_value *out = reading->out;
    int64_t whole;

    switch (field->type) {
    case CONFIG_BOOL:
        return bool_parse(reading->text, &out->as.b);
    case CONFIG_INT:
        return int_parse(field, reading->text, &out->as.i);
    case CONFIG_NUMBER:
        return number_parse(field, dyn_str_from(reading->text), &out->as.d);
    case CONFIG_PERCENT:
        return percent_parse(field, reading->text, &out->as.d);
    case CONFIG_SECONDS:
        return seconds_parse(field, reading->text, &out->as.i);
    case CONFIG_ENUM:
        return enum_parse(field, reading->text, &out->as.s);
    case CONFIG_RUNG:
        /* A plan's name has a colon; whether there is such a plan, its controller knows. */
        out->as.s = reading->text;
        return int_parse(field, reading->text, &whole) || strchr(reading->text, ':') != NULL;
    case CONFIG_STRING:
        out->as.s = reading->text;
        return true;
    case CONFIG_SECRET:
    case CONFIG_STRINGS:
    case CONFIG_HEADERS:
    case CONFIG_SECTION:
        break;
    }
    dyn_assert_failed("the type is a scalar's", __FILE__, __LINE__, __func__);
}

static void plain_variable(void *arg, const char *name)
{
    struct config_loader *loader = arg;
    struct config_owned *owned = loader->owned;

    for (size_t i = 0; i < owned->plain_variables_count; i++) {
        if (strcmp(owned->plain_variables[i], name) == 0) {
            return;
        }
    }
    owned->plain_variables = config_arena_grow(loader->arena, owned->plain_variables,
                                               owned->plain_variables_count, sizeof(char *));
    owned->plain_variables[owned->plain_variables_count++] =
        config_arena_copy(loader->arena, dyn_str_from(name));
}

/* The text of a scalar that is no secret, its variables and files looked up now. */
static dyn_err node_text(struct config_loader *loader, const struct config_field *field,
                         const struct config_node *node, const char **out)
{
    struct config_secret late = {.template = node->template, .shown = ""};
    struct dyn_error why = {""};
    struct dyn_buf buf;
    dyn_err err;

    if (node->kind != CONFIG_NODE_SCALAR) {
        return wrong(&(struct reading){.loader = loader, .field = field, .node = node});
    }
    if (node->template == NULL) {
        *out = config_arena_copy(loader->arena, dyn_str_from(node->text));
        return DYN_OK;
    }
    config_secret_variables(&late, plain_variable, loader);
    dyn_buf_init(&buf, DYN_SECRET_MAX);
    err = config_template_resolve(node->template, &buf, &why);
    if (err != DYN_OK) {
        err = config_refuse(loader, node, "found no value (%s), expected %s", why.text,
                            expected_words(loader, field));
    } else {
        *out = config_arena_copy(loader->arena, dyn_buf_str(&buf));
    }
    dyn_buf_wipe(&buf);
    return err;
}

/* An address without a password or token is no secret worth a warning. */
static bool worth_hiding(const char *text)
{
    return strstr(text, "://") == NULL || strpbrk(text, "@?") != NULL;
}

static dyn_err secret_read(struct config_loader *loader, const struct config_field *field,
                           const struct config_node *node, struct config_secret *out)
{
    if (node->kind != CONFIG_NODE_SCALAR) {
        return wrong(&(struct reading){.loader = loader, .field = field, .node = node});
    }
    out->template = node->template != NULL ? config_template_copy(loader->arena, node->template)
                                           : config_template_literal(loader->arena, node->text);
    out->shown = config_template_shown(loader->arena, out->template);
    if (node->template == NULL && worth_hiding(node->text) && field->type == CONFIG_SECRET &&
        !field->plain) {
        config_warn(loader, node,
                    "is a secret written in the file; better <%%= ENV['X'] %%>, ${X} or "
                    "${file:/run/secrets/x}");
    }
    return DYN_OK;
}

static dyn_err strings_read(const struct reading *reading)
{
    const struct config_node *node = reading->node;
    const struct config_node *item;
    size_t count = node->kind == CONFIG_NODE_LIST ? node->count : 1;
    const char **items;
    dyn_err err = DYN_OK;

    if (node->kind == CONFIG_NODE_MAP || count == 0) {
        return wrong(reading);
    }
    items = config_arena_alloc(reading->loader->arena, (count + 1) * sizeof(*items));
    item = node->kind == CONFIG_NODE_LIST ? node->first : node;
    for (size_t i = 0; i < count && err == DYN_OK; i++) {
        err = node_text(reading->loader, reading->field, item, &items[i]);
        item = item->next;
    }
    reading->out->as.list.items = items;
    reading->out->as.list.count = count;
    return err;
}

static dyn_err headers_read(const struct reading *reading)
{
    const struct config_node *node = reading->node;
    const char **names;
    struct config_secret *values;
    size_t count = 0;
    dyn_err err = DYN_OK;

    if (node->kind != CONFIG_NODE_MAP) {
        return wrong(reading);
    }
    names = config_arena_alloc(reading->loader->arena, (node->count + 1) * sizeof(*names));
    values = config_arena_alloc(reading->loader->arena, (node->count + 1) * sizeof(*values));
    for (const struct config_node *e = node->first; e != NULL && err == DYN_OK; e = e->next) {
        names[count] = config_arena_copy(reading->loader->arena, dyn_str_from(e->key));
        err = secret_read(reading->loader, reading->field, e, &values[count]);
        count++;
    }
    reading->out->as.headers.names = names;
    reading->out->as.headers.values = values;
    reading->out->as.headers.count = count;
    return err;
}

static dyn_err default_read(struct reading *reading)
{
    const struct config_field *field = reading->field;
    const char *why = NULL;

    if (field->fallback == NULL) {
        return DYN_OK;
    }
    reading->out->given = true;
    if (field->type == CONFIG_SECRET) {
        struct config_secret *secret = &reading->out->as.secret;

        secret->template = config_template_parse(
            reading->loader->arena, dyn_str_from(field->fallback), &(struct config_tags){0}, &why);
        secret->shown = config_template_shown(reading->loader->arena, secret->template);
        return DYN_OK;
    }
    reading->text = field->fallback;
    DYN_ASSERT(scalar_parse(reading));
    return DYN_OK;
}

static dyn_err given_read(struct reading *reading)
{
    dyn_err err;

    reading->out->given = true;
    switch (reading->field->type) {
    case CONFIG_SECRET:
        return secret_read(reading->loader, reading->field, reading->node,
                           &reading->out->as.secret);
    case CONFIG_STRINGS:
        return strings_read(reading);
    case CONFIG_HEADERS:
        return headers_read(reading);
    case CONFIG_BOOL:
    case CONFIG_INT:
    case CONFIG_NUMBER:
    case CONFIG_SECONDS:
    case CONFIG_STRING:
    case CONFIG_ENUM:
    case CONFIG_RUNG:
    case CONFIG_PERCENT:
    case CONFIG_SECTION:
        break;
    }
    err = node_text(reading->loader, reading->field, reading->node, &reading->text);
    if (err != DYN_OK) {
        return err;
    }
    DYN_ASSERT(reading->text != NULL);
    /* As in the original, a variable that is set to nothing leaves the key empty. */
    if (reading->node->template != NULL && reading->text[0] == '\0' && !reading->node->quoted) {
        reading->out->given = false;
        reading->out->origin = (struct config_origin){.level = "built-in"};
        return default_read(reading);
    }
    return scalar_parse(reading) ? DYN_OK : wrong(reading);
}

dyn_err config_value_read(struct config_loader *loader, const struct config_field *field,
                          const struct config_node *node, const char *level,
                          struct config_value *out)
{
    struct config_value value = {.field = field, .origin = {.level = "built-in"}};
    struct reading reading = {.loader = loader, .field = field, .node = node, .out = &value};
    dyn_err err;

    if (node == NULL || config_node_is_null(node) || field->type == CONFIG_SECTION) {
        err = default_read(&reading); /* sections have no value; the loader reads into them */
    } else {
        value.origin = (struct config_origin){node->file, node->line, node->column, level};
        err = given_read(&reading);
    }
    if (err == DYN_OK) {
        *out = value;
    }
    return err;
}

static dyn_err missing(struct config_loader *loader, const struct config_node *map, const char *key,
                       const char *expected)
{
    return config_refuse_at(loader->error, map->file, map->line, map->column, key,
                            "found nothing, expected %s", expected);
}

dyn_err config_options_read(struct config_loader *loader, const struct config_field *fields,
                            const struct config_node *map, const char *level,
                            struct config_options *out)
{
    size_t count = config_fields_count(fields);
    struct config_value *values = config_arena_alloc(loader->arena, (count + 1) * sizeof(*values));

    for (size_t i = 0; i < count; i++) {
        const struct config_node *node = config_node_find(map, &fields[i]);
        dyn_err err = config_value_read(loader, &fields[i], node, level, &values[i]);

        if (err != DYN_OK) {
            return err;
        }
        if (fields[i].required && !values[i].given) {
            return missing(loader, map, fields[i].key, expected_words(loader, &fields[i]));
        }
    }
    *out = (struct config_options){values, count};
    return DYN_OK;
}

dyn_err config_text_required(struct config_loader *loader, const struct config_node *map,
                             const char *key, const char **out)
{
    const struct config_field field = {.key = key, .type = CONFIG_STRING};
    const struct config_node *node = config_node_get(map, key);
    const char *text = NULL;
    dyn_err err;

    if (node == NULL || config_node_is_null(node)) {
        return missing(loader, map, key, "a text");
    }
    err = node_text(loader, &field, node, &text);
    if (err != DYN_OK) {
        return err;
    }
    DYN_ASSERT(text != NULL);
    if (text[0] == '\0') {
        return config_refuse(loader, node, "found an empty text, expected a text");
    }
    *out = text;
    return DYN_OK;
}

const struct config_value *config_option(const struct config_options *options, const char *key)
{
    for (size_t i = 0; i < options->count; i++) {
        if (strcmp(options->values[i].field->key, key) == 0) {
            return &options->values[i];
        }
    }
    dyn_assert_failed("the type's table declares the key", __FILE__, __LINE__, __func__);
}

void config_value_text(const struct config_value *value, struct dyn_buf *out)
{
    switch (value->field->type) {
    case CONFIG_BOOL:
        (void)dyn_buf_addf(out, "%s", value->as.b ? "true" : "false");
        break;
    case CONFIG_INT:
        (void)dyn_buf_addf(out, "%lld", (long long)value->as.i);
        break;
    case CONFIG_NUMBER:
        (void)dyn_buf_addf(out, "%.17g", value->as.d);
        break;
    case CONFIG_PERCENT:
        (void)dyn_buf_addf(out, "%.17g%%", value->as.d);
        break;
    case CONFIG_SECONDS:
        (void)dyn_buf_addf(out, "%.10gs", (double)value->as.i / 1000);
        break;
    case CONFIG_STRING:
    case CONFIG_ENUM:
    case CONFIG_RUNG:
        (void)dyn_buf_addf(out, "%s", value->as.s);
        break;
    case CONFIG_SECRET:
        (void)dyn_buf_addf(out, "%s", value->as.secret.shown);
        break;
    case CONFIG_STRINGS:
        for (size_t i = 0; i < value->as.list.count; i++) {
            (void)dyn_buf_addf(out, "%s%s", i > 0 ? ", " : "", value->as.list.items[i]);
        }
        break;
    case CONFIG_HEADERS:
        for (size_t i = 0; i < value->as.headers.count; i++) {
            (void)dyn_buf_addf(out, "%s%s: %s", i > 0 ? ", " : "", value->as.headers.names[i],
                               value->as.headers.values[i].shown);
        }
        break;
    case CONFIG_SECTION:
        break;
    }
}
