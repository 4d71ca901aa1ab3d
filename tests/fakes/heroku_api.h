/*
 * heroku_api: one request of the Platform API, judged and answered. No sockets.
 *
 * Threads: the caller holds the fake's lock.
 */
#ifndef TESTS_FAKES_HEROKU_API_H
#define TESTS_FAKES_HEROKU_API_H

#include "heroku_record.h"
#include "heroku_world.h"

#define PATH_PARTS_MAX 8

/** As received; NULL when absent. */
struct headers {
    const char *accept;
    const char *authorization;
    const char *content_type;
    const char *user_agent;
    const char *request_id;
    const char *range;
    const char *expect;
    const char *expansion;
    const char *if_none_match;
};

struct reply {
    unsigned status;
    json_t *body; /* NULL: an empty one */
    bool ranged;
    char content_range[WORDS_SIZE];
    char next_range[WORDS_SIZE];
};

struct call {
    struct world *world;
    struct record *record;
    json_int_t n; /* of the request in the record */
    struct headers headers;
    const char *method;
    const char *text; /* the body, NUL-terminated */
    size_t text_size;
    bool ignore; /* answer as if it were done, change nothing */
    struct account *account;
    const char *scope;
    char path[WORDS_SIZE]; /* cut into parts */
    char *parts[PATH_PARTS_MAX];
    size_t part_count;
    json_t *body;
    struct reply *reply;
};

/** Cuts the path into its parts; false when it is too long. */
bool call_path_set(struct call *call, const char *path);

/** Finds the account of an Authorization header; a NULL account when there is none. */
void call_account_find(struct call *call);

/** The app that the path names; NULL when none. */
struct app *call_app(const struct call *call);

/** Whether the call would change an app. */
bool call_is_write(const struct call *call);

/** Notes what is wrong with the headers of a request, whatever will be answered. */
void api_judge(struct call *call);

/** Answers; the reply is always filled. */
void api_handle(struct call *call);

void reply_json(struct reply *reply, unsigned status, json_t *body);
void reply_error(struct reply *reply, unsigned status, const char *id, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/** heroku_formation */
void formation_list(struct call *call, struct app *app);
void formation_info(struct call *call, struct app *app);
void formation_update_one(struct call *call, struct app *app);
void formation_update_batch(struct call *call, struct app *app);
void formation_dynos(struct call *call, struct app *app);

/** heroku_addons */
void addons_list(struct call *call, struct app *app);
void addons_list_all(struct call *call);
void addons_info(struct call *call, struct app *app);
void addons_info_any(struct call *call);
void addons_update(struct call *call, struct app *app);
void addons_resolve(struct call *call);
void plans_list(struct call *call);
void plans_info(struct call *call, const char *name);

/**
 * heroku_list: answers with the part of the array that the Range header asks for. Takes over the
 * array, whose elements have id, name and updated_at.
 */
void list_reply(struct call *call, json_t *all);

/** heroku_json: the objects of the API. The caller owns each. */
json_t *json_app(const struct world *world, const struct app *app);
json_t *json_account(const struct account *account);
json_t *json_formation(const struct app *app, const struct formation *formation);
json_t *json_dynos(const struct world *world, const struct app *app);
json_t *json_addon(const struct world *world, const struct app *app, const struct addon *addon,
                   const char *expansion);
json_t *json_plan(const char *name);
json_t *json_dyno_sizes(void);

/** False, and a 422 in the reply, when the object has a field that is not in `known`. */
bool fields_known(struct call *call, json_t *object, const char *const *known);

#endif
