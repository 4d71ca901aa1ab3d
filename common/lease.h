/*
 * lease: what one challenger or holder of one lease does next. A core: no clock, no I/O.
 *
 * The record in Redis is {owner, epoch, beat} (PROTOCOL.md). The safety argument rests on no expiry
 * and no clock of the server's:
 *
 *  - A challenger takes a lease that somebody owns only after (epoch, beat) stood still for wait_ms
 *    on its own CLOCK_BOOTTIME, watched without a break: another connection, another server and
 *    another answer begin the watch anew. Taking is a compare-and-set on (epoch, beat).
 *  - A holder of a lease with a deadline (hold_ms > 0: who writes to something that cannot check an
 *    epoch) may write until the sending time of its last good renewal + hold_ms, and drops the
 * lease drop_ms before that. Since wait_ms > hold_ms, no two may write at once.
 *  - A holder without a deadline is fenced by the Functions that it writes through.
 *
 * Where the default times come from: 20,000 simulated split brains each of several settings; with
 * 12 s held and 17 s waited none had two holders, and 10.1 s were to spare at worst.
 *
 * Who should hold it is no question of safety: `wish` says it (members.h spreads leases). One that
 * is wanted is taken as soon as it is free, a spare one LEASE_SPARE_MS later, so that whoever wants
 * it comes first; one that is not wanted is given up when held, and never taken. What is found to
 * be our own (after a lost connection, or lease_again()) is taken at once, wanted or spare.
 *
 * Ownership: a value; it holds no memory. Threads: one.
 */
#ifndef DYN_COMMON_LEASE_H
#define DYN_COMMON_LEASE_H

#include "common/str.h"

#define LEASE_EPOCH_TEXT 24
#define LEASE_SPARE_MS 3000 /* a lease that another should take is left alone that much longer */

struct lease_times {
    int64_t renew_ms; /* a holder renews that often */
    int64_t hold_ms;  /* after the sending time of the last good renewal; 0: no deadline */
    int64_t drop_ms;  /* dropped that long before the deadline */
    int64_t wait_ms;  /* a foreign lease must stand still that long; > hold_ms */
    int64_t look_ms;  /* a foreign lease is looked at that often */
};

enum lease_wish {
    LEASE_UNWANTED, /* not taken; given up when held */
    LEASE_SPARE,    /* another should take it; taken when nobody does, kept when held */
    LEASE_WANTED,
};

enum lease_state {
    LEASE_AWAY,    /* no connection */
    LEASE_WATCHED, /* somebody else's, or nobody's */
    LEASE_TAKING,  /* the taking is under way */
    LEASE_HELD,
    LEASE_LEAVING, /* the giving up is under way; nothing may be written under it any more */
};

enum lease_action {
    LEASE_REST,
    LEASE_LOOK,    /* read owner, epoch, beat; then lease_seen() */
    LEASE_TAKE,    /* dyn_acquire with seen_epoch and seen_beat; then lease_taken() */
    LEASE_RENEW,   /* dyn_renew; then lease_renewed() */
    LEASE_GIVE_UP, /* dyn_release; then lease_left() */
    LEASE_DROP,    /* it is not ours any more: its deadline is near. Nothing is to be sent */
};

enum lease_answer {
    LEASE_DONE,
    LEASE_FENCED, /* it is another's, or has moved */
    LEASE_UNSURE, /* unknown: no answer, or too few replicas have it */
};

struct lease {
    struct lease_times times;
    enum lease_state state;
    enum lease_wish wish;
    bool asking; /* a look, a renewal or a giving up is under way */
    bool seen;   /* the three below are of this connection */
    bool owned;  /* somebody owned it when it was last seen */
    bool owned_by_self;
    char seen_epoch[LEASE_EPOCH_TEXT];
    char seen_beat[LEASE_EPOCH_TEXT];
    int64_t still_since_ms; /* seen to stand like that since */
    int64_t next_look_ms;
    int64_t sent_ms; /* when the taking or the renewal that is under way was sent */
    int64_t next_renew_ms;
    int64_t deadline_ms; /* INT64_MAX: none; INT64_MIN: not held */
    int64_t held_since_ms;
};

void lease_init(struct lease *lease, const struct lease_times *times);
/** Connected, or to another server: everything that was seen is forgotten. */
void lease_open(struct lease *lease, int64_t now_ms);
/** The connection is lost. True: it was held until now. */
bool lease_close(struct lease *lease);
void lease_wish(struct lease *lease, enum lease_wish wish);

/**
 * What to do now. The caller does it and reports the answer; until then LEASE_REST follows, but
 * LEASE_DROP may come at any time, once. Ask again at lease_next_ms() and after each answer.
 */
enum lease_action lease_step(struct lease *lease, int64_t now_ms);
/** When lease_step() may have something to do; INT64_MAX: only after an answer. */
int64_t lease_next_ms(const struct lease *lease);

/** The record; "" where a field is absent. `self`: our own name. */
void lease_seen(struct lease *lease, struct dyn_str self, struct dyn_str owner,
                struct dyn_str epoch, struct dyn_str beat, int64_t now_ms);
/** A look that failed. */
void lease_unseen(struct lease *lease, int64_t now_ms);
/** True: held from now on. */
bool lease_taken(struct lease *lease, enum lease_answer answer, int64_t now_ms);
/** False: it is lost. */
bool lease_renewed(struct lease *lease, enum lease_answer answer, int64_t now_ms);
void lease_left(struct lease *lease, int64_t now_ms);
/** Another fenced write of the holder's, sent at sent_ms, was done: as good as a renewal. */
void lease_beaten(struct lease *lease, int64_t sent_ms, int64_t now_ms);
/** Another fenced write of the holder's was refused. True: it was held until now. */
bool lease_fenced(struct lease *lease, int64_t now_ms);

/**
 * Take it anew, at once and under another epoch: what was written under this one may still be under
 * way. True: it was held until now, and is not before lease_taken().
 */
bool lease_again(struct lease *lease, int64_t now_ms);

/** Whether something may be written under it now; the check to make right before sending. */
bool lease_may_write(const struct lease *lease, int64_t now_ms);

#endif
