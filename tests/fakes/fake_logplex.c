/*
 * fake-logplex: an app's router log as its drain brings it: a wave of requests, sent to one or more
 * receivers in turn, whose answers are judged. See README.md.
 */
#include "tests/fakes/logplex_sender.h"

#include "common/clock.h"

#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define BATCH_MS 250 /* Logplex sends what it has, about as often */
#define RUNTIME_METRICS_S 20

struct options {
    struct logplex_options logplex;
    int ports[LOGPLEX_TARGETS_MAX];
    double rpm;     /* the wave's middle, */
    double swing;   /* so much of it up and down, */
    double period;  /* in so many seconds */
    double seconds; /* 0: until a signal comes */
    unsigned service_ms;
};

static volatile sig_atomic_t ended;

static void end(int signum)
{
    (void)signum;
    ended = 1;
}

static const char usage[] =
    "usage: fake-logplex --port N [--port N ...] --token TOKEN [--password WORD] [--chunked]\n"
    "                    [--rpm N] [--swing 0..1] [--period S] [--service MS] [--seconds S]\n"
    "                    [--die-with-parent]\n";

static bool options_read(int argc, char **argv, struct options *out)
{
    static const struct option table[] = {{"port", required_argument, NULL, 'p'},
                                          {"token", required_argument, NULL, 't'},
                                          {"password", required_argument, NULL, 'w'},
                                          {"chunked", no_argument, NULL, 'c'},
                                          {"rpm", required_argument, NULL, 'r'},
                                          {"swing", required_argument, NULL, 's'},
                                          {"period", required_argument, NULL, 'o'},
                                          {"service", required_argument, NULL, 'm'},
                                          {"seconds", required_argument, NULL, 'e'},
                                          {"die-with-parent", no_argument, NULL, 'd'},
                                          {NULL, 0, NULL, 0}};
    struct logplex_options *logplex = &out->logplex;
    int option = 0;
    while ((option = getopt_long(argc, argv, "", table, NULL)) != -1) {
        if (option == 'p' && logplex->ports_count < LOGPLEX_TARGETS_MAX) {
            out->ports[logplex->ports_count++] = (int)strtol(optarg, NULL, 10);
        } else if (option == 't') {
            logplex->token = optarg;
        } else if (option == 'w') {
            logplex->password = optarg;
        } else if (option == 'c') {
            logplex->chunked = true;
        } else if (option == 'm') {
            out->service_ms = (unsigned)strtoul(optarg, NULL, 10);
        } else if (option == 'e') {
            out->seconds = strtod(optarg, NULL);
        } else if (option == 'd') {
            (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        } else if (option == 'r') {
            out->rpm = strtod(optarg, NULL);
        } else if (option == 's') {
            out->swing = strtod(optarg, NULL);
        } else if (option == 'o') {
            out->period = strtod(optarg, NULL);
        } else {
            return false;
        }
    }
    logplex->ports = out->ports;
    return optind == argc && logplex->ports_count > 0 && logplex->token != NULL && out->period > 0;
}

/* Requests that came until now, of the whole wave. */
static double requests_until(const struct options *options, double second)
{
    double turn = 2 * M_PI / options->period;
    return options->rpm / 60 * (second + options->swing / turn * (1 - cos(turn * second)));
}

static void drain(struct logplex *logplex, const struct options *options)
{
    int64_t start_ms = dyn_clock_boot_ms();
    double sent = 0;
    int64_t metrics_s = -RUNTIME_METRICS_S;
    const struct timespec pause = {.tv_nsec = BATCH_MS * 1000000L};
    for (double second = 0; !ended && (options->seconds <= 0 || second < options->seconds);) {
        second = (double)(dyn_clock_boot_ms() - start_ms) / 1000;
        int64_t wall_s = dyn_clock_wall_ms() / 1000;
        uint64_t lines = 0;
        for (; sent + 1 <= requests_until(options, second); sent++, lines++) {
            unsigned draw = (unsigned)dyn_random();
            logplex_request(logplex, wall_s, draw % 200 == 0 ? 503 : 200, draw % 3,
                            options->service_ms / 2 + draw % (options->service_ms + 1));
        }
        if (second - (double)metrics_s >= RUNTIME_METRICS_S) {
            metrics_s = (int64_t)second;
            logplex_add(logplex, wall_s, "heroku", "web.1",
                        "source=web.1 dyno=heroku.2808254 sample#load_avg_1m=0.46");
            lines++;
        }
        if (lines > 0) {
            (void)logplex_send(logplex);
        }
        (void)nanosleep(&pause, NULL);
    }
}

int main(int argc, char **argv)
{
    struct options options = {.rpm = 600, .period = 60, .service_ms = 80};
    if (!options_read(argc, argv, &options)) {
        (void)fputs(usage, stderr);
        return 2;
    }
    (void)signal(SIGTERM, end);
    (void)signal(SIGINT, end);
    struct logplex *logplex = logplex_new(&options.logplex);
    drain(logplex, &options);
    const struct logplex_counts *counts = logplex_counts(logplex);
    bool content = logplex_violation(logplex)[0] == '\0';
    printf("fake-logplex batches=%" PRIu64 " taken=%" PRIu64 " tries=%" PRIu64 " dropped=%" PRIu64
           " refused=%" PRIu64 "%s%s\n",
           counts->batches, counts->taken, counts->tries, counts->dropped, counts->refused,
           content ? "" : " violation: ", logplex_violation(logplex));
    logplex_free(logplex);
    return content ? EXIT_SUCCESS : EXIT_FAILURE;
}
