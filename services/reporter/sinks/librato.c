/*
 * Librato's gauges, and the measurements of its successor: one post an interval, or as few as the
 * batch needs. One number that is refused is left out, then and later, and costs the others
 * nothing.
 */
#include "common/clock.h"
#include "common/log.h"
#include "reporter/sinks/post.h"

#include <ctype.h>
#include <inttypes.h>
#include <math.h>

enum {
    CHUNK_MAX = 300, /* measurements a post */
    NAME_MAX_BYTES = 255,
    NUMBERS_MAX = 131072,        /* of a batch; more are left out, and that is said */
    TEXT_MAX = 16 * 1024 * 1024, /* their names */
    BODY_MAX = 512 * 1024,
    REFUSED_MAX = 64, /* names that the server does not want; the first stay */
    REFUSED_A_BATCH = 8
};
#define WHOLE_MAX 9007199254740992.0 /* 2^53: as far as a double counts */
#define VALUE_MAX 1e126              /* more aborts the whole post */

extern const struct sink_ops sink_librato;
extern const struct sink_ops sink_appoptics;

struct number {
    size_t name; /* in `text` */
    double value;
    int64_t at_ms;
};

struct librato {
    struct post post;
    const char *user;
    const char *password;
    bool tagged; /* measurements, not gauges */
    struct dyn_buf url;
    struct dyn_buf body;
    struct dyn_buf text;
    struct number *numbers;
    size_t count;
    size_t room;
    size_t at;   /* so many are dealt with */
    size_t size; /* of the next post, at most */
    size_t sent; /* of the post under way */
    size_t accepted;
    size_t refused; /* of this batch */
    uint64_t lost;
    uint64_t unwanted[REFUSED_MAX]; /* hashes of names */
    size_t unwanted_count;
    char words[POST_WORDS_MAX + 1]; /* of the last refusal */
};

/* ---- life ---- */

static void librato_fini(void *state)
{
    struct librato *librato = state;
    post_fini(&librato->post);
    dyn_buf_fini(&librato->url);
    dyn_buf_fini(&librato->body);
    dyn_buf_fini(&librato->text);
    free(librato->numbers);
    librato->numbers = NULL;
}

static dyn_err common_init(struct librato *librato, struct sink_host *host, const char *base,
                           struct dyn_error *error)
{
    post_init(&librato->post, host);
    dyn_buf_init(&librato->url, DYN_HTTP_URL_MAX);
    dyn_buf_init(&librato->body, BODY_MAX);
    dyn_buf_init(&librato->text, TEXT_MAX);
    dyn_err err = post_base(&librato->post, base, &librato->url, error);
    if (err == DYN_OK) {
        err = dyn_buf_addf(&librato->url, "/v1/%s", librato->tagged ? "measurements" : "metrics");
    }
    return err;
}

static dyn_err librato_init(void *state, struct sink_host *host, struct dyn_error *error)
{
    struct librato *librato = state;
    const struct config_options *options = &sink_config(host)->options;
    librato->tagged = strcmp(config_option(options, "api")->as.s, "measurements") == 0;
    librato->user = config_option(options, "api_email")->as.s;
    dyn_err err = common_init(librato, host, "https://metrics-api.librato.com", error);
    if (err == DYN_OK) {
        err = post_secret(&librato->post, "api_key", &librato->password, error);
    }
    if (err != DYN_OK) {
        librato_fini(librato);
    }
    return err;
}

static dyn_err appoptics_init(void *state, struct sink_host *host, struct dyn_error *error)
{
    struct librato *librato = state;
    librato->tagged = true;
    librato->password = "";
    dyn_err err = common_init(librato, host, "https://api.appoptics.com", error);
    if (err == DYN_OK) {
        err = post_secret(&librato->post, "api_key", &librato->user, error);
    }
    if (err != DYN_OK) {
        librato_fini(librato);
    }
    return err;
}

/* ---- gathering ---- */

