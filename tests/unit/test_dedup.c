#include "reporter/dedup.h"

#include <check.h>

static struct dedup dedup;
static uint64_t repeats;
static uint64_t forgotten;
static const struct dedup_entry *entry;

#define MINUTE 60000LL
#define START 1000000000LL

static void set_up(void)
{
    dedup = (struct dedup){0};
}

static struct event event_of(const char *input, enum event_state state)
{
    return (struct event){.state = state,
                          .code = DYN_STR("input_outage"),
                          .app = DYN_STR("shop"),
                          .controller = DYN_STR("web"),
                          .input = dyn_str_from(input)};
}

static bool take(const char *input, enum event_state state, int64_t now_ms)
{
    struct event event = event_of(input, state);
    return dedup_take(&dedup, &event, now_ms, &repeats, &entry, &forgotten);
}

START_TEST(the_first_event_is_told_at_once)
{
    ck_assert(take("users", EVENT_ONCE, START));
    ck_assert_uint_eq(repeats, 0);
    ck_assert(take("rpm", EVENT_ONCE, START));
}
END_TEST

START_TEST(repeats_within_an_hour_are_counted_and_the_next_one_told_brings_the_count)
{
    ck_assert(take("users", EVENT_ONCE, START));
    for (int i = 1; i < 60; i++) {
        ck_assert(!take("users", EVENT_ONCE, START + i * MINUTE));
        ck_assert_uint_eq(entry->suppressed, (uint64_t)i);
    }
    ck_assert(take("users", EVENT_ONCE, START + 60 * MINUTE));
    ck_assert_uint_eq(repeats, 59);
    ck_assert(!take("users", EVENT_ONCE, START + 61 * MINUTE));
}
END_TEST

START_TEST(over_is_told_only_after_its_raised)
{
    ck_assert(!take("users", EVENT_OVER, START));
    ck_assert_ptr_null(entry);
    ck_assert(take("users", EVENT_RAISED, START + 1));
    ck_assert(take("users", EVENT_OVER, START + 2));
    ck_assert(!take("users", EVENT_OVER, START + 3));
}
END_TEST

START_TEST(over_is_told_also_hours_after_its_raised)
{
    ck_assert(take("users", EVENT_RAISED, START));
    ck_assert_uint_eq(dedup_expire(&dedup, START + 48LL * DEDUP_WINDOW_MS), 0);
    ck_assert(take("users", EVENT_OVER, START + 48LL * DEDUP_WINDOW_MS));
}
END_TEST

START_TEST(what_lasts_is_told_again_after_an_hour)
{
    ck_assert(take("users", EVENT_RAISED, START));
    ck_assert(!take("users", EVENT_RAISED, START + 59 * MINUTE));
    ck_assert(take("users", EVENT_RAISED, START + 60 * MINUTE));
    ck_assert_uint_eq(repeats, 1);
    ck_assert(take("users", EVENT_OVER, START + 61 * MINUTE));
}
END_TEST

START_TEST(what_flaps_is_told_three_times_an_hour_each_with_its_over)
{
    int raised = 0;
    int over = 0;
    for (int i = 0; i < 29; i++) {
        raised += take("users", EVENT_RAISED, START + 2LL * i * MINUTE);
        over += take("users", EVENT_OVER, START + (2LL * i + 1) * MINUTE);
        ck_assert_int_eq(raised, over);
    }
    ck_assert_int_eq(raised, DEDUP_TOLD_MAX);
    ck_assert(take("users", EVENT_RAISED, START + 60 * MINUTE));
    ck_assert_uint_eq(repeats, 26);
}
END_TEST

