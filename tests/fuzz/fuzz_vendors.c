/* The first line is a credential, the rest what a metrics vendor answers: whatever comes, a number
 * that is given is finite, an error has words, and words for people show no run of the credential.
 */
#include "collector/api.h"
#include "collector/google.h"
#include "collector/new_relic.h"
#include "common/redact.h"

#include <math.h>

#define WALL_MS 1790000000000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(dyn_err err, double number, const struct dyn_error *error)
{
    if (err == DYN_OK) {
        DYN_ASSERT(isfinite(number));
    } else {
        DYN_ASSERT(number >= -1 && number <= -1); /* untouched */
        DYN_ASSERT(error->text[0] != '\0' || err == DYN_REFUSED);
    }
}

static void readers_run(json_t *root)
{
    struct dyn_error errors[4] = {{""}};
    double numbers[4] = {-1, -1, -1, -1};
    struct dyn_str token = {NULL, 0};
    int64_t lasts_s = 0;
    dyn_err err = google_report_read(root, &numbers[0], &errors[0]);
    check(err, numbers[0], &errors[0]);
    err = google_realtime_read(root, &numbers[1], &errors[1]);
    check(err, numbers[1], &errors[1]);
    err = new_relic_nrql_read(root, WALL_MS, &numbers[2], &errors[2]);
    check(err, numbers[2], &errors[2]);
    err = new_relic_metric_read(root, "HttpDispatcher", "call_count", WALL_MS, &numbers[3],
                                &errors[3]);
    check(err, numbers[3], &errors[3]);
    if (google_token_read(root, &token, &lasts_s, &errors[0]) == DYN_OK) {
        DYN_ASSERT(token.len > 0 && token.len <= GOOGLE_TOKEN_MAX && lasts_s >= 0);
    }
    DYN_ASSERT(google_quota_wait_ms(root) >= 0);
}

/* No run of the secret that is long enough to tell something. */
static void words_check(const char *words, struct dyn_str secret)
{
    size_t least = secret.len < REDACT_PART ? secret.len : REDACT_PART;
    DYN_ASSERT(strlen(words) <= API_WORDS_MAX);
    for (const char *c = words; *c != '\0'; c++) {
        DYN_ASSERT(*c >= ' ' && *c <= '~');
    }
    for (size_t i = 0; least > 0 && i + least <= secret.len; i++) {
        /* What stands in place of a secret may look like a part of it. */
        bool ours = memchr(secret.ptr + i, '[', least) != NULL ||
                    memchr(secret.ptr + i, ']', least) != NULL ||
                    memmem("[hidden]", 8, secret.ptr + i, least) != NULL;
        DYN_ASSERT(ours || memmem(words, strlen(words), secret.ptr + i, least) == NULL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dyn_str text = {(const char *)data, size};
    const char *line = size > 0 ? memchr(text.ptr, '\n', size) : NULL;
    struct dyn_str secret = {text.ptr, line != NULL ? (size_t)(line - text.ptr) : 0};
    struct api api = {.host = NULL};
    struct api_answer answer = {.status = 400};
    char words[API_WORDS_MAX + 1];
    if (line != NULL) {
        text = (struct dyn_str){line + 1, size - secret.len - 1};
    }
    if (secret.len > 256) {
        secret.len = 256;
    }
    api_hide(&api, secret);
    answer.body = text;
    answer.json = dyn_json_parse(text, NULL);
    api_answer_words(&api, &answer, words);
    words_check(words, secret);
    if (answer.json != NULL) {
        readers_run(answer.json);
        json_decref(answer.json);
    }
    return 0;
}
