/*
 * The life of a transfer: http_start() checks and copies the request; it runs at once (a curl
 * handle from the pool is lent to it) or waits in the queue of its host's slot. It ends when curl
 * says so, or through the `ended` list, which a timer of zero empties: there go those that were
 * cancelled and those whose time ran out in the queue. transfer_finish() is the only place that
 * calls `done`.
 *
 * The queue is ours because libcurl 7.88 neither checks the timeouts of the transfers in its own
 * nor starts their connect timeout when they leave it.
 */
#include "common/http.h"

#include "common/clock.h"
#include "common/http_url.h"
#include "common/limits.h"

#include <curl/curl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define HTTP_SLOTS 256                /* hosts that fall into one slot share its limit */
#define HTTP_KEEP_BYTES (64 * 1024)   /* buffers that grew beyond it are not kept in the pool */
#define HTTP_SOCKETS_MAX (1024 * 1024) /* descriptor numbers we have a table for */
#define HTTP_QUEUE_SWEEP_MS 50

struct http_headers {
    struct dyn_buf text; /* "Name: value" lines, each ended by a NUL */
    size_t count;        /* all lines since the start of the transfer */
    size_t bytes;
};

/* A curl handle with all its constant options set; what changes is set for each request. */
struct http_easy {
    struct http_easy *next; /* in the pool */
    CURL *curl;
    struct http_transfer *transfer; /* NULL in the pool */
    char error[CURL_ERROR_SIZE];
};

struct http_list {
    struct http_transfer *first;
    struct http_transfer *last;
};

struct http_transfer {
    struct http_client *client;
    struct http_list *list; /* the queue of its slot, `ended`, or NULL */
    struct http_transfer *previous;
    struct http_transfer *next; /* in `list`, or in the pool */
    struct http_easy *easy;     /* NULL while it waits */
    struct dyn_buf copy;        /* all text of the request; the pointers below point into it */
    const char *method;
    const char *url;
    const char *body;
    size_t body_len;
    struct curl_slist headers[DYN_HTTP_REQUEST_HEADERS_MAX + 2];
    size_t headers_count;
    bool write;
    size_t slot;
    size_t body_max;
    int64_t connect_timeout_ms;
    int64_t total_timeout_ms;
    int64_t started_ms;
    bool (*before_send)(void *arg);
    void (*done)(void *arg, const struct http_answer *answer);
    void *arg;
    struct dyn_buf answer_body;
    struct http_headers answer_headers;
    bool sent;
    bool finishing;
    dyn_err verdict; /* why it is to end whatever curl says; DYN_OK while nothing speaks for it */
};

struct http_socket {
    struct http_socket *previous;
    struct http_socket *next;
    struct http_client *client;
    struct dyn_watch *watch;
    curl_socket_t fd;
    bool ours;  /* made by socket_open(), closed by socket_close() */
    int wanted; /* what curl asks for */
    int armed;  /* what the watch is set to: an idle connection keeps it until it rings */
};

struct http_slot {
    long active;
    struct http_list queue;
};

struct http_client {
    struct dyn_loop *loop;
    CURLM *multi;
    CURLSH *share;
    char *user_agent;
    char *ca_file;
    struct dyn_timer *curl_timer;
    struct dyn_timer *ended_timer;
    struct dyn_timer *queue_timer;
    long connections_max;
    long host_connections_max;
    long active;    /* transfers that have a curl handle */
    size_t waiting; /* transfers in queues */
    size_t slot_next;
    bool delivering;
    struct http_slot slots[HTTP_SLOTS];
    struct http_list ended;
    struct http_transfer *idle_transfers;
    long idle_transfers_count;
    struct http_easy *idle_easies;
    struct http_socket **sockets; /* by descriptor */
    size_t sockets_cap;
    struct http_socket *sockets_first;
};

/* ---- lists ---- */

static void list_push(struct http_list *list, struct http_transfer *transfer)
{
    DYN_ASSERT(transfer->list == NULL);
    transfer->list = list;
    transfer->next = NULL;
    transfer->previous = list->last;
    if (list->last != NULL) {
        list->last->next = transfer;
    } else {
        list->first = transfer;
    }
    list->last = transfer;
}

