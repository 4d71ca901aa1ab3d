#include "deploy/cli/explain_text.h"

#include <inttypes.h>
#include <math.h>

/* ---- inputs ---- */

static const struct report_input *report_of(const struct report *report,
                                            const struct config_input *input)
{
    for (uint32_t i = 0; report != NULL && input != NULL && i < report->inputs_count; i++) {
        if (report->inputs[i].series == input->series) {
            return &report->inputs[i];
        }
    }
    return NULL;
}

void explain_numbers(const struct explain_facts *facts, const struct input_story *story,
                     struct explain_numbers *out)
{
    const struct config_input *input = explain_input(facts->controller, story->name);
    const struct report_input *newer = report_of(facts->report, input);
    int64_t period_ms = input != NULL ? input->hysteresis_period_ms : 0;
    int64_t told_ms = facts->target->log_ms;
    bool still = story->max_until == 0;
    *out = (struct explain_numbers){.value = story->value,
                                    .value_at = story->value_at,
                                    .max = story->max,
                                    .estimate = story->estimate};
    if (newer != NULL && facts->report->log_ms > told_ms) {
        /* A value that has not come again is as old as before. */
        if (story->health == INPUT_OK) {
            out->value_at = facts->report->log_ms;
        }
        told_ms = facts->report->log_ms;
        still = still || newer->max != story->max;
        out->value = newer->value;
        out->max = newer->max;
        out->estimate = newer->estimate;
    }
    if (!isnan(out->max)) {
        out->max_counts = (still ? told_ms : story->max_until) + period_ms;
    }
}

static void no_value_for(struct dyn_buf *out, const struct input_story *story, int64_t now_ms)
{
    if (story->value_at == 0) {
        (void)dyn_buf_addf(out, "no value yet");
    } else {
        (void)dyn_buf_addf(out, "no value for ");
        explain_duration(out, now_ms - story->value_at);
    }
    if (story->reason.len > 0) {
        (void)dyn_buf_addf(out, " (" DYN_STR_FMT ")", DYN_STR_ARG(story->reason));
    }
}

static void whole_window(struct dyn_buf *out, const struct config_input *config)
{
    if (config != NULL) {
        explain_duration(out, config->hysteresis_period_ms);
    } else {
        (void)dyn_buf_addf(out, "a whole hysteresis_period");
    }
}

/* Values come, but of what they ask for nothing is known: only a target has that. */
static bool lacks_running(const struct input_story *story, const struct config_input *config)
{
    return config != NULL && config->conversion == CONFIG_TARGET && story->health == INPUT_OK;
}

static void not_before(struct dyn_buf *out, const struct input_story *story, int64_t now_ms)
{
    (void)dyn_buf_addf(out, "nothing is scaled down");
    if (story->covered_at > now_ms) {
        (void)dyn_buf_addf(out, " before ");
        explain_time(out, story->covered_at, now_ms);
    } else {
        (void)dyn_buf_addf(out, " yet");
    }
}

void explain_cover(struct dyn_buf *out, const struct config_controller *controller,
                   const struct input_story *story, int64_t now_ms)
{
    const struct config_input *config = explain_input(controller, story->name);
    switch (story->cover) {
    case COVER_YES:
        return;
    case COVER_NEVER:
    case COVER_STALE:
        if (lacks_running(story, config)) {
            (void)dyn_buf_addf(out, "how many run was not known when its values came, and a "
                                    "target is in proportion to that: nothing is scaled down "
                                    "until it is known for ");
            whole_window(out, config);
            return;
        }
        no_value_for(out, story, now_ms);
        (void)dyn_buf_addf(out, ": nothing is scaled down until values are back for ");
        whole_window(out, config);
        return;
    case COVER_YOUNG:
        (void)dyn_buf_addf(out, "good values for less than ");
        whole_window(out, config);
        (void)dyn_buf_addf(out, " so far: ");
        not_before(out, story, now_ms);
        return;
    case COVER_DOUBT:
        (void)dyn_buf_addf(out, "zeros after demand: a silent agent looks like an empty site, so ");
        not_before(out, story, now_ms);
        (void)dyn_buf_addf(out, " (doubt_zero)");
        return;
    case COVER_IGNORED:
        no_value_for(out, story, now_ms);
        (void)dyn_buf_addf(out, ": the other inputs decide without it (on_outage: ignore)");
        return;
    case COVER_FALLBACK:
        no_value_for(out, story, now_ms);
        (void)dyn_buf_addf(out, ": ");
        if (config != NULL) {
            (void)dyn_buf_addf(out, "at least ");
            explain_count(out, controller, config->fallback);
            (void)dyn_buf_addf(out, "%s in for it, ",
                               controller->plans == NULL ? " stand" : " stands");
        }
        (void)dyn_buf_addf(out, "and nothing is scaled down (on_outage: fallback)");
        return;
    }
}

