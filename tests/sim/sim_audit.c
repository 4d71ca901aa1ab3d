#include "tests/sim/sim_audit_internal.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>

#define LOOK_US (5 * SIM_S)
#define TOLD_MAX 20 /* violations spelled out; all are counted */

struct audit audit;

static struct sim_event look_event;

/* ---- what all share ---- */

void audit_broken(const char *invariant, const char *format, ...)
{
    char words[1024];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(words, sizeof words, format, args);
    va_end(args);
    if (sim_story_told()) {
        sim_story("!!!!!! %s: %s", invariant, words);
    }
    if (audit.violations++ < TOLD_MAX) {
        (void)fprintf(stderr, "%s broken at %.3f s: %s\n", invariant,
                      (double)sim_now() / (double)SIM_S, words);
    }
}

void audit_failover_took(enum audit_failover kind, int64_t us)
{
    struct audit_times *times = &audit.times[kind];
    int64_t ms = us / SIM_MS;
    times->worst_ms = ms > times->worst_ms ? ms : times->worst_ms;
    times->sum_ms += ms;
    times->count++;
}

const struct audit_times *audit_failover(enum audit_failover kind)
{
    return &audit.times[kind];
}

const struct audit_counts *audit_counts(void)
{
    return &audit.counts;
}

unsigned audit_violations(void)
{
    return audit.violations;
}

uint64_t audit_hash(void)
{
    return audit.hash;
}

int audit_partition_of(struct dyn_str key, const char *name)
{
    char wanted[64];
    for (unsigned n = 0; n < fleet.partitions; n++) {
        (void)snprintf(wanted, sizeof wanted, "dyn:{%u}:%s", n, name);
        if (dyn_str_is(key, wanted)) {
            return (int)n;
        }
    }
    return -1;
}

static void hash_number(uint64_t number)
{
    audit.hash = dyn_hash(audit.hash, (struct dyn_str){(const char *)&number, sizeof number});
}

/* ---- what the world tells ---- */

static void event_written(const struct sim_write *write)
{
    struct event event;
    if (write->kind != SIM_WRITE_ADD || !dyn_str_is(write->key, "dyn:events") ||
        pack_reader_start(audit.reader, write->value) != DYN_OK ||
        message_read_kind(audit.reader) != MESSAGE_EVENT ||
        message_read_event(audit.reader, &event) != DYN_OK) {
        return;
    }
    audit.counts.events++;
    if (sim_story_told()) {
        sim_story("event " DYN_STR_FMT " state %d app " DYN_STR_FMT " " DYN_STR_FMT " " DYN_STR_FMT
                  ": " DYN_STR_FMT,
                  DYN_STR_ARG(event.code), event.state, DYN_STR_ARG(event.app),
                  DYN_STR_ARG(event.input), DYN_STR_ARG(event.cause), DYN_STR_ARG(event.text));
    }
    audit_log_event(&event);
    audit_told_event(&event);
}

static void redis_wrote(void *arg, const struct sim_write *write)
{
    (void)arg;
    hash_number((uint64_t)sim_now());
    hash_number(write->process);
    hash_number(write->id.ms ^ write->id.seq);
    audit.hash = dyn_hash(audit.hash, write->key);
    audit.hash = dyn_hash(audit.hash, write->value);
    audit_log_write(write);
    audit_writers_write(write);
    event_written(write);
}

static void source_told(void *arg, size_t input, uint64_t process, bool good, double value)
{
    (void)arg;
    (void)value;
    audit.counts.polls++;
    if (good) {
        audit_writers_polled(input, process);
    }
}

static void request_sent(void *arg, const struct sim_exchange *exchange)
{
    (void)arg;
    hash_number((uint64_t)sim_now());
    hash_number(exchange->process);
    audit.hash = dyn_hash(audit.hash, dyn_str_from(exchange->path));
    audit.hash = dyn_hash(audit.hash, dyn_str_from(exchange->body));
    if (strncmp(exchange->path, "/input/", 7) == 0) {
        return;
    }
    if (sim_story_told()) {
        const char *key = sim_exchange_header(exchange, "Authorization");
        sim_story("%s sends %s %s %s%s%s", exchange->sender, exchange->method, exchange->path,
                  exchange->body, exchange->has_body ? "" : "with ",
                  exchange->has_body || key == NULL ? "" : key);
    }
    if (heroku_is_write(exchange)) {
        audit.counts.writes++;
        audit_demand_sent(exchange);
    }
    audit_writers_sent(exchange);
}

static void heroku_noted(void *arg, const struct heroku_note *note)
{
    (void)arg;
    hash_number((uint64_t)note->kind << 32 | (uint32_t)note->to);
    if (sim_story_told()) {
        static const char *const kinds[] = {"done", "pool empty", "by hand", "refused"};
        sim_story("heroku: %s: %s %d -> %d, status %ld%s", kinds[note->kind],
                  note->app != SIZE_MAX ? fleet.apps[note->app].name : "-", note->from, note->to,
                  note->status, note->late ? ", late" : "");
    }
    if (note->kind == HEROKU_NOTE_HUMAN) {
        audit_demand_human(note->app);
    }
    audit_writers_note(note);
}

static void slot_changed(void *arg, const struct fleet_slot *slot, uint64_t process, bool runs)
{
    (void)arg;
    if (!runs) {
        audit_writers_gone(slot, process);
    }
}

static void fault_began(void *arg, unsigned area, uint64_t of)
{
    (void)arg;
    (void)of;
    hash_number(area);
}

static void look(void *arg)
{
    (void)arg;
    audit_told_look();
    audit_log_look();
    sim_event_set(&look_event, NULL, sim_now() + LOOK_US, look, NULL);
}

/* ---- its life ---- */

void audit_begin(enum fault_class class, int64_t calm_from, int64_t until)
{
    audit = (struct audit){.class = class, .calm_from = calm_from, .until = until};
    audit.hash = DYN_HASH_SEED;
    audit.reader = pack_reader_new();
    DYN_ASSERT(audit.reader != NULL);
    audit_demand_begin();
    audit_writers_begin();
    audit_log_begin();
    audit_told_begin();
    sim_writes_watch(redis_wrote, NULL);
    demand_watch(source_told, NULL);
    sim_http_watch(request_sent, NULL);
    heroku_watch(heroku_noted, NULL);
    fleet_watch(slot_changed, NULL);
    faults_watch(fault_began, NULL);
    sim_event_set(&look_event, NULL, sim_now() + LOOK_US, look, NULL);
}

void audit_finish(void)
{
    audit_log_finish();
    audit_writers_finish();
    audit_told_finish();
}

void audit_end(void)
{
    sim_event_cancel(&look_event);
    audit_demand_end();
    audit_log_end();
    pack_reader_free(audit.reader);
    audit.reader = NULL;
}
