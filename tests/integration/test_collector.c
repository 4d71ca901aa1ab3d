#include "support_program.h"
#include "support_redis.h"

#include "common/bus.h"
#include "common/clock.h"
#include "common/config.h"
#include "common/message.h"

#include <check.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* The real collector and a real Redis; what is on the bus is read as an estimator would. */

/* ---- a small metric API ---- */

static atomic_int api_requests;

struct api_answer {
    const char *path;
    const char *status;
    const char *body;
};

static const struct api_answer api_answers[] = {
    {"/good", "200 OK", "{\"data\": [{\"active\": 41.5}]}"},
    {"/error", "500 Oops", "{\"data\": [{\"active\": 1}]}"},
    {"/garbage", "200 OK", "<html>hello</html>"},
    {"/empty", "200 OK", ""},
    {"/text", "200 OK", "{\"data\": [{\"active\": \"41.5\"}]}"},
    {"/nil", "200 OK", "{\"data\": [{\"active\": null}]}"},
    {"/nan", "200 OK", "{\"data\": [{\"active\": NaN}]}"},
    {"/negative", "200 OK", "{\"data\": [{\"active\": -1}]}"},
    {"/infinite", "200 OK", "{\"data\": [{\"active\": 1e999}]}"},
    {"/missing", "200 OK", "{\"data\": []}"},
    {"/moved", "302 Found\r\nLocation: /good", "{}"},
};

static void api_say(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t sent = send(fd, bytes, len, MSG_NOSIGNAL);
        if (sent <= 0) {
            return;
        }
        bytes += sent;
        len -= (size_t)sent;
    }
}

static void api_huge(int fd)
{
    static char block[65536];
    memset(block, ' ', sizeof block);
    const char *head = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
    api_say(fd, head, strlen(head));
    for (int i = 0; i < 64; i++) {
        api_say(fd, block, sizeof block);
    }
}

static void api_answer(int fd, const char *path)
{
    char out[1024];
    if (strcmp(path, "/huge") == 0) {
        api_huge(fd);
        return;
    }
    for (size_t i = 0; i < sizeof api_answers / sizeof api_answers[0]; i++) {
        if (strcmp(path, api_answers[i].path) == 0) {
            int len =
                snprintf(out, sizeof out,
                         "HTTP/1.1 %s\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s",
                         api_answers[i].status, strlen(api_answers[i].body), api_answers[i].body);
            api_say(fd, out, (size_t)len);
            return;
        }
    }
    /* Slow: no answer until the client goes. */
    struct pollfd gone = {.fd = fd, .events = POLLIN};
    (void)poll(&gone, 1, 20000);
}

static void *api_serve(void *arg)
{
    int fd = (int)(intptr_t)arg;
    char head[4096];
    size_t len = 0;
    ssize_t got = 1;
    while (got > 0 && len < sizeof head - 1) {
        got = recv(fd, head + len, sizeof head - 1 - len, 0);
        len += got > 0 ? (size_t)got : 0;
        head[len] = '\0';
        if (strstr(head, "\r\n\r\n") != NULL) {
            break;
        }
    }
    head[len] = '\0';
    char path[256] = "";
    if (sscanf(head, "GET %255[^ ?]", path) == 1 && strstr(head, "X-Token: s3cret-token") != NULL) {
        atomic_fetch_add(&api_requests, 1);
        api_answer(fd, path);
    }
    close(fd);
    return NULL;
}

static void *api_accept(void *arg)
{
    int listener = (int)(intptr_t)arg;
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        pthread_t thread;
        if (fd < 0 || pthread_create(&thread, NULL, api_serve, (void *)(intptr_t)fd) != 0) {
            return NULL;
        }
        pthread_detach(thread);
    }
}

static int api_start(void)
{
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t len = sizeof address;
    struct sockaddr *any = (struct sockaddr *)&address;
    ck_assert_int_eq(bind(listener, any, len), 0);
    ck_assert_int_eq(listen(listener, 64), 0);
    ck_assert_int_eq(getsockname(listener, any, &len), 0);
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, api_accept, (void *)(intptr_t)listener), 0);
    pthread_detach(thread);
    return ntohs(address.sin_port);
}

/* ---- the collector and what it wrote ---- */

static struct support_redis *redis;
static struct support_file *file;
static struct program *collector;
static struct pack_reader *reader;
static struct config *config;

