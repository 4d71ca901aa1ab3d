#include "actuator/lead.h"
#include "actuator/groups.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/peers.h"

#include <inttypes.h>
#include <stdlib.h>

#define KEY_MAX 320
#define PREFIX_MAX 80   /* config.h allows 64 */
#define LOOK_MAX_MS 500 /* a lease that somebody gives up is seen that soon at least */

struct seat { /* of a configured account; beside names[] */
    char name[DYN_NAME_MAX + 1];
    char key[KEY_MAX]; /* of its lease */
    uint64_t hash;     /* for spreading */
    size_t lease;      /* number in `leases` */
    uint64_t epoch;
    char epoch_text[LEASE_EPOCH_TEXT];
    uint64_t read_needed; /* the reading of the hash that must have been answered */
    bool writing;         /* its identity is on the way to the hash */
};

struct lead {
    struct lead_options options;
    char prefix[PREFIX_MAX];
    char owner[DYN_NAME_MAX + 32];
    char accounts_key[KEY_MAX];
    struct leases *leases;
    struct peers *peers;
    struct bus *bus;         /* NULL: away */
    struct dyn_timer *again; /* reads the hash, or plans anew, in the next turn of the loop */
    bool again_reads;
    struct groups_name *names; /* by account */
    struct seat *seats;
    size_t count;
    uint64_t reads_sent;
    uint64_t reads_done;
    int64_t next_read_ms;
};

/* What an answer needs; freed by it. */
struct question {
    struct lead *lead;
    uint64_t number; /* of the reading; or the epoch */
    char name[DYN_NAME_MAX + 1];
};

/* ---- what follows from all that is known ---- */

static int compare_names(const void *a, const void *b)
{
    const struct seat *const *left = a;
    const struct seat *const *right = b;
    return strcmp((*left)->name, (*right)->name);
}

/* Groups fall to members, by their first name; in the order of names, which all share. */
static void spread(struct lead *lead)
{
    const struct seat *firsts[MEMBERS_SPREAD_MAX];
    uint64_t keys[MEMBERS_SPREAD_MAX];
    bool ours[MEMBERS_SPREAD_MAX];
    size_t count = 0;
    DYN_ASSERT(lead->count <= MEMBERS_SPREAD_MAX);
    for (size_t i = 0; i < lead->count; i++) {
        if (lead->names[i].first == i) {
            firsts[count++] = &lead->seats[i];
        }
    }
    qsort(firsts, count, sizeof firsts[0], compare_names);
    for (size_t i = 0; i < count; i++) {
        keys[i] = firsts[i]->hash;
    }
    members_spread(peers_members(lead->peers), keys, count, ours);
    for (size_t i = 0; i < count; i++) {
        lead->names[firsts[i] - lead->seats].ours = ours[i];
    }
}

static void plan(struct lead *lead)
{
    int64_t now_ms = dyn_clock_boot_ms();
    int64_t keep_ms = GROUPS_KEEP_RENEWALS * lead->options.times.renew_ms;
    bool known = members_known(peers_members(lead->peers));
    groups_form(lead->names, lead->count);
    spread(lead);
    for (size_t i = 0; i < lead->count; i++) {
        leases_wish(lead->leases, lead->seats[i].lease,
                    groups_wish(lead->names, i, known, keep_ms, now_ms));
    }
    for (size_t i = 0; i < lead->count; i++) {
        bool clear = groups_is_clear(lead->names, lead->count, i, known, keep_ms, now_ms);
        lead->options.clear(lead->options.arg, i, clear);
    }
}

static void plan_soon(struct lead *lead, bool reads)
{
    lead->again_reads = lead->again_reads || reads;
    dyn_timer_start(lead->again, 0, 0);
}

static void on_members(void *arg)
{
    plan_soon(arg, false);
}

/* ---- the hash of identities ---- */

static size_t name_find(const struct lead *lead, struct dyn_str name)
{
    for (size_t i = 0; i < lead->count; i++) {
        if (dyn_str_is(name, lead->seats[i].name)) {
            return i;
        }
    }
    return SIZE_MAX;
}

static bool ask(struct lead *lead, const struct dyn_str *argv, size_t argc, bus_fn *fn,
                uint64_t number, const char *name)
{
    struct question *question = malloc(sizeof *question);
    if (question == NULL) {
        return false;
    }
    question->lead = lead;
    question->number = number;
    dyn_str_copy(question->name, sizeof question->name, dyn_str_from(name));
    if (lead->bus == NULL || bus_command(lead->bus, argv, argc, 0, fn, question) != DYN_OK) {
        free(question);
        return false;
    }
    return true;
}

