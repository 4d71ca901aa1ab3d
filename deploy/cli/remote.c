#include "deploy/cli/remote.h"

#include "common/clock.h"

#include <stdarg.h>

enum {
    TURN_MS = 200,
    CALL_MS = 10000,
    WORDS_MAX = 16
};

struct remote {
    struct dyn_loop *loop;
    struct bus *bus;
    char lost[DYN_ERROR_TEXT_MAX]; /* why the last attempt to connect failed */
};

struct remote_answer {
    remote_fn *fn;
    void *arg;
    struct dyn_error *error;
    dyn_err err;
    bool come;
};

static void remote_lost(void *arg, const char *why)
{
    struct remote *remote = arg;
    dyn_str_copy(remote->lost, sizeof remote->lost, dyn_str_from(why));
}

static bool remote_connect(struct remote *remote, int64_t wait_ms)
{
    int64_t until_ms = dyn_clock_boot_ms() + wait_ms;
    while (!bus_is_ready(remote->bus) && dyn_clock_boot_ms() < until_ms) {
        dyn_loop_once(remote->loop, TURN_MS);
    }
    return bus_is_ready(remote->bus);
}

struct remote *remote_open(const struct bus_config *redis, int64_t wait_ms, struct dyn_error *error)
{
    struct remote *remote = calloc(1, sizeof *remote);
    if (remote == NULL || (remote->loop = dyn_loop_new()) == NULL) {
        (void)dyn_error_set(error, DYN_NOMEM, "out of memory");
        goto fail;
    }
    remote->bus = bus_new(remote->loop,
                          &(struct bus_options){.url = redis->url,
                                                .access = &redis->access,
                                                .name = "dynosaur-cli",
                                                .lost = remote_lost,
                                                .arg = remote},
                          error);
    if (remote->bus == NULL) {
        goto fail;
    }
    if (!remote_connect(remote, wait_ms)) {
        (void)dyn_error_set(error, DYN_TIMEOUT, "Redis does not answer: %s",
                            remote->lost[0] != '\0' ? remote->lost : "no connection in time");
        goto fail;
    }
    return remote;
fail:
    remote_close(remote);
    return NULL;
}

void remote_close(struct remote *remote)
{
    if (remote == NULL) {
        return;
    }
    bus_free(remote->bus);
    if (remote->loop != NULL) {
        dyn_loop_free(remote->loop);
    }
    free(remote);
}

static void remote_answered(void *arg, dyn_err err, const struct bus_reply *reply)
{
    struct remote_answer *answer = arg;
    answer->come = true;
    answer->err = err;
    if (err == DYN_OK && answer->fn != NULL) {
        answer->fn(answer->arg, reply);
    } else if (reply != NULL && err != DYN_OK) {
        struct dyn_str words = bus_reply_str(reply);
        (void)dyn_error_set(answer->error, err, "Redis says: " DYN_STR_FMT, DYN_STR_ARG(words));
    } else if (err != DYN_OK) {
        (void)dyn_error_set(answer->error, err, "Redis: %s", dyn_err_text(err));
    }
}

dyn_err remote_call(struct remote *remote, const struct dyn_str *argv, size_t argc, remote_fn *fn,
                    void *arg, struct dyn_error *error)
{
    struct remote_answer answer = {.fn = fn, .arg = arg, .error = error};
    dyn_err err = bus_command(remote->bus, argv, argc, CALL_MS, remote_answered, &answer);
    if (err != DYN_OK) {
        return dyn_error_set(error, err, "Redis: %s%s%s", dyn_err_text(err),
                             remote->lost[0] != '\0' ? ": " : "", remote->lost);
    }
    while (!answer.come) {
        dyn_loop_once(remote->loop, TURN_MS);
    }
    return answer.err;
}

dyn_err remote_ask(struct remote *remote, remote_fn *fn, void *arg, struct dyn_error *error, ...)
{
    struct dyn_str argv[WORDS_MAX];
    size_t argc = 0;
    va_list words;
    va_start(words, error);
    for (const char *word = va_arg(words, const char *); word != NULL;
         word = va_arg(words, const char *)) {
        DYN_ASSERT(argc < WORDS_MAX);
        argv[argc++] = dyn_str_from(word);
    }
    va_end(words);
    return remote_call(remote, argv, argc, fn, arg, error);
}
