#include "estimator/fold_internal.h"

#include "common/clock.h"

#include <inttypes.h>
#include <math.h>

static enum input_health fold_health(const struct fold_input *input, int64_t now)
{
    if (isnan(window_value(&input->window))) {
        return INPUT_NEVER;
    }
    static const enum input_health of_lag[] = {INPUT_OK, INPUT_STALE, INPUT_OUTAGE};
    return of_lag[fold_lag(input, now)];
}

static int64_t fold_covered_at(const struct fold_input *input, int64_t now)
{
    struct window_rule rule = fold_rule(input->config);
    int64_t covered = window_covered_at(&input->window, &rule, now);
    if (input->asked != NULL) {
        rule = fold_asked_rule(input->config);
        int64_t asked = window_covered_at(input->asked, &rule, now);
        covered = asked > covered ? asked : covered;
    }
    return covered;
}

static void fold_input_story(const struct fold_input *input, int64_t now, struct input_story *out)
{
    int64_t until = window_max_until(&input->window);
    *out = (struct input_story){
        .name = dyn_str_from(input->config->name),
        .value = window_value(&input->window),
        .value_at = input->window.last_at != WINDOW_NEVER ? input->window.last_at : 0,
        .max = window_max(&input->window),
        .max_until = until != INT64_MAX ? until : 0,
        .estimate = fold_input_estimate(input, now),
        .health = fold_health(input, now),
        .cover = fold_input_cover(input, now),
        .covered_at = fold_covered_at(input, now),
        .reason = dyn_str_from(input->reason),
    };
}

void fold_give_target(struct fold *fold, const struct fold_controller *controller, int64_t now,
                      bool changed, const struct fold_out *out)
{
    struct target *target = &fold->target;
    target->controller = controller->config->id;
    target->app = dyn_str_from(controller->app->name);
    target->name = dyn_str_from(controller->config->name);
    target->rung = controller->given.rung;
    target->raise_only = controller->given.raise_only;
    target->reason = controller->given.reason;
    target->estimate = controller->given.estimate;
    target->decided = fold->last;
    target->log_ms = now;
    target->epoch = fold->epoch;
    target->config = fold->plan.config->hash;
    target->inputs_count = controller->inputs_count;
    for (uint32_t i = 0; i < controller->inputs_count; i++) {
        fold_input_story(&fold->plan.inputs[controller->first_input + i], now, &target->inputs[i]);
    }
    out->target(out->arg, target, changed);
}

void fold_give_report(const struct fold *fold, const struct fold_controller *controller,
                      int64_t now, const struct fold_out *out)
{
    struct report report = {
        .controller = controller->config->id,
        .log_ms = now,
        .estimate = controller->given.exists ? controller->given.rung : -1,
        .inputs_count = controller->inputs_count,
    };
    for (uint32_t i = 0; i < controller->inputs_count; i++) {
        const struct fold_input *input = &fold->plan.inputs[controller->first_input + i];
        report.inputs[i] = (struct report_input){
            .series = input->config->series,
            .value = window_value(&input->window),
            .max = window_max(&input->window),
            .estimate = fold_input_estimate(input, now),
        };
    }
    out->report(out->arg, &report);
}

static void fold_event_of_input(const struct fold *fold, const struct fold_input *input,
                                struct event event, const struct fold_out *out)
{
    const struct fold_controller *controller = &fold->plan.controllers[input->controller];
    event.app = dyn_str_from(controller->app->name);
    event.controller = dyn_str_from(controller->config->name);
    event.input = dyn_str_from(input->config->name);
    out->event(out->arg, &event);
}

static void fold_lag_words(const struct fold_input *input, int64_t now, struct dyn_buf *text)
{
    double value = window_value(&input->window);
    char when[32];
    if (isnan(value)) {
        dyn_buf_addf(text, "no value since %" PRId64 " s, none ever",
                     (now - input->born_at) / 1000);
    } else {
        dyn_clock_format(input->window.last_at, when, sizeof(when));
        dyn_buf_addf(text, "no value since %" PRId64 " s; the last was %g at %s",
                     (now - input->window.last_at) / 1000, value, when);
    }
    if (input->reason != NULL) {
        dyn_buf_addf(text, "; the last poll said: %s", input->reason);
    }
    static const char *const held[] = {
        [CONFIG_HOLD] = "; nothing is scaled down until values are back for a whole "
                        "hysteresis_period (on_outage: hold)",
        [CONFIG_IGNORE] = "; the other inputs decide without it after 300 s (on_outage: ignore)",
        [CONFIG_FALLBACK] = "; at least the fallback is kept, and nothing is scaled down "
                            "(on_outage: fallback)",
    };
    dyn_buf_addf(text, "%s", held[input->config->on_outage]);
}

/* Whose fault it is, where the poll's words begin with the host that was asked: one vendor's outage
 * is one cause for all its inputs. */
