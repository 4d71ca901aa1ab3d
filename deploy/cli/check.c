/*
 * check: is this file right, what does it mean, and what will it need?
 */
#include "common/trace.h"
#include "deploy/cli/cli.h"

#include <inttypes.h>

/* ---- what may be missing on this machine ---- */

static const char *check_option_text(const struct config_input *input, const char *key)
{
    const struct config_value *value = config_option(&input->options, key);
    return value->given ? value->as.s : NULL;
}

/* A file that a `csv` input plays may be missing here and present where the collector runs. */
static void check_csv(const struct config_app *app, const struct config_controller *controller,
                      const struct config_input *input)
{
    const struct config_value *step = config_option(&input->options, "row_interval");
    struct trace_options options = {
        .time_column = check_option_text(input, "time_column"),
        .value_column = check_option_text(input, "value_column"),
        .step_ms = step->given ? step->as.i : 0,
    };
    struct dyn_error error = {.text = ""};
    struct trace *trace = trace_load(check_option_text(input, "file"), &options, &error);
    if (trace == NULL) {
        cli_warn("%s/%s/%s: %s", app->name, controller->name, input->name, error.text);
        return;
    }
    for (size_t i = 0; i < trace->messages_count; i++) {
        cli_warn("%s/%s/%s: %s", app->name, controller->name, input->name, trace->messages[i]);
    }
    trace_free(trace);
}

static void check_files(const struct config *config)
{
    for (size_t a = 0; a < config->apps_count; a++) {
        const struct config_app *app = &config->apps[a];
        for (size_t c = 0; c < app->controllers_count; c++) {
            const struct config_controller *controller = &app->controllers[c];
            for (size_t i = 0; i < controller->inputs_count; i++) {
                if (strcmp(controller->inputs[i].type->name, "csv") == 0) {
                    check_csv(app, controller, &controller->inputs[i]);
                }
            }
        }
    }
}

/* ---- what it will need ---- */

struct check_sizes {
    size_t controllers, inputs;
    size_t live, shadow, others; /* controllers by mode; others: raise_only, off */
    int64_t dynos;               /* at worst, of the controllers that may scale up */
};

static struct check_sizes check_count(const struct config *config)
{
    struct check_sizes sizes = {0};
    for (size_t a = 0; a < config->apps_count; a++) {
        const struct config_app *app = &config->apps[a];
        for (size_t c = 0; c < app->controllers_count; c++) {
            const struct config_controller *controller = &app->controllers[c];
            bool scales =
                controller->mode == CONFIG_MODE_LIVE || controller->mode == CONFIG_MODE_RAISE_ONLY;
            sizes.controllers++;
            sizes.inputs += controller->inputs_count;
            sizes.live += controller->mode == CONFIG_MODE_LIVE;
            sizes.shadow += controller->mode == CONFIG_MODE_SHADOW;
            if (scales && strcmp(controller->type->name, "dynos") == 0) {
                sizes.dynos += controller->max_resource;
            }
        }
    }
    sizes.others = sizes.controllers - sizes.live - sizes.shadow;
    return sizes;
}

static void check_needs(const struct config *config)
{
    struct check_sizes sizes = check_count(config);
    printf("\nneeds:\n"
           "  apps         %zu; %zu controllers, %zu inputs\n"
           "  modes        %zu live, %zu shadow, %zu raise_only or off\n"
           "  dynos        at most %" PRId64 " run (sum of max_resource, live and raise_only)\n",
           config->apps_count, sizes.controllers, sizes.inputs, sizes.live, sizes.shadow,
           sizes.others, sizes.dynos);
    int64_t bytes = config_redis_bytes(config);
    printf("  Redis        %.1f MiB for all streams of the %.1f MiB that redis.max_bytes allows\n",
           (double)bytes / 1048576, (double)config->redis.max_bytes / 1048576);
    if (bytes > config->redis.max_bytes) {
        cli_warn("redis.max_bytes is %" PRId64 ", but the streams need %" PRId64
                 ": values will be dropped before their window ends; raise redis.max_bytes, or "
                 "shorten hysteresis_period",
                 config->redis.max_bytes, bytes);
    }
}

static int check_run(const struct cli_command *self, int argc, char **argv)
{
    struct cli_args args = {.command = self, .argc = argc, .argv = argv};
    const char *path = NULL;
    int found;
    while ((found = cli_args_next(&args)) != CLI_ARG_END) {
        if (found == CLI_ARG_WRONG) {
            return CLI_USAGE;
        }
        if (path != NULL) {
            return cli_usage(self, "one FILE at a time, not also %s", args.value);
        }
        path = args.value;
    }
    if (path == NULL) {
        return cli_usage(self, "the configuration file is missing");
    }
    struct config *config = cli_config_load(path);
    if (config == NULL) {
        return CLI_USAGE;
    }
    config_print(config, stdout);
    check_needs(config);
    check_files(config);
    config_free(config);
    return CLI_DONE;
}

const struct cli_command cli_check = {
    .name = "check",
    .arguments = "FILE",
    .summary = "read a configuration, print what it means and needs",
    .help =
        "Prints the effective configuration: every value and where it comes from, secrets by\n"
        "their source only. Then which service needs which secret, how many bytes of Redis\n"
        "and how many dynos it may take. Warnings go to standard error. Exit 2 and one message\n"
        "when the file is refused. Nothing is asked of any server.",
    .run = check_run,
};
