#include "tests/unit/support_fold.h"

#include <math.h>

START_TEST(no_good_sample_ever_gives_no_target)
{
    say_failure(600, SERIES_USERS);
    for (int64_t t = 600; t < 1200; t++) {
        tick(t);
    }
    ck_assert_uint_eq(shop_got.count, 0);
    ck_assert_uint_eq(keyframes, 0);
}
END_TEST

START_TEST(a_rise_is_given_on_the_batch_that_brings_it)
{
    run(600, 1200, 250);
    size_t before = shop_got.count;
    say(1200, SERIES_RPM, 901);
    ck_assert_uint_eq(shop_got.count, before + 1);
    ck_assert_int_eq(shop_got.last.rung, 10);
    ck_assert_uint_eq(shop_got.last.decided.ms, 1200000);
    say(1201, SERIES_RPM, 950);
    ck_assert_uint_eq(shop_got.count, before + 1);
}
END_TEST

START_TEST(a_fall_waits_for_the_whole_window_and_for_a_tick)
{
    run(600, 1200, 901);
    ck_assert_int_eq(shop_got.last.rung, 10);
    run(1200, 1499, 250);
    ck_assert_int_eq(shop_got.last.rung, 10);
    say(1500, SERIES_USERS, 250);
    say(1500, SERIES_RPM, 250);
    ck_assert_int_eq(shop_got.last.rung, 10);
    tick(1500);
    ck_assert_int_eq(shop_got.last.rung, 3);
    ck_assert(!shop_got.last.raise_only);
    ck_assert_uint_eq(shop_got.last.decided.seq, 1);
}
END_TEST

/* What a vendor counts up each day, here the blog's: 2,592,000 s is the midnight of a day. */
START_TEST(a_daily_counter_falls_with_its_day_and_one_reading_covers)
{
    const int64_t night = 2592000;
    blog_inputs[0].counter = true;
    say(night - 60, SERIES_BLOG, 901);
    tick(night - 59);
    ck_assert_int_eq(blog_got.last.rung, 10);
    ck_assert(!blog_got.last.raise_only);
    say(night + 1, SERIES_BLOG, 905); /* still yesterday's */
    tick(night + 2);
    ck_assert_int_eq(blog_got.last.rung, 10);
    say(night + 61, SERIES_BLOG, 0);
    ck_assert_int_eq(blog_got.last.rung, 10);
    tick(night + 62);
    ck_assert_int_eq(blog_got.last.rung, 2);
    ck_assert(!blog_got.last.raise_only);
    say(night + 121, SERIES_BLOG, 1500);
    ck_assert_int_eq(blog_got.last.rung, 15);
}
END_TEST

/* The figures that the original's users know. */
static const struct {
    enum plan_measure measure;
    double value;
    const char *plan;
} worked[] = {
    {PLAN_SIZE, 95, "rediscloud:250"},
    {PLAN_SIZE, 89, "rediscloud:100"},
    {PLAN_SIZE, 1, "rediscloud:100"},
    {PLAN_CONNECTIONS, 240, "rediscloud:500"},
    {PLAN_CONNECTIONS, 30, "rediscloud:100"},
    {PLAN_CONNECTIONS, 1000, "rediscloud:2500"},
    {PLAN_CONNECTIONS, 10000, "rediscloud:2500"},
};

START_TEST(a_value_asks_for_the_smallest_plan_that_holds_it)
{
    blog_scales_plans(worked[_i].measure);
    say(600, SERIES_BLOG, worked[_i].value);
    tick(601);
    ck_assert_int_eq(blog_got.last.rung, plan_rung(blog_controller.plans, worked[_i].plan));
    ck_assert_int_le(blog_got.last.estimate, blog_got.last.rung);
}
END_TEST

START_TEST(a_value_above_all_plans_asks_for_the_largest_and_is_told_until_it_is_over)
{
    blog_scales_plans(PLAN_SIZE);
    run(600, 660, 50000);
    ck_assert_int_eq(blog_got.last.rung, 10);
    ck_assert_int_eq(blog_got.last.estimate, 11);
    ck_assert_int_eq(blog_got.last.reason, TARGET_AT_MAX);
    ck_assert_str_eq(events, "above_plans users raised\n");
    run(660, 1000, 44999);
    ck_assert_int_eq(blog_got.last.rung, 10);
    ck_assert_int_eq(blog_got.last.estimate, 10);
    ck_assert_int_eq(blog_got.last.reason, TARGET_DEMAND);
    ck_assert_str_eq(events, "above_plans users raised\nabove_plans users over\n");
}
END_TEST

