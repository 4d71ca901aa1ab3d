/*
 * support_heroku: a fake-heroku process of one's own, and requests to its two ports.
 *
 * Ownership: heroku_start starts a process that ends with this one, heroku_stop ends it.
 * Threads:   one.
 */
#ifndef TESTS_INTEGRATION_SUPPORT_HEROKU_H
#define TESTS_INTEGRATION_SUPPORT_HEROKU_H

#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>

#define HEROKU_HEADERS_MAX 4096

struct heroku {
    pid_t pid;
    unsigned port;
    unsigned control;
};

/** What came back; `body` is NULL when it was not JSON. */
struct heroku_answer {
    long status; /* 0: no whole answer */
    char headers[HEROKU_HEADERS_MAX];
    json_t *body;
};

/** Starts it with the given world (single quotes stand for double ones); fails the test if not. */
struct heroku heroku_start(const char *state);

/** Ends it; its exit status. */
int heroku_stop(struct heroku *heroku);

/** Asks the control port; `body` NULL is none (single quotes for double). The caller owns it. */
json_t *heroku_control(const struct heroku *heroku, const char *method, const char *path,
                       const char *body);

/**
 * One API request as a good client sends it, with the key given. `header` replaces or adds one
 * header line, NULL is none. The caller releases answer.body.
 */
struct heroku_answer heroku_ask(const struct heroku *heroku, const char *key, const char *method,
                                const char *path, const char *body, const char *header);

/** How often this rule was broken. */
size_t heroku_violations(const struct heroku *heroku, const char *rule);

/** Whether the add-on of that name has that plan. */
bool heroku_plan_is(const struct heroku *heroku, const char *addon, const char *plan);

/** The value of a response header, copied to `out`; false when it did not come. */
bool heroku_header(const struct heroku_answer *answer, const char *name, char *out, size_t size);

#endif
