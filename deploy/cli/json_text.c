#include "deploy/cli/json_text.h"

#include "common/clock.h"
#include "deploy/cli/status_text.h"

#include <math.h>

static json_t *text_of(struct dyn_str text)
{
    json_t *value = json_stringn(text.ptr != NULL ? text.ptr : "", text.len);
    return value != NULL ? value : json_null(); /* bytes that are no UTF-8 */
}

static json_t *number_of(double number)
{
    return isnan(number) ? json_null() : json_real(number);
}

static json_t *count_of(int32_t count)
{
    return count < 0 ? json_null() : json_integer(count);
}

/* Beside a number of a controller of plans: its name. */
static void plan_add(json_t *json, const struct config_controller *controller, const char *key,
                     int32_t rung)
{
    char text[CONFIG_RUNG_TEXT];
    if (controller->plans != NULL) {
        (void)json_object_set_new(json, key,
                                  rung > 0 ? json_string(config_rung_text(controller, rung, text))
                                           : json_null());
    }
}

static json_t *time_of(int64_t at_ms)
{
    char text[32];
    if (at_ms <= 0) {
        return json_null();
    }
    dyn_clock_format(at_ms, text, sizeof text);
    return json_string(text);
}

static json_t *json_of_input(const struct explain_facts *facts, const struct input_story *story)
{
    struct explain_numbers numbers;
    struct dyn_buf words;
    explain_numbers(facts, story, &numbers);
    dyn_buf_init(&words, DYN_ERROR_TEXT_MAX);
    explain_cover(&words, facts->controller, story, facts->now_ms);
    json_t *input = json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:o, s:s, s:s, s:o, s:o, s:s}", "name", text_of(story->name),
        "value", number_of(numbers.value), "value_at", time_of(numbers.value_at), "max",
        number_of(numbers.max), "max_counts_until", time_of(numbers.max_counts), "estimate",
        count_of(numbers.estimate), "health", input_health_text(story->health), "cover",
        input_cover_text(story->cover), "covered_at", time_of(story->covered_at), "reason",
        text_of(story->reason), "words", dyn_buf_text(&words));
    dyn_buf_fini(&words);
    plan_add(input, facts->controller, "estimate_plan", numbers.estimate);
    return input;
}

static json_t *json_of_target(const struct explain_facts *facts)
{
    const struct target *target = facts->target;
    if (target == NULL) {
        return json_null();
    }
    json_t *inputs = json_array();
    for (uint32_t i = 0; i < target->inputs_count; i++) {
        (void)json_array_append_new(inputs, json_of_input(facts, &target->inputs[i]));
    }
    json_t *json =
        json_pack("{s:i, s:b, s:s, s:o, s:o, s:o}", "resources", target->rung, "raise_only",
                  target->raise_only, "reason", target_reason_text(target->reason), "estimate",
                  count_of(target->estimate), "at", time_of(target->log_ms), "inputs", inputs);
    plan_add(json, facts->controller, "plan", target->rung);
    return json;
}

static json_t *json_of_actual(const struct config_controller *controller,
                              const struct actual *actual)
{
    if (actual == NULL) {
        return json_null();
    }
    json_t *json = json_pack("{s:o, s:s, s:s, s:o, s:o, s:o}", "running", count_of(actual->running),
                             "guard", guard_text(actual->guard), "guard_words",
                             guard_words(actual->guard), "until", time_of(actual->until_ms),
                             "words", text_of(actual->words), "at", time_of(actual->wall_ms));
    plan_add(json, controller, "plan", actual->running);
    return json;
}

static json_t *json_of_action(const struct config_controller *controller,
                              const struct action *action)
{
    json_t *json = json_pack("{s:o, s:i, s:i, s:i, s:s, s:i, s:o}", "at", time_of(action->wall_ms),
                             "from", action->from, "to", action->to, "target", action->target,
                             "outcome", action_outcome_text(action->outcome), "http_status",
                             action->http_status, "words", text_of(action->words));
    plan_add(json, controller, "from_plan", action->from);
    plan_add(json, controller, "to_plan", action->to);
    plan_add(json, controller, "target_plan", action->target);
    return json;
}

json_t *json_of_facts(const struct explain_facts *facts)
{
    json_t *actions = json_array();
    for (size_t i = 0; i < facts->actions_count; i++) {
        (void)json_array_append_new(actions, json_of_action(facts->controller, facts->actions[i]));
    }
    json_t *json = json_pack(
        "{s:s, s:s, s:s, s:i, s:i, s:o, s:o, s:b, s:o, s:o}", "app", facts->app->name, "controller",
        facts->controller->name, "mode", config_mode_text(facts->controller->mode), "min_resource",
        facts->controller->min_resource, "max_resource", facts->controller->max_resource, "target",
        json_of_target(facts), "actual", json_of_actual(facts->controller, facts->actual),
        "trouble", explain_is_trouble(facts), "folded_at", time_of(facts->folded_ms), "actions",
        actions);
    plan_add(json, facts->controller, "min_plan", facts->controller->min_resource);
    plan_add(json, facts->controller, "max_plan", facts->controller->max_resource);
    return json;
}

json_t *json_of_fleet(const struct fleet *fleet)
{
    json_t *controllers = json_array();
    json_t *partitions = json_array();
    json_t *accounts = json_array();
    for (size_t i = 0; i < fleet->controllers_count; i++) {
        struct explain_facts facts = status_facts(fleet, &fleet->controllers[i]);
        (void)json_array_append_new(controllers, json_of_facts(&facts));
    }
    for (uint32_t p = 0; p < fleet->config->redis.partitions; p++) {
        const struct fleet_partition *partition = &fleet->partitions[p];
        if (partition->used) {
            (void)json_array_append_new(
                partitions, json_pack("{s:i, s:b, s:s, s:o}", "partition", (int)p, "led",
                                      partition->leader[0] != 0, "leader", partition->leader,
                                      "folded_at", time_of(partition->folded_ms)));
        }
    }
    for (size_t i = 0; i < fleet->config->accounts_count; i++) {
        (void)json_array_append_new(accounts, json_pack("{s:s, s:b, s:s}", "account",
                                                        fleet->accounts[i].config->name, "led",
                                                        fleet->accounts[i].leader[0] != 0, "leader",
                                                        fleet->accounts[i].leader));
    }
    return json_pack("{s:o, s:o, s:o, s:o}", "at", time_of(fleet->now_ms), "controllers",
                     controllers, "partitions", partitions, "accounts", accounts);
}