/* One input's samples so far, in the log's order. */
struct seen {
    char name[32];
    uint64_t series;
    size_t count[SAMPLE_STATUS_COUNT];
    double value;
    char reason[DYN_REASON_MAX + 1];
};
static struct seen seen[64];
static size_t seen_count;
static uint64_t batches_seq;
static uint64_t batches_lost;
static uint64_t samples_unique;
static uint64_t repeats;

static void setup(void)
{
    redis = support_redis_new(&(struct support_redis_options){.append_only = true});
    support_redis_load_functions(redis);
    char schema[16];
    snprintf(schema, sizeof schema, "%d", MESSAGE_SCHEMA);
    support_redis_call(redis, "HSET", "dyn:setup", "partitions", "1", "functions",
                       bus_functions_version, "schema", schema, NULL);
    file = support_file_new("dynosaur.yaml");
    reader = pack_reader_new();
    config = NULL;
    collector = NULL;
    seen_count = 0;
}

static void teardown(void)
{
    program_free(collector);
    pack_reader_free(reader);
    config_free(config);
    support_file_free(file);
    support_redis_free(redis);
}

/* The inputs of one app, each a flow map. */
static void configure(const char *inputs)
{
    support_file_write(file,
                       "version: 2\n"
                       "redis: {partitions: 1}\n"
                       "accounts: {main: {heroku_api_key: \"${KEY:-none}\"}}\n"
                       "defaults: {interval: 1, hysteresis_period: 60}\n"
                       "apps:\n"
                       "  shop:\n"
                       "    account: main\n"
                       "    controller_plugins:\n"
                       "      - name: dynos\n"
                       "        type: dynos\n"
                       "        input_plugins:\n"
                       "%s",
                       inputs);
    struct dyn_error error = {""};
    config_free(config);
    config = config_load(support_file_path(file), &error);
    ck_assert_msg(config != NULL, "%s", error.text);
    const struct config_controller *controller = &config->apps[0].controllers[0];
    for (size_t i = 0; i < controller->inputs_count; i++) {
        const struct config_input *input = &controller->inputs[i];
        struct seen *entry = NULL;
        for (size_t s = 0; s < seen_count; s++) {
            entry = seen[s].series == input->series ? &seen[s] : entry;
        }
        if (entry == NULL) {
            entry = &seen[seen_count++];
            *entry = (struct seen){.series = input->series};
            snprintf(entry->name, sizeof entry->name, "%s", input->name);
        }
    }
}

static void start(void)
{
    static char path[1024];
    snprintf(path, sizeof path, "%s/services/dynosaur-collector", getenv("DYN_BUILD"));
    const char *const argv[] = {path,
                                "--config",
                                support_file_path(file),
                                "--redis",
                                support_redis_url(redis),
                                "--http",
                                "127.0.0.1:0",
                                NULL};
    collector = program_start(argv);
    program_await(collector, "event=redis_ready");
}

static size_t unhex(const char *text, size_t len, char *out)
{
    size_t used = 0;
    for (size_t i = 0; i + 1 < len; i += 2) {
        char digits[3] = {text[i], text[i + 1], '\0'};
        out[used++] = (char)strtol(digits, NULL, 16);
    }
    return used;
}

static void take_batch(const struct batch *batch, const struct sample *samples)
{
    if (batch->seq <= batches_seq) {
        repeats++;
        return;
    }
    ck_assert_uint_eq(batch->seq, batches_seq + 1);
    batches_seq = batch->seq;
    batches_lost += batch->lost;
    for (uint32_t i = 0; i < batch->count; i++) {
        struct seen *entry = NULL;
        for (size_t s = 0; s < seen_count; s++) {
            entry = seen[s].series == samples[i].series ? &seen[s] : entry;
        }
        ck_assert_msg(entry != NULL, "a sample of a series that nobody configured");
        samples_unique++;
        entry->count[samples[i].status]++;
        entry->value = samples[i].value;
        if (samples[i].status != SAMPLE_GOOD) {
            dyn_str_copy(entry->reason, sizeof entry->reason, samples[i].reason);
        }
    }
}

