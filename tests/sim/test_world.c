/* The world itself: real services run in it, a seed replays exactly, and what is done to a process
 * or a server has its consequences. HTTP is away. */
#include "tests/sim/sim.h"

#include "actuator/actuator.h"
#include "actuator/kill_timer.h"
#include "collector/collector.h"
#include "common/clock.h"
#include "common/http.h"
#include "estimator/estimator.h"
#include "reporter/reporter.h"

#include <check.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* ---- no HTTP ---- */

struct http_client *http_client_new(struct dyn_loop *loop,
                                    const struct http_client_options *options)
{
    (void)loop;
    (void)options;
    return calloc(1, 1);
}

void http_client_free(struct http_client *client)
{
    free(client);
}

struct dyn_str http_header(const struct http_answer *answer, const char *name)
{
    (void)answer;
    (void)name;
    return (struct dyn_str){NULL, 0};
}

dyn_err http_start(struct http_client *client, const struct http_request *request,
                   struct http_transfer **out_transfer, struct dyn_error *error)
{
    (void)client;
    (void)request;
    (void)out_transfer;
    return dyn_error_set(error, DYN_BUSY, "there is no HTTP here");
}

void http_cancel(struct http_transfer *transfer)
{
    (void)transfer;
}

/* ---- a fleet ---- */

#define KEY_VALUES "dyn:{0}:values"
#define KEY_LEASE "dyn:{0}:lease"
#define KEY_ACCOUNT "dyn:{act}:main:lease"
#define FLEET_MAX 16

static char config_path[64];
static struct sim_process *fleet[FLEET_MAX];

#define REDIS_DIRECT "url: \"redis://redis:6379\", partitions: 2"
#define REDIS_SENTINEL \
    "partitions: 2, sentinel: {master: dyn, nodes: [sentinel-0, sentinel-1, sentinel-2]}"

static void config_write(const char *redis, unsigned apps)
{
    (void)snprintf(config_path, sizeof config_path, "/tmp/dyn-sim-XXXXXX");
    int fd = mkstemp(config_path);
    ck_assert_int_ge(fd, 0);
    FILE *file = fdopen(fd, "w");
    ck_assert_ptr_nonnull(file);
    (void)fprintf(file,
                  "version: 2\n"
                  "redis: {%s}\n"
                  "accounts: {main: {heroku_api_key: key}}\n"
                  "apps:\n",
                  redis);
    for (unsigned i = 0; i < apps; i++) {
        (void)fprintf(file,
                      "  shop-%u:\n"
                      "    account: main\n"
                      "    controller_plugins:\n"
                      "      - name: dynos\n"
                      "        type: dynos\n"
                      "        input_plugins:\n"
                      "          - {name: wave, type: sine, interval: 5, hysteresis_period: 60}\n"
                      "          - {name: noise, type: random, interval: 10, per_resource: 4}\n",
                      i);
    }
    ck_assert_int_eq(fclose(file), 0);
}

static struct sim_process *start(const struct service_ops *ops, const char *instance)
{
    struct sim_process *process = sim_process_start(
        &(struct sim_process_options){.ops = ops, .instance = instance, .config = config_path});
    ck_assert_ptr_nonnull(process);
    return process;
}

static void fleet_start(unsigned each)
{
    static const struct service_ops *const services[] = {&collector_ops, &estimator_ops,
                                                         &reporter_ops};
    unsigned count = 0;
    for (unsigned i = 0; i < each; i++) {
        for (unsigned service = 0; service < 3; service++) {
            char name[32];
            (void)snprintf(name, sizeof name, "%.3s-%u", services[service]->name, i + 1);
            fleet[count++] = start(services[service], name);
        }
    }
}

static struct sim_server *begin(uint64_t seed, unsigned replicas)
{
    sim_begin(&(struct sim_options){
        .seed = seed, .partitions = 2, .replicas = replicas, .story = getenv("SIM_STORY") != NULL});
    return sim_server_primary();
}

static void setup(void)
{
    config_write(REDIS_DIRECT, 5);
}

static void teardown(void)
{
    (void)unlink(config_path);
}

/* ---- */

