#include "tests/sim/sim_faults.h"

#include <stdlib.h>

#define ENTRIES_MAX 1024
#define PERSON_US (5 * SIM_S) /* how often a person looks */
#define HOUR_US (60 * SIM_MINUTE)

struct entry {
    unsigned area;
    uint64_t of;
    int64_t from;
    int64_t until; /* INT64_MAX: still going on */
};

/* A fault under way: what has to be put right again, and when. */
struct undo {
    size_t entry;
    void (*fn)(const struct undo *undo);
    struct fleet_slot *slot;
    uint64_t process;
    struct sim_server *server;
    enum sim_link link;
    size_t of;
    enum sim_server_fault fault;
    char key[48];
    struct sim_event event;
    struct undo *next;
};

static struct {
    enum fault_class class;
    int64_t until;
    struct sim_random random;
    struct entry entries[ENTRIES_MAX];
    size_t count;
    struct undo *undos;
    struct sim_event next;
    struct sim_event person;
    int64_t log_top_ms; /* the highest wall clock that a primary has shown */
    bool failing_over;
    bool went_back;
    void (*watch)(void *arg, unsigned area, uint64_t of);
    void *arg;
} faults;

static int64_t draw(int64_t low, int64_t high)
{
    return sim_random_range(&faults.random, low, high);
}

const char *fault_class_text(enum fault_class class)
{
    static const char *const texts[CLASSES] = {"quiet", "kills",  "light",   "heavy",
                                               "redis", "heroku", "sources", "clocks"};
    return texts[class];
}

enum fault_class faults_class(uint64_t seed)
{
    static const enum fault_class classes[] = {
        CLASS_QUIET,  CLASS_KILLS,  CLASS_KILLS,   CLASS_LIGHT, CLASS_LIGHT, CLASS_LIGHT,
        CLASS_HEAVY,  CLASS_HEAVY,  CLASS_HEAVY,   CLASS_REDIS, CLASS_REDIS, CLASS_REDIS,
        CLASS_HEROKU, CLASS_HEROKU, CLASS_SOURCES, CLASS_CLOCKS};
    struct sim_random random = {seed ^ UINT64_C(0xc1a55)};
    size_t count = sizeof classes / sizeof classes[0];
    return classes[sim_random_range(&random, 0, (int64_t)count - 1)];
}

/* ---- the journal ---- */

void faults_watch(void (*fn)(void *arg, unsigned area, uint64_t of), void *arg)
{
    faults.watch = fn;
    faults.arg = arg;
}

static size_t entry_add(unsigned area, uint64_t of)
{
    DYN_ASSERT(faults.count < ENTRIES_MAX);
    faults.entries[faults.count] = (struct entry){area, of, sim_now(), INT64_MAX};
    if (faults.watch != NULL) {
        faults.watch(faults.arg, area, of);
    }
    return faults.count++;
}

static void entry_note(unsigned area, uint64_t of)
{
    faults.entries[entry_add(area, of)].until = sim_now();
}

int64_t faults_over_since(unsigned areas)
{
    int64_t since = 0;
    for (size_t i = 0; i < faults.count; i++) {
        if ((faults.entries[i].area & areas) != 0 && faults.entries[i].until > since) {
            since = faults.entries[i].until;
        }
    }
    return since;
}

bool faults_touched(unsigned areas, int64_t from, int64_t to)
{
    for (size_t i = 0; i < faults.count; i++) {
        const struct entry *entry = &faults.entries[i];
        if ((entry->area & areas) != 0 && entry->from <= to && entry->until >= from) {
            return true;
        }
    }
    return false;
}

bool faults_touched_by(unsigned areas, uint64_t of, int64_t from, int64_t to)
{
    for (size_t i = 0; i < faults.count; i++) {
        const struct entry *entry = &faults.entries[i];
        if ((entry->area & areas) != 0 && entry->of == of && entry->from <= to &&
            entry->until >= from) {
            return true;
        }
    }
    return false;
}

size_t faults_count(void)
{
    return faults.count;
}

