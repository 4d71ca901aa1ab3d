/*
 * `dynosaur FILE`: all of it on one machine. A private Redis unless another one is named, setup,
 * then the four services, each with its own secrets only; whatever ends is started again, and
 * nothing outlives this process.
 */
#include "deploy/cli/environment.h"
#include "deploy/cli/keeper.h"
#include "deploy/cli/online.h"
#include "deploy/cli/programs.h"
#include "deploy/cli/run_options.h"

#include <inttypes.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

/* In the order in which they are stopped. */
enum part {
    PART_COLLECTOR,
    PART_ESTIMATOR,
    PART_ACTUATOR,
    PART_REPORTER,
    PART_REDIS,
    PARTS
};

enum {
    ARGV_MAX = 40,
    SETUP_AGAIN_MS = 2000,
    REPLID_MAX = 64
};

#define REDIS_MEMORY_LEAST ((int64_t)256 * 1024 * 1024)

static const char *const part_names[PARTS] = {"collector", "estimator", "actuator", "reporter",
                                              "redis-server"};
static const enum config_service part_services[] = {CONFIG_COLLECTOR, CONFIG_ESTIMATOR,
                                                    CONFIG_ACTUATOR, CONFIG_REPORTER};

struct run_part {
    struct keeper *keeper;
    struct environment environment;
    char program[PROGRAM_PATH_MAX];
    char http[32];
    const char *argv[ARGV_MAX];
};

struct run {
    const struct cli_command *command;
    struct run_options options;
    struct config *config;
    struct place place;
    bool is_private;   /* the Redis is ours */
    const char *redis; /* what the services get in their environment; NULL: they know it */
    int lock_fd;
    char self[PROGRAM_PATH_MAX];
    char pid[16];
    char follow[48]; /* --die-with-parent=PID */
    char memory[24]; /* Redis's maxmemory */
    struct dyn_loop *loop;
    struct dyn_signal *signals[3];
    struct run_part parts[PARTS];
    struct bus *bus; /* tells when another Redis stands behind the address */
    char replid[REPLID_MAX];
    bool was_ready;
    struct dyn_child *setup;
    struct dyn_timer *setup_again;
    struct environment setup_environment;
    bool services_run;
    bool stopping;
    enum part stop_at;
    int status;
};

static void say(const char *format, ...) DYN_PRINTF(1, 2);
static void say(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)fputs("dynosaur: ", stdout);
    (void)vprintf(format, args);
    (void)putchar('\n');
    (void)fflush(stdout);
    va_end(args);
}

/* ---- the end ---- */

static void stop_next(struct run *run)
{
    while (run->stop_at < PARTS && run->parts[run->stop_at].keeper == NULL) {
        run->stop_at++;
    }
    if (run->stop_at < PARTS) {
        keeper_stop(run->parts[run->stop_at].keeper);
    } else {
        dyn_loop_stop(run->loop);
    }
}

static void part_stopped(void *arg)
{
    struct run *run = arg;
    run->stop_at++;
    stop_next(run);
}

static void run_stop(struct run *run, int status)
{
    if (run->stopping) {
        return;
    }
    run->stopping = true;
    run->status = status;
    dyn_timer_stop(run->setup_again);
    dyn_child_free(run->setup);
    run->setup = NULL;
    stop_next(run);
}

static void stop_asked(void *arg, int signum)
{
    struct run *run = arg;
    if (!run->stopping) {
        say("stopping (%s)", signum == SIGINT ? "Ctrl-C" : "SIGTERM");
        run_stop(run, CLI_DONE);
        return;
    }
    say("killed what still ran");
    run->status = CLI_FAILED;
    dyn_loop_stop(run->loop);
}

static void part_wrong(void *arg, const char *why)
{
    struct run *run = arg;
    (void)fprintf(stderr, "dynosaur: %s: all is stopped\n", why);
    run_stop(run, CLI_USAGE);
}

/* ---- services ---- */

static bool part_keep(struct run *run, enum part part, const char *cwd)
{
    struct run_part *own = &run->parts[part];
    struct keeper_options options = {.name = part_names[part],
                                     .argv = own->argv,
                                     .env = (const char *const *)own->environment.items,
                                     .cwd = cwd,
                                     .wrong = part_wrong,
                                     .stopped = part_stopped,
                                     .arg = run};
    own->keeper = keeper_new(run->loop, &options);
    return own->keeper != NULL;
}

