#include "tests/integration/support_script_server.h"

#include "common/err.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEAD_MAX 65536

struct peer {
    struct script_server *server;
    int fd;
    char head[HEAD_MAX]; /* head and body of one request */
    size_t len;
    char next[HEAD_MAX]; /* what came behind a command of Redis */
    size_t rest;
};

static bool peer_send(struct peer *peer, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t sent = send(peer->fd, bytes, len, MSG_NOSIGNAL);
        if (sent <= 0) {
            return false;
        }
        bytes += sent;
        len -= (size_t)sent;
    }
    return true;
}

static bool peer_say(struct peer *peer, const char *text)
{
    return peer_send(peer, text, strlen(text));
}

/* The number behind `tag` at `at`, and the place behind its line; NULL: it is not whole yet. */
static const char *resp_number(const char *at, char tag, long *out)
{
    const char *end = *at == tag ? strstr(at, "\r\n") : NULL;
    *out = end != NULL ? strtol(at + 1, NULL, 10) : 0;
    return end != NULL ? end + 2 : NULL;
}

/* A command of Redis that is whole becomes " WORD"; what came behind it stays. */
static bool peer_take_command(struct peer *peer)
{
    long words = 0;
    long len = 0;
    char word[32] = " ";
    const char *at = resp_number(peer->head, '*', &words);
    for (long i = 0; at != NULL && i < words; i++) {
        at = resp_number(at, '$', &len);
        if (at == NULL || (long)peer->len - (at - peer->head) < len + 2) {
            return false;
        }
        if (i == 0) {
            snprintf(word + 1, sizeof(word) - 1, "%.*s", (int)len, at);
        }
        at += len + 2;
    }
    if (at == NULL) {
        return false;
    }
    peer->rest = peer->len - (size_t)(at - peer->head);
    memmove(peer->next, at, peer->rest);
    memcpy(peer->head, word, sizeof(word));
    atomic_fetch_add(&peer->server->requests, 1);
    return true;
}

/* Read one request, with the body that its Content-Length tells of. */
static bool peer_read(struct peer *peer)
{
    memcpy(peer->head, peer->next, peer->rest);
    peer->len = peer->rest;
    peer->rest = 0;
    for (;;) {
        peer->head[peer->len] = '\0';
        if (peer->head[0] == '*' && peer_take_command(peer)) {
            return true;
        }
        const char *end = peer->head[0] == '*' ? NULL : strstr(peer->head, "\r\n\r\n");
        if (end != NULL) {
            const char *field = strstr(peer->head, "Content-Length: ");
            size_t body = field != NULL ? strtoul(field + 16, NULL, 10) : 0;
            if (peer->len >= (size_t)(end - peer->head) + 4 + body) {
                atomic_fetch_add(&peer->server->requests, 1);
                return true;
            }
        }
        if (peer->len + 1 >= sizeof(peer->head)) {
            return false;
        }
        ssize_t got = recv(peer->fd, peer->head + peer->len, sizeof(peer->head) - 1 - peer->len, 0);
        if (got <= 0) {
            return false;
        }
        peer->len += (size_t)got;
    }
}

