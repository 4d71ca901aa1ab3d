#include "reporter/sinks/mail.h"

#include "common/clock.h"
#include "common/json.h"
#include "reporter/sinks/told.h"

#include <inttypes.h>

enum {
    PART_MAX = 131072,
    LINE_MAX_BYTES = 1200
};

void mail_init(struct mail *mail, const char *prefix)
{
    *mail = (struct mail){.prefix = prefix};
    dyn_buf_init(&mail->lines, PART_MAX);
    dyn_buf_init(&mail->subject, PART_MAX);
    dyn_buf_init(&mail->text, PART_MAX);
    dyn_buf_init(&mail->html, 8 * (size_t)PART_MAX);
}

void mail_fini(struct mail *mail)
{
    dyn_buf_fini(&mail->lines);
    dyn_buf_fini(&mail->subject);
    dyn_buf_fini(&mail->text);
    dyn_buf_fini(&mail->html);
}

void mail_begin(struct mail *mail)
{
    dyn_buf_clear(&mail->lines);
    mail->kinds_count = 0;
    mail->count = 0;
    mail->told = 0;
    mail->over = 0;
}

bool mail_is_empty(const struct mail *mail)
{
    return mail->count == 0;
}

static struct mail_kind *kind_of(struct mail *mail, struct dyn_str code)
{
    for (size_t i = 0; i < mail->kinds_count; i++) {
        if (dyn_str_is(code, mail->kinds[i].code)) {
            return &mail->kinds[i];
        }
    }
    if (mail->kinds_count == MAIL_KINDS_MAX) {
        return &mail->kinds[MAIL_KINDS_MAX - 1];
    }
    struct mail_kind *kind = &mail->kinds[mail->kinds_count++];
    *kind = (struct mail_kind){.raised = 0};
    bool last = mail->kinds_count == MAIL_KINDS_MAX;
    dyn_str_copy(kind->code, sizeof kind->code, last ? DYN_STR("others") : code);
    return kind;
}

static bool is_utf8(const char *text)
{
    json_t *json = json_string(text);
    json_decref(json);
    return json != NULL;
}

/* One line of UTF-8, whatever the words hold: one wrong byte would spoil the whole mail. */
static void line_copy(char *out, size_t size, struct dyn_str words)
{
    if (words.len >= size) {
        words.len = size - 1;
        while (words.len > 0 && ((unsigned char)words.ptr[words.len] & 0xC0) == 0x80) {
            words.len--; /* not inside a character */
        }
    }
    dyn_str_copy(out, size, words);
    bool legal = is_utf8(out);
    for (char *c = out; *c != '\0'; c++) {
        if ((unsigned char)*c < ' ' || *c == 0x7f) {
            *c = ' ';
        } else if (!legal && (unsigned char)*c >= 0x80) {
            *c = '?';
        }
    }
}

static void first_keep(struct mail *mail, const struct sink_delivery *delivery)
{
    const struct event *event = delivery->event;
    struct dyn_buf text;
    dyn_buf_init(&text, PART_MAX);
    if (event == NULL) {
        told_headline(delivery, &text);
    } else {
        told_place(event, &text);
        (void)dyn_buf_addf(&text, "%s" DYN_STR_FMT, text.len > 0 ? " " : "",
                           DYN_STR_ARG(event->code));
    }
    line_copy(mail->first, sizeof mail->first, dyn_buf_str(&text));
    dyn_buf_fini(&text);
}

static void line_add(struct mail *mail, int64_t wall_ms, const char *level, struct dyn_str words)
{
    char ts[32];
    char line[LINE_MAX_BYTES];
    dyn_clock_format(wall_ms, ts, sizeof ts);
    line_copy(line, sizeof line, words);
    (void)dyn_buf_addf(&mail->lines, "%s  %-7s  %s\n", ts, level, line);
}

