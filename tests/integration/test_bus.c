/* The bus against a real server: what it delivers, and what it says when the server goes. */
#include "support_bus.h"
#include "support_name.h"

#include <stdlib.h>
#include <unistd.h>

static dyn_err command(struct bus *bus, struct seen *seen, const char *a, const char *b,
                       const char *c)
{
    const struct dyn_str argv[] = {dyn_str_from(a), dyn_str_from(b), dyn_str_from(c)};
    return bus_command(bus, argv, c != NULL ? 3 : b != NULL ? 2 : 1, 0, on_answer, seen);
}

/* Two failovers, there and back: the same process, whose run_id is the same. */
START_TEST(a_server_that_was_a_replica_meanwhile_has_another_history)
{
    struct seen seen = {0};
    struct bus *bus = bus_open(&seen, support_redis_url(redis));
    UNTIL(seen.ready == 1);
    char before[sizeof seen.replid];
    memcpy(before, seen.replid, sizeof before);
    bus_reset(bus, "a test");
    UNTIL(seen.ready == 2);
    ck_assert_str_eq(seen.replid, before);
    (void)support_redis_call(redis, "REPLICAOF", "127.0.0.1", "1", NULL);
    (void)support_redis_call(redis, "REPLICAOF", "NO", "ONE", NULL);
    bus_reset(bus, "a test");
    UNTIL(seen.ready == 3);
    ck_assert_str_ne(seen.replid, before);
    bus_free(bus);
}
END_TEST

START_TEST(a_bus_becomes_ready_and_tells_the_replid)
{
    struct seen seen = {0};
    struct bus *bus = bus_open(&seen, support_redis_url(redis));
    ck_assert(!bus_is_ready(bus));
    ck_assert_int_eq(command(bus, &seen, "PING", NULL, NULL), DYN_CLOSED);
    UNTIL(seen.ready == 1);
    ck_assert_uint_eq(strlen(seen.replid), 40);
    ck_assert_ptr_nonnull(
        strstr(support_redis_call(redis, "INFO", "replication", NULL), seen.replid));
    ck_assert_ptr_nonnull(
        strstr(support_redis_call(redis, "CLIENT", "LIST", NULL), "name=dynosaur-test"));
    ck_assert_int_eq(command(bus, &seen, "PING", NULL, NULL), DYN_OK);
    UNTIL(seen.total == 1);
    ck_assert_str_eq(seen.text, "PONG");
    bus_free(bus);
}
END_TEST

START_TEST(ten_thousand_entries_go_through_with_backpressure)
{
    struct seen seen = {0};
    struct bus *bus = bus_open(&seen, support_redis_url(redis));
    UNTIL(seen.ready == 1);
    size_t sent = 0;
    size_t busy = 0;
    while (sent < 10000) {
        dyn_err err = bus_add(bus, "s", DYN_STR("payload"), 0, on_answer, &seen);
        if (err == DYN_BUSY) {
            busy++;
            ck_assert_uint_eq(bus_pending(bus), DYN_BUS_PENDING_MAX);
            dyn_loop_once(loop, 20);
            continue;
        }
        ck_assert_int_eq(err, DYN_OK);
        sent++;
    }
    UNTIL(seen.total == 10000);
    ck_assert_uint_gt(busy, 0);
    ck_assert_uint_eq(seen.answers[DYN_OK], 10000);
    ck_assert_str_eq(support_redis_call(redis, "XLEN", "s", NULL), "10000");
    bus_free(bus);
}
END_TEST

START_TEST(an_error_reply_is_refused_with_its_words)
{
    struct seen seen = {0};
    struct bus *bus = bus_open(&seen, support_redis_url(redis));
    UNTIL(seen.ready == 1);
    ck_assert_int_eq(command(bus, &seen, "NOSUCH", NULL, NULL), DYN_OK);
    UNTIL(seen.answers[DYN_REFUSED] == 1);
    ck_assert_ptr_nonnull(strstr(seen.text, "unknown command"));
    support_redis_load_functions(redis);
    const struct dyn_str renew[] = {DYN_STR("FCALL"), DYN_STR("dyn_renew"), DYN_STR("1"),
                                    DYN_STR("l"),     DYN_STR("me"),        DYN_STR("1")};
    ck_assert_int_eq(bus_command(bus, renew, 6, 0, on_answer, &seen), DYN_OK);
    UNTIL(seen.answers[DYN_FENCED] == 1);
    bus_free(bus);
}
END_TEST

