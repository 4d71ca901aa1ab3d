/*
 * support_cli: `dynosaur` run as people run it, in a directory of its own.
 */
#ifndef DYN_TESTS_SUPPORT_CLI_H
#define DYN_TESTS_SUPPORT_CLI_H

#include <stddef.h>

/** A temporary directory; the working directory of what cli_run() runs. */
void cli_setup(void);
void cli_teardown(void); /* removes it */

/** Write a file in that directory. */
void cli_write(const char *name, const char *format, ...) __attribute__((format(printf, 2, 3)));
/** The whole of a file there, until the next call; fails the test when there is none. */
const char *cli_read(const char *name);
/** Its path; lives until the next call. */
const char *cli_path(const char *name);

/** Run the program with these arguments, as a shell would; the exit status. */
int cli_run(const char *format, ...) __attribute__((format(printf, 1, 2)));
/** What it printed, both streams in one. */
const char *cli_output(void);

#endif
