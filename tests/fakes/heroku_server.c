#include "heroku_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CONNECTIONS_MAX 4096

bool upload_take(struct upload *upload, const char *data, size_t *size)
{
    if (*size == 0) {
        return true;
    }
    char *text = NULL;
    if (upload->size + *size < BODY_MAX) {
        text = realloc(upload->text, upload->size + *size + 1);
    }
    if (text == NULL) {
        upload->too_large = true;
    } else {
        memcpy(text + upload->size, data, *size);
        upload->text = text;
        upload->size += *size;
        upload->text[upload->size] = '\0';
    }
    *size = 0;
    return false;
}

void upload_done(void *cls, struct MHD_Connection *connection, void **state,
                 enum MHD_RequestTerminationCode code)
{
    (void)cls;
    (void)connection;
    (void)code;
    struct upload *upload = *state;
    if (upload != NULL) {
        free(upload->text);
        free(upload);
    }
    *state = NULL;
}

void fake_pause(struct fake *fake, int64_t ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&fake->lock);
    int result = 0;
    while (!fake->stopping && result != ETIMEDOUT) {
        result = pthread_cond_timedwait(&fake->stop, &fake->lock, &until);
    }
    pthread_mutex_unlock(&fake->lock);
}

struct MHD_Daemon *server_start(uint16_t port, MHD_AccessHandlerCallback handler, struct fake *fake)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return MHD_start_daemon(
        MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL, port, NULL,
        NULL, handler, fake, MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&address,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX, MHD_OPTION_NOTIFY_COMPLETED,
        upload_done, NULL, MHD_OPTION_END);
}

uint16_t server_port(struct MHD_Daemon *daemon)
{
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT);
    return info != NULL ? info->port : 0;
}
