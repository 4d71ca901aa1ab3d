#include "common/trace.h"

#include "common/clock.h"
#include "common/limits.h"

#include <errno.h>

#define COLUMNS_MAX 256 /* of one line; further ones are not looked at */

/* What is known while a file is read. */
struct reader {
    const char *path;
    const struct trace_options *options;
    struct trace *trace;
    size_t capacity;
    size_t line;
    size_t time_index;
    size_t value_index;
    size_t data_rows; /* usable or not */
    bool named;       /* a column was found by its name: the first line is a header */
};

/* The unquoted text of one field lives here; a longer one is no number and no time. */
struct field {
    char text[64];
    bool whole;
};

static void message_add(struct reader *reader, const char *why, struct dyn_str text)
{
    struct trace *trace = reader->trace;
    if (trace->messages_count == TRACE_MESSAGES_MAX) {
        return;
    }
    char shown[41];
    dyn_str_copy(shown, sizeof shown, text);
    char *message = NULL;
    if (asprintf(&message, "%s:%zu: %s: \"%s\"", reader->path, reader->line, why, shown) >= 0) {
        trace->messages[trace->messages_count++] = message;
    }
}

/* ---- lines and fields ---- */

/* Cut the next line off `rest`, without its end. */
static struct dyn_str line_next(struct dyn_str *rest)
{
    const char *end = memchr(rest->ptr, '\n', rest->len);
    struct dyn_str line = {rest->ptr, end != NULL ? (size_t)(end - rest->ptr) : rest->len};
    size_t used = line.len + (end != NULL ? 1 : 0);
    rest->ptr += used;
    rest->len -= used;
    if (line.len > 0 && line.ptr[line.len - 1] == '\r') {
        line.len--;
    }
    return line;
}

static void field_add(struct field *field, size_t *used, char c)
{
    if (*used + 1 < sizeof field->text) {
        field->text[(*used)++] = c;
    } else {
        field->whole = false;
    }
}

/* Cut the next field off `line`; returns false when none is left. A line of n commas has n + 1. */
static bool field_next(struct dyn_str *line, struct field *out)
{
    if (line->ptr == NULL) {
        return false;
    }
    size_t used = 0;
    size_t at = 0;
    bool quoted = false;
    out->whole = true;
    for (; at < line->len && (quoted || line->ptr[at] != ','); at++) {
        if (line->ptr[at] != '"') {
            field_add(out, &used, line->ptr[at]);
        } else if (quoted && at + 1 < line->len && line->ptr[at + 1] == '"') {
            field_add(out, &used, '"');
            at++;
        } else {
            quoted = !quoted;
        }
    }
    out->text[used] = '\0';
    bool more = at < line->len;
    line->ptr = more ? line->ptr + at + 1 : NULL;
    line->len = more ? line->len - at - 1 : 0;
    return true;
}

/* The field at a 0-based index. */
static bool field_at(struct dyn_str line, size_t index, struct field *out)
{
    bool found = field_next(&line, out);
    for (size_t i = 0; found && i < index; i++) {
        found = field_next(&line, out);
    }
    return found && out->whole;
}

static struct dyn_str field_str(const struct field *field)
{
    return dyn_str_trim(dyn_str_from(field->text));
}

/* ---- columns ---- */

static size_t columns_count(struct dyn_str line)
{
    size_t count = 0;
    struct field field;
    while (count < COLUMNS_MAX && field_next(&line, &field)) {
        count++;
    }
    return count;
}

