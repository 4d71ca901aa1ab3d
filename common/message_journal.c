/* What people read afterwards, and what they ask for: events, actions, intents, commands. */
#include "common/message.h"

#include "common/message_fields.h"

void message_write_event(struct dyn_buf *out, const struct event *event)
{
    fields_begin(out, MESSAGE_EVENT, 11);
    pack_u64(out, (uint64_t)event->level);
    pack_u64(out, (uint64_t)event->state);
    fields_write_name(out, event->code);
    fields_write_name(out, event->app);
    fields_write_name(out, event->controller);
    fields_write_name(out, event->input);
    fields_write_name(out, event->service);
    fields_write_name(out, event->instance);
    fields_write_name(out, event->cause);
    fields_write_cut(out, event->text, DYN_ERROR_TEXT_MAX);
    pack_i64(out, event->wall_ms);
}

dyn_err message_read_event(struct pack_reader *reader, struct event *out)
{
    out->level = (enum event_level)pack_read_range(reader, EVENT_INFO, EVENT_ERROR);
    out->state = (enum event_state)pack_read_range(reader, EVENT_ONCE, EVENT_OVER);
    out->code = fields_read_name(reader);
    out->app = fields_read_name(reader);
    out->controller = fields_read_name(reader);
    out->input = fields_read_name(reader);
    out->service = fields_read_name(reader);
    out->instance = fields_read_name(reader);
    out->cause = fields_read_name(reader);
    out->text = pack_read_str(reader, DYN_ERROR_TEXT_MAX);
    out->wall_ms = fields_read_ms(reader);
    return pack_reader_end(reader);
}

void message_write_action(struct dyn_buf *out, const struct action *action)
{
    fields_begin(out, MESSAGE_ACTION, 16);
    pack_u64(out, action->controller);
    fields_write_name(out, action->account);
    fields_write_name(out, action->app);
    fields_write_name(out, action->name);
    fields_write_name(out, action->process_type);
    pack_i64(out, action->from);
    pack_i64(out, action->to);
    pack_i64(out, action->target);
    pack_u64(out, (uint64_t)action->outcome);
    pack_i64(out, action->http_status);
    fields_write_name(out, action->request_id);
    fields_write_cut(out, action->words, DYN_ERROR_TEXT_MAX);
    fields_write_id(out, action->decided);
    pack_u64(out, action->epoch);
    pack_i64(out, action->wall_ms);
}

dyn_err message_read_action(struct pack_reader *reader, struct action *out)
{
    out->controller = pack_read_u64(reader);
    out->account = fields_read_name(reader);
    out->app = fields_read_name(reader);
    out->name = fields_read_name(reader);
    out->process_type = fields_read_name(reader);
    out->from = fields_read_count(reader, -1);
    out->to = fields_read_count(reader, -1);
    out->target = fields_read_count(reader, -1);
    out->outcome = (enum action_outcome)pack_read_range(reader, ACTION_DONE, ACTION_FAILED);
    out->http_status = (int32_t)pack_read_range(reader, 0, 999);
    out->request_id = fields_read_name(reader);
    out->words = pack_read_str(reader, DYN_ERROR_TEXT_MAX);
    out->decided = fields_read_id(reader);
    out->epoch = pack_read_u64(reader);
    out->wall_ms = fields_read_ms(reader);
    return pack_reader_end(reader);
}

void message_write_intent(struct dyn_buf *out, const struct intent *intent)
{
    fields_begin(out, MESSAGE_INTENT, 14);
    pack_u64(out, intent->controller);
    pack_i64(out, intent->from);
    pack_i64(out, intent->to);
    fields_write_id(out, intent->decided);
    pack_u64(out, intent->epoch);
    pack_bool(out, intent->open);
    pack_i64(out, intent->confirmed);
    pack_i64(out, intent->confirmed_wall_ms);
    pack_i64(out, intent->wall_ms);
    pack_i64(out, intent->last_up_ms);
    pack_i64(out, intent->last_down_ms);
    pack_i64(out, intent->manual_until_ms);
    pack_i64(out, intent->manual_floor);
}

dyn_err message_read_intent(struct pack_reader *reader, struct intent *out)
{
    out->controller = pack_read_u64(reader);
    out->from = fields_read_count(reader, -1);
    out->to = fields_read_count(reader, -1);
    out->decided = fields_read_id(reader);
    out->epoch = pack_read_u64(reader);
    out->open = pack_read_bool(reader);
    out->confirmed = fields_read_count(reader, -1);
    out->confirmed_wall_ms = fields_read_ms(reader);
    out->wall_ms = fields_read_ms(reader);
    out->last_up_ms = fields_read_ms(reader);
    out->last_down_ms = fields_read_ms(reader);
    out->manual_until_ms = fields_read_ms(reader);
    out->manual_floor = fields_read_count(reader, -1);
    return pack_reader_end(reader);
}

void message_write_command(struct dyn_buf *out, const struct command *command)
{
    fields_begin(out, MESSAGE_COMMAND, 7);
    pack_u64(out, (uint64_t)command->verb);
    fields_write_name(out, command->app);
    fields_write_name(out, command->controller);
    pack_i64(out, command->rung);
    pack_i64(out, command->until_ms);
    fields_write_name(out, command->who);
    fields_write_cut(out, command->why, DYN_ERROR_TEXT_MAX);
}

dyn_err message_read_command(struct pack_reader *reader, struct command *out)
{
    out->verb = (enum command_verb)pack_read_range(reader, COMMAND_PAUSE, COMMAND_UNPIN);
    out->app = fields_read_name(reader);
    out->controller = fields_read_name(reader);
    out->rung = fields_read_count(reader, out->verb == COMMAND_PIN ? 1 : 0);
    out->until_ms = fields_read_ms(reader);
    out->who = fields_read_name(reader);
    out->why = pack_read_str(reader, DYN_ERROR_TEXT_MAX);
    return pack_reader_end(reader);
}
