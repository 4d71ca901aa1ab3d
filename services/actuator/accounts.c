#include "actuator/accounts.h"
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
    bool keyless;
};

struct accounts {
    struct accounts_options options;
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
    struct accounts *accounts;
    uint64_t number; /* of the reading; or the epoch */
    char name[DYN_NAME_MAX + 1];
};

/* ---- what follows from all that is known ---- */

struct share { /* what falls to one member: a group */
    const char *name;
    uint64_t hash;
    size_t first;
};

static int compare_names(const void *a, const void *b)
{
    const struct share *left = a;
    const struct share *right = b;
    return strcmp(left->name, right->name);
}

/* Groups fall to members, by their first name; in the order of names, which all share. */
static void spread(struct accounts *accounts)
{
    struct share shares[MEMBERS_SPREAD_MAX];
    uint64_t keys[MEMBERS_SPREAD_MAX];
    bool ours[MEMBERS_SPREAD_MAX];
    size_t count = 0;
    DYN_ASSERT(accounts->count <= MEMBERS_SPREAD_MAX);
    for (size_t i = 0; i < accounts->count; i++) {
        if (accounts->names[i].first == i) {
            shares[count++] = (struct share){accounts->seats[i].name, accounts->seats[i].hash, i};
        }
    }
    if (count == 0) {
        return;
    }
    qsort(shares, count, sizeof shares[0], compare_names);
    for (size_t i = 0; i < count; i++) {
        keys[i] = shares[i].hash;
    }
    members_spread(peers_members(accounts->peers), keys, count, ours);
    for (size_t i = 0; i < count; i++) {
        accounts->names[shares[i].first].ours = ours[i];
    }
}

static void plan(struct accounts *accounts)
{
    int64_t now_ms = dyn_clock_boot_ms();
    int64_t keep_ms = GROUPS_KEEP_RENEWALS * accounts->options.times.renew_ms;
    bool known = members_known(peers_members(accounts->peers));
    bool others = members_count(peers_members(accounts->peers)) > 1;
    for (size_t i = 0; i < accounts->count; i++) {
        accounts->names[i].unable = others && accounts->seats[i].keyless;
    }
    groups_form(accounts->names, accounts->count);
    spread(accounts);
    for (size_t i = 0; i < accounts->count; i++) {
        leases_wish(accounts->leases, accounts->seats[i].lease,
                    groups_wish(accounts->names, i, known, keep_ms, now_ms));
    }
    for (size_t i = 0; i < accounts->count; i++) {
        bool clear = groups_is_clear(accounts->names, accounts->count, i, known, keep_ms, now_ms);
        accounts->options.clear(accounts->options.arg, i, clear);
    }
}

static void plan_soon(struct accounts *accounts, bool reads)
{
    accounts->again_reads = accounts->again_reads || reads;
    dyn_timer_start(accounts->again, 0, 0);
}

static void on_members(void *arg)
{
    struct accounts *accounts = arg;
    for (size_t i = 0; i < accounts->count; i++) {
        accounts->names[i].spares = 0;
    }
    plan_soon(accounts, false);
}

/* ---- the hash of identities ---- */

static size_t name_find(const struct accounts *accounts, struct dyn_str name)
{
    for (size_t i = 0; i < accounts->count; i++) {
        if (dyn_str_is(name, accounts->seats[i].name)) {
            return i;
        }
    }
    return SIZE_MAX;
}

static bool ask(struct accounts *accounts, const struct dyn_str *argv, size_t argc, bus_fn *fn,
                uint64_t number, const char *name)
{
    struct question *question = malloc(sizeof *question);
    if (question == NULL) {
        return false;
    }
    question->accounts = accounts;
    question->number = number;
    dyn_str_copy(question->name, sizeof question->name, dyn_str_from(name));
    if (accounts->bus == NULL ||
        bus_command(accounts->bus, argv, argc, 0, fn, question) != DYN_OK) {
        free(question);
        return false;
    }
    return true;
}

static void on_written(void *arg, dyn_err err, const struct bus_reply *reply)
{
    struct question question = *(struct question *)arg;
    struct accounts *accounts = question.accounts;
    free(arg);
    size_t at = accounts_find(accounts, question.name, question.number);
    if (err == DYN_REFUSED) {
        struct dyn_str words = bus_reply_str(reply);
        dyn_log(DYN_LOG_ERROR, "identity_refused", "account=%s msg=\"" DYN_STR_FMT "\"",
                dyn_log_quoted(question.name), DYN_STR_ARG(words));
    }
    if (at == SIZE_MAX) {
        return;
    }
    accounts->seats[at].writing = false;
    if (err == DYN_FENCED) {
        accounts_fenced(accounts, at);
    } else if (err == DYN_OK) {
        accounts->names[at].read = false;
        accounts->seats[at].read_needed = accounts->reads_sent + 1;
        plan_soon(accounts, true);
    }
}

