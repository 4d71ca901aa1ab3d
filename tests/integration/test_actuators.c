/* Several real actuators, a real Redis, and the fake Heroku as the judge of who wrote what when. */
#include "support_actuator.h"

#include "common/clock.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The second key of the first account has the name of its own in the configuration. */
static const char WORLD[] =
    "{'accounts': [{'email': 'a@example.com', 'keys': ['canary-key-a', 'canary-key-x']},"
    "              {'email': 'b@example.com', 'keys': ['canary-key-b']}],"
    " 'apps': [{'name': 'apple', 'owner': 'a@example.com', 'formation': {'web': 4}},"
    "          {'name': 'melon', 'owner': 'a@example.com', 'formation': {'web': 4}},"
    "          {'name': 'berry', 'owner': 'b@example.com', 'formation': {'web': 4}}]}";

#define APP                       \
    "  %s:\n"                     \
    "    account: %s\n"           \
    "    scaler: {interval: 1}\n" \
    "    controller_plugins:\n"   \
    "      - name: dynos\n"       \
    "        type: dynos\n"       \
    "        max_resource: 200\n" \
    "        input_plugins:\n"    \
    "          - {name: wave, type: sine}\n"

enum {
    ACTUATORS = 3,
    HAND_OVER_MS = 1000,
    SLACK_MS = 3000, /* a loaded machine, sanitizers */
    WRITES_MAX = 4096
};

static struct support_redis *redis;
static struct support_file *file;
static struct heroku heroku;
static struct config *config;
static struct program *actuators[ACTUATORS];
static const char *more = ""; /* of the section `redis` */

/* ---- a world ---- */

static void world_begin(const char *accounts, const char *apple, const char *melon,
                        const char *berry)
{
    struct dyn_error error = {""};
    ck_assert_int_eq(setenv("KEY_A", "canary-key-a", 1), 0);
    ck_assert_int_eq(setenv("KEY_B", "canary-key-b", 1), 0);
    ck_assert_int_eq(setenv("KEY_X", "canary-key-x", 1), 0);
    redis = support_redis_new(&(struct support_redis_options){.append_only = true});
    support_setup(redis);
    support_redis_leases_known(redis, "alpha", "beta", NULL);
    heroku = heroku_start(WORLD);
    file = support_file_new("dynosaur.yaml");
    support_file_write(file,
                       "version: 2\n"
                       "heroku_api_url: http://127.0.0.1:%u\n"
                       "redis: {partitions: 1, %slease: " SUPPORT_LEASE "}\n"
                       "accounts: %s\n"
                       "apps:\n" APP APP APP,
                       heroku.port, more, accounts, "apple", apple, "melon", melon, "berry", berry);
    config = config_load(support_file_path(file), &error);
    ck_assert_msg(config != NULL, "%s", error.text);
}

/* Two accounts, of which the first has two apps. */
static void setup(void)
{
    world_begin("{alpha: {heroku_api_key: \"${KEY_A}\"}, beta: {heroku_api_key: \"${KEY_B}\"}}",
                "alpha", "alpha", "beta");
}

/* The same, with a replica asked for that there is not. */
static void setup_unkept(void)
{
    more = "replicas: 1, ";
    setup();
}

/* Two names whose keys are of one Heroku account. */
static void setup_aliases(void)
{
    world_begin("{alpha: {heroku_api_key: \"${KEY_A}\"}, beta: {heroku_api_key: \"${KEY_X}\"}}",
                "alpha", "beta", "beta");
}

static void teardown(void)
{
    support_no_violations(&heroku);
    for (size_t i = 0; i < ACTUATORS; i++) {
        if (actuators[i] != NULL) {
            ck_assert_int_eq(program_count(actuators[i], "canary"), 0);
        }
        program_free(actuators[i]);
    }
    config_free(config);
    support_file_free(file);
    ck_assert_int_eq(heroku_stop(&heroku), 0);
    support_redis_free(redis);
}

