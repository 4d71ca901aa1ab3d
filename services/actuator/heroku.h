/*
 * heroku: the Platform API's client: the core's requests as HTTP, HTTP's answers as the core's.
 *
 * heroku_read_answer() is the decoder, pure, for whatever a server may send. struct heroku sends:
 * the key is resolved for each request and wiped after it, so a rotated file takes effect at once;
 * nothing here logs. Every heroku_send() ends in exactly one call of `answered`, later, from the
 * loop, what could not start included.
 *
 * Threads: the loop thread only.
 */
#ifndef DYN_ACTUATOR_HEROKU_H
#define DYN_ACTUATOR_HEROKU_H

#include "actuator/core.h"
#include "common/http.h"
#include "common/loop.h"

#define HEROKU_FORMATIONS_MAX 256  /* process types of one app; more: the answer is not usable */
#define HEROKU_ADDONS_MAX 256      /* add-ons of one app; more: the answer is not usable */
#define HEROKU_ID_MAX 63           /* characters of an add-on's id; UUIDs have 36 */
#define HEROKU_QUANTITY_MAX 100000 /* a greater number is not believed */
#define HEROKU_RETRY_AFTER_MAX_S 3600

/* ---- answers ---- */

struct heroku_reply {
    dyn_err err; /* of the transport */
    bool sent;
    const char *error;
    long status;
    struct dyn_str body;
    struct dyn_str remaining; /* headers; ptr NULL: did not come */
    struct dyn_str retry_after;
    struct dyn_str request_id;
    struct dyn_str key; /* that was sent: hidden from the words */
};

/* What an answer's texts borrow from. */
struct heroku_answer_store;

struct heroku_answer_store *heroku_answer_store_new(void); /* NULL: no memory */
void heroku_answer_store_free(struct heroku_answer_store *store);

/**
 * What a reply to a request of that kind means; `process_type` is the request's. `out` borrows from
 * `reply` and `store` until the next call with that store. `now_wall_ms` is for Retry-After as a
 * date.
 */
void heroku_read_answer(struct heroku_answer_store *store, enum act_request_kind kind,
                        const char *process_type, const struct heroku_reply *reply,
                        int64_t now_wall_ms, struct act_answer *out);

/** The path of a request, names percent-encoded. DYN_BADMSG: a name that can be no path part. */
DYN_NODISCARD dyn_err heroku_path(struct dyn_buf *out, const struct act_request *request);

/** Whether a key can stand in a header: neither empty nor with anything but visible ASCII. */
bool heroku_key_ok(struct dyn_str key);

/* ---- requests ---- */

struct heroku;

struct heroku_options {
    const char *instance; /* for Request-Id */
    void (*answered)(void *arg, uint64_t token, const struct act_answer *answer);
    /** Asked of a write right before it leaves; false: it does not. */
    bool (*may_write)(void *arg, uint64_t token);
    void *arg;
};

struct heroku *heroku_new(struct dyn_loop *loop, const struct heroku_options *options); /* NULL */
/** Cancels what is under way; nothing is answered any more. */
void heroku_free(struct heroku *heroku);

/**
 * `account` has the key, `base` is the API's URL; both are used during the call only. A write is
 * not sent after `deadline_boot_ms`.
 */
void heroku_send(struct heroku *heroku, const char *base, const struct config_account *account,
                 const struct act_request *request, int64_t deadline_boot_ms);

/** Whether the account's key can be had now, and could stand in a header. */
DYN_NODISCARD dyn_err heroku_key_check(const struct config_account *account,
                                       struct dyn_error *error);

#endif
