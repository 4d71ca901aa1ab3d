/*
 * support_proxy: a fake-proxy process of one's own (fakes/README.md). What it refuses fails the
 * test.
 */
#ifndef DYN_TESTS_SUPPORT_PROXY_H
#define DYN_TESTS_SUPPORT_PROXY_H

struct support_proxy;

struct support_proxy *support_proxy_new(void);
void support_proxy_free(struct support_proxy *proxy); /* ends it; NULL is fine */

/** A new link to tcp:PORT or unix:PATH; the port of 127.0.0.1 that leads there. */
unsigned support_proxy_link(struct support_proxy *proxy, const char *name, const char *target);
/** One command, such as "delay NAME 2000"; what it answered behind "ok", until the next call. */
const char *support_proxy_say(struct support_proxy *proxy, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
