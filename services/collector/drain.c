#include "collector/drain.h"

#include "collector/drain_call.h"
#include "collector/drain_table.h"
#include "collector/logplex.h"

#include "common/clock.h"
#include "common/httpd.h"
#include "common/log.h"

#include <inttypes.h>

#define PATH "/drain"
#define CONTENT_TYPE "application/logplex-1"
#define FRAME_DIGITS 32
#define FRAME_DIGITS_USED 15 /* 60 bits: a set of such numbers is small in Redis */
#define TOLD_MS 60000        /* refusals are logged that often at most */

struct drain {
    struct drain_options options;
    struct httpd *httpd;
    struct dyn_timer *listen_again;
    struct drain_table table;
    bool stopped;
    int64_t told_ms;          /* when a refusal was logged last; 0: never */
    struct dyn_error trouble; /* why it does not listen, "": it does, or need not */
    struct drain_counts counts;
    struct tally tally; /* of the batch at hand */
    struct drain_call call;
};

/* ---- refusals ---- */

static void refusal_log(struct drain *drain, int status, const char *words)
{
    int64_t now_ms = dyn_loop_now_ms(drain->options.loop);
    if (drain->told_ms == 0 || now_ms - drain->told_ms >= TOLD_MS) {
        drain->told_ms = now_ms;
        dyn_log(DYN_LOG_WARN, "drain_refused",
                "status=%d unauthorized=%" PRIu64 " refused=%" PRIu64 " put_off=%" PRIu64 " msg=%s",
                status, drain->counts.batches[DRAIN_UNAUTHORIZED],
                drain->counts.batches[DRAIN_REFUSED], drain->counts.batches[DRAIN_PUT_OFF],
                dyn_log_quoted(words));
    }
}

static int refused(struct drain *drain, int status, const char *text, const char **words)
{
    enum drain_end end = status == 401   ? DRAIN_UNAUTHORIZED
                         : status == 503 ? DRAIN_PUT_OFF
                                         : DRAIN_REFUSED;
    drain->counts.batches[end]++;
    refusal_log(drain, status, text);
    *words = text;
    return status;
}

/* The drain that a request is of; NULL: nobody's. */
static const struct drain_known *known_of(const struct drain *drain,
                                          const struct httpd_request *request)
{
    struct dyn_buf password;
    dyn_buf_init(&password, DYN_SECRET_MAX);
    bool has_password = httpd_request_password(request, &password);
    const struct drain_known *known = drain_table_find(
        &drain->table, dyn_str_from(httpd_request_header(request, "Logplex-Drain-Token")),
        has_password ? dyn_buf_str(&password) : DYN_STR(""));
    dyn_buf_wipe(&password);
    return known;
}

static int request_head(void *arg, struct httpd_request *request, const char **words)
{
    struct drain *drain = arg;
    const char *type = httpd_request_header(request, "Content-Type");
    if (strcmp(httpd_request_path(request), PATH) != 0) {
        return refused(drain, 404, "log drains are taken at " PATH, words);
    }
    if (known_of(drain, request) == NULL) {
        return refused(drain, 401, "no input has this Logplex-Drain-Token and password", words);
    }
    if (type == NULL || !dyn_str_starts(dyn_str_from(type), CONTENT_TYPE)) {
        return refused(drain, 415, "expected " CONTENT_TYPE, words);
    }
    if (drain->stopped || !bus_is_ready(drain->options.bus)) {
        return refused(drain, 503, drain->stopped ? "this collector ends" : "Redis is away", words);
    }
    return 0;
}

/* ---- a batch on its way to Redis ---- */

struct delivery {
    struct drain *drain;
    struct httpd_request *request; /* NULL: it has been answered */
    int status;                    /* the answer once Redis has it; 200 or a refusal */
    const char *words;
    uint64_t lines;
    uint64_t requests;
    uint64_t strays;
};

static void delivery_count(struct drain *drain, const struct delivery *delivery, bool is_new)
{
    if (delivery->status != 200) {
        return; /* counted as refused */
    }
    drain->counts.batches[is_new ? DRAIN_TAKEN : DRAIN_REPEATED]++;
    if (is_new) {
        drain->counts.lines[DRAIN_LINE_ANY] += delivery->lines;
        drain->counts.lines[DRAIN_LINE_ROUTER] += delivery->requests;
        drain->counts.lines[DRAIN_LINE_STRAY] += delivery->strays;
    }
}