static void identity_write(struct accounts *accounts, size_t at)
{
    struct seat *seat = &accounts->seats[at];
    const struct groups_name *name = &accounts->names[at];
    struct dyn_str argv[] = {DYN_STR("FCALL"),
                             DYN_STR("dyn_settle"),
                             DYN_STR("2"),
                             dyn_str_from(seat->key),
                             dyn_str_from(accounts->accounts_key),
                             dyn_str_from(accounts->owner),
                             dyn_str_from(seat->epoch_text),
                             DYN_STR("1"),
                             dyn_str_from(seat->name),
                             dyn_str_from(name->identity)};
    seat->writing = ask(accounts, argv, 10, on_written, seat->epoch, seat->name);
}

static void identities_write(struct accounts *accounts)
{
    for (size_t i = 0; i < accounts->count; i++) {
        if (groups_must_write(&accounts->names[i]) && !accounts->seats[i].writing) {
            identity_write(accounts, i);
        }
    }
}

static void on_read(void *arg, dyn_err err, const struct bus_reply *reply)
{
    struct question question = *(struct question *)arg;
    struct accounts *accounts = question.accounts;
    free(arg);
    if (err == DYN_REFUSED) {
        struct dyn_str words = bus_reply_str(reply);
        dyn_log(DYN_LOG_ERROR, "identities_refused",
                "key=%s msg=\"" DYN_STR_FMT "; no account is touched before it can be read\"",
                accounts->accounts_key, DYN_STR_ARG(words));
    }
    if (err != DYN_OK || accounts->bus == NULL) {
        return; /* asked again with the next regular reading, or connection */
    }
    for (size_t i = 0; i < accounts->count; i++) {
        accounts->names[i].shared[0] = '\0';
        accounts->names[i].read =
            accounts->names[i].held && question.number >= accounts->seats[i].read_needed;
    }
    for (size_t i = 0; i + 1 < bus_reply_count(reply); i += 2) {
        size_t at = name_find(accounts, bus_reply_str(bus_reply_at(reply, i)));
        if (at != SIZE_MAX) {
            dyn_str_copy(accounts->names[at].shared, sizeof accounts->names[at].shared,
                         bus_reply_str(bus_reply_at(reply, i + 1)));
        }
    }
    identities_write(accounts);
    plan(accounts);
}

static void hash_read(struct accounts *accounts)
{
    struct dyn_str argv[] = {DYN_STR("HGETALL"), dyn_str_from(accounts->accounts_key)};
    accounts->next_read_ms = dyn_clock_boot_ms() + accounts->options.times.renew_ms;
    accounts->reads_sent += ask(accounts, argv, 2, on_read, accounts->reads_sent + 1, "");
}

static void on_again(void *arg)
{
    struct accounts *accounts = arg;
    bool reads = accounts->again_reads;
    accounts->again_reads = false;
    if (reads) {
        hash_read(accounts);
    }
    plan(accounts);
}

void accounts_key(struct accounts *accounts, size_t account, bool present)
{
    DYN_ASSERT(account < accounts->count);
    accounts->seats[account].keyless = !present;
    plan_soon(accounts, false);
}

void accounts_identity(struct accounts *accounts, size_t account, struct dyn_str identity)
{
    DYN_ASSERT(account < accounts->count);
    struct groups_name *name = &accounts->names[account];
    name->told = identity.len > 0 ? GROUPS_TOLD : GROUPS_PRIVATE;
    dyn_str_copy(name->identity, sizeof name->identity, identity);
    if (groups_must_write(name) && !accounts->seats[account].writing) {
        identity_write(accounts, account);
    }
    plan_soon(accounts, false);
}

/* ---- leases ---- */

static size_t account_of(const struct accounts *accounts, size_t lease)
{
    for (size_t i = 0; i < accounts->count; i++) {
        if (accounts->seats[i].lease == lease) {
            return i;
        }
    }
    return SIZE_MAX;
}