static uint64_t history(uint64_t seed)
{
    struct sim_server *server = begin(seed, 0);
    uint64_t hash = DYN_HASH_SEED;
    struct bus_entry entry;
    fleet_start(2);
    sim_run(2 * SIM_MINUTE);
    for (size_t i = 0; sim_stream_at(server, KEY_VALUES, i, &entry); i++) {
        hash = dyn_hash(hash, entry.message);
        hash = dyn_hash(hash, (struct dyn_str){(const char *)&entry.id, sizeof entry.id});
    }
    uint64_t events = sim_events_count();
    hash = dyn_hash(hash, (struct dyn_str){(const char *)&events, sizeof events});
    ck_assert_uint_gt(sim_stream_count(server, KEY_VALUES), 100);
    sim_end();
    return hash;
}

START_TEST(a_seed_replays_exactly_and_another_differs)
{
    uint64_t first = history(7);
    ck_assert_uint_eq(history(7), first);
    ck_assert_uint_ne(history(8), first);
}
END_TEST

START_TEST(a_fleet_folds_and_publishes)
{
    struct sim_server *server = begin(1, 0);
    fleet_start(2);
    sim_run(5 * SIM_MINUTE);
    ck_assert_uint_gt(sim_stream_count(server, "dyn:{0}:targets") +
                          sim_stream_count(server, "dyn:{1}:targets"),
                      10);
    ck_assert_uint_gt(sim_stream_count(server, KEY_VALUES), 250);
    sim_end();
}
END_TEST

static struct sim_process *leader_find(struct sim_server *server)
{
    struct dyn_str owner = sim_hash_get(server, KEY_LEASE, "owner");
    for (struct sim_process *at = sim_process_first(); at != NULL; at = sim_process_next(at)) {
        if (sim_process_ops(at) == &estimator_ops && dyn_str_starts(owner, sim_process_name(at))) {
            return at;
        }
    }
    return NULL;
}

START_TEST(a_killed_leader_is_followed)
{
    struct sim_server *server = begin(3, 0);
    fleet_start(2);
    sim_run(SIM_MINUTE);
    struct sim_process *leader = leader_find(server);
    ck_assert_ptr_nonnull(leader);
    uint64_t id = sim_process_id(leader);
    sim_process_kill(leader);
    sim_run(2 * SIM_MINUTE);
    leader = leader_find(server);
    ck_assert_ptr_nonnull(leader);
    ck_assert_uint_ne(sim_process_id(leader), id);
    sim_end();
}
END_TEST

START_TEST(a_frozen_leader_is_followed_and_is_fenced_when_it_goes_on)
{
    struct sim_server *server = begin(4, 0);
    fleet_start(2);
    sim_run(SIM_MINUTE);
    struct sim_process *leader = leader_find(server);
    sim_process_freeze(leader);
    sim_run(2 * SIM_MINUTE);
    struct sim_process *second = leader_find(server);
    ck_assert_ptr_nonnull(second);
    ck_assert_ptr_ne(second, leader);
    sim_process_thaw(leader);
    sim_run(2 * SIM_MINUTE + 1000);
    ck_assert_ptr_eq(leader_find(server), second);
    sim_run(3 * SIM_MINUTE); /* a member again, to which its share is handed over */
    ck_assert_ptr_eq(leader_find(server), leader);
    sim_end();
}
END_TEST

static int ended_status;

static void note_end(void *arg, struct sim_process *process, int status)
{
    (void)arg;
    (void)process;
    ended_status = status;
}

START_TEST(a_drained_process_ends_by_itself)
{
    (void)begin(5, 0);
    struct sim_process *process = sim_process_start(&(struct sim_process_options){
        .ops = &estimator_ops, .instance = "est-1", .config = config_path, .ended = note_end});
    ended_status = -1;
    sim_run(SIM_MINUTE);
    sim_process_drain(process);
    sim_run(sim_now() + 15 * SIM_S);
    ck_assert_int_eq(ended_status, 0);
    ck_assert_ptr_null(sim_process_first());
    sim_end();
}
END_TEST

static void kill_timer_arm(void *arg)
{
    (void)arg;
    kill_timer_set(dyn_clock_boot_ms() + 5000);
}

