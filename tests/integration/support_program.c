#include "support_program.h"

#include "common/clock.h"
#include "common/str.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    AWAIT_MS = 20 * 1000,
    OUTPUT_MAX = 8 * 1024 * 1024
};

struct program {
    pid_t pid; /* 0: ended and waited for */
    int status;
    int out;    /* -1: at its end */
    FILE *copy; /* of the output; NULL: none */
    struct dyn_buf output;
    size_t seen; /* bytes up to the last text that was awaited */
    struct dyn_buf answer;
    const char *body;
};

struct support_file {
    char directory[128];
    char path[192];
};

static _Noreturn void child_exec(const char *const *argv, int out)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)dup2(out, STDOUT_FILENO);
    (void)dup2(out, STDERR_FILENO);
    /* execv takes its arguments without const for the sake of old programs only. */
    union {
        const char *const *from;
        char *const *to;
    } cast = {.from = argv};
    (void)execv(argv[0], cast.to);
    _exit(127);
}

struct program *program_start(const char *const *argv)
{
    int ends[2];
    struct program *program = calloc(1, sizeof *program);
    ck_assert_ptr_nonnull(program);
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    dyn_buf_init(&program->output, OUTPUT_MAX);
    dyn_buf_init(&program->answer, OUTPUT_MAX);
    (void)fflush(NULL);
    program->pid = fork();
    ck_assert_int_ge(program->pid, 0);
    if (program->pid == 0) {
        child_exec(argv, ends[1]);
    }
    (void)close(ends[1]);
    program->out = ends[0];
    return program;
}