static void on_taken(void *arg, size_t lease, const struct lease_grant *grant)
{
    struct accounts *accounts = arg;
    size_t at = account_of(accounts, lease);
    DYN_ASSERT(at != SIZE_MAX);
    struct groups_name *name = &accounts->names[at];
    struct seat *seat = &accounts->seats[at];
    name->held = true;
    name->read = false;
    name->as_spare = !accounts->names[name->first].ours;
    name->spares = name->as_spare ? name->spares + 1 : 0;
    name->taken_ms = dyn_clock_boot_ms();
    seat->epoch = grant->epoch;
    dyn_str_copy(seat->epoch_text, sizeof seat->epoch_text, grant->epoch_text);
    seat->read_needed = accounts->reads_sent + 1;
    seat->writing = false;
    accounts->options.taken(accounts->options.arg, at, grant);
    plan_soon(accounts, true);
}

static void on_lost(void *arg, size_t lease, const char *why)
{
    struct accounts *accounts = arg;
    size_t at = account_of(accounts, lease);
    DYN_ASSERT(at != SIZE_MAX);
    accounts->names[at].held = false;
    accounts->names[at].read = false;
    accounts->seats[at].writing = false;
    accounts->options.lost(accounts->options.arg, at, why);
    plan_soon(accounts, false);
}

static bool on_may_leave(void *arg, size_t lease)
{
    struct accounts *accounts = arg;
    size_t at = account_of(accounts, lease);
    return at == SIZE_MAX || accounts->options.may_leave(accounts->options.arg, at);
}

/* ---- life ---- */

/* Room for the accounts of `config`, with their leases; those of before keep theirs. */
static bool seats_make(struct accounts *accounts, const struct config *config)
{
    size_t count = config->accounts_count;
    struct groups_name *names = calloc(count + 1, sizeof *names);
    struct seat *seats = calloc(count + 1, sizeof *seats);
    bool good = true;
    if (names == NULL || seats == NULL) {
        free(names);
        free(seats);
        return false;
    }
    for (size_t i = 0; good && i < count; i++) {
        size_t before = name_find(accounts, dyn_str_from(config->accounts[i].name));
        if (before != SIZE_MAX) {
            names[i] = accounts->names[before];
            seats[i] = accounts->seats[before];
        } else {
            struct seat *seat = &seats[i];
            dyn_str_copy(seat->name, sizeof seat->name, dyn_str_from(config->accounts[i].name));
            (void)snprintf(seat->key, sizeof seat->key, "%s:{act}:%s:lease", accounts->prefix,
                           seat->name);
            seat->hash = dyn_hash(DYN_HASH_SEED, dyn_str_from(seat->name));
            seat->lease = leases_add(accounts->leases, seat->key);
            good = seat->lease != SIZE_MAX;
        }
        names[i].name = seats[i].name;
    }
    if (!good) {
        free(names);
        free(seats);
        return false;
    }
    free(accounts->names);
    free(accounts->seats);
    accounts->names = names;
    accounts->seats = seats;
    accounts->count = count;
    groups_form(names, count);
    return true;
}

static struct leases *leases_make(struct accounts *accounts, struct dyn_loop *loop)
{
    const struct config_lease *times = &accounts->options.times;
    int64_t look_ms = times->actuator_wait_ms / 8;
    struct leases_options options = {
        .owner = accounts->owner,
        .times = {.renew_ms = times->renew_ms,
                  .hold_ms = times->hold_ms,
                  .drop_ms = times->hold_ms / 6,
                  .wait_ms = times->actuator_wait_ms,
                  .look_ms = look_ms < LOOK_MAX_MS ? look_ms : LOOK_MAX_MS},
        .taken = on_taken,
        .lost = on_lost,
        .may_leave = on_may_leave,
        .arg = accounts,
    };
    return leases_new(loop, &options);
}

static struct peers *peers_make(struct accounts *accounts, struct dyn_loop *loop)
{
    char key[KEY_MAX];
    (void)snprintf(key, sizeof key, "%s:{act}:members", accounts->prefix);
    struct peers_options options = {
        .key = key,
        .self = accounts->owner,
        .text = accounts->options.instance,
        .beat_ms = accounts->options.times.beat_ms,
        .gone_ms = accounts->options.times.gone_ms,
        .changed = on_members,
        .arg = accounts,
    };
    return peers_new(loop, &options);
}