START_TEST(a_kill_timer_ends_a_frozen_process)
{
    static struct sim_event arm;
    struct sim_host slow = {.boot_offset_us = SIM_MINUTE, .boot_ppm = -1000};
    (void)begin(12, 0);
    struct sim_process *process =
        sim_process_start(&(struct sim_process_options){.ops = &estimator_ops,
                                                        .instance = "est-1",
                                                        .config = config_path,
                                                        .host = &slow,
                                                        .ended = note_end});
    ended_status = -1;
    sim_event_set(&arm, process, 10 * SIM_S, kill_timer_arm, NULL);
    sim_run(11 * SIM_S);
    sim_process_freeze(process);
    sim_run(15 * SIM_S);
    ck_assert_ptr_nonnull(sim_process_first());
    sim_run(15 * SIM_S + 6 * SIM_MS);
    ck_assert_ptr_null(sim_process_first());
    ck_assert_int_eq(ended_status, 137);
    sim_end();
}
END_TEST

START_TEST(a_failover_loses_the_tail_and_the_fleet_goes_on)
{
    struct sim_server *first = begin(6, 1);
    fleet_start(2);
    sim_run(SIM_MINUTE);
    sim_replication_set(false, 0);
    sim_run(SIM_MINUTE + 3 * SIM_S);
    size_t before = sim_stream_count(first, KEY_VALUES);
    sim_server_stop(first);
    sim_failover();
    struct sim_server *second = sim_server_primary();
    ck_assert_ptr_ne(first, second);
    ck_assert_uint_lt(sim_stream_count(second, KEY_VALUES), before);
    sim_run(2 * SIM_MINUTE);
    ck_assert_uint_gt(sim_stream_count(second, KEY_VALUES), before);
    sim_server_start(first, 0);
    sim_replication_set(true, SIM_MS);
    sim_server_demote(first);
    sim_run(3 * SIM_MINUTE);
    ck_assert_uint_gt(sim_stream_count(second, KEY_VALUES), before + 60);
    sim_end();
}
END_TEST

static int64_t waited_replicas;
static int64_t waited_until;

static void note_wait(void *arg, dyn_err err, const struct bus_reply *reply)
{
    (void)arg;
    ck_assert_int_eq(err, DYN_OK);
    waited_replicas = bus_reply_int(reply);
    waited_until = sim_now();
}

static void write_and_wait(void *arg)
{
    struct bus *bus = sim_process_service(arg)->bus;
    const struct dyn_str set[] = {DYN_STR("HSET"), DYN_STR("x"), DYN_STR("f"), DYN_STR("v")};
    const struct dyn_str wait[] = {DYN_STR("WAIT"), DYN_STR("1"), DYN_STR("1000")};
    ck_assert_int_eq(bus_command(bus, set, 4, 0, NULL, NULL), DYN_OK);
    ck_assert_int_eq(bus_command(bus, wait, 3, 0, note_wait, NULL), DYN_OK);
}

START_TEST(a_wait_is_answered_when_the_replica_has_it_or_its_time_is_over)
{
    static struct sim_event ask;
    (void)begin(14, 1);
    struct sim_process *process = start(&estimator_ops, "est-1");
    sim_replication_set(true, 20 * SIM_MS);
    sim_event_set(&ask, process, 10 * SIM_S, write_and_wait, process);
    sim_run(11 * SIM_S);
    ck_assert_int_eq(waited_replicas, 1);
    ck_assert_int_gt(waited_until, 10 * SIM_S + 40 * SIM_MS);
    ck_assert_int_lt(waited_until, 10 * SIM_S + 100 * SIM_MS);
    sim_replication_set(false, 20 * SIM_MS);
    sim_event_set(&ask, process, 20 * SIM_S, write_and_wait, process);
    sim_run(22 * SIM_S);
    ck_assert_int_eq(waited_replicas, 0);
    ck_assert_int_gt(waited_until, 21 * SIM_S);
    sim_event_set(&ask, process, 30 * SIM_S, write_and_wait, process);
    sim_run(30 * SIM_S + 200 * SIM_MS);
    sim_host_wall_step(sim_server_host(sim_server_primary()), 3600 * SIM_S);
    sim_run(30 * SIM_S + 300 * SIM_MS);
    ck_assert_int_gt(waited_until, 30 * SIM_S); /* timeouts follow the server's wall clock */
    sim_end();
}
END_TEST

