#include "support_redis.h"

#include "support_clock.h"

#include "common/bus.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ARGUMENTS_MAX 64
#define ANSWER_WAIT_MS 20000
#define ANSWER_MAX ((size_t)64 * 1024 * 1024)

struct support_redis {
    char directory[88];
    char path[104];     /* of a Unix socket: no longer than that */
    char sentinel[104]; /* its configuration's file */
    char url[512];
    char port_text[8];
    int port;
    pid_t pid;
    struct support_redis_options options;
    const char *user; /* who the calls are, "default" or another; NULL: no AUTH */
    const char *password;
    struct dyn_buf answer;
};

static _Noreturn void give_up(const char *what)
{
    fprintf(stderr, "support_redis: %s: %s\n", what, strerror(errno));
    exit(EXIT_FAILURE);
}

static void nap(void)
{
    struct timespec two_ms = {.tv_nsec = 2000000};
    (void)nanosleep(&two_ms, NULL);
}

static int port_find(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) != 0) {
        give_up("no free port");
    }
    close(fd);
    return ntohs(address.sin_port);
}

struct support_redis *support_redis_prepare(const struct support_redis_options *options)
{
    struct support_redis *redis = calloc(1, sizeof(*redis));
    if (redis == NULL) {
        give_up("calloc");
    }
    dyn_buf_init(&redis->answer, ANSWER_MAX);
    if (options != NULL) {
        redis->options = *options;
    }
    const char *folder = getenv("DYN_TEST_FOLDER");
    (void)snprintf(redis->directory, sizeof(redis->directory), "%s/dyn-redis-XXXXXX",
                   folder != NULL ? folder : "/tmp");
    if (mkdtemp(redis->directory) == NULL) {
        give_up("mkdtemp");
    }
    (void)snprintf(redis->path, sizeof(redis->path), "%s/redis.sock", redis->directory);
    (void)snprintf(redis->sentinel, sizeof(redis->sentinel), "%s/sentinel.conf", redis->directory);
    const char *password = redis->options.password;
    support_redis_login(redis, password != NULL ? "default" : NULL, password);
    (void)snprintf(redis->url, sizeof(redis->url), "unix://%s%s%s%s", password != NULL ? ":" : "",
                   password != NULL ? password : "", password != NULL ? "@" : "", redis->path);
    redis->port = redis->options.tcp ? port_find() : 0;
    (void)snprintf(redis->port_text, sizeof(redis->port_text), "%d", redis->port);
    return redis;
}

struct support_redis *support_redis_new(const struct support_redis_options *options)
{
    struct support_redis *redis = support_redis_prepare(options);
    support_redis_start(redis);
    return redis;
}

static int entry_remove(const char *path, const struct stat *info, int type, struct FTW *walk)
{
    (void)info;
    (void)type;
    (void)walk;
    return remove(path);
}

void support_redis_free(struct support_redis *redis)
{
    if (redis == NULL) {
        return;
    }
    support_redis_kill(redis);
    (void)nftw(redis->directory, entry_remove, 16, FTW_DEPTH | FTW_PHYS);
    dyn_buf_fini(&redis->answer);
    free(redis);
}

const char *support_redis_url(const struct support_redis *redis)
{
    return redis->url;
}

const char *support_redis_path(const struct support_redis *redis)
{
    return redis->path;
}

int support_redis_port(const struct support_redis *redis)
{
    return redis->port;
}

int support_redis_pid(const struct support_redis *redis)
{
    return redis->pid;
}

void support_redis_login(struct support_redis *redis, const char *user, const char *password)
{
    redis->user = user;
    redis->password = password;
}

/* ---- the process ---- */

/* Of a server of data only. */
static size_t data_arguments(const struct support_redis *redis, const char **argv)
{
    const char *const own[] = {
        "--save",        "",       "--appendonly", redis->options.append_only ? "yes" : "no",
        "--appendfsync", "always",
    };
    memcpy(argv, own, sizeof(own));
    return sizeof(own) / sizeof(own[0]);
}

/* A Sentinel keeps what it learns in its configuration, which must be there. */
static size_t sentinel_arguments(const struct support_redis *redis, const char **argv)
{
    FILE *file = fopen(redis->sentinel, "we");
    if (file == NULL || fputs(redis->options.sentinel, file) < 0 || fclose(file) != 0) {
        _exit(126);
    }
    argv[0] = redis->sentinel;
    argv[1] = "--sentinel";
    return 2;
}

