/*
 * Everything that an HTTP API can answer but what is wanted, against every sink that speaks to one.
 * Each delivery ends accepted after a retry, or as a dead letter in the API's own words, which hold
 * no credential; the next good answer is taken again.
 */
#include "common/clock.h"
#include "reporter/sinks/post.h"
#include "tests/integration/support_script_server.h"
#include "tests/integration/support_sink.h"
#include "tests/integration/support_tls_server.h"

#include <check.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SECRET "c4nary-0123456789abcdef-c4nary"
#define KEY32 "c4a0123456789abcdef00000c4a00000"
#define RSA_KEY                                                         \
    "-----BEGIN PUBLIC KEY-----|"                                       \
    "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA9lhS3c4cEhUPa4R9uL8b|" \
    "NmtuaNBpaAOXbUPmADLnVel8G/flxh0qmM26CRN0dZP6JIkDGGbpPdheXKJwiUkH|" \
    "PQnQ7/O39Hx81px0X3Uyuh0lbJxMKiSZ6l0MI4EQxpUGa7eVSV21QEAmX9X0NH8L|" \
    "/0jFDhLav+Mxpo46zm6YPdmDrpmkROitXP9xLpn+M6qqx8hBoLLavG6anjWwAz3S|" \
    "dFHNez/vezXFfz4qdTu4K0cfovtalOOh8C2cKURe6t4rM3y4Y+Oj0JTO0IXB6SPa|" \
    "pm/jvItCoVP/dVIRLcn42Cv/4t5gSW1HWsO88PJ4we6EetcIxregJPPhHKztCNxH|" \
    "ywIDAQAB|-----END PUBLIC KEY-----|"
#define TEXT_MAX_BYTES 4096
#define ANSWER_MAX_BYTES 8192
#define ANSWERS_KEPT 32
#define RUN_MAX_MS 20000

int clock_gettime(clockid_t id, struct timespec *at);
void arc4random_buf(void *bytes, size_t len);

/* Pauses are not waited for: there is no jitter, and the tests own the elapsed time. */
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

static struct script_server server;
static double timeout_s; /* of requests: long, but where that is waited for */

/* A sink, and how it is configured (%d: the server's port). */
static const struct plugin {
    const char *name;
    const char *section;
    const char *keys;
    const char *good; /* body of a good answer */
} plugins[] = {
    {.name = "webhook",
     .section = "error_handlers",
     .keys = "type: webhook, url: \"http://127.0.0.1:%d/x?token=" SECRET "\", secret: " SECRET
             ", headers: {X-Token: " SECRET "}"},
    {.name = "slack",
     .section = "error_handlers",
     .keys = "type: slack, url: \"http://127.0.0.1:%d/services/" SECRET "\"",
     .good = "ok"},
    {.name = "pagerduty",
     .section = "error_handlers",
     .keys = "type: pagerduty, api_url: \"http://127.0.0.1:%d\", routing_key: " KEY32,
     .good = "{\"status\":\"success\"}"},
    {.name = "bugsnag",
     .section = "error_handlers",
     .keys = "type: bugsnag, api_url: \"http://127.0.0.1:%d\", api_key: " KEY32,
     .good = "OK"},
    {.name = "ses",
     .section = "error_handlers",
     .keys = "type: ses, api_url: \"http://127.0.0.1:%d\", from: a@example.com, to: b@example.com, "
             "aws_access_key_id: AKIDc4nary, aws_secret_access_key: " SECRET
             ", aws_session_token: " KEY32},
    {.name = "ses v1",
     .section = "error_handlers",
     .keys = "type: ses, api: v1, api_url: \"http://127.0.0.1:%d\", from: a@example.com, "
             "to: b@example.com, aws_access_key_id: AKIDc4nary, aws_secret_access_key: " SECRET},
    {.name = "cronut",
     .section = "success_handlers",
     .keys = "type: cronut, host: \"http://127.0.0.1:%d\", api_token: " SECRET
             ", cronut_token: " KEY32 ", public_key: \"" RSA_KEY "\"",
     .good = "<html>PONG!</html>"},
    {.name = "healthcheck",
     .section = "success_handlers",
     .keys = "type: healthcheck, url: \"http://127.0.0.1:%d/" SECRET "\"",
     .good = "OK"},
    {.name = "librato",
     .section = "stats_plugins",
     .keys = "type: librato, api_url: \"http://127.0.0.1:%d\", api_email: me@example.com, "
             "interval: 1, api_key: " SECRET},
    {.name = "appoptics",
     .section = "stats_plugins",
     .keys = "type: appoptics, api_url: \"http://127.0.0.1:%d\", interval: 1, api_key: " SECRET},
};
#define PLUGINS ((int)(sizeof plugins / sizeof plugins[0]))

