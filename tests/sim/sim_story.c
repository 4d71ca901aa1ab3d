/* common/log.h, and the story. Nothing is formatted unless it is told. */
#include "tests/sim/sim_internal.h"

static bool told;

void sim_story_begin(bool tell)
{
    told = tell;
}

bool sim_story_told(void)
{
    return told;
}

static void line_begin(void)
{
    const struct sim_process *process = sim_process_current();
    (void)fprintf(stderr, "%12.6f %-10s ", (double)sim_now() / (double)SIM_S,
                  process != NULL ? process->name : "-");
}

void sim_story(const char *format, ...)
{
    if (!told) {
        return;
    }
    va_list args;
    va_start(args, format);
    line_begin();
    (void)vfprintf(stderr, format, args);
    (void)fputc('\n', stderr);
    va_end(args);
}

void dyn_log_init(const char *service, enum dyn_log_level least)
{
    (void)service;
    (void)least;
}

void dyn_log(enum dyn_log_level level, const char *event, const char *fields, ...)
{
    static const char *const levels[] = {"debug", "info", "warn", "error"};
    const struct sim_process *process = sim_process_current();
    if (!told || (process != NULL && process->dying)) {
        return;
    }
    va_list args;
    va_start(args, fields);
    line_begin();
    (void)fprintf(stderr, "%s %s ", levels[level], event);
    (void)vfprintf(stderr, fields, args);
    (void)fputc('\n', stderr);
    va_end(args);
}
