/* deploy/redis as it is meant: two servers with redis.conf and users.acl, one the other's replica,
 * and a real Sentinel that makes it the master. Redis' own processes are users as well. */
#include "support_acl.h"
#include "support_program.h"
#include "support_redis.h"

#include "common/clock.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define AWAIT_MS 30000

static struct acl_users *users;
static struct support_redis *first;
static struct support_redis *second;
static struct support_file *file;
static struct program *sentinel;
static char conf[512];
static char first_port[16];
static const char *first_arguments[16];
static const char *second_arguments[16];

/* One more replica of `port`, or with "" a master: `arguments` must last as long as the server. */
static struct support_redis *server_new(const char **arguments, const char *port)
{
    const char *const all[] = {"--include",
                               conf,
                               "--aclfile",
                               acl_users_file(users),
                               "--masteruser",
                               "replica",
                               "--masterauth",
                               acl_users_password(users, "replica"),
                               "--repl-diskless-sync-delay",
                               "0",
                               port[0] != '\0' ? "--replicaof" : NULL,
                               "127.0.0.1",
                               port,
                               NULL};
    memcpy(arguments, all, sizeof all);
    struct support_redis *redis =
        support_redis_prepare(&(struct support_redis_options){.tcp = true, .arguments = arguments});
    support_redis_login(redis, ACL_TEST_USER, "");
    support_redis_start(redis);
    return redis;
}

static void begin(void)
{
    const char *source = getenv("DYN_SOURCE");
    (void)snprintf(conf, sizeof conf, "%s/deploy/redis/redis.conf", source != NULL ? source : ".");
    users = acl_users_new();
    file = support_file_new("sentinel.conf");
    first = server_new(first_arguments, "");
    (void)snprintf(first_port, sizeof first_port, "%d", support_redis_port(first));
}

static void end(void)
{
    program_free(sentinel);
    support_redis_free(second);
    support_redis_free(first);
    support_file_free(file);
    acl_users_free(users);
    sentinel = NULL;
    second = NULL;
}

static const char *setting(const char *name)
{
    const char *answer = support_redis_call(first, "CONFIG", "GET", name, NULL);
    const char *value = strchr(answer, '\n');
    return value != NULL ? value + 1 : answer;
}

START_TEST(the_configuration_is_what_dynosaur_asks_for)
{
    ck_assert_str_eq(setting("appendonly"), "yes");
    ck_assert_str_eq(setting("appendfsync"), "everysec");
    ck_assert_str_eq(setting("maxmemory"), "67108864");
    ck_assert_str_eq(setting("maxmemory-policy"), "noeviction");
    ck_assert_str_eq(setting("save"), "");
    ck_assert_str_eq(setting("sanitize-dump-payload"), "yes");
    ck_assert_str_eq(setting("enable-debug-command"), "no");
}
END_TEST

/* Until the answer holds the text. */
static void await(struct support_redis *redis, const char *text, const char *a, const char *b,
                  const char *c)
{
    int64_t until_ms = dyn_clock_boot_ms() + AWAIT_MS;
    const char *answer = "";
    do {
        (void)nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
        answer = support_redis_call(redis, a, b, c, (char *)NULL);
    } while (strstr(answer, text) == NULL && dyn_clock_boot_ms() < until_ms);
    ck_assert_msg(strstr(answer, text) != NULL, "no \"%s\" in %s", text, answer);
}

static void sentinel_start(void)
{
    const char *path = support_file_path(file);
    /* Nobody asks it, but it wants a place to listen at: beside the server's, and removed with it.
     */
    support_file_write(file,
                       "port 0\nunixsocket %s.sentinel\ndir /tmp\n"
                       "sentinel monitor fleet 127.0.0.1 %s 1\n"
                       "sentinel auth-user fleet sentinel\nsentinel auth-pass fleet %s\n"
                       "sentinel down-after-milliseconds fleet 1000\n"
                       "sentinel failover-timeout fleet 5000\n",
                       support_redis_path(first), first_port,
                       acl_users_password(users, "sentinel"));
    const char *const argv[] = {"/usr/bin/redis-server", path, "--sentinel", NULL};
    sentinel = program_start(argv);
}

static void nothing_was_refused(struct support_redis *redis)
{
    ck_assert_str_eq(support_redis_call(redis, "ACL", "LOG", NULL), "");
}

START_TEST(a_replica_and_a_sentinel_do_their_work_as_users_of_their_own)
{
    second = server_new(second_arguments, first_port);
    await(second, "master_link_status:up", "INFO", "replication", NULL);
    sentinel_start();
    await(first, "name=sentinel-", "CLIENT", "LIST", NULL);
    await(second, "name=sentinel-", "CLIENT", "LIST", NULL);
    await(second, "__sentinel__:hello\n1", "PUBSUB", "NUMSUB", "__sentinel__:hello");
    nothing_was_refused(first);
    support_redis_kill(first);
    await(second, "role:master", "INFO", "replication", NULL);
    support_redis_start(first);
    await(first, "master_link_status:up", "INFO", "replication", NULL);
    nothing_was_refused(first);
    nothing_was_refused(second);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("replicas");
    TCase *tests = tcase_create("replicas");
    tcase_set_timeout(tests, 150);
    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_test(tests, the_configuration_is_what_dynosaur_asks_for);
    tcase_add_test(tests, a_replica_and_a_sentinel_do_their_work_as_users_of_their_own);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
