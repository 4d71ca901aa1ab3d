#include "tests/integration/support_metrics.h"

#include <check.h>
#include <curl/curl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define LINE_SIZE 400
#define TIMEOUT_MS 20000L

struct text {
    char *bytes;
    size_t size;
};

static size_t text_write(char *data, size_t size, size_t count, void *cls)
{
    struct text *text = cls;
    size_t more = size * count;
    char *grown = realloc(text->bytes, text->size + more + 1);
    if (grown == NULL) {
        return 0;
    }
    memcpy(grown + text->size, data, more);
    text->bytes = grown;
    text->size += more;
    text->bytes[text->size] = '\0';
    return more;
}

/* JSON is easier to read in C with single quotes. */
static char *quoted(const char *text)
{
    char *copy = text != NULL ? strdup(text) : NULL;
    for (char *p = copy; p != NULL && *p != '\0'; p++) {
        if (*p == '\'') {
            *p = '"';
        }
    }
    return copy;
}

json_t *metrics_control(const struct metrics *metrics, const char *method, const char *page,
                        const char *body)
{
    struct text text = {0};
    char url[LINE_SIZE];
    long status = 0;
    char *sent = quoted(body);
    CURL *curl = curl_easy_init();
    ck_assert_ptr_nonnull(curl);
    snprintf(url, sizeof url, "http://127.0.0.1:%u/control/%s", metrics->port, page);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, TIMEOUT_MS);
    curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, text_write);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &text);
    if (sent != NULL) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, sent);
    }
    ck_assert_int_eq(curl_easy_perform(curl), CURLE_OK);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    ck_assert_msg(status == 200, "%s %s: %ld %s", method, page, status, text.bytes);
    json_t *answer = json_loads(text.bytes, 0, NULL);
    ck_assert_ptr_nonnull(answer);
    curl_easy_cleanup(curl);
    free(text.bytes);
    free(sent);
    return answer;
}

static void child_run(int out)
{
    char program[LINE_SIZE];
    const char *build = getenv("DYN_BUILD");
    snprintf(program, sizeof program, "%s/tests/fake-metrics", build != NULL ? build : ".");
    dup2(out, STDOUT_FILENO);
    close(out);
    execl(program, program, "--die-with-parent", (char *)NULL);
    perror(program);
    _exit(127);
}

struct metrics metrics_start(const char *state)
{
    struct metrics metrics = {0};
    char line[LINE_SIZE] = "";
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    metrics.pid = fork();
    ck_assert_int_ge(metrics.pid, 0);
    if (metrics.pid == 0) {
        close(ends[0]);
        child_run(ends[1]);
    }
    close(ends[1]);
    FILE *out = fdopen(ends[0], "r");
    ck_assert_ptr_nonnull(out);
    ck_assert_ptr_nonnull(fgets(line, sizeof line, out));
    fclose(out);
    const char *at = strstr(line, "port=");
    ck_assert_msg(at != NULL, "the fake said: %s", line);
    metrics.port = (unsigned)strtoul(at + 5, NULL, 10);
    json_decref(metrics_control(&metrics, "POST", "state", state));
    return metrics;
}

void metrics_stop(struct metrics *metrics)
{
    int status = 0;
    kill(metrics->pid, SIGTERM);
    ck_assert_int_eq(waitpid(metrics->pid, &status, 0), metrics->pid);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

json_t *metrics_body(const struct metrics *metrics, int n)
{
    json_t *list = metrics_control(metrics, "GET", "requests", NULL);
    size_t at = n >= 0 ? (size_t)n : json_array_size(list) - 1;
    const char *text = json_string_value(json_object_get(json_array_get(list, at), "body"));
    ck_assert_ptr_nonnull(text);
    json_t *body = json_loads(text, 0, NULL);
    ck_assert_msg(body != NULL, "no JSON: %s", text);
    json_decref(list);
    return body;
}

/* How many entries of a control page's list have a member that begins so. */
static size_t entries_count(const struct metrics *metrics, const char *page, const char *member,
                            const char *begin)
{
    json_t *list = metrics_control(metrics, "GET", page, NULL);
    size_t count = 0;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *text = json_string_value(json_object_get(json_array_get(list, i), member));
        count += strncmp(text, begin, strlen(begin)) == 0 ? 1 : 0;
    }
    json_decref(list);
    return count;
}

size_t metrics_asked(const struct metrics *metrics, const char *path)
{
    return entries_count(metrics, "requests", "path", path);
}

size_t metrics_violations(const struct metrics *metrics, const char *rule)
{
    return entries_count(metrics, "violations", "rule", rule != NULL ? rule : "");
}

void metrics_are_content(const struct metrics *metrics)
{
    json_t *list = metrics_control(metrics, "GET", "violations", NULL);
    char *text = json_dumps(list, JSON_COMPACT);
    ck_assert_msg(json_array_size(list) == 0, "%s", text);
    free(text);
    json_decref(list);
}
