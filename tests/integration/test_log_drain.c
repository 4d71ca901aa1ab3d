/*
 * Log drains against real collectors and a real Redis, sent by a Logplex that judges the answers.
 *
 * A figure of these tests is over ten seconds, and the same lines lie in each ten seconds from 40 s
 * ago to 30 s ahead: whenever an input is read, it has them all.
 */
#include "support_program.h"
#include "support_redis.h"

#include "common/bus.h"
#include "common/clock.h"
#include "common/config.h"
#include "common/message.h"
#include "tests/fakes/logplex_sender.h"

#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define TOKEN "d.fc6b856b-3332-4546-93de-7d0ee272c3bd"
#define OTHER_TOKEN "d.00000000-3332-4546-93de-7d0ee272c3bd"
#define PASSWORD "pass-w0rd:x"

enum {
    COLLECTORS_MAX = 3,
    BACK_S = 40,
    AHEAD_S = 30
};

static struct support_redis *redis;
static struct support_file *file;
static struct program *collectors[COLLECTORS_MAX];
static int ports[COLLECTORS_MAX];
static struct config *config;
static struct logplex *logplex;
static struct pack_reader *reader;

static void setup(void)
{
    char schema[16];
    redis = support_redis_new(NULL);
    support_redis_load_functions(redis);
    (void)snprintf(schema, sizeof schema, "%d", MESSAGE_SCHEMA);
    support_redis_call(redis, "HSET", "dyn:setup", "partitions", "1", "functions",
                       bus_functions_version, "schema", schema, NULL);
    file = support_file_new("dynosaur.yaml");
    reader = pack_reader_new();
    (void)setenv("TEST_DRAIN_TOKEN", TOKEN, 1);
    (void)setenv("TEST_DRAIN_PASSWORD", PASSWORD, 1);
}

static void teardown(void)
{
    logplex_free(logplex);
    logplex = NULL;
    for (int i = 0; i < COLLECTORS_MAX; i++) {
        program_free(collectors[i]);
        collectors[i] = NULL;
    }
    config_free(config);
    config = NULL;
    pack_reader_free(reader);
    support_file_free(file);
    support_redis_free(redis);
}

#define DRAIN                                                                                 \
    "type: log_drain, token: \"${TEST_DRAIN_TOKEN}\", password: \"${TEST_DRAIN_PASSWORD}\", " \
    "period: 10, delay: 1, interval: 0.5, per_resource: 1"

static void configure(const char *inputs)
{
    struct dyn_error error = {""};
    support_file_write(file,
                       "version: 2\n"
                       "redis: {partitions: 1, lease: {beat: 0.2, gone: 0.9}}\n"
                       "accounts: {main: {heroku_api_key: \"${KEY:-none}\"}}\n"
                       "defaults: {hysteresis_period: 60}\n"
                       "apps:\n"
                       "  shop:\n"
                       "    controller_plugins:\n"
                       "      - name: dynos\n"
                       "        type: dynos\n"
                       "        input_plugins:\n"
                       "%s",
                       inputs);
    config_free(config);
    config = config_load(support_file_path(file), &error);
    ck_assert_msg(config != NULL, "%s", error.text);
}

static void start_at(int which, const char *drain)
{
    static char path[1024];
    (void)snprintf(path, sizeof path, "%s/services/dynosaur-collector", getenv("DYN_BUILD"));
    const char *const argv[] = {path,
                                "--config",
                                support_file_path(file),
                                "--redis",
                                support_redis_url(redis),
                                "--http",
                                "127.0.0.1:0",
                                "--drain",
                                drain,
                                NULL};
    collectors[which] = program_start(argv);
}

static void port_read(int which)
{
    const char *at = strstr(program_output(collectors[which]), "event=drain_listens");
    at = at != NULL ? strstr(at, "port=") : NULL;
    ck_assert_ptr_nonnull(at);
    ports[which] = (int)strtol(at + 5, NULL, 10);
}

static void start(int which)
{
    start_at(which, "127.0.0.1:0");
    program_await(collectors[which], "event=drain_listens");
    program_await(collectors[which], "event=redis_ready");
    port_read(which);
}

