/* The words of a server for people: what it says is wrong, in one line and without secrets. */
#include "reporter/sinks/post.h"

#include "common/redact.h"

#define DEPTH_MAX 5

void post_words(const struct post *post, struct dyn_str text, char out[static POST_WORDS_MAX + 1])
{
    struct dyn_str secrets[POST_SECRETS_MAX + DYN_HTTP_REQUEST_HEADERS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < post->secrets_count; i++) {
        struct dyn_str secret = dyn_buf_str(&post->secrets[i].text);
        size_t open = post->secrets[i].open;
        secrets[count++] = (struct dyn_str){secret.ptr + open, secret.len - open};
    }
    for (size_t i = 0; i < post->headers_count; i++) {
        secrets[count++] = dyn_str_from(strchr(post->headers[i], ':') + 2);
    }
    redact(out, POST_WORDS_MAX + 1, text, secrets, count);
}

/* All text below, in order, with the names of what it stands under. */
static void texts_add(struct dyn_buf *out, json_t *json, const char *name, int depth)
{
    const char *key = NULL;
    json_t *child = NULL;
    if (json_is_string(json)) {
        (void)dyn_buf_addf(out, "%s%s%s%s", out->len > 0 ? "; " : "", name,
                           name[0] != '\0' ? ": " : "", json_string_value(json));
    }
    for (size_t i = 0; json_is_array(json) && depth > 0 && i < json_array_size(json); i++) {
        texts_add(out, json_array_get(json, i), name, depth - 1);
    }
    if (json_is_object(json) && depth > 0) {
        json_object_foreach(json, key, child)
        {
            texts_add(out, child, key, depth - 1);
        }
    }
}

void post_answer_words(const struct post *post, const struct post_answer *answer,
                       char out[static POST_WORDS_MAX + 1])
{
    static const char *const places[] = {"error", "errors", "message", "Message"};
    struct dyn_str text = dyn_str_trim(answer->body);
    struct dyn_buf raw;
    dyn_buf_init(&raw, POST_ANSWER_MAX + (size_t)1024);
    out[0] = '\0';
    /* The first that says something; a list of errors says more than the message that sums it up.
     */
    for (size_t i = 0; i < sizeof places / sizeof places[0] && raw.len == 0; i++) {
        texts_add(&raw, json_object_get(answer->json, places[i]), "", DEPTH_MAX);
    }
    if (raw.len == 0 && dyn_str_starts(text, "<") && !dyn_str_starts(text, "<Error")) {
        (void)dyn_buf_add_str(&raw, DYN_STR("a page of HTML"));
    } else if (raw.len == 0 && !json_is_object(answer->json) && !json_is_array(answer->json)) {
        (void)dyn_buf_add_str(&raw, text);
    }
    post_words(post, dyn_buf_str(&raw), out);
    dyn_buf_wipe(&raw);
}
