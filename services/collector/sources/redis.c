/*
 * redis: how much waits in a Redis of the app's own: the length of a list, set or stream, the lag
 * of a consumer group, or a number that the app keeps there.
 *
 * One connection a reading: plans of managed Redis allow few, and nothing is left to go stale. An
 * empty list does not exist, so no key is length 0; that is Redis' own answer. Where 0 would be a
 * guess (a number that is not there, a lag that Redis does not know) it is an error.
 */
#include "collector/api.h"
#include "collector/sources.h"
#include "common/bus.h"
#include "common/bus_url.h"

struct redis {
    struct api api; /* its words; nothing is sent by it */
    struct dyn_buf url;
    struct dyn_buf username;
    struct dyn_buf password;
    struct bus_url parts;    /* what the URL itself says of user and password, to be hidden */
    struct bus *bus;         /* NULL: no reading is under way */
    struct dyn_timer *timer; /* the reading's own */
};

/* ---- answers ---- */

static void redis_end(struct redis *source)
{
    struct bus *bus = source->bus;
    source->bus = NULL;
    dyn_timer_stop(source->timer);
    bus_free(bus);
}

static void number_tell(struct redis *source, struct dyn_str text)
{
    struct api *api = &source->api;
    double number = 0;
    if (text.len == 0) {
        api_fail(api, "there is no such key, or it is empty; expected a number");
    } else if (dyn_str_double(dyn_str_trim(text), &number) == DYN_OK) {
        api_good(api, number);
    } else {
        char words[API_WORDS_MAX + 1];
        api_words(api, text, words);
        api_fail(api, "the key holds \"%.32s\"; expected a number", words);
    }
}

/* A group comes as name, value, name, value, ...; NULL: it has no such field. */
static const struct bus_reply *group_field(const struct bus_reply *group, const char *name)
{
    for (size_t i = 0; i + 1 < bus_reply_count(group); i += 2) {
        if (dyn_str_is(bus_reply_str(bus_reply_at(group, i)), name)) {
            return bus_reply_at(group, i + 1);
        }
    }
    return NULL;
}

static void lag_tell(struct redis *source, const struct bus_reply *groups)
{
    struct api *api = &source->api;
    const char *wanted = config_option(&source_input(api->host)->options, "group")->as.s;
    for (size_t i = 0; i < bus_reply_count(groups); i++) {
        const struct bus_reply *group = bus_reply_at(groups, i);
        const struct bus_reply *name = group_field(group, "name");
        const struct bus_reply *lag = group_field(group, "lag");
        if (name == NULL || !dyn_str_is(bus_reply_str(name), wanted)) {
            continue;
        }
        if (lag == NULL) {
            api_fail(api, "this Redis tells no lag of its groups; Redis 7.0 and later do");
        } else if (bus_reply_type(lag) == BUS_NIL) {
            api_fail(api, "Redis does not know the group's lag: entries behind its last ID were "
                          "deleted, or its ID was set by hand (XGROUP SETID ... ENTRIESREAD n)");
        } else if (bus_reply_type(lag) == BUS_INTEGER) {
            api_good(api, (double)bus_reply_int(lag));
        } else {
            api_fail(api, "XINFO GROUPS answered a lag that is no number");
        }
        return;
    }
    api_fail(api, "the stream has no consumer group of that name (%zu others)",
             bus_reply_count(groups));
}

/* How each `read` is asked for, and what answers it. */
static const struct reading {
    const char *read;
    const char *command[2]; /* before the key */
    const char *range[2];   /* behind it */
    enum bus_reply_type type;
} readings[] = {
    {"list", {"LLEN"}, {NULL}, BUS_INTEGER},
    {"set", {"SCARD"}, {NULL}, BUS_INTEGER},
    {"sorted_set", {"ZCARD"}, {NULL}, BUS_INTEGER},
    {"stream", {"XLEN"}, {NULL}, BUS_INTEGER},
    {"lag", {"XINFO", "GROUPS"}, {NULL}, BUS_ARRAY},
    /* GET would bring all of a key that is something else. */
    {"number", {"GETRANGE"}, {"0", "62"}, BUS_STRING},
};

static const struct reading *reading_of(const struct redis *source)
{
    const char *read = config_option(&source_input(source->api.host)->options, "read")->as.s;
    size_t i = 0;
    while (strcmp(readings[i].read, read) != 0) {
        i++;
        DYN_ASSERT(i < sizeof readings / sizeof readings[0]);
    }
    return &readings[i];
}

static void reply_tell(struct redis *source, const struct bus_reply *reply)
{
    const struct reading *reading = reading_of(source);
    if (bus_reply_type(reply) != reading->type) {
        api_fail(&source->api, "answered %s with another type than Redis does",
                 reading->command[0]);
    } else if (reading->type == BUS_INTEGER) {
        api_good(&source->api, (double)bus_reply_int(reply));
    } else if (reading->type == BUS_ARRAY) {
        lag_tell(source, reply);
    } else {
        number_tell(source, bus_reply_str(reply));
    }
}

static void redis_answered(void *arg, dyn_err err, const struct bus_reply *reply)
{
    struct redis *source = arg;
    if (source->bus == NULL || (err != DYN_OK && err != DYN_REFUSED && err != DYN_FENCED)) {
        return; /* given up, or redis_lost() follows */
    }
    if (err == DYN_OK) {
        reply_tell(source, reply);
    } else {
        char words[API_WORDS_MAX + 1];
        api_words(&source->api, bus_reply_str(reply), words);
        api_fail(&source->api, "%s: %s", reading_of(source)->command[0], words);
    }
    redis_end(source);
}

