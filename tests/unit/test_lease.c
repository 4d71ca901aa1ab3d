/* One challenger or holder of one lease, step by step on a clock of the test's. */
#include "common/lease.h"

#include <check.h>
#include <stdlib.h>

static const struct lease_times FENCED = {
    .renew_ms = 3000, .wait_ms = 8000, .look_ms = 500}; /* as estimators */
static const struct lease_times TIMED = {
    .renew_ms = 3000, .hold_ms = 12000, .drop_ms = 2000, .wait_ms = 17000, .look_ms = 500};

static struct lease lease;

#define SEES(owner, epoch, beat, at)                                            \
    lease_seen(&lease, DYN_STR("me"), dyn_str_from(owner), dyn_str_from(epoch), \
               dyn_str_from(beat), at)
#define DOES(action, at) ck_assert_int_eq(lease_step(&lease, at), action)

static void opened(const struct lease_times *times, int64_t at)
{
    lease_init(&lease, times);
    lease_open(&lease, at);
}

/* Held since `at`, by a record that nobody owned. */
static void held(const struct lease_times *times, int64_t at)
{
    opened(times, at);
    DOES(LEASE_LOOK, at);
    SEES("", "", "", at);
    DOES(LEASE_TAKE, at);
    ck_assert(lease_taken(&lease, LEASE_DONE, at));
}

START_TEST(a_lease_that_nobody_owns_is_taken_at_once)
{
    opened(&FENCED, 100);
    DOES(LEASE_LOOK, 100);
    DOES(LEASE_REST, 101); /* one question at a time */
    SEES("", "17", "4", 102);
    DOES(LEASE_TAKE, 102);
    ck_assert_str_eq(lease.seen_epoch, "17");
    ck_assert_str_eq(lease.seen_beat, "4");
    ck_assert(lease_taken(&lease, LEASE_DONE, 103));
    ck_assert(lease_may_write(&lease, 103));
}
END_TEST

START_TEST(an_absent_record_counts_as_epoch_and_beat_zero)
{
    opened(&FENCED, 0);
    DOES(LEASE_LOOK, 0);
    SEES("", "", "", 0);
    ck_assert_str_eq(lease.seen_epoch, "0");
    ck_assert_str_eq(lease.seen_beat, "0");
}
END_TEST

START_TEST(anothers_lease_is_taken_only_when_it_stood_still_for_the_whole_wait)
{
    opened(&TIMED, 0);
    for (int64_t at = 0; at < 17000; at += 500) {
        DOES(LEASE_LOOK, at);
        SEES("other", "17", "4", at);
        DOES(LEASE_REST, at);
    }
    DOES(LEASE_REST, 16999);
    DOES(LEASE_TAKE, 17000);
}
END_TEST

START_TEST(each_beat_of_the_holder_begins_the_wait_anew)
{
    opened(&TIMED, 0);
    DOES(LEASE_LOOK, 0);
    SEES("other", "17", "4", 0);
    DOES(LEASE_LOOK, 16000);
    SEES("other", "17", "5", 16000);
    DOES(LEASE_LOOK, 17000);
    SEES("other", "17", "5", 17000);
    DOES(LEASE_REST, 17000);
    ck_assert_int_eq(lease_step(&lease, 32999) == LEASE_TAKE, 0);
    SEES("other", "17", "5", 32999);
    DOES(LEASE_TAKE, 33000);
}
END_TEST

START_TEST(another_epoch_with_the_same_beat_begins_the_wait_anew)
{
    opened(&FENCED, 0);
    DOES(LEASE_LOOK, 0);
    SEES("other", "17", "4", 0);
    DOES(LEASE_LOOK, 7900);
    SEES("other", "18", "4", 7900);
    DOES(LEASE_REST, 8000);
}
END_TEST

START_TEST(another_connection_begins_the_wait_anew)
{
    opened(&FENCED, 0);
    DOES(LEASE_LOOK, 0);
    SEES("other", "17", "4", 0);
    ck_assert(!lease_close(&lease));
    DOES(LEASE_REST, 7000);
    lease_open(&lease, 7900);
    DOES(LEASE_LOOK, 7900);
    SEES("other", "17", "4", 7900);
    DOES(LEASE_REST, 8100);
}
END_TEST

START_TEST(a_look_that_failed_begins_the_wait_anew)
{
    opened(&FENCED, 0);
    DOES(LEASE_LOOK, 0);
    SEES("other", "17", "4", 0);
    DOES(LEASE_LOOK, 7900);
    lease_unseen(&lease, 7950);
    DOES(LEASE_REST, 8100);
    DOES(LEASE_LOOK, 8450);
    SEES("other", "17", "4", 8450);
    DOES(LEASE_REST, 8500);
}
END_TEST

START_TEST(our_own_record_of_before_is_taken_at_once)
{
    opened(&TIMED, 0);
    DOES(LEASE_LOOK, 0);
    SEES("me", "17", "4", 0);
    DOES(LEASE_TAKE, 0);
}
END_TEST

