/*
 * Everything that an HTTP API can answer but what is wanted, against every source that asks one.
 * Each reading ends as one sample that is no number, whose words hold no credential; the next good
 * answer counts again.
 */
#include "common/clock.h"
#include "tests/integration/support_input.h"
#include "tests/integration/support_key.h"
#include "tests/integration/support_script_server.h"

#include <check.h>
#include <unistd.h>

#define SECRET "c4nary-0123456789abcdef-c4nary"
#define TEXT_MAX_BYTES 4096

static struct script_server server;
static char *kept[128]; /* answers made */
static size_t kept_count;

/* A source, how it is configured (%d: the server's port), and its good answer; %s is the number,
 * @-180 the time of 180 s ago. */
static const struct plugin {
    const char *name;
    const char *keys;
    const char *body;
    bool quoted;  /* numbers stand in quotes in this API; without them the shape is another */
    bool lenient; /* takes a number with and without quotes */
} plugins[] = {
    {.name = "http_json",
     .keys = "type: http_json, url: \"http://127.0.0.1:%d/data?token=" SECRET "\", "
             "headers: {X-Token: " SECRET "}, pointer: /a/0, per_resource: 1",
     .body = "{\"a\": [%s]}"},
    {.name = "prometheus",
     .keys = "type: prometheus, url: \"http://127.0.0.1:%d/prefix/\", query: \"sum(x)\", "
             "headers: {Authorization: Bearer " SECRET "}, per_resource: 1",
     .body = "{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":["
             "{\"metric\":{},\"value\":[1795460773.676,%s]}]}}",
     .quoted = true},
    {.name = "hirefire",
     .keys = "type: hirefire, url: \"http://127.0.0.1:%d\", token: " SECRET ", metric: worker, "
             "per_resource: 1",
     .body = "[{\"name\":\"mailer\",\"value\":3},{\"name\":\"worker\",\"value\":%s}]"},
    {.name = "new_relic",
     .keys = "type: new_relic, api_url: \"http://127.0.0.1:%d\", key: NRAK-" SECRET ", app_id: 7",
     .body = "{\"metric_data\":{\"metrics\":[{\"name\":\"HttpDispatcher\",\"timeslices\":["
             "{\"from\":\"@-180\",\"to\":\"@-120\",\"values\":{\"call_count\":%s}}]}]}}"},
    {.name = "new_relic (NRQL)",
     .keys = "type: new_relic, api_url: \"http://127.0.0.1:%d\", key: NRAK-" SECRET
             ", account_id: 7, nrql: SELECT 1",
     .body = "{\"data\":{\"actor\":{\"account\":{\"nrql\":{\"results\":[{\"calls\":%s}]}}}}}"},
    {.name = "google_analytics",
     .keys = "type: google_analytics, api_url: \"http://127.0.0.1:%d\", client_email: a@b.c, "
             "token_url: \"http://127.0.0.1:%d/token\", key: \"${GA_KEY}\", property_id: 7",
     .body = "{\"kind\":\"analyticsData#runRealtimeReport\",\"metricHeaders\":[{\"name\":"
             "\"activeUsers\"}],\"rows\":[{\"metricValues\":[{\"value\":%s}]}]}",
     .quoted = true},
    {.name = "google_analytics (view)",
     .keys = "type: google_analytics, api_url: \"http://127.0.0.1:%d\", client_email: a@b.c, "
             "token_url: \"http://127.0.0.1:%d/token\", key: \"${GA_KEY}\", analytics_view_id: 7",
     .body = "{\"kind\":\"analytics#realtimeData\",\"totalResults\":1,\"rows\":[[%s]]}",
     .quoted = true},
    {.name = "papertrail",
     .keys = "type: papertrail, api_url: \"http://127.0.0.1:%d\", papertrail_api_key: " SECRET
             ", per_resource: 1",
     .body = "{\"log_data_transfer_used\":%s,\"log_data_transfer_plan_limit\":10485760}",
     .lenient = true},
    {.name = "rediscloud_memory",
     .keys = "type: rediscloud_memory, api_url: \"http://127.0.0.1:%d\", new_relic_api_key: " SECRET
             ", component_id: 7, per_resource: 1",
     .body = "{\"metric_data\":{\"metrics\":[{\"name\":\"Component/redis/Used memory[megabytes]\","
             "\"timeslices\":[{\"from\":\"@-180\",\"to\":\"@-120\",\"values\":"
             "{\"average_value\":%s}}]}]}}"},
};
#define PLUGINS ((int)(sizeof plugins / sizeof plugins[0]))

static const char token_answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 89\r\n\r\n"
                                   "{\"access_token\":\"" SECRET "\",\"expires_in\":3599,"
                                   "\"token_type\":\"Bearer\"}";

static void setup(void)
{
    memset(&server, 0, sizeof server);
    script_server_start(&server);
    script_server_say(&server, "/token", token_answer);
    input_setup();
}

static void teardown(void)
{
    input_teardown();
}

static void plugin_configure(const struct plugin *plugin)
{
    char keys[TEXT_MAX_BYTES];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    (void)snprintf(keys, sizeof keys, plugin->keys, server.port, server.port);
#pragma GCC diagnostic pop
    input_configure("%s, timeout: 0.5", keys);
    ck_assert_msg(input_disabled() == NULL, "%s: %s", plugin->name, input_disabled());
}

/* A whole answer, kept until the test ends: the server may still be sending it. */
static const char *answer_make(const char *status, const char *headers, const char *body)
{
    char *text = NULL;
    ck_assert_uint_lt(kept_count, sizeof kept / sizeof kept[0]);
    ck_assert_int_gt(asprintf(&text,
                              "HTTP/1.1 %s\r\nContent-Type: application/json\r\n%s"
                              "Content-Length: %zu\r\n\r\n%s",
                              status, headers, strlen(body), body),
                     0);
    kept[kept_count++] = text;
    return text;
}

static const char *body_of(const struct plugin *plugin, const char *number)
{
    static char body[TEXT_MAX_BYTES];
    const char *at = strstr(plugin->body, "%s");
    (void)snprintf(body, sizeof body, "%.*s%s%s", (int)(at - plugin->body), plugin->body, number,
                   at + 2);
    for (char *time = strstr(body, "@-"); time != NULL; time = strstr(body, "@-")) {
        char text[32];
        char *end = NULL;
        int64_t ago_s = strtol(time + 2, &end, 10);
        dyn_clock_format(dyn_clock_wall_ms() - ago_s * 1000, text, sizeof text);
        memmove(time + strlen(text), end, strlen(end) + 1);
        memcpy(time, text, strlen(text));
    }
    return body;
}

static const char *good_answer(const struct plugin *plugin, const char *number)
{
    char token[64];
    (void)snprintf(token, sizeof token, plugin->quoted ? "\"%s\"" : "%s", number);
    return answer_make("200 OK", "", body_of(plugin, token));
}

static void answers(const char *answer)
{
    script_server_say(&server, "", answer);
}

static void sample_is_bad(const struct plugin *plugin, const char *what, struct input_sample sample)
{
    ck_assert_msg(sample.status == SAMPLE_ERROR || sample.status == SAMPLE_TIMEOUT,
                  "%s, %s: status %d, value %g", plugin->name, what, (int)sample.status,
                  sample.value);
    ck_assert_msg(strstr(sample.words, "c4nary") == NULL, "%s, %s: says %s", plugin->name, what,
                  sample.words);
    ck_assert_msg(strstr(sample.words, "0123456789abcdef") == NULL, "%s, %s: says %s", plugin->name,
                  what, sample.words);
    for (const char *c = sample.words; *c != '\0'; c++) {
        ck_assert_msg((unsigned char)*c >= ' ', "%s, %s: unprintable", plugin->name, what);
    }
}

static void plugin_is_well(const struct plugin *plugin)
{
    answers(good_answer(plugin, "41.5"));
    input_is(input_read(), 41.5);
}

START_TEST(a_good_answer_is_taken)
{
    plugin_configure(&plugins[_i]);
    plugin_is_well(&plugins[_i]);
    answers(good_answer(&plugins[_i], "0"));
    input_is(input_read(), 0);
}
END_TEST

static const struct {
    const char *status;
    const char *body;
    const char *words; /* that a person sees; NULL: any */
} statuses[] = {
    {"400 Bad Request", "{\"message\":\"what is that\"}", "what is that"},
    {"401 Unauthorized", "{\"error\":{\"title\":\"no such key\"}}", "no such key"},
    {"401 Unauthorized", "", "401"},
    {"403 Forbidden", "<!DOCTYPE html><html><body>Sorry " SECRET "</body></html>", "HTML"},
    {"403 Forbidden", "Your key " SECRET " is not \r\n\t allowed\x01 here",
     "] is not allowed here"},
    {"403 Forbidden", "{\"error\":{\"status\":\"NO\",\"message\":\"not 0123456789abcdef-c4nary\"}}",
     "NO: not [hidden]"},
    {"404 Not Found", "404 page not found", "404 page not found"},
    {"404 Not Found", "{\"error\":\"" SECRET "\"}", "[hidden]"},
    {"422 Unprocessable", "{\"error\":{\"title\":\"bad\",\"messages\":[\"too short\"]}}",
     "bad: too short"},
    {"500 Internal Server Error", "41.5", "500"},
    {"502 Bad Gateway", "<html>502</html>", "HTML"},
    {"503 Service Unavailable", "{}", "503"},
    {"204 No Content", "", "204"},
    {"201 Created", "{\"a\":[1]}", "201"},
    {"301 Moved", "", "redirects are not followed"},
};

START_TEST(a_status_other_than_200_is_an_error_with_the_servers_words)
{
    const struct plugin *plugin = &plugins[_i];
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        plugin_configure(plugin);
        answers(answer_make(statuses[i].status, "", statuses[i].body));
        struct input_sample sample = input_read();
        sample_is_bad(plugin, statuses[i].status, sample);
        ck_assert_msg(strstr(sample.words, statuses[i].words) != NULL, "%s, %s: says %s",
                      plugin->name, statuses[i].status, sample.words);
    }
    plugin_configure(plugin);
    plugin_is_well(plugin);
}
END_TEST