START_TEST(a_young_window_may_only_raise)
{
    run(600, 899, 250);
    ck_assert_int_eq(shop_got.last.rung, 3);
    ck_assert(shop_got.last.raise_only);
    ck_assert_int_eq(shop_got.last.inputs[0].cover, COVER_YOUNG);
    ck_assert_int_eq(shop_got.last.inputs[0].covered_at, 900000);
    run(899, 901, 250);
    ck_assert(!shop_got.last.raise_only);
}
END_TEST

START_TEST(a_rise_does_not_lend_the_right_to_fall)
{
    run(600, 900, 250);
    ck_assert(shop_got.last.raise_only);
    say(900, SERIES_USERS, 901);
    ck_assert_int_eq(shop_got.last.rung, 10);
    ck_assert_int_eq(shop_got.last.inputs[0].cover, COVER_YES);
    ck_assert_int_eq(shop_got.last.inputs[1].cover, COVER_YES);
    ck_assert(shop_got.last.raise_only);
    tick(900);
    ck_assert(!shop_got.last.raise_only);
}
END_TEST

START_TEST(a_late_value_of_an_ignored_input_gives_nothing)
{
    shop_inputs[0].on_outage = CONFIG_IGNORE;
    run(600, 1200, 250);
    for (int64_t t = 1200; t < 1800; t++) {
        if (t % 60 == 0) {
            say(t, SERIES_RPM, 250);
        }
        tick(t);
    }
    size_t before = shop_got.count;
    send_at(1800 * 1000, SERIES_USERS, 100000, SAMPLE_GOOD, 1500);
    ck_assert_uint_eq(shop_got.count, before);
}
END_TEST

START_TEST(one_silent_input_of_two_holds_the_app)
{
    run(600, 1200, 901);
    for (int64_t t = 1200; t < 2400; t++) {
        if (t % 60 == 0) {
            say(t, SERIES_USERS, 100);
            say_failure(t, SERIES_RPM);
        }
        tick(t);
    }
    ck_assert_int_eq(shop_got.last.rung, 10);
    ck_assert(shop_got.last.raise_only);
    ck_assert_int_eq(shop_got.last.inputs[1].health, INPUT_OUTAGE);
    ck_assert(dyn_str_is(shop_got.last.inputs[1].reason, "HTTP 500"));
    ck_assert_str_eq(events, "input_stale rpm raised\ninput_stale users raised\n"
                             "input_outage rpm raised\ninput_outage users raised\n");
}
END_TEST

START_TEST(a_failure_is_never_a_value_and_a_recovery_is_told)
{
    run(600, 1200, 901);
    for (int64_t t = 1200; t < 1800; t++) {
        if (t % 60 == 0) {
            say_failure(t, SERIES_BLOG);
            say(t, SERIES_USERS, 901);
            say(t, SERIES_RPM, 901);
        }
        tick(t);
    }
    ck_assert_int_eq(blog_got.last.rung, 10);
    ck_assert(blog_got.last.raise_only);
    events[0] = 0;
    run(1800, 2101, 100);
    ck_assert_str_eq(events, "input_stale users over\ninput_outage users over\n");
    ck_assert_int_eq(blog_got.last.rung, 2);
    ck_assert_int_eq(blog_got.last.reason, TARGET_AT_MIN);
}
END_TEST

static size_t told(const char *words)
{
    size_t count = 0;
    for (const char *at = events; (at = strstr(at, words)) != NULL; at++) {
        count++;
    }
    return count;
}

START_TEST(an_outage_is_told_again_each_hour)
{
    run(600, 1200, 901);
    for (int64_t t = 1200; t < 1200 + 2 * 3600 + 400; t++) {
        tick(t);
    }
    ck_assert_uint_eq(told("input_outage rpm raised"), 3);
}
END_TEST

