/* E-mail by Amazon SES against a server that verifies each signature and keeps the mails. */
#include "common/json.h"
#include "tests/integration/support_metrics.h"
#include "tests/integration/support_sink.h"

#include <check.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define KEY_ID "AKIDEXAMPLE"
#define KEY "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
#define TOKEN "FwoGZXIvYXdzEXAMPLETOKEN=="
#define WORLD                                                                          \
    "'key': '" KEY_ID "', 'secret': '" KEY "', 'verified': ['dynosaur@example.com'], " \
    "'refused': ['nobody@example.com']"
#define FROM "type: ses, from: dynosaur@example.com, "
#define KEYS "aws_access_key_id: " KEY_ID ", aws_secret_access_key: \"" KEY "\""
#define AT ", api_url: \"http://127.0.0.1:%u/ses\""

int clock_gettime(clockid_t id, struct timespec *at);
void arc4random_buf(void *bytes, size_t len);

/* The intervals are not waited for. Signatures have the time of the wall, which is the true one. */
static int64_t ahead_s;

int clock_gettime(clockid_t id, struct timespec *at)
{
    int result = (int)syscall(SYS_clock_gettime, id, at);
    at->tv_sec += id == CLOCK_REALTIME ? 0 : ahead_s;
    return result;
}

void arc4random_buf(void *bytes, size_t len)
{
    memset(bytes, 0, len);
}

static struct metrics fake;

static void setup(void)
{
    ahead_s = 0;
    sink_setup();
    fake = metrics_start("{'ses': {" WORLD "}}");
}

static void teardown(void)
{
    metrics_stop(&fake);
    sink_teardown();
}

static void ses_configure(const char *more)
{
    sink_configure("error_handlers", FROM KEYS AT ", %s", fake.port, more);
}

static void all_accepted(double count)
{
    struct sink_tally tally = sink_run_ahead(&ahead_s);
    ck_assert_msg(tally.dead == 0 && tally.failed == 0, "%s", tally.why);
    ck_assert_double_eq(tally.accepted, count);
    metrics_are_content(&fake);
}

/* All mails that came. The caller owns them. */
static json_t *mails(void)
{
    json_t *state = metrics_control(&fake, "GET", "state", NULL);
    json_t *list = json_incref(dyn_json_at(state, "/ses/mails", NULL));
    json_decref(state);
    return list;
}

static const char *part(json_t *list, size_t n, const char *name)
{
    const char *text = json_string_value(json_object_get(json_array_get(list, n), name));
    ck_assert_msg(text != NULL, "mail %zu has no %s", n, name);
    return text;
}

static void part_has(json_t *list, size_t n, const char *name, const char *words)
{
    const char *text = part(list, n, name);
    ck_assert_msg(strstr(text, words) != NULL, "the %s of mail %zu is: %s", name, n, text);
}

static void mail_is_whole(const char *more)
{
    ses_configure(more);
    sink_add_event(sink_event("shop", EVENT_RAISED, ""));
    all_accepted(1);
    json_t *list = mails();
    ck_assert_uint_eq(json_array_size(list), 1);
    ck_assert_str_eq(part(list, 0, "from"), "dynosaur@example.com");
    ck_assert_str_eq(part(list, 0, "to"), "ops@example.com");
    ck_assert_str_eq(part(list, 0, "subject"), "Dynosaur Error: shop dynos users input_outage");
    ck_assert_str_eq(part(list, 0, "text"),
                     "2018-05-01T15:16:34Z  error    shop dynos users: input_outage: no value "
                     "since 300 s <b>&\xc3\xa4\n");
    ck_assert_str_eq(part(list, 0, "html"),
                     "<div style='font-family: monospace;'>2018-05-01T15:16:34Z  error    shop "
                     "dynos users: input_outage: no value since 300 s "
                     "&lt;b&gt;&amp;\xc3\xa4<br></div>");
    json_decref(list);
}

START_TEST(a_signed_mail_of_the_rest_api_has_text_and_html)
{
    mail_is_whole("to: ops@example.com");
    ck_assert_uint_eq(metrics_asked(&fake, "/ses/v2/email/outbound-emails"), 1);
}
END_TEST

START_TEST(a_signed_mail_of_the_query_api_has_text_and_html)
{
    mail_is_whole("to: ops@example.com, api: v1");
    ck_assert_uint_eq(metrics_asked(&fake, "/ses/v2"), 0);
}
END_TEST