/* How the value became resources, where that is no plain division. */
static void conversion_text(struct dyn_buf *out, const struct config_input *config, double max)
{
    const struct config_step *step = NULL;
    if (config == NULL || config->conversion == CONFIG_PER_RESOURCE) {
        return;
    }
    if (config->conversion == CONFIG_TARGET) {
        (void)dyn_buf_addf(out,
                           " (the highest of what ran x value / target %.10g; within %.10g%% "
                           "of it, what ran)",
                           config->target, config->tolerance * 100);
        return;
    }
    for (size_t i = 0; i < config->steps_count && config->steps[i].from <= max; i++) {
        step = &config->steps[i];
    }
    if (step != NULL) {
        (void)dyn_buf_addf(out, " (step: %" PRId32 " from %.10g on)", step->resources, step->from);
    } else {
        (void)dyn_buf_addf(out, " (below the first step, %.10g)", config->steps[0].from);
    }
}

static void input_text(struct dyn_buf *out, const struct explain_facts *facts,
                       const struct input_story *story)
{
    const struct config_input *config = explain_input(facts->controller, story->name);
    struct explain_numbers numbers;
    struct dyn_buf cover;
    explain_numbers(facts, story, &numbers);
    (void)dyn_buf_addf(out, "  " DYN_STR_FMT ": ", DYN_STR_ARG(story->name));
    if (isnan(numbers.value)) {
        (void)dyn_buf_addf(out, "never a value");
    } else {
        (void)dyn_buf_addf(out, "%.10g at ", numbers.value);
        explain_time(out, numbers.value_at, facts->now_ms);
    }
    if (!isnan(numbers.max) && config != NULL && numbers.max <= numbers.value) {
        (void)dyn_buf_addf(out, "; nothing higher in the last ");
        explain_duration(out, config->hysteresis_period_ms);
    } else if (!isnan(numbers.max) && config != NULL) {
        (void)dyn_buf_addf(out, "; highest of the last ");
        explain_duration(out, config->hysteresis_period_ms);
        (void)dyn_buf_addf(out, ": %.10g, counts until ", numbers.max);
        explain_time(out, numbers.max_counts, facts->now_ms);
    }
    if (numbers.estimate >= 0) {
        (void)dyn_buf_addf(out, "; asks for ");
        explain_resources(out, facts->controller, numbers.estimate);
        conversion_text(out, config, numbers.max);
    }
    dyn_buf_init(&cover, DYN_ERROR_TEXT_MAX);
    explain_cover(&cover, facts->controller, story, facts->now_ms);
    if (cover.len > 0) {
        (void)dyn_buf_addf(out, "\n    %s", dyn_buf_text(&cover));
    }
    (void)dyn_buf_addf(out, "\n");
    dyn_buf_fini(&cover);
}

/* ---- the target ---- */

static void reason_text(struct dyn_buf *out, const struct explain_facts *facts)
{
    const struct config_controller *config = facts->controller;
    char min[CONFIG_RUNG_TEXT];
    char max[CONFIG_RUNG_TEXT];
    (void)config_rung_text(config, config->min_resource, min);
    (void)config_rung_text(config, config->max_resource, max);
    switch (facts->target->reason) {
    case TARGET_DEMAND:
        (void)dyn_buf_addf(out, "; within min_resource %s and max_resource %s", min, max);
        return;
    case TARGET_AT_MIN:
        (void)dyn_buf_addf(out, "; raised to min_resource %s", min);
        return;
    case TARGET_AT_MAX:
        (void)dyn_buf_addf(out, "; cut to max_resource %s: raise it if the app needs more", max);
        return;
    case TARGET_PINNED:
        (void)dyn_buf_addf(out, "; an operator pinned it: `dynosaur unpin` ends that");
        return;
    }
}