START_TEST(a_server_that_is_away_is_told_once_and_found_when_it_comes)
{
    struct seen seen = {0};
    support_redis_kill(redis);
    struct bus *bus = bus_open(&seen, support_redis_url(redis));
    UNTIL(seen.lost == 1);
    int64_t watched_ms = dyn_clock_boot_ms() + 500;
    UNTIL(dyn_clock_boot_ms() > watched_ms);
    ck_assert_int_eq(seen.lost, 1);
    support_redis_start(redis);
    UNTIL(seen.ready == 1);
    bus_free(bus);
}
END_TEST

START_TEST(a_refused_tcp_port_is_told)
{
    struct seen seen = {0};
    char url[64];
    (void)snprintf(url, sizeof(url), "redis://127.0.0.1:%d", support_redis_port(redis));
    support_redis_kill(redis);
    struct bus *bus = bus_open(&seen, url);
    UNTIL(seen.lost == 1);
    ck_assert_ptr_nonnull(strstr(seen.why, "refused"));
    support_redis_start(redis);
    UNTIL(seen.ready == 1);
    bus_free(bus);
}
END_TEST

START_TEST(a_killed_server_answers_each_command_exactly_once)
{
    struct seen seen = {0};
    struct bus *bus = bus_open(&seen, support_redis_url(redis));
    UNTIL(seen.ready == 1);
    size_t sent = 0;
    while (bus_add(bus, "s", DYN_STR("payload"), 0, on_answer, &seen) == DYN_OK) {
        sent++;
    }
    UNTIL(seen.total > 0);
    support_redis_kill(redis);
    UNTIL(seen.lost >= 1);
    ck_assert_uint_eq(seen.total, sent);
    /* On a busy machine some were late already when the server ended. */
    ck_assert_uint_eq(seen.answers[DYN_OK] + seen.answers[DYN_CLOSED] + seen.answers[DYN_TIMEOUT],
                      sent);
    ck_assert_uint_eq(bus_pending(bus), 0);
    support_redis_start(redis);
    UNTIL(seen.ready == 2);
    /* Nothing acknowledged is lost. */
    ck_assert_uint_ge(strtoul(support_redis_call(redis, "XLEN", "s", NULL), NULL, 10),
                      seen.answers[DYN_OK]);
    ck_assert_uint_eq(seen.total, sent);
    bus_free(bus);
}
END_TEST

START_TEST(a_frozen_server_times_out_and_is_found_again)
{
    struct seen seen = {0};
    struct bus *bus = bus_open(&seen, support_redis_url(redis));
    UNTIL(seen.ready == 1);
    support_redis_freeze(redis);
    const struct dyn_str ping[] = {DYN_STR("PING")};
    ck_assert_int_eq(bus_command(bus, ping, 1, 300, on_answer, &seen), DYN_OK);
    ck_assert_int_eq(bus_command(bus, ping, 1, 60000, on_answer, &seen), DYN_OK);
    UNTIL(seen.total == 2);
    ck_assert_uint_eq(seen.answers[DYN_TIMEOUT], 1);
    ck_assert_uint_eq(seen.answers[DYN_CLOSED], 1);
    ck_assert_int_eq(seen.lost, 1);
    ck_assert(!bus_is_ready(bus));
    support_redis_thaw(redis);
    UNTIL(seen.ready == 2);
    bus_free(bus);
}
END_TEST

START_TEST(a_replica_is_refused)
{
    struct seen seen = {0};
    (void)support_redis_call(redis, "REPLICAOF", "127.0.0.1", "1", NULL);
    struct bus *bus = bus_open(&seen, support_redis_url(redis));
    UNTIL(seen.lost == 1);
    ck_assert_msg(strstr(seen.why, "no master but: slave") != NULL, "%s", seen.why);
    (void)support_redis_call(redis, "REPLICAOF", "NO", "ONE", NULL);
    UNTIL(seen.ready == 1);
    /* It becomes one under way: the first write says so. */
    (void)support_redis_call(redis, "REPLICAOF", "127.0.0.1", "1", NULL);
    ck_assert_int_eq(bus_add(bus, "s", DYN_STR("x"), 0, on_answer, &seen), DYN_OK);
    UNTIL(seen.lost == 2);
    ck_assert_uint_eq(seen.answers[DYN_REFUSED], 1);
    bus_free(bus);
}
END_TEST

