/* An app with the HireFire adapter, by its token. */
#include "metrics_fake.h"

#include <stdlib.h>
#include <string.h>

/* The app that has the token; whoever has none gets the app's own page, not a refusal. */
static json_t *app_find(const struct ask *ask, const char *token, size_t len)
{
    const char *name = NULL;
    json_t *app = NULL;
    json_object_foreach(vendor_state(ask, "hirefire"), name, app)
    {
        if (strlen(name) == len && strncmp(name, token, len) == 0) {
            return app;
        }
    }
    return NULL;
}

static void info_reply(struct reply *reply, json_t *app)
{
    bool older = json_is_true(json_object_get(app, "older"));
    json_t *list = json_array();
    const char *name = NULL;
    json_t *value = NULL;
    json_object_foreach(json_object_get(app, "values"), name, value)
    {
        json_array_append_new(
            list, json_pack("{s:s, s:O}", "name", name, older ? "quantity" : "value", value));
    }
    reply_json(reply, 200, list);
    reply_header(reply, "Cache-Control", "must-revalidate, private, max-age=0");
    reply_header(reply, "HireFire-Resource", older ? "Ruby-0.9.0" : "Ruby-1.0.8");
}

bool hirefire_serve(struct ask *ask, struct reply *reply)
{
    static const char prefix[] = "/hirefire";
    const char *rest = ask->path + sizeof prefix - 1;
    const char *header = ask_header(ask, "HireFire-Token");
    json_t *app = NULL;
    if (strncmp(ask->path, prefix, sizeof prefix - 1) != 0 || (*rest != '\0' && *rest != '/')) {
        return false;
    }
    if (*rest == '\0' && header != NULL) {
        app = app_find(ask, header, strlen(header));
        app = json_is_true(json_object_get(app, "older")) ? NULL : app;
    } else if (*rest == '/') {
        size_t len = strcspn(rest + 1, "/");
        app = strcmp(rest + 1 + len, "/info") == 0 ? app_find(ask, rest + 1, len) : NULL;
    }
    if (strcmp(ask->method, "GET") != 0) {
        violation(ask, "bad_method", "%s", ask->method);
    }
    if (app != NULL) {
        info_reply(reply, app);
    } else {
        violation(ask, "wrong_token", "the request went on to the app");
        reply_text(reply, 200, "text/html", "<html><body>Welcome to our shop</body></html>");
    }
    return true;
}
