#include "actuator/budget.h"

#include <check.h>
#include <stdlib.h>

#define NOW 1000000

static struct act_budget told(double reserve, int64_t remaining)
{
    struct act_budget budget;
    act_budget_init(&budget, reserve);
    uint64_t number = act_budget_ask(&budget, NOW);
    act_budget_answered(&budget, number, true, remaining, NOW);
    return budget;
}

START_TEST(nothing_is_sent_before_heroku_has_told_what_is_left)
{
    struct act_budget budget;
    act_budget_init(&budget, 40);
    ck_assert(act_budget_wants_limits(&budget, NOW));
    (void)act_budget_ask(&budget, NOW);
    ck_assert(!act_budget_may(&budget, ACT_FOR_RISE, NOW));
    ck_assert(!act_budget_wants_limits(&budget, NOW));
}
END_TEST

START_TEST(the_reserve_is_left_to_people)
{
    struct act_budget budget = told(40, 100);
    int sent = 0;
    while (act_budget_may(&budget, ACT_FOR_RISE, NOW)) {
        (void)act_budget_take(&budget, NOW);
        sent++;
    }
    ck_assert_int_eq(sent, 60);
    ck_assert_int_eq(budget.left, 40);
}
END_TEST

START_TEST(reads_leave_tokens_to_falls_and_falls_to_rises)
{
    struct act_budget budget = told(40, 100);
    while (act_budget_may(&budget, ACT_FOR_READ, NOW)) {
        (void)act_budget_take(&budget, NOW);
    }
    ck_assert_int_eq(budget.left, 70);
    ck_assert(act_budget_may(&budget, ACT_FOR_FALL, NOW));
    while (act_budget_may(&budget, ACT_FOR_FALL, NOW)) {
        (void)act_budget_take(&budget, NOW);
    }
    ck_assert_int_eq(budget.left, 46);
    ck_assert(act_budget_may(&budget, ACT_FOR_RISE, NOW));
}
END_TEST

START_TEST(a_limit_that_heroku_cut_stops_writes_for_a_day_at_most)
{
    struct act_budget budget = told(40, 4500);
    int64_t later = NOW + BUDGET_LEVEL_AGE_MS;
    uint64_t number = act_budget_ask(&budget, later);
    act_budget_answered(&budget, number, true, 1000, later);
    ck_assert(!act_budget_may(&budget, ACT_FOR_RISE, later));
    number = act_budget_ask(&budget, later + 1);
    act_budget_answered(&budget, number, true, 1000, later + 1);
    ck_assert(act_budget_may(&budget, ACT_FOR_RISE, later + 1));
}
END_TEST

START_TEST(the_level_is_the_highest_number_of_the_last_day)
{
    struct act_budget budget = told(50, 100);
    (void)act_budget_ask(&budget, NOW);
    act_budget_answered(&budget, 0, true, 4000, NOW);
    ck_assert_int_eq(budget.level, 4000);
    (void)act_budget_ask(&budget, NOW);
    act_budget_answered(&budget, 0, true, 2001, NOW);
    ck_assert(act_budget_may(&budget, ACT_FOR_RISE, NOW));
    (void)act_budget_take(&budget, NOW);
    ck_assert(!act_budget_may(&budget, ACT_FOR_RISE, NOW));
}
END_TEST

START_TEST(an_absurd_number_is_not_believed)
{
    struct act_budget budget = told(40, 100);
    (void)act_budget_ask(&budget, NOW);
    act_budget_answered(&budget, 0, true, INT64_MAX, NOW);
    ck_assert_int_eq(budget.level, 100);
    (void)act_budget_ask(&budget, NOW);
    act_budget_answered(&budget, 0, true, -5, NOW);
    ck_assert_int_eq(budget.left, 100);
}
END_TEST

START_TEST(answers_that_overtake_each_other_never_add_tokens)
{
    struct act_budget budget = told(0, 10);
    uint64_t first = act_budget_take(&budget, NOW);
    uint64_t second = act_budget_take(&budget, NOW);
    act_budget_answered(&budget, second, false, 8, NOW);
    ck_assert_int_le(budget.left, 8);
    act_budget_answered(&budget, first, false, 9, NOW);
    ck_assert_int_le(budget.left, 8);
    ck_assert_uint_eq(budget.flying, 0);
}
END_TEST

START_TEST(heroku_that_tells_nothing_gets_a_trickle)
{
    struct act_budget budget;
    act_budget_init(&budget, 40);
    int sent = 0;
    for (int64_t at = 0; at < 60000; at += 100) {
        if (act_budget_may(&budget, ACT_FOR_RISE, NOW + at)) {
            (void)act_budget_take(&budget, NOW + at);
            sent++;
        }
    }
    ck_assert_int_ge(sent, 20);
    ck_assert_int_le(sent, 25);
}
END_TEST

START_TEST(old_numbers_are_asked_for_anew)
{
    struct act_budget budget = told(40, 100);
    ck_assert(!act_budget_wants_limits(&budget, NOW + 30000));
    ck_assert(act_budget_wants_limits(&budget, NOW + BUDGET_ASK_MS));
}
END_TEST