static struct dyn_str fold_cause(const char *reason)
{
    static const char host[] = "abcdefghijklmnopqrstuvwxyz0123456789.-";
    size_t len = reason != NULL ? strspn(reason, host) : 0;
    if (len == 0 || strncmp(reason + len, ": ", 2) != 0 || memchr(reason, '.', len) == NULL) {
        return DYN_STR("");
    }
    return (struct dyn_str){reason, len};
}

static void fold_tell_raised(const struct fold *fold, struct fold_input *input, enum fold_lag lag,
                             int64_t now, const struct fold_out *out)
{
    struct dyn_buf text;
    dyn_buf_init(&text, DYN_ERROR_TEXT_MAX);
    fold_lag_words(input, now, &text);
    struct event event = {
        .level = lag == LAG_OUTAGE ? EVENT_ERROR : EVENT_WARN,
        .state = EVENT_RAISED,
        .code = lag == LAG_OUTAGE ? DYN_STR("input_outage") : DYN_STR("input_stale"),
        .cause = fold_cause(input->reason),
        .text = dyn_buf_str(&text),
    };
    fold_event_of_input(fold, input, event, out);
    dyn_buf_fini(&text);
}

static void fold_tell_over(const struct fold *fold, const struct fold_input *input,
                           struct dyn_str code, const struct fold_out *out)
{
    struct event event = {
        .level = EVENT_INFO,
        .state = EVENT_OVER,
        .code = code,
        .text = DYN_STR("values are back; scaling down needs a whole hysteresis_period of them"),
    };
    fold_event_of_input(fold, input, event, out);
}

void fold_tell_lag(struct fold *fold, struct fold_input *input, int64_t now,
                   const struct fold_out *out)
{
    enum fold_lag lag = fold_lag(input, now);
    enum fold_lag told = (enum fold_lag)input->told;
    bool again = lag == LAG_OUTAGE && now - input->told_at >= FOLD_HELD_AGAIN_MS;
    if (lag == told && !again) {
        return;
    }
    input->told = (uint8_t)lag;
    input->told_at = now;
    if (out->event == NULL) {
        return;
    }
    if (lag != LAG_NONE) {
        fold_tell_raised(fold, input, lag, now, out);
        return;
    }
    fold_tell_over(fold, input, DYN_STR("input_stale"), out);
    if (told == LAG_OUTAGE) {
        fold_tell_over(fold, input, DYN_STR("input_outage"), out);
    }
}

/* Whether there is something to tell of a trouble: it begins, has lasted for an hour since it was
 * told, or is over. */
static bool fold_turns(struct fold_told *told, bool is, int64_t now)
{
    if (is == told->raised && !(is && now - told->at >= FOLD_HELD_AGAIN_MS)) {
        return false;
    }
    *told = (struct fold_told){is, now};
    return true;
}

void fold_tell_disabled(struct fold *fold, struct fold_input *input, int64_t now,
                        const struct fold_out *out)
{
    if (out->event == NULL || !fold_turns(&input->off, input->disabled, now)) {
        return;
    }
    struct event event = {
        .level = input->disabled ? EVENT_ERROR : EVENT_INFO,
        .state = input->disabled ? EVENT_RAISED : EVENT_OVER,
        .code = DYN_STR("input_disabled"),
        .text =
            input->disabled ? dyn_str_from(input->reason) : DYN_STR("the input is set up again"),
    };
    fold_event_of_input(fold, input, event, out);
}

static bool fold_is_above(const struct fold_input *input)
{
    const struct plan_table *plans = input->config->plans;
    double max = window_max(&input->window);
    return plans != NULL && !isnan(max) && fold_resources(input->config, max) > plans->count;
}

void fold_tell_above(struct fold *fold, struct fold_input *input, int64_t now,
                     const struct fold_out *out)
{
    const struct config_input *config = input->config;
    double max = window_max(&input->window);
    if (config->plans == NULL || out->event == NULL) {
        return;
    }
    bool above = fold_is_above(input);
    if (!fold_turns(&input->above, above, now)) {
        return;
    }
    const char *largest = config->plans->plans[config->plans->count - 1].name;
    struct dyn_buf text;
    dyn_buf_init(&text, DYN_ERROR_TEXT_MAX);
    if (above) {
        dyn_buf_addf(&text,
                     "%.10g is more than %s, the largest plan, should hold "
                     "(max_percentage_threshold %.10g%%): the largest that is allowed is asked for",
                     max, largest, config->threshold_percent);
    } else {
        dyn_buf_addf(&text, "%s is large enough again", largest);
    }
    struct event event = {
        .level = above ? EVENT_WARN : EVENT_INFO,
        .state = above ? EVENT_RAISED : EVENT_OVER,
        .code = DYN_STR("above_plans"),
        .text = dyn_buf_str(&text),
    };
    fold_event_of_input(fold, input, event, out);
    dyn_buf_fini(&text);
}

