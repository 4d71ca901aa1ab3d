/* The inside of `dynosaur FILE`: its command line, and its state directory. */
#ifndef DYN_CLI_RUN_OPTIONS_H
#define DYN_CLI_RUN_OPTIONS_H

#include "deploy/cli/cli.h"
#include "deploy/cli/place.h"

struct run_options {
    const char *file;
    const char *redis; /* NULL: what the configuration names, else a private one */
    const char *state;
    const char *drain; /* where log drains are taken; NULL: where the collector does by itself */
    int64_t http_port; /* of the first service, the others follow; 0: any free ones */
};

extern const struct cli_option run_option_table[];

/** CLI_DONE, or told. */
int run_options_parse(const struct cli_command *command, int argc, char **argv,
                      struct run_options *out);

/** Make the state directory and lock it: one `dynosaur FILE` a directory. The descriptor holds the
 *  lock; -1: told. */
int run_state_lock(const struct cli_command *command, const struct place *place);

#endif
