#include "collector/schedule.h"

#include <check.h>

#define SLOTS 40

/* ---- a naive second opinion: it keeps no heap and looks at every input each time ---- */

struct shadow {
    bool added;
    bool reading;
    bool on_grid; /* a turn of the grid has been seen, so that its phase is known */
    int64_t interval_ms;
    int64_t added_ms;
    int64_t started_ms; /* -1: never read */
    int64_t ended_ms;
    int64_t grid_ms; /* some point of the grid */
    int64_t last_due_ms;
};

static struct schedule *schedule;
static struct shadow shadows[SLOTS];
static uint64_t bits;

static uint64_t roll(uint64_t sides)
{
    bits = bits * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (bits >> 33) % sides;
}

static void setup(void)
{
    schedule = schedule_new();
    ck_assert_ptr_nonnull(schedule);
    ck_assert_int_eq(schedule_reserve(schedule, SLOTS), DYN_OK);
    for (size_t i = 0; i < SLOTS; i++) {
        shadows[i] = (struct shadow){.started_ms = -1};
    }
    bits = 1;
}

static void teardown(void)
{
    schedule_free(schedule);
}

static void step(enum schedule_event_kind kind, uint32_t slot, uint64_t series, int64_t interval_ms,
                 int64_t now_ms)
{
    struct schedule_event event = {.kind = kind,
                                   .slot = slot,
                                   .series = series,
                                   .interval_ms = interval_ms,
                                   .first_ms = SCHEDULE_FIRST_MS};
    ck_assert_uint_eq(schedule_step(schedule, &event, now_ms, NULL, 0), 0);
}

static size_t turn(int64_t now_ms, struct schedule_effect *out, size_t max)
{
    struct schedule_event event = {.kind = SCHEDULE_TURN};
    return schedule_step(schedule, &event, now_ms, out, max);
}

static void shadow_poll(struct shadow *shadow, const struct schedule_effect *effect, int64_t now_ms)
{
    int64_t due = now_ms - effect->late_ms;
    int64_t half = shadow->interval_ms / 2;
    ck_assert(shadow->added && !shadow->reading);
    ck_assert_int_ge(effect->late_ms, 0);
    ck_assert_int_le(effect->late_ms, half);
    if (shadow->started_ms >= 0) {
        ck_assert_int_ge(now_ms - shadow->started_ms, shadow->interval_ms - half);
        if (shadow->on_grid) {
            ck_assert_int_eq((due - shadow->grid_ms) % shadow->interval_ms, 0);
            /* Every turn since the last one was read or is counted, but the one too close to a late
               start, of which there is at most one. */
            uint64_t between = (uint64_t)((due - shadow->last_due_ms) / shadow->interval_ms) - 1;
            ck_assert_uint_le(effect->skipped, between);
            ck_assert_uint_le(between, effect->skipped + 1);
        }
        /* On the way to the grid, half an interval apart, there may be a turn off it. */
        shadow->on_grid = due != shadow->started_ms + shadow->interval_ms - half;
        shadow->grid_ms = due;
        if (effect->skipped == 0 && shadow->ended_ms <= shadow->started_ms + shadow->interval_ms) {
            ck_assert_int_le(due - shadow->started_ms, shadow->interval_ms);
        }
    } else {
        int64_t spread =
            shadow->interval_ms < SCHEDULE_FIRST_MS ? shadow->interval_ms : SCHEDULE_FIRST_MS;
        if (effect->skipped == 0) {
            ck_assert_int_lt(due - shadow->added_ms, spread);
        }
    }
    shadow->reading = true;
    shadow->started_ms = now_ms;
    shadow->last_due_ms = due;
}

static void shadow_apply(const struct schedule_effect *effect, int64_t now_ms)
{
    ck_assert_uint_lt(effect->slot, SLOTS);
    struct shadow *shadow = &shadows[effect->slot];
    if (effect->kind == SCHEDULE_POLL) {
        shadow_poll(shadow, effect, now_ms);
        return;
    }
    ck_assert(shadow->added && shadow->reading);
    int64_t deadline = shadow->started_ms + schedule_deadline_ms(shadow->interval_ms);
    ck_assert_int_ge(now_ms, deadline);
    ck_assert_int_eq(effect->late_ms, now_ms - deadline);
    shadow->reading = false;
    shadow->ended_ms = now_ms;
}

/* After a whole turn nothing may be left undone that was due. */
static void shadow_check(const struct shadow *shadow, int64_t now_ms)
{
    if (!shadow->added) {
        return;
    }
    int64_t half = shadow->interval_ms / 2;
    if (shadow->reading) {
        ck_assert_int_lt(now_ms, shadow->started_ms + schedule_deadline_ms(shadow->interval_ms));
        return;
    }
    for (int64_t at = now_ms - half; shadow->on_grid && at <= now_ms; at++) {
        bool grid = (at - shadow->grid_ms) % shadow->interval_ms == 0;
        bool apart = at >= shadow->started_ms + shadow->interval_ms - half;
        /* Not an assertion each: libcheck writes every one down. */
        if (grid && apart) {
            ck_abort_msg("a turn at %lld was left out at %lld", (long long)at, (long long)now_ms);
        }
    }
}

