/* The APIs that sinks tell: which there are, and what their judges share. */
#include "metrics_sinks.h"

#include <string.h>

static vendor_fn *const vendors[] = {
    bugsnag_serve,   cronut_serve, healthcheck_serve, librato_serve,
    pagerduty_serve, ses_serve,    slack_serve,       webhook_serve,
};

bool sinks_serve(struct ask *ask, struct reply *reply)
{
    for (size_t i = 0; i < sizeof vendors / sizeof vendors[0]; i++) {
        if (vendors[i](ask, reply)) {
            return true;
        }
    }
    return false;
}

size_t characters_of(const char *text)
{
    size_t count = 0;
    for (; *text != '\0'; text++) {
        count += ((unsigned char)*text & 0xC0) != 0x80;
    }
    return count;
}

bool is_one_of(const char *text, const char *const *list)
{
    for (; text != NULL && *list != NULL; list++) {
        if (strcmp(text, *list) == 0) {
            return true;
        }
    }
    return false;
}

void members_judge(const struct ask *ask, json_t *object, const char *const *known)
{
    const char *name = NULL;
    json_t *value = NULL;
    json_object_foreach(object, name, value)
    {
        if (!is_one_of(name, known)) {
            violation(ask, "unknown_field", "%s", name);
        }
    }
}

bool post_judge(const struct ask *ask, const char *type)
{
    const char *given = ask_header(ask, "Content-Type");
    bool same = given != NULL && strcmp(given, type) == 0;
    if (strcmp(ask->method, "POST") != 0) {
        violation(ask, "bad_method", "%s", ask->method);
    }
    if (!same) {
        violation(ask, "bad_content_type", "%s", given != NULL ? given : "none");
    }
    return same && strcmp(ask->method, "POST") == 0;
}
