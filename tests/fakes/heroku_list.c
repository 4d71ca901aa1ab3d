#include "heroku_api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_DEFAULT 200
#define PAGE_MAX 1000

struct range {
    char field[16];
    char from[WORD_SIZE];
    char to[WORD_SIZE];
    bool exclusive;
    bool descending;
    long max;
};

static bool field_known(const char *field)
{
    return strcmp(field, "id") == 0 || strcmp(field, "name") == 0 ||
           strcmp(field, "updated_at") == 0;
}

/* `order=desc,max=10`, ended by `;` or the end. */
static bool options_parse(char *text, struct range *range)
{
    char *state = NULL;
    for (char *word = strtok_r(text, " ,;", &state); word != NULL;
         word = strtok_r(NULL, " ,;", &state)) {
        if (strncmp(word, "max=", 4) == 0) {
            char *end = NULL;
            range->max = strtol(word + 4, &end, 10);
            if (*end != '\0' || range->max < 1 || range->max > PAGE_MAX) {
                return false;
            }
        } else if (strcmp(word, "order=desc") == 0) {
            range->descending = true;
        } else if (strcmp(word, "order=asc") != 0) {
            return false;
        }
    }
    return true;
}

/* `field [start]..[end]; options`; a `]` before the start leaves the start itself out. */
static bool range_parse(const char *text, struct range *range)
{
    char copy[WORDS_SIZE];
    word_copy(copy, sizeof copy, text);
    char *options = strchr(copy, ';');
    if (options != NULL) {
        *options++ = '\0';
        if (!options_parse(options, range)) {
            return false;
        }
    }
    char *space = strchr(copy, ' ');
    char *dots = strstr(copy, "..");
    if (space == NULL || dots == NULL || dots < space) {
        return false;
    }
    *space = '\0';
    *dots = '\0';
    char *from = space + 1;
    if (*from == ']') {
        range->exclusive = true;
        from++;
    }
    char *to = dots + 2;
    to[strcspn(to, " ")] = '\0';
    word_copy(range->field, sizeof range->field, copy);
    word_copy(range->from, sizeof range->from, from);
    word_copy(range->to, sizeof range->to, to);
    return field_known(range->field);
}

static const char *value_of(const json_t *element, const char *field)
{
    const char *text = json_string_value(json_object_get(element, field));
    return text != NULL ? text : "";
}

static int elements_compare(const void *a, const void *b, void *field)
{
    const json_t *const *left = a;
    const json_t *const *right = b;
    return strcmp(value_of(*left, field), value_of(*right, field));
}

/* In the order of the list: below 0 when `value` comes before `bound`. */
static int range_compare(const struct range *range, const char *value, const char *bound)
{
    return range->descending ? strcmp(bound, value) : strcmp(value, bound);
}

static bool wanted(const struct range *range, const json_t *element)
{
    const char *value = value_of(element, range->field);
    if (range->from[0] != '\0') {
        int order = range_compare(range, value, range->from);
        if (order < 0 || (order == 0 && range->exclusive)) {
            return false;
        }
    }
    return range->to[0] == '\0' || range_compare(range, value, range->to) <= 0;
}

static void page_reply(struct call *call, const struct range *range, json_t **sorted, size_t count)
{
    struct reply *reply = call->reply;
    json_t *page = json_array();
    const char *first = "";
    const char *last = "";
    bool cut = false;
    for (size_t i = 0; i < count && !cut; i++) {
        json_t *element = sorted[range->descending ? count - 1 - i : i];
        if (!wanted(range, element)) {
            continue;
        }
        if (json_array_size(page) == (size_t)range->max) {
            cut = true;
            break;
        }
        last = value_of(element, range->field);
        first = json_array_size(page) == 0 ? last : first;
        json_array_append(page, element);
    }
    reply_json(reply, cut ? 206 : 200, page);
    reply->ranged = true;
    if (first[0] != '\0') {
        snprintf(reply->content_range, sizeof reply->content_range, "%s %s..%s", range->field,
                 first, last);
    }
    if (cut) {
        snprintf(reply->next_range, sizeof reply->next_range, "%s ]%s..%s; %smax=%ld", range->field,
                 last, range->to, range->descending ? "order=desc," : "", range->max);
    }
}

void list_reply(struct call *call, json_t *all)
{
    struct range range = {.field = "id", .max = PAGE_DEFAULT};
    if (call->headers.range != NULL && !range_parse(call->headers.range, &range)) {
        record_violation(call->record, call->n, "bad_range", "Range: %s", call->headers.range);
        reply_error(call->reply, 416, "requested_range_not_satisfiable",
                    "The requested range is not satisfiable.");
        json_decref(all);
        return;
    }
    size_t count = json_array_size(all);
    json_t **sorted = calloc(count + 1, sizeof(json_t *));
    if (sorted == NULL) {
        abort();
    }
    for (size_t i = 0; i < count; i++) {
        sorted[i] = json_array_get(all, i);
    }
    qsort_r(sorted, count, sizeof(json_t *), elements_compare, range.field);
    page_reply(call, &range, sorted, count);
    free(sorted);
    json_decref(all);
}
