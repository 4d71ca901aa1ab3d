#include "actuator/actuator.h"
#include "actuator/accounts.h"
#include "actuator/core.h"
#include "actuator/follow.h"
#include "actuator/heroku.h"
#include "actuator/journal.h"
#include "actuator/kill_timer.h"
#include "common/clock.h"

#include <inttypes.h>

#define KEY_CHECK_MS 60000 /* a key that is missing is looked for that often */
#define REPORTS_MAX 20000  /* entries of a partition's reports, about: the leader trims by age */
#define WRITE_WAIT_MS 5000 /* a write that could not leave by then is not sent */

struct actuator {
    struct service *service;
    const struct config *config; /* in force: during a reload the service still has the old one */
    struct act_core *core;
    struct heroku *heroku;
    struct accounts *accounts;
    struct journal *journal;
    struct follow *follow;
    struct dyn_timer *ticker;
    struct dyn_timer *unbegun; /* answers what could not be given to the journal */
    uint64_t *unbegun_tokens;
    size_t unbegun_count;
    size_t unbegun_max;
    bool *key_missing; /* by account */
    int64_t keys_at;
    int64_t kill_at_ms;  /* as the kill timer is set */
    int64_t leave_at_ms; /* draining: then the leases are given up */
    bool leaving;
    bool left;
    struct metric *requests;
    struct metric *writes;
    struct metric *refused;
    struct metric *failed;
    struct metric *targets_refused;
    struct metric *malformed;
    struct metric *untold;
    struct metric *led;
    struct metric *tokens;
};

static struct act_now now_take(void)
{
    return (struct act_now){dyn_clock_boot_ms(), dyn_clock_wall_ms()};
}

/* ---- effects ---- */

static void on_send(void *arg, const struct act_request *request)
{
    struct actuator *actuator = arg;
    const struct config *config = actuator->config;
    int64_t deadline = accounts_deadline_ms(actuator->accounts, request->account);
    int64_t soon = dyn_clock_boot_ms() + WRITE_WAIT_MS;
    actuator->requests->value++;
    if (act_is_write(request->kind)) {
        actuator->writes->value++;
    }
    heroku_send(actuator->heroku, config->heroku_api_url, &config->accounts[request->account],
                request, deadline < soon ? deadline : soon);
}

static void on_unbegun(void *arg)
{
    struct actuator *actuator = arg;
    while (actuator->unbegun_count > 0) {
        uint64_t token = actuator->unbegun_tokens[--actuator->unbegun_count];
        act_begun(actuator->core, token, DYN_CLOSED, now_take());
    }
}

static void on_begin(void *arg, uint64_t token, size_t account, const char *app,
                     const struct intent *intent)
{
    struct actuator *actuator = arg;
    (void)app;
    if (journal_begin(actuator->journal, account, token, intent) != DYN_OK) {
        DYN_ASSERT(actuator->unbegun_count < actuator->unbegun_max);
        actuator->unbegun_tokens[actuator->unbegun_count++] = token;
        dyn_timer_start(actuator->unbegun, 0, 0);
    }
}

static const struct config_controller *controller_of(const struct config *config, uint64_t id)
{
    for (size_t i = 0; i < config->apps_count; i++) {
        for (size_t j = 0; j < config->apps[i].controllers_count; j++) {
            if (config->apps[i].controllers[j].id == id) {
                return &config->apps[i].controllers[j];
            }
        }
    }
    return NULL;
}

static void action_log(struct actuator *actuator, const struct action *action)
{
    static const struct config_controller gone = {.plans = NULL};
    const struct config_controller *controller =
        controller_of(actuator->config, action->controller);
    const struct config_controller *known = controller != NULL ? controller : &gone;
    char from[CONFIG_RUNG_TEXT];
    char to[CONFIG_RUNG_TEXT];
    char target[CONFIG_RUNG_TEXT];
    char words[200];
    dyn_str_copy(words, sizeof words, action->words);
    bool done = action->outcome == ACTION_DONE || action->outcome == ACTION_SHADOW;
    dyn_log(done ? DYN_LOG_INFO : DYN_LOG_WARN, "action",
            "app=" DYN_STR_FMT " controller=" DYN_STR_FMT
            " from=%s to=%s target=%s outcome=%s status=%d request_id=\"" DYN_STR_FMT "\" msg=%s",
            DYN_STR_ARG(action->app), DYN_STR_ARG(action->name),
            config_rung_text(known, action->from, from), config_rung_text(known, action->to, to),
            config_rung_text(known, action->target, target), action_outcome_text(action->outcome),
            (int)action->http_status, DYN_STR_ARG(action->request_id), dyn_log_quoted(words));
    actuator->refused->value += action->outcome == ACTION_REFUSED;
    actuator->failed->value += action->outcome == ACTION_FAILED;
}

