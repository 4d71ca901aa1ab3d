/* Sinks of events and actions against servers that judge their requests. */
#include "common/json.h"
#include "tests/integration/support_metrics.h"
#include "tests/integration/support_sink.h"

#include <check.h>

#define ROUTING_KEY "0123456789abcdef0123456789abcdef"
#define AT "http://127.0.0.1:%u"

static struct metrics fake;

static void setup(void)
{
    sink_setup();
    fake = metrics_start("{'webhook': {'secret': 's3cret'},"
                         "'slack': {'paths': {'/services/T0/B0/X0': 'ok',"
                         "                    '/services/T0/B0/OLD': 'channel_is_archived'}},"
                         "'pagerduty': {'keys': {'" ROUTING_KEY "': {}}}}");
}

static void teardown(void)
{
    metrics_stop(&fake);
    sink_teardown();
}

static void is_text(json_t *json, const char *pointer, const char *wanted)
{
    const char *text = json_string_value(dyn_json_at(json, pointer, NULL));
    ck_assert_msg(text != NULL && strcmp(text, wanted) == 0, "%s is %s", pointer, text);
}

static void all_accepted(double count)
{
    struct sink_tally tally = sink_run();
    ck_assert_msg(tally.dead == 0, "%s", tally.why);
    ck_assert_double_eq(tally.accepted, count);
    ck_assert_double_eq(tally.failed, 0);
    metrics_are_content(&fake);
}

/* ---- webhook ---- */

START_TEST(a_webhook_gets_signed_events_and_actions)
{
    sink_configure("error_handlers", "type: webhook, url: \"" AT "/webhook/x\", secret: s3cret",
                   fake.port);
    sink_add_event(sink_event("shop", EVENT_RAISED, "api.newrelic.com"));
    sink_add_action(sink_action(2, 5, ACTION_DONE));
    all_accepted(2);
    json_t *event = metrics_body(&fake, 0);
    is_text(event, "/type", "event");
    is_text(event, "/state", "raised");
    is_text(event, "/level", "error");
    is_text(event, "/cause", "api.newrelic.com");
    is_text(event, "/text", "no value since 300 s <b>&\xc3\xa4");
    is_text(event, "/time", "2018-05-01T15:16:34.564Z");
    json_decref(event);
    json_t *action = metrics_body(&fake, 1);
    is_text(action, "/type", "action");
    is_text(action, "/outcome", "done");
    ck_assert_int_eq(json_integer_value(json_object_get(action, "to")), 5);
    json_decref(action);
}
END_TEST

START_TEST(a_webhook_with_another_secret_is_refused_for_good)
{
    sink_configure("error_handlers", "type: webhook, url: \"" AT "/webhook\", secret: other",
                   fake.port);
    sink_add_event(sink_event("shop", EVENT_ONCE, ""));
    struct sink_tally tally = sink_run();
    ck_assert_double_eq(tally.dead, 1);
    ck_assert_double_eq(tally.failed, 1);
    ck_assert_str_eq(tally.why, "answered with status 401: the signature is wrong");
}
END_TEST

START_TEST(a_webhook_tells_the_actions_that_are_wanted)
{
    sink_configure("error_handlers",
                   "type: webhook, url: \"" AT "/webhook\", secret: s3cret, actions: failed",
                   fake.port);
    sink_add_action(sink_action(2, 5, ACTION_DONE));
    sink_add_action(sink_action(2, 5, ACTION_FAILED));
    all_accepted(2);
    ck_assert_uint_eq(metrics_asked(&fake, "/webhook"), 1);
}
END_TEST

START_TEST(text_that_is_no_utf_8_is_told_all_the_same)
{
    struct event event = sink_event("shop", EVENT_ONCE, "");
    event.text = DYN_STR("caf\xe9");
    sink_configure("error_handlers", "type: webhook, url: \"" AT "/webhook\", secret: s3cret",
                   fake.port);
    sink_add_event(event);
    all_accepted(1);
    json_t *body = metrics_body(&fake, -1);
    is_text(body, "/text", "caf?");
    json_decref(body);
}
END_TEST

/* ---- Slack ---- */

START_TEST(slack_gets_a_message_a_second_in_its_own_spelling)
{
    sink_configure("error_handlers", "type: slack, url: \"" AT "/slack/services/T0/B0/X0\"",
                   fake.port);
    sink_add_event(sink_event("shop", EVENT_RAISED, ""));
    sink_add_action(sink_action(2, 5, ACTION_DONE));
    sink_add_action(sink_action(2, 5, ACTION_REFUSED));
    all_accepted(3);
    ck_assert_uint_eq(metrics_asked(&fake, "/slack"), 2);
    json_t *body = metrics_body(&fake, 0);
    is_text(body, "/text",
            ":red_circle: shop dynos users: input_outage: no value since 300 s "
            "&lt;b&gt;&amp;\xc3\xa4");
    json_decref(body);
    body = metrics_body(&fake, 1);
    is_text(body, "/blocks/0/text/text", ":x: shop web: 2 -&gt; 5, refused");
    json_decref(body);
}
END_TEST

START_TEST(a_long_message_to_slack_is_cut)
{
    static char text[6000];
    struct event event = sink_event("shop", EVENT_ONCE, "");
    memset(text, '&', sizeof text - 1);
    event.text = dyn_str_from(text);
    sink_configure("error_handlers", "type: slack, url: \"" AT "/slack/services/T0/B0/X0\"",
                   fake.port);
    sink_add_event(event);
    all_accepted(1);
}
END_TEST

