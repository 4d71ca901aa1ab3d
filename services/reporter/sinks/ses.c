/*
 * E-mail by Amazon SES. The first error is told at once; what comes within the interval after a
 * mail is one mail at its end, with counts, and says what is over again. Each receiver gets a mail
 * of his own: SES refuses a whole call for one address that it does not like.
 */
#include "reporter/sinks/mail.h"
#include "reporter/sinks/post.h"
#include "reporter/sinks/told.h"

#include "common/log.h"

enum {
    BODY_MAX = 512 * 1024,
    DIGEST_MAX = 1024 /* messages a mail */
};

extern const struct sink_ops sink_ses;

struct ses {
    struct post post;
    const char *key_id;
    const char *secret_key;
    bool query; /* the Query API, v1 */
    struct dyn_buf url;
    struct dyn_buf sigv4;
    struct dyn_buf body;
    struct mail mail;
    size_t at; /* the receiver whose turn it is */
    size_t accepted;
    char words[POST_WORDS_MAX + 1]; /* of the last refusal */
};

/* ---- life ---- */

static const struct config_value *option_of(const struct ses *ses, const char *key)
{
    return config_option(&sink_config(ses->post.host)->options, key);
}

static void ses_fini(void *state)
{
    struct ses *ses = state;
    post_fini(&ses->post);
    dyn_buf_fini(&ses->url);
    dyn_buf_fini(&ses->sigv4);
    dyn_buf_fini(&ses->body);
    mail_fini(&ses->mail);
}

static dyn_err address_check(const char *key, const char *address, struct dyn_error *error)
{
    const char *at = strchr(address, '@');
    if (at == NULL || at == address || at[1] == '\0' || strpbrk(address, "\r\n") != NULL) {
        return dyn_error_set(error, DYN_CONFIG, "`%s`: %.100s is no e-mail address", key, address);
    }
    return DYN_OK;
}

static dyn_err envelope_check(const struct ses *ses, struct dyn_error *error)
{
    const struct config_value *to = option_of(ses, "to");
    if (strpbrk(option_of(ses, "subject")->as.s, "\r\n") != NULL) {
        return dyn_error_set(error, DYN_CONFIG, "`subject` is more than one line");
    }
    dyn_err err = address_check("from", option_of(ses, "from")->as.s, error);
    if (err == DYN_OK && to->as.list.count == 0) {
        err = dyn_error_set(error, DYN_CONFIG, "`to` names nobody");
    }
    for (size_t i = 0; i < to->as.list.count && err == DYN_OK; i++) {
        err = address_check("to", to->as.list.items[i], error);
    }
    return err;
}

static dyn_err secrets_take(struct ses *ses, struct dyn_error *error)
{
    const char *token = NULL;
    dyn_err err = post_secret(&ses->post, "aws_access_key_id", &ses->key_id, error);
    if (err == DYN_OK) {
        err = post_secret(&ses->post, "aws_secret_access_key", &ses->secret_key, error);
    }
    if (err == DYN_OK) {
        err = post_secret(&ses->post, "aws_session_token", &token, error);
    }
    return err == DYN_OK && token != NULL ? post_header(&ses->post, "X-Amz-Security-Token", token)
                                          : err;
}

/* The name in the signature is ses, although the host's begins with email. */
static dyn_err place_make(struct ses *ses, struct dyn_error *error)
{
    char fallback[128];
    const char *region = option_of(ses, "region")->as.s;
    if (strspn(region, "abcdefghijklmnopqrstuvwxyz0123456789-") != strlen(region) ||
        strlen(region) > 32) {
        return dyn_error_set(error, DYN_CONFIG, "`region` is no AWS region; try us-east-1");
    }
    (void)snprintf(fallback, sizeof fallback, "https://email.%s.amazonaws.com", region);
    dyn_err err = post_base(&ses->post, fallback, &ses->url, error);
    if (err == DYN_OK) {
        err = dyn_buf_addf(&ses->url, "%s", ses->query ? "/" : "/v2/email/outbound-emails");
    }
    if (err == DYN_OK) {
        err = dyn_buf_addf(&ses->sigv4, "aws:amz:%s:ses", region);
    }
    return err;
}

