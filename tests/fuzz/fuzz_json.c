/* The first line is a JSON pointer, the rest a document: whatever comes, a number that is given is
 * finite, and words about a failure hold none of the document's bytes. */
#include "common/json.h"

#include <math.h>

#define POINTER_MAX 600 /* over the bound of one part */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void number_try(const json_t *value, bool numeric_strings)
{
    struct dyn_error error = {""};
    double number = -1;
    dyn_err err = dyn_json_number(value, numeric_strings, &number, &error);
    if (err == DYN_OK) {
        DYN_ASSERT(isfinite(number));
        DYN_ASSERT(json_is_number(value) || (numeric_strings && json_is_string(value)));
    } else {
        DYN_ASSERT(number >= -1 && number <= -1); /* untouched */
        DYN_ASSERT(error.text[0] != '\0');
        DYN_ASSERT(value != NULL || err == DYN_NOTFOUND);
    }
}

static size_t depth_of(const json_t *value)
{
    size_t deepest = 0;
    size_t index = 0;
    json_t *item = NULL;
    const char *key = NULL;
    if (json_is_array(value)) {
        json_array_foreach(value, index, item)
        {
            size_t depth = depth_of(item);
            deepest = depth > deepest ? depth : deepest;
        }
        return deepest + 1;
    }
    if (json_is_object(value)) {
        json_object_foreach((json_t *)(uintptr_t)value, key, item)
        {
            size_t depth = depth_of(item);
            deepest = depth > deepest ? depth : deepest;
        }
        return deepest + 1;
    }
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char pointer[POINTER_MAX];
    struct dyn_error error = {""};
    const uint8_t *end = size > 0 ? memchr(data, '\n', size) : NULL;
    if (end == NULL || (size_t)(end - data) >= sizeof pointer) {
        return 0;
    }
    dyn_str_copy(pointer, sizeof pointer,
                 (struct dyn_str){(const char *)data, (size_t)(end - data)});
    struct dyn_str document = {(const char *)end + 1, size - (size_t)(end - data) - 1};
    json_t *root = dyn_json_parse(document, &error);
    if (root == NULL) {
        DYN_ASSERT(error.text[0] != '\0');
        return 0;
    }
    DYN_ASSERT(depth_of(root) <= DYN_JSON_DEPTH_MAX);
    json_t *value = dyn_json_at(root, pointer, &error);
    DYN_ASSERT(value != NULL || error.text[0] != '\0');
    DYN_ASSERT(pointer[0] != '\0' || value == root);
    number_try(value, false);
    number_try(value, true);
    json_decref(root);
    return 0;
}
