/*
 * The input `redis`, judged by a real Redis: what each `read` counts, what is 0 and what is no
 * number, who may ask, and where.
 */
#include "common/clock.h"
#include "tests/integration/support_input.h"
#include "tests/integration/support_redis.h"

#include <check.h>
#include <stdlib.h>

#define PASSWORD "c4nary pass/word@0123456789"
#define ENCODED "c4nary%%20pass%%2Fword%%400123456789" /* in a format */

static struct support_redis *redis;

static void setup(void)
{
    redis = support_redis_new(&(struct support_redis_options){.tcp = true});
    input_setup();
}

static void teardown(void)
{
    input_teardown();
    support_redis_free(redis);
}

/* The words behind the URL and the key. */
static void reads(const char *key, const char *keys)
{
    input_configure("type: redis, url: \"redis://127.0.0.1:%d\", key: %s, per_resource: 1%s",
                    support_redis_port(redis), key, keys);
    ck_assert_msg(input_disabled() == NULL, "%s", input_disabled());
}

START_TEST(what_is_under_a_key_is_counted)
{
    support_redis_call(redis, "RPUSH", "jobs", "a", "b", "c", NULL);
    support_redis_call(redis, "SADD", "people", "a", "b", NULL);
    support_redis_call(redis, "ZADD", "later", "1", "a", "2", "b", "3", "c", "4", "d", NULL);
    support_redis_call(redis, "XADD", "log", "1-1", "a", "b", NULL);
    reads("jobs", "");
    input_is(input_read(), 3);
    support_redis_call(redis, "LPOP", "jobs", NULL);
    input_is(input_read(), 2);
    reads("jobs", ", read: list");
    input_is(input_read(), 2);
    reads("people", ", read: set");
    input_is(input_read(), 2);
    reads("later", ", read: sorted_set");
    input_is(input_read(), 4);
    reads("log", ", read: stream");
    input_is(input_read(), 1);
}
END_TEST

START_TEST(an_empty_queue_does_not_exist_and_is_zero)
{
    const char *const kinds[] = {"list", "set", "sorted_set", "stream"};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        char keys[64];
        (void)snprintf(keys, sizeof keys, ", read: %s", kinds[i]);
        reads("nothing", keys);
        input_is(input_read(), 0);
    }
}
END_TEST

START_TEST(another_type_is_an_error_in_the_servers_words)
{
    const char *const kinds[] = {"list", "set", "sorted_set", "stream", "number"};
    support_redis_call(redis, "HSET", "map", "a", "b", NULL);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        char keys[64];
        (void)snprintf(keys, sizeof keys, ", read: %s", kinds[i]);
        reads("map", keys);
        input_fails(input_read(), ": WRONGTYPE Operation against a key holding the wrong kind");
    }
    reads("map", ", read: lag, group: g");
    input_fails(input_read(), "XINFO: WRONGTYPE");
}
END_TEST

START_TEST(a_number_is_read_and_its_absence_is_no_zero)
{
    reads("load", ", read: number");
    input_fails(input_read(), "there is no such key, or it is empty");
    support_redis_call(redis, "SET", "load", "0.75", NULL);
    input_is(input_read(), 0.75);
    support_redis_call(redis, "SET", "load", "0", NULL);
    input_is(input_read(), 0);
    support_redis_call(redis, "INCRBY", "load", "120000", NULL);
    input_is(input_read(), 120000);
    support_redis_call(redis, "SET", "load", "", NULL);
    input_fails(input_read(), "there is no such key, or it is empty");
    support_redis_call(redis, "SET", "load", "many", NULL);
    input_fails(input_read(), "the key holds \"many\"; expected a number");
    support_redis_call(redis, "SETRANGE", "load", "3000000", "1", NULL);
    input_fails(input_read(), "expected a number");
}
END_TEST

START_TEST(the_lag_of_a_group_is_what_it_was_not_given_yet)
{
    reads("log", ", read: lag, group: workers");
    input_fails(input_read(), "no such key");
    support_redis_call(redis, "XADD", "log", "1-1", "a", "b", NULL);
    input_fails(input_read(), "no consumer group of that name (0 others)");
    support_redis_call(redis, "XGROUP", "CREATE", "log", "others", "$", NULL);
    input_fails(input_read(), "no consumer group of that name (1 others)");
    support_redis_call(redis, "XGROUP", "CREATE", "log", "workers", "0", NULL);
    input_is(input_read(), 1);
    support_redis_call(redis, "XADD", "log", "2-1", "a", "b", NULL);
    support_redis_call(redis, "XADD", "log", "3-1", "a", "b", NULL);
    input_is(input_read(), 3);
    support_redis_call(redis, "XREADGROUP", "GROUP", "workers", "c", "COUNT", "2", "STREAMS", "log",
                       ">", NULL);
    input_is(input_read(), 1);
    support_redis_call(redis, "XREADGROUP", "GROUP", "workers", "c", "COUNT", "2", "STREAMS", "log",
                       ">", NULL);
    input_is(input_read(), 0);
}
END_TEST

