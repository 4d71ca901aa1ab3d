/* CSV files: the first byte chooses how the file is read, the rest is the file. Whatever comes, the
 * rows that are kept rise in time and hold finite numbers that are not negative. */
#include "common/trace.h"

#include <math.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void trace_check(const struct trace *trace)
{
    DYN_ASSERT(trace->count > 0);
    for (size_t i = 0; i < trace->count; i++) {
        const struct trace_row *row = &trace->rows[i];
        DYN_ASSERT(isfinite(row->value) && row->value >= 0);
        DYN_ASSERT(row->at_ms >= 0);
        DYN_ASSERT(i == 0 || row->at_ms > row[-1].at_ms);
        double value = trace_value(trace, row->at_ms - trace->rows[0].at_ms);
        DYN_ASSERT(value >= row->value && value <= row->value);
    }
    DYN_ASSERT(trace_length_ms(trace) > 0);
    (void)trace_value(trace, -1);
    (void)trace_value(trace, INT64_MAX);
    DYN_ASSERT(trace->messages_count <= TRACE_MESSAGES_MAX);
    DYN_ASSERT(trace->messages_count <= trace->malformed + trace->unordered);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct trace_options ways[] = {
        {.step_ms = 0},
        {.step_ms = 10000},
        {.time_column = "at", .value_column = "rpm"},
        {.time_column = "2", .value_column = "1"},
        {.value_column = "3", .step_ms = 1},
    };
    char path[32];
    struct dyn_error error = {""};
    if (size == 0) {
        return 0;
    }
    int fd = memfd_create("trace", MFD_CLOEXEC);
    DYN_ASSERT(fd >= 0);
    ssize_t written = write(fd, data + 1, size - 1);
    DYN_ASSERT(written == (ssize_t)size - 1);
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    struct trace *trace = trace_load(path, &ways[data[0] % (sizeof ways / sizeof *ways)], &error);
    if (trace != NULL) {
        trace_check(trace);
    } else {
        DYN_ASSERT(error.text[0] != '\0');
    }
    trace_free(trace);
    (void)close(fd);
    return 0;
}