/* ---- what the actuators do ---- */

static void begin(size_t at)
{
    char instance[16];
    (void)snprintf(instance, sizeof instance, "act-%zu", at + 1);
    actuators[at] = support_actuator_start(file, redis, instance);
}

/* It has ended. */
static void forget(size_t at)
{
    program_free(actuators[at]);
    actuators[at] = NULL;
}

/* Which actuator the record names; SIZE_MAX: none. */
static size_t owner_of(const char *account)
{
    char key[64];
    (void)snprintf(key, sizeof key, "dyn:{act}:%s:lease", account);
    const char *owner = support_redis_call(redis, "HGET", key, "owner", NULL);
    if (strncmp(owner, "act-", 4) != 0) {
        return SIZE_MAX;
    }
    return (size_t)(owner[4] - '1');
}

static void await_owner(const char *account, size_t at, int ms)
{
    for (int passed = 0; passed < ms && owner_of(account) != at; passed += 20) {
        support_nap();
    }
    ck_assert_uint_eq(owner_of(account), at);
}

/* Each of two leads one of two accounts. */
static void await_spread(void)
{
    for (int i = 0; i < 500; i++) {
        size_t alpha = owner_of("alpha");
        size_t beta = owner_of("beta");
        if (alpha != SIZE_MAX && beta != SIZE_MAX && alpha != beta) {
            return;
        }
        support_nap();
    }
    ck_abort_msg("alpha is led by %zu, beta by %zu", owner_of("alpha"), owner_of("beta"));
}

static void want(size_t app, int quantity)
{
    support_say_target(redis, config, app, quantity, true);
}

static void await_web(size_t app, int quantity, int ms)
{
    const char *name = config->apps[app].name;
    ck_assert_msg(support_web_is(&heroku, name, quantity, ms), "%s runs %d and not %d", name,
                  support_web(&heroku, name), quantity);
}

/* config_load() keeps the file's order. */
enum {
    APPLE,
    MELON,
    BERRY
};

/* Somebody always wants more: whoever may write does. */
static void bustle(int ms)
{
    static int quantity = 4;
    int64_t until_ms = dyn_clock_boot_ms() + ms;
    while (dyn_clock_boot_ms() < until_ms) {
        quantity = quantity < 60 ? quantity + 1 : 60;
        for (size_t app = 0; app < config->apps_count; app++) {
            want(app, quantity);
        }
        for (int i = 0; i < 5; i++) {
            support_nap();
        }
    }
}

/* ---- what Heroku saw ---- */

struct write {
    int64_t at_ms;
    int64_t done_ms; /* INT64_MAX: not yet */
    char who[8];     /* the Request-Id's beginning: the instance */
};

static struct write writes[WRITES_MAX];
static size_t writes_count;

/* Every PATCH to a Heroku account, in the order of their coming. */
static void writes_read(const char *email)
{
    json_t *answer = heroku_control(&heroku, "GET", "/requests?since=0", NULL);
    size_t i;
    json_t *request;
    writes_count = 0;
    json_array_foreach(json_object_get(answer, "requests"), i, request)
    {
        const char *account = json_string_value(json_object_get(request, "account"));
        json_t *done = json_object_get(request, "done_ms");
        json_t *headers = json_object_get(request, "headers");
        if (account == NULL || strcmp(account, email) != 0 ||
            strcmp(json_string_value(json_object_get(request, "method")), "PATCH") != 0) {
            continue;
        }
        ck_assert_uint_lt(writes_count, WRITES_MAX);
        struct write *write = &writes[writes_count++];
        write->at_ms = json_integer_value(json_object_get(request, "time_ms"));
        write->done_ms = done != NULL ? json_integer_value(done) : INT64_MAX;
        (void)snprintf(write->who, sizeof write->who, "%.5s",
                       json_string_value(json_object_get(headers, "request-id")));
    }
    json_decref(answer);
}

