#include "actuator/kill_timer.h"
#include "common/log.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* One a process, like the process that it kills. */
static timer_t timer;
static bool made;

/* Without it a stalled actuator could write beside its successor; with no actuator nothing falls.
 */
static _Noreturn void give_up(const char *what)
{
    dyn_log(DYN_LOG_ERROR, "kill_timer", "msg=\"%s: %s; the actuator does not go on without it\"",
            what, strerror(errno));
    abort();
}

static void make(void)
{
    struct sigevent event;
    memset(&event, 0, sizeof event);
    event.sigev_notify = SIGEV_SIGNAL;
    event.sigev_signo = SIGKILL;
    if (timer_create(CLOCK_BOOTTIME, &event, &timer) != 0) {
        give_up("timer_create");
    }
    made = true;
}

void kill_timer_set(int64_t deadline_ms)
{
    struct itimerspec when;
    memset(&when, 0, sizeof when); /* zero disarms */
    if (!made) {
        make();
    }
    if (deadline_ms != INT64_MAX) {
        when.it_value.tv_sec = deadline_ms > 0 ? deadline_ms / 1000 : 0;
        when.it_value.tv_nsec = deadline_ms > 0 ? deadline_ms % 1000 * 1000000 : 0;
        when.it_value.tv_nsec += when.it_value.tv_sec == 0 && when.it_value.tv_nsec == 0;
    }
    if (timer_settime(timer, TIMER_ABSTIME, &when, NULL) != 0) {
        give_up("timer_settime");
    }
}
