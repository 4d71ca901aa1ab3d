#include "common/pack.h"

#include "common/limits.h"

#include <msgpack.h>

/* Enough for a full batch of samples; a message that needs more makes its zone grow for good. */
#define ZONE_BYTES_MIN ((size_t)32 * 1024)

static int bytes_write(void *data, const char *bytes, size_t len)
{
    return dyn_buf_add(data, bytes, len) == DYN_OK ? 0 : -1;
}

/* A packer is two pointers: made anew for each value, so that writers hold no state of ours. */
static msgpack_packer packer_of(struct dyn_buf *out)
{
    msgpack_packer packer;
    msgpack_packer_init(&packer, out, bytes_write);
    return packer;
}

/* The results of the packing calls are the buffer's, which remembers that it failed. */

void pack_array(struct dyn_buf *out, uint32_t count)
{
    msgpack_packer packer = packer_of(out);
    (void)msgpack_pack_array(&packer, count);
}

void pack_u64(struct dyn_buf *out, uint64_t value)
{
    msgpack_packer packer = packer_of(out);
    (void)msgpack_pack_uint64(&packer, value);
}

void pack_i64(struct dyn_buf *out, int64_t value)
{
    msgpack_packer packer = packer_of(out);
    (void)msgpack_pack_int64(&packer, value);
}

void pack_f64(struct dyn_buf *out, double value)
{
    msgpack_packer packer = packer_of(out);
    (void)msgpack_pack_double(&packer, value);
}

void pack_bool(struct dyn_buf *out, bool value)
{
    msgpack_packer packer = packer_of(out);
    if (value) {
        (void)msgpack_pack_true(&packer);
    } else {
        (void)msgpack_pack_false(&packer);
    }
}

void pack_nil(struct dyn_buf *out)
{
    msgpack_packer packer = packer_of(out);
    (void)msgpack_pack_nil(&packer);
}

void pack_str(struct dyn_buf *out, struct dyn_str value)
{
    msgpack_packer packer = packer_of(out);
    (void)msgpack_pack_str(&packer, value.len);
    if (value.len > 0) {
        (void)msgpack_pack_str_body(&packer, value.ptr, value.len);
    }
}

void pack_text(struct dyn_buf *out, const char *value)
{
    if (value == NULL) {
        pack_nil(out);
        return;
    }
    pack_str(out, dyn_str_from(value));
}

/* ---- what the bytes claim, before anything is reserved for it ---- */

enum shape {
    SHAPE_BAD,
    SHAPE_BYTES,
    SHAPE_ARRAY,
    SHAPE_MAP
};

/* The tags 0xc0 to 0xdf: how many bytes a length takes, how many more follow in any case. */
static const struct {
    uint8_t shape;
    uint8_t length_bytes;
    uint8_t extra;
} tags[32] = {
    {SHAPE_BYTES, 0, 0},  {SHAPE_BAD, 0, 0},   {SHAPE_BYTES, 0, 0},
    {SHAPE_BYTES, 0, 0},                                            /* nil, bool */
    {SHAPE_BYTES, 1, 0},  {SHAPE_BYTES, 2, 0}, {SHAPE_BYTES, 4, 0}, /* bin */
    {SHAPE_BYTES, 1, 1},  {SHAPE_BYTES, 2, 1}, {SHAPE_BYTES, 4, 1}, /* ext */
    {SHAPE_BYTES, 0, 4},  {SHAPE_BYTES, 0, 8},                      /* float */
    {SHAPE_BYTES, 0, 1},  {SHAPE_BYTES, 0, 2}, {SHAPE_BYTES, 0, 4},
    {SHAPE_BYTES, 0, 8}, /* uint */
    {SHAPE_BYTES, 0, 1},  {SHAPE_BYTES, 0, 2}, {SHAPE_BYTES, 0, 4},
    {SHAPE_BYTES, 0, 8}, /* int */
    {SHAPE_BYTES, 0, 2},  {SHAPE_BYTES, 0, 3}, {SHAPE_BYTES, 0, 5},
    {SHAPE_BYTES, 0, 9},                                            /* fixext */
    {SHAPE_BYTES, 0, 17},                                           /* fixext 16 */
    {SHAPE_BYTES, 1, 0},  {SHAPE_BYTES, 2, 0}, {SHAPE_BYTES, 4, 0}, /* str */
    {SHAPE_ARRAY, 2, 0},  {SHAPE_ARRAY, 4, 0}, {SHAPE_MAP, 2, 0},
    {SHAPE_MAP, 4, 0},
};

