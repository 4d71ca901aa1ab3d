#include "estimator/share.h"

#include <check.h>
#include <stdlib.h>

#define GONE 6000
#define KEEP ((int64_t)SHARE_KEEP_GONES * GONE)

static struct share share;
static struct members *members;
static uint64_t beats;

static void setup(void)
{
    beats = 0;
    members = members_new("me", 1500, GONE);
    ck_assert_ptr_nonnull(members);
    share_init(&share, 8, GONE);
}

static void teardown(void)
{
    members_free(members);
}

/* Everybody of `count` others beats twice, so that they count. */
static void meet(int count, int64_t now_ms)
{
    static const char *const names[] = {"one", "two", "three"};
    members_open(members, now_ms);
    for (int turn = 0; turn < 2; turn++) {
        beats++;
        members_begin(members, now_ms + turn);
        members_see(members, DYN_STR("me"), beats);
        for (int i = 0; i < count; i++) {
            members_see(members, dyn_str_from(names[i]), beats);
        }
        (void)members_end(members);
    }
    ck_assert(members_known(members));
    share_spread(&share, members);
}

static uint32_t others(void)
{
    uint32_t p = 0;
    while (share.ours[p]) {
        p++;
    }
    ck_assert_uint_lt(p, share.partitions);
    return p;
}

static int wanted(void)
{
    int count = 0;
    for (uint32_t p = 0; p < share.partitions; p++) {
        count += share_wish(&share, p, false, 0) == LEASE_WANTED;
    }
    return count;
}

START_TEST(who_cannot_lead_wishes_for_nothing)
{
    meet(0, 0);
    for (uint32_t p = 0; p < share.partitions; p++) {
        ck_assert_int_eq(share_wish(&share, p, false, 0), LEASE_UNWANTED);
        ck_assert_int_eq(share_wish(&share, p, true, 0), LEASE_UNWANTED);
    }
}
END_TEST

START_TEST(before_the_others_are_known_everything_is_spare)
{
    share_able(&share, true, 0);
    ck_assert_int_eq(wanted(), 0);
    ck_assert_int_eq(share_wish(&share, 3, false, 0), LEASE_SPARE);
    ck_assert_int_eq(share_wish(&share, 3, true, 0), LEASE_SPARE);
}
END_TEST

START_TEST(who_is_alone_wants_all)
{
    share_able(&share, true, 0);
    meet(0, 0);
    ck_assert_int_eq(wanted(), 8);
}
END_TEST

START_TEST(among_others_only_a_share_is_wanted)
{
    share_able(&share, true, 0);
    meet(1, 0);
    ck_assert_int_eq(wanted(), 4);
    ck_assert_int_eq(share_wish(&share, others(), false, 0), LEASE_SPARE);
}
END_TEST

START_TEST(what_falls_to_a_newcomer_is_handed_over_at_once)
{
    share_able(&share, true, 0);
    meet(0, 0);
    for (uint32_t p = 0; p < share.partitions; p++) {
        share_taken(&share, p, 0);
    }
    meet(1, 100);
    ck_assert_int_eq(share_wish(&share, others(), true, 200), LEASE_UNWANTED);
    ck_assert_int_eq(share_wish(&share, others(), false, 200), LEASE_SPARE);
}
END_TEST

START_TEST(what_was_taken_as_a_spare_is_kept_for_a_while)
{
    share_able(&share, true, 0);
    meet(1, 0);
    share_taken(&share, others(), 1000);
    ck_assert_int_eq(share_wish(&share, others(), true, 1000 + KEEP - 1), LEASE_SPARE);
    ck_assert_int_eq(share_wish(&share, others(), true, 1000 + KEEP), LEASE_UNWANTED);
}
END_TEST

