/* A log that several leaders led, folded again: the same targets, bit for bit. */
#include "estimator/refold.h"

#include <check.h>
#include <stdlib.h>

#define SERIES 11
#define CONTROLLER 1001
#define WINDOW_MS 60000
#define STEP_MS 1000
#define ENTRIES_MAX 8192
#define GIVEN_MAX 8192
#define CONFIG 77

static struct config_input input = {.name = "users",
                                    .interval_ms = 5000,
                                    .hysteresis_period_ms = WINDOW_MS,
                                    .max_gap_ms = 15000,
                                    .doubt_zero_ms = WINDOW_MS,
                                    .per_resource = 10,
                                    .series = SERIES};
static struct config_controller controller = {.name = "web",
                                              .id = CONTROLLER,
                                              .min_resource = 1,
                                              .max_resource = 50,
                                              .inputs = &input,
                                              .inputs_count = 1};
static struct config_app app = {
    .name = "shop", .interval_ms = 5000, .controllers = &controller, .controllers_count = 1};
static const struct config config = {.apps = &app, .apps_count = 1, .hash = CONFIG};

/* The log. */
static struct {
    struct entry_id id;
    struct dyn_buf message;
} entries[ENTRIES_MAX];
static size_t entries_count;
static uint64_t batch_seq;

/* What was given: when it was led, and when it is folded again. */
struct given {
    struct entry_id decided;
    uint64_t hash;
    int32_t rung;
    bool raise_only;
};
struct givens {
    struct given given[GIVEN_MAX];
    size_t count;
};
static struct givens led, again;

static struct pack_reader *reader;
static struct fold *leader;
static uint64_t epoch;
static struct entry_id from;
static int64_t ticked_ms;

static void give(void *arg, const struct target *target, bool changed)
{
    struct givens *givens = arg;
    struct dyn_buf bytes;
    (void)changed;
    dyn_buf_init(&bytes, DYN_ENTRY_MAX);
    message_write_target(&bytes, target);
    ck_assert_uint_lt(givens->count, GIVEN_MAX);
    givens->given[givens->count++] =
        (struct given){target->decided, dyn_hash(DYN_HASH_SEED, dyn_buf_str(&bytes)), target->rung,
                       target->raise_only};
    dyn_buf_fini(&bytes);
}

static void give_nothing(void *arg, const struct target *target, bool changed)
{
    (void)arg, (void)target, (void)changed;
}

static struct dyn_buf *append(int64_t now_ms)
{
    ck_assert_uint_lt(entries_count, ENTRIES_MAX);
    entries[entries_count].id = (struct entry_id){(uint64_t)now_ms, entries_count};
    dyn_buf_init(&entries[entries_count].message, DYN_ENTRY_MAX);
    return &entries[entries_count++].message;
}

/* Whoever leads folds what is new; nothing it gives is published before its first tick. */
static void follow(void)
{
    size_t last = entries_count - 1;
    bool live = leader != NULL && fold_epoch(leader) == epoch;
    struct fold_out out = {.target = live ? give : give_nothing, .arg = &led};
    if (leader != NULL) {
        ck_assert_int_eq(
            fold_entry(leader, reader, entries[last].id, dyn_buf_str(&entries[last].message), &out),
            DYN_OK);
    }
}

static void say(int64_t now_ms, int64_t age_ms, double value)
{
    struct sample sample = {SERIES, age_ms, SAMPLE_GOOD, value, DYN_STR("")};
    struct batch batch = {DYN_STR("c1"), ++batch_seq, 0, 1};
    message_write_batch(append(now_ms), &batch, &sample);
    follow();
}

static void tick(int64_t now_ms, uint32_t breaks)
{
    struct tick tick = {.epoch = epoch,
                        .elapsed_ms = ticked_ms != 0 ? now_ms - ticked_ms : 0,
                        .config = CONFIG,
                        .breaks = breaks,
                        .from = from};
    message_write_tick(append(now_ms), &tick);
    ticked_ms = now_ms;
    if (leader != NULL && fold_epoch(leader) != epoch) {
        size_t last = entries_count - 1;
        struct fold_out out = {.target = give, .arg = &led};
        ck_assert_int_eq(
            fold_entry(leader, reader, entries[last].id, dyn_buf_str(&entries[last].message), &out),
            DYN_OK);
        return;
    }
    follow();
}

