#include "heroku_fault.h"

#include "heroku_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static void fault_free(struct fault *fault)
{
    if (fault == NULL) {
        return;
    }
    if (fault->has_path) {
        regfree(&fault->path);
    }
    json_decref(fault->rule);
    free(fault);
}

void faults_clear(struct faults *faults)
{
    for (size_t i = 0; i < faults->count; i++) {
        fault_free(faults->items[i]);
    }
    free(faults->items);
    faults->items = NULL;
    faults->count = 0;
}

static bool rule_check(json_t *rule, char error[WORDS_SIZE])
{
    static const char *const known[] = {"match", "times", "after", "do", NULL};
    static const char *const matches[] = {"method", "path", "app", "account", NULL};
    static const char *const actions[] = {"status",
                                          "apply",
                                          "id",
                                          "message",
                                          "extra",
                                          "headers",
                                          "html",
                                          "stall_ms",
                                          "stall_after_apply_ms",
                                          "drop_before",
                                          "drop_after_apply",
                                          "truncate_body",
                                          "huge_body",
                                          "garbage_body",
                                          "empty_body",
                                          "accept_but_ignore",
                                          "wrong_shape",
                                          NULL};
    if (!keys_known(rule, known, error) ||
        !keys_known(json_object_get(rule, "do"), actions, error)) {
        return false;
    }
    json_t *match = json_object_get(rule, "match");
    return match == NULL || keys_known(match, matches, error);
}

static int64_t count_of(const json_t *rule, const char *key, int64_t otherwise)
{
    const json_t *value = json_object_get(rule, key);
    return json_is_integer(value) ? json_integer_value(value) : otherwise;
}

static struct fault *fault_new(json_t *rule, char error[WORDS_SIZE])
{
    if (!rule_check(rule, error)) {
        return NULL;
    }
    struct fault *fault = calloc(1, sizeof *fault);
    if (fault == NULL) {
        return NULL;
    }
    fault->rule = json_deep_copy(rule);
    fault->times = count_of(rule, "times", 1);
    fault->after = count_of(rule, "after", 0);
    const char *path = json_string_value(json_object_get(json_object_get(rule, "match"), "path"));
    if (path != NULL) {
        char pattern[512];
        /* From the start of the path: what is no expression is then a prefix. */
        snprintf(pattern, sizeof pattern, "^(%s)", path);
        if (regcomp(&fault->path, pattern, REG_EXTENDED | REG_NOSUB) != 0) {
            snprintf(error, WORDS_SIZE, "not a regular expression: %s", path);
            fault_free(fault);
            return NULL;
        }
        fault->has_path = true;
    }
    return fault;
}

static bool fault_add(struct faults *faults, json_t *rule, char error[WORDS_SIZE])
{
    struct fault *fault = fault_new(rule, error);
    if (fault == NULL) {
        return false;
    }
    struct fault **items = reallocarray(faults->items, faults->count + 1, sizeof(struct fault *));
    if (items == NULL) {
        fault_free(fault);
        return false;
    }
    faults->items = items;
    faults->items[faults->count++] = fault;
    return true;
}

bool faults_add(struct faults *faults, json_t *rules, char error[WORDS_SIZE])
{
    if (!json_is_array(rules)) {
        return fault_add(faults, rules, error);
    }
    for (size_t i = 0; i < json_array_size(rules); i++) {
        if (!fault_add(faults, json_array_get(rules, i), error)) {
            return false;
        }
    }
    return true;
}

static bool account_named(const struct account *account, const char *name)
{
    if (strcmp(account->id, name) == 0 || strcmp(account->email, name) == 0) {
        return true;
    }
    for (size_t i = 0; i < account->key_count; i++) {
        if (strcmp(account->keys[i].text, name) == 0) {
            return true;
        }
    }
    return false;
}

static bool fault_matches(const struct fault *fault, const char *method, const char *path,
                          const struct app *app, const struct account *account)
{
    const json_t *match = json_object_get(fault->rule, "match");
    const char *wanted = json_string_value(json_object_get(match, "method"));
    if (wanted != NULL && strcasecmp(wanted, method) != 0) {
        return false;
    }
    wanted = json_string_value(json_object_get(match, "app"));
    if (wanted != NULL &&
        (app == NULL || (strcmp(app->name, wanted) != 0 && strcmp(app->id, wanted) != 0))) {
        return false;
    }
    wanted = json_string_value(json_object_get(match, "account"));
    if (wanted != NULL && (account == NULL || !account_named(account, wanted))) {
        return false;
    }
    return !fault->has_path || regexec(&fault->path, path, 0, NULL, 0) == 0;
}

json_t *faults_take(struct faults *faults, const char *method, const char *path,
                    const struct app *app, const struct account *account)
{
    for (size_t i = 0; i < faults->count; i++) {
        struct fault *fault = faults->items[i];
        if (fault->times == 0 || !fault_matches(fault, method, path, app, account)) {
            continue;
        }
        if (fault->after > 0) {
            fault->after--;
            continue;
        }
        fault->hits++;
        fault->times -= fault->times > 0 ? 1 : 0;
        return json_incref(json_object_get(fault->rule, "do"));
    }
    return NULL;
}

json_t *faults_dump(const struct faults *faults)
{
    json_t *all = json_array();
    for (size_t i = 0; i < faults->count; i++) {
        const struct fault *fault = faults->items[i];
        json_t *rule = json_copy(fault->rule);
        json_object_set_new(rule, "times", json_integer(fault->times));
        json_object_set_new(rule, "after", json_integer(fault->after));
        json_object_set_new(rule, "hits", json_integer(fault->hits));
        json_array_append_new(all, rule);
    }
    return all;
}