static dyn_err ses_init(void *state, struct sink_host *host, struct dyn_error *error)
{
    struct ses *ses = state;
    post_init(&ses->post, host);
    ses->query = strcmp(option_of(ses, "api")->as.s, "v1") == 0;
    dyn_buf_init(&ses->url, DYN_HTTP_URL_MAX);
    dyn_buf_init(&ses->sigv4, 256);
    dyn_buf_init(&ses->body, BODY_MAX);
    mail_init(&ses->mail, option_of(ses, "subject")->as.s);
    dyn_err err = envelope_check(ses, error);
    if (err == DYN_OK) {
        err = secrets_take(ses, error);
    }
    if (err == DYN_OK) {
        err = place_make(ses, error);
    }
    if (err != DYN_OK) {
        ses_fini(ses);
    }
    return err;
}

/* ---- gathering ---- */

static void ses_deliver(void *state, struct sink_host *host, const struct sink_delivery *delivery)
{
    struct ses *ses = state;
    if (delivery->first) {
        mail_begin(&ses->mail);
        ses->at = 0;
        ses->accepted = 0;
    }
    if (told_is_wanted(host, delivery)) {
        mail_add(&ses->mail, delivery);
    }
    sink_gather(host);
}

/* ---- one mail ---- */

static void query_make(struct ses *ses, const char *to)
{
    const struct {
        const char *name;
        struct dyn_str value;
    } fields[] = {
        {"Action", DYN_STR("SendEmail")},
        {"Version", DYN_STR("2010-12-01")},
        {"Source", dyn_str_from(option_of(ses, "from")->as.s)},
        {"Destination.ToAddresses.member.1", dyn_str_from(to)},
        {"Message.Subject.Data", mail_subject(&ses->mail)},
        {"Message.Subject.Charset", DYN_STR("UTF-8")},
        {"Message.Body.Text.Data", mail_text(&ses->mail)},
        {"Message.Body.Text.Charset", DYN_STR("UTF-8")},
        {"Message.Body.Html.Data", mail_html(&ses->mail)},
        {"Message.Body.Html.Charset", DYN_STR("UTF-8")},
    };
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        post_form_add(&ses->body, fields[i].name, fields[i].value);
    }
}

static json_t *text_json(struct dyn_str text)
{
    return json_pack("{s:o, s:s}", "Data", post_text(text), "Charset", "UTF-8");
}

static void json_make(struct ses *ses, const char *to)
{
    post_dump(&ses->body,
              json_pack("{s:s, s:{s:[s]}, s:{s:{s:o, s:{s:o, s:o}}}}", "FromEmailAddress",
                        option_of(ses, "from")->as.s, "Destination", "ToAddresses", to, "Content",
                        "Simple", "Subject", text_json(mail_subject(&ses->mail)), "Body", "Text",
                        text_json(mail_text(&ses->mail)), "Html",
                        text_json(mail_html(&ses->mail))));
}

/* ---- what SES says ---- */

/* The text of the first element of that name, entities and all. */
static struct dyn_str element_text(struct dyn_str xml, const char *name)
{
    char open[64];
    char shut[64];
    (void)snprintf(open, sizeof open, "<%s>", name);
    (void)snprintf(shut, sizeof shut, "</%s>", name);
    const char *from = xml.len > 0 ? memmem(xml.ptr, xml.len, open, strlen(open)) : NULL;
    if (from == NULL) {
        return DYN_STR("");
    }
    from += strlen(open);
    const char *to = memmem(from, (size_t)(xml.ptr + xml.len - from), shut, strlen(shut));
    return to != NULL ? (struct dyn_str){from, (size_t)(to - from)} : DYN_STR("");
}

/* The name of the error is in the body of v1 and in a header of v2. */
static void words_make(struct ses *ses, const struct post_answer *answer)
{
    char said[POST_WORDS_MAX + 1];
    struct dyn_buf text;
    struct dyn_str name = http_header(answer->http, "x-amzn-ErrorType");
    const char *colon = name.ptr != NULL ? memchr(name.ptr, ':', name.len) : NULL;
    struct dyn_str message = element_text(answer->body, "Message");
    dyn_buf_init(&text, POST_ANSWER_MAX + (size_t)1024);
    if (message.len > 0) {
        name = element_text(answer->body, "Code");
        (void)dyn_buf_addf(&text, DYN_STR_FMT ": " DYN_STR_FMT, DYN_STR_ARG(name),
                           DYN_STR_ARG(message));
    } else {
        post_answer_words(&ses->post, answer, said);
        name.len = colon != NULL ? (size_t)(colon - name.ptr) : name.len;
        (void)dyn_buf_addf(&text, DYN_STR_FMT "%s%s", DYN_STR_ARG(name),
                           name.len > 0 && said[0] != '\0' ? ": " : "", said);
    }
    post_words(&ses->post, dyn_buf_str(&text), ses->words);
    dyn_buf_wipe(&text);
}

