/*
 * The whole estimator under a large fleet: 100,000 inputs (4,000 apps of 25) that each say a value
 * every 10 s, through a real Redis. Ticks, reports each 5 s, keyframes and marks included. Prints
 * the processor time and the memory of the estimator's process over a minute.
 *
 *   bench_estimator BUILD_DIRECTORY [SECONDS]
 */
#include "tests/integration/support_redis.h"

#include "common/bus.h"
#include "common/clock.h"
#include "common/config.h"
#include "common/message.h"

#include <fcntl.h>
#include <hiredis.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define APPS 4000
#define INPUTS 25
#define INTERVAL_S 10
#define WARM_UP_S 15
#define PARTITIONS 8

static char folder[] = "/tmp/dynosaur-bench-XXXXXX";

static void write_fleet(void)
{
    char path[128];
    if (mkdtemp(folder) == NULL) {
        exit(EXIT_FAILURE);
    }
    snprintf(path, sizeof(path), "%s/apps", folder);
    (void)mkdir(path, 0700);
    for (int a = 0; a < APPS; a++) {
        snprintf(path, sizeof(path), "%s/apps/app-%d.yaml", folder, a);
        FILE *out = fopen(path, "w");
        fprintf(out,
                "scaler: {heroku_app_name: app-%d, heroku_api_key: \"${KEY:-none}\"}\n"
                "controller_plugins:\n"
                "  - name: dynos\n    type: dynos\n    input_plugins:\n",
                a);
        for (int i = 0; i < INPUTS; i++) {
            fprintf(out, "      - {name: in%d, type: sine, interval: %d, per_resource: 50}\n", i,
                    INTERVAL_S);
        }
        fclose(out);
    }
    snprintf(path, sizeof(path), "%s/fleet.yaml", folder);
    FILE *out = fopen(path, "w");
    fprintf(out,
            "version: 2\nredis: {partitions: %d, max_bytes: 268435456}\n"
            "include: apps/*.yaml\n",
            PARTITIONS);
    fclose(out);
}

static void remove_fleet(void)
{
    char path[128];
    for (int a = 0; a < APPS; a++) {
        snprintf(path, sizeof(path), "%s/apps/app-%d.yaml", folder, a);
        (void)unlink(path);
    }
    snprintf(path, sizeof(path), "%s/apps", folder);
    (void)rmdir(path);
    snprintf(path, sizeof(path), "%s/fleet.yaml", folder);
    (void)unlink(path);
    (void)rmdir(folder);
}

static pid_t start_estimator(const char *build, const char *url)
{
    char program[1024];
    char config[128];
    snprintf(program, sizeof(program), "%s/services/dynosaur-estimator", build);
    snprintf(config, sizeof(config), "%s/fleet.yaml", folder);
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
        dup2(null, 2);
        execl(program, program, "--config", config, "--redis", url, "--http", "off", (char *)NULL);
        _exit(127);
    }
    return pid;
}

