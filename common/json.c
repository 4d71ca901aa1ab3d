#include "common/json.h"

#include <math.h>
#include <stdlib.h>

enum {
    KEY_MAX = 256
}; /* bytes of one part of a pointer; a longer one names nothing */

/* jansson's own bound is 2048, and each level costs it stack. Quoted brackets do not count. */
static bool depth_is_fine(struct dyn_str text)
{
    size_t depth = 0;
    bool quoted = false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (quoted && c == '\\') {
            i++;
        } else if (c == '"') {
            quoted = !quoted;
        } else if (!quoted && (c == '[' || c == '{')) {
            if (++depth > DYN_JSON_DEPTH_MAX) {
                return false;
            }
        } else if (!quoted && (c == ']' || c == '}') && depth > 0) {
            depth--;
        }
    }
    return true;
}

/* jansson does not look whether its buffer of a number or a string could grow (2.14, and others): a
 * number loses a digit, and is another one; of a string without its end it writes on beyond its
 * memory. So it never hears that there is none. */
static void *parse_alloc(size_t size)
{
    void *ptr = malloc(size);
    if (ptr == NULL) {
        dyn_out_of_memory("JSON");
    }
    return ptr;
}

static json_t *document_load(struct dyn_str text, size_t flags, json_error_t *found)
{
    json_malloc_t alloc_before = NULL;
    json_free_t free_before = NULL;
    json_get_alloc_funcs(&alloc_before, &free_before);
    json_set_alloc_funcs(parse_alloc, free);
    json_t *root = json_loadb(text.ptr, text.len, flags, found);
    json_set_alloc_funcs(alloc_before, free_before);
    return root;
}

json_t *dyn_json_parse(struct dyn_str text, struct dyn_error *error)
{
    if (text.len == 0) {
        (void)dyn_error_set(error, DYN_BADMSG, "not JSON: empty");
        return NULL;
    }
    if (!depth_is_fine(text)) {
        (void)dyn_error_set(error, DYN_TOOBIG, "JSON nested deeper than %d", DYN_JSON_DEPTH_MAX);
        return NULL;
    }
    const size_t flags = JSON_REJECT_DUPLICATES | JSON_DECODE_ANY;
    json_error_t found;
    json_t *root = document_load(text, flags, &found);
    if (root == NULL && json_error_code(&found) == json_error_numeric_overflow) {
        root = document_load(text, flags | JSON_DECODE_INT_AS_REAL, &found);
    }
    if (root != NULL) {
        return root;
    }
    /* jansson's own words quote the document, which may hold a secret. */
    const char *why = "not JSON";
    if (json_error_code(&found) == json_error_duplicate_key) {
        why = "JSON with a key that comes twice";
    } else if (json_error_code(&found) == json_error_numeric_overflow) {
        why = "JSON with a number beyond all bounds";
    }
    (void)dyn_error_set(error, DYN_BADMSG, "%s: line %d, column %d", why, found.line, found.column);
    return NULL;
}

/* One part of a pointer, without its '/', with ~1 and ~0 resolved. */
static bool part_decode(struct dyn_str part, char out[KEY_MAX], struct dyn_str *out_key)
{
    size_t len = 0;
    for (size_t i = 0; i < part.len; i++) {
        char c = part.ptr[i];
        if (c == '~') {
            i++;
            if (i == part.len || (part.ptr[i] != '0' && part.ptr[i] != '1')) {
                return false;
            }
            c = part.ptr[i] == '0' ? '~' : '/';
        }
        if (len == KEY_MAX) {
            return false;
        }
        out[len++] = c;
    }
    *out_key = (struct dyn_str){out, len};
    return true;
}

static json_t *member_at(json_t *value, struct dyn_str key)
{
    if (json_is_object(value)) {
        return json_object_getn(value, key.ptr, key.len);
    }
    uint64_t index = 0;
    bool canonical = key.len == 1 || !dyn_str_starts(key, "0");
    if (json_is_array(value) && canonical && dyn_str_u64(key, &index) == DYN_OK) {
        return json_array_get(value, index);
    }
    return NULL;
}

json_t *dyn_json_at(json_t *root, const char *pointer, struct dyn_error *error)
{
    json_t *value = root;
    const char *at = pointer;
    while (value != NULL && *at != '\0') {
        if (*at != '/') {
            (void)dyn_error_set(error, DYN_BADMSG, "pointer %s does not begin with /", pointer);
            return NULL;
        }
        struct dyn_str part = {at + 1, strcspn(at + 1, "/")};
        char bytes[KEY_MAX];
        struct dyn_str key;
        if (!part_decode(part, bytes, &key)) {
            (void)dyn_error_set(error, DYN_BADMSG,
                                "pointer %s: ~ is written ~0, / is written ~1, a part has at most "
                                "%d bytes",
                                pointer, KEY_MAX);
            return NULL;
        }
        value = member_at(value, key);
        at = part.ptr + part.len;
    }
    if (value == NULL) {
        (void)dyn_error_set(error, DYN_NOTFOUND, "nothing at %s (there is no %.*s)", pointer,
                            (int)(at - pointer), pointer);
    }
    return value;
}

static const char *type_name(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
    case JSON_REAL:
        return "a number";
    case JSON_TRUE:
    case JSON_FALSE:
        return "a boolean";
    case JSON_NULL:
        break;
    }
    return "null";
}

dyn_err dyn_json_number(const json_t *value, bool numeric_strings, double *out,
                        struct dyn_error *error)
{
    if (value == NULL) {
        return dyn_error_set(error, DYN_NOTFOUND, "no value where a number was expected");
    }
    double number = 0;
    if (json_is_number(value)) {
        number = json_number_value(value);
    } else if (json_is_string(value) && numeric_strings) {
        struct dyn_str text = {json_string_value(value), json_string_length(value)};
        dyn_err err = dyn_str_double(text, &number);
        if (err != DYN_OK) {
            return dyn_error_set(error, err, "a string that is no finite number");
        }
    } else {
        return dyn_error_set(error, DYN_BADMSG, "%s where a number was expected", type_name(value));
    }
    if (!isfinite(number)) {
        return dyn_error_set(error, DYN_RANGE, "a number that is not finite");
    }
    *out = number;
    return DYN_OK;
}
