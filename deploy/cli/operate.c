/* `dynosaur pause`, `resume`, `pin`, `unpin`: an operator's word on the stream of commands. */
#include "deploy/cli/explain_text.h"
#include "deploy/cli/online.h"

#include "common/clock.h"

#include <inttypes.h>
#include <unistd.h>

enum {
    OPTION_WHY = ONLINE_OPTIONS,
    OPTION_FOR,
    WORDS_MAX = 3,
    PIN_SECONDS_MAX = 30 * 86400,
    WHO_MAX = 64
};

#define COMMANDS_KEPT "1000"

struct operating {
    const struct cli_command *command;
    enum command_verb verb;
    struct online online;
    const char *words[WORDS_MAX]; /* APP, N and FILE, as far as they are given */
    size_t words_count;
    const char *why;
    const char *for_text;
    struct dyn_str app;
    struct dyn_str controller;
    int64_t rung;
    const char *plan; /* in place of a number; NULL: none */
    int64_t until_ms;
};

static int64_t unit_seconds(char unit)
{
    switch (unit) {
    case 's':
        return 1;
    case 'm':
        return 60;
    case 'h':
        return 3600;
    case 'd':
        return 86400;
    default:
        return 0;
    }
}

/* 90s, 5m, 2h, 1d */
static int until_parse(struct operating *operating)
{
    const char *text = operating->for_text;
    size_t length = strlen(text);
    int64_t unit = length > 1 ? unit_seconds(text[length - 1]) : 0;
    int64_t number = 0;
    if (unit == 0 || dyn_str_i64((struct dyn_str){text, length - 1}, &number) != DYN_OK ||
        number < 1 || number > PIN_SECONDS_MAX / unit) {
        return cli_usage(operating->command,
                         "--for must be like 90s, 30m, 1h or 2d, 30d at most, "
                         "not '%s'",
                         text);
    }
    operating->until_ms = dyn_clock_wall_ms() + number * unit * 1000;
    return CLI_DONE;
}

static int arguments_read(struct operating *operating, int argc, char **argv)
{
    struct cli_args args = {.command = operating->command, .argc = argc, .argv = argv};
    for (int option = cli_args_next(&args); option != CLI_ARG_END; option = cli_args_next(&args)) {
        if (option == CLI_ARG_WRONG) {
            return CLI_USAGE;
        }
        if (option == CLI_ARG_PLAIN && operating->words_count == WORDS_MAX) {
            return cli_usage(operating->command, "what is %s?", args.value);
        }
        if (option == CLI_ARG_PLAIN) {
            operating->words[operating->words_count++] = args.value;
        } else if (option == OPTION_WHY) {
            operating->why = args.value;
        } else if (option == OPTION_FOR) {
            operating->for_text = args.value;
        } else {
            (void)online_option(&operating->online, option, args.value);
        }
    }
    return operating->for_text != NULL ? until_parse(operating) : CLI_DONE;
}

static void app_split(struct operating *operating, const char *word)
{
    const char *slash = strchr(word, '/');
    operating->app = dyn_str_from(word);
    if (slash != NULL) {
        operating->app.len = (size_t)(slash - word);
        operating->controller = dyn_str_from(slash + 1);
    }
}

/* The words are [APP] FILE, APP FILE, or APP N FILE; FILE may be left to $DYNOSAUR_CONFIG. */
static int words_read(struct operating *operating, const char **out_file)
{
    const struct cli_command *command = operating->command;
    bool is_pin = operating->verb == COMMAND_PIN;
    bool may_be_all = operating->verb == COMMAND_PAUSE || operating->verb == COMMAND_RESUME;
    size_t named = is_pin ? 2 : 1; /* words before FILE */
    if (may_be_all && (operating->words_count == 0 ||
                       (operating->words_count == 1 && access(operating->words[0], R_OK) == 0))) {
        named = 0;
    }
    if (operating->words_count < named || operating->words_count > named + 1) {
        return cli_usage(command, "it takes: %s", command->arguments);
    }
    if (named > 0) {
        app_split(operating, operating->words[0]);
    }
    if (is_pin && strchr(operating->words[1], ':') != NULL) {
        operating->plan = operating->words[1];
        if (operating->controller.len == 0) {
            return cli_usage(command, "whose plan? Say APP/CONTROLLER");
        }
    } else if (is_pin && !cli_number(command, "N", operating->words[1], 1, DYN_QUANTITY_MAX,
                                     &operating->rung)) {
        return CLI_USAGE;
    }
    if (is_pin && operating->for_text == NULL) {
        return cli_usage(command, "for how long? A pin needs --for, such as --for 1h");
    }
    *out_file =
        online_file(command, operating->words_count > named ? operating->words[named] : NULL);
    return *out_file != NULL ? CLI_DONE : CLI_USAGE;
}

