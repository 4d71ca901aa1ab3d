/* A message in a Slack channel for each event and, if wanted, each action, by an incoming webhook.
 */
#include "reporter/sinks/post.h"
#include "reporter/sinks/told.h"

enum {
    BODY_MAX = 65536,
    TEXT_MAX = 2900, /* bytes: a section of more than 3,000 characters is refused */
    PACE_MS = 1000   /* a message a second and channel */
};

extern const struct sink_ops sink_slack;

struct slack {
    struct post post;
    const char *url;
    struct dyn_buf line;
    struct dyn_buf text;
    struct dyn_buf body;
};

static void slack_fini(void *state)
{
    struct slack *slack = state;
    post_fini(&slack->post);
    dyn_buf_fini(&slack->line);
    dyn_buf_fini(&slack->text);
    dyn_buf_fini(&slack->body);
}

static dyn_err slack_init(void *state, struct sink_host *host, struct dyn_error *error)
{
    struct slack *slack = state;
    post_init(&slack->post, host);
    dyn_buf_init(&slack->line, BODY_MAX);
    dyn_buf_init(&slack->text, BODY_MAX);
    dyn_buf_init(&slack->body, BODY_MAX);
    dyn_err err = post_url(&slack->post, "url", &slack->url, error);
    if (err != DYN_OK) {
        slack_fini(slack);
    }
    return err;
}

/* What Slack takes for its own signs; cut before one of them would be. */
static void text_escape(struct dyn_buf *out, struct dyn_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        bool inside = ((unsigned char)text.ptr[i] & 0xC0) == 0x80; /* of a UTF-8 character */
        if (out->len >= TEXT_MAX && !inside) {
            (void)dyn_buf_add_str(out, DYN_STR("..."));
            return;
        }
        if (text.ptr[i] == '&') {
            (void)dyn_buf_add_str(out, DYN_STR("&amp;"));
        } else if (text.ptr[i] == '<') {
            (void)dyn_buf_add_str(out, DYN_STR("&lt;"));
        } else if (text.ptr[i] == '>') {
            (void)dyn_buf_add_str(out, DYN_STR("&gt;"));
        } else {
            (void)dyn_buf_add(out, &text.ptr[i], 1);
        }
    }
}

static const char *sign_of(const struct sink_delivery *delivery)
{
    if (delivery->event == NULL) {
        return told_is_done(delivery->action) ? ":chart_with_upwards_trend: " : ":x: ";
    }
    if (delivery->event->state == EVENT_OVER) {
        return ":white_check_mark: ";
    }
    return delivery->event->level == EVENT_ERROR ? ":red_circle: " : ":warning: ";
}

static void message_make(struct slack *slack, const struct sink_delivery *delivery)
{
    dyn_buf_clear(&slack->line);
    dyn_buf_clear(&slack->text);
    dyn_buf_clear(&slack->body);
    told_headline(delivery, &slack->line);
    (void)dyn_buf_add_str(&slack->text, dyn_str_from(sign_of(delivery)));
    text_escape(&slack->text, dyn_buf_str(&slack->line));
    struct dyn_str text = dyn_buf_str(&slack->text);
    post_dump(&slack->body,
              json_pack("{s:o, s:[{s:s, s:{s:s, s:o}}]}", "text", post_text(text), "blocks", "type",
                        "section", "text", "type", "mrkdwn", "text", post_text(text)));
}

static void slack_deliver(void *state, struct sink_host *host, const struct sink_delivery *delivery)
{
    static const char *const headers[] = {"Content-Type: application/json"};
    struct slack *slack = state;
    if (!told_is_wanted(host, delivery)) {
        post_taken(&slack->post);
        return;
    }
    message_make(slack, delivery);
    dyn_err err = dyn_buf_result(&slack->body);
    if (err != DYN_OK) {
        post_failed(&slack->post, err, "%s", dyn_err_text(err));
        return;
    }
    sink_wait(host, PACE_MS);
    post_send(&slack->post, &(struct post_request){.url = slack->url,
                                                   .headers = headers,
                                                   .headers_count = 1,
                                                   .body = dyn_buf_str(&slack->body)});
}

static void slack_cancel(void *state)
{
    struct slack *slack = state;
    post_cancel(&slack->post);
}

const struct sink_ops sink_slack = {
    .kind = CONFIG_ERRORS,
    .name = "slack",
    .state_size = sizeof(struct slack),
    .wants_actions = true,
    .init = slack_init,
    .deliver = slack_deliver,
    .cancel = slack_cancel,
    .fini = slack_fini,
};
