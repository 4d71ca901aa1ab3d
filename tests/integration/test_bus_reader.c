/* A reader against a real server: what it gives, what it finds lost, which servers it leaves. */
#include "support_bus.h"

#include <stdlib.h>

struct read_seen {
    size_t entries[4];
    size_t foreign;
    struct entry_id last[4];
    char message[4][64];
    size_t rounds;
    bool behind;
    int ready;
    int rewound;
    int lost;
    int64_t ready_at_ms;
    char why[512];
    char trouble[512];
};

static void on_reader_trouble(void *arg, const char *why)
{
    struct read_seen *seen = arg;
    (void)snprintf(seen->trouble, sizeof(seen->trouble), "%s", why);
}

static void on_entry(void *arg, size_t stream, const struct bus_entry *entry)
{
    struct read_seen *seen = arg;
    ck_assert_uint_lt(stream, 4);
    ck_assert_int_gt(entry_id_compare(entry->id, seen->last[stream]), 0);
    seen->last[stream] = entry->id;
    seen->entries[stream]++;
    seen->foreign += entry->message.ptr == NULL ? 1 : 0;
    dyn_str_copy(seen->message[stream], sizeof(seen->message[stream]), entry->message);
}

static void on_round(void *arg, bool behind)
{
    struct read_seen *seen = arg;
    seen->rounds++;
    seen->behind = behind;
}

static void on_reader_ready(void *arg, struct dyn_str replid, bool rewound)
{
    struct read_seen *seen = arg;
    ck_assert_uint_eq(replid.len, 40);
    seen->ready++;
    seen->ready_at_ms = dyn_loop_now_ms(loop);
    seen->rewound += rewound ? 1 : 0;
    if (rewound) {
        memset(seen->last, 0, sizeof(seen->last));
    }
}

static void on_reader_lost(void *arg, const char *why)
{
    struct read_seen *seen = arg;
    seen->lost++;
    (void)snprintf(seen->why, sizeof(seen->why), "%s", why);
}

static struct bus_reader *reader_open(struct read_seen *seen, size_t count)
{
    const struct bus_reader_options options = {.url = support_redis_url(redis),
                                               .name = "dynosaur-test",
                                               .count = count,
                                               .entry = on_entry,
                                               .round = on_round,
                                               .ready = on_reader_ready,
                                               .lost = on_reader_lost,
                                               .trouble = on_reader_trouble,
                                               .arg = seen};
    struct dyn_error error;
    struct bus_reader *reader = bus_reader_new(loop, &options, &error);
    ck_assert_msg(reader != NULL, "%s", error.text);
    return reader;
}

static const struct entry_id beginning = {0, 0};

START_TEST(a_reader_gives_the_entries_of_several_streams_in_order)
{
    struct seen seen = {0};
    struct bus *bus = bus_open(&seen, support_redis_url(redis));
    UNTIL(seen.ready == 1);
    fill(bus, &seen, "a", 2500);
    fill(bus, &seen, "b", 10);
    (void)support_redis_call(redis, "XADD", "b", "*", "other", "field", NULL);
    struct read_seen read = {0};
    struct bus_reader *reader = reader_open(&read, 0);
    ck_assert_uint_eq(bus_reader_follow(reader, "a", beginning), 0);
    ck_assert_uint_eq(bus_reader_follow(reader, "b", beginning), 1);
    ck_assert_uint_eq(bus_reader_follow(reader, "c", beginning), 2);
    ck_assert_uint_eq(bus_reader_follow(reader, "a", beginning), SIZE_MAX);
    UNTIL(read.entries[0] == 2500 && read.entries[1] == 11);
    ck_assert_uint_eq(read.foreign, 1);
    UNTIL(!read.behind && read.rounds > 0);
    (void)support_redis_call(redis, "XADD", "c", "*", "m", "late", NULL);
    UNTIL(read.entries[2] == 1);
    ck_assert_str_eq(read.message[2], "late");
    ck_assert_int_eq(read.rewound, 0);
    bus_reader_free(reader);
    bus_free(bus);
}
END_TEST

