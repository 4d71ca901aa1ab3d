#include "support_program.h"
#include "support_redis.h"

#include "common/bus.h"
#include "common/clock.h"
#include "common/config.h"
#include "common/message.h"

#include <check.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Several real estimators and a real Redis: who leads what, and what the logs say of it. */

#define NAMES "abc" /* instances, by their letters */
#define ESTIMATORS 3
#define PARTITIONS 8
#define AWAIT_MS 40000
#define TICK_GAP_MS 4000 /* a tick a second, a hand-over, and a machine that is busy */

/* Where nobody may have to wait for a lease to stand still, that would take far longer than what
 * the test allows. */
#define LEASE_PATIENT \
    "{renew: 0.5, estimator_wait: 20, hold: 1.5, actuator_wait: 2, beat: 0.25, gone: 1.5}"
#define LEASE_QUICK \
    "{renew: 0.3, estimator_wait: 1, hold: 1.2, actuator_wait: 2, beat: 0.25, gone: 1}"

static struct support_redis *redis;
static struct support_file *file;
static struct program *programs[ESTIMATORS];
static struct pack_reader *reader;
static int partitions;

static void configure(int count, const char *lease)
{
    char number[16];
    char schema[16];
    partitions = count;
    (void)snprintf(number, sizeof number, "%d", count);
    (void)snprintf(schema, sizeof schema, "%d", MESSAGE_SCHEMA);
    (void)support_redis_call(redis, "HSET", "dyn:setup", "partitions", number, "functions",
                             bus_functions_version, "schema", schema, (char *)NULL);
    support_file_write(file,
                       "version: 2\n"
                       "redis: {partitions: %d, lease: %s}\n"
                       "accounts: {main: {heroku_api_key: \"${KEY:-none}\"}}\n"
                       "defaults: {hysteresis_period: 10}\n"
                       "apps:\n"
                       "  shop:\n"
                       "    account: main\n"
                       "    controller_plugins:\n"
                       "      - name: dynos\n"
                       "        type: dynos\n"
                       "        input_plugins: [{name: wave, type: sine, interval: 1}]\n",
                       count, lease);
}

static void start(int which)
{
    char program[1024];
    const char *build = getenv("DYN_BUILD");
    (void)snprintf(program, sizeof program, "%s/services/dynosaur-estimator",
                   build != NULL ? build : ".");
    const char name[] = {NAMES[which], '\0'};
    const char *const argv[] = {program,
                                "--config",
                                support_file_path(file),
                                "--redis",
                                support_redis_url(redis),
                                "--http",
                                "127.0.0.1:0",
                                "--instance",
                                name,
                                NULL};
    program_free(programs[which]);
    programs[which] = program_start(argv);
}

static void kill_one(int which)
{
    program_signal(programs[which], SIGKILL);
    ck_assert_int_eq(program_end(programs[which]), 128 + SIGKILL);
    program_free(programs[which]);
    programs[which] = NULL;
}

static void setup(void)
{
    redis = support_redis_new(NULL);
    support_redis_load_functions(redis);
    file = support_file_new("dynosaur.yaml");
    reader = pack_reader_new();
    memset(programs, 0, sizeof programs);
}

static void teardown(void)
{
    for (int i = 0; i < ESTIMATORS; i++) {
        program_free(programs[i]);
    }
    pack_reader_free(reader);
    support_file_free(file);
    support_redis_free(redis);
}

static void nap(void)
{
    (void)nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
}

_Noreturn static void give_up(const char *words)
{
    for (int i = 0; i < ESTIMATORS; i++) {
        if (programs[i] != NULL) {
            (void)fprintf(stderr, "---- %c\n%s", NAMES[i], program_output(programs[i]));
        }
    }
    ck_abort_msg("%s", words);
    abort();
}

/* The owners' letters by partition; '-': nobody. */
static const char *owners(void)
{
    static char text[DYN_PARTITIONS_MAX + 1];
    memset(text, 0, sizeof text);
    for (int p = 0; p < partitions; p++) {
        char key[64];
        (void)snprintf(key, sizeof key, "dyn:{%d}:lease", p);
        const char *owner = support_redis_call(redis, "HGET", key, "owner", (char *)NULL);
        text[p] = '-';
        if (strchr(NAMES, owner[0]) != NULL) {
            text[p] = owner[0];
        }
    }
    return text;
}

static int share_of(const char *text, char name)
{
    int count = 0;
    for (; *text != '\0'; text++) {
        count += *text == name;
    }
    return count;
}

