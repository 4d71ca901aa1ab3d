/* Prometheus and HireFire inputs against servers that judge their requests. */
#include "tests/integration/support_input.h"
#include "tests/integration/support_metrics.h"

#include <check.h>

#define PROMETHEUS "type: prometheus, per_resource: 10, url: \"http://127.0.0.1:%u/prometheus%s\", "
#define HIREFIRE "type: hirefire, per_resource: 10, url: \"http://127.0.0.1:%u%s\", "

static struct metrics fake;

static void setup(void)
{
    input_setup();
    fake = metrics_start(
        "{'prometheus': {'authorization': 'Bearer prom-1', 'queries': {"
        "'sum(rate(http_requests_total{code=~\\'2..\\'}[2m]))*60 + 1': 1234.5,"
        "'up': {'resultType': 'vector', 'result': ["
        "  {'metric': {'job': 'a'}, 'value': [1.5, '1']}, {'metric': {}, 'value': [1.5, '1']}]},"
        "'one': {'resultType': 'scalar', 'result': [1795460773.624, '1e+03']},"
        "'0/0': {'resultType': 'scalar', 'result': [1795460773.624, 'NaN']},"
        "'1/0': {'resultType': 'vector', 'result': [{'metric': {}, 'value': [1, '+Inf']}]},"
        "'text': {'resultType': 'string', 'result': [1795460773.636, 'x']},"
        "'x[5m]': {'resultType': 'matrix', 'result': [{'metric': {}, 'values': [[1, '3']]}]},"
        "'h': {'resultType': 'vector', 'result': [{'metric': {}, 'histogram': [1, {}]}]}}},"
        "'hirefire': {'t0k3n-1': {'values': {'worker': 5, 'mailer': 12.75, 'idle': 0}},"
        "             't0k3n-0': {'older': true, 'values': {'worker': 7, 'mailer': null}}}}");
}

static void teardown(void)
{
    metrics_stop(&fake);
    input_teardown();
}

static void query(const char *promql)
{
    input_configure(PROMETHEUS "headers: {Authorization: Bearer prom-1}, query: \"%s\"", fake.port,
                    "", promql);
}

START_TEST(a_promql_query_yields_its_one_number)
{
    input_configure(PROMETHEUS "headers: {Authorization: Bearer prom-1}, "
                               "query: 'sum(rate(http_requests_total{code=~\"2..\"}[2m]))*60 + 1'",
                    fake.port, "/");
    input_is(input_read(), 1234.5);
    query("one");
    input_is(input_read(), 1000);
    metrics_are_content(&fake);
}
END_TEST

static const struct {
    const char *query;
    const char *words;
} yields[] = {
    {"absent_metric", "yields nothing; expected one number"},
    {"up", "yields 2 numbers; expected one"},
    {"0/0", "yields \"NaN\""},
    {"1/0", "yields \"+Inf\""},
    {"text", "yields a text"},
    {"x[5m]", "yields a range"},
    {"h", "no histogram"},
    {"sum(x", "status 400: bad_data: invalid parameter \"query\": 1:5: parse error"},
};

START_TEST(a_query_that_yields_no_single_number_is_an_error)
{
    query(yields[_i].query);
    input_fails(input_read(), yields[_i].words);
    metrics_are_content(&fake);
}
END_TEST

START_TEST(nothing_is_zero_only_where_the_file_says_so)
{
    input_configure(PROMETHEUS "headers: {Authorization: Bearer prom-1}, query: absent_metric, "
                               "empty_is_zero: true",
                    fake.port, "");
    input_is(input_read(), 0);
    query("absent_metric");
    input_fails(input_read(), "empty_is_zero");
}
END_TEST

START_TEST(a_wrong_prometheus_is_told)
{
    input_configure(PROMETHEUS "headers: {Authorization: Bearer prom-2}, query: one", fake.port,
                    "");
    input_fails(input_read(), "127.0.0.1: answered with status 401: a page of HTML");
    ck_assert_uint_eq(metrics_violations(&fake, "bad_authorization"), 1);
    input_configure(PROMETHEUS "headers: {Authorization: Bearer prom-1}, query: one", fake.port,
                    "/wrong");
    input_fails(input_read(), "answered with status 404: 404 page not found");
    input_configure(PROMETHEUS "query: one", fake.port, "?x=1");
    ck_assert_ptr_nonnull(strstr(input_disabled(), "url has ? or #"));
}
END_TEST

START_TEST(an_app_tells_what_it_tells_hirefire)
{
    input_configure(HIREFIRE "token: t0k3n-1, metric: worker", fake.port, "/");
    input_is(input_read(), 5);
    input_configure(HIREFIRE "token: t0k3n-1, token_in: header, metric: mailer", fake.port, "");
    input_is(input_read(), 12.75);
    input_configure(HIREFIRE "metric: idle", fake.port, "/hirefire/t0k3n-1/info");
    input_is(input_read(), 0);
    input_configure(HIREFIRE "token: t0k3n-0, metric: worker", fake.port, "");
    input_is(input_read(), 7);
    ck_assert_uint_eq(metrics_asked(&fake, "/hirefire/t0k3n-0/info"), 1);
    metrics_are_content(&fake);
}
END_TEST

START_TEST(what_an_app_does_not_tell_is_an_error)
{
    input_configure(HIREFIRE "token: t0k3n-1, metric: urgent", fake.port, "");
    input_fails(input_read(), "tells of 3 process types, but of no urgent");
    input_configure(HIREFIRE "token: t0k3n-0, metric: mailer", fake.port, "");
    input_fails(input_read(), "null where a number was expected");
    /* The adapter lets a wrong token pass on to the app, whose page says nothing. */
    input_configure(HIREFIRE "token: t0k3n-2, metric: worker", fake.port, "");
    input_fails(input_read(), "not JSON");
    input_configure(HIREFIRE "token: t0k3n-0, token_in: header, metric: worker", fake.port, "");
    input_fails(input_read(), "not JSON");
    ck_assert_uint_eq(metrics_violations(&fake, "wrong_token"), 2);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("source_apis");
    TCase *all = tcase_create("all");
    tcase_add_checked_fixture(all, setup, teardown);
    tcase_set_timeout(all, 60);
    tcase_add_test(all, a_promql_query_yields_its_one_number);
    tcase_add_loop_test(all, a_query_that_yields_no_single_number_is_an_error, 0,
                        (int)(sizeof yields / sizeof yields[0]));
    tcase_add_test(all, nothing_is_zero_only_where_the_file_says_so);
    tcase_add_test(all, a_wrong_prometheus_is_told);
    tcase_add_test(all, an_app_tells_what_it_tells_hirefire);
    tcase_add_test(all, what_an_app_does_not_tell_is_an_error);
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