/* The index of a column that is asked for by name or number. */
static dyn_err column_find(struct reader *reader, struct dyn_str header, const char *wanted,
                           size_t fallback, size_t *out, struct dyn_error *error)
{
    size_t count = columns_count(header);
    struct dyn_str name = dyn_str_from(wanted);
    uint64_t number = 0;
    struct field field;
    for (size_t i = 0; wanted != NULL && i < count; i++) {
        if (field_at(header, i, &field) && dyn_str_eq(field_str(&field), name)) {
            reader->named = true;
            *out = i;
            return DYN_OK;
        }
    }
    size_t index = fallback;
    if (wanted != NULL) {
        if (dyn_str_u64(name, &number) != DYN_OK || number == 0) {
            return dyn_error_set(error, DYN_NOTFOUND, "%s:1: there is no column named \"%s\"",
                                 reader->path, wanted);
        }
        index = number <= COLUMNS_MAX ? (size_t)number - 1 : COLUMNS_MAX;
    }
    if (index >= count) {
        return dyn_error_set(error, DYN_NOTFOUND, "%s:1: column %zu is wanted, but there are %zu",
                             reader->path, index + 1, count);
    }
    *out = index;
    return DYN_OK;
}

static dyn_err columns_find(struct reader *reader, struct dyn_str header, struct dyn_error *error)
{
    const struct trace_options *options = reader->options;
    size_t value_fallback = options->step_ms > 0 && columns_count(header) == 1 ? 0 : 1;
    dyn_err err = column_find(reader, header, options->value_column, value_fallback,
                              &reader->value_index, error);
    if (err == DYN_OK && options->step_ms == 0) {
        err = column_find(reader, header, options->time_column, 0, &reader->time_index, error);
    }
    return err;
}

/* ---- rows ---- */

static dyn_err row_add(struct reader *reader, struct trace_row row)
{
    struct trace *trace = reader->trace;
    if (trace->count == reader->capacity) {
        size_t capacity = reader->capacity == 0 ? 1024 : reader->capacity * 2;
        struct trace_row *rows = realloc(trace->rows, capacity * sizeof *rows);
        if (rows == NULL) {
            return DYN_NOMEM;
        }
        trace->rows = rows;
        reader->capacity = capacity;
    }
    trace->rows[trace->count++] = row;
    return DYN_OK;
}

static bool row_value(const struct reader *reader, struct dyn_str line, double *out)
{
    struct field field;
    double value = 0;
    if (!field_at(line, reader->value_index, &field) ||
        dyn_str_double(field_str(&field), &value) != DYN_OK || value < 0) {
        return false;
    }
    *out = value;
    return true;
}

static bool row_time(const struct reader *reader, struct dyn_str line, int64_t *out_ms)
{
    if (reader->options->step_ms > 0) {
        *out_ms = (int64_t)reader->data_rows * reader->options->step_ms;
        return true;
    }
    struct field field;
    return field_at(line, reader->time_index, &field) &&
           dyn_clock_parse(field_str(&field), out_ms) == DYN_OK;
}

static dyn_err row_read(struct reader *reader, struct dyn_str line)
{
    struct trace *trace = reader->trace;
    struct trace_row row = {0};
    bool good = row_time(reader, line, &row.at_ms) && row_value(reader, line, &row.value);
    reader->data_rows++;
    if (!good) {
        trace->malformed++;
        message_add(reader, "not a time and a number that is not negative", line);
        return DYN_OK;
    }
    if (trace->count > 0 && row.at_ms <= trace->rows[trace->count - 1].at_ms) {
        trace->unordered++;
        message_add(reader, "not later than the row before", line);
        return DYN_OK;
    }
    return row_add(reader, row);
}

/* The first line names the columns when a name was found there, or nothing in it reads as data. */
static bool line_is_header(const struct reader *reader, struct dyn_str line)
{
    struct trace_row row;
    bool timed = reader->options->step_ms == 0 && row_time(reader, line, &row.at_ms);
    return reader->named || (!timed && !row_value(reader, line, &row.value));
}

