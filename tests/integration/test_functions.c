/* The Functions library against a real server: allowed, fenced, repeated, backwards. */
#include "common/bus.h"
#include "support_redis.h"

#include <check.h>
#include <stdlib.h>

#define LEASE "dyn:{3}:lease"
#define VALUES "dyn:{3}:values"
#define TARGETS "dyn:{3}:targets"
#define NEWEST "dyn:{3}:newest"
#define JOURNAL "dyn:{act}:main:journal"
#define ACTIONS "dyn:actions"
#define MEMBERS "dyn:{col}:members"

static struct support_redis *redis;

static void setup(void)
{
    redis = support_redis_new(NULL);
    support_redis_load_functions(redis);
}

static void teardown(void)
{
    support_redis_free(redis);
}

#define CALL(...) support_redis_call(redis, __VA_ARGS__, NULL)
#define ACQUIRE(owner, epoch, beat) \
    CALL("FCALL", "dyn_acquire", "1", LEASE, owner, epoch, beat, "0")

static void starts(const char *answer, const char *prefix)
{
    ck_assert_msg(strncmp(answer, prefix, strlen(prefix)) == 0, "'%s' does not begin with '%s'",
                  answer, prefix);
}

/* The lease of a test, held by `owner`; its epoch as text. */
static void lease_take(const char *owner, char epoch[32])
{
    char seen[32] = "0";
    const char *held = CALL("HGET", LEASE, "epoch");
    if (strcmp(held, "(nil)") != 0) {
        (void)snprintf(seen, sizeof(seen), "%s", held);
    }
    char beat[32] = "0";
    held = CALL("HGET", LEASE, "beat");
    if (strcmp(held, "(nil)") != 0) {
        (void)snprintf(beat, sizeof(beat), "%s", held);
    }
    const char *answer = ACQUIRE(owner, seen, beat);
    (void)snprintf(epoch, 32, "%.*s", (int)strcspn(answer, "\n"), answer);
    ck_assert_int_eq((int)strlen(epoch), 13); /* milliseconds of these years */
}

START_TEST(an_absent_lease_is_acquired_as_zero_and_zero)
{
    const char *answer = ACQUIRE("a", "0", "0");
    ck_assert_str_eq(answer + 13, "\n0\n0\n");
    ck_assert_str_eq(CALL("HGET", LEASE, "owner"), "a");
    ck_assert_str_eq(CALL("HGET", LEASE, "beat"), "1");
}
END_TEST

START_TEST(an_epoch_lies_above_the_old_one_and_all_that_the_taker_knows)
{
    starts(CALL("FCALL", "dyn_acquire", "1", LEASE, "a", "0", "0", "9000000000000"),
           "9000000000001\n");
    starts(ACQUIRE("a", "9000000000001", "1"), "9000000000002\n");
    starts(CALL("FCALL", "dyn_acquire", "1", LEASE, "a", "9000000000002", "2", "5"),
           "9000000000003\n");
}
END_TEST

START_TEST(a_lease_that_moved_is_not_acquired)
{
    char epoch[32];
    lease_take("a", epoch);
    starts(ACQUIRE("b", "0", "0"), "FENCED");
    ck_assert_str_eq(CALL("FCALL", "dyn_renew", "1", LEASE, "a", epoch), "2");
    starts(ACQUIRE("b", epoch, "1"), "FENCED");
    starts(ACQUIRE("b", epoch, "3"), "FENCED");
    char next[32];
    const char *answer = ACQUIRE("b", epoch, "2");
    (void)snprintf(next, sizeof(next), "%.13s", answer);
    ck_assert_int_gt(strcmp(next, epoch), 0);
    starts(CALL("FCALL", "dyn_renew", "1", LEASE, "a", epoch), "FENCED");
}
END_TEST

START_TEST(an_epoch_grows_though_the_clock_does_not)
{
    ck_assert_str_eq(CALL("HSET", LEASE, "owner", "a", "epoch", "9000000000000", "beat", "5"), "3");
    starts(ACQUIRE("b", "9000000000000", "5"), "9000000000001\n");
}
END_TEST

