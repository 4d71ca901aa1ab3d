/*
 * kill_timer: the end of this process at a deadline, whatever state it is in.
 *
 * Heroku cannot check an epoch. So a process that was stopped, swapped out or frozen while it held
 * a lease must never wake as if it still did: a POSIX timer of the kernel's sends it SIGKILL, which
 * also ends a stopped process, and waiting for CLOCK_BOOTTIME counts a suspended machine's sleep.
 * In PID 1 of a container SIGKILL does nothing; a service forks its worker there (service.h).
 *
 * Threads: the loop thread only. The simulator has its own version of this file.
 */
#ifndef DYN_ACTUATOR_KILL_TIMER_H
#define DYN_ACTUATOR_KILL_TIMER_H

#include <stdint.h>

/** SIGKILL at `deadline_ms` of the boot clock in place of any time before; INT64_MAX: not at all.
 */
void kill_timer_set(int64_t deadline_ms);

#endif
