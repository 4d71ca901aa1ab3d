/*
 * dedup: which events a person is told, and which are only counted. No I/O; time is an argument.
 *
 * The first event of a fingerprint (code, app, controller, input) is told at once; repeats within
 * an hour are counted, and the next one that is told brings the count. `over` is told only after
 * its `raised` was. A trouble that was told as over and comes again within the hour is told, up to
 * three times: what flaps all day becomes one message an hour.
 *
 * Ownership: lives inside its owner, holds no pointers to elsewhere. Threads: the loop thread only.
 */
#ifndef DYN_REPORTER_DEDUP_H
#define DYN_REPORTER_DEDUP_H

#include "common/message.h"

#define DEDUP_ENTRIES_MAX \
    1024 /* then the one told longest ago is forgotten, of those that are over if any is */
#define DEDUP_WINDOW_MS 3600000 /* an hour */
#define DEDUP_TOLD_MAX 3        /* of one fingerprint in a window */

struct dedup_entry {
    uint64_t fingerprint; /* 0: the place is free */
    int64_t window_ms;    /* when the window began: the event that was told */
    uint32_t told;        /* in this window */
    uint64_t suppressed;  /* since the last one that was told */
    uint64_t incident;    /* hash of the cause, or of the fingerprint without one; 0: no error */
    bool open;            /* `raised` was told and `over` was not yet */
};

struct dedup {
    struct dedup_entry entries[DEDUP_ENTRIES_MAX];
};

/** Never 0. */
uint64_t dedup_fingerprint(const struct event *event);
/**
 * Whether to tell this event; *out_repeats how often it was not told before. *out_entry is what is
 * remembered from now on, NULL when nothing is. An entry that had to make room is in *out_forgotten
 * by its fingerprint, 0 when none had to.
 */
bool dedup_take(struct dedup *dedup, const struct event *event, int64_t now_ms,
                uint64_t *out_repeats, const struct dedup_entry **out_entry,
                uint64_t *out_forgotten);
/** How many open troubles, others than this one, have the same incident. */
uint32_t dedup_others(const struct dedup *dedup, const struct dedup_entry *entry);
/** Forget one closed entry of a window that ended a day ago; its fingerprint, or 0 when none is
 *  left. */
uint64_t dedup_expire(struct dedup *dedup, int64_t now_ms);
/** Put back what was remembered. Ignored when there is no room. */
void dedup_restore(struct dedup *dedup, const struct dedup_entry *entry);

/** `window_ms told suppressed open incident` as text, for the hash of the sink. */
#define DEDUP_TEXT 112
void dedup_format(const struct dedup_entry *entry, char *out, size_t size);
DYN_NODISCARD dyn_err dedup_parse(uint64_t fingerprint, struct dyn_str text,
                                  struct dedup_entry *out);

#endif
