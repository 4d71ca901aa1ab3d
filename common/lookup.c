#include "common/lookup.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#define HOST_MAX 256

struct dyn_lookup {
    char host[HOST_MAX];
    dyn_lookup_fn *fn;
    void *arg;
    bool freed;
    bool ended;
    /* The thread's, until it has ended. */
    int error; /* of getaddrinfo() */
    char addresses[DYN_LOOKUP_ADDRESSES_MAX][INET6_ADDRSTRLEN];
    size_t count;
};

static void addresses_take(struct dyn_lookup *lookup, const struct addrinfo *list, int family)
{
    for (; list != NULL && lookup->count < DYN_LOOKUP_ADDRESSES_MAX; list = list->ai_next) {
        if (list->ai_family == family &&
            getnameinfo(list->ai_addr, list->ai_addrlen, lookup->addresses[lookup->count],
                        sizeof lookup->addresses[0], NULL, 0, NI_NUMERICHOST) == 0) {
            lookup->count++;
        }
    }
}

static void work(void *data)
{
    struct dyn_lookup *lookup = data;
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    lookup->error = getaddrinfo(lookup->host, NULL, &hints, &list);
    if (lookup->error == 0) {
        addresses_take(lookup, list, AF_INET);
        addresses_take(lookup, list, AF_INET6);
        freeaddrinfo(list);
    }
}

static void done(void *data)
{
    struct dyn_lookup *lookup = data;
    const char *addresses[DYN_LOOKUP_ADDRESSES_MAX];
    char why[HOST_MAX + 128];
    for (size_t i = 0; i < lookup->count; i++) {
        addresses[i] = lookup->addresses[i];
    }
    (void)snprintf(why, sizeof why, "%s: %s", lookup->host,
                   lookup->error != 0 ? gai_strerror(lookup->error) : "no address");
    if (!lookup->freed) {
        lookup->fn(lookup->arg, addresses, lookup->count, why);
    }
    lookup->ended = true;
    if (lookup->freed) {
        free(lookup);
    }
}

struct dyn_lookup *dyn_lookup_new(struct dyn_loop *loop, const char *host, dyn_lookup_fn *fn,
                                  void *arg)
{
    DYN_ASSERT(fn != NULL);
    struct dyn_lookup *lookup = calloc(1, sizeof *lookup);
    if (lookup == NULL) {
        return NULL;
    }
    dyn_str_copy(lookup->host, sizeof lookup->host, dyn_str_from(host));
    lookup->fn = fn;
    lookup->arg = arg;
    if (dyn_work_start(loop, work, done, lookup) != DYN_OK) {
        free(lookup);
        return NULL;
    }
    return lookup;
}

void dyn_lookup_free(struct dyn_lookup *lookup)
{
    if (lookup == NULL) {
        return;
    }
    lookup->freed = true;
    if (lookup->ended) {
        free(lookup);
    }
}

bool dyn_address_is_numeric(const char *host)
{
    unsigned char bytes[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, host, bytes) == 1 || inet_pton(AF_INET6, host, bytes) == 1;
}