START_TEST(long_words_are_cut)
{
    char body[3000];
    memset(body, 'w', sizeof body);
    body[sizeof body - 1] = '\0';
    memcpy(body + 100, SECRET, strlen(SECRET));
    plugin_configure(&plugins[_i]);
    answers(answer_make("400 Bad Request", "", body));
    struct input_sample sample = input_read();
    sample_is_bad(&plugins[_i], "long", sample);
    ck_assert_uint_eq(strlen(sample.words), DYN_REASON_MAX);
}
END_TEST

/* Ways to misbehave of the server's own; see support_script_server.h. */
static const char *const ways[] = {"/ok",      "/cut",        "/cutchunk", "/huge",     "/slow",
                                   "/never",   "/reset",      "/drop",     "/redirect", "/garbage",
                                   "/headers", "/longheader", "/nobody"};

START_TEST(a_server_that_misbehaves_is_an_error)
{
    const struct plugin *plugin = &plugins[_i];
    plugin_configure(plugin);
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        answers(ways[i]);
        sample_is_bad(plugin, ways[i], input_read());
    }
    ck_assert_int_lt(atomic_load(&server.sent), 8LL * 1024 * 1024);
    plugin_is_well(plugin);
}
END_TEST

/* Bodies of status 200 that are no answer of any of these APIs. */
static const char *const bodies[] = {
    "",
    "41.5",
    "\"41.5\"",
    "null",
    "true",
    "[]",
    "{}",
    "[[]]",
    "[{}]",
    "[1]",
    "{",
    "{\"a\":",
    "{\"a\": [41",
    "not JSON",
    "\xff\xfe",
    "<html>41.5</html>",
    "NaN",
    "[NaN]",
    "{\"a\":{}}",
    "{\"a\":[]}",
    "{\"data\":null}",
    "{\"status\":\"success\"}",
    "{\"status\":\"success\",\"data\":null}",
    "{\"data\":{\"actor\":null}}",
    "{\"metric_data\":{}}",
    "[{\"name\":null}]",
    "[{\"name\":\"worker\"}]",
    "[{\"value\":1}]",
    "{\"kind\":\"other\"}",
    "{\"a\": [41.5]} {\"a\": [41.5]}",
    "{\"errors\":[{\"message\":\"no\"}]}",
};

