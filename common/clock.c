#include "common/clock.h"

#include <time.h>

static struct timespec clock_read(clockid_t id)
{
    struct timespec at = {0};
    int failed = clock_gettime(id, &at);
    DYN_ASSERT(failed == 0);
    return at;
}

int64_t dyn_clock_boot_ns(void)
{
    struct timespec at = clock_read(CLOCK_BOOTTIME);
    return (int64_t)at.tv_sec * 1000000000 + at.tv_nsec;
}

int64_t dyn_clock_boot_ms(void)
{
    return dyn_clock_boot_ns() / 1000000;
}

int64_t dyn_clock_wall_ms(void)
{
    struct timespec at = clock_read(CLOCK_REALTIME);
    return (int64_t)at.tv_sec * 1000 + at.tv_nsec / 1000000;
}

uint64_t dyn_random(void)
{
    uint64_t bits = 0;
    arc4random_buf(&bits, sizeof bits);
    return bits;
}