static void on_end(void *arg, size_t account, const char *app, const struct intent *intent,
                   const struct action *action)
{
    struct actuator *actuator = arg;
    (void)app;
    journal_end(actuator->journal, account, intent, action);
    if (action != NULL) {
        action_log(actuator, action);
    }
}

static void on_action(void *arg, size_t account, const struct action *action)
{
    struct actuator *actuator = arg;
    (void)account;
    struct dyn_buf key;
    struct dyn_buf bytes;
    dyn_buf_init(&key, 512);
    dyn_buf_init(&bytes, DYN_ENTRY_MAX);
    (void)dyn_buf_addf(&key, "%s:actions", actuator->config->redis.prefix);
    message_write_action(&bytes, action);
    if (dyn_buf_result(&bytes) == DYN_OK &&
        bus_add(actuator->service->bus, dyn_buf_text(&key), dyn_buf_str(&bytes),
                JOURNAL_ACTIONS_MAX, NULL, NULL) != DYN_OK) {
        dyn_log(DYN_LOG_WARN, "action_not_told", "msg=\"Redis is away\"");
    }
    dyn_buf_fini(&key);
    dyn_buf_fini(&bytes);
    action_log(actuator, action);
}

static void on_event(void *arg, const struct event *event)
{
    struct actuator *actuator = arg;
    service_event(actuator->service, event);
}

static uint32_t partition_of(const struct config *config, uint64_t controller)
{
    for (size_t i = 0; i < config->apps_count; i++) {
        for (size_t j = 0; j < config->apps[i].controllers_count; j++) {
            if (config->apps[i].controllers[j].id == controller) {
                return config->apps[i].partition;
            }
        }
    }
    return 0;
}

/* The state hash for `explain`, the reports for the sinks; the next one repeats what gets lost. */
static void on_actual(void *arg, size_t account, const struct actual *actual, bool changed)
{
    struct actuator *actuator = arg;
    const struct config *config = actuator->config;
    struct bus *bus = actuator->service->bus;
    char field[24];
    char state[512];
    struct dyn_buf bytes;
    struct dyn_buf reports;
    (void)changed;
    if (bus == NULL || !bus_is_ready(bus)) {
        return;
    }
    dyn_buf_init(&bytes, DYN_ENTRY_MAX);
    dyn_buf_init(&reports, 512);
    message_write_actual(&bytes, actual);
    bus_key_partition(&reports, config->redis.prefix, partition_of(config, actual->controller),
                      "reports");
    (void)snprintf(field, sizeof field, "%016" PRIx64, actual->controller);
    (void)snprintf(state, sizeof state, "%s:{act}:%s:state", config->redis.prefix,
                   config->accounts[account].name);
    struct dyn_str argv[] = {DYN_STR("HSET"), dyn_str_from(state), dyn_str_from(field),
                             dyn_buf_str(&bytes)};
    if (dyn_buf_result(&bytes) != DYN_OK || dyn_buf_result(&reports) != DYN_OK ||
        bus_command(bus, argv, sizeof argv / sizeof *argv, 0, NULL, NULL) != DYN_OK ||
        bus_add(bus, dyn_buf_text(&reports), dyn_buf_str(&bytes), REPORTS_MAX, NULL, NULL) !=
            DYN_OK) {
        actuator->untold->value++;
    }
    dyn_buf_fini(&bytes);
    dyn_buf_fini(&reports);
}

/* A sample of the log like a collector's: the fold finds it where its values are. It says a state,
 * so that there is no sequence that could have a hole. */
