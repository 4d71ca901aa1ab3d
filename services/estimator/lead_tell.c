#include "estimator/lead_internal.h"

#include <inttypes.h>

#define LEAD_REPORTS_MAX (48 * 1024) /* bytes of reports in one entry, below DYN_ENTRY_MAX */
#define LEAD_ARGS_MAX (16 + 2 * DYN_PUBLISH_MAX)
#define LEAD_REPORTS_KEPT 600 /* entries: five minutes of a large partition */

static void lead_published(void *arg, dyn_err err, const struct bus_reply *reply)
{
    struct lead *lead = arg;
    if (lead_good(lead, err, reply, "dyn_publish")) {
        lead->publish_in_flight = false;
        lead_publish(lead);
    }
    lead_leave(lead);
}

static size_t lead_publish_args(struct lead *lead, struct dyn_str *argv, size_t argc)
{
    const struct publish_item *items;
    size_t count = publish_peek(lead->queue, &items, DYN_PUBLISH_MAX);
    for (size_t i = 0; i < count; i++) {
        snprintf(lead->controllers[i], sizeof(lead->controllers[i]), "%016" PRIx64,
                 items[i].controller);
        argv[argc++] = dyn_str_from(lead->controllers[i]);
        argv[argc++] = dyn_buf_str(&items[i].payload);
    }
    dyn_buf_clear(&lead->scratch);
    if (lead->mark_due) {
        struct mark mark = {lead->partition, lead->epoch_number, fold_last(lead->fold),
                            fold_config(lead->fold)->hash};
        message_write_mark(&lead->scratch, &mark);
    }
    argv[argc++] = dyn_buf_str(&lead->scratch);
    return argc;
}

void lead_publish(struct lead *lead)
{
    if (lead->publish_in_flight || !lead_is_live(lead) ||
        (publish_count(lead->queue) == 0 && !lead->mark_due)) {
        return;
    }
    struct entry_id folded = fold_last(lead->fold);
    /* It never goes back: where the log began anew under a clock that is behind, it stays. */
    struct entry_id cursor = entry_id_compare(folded, lead->cursor) > 0 ? folded : lead->cursor;
    size_t count = publish_count(lead->queue);
    count = count < DYN_PUBLISH_MAX ? count : DYN_PUBLISH_MAX;
    char number[5][24];
    snprintf(number[0], sizeof(number[0]), "%" PRIu64, lead->call + 1);
    snprintf(number[1], sizeof(number[1]), "%" PRIu64, cursor.ms);
    snprintf(number[2], sizeof(number[2]), "%" PRIu64, cursor.seq);
    uint64_t kept_ms = 2 * (uint64_t)lead->host.service->config->longest_window_ms;
    snprintf(number[3], sizeof(number[3]), "%" PRIu64,
             folded.ms > kept_ms ? folded.ms - kept_ms : 0);
    snprintf(number[4], sizeof(number[4]), "%zu", count);
    struct dyn_str argv[LEAD_ARGS_MAX] = {
        DYN_STR("FCALL"),
        DYN_STR("dyn_publish"),
        DYN_STR("3"),
        dyn_str_from(lead->lease),
        dyn_str_from(lead->targets),
        dyn_str_from(lead->newest),
        dyn_str_from(lead->host.owner),
        dyn_str_from(lead->epoch),
    };
    size_t argc = 8;
    for (size_t i = 0; i < 5; i++) {
        argv[argc++] = dyn_str_from(number[i]);
    }
    argc = lead_publish_args(lead, argv, argc);
    if (!lead_send(lead, argv, argc, lead_published)) {
        return;
    }
    lead->call++;
    lead->publish_in_flight = true;
    lead->mark_due = false;
    lead->host.metrics.targets->value += (double)count;
    publish_drop(lead->queue, count);
}

/* ---- what the fold says ---- */

static void lead_take_target(void *arg, const struct target *target, bool changed)
{
    struct lead *lead = arg;
    (void)changed;
    if (!lead_is_live(lead)) {
        return;
    }
    dyn_err err = publish_put(lead->queue, target);
    if (err != DYN_OK) {
        dyn_log(DYN_LOG_ERROR, "target_not_kept",
                "partition=%" PRIu32 " controller=%016" PRIx64 " msg=%s", lead->partition,
                target->controller, dyn_log_quoted(dyn_err_text(err)));
    }
}

void lead_flush_reports(struct lead *lead)
{
    if (lead->reports_count == 0) {
        return;
    }
    dyn_buf_clear(&lead->scratch);
    message_begin_reports(&lead->scratch, lead->reports_log_ms, lead->reports_count);
    (void)dyn_buf_add_str(&lead->scratch, dyn_buf_str(&lead->report_bytes));
    /* Statistics may be lost, and are not worth ending a lead for. */
    dyn_err err = bus_add(lead->host.service->bus, lead->reports, dyn_buf_str(&lead->scratch),
                          LEAD_REPORTS_KEPT, NULL, NULL);
    lead->host.metrics.reports->value += err == DYN_OK ? lead->reports_count : 0;
    dyn_buf_clear(&lead->report_bytes);
    lead->reports_count = 0;
}

static void lead_take_report(void *arg, const struct report *report)
{
    struct lead *lead = arg;
    if (!lead_is_live(lead)) {
        return;
    }
    if (lead->report_bytes.len > LEAD_REPORTS_MAX || report->log_ms != lead->reports_log_ms) {
        lead_flush_reports(lead);
    }
    lead->reports_log_ms = report->log_ms;
    message_add_report(&lead->report_bytes, report);
    lead->reports_count++;
}

static void lead_take_event(void *arg, const struct event *event)
{
    struct lead *lead = arg;
    if (lead_is_live(lead)) {
        service_event(lead->host.service, event);
    }
}

struct fold_out lead_out(struct lead *lead)
{
    return (struct fold_out){lead_take_target, lead_take_report, lead_take_event, lead};
}