static int64_t primary_wall_ms(void)
{
    return sim_host_wall_us(sim_server_host(sim_server_primary())) / SIM_MS;
}

int64_t faults_log_stands_until(void)
{
    int64_t now = primary_wall_ms();
    faults.log_top_ms = now > faults.log_top_ms ? now : faults.log_top_ms;
    int64_t behind = faults.log_top_ms - now;
    return behind > 1000 ? sim_now() + behind * SIM_MS : 0;
}

bool faults_log_went_back(void)
{
    return faults.went_back;
}

/* Before a log is destroyed. */
static void log_goes(void)
{
    faults.went_back = faults.went_back || faults_log_stands_until() != 0;
}

/* ---- undoing ---- */

static void undo_now(void *arg)
{
    struct undo *undo = arg;
    struct undo **at = &faults.undos;
    while (*at != undo) {
        at = &(*at)->next;
    }
    *at = undo->next;
    undo->fn(undo);
    faults.entries[undo->entry].until = sim_now();
    free(undo);
}

/* `what` is copied. */
static void undo_at(const struct undo *what, unsigned area, uint64_t of, int64_t at)
{
    struct undo *undo = malloc(sizeof *undo);
    DYN_ASSERT(undo != NULL);
    *undo = *what;
    undo->event = (struct sim_event){0};
    undo->entry = entry_add(area, of);
    undo->next = faults.undos;
    faults.undos = undo;
    sim_event_set(&undo->event, NULL, at, undo_now, undo);
}

/* It is undone after `us`, and before the calm. */
static void undo_later(const struct undo *what, unsigned area, uint64_t of, int64_t us)
{
    int64_t at = sim_now() + us;
    undo_at(what, area, of, at < faults.until ? at : faults.until);
}

static bool undo_is_under_way(void (*fn)(const struct undo *undo), uint64_t process)
{
    for (const struct undo *undo = faults.undos; undo != NULL; undo = undo->next) {
        if (undo->fn == fn && (process == 0 || undo->process == process)) {
            return true;
        }
    }
    return false;
}

/* The process of an undo, if it still runs. */
static struct sim_process *undo_process(const struct undo *undo)
{
    struct sim_process *process = undo->slot->process;
    return process != NULL && sim_process_id(process) == undo->process ? process : NULL;
}

/* ---- processes ---- */

static struct fleet_slot *slot_any(void)
{
    struct fleet_slot *slot = &fleet.slots[draw(0, (int64_t)fleet.slots_count - 1)];
    return slot->process != NULL ? slot : NULL;
}

static void slot_is_back(const struct undo *undo)
{
    (void)undo;
}

static void fault_kill(void)
{
    struct fleet_slot *slot = slot_any();
    if (slot == NULL) {
        return;
    }
    struct undo undo = {.fn = slot_is_back, .slot = slot};
    uint64_t id = sim_process_id(slot->process);
    int64_t down = faults.class == CLASS_KILLS ? draw(30, 45) * SIM_S : draw(0, 20) * SIM_S;
    undo_later(&undo, AREA_PROCESS, id, down);
    fleet_kill(slot, down);
}

static void slot_thaw(const struct undo *undo)
{
    struct sim_process *process = undo_process(undo);
    if (process != NULL) {
        sim_process_thaw(process);
    }
}

static void fault_freeze(void)
{
    struct fleet_slot *slot = slot_any();
    if (slot == NULL || sim_process_is_frozen(slot->process)) {
        return;
    }
    uint64_t id = sim_process_id(slot->process);
    struct undo undo = {.fn = slot_thaw, .slot = slot, .process = id};
    sim_process_freeze(slot->process);
    undo_later(&undo, AREA_PROCESS, id, draw(2000, 51000) * SIM_MS);
}

static void fault_drain(void)
{
    struct fleet_slot *slot = slot_any();
    if (slot != NULL) {
        struct undo undo = {.fn = slot_is_back, .slot = slot};
        undo_later(&undo, AREA_PROCESS, sim_process_id(slot->process), 12 * SIM_S);
        sim_process_drain(slot->process);
    }
}

