#include "support_program.h"
#include "support_redis.h"

#include "common/bus.h"
#include "common/config.h"
#include "common/message.h"

#include <check.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* The real estimator and a real Redis; the test is the collector, and reads what is published. */

static struct support_redis *redis;
static struct support_file *file;
static struct program *estimator;
static struct pack_reader *reader;
static struct config *config;
static uint64_t series;
static uint64_t seq;

static const char *program_path(void)
{
    static char path[1024];
    snprintf(path, sizeof(path), "%s/services/dynosaur-estimator", getenv("DYN_BUILD"));
    return path;
}

static void start_estimator(void)
{
    const char *const argv[] = {
        program_path(),           "--config", support_file_path(file), "--redis",
        support_redis_url(redis), "--http",   "127.0.0.1:0",           NULL};
    estimator = program_start(argv);
}

static void configure(int hysteresis_period, int per_resource)
{
    support_file_write(file,
                       "version: 2\n"
                       "redis: {partitions: 1, lease: {renew: 0.3, estimator_wait: 1, hold: 1.2, "
                       "actuator_wait: 2, beat: 0.25, gone: 1}}\n"
                       "accounts: {main: {heroku_api_key: \"${KEY:-none}\"}}\n"
                       "apps:\n"
                       "  shop:\n"
                       "    account: main\n"
                       "    scaler: {interval: 1}\n"
                       "    controller_plugins:\n"
                       "      - name: dynos\n"
                       "        type: dynos\n"
                       "        max_resource: 50\n"
                       "        input_plugins:\n"
                       "          - {name: wave, type: sine, interval: 1, per_resource: %d, "
                       "hysteresis_period: %d, max_gap: 15}\n",
                       per_resource, hysteresis_period);
}

static void setup(void)
{
    redis = support_redis_new(&(struct support_redis_options){.append_only = true});
    support_redis_load_functions(redis);
    char schema[16];
    snprintf(schema, sizeof(schema), "%d", MESSAGE_SCHEMA);
    support_redis_call(redis, "HSET", "dyn:setup", "partitions", "1", "functions",
                       bus_functions_version, "schema", schema, NULL);
    file = support_file_new("dynosaur.yaml");
    configure(2, 10);
    struct dyn_error error = {""};
    config = config_load(support_file_path(file), &error);
    ck_assert_msg(config != NULL, "%s", error.text);
    series = config->apps[0].controllers[0].inputs[0].series;
    reader = pack_reader_new();
    seq = 0;
    start_estimator();
    program_await(estimator, "event=leading");
}

static void teardown(void)
{
    program_free(estimator);
    pack_reader_free(reader);
    config_free(config);
    support_file_free(file);
    support_redis_free(redis);
}

static void say(double value)
{
    struct dyn_buf out;
    dyn_buf_init(&out, DYN_ENTRY_MAX);
    struct sample sample = {.series = series, .status = SAMPLE_GOOD, .value = value};
    struct batch batch = {.member = DYN_STR("test"), .seq = ++seq, .count = 1};
    message_write_batch(&out, &batch, &sample);
    const char *argv[] = {"XADD", "dyn:{0}:values", "*", "m", dyn_buf_text(&out)};
    size_t lengths[] = {4, 14, 1, 1, out.len};
    support_redis_call_bytes(redis, 5, argv, lengths);
    dyn_buf_fini(&out);
}

/* What `expression` of Lua gives, with KEYS[1] and ARGV[1]. A message has bytes that text cannot
 * carry: asked for in hex. Lives until the next one. */
static struct dyn_str message_of(const char *expression, const char *key, const char *argument)
{
    static char bytes[DYN_ENTRY_MAX];
    char script[512];
    snprintf(script, sizeof(script),
             "local v = %s; if not v then return '' end; "
             "return (v:gsub('.', function(c) return string.format('%%02x', c:byte()) end))",
             expression);
    const char *hex = support_redis_call(redis, "EVAL_RO", script, "1", key, argument, NULL);
    size_t len = 0;
    unsigned byte = 0;
    while (sscanf(hex + 2 * len, "%2x", &byte) == 1 && len < sizeof(bytes)) {
        bytes[len++] = (char)byte;
    }
    return (struct dyn_str){bytes, len};
}