void mail_add(struct mail *mail, const struct sink_delivery *delivery)
{
    const struct event *event = delivery->event;
    bool over = event != NULL && event->state == EVENT_OVER;
    struct mail_kind *kind = kind_of(mail, event != NULL ? event->code : DYN_STR("action"));
    struct dyn_buf words;
    if (mail->count == 0) {
        first_keep(mail, delivery);
    }
    kind->raised += over ? 0 : 1;
    kind->raised += event != NULL ? delivery->repeats : 0;
    kind->over += over ? 1 : 0;
    mail->over += over ? 1 : 0;
    mail->count++;
    if (mail->told == MAIL_LINES_MAX) {
        return;
    }
    mail->told++;
    dyn_buf_init(&words, PART_MAX);
    told_headline(delivery, &words);
    if (event != NULL) {
        line_add(mail, event->wall_ms, over ? "over" : told_level(event), dyn_buf_str(&words));
    } else {
        line_add(mail, delivery->action->wall_ms, "action", dyn_buf_str(&words));
    }
    dyn_buf_fini(&words);
}

/* ---- the parts ---- */

static void subject_make(struct mail *mail)
{
    dyn_buf_clear(&mail->subject);
    (void)dyn_buf_addf(&mail->subject, "%s: ", mail->prefix);
    if (mail->count == 1) {
        (void)dyn_buf_addf(&mail->subject, "%s%s", mail->over > 0 ? "over again: " : "",
                           mail->first);
    } else if (mail->over == mail->count) {
        (void)dyn_buf_addf(&mail->subject, "over again: %" PRIu64 " troubles", mail->over);
    } else {
        (void)dyn_buf_addf(&mail->subject, "%" PRIu64 " messages, %" PRIu64 " over again",
                           mail->count, mail->over);
    }
}

static void counts_add(struct mail *mail)
{
    for (size_t i = 0; i < mail->kinds_count; i++) {
        const struct mail_kind *kind = &mail->kinds[i];
        (void)dyn_buf_addf(&mail->text, "%s: %" PRIu64, kind->code, kind->raised);
        if (kind->over > 0) {
            (void)dyn_buf_addf(&mail->text, ", %" PRIu64 " over again", kind->over);
        }
        (void)dyn_buf_add_str(&mail->text, DYN_STR("\n"));
    }
    (void)dyn_buf_add_str(&mail->text, DYN_STR("\n"));
}

static void html_make(struct mail *mail)
{
    struct dyn_str text = dyn_buf_str(&mail->text);
    dyn_buf_clear(&mail->html);
    (void)dyn_buf_addf(&mail->html, "<div style='font-family: monospace;'>");
    for (size_t i = 0; i < text.len; i++) {
        switch (text.ptr[i]) {
        case '&':
            (void)dyn_buf_add_str(&mail->html, DYN_STR("&amp;"));
            break;
        case '<':
            (void)dyn_buf_add_str(&mail->html, DYN_STR("&lt;"));
            break;
        case '>':
            (void)dyn_buf_add_str(&mail->html, DYN_STR("&gt;"));
            break;
        case '\n':
            (void)dyn_buf_add_str(&mail->html, DYN_STR("<br>"));
            break;
        default:
            (void)dyn_buf_add(&mail->html, &text.ptr[i], 1);
        }
    }
    (void)dyn_buf_addf(&mail->html, "</div>");
}

void mail_close(struct mail *mail)
{
    subject_make(mail);
    dyn_buf_clear(&mail->text);
    if (mail->count > 1) {
        counts_add(mail);
    }
    (void)dyn_buf_add_str(&mail->text, dyn_buf_str(&mail->lines));
    if (mail->count > mail->told) {
        (void)dyn_buf_addf(&mail->text, "and %" PRIu64 " more\n", mail->count - mail->told);
    }
    html_make(mail);
}

struct dyn_str mail_subject(const struct mail *mail)
{
    return dyn_buf_str(&mail->subject);
}

struct dyn_str mail_text(const struct mail *mail)
{
    return dyn_buf_str(&mail->text);
}

struct dyn_str mail_html(const struct mail *mail)
{
    return dyn_buf_str(&mail->html);
}
