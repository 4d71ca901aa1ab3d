#include "deploy/cli/fleet.h"

#include "common/clock.h"

#include <inttypes.h>

enum {
    KEY_MAX = DYN_NAME_MAX + 64,
    SCAN_TURNS_MAX = 10000,
    OWNER_HEX = 17 /* a dash and 16 digits */
};

#define MARK_ENTRIES "300"   /* of the targets' stream: a mark comes every few seconds */
#define REPORT_ENTRIES "100" /* of the reports' stream */
#define ACTION_ENTRIES "1000"

struct fleet_reading {
    struct fleet *fleet;
    struct pack_reader *reader;
    struct fleet_controller **by_id; /* sorted */
    uint32_t partition;
};

static int compare_ids(const void *a, const void *b)
{
    uint64_t left = (*(struct fleet_controller *const *)a)->config->id;
    uint64_t right = (*(struct fleet_controller *const *)b)->config->id;
    return (left > right) - (left < right);
}

static struct fleet_controller *fleet_find(struct fleet_reading *reading, uint64_t id)
{
    size_t low = 0;
    size_t high = reading->fleet->controllers_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        uint64_t there = reading->by_id[middle]->config->id;
        if (there == id) {
            return reading->by_id[middle];
        }
        if (there < id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

static bool message_is(struct fleet_reading *reading, struct dyn_str message,
                       enum message_kind kind)
{
    return pack_reader_start(reading->reader, message) == DYN_OK &&
           message_read_kind(reading->reader) == kind;
}

/* A copy of the message whose bytes live as long as the controller. */
static struct dyn_str message_keep(struct dyn_buf *bytes, struct dyn_str message)
{
    dyn_buf_fini(bytes);
    dyn_buf_init(bytes, DYN_ENTRY_MAX);
    (void)dyn_buf_add_str(bytes, message);
    return dyn_buf_str(bytes);
}

static void target_take(struct fleet_reading *reading, struct dyn_str message)
{
    static struct target target;
    if (!message_is(reading, message, MESSAGE_TARGET) ||
        message_read_target(reading->reader, &target) != DYN_OK) {
        reading->fleet->unread++;
        return;
    }
    struct fleet_controller *controller = fleet_find(reading, target.controller);
    if (controller == NULL) {
        return;
    }
    struct dyn_str kept = message_keep(&controller->target_bytes, message);
    if (controller->target == NULL) {
        controller->target = calloc(1, sizeof *controller->target);
    }
    if (controller->target == NULL || !message_is(reading, kept, MESSAGE_TARGET) ||
        message_read_target(reading->reader, controller->target) != DYN_OK) {
        free(controller->target);
        controller->target = NULL;
    }
}

/* The newest that is told of a controller: after a lease has moved, two accounts may have one. */
static void actual_take(struct fleet_reading *reading, struct dyn_str message)
{
    struct actual actual;
    if (!message_is(reading, message, MESSAGE_ACTUAL) ||
        message_read_actual(reading->reader, &actual) != DYN_OK) {
        reading->fleet->unread++;
        return;
    }
    struct fleet_controller *controller = fleet_find(reading, actual.controller);
    if (controller == NULL ||
        (controller->actual != NULL && controller->actual->wall_ms > actual.wall_ms)) {
        return;
    }
    struct dyn_str kept = message_keep(&controller->actual_bytes, message);
    if (controller->actual == NULL) {
        controller->actual = calloc(1, sizeof *controller->actual);
    }
    if (controller->actual == NULL || !message_is(reading, kept, MESSAGE_ACTUAL) ||
        message_read_actual(reading->reader, controller->actual) != DYN_OK) {
        free(controller->actual);
        controller->actual = NULL;
    }
}

static void reports_take(struct fleet_reading *reading, struct dyn_str message)
{
    static struct report report;
    uint32_t count = 0;
    if (!message_is(reading, message, MESSAGE_REPORT) ||
        message_read_reports(reading->reader, &report.log_ms, &count) != DYN_OK) {
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (message_read_report(reading->reader, &report) != DYN_OK) {
            return;
        }
        struct fleet_controller *controller = fleet_find(reading, report.controller);
        if (controller != NULL && controller->report == NULL) {
            controller->report = malloc(sizeof *controller->report);
            if (controller->report != NULL) {
                *controller->report = report;
            }
        }
    }
}

/* ---- replies ---- */

static void take_newest(void *arg, const struct bus_reply *reply)
{
    for (size_t i = 1; i < bus_reply_count(reply); i += 2) {
        target_take(arg, bus_reply_str(bus_reply_at(reply, i)));
    }
}

static void take_state(void *arg, const struct bus_reply *reply)
{
    for (size_t i = 1; i < bus_reply_count(reply); i += 2) {
        actual_take(arg, bus_reply_str(bus_reply_at(reply, i)));
    }
}

static void take_mark(void *arg, const struct bus_reply *reply)
{
    struct fleet_reading *reading = arg;
    for (size_t i = 0; i < bus_reply_count(reply); i++) {
        struct bus_entry entry;
        struct mark mark;
        if (bus_reply_entry(bus_reply_at(reply, i), &entry) == DYN_OK &&
            message_is(reading, entry.message, MESSAGE_MARK) &&
            message_read_mark(reading->reader, &mark) == DYN_OK) {
            reading->fleet->partitions[reading->partition].folded_ms = (int64_t)mark.folded.ms;
            return;
        }
    }
}

static void take_reports(void *arg, const struct bus_reply *reply)
{
    for (size_t i = 0; i < bus_reply_count(reply); i++) {
        struct bus_entry entry;
        if (bus_reply_entry(bus_reply_at(reply, i), &entry) == DYN_OK) {
            reports_take(arg, entry.message);
        }
    }
}

/* INSTANCE-HEX: the second part tells two processes of one instance apart, and people nothing. */
static void take_leader(void *arg, const struct bus_reply *reply)
{
    char *leader = arg;
    struct dyn_str owner = bus_reply_type(reply) == BUS_STRING ? bus_reply_str(reply) : DYN_STR("");
    if (owner.len > OWNER_HEX && owner.ptr[owner.len - OWNER_HEX] == '-') {
        owner.len -= OWNER_HEX;
    }
    dyn_str_copy(leader, FLEET_OWNER_MAX, owner);
}

/* ---- reading ---- */

static dyn_err partition_read(struct fleet_reading *reading, struct remote *remote,
                              struct dyn_error *error)
{
    char newest[KEY_MAX];
    char lease[KEY_MAX];
    char targets[KEY_MAX];
    char reports[KEY_MAX];
    const char *prefix = reading->fleet->config->redis.prefix;
    uint32_t partition = reading->partition;
    (void)snprintf(newest, sizeof newest, "%s:{%" PRIu32 "}:newest", prefix, partition);
    (void)snprintf(lease, sizeof lease, "%s:{%" PRIu32 "}:lease", prefix, partition);
    (void)snprintf(targets, sizeof targets, "%s:{%" PRIu32 "}:targets", prefix, partition);
    (void)snprintf(reports, sizeof reports, "%s:{%" PRIu32 "}:reports", prefix, partition);
    dyn_err err = remote_ask(remote, take_newest, reading, error, "HGETALL", newest, NULL);
    if (err == DYN_OK) {
        err = remote_ask(remote, take_leader, reading->fleet->partitions[partition].leader, error,
                         "HGET", lease, "owner", NULL);
    }
    if (err == DYN_OK) {
        err = remote_ask(remote, take_mark, reading, error, "XREVRANGE", targets, "+", "-", "COUNT",
                         MARK_ENTRIES, NULL);
    }
    if (err == DYN_OK) {
        err = remote_ask(remote, take_reports, reading, error, "XREVRANGE", reports, "+", "-",
                         "COUNT", REPORT_ENTRIES, NULL);
    }
    return err;
}

struct fleet_scan {
    struct dyn_buf keys; /* each followed by a NUL */
    char cursor[24];
};

static void take_keys(void *arg, const struct bus_reply *reply)
{
    struct fleet_scan *scan = arg;
    const struct bus_reply *keys = bus_reply_at(reply, 1);
    dyn_str_copy(scan->cursor, sizeof scan->cursor, bus_reply_str(bus_reply_at(reply, 0)));
    for (size_t i = 0; keys != NULL && i < bus_reply_count(keys); i++) {
        (void)dyn_buf_add_str(&scan->keys, bus_reply_str(bus_reply_at(keys, i)));
        (void)dyn_buf_add(&scan->keys, "", 1);
    }
}

/* The actuator names its accounts' keys by who they belong to, which only Heroku tells. */
static dyn_err states_read(struct fleet_reading *reading, struct remote *remote,
                           struct dyn_error *error)
{
    struct fleet_scan scan = {.cursor = "0"};
    char pattern[KEY_MAX];
    dyn_err err = DYN_OK;
    dyn_buf_init(&scan.keys, (size_t)1024 * 1024);
    (void)snprintf(pattern, sizeof pattern, "%s:{act}:*:state",
                   reading->fleet->config->redis.prefix);
    for (int turn = 0; err == DYN_OK && turn < SCAN_TURNS_MAX; turn++) {
        err = remote_ask(remote, take_keys, &scan, error, "SCAN", scan.cursor, "MATCH", pattern,
                         "COUNT", "1000", NULL);
        if (strcmp(scan.cursor, "0") == 0) {
            break;
        }
    }
    for (size_t at = 0; err == DYN_OK && at < scan.keys.len; at += strlen(scan.keys.ptr + at) + 1) {
        err = remote_ask(remote, take_state, reading, error, "HGETALL", scan.keys.ptr + at, NULL);
    }
    dyn_buf_fini(&scan.keys);
    return err;
}

static dyn_err leases_read(struct fleet *fleet, struct remote *remote, struct dyn_error *error)
{
    dyn_err err = DYN_OK;
    for (size_t i = 0; err == DYN_OK && i < fleet->config->accounts_count; i++) {
        char key[KEY_MAX + DYN_NAME_MAX];
        fleet->accounts[i].config = &fleet->config->accounts[i];
        (void)snprintf(key, sizeof key, "%s:{act}:%s:lease", fleet->config->redis.prefix,
                       fleet->config->accounts[i].name);
        err = remote_ask(remote, take_leader, fleet->accounts[i].leader, error, "HGET", key,
                         "owner", NULL);
    }
    return err;
}

static dyn_err reading_start(struct fleet_reading *reading, const struct config *config)
{
    struct fleet *fleet = reading->fleet;
    for (size_t i = 0; i < config->apps_count; i++) {
        fleet->controllers_count += config->apps[i].controllers_count;
    }
    fleet->controllers = calloc(fleet->controllers_count + 1, sizeof *fleet->controllers);
    fleet->accounts = calloc(config->accounts_count + 1, sizeof *fleet->accounts);
    reading->by_id = calloc(fleet->controllers_count + 1, sizeof(struct fleet_controller *));
    reading->reader = pack_reader_new();
    if (fleet->controllers == NULL || fleet->accounts == NULL || reading->by_id == NULL ||
        reading->reader == NULL) {
        return DYN_NOMEM;
    }
    size_t at = 0;
    for (size_t i = 0; i < config->apps_count; i++) {
        const struct config_app *app = &config->apps[i];
        fleet->partitions[app->partition].used = true;
        for (size_t k = 0; k < app->controllers_count; k++) {
            reading->by_id[at] = &fleet->controllers[at];
            fleet->controllers[at].app = app;
            fleet->controllers[at++].config = &app->controllers[k];
        }
    }
    qsort(reading->by_id, at, sizeof(struct fleet_controller *), compare_ids);
    return DYN_OK;
}

struct fleet *fleet_read(struct remote *remote, const struct config *config,
                         struct dyn_error *error)
{
    struct fleet *fleet = calloc(1, sizeof *fleet);
    struct fleet_reading reading = {.fleet = fleet};
    dyn_err err = DYN_NOMEM;
    if (fleet != NULL) {
        fleet->config = config;
        err = reading_start(&reading, config);
    }
    if (err != DYN_OK) {
        (void)dyn_error_set(error, err, "out of memory");
    }
    for (uint32_t p = 0; err == DYN_OK && p < config->redis.partitions; p++) {
        reading.partition = p;
        if (fleet->partitions[p].used) {
            err = partition_read(&reading, remote, error);
        }
    }
    if (err == DYN_OK) {
        err = states_read(&reading, remote, error);
    }
    if (err == DYN_OK) {
        err = leases_read(fleet, remote, error);
    }
    pack_reader_free(reading.reader);
    free(reading.by_id);
    if (err != DYN_OK) {
        fleet_free(fleet);
        return NULL;
    }
    fleet->now_ms = dyn_clock_wall_ms();
    return fleet;
}

void fleet_free(struct fleet *fleet)
{
    if (fleet == NULL) {
        return;
    }
    for (size_t i = 0; fleet->controllers != NULL && i < fleet->controllers_count; i++) {
        struct fleet_controller *controller = &fleet->controllers[i];
        free(controller->target);
        free(controller->actual);
        free(controller->report);
        dyn_buf_fini(&controller->target_bytes);
        dyn_buf_fini(&controller->actual_bytes);
    }
    free(fleet->controllers);
    free(fleet->accounts);
    free(fleet);
}

/* ---- actions ---- */

struct fleet_actions {
    struct pack_reader *reader;
    const char *app;
    struct fleet_action *out;
    size_t max;
    size_t count;
};

static bool action_read(struct fleet_actions *actions, struct dyn_str message, struct action *out)
{
    return pack_reader_start(actions->reader, message) == DYN_OK &&
           message_read_kind(actions->reader) == MESSAGE_ACTION &&
           message_read_action(actions->reader, out) == DYN_OK;
}

static void take_actions(void *arg, const struct bus_reply *reply)
{
    struct fleet_actions *actions = arg;
    for (size_t i = 0; i < bus_reply_count(reply) && actions->count < actions->max; i++) {
        struct bus_entry entry;
        struct action action;
        struct fleet_action *kept = &actions->out[actions->count];
        if (bus_reply_entry(bus_reply_at(reply, i), &entry) != DYN_OK ||
            !action_read(actions, entry.message, &action) ||
            (actions->app != NULL && !dyn_str_is(action.app, actions->app))) {
            continue;
        }
        dyn_buf_init(&kept->bytes, DYN_ENTRY_MAX);
        (void)dyn_buf_add_str(&kept->bytes, entry.message);
        if (action_read(actions, dyn_buf_str(&kept->bytes), &kept->action)) {
            actions->count++;
        } else {
            dyn_buf_fini(&kept->bytes);
        }
    }
}

dyn_err fleet_read_actions(struct remote *remote, const struct config *config, const char *app,
                           struct fleet_action *out, size_t max, size_t *out_count,
                           struct dyn_error *error)
{
    char key[KEY_MAX];
    struct fleet_actions actions = {
        .reader = pack_reader_new(), .app = app, .out = out, .max = max};
    if (actions.reader == NULL) {
        return dyn_error_set(error, DYN_NOMEM, "out of memory");
    }
    (void)snprintf(key, sizeof key, "%s:actions", config->redis.prefix);
    dyn_err err = remote_ask(remote, take_actions, &actions, error, "XREVRANGE", key, "+", "-",
                             "COUNT", ACTION_ENTRIES, NULL);
    pack_reader_free(actions.reader);
    *out_count = actions.count;
    return err;
}
