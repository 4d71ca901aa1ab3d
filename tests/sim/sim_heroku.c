#include "tests/sim/sim_heroku.h"

#include "common/plans.h"
#include "tests/fakes/heroku_api.h"

#include <stdlib.h>
#include <time.h>

#define MUTE_US (60 * SIM_S)
#define STALL_US (30 * SIM_S)

static struct {
    struct world world;
    struct record record;
    struct account *accounts[HEROKU_ACCOUNTS_MAX];
    size_t accounts_count;
    struct app *apps[HEROKU_APPS_MAX];
    size_t app_accounts[HEROKU_APPS_MAX];
    size_t apps_count;
    struct heroku_rule rules[HEROKU_RULES_MAX];
    size_t rules_count;
    uint64_t requests;
    struct sim_random random;
    void (*note)(void *arg, const struct heroku_note *note);
    void *arg;
} heroku;

/* tests/fakes/heroku_world.c is built to ask here for the time. */
int sim_heroku_clock(clockid_t id, struct timespec *out);
int sim_heroku_clock(clockid_t id, struct timespec *out)
{
    int64_t us = id == CLOCK_REALTIME ? sim_wall_ms() * SIM_MS : sim_now();
    out->tv_sec = us / SIM_S;
    out->tv_nsec = us % SIM_S * 1000;
    return 0;
}

static const struct plan_table *redis_plans(void)
{
    return plan_table_find("rediscloud");
}

/* ---- its life ---- */

void heroku_begin(void)
{
    memset(&heroku, 0, sizeof heroku);
    record_init(&heroku.record);
    heroku.random = sim_random_of("heroku");
}

void heroku_end(void)
{
    record_fini(&heroku.record);
    world_fini(&heroku.world);
    memset(&heroku, 0, sizeof heroku);
}

size_t heroku_account_add(const char *email, double capacity, double per_minute)
{
    DYN_ASSERT(heroku.accounts_count < HEROKU_ACCOUNTS_MAX);
    struct account *account = world_account_add(&heroku.world, email);
    account->capacity = capacity;
    account->per_minute = per_minute;
    account->tokens = capacity;
    heroku.accounts[heroku.accounts_count] = account;
    return heroku.accounts_count++;
}

void heroku_key_add(size_t account, const char *key)
{
    struct account *held = heroku.accounts[account];
    DYN_ASSERT(held->key_count < ACCOUNT_KEYS_MAX);
    struct account_key *added = &held->keys[held->key_count++];
    word_copy(added->text, sizeof added->text, key);
    word_copy(added->scope, sizeof added->scope, "global");
}

size_t heroku_app_add(const char *name, size_t account, int quantity)
{
    DYN_ASSERT(heroku.apps_count < HEROKU_APPS_MAX);
    struct app *app = world_app_add(&heroku.world, name, heroku.accounts[account]);
    struct formation *formation = app_formation_add(app, "web");
    formation_set(app, formation, quantity, world_now_ms(&heroku.world));
    heroku.apps[heroku.apps_count] = app;
    heroku.app_accounts[heroku.apps_count] = account;
    return heroku.apps_count++;
}

size_t heroku_redis_add(const char *name, size_t account, int rung, int64_t provision_ms)
{
    size_t number = heroku_app_add(name, account, 1);
    char addon_name[WORD_SIZE];
    (void)snprintf(addon_name, sizeof addon_name, "redis-%s", name);
    struct addon *addon = app_addon_add(heroku.apps[number], addon_name);
    word_copy(addon->service, sizeof addon->service, redis_plans()->addon);
    word_copy(addon->plan, sizeof addon->plan, redis_plans()->plans[rung - 1].name);
    addon->provision_ms = provision_ms;
    return number;
}

/* The add-on that counts; NULL: dynos do. */
static struct addon *app_redis(size_t app)
{
    DYN_ASSERT(app < heroku.apps_count);
    return heroku.apps[app]->addon_count > 0 ? &heroku.apps[app]->addons[0] : NULL;
}