START_TEST(a_body_of_another_shape_is_an_error)
{
    const struct plugin *plugin = &plugins[_i];
    plugin_configure(plugin);
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        answers(answer_make("200 OK", "", bodies[i]));
        sample_is_bad(plugin, bodies[i], input_read());
    }
    plugin_is_well(plugin);
}
END_TEST

/* In the right shape, what is no number of people, jobs or bytes. As JSON. */
static const char *const numbers[] = {
    "null",     "true",    "{}",       "[]",      "\"\"", "\"seven\"", "\"NaN\"", "\"+Inf\"",
    "\"-Inf\"", "\"1 2\"", "\"0x10\"", "\"1,5\"", "NaN",  "Infinity",  "1e999",   "-1e999"};
/* The same, written as the API writes numbers. */
static const char *const values[] = {"-1", "-0.001", "1e308", "1.1e15", "-1e308"};

START_TEST(what_is_no_plausible_number_is_an_error)
{
    const struct plugin *plugin = &plugins[_i];
    plugin_configure(plugin);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        answers(answer_make("200 OK", "", body_of(plugin, numbers[i])));
        sample_is_bad(plugin, numbers[i], input_read());
    }
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        answers(good_answer(plugin, values[i]));
        sample_is_bad(plugin, values[i], input_read());
    }
    if (!plugin->lenient) {
        answers(answer_make("200 OK", "", body_of(plugin, plugin->quoted ? "41.5" : "\"41.5\"")));
        sample_is_bad(plugin, "a number in the other spelling", input_read());
    }
    plugin_is_well(plugin);
}
END_TEST