/* The server refuses what is added in its own words, which are told, and takes it again later. */
static void trouble_passes(struct bus *bus, struct seen *seen, const char *words)
{
    int before = seen->troubles;
    size_t refused = seen->answers[DYN_REFUSED];
    add_one(bus, seen);
    UNTIL(seen->troubles == before + 1);
    ck_assert_uint_eq(seen->answers[DYN_REFUSED], refused + 1);
    ck_assert_msg(strncmp(seen->trouble, words, strlen(words)) == 0, "%s", seen->trouble);
    ck_assert_int_eq(seen->trouble[strlen(seen->trouble) - 1], ')'); /* what to do */
    ck_assert(seen->may_pass);
    ck_assert_int_eq(seen->lost, 0);
}

START_TEST(what_the_server_itself_suffers_from_is_told_and_passes)
{
    struct seen seen = {0};
    struct bus *bus = bus_open(&seen, support_redis_url(redis));
    UNTIL(seen.ready == 1);
    (void)support_redis_call(redis, "CONFIG", "SET", "maxmemory", "1", NULL);
    trouble_passes(bus, &seen, "OOM ");
    (void)support_redis_call(redis, "CONFIG", "SET", "maxmemory", "0", NULL);
    (void)support_redis_call(redis, "CONFIG", "SET", "min-replicas-to-write", "1", NULL);
    trouble_passes(bus, &seen, "NOREPLICAS ");
    (void)support_redis_call(redis, "CONFIG", "SET", "min-replicas-to-write", "0", NULL);
    add_one(bus, &seen);
    ck_assert_uint_eq(seen.answers[DYN_OK], 1);
    bus_free(bus);
}
END_TEST

START_TEST(a_disk_that_fails_redis_is_told_and_passes)
{
    struct seen seen = {0};
    /* A snapshot cannot take its place, since a directory has it. */
    const char *const arguments[] = {"--dbfilename", "appendonlydir", NULL};
    const struct support_redis_options options = {.append_only = true, .arguments = arguments};
    struct support_redis *full = support_redis_new(&options);
    struct bus *bus = bus_open(&seen, support_redis_url(full));
    UNTIL(seen.ready == 1);
    (void)support_redis_call(full, "CONFIG", "SET", "save", "3600 1", NULL);
    (void)support_redis_call(full, "BGSAVE", NULL);
    int64_t until_ms = dyn_clock_boot_ms() + 20000;
    while (strstr(support_redis_call(full, "INFO", "persistence", NULL),
                  "rdb_last_bgsave_status:err") == NULL) {
        ck_assert_int_lt(dyn_clock_boot_ms(), until_ms);
        dyn_loop_once(loop, 20);
    }
    trouble_passes(bus, &seen, "MISCONF ");
    (void)support_redis_call(full, "CONFIG", "SET", "save", "", NULL);
    add_one(bus, &seen);
    ck_assert_uint_eq(seen.answers[DYN_OK], 1);
    bus_free(bus);
    support_redis_free(full);
}
END_TEST

START_TEST(a_server_that_has_no_data_yet_or_asks_who_we_are_is_left_and_tried_again)
{
    struct seen seen = {0};
    struct bus *bus = bus_open(&seen, support_redis_url(redis));
    static const char *const errors[] = {"LOADING Redis is loading the dataset in memory",
                                         "MASTERDOWN Link with MASTER is down",
                                         "NOAUTH Authentication required."};
    for (int i = 0; i < 3; i++) {
        char script[128];
        UNTIL(seen.ready == i + 1);
        (void)snprintf(script, sizeof(script), "return redis.error_reply('%s')", errors[i]);
        ck_assert_int_eq(command(bus, &seen, "EVAL", script, "0"), DYN_OK);
        UNTIL(seen.lost == i + 1);
        ck_assert_uint_eq(seen.answers[DYN_REFUSED], (size_t)i + 1);
    }
    UNTIL(seen.ready == 4);
    ck_assert_int_eq(seen.troubles, 0);
    bus_free(bus);
}
END_TEST

START_TEST(what_an_acl_forbids_is_told_and_does_not_pass)
{
    struct seen seen = {0};
    char url[256];
    (void)support_redis_call(redis, "ACL", "SETUSER", "worker", "on", ">secret", "+@all", "-xadd",
                             "~*", NULL);
    (void)snprintf(url, sizeof(url), "redis://worker:secret@127.0.0.1:%d",
                   support_redis_port(redis));
    struct bus *bus = bus_open(&seen, url);
    UNTIL(seen.ready == 1);
    add_one(bus, &seen);
    UNTIL(seen.troubles == 1);
    ck_assert_ptr_nonnull(strstr(seen.trouble, "NOPERM "));
    ck_assert(!seen.may_pass);
    bus_free(bus);
}
END_TEST