START_TEST(slack_that_does_not_know_us_is_not_asked_again)
{
    sink_configure("error_handlers", "type: slack, url: \"" AT "/slack/services/T0/B0/OLD\"",
                   fake.port);
    sink_add_event(sink_event("shop", EVENT_ONCE, ""));
    struct sink_tally tally = sink_run();
    ck_assert_double_eq(tally.failed, 1);
    ck_assert_str_eq(tally.why, "answered with status 410: channel_is_archived");
}
END_TEST

/* ---- PagerDuty ---- */

static void pagerduty_configure(void)
{
    sink_configure("error_handlers",
                   "type: pagerduty, api_url: \"" AT "/pagerduty\", routing_key: " ROUTING_KEY,
                   fake.port);
}

static size_t incidents_open(void)
{
    json_t *state = metrics_control(&fake, "GET", "state", NULL);
    size_t count = json_object_size(dyn_json_at(state, "/pagerduty/open", NULL));
    json_decref(state);
    return count;
}

START_TEST(one_cause_is_one_incident_that_lists_forty_apps)
{
    static char apps[40][16];
    pagerduty_configure();
    for (int i = 0; i < 40; i++) {
        (void)snprintf(apps[i], sizeof apps[i], "app-%d", i);
        sink_add_event(sink_event(apps[i], EVENT_RAISED, "api.newrelic.com"));
    }
    sink_add_event(sink_event("other", EVENT_RAISED, ""));
    all_accepted(41);
    ck_assert_uint_eq(incidents_open(), 2);
    json_t *body = metrics_body(&fake, 39);
    ck_assert_uint_eq(json_object_size(dyn_json_at(body, "/payload/custom_details/where", NULL)),
                      40);
    ck_assert_int_eq(
        json_integer_value(dyn_json_at(body, "/payload/custom_details/affected", NULL)), 40);
    is_text(body, "/payload/severity", "error");
    json_decref(body);
    for (int i = 0; i < 39; i++) {
        sink_add_event(sink_event(apps[i], EVENT_OVER, ""));
    }
    all_accepted(80);
    ck_assert_uint_eq(incidents_open(), 2);
    sink_add_event(sink_event(apps[39], EVENT_OVER, ""));
    all_accepted(81);
    ck_assert_uint_eq(incidents_open(), 1);
    ck_assert_uint_eq(metrics_asked(&fake, "/pagerduty"), 42);
}
END_TEST

START_TEST(what_cannot_be_over_is_no_incident)
{
    struct event event = sink_event("shop", EVENT_RAISED, "");
    event.level = EVENT_WARN;
    pagerduty_configure();
    sink_add_event(sink_event("shop", EVENT_ONCE, ""));
    sink_add_event(event);
    sink_add_event(sink_event("never-raised", EVENT_OVER, ""));
    (void)sink_run();
    ck_assert_uint_eq(metrics_asked(&fake, "/pagerduty"), 0);
}
END_TEST

START_TEST(a_routing_key_of_another_kind_is_said_at_once)
{
    ck_assert_ptr_nonnull(
        strstr(sink_refused("error_handlers", "type: pagerduty, routing_key: short"), "32"));
    sink_configure("error_handlers",
                   "type: pagerduty, api_url: \"" AT
                   "/pagerduty\", routing_key: ffffffffffffffffffffffffffffffff",
                   fake.port);
    sink_add_event(sink_event("shop", EVENT_RAISED, ""));
    struct sink_tally tally = sink_run();
    ck_assert_str_eq(tally.why, "answered with status 400: Invalid routing key");
}
END_TEST

/* ---- all ---- */

START_TEST(what_can_be_configured_has_code)
{
    for (enum config_kind kind = CONFIG_STATS; kind <= CONFIG_SUCCESS; kind++) {
        for (const struct config_type *type = config_types(kind); type->name != NULL; type++) {
            ck_assert_msg(sink_find(kind, type->name) != NULL, "%s has no code", type->name);
        }
    }
}
END_TEST

START_TEST(a_secret_with_a_line_break_or_a_url_in_the_clear_is_refused)
{
    ck_assert_ptr_nonnull(strstr(
        sink_refused("error_handlers", "type: webhook, url: \"http://example.com/x\""), "https"));
    ck_assert_ptr_nonnull(strstr(
        sink_refused("error_handlers", "type: slack, url: \"hooks.slack.com/x\""), "no http"));
    ck_assert_ptr_nonnull(
        strstr(sink_refused("error_handlers",
                            "type: webhook, url: \"https://example.com/x\", secret: \"a\\nb\""),
               "control characters"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sinks");
    TCase *tests = tcase_create("sinks");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_webhook_gets_signed_events_and_actions);
    tcase_add_test(tests, a_webhook_with_another_secret_is_refused_for_good);
    tcase_add_test(tests, a_webhook_tells_the_actions_that_are_wanted);
    tcase_add_test(tests, text_that_is_no_utf_8_is_told_all_the_same);
    tcase_add_test(tests, slack_gets_a_message_a_second_in_its_own_spelling);
    tcase_add_test(tests, a_long_message_to_slack_is_cut);
    tcase_add_test(tests, slack_that_does_not_know_us_is_not_asked_again);
    tcase_add_test(tests, one_cause_is_one_incident_that_lists_forty_apps);
    tcase_add_test(tests, what_cannot_be_over_is_no_incident);
    tcase_add_test(tests, a_routing_key_of_another_kind_is_said_at_once);
    tcase_add_test(tests, what_can_be_configured_has_code);
    tcase_add_test(tests, a_secret_with_a_line_break_or_a_url_in_the_clear_is_refused);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