static bool on_running(void *arg, const struct config_app *app,
                       const struct config_controller *controller, int32_t quantity, int64_t age_ms)
{
    struct actuator *actuator = arg;
    struct bus *bus = actuator->service->bus;
    if (bus == NULL || !bus_is_ready(bus)) {
        return false;
    }
    struct batch batch = {
        .member = dyn_str_from(actuator->service->instance), .seq = 1, .count = 1};
    struct sample sample = {.series = controller->running_series,
                            .age_ms = age_ms < SAMPLE_AGE_MAX_MS ? age_ms : SAMPLE_AGE_MAX_MS,
                            .value = quantity};
    struct dyn_buf key;
    struct dyn_buf bytes;
    dyn_buf_init(&key, 512);
    dyn_buf_init(&bytes, DYN_ENTRY_MAX);
    bus_key_partition(&key, actuator->config->redis.prefix, app->partition, "values");
    message_write_batch(&bytes, &batch, &sample);
    dyn_err err = dyn_buf_result(&bytes);
    if (err == DYN_OK) {
        err = bus_add(bus, dyn_buf_text(&key), dyn_buf_str(&bytes), 0, NULL, NULL);
    }
    dyn_buf_fini(&key);
    dyn_buf_fini(&bytes);
    return err == DYN_OK;
}

static void on_fenced(void *arg, size_t account)
{
    struct actuator *actuator = arg;
    accounts_fenced(actuator->accounts, account);
}

static void on_identity(void *arg, size_t account, struct dyn_str identity)
{
    struct actuator *actuator = arg;
    accounts_identity(actuator->accounts, account, identity);
}

static void on_trusted(void *arg, size_t account)
{
    struct actuator *actuator = arg;
    accounts_acted(actuator->accounts, account);
}

/* ---- events ---- */

static void on_answered(void *arg, uint64_t token, const struct act_answer *answer)
{
    struct actuator *actuator = arg;
    act_answer(actuator->core, token, answer, now_take());
}

static bool on_may_write(void *arg, uint64_t token)
{
    const struct actuator *actuator = arg;
    size_t account = act_write_account(actuator->core, token, now_take());
    return account != SIZE_MAX && accounts_may_write(actuator->accounts, account);
}

/* Moved whenever the deadlines have: not to be killed for one that was put off or is gone. */
static void kill_timer_move(struct actuator *actuator)
{
    int64_t deadline_ms = accounts_first_deadline_ms(actuator->accounts);
    if (deadline_ms != actuator->kill_at_ms) {
        actuator->kill_at_ms = deadline_ms;
        kill_timer_set(deadline_ms);
    }
}

static void on_taken(void *arg, size_t account, const struct lease_grant *grant)
{
    struct actuator *actuator = arg;
    const struct config *config = actuator->config;
    /* Given up, or ours before. What an earlier epoch left open was of somebody whose lease stood
     * still once. */
    bool clean = !grant->stood_still && !grant->other_server;
    bool own = grant->own_again || grant->first;
    struct act_former former = {
        .settle_ms = act_settle_ms(&config->redis.lease, grant->stood_still || clean, own),
        .clean = clean ? grant->before : 0,
        .doubtful = grant->other_server,
    };
    dyn_log(DYN_LOG_INFO, "lease_taken", "account=%s epoch=%" PRIu64 " stood_still=%d new_redis=%d",
            config->accounts[account].name, grant->epoch, grant->stood_still, grant->other_server);
    kill_timer_move(actuator);
    act_lead(actuator->core, account, grant->epoch, &former, now_take());
    journal_load(actuator->journal, account);
}

static void on_clear(void *arg, size_t account, bool clear)
{
    struct actuator *actuator = arg;
    act_clear(actuator->core, account, clear, now_take());
}

static bool on_may_leave(void *arg, size_t account)
{
    const struct actuator *actuator = arg;
    return act_writing(actuator->core, account) == 0;
}

static void on_journal_entry(void *arg, size_t account, const struct intent *intent)
{
    struct actuator *actuator = arg;
    act_journal_entry(actuator->core, account, intent, now_take());
}

static void on_journal_loaded(void *arg, size_t account)
{
    struct actuator *actuator = arg;
    act_journal_loaded(actuator->core, account, now_take());
}

static void on_lost(void *arg, size_t account, const char *why)
{
    struct actuator *actuator = arg;
    dyn_log(DYN_LOG_WARN, "lease_lost", "account=%s msg=%s",
            actuator->config->accounts[account].name, dyn_log_quoted(why));
    kill_timer_move(actuator);
    act_unlead(actuator->core, account, now_take());
}