START_TEST(a_reason_that_changes_is_told_again)
{
    struct seen seen = {0};
    struct bus *bus = bus_open(&seen, support_redis_url(redis));
    UNTIL(seen.ready == 1);
    support_redis_kill(redis);
    UNTIL(strstr(seen.why, "closed") != NULL || strstr(seen.why, "reset") != NULL);
    UNTIL(strstr(seen.why, "refused") != NULL);
    ck_assert_int_eq(seen.lost, 2);
    bus_free(bus);
}
END_TEST

START_TEST(a_host_name_is_resolved_beside_the_loop)
{
    struct seen seen = {0};
    struct seen wrong = {0};
    char url[64];
    (void)snprintf(url, sizeof(url), "redis://%s:%d", support_loopback(),
                   support_redis_port(redis));
    struct bus *bus = bus_open(&seen, url);
    UNTIL(seen.ready == 1);
    bus_free(bus);
    bus = bus_open(&wrong, "redis://no-such-host.invalid");
    UNTIL(wrong.lost == 1);
    ck_assert_msg(strncmp(wrong.why, "no-such-host.invalid: ", 22) == 0, "%s", wrong.why);
    bus_free(bus);
    bus = bus_open(&wrong, "redis://no-such-host.invalid");
    dyn_loop_once(loop, 20);
    bus_free(bus); /* with the look-up under way */
}
END_TEST

START_TEST(a_wrong_password_is_told_and_not_shown)
{
    struct seen seen = {0};
    (void)support_redis_call(redis, "ACL", "SETUSER", "worker", "on", ">se:c@r%t/", "+@all", "~*",
                             NULL);
    char url[256];
    (void)snprintf(url, sizeof(url), "redis://worker:canary-7f3a@127.0.0.1:%d/3",
                   support_redis_port(redis));
    struct bus *bus = bus_open(&seen, url);
    UNTIL(seen.lost == 1);
    ck_assert_ptr_nonnull(strstr(seen.why, "user or password"));
    ck_assert_ptr_null(strstr(seen.why, "canary"));
    bus_free(bus);
}
END_TEST

START_TEST(a_url_carries_user_password_and_database)
{
    (void)support_redis_call(redis, "ACL", "SETUSER", "wor:ker", "on", ">se:c@r%t/", "+@all", "~*",
                             NULL);
    for (int i = 0; i < 2; i++) {
        struct seen seen = {0};
        char url[256];
        if (i == 0) {
            (void)snprintf(url, sizeof(url),
                           "redis://wor%%3aker:se%%3Ac%%40r%%25t%%2F@127.0.0.1:%d/3",
                           support_redis_port(redis));
        } else {
            (void)snprintf(url, sizeof(url), "unix://wor%%3aker:se%%3Ac%%40r%%25t%%2F@%s?db=3",
                           support_redis_path(redis));
        }
        struct bus *bus = bus_open(&seen, url);
        UNTIL(seen.ready == 1);
        ck_assert_int_eq(command(bus, &seen, "SET", "k", "v"), DYN_OK);
        UNTIL(seen.total == 1);
        ck_assert_ptr_nonnull(
            strstr(support_redis_call(redis, "INFO", "keyspace", NULL), "db3:keys=1"));
        bus_free(bus);
    }
}
END_TEST

START_TEST(a_password_of_its_own_keeps_the_user_of_the_url)
{
    struct seen seen = {0};
    char url[256];
    (void)support_redis_call(redis, "ACL", "SETUSER", "worker", "on", ">other", "+@all", "~*",
                             NULL);
    (void)snprintf(url, sizeof(url), "redis://worker:old@127.0.0.1:%d", support_redis_port(redis));
    const struct bus_access access = {.password = "other"};
    const struct bus_options options = {.url = url,
                                        .access = &access,
                                        .name = "dynosaur-test",
                                        .ready = on_ready,
                                        .lost = on_lost,
                                        .arg = &seen};
    struct dyn_error error;
    struct bus *bus = bus_new(loop, &options, &error);
    ck_assert_msg(bus != NULL, "%s", error.text);
    UNTIL(seen.ready + seen.lost > 0);
    ck_assert_str_eq(seen.why, "");
    ck_assert_int_eq(seen.ready, 1);
    bus_free(bus);
}
END_TEST