/* Read the whole log anew; the values come as hexadecimal, since the answer is text. */
static void read_log(void)
{
    static char bytes[DYN_ENTRY_MAX];
    static struct sample samples[DYN_BATCH_SAMPLES_MAX];
    const char *script =
        "local o = {} for _, e in ipairs(redis.call('XRANGE', KEYS[1], '-', '+')) do "
        "o[#o + 1] = string.gsub(e[2][2], '.', function(c) "
        "return string.format('%02x', string.byte(c)) end) end return o";
    /* '.' leaves out no byte in Lua. */
    const char *text = support_redis_call(redis, "EVAL", script, "1", "dyn:{0}:values", NULL);
    for (size_t i = 0; i < seen_count; i++) {
        memset(seen[i].count, 0, sizeof seen[i].count);
    }
    batches_seq = batches_lost = samples_unique = repeats = 0;
    while (*text != '\0') {
        size_t len = strcspn(text, "\n");
        struct dyn_str message = {bytes, unhex(text, len, bytes)};
        struct batch batch;
        if (message.len > 0) {
            ck_assert_int_eq(pack_reader_start(reader, message), DYN_OK);
            ck_assert_int_eq(message_read_kind(reader), MESSAGE_BATCH);
            ck_assert_int_eq(message_read_batch(reader, &batch, samples), DYN_OK);
            take_batch(&batch, samples);
        }
        text += len + (text[len] == '\n' ? 1 : 0);
    }
}

static struct seen *of(const char *name)
{
    for (size_t i = 0; i < seen_count; i++) {
        if (strcmp(seen[i].name, name) == 0) {
            return &seen[i];
        }
    }
    ck_abort_msg("no input %s", name);
}

/* Read the log until an input has so many samples of a status. */
static const struct seen *await_samples(const char *name, enum sample_status status, size_t count)
{
    for (int i = 0; i < 400; i++) {
        read_log();
        if (of(name)->count[status] >= count) {
            return of(name);
        }
        const struct timespec pause = {.tv_nsec = 50000000};
        nanosleep(&pause, NULL);
    }
    ck_abort_msg("%s: no %zu samples of status %d; its last reason: %s\n%s", name, count,
                 (int)status, of(name)->reason, program_output(collector));
}

static void check_reason(const char *name, enum sample_status status, const char *words)
{
    const struct seen *entry = await_samples(name, status, 1);
    ck_assert_msg(strstr(entry->reason, words) != NULL, "%s says: %s", name, entry->reason);
    ck_assert_uint_eq(entry->count[SAMPLE_GOOD], 0);
}

/* ---- tests ---- */

START_TEST(values_arrive_under_their_series_ids)
{
    configure("          - {name: wave, type: sine, period: 30}\n"
              "          - {name: walk, type: random, seed: 4}\n"
              "          - {name: count, type: exec, command: [/bin/echo, ' 42.5 '], "
              "per_resource: 1}\n");
    start();
    (void)await_samples("wave", SAMPLE_GOOD, 3);
    (void)await_samples("walk", SAMPLE_GOOD, 2);
    ck_assert_double_eq(await_samples("count", SAMPLE_GOOD, 2)->value, 42.5);
    ck_assert_uint_eq(batches_lost, 0);
    ck_assert_uint_eq(repeats, 0);
    ck_assert_int_eq(program_http(collector, "/readyz"), 200);
    ck_assert_int_eq(program_http(collector, "/metrics"), 200);
    ck_assert_ptr_nonnull(strstr(program_body(collector), "dynosaur_inputs 3"));
    program_signal(collector, SIGTERM);
    ck_assert_int_eq(program_end(collector), 0);
}
END_TEST

START_TEST(a_redis_that_was_killed_and_is_back_misses_nothing)
{
    configure("          - {name: wave, type: sine}\n          - {name: walk, type: random}\n");
    start();
    (void)await_samples("wave", SAMPLE_GOOD, 2);
    uint64_t before = samples_unique;
    support_redis_kill(redis);
    program_await(collector, "event=redis_away");
    /* While it is away readings go on: two seconds of two inputs. */
    const struct timespec pause = {.tv_sec = 2, .tv_nsec = 500000000};
    nanosleep(&pause, NULL);
    support_redis_start(redis);
    program_await(collector, "event=redis_ready");
    (void)await_samples("wave", SAMPLE_GOOD, of("wave")->count[SAMPLE_GOOD] + 4);
    ck_assert_uint_ge(samples_unique, before + 6);
    ck_assert_uint_eq(batches_lost, 0);
    program_signal(collector, SIGTERM);
    ck_assert_int_eq(program_end(collector), 0);
}
END_TEST

START_TEST(an_outage_longer_than_any_window_is_told_as_lost)
{
    configure("          - {name: wave, type: sine, hysteresis_period: 1, doubt_zero: 0, "
              "max_gap: 1}\n");
    ck_assert_int_le(config->longest_window_ms, 1000);
    start();
    (void)await_samples("wave", SAMPLE_GOOD, 2);
    support_redis_kill(redis);
    program_await(collector, "event=redis_away");
    program_await(collector, "event=samples_lost");
    support_redis_start(redis);
    program_await(collector, "event=redis_ready");
    (void)await_samples("wave", SAMPLE_GOOD, of("wave")->count[SAMPLE_GOOD] + 1);
    ck_assert_uint_gt(batches_lost, 0);
}
END_TEST