START_TEST(a_break_does_not_make_a_counters_drop_true)
{
    const int64_t noon = 2592000 + 43200;
    blog_inputs[0].counter = true;
    for (int64_t t = noon; t < noon + 660; t++) {
        if (t % 60 == 0) {
            say(t, SERIES_BLOG, t < noon + 300 ? 1800 : 300);
        }
        tick_with(t * 1000, (struct tick){.elapsed_ms = t == noon ? 0 : 1000,
                                          .breaks = t == noon + 330 ? BREAK_REDIS : BREAK_NONE});
        ck_assert(t < noon + 300 || t >= noon + 630 || blog_got.last.raise_only);
    }
    ck_assert(!blog_got.last.raise_only);
    ck_assert_int_eq(blog_got.last.rung, 3);
}
END_TEST

START_TEST(an_input_that_cannot_be_asked_is_told_until_it_can)
{
    run(600, 660, 250);
    send_at(660 * 1000, SERIES_BLOG, 0, SAMPLE_DISABLED, 0);
    tick(661);
    send_at(720 * 1000, SERIES_BLOG, 0, SAMPLE_DISABLED, 0);
    tick(721);
    ck_assert_uint_eq(told("input_disabled users raised\n"), 1);
    say_failure(780, SERIES_BLOG); /* asked, and no good answer: another matter */
    tick(781);
    ck_assert_uint_eq(told("input_disabled users over\n"), 1);
    send_at(840 * 1000, SERIES_BLOG, 0, SAMPLE_DISABLED, 0);
    say(841, SERIES_BLOG, 250);
    tick(842);
    ck_assert_uint_eq(told("input_disabled"), 2);
}
END_TEST

START_TEST(what_is_above_all_plans_for_long_is_told_again_each_hour)
{
    blog_scales_plans(PLAN_SIZE);
    run(600, 600 + 2 * 3600, 50000);
    ck_assert_uint_eq(told("above_plans users raised\n"), 2);
    run(600 + 2 * 3600, 601 + 2 * 3600, 50000);
    ck_assert_uint_eq(told("above_plans users raised\n"), 3);
    run(601 + 2 * 3600, 1200 + 2 * 3600, 40000);
    ck_assert_uint_eq(told("above_plans users over\n"), 1);
}
END_TEST

START_TEST(what_runs_and_is_not_known_for_long_is_told_again_each_hour)
{
    blog_inputs[0].conversion = CONFIG_TARGET;
    blog_inputs[0].target = 100;
    blog_controller.needs_running = true;
    blog_controller.running_series = 44;
    fold_again();
    run(600, 600 + 2 * 3600, 250);
    ck_assert_uint_eq(told("running_unknown  raised\n"), 2);
    say(600 + 2 * 3600, 44, 4);
    run(600 + 2 * 3600, 660 + 2 * 3600, 250);
    ck_assert_uint_eq(told("running_unknown  over\n"), 1);
}
END_TEST

START_TEST(ignore_leaves_an_input_out_once_it_is_in_outage)
{
    shop_inputs[1].on_outage = CONFIG_IGNORE;
    run(600, 1200, 901);
    for (int64_t t = 1200; t < 1800; t++) {
        if (t % 60 == 0) {
            say(t, SERIES_USERS, 250);
        }
        tick(t);
        if (t < 1140 + 300) {
            ck_assert_int_eq(shop_got.last.rung, 10);
        }
    }
    ck_assert_int_eq(shop_got.last.rung, 3);
    ck_assert(!shop_got.last.raise_only);
    ck_assert_int_eq(shop_got.last.inputs[1].cover, COVER_IGNORED);
}
END_TEST

START_TEST(with_every_input_ignored_nothing_falls)
{
    blog_inputs[0].on_outage = CONFIG_IGNORE;
    run(600, 1200, 901);
    for (int64_t t = 1200; t < 2400; t++) {
        tick(t);
    }
    ck_assert_int_eq(blog_got.last.rung, 10);
    ck_assert(blog_got.last.raise_only);
}
END_TEST

START_TEST(a_fallback_raises_and_never_lowers)
{
    blog_inputs[0].on_outage = CONFIG_FALLBACK;
    blog_inputs[0].fallback = 6;
    run(600, 1200, 250);
    ck_assert_int_eq(blog_got.last.rung, 3);
    for (int64_t t = 1200; t < 1800; t++) {
        tick(t);
    }
    ck_assert_int_eq(blog_got.last.rung, 6);
    ck_assert(blog_got.last.raise_only);
    ck_assert_int_eq(blog_got.last.inputs[0].cover, COVER_FALLBACK);
}
END_TEST