/* Two actuators never write to one account at once, and each has it for a while: at most `turns`
 * changes from one to another. The longest time between two writes with a change between. */
static int64_t judge(const char *email, size_t turns)
{
    int64_t longest_ms = 0;
    size_t changes = 0;
    writes_read(email);
    ck_assert_uint_gt(writes_count, 0);
    for (size_t i = 0; i < writes_count; i++) {
        for (size_t j = 0; j < i; j++) {
            bool others = strcmp(writes[i].who, writes[j].who) != 0;
            ck_assert_msg(!others || writes[j].done_ms <= writes[i].at_ms,
                          "%s: %s wrote from %lld to %lld, %s at %lld", email, writes[j].who,
                          (long long)writes[j].at_ms, (long long)writes[j].done_ms, writes[i].who,
                          (long long)writes[i].at_ms);
        }
        if (i > 0 && strcmp(writes[i].who, writes[i - 1].who) != 0) {
            int64_t gap_ms = writes[i].at_ms - writes[i - 1].at_ms;
            longest_ms = gap_ms > longest_ms ? gap_ms : longest_ms;
            changes++;
        }
    }
    ck_assert_msg(changes <= turns, "%s: %zu changes of who writes", email, changes);
    return longest_ms;
}

/* When an actuator wrote first; -1: never. */
static int64_t first_write_ms(const char *email, size_t at)
{
    char who[16];
    (void)snprintf(who, sizeof who, "act-%zu", at + 1);
    writes_read(email);
    for (size_t i = 0; i < writes_count; i++) {
        if (strcmp(writes[i].who, who) == 0) {
            return writes[i].at_ms;
        }
    }
    return -1;
}

/* ---- the tests ---- */

START_TEST(two_actuators_share_two_accounts)
{
    begin(0);
    begin(1);
    await_spread();
    bustle(1000);
    (void)judge("a@example.com", 1);
    (void)judge("b@example.com", 1);
    for (size_t i = 0; i < 2; i++) {
        ck_assert_int_eq(program_http(actuators[i], "/readyz"), 200);
        ck_assert_ptr_nonnull(strstr(program_body(actuators[i]), owner_of("alpha") == i
                                                                     ? "ready: leads alpha"
                                                                     : "ready: leads beta"));
    }
}
END_TEST

START_TEST(a_third_stands_by_and_is_ready)
{
    begin(0);
    begin(1);
    begin(2);
    await_spread();
    for (int i = 0; i < 500; i++) {
        size_t idle = 3 - owner_of("alpha") - owner_of("beta");
        if (program_http(actuators[idle], "/readyz") == 200 &&
            strstr(program_body(actuators[idle]), "stands by") != NULL) {
            return;
        }
        support_nap();
    }
    ck_abort_msg("nobody stands by");
}
END_TEST

START_TEST(who_lacks_a_key_leaves_its_account_to_another)
{
    ck_assert_int_eq(unsetenv("KEY_A"), 0);
    ck_assert_int_eq(unsetenv("KEY_B"), 0);
    begin(0);
    await_owner("alpha", 0, 5000); /* alone it leads, and says what it lacks */
    program_await(actuators[0], "event=heroku_key_missing");
    ck_assert_int_eq(setenv("KEY_A", "canary-key-a", 1), 0);
    ck_assert_int_eq(setenv("KEY_B", "canary-key-b", 1), 0);
    begin(1);
    await_owner("alpha", 1, 15000);
    await_owner("beta", 1, 15000);
    want(APPLE, 9);
    want(BERRY, 9);
    await_web(APPLE, 9, 10000);
    await_web(BERRY, 9, 10000);
}
END_TEST

