#include "hook.h"

#include "common/message.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the page ---- */

void hook_start(struct hook *hook)
{
    static const char port[] = "fake-metrics port=";
    char program[1024];
    const char *build = getenv("DYN_BUILD");
    (void)snprintf(program, sizeof program, "%s/tests/fake-metrics", build != NULL ? build : ".");
    const char *const argv[] = {program, NULL};
    *hook = (struct hook){.program = program_start(argv)};
    program_await(hook->program, port);
    program_await(hook->program, "\n");
    const char *at = strstr(program_output(hook->program), port) + strlen(port);
    hook->pages.control = (unsigned)strtoul(at, NULL, 10);
    (void)snprintf(hook->sinks, sizeof hook->sinks,
                   "error_handlers: [{type: console}, "
                   "{type: webhook, url: \"http://127.0.0.1:%u/webhook\"}]\n",
                   hook->pages.control);
}

void hook_end(struct hook *hook)
{
    program_signal(hook->program, SIGTERM);
    ck_assert_int_eq(program_end(hook->program), 0);
    program_free(hook->program);
    hook->program = NULL;
}

/* What came to it, as texts, oldest first. */
static json_t *deliveries_read(const struct hook *hook)
{
    return heroku_control(&hook->pages, "GET", "/control/requests", NULL);
}

static const char *delivery_body(const json_t *deliveries, size_t i)
{
    return json_string_value(json_object_get(json_array_get(deliveries, i), "body"));
}

/* ---- events ---- */

size_t hook_raise(struct hook *hook, struct scene *scene, bool may_repeat)
{
    struct dyn_buf message;
    char input[32];
    ck_assert_uint_lt(hook->raised, HOOK_EVENTS_MAX);
    (void)snprintf(input, sizeof input, "raised-%zu", hook->raised);
    dyn_buf_init(&message, DYN_ENTRY_MAX);
    message_write_event(&message, &(struct event){.level = EVENT_ERROR,
                                                  .state = EVENT_RAISED,
                                                  .code = DYN_STR("input_outage"),
                                                  .app = dyn_str_from(scene_app(0)),
                                                  .controller = DYN_STR("web"),
                                                  .input = dyn_str_from(input),
                                                  .service = DYN_STR("estimator"),
                                                  .instance = DYN_STR("chaos"),
                                                  .text = DYN_STR("it is only said"),
                                                  .wall_ms = fleet_now_ms()});
    const char *argv[] = {"XADD", "dyn:events", "*", "m", dyn_buf_text(&message)};
    size_t lengths[] = {4, 10, 1, 1, message.len};
    const char *answer = support_redis_call_bytes(fleet_redis(scene->fleet), 5, argv, lengths);
    ck_assert_msg(strchr(answer, '-') != NULL, "%s", answer);
    dyn_buf_fini(&message);
    hook->may_repeat[hook->raised] = may_repeat;
    return hook->raised++;
}

/* The number of the event that a delivery tells; SIZE_MAX: it is none of ours. */
static size_t delivery_number(const char *text)
{
    size_t number = SIZE_MAX;
    json_t *body = json_loads(text, 0, NULL);
    ck_assert_msg(body != NULL, "no JSON: %s", text);
    const char *input = json_string_value(json_object_get(body, "input"));
    if (input == NULL || sscanf(input, "raised-%zu", &number) != 1) {
        number = SIZE_MAX;
    }
    json_decref(body);
    return number;
}

size_t hook_times(const struct hook *hook, size_t number)
{
    json_t *deliveries = deliveries_read(hook);
    size_t times = 0;
    for (size_t i = 0; i < json_array_size(deliveries); i++) {
        times += delivery_number(delivery_body(deliveries, i)) == number;
    }
    json_decref(deliveries);
    return times;
}

/* ---- the verdict ---- */

/* A delivery that came before, of anybody: its bytes have the event's time in them. */
static bool delivery_is_repeated(const json_t *deliveries, size_t at)
{
    for (size_t i = 0; i < at; i++) {
        if (strcmp(delivery_body(deliveries, i), delivery_body(deliveries, at)) == 0) {
            return true;
        }
    }
    return false;
}

static void nothing_is_noted(const struct hook *hook, struct scene *scene)
{
    json_t *violations = heroku_control(&hook->pages, "GET", "/control/violations", NULL);
    if (json_array_size(violations) > 0) {
        scene_fail(scene, "the webhook: %s", json_dumps(violations, JSON_COMPACT));
    }
    json_decref(violations);
    const char *dead =
        support_redis_call(fleet_redis(scene->fleet), "XLEN", "dyn:dead", (char *)NULL);
    if (strcmp(dead, "0") != 0) {
        scene_fail(scene, "%s deliveries were given up", dead);
    }
}

struct hook_tally hook_judge(const struct hook *hook, struct scene *scene)
{
    json_t *deliveries = deliveries_read(hook);
    struct hook_tally tally = {.deliveries = json_array_size(deliveries)};
    size_t *times = calloc(hook->raised + 1, sizeof *times);
    ck_assert_ptr_nonnull(times);
    for (size_t i = 0; i < tally.deliveries; i++) {
        size_t number = delivery_number(delivery_body(deliveries, i));
        size_t before = number < hook->raised ? times[number]++ : 0;
        if (before == 0 && !delivery_is_repeated(deliveries, i)) {
            continue;
        }
        if (before != 1 || !hook->may_repeat[number]) {
            scene_fail(scene, "delivered twice: %s", delivery_body(deliveries, i));
        }
        tally.repeated++;
    }
    for (size_t number = 0; number < hook->raised; number++) {
        if (times[number] == 0) {
            scene_fail(scene, "event %zu of %zu was never delivered", number, hook->raised);
        }
    }
    free(times);
    json_decref(deliveries);
    nothing_is_noted(hook, scene);
    return tally;
}
