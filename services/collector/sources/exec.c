/*
 * exec: the number that a program prints. No shell; its environment is PATH, LANG=C and what `env:`
 * gives, so that nothing of ours leaks into it; its time and its output are bounded, and what it
 * started dies with it.
 */
#include "collector/sources.h"

#define EXEC_PATH "/usr/local/bin:/usr/bin:/bin"
#define QUOTE_MAX 60 /* bytes of bad output that the reason shows */

struct exec {
    struct source_host *host; /* of the reading under way */
    struct dyn_child *child;  /* NULL: none runs */
    struct dyn_timer *timer;  /* kills a program that takes longer than its `timeout` */
    char **env;               /* NULL-ended; values may be secrets */
    size_t env_count;
};

static void exec_fini(void *state)
{
    struct exec *exec = state;
    dyn_child_free(exec->child);
    dyn_timer_free(exec->timer);
    for (char **entry = exec->env; entry != NULL && *entry != NULL; entry++) {
        explicit_bzero(*entry, strlen(*entry));
        free(*entry);
    }
    free(exec->env);
}

static void exec_cancel(void *state)
{
    struct exec *exec = state;
    dyn_child_free(exec->child); /* with SIGKILL to its group */
    exec->child = NULL;
    exec->host = NULL;
    dyn_timer_stop(exec->timer);
}

static void exec_timed_out(void *arg)
{
    struct exec *exec = arg;
    struct source_host *host = exec->host;
    exec_cancel(exec);
    source_failed(host, SAMPLE_TIMEOUT, "the program took longer than its timeout and was killed");
}

static dyn_err env_add(struct exec *exec, const char *name, struct dyn_str value)
{
    if (value.len > 0 && memchr(value.ptr, '\0', value.len) != NULL) {
        return DYN_BADMSG;
    }
    char *entry = NULL;
    if (asprintf(&entry, "%s=" DYN_STR_FMT, name, DYN_STR_ARG(value)) < 0) {
        return DYN_NOMEM;
    }
    exec->env[exec->env_count++] = entry;
    return DYN_OK;
}

static bool env_has(const struct config_value *env, const char *name)
{
    for (size_t i = 0; env->given && i < env->as.headers.count; i++) {
        if (strcmp(env->as.headers.names[i], name) == 0) {
            return true;
        }
    }
    return false;
}

static dyn_err env_resolve(struct exec *exec, const struct config_value *env,
                           struct dyn_error *error)
{
    size_t count = env->given ? env->as.headers.count : 0;
    exec->env = calloc(count + 3, sizeof *exec->env);
    if (exec->env == NULL) {
        return DYN_NOMEM;
    }
    dyn_err err = env_has(env, "PATH") ? DYN_OK : env_add(exec, "PATH", DYN_STR(EXEC_PATH));
    if (err == DYN_OK && !env_has(env, "LANG")) {
        err = env_add(exec, "LANG", DYN_STR("C"));
    }
    struct dyn_buf value;
    dyn_buf_init(&value, DYN_SECRET_MAX);
    for (size_t i = 0; i < count && err == DYN_OK; i++) {
        const char *name = env->as.headers.names[i];
        if (name[0] == '\0' || strchr(name, '=') != NULL) {
            err = dyn_error_set(error, DYN_BADMSG, "env: \"%s\" cannot be a variable", name);
            break;
        }
        err = config_secret_resolve(&env->as.headers.values[i], &value, error);
        if (err == DYN_OK) {
            err = env_add(exec, name, dyn_buf_str(&value));
        }
    }
    dyn_buf_wipe(&value);
    return err;
}

static dyn_err exec_init(void *state, struct source_host *host, struct dyn_error *error)
{
    struct exec *exec = state;
    const struct config_options *options = &source_input(host)->options;
    dyn_err err = DYN_OK;
    if (config_option(options, "command")->as.list.count == 0) {
        return dyn_error_set(error, DYN_BADMSG, "command is empty");
    }
    err = env_resolve(exec, config_option(options, "env"), error);
    if (err != DYN_OK) {
        goto fail;
    }
    exec->timer = dyn_timer_new(source_loop(host), exec_timed_out, exec);
    if (exec->timer == NULL) {
        err = DYN_NOMEM;
        goto fail;
    }
    return DYN_OK;

fail:
    exec_fini(exec);
    return err;
}

/* What was printed, for a reason: printable bytes of its first part, the others as dots. */
static void output_quote(struct dyn_str output, char out[static QUOTE_MAX + 1])
{
    size_t len = output.len < QUOTE_MAX ? output.len : QUOTE_MAX;
    for (size_t i = 0; i < len; i++) {
        char c = output.ptr[i];
        out[i] = '.';
        if (c >= ' ' && c <= '~') {
            out[i] = c;
        }
    }
    out[len] = '\0';
}

static void exec_exited(void *arg, int status, struct dyn_str output, bool truncated)
{
    struct exec *exec = arg;
    struct source_host *host = exec->host;
    struct dyn_str text = dyn_str_trim(output);
    double value = 0;
    char quote[QUOTE_MAX + 1];
    output_quote(text, quote);
    bool number = dyn_str_double(text, &value) == DYN_OK;
    dyn_timer_stop(exec->timer);
    dyn_child_free(exec->child); /* and `output` with it */
    exec->child = NULL;
    if (status > 128) {
        source_failed(host, SAMPLE_ERROR, "the program was ended by signal %d", status - 128);
    } else if (status != 0) {
        source_failed(host, SAMPLE_ERROR, "the program ended with status %d", status);
    } else if (truncated) {
        source_failed(host, SAMPLE_ERROR, "the program printed more than %d bytes: \"%s\"",
                      DYN_EXEC_OUTPUT_MAX, quote);
    } else if (!number) {
        source_failed(host, SAMPLE_ERROR, "the program printed no number: \"%s\"", quote);
    } else {
        source_good(host, value);
    }
}

static void exec_poll(void *state, struct source_host *host, int64_t now_ms, int64_t wall_ms)
{
    struct exec *exec = state;
    (void)now_ms;
    (void)wall_ms;
    const struct config_options *options = &source_input(host)->options;
    struct dyn_error error = {""};
    struct dyn_child_options child = {
        .argv = config_option(options, "command")->as.list.items,
        .env = (const char *const *)exec->env,
        .output_max = DYN_EXEC_OUTPUT_MAX,
        .quiet = true,
        .exited = exec_exited,
        .arg = exec,
    };
    exec->host = host;
    if (dyn_child_start(source_loop(host), &child, &exec->child, &error) != DYN_OK) {
        source_failed(host, SAMPLE_ERROR, "%s", error.text);
        return;
    }
    dyn_timer_start(exec->timer, config_option(options, "timeout")->as.i, 0);
}

const struct source_ops source_exec = {
    .name = "exec",
    .state_size = sizeof(struct exec),
    .init = exec_init,
    .poll = exec_poll,
    .cancel = exec_cancel,
    .fini = exec_fini,
};
