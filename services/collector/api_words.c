/* The words of a server for people: what it says is wrong, in one line and without secrets. */
#include "collector/api.h"

#include "common/redact.h"

void api_hide(struct api *api, struct dyn_str secret)
{
    DYN_ASSERT(api->secrets_count < API_SECRETS_MAX);
    if (secret.len > 0) {
        api->secrets[api->secrets_count++] = secret;
    }
}

void api_words(const struct api *api, struct dyn_str text, char out[static API_WORDS_MAX + 1])
{
    struct dyn_str secrets[API_SECRETS_MAX + DYN_HTTP_REQUEST_HEADERS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < api->secrets_count; i++) {
        secrets[count++] = api->secrets[i];
    }
    for (size_t i = 0; api->headers != NULL && i < api->headers->count; i++) {
        secrets[count++] = dyn_str_from(strchr(api->headers->lines[i], ':') + 2);
    }
    redact(out, API_WORDS_MAX + 1, text, secrets, count);
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
    char raw[REDACT_TEXT_MAX];
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
