/* The Google Analytics input against a fake that verifies its assertions. */
#include "tests/integration/support_input.h"
#include "tests/integration/support_key.h"
#include "tests/integration/support_metrics.h"

#include "common/clock.h"

#include <check.h>
#include <unistd.h>

#define EMAIL "scaler@example.iam.gserviceaccount.com"
#define GA                                                          \
    "type: Dynosaur::Inputs::GoogleAnalyticsInputPlugin, api_url: " \
    "\"http://127.0.0.1:%u/google\", "                              \
    "token_url: \"http://127.0.0.1:%u/google/token\", client_email: %s, "
#define GA4 GA "key: \"${GA_KEY}\", property_id: %s"

static struct support_key key;
static struct metrics fake;

static void setup(void)
{
    char state[2 * SUPPORT_KEY_MAX];
    snprintf(state, sizeof state,
             "{'google': {'accounts': {'" EMAIL "': {'public_key': '%s'}},"
             "'properties': {'123456789': {'users': 24, 'viewers': ['" EMAIL "']},"
             "               '5': {'users': 0, 'viewers': ['" EMAIL "']},"
             "               '6': {'users': 9, 'viewers': []}},"
             "'views': {'12345678': {'users': 41, 'viewers': ['" EMAIL "']},"
             "          '7': {'users': 0, 'viewers': ['" EMAIL "']}}}}",
             key.public_json);
    ck_assert_int_eq(setenv("GA_KEY", key.private_line, 1), 0);
    input_setup();
    fake = metrics_start(state);
}

static void teardown(void)
{
    metrics_stop(&fake);
    input_teardown();
}

static void property(const char *id)
{
    input_configure(GA4, fake.port, fake.port, EMAIL, id);
    ck_assert_msg(input_disabled() == NULL, "%s", input_disabled());
}

static void answer(const char *told)
{
    json_decref(metrics_control(&fake, "POST", "answers", told));
}

static void clock_advance(int64_t ms)
{
    char body[64];
    snprintf(body, sizeof body, "{'advance_ms': %lld}", (long long)ms);
    json_decref(metrics_control(&fake, "POST", "clock", body));
}

START_TEST(a_property_tells_its_people_and_its_token_is_kept)
{
    property("123456789");
    for (int i = 0; i < 3; i++) {
        input_is(input_read(), 24);
    }
    ck_assert_uint_eq(metrics_asked(&fake, "/google/token"), 1);
    ck_assert_uint_eq(metrics_asked(&fake, "/google/v1beta"), 3);
    ck_assert(!input_warns(""));
    metrics_are_content(&fake);
}
END_TEST

START_TEST(nobody_there_is_zero)
{
    property("5");
    input_is(input_read(), 0);
    metrics_are_content(&fake);
}
END_TEST

START_TEST(a_token_is_renewed_before_it_ends)
{
    property("123456789");
    input_is(input_read(), 24);
    clock_advance(3530000);
    input_is(input_read_at(input_now_ms() + 3530000, dyn_clock_wall_ms() + 3530000), 24);
    ck_assert_uint_eq(metrics_asked(&fake, "/google/token"), 1);
    clock_advance(15000);
    input_is(input_read_at(input_now_ms() + 3545000, dyn_clock_wall_ms() + 3545000), 24);
    ck_assert_uint_eq(metrics_asked(&fake, "/google/token"), 2);
    metrics_are_content(&fake);
}
END_TEST

START_TEST(a_token_that_is_refused_is_replaced_once)
{
    property("123456789");
    input_is(input_read(), 24);
    answer("{'path': '/google/v1beta', 'times': 1, 'status': 401, 'body': '{}'}");
    input_is(input_read(), 24);
    ck_assert_uint_eq(metrics_asked(&fake, "/google/token"), 2);
    answer("{'path': '/google/v1beta', 'status': 401, 'body': '{\\'error\\': {\\'status\\': "
           "\\'UNAUTHENTICATED\\', \\'message\\': \\'no\\'}}'}");
    input_fails(input_read(), "status 401: UNAUTHENTICATED: no");
    ck_assert_uint_eq(metrics_asked(&fake, "/google/token"), 3);
    ck_assert_uint_eq(metrics_asked(&fake, "/google/v1beta"), 5);
    json_decref(metrics_control(&fake, "DELETE", "answers", NULL));
    input_is(input_read(), 24);
    ck_assert_uint_eq(metrics_asked(&fake, "/google/token"), 4);
    metrics_are_content(&fake);
}
END_TEST

