/*
 * sim: the real services in a simulated world, judged by an auditor. See README.md.
 *
 * Each seed runs in a process of its own, so that nothing of one is left for the next.
 */
#include "tests/sim/sim_audit.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WARM_UP_US (90 * SIM_S)
#define CALM_MORE_S                                                               \
    170 /* beyond two windows: steps, cool-downs, an hour's hold of three minutes \
         */
#define SEED_SECONDS_MAX 60
#define FAILED_SHOWN_MAX 50

struct options {
    uint64_t first, last;
    unsigned jobs;
    int64_t minutes;
    bool story;
    bool hashes;
    int64_t seconds; /* no seed begins later than that, once `least` have; 0: no bound */
    uint64_t least;
    int class; /* -1: the seed's */
    struct fleet_wish wish;
};

/* What one seed gives. */
struct result {
    bool done;
    unsigned violations;
    uint64_t hash;
    uint64_t events;
    size_t faults;
    enum fault_class class;
    struct audit_times times[FAILOVERS];
    struct audit_counts counts;
};

/* ---- one seed ---- */

static void seed_run(const struct options *options, uint64_t seed, struct result *result)
{
    enum fault_class class =
        options->class >= 0 ? (enum fault_class)options->class : faults_class(seed);
    struct fleet_wish wish = options->wish;
    wish.least = class == CLASS_KILLS ? 2 : 1; /* somebody has to follow */
    fleet_draw(seed, &wish);
    sim_begin(&(struct sim_options){.seed = seed,
                                    .story = options->story,
                                    .replicas = fleet.replicas,
                                    .partitions = fleet.partitions});
    if (fleet.replicas > 0) {
        sim_server_min_replicas(sim_server_at(0), 1, 5 * SIM_S);
        sim_server_min_replicas(sim_server_at(1), 1, 5 * SIM_S);
    }
    sim_http_latency(40 * SIM_MS);
    int64_t calm_s = fleet.longest_window_ms / 1000 + CALM_MORE_S;
    int64_t until = options->minutes * SIM_MINUTE;
    int64_t calm_from = until - calm_s * SIM_S;
    calm_from = calm_from > 2 * WARM_UP_US ? calm_from : 2 * WARM_UP_US;
    sim_story("seed %" PRIu64 ", class %s, %zu apps, %zu inputs, %zu keys of %zu accounts, "
              "%u partitions, %u replicas, calm from %.0f s",
              seed, fault_class_text(class), fleet.apps_count, fleet.inputs_count,
              fleet.accounts_count, fleet.heroku_accounts_count, fleet.partitions, fleet.replicas,
              (double)calm_from / (double)SIM_S);
    fleet_begin(options->minutes * 60, calm_s - 30);
    faults_begin(class, WARM_UP_US, calm_from);
    audit_begin(class, calm_from, until);
    sim_run(until);
    audit_finish();
    *result = (struct result){.done = true,
                              .violations = audit_violations(),
                              .hash = audit_hash(),
                              .events = sim_events_count(),
                              .faults = faults_count(),
                              .class = class,
                              .counts = *audit_counts()};
    for (int kind = 0; kind < FAILOVERS; kind++) {
        result->times[kind] = *audit_failover((enum audit_failover)kind);
    }
    audit_end();
    fleet_end();
    faults_end();
    sim_end();
}

/* The services' console sinks write to standard output; nobody reads that. */
static void seed_child(const struct options *options, uint64_t seed, struct result *result)
{
    struct rlimit limit = {SEED_SECONDS_MAX, SEED_SECONDS_MAX + 1};
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (null < 0 || dup2(null, STDOUT_FILENO) < 0) {
        _exit(2);
    }
    if (!options->story) {
        (void)setrlimit(RLIMIT_CPU, &limit);
    }
    seed_run(options, seed, result);
    (void)fflush(stderr);
    _exit(0);
}

/* ---- all of them ---- */

struct job {
    pid_t pid; /* 0: free */
    uint64_t seed;
    struct result *result; /* shared with the child */
};

struct totals {
    uint64_t seeds, failed, events, faults;
    uint64_t failed_seeds[FAILED_SHOWN_MAX];
    uint64_t by_class[CLASSES];
    struct audit_times times[2][FAILOVERS]; /* of class kills, of all others */
    struct audit_counts counts;
};

static void times_add(struct audit_times *sum, const struct audit_times *one, uint64_t seed)
{
    if (one->worst_ms > sum->worst_ms) {
        sum->worst_ms = one->worst_ms;
        sum->worst_seed = seed;
    }
    sum->sum_ms += one->sum_ms;
    sum->count += one->count;
}

static void counts_add(struct audit_counts *sum, const struct audit_counts *one)
{
    sum->writes += one->writes;
    sum->falls += one->falls;
    sum->targets += one->targets;
    sum->targets_equal += one->targets_equal;
    sum->targets_unjudged += one->targets_unjudged;
    sum->polls += one->polls;
    sum->samples += one->samples;
    sum->events += one->events;
    sum->told_checks += one->told_checks;
}

