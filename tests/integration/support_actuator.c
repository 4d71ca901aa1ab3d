#include "support_actuator.h"

#include "common/bus.h"
#include "common/message.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void support_setup(struct support_redis *redis)
{
    char schema[16];
    (void)snprintf(schema, sizeof schema, "%d", MESSAGE_SCHEMA);
    support_redis_load_functions(redis);
    (void)support_redis_call(redis, "HSET", "dyn:setup", "partitions", "1", "functions",
                             bus_functions_version, "schema", schema, NULL);
}

struct program *support_actuator_start(const struct support_file *file,
                                       const struct support_redis *redis, const char *instance)
{
    char path[1024];
    (void)snprintf(path, sizeof path, "%s/services/dynosaur-actuator", getenv("DYN_BUILD"));
    const char *const argv[] = {path,
                                "--config",
                                support_file_path(file),
                                "--redis",
                                support_redis_url(redis),
                                "--http",
                                "127.0.0.1:0",
                                "--instance",
                                instance,
                                NULL};
    return program_start(argv);
}

static void publish(struct support_redis *redis, const struct dyn_buf *message, const char *field)
{
    /* The newest first: dyn_publish does both at once, a reader between the two sees it so. */
    if (field != NULL) {
        const char *set[] = {"HSET", "dyn:{0}:newest", field, dyn_buf_text(message)};
        size_t set_lengths[] = {4, 14, strlen(field), message->len};
        (void)support_redis_call_bytes(redis, 4, set, set_lengths);
    }
    const char *add[] = {"XADD", "dyn:{0}:targets", "*", "m", dyn_buf_text(message)};
    size_t add_lengths[] = {4, 15, 1, 1, message->len};
    (void)support_redis_call_bytes(redis, 5, add, add_lengths);
}

void support_say_target(struct support_redis *redis, const struct config *config, size_t app,
                        int rung, bool raise_only)
{
    support_say_target_of(redis, &config->apps[app], &config->apps[app].controllers[0], rung,
                          raise_only);
}

void support_say_target_of(struct support_redis *redis, const struct config_app *app,
                           const struct config_controller *controller, int rung, bool raise_only)
{
    struct target target = {
        .controller = controller->id,
        .app = dyn_str_from(app->name),
        .name = dyn_str_from(controller->name),
        .rung = rung,
        .raise_only = raise_only,
        .epoch = 1,
    };
    char field[24];
    struct dyn_buf out;
    (void)snprintf(field, sizeof field, "%016llx", (unsigned long long)target.controller);
    dyn_buf_init(&out, DYN_ENTRY_MAX);
    message_write_target(&out, &target);
    ck_assert_int_eq(dyn_buf_result(&out), DYN_OK);
    publish(redis, &out, field);
    dyn_buf_fini(&out);
}

void support_say_mark(struct support_redis *redis)
{
    static uint64_t folded = 1;
    struct mark mark = {.epoch = 1, .folded = {++folded, 0}};
    struct dyn_buf out;
    dyn_buf_init(&out, DYN_ENTRY_MAX);
    message_write_mark(&out, &mark);
    publish(redis, &out, NULL);
    dyn_buf_fini(&out);
}

void support_nap(void)
{
    (void)nanosleep(&(struct timespec){0, 20000000}, NULL);
}

int support_web(const struct heroku *heroku, const char *app)
{
    json_t *state = heroku_control(heroku, "GET", "/state", NULL);
    json_t *found = NULL;
    size_t i;
    json_t *one;
    json_array_foreach(json_object_get(state, "apps"), i, one)
    {
        if (strcmp(json_string_value(json_object_get(one, "name")), app) == 0) {
            found = one;
        }
    }
    json_t *type = json_object_get(json_object_get(found, "formation"), "web");
    int quantity =
        (int)json_integer_value(json_is_object(type) ? json_object_get(type, "quantity") : type);
    json_decref(state);
    return quantity;
}

bool support_web_is(const struct heroku *heroku, const char *app, int quantity, int ms)
{
    for (int passed = 0; passed < ms; passed += 20) {
        if (support_web(heroku, app) == quantity) {
            return true;
        }
        support_nap();
    }
    return false;
}

int support_requests(const struct heroku *heroku, const char *method, const char *path)
{
    json_t *answer = heroku_control(heroku, "GET", "/requests?since=0", NULL);
    int count = 0;
    size_t i;
    json_t *request;
    json_array_foreach(json_object_get(answer, "requests"), i, request)
    {
        const char *its_method = json_string_value(json_object_get(request, "method"));
        const char *its_path = json_string_value(json_object_get(request, "path"));
        count += (method[0] == '\0' || strcmp(its_method, method) == 0) &&
                 (path[0] == '\0' || strcmp(its_path, path) == 0);
    }
    json_decref(answer);
    return count;
}

void support_no_violations(const struct heroku *heroku)
{
    json_t *answer = heroku_control(heroku, "GET", "/violations", NULL);
    json_t *list = json_object_get(answer, "violations");
    char *text = json_dumps(list, 0);
    ck_assert_msg(json_array_size(list) == 0, "%s", text);
    free(text);
    json_decref(answer);
}
