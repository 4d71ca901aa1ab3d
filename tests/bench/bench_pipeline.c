/*
 * From the XADD of a value that raises to the actuator's PATCH on the wire, through the real
 * estimator and the real actuator, while 1,000 values a second go through. Heroku is played by
 * threads of this program, so that both ends are read from one clock.
 *
 *   bench_pipeline BUILD_DIRECTORY [RAISES]
 */
#include "tests/integration/support_redis.h"

#include "common/bus.h"
#include "common/clock.h"
#include "common/config.h"
#include "common/message.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <hiredis.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define APPS 200
#define VALUES_S 1000
#define RAISE_EVERY 25 /* values: 40 raises a second */

static _Atomic int64_t written_at[APPS]; /* boot ns of the PATCH that came last */
static _Atomic int quantities[APPS];
static char file[] = "/tmp/dynosaur-bench-XXXXXX";

/* ---- Heroku, as little of it as the actuator asks for ---- */

static void respond(int fd, const char *body)
{
    char answer[512];
    int len = snprintf(answer, sizeof(answer),
                       "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                       "RateLimit-Remaining: 4000\r\nContent-Length: %zu\r\n\r\n%s",
                       strlen(body), body);
    (void)!write(fd, answer, (size_t)len);
}

static void serve_request(int fd, const char *request, const char *body, int64_t came_at)
{
    char answer[256];
    int app = -1;
    if (strncmp(request, "PATCH /apps/app-", 16) == 0) {
        app = atoi(request + 16);
        quantities[app] = atoi(strchr(body, ':') + 1);
        written_at[app] = came_at;
        snprintf(answer, sizeof(answer), "{\"type\":\"web\",\"quantity\":%d}", quantities[app]);
    } else if (strncmp(request, "GET /apps/app-", 14) == 0 && strstr(request, "/formation ")) {
        app = atoi(request + 14);
        snprintf(answer, sizeof(answer), "[{\"type\":\"web\",\"quantity\":%d}]", quantities[app]);
    } else if (strncmp(request, "GET /apps/app-", 14) == 0) {
        app = atoi(request + 14);
        snprintf(answer, sizeof(answer), "{\"name\":\"app-%d\",\"maintenance\":false}", app);
    } else if (strncmp(request, "GET /account/rate-limits", 24) == 0) {
        snprintf(answer, sizeof(answer), "{\"remaining\":4000}");
    } else {
        snprintf(answer, sizeof(answer), "{\"id\":\"a1\",\"email\":\"bench@example.com\"}");
    }
    respond(fd, answer);
}

static void *serve_connection(void *arg)
{
    int fd = (int)(intptr_t)arg;
    char in[8192];
    size_t len = 0;
    for (;;) {
        ssize_t got = read(fd, in + len, sizeof(in) - 1 - len);
        if (got <= 0) {
            break;
        }
        int64_t now = dyn_clock_boot_ns();
        len += (size_t)got;
        in[len] = 0;
        const char *end = strstr(in, "\r\n\r\n");
        const char *length = strcasestr(in, "content-length:");
        size_t body = length != NULL ? strtoul(length + 15, NULL, 10) : 0;
        if (end == NULL || len < (size_t)(end - in) + 4 + body) {
            continue;
        }
        serve_request(fd, in, end + 4, now);
        len = 0;
    }
    close(fd);
    return NULL;
}

static void *serve(void *arg)
{
    int listener = (int)(intptr_t)arg;
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        pthread_t thread;
        if (fd < 0) {
            return NULL;
        }
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        if (pthread_create(&thread, NULL, serve_connection, (void *)(intptr_t)fd) == 0) {
            pthread_detach(thread);
        }
    }
}

static int start_heroku(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(address);
    pthread_t thread;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, size) != 0 ||
        listen(listener, 64) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &size) != 0 ||
        pthread_create(&thread, NULL, serve, (void *)(intptr_t)listener) != 0) {
        exit(EXIT_FAILURE);
    }
    return ntohs(address.sin_port);
}

/* ---- the fleet ---- */

static void write_fleet(int port)
{
    int fd = mkstemp(file);
    FILE *out = fdopen(fd, "w");
    fprintf(out,
            "version: 2\nredis: {partitions: 8}\nheroku_api_url: http://127.0.0.1:%d\n"
            "accounts: {main: {heroku_api_key: \"${KEY:-bench}\", reserve: 0}}\n"
            "defaults: {min_resource: 1, interval: 60, max_step_up: 0, mode: live}\napps:\n",
            port);
    for (int a = 0; a < APPS; a++) {
        quantities[a] = 1;
        fprintf(out,
                "  app-%d:\n    account: main\n    controller_plugins:\n"
                "      - {name: dynos, type: dynos, input_plugins: [{name: in, type: sine, "
                "per_resource: 10}]}\n",
                a);
    }
    fclose(out);
}