static void fault_reload(void)
{
    struct fleet_slot *slot = slot_any();
    if (slot != NULL) {
        entry_note(AREA_PROCESS, sim_process_id(slot->process));
        sim_process_reload(slot->process);
    }
}

/* ---- links ---- */

static void link_mend(const struct undo *undo)
{
    struct sim_process *process = undo_process(undo);
    if (process != NULL) {
        *sim_link_state(process, undo->link) = (struct sim_link_state){0};
        sim_link_changed(process, undo->link);
    }
}

static void fault_link(void)
{
    struct fleet_slot *slot = slot_any();
    if (slot == NULL || undo_is_under_way(link_mend, sim_process_id(slot->process))) {
        return;
    }
    uint64_t id = sim_process_id(slot->process);
    enum sim_link link = draw(0, 3) == 0 ? SIM_LINK_HTTP : SIM_LINK_REDIS;
    struct sim_link_state *state = sim_link_state(slot->process, link);
    int64_t kind = draw(0, 3);
    state->cut_out = kind == 0 || kind == 1;
    state->cut_in = kind == 0 || kind == 2;
    state->delay_us = kind == 3 ? 2 * SIM_S : 0;
    sim_link_changed(slot->process, link);
    struct undo undo = {.fn = link_mend, .slot = slot, .process = id, .link = link};
    undo_later(&undo, AREA_NETWORK, id, draw(1000, 45000) * SIM_MS);
}

static void fault_reset(void)
{
    struct fleet_slot *slot = slot_any();
    if (slot != NULL) {
        entry_note(AREA_NETWORK, sim_process_id(slot->process));
        sim_link_reset(slot->process);
    }
}

/* ---- Redis ---- */

static void server_up(const struct undo *undo)
{
    sim_server_start(undo->server, (int64_t)undo->of);
}

static void server_recover(const struct undo *undo)
{
    sim_server_fault(undo->server, undo->fault, false);
}

static bool redis_is_troubled(void)
{
    return undo_is_under_way(server_up, 0) || undo_is_under_way(server_recover, 0) ||
           faults.failing_over;
}

static void fault_restart(void)
{
    if (redis_is_troubled()) {
        return;
    }
    int64_t lost = draw(0, 2) == 0 ? draw(1, 3000) * SIM_MS : 0;
    struct undo undo = {.fn = server_up, .server = sim_server_primary(), .of = (size_t)lost};
    sim_server_stop(undo.server);
    undo_later(&undo, AREA_REDIS | AREA_HISTORY, 0, draw(100, 40000) * SIM_MS);
}

static void fault_server(void)
{
    if (redis_is_troubled()) {
        return;
    }
    struct undo undo = {.fn = server_recover,
                        .server = sim_server_primary(),
                        .fault = (enum sim_server_fault)draw(0, SIM_FAULT_COUNT - 1)};
    sim_server_fault(undo.server, undo.fault, true);
    undo_later(&undo, AREA_REDIS, 0, draw(500, 40000) * SIM_MS);
}

/* A person puts things right once Redis is there. */
static void person_looks_again(const struct undo *undo)
{
    undo_at(undo, AREA_HISTORY | AREA_REDIS, 0, sim_now() + PERSON_US);
}

static bool person_waits(const struct undo *undo)
{
    if (!redis_is_troubled()) {
        return false;
    }
    person_looks_again(undo);
    return true;
}

static void setup_again(const struct undo *undo)
{
    if (person_waits(undo)) {
        return;
    }
    sim_server_setup(sim_server_primary());
}

static void fault_flush(void)
{
    if (redis_is_troubled()) {
        return;
    }
    struct undo undo = {.fn = setup_again};
    log_goes();
    sim_server_flush(sim_server_primary());
    undo_later(&undo, AREA_HISTORY | AREA_REDIS, 0, draw(0, 10000) * SIM_MS);
}

static void partition_key(char *out, size_t size, const char *name)
{
    (void)snprintf(out, size, "dyn:{%lld}:%s", (long long)draw(0, (int64_t)fleet.partitions - 1),
                   name);
}

