/* Statistics on standard output, one line a number: dynosaur.APP.CONTROLLER.INPUT.value 42; where
 * it is a plan's rung its name, as the original did: ...estimate rediscloud:250 */
#include "reporter/sinks/console.h"

extern const struct sink_ops sink_console_stats;

static dyn_err stats_init(void *state, struct sink_host *host, struct dyn_error *error)
{
    return console_init(state, host, error);
}

static void stats_deliver(void *state, struct sink_host *host, const struct sink_delivery *delivery)
{
    (void)host;
    struct console *console = state;
    dyn_buf_clear(&console->text);
    console->written = 0;
    for (size_t i = 0; i < delivery->stats_count; i++) {
        const struct sink_stat *stat = &delivery->stats[i];
        if (stat->plan != NULL) {
            (void)dyn_buf_addf(&console->text, "%s %s\n", stat->name, stat->plan);
        } else {
            (void)dyn_buf_addf(&console->text, "%s %.15g\n", stat->name, stat->value);
        }
    }
    console_flush(console);
}

static void stats_cancel(void *state)
{
    console_cancel(state);
}

static void stats_fini(void *state)
{
    console_fini(state);
}

const struct sink_ops sink_console_stats = {
    .kind = CONFIG_STATS,
    .name = "console",
    .state_size = sizeof(struct console),
    .init = stats_init,
    .deliver = stats_deliver,
    .cancel = stats_cancel,
    .fini = stats_fini,
};