START_TEST(a_server_that_says_too_many_is_left_alone_for_as_long_as_it_says)
{
    const struct plugin *plugin = &plugins[_i];
    plugin_configure(plugin);
    plugin_is_well(plugin);
    answers(answer_make("429 Too Many Requests", "Retry-After: 120\r\n", "{}"));
    sample_is_bad(plugin, "429", input_read());
    int asked = atomic_load(&server.requests);
    answers(good_answer(plugin, "41.5"));
    struct input_sample sample = input_read_at(input_now_ms() + 118000, dyn_clock_wall_ms());
    sample_is_bad(plugin, "waiting", sample);
    ck_assert_msg(strstr(sample.words, "429") != NULL, "says: %s", sample.words);
    ck_assert_int_eq(atomic_load(&server.requests), asked);
    input_is(input_read_at(input_now_ms() + 121000, dyn_clock_wall_ms()), 41.5);
}
END_TEST

START_TEST(a_server_that_says_too_many_and_not_for_how_long_is_asked_ever_less_often)
{
    const struct plugin *plugin = &plugins[_i];
    const int64_t waits_s[] = {30, 60, 120, 240, 480, 900, 900};
    int64_t now_ms = 0;
    plugin_configure(plugin);
    answers(answer_make("429 Too Many Requests", "", "slow down"));
    for (size_t i = 0; i < sizeof waits_s / sizeof waits_s[0]; i++) {
        now_ms = input_now_ms() + 1000000;
        sample_is_bad(plugin, "429", input_read_at(now_ms, dyn_clock_wall_ms()));
        int asked = atomic_load(&server.requests);
        now_ms = input_now_ms() + waits_s[i] * 1000 - 1000;
        sample_is_bad(plugin, "waiting", input_read_at(now_ms, dyn_clock_wall_ms()));
        ck_assert_int_eq(atomic_load(&server.requests), asked);
    }
    answers(good_answer(plugin, "7"));
    input_is(input_read_at(input_now_ms() + 901000, dyn_clock_wall_ms()), 7);
}
END_TEST

