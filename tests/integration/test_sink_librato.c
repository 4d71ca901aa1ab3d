/* Librato's gauges and the measurements of its successor against a server that judges them. */
#include "common/clock.h"
#include "common/json.h"
#include "tests/integration/support_metrics.h"
#include "tests/integration/support_sink.h"

#include <check.h>
#include <math.h>

#define AT "http://127.0.0.1:%u"
#define GAUGES \
    "type: librato, api_email: me@example.com, api_key: t0ken-t0ken, interval: 1, api_url: "
#define NUMBERS_MAX 700

static struct metrics fake;
static struct sink_stat stats[NUMBERS_MAX];
static char names[NUMBERS_MAX][64];

static void setup(void)
{
    sink_setup();
    fake = metrics_start("{'librato': {'email': 'me@example.com', 'token': 't0ken-t0ken'}}");
}

static void teardown(void)
{
    metrics_stop(&fake);
    sink_teardown();
}

static void gauges_configure(void)
{
    sink_configure("stats_plugins", GAUGES "\"" AT "/librato\"", fake.port);
}

static void all_accepted(double count)
{
    struct sink_tally tally = sink_run();
    ck_assert_msg(tally.dead == 0 && tally.failed == 0, "%s", tally.why);
    ck_assert_double_eq(tally.accepted, count);
    metrics_are_content(&fake);
}

/* So many numbers of one moment: x.0000, x.0001 and so on. */
static void numbers_make(size_t count)
{
    int64_t now_ms = dyn_clock_wall_ms();
    for (size_t i = 0; i < count; i++) {
        (void)snprintf(names[i], sizeof names[i], "dynosaur.shop.dynos.x.%04zu", i);
        stats[i] = (struct sink_stat){.name = names[i], .value = (double)i, .at_ms = now_ms};
    }
}

static size_t stored_count(void)
{
    json_t *state = metrics_control(&fake, "GET", "state", NULL);
    size_t count = json_object_size(dyn_json_at(state, "/librato/stored", NULL));
    json_decref(state);
    return count;
}

static json_t *gauge_at(json_t *body, size_t i)
{
    return json_array_get(json_object_get(body, "gauges"), i);
}

START_TEST(a_gauge_has_its_name_its_number_and_its_second)
{
    const struct sink_stat some[] = {
        {.name = "dynosaur.shop.dynos.users.value", .value = 42, .at_ms = dyn_clock_wall_ms()},
        {.name = "dynosaur.shop.dynos.users.max", .value = 0.25, .at_ms = dyn_clock_wall_ms()},
        {.name = "dynosaur.shop.dynos.users.low", .value = -3e15, .at_ms = dyn_clock_wall_ms()}};
    gauges_configure();
    sink_add_stats(some, 3);
    all_accepted(1);
    json_t *body = metrics_body(&fake, 0);
    ck_assert_str_eq(json_string_value(json_object_get(gauge_at(body, 0), "name")),
                     "dynosaur.shop.dynos.users.value");
    ck_assert(json_is_integer(json_object_get(gauge_at(body, 0), "value")));
    ck_assert_int_eq(json_integer_value(json_object_get(gauge_at(body, 0), "value")), 42);
    ck_assert_double_eq(json_real_value(json_object_get(gauge_at(body, 1), "value")), 0.25);
    ck_assert_int_eq(json_integer_value(json_object_get(gauge_at(body, 2), "value")),
                     -3000000000000000);
    ck_assert_int_eq(json_integer_value(json_object_get(gauge_at(body, 0), "measure_time")),
                     some[0].at_ms / 1000);
    json_decref(body);
}
END_TEST

START_TEST(what_comes_within_an_interval_is_one_post)
{
    numbers_make(4);
    gauges_configure();
    sink_add_stats(&stats[0], 1);
    sink_add_stats(&stats[1], 2);
    sink_add_stats(&stats[3], 1);
    all_accepted(3);
    ck_assert_uint_eq(metrics_asked(&fake, "/librato"), 2);
    ck_assert_uint_eq(stored_count(), 4);
}
END_TEST