static void list_remove(struct http_transfer *transfer)
{
    struct http_list *list = transfer->list;
    DYN_ASSERT(list != NULL);
    if (transfer->previous != NULL) {
        transfer->previous->next = transfer->next;
    } else {
        list->first = transfer->next;
    }
    if (transfer->next != NULL) {
        transfer->next->previous = transfer->previous;
    } else {
        list->last = transfer->previous;
    }
    transfer->list = NULL;
}

/* ---- sockets: curl's descriptors on the loop ---- */

static void client_drain(struct http_client *client);

static void socket_ready(void *arg, int events)
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
    client_drain(client);
}

static bool sockets_reserve(struct http_client *client, curl_socket_t fd)
{
    size_t need = (size_t)fd + 1;
    size_t cap = client->sockets_cap != 0 ? client->sockets_cap : 64;
    if (need <= client->sockets_cap) {
        return true;
    }
    while (cap < need) {
        cap *= 2;
    }
    if (cap > HTTP_SOCKETS_MAX) {
        return false;
    }
    struct http_socket **sockets = realloc(client->sockets, cap * sizeof(struct http_socket *));
    if (sockets == NULL) {
        return false;
    }
    for (size_t i = client->sockets_cap; i < cap; i++) {
        sockets[i] = NULL;
    }
    client->sockets = sockets;
    client->sockets_cap = cap;
    return true;
}

static void socket_free(struct http_socket *sock)
{
    if (sock == NULL) {
        return;
    }
    struct http_client *client = sock->client;
    client->sockets[sock->fd] = NULL;
    if (sock->previous != NULL) {
        sock->previous->next = sock->next;
    } else {
        client->sockets_first = sock->next;
    }
    if (sock->next != NULL) {
        sock->next->previous = sock->previous;
    }
    dyn_watch_free(sock->watch);
    free(sock);
}

static struct http_socket *socket_new(struct http_client *client, curl_socket_t fd, bool ours)
{
    if (!sockets_reserve(client, fd)) {
        return NULL;
    }
    /* A number that comes again was closed behind our back: what we knew of it is void. */
    socket_free(client->sockets[fd]);
    struct http_socket *sock = calloc(1, sizeof(*sock));
    if (sock == NULL) {
        return NULL;
    }
    sock->watch = dyn_watch_new(client->loop, fd, socket_ready, sock);
    if (sock->watch == NULL) {
        free(sock);
        return NULL;
    }
    sock->client = client;
    sock->fd = fd;
    sock->ours = ours;
    sock->next = client->sockets_first;
    if (sock->next != NULL) {
        sock->next->previous = sock;
    }
    client->sockets_first = sock;
    client->sockets[fd] = sock;
    return sock;
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
        socket_new(client, fd, true) == NULL) {
        close(fd);
        return CURL_SOCKET_BAD;
    }
    return fd;
}

static int socket_close(void *arg, curl_socket_t fd)
{
    struct http_client *client = arg;
    if ((size_t)fd < client->sockets_cap) {
        socket_free(client->sockets[fd]);
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
            socket_free(sock);
        } else if (sock != NULL) {
            sock->wanted = 0;
        }
        return 0;
    }
    if (sock == NULL) {
        sock = socket_new(client, fd, false);
    }
    if (sock == NULL) {
        return 0; /* no memory: the transfer's time will run out, an error here would end them all */
    }
    sock->wanted = events[what];
    if (sock->armed != sock->wanted) {
        sock->armed = sock->wanted;
        dyn_watch_set(sock->watch, sock->armed);
    }
    return 0;
}

/* Nothing is in flight: kept connections must not keep the loop alive. */
static void sockets_rest(struct http_client *client)
{
    for (struct http_socket *sock = client->sockets_first; sock != NULL; sock = sock->next) {
        if (sock->wanted == 0 && sock->armed != 0) {
            dyn_watch_set(sock->watch, 0);
            sock->armed = 0;
        }
    }
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
    client_drain(client);
}

/* ---- what curl tells of a transfer ---- */

