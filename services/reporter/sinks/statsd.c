/*
 * Gauges for a StatsD agent, by UDP. Nothing answers: what is lost on the way is lost, but an agent
 * that is not there at all is noticed by the refusal of its machine.
 */
#include "common/clock.h"
#include "common/lookup.h"
#include "reporter/sink.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    DATAGRAM_MAX = 1432, /* what Ethernet carries in one piece */
    NAME_MAX_BYTES = 500,
    LINE_MAX_BYTES = 1400,     /* two times a name, and a number of 310 digits */
    LOOKUP_EACH_MS = 300000,   /* a host may move */
    NUMBER_OLD_MS = 60 * 1000, /* a gauge is now: older numbers would lie */
    NUMBER_MAX_BYTES = 330,
    BURST_MAX = 64, /* datagrams, which the buffer of a socket holds; then a pause */
    BURST_PAUSE_MS = 20
};
#define WHOLE_MAX 9007199254740992.0 /* 2^53: as far as a double counts */

extern const struct sink_ops sink_statsd;

struct statsd {
    struct sink_host *host;
    int fd; /* connected, or -1 */
    int64_t looked_ms;
    struct dyn_lookup *lookup;
    const struct sink_delivery *delivery; /* the one that waits for the lookup */
    struct dyn_buf datagram;
    unsigned burst; /* datagrams since the last pause */
};

static const struct config_value *option_of(const struct statsd *statsd, const char *key)
{
    return config_option(&sink_config(statsd->host)->options, key);
}

static void socket_close(struct statsd *statsd)
{
    if (statsd->fd >= 0) {
        (void)close(statsd->fd);
        statsd->fd = -1;
    }
}

static dyn_err statsd_init(void *state, struct sink_host *host, struct dyn_error *error)
{
    struct statsd *statsd = state;
    (void)error;
    statsd->host = host;
    statsd->fd = -1;
    dyn_buf_init(&statsd->datagram, DATAGRAM_MAX);
    return DYN_OK;
}

static void statsd_fail(struct statsd *statsd, int code)
{
    socket_close(statsd);
    sink_done(statsd->host, code == EAGAIN ? DYN_BUSY : DYN_IO, "%s port %" PRId64 ": %s",
              option_of(statsd, "host")->as.s, option_of(statsd, "port")->as.i,
              code == ECONNREFUSED ? "nobody listens there" : strerror(code));
}

/* ---- lines ---- */

/* What has a meaning in a line, and what agents drop, becomes an underscore. */
static void name_clean(const char *name, char out[static NAME_MAX_BYTES + 1])
{
    size_t len = 0;
    for (; *name != '\0' && len < NAME_MAX_BYTES; name++) {
        unsigned char c = (unsigned char)*name;
        bool legal = c < 0x80 && (isalnum(c) || strchr("._-", c) != NULL);
        out[len++] = (char)(legal ? c : '_');
    }
    out[len] = '\0';
}

/* Without an exponent, whose sign agents do not agree on. */
static void number_write(double value, char out[static NUMBER_MAX_BYTES])
{
    if (value == trunc(value) || fabs(value) >= WHOLE_MAX) {
        (void)snprintf(out, NUMBER_MAX_BYTES, "%.0f", value);
        return;
    }
    size_t len = (size_t)snprintf(out, NUMBER_MAX_BYTES, "%.6f", value);
    while (out[len - 1] == '0') {
        len--;
    }
    len -= out[len - 1] == '.' ? 1 : 0;
    out[len] = '\0';
}

/* A gauge that begins with a sign would change what the agent has: it is set to 0 before. */
static size_t line_make(const struct sink_stat *stat, char out[static LINE_MAX_BYTES])
{
    char name[NAME_MAX_BYTES + 1];
    char number[NUMBER_MAX_BYTES];
    name_clean(stat->name, name);
    number_write(stat->value, number);
    bool negative = number[0] == '-';
    int len = snprintf(out, LINE_MAX_BYTES, "%s%s%s:%s|g", negative ? name : "",
                       negative ? ":0|g\n" : "", name, number);
    DYN_ASSERT(len > 0 && len < LINE_MAX_BYTES);
    return (size_t)len;
}

/* ---- sending ---- */

/* The number of what went wrong, or 0. */
static int datagram_send(struct statsd *statsd)
{
    ssize_t sent = 0;
    if (statsd->datagram.len > 0) {
        sent = send(statsd->fd, statsd->datagram.ptr, statsd->datagram.len, MSG_NOSIGNAL);
        statsd->burst++;
    }
    dyn_buf_clear(&statsd->datagram);
    return sent < 0 ? errno : 0;
}