/* Whether a target of the controller waits for what runs: it has values that it cannot use. */
static bool fold_wants_running(const struct fold *fold, const struct fold_controller *controller,
                               int64_t now)
{
    int32_t runs = 0;
    int32_t fewest = 0;
    if (running_at(controller->running, now, 0, &runs, &fewest)) {
        return false;
    }
    for (uint32_t i = 0; i < controller->inputs_count; i++) {
        const struct fold_input *input = &fold->plan.inputs[controller->first_input + i];
        if (input->asked != NULL && fold_health(input, now) == INPUT_OK) {
            return true;
        }
    }
    return false;
}

static void fold_give_running(const struct fold_controller *controller, const struct fold_out *out)
{
    struct event event = {
        .level = controller->unknown.raised ? EVENT_WARN : EVENT_INFO,
        .state = controller->unknown.raised ? EVENT_RAISED : EVENT_OVER,
        .code = DYN_STR("running_unknown"),
        .app = dyn_str_from(controller->app->name),
        .controller = dyn_str_from(controller->config->name),
        .text = controller->unknown.raised
                    ? DYN_STR("a target is in proportion to what runs, and no actuator has told "
                              "that any does: nothing is scaled by it. Does one run, can it read "
                              "the app, is the mode off, does the app run at 0?")
                    : DYN_STR("what runs is known again"),
    };
    out->event(out->arg, &event);
}

void fold_tell_running(struct fold *fold, struct fold_controller *controller, int64_t now,
                       const struct fold_out *out)
{
    if (controller->running == NULL || out->event == NULL) {
        return;
    }
    if (!fold_wants_running(fold, controller, now)) {
        controller->unknown_since = WINDOW_NEVER;
    } else if (controller->unknown_since == WINDOW_NEVER) {
        controller->unknown_since = now;
    }
    bool unknown = controller->unknown_since != WINDOW_NEVER &&
                   now - controller->unknown_since >= FOLD_UNKNOWN_MS;
    if (fold_turns(&controller->unknown, unknown, now)) {
        fold_give_running(controller, out);
    }
}

void fold_forget_told(struct fold *fold, int64_t now)
{
    for (size_t i = 0; i < fold->plan.inputs_count; i++) {
        struct fold_input *input = &fold->plan.inputs[i];
        if (fold_lag(input, now) != LAG_NONE) {
            input->told = LAG_NONE;
        }
        input->off.raised = input->off.raised && !input->disabled;
        input->above.raised = input->above.raised && !fold_is_above(input);
    }
    for (size_t c = 0; c < fold->plan.controllers_count; c++) {
        struct fold_controller *controller = &fold->plan.controllers[c];
        controller->unknown.raised =
            controller->unknown.raised && !fold_wants_running(fold, controller, now);
    }
}

void fold_tell_lost(const struct fold *fold, struct dyn_str member, uint64_t lost,
                    const struct fold_out *out)
{
    if (out->event == NULL) {
        return;
    }
    struct dyn_buf text;
    dyn_buf_init(&text, DYN_ERROR_TEXT_MAX);
    dyn_buf_addf(&text,
                 "a gap in the values of partition %" PRIu32 ": %" PRIu64
                 " samples or batches%s" DYN_STR_FMT " were never written; a queue was full, or "
                 "Redis lost them",
                 fold->partition, lost, member.len > 0 ? " of collector " : "",
                 DYN_STR_ARG(member));
    struct event event = {
        .level = EVENT_WARN,
        .state = EVENT_ONCE,
        .code = DYN_STR("samples_lost"),
        .text = dyn_buf_str(&text),
    };
    out->event(out->arg, &event);
    dyn_buf_fini(&text);
}

void fold_tell_break(const struct fold *fold, uint32_t breaks, int64_t alone_ms, int64_t drift_ms,
                     const struct fold_out *out)
{
    if (out->event == NULL) {
        return;
    }
    struct dyn_buf text;
    dyn_buf_init(&text, DYN_ERROR_TEXT_MAX);
    dyn_buf_addf(&text, "partition %" PRIu32 ": ", fold->partition);
    if (breaks != BREAK_NONE) {
        dyn_buf_addf(&text, "Redis came back with another history, values may be lost");
    } else if (alone_ms > 0) {
        dyn_buf_addf(&text,
                     "no estimator led for %" PRId64 " s, and the clock of Redis may have been set "
                     "meanwhile",
                     alone_ms / 1000);
    } else {
        dyn_buf_addf(&text, "the clock of Redis jumped by %+" PRId64 " ms", drift_ms);
    }
    dyn_buf_addf(&text, "; nothing is scaled down before good values cover a whole "
                        "hysteresis_period again");
    struct event event = {
        .level = EVENT_WARN,
        .state = EVENT_ONCE,
        .code = DYN_STR("log_break"),
        .text = dyn_buf_str(&text),
    };
    out->event(out->arg, &event);
    dyn_buf_fini(&text);
}
