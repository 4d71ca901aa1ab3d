/*
 * support_program: a program under test as a child process, its output read line by line; and a
 * file to configure it with.
 *
 * What is awaited and does not come within 20 s fails the test and shows the output so far.
 */
#ifndef DYN_TESTS_SUPPORT_PROGRAM_H
#define DYN_TESTS_SUPPORT_PROGRAM_H

#include <stdbool.h>

struct program;

/** argv[0] is a path; NULL ends. It dies with the test. Its stdout and stderr come in one piece. */
struct program *program_start(const char *const *argv);
/** Kills it when it still runs. NULL is fine. */
void program_free(struct program *program);
int program_pid(const struct program *program);
void program_signal(struct program *program, int signum);
/** Wait until `text` was printed after what the last program_await() found. */
void program_await(struct program *program, const char *text);
/** Wait for its end; the exit status, or 128 + signal. */
int program_end(struct program *program);
/** All that it printed so far and that was read; complete after program_end(). */
const char *program_output(struct program *program);
/** Whether it has ended by now; program_end() then answers at once. */
bool program_ended(struct program *program);
/** From now on its output goes to this file as well; what is too much to keep, only there. */
void program_copy(struct program *program, const char *path);
/** How often `text` stands in the output so far. */
int program_count(struct program *program, const char *text);
/** GET from the port that its log line event=started names; the status. */
int program_http(struct program *program, const char *path);
/** The body of the last program_http(). */
const char *program_body(const struct program *program);

/** Where tests make their directories: DYN_TEST_FOLDER, or /tmp. */
const char *support_folder(void);

struct support_file;
/** A file of that name in a directory of its own. */
struct support_file *support_file_new(const char *name);
void support_file_free(struct support_file *file); /* removes both; NULL is fine */
const char *support_file_path(const struct support_file *file);
void support_file_write(struct support_file *file, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
