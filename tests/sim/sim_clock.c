/* common/clock.h: the clocks of the host of the process that runs; outside of all, right ones. */
#include "tests/sim/sim_internal.h"

#include "common/clock.h"

static struct sim_random bits;
static struct sim_random jitter;

void sim_clock_begin(void)
{
    bits = sim_random_of("dyn_random");
    jitter = sim_random_of("timers");
}

struct sim_random *sim_jitter(void)
{
    return &jitter;
}

static const struct sim_host *host_of_now(void)
{
    static const struct sim_host right = {0};
    struct sim_process *process = sim_process_current();
    return process != NULL ? process->host : &right;
}

int64_t dyn_clock_boot_ns(void)
{
    return sim_host_boot_us(host_of_now()) * 1000;
}

int64_t dyn_clock_boot_ms(void)
{
    return sim_host_boot_us(host_of_now()) / SIM_MS;
}

int64_t dyn_clock_wall_ms(void)
{
    return sim_host_wall_us(host_of_now()) / SIM_MS;
}

uint64_t dyn_random(void)
{
    return sim_random_bits(&bits);
}
