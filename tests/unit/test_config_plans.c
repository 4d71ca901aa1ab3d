/*
 * Controllers of plans: the tables, their ranges, how inputs become plans, and what is refused.
 */
#include "common/config_internal.h"
#include "estimator/fold.h"

#include <check.h>
#include <math.h>

#define HEAD                                                        \
    "scaler: {heroku_app_name: my-app, heroku_api_key: \"${K}\"}\n" \
    "controller_plugins:\n"
#define REDIS HEAD "- name: redis\n  type: rediscloud\n"
#define PAPER HEAD "- name: logs\n  type: papertrail\n"
#define INPUT "  input_plugins: [{name: in, type: sine}]\n"
#define OWN                                                                 \
    "  plans:\n"                                                            \
    "  - {name: redis-cloud:30, max_memory: 30, max_connections: 30}\n"     \
    "  - {name: redis-cloud:flex-1, max_memory: 1000, max_connections: }\n" \
    "  - {name: redis-cloud:all}\n"

static struct config *loaded;

static struct config *load(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Freed with the next one. */
static struct config *load(const char *format, ...)
{
    char text[4096];
    struct dyn_error error = {""};
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    config_free(loaded);
    loaded = config_load_text("t", dyn_str_from(text), &error);
    ck_assert_msg(loaded != NULL, "%s", error.text);
    return loaded;
}

static void teardown(void)
{
    config_free(loaded);
    loaded = NULL;
}

static const struct config_controller *first(const struct config *config)
{
    return &config->apps[0].controllers[0];
}

static const char *name_of(const struct config_controller *controller, int32_t rung)
{
    static char text[CONFIG_RUNG_TEXT];
    return config_rung_text(controller, rung, text);
}

/* ---- from a value to a plan, as the original's users know it ---- */

#define MEMORY                                                                 \
    "rediscloud", "type: Dynosaur::Inputs::RediscloudMemoryUsageInputPlugin, " \
                  "component_id: 7, new_relic_api_key: \"${N}\""
#define CONNECTIONS                                                                \
    "rediscloud", "type: Dynosaur::Inputs::RediscloudConnectionUsageInputPlugin, " \
                  "component_id: 7, new_relic_api_key: \"${N}\""
#define VOLUME                                                      \
    "papertrail", "type: Dynosaur::Inputs::PapertrailInputPlugin, " \
                  "papertrail_api_key: \"${P}\""

static const struct {
    const char *addon;
    const char *input;
    double value;
    const char *plan;
} worked[] = {
    {MEMORY, 0, "rediscloud:25"},
    {MEMORY, 70, "rediscloud:100"},
    {MEMORY, 89, "rediscloud:100"},
    {MEMORY, 95, "rediscloud:250"},
    {MEMORY, 120, "rediscloud:250"},
    {MEMORY, 200, "rediscloud:250"},
    {MEMORY, 45000, "more than rediscloud:50000"},
    {CONNECTIONS, 30, "rediscloud:100"},
    {CONNECTIONS, 240, "rediscloud:500"},
    {CONNECTIONS, 400, "rediscloud:500"},
    {CONNECTIONS, 1000, "rediscloud:2500"},
    {CONNECTIONS, 10000, "rediscloud:2500"},
    {VOLUME, 51380224, "papertrail:ludvig"},
    {VOLUME, 93323264, "papertrail:ludvig"},
    {VOLUME, 157286400, "papertrail:forsta"},
    {VOLUME, 6e9, "papertrail:numerar"},
    {VOLUME, 2e10, "more than papertrail:grundtal"},
    {"rediscloud", "type: Dynosaur::Inputs::RediscloudRandomInputPlugin", 95, "rediscloud:250"},
    {"papertrail", "type: Dynosaur::Inputs::PapertrailRandomInputPlugin", 1, "papertrail:choklad"},
    /* Any source will do: New Relic has ended the original's. */
    {"rediscloud", "type: exec, command: x", 95, "rediscloud:250"},
    {"rediscloud", "type: exec, command: x, measure: connections", 240, "rediscloud:500"},
    {"rediscloud", "type: exec, command: x, max_percentage_threshold: 96", 95, "rediscloud:100"},
    {"papertrail", "type: exec, command: x, measure: log_volume", 1, "papertrail:choklad"},
};

START_TEST(a_value_becomes_the_plan_that_the_original_chose)
{
    const struct config_controller *controller =
        first(load(HEAD "- name: c\n  type: %s\n  input_plugins: [{name: in, %s}]\n",
                   worked[_i].addon, worked[_i].input));
    int32_t rung = fold_resources(&controller->inputs[0], worked[_i].value);
    ck_assert_str_eq(name_of(controller, rung), worked[_i].plan);
}
END_TEST

/* ---- the controller ---- */

START_TEST(the_range_is_the_whole_table_unless_it_is_told)
{
    const struct config_controller *redis = first(load(REDIS INPUT));
    ck_assert_str_eq(name_of(redis, redis->min_resource), "rediscloud:25");
    ck_assert_str_eq(name_of(redis, redis->max_resource), "rediscloud:50000");
    ck_assert_str_eq(redis->process_type, "rediscloud");
    ck_assert(!redis->allow_downgrade);
    ck_assert_ptr_null(redis->addon);
    ck_assert_int_eq(redis->scale_down_cooldown_ms, 3600000);
    ck_assert_int_eq(redis->manual_hold_ms, 3600000);
    redis = first(load(REDIS "  min_resource_name: rediscloud:100\n  max_resource: rediscloud:500\n"
                             "  allow_downgrade: true\n  addon: redis-round-1\n"
                             "  scale_down_cooldown: 2h\n" INPUT));
    ck_assert_str_eq(name_of(redis, redis->min_resource), "rediscloud:100");
    ck_assert_str_eq(name_of(redis, redis->max_resource), "rediscloud:500");
    ck_assert(redis->allow_downgrade);
    ck_assert_str_eq(redis->addon, "redis-round-1");
    ck_assert_int_eq(redis->scale_down_cooldown_ms, 7200000);
}
END_TEST

START_TEST(what_is_said_of_dynos_above_is_not_said_of_plans)
{
    const struct config *config = load(
        "version: 2\n"
        "accounts: {main: {heroku_api_key: \"${K}\"}}\n"
        "defaults: {min_resource: 4, max_resource: 20, scale_down_cooldown: 5, process_type: w, "
        "max_step_down: 50, max_step_up: 3, hysteresis_period: 600}\n"
        "apps:\n"
        "  shop:\n"
        "    controller_plugins:\n"
        "    - {name: r, type: rediscloud, input_plugins: [{name: in, type: sine}]}\n");
    const struct config_controller *redis = first(config);
    ck_assert_int_eq(redis->min_resource, 1);
    ck_assert_int_eq(redis->max_resource, 10);
    ck_assert_int_eq(redis->scale_down_cooldown_ms, 3600000);
    ck_assert_int_eq(redis->max_step_up, 3);
    ck_assert_int_eq(redis->inputs[0].hysteresis_period_ms, 600000);
    ck_assert_str_eq(redis->process_type, "rediscloud");
    ck_assert_uint_eq(config->warnings_count, 0);
}
END_TEST

START_TEST(a_table_of_ones_own_stands_in_for_the_built_in_one)
{
    const struct config_controller *redis = first(load(REDIS OWN INPUT));
    ck_assert_int_eq(redis->plans->count, 3);
    ck_assert_str_eq(redis->process_type, "redis-cloud");
    ck_assert_str_eq(name_of(redis, redis->max_resource), "redis-cloud:all");
    ck_assert_double_eq(redis->plans->plans[0].holds[PLAN_CONNECTIONS], 30);
    ck_assert(isinf(redis->plans->plans[1].holds[PLAN_CONNECTIONS]));
    ck_assert_int_eq(fold_resources(&redis->inputs[0], 26), 1);
    ck_assert_int_eq(fold_resources(&redis->inputs[0], 1e9), 3);
}
END_TEST

START_TEST(a_fleets_table_is_for_all_its_apps_but_those_with_their_own)
{
    const struct config *config = load(
        "version: 2\n"
        "accounts: {main: {heroku_api_key: \"${K}\"}}\n"
        "plans: {papertrail: [{name: papertrail:a, max_log_volume: 5}, {name: papertrail:b}]}\n"
        "apps:\n"
        "  shop:\n"
        "    controller_plugins:\n"
        "    - {name: r, type: rediscloud, input_plugins: [{name: in, type: sine}]}\n"
        "    - {name: p, type: papertrail, input_plugins: [{name: in, type: sine}]}\n"
        "    - {name: q, type: papertrail, plans: [{name: logs:x}], "
        "input_plugins: [{name: in, type: sine}]}\n");
    const struct config_controller *all = config->apps[0].controllers;
    ck_assert_int_eq(all[0].plans->count, 10);
    ck_assert_int_eq(all[1].plans->count, 2);
    ck_assert_int_eq(all[2].plans->count, 1);
    ck_assert_str_eq(all[2].process_type, "logs");
}
END_TEST

/* What was kept of a controller speaks of rungs. */
START_TEST(a_controller_with_another_ladder_is_another_and_sizes_only_count_in_the_hash)
{
    static const char *const tables[] = {
        "",
        "  plans: [{name: rediscloud:1, max_memory: 1}, {name: rediscloud:2, max_memory: 2}]\n",
        "  plans: [{name: rediscloud:1, max_memory: 1}, {name: rediscloud:2, max_memory: 3}]\n",
        "  plans: [{name: rediscloud:2, max_memory: 1}, {name: rediscloud:1, max_memory: 2}]\n",
    };
    uint64_t ids[4];
    uint64_t hashes[4];
    uint64_t series[4];
    for (size_t i = 0; i < 4; i++) {
        const struct config *config = load(REDIS "%s" INPUT, tables[i]);
        ids[i] = first(config)->id;
        series[i] = first(config)->inputs[0].series;
        hashes[i] = config->hash;
    }
    ck_assert(ids[0] != ids[1] && ids[1] == ids[2] && ids[2] != ids[3]);
    ck_assert(hashes[0] != hashes[1] && hashes[1] != hashes[2] && hashes[2] != hashes[3]);
    ck_assert(series[0] == series[1] && series[1] == series[2] && series[2] == series[3]);
}
END_TEST

#define OF_PERCENT                                                 \
    PAPER "  input_plugins: [{name: in, type: papertrail_random, " \
          "max_percentage_threshold: %d}]\n"

START_TEST(a_changed_threshold_keeps_its_window)
{
    const struct config *config = load(OF_PERCENT, 90);
    uint64_t series = first(config)->inputs[0].series;
    uint64_t hash = config->hash;
    config = load(OF_PERCENT, 80);
    ck_assert(first(config)->inputs[0].series == series);
    ck_assert(config->hash != hash);
    ck_assert_double_eq(first(config)->inputs[0].threshold_percent, 80);
}
END_TEST

START_TEST(a_fallback_is_a_plan)
{
    const struct config_controller *redis =
        first(load(REDIS "  input_plugins: [{name: in, type: sine, fallback: rediscloud:500}]\n"));
    ck_assert_int_eq(redis->inputs[0].on_outage, CONFIG_FALLBACK);
    ck_assert_int_eq(redis->inputs[0].fallback, 4);
}
END_TEST

START_TEST(keys_that_are_for_dynos_are_warned_of)
{
    const struct config *config = load(REDIS "  process_type: web\n  max_step_down: 50\n" INPUT);
    ck_assert_uint_eq(config->warnings_count, 2);
    ck_assert_ptr_nonnull(strstr(config->warnings[0], "process_type: means nothing for plans"));
}
END_TEST

START_TEST(the_printed_configuration_has_the_plans)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    config_print(load(REDIS OWN INPUT), out);
    (void)fclose(out);
    ck_assert_ptr_nonnull(strstr(text, "        min_resource: redis-cloud:30 "));
    ck_assert_ptr_nonnull(strstr(text, "          redis-cloud:30: memory 30 connections 30\n"));
    ck_assert_ptr_nonnull(strstr(text, "          redis-cloud:all:\n"));
    ck_assert_ptr_nonnull(strstr(text, "            measure: memory\n"));
    ck_assert_ptr_nonnull(strstr(text, "            max_percentage_threshold: 90%\n"));
    ck_assert_ptr_null(strstr(text, "process_type"));
    free(text);
}
END_TEST

