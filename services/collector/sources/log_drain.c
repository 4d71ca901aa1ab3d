/*
 * log_drain: a figure out of Heroku's router log. Batches of one app's lines come to any collector,
 * and each adds them to ten-second buckets in our own Redis (drain.h); whoever owns the input reads
 * the buckets that are over and whose lines had their time to come.
 */
#include "collector/drain_keys.h"
#include "collector/figures.h"
#include "collector/sources.h"

struct log_drain;

struct part { /* one bucket's answer under way */
    struct reading *reading;
    size_t index;
};

/* Outlasts its source: what is asked of Redis is answered in any case. */
struct reading {
    struct log_drain *source; /* NULL: given up */
    struct source_host *host;
    size_t left; /* answers */
    dyn_err failed;
    struct figures figures;
    struct part parts[FIGURES_PERIOD_MAX];
};

struct log_drain {
    struct reading *reading; /* NULL: none is under way */
    enum figure figure;
    bool empty_is_zero;
    size_t period; /* buckets */
    int64_t delay_ms;
    char id[DRAIN_ID_SIZE];
};

static dyn_err log_drain_init(void *state, struct source_host *host, struct dyn_error *error)
{
    struct log_drain *source = state;
    const struct config_options *options = &source_input(host)->options;
    struct dyn_buf token;
    dyn_buf_init(&token, DYN_SECRET_MAX);
    dyn_err err = config_secret_resolve(&config_option(options, "token")->as.secret, &token, error);
    if (err == DYN_OK && token.len == 0) {
        err = dyn_error_set(error, DYN_BADMSG, "token is empty");
    }
    if (err == DYN_OK) {
        err = drain_id(dyn_str_trim(dyn_buf_str(&token)), source->id);
    }
    dyn_buf_wipe(&token);
    source->figure = figure_find(config_option(options, "value")->as.s);
    source->period = (size_t)(config_option(options, "period")->as.i / (TALLY_BUCKET_S * 1000));
    source->delay_ms = config_option(options, "delay")->as.i;
    source->empty_is_zero = config_option(options, "empty_is_zero")->as.b;
    return err;
}

static void figure_tell(const struct log_drain *source, struct source_host *host,
                        const struct figures *figures)
{
    struct dyn_error why = {""};
    double value = 0;
    switch (figures_value(figures, source->figure, source->empty_is_zero, &value, &why)) {
    case FIGURES_WHOLE:
        source_good(host, value);
        break;
    case FIGURES_AT_LEAST:
        source_at_least(host, value, "%s", why.text);
        break;
    case FIGURES_NONE:
        source_failed(host, SAMPLE_ERROR, "%s", why.text);
        break;
    }
}

static void reading_end(struct reading *reading)
{
    struct log_drain *source = reading->source;
    if (source != NULL) {
        source->reading = NULL;
        if (reading->failed == DYN_OK) {
            figure_tell(source, reading->host, &reading->figures);
        } else {
            source_failed(reading->host, SAMPLE_ERROR,
                          "the counts cannot be read from our own Redis: %s",
                          dyn_err_text(reading->failed));
        }
    }
    free(reading);
}

static void part_answered(void *arg, dyn_err err, const struct bus_reply *reply)
{
    const struct part *part = arg;
    struct reading *reading = part->reading;
    if (err != DYN_OK) {
        reading->failed = err;
    }
    for (size_t i = 0; err == DYN_OK && i + 1 < bus_reply_count(reply); i += 2) {
        figures_add(&reading->figures, part->index, bus_reply_str(bus_reply_at(reply, i)),
                    bus_reply_str(bus_reply_at(reply, i + 1)));
    }
    if (--reading->left == 0) {
        reading_end(reading);
    }
}

static void log_drain_poll(void *state, struct source_host *host, int64_t now_ms, int64_t wall_ms)
{
    struct log_drain *source = state;
    struct reading *reading = calloc(1, sizeof *reading);
    (void)now_ms;
    if (reading == NULL || source_bus(host) == NULL) {
        free(reading);
        source_failed(host, SAMPLE_ERROR, "there is no memory, or no Redis, to read the counts");
        return;
    }
    reading->source = source;
    reading->host = host;
    figures_begin(&reading->figures, source->period);
    int64_t over_s = (wall_ms - source->delay_ms) / 1000;
    int64_t end_s = over_s - over_s % TALLY_BUCKET_S;
    size_t count = reading->figures.count;
    reading->left = 1; /* ours, until all are asked */
    source->reading = reading;
    for (size_t i = 0; i < count && reading->failed == DYN_OK; i++) {
        char key[DRAIN_KEY_SIZE];
        drain_key_bucket(key, source_prefix(host), source->id,
                         end_s - (int64_t)(count - i) * TALLY_BUCKET_S);
        const struct dyn_str argv[] = {DYN_STR("HGETALL"), dyn_str_from(key)};
        reading->parts[i] = (struct part){reading, i};
        reading->failed =
            bus_command(source_bus(host), argv, 2, 0, part_answered, &reading->parts[i]);
        reading->left += reading->failed == DYN_OK;
    }
    if (--reading->left == 0) {
        reading_end(reading);
    }
}

static void log_drain_cancel(void *state)
{
    struct log_drain *source = state;
    if (source->reading != NULL) {
        source->reading->source = NULL;
        source->reading = NULL;
    }
}

const struct source_ops source_log_drain = {
    .name = "log_drain",
    .state_size = sizeof(struct log_drain),
    .init = log_drain_init,
    .poll = log_drain_poll,
    .cancel = log_drain_cancel,
};
