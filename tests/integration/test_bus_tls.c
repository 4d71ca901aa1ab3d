/* rediss://: whom the bus trusts, and what it says of the others. Where hiredis has no TLS, that it
 * is refused. */
#include "common/bus.h"
#include "common/clock.h"
#include "support_redis.h"

#include <arpa/inet.h>
#include <check.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static struct dyn_loop *loop;
static char directory[] = "/tmp/dyn-tls-XXXXXX";

struct seen {
    int ready;
    int lost;
    char why[512];
    size_t size; /* of the last answer */
    int answers;
};

static void on_ready(void *arg, struct dyn_str replid)
{
    struct seen *seen = arg;
    (void)replid;
    seen->ready++;
}

static void on_lost(void *arg, const char *why)
{
    struct seen *seen = arg;
    seen->lost++;
    (void)snprintf(seen->why, sizeof(seen->why), "%s", why);
}

static void on_answer(void *arg, dyn_err err, const struct bus_reply *reply)
{
    struct seen *seen = arg;
    ck_assert_int_eq(err, DYN_OK);
    seen->size = bus_reply_str(reply).len;
    seen->answers++;
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

/* ---- certificates ---- */

static const char *file(const char *name)
{
    static char paths[8][64];
    static size_t next;
    char *path = paths[next++ % 8];
    (void)snprintf(path, sizeof(paths[0]), "%s/%s", directory, name);
    return path;
}

/* Before any test: a failure ends the program. */
static void run(const char *const *argv)
{
    extern char **environ;
    pid_t pid = 0;
    int status = 1;
    posix_spawn_file_actions_t quiet;
    /* posix_spawnp takes its arguments without const for the sake of old programs only. */
    union {
        const char *const *from;
        char *const *to;
    } cast = {.from = argv};
    (void)posix_spawn_file_actions_init(&quiet);
    (void)posix_spawn_file_actions_addopen(&quiet, 2, file("log"), O_WRONLY | O_CREAT | O_APPEND,
                                           0600);
    if (posix_spawnp(&pid, argv[0], &quiet, NULL, cast.to, environ) != 0 ||
        waitpid(pid, &status, 0) != pid || status != 0) {
        (void)fprintf(stderr, "%s failed: see %s\n", argv[0], file("log"));
        exit(EXIT_FAILURE);
    }
    (void)posix_spawn_file_actions_destroy(&quiet);
}

/* NAME.pem and NAME.key, signed by `signer`, or by itself. */
static void certificate_make(const char *name, const char *names, const char *signer)
{
    char out[64];
    char key[64];
    char subject[64];
    char extension[128];
    char ca[64];
    char ca_key[64];
    (void)snprintf(out, sizeof(out), "%s/%s.pem", directory, name);
    (void)snprintf(key, sizeof(key), "%s/%s.key", directory, name);
    (void)snprintf(subject, sizeof(subject), "/CN=%s", name);
    (void)snprintf(extension, sizeof(extension), "subjectAltName=%s", names);
    (void)snprintf(ca, sizeof(ca), "%s/%s.pem", directory, signer != NULL ? signer : name);
    (void)snprintf(ca_key, sizeof(ca_key), "%s/%s.key", directory, signer != NULL ? signer : name);
    const char *const argv[] = {
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
        "-subj",
        subject,
        "-addext",
        extension,
        "-keyout",
        key,
        "-out",
        out,
        signer != NULL ? "-CA" : NULL,
        ca,
        "-CAkey",
        ca_key,
        NULL,
    };
    run(argv);
}

/* ---- servers ---- */

static int port_find(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, size), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    (void)close(fd);
    return ntohs(address.sin_port);
}

/* What a server needs for its start, and for another one. */
struct server_words {
    char port[8];
    char certificate[64];
    char key[64];
    char ca[64];
    const char *arguments[12];
};

/* A server that shows the certificate NAME.pem on a TLS port of its own. */
static struct support_redis *server_new(const char *name, const char *auth_clients,
                                        const char *sentinel, int *out_port)
{
    static struct server_words both[2];
    struct server_words *words = &both[sentinel != NULL];
    *out_port = port_find();
    (void)snprintf(words->port, sizeof(words->port), "%d", *out_port);
    (void)snprintf(words->certificate, sizeof(words->certificate), "%s/%s.pem", directory, name);
    (void)snprintf(words->key, sizeof(words->key), "%s/%s.key", directory, name);
    (void)snprintf(words->ca, sizeof(words->ca), "%s/ca.pem", directory);
    const char *const arguments[] = {"--tls-port",
                                     words->port,
                                     "--tls-cert-file",
                                     words->certificate,
                                     "--tls-key-file",
                                     words->key,
                                     "--tls-ca-cert-file",
                                     words->ca,
                                     "--tls-auth-clients",
                                     auth_clients,
                                     NULL};
    memcpy(words->arguments, arguments, sizeof(arguments));
    const struct support_redis_options options = {
        .tcp = true, .arguments = words->arguments, .sentinel = sentinel};
    return support_redis_new(&options);
}