START_TEST(a_wrong_account_is_told_with_googles_words_and_asked_ever_less_often)
{
    input_configure(GA4, fake.port, fake.port, "other@example.com", "123456789");
    input_fails(input_read(), "127.0.0.1: gave no token: status 400: invalid_grant: Invalid grant: "
                              "account not found (our clock: 20");
    input_fails(input_read_at(input_now_ms() + 58000, dyn_clock_wall_ms()), "not asked for");
    ck_assert_uint_eq(metrics_asked(&fake, "/google/token"), 1);
    input_fails(input_read_at(input_now_ms() + 61000, dyn_clock_wall_ms()), "gave no token");
    input_fails(input_read_at(input_now_ms() + 118000, dyn_clock_wall_ms()), "not asked for");
    ck_assert_uint_eq(metrics_violations(&fake, "bad_assertion"), 2);
    property("6");
    input_fails(input_read(), "status 403: PERMISSION_DENIED: User does not have sufficient");
}
END_TEST

START_TEST(a_wrong_clock_is_told_with_the_time)
{
    property("123456789");
    input_fails(input_read_at(input_now_ms(), 1700000000000),
                "invalid_grant: Invalid JWT: Token must be a short-lived token");
}
END_TEST

START_TEST(another_key_is_refused)
{
    struct support_key other;
    support_key_make(&other);
    ck_assert_int_eq(setenv("GA_KEY", other.private_line, 1), 0);
    property("123456789");
    input_fails(input_read(), "invalid_grant: Invalid JWT Signature.");
}
END_TEST

START_TEST(an_error_of_the_server_is_never_repeated_at_once)
{
    property("123456789");
    input_is(input_read(), 24);
    answer("{'path': '/google/v1beta', 'times': 2, 'status': 500, 'body': '{}'}");
    input_fails(input_read(), "status 500");
    input_fails(input_read(), "not asked for");
    input_fails(input_read_at(input_now_ms() + 59000, dyn_clock_wall_ms()), "not asked for");
    ck_assert_uint_eq(metrics_asked(&fake, "/google/v1beta"), 2);
    clock_advance(61000);
    input_fails(input_read_at(input_now_ms() + 61000, dyn_clock_wall_ms()), "status 500");
    input_fails(input_read_at(input_now_ms() + 118000, dyn_clock_wall_ms()), "not asked for");
    clock_advance(121000);
    input_is(input_read_at(input_now_ms() + 121000, dyn_clock_wall_ms()), 24);
    metrics_are_content(&fake);
}
END_TEST

static const struct {
    const char *told;
    int64_t wait_s;
} quotas[] = {
    {"'status': 429, 'body': '{\\'error\\': {\\'status\\': \\'RESOURCE_EXHAUSTED\\', "
     "\\'message\\': "
     "\\'Exhausted concurrent requests quota.\\'}}'",
     30},
    {"'status': 429, 'body': '{\\'error\\': {\\'message\\': \\'Exhausted property tokens for a "
     "project "
     "per hour.\\'}}'",
     1800},
    {"'status': 429, 'body': '{\\'error\\': {\\'message\\': \\'Exhausted property tokens per day. "
     "These "
     "quota tokens will return in under 24 hours.\\'}}'",
     3600},
    {"'status': 429, 'headers': {'Retry-After': '7'}, 'body': '{\\'error\\': {\\'message\\': "
     "\\'per hour\\'}}'",
     7},
    {"'status': 403, 'body': '{\\'error\\': {\\'errors\\': [{\\'reason\\': "
     "\\'dailyLimitExceeded\\'}], "
     "\\'message\\': \\'Quota Error\\'}}'",
     3600},
    {"'status': 403, 'body': '{\\'error\\': {\\'errors\\': [{\\'reason\\': "
     "\\'userRateLimitExceeded\\'}], "
     "\\'message\\': \\'User Rate\\'}}'",
     60},
};

START_TEST(a_quota_slows_the_polling)
{
    char told[512];
    int64_t wait_ms = quotas[_i].wait_s * 1000;
    snprintf(told, sizeof told, "{'path': '/google/v1beta', 'times': 1, %s}", quotas[_i].told);
    property("123456789");
    input_is(input_read(), 24);
    answer(told);
    input_fails(input_read(), "answered with status 4");
    input_fails(input_read_at(input_now_ms() + wait_ms - 3000, dyn_clock_wall_ms()),
                "not asked for");
    ck_assert_uint_eq(metrics_asked(&fake, "/google/v1beta"), 2);
    input_is(input_read_at(input_now_ms() + wait_ms + 1000, dyn_clock_wall_ms()), 24);
}
END_TEST

START_TEST(the_old_view_works_as_it_did_and_check_says_that_it_has_ended)
{
    input_configure(GA "key: \"${GA_KEY}\", analytics_view_id: ga:12345678", fake.port, fake.port,
                    EMAIL);
    ck_assert(input_warns("Google has ended Universal Analytics and its realtime API: write "
                          "property_id"));
    input_is(input_read(), 41);
    input_configure(GA "key: \"${GA_KEY}\", analytics_view_id: 7", fake.port, fake.port, EMAIL);
    input_is(input_read(), 0);
    input_configure(GA "key: \"${GA_KEY}\", analytics_view_id: 8", fake.port, fake.port, EMAIL);
    input_fails(input_read(), "status 403: User does not have sufficient permissions");
    metrics_are_content(&fake);
}
END_TEST

