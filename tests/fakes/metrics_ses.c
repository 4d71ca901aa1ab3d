/* Amazon SES, SendEmail of both APIs. Signatures are verified by metrics_sigv4.c. */
#include "metrics_sigv4.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define V2_PATH "/v2/email/outbound-emails"
#define REQUEST_ID "fd3ae762-2563-11df-8cd4-6d4e828a9ae8"

struct letter {
    char *from;
    char *to;
    char *subject;
    char *text;
    char *html;
    bool charsets; /* all UTF-8 */
};

static void xml_escape(const char *text, char *out, size_t size)
{
    size_t len = 0;
    out[0] = '\0';
    for (; *text != '\0' && len + 8 < size; text++) {
        const char *coded = *text == '<'   ? "&lt;"
                            : *text == '>' ? "&gt;"
                            : *text == '&' ? "&amp;"
                                           : NULL;
        len += (size_t)(coded != NULL ? snprintf(out + len, size - len, "%s", coded)
                                      : snprintf(out + len, size - len, "%c", *text));
    }
}

static void error_reply(struct reply *reply, bool query, unsigned status, const char *code,
                        const char *message)
{
    char escaped[4096];
    char *text = NULL;
    if (!query) {
        reply_json(reply, status, json_pack("{s:s}", "message", message));
        reply_header(reply, "x-amzn-ErrorType", code);
        return;
    }
    xml_escape(message, escaped, sizeof escaped);
    if (asprintf(&text,
                 "<ErrorResponse xmlns=\"http://ses.amazonaws.com/doc/2010-12-01/\">\n  <Error>\n"
                 "    <Type>Sender</Type>\n    <Code>%s</Code>\n    <Message>%s</Message>\n"
                 "  </Error>\n  <RequestId>" REQUEST_ID "</RequestId>\n</ErrorResponse>\n",
                 code, escaped) > 0) {
        reply_text(reply, status, "text/xml", text);
    }
    free(text);
}

static char *text_of(json_t *json, const char *name)
{
    const char *text = json_string_value(json_object_get(json, name));
    return text != NULL ? strdup(text) : NULL;
}

static bool is_utf8(json_t *part)
{
    const char *charset = json_string_value(json_object_get(part, "Charset"));
    return charset != NULL && strcmp(charset, "UTF-8") == 0;
}

static struct letter letter_of_json(const struct ask *ask)
{
    json_t *body = json_loadb(ask->body, ask->body_size, JSON_REJECT_DUPLICATES, NULL);
    json_t *to = json_object_get(json_object_get(body, "Destination"), "ToAddresses");
    json_t *simple = json_object_get(json_object_get(body, "Content"), "Simple");
    json_t *parts = json_object_get(simple, "Body");
    json_t *subject = json_object_get(simple, "Subject");
    const char *first = json_string_value(json_array_get(to, 0));
    struct letter letter = {.from = text_of(body, "FromEmailAddress"),
                            .to = first != NULL ? strdup(first) : NULL,
                            .subject = text_of(subject, "Data"),
                            .text = text_of(json_object_get(parts, "Text"), "Data"),
                            .html = text_of(json_object_get(parts, "Html"), "Data"),
                            .charsets = is_utf8(subject) &&
                                        is_utf8(json_object_get(parts, "Text")) &&
                                        is_utf8(json_object_get(parts, "Html"))};
    if (json_array_size(to) > 1) {
        violation(ask, "many_receivers", "one bad address costs all of them");
    }
    json_decref(body);
    return letter;
}

static bool param_is(const struct ask *ask, const char *name, const char *wanted)
{
    char *value = ask_param(ask, name);
    bool same = value != NULL && strcmp(value, wanted) == 0;
    free(value);
    return same;
}

static struct letter letter_of_form(const struct ask *ask)
{
    if (!param_is(ask, "Action", "SendEmail") || !param_is(ask, "Version", "2010-12-01")) {
        violation(ask, "bad_action", "SendEmail of 2010-12-01 is known here");
    }
    return (struct letter){.from = ask_param(ask, "Source"),
                           .to = ask_param(ask, "Destination.ToAddresses.member.1"),
                           .subject = ask_param(ask, "Message.Subject.Data"),
                           .text = ask_param(ask, "Message.Body.Text.Data"),
                           .html = ask_param(ask, "Message.Body.Html.Data"),
                           .charsets = param_is(ask, "Message.Subject.Charset", "UTF-8") &&
                                       param_is(ask, "Message.Body.Text.Charset", "UTF-8") &&
                                       param_is(ask, "Message.Body.Html.Charset", "UTF-8")};
}

