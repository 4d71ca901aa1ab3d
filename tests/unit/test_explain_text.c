#include "deploy/cli/explain_text.h"

#include <check.h>
#include <math.h>

/* 2026-01-02T03:07:17Z */
#define NOW_MS INT64_C(1767323237000)
#define S INT64_C(1000)

static const struct config_type dynos = {.kind = CONFIG_CONTROLLER, .name = "dynos"};
static struct config_input inputs[2];
static struct config_controller controller;
static struct config_app app;
static struct target target;
static struct actual actual;
static struct explain_facts facts;
static struct dyn_buf out;

static void begin(void)
{
    inputs[0] = (struct config_input){
        .name = "users", .series = 1, .hysteresis_period_ms = 300 * S, .fallback = 7};
    inputs[1] = (struct config_input){
        .name = "rpm", .series = 2, .hysteresis_period_ms = 3600 * S, .fallback = 7};
    controller = (struct config_controller){.name = "web",
                                            .type = &dynos,
                                            .process_type = "web",
                                            .id = 1,
                                            .min_resource = 2,
                                            .max_resource = 100,
                                            .mode = CONFIG_MODE_LIVE,
                                            .inputs = inputs,
                                            .inputs_count = 2};
    app = (struct config_app){
        .name = "shop", .partition = 3, .controllers = &controller, .controllers_count = 1};
    memset(&target, 0, sizeof target);
    target.controller = 1;
    target.rung = 10;
    target.estimate = 10;
    target.log_ms = NOW_MS - 2 * S;
    target.inputs_count = 1;
    target.inputs[0] = (struct input_story){.name = DYN_STR("users"),
                                            .value = 42,
                                            .value_at = NOW_MS - 12 * S,
                                            .max = 930,
                                            .max_until = NOW_MS - 12 * S,
                                            .estimate = 10,
                                            .health = INPUT_OK,
                                            .cover = COVER_YES};
    actual =
        (struct actual){.controller = 1, .wall_ms = NOW_MS - 3 * S, .running = 8, .target = 10};
    facts = (struct explain_facts){.app = &app,
                                   .controller = &controller,
                                   .target = &target,
                                   .actual = &actual,
                                   .folded_ms = NOW_MS - 2 * S,
                                   .now_ms = NOW_MS};
    dyn_buf_init(&out, 65536);
}

static void end(void)
{
    dyn_buf_fini(&out);
}

static const char *explained(void)
{
    dyn_buf_clear(&out);
    explain_text(&out, &facts);
    return dyn_buf_text(&out);
}

static const char *covered(enum input_cover cover)
{
    target.inputs[0].cover = cover;
    dyn_buf_clear(&out);
    explain_cover(&out, &controller, &target.inputs[0], NOW_MS);
    return dyn_buf_text(&out);
}

static const char *standing(enum guard guard, int64_t until_ms)
{
    actual.guard = guard;
    actual.until_ms = until_ms;
    dyn_buf_clear(&out);
    explain_standing(&out, &facts);
    return dyn_buf_text(&out);
}

START_TEST(a_controller_is_explained_from_its_inputs_to_its_guard)
{
    actual.guard = GUARD_DOWN_COOLDOWN;
    actual.until_ms = NOW_MS + 50 * S;
    ck_assert_str_eq(
        explained(),
        "shop/web: 8 of 10 dynos, down_cooldown until 03:08:07 UTC (in 50 s) (mode: live)\n"
        "  users: 42 at 03:07:05 UTC (12 s ago); highest of the last 5 min: 930, counts until "
        "03:12:05 UTC (in 4 min 48 s); asks for 10 dynos\n"
        "  together: 10 dynos; within min_resource 2 and max_resource 100\n"
        "  target: 10 dynos, told at 03:07:15 UTC (2 s ago)\n"
        "  running: 8 dynos of web, told at 03:07:14 UTC (3 s ago)\n"
        "  held by: down_cooldown until 03:08:07 UTC (in 50 s). It was changed a short while ago "
        "(`scale_down_cooldown`).\n");
}
END_TEST

