/* The bus where Sentinels know which server is the master, and commands that replicas must have. */
#include "common/bus.h"
#include "common/clock.h"
#include "support_redis.h"

#include <check.h>
#include <stdlib.h>

#define MASTER "fleet"
#define KEPT_MS 300

static struct dyn_loop *loop;
static struct support_redis *primary;
static struct support_redis *replica;
static struct support_redis *sentinels[3];
static size_t sentinels_count;
static char replica_of[16];

struct seen {
    int ready;
    int lost;
    char replid[64];
    char why[512];
    char trouble[512];
    size_t answers[DYN_UNSUPPORTED + 1]; /* by dyn_err */
    size_t total;
    char text[256]; /* the last answer's */
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
    (void)snprintf(seen->trouble, sizeof(seen->trouble), "%s", why);
}

static void on_answer(void *arg, dyn_err err, const struct bus_reply *reply)
{
    struct seen *seen = arg;
    seen->answers[err]++;
    seen->total++;
    ck_assert_int_eq(reply != NULL, err == DYN_OK || err == DYN_REFUSED || err == DYN_UNKEPT);
    if (reply != NULL) {
        dyn_str_copy(seen->text, sizeof(seen->text), bus_reply_str(reply));
    }
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

static char node_texts[4][32];
static const char *nodes[5];

/* The address of the n-th node that a test's bus is told. */
static void node_set(size_t n, int port)
{
    (void)snprintf(node_texts[n], sizeof(node_texts[n]), "127.0.0.1:%d", port);
    nodes[n] = node_texts[n];
    nodes[n + 1] = NULL;
}

static struct bus *bus_open(struct seen *seen, const struct bus_access *access, const char *url)
{
    const struct bus_options options = {.url = url,
                                        .access = access,
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

static const struct bus_access by_sentinel = {
    .sentinel_master = MASTER, .sentinel_nodes = nodes, .replicas = 1};

static void sentinel_start(int master_port, int quorum, const char *password)
{
    char lines[512];
    (void)snprintf(lines, sizeof(lines),
                   "sentinel monitor " MASTER " 127.0.0.1 %d %d\n"
                   "sentinel down-after-milliseconds " MASTER " 1000\n"
                   "sentinel failover-timeout " MASTER " 5000\n",
                   master_port, quorum);
    const struct support_redis_options options = {
        .tcp = true, .sentinel = lines, .password = password};
    struct support_redis *sentinel = support_redis_new(&options);
    sentinels[sentinels_count] = sentinel;
    node_set(sentinels_count++, support_redis_port(sentinel));
}

static void setup(void)
{
    loop = dyn_loop_new();
    ck_assert_ptr_nonnull(loop);
    const struct support_redis_options options = {.tcp = true};
    primary = support_redis_new(&options);
    (void)snprintf(replica_of, sizeof(replica_of), "%d", support_redis_port(primary));
    const char *const arguments[] = {
        "--replicaof", "127.0.0.1", replica_of, "--repl-diskless-sync-delay", "0", NULL};
    const struct support_redis_options copy = {.tcp = true, .arguments = arguments};
    replica = support_redis_new(&copy);
}

static void teardown(void)
{
    while (sentinels_count > 0) {
        support_redis_free(sentinels[--sentinels_count]);
    }
    support_redis_free(replica);
    support_redis_free(primary);
    dyn_loop_free(loop);
}

/* The test's own turns of the loop stand still meanwhile, which is no matter. */
#define AWAIT_CALL(server, words, ...)                                                         \
    do {                                                                                       \
        int64_t until_ms = dyn_clock_boot_ms() + 20000;                                        \
        while (strstr(support_redis_call(server, __VA_ARGS__, (char *)NULL), words) == NULL) { \
            ck_assert_msg(dyn_clock_boot_ms() < until_ms, "waited in vain for %s", words);     \
            dyn_loop_once(loop, 20);                                                           \
        }                                                                                      \
    } while (0)

static dyn_err kept(struct bus *bus, struct seen *seen, const char *key)
{
    const struct dyn_str argv[] = {DYN_STR("INCR"), dyn_str_from(key)};
    return bus_command_kept(bus, argv, 2, KEPT_MS, on_answer, seen);
}

START_TEST(a_failover_is_followed_and_what_no_replica_has_is_not_kept)
{
    for (int i = 0; i < 3; i++) {
        sentinel_start(support_redis_port(primary), 2, NULL);
    }
    struct seen seen = {0};
    struct bus *bus = bus_open(&seen, &by_sentinel, "redis://host.that.is.not.used");
    UNTIL(seen.ready == 1);
    ck_assert_ptr_nonnull(
        strstr(support_redis_call(primary, "INFO", "replication", NULL), seen.replid));
    AWAIT_CALL(replica, "master_link_status:up", "INFO", "replication");
    AWAIT_CALL(primary, "state=online", "INFO", "replication");
    ck_assert_int_eq(kept(bus, &seen, "k"), DYN_OK);
    UNTIL(seen.total == 1);
    ck_assert_uint_eq(seen.answers[DYN_OK], 1);
    for (int i = 0; i < 3; i++) {
        AWAIT_CALL(sentinels[i], "OK 3 usable", "SENTINEL", "CKQUORUM", MASTER);
        AWAIT_CALL(sentinels[i], "num-slaves\n1", "SENTINEL", "MASTER", MASTER);
    }
    support_redis_kill(primary);
    UNTIL(seen.ready == 2);
    ck_assert_int_ge(seen.lost, 1);
    ck_assert_ptr_nonnull(
        strstr(support_redis_call(replica, "INFO", "replication", NULL), seen.replid));
    ck_assert_str_eq(support_redis_call(replica, "GET", "k", NULL), "1");
    /* The command was done, and nobody else has it. */
    ck_assert_int_eq(kept(bus, &seen, "k"), DYN_OK);
    UNTIL(seen.total == 2);
    ck_assert_uint_eq(seen.answers[DYN_UNKEPT], 1);
    ck_assert_str_eq(support_redis_call(replica, "GET", "k", NULL), "2");
    bus_free(bus);
}
END_TEST

static size_t entries;

static void on_entry(void *arg, size_t stream, const struct bus_entry *entry)
{
    (void)arg;
    (void)stream;
    (void)entry;
    entries++;
}

START_TEST(a_reader_finds_the_master_too)
{
    sentinel_start(support_redis_port(primary), 1, NULL);
    entries = 0;
    (void)support_redis_call(primary, "XADD", "s", "*", "m", "x", NULL);
    const struct bus_reader_options options = {.url = "redis://127.0.0.1:1",
                                               .access = &by_sentinel,
                                               .name = "dynosaur-test",
                                               .entry = on_entry};
    struct dyn_error error;
    struct bus_reader *reader = bus_reader_new(loop, &options, &error);
    ck_assert_msg(reader != NULL, "%s", error.text);
    (void)bus_reader_follow(reader, "s", (struct entry_id){0, 0});
    UNTIL(entries == 1);
    bus_reader_free(reader);
}
END_TEST

START_TEST(a_sentinel_that_is_away_or_knows_an_old_master_is_passed_over)
{
    struct seen seen = {0};
    sentinel_start(support_redis_port(replica), 1, NULL); /* which says that it is none */
    sentinel_start(support_redis_port(primary), 1, NULL);
    int away = support_redis_port(sentinels[0]);
    node_set(2, support_redis_port(sentinels[1]));
    node_set(1, away);
    nodes[2] = node_texts[2];
    (void)snprintf(node_texts[0], sizeof(node_texts[0]), "127.0.0.1:1"); /* nobody listens */
    struct bus *bus = bus_open(&seen, &by_sentinel, "redis://host");
    UNTIL(seen.ready == 1);
    ck_assert_int_eq(seen.lost, 0);
    ck_assert_ptr_nonnull(
        strstr(support_redis_call(primary, "INFO", "replication", NULL), seen.replid));
    bus_free(bus);
}
END_TEST

START_TEST(a_master_that_lost_its_replicas_is_doubted_and_another_sentinel_asked)
{
    struct seen seen = {0};
    sentinel_start(support_redis_port(primary), 2, NULL);
    sentinel_start(support_redis_port(replica), 2, NULL);
    struct bus *bus = bus_open(&seen, &by_sentinel, "redis://host");
    UNTIL(seen.ready == 1);
    ck_assert_ptr_nonnull(
        strstr(support_redis_call(primary, "INFO", "replication", NULL), seen.replid));
    /* As after a failover that the first Sentinel was parted from. */
    (void)support_redis_call(replica, "REPLICAOF", "NO", "ONE", NULL);
    (void)support_redis_call(primary, "CONFIG", "SET", "min-replicas-to-write", "1", NULL);
    ck_assert_int_eq(bus_add(bus, "s", DYN_STR("x"), 0, on_answer, &seen), DYN_OK);
    UNTIL(seen.ready == 2);
    ck_assert_uint_eq(seen.answers[DYN_REFUSED], 1);
    ck_assert_ptr_nonnull(
        strstr(support_redis_call(replica, "INFO", "replication", NULL), seen.replid));
    bus_free(bus);
}
END_TEST

START_TEST(what_each_sentinel_said_is_told_when_none_leads_to_a_master)
{
    struct seen seen = {0};
    struct seen disagreeing = {0};
    struct seen unknown = {0};
    sentinel_start(1, 2, NULL);
    sentinel_start(2, 2, NULL);
    node_set(2, 3);
    struct bus *bus = bus_open(&disagreeing, &by_sentinel, "redis://host");
    UNTIL(disagreeing.lost >= 1);
    ck_assert_msg(strstr(disagreeing.why, "the Sentinels disagree") != NULL &&
                      strstr(disagreeing.why, "names 127.0.0.1:1: Connection refused") != NULL &&
                      strstr(disagreeing.why, "names 127.0.0.1:2: Connection refused") != NULL &&
                      strstr(disagreeing.why, "127.0.0.1:3 Connection refused") != NULL,
                  "%s", disagreeing.why);
    bus_free(bus);
    const struct bus_access other = {.sentinel_master = "nobody", .sentinel_nodes = nodes};
    bus = bus_open(&unknown, &other, "redis://host");
    UNTIL(unknown.lost >= 1);
    ck_assert_msg(strstr(unknown.why, "no Sentinel tells the master \"nobody\": ") != NULL &&
                      strstr(unknown.why, "knows no master of that name") != NULL,
                  "%s", unknown.why);
    bus_free(bus);
    node_set(0, 3);
    bus = bus_open(&seen, &by_sentinel, "redis://host");
    UNTIL(seen.lost >= 1);
    ck_assert_msg(strcmp(seen.why, "no Sentinel tells the master \"" MASTER
                                   "\": 127.0.0.1:3 Connection refused") == 0,
                  "%s", seen.why);
    bus_free(bus);
}
END_TEST

START_TEST(a_sentinel_that_hangs_costs_about_a_second)
{
    struct seen seen = {0};
    sentinel_start(support_redis_port(primary), 2, NULL);
    sentinel_start(support_redis_port(primary), 2, NULL);
    support_redis_freeze(sentinels[0]);
    int64_t begun_ms = dyn_clock_boot_ms();
    struct bus *bus = bus_open(&seen, &by_sentinel, "redis://host");
    UNTIL(seen.ready == 1);
    ck_assert_int_ge(dyn_clock_boot_ms() - begun_ms, 1000);
    ck_assert_int_lt(dyn_clock_boot_ms() - begun_ms, 3000);
    support_redis_thaw(sentinels[0]);
    bus_free(bus);
}
END_TEST

START_TEST(sentinels_may_want_a_password)
{
    struct seen seen = {0};
    struct seen wrong = {0};
    sentinel_start(support_redis_port(primary), 2, "canary-5c1d");
    struct bus_access access = by_sentinel;
    struct bus *bus = bus_open(&wrong, &access, "redis://host");
    UNTIL(wrong.lost >= 1);
    ck_assert_msg(strstr(wrong.why, "NOAUTH") != NULL, "%s", wrong.why);
    bus_free(bus);
    access.sentinel_password = "canary-77";
    bus = bus_open(&wrong, &access, "redis://host");
    UNTIL(wrong.lost >= 2);
    ck_assert_msg(strstr(wrong.why, "refuses user or password") != NULL, "%s", wrong.why);
    ck_assert_ptr_null(strstr(wrong.why, "canary"));
    bus_free(bus);
    access.sentinel_password = "canary-5c1d";
    bus = bus_open(&seen, &access, "redis://host");
    UNTIL(seen.ready == 1);
    bus_free(bus);
}
END_TEST

/* ---- kept, without Sentinels ---- */

START_TEST(kept_calls_are_answered_in_order_and_share_the_wait_for_replicas)
{
    struct seen seen = {0};
    char url[64];
    (void)snprintf(url, sizeof(url), "redis://127.0.0.1:%d", support_redis_port(primary));
    const struct bus_access two = {.replicas = 2};
    struct bus *bus = bus_open(&seen, &two, url);
    UNTIL(seen.ready == 1);
    int64_t begun_ms = dyn_clock_boot_ms();
    for (int i = 0; i < 50; i++) {
        ck_assert_int_eq(kept(bus, &seen, "k"), DYN_OK);
    }
    const struct dyn_str wrong[] = {DYN_STR("NOSUCH")};
    ck_assert_int_eq(bus_command_kept(bus, wrong, 1, KEPT_MS, on_answer, &seen), DYN_OK);
    UNTIL(seen.total == 51);
    ck_assert_uint_eq(seen.answers[DYN_UNKEPT], 50);
    ck_assert_uint_eq(seen.answers[DYN_REFUSED], 1);
    ck_assert_int_lt(dyn_clock_boot_ms() - begun_ms, 10 * KEPT_MS);
    bus_free(bus);
}
END_TEST

START_TEST(kept_calls_that_were_not_waited_for_are_not_kept_when_the_server_goes)
{
    struct seen seen = {0};
    char url[64];
    (void)snprintf(url, sizeof(url), "redis://127.0.0.1:%d", support_redis_port(primary));
    const struct bus_access two = {.replicas = 2};
    struct bus *bus = bus_open(&seen, &two, url);
    UNTIL(seen.ready == 1);
    ck_assert_int_eq(kept(bus, &seen, "k"), DYN_OK);
    dyn_loop_once(loop, 20); /* it and its WAIT are under way */
    ck_assert_int_eq(kept(bus, &seen, "k"), DYN_OK);
    support_redis_kill(primary);
    UNTIL(seen.total == 2);
    ck_assert_uint_eq(seen.answers[DYN_CLOSED], 2);
    ck_assert_int_eq(kept(bus, &seen, "k"), DYN_CLOSED);
    support_redis_start(primary);
    UNTIL(seen.ready == 2);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(kept(bus, &seen, "k"), DYN_OK);
    }
    bus_free(bus);
    ck_assert_uint_eq(seen.answers[DYN_CANCELLED], 3);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bus_sentinel");
    TCase *tests = tcase_create("bus_sentinel");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_failover_is_followed_and_what_no_replica_has_is_not_kept);
    tcase_add_test(tests, a_reader_finds_the_master_too);
    tcase_add_test(tests, a_sentinel_that_is_away_or_knows_an_old_master_is_passed_over);
    tcase_add_test(tests, a_master_that_lost_its_replicas_is_doubted_and_another_sentinel_asked);
    tcase_add_test(tests, what_each_sentinel_said_is_told_when_none_leads_to_a_master);
    tcase_add_test(tests, a_sentinel_that_hangs_costs_about_a_second);
    tcase_add_test(tests, sentinels_may_want_a_password);
    tcase_add_test(tests, kept_calls_are_answered_in_order_and_share_the_wait_for_replicas);
    tcase_add_test(tests, kept_calls_that_were_not_waited_for_are_not_kept_when_the_server_goes);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