/* The newest target of the one controller; rung 0: none yet. */
static struct target newest(void)
{
    struct target target = {0};
    char field[32];
    snprintf(field, sizeof(field), "%016llx",
             (unsigned long long)config->apps[0].controllers[0].id);
    struct dyn_str message =
        message_of("redis.call('HGET', KEYS[1], ARGV[1])", "dyn:{0}:newest", field);
    if (message.len == 0) {
        return target;
    }
    ck_assert_int_eq(pack_reader_start(reader, message), DYN_OK);
    ck_assert_int_eq(message_read_kind(reader), MESSAGE_TARGET);
    ck_assert_int_eq(message_read_target(reader, &target), DYN_OK);
    return target;
}

/* The entry at an end of the log, "+" or "-", which must be a tick. */
static struct tick tick_at(const char *end)
{
    struct tick tick;
    struct dyn_str message =
        message_of("redis.call(ARGV[1] == '+' and 'XREVRANGE' or 'XRANGE', KEYS[1], ARGV[1], "
                   "ARGV[1] == '+' and '-' or '+', 'COUNT', 1)[1][2][2]",
                   "dyn:{0}:values", end);
    ck_assert_int_eq(pack_reader_start(reader, message), DYN_OK);
    ck_assert_int_eq(message_read_kind(reader), MESSAGE_TICK);
    ck_assert_int_eq(message_read_tick(reader, &tick), DYN_OK);
    return tick;
}

static void nap(void)
{
    nanosleep(&(struct timespec){0, 20000000}, NULL);
}

/* Poll until the newest target is `rung`, saying `value` every 200 ms; seconds at most. */
static struct target await_rung(int32_t rung, double value, int seconds)
{
    struct target target = {0};
    for (int i = 0; i < seconds * 50; i++) {
        if (i % 10 == 0 && value >= 0) {
            say(value);
        }
        target = newest();
        if (target.rung == rung) {
            return target;
        }
        nap();
    }
    ck_abort_msg("rung %d did not come; the last was %d\n%s", rung, target.rung,
                 program_output(estimator));
    return target;
}

START_TEST(a_rise_is_published_at_once_and_a_fall_after_the_window)
{
    struct target target = await_rung(10, 93, 5);
    ck_assert_int_eq(target.inputs[0].estimate, 10);
    target = await_rung(4, 33, 15);
    ck_assert(!target.raise_only);
    ck_assert_int_eq(program_http(estimator, "/readyz"), 200);
    ck_assert_int_eq(program_http(estimator, "/metrics"), 200);
    ck_assert_ptr_nonnull(strstr(program_body(estimator), "dynosaur_partitions_led 1"));
}
END_TEST

/* The first target of a later epoch than `epoch`. */
static struct target await_epoch_after(uint64_t epoch)
{
    struct target target = newest();
    for (int i = 0; i < 1000 && target.epoch <= epoch; i++) {
        nap();
        target = newest();
    }
    ck_assert_msg(target.epoch > epoch, "no later epoch:\n%s", program_output(estimator));
    return target;
}

START_TEST(a_killed_estimators_successor_remembers_the_window)
{
    configure(600, 10);
    program_signal(estimator, SIGHUP);
    program_await(estimator, "event=leading");
    uint64_t epoch = await_rung(10, 93, 5).epoch;
    say(33);
    program_signal(estimator, SIGKILL);
    ck_assert_int_eq(program_end(estimator), 128 + SIGKILL);
    program_free(estimator);
    start_estimator();
    program_await(estimator, "event=leading");
    struct target target = await_epoch_after(epoch);
    ck_assert_int_eq(target.rung, 10);
    ck_assert_double_eq(target.inputs[0].value, 33);
    ck_assert_double_eq(target.inputs[0].max, 93);
    ck_assert_int_eq(program_count(estimator, "event=redis_history"), 0);
}
END_TEST

START_TEST(a_killed_redis_leads_to_raise_only_until_covered_again)
{
    await_rung(10, 93, 5);
    uint64_t epoch = await_rung(4, 33, 15).epoch;
    support_redis_kill(redis);
    program_await(estimator, "event=redis_away");
    support_redis_start(redis);
    program_await(estimator, "event=leading");
    struct target target = await_epoch_after(epoch);
    ck_assert(target.raise_only);
    for (int i = 0; i < 1000 && target.raise_only; i++) {
        if (i % 10 == 0) {
            say(33);
        }
        nap();
        target = newest();
    }
    ck_assert(!target.raise_only);
    ck_assert_int_eq(target.rung, 4);
}
END_TEST

