/*
 * The client's half lives in its process: it connects, asks before_send, waits, calls `done`. The
 * exchange's half is the world's. The two know each other by exchange->transfer alone, so that
 * either may go first.
 */
#include "tests/sim/sim_http.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define RETRY_US (250 * SIM_MS) /* a cut direction is looked at again that often */
/* What a kernel tries to bring out for a connection whose other side does not acknowledge. */
#define OUT_MAX_US (DYN_HTTP_USER_TIMEOUT_MS * SIM_MS)

struct http_headers {
    struct {
        const char *name;
        const char *value;
    } items[3];
};

enum transfer_state {
    TRANSFER_WAITING, /* for one of the connections */
    TRANSFER_CONNECTING,
    TRANSFER_SENT,
    TRANSFER_ENDED /* `done` is to be called in the next turn */
};

struct http_transfer {
    struct http_client *client;
    struct http_transfer *prev, *next;
    enum transfer_state state;
    struct sim_exchange *exchange; /* ours until it is sent; NULL: let go of */
    struct sim_event timeout;
    struct sim_event turn; /* connected, or answered, or ended */
    bool (*before_send)(void *arg);
    void (*done)(void *arg, const struct http_answer *answer);
    void *arg;
    bool sources;
    int64_t began;
    int64_t connect_us, total_us;
    dyn_err verdict;
    bool sent;
};

struct http_client {
    struct sim_process *process;
    char user_agent[64];
    struct http_transfer *first;
    long active;
    long active_max;
};

static struct {
    void (*sent)(void *arg, const struct sim_exchange *exchange);
    void *arg;
    int64_t usual_us;
    struct sim_random random;
} net;

void sim_http_watch(void (*fn)(void *arg, const struct sim_exchange *exchange), void *arg)
{
    net.sent = fn;
    net.arg = arg;
}

void sim_http_latency(int64_t usual_us)
{
    net.usual_us = usual_us;
    net.random = sim_random_of("http");
}

static int64_t one_way(void)
{
    return sim_random_range(&net.random, net.usual_us / 2, net.usual_us * 2);
}

/* ---- exchanges ---- */

const char *sim_exchange_header(const struct sim_exchange *exchange, const char *name)
{
    size_t len = strlen(name);
    for (size_t i = 0; i < exchange->headers_count; i++) {
        const char *line = exchange->headers[i];
        if (strncasecmp(line, name, len) == 0 && line[len] == ':') {
            line += len + 1;
            return line + strspn(line, " ");
        }
    }
    return NULL;
}

static void exchange_free(struct sim_exchange *exchange)
{
    sim_event_cancel(&exchange->event);
    free(exchange->reply);
    free(exchange);
}

/* The link of its sender; one that is gone has left what it sent with the kernel and the network.
 */
static bool sender_is_cut(const struct sim_exchange *exchange)
{
    for (struct sim_process *process = sim_process_first(); process != NULL;
         process = sim_process_next(process)) {
        if (sim_process_id(process) == exchange->process) {
            return sim_link_state(process, SIM_LINK_HTTP)->cut_out;
        }
    }
    return false;
}

static void exchange_arrive(void *arg)
{
    struct sim_exchange *exchange = arg;
    if (sender_is_cut(exchange)) {
        if (sim_now() - exchange->sent_at < OUT_MAX_US) {
            sim_event_set(&exchange->event, NULL, sim_now() + RETRY_US, exchange_arrive, exchange);
        } else if (exchange->transfer == NULL) {
            exchange_free(exchange);
        }
        return;
    }
    exchange->arrived = true;
    if (strncmp(exchange->path, "/input/", 7) == 0) {
        sim_sources_arrive(exchange);
    } else {
        sim_heroku_arrive(exchange);
    }
}

static void transfer_turn(void *arg);

static void exchange_back(void *arg)
{
    struct sim_exchange *exchange = arg;
    struct http_transfer *transfer = exchange->transfer;
    if (transfer == NULL) {
        exchange_free(exchange);
        return;
    }
    struct sim_process *process = transfer->client->process;
    if (sim_link_state(process, SIM_LINK_HTTP)->cut_in) {
        sim_event_set(&exchange->event, NULL, sim_now() + RETRY_US, exchange_back, exchange);
        return;
    }
    sim_event_set(&transfer->turn, process, sim_now(), transfer_turn, transfer);
}

static void exchange_return(struct sim_exchange *exchange)
{
    int64_t way = one_way();
    if (exchange->transfer != NULL) {
        way += sim_link_state(exchange->transfer->client->process, SIM_LINK_HTTP)->delay_us;
    }
    exchange->answered = true;
    sim_event_set(&exchange->event, NULL, sim_now() + way, exchange_back, exchange);
}

void sim_exchange_answer(struct sim_exchange *exchange)
{
    exchange_return(exchange);
}

void sim_exchange_drop(struct sim_exchange *exchange)
{
    exchange->dropped = true;
    exchange_return(exchange);
}

/* ---- transfers ---- */

static void transfer_link(struct http_transfer *transfer)
{
    struct http_client *client = transfer->client;
    transfer->next = client->first;
    if (client->first != NULL) {
        client->first->prev = transfer;
    }
    client->first = transfer;
}

