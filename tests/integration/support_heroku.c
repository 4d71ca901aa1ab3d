#include "support_heroku.h"

#include <check.h>
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ANSWER_MAX ((size_t)8 * 1024 * 1024)
#define LINE_SIZE 200
#define TIMEOUT_MS 20000L

struct text {
    char *bytes;
    size_t size;
};

static size_t text_write(char *data, size_t size, size_t count, void *cls)
{
    struct text *text = cls;
    size_t more = size * count;
    if (text->size + more > ANSWER_MAX) {
        return 0;
    }
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

static size_t headers_write(char *data, size_t size, size_t count, void *cls)
{
    char *headers = cls;
    size_t have = strlen(headers);
    if (have + size * count < HEROKU_HEADERS_MAX) {
        memcpy(headers + have, data, size * count);
        headers[have + size * count] = '\0';
    }
    return size * count;
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

static struct heroku_answer exchange(unsigned port, const char *method, const char *path,
                                     const char *body, struct curl_slist *headers)
{
    struct heroku_answer answer = {.status = 0};
    struct text text = {0};
    char url[LINE_SIZE];
    char *sent = quoted(body);
    CURL *curl = curl_easy_init();
    ck_assert_ptr_nonnull(curl);
    snprintf(url, sizeof url, "http://127.0.0.1:%u%s", port, path);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, TIMEOUT_MS);
    curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, text_write);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &text);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, headers_write);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, answer.headers);
    if (sent != NULL) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, sent);
    }
    if (curl_easy_perform(curl) == CURLE_OK) {
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer.status);
        answer.body = json_loads(text.bytes != NULL ? text.bytes : "", 0, NULL);
    }
    curl_easy_cleanup(curl);
    free(text.bytes);
    free(sent);
    return answer;
}

static void child_run(int out)
{
    char program[LINE_SIZE * 2];
    const char *build = getenv("DYN_BUILD");
    snprintf(program, sizeof program, "%s/tests/fake-heroku", build != NULL ? build : ".");
    dup2(out, STDOUT_FILENO);
    close(out);
    execl(program, program, "--boot-seconds", "0.3", "--die-with-parent", (char *)NULL);
    perror(program);
    _exit(127);
}

static unsigned port_after(const char *line, const char *word)
{
    const char *at = strstr(line, word);
    ck_assert_msg(at != NULL, "the fake said: %s", line);
    return (unsigned)strtoul(at + strlen(word), NULL, 10);
}

struct heroku heroku_start(const char *state)
{
    struct heroku heroku = {0};
    char line[LINE_SIZE] = "";
    int pipe_ends[2];
    ck_assert_int_eq(pipe(pipe_ends), 0);
    heroku.pid = fork();
    ck_assert_int_ge(heroku.pid, 0);
    if (heroku.pid == 0) {
        close(pipe_ends[0]);
        child_run(pipe_ends[1]);
    }
    close(pipe_ends[1]);
    FILE *out = fdopen(pipe_ends[0], "r");
    ck_assert_ptr_nonnull(out);
    ck_assert_ptr_nonnull(fgets(line, sizeof line, out));
    fclose(out);
    heroku.port = port_after(line, "port=");
    heroku.control = port_after(line, "control=");
    json_decref(heroku_control(&heroku, "POST", "/state", state));
    return heroku;
}

int heroku_stop(struct heroku *heroku)
{
    int status = 0;
    kill(heroku->pid, SIGTERM);
    ck_assert_int_eq(waitpid(heroku->pid, &status, 0), heroku->pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

json_t *heroku_control(const struct heroku *heroku, const char *method, const char *path,
                       const char *body)
{
    struct heroku_answer answer = exchange(heroku->control, method, path, body, NULL);
    ck_assert_msg(answer.status == 200, "%s %s: %ld", method, path, answer.status);
    ck_assert_ptr_nonnull(answer.body);
    return answer.body;
}

/* A header of the same name replaces the usual one. */
static struct curl_slist *header_add(struct curl_slist *list, const char *usual, const char *own)
{
    size_t name = strcspn(usual, ":");
    if (own != NULL && strncasecmp(usual, own, name + 1) == 0) {
        return list;
    }
    return curl_slist_append(list, usual);
}

struct heroku_answer heroku_ask(const struct heroku *heroku, const char *key, const char *method,
                                const char *path, const char *body, const char *header)
{
    char authorization[LINE_SIZE];
    struct curl_slist *list = header != NULL ? curl_slist_append(NULL, header) : NULL;
    snprintf(authorization, sizeof authorization, "Authorization: Bearer %s", key);
    list = header_add(list, authorization, header);
    list = header_add(list, "Accept: application/vnd.heroku+json; version=3", header);
    list = header_add(list, "User-Agent: dynosaur/1.0", header);
    list = header_add(list, "Expect:", header);
    if (body != NULL) {
        list = header_add(list, "Content-Type: application/json", header);
    }
    struct heroku_answer answer = exchange(heroku->port, method, path, body, list);
    curl_slist_free_all(list);
    return answer;
}

size_t heroku_violations(const struct heroku *heroku, const char *rule)
{
    json_t *answer = heroku_control(heroku, "GET", "/violations", NULL);
    const json_t *all = json_object_get(answer, "violations");
    size_t count = 0;
    for (size_t i = 0; i < json_array_size(all); i++) {
        const char *found = json_string_value(json_object_get(json_array_get(all, i), "rule"));
        count += rule == NULL || strcmp(found, rule) == 0 ? 1 : 0;
    }
    json_decref(answer);
    return count;
}

bool heroku_plan_is(const struct heroku *heroku, const char *addon, const char *plan)
{
    json_t *state = heroku_control(heroku, "GET", "/state", NULL);
    bool found = false;
    size_t a;
    size_t i;
    json_t *app;
    json_t *one;
    json_array_foreach(json_object_get(state, "apps"), a, app)
    {
        json_array_foreach(json_object_get(app, "addons"), i, one)
        {
            found = found || (strcmp(json_string_value(json_object_get(one, "name")), addon) == 0 &&
                              strcmp(json_string_value(json_object_get(one, "plan")), plan) == 0);
        }
    }
    json_decref(state);
    return found;
}

bool heroku_header(const struct heroku_answer *answer, const char *name, char *out, size_t size)
{
    size_t length = strlen(name);
    for (const char *line = answer->headers; line != NULL && *line != '\0';
         line = strchr(line, '\n')) {
        line += *line == '\n' ? 1 : 0;
        if (strncasecmp(line, name, length) == 0 && line[length] == ':') {
            const char *value = line + length + 1 + strspn(line + length + 1, " ");
            snprintf(out, size, "%.*s", (int)strcspn(value, "\r\n"), value);
            return true;
        }
    }
    return false;
}
