/*
 * fake-heroku: a Heroku for tests, faithful where a client could notice, and a judge of its
 * clients. See README.md.
 */
#include "heroku_server.h"
#include "heroku_state.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define BOOT_SECONDS_DEFAULT 3.0

struct options {
    uint16_t port;
    uint16_t control_port;
    const char *state;
    double boot_seconds;
    bool die_with_parent;
};

static void usage(FILE *out)
{
    fputs("usage: fake-heroku [--port N] [--control-port N] [--state FILE.json]\n"
          "                   [--boot-seconds S] [--die-with-parent]\n"
          "Serves on 127.0.0.1; port 0, the default, is any free one.\n",
          out);
}

static bool port_parse(const char *text, uint16_t *out)
{
    char *end = NULL;
    long port = strtol(text, &end, 10);
    if (end == text || *end != '\0' || port < 0 || port > UINT16_MAX) {
        return false;
    }
    *out = (uint16_t)port;
    return true;
}

static bool seconds_parse(const char *text, double *out)
{
    char *end = NULL;
    double seconds = strtod(text, &end);
    if (end == text || *end != '\0' || !(seconds >= 0 && seconds <= 3600)) {
        return false;
    }
    *out = seconds;
    return true;
}

static bool options_parse(int argc, char **argv, struct options *options)
{
    static const struct option known[] = {
        {"port", required_argument, NULL, 'p'},
        {"control-port", required_argument, NULL, 'c'},
        {"state", required_argument, NULL, 's'},
        {"boot-seconds", required_argument, NULL, 'b'},
        {"die-with-parent", no_argument, NULL, 'd'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    bool good = true;
    int option = 0;
    while (good && (option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        switch (option) {
        case 'p':
            good = port_parse(optarg, &options->port);
            break;
        case 'c':
            good = port_parse(optarg, &options->control_port);
            break;
        case 's':
            options->state = optarg;
            break;
        case 'b':
            good = seconds_parse(optarg, &options->boot_seconds);
            break;
        case 'd':
            options->die_with_parent = true;
            break;
        case 'h':
            usage(stdout);
            exit(EXIT_SUCCESS);
        default:
            good = false;
        }
    }
    return good && optind == argc;
}

static bool state_load(struct fake *fake, const char *path)
{
    json_error_t parse;
    char error[WORDS_SIZE] = "";
    json_t *document = json_load_file(path, JSON_REJECT_DUPLICATES, &parse);
    if (document == NULL) {
        fprintf(stderr, "fake-heroku: %s:%d: %s\n", path, parse.line, parse.text);
        return false;
    }
    bool good = state_merge(&fake->world, document, error);
    json_decref(document);
    if (!good) {
        fprintf(stderr, "fake-heroku: %s: %s\n", path, error);
    }
    return good;
}

static void fake_init(struct fake *fake, double boot_seconds)
{
    pthread_condattr_t monotonic;
    memset(fake, 0, sizeof *fake);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&fake->stop, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&fake->lock, NULL);
    record_init(&fake->record);
    fake->world.boot_ms = (int64_t)(boot_seconds * 1000);
}

static void fake_fini(struct fake *fake)
{
    faults_clear(&fake->faults);
    record_fini(&fake->record);
    world_fini(&fake->world);
    pthread_cond_destroy(&fake->stop);
    pthread_mutex_destroy(&fake->lock);
}

/* Serves until a signal; the signals are blocked in every thread but taken here. */
static int fake_serve(struct fake *fake, const struct options *options, const sigset_t *signals)
{
    struct MHD_Daemon *api = server_start(options->port, api_serve, fake);
    struct MHD_Daemon *control = server_start(options->control_port, control_serve, fake);
    if (api == NULL || control == NULL) {
        fputs("fake-heroku: cannot listen\n", stderr);
    } else {
        int signal_number = 0;
        printf("fake-heroku port=%u control=%u\n", server_port(api), server_port(control));
        fflush(stdout);
        sigwait(signals, &signal_number);
    }
    pthread_mutex_lock(&fake->lock);
    fake->stopping = true;
    pthread_cond_broadcast(&fake->stop);
    pthread_mutex_unlock(&fake->lock);
    bool served = api != NULL && control != NULL;
    if (api != NULL) {
        MHD_stop_daemon(api);
    }
    if (control != NULL) {
        MHD_stop_daemon(control);
    }
    return served ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    struct options options = {.boot_seconds = BOOT_SECONDS_DEFAULT};
    pid_t parent = getppid();
    if (!options_parse(argc, argv, &options)) {
        usage(stderr);
        return 2;
    }
    if (options.die_with_parent) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) {
            return EXIT_FAILURE;
        }
    }
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    struct fake fake;
    fake_init(&fake, options.boot_seconds);
    int result = EXIT_FAILURE;
    if (options.state == NULL || state_load(&fake, options.state)) {
        result = fake_serve(&fake, &options, &signals);
    }
    fake_fini(&fake);
    return result;
}