static pid_t start(const char *build, const char *service, const char *url)
{
    char program[1024];
    snprintf(program, sizeof(program), "%s/services/dynosaur-%s", build, service);
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
        dup2(null, 2);
        execl(program, program, "--config", file, "--redis", url, "--http", "off", (char *)NULL);
        _exit(127);
    }
    return pid;
}

static uint64_t seqs[8];

static void say(redisContext *redis, const struct config_app *app, double value)
{
    char key[64];
    struct dyn_buf out;
    dyn_buf_init(&out, DYN_ENTRY_MAX);
    struct sample sample = {.series = app->controllers[0].inputs[0].series, .value = value};
    struct batch batch = {.member = DYN_STR("bench"), .seq = ++seqs[app->partition], .count = 1};
    snprintf(key, sizeof(key), "dyn:{%u}:values", app->partition);
    message_write_batch(&out, &batch, &sample);
    freeReplyObject(redisCommand(redis, "XADD %s * m %b", key, out.ptr, out.len));
    dyn_buf_fini(&out);
}

static void pause_ms(int64_t ms)
{
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

static int compare(const void *a, const void *b)
{
    const double *x = a;
    const double *y = b;
    return (*x > *y) - (*x < *y);
}

static void print_result(double *took, size_t count, size_t missing)
{
    qsort(took, count, sizeof(*took), compare);
    if (count == 0) {
        printf("pipeline  no PATCH came\n");
        return;
    }
    printf("pipeline  %zu raises at %d values/s: XADD to PATCH p50 %.2f ms, p99 %.2f ms (aim 20), "
           "max %.2f ms; %zu did not come\n",
           count, VALUES_S, took[count / 2], took[count * 99 / 100], took[count - 1], missing);
}

/* Each app is raised by one dyno in turn; between two raises come values that change nothing. */
static void measure(redisContext *redis, const struct config *config, size_t raises)
{
    double *took = calloc(raises, sizeof(*took));
    int64_t *said_at = calloc(raises, sizeof(*said_at));
    size_t count = 0;
    size_t missing = 0;
    int64_t begun = dyn_clock_boot_ns();
    for (size_t v = 0; v < raises * RAISE_EVERY; v++) {
        int64_t due = begun + (int64_t)v * (1000000000 / VALUES_S);
        int64_t early = due - dyn_clock_boot_ns();
        if (early > 0) {
            nanosleep(&(struct timespec){0, early}, NULL);
        }
        size_t raise = v / RAISE_EVERY;
        size_t app = raise % APPS;
        if (v % RAISE_EVERY != 0) {
            say(redis, &config->apps[v % APPS], 1);
            continue;
        }
        said_at[raise] = dyn_clock_boot_ns();
        written_at[app] = 0;
        say(redis, &config->apps[app], 10.0 * (double)(2 + raise / APPS) + 5);
        /* The answer of the raise before last has come by now, or it is late. */
        size_t old = raise - 40;
        if (raise >= 40) {
            int64_t at = written_at[old % APPS];
            count += at != 0;
            missing += at == 0;
            took[count > 0 ? count - 1 : 0] =
                at != 0 ? (double)(at - said_at[old]) / 1e6 : took[count > 0 ? count - 1 : 0];
        }
    }
    print_result(took, count, missing);
    free(took);
    free(said_at);
}

int main(int argc, char **argv)
{
    size_t raises = argc > 2 ? strtoul(argv[2], NULL, 10) : 1200;
    struct dyn_error error = {""};
    if (argc < 2) {
        fprintf(stderr, "usage: bench_pipeline BUILD_DIRECTORY [RAISES]\n");
        return 2;
    }
    write_fleet(start_heroku());
    struct config *config = config_load(file, &error);
    if (config == NULL) {
        fprintf(stderr, "%s\n", error.text);
        return EXIT_FAILURE;
    }
    struct support_redis *server = support_redis_new(NULL);
    support_redis_load_functions(server);
    redisContext *redis = redisConnectUnix(support_redis_path(server));
    freeReplyObject(redisCommand(redis, "HSET dyn:setup partitions 8 functions %s schema %d",
                                 bus_functions_version, MESSAGE_SCHEMA));
    pid_t pids[2] = {start(argv[1], "estimator", support_redis_url(server)),
                     start(argv[1], "actuator", support_redis_url(server))};
    pause_ms(3000);
    for (size_t a = 0; a < config->apps_count; a++) {
        say(redis, &config->apps[a], 15);
    }
    pause_ms(5000);
    measure(redis, config, raises);
    for (size_t i = 0; i < 2; i++) {
        kill(pids[i], SIGTERM);
        waitpid(pids[i], NULL, 0);
    }
    redisFree(redis);
    config_free(config);
    support_redis_free(server);
    (void)unlink(file);
    return EXIT_SUCCESS;
}