START_TEST(programs_that_misbehave_give_reasons_and_no_numbers)
{
    configure(
        "          - {name: hangs, type: exec, command: [/bin/sleep, '60'], timeout: 0.5, "
        "per_resource: 1}\n"
        "          - {name: stuck, type: exec, command: [/bin/sleep, '60'], timeout: 60, "
        "per_resource: 1}\n"
        "          - {name: floods, type: exec, command: [/bin/sh, -c, 'yes 7 | head -c 100000'], "
        "per_resource: 1}\n"
        "          - {name: forks, type: exec, command: [/bin/sh, -c, 'sleep 4711 & echo 7'], "
        "per_resource: 1}\n"
        "          - {name: dies, type: exec, command: [/bin/sh, -c, 'echo 7; kill -9 $$'], "
        "per_resource: 1}\n"
        "          - {name: fails, type: exec, command: [/bin/sh, -c, 'echo 7; exit 3'], "
        "per_resource: 1}\n"
        "          - {name: words, type: exec, command: [/bin/printf, 'seven\\tof \\001'], "
        "per_resource: 1}\n"
        "          - {name: below, type: exec, command: [/bin/echo, '-1'], per_resource: 1}\n"
        "          - {name: absent, type: exec, command: [/nonexistent/x], per_resource: 1}\n"
        "          - {name: clean, type: exec, command: [/bin/sh, -c, 'env | grep -c .'], "
        "env: {TOKEN: abc}, per_resource: 1}\n");
    setenv("DYN_TEST_SECRET", "must not be inherited", 1);
    start();
    check_reason("hangs", SAMPLE_TIMEOUT, "was killed");
    check_reason("stuck", SAMPLE_TIMEOUT, "no answer within 1 s");
    check_reason("floods", SAMPLE_ERROR, "more than 4096 bytes");
    check_reason("dies", SAMPLE_ERROR, "signal 9");
    check_reason("fails", SAMPLE_ERROR, "status 3");
    check_reason("words", SAMPLE_ERROR, "\"seven.of .\"");
    check_reason("below", SAMPLE_ERROR, "-1");
    check_reason("absent", SAMPLE_ERROR, "/nonexistent/x");
    ck_assert_double_eq(await_samples("forks", SAMPLE_GOOD, 2)->value, 7);
    /* PATH, LANG and TOKEN; the shell adds PWD, and perhaps SHLVL and _. */
    const struct seen *clean = await_samples("clean", SAMPLE_GOOD, 1);
    ck_assert_double_ge(clean->value, 3);
    ck_assert_double_le(clean->value, 6);
    program_signal(collector, SIGTERM);
    ck_assert_int_eq(program_end(collector), 0);
}
END_TEST

START_TEST(metric_apis_that_misbehave_give_reasons_without_secrets)
{
    int port = api_start();
    char inputs[8192] = "";
    const char *const paths[] = {"good",     "error",    "garbage", "empty", "text", "nil", "nan",
                                 "negative", "infinite", "missing", "moved", "huge", "slow"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        size_t used = strlen(inputs);
        snprintf(
            inputs + used, sizeof inputs - used,
            "          - {name: %s, type: http_json, url: \"http://127.0.0.1:%d/%s?key=s3cret\", "
            "headers: {X-Token: s3cret-token}, pointer: /data/0/active, timeout: 0.8, "
            "per_resource: 1}\n",
            paths[i], port, paths[i]);
    }
    configure(inputs);
    start();
    check_reason("error", SAMPLE_ERROR, "127.0.0.1: answered with status 500");
    check_reason("garbage", SAMPLE_ERROR, "127.0.0.1: not JSON");
    check_reason("empty", SAMPLE_ERROR, "empty");
    check_reason("text", SAMPLE_ERROR, "a string where a number");
    check_reason("nil", SAMPLE_ERROR, "null where a number");
    check_reason("nan", SAMPLE_ERROR, "not JSON");
    check_reason("negative", SAMPLE_ERROR, "-1 is not");
    check_reason("infinite", SAMPLE_ERROR, "127.0.0.1: ");
    check_reason("missing", SAMPLE_ERROR, "nothing at /data/0/active");
    check_reason("moved", SAMPLE_ERROR, "status 302");
    check_reason("huge", SAMPLE_ERROR, "127.0.0.1: ");
    check_reason("slow", SAMPLE_TIMEOUT, "127.0.0.1: ");
    ck_assert_double_eq(await_samples("good", SAMPLE_GOOD, 1)->value, 41.5);
    for (size_t i = 0; i < seen_count; i++) {
        ck_assert_ptr_null(strstr(seen[i].reason, "s3cret"));
    }
    ck_assert_int_eq(program_count(collector, "s3cret"), 0);
}
END_TEST