static void job_take(struct totals *totals, const struct options *options, const struct job *job,
                     int status)
{
    const struct result *result = job->result;
    bool good =
        WIFEXITED(status) && WEXITSTATUS(status) == 0 && result->done && result->violations == 0;
    totals->seeds++;
    if (!good) {
        if (totals->failed < FAILED_SHOWN_MAX) {
            totals->failed_seeds[totals->failed] = job->seed;
        }
        totals->failed++;
        (void)printf("seed %" PRIu64 " FAILED (%s): %s, %u violations\n", job->seed,
                     result->done ? fault_class_text(result->class) : "?",
                     WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "ended",
                     result->violations);
    }
    if (!result->done) {
        return;
    }
    if (options->hashes) {
        (void)printf("seed %" PRIu64 " hash %016" PRIx64 " events %" PRIu64 "\n", job->seed,
                     result->hash, result->events);
    }
    totals->events += result->events;
    totals->faults += result->faults;
    totals->by_class[result->class]++;
    counts_add(&totals->counts, &result->counts);
    for (int kind = 0; kind < FAILOVERS; kind++) {
        times_add(&totals->times[result->class != CLASS_KILLS][kind], &result->times[kind],
                  job->seed);
    }
}

static struct job *job_of(struct job *jobs, unsigned count, pid_t pid)
{
    for (unsigned i = 0; i < count; i++) {
        if (jobs[i].pid == pid) {
            return &jobs[i];
        }
    }
    return NULL;
}

static bool job_start(const struct options *options, struct job *job, uint64_t seed)
{
    *job->result = (struct result){0};
    job->seed = seed;
    (void)fflush(stdout);
    job->pid = fork();
    if (job->pid == 0) {
        seed_child(options, seed, job->result);
    }
    return job->pid > 0;
}

/* What a seed that crashed has left. */
static void folder_remove(const char *folder, const struct totals *totals)
{
    for (size_t i = 0; i < totals->failed && i < FAILED_SHOWN_MAX; i++) {
        char path[256];
        (void)snprintf(path, sizeof path, "%s/%" PRIu64 ".yaml", folder, totals->failed_seeds[i]);
        (void)unlink(path);
    }
    (void)rmdir(folder);
}

static double seconds_now(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Whether there is time for another seed. */
static bool seeds_go_on(const struct options *options, uint64_t next, double began)
{
    bool late = options->seconds > 0 && seconds_now() - began > (double)options->seconds;
    return next <= options->last && (!late || next - options->first < options->least);
}

static bool seeds_run(const struct options *options, struct totals *totals)
{
    struct job jobs[64] = {{0}};
    size_t size = sizeof(struct result) * options->jobs;
    struct result *results =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (results == MAP_FAILED) {
        return false;
    }
    uint64_t next = options->first;
    unsigned running = 0;
    bool good = true;
    double began = seconds_now();
    for (unsigned i = 0; i < options->jobs; i++) {
        jobs[i].result = &results[i];
    }
    while (good && (running > 0 || seeds_go_on(options, next, began))) {
        struct job *job = running < options->jobs ? job_of(jobs, options->jobs, 0) : NULL;
        if (job != NULL && seeds_go_on(options, next, began)) {
            good = job_start(options, job, next++);
            running += good;
            continue;
        }
        int status = 0;
        pid_t pid = waitpid(-1, &status, 0);
        job = pid > 0 ? job_of(jobs, options->jobs, pid) : NULL;
        if (job != NULL) {
            job_take(totals, options, job, status);
            job->pid = 0;
            running--;
        }
    }
    (void)munmap(results, size);
    return good;
}

static void times_print(const char *what, const struct audit_times *times)
{
    static const char *const names[FAILOVERS] = {
        "estimator, to its next publication", "actuator, to the lease's next holder",
        "actuator, to its next request", "actuator, to its next write",
        "collector, to its next poll of an input"};
    for (int kind = 0; kind < FAILOVERS; kind++) {
        if (times[kind].count > 0) {
            (void)printf("  %s %-40s worst %6.1f s (seed %" PRIu64 "), mean %5.1f s, %u times\n",
                         what, names[kind], (double)times[kind].worst_ms / 1000,
                         times[kind].worst_seed,
                         (double)times[kind].sum_ms / 1000 / times[kind].count, times[kind].count);
        }
    }
}

static void totals_print(const struct options *options, const struct totals *totals, double seconds)
{
    const struct audit_counts *counts = &totals->counts;
    (void)printf("%" PRIu64 " seeds of %" PRId64 " minutes in %.1f s: %" PRIu64 " failed\n",
                 totals->seeds, options->minutes, seconds, totals->failed);
    (void)printf("  %" PRIu64 " events, %" PRIu64 " faults; by class:", totals->events,
                 totals->faults);
    for (int class = 0; class < CLASSES; class ++) {
        (void)printf(" %s %" PRIu64, fault_class_text((enum fault_class) class),
                     totals->by_class[class]);
    }
    (void)printf("\n  judged: %u writes, %u of them falls; %u targets, %u equal, %u not judged; %u "
                 "polls, %u samples; %u events, %u outages due to be told\n",
                 counts->writes, counts->falls, counts->targets, counts->targets_equal,
                 counts->targets_unjudged, counts->polls, counts->samples, counts->events,
                 counts->told_checks);
    times_print("kills: ", totals->times[0]);
    times_print("others:", totals->times[1]);
    for (size_t i = 0; i < totals->failed && i < FAILED_SHOWN_MAX; i++) {
        (void)printf("  again: sim --seed %" PRIu64 " --story\n", totals->failed_seeds[i]);
    }
}

/* ---- the command line ---- */

static void usage(FILE *out)
{
    (void)fputs(
        "usage: sim [--seed N | --seeds A..B] [--jobs N] [--minutes N] [--story] [--hashes]\n"
        "           [--class NAME] [--each N] [--seconds N [--least N]]\n"
        "A failing seed tells which invariant broke; --story tells all that happened, on standard\n"
        "error. --class: quiet, kills, light, heavy, redis, heroku, sources, clocks; --each: so\n"
        "many of each service; --seconds: no seed begins later, but for the first --least.\nExit "
        "0: nothing broke; 1: something did; 2: usage.\n",
        out);
}

static bool number_parse(const char *text, uint64_t max, uint64_t *out)
{
    char *end = NULL;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || number > max) {
        return false;
    }
    *out = number;
    return true;
}

