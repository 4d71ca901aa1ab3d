/*
 * I2: one estimator publishes for a partition, one actuator writes to an account. I5: Heroku's pool
 * is never used up by us. And how long it takes until somebody else does what the dead did.
 *
 * An epoch belongs to one process, and never falls, on one server whose lease was not destroyed. A
 * write is judged as it leaves its process: the lease of its account must be that process's, as far
 * as any server that is a master knows; and as it is done: not behind a later one of somebody else.
 */
#include "tests/sim/sim_audit_internal.h"

#include <inttypes.h>
#include <stdlib.h>

#define DESTROYED_US (30 * SIM_S) /* a lease that was destroyed may be another's for so long */
#define SERVERS 2

struct publisher {
    uint64_t epoch;
    uint64_t process;
    char history[41]; /* the server's replication ID then */
};

struct holder {
    uint64_t process;
    char name[32];
    int64_t since;
};

struct doer { /* who did something last, and when the one before it died */
    uint64_t process;
    char name[32];
    int64_t died; /* 0: lives, or was followed */
};

static struct {
    struct publisher publishers[SERVERS][DYN_PARTITIONS_MAX];
    struct holder holders[FLEET_ACCOUNTS_MAX];
    int64_t destroyed; /* when leases were lost last; -DESTROYED_US: never */
    struct doer leaders[DYN_PARTITIONS_MAX];
    struct doer takers[FLEET_ACCOUNTS_MAX];
    struct doer askers[FLEET_ACCOUNTS_MAX];
    struct doer writers[FLEET_ACCOUNTS_MAX];
    struct doer pollers[DEMAND_INPUTS_MAX];
    struct {
        uint64_t process;
        int64_t sent;
    } done[FLEET_APPS_MAX]; /* the write done last */
    size_t judged;          /* of the rules that the model Heroku saw broken */
} who;

void audit_writers_begin(void)
{
    memset(&who, 0, sizeof who);
    who.destroyed = -DESTROYED_US;
}

/* ---- failover ---- */

static void doer_did(struct doer *doer, uint64_t process, const char *name,
                     enum audit_failover kind)
{
    if (doer->died != 0 && doer->process != process) {
        audit_failover_took(kind, sim_now() - doer->died);
        if (sim_story_told()) {
            sim_story("%s follows %s after %.1f s", name, doer->name,
                      (double)(sim_now() - doer->died) / (double)SIM_S);
        }
    }
    doer->died = 0;
    doer->process = process;
    (void)snprintf(doer->name, sizeof doer->name, "%s", name);
}

static void doer_died(struct doer *doer, uint64_t process)
{
    if (doer->process == process && process != 0) {
        doer->died = sim_now();
    }
}

void audit_writers_gone(const struct fleet_slot *slot, uint64_t process)
{
    (void)slot;
    for (size_t i = 0; i < DYN_PARTITIONS_MAX; i++) {
        doer_died(&who.leaders[i], process);
    }
    for (size_t i = 0; i < FLEET_ACCOUNTS_MAX; i++) {
        doer_died(&who.takers[i], process);
        doer_died(&who.askers[i], process);
        doer_died(&who.writers[i], process);
    }
    for (size_t i = 0; i < DEMAND_INPUTS_MAX; i++) {
        doer_died(&who.pollers[i], process);
    }
}

/* ---- estimators ---- */

static unsigned server_number(const struct sim_server *server)
{
    return server == sim_server_at(0) ? 0 : 1;
}

static uint64_t published_epoch(const struct sim_write *write)
{
    static struct target target;
    struct mark mark;
    if (pack_reader_start(audit.reader, write->value) != DYN_OK) {
        return 0;
    }
    enum message_kind kind = message_read_kind(audit.reader);
    if (kind == MESSAGE_TARGET && message_read_target(audit.reader, &target) == DYN_OK) {
        return target.epoch;
    }
    if (kind == MESSAGE_MARK && message_read_mark(audit.reader, &mark) == DYN_OK) {
        return mark.epoch;
    }
    return 0;
}

static void published(const struct sim_write *write, int partition)
{
    struct publisher *held = &who.publishers[server_number(write->server)][partition];
    uint64_t epoch = published_epoch(write);
    if (strcmp(held->history, sim_server_replid(write->server)) != 0) {
        *held = (struct publisher){.epoch = 0}; /* what it lost, nobody knows */
    }
    if (epoch < held->epoch) {
        audit_broken("I2", "%s publishes for partition %d under epoch %" PRIu64 " after %" PRIu64,
                     write->name, partition, epoch, held->epoch);
    }
    if (epoch == held->epoch && write->process != held->process) {
        audit_broken("I2", "%s publishes for partition %d under the epoch %" PRIu64 " of another",
                     write->name, partition, epoch);
    }
    held->epoch = epoch;
    held->process = write->process;
    (void)snprintf(held->history, sizeof held->history, "%s", sim_server_replid(write->server));
    doer_did(&who.leaders[partition], write->process, write->name, FAILOVER_ESTIMATOR);
}

/* ---- actuators ---- */

static size_t account_of_key(struct dyn_str key)
{
    char wanted[64];
    for (size_t i = 0; i < fleet.accounts_count; i++) {
        (void)snprintf(wanted, sizeof wanted, "dyn:{act}:acc-%zu:lease", i);
        if (dyn_str_is(key, wanted)) {
            return i;
        }
    }
    return SIZE_MAX;
}

