/* What the root's README shows of each type can be copied into a file, and leaves none out. */
#include "common/config_internal.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define README_MAX (256 * 1024)
#define LIST_MAX 32
#define SNIPPET_MAX 512

static char *readme;

static void setup(void)
{
    char path[1024];
    const char *source = getenv("DYN_SOURCE");
    (void)snprintf(path, sizeof path, "%s/README.md", source != NULL ? source : ".");
    FILE *file = fopen(path, "re");
    ck_assert_msg(file != NULL, "%s", path);
    readme = calloc(1, README_MAX);
    ck_assert_ptr_nonnull(readme);
    ck_assert_uint_lt(fread(readme, 1, README_MAX - 1, file), README_MAX - 1);
    (void)fclose(file);
}

static void teardown(void)
{
    free(readme);
}

static struct config *load(const char *text, struct dyn_error *error)
{
    char path[] = "/tmp/dyn-readme-XXXXXX";
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    FILE *file = fdopen(fd, "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(fputs(text, file), 0);
    ck_assert_int_eq(fclose(file), 0);
    struct config *config = config_load(path, error);
    (void)unlink(path);
    return config;
}

/* The type that the snippet names, and whether it holds one. */
static void type_of(const char *snippet, char *out, size_t size)
{
    const char *at = strstr(snippet, "type: ");
    ck_assert_msg(at != NULL, "%s", snippet);
    at += strlen("type: ");
    (void)snprintf(out, size, "%.*s", (int)strcspn(at, ",}"), at);
}

static void snippet_loads(const char *list, const char *snippet)
{
    static const char top[] =
        "version: 2\naccounts: {a: {heroku_api_key: \"${K}\"}}\napps:\n  shop:\n"
        "    controller_plugins:\n";
    char type[64];
    char text[4 * SNIPPET_MAX];
    struct dyn_error error = {""};
    type_of(snippet, type, sizeof type);
    if (strcmp(list, "controller_plugins") == 0) {
        (void)snprintf(text, sizeof text, "%s      - %s\n", top, snippet);
    } else if (strcmp(list, "input_plugins") == 0) {
        const char *plans = strncmp(type, "papertrail", 10) == 0   ? "papertrail"
                            : strncmp(type, "rediscloud", 10) == 0 ? "rediscloud"
                                                                   : "dynos";
        (void)snprintf(text, sizeof text, "%s      - {name: c, type: %s, input_plugins: [%s]}\n",
                       top, plans, snippet);
    } else {
        (void)snprintf(text, sizeof text,
                       "%s      - {name: c, type: dynos, input_plugins: [{name: w, type: sine}]}\n"
                       "%s: [%s]\n",
                       top, list, snippet);
    }
    struct config *config = load(text, &error);
    ck_assert_msg(config != NULL, "%s\n%s", snippet, error.text);
    config_free(config);
}

static const char *list_of_table(const char *words)
{
    static const struct {
        const char *words;
        const char *list;
    } tables[] = {{"**Inputs**", "input_plugins"},
                  {"**Policies**", "input_plugins"},
                  {"**Controllers**", "controller_plugins"},
                  {"**Sinks**", ""}};
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        if (strncmp(words, tables[i].words, strlen(tables[i].words)) == 0) {
            return tables[i].list;
        }
    }
    return NULL;
}

/* Calls `each` with every `{...}` of the tables. */
static void snippets_walk(void (*each)(const char *list, const char *snippet))
{
    const char *list = NULL;
    const char *at = strstr(readme, "## What it speaks with");
    ck_assert_ptr_nonnull(at);
    const char *end = strstr(at + 3, "\n## ");
    for (at = strchr(at, '\n'); at != NULL && at < end; at = strchr(at, '\n')) {
        const char *line = ++at;
        size_t len = strcspn(line, "\n");
        const char *found = list_of_table(line);
        list = found != NULL ? found : list;
        const char *open = memmem(line, len, "`{", 2);
        while (list != NULL && line[0] == '|' && open != NULL) {
            char own[LIST_MAX];
            char snippet[SNIPPET_MAX];
            const char *close = strchr(open + 1, '`');
            (void)snprintf(own, sizeof own, "%.*s", (int)strcspn(line + 3, "`"), line + 3);
            (void)snprintf(snippet, sizeof snippet, "%.*s", (int)(close - open - 1), open + 1);
            each(list[0] != '\0' ? list : own, snippet);
            open = memmem(close, len - (size_t)(close - line), "`{", 2);
        }
    }
}

START_TEST(each_line_of_its_tables_can_be_copied)
{
    snippets_walk(snippet_loads);
}
END_TEST

static char seen[16384];

static void type_note(const char *list, const char *snippet)
{
    char type[64];
    size_t len = strlen(seen);
    type_of(snippet, type, sizeof type);
    (void)snprintf(seen + len, sizeof seen - len, "%s/%s;", list, type);
}

START_TEST(its_tables_have_every_type)
{
    snippets_walk(type_note);
    for (enum config_kind kind = 0; kind < CONFIG_KINDS; kind++) {
        for (const struct config_type *t = config_types(kind); t->name != NULL; t++) {
            char wanted[128];
            (void)snprintf(wanted, sizeof wanted, "%s/%s;", config_kind_section(kind), t->name);
            ck_assert_msg(strstr(seen, wanted) != NULL, "no line for %s", wanted);
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("readme");
    TCase *tests = tcase_create("readme");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, each_line_of_its_tables_can_be_copied);
    tcase_add_test(tests, its_tables_have_every_type);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
