/* Events and actions on standard output, one logfmt line each. The default error handler. */
#include "common/clock.h"
#include "common/log.h"
#include "reporter/sinks/console.h"
#include "reporter/sinks/told.h"

#include <inttypes.h>

extern const struct sink_ops sink_console_errors;

static dyn_err errors_init(void *state, struct sink_host *host, struct dyn_error *error)
{
    return console_init(state, host, error);
}

static void line_begin(struct dyn_buf *out, int64_t wall_ms, const char *level)
{
    char ts[32];
    dyn_clock_format(wall_ms, ts, sizeof ts);
    (void)dyn_buf_addf(out, "ts=%s level=%s ", ts, level);
}

static void line_end(struct dyn_buf *out, struct dyn_str words)
{
    char text[DYN_ERROR_TEXT_MAX + 1];
    dyn_str_copy(text, sizeof text, words);
    (void)dyn_buf_addf(out, "msg=%s\n", dyn_log_quoted(text));
}

static void event_write(struct dyn_buf *out, const struct event *event, uint64_t repeats)
{
    static const char *const levels[] = {"info", "warn", "error"};
    static const char *const states[] = {"", "raised", "over"};
    line_begin(out, event->wall_ms, levels[event->level]);
    dyn_log_field(out, "event", event->code);
    dyn_log_field(out, "state", dyn_str_from(states[event->state]));
    dyn_log_field(out, "app", event->app);
    dyn_log_field(out, "controller", event->controller);
    dyn_log_field(out, "input", event->input);
    dyn_log_field(out, "service", event->service);
    dyn_log_field(out, "instance", event->instance);
    dyn_log_field(out, "cause", event->cause);
    if (repeats > 0) {
        (void)dyn_buf_addf(out, "repeated=%" PRIu64 " ", repeats);
    }
    line_end(out, event->text);
}

static void action_write(struct dyn_buf *out, const struct sink_delivery *delivery)
{
    const struct action *action = delivery->action;
    char from[CONFIG_RUNG_TEXT];
    char to[CONFIG_RUNG_TEXT];
    char target[CONFIG_RUNG_TEXT];
    bool good = action->outcome == ACTION_DONE || action->outcome == ACTION_SHADOW;
    line_begin(out, action->wall_ms, good ? "info" : "error");
    dyn_log_field(out, "event", DYN_STR("action"));
    dyn_log_field(out, "outcome", dyn_str_from(action_outcome_text(action->outcome)));
    dyn_log_field(out, "app", action->app);
    dyn_log_field(out, "controller", action->name);
    dyn_log_field(out, "process_type", action->process_type);
    (void)dyn_buf_addf(out, "from=%s to=%s target=%s ", told_rung(delivery, action->from, from),
                       told_rung(delivery, action->to, to),
                       told_rung(delivery, action->target, target));
    if (action->http_status != 0) {
        (void)dyn_buf_addf(out, "status=%d ", (int)action->http_status);
    }
    dyn_log_field(out, "request_id", action->request_id);
    line_end(out, action->words);
}

static void errors_deliver(void *state, struct sink_host *host,
                           const struct sink_delivery *delivery)
{
    (void)host;
    struct console *console = state;
    dyn_buf_clear(&console->text);
    console->written = 0;
    if (delivery->event != NULL) {
        event_write(&console->text, delivery->event, delivery->repeats);
    }
    if (delivery->action != NULL) {
        action_write(&console->text, delivery);
    }
    console_flush(console);
}

static void errors_cancel(void *state)
{
    console_cancel(state);
}

static void errors_fini(void *state)
{
    console_fini(state);
}

const struct sink_ops sink_console_errors = {
    .kind = CONFIG_ERRORS,
    .name = "console",
    .state_size = sizeof(struct console),
    .wants_actions = true,
    .init = errors_init,
    .deliver = errors_deliver,
    .cancel = errors_cancel,
    .fini = errors_fini,
};