START_TEST(a_target_and_a_step_are_explained)
{
    static const struct config_step steps[] = {{10, 2}, {900, 10}};
    inputs[0].conversion = CONFIG_TARGET;
    inputs[0].target = 300;
    inputs[0].tolerance = 0.1;
    ck_assert_ptr_nonnull(
        strstr(explained(), "; asks for 10 dynos (the highest of what ran x value / target 300; "
                            "within 10% of it, what ran)\n"));
    ck_assert_str_eq(covered(COVER_STALE),
                     "how many run was not known when its values came, and a target is in "
                     "proportion to that: nothing is scaled down until it is known for 5 min");
    target.inputs[0].health = INPUT_STALE;
    ck_assert_ptr_nonnull(strstr(covered(COVER_STALE), "no value for 12 s"));
    inputs[0].conversion = CONFIG_STEP;
    inputs[0].steps = steps;
    inputs[0].steps_count = 2;
    ck_assert_ptr_nonnull(strstr(explained(), "; asks for 10 dynos (step: 10 from 900 on)\n"));
    target.inputs[0].max = 9;
    target.inputs[0].estimate = 0;
    ck_assert_ptr_nonnull(strstr(explained(), "; asks for 0 dynos (below the first step, 10)\n"));
}
END_TEST

static void scale_plans(void)
{
    controller.plans = plan_table_find("rediscloud");
    controller.process_type = "rediscloud";
    controller.min_resource = 2;
    controller.max_resource = 5;
    target.rung = 5;
    target.estimate = 11;
    target.reason = TARGET_AT_MAX;
    target.inputs[0].estimate = 11;
    actual.running = 3;
}

START_TEST(plans_are_called_by_their_names)
{
    static const struct action action = {.process_type = {"rediscloud", 10},
                                         .wall_ms = NOW_MS - 60 * S,
                                         .from = 2,
                                         .to = 3,
                                         .target = 5,
                                         .outcome = ACTION_DONE};
    static const struct action *const actions[] = {&action};
    scale_plans();
    actual.guard = GUARD_PROVISIONING;
    facts.actions = actions;
    facts.actions_count = 1;
    ck_assert_str_eq(
        explained(),
        "shop/web: rediscloud:250, wanted rediscloud:1000, provisioning (mode: live)\n"
        "  users: 42 at 03:07:05 UTC (12 s ago); highest of the last 5 min: 930, counts until "
        "03:12:05 UTC (in 4 min 48 s); asks for more than rediscloud:50000\n"
        "  together: more than rediscloud:50000; cut to max_resource rediscloud:1000: raise it if "
        "the app needs more\n"
        "  target: rediscloud:1000, told at 03:07:15 UTC (2 s ago)\n"
        "  running: rediscloud:250 of rediscloud, told at 03:07:14 UTC (3 s ago)\n"
        "  held by: provisioning. The add-on is being changed to another plan: no further change "
        "before that is done.\n"
        "  last actions:\n"
        "    03:06:17 UTC (1 min ago): rediscloud rediscloud:100 -> rediscloud:250, towards "
        "rediscloud:1000 (done)\n");
}
END_TEST

START_TEST(every_guard_is_named_with_its_end)
{
    struct dyn_buf wanted;
    dyn_buf_init(&wanted, 1024);
    for (int guard = GUARD_MODE_OFF; guard < GUARD_COUNT; guard++) {
        dyn_buf_clear(&wanted);
        dyn_buf_addf(&wanted, "8 of 10 dynos, %s until 03:08:17 UTC (in 1 min)",
                     guard_text((enum guard)guard));
        ck_assert_str_eq(standing((enum guard)guard, NOW_MS + 60 * S), dyn_buf_text(&wanted));
        ck_assert_ptr_nonnull(strstr(explained(), guard_words((enum guard)guard)));
        ck_assert(explain_is_trouble(&facts));
    }
    dyn_buf_fini(&wanted);
    ck_assert_str_eq(standing(GUARD_ZERO, 0), "8 of 10 dynos, zero");
    ck_assert_str_eq(standing(GUARD_NONE, 0), "8 of 10 dynos");
    ck_assert(!explain_is_trouble(&facts));
    ck_assert_ptr_nonnull(strstr(explained(), "  held by: nothing. It stands at its target.\n"));
}
END_TEST

