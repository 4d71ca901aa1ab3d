/* What a service answers over HTTP: whether it lives, whether it works, its metrics. */
#include "common/service_internal.h"

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

static double memory_resident(void)
{
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL) {
        return 0;
    }
    char line[128] = "";
    if (fgets(line, sizeof line, file) != NULL) {
        char *second = strchr(line, ' ');
        pages = second != NULL ? strtol(second, NULL, 10) : 0;
    }
    (void)fclose(file);
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static double descriptors_open(void)
{
    DIR *dir = opendir("/proc/self/fd");
    if (dir == NULL) {
        return 0;
    }
    int count = 0;
    for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        count += entry->d_name[0] != '.';
    }
    (void)closedir(dir);
    return count - 1; /* without the directory's own */
}

static double processor_seconds(void)
{
    struct rusage usage = {0};
    (void)getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void process_measure(struct service_run *run)
{
    struct metrics *metrics = run->service.metrics;
    metrics_gauge(metrics, "process_resident_memory_bytes", "", "Resident memory.")->value =
        memory_resident();
    metrics_gauge(metrics, "process_open_fds", "", "Open file descriptors.")->value =
        descriptors_open();
    metrics_counter(metrics, "process_cpu_seconds_total", "", "Processor time used.")->value =
        processor_seconds();
    metrics_gauge(metrics, "process_start_time_seconds", "", "Start, in Unix time.")->value =
        (double)run->started_wall_ms / 1000;
}

static void readiness_answer(struct service_run *run, struct httpd_answer *answer)
{
    struct dyn_buf why;
    bool ready = false;
    dyn_buf_init(&why, 4096);
    if (run->service.draining) {
        (void)dyn_buf_addf(&why, "draining");
    } else if (run->link != LINK_READY) {
        (void)dyn_buf_addf(&why, "%s", run->link_why.text);
    } else {
        ready = run->ops->ready == NULL || run->ops->ready(&run->service, &why);
    }
    answer->status = ready ? 200 : 503;
    (void)dyn_buf_addf(&answer->body, "%s%s%s\n", ready ? "ready" : "",
                       ready && why.len > 0 ? ": " : "", dyn_buf_text(&why));
    dyn_buf_fini(&why);
}

static void http_answer(void *arg, const char *path, struct httpd_answer *answer)
{
    struct service_run *run = arg;
    if (strcmp(path, "/healthz") == 0) {
        (void)dyn_buf_addf(&answer->body, "ok\n");
    } else if (strcmp(path, "/readyz") == 0) {
        readiness_answer(run, answer);
    } else if (strcmp(path, "/metrics") == 0) {
        answer->content_type = "text/plain; version=0.0.4; charset=utf-8";
        process_measure(run);
        metrics_write(run->service.metrics, &answer->body);
    } else {
        answer->status = 404;
        (void)dyn_buf_addf(&answer->body, "/healthz, /readyz or /metrics\n");
    }
}

dyn_err service_http_start(struct service_run *run, struct dyn_error *error)
{
    const struct service_options *options = &run->options;
    if (options->http_address[0] == '\0') {
        return DYN_OK;
    }
    const struct httpd_options http = {.address = options->http_address,
                                       .port = options->http_port,
                                       .fn = http_answer,
                                       .arg = run};
    run->httpd = httpd_new(run->service.loop, &http, error);
    return run->httpd != NULL ? DYN_OK : DYN_IO;
}
