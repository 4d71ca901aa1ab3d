#include "common/bus_url.h"

#define REDIS_PORT 6379
#define DB_MAX 1023
#define SOCKET_PATH_MAX 107

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Percent-decoding into a fixed array; a NUL byte, a broken escape or too much is refused. */
static dyn_err decode(struct dyn_str text, char *out, size_t size)
{
    size_t used = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '%') {
            int high = i + 2 < text.len ? hex_digit(text.ptr[i + 1]) : -1;
            int low = i + 2 < text.len ? hex_digit(text.ptr[i + 2]) : -1;
            if (high < 0 || low < 0) {
                return DYN_BADMSG;
            }
            c = (char)(high * 16 + low);
            i += 2;
        }
        if (c == '\0' || used + 1 >= size) {
            return DYN_BADMSG;
        }
        out[used++] = c;
    }
    out[used] = '\0';
    return DYN_OK;
}

/* "user:password", both encoded. */
static dyn_err user_parse(struct dyn_str text, struct bus_url *out, struct dyn_error *error)
{
    const char *colon = text.len > 0 ? memchr(text.ptr, ':', text.len) : NULL;
    if (colon == NULL) {
        return dyn_error_set(error, DYN_CONFIG,
                             "the Redis URL has a user and no password: write "
                             "user:password@ (or :password@)");
    }
    size_t user_len = (size_t)(colon - text.ptr);
    struct dyn_str password = {colon + 1, text.len - user_len - 1};
    if (decode((struct dyn_str){text.ptr, user_len}, out->user, sizeof(out->user)) != DYN_OK ||
        decode(password, out->password, sizeof(out->password)) != DYN_OK ||
        out->password[0] == '\0') {
        return dyn_error_set(error, DYN_CONFIG,
                             "user or password in the Redis URL cannot be read: write special "
                             "characters as %%XX, at most %d and %d bytes",
                             BUS_URL_USER_MAX - 1, BUS_URL_PASSWORD_MAX - 1);
    }
    return DYN_OK;
}

static dyn_err number_parse(struct dyn_str text, const char *what, int64_t min, int64_t max,
                            int *out, struct dyn_error *error)
{
    int64_t number;
    if (dyn_str_i64(text, &number) != DYN_OK || number < min || number > max) {
        return dyn_error_set(error, DYN_CONFIG, "the Redis URL's %s is no number from %d to %d",
                             what, (int)min, (int)max);
    }
    *out = (int)number;
    return DYN_OK;
}

/* "/path[?db=n]" */
static dyn_err unix_parse(struct dyn_str text, struct bus_url *out, struct dyn_error *error)
{
    const char *query = text.len > 0 ? memchr(text.ptr, '?', text.len) : NULL;
    struct dyn_str path = {text.ptr, query != NULL ? (size_t)(query - text.ptr) : text.len};
    if (path.len < 2 || path.ptr[0] != '/' || path.len > SOCKET_PATH_MAX) {
        return dyn_error_set(error, DYN_CONFIG,
                             "the Redis URL needs an absolute path of at most %d bytes: "
                             "unix:///run/redis/redis.sock",
                             SOCKET_PATH_MAX);
    }
    out->is_unix = true;
    dyn_str_copy(out->host, sizeof(out->host), path);
    if (query == NULL) {
        return DYN_OK;
    }
    struct dyn_str db = {query, text.len - path.len};
    if (!dyn_str_starts(db, "?db=")) {
        return dyn_error_set(error, DYN_CONFIG, "behind the socket's path only ?db=n is known");
    }
    return number_parse((struct dyn_str){db.ptr + 4, db.len - 4}, "db", 0, DB_MAX, &out->db, error);
}

/* "host[:port]", "[::1][:port]": the host, and what is left behind it. */
static struct dyn_str host_split(struct dyn_str text, struct dyn_str *out_rest)
{
    struct dyn_str host = text;
    size_t skip = 0;
    const char *end;
    if (text.len > 0 && text.ptr[0] == '[') {
        end = memchr(text.ptr, ']', text.len);
        skip = 1;
    } else {
        end = text.len > 0 ? memchr(text.ptr, ':', text.len) : NULL;
    }
    if (end != NULL) {
        host = (struct dyn_str){text.ptr + skip, (size_t)(end - text.ptr) - skip};
        end += skip;
    } else {
        end = text.ptr + text.len;
    }
    *out_rest = (struct dyn_str){end, (size_t)(text.ptr + text.len - end)};
    return host;
}

