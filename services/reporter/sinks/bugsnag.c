/* Bugsnag, payload version 5: each error and warning as an event; what is over is none. */
#include "common/clock.h"
#include "reporter/sinks/post.h"
#include "reporter/sinks/told.h"

#include <ctype.h>
#include <inttypes.h>

enum {
    BODY_MAX = 131072,
    KEY_DIGITS = 32
};

extern const struct sink_ops sink_bugsnag;

struct bugsnag {
    struct post post;
    const char *key;
    struct dyn_buf url;
    struct dyn_buf body;
};

static void bugsnag_fini(void *state)
{
    struct bugsnag *bugsnag = state;
    post_fini(&bugsnag->post);
    dyn_buf_fini(&bugsnag->url);
    dyn_buf_fini(&bugsnag->body);
}

static bool key_is_right(const char *key)
{
    size_t len = 0;
    while (isxdigit((unsigned char)key[len])) {
        len++;
    }
    return len == KEY_DIGITS && key[len] == '\0';
}

static dyn_err bugsnag_init(void *state, struct sink_host *host, struct dyn_error *error)
{
    struct bugsnag *bugsnag = state;
    post_init(&bugsnag->post, host);
    dyn_buf_init(&bugsnag->url, DYN_HTTP_URL_MAX);
    dyn_buf_init(&bugsnag->body, BODY_MAX);
    dyn_err err = post_secret(&bugsnag->post, "api_key", &bugsnag->key, error);
    if (err == DYN_OK && !key_is_right(bugsnag->key)) {
        err = dyn_error_set(error, DYN_CONFIG,
                            "`api_key` is no key of a Bugsnag project, which has 32 hexadecimal "
                            "digits; Bugsnag would drop all without a word");
    }
    /* Whose key begins so, is a customer of the other installation. */
    if (err == DYN_OK) {
        bool other = strncmp(bugsnag->key, "00000", 5) == 0;
        err =
            post_base(&bugsnag->post,
                      other ? "https://notify.bugsnag.smartbear.com" : "https://notify.bugsnag.com",
                      &bugsnag->url, error);
    }
    if (err == DYN_OK) {
        err = dyn_buf_add_str(&bugsnag->url, DYN_STR("/"));
    }
    if (err != DYN_OK) {
        bugsnag_fini(bugsnag);
    }
    return err;
}

/* ---- the event ---- */

/* What both kinds come down to. */
struct fault {
    struct dyn_str error_class;
    struct dyn_str message;
    struct dyn_str service;
    struct dyn_str instance;
    struct dyn_str app;
    struct dyn_str controller;
    struct dyn_str input;
    struct dyn_str cause;
    const char *severity;
    int64_t wall_ms;
    uint64_t repeats;
};

static struct fault fault_of_event(const struct sink_delivery *delivery)
{
    const struct event *event = delivery->event;
    return (struct fault){.error_class = event->code,
                          .message = event->text,
                          .service = event->service,
                          .instance = event->instance,
                          .app = event->app,
                          .controller = event->controller,
                          .input = event->input,
                          .cause = event->cause,
                          .severity = told_level(event),
                          .wall_ms = event->wall_ms,
                          .repeats = delivery->repeats};
}

static struct fault fault_of_action(const struct action *action, struct dyn_str message)
{
    return (struct fault){.error_class =
                              told_is_done(action) ? DYN_STR("action") : DYN_STR("action_failed"),
                          .message = message,
                          .service = DYN_STR("actuator"),
                          .app = action->app,
                          .controller = action->name,
                          .severity = told_is_done(action) ? "info" : "error",
                          .wall_ms = action->wall_ms};
}

/* Troubles of one cause are one error, others one a place. */
static json_t *grouping_make(const struct fault *fault)
{
    const struct dyn_str parts[] = {fault->error_class, fault->cause, fault->app, fault->controller,
                                    fault->input};
    size_t count = fault->cause.len > 0 ? 2 : sizeof parts / sizeof parts[0];
    struct dyn_buf text;
    dyn_buf_init(&text, BODY_MAX);
    for (size_t i = 0; i < count; i++) {
        if (parts[i].len > 0) {
            (void)dyn_buf_addf(&text, "%s" DYN_STR_FMT, i > 0 ? "/" : "", DYN_STR_ARG(parts[i]));
        }
    }
    json_t *json = post_text(dyn_buf_str(&text));
    dyn_buf_fini(&text);
    return json;
}

/* The service and what it found stand for the line of code: events have none. */
static json_t *exception_make(const struct fault *fault)
{
    json_t *frame =
        json_pack("{s:o, s:i, s:o, s:b}", "file",
                  post_text(fault->service.len > 0 ? fault->service : DYN_STR("dynosaur")),
                  "lineNumber", 0, "method", post_text(fault->error_class), "inProject", 1);
    return json_pack("{s:o, s:o, s:s, s:[o]}", "errorClass", post_text(fault->error_class),
                     "message", post_text(fault->message), "type", "c", "stacktrace", frame);
}

