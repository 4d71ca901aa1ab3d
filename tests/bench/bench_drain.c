/*
 * Log drains: router lines a second.
 *
 *   bench-drain            reading batches alone, then the whole path
 *   bench-drain --seconds N   of the whole path, 3 at first
 *
 * The limit of reading is to touch each byte once (memchr). The limit of the whole path is a server
 * that only takes the bytes off the socket and answers 200; both are sent the same batches, of
 * about 100 kB as a busy app sends them and then of 10 lines, by the same client, one at a time,
 * and what counts is the processor time of each server.
 */
#include "tests/integration/support_redis.h"

#include "collector/drain_call.h"
#include "collector/logplex.h"
#include "common/bus.h"
#include "common/clock.h"
#include "common/message.h"

#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TOKEN "d.fc6b856b-3332-4546-93de-7d0ee272c3bd"
#define BODY_BYTES 102400
#define ROUNDS 2000
#define KEPT_S 135

static struct dyn_buf body;
static uint64_t body_lines;

static void body_write(unsigned lines)
{
    time_t now = dyn_clock_wall_ms() / 1000;
    struct tm parts;
    char at[32];
    (void)gmtime_r(&now, &parts);
    (void)strftime(at, sizeof at, "%Y-%m-%dT%H:%M:%S", &parts);
    dyn_buf_fini(&body);
    dyn_buf_init(&body, (size_t)2 * BODY_BYTES);
    body_lines = 0;
    for (unsigned i = 0; i < lines && body.len < BODY_BYTES - 400; i++) {
        char line[512];
        int len = snprintf(
            line, sizeof line,
            "<158>1 %s.%06u+00:00 host heroku router - at=info method=GET "
            "path=\"/items/%u?page=2\" "
            "host=shop.example.com request_id=6903a168-b79b-ec27-03c8-b8f64d8d%04u "
            "fwd=\"138.68.186.89\" dyno=web.%u connect=%ums service=%ums status=%u bytes=1313 "
            "protocol=http1.1 tls=true tls_version=tls1.3\n",
            at, i, i * 7, i, 1 + i % 5, i % 3, 5 + i * i % 900, i % 50 == 0 ? 503U : 200U);
        (void)dyn_buf_addf(&body, "%d %s", len, line);
        body_lines++;
    }
}

static void print(const char *what, double lines, double seconds)
{
    printf("%-44s %11.0f lines a second  %7.1f ns a line\n", what, lines / seconds,
           seconds * 1e9 / lines);
}

/* ---- reading alone ---- */

static void bench_read(void)
{
    static struct tally tally;
    struct drain_call call;
    uint64_t frame = 0;
    uint64_t frames = 0;
    int64_t now_s = dyn_clock_wall_ms() / 1000;
    drain_call_init(&call);
    int64_t from = dyn_clock_boot_ns();
    for (frame = 0; frame < ROUNDS; frame++) {
        tally_begin(&tally, now_s, KEPT_S);
        if (logplex_read(&tally, dyn_buf_str(&body), &frames) != DYN_OK || frames != body_lines ||
            tally.requests != body_lines ||
            drain_call_write(&call, &tally, "dyn", "0123456789abcdef", &frame, KEPT_S) != DYN_OK) {
            abort();
        }
    }
    int64_t read_ns = dyn_clock_boot_ns() - from;
    size_t touched = 0;
    from = dyn_clock_boot_ns();
    for (int i = 0; i < ROUNDS; i++) {
        touched += memchr(body.ptr + i % 2, '\001', body.len - 2) == NULL;
    }
    int64_t touch_ns = dyn_clock_boot_ns() - from;
    drain_call_fini(&call);
    double lines = (double)body_lines * ROUNDS;
    print("a batch read, and its call written", lines, (double)read_ns / 1e9);
    print("every byte touched once", lines + (double)(touched - ROUNDS), (double)touch_ns / 1e9);
}

/* ---- the whole path ---- */

