/*
 * fake-metrics: the APIs that inputs ask, in one server: each judges its requests as the real one
 * would, refuses what that would refuse, and keeps a list of it. See README.md.
 */
#include "metrics_fake.h"

#include <arpa/inet.h>
#include <getopt.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define BODY_MAX ((size_t)1024 * 1024)
#define REQUESTS_MAX 10000
#define CONNECTIONS_MAX 1024U

static vendor_fn *const vendors[] = {
    prometheus_serve, hirefire_serve, new_relic_serve, google_serve, papertrail_serve, sinks_serve,
};

struct upload {
    char *uri;
    char *text;
    size_t size;
};

/* ---- control ---- */

static void control_state(struct ask *ask, struct reply *reply)
{
    if (strcmp(ask->method, "POST") == 0) {
        json_t *more = json_loadb(ask->body, ask->body_size, JSON_REJECT_DUPLICATES, NULL);
        if (!json_is_object(more)) {
            json_decref(more);
            reply_json(reply, 400, json_pack("{s:s}", "error", "not a JSON object"));
            return;
        }
        json_object_update_recursive(ask->fake->state, more);
        json_decref(more);
    }
    reply_json(reply, 200, json_deep_copy(ask->fake->state));
}

static void control_answers(struct ask *ask, struct reply *reply)
{
    if (strcmp(ask->method, "POST") == 0) {
        json_t *more = json_loadb(ask->body, ask->body_size, JSON_REJECT_DUPLICATES, NULL);
        if (json_string_value(json_object_get(more, "path")) == NULL) {
            json_decref(more);
            reply_json(reply, 400, json_pack("{s:s}", "error", "expected an object with a path"));
            return;
        }
        json_array_append_new(ask->fake->answers, more);
    } else if (strcmp(ask->method, "DELETE") == 0) {
        json_array_clear(ask->fake->answers);
    }
    reply_json(reply, 200, json_deep_copy(ask->fake->answers));
}

static void control_clock(struct ask *ask, struct reply *reply)
{
    json_t *body = json_loadb(ask->body, ask->body_size, 0, NULL);
    ask->fake->advance_ms += json_integer_value(json_object_get(body, "advance_ms"));
    json_decref(body);
    reply_json(reply, 200, json_pack("{s:I}", "now_ms", (json_int_t)fake_now_ms(ask->fake)));
}

static bool control_serve(struct ask *ask, struct reply *reply)
{
    static const char prefix[] = "/control/";
    if (strncmp(ask->path, prefix, sizeof prefix - 1) != 0) {
        return false;
    }
    const char *what = ask->path + sizeof prefix - 1;
    if (strcmp(what, "state") == 0) {
        control_state(ask, reply);
    } else if (strcmp(what, "answers") == 0) {
        control_answers(ask, reply);
    } else if (strcmp(what, "clock") == 0) {
        control_clock(ask, reply);
    } else if (strcmp(what, "requests") == 0) {
        reply_json(reply, 200, json_deep_copy(ask->fake->requests));
    } else if (strcmp(what, "violations") == 0) {
        reply_json(reply, 200, json_deep_copy(ask->fake->violations));
    } else {
        reply_json(reply, 404, json_pack("{s:s}", "error", "no such page"));
    }
    return true;
}

/* ---- requests ---- */

static void request_note(struct ask *ask)
{
    json_t *requests = ask->fake->requests;
    ask->n = (json_int_t)json_array_size(requests) + 1;
    if (json_array_size(requests) < REQUESTS_MAX) {
        json_array_append_new(requests,
                              json_pack("{s:I, s:s, s:s, s:s}", "n", ask->n, "method", ask->method,
                                        "path", ask->path, "body", ask->body));
    }
    if (ask_header(ask, "User-Agent") == NULL) {
        violation(ask, "missing_user_agent", "none");
    }
    if (ask_header(ask, "Expect") != NULL) {
        violation(ask, "expect_header", "100-continue stalls some servers");
    }
}