START_TEST(whoever_is_killed_is_followed_after_the_wait)
{
    begin(0);
    begin(1);
    await_spread();
    bustle(500);
    size_t victim = owner_of("alpha");
    program_signal(actuators[victim], SIGKILL);
    int64_t killed_ms = dyn_clock_wall_ms();
    bustle(SUPPORT_WAIT_MS + SLACK_MS);
    await_owner("alpha", 1 - victim, SLACK_MS);
    ck_assert_uint_eq(owner_of("beta"), 1 - victim);
    await_web(MELON, support_web(&heroku, "berry"), 10000);
    (void)judge("a@example.com", 1);
    (void)judge("b@example.com", 1);
    int64_t after_ms = first_write_ms("a@example.com", 1 - victim) - killed_ms;
    printf("actuators: %lld ms from kill -9 to the successor's first write (wait %d ms)\n",
           (long long)after_ms, SUPPORT_WAIT_MS);
    /* The last renewal may have been a while ago. */
    ck_assert_int_ge(after_ms, SUPPORT_WAIT_MS - 1000);
    ck_assert_int_le(after_ms, SUPPORT_WAIT_MS + SLACK_MS);
    forget(victim);
}
END_TEST

START_TEST(whoever_joins_is_handed_its_share)
{
    begin(0);
    await_owner("alpha", 0, 10000);
    await_owner("beta", 0, 10000);
    bustle(500);
    begin(1);
    int64_t until_ms = dyn_clock_boot_ms() + 10000;
    while (owner_of("alpha") == owner_of("beta") && dyn_clock_boot_ms() < until_ms) {
        bustle(200);
    }
    await_spread();
    bustle(1500);
    int64_t a_ms = judge("a@example.com", 1);
    int64_t b_ms = judge("b@example.com", 1);
    printf("actuators: a hand-over on join took %lld ms\n", (long long)(a_ms > b_ms ? a_ms : b_ms));
    ck_assert_int_gt(a_ms + b_ms, 0);
    ck_assert_int_le(a_ms, HAND_OVER_MS + SLACK_MS);
    ck_assert_int_le(b_ms, HAND_OVER_MS + SLACK_MS);
}
END_TEST

START_TEST(whoever_drains_hands_over)
{
    begin(0);
    begin(1);
    await_spread();
    bustle(500);
    size_t leaver = owner_of("alpha");
    program_signal(actuators[leaver], SIGTERM);
    bustle(2000);
    ck_assert_int_eq(program_end(actuators[leaver]), 0);
    await_owner("alpha", 1 - leaver, SLACK_MS);
    bustle(500);
    int64_t gap_ms = judge("a@example.com", 1);
    printf("actuators: a hand-over on drain took %lld ms\n", (long long)gap_ms);
    ck_assert_int_gt(gap_ms, 0);
    ck_assert_int_le(gap_ms, HAND_OVER_MS + SLACK_MS);
    forget(leaver);
}
END_TEST

START_TEST(two_names_of_one_account_end_up_with_one_actuator)
{
    begin(0);
    begin(1);
    int64_t until_ms = dyn_clock_boot_ms() + 15000;
    bustle(1000);
    while ((owner_of("alpha") == SIZE_MAX || owner_of("alpha") != owner_of("beta")) &&
           dyn_clock_boot_ms() < until_ms) {
        bustle(100);
    }
    size_t owner = owner_of("alpha");
    ck_assert_uint_lt(owner, 2);
    ck_assert_uint_eq(owner_of("beta"), owner);
    bustle(1500);
    /* One may have led before the other was known to be the same. */
    (void)judge("a@example.com", 2);
    ck_assert_str_eq(support_redis_call(redis, "HLEN", "dyn:{act}:accounts", NULL), "2");
    /* Together they come, and together they go. */
    program_signal(actuators[owner], SIGTERM);
    bustle(3000);
    ck_assert_int_eq(program_end(actuators[owner]), 0);
    await_owner("alpha", 1 - owner, SLACK_MS);
    await_owner("beta", 1 - owner, SLACK_MS);
    bustle(500);
    (void)judge("a@example.com", 3);
    forget(owner);
}
END_TEST