START_TEST(an_apps_redis_that_hangs_delays_no_other_input)
{
    struct support_redis *apps = support_redis_new(&(struct support_redis_options){.tcp = true});
    char inputs[8192] = "          - {name: wave, type: sine}\n";
    for (int i = 0; i < 20; i++) {
        size_t used = strlen(inputs);
        snprintf(inputs + used, sizeof inputs - used,
                 "          - {name: q%d, type: redis, url: \"redis://127.0.0.1:%d\", key: jobs, "
                 "timeout: 0.8, per_resource: 1}\n",
                 i, support_redis_port(apps));
    }
    configure(inputs);
    start();
    (void)await_samples("q0", SAMPLE_GOOD, 1);
    support_redis_freeze(apps);
    (void)await_samples("q0", SAMPLE_TIMEOUT, 1);
    (void)await_samples("q19", SAMPLE_TIMEOUT, 1);
    size_t before = of("wave")->count[SAMPLE_GOOD];
    int64_t from_ms = dyn_clock_boot_ms();
    (void)await_samples("wave", SAMPLE_GOOD, before + 5);
    ck_assert_int_lt(dyn_clock_boot_ms() - from_ms, 7000);
    ck_assert_str_eq(of("q7")->reason, "127.0.0.1: no answer within 0.8 s");
    support_redis_thaw(apps);
    (void)await_samples("q19", SAMPLE_GOOD, of("q19")->count[SAMPLE_GOOD] + 2);
    program_signal(collector, SIGTERM);
    ck_assert_int_eq(program_end(collector), 0);
    support_redis_free(apps);
}
END_TEST

START_TEST(a_missing_secret_disables_one_input_until_a_reload_finds_it)
{
    const char *one = "          - {name: wave, type: sine}\n"
                      "          - {name: sealed, type: exec, command: [/bin/echo, '1'], "
                      "env: {TOKEN: '${DYN_TEST_ABSENT}'}, per_resource: 1}\n";
    configure(one);
    start();
    check_reason("sealed", SAMPLE_DISABLED, "DYN_TEST_ABSENT");
    (void)await_samples("sealed", SAMPLE_DISABLED, 2);
    (void)await_samples("wave", SAMPLE_GOOD, 2);
    ck_assert_int_eq(program_count(collector, "input_disabled"), 1);
    configure("          - {name: wave, type: sine}\n"
              "          - {name: sealed, type: exec, command: [/bin/echo, '1'], "
              "env: {TOKEN: '${DYN_TEST_ABSENT:-x}'}, per_resource: 1}\n");
    program_signal(collector, SIGHUP);
    program_await(collector, "event=config_reloaded");
    (void)await_samples("sealed", SAMPLE_GOOD, 1);
    (void)await_samples("wave", SAMPLE_GOOD, of("wave")->count[SAMPLE_GOOD] + 1);
    configure("          - {name: other, type: sine, period: 7}\n");
    program_signal(collector, SIGHUP);
    program_await(collector, "event=config_reloaded");
    (void)await_samples("other", SAMPLE_GOOD, 2);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("collector");
    TCase *real = tcase_create("real");
    tcase_add_checked_fixture(real, setup, teardown);
    tcase_add_test(real, values_arrive_under_their_series_ids);
    tcase_add_test(real, a_redis_that_was_killed_and_is_back_misses_nothing);
    tcase_add_test(real, an_outage_longer_than_any_window_is_told_as_lost);
    tcase_add_test(real, programs_that_misbehave_give_reasons_and_no_numbers);
    tcase_add_test(real, metric_apis_that_misbehave_give_reasons_without_secrets);
    tcase_add_test(real, an_apps_redis_that_hangs_delays_no_other_input);
    tcase_add_test(real, a_missing_secret_disables_one_input_until_a_reload_finds_it);
    tcase_set_timeout(real, 90);
    suite_add_tcase(suite, real);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
