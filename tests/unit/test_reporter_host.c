#include "reporter/host.h"

#include <check.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t id, struct timespec *at);
void arc4random_buf(void *bytes, size_t len);

/* The pauses must not be waited for: the tests own the elapsed time and the jitter. */
static int64_t ahead_s;
static unsigned char random_byte;

int clock_gettime(clockid_t id, struct timespec *at)
{
    int result = (int)syscall(SYS_clock_gettime, id, at);
    at->tv_sec += id == CLOCK_REALTIME ? 0 : ahead_s;
    return result;
}

void arc4random_buf(void *bytes, size_t len)
{
    memset(bytes, random_byte, len);
}

/* ---- a sink that does what the test says ---- */

static struct {
    int failures;    /* so many deliveries fail first */
    dyn_err failure; /* with this */
    bool silent;     /* no answer comes */
    bool refuse;     /* init() fails */
    bool gathers;    /* each delivery is taken along */
    int64_t wait_ms; /* said before each answer */
    int flushed;
    int firsts;
    int delivered;
    int cancelled;
    int finished;
    struct sink_host *host;
    char told[8192];
} mock;

static dyn_err mock_init(void *state, struct sink_host *host, struct dyn_error *error)
{
    (void)state;
    mock.host = host;
    return mock.refuse ? dyn_error_set(error, DYN_NOTFOUND, "KEY is not set") : DYN_OK;
}

static void mock_deliver(void *state, struct sink_host *host, const struct sink_delivery *delivery)
{
    (void)state;
    mock.delivered++;
    mock.firsts += delivery->first;
    if (mock.silent) {
        return;
    }
    if (mock.gathers) {
        sink_gather(host);
        return;
    }
    sink_wait(host, mock.wait_ms);
    if (mock.failures > 0) {
        mock.failures--;
        sink_done(host, mock.failure, "no luck with %s", "it");
        return;
    }
    size_t len = strlen(mock.told);
    (void)snprintf(mock.told + len, sizeof mock.told - len, DYN_STR_FMT " ",
                   DYN_STR_ARG(delivery->event->text));
    sink_done(host, DYN_OK, "%s", "");
}

static void mock_flush(void *state, struct sink_host *of)
{
    (void)state;
    mock.flushed++;
    sink_wait(of, mock.wait_ms);
    if (mock.failures > 0) {
        mock.failures--;
        sink_done(of, mock.failure, "no luck with %s", "all");
        return;
    }
    sink_done(of, DYN_OK, "%s", "");
}

static void mock_cancel(void *state)
{
    (void)state;
    mock.cancelled++;
    sink_done(mock.host, DYN_OK, "%s", ""); /* too late: it must not count */
}

static void mock_fini(void *state)
{
    (void)state;
    mock.finished++;
}

static const struct sink_ops mock_ops = {
    .kind = CONFIG_ERRORS,
    .name = "mock",
    .state_size = 8,
    .init = mock_init,
    .deliver = mock_deliver,
    .flush = mock_flush,
    .cancel = mock_cancel,
    .fini = mock_fini,
};

/* ---- its owner ---- */

static struct dyn_loop *loop;
static struct sink_host *host;
static double accepted_count, failed_count, dead_count, dropped_count, queued_count;
static struct event event;
static uint64_t accepted_last;
static int buried;
static bool bury_refused; /* Redis is away: the first time only */
static int rooms;
static char buried_why[256];
static bool forbidden;

static bool may(void *arg)
{
    (void)arg;
    return !forbidden;
}

static bool prepare(void *arg, struct host_item *item, struct sink_delivery *out)
{
    (void)arg;
    event.text = dyn_buf_str(&item->message);
    out->event = &event;
    return !dyn_str_starts(event.text, "skip");
}

static void bury(void *arg, const struct host_item *item, const char *why)
{
    (void)arg;
    (void)item;
    dyn_str_copy(buried_why, sizeof buried_why, dyn_str_from(why));
    bool done = !bury_refused;
    bury_refused = false;
    buried += done;
    host_buried(host, done);
}

static void accepted(void *arg, const struct host_item *item)
{
    (void)arg;
    ck_assert_uint_gt(item->id.ms, accepted_last);
    accepted_last = item->id.ms;
}

static void room(void *arg)
{
    (void)arg;
    rooms++;
}

static dyn_err host_make(bool drop_oldest, struct dyn_error *error)
{
    return host_new(&(struct host_options){.loop = loop,
                                           .ops = &mock_ops,
                                           .drop_oldest = drop_oldest,
                                           .counters = {.accepted = &accepted_count,
                                                        .failed = &failed_count,
                                                        .dead = &dead_count,
                                                        .dropped = &dropped_count,
                                                        .queued = &queued_count},
                                           .may = may,
                                           .prepare = prepare,
                                           .bury = bury,
                                           .accepted = accepted,
                                           .room = room},
                    &host, error);
}