static void logplex_make(size_t collectors_count, const char *token, const char *password,
                         bool chunked)
{
    const struct logplex_options options = {.ports = ports,
                                            .ports_count = collectors_count,
                                            .token = token,
                                            .password = password,
                                            .chunked = chunked};
    logplex_free(logplex);
    logplex = logplex_new(&options);
}

static int64_t now_s(void)
{
    return dyn_clock_wall_ms() / 1000;
}

/* ---- what is on the bus ---- */

struct newest { /* of one input */
    size_t good, failed;
    double value; /* of the newest good sample that is not late */
    double least; /* of the newest late one */
    char reason[DYN_REASON_MAX + 1];
};

static uint64_t series_of(const char *name)
{
    const struct config_controller *controller = &config->apps[0].controllers[0];
    for (size_t i = 0; i < controller->inputs_count; i++) {
        if (strcmp(controller->inputs[i].name, name) == 0) {
            return controller->inputs[i].series;
        }
    }
    ck_abort_msg("no input %s", name);
}

static size_t unhex(const char *text, size_t len, char *out)
{
    size_t used = 0;
    for (size_t i = 0; i + 1 < len; i += 2) {
        char digits[3] = {text[i], text[i + 1], '\0'};
        out[used++] = (char)strtol(digits, NULL, 16);
    }
    return used;
}

static void sample_take(struct newest *newest, const struct sample *sample)
{
    if (sample->status != SAMPLE_GOOD) {
        newest->failed++;
        dyn_str_copy(newest->reason, sizeof newest->reason, sample->reason);
    } else if (sample->age_ms > 500) { /* the interval */
        newest->least = sample->value;
    } else {
        newest->good++;
        newest->value = sample->value;
    }
}

/* All samples of an input so far. */
static struct newest log_read(const char *name)
{
    static char bytes[DYN_ENTRY_MAX];
    static struct sample samples[DYN_BATCH_SAMPLES_MAX];
    const char *script =
        "local o = {} for _, e in ipairs(redis.call('XRANGE', KEYS[1], '-', '+')) do "
        "o[#o + 1] = string.gsub(e[2][2], '.', function(c) "
        "return string.format('%02x', string.byte(c)) end) end return o";
    const char *text = support_redis_call(redis, "EVAL", script, "1", "dyn:{0}:values", NULL);
    struct newest newest = {.value = -1, .least = -1};
    uint64_t series = series_of(name);
    while (*text != '\0') {
        size_t len = strcspn(text, "\n");
        struct dyn_str message = {bytes, unhex(text, len, bytes)};
        struct batch batch;
        if (message.len > 0) {
            ck_assert_int_eq(pack_reader_start(reader, message), DYN_OK);
            ck_assert_int_eq(message_read_kind(reader), MESSAGE_BATCH);
            ck_assert_int_eq(message_read_batch(reader, &batch, samples), DYN_OK);
            for (uint32_t i = 0; i < batch.count; i++) {
                if (samples[i].series == series) {
                    sample_take(&newest, &samples[i]);
                }
            }
        }
        text += len + (text[len] == '\n' ? 1 : 0);
    }
    return newest;
}

static void pass(void)
{
    const struct timespec pause = {.tv_nsec = 50 * 1000000};
    (void)nanosleep(&pause, NULL);
}

static void await_value(const char *name, double value)
{
    struct newest newest = {0};
    for (int i = 0; i < 400; i++) {
        newest = log_read(name);
        if (newest.value >= value - 1e-9 && newest.value <= value + 1e-9) {
            return;
        }
        pass();
    }
    ck_abort_msg("%s: %g, not %g; it says: %s\n%s", name, newest.value, value, newest.reason,
                 program_output(collectors[0]));
}

static struct newest await_reason(const char *name, const char *words)
{
    struct newest newest = {0};
    for (int i = 0; i < 400; i++) {
        newest = log_read(name);
        if (strstr(newest.reason, words) != NULL) {
            return newest;
        }
        pass();
    }
    ck_abort_msg("%s: does not say \"%s\", but %s (%g)", name, words, newest.reason, newest.value);
}

static void metric_is(int which, const char *line)
{
    for (int i = 0; i < 400; i++) { /* they are brought up to date once a second */
        ck_assert_int_eq(program_http(collectors[which], "/metrics"), 200);
        if (strstr(program_body(collectors[which]), line) != NULL) {
            return;
        }
        pass();
    }
    ck_abort_msg("no %s in %s", line, program_body(collectors[which]));
}

