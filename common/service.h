/*
 * service: what the four programs have in common, so that each main.c is one table.
 *
 * Command line: --config FILE (required), --redis URL (instead of the file's, as $DYNOSAUR_REDIS,
 * which no list of processes shows), --http
 * [ADDRESS:]PORT (default 127.0.0.1 and the service's port; 0: any free; "off"), --instance NAME
 * (default HOSTNAME-PID), --check, --version, --help, --die-with-parent[=PID]; for a service with
 * `drain_port` also --drain [ADDRESS:]PORT. SIGTERM and SIGINT
 * drain, SIGHUP reloads: a wrong new file is told and the old one kept. Exit 0 done, 2 usage or
 * configuration, 1 anything else. At start: PR_SET_DUMPABLE 0, no core dumps, SIGPIPE ignored; as
 * PID 1 the work is done by a child.
 *
 * `dynosaur setup FILE` stores the hash PREFIX:setup with the fields `partitions`, `functions`
 * (bus_functions_version) and `schema` (MESSAGE_SCHEMA), all as text. A service waits for it: until
 * it is there (asked for each second), and while it is of another version (each 5 s).
 */
#ifndef DYN_COMMON_SERVICE_H
#define DYN_COMMON_SERVICE_H

#include "common/bus.h"
#include "common/config.h"
#include "common/httpd.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/message.h"
#include "common/metrics.h"

struct service {
    const char *name;     /* "estimator" */
    const char *instance; /* "host-4711" */
    struct dyn_loop *loop;
    struct config *config;                 /* replaced by a reload, after ops->reload() took it */
    const char *redis_url;                 /* resolved; a secret */
    const struct bus_access *redis_access; /* the same; for every connection, as redis_url */
    struct bus *bus; /* for commands; reconnects by itself; tells ops->redis_ready/lost */
    struct metrics *metrics;
    void *state;               /* ops->state_size bytes, zeroed */
    const char *drain_address; /* where log drains are to be taken; "": nowhere */
    uint16_t drain_port;
    bool draining;
};

struct service_ops {
    const char *name;
    const char *help;    /* what it is for: a sentence or two of --help; NULL: none */
    uint16_t http_port;  /* default of --http */
    uint16_t drain_port; /* default of --drain; 0: it takes no log drains */
    size_t state_size;
    /** Make what lasts. Redis may be away: redis_ready() comes later. DYN_CONFIG exits 2. */
    dyn_err (*start)(struct service *service, struct dyn_error *error);
    /** The command connection stands; each time. The number of partitions that setup stored has
     *  been compared (another one: exit 2), and the Functions are there. A later redis_lost()
     *  follows each redis_ready(), and none comes without it. */
    void (*redis_ready)(struct service *service, struct dyn_str replid);
    void (*redis_lost)(struct service *service, const char *why);
    /** Take `next` in place of service->config, which is freed afterwards. */
    void (*reload)(struct service *service, struct config *next);
    /** Finish what is under way, then call service_stop(). Killed after 10 s, or at a second
     *  signal. Comes also before the first redis_ready(). May be NULL. */
    void (*drain)(struct service *service);
    /** Free what start() made; also after a failed start(). service->bus is NULL by then: what was
     *  under way has been answered with DYN_CANCELLED. */
    void (*stop)(struct service *service);
    /** Whether it does its work now; words for /readyz: needed when not, welcome when it does. */
    bool (*ready)(struct service *service, struct dyn_buf *why);
};

/**
 * A connection of the service's own met a trouble of the server's (see bus_options): log it, count
 * it, and make an event of it, at most one a minute of a kind. The command connection's own is told
 * already.
 */
void service_redis_trouble(struct service *service, const char *why);

/** The whole of a main(). */
int service_main(int argc, char **argv, const struct service_ops *ops);

/** End the loop; service_main() then cleans up and returns `status`. */
void service_stop(struct service *service, int status);

/**
 * Tell everybody: an event on the stream `events` and a log line. `event` needs level, state, code,
 * names and text; service, instance and time are filled in here. While Redis is away the newest
 * 256 events wait; older ones are dropped and counted.
 */
void service_event(struct service *service, const struct event *event);

#endif