START_TEST(our_own_record_of_before_is_taken_at_once_even_as_a_spare)
{
    opened(&FENCED, 0);
    lease_wish(&lease, LEASE_SPARE);
    DOES(LEASE_LOOK, 0);
    SEES("me", "17", "4", 0);
    DOES(LEASE_TAKE, 0);
}
END_TEST

START_TEST(a_lease_taken_again_is_not_held_until_it_is_taken)
{
    held(&FENCED, 0);
    ck_assert(lease_again(&lease, 100));
    ck_assert(!lease_may_write(&lease, 100));
    DOES(LEASE_LOOK, 100);
    SEES("me", "17", "5", 101);
    DOES(LEASE_TAKE, 101);
    ck_assert(lease_taken(&lease, LEASE_DONE, 102));
    ck_assert(lease_may_write(&lease, 102));
}
END_TEST

START_TEST(what_is_not_held_is_not_taken_again)
{
    opened(&FENCED, 0);
    ck_assert(!lease_again(&lease, 0));
    DOES(LEASE_LOOK, 0);
    SEES("other", "17", "4", 0);
    ck_assert(!lease_again(&lease, 7900));
    DOES(LEASE_LOOK, 7900);
    SEES("other", "17", "4", 7900);
    DOES(LEASE_TAKE, 8000);
    ck_assert(!lease_again(&lease, 8001));
}
END_TEST

START_TEST(a_taking_that_was_refused_or_unanswered_holds_nothing)
{
    opened(&FENCED, 0);
    DOES(LEASE_LOOK, 0);
    SEES("", "", "", 0);
    DOES(LEASE_TAKE, 0);
    ck_assert(!lease_taken(&lease, LEASE_FENCED, 1));
    ck_assert(!lease_may_write(&lease, 1));
    DOES(LEASE_REST, 1);
    DOES(LEASE_LOOK, 501);
    SEES("", "", "", 501);
    DOES(LEASE_TAKE, 501);
    ck_assert(!lease_taken(&lease, LEASE_UNSURE, 502));
    ck_assert(!lease_may_write(&lease, 502));
}
END_TEST

START_TEST(the_deadline_counts_from_the_sending_of_the_renewal)
{
    held(&TIMED, 0);
    DOES(LEASE_REST, 2999);
    DOES(LEASE_RENEW, 3000);
    ck_assert_int_eq(lease.deadline_ms, 12000);
    ck_assert(lease_renewed(&lease, LEASE_DONE, 4500));
    ck_assert_int_eq(lease.deadline_ms, 15000);
}
END_TEST

START_TEST(the_lease_is_dropped_before_its_deadline_even_while_a_renewal_is_awaited)
{
    held(&TIMED, 0);
    DOES(LEASE_RENEW, 3000);
    ck_assert_int_eq(lease_next_ms(&lease), 10000);
    DOES(LEASE_REST, 9999);
    ck_assert(lease_may_write(&lease, 9999));
    DOES(LEASE_DROP, 10000);
    ck_assert(!lease_may_write(&lease, 10000));
    /* The answer to what was asked before gives nothing back. */
    ck_assert(lease_renewed(&lease, LEASE_DONE, 10001));
    ck_assert(!lease_may_write(&lease, 10001));
}
END_TEST

START_TEST(nothing_may_be_written_near_the_deadline_even_without_a_step)
{
    held(&TIMED, 0);
    ck_assert(lease_may_write(&lease, 10999));
    ck_assert(!lease_may_write(&lease, 11000)); /* as after a stop */
}
END_TEST

START_TEST(a_renewal_without_an_answer_does_not_move_the_deadline)
{
    held(&TIMED, 0);
    DOES(LEASE_RENEW, 3000);
    ck_assert(lease_renewed(&lease, LEASE_UNSURE, 3100));
    ck_assert_int_eq(lease.deadline_ms, 12000);
    DOES(LEASE_REST, 3500);
    DOES(LEASE_RENEW, 3600); /* asked again sooner */
}
END_TEST

START_TEST(a_fenced_renewal_loses_the_lease_and_the_wait_is_whole)
{
    held(&FENCED, 0);
    DOES(LEASE_RENEW, 3000);
    ck_assert(!lease_renewed(&lease, LEASE_FENCED, 3001));
    ck_assert(!lease_may_write(&lease, 3001));
    DOES(LEASE_LOOK, 3001);
    SEES("other", "18", "1", 3001);
    DOES(LEASE_REST, 3002);
}
END_TEST

START_TEST(a_fenced_write_loses_the_lease)
{
    held(&FENCED, 0);
    ck_assert(lease_fenced(&lease, 10));
    ck_assert(!lease_fenced(&lease, 11));
    ck_assert(!lease_may_write(&lease, 11));
}
END_TEST

START_TEST(another_fenced_write_is_as_good_as_a_renewal)
{
    held(&FENCED, 0);
    lease_beaten(&lease, 2000, 2001);
    DOES(LEASE_REST, 4000);
    DOES(LEASE_RENEW, 5001);
}
END_TEST

