/*
 * groups: which configured accounts are one Heroku account, and what to do about their leases.
 * A core: no clock, no I/O.
 *
 * Names whose keys belong to one Heroku account (`shared`, from PREFIX:{act}:accounts) form a
 * group. Each name keeps its own lease and journal. The lease of the smallest name decides who
 * leads: the leases of the others are wanted by whoever holds that one, and are given up by
 * everybody else. A name is clear, and its apps may be touched, while all leases of its group are
 * held: so no two actuators write to one Heroku account under two names.
 *
 * What a name's key says must be known to all before anything is written: the identity that Heroku
 * told is written to the hash, and the hash is read again after that and after each taking. Of two
 * that do so at once, one at least sees the other; and the other then sees it, or has no lease.
 *
 * What was learned once stays until it is learned otherwise: a key that may not ask says nothing
 * about whose it is. Were its silence written, two actuators of which only one was answered would
 * hand the name to and fro for ever, the one joining it to its group, the other taking it out. A
 * key that belongs to another account now, and may not ask, thus stays with its former group: more
 * names than needed are led together, never fewer.
 *
 * Ownership: values. Threads: one.
 */
#ifndef DYN_ACTUATOR_GROUPS_H
#define DYN_ACTUATOR_GROUPS_H

#include "common/lease.h"
#include "common/limits.h"

#define GROUPS_IDENTITY_MAX 64
#define GROUPS_KEEP_RENEWALS 10 /* a spare lease is kept that many renewals: 30 s by default */
#define GROUPS_KEEP_DOUBLES 6   /* ... doubled with each time that it comes back, that often */

enum groups_told {
    GROUPS_UNTOLD,  /* Heroku was not asked yet */
    GROUPS_PRIVATE, /* the key may not ask: of the group that the hash says; else alone */
    GROUPS_TOLD,
};

struct groups_name {
    const char *name;
    enum groups_told told;
    char identity[GROUPS_IDENTITY_MAX]; /* that was told */
    char shared[GROUPS_IDENTITY_MAX];   /* what the hash says; "": nothing */
    bool read;        /* the hash was read after the taking, and after what we wrote to it */
    bool held;        /* its lease */
    bool ours;        /* it falls to us; of the first of a group */
    bool as_spare;    /* it did not when it was taken */
    unsigned spares;  /* times that it did not, one after the other, of this membership */
    bool unable;      /* its key is missing here, and there are others: it is left to them */
    int64_t taken_ms; /* then */
    size_t first;     /* the smallest name of its group */
};

/** Set `first` of each. */
void groups_form(struct groups_name *names, size_t count);
/** `known`: `ours` is of a membership that is known. keep_ms: how long what was taken as a spare is
 *  not handed over, so that nothing flaps when the one it falls to cannot lead. */
enum lease_wish groups_wish(const struct groups_name *names, size_t at, bool known, int64_t keep_ms,
                            int64_t now_ms);
/** Whether the hash lacks what Heroku told of a name that is held. */
bool groups_must_write(const struct groups_name *name);
/** Whether the apps of the name may be touched. */
bool groups_is_clear(const struct groups_name *names, size_t count, size_t at, bool known,
                     int64_t keep_ms, int64_t now_ms);

#endif