START_TEST(sentinels_lead_to_whom_they_name)
{
    teardown();
    config_write(REDIS_SENTINEL, 2);
    struct sim_server *first = begin(13, 1);
    sim_server_stop(sim_sentinel_at(0));
    fleet_start(1);
    sim_run(SIM_MINUTE);
    size_t before = sim_stream_count(first, KEY_VALUES);
    ck_assert_uint_gt(before, 30);
    sim_failover();
    sim_sentinel_name(sim_sentinel_at(1), 0); /* has not heard of it */
    sim_server_stop(first);
    sim_run(sim_now() + 5 * SIM_S);
    sim_server_start(first, 0);
    sim_server_demote(first); /* where replicas are asked for, nobody leads without one */
    sim_run(2 * SIM_MINUTE);
    ck_assert_uint_gt(sim_stream_count(sim_server_at(1), KEY_VALUES), before + 30);
    sim_end();
}
END_TEST

START_TEST(a_cut_link_ends_the_lead_and_a_whole_one_is_used_again)
{
    struct sim_server *server = begin(9, 0);
    fleet_start(1);
    sim_run(SIM_MINUTE);
    size_t before = sim_stream_count(server, KEY_VALUES);
    for (struct sim_process *at = sim_process_first(); at != NULL; at = sim_process_next(at)) {
        sim_link_state(at, SIM_LINK_REDIS)->cut_in = true;
        sim_link_changed(at, SIM_LINK_REDIS);
    }
    sim_run(sim_now() + 30 * SIM_S);
    size_t during = sim_stream_count(server, KEY_VALUES);
    ck_assert_uint_lt(during, before + 20);
    for (struct sim_process *at = sim_process_first(); at != NULL; at = sim_process_next(at)) {
        sim_link_state(at, SIM_LINK_REDIS)->cut_in = false;
        sim_link_changed(at, SIM_LINK_REDIS);
    }
    sim_run(sim_now() + SIM_MINUTE);
    ck_assert_uint_gt(sim_stream_count(server, KEY_VALUES), during + 40);
    sim_end();
}
END_TEST

START_TEST(a_restarted_server_has_lost_what_it_was_told_to_lose)
{
    struct sim_server *server = begin(10, 0);
    fleet_start(1);
    sim_run(SIM_MINUTE);
    size_t before = sim_stream_count(server, KEY_VALUES);
    sim_server_stop(server);
    sim_run(sim_now() + SIM_S);
    sim_server_start(server, 5 * SIM_S);
    size_t after = sim_stream_count(server, KEY_VALUES);
    ck_assert_uint_lt(after, before - 4);
    ck_assert_uint_gt(after, before - 20);
    sim_run(2 * SIM_MINUTE);
    ck_assert_uint_gt(sim_stream_count(server, KEY_VALUES), before + 30);
    sim_end();
}
END_TEST

/* Whoever takes the lease next need not do again what follows from a loss of the server's. */
static bool is_acted(struct sim_server *server, const char *lease)
{
    return dyn_str_is(sim_hash_get(server, lease, "replid"), sim_server_replid(server));
}

START_TEST(a_restart_is_acted_on_by_who_loses_the_account_once_more)
{
    struct sim_server *server = begin(16, 0);
    struct sim_process *actuator = start(&actuator_ops, "act-1");
    sim_run(SIM_MINUTE);
    ck_assert(is_acted(server, KEY_ACCOUNT));
    sim_server_stop(server);
    sim_server_start(server, SIM_S);
    sim_run(SIM_MINUTE + 3 * SIM_S);
    ck_assert(!is_acted(server, KEY_ACCOUNT));
    sim_link_reset(actuator);
    sim_run(SIM_MINUTE + 10 * SIM_S);
    ck_assert(!is_acted(server, KEY_ACCOUNT)); /* held anew, and it still waits */
    ck_assert_uint_gt(sim_hash_get(server, KEY_ACCOUNT, "owner").len, 0);
    sim_run(2 * SIM_MINUTE);
    ck_assert(is_acted(server, KEY_ACCOUNT));
    sim_end();
}
END_TEST

