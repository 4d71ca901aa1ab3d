#include "common/http_url.h"

#include "common/limits.h"

#include <arpa/inet.h>

static bool url_is_clean(struct dyn_str url)
{
    for (size_t i = 0; i < url.len; i++) {
        unsigned char byte = (unsigned char)url.ptr[i];
        if (byte <= ' ' || byte >= 0x7f || byte == '\\') {
            return false;
        }
    }
    return true;
}

/* Cut `rest` before the first of `stops` and return the front part. */
static struct dyn_str front_take(struct dyn_str *rest, const char *stops)
{
    size_t len = 0;
    while (len < rest->len && strchr(stops, rest->ptr[len]) == NULL) {
        len++;
    }
    struct dyn_str front = {rest->ptr, len};
    rest->ptr += len;
    rest->len -= len;
    return front;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_ipv6_char(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || c == ':' || c == '.';
}

static bool is_name_char(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' ||
           c == '-' || c == '_';
}

static bool chars_all(struct dyn_str s, bool (*allowed)(char c))
{
    for (size_t i = 0; i < s.len; i++) {
        if (!allowed(s.ptr[i])) {
            return false;
        }
    }
    return s.len > 0;
}

/* A literal IPv4 address of 127.0.0.0/8; names such as 127.example.org are not. */
static bool ipv4_is_loopback(struct dyn_str host)
{
    char text[INET_ADDRSTRLEN];
    struct in_addr address;
    if (host.len >= sizeof(text)) {
        return false;
    }
    dyn_str_copy(text, sizeof(text), host);
    return inet_pton(AF_INET, text, &address) == 1 && (ntohl(address.s_addr) >> 24) == 127;
}

static bool host_take(struct dyn_str *rest, bool *out_loopback)
{
    if (rest->len > 0 && rest->ptr[0] == '[') {
        struct dyn_str inside = {rest->ptr + 1, rest->len - 1};
        struct dyn_str host = front_take(&inside, "]");
        if (inside.len == 0 || !chars_all(host, is_ipv6_char)) {
            return false;
        }
        *out_loopback = dyn_str_is(host, "::1");
        *rest = (struct dyn_str){inside.ptr + 1, inside.len - 1};
        return true;
    }
    struct dyn_str host = front_take(rest, ":");
    *out_loopback = dyn_str_is(host, "localhost") || ipv4_is_loopback(host);
    return chars_all(host, is_name_char);
}

static bool port_is_valid(struct dyn_str rest)
{
    uint64_t port;
    if (rest.len == 0) {
        return true;
    }
    if (rest.ptr[0] != ':') {
        return false;
    }
    struct dyn_str digits = {rest.ptr + 1, rest.len - 1};
    return chars_all(digits, is_digit) && dyn_str_u64(digits, &port) == DYN_OK && port >= 1 &&
           port <= 65535;
}

/* Drop "user:password@" if there is one; a second '@' is left in place and refused as a host. */
static void userinfo_skip(struct dyn_str *authority)
{
    struct dyn_str rest = *authority;
    front_take(&rest, "@");
    if (rest.len > 0) {
        *authority = (struct dyn_str){rest.ptr + 1, rest.len - 1};
    }
}

dyn_err http_url_parse(struct dyn_str url, struct http_url *out)
{
    struct http_url parts = {0};
    struct dyn_str rest = url;
    if (url.len > DYN_HTTP_URL_MAX || !url_is_clean(url)) {
        return DYN_BADMSG;
    }
    if (dyn_str_starts(url, "https://")) {
        parts.https = true;
    } else if (!dyn_str_starts(url, "http://")) {
        return DYN_BADMSG;
    }
    size_t scheme_len = parts.https ? strlen("https://") : strlen("http://");
    rest.ptr += scheme_len;
    rest.len -= scheme_len;

    struct dyn_str authority = front_take(&rest, "/?#");
    userinfo_skip(&authority);
    parts.origin = authority;
    if (!host_take(&authority, &parts.loopback) || !port_is_valid(authority)) {
        return DYN_BADMSG;
    }
    parts.path = front_take(&rest, "?#");
    *out = parts;
    return DYN_OK;
}