static size_t answer_write(char *bytes, size_t size, size_t count, void *arg)
{
    struct http_transfer *transfer = ((struct http_easy *)arg)->transfer;
    size_t len = size * count;
    if (transfer->verdict != DYN_OK) {
        return CURL_WRITEFUNC_ERROR;
    }
    if (len > transfer->body_max - transfer->answer_body.len) {
        transfer->verdict = DYN_TOOBIG;
        return CURL_WRITEFUNC_ERROR;
    }
    dyn_err err = dyn_buf_add(&transfer->answer_body, bytes, len);
    if (err != DYN_OK) {
        transfer->verdict = err;
        return CURL_WRITEFUNC_ERROR;
    }
    return len;
}

/* Lines of interim answers count, but those of the last one alone are kept; trailers are not. */
static size_t answer_header(char *bytes, size_t size, size_t count, void *arg)
{
    struct http_transfer *transfer = ((struct http_easy *)arg)->transfer;
    struct http_headers *headers = &transfer->answer_headers;
    size_t len = size * count;
    struct dyn_str line = dyn_str_trim((struct dyn_str){bytes, len});

    headers->count++;
    headers->bytes += len;
    if (headers->count > DYN_HTTP_HEADERS_MAX || headers->bytes > DYN_HTTP_HEADERS_BYTES_MAX) {
        transfer->verdict = DYN_TOOBIG;
        return 0;
    }
    if (dyn_str_starts(line, "HTTP/")) {
        dyn_buf_clear(&headers->text);
    } else if (line.len > 0 && transfer->answer_body.len == 0) {
        dyn_buf_add_str(&headers->text, line);
        dyn_buf_add(&headers->text, "", 1);
    }
    return len;
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

struct dyn_str http_header(const struct http_answer *answer, const char *name)
{
    struct dyn_str found = {NULL, 0};
    size_t name_len = strlen(name);
    if (answer->headers == NULL) {
        return found;
    }
    const struct dyn_buf *text = &answer->headers->text;
    for (size_t at = 0; at < text->len;) {
        const char *line = text->ptr + at;
        size_t len = strnlen(line, text->len - at);
        if (len > name_len && line[name_len] == ':' && strncasecmp(line, name, name_len) == 0) {
            struct dyn_str value = {line + name_len + 1, len - name_len - 1};
            found = dyn_str_trim(value);
        }
        at += len + 1;
    }
    return found;
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

static bool easy_set_request(CURL *curl, struct http_transfer *transfer, int64_t left_ms)
{
    bool has_body = transfer->body != NULL;
    long fresh = transfer->write ? 1 : 0;
    /* The kind comes after the fields, which would make a POST of it. */
    return curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)transfer->body_len) ==
               CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_POSTFIELDS, transfer->body) == CURLE_OK &&
           curl_easy_setopt(curl, has_body ? CURLOPT_POST : CURLOPT_HTTPGET, 1L) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, transfer->method) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_URL, transfer->url) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_HTTPHEADER, transfer->headers) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT, fresh) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_FORBID_REUSE, fresh) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)transfer->connect_timeout_ms) ==
               CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)left_ms) == CURLE_OK;
}

/* ---- transfers ---- */

static void transfer_free(struct http_transfer *transfer)
{
    dyn_buf_wipe(&transfer->copy);
    dyn_buf_fini(&transfer->answer_body);
    dyn_buf_fini(&transfer->answer_headers.text);
    free(transfer);
}

static struct http_transfer *transfer_take(struct http_client *client)
{
    struct http_transfer *transfer = client->idle_transfers;
    if (transfer != NULL) {
        client->idle_transfers = transfer->next;
        client->idle_transfers_count--;
        return transfer;
    }
    transfer = calloc(1, sizeof(*transfer));
    if (transfer == NULL) {
        return NULL;
    }
    transfer->client = client;
    dyn_buf_init(&transfer->copy, DYN_HTTP_REQUEST_MAX);
    dyn_buf_init(&transfer->answer_body, DYN_HTTP_BODY_MAX);
    dyn_buf_init(&transfer->answer_headers.text, DYN_HTTP_HEADERS_BYTES_MAX * 2);
    return transfer;
}

/* The copy held the credentials: its bytes go before it waits for the next request. */
static void transfer_give(struct http_transfer *transfer)
{
    struct http_client *client = transfer->client;
    if (client->idle_transfers_count >= client->connections_max) {
        transfer_free(transfer);
        return;
    }
    if (transfer->copy.cap > HTTP_KEEP_BYTES) {
        dyn_buf_wipe(&transfer->copy);
    } else if (transfer->copy.ptr != NULL) {
        explicit_bzero(transfer->copy.ptr, transfer->copy.len);
    }
    if (transfer->answer_body.cap > HTTP_KEEP_BYTES) {
        dyn_buf_fini(&transfer->answer_body);
    }
    transfer->list = NULL;
    transfer->next = client->idle_transfers;
    client->idle_transfers = transfer;
    client->idle_transfers_count++;
}

