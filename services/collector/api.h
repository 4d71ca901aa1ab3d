/*
 * api: what a source needs that asks an HTTP API: one request at a time, its answer judged, the
 * server's own words for a refusal, without secrets, and the wait that a server asks for.
 *
 * A source keeps one struct api in its state. For each api_send() `answered` comes at most once,
 * with a whole answer of any status; what ends without one (refused, timed out, too big) is told to
 * the host here, and so is whatever api_read(), api_refuse() and api_waiting() turn down. A source
 * then has nothing left to say for that reading.
 *
 * Ownership: secrets and headers are the source's and must outlive the api.
 * Threads:   the loop thread only.
 */
#ifndef DYN_COLLECTOR_API_H
#define DYN_COLLECTOR_API_H

#include "collector/source.h"
#include "common/json.h"

#define API_NAME_MAX 80     /* bytes of the host in a reason; cut */
#define API_WORDS_MAX 300   /* bytes of the server's words; cut, and again to DYN_REASON_MAX */
#define API_SECRETS_MAX 4   /* more is our mistake; headers are counted apart */
#define API_WAIT_MIN_S 30   /* a server that says "too many" and not for how long; doubled */
#define API_WAIT_MAX_S 900  /* each time up to this */
#define API_TOLD_MAX_S 3600 /* a server that asks for longer is asked again after this */

struct api_exchange;

/* Header lines of a request, "Name: value"; wiped when freed. */
struct api_headers {
    char **lines;
    size_t count;
};

struct api {
    struct source_host *host;
    struct api_exchange *exchange; /* NULL: none is under way */
    struct dyn_str secrets[API_SECRETS_MAX];
    size_t secrets_count;
    const struct api_headers *headers; /* whose values are secrets too; NULL: none */
    int64_t wait_until_ms;             /* of the loop; 0: none */
    int64_t error_wait_ms; /* above 0: a 5xx slows the polling too, by this and then doubled */
    unsigned refusals;     /* in a row, of those that slow the polling */
    char name[API_NAME_MAX + 1];
    char wait_why[DYN_REASON_MAX + 1];
};

struct api_answer {
    long status;
    json_t *json;           /* NULL: not JSON */
    const char *json_error; /* then why, without bytes of it */
    struct dyn_str body;
    const struct http_answer *http; /* for http_header() */
};

struct api_request {
    const char *method;
    const char *url;
    const char *const *headers;
    size_t headers_count;
    struct dyn_str body; /* ptr NULL: none */
    int64_t timeout_ms;
    bool allow_http;
    /** `answer` and all in it live during the call. Another api_send() may follow from inside. */
    void (*answered)(void *arg, struct api *api, const struct api_answer *answer);
    void *arg;
};

/** `url` says what the reasons call it: its host, nothing else of it. */
void api_init(struct api *api, struct source_host *host, struct dyn_str url);
/** Call it by the host of this URL from now on. */
void api_name(struct api *api, struct dyn_str url);
/** Words of the server that hold this, or a good part of it, are shown without. */
void api_hide(struct api *api, struct dyn_str secret);

/** True: the server asked not to be asked now; the host has been told. */
bool api_waiting(struct api *api, int64_t now_ms);
void api_send(struct api *api, const struct api_request *request);
void api_cancel(struct api *api); /* idempotent */

/** Whether it is 200 with JSON; if not, the host has been told, as by api_refuse(). */
bool api_read(struct api *api, const struct api_answer *answer);
/** Tell the host: the status and the server's words. 429, and 503 with Retry-After, are waited for.
 */
void api_refuse(struct api *api, const struct api_answer *answer);
/** Ask no more for so long; why, in words for people. */
void api_wait(struct api *api, int64_t wait_ms, const char *why);
/** The same, for error_wait_ms or API_WAIT_MIN_S, twice as long each time in a row. */
void api_wait_longer(struct api *api, const char *why);
/** Tell the host a number; the server is well again. */
void api_good(struct api *api, double value);
/** Tell the host why there is none, in words of ours. */
void api_fail(struct api *api, const char *format, ...) DYN_PRINTF(2, 3);

/** Text of the server for people: printable, in one line, secrets hidden, cut. */
void api_words(const struct api *api, struct dyn_str text, char out[static API_WORDS_MAX + 1]);
/** What an answer says of itself: the error of its JSON, or its text. "" when it says nothing. */
void api_answer_words(const struct api *api, const struct api_answer *answer,
                      char out[static API_WORDS_MAX + 1]);

/** What the option `headers` of an input says; all of it is hidden from the words. On failure what
 *  was there stays. */
DYN_NODISCARD dyn_err api_headers_resolve(struct api_headers *headers, struct api *api,
                                          const struct config_value *option,
                                          struct dyn_error *error);
DYN_NODISCARD dyn_err api_headers_add(struct api_headers *headers, const char *name,
                                      struct dyn_str value);
void api_headers_fini(struct api_headers *headers);

/** As api_secret_resolve(), and nothing is hidden. */
DYN_NODISCARD dyn_err api_text_resolve(const struct config_value *option, struct dyn_buf *out,
                                       struct dyn_error *error);
/** A secret of an input's options, in `out`, which is wiped by the caller; it is hidden from the
 *  words. Line ends at its end are dropped: they come from files. DYN_BADMSG: it is empty. */
DYN_NODISCARD dyn_err api_secret_resolve(struct api *api, const struct config_value *option,
                                         struct dyn_buf *out, struct dyn_error *error);

/** Append the base of an API: what the option says if it is given, without / at its end. */
void api_base(struct dyn_buf *out, const struct config_value *option, const char *otherwise);

/** Append percent-encoded: all but letters, digits, - . _ ~. */
void api_encode(struct dyn_buf *out, struct dyn_str text);

#endif