START_TEST(zeros_after_demand_do_not_lower_before_they_are_believed)
{
    run(600, 1200, 901);
    run(1200, 1799, 0);
    ck_assert(blog_got.last.raise_only);
    run(1799, 1801, 0);
    ck_assert_int_eq(blog_got.last.rung, 2);
    ck_assert(!blog_got.last.raise_only);
}
END_TEST

START_TEST(a_jump_of_the_clock_ends_coverage)
{
    run(600, 1200, 901);
    ck_assert(!shop_got.last.raise_only);
    tick_with(1200 * 1000 + 3600 * 1000, (struct tick){.elapsed_ms = 1000});
    ck_assert(shop_got.last.raise_only);
    ck_assert_int_eq(shop_got.last.rung, 10);
    ck_assert_ptr_nonnull(strstr(events, "log_break  once\n"));
}
END_TEST

START_TEST(a_clock_that_stands_still_ends_coverage)
{
    run(600, 1200, 901);
    for (int i = 1; i <= 6; i++) {
        tick_with(1199 * 1000, (struct tick){.elapsed_ms = 1000});
    }
    ck_assert(shop_got.last.raise_only);
}
END_TEST

START_TEST(a_break_in_a_tick_ends_coverage)
{
    run(600, 1200, 901);
    tick_with(1200 * 1000, (struct tick){.elapsed_ms = 1000, .breaks = BREAK_REDIS});
    ck_assert(shop_got.last.raise_only);
}
END_TEST

START_TEST(a_pin_holds_until_its_time_and_the_window_follows)
{
    run(600, 1200, 901);
    struct tick pinned = {.elapsed_ms = 1000, .pins_count = 1};
    pinned.pins[0] = (struct pin){SHOP, 4, 1300 * 1000};
    tick_with(1200 * 1000, pinned);
    ck_assert_int_eq(shop_got.last.rung, 4);
    ck_assert_int_eq(shop_got.last.reason, TARGET_PINNED);
    say(1201, SERIES_USERS, 1500);
    ck_assert_int_eq(shop_got.last.rung, 4);
    ticked_at = 1299 * 1000;
    tick_with(1300 * 1000, pinned);
    ck_assert_int_eq(shop_got.last.rung, 15);
}
END_TEST

START_TEST(no_demand_and_no_minimum_ask_for_one)
{
    blog_controller.min_resource = 0;
    run(600, 1200, 0);
    ck_assert_int_eq(blog_got.last.rung, 1);
    ck_assert_int_eq(blog_got.last.reason, TARGET_AT_MIN);
}
END_TEST

START_TEST(a_pin_that_is_over_is_not_restated_where_no_value_ever_came)
{
    struct tick pinned = {.elapsed_ms = 1000, .pins_count = 1};
    pinned.pins[0] = (struct pin){SHOP, 4, 601 * 1000};
    tick_with(600 * 1000, pinned);
    ck_assert_int_eq(shop_got.last.reason, TARGET_PINNED);
    ck_assert(!shop_got.last.raise_only);
    for (int64_t t = 601; t < 700; t++) {
        tick(t);
    }
    ck_assert_int_ne(shop_got.last.reason, TARGET_PINNED);
    ck_assert(shop_got.last.raise_only);
    ck_assert_int_eq(shop_got.last.rung, 2);
    ck_assert_int_eq(shop_got.last.estimate, -1);
}
END_TEST

START_TEST(a_pin_that_is_over_leaves_what_an_ignored_input_asked_for)
{
    blog_inputs[0].on_outage = CONFIG_IGNORE;
    run(600, 1200, 901);
    for (int64_t t = 1200; t < 1800; t++) {
        tick(t);
    }
    struct tick pinned = {.elapsed_ms = 1000, .pins_count = 1};
    pinned.pins[0] = (struct pin){BLOG, 4, 1801 * 1000};
    tick_with(1800 * 1000, pinned);
    ck_assert_int_eq(blog_got.last.rung, 4);
    tick(1801);
    ck_assert_int_eq(blog_got.last.rung, 10);
    ck_assert(blog_got.last.raise_only);
}
END_TEST

START_TEST(an_input_that_never_spoke_does_not_undo_what_an_ignored_one_asked_for)
{
    shop_inputs[0].on_outage = CONFIG_IGNORE;
    for (int64_t t = 600; t < 1500; t++) {
        if (t % 60 == 0 && t < 900) {
            say(t, SERIES_USERS, 901);
        }
        tick(t);
    }
    ck_assert_int_eq(shop_got.last.inputs[0].cover, COVER_IGNORED);
    ck_assert_int_eq(shop_got.last.inputs[1].cover, COVER_NEVER);
    ck_assert_int_eq(shop_got.last.rung, 10);
    ck_assert(shop_got.last.raise_only);
}
END_TEST