/* Lend it a curl handle and set it going. On failure it is as it was. */
static dyn_err transfer_run(struct http_transfer *transfer)
{
    struct http_client *client = transfer->client;
    struct http_easy *easy = easy_take(client);
    if (easy == NULL) {
        return DYN_NOMEM;
    }
    int64_t left_ms = transfer->started_ms + transfer->total_timeout_ms - dyn_clock_boot_ms();
    easy->transfer = transfer;
    easy->error[0] = '\0';
    if (!easy_set_request(easy->curl, transfer, left_ms > 1 ? left_ms : 1) ||
        curl_multi_add_handle(client->multi, easy->curl) != CURLM_OK) {
        easy_free(easy);
        return DYN_NOMEM;
    }
    transfer->easy = easy;
    client->active++;
    client->slots[transfer->slot].active++;
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
    client->active--;
    client->slots[transfer->slot].active--;
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

static void error_write(struct dyn_error *error, const struct http_transfer *transfer, dyn_err err,
                        const char *words)
{
    struct http_url url = {0};
    dyn_err parsed = http_url_parse(dyn_str_from(transfer->url), &url);
    DYN_ASSERT(parsed == DYN_OK);
    char why[CURL_ERROR_SIZE];

    switch ((int)err) {
    case DYN_TIMEOUT:
        snprintf(why, sizeof(why), "no %s within %lld ms", transfer->sent ? "answer" : "connection",
                 (long long)(dyn_clock_boot_ms() - transfer->started_ms));
        break;
    case DYN_TOOBIG:
        snprintf(why, sizeof(why), "the answer is over its bound (%zu bytes, %d header lines)",
                 transfer->body_max, DYN_HTTP_HEADERS_MAX);
        break;
    case DYN_REFUSED:
        snprintf(why, sizeof(why), "held back before it was sent");
        break;
    case DYN_IO:
        snprintf(why, sizeof(why), "%s", words);
        break;
    default:
        snprintf(why, sizeof(why), "%s", dyn_err_text(err));
        break;
    }
    /* The URL without user information and query, which may be secrets. */
    dyn_error_set(error, err, "%s %s://" DYN_STR_FMT "%.*s: %s", transfer->method,
                  url.https ? "https" : "http", DYN_STR_ARG(url.origin),
                  url.path.len < 160 ? (int)url.path.len : 160,
                  url.path.ptr != NULL ? url.path.ptr : "", why);
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
        error_write(&error, transfer, answer.err, curl_words(code, words));
    } else {
        curl_easy_getinfo(transfer->easy->curl, CURLINFO_RESPONSE_CODE, &answer.status);
        answer.body = dyn_buf_str(&transfer->answer_body);
        answer.headers = &transfer->answer_headers;
    }
    if (transfer->list != NULL) {
        list_remove(transfer);
    }
    if (transfer->easy != NULL) {
        transfer_stop(transfer);
    }
    transfer->done(transfer->arg, &answer);
    transfer_give(transfer);
}

/* ---- the queue ---- */

static void ended_push(struct http_transfer *transfer, dyn_err verdict)
{
    struct http_client *client = transfer->client;
    if (transfer->list != NULL) {
        list_remove(transfer);
        client->waiting--;
    }
    transfer->verdict = verdict;
    list_push(&client->ended, transfer);
    dyn_timer_start(client->ended_timer, 0, 0);
}

static bool slot_has_room(const struct http_client *client, size_t slot)
{
    return client->active < client->connections_max &&
           client->slots[slot].active < client->host_connections_max;
}

static void slot_start_waiting(struct http_client *client, size_t slot)
{
    struct http_transfer *transfer = client->slots[slot].queue.first;
    list_remove(transfer);
    client->waiting--;
    dyn_err err = transfer_run(transfer);
    if (err != DYN_OK) {
        ended_push(transfer, err);
    }
}