START_TEST(whoever_is_stopped_beyond_its_deadline_never_wakes)
{
    begin(0);
    begin(1);
    await_spread();
    bustle(500);
    size_t victim = owner_of("alpha");
    int64_t stopped_ms = dyn_clock_boot_ms();
    program_signal(actuators[victim], SIGSTOP);
    ck_assert_int_eq(program_end(actuators[victim]), 128 + SIGKILL);
    int64_t died_ms = dyn_clock_boot_ms() - stopped_ms;
    printf("actuators: killed %lld ms after it was stopped (hold 3000 ms)\n", (long long)died_ms);
    ck_assert_int_le(died_ms, 3000 + 500);
    await_owner("alpha", 1 - victim, SUPPORT_WAIT_MS + SLACK_MS);
    ck_assert_int_ge(dyn_clock_boot_ms() - stopped_ms, SUPPORT_WAIT_MS - 1000);
    bustle(500);
    (void)judge("a@example.com", 1);
    forget(victim);
}
END_TEST

/* The only child of a process. */
static int child_of(int pid)
{
    char path[64];
    char text[32] = "";
    (void)snprintf(path, sizeof path, "/proc/%d/task/%d/children", pid, pid);
    for (int i = 0; i < 250 && text[0] == '\0'; i++) {
        FILE *file_of = fopen(path, "re");
        ck_assert_ptr_nonnull(file_of);
        (void)!fgets(text, sizeof text, file_of);
        ck_assert_int_eq(fclose(file_of), 0);
        support_nap();
    }
    return (int)strtol(text, NULL, 10);
}

static bool namespaces_may_be_made(void)
{
    const char *const argv[] = {"/usr/bin/unshare", "-fp", "--mount-proc", "/bin/true", NULL};
    struct program *program = program_start(argv);
    int status = program_end(program);
    program_free(program);
    return status == 0;
}

static bool cmdline_holds(int pid, const char *text)
{
    char path[64];
    char line[4096];
    (void)snprintf(path, sizeof path, "/proc/%d/cmdline", pid);
    FILE *stream = fopen(path, "r");
    ck_assert_ptr_nonnull(stream);
    size_t len = fread(line, 1, sizeof line, stream);
    (void)fclose(stream);
    ck_assert_uint_gt(len, 0);
    return memmem(line, len, text, strlen(text)) != NULL;
}

/* SIGKILL does nothing to PID 1 of a container, so PID 1 has a worker, which dies in its place. */
START_TEST(in_a_container_the_worker_is_killed_and_pid_1_ends_with_it)
{
    char path[1024];
    if (!namespaces_may_be_made()) {
        printf("actuators: SKIPPED: no PID namespace may be made here: %s\n",
               "in_a_container_the_worker_is_killed_and_pid_1_ends_with_it");
        return;
    }
    (void)snprintf(path, sizeof path, "%s/services/dynosaur-actuator", getenv("DYN_BUILD"));
    const char *const argv[] = {"/usr/bin/unshare",
                                "-fp",
                                "--mount-proc",
                                "--kill-child",
                                path,
                                "--config",
                                support_file_path(file),
                                "--redis",
                                support_redis_url(redis),
                                "--http",
                                "127.0.0.1:0",
                                "--instance",
                                "act-1",
                                NULL};
    actuators[0] = program_start(argv);
    await_owner("alpha", 0, 10000);
    int first = child_of(program_pid(actuators[0]));
    int worker = child_of(first);
    ck_assert_int_gt(worker, 0);
    ck_assert(!cmdline_holds(first, support_redis_url(redis)));
    ck_assert(!cmdline_holds(worker, support_redis_url(redis)));
    ck_assert_int_eq(kill(worker, SIGSTOP), 0);
    int64_t stopped_ms = dyn_clock_boot_ms();
    ck_assert_int_eq(program_end(actuators[0]), 128 + SIGKILL);
    ck_assert_int_le(dyn_clock_boot_ms() - stopped_ms, 3000 + 1000);
    forget(0);
}
END_TEST

