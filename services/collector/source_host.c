#include "collector/source_host.h"

#include "collector/schedule.h"

#include <math.h>

struct source_host {
    const struct source_host_options *options;
    const struct source_ops *ops; /* NULL: this build has none for the type */
    const struct config_app *app;
    const struct config_input *input;
    void *state; /* NULL while disabled */
    char *disabled;
    uint64_t series;
    int64_t interval_ms;
    uint64_t stray;
    uint32_t slot;
    bool reading;
    bool renew; /* set up anew before the next reading */
};

/* ---- what a source may ask ---- */

const struct config_input *source_input(const struct source_host *host)
{
    return host->input;
}

const struct config_app *source_app(const struct source_host *host)
{
    return host->app;
}

struct dyn_loop *source_loop(const struct source_host *host)
{
    return host->options->loop;
}

struct http_client *source_http(const struct source_host *host)
{
    return host->options->http;
}

struct bus *source_bus(const struct source_host *host)
{
    return host->options->bus;
}

const char *source_prefix(const struct source_host *host)
{
    return host->options->prefix;
}

int64_t source_deadline_ms(const struct source_host *host)
{
    return schedule_deadline_ms(host->interval_ms);
}

/* ---- answers ---- */

static void host_answer(struct source_host *host, enum sample_status status, double value,
                        const char *words)
{
    if (!host->reading) {
        host->stray++;
        return;
    }
    host->reading = false;
    char cut[DYN_REASON_MAX + 1];
    dyn_str_copy(cut, sizeof cut, dyn_str_from(words));
    host->options->sample(host->options->arg, host, status, value, dyn_str_from(cut));
}

void source_good(struct source_host *host, double value)
{
    if (isfinite(value) && value >= 0 && value <= DYN_VALUE_MAX) {
        host_answer(host, SAMPLE_GOOD, value, "");
        return;
    }
    char words[80];
    if (isfinite(value) && value > 0) {
        (void)snprintf(words, sizeof words, "the value %g is beyond all belief (%g)", value,
                       DYN_VALUE_MAX);
    } else {
        (void)snprintf(words, sizeof words, "the value %g is not a finite number of at least 0",
                       value);
    }
    host_answer(host, SAMPLE_ERROR, 0, words);
}

void source_failed(struct source_host *host, enum sample_status status, const char *format, ...)
{
    DYN_ASSERT(status == SAMPLE_ERROR || status == SAMPLE_TIMEOUT);
    struct dyn_error error;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(error.text, sizeof error.text, format, args);
    va_end(args);
    host_answer(host, status, 0, error.text);
}

void source_at_least(struct source_host *host, double value, const char *format, ...)
{
    struct dyn_error error;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(error.text, sizeof error.text, format, args);
    va_end(args);
    bool believed = isfinite(value) && value > 0 && value <= DYN_VALUE_MAX;
    host_answer(host, SAMPLE_ERROR, believed ? value : 0, error.text);
}

/* ---- life ---- */

static void host_disable(struct source_host *host, const char *why)
{
    free(host->disabled);
    host->disabled = strdup(why);
}

static void host_start(struct source_host *host)
{
    struct dyn_error error = {""};
    if (host->ops == NULL) {
        (void)dyn_error_set(&error, DYN_UNSUPPORTED, "this collector has no source for type %s",
                            host->input->type->name);
        host_disable(host, error.text);
        return;
    }
    host->state = calloc(1, host->ops->state_size > 0 ? host->ops->state_size : 1);
    if (host->state == NULL) {
        host_disable(host, "no memory for its source");
        return;
    }
    dyn_err err = host->ops->init(host->state, host, &error);
    if (err == DYN_OK) {
        free(host->disabled);
        host->disabled = NULL;
        return;
    }
    host_disable(host, error.text[0] != '\0' ? error.text : dyn_err_text(err));
    free(host->state);
    host->state = NULL;
}

static void host_end(struct source_host *host)
{
    host->reading = false;
    if (host->state == NULL) {
        return;
    }
    if (host->ops->cancel != NULL) {
        host->ops->cancel(host->state);
    }
    if (host->ops->fini != NULL) {
        host->ops->fini(host->state);
    }
    free(host->state);
    host->state = NULL;
}

struct source_host *source_host_new(const struct source_host_options *options,
                                    const struct source_ops *ops, const struct config_app *app,
                                    const struct config_input *input, uint32_t slot)
{
    struct source_host *host = calloc(1, sizeof *host);
    if (host == NULL) {
        return NULL;
    }
    host->options = options;
    host->ops = ops;
    host->app = app;
    host->input = input;
    host->series = input->series;
    host->interval_ms = input->interval_ms;
    host->slot = slot;
    host_start(host);
    return host;
}

void source_host_free(struct source_host *host)
{
    if (host == NULL) {
        return;
    }
    host_end(host);
    free(host->disabled);
    free(host);
}

bool source_host_same(const struct source_host *host, const struct config_input *input)
{
    return host->series == input->series && host->interval_ms == input->interval_ms;
}

/* Whether something about the input may be new that its series id does not tell. */
static bool input_has_secrets(const struct config_input *input)
{
    for (size_t i = 0; i < input->options.count; i++) {
        const struct config_value *value = &input->options.values[i];
        enum config_value_type type = value->field->type;
        if (value->given && (type == CONFIG_SECRET || type == CONFIG_HEADERS)) {
            return true;
        }
    }
    return false;
}

static void host_renew(struct source_host *host)
{
    host->renew = false;
    host_end(host);
    host_start(host);
}

void source_host_reload(struct source_host *host, const struct config_app *app,
                        const struct config_input *input)
{
    DYN_ASSERT(source_host_same(host, input));
    host->app = app;
    host->input = input;
    host->renew = host->disabled != NULL || input_has_secrets(input);
    if (host->renew && !host->reading) {
        host_renew(host);
    }
}

/* ---- readings ---- */

void source_host_poll(struct source_host *host, int64_t now_ms, int64_t wall_ms)
{
    DYN_ASSERT(!host->reading);
    if (host->renew) {
        host_renew(host);
    }
    host->reading = true;
    if (host->state == NULL) {
        host_answer(host, SAMPLE_DISABLED, 0, source_host_disabled(host));
        return;
    }
    host->ops->poll(host->state, host, now_ms, wall_ms);
}

void source_host_expire(struct source_host *host)
{
    DYN_ASSERT(host->reading);
    char words[64];
    (void)snprintf(words, sizeof words, "no answer within %lld s",
                   (long long)(source_deadline_ms(host) / 1000));
    /* Written down first: whatever the source says while it gives up comes too late. */
    host_answer(host, SAMPLE_TIMEOUT, 0, words);
    if (host->ops->cancel != NULL) {
        host->ops->cancel(host->state);
    }
}

uint32_t source_host_slot(const struct source_host *host)
{
    return host->slot;
}

bool source_host_reading(const struct source_host *host)
{
    return host->reading;
}

const char *source_host_disabled(const struct source_host *host)
{
    if (host->disabled == NULL && host->state == NULL) {
        return "no memory for its source";
    }
    return host->disabled;
}

uint64_t source_host_stray_answers(const struct source_host *host)
{
    return host->stray;
}