static struct bus *bus_open(struct seen *seen, const char *host, int port,
                            const struct bus_access *access)
{
    char url[128];
    struct dyn_error error;
    (void)snprintf(url, sizeof(url), "rediss://%s:%d", host, port);
    const struct bus_options options = {.url = url,
                                        .access = access,
                                        .name = "dynosaur-test",
                                        .ready = on_ready,
                                        .lost = on_lost,
                                        .arg = seen};
    struct bus *bus = bus_new(loop, &options, &error);
    ck_assert_msg(bus != NULL, "%s", error.text);
    return bus;
}

static void ready_at(const char *host, int port, const struct bus_access *access)
{
    struct seen seen = {0};
    struct bus *bus = bus_open(&seen, host, port, access);
    UNTIL(seen.ready + seen.lost > 0);
    ck_assert_msg(seen.ready == 1, "%s", seen.why);
    bus_free(bus);
}

static void lost_at(const char *host, int port, const struct bus_access *access, const char *words)
{
    struct seen seen = {0};
    struct bus *bus = bus_open(&seen, host, port, access);
    UNTIL(seen.ready + seen.lost > 0);
    ck_assert_int_eq(seen.ready, 0);
    ck_assert_msg(strstr(seen.why, words) != NULL, "%s", seen.why);
    bus_free(bus);
}

static void setup(void)
{
    loop = dyn_loop_new();
    ck_assert_ptr_nonnull(loop);
}

static void teardown(void)
{
    dyn_loop_free(loop);
}

START_TEST(a_server_with_a_trusted_certificate_is_talked_to)
{
    int port = 0;
    struct seen seen = {0};
    struct support_redis *redis = server_new("server", "no", NULL, &port);
    const struct bus_access access = {.tls_ca = file("ca.pem")};
    ready_at("127.0.0.1", port, &access);
    struct bus *bus = bus_open(&seen, "localhost", port, &access);
    UNTIL(seen.ready == 1);
    (void)support_redis_call(redis, "SETRANGE", "big", "33554431", "x", NULL);
    const struct dyn_str get[] = {DYN_STR("GET"), DYN_STR("big")};
    ck_assert_int_eq(bus_command(bus, get, 2, 15000, on_answer, &seen), DYN_OK);
    UNTIL(seen.answers == 1);
    ck_assert_uint_eq(seen.size, (size_t)32 * 1024 * 1024);
    /* And as much the other way, in many commands. */
    char payload[4096] = "payload";
    for (int sent = 0; sent < 4000;) {
        dyn_err err =
            bus_add(bus, "s", (struct dyn_str){payload, sizeof(payload)}, 0, on_answer, &seen);
        sent += err == DYN_OK;
        if (err != DYN_OK) {
            dyn_loop_once(loop, 20);
        }
    }
    UNTIL(seen.answers == 4001);
    support_redis_kill(redis);
    UNTIL(seen.lost == 1);
    support_redis_start(redis);
    UNTIL(seen.ready == 2);
    bus_free(bus);
    support_redis_free(redis);
}
END_TEST

START_TEST(a_stranger_is_refused_unless_insecure)
{
    int port = 0;
    struct support_redis *redis = server_new("server", "no", NULL, &port);
    const struct bus_access other = {.tls_ca = file("stranger.pem")};
    const struct bus_access system = {0};
    const struct bus_access insecure = {.tls_insecure = true};
    lost_at("127.0.0.1", port, &other, "the server's certificate is not accepted: ");
    lost_at("127.0.0.1", port, &system, "the server's certificate is not accepted: ");
    ready_at("127.0.0.1", port, &insecure);
    support_redis_free(redis);
}
END_TEST

START_TEST(another_servers_certificate_is_refused_unless_insecure)
{
    int port = 0;
    struct support_redis *redis = server_new("elsewhere", "no", NULL, &port);
    const struct bus_access access = {.tls_ca = file("ca.pem")};
    const struct bus_access insecure = {.tls_insecure = true};
    lost_at("localhost", port, &access, "mismatch");
    lost_at("127.0.0.1", port, &access, "mismatch");
    ready_at("localhost", port, &insecure);
    support_redis_free(redis);
}
END_TEST

START_TEST(a_server_that_wants_a_certificate_gets_ours)
{
    int port = 0;
    struct support_redis *redis = server_new("server", "yes", NULL, &port);
    const struct bus_access none = {.tls_ca = file("ca.pem")};
    const struct bus_access ours = {
        .tls_ca = file("ca.pem"), .tls_cert = file("client.pem"), .tls_key = file("client.key")};
    lost_at("127.0.0.1", port, &none, "");
    ready_at("127.0.0.1", port, &ours);
    support_redis_free(redis);
}
END_TEST

START_TEST(sentinels_are_asked_by_tls_too)
{
    int port = 0;
    int sentinel_port = 0;
    char lines[64];
    char node[32];
    const char *nodes[] = {node, NULL};
    struct support_redis *redis = server_new("server", "no", NULL, &port);
    (void)snprintf(lines, sizeof(lines), "sentinel monitor fleet 127.0.0.1 %d 1\n", port);
    struct support_redis *sentinel = server_new("server", "no", lines, &sentinel_port);
    (void)snprintf(node, sizeof(node), "localhost:%d", sentinel_port);
    const struct bus_access access = {
        .tls_ca = file("ca.pem"), .sentinel_master = "fleet", .sentinel_nodes = nodes};
    ready_at("host", 1, &access);
    support_redis_free(sentinel);
    support_redis_free(redis);
}
END_TEST