/* One value's header at bytes[*at]: its shape, and how many bytes or elements it claims. */
static enum shape header_read(struct dyn_str bytes, size_t *at, uint64_t *out_claim)
{
    uint8_t tag = (uint8_t)bytes.ptr[(*at)++];
    *out_claim = 0;
    if (tag < 0x80 || tag >= 0xe0) {
        return SHAPE_BYTES;
    }
    if (tag < 0xc0) {
        *out_claim = tag & (tag >= 0xa0 ? 0x1fu : 0x0fu);
        return tag >= 0xa0 ? SHAPE_BYTES : tag >= 0x90 ? SHAPE_ARRAY : SHAPE_MAP;
    }
    enum shape shape = (enum shape)tags[tag - 0xc0].shape;
    size_t length_bytes = tags[tag - 0xc0].length_bytes;
    if (length_bytes > bytes.len - *at) {
        return SHAPE_BAD;
    }
    uint64_t claim = 0;
    for (size_t i = 0; i < length_bytes; i++) {
        claim = claim << 8 | (uint8_t)bytes.ptr[(*at)++];
    }
    *out_claim = claim + tags[tag - 0xc0].extra;
    return shape;
}

/* One whole value, no deeper than allowed, and nothing claimed that is not there. Tells what
 * msgpack-c will want of its zone. */
static dyn_err bytes_check(struct dyn_str bytes, size_t *out_zone)
{
    uint64_t left[DYN_PACK_DEPTH_MAX + 1] = {1};
    size_t depth = 0;
    size_t at = 0;
    size_t zone = 0;
    for (;;) {
        while (left[depth] == 0) {
            if (depth == 0) {
                *out_zone = zone;
                return at == bytes.len ? DYN_OK : DYN_BADMSG;
            }
            depth--;
        }
        left[depth]--;
        if (at == bytes.len) {
            return DYN_BADMSG;
        }
        uint64_t claim;
        enum shape shape = header_read(bytes, &at, &claim);
        if (shape == SHAPE_MAP) {
            claim *= 2;
        }
        if (shape == SHAPE_BAD || claim > bytes.len - at) {
            return DYN_BADMSG;
        }
        if (shape == SHAPE_BYTES) {
            at += claim;
            continue;
        }
        if (depth == DYN_PACK_DEPTH_MAX) {
            return DYN_BADMSG;
        }
        left[++depth] = claim;
        zone += claim * sizeof(msgpack_object) + MSGPACK_ZONE_ALIGN;
    }
}

/* ---- reading ---- */

struct frame {
    const msgpack_object *next;
    uint32_t left;
};

struct pack_reader {
    msgpack_zone zone;
    size_t zone_bytes;
    msgpack_object root;
    struct frame frames[DYN_PACK_DEPTH_MAX + 1];
    size_t depth;
    dyn_err err;
};

struct pack_reader *pack_reader_new(void)
{
    struct pack_reader *reader = calloc(1, sizeof(*reader));
    if (reader == NULL) {
        return NULL;
    }
    if (!msgpack_zone_init(&reader->zone, ZONE_BYTES_MIN)) {
        free(reader);
        return NULL;
    }
    reader->zone_bytes = ZONE_BYTES_MIN;
    reader->err = DYN_BADMSG; /* nothing started yet */
    return reader;
}

void pack_reader_free(struct pack_reader *reader)
{
    if (reader == NULL) {
        return;
    }
    msgpack_zone_destroy(&reader->zone);
    free(reader);
}

/* An empty zone of at least `bytes` in one piece, so that unpacking never allocates. */
static dyn_err zone_prepare(struct pack_reader *reader, size_t bytes)
{
    if (bytes <= reader->zone_bytes) {
        msgpack_zone_clear(&reader->zone);
        return DYN_OK;
    }
    msgpack_zone larger;
    if (!msgpack_zone_init(&larger, bytes)) {
        return DYN_NOMEM;
    }
    msgpack_zone_destroy(&reader->zone);
    reader->zone = larger;
    reader->zone_bytes = bytes;
    return DYN_OK;
}

static dyn_err message_unpack(struct pack_reader *reader, struct dyn_str bytes)
{
    if (bytes.len > DYN_ENTRY_MAX) {
        return DYN_TOOBIG;
    }
    size_t zone_bytes;
    dyn_err err = bytes_check(bytes, &zone_bytes);
    if (err == DYN_OK) {
        err = zone_prepare(reader, zone_bytes);
    }
    if (err != DYN_OK) {
        return err;
    }
    size_t at = 0;
    if (msgpack_unpack(bytes.ptr, bytes.len, &at, &reader->zone, &reader->root) !=
        MSGPACK_UNPACK_SUCCESS) {
        return DYN_BADMSG;
    }
    return DYN_OK;
}

dyn_err pack_reader_start(struct pack_reader *reader, struct dyn_str bytes)
{
    reader->depth = 0;
    reader->frames[0] = (struct frame){.next = &reader->root, .left = 0};
    reader->err = message_unpack(reader, bytes);
    if (reader->err == DYN_OK) {
        reader->frames[0].left = 1;
    }
    return reader->err;
}

void pack_reader_fail(struct pack_reader *reader, dyn_err err)
{
    DYN_ASSERT(err != DYN_OK);
    if (reader->err == DYN_OK) {
        reader->err = err;
    }
}