START_TEST(fingerprints_are_made_of_code_app_controller_and_input)
{
    struct event a = event_of("users", EVENT_ONCE);
    struct event b = a;
    b.text = DYN_STR("other words");
    b.service = DYN_STR("other service");
    b.state = EVENT_OVER;
    ck_assert_uint_eq(dedup_fingerprint(&a), dedup_fingerprint(&b));
    b = a;
    b.app = DYN_STR("sho");
    b.controller = DYN_STR("pweb");
    ck_assert_uint_ne(dedup_fingerprint(&a), dedup_fingerprint(&b));
    b = a;
    b.code = DYN_STR("input_stale");
    ck_assert_uint_ne(dedup_fingerprint(&a), dedup_fingerprint(&b));
}
END_TEST

START_TEST(a_full_table_forgets_the_oldest_window)
{
    char input[32];
    for (int i = 0; i < DEDUP_ENTRIES_MAX; i++) {
        (void)snprintf(input, sizeof input, "input-%d", i);
        ck_assert(take(input, EVENT_ONCE, START + i));
        ck_assert_uint_eq(forgotten, 0);
    }
    struct event oldest = event_of("input-0", EVENT_ONCE);
    ck_assert(take("one more", EVENT_ONCE, START + DEDUP_ENTRIES_MAX));
    ck_assert_uint_eq(forgotten, dedup_fingerprint(&oldest));
    ck_assert(!take("input-1", EVENT_ONCE, START + DEDUP_ENTRIES_MAX));
}
END_TEST

START_TEST(what_lasts_outlives_any_number_of_troubles_that_are_over)
{
    char input[32];
    struct event first = event_of("input-0", EVENT_RAISED);
    ck_assert(take("users", EVENT_RAISED, START));
    for (int i = 0; i < 2 * DEDUP_ENTRIES_MAX; i++) {
        (void)snprintf(input, sizeof input, "input-%d", i);
        ck_assert(take(input, EVENT_RAISED, START + MINUTE + i));
        ck_assert_uint_eq(forgotten != 0, i >= DEDUP_ENTRIES_MAX - 1);
        ck_assert(i != DEDUP_ENTRIES_MAX - 1 || forgotten == dedup_fingerprint(&first));
        ck_assert(take(input, EVENT_OVER, START + MINUTE + i));
    }
    ck_assert(take("users", EVENT_OVER, START + 59 * MINUTE));
}
END_TEST

START_TEST(with_all_places_taken_by_what_lasts_the_oldest_is_forgotten)
{
    char input[32];
    for (int i = 0; i <= DEDUP_ENTRIES_MAX; i++) {
        (void)snprintf(input, sizeof input, "input-%d", i);
        ck_assert(take(input, EVENT_RAISED, START + i));
    }
    ck_assert(!take("input-0", EVENT_OVER, START + 59 * MINUTE));
    ck_assert(take("input-1", EVENT_OVER, START + 59 * MINUTE));
}
END_TEST

START_TEST(closed_entries_expire_after_a_day)
{
    struct event event = event_of("users", EVENT_ONCE);
    ck_assert(take("users", EVENT_ONCE, START));
    ck_assert_uint_eq(dedup_expire(&dedup, START + 24LL * DEDUP_WINDOW_MS - 1), 0);
    ck_assert_uint_eq(dedup_expire(&dedup, START + 24LL * DEDUP_WINDOW_MS),
                      dedup_fingerprint(&event));
    ck_assert_uint_eq(dedup_expire(&dedup, START + 24LL * DEDUP_WINDOW_MS), 0);
}
END_TEST

START_TEST(what_is_remembered_survives_as_text)
{
    char text[DEDUP_TEXT];
    struct dedup_entry back;
    ck_assert(take("users", EVENT_RAISED, START));
    ck_assert(!take("users", EVENT_RAISED, START + 1));
    dedup_format(entry, text, sizeof text);
    ck_assert_str_eq(text, "1000000000 1 1 1 0");
    ck_assert_int_eq(dedup_parse(entry->fingerprint, dyn_str_from(text), &back), DYN_OK);
    set_up();
    dedup_restore(&dedup, &back);
    ck_assert(!take("users", EVENT_RAISED, START + 2));
    ck_assert(take("users", EVENT_OVER, START + 3));
    ck_assert_uint_eq(repeats, 2);
}
END_TEST