START_TEST(a_lag_that_redis_does_not_know_is_an_error_that_says_why)
{
    support_redis_call(redis, "XADD", "log", "1-1", "a", "b", NULL);
    support_redis_call(redis, "XADD", "log", "2-1", "a", "b", NULL);
    support_redis_call(redis, "XADD", "log", "3-1", "a", "b", NULL);
    support_redis_call(redis, "XGROUP", "CREATE", "log", "workers", "2-1", NULL);
    reads("log", ", read: lag, group: workers");
    input_fails(input_read(), "Redis does not know the group's lag: entries");
    support_redis_call(redis, "XGROUP", "SETID", "log", "workers", "2-1", "ENTRIESREAD", "2", NULL);
    input_is(input_read(), 1);
    support_redis_call(redis, "XADD", "log", "4-1", "a", "b", NULL);
    support_redis_call(redis, "XDEL", "log", "3-1", NULL);
    input_fails(input_read(), "Redis does not know the group's lag: entries");
}
END_TEST

START_TEST(the_database_is_the_urls)
{
    support_redis_call(redis, "RPUSH", "jobs", "a", NULL);
    support_redis_call(redis, "SWAPDB", "0", "3", NULL);
    input_configure("type: redis, url: \"redis://127.0.0.1:%d/3\", key: jobs, per_resource: 1",
                    support_redis_port(redis));
    input_is(input_read(), 1);
    reads("jobs", "");
    input_is(input_read(), 0);
    input_configure("type: redis, url: \"redis://127.0.0.1:%d/99\", key: jobs, per_resource: 1",
                    support_redis_port(redis));
    input_fails(input_read(), "the server refuses: ERR DB index is out of range");
    input_configure("type: redis, url: \"unix://%s?db=3\", key: jobs, per_resource: 1",
                    support_redis_path(redis));
    input_is(input_read(), 1);
}
END_TEST

START_TEST(a_password_is_given_by_url_or_by_key_and_never_told)
{
    support_redis_call(redis, "RPUSH", "jobs", "a", NULL);
    support_redis_call(redis, "ACL", "SETUSER", "scaler", "on", ">" PASSWORD, "~jobs", "-@all",
                       "+llen", NULL);
    support_redis_call(redis, "ACL", "SETUSER", "default", "resetpass", ">other", NULL);
    int port = support_redis_port(redis);
    input_configure("type: redis, url: \"redis://scaler:" ENCODED "@127.0.0.1:%d\", key: jobs, "
                    "per_resource: 1",
                    port);
    input_is(input_read(), 1);
    input_configure("type: redis, url: \"redis://127.0.0.1:%d\", username: scaler, password: "
                    "\"" PASSWORD "\", key: jobs, per_resource: 1",
                    port);
    input_is(input_read(), 1);
    input_configure("type: redis, url: \"redis://scaler:" ENCODED "@127.0.0.1:%d\", key: secret, "
                    "per_resource: 1",
                    port);
    struct input_sample sample = input_read();
    input_fails(sample, "LLEN: NOPERM ");
    ck_assert_ptr_null(strstr(sample.words, "scaler"));
    reads("jobs", "");
    input_fails(input_read(), "the server refuses: NOAUTH Authentication required");
    reads("jobs", ", password: wrong-c4nary");
    sample = input_read();
    input_fails(sample, "the server refuses user or password: WRONGPASS");
    ck_assert_ptr_null(strstr(sample.words, "c4nary"));
    support_redis_login(redis, "default", "other");
}
END_TEST

START_TEST(a_replica_may_be_asked)
{
    const char *const arguments[] = {"--repl-diskless-sync-delay", "0", NULL};
    struct support_redis *master =
        support_redis_new(&(struct support_redis_options){.tcp = true, .arguments = arguments});
    char port[16];
    (void)snprintf(port, sizeof port, "%d", support_redis_port(master));
    support_redis_call(master, "RPUSH", "jobs", "a", "b", NULL);
    support_redis_call(redis, "REPLICAOF", "127.0.0.1", port, NULL);
    reads("jobs", "");
    struct input_sample sample = input_read();
    int64_t end_ms = dyn_clock_boot_ms() + 20000;
    while (dyn_clock_boot_ms() < end_ms && (sample.status != SAMPLE_GOOD || sample.value != 2)) {
        sample = input_read(); /* until it has its master's data */
    }
    input_is(sample, 2);
    support_redis_free(master);
}
END_TEST