/* The next value without taking it; NULL after an error and at the end. */
static const msgpack_object *value_peek(struct pack_reader *reader)
{
    while (reader->depth > 0 && reader->frames[reader->depth].left == 0) {
        reader->depth--;
    }
    if (reader->err != DYN_OK || reader->frames[reader->depth].left == 0) {
        return NULL;
    }
    return reader->frames[reader->depth].next;
}

/* Take the next value; NULL, and the error sticks, when there is none. */
static const msgpack_object *value_take(struct pack_reader *reader)
{
    const msgpack_object *value = value_peek(reader);
    if (value == NULL) {
        pack_reader_fail(reader, DYN_BADMSG);
        return NULL;
    }
    reader->frames[reader->depth].next++;
    reader->frames[reader->depth].left--;
    return value;
}

uint32_t pack_read_array(struct pack_reader *reader, uint32_t min, uint32_t max)
{
    const msgpack_object *value = value_take(reader);
    if (value == NULL || value->type != MSGPACK_OBJECT_ARRAY || value->via.array.size < min ||
        value->via.array.size > max) {
        pack_reader_fail(reader, DYN_BADMSG);
        return 0;
    }
    DYN_ASSERT(reader->depth < DYN_PACK_DEPTH_MAX);
    reader->frames[++reader->depth] =
        (struct frame){.next = value->via.array.ptr, .left = value->via.array.size};
    return value->via.array.size;
}

uint64_t pack_read_u64(struct pack_reader *reader)
{
    const msgpack_object *value = value_take(reader);
    if (value == NULL || value->type != MSGPACK_OBJECT_POSITIVE_INTEGER) {
        pack_reader_fail(reader, DYN_BADMSG);
        return 0;
    }
    return value->via.u64;
}

int64_t pack_read_i64(struct pack_reader *reader)
{
    const msgpack_object *value = value_take(reader);
    if (value != NULL && value->type == MSGPACK_OBJECT_NEGATIVE_INTEGER) {
        return value->via.i64;
    }
    if (value == NULL || value->type != MSGPACK_OBJECT_POSITIVE_INTEGER ||
        value->via.u64 > INT64_MAX) {
        pack_reader_fail(reader, DYN_BADMSG);
        return 0;
    }
    return (int64_t)value->via.u64;
}

int64_t pack_read_range(struct pack_reader *reader, int64_t min, int64_t max)
{
    int64_t value = pack_read_i64(reader);
    if (reader->err != DYN_OK || value < min || value > max) {
        pack_reader_fail(reader, DYN_BADMSG);
        return min;
    }
    return value;
}

double pack_read_f64(struct pack_reader *reader)
{
    const msgpack_object *value = value_take(reader);
    if (value != NULL &&
        (value->type == MSGPACK_OBJECT_FLOAT64 || value->type == MSGPACK_OBJECT_FLOAT32)) {
        return value->via.f64;
    }
    if (value != NULL && value->type == MSGPACK_OBJECT_POSITIVE_INTEGER) {
        return (double)value->via.u64;
    }
    if (value != NULL && value->type == MSGPACK_OBJECT_NEGATIVE_INTEGER) {
        return (double)value->via.i64;
    }
    pack_reader_fail(reader, DYN_BADMSG);
    return 0;
}

bool pack_read_bool(struct pack_reader *reader)
{
    const msgpack_object *value = value_take(reader);
    if (value == NULL || value->type != MSGPACK_OBJECT_BOOLEAN) {
        pack_reader_fail(reader, DYN_BADMSG);
        return false;
    }
    return value->via.boolean;
}

struct dyn_str pack_read_str(struct pack_reader *reader, size_t max)
{
    const msgpack_object *value = value_take(reader);
    if (value == NULL || value->type != MSGPACK_OBJECT_STR || value->via.str.size > max) {
        pack_reader_fail(reader, DYN_BADMSG);
        return (struct dyn_str){"", 0};
    }
    return (struct dyn_str){value->via.str.ptr, value->via.str.size};
}

bool pack_read_nil(struct pack_reader *reader)
{
    const msgpack_object *value = value_peek(reader);
    if (value == NULL || value->type != MSGPACK_OBJECT_NIL) {
        return false;
    }
    (void)value_take(reader);
    return true;
}

void pack_skip(struct pack_reader *reader)
{
    (void)value_take(reader);
}

bool pack_reader_done(const struct pack_reader *reader)
{
    if (reader->err != DYN_OK) {
        return true;
    }
    for (size_t depth = 0; depth <= reader->depth; depth++) {
        if (reader->frames[depth].left > 0) {
            return false;
        }
    }
    return true;
}

dyn_err pack_reader_error(const struct pack_reader *reader)
{
    return reader->err;
}

dyn_err pack_reader_end(const struct pack_reader *reader)
{
    if (reader->err != DYN_OK) {
        return reader->err;
    }
    return pack_reader_done(reader) ? DYN_OK : DYN_BADMSG;
}