/* Another leader takes the partition: it reads two windows of the log. */
static void take(int64_t now_ms)
{
    struct fold_out out = {.target = give_nothing};
    fold_free(leader);
    leader = fold_new(&config, 0);
    ck_assert_ptr_nonnull(leader);
    epoch = (uint64_t)now_ms;
    from = (struct entry_id){0, 0};
    ticked_ms = 0;
    for (size_t i = 0; i < entries_count; i++) {
        if ((int64_t)entries[i].id.ms >= now_ms - 2 * WINDOW_MS) {
            from = from.ms == 0 ? entries[i].id : from;
            ck_assert_int_eq(
                fold_entry(leader, reader, entries[i].id, dyn_buf_str(&entries[i].message), &out),
                DYN_OK);
        }
    }
}

static bool entry_at(void *arg, size_t index, struct entry_id *out_id, struct dyn_str *out_message)
{
    size_t first = arg != NULL ? *(size_t *)arg : 0;
    if (index < first || index >= entries_count) {
        return false;
    }
    *out_id = entries[index].id;
    *out_message = dyn_buf_str(&entries[index].message);
    return true;
}

static void fold_again(void)
{
    struct refold refold;
    struct fold_out out = {.target = give, .arg = &again};
    struct refold_log log = {entry_at, NULL};
    ck_assert_int_eq(refold_init(&refold, &config, 0, &log), DYN_OK);
    for (size_t i = 0; i < entries_count; i++) {
        ck_assert_int_eq(refold_entry(&refold, i, &out), DYN_OK);
    }
    ck_assert(refold.whole);
    refold_fini(&refold);
}

static bool same(const struct given *a, const struct given *b)
{
    return entry_id_compare(a->decided, b->decided) == 0 && a->hash == b->hash;
}

/* The first of what was given that does not come when folded again; SIZE_MAX: all do. A batch
 * between two leaders may raise a target that nobody publishes. */
static size_t missing(void)
{
    size_t next = 0;
    for (size_t i = 0; i < led.count; i++, next++) {
        while (next < again.count &&
               entry_id_compare(again.given[next].decided, led.given[i].decided) < 0) {
            next++;
        }
        if (next == again.count || !same(&led.given[i], &again.given[next])) {
            return i;
        }
    }
    return SIZE_MAX;
}

static void agree(void)
{
    fold_again();
    size_t i = missing();
    ck_assert_msg(i == SIZE_MAX, "target %zu of %zu, decided at %llu: %d%s, is another", i,
                  led.count, (unsigned long long)led.given[i].decided.ms, led.given[i].rung,
                  led.given[i].raise_only ? " raise_only" : "");
}

/* Whether one fold of the whole log gives what was given: where it does, a test proves nothing. */
static bool one_fold_agrees(void)
{
    struct fold *fold = fold_new(&config, 0);
    struct fold_out out = {.target = give, .arg = &again};
    for (size_t i = 0; i < entries_count; i++) {
        ck_assert_int_eq(
            fold_entry(fold, reader, entries[i].id, dyn_buf_str(&entries[i].message), &out),
            DYN_OK);
    }
    bool equal = missing() == SIZE_MAX;
    fold_free(fold);
    again.count = 0;
    return equal;
}

static void setup(void)
{
    reader = pack_reader_new();
    leader = NULL;
    entries_count = 0;
    batch_seq = 0;
    led.count = 0;
    again.count = 0;
}

static void teardown(void)
{
    for (size_t i = 0; i < entries_count; i++) {
        dyn_buf_fini(&entries[i].message);
    }
    fold_free(leader);
    pack_reader_free(reader);
}

/* Ticks each second, values each five. */
static int64_t pass(int64_t now_ms, int64_t until_ms, double value)
{
    for (; now_ms < until_ms; now_ms += STEP_MS) {
        if (value >= 0 && now_ms % 5000 == 0) {
            say(now_ms, 40, value);
        }
        tick(now_ms, BREAK_NONE);
    }
    return now_ms;
}

#define BEGIN_MS 1000000

START_TEST(one_leader_is_folded_as_it_is)
{
    take(BEGIN_MS);
    int64_t now_ms = pass(BEGIN_MS, BEGIN_MS + 200000, 55);
    (void)pass(now_ms, now_ms + 100000, 12);
    ck_assert(one_fold_agrees());
    agree();
}
END_TEST

START_TEST(an_input_that_was_silent_is_unknown_to_the_next_leader)
{
    take(BEGIN_MS);
    int64_t now_ms = pass(BEGIN_MS, BEGIN_MS + 100000, 55);
    now_ms = pass(now_ms, now_ms + 3 * (int64_t)WINDOW_MS, -1);
    take(now_ms);
    now_ms = pass(now_ms, now_ms + 20000, -1);
    (void)pass(now_ms, now_ms + 200000, 12);
    ck_assert(!one_fold_agrees());
    agree();
}
END_TEST

