#include "common/http_internal.h"

#define SOCKETS_MAX 1048576 /* descriptor numbers that we have a table for */

static bool sockets_reserve(struct http_client *client, int fd)
{
    size_t need = (size_t)fd + 1;
    size_t cap = client->sockets_cap != 0 ? client->sockets_cap : 64;
    if (need <= client->sockets_cap) {
        return true;
    }
    while (cap < need) {
        cap *= 2;
    }
    if (cap > SOCKETS_MAX) {
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

void http_socket_free(struct http_socket *sock)
{
    if (sock == NULL) {
        return;
    }
    struct http_client *client = sock->client;
    client->sockets[sock->fd] = NULL;
    dyn_watch_free(sock->watch);
    free(sock);
}

struct http_socket *http_socket_new(struct http_client *client, int fd, bool ours)
{
    if (!sockets_reserve(client, fd)) {
        return NULL;
    }
    /* A number that comes again was closed behind our back: what we knew of it is void. */
    http_socket_free(client->sockets[fd]);
    struct http_socket *sock = calloc(1, sizeof(*sock));
    if (sock == NULL) {
        return NULL;
    }
    sock->watch = dyn_watch_new(client->loop, fd, http_curl_socket_ready, sock);
    if (sock->watch == NULL) {
        free(sock);
        return NULL;
    }
    sock->client = client;
    sock->fd = fd;
    sock->ours = ours;
    client->sockets[fd] = sock;
    return sock;
}

/* Nothing is in flight: kept connections must not keep the loop alive. */
void http_sockets_rest(struct http_client *client)
{
    for (size_t fd = 0; fd < client->sockets_cap; fd++) {
        struct http_socket *sock = client->sockets[fd];
        if (sock != NULL && sock->wanted == 0 && sock->armed != 0) {
            dyn_watch_set(sock->watch, 0);
            sock->armed = 0;
        }
    }
}