dyn_err bus_node_parse(struct dyn_str text, int default_port, struct bus_node *out)
{
    struct dyn_str rest;
    struct dyn_str host = host_split(text, &rest);
    int64_t port = default_port;
    if (host.len == 0 || host.len >= sizeof(out->host) ||
        memchr(host.ptr, '\0', host.len) != NULL || memchr(host.ptr, '/', host.len) != NULL ||
        memchr(host.ptr, '@', host.len) != NULL) {
        return DYN_BADMSG;
    }
    if (rest.len > 0 &&
        (rest.ptr[0] != ':' ||
         dyn_str_i64((struct dyn_str){rest.ptr + 1, rest.len - 1}, &port) != DYN_OK || port < 1 ||
         port > 65535)) {
        return DYN_BADMSG;
    }
    dyn_str_copy(out->host, sizeof(out->host), host);
    out->port = (int)port;
    return DYN_OK;
}

/* "host[:port][/db]" */
static dyn_err tcp_parse(struct dyn_str text, struct bus_url *out, struct dyn_error *error)
{
    const char *slash = text.len > 0 ? memchr(text.ptr, '/', text.len) : NULL;
    struct dyn_str db = {"", 0};
    if (slash != NULL) {
        db = (struct dyn_str){slash + 1, text.len - (size_t)(slash - text.ptr) - 1};
        text.len = (size_t)(slash - text.ptr);
    }
    struct dyn_str port;
    struct dyn_str host = host_split(text, &port);
    if (host.len == 0 || host.len >= sizeof(out->host)) {
        return dyn_error_set(error, DYN_CONFIG, "the Redis URL has no usable host");
    }
    dyn_str_copy(out->host, sizeof(out->host), host);
    out->port = REDIS_PORT;
    dyn_err err = DYN_OK;
    if (port.len > 0) {
        err = number_parse((struct dyn_str){port.ptr + 1, port.len - 1}, "port", 1, 65535,
                           &out->port, error);
    }
    if (err == DYN_OK && db.len > 0) {
        err = number_parse(db, "db", 0, DB_MAX, &out->db, error);
    }
    return err;
}

static dyn_err parts_parse(struct dyn_str rest, bool is_unix, struct bus_url *out,
                           struct dyn_error *error)
{
    /* A password may hold an '@' that somebody forgot to encode: the last one counts. */
    const char *at = rest.len > 0 && rest.ptr[0] != '/' ? memrchr(rest.ptr, '@', rest.len) : NULL;
    if (at != NULL) {
        size_t user_len = (size_t)(at - rest.ptr);
        dyn_err err = user_parse((struct dyn_str){rest.ptr, user_len}, out, error);
        if (err != DYN_OK) {
            return err;
        }
        rest = (struct dyn_str){at + 1, rest.len - user_len - 1};
    }
    return is_unix ? unix_parse(rest, out, error) : tcp_parse(rest, out, error);
}

dyn_err bus_url_parse(const char *text, struct bus_url *out, struct dyn_error *error)
{
    static const char *const schemes[] = {"redis://", "rediss://", "unix://"};
    struct dyn_str all = dyn_str_from(text);
    size_t scheme = 0;
    while (scheme < 3 && !dyn_str_starts(all, schemes[scheme])) {
        scheme++;
    }
    if (scheme == 3) {
        return dyn_error_set(error, DYN_CONFIG,
                             "the Redis URL must begin with redis://, rediss:// or unix://");
    }
    size_t scheme_len = strlen(schemes[scheme]);
    bool is_unix = scheme == 2;
    struct bus_url url = {.tls = scheme == 1};
    dyn_err err = parts_parse((struct dyn_str){all.ptr + scheme_len, all.len - scheme_len}, is_unix,
                              &url, error);
    if (err == DYN_OK) {
        *out = url;
    }
    bus_url_fini(&url);
    return err;
}

void bus_url_fini(struct bus_url *url)
{
    explicit_bzero(url, sizeof(*url));
}