static void on_begun(void *arg, uint64_t token, dyn_err err)
{
    struct actuator *actuator = arg;
    act_begun(actuator->core, token, err, now_take());
}

static void on_target(void *arg, uint32_t partition, const struct target *target)
{
    struct actuator *actuator = arg;
    if (act_target(actuator->core, partition, target, now_take()) != DYN_OK) {
        actuator->targets_refused->value++;
    }
}

static void on_mark(void *arg, uint32_t partition, const struct mark *mark)
{
    struct actuator *actuator = arg;
    act_mark(actuator->core, partition, mark, now_take());
}

static void on_history(void *arg)
{
    struct actuator *actuator = arg;
    act_history(actuator->core);
}

static void on_command(void *arg, const struct command *command)
{
    struct actuator *actuator = arg;
    act_command(actuator->core, command, now_take());
}

static void on_commanded(void *arg)
{
    struct actuator *actuator = arg;
    act_commands(actuator->core, true, now_take());
}

static void on_malformed(void *arg)
{
    struct actuator *actuator = arg;
    actuator->malformed->value++;
}

/* ---- keys ---- */

/* `all`: at the start and after a reload every key may be another one. Later only those that were
 * missing are looked for. */
static void keys_check(struct actuator *actuator, bool all)
{
    const struct config *config = actuator->config;
    actuator->keys_at = dyn_clock_boot_ms() + KEY_CHECK_MS;
    for (size_t i = 0; i < config->accounts_count; i++) {
        if (!all && !actuator->key_missing[i]) {
            continue;
        }
        struct dyn_error error;
        bool present = heroku_key_check(&config->accounts[i], &error) == DYN_OK;
        if (all || present) {
            act_key(actuator->core, i, present, present ? NULL : error.text, now_take());
        }
        actuator->key_missing[i] = !present;
        accounts_key(actuator->accounts, i, present);
    }
}

/* ---- ticking ---- */

static void on_left(void *arg)
{
    struct actuator *actuator = arg;
    actuator->left = true;
}

/* What is being written ends before its lease is given up, and before the program. */
static void drain_step(struct actuator *actuator)
{
    if (!actuator->leaving) {
        actuator->leaving = true;
        act_drain(actuator->core);
        accounts_leave(actuator->accounts, on_left, actuator);
    }
    size_t writing = 0;
    for (size_t i = 0; i < actuator->config->accounts_count; i++) {
        writing += act_writing(actuator->core, i);
    }
    if (actuator->left && writing == 0) {
        service_stop(actuator->service, 0);
    }
}

static void gauges_set(struct actuator *actuator)
{
    const struct config *config = actuator->config;
    int64_t fewest = -1;
    double led = 0;
    for (size_t i = 0; i < config->accounts_count; i++) {
        int64_t tokens = act_tokens(actuator->core, i);
        fewest = fewest < 0 || (tokens >= 0 && tokens < fewest) ? tokens : fewest;
        led += accounts_is_held(actuator->accounts, i);
    }
    actuator->led->value = led;
    actuator->tokens->value = (double)fewest;
}

static void on_tick(void *arg)
{
    struct actuator *actuator = arg;
    struct act_now now = now_take();
    accounts_tick(actuator->accounts);
    kill_timer_move(actuator);
    if (actuator->service->draining && now.boot_ms >= actuator->leave_at_ms) {
        drain_step(actuator);
        return;
    }
    if (now.boot_ms >= actuator->keys_at) {
        keys_check(actuator, false);
    }
    act_tick(actuator->core, now);
    gauges_set(actuator);
}

/* ---- the service's life ---- */