static void whole_turn(int64_t now_ms)
{
    struct schedule_effect effects[3];
    size_t count = 0;
    do {
        count = turn(now_ms, effects, 3);
        for (size_t i = 0; i < count; i++) {
            shadow_apply(&effects[i], now_ms);
        }
    } while (count == 3);
    ck_assert_int_gt(schedule_next_ms(schedule), now_ms);
    for (size_t i = 0; i < SLOTS; i++) {
        shadow_check(&shadows[i], now_ms);
    }
}

static void random_event(int64_t now_ms)
{
    uint32_t slot = (uint32_t)roll(SLOTS);
    struct shadow *shadow = &shadows[slot];
    if (!shadow->added) {
        int64_t interval = (int64_t)(1 + roll(roll(2) == 0 ? 50 : 5000));
        *shadow = (struct shadow){
            .added = true, .interval_ms = interval, .added_ms = now_ms, .started_ms = -1};
        step(SCHEDULE_ADD, slot, roll(UINT64_C(1) << 31) * 7919, interval, now_ms);
    } else if (roll(20) == 0) {
        shadow->added = false;
        step(SCHEDULE_REMOVE, slot, 0, 0, now_ms);
    } else {
        shadow->ended_ms = shadow->reading ? now_ms : shadow->ended_ms;
        shadow->reading = false;
        step(SCHEDULE_DONE, slot, 0, 0, now_ms);
    }
}

START_TEST(random_events_agree_with_the_naive_reading_of_the_rules)
{
    bits = (uint64_t)_i + 1;
    int64_t now_ms = 1000000;
    for (int i = 0; i < 4000; i++) {
        uint64_t kind = roll(100);
        now_ms += kind == 0 ? (int64_t)roll(20000) : (int64_t)roll(40);
        if (kind < 60) {
            random_event(now_ms);
        } else {
            whole_turn(now_ms);
        }
    }
}
END_TEST

/* ---- the rules one by one ---- */

START_TEST(an_input_is_read_each_interval)
{
    struct schedule_effect effect;
    step(SCHEDULE_ADD, 0, 4711, 5000, 0);
    int64_t last = -1;
    for (int i = 0; i < 10; i++) {
        int64_t now = schedule_next_ms(schedule);
        ck_assert_uint_eq(turn(now, &effect, 1), 1);
        ck_assert_int_eq(effect.kind, SCHEDULE_POLL);
        step(SCHEDULE_DONE, 0, 0, 0, now + 20);
        if (i > 1) {
            ck_assert_int_eq(now - last, 5000);
        }
        last = now;
    }
}
END_TEST

START_TEST(no_two_readings_are_further_apart_than_an_interval_from_the_first_on)
{
    struct schedule_effect effect;
    for (uint64_t series = 1; series < 500; series++) {
        step(SCHEDULE_ADD, 0, series * 7919, 5000, 0);
        int64_t last = schedule_next_ms(schedule);
        int64_t now = last;
        for (int i = 0; i < 6; i++) {
            now = schedule_next_ms(schedule) + 1; /* as loops are */
            ck_assert_int_le(now - last, 5001);
            ck_assert_uint_eq(turn(now, &effect, 1), 1);
            step(SCHEDULE_DONE, 0, 0, 0, now + 20);
            last = now;
        }
        ck_assert_int_eq(schedule_next_ms(schedule) - now, 4999); /* on the grid by now */
        step(SCHEDULE_REMOVE, 0, 0, 0, now);
    }
}
END_TEST

START_TEST(what_was_taken_over_is_read_within_the_time_given)
{
    struct schedule_effect effect;
    int64_t first = INT64_MAX;
    int64_t last = 0;
    for (uint64_t series = 1; series < 500; series++) {
        struct schedule_event event = {.kind = SCHEDULE_ADD,
                                       .series = series * 7919,
                                       .interval_ms = 60000,
                                       .first_ms = SCHEDULE_TAKEN_MS};
        (void)schedule_step(schedule, &event, 1000, NULL, 0);
        int64_t now = schedule_next_ms(schedule);
        first = now < first ? now : first;
        last = now > last ? now : last;
        ck_assert_uint_eq(turn(now, &effect, 1), 1);
        step(SCHEDULE_REMOVE, 0, 0, 0, now);
    }
    ck_assert_int_lt(first, 1000 + SCHEDULE_TAKEN_MS / 4); /* not all at the same time */
    ck_assert_int_gt(last, 1000 + SCHEDULE_TAKEN_MS * 3 / 4);
    ck_assert_int_lt(last, 1000 + SCHEDULE_TAKEN_MS);
}
END_TEST

