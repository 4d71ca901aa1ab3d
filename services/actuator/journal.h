/*
 * journal: the lease of each Heroku account and its journal of intents, in Redis, by the Functions
 * dyn_acquire, dyn_renew, dyn_release, dyn_act_begin and dyn_act_end.
 *
 *   PREFIX:{act}:ACCOUNT:lease    owner, epoch, beat
 *   PREFIX:{act}:ACCOUNT:journal  one field a controller (its id in hex): its last intent
 *   PREFIX:actions                what was done
 *
 * Taking the lease: at once when nobody holds it, and once at the start from whoever does (a
 * restart; the journal's fence and its open intents make that safe). A lease that was taken from
 * us is taken back only when it stood still for JOURNAL_WAIT_MS or was given up: two actuators do
 * not fight. Holding it: renewed every JOURNAL_RENEW_MS; the deadline is the sending time of the
 * last good renewal + JOURNAL_HOLD_MS, and the lease is dropped 2 s before it. A connection that is
 * lost drops all leases; the next one takes them anew and loads the journal, so nothing rests on
 * commands that went unanswered.
 *
 * Threads: the loop thread only.
 */
#ifndef DYN_ACTUATOR_JOURNAL_H
#define DYN_ACTUATOR_JOURNAL_H

#include "common/bus.h"
#include "common/config.h"

#define JOURNAL_RENEW_MS 3000
#define JOURNAL_HOLD_MS 12000
#define JOURNAL_DROP_MS 2000
#define JOURNAL_WAIT_MS 17000
#define JOURNAL_TICK_MS 500
#define JOURNAL_ACTIONS_MAX 10000 /* entries kept in PREFIX:actions, about */

struct journal;

struct journal_options {
    const char *prefix;
    const char *instance;
    /** The lease is ours; the entries of the journal follow, then `loaded`. */
    void (*led)(void *arg, size_t account, uint64_t epoch);
    void (*entry)(void *arg, size_t account, const struct intent *intent);
    void (*loaded)(void *arg, size_t account);
    /** No longer ours. Comes once after each `led`. */
    void (*lost)(void *arg, size_t account, const char *why);
    /** The answer to journal_begin(). */
    void (*begun)(void *arg, uint64_t token, dyn_err err);
    void *arg;
};

/** NULL: no memory. */
struct journal *journal_new(struct dyn_loop *loop, const struct config *config,
                            const struct journal_options *options);
void journal_free(struct journal *journal); /* after the bus */

/** The command connection stands, or is lost. `bus` is used until then. */
void journal_open(struct journal *journal, struct bus *bus);
void journal_close(struct journal *journal, const char *why);

/** Another configuration: accounts are recognised by name; leases of accounts that left are given
 *  up. The indices that callbacks carry are the new ones from here on. DYN_NOMEM: as before. */
DYN_NODISCARD dyn_err journal_reload(struct journal *journal, const struct config *next);

/** `begun` comes later, exactly once, unless this fails (then never). */
DYN_NODISCARD dyn_err journal_begin(struct journal *journal, size_t account, uint64_t token,
                                    const struct intent *intent);
/** action NULL: a note. What gets lost with the connection is settled from the journal later. */
void journal_end(struct journal *journal, size_t account, const struct intent *intent,
                 const struct action *action);

/** Somebody else has the lease (an answer of begin said so). */
void journal_fenced(struct journal *journal, size_t account);
/** Boot ms until which the account may be written to; INT64_MIN: not led. */
int64_t journal_deadline(const struct journal *journal, size_t account);
bool journal_is_led(const struct journal *journal, size_t account);

/** Give every lease up, then call `done` once, from the loop or at once. */
void journal_release(struct journal *journal, void (*done)(void *arg), void *arg);

#endif
