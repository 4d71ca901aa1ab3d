/* A StatsD agent: reads gauges from datagrams as the original does, and judges them. */
#include "metrics_fake.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define DATAGRAM_MAX 1432
#define READ_MAX 65536

struct statsd {
    struct fake *fake;
    int fd;
    pthread_t thread;
};

static json_t *member_of(json_t *state, const char *name, json_t *made)
{
    json_t *member = json_object_get(state, name);
    if (member == NULL) {
        json_object_set(state, name, made);
        member = made;
    }
    json_decref(made);
    return member;
}

/* A sign makes it a change of what is there. */
static void gauge_set(json_t *gauges, const char *name, const char *number)
{
    double value = strtod(number, NULL);
    if (number[0] == '-' || number[0] == '+') {
        value += json_number_value(json_object_get(gauges, name));
    }
    json_object_set_new(gauges, name, json_real(value));
}

static bool number_is_right(const char *number)
{
    number += number[0] == '-' ? 1 : 0;
    size_t whole = strspn(number, "0123456789");
    size_t rest = number[whole] == '.' ? 1 + strspn(number + whole + 1, "0123456789") : 0;
    return whole > 0 && rest != 1 && number[whole + rest] == '\0';
}

static void line_judge(const struct ask *ask, json_t *state, char *line)
{
    char *colon = strchr(line, ':');
    char *bar = colon != NULL ? strchr(colon, '|') : NULL;
    if (bar == NULL || strcmp(bar, "|g") != 0) {
        violation(ask, "bad_line", "%.100s", line);
        return;
    }
    *colon = '\0';
    *bar = '\0';
    for (const char *c = line; *c != '\0'; c++) {
        if (!isalnum((unsigned char)*c) && strchr("._-", *c) == NULL) {
            violation(ask, "bad_name", "%.100s", line);
            return;
        }
    }
    if (line[0] == '\0' || !number_is_right(colon + 1)) {
        violation(ask, "bad_number", "%.100s", colon + 1);
        return;
    }
    gauge_set(member_of(state, "gauges", json_object()), line, colon + 1);
}

static void datagram_take(struct fake *fake, char *bytes, size_t size)
{
    struct ask ask = {.fake = fake, .method = "UDP", .path = "/statsd"};
    json_t *state = vendor_state(&ask, "statsd");
    json_t *count = member_of(state, "datagrams", json_integer(0));
    json_integer_set(count, json_integer_value(count) + 1);
    if (size > DATAGRAM_MAX) {
        violation(&ask, "too_long", "%zu", size);
    }
    bytes[size] = '\0';
    if (strlen(bytes) != size) {
        violation(&ask, "bad_line", "a NUL");
    }
    for (char *rest = bytes, *line = strsep(&rest, "\n"); line != NULL;
         line = strsep(&rest, "\n")) {
        line_judge(&ask, state, line);
    }
}

static void *statsd_run(void *arg)
{
    struct statsd *statsd = arg;
    static char bytes[READ_MAX + 1];
    for (;;) {
        ssize_t got = recv(statsd->fd, bytes, READ_MAX, 0);
        if (got <= 0) {
            return NULL;
        }
        pthread_mutex_lock(&statsd->fake->lock);
        datagram_take(statsd->fake, bytes, (size_t)got);
        pthread_mutex_unlock(&statsd->fake->lock);
    }
}

struct statsd *statsd_start(struct fake *fake, uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct statsd *statsd = calloc(1, sizeof *statsd);
    const int room = 1 << 20; /* the kernel gives what it gives */
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (statsd == NULL) {
        return NULL;
    }
    statsd->fake = fake;
    statsd->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (statsd->fd < 0 || setsockopt(statsd->fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room) != 0 ||
        bind(statsd->fd, (const struct sockaddr *)&address, sizeof address) != 0 ||
        pthread_create(&statsd->thread, NULL, statsd_run, statsd) != 0) {
        close(statsd->fd);
        free(statsd);
        return NULL;
    }
    return statsd;
}

void statsd_stop(struct statsd *statsd)
{
    if (statsd != NULL) {
        shutdown(statsd->fd, SHUT_RDWR); /* ends recv(), though it says that it is not connected */
        pthread_join(statsd->thread, NULL);
        close(statsd->fd);
        free(statsd);
    }
}
