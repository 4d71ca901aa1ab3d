/*
 * support_name: a host name for the loopback, where there is one: a bare Debian has no /etc/hosts.
 */
#ifndef DYN_TESTS_SUPPORT_NAME_H
#define DYN_TESTS_SUPPORT_NAME_H

/** "localhost"; "127.0.0.1" where that cannot be resolved. */
const char *support_loopback(void);

#endif
