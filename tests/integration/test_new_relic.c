/* The New Relic input against a fake that judges its requests. */
#include "tests/integration/support_input.h"
#include "tests/integration/support_metrics.h"

#include "common/clock.h"

#include <check.h>

#define REST "type: new_relic, api_url: \"http://127.0.0.1:%u/new_relic\", key: %s, "
#define GRAPH \
    "type: new_relic, api_url: \"http://127.0.0.1:%u/new_relic/\", key: %s, account_id: 123456, "

static struct metrics fake;

static void setup(void)
{
    char state[4096];
    long long minute_s = dyn_clock_wall_ms() / 60000 * 60;
    snprintf(
        state, sizeof state,
        "{'new_relic': {"
        "'keys': {'NRAK-1': {'kind': 'user'}, 'rest-1': {'kind': 'rest'},"
        "         'NRAK-2': {'kind': 'user', 'region': 'eu'}, 'lic-1': {'kind': 'ingest'}},"
        "'applications': {'1234567': {"
        "   'HttpDispatcher': {'values': {'call_count': 99770, 'average_response_time': 42.5}},"
        "   'Slow': {'slice_s': 120, 'values': {'call_count': 600}},"
        "   'Silent': {'slice_s': -1, 'values': {'call_count': 600}},"
        "   'Odd': {'values': {'call_count': null}}}},"
        "'components': {'77': {'HttpDispatcher': {'values': {'call_count': 12}}}},"
        "'accounts': {'123456': {"
        "  'one': [{'calls': 1000}], 'none': [{'calls': null}], 'empty': [],"
        "  'p95': [{'p95': {'95': 0.31}}], 'two': [{'a': 1, 'b': 2}],"
        "  'facet': [{'facet': 'x', 'calls': 1}, {'facet': 'y', 'calls': 2}],"
        "  'series': [{'beginTimeSeconds': %lld, 'endTimeSeconds': %lld, 'calls': 70},"
        "             {'beginTimeSeconds': %lld, 'endTimeSeconds': %lld, 'calls': 80},"
        "             {'beginTimeSeconds': %lld, 'endTimeSeconds': %lld, 'calls': 3}],"
        "  'wrong': 'NRQL Syntax Error: Error at line 1 position 1'}}}}",
        minute_s - 240, minute_s - 180, minute_s - 180, minute_s - 120, minute_s - 60,
        minute_s + 60);
    input_setup();
    fake = metrics_start(state);
}

static void teardown(void)
{
    metrics_stop(&fake);
    input_teardown();
}

START_TEST(an_application_tells_the_requests_of_its_newest_complete_minute)
{
    input_configure(REST "app_id: 1234567", fake.port, "NRAK-1");
    input_is(input_read(), 99770);
    input_configure(REST "appid: 1234567", fake.port, "rest-1");
    input_is(input_read(), 99770);
    input_configure(REST "component_id: 77", fake.port, "rest-1");
    input_is(input_read(), 12);
    input_configure(REST "app_id: 1234567, value: average_response_time", fake.port, "NRAK-1");
    input_is(input_read(), 42.5);
    metrics_are_content(&fake);
}
END_TEST

START_TEST(a_count_of_a_longer_slice_is_brought_to_a_minute)
{
    input_configure(REST "app_id: 1234567, metric: Slow", fake.port, "NRAK-1");
    input_is(input_read(), 600);
    metrics_are_content(&fake);
}
END_TEST

START_TEST(what_new_relic_does_not_know_is_an_error)
{
    input_configure(REST "app_id: 1234567, metric: Sales", fake.port, "NRAK-1");
    input_fails(input_read(), "knows no metric Sales");
    input_configure(REST "app_id: 1234567, metric: Silent", fake.port, "NRAK-1");
    input_fails(input_read(), "no complete timeslice of the last 15 min");
    input_configure(REST "app_id: 1234567, value: apdex", fake.port, "NRAK-1");
    input_fails(input_read(), "no value where a number was expected");
    input_configure(REST "app_id: 1234567, metric: Odd", fake.port, "NRAK-1");
    input_fails(input_read(), "null where a number");
    input_configure(REST "app_id: 99", fake.port, "NRAK-1");
    input_fails(input_read(), "status 404: No Application found with id: 99");
    metrics_are_content(&fake);
}
END_TEST

START_TEST(a_key_that_may_not_is_told_and_never_shown)
{
    input_configure(REST "app_id: 1234567", fake.port, "NRAK-c4nary-1");
    struct input_sample sample = input_read();
    input_fails(sample, "127.0.0.1: answered with status 401: The API key provided is invalid");
    ck_assert_ptr_null(strstr(sample.words, "c4nary"));
    input_configure(REST "app_id: 1234567", fake.port, "lic-1");
    input_fails(input_read(), "status 403: a page of HTML");
    input_configure(REST "app_id: 1234567", fake.port, "NRAK-2");
    input_fails(input_read(), "status 401");
    input_configure(GRAPH "nrql: one", fake.port, "rest-1");
    input_fails(input_read(), "status 401: Bad API Key");
}
END_TEST

