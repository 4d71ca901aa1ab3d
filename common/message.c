#include "common/message.h"

#include "common/message_fields.h"

#include <inttypes.h>
#include <math.h>

/* No kind has as many fields at its top level; each reader checks its own number. */
#define FIELDS_MAX 64

enum message_kind message_read_kind(struct pack_reader *reader)
{
    (void)pack_read_array(reader, 2, FIELDS_MAX);
    if (pack_read_u64(reader) != MESSAGE_SCHEMA) {
        pack_reader_fail(reader, DYN_UNSUPPORTED);
    }
    int64_t kind = pack_read_range(reader, 0, MESSAGE_COMMAND);
    if (kind == 0) {
        pack_reader_fail(reader, DYN_BADMSG);
    }
    return (enum message_kind)kind;
}

/* ---- entry IDs ---- */

int entry_id_compare(struct entry_id a, struct entry_id b)
{
    if (a.ms != b.ms) {
        return a.ms < b.ms ? -1 : 1;
    }
    return a.seq == b.seq ? 0 : a.seq < b.seq ? -1 : 1;
}

void entry_id_format(struct entry_id id, char *out, size_t size)
{
    (void)snprintf(out, size, "%" PRIu64 "-%" PRIu64, id.ms, id.seq);
}

dyn_err entry_id_parse(struct dyn_str text, struct entry_id *out)
{
    const char *dash = text.len > 0 ? memchr(text.ptr, '-', text.len) : NULL;
    if (dash == NULL) {
        return DYN_BADMSG;
    }
    size_t ms_len = (size_t)(dash - text.ptr);
    struct entry_id id;
    dyn_err err = dyn_str_u64((struct dyn_str){text.ptr, ms_len}, &id.ms);
    if (err == DYN_OK) {
        err = dyn_str_u64((struct dyn_str){dash + 1, text.len - ms_len - 1}, &id.seq);
    }
    if (err == DYN_OK) {
        *out = id;
    }
    return err;
}

/* ---- what all kinds share ---- */

void fields_begin(struct dyn_buf *out, enum message_kind kind, uint32_t fields)
{
    DYN_ASSERT(fields + 2 <= FIELDS_MAX);
    pack_array(out, fields + 2);
    pack_u64(out, MESSAGE_SCHEMA);
    pack_u64(out, (uint64_t)kind);
}

void fields_write_cut(struct dyn_buf *out, struct dyn_str text, size_t max)
{
    if (text.len > max) {
        text.len = max;
        /* Not in the middle of a character: bytes 10xxxxxx continue one. */
        while (text.len > 0 && ((uint8_t)text.ptr[text.len] & 0xc0) == 0x80) {
            text.len--;
        }
    }
    pack_str(out, text);
}

void fields_write_name(struct dyn_buf *out, struct dyn_str name)
{
    fields_write_cut(out, name, DYN_NAME_MAX);
}

void fields_write_id(struct dyn_buf *out, struct entry_id id)
{
    pack_u64(out, id.ms);
    pack_u64(out, id.seq);
}

void fields_write_real(struct dyn_buf *out, double value)
{
    if (isnan(value)) {
        pack_nil(out);
    } else {
        pack_f64(out, value);
    }
}

struct dyn_str fields_read_name(struct pack_reader *reader)
{
    return pack_read_str(reader, DYN_NAME_MAX);
}

struct entry_id fields_read_id(struct pack_reader *reader)
{
    struct entry_id id;
    id.ms = pack_read_u64(reader);
    id.seq = pack_read_u64(reader);
    return id;
}

double fields_read_real(struct pack_reader *reader)
{
    if (pack_read_nil(reader)) {
        return (double)NAN;
    }
    double value = pack_read_f64(reader);
    if (!isfinite(value) || value < 0) {
        pack_reader_fail(reader, DYN_BADMSG);
        return (double)NAN;
    }
    return value;
}

int64_t fields_read_ms(struct pack_reader *reader)
{
    return pack_read_range(reader, 0, INT64_MAX);
}

int32_t fields_read_count(struct pack_reader *reader, int32_t min)
{
    return (int32_t)pack_read_range(reader, min, INT32_MAX);
}
