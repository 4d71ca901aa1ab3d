/*
 * drain: takes Heroku's log drains by HTTP POST on /drain, for the inputs of type log_drain.
 *
 * Batches of one app land on any collector. Each is answered 200 only once Redis has its counts:
 * the Function dyn_drain adds them to the buckets of their lines' times and remembers the frame, in
 * one step. So a batch that was answered is lost with no collector, one that comes again, wherever,
 * is counted once, and one that could not be written is answered 503, for Logplex to send again or
 * to count among what it dropped. Nothing of a line but counts is kept or written.
 *
 * What an authorized drain sent and we must refuse for good (a body that is too big, or not framed)
 * is lost: the present bucket says so, and no figure with it is taken for whole.
 *
 * Who sends is known by the drain's token and, where the configuration has one, the password of
 * Basic authorization. Their SHA-256 is kept, not they themselves.
 *
 * Bounds: a body 1 MiB, 64 MiB of all under way, 1,024 connections; then 413, 503, no accept.
 * Threads: the loop thread only.
 */
#ifndef DYN_COLLECTOR_DRAIN_H
#define DYN_COLLECTOR_DRAIN_H

#include "common/bus.h"
#include "common/config.h"

#define DRAIN_BODY_MAX (1024 * 1024)
#define DRAIN_BODIES_MAX (64 * 1024 * 1024)
#define DRAIN_CONNECTIONS_MAX 1024
#define DRAIN_LISTEN_AGAIN_MS 5000 /* a port that is taken may be free later */

struct drain;

struct drain_options {
    struct dyn_loop *loop;
    struct bus *bus;     /* outlives the drain as an address; closed before it is freed */
    const char *prefix;  /* outlives the drain */
    const char *address; /* where to listen, once an input asks for it; "": nowhere */
    uint16_t port;
    /** It cannot listen, and why; NULL: it can. */
    void (*trouble)(void *arg, const char *why);
    void *arg;
};

enum drain_end { /* of a batch */
    DRAIN_TAKEN,
    DRAIN_REPEATED, /* counted before */
    DRAIN_UNAUTHORIZED,
    DRAIN_REFUSED, /* malformed, too big, or no batch at all */
    DRAIN_PUT_OFF, /* 503: to be sent again */
    DRAIN_ENDS
};

enum drain_line {
    DRAIN_LINE_ANY,    /* of the batches that were taken */
    DRAIN_LINE_ROUTER, /* requests that count */
    DRAIN_LINE_LOST,   /* told to be lost, or refused */
    DRAIN_LINE_STRAY,  /* of no known form, or of a time too long ago or to come */
    DRAIN_LINES
};

struct drain_counts {
    uint64_t batches[DRAIN_ENDS];
    uint64_t lines[DRAIN_LINES];
};

struct drain *drain_new(const struct drain_options *options); /* NULL: no memory */
void drain_free(struct drain *drain); /* after what is under way on the bus has been answered */

/** Take the drains of this configuration from now on; it may go when this returns. A drain whose
 *  secrets cannot be had is none: the input says so. */
DYN_NODISCARD dyn_err drain_configure(struct drain *drain, const struct config *config);

/** Put off whatever comes from now on; what is under way still ends. */
void drain_stop(struct drain *drain);

/** False, and why: it ought to listen and cannot. */
bool drain_is_ready(const struct drain *drain, struct dyn_buf *why);
uint16_t drain_port(const struct drain *drain); /* 0: it does not listen */
const struct drain_counts *drain_counts(const struct drain *drain);

#endif