START_TEST(a_release_keeps_epoch_and_cursor)
{
    char epoch[32];
    lease_take("a", epoch);
    (void)CALL("FCALL", "dyn_publish", "3", LEASE, TARGETS, NEWEST, "a", epoch, "1", "77", "5", "0",
               "0", "");
    starts(CALL("FCALL", "dyn_release", "1", LEASE, "b", epoch), "FENCED");
    ck_assert_str_eq(CALL("FCALL", "dyn_release", "1", LEASE, "a", epoch), "OK");
    starts(CALL("FCALL", "dyn_release", "1", LEASE, "a", epoch), "FENCED");
    starts(CALL("FCALL", "dyn_renew", "1", LEASE, "", epoch), "FENCED");
    ck_assert_str_eq(CALL("HGET", LEASE, "epoch"), epoch);
    const char *answer = ACQUIRE("b", epoch, "1");
    ck_assert_str_eq(answer + 13, "\n77\n5\n");
}
END_TEST

START_TEST(the_history_that_was_acted_on_is_the_word_of_who_holds_the_lease)
{
    char epoch[32];
    lease_take("a", epoch);
    starts(CALL("FCALL", "dyn_renew", "1", LEASE, "b", epoch, "run-1"), "FENCED");
    ck_assert_str_eq(ACQUIRE("a", epoch, "1") + 13, "\n0\n0\n");
    (void)snprintf(epoch, sizeof epoch, "%s", CALL("HGET", LEASE, "epoch"));
    ck_assert_str_eq(CALL("FCALL", "dyn_renew", "1", LEASE, "a", epoch, "run-1"), "3");
    ck_assert_str_eq(CALL("FCALL", "dyn_renew", "1", LEASE, "a", epoch), "4");
    ck_assert_str_eq(ACQUIRE("b", epoch, "4") + 13, "\n0\n0\nrun-1");
    ck_assert_str_eq(CALL("HGET", LEASE, "replid"), "run-1");
}
END_TEST

START_TEST(a_tick_is_appended_trims_and_renews)
{
    char epoch[32];
    lease_take("a", epoch);
    for (int i = 0; i < 300; i++) {
        char id[32];
        (void)snprintf(id, sizeof(id), "%d-0", i + 1);
        (void)CALL("XADD", VALUES, id, "m", "x");
    }
    const char *id =
        CALL("FCALL", "dyn_tick", "2", LEASE, VALUES, "a", epoch, "payload", "250", "0");
    ck_assert_ptr_nonnull(strchr(id, '-'));
    ck_assert_int_le(strtol(CALL("XLEN", VALUES), NULL, 10), 101); /* whole nodes of 100 go */
    ck_assert_str_eq(CALL("HGET", LEASE, "beat"), "2");
    ck_assert_ptr_nonnull(strstr(CALL("XREVRANGE", VALUES, "+", "-", "COUNT", "1"), "m\npayload"));
    starts(CALL("FCALL", "dyn_tick", "2", LEASE, VALUES, "b", epoch, "payload", "0", "0"),
           "FENCED");
    starts(CALL("FCALL", "dyn_tick", "2", LEASE, VALUES, "a", epoch, "payload", "x", "0"), "ERR");
    ck_assert_str_eq(CALL("HGET", LEASE, "beat"), "2");
}
END_TEST

START_TEST(a_tick_forgets_a_cursor_of_a_log_that_was_deleted)
{
    char epoch[32];
    lease_take("a", epoch);
    (void)CALL("FCALL", "dyn_tick", "2", LEASE, VALUES, "a", epoch, "payload", "0", "0");
    (void)CALL("HSET", LEASE, "cursor_ms", "5", "cursor_seq", "7");
    (void)CALL("FCALL", "dyn_tick", "2", LEASE, VALUES, "a", epoch, "payload", "0", "0");
    ck_assert_str_eq(CALL("HMGET", LEASE, "cursor_ms", "cursor_seq"), "5\n7");
    (void)CALL("HSET", LEASE, "cursor_ms", "18446744073709551615", "cursor_seq", "0");
    (void)CALL("FCALL", "dyn_tick", "2", LEASE, VALUES, "a", epoch, "payload", "0", "0");
    ck_assert_str_eq(CALL("HMGET", LEASE, "cursor_ms", "cursor_seq"), "0\n0");
}
END_TEST