static int log_fd;

/* What is logged goes to a file, and is shown when all is over. */
static void setup(void)
{
    FILE *log = tmpfile();
    ck_assert_ptr_nonnull(log);
    log_fd = dup(STDERR_FILENO);
    ck_assert_int_ge(dup2(fileno(log), STDERR_FILENO), 0);
    (void)fclose(log);
    timeout_s = 10;
    memset(&server, 0, sizeof server);
    script_server_start(&server);
    sink_setup();
}

static void log_is_clean(void)
{
    static char text[1 << 20];
    ssize_t len = pread(STDERR_FILENO, text, sizeof text - 1, 0);
    ck_assert_int_ge(len, 0);
    text[len] = '\0';
    ck_assert_msg(strstr(text, "c4nary") == NULL, "logged: %s", text);
    ck_assert_msg(strstr(text, "0123456789abcdef") == NULL, "logged: %s", text);
}

static void teardown(void)
{
    sink_teardown();
    log_is_clean();
    ck_assert_int_ge(dup2(log_fd, STDERR_FILENO), 0);
    (void)close(log_fd);
}

static void configure_at(const struct plugin *plugin, int port)
{
    char keys[TEXT_MAX_BYTES];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    (void)snprintf(keys, sizeof keys, plugin->keys, port);
#pragma GCC diagnostic pop
    sink_configure(plugin->section, "%s, timeout: %g", keys, timeout_s);
}

/* Until the server was asked so often; and a while longer, in which nothing else may come. */
static void asked_await(int count)
{
    int64_t end_ms = dyn_clock_boot_ms() + RUN_MAX_MS;
    while (atomic_load(&server.requests) < count && dyn_clock_boot_ms() < end_ms) {
        (void)sink_run_for(10);
    }
    (void)sink_run_for(100);
    ck_assert_int_eq(atomic_load(&server.requests), count);
}

static void configure(const struct plugin *plugin)
{
    configure_at(plugin, server.port);
}

/* One thing to tell. */
static void tell(const struct plugin *plugin)
{
    static const struct sink_stat stats[] = {
        {.name = "dynosaur.shop.dynos.users.value", .value = 42, .at_ms = 1525187794564}};
    static char apps[64][16];
    static size_t told;
    ahead_s += 2; /* no pace holds it back */
    if (strcmp(plugin->section, "stats_plugins") == 0) {
        sink_add_stats(stats, 1);
    } else if (strcmp(plugin->section, "success_handlers") == 0) {
        sink_add_ping();
    } else {
        char *app = apps[told++ % 64];
        (void)snprintf(app, sizeof apps[0], "app-%zu", told);
        sink_add_event(sink_event(app, EVENT_RAISED, "api.example.com"));
    }
}

/* A whole answer. The server may still be saying some older ones. */
static const char *answer_make(const char *status, const char *headers, const char *body)
{
    static char kept[ANSWERS_KEPT][ANSWER_MAX_BYTES];
    static size_t made;
    char *text = kept[made++ % ANSWERS_KEPT];
    int len = snprintf(text, ANSWER_MAX_BYTES,
                       "HTTP/1.1 %s\r\nContent-Type: application/json\r\n%s"
                       "Content-Length: %zu\r\n\r\n%s",
                       status, headers, strlen(body), body);
    ck_assert_int_lt(len, ANSWER_MAX_BYTES);
    return text;
}

