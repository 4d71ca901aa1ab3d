#include "reporter/pulse.h"

#include <check.h>

#define NOW INT64_C(1000000)
#define REDIS INT64_C(1525187794564)

static struct pulse pulse;
static struct dyn_error why;

static void beat_all(uint64_t beats, int64_t now_ms)
{
    for (enum pulse_role role = 0; role < PULSE_ROLES; role++) {
        pulse_beat(&pulse, role, beats, now_ms);
    }
}

static void fold_all(int64_t age_ms, int64_t now_ms)
{
    for (uint32_t i = 0; i < pulse.partitions; i++) {
        pulse_fold(&pulse, i, REDIS - age_ms, REDIS, now_ms);
    }
}

/* Two looks with everything moving in between. */
static void setup(void)
{
    pulse_init(&pulse, 8);
    beat_all(1, NOW - 5000);
    beat_all(2, NOW);
    fold_all(2000, NOW);
}

START_TEST(it_lives_when_all_roles_beat_and_every_partition_is_folded)
{
    ck_assert(pulse_lives(&pulse, NOW, &why));
    ck_assert(pulse_lives(&pulse, NOW + PULSE_MAX_MS - 2000, &why));
}
END_TEST

START_TEST(nothing_seen_is_no_life)
{
    pulse_init(&pulse, 8);
    ck_assert(!pulse_lives(&pulse, NOW, &why));
    ck_assert_str_eq(why.text, "no collector was seen to beat for 30 s");
    fold_all(0, NOW);
    beat_all(7, NOW);
    ck_assert(!pulse_lives(&pulse, NOW, &why)); /* they may be leftovers */
    beat_all(8, NOW + 5000);
    ck_assert(pulse_lives(&pulse, NOW + 5000, &why));
}
END_TEST

START_TEST(a_role_that_stands_still_ends_it)
{
    for (enum pulse_role still = 0; still < PULSE_ROLES; still++) {
        setup();
        for (enum pulse_role role = 0; role < PULSE_ROLES; role++) {
            pulse_beat(&pulse, role, role == still ? 2 : 3, NOW + PULSE_MAX_MS + 1);
        }
        fold_all(0, NOW + PULSE_MAX_MS + 1);
        ck_assert(pulse_lives(&pulse, NOW + PULSE_MAX_MS, &why));
        ck_assert(!pulse_lives(&pulse, NOW + PULSE_MAX_MS + 1, &why));
        ck_assert_ptr_nonnull(strstr(why.text, pulse_role_name(still)));
    }
}
END_TEST

START_TEST(one_partition_that_is_behind_ends_it)
{
    pulse_fold(&pulse, 5, REDIS - PULSE_MAX_MS, REDIS, NOW);
    ck_assert(pulse_lives(&pulse, NOW, &why));
    pulse_fold(&pulse, 5, REDIS - PULSE_MAX_MS - 1, REDIS, NOW);
    ck_assert(!pulse_lives(&pulse, NOW, &why));
    ck_assert_str_eq(why.text, "partition 5 was not folded for 30 s");
    /* Re-reading its log, it is led, and not alive before it is through. */
    pulse_fold(&pulse, 5, REDIS - 600000, REDIS, NOW);
    ck_assert(!pulse_lives(&pulse, NOW, &why));
    pulse_fold(&pulse, 5, REDIS - 1000, REDIS, NOW);
    ck_assert(pulse_lives(&pulse, NOW, &why));
}
END_TEST

START_TEST(a_cursor_ahead_of_a_clock_set_back_must_move)
{
    for (int64_t now_ms = NOW; now_ms <= NOW + 60000; now_ms += 5000) {
        beat_all((uint64_t)now_ms, now_ms);
        for (uint32_t i = 0; i < pulse.partitions; i++) {
            pulse_fold(&pulse, i, i == 3 ? REDIS + 3600000 : REDIS, REDIS, now_ms);
        }
    }
    ck_assert(!pulse_lives(&pulse, NOW + 60000, &why));
    ck_assert_ptr_nonnull(strstr(why.text, "partition 3"));
    pulse_fold(&pulse, 3, REDIS + 3600001, REDIS, NOW + 60000);
    ck_assert(pulse_lives(&pulse, NOW + 60000, &why));
}
END_TEST

START_TEST(no_answers_end_it)
{
    ck_assert(!pulse_lives(&pulse, NOW + PULSE_MAX_MS + 1, &why));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pulse");
    TCase *tests = tcase_create("pulse");
    tcase_add_checked_fixture(tests, setup, NULL);
    tcase_add_test(tests, it_lives_when_all_roles_beat_and_every_partition_is_folded);
    tcase_add_test(tests, nothing_seen_is_no_life);
    tcase_add_test(tests, a_role_that_stands_still_ends_it);
    tcase_add_test(tests, one_partition_that_is_behind_ends_it);
    tcase_add_test(tests, a_cursor_ahead_of_a_clock_set_back_must_move);
    tcase_add_test(tests, no_answers_end_it);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
