#include "tests/integration/support_sink.h"

#include "common/clock.h"
#include "common/config_internal.h"
#include "reporter/dedup.h"

#include <check.h>

#define ITEMS_MAX 1024
#define RUN_MAX_MS 20000

static struct dyn_loop *loop;
static struct http_client *client;
static struct config *config;
static struct sink_host *host;
static struct dedup dedup;
static struct sink_tally tally;
static double queued;
static char refusal[DYN_ERROR_TEXT_MAX];

static struct item {
    struct event event;
    struct action action;
    const struct sink_stat *stats;
    struct sink_delivery delivery;
} items[ITEMS_MAX];
static size_t items_count;

/* ---- what the reporter is to the host ---- */

static bool may(void *arg)
{
    (void)arg;
    return true;
}

static bool prepare(void *arg, struct host_item *item, struct sink_delivery *out)
{
    (void)arg;
    *out = items[item->id.seq].delivery;
    return true;
}

static void bury(void *arg, const struct host_item *item, const char *why)
{
    (void)arg;
    (void)item;
    dyn_str_copy(tally.why, sizeof tally.why, dyn_str_from(why));
    host_buried(host, true);
}

static void accepted(void *arg, const struct host_item *item)
{
    (void)arg;
    (void)item;
}

static void room(void *arg)
{
    (void)arg;
}

/* ---- life ---- */

void sink_setup(void)
{
    loop = dyn_loop_new();
    ck_assert_ptr_nonnull(loop);
    client = http_client_new(loop, NULL);
    ck_assert_ptr_nonnull(client);
}

static void sink_end(void)
{
    host_free(host);
    host = NULL;
    config_free(config);
    config = NULL;
}

void sink_teardown(void)
{
    sink_end();
    http_client_free(client);
    dyn_loop_free(loop);
}

DYN_PRINTF(2, 0)
static dyn_err sink_make(const char *section, const char *format, va_list args,
                         struct dyn_error *error)
{
    struct dyn_buf text;
    sink_end();
    memset(&dedup, 0, sizeof dedup);
    tally = (struct sink_tally){.why = ""};
    items_count = 0;
    dyn_buf_init(&text, DYN_CONFIG_FILE_MAX);
    (void)dyn_buf_addf(&text, "scaler: {heroku_app_name: shop, heroku_api_key: \"${KEY}\"}\n"
                              "controller_plugins:\n"
                              "- {name: dynos, type: dynos, input_plugins: [{name: load, type: "
                              "sine}]}\n");
    (void)dyn_buf_addf(&text, "%s:\n- {", section);
    (void)dyn_buf_vaddf(&text, format, args);
    (void)dyn_buf_addf(&text, "}\n");
    ck_assert_int_eq(dyn_buf_result(&text), DYN_OK);
    config = config_load_text("t", dyn_buf_str(&text), error);
    dyn_buf_fini(&text);
    if (config == NULL) {
        return DYN_CONFIG;
    }
    enum config_kind kind = CONFIG_STATS;
    while (strcmp(section, config_kind_section(kind)) != 0) {
        kind++;
        ck_assert_int_le(kind, CONFIG_SUCCESS);
    }
    ck_assert_uint_ge(config->sinks_count[kind], 1);
    const struct config_sink *sink = &config->sinks[kind][0];
    const struct sink_ops *ops = sink_find(kind, sink->type->name);
    ck_assert_msg(ops != NULL, "no code for %s", sink->type->name);
    return host_new(&(struct host_options){.loop = loop,
                                           .http = client,
                                           .config = sink,
                                           .ops = ops,
                                           .drop_oldest = kind == CONFIG_STATS,
                                           .counters = {.accepted = &tally.accepted,
                                                        .failed = &tally.failed,
                                                        .dead = &tally.dead,
                                                        .dropped = &tally.dropped,
                                                        .queued = &queued},
                                           .may = may,
                                           .prepare = prepare,
                                           .bury = bury,
                                           .accepted = accepted,
                                           .room = room},
                    &host, error);
}

void sink_configure(const char *section, const char *format, ...)
{
    struct dyn_error error = {""};
    va_list args;
    va_start(args, format);
    dyn_err err = sink_make(section, format, args, &error);
    va_end(args);
    ck_assert_msg(err == DYN_OK, "%s", error.text);
}