static void fault_delete(void)
{
    static const char *const names[] = {"values", "values", "targets", "newest", "lease"};
    char key[48];
    if (redis_is_troubled()) {
        return;
    }
    partition_key(key, sizeof key, names[draw(0, 4)]);
    sim_story("somebody deletes %s", key);
    entry_note(AREA_HISTORY | AREA_DELETE, 0);
    log_goes();
    sim_server_delete(sim_server_primary(), key);
}

static bool stream_has_ended(struct sim_server *server, const char *key)
{
    struct bus_entry last;
    size_t count = sim_stream_count(server, key);
    return count > 0 && sim_stream_at(server, key, count - 1, &last) && last.id.ms == UINT64_MAX;
}

/* Nobody can add to such a stream any more, until a person deletes it, and looks whether that has
 * lasted: a Redis that starts again may have lost it. */
static void key_delete(const struct undo *undo)
{
    if (person_waits(undo) || !stream_has_ended(sim_server_primary(), undo->key)) {
        return;
    }
    log_goes();
    sim_server_delete(sim_server_primary(), undo->key);
    person_looks_again(undo);
}

static void fault_last_entry(void)
{
    struct undo undo = {.fn = key_delete};
    if (redis_is_troubled() || undo_is_under_way(key_delete, 0)) {
        return;
    }
    partition_key(undo.key, sizeof undo.key, draw(0, 1) == 0 ? "values" : "targets");
    sim_story("somebody adds the highest entry to %s", undo.key);
    sim_server_entry_last(sim_server_primary(), undo.key);
    undo_later(&undo, AREA_HISTORY | AREA_REDIS | AREA_DELETE, 0, draw(5, 40) * SIM_S);
}

static void failover_ended(const struct undo *undo)
{
    if (undo->of != 0) {
        sim_server_start(undo->server, 0);
    }
    sim_server_demote(undo->server);
    sim_replication_set(true, 20 * SIM_MS);
    faults.failing_over = false;
}

static void failover_promotes(const struct undo *undo)
{
    sim_failover();
    struct undo after = {.fn = failover_ended, .server = undo->server, .of = undo->of};
    undo_later(&after, AREA_REDIS | AREA_HISTORY, 0, draw(1, 20) * SIM_S);
}

/* The link to the replica breaks, and some seconds later it is promoted: the primary was dead, or
 * cut off and still a master to those on its side. */
static void fault_failover(void)
{
    if (fleet.replicas == 0 || redis_is_troubled()) {
        return;
    }
    struct undo undo = {
        .fn = failover_promotes, .server = sim_server_primary(), .of = (size_t)draw(0, 1)};
    faults.failing_over = true;
    sim_replication_set(false, 0);
    if (undo.of != 0) {
        sim_server_stop(undo.server);
    }
    undo_later(&undo, AREA_REDIS | AREA_HISTORY, 0, draw(5000, 12000) * SIM_MS);
}

/* ---- clocks ---- */

static void fault_clock(void)
{
    static const int64_t steps[] = {10 * SIM_S, -10 * SIM_S, HOUR_US, -HOUR_US};
    int64_t step = steps[draw(0, 3)];
    int64_t which = draw(0, 2);
    if (which > 0 || fleet.slots_count == 0) {
        sim_story("the clock of Redis steps by %lld s", (long long)(step / SIM_S));
        (void)faults_log_stands_until();
        sim_host_wall_step(sim_server_host(sim_server_primary()), step);
        (void)faults_log_stands_until();
        entry_note(AREA_CLOCK, 0);
        return;
    }
    struct fleet_slot *slot = &fleet.slots[draw(0, (int64_t)fleet.slots_count - 1)];
    sim_story("the clock of %s steps by %lld s", slot->instance, (long long)(step / SIM_S));
    sim_host_wall_step(&slot->host, step);
    entry_note(AREA_CLOCK, slot->process != NULL ? sim_process_id(slot->process) : 0);
}

/* ---- Heroku, people, sources ---- */

