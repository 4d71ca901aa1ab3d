/*
 * Cronut, a dead man's switch: a ping is the time and the job's name, encrypted for it alone, so
 * that each is made anew, also when it is tried again: one older than 30 s is no ping.
 */
#include "reporter/sinks/post.h"

#include "common/clock.h"
#include "common/rsa.h"

#include <inttypes.h>

enum {
    BODY_MAX = 3 * DYN_RSA_BYTES_MAX + 32
};

extern const struct sink_ops sink_cronut;

struct cronut {
    struct post post;
    const char *job;
    struct dyn_rsa_key *key;
    struct dyn_buf url;
    struct dyn_buf body;
};

static void cronut_fini(void *state)
{
    struct cronut *cronut = state;
    post_fini(&cronut->post);
    dyn_rsa_key_free(cronut->key);
    cronut->key = NULL;
    dyn_buf_fini(&cronut->url);
    dyn_buf_fini(&cronut->body);
}

/* It is no secret that must be hidden from words, and has lines. */
static dyn_err key_take(struct cronut *cronut, struct dyn_error *error)
{
    const struct config_value *option =
        config_option(&sink_config(cronut->post.host)->options, "public_key");
    struct dyn_error reason = {""};
    struct dyn_buf pem;
    dyn_buf_init(&pem, DYN_SECRET_MAX);
    dyn_err err = config_secret_resolve(&option->as.secret, &pem, error);
    if (err == DYN_OK && dyn_rsa_key_from_pem(dyn_buf_str(&pem), &cronut->key, &reason) != DYN_OK) {
        err = dyn_error_set(error, DYN_CONFIG, "`public_key`: %s", reason.text);
    }
    dyn_buf_wipe(&pem);
    return err;
}

static dyn_err cronut_init(void *state, struct sink_host *host, struct dyn_error *error)
{
    struct cronut *cronut = state;
    const char *token = NULL;
    post_init(&cronut->post, host);
    dyn_buf_init(&cronut->url, DYN_HTTP_URL_MAX);
    dyn_buf_init(&cronut->body, BODY_MAX);
    dyn_err err = post_host(&cronut->post, "host", &cronut->url, error);
    if (err == DYN_OK) {
        err = dyn_buf_add_str(&cronut->url, DYN_STR("/ping/"));
    }
    if (err == DYN_OK) {
        err = post_secret(&cronut->post, "cronut_token", &cronut->job, error);
    }
    if (err == DYN_OK) {
        err = post_secret(&cronut->post, "api_token", &token, error);
    }
    if (err == DYN_OK) {
        err = post_header(&cronut->post, "X-CRONUT-API-TOKEN", token);
    }
    if (err == DYN_OK) {
        err = key_take(cronut, error);
    }
    if (err != DYN_OK) {
        cronut_fini(cronut);
    }
    return err;
}

/* The raw bytes of the cipher text, as a form has them. */
static dyn_err body_make(struct cronut *cronut)
{
    struct dyn_buf plain;
    struct dyn_buf cipher;
    dyn_buf_init(&plain, DYN_SECRET_MAX + 32);
    dyn_buf_init(&cipher, DYN_RSA_BYTES_MAX);
    (void)dyn_buf_addf(&plain, "%" PRId64 "-%s", dyn_clock_wall_ms() / 1000, cronut->job);
    dyn_err err = dyn_buf_result(&plain);
    if (err == DYN_OK) {
        err = dyn_rsa_encrypt(cronut->key, dyn_buf_str(&plain), &cipher);
    }
    dyn_buf_clear(&cronut->body);
    if (err == DYN_OK) {
        post_form_add(&cronut->body, "public_id", dyn_buf_str(&cipher));
        err = dyn_buf_result(&cronut->body);
    }
    dyn_buf_wipe(&plain);
    dyn_buf_fini(&cipher);
    return err;
}

/* It says 404 to all that it cannot read, and its page does not say why. */
static void cronut_answered(void *arg, struct post *post, const struct post_answer *answer)
{
    char words[POST_WORDS_MAX + 1];
    (void)arg;
    if (post_is_good(answer)) {
        post_taken(post);
    } else if (answer->status == 404) {
        post_answer_words(post, answer, words);
        post_failed(post, DYN_REFUSED,
                    "answered with status 404 (another key, a job that it does not know, or clocks "
                    "more than 30 s apart): %s",
                    words);
    } else {
        post_refused(post, answer);
    }
}

static void cronut_deliver(void *state, struct sink_host *host,
                           const struct sink_delivery *delivery)
{
    static const char *const headers[] = {"Content-Type: application/x-www-form-urlencoded"};
    struct cronut *cronut = state;
    (void)host;
    (void)delivery;
    dyn_err err = body_make(cronut);
    if (err != DYN_OK) {
        post_failed(&cronut->post, err, "the ping cannot be encrypted: %s", dyn_err_text(err));
        return;
    }
    post_send(&cronut->post, &(struct post_request){.url = dyn_buf_text(&cronut->url),
                                                    .headers = headers,
                                                    .headers_count = 1,
                                                    .body = dyn_buf_str(&cronut->body),
                                                    .answered = cronut_answered});
}

static void cronut_cancel(void *state)
{
    struct cronut *cronut = state;
    post_cancel(&cronut->post);
}

const struct sink_ops sink_cronut = {
    .kind = CONFIG_SUCCESS,
    .name = "cronut",
    .state_size = sizeof(struct cronut),
    .init = cronut_init,
    .deliver = cronut_deliver,
    .cancel = cronut_cancel,
    .fini = cronut_fini,
};
