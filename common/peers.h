/*
 * peers: this service among the others of its role: the core members.h over the command connection.
 *
 * Beats each redis.lease.beat in PREFIX:{SHORT}:members, SHORT the role's: col, est, act, rep. One
 * beat is under way at a time; one that comes due meanwhile is sent with the answer. Where answers
 * take longer than half of redis.lease.gone nobody is ever found to be gone.
 *
 * Threads: the loop thread only.
 */
#ifndef DYN_COMMON_PEERS_H
#define DYN_COMMON_PEERS_H

#include "common/bus.h"
#include "common/members.h"

struct peers;

struct peers_options {
    const char *key;  /* "dyn:{col}:members" */
    const char *self; /* of this process alone */
    const char *text; /* told with each beat, for people: the instance */
    int64_t beat_ms;
    int64_t gone_ms;
    void (*changed)(void *arg); /* the membership changed, or is known for the first time */
    void *arg;
};

struct peers *peers_new(struct dyn_loop *loop, const struct peers_options *options);
void peers_free(struct peers *peers); /* after the bus, or once peers_close() was called */
void peers_open(struct peers *peers, struct bus *bus); /* the command connection stands */
void peers_close(struct peers *peers);                 /* or is lost */
/** Say goodbye, so that others need not wait; no beat follows. It has left once bus_pending() of
 * the connection is 0: before, the process must not end. */
void peers_leave(struct peers *peers);
const struct members *peers_members(const struct peers *peers);

#endif
