#include "common/http_internal.h"

#include "common/clock.h"

#include <curl/curl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

/* A curl handle with all its constant options set; what changes is set for each request. */
struct http_easy {
    struct http_easy *next; /* in the pool */
    CURL *curl;
    struct http_transfer *transfer; /* NULL in the pool */
    struct curl_slist lines[HTTP_LINES_MAX];
    char error[CURL_ERROR_SIZE];
};

/* ---- sockets: curl's descriptors on the loop ---- */

void http_curl_socket_ready(void *arg, int events)
{
    struct http_socket *sock = arg;
    struct http_client *client = sock->client;
    curl_socket_t fd = sock->fd;
    int running;
    int mask = 0;

    if ((events & DYN_FAILED) != 0) {
        sock->armed = 0;
        mask |= CURL_CSELECT_ERR;
    }
    if (sock->wanted == 0) {
        /* The other side ended a kept connection; curl finds that out before it uses it again. */
        dyn_watch_set(sock->watch, 0);
        sock->armed = 0;
        return;
    }
    mask |= (events & DYN_READABLE) != 0 ? CURL_CSELECT_IN : 0;
    mask |= (events & DYN_WRITABLE) != 0 ? CURL_CSELECT_OUT : 0;
    curl_multi_socket_action(client->multi, fd, mask, &running);

    sock = client->sockets[fd];
    if (sock != NULL && sock->wanted != 0 && sock->armed == 0) {
        sock->armed = sock->wanted;
        dyn_watch_set(sock->watch, sock->armed);
    }
    http_curl_drain(client);
}

/* CURLOPT_OPENSOCKETFUNCTION: closed on exec, and given up when sent data is not acknowledged. */
static curl_socket_t socket_open(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct http_client *client = arg;
    (void)purpose;
    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK,
                    address->protocol);
    if (fd < 0) {
        return CURL_SOCKET_BAD;
    }
    unsigned int timeout_ms = DYN_HTTP_USER_TIMEOUT_MS;
    if (setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof(timeout_ms)) != 0 ||
        http_socket_new(client, fd, true) == NULL) {
        close(fd);
        return CURL_SOCKET_BAD;
    }
    return fd;
}

static int socket_close(void *arg, curl_socket_t fd)
{
    struct http_client *client = arg;
    if ((size_t)fd < client->sockets_cap) {
        http_socket_free(client->sockets[fd]);
    }
    return close(fd);
}

/* CURLMOPT_SOCKETFUNCTION. The watch of a connection of ours outlives the transfer: what it was
   set to stays, so that the next request on it needs no system call. */
static int socket_wanted(CURL *curl, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
    static const int events[] = {[CURL_POLL_IN] = DYN_READABLE,
                                 [CURL_POLL_OUT] = DYN_WRITABLE,
                                 [CURL_POLL_INOUT] = DYN_READABLE | DYN_WRITABLE};
    struct http_client *client = arg;
    struct http_socket *sock = (size_t)fd < client->sockets_cap ? client->sockets[fd] : NULL;
    (void)curl;
    (void)socket_arg;

    if (what == CURL_POLL_REMOVE) {
        if (sock != NULL && !sock->ours) {
            http_socket_free(sock);
        } else if (sock != NULL) {
            sock->wanted = 0;
        }
        return 0;
    }
    if (sock == NULL) {
        sock = http_socket_new(client, fd, false);
    }
    if (sock == NULL) {
        return 0; /* no memory: the transfer's time will run out, an error here would end them all
                   */
    }
    sock->wanted = events[what];
    if (sock->armed != sock->wanted) {
        sock->armed = sock->wanted;
        dyn_watch_set(sock->watch, sock->armed);
    }
    return 0;
}

/* CURLMOPT_TIMERFUNCTION, which curl calls only when the time changed. */
static int timer_wanted(CURLM *multi, long timeout_ms, void *arg)
{
    struct http_client *client = arg;
    (void)multi;
    if (timeout_ms < 0) {
        dyn_timer_stop(client->curl_timer);
    } else {
        dyn_timer_start(client->curl_timer, timeout_ms, 0);
    }
    return 0;
}