/* Nobody leads while Redis restarts, and none of those who did lives on: only the lease knows. */
START_TEST(a_redis_restarted_together_with_the_estimator_is_noticed)
{
    await_rung(10, 93, 5);
    struct target target = await_rung(4, 33, 15);
    ck_assert(!target.raise_only);
    program_signal(estimator, SIGKILL);
    ck_assert_int_eq(program_end(estimator), 128 + SIGKILL);
    ck_assert_int_eq(program_count(estimator, "event=redis_history"), 0);
    program_free(estimator);
    support_redis_kill(redis);
    support_redis_start(redis);
    start_estimator();
    program_await(estimator, "event=redis_history");
    ck_assert(await_epoch_after(target.epoch).raise_only);
}
END_TEST

/* The Functions, but for dyn_tick: leases are taken, and no lead gets its first tick out. */
static void load_functions_without_tick(void)
{
    char *source = strdup(bus_functions_source);
    ck_assert_ptr_nonnull(source);
    char *name = strstr(source, "'dyn_tick'");
    ck_assert_ptr_nonnull(name);
    name[strlen("'dyn_t")] = 'o';
    support_redis_call(redis, "FUNCTION", "LOAD", "REPLACE", source, NULL);
    free(source);
}

/* The first lead after the restart fails, and its break must not go with it. */
START_TEST(a_break_is_kept_until_a_tick_has_carried_it)
{
    await_rung(10, 93, 5);
    uint64_t epoch = await_rung(4, 33, 15).epoch;
    load_functions_without_tick();
    program_await(estimator, "event=lead_ended");
    support_redis_kill(redis);
    program_await(estimator, "event=redis_away");
    support_redis_start(redis);
    program_await(estimator, "event=redis_ready");
    program_await(estimator, "event=leading");
    program_await(estimator, "event=leading"); /* under another epoch */
    support_redis_load_functions(redis);
    ck_assert(await_epoch_after(epoch).raise_only);
}
END_TEST

START_TEST(another_leader_fences_this_one_off)
{
    await_rung(10, 93, 5);
    char epoch[64];
    char beat[64];
    /* Another takes the lease between two beats: try until the compare-and-set holds. */
    const char *answer = "FENCED";
    for (int i = 0; i < 50 && strstr(answer, "FENCED") != NULL; i++) {
        snprintf(epoch, sizeof(epoch), "%s",
                 support_redis_call(redis, "HGET", "dyn:{0}:lease", "epoch", NULL));
        snprintf(beat, sizeof(beat), "%s",
                 support_redis_call(redis, "HGET", "dyn:{0}:lease", "beat", NULL));
        epoch[strcspn(epoch, "\n")] = 0;
        beat[strcspn(beat, "\n")] = 0;
        answer = support_redis_call(redis, "FCALL", "dyn_acquire", "1", "dyn:{0}:lease", "other",
                                    epoch, beat, "0", NULL);
    }
    program_await(estimator, "event=lease_lost");
    ck_assert_int_eq(program_http(estimator, "/readyz"), 503);
}
END_TEST

static void give(const struct command *command, size_t times)
{
    struct dyn_buf out;
    dyn_buf_init(&out, DYN_ENTRY_MAX);
    message_write_command(&out, command);
    char count[24];
    snprintf(count, sizeof(count), "%zu", times);
    const char *argv[] = {
        "EVAL", "for i=1,ARGV[1] do redis.call('XADD',KEYS[1],'*','m',ARGV[2]) end",
        "1",    "dyn:commands",
        count,  dyn_buf_text(&out)};
    size_t lengths[] = {4, strlen(argv[1]), 1, 12, strlen(count), out.len};
    support_redis_call_bytes(redis, 6, argv, lengths);
    dyn_buf_fini(&out);
}

static const struct command pin = {
    .verb = COMMAND_PIN, .app = {"shop", 4}, .rung = 17, .until_ms = INT64_MAX, .who = {"test", 4}};

START_TEST(a_pin_reaches_the_target_through_a_tick)
{
    await_rung(10, 93, 5);
    give(&pin, 1);
    struct target target = await_rung(17, -1, 5);
    ck_assert_int_eq(target.reason, TARGET_PINNED);
}
END_TEST

/* The pin stands behind so many commands that the log is re-read long before them. */
START_TEST(a_successor_knows_every_pin_before_its_first_target)
{
    static const struct command other = {
        .verb = COMMAND_PAUSE, .app = {"blog", 4}, .until_ms = INT64_MAX, .who = {"test", 4}};
    uint64_t epoch = await_rung(10, 93, 5).epoch;
    program_signal(estimator, SIGKILL);
    ck_assert_int_eq(program_end(estimator), 128 + SIGKILL);
    program_free(estimator);
    give(&other, 50000);
    give(&pin, 1);
    start_estimator();
    ck_assert_int_eq(await_epoch_after(epoch).reason, TARGET_PINNED);
}
END_TEST

