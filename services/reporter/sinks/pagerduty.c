/*
 * PagerDuty, Events API v2: one incident a cause, resolved when the last trouble of it is over.
 * Errors that can be over are told, and nothing else: an incident that nobody can end is none.
 */
#include "reporter/sinks/post.h"
#include "reporter/sinks/told.h"

#include <inttypes.h>

enum {
    BODY_MAX = 131072,
    SUMMARY_MAX = 1000, /* bytes; PagerDuty refuses more than 1,024 characters */
    INCIDENTS_MAX = 64, /* whose places are remembered; the oldest is forgotten */
    PLACES_MAX = 100    /* of an incident; more are only counted */
};

extern const struct sink_ops sink_pagerduty;

/* Where a trouble is known: a help for who reads the incident. How many there are comes from the
 * host; this list begins anew with the program. */
struct incident {
    uint64_t id;
    uint64_t used;  /* grows with each use */
    json_t *places; /* place -> what was said of it */
};

struct pagerduty {
    struct post post;
    const char *routing_key;
    struct dyn_buf url;
    struct dyn_buf body;
    struct incident incidents[INCIDENTS_MAX];
    uint64_t uses;
};

static void pagerduty_fini(void *state)
{
    struct pagerduty *pagerduty = state;
    post_fini(&pagerduty->post);
    dyn_buf_fini(&pagerduty->url);
    dyn_buf_fini(&pagerduty->body);
    for (size_t i = 0; i < INCIDENTS_MAX; i++) {
        json_decref(pagerduty->incidents[i].places);
        pagerduty->incidents[i].places = NULL;
    }
}

static dyn_err pagerduty_init(void *state, struct sink_host *host, struct dyn_error *error)
{
    struct pagerduty *pagerduty = state;
    post_init(&pagerduty->post, host);
    dyn_buf_init(&pagerduty->url, DYN_HTTP_URL_MAX);
    dyn_buf_init(&pagerduty->body, BODY_MAX);
    dyn_err err =
        post_base(&pagerduty->post, "https://events.pagerduty.com", &pagerduty->url, error);
    if (err == DYN_OK) {
        err = dyn_buf_add_str(&pagerduty->url, DYN_STR("/v2/enqueue"));
    }
    if (err == DYN_OK) {
        err = post_secret(&pagerduty->post, "routing_key", &pagerduty->routing_key, error);
    }
    if (err == DYN_OK && strlen(pagerduty->routing_key) != 32) {
        err = dyn_error_set(error, DYN_CONFIG,
                            "`routing_key` has %zu characters; an integration key of the Events "
                            "API v2 has 32",
                            strlen(pagerduty->routing_key));
    }
    if (err != DYN_OK) {
        pagerduty_fini(pagerduty);
    }
    return err;
}

/* ---- incidents ---- */

static struct incident *incident_find(struct pagerduty *pagerduty, uint64_t id)
{
    struct incident *oldest = &pagerduty->incidents[0];
    for (size_t i = 0; i < INCIDENTS_MAX; i++) {
        struct incident *incident = &pagerduty->incidents[i];
        if (incident->places != NULL && incident->id == id) {
            incident->used = ++pagerduty->uses;
            return incident;
        }
        if (incident->used < oldest->used) {
            oldest = incident;
        }
    }
    json_decref(oldest->places);
    *oldest = (struct incident){.id = id, .used = ++pagerduty->uses, .places = json_object()};
    return oldest;
}

static json_t *places_update(struct pagerduty *pagerduty, const struct sink_delivery *delivery)
{
    const struct event *event = delivery->event;
    json_t *places = incident_find(pagerduty, delivery->incident)->places;
    struct dyn_buf place;
    dyn_buf_init(&place, BODY_MAX);
    told_place(event, &place);
    const char *name = place.len > 0 ? dyn_buf_text(&place) : "dynosaur";
    if (event->state == EVENT_OVER) {
        json_object_del(places, name);
    } else if (json_object_size(places) < PLACES_MAX) {
        json_object_set_new(places, name, post_text(event->text));
    }
    dyn_buf_fini(&place);
    return json_deep_copy(places);
}

