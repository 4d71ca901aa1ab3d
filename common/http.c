/*
 * The life of a transfer: http_start() checks and copies the request; it runs at once (a curl
 * handle from the pool is lent to it) or waits in the queue. It ends when curl says so, or through
 * the `ended` list, which a timer of zero empties: there go those that were cancelled and those
 * whose time ran out in the queue. transfer_finish() of http_curl.c is the only place that calls
 * `done`.
 */
#include "common/http_internal.h"

#include "common/clock.h"

#define QUEUE_SWEEP_MS 50

/* ---- the pool of transfers ---- */

static struct http_transfer *transfer_take(struct http_client *client)
{
    struct http_transfer *transfer = client->idle_transfers;
    if (transfer == NULL) {
        return http_transfer_new(client);
    }
    client->idle_transfers = transfer->next;
    client->idle_transfers_count--;
    return transfer;
}

void http_client_give(struct http_transfer *transfer)
{
    struct http_client *client = transfer->client;
    if (client->idle_transfers_count >= client->queue.active_max) {
        http_transfer_free(transfer);
        return;
    }
    http_transfer_rest(transfer);
    transfer->next = client->idle_transfers;
    client->idle_transfers = transfer;
    client->idle_transfers_count++;
}

/* ---- ends that curl does not tell of ---- */

static void ended_push(struct http_transfer *transfer, dyn_err verdict)
{
    struct http_client *client = transfer->client;
    transfer->verdict = verdict;
    http_list_push(&client->ended, transfer);
    dyn_timer_start(client->ended_timer, 0, 0);
}

void http_client_start_waiting(struct http_client *client)
{
    struct http_transfer *transfer;
    while ((transfer = http_queue_next(&client->queue)) != NULL) {
        dyn_err err = http_curl_run(transfer);
        if (err != DYN_OK) {
            ended_push(transfer, err);
        }
    }
    if (client->queue.waiting == 0 && dyn_timer_active(client->queue_timer)) {
        dyn_timer_stop(client->queue_timer);
    }
}

static void queue_sweep(void *arg)
{
    struct http_client *client = arg;
    struct http_transfer *transfer;
    int64_t now_ms = dyn_clock_boot_ms();
    size_t slot = 0;
    while ((transfer = http_queue_expired(&client->queue, now_ms, &slot)) != NULL) {
        ended_push(transfer, DYN_TIMEOUT);
    }
}

static void ended_rang(void *arg)
{
    http_curl_drain(arg);
}

/* ---- requests ---- */

static void transfer_wait(struct http_transfer *transfer)
{
    struct http_client *client = transfer->client;
    http_queue_push(&client->queue, transfer);
    if (!dyn_timer_active(client->queue_timer)) {
        dyn_timer_start(client->queue_timer, QUEUE_SWEEP_MS, QUEUE_SWEEP_MS);
    }
    if (!client->delivering) {
        http_client_start_waiting(client);
    }
}

dyn_err http_start(struct http_client *client, const struct http_request *request,
                   struct http_transfer **out_transfer, struct dyn_error *error)
{
    if (client->queue.waiting >= DYN_HTTP_WAITING_MAX) {
        return dyn_error_set(error, DYN_BUSY, "%d HTTP requests wait already",
                             DYN_HTTP_WAITING_MAX);
    }
    struct http_transfer *transfer = transfer_take(client);
    if (transfer == NULL) {
        return dyn_error_set(error, DYN_NOMEM, "no memory for an HTTP request");
    }
    dyn_err err = http_transfer_fill(transfer, request, error);
    if (err != DYN_OK) {
        goto fail;
    }
    if (!http_queue_is_free(&client->queue, transfer->slot)) {
        transfer_wait(transfer);
    } else {
        err = http_curl_run(transfer);
        if (err != DYN_OK) {
            dyn_error_set(error, err, "no memory for an HTTP request");
            goto fail;
        }
    }
    if (out_transfer != NULL) {
        *out_transfer = transfer;
    }
    return DYN_OK;

fail:
    http_client_give(transfer);
    return err;
}

/* Only noted here: curl may be in the middle of a callback. */
void http_cancel(struct http_transfer *transfer)
{
    struct http_client *client = transfer->client;
    if (transfer->finishing || transfer->list == &client->ended) {
        return;
    }
    if (transfer->list != NULL) {
        http_queue_remove(&client->queue, transfer);
    }
    ended_push(transfer, DYN_CANCELLED);
}

/* ---- the client ---- */

static long or_default_long(long value, long fallback)
{
    return value > 0 ? value : fallback;
}

/* All that is not curl's. */
static void client_destroy(struct http_client *client)
{
    while (client->idle_transfers != NULL) {
        struct http_transfer *transfer = client->idle_transfers;
        client->idle_transfers = transfer->next;
        http_transfer_free(transfer);
    }
    dyn_timer_free(client->ended_timer);
    dyn_timer_free(client->queue_timer);
    free(client->user_agent);
    free(client->ca_file);
    free(client);
}

struct http_client *http_client_new(struct dyn_loop *loop,
                                    const struct http_client_options *options)
{
    struct http_client *client = calloc(1, sizeof(*client));
    if (client == NULL) {
        return NULL;
    }
    const char *user_agent = "dynosaur/" DYN_VERSION;
    client->loop = loop;
    client->queue.active_max = DYN_HTTP_CONNECTIONS_MAX;
    client->queue.host_active_max = DYN_HTTP_HOST_CONNECTIONS_MAX;
    if (options != NULL) {
        client->queue.active_max =
            or_default_long(options->connections_max, DYN_HTTP_CONNECTIONS_MAX);
        client->queue.host_active_max =
            or_default_long(options->host_connections_max, DYN_HTTP_HOST_CONNECTIONS_MAX);
        user_agent = options->user_agent != NULL ? options->user_agent : user_agent;
        client->ca_file = options->ca_file != NULL ? strdup(options->ca_file) : NULL;
        if (options->ca_file != NULL && client->ca_file == NULL) {
            goto fail;
        }
    }
    client->user_agent = strdup(user_agent);
    client->ended_timer = dyn_timer_new(loop, ended_rang, client);
    client->queue_timer = dyn_timer_new(loop, queue_sweep, client);
    if (client->user_agent == NULL || client->ended_timer == NULL || client->queue_timer == NULL ||
        !http_curl_init(client)) {
        goto fail;
    }
    return client;

fail:
    client_destroy(client);
    return NULL;
}

void http_client_free(struct http_client *client)
{
    if (client == NULL) {
        return;
    }
    DYN_ASSERT(!client->delivering);
    http_curl_drain_ended(client);
    DYN_ASSERT(client->queue.active == 0);
    DYN_ASSERT(client->queue.waiting == 0);
    http_curl_fini(client);
    client_destroy(client);
}
