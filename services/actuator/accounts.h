/*
 * accounts: which accounts this actuator leads, kept over the command bus.
 *
 *   PREFIX:{act}:NAME:lease   owner, epoch, beat: one a configured account
 *   PREFIX:{act}:accounts     NAME to the identity that GET /account told, fenced by its lease
 *   PREFIX:{act}:members      the actuators that live
 *
 * Accounts are spread over the live actuators (members.h); two names of one Heroku account go
 * together (groups.h). What falls to another is handed over once nothing is being written; a lease
 * that nobody gives up is taken when it stood still for redis.lease.actuator_wait.
 *
 * Account numbers are indices into the configuration in force.
 * Threads: the loop thread only.
 */
#ifndef DYN_ACTUATOR_ACCOUNTS_H
#define DYN_ACTUATOR_ACCOUNTS_H

#include "common/config.h"
#include "common/leases.h"

struct accounts;

struct accounts_options {
    const char *prefix;
    const char *instance;
    struct config_lease times;
    void (*taken)(void *arg, size_t account, const struct lease_grant *grant);
    /** Comes once after each `taken`. */
    void (*lost)(void *arg, size_t account, const char *why);
    /** Whether nobody else can write to the account under another name; told again and again. */
    void (*clear)(void *arg, size_t account, bool clear);
    /** Whether nothing is being written there. */
    bool (*may_leave)(void *arg, size_t account);
    void *arg;
};

/** NULL: no memory. */
struct accounts *accounts_new(struct dyn_loop *loop, const struct config *config,
                              const struct accounts_options *options);
void accounts_free(struct accounts *accounts); /* after the bus */

/** The command connection stands, or is lost. `bus` is used until then. */
void accounts_open(struct accounts *accounts, struct bus *bus, struct dyn_str replid);
void accounts_close(struct accounts *accounts, const char *why);

/** Another configuration: accounts are recognised by name. Leases of those that left are given up,
 *  or left standing while something is being written there: ask before the core forgets it.
 *  DYN_NOMEM: only a restart can help. */
DYN_NODISCARD dyn_err accounts_reload(struct accounts *accounts, const struct config *next);

/** To be called every ACT_TICK_MS. */
void accounts_tick(struct accounts *accounts);

/** Whether this process has the account's key. One that it lacks is left to others, if there are.
 */
void accounts_key(struct accounts *accounts, size_t account, bool present);
/** Heroku told whose key it is; "": the key may not ask. Answered by `clear`, later. */
void accounts_identity(struct accounts *accounts, size_t account, struct dyn_str identity);

/** What fences a command for the account. */
struct accounts_fence {
    struct dyn_str key;   /* of the lease */
    struct dyn_str owner; /* borrowed until it is lost */
    struct dyn_str epoch_text;
    uint64_t epoch;
};
/** False: not held. */
bool accounts_fence(const struct accounts *accounts, size_t account, struct accounts_fence *out);
/** The account that is held under this epoch; SIZE_MAX: none any more. Epochs of one lease differ,
 *  hence the name as well. */
size_t accounts_find(const struct accounts *accounts, const char *name, uint64_t epoch);
const char *accounts_name(const struct accounts *accounts, size_t account);
/** A Function said that the lease is another's. `lost` comes during the call. */
void accounts_fenced(struct accounts *accounts, size_t account);

/** What follows from a grant's `other_server` is done. */
void accounts_acted(struct accounts *accounts, size_t account);

bool accounts_is_held(const struct accounts *accounts, size_t account);
/** The check to make right before a write leaves. */
bool accounts_may_write(const struct accounts *accounts, size_t account);
/** Boot ms until which the account may be written to; INT64_MIN: not held. */
int64_t accounts_deadline_ms(const struct accounts *accounts, size_t account);
/** The earliest of all that are held; INT64_MAX: none. */
int64_t accounts_first_deadline_ms(const struct accounts *accounts);

/** Tell the others that we go, so that they know what falls to them. True: there are others. */
bool accounts_goodbye(struct accounts *accounts);
/** Give every lease up as soon as `may_leave` agrees, then call `done` once. */
void accounts_leave(struct accounts *accounts, void (*done)(void *arg), void *arg);

#endif
