/*
 * chaos: real programs, a real Redis, a fake Heroku that judges, and faults. See README.md.
 */
#include "chaos.h"

#include "common/clock.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <getopt.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define JOBS_MAX 64
#define EPISODE_TIMEOUT_S 180
#define FAILURES_SHOWN 3

/* ---- one run under libcheck ---- */

/* libcheck's tests take no arguments. */
static void (*run_body)(const struct chaos_options *options, const char *folder);
static const struct chaos_options *run_options;
static const char *run_folder;

START_TEST(nothing_is_violated)
{
    run_body(run_options, run_folder);
}
END_TEST

bool chaos_run(void (*body)(const struct chaos_options *options, const char *folder),
               const struct chaos_options *options, const char *folder, int timeout_s)
{
    run_body = body;
    run_options = options;
    run_folder = folder;
    (void)setenv("DYN_TEST_FOLDER", folder, 1);
    (void)alarm((unsigned)timeout_s);
    Suite *suite = suite_create("chaos");
    TCase *tests = tcase_create("chaos");
    tcase_add_test(tests, nothing_is_violated);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, CK_SILENT);
    int failed = srunner_ntests_failed(runner);
    if (failed > 0) {
        TestResult **results = srunner_failures(runner);
        printf("  %s:%d: %s\n", tr_lfile(results[0]), tr_lno(results[0]), tr_msg(results[0]));
    }
    (void)fflush(stdout);
    return failed == 0;
}

/* ---- directories ---- */

static int entry_remove(const char *path, const struct stat *info, int type, struct FTW *walk)
{
    (void)info;
    (void)type;
    (void)walk;
    return remove(path);
}

static void folder_remove(const char *path)
{
    (void)nftw(path, entry_remove, 16, FTW_DEPTH | FTW_PHYS);
}

static void file_show(const char *folder, const char *name)
{
    char path[512];
    char line[4096];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        (void)fputs(line, stdout);
    }
    if (file != NULL) {
        (void)fclose(file);
    }
}

/* ---- many episodes ---- */

struct job {
    pid_t pid; /* 0: free */
    uint64_t seed;
    int64_t began_ms;
    char folder[256];
};

struct jobs {
    const struct chaos_options *options;
    char folder[64];
    struct job jobs[JOBS_MAX];
    int begun, passed, failed;
    uint64_t failures[FAILURES_SHOWN];
};

static void job_start(struct jobs *jobs, struct job *job)
{
    static struct chaos_options options;
    options = *jobs->options;
    options.seed += (uint64_t)jobs->begun++;
    job->seed = options.seed;
    job->began_ms = dyn_clock_boot_ms();
    (void)snprintf(job->folder, sizeof job->folder, "%s/%" PRIu64, jobs->folder, job->seed);
    if (mkdir(job->folder, 0700) != 0) {
        perror(job->folder);
        exit(EXIT_FAILURE);
    }
    (void)fflush(NULL);
    job->pid = fork();
    if (job->pid != 0) {
        return;
    }
    char path[512];
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)snprintf(path, sizeof path, "%s/output", job->folder);
    int output = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    (void)dup2(output, STDOUT_FILENO);
    (void)dup2(output, STDERR_FILENO);
    bool good = chaos_run(episode_run, &options, job->folder, EPISODE_TIMEOUT_S);
    (void)fflush(NULL);
    _exit(good ? EXIT_SUCCESS : EXIT_FAILURE);
}

static void job_end(struct jobs *jobs, struct job *job, int status)
{
    double seconds = (double)(dyn_clock_boot_ms() - job->began_ms) / 1000;
    bool good = WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS;
    job->pid = 0;
    printf("%s episode %" PRIu64 ", %.1f s%s\n", good ? "ok     " : "FAILED ", job->seed, seconds,
           WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM ? ": it does not end" : "");
    if (!good || jobs->options->story) {
        file_show(job->folder, "story");
    }
    if (good) {
        jobs->passed++;
    } else {
        printf("  all of it: %s; again: chaos --episodes 1 --seed %" PRIu64 "\n", job->folder,
               job->seed);
        jobs->failures[jobs->failed % FAILURES_SHOWN] = job->seed;
        jobs->failed++;
    }
    if (good && !jobs->options->keep) {
        folder_remove(job->folder);
    }
    (void)fflush(stdout);
}