START_TEST(a_reload_begins_a_new_epoch_and_applies_at_once)
{
    uint64_t epoch = await_rung(10, 93, 5).epoch;
    configure(2, 5);
    program_signal(estimator, SIGHUP);
    struct target target = await_rung(19, 93, 10);
    ck_assert_uint_gt(target.epoch, epoch);
}
END_TEST

START_TEST(sigterm_gives_the_lease_up_and_exits_with_0)
{
    await_rung(10, 93, 5);
    program_signal(estimator, SIGTERM);
    ck_assert_int_eq(program_end(estimator), 0);
    ck_assert_ptr_nonnull(
        strstr(support_redis_call(redis, "HGET", "dyn:{0}:lease", "owner", NULL), "(nil)"));
}
END_TEST

START_TEST(a_tick_says_from_where_on_its_leader_had_read)
{
    char first[64];
    struct entry_id from;
    ck_assert_uint_eq(tick_at("+").from.ms, 0); /* the log was empty */
    snprintf(first, sizeof(first), "%s",
             support_redis_call(redis, "XRANGE", "dyn:{0}:values", "-", "+", "COUNT", "1", NULL));
    first[strcspn(first, "\n")] = '\0';
    ck_assert_int_eq(entry_id_parse(dyn_str_from(first), &from), DYN_OK);
    program_signal(estimator, SIGHUP);
    program_await(estimator, "event=leading");
    struct tick tick = tick_at("+");
    while (tick.from.ms == 0) {
        nap();
        tick = tick_at("+");
    }
    ck_assert_int_eq(entry_id_compare(tick.from, from), 0);
}
END_TEST

static long log_length(void)
{
    return strtol(support_redis_call(redis, "XLEN", "dyn:{0}:values", NULL), NULL, 10);
}

/* Beyond the year 9999: nobody folds it, and all that comes is behind it. */
START_TEST(reading_does_not_begin_at_an_entry_that_nobody_folds)
{
    support_redis_call(redis, "XADD", "dyn:{0}:values", "253402300800000-0", "m", "x", NULL);
    long length = log_length();
    while (log_length() == length) {
        nap(); /* the leader's next tick lies behind it */
    }
    uint64_t before = tick_at("+").epoch;
    program_signal(estimator, SIGHUP);
    program_await(estimator, "event=leading");
    struct tick tick = tick_at("+");
    while (tick.epoch == before) {
        nap();
        tick = tick_at("+");
    }
    ck_assert_uint_eq(tick.from.ms, 0);
}
END_TEST

START_TEST(garbage_in_the_log_is_counted_and_passed_over)
{
    support_redis_call(redis, "XADD", "dyn:{0}:values", "*", "m", "garbage", NULL);
    support_redis_call(redis, "XADD", "dyn:{0}:values", "*", "other", "x", NULL);
    await_rung(10, 93, 5);
    for (int i = 0; i < 100; i++) {
        ck_assert_int_eq(program_http(estimator, "/metrics"), 200);
        if (strstr(program_body(estimator), "dynosaur_entries_malformed_total 2") != NULL) {
            return;
        }
        nap();
    }
    ck_abort_msg("%s", program_body(estimator));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("estimator");
    TCase *tests = tcase_create("estimator");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_rise_is_published_at_once_and_a_fall_after_the_window);
    tcase_add_test(tests, a_killed_estimators_successor_remembers_the_window);
    tcase_add_test(tests, a_killed_redis_leads_to_raise_only_until_covered_again);
    tcase_add_test(tests, a_redis_restarted_together_with_the_estimator_is_noticed);
    tcase_add_test(tests, a_break_is_kept_until_a_tick_has_carried_it);
    tcase_add_test(tests, another_leader_fences_this_one_off);
    tcase_add_test(tests, a_pin_reaches_the_target_through_a_tick);
    tcase_add_test(tests, a_successor_knows_every_pin_before_its_first_target);
    tcase_add_test(tests, a_reload_begins_a_new_epoch_and_applies_at_once);
    tcase_add_test(tests, sigterm_gives_the_lease_up_and_exits_with_0);
    tcase_add_test(tests, a_tick_says_from_where_on_its_leader_had_read);
    tcase_add_test(tests, reading_does_not_begin_at_an_entry_that_nobody_folds);
    tcase_add_test(tests, garbage_in_the_log_is_counted_and_passed_over);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
