/* Events and actions as JSON, by POST to a URL of the user's, signed with a secret of both. */
#include "reporter/sinks/post.h"

#include "common/clock.h"
#include "common/digest.h"
#include "reporter/sinks/told.h"

#include <inttypes.h>

enum {
    BODY_MAX = 65536,
    ID_DIGITS = 32
};

extern const struct sink_ops sink_webhook;

struct webhook {
    struct post post;
    const char *url;
    const char *secret; /* NULL: not signed */
    struct dyn_buf body;
};

static void webhook_fini(void *state)
{
    struct webhook *webhook = state;
    post_fini(&webhook->post);
    dyn_buf_fini(&webhook->body);
}

static dyn_err webhook_init(void *state, struct sink_host *host, struct dyn_error *error)
{
    struct webhook *webhook = state;
    post_init(&webhook->post, host);
    dyn_buf_init(&webhook->body, BODY_MAX);
    dyn_err err = post_url(&webhook->post, "url", &webhook->url, error);
    if (err == DYN_OK) {
        err = post_secret(&webhook->post, "secret", &webhook->secret, error);
    }
    if (err == DYN_OK) {
        err = post_headers(&webhook->post, error);
    }
    if (err != DYN_OK) {
        webhook_fini(webhook);
    }
    return err;
}

static json_t *event_json(const struct sink_delivery *delivery)
{
    const struct event *event = delivery->event;
    char time[POST_TIME_SIZE];
    post_time(event->wall_ms, time);
    return json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:s, s:I}", "type",
                     "event", "state", told_state(event), "level", told_level(event), "code",
                     post_text(event->code), "app", post_text(event->app), "controller",
                     post_text(event->controller), "input", post_text(event->input), "service",
                     post_text(event->service), "instance", post_text(event->instance), "cause",
                     post_text(event->cause), "text", post_text(event->text), "time", time,
                     "repeats", (json_int_t)delivery->repeats);
}

/* Numbers are what all readers know; of plans their names as well. */
static void plans_add(json_t *json, const struct sink_delivery *delivery)
{
    const struct {
        const char *key;
        int32_t rung;
    } names[] = {{"from_plan", delivery->action->from},
                 {"to_plan", delivery->action->to},
                 {"target_plan", delivery->action->target}};
    char name[CONFIG_RUNG_TEXT];
    bool plans = delivery->controller != NULL && delivery->controller->plans != NULL;
    for (size_t i = 0; plans && i < sizeof names / sizeof names[0]; i++) {
        (void)json_object_set_new(json, names[i].key,
                                  json_string(told_rung(delivery, names[i].rung, name)));
    }
}

static json_t *action_json(const struct sink_delivery *delivery)
{
    const struct action *action = delivery->action;
    char time[POST_TIME_SIZE];
    post_time(action->wall_ms, time);
    json_t *json =
        json_pack("{s:s, s:s, s:o, s:o, s:o, s:i, s:i, s:i, s:i, s:o, s:o, s:s}", "type", "action",
                  "outcome", action_outcome_text(action->outcome), "app", post_text(action->app),
                  "controller", post_text(action->name), "process_type",
                  post_text(action->process_type), "from", (int)action->from, "to", (int)action->to,
                  "target", (int)action->target, "status", (int)action->http_status, "request_id",
                  post_text(action->request_id), "words", post_text(action->words), "time", time);
    plans_add(json, delivery);
    return json;
}

/* Both of the usual kinds: over the body alone, and over the time and the body. */
static dyn_err signatures_make(const struct webhook *webhook, char plain[], char timed[],
                               size_t size)
{
    char hex[DYN_SHA256_HEX_SIZE];
    struct dyn_buf text;
    int64_t now_s = dyn_clock_wall_ms() / 1000;
    struct dyn_str body = dyn_buf_str(&webhook->body);
    struct dyn_str secret = dyn_str_from(webhook->secret);
    dyn_buf_init(&text, BODY_MAX + (size_t)ID_DIGITS);
    (void)dyn_buf_addf(&text, "%" PRId64 ".", now_s);
    (void)dyn_buf_add_str(&text, body);
    dyn_err err = dyn_buf_result(&text);
    if (err == DYN_OK) {
        err = dyn_hmac_sha256_hex(secret, dyn_buf_str(&text), hex);
    }
    if (err == DYN_OK) {
        (void)snprintf(timed, size, "X-Dynosaur-Signature: t=%" PRId64 ",v1=%s", now_s, hex);
        err = dyn_hmac_sha256_hex(secret, body, hex);
    }
    if (err == DYN_OK) {
        (void)snprintf(plain, size, "X-Hub-Signature-256: sha256=%s", hex);
    }
    dyn_buf_fini(&text);
    return err;
}

static void webhook_send(struct webhook *webhook, const char *type)
{
    char lines[4][160];
    char hex[DYN_SHA256_HEX_SIZE];
    const char *headers[] = {"Content-Type: application/json", lines[0], lines[1], lines[2],
                             lines[3]};
    dyn_err err = dyn_buf_result(&webhook->body);
    if (err == DYN_OK) {
        err = dyn_sha256_hex(dyn_buf_str(&webhook->body), hex);
    }
    if (err == DYN_OK && webhook->secret != NULL) {
        err = signatures_make(webhook, lines[2], lines[3], sizeof lines[0]);
    }
    if (err != DYN_OK) {
        post_failed(&webhook->post, err, "%s", dyn_err_text(err));
        return;
    }
    /* A repeat of a delivery has the same number. */
    (void)snprintf(lines[0], sizeof lines[0], "X-Dynosaur-Event: %s", type);
    (void)snprintf(lines[1], sizeof lines[1], "X-Dynosaur-Delivery: %.*s", ID_DIGITS, hex);
    post_send(&webhook->post,
              &(struct post_request){.url = webhook->url,
                                     .headers = headers,
                                     .headers_count = webhook->secret != NULL ? 5 : 3,
                                     .body = dyn_buf_str(&webhook->body)});
}

static void webhook_deliver(void *state, struct sink_host *host,
                            const struct sink_delivery *delivery)
{
    struct webhook *webhook = state;
    if (!told_is_wanted(host, delivery)) {
        post_taken(&webhook->post);
        return;
    }
    dyn_buf_clear(&webhook->body);
    post_dump(&webhook->body,
              delivery->event != NULL ? event_json(delivery) : action_json(delivery));
    webhook_send(webhook, delivery->event != NULL ? "event" : "action");
}

static void webhook_cancel(void *state)
{
    struct webhook *webhook = state;
    post_cancel(&webhook->post);
}

const struct sink_ops sink_webhook = {
    .kind = CONFIG_ERRORS,
    .name = "webhook",
    .state_size = sizeof(struct webhook),
    .wants_actions = true,
    .init = webhook_init,
    .deliver = webhook_deliver,
    .cancel = webhook_cancel,
    .fini = webhook_fini,
};
