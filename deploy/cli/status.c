/* `dynosaur status` and `dynosaur watch`. */
#include "deploy/cli/json_text.h"
#include "deploy/cli/online.h"
#include "deploy/cli/status_text.h"

#include "common/clock.h"

#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum {
    OPTION_ALL = ONLINE_OPTIONS,
    OPTION_JSON,
    OPTION_FOR = ONLINE_OPTIONS,
    OPTION_EVERY,
    VIEW_MAX = 4 * 1024 * 1024,
    WATCH_S = 1,
    WATCH_WAIT_MS = 30000, /* it may be started together with what it watches */
    PAST = 366 * 86400
};

/* ---- status ---- */

static void json_print(json_t *value)
{
    (void)json_dumpf(value, stdout, JSON_INDENT(2));
    (void)putchar('\n');
    json_decref(value);
}

static int status_print(const struct cli_command *self, struct online *online, bool all, bool json)
{
    struct dyn_error error = {""};
    struct dyn_buf text;
    struct fleet *fleet = fleet_read(online->remote, online->config, &error);
    if (fleet == NULL) {
        return cli_failed(self, "%s", error.text);
    }
    if (json) {
        json_print(json_of_fleet(fleet));
    } else {
        dyn_buf_init(&text, VIEW_MAX);
        status_text(&text, fleet, all);
        (void)fputs(dyn_buf_text(&text), stdout);
        dyn_buf_fini(&text);
    }
    fleet_free(fleet);
    return CLI_DONE;
}

static int run_status(const struct cli_command *self, int argc, char **argv)
{
    struct cli_args args = {.command = self, .argc = argc, .argv = argv};
    struct online online = {0};
    const char *file = NULL;
    bool all = false;
    bool json = false;
    for (int option = cli_args_next(&args); option != CLI_ARG_END; option = cli_args_next(&args)) {
        if (option == CLI_ARG_WRONG) {
            return CLI_USAGE;
        }
        if (option == CLI_ARG_PLAIN) {
            if (!cli_take_file(self, args.value, &file)) {
                return CLI_USAGE;
            }
        } else if (!online_option(&online, option, args.value)) {
            all = all || option == OPTION_ALL;
            json = json || option == OPTION_JSON;
        }
    }
    file = online_file(self, file);
    if (file == NULL) {
        return CLI_USAGE;
    }
    int status = online_open(self, file, ONLINE_WAIT_MS, &online);
    if (status == CLI_DONE) {
        status = status_print(self, &online, all, json);
        online_close(&online);
    }
    return status;
}

static const struct cli_option status_options[] = {
    ONLINE_OPTION_LINES,
    {"--all", NULL, "who leads what, and every controller, not only those in trouble"},
    {"--json", NULL, "all that is known, for programs"},
    {NULL, NULL, NULL},
};

const struct cli_command cli_status = {
    .name = "status",
    .arguments = "FILE [--all] [--json] [--redis URL] [--state DIR]",
    .summary = "how the fleet stands, trouble first",
    .help =
        "Says which controllers do not stand at their target and which guard holds them, which\n"
        "inputs are stale or out, which partitions and accounts nobody looks after; one line\n"
        "when all is well.",
    .options = status_options,
    .run = run_status,
};

/* ---- watch ---- */

static size_t terminal_width(void)
{
    struct winsize size = {0};
    if (isatty(STDOUT_FILENO) == 0) {
        return 0;
    }
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

static void view_print(const struct fleet *fleet)
{
    struct dyn_buf text;
    char now[32];
    size_t width = terminal_width();
    dyn_buf_init(&text, VIEW_MAX);
    dyn_clock_format(fleet->now_ms, now, sizeof now);
    if (width > 0) {
        (void)dyn_buf_addf(&text, "\033[H\033[2J"); /* home, and all away */
    }
    (void)dyn_buf_addf(&text, "%s  %s\n", now, fleet->config->file);
    status_view(&text, fleet, width);
    (void)fputs(dyn_buf_text(&text), stdout);
    (void)fflush(stdout);
    dyn_buf_fini(&text);
}

static int watch(const struct cli_command *self, struct online *online, int64_t for_s,
                 int64_t every_s)
{
    int64_t end_ms = dyn_clock_boot_ms() + for_s * 1000;
    for (;;) {
        struct dyn_error error = {""};
        struct fleet *fleet = fleet_read(online->remote, online->config, &error);
        if (fleet == NULL) {
            return cli_failed(self, "%s", error.text);
        }
        view_print(fleet);
        fleet_free(fleet);
        if (ferror(stdout) != 0 || dyn_clock_boot_ms() + every_s * 1000 > end_ms) {
            return CLI_DONE;
        }
        struct timespec second = {.tv_sec = every_s};
        (void)nanosleep(&second, NULL);
    }
}

static int run_watch(const struct cli_command *self, int argc, char **argv)
{
    struct cli_args args = {.command = self, .argc = argc, .argv = argv};
    struct online online = {0};
    const char *file = NULL;
    int64_t for_s = PAST;
    int64_t every_s = WATCH_S;
    for (int option = cli_args_next(&args); option != CLI_ARG_END; option = cli_args_next(&args)) {
        if (option == CLI_ARG_WRONG) {
            return CLI_USAGE;
        }
        if (option == CLI_ARG_PLAIN) {
            if (!cli_take_file(self, args.value, &file)) {
                return CLI_USAGE;
            }
        } else if (option == OPTION_FOR || option == OPTION_EVERY) {
            int64_t *out = option == OPTION_FOR ? &for_s : &every_s;
            if (!cli_number(self, option == OPTION_FOR ? "--for" : "--every", args.value, 1, PAST,
                            out)) {
                return CLI_USAGE;
            }
        } else {
            (void)online_option(&online, option, args.value);
        }
    }
    file = online_file(self, file);
    if (file == NULL) {
        return CLI_USAGE;
    }
    int status = online_open(self, file, WATCH_WAIT_MS, &online);
    if (status == CLI_DONE) {
        status = watch(self, &online, for_s, every_s);
        online_close(&online);
    }
    return status;
}

static const struct cli_option watch_options[] = {
    ONLINE_OPTION_LINES,
    {"--for", "S", "end after so many seconds"},
    {"--every", "S", "draw each so many seconds (1)"},
    {NULL, NULL, NULL},
};

const struct cli_command cli_watch = {
    .name = "watch",
    .arguments = "FILE [--for S] [--every S] [--redis URL] [--state DIR]",
    .summary = "values, targets and what runs, drawn again each second",
    .help = "Each controller with what runs, its target and what holds it; each input with its\n"
            "value, the highest of its window and what it asks for.",
    .options = watch_options,
    .run = run_watch,
};
