/*
 * cli: what the commands of `dynosaur` share. A command is one file, one exported struct
 * cli_command, and one line in the table of main.c.
 *
 * Exit status: CLI_DONE, CLI_USAGE for a command line or configuration that is refused, CLI_FAILED
 * for anything else. Results go to standard output, everything else to standard error.
 * Threads: one.
 */
#ifndef DYN_CLI_H
#define DYN_CLI_H

#include "common/config.h"

enum cli_status {
    CLI_DONE = 0,
    CLI_FAILED = 1,
    CLI_USAGE = 2
};

struct cli_option {
    const char *name;     /* "--trace", "-o" */
    const char *argument; /* how --help calls its value; NULL: it has none */
    const char *help;     /* lines are ended by \n but the last */
};

struct cli_command {
    const char *name;
    const char *arguments;            /* what stands behind the name in a usage line */
    const char *summary;              /* one line of the list of commands */
    const char *help;                 /* what --help tells beyond it */
    const struct cli_option *options; /* ended by .name == NULL; NULL: none */
    /** argv[0] is the first argument behind the command's name. An enum cli_status. */
    int (*run)(const struct cli_command *self, int argc, char **argv);
};

/** NULL-ended; in main.c. */
extern const struct cli_command *const cli_commands[];
extern const struct cli_command cli_acl;
extern const struct cli_command cli_check;
extern const struct cli_command cli_simulate;
extern const struct cli_command cli_record;
extern const struct cli_command cli_replay;

/** Print a command's usage and help. */
void cli_command_help(const struct cli_command *command, FILE *out);

/* Walking over a command line. `--name=value` and `--name value` are the same; `--` ends options.
 */
struct cli_args {
    const struct cli_command *command;
    int argc;
    char **argv;
    int at;
    bool plain;        /* `--` has been seen */
    const char *value; /* of what cli_args_next() found */
};

enum {
    CLI_ARG_END = -1,
    CLI_ARG_PLAIN = -2, /* no option: `value` is the word */
    CLI_ARG_WRONG = -3, /* told on standard error: end with CLI_USAGE */
};

/** The index of the option in the command's table, or one of the above. */
int cli_args_next(struct cli_args *args);

/** Say what is wrong with the command line and how it would be right; always CLI_USAGE. */
int cli_usage(const struct cli_command *command, const char *format, ...) DYN_PRINTF(2, 3);
/** Take a plain argument as the one FILE; false, and said as cli_usage() does, when there is one.
 */
bool cli_take_file(const struct cli_command *command, const char *value, const char **file);
/** Say why the command failed; always CLI_FAILED. */
int cli_failed(const struct cli_command *command, const char *format, ...) DYN_PRINTF(2, 3);
/** A line on standard error that changes nothing. */
void cli_warn(const char *format, ...) DYN_PRINTF(1, 2);

/** A whole number of [min, max]; false and told otherwise. */
bool cli_number(const struct cli_command *command, const char *option, const char *text,
                int64_t min, int64_t max, int64_t *out);

/** The configuration, its warnings told; NULL: refused, and the one message told. */
struct config *cli_config_load(const char *path);

#endif
