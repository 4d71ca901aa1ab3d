/* What the `reports` streams carry: numbers for the statistics' sinks, and what runs. */
#include "common/message.h"

#include "common/message_fields.h"

#define REPORT_FIELDS 3       /* controller, estimate, inputs */
#define REPORT_INPUT_FIELDS 4 /* series, value, max, estimate */
/* A report takes at least 3 bytes of an entry. */
#define REPORTS_MAX (DYN_ENTRY_MAX / REPORT_FIELDS)

void message_begin_reports(struct dyn_buf *out, int64_t log_ms, uint32_t reports_count)
{
    DYN_ASSERT(reports_count <= REPORTS_MAX);
    fields_begin(out, MESSAGE_REPORT, 2);
    pack_i64(out, log_ms);
    pack_array(out, reports_count * REPORT_FIELDS);
}

void message_add_report(struct dyn_buf *out, const struct report *report)
{
    DYN_ASSERT(report->inputs_count <= DYN_CONFIG_INPUTS_MAX);
    pack_u64(out, report->controller);
    pack_i64(out, report->estimate);
    pack_array(out, report->inputs_count * REPORT_INPUT_FIELDS);
    for (uint32_t i = 0; i < report->inputs_count; i++) {
        const struct report_input *input = &report->inputs[i];
        pack_u64(out, input->series);
        fields_write_real(out, input->value);
        fields_write_real(out, input->max);
        pack_i64(out, input->estimate);
    }
}

dyn_err message_read_reports(struct pack_reader *reader, int64_t *out_log_ms, uint32_t *out_reports)
{
    int64_t log_ms = fields_read_ms(reader);
    uint32_t fields = pack_read_array(reader, 0, REPORTS_MAX * REPORT_FIELDS);
    if (fields % REPORT_FIELDS != 0) {
        pack_reader_fail(reader, DYN_BADMSG);
    }
    dyn_err err = pack_reader_error(reader);
    if (err == DYN_OK) {
        *out_log_ms = log_ms;
        *out_reports = fields / REPORT_FIELDS;
    }
    return err;
}

dyn_err message_read_report(struct pack_reader *reader, struct report *out)
{
    if (pack_reader_done(reader)) {
        dyn_err err = pack_reader_error(reader);
        return err == DYN_OK ? DYN_NOTFOUND : err;
    }
    out->controller = pack_read_u64(reader);
    out->estimate = fields_read_count(reader, -1);
    uint32_t fields = pack_read_array(reader, 0, DYN_CONFIG_INPUTS_MAX * REPORT_INPUT_FIELDS);
    if (fields % REPORT_INPUT_FIELDS != 0) {
        pack_reader_fail(reader, DYN_BADMSG);
    }
    out->inputs_count = fields / REPORT_INPUT_FIELDS;
    for (uint32_t i = 0; i < out->inputs_count; i++) {
        struct report_input *input = &out->inputs[i];
        input->series = pack_read_u64(reader);
        input->value = fields_read_real(reader);
        input->max = fields_read_real(reader);
        input->estimate = fields_read_count(reader, -1);
    }
    return pack_reader_error(reader);
}

void message_write_actual(struct dyn_buf *out, const struct actual *actual)
{
    fields_begin(out, MESSAGE_ACTUAL, 8);
    pack_u64(out, actual->controller);
    pack_i64(out, actual->wall_ms);
    pack_i64(out, actual->running);
    pack_i64(out, actual->target);
    pack_bool(out, actual->raise_only);
    pack_u64(out, (uint64_t)actual->guard);
    pack_i64(out, actual->until_ms);
    fields_write_cut(out, actual->words, DYN_ERROR_TEXT_MAX);
}

dyn_err message_read_actual(struct pack_reader *reader, struct actual *out)
{
    out->controller = pack_read_u64(reader);
    out->wall_ms = fields_read_ms(reader);
    out->running = fields_read_count(reader, -1);
    out->target = fields_read_count(reader, -1);
    out->raise_only = pack_read_bool(reader);
    out->guard = (enum guard)pack_read_range(reader, GUARD_NONE, GUARD_COUNT - 1);
    out->until_ms = fields_read_ms(reader);
    out->words = pack_read_str(reader, DYN_ERROR_TEXT_MAX);
    return pack_reader_end(reader);
}
