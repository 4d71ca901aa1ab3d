#include "reporter/sinks/console.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <unistd.h>

enum {
    WAIT_MS = 20
};

static void wait_passed(void *arg)
{
    console_flush(arg);
}

dyn_err console_init(struct console *console, struct sink_host *host, struct dyn_error *error)
{
    console->host = host;
    dyn_buf_init(&console->text, CONSOLE_TEXT_MAX);
    console->wait = dyn_timer_new(sink_loop(host), wait_passed, console);
    return console->wait != NULL ? DYN_OK : dyn_error_set(error, DYN_NOMEM, "out of memory");
}

/* A pipe that polls writable takes PIPE_BUF bytes without blocking. */
static bool piece_write(struct console *console)
{
    struct pollfd ready = {.fd = STDOUT_FILENO, .events = POLLOUT};
    if (poll(&ready, 1, 0) != 1) {
        errno = EAGAIN;
        return false;
    }
    size_t left = console->text.len - console->written;
    ssize_t len = write(STDOUT_FILENO, console->text.ptr + console->written,
                        left < PIPE_BUF ? left : PIPE_BUF);
    if (len < 0) {
        return false;
    }
    console->written += (size_t)len;
    return true;
}

void console_flush(struct console *console)
{
    dyn_err err = dyn_buf_result(&console->text);
    if (err != DYN_OK) {
        sink_done(console->host, err, "the text is too long for the console");
        return;
    }
    while (console->written < console->text.len) {
        if (piece_write(console)) {
            continue;
        }
        if (errno == EAGAIN || errno == EINTR) {
            dyn_timer_start(console->wait, WAIT_MS, 0);
        } else {
            sink_done(console->host, DYN_IO, "standard output: %s", strerror(errno));
        }
        return;
    }
    sink_done(console->host, DYN_OK, "%s", "");
}

void console_cancel(struct console *console)
{
    dyn_timer_stop(console->wait);
}

void console_fini(struct console *console)
{
    dyn_timer_free(console->wait);
    dyn_buf_fini(&console->text);
}