/* What a service needs of our variables, and where Redis is: a command line could be read by all.
 */
static dyn_err service_environment(const struct run *run, const struct config *config,
                                   enum config_service service, struct environment *out)
{
    dyn_err err = environment_of(config, service, out);
    if (err == DYN_OK && run->redis != NULL) {
        err = environment_add(out, PLACE_REDIS_VARIABLE, run->redis);
        if (err != DYN_OK) {
            environment_fini(out);
        }
    }
    return err;
}

static void service_arguments(struct run *run, enum part part)
{
    struct run_part *own = &run->parts[part];
    size_t at = 0;
    int64_t port = run->options.http_port;
    (void)snprintf(own->http, sizeof own->http, "127.0.0.1:%" PRId64,
                   port == 0 ? 0 : port + (int64_t)part);
    own->argv[at++] = own->program;
    own->argv[at++] = "--config";
    own->argv[at++] = run->options.file;
    own->argv[at++] = "--http";
    own->argv[at++] = own->http;
    if (part == PART_COLLECTOR && run->options.drain != NULL) {
        own->argv[at++] = "--drain";
        own->argv[at++] = run->options.drain;
    }
    own->argv[at++] = run->follow;
    own->argv[at] = NULL;
}

static void services_start(struct run *run)
{
    if (run->services_run) {
        return;
    }
    run->services_run = true;
    for (enum part part = PART_COLLECTOR; part <= PART_REPORTER && !run->stopping; part++) {
        keeper_start(run->parts[part].keeper);
    }
    if (run->stopping) {
        return;
    }
    say("collector, estimator, actuator and reporter run (pids %d %d %d %d)",
        keeper_pid(run->parts[PART_COLLECTOR].keeper),
        keeper_pid(run->parts[PART_ESTIMATOR].keeper), keeper_pid(run->parts[PART_ACTUATOR].keeper),
        keeper_pid(run->parts[PART_REPORTER].keeper));
    if (run->options.http_port != 0) {
        say("metrics: http://127.0.0.1:%" PRId64 "/metrics and the three ports behind it",
            run->options.http_port);
    }
    say("how it stands: dynosaur status %s%s%s; why: dynosaur explain APP %s%s%s",
        run->options.file, run->options.state != NULL ? " --state " : "",
        run->options.state != NULL ? run->options.state : "", run->options.file,
        run->options.state != NULL ? " --state " : "",
        run->options.state != NULL ? run->options.state : "");
}

/* ---- setup ---- */

static void setup_start(void *arg);

static void setup_exited(void *arg, int status, struct dyn_str output, bool truncated)
{
    struct run *run = arg;
    (void)output;
    (void)truncated;
    dyn_child_free(run->setup);
    run->setup = NULL;
    if (status == CLI_DONE) {
        services_start(run);
    } else if (status == CLI_USAGE) {
        run_stop(run, CLI_USAGE);
    } else {
        run->replid[0] = '\0';
        dyn_timer_start(run->setup_again, SETUP_AGAIN_MS, 0);
    }
}

static void setup_start(void *arg)
{
    struct run *run = arg;
    struct dyn_error error = {""};
    const char *argv[] = {run->self, "setup", run->options.file, NULL};
    struct dyn_child_options options = {.argv = argv,
                                        .env = (const char *const *)run->setup_environment.items,
                                        .exited = setup_exited,
                                        .arg = run};
    if (run->setup != NULL || run->stopping) {
        return;
    }
    if (dyn_child_start(run->loop, &options, &run->setup, &error) != DYN_OK) {
        (void)fprintf(stderr, "dynosaur: %s\n", error.text);
        dyn_timer_start(run->setup_again, SETUP_AGAIN_MS, 0);
    }
}

/* Another server behind the same address may not be set up. */
static void redis_ready(void *arg, struct dyn_str replid)
{
    struct run *run = arg;
    if (!run->was_ready) {
        say("Redis answers%s%s", run->is_private ? ": private, " : "",
            run->is_private ? run->place.url : "");
    }
    run->was_ready = true;
    if (!dyn_str_is(replid, run->replid)) {
        dyn_str_copy(run->replid, sizeof run->replid, replid);
        setup_start(run);
    }
}

static void redis_lost(void *arg, const char *why)
{
    struct run *run = arg;
    if (!run->stopping && (run->was_ready || !run->is_private)) {
        (void)fprintf(stderr, "dynosaur: Redis is away: %s\n", why);
    }
}

