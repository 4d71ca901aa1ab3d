/*
 * bench_collector URL [READINGS [INPUTS]]: readings a second through the collector's own path:
 * schedule, host, http_json over http_start(), the number out of the answer, and the batch for the
 * bus, written and then taken as acknowledged. Beside it stands bench_http with a bare curl multi
 * loop (tests/bench/collector.sh runs both). The answer needs a number at /value.
 */
#include "collector/outbox.h"
#include "collector/poller.h"

#include "common/clock.h"

#include <sys/resource.h>
#include <unistd.h>

#define CONTROLLER_INPUTS 32

struct bench {
    struct dyn_loop *loop;
    struct outbox *outbox;
    struct dyn_timer *timer;
    long total;
    long ended;
    long failed;
    bool answered[1];
};

static void bench_sample(void *arg, const struct poller_input *of, enum sample_status status,
                         double value, struct dyn_str words)
{
    struct bench *bench = arg;
    struct sample sample = {
        .series = of->input->series, .status = status, .value = value, .reason = words};
    outbox_add(bench->outbox, 0, &sample, dyn_loop_now_ms(bench->loop));
    if (status != SAMPLE_GOOD && bench->failed++ == 0) {
        fprintf(stderr, "bench_collector: " DYN_STR_FMT "\n", DYN_STR_ARG(words));
    }
    if (++bench->ended == bench->total) {
        dyn_loop_stop(bench->loop);
    }
}

static void bench_disabled(void *arg, const struct poller_input *of, const char *why)
{
    (void)arg;
    (void)of;
    fprintf(stderr, "bench_collector: %s\n", why != NULL ? why : "");
    exit(EXIT_FAILURE);
}

static dyn_err bench_send(void *arg, uint32_t partition, struct dyn_str message)
{
    struct bench *bench = arg;
    (void)message;
    bench->answered[partition] = true;
    return DYN_OK;
}

static void bench_turn(void *arg)
{
    struct bench *bench = arg;
    do {
        bench->answered[0] = false;
        outbox_turn(bench->outbox, dyn_loop_now_ms(bench->loop), false);
        if (bench->answered[0]) {
            outbox_answer(bench->outbox, 0, DYN_OK, dyn_loop_now_ms(bench->loop));
        }
    } while (bench->answered[0]);
}

/* A file as users write one; the intervals are then made so short that no input ever rests. */
static struct config *bench_config(const char *url, long inputs)
{
    char path[] = "/tmp/dyn-bench-XXXXXX";
    int fd = mkstemp(path);
    FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (file == NULL) {
        return NULL;
    }
    fprintf(file, "version: 2\nredis: {partitions: 1}\naccounts: {main: {heroku_api_key: none}}\n"
                  "apps:\n  shop:\n    account: main\n    controller_plugins:\n");
    for (long i = 0; i < inputs; i++) {
        if (i % CONTROLLER_INPUTS == 0) {
            fprintf(file,
                    "      - name: c%ld\n        type: dynos\n        process_type: p%ld\n"
                    "        input_plugins:\n",
                    i / CONTROLLER_INPUTS, i / CONTROLLER_INPUTS);
        }
        fprintf(file,
                "          - {name: i%ld, type: http_json, url: \"%s\", pointer: /value, "
                "per_resource: 1, allow_http: true}\n",
                i, url);
    }
    fclose(file);
    struct dyn_error error = {""};
    struct config *config = config_load(path, &error);
    (void)unlink(path);
    if (config == NULL) {
        fprintf(stderr, "bench_collector: %s\n", error.text);
        return NULL;
    }
    for (size_t c = 0; c < config->apps[0].controllers_count; c++) {
        for (size_t i = 0; i < config->apps[0].controllers[c].inputs_count; i++) {
            config->apps[0].controllers[c].inputs[i].interval_ms = 1;
        }
    }
    return config;
}

static double cpu_seconds(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: bench_collector URL [READINGS [INPUTS]]\n");
        return EXIT_FAILURE;
    }
    long inputs = argc > 3 ? strtol(argv[3], NULL, 10) : 64;
    struct bench bench = {.loop = dyn_loop_new(),
                          .total = argc > 2 ? strtol(argv[2], NULL, 10) : 100000};
    struct config *config = bench_config(argv[1], inputs);
    if (config == NULL || bench.loop == NULL) {
        return EXIT_FAILURE;
    }
    struct http_client_options http = {.connections_max = inputs, .host_connections_max = inputs};
    struct http_client *client = http_client_new(bench.loop, &http);
    struct outbox_options out = {.member = DYN_STR("bench"),
                                 .partitions = 1,
                                 .linger_ms = OUTBOX_LINGER_MS,
                                 .age_max_ms = SAMPLE_AGE_MAX_MS,
                                 .send = bench_send,
                                 .arg = &bench};
    bench.outbox = outbox_new(&out);
    bench.timer = dyn_timer_new(bench.loop, bench_turn, &bench);
    struct poller_options options = {.loop = bench.loop,
                                     .http = client,
                                     .sample = bench_sample,
                                     .disabled = bench_disabled,
                                     .arg = &bench};
    struct poller *poller = poller_new(&options);
    if (client == NULL || bench.outbox == NULL || bench.timer == NULL || poller == NULL) {
        return EXIT_FAILURE;
    }
    outbox_online(bench.outbox, true);
    dyn_timer_start(bench.timer, 1, 1);
    double cpu = cpu_seconds();
    int64_t began_ns = dyn_clock_boot_ns();
    if (poller_configure(poller, config) != DYN_OK) {
        return EXIT_FAILURE;
    }
    dyn_loop_run(bench.loop);
    double seconds = (double)(dyn_clock_boot_ns() - began_ns) / 1e9;
    cpu = cpu_seconds() - cpu;
    printf("%-10s %9.0f readings/s, %6.2f us of CPU each, %ld failed, %llu in batches\n",
           "collector", (double)bench.ended / seconds, cpu * 1e6 / (double)bench.ended,
           bench.failed, (unsigned long long)outbox_counts(bench.outbox)->delivered);
    poller_free(poller);
    http_client_free(client);
    dyn_timer_free(bench.timer);
    outbox_free(bench.outbox);
    dyn_loop_free(bench.loop);
    config_free(config);
    return EXIT_SUCCESS;
}
