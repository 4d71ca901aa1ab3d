/*
 * console: standard output as a sink. A reader that does not keep up (a full pipe) delays the sink
 * that writes, never the program: nothing is written until the descriptor takes it at once.
 */
#ifndef DYN_REPORTER_SINKS_CONSOLE_H
#define DYN_REPORTER_SINKS_CONSOLE_H

#include "reporter/sink.h"

#define CONSOLE_TEXT_MAX 4194304 /* 4 MiB of one delivery; more is refused */

struct console {
    struct sink_host *host;
    struct dyn_timer *wait;
    struct dyn_buf text;
    size_t written;
};

DYN_NODISCARD dyn_err console_init(struct console *console, struct sink_host *host,
                                   struct dyn_error *error);
/** Write console->text, then call sink_done(). */
void console_flush(struct console *console);
void console_cancel(struct console *console);
void console_fini(struct console *console);

#endif
