/*
 * logplex: the body of a Heroku HTTPS log drain, read into a tally. A core: no clock, no I/O, no
 * allocation.
 *
 * The body is frames back to back, `LENGTH SP <PRI>1 SP TIMESTAMP SP HOST SP APP SP PROCID SP MSGID
 * SP MESSAGE`: LENGTH counts the bytes behind its space; structured data is missing; a frame may or
 * may not end in a line feed. Only what APP `heroku` and PROCID `router` say is a request: an app
 * can print what looks like one. All that is kept of a line is counts.
 *
 * - A request counts unless its code is H80, H81 or H82: no dyno was asked for those.
 * - Its connect time counts where it has one; its service time too, but not of a WebSocket
 *   (status 101: the connection's whole life), and not of H27 and H28 (the client went away).
 * - L10 (of logplex), L12 and L13 (of log-shuttle) say how many lines were lost since when.
 *
 * Pairs are looked up by key in any order, unknown ones skipped. A path and X-Forwarded-For are the
 * client's own words and may hold `" status=200`: `code` counts in front of the path only, and of
 * the others the last one, which stands behind both.
 */
#ifndef DYN_COLLECTOR_LOGPLEX_H
#define DYN_COLLECTOR_LOGPLEX_H

#include "collector/tally.h"

/**
 * Add a whole body to the tally (tally_begin() before). `out_frames`: how many frames it had.
 * DYN_BADMSG: it is not framed as it must be; the tally then holds what stood in front of that and
 * is of no use.
 */
DYN_NODISCARD dyn_err logplex_read(struct tally *tally, struct dyn_str body, uint64_t *out_frames);

/** 2012-07-22T00:06:26.123456+02:00 as Unix time, the fraction cut off. DYN_BADMSG. */
DYN_NODISCARD dyn_err logplex_time(struct dyn_str text, int64_t *out_wall_s);

#endif