/* ---- reload ---- */

static void reload_part(struct run *run, enum part part, const struct config *next)
{
    struct run_part *own = &run->parts[part];
    struct environment environment;
    if (service_environment(run, next, part_services[part], &environment) != DYN_OK) {
        return;
    }
    if (environment_same(&environment, &own->environment)) {
        environment_fini(&environment);
        keeper_signal(own->keeper, SIGHUP);
        return;
    }
    /* A running process cannot be given further variables. */
    struct environment before = own->environment;
    own->environment = environment;
    keeper_renew(own->keeper, (const char *const *)environment.items);
    environment_fini(&before);
    say("%s is started again: it needs other variables now", part_names[part]);
}

static void reload_asked(void *arg, int signum)
{
    struct run *run = arg;
    struct dyn_error error = {""};
    (void)signum;
    struct config *next = run->stopping ? NULL : config_load(run->options.file, &error);
    if (next == NULL) {
        (void)fprintf(stderr, "dynosaur: the old configuration stays: %s\n", error.text);
        return;
    }
    say("reading %s again", run->options.file);
    for (enum part part = PART_COLLECTOR; part <= PART_REPORTER; part++) {
        reload_part(run, part, next);
    }
    config_free(run->config);
    run->config = next;
}

/* ---- the beginning ---- */

static dyn_err redis_prepare(struct run *run, struct dyn_error *error)
{
    struct run_part *own = &run->parts[PART_REDIS];
    int64_t memory = config_redis_bytes(run->config) * 4;
    dyn_err err = program_find(run->self, "redis-server", own->program, error);
    if (err != DYN_OK) {
        return dyn_error_set(error, err,
                             "redis-server is missing (Debian: apt-get install redis-server); or "
                             "name a running one with --redis URL");
    }
    (void)snprintf(run->memory, sizeof run->memory, "%" PRId64,
                   memory > REDIS_MEMORY_LEAST ? memory : REDIS_MEMORY_LEAST);
    /* Redis does not see to its own end: `attend` does, and then becomes Redis. */
    const char *const argv[] = {run->self,      "attend",     run->pid,
                                own->program,   "--port",     "0",
                                "--unixsocket", "redis.sock", "--unixsocketperm",
                                "700",          "--dir",      ".",
                                "--appendonly", "yes",        "--appendfsync",
                                "everysec",     "--save",     "",
                                "--maxmemory",  run->memory,  "--maxmemory-policy",
                                "noeviction",   "--logfile",  "redis.log",
                                "--loglevel",   "warning",    NULL};
    memcpy(own->argv, argv, sizeof argv);
    err = environment_plain(&own->environment);
    if (err == DYN_OK && !part_keep(run, PART_REDIS, run->place.directory)) {
        err = DYN_NOMEM;
    }
    return err;
}

static dyn_err services_prepare(struct run *run, struct dyn_error *error)
{
    dyn_err err = DYN_OK;
    for (enum part part = PART_COLLECTOR; err == DYN_OK && part <= PART_REPORTER; part++) {
        char name[64];
        struct run_part *own = &run->parts[part];
        (void)snprintf(name, sizeof name, "dynosaur-%s", part_names[part]);
        err = program_find(run->self, name, own->program, error);
        if (err == DYN_OK) {
            err = service_environment(run, run->config, part_services[part], &own->environment);
        }
        service_arguments(run, part);
        if (err == DYN_OK && !part_keep(run, part, NULL)) {
            err = DYN_NOMEM;
        }
    }
    if (err == DYN_OK) {
        err = service_environment(run, run->config, CONFIG_ESTIMATOR, &run->setup_environment);
    }
    return err;
}

static dyn_err bus_prepare(struct run *run, struct dyn_error *error)
{
    struct bus_config redis = {0};
    dyn_err err = bus_config_resolve(&run->config->redis, run->redis, &redis, error);
    if (err == DYN_OK) {
        run->bus = bus_new(run->loop,
                           &(struct bus_options){.url = redis.url,
                                                 .access = &redis.access,
                                                 .name = "dynosaur-run",
                                                 .ready = redis_ready,
                                                 .lost = redis_lost,
                                                 .arg = run},
                           error);
        err = run->bus != NULL ? DYN_OK : DYN_CONFIG;
    }
    bus_config_fini(&redis);
    return err;
}