/* Wait until the shares are these and everybody who runs is ready; who leads what then. */
static const char *await_shares(int a, int b, int c)
{
    static char text[DYN_PARTITIONS_MAX + 1];
    const int shares[ESTIMATORS] = {a, b, c};
    int64_t until_ms = dyn_clock_boot_ms() + AWAIT_MS;
    while (dyn_clock_boot_ms() < until_ms) {
        bool good = true;
        (void)snprintf(text, sizeof text, "%s", owners());
        for (int i = 0; i < ESTIMATORS; i++) {
            good = good && share_of(text, NAMES[i]) == shares[i];
            good = good && (programs[i] == NULL || program_http(programs[i], "/readyz") == 200);
        }
        if (good) {
            return text;
        }
        nap();
    }
    for (int i = 0; i < ESTIMATORS; i++) {
        if (programs[i] != NULL) {
            (void)program_http(programs[i], "/readyz");
            (void)fprintf(stderr, "%c: %s", NAMES[i], program_body(programs[i]));
        }
    }
    (void)fprintf(stderr, "owners: %s\n", text);
    give_up("the shares did not come");
}

/* ---- what the streams say ---- */

struct history {
    uint64_t epoch;        /* the last one */
    int epochs;            /* how many there were, one after the other */
    int entries;           /* that bear an epoch */
    int64_t longest_ms;    /* the longest time between two of them */
    uint64_t target_epoch; /* of the last target */
};

static uint64_t epoch_in(struct dyn_str bytes, struct history *history)
{
    struct tick tick;
    struct mark mark;
    static struct target target;
    ck_assert_int_eq(pack_reader_start(reader, bytes), DYN_OK);
    uint32_t kind = message_read_kind(reader);
    if (kind == MESSAGE_TARGET) {
        ck_assert_int_eq(message_read_target(reader, &target), DYN_OK);
        history->target_epoch = target.epoch;
        return target.epoch;
    }
    if (kind == MESSAGE_TICK) {
        ck_assert_int_eq(message_read_tick(reader, &tick), DYN_OK);
        return tick.epoch;
    }
    if (kind == MESSAGE_MARK) {
        ck_assert_int_eq(message_read_mark(reader, &mark), DYN_OK);
        return mark.epoch;
    }
    return 0;
}

static void history_add(struct history *history, int64_t *last_ms, int64_t at_ms, uint64_t epoch)
{
    if (epoch == 0) {
        return;
    }
    if (epoch < history->epoch) {
        give_up("an epoch came back after a later one");
    }
    history->epochs += epoch > history->epoch;
    history->epoch = epoch;
    if (history->entries > 0 && at_ms - *last_ms > history->longest_ms) {
        history->longest_ms = at_ms - *last_ms;
    }
    *last_ms = at_ms;
    history->entries++;
}

/* The epochs of a stream never fall. Bytes come as hex, because an answer is text. */
static struct history history_of(int partition, const char *stream, int64_t since_ms)
{
    char key[64];
    char from[24];
    struct history history = {0};
    int64_t last_ms = 0;
    (void)snprintf(key, sizeof key, "dyn:{%d}:%s", partition, stream);
    (void)snprintf(from, sizeof from, "%" PRId64, since_ms);
    const char *line = support_redis_call(
        redis, "EVAL_RO",
        "local out = {} for _, e in ipairs(redis.call('XRANGE', KEYS[1], ARGV[1], '+')) do "
        "out[#out + 1] = e[1] .. ' ' .. (e[2][2]:gsub('.', function(c) "
        "return string.format('%02x', c:byte()) end)) end return out",
        "1", key, from, (char *)NULL);
    while (*line != '\0') {
        char bytes[4096];
        char *end = NULL;
        size_t len = 0;
        unsigned byte = 0;
        int64_t at_ms = strtoll(line, &end, 10);
        end = strchr(end, ' ') + 1;
        while (sscanf(end + 2 * len, "%2x", &byte) == 1 && len < sizeof bytes) {
            bytes[len++] = (char)byte;
            if (end[2 * len] == '\n' || end[2 * len] == '\0') {
                break;
            }
        }
        history_add(&history, &last_ms, at_ms, epoch_in((struct dyn_str){bytes, len}, &history));
        line = end + 2 * len;
        line += *line == '\n';
    }
    return history;
}

static void epochs_never_fall(void)
{
    for (int p = 0; p < partitions; p++) {
        struct history ticks = history_of(p, "values", 0);
        struct history marks = history_of(p, "targets", 0);
        ck_assert_int_gt(ticks.entries, 0);
        ck_assert_int_gt(marks.entries, 0);
    }
}