static void redis_lost(void *arg, const char *why)
{
    struct redis *source = arg;
    char words[API_WORDS_MAX + 1];
    api_words(&source->api, dyn_str_from(why), words);
    redis_end(source);
    api_fail(&source->api, "%s", words);
}

static void redis_late(void *arg)
{
    struct redis *source = arg;
    const struct config_options *options = &source_input(source->api.host)->options;
    redis_end(source);
    source_failed(source->api.host, SAMPLE_TIMEOUT, "%s: no answer within %.10g s",
                  source->api.name, (double)config_option(options, "timeout")->as.i / 1000);
}

/* ---- asking ---- */

static void redis_ready(void *arg, struct dyn_str run_id)
{
    struct redis *source = arg;
    const struct reading *reading = reading_of(source);
    const char *key = config_option(&source_input(source->api.host)->options, "key")->as.s;
    const char *const words[] = {reading->command[0], reading->command[1], key, reading->range[0],
                                 reading->range[1]};
    struct dyn_str argv[sizeof words / sizeof words[0]];
    size_t argc = 0;
    (void)run_id;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (words[i] != NULL) {
            argv[argc++] = dyn_str_from(words[i]);
        }
    }
    if (bus_command(source->bus, argv, argc, 0, redis_answered, source) != DYN_OK) {
        redis_lost(source, "out of memory");
    }
}

static struct bus *redis_open(struct redis *source, struct source_host *host,
                              struct dyn_error *error)
{
    const struct config_options *options = &source_input(host)->options;
    const struct bus_access access = {
        .username = source->username.len > 0 ? dyn_buf_text(&source->username) : NULL,
        .password = source->password.len > 0 ? dyn_buf_text(&source->password) : NULL,
        .tls_ca = config_option(options, "tls_ca")->as.s,
        .tls_cert = config_option(options, "tls_cert")->as.s,
        .tls_key = config_option(options, "tls_key")->as.s,
        .tls_insecure = config_option(options, "tls_insecure")->as.b,
    };
    const struct bus_options wanted = {
        .url = dyn_buf_text(&source->url),
        .access = &access,
        .foreign = true,
        .reply_max = DYN_BUS_FOREIGN_REPLY_MAX,
        .name = "dynosaur-collector",
        .ready = redis_ready,
        .lost = redis_lost,
        .arg = source,
    };
    return bus_new(source_loop(host), &wanted, error);
}

static void redis_poll(void *state, struct source_host *host, int64_t now_ms, int64_t wall_ms)
{
    struct redis *source = state;
    struct dyn_error error = {""};
    (void)now_ms;
    (void)wall_ms;
    source->bus = redis_open(source, host, &error);
    if (source->bus == NULL) {
        api_fail(&source->api, "%s", error.text);
        return;
    }
    dyn_timer_start(source->timer, config_option(&source_input(host)->options, "timeout")->as.i, 0);
}

static void redis_cancel(void *state)
{
    redis_end(state);
}

/* ---- life ---- */

static void redis_fini(void *state)
{
    struct redis *source = state;
    dyn_timer_free(source->timer);
    dyn_buf_wipe(&source->url);
    dyn_buf_wipe(&source->username);
    dyn_buf_wipe(&source->password);
    bus_url_fini(&source->parts);
}

static dyn_err secrets_take(struct redis *source, struct source_host *host, struct dyn_error *error)
{
    const struct config_options *options = &source_input(host)->options;
    const struct config_value *username = config_option(options, "username");
    const struct config_value *password = config_option(options, "password");
    dyn_err err = api_text_resolve(config_option(options, "url"), &source->url, error);
    if (err == DYN_OK) {
        err = bus_url_parse(dyn_buf_text(&source->url), &source->parts, error);
    }
    if (err == DYN_OK) {
        api_init(&source->api, host, dyn_buf_str(&source->url));
        api_hide(&source->api, dyn_str_from(source->parts.user));
        api_hide(&source->api, dyn_str_from(source->parts.password));
    }
    if (err == DYN_OK && username->given) {
        err = api_secret_resolve(&source->api, username, &source->username, error);
    }
    if (err == DYN_OK && password->given) {
        err = api_secret_resolve(&source->api, password, &source->password, error);
    }
    return err;
}

/* A connection that is never begun says whether one can be: TLS, its files, too long a password. */
static dyn_err access_check(struct redis *source, struct source_host *host, struct dyn_error *error)
{
    struct bus *bus = redis_open(source, host, error);
    bus_free(bus);
    return bus != NULL ? DYN_OK : DYN_CONFIG;
}

static dyn_err redis_init(void *state, struct source_host *host, struct dyn_error *error)
{
    struct redis *source = state;
    dyn_buf_init(&source->url, DYN_SECRET_MAX);
    dyn_buf_init(&source->username, DYN_SECRET_MAX);
    dyn_buf_init(&source->password, DYN_SECRET_MAX);
    source->timer = dyn_timer_new(source_loop(host), redis_late, source);
    dyn_err err = source->timer != NULL ? secrets_take(source, host, error) : DYN_NOMEM;
    if (err == DYN_OK) {
        err = access_check(source, host, error);
    }
    if (err != DYN_OK) {
        redis_fini(source);
    }
    return err;
}

const struct source_ops source_redis = {
    .name = "redis",
    .state_size = sizeof(struct redis),
    .init = redis_init,
    .poll = redis_poll,
    .cancel = redis_cancel,
    .fini = redis_fini,
};