static json_t *place_make(const struct fault *fault)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:I}", "service", post_text(fault->service), "app",
                     post_text(fault->app), "controller", post_text(fault->controller), "input",
                     post_text(fault->input), "cause", post_text(fault->cause), "repeats",
                     (json_int_t)fault->repeats);
}

static json_t *event_make(const struct bugsnag *bugsnag, const struct fault *fault)
{
    char time[POST_TIME_SIZE];
    const char *stage =
        config_option(&sink_config(bugsnag->post.host)->options, "release_stage")->as.s;
    struct dyn_buf context;
    post_time(fault->wall_ms, time);
    dyn_buf_init(&context, BODY_MAX);
    (void)dyn_buf_addf(&context, DYN_STR_FMT "/" DYN_STR_FMT, DYN_STR_ARG(fault->app),
                       DYN_STR_ARG(fault->controller));
    json_t *event = json_pack(
        "{s:[o], s:o, s:o, s:b, s:s, s:{s:s}, s:{s:o}, s:{s:s, s:s, s:s}, s:{s:o, s:s}, s:{s:o}}",
        "exceptions", exception_make(fault), "context", post_text(dyn_buf_str(&context)),
        "groupingHash", grouping_make(fault), "unhandled", 0, "severity", fault->severity,
        "severityReason", "type", "handledError", "user", "id", post_text(fault->app), "app",
        "version", DYN_VERSION, "releaseStage", stage, "type", "daemon", "device", "hostname",
        post_text(fault->instance), "time", time, "metaData", "dynosaur", place_make(fault));
    dyn_buf_fini(&context);
    return event;
}

/* ---- sending ---- */

static void fault_send(struct bugsnag *bugsnag, const struct fault *fault)
{
    char key[KEY_DIGITS + 32];
    char at[POST_TIME_SIZE + 32];
    char time[POST_TIME_SIZE];
    const char *headers[] = {"Content-Type: application/json", "Bugsnag-Payload-Version: 5", key,
                             at};
    post_time(dyn_clock_wall_ms(), time);
    (void)snprintf(key, sizeof key, "Bugsnag-Api-Key: %s", bugsnag->key);
    (void)snprintf(at, sizeof at, "Bugsnag-Sent-At: %s", time);
    dyn_buf_clear(&bugsnag->body);
    post_dump(&bugsnag->body,
              json_pack("{s:s, s:s, s:{s:s, s:s, s:s}, s:[o]}", "apiKey", bugsnag->key,
                        "payloadVersion", "5", "notifier", "name", "Dynosaur", "version",
                        DYN_VERSION, "url", "https://github.com/harrystech/dynosaur", "events",
                        event_make(bugsnag, fault)));
    dyn_err err = dyn_buf_result(&bugsnag->body);
    if (err != DYN_OK) {
        post_failed(&bugsnag->post, err, "%s", dyn_err_text(err));
        return;
    }
    post_send(&bugsnag->post, &(struct post_request){.url = dyn_buf_text(&bugsnag->url),
                                                     .headers = headers,
                                                     .headers_count = 4,
                                                     .body = dyn_buf_str(&bugsnag->body)});
}

static void bugsnag_deliver(void *state, struct sink_host *host,
                            const struct sink_delivery *delivery)
{
    struct bugsnag *bugsnag = state;
    const struct event *event = delivery->event;
    bool fine = event != NULL && (event->state == EVENT_OVER || event->level == EVENT_INFO);
    if (fine || !told_is_wanted(host, delivery)) {
        post_taken(&bugsnag->post);
        return;
    }
    if (event != NULL) {
        struct fault fault = fault_of_event(delivery);
        fault_send(bugsnag, &fault);
        return;
    }
    struct dyn_buf message;
    dyn_buf_init(&message, BODY_MAX);
    told_headline(delivery, &message);
    struct fault fault = fault_of_action(delivery->action, dyn_buf_str(&message));
    fault_send(bugsnag, &fault);
    dyn_buf_fini(&message);
}

static void bugsnag_cancel(void *state)
{
    struct bugsnag *bugsnag = state;
    post_cancel(&bugsnag->post);
}

const struct sink_ops sink_bugsnag = {
    .kind = CONFIG_ERRORS,
    .name = "bugsnag",
    .state_size = sizeof(struct bugsnag),
    .wants_actions = true,
    .init = bugsnag_init,
    .deliver = bugsnag_deliver,
    .cancel = bugsnag_cancel,
    .fini = bugsnag_fini,
};