/* Wait until each partition's newest epoch has told a mark: its leader publishes. */
static void await_marks(void)
{
    int64_t until_ms = dyn_clock_boot_ms() + AWAIT_MS;
    for (int p = 0; p < partitions; p++) {
        while (history_of(p, "targets", 0).epoch != history_of(p, "values", 0).epoch) {
            if (dyn_clock_boot_ms() > until_ms) {
                give_up("a leader publishes nothing");
            }
            nap();
        }
    }
}

/* ---- the tests ---- */

START_TEST(two_and_three_spread_the_partitions_evenly)
{
    configure(PARTITIONS, LEASE_PATIENT);
    start(0);
    ck_assert_str_eq(await_shares(8, 0, 0), "aaaaaaaa");
    start(1);
    (void)await_shares(4, 4, 0);
    start(2);
    int64_t until_ms = dyn_clock_boot_ms() + AWAIT_MS;
    for (bool even = false; !even;) {
        even = true;
        const char *text = owners();
        for (int i = 0; i < ESTIMATORS; i++) {
            int share = share_of(text, NAMES[i]);
            even =
                even && (share == 2 || share == 3) && program_http(programs[i], "/readyz") == 200;
        }
        if (dyn_clock_boot_ms() > until_ms) {
            give_up("three do not share evenly");
        }
    }
    await_marks();
    epochs_never_fall();
}
END_TEST

START_TEST(a_share_is_handed_over_without_a_gap)
{
    configure(PARTITIONS, LEASE_PATIENT);
    start(0);
    (void)await_shares(8, 0, 0);
    start(1);
    (void)await_shares(4, 4, 0);
    await_marks();
    epochs_never_fall();
    for (int p = 0; p < PARTITIONS; p++) {
        struct history ticks = history_of(p, "values", 0);
        ck_assert_int_le(ticks.epochs, 2);
        ck_assert_int_lt(ticks.longest_ms, TICK_GAP_MS);
    }
    ck_assert_int_eq(program_count(programs[0], "event=lease_given_up"), 4);
    ck_assert_int_eq(program_count(programs[0], "event=lease_lost"), 0);
}
END_TEST

/* Those who live on keep what they had, or hand it over among themselves without a gap. */
START_TEST(a_killed_ones_share_alone_is_taken_over)
{
    configure(PARTITIONS, LEASE_QUICK);
    start(0);
    (void)await_shares(8, 0, 0);
    start(1);
    const char *before = await_shares(4, 4, 0);
    char led[PARTITIONS + 1];
    (void)snprintf(led, sizeof led, "%s", before);
    uint64_t epochs[PARTITIONS];
    for (int p = 0; p < PARTITIONS; p++) {
        epochs[p] = history_of(p, "values", 0).epoch;
    }
    kill_one(1);
    (void)await_shares(8, 0, 0);
    await_marks();
    epochs_never_fall();
    for (int p = 0; p < PARTITIONS; p++) {
        uint64_t epoch = history_of(p, "values", 0).epoch;
        if (led[p] == 'a') {
            ck_assert_uint_eq(epoch, epochs[p]);
        } else {
            ck_assert_uint_gt(epoch, epochs[p]);
        }
    }
    ck_assert_int_eq(program_count(programs[0], "event=lease_lost"), 0);
}
END_TEST

START_TEST(a_stopped_leader_that_wakes_is_fenced_and_gets_its_share_again)
{
    configure(PARTITIONS, LEASE_QUICK);
    start(0);
    (void)await_shares(8, 0, 0);
    start(1);
    (void)await_shares(4, 4, 0);
    program_signal(programs[1], SIGSTOP);
    int64_t until_ms = dyn_clock_boot_ms() + AWAIT_MS;
    while (share_of(owners(), 'a') < 8) {
        if (dyn_clock_boot_ms() > until_ms) {
            give_up("nobody took over from the one that was stopped");
        }
        nap();
    }
    await_marks();
    program_signal(programs[1], SIGCONT);
    program_await(programs[1], "event=lease_lost");
    (void)await_shares(4, 4, 0);
    await_marks();
    epochs_never_fall();
}
END_TEST