START_TEST(one_who_asks_for_a_year_is_asked_again_in_an_hour)
{
    const struct plugin *plugin = &plugins[_i];
    plugin_configure(plugin);
    answers(answer_make("429 Too Many Requests", "Retry-After: 31536000\r\n", "{}"));
    sample_is_bad(plugin, "429", input_read());
    answers(good_answer(plugin, "41.5"));
    input_is(input_read_at(input_now_ms() + 3601000, dyn_clock_wall_ms()), 41.5);
}
END_TEST

START_TEST(nobody_there_and_no_tls_are_errors)
{
    const struct plugin *plugin = &plugins[_i];
    char keys[TEXT_MAX_BYTES];
    plugin_configure(plugin);
    int port = server.port;
    server.port = 1; /* nobody listens there */
    plugin_configure(plugin);
    sample_is_bad(plugin, "refused", input_read());
    server.port = port;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    (void)snprintf(keys, sizeof keys, plugin->keys, port, port);
#pragma GCC diagnostic pop
    for (char *at = strstr(keys, "http://"); at != NULL; at = strstr(at + 1, "http://")) {
        memmove(at + 5, at + 4, strlen(at + 4) + 1);
        at[4] = 's';
    }
    input_configure("%s", keys);
    sample_is_bad(plugin, "no TLS", input_read());
}
END_TEST

START_TEST(a_reading_that_was_given_up_says_nothing_later)
{
    const struct plugin *plugin = &plugins[_i];
    plugin_configure(plugin);
    answers("/never");
    input_give_up();
    answers(good_answer(plugin, "12"));
    input_give_up();
    input_is(input_read(), 12);
}
END_TEST

/* ---- Redis, which speaks no HTTP ---- */

static void redis_configure(const char *keys)
{
    script_server_say(&server, "PING", "+PONG\r\n");
    script_server_say(&server, "AUTH", "+OK\r\n");
    input_configure("type: redis, url: \"redis://canary-user:" SECRET "@127.0.0.1:%d\", key: jobs, "
                    "per_resource: 1, timeout: 0.5, %s",
                    server.port, keys);
    ck_assert_msg(input_disabled() == NULL, "%s", input_disabled());
}

static const struct plugin redis = {.name = "redis"};

#define FENCE "$4\r\nname\r\n$7\r\nworkers\r\n"

/* To LLEN; `words` as a person sees them. */
static const struct reply {
    const char *answer;
    const char *words;
} replies[] = {
    {"-WRONGTYPE Operation against a key holding the wrong kind of value\r\n",
     "LLEN: WRONGTYPE Operation against a key"},
    {"-NOAUTH Authentication required.\r\n", "LLEN: NOAUTH Authentication required."},
    {"-MOVED 3999 10.0.0.7:6381\r\n", "LLEN: MOVED 3999 10.0.0.7:6381"},
    {"-LOADING Redis is loading the dataset in memory\r\n", "LLEN: LOADING Redis is loading"},
    {"-NOPERM User canary-user has no permissions to run the 'llen' command\r\n",
     "LLEN: NOPERM User [hidden] has no permissions"},
    {"-ERR " SECRET " is \x01 wrong\r\n", "LLEN: ERR [hidden] is wrong"},
    {"-FENCED no\r\n", "LLEN: FENCED no"},
    {"-\r\n", "LLEN: "},
    {"$2\r\n41\r\n", "another type"},
    {"$-1\r\n", "another type"},
    {"+41\r\n", "another type"},
    {"*1\r\n:41\r\n", "another type"},
    {":-1\r\n", "-1"},
    {":1000000000000001\r\n", "beyond all belief"},
    {":9223372036854775807\r\n", "beyond all belief"},
    {":x\r\n", ""},
    {":\r\n", ""},
    {"$52428800000000000\r\n", ""},
    {"*2000000000\r\n", "too big"},
    {"*-7\r\n", ""},
    {"*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n", ""},
    {"HTTP/1.1 400 Bad Request\r\n\r\n", "rotocol error"},
    {"{\"a\": 41}", "rotocol error"},
    {"\xff\xfe\r\n", "rotocol error"},
};