static uint64_t metric(int which, const char *name)
{
    ck_assert_int_eq(program_http(collectors[which], "/metrics"), 200);
    const char *at = strstr(program_body(collectors[which]), name);
    ck_assert_ptr_nonnull(at);
    return strtoul(at + strlen(name), NULL, 10);
}

/* ---- one collector ---- */

static const char three_inputs[] = "          - {name: rpm, " DRAIN "}\n"
                                   "          - {name: p95, value: service_p95, " DRAIN "}\n"
                                   "          - {name: errors, value: error_rate, " DRAIN "}\n";

/* 100 requests in each ten seconds: service 1 to 100 ms, every twentieth a 503. */
static void hundred_requests(int64_t at_s)
{
    for (unsigned i = 1; i <= 100; i++) {
        logplex_request(logplex, at_s, i % 20 == 0 ? 503 : 200, i % 2, i);
    }
}

static void all_buckets(void (*fill)(int64_t at_s))
{
    int64_t first_s = now_s() - BACK_S;
    first_s -= first_s % 10;
    for (int64_t at_s = first_s; at_s < first_s + BACK_S + AHEAD_S; at_s += 10) {
        fill(at_s);
        ck_assert_int_eq(logplex_send(logplex), 200);
    }
}

START_TEST(a_drain_becomes_requests_a_minute_percentiles_and_errors)
{
    configure(three_inputs);
    start(0);
    logplex_make(1, TOKEN, PASSWORD, _i == 1);
    all_buckets(hundred_requests);
    await_value("rpm", 600);
    await_value("p95", 95); /* a bin of two milliseconds, 94 and 95 */
    await_value("errors", 5);
    ck_assert_str_eq(logplex_violation(logplex), "");
    metric_is(0, "dynosaur_drain_batches_total{end=\"taken\"} 7");
    metric_is(0, "dynosaur_drain_lines_total{kind=\"router\"} 700");
    metric_is(0, "dynosaur_drain_lines_total{kind=\"lost\"} 0");
}
END_TEST

START_TEST(a_silent_drain_is_unknown_and_not_zero)
{
    configure("          - {name: rpm, " DRAIN "}\n"
              "          - {name: idle, empty_is_zero: true, " DRAIN "}\n");
    start(0);
    struct newest newest = await_reason("rpm", "no line for 30 s");
    ck_assert_uint_eq(newest.good, 0);
    await_value("idle", 0);
    logplex_make(1, TOKEN, PASSWORD, false);
    int64_t first_s = now_s() - BACK_S;
    for (int64_t at_s = first_s; at_s < first_s + BACK_S + AHEAD_S; at_s += 5) {
        logplex_add(logplex, at_s, "heroku", "web.1", "source=web.1 sample#load_avg_1m=2.46");
    }
    ck_assert_int_eq(logplex_send(logplex), 200);
    await_value("rpm", 0); /* lines come, and none is the router's */
}
END_TEST

START_TEST(lines_that_logplex_dropped_are_a_gap_and_no_fewer_requests)
{
    configure(three_inputs);
    start(0);
    logplex_make(1, TOKEN, PASSWORD, false);
    all_buckets(hundred_requests);
    await_value("rpm", 600);
    int64_t first_s = now_s() - 30;
    for (int64_t at_s = first_s; at_s <= first_s + 50; at_s += 10) {
        char message[200];
        char since[32];
        dyn_clock_format(at_s, since, sizeof since);
        (void)snprintf(message, sizeof message,
                       "Error L10 (output buffer overflow): 11 messages dropped since now.");
        logplex_add(logplex, at_s, "heroku", "logplex", message);
    }
    ck_assert_int_eq(logplex_send(logplex), 200);
    struct newest newest = await_reason("rpm", "Heroku dropped 11 log lines (L10): at least 600");
    ck_assert_double_eq(newest.value, 600);
    ck_assert_double_eq(newest.least,
                        600); /* late: it counts for the maximum, and covers nothing */
    newest = await_reason("p95", "at least 95");
    ck_assert_double_eq(newest.least, 95);
    size_t good = newest.good;
    size_t failed = newest.failed;
    while (log_read("p95").failed < failed + 3) {
        pass();
    }
    ck_assert_uint_eq(log_read("p95").good, good);
}
END_TEST

