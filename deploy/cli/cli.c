#include "deploy/cli/cli.h"

#include <inttypes.h>

#define CLI_OPTIONS_MAX 16 /* of one command, our own tables */

/* ---- what is printed ---- */

static void cli_option_help(const struct cli_option *option, FILE *out)
{
    char left[64];
    snprintf(left, sizeof(left), "%s%s%s", option->name, option->argument != NULL ? " " : "",
             option->argument != NULL ? option->argument : "");
    fprintf(out, "  %-24s ", left);
    for (const char *c = option->help; *c != 0; c++) {
        fputc(*c, out);
        if (*c == '\n') {
            fprintf(out, "  %-24s ", "");
        }
    }
    fputc('\n', out);
}

void cli_command_help(const struct cli_command *command, FILE *out)
{
    fprintf(out, "usage: dynosaur %s %s\n\n%s\n", command->name, command->arguments, command->help);
    const struct cli_option *option = command->options;
    fputs("\noptions:\n", out);
    for (; option != NULL && option->name != NULL; option++) {
        cli_option_help(option, out);
    }
    fprintf(out, "  %-24s print this\n", "--help");
}

static void DYN_PRINTF(2, 0) cli_say(const char *name, const char *format, va_list args)
{
    fflush(stdout);
    fprintf(stderr, "dynosaur %s: ", name);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
}

int cli_usage(const struct cli_command *command, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    cli_say(command->name, format, args);
    va_end(args);
    fprintf(stderr, "usage: dynosaur %s %s\n", command->name, command->arguments);
    return CLI_USAGE;
}

bool cli_take_file(const struct cli_command *command, const char *value, const char **file)
{
    if (*file != NULL) {
        (void)cli_usage(command, "one FILE, please, and not also %s", value);
        return false;
    }
    *file = value;
    return true;
}

int cli_failed(const struct cli_command *command, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    cli_say(command->name, format, args);
    va_end(args);
    return CLI_FAILED;
}

void cli_warn(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fflush(stdout);
    fputs("warning: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
}

/* ---- what is read ---- */

static int cli_unknown_option(const struct cli_command *command, struct dyn_str word)
{
    const char *names[CLI_OPTIONS_MAX + 1];
    size_t count = 0;
    const struct cli_option *option = command->options;
    for (; option != NULL && option->name != NULL; option++) {
        DYN_ASSERT(count < CLI_OPTIONS_MAX);
        names[count++] = option->name;
    }
    names[count++] = "--help";
    const char *near = dyn_str_nearest(word, names, count);
    cli_usage(command, "there is no option " DYN_STR_FMT "%s%s%s", DYN_STR_ARG(word),
              near != NULL ? "; did you mean " : "", near != NULL ? near : "",
              near != NULL ? "?" : "");
    return CLI_ARG_WRONG;
}

/* A URL may hold a password, and everybody on the machine can read a command line. */
static const char *cli_hide(char *value)
{
    static char kept[DYN_SECRET_MAX];
    dyn_str_copy(kept, sizeof(kept), dyn_str_from(value));
    explicit_bzero(value, strlen(value));
    return kept;
}

static int cli_take_option(struct cli_args *args, char *word)
{
    char *equals = strchr(word, '=');
    struct dyn_str name = {word, equals != NULL ? (size_t)(equals - word) : strlen(word)};
    const struct cli_option *options = args->command->options;
    int index = 0;
    while (options != NULL && options[index].name != NULL &&
           !dyn_str_is(name, options[index].name)) {
        index++;
    }
    if (options == NULL || options[index].name == NULL) {
        return cli_unknown_option(args->command, name);
    }
    char *value = equals != NULL ? equals + 1 : NULL;
    if (options[index].argument == NULL && equals != NULL) {
        cli_usage(args->command, "%s takes no value", options[index].name);
        return CLI_ARG_WRONG;
    }
    if (options[index].argument != NULL && equals == NULL) {
        if (args->at == args->argc) {
            cli_usage(args->command, "%s needs a value: %s", options[index].name,
                      options[index].argument);
            return CLI_ARG_WRONG;
        }
        value = args->argv[args->at++];
    }
    args->value = value != NULL && dyn_str_is(name, "--redis") ? cli_hide(value) : value;
    return index;
}

int cli_args_next(struct cli_args *args)
{
    if (args->at == args->argc) {
        return CLI_ARG_END;
    }
    char *word = args->argv[args->at++];
    if (!args->plain && strcmp(word, "--") == 0) {
        args->plain = true;
        return cli_args_next(args);
    }
    if (!args->plain && word[0] == '-' && word[1] != 0) {
        return cli_take_option(args, word);
    }
    args->value = word;
    return CLI_ARG_PLAIN;
}

bool cli_number(const struct cli_command *command, const char *option, const char *text,
                int64_t min, int64_t max, int64_t *out)
{
    int64_t number = 0;
    if (dyn_str_i64(dyn_str_from(text), &number) != DYN_OK || number < min || number > max) {
        cli_usage(command, "%s must be a whole number from %" PRId64 " to %" PRId64 ", not '%s'",
                  option, min, max, text);
        return false;
    }
    *out = number;
    return true;
}

struct config *cli_config_load(const char *path)
{
    struct dyn_error error = {.text = ""};
    struct config *config = config_load(path, &error);
    if (config == NULL) {
        fprintf(stderr, "%s\n", error.text);
        return NULL;
    }
    for (size_t i = 0; i < config->warnings_count; i++) {
        cli_warn("%s", config->warnings[i]);
    }
    return config;
}