START_TEST(a_key_that_is_none_disables_the_input_and_is_not_shown)
{
    ck_assert_int_eq(setenv("GA_KEY", "-----BEGIN PRIVATE KEY-----|c4nary|", 1), 0);
    input_configure(GA4, fake.port, fake.port, EMAIL, "5");
    ck_assert_ptr_nonnull(strstr(input_disabled(), "key: holds no RSA private key"));
    ck_assert_ptr_null(strstr(input_disabled(), "c4nary"));
    input_configure(GA "keyfile: /nowhere/private.p12, property_id: 5", fake.port, fake.port,
                    EMAIL);
    ck_assert_ptr_nonnull(strstr(input_disabled(), "/nowhere/private.p12 cannot be opened"));
    ck_assert_int_eq(unsetenv("GA_KEY"), 0);
    input_configure(GA4, fake.port, fake.port, EMAIL, "5");
    ck_assert_ptr_nonnull(strstr(input_disabled(), "GA_KEY"));
}
END_TEST

START_TEST(what_google_echoes_is_shown_without_token_and_assertion)
{
    property("123456789");
    input_is(input_read(), 24);
    answer(
        "{'path': '/google/v1beta', 'times': 1, 'status': 403, 'body': 'token ya29.c4nary-1.1... "
        "may not'}");
    struct input_sample sample = input_read();
    input_fails(sample, "status 403: token[hidden] may not");
    ck_assert_ptr_null(strstr(sample.words, "c4nary"));
    property("123456789");
    answer("{'path': '/google/token', 'times': 1, 'status': 400, 'body': "
           "'eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJzY2Fs is bad'}");
    sample = input_read();
    input_fails(sample, "status 400: [hidden] is bad");
}
END_TEST

/* What may come in place of a token. */
static const char *const no_tokens[] = {
    "",
    "{}",
    "null",
    "[]",
    "{\\'access_token\\': null}",
    "{\\'access_token\\': \\'\\'}",
    "{\\'access_token\\': \\'a b\\', \\'expires_in\\': 3599}",
    "{\\'access_token\\': \\'a\\', \\'expires_in\\': 0}",
    "{\\'access_token\\': \\'a\\', \\'expires_in\\': \\'soon\\'}",
};

START_TEST(what_is_no_token_is_an_error)
{
    char told[512];
    for (size_t i = 0; i < sizeof no_tokens / sizeof no_tokens[0]; i++) {
        snprintf(told, sizeof told, "{'path': '/google/token', 'times': 1, 'body': '%s'}",
                 no_tokens[i]);
        answer(told);
        property("123456789");
        input_fails(input_read(), "127.0.0.1: ");
        input_is(input_read(), 24);
    }
}
END_TEST

static const struct {
    const char *keys;
    const char *words;
} refusals[] = {
    {"key: k", "expected property_id"},
    {"property_id: 5", "expected key or keyfile"},
    {"key: k, property_id: G-ABC123", "property_id: found another text, expected the number"},
    {"key: k, property_id: properties/5", "property_id: found another text"},
    {"key: k, analytics_view_id: UA-1-1", "analytics_view_id: found another text"},
};

START_TEST(keys_that_cannot_be_are_refused)
{
    const char *words =
        input_refused("type: google_analytics, client_email: " EMAIL ", %s", refusals[_i].keys);
    ck_assert_msg(strstr(words, refusals[_i].words) != NULL, "%s", words);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("google");
    TCase *all = tcase_create("all");
    support_key_make(&key);
    tcase_add_checked_fixture(all, setup, teardown);
    tcase_set_timeout(all, 60);
    tcase_add_test(all, a_property_tells_its_people_and_its_token_is_kept);
    tcase_add_test(all, nobody_there_is_zero);
    tcase_add_test(all, a_token_is_renewed_before_it_ends);
    tcase_add_test(all, a_token_that_is_refused_is_replaced_once);
    tcase_add_test(all, a_wrong_account_is_told_with_googles_words_and_asked_ever_less_often);
    tcase_add_test(all, a_wrong_clock_is_told_with_the_time);
    tcase_add_test(all, another_key_is_refused);
    tcase_add_test(all, an_error_of_the_server_is_never_repeated_at_once);
    tcase_add_loop_test(all, a_quota_slows_the_polling, 0, (int)(sizeof quotas / sizeof quotas[0]));
    tcase_add_test(all, the_old_view_works_as_it_did_and_check_says_that_it_has_ended);
    tcase_add_test(all, a_key_that_is_none_disables_the_input_and_is_not_shown);
    tcase_add_test(all, what_google_echoes_is_shown_without_token_and_assertion);
    tcase_add_test(all, what_is_no_token_is_an_error);
    tcase_add_loop_test(all, keys_that_cannot_be_are_refused, 0,
                        (int)(sizeof refusals / sizeof refusals[0]));
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
