/* Pings of Cronut, which are decrypted and judged as its server does, and of a health check's URL.
 */
#include "common/json.h"
#include "tests/integration/support_metrics.h"
#include "tests/integration/support_sink.h"

#include <check.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define TOKEN "5f4dcc3b5aa765d61d8327deb882cf99"
#define JOB "ABCDEF123456"
#define AT "http://127.0.0.1:%u"
#define PEM_SIZE 4096

int clock_gettime(clockid_t id, struct timespec *at);
void arc4random_buf(void *bytes, size_t len);

/* Pauses between tries are not waited for. */
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
static EVP_PKEY *pkey;
static char public_pem[PEM_SIZE];

static void pem_take(BIO *bio, char out[PEM_SIZE])
{
    int len = BIO_read(bio, out, PEM_SIZE - 1);
    ck_assert_int_gt(len, 0);
    out[len] = '\0';
    BIO_free(bio);
}

/* `what` for each line end. */
static void lines_join(const char *pem, const char *what, char out[PEM_SIZE])
{
    size_t len = 0;
    for (; *pem != '\0'; pem++) {
        const char one[2] = {*pem, '\0'};
        len += (size_t)snprintf(out + len, PEM_SIZE - len, "%s", *pem == '\n' ? what : one);
    }
}

static void world_set(EVP_PKEY *key)
{
    char pem[PEM_SIZE];
    char line[PEM_SIZE];
    char state[PEM_SIZE + 256];
    BIO *bio = BIO_new(BIO_s_mem());
    ck_assert_int_eq(PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL), 1);
    pem_take(bio, pem);
    lines_join(pem, "\\n", line);
    (void)snprintf(state, sizeof state,
                   "{'cronut': {'token': '" TOKEN "', 'jobs': {'" JOB
                   "': 0}, 'private_key': '%s'}, 'healthcheck': {'checks': {'my-check': 0}}}",
                   line);
    json_decref(metrics_control(&fake, "POST", "state", state));
}

static void setup(void)
{
    BIO *bio = BIO_new(BIO_s_mem());
    ahead_s = 0;
    sink_setup();
    pkey = EVP_RSA_gen(2048);
    ck_assert_ptr_nonnull(pkey);
    ck_assert_int_eq(PEM_write_bio_PUBKEY(bio, pkey), 1);
    pem_take(bio, public_pem);
    fake = metrics_start("{}");
    world_set(pkey);
}

static void teardown(void)
{
    EVP_PKEY_free(pkey);
    metrics_stop(&fake);
    sink_teardown();
}

static void cronut_configure(const char *token, const char *job, const char *pem)
{
    sink_configure("success_handlers",
                   "type: cronut, host: \"" AT "/cronut/\", api_token: %s, cronut_token: %s, "
                   "public_key: \"%s\"",
                   fake.port, token, job, pem);
}

static int64_t pings(void)
{
    json_t *state = metrics_control(&fake, "GET", "state", NULL);
    int64_t count = json_integer_value(dyn_json_at(state, "/cronut/jobs/" JOB, NULL));
    json_decref(state);
    return count;
}

static void is_taken(int64_t count)
{
    sink_add_ping();
    struct sink_tally tally = sink_run_ahead(&ahead_s);
    ck_assert_msg(tally.dead == 0 && tally.failed == 0, "%s", tally.why);
    ck_assert_int_eq(pings(), count);
    metrics_are_content(&fake);
}

static const char *refusal(void)
{
    static char why[DYN_ERROR_TEXT_MAX];
    sink_add_ping();
    struct sink_tally tally = sink_run_ahead(&ahead_s);
    ck_assert_double_eq(tally.failed, 1);
    ck_assert_double_eq(tally.dead, 1);
    dyn_str_copy(why, sizeof why, dyn_str_from(tally.why));
    ck_assert_int_eq(pings(), 0);
    return why;
}

START_TEST(each_ping_is_made_anew_and_can_be_read)
{
    char line[PEM_SIZE];
    lines_join(public_pem, "|", line);
    cronut_configure(TOKEN, JOB, line);
    for (int64_t i = 1; i <= 20; i++) {
        is_taken(i);
    }
}
END_TEST

/* As the original's users have it, and as environments hold it. */
START_TEST(a_key_may_stand_in_one_line)
{
    const char *const ends[] = {"|", "\\\\n", "\\n", "\\r\\n"};
    char line[PEM_SIZE];
    for (int64_t i = 0; i < 4; i++) {
        lines_join(public_pem, ends[i], line);
        cronut_configure(TOKEN, JOB, line);
        is_taken(i + 1);
    }
}
END_TEST

START_TEST(a_private_key_s_public_half_will_do)
{
    char pem[PEM_SIZE];
    char line[PEM_SIZE];
    BIO *bio = BIO_new(BIO_s_mem());
    ck_assert_int_eq(PEM_write_bio_PrivateKey(bio, pkey, NULL, NULL, 0, NULL, NULL), 1);
    pem_take(bio, pem);
    lines_join(pem, "|", line);
    cronut_configure(TOKEN, JOB, line);
    is_taken(1);
}
END_TEST