START_TEST(a_hanging_reading_expires_and_the_next_turn_comes_in_time)
{
    struct schedule_effect effects[4];
    step(SCHEDULE_ADD, 0, 99, 10000, 0);
    int64_t started = schedule_next_ms(schedule);
    ck_assert_uint_eq(turn(started, effects, 4), 1);
    ck_assert_uint_eq(turn(started + 9999, effects, 4), 0);
    /* Some milliseconds late, as loops are: the turn that begins now is not lost over it. */
    size_t count = turn(started + 10003, effects, 4);
    ck_assert_uint_ge(count, 1);
    ck_assert_int_eq(effects[0].kind, SCHEDULE_EXPIRE);
    ck_assert_int_eq(effects[0].late_ms, 3);
    ck_assert_int_le(schedule_next_ms(schedule), started + 20003);
    step(SCHEDULE_DONE, 0, 0, 0, started + 10004);
}
END_TEST

START_TEST(turns_missed_while_the_loop_stood_still_are_skipped_and_counted)
{
    struct schedule_effect effect;
    step(SCHEDULE_ADD, 0, 5, 1000, 0);
    ck_assert_uint_eq(turn(schedule_next_ms(schedule), &effect, 1), 1);
    step(SCHEDULE_DONE, 0, 0, 0, 1000);
    int64_t due = schedule_next_ms(schedule);
    ck_assert_uint_eq(turn(due + 5000 + 600, &effect, 1), 0);
    ck_assert_int_eq(schedule_next_ms(schedule), due + 6000);
    ck_assert_uint_eq(turn(due + 6000, &effect, 1), 1);
    ck_assert_uint_eq(effect.skipped, 6);
}
END_TEST

START_TEST(the_deadline_is_the_interval_within_its_bounds)
{
    ck_assert_int_eq(schedule_deadline_ms(10), 1000);
    ck_assert_int_eq(schedule_deadline_ms(1000), 1000);
    ck_assert_int_eq(schedule_deadline_ms(7000), 7000);
    ck_assert_int_eq(schedule_deadline_ms(30000), 30000);
    ck_assert_int_eq(schedule_deadline_ms(3600000), 30000);
}
END_TEST

START_TEST(a_removed_input_is_never_told_of_again)
{
    struct schedule_effect effect;
    step(SCHEDULE_ADD, 3, 5, 1000, 0);
    ck_assert_uint_eq(turn(schedule_next_ms(schedule), &effect, 1), 1);
    step(SCHEDULE_REMOVE, 3, 0, 0, 1000);
    step(SCHEDULE_REMOVE, 3, 0, 0, 1000);
    step(SCHEDULE_DONE, 3, 0, 0, 1000);
    ck_assert_int_eq(schedule_next_ms(schedule), INT64_MAX);
    ck_assert_uint_eq(turn(1000000, &effect, 1), 0);
}
END_TEST

START_TEST(many_inputs_spread_over_their_interval)
{
    enum {
        MANY = 20000,
        INTERVAL = 60000,
        SECONDS = 60
    };
    ck_assert_int_eq(schedule_reserve(schedule, MANY), DYN_OK);
    for (uint32_t i = 0; i < MANY; i++) {
        step(SCHEDULE_ADD, i, i * UINT64_C(11400714819323198485), INTERVAL, 0);
    }
    unsigned seconds[SECONDS] = {0};
    struct schedule_effect effect;
    for (int64_t now = 0; now < 3 * INTERVAL; now = schedule_next_ms(schedule)) {
        while (turn(now, &effect, 1) == 1) {
            step(SCHEDULE_DONE, effect.slot, 0, 0, now);
            if (now >= 2 * INTERVAL) {
                seconds[(now - 2 * INTERVAL) / 1000]++;
            }
        }
    }
    for (size_t i = 0; i < SECONDS; i++) {
        ck_assert_uint_gt(seconds[i], MANY / SECONDS * 3 / 4);
        ck_assert_uint_lt(seconds[i], MANY / SECONDS * 5 / 4);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("schedule");
    TCase *rules = tcase_create("rules");
    tcase_add_checked_fixture(rules, setup, teardown);
    tcase_add_test(rules, an_input_is_read_each_interval);
    tcase_add_test(rules, no_two_readings_are_further_apart_than_an_interval_from_the_first_on);
    tcase_add_test(rules, what_was_taken_over_is_read_within_the_time_given);
    tcase_add_test(rules, a_hanging_reading_expires_and_the_next_turn_comes_in_time);
    tcase_add_test(rules, turns_missed_while_the_loop_stood_still_are_skipped_and_counted);
    tcase_add_test(rules, the_deadline_is_the_interval_within_its_bounds);
    tcase_add_test(rules, a_removed_input_is_never_told_of_again);
    tcase_add_test(rules, many_inputs_spread_over_their_interval);
    tcase_add_loop_test(rules, random_events_agree_with_the_naive_reading_of_the_rules, 0, 20);
    tcase_set_timeout(rules, 60);
    suite_add_tcase(suite, rules);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
