/*
 * support_script_server: a server of HTTP, and of Redis' protocol, whose every path is a way to
 * behave, mostly badly.
 *
 * Threads of the test's own process: one accepts, each connection has one. Counters may be read
 * at any time. It lives until the process ends.
 */
#ifndef DYN_TESTS_SUPPORT_SCRIPT_SERVER_H
#define DYN_TESTS_SUPPORT_SCRIPT_SERVER_H

#include <stdatomic.h>

#define SCRIPT_RULES_MAX 4

struct script_server {
    int port;
    int listener;
    atomic_int connections; /* accepted so far */
    atomic_int requests;    /* heads read so far */
    atomic_llong sent;      /* bytes of the newest long body */
    struct {
        const char *path; /* how the path begins */
        _Atomic(const char *) answer;
    } rules[SCRIPT_RULES_MAX];
};

/**
 * Listen on a free port of 127.0.0.1. Paths: /ok /echo (the request as body) /chunked /cut
 * /cutchunk /huge (50 MiB, chunked) /slow (a byte of a header now and then) /never /reset /drop
 * /redirect /garbage /headers (1,000) /longheader /interim (100 Continue without end) /nobody
 * (204) /twice (a header twice) /trailer /once (answers, then closes without saying so).
 * For clients of Redis, whose command is taken for the path ("PING"): /bulk (a string of 50 MiB)
 * /cutbulk /slowbulk.
 */
void script_server_start(struct script_server *server);

/**
 * What requests for other paths get, if they begin like this: the behaviour of one of the paths
 * above, or, where `answer` does not begin with /, these bytes. Both texts must live on. The first
 * rule that fits; the same path again replaces it, "" fits all.
 */
void script_server_say(struct script_server *server, const char *path, const char *answer);

#endif
