/* What the `values` streams carry: batches of samples, and ticks. */
#include "common/message.h"

#include "common/message_fields.h"

#include <math.h>

#define SAMPLE_FIELDS 4
#define PIN_FIELDS 3

/* ---- batches ---- */

static void sample_write(struct dyn_buf *out, const struct sample *sample)
{
    pack_u64(out, sample->series);
    pack_i64(out, sample->age_ms);
    pack_u64(out, (uint64_t)sample->status);
    if (sample->status == SAMPLE_GOOD) {
        pack_f64(out, sample->value);
    } else {
        fields_write_cut(out, sample->reason, DYN_REASON_MAX);
    }
}

void message_write_batch(struct dyn_buf *out, const struct batch *batch,
                         const struct sample *samples)
{
    DYN_ASSERT(batch->count <= DYN_BATCH_SAMPLES_MAX);
    fields_begin(out, MESSAGE_BATCH, 4);
    fields_write_name(out, batch->member);
    pack_u64(out, batch->seq);
    pack_u64(out, batch->lost);
    pack_array(out, batch->count * SAMPLE_FIELDS);
    for (uint32_t i = 0; i < batch->count; i++) {
        sample_write(out, &samples[i]);
    }
}

static void sample_spoil(struct sample *sample, struct dyn_str reason)
{
    sample->status = SAMPLE_ERROR;
    sample->value = 0;
    sample->reason = reason;
}

/* A text of any length that a message can hold, cut to what a reason may be. */
static struct dyn_str reason_read(struct pack_reader *reader)
{
    struct dyn_str reason = pack_read_str(reader, DYN_ENTRY_MAX);
    if (reason.len > DYN_REASON_MAX) {
        reason.len = DYN_REASON_MAX;
    }
    return reason;
}

/* One writer's mistake spoils one sample: its numbers are judged here, its types by the reader. */
static void sample_read(struct pack_reader *reader, struct sample *out)
{
    out->series = pack_read_u64(reader);
    out->age_ms = pack_read_i64(reader);
    uint64_t status = pack_read_u64(reader);
    out->status = status < SAMPLE_STATUS_COUNT ? (enum sample_status)status : SAMPLE_ERROR;
    out->value = 0;
    out->reason = DYN_STR("");
    if (out->status == SAMPLE_GOOD) {
        out->value = pack_read_f64(reader);
        if (!isfinite(out->value) || out->value < 0) {
            sample_spoil(out, DYN_STR("the value is not a finite number of at least 0"));
        }
    } else {
        out->reason = reason_read(reader);
    }
    if (out->age_ms < 0 || out->age_ms > SAMPLE_AGE_MAX_MS) {
        out->age_ms = out->age_ms < 0 ? 0 : SAMPLE_AGE_MAX_MS;
        sample_spoil(out, DYN_STR("the age is out of range"));
    }
}

dyn_err message_read_batch(struct pack_reader *reader, struct batch *out,
                           struct sample *out_samples)
{
    out->member = fields_read_name(reader);
    out->seq = pack_read_u64(reader);
    out->lost = pack_read_u64(reader);
    if (out->member.len == 0 || out->seq == 0) {
        pack_reader_fail(reader, DYN_BADMSG);
    }
    uint32_t fields = pack_read_array(reader, 0, DYN_BATCH_SAMPLES_MAX * SAMPLE_FIELDS);
    if (fields % SAMPLE_FIELDS != 0) {
        pack_reader_fail(reader, DYN_BADMSG);
    }
    out->count = fields / SAMPLE_FIELDS;
    for (uint32_t i = 0; i < out->count; i++) {
        sample_read(reader, &out_samples[i]);
    }
    return pack_reader_end(reader);
}

/* ---- ticks ---- */

void message_write_tick(struct dyn_buf *out, const struct tick *tick)
{
    DYN_ASSERT(tick->pins_count <= DYN_PINS_MAX);
    fields_begin(out, MESSAGE_TICK, 7);
    pack_u64(out, tick->epoch);
    pack_i64(out, tick->elapsed_ms);
    pack_u64(out, tick->config);
    pack_u64(out, tick->breaks);
    fields_write_id(out, tick->from);
    pack_array(out, tick->pins_count * PIN_FIELDS);
    for (uint32_t i = 0; i < tick->pins_count; i++) {
        pack_u64(out, tick->pins[i].controller);
        pack_i64(out, tick->pins[i].rung);
        pack_i64(out, tick->pins[i].until_ms);
    }
}

dyn_err message_read_tick(struct pack_reader *reader, struct tick *out)
{
    out->epoch = pack_read_u64(reader);
    out->elapsed_ms = pack_read_range(reader, 0, TICK_ELAPSED_MAX_MS);
    out->config = pack_read_u64(reader);
    out->breaks = (uint32_t)pack_read_range(reader, BREAK_NONE, BREAK_REDIS);
    out->from = fields_read_id(reader);
    uint32_t fields = pack_read_array(reader, 0, DYN_PINS_MAX * PIN_FIELDS);
    if (fields % PIN_FIELDS != 0) {
        pack_reader_fail(reader, DYN_BADMSG);
    }
    out->pins_count = fields / PIN_FIELDS;
    for (uint32_t i = 0; i < out->pins_count; i++) {
        out->pins[i].controller = pack_read_u64(reader);
        out->pins[i].rung = fields_read_count(reader, 1);
        out->pins[i].until_ms = fields_read_ms(reader);
    }
    return pack_reader_end(reader);
}
