#include "deploy/cli/environment.h"

extern char **environ;

static const char *const plain_names[] = {"PATH",          "HOME",         "LANG", "TZ",
                                          "SSL_CERT_FILE", "SSL_CERT_DIR", NULL};

struct adding {
    struct environment *out;
    dyn_err err;
};

static dyn_err item_add(struct environment *environment, const char *item)
{
    char **grown = realloc(environment->items, (environment->count + 2) * sizeof *grown);
    if (grown == NULL) {
        return DYN_NOMEM;
    }
    environment->items = grown;
    grown[environment->count] = strdup(item);
    if (grown[environment->count] == NULL) {
        return DYN_NOMEM;
    }
    grown[++environment->count] = NULL;
    return DYN_OK;
}

static bool item_is(const char *item, const char *name)
{
    size_t len = strlen(name);
    return strncmp(item, name, len) == 0 && item[len] == '=';
}

static bool item_is_plain(const char *item)
{
    for (size_t i = 0; plain_names[i] != NULL; i++) {
        if (item_is(item, plain_names[i])) {
            return true;
        }
    }
    return strncmp(item, "XDG_", strlen("XDG_")) == 0;
}

dyn_err environment_plain(struct environment *out)
{
    struct environment environment = {NULL, 0};
    /* So that there is a list even when it is empty. */
    environment.items = calloc(1, sizeof *environment.items);
    dyn_err err = environment.items != NULL ? DYN_OK : DYN_NOMEM;
    for (char **item = environ; err == DYN_OK && *item != NULL; item++) {
        if (item_is_plain(*item)) {
            err = item_add(&environment, *item);
        }
    }
    if (err != DYN_OK) {
        environment_fini(&environment);
        return err;
    }
    *out = environment;
    return DYN_OK;
}

static void variable_add(void *arg, const char *name)
{
    struct adding *adding = arg;
    for (char **item = environ; adding->err == DYN_OK && *item != NULL; item++) {
        if (item_is(*item, name) && !item_is_plain(*item)) {
            adding->err = item_add(adding->out, *item);
            return;
        }
    }
}

dyn_err environment_of(const struct config *config, enum config_service service,
                       struct environment *out)
{
    struct environment environment = {NULL, 0};
    struct adding adding = {.out = &environment, .err = environment_plain(&environment)};
    if (adding.err == DYN_OK) {
        config_service_variables(config, service, variable_add, &adding);
    }
    if (adding.err != DYN_OK) {
        environment_fini(&environment);
        return adding.err;
    }
    *out = environment;
    return DYN_OK;
}

dyn_err environment_add(struct environment *environment, const char *name, const char *value)
{
    size_t size = strlen(name) + strlen(value) + 2;
    char *item = malloc(size);
    if (item == NULL) {
        return DYN_NOMEM;
    }
    (void)snprintf(item, size, "%s=%s", name, value);
    dyn_err err = item_add(environment, item);
    explicit_bzero(item, size);
    free(item);
    return err;
}

bool environment_same(const struct environment *a, const struct environment *b)
{
    if (a->count != b->count) {
        return false;
    }
    for (size_t i = 0; i < a->count; i++) {
        if (strcmp(a->items[i], b->items[i]) != 0) {
            return false;
        }
    }
    return true;
}

void environment_fini(struct environment *environment)
{
    for (size_t i = 0; i < environment->count; i++) {
        explicit_bzero(environment->items[i], strlen(environment->items[i]));
        free(environment->items[i]);
    }
    free((void *)environment->items);
    *environment = (struct environment){NULL, 0};
}