static void delivery_end(struct delivery *delivery, bool is_there, bool is_new)
{
    struct drain *drain = delivery->drain;
    int status = delivery->status;
    const char *words = delivery->words;
    if (is_there) {
        delivery_count(drain, delivery, is_new);
    } else {
        status = refused(drain, 503, "Redis did not take it", &words);
    }
    if (delivery->request != NULL) {
        httpd_request_answer(delivery->request, status, words);
    }
    free(delivery);
}

static void delivered(void *arg, dyn_err err, const struct bus_reply *reply)
{
    delivery_end(arg, err == DYN_OK, err == DYN_OK && bus_reply_int(reply) == 1);
}

/* Answers `request`, unless it is NULL, when Redis has what the tally says. `frame` NULL: only what
 * is lost counts. */
static void deliver(struct drain *drain, struct httpd_request *request,
                    const struct drain_known *known, const uint64_t *frame,
                    const struct delivery *of)
{
    struct delivery *delivery = malloc(sizeof *delivery);
    if (delivery == NULL) {
        if (request != NULL) {
            httpd_request_answer(request, 503, "");
        }
        return;
    }
    *delivery = *of;
    delivery->drain = drain;
    delivery->request = request;
    delivery->lines = drain->tally.lines;
    delivery->requests = drain->tally.requests;
    delivery->strays = drain->tally.strays;
    drain->counts.lines[DRAIN_LINE_LOST] += drain->tally.dropped;
    dyn_err err = drain_call_write(&drain->call, &drain->tally, drain->options.prefix, known->id,
                                   frame, known->kept_s);
    if (err == DYN_OK) {
        err = bus_command(drain->options.bus, drain->call.argv, drain->call.argc, 0, delivered,
                          delivery);
    }
    if (err != DYN_OK) {
        delivery_end(delivery, false, false);
    }
}

/* What is refused for good is lost, and the present bucket says so. */
static void deliver_loss(struct drain *drain, struct httpd_request *request,
                         const struct drain_known *known, uint64_t count, const struct delivery *of)
{
    int64_t now_s = dyn_clock_wall_ms() / 1000;
    tally_begin(&drain->tally, now_s, known->kept_s);
    tally_drop(&drain->tally, now_s, now_s, count);
    deliver(drain, request, known, NULL, of);
}

/* ---- a batch ---- */

/* The number that a frame's id stands for, out of its first digits. */
static dyn_err frame_read(const char *text, uint64_t *out)
{
    uint64_t frame = 0;
    if (text == NULL || strlen(text) != FRAME_DIGITS ||
        strspn(text, "0123456789ABCDEFabcdef") != FRAME_DIGITS) {
        return DYN_BADMSG;
    }
    for (size_t i = 0; i < FRAME_DIGITS_USED; i++) {
        unsigned digit = (unsigned char)text[i];
        frame = frame * 16 + (digit <= '9' ? digit - '0' : (digit | 0x20U) - 'a' + 10);
    }
    *out = frame;
    return DYN_OK;
}

/* How many frames the sender says there are; 0: it does not. */
static uint64_t count_said(const struct httpd_request *request)
{
    uint64_t count = 0;
    const char *text = httpd_request_header(request, "Logplex-Msg-Count");
    if (text == NULL || dyn_str_u64(dyn_str_from(text), &count) != DYN_OK ||
        count > DRAIN_BODY_MAX) {
        return 0;
    }
    return count;
}

static void request_body(void *arg, struct httpd_request *request, struct dyn_str body)
{
    struct drain *drain = arg;
    const struct drain_known *known = known_of(drain, request);
    struct delivery delivery = {.status = 200, .words = ""};
    uint64_t said = count_said(request);
    uint64_t frames = 0;
    uint64_t frame = 0;
    if (known == NULL) { /* a reload took it away meanwhile */
        delivery.status = refused(drain, 401, "no input has this drain any more", &delivery.words);
        httpd_request_answer(request, delivery.status, delivery.words);
        return;
    }
    int64_t now_s = dyn_clock_wall_ms() / 1000;
    tally_begin(&drain->tally, now_s, known->kept_s);
    bool good = frame_read(httpd_request_header(request, "Logplex-Frame-Id"), &frame) == DYN_OK &&
                logplex_read(&drain->tally, body, &frames) == DYN_OK;
    if (!good) {
        delivery.status = refused(drain, 400, "this is no batch of Logplex", &delivery.words);
        deliver_loss(drain, request, known, said > 0 ? said : 1, &delivery);
        return;
    }
    if (said > frames) {
        tally_drop(&drain->tally, now_s, now_s, said - frames);
    }
    deliver(drain, request, known, &frame, &delivery);
}

