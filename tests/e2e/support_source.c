#include "support_source.h"

#include "common/clock.h"

#include <arpa/inet.h>
#include <check.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HANGING_MAX 256
#define REQUEST_MS 300

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    enum source_way way;
    double value;
} sources[SOURCES_MAX];

static struct source_served *served; /* behind the lock as well */
static size_t served_count, served_room;

static int hanging[HANGING_MAX]; /* connections that get no answer; the oldest is closed at last */
static size_t hanging_next;

static void text_send(int fd, const char *status, const char *body)
{
    char text[1024];
    int len = snprintf(text, sizeof text,
                       "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n"
                       "Connection: close\r\n\r\n%s",
                       status, strlen(body), body);
    (void)send(fd, text, (size_t)len, MSG_NOSIGNAL);
}

static void hang(int fd)
{
    size_t place = hanging_next++ % HANGING_MAX;
    if (hanging[place] > 0) {
        (void)close(hanging[place]);
    }
    hanging[place] = fd;
}

static void served_add(unsigned source, double value)
{
    (void)pthread_mutex_lock(&lock);
    if (served_count == served_room) {
        size_t room = served_room > 0 ? 2 * served_room : 1024;
        struct source_served *more = realloc(served, room * sizeof *more);
        if (more == NULL) {
            abort();
        }
        served = more;
        served_room = room;
    }
    served[served_count++] = (struct source_served){dyn_clock_wall_ms(), source, value};
    (void)pthread_mutex_unlock(&lock);
}

struct source_served *source_record(size_t *out_count)
{
    (void)pthread_mutex_lock(&lock);
    struct source_served *copy = calloc(served_count + 1, sizeof *copy);
    if (copy == NULL) {
        abort();
    }
    memcpy(copy, served, served_count * sizeof *copy);
    *out_count = served_count;
    (void)pthread_mutex_unlock(&lock);
    return copy;
}

/* One request a connection; whoever connects sends at once. */
static void connection_serve(int fd)
{
    char request[2048] = "";
    char body[128];
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    if (poll(&ready, 1, REQUEST_MS) != 1 || recv(fd, request, sizeof request - 1, 0) <= 0) {
        (void)close(fd);
        return;
    }
    unsigned source = 0;
    (void)sscanf(request, "GET /%u", &source);
    (void)pthread_mutex_lock(&lock);
    enum source_way way = sources[source % SOURCES_MAX].way;
    double value = sources[source % SOURCES_MAX].value;
    (void)pthread_mutex_unlock(&lock);
    (void)snprintf(body, sizeof body, "{\"value\": %g}", value);
    switch (way) {
    case SOURCE_GOOD:
        text_send(fd, "200 OK", body);
        served_add(source % SOURCES_MAX, value);
        break;
    case SOURCE_ERROR:
        text_send(fd, "500 Internal Server Error", "{\"value\": 1}");
        break;
    case SOURCE_GARBAGE:
        text_send(fd, "200 OK", "<html>1</html>");
        break;
    case SOURCE_ABSENT:
        text_send(fd, "200 OK", "{\"value\": null}");
        break;
    case SOURCE_HANG:
        hang(fd);
        return;
    case SOURCE_NOTHING:
    default:
        break;
    }
    (void)close(fd);
}

static void *server_run(void *arg)
{
    int listener = *(int *)arg;
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0) {
            connection_serve(fd);
        }
    }
    return NULL;
}

int source_server_start(void)
{
    static int listener;
    pthread_t thread;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(listener, 0);
    ck_assert_int_eq(bind(listener, (struct sockaddr *)&address, size), 0);
    ck_assert_int_eq(listen(listener, 64), 0);
    ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, server_run, &listener), 0);
    return ntohs(address.sin_port);
}

void source_say(unsigned source, enum source_way way, double value)
{
    ck_assert_uint_lt(source, SOURCES_MAX);
    (void)pthread_mutex_lock(&lock);
    sources[source].way = way;
    sources[source].value = value;
    (void)pthread_mutex_unlock(&lock);
}

/* Replaced in one step: a program that begins meanwhile reads the old one or the new one. */
void source_script(struct support_file *script, enum source_way way, double value)
{
    static const char *const scripts[] = {
        [SOURCE_GOOD] = "echo",         [SOURCE_ERROR] = "echo 1; exit 1 #",
        [SOURCE_GARBAGE] = "echo lots", [SOURCE_NOTHING] = "exit 0 #",
        [SOURCE_ABSENT] = "echo #",     [SOURCE_HANG] = "sleep 100 #",
    };
    char next[256];
    (void)snprintf(next, sizeof next, "%s.next", support_file_path(script));
    FILE *file = fopen(next, "we");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_gt(fprintf(file, "%s %g\n", scripts[way], value), 0);
    ck_assert_int_eq(fclose(file), 0);
    ck_assert_int_eq(rename(next, support_file_path(script)), 0);
}