START_TEST(a_tick_bounds_the_stream_in_entries)
{
    char epoch[32];
    lease_take("a", epoch);
    for (int i = 0; i < 500; i++) {
        (void)CALL("XADD", VALUES, "*", "m", "x");
    }
    (void)CALL("FCALL", "dyn_tick", "2", LEASE, VALUES, "a", epoch, "payload", "0", "100");
    ck_assert_int_le(strtol(CALL("XLEN", VALUES), NULL, 10), 200);
}
END_TEST

#define PUBLISH(owner, epoch, call, ms, seq)                                                    \
    CALL("FCALL", "dyn_publish", "3", LEASE, TARGETS, NEWEST, owner, epoch, call, ms, seq, "0", \
         "2", "00000000000000aa", "one", "00000000000000bb", "two", "mark")

START_TEST(targets_newest_and_cursor_are_published_together)
{
    char epoch[32];
    lease_take("a", epoch);
    ck_assert_str_eq(PUBLISH("a", epoch, "1", "1700000000000", "3"), "1700000000000\n3");
    ck_assert_str_eq(CALL("XLEN", TARGETS), "3");
    ck_assert_str_eq(CALL("HGET", NEWEST, "00000000000000bb"), "two");
    ck_assert_str_eq(CALL("HMGET", LEASE, "cursor_ms", "cursor_seq"), "1700000000000\n3");
}
END_TEST

START_TEST(a_repeated_publish_answers_and_adds_nothing)
{
    char epoch[32];
    lease_take("a", epoch);
    (void)PUBLISH("a", epoch, "1", "1000", "3");
    ck_assert_str_eq(PUBLISH("a", epoch, "1", "1000", "3"), "1000\n3");
    ck_assert_str_eq(CALL("XLEN", TARGETS), "3");
    /* Another call at the same cursor is no repeat. */
    ck_assert_str_eq(PUBLISH("a", epoch, "2", "1000", "3"), "1000\n3");
    ck_assert_str_eq(CALL("XLEN", TARGETS), "6");
}
END_TEST

START_TEST(a_cursor_and_a_call_do_not_go_back)
{
    char epoch[32];
    lease_take("a", epoch);
    (void)PUBLISH("a", epoch, "5", "1000", "3");
    starts(PUBLISH("a", epoch, "6", "1000", "2"), "BACKWARDS");
    starts(PUBLISH("a", epoch, "6", "999", "9"), "BACKWARDS");
    starts(PUBLISH("a", epoch, "4", "1000", "4"), "BACKWARDS");
    ck_assert_str_eq(CALL("XLEN", TARGETS), "3");
    ck_assert_str_eq(PUBLISH("a", epoch, "6", "10000", "0"), "10000\n0");
    ck_assert_str_eq(PUBLISH("a", epoch, "7", "18446744073709551615", "18446744073709551615"),
                     "18446744073709551615\n18446744073709551615");
}
END_TEST

START_TEST(a_zombie_publishes_nothing)
{
    char old[32];
    char epoch[32];
    lease_take("a", old);
    lease_take("b", epoch);
    starts(PUBLISH("a", old, "1", "1000", "3"), "FENCED");
    starts(PUBLISH("b", old, "1", "1000", "3"), "FENCED");
    starts(PUBLISH("a", epoch, "1", "1000", "3"), "FENCED");
    ck_assert_str_eq(CALL("EXISTS", TARGETS, NEWEST), "0");
    /* A new holder counts its calls from 1. */
    ck_assert_str_eq(PUBLISH("b", epoch, "1", "1000", "3"), "1000\n3");
}
END_TEST