START_TEST(a_server_without_tls_is_told)
{
    const struct support_redis_options options = {.tcp = true};
    struct support_redis *redis = support_redis_new(&options);
    const struct bus_access access = {.tls_insecure = true};
    lost_at("127.0.0.1", support_redis_port(redis), &access, "");
    support_redis_free(redis);
}
END_TEST

static const char *refused(const char *url, const struct bus_access *access)
{
    static struct dyn_error error;
    const struct bus_options options = {.url = url, .access = access, .name = "dynosaur-test"};
    error.text[0] = '\0';
    ck_assert_ptr_null(bus_new(loop, &options, &error));
    return error.text;
}

START_TEST(files_that_cannot_be_used_are_refused_at_the_start)
{
    const struct bus_access ca = {.tls_ca = "/nowhere/ca.pem"};
    const struct bus_access certificate = {.tls_cert = "/nowhere/c.pem", .tls_key = "/nowhere/k"};
    const struct bus_access key = {.tls_cert = file("client.pem"), .tls_key = file("server.key")};
    ck_assert_ptr_nonnull(strstr(refused("rediss://host", &ca), "redis.tls_ca /nowhere/ca.pem: "));
    ck_assert_ptr_nonnull(
        strstr(refused("rediss://host", &certificate), "redis.tls_cert /nowhere/c.pem: "));
    ck_assert_ptr_nonnull(strstr(refused("rediss://host", &key), "redis.tls_key "));
    ck_assert_ptr_nonnull(strstr(refused("rediss://:canary@", &ca), "no usable host"));
}
END_TEST

START_TEST(tls_without_rediss_is_refused)
{
    const struct bus_access insecure = {.tls_insecure = true};
    ck_assert_ptr_nonnull(strstr(refused("redis://host", &insecure), "rediss://"));
}
END_TEST

START_TEST(rediss_is_refused_and_what_to_do_is_told)
{
    const char *words = refused("rediss://:canary@host", NULL);
    ck_assert_ptr_nonnull(strstr(words, "this build does not have"));
    ck_assert_ptr_nonnull(strstr(words, "stunnel"));
    ck_assert_ptr_null(strstr(words, "canary"));
}
END_TEST

/* Whether this build has TLS at all. */
static bool tls_is_there(void)
{
    struct dyn_error error = {""};
    const struct bus_access insecure = {.tls_insecure = true};
    const struct bus_options options = {
        .url = "rediss://127.0.0.1:1", .access = &insecure, .name = "dynosaur-test"};
    loop = dyn_loop_new();
    struct bus *bus = bus_new(loop, &options, &error);
    bus_free(bus);
    dyn_loop_free(loop);
    return bus != NULL;
}

static void tests_add(TCase *tests, bool there)
{
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, tls_without_rediss_is_refused);
    if (!there) {
        printf("skipped: this build's hiredis has no TLS (Debian 13's has)\n");
        tcase_add_test(tests, rediss_is_refused_and_what_to_do_is_told);
        return;
    }
    tcase_add_test(tests, a_server_with_a_trusted_certificate_is_talked_to);
    tcase_add_test(tests, a_stranger_is_refused_unless_insecure);
    tcase_add_test(tests, another_servers_certificate_is_refused_unless_insecure);
    tcase_add_test(tests, a_server_that_wants_a_certificate_gets_ours);
    tcase_add_test(tests, sentinels_are_asked_by_tls_too);
    tcase_add_test(tests, a_server_without_tls_is_told);
    tcase_add_test(tests, files_that_cannot_be_used_are_refused_at_the_start);
}

static void certificates_make(void)
{
    certificate_make("ca", "DNS:ca", NULL);
    certificate_make("stranger", "DNS:stranger", NULL);
    certificate_make("server", "DNS:localhost,IP:127.0.0.1", "ca");
    certificate_make("elsewhere", "DNS:elsewhere", "ca");
    certificate_make("client", "DNS:client", "ca");
}

static void certificates_remove(void)
{
    static const char *const names[] = {"ca", "stranger", "server", "elsewhere", "client"};
    char name[32];
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        (void)snprintf(name, sizeof(name), "%s.pem", names[i]);
        (void)unlink(file(name));
        (void)snprintf(name, sizeof(name), "%s.key", names[i]);
        (void)unlink(file(name));
    }
    (void)unlink(file("log"));
    (void)rmdir(directory);
}

int main(void)
{
    Suite *suite = suite_create("bus_tls");
    TCase *tests = tcase_create("bus_tls");
    bool there = tls_is_there();
    if (there) {
        there = mkdtemp(directory) != NULL;
        certificates_make();
    }
    tests_add(tests, there);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    if (there) {
        certificates_remove();
    }
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
