/* `dynosaur events` and `dynosaur actions`: what was told and what was done, oldest first. */
#include "deploy/cli/online.h"

#include "common/clock.h"

#include <inttypes.h>
#include <time.h>

enum {
    OPTION_LAST = ONLINE_OPTIONS,
    OPTION_FOLLOW,
    LAST_DEFAULT = 20,
    LAST_MAX = 1000
};

struct telling {
    const struct cli_command *command;
    struct online online;
    const char *file;
    const char *stream; /* "events" */
    void (*print)(struct pack_reader *reader);
    struct pack_reader *reader;
    int64_t last;
    bool follow;
    char after[ENTRY_ID_TEXT]; /* the last entry that was printed */
};

static void names_print(struct dyn_str app, struct dyn_str controller, struct dyn_str input)
{
    const struct dyn_str names[] = {app, controller, input};
    for (size_t i = 0; i < 3 && names[i].len > 0; i++) {
        (void)printf("%s" DYN_STR_FMT, i == 0 ? " " : "/", DYN_STR_ARG(names[i]));
    }
}

static void event_print(struct pack_reader *reader)
{
    static const char *const levels[] = {"info ", "warn ", "error"};
    static const char *const states[] = {"", " (begins)", " (over)"};
    struct event event;
    char when[32];
    if (message_read_kind(reader) != MESSAGE_EVENT ||
        message_read_event(reader, &event) != DYN_OK) {
        return;
    }
    dyn_clock_format(event.wall_ms, when, sizeof when);
    (void)printf("%s %s " DYN_STR_FMT "%s", when, levels[event.level], DYN_STR_ARG(event.code),
                 states[event.state]);
    names_print(event.app, event.controller, event.input);
    (void)printf(": " DYN_STR_FMT "\n", DYN_STR_ARG(event.text));
}

static void action_print(struct pack_reader *reader)
{
    struct action action;
    char when[32];
    if (message_read_kind(reader) != MESSAGE_ACTION ||
        message_read_action(reader, &action) != DYN_OK) {
        return;
    }
    dyn_clock_format(action.wall_ms, when, sizeof when);
    (void)printf("%s %-7s", when, action_outcome_text(action.outcome));
    names_print(action.app, action.name, DYN_STR(""));
    (void)printf(": %" PRId32 " -> %" PRId32, action.from, action.to);
    if (action.target != action.to) {
        (void)printf(", towards %" PRId32, action.target);
    }
    if (action.outcome == ACTION_REFUSED || action.outcome == ACTION_FAILED) {
        (void)printf(" (HTTP %" PRId32 ": " DYN_STR_FMT ")", action.http_status,
                     DYN_STR_ARG(action.words));
    }
    (void)putchar('\n');
}

static void entry_print(struct telling *telling, const struct bus_reply *reply)
{
    struct bus_entry entry;
    if (reply == NULL || bus_reply_entry(reply, &entry) != DYN_OK) {
        return;
    }
    entry_id_format(entry.id, telling->after, sizeof telling->after);
    if (pack_reader_start(telling->reader, entry.message) == DYN_OK) {
        telling->print(telling->reader);
    }
}

static void take_backwards(void *arg, const struct bus_reply *reply)
{
    for (size_t i = bus_reply_count(reply); i > 0; i--) {
        entry_print(arg, bus_reply_at(reply, i - 1));
    }
}

static void take_forwards(void *arg, const struct bus_reply *reply)
{
    for (size_t i = 0; i < bus_reply_count(reply); i++) {
        entry_print(arg, bus_reply_at(reply, i));
    }
}

static int tell(struct telling *telling)
{
    char key[DYN_NAME_MAX + 16];
    char count[24];
    char from[ENTRY_ID_TEXT + 1];
    struct dyn_error error = {""};
    (void)snprintf(key, sizeof key, "%s:%s", telling->online.config->redis.prefix, telling->stream);
    (void)snprintf(count, sizeof count, "%" PRId64, telling->last);
    dyn_str_copy(telling->after, sizeof telling->after, DYN_STR("0-0"));
    dyn_err err = remote_ask(telling->online.remote, take_backwards, telling, &error, "XREVRANGE",
                             key, "+", "-", "COUNT", count, NULL);
    while (err == DYN_OK && telling->follow && fflush(stdout) == 0) {
        struct timespec second = {.tv_sec = 1};
        (void)nanosleep(&second, NULL);
        (void)snprintf(from, sizeof from, "(%s", telling->after);
        err = remote_ask(telling->online.remote, take_forwards, telling, &error, "XRANGE", key,
                         from, "+", "COUNT", "1000", NULL);
    }
    return err == DYN_OK ? CLI_DONE : cli_failed(telling->command, "%s", error.text);
}

static int arguments_read(struct telling *telling, int argc, char **argv)
{
    struct cli_args args = {.command = telling->command, .argc = argc, .argv = argv};
    for (int option = cli_args_next(&args); option != CLI_ARG_END; option = cli_args_next(&args)) {
        if (option == CLI_ARG_WRONG) {
            return CLI_USAGE;
        }
        if (option == CLI_ARG_PLAIN) {
            if (!cli_take_file(telling->command, args.value, &telling->file)) {
                return CLI_USAGE;
            }
        } else if (option == OPTION_LAST) {
            if (!cli_number(telling->command, "--last", args.value, 1, LAST_MAX, &telling->last)) {
                return CLI_USAGE;
            }
        } else if (!online_option(&telling->online, option, args.value)) {
            telling->follow = true;
        }
    }
    telling->file = online_file(telling->command, telling->file);
    return telling->file != NULL ? CLI_DONE : CLI_USAGE;
}

static int run(struct telling *telling, int argc, char **argv)
{
    telling->last = LAST_DEFAULT;
    int status = arguments_read(telling, argc, argv);
    if (status != CLI_DONE) {
        return status;
    }
    telling->reader = pack_reader_new();
    if (telling->reader == NULL) {
        return cli_failed(telling->command, "out of memory");
    }
    status = online_open(telling->command, telling->file, ONLINE_WAIT_MS, &telling->online);
    if (status == CLI_DONE) {
        status = tell(telling);
        online_close(&telling->online);
    }
    pack_reader_free(telling->reader);
    return status;
}

static int run_events(const struct cli_command *self, int argc, char **argv)
{
    struct telling telling = {.command = self, .stream = "events", .print = event_print};
    return run(&telling, argc, argv);
}

static int run_actions(const struct cli_command *self, int argc, char **argv)
{
    struct telling telling = {.command = self, .stream = "actions", .print = action_print};
    return run(&telling, argc, argv);
}

static const struct cli_option options[] = {
    ONLINE_OPTION_LINES,
    {"--last", "N", "so many of the newest (20)"},
    {"--follow", NULL, "and what comes, until Ctrl-C"},
    {NULL, NULL, NULL},
};

const struct cli_command cli_events = {
    .name = "events",
    .arguments = "FILE [--last N] [--follow] [--redis URL] [--state DIR]",
    .summary = "errors and notices of all services",
    .help = "What the services had to tell, oldest first: outages and their end, refusals, losses.",
    .options = options,
    .run = run_events,
};

const struct cli_command cli_actions = {
    .name = "actions",
    .arguments = "FILE [--last N] [--follow] [--redis URL] [--state DIR]",
    .summary = "what was done at Heroku",
    .help = "Every change that was made, or would have been made with mode: shadow, oldest first.",
    .options = options,
    .run = run_actions,
};