static bool destroyed_lately(void)
{
    return sim_now() - who.destroyed < DESTROYED_US;
}

void audit_writers_write(const struct sim_write *write)
{
    int partition = audit_partition_of(write->key, "targets");
    if (write->kind == SIM_WRITE_ADD && partition >= 0 && write->process != 0) {
        published(write, partition);
    }
    if (write->kind == SIM_WRITE_DELETE) {
        memset(who.publishers, 0, sizeof who.publishers);
        who.destroyed = sim_now();
    }
    size_t account = account_of_key(write->key);
    if (account != SIZE_MAX && write->kind == SIM_WRITE_SET && dyn_str_is(write->field, "owner")) {
        struct holder *holder = &who.holders[account];
        doer_did(&who.takers[account], write->process, write->name, FAILOVER_TAKEN);
        *holder = (struct holder){.process = write->process, .since = sim_now()};
        (void)snprintf(holder->name, sizeof holder->name, "%s", write->name);
    }
}

/* Which key of the configuration was used. */
static size_t key_of(const struct sim_exchange *exchange)
{
    const char *line = sim_exchange_header(exchange, "Authorization");
    for (size_t i = 0; line != NULL && i < fleet.accounts_count; i++) {
        char wanted[48];
        (void)snprintf(wanted, sizeof wanted, "Bearer key-%zu", i);
        if (strcmp(line, wanted) == 0) {
            return i;
        }
    }
    return SIZE_MAX;
}

void audit_writers_sent(const struct sim_exchange *exchange)
{
    size_t account = key_of(exchange);
    if (account == SIZE_MAX) {
        audit_broken("I8", "%s sends a key that nobody gave it", exchange->sender);
        return;
    }
    doer_did(&who.askers[account], exchange->process, exchange->sender, FAILOVER_ACTUATOR);
    if (!heroku_is_write(exchange)) {
        return;
    }
    const struct holder *holder = &who.holders[account];
    if (holder->process != exchange->process && !destroyed_lately()) {
        audit_broken("I2", "%s writes to acc-%zu, which %s has held since %.3f s", exchange->sender,
                     account, holder->name, (double)holder->since / (double)SIM_S);
    }
    doer_did(&who.writers[account], exchange->process, exchange->sender, FAILOVER_WRITE);
}

static void write_done(const struct heroku_note *note)
{
    const struct sim_exchange *exchange = note->exchange;
    uint64_t before = who.done[note->app].process;
    int64_t sent = who.done[note->app].sent;
    if (before != 0 && before != exchange->process && exchange->sent_at < sent && !note->late) {
        audit_broken("I2",
                     "a write of %s to %s, sent at %.3f s, is done after one of another, sent at "
                     "%.3f s",
                     exchange->sender, fleet.apps[note->app].name,
                     (double)exchange->sent_at / (double)SIM_S, (double)sent / (double)SIM_S);
    }
    if (exchange->sent_at > sent) {
        who.done[note->app].process = exchange->process;
        who.done[note->app].sent = exchange->sent_at;
    }
}

/* ---- what Heroku saw ---- */

/* A person between a reading and a write may leave nothing to do; so may a write whose answer never
 * came. */
static bool rule_is_excused(const char *rule)
{
    bool equal = strcmp(rule, "equal_quantity") == 0 || strcmp(rule, "repeated_above_limit") == 0 ||
                 strcmp(rule, "write_overlap") == 0 || strcmp(rule, "equal_plan") == 0 ||
                 strcmp(rule, "plan_change_while_provisioning") == 0;
    int64_t from = sim_now() - 60 * SIM_S;
    if (strcmp(rule, "before_retry_after") == 0) {
        /* Another process than the one that was told. */
        return faults_touched(AREA_PROCESS | AREA_NETWORK | AREA_REDIS | AREA_HISTORY,
                              sim_now() - 20 * SIM_MINUTE, sim_now());
    }
    return equal && (faults_touched(AREA_HEROKU | AREA_HUMAN | AREA_NETWORK | AREA_PROCESS |
                                        AREA_HISTORY | AREA_REDIS,
                                    from, sim_now()) ||
                     audit.class != CLASS_QUIET);
}

static void rules_look(void)
{
    const char *detail = NULL;
    const char *rule = NULL;
    while ((rule = heroku_broken_rule(who.judged, &detail)) != NULL) {
        who.judged++;
        if (!rule_is_excused(rule)) {
            audit_broken("I5", "Heroku saw: %s, %s", rule, detail != NULL ? detail : "");
        }
    }
}

void audit_writers_note(const struct heroku_note *note)
{
    rules_look();
    if (note->kind == HEROKU_NOTE_LIMITED &&
        !faults_touched(AREA_HUMAN, sim_now() - 10 * SIM_MINUTE, sim_now())) {
        audit_broken("I5", "account %zu has no request left: %s, %s", note->account,
                     note->exchange->sender, note->exchange->path);
    }
    if (note->kind == HEROKU_NOTE_APPLIED) {
        write_done(note);
    }
}

void audit_writers_polled(size_t input, uint64_t process)
{
    doer_did(&who.pollers[input], process, fleet.inputs[input].name, FAILOVER_COLLECTOR);
}

void audit_writers_finish(void)
{
    rules_look();
}