START_TEST(every_state_of_coverage_says_what_it_holds_and_until_when)
{
    ck_assert_str_eq(covered(COVER_YES), "");
    target.inputs[0].value_at = NOW_MS - 250 * S;
    target.inputs[0].reason = DYN_STR("HTTP 500 from stats.example.com");
    ck_assert_str_eq(covered(COVER_STALE),
                     "no value for 4 min 10 s (HTTP 500 from stats.example.com): nothing is scaled "
                     "down until values are back for 5 min");
    ck_assert_str_eq(covered(COVER_IGNORED),
                     "no value for 4 min 10 s (HTTP 500 from stats.example.com): the other inputs "
                     "decide without it (on_outage: ignore)");
    ck_assert_str_eq(covered(COVER_FALLBACK),
                     "no value for 4 min 10 s (HTTP 500 from stats.example.com): at least 7 stand "
                     "in for it, and nothing is scaled down (on_outage: fallback)");
    target.inputs[0].value_at = 0;
    target.inputs[0].reason = DYN_STR("");
    ck_assert_str_eq(covered(COVER_NEVER),
                     "no value yet: nothing is scaled down until values are back for 5 min");
    target.inputs[0].covered_at = NOW_MS + 90 * S;
    ck_assert_str_eq(covered(COVER_YOUNG), "good values for less than 5 min so far: nothing is "
                                           "scaled down before 03:08:47 UTC (in 1 min 30 s)");
    ck_assert_str_eq(covered(COVER_DOUBT),
                     "zeros after demand: a silent agent looks like an empty site, so nothing is "
                     "scaled down before 03:08:47 UTC (in 1 min 30 s) (doubt_zero)");
    target.inputs[0].covered_at = 0;
    ck_assert_str_eq(covered(COVER_YOUNG),
                     "good values for less than 5 min so far: nothing is scaled down yet");
}
END_TEST