START_TEST(entries_beyond_all_time_are_counted_and_change_nothing)
{
    static const uint64_t beyond[] = {FOLD_MS_MAX + 1, INT64_MAX, UINT64_C(1) << 63, UINT64_MAX};
    run(600, 1200, 901);
    size_t before = shop_got.count;
    for (size_t i = 0; i < sizeof(beyond) / sizeof(beyond[0]); i++) {
        send_at((int64_t)beyond[i], SERIES_USERS, 1000, SAMPLE_GOOD, 1e6);
        tick_with((int64_t)beyond[i], (struct tick){.elapsed_ms = 1000});
    }
    ck_assert_uint_eq(shop_got.count, before);
    struct fold_counts counts;
    fold_counts(fold, &counts);
    ck_assert_uint_eq(counts.malformed, 8);
    ck_assert_uint_eq(fold_last(fold).ms, 1199000); /* nothing could come behind them */
}
END_TEST

START_TEST(the_last_moment_of_all_time_is_folded_and_holds)
{
    run(600, 1200, 901);
    tick_with(FOLD_MS_MAX, (struct tick){.elapsed_ms = 0});
    tick_with(FOLD_MS_MAX, (struct tick){.elapsed_ms = FOLD_MS_MAX});
    ck_assert_int_eq(shop_got.last.rung, 10);
    ck_assert(shop_got.last.raise_only);
}
END_TEST

START_TEST(a_sample_older_than_all_time_has_a_time_that_can_be_told)
{
    send_at(1000, SERIES_BLOG, SAMPLE_AGE_MAX_MS, SAMPLE_GOOD, 901);
    ck_assert_int_eq(blog_got.last.rung, 10);
    ck_assert_int_ge(blog_got.last.inputs[0].value_at, 0);
}
END_TEST

START_TEST(every_target_is_restated_within_a_minute)
{
    run(600, 1200, 901);
    keyframes = 0;
    run(1200, 1260, 901);
    ck_assert_uint_ge(keyframes, 2);
}
END_TEST

START_TEST(reports_come_each_interval_with_values_and_maxima)
{
    run(600, 1200, 901);
    say(1200, SERIES_USERS, 33);
    tick(1200);
    ck_assert_double_eq(shop_report.inputs[0].value, 33);
    ck_assert_double_eq(shop_report.inputs[0].max, 901);
    ck_assert_int_eq(shop_report.inputs[0].estimate, 10);
    ck_assert_int_eq(shop_report.estimate, 10);
    size_t before = reports;
    for (int64_t t = 1201; t <= 1210; t++) {
        tick(t);
    }
    ck_assert_uint_eq(reports, before + 4);
}
END_TEST

START_TEST(a_hole_in_a_collectors_sequence_is_told)
{
    run(600, 660, 901);
    batch_seq += 3;
    say(660, SERIES_USERS, 5);
    ck_assert_str_eq(events, "samples_lost  once\n");
    struct fold_counts counts;
    fold_counts(fold, &counts);
    ck_assert_uint_eq(counts.lost, 3);
}
END_TEST

START_TEST(what_a_batch_says_is_lost_counts_once_however_often_it_is_sent)
{
    struct sample sample = {.series = SERIES_USERS, .status = SAMPLE_GOOD, .value = 5};
    struct batch batch = {.member = DYN_STR("c2"), .seq = 1, .lost = 7, .count = 1};
    fold_batch(fold, (struct entry_id){600000, 0}, &batch, &sample, &out);
    fold_batch(fold, (struct entry_id){600001, 0}, &batch, &sample, &out);
    struct fold_counts counts;
    fold_counts(fold, &counts);
    ck_assert_uint_eq(counts.lost, 7);
    ck_assert_str_eq(events, "samples_lost  once\n");
}
END_TEST