/* ---- refusals ---- */

static const struct {
    const char *text;
    const char *message;
} refusals[] = {
    {REDIS "  min_resource: rediscloud:30\n" INPUT,
     "t:5:17: min_resource: found \"rediscloud:30\", expected a plan of the table, rediscloud:25 "
     "to rediscloud:50000 (did you mean \"rediscloud:25\"?)"},
    {REDIS "  max_resource: 5\n" INPUT,
     "t:5:17: max_resource: found \"5\", expected a plan of the table, rediscloud:25 to "
     "rediscloud:50000"},
    {REDIS "  min_resource: rediscloud:500\n  max_resource: rediscloud:100\n" INPUT,
     "t:5:17: min_resource: found rediscloud:500, expected at most max_resource (rediscloud:100)"},
    {HEAD "- name: d\n  type: dynos\n  max_resource: rediscloud:100\n" INPUT,
     "t:5:17: max_resource: found \"rediscloud:100\", expected a whole number: dynos have no plan"},
    {REDIS "  input_plugins: [{name: in, type: sine, per_resource: 9}]\n",
     "t:5:42: per_resource: found a ratio where plans are scaled, expected none: the table of "
     "plans says what each holds"},
    {REDIS "  input_plugins: [{name: in, type: sine, target: 9}]\n",
     "t:5:42: target: found it for plans, expected a controller of dynos"},
    {REDIS "  input_plugins: [{name: in, type: papertrail_random}]\n",
     "t:5:19: measure: found papertrail_random in a controller of rediscloud, expected memory or "
     "connections"},
    {PAPER "  input_plugins: [{name: in, type: sine, measure: memory}]\n",
     "t:5:19: measure: found memory in a controller of papertrail, expected log_volume"},
    {REDIS "  input_plugins: [{name: in, type: rediscloud_random, measure: connections}]\n",
     "t:5:19: measure: found connections in a controller of rediscloud, expected memory or "
     "connections"},
    {REDIS "  input_plugins: [{name: in, type: sine, fallback: 4}]\n",
     "t:5:52: fallback: found \"4\", expected a plan of the table, rediscloud:25 to "
     "rediscloud:50000"},
    {HEAD "- {name: d, type: dynos, input_plugins: [{name: in, type: sine, measure: memory}]}\n",
     "t:3:65: measure: found an unknown key, expected one of the keys for this place"},
    {REDIS "  plans: []\n" INPUT, "t:3:3: plans: found none, expected a list with at least one"},
    {REDIS "  plans: [rediscloud:1]\n" INPUT,
     "t:5:11: plans: found no map, expected such as {name: rediscloud:100, max_memory: 100}"},
    {REDIS "  plans: [{name: rediscloud:1, max_log_volume: 5}]\n" INPUT,
     "t:5:32: max_log_volume: found an unknown key, expected one of the keys for this place"},
    {REDIS "  plans: [{name: rediscloud}]\n" INPUT,
     "t:5:18: name: found another name, expected a plan's in full, such as rediscloud:100"},
    {REDIS "  plans: [{name: 'rediscloud:1\"'}]\n" INPUT,
     "t:5:18: name: found another name, expected a plan's in full, such as rediscloud:100"},
    {REDIS "  plans: [{name: rediscloud:1}, {name: rediscloud:1}]\n" INPUT,
     "t:5:40: name: found \"rediscloud:1\" again, expected each plan once"},
    {REDIS "  plans: [{name: rediscloud:1}, {name: papertrail:1}]\n" INPUT,
     "t:5:40: name: found a plan of another add-on, expected rediscloud:..."},
    {REDIS "  plans: [{name: a:2, max_memory: 2}, {name: a:1, max_memory: 1}]\n" INPUT,
     "t:5:46: name: found less max_memory than of a:2 before it, expected the plans in order, the "
     "smallest first"},
    {REDIS INPUT "- name: again\n  type: rediscloud\n" INPUT,
     "t:6:3: addon: found rediscloud, whose plan controller \"redis\" scales already, expected "
     "the names of two add-ons"},
    {"version: 2\nplans: {postgres: []}\n",
     "t:2:9: postgres: found an add-on that has no controller, expected rediscloud or papertrail"},
};

