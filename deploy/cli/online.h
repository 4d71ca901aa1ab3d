/*
 * online: what the commands share that ask a running Dynosaur's Redis.
 */
#ifndef DYN_CLI_ONLINE_H
#define DYN_CLI_ONLINE_H

#include "deploy/cli/cli.h"
#include "deploy/cli/fleet.h"

extern const struct cli_command cli_setup;
extern const struct cli_command cli_run;
extern const struct cli_command cli_status;
extern const struct cli_command cli_explain;
extern const struct cli_command cli_watch;
extern const struct cli_command cli_events;
extern const struct cli_command cli_actions;
extern const struct cli_command cli_pause;
extern const struct cli_command cli_resume;
extern const struct cli_command cli_pin;
extern const struct cli_command cli_unpin;
extern const struct cli_command cli_attend; /* not for people: see attend.c */

/* The options that every one of them has; the first of its table, in this order. */
enum {
    ONLINE_REDIS,
    ONLINE_STATE,
    ONLINE_OPTIONS
};
#define ONLINE_OPTION_LINES                                                           \
    {"--redis", "URL",                                                                \
     "ask this Redis instead of the file's, or of the private one\n"                  \
     "(or $DYNOSAUR_REDIS, which shows in no list of processes)"},                    \
    {                                                                                 \
        "--state", "DIR", "where `dynosaur FILE --state DIR` keeps its private Redis" \
    }

struct online {
    const char *redis; /* as given, or NULL */
    const char *state;
    struct config *config;
    struct remote *remote;
};

/** Take an option of the common ones; false when it is another. */
bool online_option(struct online *online, int option, const char *value);

/** The file that is meant: `file`, or $DYNOSAUR_CONFIG, or NULL and told. */
const char *online_file(const struct cli_command *command, const char *file);

/** Load the configuration and connect within `wait_ms`. CLI_DONE, or told. */
int online_open(const struct cli_command *command, const char *file, int64_t wait_ms,
                struct online *online);
void online_close(struct online *online);

#define ONLINE_WAIT_MS 3000

#endif
