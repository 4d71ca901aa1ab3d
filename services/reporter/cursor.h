/*
 * cursor: the hash `PREFIX:{rep}:KIND:SINK`, which holds how far a sink has come in each stream
 * and what its deduplication remembers.
 *
 * What changed goes out by dyn_settle, which writes nothing unless the sink's lease is still held
 * under the epoch that cursor_lead() told: one call at a time, at most CURSOR_CALL_MAX fields and
 * as many that are removed. A position is never written before what was set with it: together where
 * that fits into one call, else with the last of several. What a lost connection may not have
 * written is written again.
 *
 * Ownership: after cursor_free() its memory goes when the last answer has come; no callback of it
 * comes any more.
 */
#ifndef DYN_REPORTER_CURSOR_H
#define DYN_REPORTER_CURSOR_H

#include "common/bus.h"

#define CURSOR_FIELD_MAX 32 /* bytes of a field's name, NUL included */
#define CURSOR_VALUE_MAX 96
#define CURSOR_FIELDS_MAX 4096 /* changed and not yet written; more are not remembered, counted */
#define CURSOR_CALL_MAX 64     /* as dyn_settle takes */

struct cursor;

struct cursor_options {
    struct bus *const *bus; /* where its owner keeps it, NULL when it is gone */
    const char *key;
    const char *lease; /* the lease's key, which dyn_settle compares with: */
    const char *owner; /* and the epoch */
    /** All that changed is written. */
    void (*settled)(void *arg);
    /** The lease is another's. */
    void (*fenced)(void *arg);
    void *arg;
};

struct cursor *cursor_new(const struct cursor_options *options); /* NULL: no memory */
/** The lease is held, from now on under this epoch. Before, nothing is written. */
void cursor_lead(struct cursor *cursor, struct dyn_str epoch);
/** Writes what is left, without waiting for the answer. NULL is fine. */
void cursor_free(struct cursor *cursor);

/** Read it all: `field` for each, then `done` once. DYN_CLOSED, DYN_BUSY: neither is called. */
typedef void cursor_field_fn(void *arg, struct dyn_str field, struct dyn_str value);
typedef void cursor_done_fn(void *arg, dyn_err err);
DYN_NODISCARD dyn_err cursor_load(struct cursor *cursor, cursor_field_fn *field,
                                  cursor_done_fn *done, void *arg);

/** Change a field, "" removes it. Written by the next cursor_flush(). */
void cursor_set(struct cursor *cursor, const char *field, const char *value);
/** The same for how far a stream is: written once all that was set is. */
void cursor_move(struct cursor *cursor, const char *field, const char *position);
/** Write what changed, unless that is under way already. */
void cursor_flush(struct cursor *cursor);
bool cursor_is_clean(const struct cursor *cursor);
uint64_t cursor_forgotten(const struct cursor *cursor);

#endif
