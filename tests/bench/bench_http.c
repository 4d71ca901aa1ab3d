/*
 * bench_http URL [REQUESTS [IN_FLIGHT]]: GETs a second through http_start(), and beside it through
 * a bare curl multi loop with its handles kept, against the same server in the same run.
 */
#include "common/clock.h"
#include "common/http.h"

#include <curl/curl.h>
#include <sys/resource.h>

struct run {
    struct http_client *client;
    struct dyn_loop *loop;
    const char *url;
    long started;
    long ended;
    long failed;
    long total;
};

static void run_start(struct run *run);

static void run_done(void *arg, const struct http_answer *answer)
{
    struct run *run = arg;
    run->ended++;
    run->failed += answer->err != DYN_OK || answer->status != 200;
    if (run->started < run->total) {
        run_start(run);
    } else if (run->ended == run->total) {
        dyn_loop_stop(run->loop);
    }
}

static void run_start(struct run *run)
{
    struct http_request request = {.method = "GET", .url = run->url, .allow_http = true};
    struct dyn_error error = {""};
    request.total_timeout_ms = 60000;
    request.done = run_done;
    request.arg = run;
    run->started++;
    if (http_start(run->client, &request, NULL, &error) != DYN_OK) {
        fprintf(stderr, "bench_http: %s\n", error.text);
        exit(EXIT_FAILURE);
    }
}

static double cpu_seconds(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void report(const char *name, long total, long failed, int64_t began_ns, double cpu_began)
{
    double seconds = (double)(dyn_clock_boot_ns() - began_ns) / 1e9;
    double cpu = cpu_seconds() - cpu_began;
    printf("%-10s %9.0f requests/s, %6.2f us of CPU each, %ld failed\n", name,
           (double)total / seconds, cpu * 1e6 / (double)total, failed);
}

static void bench_ours(const char *url, long total, long in_flight)
{
    struct run run = {.url = url, .total = total};
    struct http_client_options options = {.connections_max = in_flight,
                                          .host_connections_max = in_flight};
    run.loop = dyn_loop_new();
    run.client = run.loop != NULL ? http_client_new(run.loop, &options) : NULL;
    if (run.client == NULL) {
        exit(EXIT_FAILURE);
    }
    double cpu = cpu_seconds();
    int64_t began_ns = dyn_clock_boot_ns();
    for (long i = 0; i < in_flight && i < total; i++) {
        run_start(&run);
    }
    dyn_loop_run(run.loop);
    report("http_start", total, run.failed, began_ns, cpu);
    http_client_free(run.client);
    dyn_loop_free(run.loop);
}

static size_t body_ignore(char *bytes, size_t size, size_t count, void *arg)
{
    (void)bytes;
    (void)arg;
    return size * count;
}

static long bare_collect(CURLM *multi, long *started, long total, long *failed)
{
    CURLMsg *message;
    int left;
    long ended = 0;
    while ((message = curl_multi_info_read(multi, &left)) != NULL) {
        CURL *curl = message->easy_handle;
        long status = 0;
        CURLcode code = message->data.result;
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
        *failed += code != CURLE_OK || status != 200;
        ended++;
        curl_multi_remove_handle(multi, curl);
        if (*started < total) {
            *started += 1;
            curl_multi_add_handle(multi, curl);
        } else {
            curl_easy_cleanup(curl);
        }
    }
    return ended;
}

static void bench_bare(const char *url, long total, long in_flight)
{
    CURLM *multi = curl_multi_init();
    long started = 0;
    long ended = 0;
    long failed = 0;
    int running;
    double cpu = cpu_seconds();
    int64_t began_ns = dyn_clock_boot_ns();
    curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, in_flight);
    for (; started < in_flight && started < total; started++) {
        CURL *curl = curl_easy_init();
        curl_easy_setopt(curl, CURLOPT_URL, url);
        curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
        curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, 60000L);
        curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, body_ignore);
        curl_multi_add_handle(multi, curl);
    }
    while (ended < total) {
        curl_multi_perform(multi, &running);
        ended += bare_collect(multi, &started, total, &failed);
        curl_multi_poll(multi, NULL, 0, running > 0 ? 1000 : 0, NULL);
    }
    report("bare curl", total, failed, began_ns, cpu);
    curl_multi_cleanup(multi);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: bench_http URL [REQUESTS [IN_FLIGHT]]\n");
        return EXIT_FAILURE;
    }
    long total = argc > 2 ? strtol(argv[2], NULL, 10) : 100000;
    long in_flight = argc > 3 ? strtol(argv[3], NULL, 10) : 64;
    if (total < 1 || in_flight < 1 || in_flight > 10000) {
        fprintf(stderr, "bench_http: REQUESTS from 1, IN_FLIGHT 1 to 10000\n");
        return EXIT_FAILURE;
    }
    printf("%ld GETs of %s, %ld in flight\n", total, argv[1], in_flight);
    bench_bare(argv[1], total, in_flight);
    bench_ours(argv[1], total, in_flight);
    return EXIT_SUCCESS;
}
