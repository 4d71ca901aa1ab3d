/*
 * file: a number that something else writes into a file, such as a job of cron. A file that was not
 * written for longer than `max_age` says nothing about now.
 */
#include "collector/sources.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define CONTENT_MAX 63 /* bytes; more is no number */

/* Called once: what is refused here disables this input, and is told. */
static dyn_err file_init(void *state, struct source_host *host, struct dyn_error *error)
{
    (void)state; /* what lasts between two readings would be kept there */
    const char *path = config_option(&source_input(host)->options, "file")->as.s;
    return path[0] == '/' ? DYN_OK : dyn_error_set(error, DYN_CONFIG, "file: no absolute path");
}

/* Exactly one source_good() or source_failed() for each poll; a failure is never a number. */
static void file_tell(struct source_host *host, int fd)
{
    char content[CONTENT_MAX + 1];
    ssize_t len = read(fd, content, sizeof content);
    double number;
    struct dyn_str text = {content, len > 0 && len <= CONTENT_MAX ? (size_t)len : 0};
    if (dyn_str_double(dyn_str_trim(text), &number) == DYN_OK) {
        source_good(host, number);
    } else {
        source_failed(host, SAMPLE_ERROR, "the file holds no number");
    }
}

static void file_poll(void *state, struct source_host *host, int64_t now_ms, int64_t wall_ms)
{
    const struct config_options *options = &source_input(host)->options;
    struct stat about;
    int fd = open(config_option(options, "file")->as.s, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    (void)state, (void)now_ms;
    if (fd < 0 || fstat(fd, &about) != 0 || !S_ISREG(about.st_mode)) {
        source_failed(host, SAMPLE_ERROR, "%s", fd < 0 ? strerror(errno) : "no regular file");
    } else if (wall_ms / 1000 - about.st_mtime > config_option(options, "max_age")->as.i / 1000) {
        source_failed(host, SAMPLE_ERROR, "the file was not written for %lld s",
                      (long long)(wall_ms / 1000 - about.st_mtime));
    } else {
        file_tell(host, fd);
    }
    if (fd >= 0) {
        close(fd);
    }
}

const struct source_ops source_file = {
    .name = "file",
    .init = file_init,
    .poll = file_poll,
};
