#include "actuator/groups.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define KEEP_MS 30000
#define COUNT 3

static struct groups_name names[COUNT];

static void setup(void)
{
    static const char *const all[COUNT] = {"beta", "alpha", "gamma"};
    memset(names, 0, sizeof names);
    for (size_t i = 0; i < COUNT; i++) {
        names[i].name = all[i];
    }
}

/* Heroku told it, everybody can read it, and the lease is held. */
static void hold(size_t at, const char *identity)
{
    names[at].told = GROUPS_TOLD;
    names[at].held = true;
    names[at].read = true;
    names[at].ours = true;
    strcpy(names[at].identity, identity);
    strcpy(names[at].shared, identity);
    groups_form(names, COUNT);
}

static enum lease_wish wish(size_t at, int64_t now_ms)
{
    return groups_wish(names, at, true, KEEP_MS, now_ms);
}

static bool clear(size_t at)
{
    return groups_is_clear(names, COUNT, at, true, KEEP_MS, 0);
}

START_TEST(names_of_one_identity_follow_the_smallest)
{
    hold(0, "one");
    hold(1, "one");
    hold(2, "two");
    ck_assert_uint_eq(names[0].first, 1);
    ck_assert_uint_eq(names[1].first, 1);
    ck_assert_uint_eq(names[2].first, 2);
    ck_assert(clear(0) && clear(1) && clear(2));
}
END_TEST

START_TEST(names_that_nothing_is_known_of_stand_alone)
{
    groups_form(names, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        ck_assert_uint_eq(names[i].first, i);
        ck_assert(!clear(i));
    }
}
END_TEST

START_TEST(an_alias_is_wanted_by_who_holds_the_first_alone)
{
    hold(0, "one");
    hold(1, "one");
    names[1].held = false;
    ck_assert_int_eq(wish(0, 0), LEASE_UNWANTED);
    ck_assert(!clear(0));
    names[1].held = true;
    names[0].held = false;
    names[0].ours = false; /* nobody asks whom it falls to */
    ck_assert_int_eq(wish(0, 0), LEASE_WANTED);
    ck_assert(!clear(1)); /* another may still write under it */
    names[0].held = true;
    ck_assert(clear(1));
}
END_TEST

START_TEST(nothing_is_touched_before_all_can_know_whose_it_is)
{
    hold(0, "one");
    names[0].told = GROUPS_UNTOLD;
    ck_assert(!clear(0) && !groups_must_write(&names[0]));
    names[0].told = GROUPS_TOLD;
    strcpy(names[0].shared, "");
    ck_assert(!clear(0) && groups_must_write(&names[0]));
    strcpy(names[0].shared, "another");
    ck_assert(!clear(0) && groups_must_write(&names[0]));
    strcpy(names[0].shared, "one");
    names[0].read = false;
    ck_assert(!clear(0) && !groups_must_write(&names[0]));
    names[0].read = true;
    ck_assert(clear(0));
    names[0].held = false;
    ck_assert(!clear(0));
    strcpy(names[0].shared, "another");
    ck_assert(!groups_must_write(&names[0])); /* its holder does */
}
END_TEST

START_TEST(a_key_that_may_not_ask_stands_alone)
{
    hold(0, "");
    names[0].told = GROUPS_PRIVATE;
    ck_assert(clear(0) && !groups_must_write(&names[0]));
}
END_TEST

START_TEST(what_another_was_told_of_a_name_stays_when_our_key_may_not_ask)
{
    hold(0, "one");
    hold(1, "one");
    names[0].told = GROUPS_PRIVATE;
    names[0].identity[0] = '\0';
    ck_assert(!groups_must_write(&names[0]));
    ck_assert_int_eq(wish(0, 0), LEASE_WANTED); /* with the first, which we hold */
    ck_assert(clear(0) && clear(1));
}
END_TEST

START_TEST(what_falls_to_another_is_handed_over)
{
    hold(0, "one");
    ck_assert_int_eq(wish(0, 0), LEASE_WANTED);
    names[0].ours = false;
    ck_assert_int_eq(wish(0, 0), LEASE_UNWANTED);
    ck_assert(!clear(0));
    names[0].held = false;
    ck_assert_int_eq(wish(0, 0), LEASE_SPARE);
}
END_TEST

START_TEST(what_was_taken_as_a_spare_is_kept_for_a_while)
{
    hold(0, "one");
    names[0].ours = false;
    names[0].as_spare = true;
    names[0].taken_ms = 1000;
    ck_assert_int_eq(wish(0, 1000), LEASE_SPARE);
    ck_assert_int_eq(wish(0, 1000 + KEEP_MS - 1), LEASE_SPARE);
    ck_assert_int_eq(wish(0, 1000 + KEEP_MS), LEASE_UNWANTED);
    names[0].ours = true;
    ck_assert_int_eq(wish(0, 1000 + KEEP_MS), LEASE_WANTED);
}
END_TEST

START_TEST(what_comes_back_is_kept_twice_as_long)
{
    hold(0, "one");
    names[0].ours = false;
    names[0].as_spare = true;
    names[0].spares = 2;
    ck_assert_int_eq(wish(0, 2 * KEEP_MS - 1), LEASE_SPARE);
    ck_assert_int_eq(wish(0, 2 * KEEP_MS), LEASE_UNWANTED);
    names[0].spares = 1000;
    ck_assert_int_eq(wish(0, 64 * KEEP_MS - 1), LEASE_SPARE);
    ck_assert_int_eq(wish(0, 64 * KEEP_MS), LEASE_UNWANTED);
}
END_TEST

START_TEST(what_lacks_its_key_is_left_to_others)
{
    hold(0, "one");
    hold(1, "one");
    names[0].unable = true; /* the first's key decides */
    ck_assert_int_eq(wish(0, 0), LEASE_WANTED);
    names[1].unable = true;
    ck_assert_int_eq(wish(1, 0), LEASE_UNWANTED);
    ck_assert_int_eq(wish(0, 0), LEASE_UNWANTED);
    names[1].held = false;
    ck_assert_int_eq(wish(1, 0), LEASE_UNWANTED);
}
END_TEST

START_TEST(with_no_known_membership_what_is_held_stays)
{
    hold(0, "one");
    names[0].ours = false;
    ck_assert_int_eq(groups_wish(names, 0, false, KEEP_MS, 0), LEASE_SPARE);
    ck_assert(groups_is_clear(names, COUNT, 0, false, KEEP_MS, 0));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("groups");
    TCase *tcase = tcase_create("groups");
    tcase_add_checked_fixture(tcase, setup, NULL);
    tcase_add_test(tcase, names_of_one_identity_follow_the_smallest);
    tcase_add_test(tcase, names_that_nothing_is_known_of_stand_alone);
    tcase_add_test(tcase, an_alias_is_wanted_by_who_holds_the_first_alone);
    tcase_add_test(tcase, nothing_is_touched_before_all_can_know_whose_it_is);
    tcase_add_test(tcase, a_key_that_may_not_ask_stands_alone);
    tcase_add_test(tcase, what_another_was_told_of_a_name_stays_when_our_key_may_not_ask);
    tcase_add_test(tcase, what_falls_to_another_is_handed_over);
    tcase_add_test(tcase, what_was_taken_as_a_spare_is_kept_for_a_while);
    tcase_add_test(tcase, what_comes_back_is_kept_twice_as_long);
    tcase_add_test(tcase, what_lacks_its_key_is_left_to_others);
    tcase_add_test(tcase, with_no_known_membership_what_is_held_stays);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
