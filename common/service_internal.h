/*
 * service_internal: what the files of the service skeleton share.
 *
 * service.c          the whole of a main()
 * service_run.c      the life of a service in its loop, its signals
 * service_http.c     what it answers over HTTP
 * service_options.c  the command line
 * service_process.c  what is asked of the kernel at start
 * service_redis.c    the command connection, and what `setup` stored
 * service_events.c   the events that wait to be told
 */
#ifndef DYN_COMMON_SERVICE_INTERNAL_H
#define DYN_COMMON_SERVICE_INTERNAL_H

#include "common/bus_config.h"
#include "common/service.h"

#include <sys/types.h>

/* ---- the command line ---- */

enum service_task {
    SERVICE_RUN,
    SERVICE_CHECK,
    SERVICE_HELP,
    SERVICE_VERSION
};

struct service_options {
    enum service_task task;
    const char *config; /* never NULL with SERVICE_RUN and SERVICE_CHECK */
    char *redis;        /* NULL: the configuration's. Lies in argv or environ, to be wiped there */
    char instance[DYN_NAME_MAX];
    char http_address[64]; /* "": no HTTP */
    uint16_t http_port;
    char drain_address[64]; /* "": none */
    uint16_t drain_port;
    bool die_with_parent;
    pid_t parent; /* 0: whoever it is */
};

DYN_NODISCARD dyn_err service_options_parse(int argc, char **argv, const struct service_ops *ops,
                                            struct service_options *out, struct dyn_error *error);
void service_options_help(const struct service_ops *ops, FILE *out);

/* ---- the process ---- */

/** No core dumps, nothing readable in /proc by others of the same user, no SIGPIPE. */
void service_process_harden(void);
/** False: the parent is gone already. */
DYN_NODISCARD bool service_process_follow(const struct service_options *options);
/**
 * PID 1 of a container gets no signal that it has no handler for, SIGKILL by its own timer
 * included. So it becomes a parent that hands signals on and reaps; true, and the child's exit
 * status, in the parent when the child has ended; false in the process that is to do the work. The
 * parent wipes its copy of options->redis, which the child still reads.
 */
DYN_NODISCARD bool service_process_split(const struct service_options *options, int *out_status);

/** SIGALRM, which ends the process, in so many seconds; 0 takes it back. */
void service_process_alarm(unsigned seconds);

/* ---- events that wait ---- */

struct service_events {
    struct bus *bus;
    char key[DYN_NAME_MAX + 16];
    struct dyn_buf *waiting; /* a ring of encoded events, owned; grows up to the bound */
    size_t room;             /* of the ring; 0 before the first event */
    size_t first;
    size_t count;
    bool open;               /* the bus may be written to */
    bool sending;            /* the first one is under way */
    bool losing;             /* and told: some were dropped since all had gone out */
    struct dyn_timer *retry; /* what the server refused may pass later */
    struct metric *sent;
    struct metric *dropped;
    void (*drained)(void *arg); /* called whenever none waits any more */
    void *arg;
};

/** What waits is sent one by one. Beyond DYN_EVENTS_WAITING, or out of memory, the oldest is
 *  dropped, counted, and logged once until all have gone out. */
void service_events_add(struct service_events *events, const struct event *event);
void service_events_open(struct service_events *events, bool open);
void service_events_retry(void *arg); /* events->retry fired */
void service_events_fini(struct service_events *events);

/* ---- the command connection ---- */

enum service_link {
    LINK_NEW,     /* not connected yet, and nothing said about it */
    LINK_AWAY,    /* said */
    LINK_ASKING,  /* connected; what setup stored is not known yet */
    LINK_WAITING, /* connected; setup is missing, or of another version. Said */
    LINK_READY,
};

#define SERVICE_TROUBLES 8 /* kinds that are told apart; another one takes the oldest's place */

struct service_trouble {
    char word[16]; /* the first of what is said, which is its kind; "": none yet */
    int64_t told_ms;
};

struct service_run {
    struct service service; /* first: the services get a pointer to it */
    const struct service_ops *ops;
    struct service_options options;
    struct bus_config redis; /* wiped */
    struct httpd *httpd;
    struct dyn_signal *signals[3];
    struct dyn_timer *deadline; /* of the drain, then of the last events */
    int64_t started_wall_ms;
    int status;
    bool stopping;

    enum service_link link;
    struct dyn_error link_why; /* for people and /readyz, unless LINK_READY */
    struct dyn_buf replid;
    int64_t away_since_ms; /* 0: it was never there */
    struct dyn_timer *ask;
    struct metric *link_ready;
    struct metric *link_losses;
    struct metric *link_failures;
    struct metric *link_troubles;
    struct service_trouble troubles[SERVICE_TROUBLES];

    struct service_events events;
};

/* ---- a run: all that service_main() does around its loop ---- */

enum {
    SERVICE_EXIT_CONFIG = 2
};

/** Make it and start it: what follows happens in its loop, unless `stopping` is set already. NULL:
 *  the log says why, and *out_status is the exit status. */
DYN_NODISCARD struct service_run *service_run_begin(const struct service_ops *ops,
                                                    const struct service_options *options,
                                                    int *out_status);
/** After the loop ended. The exit status. */
int service_run_end(struct service_run *run);

DYN_NODISCARD dyn_err service_http_start(struct service_run *run, struct dyn_error *error);

DYN_NODISCARD dyn_err service_redis_start(struct service_run *run, struct dyn_error *error);
void service_redis_stop(struct service_run *run);

#endif
