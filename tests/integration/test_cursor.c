/* The hash of a sink, written to a real Redis. */
#include "support_redis.h"

#include "common/clock.h"
#include "reporter/cursor.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#define KEY "dyn:{rep}:errors:mail"
#define LEASE "dyn:{rep}:lease:errors:mail"
#define AWAIT_MS 10000

static struct support_redis *redis;
static struct dyn_loop *loop;
static struct bus *bus;
static struct cursor *cursor;
static bool ready;

static void bus_ready(void *arg, struct dyn_str replid)
{
    (void)arg, (void)replid;
    ready = true;
}

static void bus_lost(void *arg, const char *why)
{
    (void)arg;
    ck_abort_msg("%s", why);
}

static void settled(void *arg)
{
    (void)arg;
}

static void fenced(void *arg)
{
    (void)arg;
    ck_abort_msg("fenced");
}

#define AWAIT(condition)                                                     \
    do {                                                                     \
        int64_t end_ms = dyn_clock_boot_ms() + AWAIT_MS;                     \
        while (!(condition)) {                                               \
            ck_assert_msg(dyn_clock_boot_ms() < end_ms, "not: " #condition); \
            dyn_loop_once(loop, 5);                                          \
        }                                                                    \
    } while (0)

static void setup(void)
{
    struct dyn_error error = {""};
    redis = support_redis_new(NULL);
    support_redis_load_functions(redis);
    support_redis_call(redis, "HSET", LEASE, "owner", "us", "epoch", "7", NULL);
    loop = dyn_loop_new();
    ready = false;
    bus = bus_new(loop,
                  &(struct bus_options){.url = support_redis_url(redis),
                                        .name = "cursor",
                                        .ready = bus_ready,
                                        .lost = bus_lost},
                  &error);
    ck_assert_msg(bus != NULL, "%s", error.text);
    cursor = cursor_new(&(struct cursor_options){.bus = &bus,
                                                 .key = KEY,
                                                 .lease = LEASE,
                                                 .owner = "us",
                                                 .settled = settled,
                                                 .fenced = fenced});
    ck_assert_ptr_nonnull(cursor);
    cursor_lead(cursor, DYN_STR("7"));
    AWAIT(ready);
}

static void teardown(void)
{
    cursor_free(cursor);
    bus_free(bus);
    dyn_loop_free(loop);
    support_redis_free(redis);
}

/* Accepted in one delivery: as many events, and how far that is. */
static void accept(int events)
{
    char field[CURSOR_FIELD_MAX];
    char position[32];
    for (int i = 0; i < events; i++) {
        (void)snprintf(field, sizeof field, "seen:%016d", i);
        (void)snprintf(position, sizeof position, "%d-0", i + 1);
        cursor_move(cursor, "events", position);
        cursor_set(cursor, field, "1000 1 0 1 0");
    }
    cursor_flush(cursor);
}

static int written(void)
{
    return atoi(support_redis_call(redis, "HLEN", KEY, NULL));
}

/* The loop writes, and does not read the answer: no other call follows. */
static void one_call(void)
{
    int64_t end_ms = dyn_clock_boot_ms() + AWAIT_MS;
    dyn_loop_once(loop, 0);
    while (written() == 0) {
        ck_assert_int_lt(dyn_clock_boot_ms(), end_ms);
    }
}

START_TEST(a_position_goes_out_with_what_was_set_with_it)
{
    accept(CURSOR_CALL_MAX - 1);
    one_call();
    ck_assert_int_eq(written(), CURSOR_CALL_MAX);
    ck_assert_str_eq(support_redis_call(redis, "HGET", KEY, "events", NULL), "63-0");
    AWAIT(cursor_is_clean(cursor));
}
END_TEST

START_TEST(a_position_is_not_written_before_what_was_set_with_it)
{
    accept(2 * CURSOR_CALL_MAX);
    one_call();
    ck_assert_int_eq(written(), CURSOR_CALL_MAX);
    ck_assert_str_eq(support_redis_call(redis, "HEXISTS", KEY, "events", NULL), "0");
    AWAIT(cursor_is_clean(cursor));
    ck_assert_int_eq(written(), 2 * CURSOR_CALL_MAX + 1);
    ck_assert_str_eq(support_redis_call(redis, "HGET", KEY, "events", NULL), "128-0");
}
END_TEST

START_TEST(what_is_removed_goes)
{
    accept(2);
    AWAIT(cursor_is_clean(cursor));
    cursor_set(cursor, "seen:0000000000000000", "");
    cursor_flush(cursor);
    AWAIT(cursor_is_clean(cursor));
    ck_assert_int_eq(written(), 2);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cursor");
    TCase *tests = tcase_create("cursor");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_position_goes_out_with_what_was_set_with_it);
    tcase_add_test(tests, a_position_is_not_written_before_what_was_set_with_it);
    tcase_add_test(tests, what_is_removed_goes);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