static void set_up(void)
{
    struct dyn_error error;
    loop = dyn_loop_new();
    mock.failure = DYN_IO;
    ck_assert_int_eq(host_make(false, &error), DYN_OK);
}

static void tear_down(void)
{
    host_free(host);
    ck_assert_int_eq(mock.finished, 1);
    dyn_loop_free(loop);
}

static dyn_err add(uint64_t ms, const char *text)
{
    return host_add(host, 0, (struct entry_id){.ms = ms}, dyn_str_from(text));
}

static void turn(int times)
{
    for (int i = 0; i < times; i++) {
        dyn_loop_once(loop, 0);
    }
}

START_TEST(items_come_in_order_and_each_is_accepted)
{
    ck_assert_int_eq(add(1, "a"), DYN_OK);
    ck_assert_int_eq(add(2, "b"), DYN_OK);
    ck_assert_int_eq(add(3, "skip"), DYN_OK);
    ck_assert_int_eq(add(4, "c"), DYN_OK);
    ck_assert_str_eq(mock.told, "a b c ");
    ck_assert_uint_eq(accepted_last, 4);
    ck_assert_double_eq(accepted_count, 3);
    ck_assert_uint_eq(host_queued(host), 0);
}
END_TEST

START_TEST(four_failures_are_retried_and_nothing_is_lost)
{
    mock.failures = 4;
    ck_assert_int_eq(add(1, "a"), DYN_OK);
    ck_assert_int_eq(add(2, "b"), DYN_OK);
    ck_assert_uint_eq(accepted_last, 0);
    turn(20);
    ck_assert_str_eq(mock.told, "a b ");
    ck_assert_double_eq(failed_count, 4);
    ck_assert_double_eq(dead_count, 0);
    ck_assert_uint_eq(accepted_last, 2);
}
END_TEST

START_TEST(the_fifth_failure_is_a_dead_letter_with_the_words)
{
    mock.failures = 5;
    ck_assert_int_eq(add(1, "a"), DYN_OK);
    ck_assert_int_eq(add(2, "b"), DYN_OK);
    turn(20);
    ck_assert_int_eq(buried, 1);
    ck_assert_str_eq(buried_why, "no luck with it");
    ck_assert_str_eq(mock.told, "b ");
    ck_assert_double_eq(dead_count, 1);
    ck_assert_uint_eq(accepted_last, 2);
}
END_TEST

START_TEST(an_error_that_no_retry_helps_is_a_dead_letter_at_once)
{
    mock.failures = 1;
    mock.failure = DYN_REFUSED;
    ck_assert_int_eq(add(1, "a"), DYN_OK);
    ck_assert_int_eq(buried, 1);
    ck_assert_int_eq(mock.delivered, 1);
}
END_TEST

START_TEST(the_pauses_grow_and_are_bounded)
{
    random_byte = 0xff; /* 2^64 - 1 modulo each bound plus one: somewhere inside it */
    mock.failures = 2;
    ck_assert_int_eq(add(1, "a"), DYN_OK);
    turn(3);
    ck_assert_int_eq(mock.delivered, 1);
    ahead_s += 1;
    turn(3);
    ck_assert_int_eq(mock.delivered, 2);
    ahead_s += 2;
    turn(3);
    ck_assert_int_eq(mock.delivered, 3);
    ck_assert_str_eq(mock.told, "a ");
}
END_TEST

START_TEST(a_dead_letter_that_redis_does_not_take_is_tried_again)
{
    mock.failures = 1;
    mock.failure = DYN_BADMSG;
    bury_refused = true;
    ck_assert_int_eq(add(1, "a"), DYN_OK);
    ck_assert_int_eq(buried, 0);
    ck_assert_uint_eq(accepted_last, 0);
    ahead_s += 1;
    turn(3);
    ck_assert_int_eq(buried, 1);
    ck_assert_uint_eq(accepted_last, 1);
}
END_TEST

START_TEST(a_sink_that_does_not_answer_is_cancelled_after_a_minute_and_tried_again)
{
    mock.silent = true;
    ck_assert_int_eq(add(1, "a"), DYN_OK);
    ck_assert(!host_is_idle(host));
    ahead_s += 59;
    turn(3);
    ck_assert_int_eq(mock.cancelled, 0);
    mock.silent = false;
    ahead_s += 2;
    turn(5);
    ck_assert_int_eq(mock.cancelled, 1);
    ck_assert_int_eq(mock.delivered, 2);
    ck_assert_str_eq(mock.told, "a ");
}
END_TEST