/* One of each slot in turn, so that a host with a long queue does not hold up the others. */
static void queue_start(struct http_client *client)
{
    size_t without = 0;
    while (client->waiting > 0 && without < HTTP_SLOTS &&
           client->active < client->connections_max) {
        size_t slot = client->slot_next;
        client->slot_next = (slot + 1) % HTTP_SLOTS;
        if (client->slots[slot].queue.first != NULL && slot_has_room(client, slot)) {
            slot_start_waiting(client, slot);
            without = 0;
        } else {
            without++;
        }
    }
    if (client->waiting == 0 && dyn_timer_active(client->queue_timer)) {
        dyn_timer_stop(client->queue_timer);
    }
}

static void queue_sweep(void *arg)
{
    struct http_client *client = arg;
    int64_t now_ms = dyn_clock_boot_ms();
    for (size_t slot = 0; slot < HTTP_SLOTS; slot++) {
        struct http_transfer *next;
        for (struct http_transfer *at = client->slots[slot].queue.first; at != NULL; at = next) {
            next = at->next;
            if (now_ms - at->started_ms >= at->total_timeout_ms) {
                ended_push(at, DYN_TIMEOUT);
            }
        }
    }
}

static void ended_drain(struct http_client *client)
{
    while (client->ended.first != NULL) {
        transfer_finish(client->ended.first, CURLE_ABORTED_BY_CALLBACK);
    }
}

static void ended_rang(void *arg)
{
    client_drain(arg);
}

/* Hand out what ended, then start what waited for it. */
static void client_drain(struct http_client *client)
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
    ended_drain(client);
    client->delivering = false;
    queue_start(client);
    if (client->active == 0) {
        sockets_rest(client);
    }
}

/* ---- requests ---- */