START_TEST(each_refusal_has_its_words)
{
    struct dyn_error error = {""};
    ck_assert_ptr_null(config_load_text("t", dyn_str_from(refusals[_i].text), &error));
    ck_assert_str_eq(error.text, refusals[_i].message);
}
END_TEST

START_TEST(two_add_ons_of_one_service_and_a_process_type_of_its_name_are_three)
{
    const struct config *config =
        load(REDIS "  addon: a\n" INPUT "- name: b\n  type: rediscloud\n  addon: b\n" INPUT
                   "- name: d\n  type: dynos\n  process_type: rediscloud\n" INPUT);
    ck_assert_uint_eq(config->apps[0].controllers_count, 3);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("config_plans");
    TCase *all = tcase_create("all");
    tcase_add_checked_fixture(all, NULL, teardown);
    tcase_add_loop_test(all, a_value_becomes_the_plan_that_the_original_chose, 0,
                        (int)(sizeof worked / sizeof worked[0]));
    tcase_add_test(all, the_range_is_the_whole_table_unless_it_is_told);
    tcase_add_test(all, what_is_said_of_dynos_above_is_not_said_of_plans);
    tcase_add_test(all, a_table_of_ones_own_stands_in_for_the_built_in_one);
    tcase_add_test(all, a_fleets_table_is_for_all_its_apps_but_those_with_their_own);
    tcase_add_test(all,
                   a_controller_with_another_ladder_is_another_and_sizes_only_count_in_the_hash);
    tcase_add_test(all, a_changed_threshold_keeps_its_window);
    tcase_add_test(all, a_fallback_is_a_plan);
    tcase_add_test(all, keys_that_are_for_dynos_are_warned_of);
    tcase_add_test(all, the_printed_configuration_has_the_plans);
    tcase_add_loop_test(all, each_refusal_has_its_words, 0,
                        (int)(sizeof refusals / sizeof refusals[0]));
    tcase_add_test(all, two_add_ons_of_one_service_and_a_process_type_of_its_name_are_three);
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