/* Whether what is pinned is for that controller; a plan becomes its rung. */
static int rung_check(struct operating *operating, const struct config_app *app,
                      const struct config_controller *controller)
{
    const struct cli_command *command = operating->command;
    char max[CONFIG_RUNG_TEXT];
    if (operating->plan != NULL) {
        operating->rung =
            controller->plans != NULL ? plan_rung(controller->plans, operating->plan) : 0;
        if (operating->rung == 0) {
            return cli_usage(command, "%s/%s has no plan %s", app->name, controller->name,
                             operating->plan);
        }
    } else if (operating->rung > 0 && controller->plans != NULL) {
        return cli_usage(command, "%s/%s scales plans: say one in place of a number, such as %s",
                         app->name, controller->name,
                         config_rung_text(controller, controller->max_resource, max));
    }
    if (operating->rung > controller->max_resource) {
        return cli_usage(command, "%s/%s has max_resource %s", app->name, controller->name,
                         config_rung_text(controller, controller->max_resource, max));
    }
    return CLI_DONE;
}

/* A number is one of dynos: of an app's controllers it is meant for those. */
static bool is_meant(const struct operating *operating, const struct config_controller *controller)
{
    if (operating->controller.len > 0) {
        return dyn_str_is(operating->controller, controller->name);
    }
    return operating->rung == 0 || controller->plans == NULL;
}

/* How many controllers are meant; told when none is, or when N is not for them. */
static int names_check(struct operating *operating, const struct config *config)
{
    size_t found = 0;
    for (size_t i = 0; i < config->apps_count; i++) {
        const struct config_app *app = &config->apps[i];
        for (size_t k = 0; dyn_str_is(operating->app, app->name) && k < app->controllers_count;
             k++) {
            const struct config_controller *controller = &app->controllers[k];
            if (!is_meant(operating, controller)) {
                continue;
            }
            found++;
            int status = rung_check(operating, app, controller);
            if (status != CLI_DONE) {
                return status;
            }
        }
    }
    if (found == 0 && operating->app.len > 0) {
        return cli_usage(
            operating->command, "%s has nothing that is called " DYN_STR_FMT "%s" DYN_STR_FMT,
            config->file, DYN_STR_ARG(operating->app), operating->controller.len > 0 ? "/" : "",
            DYN_STR_ARG(operating->controller));
    }
    return CLI_DONE;
}

static int command_send(struct operating *operating)
{
    char key[DYN_NAME_MAX + 16];
    char who[WHO_MAX];
    struct dyn_error error = {""};
    struct dyn_buf payload;
    const char *user = getenv("USER");
    (void)snprintf(key, sizeof key, "%s:commands", operating->online.config->redis.prefix);
    (void)snprintf(who, sizeof who, "%s", user != NULL && *user != '\0' ? user : "uid");
    if (user == NULL || *user == '\0') {
        (void)snprintf(who, sizeof who, "uid %d", (int)getuid());
    }
    dyn_buf_init(&payload, DYN_ENTRY_MAX);
    message_write_command(&payload, &(struct command){.verb = operating->verb,
                                                      .app = operating->app,
                                                      .controller = operating->controller,
                                                      .rung = (int32_t)operating->rung,
                                                      .until_ms = operating->until_ms,
                                                      .who = dyn_str_from(who),
                                                      .why = dyn_str_from(operating->why)});
    struct dyn_str argv[] = {DYN_STR("XADD"), dyn_str_from(key),      DYN_STR("MAXLEN"),
                             DYN_STR("~"),    DYN_STR(COMMANDS_KEPT), DYN_STR("*"),
                             DYN_STR("m"),    dyn_buf_str(&payload)};
    dyn_err err = dyn_buf_result(&payload);
    if (err == DYN_OK) {
        err = remote_call(operating->online.remote, argv, sizeof argv / sizeof argv[0], NULL, NULL,
                          &error);
    }
    dyn_buf_fini(&payload);
    return err == DYN_OK ? CLI_DONE : cli_failed(operating->command, "%s", error.text);
}

