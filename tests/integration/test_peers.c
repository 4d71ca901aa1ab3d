/* Membership over a slow connection: answers that take longer than a beat. */
#include "support_proxy.h"
#include "support_redis.h"

#include "common/clock.h"
#include "common/peers.h"

#include <check.h>
#include <stdlib.h>

enum {
    BEAT_MS = 400,
    GONE_MS = 1200,
    DELAY_MS = 250, /* each way: more than a beat, less than half of GONE_MS */
    AWAIT_MS = 10000
};

struct node {
    struct bus *bus;
    struct peers *peers;
};

static struct support_redis *redis;
static struct support_proxy *proxy;
static struct dyn_loop *loop;
static struct node slow, other;

static void node_changed(void *arg)
{
    (void)arg;
}

static void node_ready(void *arg, struct dyn_str replid)
{
    struct node *node = arg;
    (void)replid;
    peers_open(node->peers, node->bus);
}

static void node_away(void *arg, const char *why)
{
    struct node *node = arg;
    (void)why;
    peers_close(node->peers);
}

static void node_start(struct node *node, const char *name, const char *url)
{
    struct dyn_error error = {""};
    node->peers = peers_new(loop, &(struct peers_options){.key = "dyn:{rep}:members",
                                                          .self = name,
                                                          .text = "a node",
                                                          .beat_ms = BEAT_MS,
                                                          .gone_ms = GONE_MS,
                                                          .changed = node_changed,
                                                          .arg = node});
    ck_assert_ptr_nonnull(node->peers);
    node->bus =
        bus_new(loop,
                &(struct bus_options){
                    .url = url, .name = name, .ready = node_ready, .lost = node_away, .arg = node},
                &error);
    ck_assert_msg(node->bus != NULL, "%s", error.text);
}

/* As if its process was killed. */
static void node_kill(struct node *node)
{
    if (node->bus != NULL) {
        bus_free(node->bus);
        peers_free(node->peers);
    }
    *node = (struct node){.bus = NULL};
}

static void setup(void)
{
    redis = support_redis_new(&(struct support_redis_options){.tcp = true});
    support_redis_load_functions(redis);
    proxy = support_proxy_new();
    loop = dyn_loop_new();
}

static void teardown(void)
{
    node_kill(&slow);
    node_kill(&other);
    dyn_loop_free(loop);
    support_proxy_free(proxy);
    support_redis_free(redis);
}

static void await_count(size_t count)
{
    int64_t end_ms = dyn_clock_boot_ms() + AWAIT_MS;
    while (members_count(peers_members(slow.peers)) != count) {
        ck_assert_msg(dyn_clock_boot_ms() < end_ms, "not %zu members after %d ms", count, AWAIT_MS);
        dyn_loop_once(loop, 5);
    }
}

START_TEST(a_dead_member_is_gone_though_answers_take_longer_than_a_beat)
{
    char target[32];
    char url[64];
    snprintf(target, sizeof target, "tcp:%d", support_redis_port(redis));
    snprintf(url, sizeof url, "redis://127.0.0.1:%u", support_proxy_link(proxy, "redis", target));
    node_start(&slow, "slow", url);
    node_start(&other, "other", support_redis_url(redis));
    await_count(2);
    (void)support_proxy_say(proxy, "delay redis %d", DELAY_MS);
    node_kill(&other);
    await_count(1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("peers");
    TCase *tests = tcase_create("peers");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_dead_member_is_gone_though_answers_take_longer_than_a_beat);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