START_TEST(a_key_that_lasts_for_a_while_has_its_token_signed)
{
    const char *const apis[] = {"v1", "v2"};
    json_decref(
        metrics_control(&fake, "POST", "state", "{'ses': {" WORLD ", 'token': '" TOKEN "'}}"));
    for (size_t i = 0; i < 2; i++) {
        sink_configure("error_handlers",
                       FROM KEYS AT ", to: ops@example.com, api: %s, aws_session_token: " TOKEN,
                       fake.port, apis[i]);
        sink_add_event(sink_event("shop", EVENT_RAISED, ""));
        all_accepted(1);
    }
    ses_configure("to: ops@example.com");
    sink_add_event(sink_event("shop", EVENT_RAISED, ""));
    struct sink_tally tally = sink_run_ahead(&ahead_s);
    ck_assert_str_eq(tally.why,
                     "answered with status 403: UnrecognizedClientException: The security token "
                     "included in the request is invalid.");
}
END_TEST

START_TEST(each_receiver_has_a_mail_and_a_bad_address_costs_that_one)
{
    ses_configure("to: [one@example.com, nobody@example.com, \"Two <two@example.com>\"]");
    sink_add_event(sink_event("shop", EVENT_RAISED, ""));
    struct sink_tally tally = sink_run_ahead(&ahead_s);
    ck_assert_double_eq(tally.failed, 1);
    ck_assert_double_eq(tally.dead, 1);
    ck_assert_ptr_nonnull(strstr(tally.why, "1 of 3 receivers were refused, the last with: "
                                            "MessageRejected: Email address is not verified."));
    json_t *list = mails();
    ck_assert_uint_eq(json_array_size(list), 2);
    ck_assert_str_eq(part(list, 0, "to"), "one@example.com");
    ck_assert_str_eq(part(list, 1, "to"), "Two <two@example.com>");
    json_decref(list);
    metrics_are_content(&fake);
}
END_TEST

START_TEST(the_first_is_told_at_once_and_what_follows_is_a_digest)
{
    static char apps[20][16];
    ses_configure("to: ops@example.com");
    for (size_t i = 0; i < 20; i++) {
        (void)snprintf(apps[i], sizeof apps[i], "app-%zu", i);
        sink_add_event(sink_event(apps[i], EVENT_RAISED, "api.newrelic.com"));
    }
    for (int i = 0; i < 500 && sink_waiting() > 19; i++) {
        (void)sink_run_for(20);
    }
    json_t *list = mails();
    ck_assert_uint_eq(json_array_size(list), 1);
    json_decref(list);
    ck_assert_uint_eq(sink_waiting(), 19);
    ahead_s += 890;
    for (size_t i = 0; i < 20; i++) {
        sink_add_event(sink_event(apps[i], EVENT_OVER, ""));
    }
    sink_add_action(sink_action(2, 5, ACTION_REFUSED));
    sink_add_action(sink_action(2, 5, ACTION_DONE));
    (void)sink_run_for(100);
    ck_assert_uint_gt(sink_waiting(), 0);
    ahead_s += 15;
    all_accepted(42);
    list = mails();
    ck_assert_uint_eq(json_array_size(list), 2);
    ck_assert_str_eq(part(list, 1, "subject"), "Dynosaur Error: 40 messages, 20 over again");
    part_has(list, 1, "text", "input_outage: 19, 20 over again\naction: 1\n\n");
    part_has(list, 1, "text", "error    app-19 dynos users: input_outage: no value");
    part_has(list, 1, "text", "over     app-0 dynos users: input_outage is over: no value");
    part_has(list, 1, "text", "action   shop web: 2 -> 5, refused\n");
    json_decref(list);
}
END_TEST

