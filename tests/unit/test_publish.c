#include "estimator/publish.h"

#include <check.h>
#include <stdlib.h>

static struct publish *queue;
static struct pack_reader *reader;

static void setup(void)
{
    queue = publish_new(300);
    reader = pack_reader_new();
}

static void teardown(void)
{
    publish_free(queue);
    pack_reader_free(reader);
}

static dyn_err put(uint64_t controller, int32_t rung)
{
    struct target target = {.controller = controller,
                            .app = DYN_STR("shop"),
                            .name = DYN_STR("dynos"),
                            .rung = rung,
                            .decided = {1000, 0}};
    return publish_put(queue, &target);
}

static int32_t rung_of(const struct publish_item *item)
{
    struct target target;
    ck_assert_int_eq(pack_reader_start(reader, dyn_buf_str(&item->payload)), DYN_OK);
    ck_assert_int_eq(message_read_kind(reader), MESSAGE_TARGET);
    ck_assert_int_eq(message_read_target(reader, &target), DYN_OK);
    return target.rung;
}

START_TEST(targets_leave_in_the_order_in_which_they_came)
{
    const struct publish_item *items;
    for (int32_t i = 1; i <= 300; i++) {
        ck_assert_int_eq(put((uint64_t)i * 77, i), DYN_OK);
    }
    ck_assert_uint_eq(publish_peek(queue, &items, 256), 256);
    ck_assert_int_eq(rung_of(&items[0]), 1);
    publish_drop(queue, 256);
    ck_assert_uint_eq(publish_peek(queue, &items, 256), 44);
    for (int32_t i = 0; i < 44; i++) {
        ck_assert_int_eq(rung_of(&items[i]), 257 + i);
    }
}
END_TEST

START_TEST(a_newer_target_takes_the_place_of_the_waiting_one)
{
    const struct publish_item *items;
    ck_assert_int_eq(put(1, 5), DYN_OK);
    ck_assert_int_eq(put(2, 6), DYN_OK);
    ck_assert_int_eq(put(1, 9), DYN_OK);
    ck_assert_uint_eq(publish_peek(queue, &items, 256), 2);
    ck_assert_int_eq(rung_of(&items[0]), 9);
    publish_drop(queue, 1);
    ck_assert_int_eq(put(1, 10), DYN_OK);
    ck_assert_int_eq(put(2, 7), DYN_OK);
    ck_assert_uint_eq(publish_peek(queue, &items, 256), 2);
    ck_assert_int_eq(rung_of(&items[0]), 7);
    ck_assert_int_eq(rung_of(&items[1]), 10);
}
END_TEST

START_TEST(more_controllers_than_were_announced_are_refused)
{
    for (int32_t i = 1; i <= 300; i++) {
        ck_assert_int_eq(put((uint64_t)i, i), DYN_OK);
    }
    ck_assert_int_eq(put(301, 1), DYN_RANGE);
    ck_assert_int_eq(put(300, 1), DYN_OK);
    ck_assert_uint_eq(publish_count(queue), 300);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("publish");
    TCase *tests = tcase_create("publish");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, targets_leave_in_the_order_in_which_they_came);
    tcase_add_test(tests, a_newer_target_takes_the_place_of_the_waiting_one);
    tcase_add_test(tests, more_controllers_than_were_announced_are_refused);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
