/* `dynosaur explain`: why an app stands where it stands. */
#include "deploy/cli/json_text.h"
#include "deploy/cli/online.h"
#include "deploy/cli/status_text.h"

#include <unistd.h>

enum {
    OPTION_JSON = ONLINE_OPTIONS,
    ACTIONS_READ = 64,
    ACTIONS_SHOWN = 5,
    TEXT_MAX = 1024 * 1024
};

struct explaining {
    const struct cli_command *command;
    const char *app; /* as given; may have /CONTROLLER behind it */
    struct dyn_str app_name;
    const char *controller; /* NULL: all of the app */
    bool json;
};

static size_t controller_actions(const struct fleet_action *actions, size_t count,
                                 uint64_t controller, const struct action **out)
{
    size_t found = 0;
    for (size_t i = 0; i < count && found < ACTIONS_SHOWN; i++) {
        if (actions[i].action.controller == controller) {
            out[found++] = &actions[i].action;
        }
    }
    return found;
}

static int explain_print(const struct explaining *explaining, const struct fleet *fleet,
                         const struct fleet_action *actions, size_t actions_count)
{
    struct dyn_buf text;
    json_t *all = json_array();
    size_t found = 0;
    dyn_buf_init(&text, TEXT_MAX);
    for (size_t i = 0; i < fleet->controllers_count; i++) {
        const struct fleet_controller *controller = &fleet->controllers[i];
        if (!dyn_str_is(explaining->app_name, controller->app->name) ||
            (explaining->controller != NULL &&
             strcmp(explaining->controller, controller->config->name) != 0)) {
            continue;
        }
        const struct action *shown[ACTIONS_SHOWN];
        struct explain_facts facts = status_facts(fleet, controller);
        facts.actions = shown;
        facts.actions_count =
            controller_actions(actions, actions_count, controller->config->id, shown);
        found++;
        if (explaining->json) {
            (void)json_array_append_new(all, json_of_facts(&facts));
        } else {
            explain_text(&text, &facts);
        }
    }
    if (explaining->json && found > 0) {
        (void)json_dumpf(all, stdout, JSON_INDENT(2));
        (void)putchar('\n');
    }
    (void)fputs(dyn_buf_text(&text), stdout);
    dyn_buf_fini(&text);
    json_decref(all);
    return found > 0 ? CLI_DONE : CLI_FAILED;
}

static int unknown_app(const struct explaining *explaining, const struct config *config)
{
    const char **names = calloc(config->apps_count + 1, sizeof *names);
    const char *near = NULL;
    for (size_t i = 0; names != NULL && i < config->apps_count; i++) {
        names[i] = config->apps[i].name;
    }
    if (names != NULL) {
        near = dyn_str_nearest(explaining->app_name, names, config->apps_count);
    }
    free((void *)names);
    return cli_usage(explaining->command, "%s has nothing that is called %s%s%s%s", config->file,
                     explaining->app, near != NULL ? "; did you mean " : "",
                     near != NULL ? near : "", near != NULL ? "?" : "");
}

static int explain_do(const struct explaining *explaining, struct online *online)
{
    struct dyn_error error = {""};
    struct fleet_action actions[ACTIONS_READ] = {0};
    size_t actions_count = 0;
    char app[DYN_NAME_MAX + 1];
    dyn_str_copy(app, sizeof app, explaining->app_name);
    struct fleet *fleet = fleet_read(online->remote, online->config, &error);
    if (fleet == NULL || fleet_read_actions(online->remote, online->config, app, actions,
                                            ACTIONS_READ, &actions_count, &error) != DYN_OK) {
        fleet_free(fleet);
        return cli_failed(explaining->command, "%s", error.text);
    }
    int status = explain_print(explaining, fleet, actions, actions_count);
    if (status != CLI_DONE) {
        status = unknown_app(explaining, online->config);
    }
    for (size_t i = 0; i < actions_count; i++) {
        dyn_buf_fini(&actions[i].bytes);
    }
    fleet_free(fleet);
    return status;
}

/* APP and FILE come in either order: the one that is a file is the FILE. */
static const char *words_sort(struct explaining *explaining, const char *const *words, size_t count)
{
    const char *file = count == 2 ? words[1] : NULL;
    explaining->app = words[0];
    if (count == 2 && access(words[0], R_OK) == 0 && access(words[1], R_OK) != 0) {
        explaining->app = words[1];
        file = words[0];
    }
    const char *slash = strchr(explaining->app, '/');
    explaining->app_name = dyn_str_from(explaining->app);
    if (slash != NULL) {
        explaining->app_name.len = (size_t)(slash - explaining->app);
        explaining->controller = slash + 1;
    }
    return file;
}

static int run(const struct cli_command *self, int argc, char **argv)
{
    struct cli_args args = {.command = self, .argc = argc, .argv = argv};
    struct explaining explaining = {.command = self};
    struct online online = {0};
    const char *words[2];
    size_t words_count = 0;
    for (int option = cli_args_next(&args); option != CLI_ARG_END; option = cli_args_next(&args)) {
        if (option == CLI_ARG_WRONG) {
            return CLI_USAGE;
        }
        if (option == CLI_ARG_PLAIN && words_count == 2) {
            return cli_usage(self, "APP and FILE, please, and not also %s", args.value);
        }
        if (option == CLI_ARG_PLAIN) {
            words[words_count++] = args.value;
        } else if (!online_option(&online, option, args.value)) {
            explaining.json = true;
        }
    }
    if (words_count == 0) {
        return cli_usage(self, "which APP?");
    }
    const char *file = online_file(self, words_sort(&explaining, words, words_count));
    if (file == NULL) {
        return CLI_USAGE;
    }
    int status = online_open(self, file, ONLINE_WAIT_MS, &online);
    if (status == CLI_DONE) {
        status = explain_do(&explaining, &online);
        online_close(&online);
    }
    return status;
}

static const struct cli_option options[] = {
    ONLINE_OPTION_LINES,
    {"--json", NULL, "for programs"},
    {NULL, NULL, NULL},
};

const struct cli_command cli_explain = {
    .name = "explain",
    .arguments = "APP[/CONTROLLER] FILE [--json] [--redis URL] [--state DIR]",
    .summary = "why an app stands where it stands",
    .help = "What each input said and when, the highest of its window and until when that counts,\n"
            "what it asks for; how they were combined; what runs, what holds it there and until\n"
            "when; the last actions. FILE may come from $DYNOSAUR_CONFIG.",
    .options = options,
    .run = run,
};