bool program_ended(struct program *program)
{
    int status = 0;
    if (program->pid != 0 && waitpid(program->pid, &status, WNOHANG) == program->pid) {
        program->pid = 0;
        program->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
    return program->pid == 0;
}

void program_copy(struct program *program, const char *path)
{
    program->copy = fopen(path, "ae");
    ck_assert_msg(program->copy != NULL, "%s: %s", path, strerror(errno));
    (void)setvbuf(program->copy, NULL, _IONBF, 0);
}

static void output_keep(struct program *program, const char *bytes, size_t len)
{
    if (program->copy != NULL) {
        ck_assert_uint_eq(fwrite(bytes, 1, len, program->copy), len);
    }
    if (program->copy == NULL || program->output.len + len < OUTPUT_MAX) {
        ck_assert_int_eq(dyn_buf_add(&program->output, bytes, len), DYN_OK);
    }
}

/* Take what comes within `wait_ms`; false at the end of the output, or when nothing came. */
static bool output_read(struct program *program, int wait_ms)
{
    char bytes[16384];
    struct pollfd ready = {.fd = program->out, .events = POLLIN};
    if (program->out < 0 || poll(&ready, 1, wait_ms) != 1) {
        return false;
    }
    ssize_t len = read(program->out, bytes, sizeof bytes);
    if (len <= 0) {
        (void)close(program->out);
        program->out = -1;
        return false;
    }
    output_keep(program, bytes, (size_t)len);
    return true;
}

void program_free(struct program *program)
{
    if (program == NULL) {
        return;
    }
    if (program->pid != 0) {
        (void)kill(program->pid, SIGKILL);
        (void)waitpid(program->pid, NULL, 0);
    }
    if (program->out >= 0) {
        (void)close(program->out);
    }
    if (program->copy != NULL) {
        (void)fclose(program->copy);
    }
    dyn_buf_fini(&program->output);
    dyn_buf_fini(&program->answer);
    free(program);
}

int program_pid(const struct program *program)
{
    return program->pid;
}

void program_signal(struct program *program, int signum)
{
    ck_assert_int_ne(program->pid, 0);
    ck_assert_int_eq(kill(program->pid, signum), 0);
}

void program_await(struct program *program, const char *text)
{
    int64_t until_ms = dyn_clock_boot_ms() + AWAIT_MS;
    for (;;) {
        const char *unseen = dyn_buf_text(&program->output) + program->seen;
        const char *found = strstr(unseen, text);
        if (found != NULL) {
            program->seen += (size_t)(found - unseen) + strlen(text);
            return;
        }
        int64_t left_ms = until_ms - dyn_clock_boot_ms();
        if (left_ms <= 0 || !output_read(program, (int)left_ms)) {
            ck_abort_msg("no \"%s\" in: %s", text, dyn_buf_text(&program->output));
        }
    }
}

int program_end(struct program *program)
{
    int64_t until_ms = dyn_clock_boot_ms() + AWAIT_MS;
    while (program->out >= 0 && dyn_clock_boot_ms() < until_ms) {
        (void)output_read(program, 100);
    }
    if (program->out >= 0) {
        ck_abort_msg("it does not end: %s", dyn_buf_text(&program->output));
    }
    if (program->pid != 0) {
        int status = 0;
        ck_assert_int_eq(waitpid(program->pid, &status, 0), program->pid);
        program->pid = 0;
        program->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
    return program->status;
}

const char *program_output(struct program *program)
{
    while (output_read(program, 0)) {
    }
    return dyn_buf_text(&program->output);
}

int program_count(struct program *program, const char *text)
{
    int count = 0;
    for (const char *at = strstr(program_output(program), text); at != NULL;
         at = strstr(at + 1, text)) {
        count++;
    }
    return count;
}

static int port_connect(long port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    ck_assert_msg(connect(fd, (struct sockaddr *)&address, sizeof address) == 0, "port %ld: %s",
                  port, strerror(errno));
    return fd;
}

int program_http(struct program *program, const char *path)
{
    char bytes[16384];
    const char *started = strstr(program_output(program), " http_port=");
    if (started == NULL) {
        program_await(program, " http_port=");
        started = strstr(program_output(program), " http_port=");
    }
    int fd = port_connect(strtol(started + strlen(" http_port="), NULL, 10));
    (void)snprintf(bytes, sizeof bytes,
                   "GET %s HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n", path);
    ck_assert_int_eq(send(fd, bytes, strlen(bytes), MSG_NOSIGNAL), (ssize_t)strlen(bytes));
    dyn_buf_clear(&program->answer);
    for (ssize_t len = read(fd, bytes, sizeof bytes); len > 0;
         len = read(fd, bytes, sizeof bytes)) {
        ck_assert_int_eq(dyn_buf_add(&program->answer, bytes, (size_t)len), DYN_OK);
    }
    (void)close(fd);
    const char *head_end = strstr(dyn_buf_text(&program->answer), "\r\n\r\n");
    ck_assert_ptr_nonnull(head_end);
    program->body = head_end + 4;
    return (int)strtol(dyn_buf_text(&program->answer) + strlen("HTTP/1.1 "), NULL, 10);
}

const char *program_body(const struct program *program)
{
    return program->body;
}

const char *support_folder(void)
{
    const char *folder = getenv("DYN_TEST_FOLDER");
    return folder != NULL ? folder : "/tmp";
}

struct support_file *support_file_new(const char *name)
{
    struct support_file *file = calloc(1, sizeof *file);
    ck_assert_ptr_nonnull(file);
    (void)snprintf(file->directory, sizeof file->directory, "%s/dyn-file-XXXXXX", support_folder());
    ck_assert_ptr_nonnull(mkdtemp(file->directory));
    (void)snprintf(file->path, sizeof file->path, "%s/%s", file->directory, name);
    return file;
}

void support_file_free(struct support_file *file)
{
    if (file == NULL) {
        return;
    }
    (void)unlink(file->path);
    (void)rmdir(file->directory);
    free(file);
}

const char *support_file_path(const struct support_file *file)
{
    return file->path;
}

void support_file_write(struct support_file *file, const char *format, ...)
{
    va_list args;
    FILE *stream = fopen(file->path, "we");
    ck_assert_ptr_nonnull(stream);
    va_start(args, format);
    ck_assert_int_ge(vfprintf(stream, format, args), 0);
    va_end(args);
    ck_assert_int_eq(fclose(stream), 0);
}