static bool method_is_known(const char *method)
{
    static const char *const methods[] = {"GET", "POST", "PATCH", "PUT", "DELETE"};
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        if (strcmp(method, methods[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* "Name: value" with a token for a name and no control characters, CR and LF above all. */
static bool header_is_valid(const char *header)
{
    size_t name_len = strcspn(header, ":");
    if (name_len == 0 || header[name_len] != ':') {
        return false;
    }
    for (size_t i = 0; header[i] != '\0'; i++) {
        unsigned char byte = (unsigned char)header[i];
        bool control = (byte < ' ' && byte != '\t') || byte == 0x7f;
        if (control || (i < name_len && (byte == ' ' || byte == '\t' || byte == ';'))) {
            return false;
        }
    }
    return true;
}

static dyn_err request_check(const struct http_request *request, struct http_url *out_url,
                             struct dyn_error *error)
{
    if (!method_is_known(request->method)) {
        return dyn_error_set(error, DYN_BADMSG, "an HTTP method that is not supported");
    }
    if (http_url_parse(dyn_str_from(request->url), out_url) != DYN_OK) {
        return dyn_error_set(error, DYN_BADMSG,
                             "not a URL; expected https://host/path without spaces");
    }
    if (!out_url->https && !out_url->loopback && !request->allow_http) {
        return dyn_error_set(error, DYN_BADMSG,
                             "http://" DYN_STR_FMT
                             " is not encrypted; use https, or allow plain http for this host",
                             DYN_STR_ARG(out_url->origin));
    }
    if (request->headers_count > DYN_HTTP_REQUEST_HEADERS_MAX) {
        return dyn_error_set(error, DYN_BADMSG, "%zu request headers; at most %d are sent",
                             request->headers_count, DYN_HTTP_REQUEST_HEADERS_MAX);
    }
    for (size_t i = 0; i < request->headers_count; i++) {
        if (!header_is_valid(request->headers[i])) {
            return dyn_error_set(error, DYN_BADMSG,
                                 "request header %zu is not \"Name: value\", or holds a line "
                                 "break; does a secret end in one?",
                                 i + 1);
        }
    }
    return DYN_OK;
}

static bool headers_name(const struct http_request *request, const char *prefix)
{
    for (size_t i = 0; i < request->headers_count; i++) {
        if (strncasecmp(request->headers[i], prefix, strlen(prefix)) == 0) {
            return true;
        }
    }
    return false;
}

static void copy_add(struct dyn_buf *copy, const char *text)
{
    dyn_buf_add(copy, text, strlen(text) + 1);
}

static const char *copy_next(const char **at)
{
    const char *text = *at;
    *at += strlen(text) + 1;
    return text;
}

/* All text of the request goes into one buffer, whose place is known once it is whole; then the
   pointers into it are set in the order of writing. */
static dyn_err transfer_copy(struct http_transfer *transfer, const struct http_request *request)
{
    struct dyn_buf *copy = &transfer->copy;
    bool has_body = request->body.ptr != NULL || strcmp(request->method, "GET") != 0;
    size_t headers_count = request->headers_count;

    dyn_buf_clear(copy);
    copy_add(copy, request->method);
    copy_add(copy, request->url);
    for (size_t i = 0; i < request->headers_count; i++) {
        copy_add(copy, request->headers[i]);
    }
    /* An empty value keeps curl from sending a header of its own. */
    copy_add(copy, "Expect:");
    headers_count++;
    if (has_body && !headers_name(request, "Content-Type:")) {
        copy_add(copy, "Content-Type:");
        headers_count++;
    }
    dyn_buf_add_str(copy, request->body);
    dyn_err err = dyn_buf_result(copy);
    if (err != DYN_OK) {
        return err;
    }

    const char *at = copy->ptr;
    transfer->method = copy_next(&at);
    transfer->url = copy_next(&at);
    for (size_t i = 0; i < headers_count; i++) {
        size_t len = strlen(at);
        transfer->headers[i].data = copy->ptr + (at - copy->ptr);
        transfer->headers[i].next = i + 1 < headers_count ? &transfer->headers[i + 1] : NULL;
        at += len + 1;
    }
    transfer->body = has_body ? at : NULL;
    transfer->body_len = request->body.len;
    return DYN_OK;
}

static int64_t or_default(int64_t value, int64_t fallback)
{
    return value > 0 ? value : fallback;
}

static void transfer_reset(struct http_transfer *transfer, const struct http_request *request,
                           const struct http_url *url)
{
    transfer->list = NULL;
    transfer->write = strcmp(request->method, "GET") != 0;
    transfer->slot = (size_t)(dyn_hash(DYN_HASH_SEED, url->origin) % HTTP_SLOTS);
    transfer->body_max = request->body_max > 0 ? request->body_max : DYN_HTTP_BODY_MAX;
    transfer->connect_timeout_ms =
        or_default(request->connect_timeout_ms, DYN_HTTP_CONNECT_TIMEOUT_MS);
    transfer->total_timeout_ms = or_default(request->total_timeout_ms, DYN_HTTP_TOTAL_TIMEOUT_MS);
    transfer->started_ms = dyn_clock_boot_ms();
    transfer->before_send = request->before_send;
    transfer->done = request->done;
    transfer->arg = request->arg;
    dyn_buf_clear(&transfer->answer_body);
    transfer->answer_body.max = transfer->body_max;
    dyn_buf_clear(&transfer->answer_headers.text);
    transfer->answer_headers.count = 0;
    transfer->answer_headers.bytes = 0;
    transfer->sent = false;
    transfer->finishing = false;
    transfer->verdict = DYN_OK;
}

static void transfer_wait(struct http_transfer *transfer)
{
    struct http_client *client = transfer->client;
    list_push(&client->slots[transfer->slot].queue, transfer);
    client->waiting++;
    if (!dyn_timer_active(client->queue_timer)) {
        dyn_timer_start(client->queue_timer, HTTP_QUEUE_SWEEP_MS, HTTP_QUEUE_SWEEP_MS);
    }
    if (!client->delivering) {
        queue_start(client);
    }
}

dyn_err http_start(struct http_client *client, const struct http_request *request,
                   struct http_transfer **out_transfer, struct dyn_error *error)
{
    struct http_url url;
    DYN_ASSERT(request->done != NULL);
    dyn_err err = request_check(request, &url, error);
    if (err != DYN_OK) {
        return err;
    }
    if (client->waiting >= DYN_HTTP_WAITING_MAX) {
        return dyn_error_set(error, DYN_BUSY, "%d HTTP requests wait already",
                             DYN_HTTP_WAITING_MAX);
    }
    struct http_transfer *transfer = transfer_take(client);
    if (transfer == NULL) {
        return dyn_error_set(error, DYN_NOMEM, "no memory for an HTTP request");
    }
    err = transfer_copy(transfer, request);
    if (err != DYN_OK) {
        dyn_error_set(error, err, "an HTTP request of more than %d bytes", DYN_HTTP_REQUEST_MAX);
        goto fail;
    }
    transfer_reset(transfer, request, &url);
    if (client->waiting == 0 && slot_has_room(client, transfer->slot)) {
        err = transfer_run(transfer);
        if (err != DYN_OK) {
            dyn_error_set(error, err, "no memory for an HTTP request");
            goto fail;
        }
    } else {
        transfer_wait(transfer);
    }
    if (out_transfer != NULL) {
        *out_transfer = transfer;
    }
    return DYN_OK;

fail:
    transfer_give(transfer);
    return err;
}

/* Only noted here: curl may be in the middle of a callback. */
void http_cancel(struct http_transfer *transfer)
{
    struct http_client *client = transfer->client;
    if (transfer->finishing || transfer->list == &client->ended) {
        return;
    }
    ended_push(transfer, DYN_CANCELLED);
}

/* ---- the client ---- */

static bool multi_setup(struct http_client *client)
{
    CURLM *multi = client->multi;
    return curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, socket_wanted) == CURLM_OK &&
           curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, (void *)client) == CURLM_OK &&
           curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, timer_wanted) == CURLM_OK &&
           curl_multi_setopt(multi, CURLMOPT_TIMERDATA, (void *)client) == CURLM_OK &&
           curl_multi_setopt(multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING) == CURLM_OK &&
           curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, client->connections_max) == CURLM_OK &&
           curl_share_setopt(client->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION) ==
               CURLSHE_OK;
}