static void answers(const char *answer)
{
    script_server_say(&server, "", answer);
}

static void answer_well(const struct plugin *plugin)
{
    answers(answer_make("200 OK", "", plugin->good != NULL ? plugin->good : "{}"));
}

static void words_are_clean(const struct plugin *plugin, const char *what, const char *words)
{
    ck_assert_msg(strstr(words, "c4nary") == NULL, "%s, %s: says %s", plugin->name, what, words);
    ck_assert_msg(strstr(words, "0123456789abcdef") == NULL, "%s, %s: says %s", plugin->name, what,
                  words);
    ck_assert_uint_le(strlen(words), 400);
    for (const char *c = words; *c != '\0'; c++) {
        ck_assert_msg((unsigned char)*c >= ' ', "%s, %s: unprintable", plugin->name, what);
    }
}

/* It ends as a dead letter, after so many tries. */
static struct sink_tally ends_dead(const struct plugin *plugin, const char *what, double tries)
{
    configure(plugin);
    tell(plugin);
    struct sink_tally tally = sink_run_ahead(&ahead_s);
    ck_assert_msg(tally.dead == 1 && tally.accepted == 0, "%s, %s: %g dead, %g accepted",
                  plugin->name, what, tally.dead, tally.accepted);
    ck_assert_msg(tally.failed == tries, "%s, %s: %g tries, says %s", plugin->name, what,
                  tally.failed, tally.why);
    words_are_clean(plugin, what, tally.why);
    return tally;
}

START_TEST(a_good_answer_is_taken)
{
    const struct plugin *plugin = &plugins[_i];
    configure(plugin);
    answer_well(plugin);
    tell(plugin);
    struct sink_tally tally = sink_run_ahead(&ahead_s);
    ck_assert_msg(tally.accepted == 1, "%s: %s", plugin->name, tally.why);
    ck_assert_double_eq(tally.failed, 0);
}
END_TEST

static const struct {
    const char *status;
    const char *body;
    const char *words; /* that a person sees */
    double tries;
} statuses[] = {
    {"400 Bad Request", "{\"message\":\"what is that\"}", "what is that", 1},
    {"400 Bad Request", "{\"errors\":{\"params\":{\"name\":[\"x is not valid\"]}}}",
     "name: x is not valid", 1},
    {"400 Bad Request", "{\"message\":\"invalid\",\"errors\":[\"too short\",\"too late\"]}",
     "too short; too late", 1},
    {"401 Unauthorized", "{\"error\":{\"title\":\"no such key\"}}", "no such key", 1},
    {"401 Unauthorized", "", "401", 1},
    {"402 Payment Required", "plan", "402: plan", 1},
    {"403 Forbidden", "<!DOCTYPE html><html><body>Sorry " SECRET "</body></html>", "HTML", 1},
    {"403 Forbidden", "Your key " SECRET " is not \r\n\t allowed\x01 here, nor " KEY32, "", 1},
    {"404 Not Found", "no_service", "no_service", 1},
    {"404 Not Found", "{\"error\":\"" SECRET KEY32 "\"}", "", 1},
    {"410 Gone", "channel_is_archived", "channel_is_archived", 1},
    {"413 Too Large", "{}", "413", 1},
    {"422 Unprocessable", "[]", "422", 1},
    {"301 Moved", "", "redirects are not followed", 1},
    {"500 Internal Server Error", "{\"message\":null}", "500", 5},
    {"502 Bad Gateway", "<html>502</html>", "HTML", 5},
    {"503 Service Unavailable", "{}", "503", 5},
    {"408 Request Timeout", "", "408", 5},
};

/* Of a secret that the sink does not have nothing is known. */
static void status_is_clean(const struct plugin *plugin, size_t i, const char *words)
{
    ck_assert_msg(strstr(words, statuses[i].words) != NULL, "%s, %s: says %s", plugin->name,
                  statuses[i].status, words);
}