START_TEST(a_large_batch_is_as_few_posts_as_it_needs)
{
    numbers_make(NUMBERS_MAX);
    gauges_configure();
    sink_add_stats(stats, NUMBERS_MAX);
    all_accepted(1);
    ck_assert_uint_eq(metrics_asked(&fake, "/librato"), 3);
    ck_assert_uint_eq(stored_count(), NUMBERS_MAX);
}
END_TEST

START_TEST(names_are_made_legal)
{
    static char longest[400];
    memset(longest, 'n', sizeof longest - 1);
    const struct sink_stat some[] = {
        {.name = "dynosaur.shop.redis  connections.\xc3\xa4!", .value = 1},
        {.name = "dynosaur.shop.dynos:a_b-c", .value = 1},
        {.name = longest, .value = 1}};
    gauges_configure();
    sink_add_stats(some, 0);
    all_accepted(1);
    ck_assert_uint_eq(metrics_asked(&fake, "/librato"), 0);
    struct sink_stat dated[3];
    for (size_t i = 0; i < 3; i++) {
        dated[i] = some[i];
        dated[i].at_ms = dyn_clock_wall_ms();
    }
    sink_add_stats(dated, 3);
    all_accepted(2);
    json_t *body = metrics_body(&fake, 0);
    ck_assert_str_eq(json_string_value(json_object_get(gauge_at(body, 0), "name")),
                     "dynosaur.shop.redis-connections.-");
    ck_assert_str_eq(json_string_value(json_object_get(gauge_at(body, 1), "name")),
                     "dynosaur.shop.dynos:a_b-c");
    ck_assert_uint_eq(strlen(json_string_value(json_object_get(gauge_at(body, 2), "name"))), 255);
    json_decref(body);
}
END_TEST

START_TEST(one_number_that_is_refused_costs_no_other)
{
    numbers_make(NUMBERS_MAX);
    json_decref(metrics_control(&fake, "POST", "state",
                                "{'librato': {'email': 'me@example.com', 'token': 't0ken-t0ken', "
                                "'refuse': ['dynosaur.shop.dynos.x.0007', "
                                "'dynosaur.shop.dynos.x.0450']}}"));
    gauges_configure();
    sink_add_stats(stats, NUMBERS_MAX);
    all_accepted(1);
    ck_assert_uint_eq(stored_count(), NUMBERS_MAX - 2);
    size_t asked = metrics_asked(&fake, "/librato");
    ck_assert_uint_lt(asked, 60);
    for (size_t i = 0; i < NUMBERS_MAX; i++) {
        stats[i].at_ms += 5000;
    }
    sink_add_stats(stats, NUMBERS_MAX);
    all_accepted(2);
    ck_assert_uint_eq(metrics_asked(&fake, "/librato"), asked + 3);
}
END_TEST

START_TEST(numbers_that_cannot_be_told_are_left_out)
{
    const double values[] = {NAN, INFINITY, -INFINITY, 1e308, -1e127};
    numbers_make(6);
    for (size_t i = 0; i < 5; i++) {
        stats[i].value = values[i];
    }
    gauges_configure();
    sink_add_stats(stats, 5);
    all_accepted(1);
    ck_assert_uint_eq(metrics_asked(&fake, "/librato"), 0);
    sink_add_stats(stats, 6);
    all_accepted(2);
    ck_assert_uint_eq(stored_count(), 1);
}
END_TEST

START_TEST(old_numbers_are_refused_and_their_names_are_not)
{
    const struct sink_stat old[] = {{.name = "dynosaur.shop.dynos.x.0000", .value = 1}};
    numbers_make(1);
    gauges_configure();
    sink_add_stats(old, 1);
    struct sink_tally tally = sink_run();
    ck_assert_double_eq(tally.dead, 1);
    ck_assert_str_eq(tally.why, "answered with status 400: measure_time: is too far in the past");
    sink_add_stats(stats, 1);
    (void)sink_run();
    ck_assert_uint_eq(stored_count(), 1);
}
END_TEST