static long or_default_long(long value, long fallback)
{
    return value > 0 ? value : fallback;
}

struct http_client *http_client_new(struct dyn_loop *loop, const struct http_client_options *options)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        return NULL;
    }
    struct http_client *client = calloc(1, sizeof(*client));
    if (client == NULL) {
        curl_global_cleanup();
        return NULL;
    }
    const char *user_agent = "dynosaur/" DYN_VERSION;
    client->loop = loop;
    client->connections_max = DYN_HTTP_CONNECTIONS_MAX;
    client->host_connections_max = DYN_HTTP_HOST_CONNECTIONS_MAX;
    if (options != NULL) {
        client->connections_max =
            or_default_long(options->connections_max, client->connections_max);
        client->host_connections_max =
            or_default_long(options->host_connections_max, client->host_connections_max);
        user_agent = options->user_agent != NULL ? options->user_agent : user_agent;
        client->ca_file = options->ca_file != NULL ? strdup(options->ca_file) : NULL;
        if (options->ca_file != NULL && client->ca_file == NULL) {
            goto fail;
        }
    }
    client->user_agent = strdup(user_agent);
    client->multi = curl_multi_init();
    client->share = curl_share_init();
    client->curl_timer = dyn_timer_new(loop, timer_rang, client);
    client->ended_timer = dyn_timer_new(loop, ended_rang, client);
    client->queue_timer = dyn_timer_new(loop, queue_sweep, client);
    if (client->user_agent == NULL || client->multi == NULL || client->share == NULL ||
        client->curl_timer == NULL || client->ended_timer == NULL || client->queue_timer == NULL ||
        !multi_setup(client)) {
        goto fail;
    }
    return client;

fail:
    http_client_free(client);
    return NULL;
}

/* Kept connections close through socket_close(), so the client stays until curl is gone. */
void http_client_free(struct http_client *client)
{
    if (client == NULL) {
        return;
    }
    DYN_ASSERT(!client->delivering);
    ended_drain(client);
    DYN_ASSERT(client->active == 0);
    DYN_ASSERT(client->waiting == 0);
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
    while (client->sockets_first != NULL) {
        socket_free(client->sockets_first);
    }
    while (client->idle_transfers != NULL) {
        struct http_transfer *transfer = client->idle_transfers;
        client->idle_transfers = transfer->next;
        transfer_free(transfer);
    }
    dyn_timer_free(client->curl_timer);
    dyn_timer_free(client->ended_timer);
    dyn_timer_free(client->queue_timer);
    free(client->sockets);
    free(client->user_agent);
    free(client->ca_file);
    free(client);
    curl_global_cleanup();
}
