/* The whole of a main(): the command line, the process, the run. */
#include "common/service_internal.h"

static int run_all(const struct service_ops *ops, const struct service_options *options)
{
    int status = 1;
    struct service_run *run = service_run_begin(ops, options, &status);
    if (run == NULL) {
        return status;
    }
    if (!run->stopping) {
        dyn_loop_run(run->service.loop);
        dyn_log(DYN_LOG_INFO, "stopped", "status=%d", run->status);
    }
    return service_run_end(run);
}

static int check(const char *path)
{
    struct dyn_error error = {""};
    struct config *config = config_load(path, &error);
    if (config == NULL) {
        (void)fprintf(stderr, "%s\n", error.text);
        return SERVICE_EXIT_CONFIG;
    }
    for (size_t i = 0; i < config->warnings_count; i++) {
        (void)printf("warning: %s\n", config->warnings[i]);
    }
    (void)printf("%s: ok\n", path);
    config_free(config);
    return 0;
}

static int output_end(int status)
{
    /* A full disk or a closed pipe must not look like success. */
    return fflush(stdout) == 0 ? status : 1;
}

int service_main(int argc, char **argv, const struct service_ops *ops)
{
    struct service_options options = {0};
    struct dyn_error error = {""};
    int status = 0;
    if (service_options_parse(argc, argv, ops, &options, &error) != DYN_OK) {
        (void)fprintf(stderr, "dynosaur-%s: %s\n", ops->name, error.text);
        return SERVICE_EXIT_CONFIG;
    }
    switch (options.task) {
    case SERVICE_HELP:
        service_options_help(ops, stdout);
        return output_end(0);
    case SERVICE_VERSION:
        (void)printf("dynosaur-%s %s\n", ops->name, DYN_VERSION);
        return output_end(0);
    case SERVICE_CHECK:
        return output_end(check(options.config));
    case SERVICE_RUN:
        break;
    }
    dyn_log_init(ops->name, DYN_LOG_INFO);
    service_process_harden();
    if (service_process_split(&options, &status)) {
        return status;
    }
    if (!service_process_follow(&options)) {
        (void)fprintf(stderr, "dynosaur-%s: the parent has ended already\n", ops->name);
        return 1;
    }
    return run_all(ops, &options);
}