START_TEST(each_reading_leaves_no_connection_behind)
{
    reads("jobs", "");
    for (int i = 0; i < 20; i++) {
        input_is(input_read(), 0);
    }
    for (int i = 0; i < 5; i++) {
        input_give_up();
    }
    input_is(input_read(), 0);
    /* Its own, and at most the last reading's. */
    const char *clients = support_redis_call(redis, "INFO", "clients", NULL);
    const char *count = strstr(clients, "connected_clients:");
    ck_assert_ptr_nonnull(count);
    ck_assert_int_le(strtol(count + strlen("connected_clients:"), NULL, 10), 2);
}
END_TEST

START_TEST(one_that_is_restarted_is_asked_again)
{
    reads("jobs", "");
    input_is(input_read(), 0);
    support_redis_kill(redis);
    input_fails(input_read(), "127.0.0.1: Connection refused");
    support_redis_start(redis);
    support_redis_call(redis, "RPUSH", "jobs", "a", NULL);
    input_is(input_read(), 1);
}
END_TEST

START_TEST(one_that_hangs_is_a_timeout)
{
    reads("jobs", ", timeout: 0.3");
    support_redis_freeze(redis);
    struct input_sample sample = input_read();
    ck_assert_int_eq(sample.status, SAMPLE_TIMEOUT);
    ck_assert_str_eq(sample.words, "127.0.0.1: no answer within 0.3 s");
    support_redis_thaw(redis);
    input_is(input_read(), 0);
}
END_TEST

START_TEST(what_cannot_be_a_redis_disables_the_input)
{
    static const struct {
        const char *keys, *words;
    } wrong[] = {
        {"url: \"http://127.0.0.1\"", "must begin with redis://, rediss:// or unix://"},
        {"url: \"redis://user@127.0.0.1\"", "a user and no password"},
        {"url: \"redis://127.0.0.1:99999\"", "the Redis URL's port"},
        {"url: \"redis://127.0.0.1/x\"", "the Redis URL's db"},
        {"url: \"redis://127.0.0.1\", tls_insecure: true", "need a Redis URL that begins with"},
        {"url: \"${DYN_TEST_ABSENT}\"", "DYN_TEST_ABSENT"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        input_configure("type: redis, key: jobs, per_resource: 1, %s", wrong[i].keys);
        ck_assert_msg(input_disabled() != NULL && strstr(input_disabled(), wrong[i].words) != NULL,
                      "%s: %s", wrong[i].keys,
                      input_disabled() != NULL ? input_disabled() : "not disabled");
    }
}
END_TEST

START_TEST(what_does_not_go_together_is_refused)
{
    static const struct {
        const char *keys, *words;
    } wrong[] = {
        {"read: lag", "found read: lag alone, expected group beside it"},
        {"group: g", "found a group without read: lag, expected both"},
        {"read: hash", "expected one of list, set, sorted_set, stream, lag, number"},
        {"username: u", "found username alone, expected password beside it"},
        {"tls_cert: c", "found one of tls_cert and tls_key, expected both"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        const char *words = input_refused(
            "type: redis, url: \"redis://h\", key: jobs, per_resource: 1, %s", wrong[i].keys);
        ck_assert_msg(strstr(words, wrong[i].words) != NULL, "%s: %s", wrong[i].keys, words);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("redis_input");
    TCase *tests = tcase_create("redis_input");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, what_is_under_a_key_is_counted);
    tcase_add_test(tests, an_empty_queue_does_not_exist_and_is_zero);
    tcase_add_test(tests, another_type_is_an_error_in_the_servers_words);
    tcase_add_test(tests, a_number_is_read_and_its_absence_is_no_zero);
    tcase_add_test(tests, the_lag_of_a_group_is_what_it_was_not_given_yet);
    tcase_add_test(tests, a_lag_that_redis_does_not_know_is_an_error_that_says_why);
    tcase_add_test(tests, the_database_is_the_urls);
    tcase_add_test(tests, a_password_is_given_by_url_or_by_key_and_never_told);
    tcase_add_test(tests, a_replica_may_be_asked);
    tcase_add_test(tests, each_reading_leaves_no_connection_behind);
    tcase_add_test(tests, one_that_is_restarted_is_asked_again);
    tcase_add_test(tests, one_that_hangs_is_a_timeout);
    tcase_add_test(tests, what_cannot_be_a_redis_disables_the_input);
    tcase_add_test(tests, what_does_not_go_together_is_refused);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