START_TEST(a_reader_says_when_it_is_behind)
{
    struct seen seen = {0};
    struct bus *bus = bus_open(&seen, support_redis_url(redis));
    UNTIL(seen.ready == 1);
    fill(bus, &seen, "a", 10);
    struct read_seen read = {0};
    struct bus_reader *reader = reader_open(&read, 4);
    (void)bus_reader_follow(reader, "a", beginning);
    UNTIL(read.rounds == 1);
    ck_assert(read.behind);
    ck_assert_uint_eq(read.entries[0], 4);
    UNTIL(read.rounds == 3);
    ck_assert(!read.behind);
    ck_assert_uint_eq(read.entries[0], 10);
    bus_reader_free(reader);
    bus_free(bus);
}
END_TEST

START_TEST(a_forgotten_stream_is_silent_and_can_be_followed_anew)
{
    struct read_seen read = {0};
    struct bus_reader *reader = reader_open(&read, 0);
    (void)support_redis_call(redis, "XADD", "a", "1-1", "m", "one", NULL);
    size_t a = bus_reader_follow(reader, "a", beginning);
    size_t b = bus_reader_follow(reader, "b", beginning);
    UNTIL(read.entries[a] == 1);
    bus_reader_forget(reader, a);
    (void)support_redis_call(redis, "XADD", "a", "2-1", "m", "two", NULL);
    (void)support_redis_call(redis, "XADD", "b", "2-1", "m", "two", NULL);
    UNTIL(read.entries[b] == 1);
    ck_assert_uint_eq(read.entries[a], 1);
    read.last[a] = beginning;
    ck_assert_uint_eq(bus_reader_follow(reader, "a", beginning), a);
    UNTIL(read.entries[a] == 3);
    bus_reader_free(reader);
}
END_TEST

START_TEST(a_reader_goes_on_after_a_restart_without_loss_or_repeat)
{
    struct read_seen read = {0};
    struct bus_reader *reader = reader_open(&read, 0);
    (void)bus_reader_follow(reader, "a", beginning);
    (void)support_redis_call(redis, "XADD", "a", "*", "m", "one", NULL);
    UNTIL(read.entries[0] == 1);
    support_redis_kill(redis);
    UNTIL(read.lost >= 1);
    support_redis_start(redis);
    (void)support_redis_call(redis, "XADD", "a", "*", "m", "two", NULL);
    UNTIL(read.entries[0] == 2);
    ck_assert_int_eq(read.ready, 2);
    ck_assert_int_eq(read.rewound, 0);
    ck_assert_str_eq(read.message[0], "two");
    bus_reader_free(reader);
}
END_TEST

START_TEST(a_stream_that_went_back_is_told_at_the_reconnect)
{
    struct read_seen read = {0};
    struct bus_reader *reader = reader_open(&read, 0);
    (void)bus_reader_follow(reader, "a", beginning);
    (void)support_redis_call(redis, "XADD", "a", "1000-0", "m", "one", NULL);
    UNTIL(read.entries[0] == 1);
    support_redis_kill(redis);
    UNTIL(read.lost >= 1);
    support_redis_start(redis);
    (void)support_redis_call(redis, "DEL", "a", NULL);
    (void)support_redis_call(redis, "XADD", "a", "500-0", "m", "lost", NULL);
    /* The start and the DEL race with the reader's reconnect: either check may find it. */
    UNTIL(read.rewound == 1);
    struct entry_id cursor = bus_reader_cursor(reader, 0);
    ck_assert_uint_le(cursor.ms, 500);
    (void)support_redis_call(redis, "XADD", "a", "501-0", "m", "new", NULL);
    UNTIL(strcmp(read.message[0], "new") == 0);
    bus_reader_free(reader);
}
END_TEST

START_TEST(a_deleted_stream_is_told_though_the_connection_lives)
{
    struct read_seen read = {0};
    struct bus_reader *reader = reader_open(&read, 0);
    (void)bus_reader_follow(reader, "a", beginning);
    (void)support_redis_call(redis, "XADD", "a", "1000-0", "m", "one", NULL);
    UNTIL(read.entries[0] == 1);
    (void)support_redis_call(redis, "DEL", "a", NULL);
    UNTIL(read.rewound == 1);
    ck_assert_int_eq(read.lost, 0);
    (void)support_redis_call(redis, "XADD", "a", "1-0", "m", "new", NULL);
    UNTIL(strcmp(read.message[0], "new") == 0);
    bus_reader_free(reader);
}
END_TEST

