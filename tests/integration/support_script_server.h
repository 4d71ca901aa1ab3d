/*
 * support_script_server: an HTTP server whose every path is a way to behave, mostly badly.
 *
 * Threads of the test's own process: one accepts, each connection has one. Counters may be read
 * at any time. It lives until the process ends.
 */
#ifndef DYN_TESTS_SUPPORT_SCRIPT_SERVER_H
#define DYN_TESTS_SUPPORT_SCRIPT_SERVER_H

#include <stdatomic.h>

struct script_server {
    int port;
    int listener;
    atomic_int connections; /* accepted so far */
    atomic_int requests;    /* heads read so far */
    atomic_llong sent;      /* bytes of the newest long body */
};

/**
 * Listen on a free port of 127.0.0.1. Paths: /ok /echo (the request as body) /chunked /cut
 * /cutchunk /huge (50 MiB, chunked) /slow (a byte of a header now and then) /never /reset /drop
 * /redirect /garbage /headers (1,000) /longheader /interim (100 Continue without end) /nobody
 * (204) /twice (a header twice) /trailer /once (answers, then closes without saying so).
 */
void script_server_start(struct script_server *server);

#endif
