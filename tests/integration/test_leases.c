/* Leases and membership over a real Redis: several members in one loop, each with a connection. */
#include "support_redis.h"

#include "common/clock.h"
#include "common/leases.h"
#include "common/peers.h"

#include <check.h>
#include <stdlib.h>

#define MEMBERS_KEY "dyn:{rep}:members"

enum {
    NODES = 3,
    LEASES = 3,
    RENEW_MS = 100,
    WAIT_MS = 600,
    BEAT_MS = 100,
    GONE_MS = 600,
    AWAIT_MS = 20000
};

static const char *const lease_keys[LEASES] = {"dyn:{0}:lease", "dyn:{1}:lease", "dyn:{2}:lease"};

struct node {
    struct bus *bus;
    struct leases *leases;
    struct peers *peers;
    size_t lease[LEASES];
    bool held[LEASES];
    struct lease_grant grant[LEASES]; /* the last */
    int64_t taken_ms[LEASES];
    int taken; /* so often */
    int lost;
    bool stays; /* may_leave says no */
    int left;
    int changes;
    bool idle; /* it does not do what follows from another server */
};

static struct support_redis *redis;
static struct dyn_loop *loop;
static struct node nodes[NODES];
static int64_t hold_ms; /* of nodes that come */
static int64_t gone_ms;

static void lease_taken_cb(void *arg, size_t lease, const struct lease_grant *grant)
{
    struct node *node = arg;
    ck_assert(!node->held[lease]);
    for (int n = 0; n < NODES; n++) {
        /* On one loop what is lost is told before another can have it, unless it stood still or
         * the record itself was lost. */
        ck_assert(&nodes[n] == node || !nodes[n].held[lease] || grant->stood_still ||
                  grant->other_server);
    }
    node->held[lease] = true;
    node->grant[lease] = *grant;
    node->taken_ms[lease] = dyn_clock_boot_ms();
    node->taken++;
    if (!node->idle) {
        leases_acted(node->leases, lease);
    }
}

static void lease_lost_cb(void *arg, size_t lease, const char *why)
{
    struct node *node = arg;
    ck_assert(node->held[lease]);
    ck_assert(why[0] != '\0');
    node->held[lease] = false;
    node->lost++;
}

static bool lease_may_leave(void *arg, size_t lease)
{
    const struct node *node = arg;
    ck_assert(node->held[lease]);
    return !node->stays;
}

static void node_left(void *arg)
{
    struct node *node = arg;
    node->left++;
}

static void node_changed(void *arg)
{
    struct node *node = arg;
    node->changes++;
}

static void node_ready(void *arg, struct dyn_str replid)
{
    struct node *node = arg;
    leases_open(node->leases, node->bus, replid);
    peers_open(node->peers, node->bus);
}

static void node_away(void *arg, const char *why)
{
    struct node *node = arg;
    leases_close(node->leases, why);
    peers_close(node->peers);
}

static struct node *node_start(int n)
{
    struct node *node = &nodes[n];
    char name[16];
    snprintf(name, sizeof name, "node-%d", n);
    struct dyn_error error = {""};
    *node = (struct node){.bus = NULL};
    node->leases = leases_new(loop, &(struct leases_options){.owner = name,
                                                             .times = {.renew_ms = RENEW_MS,
                                                                       .hold_ms = hold_ms,
                                                                       .drop_ms = hold_ms / 5,
                                                                       .wait_ms = WAIT_MS,
                                                                       .look_ms = RENEW_MS / 4},
                                                             .taken = lease_taken_cb,
                                                             .lost = lease_lost_cb,
                                                             .may_leave = lease_may_leave,
                                                             .arg = node});
    node->peers = peers_new(loop, &(struct peers_options){.key = MEMBERS_KEY,
                                                          .self = name,
                                                          .text = "a node",
                                                          .beat_ms = BEAT_MS,
                                                          .gone_ms = gone_ms,
                                                          .changed = node_changed,
                                                          .arg = node});
    ck_assert_ptr_nonnull(node->leases);
    ck_assert_ptr_nonnull(node->peers);
    for (int i = 0; i < LEASES; i++) {
        node->lease[i] = leases_add(node->leases, lease_keys[i]);
        ck_assert_uint_eq(node->lease[i], (size_t)i);
    }
    node->bus = bus_new(loop,
                        &(struct bus_options){.url = support_redis_url(redis),
                                              .name = name,
                                              .ready = node_ready,
                                              .lost = node_away,
                                              .arg = node},
                        &error);
    ck_assert_msg(node->bus != NULL, "%s", error.text);
    return node;
}