START_TEST(a_refusal_is_a_dead_letter_and_a_failure_is_tried_again)
{
    const struct plugin *plugin = &plugins[_i];
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        char body[TEXT_MAX_BYTES];
        bool knows = strstr(plugin->keys, SECRET) != NULL;
        (void)snprintf(body, sizeof body, "%s", statuses[i].body);
        for (char *at = body; (at = strstr(at, knows ? KEY32 : SECRET)) != NULL;) {
            *at = 'x';
            memset(at, 'x', strlen(knows ? KEY32 : SECRET));
        }
        answers(answer_make(statuses[i].status, "", body));
        struct sink_tally tally = ends_dead(plugin, statuses[i].status, statuses[i].tries);
        status_is_clean(plugin, i, tally.why);
    }
}
END_TEST

/* How long a server wants to be left alone, and how long it is. */
static const struct {
    const char *status;
    const char *retry_after;
    int64_t wait_s;
} waits[] = {
    {"503 Service Unavailable", "20", 20},
    {"429 Too Many Requests", "20", 20},
    {"429 Too Many Requests", "31536000", POST_WAIT_MAX_S},
    {"429 Too Many Requests", "Fri, 01 Jan 2100 00:00:00 GMT", POST_WAIT_MAX_S},
};

START_TEST(a_server_that_comes_back_gets_what_it_missed)
{
    const struct plugin *plugin = &plugins[_i];
    for (size_t i = 0; i < sizeof waits / sizeof waits[0]; i++) {
        char header[128];
        configure(plugin);
        (void)snprintf(header, sizeof header, "Retry-After: %s\r\n", waits[i].retry_after);
        answers(answer_make(waits[i].status, header, "{}"));
        int before = atomic_load(&server.requests);
        tell(plugin);
        asked_await(before + 1);
        answer_well(plugin);
        ahead_s += waits[i].wait_s - 2;
        asked_await(before + 1);
        ahead_s += 3;
        struct sink_tally tally = sink_run();
        ck_assert_double_eq(tally.accepted, 1);
        ck_assert_double_eq(tally.failed, 1);
        ck_assert_double_eq(tally.dead, 0);
    }
}
END_TEST

START_TEST(a_server_that_says_too_many_is_asked_ever_less_often)
{
    const struct plugin *plugin = &plugins[_i];
    const int64_t waits_s[] = {30, 60, 120, 240};
    configure(plugin);
    answers(answer_make("429 Too Many Requests", "", "{\"message\":\"slow down\"}"));
    tell(plugin);
    int asked = atomic_load(&server.requests);
    for (size_t i = 0; i < sizeof waits_s / sizeof waits_s[0]; i++) {
        asked_await(++asked);
        ahead_s += waits_s[i] - 2;
        asked_await(asked);
        ahead_s += 3;
    }
    struct sink_tally tally = sink_run_ahead(&ahead_s);
    ck_assert_double_eq(tally.failed, 5);
    ck_assert_msg(strstr(tally.why, "429") != NULL, "says %s", tally.why);
}
END_TEST

/* Ways to misbehave of the server's own; see support_script_server.h. */
static const struct {
    const char *way;
    double tries;
} ways[] = {{"/cut", 5},   {"/cutchunk", 5}, {"/huge", 1},     {"/slow", 5},    {"/never", 5},
            {"/reset", 5}, {"/drop", 5},     {"/redirect", 1}, {"/garbage", 5}, {"/headers", 1}};

START_TEST(a_server_that_misbehaves_holds_up_itself_alone)
{
    const struct plugin *plugin = &plugins[_i];
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        bool silent = strcmp(ways[i].way, "/slow") == 0 || strcmp(ways[i].way, "/never") == 0;
        timeout_s = silent ? 0.3 : 10;
        answers(ways[i].way);
        (void)ends_dead(plugin, ways[i].way, ways[i].tries);
    }
    ck_assert_int_lt(atomic_load(&server.sent), 8LL * 1024 * 1024);
    answer_well(plugin);
    tell(plugin);
    ck_assert_double_eq(sink_run_ahead(&ahead_s).accepted, 1);
}
END_TEST

