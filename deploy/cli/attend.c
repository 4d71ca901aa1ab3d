/*
 * `dynosaur attend PID PROGRAM [ARGUMENT]...`: become PROGRAM, to be killed when the parent PID
 * ends. For programs that cannot see to it themselves; `dynosaur FILE` starts redis-server so.
 */
#include "deploy/cli/online.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

static int run(const struct cli_command *self, int argc, char **argv)
{
    int64_t parent = 0;
    if (argc < 2) {
        return cli_usage(self, "PID and PROGRAM are needed");
    }
    if (!cli_number(self, "PID", argv[0], 1, INT32_MAX, &parent)) {
        return CLI_USAGE;
    }
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    /* A parent that ended before the line above sends nothing any more. */
    if (getppid() != (pid_t)parent) {
        return cli_failed(self, "the parent has ended already");
    }
    (void)execvp(argv[1], argv + 1);
    return cli_failed(self, "%s: %s", argv[1], strerror(errno));
}

const struct cli_command cli_attend = {
    .name = "attend",
    .arguments = "PID PROGRAM [ARGUMENT]...",
    .summary = NULL,
    .help = "Becomes PROGRAM, which is killed when the parent PID ends.",
    .options = NULL,
    .run = run,
};