/* What a test wants to be said instead; the change of state is none. */
static bool told_answer(struct ask *ask, struct reply *reply)
{
    json_t *answers = ask->fake->answers;
    for (size_t i = 0; i < json_array_size(answers); i++) {
        json_t *told = json_array_get(answers, i);
        const char *path = json_string_value(json_object_get(told, "path"));
        json_t *times = json_object_get(told, "times");
        json_t *after = json_object_get(told, "after");
        if (strncmp(ask->path, path, strlen(path)) != 0) {
            continue;
        }
        if (json_integer_value(after) > 0) {
            json_integer_set(after, json_integer_value(after) - 1);
            continue;
        }
        const char *text = json_string_value(json_object_get(told, "body"));
        json_int_t status = json_integer_value(json_object_get(told, "status"));
        reply_text(reply, status > 0 ? (unsigned)status : 200, "application/json",
                   text != NULL ? text : "");
        reply->headers = json_incref(json_object_get(told, "headers"));
        if (status >= 500) {
            google_note_error(ask);
        }
        if (times != NULL && json_integer_value(times) <= 1) {
            json_array_remove(answers, i);
        } else if (times != NULL) {
            json_integer_set(times, json_integer_value(times) - 1);
        }
        return true;
    }
    return false;
}

static void request_answer(struct ask *ask, struct reply *reply)
{
    if (control_serve(ask, reply)) {
        return;
    }
    request_note(ask);
    google_note_request(ask);
    if (told_answer(ask, reply)) {
        return;
    }
    for (size_t i = 0; i < sizeof vendors / sizeof vendors[0]; i++) {
        if (vendors[i](ask, reply)) {
            return;
        }
    }
    violation(ask, "unknown_path", "no API has it");
    reply_text(reply, 404, "text/html", "<html><body>404</body></html>");
}

static enum MHD_Result reply_send(struct MHD_Connection *connection, struct reply *reply)
{
    const char *name = NULL;
    json_t *value = NULL;
    size_t size = reply->text != NULL ? strlen(reply->text) : 0;
    struct MHD_Response *response =
        MHD_create_response_from_buffer(size, reply->text, MHD_RESPMEM_MUST_COPY);
    if (response == NULL) {
        return MHD_NO;
    }
    MHD_add_response_header(response, "Content-Type", reply->type);
    json_object_foreach(reply->headers, name, value)
    {
        MHD_add_response_header(response, name, json_string_value(value));
    }
    enum MHD_Result result = MHD_queue_response(connection, reply->status, response);
    MHD_destroy_response(response);
    return result;
}

static bool upload_take(struct upload *upload, const char *data, size_t *size)
{
    if (*size == 0) {
        return true;
    }
    char *text = NULL;
    if (upload->size + *size < BODY_MAX) {
        text = realloc(upload->text, upload->size + *size + 1);
    }
    if (text != NULL) {
        memcpy(text + upload->size, data, *size);
        upload->text = text;
        upload->size += *size;
        upload->text[upload->size] = '\0';
    }
    *size = 0;
    return false;
}

static enum MHD_Result serve(void *cls, struct MHD_Connection *connection, const char *url,
                             const char *method, const char *version, const char *data,
                             size_t *size, void **state)
{
    struct upload *upload = *state;
    (void)version;
    if (upload == NULL) {
        return MHD_NO;
    }
    /* The first call of a request has no body yet, whether or not one comes. */
    if (upload->text == NULL && *size == 0) {
        upload->text = strdup("");
        return MHD_YES;
    }
    if (!upload_take(upload, data, size)) {
        return MHD_YES;
    }
    struct fake *fake = cls;
    struct ask ask = {.fake = fake,
                      .connection = connection,
                      .method = method,
                      .path = url,
                      .uri = upload->uri,
                      .body = upload->text,
                      .body_size = upload->size};
    struct reply reply = {.status = 500};
    pthread_mutex_lock(&fake->lock);
    request_answer(&ask, &reply);
    pthread_mutex_unlock(&fake->lock);
    enum MHD_Result result = reply_send(connection, &reply);
    json_decref(reply.headers);
    free(reply.text);
    return result;
}

/* MHD asks this first for each request; what it returns is the request's state. */
static void *uri_keep(void *cls, const char *uri, struct MHD_Connection *connection)
{
    struct upload *upload = calloc(1, sizeof *upload);
    (void)cls;
    (void)connection;
    if (upload != NULL) {
        upload->uri = strdup(uri);
    }
    return upload;
}