/* To XINFO GROUPS. */
static const struct reply lag_replies[] = {
    {":41\r\n", "another type"},
    {"*0\r\n", "no consumer group of that name"},
    {"*1\r\n:41\r\n", "no consumer group of that name"},
    {"*1\r\n*1\r\n$4\r\nname\r\n", "no consumer group of that name"},
    {"*1\r\n*2\r\n" FENCE, "tells no lag"},
    {"*1\r\n*4\r\n" FENCE "$3\r\nlag\r\n$-1\r\n", "does not know the group's lag"},
    {"*1\r\n*4\r\n" FENCE "$3\r\nlag\r\n$2\r\n41\r\n", "a lag that is no number"},
    {"*1\r\n*4\r\n" FENCE "$3\r\nlag\r\n:-41\r\n", "-41"},
};

static void reply_is_bad(const struct reply *reply, const char *keys, const char *good)
{
    redis_configure(keys);
    answers(reply->answer);
    struct input_sample sample = input_read();
    sample_is_bad(&redis, reply->answer, sample);
    ck_assert_msg(strstr(sample.words, reply->words) != NULL, "%s says %s", reply->answer,
                  sample.words);
    answers(good);
    input_is(input_read(), 12);
}

START_TEST(what_redis_answers_but_a_number_is_an_error_with_its_words)
{
    reply_is_bad(&replies[_i], "read: list", ":12\r\n");
}
END_TEST

START_TEST(what_redis_answers_but_a_lag_is_an_error_with_its_words)
{
    reply_is_bad(&lag_replies[_i], "read: lag, group: workers",
                 "*1\r\n*4\r\n" FENCE "$3\r\nlag\r\n:12\r\n");
}
END_TEST

START_TEST(a_redis_that_misbehaves_is_an_error)
{
    static const char *const bad[] = {"/never", "/reset",    "/drop",    "/garbage", "/ok",
                                      "/bulk",  "/slowbulk", "/cutbulk", "/huge",    "/slow"};
    redis_configure("read: number");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        answers(bad[i]);
        sample_is_bad(&redis, bad[i], input_read());
    }
    ck_assert_int_lt(atomic_load(&server.sent), 8LL * 1024 * 1024);
    answers("$4\r\n41.5\r\n");
    input_is(input_read(), 41.5);
}
END_TEST

START_TEST(a_redis_that_refuses_before_it_is_asked_is_an_error)
{
    static const struct {
        const char *ping, *auth, *words;
    } refusals[] = {
        {"+PONG\r\n", "-WRONGPASS invalid username-password pair or user is disabled.\r\n",
         "the server refuses user or password: WRONGPASS"},
        {"-NOAUTH Authentication required.\r\n", "+OK\r\n", "refuses: NOAUTH Authentication"},
        {"+PONG\r\n", "-ERR max number of clients reached\r\n", "max number of clients"},
        {"-LOADING " SECRET "\r\n", "+OK\r\n", "refuses: LOADING [hidden]"},
        {"/drop", "+OK\r\n", "closed"},
        {"+PONG\r\n", "/never", "no answer within 0.5 s"},
        {"/bulk", "+OK\r\n", "too big"},
    };
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        redis_configure("read: list");
        script_server_say(&server, "PING", refusals[i].ping);
        script_server_say(&server, "AUTH", refusals[i].auth);
        answers(":12\r\n");
        struct input_sample sample = input_read();
        sample_is_bad(&redis, refusals[i].words, sample);
        ck_assert_msg(strstr(sample.words, refusals[i].words) != NULL, "says %s, not %s",
                      sample.words, refusals[i].words);
    }
    /* A user who may not PING may still LLEN. */
    redis_configure("read: list");
    script_server_say(&server, "PING", "-NOPERM this user has no permissions to run ping\r\n");
    answers(":12\r\n");
    input_is(input_read(), 12);
}
END_TEST

