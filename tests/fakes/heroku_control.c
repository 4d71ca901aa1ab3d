#include "heroku_server.h"
#include "heroku_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Which requests the caller has seen already. */
static json_int_t since_of(struct MHD_Connection *connection)
{
    const char *text = MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, "since");
    return text != NULL ? strtoll(text, NULL, 10) : 0;
}

static bool clock_move(struct fake *fake, const json_t *body, char error[WORDS_SIZE])
{
    const json_t *advance = json_object_get(body, "advance_ms");
    if (!json_is_integer(advance) || json_integer_value(advance) < 0) {
        word_copy(error, WORDS_SIZE, "advance_ms must be a whole number, 0 or more");
        return false;
    }
    fake->world.clock_skew_ms += json_integer_value(advance);
    return true;
}

static json_t *control_get(struct fake *fake, struct MHD_Connection *connection, const char *url)
{
    if (strcmp(url, "/requests") == 0) {
        return record_since(&fake->record, since_of(connection));
    }
    if (strcmp(url, "/state") == 0) {
        return state_dump(&fake->world);
    }
    if (strcmp(url, "/faults") == 0) {
        return faults_dump(&fake->faults);
    }
    if (strcmp(url, "/violations") == 0) {
        json_t *all = record_violations(&fake->record);
        json_t *copy = json_deep_copy(all);
        json_decref(all);
        return copy;
    }
    return NULL;
}

static bool control_post(struct fake *fake, const char *url, json_t *body, char error[WORDS_SIZE])
{
    if (strcmp(url, "/state") == 0) {
        return state_merge(&fake->world, body, error);
    }
    if (strcmp(url, "/faults") == 0) {
        return faults_add(&fake->faults, body, error);
    }
    if (strcmp(url, "/clock") == 0) {
        return clock_move(fake, body, error);
    }
    word_copy(error, WORDS_SIZE, "no such path");
    return false;
}

/* The document to answer with; NULL, and words in `error`, when it is refused. */
static json_t *control_run(struct fake *fake, struct MHD_Connection *connection, const char *method,
                           const char *url, const struct upload *upload, char error[WORDS_SIZE])
{
    if (strcmp(method, "GET") == 0) {
        word_copy(error, WORDS_SIZE, "no such path");
        return control_get(fake, connection, url);
    }
    if (strcmp(method, "DELETE") == 0 && strcmp(url, "/faults") == 0) {
        faults_clear(&fake->faults);
        return json_object();
    }
    json_error_t parse;
    json_t *body = json_loadb(upload->text != NULL ? upload->text : "", upload->size,
                              JSON_REJECT_DUPLICATES, &parse);
    if (body == NULL) {
        snprintf(error, WORDS_SIZE, "not JSON: %s", parse.text);
        return NULL;
    }
    bool good = strcmp(method, "POST") == 0 && control_post(fake, url, body, error);
    json_decref(body);
    return good ? json_object() : NULL;
}

enum MHD_Result control_serve(void *cls, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *data,
                              size_t *size, void **state)
{
    (void)version;
    struct fake *fake = cls;
    if (*state == NULL) {
        *state = calloc(1, sizeof(struct upload));
        return *state != NULL ? MHD_YES : MHD_NO;
    }
    if (!upload_take(*state, data, size)) {
        return MHD_YES;
    }
    char error[WORDS_SIZE] = "no such path or method";
    unsigned status = MHD_HTTP_OK;
    pthread_mutex_lock(&fake->lock);
    json_t *answer = control_run(fake, connection, method, url, *state, error);
    if (answer == NULL) {
        status = MHD_HTTP_BAD_REQUEST;
        answer = json_pack("{s:s}", "error", error);
    }
    char *text = json_dumps(answer, JSON_COMPACT);
    json_decref(answer);
    pthread_mutex_unlock(&fake->lock);
    if (text == NULL) {
        return MHD_NO;
    }
    struct MHD_Response *response =
        MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_FREE);
    MHD_add_response_header(response, "Content-Type", "application/json");
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}