static int episodes_run(const struct chaos_options *options)
{
    static struct jobs jobs;
    int64_t began_ms = dyn_clock_boot_ms();
    jobs.options = options;
    strcpy(jobs.folder, "/tmp/dyn-chaos-XXXXXX");
    if (mkdtemp(jobs.folder) == NULL) {
        perror(jobs.folder);
        return EXIT_FAILURE;
    }
    while (jobs.passed + jobs.failed < options->episodes) {
        for (int i = 0; i < options->jobs; i++) {
            if (jobs.jobs[i].pid == 0 && jobs.begun < options->episodes) {
                job_start(&jobs, &jobs.jobs[i]);
            }
        }
        int status = 0;
        pid_t pid = wait(&status);
        for (int i = 0; i < options->jobs; i++) {
            if (pid > 0 && jobs.jobs[i].pid == pid) {
                job_end(&jobs, &jobs.jobs[i], status);
            }
        }
    }
    printf("%d episodes from seed %" PRIu64 " in %.0f s: %d passed, %d failed\n", options->episodes,
           options->seed, (double)(dyn_clock_boot_ms() - began_ms) / 1000, jobs.passed,
           jobs.failed);
    (void)rmdir(jobs.folder);
    return jobs.failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ---- one long run ---- */

static int long_run(void (*body)(const struct chaos_options *options, const char *folder),
                    const struct chaos_options *options, int timeout_s)
{
    static char folder[] = "/tmp/dyn-chaos-XXXXXX";
    if (mkdtemp(folder) == NULL) {
        perror(folder);
        return EXIT_FAILURE;
    }
    bool good = chaos_run(body, options, folder, timeout_s);
    if (!good || options->keep) {
        printf("all of it: %s\n", folder);
    } else {
        folder_remove(folder);
    }
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ---- the command line ---- */

static void usage(FILE *out)
{
    (void)fputs(
        "usage: chaos [--episodes N] [--seed S] [--jobs J] [--copies 1|2] [--story] [--keep]\n"
        "       chaos soak [--minutes M] [--seed S] [--keep]\n"
        "       chaos failover [--times N] [--keep]\n"
        "       chaos sentinel [--times N] [--keep]\n",
        out);
}

static bool number_parse(const char *text, uint64_t low, uint64_t high, uint64_t *out)
{
    char *end = NULL;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0 || number < low || number > high) {
        return false;
    }
    *out = number;
    return true;
}

static bool option_take(struct chaos_options *options, int option, const char *argument)
{
    uint64_t number = 0;
    bool good = true;
    switch (option) {
    case 'e':
        good = number_parse(argument, 1, 1000000, &number);
        options->episodes = (int)number;
        break;
    case 's':
        good = number_parse(argument, 0, UINT64_MAX, &options->seed);
        break;
    case 'j':
        good = number_parse(argument, 1, JOBS_MAX, &number);
        options->jobs = (int)number;
        break;
    case 'c':
        good = number_parse(argument, 1, 2, &number);
        options->copies = (unsigned)number;
        break;
    case 'm':
        good = number_parse(argument, 1, 100000, &number);
        options->minutes = (int)number;
        break;
    case 't':
        good = number_parse(argument, 1, CHAOS_TIMES_MAX, &number);
        options->times = (int)number;
        break;
    case 'S':
        options->story = true;
        break;
    case 'k':
        options->keep = true;
        break;
    default:
        good = false;
    }
    return good;
}

static bool options_parse(int argc, char **argv, struct chaos_options *options)
{
    static const struct option known[] = {
        {"episodes", required_argument, NULL, 'e'}, {"seed", required_argument, NULL, 's'},
        {"jobs", required_argument, NULL, 'j'},     {"copies", required_argument, NULL, 'c'},
        {"minutes", required_argument, NULL, 'm'},  {"times", required_argument, NULL, 't'},
        {"story", no_argument, NULL, 'S'},          {"keep", no_argument, NULL, 'k'},
        {"help", no_argument, NULL, 'h'},           {NULL, 0, NULL, 0},
    };
    for (int option = 0; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        if (option == 'h') {
            usage(stdout);
            exit(EXIT_SUCCESS);
        }
        if (!option_take(options, option, optarg)) {
            return false;
        }
    }
    return true;
}

/* Where the programs are: beside this one. */
static void build_find(void)
{
    char path[1024] = "";
    if (getenv("DYN_BUILD") == NULL && readlink("/proc/self/exe", path, sizeof path - 1) > 0) {
        (void)setenv("DYN_BUILD", dirname(dirname(path)), 1);
    }
}

int main(int argc, char **argv)
{
    static struct chaos_options options = {
        .episodes = 20, .jobs = 4, .seed = 1, .copies = 2, .minutes = 60, .times = 5};
    if (!options_parse(argc, argv, &options) || argc - optind > 1) {
        usage(stderr);
        return 2;
    }
    const char *mode = optind < argc ? argv[optind] : "episodes";
    build_find();
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    if (strcmp(mode, "episodes") == 0) {
        return episodes_run(&options);
    }
    if (strcmp(mode, "soak") == 0) {
        return long_run(soak_run, &options, options.minutes * 60 + 600);
    }
    if (strcmp(mode, "failover") == 0) {
        return long_run(failover_run, &options, options.times * 300);
    }
    if (strcmp(mode, "sentinel") == 0) {
        return long_run(sentinel_run, &options, options.times * 300);
    }
    usage(stderr);
    return 2;
}