static dyn_err loop_prepare(struct run *run, struct dyn_error *error)
{
    run->loop = dyn_loop_new();
    if (run->loop != NULL) {
        run->signals[0] = dyn_signal_new(run->loop, SIGINT, stop_asked, run);
        run->signals[1] = dyn_signal_new(run->loop, SIGTERM, stop_asked, run);
        run->signals[2] = dyn_signal_new(run->loop, SIGHUP, reload_asked, run);
        run->setup_again = dyn_timer_new(run->loop, setup_start, run);
    }
    if (run->signals[0] == NULL || run->signals[1] == NULL || run->signals[2] == NULL ||
        run->setup_again == NULL) {
        return dyn_error_set(error, DYN_NOMEM, "out of memory or descriptors");
    }
    return DYN_OK;
}

static dyn_err run_prepare(struct run *run, struct dyn_error *error)
{
    (void)snprintf(run->pid, sizeof run->pid, "%d", (int)getpid());
    (void)snprintf(run->follow, sizeof run->follow, "--die-with-parent=%d", (int)getpid());
    dyn_err err = program_self(run->self, error);
    /* This process has everybody's secrets in its environment. */
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    (void)setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    if (err == DYN_OK) {
        err = loop_prepare(run, error);
    }
    if (err == DYN_OK && run->is_private) {
        err = redis_prepare(run, error);
    }
    if (err == DYN_OK) {
        err = services_prepare(run, error);
    }
    if (err == DYN_OK) {
        err = bus_prepare(run, error);
    }
    return err;
}

static void run_fini(struct run *run)
{
    dyn_child_free(run->setup);
    for (enum part part = PART_COLLECTOR; part < PARTS; part++) {
        keeper_free(run->parts[part].keeper);
        environment_fini(&run->parts[part].environment);
    }
    environment_fini(&run->setup_environment);
    bus_free(run->bus);
    for (size_t i = 0; i < sizeof run->signals / sizeof run->signals[0]; i++) {
        dyn_signal_free(run->signals[i]);
    }
    dyn_timer_free(run->setup_again);
    if (run->loop != NULL) {
        dyn_loop_free(run->loop);
    }
}

static int run_locked(struct run *run)
{
    struct dyn_error error = {""};
    dyn_err err = run_prepare(run, &error);
    if (err != DYN_OK) {
        run->status =
            cli_failed(run->command, "%s", error.text[0] != '\0' ? error.text : dyn_err_text(err));
    } else {
        say("%zu app%s of %s; state in %s", run->config->apps_count,
            run->config->apps_count == 1 ? "" : "s", run->options.file, run->place.directory);
        if (run->is_private) {
            keeper_start(run->parts[PART_REDIS].keeper);
        }
        dyn_loop_run(run->loop);
        say("stopped");
    }
    run_fini(run);
    return run->status;
}

static int run_command(const struct cli_command *self, int argc, char **argv)
{
    static struct run run;
    struct dyn_error error = {""};
    run.command = self;
    int status = run_options_parse(self, argc, argv, &run.options);
    if (status != CLI_DONE) {
        return status;
    }
    run.config = cli_config_load(run.options.file);
    if (run.config == NULL) {
        return CLI_USAGE;
    }
    run.is_private = run.options.redis == NULL && !place_redis_is_named(run.config);
    if (place_find(run.options.state, run.options.file, &run.place, &error) != DYN_OK) {
        status = cli_failed(self, "%s", error.text);
    } else if ((run.lock_fd = run_state_lock(self, &run.place)) < 0) {
        status = CLI_FAILED;
    } else {
        run.redis = run.is_private ? run.place.url : run.options.redis;
        status = run_locked(&run);
        (void)close(run.lock_fd);
    }
    config_free(run.config);
    return status;
}

const struct cli_command cli_run = {
    .name = "run",
    .arguments = "FILE [--redis URL] [--state DIR] [--http PORT]",
    .summary = "run all of it on this machine; `dynosaur FILE` is the same",
    .help =
        "Starts a private Redis (unless the file, $REDIS_URL or --redis names one), prepares it\n"
        "and runs the four services, each with its own secrets only. What ends is started\n"
        "again. Ctrl-C or SIGTERM stops all in order; SIGHUP reads FILE again. Nothing is left\n"
        "running when this process ends, however it ends.",
    .options = run_option_table,
    .run = run_command,
};
