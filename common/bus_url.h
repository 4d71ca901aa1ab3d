/*
 * bus_url: what a Redis URL says, and the address of a Sentinel. For the bus and the configuration.
 *
 * Ownership: the struct holds its own copies; bus_url_fini() wipes the password.
 */
#ifndef DYN_COMMON_BUS_URL_H
#define DYN_COMMON_BUS_URL_H

#include "common/str.h"

#define BUS_URL_HOST_MAX 256 /* a host name, or the path of a Unix socket (at most 107 bytes) */
#define BUS_URL_USER_MAX 256
#define BUS_URL_PASSWORD_MAX 1024

#define BUS_NODES_MAX 16 /* Sentinels; more are refused */
#define BUS_SENTINEL_PORT 26379

struct bus_url {
    bool is_unix;
    bool tls;
    char host[BUS_URL_HOST_MAX]; /* or the socket's path */
    int port;
    int db;
    char user[BUS_URL_USER_MAX];         /* "": the default user */
    char password[BUS_URL_PASSWORD_MAX]; /* "": no AUTH */
};

struct bus_node {
    char host[BUS_URL_HOST_MAX];
    int port;
};

/** redis://[user:password@]host[:port][/db], the same with rediss:// (TLS), or
 *  unix://[user:password@]/path[?db=n], user and password percent-encoded. The words of a refusal
 *  show neither. */
DYN_NODISCARD dyn_err bus_url_parse(const char *text, struct bus_url *out, struct dyn_error *error);
void bus_url_fini(struct bus_url *url);

/** host[:port] or [address][:port]; DYN_BADMSG. */
DYN_NODISCARD dyn_err bus_node_parse(struct dyn_str text, int default_port, struct bus_node *out);

#endif