static void nothing_to_undo(const struct undo *undo)
{
    (void)undo;
}

static void fault_heroku(void)
{
    struct heroku_rule rule = {
        .fault = (enum heroku_fault)draw(0, HEROKU_FAULTS - 1),
        .account = SIZE_MAX,
        .app = SIZE_MAX,
        .writes_only = draw(0, 1) == 0,
        .chance = draw(0, 2) == 0 ? 0.4 : 1,
    };
    int64_t us = draw(2, 90) * SIM_S;
    if (draw(0, 1) == 0) {
        rule.app = (size_t)draw(0, (int64_t)fleet.apps_count - 1);
    } else {
        rule.account = (size_t)draw(0, (int64_t)fleet.heroku_accounts_count - 1);
    }
    if (rule.fault <= HEROKU_SUSPENDED) {
        us = draw(20, 240) * SIM_S;
    }
    rule.from = sim_now();
    rule.limit = rule.fault == HEROKU_LIMIT ? (int)draw(3, 20) : (int)draw(5, 60);
    rule.until = sim_now() + us < faults.until ? sim_now() + us : faults.until;
    sim_story("Heroku begins: %s, account %d app %d%s for %lld s", heroku_fault_text(rule.fault),
              (int)rule.account, (int)rule.app, rule.writes_only ? ", writes" : "",
              (long long)(us / SIM_S));
    heroku_rule_add(&rule);
    struct undo undo = {.fn = nothing_to_undo};
    undo_later(&undo, AREA_HEROKU, rule.app, us);
}

static void maintenance_ends(const struct undo *undo)
{
    heroku_maintenance_set(undo->of, false);
}

static void app_is_on(const struct undo *undo)
{
    if (heroku_quantity(undo->of) == 0) {
        heroku_human_set(undo->of, 2);
    }
}

static void fault_human(void)
{
    size_t app = (size_t)draw(0, (int64_t)fleet.apps_count - 1);
    int64_t kind = draw(0, 9);
    if (kind == 0) {
        heroku_maintenance_set(app, true);
        undo_later(&(struct undo){.fn = maintenance_ends, .of = app}, AREA_HUMAN, app,
                   draw(30, 200) * SIM_S);
    } else if (kind == 1) {
        entry_note(AREA_HUMAN, app);
        heroku_pool_use((size_t)draw(0, (int64_t)fleet.heroku_accounts_count - 1),
                        (double)draw(0, 40));
    } else if (kind == 2) {
        heroku_human_set(app, 0);
        undo_later(&(struct undo){.fn = app_is_on, .of = app}, AREA_HUMAN, app,
                   draw(30, 120) * SIM_S);
    } else {
        entry_note(AREA_HUMAN, app);
        heroku_human_set(app, (int)draw(1, 30));
    }
}

static void source_mend(const struct undo *undo)
{
    demand_fault_set(undo->of, DEMAND_GOOD);
}

static void source_break(size_t input, enum demand_fault fault, int64_t us)
{
    if (demand_fault_of(input) != DEMAND_GOOD) {
        return;
    }
    sim_story("%s: %s for %lld s", fleet.inputs[input].name, demand_fault_text(fault),
              (long long)(us / SIM_S));
    demand_fault_set(input, fault);
    undo_later(&(struct undo){.fn = source_mend, .of = input}, AREA_SOURCE, input, us);
}

static void fault_source(void)
{
    enum demand_fault fault = (enum demand_fault)draw(DEMAND_ERROR, DEMAND_FAULTS - 1);
    int64_t us = draw(0, 3) == 0 ? draw(200, 500) * SIM_S : draw(5, 120) * SIM_S;
    if (draw(0, 3) != 0) {
        source_break((size_t)draw(0, (int64_t)fleet.inputs_count - 1), fault, us);
        return;
    }
    for (size_t i = 0; i < fleet.inputs_count; i++) { /* the vendor of all of them */
        source_break(i, fault, us);
    }
}