static void letter_free(struct letter *letter)
{
    free(letter->from);
    free(letter->to);
    free(letter->subject);
    free(letter->text);
    free(letter->html);
}

static bool is_in(json_t *list, const char *text)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (strcmp(json_string_value(json_array_get(list, i)), text) == 0) {
            return true;
        }
    }
    return false;
}

static void letter_judge(const struct ask *ask, const struct letter *letter)
{
    if (!letter->charsets) {
        violation(ask, "no_charset", "what is not ASCII would be lost");
    }
    if (strpbrk(letter->subject, "\r\n") != NULL) {
        violation(ask, "bad_subject", "more than one line");
    }
    if (letter->text == NULL || letter->html == NULL) {
        violation(ask, "one_part", "text and HTML are wanted");
    }
    if (letter->html != NULL && strstr(letter->html, "<b>") != NULL) {
        violation(ask, "not_escaped", "words of others are HTML");
    }
}

static void letter_take(struct ask *ask, json_t *state, const struct letter *letter, bool query,
                        struct reply *reply)
{
    char words[400];
    if (letter->from == NULL || letter->to == NULL || letter->subject == NULL) {
        violation(ask, "bad_letter", "sender, receiver or subject are missing");
        error_reply(reply, query, 400, query ? "ValidationError" : "BadRequestException",
                    "Value null at 'message.subject' failed to satisfy constraint: Member must not "
                    "be null");
        return;
    }
    letter_judge(ask, letter);
    if (!is_in(json_object_get(state, "verified"), letter->from) ||
        is_in(json_object_get(state, "refused"), letter->to)) {
        snprintf(words, sizeof words,
                 "Email address is not verified. The following identities failed the check in "
                 "region US-EAST-1: %.200s",
                 letter->to);
        error_reply(reply, query, 400, "MessageRejected", words);
        return;
    }
    json_t *mails = json_object_get(state, "mails");
    if (mails == NULL) {
        mails = json_array();
        json_object_set_new(state, "mails", mails);
    }
    json_array_append_new(mails, json_pack("{s:s, s:s, s:s, s:s?, s:s?}", "from", letter->from,
                                           "to", letter->to, "subject", letter->subject, "text",
                                           letter->text, "html", letter->html));
    if (query) {
        reply_text(reply, 200, "text/xml",
                   "<SendEmailResponse xmlns=\"http://ses.amazonaws.com/doc/2010-12-01/\">\n"
                   "  <SendEmailResult>\n    <MessageId>0000-1</MessageId>\n  </SendEmailResult>\n"
                   "</SendEmailResponse>\n");
    } else {
        reply_json(reply, 200, json_pack("{s:s}", "MessageId", "0000-1"));
    }
}

/* Under /ses, or by its own name. */
static const char *path_of(const struct ask *ask)
{
    const char *host = ask_header(ask, "Host");
    if (strncmp(ask->path, "/ses/", 5) == 0) {
        return ask->path + 4;
    }
    return host != NULL && strncmp(host, "email.", 6) == 0 ? ask->path : NULL;
}

bool ses_serve(struct ask *ask, struct reply *reply)
{
    json_t *state = vendor_state(ask, "ses");
    const char *path = path_of(ask);
    struct sigv4_refusal refusal = {0};
    if (path == NULL) {
        return false;
    }
    bool query = strcmp(path, "/") == 0;
    struct sigv4_wanted wanted = {.key = json_string_value(json_object_get(state, "key")),
                                  .secret = json_string_value(json_object_get(state, "secret")),
                                  .token = json_string_value(json_object_get(state, "token")),
                                  .region = "us-east-1",
                                  .unknown_key = query ? "InvalidClientTokenId"
                                                       : "UnrecognizedClientException"};
    if (!query && strcmp(path, V2_PATH) != 0) {
        violation(ask, "unknown_path", "%s", path);
        error_reply(reply, false, 404, "NotFoundException", "no such operation");
        return true;
    }
    (void)post_judge(ask, query ? "application/x-www-form-urlencoded; charset=utf-8"
                                : "application/json");
    if (!sigv4_verify(ask, ask->path, &wanted, &refusal)) {
        violation(ask, "bad_signature", "%.200s", refusal.message);
        error_reply(reply, query, refusal.status, refusal.code, refusal.message);
        return true;
    }
    struct letter letter = query ? letter_of_form(ask) : letter_of_json(ask);
    letter_take(ask, state, &letter, query, reply);
    letter_free(&letter);
    return true;
}
