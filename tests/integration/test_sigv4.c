/*
 * AWS Signature Version 4: requests whose signatures were computed elsewhere. libcurl must make the
 * same ones; and the judge in fake-metrics, which does not know libcurl, must take them and no
 * others.
 */
#include "common/clock.h"
#include "common/http.h"
#include "tests/integration/support_metrics.h"
#include "tests/integration/support_script_server.h"

#include <check.h>
#include <time.h>

#define KEY_ID "AKIDEXAMPLE"
#define KEY "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
#define TOKEN "FwoGZXIvYXdzEXAMPLETOKEN=="
#define SIGNED_AT 1440938160 /* 20150830T123600Z */
#define RUN_MAX_MS 10000
#define HOST "Host: email.us-east-1.amazonaws.com"
#define V2_BODY                                                                               \
    "{\"FromEmailAddress\":\"dynosaur@example.com\",\"Destination\":{\"ToAddresses\":["       \
    "\"ops@example.com\"]},\"Content\":{\"Simple\":{\"Subject\":{\"Data\":\"Dynosaur Error\"" \
    ",\"Charset\":\"UTF-8\"},\"Body\":{\"Html\":{\"Data\":\"<div>x + y</div>\",\"Charset\":"  \
    "\"UTF-8\"}}}}}"
#define V1_BODY                                                                              \
    "Action=SendEmail&Version=2010-12-01&Source=dynosaur%40example.com&Destination."         \
    "ToAddresses.member.1=ops%40example.com&Message.Subject.Data=Dynosaur%20Error&Message."  \
    "Subject.Charset=UTF-8&Message.Body.Html.Data=%3Cdiv%3Ex%20%2B%20y%3C%2Fdiv%3E&Message." \
    "Body.Html.Charset=UTF-8"

/* Computed with another signer, and once more by hand. */
static const struct vector {
    const char *path;
    const char *type;
    const char *token; /* a header, or NULL */
    const char *body;
    const char *headers;
    const char *signature;
} vectors[] = {
    {"/", "Content-Type: application/x-www-form-urlencoded; charset=utf-8", NULL, V1_BODY,
     "content-type;host;x-amz-date",
     "d532f9e3d7b8520f171046f734caba7fab92ef50d7926116530afcf0b131e291"},
    {"/v2/email/outbound-emails", "Content-Type: application/json", NULL, V2_BODY,
     "content-type;host;x-amz-date",
     "908c0d571ceab384f03c5061bb977c4fb2868bc50610e6019a310b25ef43b396"},
    {"/v2/email/outbound-emails", "Content-Type: application/json", "X-Amz-Security-Token: " TOKEN,
     V2_BODY, "content-type;host;x-amz-date;x-amz-security-token",
     "85ab54518af3ced78ba4b4dedde664cdc60caaf586ade67a771f1e7cbb49b46d"},
};
#define VECTORS ((int)(sizeof vectors / sizeof vectors[0]))

time_t time(time_t *out);

/* What libcurl dates its signatures with; nothing else asks for it here. */
time_t time(time_t *out)
{
    if (out != NULL) {
        *out = SIGNED_AT;
    }
    return SIGNED_AT;
}

static struct script_server server;
static struct metrics fake;
static struct dyn_loop *loop;
static struct http_client *client;

static struct outcome {
    bool done;
    dyn_err err;
    long status;
    char body[4096];
} outcome;

static void setup(void)
{
    memset(&server, 0, sizeof server);
    script_server_start(&server);
    loop = dyn_loop_new();
    ck_assert_ptr_nonnull(loop);
    client = http_client_new(loop, NULL);
    ck_assert_ptr_nonnull(client);
}

static void teardown(void)
{
    http_client_free(client);
    dyn_loop_free(loop);
}

static void done(void *arg, const struct http_answer *answer)
{
    (void)arg;
    outcome.done = true;
    outcome.err = answer->err;
    outcome.status = answer->status;
    dyn_str_copy(outcome.body, sizeof outcome.body, answer->body);
}

/* Signed by libcurl, or, when `authorization` is not NULL, with that header. */
static void vector_send(const struct vector *vector, unsigned port, const char *body,
                        const char *authorization)
{
    struct http_transfer *transfer = NULL;
    struct dyn_error error = {""};
    char url[128];
    const char *headers[5] = {HOST, vector->type};
    size_t count = 2;
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%u%s", port, vector->path);
    if (vector->token != NULL) {
        headers[count++] = vector->token;
    }
    if (authorization != NULL) {
        headers[count++] = "X-Amz-Date: 20150830T123600Z";
        headers[count++] = authorization;
    }
    struct http_request request = {.method = "POST",
                                   .url = url,
                                   .headers = headers,
                                   .headers_count = count,
                                   .body = dyn_str_from(body),
                                   .done = done};
    if (authorization == NULL) {
        request.sigv4 = "aws:amz:us-east-1:ses";
        request.user = KEY_ID;
        request.password = KEY;
    }
    outcome = (struct outcome){.done = false};
    ck_assert_msg(http_start(client, &request, &transfer, &error) == DYN_OK, "%s", error.text);
    int64_t end_ms = dyn_clock_boot_ms() + RUN_MAX_MS;
    while (!outcome.done && dyn_clock_boot_ms() < end_ms) {
        dyn_loop_once(loop, 10);
    }
    ck_assert(outcome.done);
    ck_assert_int_eq(outcome.err, DYN_OK);
}