START_TEST(who_does_not_know_token_and_password_is_refused)
{
    configure(three_inputs);
    start(0);
    static const char *const tokens[] = {TOKEN, TOKEN, OTHER_TOKEN, ""};
    static const char *const passwords[] = {NULL, "wrong", PASSWORD, PASSWORD};
    for (size_t i = 0; i < 4; i++) {
        logplex_make(1, tokens[i], passwords[i], false);
        hundred_requests(now_s());
        ck_assert_int_eq(logplex_send(logplex), 401);
        ck_assert_uint_eq(logplex_counts(logplex)->tries, 1);
    }
    metric_is(0, "dynosaur_drain_batches_total{end=\"unauthorized\"} 4");
    metric_is(0, "dynosaur_drain_lines_total{kind=\"all\"} 0");
    const char *output = program_output(collectors[0]);
    ck_assert_ptr_null(strstr(output, "fc6b856b"));
    ck_assert_ptr_null(strstr(output, PASSWORD));
    ck_assert_ptr_null(strstr(output, "wrong\""));
    /* Neither stands in Redis, as key or value. */
    logplex_make(1, TOKEN, PASSWORD, false);
    all_buckets(hundred_requests);
    const char *keys = support_redis_call(redis, "KEYS", "*", NULL);
    ck_assert_ptr_nonnull(strstr(keys, "dyn:{col}:drain:"));
    ck_assert_ptr_null(strstr(keys, "fc6b856b"));
}
END_TEST

START_TEST(while_redis_is_away_batches_are_put_off_and_then_told_lost)
{
    configure(three_inputs);
    start(0);
    logplex_make(1, TOKEN, PASSWORD, false);
    support_redis_kill(redis);
    program_await(collectors[0], "event=redis_away");
    hundred_requests(now_s());
    ck_assert_int_eq(logplex_send(logplex), 503);
    ck_assert_uint_eq(logplex_counts(logplex)->tries, 3);
    ck_assert_uint_eq(logplex_counts(logplex)->dropped, 100);
    ck_assert_str_eq(logplex_violation(logplex), "");
}
END_TEST

START_TEST(what_a_full_redis_did_not_take_is_told_lost_by_the_next_batch)
{
    configure(three_inputs);
    start(0);
    logplex_make(1, TOKEN, PASSWORD, false);
    all_buckets(hundred_requests);
    await_value("rpm", 600);
    support_redis_call(redis, "CONFIG", "SET", "maxmemory", "1", NULL);
    hundred_requests(now_s());
    ck_assert_int_eq(logplex_send(logplex), 503);
    ck_assert_uint_eq(logplex_counts(logplex)->dropped, 100);
    support_redis_call(redis, "CONFIG", "SET", "maxmemory", "0", NULL);
    logplex_request(logplex, now_s(), 200, 1, 1);
    ck_assert_int_eq(logplex_send(logplex), 200);
    (void)await_reason("rpm", "Heroku dropped 100 log lines (L10): at least 60");
    metric_is(0, "dynosaur_drain_batches_total{end=\"put_off\"} 3");
    ck_assert_str_eq(logplex_violation(logplex), "");
}
END_TEST

START_TEST(what_is_no_batch_is_refused_and_leaves_a_gap)
{
    configure(three_inputs);
    start(0);
    logplex_make(1, TOKEN, PASSWORD, false);
    all_buckets(hundred_requests);
    await_value("rpm", 600);
    for (int i = 0; i < 1100; i++) { /* of a kilobyte each */
        char line[1024];
        memset(line, 'x', sizeof line - 1);
        line[sizeof line - 1] = '\0';
        logplex_add(logplex, now_s(), "app", "web.1", line);
    }
    ck_assert_int_eq(logplex_send(logplex), 413);
    metric_is(0, "dynosaur_drain_batches_total{end=\"refused\"} 1");
    metric_is(0, "dynosaur_drain_lines_total{kind=\"lost\"} 1100");
    (void)await_reason("rpm", "Heroku dropped 1100 log lines");
}
END_TEST

