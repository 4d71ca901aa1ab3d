/* What the `targets` streams and `newest` carry: targets with their stories, and marks. */
#include "common/message.h"

#include "common/message_fields.h"

#define STORY_FIELDS 10

static void story_write(struct dyn_buf *out, const struct input_story *story)
{
    pack_array(out, STORY_FIELDS);
    fields_write_name(out, story->name);
    fields_write_real(out, story->value);
    pack_i64(out, story->value_at);
    fields_write_real(out, story->max);
    pack_i64(out, story->max_until);
    pack_i64(out, story->estimate);
    pack_u64(out, (uint64_t)story->health);
    pack_u64(out, (uint64_t)story->cover);
    pack_i64(out, story->covered_at);
    fields_write_cut(out, story->reason, DYN_REASON_MAX);
}

void message_write_target(struct dyn_buf *out, const struct target *target)
{
    DYN_ASSERT(target->inputs_count <= DYN_CONFIG_INPUTS_MAX);
    DYN_ASSERT(target->rung > 0);
    fields_begin(out, MESSAGE_TARGET, 13);
    pack_u64(out, target->controller);
    fields_write_name(out, target->app);
    fields_write_name(out, target->name);
    pack_i64(out, target->rung);
    pack_bool(out, target->raise_only);
    pack_u64(out, (uint64_t)target->reason);
    pack_i64(out, target->estimate);
    fields_write_id(out, target->decided);
    pack_i64(out, target->log_ms);
    pack_u64(out, target->epoch);
    pack_u64(out, target->config);
    pack_array(out, target->inputs_count);
    for (uint32_t i = 0; i < target->inputs_count; i++) {
        story_write(out, &target->inputs[i]);
    }
}

static void story_read(struct pack_reader *reader, struct input_story *out)
{
    (void)pack_read_array(reader, STORY_FIELDS, STORY_FIELDS);
    out->name = fields_read_name(reader);
    out->value = fields_read_real(reader);
    out->value_at = fields_read_ms(reader);
    out->max = fields_read_real(reader);
    out->max_until = fields_read_ms(reader);
    out->estimate = fields_read_count(reader, -1);
    out->health = (enum input_health)pack_read_range(reader, INPUT_NEVER, INPUT_OUTAGE);
    out->cover = (enum input_cover)pack_read_range(reader, COVER_YES, COVER_FALLBACK);
    out->covered_at = fields_read_ms(reader);
    out->reason = pack_read_str(reader, DYN_REASON_MAX);
}

dyn_err message_read_target(struct pack_reader *reader, struct target *out)
{
    out->controller = pack_read_u64(reader);
    out->app = fields_read_name(reader);
    out->name = fields_read_name(reader);
    out->rung = fields_read_count(reader, 1);
    out->raise_only = pack_read_bool(reader);
    out->reason = (enum target_reason)pack_read_range(reader, TARGET_DEMAND, TARGET_PINNED);
    out->estimate = fields_read_count(reader, -1);
    out->decided = fields_read_id(reader);
    out->log_ms = fields_read_ms(reader);
    out->epoch = pack_read_u64(reader);
    out->config = pack_read_u64(reader);
    out->inputs_count = pack_read_array(reader, 0, DYN_CONFIG_INPUTS_MAX);
    for (uint32_t i = 0; i < out->inputs_count; i++) {
        story_read(reader, &out->inputs[i]);
    }
    return pack_reader_end(reader);
}

void message_write_mark(struct dyn_buf *out, const struct mark *mark)
{
    DYN_ASSERT(mark->partition < DYN_PARTITIONS_MAX);
    fields_begin(out, MESSAGE_MARK, 5);
    pack_u64(out, mark->partition);
    pack_u64(out, mark->epoch);
    fields_write_id(out, mark->folded);
    pack_u64(out, mark->config);
}

dyn_err message_read_mark(struct pack_reader *reader, struct mark *out)
{
    out->partition = (uint32_t)pack_read_range(reader, 0, DYN_PARTITIONS_MAX - 1);
    out->epoch = pack_read_u64(reader);
    out->folded = fields_read_id(reader);
    out->config = pack_read_u64(reader);
    return pack_reader_end(reader);
}
