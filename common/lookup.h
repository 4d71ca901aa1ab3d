/*
 * lookup: a host's addresses, asked for on another thread since resolvers block.
 *
 * Ownership: the name is copied. dyn_lookup_free() may be called at any time, in the callback too;
 * no callback comes afterwards, though the resolver may go on for a while.
 * Threads: the loop thread only.
 */
#ifndef DYN_COMMON_LOOKUP_H
#define DYN_COMMON_LOOKUP_H

#include "common/loop.h"

#define DYN_LOOKUP_ADDRESSES_MAX 16 /* more are left out */

struct dyn_lookup;

/** Once, from the loop: numeric addresses for TCP, those of IPv4 first, which live during the call;
 *  or none, and why. */
typedef void dyn_lookup_fn(void *arg, const char *const *addresses, size_t count, const char *why);
struct dyn_lookup *dyn_lookup_new(struct dyn_loop *loop, const char *host, dyn_lookup_fn *fn,
                                  void *arg); /* NULL: no memory */
void dyn_lookup_free(struct dyn_lookup *lookup);

/** Whether there is nothing to look up. */
bool dyn_address_is_numeric(const char *host);

#endif