START_TEST(a_reload_that_brings_a_drain_begins_to_listen)
{
    configure("          - {name: wave, type: sine, interval: 1}\n");
    start_at(0, "127.0.0.1:0");
    program_await(collectors[0], "event=redis_ready");
    ck_assert_ptr_null(strstr(program_output(collectors[0]), "drain_listens"));
    configure(three_inputs);
    program_signal(collectors[0], SIGHUP);
    program_await(collectors[0], "event=drain_listens");
    program_await(collectors[0], "event=config_reloaded");
    port_read(0);
    logplex_make(1, TOKEN, PASSWORD, false);
    all_buckets(hundred_requests);
    await_value("rpm", 600);
    configure("          - {name: wave, type: sine, interval: 1}\n");
    program_signal(collectors[0], SIGHUP);
    program_await(collectors[0], "event=config_reloaded");
    hundred_requests(now_s());
    ck_assert_int_eq(logplex_send(logplex), 401);
}
END_TEST

START_TEST(a_port_that_is_taken_is_told_and_tried_again)
{
    char drain[32];
    configure(three_inputs);
    start(0);
    (void)snprintf(drain, sizeof drain, "127.0.0.1:%d", ports[0]);
    start_at(1, drain);
    program_await(collectors[1], "event=drain_not_listening state=raised");
    program_await(collectors[1], "event=inputs_shared");
    ck_assert_int_eq(program_http(collectors[1], "/readyz"), 503);
    ck_assert_ptr_nonnull(strstr(program_body(collectors[1]), "Address already in use"));
    program_signal(collectors[0], SIGKILL);
    program_await(collectors[1], "event=drain_not_listening state=over");
    ck_assert_int_eq(program_http(collectors[1], "/readyz"), 200);
}
END_TEST

/* ---- three collectors ---- */

static unsigned spread; /* how many of a bucket's requests a batch has */

static void three_wait(void)
{
    for (int i = 0; i < 3; i++) {
        program_await(collectors[i], "event=inputs_shared members=3 ");
    }
}

/* Batches of a few requests each, which go to the three in turn; some answers are lost, so that the
 * batch comes again to another one. Each lives in one of three worlds: fast, slow, and failing. */
static void thousand_requests(int64_t at_s)
{
    for (unsigned i = 0; i < 1000; i++) {
        unsigned world = i / spread % 3;
        logplex_request(logplex, at_s, world == 2 ? 500 : 200, world, world * 1000 + i % 10);
        if (i % spread == spread - 1) {
            logplex_lose_answers(logplex, i % 7 == 0 ? 1 : 0);
            ck_assert_int_eq(logplex_send(logplex), 200);
        }
    }
}

START_TEST(three_collectors_sum_what_each_of_them_got)
{
    configure("          - {name: rpm, " DRAIN "}\n"
              "          - {name: p50, value: service_p50, " DRAIN "}\n"
              "          - {name: p99, value: service_p99, " DRAIN "}\n"
              "          - {name: c95, value: connect_p95, " DRAIN "}\n"
              "          - {name: errors, value: error_rate, " DRAIN "}\n");
    for (int i = 0; i < 3; i++) {
        start(i);
    }
    three_wait();
    logplex_make(3, TOKEN, PASSWORD, false);
    spread = 25;
    int64_t first_s = now_s() - BACK_S;
    first_s -= first_s % 10;
    for (int64_t at_s = first_s; at_s < first_s + BACK_S + AHEAD_S; at_s += 10) {
        thousand_requests(at_s);
    }
    /* 350 fast, 325 slow, 325 failing: by batches of 25 out of 40. */
    await_value("rpm", 6000);
    await_value("p50", 1023); /* 1000 to 1009 lie in the bin of 992 to 1023 */
    await_value("p99", 2047);
    await_value("c95", 2);
    await_value("errors", 32.5);
    const struct logplex_counts *counts = logplex_counts(logplex);
    ck_assert_uint_eq(counts->taken, counts->batches);
    ck_assert_uint_gt(counts->tries, counts->batches);
    ck_assert_str_eq(logplex_violation(logplex), "");
    /* Each got its share, and what came again was known. */
    uint64_t taken[3] = {0};
    while (taken[0] + taken[1] + taken[2] < counts->batches) {
        for (int i = 0; i < 3; i++) {
            taken[i] = metric(i, "dynosaur_drain_batches_total{end=\"taken\"} ");
        }
        pass();
    }
    uint64_t repeated = 0;
    for (int i = 0; i < 3; i++) {
        ck_assert_uint_ge(taken[i], 80);
        repeated += metric(i, "dynosaur_drain_batches_total{end=\"repeated\"} ");
    }
    ck_assert_uint_eq(taken[0] + taken[1] + taken[2], counts->batches);
    ck_assert_uint_eq(repeated, counts->tries - counts->batches);
}
END_TEST

