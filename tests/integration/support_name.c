#include "tests/integration/support_name.h"

#include <netdb.h>
#include <stddef.h>
#include <sys/socket.h>

const char *support_loopback(void)
{
    struct addrinfo wanted = {.ai_family = AF_INET};
    struct addrinfo *found = NULL;
    if (getaddrinfo("localhost", NULL, &wanted, &found) != 0) {
        return "127.0.0.1";
    }
    freeaddrinfo(found);
    return "localhost";
}