START_TEST(zeros_are_doubted_by_each_leader_for_itself)
{
    take(BEGIN_MS);
    int64_t now_ms = pass(BEGIN_MS, BEGIN_MS + 100000, 55);
    now_ms = pass(now_ms, now_ms + 4 * (int64_t)WINDOW_MS + 3000, 0);
    take(now_ms);
    (void)pass(now_ms + STEP_MS, now_ms + 100000, 0);
    ck_assert(!one_fold_agrees());
    agree();
}
END_TEST

/* A stalled Redis did a tick 4.9 s late, which the next tick evens out; who begins to read between
 * the two sees the half of it. */
START_TEST(drift_of_before_is_unknown_to_the_next_leader)
{
    take(BEGIN_MS);
    int64_t now_ms = pass(BEGIN_MS, BEGIN_MS + 100000, 55);
    for (int64_t late_ms = 2600; late_ms <= 5200; late_ms += 2600) {
        int64_t sent_ms = ticked_ms + STEP_MS;
        tick(now_ms + late_ms, BREAK_NONE);
        ticked_ms = sent_ms;
        now_ms = pass(now_ms + 6000, now_ms + 6000 + 2 * (int64_t)WINDOW_MS - 3000, 55);
        take(now_ms);
        now_ms = pass(now_ms, now_ms + 50000, 12);
    }
    agree();
}
END_TEST

START_TEST(a_time_without_a_leader_ends_coverage_alike)
{
    take(BEGIN_MS);
    int64_t now_ms = pass(BEGIN_MS, BEGIN_MS + 100000, 55);
    for (int64_t until_ms = now_ms + 40000; now_ms < until_ms; now_ms += 5000) {
        say(now_ms, 40, 12);
    }
    take(now_ms);
    tick(now_ms, BREAK_NONE);
    ck_assert(led.given[led.count - 1].raise_only);
    (void)pass(now_ms + STEP_MS, now_ms + 100000, 12);
    ck_assert(!led.given[led.count - 1].raise_only);
    agree();
}
END_TEST

START_TEST(what_the_leader_read_and_the_log_has_not_is_said)
{
    static size_t first;
    struct refold refold;
    struct fold_out out = {.target = give, .arg = &again};
    struct refold_log log = {entry_at, &first};
    take(BEGIN_MS);
    int64_t now_ms = pass(BEGIN_MS, BEGIN_MS + 200000, 55);
    take(now_ms);
    size_t taken = entries_count;
    (void)pass(now_ms, now_ms + 10000, 55);
    first = taken - 20; /* the recording began in the middle of what the second leader had read */
    ck_assert_int_eq(refold_init(&refold, &config, 0, &log), DYN_OK);
    ck_assert_int_eq(refold_entry(&refold, first - 1, &out), DYN_NOTFOUND);
    for (size_t i = first; i < entries_count; i++) {
        ck_assert_int_eq(refold_entry(&refold, i, &out), DYN_OK);
    }
    ck_assert(!refold.whole);
    refold_fini(&refold);
}
END_TEST

static uint64_t state = 4711;
static uint64_t next_random(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

/* Random histories: silence, stalls, breaks, late samples, leaders that change at any time. */
START_TEST(random_histories_agree)
{
    state = 88172645463325252U + (uint64_t)_i * 7919;
    int64_t now_ms = BEGIN_MS;
    double value = 40;
    int64_t silent_until = 0;
    take(now_ms);
    while (entries_count < 3000) {
        uint64_t r = next_random();
        now_ms += r % 97 == 0 ? (int64_t)((r >> 8) % 9000) : STEP_MS;
        value = r % 11 == 0 ? (double)((r >> 16) % 500) : r % 53 == 0 ? 0 : value;
        silent_until = r % 211 == 0 ? now_ms + (int64_t)((r >> 24) % 300000) : silent_until;
        if (now_ms >= silent_until && r % 3 == 0) {
            say(now_ms, r % 13 == 0 ? (int64_t)((r >> 32) % 20000) : 40, value);
        }
        if (r % 301 == 0) {
            take(now_ms);
        }
        if (r % 7 != 0) {
            tick(now_ms, r % 401 == 0 ? BREAK_REDIS : BREAK_NONE);
        }
    }
    agree();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("refold");
    TCase *tcase = tcase_create("refold");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, one_leader_is_folded_as_it_is);
    tcase_add_test(tcase, an_input_that_was_silent_is_unknown_to_the_next_leader);
    tcase_add_test(tcase, zeros_are_doubted_by_each_leader_for_itself);
    tcase_add_test(tcase, drift_of_before_is_unknown_to_the_next_leader);
    tcase_add_test(tcase, a_time_without_a_leader_ends_coverage_alike);
    tcase_add_test(tcase, what_the_leader_read_and_the_log_has_not_is_said);
    tcase_add_loop_test(tcase, random_histories_agree, 0, 20);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