static void request_too_big(void *arg, struct httpd_request *request)
{
    struct drain *drain = arg;
    const struct drain_known *known = known_of(drain, request);
    struct delivery delivery = {.words = ""};
    delivery.status = refused(drain, 413, "a batch is too big", &delivery.words);
    if (known != NULL) {
        uint64_t said = count_said(request);
        deliver_loss(drain, NULL, known, said > 0 ? said : 1, &delivery);
    }
}

/* ---- listening ---- */

static void page(void *arg, const char *path, struct httpd_answer *answer)
{
    (void)arg;
    answer->status = strcmp(path, "/healthz") == 0 ? 200 : 404;
    (void)dyn_buf_addf(&answer->body, "%s\n",
                       answer->status == 200 ? "ok" : "POST " PATH ", for log drains");
}

static void listen_begin(void *arg)
{
    static const struct httpd_posts posts = {
        .connections_max = DRAIN_CONNECTIONS_MAX,
        .body_max = DRAIN_BODY_MAX,
        .bodies_max = DRAIN_BODIES_MAX,
        .head = request_head,
        .body = request_body,
        .too_big = request_too_big,
    };
    struct drain *drain = arg;
    const struct httpd_options http = {.address = drain->options.address,
                                       .port = drain->options.port,
                                       .fn = page,
                                       .posts = &posts,
                                       .arg = drain};
    struct dyn_error error = {""};
    bool told = drain->trouble.text[0] != '\0';
    drain->httpd = httpd_new(drain->options.loop, &http, &error);
    drain->trouble = error;
    if (drain->httpd == NULL) {
        dyn_timer_start(drain->listen_again, DRAIN_LISTEN_AGAIN_MS, 0);
    } else {
        dyn_log(DYN_LOG_INFO, "drain_listens", "address=%s port=%u", drain->options.address,
                (unsigned)httpd_port(drain->httpd));
    }
    if (told != (drain->httpd == NULL)) {
        drain->options.trouble(drain->options.arg, drain->httpd == NULL ? error.text : NULL);
    }
}

dyn_err drain_configure(struct drain *drain, const struct config *config)
{
    size_t asked = 0;
    dyn_err err = drain_table_read(&drain->table, config, &asked);
    if (err == DYN_OK && asked > 0 && drain->httpd == NULL && drain->options.address[0] != '\0') {
        listen_begin(drain);
    }
    return err;
}

/* ---- life ---- */

struct drain *drain_new(const struct drain_options *options)
{
    struct drain *drain = calloc(1, sizeof *drain);
    if (drain == NULL) {
        return NULL;
    }
    drain->options = *options;
    drain_call_init(&drain->call);
    drain->listen_again = dyn_timer_new(options->loop, listen_begin, drain);
    if (drain->listen_again == NULL) {
        drain_free(drain);
        return NULL;
    }
    return drain;
}

void drain_free(struct drain *drain)
{
    if (drain == NULL) {
        return;
    }
    httpd_free(drain->httpd);
    dyn_timer_free(drain->listen_again);
    drain_call_fini(&drain->call);
    drain_table_fini(&drain->table);
    free(drain);
}

void drain_stop(struct drain *drain)
{
    drain->stopped = true;
}

bool drain_is_ready(const struct drain *drain, struct dyn_buf *why)
{
    if (drain->trouble.text[0] != '\0') {
        (void)dyn_buf_addf(why, "log drains: %s", drain->trouble.text);
        return false;
    }
    return true;
}

uint16_t drain_port(const struct drain *drain)
{
    return drain->httpd != NULL ? httpd_port(drain->httpd) : 0;
}

const struct drain_counts *drain_counts(const struct drain *drain)
{
    return &drain->counts;
}
