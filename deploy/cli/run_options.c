#include "deploy/cli/run_options.h"

#include "deploy/cli/online.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    OPTION_HTTP = ONLINE_OPTIONS,
    OPTION_DRAIN,
    HTTP_PORT_MAX = 65535 - 3
};

const struct cli_option run_option_table[] = {
    {"--redis", "URL",
     "use this Redis instead of the file's, or of a private one\n"
     "(or $DYNOSAUR_REDIS, which shows in no list of processes)"},
    {"--state", "DIR",
     "keep the private Redis and the lock here\n"
     "(~/.local/state/dynosaur/ and a name of the file's own)"},
    {"--http", "PORT",
     "serve /healthz, /readyz, /metrics of collector, estimator, actuator and\n"
     "reporter on 127.0.0.1, on PORT and the three behind it (any free ports)"},
    {"--drain", "[ADDRESS:]PORT", "take log drains there, for inputs log_drain (127.0.0.1:9110)"},
    {NULL, NULL, NULL},
};

int run_options_parse(const struct cli_command *command, int argc, char **argv,
                      struct run_options *out)
{
    struct cli_args args = {.command = command, .argc = argc, .argv = argv};
    for (int option = cli_args_next(&args); option != CLI_ARG_END; option = cli_args_next(&args)) {
        switch (option) {
        case CLI_ARG_WRONG:
            return CLI_USAGE;
        case CLI_ARG_PLAIN:
            if (!cli_take_file(command, args.value, &out->file)) {
                return CLI_USAGE;
            }
            break;
        case ONLINE_REDIS:
            out->redis = args.value;
            break;
        case ONLINE_STATE:
            out->state = args.value;
            break;
        case OPTION_DRAIN:
            out->drain = args.value;
            break;
        default:
            if (!cli_number(command, "--http", args.value, 0, HTTP_PORT_MAX, &out->http_port)) {
                return CLI_USAGE;
            }
        }
    }
    out->redis = place_redis_given(out->redis);
    out->file = online_file(command, out->file);
    return out->file != NULL ? CLI_DONE : CLI_USAGE;
}

/* The directory and those above it. */
static bool directory_make(const char *path)
{
    char part[sizeof((struct place *)0)->directory];
    for (size_t i = 1; path[i] != '\0'; i++) {
        if (path[i] == '/') {
            dyn_str_copy(part, sizeof part, (struct dyn_str){path, i});
            if (mkdir(part, 0700) != 0 && errno != EEXIST) {
                return false;
            }
        }
    }
    return mkdir(path, 0700) == 0 || errno == EEXIST;
}

static void lock_refused(const struct cli_command *command, const struct place *place, int fd)
{
    char pid[16] = "";
    ssize_t length = read(fd, pid, sizeof pid - 1);
    pid[length > 0 ? length : 0] = '\0';
    (void)cli_failed(command,
                     "this file is run already, by process %s (%s is locked). See `dynosaur "
                     "status`; another one needs another --state DIR",
                     pid[0] != '\0' ? pid : "?", place->directory);
}

int run_state_lock(const struct cli_command *command, const struct place *place)
{
    char pid[16];
    if (!directory_make(place->directory)) {
        (void)cli_failed(command, "%s: %s", place->directory, strerror(errno));
        return -1;
    }
    int fd = open(place->lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        (void)cli_failed(command, "%s: %s", place->lock, strerror(errno));
        return -1;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        lock_refused(command, place, fd);
        (void)close(fd);
        return -1;
    }
    int length = snprintf(pid, sizeof pid, "%d", (int)getpid());
    if (ftruncate(fd, 0) != 0 || write(fd, pid, (size_t)length) != length) {
        (void)cli_failed(command, "%s: %s", place->lock, strerror(errno));
        (void)close(fd);
        return -1;
    }
    return fd;
}
