/*
 * main: `dynosaur COMMAND ...`. A further command is one line in the table below.
 */
#include "deploy/cli/online.h"

#include <unistd.h>

const struct cli_command *const cli_commands[] = {
    &cli_run,   &cli_status, &cli_explain, &cli_watch,  &cli_events, &cli_actions,
    &cli_pause, &cli_resume, &cli_pin,     &cli_unpin,  &cli_check,  &cli_simulate,
    &cli_setup, &cli_acl,    &cli_record,  &cli_replay, &cli_attend, NULL,
};

#define COMMANDS_COUNT (sizeof(cli_commands) / sizeof(cli_commands[0]) - 1)

static void print_help(FILE *out)
{
    fputs("usage: dynosaur FILE\n       dynosaur COMMAND ...\n\ncommands:\n", out);
    for (size_t i = 0; i < COMMANDS_COUNT; i++) {
        if (cli_commands[i]->summary == NULL) {
            continue;
        }
        fprintf(out, "  %-10s %s\n", cli_commands[i]->name, cli_commands[i]->summary);
    }
    fputs("\noptions:\n"
          "  --version  print the version\n"
          "  --help     print this; `dynosaur COMMAND --help` tells more of a command\n",
          out);
}

static int unknown_command(const char *word)
{
    const char *names[COMMANDS_COUNT];
    for (size_t i = 0; i < COMMANDS_COUNT; i++) {
        names[i] = cli_commands[i]->name;
    }
    const char *near = dyn_str_nearest(dyn_str_from(word), names, COMMANDS_COUNT);
    fprintf(stderr, "dynosaur: there is no command %s", word);
    if (near != NULL) {
        fprintf(stderr, "; did you mean %s?\n", near);
    } else {
        fputs("; `dynosaur --help` lists them\n", stderr);
    }
    return CLI_USAGE;
}

static bool wants_help(int argc, char **argv)
{
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            return true;
        }
    }
    return false;
}

/* `dynosaur FILE`, or an option of that: what looks like a path is one, so that a mistyped one is
 * told as such. */
static bool is_file(const char *word)
{
    return word[0] == '-' || strpbrk(word, "/.") != NULL || access(word, F_OK) == 0;
}

static int run(int argc, char **argv)
{
    if (argc < 2) {
        print_help(stderr);
        return CLI_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        print_help(stdout);
        return CLI_DONE;
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts("dynosaur " DYN_VERSION);
        return CLI_DONE;
    }
    for (size_t i = 0; i < COMMANDS_COUNT; i++) {
        const struct cli_command *command = cli_commands[i];
        if (strcmp(argv[1], command->name) != 0) {
            continue;
        }
        if (wants_help(argc - 2, argv + 2)) {
            cli_command_help(command, stdout);
            return CLI_DONE;
        }
        return command->run(command, argc - 2, argv + 2);
    }
    if (is_file(argv[1])) {
        return cli_run.run(&cli_run, argc - 1, argv + 1);
    }
    return unknown_command(argv[1]);
}

int main(int argc, char **argv)
{
    int status = run(argc, argv);
    if (fflush(stdout) != 0 || ferror(stdout) != 0) {
        perror("dynosaur: standard output");
        return status == CLI_DONE ? CLI_FAILED : status;
    }
    return status;
}