static struct formation *app_web(size_t app)
{
    DYN_ASSERT(app < heroku.apps_count);
    return app_formation(heroku.apps[app], "web");
}

int heroku_quantity(size_t app)
{
    const struct addon *addon = app_redis(app);
    return addon != NULL ? plan_rung(redis_plans(), addon->plan) : app_web(app)->quantity;
}

bool heroku_in_maintenance(size_t app)
{
    return heroku.apps[app]->maintenance;
}

int heroku_tokens(size_t account)
{
    return account_remaining(heroku.accounts[account], world_now_ms(&heroku.world));
}

double heroku_capacity(size_t account)
{
    return heroku.accounts[account]->capacity;
}

const char *heroku_broken_rule(size_t index, const char **out_detail)
{
    const json_t *violation = json_array_get(heroku.record.violations, index);
    *out_detail = json_string_value(json_object_get(violation, "detail"));
    return json_string_value(json_object_get(violation, "rule"));
}

size_t heroku_requests(void)
{
    return (size_t)heroku.requests;
}

void heroku_watch(void (*fn)(void *arg, const struct heroku_note *note), void *arg)
{
    heroku.note = fn;
    heroku.arg = arg;
}

static void tell(const struct heroku_note *note)
{
    if (heroku.note != NULL) {
        heroku.note(heroku.arg, note);
    }
}

/* ---- people ---- */

static void quantity_set(size_t app, int quantity)
{
    struct addon *addon = app_redis(app);
    if (addon != NULL) {
        word_copy(addon->plan, sizeof addon->plan, redis_plans()->plans[quantity - 1].name);
    } else {
        formation_set(heroku.apps[app], app_web(app), quantity, world_now_ms(&heroku.world));
    }
}

void heroku_human_set(size_t app, int quantity)
{
    if (app_redis(app) != NULL) { /* nobody has a plan of nothing, or a larger than the largest */
        quantity = quantity < 1 ? 1 : quantity;
        quantity = quantity > redis_plans()->count ? redis_plans()->count : quantity;
    }
    struct heroku_note note = {.kind = HEROKU_NOTE_HUMAN,
                               .account = heroku.app_accounts[app],
                               .app = app,
                               .from = heroku_quantity(app),
                               .to = quantity};
    quantity_set(app, quantity);
    tell(&note);
}

void heroku_maintenance_set(size_t app, bool on)
{
    heroku.apps[app]->maintenance = on;
}

void heroku_pool_use(size_t account, double left)
{
    struct account *held = heroku.accounts[account];
    (void)heroku_tokens(account);
    held->tokens = held->tokens < left ? held->tokens : left;
}

/* ---- reading requests ---- */

static const char *path_app(const struct sim_exchange *exchange, size_t *out_len)
{
    if (strncmp(exchange->path, "/apps/", 6) != 0) {
        return NULL;
    }
    *out_len = strcspn(exchange->path + 6, "/");
    return exchange->path + 6;
}

size_t heroku_app_of(const struct sim_exchange *exchange)
{
    size_t len = 0;
    const char *name = path_app(exchange, &len);
    for (size_t i = 0; name != NULL && i < heroku.apps_count; i++) {
        if (strncmp(heroku.apps[i]->name, name, len) == 0 && heroku.apps[i]->name[len] == '\0') {
            return i;
        }
    }
    return SIZE_MAX;
}

bool heroku_is_write(const struct sim_exchange *exchange)
{
    return strcmp(exchange->method, "GET") != 0;
}

int heroku_wish_of(const struct sim_exchange *exchange)
{
    static const char form[] = "{\"quantity\":";
    static const char plan[] = "{\"plan\":\"";
    if (!heroku_is_write(exchange)) {
        return -1;
    }
    if (strncmp(exchange->body, plan, sizeof plan - 1) == 0) {
        const char *name = exchange->body + sizeof plan - 1;
        return plan_rung_of(redis_plans(), (struct dyn_str){name, strcspn(name, "\"")});
    }
    return strncmp(exchange->body, form, sizeof form - 1) == 0
               ? (int)strtol(exchange->body + sizeof form - 1, NULL, 10)
               : -1;
}