static void timer_rang(void *arg)
{
    struct http_client *client = arg;
    int running;
    curl_multi_socket_action(client->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    http_curl_drain(client);
}

/* ---- what curl tells of a transfer ---- */

static size_t answer_write(char *bytes, size_t size, size_t count, void *arg)
{
    struct http_transfer *transfer = ((struct http_easy *)arg)->transfer;
    struct dyn_str part = {bytes, size * count};
    bool ok = transfer->verdict == DYN_OK && http_transfer_add_body(transfer, part);
    return ok ? part.len : CURL_WRITEFUNC_ERROR;
}

static size_t answer_header(char *bytes, size_t size, size_t count, void *arg)
{
    struct http_transfer *transfer = ((struct http_easy *)arg)->transfer;
    struct dyn_str line = {bytes, size * count};
    bool ok = transfer->verdict == DYN_OK && http_transfer_add_header(transfer, line);
    return ok ? line.len : CURL_WRITEFUNC_ERROR;
}

static int transfer_before_send(void *arg, char *ip, char *local_ip, int port, int local_port)
{
    struct http_transfer *transfer = ((struct http_easy *)arg)->transfer;
    (void)ip;
    (void)local_ip;
    (void)port;
    (void)local_port;
    if (transfer->verdict != DYN_OK) {
        return CURL_PREREQFUNC_ABORT;
    }
    if (transfer->before_send != NULL && !transfer->before_send(transfer->arg)) {
        transfer->verdict = DYN_REFUSED;
        return CURL_PREREQFUNC_ABORT;
    }
    transfer->sent = true;
    return CURL_PREREQFUNC_OK;
}

/* ---- curl handles ---- */

static bool easy_set_safety(CURL *curl, struct http_client *client)
{
    return curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_PROXY, "") == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_NOPROXY, "*") == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_HTTP09_ALLOWED, 0L) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           /* Without it a cancelled or late transfer waits here for its resolver's thread. */
           curl_easy_setopt(curl, CURLOPT_QUICK_EXIT, 1L) == CURLE_OK &&
           /* HTTP/2 repeats refused streams and shares one connection among writes. */
           curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) == CURLE_OK &&
           (client->ca_file == NULL ||
            curl_easy_setopt(curl, CURLOPT_CAINFO, client->ca_file) == CURLE_OK) &&
           curl_easy_setopt(curl, CURLOPT_USERAGENT, client->user_agent) == CURLE_OK;
}

static bool easy_set_callbacks(CURL *curl, struct http_easy *easy, struct http_client *client)
{
    return curl_easy_setopt(curl, CURLOPT_PRIVATE, (void *)easy) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_SHARE, client->share) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, easy->error) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, answer_write) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_WRITEDATA, (void *)easy) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, answer_header) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_HEADERDATA, (void *)easy) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_PREREQFUNCTION, transfer_before_send) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_PREREQDATA, (void *)easy) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, socket_open) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, (void *)client) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_CLOSESOCKETFUNCTION, socket_close) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_CLOSESOCKETDATA, (void *)client) == CURLE_OK;
}

static void easy_free(struct http_easy *easy)
{
    if (easy != NULL) {
        curl_easy_cleanup(easy->curl);
        free(easy);
    }
}

static struct http_easy *easy_take(struct http_client *client)
{
    struct http_easy *easy = client->idle_easies;
    if (easy != NULL) {
        client->idle_easies = easy->next;
        return easy;
    }
    easy = calloc(1, sizeof(*easy));
    if (easy == NULL) {
        return NULL;
    }
    easy->curl = curl_easy_init();
    if (easy->curl == NULL || !easy_set_safety(easy->curl, client) ||
        !easy_set_callbacks(easy->curl, easy, client)) {
        easy_free(easy);
        return NULL;
    }
    return easy;
}

/* Unset again for requests that are not signed: curl's handles are used over and over. */
static bool easy_set_signature(CURL *curl, const struct http_transfer *transfer)
{
    return curl_easy_setopt(curl, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_AWS_SIGV4, transfer->sigv4) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_USERNAME, transfer->user) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_PASSWORD, transfer->password) == CURLE_OK;
}

static bool easy_set_request(struct http_easy *easy, struct http_transfer *transfer,
                             int64_t left_ms)
{
    CURL *curl = easy->curl;
    bool has_body = transfer->body != NULL;
    long fresh = transfer->write ? 1 : 0;
    for (size_t i = 0; i < transfer->lines_count; i++) {
        easy->lines[i].data = transfer->lines[i];
        easy->lines[i].next = i + 1 < transfer->lines_count ? &easy->lines[i + 1] : NULL;
    }
    /* The kind comes after the fields, which would make a POST of it. */
    return easy_set_signature(curl, transfer) &&
           curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)transfer->body_len) ==
               CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_POSTFIELDS, transfer->body) == CURLE_OK &&
           curl_easy_setopt(curl, has_body ? CURLOPT_POST : CURLOPT_HTTPGET, 1L) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, transfer->method) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_URL, transfer->url) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_HTTPHEADER, easy->lines) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT, fresh) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_FORBID_REUSE, fresh) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)transfer->connect_timeout_ms) ==
               CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)left_ms) == CURLE_OK;
}

/* ---- transfers ---- */

/* Lend it a curl handle and set it going. On failure it is as it was. */
dyn_err http_curl_run(struct http_transfer *transfer)
{
    struct http_client *client = transfer->client;
    struct http_easy *easy = easy_take(client);
    if (easy == NULL) {
        return DYN_NOMEM;
    }
    int64_t left_ms = transfer->started_ms + transfer->total_timeout_ms - dyn_clock_boot_ms();
    easy->transfer = transfer;
    easy->error[0] = '\0';
    if (!easy_set_request(easy, transfer, left_ms > 1 ? left_ms : 1) ||
        curl_multi_add_handle(client->multi, easy->curl) != CURLM_OK) {
        easy_free(easy);
        return DYN_NOMEM;
    }
    transfer->easy = easy;
    http_queue_enter(&client->queue, transfer->slot);
    return DYN_OK;
}

