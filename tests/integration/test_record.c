/*
 * `dynosaur record` and `dynosaur replay` over a real Redis and a real estimator: what was
 * published is what the core gives again, a change of leaders included (I4).
 */
#include "support_program.h"
#include "support_redis.h"

#include "common/bus.h"
#include "common/config.h"
#include "deploy/cli/recording.h"

#include <check.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

static struct support_redis *redis;
static struct support_file *file;
static struct config *config;
static char recording[512];
static uint64_t seq;

static const char *built(const char *name)
{
    static char path[1024];
    snprintf(path, sizeof(path), "%s/%s", getenv("DYN_BUILD"), name);
    return path;
}

static void setup(void)
{
    redis = support_redis_new(NULL);
    file = support_file_new("dynosaur.yaml");
    support_file_write(file, "version: 2\n"
                             "redis: {partitions: 1}\n"
                             "accounts: {main: {heroku_api_key: none}}\n"
                             "apps:\n"
                             "  shop:\n"
                             "    account: main\n"
                             "    controller_plugins:\n"
                             "      - name: dynos\n"
                             "        type: dynos\n"
                             "        max_resource: 50\n"
                             "        input_plugins:\n"
                             "          - {name: wave, type: sine, interval: 1, per_resource: 10, "
                             "hysteresis_period: 2, max_gap: 15}\n");
    struct dyn_error error = {""};
    config = config_load(support_file_path(file), &error);
    ck_assert_msg(config != NULL, "%s", error.text);
    snprintf(recording, sizeof(recording), "%s.rec", support_file_path(file));
    seq = 0;
}

static void teardown(void)
{
    (void)unlink(recording);
    config_free(config);
    support_file_free(file);
    support_redis_free(redis);
}

static struct program *start_estimator(void)
{
    const char *const argv[] = {built("services/dynosaur-estimator"),
                                "--config",
                                support_file_path(file),
                                "--redis",
                                support_redis_url(redis),
                                "--http",
                                "off",
                                NULL};
    struct program *estimator = program_start(argv);
    program_await(estimator, "event=leading");
    return estimator;
}

/* A value each 100 ms that goes up and down. */
static void say_for(int tenths)
{
    for (int i = 0; i < tenths; i++) {
        struct dyn_buf out;
        dyn_buf_init(&out, DYN_ENTRY_MAX);
        struct sample sample = {.series = config->apps[0].controllers[0].inputs[0].series,
                                .status = SAMPLE_GOOD,
                                .value = (double)(seq * 37 % 300)};
        struct batch batch = {.member = DYN_STR("test"), .seq = ++seq, .count = 1};
        message_write_batch(&out, &batch, &sample);
        const char *argv[] = {"XADD", "dyn:{0}:values", "*", "m", dyn_buf_text(&out)};
        size_t lengths[] = {4, 14, 1, 1, out.len};
        support_redis_call_bytes(redis, 5, argv, lengths);
        dyn_buf_fini(&out);
        nanosleep(&(struct timespec){0, 100000000}, NULL);
    }
}

static struct program *start_record(const char *where, const char *value)
{
    const char *const argv[] = {built("deploy/dynosaur"),
                                "record",
                                support_file_path(file),
                                where,
                                value,
                                "--redis",
                                support_redis_url(redis),
                                "-o",
                                recording,
                                NULL};
    return program_start(argv);
}

START_TEST(what_two_leaders_published_is_what_the_core_gives_again)
{
    char schema[16];
    snprintf(schema, sizeof(schema), "%d", MESSAGE_SCHEMA);
    support_redis_load_functions(redis);
    support_redis_call(redis, "HSET", "dyn:setup", "partitions", "1", "functions",
                       bus_functions_version, "schema", schema, NULL);
    struct program *estimator = start_estimator();
    say_for(60);
    program_signal(estimator, SIGTERM);
    ck_assert_int_eq(program_end(estimator), 0);
    program_free(estimator);
    estimator = start_estimator();
    say_for(60);
    program_free(estimator);

    struct program *record = start_record("--app", "shop");
    ck_assert_msg(program_end(record) == 0, "%s", program_output(record));
    program_free(record);
    const char *const argv[] = {built("deploy/dynosaur"), "replay", support_file_path(file),
                                recording, NULL};
    struct program *replay = program_start(argv);
    int status = program_end(replay);
    const char *output = program_output(replay);
    printf("%s", output);
    ck_assert_msg(status == 0, "%s", output);
    ck_assert_int_gt(strtol(strstr(output, "\n  equal ") + 9, NULL, 10), 5);
    program_free(replay);
}
END_TEST

START_TEST(a_recording_has_every_entry_of_both_streams_byte_for_byte)
{
    support_redis_call(redis, "XADD", "dyn:{0}:values", "5-1", "m", "one", NULL);
    support_redis_call(redis, "XADD", "dyn:{0}:values", "5-2", "other", "no entry of ours", NULL);
    support_redis_call(redis, "XADD", "dyn:{0}:values", "7-0", "m", "", NULL);
    support_redis_call(redis, "XADD", "dyn:{0}:targets", "6-0", "m", "target", NULL);
    struct program *record = start_record("--partition", "0");
    ck_assert_msg(program_end(record) == 0, "%s", program_output(record));
    program_free(record);

    struct dyn_error error = {.text = ""};
    struct recording *read = recording_load(recording, &error);
    ck_assert_msg(read != NULL, "%s", error.text);
    ck_assert_uint_eq(read->head.config, config->hash);
    ck_assert_uint_eq(read->head.partition, 0);
    ck_assert(!read->cut);
    ck_assert_uint_eq(read->count, 3);
    uint64_t sum = 0;
    for (size_t i = 0; i < read->count; i++) {
        const struct recording_entry *entry = &read->entries[i];
        if (entry->stream == RECORDING_TARGETS) {
            ck_assert(dyn_str_is(entry->message, "target") && entry->id.ms == 6);
        } else {
            ck_assert(dyn_str_is(entry->message, entry->id.ms == 5 ? "one" : ""));
        }
        sum += entry->id.ms * 10 + entry->id.seq;
    }
    ck_assert_uint_eq(sum, 51 + 70 + 60);
    recording_free(read);
}
END_TEST

START_TEST(a_redis_that_is_away_is_told_and_leaves_no_recording)
{
    support_redis_stop(redis);
    struct program *record = start_record("--partition", "0");
    ck_assert_int_eq(program_end(record), 1);
    ck_assert_int_eq(program_count(record, "Redis: "), 1);
    ck_assert_int_ne(access(recording, F_OK), 0);
    program_free(record);
    record = start_record("--partition", "1");
    ck_assert_int_eq(program_end(record), 2);
    program_free(record);
    record = start_record("--app", "shpo");
    ck_assert_int_eq(program_end(record), 2);
    ck_assert_int_eq(program_count(record, "did you mean shop?"), 1);
    program_free(record);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("record");
    TCase *tcase = tcase_create("record");
    tcase_set_timeout(tcase, 90);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, what_two_leaders_published_is_what_the_core_gives_again);
    tcase_add_test(tcase, a_recording_has_every_entry_of_both_streams_byte_for_byte);
    tcase_add_test(tcase, a_redis_that_is_away_is_told_and_leaves_no_recording);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