START_TEST(a_flushed_server_is_told_though_new_entries_came_at_once)
{
    struct read_seen read = {0};
    struct bus_reader *reader = reader_open(&read, 0);
    for (int i = 0; i < 20; i++) {
        (void)support_redis_call(redis, "XADD", "a", "*", "m", "old", NULL);
    }
    (void)bus_reader_follow(reader, "a", beginning);
    UNTIL(read.entries[0] == 20);
    (void)support_redis_call(redis, "XADD", "a", "*", "m", "newer", NULL);
    UNTIL(read.entries[0] == 21);
    struct entry_id cursor = bus_reader_cursor(reader, 0);
    (void)support_redis_call(redis, "FLUSHALL", NULL);
    for (int i = 0; i < 15; i++) {
        (void)support_redis_call(redis, "XADD", "a", "*", "m", "new", NULL);
    }
    UNTIL(read.rewound == 1);
    ck_assert_int_eq(read.lost, 0);
    /* None is read again. One of the same millisecond may have the cursor's own ID. */
    ck_assert_uint_ge(read.entries[0], 35);
    ck_assert_uint_le(read.entries[0], 36);
    ck_assert_int_gt(entry_id_compare(bus_reader_cursor(reader, 0), cursor), 0);
    bus_reader_free(reader);
}
END_TEST

START_TEST(what_is_trimmed_and_read_late_is_no_loss)
{
    struct read_seen read = {0};
    struct bus_reader *reader = reader_open(&read, 7);
    for (int i = 0; i < 100; i++) {
        (void)support_redis_call(redis, "XADD", "a", "*", "m", "old", NULL);
    }
    (void)bus_reader_follow(reader, "a", beginning);
    UNTIL(read.entries[0] == 100);
    (void)support_redis_call(redis, "XADD", "a", "MAXLEN", "3", "*", "m", "new", NULL);
    int64_t until_ms = dyn_clock_boot_ms() + 7000; /* a check, and one before */
    while (dyn_clock_boot_ms() < until_ms) {
        (void)support_redis_call(redis, "XADD", "a", "MAXLEN", "3", "*", "m", "new", NULL);
        dyn_loop_once(loop, 20);
    }
    ck_assert_int_eq(read.rewound, 0);
    bus_reader_free(reader);
}
END_TEST

START_TEST(an_entry_with_the_highest_id_is_told_and_a_deletion_heals_it)
{
    struct seen seen = {0};
    struct read_seen read = {0};
    struct bus *bus = bus_open(&seen, support_redis_url(redis));
    struct bus_reader *reader = reader_open(&read, 0);
    (void)bus_reader_follow(reader, "s", beginning);
    UNTIL(seen.ready == 1);
    (void)support_redis_call(redis, "XADD", "s", "18446744073709551615-18446744073709551615", "m",
                             "x", NULL);
    UNTIL(read.entries[0] == 1);
    add_one(bus, &seen);
    ck_assert_uint_eq(seen.answers[DYN_REFUSED], 1);
    ck_assert_ptr_nonnull(strstr(seen.trouble, "the highest possible ID"));
    UNTIL(strstr(read.trouble, ": DEL s (") != NULL);
    (void)support_redis_call(redis, "DEL", "s", NULL);
    add_one(bus, &seen);
    ck_assert_uint_eq(seen.answers[DYN_OK], 1);
    UNTIL(read.rewound == 1);
    add_one(bus, &seen);
    UNTIL(read.entries[0] >= 2);
    bus_reader_free(reader);
    bus_free(bus);
}
END_TEST

static bool frozen;

/* The streams are asked for every 5 s, after a round: that question goes to a frozen server. */
static void on_round_freeze(void *arg, bool behind)
{
    struct read_seen *seen = arg;
    if (!frozen && dyn_loop_now_ms(loop) - seen->ready_at_ms >= 5000) {
        support_redis_freeze(redis);
        frozen = true;
    }
    on_round(arg, behind);
}

