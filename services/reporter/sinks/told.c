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

static void action_line(const struct action *action, struct dyn_buf *out)
{
    (void)dyn_buf_addf(out, DYN_STR_FMT " " DYN_STR_FMT ": %d -> %d", DYN_STR_ARG(action->app),
                       DYN_STR_ARG(action->process_type), (int)action->from, (int)action->to);
    if (action->target != action->to) {
        (void)dyn_buf_addf(out, " (on the way to %d)", (int)action->target);
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
        action_line(delivery->action, out);
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