static dyn_err rows_read(struct reader *reader, struct dyn_str rest, struct dyn_error *error)
{
    if (dyn_str_starts(rest, "\xEF\xBB\xBF")) {
        rest = (struct dyn_str){rest.ptr + 3, rest.len - 3};
    }
    bool first = true;
    while (rest.len > 0) {
        struct dyn_str line = line_next(&rest);
        reader->line++;
        if (dyn_str_trim(line).len == 0) {
            continue;
        }
        if (first) {
            first = false;
            dyn_err err = columns_find(reader, line, error);
            if (err != DYN_OK) {
                return err;
            }
            if (line_is_header(reader, line)) {
                continue;
            }
        }
        if (reader->data_rows == DYN_TRACE_ROWS_MAX) {
            return dyn_error_set(error, DYN_TOOBIG, "%s: more than %d rows", reader->path,
                                 DYN_TRACE_ROWS_MAX);
        }
        if (row_read(reader, line) != DYN_OK) {
            return dyn_error_set(error, DYN_NOMEM, "%s: no memory for its rows", reader->path);
        }
    }
    if (reader->trace->count == 0) {
        return dyn_error_set(
            error, DYN_BADMSG, "%s: no row with a time and a number; %zu skipped%s%s", reader->path,
            reader->trace->malformed, reader->trace->messages_count > 0 ? "; " : "",
            reader->trace->messages_count > 0 ? reader->trace->messages[0] : "");
    }
    return DYN_OK;
}

/* ---- the file ---- */

static dyn_err file_read(const char *path, struct dyn_buf *out, struct dyn_error *error)
{
    FILE *file = fopen(path, "rbe");
    if (file == NULL) {
        return dyn_error_set(error, errno == ENOENT ? DYN_NOTFOUND : DYN_IO, "%s: %s", path,
                             strerror(errno));
    }
    size_t got = 0;
    do {
        char chunk[65536];
        got = fread(chunk, 1, sizeof chunk, file);
        dyn_buf_add(out, chunk, got);
    } while (got > 0 && dyn_buf_result(out) == DYN_OK);
    bool broken = ferror(file) != 0;
    fclose(file);
    if (broken) {
        return dyn_error_set(error, DYN_IO, "%s: cannot be read", path);
    }
    dyn_err err = dyn_buf_result(out);
    if (err != DYN_OK) {
        return dyn_error_set(error, err, "%s: over %d bytes, or no memory for it", path,
                             DYN_TRACE_FILE_MAX);
    }
    return DYN_OK;
}

struct trace *trace_load(const char *path, const struct trace_options *options,
                         struct dyn_error *error)
{
    DYN_ASSERT(options->step_ms >= 0);
    struct dyn_buf bytes;
    dyn_buf_init(&bytes, DYN_TRACE_FILE_MAX);
    struct trace *trace = calloc(1, sizeof *trace);
    struct reader reader = {.path = path, .options = options, .trace = trace};
    if (trace == NULL) {
        dyn_error_set(error, DYN_NOMEM, "%s: no memory", path);
        goto fail;
    }
    if (file_read(path, &bytes, error) != DYN_OK) {
        goto fail;
    }
    if (rows_read(&reader, dyn_buf_str(&bytes), error) != DYN_OK) {
        goto fail;
    }
    dyn_buf_fini(&bytes);
    return trace;

fail:
    dyn_buf_fini(&bytes);
    trace_free(trace);
    return NULL;
}

void trace_free(struct trace *trace)
{
    if (trace == NULL) {
        return;
    }
    for (size_t i = 0; i < trace->messages_count; i++) {
        free(trace->messages[i]);
    }
    free(trace->rows);
    free(trace);
}

int64_t trace_length_ms(const struct trace *trace)
{
    const struct trace_row *last = &trace->rows[trace->count - 1];
    int64_t step = trace->count > 1 ? last->at_ms - last[-1].at_ms : 1;
    return last->at_ms - trace->rows[0].at_ms + step;
}

double trace_value(const struct trace *trace, int64_t clock_ms)
{
    DYN_ASSERT(trace->count > 0);
    size_t low = 0; /* the row in force lies in [low, high) */
    size_t high = trace->count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (trace->rows[middle].at_ms - trace->rows[0].at_ms <= clock_ms) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return trace->rows[low].value;
}