START_TEST(a_collector_that_is_killed_takes_no_line_with_it)
{
    configure("          - {name: rpm, " DRAIN "}\n"
              "          - {name: p95, value: service_p95, " DRAIN "}\n");
    for (int i = 0; i < 3; i++) {
        start(i);
    }
    three_wait();
    logplex_make(3, TOKEN, PASSWORD, false);
    int64_t first_s = now_s() - BACK_S;
    first_s -= first_s % 10;
    for (int batch = 0; batch < 20; batch++) {
        if (batch == 10) {
            program_signal(collectors[1], SIGKILL);
            ck_assert_int_eq(program_end(collectors[1]), 128 + SIGKILL);
        }
        for (int64_t at_s = first_s; at_s < first_s + BACK_S + AHEAD_S; at_s += 10) {
            for (unsigned i = 0; i < 10; i++) {
                logplex_request(logplex, at_s, 200, 1, 10 + i);
            }
        }
        ck_assert_int_eq(logplex_send(logplex), 200);
    }
    await_value("rpm", 1200);
    await_value("p95", 19);
    ck_assert_uint_eq(logplex_counts(logplex)->dropped, 0);
    ck_assert_uint_gt(logplex_counts(logplex)->tries, 20);
}
END_TEST

START_TEST(one_that_drains_puts_off_and_the_others_take)
{
    configure("          - {name: rpm, " DRAIN "}\n");
    for (int i = 0; i < 3; i++) {
        start(i);
    }
    three_wait();
    logplex_make(3, TOKEN, PASSWORD, false);
    program_signal(collectors[2], SIGTERM);
    int64_t first_s = now_s() - BACK_S;
    first_s -= first_s % 10;
    for (int batch = 0; batch < 50; batch++) {
        for (int64_t at_s = first_s; at_s < first_s + BACK_S + AHEAD_S; at_s += 10) {
            logplex_request(logplex, at_s, 200, 1, 10);
        }
        ck_assert_int_eq(logplex_send(logplex), 200);
    }
    ck_assert_int_eq(program_end(collectors[2]), 0);
    await_value("rpm", 300);
    ck_assert_str_eq(logplex_violation(logplex), "");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("log_drain");
    TCase *one = tcase_create("one");
    tcase_add_checked_fixture(one, setup, teardown);
    tcase_set_timeout(one, 90);
    tcase_add_loop_test(one, a_drain_becomes_requests_a_minute_percentiles_and_errors, 0, 2);
    tcase_add_test(one, a_silent_drain_is_unknown_and_not_zero);
    tcase_add_test(one, lines_that_logplex_dropped_are_a_gap_and_no_fewer_requests);
    tcase_add_test(one, who_does_not_know_token_and_password_is_refused);
    tcase_add_test(one, while_redis_is_away_batches_are_put_off_and_then_told_lost);
    tcase_add_test(one, what_a_full_redis_did_not_take_is_told_lost_by_the_next_batch);
    tcase_add_test(one, what_is_no_batch_is_refused_and_leaves_a_gap);
    tcase_add_test(one, a_reload_that_brings_a_drain_begins_to_listen);
    tcase_add_test(one, a_port_that_is_taken_is_told_and_tried_again);
    suite_add_tcase(suite, one);
    TCase *three = tcase_create("three");
    tcase_add_checked_fixture(three, setup, teardown);
    tcase_set_timeout(three, 120);
    tcase_add_test(three, three_collectors_sum_what_each_of_them_got);
    tcase_add_test(three, a_collector_that_is_killed_takes_no_line_with_it);
    tcase_add_test(three, one_that_drains_puts_off_and_the_others_take);
    suite_add_tcase(suite, three);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
