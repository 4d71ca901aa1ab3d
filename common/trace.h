/*
 * trace: a recorded series read from a CSV file, for the `csv` source and for simulations.
 *
 * A row is a time and a value. Times are Unix seconds or `YYYY-MM-DD[ T]HH:MM:SS` in UTC; or the
 * rows stand a fixed step apart and no time is read. The first line may name the columns; fields
 * may be quoted, and a quoted field does not span lines. A row that cannot be read, or whose time
 * is not later than that of the row before, is skipped, counted, and told with its line number.
 *
 * Invariants: at_ms rises from row to row; values are finite and not negative; count > 0.
 * Threads:    immutable once loaded.
 */
#ifndef DYN_COMMON_TRACE_H
#define DYN_COMMON_TRACE_H

#include "common/str.h"

#define TRACE_MESSAGES_MAX 8 /* skipped rows told one by one; all are counted */

struct trace_options {
    const char *time_column;  /* a name or a 1-based number; NULL: the first */
    const char *value_column; /* a name or a 1-based number; NULL: the second, or the only one
                                 where there is a step */
    int64_t step_ms;          /* > 0: row n stands at n * step_ms, skipped rows counted along */
};

struct trace_row {
    int64_t at_ms; /* Unix ms, or since the first row where there is a step */
    double value;
};

struct trace {
    struct trace_row *rows;
    size_t count;
    size_t malformed; /* rows skipped because they could not be read */
    size_t unordered; /* rows skipped because they were not later than the one before */
    char *messages[TRACE_MESSAGES_MAX]; /* "FILE:LINE: why" */
    size_t messages_count;
};

/** NULL and words when the file cannot be read, is over DYN_TRACE_FILE_MAX bytes or
 *  DYN_TRACE_ROWS_MAX rows, has no such column, or no row that can be used. */
struct trace *trace_load(const char *path, const struct trace_options *options,
                         struct dyn_error *error);
void trace_free(struct trace *trace);

/** How long the trace lasts: to its last row, and that row for as long as the one before it. */
int64_t trace_length_ms(const struct trace *trace);

/** The value in force `clock_ms` after the first row; the first's before, the last's behind. */
double trace_value(const struct trace *trace, int64_t clock_ms);

#endif