START_TEST(what_redis_holds_and_is_no_plausible_number_is_an_error)
{
    static const char *const texts[] = {"",      " ",      "seven", "NaN",      "inf",
                                        "0x10",  "1,5",    "1e999", "-1",       "-0.001",
                                        "1e308", "1.1e15", "true",  "\xff\xfe", "1 2"};
    redis_configure("read: number");
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        static char answer[64];
        (void)snprintf(answer, sizeof answer, "$%zu\r\n%s\r\n", strlen(texts[i]), texts[i]);
        answers(answer);
        sample_is_bad(&redis, texts[i], input_read());
    }
    answers("$6\r\n 41.5\n\r\n");
    input_is(input_read(), 41.5);
}
END_TEST

START_TEST(no_redis_there_is_an_error_and_one_that_was_given_up_says_nothing_later)
{
    int port = server.port;
    server.port = 1;
    redis_configure("read: list");
    sample_is_bad(&redis, "refused", input_read());
    server.port = port;
    redis_configure("read: list");
    answers("/never");
    input_give_up();
    answers(":12\r\n");
    input_give_up();
    input_is(input_read(), 12);
}
END_TEST

int main(void)
{
    static struct support_key key;
    support_key_make(&key);
    if (setenv("GA_KEY", key.private_line, 1) != 0) {
        return EXIT_FAILURE;
    }
    Suite *suite = suite_create("bad_answers");
    TCase *all = tcase_create("all");
    tcase_add_checked_fixture(all, setup, teardown);
    tcase_set_timeout(all, 60);
    tcase_add_loop_test(all, a_good_answer_is_taken, 0, PLUGINS);
    tcase_add_loop_test(all, a_status_other_than_200_is_an_error_with_the_servers_words, 0,
                        PLUGINS);
    tcase_add_loop_test(all, long_words_are_cut, 0, PLUGINS);
    tcase_add_loop_test(all, a_server_that_misbehaves_is_an_error, 0, PLUGINS);
    tcase_add_loop_test(all, a_body_of_another_shape_is_an_error, 0, PLUGINS);
    tcase_add_loop_test(all, what_is_no_plausible_number_is_an_error, 0, PLUGINS);
    tcase_add_loop_test(all, a_server_that_says_too_many_is_left_alone_for_as_long_as_it_says, 0,
                        PLUGINS);
    tcase_add_loop_test(
        all, a_server_that_says_too_many_and_not_for_how_long_is_asked_ever_less_often, 0, PLUGINS);
    tcase_add_loop_test(all, one_who_asks_for_a_year_is_asked_again_in_an_hour, 0, PLUGINS);
    tcase_add_loop_test(all, nobody_there_and_no_tls_are_errors, 0, PLUGINS);
    tcase_add_loop_test(all, a_reading_that_was_given_up_says_nothing_later, 0, PLUGINS);
    tcase_add_loop_test(all, what_redis_answers_but_a_number_is_an_error_with_its_words, 0,
                        (int)(sizeof replies / sizeof replies[0]));
    tcase_add_loop_test(all, what_redis_answers_but_a_lag_is_an_error_with_its_words, 0,
                        (int)(sizeof lag_replies / sizeof lag_replies[0]));
    tcase_add_test(all, a_redis_that_misbehaves_is_an_error);
    tcase_add_test(all, a_redis_that_refuses_before_it_is_asked_is_an_error);
    tcase_add_test(all, what_redis_holds_and_is_no_plausible_number_is_an_error);
    tcase_add_test(all, no_redis_there_is_an_error_and_one_that_was_given_up_says_nothing_later);
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