static void metrics_make(struct actuator *actuator, struct metrics *metrics)
{
    actuator->requests = metrics_counter(metrics, "dynosaur_heroku_requests_total", "",
                                         "Requests to Heroku, readings included.");
    actuator->writes =
        metrics_counter(metrics, "dynosaur_heroku_writes_total", "", "Changes asked of Heroku.");
    actuator->refused = metrics_counter(metrics, "dynosaur_heroku_refused_total", "",
                                        "Changes that Heroku refused.");
    actuator->failed = metrics_counter(metrics, "dynosaur_heroku_failed_total", "",
                                       "Changes without a usable answer.");
    actuator->targets_refused = metrics_counter(metrics, "dynosaur_targets_refused_total", "",
                                                "Targets that the actuator did not take.");
    actuator->malformed = metrics_counter(metrics, "dynosaur_malformed_total", "",
                                          "Entries of the bus that could not be read.");
    actuator->untold = metrics_counter(metrics, "dynosaur_actuals_untold_total", "",
                                       "Notes of what runs that did not fit on the bus.");
    actuator->led =
        metrics_gauge(metrics, "dynosaur_accounts_led", "", "Heroku accounts that are led.");
    actuator->tokens = metrics_gauge(metrics, "dynosaur_heroku_tokens", "",
                                     "Tokens left of Heroku's rate limit, the scarcest account; "
                                     "-1: not told.");
}

/* One token a flight of the core can fail to be given to the journal. */
static bool room_make(struct actuator *actuator, size_t accounts)
{
    size_t max = (accounts + 1) * ACT_FLIGHTS_MAX;
    uint64_t *tokens = calloc(max, sizeof *tokens);
    bool *missing = calloc(accounts + 1, sizeof *missing);
    if (tokens == NULL || missing == NULL) {
        free(tokens);
        free(missing);
        return false;
    }
    on_unbegun(actuator);
    free(actuator->unbegun_tokens);
    free(actuator->key_missing);
    actuator->unbegun_tokens = tokens;
    actuator->unbegun_max = max;
    actuator->key_missing = missing;
    return true;
}

static void on_trouble(void *arg, const char *why)
{
    struct actuator *actuator = arg;
    service_redis_trouble(actuator->service, why);
}

static struct follow *follow_make(struct actuator *actuator, struct dyn_error *error)
{
    const struct service *service = actuator->service;
    struct follow_options options = {
        .prefix = service->config->redis.prefix,
        .url = service->redis_url,
        .access = service->redis_access,
        .commands = service->bus,
        .partitions = service->config->redis.partitions,
        .target = on_target,
        .history = on_history,
        .mark = on_mark,
        .command = on_command,
        .commanded = on_commanded,
        .malformed = on_malformed,
        .trouble = on_trouble,
        .arg = actuator,
    };
    return follow_new(service->loop, &options, error);
}

static struct accounts *accounts_make(struct actuator *actuator)
{
    const struct service *service = actuator->service;
    struct accounts_options options = {
        .prefix = service->config->redis.prefix,
        .instance = service->instance,
        .times = service->config->redis.lease,
        .taken = on_taken,
        .lost = on_lost,
        .clear = on_clear,
        .may_leave = on_may_leave,
        .arg = actuator,
    };
    return accounts_new(service->loop, service->config, &options);
}

static struct journal *journal_make(struct actuator *actuator)
{
    struct journal_options options = {
        .prefix = actuator->service->config->redis.prefix,
        .accounts = actuator->accounts,
        .entry = on_journal_entry,
        .loaded = on_journal_loaded,
        .begun = on_begun,
        .arg = actuator,
    };
    return journal_new(&options);
}

static dyn_err actuator_start(struct service *service, struct dyn_error *error)
{
    struct actuator *actuator = service->state;
    actuator->service = service;
    actuator->config = service->config;
    struct act_effects effects = {on_send,     on_begin,   on_end,     on_action,
                                  on_event,    on_actual,  on_running, on_fenced,
                                  on_identity, on_trusted, actuator};
    struct heroku_options heroku = {service->instance, on_answered, on_may_write, actuator};
    metrics_make(actuator, service->metrics);
    actuator->core = act_core_new(service->config, &effects, dyn_random(), now_take());
    actuator->heroku = heroku_new(service->loop, &heroku);
    actuator->accounts = accounts_make(actuator);
    actuator->journal = actuator->accounts != NULL ? journal_make(actuator) : NULL;
    actuator->ticker = dyn_timer_new(service->loop, on_tick, actuator);
    actuator->unbegun = dyn_timer_new(service->loop, on_unbegun, actuator);
    if (actuator->core == NULL || actuator->heroku == NULL || actuator->journal == NULL ||
        actuator->ticker == NULL || actuator->unbegun == NULL ||
        !room_make(actuator, service->config->accounts_count)) {
        return dyn_error_set(error, DYN_NOMEM, "out of memory");
    }
    actuator->follow = follow_make(actuator, error);
    if (actuator->follow == NULL) {
        return DYN_CONFIG;
    }
    keys_check(actuator, true);
    act_commands(actuator->core, false, now_take());
    actuator->kill_at_ms = INT64_MAX;
    kill_timer_set(INT64_MAX);
    dyn_timer_start(actuator->ticker, ACT_TICK_MS, ACT_TICK_MS);
    return DYN_OK;
}