START_TEST(an_older_write_does_not_shorten_the_deadline)
{
    held(&TIMED, 5000);
    lease_beaten(&lease, 1000, 5001);
    ck_assert_int_eq(lease.deadline_ms, 17000);
}
END_TEST

START_TEST(a_lease_without_a_deadline_is_held_until_it_is_fenced)
{
    held(&FENCED, 0);
    DOES(LEASE_RENEW, 3000);
    DOES(LEASE_REST, 3600000);
    ck_assert(lease_may_write(&lease, 3600000));
}
END_TEST

START_TEST(an_unwanted_lease_is_given_up_and_not_taken_again)
{
    held(&TIMED, 0);
    lease_wish(&lease, LEASE_UNWANTED);
    ck_assert_int_le(lease_next_ms(&lease), 10);
    DOES(LEASE_GIVE_UP, 10);
    ck_assert(!lease_may_write(&lease, 10)); /* not even while the answer is awaited */
    lease_left(&lease, 11);
    DOES(LEASE_LOOK, 600);
    SEES("", "17", "4", 600);
    DOES(LEASE_REST, 700);
    lease_wish(&lease, LEASE_WANTED);
    DOES(LEASE_TAKE, 701);
}
END_TEST

START_TEST(a_spare_lease_is_left_to_who_wants_it_for_a_while)
{
    opened(&FENCED, 0);
    lease_wish(&lease, LEASE_SPARE);
    DOES(LEASE_LOOK, 0);
    SEES("", "17", "4", 0);
    DOES(LEASE_REST, 400);
    DOES(LEASE_LOOK, 2999);
    SEES("", "17", "4", 2999);
    DOES(LEASE_TAKE, 3000);
}
END_TEST

START_TEST(a_spare_lease_that_is_held_is_kept)
{
    held(&FENCED, 0);
    lease_wish(&lease, LEASE_SPARE);
    DOES(LEASE_REST, 10);
    DOES(LEASE_RENEW, 3000);
}
END_TEST

START_TEST(losing_the_connection_loses_what_is_held)
{
    held(&TIMED, 0);
    ck_assert(lease_close(&lease));
    ck_assert(!lease_may_write(&lease, 1));
    ck_assert_int_eq(lease_next_ms(&lease), INT64_MAX);
}
END_TEST

static Suite *suite_make(void)
{
    Suite *suite = suite_create("lease");
    TCase *tcase = tcase_create("lease");
    tcase_add_test(tcase, a_lease_that_nobody_owns_is_taken_at_once);
    tcase_add_test(tcase, an_absent_record_counts_as_epoch_and_beat_zero);
    tcase_add_test(tcase, anothers_lease_is_taken_only_when_it_stood_still_for_the_whole_wait);
    tcase_add_test(tcase, each_beat_of_the_holder_begins_the_wait_anew);
    tcase_add_test(tcase, another_epoch_with_the_same_beat_begins_the_wait_anew);
    tcase_add_test(tcase, another_connection_begins_the_wait_anew);
    tcase_add_test(tcase, a_look_that_failed_begins_the_wait_anew);
    tcase_add_test(tcase, our_own_record_of_before_is_taken_at_once);
    tcase_add_test(tcase, our_own_record_of_before_is_taken_at_once_even_as_a_spare);
    tcase_add_test(tcase, a_lease_taken_again_is_not_held_until_it_is_taken);
    tcase_add_test(tcase, what_is_not_held_is_not_taken_again);
    tcase_add_test(tcase, a_taking_that_was_refused_or_unanswered_holds_nothing);
    tcase_add_test(tcase, the_deadline_counts_from_the_sending_of_the_renewal);
    tcase_add_test(tcase, the_lease_is_dropped_before_its_deadline_even_while_a_renewal_is_awaited);
    tcase_add_test(tcase, nothing_may_be_written_near_the_deadline_even_without_a_step);
    tcase_add_test(tcase, a_renewal_without_an_answer_does_not_move_the_deadline);
    tcase_add_test(tcase, a_fenced_renewal_loses_the_lease_and_the_wait_is_whole);
    tcase_add_test(tcase, a_fenced_write_loses_the_lease);
    tcase_add_test(tcase, another_fenced_write_is_as_good_as_a_renewal);
    tcase_add_test(tcase, an_older_write_does_not_shorten_the_deadline);
    tcase_add_test(tcase, a_lease_without_a_deadline_is_held_until_it_is_fenced);
    tcase_add_test(tcase, an_unwanted_lease_is_given_up_and_not_taken_again);
    tcase_add_test(tcase, a_spare_lease_is_left_to_who_wants_it_for_a_while);
    tcase_add_test(tcase, a_spare_lease_that_is_held_is_kept);
    tcase_add_test(tcase, losing_the_connection_loses_what_is_held);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    SRunner *runner = srunner_create(suite_make());
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