static bool play_ok(struct peer *peer)
{
    return peer_say(peer, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Kind: plain\r\n\r\nhello");
}

static bool play_echo(struct peer *peer)
{
    char head[128];
    snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", peer->len);
    return peer_say(peer, head) && peer_send(peer, peer->head, peer->len);
}

static bool play_chunked(struct peer *peer)
{
    return peer_say(peer, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n") &&
           peer_say(peer, "2\r\nlo\r\n0\r\n\r\n");
}

static bool play_trailer(struct peer *peer)
{
    return peer_say(peer, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Kind: head\r\n\r\n"
                          "5\r\nhello\r\n0\r\nX-Kind: trailer\r\n\r\n");
}

static bool play_cut(struct peer *peer)
{
    peer_say(peer, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello");
    return false;
}

static bool play_cutchunk(struct peer *peer)
{
    peer_say(peer, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n");
    return false;
}

static bool play_huge(struct peer *peer)
{
    static char chunk[65536];
    long long sent = 0;
    peer_say(peer, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    while (sent < 50LL * 1024 * 1024 && peer_say(peer, "10000\r\n") &&
           peer_send(peer, chunk, sizeof(chunk)) && peer_say(peer, "\r\n")) {
        sent += (long long)sizeof(chunk);
        atomic_store(&peer->server->sent, sent);
    }
    peer_say(peer, "0\r\n\r\n");
    return false;
}

static bool play_slow(struct peer *peer)
{
    peer_say(peer, "HTTP/1.1 200 OK\r\nX-Slow: ");
    while (peer_say(peer, "x")) {
        usleep(20000);
    }
    return false;
}

static bool play_never(struct peer *peer)
{
    char byte;
    while (recv(peer->fd, &byte, 1, 0) > 0) {
        /* as long as it lasts */
    }
    return false;
}

static bool play_reset(struct peer *peer)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    setsockopt(peer->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    return false;
}

static bool play_drop(struct peer *peer)
{
    (void)peer;
    return false;
}

static bool play_redirect(struct peer *peer)
{
    return peer_say(peer, "HTTP/1.1 302 Found\r\nLocation: /ok\r\nContent-Length: 0\r\n\r\n");
}

static bool play_garbage(struct peer *peer)
{
    peer_say(peer, "BANANA 200 hello\r\n\r\n");
    return false;
}

static bool play_headers(struct peer *peer)
{
    peer_say(peer, "HTTP/1.1 200 OK\r\n");
    for (int i = 0; i < 1000 && peer_say(peer, "X-More: and more\r\n"); i++) {
        /* as long as it lasts */
    }
    return peer_say(peer, "Content-Length: 5\r\n\r\nhello");
}

static bool play_longheader(struct peer *peer)
{
    static char value[200000];
    memset(value, 'x', sizeof(value));
    peer_say(peer, "HTTP/1.1 200 OK\r\nX-Long: ");
    peer_send(peer, value, sizeof(value));
    return peer_say(peer, "\r\nContent-Length: 5\r\n\r\nhello");
}

static bool play_interim(struct peer *peer)
{
    while (peer_say(peer, "HTTP/1.1 100 Continue\r\n\r\n")) {
        /* as long as it lasts */
    }
    return false;
}

static bool play_nobody(struct peer *peer)
{
    return peer_say(peer, "HTTP/1.1 204 No Content\r\n\r\n");
}

static bool play_twice(struct peer *peer)
{
    return peer_say(peer, "HTTP/1.1 429 Too Many\r\nRetry-After: 1\r\nretry-after:  30 \r\n"
                          "Content-Length: 0\r\n\r\n");
}

/* A string of Redis of 50 MiB, one that is cut, and an answer that comes by and by. */
static bool play_bulk(struct peer *peer)
{
    static char chunk[65536];
    long long sent = 0;
    memset(chunk, '7', sizeof(chunk));
    peer_say(peer, "$52428800\r\n");
    while (sent < 50LL * 1024 * 1024 && peer_send(peer, chunk, sizeof(chunk))) {
        sent += (long long)sizeof(chunk);
        atomic_store(&peer->server->sent, sent);
    }
    return false;
}

static bool play_cutbulk(struct peer *peer)
{
    peer_say(peer, "$5\r\n41");
    return false;
}

static bool play_slowbulk(struct peer *peer)
{
    peer_say(peer, "$1000000\r\n");
    while (peer_say(peer, "7")) {
        usleep(20000);
    }
    return false;
}

static bool play_once(struct peer *peer)
{
    play_ok(peer);
    return false;
}

/* Each plays one answer; false closes the connection. */
static const struct {
    const char *path;
    bool (*play)(struct peer *peer);
} scripts[] = {
    {"/ok", play_ok},
    {"/echo", play_echo},
    {"/chunked", play_chunked},
    {"/cut", play_cut},
    {"/cutchunk", play_cutchunk},
    {"/huge", play_huge},
    {"/slow", play_slow},
    {"/never", play_never},
    {"/reset", play_reset},
    {"/drop", play_drop},
    {"/redirect", play_redirect},
    {"/garbage", play_garbage},
    {"/headers", play_headers},
    {"/interim", play_interim},
    {"/longheader", play_longheader},
    {"/nobody", play_nobody},
    {"/twice", play_twice},
    {"/trailer", play_trailer},
    {"/once", play_once},
    {"/bulk", play_bulk},
    {"/cutbulk", play_cutbulk},
    {"/slowbulk", play_slowbulk},
};

static const char *peer_rule(const struct peer *peer, const char *path)
{
    for (size_t i = 0; i < SCRIPT_RULES_MAX; i++) {
        const char *begin = peer->server->rules[i].path;
        const char *answer = atomic_load(&peer->server->rules[i].answer);
        if (answer != NULL && strncmp(path, begin, strlen(begin)) == 0) {
            return answer;
        }
    }
    return "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
}

static bool (*script_find(const char *path, size_t len))(struct peer *peer)
{
    for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++) {
        if (strlen(scripts[i].path) == len && memcmp(scripts[i].path, path, len) == 0) {
            return scripts[i].play;
        }
    }
    return NULL;
}

static bool peer_play(struct peer *peer)
{
    const char *path = strchr(peer->head, ' ');
    if (path == NULL) {
        return false;
    }
    bool (*play)(struct peer *) = script_find(path + 1, strcspn(path + 1, " ?"));
    if (play != NULL) {
        return play(peer);
    }
    const char *answer = peer_rule(peer, path + 1);
    play = script_find(answer, strlen(answer));
    return play != NULL ? play(peer) : peer_say(peer, answer);
}

static void *peer_run(void *arg)
{
    struct peer *peer = arg;
    while (peer_read(peer) && peer_play(peer)) {
        /* as long as it lasts */
    }
    close(peer->fd);
    free(peer);
    return NULL;
}

static void thread_start(void *(*run)(void *), void *arg)
{
    pthread_t thread;
    int failed = pthread_create(&thread, NULL, run, arg);
    DYN_ASSERT(failed == 0);
    pthread_detach(thread);
}

static void *server_run(void *arg)
{
    struct script_server *server = arg;
    for (;;) {
        int fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0) {
            return NULL;
        }
        atomic_fetch_add(&server->connections, 1);
        struct peer *peer = calloc(1, sizeof(*peer));
        DYN_ASSERT(peer != NULL);
        peer->server = server;
        peer->fd = fd;
        thread_start(peer_run, peer);
    }
}

void script_server_start(struct script_server *server)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(address);
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    DYN_ASSERT(server->listener >= 0);
    int failed = bind(server->listener, (struct sockaddr *)&address, sizeof(address));
    DYN_ASSERT(failed == 0);
    failed = listen(server->listener, 1024);
    DYN_ASSERT(failed == 0);
    getsockname(server->listener, (struct sockaddr *)&address, &len);
    server->port = ntohs(address.sin_port);
    thread_start(server_run, server);
}

void script_server_say(struct script_server *server, const char *path, const char *answer)
{
    size_t i = 0;
    while (server->rules[i].path != NULL && strcmp(server->rules[i].path, path) != 0) {
        i++;
        DYN_ASSERT(i < SCRIPT_RULES_MAX);
    }
    server->rules[i].path = path;
    atomic_store(&server->rules[i].answer, answer);
}