START_TEST(a_publish_of_too_many_or_too_few_is_refused)
{
    char epoch[32];
    lease_take("a", epoch);
    starts(CALL("FCALL", "dyn_publish", "3", LEASE, TARGETS, NEWEST, "a", epoch, "1", "1", "1", "0",
                "257", ""),
           "ERR");
    starts(CALL("FCALL", "dyn_publish", "3", LEASE, TARGETS, NEWEST, "a", epoch, "1", "1", "1", "0",
                "2", "aa", "one", ""),
           "ERR");
    starts(CALL("FCALL", "dyn_publish", "3", LEASE, TARGETS, NEWEST, "a", epoch, "1", "01", "1",
                "0", "0", ""),
           "ERR");
    ck_assert_str_eq(CALL("EXISTS", TARGETS), "0");
}
END_TEST

#define BEGIN(owner, epoch, field) \
    CALL("FCALL", "dyn_act_begin", "2", LEASE, JOURNAL, owner, epoch, field, "intent")
#define FINISH(owner, epoch, field, action)                                                    \
    CALL("FCALL", "dyn_act_end", "3", LEASE, JOURNAL, ACTIONS, owner, epoch, field, "settled", \
         action, "1000")

START_TEST(an_intent_is_journalled_once_and_settled_once)
{
    char epoch[32];
    lease_take("a", epoch);
    ck_assert_str_eq(BEGIN("a", epoch, "aa"), "OK");
    ck_assert_str_eq(CALL("HGET", JOURNAL, "aa"), "intent");
    ck_assert_str_eq(CALL("HGET", JOURNAL, "aa:open"), epoch);
    starts(BEGIN("a", epoch, "aa"), "INFLIGHT");
    ck_assert_str_eq(BEGIN("a", epoch, "bb"), "OK");
    char id[64];
    (void)snprintf(id, sizeof(id), "%s", FINISH("a", epoch, "aa", "action"));
    ck_assert_ptr_nonnull(strchr(id, '-'));
    ck_assert_str_eq(CALL("HGET", JOURNAL, "aa"), "settled");
    ck_assert_str_eq(CALL("HEXISTS", JOURNAL, "aa:open"), "0");
    /* Its answer was lost: the same again. */
    ck_assert_str_eq(FINISH("a", epoch, "aa", "action"), id);
    ck_assert_str_eq(CALL("XLEN", ACTIONS), "1");
    ck_assert_str_eq(BEGIN("a", epoch, "aa"), "OK");
}
END_TEST

START_TEST(a_zombie_neither_begins_nor_ends_and_a_successor_ends_for_it)
{
    char old[32];
    char epoch[32];
    lease_take("a", old);
    ck_assert_str_eq(BEGIN("a", old, "aa"), "OK");
    lease_take("b", epoch);
    starts(BEGIN("a", old, "bb"), "FENCED");
    starts(FINISH("a", old, "aa", "action"), "FENCED");
    starts(BEGIN("b", epoch, "aa"), "INFLIGHT");
    ck_assert_ptr_nonnull(strchr(FINISH("b", epoch, "aa", "action"), '-'));
    ck_assert_str_eq(BEGIN("b", epoch, "aa"), "OK");
}
END_TEST