START_TEST(a_wrong_url_is_refused_without_its_user_part)
{
    static const char *const urls[] = {
        "http://canary:canary@host",  "redis://canary@host",     "redis://canary:%zz@host",
        "redis://:canary@host:0",     "redis://:canary@host/x",  "redis://:canary@",
        "unix://:canary@relative",    "unix:///tmp/s?canary=1",  "rediss://:canary@",
        "redis://:canary@host:6379x", "redis://:can%00ary@host", "",
    };
    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        const struct bus_options options = {.url = urls[i], .name = "dynosaur-test"};
        struct dyn_error error = {""};
        ck_assert_ptr_null(bus_new(loop, &options, &error));
        ck_assert_str_ne(error.text, "");
        ck_assert_ptr_null(strstr(error.text, "canary"));
    }
}
END_TEST

START_TEST(a_freed_bus_cancels_what_is_under_way)
{
    struct seen seen = {0};
    struct bus *bus = bus_open(&seen, support_redis_url(redis));
    UNTIL(seen.ready == 1);
    for (int i = 0; i < 10; i++) {
        ck_assert_int_eq(command(bus, &seen, "PING", NULL, NULL), DYN_OK);
    }
    bus_free(bus);
    ck_assert_uint_eq(seen.answers[DYN_CANCELLED], 10);
    dyn_loop_once(loop, 20);
    ck_assert_uint_eq(seen.total, 10);
}
END_TEST

static struct bus *bus_of_its_own_end;
static size_t its_answers;

static void on_answer_free(void *arg, dyn_err err, const struct bus_reply *reply)
{
    (void)err;
    (void)reply;
    (void)arg;
    its_answers++;
    bus_free(bus_of_its_own_end);
}

START_TEST(a_bus_may_be_freed_in_its_own_callbacks)
{
    struct seen seen = {0};
    bus_of_its_own_end = bus_open(&seen, support_redis_url(redis));
    UNTIL(seen.ready == 1);
    const struct dyn_str ping[] = {DYN_STR("PING")};
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(bus_command(bus_of_its_own_end, ping, 1, 0, on_answer_free, NULL), DYN_OK);
    }
    UNTIL(its_answers == 3);
    dyn_loop_once(loop, 20);
    ck_assert_uint_eq(its_answers, 3);
}
END_TEST

START_TEST(a_reset_connects_anew)
{
    struct seen seen = {0};
    struct bus *bus = bus_open(&seen, support_redis_url(redis));
    UNTIL(seen.ready == 1);
    bus_reset(bus, "as told");
    ck_assert_int_eq(command(bus, &seen, "PING", NULL, NULL), DYN_CLOSED);
    UNTIL(seen.ready == 2);
    ck_assert_int_eq(seen.lost, 1);
    ck_assert_str_eq(seen.why, "as told");
    bus_free(bus);
}
END_TEST

static size_t big_size;

static void on_big(void *arg, dyn_err err, const struct bus_reply *reply)
{
    ck_assert_int_eq(err, DYN_OK);
    big_size = bus_reply_str(reply).len;
    *(bool *)arg = true;
}

START_TEST(a_reply_of_32_mib_arrives_whole)
{
    struct seen seen = {0};
    bool done = false;
    struct bus *bus = bus_open(&seen, support_redis_url(redis));
    UNTIL(seen.ready == 1);
    (void)support_redis_call(redis, "SETRANGE", "big", "33554431", "x", NULL);
    const struct dyn_str get[] = {DYN_STR("GET"), DYN_STR("big")};
    ck_assert_int_eq(bus_command(bus, get, 2, 15000, on_big, &done), DYN_OK);
    UNTIL(done);
    ck_assert_uint_eq(big_size, (size_t)32 * 1024 * 1024);
    bus_free(bus);
}
END_TEST

/* ---- ranges ---- */

struct paged {
    size_t entries;
    struct entry_id last;
    int done;
    dyn_err err;
};

static void on_range_entry(void *arg, const struct bus_entry *entry)
{
    struct paged *paged = arg;
    ck_assert_int_gt(entry_id_compare(entry->id, paged->last), 0);
    paged->last = entry->id;
    paged->entries++;
}