/* The refusal of a datagram comes later, of this machine's own at once. */
static int socket_error(const struct statsd *statsd)
{
    int code = 0;
    socklen_t len = sizeof code;
    return getsockopt(statsd->fd, SOL_SOCKET, SO_ERROR, &code, &len) == 0 ? code : errno;
}

static int line_send(struct statsd *statsd, const char *line, size_t len)
{
    int code = 0;
    if (statsd->datagram.len + 1 + len > DATAGRAM_MAX) {
        code = datagram_send(statsd);
    }
    if (statsd->datagram.len > 0) {
        (void)dyn_buf_add_str(&statsd->datagram, DYN_STR("\n"));
    }
    (void)dyn_buf_add(&statsd->datagram, line, len);
    return code;
}

static void delivery_send(struct statsd *statsd, const struct sink_delivery *delivery)
{
    char line[LINE_MAX_BYTES];
    int64_t now_ms = dyn_clock_wall_ms();
    int code = 0;
    dyn_buf_clear(&statsd->datagram);
    for (size_t i = 0; i < delivery->stats_count && code == 0; i++) {
        const struct sink_stat *stat = &delivery->stats[i];
        if (isfinite(stat->value) && now_ms - stat->at_ms <= NUMBER_OLD_MS) {
            code = line_send(statsd, line, line_make(stat, line));
        }
    }
    code = code == 0 ? datagram_send(statsd) : code;
    code = code == 0 ? socket_error(statsd) : code;
    if (statsd->burst >= BURST_MAX) {
        statsd->burst = 0;
        sink_wait(statsd->host, BURST_PAUSE_MS);
    }
    if (code != 0) {
        statsd_fail(statsd, code);
    } else {
        sink_done(statsd->host, DYN_OK, "%s", "");
    }
}

/* ---- the agent's address ---- */

static int address_connect(struct statsd *statsd, const char *text)
{
    uint16_t port = htons((uint16_t)option_of(statsd, "port")->as.i);
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = port};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = port};
    bool is_four = inet_pton(AF_INET, text, &four.sin_addr) == 1;
    if (!is_four && inet_pton(AF_INET6, text, &six.sin6_addr) != 1) {
        return EADDRNOTAVAIL;
    }
    statsd->fd = socket(is_four ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (statsd->fd < 0) {
        return errno;
    }
    const struct sockaddr *address =
        is_four ? (const struct sockaddr *)&four : (const struct sockaddr *)&six;
    return connect(statsd->fd, address, is_four ? sizeof four : sizeof six) == 0 ? 0 : errno;
}

static void host_found(void *arg, const char *const *addresses, size_t count, const char *why)
{
    struct statsd *statsd = arg;
    const struct sink_delivery *delivery = statsd->delivery;
    dyn_lookup_free(statsd->lookup);
    statsd->lookup = NULL;
    statsd->delivery = NULL;
    if (count == 0) {
        sink_done(statsd->host, DYN_BUSY, "%s", why);
        return;
    }
    int code = address_connect(statsd, addresses[0]);
    statsd->looked_ms = dyn_clock_boot_ms();
    if (code != 0) {
        statsd_fail(statsd, code);
    } else {
        delivery_send(statsd, delivery);
    }
}

static void statsd_deliver(void *state, struct sink_host *host,
                           const struct sink_delivery *delivery)
{
    struct statsd *statsd = state;
    if (statsd->fd >= 0 && dyn_clock_boot_ms() - statsd->looked_ms < LOOKUP_EACH_MS) {
        delivery_send(statsd, delivery);
        return;
    }
    socket_close(statsd);
    statsd->delivery = delivery;
    statsd->lookup =
        dyn_lookup_new(sink_loop(host), option_of(statsd, "host")->as.s, host_found, statsd);
    if (statsd->lookup == NULL) {
        sink_done(host, DYN_BUSY, "out of memory");
    }
}

static void statsd_cancel(void *state)
{
    struct statsd *statsd = state;
    dyn_lookup_free(statsd->lookup);
    statsd->lookup = NULL;
}

static void statsd_fini(void *state)
{
    struct statsd *statsd = state;
    statsd_cancel(statsd);
    socket_close(statsd);
    dyn_buf_fini(&statsd->datagram);
}

const struct sink_ops sink_statsd = {
    .kind = CONFIG_STATS,
    .name = "statsd",
    .state_size = sizeof(struct statsd),
    .init = statsd_init,
    .deliver = statsd_deliver,
    .cancel = statsd_cancel,
    .fini = statsd_fini,
};
