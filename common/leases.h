/*
 * leases: the leases that a service holds or waits for, kept over its command connection by the
 * core lease.h and the Functions dyn_acquire, dyn_renew and dyn_release.
 *
 * Each lease is a number that leases_add() gives. `taken` and `lost` alternate for each of them; a
 * connection that is lost loses all that are held. One that is not wanted any more is given up once
 * `may_leave` agrees, so that what is under way can end first. A Function that refuses for another
 * reason than a fence is told in the log.
 *
 * Ownership: keys are copied. Callbacks may call everything here but leases_free().
 * Threads: the loop thread only.
 */
#ifndef DYN_COMMON_LEASES_H
#define DYN_COMMON_LEASES_H

#include "common/bus.h"
#include "common/lease.h"

#define LEASES_TICK_MS 250 /* how late at most a step comes */

struct leases;

struct lease_grant {
    uint64_t epoch;
    uint64_t before;           /* the epoch that it had until then; 0: none */
    struct dyn_str epoch_text; /* as the Functions want it; lives as long as the lease is held */
    bool other_server; /* what Redis has may be less than what was written, since this is another
                          history of it (its master_replid) than the last that leases_acted() was
                          called under, or it never was; and nobody has done what follows from it */
    bool first;        /* nobody ever held it, as far as we know: a Redis without any history; not
                          one that lost it */
    bool stood_still;  /* taken from somebody who did not give it up */
    bool own_again;    /* nobody held it since `taken` last told us that we do */
    struct entry_id cursor; /* how far the holders before published; {0, 0}: nowhere */
};

struct leases_options {
    const char *owner; /* our name in the record, of this process alone */
    struct lease_times times;
    void (*taken)(void *arg, size_t lease, const struct lease_grant *grant);
    void (*lost)(void *arg, size_t lease, const char *why);
    /** It is held and not wanted: whether it can be given up now. NULL: always. */
    bool (*may_leave)(void *arg, size_t lease);
    void *arg;
};

struct leases *leases_new(struct dyn_loop *loop, const struct leases_options *options);
void leases_free(struct leases *leases); /* after the bus, or once leases_close() was called */

/** SIZE_MAX: no memory. Watched from now on, and taken when it is free. */
size_t leases_add(struct leases *leases, const char *key);
/** Gives it up when it is held, without `may_leave` and `lost`; the number may come again. */
void leases_remove(struct leases *leases, size_t index);
/** As leases_remove(), but it is not given up: whoever follows waits until it stood still. */
void leases_forget(struct leases *leases, size_t index);
void leases_wish(struct leases *leases, size_t index, enum lease_wish wish);

/** The command connection stands, or is lost. `bus` is used until then. */
void leases_open(struct leases *leases, struct bus *bus, struct dyn_str replid);
void leases_close(struct leases *leases, const char *why);

/** Another fenced Function with this lease was answered: done (sent at sent_ms of the boot clock,
 *  as good as a renewal), or FENCED (the lease is lost; `lost` comes during the call). */
void leases_beaten(struct leases *leases, size_t index, int64_t sent_ms);
void leases_fenced(struct leases *leases, size_t index);

/** What follows from `other_server` is done, or was sent on this connection before: whoever takes
 *  the lease next need not do it again. Costs nothing when there was nothing to do. Whoever does
 * not care for `other_server` need not call it. */
void leases_acted(struct leases *leases, size_t index);

/** Take one that is held anew, at once, under another epoch: it is not held any more when this
 *  returns, without `lost`, and `taken` follows. What is not held stays as it is. */
void leases_again(struct leases *leases, size_t index);

bool leases_is_held(const struct leases *leases, size_t index);
/** Whether something may be written under it now; the check to make right before sending. */
bool leases_may_write(const struct leases *leases, size_t index);
/** Boot ms until which may be written; INT64_MIN: not held; INT64_MAX: while it is held. */
int64_t leases_deadline_ms(const struct leases *leases, size_t index);
/** The earliest deadline of all that are held; INT64_MAX: none. */
int64_t leases_first_deadline_ms(const struct leases *leases);
/** The owner in the record as last seen, for people; "": nobody, or not seen yet. */
const char *leases_owner(const struct leases *leases, size_t index);

/** Give up all that are held or just being taken, once `may_leave` agrees, and take none any more;
 * then `done`, once, from the loop or at once. */
void leases_leave(struct leases *leases, void (*done)(void *arg), void *arg);

#endif