START_TEST(errors_wait_when_the_queue_is_full_and_room_is_told)
{
    mock.silent = true;
    for (uint64_t i = 1; i <= HOST_QUEUE_MAX; i++) {
        ck_assert_int_eq(add(i, "x"), DYN_OK);
    }
    ck_assert_int_eq(add(1000, "x"), DYN_BUSY);
    ck_assert_int_eq(rooms, 0);
    mock.silent = false;
    sink_done(host, DYN_OK, "%s", "");
    turn(20);
    ck_assert_int_eq(rooms, 1);
    ck_assert_uint_eq(accepted_last, HOST_QUEUE_MAX);
    ck_assert_double_eq(dropped_count, 0);
}
END_TEST

START_TEST(statistics_drop_the_oldest_and_never_what_the_sink_has)
{
    struct dyn_error error;
    host_free(host);
    mock.finished = 0;
    mock.silent = true;
    ck_assert_int_eq(host_make(true, &error), DYN_OK);
    ck_assert_int_eq(add(1, "first"), DYN_OK);
    for (uint64_t i = 2; i <= HOST_QUEUE_MAX + 10; i++) {
        ck_assert_int_eq(add(i, i <= 11 ? "old" : "y"), DYN_OK);
    }
    ck_assert_double_eq(dropped_count, 10);
    ck_assert_uint_eq(host_queued(host), HOST_QUEUE_MAX);
    mock.silent = false;
    sink_done(host, DYN_OK, "%s", "");
    ck_assert_uint_eq(accepted_last, 75); /* 64 a turn of the loop */
    turn(20);
    ck_assert_uint_eq(accepted_last, HOST_QUEUE_MAX + 10);
    ck_assert_ptr_null(strstr(mock.told, "old"));
}
END_TEST

START_TEST(a_draining_host_ends_what_the_sink_has_and_begins_nothing)
{
    mock.silent = true;
    ck_assert_int_eq(add(1, "a"), DYN_OK);
    ck_assert_int_eq(add(2, "b"), DYN_OK);
    host_drain(host);
    ck_assert(!host_is_idle(host));
    sink_done(host, DYN_OK, "%s", "");
    turn(3);
    ck_assert(host_is_idle(host));
    ck_assert_int_eq(mock.delivered, 1);
    ck_assert_uint_eq(accepted_last, 1);
}
END_TEST

START_TEST(what_may_not_be_delivered_waits_until_it_may)
{
    forbidden = true;
    ck_assert_int_eq(add(1, "a"), DYN_OK);
    ck_assert_int_eq(add(2, "b"), DYN_OK);
    turn(3);
    host_go(host);
    ck_assert_int_eq(mock.delivered, 0);
    ck_assert(host_is_idle(host));
    forbidden = false;
    host_go(host);
    ck_assert_int_eq(mock.delivered, 2);
}
END_TEST

START_TEST(nor_is_what_failed_tried_again_or_buried_then)
{
    mock.failures = 1;
    mock.failure = DYN_IO;
    ck_assert_int_eq(add(1, "a"), DYN_OK);
    forbidden = true;
    ahead_s += 100;
    turn(3);
    ck_assert_int_eq(mock.delivered, 1);
    forbidden = false;
    mock.failures = 1;
    mock.failure = DYN_CONFIG; /* no retry helps */
    ahead_s += 1;
    turn(3);
    ck_assert_int_eq(mock.delivered, 2);
    ck_assert_int_eq(buried, 1);
}
END_TEST

START_TEST(what_is_to_be_buried_waits_too_and_may_be_left_to_others)
{
    mock.silent = true;
    ck_assert_int_eq(add(1, "a"), DYN_OK);
    forbidden = true;
    sink_done(host, DYN_CONFIG, "%s", "no");
    turn(3);
    ck_assert_int_eq(buried, 0);
    ck_assert(host_is_idle(host));
    forbidden = false;
    ahead_s += 2;
    turn(3);
    ck_assert_int_eq(buried, 1);
}
END_TEST

START_TEST(a_message_over_the_bound_is_refused)
{
    static char big[DYN_ENTRY_MAX + 1];
    ck_assert_int_eq(host_add(host, 0, (struct entry_id){1, 0}, (struct dyn_str){big, sizeof big}),
                     DYN_TOOBIG);
}
END_TEST

START_TEST(a_sink_that_refuses_its_options_makes_no_host)
{
    struct dyn_error error = {""};
    struct sink_host *before = host;
    mock.refuse = true;
    ck_assert_int_eq(host_make(false, &error), DYN_NOTFOUND);
    ck_assert_str_eq(error.text, "KEY is not set");
    ck_assert_ptr_eq(host, before);
}
END_TEST

/* ---- sinks that gather ---- */

/* So many wait when the sink is asked the first time. */
static void wait_fill(uint64_t count)
{
    forbidden = true;
    for (uint64_t i = 1; i <= count; i++) {
        ck_assert_int_eq(add(i, i % 3 == 2 ? "skip" : "x"), DYN_OK);
    }
    forbidden = false;
    mock.gathers = true;
}