static void transfer_unlink(struct http_transfer *transfer)
{
    if (transfer->prev != NULL) {
        transfer->prev->next = transfer->next;
    } else {
        transfer->client->first = transfer->next;
    }
    if (transfer->next != NULL) {
        transfer->next->prev = transfer->prev;
    }
}

/* The client's side of the connection is closed. What was sent goes on without it. */
static void transfer_let_go(struct http_transfer *transfer)
{
    struct sim_exchange *exchange = transfer->exchange;
    transfer->exchange = NULL;
    if (exchange == NULL) {
        return;
    }
    exchange->transfer = NULL;
    /* What came back and found the timer first, or never arrived, is nobody's now. */
    bool at_the_server = exchange->arrived && !exchange->answered;
    if (!at_the_server && !sim_event_is_set(&exchange->event)) {
        exchange_free(exchange);
    }
}

static void client_start_waiting(struct http_client *client);

static void transfer_finish(struct http_transfer *transfer, const struct http_answer *answer)
{
    struct http_client *client = transfer->client;
    bool ran = transfer->state != TRANSFER_WAITING;
    sim_event_cancel(&transfer->timeout);
    sim_event_cancel(&transfer->turn);
    transfer_unlink(transfer);
    transfer->state = TRANSFER_ENDED; /* a cancel inside `done` comes too late */
    transfer->done(transfer->arg, answer);
    transfer_let_go(transfer);
    free(transfer);
    client->active -= ran;
    client_start_waiting(client);
}

static void transfer_fail(struct http_transfer *transfer, dyn_err err)
{
    char words[160];
    (void)snprintf(words, sizeof words, "%s: %s", transfer->sources ? "source" : "api.heroku.com",
                   dyn_err_text(err));
    struct http_answer answer = {
        .err = err,
        .error = words,
        .sent = transfer->sent,
        .body = DYN_STR(""),
        .elapsed_ms = (sim_now() - transfer->began) / SIM_MS,
    };
    transfer_finish(transfer, &answer);
}

static void transfer_answered(struct http_transfer *transfer)
{
    const struct sim_exchange *exchange = transfer->exchange;
    if (sim_now() - transfer->began > transfer->total_us) {
        transfer_fail(transfer, DYN_TIMEOUT);
        return;
    }
    if (exchange->dropped || exchange->cut) {
        transfer_fail(transfer, DYN_IO);
        return;
    }
    struct http_headers headers = {{{"RateLimit-Remaining", exchange->remaining},
                                    {"Retry-After", exchange->retry_after},
                                    {"Request-Id", exchange->request_id}}};
    struct http_answer answer = {
        .err = DYN_OK,
        .error = "",
        .sent = true,
        .status = exchange->status,
        .body = {exchange->reply != NULL ? exchange->reply : "", exchange->reply_len},
        .elapsed_ms = (sim_now() - transfer->began) / SIM_MS,
        .headers = &headers,
    };
    transfer_finish(transfer, &answer);
}

static void transfer_connected(struct http_transfer *transfer)
{
    struct sim_exchange *exchange = transfer->exchange;
    if (transfer->before_send != NULL && !transfer->before_send(transfer->arg)) {
        transfer_fail(transfer, DYN_REFUSED);
        return;
    }
    transfer->state = TRANSFER_SENT;
    transfer->sent = true;
    exchange->sent_at = sim_now();
    if (net.sent != NULL) {
        net.sent(net.arg, exchange);
    }
    const struct sim_link_state *link = sim_link_state(transfer->client->process, SIM_LINK_HTTP);
    sim_event_set(&exchange->event, NULL, sim_now() + one_way() + link->delay_us, exchange_arrive,
                  exchange);
}

static void transfer_turn(void *arg)
{
    struct http_transfer *transfer = arg;
    if (transfer->state == TRANSFER_ENDED) {
        transfer_fail(transfer, transfer->verdict);
    } else if (transfer->state == TRANSFER_SENT) {
        transfer_answered(transfer);
    } else {
        transfer_connected(transfer);
    }
}

static void transfer_timed_out(void *arg)
{
    transfer_fail(arg, DYN_TIMEOUT);
}

static void transfer_connect(struct http_transfer *transfer)
{
    struct sim_process *process = transfer->client->process;
    const struct sim_link_state *link = sim_link_state(process, SIM_LINK_HTTP);
    transfer->state = TRANSFER_CONNECTING;
    transfer->client->active++;
    int64_t limit = transfer->began + transfer->total_us;
    int64_t there_and_back = one_way() + one_way() + 2 * link->delay_us;
    bool never = link->cut_out || link->cut_in || there_and_back > transfer->connect_us;
    if (never && sim_now() + transfer->connect_us < limit) {
        limit = sim_now() + transfer->connect_us;
    }
    sim_event_set(&transfer->timeout, process, limit, transfer_timed_out, transfer);
    if (!never) {
        sim_event_set(&transfer->turn, process, sim_now() + there_and_back, transfer_turn,
                      transfer);
    }
}