static _Noreturn void server_exec(const struct support_redis *redis)
{
    const char *argv[ARGUMENTS_MAX] = {"redis-server"};
    size_t argc = 1;
    argc += redis->options.sentinel != NULL ? sentinel_arguments(redis, argv + argc)
                                            : data_arguments(redis, argv + argc);
    const char *const common[] = {
        "--port",     redis->port_text, "--bind",    "127.0.0.1", "--unixsocket", redis->path,
        "--dir",      redis->directory, "--logfile", "redis.log", "--daemonize",  "no",
        "--loglevel", "warning",
    };
    memcpy(argv + argc, common, sizeof(common));
    argc += sizeof(common) / sizeof(common[0]);
    if (redis->options.password != NULL) {
        argv[argc++] = "--requirepass";
        argv[argc++] = redis->options.password;
    }
    for (const char *const *more = redis->options.arguments; more != NULL && *more != NULL;
         more++) {
        argv[argc++] = *more;
        if (argc == ARGUMENTS_MAX) {
            _exit(126);
        }
    }
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    support_clock_lend(redis->options.clock);
    int null = open("/dev/null", O_RDWR);
    (void)dup2(null, STDIN_FILENO);
    (void)dup2(null, STDOUT_FILENO);
    /* execvp takes its arguments without const for the sake of old programs only. */
    union {
        const char *const *from;
        char *const *to;
    } cast = {.from = argv};
    (void)execvp(argv[0], cast.to);
    _exit(127);
}

void support_redis_start(struct support_redis *redis)
{
    (void)unlink(redis->path);
    redis->pid = fork();
    if (redis->pid < 0) {
        give_up("fork");
    }
    if (redis->pid == 0) {
        server_exec(redis);
    }
    for (int waited_ms = 0; waited_ms < ANSWER_WAIT_MS; waited_ms += 2) {
        if (strcmp(support_redis_call(redis, "PING", (char *)NULL), "PONG") == 0) {
            return;
        }
        if (waitpid(redis->pid, NULL, WNOHANG) == redis->pid) {
            redis->pid = 0;
            give_up("redis-server ended at its start");
        }
        nap();
    }
    give_up("redis-server does not answer");
}

static void server_end(struct support_redis *redis, int signum)
{
    if (redis->pid == 0) {
        return;
    }
    (void)kill(redis->pid, signum);
    while (waitpid(redis->pid, NULL, 0) < 0 && errno == EINTR) {
    }
    redis->pid = 0;
}

void support_redis_stop(struct support_redis *redis)
{
    server_end(redis, SIGTERM);
}

void support_redis_kill(struct support_redis *redis)
{
    server_end(redis, SIGKILL);
}

void support_redis_freeze(struct support_redis *redis)
{
    (void)kill(redis->pid, SIGSTOP);
}

void support_redis_thaw(struct support_redis *redis)
{
    (void)kill(redis->pid, SIGCONT);
}

/* ---- a client of its own, so that the bus is not tested with itself ---- */

static void arguments_add(struct dyn_buf *out, size_t argc, const char *const *argv,
                          const size_t *lengths)
{
    (void)dyn_buf_addf(out, "*%zu\r\n", argc);
    for (size_t i = 0; i < argc; i++) {
        (void)dyn_buf_addf(out, "$%zu\r\n", lengths[i]);
        (void)dyn_buf_add(out, argv[i], lengths[i]);
        (void)dyn_buf_add(out, "\r\n", 2);
    }
}

/* One line of the answer, without its end. */
static bool line_read(FILE *stream, char *out, int size)
{
    if (fgets(out, size, stream) == NULL) {
        return false;
    }
    out[strcspn(out, "\r\n")] = '\0';
    return true;
}

static bool bulk_read(FILE *stream, long len, struct dyn_buf *out)
{
    char end[2];
    char *into = dyn_buf_reserve(out, (size_t)len + 1);
    if (into == NULL || fread(into, 1, (size_t)len, stream) != (size_t)len ||
        fread(end, 1, 2, stream) != 2) {
        return false;
    }
    dyn_buf_commit(out, (size_t)len);
    return true;
}