static void told(const struct operating *operating)
{
    struct dyn_buf until;
    dyn_buf_init(&until, 128);
    if (operating->until_ms != INT64_MAX) {
        (void)dyn_buf_addf(&until, " until ");
        explain_time(&until, operating->until_ms, dyn_clock_wall_ms());
    }
    (void)printf("asked: %s " DYN_STR_FMT "%s" DYN_STR_FMT, operating->command->name,
                 DYN_STR_ARG(operating->app.len > 0 ? operating->app : DYN_STR("everything")),
                 operating->controller.len > 0 ? "/" : "", DYN_STR_ARG(operating->controller));
    if (operating->plan != NULL) {
        (void)printf(" at %s", operating->plan);
    } else if (operating->verb == COMMAND_PIN) {
        (void)printf(" at %" PRId64, operating->rung);
    }
    (void)printf("%s\n", dyn_buf_text(&until));
    dyn_buf_fini(&until);
}

static int operate(const struct cli_command *self, enum command_verb verb, int argc, char **argv)
{
    struct operating operating = {.command = self, .verb = verb, .why = "", .until_ms = INT64_MAX};
    const char *file = NULL;
    int status = arguments_read(&operating, argc, argv);
    if (status == CLI_DONE) {
        status = words_read(&operating, &file);
    }
    if (status == CLI_DONE) {
        status = online_open(self, file, ONLINE_WAIT_MS, &operating.online);
    }
    if (status != CLI_DONE) {
        return status;
    }
    status = names_check(&operating, operating.online.config);
    if (status == CLI_DONE) {
        status = command_send(&operating);
    }
    if (status == CLI_DONE) {
        told(&operating);
    }
    online_close(&operating.online);
    return status;
}

static int run_pause(const struct cli_command *self, int argc, char **argv)
{
    return operate(self, COMMAND_PAUSE, argc, argv);
}

static int run_resume(const struct cli_command *self, int argc, char **argv)
{
    return operate(self, COMMAND_RESUME, argc, argv);
}

static int run_pin(const struct cli_command *self, int argc, char **argv)
{
    return operate(self, COMMAND_PIN, argc, argv);
}

static int run_unpin(const struct cli_command *self, int argc, char **argv)
{
    return operate(self, COMMAND_UNPIN, argc, argv);
}

#define OPTION_LINE_WHY                                  \
    {                                                    \
        "--why", "TEXT", "what colleagues read about it" \
    }

static const struct cli_option options[] = {
    ONLINE_OPTION_LINES,
    OPTION_LINE_WHY,
    {NULL, NULL, NULL},
};

static const struct cli_option options_timed[] = {
    ONLINE_OPTION_LINES,
    OPTION_LINE_WHY,
    {"--for", "TIME", "how long: 90s, 30m, 1h, 2d"},
    {NULL, NULL, NULL},
};

const struct cli_command cli_pause = {
    .name = "pause",
    .arguments = "[APP[/CONTROLLER]] FILE [--for TIME] [--why TEXT]",
    .summary = "change nothing at Heroku, of one app or of all",
    .help = "The actuator changes nothing until `dynosaur resume`, or for the time given.",
    .options = options_timed,
    .run = run_pause,
};

const struct cli_command cli_resume = {
    .name = "resume",
    .arguments = "[APP[/CONTROLLER]] FILE [--why TEXT]",
    .summary = "end a pause",
    .help = "Ends what `dynosaur pause` began, of one app or of all.",
    .options = options,
    .run = run_resume,
};

const struct cli_command cli_pin = {
    .name = "pin",
    .arguments = "APP[/CONTROLLER] N --for TIME FILE [--why TEXT]",
    .summary = "hold an app at N dynos, or an add-on at a plan, for a time",
    .help =
        "The target is N until the time is over, whatever the inputs say; `dynosaur unpin` ends\n"
        "it sooner. Of a controller of plans N is a plan, such as rediscloud:250, and CONTROLLER\n"
        "must be said.",
    .options = options_timed,
    .run = run_pin,
};

const struct cli_command cli_unpin = {
    .name = "unpin",
    .arguments = "APP[/CONTROLLER] FILE [--why TEXT]",
    .summary = "end a pin",
    .help = "Lets the inputs decide again.",
    .options = options,
    .run = run_unpin,
};