static void client_start_waiting(struct http_client *client)
{
    struct http_transfer *oldest = NULL;
    if (client->active >= client->active_max) {
        return;
    }
    for (struct http_transfer *at = client->first; at != NULL; at = at->next) {
        oldest = at->state == TRANSFER_WAITING ? at : oldest;
    }
    if (oldest != NULL) {
        transfer_connect(oldest);
    }
}

/* ---- common/http.h ---- */

struct http_client *http_client_new(struct dyn_loop *loop,
                                    const struct http_client_options *options)
{
    (void)loop;
    struct http_client *client = calloc(1, sizeof *client);
    DYN_ASSERT(client != NULL);
    client->process = sim_process_current();
    DYN_ASSERT(client->process != NULL);
    client->active_max = options->host_connections_max > 0 ? options->host_connections_max
                                                           : DYN_HTTP_HOST_CONNECTIONS_MAX;
    (void)snprintf(client->user_agent, sizeof client->user_agent, "%s",
                   options->user_agent != NULL ? options->user_agent : "dynosaur/" DYN_VERSION);
    return client;
}

void http_client_free(struct http_client *client)
{
    if (client == NULL) {
        return;
    }
    client->active_max = 0; /* nothing starts in the place of what ends */
    while (client->first != NULL) {
        struct http_transfer *first = client->first;
        transfer_fail(first, DYN_CANCELLED);
        DYN_ASSERT(client->first != first);
    }
    free(client);
}

static void exchange_fill(struct sim_exchange *exchange, const struct http_client *client,
                          const struct http_request *request)
{
    const char *host = strstr(request->url, "://");
    const char *path = host != NULL ? strchr(host + 3, '/') : NULL;
    exchange->process = sim_process_id(client->process);
    (void)snprintf(exchange->sender, sizeof exchange->sender, "%s",
                   sim_process_name(client->process));
    (void)snprintf(exchange->method, sizeof exchange->method, "%s", request->method);
    (void)snprintf(exchange->path, sizeof exchange->path, "%s", path != NULL ? path : "/");
    (void)snprintf(exchange->user_agent, sizeof exchange->user_agent, "%s", client->user_agent);
    DYN_ASSERT(request->headers_count <= SIM_EXCHANGE_HEADERS);
    for (size_t i = 0; i < request->headers_count; i++) {
        (void)snprintf(exchange->headers[i], sizeof exchange->headers[i], "%s",
                       request->headers[i]);
    }
    exchange->headers_count = request->headers_count;
    exchange->has_body = request->body.ptr != NULL;
    DYN_ASSERT(request->body.len < sizeof exchange->body);
    if (exchange->has_body) {
        memcpy(exchange->body, request->body.ptr, request->body.len);
        exchange->body_len = request->body.len;
    }
}

dyn_err http_start(struct http_client *client, const struct http_request *request,
                   struct http_transfer **out_transfer, struct dyn_error *error)
{
    (void)error;
    struct http_transfer *transfer = calloc(1, sizeof *transfer);
    struct sim_exchange *exchange = calloc(1, sizeof *exchange);
    DYN_ASSERT(transfer != NULL && exchange != NULL);
    exchange_fill(exchange, client, request);
    exchange->transfer = transfer;
    *transfer = (struct http_transfer){
        .client = client,
        .exchange = exchange,
        .before_send = request->before_send,
        .done = request->done,
        .arg = request->arg,
        .sources = strncmp(request->url, SIM_SOURCES_URL, strlen(SIM_SOURCES_URL)) == 0,
        .began = sim_now(),
        .connect_us = SIM_MS * (request->connect_timeout_ms > 0 ? request->connect_timeout_ms
                                                                : DYN_HTTP_CONNECT_TIMEOUT_MS),
        .total_us = SIM_MS * (request->total_timeout_ms > 0 ? request->total_timeout_ms
                                                            : DYN_HTTP_TOTAL_TIMEOUT_MS),
    };
    transfer_link(transfer);
    if (client->active < client->active_max) {
        transfer_connect(transfer);
    } else {
        sim_event_set(&transfer->timeout, client->process, transfer->began + transfer->total_us,
                      transfer_timed_out, transfer);
    }
    if (out_transfer != NULL) {
        *out_transfer = transfer;
    }
    return DYN_OK;
}

void http_cancel(struct http_transfer *transfer)
{
    if (transfer->state == TRANSFER_ENDED) {
        return;
    }
    transfer->client->active += transfer->state == TRANSFER_WAITING; /* it counts as run */
    transfer->state = TRANSFER_ENDED;
    transfer->verdict = DYN_CANCELLED;
    transfer_let_go(transfer);
    sim_event_cancel(&transfer->timeout);
    sim_event_set(&transfer->turn, transfer->client->process, sim_now(), transfer_turn, transfer);
}

struct dyn_str http_header(const struct http_answer *answer, const char *name)
{
    for (size_t i = 0; answer->headers != NULL && i < 3; i++) {
        if (strcasecmp(answer->headers->items[i].name, name) == 0 &&
            answer->headers->items[i].value[0] != '\0') {
            return dyn_str_from(answer->headers->items[i].value);
        }
    }
    return (struct dyn_str){NULL, 0};
}
