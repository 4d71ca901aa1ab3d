/* Papertrail's account usage, under /papertrail. */
#include "metrics_fake.h"

#include <stdio.h>
#include <string.h>

#define OFTEN 25 /* requests in OFTEN_MS */
#define OFTEN_MS 5000

static void rate_judge(const struct ask *ask)
{
    static int64_t times[OFTEN];
    static size_t next;
    int64_t now_ms = fake_now_ms(ask->fake);
    if (now_ms - times[next] < OFTEN_MS) {
        violation(ask, "too_often", "%d requests in %d ms", OFTEN + 1, OFTEN_MS);
    }
    times[next] = now_ms;
    next = (next + 1) % OFTEN;
}

static void usage_reply(const struct ask *ask, struct reply *reply, const json_t *account)
{
    json_int_t used =
        (json_int_t)fake_number(json_object_get(account, "used"), fake_now_ms(ask->fake));
    json_int_t limit = json_integer_value(json_object_get(account, "plan_limit"));
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)used);
    bool as_text = json_is_true(json_object_get(account, "as_text"));
    json_t *body =
        json_pack("{s:o, s:I, s:I}", "log_data_transfer_used",
                  as_text ? json_string(text) : json_integer(used), "log_data_transfer_plan_limit",
                  limit, "log_data_transfer_hard_limit", limit);
    if (limit > 0) {
        json_object_set_new(body, "log_data_transfer_used_percent",
                            json_real((double)used * 100 / (double)limit));
    }
    reply_json(reply, 200, body);
}

bool papertrail_serve(struct ask *ask, struct reply *reply)
{
    const char *token = ask_header(ask, "X-Papertrail-Token");
    const char *accept = ask_header(ask, "Accept");
    if (strncmp(ask->path, "/papertrail/", 12) != 0) {
        return false;
    }
    const json_t *account =
        token != NULL
            ? json_object_get(json_object_get(vendor_state(ask, "papertrail"), "tokens"), token)
            : NULL;
    rate_judge(ask);
    if (strcmp(ask->path + 11, "/api/v1/accounts.json") != 0) {
        violation(ask, "unknown_path", "%s", ask->path);
        reply_text(reply, 404, "text/html", "<html>404</html>");
    } else if (account == NULL) {
        violation(ask, "bad_token", "%s", token == NULL ? "none" : "unknown");
        reply_text(reply, 401, "text/plain", "Unauthorized");
    } else {
        if (strcmp(ask->method, "GET") != 0) {
            violation(ask, "bad_method", "%s", ask->method);
        }
        if (accept == NULL || strstr(accept, "application/json") == NULL) {
            violation(ask, "bad_accept", "%s", accept != NULL ? accept : "none");
        }
        usage_reply(ask, reply, account);
    }
    return true;
}
