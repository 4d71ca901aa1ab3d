/*
 * heroku_server: the two HTTP servers, for the API and for control. One thread a connection, so
 * that a stalled answer delays only itself; one lock around the world.
 */
#ifndef TESTS_FAKES_HEROKU_SERVER_H
#define TESTS_FAKES_HEROKU_SERVER_H

#include "heroku_fault.h"
#include "heroku_record.h"
#include "heroku_world.h"

#include <microhttpd.h>
#include <pthread.h>

#define BODY_MAX ((size_t)4 * 1024 * 1024)

struct fake {
    pthread_mutex_t lock;
    pthread_cond_t stop;
    bool stopping;
    struct world world;
    struct record record;
    struct faults faults;
    uint64_t ids; /* request ids given */
};

/** A request's body as it comes in. */
struct upload {
    char *text;
    size_t size;
    bool too_large;
};

/** For MHD: takes what has come; true once the request is whole. */
bool upload_take(struct upload *upload, const char *data, size_t *size);
void upload_done(void *cls, struct MHD_Connection *connection, void **state,
                 enum MHD_RequestTerminationCode code);

/** Sleeps, but not beyond the end of the program. */
void fake_pause(struct fake *fake, int64_t ms);

/** On 127.0.0.1; port 0 is any free one. NULL when it cannot be had. */
struct MHD_Daemon *server_start(uint16_t port, MHD_AccessHandlerCallback handler,
                                struct fake *fake);
uint16_t server_port(struct MHD_Daemon *daemon);

enum MHD_Result api_serve(void *cls, struct MHD_Connection *connection, const char *url,
                          const char *method, const char *version, const char *data, size_t *size,
                          void **state);
enum MHD_Result control_serve(void *cls, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *data,
                              size_t *size, void **state);

#endif
