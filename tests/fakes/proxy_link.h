/*
 * proxy_link: one listener, its target, and the connections between them, spoiled as told.
 *
 * "Up" is from the client to the target. What a mode does holds for the open connections and for
 * new ones alike:
 *
 *   pass        every byte, at once
 *   refuse      new connections are refused; the open ones go on
 *   drop-up     bytes up are lost, and with them that connection's way up, for good
 *   drop-down   the same, down
 *   stall-up    bytes up wait, and arrive when the mode ends, as TCP sends them again
 *   stall-down  the same, down
 *   delay       each byte arrives so many milliseconds later
 *   trickle     one byte a packet, one packet each so many milliseconds
 *   half-open   new connections are accepted and lead nowhere; open ones lose both ways
 *
 * Bounds:  LINK_PAIRS_MAX connections, more are closed at once; LINK_QUEUE_MAX bytes a direction,
 *          then nothing more is read.
 * Threads: one.
 */
#ifndef TESTS_FAKES_PROXY_LINK_H
#define TESTS_FAKES_PROXY_LINK_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LINK_NAME_SIZE 64
#define LINK_PAIRS_MAX 256
#define LINK_QUEUE_MAX ((size_t)1024 * 1024)
#define LINK_POLLS_MAX (2 * LINK_PAIRS_MAX + 1)

enum link_mode {
    LINK_PASS,
    LINK_REFUSE,
    LINK_DROP_UP,
    LINK_DROP_DOWN,
    LINK_STALL_UP,
    LINK_STALL_DOWN,
    LINK_DELAY,
    LINK_TRICKLE,
    LINK_HALF_OPEN,
    LINK_MODES
};

struct link;

/**
 * Listen on a free port of 127.0.0.1 for `target`: tcp:PORT of 127.0.0.1, or unix:PATH. NULL, with
 * errno set, when it cannot be.
 */
struct link *link_new(const char *name, const char *target);
void link_free(struct link *link);

const char *link_name(const struct link *link);
unsigned link_port(const struct link *link);

/** The mode of that name; false when there is none. */
bool link_mode_find(const char *name, enum link_mode *out);
/** False when the port cannot be had again. */
bool link_set(struct link *link, enum link_mode mode, int64_t ms, int64_t now_ms);
/** Close every open connection; with `reset` by RST. */
void link_cut(struct link *link, bool reset);

struct link_stats {
    uint64_t accepted, up, down; /* bytes that went on */
    size_t open;
};
struct link_stats link_stats(const struct link *link);

/** What to poll for, LINK_POLLS_MAX entries at most; how many. */
size_t link_polls(const struct link *link, int64_t now_ms, struct pollfd *out);
/** Go on after poll() filled the same entries. */
void link_step(struct link *link, const struct pollfd *polls, int64_t now_ms);
/** Milliseconds until something is due; -1: nothing is. */
int64_t link_due(const struct link *link, int64_t now_ms);

#endif