/* Only the leader trims: were it refused, a full server would stay full for ever. */
START_TEST(a_full_server_is_trimmed_by_the_leaders_ticks)
{
    char epoch[32];
    lease_take("a", epoch);
    for (int i = 0; i < 1000; i++) {
        (void)CALL("XADD", VALUES, "*", "m", "a value of some length");
    }
    (void)CALL("CONFIG", "SET", "maxmemory", "1");
    starts(CALL("XADD", VALUES, "*", "m", "x"), "OOM");
    ck_assert_ptr_nonnull(
        strchr(CALL("FCALL", "dyn_tick", "2", LEASE, VALUES, "a", epoch, "tick", "0", "100"), '-'));
    ck_assert_int_lt(atoi(CALL("XLEN", VALUES)), 300);
    starts(CALL("FCALL", "dyn_publish", "3", LEASE, TARGETS, NEWEST, "a", epoch, "1", "5", "1", "0",
                "1", "aa", "target", ""),
           "5\n1");
    starts(CALL("FCALL", "dyn_renew", "1", LEASE, "a", epoch), "3");
    ck_assert_str_eq(CALL("FCALL", "dyn_release", "1", LEASE, "a", epoch), "OK");
    starts(ACQUIRE("b", epoch, "3"), "1");
}
END_TEST

START_TEST(an_end_without_action_writes_the_journal_alone)
{
    char epoch[32];
    lease_take("a", epoch);
    ck_assert_str_eq(FINISH("a", epoch, "aa", ""), "");
    ck_assert_str_eq(CALL("HGET", JOURNAL, "aa"), "settled");
    ck_assert_str_eq(CALL("EXISTS", ACTIONS), "0");
    (void)BEGIN("a", epoch, "aa");
    (void)FINISH("a", epoch, "aa", "");
    ck_assert_str_eq(CALL("HEXISTS", JOURNAL, "aa:open"), "1");
}
END_TEST

START_TEST(members_beat_and_sweep_those_that_are_gone)
{
    ck_assert_str_eq(CALL("FCALL", "dyn_beat", "1", MEMBERS, "one", "{\"v\":1}"),
                     "one\n1 {\"v\":1}");
    (void)CALL("FCALL", "dyn_beat", "1", MEMBERS, "two", "");
    const char *all = CALL("FCALL", "dyn_beat", "1", MEMBERS, "one", "here");
    ck_assert_ptr_nonnull(strstr(all, "one\n2 here"));
    ck_assert_ptr_nonnull(strstr(all, "two\n1 "));
    ck_assert_str_eq(CALL("FCALL", "dyn_beat", "1", MEMBERS, "one", "here", "two", "one"),
                     "one\n3 here");
    starts(CALL("FCALL", "dyn_beat", "1", MEMBERS, ""), "ERR");
}
END_TEST

#define FRAMES "dyn:{col}:drain:0a:frames:2"
#define FRAMES_BEFORE "dyn:{col}:drain:0a:frames:1"
#define BUCKET "dyn:{col}:drain:0a:1714150710"
#define BUCKET_2 "dyn:{col}:drain:0a:1714150720"
#define DRAIN_ONE(frame, lost, counts) \
    CALL("FCALL", "dyn_drain", "3", FRAMES, FRAMES_BEFORE, BUCKET, frame, "240", "60", lost, counts)

START_TEST(a_frame_is_counted_once_and_its_losses_each_time)
{
    ck_assert_str_eq(DRAIN_ONE("77", "0", "l 3 n 2 s18 2 "), "1");
    ck_assert_str_eq(DRAIN_ONE("77", "5", "l 3 n 2 s18 2 "), "0");
    ck_assert_str_eq(CALL("HGET", BUCKET, "n"), "2");
    ck_assert_str_eq(CALL("HGET", BUCKET, "s18"), "2");
    ck_assert_str_eq(CALL("HGET", BUCKET, "x"), "5");
    ck_assert_str_eq(DRAIN_ONE("", "2", "l 9 "), "0"); /* no frame: a loss alone */
    ck_assert_str_eq(CALL("HGET", BUCKET, "x"), "7");
    ck_assert_str_eq(CALL("HGET", BUCKET, "l"), "3");
    ck_assert_str_eq(CALL("HLEN", BUCKET), "4");
    ck_assert_int_gt(atoi(CALL("TTL", BUCKET)), 50);
    ck_assert_int_gt(atoi(CALL("TTL", FRAMES)), 230);
    ck_assert_str_eq(CALL("OBJECT", "ENCODING", FRAMES), "intset");
}
END_TEST