START_TEST(what_is_over_says_so_in_the_subject)
{
    ses_configure("to: ops@example.com, interval: 60, subject: \"[prod]\"");
    sink_add_event(sink_event("shop", EVENT_RAISED, ""));
    sink_add_event(sink_event("shop", EVENT_OVER, ""));
    all_accepted(2);
    sink_add_event(sink_event("blog", EVENT_RAISED, ""));
    sink_add_event(sink_event("wiki", EVENT_RAISED, ""));
    all_accepted(4);
    sink_add_event(sink_event("blog", EVENT_OVER, ""));
    sink_add_event(sink_event("wiki", EVENT_OVER, ""));
    all_accepted(6);
    json_t *list = mails();
    ck_assert_uint_eq(json_array_size(list), 4);
    ck_assert_str_eq(part(list, 1, "subject"), "[prod]: over again: shop dynos users input_outage");
    ck_assert_str_eq(part(list, 2, "subject"), "[prod]: 2 messages, 0 over again");
    ck_assert_str_eq(part(list, 3, "subject"), "[prod]: over again: 2 troubles");
    json_decref(list);
}
END_TEST

START_TEST(a_thousand_troubles_are_two_mails)
{
    static char apps[900][16];
    ses_configure("to: ops@example.com, api: v1");
    for (size_t i = 0; i < 900; i++) {
        (void)snprintf(apps[i], sizeof apps[i], "app-%zu", i);
        sink_add_event(sink_event(apps[i], EVENT_RAISED, "api.newrelic.com"));
    }
    all_accepted(900);
    json_t *list = mails();
    ck_assert_uint_eq(json_array_size(list), 2);
    part_has(list, 1, "text", "input_outage: 899\n");
    part_has(list, 1, "text", "and 849 more\n");
    json_decref(list);
}
END_TEST

START_TEST(words_of_all_kinds_make_a_legal_mail)
{
    static char longest[2000];
    struct event event = sink_event("shop\r\nBcc: all@example.com", EVENT_ONCE, "");
    ses_configure("to: ops@example.com");
    memset(longest, 'x', 30);
    for (size_t i = 30; i + 2 < sizeof longest; i += 2) {
        longest[i] = '\xc3'; /* the bound falls inside one */
        longest[i + 1] = '\xa4';
    }
    event.text = dyn_str_from(longest);
    sink_add_event(event);
    event.app = DYN_STR("caf\xe9");
    event.text = DYN_STR("a\nb\t\x1b[31m\xff");
    sink_add_event(event);
    sink_add_event(sink_event("t\xc3\xa4st", EVENT_ONCE, ""));
    all_accepted(3);
    json_t *list = mails();
    ck_assert_ptr_null(strpbrk(part(list, 0, "subject"), "\r\n"));
    part_has(list, 0, "text", "\xc3\xa4\xc3\xa4\n");
    part_has(list, 1, "text", "caf? dynos users: input_outage: a b  [31m?\n");
    part_has(list, 1, "text", "t\xc3\xa4st");
    json_decref(list);
}
END_TEST

/* Keys, what is wrong with them, and the words of SES for it. */
static const struct {
    const char *keys;
    const char *words;
} refusals[] = {
    {"aws_access_key_id: AKIDother, aws_secret_access_key: \"" KEY "\"",
     "403: UnrecognizedClientException: The security token included in the request is invalid."},
    {"api: v1, aws_access_key_id: AKIDother, aws_secret_access_key: \"" KEY "\"",
     "403: InvalidClientTokenId: The security token included in the request is invalid."},
    {"aws_access_key_id: " KEY_ID ", aws_secret_access_key: c4nary-of-another-secret",
     "403: SignatureDoesNotMatch: The request signature we calculated does not match"},
    {"api: v1, aws_access_key_id: " KEY_ID ", aws_secret_access_key: c4nary-of-another-secret",
     "403: SignatureDoesNotMatch: The request signature we calculated does not match"},
    {"region: eu-west-1, " KEYS,
     "403: SignatureDoesNotMatch: Credential should be scoped to a valid region"},
    {"from: stranger@example.com, " KEYS, "400: MessageRejected: Email address is not verified."},
};

START_TEST(a_refusal_is_told_in_the_words_of_ses)
{
    const char *from =
        strstr(refusals[_i].keys, "from:") != NULL ? "" : "from: dynosaur@example.com,";
    sink_configure("error_handlers", "type: ses, to: ops@example.com, %s %s" AT, from,
                   refusals[_i].keys, fake.port);
    sink_add_event(sink_event("shop", EVENT_RAISED, ""));
    struct sink_tally tally = sink_run_ahead(&ahead_s);
    ck_assert_double_eq(tally.dead, 1);
    ck_assert_double_eq(tally.failed, 1);
    ck_assert_msg(strstr(tally.why, refusals[_i].words) != NULL, "says %s", tally.why);
    ck_assert_ptr_null(strstr(tally.why, KEY_ID));
    ck_assert_ptr_null(strstr(tally.why, "c4nary"));
}
END_TEST