/* As if its process was killed: nothing is given up, nobody told. */
static void node_kill(struct node *node)
{
    if (node->bus != NULL) {
        bus_free(node->bus);
        leases_free(node->leases);
        peers_free(node->peers);
    }
    *node = (struct node){.bus = NULL};
}

static void setup(void)
{
    redis = support_redis_new(&(struct support_redis_options){.append_only = true});
    support_redis_load_functions(redis);
    loop = dyn_loop_new();
    memset(nodes, 0, sizeof nodes);
    hold_ms = 0;
    gone_ms = GONE_MS;
}

static void teardown(void)
{
    for (int n = 0; n < NODES; n++) {
        node_kill(&nodes[n]);
    }
    dyn_loop_free(loop);
    support_redis_free(redis);
}

static void pass(int64_t ms)
{
    for (int64_t end_ms = dyn_clock_boot_ms() + ms; dyn_clock_boot_ms() < end_ms;) {
        dyn_loop_once(loop, 5);
    }
}

#define AWAIT(condition)                                                     \
    do {                                                                     \
        int64_t end_ms = dyn_clock_boot_ms() + AWAIT_MS;                     \
        while (!(condition)) {                                               \
            ck_assert_msg(dyn_clock_boot_ms() < end_ms, "not: " #condition); \
            dyn_loop_once(loop, 5);                                          \
        }                                                                    \
    } while (0)

static int held_count(const struct node *node)
{
    int count = 0;
    for (int i = 0; i < LEASES; i++) {
        ck_assert_int_eq(node->held[i], leases_is_held(node->leases, node->lease[i]));
        count += node->held[i];
    }
    return count;
}

/* ---- leases ---- */

START_TEST(of_two_contenders_one_holds_a_lease_and_keeps_it)
{
    node_start(0);
    node_start(1);
    AWAIT(held_count(&nodes[0]) + held_count(&nodes[1]) == LEASES);
    pass(2 * WAIT_MS);
    ck_assert_int_eq(held_count(&nodes[0]) + held_count(&nodes[1]), LEASES);
    ck_assert_int_eq(nodes[0].lost + nodes[1].lost, 0);
    for (int i = 0; i < LEASES; i++) {
        const char *holder = nodes[0].held[i] ? "node-0" : "node-1";
        ck_assert_str_eq(leases_owner(nodes[0].leases, nodes[0].lease[i]), holder);
        ck_assert_str_eq(leases_owner(nodes[1].leases, nodes[1].lease[i]), holder);
        ck_assert_str_eq(support_redis_call(redis, "HGET", lease_keys[i], "owner", NULL), holder);
    }
}
END_TEST

START_TEST(one_that_is_not_wanted_goes_over_when_its_holder_may_leave)
{
    struct node *first = node_start(0);
    AWAIT(held_count(first) == LEASES);
    struct node *second = node_start(1);
    AWAIT(bus_is_ready(second->bus));
    uint64_t epoch = first->grant[1].epoch;
    first->stays = true;
    leases_wish(first->leases, first->lease[1], LEASE_UNWANTED);
    pass(WAIT_MS / 2);
    ck_assert(first->held[1]);
    first->stays = false;
    int64_t from_ms = dyn_clock_boot_ms();
    AWAIT(second->held[1]);
    ck_assert_int_lt(second->taken_ms[1] - from_ms, WAIT_MS);
    ck_assert(!second->grant[1].stood_still);
    ck_assert(!second->grant[1].other_server);
    ck_assert_uint_gt(second->grant[1].epoch, epoch);
    ck_assert(first->held[0] && first->held[2]);
    pass(2 * WAIT_MS);
    ck_assert_int_eq(first->lost, 1);
}
END_TEST

START_TEST(what_a_killed_holder_held_is_taken_after_the_wait_and_not_before)
{
    struct node *first = node_start(0);
    AWAIT(held_count(first) == LEASES);
    struct node *second = node_start(1);
    AWAIT(bus_is_ready(second->bus));
    pass(WAIT_MS * 2);
    int64_t killed_ms = dyn_clock_boot_ms();
    node_kill(first);
    AWAIT(held_count(second) == LEASES);
    for (int i = 0; i < LEASES; i++) {
        ck_assert(second->grant[i].stood_still);
        ck_assert_int_ge(second->taken_ms[i] - killed_ms, WAIT_MS - 2 * RENEW_MS);
    }
}
END_TEST

START_TEST(who_drains_gives_up_all_and_takes_none_any_more)
{
    struct node *first = node_start(0);
    AWAIT(held_count(first) == LEASES);
    struct node *second = node_start(1);
    AWAIT(bus_is_ready(second->bus));
    first->stays = true;
    int64_t from_ms = dyn_clock_boot_ms();
    leases_leave(first->leases, node_left, first);
    ck_assert_int_eq(first->left, 0);
    first->stays = false;
    AWAIT(first->left == 1);
    ck_assert_int_eq(held_count(first), 0);
    AWAIT(held_count(second) == LEASES);
    ck_assert_int_lt(dyn_clock_boot_ms() - from_ms, WAIT_MS);
    node_kill(second);
    pass(3 * WAIT_MS);
    ck_assert_int_eq(held_count(first), 0);
    ck_assert_int_eq(first->left, 1);
}
END_TEST

START_TEST(who_holds_nothing_has_left_at_once)
{
    struct node *first = node_start(0);
    leases_leave(first->leases, node_left, first);
    ck_assert_int_eq(first->left, 1);
    pass(WAIT_MS);
    ck_assert_int_eq(first->taken, 0);
    ck_assert_int_eq(first->left, 1);
}
END_TEST

START_TEST(one_that_is_removed_is_given_up_and_its_number_comes_again)
{
    struct node *first = node_start(0);
    AWAIT(held_count(first) == LEASES);
    leases_remove(first->leases, first->lease[0]);
    for (int i = 0;
         strcmp(support_redis_call(redis, "HEXISTS", lease_keys[0], "owner", NULL), "1") == 0;
         i++) {
        ck_assert_int_lt(i, 1000);
        pass(5);
    }
    ck_assert_int_eq(first->lost, 0); /* not told */
    pass(50);
    ck_assert_uint_eq(leases_add(first->leases, "dyn:{7}:lease"), first->lease[0]);
    first->held[0] = false;
    AWAIT(held_count(first) == LEASES);
    ck_assert_str_eq(support_redis_call(redis, "HGET", "dyn:{7}:lease", "owner", NULL), "node-0");
}
END_TEST

START_TEST(a_holder_whose_record_was_taken_hears_of_it)
{
    struct node *first = node_start(0);
    AWAIT(held_count(first) == LEASES);
    support_redis_call(redis, "HSET", lease_keys[2], "owner", "somebody", NULL);
    AWAIT(first->lost == 1);
    ck_assert(!first->held[2]);
    ck_assert(first->held[0] && first->held[1]);
    AWAIT(first->held[2]); /* somebody never renews */
    ck_assert(first->grant[2].stood_still);
}
END_TEST

static bool is_acted(size_t lease)
{
    return support_redis_call(redis, "HEXISTS", lease_keys[lease], "replid", NULL)[0] == '1';
}

START_TEST(a_reconnect_loses_all_and_takes_the_own_again_without_a_wait)
{
    struct node *first = node_start(0);
    AWAIT(held_count(first) == LEASES);
    ck_assert(first->grant[0].other_server); /* nobody held it yet */
    AWAIT(is_acted(0));
    bus_reset(first->bus, "for the test");
    AWAIT(first->lost == LEASES);
    int64_t from_ms = dyn_clock_boot_ms();
    AWAIT(bus_is_ready(first->bus));
    int64_t ready_ms = dyn_clock_boot_ms();
    AWAIT(held_count(first) == LEASES);
    ck_assert_int_lt(dyn_clock_boot_ms() - ready_ms, WAIT_MS);
    ck_assert_int_ge(ready_ms, from_ms);
    ck_assert(!first->grant[0].other_server);
}
END_TEST

START_TEST(another_server_behind_the_address_is_told_with_the_grant)
{
    struct node *first = node_start(0);
    AWAIT(held_count(first) == LEASES);
    support_redis_kill(redis);
    AWAIT(first->lost == LEASES);
    support_redis_start(redis);
    AWAIT(held_count(first) == LEASES);
    ck_assert(first->grant[0].other_server);
    ck_assert_uint_gt(first->grant[0].epoch, 0);
}
END_TEST

START_TEST(another_server_is_told_until_somebody_has_acted_on_it)
{
    struct node *first = node_start(0);
    first->idle = true;
    AWAIT(held_count(first) == LEASES);
    leases_acted(first->leases, first->lease[1]);
    AWAIT(is_acted(1));
    ck_assert(!is_acted(0));
    struct lease_grant before = first->grant[0];
    bus_reset(first->bus, "for the test");
    AWAIT(first->lost == LEASES);
    AWAIT(held_count(first) == LEASES);
    ck_assert(first->grant[0].own_again && first->grant[1].own_again);
    ck_assert(first->grant[0].other_server);
    ck_assert(!first->grant[1].other_server);
    ck_assert_uint_eq(first->grant[0].before, before.epoch);
}
END_TEST

/* As after a crash that lost the taking, while the clock of Redis is behind what it was. */
START_TEST(an_epoch_that_redis_lost_is_not_used_again)
{
    (void)support_redis_call(redis, "HSET", lease_keys[0], "epoch", "9000000000000", "beat", "7",
                             NULL);
    struct node *first = node_start(0);
    AWAIT(held_count(first) == LEASES);
    ck_assert_uint_eq(first->grant[0].epoch, 9000000000001);
    (void)support_redis_call(redis, "HSET", lease_keys[0], "epoch", "9000000000000", "beat", "7",
                             NULL);
    AWAIT(first->grant[0].epoch != 9000000000001);
    ck_assert_uint_eq(first->grant[0].epoch, 9000000000002);
}
END_TEST

START_TEST(a_lease_with_a_deadline_is_dropped_before_it_when_redis_says_nothing)
{
    hold_ms = WAIT_MS * 7 / 8;
    struct node *first = node_start(0);
    AWAIT(held_count(first) == LEASES);
    pass(WAIT_MS);
    ck_assert_int_eq(first->lost, 0);
    support_redis_freeze(redis);
    int64_t last_ms = leases_first_deadline_ms(first->leases);
    ck_assert_int_gt(last_ms, dyn_clock_boot_ms());
    while (first->lost < LEASES) {
        int64_t deadline_ms = leases_first_deadline_ms(first->leases);
        last_ms = deadline_ms != INT64_MAX ? deadline_ms : last_ms;
        dyn_loop_once(loop, 5);
        ck_assert_int_lt(dyn_clock_boot_ms(), last_ms);
    }
    ck_assert_int_eq(leases_deadline_ms(first->leases, first->lease[0]), INT64_MIN);
    support_redis_thaw(redis);
}
END_TEST

/* ---- membership ---- */

static size_t count_of(const struct node *node)
{
    return members_count(peers_members(node->peers));
}

static bool all_know(size_t count)
{
    for (int n = 0; n < NODES; n++) {
        if (nodes[n].bus != NULL && count_of(&nodes[n]) != count) {
            return false;
        }
    }
    return true;
}

static void three_join(void)
{
    for (int n = 0; n < NODES; n++) {
        node_start(n);
    }
    AWAIT(all_know(NODES));
}

START_TEST(members_find_each_other_and_each_key_has_one_owner)
{
    three_join();
    for (uint64_t key = 0; key < 300; key++) {
        int owners = 0;
        for (int n = 0; n < NODES; n++) {
            owners += members_owns(peers_members(nodes[n].peers), key);
        }
        ck_assert_int_eq(owners, 1);
    }
    const char *text = support_redis_call(redis, "HGET", MEMBERS_KEY, "node-1", NULL);
    ck_assert_ptr_nonnull(strstr(text, " a node"));
}
END_TEST

START_TEST(a_killed_member_is_gone_after_the_time_and_the_others_stay)
{
    three_join();
    int64_t killed_ms = dyn_clock_boot_ms();
    node_kill(&nodes[1]);
    AWAIT(all_know(NODES - 1));
    int64_t took_ms = dyn_clock_boot_ms() - killed_ms;
    ck_assert_int_ge(took_ms, GONE_MS - 2 * BEAT_MS);
    ck_assert_int_le(took_ms, GONE_MS + 4 * BEAT_MS);
    node_start(1);
    AWAIT(all_know(NODES));
}
END_TEST

START_TEST(a_member_that_says_goodbye_is_gone_with_the_next_beat)
{
    three_join();
    peers_leave(nodes[2].peers);
    int64_t from_ms = dyn_clock_boot_ms();
    AWAIT(count_of(&nodes[0]) == 2 && count_of(&nodes[1]) == 2);
    ck_assert_int_lt(dyn_clock_boot_ms() - from_ms, GONE_MS);
    pass(3 * BEAT_MS); /* and does not come back */
    ck_assert_str_eq(support_redis_call(redis, "HEXISTS", MEMBERS_KEY, "node-2", NULL), "0");
}
END_TEST

static int changes(void)
{
    return nodes[0].changes + nodes[1].changes + nodes[2].changes;
}

START_TEST(a_redis_that_restarts_changes_no_membership)
{
    gone_ms = 10 * GONE_MS; /* longer than the longest pause between two attempts to connect */
    three_join();
    int before = changes();
    support_redis_kill(redis);
    AWAIT(!bus_is_ready(nodes[0].bus) && !bus_is_ready(nodes[1].bus) &&
          !bus_is_ready(nodes[2].bus));
    ck_assert(all_know(NODES));
    support_redis_start(redis);
    AWAIT(bus_is_ready(nodes[0].bus) && bus_is_ready(nodes[1].bus) && bus_is_ready(nodes[2].bus));
    pass(3 * BEAT_MS);
    ck_assert(all_know(NODES));
    ck_assert_int_eq(changes(), before);
}
END_TEST

START_TEST(a_redis_that_was_emptied_changes_no_membership)
{
    three_join();
    int before = changes();
    support_redis_call(redis, "FLUSHALL", NULL);
    pass(2 * GONE_MS);
    ck_assert(all_know(NODES));
    ck_assert_int_eq(changes(), before);
}
END_TEST

START_TEST(who_finds_no_place_among_the_members_knows_nothing)
{
    support_redis_call(redis, "EVAL",
                       "for i = 1, 1024 do redis.call('HSET', KEYS[1], 'm' .. i, '1 x') end", "1",
                       MEMBERS_KEY, NULL);
    node_start(0);
    AWAIT(bus_is_ready(nodes[0].bus));
    pass(4 * BEAT_MS);
    ck_assert_uint_eq(count_of(&nodes[0]), 0);
    support_redis_call(redis, "DEL", MEMBERS_KEY, NULL);
    AWAIT(count_of(&nodes[0]) == 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("leases");
    TCase *tcase = tcase_create("leases");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, of_two_contenders_one_holds_a_lease_and_keeps_it);
    tcase_add_test(tcase, one_that_is_not_wanted_goes_over_when_its_holder_may_leave);
    tcase_add_test(tcase, what_a_killed_holder_held_is_taken_after_the_wait_and_not_before);
    tcase_add_test(tcase, who_drains_gives_up_all_and_takes_none_any_more);
    tcase_add_test(tcase, who_holds_nothing_has_left_at_once);
    tcase_add_test(tcase, one_that_is_removed_is_given_up_and_its_number_comes_again);
    tcase_add_test(tcase, a_holder_whose_record_was_taken_hears_of_it);
    tcase_add_test(tcase, a_reconnect_loses_all_and_takes_the_own_again_without_a_wait);
    tcase_add_test(tcase, another_server_behind_the_address_is_told_with_the_grant);
    tcase_add_test(tcase, another_server_is_told_until_somebody_has_acted_on_it);
    tcase_add_test(tcase, an_epoch_that_redis_lost_is_not_used_again);
    tcase_add_test(tcase, a_lease_with_a_deadline_is_dropped_before_it_when_redis_says_nothing);
    tcase_add_test(tcase, members_find_each_other_and_each_key_has_one_owner);
    tcase_add_test(tcase, a_killed_member_is_gone_after_the_time_and_the_others_stay);
    tcase_add_test(tcase, a_member_that_says_goodbye_is_gone_with_the_next_beat);
    tcase_add_test(tcase, a_redis_that_restarts_changes_no_membership);
    tcase_add_test(tcase, a_redis_that_was_emptied_changes_no_membership);
    tcase_add_test(tcase, who_finds_no_place_among_the_members_knows_nothing);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