static int client_open(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int on = 1;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        abort();
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

static void batch_send(int fd, uint64_t frame)
{
    static struct dyn_buf message;
    char answer[1024];
    size_t len = 0;
    dyn_buf_init(&message, (size_t)4 * BODY_BYTES);
    (void)dyn_buf_addf(&message,
                       "POST /drain HTTP/1.1\r\nHost: x\r\nContent-Type: application/logplex-1\r\n"
                       "Logplex-Drain-Token: " TOKEN "\r\nLogplex-Frame-Id: %015" PRIX64
                       "%017d\r\nLogplex-Msg-Count: %" PRIu64 "\r\nContent-Length: %zu\r\n\r\n",
                       frame, 0, body_lines, body.len);
    (void)dyn_buf_add_str(&message, dyn_buf_str(&body));
    for (size_t at = 0; at < message.len;) {
        ssize_t sent = send(fd, message.ptr + at, message.len - at, MSG_NOSIGNAL);
        if (sent <= 0) {
            abort();
        }
        at += (size_t)sent;
    }
    dyn_buf_fini(&message);
    do {
        ssize_t got = recv(fd, answer + len, sizeof answer - 1 - len, 0);
        if (got <= 0) {
            abort();
        }
        len += (size_t)got;
        answer[len] = '\0';
    } while (strstr(answer, "\r\n\r\n") == NULL);
    if (strncmp(answer, "HTTP/1.1 200 ", 13) != 0) {
        (void)fputs(answer, stderr);
        abort();
    }
}

/* Lines that were answered. */
static double batches_send(int port, int seconds)
{
    int fd = client_open(port);
    int64_t end_ms = dyn_clock_boot_ms() + seconds * INT64_C(1000);
    uint64_t frame = 0;
    while (dyn_clock_boot_ms() < end_ms) {
        batch_send(fd, frame++);
    }
    (void)close(fd);
    return (double)frame * (double)body_lines;
}

/* Takes requests off one connection and answers each. */
static void bare_serve(int listener)
{
    static char bytes[1 << 18];
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    int fd = accept(listener, NULL, NULL);
    size_t len = 0;
    ssize_t got = 0;
    while ((got = recv(fd, bytes + len, sizeof bytes - 1 - len, 0)) > 0) {
        len += (size_t)got;
        bytes[len] = '\0';
        const char *end = strstr(bytes, "\r\n\r\n");
        const char *length = strstr(bytes, "Content-Length: ");
        if (end != NULL && length != NULL &&
            len >= (size_t)(end + 4 - bytes) + strtoul(length + 16, NULL, 10)) {
            (void)send(fd, answer, sizeof answer - 1, MSG_NOSIGNAL);
            len = 0;
        }
    }
}

static void bench_bare(int seconds)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof address;
    struct rusage usage;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(listener, (struct sockaddr *)&address, len) != 0 || listen(listener, 1) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &len) != 0) {
        abort();
    }
    pid_t child = fork();
    if (child == 0) {
        bare_serve(listener);
        _exit(0);
    }
    double lines = batches_send(ntohs(address.sin_port), seconds);
    (void)wait4(child, NULL, 0, &usage);
    (void)close(listener);
    print("bytes taken off the socket and answered", lines,
          (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
              (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6);
}

static double processor_s(int pid)
{
    char path[64];
    char text[1024] = "";
    unsigned long user = 0;
    unsigned long system = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *file = fopen(path, "re");
    if (file == NULL || fgets(text, sizeof text, file) == NULL) {
        abort();
    }
    (void)fclose(file);
    const char *rest = strrchr(text, ')');
    if (rest == NULL || sscanf(rest, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
                               &system) != 2) {
        abort();
    }
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

static const char *config_write(void)
{
    static char path[32];
    static const char text[] =
        "version: 2\nredis: {partitions: 1}\naccounts: {main: {heroku_api_key: none}}\n"
        "apps: {shop: {controller_plugins: [{name: dynos, type: dynos, input_plugins: "
        "[{name: rpm, type: log_drain, token: " TOKEN ", per_resource: 1}]}]}}\n";
    dyn_str_copy(path, sizeof path, DYN_STR("/tmp/bench-drain-XXXXXX"));
    int fd = mkstemp(path);
    if (fd < 0 || write(fd, text, sizeof text - 1) != sizeof text - 1) {
        abort();
    }
    (void)close(fd);
    return path;
}

/* A port that was free a moment ago. */
static int port_free(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(fd, (struct sockaddr *)&address, len) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &len) != 0) {
        abort();
    }
    (void)close(fd);
    return ntohs(address.sin_port);
}