START_TEST(a_failover_is_acted_on_by_who_leads_and_not_by_a_taking_that_no_replica_has)
{
    teardown();
    config_write(REDIS_DIRECT ", replicas: 1", 1);
    struct sim_server *first = begin(17, 1);
    struct sim_process *leader = start(&estimator_ops, "est-1");
    sim_run(SIM_MINUTE);
    ck_assert(is_acted(first, KEY_LEASE));
    sim_replication_set(false, 0);
    sim_process_kill(leader);
    sim_server_stop(first);
    sim_failover();
    struct sim_server *second = sim_server_primary();
    (void)start(&estimator_ops, "est-2");
    sim_run(sim_now() + 25 * SIM_S);
    ck_assert(!is_acted(second, KEY_LEASE));
    ck_assert(dyn_str_starts(sim_hash_get(second, KEY_LEASE, "owner"), "est-2"));
    sim_server_start(first, 0);
    sim_server_demote(first);
    sim_replication_set(true, SIM_MS);
    sim_run(sim_now() + 20 * SIM_S);
    ck_assert(is_acted(second, KEY_LEASE));
    sim_end();
}
END_TEST

START_TEST(a_replica_keeps_what_it_has_until_its_link_is_whole)
{
    struct sim_server *first = begin(15, 1);
    struct sim_server *second = sim_server_at(1);
    fleet_start(1);
    sim_run(SIM_MINUTE);
    sim_replication_set(false, SIM_MS);
    sim_server_stop(first);
    sim_server_start(first, 5 * SIM_S);
    size_t left = sim_stream_count(first, KEY_VALUES);
    ck_assert_uint_gt(sim_stream_count(second, KEY_VALUES), left);
    sim_replication_set(true, SIM_MS);
    ck_assert_uint_eq(sim_stream_count(second, KEY_VALUES), left);
    sim_end();
}
END_TEST

START_TEST(twenty_minutes_take_a_fraction_of_a_second)
{
    struct timespec from;
    struct timespec to;
    (void)clock_gettime(CLOCK_MONOTONIC, &from);
    (void)begin(11, 1);
    fleet_start(2);
    sim_run(20 * SIM_MINUTE);
    (void)clock_gettime(CLOCK_MONOTONIC, &to);
    (void)printf("20 minutes of 6 processes: %llu events, %.3f s\n",
                 (unsigned long long)sim_events_count(),
                 (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9);
    sim_end();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("world");
    TCase *tests = tcase_create("world");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_fleet_folds_and_publishes);
    tcase_add_test(tests, a_seed_replays_exactly_and_another_differs);
    tcase_add_test(tests, a_killed_leader_is_followed);
    tcase_add_test(tests, a_frozen_leader_is_followed_and_is_fenced_when_it_goes_on);
    tcase_add_test(tests, a_drained_process_ends_by_itself);
    tcase_add_test(tests, a_kill_timer_ends_a_frozen_process);
    tcase_add_test(tests, a_failover_loses_the_tail_and_the_fleet_goes_on);
    tcase_add_test(tests, a_wait_is_answered_when_the_replica_has_it_or_its_time_is_over);
    tcase_add_test(tests, sentinels_lead_to_whom_they_name);
    tcase_add_test(tests, a_cut_link_ends_the_lead_and_a_whole_one_is_used_again);
    tcase_add_test(tests, a_restarted_server_has_lost_what_it_was_told_to_lose);
    tcase_add_test(tests, a_restart_is_acted_on_by_who_loses_the_account_once_more);
    tcase_add_test(tests,
                   a_failover_is_acted_on_by_who_leads_and_not_by_a_taking_that_no_replica_has);
    tcase_add_test(tests, a_replica_keeps_what_it_has_until_its_link_is_whole);
    tcase_add_test(tests, twenty_minutes_take_a_fraction_of_a_second);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