/* ---- what is sent ---- */

static json_t *summary_make(const struct sink_delivery *delivery)
{
    const struct event *event = delivery->event;
    char cut[SUMMARY_MAX + 1];
    struct dyn_buf text;
    dyn_buf_init(&text, BODY_MAX);
    if (event->cause.len > 0) {
        (void)dyn_buf_addf(&text, DYN_STR_FMT ": ", DYN_STR_ARG(event->cause));
    }
    told_headline(delivery, &text);
    if (delivery->others > 0) {
        (void)dyn_buf_addf(&text, " (and %" PRIu32 " more)", delivery->others);
    }
    dyn_str_copy(cut, sizeof cut, dyn_buf_str(&text));
    dyn_buf_fini(&text);
    return post_text(dyn_str_from(cut));
}

/* PagerDuty wants a name. */
static json_t *text_or(struct dyn_str text, const char *fallback)
{
    return post_text(text.len > 0 ? text : dyn_str_from(fallback));
}

static json_t *payload_make(struct pagerduty *pagerduty, const struct sink_delivery *delivery)
{
    const struct event *event = delivery->event;
    char time[POST_TIME_SIZE];
    post_time(event->wall_ms, time);
    return json_pack("{s:o, s:o, s:s, s:s, s:o, s:o, s:o, s:{s:o, s:I, s:o, s:o}}", "summary",
                     summary_make(delivery), "source", text_or(event->instance, "dynosaur"),
                     "severity", told_level(event), "timestamp", time, "component",
                     text_or(event->service, "dynosaur"), "group", text_or(event->app, "fleet"),
                     "class", post_text(event->code), "custom_details", "cause",
                     post_text(event->cause), "affected", (json_int_t)delivery->others + 1, "where",
                     places_update(pagerduty, delivery), "text", post_text(event->text));
}

static void body_make(struct pagerduty *pagerduty, const struct sink_delivery *delivery,
                      bool resolve)
{
    char key[64];
    (void)snprintf(key, sizeof key, "dynosaur/%016" PRIx64, delivery->incident);
    json_t *root = json_pack("{s:s, s:s, s:s}", "routing_key", pagerduty->routing_key,
                             "event_action", resolve ? "resolve" : "trigger", "dedup_key", key);
    if (!resolve) {
        json_object_set_new(root, "payload", payload_make(pagerduty, delivery));
        json_object_set_new(root, "client", json_string("Dynosaur"));
    }
    dyn_buf_clear(&pagerduty->body);
    post_dump(&pagerduty->body, root);
}

static void pagerduty_deliver(void *state, struct sink_host *host,
                              const struct sink_delivery *delivery)
{
    static const char *const headers[] = {"Content-Type: application/json"};
    struct pagerduty *pagerduty = state;
    (void)host;
    bool over = delivery->event != NULL && delivery->event->state == EVENT_OVER;
    if (delivery->incident == 0 || delivery->event == NULL ||
        delivery->event->state == EVENT_ONCE) {
        post_taken(&pagerduty->post);
        return;
    }
    if (over && delivery->others > 0) {
        json_decref(places_update(pagerduty, delivery));
        post_taken(&pagerduty->post);
        return;
    }
    body_make(pagerduty, delivery, over);
    dyn_err err = dyn_buf_result(&pagerduty->body);
    if (err != DYN_OK) {
        post_failed(&pagerduty->post, err, "%s", dyn_err_text(err));
        return;
    }
    post_send(&pagerduty->post, &(struct post_request){.url = dyn_buf_text(&pagerduty->url),
                                                       .headers = headers,
                                                       .headers_count = 1,
                                                       .body = dyn_buf_str(&pagerduty->body)});
}

static void pagerduty_cancel(void *state)
{
    struct pagerduty *pagerduty = state;
    post_cancel(&pagerduty->post);
}

const struct sink_ops sink_pagerduty = {
    .kind = CONFIG_ERRORS,
    .name = "pagerduty",
    .state_size = sizeof(struct pagerduty),
    .init = pagerduty_init,
    .deliver = pagerduty_deliver,
    .cancel = pagerduty_cancel,
    .fini = pagerduty_fini,
};