/* v1 throttles with status 400, v2 with 429. */
START_TEST(a_throttled_mail_is_tried_again)
{
    const char *const answers[] = {
        "{'path': '/ses', 'times': 2, 'status': 429, 'headers': {'x-amzn-ErrorType': "
        "'TooManyRequestsException:http://internal.amazon.com/coral/'}, 'body': '{\\'message\\': "
        "\\'Maximum sending rate exceeded.\\'}'}",
        "{'path': '/ses', 'times': 2, 'status': 400, 'headers': {}, 'body': "
        "'<ErrorResponse><Error><Type>Sender</Type><Code>Throttling</Code><Message>Maximum sending "
        "rate exceeded.</Message></Error></ErrorResponse>'}"};
    const char *const more[] = {"to: [one@example.com, two@example.com]",
                                "to: [one@example.com, two@example.com], api: v1"};
    for (size_t i = 0; i < 2; i++) {
        ses_configure(more[i]);
        json_decref(metrics_control(&fake, "POST", "answers", answers[i]));
        sink_add_event(sink_event("shop", EVENT_RAISED, ""));
        struct sink_tally tally = sink_run_ahead(&ahead_s);
        ck_assert_double_eq(tally.failed, 2);
        ck_assert_double_eq(tally.accepted, 1);
    }
    json_t *list = mails();
    ck_assert_uint_eq(json_array_size(list), 4);
    json_decref(list);
}
END_TEST

START_TEST(who_has_a_mail_gets_it_once)
{
    ses_configure("to: [one@example.com, two@example.com]");
    json_decref(metrics_control(&fake, "POST", "answers",
                                "{'path': '/ses', 'after': 1, 'times': 2, 'status': 503, "
                                "'body': ''}"));
    sink_add_event(sink_event("shop", EVENT_RAISED, ""));
    struct sink_tally tally = sink_run_ahead(&ahead_s);
    ck_assert_double_eq(tally.failed, 2);
    ck_assert_double_eq(tally.accepted, 1);
    json_t *list = mails();
    ck_assert_uint_eq(json_array_size(list), 2);
    json_decref(list);
}
END_TEST

START_TEST(what_cannot_be_an_address_or_a_region_is_refused)
{
    ck_assert_ptr_nonnull(
        strstr(sink_refused("error_handlers", FROM KEYS ", to: nobody"), "no e-mail address"));
    ck_assert_ptr_nonnull(strstr(
        sink_refused("error_handlers", FROM KEYS ", to: \"a@example.com\\nBcc: b@example.com\""),
        "no e-mail address"));
    ck_assert_ptr_nonnull(
        strstr(sink_refused("error_handlers", FROM KEYS ", to: a@b.c, region: \"us east\""),
               "no AWS region"));
    ck_assert_ptr_nonnull(
        strstr(sink_refused("error_handlers", FROM KEYS ", to: a@b.c, subject: \"a\\nb\""),
               "more than one line"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sink_ses");
    TCase *tests = tcase_create("ses");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_signed_mail_of_the_rest_api_has_text_and_html);
    tcase_add_test(tests, a_signed_mail_of_the_query_api_has_text_and_html);
    tcase_add_test(tests, a_key_that_lasts_for_a_while_has_its_token_signed);
    tcase_add_test(tests, each_receiver_has_a_mail_and_a_bad_address_costs_that_one);
    tcase_add_test(tests, the_first_is_told_at_once_and_what_follows_is_a_digest);
    tcase_add_test(tests, what_is_over_says_so_in_the_subject);
    tcase_add_test(tests, a_thousand_troubles_are_two_mails);
    tcase_add_test(tests, words_of_all_kinds_make_a_legal_mail);
    tcase_add_loop_test(tests, a_refusal_is_told_in_the_words_of_ses, 0,
                        sizeof refusals / sizeof refusals[0]);
    tcase_add_test(tests, a_throttled_mail_is_tried_again);
    tcase_add_test(tests, who_has_a_mail_gets_it_once);
    tcase_add_test(tests, what_cannot_be_an_address_or_a_region_is_refused);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
