/*
 * support_tls_server: a server whose TLS nobody can trust: its certificate is signed by itself, or
 * it speaks none at all. It answers no request.
 *
 * A thread of the test's own process, which lives as long as that.
 */
#ifndef DYN_TESTS_SUPPORT_TLS_SERVER_H
#define DYN_TESTS_SUPPORT_TLS_SERVER_H

#include <stdbool.h>

/** The port of 127.0.0.1 where it listens. */
int tls_server_start(bool speaks_tls);

#endif