static struct account *account_by_key(const struct sim_exchange *exchange)
{
    const char *line = sim_exchange_header(exchange, "Authorization");
    const char *scope = NULL;
    return line != NULL && strncmp(line, "Bearer ", 7) == 0
               ? world_account_by_key(&heroku.world, line + 7, &scope)
               : NULL;
}

size_t heroku_account_of(const struct sim_exchange *exchange)
{
    const struct account *account = account_by_key(exchange);
    for (size_t i = 0; i < heroku.accounts_count; i++) {
        if (heroku.accounts[i] == account) {
            return i;
        }
    }
    return SIZE_MAX;
}

/* ---- faults ---- */

const char *heroku_fault_text(enum heroku_fault fault)
{
    static const char *const texts[HEROKU_FAULTS] = {"401",
                                                     "402",
                                                     "403 suspended",
                                                     "404",
                                                     "409",
                                                     "422 limit",
                                                     "422",
                                                     "429",
                                                     "429 later",
                                                     "500",
                                                     "503 HTML",
                                                     "drop",
                                                     "done without answer",
                                                     "30 s stall",
                                                     "truncated body",
                                                     "endless body",
                                                     "said, not done"};
    return texts[fault];
}

void heroku_rule_add(const struct heroku_rule *rule)
{
    if (heroku.rules_count == HEROKU_RULES_MAX) {
        memmove(heroku.rules, heroku.rules + 1, sizeof heroku.rules - sizeof heroku.rules[0]);
        heroku.rules_count--;
    }
    heroku.rules[heroku.rules_count++] = *rule;
}

void heroku_rules_clear(void)
{
    heroku.rules_count = 0;
}

static const struct heroku_rule *rule_for(const struct sim_exchange *exchange)
{
    size_t account = heroku_account_of(exchange);
    size_t app = heroku_app_of(exchange);
    for (size_t i = 0; i < heroku.rules_count; i++) {
        const struct heroku_rule *rule = &heroku.rules[i];
        if (sim_now() < rule->until && (rule->account == SIZE_MAX || rule->account == account) &&
            (rule->app == SIZE_MAX || rule->app == app) &&
            (!rule->writes_only || heroku_is_write(exchange)) &&
            sim_random_chance(&heroku.random, rule->chance)) {
            return rule;
        }
    }
    return NULL;
}

int64_t heroku_refused_since(size_t account)
{
    for (size_t i = 0; i < heroku.rules_count; i++) {
        const struct heroku_rule *rule = &heroku.rules[i];
        if (sim_now() >= rule->until || (rule->account != SIZE_MAX && rule->account != account)) {
            continue;
        }
        bool all = rule->app == SIZE_MAX && !rule->writes_only && rule->chance >= 1;
        return all && rule->fault <= HEROKU_SUSPENDED ? rule->from : -1;
    }
    return -1;
}

/* ---- serving ---- */

/* A request between its arrival and the answer. */
struct serving {
    struct sim_exchange *exchange;
    bool faulty;
    struct heroku_rule rule;
    json_int_t number;
    struct app *writes; /* counted in; NULL: no write */
    char key[WORDS_SIZE];
    struct call call;
    struct reply reply;
};

static void serving_free(struct serving *serving)
{
    if (serving->writes != NULL) {
        serving->writes->writes--;
    }
    json_decref(serving->reply.body);
    free(serving);
}

static struct headers headers_of(const struct sim_exchange *exchange)
{
    return (struct headers){
        .accept = sim_exchange_header(exchange, "Accept"),
        .authorization = sim_exchange_header(exchange, "Authorization"),
        .content_type = sim_exchange_header(exchange, "Content-Type"),
        .user_agent = exchange->user_agent,
        .request_id = sim_exchange_header(exchange, "Request-Id"),
    };
}