START_TEST(a_frame_of_the_time_before_is_still_known)
{
    ck_assert_str_eq(DRAIN_ONE("1152921504606846975", "0", "n 1 "), "1");
    ck_assert_str_eq(CALL("FCALL", "dyn_drain", "4", "dyn:{col}:drain:0a:frames:3", FRAMES, BUCKET,
                          BUCKET_2, "1152921504606846975", "240", "60", "0", "n 1 ", "0", "n 1 "),
                     "0");
    ck_assert_str_eq(CALL("HGET", BUCKET, "n"), "1");
    ck_assert_str_eq(CALL("EXISTS", BUCKET_2), "0");
    ck_assert_str_eq(CALL("FCALL", "dyn_drain", "4", FRAMES, FRAMES_BEFORE, BUCKET, BUCKET_2, "78",
                          "240", "60", "0", "n 1 ", "0", "n 4 "),
                     "1");
    ck_assert_str_eq(CALL("HGET", BUCKET, "n"), "2");
    ck_assert_str_eq(CALL("HGET", BUCKET_2, "n"), "4");
}
END_TEST

START_TEST(a_drains_arguments_are_checked_before_anything_is_written)
{
    starts(CALL("FCALL", "dyn_drain", "1", FRAMES, "1", "240", "60"), "ERR");
    starts(CALL("FCALL", "dyn_drain", "3", FRAMES, FRAMES_BEFORE, BUCKET, "1", "240", "60"), "ERR");
    starts(DRAIN_ONE("x", "0", "n 1 "), "ERR");
    starts(DRAIN_ONE("1", "-1", "n 1 "), "ERR");
    starts(DRAIN_ONE("1", "", "n 1 "), "ERR");
    ck_assert_str_eq(CALL("EXISTS", FRAMES, BUCKET), "0");
    (void)CALL("CONFIG", "SET", "maxmemory", "1");
    starts(DRAIN_ONE("1", "0", "n 1 "), "OOM"); /* to be sent again, or told lost */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("functions");
    TCase *tests = tcase_create("functions");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, an_absent_lease_is_acquired_as_zero_and_zero);
    tcase_add_test(tests, an_epoch_lies_above_the_old_one_and_all_that_the_taker_knows);
    tcase_add_test(tests, a_lease_that_moved_is_not_acquired);
    tcase_add_test(tests, an_epoch_grows_though_the_clock_does_not);
    tcase_add_test(tests, a_release_keeps_epoch_and_cursor);
    tcase_add_test(tests, the_history_that_was_acted_on_is_the_word_of_who_holds_the_lease);
    tcase_add_test(tests, a_tick_is_appended_trims_and_renews);
    tcase_add_test(tests, a_tick_forgets_a_cursor_of_a_log_that_was_deleted);
    tcase_add_test(tests, a_tick_bounds_the_stream_in_entries);
    tcase_add_test(tests, targets_newest_and_cursor_are_published_together);
    tcase_add_test(tests, a_repeated_publish_answers_and_adds_nothing);
    tcase_add_test(tests, a_cursor_and_a_call_do_not_go_back);
    tcase_add_test(tests, a_zombie_publishes_nothing);
    tcase_add_test(tests, a_publish_of_too_many_or_too_few_is_refused);
    tcase_add_test(tests, an_intent_is_journalled_once_and_settled_once);
    tcase_add_test(tests, a_zombie_neither_begins_nor_ends_and_a_successor_ends_for_it);
    tcase_add_test(tests, a_full_server_is_trimmed_by_the_leaders_ticks);
    tcase_add_test(tests, an_end_without_action_writes_the_journal_alone);
    tcase_add_test(tests, members_beat_and_sweep_those_that_are_gone);
    tcase_add_test(tests, a_frame_is_counted_once_and_its_losses_each_time);
    tcase_add_test(tests, a_frame_of_the_time_before_is_still_known);
    tcase_add_test(tests, a_drains_arguments_are_checked_before_anything_is_written);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
