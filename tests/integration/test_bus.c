/* The bus against a real server: what it delivers, and what it says when the server goes. */
#include "common/bus.h"
#include "common/clock.h"
#include "support_name.h"
#include "support_redis.h"

#include <check.h>
#include <stdlib.h>
#include <unistd.h>

static struct dyn_loop *loop;
static struct support_redis *redis;

/* What the callbacks of one bus saw. */
struct seen {
    int ready;
    int lost;
    char replid[64];
    char why[512];
    size_t answers[DYN_UNSUPPORTED + 1]; /* by dyn_err */
    size_t total;
    char text[256]; /* the last answer's */
    int troubles;
    char trouble[512];
    bool may_pass; /* the last error */
};

static void on_ready(void *arg, struct dyn_str replid)
{
    struct seen *seen = arg;
    seen->ready++;
    dyn_str_copy(seen->replid, sizeof(seen->replid), replid);
}

static void on_lost(void *arg, const char *why)
{
    struct seen *seen = arg;
    seen->lost++;
    (void)snprintf(seen->why, sizeof(seen->why), "%s", why);
}

static void on_trouble(void *arg, const char *why)
{
    struct seen *seen = arg;
    seen->troubles++;
    (void)snprintf(seen->trouble, sizeof(seen->trouble), "%s", why);
}

static void on_answer(void *arg, dyn_err err, const struct bus_reply *reply)
{
    struct seen *seen = arg;
    seen->answers[err]++;
    seen->total++;
    ck_assert_int_eq(reply != NULL, err == DYN_OK || err == DYN_REFUSED || err == DYN_FENCED);
    if (reply != NULL) {
        dyn_str_copy(seen->text, sizeof(seen->text), bus_reply_str(reply));
        seen->may_pass = bus_reply_may_pass(reply);
    }
}

static struct bus *bus_open(struct seen *seen, const char *url)
{
    const struct bus_options options = {.url = url,
                                        .name = "dynosaur-test",
                                        .ready = on_ready,
                                        .lost = on_lost,
                                        .trouble = on_trouble,
                                        .arg = seen};
    struct dyn_error error;
    struct bus *bus = bus_new(loop, &options, &error);
    ck_assert_msg(bus != NULL, "%s", error.text);
    return bus;
}

/* Turn the loop until the condition holds; the test fails when it does not within 20 s. */
#define UNTIL(condition)                                                                        \
    do {                                                                                        \
        int64_t until_ms = dyn_clock_boot_ms() + 20000;                                         \
        while (!(condition)) {                                                                  \
            ck_assert_msg(dyn_clock_boot_ms() < until_ms, "waited in vain for %s", #condition); \
            dyn_loop_once(loop, 20);                                                            \
        }                                                                                       \
    } while (0)

static void setup(void)
{
    loop = dyn_loop_new();
    ck_assert_ptr_nonnull(loop);
    const struct support_redis_options options = {.append_only = true, .tcp = true};
    redis = support_redis_new(&options);
}

static void teardown(void)
{
    support_redis_free(redis);
    dyn_loop_free(loop);
}

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
    UNTIL(seen.lost == 1);
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

static void add_one(struct bus *bus, struct seen *seen)
{
    size_t before = seen->total;
    ck_assert_int_eq(bus_add(bus, "s", DYN_STR("x"), 0, on_answer, seen), DYN_OK);
    UNTIL(seen->total == before + 1);
}

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

static void fill(struct bus *bus, struct seen *seen, const char *key, size_t count)
{
    seen->total = 0;
    for (size_t i = 0; i < count;) {
        dyn_err err = bus_add(bus, key, DYN_STR("payload"), 0, on_answer, seen);
        if (err == DYN_OK) {
            i++;
        } else {
            ck_assert_int_eq(err, DYN_BUSY);
            dyn_loop_once(loop, 20);
        }
    }
    UNTIL(seen->total == count);
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
    UNTIL(seen.lost == 1);
    ck_assert_int_eq(paged.done, 1);
    ck_assert_int_eq(paged.err, DYN_CLOSED);
    bus_free(bus);
}
END_TEST

/* ---- readers ---- */

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
    (void)why;
    ((struct read_seen *)arg)->lost++;
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

static TCase *bus_tests(void)
{
    TCase *tests = tcase_create("bus");
    tcase_add_checked_fixture(tests, setup, teardown);
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

static TCase *reader_tests(void)
{
    TCase *tests = tcase_create("reader");
    tcase_add_checked_fixture(tests, setup, teardown);
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
    return tests;
}

int main(void)
{
    Suite *suite = suite_create("bus");
    suite_add_tcase(suite, bus_tests());
    suite_add_tcase(suite, reader_tests());
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
