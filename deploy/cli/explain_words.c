/* The small words of explain_text: durations, times, units. */
#include "deploy/cli/explain_text.h"

#include "common/clock.h"

#include <inttypes.h>

enum {
    SECOND_MS = 1000,
    MINUTE_S = 60,
    HOUR_S = 3600,
    DAY_S = 86400,
    DAY_TEXT = 10, /* 2026-01-02 */
    TIME_TEXT = 8  /* 03:04:05 */
};

static void duration_parts(struct dyn_buf *out, int64_t big, const char *big_unit, int64_t small,
                           const char *small_unit)
{
    (void)dyn_buf_addf(out, "%" PRId64 " %s", big, big_unit);
    if (small > 0) {
        (void)dyn_buf_addf(out, " %" PRId64 " %s", small, small_unit);
    }
}

void explain_duration(struct dyn_buf *out, int64_t ms)
{
    int64_t s = ms > 0 ? (ms + SECOND_MS / 2) / SECOND_MS : 0;
    if (s < MINUTE_S) {
        (void)dyn_buf_addf(out, "%" PRId64 " s", s);
    } else if (s < HOUR_S) {
        duration_parts(out, s / MINUTE_S, "min", s % MINUTE_S, "s");
    } else if (s < DAY_S) {
        duration_parts(out, s / HOUR_S, "h", s % HOUR_S / MINUTE_S, "min");
    } else {
        duration_parts(out, s / DAY_S, "d", s % DAY_S / HOUR_S, "h");
    }
}

void explain_time(struct dyn_buf *out, int64_t at_ms, int64_t now_ms)
{
    char at[32];
    char today[32];
    dyn_clock_format(at_ms, at, sizeof at);
    dyn_clock_format(now_ms, today, sizeof today);
    if (strncmp(at, today, DAY_TEXT) != 0) {
        (void)dyn_buf_addf(out, "%.*s ", DAY_TEXT, at);
    }
    (void)dyn_buf_addf(out, "%.*s UTC (%s", TIME_TEXT, at + DAY_TEXT + 1,
                       at_ms > now_ms ? "in " : "");
    explain_duration(out, at_ms > now_ms ? at_ms - now_ms : now_ms - at_ms);
    (void)dyn_buf_addf(out, "%s)", at_ms > now_ms ? "" : " ago");
}

void explain_count(struct dyn_buf *out, const struct config_controller *controller, int32_t count)
{
    char text[CONFIG_RUNG_TEXT];
    (void)dyn_buf_addf(out, "%s", config_rung_text(controller, count, text));
}

void explain_resources(struct dyn_buf *out, const struct config_controller *controller,
                       int32_t count)
{
    explain_count(out, controller, count);
    if (controller->plans == NULL) {
        (void)dyn_buf_addf(out, "%s", count == 1 ? " dyno" : " dynos");
    }
}

const struct config_input *explain_input(const struct config_controller *controller,
                                         struct dyn_str name)
{
    for (size_t i = 0; i < controller->inputs_count; i++) {
        if (dyn_str_is(name, controller->inputs[i].name)) {
            return &controller->inputs[i];
        }
    }
    return NULL;
}
