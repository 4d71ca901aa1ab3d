#include "heroku_record.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void record_init(struct record *record)
{
    record->requests = json_array();
    record->violations = json_array();
    record->first = 1;
    record->next = 1;
    record->violations_dropped = 0;
}

void record_fini(struct record *record)
{
    json_decref(record->requests);
    json_decref(record->violations);
}

/* Half at a time, so that dropping costs nothing in the mean. */
static void record_halve(struct record *record)
{
    json_t *kept = json_array();
    size_t size = json_array_size(record->requests);
    for (size_t i = size / 2; i < size; i++) {
        json_array_append(kept, json_array_get(record->requests, i));
    }
    json_decref(record->requests);
    record->requests = kept;
    record->first += (json_int_t)(size / 2);
}

json_int_t record_add(struct record *record, json_t *entry)
{
    if (json_array_size(record->requests) >= RECORD_MAX) {
        record_halve(record);
    }
    json_object_set_new(entry, "n", json_integer(record->next));
    json_array_append_new(record->requests, entry);
    return record->next++;
}

json_t *record_at(const struct record *record, json_int_t n)
{
    return n < record->first ? NULL : json_array_get(record->requests, (size_t)(n - record->first));
}

bool agent_is_cli(const char *agent)
{
    return agent != NULL && strncmp(agent, "heroku-cli/", 11) == 0;
}

void record_violation(struct record *record, json_int_t n, const char *rule, const char *format,
                      ...)
{
    const json_t *entry = record_at(record, n);
    const char *agent =
        json_string_value(json_object_get(json_object_get(entry, "headers"), "user-agent"));
    if (agent_is_cli(agent)) {
        return;
    }
    if (json_array_size(record->violations) >= VIOLATIONS_MAX) {
        record->violations_dropped++;
        return;
    }
    char detail[400];
    va_list args;
    va_start(args, format);
    vsnprintf(detail, sizeof detail, format, args);
    va_end(args);
    json_t *violation = json_pack("{s:I, s:s, s:s*}", "n", n, "rule", rule, "detail", detail);
    if (violation == NULL) {
        violation = json_pack("{s:I, s:s}", "n", n, "rule", rule);
    }
    json_object_set(violation, "method", json_object_get(entry, "method"));
    json_object_set(violation, "path", json_object_get(entry, "path"));
    json_array_append_new(record->violations, violation);
}

json_t *record_since(const struct record *record, json_int_t since)
{
    json_t *found = json_array();
    json_int_t from = since + 1 > record->first ? since + 1 : record->first;
    for (json_int_t n = from; n < record->next; n++) {
        json_array_append_new(found, json_copy(record_at(record, n)));
    }
    return json_pack("{s:o, s:I, s:I}", "requests", found, "next", record->next - 1, "dropped",
                     record->first - 1);
}

json_t *record_violations(const struct record *record)
{
    return json_pack("{s:O, s:I}", "violations", record->violations, "dropped",
                     record->violations_dropped);
}
