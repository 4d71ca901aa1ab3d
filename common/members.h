/*
 * members: who takes part in a role, and what falls to whom. A core: no clock, no I/O.
 *
 * Each member bumps its own count in one hash (dyn_beat, PROTOCOL.md) every beat_ms, and sees with
 * the answer the counts of all others. Safety never rests on it: what must have one holder has a
 * lease (lease.h), and two members that poll one input for a moment only say the same twice.
 *
 *  - Somebody new counts from the first time that its count is seen to move.
 *  - Somebody whose entry is gone has left.
 *  - Somebody whose count stood still for gone_ms on our clock is gone; watched without a break:
 *    when our own beats went unanswered, the watch of everybody begins anew.
 *  - When all of at least two others seem to have gone at once, Redis is more likely the trouble
 *    than they: they are believed gone only after another gone_ms. The same where the hash was
 *    emptied: our own count began anew.
 *  - We know nothing, and own nothing, before the others had the time to be seen.
 *
 * What falls to whom: by rendezvous hashing (Thaler, Ravishankar: "A name-based mapping scheme for
 * rendezvous", 1996) of a 64-bit key over the members, so that somebody who comes or goes moves its
 * own share alone. members_spread() bounds each share (Mirrokni, Thorup, Zadimoghaddam: "Consistent
 * hashing with bounded loads", 2016): few things are spread evenly.
 *
 * Ownership: names are copied. Memory: O(members), at most MEMBERS_MAX. Threads: one.
 */
#ifndef DYN_COMMON_MEMBERS_H
#define DYN_COMMON_MEMBERS_H

#include "common/str.h"

#define MEMBERS_MAX 1024
#define MEMBERS_SPREAD_MAX 1024

struct members;

struct members *members_new(const char *self, int64_t beat_ms, int64_t gone_ms);
void members_free(struct members *members);

/** Connected (again), or to another server: the watch of everybody begins anew. */
void members_open(struct members *members, int64_t now_ms);

/** An answer of dyn_beat: begin, each entry (its count; our own among them), end. A name that
 * cannot be kept (too long, too many, no memory) is none of a member. */
void members_begin(struct members *members, int64_t now_ms);
void members_see(struct members *members, struct dyn_str name, uint64_t beats);
/** True: the membership changed. */
bool members_end(struct members *members);
/** Time has passed. True: the membership changed. */
bool members_turn(struct members *members, int64_t now_ms);
/** When members_turn() may have something to do; INT64_MAX: only after an answer. */
int64_t members_next_ms(const struct members *members);

/** The membership is known: before, members_owns() and members_spread() give nothing. */
bool members_known(const struct members *members);
/** Those who count, ourselves included; 0: not known. */
size_t members_count(const struct members *members);
/** Entries of others long gone, to be named in the next dyn_beat so that they are removed: at most
 *  `max` into `out_names` (borrowed until the next call). */
size_t members_dead(const struct members *members, int64_t now_ms, struct dyn_str *out_names,
                    size_t max);

bool members_owns(const struct members *members, uint64_t key);
/** For each of `count` keys whether it falls to us; shares differ by one at most. All who
 *  see the same members say the same. */
void members_spread(const struct members *members, const uint64_t *keys, size_t count,
                    bool *out_ours);

#endif
