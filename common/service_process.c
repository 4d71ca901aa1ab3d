/* What a service asks of the kernel at start. */
#include "common/service_internal.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

void service_process_harden(void)
{
    /* A closed descriptor 0 to 2 would be given to the next socket, and then be written to. */
    while (fcntl(STDERR_FILENO, F_GETFD) < 0 || fcntl(STDOUT_FILENO, F_GETFD) < 0 ||
           fcntl(STDIN_FILENO, F_GETFD) < 0) {
        if (open("/dev/null", O_RDWR) < 0) {
            break;
        }
    }
    /* Neither can fail for a process that lowers its own rights. */
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    (void)setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    (void)signal(SIGPIPE, SIG_IGN);
}

bool service_process_follow(const struct service_options *options)
{
    pid_t parent = options->parent != 0 ? options->parent : getppid();
    if (!options->die_with_parent) {
        return true;
    }
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    /* A parent that ended before the line above sends nothing any more. */
    return getppid() == parent;
}

/* Hand on what comes, until the child has ended. Orphans of the container are reaped as well. */
static int child_attend(pid_t child, const sigset_t *signals)
{
    for (;;) {
        int signum = sigwaitinfo(signals, NULL);
        if (signum > 0 && signum != SIGCHLD) {
            (void)kill(child, signum);
            continue;
        }
        int status = 0;
        for (pid_t pid = waitpid(-1, &status, WNOHANG); pid > 0;
             pid = waitpid(-1, &status, WNOHANG)) {
            if (pid == child) {
                return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
            }
        }
    }
}

bool service_process_split(const struct service_options *options, int *out_status)
{
    sigset_t signals;
    sigset_t before;
    if (getpid() != 1) {
        return false;
    }
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGHUP);
    (void)sigaddset(&signals, SIGCHLD);
    (void)sigprocmask(SIG_BLOCK, &signals, &before);
    pid_t child = fork();
    if (child > 0) {
        if (options->redis != NULL) {
            /* Everybody may read our command line; the child wipes its own when it has read it. */
            explicit_bzero(options->redis, strlen(options->redis));
        }
        *out_status = child_attend(child, &signals);
        return true;
    }
    /* Without a child (no memory for one) PID 1 does the work itself, as well as it can. */
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    }
    return false;
}

void service_process_alarm(unsigned seconds)
{
    (void)alarm(seconds);
}