START_TEST(a_stream_followed_during_a_check_is_judged_by_the_next_one)
{
    struct read_seen read = {0};
    const struct bus_reader_options options = {.url = support_redis_url(redis),
                                               .name = "dynosaur-test",
                                               .entry = on_entry,
                                               .round = on_round_freeze,
                                               .ready = on_reader_ready,
                                               .arg = &read};
    struct dyn_error error;
    struct bus_reader *reader = bus_reader_new(loop, &options, &error);
    ck_assert_msg(reader != NULL, "%s", error.text);
    (void)bus_reader_follow(reader, "a", beginning);
    bus_reader_forget(reader, bus_reader_follow(reader, "b", beginning));
    UNTIL(read.ready == 1);
    UNTIL(frozen);
    int64_t asked_ms = dyn_clock_boot_ms();
    UNTIL(dyn_clock_boot_ms() - asked_ms > 100); /* the question leaves; no answer can come */
    /* Entries of the time between the question and this moment are known from elsewhere. */
    ck_assert_uint_eq(bus_reader_follow(reader, "b", (struct entry_id){5, 0}), 1);
    support_redis_thaw(redis);
    (void)support_redis_call(redis, "XADD", "b", "6-0", "m", "later", NULL);
    UNTIL(read.entries[1] == 1);
    ck_assert_int_eq(read.rewound, 0);
    bus_reader_free(reader);
}
END_TEST

START_TEST(a_key_that_is_no_stream_ends_the_connection_and_says_so)
{
    struct read_seen read = {0};
    (void)support_redis_call(redis, "SET", "a", "text", NULL);
    struct bus_reader *reader = reader_open(&read, 0);
    (void)bus_reader_follow(reader, "a", beginning);
    UNTIL(read.lost >= 1);
    ck_assert_int_eq(read.ready, 0);
    ck_assert_msg(strncmp(read.trouble, "a cannot be read: WRONGTYPE", 27) == 0, "%s",
                  read.trouble);
    (void)support_redis_call(redis, "DEL", "a", NULL);
    UNTIL(read.ready == 1);
    bus_reader_free(reader);
}
END_TEST

START_TEST(a_stream_that_cannot_be_read_takes_no_answer_of_another)
{
    struct read_seen read = {0};
    (void)support_redis_call(redis, "SET", "a", "text", NULL);
    (void)support_redis_call(redis, "XADD", "b", "3-0", "m", "early", NULL);
    struct bus_reader *reader = reader_open(&read, 0);
    size_t a = bus_reader_follow(reader, "a", (struct entry_id){9, 0});
    (void)bus_reader_follow(reader, "b", beginning);
    UNTIL(read.lost >= 1);
    ck_assert_uint_eq(bus_reader_cursor(reader, a).ms, 9);
    bus_reader_free(reader);
}
END_TEST

START_TEST(a_stream_that_a_user_may_not_read_is_told)
{
    struct read_seen read = {0};
    (void)support_redis_call(redis, "XADD", "a", "3-0", "m", "early", NULL);
    (void)support_redis_call(redis, "ACL", "SETUSER", "default", "-xread", NULL);
    struct bus_reader *reader = reader_open(&read, 0);
    (void)bus_reader_follow(reader, "a", beginning);
    UNTIL(read.lost >= 1);
    ck_assert_msg(strncmp(read.trouble, "streams cannot be read: NOPERM", 30) == 0, "%s",
                  read.trouble);
    (void)support_redis_call(redis, "ACL", "SETUSER", "default", "+xread", NULL);
    UNTIL(read.entries[0] == 1);
    bus_reader_free(reader);
}
END_TEST

/* It is not blocked in a read when that happens, so no error tells it, and reads go on. */
START_TEST(a_reader_leaves_a_server_that_has_become_a_replica)
{
    struct read_seen read = {0};
    struct bus_reader *reader = reader_open(&read, 0);
    (void)bus_reader_follow(reader, "a", beginning);
    UNTIL(read.rounds >= 2);
    (void)support_redis_call(redis, "XADD", "a", "*", "m", "one", NULL);
    (void)support_redis_call(redis, "REPLICAOF", "127.0.0.1", "1", NULL);
    UNTIL(read.entries[0] == 1 && read.lost >= 1);
    ck_assert_str_eq(read.why, "the server is a replica now");
    (void)support_redis_call(redis, "REPLICAOF", "NO", "ONE", NULL);
    UNTIL(read.ready == 2);
    bus_reader_free(reader);
}
END_TEST

