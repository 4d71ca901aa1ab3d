#include "reporter/sinks/told.h"

#include <inttypes.h>

const char *told_level(const struct event *event)
{
    static const char *const levels[] = {"info", "warning", "error"};
    return levels[event->level];
}

const char *told_state(const struct event *event)
{
    static const char *const states[] = {"once", "raised", "over"};
    return states[event->state];
}

bool told_is_done(const struct action *action)
{
    return action->outcome == ACTION_DONE || action->outcome == ACTION_SHADOW;
}

bool told_is_wanted(const struct sink_host *host, const struct sink_delivery *delivery)
{
    const char *actions = config_option(&sink_config(host)->options, "actions")->as.s;
    if (delivery->event != NULL || strcmp(actions, "all") == 0) {
        return true;
    }
    return strcmp(actions, "failed") == 0 && !told_is_done(delivery->action);
}

void told_place(const struct event *event, struct dyn_buf *out)
{
    const struct dyn_str parts[] = {event->app, event->controller, event->input};
    size_t before = out->len;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (parts[i].len > 0) {
            (void)dyn_buf_addf(out, "%s" DYN_STR_FMT, out->len > before ? " " : "",
                               DYN_STR_ARG(parts[i]));
        }
    }
}

const char *told_rung(const struct sink_delivery *delivery, int32_t rung,
                      char out[static CONFIG_RUNG_TEXT])
{
    if (delivery->controller != NULL) {
        return config_rung_text(delivery->controller, rung, out);
    }
    (void)snprintf(out, CONFIG_RUNG_TEXT, "%d", (int)rung);
    return out;
}

static void action_line(const struct sink_delivery *delivery, struct dyn_buf *out)
{
    const struct action *action = delivery->action;
    char from[CONFIG_RUNG_TEXT];
    char to[CONFIG_RUNG_TEXT];
    (void)dyn_buf_addf(out, DYN_STR_FMT " " DYN_STR_FMT ": %s -> %s", DYN_STR_ARG(action->app),
                       DYN_STR_ARG(action->process_type), told_rung(delivery, action->from, from),
                       told_rung(delivery, action->to, to));
    if (action->target != action->to) {
        (void)dyn_buf_addf(out, " (on the way to %s)", told_rung(delivery, action->target, to));
    }
    if (action->outcome != ACTION_DONE) {
        (void)dyn_buf_addf(out, ", %s", action_outcome_text(action->outcome));
    }
    if (action->words.len > 0) {
        (void)dyn_buf_addf(out, ": " DYN_STR_FMT, DYN_STR_ARG(action->words));
    }
}

void told_headline(const struct sink_delivery *delivery, struct dyn_buf *out)
{
    const struct event *event = delivery->event;
    if (event == NULL) {
        action_line(delivery, out);
        return;
    }
    size_t before = out->len;
    told_place(event, out);
    (void)dyn_buf_addf(out, "%s" DYN_STR_FMT "%s: " DYN_STR_FMT, out->len > before ? ": " : "",
                       DYN_STR_ARG(event->code), event->state == EVENT_OVER ? " is over" : "",
                       DYN_STR_ARG(event->text));
    if (delivery->repeats > 0) {
        (void)dyn_buf_addf(out, " (%" PRIu64 " more like this since it was last told)",
                           delivery->repeats);
    }
}
