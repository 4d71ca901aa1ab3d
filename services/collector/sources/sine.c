/* sine: a wave from 0 to 100 by the wall clock, so that every collector says the same. */
#include "collector/sources.h"

#include <math.h>

struct sine {
    int64_t period_ms;
};

static dyn_err sine_init(void *state, struct source_host *host, struct dyn_error *error)
{
    struct sine *sine = state;
    sine->period_ms = config_option(&source_input(host)->options, "period")->as.i;
    if (sine->period_ms <= 0) {
        return dyn_error_set(error, DYN_RANGE, "period must be above 0");
    }
    return DYN_OK;
}

static void sine_poll(void *state, struct source_host *host, int64_t now_ms, int64_t wall_ms)
{
    const struct sine *sine = state;
    (void)now_ms;
    /* Only the place within the period counts: the sine of a large number is inexact. */
    double turns = (double)(wall_ms % sine->period_ms) / (double)sine->period_ms;
    source_good(host, ceil((sin(2 * M_PI * turns) + 1) * 50));
}

const struct source_ops source_sine = {
    .name = "sine",
    .state_size = sizeof(struct sine),
    .init = sine_init,
    .poll = sine_poll,
};