START_TEST(what_comes_back_is_kept_twice_as_long)
{
    share_able(&share, true, 0);
    meet(1, 0);
    share_taken(&share, others(), 0);
    share_taken(&share, others(), 100000);
    ck_assert_int_eq(share_wish(&share, others(), true, 100000 + 2 * KEEP - 1), LEASE_SPARE);
    ck_assert_int_eq(share_wish(&share, others(), true, 100000 + 2 * KEEP), LEASE_UNWANTED);
    for (int i = 0; i < 100; i++) {
        share_taken(&share, others(), 0);
    }
    ck_assert_int_eq(share_wish(&share, others(), true, 64 * KEEP - 1), LEASE_SPARE);
    ck_assert_int_eq(share_wish(&share, others(), true, 64 * KEEP), LEASE_UNWANTED);
    meet(2, 200000);
    share_taken(&share, others(), 200000);
    ck_assert_int_eq(share_wish(&share, others(), true, 200000 + KEEP), LEASE_UNWANTED);
}
END_TEST

static uint32_t owned(void)
{
    uint32_t p = 0;
    while (!share.ours[p]) {
        p++;
    }
    return p;
}

START_TEST(who_fails_to_lead_lets_another_try)
{
    share_able(&share, true, 0);
    meet(1, 0);
    uint32_t p = owned();
    share_taken(&share, p, 0);
    share_failed(&share, p, 1000);
    share_failed(&share, p, 2000);
    share_led(&share, p);
    share_failed(&share, p, 3000);
    share_failed(&share, p, 4000);
    ck_assert_int_eq(share_wish(&share, p, true, 4000), LEASE_WANTED);
    share_failed(&share, p, 5000);
    ck_assert_int_eq(share_wish(&share, p, true, 5000), LEASE_UNWANTED);
    ck_assert_int_eq(share_wish(&share, p, false, 5000 + GONE - 1), LEASE_UNWANTED);
    ck_assert_int_eq(share_wish(&share, p, false, 5000 + GONE), LEASE_SPARE);
    ck_assert_int_eq(share_wish(&share, p, false, 5000 + KEEP), LEASE_WANTED);
}
END_TEST

START_TEST(who_is_alone_goes_on_trying)
{
    share_able(&share, true, 0);
    meet(0, 0);
    for (int i = 0; i < SHARE_FAILURES_MAX; i++) {
        share_failed(&share, 0, 1000);
    }
    ck_assert_int_ne(share_wish(&share, 0, true, 1000), LEASE_UNWANTED);
}
END_TEST

START_TEST(who_cannot_lead_any_more_gives_up_after_gone)
{
    share_able(&share, true, 0);
    meet(0, 0);
    share_taken(&share, 0, 0);
    share_able(&share, false, 1000);
    share_able(&share, false, 3000);
    ck_assert_int_eq(share_wish(&share, 0, true, 1000 + GONE - 1), LEASE_SPARE);
    ck_assert_int_eq(share_wish(&share, 0, true, 1000 + GONE), LEASE_UNWANTED);
    ck_assert_int_eq(share_wish(&share, 0, false, 1000), LEASE_UNWANTED);
    share_able(&share, true, 9000);
    ck_assert_int_eq(share_wish(&share, 0, true, 9000), LEASE_WANTED);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("share");
    TCase *tests = tcase_create("share");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, who_cannot_lead_wishes_for_nothing);
    tcase_add_test(tests, before_the_others_are_known_everything_is_spare);
    tcase_add_test(tests, who_is_alone_wants_all);
    tcase_add_test(tests, among_others_only_a_share_is_wanted);
    tcase_add_test(tests, what_falls_to_a_newcomer_is_handed_over_at_once);
    tcase_add_test(tests, what_was_taken_as_a_spare_is_kept_for_a_while);
    tcase_add_test(tests, what_comes_back_is_kept_twice_as_long);
    tcase_add_test(tests, who_fails_to_lead_lets_another_try);
    tcase_add_test(tests, who_is_alone_goes_on_trying);
    tcase_add_test(tests, who_cannot_lead_any_more_gives_up_after_gone);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