START_TEST(a_controller_is_heard_since_its_last_input_was)
{
    ck_assert_int_eq(fold_heard_since(fold, SHOP), INT64_MAX);
    tick(600);
    say(610, SERIES_USERS, 5);
    say_failure(620, SERIES_RPM);
    send_at(625000, SERIES_RPM, 61000, SAMPLE_GOOD, 7); /* late: it covers nothing */
    ck_assert_int_eq(fold_heard_since(fold, SHOP), INT64_MAX);
    say(630, SERIES_RPM, 5);
    say(640, SERIES_USERS, 5);
    ck_assert_int_eq(fold_heard_since(fold, SHOP), 630000);
    ck_assert_int_eq(fold_heard_since(fold, 4711), INT64_MAX);
}
END_TEST

START_TEST(samples_of_unknown_series_are_counted_and_skipped)
{
    run(600, 660, 901);
    say(660, 4711, 5);
    struct fold_counts counts;
    fold_counts(fold, &counts);
    ck_assert_uint_eq(counts.unknown, 1);
}
END_TEST

START_TEST(malformed_entries_are_counted_and_change_nothing)
{
    struct pack_reader *reader = pack_reader_new();
    struct entry_id id = {600000, 0};
    ck_assert_int_ne(fold_entry(fold, reader, id, DYN_STR("\xdd\x0f\xff\xff\xff"), &out), DYN_OK);
    ck_assert_int_ne(fold_entry(fold, reader, id, DYN_STR(""), &out), DYN_OK);
    ck_assert_int_ne(fold_entry(fold, reader, id, DYN_STR("hello"), &out), DYN_OK);
    struct fold_counts counts;
    fold_counts(fold, &counts);
    ck_assert_uint_eq(counts.malformed, 3);
    pack_reader_free(reader);
}
END_TEST

START_TEST(a_fall_comes_between_samples_when_the_window_says_so)
{
    run(600, 1200, 901);
    for (int64_t t = 1200; t <= 1500; t++) {
        if (t == 1200 || t % 60 == 30) {
            say(t, SERIES_BLOG, 250);
        }
        ck_assert_int_eq(blog_got.last.rung, 10);
        tick(t);
    }
    ck_assert_int_eq(blog_got.last.rung, 3);
}
END_TEST

START_TEST(a_target_stays_within_its_range_and_says_which_end_held_it)
{
    run(600, 720, 1e300);
    ck_assert_int_eq(blog_got.last.rung, 20);
    ck_assert_int_eq(blog_got.last.reason, TARGET_AT_MAX);
    run(720, 1321, 150);
    ck_assert_int_eq(blog_got.last.rung, 2);
    ck_assert_int_eq(blog_got.last.reason, TARGET_DEMAND);
    run(1321, 1800, 50);
    ck_assert_int_eq(blog_got.last.rung, 2);
    ck_assert_int_eq(blog_got.last.reason, TARGET_AT_MIN);
}
END_TEST

START_TEST(a_keyframe_has_the_newest_estimate)
{
    run(600, 720, 2500);
    ck_assert_int_eq(blog_got.last.estimate, 25);
    run(720, 800, 3000);
    ck_assert(!blog_got.changed);
    ck_assert_int_eq(blog_got.last.estimate, 30);
}
END_TEST

START_TEST(an_ignored_input_counts_until_it_is_in_outage)
{
    shop_inputs[1].on_outage = CONFIG_IGNORE;
    run(600, 1200, 901);
    for (int64_t t = 1200; t < 1600; t++) {
        if (t % 60 == 0) {
            say(t, SERIES_USERS, 100);
        }
        tick(t);
        ck_assert_int_eq(shop_got.last.inputs[1].cover == COVER_IGNORED && shop_got.last.raise_only,
                         0);
        ck_assert(t >= 1441 || shop_got.last.rung == 10);
        ck_assert(t < 1321 || t >= 1441 || shop_got.last.raise_only);
    }
    ck_assert_int_eq(shop_got.last.rung, 2);
}
END_TEST

START_TEST(a_fallback_below_the_windows_maximum_lowers_nothing)
{
    blog_inputs[0].on_outage = CONFIG_FALLBACK;
    blog_inputs[0].fallback = 6;
    run(600, 1200, 901);
    for (int64_t t = 1200; t < 2400; t++) {
        tick(t);
    }
    ck_assert_int_eq(blog_got.last.rung, 10);
    ck_assert(blog_got.last.raise_only);
}
END_TEST

static uint64_t jumps(void)
{
    struct fold_counts counts;
    fold_counts(fold, &counts);
    return counts.jumps;
}