static double processor_seconds(pid_t pid)
{
    char path[64];
    char line[1024] = "";
    unsigned long user = 0;
    unsigned long system = 0;
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    FILE *in = fopen(path, "r");
    if (in == NULL || fgets(line, sizeof(line), in) == NULL) {
        return 0;
    }
    fclose(in);
    const char *behind = strrchr(line, ')');
    sscanf(behind, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system);
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

static double resident_mb(pid_t pid)
{
    char path[64];
    long pages = 0;
    snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
    FILE *in = fopen(path, "r");
    if (in == NULL || fscanf(in, "%*d %ld", &pages) != 1) {
        return 0;
    }
    fclose(in);
    return (double)pages * (double)sysconf(_SC_PAGESIZE) / 1e6;
}

static struct dyn_buf payload;
static uint64_t seqs[PARTITIONS];

static void send_batch(redisContext *redis, uint32_t partition, const struct sample *samples,
                       uint32_t count)
{
    char key[64];
    struct batch batch = {.member = DYN_STR("bench"), .seq = ++seqs[partition], .count = count};
    snprintf(key, sizeof(key), "dyn:{%u}:values", partition);
    dyn_buf_clear(&payload);
    message_write_batch(&payload, &batch, samples);
    freeReplyObject(redisCommand(redis, "XADD %s * m %b", key, payload.ptr, payload.len));
}

/* One second's share of the fleet: every INTERVAL_S-th app of each partition. */
static void say_second(redisContext *redis, const struct config *config, unsigned second)
{
    static struct sample samples[PARTITIONS][DYN_BATCH_SAMPLES_MAX];
    uint32_t counts[PARTITIONS] = {0};
    for (size_t a = second % INTERVAL_S; a < config->apps_count; a += INTERVAL_S) {
        const struct config_app *app = &config->apps[a];
        uint32_t p = app->partition;
        for (size_t i = 0; i < app->controllers[0].inputs_count; i++) {
            samples[p][counts[p]++] =
                (struct sample){.series = app->controllers[0].inputs[i].series,
                                .value = (double)(dyn_random() % 3000)};
            if (counts[p] == DYN_BATCH_SAMPLES_MAX) {
                send_batch(redis, p, samples[p], counts[p]);
                counts[p] = 0;
            }
        }
    }
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        if (counts[p] > 0) {
            send_batch(redis, p, samples[p], counts[p]);
        }
    }
}

static void run(redisContext *redis, const struct config *config, unsigned seconds)
{
    for (unsigned s = 0; s < seconds; s++) {
        int64_t next = dyn_clock_boot_ms() + 1000;
        say_second(redis, config, s);
        int64_t rest = next - dyn_clock_boot_ms();
        if (rest > 0) {
            nanosleep(&(struct timespec){rest / 1000, rest % 1000 * 1000000}, NULL);
        }
    }
}

int main(int argc, char **argv)
{
    unsigned seconds = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 60;
    struct dyn_error error = {""};
    char path[128];
    if (argc < 2) {
        fprintf(stderr, "usage: bench_estimator BUILD_DIRECTORY [SECONDS]\n");
        return 2;
    }
    write_fleet();
    snprintf(path, sizeof(path), "%s/fleet.yaml", folder);
    struct config *config = config_load(path, &error);
    if (config == NULL) {
        fprintf(stderr, "%s\n", error.text);
        return EXIT_FAILURE;
    }
    struct support_redis *server = support_redis_new(NULL);
    support_redis_load_functions(server);
    redisContext *redis = redisConnectUnix(support_redis_path(server));
    freeReplyObject(redisCommand(redis, "HSET dyn:setup partitions %d functions %s schema %d",
                                 PARTITIONS, bus_functions_version, MESSAGE_SCHEMA));
    dyn_buf_init(&payload, DYN_ENTRY_MAX);
    pid_t estimator = start_estimator(argv[1], support_redis_url(server));
    run(redis, config, WARM_UP_S);
    double before = processor_seconds(estimator);
    double redis_before = processor_seconds(support_redis_pid(server));
    int64_t begun = dyn_clock_boot_ms();
    run(redis, config, seconds);
    double took = (double)(dyn_clock_boot_ms() - begun) / 1000;
    double used = processor_seconds(estimator) - before;
    double redis_used = processor_seconds(support_redis_pid(server)) - redis_before;
    printf("estimator  %d inputs every %d s for %.0f s: %.2f%% of a core (limit 2), %.1f MB (limit "
           "80)\n",
           APPS * INPUTS, INTERVAL_S, took, 100 * used / took, resident_mb(estimator));
    printf("estimator  Redis meanwhile: %.2f%% of a core\n", 100 * redis_used / took);
    kill(estimator, SIGTERM);
    int status = 0;
    waitpid(estimator, &status, 0);
    printf("estimator  ended with %d\n", WIFEXITED(status) ? WEXITSTATUS(status) : -1);
    dyn_buf_fini(&payload);
    redisFree(redis);
    config_free(config);
    support_redis_free(server);
    remove_fleet();
    return EXIT_SUCCESS;
}
