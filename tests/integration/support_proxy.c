#include "support_proxy.h"

#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct support_proxy {
    pid_t pid;
    FILE *commands, *answers;
    char answer[512];
};

static _Noreturn void child_exec(int in, int out)
{
    char program[1024];
    const char *build = getenv("DYN_BUILD");
    (void)snprintf(program, sizeof program, "%s/tests/fake-proxy", build != NULL ? build : ".");
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)dup2(in, STDIN_FILENO);
    (void)dup2(out, STDOUT_FILENO);
    (void)execl(program, program, (char *)NULL);
    perror(program);
    _exit(127);
}

struct support_proxy *support_proxy_new(void)
{
    int in[2];
    int out[2];
    struct support_proxy *proxy = calloc(1, sizeof *proxy);
    ck_assert_ptr_nonnull(proxy);
    ck_assert_int_eq(pipe2(in, O_CLOEXEC), 0);
    ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
    (void)fflush(NULL);
    proxy->pid = fork();
    ck_assert_int_ge(proxy->pid, 0);
    if (proxy->pid == 0) {
        child_exec(in[0], out[1]);
    }
    (void)close(in[0]);
    (void)close(out[1]);
    proxy->commands = fdopen(in[1], "w");
    proxy->answers = fdopen(out[0], "r");
    ck_assert_ptr_nonnull(proxy->commands);
    ck_assert_ptr_nonnull(proxy->answers);
    return proxy;
}

void support_proxy_free(struct support_proxy *proxy)
{
    int status = 0;
    if (proxy == NULL) {
        return;
    }
    (void)fclose(proxy->commands);
    (void)fclose(proxy->answers);
    ck_assert_int_eq(waitpid(proxy->pid, &status, 0), proxy->pid);
    ck_assert_int_eq(status, 0);
    free(proxy);
}

const char *support_proxy_say(struct support_proxy *proxy, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    ck_assert_int_ge(vfprintf(proxy->commands, format, args), 0);
    va_end(args);
    ck_assert_int_ge(fputc('\n', proxy->commands), 0);
    ck_assert_int_eq(fflush(proxy->commands), 0);
    ck_assert_ptr_nonnull(fgets(proxy->answer, sizeof proxy->answer, proxy->answers));
    proxy->answer[strcspn(proxy->answer, "\n")] = '\0';
    ck_assert_msg(strncmp(proxy->answer, "ok", 2) == 0, "the proxy said: %s", proxy->answer);
    return proxy->answer + strspn(proxy->answer, "ok ");
}

unsigned support_proxy_link(struct support_proxy *proxy, const char *name, const char *target)
{
    return (unsigned)strtoul(support_proxy_say(proxy, "link %s %s", name, target), NULL, 10);
}