static const struct dedup_entry *failure_take(const char *input, const char *cause,
                                              enum event_state state)
{
    struct event event = event_of(input, state);
    event.level = state == EVENT_OVER ? EVENT_INFO : EVENT_ERROR;
    event.cause = dyn_str_from(cause);
    ck_assert(dedup_take(&dedup, &event, START, &repeats, &entry, &forgotten));
    return entry;
}

START_TEST(troubles_of_one_cause_are_one_incident_until_the_last_is_over)
{
    char text[DEDUP_TEXT];
    struct dedup_entry back;
    uint64_t incident = failure_take("a", "api.example.com", EVENT_RAISED)->incident;
    ck_assert_uint_ne(incident, 0);
    ck_assert_uint_eq(dedup_others(&dedup, entry), 0);
    ck_assert_uint_eq(failure_take("b", "api.example.com", EVENT_RAISED)->incident, incident);
    ck_assert_uint_eq(dedup_others(&dedup, entry), 1);
    ck_assert_uint_ne(failure_take("c", "", EVENT_RAISED)->incident, incident);
    ck_assert_uint_eq(dedup_others(&dedup, entry), 0);
    dedup_format(failure_take("a", "", EVENT_OVER), text, sizeof text);
    ck_assert_uint_eq(dedup_others(&dedup, entry), 1);
    ck_assert_int_eq(dedup_parse(entry->fingerprint, dyn_str_from(text), &back), DYN_OK);
    ck_assert_uint_eq(back.incident, incident);
    ck_assert_uint_eq(failure_take("b", "", EVENT_OVER)->incident, incident);
    ck_assert_uint_eq(dedup_others(&dedup, entry), 0);
    ck_assert(take("d", EVENT_RAISED, START));
    ck_assert_uint_eq(entry->incident, 0);
}
END_TEST

START_TEST(text_that_is_none_of_ours_is_refused)
{
    const char *texts[] = {"",
                           "1",
                           "1 2 3 1",
                           "1 2 3 2 0",
                           "1 2 3 1 4 5",
                           "x 1 1 1 1",
                           "-1 1 1 1 1",
                           "1 99999999999 1 1 1",
                           "1  1 1 1",
                           "9223372036854775808 1 1 1 1"};
    struct dedup_entry back = {.told = 77};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        ck_assert_msg(dedup_parse(1, dyn_str_from(texts[i]), &back) == DYN_BADMSG, "%s", texts[i]);
    }
    ck_assert_int_eq(dedup_parse(0, DYN_STR("1 1 1 1 1"), &back), DYN_BADMSG);
    ck_assert_uint_eq(back.told, 77);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("dedup");
    TCase *tests = tcase_create("dedup");
    tcase_add_checked_fixture(tests, set_up, NULL);
    tcase_add_test(tests, the_first_event_is_told_at_once);
    tcase_add_test(tests,
                   repeats_within_an_hour_are_counted_and_the_next_one_told_brings_the_count);
    tcase_add_test(tests, over_is_told_only_after_its_raised);
    tcase_add_test(tests, over_is_told_also_hours_after_its_raised);
    tcase_add_test(tests, what_lasts_is_told_again_after_an_hour);
    tcase_add_test(tests, what_flaps_is_told_three_times_an_hour_each_with_its_over);
    tcase_add_test(tests, fingerprints_are_made_of_code_app_controller_and_input);
    tcase_add_test(tests, a_full_table_forgets_the_oldest_window);
    tcase_add_test(tests, what_lasts_outlives_any_number_of_troubles_that_are_over);
    tcase_add_test(tests, with_all_places_taken_by_what_lasts_the_oldest_is_forgotten);
    tcase_add_test(tests, closed_entries_expire_after_a_day);
    tcase_add_test(tests, what_is_remembered_survives_as_text);
    tcase_add_test(tests, troubles_of_one_cause_are_one_incident_until_the_last_is_over);
    tcase_add_test(tests, text_that_is_none_of_ours_is_refused);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