static bool seeds_parse(const char *text, struct options *options)
{
    char copy[64];
    (void)snprintf(copy, sizeof copy, "%s", text);
    char *dots = strstr(copy, "..");
    if (dots == NULL) {
        return false;
    }
    *dots = '\0';
    return number_parse(copy, UINT64_MAX - 1, &options->first) &&
           number_parse(dots + 2, UINT64_MAX - 1, &options->last) &&
           options->first <= options->last;
}

static bool class_parse(const char *text, struct options *options)
{
    for (int class = 0; class < CLASSES; class ++) {
        if (strcmp(text, fault_class_text((enum fault_class) class)) == 0) {
            options->class = class;
            return true;
        }
    }
    return false;
}

static bool option_take(int option, const char *value, struct options *options)
{
    uint64_t number = 0;
    bool good = true;
    switch (option) {
    case 's':
        good = number_parse(value, UINT64_MAX - 1, &options->first);
        options->last = options->first;
        break;
    case 'r':
        good = seeds_parse(value, options);
        break;
    case 'j':
        good = number_parse(value, 64, &number) && number > 0;
        options->jobs = (unsigned)number;
        break;
    case 'm':
        good = number_parse(value, 600, &number) && number > 0;
        options->minutes = (int64_t)number;
        break;
    case 'e':
        good = number_parse(value, 4, &number) && number > 0;
        options->wish.each = (unsigned)number;
        break;
    case 'd':
        good = number_parse(value, 86400, &number);
        options->seconds = (int64_t)number;
        break;
    case 'l':
        good = number_parse(value, UINT64_MAX - 1, &options->least);
        break;
    case 'c':
        good = class_parse(value, options);
        break;
    case 't':
        options->story = true;
        break;
    case 'x':
        options->hashes = true;
        break;
    case 'h':
        usage(stdout);
        exit(EXIT_SUCCESS);
    default:
        good = false;
    }
    return good;
}

int main(int argc, char **argv)
{
    static const struct option known[] = {
        {"seed", required_argument, NULL, 's'},  {"seeds", required_argument, NULL, 'r'},
        {"jobs", required_argument, NULL, 'j'},  {"minutes", required_argument, NULL, 'm'},
        {"each", required_argument, NULL, 'e'},  {"seconds", required_argument, NULL, 'd'},
        {"least", required_argument, NULL, 'l'}, {"class", required_argument, NULL, 'c'},
        {"story", no_argument, NULL, 't'},       {"hashes", no_argument, NULL, 'x'},
        {"help", no_argument, NULL, 'h'},        {NULL, 0, NULL, 0}};
    struct options options = {.first = 1, .last = 1, .jobs = 1, .minutes = 20, .class = -1};
    struct totals totals = {0};
    char folder[] = "/tmp/dynosaur-sim-XXXXXX";
    int option = 0;
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (!option_take(option, optarg, &options)) {
            usage(stderr);
            return 2;
        }
    }
    if (optind != argc) {
        usage(stderr);
        return 2;
    }
    double began = seconds_now();
    options.wish.folder = mkdtemp(folder);
    if (options.wish.folder == NULL || !seeds_run(&options, &totals)) {
        perror("sim");
        return 2;
    }
    folder_remove(folder, &totals);
    totals_print(&options, &totals, seconds_now() - began);
    return totals.failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
