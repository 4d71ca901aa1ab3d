/*
 * owner: which sinks are ours, by a lease each, and the feeds and pingers of all sinks.
 *
 * The lease of a sink is PREFIX:{rep}:KIND:SINK:lease, beside its cursor; the reporters share the
 * sinks out evenly (members_spread()). A feed begins when its lease was taken. It gives nothing to
 * its sink near the lease's deadline, which ends before anybody else can have taken it, so that a
 * reporter that was stopped delivers nothing when it wakes. A sink that is handed over, and a
 * reporter that drains, end the delivery under way and write its cursor first.
 *
 * A lease that was lost with the connection and that nobody held meanwhile goes on where it was,
 * with what is not written yet; else its feed begins anew at the stored cursor.
 *
 * Threads: the loop thread only.
 */
#ifndef DYN_REPORTER_OWNER_H
#define DYN_REPORTER_OWNER_H

#include "common/http.h"
#include "common/service.h"

struct owner;

struct owner *owner_new(struct service *service, struct http_client *http); /* NULL: no memory */
void owner_free(struct owner *owner);                                       /* after the bus */
/** The sinks of this configuration, which must live until the next call or owner_free(). Those that
 *  were there begin anew at their cursors; a sink that cannot work is told and left out. */
DYN_NODISCARD dyn_err owner_configure(struct owner *owner, const struct config *config);

void owner_open(struct owner *owner, struct dyn_str replid); /* the command connection stands */
void owner_close(struct owner *owner, const char *why);      /* or is lost */

/** Begin nothing new and hand all over. */
void owner_drain(struct owner *owner);
bool owner_is_drained(const struct owner *owner);
/** Each sink has an owner, and those that are ours are read. `why` says whose each is. */
bool owner_is_ready(const struct owner *owner, struct dyn_buf *why);

#endif
