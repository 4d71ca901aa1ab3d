/* The words of a server for people: what it says is wrong, in one line and without secrets. */
#include "collector/api.h"

#define RAW_MAX 1024 /* bytes of the server's text that are looked at */
#define HIDDEN "[hidden]"

void api_hide(struct api *api, struct dyn_str secret)
{
    DYN_ASSERT(api->secrets_count < API_SECRETS_MAX);
    if (secret.len > 0) {
        api->secrets[api->secrets_count++] = secret;
    }
}

/* How many bytes at the start of `text` also stand somewhere in `secret`; 0 when too few to tell.
 * A short secret counts as a whole only. */
static size_t secret_prefix(struct dyn_str text, struct dyn_str secret)
{
    if (secret.len == 0) {
        return 0;
    }
    size_t least = secret.len < API_SECRET_PART ? secret.len : API_SECRET_PART;
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

static size_t secrets_prefix(const struct api *api, struct dyn_str text)
{
    size_t longest = 0;
    for (size_t i = 0; i < api->secrets_count; i++) {
        size_t len = secret_prefix(text, api->secrets[i]);
        longest = len > longest ? len : longest;
    }
    for (size_t i = 0; api->headers != NULL && i < api->headers->count; i++) {
        const char *value = strchr(api->headers->lines[i], ':') + 2;
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
        if (c > 0x7f) {
            out[len++] = '?';
        } else if (!blank) {
            out[len++] = text.ptr[i];
        } else if (len > 0 && out[len - 1] != ' ') {
            out[len++] = ' ';
        }
    }
    return len;
}

void api_words(const struct api *api, struct dyn_str text, char out[static API_WORDS_MAX + 1])
{
    char clean[RAW_MAX];
    struct dyn_str rest = {clean, text_clean(text, clean, sizeof clean)};
    struct dyn_buf shown;
    dyn_buf_init(&shown, (size_t)RAW_MAX * sizeof HIDDEN);
    while (rest.len > 0 && shown.len <= API_WORDS_MAX) {
        size_t hidden = secrets_prefix(api, rest);
        if (hidden > 0) {
            (void)dyn_buf_add_str(&shown, DYN_STR(HIDDEN));
        } else {
            (void)dyn_buf_add(&shown, rest.ptr, 1);
            hidden = 1;
        }
        rest.ptr += hidden;
        rest.len -= hidden;
    }
    dyn_str_copy(out, API_WORDS_MAX + 1, dyn_str_trim(dyn_buf_str(&shown)));
    dyn_buf_fini(&shown);
    explicit_bzero(clean, sizeof clean);
}

static struct dyn_str text_at(json_t *json, const char *pointer)
{
    json_t *found = pointer != NULL ? dyn_json_at(json, pointer, NULL) : NULL;
    if (!json_is_string(found)) {
        return DYN_STR("");
    }
    return (struct dyn_str){json_string_value(found), json_string_length(found)};
}

void api_answer_words(const struct api *api, const struct api_answer *answer,
                      char out[static API_WORDS_MAX + 1])
{
    /* Where APIs say what is wrong: a short name, if it has a place, and a sentence. The first of
     * which all is there. */
    static const char *const places[][2] = {
        {"/errorType", "/error"},              /* Prometheus */
        {"/error", "/error_description"},      /* OAuth */
        {"/error/title", "/error/messages/0"}, /* New Relic */
        {NULL, "/error/title"},
        {"/error/status", "/error/message"}, /* Google */
        {NULL, "/error/message"},
        {NULL, "/errors/0/message"}, /* GraphQL */
        {NULL, "/error"},
        {NULL, "/message"},
    };
    char raw[RAW_MAX];
    out[0] = '\0';
    for (size_t i = 0; i < sizeof places / sizeof places[0] && answer->json != NULL; i++) {
        struct dyn_str name = text_at(answer->json, places[i][0]);
        struct dyn_str words = text_at(answer->json, places[i][1]);
        if (words.len == 0 || (places[i][0] != NULL && name.len == 0)) {
            continue;
        }
        (void)snprintf(raw, sizeof raw, DYN_STR_FMT "%s" DYN_STR_FMT, DYN_STR_ARG(name),
                       name.len > 0 ? ": " : "", DYN_STR_ARG(words));
        api_words(api, dyn_str_from(raw), out);
        explicit_bzero(raw, sizeof raw);
        return;
    }
    struct dyn_str text = dyn_str_trim(answer->body);
    if (answer->json == NULL && dyn_str_starts(text, "<")) {
        dyn_str_copy(out, API_WORDS_MAX + 1, DYN_STR("a page of HTML"));
    } else if (answer->json == NULL) {
        api_words(api, text, out);
    }
}
