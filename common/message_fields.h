/*
 * message_fields: what the encoders and decoders of all kinds share. For common/message*.c only.
 *
 * Readers follow pack_read_x(): the first error sticks and what they return is then harmless.
 */
#ifndef DYN_COMMON_MESSAGE_FIELDS_H
#define DYN_COMMON_MESSAGE_FIELDS_H

#include "common/message.h"

/** The array's header, schema and kind. `fields` counts what follows the two. */
void fields_begin(struct dyn_buf *out, enum message_kind kind, uint32_t fields);
/** At most `max` bytes of a text. */
void fields_write_cut(struct dyn_buf *out, struct dyn_str text, size_t max);
void fields_write_name(struct dyn_buf *out, struct dyn_str name); /* DYN_NAME_MAX */
void fields_write_id(struct dyn_buf *out, struct entry_id id);
void fields_write_real(struct dyn_buf *out, double value); /* NaN is nil */

struct dyn_str fields_read_name(struct pack_reader *reader);
struct entry_id fields_read_id(struct pack_reader *reader);
double fields_read_real(struct pack_reader *reader); /* finite and >= 0, or NaN for nil */
int64_t fields_read_ms(struct pack_reader *reader);  /* >= 0 */
int32_t fields_read_count(struct pack_reader *reader, int32_t min); /* [min, INT32_MAX] */

#endif