START_TEST(what_is_no_key_is_said_at_once)
{
    const char *const keys[] = {"nonsense", "-----BEGIN PUBLIC KEY-----|AAAA|",
                                "-----BEGIN PUBLIC KEY-----|AAAA|-----END PUBLIC KEY-----|"};
    for (size_t i = 0; i < 3; i++) {
        ck_assert_ptr_nonnull(strstr(
            sink_refused("success_handlers",
                         "type: cronut, host: cronut.example.com, api_token: a, cronut_token: b, "
                         "public_key: \"%s\"",
                         keys[i]),
            "`public_key`: holds no RSA public key"));
    }
}
END_TEST

START_TEST(a_host_without_a_scheme_is_asked_by_https)
{
    char line[PEM_SIZE];
    lines_join(public_pem, "|", line);
    sink_configure("success_handlers",
                   "type: cronut, host: \"127.0.0.1:%u\", api_token: a, cronut_token: b, "
                   "public_key: \"%s\"",
                   fake.port, line);
    sink_add_ping();
    struct sink_tally tally = sink_run_ahead(&ahead_s);
    ck_assert_double_eq(tally.dead, 1);
    ck_assert_msg(strstr(tally.why, "SSL") != NULL || strstr(tally.why, "TLS") != NULL, "says %s",
                  tally.why);
    ck_assert_ptr_nonnull(
        strstr(sink_refused("success_handlers",
                            "type: cronut, host: \"http://cronut.example.com\", api_token: a, "
                            "cronut_token: b, public_key: \"%s\"",
                            line),
               "allow_http"));
}
END_TEST

START_TEST(a_refusal_is_told_in_cronut_s_words)
{
    char line[PEM_SIZE];
    lines_join(public_pem, "|", line);
    cronut_configure("another", JOB, line);
    ck_assert_str_eq(refusal(), "answered with status 401: Invalid token.");
    cronut_configure(TOKEN, "abcdef123456", line);
    ck_assert_str_eq(refusal(), "answered with status 404 (another key, a job that it does not "
                                "know, or clocks more than 30 s apart): a page of HTML");
    ck_assert_uint_eq(metrics_violations(&fake, "unknown_job"), 1);
    EVP_PKEY *other = EVP_RSA_gen(2048);
    world_set(other);
    EVP_PKEY_free(other);
    cronut_configure(TOKEN, JOB, line);
    ck_assert_ptr_nonnull(strstr(refusal(), "404"));
}
END_TEST

START_TEST(a_clock_that_is_off_is_noticed_by_cronut)
{
    char line[PEM_SIZE];
    lines_join(public_pem, "|", line);
    cronut_configure(TOKEN, JOB, line);
    json_decref(metrics_control(&fake, "POST", "clock", "{'advance_ms': 28000}"));
    is_taken(1);
    json_decref(metrics_control(&fake, "POST", "clock", "{'advance_ms': 4000}"));
    sink_add_ping();
    ck_assert_double_eq(sink_run_ahead(&ahead_s).dead, 1);
    ck_assert_uint_eq(metrics_violations(&fake, "bad_time"), 1);
}
END_TEST

START_TEST(a_ping_that_is_tried_again_is_made_again)
{
    char line[PEM_SIZE];
    lines_join(public_pem, "|", line);
    cronut_configure(TOKEN, JOB, line);
    json_decref(metrics_control(&fake, "POST", "answers",
                                "{'path': '/cronut', 'times': 3, 'status': 503, 'body': ''}"));
    sink_add_ping();
    struct sink_tally tally = sink_run_ahead(&ahead_s);
    ck_assert_double_eq(tally.failed, 3);
    ck_assert_double_eq(tally.accepted, 1);
    json_t *list = metrics_control(&fake, "GET", "requests", NULL);
    ck_assert_uint_eq(json_array_size(list), 4);
    for (size_t i = 1; i < 4; i++) {
        ck_assert_str_ne(json_string_value(json_object_get(json_array_get(list, i), "body")),
                         json_string_value(json_object_get(json_array_get(list, i - 1), "body")));
    }
    json_decref(list);
}
END_TEST

START_TEST(a_health_check_s_url_is_asked_for)
{
    sink_configure("success_handlers", "type: healthcheck, url: \"" AT "/healthcheck/my-check\"",
                   fake.port);
    sink_add_ping();
    sink_add_ping();
    struct sink_tally tally = sink_run_ahead(&ahead_s);
    ck_assert_double_eq(tally.accepted, 2);
    metrics_are_content(&fake);
    ck_assert_uint_eq(metrics_asked(&fake, "/healthcheck/my-check"), 2);
    sink_configure("success_handlers", "type: healthcheck, url: \"" AT "/healthcheck/another\"",
                   fake.port);
    sink_add_ping();
    tally = sink_run_ahead(&ahead_s);
    ck_assert_str_eq(tally.why, "answered with status 404: not found");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sink_cronut");
    TCase *tests = tcase_create("cronut");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, each_ping_is_made_anew_and_can_be_read);
    tcase_add_test(tests, a_key_may_stand_in_one_line);
    tcase_add_test(tests, a_private_key_s_public_half_will_do);
    tcase_add_test(tests, what_is_no_key_is_said_at_once);
    tcase_add_test(tests, a_host_without_a_scheme_is_asked_by_https);
    tcase_add_test(tests, a_refusal_is_told_in_cronut_s_words);
    tcase_add_test(tests, a_clock_that_is_off_is_noticed_by_cronut);
    tcase_add_test(tests, a_ping_that_is_tried_again_is_made_again);
    tcase_add_test(tests, a_health_check_s_url_is_asked_for);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
