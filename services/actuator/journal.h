/*
 * journal: what was asked of Heroku and what became of it, in Redis, by the Functions dyn_act_begin
 * and dyn_act_end. Each command is fenced by the lease of its account (accounts.h).
 *
 *   PREFIX:{act}:ACCOUNT:journal  one field a controller (its id in hex): its last intent
 *   PREFIX:actions                what was done
 *
 * Nothing rests on a command that went unanswered: an intent that may be recorded is found open by
 * the next begin, or by whoever leads the account next.
 *
 * Threads: the loop thread only.
 */
#ifndef DYN_ACTUATOR_JOURNAL_H
#define DYN_ACTUATOR_JOURNAL_H

#include "actuator/accounts.h"
#include "common/bus.h"

#define JOURNAL_ACTIONS_MAX 10000 /* entries kept in PREFIX:actions, about */

struct journal;

struct journal_options {
    const char *prefix;
    struct accounts *accounts;
    void (*entry)(void *arg, size_t account, const struct intent *intent);
    /** After the entries, while the lease of then is still held. */
    void (*loaded)(void *arg, size_t account);
    /** The answer to journal_begin(). */
    void (*begun)(void *arg, uint64_t token, dyn_err err);
    void *arg;
};

/** NULL: no memory. */
struct journal *journal_new(const struct journal_options *options);
void journal_free(struct journal *journal); /* after the bus */

/** The command connection stands, or is lost. `bus` is used until then. */
void journal_open(struct journal *journal, struct bus *bus);
void journal_close(struct journal *journal);

/** The account is led from now on: `entry` for each, then `loaded`. A journal that cannot be read
 *  costs the connection, and with it the lease: a wrong start is worse than a late one. */
void journal_load(struct journal *journal, size_t account);

/** `begun` comes later, exactly once, unless this fails (then never). */
DYN_NODISCARD dyn_err journal_begin(struct journal *journal, size_t account, uint64_t token,
                                    const struct intent *intent);
/** action NULL: a note. */
void journal_end(struct journal *journal, size_t account, const struct intent *intent,
                 const struct action *action);

#endif