static void target_text(struct dyn_buf *out, const struct explain_facts *facts)
{
    const struct target *target = facts->target;
    if (target == NULL) {
        (void)dyn_buf_addf(out, "  target: none yet: no input has said a number; see the "
                                "collector's log\n");
        return;
    }
    (void)dyn_buf_addf(out, "  together: ");
    if (target->estimate >= 0) {
        explain_resources(out, facts->controller, target->estimate);
        if (target->inputs_count > 1) {
            (void)dyn_buf_addf(out, ", the highest of %" PRIu32 " inputs", target->inputs_count);
        }
    } else {
        (void)dyn_buf_addf(out, "no estimate");
    }
    reason_text(out, facts);
    (void)dyn_buf_addf(out, "\n  target: ");
    explain_resources(out, facts->controller, target->rung);
    (void)dyn_buf_addf(out, "%s, told at ",
                       target->raise_only ? " or what runs, if that is more (raise_only)" : "");
    explain_time(out, target->log_ms, facts->now_ms);
    (void)dyn_buf_addf(out, "\n");
}

/* ---- what runs ---- */

static void guard_until(struct dyn_buf *out, const struct actual *actual, int64_t now_ms)
{
    (void)dyn_buf_addf(out, "%s", guard_text(actual->guard));
    if (actual->until_ms > 0) {
        (void)dyn_buf_addf(out, " until ");
        explain_time(out, actual->until_ms, now_ms);
    }
}

static void running_text(struct dyn_buf *out, const struct explain_facts *facts)
{
    const struct actual *actual = facts->actual;
    if (actual == NULL) {
        (void)dyn_buf_addf(out, "  running: not known: no actuator has told; is one running, and "
                                "can it use the account's heroku_api_key?\n");
        return;
    }
    (void)dyn_buf_addf(out, "  running: ");
    if (actual->running < 0) {
        (void)dyn_buf_addf(out, "not known");
    } else {
        explain_resources(out, facts->controller, actual->running);
        (void)dyn_buf_addf(out, " of %s",
                           facts->controller->process_type != NULL ? facts->controller->process_type
                                                                   : facts->controller->name);
    }
    (void)dyn_buf_addf(out, ", told at ");
    explain_time(out, actual->wall_ms, facts->now_ms);
    (void)dyn_buf_addf(out, "%s\n",
                       explain_is_silent(facts) ? ": nothing since then; is an actuator running?"
                                                : "");
    if (actual->guard == GUARD_NONE) {
        (void)dyn_buf_addf(out, "  held by: nothing. %s\n", guard_words(GUARD_NONE));
    } else {
        (void)dyn_buf_addf(out, "  held by: ");
        guard_until(out, actual, facts->now_ms);
        (void)dyn_buf_addf(out, ". %s\n", guard_words(actual->guard));
    }
    if (actual->words.len > 0) {
        (void)dyn_buf_addf(out, "  Heroku said: " DYN_STR_FMT "\n", DYN_STR_ARG(actual->words));
    }
}

static void action_text(struct dyn_buf *out, const struct config_controller *controller,
                        const struct action *action, int64_t now_ms)
{
    (void)dyn_buf_addf(out, "    ");
    explain_time(out, action->wall_ms, now_ms);
    (void)dyn_buf_addf(out, ": " DYN_STR_FMT " ", DYN_STR_ARG(action->process_type));
    explain_count(out, controller, action->from);
    (void)dyn_buf_addf(out, " -> ");
    explain_count(out, controller, action->to);
    if (action->target != action->to) {
        (void)dyn_buf_addf(out, ", towards ");
        explain_count(out, controller, action->target);
    }
    (void)dyn_buf_addf(out, " (%s", action_outcome_text(action->outcome));
    if (action->outcome != ACTION_DONE && action->http_status != 0) {
        (void)dyn_buf_addf(out, ", HTTP %" PRId32, action->http_status);
    }
    if (action->words.len > 0) {
        (void)dyn_buf_addf(out, ": " DYN_STR_FMT, DYN_STR_ARG(action->words));
    }
    (void)dyn_buf_addf(out, ")\n");
}

