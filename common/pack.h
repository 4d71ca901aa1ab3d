/*
 * pack: msgpack with bounds. Known to this file alone: msgpack-c.
 *
 * Writing appends to a dyn_buf, whose maximum bounds the message. Reading goes over a message in
 * order and expects what the schema has; the first error sticks, later reads give zero values, and
 * one check at the end (pack_reader_end) tells. pack_reader_start() walks the bytes first and
 * compares every claimed length and count with the bytes that are left, so that nothing is
 * reserved for what is not there.
 *
 * Ownership: texts and byte strings that are read borrow from the message's bytes.
 * Threads: a reader or writer belongs to one thread.
 */
#ifndef DYN_COMMON_PACK_H
#define DYN_COMMON_PACK_H

#include "common/str.h"

void pack_array(struct dyn_buf *out, uint32_t count); /* `count` values follow */
void pack_u64(struct dyn_buf *out, uint64_t value);
void pack_i64(struct dyn_buf *out, int64_t value);
void pack_f64(struct dyn_buf *out, double value); /* always 9 bytes: bit for bit */
void pack_bool(struct dyn_buf *out, bool value);
void pack_nil(struct dyn_buf *out);
void pack_str(struct dyn_buf *out, struct dyn_str value);
void pack_text(struct dyn_buf *out, const char *value); /* NULL becomes nil */

struct pack_reader;

struct pack_reader *pack_reader_new(void); /* keeps its memory from message to message */
void pack_reader_free(struct pack_reader *reader);
/** DYN_BADMSG: not one whole msgpack value of at most DYN_PACK_DEPTH_MAX levels; DYN_TOOBIG: over
 *  DYN_ENTRY_MAX. The bytes must live until the last read. */
DYN_NODISCARD dyn_err pack_reader_start(struct pack_reader *reader, struct dyn_str bytes);
/** An array header; its count, which must lie in [min, max]. */
uint32_t pack_read_array(struct pack_reader *reader, uint32_t min, uint32_t max);
uint64_t pack_read_u64(struct pack_reader *reader);
int64_t pack_read_i64(struct pack_reader *reader);
/** A signed number that must lie in [min, max]; `min` when it does not. */
int64_t pack_read_range(struct pack_reader *reader, int64_t min, int64_t max);
double
pack_read_f64(struct pack_reader *reader); /* integers are taken too; NaN and infinity pass */
bool pack_read_bool(struct pack_reader *reader);
struct dyn_str pack_read_str(struct pack_reader *reader, size_t max);
bool pack_read_nil(struct pack_reader *reader); /* true and consumed when the next value is nil */
void pack_skip(struct pack_reader *reader);     /* any one value */
/** Every value of the outermost array has been read, or an error sticks. */
bool pack_reader_done(const struct pack_reader *reader);
/** What was read makes no sense to the schema: `err` sticks unless another does already. */
void pack_reader_fail(struct pack_reader *reader, dyn_err err);
DYN_NODISCARD dyn_err pack_reader_error(const struct pack_reader *reader); /* the sticky error */
/** The sticky error; DYN_BADMSG when values are left unread in the outermost array. */
DYN_NODISCARD dyn_err pack_reader_end(const struct pack_reader *reader);

#endif
