/* csv: plays a recorded file. Its clock stands at the first row when the source starts. */
#include "collector/sources.h"

#include "common/log.h"
#include "common/trace.h"

struct player {
    struct trace *trace;
    int64_t started_ms; /* loop time of the first poll; below zero: not begun */
    double speed;
    bool loops;
};

static const char *text_option(const struct config_options *options, const char *key)
{
    const struct config_value *value = config_option(options, key);
    return value->given ? value->as.s : NULL;
}

static dyn_err player_init(void *state, struct source_host *host, struct dyn_error *error)
{
    struct player *player = state;
    const struct config_options *options = &source_input(host)->options;
    const struct config_value *step = config_option(options, "row_interval");
    struct trace_options how = {
        .time_column = text_option(options, "time_column"),
        .value_column = text_option(options, "value_column"),
        .step_ms = step->given ? step->as.i : 0,
    };
    const char *at_end = text_option(options, "at_end");
    player->speed = config_option(options, "speed")->as.d;
    player->loops = at_end == NULL || strcmp(at_end, "loop") == 0;
    player->started_ms = dyn_loop_now_ms(source_loop(host));
    if (!(player->speed > 0)) {
        return dyn_error_set(error, DYN_RANGE, "speed must be above 0");
    }
    player->trace = trace_load(text_option(options, "file"), &how, error);
    if (player->trace == NULL) {
        return DYN_BADMSG;
    }
    size_t skipped = player->trace->malformed + player->trace->unordered;
    if (skipped > 0) {
        /* The source works, so that this is no error of init(): said here, once a start. */
        dyn_log(
            DYN_LOG_WARN, "trace_rows_skipped", "input=%s rows=%zu msg=%s",
            source_input(host)->name, skipped,
            dyn_log_quoted(player->trace->messages_count > 0 ? player->trace->messages[0] : ""));
    }
    return DYN_OK;
}

static void player_poll(void *state, struct source_host *host, int64_t now_ms, int64_t wall_ms)
{
    const struct player *player = state;
    (void)wall_ms;
    double clock_ms = (double)(now_ms - player->started_ms) * player->speed;
    double length_ms = (double)trace_length_ms(player->trace);
    if (clock_ms < 0) {
        clock_ms = 0;
    }
    if (clock_ms >= length_ms) {
        if (!player->loops) {
            source_failed(host, SAMPLE_ERROR, "trace ended");
            return;
        }
        clock_ms -= length_ms * (double)(int64_t)(clock_ms / length_ms);
    }
    source_good(host, trace_value(player->trace, (int64_t)clock_ms));
}

static void player_fini(void *state)
{
    struct player *player = state;
    trace_free(player->trace);
}

const struct source_ops source_csv = {
    .name = "csv",
    .state_size = sizeof(struct player),
    .init = player_init,
    .poll = player_poll,
    .fini = player_fini,
};