START_TEST(a_clock_that_is_slewed_does_not_jump)
{
    int64_t now_ms = 600 * 1000;
    for (int i = 0; i < 20000; i++) {
        now_ms += i < 10000 ? 1001 : 999;
        tick_with(now_ms, (struct tick){.elapsed_ms = 1000});
    }
    ck_assert_uint_eq(jumps(), 0);
}
END_TEST

START_TEST(a_jump_is_one_break_and_a_new_epoch_counts_anew)
{
    tick_with(600 * 1000, (struct tick){0});
    for (int i = 1; i <= 10; i++) {
        tick_with(4200 * 1000 + i * 1000, (struct tick){.elapsed_ms = 1000});
    }
    ck_assert_uint_eq(jumps(), 1);
    tick_with(4215 * 1000, (struct tick){.elapsed_ms = 1000});
    epoch = 2;
    tick_with(4220 * 1000, (struct tick){0});
    tick_with(4225 * 1000, (struct tick){.elapsed_ms = 1000});
    ck_assert_uint_eq(jumps(), 1);
}
END_TEST

START_TEST(a_batch_sent_again_is_no_hole_and_a_dropped_sample_is)
{
    run(600, 660, 901);
    batch_seq -= 2;
    say(660, SERIES_USERS, 5);
    batch_seq += 1;
    say(661, SERIES_USERS, 5);
    struct fold_counts counts;
    fold_counts(fold, &counts);
    ck_assert_uint_eq(counts.lost, 0);
    struct batch batch = {.member = DYN_STR("c1"), .seq = ++batch_seq, .lost = 2};
    fold_batch(fold, (struct entry_id){662 * 1000, 0}, &batch, NULL, &out);
    fold_counts(fold, &counts);
    ck_assert_uint_eq(counts.lost, 2);
    ck_assert_str_eq(events, "samples_lost  once\n");
}
END_TEST

/* ---- I1 by brute force: over random demand, failures, gaps and lateness, no target that may
 * lower lies below what the samples of the window ask for ---- */

#define KEPT 20000
static struct {
    int64_t at;
    double value;
} said[2][KEPT];
static size_t said_count[2];

static double demand(int which, int64_t from, int64_t now)
{
    double max = 0;
    double in_force = 0;
    int64_t in_force_at = -1;
    for (size_t i = 0; i < said_count[which]; i++) {
        if (said[which][i].at > now) {
            continue;
        }
        if (said[which][i].at > from) {
            max = fmax(max, said[which][i].value);
        } else if (said[which][i].at >= in_force_at) {
            in_force_at = said[which][i].at;
            in_force = said[which][i].value;
        }
    }
    return fmax(max, in_force);
}