static void on_range_done(void *arg, dyn_err err)
{
    struct paged *paged = arg;
    paged->done++;
    paged->err = err;
}

START_TEST(a_range_of_5000_entries_comes_page_by_page)
{
    struct seen seen = {0};
    struct bus *bus = bus_open(&seen, support_redis_url(redis));
    UNTIL(seen.ready == 1);
    fill(bus, &seen, "s", 5000);
    struct paged paged = {0};
    struct bus_range range = {.key = "s",
                              .to = {UINT64_MAX, UINT64_MAX},
                              .entry = on_range_entry,
                              .done = on_range_done,
                              .arg = &paged};
    ck_assert_int_eq(bus_range_start(bus, &range), DYN_OK);
    UNTIL(paged.done == 1);
    ck_assert_int_eq(paged.err, DYN_OK);
    ck_assert_uint_eq(paged.entries, 5000);
    /* Both ends are inclusive. */
    struct paged one = {0};
    range.from = paged.last;
    range.to = paged.last;
    range.arg = &one;
    ck_assert_int_eq(bus_range_start(bus, &range), DYN_OK);
    UNTIL(one.done == 1);
    ck_assert_uint_eq(one.entries, 1);
    bus_free(bus);
}
END_TEST

START_TEST(a_range_that_is_cut_off_says_so_once)
{
    struct seen seen = {0};
    struct bus *bus = bus_open(&seen, support_redis_url(redis));
    UNTIL(seen.ready == 1);
    fill(bus, &seen, "s", 3000);
    struct paged paged = {0};
    const struct bus_range range = {.key = "s",
                                    .to = {UINT64_MAX, UINT64_MAX},
                                    .entry = on_range_entry,
                                    .done = on_range_done,
                                    .arg = &paged};
    ck_assert_int_eq(bus_range_start(bus, &range), DYN_OK);
    support_redis_kill(redis);
    UNTIL(seen.lost >= 1);
    ck_assert_int_eq(paged.done, 1);
    ck_assert_int_eq(paged.err, DYN_CLOSED);
    bus_free(bus);
}
END_TEST

static TCase *bus_tests(void)
{
    TCase *tests = tcase_create("bus");
    tcase_add_checked_fixture(tests, support_bus_setup, support_bus_teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_bus_becomes_ready_and_tells_the_replid);
    tcase_add_test(tests, a_server_that_was_a_replica_meanwhile_has_another_history);
    tcase_add_test(tests, ten_thousand_entries_go_through_with_backpressure);
    tcase_add_test(tests, an_error_reply_is_refused_with_its_words);
    tcase_add_test(tests, a_server_that_is_away_is_told_once_and_found_when_it_comes);
    tcase_add_test(tests, a_refused_tcp_port_is_told);
    tcase_add_test(tests, a_killed_server_answers_each_command_exactly_once);
    tcase_add_test(tests, a_frozen_server_times_out_and_is_found_again);
    tcase_add_test(tests, a_replica_is_refused);
    tcase_add_test(tests, what_the_server_itself_suffers_from_is_told_and_passes);
    tcase_add_test(tests, a_disk_that_fails_redis_is_told_and_passes);
    tcase_add_test(tests, a_server_that_has_no_data_yet_or_asks_who_we_are_is_left_and_tried_again);
    tcase_add_test(tests, what_an_acl_forbids_is_told_and_does_not_pass);
    tcase_add_test(tests, a_reason_that_changes_is_told_again);
    tcase_add_test(tests, a_host_name_is_resolved_beside_the_loop);
    tcase_add_test(tests, a_wrong_password_is_told_and_not_shown);
    tcase_add_test(tests, a_url_carries_user_password_and_database);
    tcase_add_test(tests, a_password_of_its_own_keeps_the_user_of_the_url);
    tcase_add_test(tests, a_wrong_url_is_refused_without_its_user_part);
    tcase_add_test(tests, a_freed_bus_cancels_what_is_under_way);
    tcase_add_test(tests, a_bus_may_be_freed_in_its_own_callbacks);
    tcase_add_test(tests, a_reset_connects_anew);
    tcase_add_test(tests, a_reply_of_32_mib_arrives_whole);
    tcase_add_test(tests, a_range_of_5000_entries_comes_page_by_page);
    tcase_add_test(tests, a_range_that_is_cut_off_says_so_once);
    return tests;
}

int main(void)
{
    Suite *suite = suite_create("bus");
    suite_add_tcase(suite, bus_tests());
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