static bool number_room(struct librato *librato)
{
    if (librato->count < librato->room) {
        return true;
    }
    size_t room = librato->room == 0 ? 512 : librato->room * 2;
    struct number *grown =
        room <= NUMBERS_MAX ? realloc(librato->numbers, room * sizeof *grown) : NULL;
    if (grown == NULL) {
        return false;
    }
    librato->numbers = grown;
    librato->room = room;
    return true;
}

/* A run of what a name may not have becomes a dash: one bad name refuses the whole post. */
static void name_clean(const char *name, char out[static NAME_MAX_BYTES + 1])
{
    size_t len = 0;
    bool run = false;
    for (; *name != '\0' && len < NAME_MAX_BYTES; name++) {
        unsigned char c = (unsigned char)*name;
        bool legal = c < 0x80 && (isalnum(c) || strchr(".:_-", c) != NULL);
        if (legal || !run) {
            out[len++] = (char)(legal ? c : '-');
        }
        run = !legal;
    }
    out[len] = '\0';
}

static bool name_is_unwanted(const struct librato *librato, uint64_t hash)
{
    for (size_t i = 0; i < librato->unwanted_count; i++) {
        if (librato->unwanted[i] == hash) {
            return true;
        }
    }
    return false;
}

static void number_add(struct librato *librato, const struct sink_stat *stat)
{
    char name[NAME_MAX_BYTES + 1];
    size_t at = librato->text.len;
    name_clean(stat->name, name);
    if (!isfinite(stat->value) ||
        name_is_unwanted(librato, dyn_hash(DYN_HASH_SEED, dyn_str_from(name)))) {
        return;
    }
    if (fabs(stat->value) > VALUE_MAX || !number_room(librato) ||
        dyn_buf_add(&librato->text, name, strlen(name) + 1) != DYN_OK) {
        librato->lost++;
        return;
    }
    librato->numbers[librato->count++] =
        (struct number){.name = at, .value = stat->value, .at_ms = stat->at_ms};
}

static void batch_begin(struct librato *librato)
{
    dyn_buf_clear(&librato->text);
    librato->count = 0;
    librato->at = 0;
    librato->size = CHUNK_MAX;
    librato->accepted = 0;
    librato->refused = 0;
    librato->lost = 0;
}

static void librato_deliver(void *state, struct sink_host *host,
                            const struct sink_delivery *delivery)
{
    struct librato *librato = state;
    if (delivery->first) {
        batch_begin(librato);
    }
    for (size_t i = 0; i < delivery->stats_count; i++) {
        number_add(librato, &delivery->stats[i]);
    }
    sink_gather(host);
}

/* ---- sending ---- */

static json_t *value_json(double value)
{
    bool whole = value == trunc(value) && fabs(value) < WHOLE_MAX;
    return whole ? json_integer((json_int_t)value) : json_real(value);
}

static json_t *number_json(const struct librato *librato, const struct number *number)
{
    const char *name = librato->text.ptr + number->name;
    json_t *json =
        json_pack("{s:s, s:o, s:I}", "name", name, "value", value_json(number->value),
                  librato->tagged ? "time" : "measure_time", (json_int_t)(number->at_ms / 1000));
    /* Every measurement needs a tag: dynosaur.APP.... says which app. */
    const char *app = strchr(name, '.');
    if (librato->tagged && app != NULL) {
        json_object_set_new(json, "tags",
                            json_pack("{s:s%}", "app", app + 1, strcspn(app + 1, ".")));
    }
    return json;
}

static void body_make(struct librato *librato)
{
    size_t left = librato->count - librato->at;
    json_t *list = json_array();
    librato->sent = left < librato->size ? left : librato->size;
    for (size_t i = 0; i < librato->sent; i++) {
        json_array_append_new(list, number_json(librato, &librato->numbers[librato->at + i]));
    }
    dyn_buf_clear(&librato->body);
    post_dump(&librato->body,
              json_pack("{s:o}", librato->tagged ? "measurements" : "gauges", list));
}

static void librato_answered(void *arg, struct post *post, const struct post_answer *answer);