const char *sink_refused(const char *section, const char *format, ...)
{
    struct dyn_error error = {""};
    va_list args;
    va_start(args, format);
    dyn_err err = sink_make(section, format, args, &error);
    va_end(args);
    ck_assert_msg(err != DYN_OK, "it is not refused");
    dyn_str_copy(refusal, sizeof refusal, dyn_str_from(error.text));
    return refusal;
}

/* ---- deliveries ---- */

static struct item *item_new(void)
{
    ck_assert_uint_lt(items_count, ITEMS_MAX);
    items[items_count] = (struct item){.stats = NULL};
    return &items[items_count++];
}

static void item_add(void)
{
    struct entry_id id = {.ms = 1, .seq = items_count - 1};
    ck_assert_int_eq(host_add(host, 0, id, DYN_STR("m")), DYN_OK);
}

void sink_add_event(struct event event)
{
    const struct dedup_entry *entry = NULL;
    uint64_t forgotten = 0;
    struct item *item = item_new();
    item->event = event;
    item->delivery.event = &item->event;
    if (!dedup_take(&dedup, &event, event.wall_ms, &item->delivery.repeats, &entry, &forgotten)) {
        return;
    }
    item->delivery.incident = entry != NULL ? entry->incident : 0;
    item->delivery.others = item->delivery.incident != 0 ? dedup_others(&dedup, entry) : 0;
    item_add();
}

void sink_add_action(struct action action)
{
    struct item *item = item_new();
    item->action = action;
    item->delivery.action = &item->action;
    item_add();
}

void sink_add_ping(void)
{
    (void)item_new();
    item_add();
}

void sink_add_stats(const struct sink_stat *stats, size_t count)
{
    struct item *item = item_new();
    item->delivery.stats = stats;
    item->delivery.stats_count = count;
    item_add();
}

struct sink_tally sink_run_for(int64_t ms)
{
    int64_t end_ms = dyn_clock_boot_ms() + ms;
    while (host_queued(host) > 0 && dyn_clock_boot_ms() < end_ms) {
        dyn_loop_once(loop, 10);
    }
    return tally;
}

struct sink_tally sink_run(void)
{
    (void)sink_run_for(RUN_MAX_MS);
    ck_assert_msg(host_queued(host) == 0, "%zu wait; the last failure: %s", host_queued(host),
                  tally.why);
    return tally;
}

struct sink_tally sink_run_ahead(int64_t *ahead_s)
{
    int64_t left_ms = RUN_MAX_MS;
    while (host_queued(host) > 0 && left_ms > 0) {
        int64_t begun_ms = dyn_clock_boot_ms();
        dyn_loop_once(loop, 5);
        left_ms -= dyn_clock_boot_ms() - begun_ms;
        if (host_is_idle(host)) {
            (*ahead_s)++;
        }
    }
    ck_assert_msg(host_queued(host) == 0, "%zu wait; the last failure: %s", host_queued(host),
                  tally.why);
    return tally;
}

size_t sink_waiting(void)
{
    return host_queued(host);
}

struct event sink_event(const char *app, enum event_state state, const char *cause)
{
    return (struct event){.level = state == EVENT_OVER ? EVENT_INFO : EVENT_ERROR,
                          .state = state,
                          .code = DYN_STR("input_outage"),
                          .app = dyn_str_from(app),
                          .controller = DYN_STR("dynos"),
                          .input = DYN_STR("users"),
                          .service = DYN_STR("estimator"),
                          .instance = DYN_STR("host-1"),
                          .cause = dyn_str_from(cause),
                          .text = DYN_STR("no value since 300 s <b>&\xc3\xa4"),
                          .wall_ms = 1525187794564};
}

struct action sink_action(int32_t from, int32_t to, enum action_outcome outcome)
{
    return (struct action){.app = DYN_STR("shop"),
                           .name = DYN_STR("dynos"),
                           .process_type = DYN_STR("web"),
                           .from = from,
                           .to = to,
                           .target = to,
                           .outcome = outcome,
                           .wall_ms = 1525187794564};
}