static void request_done(void *cls, struct MHD_Connection *connection, void **state,
                         enum MHD_RequestTerminationCode code)
{
    struct upload *upload = *state;
    (void)cls;
    (void)connection;
    (void)code;
    if (upload != NULL) {
        free(upload->uri);
        free(upload->text);
        free(upload);
    }
    *state = NULL;
}

/* ---- life ---- */

struct settings {
    const char *listen; /* an IPv4 address */
    const char *state;
    const char *keys;
    uint16_t port;
};

static struct MHD_Daemon *server_start(const struct settings *settings, struct fake *fake)
{
    uint16_t port = settings->port;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    if (inet_pton(AF_INET, settings->listen, &address.sin_addr) != 1) {
        return NULL;
    }
    return MHD_start_daemon(
        MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL, port, NULL,
        NULL, serve, fake, MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&address,
        MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX, MHD_OPTION_URI_LOG_CALLBACK, uri_keep, NULL,
        MHD_OPTION_NOTIFY_COMPLETED, request_done, NULL, MHD_OPTION_END);
}

static int fake_run(struct fake *fake, const struct settings *settings, const sigset_t *signals)
{
    int number = 0;
    struct MHD_Daemon *daemon = server_start(settings, fake);
    if (daemon == NULL) {
        fprintf(stderr, "fake-metrics: cannot listen on %s\n", settings->listen);
        return EXIT_FAILURE;
    }
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT);
    struct statsd *statsd = info != NULL ? statsd_start(fake, info->port) : NULL;
    if (statsd == NULL) {
        fputs("fake-metrics: the UDP port of the same number is taken\n", stderr);
    }
    printf("fake-metrics port=%u\n", (unsigned)(info != NULL ? info->port : 0));
    fflush(stdout);
    sigwait(signals, &number);
    statsd_stop(statsd);
    MHD_stop_daemon(daemon);
    return EXIT_SUCCESS;
}

static void usage(FILE *out)
{
    fputs("usage: fake-metrics [--port N] [--listen ADDRESS] [--state FILE.json] [--keys FOLDER]\n"
          "                    [--die-with-parent]\n",
          out);
}

/* False: the exit status is there. */
static bool settings_read(int argc, char **argv, struct settings *out, int *out_status)
{
    static const struct option known[] = {
        {"port", required_argument, NULL, 'p'},
        {"listen", required_argument, NULL, 'l'},
        {"state", required_argument, NULL, 's'},
        {"keys", required_argument, NULL, 'k'},
        {"die-with-parent", no_argument, NULL, 'd'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    pid_t parent = getppid();
    int option = 0;
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (option == 'p') {
            out->port = (uint16_t)strtoul(optarg, NULL, 10);
        } else if (option == 'l') {
            out->listen = optarg;
        } else if (option == 's') {
            out->state = optarg;
        } else if (option == 'k') {
            out->keys = optarg;
        } else if (option == 'd') {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            if (getppid() != parent) {
                *out_status = EXIT_FAILURE;
                return false;
            }
        } else {
            usage(option == 'h' ? stdout : stderr);
            *out_status = option == 'h' ? EXIT_SUCCESS : 2;
            return false;
        }
    }
    return true;
}

static bool world_begin(struct fake *fake, const struct settings *settings)
{
    fake->state = settings->state != NULL
                      ? json_load_file(settings->state, JSON_REJECT_DUPLICATES, NULL)
                      : json_object();
    fake->requests = json_array();
    fake->violations = json_array();
    fake->answers = json_array();
    if (!json_is_object(fake->state)) {
        fprintf(stderr, "fake-metrics: %s holds no JSON object\n", settings->state);
        return false;
    }
    return settings->keys == NULL || keys_make(fake->state, settings->keys);
}

int main(int argc, char **argv)
{
    struct fake fake = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct settings settings = {.listen = "127.0.0.1"};
    sigset_t signals;
    int result = EXIT_FAILURE;
    if (!settings_read(argc, argv, &settings, &result)) {
        return result;
    }
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    if (world_begin(&fake, &settings)) {
        result = fake_run(&fake, &settings, &signals);
    }
    json_decref(fake.state);
    json_decref(fake.requests);
    json_decref(fake.violations);
    json_decref(fake.answers);
    return result;
}