/* A good status is what counts; of its body only what a sink must know is read. */
START_TEST(a_strange_body_of_a_good_answer_does_no_harm)
{
    static const char *const bodies[] = {"",
                                         "not JSON",
                                         "{",
                                         "null",
                                         "[]",
                                         "\"text\"",
                                         "NaN",
                                         "1e308",
                                         "{\"status\":null}",
                                         "{\"status\":-1}",
                                         "{\"status\":\"1\"}",
                                         "{\"errors\":[]}",
                                         "\x01\xff\xfe",
                                         "<html>"};
    const struct plugin *plugin = &plugins[_i];
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        configure(plugin);
        answers(answer_make("200 OK", "", bodies[i]));
        tell(plugin);
        struct sink_tally tally = sink_run_ahead(&ahead_s);
        ck_assert_msg(tally.accepted == 1 && tally.failed == 0, "%s, %s: %s", plugin->name,
                      bodies[i], tally.why);
    }
    configure(plugin);
    answers("/nobody"); /* 204 */
    tell(plugin);
    ck_assert_double_eq(sink_run_ahead(&ahead_s).accepted, 1);
}
END_TEST

START_TEST(tls_that_cannot_be_trusted_is_no_answer)
{
    const struct plugin *plugin = &plugins[_i];
    char keys[TEXT_MAX_BYTES];
    const char *scheme = strstr(plugin->keys, "http://");
    (void)snprintf(keys, sizeof keys, "%.*shttps://%s", (int)(scheme - plugin->keys), plugin->keys,
                   scheme + strlen("http://"));
    struct plugin secure = *plugin;
    secure.keys = keys;
    for (int speaks = 0; speaks < 2; speaks++) {
        configure_at(&secure, tls_server_start(speaks == 1));
        tell(plugin);
        struct sink_tally tally = sink_run_ahead(&ahead_s);
        ck_assert_double_eq(tally.dead, 1);
        ck_assert_double_eq(tally.accepted, 0);
        words_are_clean(plugin, "TLS", tally.why);
        ck_assert_msg(strstr(tally.why, "SSL") != NULL, "%s says %s", plugin->name, tally.why);
    }
}
END_TEST

START_TEST(nobody_there_is_tried_again)
{
    const struct plugin *plugin = &plugins[_i];
    configure_at(plugin, 1); /* nobody listens there */
    tell(plugin);
    struct sink_tally tally = sink_run_ahead(&ahead_s);
    ck_assert_double_eq(tally.failed, 5);
    ck_assert_double_eq(tally.dead, 1);
    words_are_clean(plugin, "refused", tally.why);
}
END_TEST

START_TEST(long_words_are_cut)
{
    char body[3000];
    memset(body, 'w', sizeof body);
    body[sizeof body - 1] = '\0';
    answers(answer_make("400 Bad Request", "", body));
    struct sink_tally tally = ends_dead(&plugins[_i], "long", 1);
    ck_assert_uint_le(strlen(tally.why), strlen("answered with status 400: ") + 300);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sink_answers");
    TCase *all = tcase_create("all");
    tcase_add_checked_fixture(all, setup, teardown);
    tcase_set_timeout(all, 60);
    tcase_add_loop_test(all, a_good_answer_is_taken, 0, PLUGINS);
    tcase_add_loop_test(all, a_refusal_is_a_dead_letter_and_a_failure_is_tried_again, 0, PLUGINS);
    tcase_add_loop_test(all, a_server_that_comes_back_gets_what_it_missed, 0, PLUGINS);
    tcase_add_loop_test(all, a_server_that_says_too_many_is_asked_ever_less_often, 0, PLUGINS);
    tcase_add_loop_test(all, a_server_that_misbehaves_holds_up_itself_alone, 0, PLUGINS);
    tcase_add_loop_test(all, a_strange_body_of_a_good_answer_does_no_harm, 0, PLUGINS);
    tcase_add_loop_test(all, tls_that_cannot_be_trusted_is_no_answer, 0, PLUGINS);
    tcase_add_loop_test(all, nobody_there_is_tried_again, 0, PLUGINS);
    tcase_add_loop_test(all, long_words_are_cut, 0, PLUGINS);
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