START_TEST(an_empty_pool_is_asked_about_every_ten_seconds)
{
    struct act_budget budget = told(40, 100);
    while (act_budget_may(&budget, ACT_FOR_READ, NOW)) {
        (void)act_budget_take(&budget, NOW);
    }
    ck_assert(!act_budget_wants_limits(&budget, NOW + BUDGET_ASK_STARVED_MS - 1));
    ck_assert(act_budget_wants_limits(&budget, NOW + BUDGET_ASK_STARVED_MS));
}
END_TEST

START_TEST(a_429_waits_as_told)
{
    struct act_budget budget = told(40, 100);
    ck_assert(act_budget_limited(&budget, 7000, 0, NOW));
    ck_assert(!act_budget_may(&budget, ACT_FOR_RISE, NOW + 6999));
    ck_assert(!act_budget_wants_limits(&budget, NOW + 6999));
    ck_assert(act_budget_wants_limits(&budget, NOW + 7000));
}
END_TEST

START_TEST(a_429_without_words_doubles_from_30_to_900_seconds)
{
    struct act_budget budget = told(40, 100);
    int64_t now = NOW;
    const int64_t waits[] = {30, 60, 120, 240, 480, 900, 900};
    for (size_t i = 0; i < sizeof waits / sizeof *waits; i++) {
        ck_assert(act_budget_limited(&budget, -1, 0, now));
        ck_assert_int_eq(budget.blocked_until - now, waits[i] * 1000);
        /* Others that were under way do not make it longer. */
        ck_assert(!act_budget_limited(&budget, -1, 0, now + 10));
        ck_assert_int_eq(budget.blocked_until - now, waits[i] * 1000);
        now = budget.blocked_until;
    }
    act_budget_served(&budget);
    ck_assert(act_budget_limited(&budget, -1, 0, now));
    ck_assert_int_eq(budget.blocked_until - now, 30000);
}
END_TEST

START_TEST(the_jitter_adds_at_most_a_quarter)
{
    for (uint64_t random = 0; random < 100000; random += 997) {
        struct act_budget budget = told(40, 100);
        (void)act_budget_limited(&budget, -1, random, NOW);
        ck_assert_int_ge(budget.blocked_until - NOW, 30000);
        ck_assert_int_le(budget.blocked_until - NOW, 37500);
    }
}
END_TEST

START_TEST(what_was_told_before_a_429_is_void)
{
    struct act_budget budget = told(40, 100);
    (void)act_budget_limited(&budget, 1000, 0, NOW);
    ck_assert(!act_budget_may(&budget, ACT_FOR_RISE, NOW + 999));
    ck_assert(act_budget_wants_limits(&budget, NOW + 1000));
    ck_assert(act_budget_may(&budget, ACT_FOR_RISE, NOW + 1000));
    (void)act_budget_ask(&budget, NOW + 1000);
    ck_assert(!act_budget_may(&budget, ACT_FOR_RISE, NOW + 1000));
}
END_TEST

START_TEST(joining_another_budget_takes_the_worse_of_both)
{
    struct act_budget one = told(40, 100);
    struct act_budget two = told(50, 60);
    (void)act_budget_take(&two, NOW);
    (void)act_budget_ask(&two, NOW);
    act_budget_move(&two, &one, 1, true);
    act_budget_join(&one, &two);
    ck_assert_int_eq(one.left, 59);
    ck_assert_uint_eq(one.flying, 1);
    /* Whoever stays behind waits for no answer that goes elsewhere. */
    ck_assert_uint_eq(two.flying, 0);
    ck_assert(!two.asking);
    ck_assert(one.reserve >= 0.5);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("budget");
    TCase *tcase = tcase_create("budget");
    tcase_add_test(tcase, nothing_is_sent_before_heroku_has_told_what_is_left);
    tcase_add_test(tcase, the_reserve_is_left_to_people);
    tcase_add_test(tcase, a_limit_that_heroku_cut_stops_writes_for_a_day_at_most);
    tcase_add_test(tcase, reads_leave_tokens_to_falls_and_falls_to_rises);
    tcase_add_test(tcase, the_level_is_the_highest_number_of_the_last_day);
    tcase_add_test(tcase, an_absurd_number_is_not_believed);
    tcase_add_test(tcase, answers_that_overtake_each_other_never_add_tokens);
    tcase_add_test(tcase, heroku_that_tells_nothing_gets_a_trickle);
    tcase_add_test(tcase, old_numbers_are_asked_for_anew);
    tcase_add_test(tcase, an_empty_pool_is_asked_about_every_ten_seconds);
    tcase_add_test(tcase, a_429_waits_as_told);
    tcase_add_test(tcase, a_429_without_words_doubles_from_30_to_900_seconds);
    tcase_add_test(tcase, the_jitter_adds_at_most_a_quarter);
    tcase_add_test(tcase, what_was_told_before_a_429_is_void);
    tcase_add_test(tcase, joining_another_budget_takes_the_worse_of_both);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