START_TEST(an_open_intent_holds_its_app_alone_until_it_is_settled)
{
    begin(0);
    begin(1);
    await_spread();
    size_t victim = owner_of("alpha");
    want(MELON, 5);
    await_web(MELON, 5, 10000);
    json_decref(heroku_control(&heroku, "POST", "/faults",
                               "{'match': {'app': 'apple', 'method': 'PATCH'}, "
                               "'do': {'stall_ms': 6000}}"));
    want(APPLE, 9);
    for (int i = 0; i < 500 && support_requests(&heroku, "PATCH", "/apps/apple/formation/web") == 0;
         i++) {
        support_nap();
    }
    int64_t killed_ms = dyn_clock_boot_ms();
    program_signal(actuators[victim], SIGKILL);
    want(APPLE, 12);
    want(MELON, 7);
    await_web(MELON, 7, SUPPORT_WAIT_MS + SLACK_MS);
    int64_t melon_ms = dyn_clock_boot_ms() - killed_ms;
    await_web(APPLE, 12, SUPPORT_SETTLE_MS + SLACK_MS);
    int64_t apple_ms = dyn_clock_boot_ms() - killed_ms;
    printf("actuators: written %lld ms after the death, with an open intent %lld ms\n",
           (long long)melon_ms, (long long)apple_ms);
    ck_assert_int_ge(apple_ms - melon_ms, SUPPORT_SETTLE_MS - 1500);
    ck_assert_int_eq(program_count(actuators[1 - victim], "human_change"), 0);
    ck_assert_int_eq(support_requests(&heroku, "PATCH", "/apps/apple/formation/web"), 2);
    forget(victim);
}
END_TEST

START_TEST(without_the_replicas_asked_for_nobody_writes_and_it_is_told_once)
{
    begin(0);
    program_await(actuators[0], "leases_unkept");
    want(APPLE, 9);
    for (int i = 0; i < 100; i++) {
        support_nap();
    }
    ck_assert_int_eq(support_web(&heroku, "apple"), 4);
    ck_assert_int_eq(program_count(actuators[0], "leases_unkept"), 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("actuators");
    TCase *two = tcase_create("two accounts");
    tcase_add_checked_fixture(two, setup, teardown);
    tcase_set_timeout(two, 90);
    tcase_add_test(two, two_actuators_share_two_accounts);
    tcase_add_test(two, a_third_stands_by_and_is_ready);
    tcase_add_test(two, who_lacks_a_key_leaves_its_account_to_another);
    tcase_add_test(two, whoever_is_killed_is_followed_after_the_wait);
    tcase_add_test(two, whoever_joins_is_handed_its_share);
    tcase_add_test(two, whoever_drains_hands_over);
    tcase_add_test(two, whoever_is_stopped_beyond_its_deadline_never_wakes);
    tcase_add_test(two, in_a_container_the_worker_is_killed_and_pid_1_ends_with_it);
    tcase_add_test(two, an_open_intent_holds_its_app_alone_until_it_is_settled);
    suite_add_tcase(suite, two);
    TCase *aliases = tcase_create("two names of one account");
    tcase_add_checked_fixture(aliases, setup_aliases, teardown);
    tcase_set_timeout(aliases, 90);
    tcase_add_test(aliases, two_names_of_one_account_end_up_with_one_actuator);
    suite_add_tcase(suite, aliases);
    TCase *unkept = tcase_create("too few replicas");
    tcase_add_checked_fixture(unkept, setup_unkept, teardown);
    tcase_set_timeout(unkept, 90);
    tcase_add_test(unkept, without_the_replicas_asked_for_nobody_writes_and_it_is_told_once);
    suite_add_tcase(suite, unkept);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