static void actuator_redis_ready(struct service *service, struct dyn_str replid)
{
    struct actuator *actuator = service->state;
    follow_open(actuator->follow, service->bus);
    journal_open(actuator->journal, service->bus);
    accounts_open(actuator->accounts, service->bus, replid);
}

static void actuator_redis_lost(struct service *service, const char *why)
{
    struct actuator *actuator = service->state;
    follow_close(actuator->follow);
    journal_close(actuator->journal);
    accounts_close(actuator->accounts, why);
}

static void actuator_reload(struct service *service, struct config *next)
{
    struct actuator *actuator = service->state;
    if (!room_make(actuator, next->accounts_count) ||
        accounts_reload(actuator->accounts, next) != DYN_OK ||
        act_core_reload(actuator->core, next, now_take()) != DYN_OK) {
        /* One may hold the new tree and another the old one: only a start can help. */
        dyn_log(DYN_LOG_ERROR, "reload_failed", "msg=\"out of memory\"");
        service_stop(service, 1);
        return;
    }
    actuator->config = next;
    keys_check(actuator, true);
    act_commands(actuator->core, false, now_take());
    follow_again(actuator->follow);
}

static void actuator_drain(struct service *service)
{
    struct actuator *actuator = service->state;
    /* The others learn first what falls to them, so that nothing stands without a leader. */
    bool others = accounts_goodbye(actuator->accounts);
    int64_t beat_ms = actuator->config->redis.lease.beat_ms;
    actuator->leave_at_ms = others ? dyn_clock_boot_ms() + beat_ms + beat_ms / 4 : INT64_MIN;
    on_tick(actuator);
}

static void actuator_stop(struct service *service)
{
    struct actuator *actuator = service->state;
    dyn_timer_free(actuator->ticker);
    dyn_timer_free(actuator->unbegun);
    follow_free(actuator->follow);
    heroku_free(actuator->heroku);
    journal_free(actuator->journal);
    accounts_free(actuator->accounts);
    act_core_free(actuator->core);
    free(actuator->unbegun_tokens);
    free(actuator->key_missing);
}

static bool actuator_ready(struct service *service, struct dyn_buf *why)
{
    const struct actuator *actuator = service->state;
    const struct config *config = actuator->config;
    if (!follow_is_live(actuator->follow)) {
        (void)dyn_buf_addf(why, "the newest targets are not read yet");
        return false;
    }
    for (size_t i = 0; i < config->accounts_count; i++) {
        if (accounts_is_held(actuator->accounts, i) && !actuator->key_missing[i] &&
            !act_account_usable(actuator->core, i)) {
            (void)dyn_buf_addf(why,
                               "account %s: its journal is not read, or Heroku refuses its key",
                               config->accounts[i].name);
            return false;
        }
    }
    for (size_t i = 0; i < config->accounts_count; i++) {
        if (accounts_is_held(actuator->accounts, i)) {
            (void)dyn_buf_addf(why, "%s%s", why->len == 0 ? "leads " : ", ",
                               config->accounts[i].name);
        }
    }
    if (why->len == 0) {
        (void)dyn_buf_addf(why, "leads no account: stands by");
    }
    return true;
}

const struct service_ops actuator_ops = {
    .name = "actuator",
    .help = "Holds the Heroku keys and brings each app to its target.",
    .http_port = 9103,
    .state_size = sizeof(struct actuator),
    .start = actuator_start,
    .redis_ready = actuator_redis_ready,
    .redis_lost = actuator_redis_lost,
    .reload = actuator_reload,
    .drain = actuator_drain,
    .stop = actuator_stop,
    .ready = actuator_ready,
};