static void call_begin(struct serving *serving)
{
    const struct sim_exchange *exchange = serving->exchange;
    struct call *call = &serving->call;
    call->world = &heroku.world;
    call->record = &heroku.record;
    call->headers = headers_of(exchange);
    call->method = exchange->method;
    call->text = exchange->body;
    call->text_size = exchange->body_len;
    call->reply = &serving->reply;
    if (!call_path_set(call, exchange->path)) {
        call->part_count = 0;
    }
    call_account_find(call);
    json_t *entry = json_pack("{s:s, s:s, s:{s:s}}", "method", exchange->method, "path",
                              exchange->path, "headers", "user-agent", exchange->user_agent);
    serving->number = record_add(&heroku.record, entry);
    call->n = serving->number;
    api_judge(call);
    struct app *app = call_app(call);
    if (app != NULL && call_is_write(call)) {
        if (app->writes > 0) {
            record_violation(&heroku.record, call->n, "write_overlap", "%s", app->name);
        }
        app->writes++;
        serving->writes = app;
    }
}

static bool fault_refuses(enum heroku_fault fault)
{
    return fault <= HEROKU_503_HTML;
}

static void refuse(struct serving *serving)
{
    static const struct {
        unsigned status;
        const char *id;
        const char *message;
    } refusals[] = {
        {401, "unauthorized", "Invalid credentials provided."},
        {402, "delinquent", "This account is delinquent, please pay your bill."},
        {403, "suspended", "This account is suspended."},
        {404, "not_found", "Couldn't find that app."},
        {409, "conflict", "The resource was changed by another request."},
        {422, "cannot_update_above_limit", "Cannot update to more than that many dynos per app."},
        {422, "invalid_params", "Invalid params."},
        {429, "rate_limit", "Your account reached the API rate limit"},
        {429, "rate_limit", "Your account reached the API rate limit"},
        {500, "internal_server_error", "Internal server error."},
        {503, "service_unavailable", "The API is unavailable, please try again."},
    };
    const struct heroku_rule *rule = &serving->rule;
    reply_error(&serving->reply, refusals[rule->fault].status, refusals[rule->fault].id, "%s",
                refusals[rule->fault].message);
    if (rule->fault == HEROKU_LIMIT) {
        json_object_set_new(serving->reply.body, "limit", json_integer(rule->limit));
    }
    struct account *account = serving->call.account;
    if (rule->fault == HEROKU_429_RETRY && account != NULL) {
        (void)snprintf(serving->exchange->retry_after, sizeof serving->exchange->retry_after, "%d",
                       rule->limit);
        account->limited_ms = sim_wall_ms();
        account->retry_ms = account->limited_ms + rule->limit * INT64_C(1000);
    }
    if (account != NULL && serving->reply.status != 429) {
        (void)account_take(account, 1, world_now_ms(&heroku.world));
    }
}

/* A rise beyond the limit only: lowering is always allowed. */
static bool rule_applies(const struct serving *serving, size_t app)
{
    if (serving->rule.fault != HEROKU_LIMIT) {
        return true;
    }
    return app != SIZE_MAX && heroku_wish_of(serving->exchange) > serving->rule.limit &&
           heroku_wish_of(serving->exchange) > heroku_quantity(app);
}

static void note_answer(const struct serving *serving, size_t app, int from)
{
    const struct sim_exchange *exchange = serving->exchange;
    struct heroku_note note = {.account = heroku_account_of(exchange),
                               .app = app,
                               .from = from,
                               .to = from,
                               .status = serving->reply.status,
                               .late = serving->faulty && serving->rule.fault == HEROKU_STALL,
                               .exchange = exchange};
    if (serving->reply.status == 429 && !serving->faulty) {
        note.kind = HEROKU_NOTE_LIMITED;
    } else if (serving->reply.status > 299) {
        note.kind = HEROKU_NOTE_REFUSED;
    } else if (heroku_is_write(exchange) && app != SIZE_MAX) {
        note.kind = HEROKU_NOTE_APPLIED;
        note.to = heroku_quantity(app);
    } else {
        return;
    }
    tell(&note);
}

