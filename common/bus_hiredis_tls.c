#include "common/bus_internal.h"

struct bus_tls *bus_tls_new(const struct bus_access *access, struct dyn_error *error)
{
    (void)access;
    (void)dyn_error_set(error, DYN_UNSUPPORTED,
                        "rediss:// needs TLS, which this build does not have: build where hiredis "
                        "has it (libhiredis-dev 1.0 or later, Debian 13), or put a TLS tunnel "
                        "(stunnel) before Redis and use redis://");
    return NULL;
}

void bus_tls_free(struct bus_tls *tls)
{
    (void)tls;
}