/* A setup that was lost with Redis is done again by whoever reads the logs of the services. */
static void person_looks(void *arg)
{
    (void)arg;
    bool gone = sim_hash_get(sim_server_primary(), "dyn:setup", "partitions").ptr == NULL;
    if (gone && !redis_is_troubled() && !undo_is_under_way(setup_again, 0)) {
        struct undo undo = {.fn = setup_again};
        undo_later(&undo, AREA_HISTORY | AREA_REDIS, 0, draw(1, 10) * SIM_S);
    }
    sim_event_set(&faults.person, NULL, sim_now() + 5 * SIM_S, person_looks, NULL);
}

/* ---- what comes next ---- */

struct choice {
    void (*fn)(void);
    unsigned weight[CLASSES]; /* quiet, kills, light, heavy, redis, heroku, sources, clocks */
};

static const struct choice CHOICES[] = {
    {fault_kill, {0, 1, 6, 6, 2, 3, 2, 2}},       {fault_freeze, {0, 0, 5, 5, 2, 3, 2, 2}},
    {fault_drain, {0, 0, 2, 2, 0, 1, 1, 0}},      {fault_reload, {0, 0, 1, 1, 0, 0, 0, 0}},
    {fault_link, {0, 0, 4, 4, 3, 2, 1, 1}},       {fault_reset, {0, 0, 1, 2, 2, 0, 0, 0}},
    {fault_restart, {0, 0, 1, 2, 5, 0, 0, 1}},    {fault_server, {0, 0, 1, 2, 5, 0, 0, 0}},
    {fault_flush, {0, 0, 0, 1, 2, 0, 0, 0}},      {fault_delete, {0, 0, 0, 1, 2, 0, 0, 0}},
    {fault_last_entry, {0, 0, 0, 0, 1, 0, 0, 0}}, {fault_failover, {0, 0, 2, 2, 6, 0, 0, 1}},
    {fault_clock, {0, 0, 0, 1, 1, 0, 0, 6}},      {fault_heroku, {0, 0, 4, 5, 0, 12, 0, 1}},
    {fault_human, {0, 0, 2, 3, 0, 5, 1, 0}},      {fault_source, {0, 0, 4, 4, 1, 1, 10, 3}},
};

static void fault_next(void *arg);

static void fault_plan(void)
{
    static const int64_t mean_s[CLASSES] = {0, 0, 70, 14, 30, 25, 45, 60};
    int64_t wait = draw(mean_s[faults.class] * 100, mean_s[faults.class] * 1900) * SIM_MS;
    if (faults.class == CLASS_KILLS) {
        wait = draw(75, 110) * SIM_S;
    }
    if (faults.class != CLASS_QUIET && sim_now() + wait < faults.until) {
        sim_event_set(&faults.next, NULL, sim_now() + wait, fault_next, NULL);
    }
}

static void fault_next(void *arg)
{
    size_t count = sizeof CHOICES / sizeof CHOICES[0];
    int64_t sum = 0;
    (void)arg;
    for (size_t i = 0; i < count; i++) {
        sum += CHOICES[i].weight[faults.class];
    }
    int64_t at = draw(0, sum - 1);
    size_t i = 0;
    while (at >= CHOICES[i].weight[faults.class]) {
        at -= CHOICES[i++].weight[faults.class];
    }
    CHOICES[i].fn();
    fault_plan();
}

/* ---- its life ---- */

void faults_begin(enum fault_class class, int64_t from, int64_t until)
{
    memset(&faults, 0, sizeof faults);
    faults.class = class;
    faults.until = until;
    faults.random = sim_random_of("faults");
    faults.log_top_ms = primary_wall_ms();
    if (class != CLASS_QUIET) {
        sim_event_set(&faults.next, NULL, from, fault_next, NULL);
        sim_event_set(&faults.person, NULL, from, person_looks, NULL);
    }
}

void faults_end(void)
{
    sim_event_cancel(&faults.next);
    sim_event_cancel(&faults.person);
    while (faults.undos != NULL) {
        struct undo *undo = faults.undos;
        faults.undos = undo->next;
        sim_event_cancel(&undo->event);
        free(undo);
    }
}
