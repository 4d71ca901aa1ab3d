/* Bugsnag's events against a server that judges them, where Bugsnag itself would take anything. */
#include "common/json.h"
#include "tests/integration/support_metrics.h"
#include "tests/integration/support_sink.h"

#include <check.h>

#define KEY "c9d60ae4c7e70c4b6c4ebd3e8056d2b8"
#define AT "http://127.0.0.1:%u"

static struct metrics fake;

static void setup(void)
{
    sink_setup();
    fake = metrics_start("{'bugsnag': {'key': '" KEY "'}}");
}

static void teardown(void)
{
    metrics_stop(&fake);
    sink_teardown();
}

static void bugsnag_configure(const char *more)
{
    sink_configure("error_handlers",
                   "type: bugsnag, api_key: " KEY ", api_url: \"" AT "/bugsnag\"%s", fake.port,
                   more);
}

static void all_accepted(double count)
{
    struct sink_tally tally = sink_run();
    ck_assert_msg(tally.dead == 0 && tally.failed == 0, "%s", tally.why);
    ck_assert_double_eq(tally.accepted, count);
    metrics_are_content(&fake);
}

static void is_text(json_t *json, const char *pointer, const char *wanted)
{
    const char *text = json_string_value(dyn_json_at(json, pointer, NULL));
    ck_assert_msg(text != NULL && strcmp(text, wanted) == 0, "%s is %s", pointer, text);
}

static void grouping_is(int n, const char *wanted)
{
    json_t *body = metrics_body(&fake, n);
    is_text(body, "/events/0/groupingHash", wanted);
    json_decref(body);
}

START_TEST(an_error_comes_with_its_class_its_words_and_where_it_was_made)
{
    bugsnag_configure("");
    sink_add_event(sink_event("shop", EVENT_RAISED, ""));
    all_accepted(1);
    json_t *body = metrics_body(&fake, 0);
    is_text(body, "/apiKey", KEY);
    is_text(body, "/events/0/exceptions/0/errorClass", "input_outage");
    is_text(body, "/events/0/exceptions/0/message", "no value since 300 s <b>&\xc3\xa4");
    is_text(body, "/events/0/exceptions/0/stacktrace/0/file", "estimator");
    is_text(body, "/events/0/exceptions/0/stacktrace/0/method", "input_outage");
    is_text(body, "/events/0/severity", "error");
    is_text(body, "/events/0/context", "shop/dynos");
    is_text(body, "/events/0/app/releaseStage", "production");
    is_text(body, "/events/0/device/hostname", "host-1");
    is_text(body, "/events/0/device/time", "2018-05-01T15:16:34.564Z");
    is_text(body, "/events/0/metaData/dynosaur/service", "estimator");
    is_text(body, "/events/0/metaData/dynosaur/app", "shop");
    is_text(body, "/events/0/metaData/dynosaur/controller", "dynos");
    is_text(body, "/events/0/metaData/dynosaur/input", "users");
    ck_assert(json_is_false(dyn_json_at(body, "/events/0/unhandled", NULL)));
    json_decref(body);
}
END_TEST

START_TEST(one_cause_is_one_error_and_others_are_one_a_place)
{
    bugsnag_configure("");
    sink_add_event(sink_event("shop", EVENT_RAISED, "api.newrelic.com"));
    sink_add_event(sink_event("blog", EVENT_RAISED, "api.newrelic.com"));
    sink_add_event(sink_event("wiki", EVENT_RAISED, ""));
    all_accepted(3);
    grouping_is(0, "input_outage/api.newrelic.com");
    grouping_is(1, "input_outage/api.newrelic.com");
    grouping_is(2, "input_outage/wiki/dynos/users");
}
END_TEST

START_TEST(what_is_over_or_only_news_is_no_error)
{
    struct event news = sink_event("shop", EVENT_ONCE, "");
    news.level = EVENT_INFO;
    bugsnag_configure("");
    sink_add_event(sink_event("shop", EVENT_RAISED, ""));
    sink_add_event(sink_event("shop", EVENT_OVER, ""));
    sink_add_event(news);
    sink_add_action(sink_action(2, 5, ACTION_DONE));
    (void)sink_run();
    ck_assert_uint_eq(metrics_asked(&fake, "/bugsnag"), 1);
    metrics_are_content(&fake);
}
END_TEST

START_TEST(a_change_that_failed_is_an_error_of_the_actuator)
{
    bugsnag_configure(", release_stage: staging");
    sink_add_action(sink_action(2, 5, ACTION_REFUSED));
    all_accepted(1);
    json_t *body = metrics_body(&fake, 0);
    is_text(body, "/events/0/exceptions/0/errorClass", "action_failed");
    is_text(body, "/events/0/exceptions/0/message", "shop web: 2 -> 5, refused");
    is_text(body, "/events/0/exceptions/0/stacktrace/0/file", "actuator");
    is_text(body, "/events/0/app/releaseStage", "staging");
    json_decref(body);
}
END_TEST

START_TEST(a_warning_says_so_and_how_often_it_was_not_told)
{
    struct event event = sink_event("shop", EVENT_ONCE, "");
    event.level = EVENT_WARN;
    bugsnag_configure("");
    sink_add_event(event);
    sink_add_event(event);
    sink_add_event(event);
    event.wall_ms += 2 * 3600 * 1000;
    sink_add_event(event);
    all_accepted(2);
    json_t *body = metrics_body(&fake, -1);
    is_text(body, "/events/0/severity", "warning");
    ck_assert_int_eq(
        json_integer_value(dyn_json_at(body, "/events/0/metaData/dynosaur/repeats", NULL)), 2);
    json_decref(body);
}
END_TEST

START_TEST(text_that_is_no_utf_8_is_told_all_the_same)
{
    struct event event = sink_event("caf\xe9", EVENT_ONCE, "\xff");
    static char text[1024];
    memset(text, '\xe9', sizeof text - 1);
    event.text = dyn_str_from(text);
    bugsnag_configure("");
    sink_add_event(event);
    all_accepted(1);
    grouping_is(0, "input_outage/?");
}
END_TEST

START_TEST(a_key_of_another_shape_is_said_at_once)
{
    const char *said = sink_refused("error_handlers",
                                    "type: bugsnag, api_key: c9d60ae4-c7e7-0c4b-6c4e-bd3e8056d2b8");
    ck_assert_ptr_nonnull(strstr(said, "32 hexadecimal digits"));
    ck_assert_ptr_null(strstr(said, "c9d60"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sink_bugsnag");
    TCase *tests = tcase_create("bugsnag");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, an_error_comes_with_its_class_its_words_and_where_it_was_made);
    tcase_add_test(tests, one_cause_is_one_error_and_others_are_one_a_place);
    tcase_add_test(tests, what_is_over_or_only_news_is_no_error);
    tcase_add_test(tests, a_change_that_failed_is_an_error_of_the_actuator);
    tcase_add_test(tests, a_warning_says_so_and_how_often_it_was_not_told);
    tcase_add_test(tests, text_that_is_no_utf_8_is_told_all_the_same);
    tcase_add_test(tests, a_key_of_another_shape_is_said_at_once);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