/* Of v1 with status 400. */
static bool is_throttled(const struct ses *ses)
{
    return strcasestr(ses->words, "Throttling") != NULL ||
           strcasestr(ses->words, "TooManyRequests") != NULL;
}

static void receivers_go(struct ses *ses);

/* This mail is not for now: it is tried again, or it was for the only receiver. */
static bool mail_fails(struct ses *ses, const struct post_answer *answer)
{
    struct post *post = &ses->post;
    bool throttled = answer->status == 429 || is_throttled(ses);
    bool later = throttled || answer->status == 408 || answer->status >= 500;
    if (later && (throttled || http_header(answer->http, "Retry-After").ptr != NULL)) {
        post_slow_down(post, answer);
    }
    if (answer->status >= 300 && answer->status < 400) {
        (void)snprintf(ses->words, sizeof ses->words, "redirects are not followed");
    }
    if (!later && option_of(ses, "to")->as.list.count > 1) {
        return false;
    }
    post_failed(post, later ? DYN_BUSY : DYN_REFUSED, "answered with status %ld%s%s",
                answer->status, ses->words[0] != '\0' ? ": " : "", ses->words);
    return true;
}

static void ses_answered(void *arg, struct post *post, const struct post_answer *answer)
{
    struct ses *ses = arg;
    if (post_is_good(answer)) {
        ses->accepted++;
    } else {
        words_make(ses, answer);
        if (mail_fails(ses, answer)) {
            return;
        }
        dyn_log(DYN_LOG_WARN, "mail_refused", "sink=%s receiver=%zu status=%ld msg=%s",
                sink_config(post->host)->name, ses->at + 1, answer->status,
                dyn_log_quoted(ses->words));
    }
    ses->at++;
    receivers_go(ses);
}

/* The next mail comes after a pause, and then with all that happened meanwhile. */
static void mail_end(struct ses *ses)
{
    size_t count = option_of(ses, "to")->as.list.count;
    sink_wait(ses->post.host, option_of(ses, "interval")->as.i);
    if (ses->accepted < count) {
        post_failed(&ses->post, DYN_REFUSED, "%zu of %zu receivers were refused, the last with: %s",
                    count - ses->accepted, count, ses->words);
    } else {
        post_taken(&ses->post);
    }
}

/* To whom has none yet. */
static void receivers_go(struct ses *ses)
{
    const struct config_value *to = option_of(ses, "to");
    const char *headers[] = {ses->query
                                 ? "Content-Type: application/x-www-form-urlencoded; charset=utf-8"
                                 : "Content-Type: application/json"};
    if (ses->at == to->as.list.count) {
        mail_end(ses);
        return;
    }
    dyn_buf_clear(&ses->body);
    if (ses->query) {
        query_make(ses, to->as.list.items[ses->at]);
    } else {
        json_make(ses, to->as.list.items[ses->at]);
    }
    dyn_err err = dyn_buf_result(&ses->body);
    if (err != DYN_OK) {
        post_failed(&ses->post, err, "%s", dyn_err_text(err));
        return;
    }
    post_send(&ses->post, &(struct post_request){.url = dyn_buf_text(&ses->url),
                                                 .headers = headers,
                                                 .headers_count = 1,
                                                 .sigv4 = dyn_buf_text(&ses->sigv4),
                                                 .user = ses->key_id,
                                                 .password = ses->secret_key,
                                                 .body = dyn_buf_str(&ses->body),
                                                 .answered = ses_answered,
                                                 .arg = ses});
}

static void ses_flush(void *state, struct sink_host *host)
{
    struct ses *ses = state;
    (void)host;
    if (mail_is_empty(&ses->mail)) {
        post_taken(&ses->post);
        return;
    }
    mail_close(&ses->mail);
    receivers_go(ses);
}

static void ses_cancel(void *state)
{
    struct ses *ses = state;
    post_cancel(&ses->post);
}

const struct sink_ops sink_ses = {
    .kind = CONFIG_ERRORS,
    .name = "ses",
    .state_size = sizeof(struct ses),
    .wants_actions = true,
    .gather_max = DIGEST_MAX,
    .init = ses_init,
    .deliver = ses_deliver,
    .flush = ses_flush,
    .cancel = ses_cancel,
    .fini = ses_fini,
};