/* Take the curl handle back. */
static void transfer_stop(struct http_transfer *transfer)
{
    struct http_client *client = transfer->client;
    struct http_easy *easy = transfer->easy;
    curl_multi_remove_handle(client->multi, easy->curl);
    easy->transfer = NULL;
    easy->next = client->idle_easies;
    client->idle_easies = easy;
    transfer->easy = NULL;
    http_queue_leave(&client->queue, transfer->slot);
}

/* Curl's own words where they say more than the code and can hold nothing but host and port. */
static const char *curl_words(CURLcode code, const char *buffer)
{
    bool detailed = code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_COULDNT_CONNECT ||
                    code == CURLE_SSL_CONNECT_ERROR || code == CURLE_PEER_FAILED_VERIFICATION;
    return detailed && buffer[0] != '\0' ? buffer : curl_easy_strerror(code);
}

static dyn_err verdict_of(const struct http_transfer *transfer, CURLcode code)
{
    if (transfer->verdict != DYN_OK) {
        return transfer->verdict;
    }
    if (code == CURLE_OK) {
        return DYN_OK;
    }
    /* CURLE_OUT_OF_MEMORY, too: curl says so of a header line that is too long. */
    return code == CURLE_OPERATION_TIMEDOUT ? DYN_TIMEOUT : DYN_IO;
}

/* The only place that calls `done`. */
static void transfer_finish(struct http_transfer *transfer, CURLcode code)
{
    struct dyn_error error = {""};
    struct http_answer answer = {.sent = transfer->sent, .error = error.text};

    transfer->finishing = true;
    answer.elapsed_ms = dyn_clock_boot_ms() - transfer->started_ms;
    answer.err = verdict_of(transfer, code);
    if (answer.err != DYN_OK) {
        const char *words = transfer->easy != NULL ? transfer->easy->error : "";
        http_transfer_explain(transfer, answer.err, curl_words(code, words), &error);
    } else {
        curl_easy_getinfo(transfer->easy->curl, CURLINFO_RESPONSE_CODE, &answer.status);
        answer.body = dyn_buf_str(&transfer->answer_body);
        answer.headers = &transfer->answer_headers;
    }
    if (transfer->list != NULL) {
        http_list_remove(transfer);
    }
    if (transfer->easy != NULL) {
        transfer_stop(transfer);
    }
    transfer->done(transfer->arg, &answer);
    http_client_give(transfer);
}

void http_curl_drain_ended(struct http_client *client)
{
    while (client->ended.first != NULL) {
        transfer_finish(client->ended.first, CURLE_ABORTED_BY_CALLBACK);
    }
}

/* Hand out what ended, then start what waited for it. */
void http_curl_drain(struct http_client *client)
{
    CURLMsg *message;
    int left;
    client->delivering = true;
    while ((message = curl_multi_info_read(client->multi, &left)) != NULL) {
        struct http_easy *easy = NULL;
        CURLcode code = message->data.result;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &easy);
        DYN_ASSERT(easy != NULL && easy->transfer != NULL);
        transfer_finish(easy->transfer, code);
    }
    http_curl_drain_ended(client);
    client->delivering = false;
    http_client_start_waiting(client);
    if (client->queue.active == 0) {
        http_sockets_rest(client);
    }
}

/* ---- curl itself ---- */

static bool multi_setup(struct http_client *client)
{
    CURLM *multi = client->multi;
    return curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, socket_wanted) == CURLM_OK &&
           curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, (void *)client) == CURLM_OK &&
           curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, timer_wanted) == CURLM_OK &&
           curl_multi_setopt(multi, CURLMOPT_TIMERDATA, (void *)client) == CURLM_OK &&
           curl_multi_setopt(multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING) == CURLM_OK &&
           curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, client->queue.active_max) == CURLM_OK &&
           curl_share_setopt(client->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION) ==
               CURLSHE_OK;
}

bool http_curl_init(struct http_client *client)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        return false;
    }
    client->multi = curl_multi_init();
    client->share = curl_share_init();
    client->curl_timer = dyn_timer_new(client->loop, timer_rang, client);
    if (client->multi == NULL || client->share == NULL || client->curl_timer == NULL ||
        !multi_setup(client)) {
        http_curl_fini(client);
        return false;
    }
    return true;
}

/* Kept connections close through socket_close(), so the sockets stay until curl is gone. */
void http_curl_fini(struct http_client *client)
{
    while (client->idle_easies != NULL) {
        struct http_easy *easy = client->idle_easies;
        client->idle_easies = easy->next;
        easy_free(easy);
    }
    if (client->multi != NULL) {
        curl_multi_cleanup(client->multi);
    }
    if (client->share != NULL) {
        curl_share_cleanup(client->share);
    }
    for (size_t fd = 0; fd < client->sockets_cap; fd++) {
        http_socket_free(client->sockets[fd]);
    }
    dyn_timer_free(client->curl_timer);
    free(client->sockets);
    curl_global_cleanup();
}