/* Elements still to come are counted in place of recursion: nesting does not show in the text. */
static bool answer_read(FILE *stream, struct dyn_buf *out)
{
    char line[4096];
    bool first = true;
    for (long left = 1; left > 0; left--) {
        if (!line_read(stream, line, sizeof(line))) {
            return false;
        }
        long number = strtol(line + 1, NULL, 10);
        if (line[0] == '*') {
            left += number > 0 ? number : 0;
            continue;
        }
        if (!first) {
            (void)dyn_buf_add(out, "\n", 1);
        }
        first = false;
        if (line[0] == '$' && number >= 0) {
            if (!bulk_read(stream, number, out)) {
                return false;
            }
        } else {
            (void)dyn_buf_addf(out, "%s", line[0] == '$' ? "(nil)" : line + 1);
        }
    }
    return true;
}

static FILE *server_open(const struct support_redis *redis)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", redis->path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        if (fd >= 0) {
            close(fd);
        }
        return NULL;
    }
    return fdopen(fd, "r+");
}

static bool request_send(FILE *stream, struct dyn_str bytes)
{
    size_t sent = 0;
    while (sent < bytes.len) {
        ssize_t now = send(fileno(stream), bytes.ptr + sent, bytes.len - sent, MSG_NOSIGNAL);
        if (now <= 0) {
            return false;
        }
        sent += (size_t)now;
    }
    return true;
}

const char *support_redis_call_bytes(struct support_redis *redis, size_t argc,
                                     const char *const *argv, const size_t *lengths)
{
    dyn_buf_clear(&redis->answer);
    FILE *stream = server_open(redis);
    if (stream == NULL) {
        return "(no connection)";
    }
    struct dyn_buf request;
    dyn_buf_init(&request, ANSWER_MAX);
    bool good = true;
    if (redis->user != NULL) {
        const char *auth[] = {"AUTH", redis->user, redis->password};
        const size_t auth_lengths[] = {4, strlen(redis->user), strlen(redis->password)};
        arguments_add(&request, 3, auth, auth_lengths);
        good = request_send(stream, dyn_buf_str(&request)) && answer_read(stream, &redis->answer);
        dyn_buf_clear(&request);
        dyn_buf_clear(&redis->answer);
    }
    arguments_add(&request, argc, argv, lengths);
    good =
        good && request_send(stream, dyn_buf_str(&request)) && answer_read(stream, &redis->answer);
    dyn_buf_fini(&request);
    (void)fclose(stream);
    return good ? dyn_buf_text(&redis->answer) : "(connection lost)";
}

const char *support_redis_call(struct support_redis *redis, const char *command, ...)
{
    const char *argv[ARGUMENTS_MAX];
    size_t lengths[ARGUMENTS_MAX];
    size_t argc = 0;
    va_list args;
    va_start(args, command);
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): it is, a line above */
    for (const char *text = command; text != NULL && argc < ARGUMENTS_MAX;
         text = va_arg(args, const char *)) {
        argv[argc] = text;
        lengths[argc++] = strlen(text);
    }
    va_end(args);
    return support_redis_call_bytes(redis, argc, argv, lengths);
}

void support_redis_load_functions(struct support_redis *redis)
{
    const char *answer = support_redis_call(redis, "FUNCTION", "LOAD", "REPLACE",
                                            bus_functions_source, (char *)NULL);
    if (strcmp(answer, "dyn") != 0) {
        fprintf(stderr, "support_redis: FUNCTION LOAD: %s\n", answer);
        exit(EXIT_FAILURE);
    }
}

void support_redis_leases_known(struct support_redis *redis, const char *account, ...)
{
    char replid[41] = "";
    const char *said =
        strstr(support_redis_call(redis, "INFO", "replication", NULL), "master_replid:");
    if (said == NULL) {
        fprintf(stderr, "support_redis: INFO told no replid\n");
        exit(EXIT_FAILURE);
    }
    memcpy(replid, said + strlen("master_replid:"), 40);
    va_list accounts;
    va_start(accounts, account);
    for (const char *name = account; name != NULL; name = va_arg(accounts, const char *)) {
        char key[160];
        (void)snprintf(key, sizeof key, "dyn:{act}:%s:lease", name);
        (void)support_redis_call(redis, "HSET", key, "replid", replid, NULL);
    }
    va_end(accounts);
}