struct accounts *accounts_new(struct dyn_loop *loop, const struct config *config,
                              const struct accounts_options *options)
{
    struct accounts *accounts = calloc(1, sizeof *accounts);
    if (accounts == NULL) {
        return NULL;
    }
    accounts->options = *options;
    dyn_str_copy(accounts->prefix, sizeof accounts->prefix, dyn_str_from(options->prefix));
    (void)snprintf(accounts->owner, sizeof accounts->owner, "%.100s-%016" PRIx64, options->instance,
                   dyn_random());
    (void)snprintf(accounts->accounts_key, sizeof accounts->accounts_key, "%s:{act}:accounts",
                   accounts->prefix);
    accounts->leases = leases_make(accounts, loop);
    accounts->peers = peers_make(accounts, loop);
    accounts->again = dyn_timer_new(loop, on_again, accounts);
    if (accounts->leases == NULL || accounts->peers == NULL || accounts->again == NULL ||
        !seats_make(accounts, config)) {
        accounts_free(accounts);
        return NULL;
    }
    return accounts;
}

void accounts_free(struct accounts *accounts)
{
    if (accounts == NULL) {
        return;
    }
    dyn_timer_free(accounts->again);
    peers_free(accounts->peers);
    leases_free(accounts->leases);
    free(accounts->names);
    free(accounts->seats);
    free(accounts);
}

void accounts_open(struct accounts *accounts, struct bus *bus, struct dyn_str replid)
{
    accounts->bus = bus;
    hash_read(accounts);
    peers_open(accounts->peers, bus);
    leases_open(accounts->leases, bus, replid);
}

void accounts_close(struct accounts *accounts, const char *why)
{
    accounts->bus = NULL;
    peers_close(accounts->peers);
    leases_close(accounts->leases, why);
}

dyn_err accounts_reload(struct accounts *accounts, const struct config *next)
{
    for (size_t i = 0; i < accounts->count; i++) {
        bool stays = false;
        for (size_t j = 0; j < next->accounts_count && !stays; j++) {
            stays = strcmp(next->accounts[j].name, accounts->seats[i].name) == 0;
        }
        if (!stays && accounts->options.may_leave(accounts->options.arg, i)) {
            leases_remove(accounts->leases, accounts->seats[i].lease);
        } else if (!stays) {
            leases_forget(accounts->leases, accounts->seats[i].lease);
        }
    }
    return seats_make(accounts, next) ? DYN_OK : DYN_NOMEM;
}

void accounts_tick(struct accounts *accounts)
{
    if (accounts->bus != NULL && dyn_clock_boot_ms() >= accounts->next_read_ms) {
        hash_read(accounts);
    }
    plan(accounts);
}

bool accounts_goodbye(struct accounts *accounts)
{
    bool others = members_count(peers_members(accounts->peers)) > 1;
    peers_leave(accounts->peers);
    return others;
}

void accounts_leave(struct accounts *accounts, void (*done)(void *arg), void *arg)
{
    leases_leave(accounts->leases, done, arg);
}

/* ---- what it knows ---- */

bool accounts_fence(const struct accounts *accounts, size_t account, struct accounts_fence *out)
{
    DYN_ASSERT(account < accounts->count);
    const struct seat *seat = &accounts->seats[account];
    if (!accounts->names[account].held) {
        return false;
    }
    *out = (struct accounts_fence){dyn_str_from(seat->key), dyn_str_from(accounts->owner),
                                   dyn_str_from(seat->epoch_text), seat->epoch};
    return true;
}

size_t accounts_find(const struct accounts *accounts, const char *name, uint64_t epoch)
{
    size_t at = name_find(accounts, dyn_str_from(name));
    bool same = at != SIZE_MAX && accounts->names[at].held && accounts->seats[at].epoch == epoch;
    return same ? at : SIZE_MAX;
}

const char *accounts_name(const struct accounts *accounts, size_t account)
{
    DYN_ASSERT(account < accounts->count);
    return accounts->seats[account].name;
}

void accounts_fenced(struct accounts *accounts, size_t account)
{
    DYN_ASSERT(account < accounts->count);
    leases_fenced(accounts->leases, accounts->seats[account].lease);
}

void accounts_acted(struct accounts *accounts, size_t account)
{
    DYN_ASSERT(account < accounts->count);
    leases_acted(accounts->leases, accounts->seats[account].lease);
}

bool accounts_is_held(const struct accounts *accounts, size_t account)
{
    DYN_ASSERT(account < accounts->count);
    return accounts->names[account].held;
}

bool accounts_may_write(const struct accounts *accounts, size_t account)
{
    DYN_ASSERT(account < accounts->count);
    return leases_may_write(accounts->leases, accounts->seats[account].lease);
}

int64_t accounts_deadline_ms(const struct accounts *accounts, size_t account)
{
    DYN_ASSERT(account < accounts->count);
    return leases_deadline_ms(accounts->leases, accounts->seats[account].lease);
}

int64_t accounts_first_deadline_ms(const struct accounts *accounts)
{
    return leases_first_deadline_ms(accounts->leases);
}
