#include "proxy_link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define CHUNK_SIZE 16384
#define BACKLOG 64

enum {
    UP,
    DOWN,
    WAYS
};

struct chunk {
    struct chunk *next;
    int64_t due_ms; /* before that it is not sent */
    size_t at, len;
    char bytes[];
};

/* One direction of a connection: from its own end's descriptor to the other end's. */
struct way {
    struct chunk *first, *last;
    size_t queued;
    int64_t next_ms; /* of a trickle: the next byte */
    bool lost;       /* bytes of it are gone: what follows is, too */
    bool ended;      /* nothing more comes */
};

struct pair {
    int fd[WAYS]; /* the client's, the target's; -1: closed, or never there */
    struct way way[WAYS];
};

struct link {
    char name[LINK_NAME_SIZE];
    struct sockaddr_storage target;
    socklen_t target_size;
    struct sockaddr_in address;
    int listener;
    enum link_mode mode;
    int64_t ms;
    struct pair *pairs[LINK_PAIRS_MAX];
    struct link_stats stats;
};

static const char *const mode_names[LINK_MODES] = {
    [LINK_PASS] = "pass",           [LINK_REFUSE] = "refuse",     [LINK_DROP_UP] = "drop-up",
    [LINK_DROP_DOWN] = "drop-down", [LINK_STALL_UP] = "stall-up", [LINK_STALL_DOWN] = "stall-down",
    [LINK_DELAY] = "delay",         [LINK_TRICKLE] = "trickle",   [LINK_HALF_OPEN] = "half-open",
};

bool link_mode_find(const char *name, enum link_mode *out)
{
    for (enum link_mode mode = 0; mode < LINK_MODES; mode++) {
        if (strcmp(name, mode_names[mode]) == 0) {
            *out = mode;
            return true;
        }
    }
    return false;
}

/* ---- the listener ---- */