START_TEST(what_was_taken_is_not_sent_again_when_the_rest_fails)
{
    numbers_make(NUMBERS_MAX);
    gauges_configure();
    json_decref(metrics_control(&fake, "POST", "answers",
                                "{'path': '/librato', 'after': 1, 'times': 1, 'status': 503, "
                                "'body': '{}'}"));
    sink_add_stats(stats, NUMBERS_MAX);
    struct sink_tally tally = sink_run();
    ck_assert_double_eq(tally.failed, 1);
    ck_assert_double_eq(tally.accepted, 1);
    metrics_are_content(&fake); /* nothing is stored twice */
    ck_assert_uint_eq(stored_count(), NUMBERS_MAX);
    ck_assert_uint_eq(metrics_asked(&fake, "/librato"), 4);
}
END_TEST

START_TEST(another_key_is_a_dead_letter_in_librato_s_words)
{
    numbers_make(1);
    sink_configure("stats_plugins",
                   "type: librato, api_email: me@example.com, api_key: other, api_url: \"" AT
                   "/librato\"",
                   fake.port);
    sink_add_stats(stats, 1);
    struct sink_tally tally = sink_run();
    ck_assert_double_eq(tally.dead, 1);
    ck_assert_double_eq(tally.failed, 1);
    ck_assert_str_eq(tally.why,
                     "answered with status 401: Credentials are required to access this resource.");
}
END_TEST

/* The words of the API alone tell this 403 from one that will not pass. */
START_TEST(the_api_limit_is_waited_out)
{
    numbers_make(1);
    gauges_configure();
    json_decref(metrics_control(&fake, "POST", "answers",
                                "{'path': '/librato', 'times': 1, 'status': 403, "
                                "'headers': {'Retry-After': '1'}, 'body': '{\\'error\\': \\'You "
                                "have hit the API limit for measurements "
                                "[measure:raw_rate].\\'}'}"));
    sink_add_stats(stats, 1);
    struct sink_tally tally = sink_run();
    ck_assert_double_eq(tally.failed, 1);
    ck_assert_double_eq(tally.accepted, 1);
}
END_TEST

static void measurements_are_tagged(const char *path)
{
    numbers_make(2);
    sink_add_stats(stats, 2);
    all_accepted(1);
    ck_assert_uint_eq(metrics_asked(&fake, path), 1);
    json_t *body = metrics_body(&fake, 0);
    json_t *one = dyn_json_at(body, "/measurements/1", NULL);
    ck_assert_str_eq(json_string_value(dyn_json_at(one, "/tags/app", NULL)), "shop");
    ck_assert_int_eq(json_integer_value(json_object_get(one, "time")), stats[1].at_ms / 1000);
    json_decref(body);
    ck_assert_uint_eq(stored_count(), 2);
}

START_TEST(librato_s_measurements_have_a_tag)
{
    sink_configure("stats_plugins", GAUGES "\"" AT "/librato/\", api: measurements", fake.port);
    measurements_are_tagged("/librato/v1/measurements");
}
END_TEST

START_TEST(appoptics_knows_us_by_its_token)
{
    sink_configure("stats_plugins",
                   "type: appoptics, api_key: t0ken-t0ken, api_url: \"" AT "/appoptics\"",
                   fake.port);
    measurements_are_tagged("/appoptics/v1/measurements");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sink_librato");
    TCase *tests = tcase_create("librato");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_gauge_has_its_name_its_number_and_its_second);
    tcase_add_test(tests, what_comes_within_an_interval_is_one_post);
    tcase_add_test(tests, a_large_batch_is_as_few_posts_as_it_needs);
    tcase_add_test(tests, names_are_made_legal);
    tcase_add_test(tests, one_number_that_is_refused_costs_no_other);
    tcase_add_test(tests, numbers_that_cannot_be_told_are_left_out);
    tcase_add_test(tests, old_numbers_are_refused_and_their_names_are_not);
    tcase_add_test(tests, what_was_taken_is_not_sent_again_when_the_rest_fails);
    tcase_add_test(tests, another_key_is_a_dead_letter_in_librato_s_words);
    tcase_add_test(tests, the_api_limit_is_waited_out);
    tcase_add_test(tests, librato_s_measurements_have_a_tag);
    tcase_add_test(tests, appoptics_knows_us_by_its_token);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
