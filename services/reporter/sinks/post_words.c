/* The words of a server for people: what it says is wrong, in one line and without secrets. */
#include "reporter/sinks/post.h"

#define RAW_MAX 1024 /* bytes of the server's text that are looked at */
#define HIDDEN "[hidden]"
#define DEPTH_MAX 5

/* How many bytes at the start of `text` also stand somewhere in `secret`; 0 when too few to tell.
 * A short secret counts as a whole only. */
static size_t secret_prefix(struct dyn_str text, struct dyn_str secret)
{
    if (secret.len == 0) {
        return 0;
    }
    size_t least = secret.len < POST_SECRET_PART ? secret.len : POST_SECRET_PART;
    size_t longest = 0;
    for (size_t from = 0; from + least <= secret.len; from++) {
        size_t same = 0;
        while (same < text.len && from + same < secret.len &&
               text.ptr[same] == secret.ptr[from + same]) {
            same++;
        }
        longest = same > longest ? same : longest;
    }
    return longest >= least ? longest : 0;
}

static size_t secrets_prefix(const struct post *post, struct dyn_str text)
{
    size_t longest = 0;
    for (size_t i = 0; i < post->secrets_count; i++) {
        struct dyn_str secret = dyn_buf_str(&post->secrets[i].text);
        size_t open = post->secrets[i].open;
        size_t len = secret_prefix(text, (struct dyn_str){secret.ptr + open, secret.len - open});
        longest = len > longest ? len : longest;
    }
    for (size_t i = 0; i < post->headers_count; i++) {
        const char *value = strchr(post->headers[i], ':') + 2;
        size_t len = secret_prefix(text, dyn_str_from(value));
        longest = len > longest ? len : longest;
    }
    return longest;
}

/* One line of ASCII: runs of white space and control characters become one blank. */
static size_t text_clean(struct dyn_str text, char *out, size_t size)
{
    size_t len = 0;
    for (size_t i = 0; i < text.len && len < size; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        bool blank = c <= ' ' || c == 0x7f;
        if (!blank) {
            out[len] = '?';
            if (c < 0x80) {
                out[len] = text.ptr[i];
            }
            len++;
        } else if (len > 0 && out[len - 1] != ' ') {
            out[len++] = ' ';
        }
    }
    return len;
}

void post_words(const struct post *post, struct dyn_str text, char out[static POST_WORDS_MAX + 1])
{
    char clean[RAW_MAX];
    struct dyn_str rest = {clean, text_clean(text, clean, sizeof clean)};
    struct dyn_buf shown;
    dyn_buf_init(&shown, (size_t)RAW_MAX * sizeof HIDDEN);
    while (rest.len > 0 && shown.len <= POST_WORDS_MAX) {
        size_t hidden = secrets_prefix(post, rest);
        if (hidden > 0) {
            (void)dyn_buf_add_str(&shown, DYN_STR(HIDDEN));
        } else {
            (void)dyn_buf_add(&shown, rest.ptr, 1);
            hidden = 1;
        }
        rest.ptr += hidden;
        rest.len -= hidden;
    }
    dyn_str_copy(out, POST_WORDS_MAX + 1, dyn_str_trim(dyn_buf_str(&shown)));
    dyn_buf_fini(&shown);
    explicit_bzero(clean, sizeof clean);
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