START_TEST(a_drained_ones_share_is_taken_at_once)
{
    configure(PARTITIONS, LEASE_PATIENT);
    start(0);
    (void)await_shares(8, 0, 0);
    start(1);
    (void)await_shares(4, 4, 0);
    await_marks();
    program_signal(programs[0], SIGTERM);
    ck_assert_int_eq(program_end(programs[0]), 0);
    program_free(programs[0]);
    programs[0] = NULL;
    ck_assert_str_eq(await_shares(0, 8, 0), "bbbbbbbb");
    await_marks();
    epochs_never_fall();
    for (int p = 0; p < PARTITIONS; p++) {
        ck_assert_int_lt(history_of(p, "values", 0).longest_ms, TICK_GAP_MS);
    }
}
END_TEST

/* Both are ready, one leads the only partition: which one. */
static int await_leader_and_standby(void)
{
    int64_t until_ms = dyn_clock_boot_ms() + AWAIT_MS;
    while (dyn_clock_boot_ms() < until_ms) {
        int leader = -1;
        int standbys = 0;
        for (int i = 0; i < 2; i++) {
            bool ready = program_http(programs[i], "/readyz") == 200;
            const char *body = program_body(programs[i]);
            leader = ready && strcmp(body, "ready: leads partitions 0\n") == 0 ? i : leader;
            standbys += ready && strstr(body, "ready: standby") != NULL;
        }
        if (leader >= 0 && standbys == 1) {
            return leader;
        }
        nap();
    }
    give_up("no leader and a standby");
}

START_TEST(a_standby_is_ready_and_says_so)
{
    configure(1, LEASE_PATIENT);
    start(0);
    start(1);
    (void)await_leader_and_standby();
}
END_TEST

/* ---- what is promised at the times that are built in ---- */

static void say(double value)
{
    struct dyn_error error = {""};
    struct config *config = config_load(support_file_path(file), &error);
    ck_assert_msg(config != NULL, "%s", error.text);
    struct dyn_buf out;
    dyn_buf_init(&out, DYN_ENTRY_MAX);
    struct sample sample = {.series = config->apps[0].controllers[0].inputs[0].series,
                            .status = SAMPLE_GOOD,
                            .value = value};
    struct batch batch = {.member = DYN_STR("test"), .seq = 1, .count = 1};
    message_write_batch(&out, &batch, &sample);
    const char *argv[] = {"XADD", "dyn:{0}:values", "*", "m", dyn_buf_text(&out)};
    size_t lengths[] = {4, 14, 1, 1, out.len};
    (void)support_redis_call_bytes(redis, 5, argv, lengths);
    dyn_buf_fini(&out);
    config_free(config);
}

/* Wait for a target of a later epoch: its epoch. */
static uint64_t await_target_after(uint64_t epoch)
{
    int64_t until_ms = dyn_clock_boot_ms() + AWAIT_MS;
    while (dyn_clock_boot_ms() < until_ms) {
        uint64_t found = history_of(0, "targets", 0).target_epoch;
        if (found > epoch) {
            return found;
        }
        nap();
    }
    give_up("no target came");
}

START_TEST(a_killed_leader_is_followed_within_12_s_at_the_times_that_are_built_in)
{
    configure(1, "{}");
    start(0);
    start(1);
    int leader = await_leader_and_standby();
    say(50);
    uint64_t epoch = await_target_after(0);
    int64_t killed_ms = dyn_clock_boot_ms();
    kill_one(leader);
    (void)await_target_after(epoch);
    int64_t took_ms = dyn_clock_boot_ms() - killed_ms;
    printf("estimators: the successor's first target came after %" PRId64 " ms\n", took_ms);
    ck_assert_int_le(took_ms, 12000);
    epochs_never_fall();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("estimators");
    TCase *tests = tcase_create("estimators");
    tcase_set_timeout(tests, 150);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, two_and_three_spread_the_partitions_evenly);
    tcase_add_test(tests, a_share_is_handed_over_without_a_gap);
    tcase_add_test(tests, a_killed_ones_share_alone_is_taken_over);
    tcase_add_test(tests, a_stopped_leader_that_wakes_is_fenced_and_gets_its_share_again);
    tcase_add_test(tests, a_drained_ones_share_is_taken_at_once);
    tcase_add_test(tests, a_standby_is_ready_and_says_so);
    suite_add_tcase(suite, tests);
    TCase *built_in = tcase_create("built_in");
    tcase_set_timeout(built_in, 150);
    tcase_add_checked_fixture(built_in, setup, teardown);
    tcase_add_test(built_in,
                   a_killed_leader_is_followed_within_12_s_at_the_times_that_are_built_in);
    suite_add_tcase(suite, built_in);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