static void batch_end(struct librato *librato)
{
    librato->lost += librato->count - librato->at;
    if (librato->lost > 0) {
        dyn_log(DYN_LOG_WARN, "statistics_lost", "sink=%s count=%" PRIu64,
                sink_config(librato->post.host)->name, librato->lost);
    }
    if (librato->accepted == 0 && librato->refused > 0) {
        post_failed(&librato->post, DYN_REFUSED, "answered with status 400: %s", librato->words);
    } else {
        post_taken(&librato->post);
    }
}

static void batch_go(struct librato *librato)
{
    static const char *const headers[] = {"Content-Type: application/json"};
    if (librato->at == librato->count || librato->refused > REFUSED_A_BATCH) {
        batch_end(librato);
        return;
    }
    body_make(librato);
    dyn_err err = dyn_buf_result(&librato->body);
    if (err != DYN_OK) {
        post_failed(&librato->post, err, "%s", dyn_err_text(err));
        return;
    }
    post_send(&librato->post, &(struct post_request){.url = dyn_buf_text(&librato->url),
                                                     .headers = headers,
                                                     .headers_count = 1,
                                                     .user = librato->user,
                                                     .password = librato->password,
                                                     .body = dyn_buf_str(&librato->body),
                                                     .answered = librato_answered,
                                                     .arg = librato});
}

/* The one number of the post is not wanted: it is left out, and from now on, unless its time is
 * what is wrong with it. */
static void number_refuse(struct librato *librato, const struct post_answer *answer)
{
    bool of_time = dyn_json_at(answer->json, "/errors/params/measure_time", NULL) != NULL ||
                   dyn_json_at(answer->json, "/errors/params/time", NULL) != NULL;
    const char *name = librato->text.ptr + librato->numbers[librato->at].name;
    dyn_log(DYN_LOG_WARN, "statistic_refused", "sink=%s name=%s msg=%s",
            sink_config(librato->post.host)->name, name, dyn_log_quoted(librato->words));
    if (!of_time && librato->unwanted_count < REFUSED_MAX) {
        librato->unwanted[librato->unwanted_count++] = dyn_hash(DYN_HASH_SEED, dyn_str_from(name));
    }
    librato->refused++;
}

static void librato_answered(void *arg, struct post *post, const struct post_answer *answer)
{
    struct librato *librato = arg;
    post_answer_words(post, answer, librato->words);
    if (answer->status == 403 && strstr(librato->words, "API limit") != NULL) {
        post_slow_down(post, answer);
        post_failed(post, DYN_BUSY, "answered with status 403: %s", librato->words);
        return;
    }
    if (answer->status == 400 && librato->sent > 1) {
        librato->size = librato->sent / 2; /* which of them is it? */
        batch_go(librato);
        return;
    }
    if (!post_is_good(answer) && answer->status != 400) {
        post_refused(post, answer);
        return;
    }
    if (answer->status == 400) {
        number_refuse(librato, answer);
    } else {
        librato->accepted += librato->sent;
    }
    librato->at += librato->sent;
    librato->size = librato->size < CHUNK_MAX / 2 ? librato->size * 2 : CHUNK_MAX;
    batch_go(librato);
}

static void librato_flush(void *state, struct sink_host *host)
{
    struct librato *librato = state;
    sink_wait(host, config_option(&sink_config(host)->options, "interval")->as.i);
    batch_go(librato);
}

static void librato_cancel(void *state)
{
    struct librato *librato = state;
    post_cancel(&librato->post);
}

const struct sink_ops sink_librato = {
    .kind = CONFIG_STATS,
    .name = "librato",
    .state_size = sizeof(struct librato),
    .init = librato_init,
    .deliver = librato_deliver,
    .flush = librato_flush,
    .cancel = librato_cancel,
    .fini = librato_fini,
};

const struct sink_ops sink_appoptics = {
    .kind = CONFIG_STATS,
    .name = "appoptics",
    .state_size = sizeof(struct librato),
    .init = appoptics_init,
    .deliver = librato_deliver,
    .flush = librato_flush,
    .cancel = librato_cancel,
    .fini = librato_fini,
};