START_TEST(what_is_gathered_ends_together_and_in_order)
{
    wait_fill(10);
    host_go(host);
    ck_assert_int_eq(mock.delivered, 7);
    ck_assert_int_eq(mock.firsts, 1);
    ck_assert_int_eq(mock.flushed, 1);
    ck_assert_uint_eq(accepted_last, 10);
    ck_assert_double_eq(accepted_count, 7);
    ck_assert_uint_eq(host_queued(host), 0);
    ck_assert_int_eq(add(11, "x"), DYN_OK);
    ck_assert_int_eq(mock.firsts, 2);
    ck_assert_int_eq(mock.flushed, 2);
}
END_TEST

START_TEST(no_more_is_gathered_than_the_bound)
{
    wait_fill((uint64_t)HOST_GATHER_MAX + 6);
    host_go(host);
    turn(20);
    ck_assert_int_eq(mock.flushed, 2);
    ck_assert_uint_eq(accepted_last, HOST_GATHER_MAX + 6);
}
END_TEST

START_TEST(what_was_gathered_is_sent_again_and_not_given_again)
{
    mock.failures = 1;
    mock.failure = DYN_IO;
    wait_fill(6);
    host_go(host);
    ck_assert_uint_eq(accepted_last, 0);
    ck_assert_int_eq(add(7, "x"), DYN_OK);
    ahead_s += 100;
    turn(5);
    ck_assert_int_eq(mock.flushed, 3); /* and one for what came later */
    ck_assert_int_eq(mock.delivered, 5);
    ck_assert_uint_eq(accepted_last, 7);
}
END_TEST

START_TEST(what_cannot_be_sent_is_a_dead_letter_each)
{
    mock.failures = 1;
    mock.failure = DYN_REFUSED;
    bury_refused = true;
    wait_fill(6);
    host_go(host);
    ahead_s += 2;
    turn(5);
    ck_assert_int_eq(buried, 4);
    ck_assert_double_eq(dead_count, 4);
    ck_assert_str_eq(buried_why, "no luck with all");
    ck_assert_uint_eq(accepted_last, 6);
    ck_assert_int_eq(add(7, "x"), DYN_OK);
    ck_assert_int_eq(mock.flushed, 2);
    ck_assert_uint_eq(accepted_last, 7);
}
END_TEST

START_TEST(a_sink_that_asks_for_time_gets_nothing_before)
{
    mock.wait_ms = 5000;
    ck_assert_int_eq(add(1, "a"), DYN_OK);
    ck_assert_int_eq(add(2, "b"), DYN_OK);
    ck_assert_int_eq(mock.delivered, 1);
    ahead_s += 4;
    turn(3);
    ck_assert_int_eq(mock.delivered, 1);
    ahead_s += 2;
    turn(3);
    ck_assert_int_eq(mock.delivered, 2);
    ck_assert_str_eq(mock.told, "a b ");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("reporter_host");
    TCase *tests = tcase_create("host");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, items_come_in_order_and_each_is_accepted);
    tcase_add_test(tests, four_failures_are_retried_and_nothing_is_lost);
    tcase_add_test(tests, the_fifth_failure_is_a_dead_letter_with_the_words);
    tcase_add_test(tests, an_error_that_no_retry_helps_is_a_dead_letter_at_once);
    tcase_add_test(tests, the_pauses_grow_and_are_bounded);
    tcase_add_test(tests, a_dead_letter_that_redis_does_not_take_is_tried_again);
    tcase_add_test(tests, a_sink_that_does_not_answer_is_cancelled_after_a_minute_and_tried_again);
    tcase_add_test(tests, errors_wait_when_the_queue_is_full_and_room_is_told);
    tcase_add_test(tests, statistics_drop_the_oldest_and_never_what_the_sink_has);
    tcase_add_test(tests, a_draining_host_ends_what_the_sink_has_and_begins_nothing);
    tcase_add_test(tests, what_may_not_be_delivered_waits_until_it_may);
    tcase_add_test(tests, nor_is_what_failed_tried_again_or_buried_then);
    tcase_add_test(tests, what_is_to_be_buried_waits_too_and_may_be_left_to_others);
    tcase_add_test(tests, a_message_over_the_bound_is_refused);
    tcase_add_test(tests, a_sink_that_refuses_its_options_makes_no_host);
    tcase_add_test(tests, what_is_gathered_ends_together_and_in_order);
    tcase_add_test(tests, no_more_is_gathered_than_the_bound);
    tcase_add_test(tests, what_was_gathered_is_sent_again_and_not_given_again);
    tcase_add_test(tests, what_cannot_be_sent_is_a_dead_letter_each);
    tcase_add_test(tests, a_sink_that_asks_for_time_gets_nothing_before);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