/* Bound without listening, the port stays ours and refuses. */
static bool listener_open(struct link *link, bool listens)
{
    const int on = 1;
    socklen_t size = sizeof link->address;
    if (link->listener >= 0) {
        (void)close(link->listener);
    }
    link->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return link->listener >= 0 &&
           setsockopt(link->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
           bind(link->listener, (struct sockaddr *)&link->address, size) == 0 &&
           getsockname(link->listener, (struct sockaddr *)&link->address, &size) == 0 &&
           (!listens || listen(link->listener, BACKLOG) == 0);
}

static bool target_parse(struct link *link, const char *target)
{
    struct sockaddr_un path = {.sun_family = AF_UNIX};
    struct sockaddr_in tcp = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char *end = NULL;
    if (strncmp(target, "unix:", 5) == 0 && strlen(target + 5) < sizeof path.sun_path) {
        (void)snprintf(path.sun_path, sizeof path.sun_path, "%s", target + 5);
        memcpy(&link->target, &path, sizeof path);
        link->target_size = sizeof path;
        return true;
    }
    long port = strncmp(target, "tcp:", 4) == 0 ? strtol(target + 4, &end, 10) : 0;
    if (port <= 0 || port > UINT16_MAX || *end != '\0') {
        errno = EINVAL;
        return false;
    }
    tcp.sin_port = htons((uint16_t)port);
    memcpy(&link->target, &tcp, sizeof tcp);
    link->target_size = sizeof tcp;
    return true;
}

struct link *link_new(const char *name, const char *target)
{
    struct link *link = calloc(1, sizeof *link);
    if (link == NULL) {
        return NULL;
    }
    link->listener = -1;
    link->address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    (void)snprintf(link->name, sizeof link->name, "%s", name);
    if (!target_parse(link, target) || !listener_open(link, true)) {
        link_free(link);
        return NULL;
    }
    return link;
}

const char *link_name(const struct link *link)
{
    return link->name;
}

unsigned link_port(const struct link *link)
{
    return ntohs(link->address.sin_port);
}

/* ---- connections ---- */

static void way_clear(struct way *way)
{
    while (way->first != NULL) {
        struct chunk *chunk = way->first;
        way->first = chunk->next;
        free(chunk);
    }
    way->last = NULL;
    way->queued = 0;
}

static void end_close(int *fd, bool reset)
{
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    if (*fd >= 0) {
        if (reset) {
            (void)setsockopt(*fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        }
        (void)close(*fd);
    }
    *fd = -1;
}

static void pair_free(struct pair *pair, bool reset)
{
    for (int way = 0; way < WAYS; way++) {
        end_close(&pair->fd[way], reset);
        way_clear(&pair->way[way]);
    }
    free(pair);
}

void link_cut(struct link *link, bool reset)
{
    for (size_t i = 0; i < LINK_PAIRS_MAX; i++) {
        if (link->pairs[i] != NULL) {
            pair_free(link->pairs[i], reset);
            link->pairs[i] = NULL;
        }
    }
    link->stats.open = 0;
}

void link_free(struct link *link)
{
    if (link == NULL) {
        return;
    }
    link_cut(link, false);
    if (link->listener >= 0) {
        (void)close(link->listener);
    }
    free(link);
}

static int target_connect(const struct link *link)
{
    const int on = 1;
    int fd = socket(link->target.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&link->target, link->target_size) != 0 &&
        errno != EINPROGRESS) {
        (void)close(fd);
        return -1;
    }
    if (fd >= 0 && link->target.ss_family == AF_INET) {
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    return fd;
}

static bool mode_loses(const struct link *link, int way)
{
    return link->mode == LINK_HALF_OPEN || (link->mode == LINK_DROP_UP && way == UP) ||
           (link->mode == LINK_DROP_DOWN && way == DOWN);
}

static bool mode_stalls(const struct link *link, int way)
{
    return (link->mode == LINK_STALL_UP && way == UP) ||
           (link->mode == LINK_STALL_DOWN && way == DOWN);
}

static void pair_accept(struct link *link)
{
    const int on = 1;
    int client = accept4(link->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (client < 0) {
        return;
    }
    (void)setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    link->stats.accepted++;
    size_t place = 0;
    while (place < LINK_PAIRS_MAX && link->pairs[place] != NULL) {
        place++;
    }
    bool half = link->mode == LINK_HALF_OPEN;
    int target = half || place == LINK_PAIRS_MAX ? -1 : target_connect(link);
    struct pair *pair =
        place < LINK_PAIRS_MAX && (half || target >= 0) ? calloc(1, sizeof *pair) : NULL;
    if (pair == NULL) {
        end_close(&client, false);
        end_close(&target, false);
        return;
    }
    *pair = (struct pair){.fd = {client, target}};
    pair->way[UP].lost = half;
    pair->way[DOWN].lost = half;
    link->pairs[place] = pair;
    link->stats.open++;
}

/* ---- bytes ---- */

static void way_read(const struct link *link, struct pair *pair, int way, int64_t now_ms)
{
    struct way *to = &pair->way[way];
    struct chunk *chunk = malloc(sizeof *chunk + CHUNK_SIZE);
    ssize_t len = chunk != NULL ? recv(pair->fd[way], chunk->bytes, CHUNK_SIZE, 0) : -1;
    if (len <= 0) {
        to->ended = to->ended || len == 0 || (errno != EAGAIN && errno != EINTR);
        free(chunk);
        return;
    }
    to->lost = to->lost || mode_loses(link, way);
    if (to->lost) {
        free(chunk);
        return;
    }
    int64_t late_ms = link->mode == LINK_DELAY ? link->ms : 0;
    chunk->next = NULL;
    chunk->due_ms = now_ms + late_ms;
    chunk->at = 0;
    chunk->len = (size_t)len;
    *(to->last != NULL ? &to->last->next : &to->first) = chunk;
    to->last = chunk;
    to->queued += (size_t)len;
}

/* When the way's next byte may go; INT64_MAX: not before something else happens. */
static int64_t way_due(const struct link *link, const struct pair *pair, int way)
{
    const struct way *from = &pair->way[way];
    if (from->first == NULL || from->lost || mode_stalls(link, way) || pair->fd[1 - way] < 0) {
        return INT64_MAX;
    }
    int64_t due_ms = from->first->due_ms;
    return link->mode == LINK_TRICKLE && from->next_ms > due_ms ? from->next_ms : due_ms;
}

static void way_write(struct link *link, struct pair *pair, int way, int64_t now_ms)
{
    struct way *from = &pair->way[way];
    while (from->first != NULL && way_due(link, pair, way) <= now_ms) {
        struct chunk *chunk = from->first;
        size_t most = link->mode == LINK_TRICKLE ? 1 : chunk->len - chunk->at;
        ssize_t sent = send(pair->fd[1 - way], chunk->bytes + chunk->at, most, MSG_NOSIGNAL);
        if (sent <= 0) {
            pair->way[1 - way].ended |= errno != EAGAIN && errno != EINTR && errno != ENOTCONN;
            return;
        }
        *(way == UP ? &link->stats.up : &link->stats.down) += (uint64_t)sent;
        chunk->at += (size_t)sent;
        from->queued -= (size_t)sent;
        from->next_ms = now_ms + link->ms;
        if (chunk->at == chunk->len) {
            from->first = chunk->next;
            from->last = from->first == NULL ? NULL : from->last;
            free(chunk);
        }
        if (link->mode == LINK_TRICKLE) {
            return;
        }
    }
}

/* An end that closed closes the other one, after the last byte; what is lost tells nobody. */
static bool pair_is_over(const struct link *link, struct pair *pair)
{
    bool over = pair->fd[UP] < 0 && pair->fd[DOWN] < 0;
    for (int way = 0; way < WAYS; way++) {
        struct way *from = &pair->way[way];
        bool hidden = from->lost || mode_loses(link, way) || mode_stalls(link, way);
        if (!from->ended) {
            continue;
        }
        if (hidden) {
            from->lost = from->lost || mode_loses(link, way);
            end_close(&pair->fd[way], false);
            over = over || pair->fd[1 - way] < 0 || (from->lost && link->mode == LINK_PASS);
        } else {
            over = over || from->first == NULL || pair->fd[1 - way] < 0;
        }
    }
    return over;
}

bool link_set(struct link *link, enum link_mode mode, int64_t ms, int64_t now_ms)
{
    bool refused = link->mode == LINK_REFUSE;
    link->mode = mode;
    link->ms = ms;
    for (size_t i = 0; i < LINK_PAIRS_MAX; i++) {
        struct pair *pair = link->pairs[i];
        for (int way = 0; pair != NULL && way < WAYS; way++) {
            pair->way[way].next_ms = now_ms;
            if (mode_loses(link, way) && pair->way[way].first != NULL) {
                pair->way[way].lost = true;
                way_clear(&pair->way[way]);
            }
        }
    }
    return refused == (mode == LINK_REFUSE) || listener_open(link, mode != LINK_REFUSE);
}

struct link_stats link_stats(const struct link *link)
{
    return link->stats;
}

/* ---- the loop's part ---- */

size_t link_polls(const struct link *link, int64_t now_ms, struct pollfd *out)
{
    size_t count = 0;
    out[count++] = (struct pollfd){link->mode == LINK_REFUSE ? -1 : link->listener, POLLIN, 0};
    for (size_t i = 0; i < LINK_PAIRS_MAX; i++) {
        struct pair *pair = link->pairs[i];
        for (int end = 0; pair != NULL && end < WAYS; end++) {
            const struct way *from = &pair->way[end];
            bool reads = !from->ended && from->queued < LINK_QUEUE_MAX;
            bool writes = way_due(link, pair, 1 - end) <= now_ms;
            short events = (short)((reads ? POLLIN : 0) | (writes ? POLLOUT : 0));
            out[count++] = (struct pollfd){events != 0 ? pair->fd[end] : -1, events, 0};
        }
    }
    return count;
}

void link_step(struct link *link, const struct pollfd *polls, int64_t now_ms)
{
    size_t at = 1;
    for (size_t i = 0; i < LINK_PAIRS_MAX; i++) {
        struct pair *pair = link->pairs[i];
        if (pair == NULL) {
            continue;
        }
        for (int end = 0; end < WAYS; end++, at++) {
            if ((polls[at].revents & (POLLIN | POLLHUP | POLLERR)) != 0 && !pair->way[end].ended) {
                way_read(link, pair, end, now_ms);
            }
        }
        for (int way = 0; way < WAYS; way++) {
            way_write(link, pair, way, now_ms);
        }
        if (pair_is_over(link, pair)) {
            pair_free(pair, false);
            link->pairs[i] = NULL;
            link->stats.open--;
        }
    }
    if ((polls[0].revents & POLLIN) != 0) {
        pair_accept(link);
    }
}

int64_t link_due(const struct link *link, int64_t now_ms)
{
    int64_t due_ms = INT64_MAX;
    for (size_t i = 0; i < LINK_PAIRS_MAX; i++) {
        for (int way = 0; link->pairs[i] != NULL && way < WAYS; way++) {
            int64_t way_ms = way_due(link, link->pairs[i], way);
            /* What is due already waits for the other end to take it: poll() tells that. */
            due_ms = way_ms > now_ms && way_ms < due_ms ? way_ms : due_ms;
        }
    }
    return due_ms == INT64_MAX ? -1 : due_ms - now_ms;
}
