/* Every decoder, fed with anything: no crash, no leak, nothing reserved for what is not there. */
#include "common/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void reports_read(struct pack_reader *reader)
{
    int64_t log_ms;
    uint32_t count;
    static struct report report;
    if (message_read_reports(reader, &log_ms, &count) == DYN_OK) {
        while (message_read_report(reader, &report) == DYN_OK) {
        }
    }
}

static dyn_err message_read(struct pack_reader *reader, enum message_kind kind)
{
    static union {
        struct batch batch;
        struct tick tick;
        struct target target;
        struct mark mark;
        struct actual actual;
        struct event event;
        struct action action;
        struct intent intent;
        struct command command;
    } out;
    static struct sample samples[DYN_BATCH_SAMPLES_MAX];
    switch (kind) {
    case MESSAGE_BATCH:
        return message_read_batch(reader, &out.batch, samples);
    case MESSAGE_TICK:
        return message_read_tick(reader, &out.tick);
    case MESSAGE_TARGET:
        return message_read_target(reader, &out.target);
    case MESSAGE_MARK:
        return message_read_mark(reader, &out.mark);
    case MESSAGE_REPORT:
        reports_read(reader);
        return DYN_OK;
    case MESSAGE_ACTUAL:
        return message_read_actual(reader, &out.actual);
    case MESSAGE_EVENT:
        return message_read_event(reader, &out.event);
    case MESSAGE_ACTION:
        return message_read_action(reader, &out.action);
    case MESSAGE_INTENT:
        return message_read_intent(reader, &out.intent);
    case MESSAGE_COMMAND:
        return message_read_command(reader, &out.command);
    default:
        return DYN_BADMSG;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct pack_reader *reader;
    if (reader == NULL) {
        reader = pack_reader_new();
    }
    DYN_ASSERT(reader != NULL);
    if (pack_reader_start(reader, (struct dyn_str){(const char *)data, size}) == DYN_OK) {
        (void)message_read(reader, message_read_kind(reader));
    }
    return 0;
}