START_TEST(the_reasons_of_a_target_are_told)
{
    static const struct {
        enum target_reason reason;
        const char *words;
    } cases[] = {
        {TARGET_DEMAND, "; within min_resource 2 and max_resource 100\n"},
        {TARGET_AT_MIN, "; raised to min_resource 2\n"},
        {TARGET_AT_MAX, "; cut to max_resource 100: raise it if the app needs more\n"},
        {TARGET_PINNED, "; an operator pinned it: `dynosaur unpin` ends that\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        target.reason = cases[i].reason;
        ck_assert_ptr_nonnull(strstr(explained(), cases[i].words));
    }
    target.inputs_count = 2;
    target.inputs[1] = target.inputs[0];
    ck_assert_ptr_nonnull(strstr(explained(), "together: 10 dynos, the highest of 2 inputs;"));
    target.raise_only = true;
    ck_assert_ptr_nonnull(
        strstr(explained(), "target: 10 dynos or what runs, if that is more (raise_only), told"));
}
END_TEST

START_TEST(a_value_that_is_the_highest_itself_counts_without_an_end)
{
    target.inputs[0].value = target.inputs[0].max;
    ck_assert_ptr_nonnull(strstr(explained(), "users: 930 at 03:07:05 UTC (12 s ago); nothing "
                                              "higher in the last 5 min; asks for 10 dynos\n"));
}
END_TEST

START_TEST(a_later_report_tells_newer_numbers)
{
    struct report report = {.controller = 1,
                            .log_ms = NOW_MS - 1 * S,
                            .inputs_count = 1,
                            .inputs = {{.series = 1, .value = 50, .max = 940, .estimate = 11}}};
    facts.report = &report;
    ck_assert_ptr_nonnull(
        strstr(explained(), "users: 50 at 03:07:16 UTC (1 s ago); highest of the last 5 min: 940, "
                            "counts until 03:12:16 UTC (in 4 min 59 s); asks for 11 dynos\n"));
    report.log_ms = target.log_ms - 1 * S;
    ck_assert_ptr_nonnull(strstr(explained(), "users: 42 at 03:07:05 UTC (12 s ago)"));
}
END_TEST

START_TEST(what_is_not_known_is_said)
{
    facts.target = NULL;
    facts.actual = NULL;
    facts.folded_ms = 0;
    ck_assert(explain_is_trouble(&facts));
    ck_assert_str_eq(
        explained(),
        "shop/web: ? dynos, no target; the actuator has told nothing (mode: live)\n"
        "  target: none yet: no input has said a number; see the collector's log\n"
        "  running: not known: no actuator has told; is one running, and can it use the account's "
        "heroku_api_key?\n"
        "  engine: partition 3 has never been folded: nothing is scaled down until it is; check "
        "that an estimator runs\n");
    controller.mode = CONFIG_MODE_OFF;
    ck_assert(!explain_is_trouble(&facts));
    facts.folded_ms = NOW_MS - 45 * S;
    ck_assert_ptr_nonnull(strstr(explained(), "was last folded at 03:06:32 UTC (45 s ago): "));
    target.inputs[0].value = NAN;
    target.inputs[0].max = NAN;
    target.inputs[0].estimate = -1;
    facts.target = &target;
    ck_assert_ptr_nonnull(strstr(explained(), "  users: never a value\n"));
}
END_TEST

START_TEST(an_actuator_that_fell_silent_is_trouble)
{
    actual.wall_ms = NOW_MS - 61 * S;
    ck_assert(explain_is_trouble(&facts));
    ck_assert_str_eq(standing(GUARD_NONE, 0),
                     "8 of 10 dynos; the actuator has told nothing for 1 min 1 s");
    ck_assert_ptr_nonnull(strstr(explained(), "  running: 8 dynos of web, told at 03:06:16 UTC (1 "
                                              "min 1 s ago): nothing since then; is an actuator "
                                              "running?\n"));
    app.interval_ms = 30 * S;
    ck_assert(!explain_is_trouble(&facts));
}
END_TEST

START_TEST(the_last_actions_follow)
{
    struct action done = {.process_type = DYN_STR("web"),
                          .from = 10,
                          .to = 8,
                          .target = 4,
                          .outcome = ACTION_DONE,
                          .http_status = 200,
                          .wall_ms = NOW_MS - 77 * S};
    struct action refused = {.process_type = DYN_STR("web"),
                             .from = 8,
                             .to = 10,
                             .target = 10,
                             .outcome = ACTION_REFUSED,
                             .http_status = 402,
                             .words = DYN_STR("pay first"),
                             .wall_ms = NOW_MS - 86400 * S};
    const struct action *actions[] = {&done, &refused};
    facts.actions = actions;
    facts.actions_count = 2;
    actual.words = DYN_STR("pay first");
    ck_assert_ptr_nonnull(strstr(explained(), "  Heroku said: pay first\n"
                                              "  last actions:\n"
                                              "    03:06:00 UTC (1 min 17 s ago): web 10 -> 8, "
                                              "towards 4 (done)\n"
                                              "    2026-01-01 03:07:17 UTC (1 d ago): web 8 -> 10 "
                                              "(refused, HTTP 402: pay first)\n"));
}
END_TEST

START_TEST(durations_have_two_units_at_most)
{
    static const struct {
        int64_t ms;
        const char *words;
    } cases[] = {{-5, "0 s"},
                 {400, "0 s"},
                 {59 * S, "59 s"},
                 {60 * S, "1 min"},
                 {250 * S, "4 min 10 s"},
                 {3600 * S, "1 h"},
                 {7500 * S, "2 h 5 min"},
                 {93600 * S, "1 d 2 h"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        dyn_buf_clear(&out);
        explain_duration(&out, cases[i].ms);
        ck_assert_str_eq(dyn_buf_text(&out), cases[i].words);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("explain_text");
    TCase *tcase = tcase_create("explain_text");
    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_test(tcase, a_controller_is_explained_from_its_inputs_to_its_guard);
    tcase_add_test(tcase, a_target_and_a_step_are_explained);
    tcase_add_test(tcase, plans_are_called_by_their_names);
    tcase_add_test(tcase, every_guard_is_named_with_its_end);
    tcase_add_test(tcase, every_state_of_coverage_says_what_it_holds_and_until_when);
    tcase_add_test(tcase, the_reasons_of_a_target_are_told);
    tcase_add_test(tcase, a_value_that_is_the_highest_itself_counts_without_an_end);
    tcase_add_test(tcase, a_later_report_tells_newer_numbers);
    tcase_add_test(tcase, what_is_not_known_is_said);
    tcase_add_test(tcase, an_actuator_that_fell_silent_is_trouble);
    tcase_add_test(tcase, the_last_actions_follow);
    tcase_add_test(tcase, durations_have_two_units_at_most);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
