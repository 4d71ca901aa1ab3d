#include "support_clock.h"

#include <check.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct support_clock {
    char path[128];
    _Atomic int64_t *offset_ns;
};

struct support_clock *support_clock_new(void)
{
    struct support_clock *clock = calloc(1, sizeof *clock);
    ck_assert_ptr_nonnull(clock);
    const char *folder = getenv("DYN_TEST_FOLDER");
    (void)snprintf(clock->path, sizeof clock->path, "%s/dyn-clock-XXXXXX",
                   folder != NULL ? folder : "/tmp");
    int fd = mkostemp(clock->path, O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(ftruncate(fd, sizeof *clock->offset_ns), 0);
    void *map = mmap(NULL, sizeof *clock->offset_ns, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    ck_assert(map != MAP_FAILED);
    (void)close(fd);
    clock->offset_ns = map;
    return clock;
}

void support_clock_free(struct support_clock *clock)
{
    if (clock == NULL) {
        return;
    }
    (void)munmap(clock->offset_ns, sizeof *clock->offset_ns);
    (void)unlink(clock->path);
    free(clock);
}

void support_clock_set(struct support_clock *clock, int64_t offset_ms)
{
    atomic_store(clock->offset_ns, offset_ms * 1000000);
}

int64_t support_clock_offset(const struct support_clock *clock)
{
    return atomic_load(clock->offset_ns) / 1000000;
}

void support_clock_lend(const struct support_clock *clock)
{
    char shim[1024];
    const char *build = getenv("DYN_BUILD");
    if (clock == NULL) {
        return;
    }
    (void)snprintf(shim, sizeof shim, "%s/tests/clock_shim.so", build != NULL ? build : ".");
    ck_assert_msg(access(shim, R_OK) == 0, "%s is not there", shim);
    /* The address sanitizer wants to be loaded first; a shim that calls the kernel may. */
    ck_assert_int_eq(setenv("ASAN_OPTIONS", "detect_leaks=1:verify_asan_link_order=0", 1), 0);
    ck_assert_int_eq(setenv("LD_PRELOAD", shim, 1), 0);
    ck_assert_int_eq(setenv("DYN_TEST_CLOCK", clock->path, 1), 0);
}

void support_clock_end(void)
{
    (void)unsetenv("LD_PRELOAD");
    (void)unsetenv("DYN_TEST_CLOCK");
}