START_TEST(a_reader_leaves_a_server_that_was_a_replica_meanwhile)
{
    struct read_seen read = {0};
    struct bus_reader *reader = reader_open(&read, 0);
    (void)bus_reader_follow(reader, "a", beginning);
    UNTIL(read.rounds >= 2);
    (void)support_redis_call(redis, "XADD", "a", "*", "m", "one", NULL);
    (void)support_redis_call(redis, "REPLICAOF", "127.0.0.1", "1", NULL);
    (void)support_redis_call(redis, "REPLICAOF", "NO", "ONE", NULL);
    UNTIL(read.lost == 1);
    ck_assert_str_eq(read.why, "the server has another history now");
    UNTIL(read.ready == 2);
    bus_reader_free(reader);
}
END_TEST

/* The master of before a failover, cut off from the Sentinels and not from us, is a master still.
 */
START_TEST(commands_and_streams_are_of_one_server)
{
    const struct support_redis_options other_options = {.tcp = true};
    struct support_redis *other = support_redis_new(&other_options);
    struct seen seen = {0};
    struct read_seen read = {0};
    struct bus *bus = bus_open(&seen, support_redis_url(other));
    UNTIL(seen.ready == 1);
    struct bus_reader_options options = {.url = support_redis_url(redis),
                                         .name = "dynosaur-test",
                                         .commands = bus,
                                         .entry = on_entry,
                                         .round = on_round,
                                         .ready = on_reader_ready,
                                         .lost = on_reader_lost,
                                         .arg = &read};
    struct dyn_error error;
    struct bus_reader *reader = bus_reader_new(loop, &options, &error);
    (void)bus_reader_follow(reader, "a", beginning);
    UNTIL(read.lost >= 1 && seen.lost >= 1);
    ck_assert_str_eq(read.why, "commands go to another server than this one");
    ck_assert_str_eq(seen.why, "streams are read from another server than this one");
    ck_assert_int_eq(read.ready, 0);
    bus_reader_free(reader);
    options.url = support_redis_url(other);
    reader = bus_reader_new(loop, &options, &error);
    (void)bus_reader_follow(reader, "a", beginning);
    UNTIL(read.ready == 1 && read.rounds >= 1);
    bus_reader_free(reader);
    bus_free(bus);
    support_redis_free(other);
}
END_TEST

static TCase *reader_tests(void)
{
    TCase *tests = tcase_create("reader");
    tcase_add_checked_fixture(tests, support_bus_setup, support_bus_teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_reader_gives_the_entries_of_several_streams_in_order);
    tcase_add_test(tests, a_reader_says_when_it_is_behind);
    tcase_add_test(tests, a_forgotten_stream_is_silent_and_can_be_followed_anew);
    tcase_add_test(tests, a_reader_goes_on_after_a_restart_without_loss_or_repeat);
    tcase_add_test(tests, a_stream_that_went_back_is_told_at_the_reconnect);
    tcase_add_test(tests, a_deleted_stream_is_told_though_the_connection_lives);
    tcase_add_test(tests, a_flushed_server_is_told_though_new_entries_came_at_once);
    tcase_add_test(tests, what_is_trimmed_and_read_late_is_no_loss);
    tcase_add_test(tests, an_entry_with_the_highest_id_is_told_and_a_deletion_heals_it);
    tcase_add_test(tests, a_stream_followed_during_a_check_is_judged_by_the_next_one);
    tcase_add_test(tests, a_key_that_is_no_stream_ends_the_connection_and_says_so);
    tcase_add_test(tests, a_stream_that_cannot_be_read_takes_no_answer_of_another);
    tcase_add_test(tests, a_stream_that_a_user_may_not_read_is_told);
    tcase_add_test(tests, a_reader_leaves_a_server_that_has_become_a_replica);
    tcase_add_test(tests, a_reader_leaves_a_server_that_was_a_replica_meanwhile);
    tcase_add_test(tests, commands_and_streams_are_of_one_server);
    return tests;
}

int main(void)
{
    Suite *suite = suite_create("bus_reader");
    suite_add_tcase(suite, reader_tests());
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