static void reply_write(struct serving *serving)
{
    struct sim_exchange *exchange = serving->exchange;
    bool html = serving->faulty && serving->rule.fault == HEROKU_503_HTML;
    exchange->status = serving->reply.status;
    exchange->reply = html ? strdup("<html><body>Service Unavailable</body></html>")
                           : json_dumps(serving->reply.body, JSON_COMPACT);
    DYN_ASSERT(exchange->reply != NULL);
    exchange->reply_len = strlen(exchange->reply);
    (void)snprintf(exchange->request_id, sizeof exchange->request_id, "h-%llu",
                   (unsigned long long)serving->number);
    struct account *account = serving->call.account;
    if (account != NULL) {
        int left =
            exchange->status == 429 ? 0 : account_remaining(account, world_now_ms(&heroku.world));
        (void)snprintf(exchange->remaining, sizeof exchange->remaining, "%d", left);
    }
}

static void serving_answer(void *arg)
{
    struct serving *serving = arg;
    struct sim_exchange *exchange = serving->exchange;
    bool mute = serving->faulty && serving->rule.fault == HEROKU_DONE_MUTE;
    exchange->cut = serving->faulty &&
                    (serving->rule.fault == HEROKU_TRUNCATED || serving->rule.fault == HEROKU_HUGE);
    serving_free(serving);
    if (mute) {
        sim_exchange_drop(exchange);
    } else {
        sim_exchange_answer(exchange);
    }
}

/* The moment at which Heroku does what it is asked. */
static void serving_apply(void *arg)
{
    struct serving *serving = arg;
    struct sim_exchange *exchange = serving->exchange;
    size_t app = heroku_app_of(exchange);
    int from = app != SIZE_MAX ? heroku_quantity(app) : 0;
    enum heroku_fault fault = serving->rule.fault;
    serving->faulty = serving->faulty && rule_applies(serving, app);
    if (serving->faulty && fault_refuses(fault)) {
        refuse(serving);
    } else {
        api_handle(&serving->call);
    }
    if (serving->faulty && fault == HEROKU_IGNORED && heroku_is_write(exchange) &&
        app != SIZE_MAX) {
        quantity_set(app, from);
        if (app_redis(app) != NULL) {
            app_redis(app)->ready_ms = 0;
        }
    } else {
        note_answer(serving, app, from);
    }
    reply_write(serving);
    int64_t takes = sim_random_range(&heroku.random, 5, 80) * SIM_MS;
    takes = serving->faulty && fault == HEROKU_DONE_MUTE ? MUTE_US : takes;
    sim_at(sim_now() + takes, serving_answer, serving);
}

static void serving_drop(void *arg)
{
    struct serving *serving = arg;
    struct sim_exchange *exchange = serving->exchange;
    serving_free(serving);
    sim_exchange_drop(exchange);
}

void sim_heroku_arrive(struct sim_exchange *exchange)
{
    struct serving *serving = calloc(1, sizeof *serving);
    DYN_ASSERT(serving != NULL);
    heroku.requests++;
    serving->exchange = exchange;
    call_begin(serving);
    const struct heroku_rule *rule = rule_for(exchange);
    if (rule != NULL) {
        serving->faulty = true;
        serving->rule = *rule;
        if (sim_story_told()) {
            sim_story("heroku: %s %s of %s meets: %s", exchange->method, exchange->path,
                      exchange->sender, heroku_fault_text(rule->fault));
        }
    }
    int64_t takes = sim_random_range(&heroku.random, 5, 200) * SIM_MS;
    if (rule != NULL && rule->fault == HEROKU_STALL) {
        takes = STALL_US;
    }
    bool drop = rule != NULL && rule->fault == HEROKU_DROP;
    sim_at(sim_now() + takes, drop ? serving_drop : serving_apply, serving);
}
