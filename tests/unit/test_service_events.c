/* The events that wait to be told while there is no Redis. */
#include "common/service_internal.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

static struct service_events waiting;
static struct metric sent, dropped;
static size_t drained;

static void count_drained(void *arg)
{
    (void)arg;
    drained++;
}

static void setup(void)
{
    waiting = (struct service_events){
        .key = "dyn:events", .sent = &sent, .dropped = &dropped, .drained = count_drained};
    dropped.value = 0;
    drained = 0;
}

static void teardown(void)
{
    service_events_fini(&waiting);
}

static void tell(size_t number)
{
    char text[32];
    (void)snprintf(text, sizeof text, "number %zu", number);
    struct event event = {.code = DYN_STR("input_outage"), .text = dyn_str_from(text)};
    service_events_add(&waiting, &event);
}

/* Whether the one at `index` from the oldest on is that number. */
static bool is_number(size_t index, size_t number)
{
    char text[32];
    size_t len = (size_t)snprintf(text, sizeof text, "number %zu", number);
    const struct dyn_buf *bytes = &waiting.waiting[(waiting.first + index) % waiting.room];
    return bytes->len > len && memmem(bytes->ptr, bytes->len, text, len) != NULL;
}

#define OUTAGE 4096 /* inputs of one vendor */

START_TEST(what_an_outage_of_thousands_of_inputs_says_waits_in_order)
{
    for (size_t i = 0; i < OUTAGE; i++) {
        tell(10000 + i);
    }
    ck_assert_uint_eq(waiting.count, OUTAGE);
    ck_assert_double_eq(dropped.value, 0);
    for (size_t i = 0; i < OUTAGE; i++) {
        ck_assert(is_number(i, 10000 + i));
    }
}
END_TEST

START_TEST(beyond_the_bound_the_oldest_goes_and_is_counted_and_told_once)
{
    for (size_t i = 0; i < DYN_EVENTS_WAITING; i++) {
        tell(10000 + i);
    }
    ck_assert(!waiting.losing);
    for (size_t i = 0; i < 3; i++) {
        tell(20000 + i);
        ck_assert(waiting.losing);
    }
    ck_assert_uint_eq(waiting.count, DYN_EVENTS_WAITING);
    ck_assert_double_eq(dropped.value, 3);
    ck_assert(is_number(0, 10003));
    ck_assert(is_number(DYN_EVENTS_WAITING - 1, 20002));
}
END_TEST

START_TEST(what_is_under_way_stays_when_the_oldest_goes)
{
    for (size_t i = 0; i < DYN_EVENTS_WAITING; i++) {
        tell(10000 + i);
    }
    waiting.sending = true;
    tell(20000);
    ck_assert(is_number(0, 10000));
    ck_assert(is_number(1, 10002));
}
END_TEST

START_TEST(no_memory_is_held_before_the_first_event)
{
    ck_assert_uint_eq(waiting.room, 0);
    tell(1);
    ck_assert_uint_le(waiting.room, 64);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("service_events");
    TCase *tests = tcase_create("service_events");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, what_an_outage_of_thousands_of_inputs_says_waits_in_order);
    tcase_add_test(tests, beyond_the_bound_the_oldest_goes_and_is_counted_and_told_once);
    tcase_add_test(tests, what_is_under_way_stays_when_the_oldest_goes);
    tcase_add_test(tests, no_memory_is_held_before_the_first_event);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
