/*
 * clock_shim: a wall clock that steps at run time, for a program that knows nothing of it.
 *
 * LD_PRELOAD=clock_shim.so DYN_TEST_CLOCK=FILE program
 *
 * FILE holds one int64_t, nanoseconds that are added to the wall clock, and stays mapped: whoever
 * writes the file steps the clock of every program that has it. Elapsed time (CLOCK_MONOTONIC,
 * CLOCK_BOOTTIME and the rest) is the kernel's. The real time comes by system call, so that
 * nothing is looked up while a program is still being loaded.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define SECOND_NS INT64_C(1000000000)

static const _Atomic int64_t *offset;

__attribute__((constructor)) static void shim_init(void)
{
    const char *path = getenv("DYN_TEST_CLOCK");
    int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0) {
        return;
    }
    void *map = mmap(NULL, sizeof *offset, PROT_READ, MAP_SHARED, fd, 0);
    offset = map != MAP_FAILED ? map : NULL;
    (void)close(fd);
}

static int64_t offset_ns(void)
{
    return offset != NULL ? atomic_load_explicit(offset, memory_order_relaxed) : 0;
}

int clock_gettime(clockid_t id, struct timespec *at)
{
    int result = (int)syscall(SYS_clock_gettime, id, at);
    if (result == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) {
        int64_t ns = (int64_t)at->tv_sec * SECOND_NS + at->tv_nsec + offset_ns();
        at->tv_sec = (time_t)(ns / SECOND_NS);
        at->tv_nsec = (long)(ns % SECOND_NS);
    }
    return result;
}

int gettimeofday(struct timeval *restrict at, void *restrict zone)
{
    struct timespec now = {0};
    (void)zone;
    int result = clock_gettime(CLOCK_REALTIME, &now);
    *at = (struct timeval){now.tv_sec, now.tv_nsec / 1000};
    return result;
}

time_t time(time_t *out)
{
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_REALTIME, &now);
    if (out != NULL) {
        *out = now.tv_sec;
    }
    return now.tv_sec;
}