static bool is_listening(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool is = connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
    (void)close(fd);
    return is;
}

static pid_t collector_start(const struct support_redis *redis, const char *config, int port)
{
    char path[1024];
    char drain[32];
    (void)snprintf(path, sizeof path, "%s/services/dynosaur-collector", getenv("DYN_BUILD"));
    (void)snprintf(drain, sizeof drain, "127.0.0.1:%d", port);
    (void)fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
        (void)execl(path, path, "--config", config, "--redis", support_redis_url(redis), "--http",
                    "off", "--drain", drain, (char *)NULL);
        _exit(127);
    }
    const struct timespec pause = {.tv_nsec = 100 * 1000000};
    for (int i = 0; i < 100 && !is_listening(port); i++) {
        (void)nanosleep(&pause, NULL);
    }
    for (int i = 0; i < 10; i++) { /* and until it has seen that Redis is set up */
        (void)nanosleep(&pause, NULL);
    }
    return child;
}

static void bench_path(int seconds)
{
    char schema[16];
    struct support_redis *redis = support_redis_new(NULL);
    support_redis_load_functions(redis);
    (void)snprintf(schema, sizeof schema, "%d", MESSAGE_SCHEMA);
    support_redis_call(redis, "HSET", "dyn:setup", "partitions", "1", "functions",
                       bus_functions_version, "schema", schema, NULL);
    const char *config = config_write();
    int port = port_free();
    pid_t collector = collector_start(redis, config, port);
    double before_s = processor_s(collector);
    double redis_s = processor_s(support_redis_pid(redis));
    int64_t from = dyn_clock_boot_ns();
    double lines = batches_send(port, seconds);
    double took_s = (double)(dyn_clock_boot_ns() - from) / 1e9;
    print("the collector's whole path, processor time", lines, processor_s(collector) - before_s);
    print("Redis beside it, processor time", lines,
          processor_s(support_redis_pid(redis)) - redis_s);
    print("one sender, one batch at a time, by the clock", lines, took_s);
    (void)kill(collector, SIGTERM);
    (void)waitpid(collector, NULL, 0);
    (void)unlink(config);
    support_redis_free(redis);
}

/* A plain run finds the programs of its own build. */
static void build_find(const char *self)
{
    char path[1024];
    if (getenv("DYN_BUILD") != NULL) {
        return;
    }
    dyn_str_copy(path, sizeof path, dyn_str_from(self));
    for (int i = 0; i < 2 && strrchr(path, '/') != NULL; i++) {
        *strrchr(path, '/') = '\0';
    }
    (void)setenv("DYN_BUILD", path, 1);
}

int main(int argc, char **argv)
{
    int seconds =
        argc == 3 && strcmp(argv[1], "--seconds") == 0 ? (int)strtol(argv[2], NULL, 10) : 3;
    build_find(argv[0]);
    (void)signal(SIGPIPE, SIG_IGN);
    static const unsigned sizes[] = {UINT32_MAX, 10};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        body_write(sizes[i]);
        printf("%sbatches of %" PRIu64 " router lines, %zu bytes\n", i > 0 ? "\n" : "", body_lines,
               body.len);
        bench_read();
        bench_bare(seconds);
        bench_path(seconds);
    }
    dyn_buf_fini(&body);
    return EXIT_SUCCESS;
}