static void authorization_make(const struct vector *vector, const char *signature, char *out,
                               size_t size)
{
    (void)snprintf(out, size,
                   "Authorization: AWS4-HMAC-SHA256 "
                   "Credential=" KEY_ID "/20150830/us-east-1/ses/aws4_request, SignedHeaders=%s, "
                   "Signature=%s",
                   vector->headers, signature);
}

START_TEST(libcurl_makes_the_signature_that_was_computed_elsewhere)
{
    const struct vector *vector = &vectors[_i];
    char wanted[512];
    authorization_make(vector, vector->signature, wanted, sizeof wanted);
    script_server_say(&server, "", "/echo");
    vector_send(vector, (unsigned)server.port, vector->body, NULL);
    ck_assert_msg(strstr(outcome.body, wanted) != NULL, "sent was: %s", outcome.body);
    ck_assert_ptr_nonnull(strstr(outcome.body, "X-Amz-Date: 20150830T123600Z"));
    ck_assert_ptr_nonnull(strstr(outcome.body, vector->body));
}
END_TEST

static void judge_start(const struct vector *vector)
{
    char state[512];
    (void)snprintf(state, sizeof state,
                   "{'ses': {'key': '" KEY_ID "', 'secret': '" KEY "', 'now': 'any',"
                   " 'verified': ['dynosaur@example.com']%s}}",
                   vector->token != NULL ? ", 'token': '" TOKEN "'" : "");
    fake = metrics_start(state);
}

START_TEST(the_judge_takes_the_signature_that_was_computed_elsewhere)
{
    const struct vector *vector = &vectors[_i];
    char header[512];
    judge_start(vector);
    authorization_make(vector, vector->signature, header, sizeof header);
    vector_send(vector, fake.port, vector->body, header);
    ck_assert_msg(outcome.status == 200, "%ld %s", outcome.status, outcome.body);
    ck_assert_uint_eq(metrics_violations(&fake, "bad_signature"), 0);
    metrics_stop(&fake);
}
END_TEST

START_TEST(the_judge_takes_no_other)
{
    const struct vector *vector = &vectors[_i];
    char header[512];
    char changed[1024];
    char signature[65];
    judge_start(vector);
    (void)snprintf(signature, sizeof signature, "%s", vector->signature);
    signature[63] = signature[63] == '0' ? '1' : '0';
    authorization_make(vector, signature, header, sizeof header);
    vector_send(vector, fake.port, vector->body, header);
    ck_assert_int_eq(outcome.status, 403);

    authorization_make(vector, vector->signature, header, sizeof header);
    (void)snprintf(changed, sizeof changed, "%s ", vector->body);
    vector_send(vector, fake.port, changed, header);
    ck_assert_int_eq(outcome.status, 403);
    ck_assert_ptr_nonnull(strstr(outcome.body, "does not match"));

    struct vector elsewhere = *vector;
    elsewhere.headers = "host;x-amz-date;content-type";
    authorization_make(&elsewhere, vector->signature, header, sizeof header);
    vector_send(&elsewhere, fake.port, vector->body, header);
    ck_assert_int_eq(outcome.status, 403);
    ck_assert_uint_eq(metrics_violations(&fake, "bad_signature"), 3);
    metrics_stop(&fake);
}
END_TEST

START_TEST(the_judge_takes_what_libcurl_signs)
{
    const struct vector *vector = &vectors[_i];
    judge_start(vector);
    vector_send(vector, fake.port, vector->body, NULL);
    ck_assert_msg(outcome.status == 200, "%ld %s", outcome.status, outcome.body);
    metrics_stop(&fake);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sigv4");
    TCase *tests = tcase_create("sigv4");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, libcurl_makes_the_signature_that_was_computed_elsewhere, 0, VECTORS);
    tcase_add_loop_test(tests, the_judge_takes_the_signature_that_was_computed_elsewhere, 0,
                        VECTORS);
    tcase_add_loop_test(tests, the_judge_takes_no_other, 0, VECTORS);
    tcase_add_loop_test(tests, the_judge_takes_what_libcurl_signs, 0, VECTORS);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