static void on_written(void *arg, dyn_err err, const struct bus_reply *reply)
{
    struct question question = *(struct question *)arg;
    struct lead *lead = question.lead;
    free(arg);
    size_t at = lead_find(lead, question.name, question.number);
    if (err == DYN_REFUSED) {
        struct dyn_str words = bus_reply_str(reply);
        dyn_log(DYN_LOG_ERROR, "identity_refused", "account=%s msg=\"" DYN_STR_FMT "\"",
                dyn_log_quoted(question.name), DYN_STR_ARG(words));
    }
    if (at == SIZE_MAX) {
        return;
    }
    lead->seats[at].writing = false;
    if (err == DYN_FENCED) {
        lead_fenced(lead, at);
    } else if (err == DYN_OK) {
        lead->names[at].read = false;
        lead->seats[at].read_needed = lead->reads_sent + 1;
        plan_soon(lead, true);
    }
}

static void identity_write(struct lead *lead, size_t at)
{
    struct seat *seat = &lead->seats[at];
    const struct groups_name *name = &lead->names[at];
    bool private = name->identity[0] == '\0';
    struct dyn_str argv[] = {DYN_STR("FCALL"),
                             DYN_STR("dyn_settle"),
                             DYN_STR("2"),
                             dyn_str_from(seat->key),
                             dyn_str_from(lead->accounts_key),
                             dyn_str_from(lead->owner),
                             dyn_str_from(seat->epoch_text),
                             private ? DYN_STR("0") : DYN_STR("1"),
                             dyn_str_from(seat->name),
                             dyn_str_from(name->identity)};
    /* A key that may not ask any more: the field goes. */
    seat->writing = ask(lead, argv, private ? 9 : 10, on_written, seat->epoch, seat->name);
}

static void identities_write(struct lead *lead)
{
    for (size_t i = 0; i < lead->count; i++) {
        if (groups_must_write(&lead->names[i]) && !lead->seats[i].writing) {
            identity_write(lead, i);
        }
    }
}

static void on_read(void *arg, dyn_err err, const struct bus_reply *reply)
{
    struct question question = *(struct question *)arg;
    struct lead *lead = question.lead;
    free(arg);
    if (err != DYN_OK || lead->bus == NULL) {
        return; /* asked again with the next regular reading, or connection */
    }
    for (size_t i = 0; i < lead->count; i++) {
        lead->names[i].shared[0] = '\0';
        lead->names[i].read = lead->names[i].held && question.number >= lead->seats[i].read_needed;
    }
    for (size_t i = 0; i + 1 < bus_reply_count(reply); i += 2) {
        size_t at = name_find(lead, bus_reply_str(bus_reply_at(reply, i)));
        if (at != SIZE_MAX) {
            dyn_str_copy(lead->names[at].shared, sizeof lead->names[at].shared,
                         bus_reply_str(bus_reply_at(reply, i + 1)));
        }
    }
    identities_write(lead);
    plan(lead);
}

static void hash_read(struct lead *lead)
{
    struct dyn_str argv[] = {DYN_STR("HGETALL"), dyn_str_from(lead->accounts_key)};
    lead->next_read_ms = dyn_clock_boot_ms() + lead->options.times.renew_ms;
    lead->reads_sent += ask(lead, argv, 2, on_read, lead->reads_sent + 1, "");
}

static void on_again(void *arg)
{
    struct lead *lead = arg;
    bool reads = lead->again_reads;
    lead->again_reads = false;
    if (reads) {
        hash_read(lead);
    }
    plan(lead);
}

void lead_identity(struct lead *lead, size_t account, struct dyn_str identity)
{
    DYN_ASSERT(account < lead->count);
    struct groups_name *name = &lead->names[account];
    name->told = identity.len > 0 ? GROUPS_TOLD : GROUPS_PRIVATE;
    dyn_str_copy(name->identity, sizeof name->identity, identity);
    if (groups_must_write(name) && !lead->seats[account].writing) {
        identity_write(lead, account);
    }
    plan_soon(lead, false);
}

/* ---- leases ---- */

static size_t account_of(const struct lead *lead, size_t lease)
{
    for (size_t i = 0; i < lead->count; i++) {
        if (lead->seats[i].lease == lease) {
            return i;
        }
    }
    return SIZE_MAX;
}

