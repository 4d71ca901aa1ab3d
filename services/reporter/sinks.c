/* The registry: one line a sink. */
#include "reporter/sink.h"

extern const struct sink_ops sink_console_stats;
extern const struct sink_ops sink_console_errors;
extern const struct sink_ops sink_librato;
extern const struct sink_ops sink_appoptics;
extern const struct sink_ops sink_bugsnag;
extern const struct sink_ops sink_ses;
extern const struct sink_ops sink_cronut;
extern const struct sink_ops sink_healthcheck;
extern const struct sink_ops sink_statsd;
extern const struct sink_ops sink_webhook;
extern const struct sink_ops sink_slack;
extern const struct sink_ops sink_pagerduty;

static const struct sink_ops *const sinks[] = {
    &sink_console_stats, &sink_console_errors, &sink_webhook, &sink_librato,
    &sink_appoptics,     &sink_statsd,         &sink_bugsnag, &sink_ses,
    &sink_cronut,        &sink_healthcheck,    &sink_slack,   &sink_pagerduty,
};

const struct sink_ops *sink_find(enum config_kind kind, const char *name)
{
    for (size_t i = 0; i < sizeof sinks / sizeof sinks[0]; i++) {
        if (sinks[i]->kind == kind && strcmp(sinks[i]->name, name) == 0) {
            return sinks[i];
        }
    }
    return NULL;
}