START_TEST(no_target_that_may_lower_lies_below_demand)
{
    static const uint64_t series[2] = {SERIES_USERS, SERIES_RPM};
    srandom((unsigned)_i + 1);
    memset(said_count, 0, sizeof(said_count));
    int quiet[2] = {0, 0};
    size_t lowered = 0;
    for (int64_t t = 600; t < 600 + 6 * 3600; t++) {
        for (int w = 0; w < 2; w++) {
            if (t % 60 != w * 7) {
                continue;
            }
            if (random() % 40 == 0) {
                quiet[w] = (int)(random() % 20);
            }
            if (quiet[w]-- > 0) {
                if (random() % 2 == 0) {
                    say_failure(t, series[w]);
                }
                continue;
            }
            double value = (double)(random() % 2000) * (random() % 8 == 0 ? 1.0 : 0.1);
            int64_t age = random() % 10 == 0 ? random() % 200000 : 0;
            send_at(t * 1000, series[w], age, SAMPLE_GOOD, value);
            said[w][said_count[w]].at = t * 1000 - age;
            said[w][said_count[w]++].value = value;
        }
        size_t before = shop_got.count;
        tick(t);
        if (shop_got.count == 0 || shop_got.last.raise_only) {
            continue;
        }
        double most =
            fmax(demand(0, t * 1000 - 300000, t * 1000), demand(1, t * 1000 - 300000, t * 1000));
        int32_t asked = (int32_t)fmin(20, fmax(2, ceil(most / 100)));
        ck_assert_msg(shop_got.last.rung >= asked, "at %lld: target %d, demand asks for %d",
                      (long long)t, shop_got.last.rung, asked);
        lowered += shop_got.count > before;
    }
    ck_assert_uint_gt(lowered, 20);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("fold");
    TCase *tests = tcase_create("fold");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, fold_setup, fold_teardown);
    tcase_add_test(tests, no_good_sample_ever_gives_no_target);
    tcase_add_test(tests, a_rise_is_given_on_the_batch_that_brings_it);
    tcase_add_test(tests, a_fall_waits_for_the_whole_window_and_for_a_tick);
    tcase_add_test(tests, a_daily_counter_falls_with_its_day_and_one_reading_covers);
    tcase_add_test(tests, a_young_window_may_only_raise);
    tcase_add_loop_test(tests, a_value_asks_for_the_smallest_plan_that_holds_it, 0,
                        (int)(sizeof worked / sizeof worked[0]));
    tcase_add_test(tests,
                   a_value_above_all_plans_asks_for_the_largest_and_is_told_until_it_is_over);
    tcase_add_test(tests, a_rise_does_not_lend_the_right_to_fall);
    tcase_add_test(tests, a_late_value_of_an_ignored_input_gives_nothing);
    tcase_add_test(tests, one_silent_input_of_two_holds_the_app);
    tcase_add_test(tests, a_failure_is_never_a_value_and_a_recovery_is_told);
    tcase_add_test(tests, an_outage_is_told_again_each_hour);
    tcase_add_test(tests, a_break_does_not_make_a_counters_drop_true);
    tcase_add_test(tests, an_input_that_cannot_be_asked_is_told_until_it_can);
    tcase_add_test(tests, what_is_above_all_plans_for_long_is_told_again_each_hour);
    tcase_add_test(tests, what_runs_and_is_not_known_for_long_is_told_again_each_hour);
    tcase_add_test(tests, ignore_leaves_an_input_out_once_it_is_in_outage);
    tcase_add_test(tests, with_every_input_ignored_nothing_falls);
    tcase_add_test(tests, a_fallback_raises_and_never_lowers);
    tcase_add_test(tests, zeros_after_demand_do_not_lower_before_they_are_believed);
    tcase_add_test(tests, a_jump_of_the_clock_ends_coverage);
    tcase_add_test(tests, a_clock_that_stands_still_ends_coverage);
    tcase_add_test(tests, a_break_in_a_tick_ends_coverage);
    tcase_add_test(tests, a_pin_holds_until_its_time_and_the_window_follows);
    tcase_add_test(tests, no_demand_and_no_minimum_ask_for_one);
    tcase_add_test(tests, a_pin_that_is_over_is_not_restated_where_no_value_ever_came);
    tcase_add_test(tests, a_pin_that_is_over_leaves_what_an_ignored_input_asked_for);
    tcase_add_test(tests, an_input_that_never_spoke_does_not_undo_what_an_ignored_one_asked_for);
    tcase_add_test(tests, entries_beyond_all_time_are_counted_and_change_nothing);
    tcase_add_test(tests, the_last_moment_of_all_time_is_folded_and_holds);
    tcase_add_test(tests, a_sample_older_than_all_time_has_a_time_that_can_be_told);
    tcase_add_test(tests, every_target_is_restated_within_a_minute);
    tcase_add_test(tests, reports_come_each_interval_with_values_and_maxima);
    tcase_add_test(tests, a_hole_in_a_collectors_sequence_is_told);
    tcase_add_test(tests, what_a_batch_says_is_lost_counts_once_however_often_it_is_sent);
    tcase_add_test(tests, a_controller_is_heard_since_its_last_input_was);
    tcase_add_test(tests, samples_of_unknown_series_are_counted_and_skipped);
    tcase_add_test(tests, malformed_entries_are_counted_and_change_nothing);
    tcase_add_test(tests, a_fall_comes_between_samples_when_the_window_says_so);
    tcase_add_test(tests, a_target_stays_within_its_range_and_says_which_end_held_it);
    tcase_add_test(tests, a_keyframe_has_the_newest_estimate);
    tcase_add_test(tests, an_ignored_input_counts_until_it_is_in_outage);
    tcase_add_test(tests, a_fallback_below_the_windows_maximum_lowers_nothing);
    tcase_add_test(tests, a_clock_that_is_slewed_does_not_jump);
    tcase_add_test(tests, a_jump_is_one_break_and_a_new_epoch_counts_anew);
    tcase_add_test(tests, a_batch_sent_again_is_no_hole_and_a_dropped_sample_is);
    tcase_add_loop_test(tests, no_target_that_may_lower_lies_below_demand, 0, 8);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