static void on_taken(void *arg, size_t lease, const struct lease_grant *grant)
{
    struct lead *lead = arg;
    size_t at = account_of(lead, lease);
    DYN_ASSERT(at != SIZE_MAX);
    struct groups_name *name = &lead->names[at];
    struct seat *seat = &lead->seats[at];
    name->held = true;
    name->read = false;
    name->as_spare = !lead->names[name->first].ours;
    name->taken_ms = dyn_clock_boot_ms();
    seat->epoch = grant->epoch;
    dyn_str_copy(seat->epoch_text, sizeof seat->epoch_text, grant->epoch_text);
    seat->read_needed = lead->reads_sent + 1;
    seat->writing = false;
    lead->options.taken(lead->options.arg, at, grant);
    plan_soon(lead, true);
}

static void on_lost(void *arg, size_t lease, const char *why)
{
    struct lead *lead = arg;
    size_t at = account_of(lead, lease);
    DYN_ASSERT(at != SIZE_MAX);
    lead->names[at].held = false;
    lead->names[at].read = false;
    lead->seats[at].writing = false;
    lead->options.lost(lead->options.arg, at, why);
    plan_soon(lead, false);
}

static bool on_may_leave(void *arg, size_t lease)
{
    struct lead *lead = arg;
    size_t at = account_of(lead, lease);
    return at == SIZE_MAX || lead->options.may_leave(lead->options.arg, at);
}

/* ---- life ---- */

/* Room for the accounts of `config`, with their leases; those of before keep theirs. */
static bool seats_make(struct lead *lead, const struct config *config)
{
    size_t count = config->accounts_count;
    struct groups_name *names = calloc(count + 1, sizeof *names);
    struct seat *seats = calloc(count + 1, sizeof *seats);
    bool good = names != NULL && seats != NULL;
    for (size_t i = 0; good && i < count; i++) {
        size_t before = name_find(lead, dyn_str_from(config->accounts[i].name));
        if (before != SIZE_MAX) {
            names[i] = lead->names[before];
            seats[i] = lead->seats[before];
        } else {
            struct seat *seat = &seats[i];
            dyn_str_copy(seat->name, sizeof seat->name, dyn_str_from(config->accounts[i].name));
            (void)snprintf(seat->key, sizeof seat->key, "%s:{act}:%s:lease", lead->prefix,
                           seat->name);
            seat->hash = dyn_hash(DYN_HASH_SEED, dyn_str_from(seat->name));
            seat->lease = leases_add(lead->leases, seat->key);
            good = seat->lease != SIZE_MAX;
        }
        names[i].name = seats[i].name;
    }
    if (!good) {
        free(names);
        free(seats);
        return false;
    }
    free(lead->names);
    free(lead->seats);
    lead->names = names;
    lead->seats = seats;
    lead->count = count;
    groups_form(names, count);
    return true;
}

static struct leases *leases_make(struct lead *lead, struct dyn_loop *loop)
{
    const struct config_lease *times = &lead->options.times;
    int64_t look_ms = times->actuator_wait_ms / 8;
    struct leases_options options = {
        .owner = lead->owner,
        .times = {.renew_ms = times->renew_ms,
                  .hold_ms = times->hold_ms,
                  .drop_ms = times->hold_ms / 6,
                  .wait_ms = times->actuator_wait_ms,
                  .look_ms = look_ms < LOOK_MAX_MS ? look_ms : LOOK_MAX_MS},
        .taken = on_taken,
        .lost = on_lost,
        .may_leave = on_may_leave,
        .arg = lead,
    };
    return leases_new(loop, &options);
}

static struct peers *peers_make(struct lead *lead, struct dyn_loop *loop)
{
    char key[KEY_MAX];
    (void)snprintf(key, sizeof key, "%s:{act}:members", lead->prefix);
    struct peers_options options = {
        .key = key,
        .self = lead->owner,
        .text = lead->options.instance,
        .beat_ms = lead->options.times.beat_ms,
        .gone_ms = lead->options.times.gone_ms,
        .changed = on_members,
        .arg = lead,
    };
    return peers_new(loop, &options);
}