static void fold_text(struct dyn_buf *out, const struct explain_facts *facts)
{
    if (facts->folded_ms != 0 && facts->now_ms - facts->folded_ms <= EXPLAIN_OLD_MARK_MS) {
        return;
    }
    (void)dyn_buf_addf(out, "  engine: partition %" PRIu32, facts->app->partition);
    if (facts->folded_ms == 0) {
        (void)dyn_buf_addf(out, " has never been folded");
    } else {
        (void)dyn_buf_addf(out, " was last folded at ");
        explain_time(out, facts->folded_ms, facts->now_ms);
    }
    (void)dyn_buf_addf(out, ": nothing is scaled down until it is; check that an estimator runs\n");
}

/* ---- the whole ---- */

static bool has_target(const struct explain_facts *facts)
{
    return facts->target != NULL && facts->controller->mode != CONFIG_MODE_OFF;
}

bool explain_is_trouble(const struct explain_facts *facts)
{
    if (facts->controller->mode == CONFIG_MODE_OFF) {
        return false;
    }
    if (facts->target == NULL || facts->actual == NULL) {
        return true;
    }
    return facts->actual->guard != GUARD_NONE || explain_is_silent(facts);
}

bool explain_is_silent(const struct explain_facts *facts)
{
    int64_t silent_ms = 3 * facts->app->interval_ms;
    return facts->actual != NULL &&
           facts->now_ms - facts->actual->wall_ms >
               (silent_ms > EXPLAIN_SILENT_MS ? silent_ms : EXPLAIN_SILENT_MS);
}

void explain_standing(struct dyn_buf *out, const struct explain_facts *facts)
{
    const struct actual *actual = facts->actual;
    if (actual != NULL && actual->running >= 0) {
        explain_count(out, facts->controller, actual->running);
    } else {
        (void)dyn_buf_addf(out, "?");
    }
    if (has_target(facts)) {
        (void)dyn_buf_addf(out, facts->controller->plans == NULL ? " of " : ", wanted ");
        explain_resources(out, facts->controller, facts->target->rung);
        (void)dyn_buf_addf(out, "%s", facts->target->raise_only ? " or more" : "");
    } else {
        (void)dyn_buf_addf(out, "%s, no target", facts->controller->plans == NULL ? " dynos" : "");
    }
    if (actual == NULL) {
        (void)dyn_buf_addf(out, "; the actuator has told nothing");
    } else if (actual->guard != GUARD_NONE) {
        (void)dyn_buf_addf(out, ", ");
        guard_until(out, actual, facts->now_ms);
        if (actual->words.len > 0) {
            (void)dyn_buf_addf(out, ": " DYN_STR_FMT, DYN_STR_ARG(actual->words));
        }
    }
    if (explain_is_silent(facts)) {
        (void)dyn_buf_addf(out, "; the actuator has told nothing for ");
        explain_duration(out, facts->now_ms - actual->wall_ms);
    }
}

void explain_text(struct dyn_buf *out, const struct explain_facts *facts)
{
    (void)dyn_buf_addf(out, "%s/%s: ", facts->app->name, facts->controller->name);
    explain_standing(out, facts);
    (void)dyn_buf_addf(out, " (mode: %s)\n", config_mode_text(facts->controller->mode));
    for (uint32_t i = 0; facts->target != NULL && i < facts->target->inputs_count; i++) {
        input_text(out, facts, &facts->target->inputs[i]);
    }
    target_text(out, facts);
    running_text(out, facts);
    fold_text(out, facts);
    if (facts->actions_count > 0) {
        (void)dyn_buf_addf(out, "  last actions:\n");
    }
    for (size_t i = 0; i < facts->actions_count; i++) {
        action_text(out, facts->controller, facts->actions[i], facts->now_ms);
    }
}