START_TEST(nrql_yields_its_one_number)
{
    input_configure(GRAPH "nrql: one", fake.port, "NRAK-1");
    input_is(input_read(), 1000);
    input_configure(GRAPH "nrql: p95", fake.port, "NRAK-1");
    input_is(input_read(), 0.31);
    input_configure(GRAPH "nrql: series", fake.port, "NRAK-1");
    input_is(input_read(), 80);
    input_configure(GRAPH "nrql: empty, empty_is_zero: true", fake.port, "NRAK-1");
    input_is(input_read(), 0);
    input_configure("type: new_relic, api_url: \"http://127.0.0.1:%u/new_relic_eu\", region: eu, "
                    "key: NRAK-2, account_id: 123456, nrql: one",
                    fake.port);
    input_is(input_read(), 1000);
    metrics_are_content(&fake);
}
END_TEST

static const struct {
    const char *nrql;
    const char *words;
} yields[] = {
    {"empty", "yields nothing"},
    {"none", "yields null"},
    {"two", "a row of 2 values"},
    {"facet", "yields 2 rows"},
    {"wrong", "refuses the query: NRQL Syntax Error"},
};

START_TEST(nrql_that_yields_no_single_number_is_an_error)
{
    input_configure(GRAPH "nrql: %s", fake.port, "NRAK-1", yields[_i].nrql);
    input_fails(input_read(), yields[_i].words);
    metrics_are_content(&fake);
}
END_TEST

START_TEST(new_relics_limit_is_waited_for)
{
    char answer[256];
    snprintf(answer, sizeof answer,
             "{'path': '/new_relic', 'status': 429, 'times': 1, 'body': '{}', 'headers': "
             "{'X-RateLimit-Reset': '%lld'}}",
             (long long)dyn_clock_wall_ms() / 1000 + 200);
    json_decref(metrics_control(&fake, "POST", "answers", answer));
    input_configure(REST "app_id: 1234567", fake.port, "NRAK-1");
    input_fails(input_read(), "status 429");
    input_fails(input_read_at(input_now_ms() + 190000, dyn_clock_wall_ms()), "not asked for");
    ck_assert_uint_eq(metrics_asked(&fake, "/new_relic"), 1);
    input_is(input_read_at(input_now_ms() + 202000, dyn_clock_wall_ms()), 99770);
}
END_TEST

static const struct {
    const char *keys;
    const char *words;
} refusals[] = {
    {"key: k", "expected exactly one of app_id, component_id and nrql"},
    {"key: k, app_id: 1, component_id: 2", "expected exactly one"},
    {"key: k, nrql: SELECT", "expected account_id"},
    {"key: k, app_id: 12a", "app_id: found another text, expected the number"},
    {"key: k, app_id: ../1", "app_id: found another text"},
    {"key: k, nrql: x, account_id: \"1}\"", "account_id: found another text"},
    {"key: k, app_id: 1, interval: 30, hysteresis_period: 59",
     "hysteresis_period: found 59 s, expected at least 60 s"},
    {"app_id: 1", "key"},
};

START_TEST(keys_that_cannot_go_together_are_refused)
{
    const char *words =
        input_refused("type: Dynosaur::Inputs::NewRelicInputPlugin, %s", refusals[_i].keys);
    ck_assert_msg(strstr(words, refusals[_i].words) != NULL, "%s", words);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("new_relic");
    TCase *all = tcase_create("all");
    tcase_add_checked_fixture(all, setup, teardown);
    tcase_set_timeout(all, 60);
    tcase_add_test(all, an_application_tells_the_requests_of_its_newest_complete_minute);
    tcase_add_test(all, a_count_of_a_longer_slice_is_brought_to_a_minute);
    tcase_add_test(all, what_new_relic_does_not_know_is_an_error);
    tcase_add_test(all, a_key_that_may_not_is_told_and_never_shown);
    tcase_add_test(all, nrql_yields_its_one_number);
    tcase_add_loop_test(all, nrql_that_yields_no_single_number_is_an_error, 0,
                        (int)(sizeof yields / sizeof yields[0]));
    tcase_add_test(all, new_relics_limit_is_waited_for);
    tcase_add_loop_test(all, keys_that_cannot_go_together_are_refused, 0,
                        (int)(sizeof refusals / sizeof refusals[0]));
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