struct lead *lead_new(struct dyn_loop *loop, const struct config *config,
                      const struct lead_options *options)
{
    struct lead *lead = calloc(1, sizeof *lead);
    if (lead == NULL) {
        return NULL;
    }
    lead->options = *options;
    dyn_str_copy(lead->prefix, sizeof lead->prefix, dyn_str_from(options->prefix));
    (void)snprintf(lead->owner, sizeof lead->owner, "%.100s-%016" PRIx64, options->instance,
                   dyn_random());
    (void)snprintf(lead->accounts_key, sizeof lead->accounts_key, "%s:{act}:accounts",
                   lead->prefix);
    lead->leases = leases_make(lead, loop);
    lead->peers = peers_make(lead, loop);
    lead->again = dyn_timer_new(loop, on_again, lead);
    if (lead->leases == NULL || lead->peers == NULL || lead->again == NULL ||
        !seats_make(lead, config)) {
        lead_free(lead);
        return NULL;
    }
    return lead;
}

void lead_free(struct lead *lead)
{
    if (lead == NULL) {
        return;
    }
    dyn_timer_free(lead->again);
    peers_free(lead->peers);
    leases_free(lead->leases);
    free(lead->names);
    free(lead->seats);
    free(lead);
}

void lead_open(struct lead *lead, struct bus *bus, struct dyn_str run_id)
{
    lead->bus = bus;
    hash_read(lead);
    peers_open(lead->peers, bus);
    leases_open(lead->leases, bus, run_id);
}

void lead_close(struct lead *lead, const char *why)
{
    lead->bus = NULL;
    peers_close(lead->peers);
    leases_close(lead->leases, why);
}

dyn_err lead_reload(struct lead *lead, const struct config *next)
{
    for (size_t i = 0; i < lead->count; i++) {
        bool stays = false;
        for (size_t j = 0; j < next->accounts_count && !stays; j++) {
            stays = strcmp(next->accounts[j].name, lead->seats[i].name) == 0;
        }
        if (!stays && lead->options.may_leave(lead->options.arg, i)) {
            leases_remove(lead->leases, lead->seats[i].lease);
        } else if (!stays) {
            leases_forget(lead->leases, lead->seats[i].lease);
        }
    }
    return seats_make(lead, next) ? DYN_OK : DYN_NOMEM;
}

void lead_tick(struct lead *lead)
{
    if (lead->bus != NULL && dyn_clock_boot_ms() >= lead->next_read_ms) {
        hash_read(lead);
    }
    plan(lead);
}

bool lead_goodbye(struct lead *lead)
{
    bool others = members_count(peers_members(lead->peers)) > 1;
    peers_leave(lead->peers);
    return others;
}

void lead_leave(struct lead *lead, void (*done)(void *arg), void *arg)
{
    leases_leave(lead->leases, done, arg);
}

/* ---- what it knows ---- */

bool lead_fence(const struct lead *lead, size_t account, struct lead_fence *out)
{
    DYN_ASSERT(account < lead->count);
    const struct seat *seat = &lead->seats[account];
    if (!lead->names[account].held) {
        return false;
    }
    *out = (struct lead_fence){dyn_str_from(seat->key), dyn_str_from(lead->owner),
                               dyn_str_from(seat->epoch_text), seat->epoch};
    return true;
}

size_t lead_find(const struct lead *lead, const char *name, uint64_t epoch)
{
    size_t at = name_find(lead, dyn_str_from(name));
    bool same = at != SIZE_MAX && lead->names[at].held && lead->seats[at].epoch == epoch;
    return same ? at : SIZE_MAX;
}

const char *lead_name(const struct lead *lead, size_t account)
{
    DYN_ASSERT(account < lead->count);
    return lead->seats[account].name;
}

void lead_fenced(struct lead *lead, size_t account)
{
    DYN_ASSERT(account < lead->count);
    leases_fenced(lead->leases, lead->seats[account].lease);
}

bool lead_is_held(const struct lead *lead, size_t account)
{
    DYN_ASSERT(account < lead->count);
    return lead->names[account].held;
}

bool lead_may_write(const struct lead *lead, size_t account)
{
    DYN_ASSERT(account < lead->count);
    return leases_may_write(lead->leases, lead->seats[account].lease);
}

int64_t lead_deadline_ms(const struct lead *lead, size_t account)
{
    DYN_ASSERT(account < lead->count);
    return leases_deadline_ms(lead->leases, lead->seats[account].lease);
}

int64_t lead_first_deadline_ms(const struct lead *lead)
{
    return leases_first_deadline_ms(lead->leases);
}
