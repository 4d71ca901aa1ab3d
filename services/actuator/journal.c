#include "actuator/journal.h"
#include "common/clock.h"
#include "common/log.h"

#include <inttypes.h>
#include <stdlib.h>

#define KEY_MAX 320
#define EPOCH_MAX 24

enum lease_state {
    LEASE_IDLE,      /* to be looked at at the next tick */
    LEASE_ASKING,    /* HMGET under way */
    LEASE_ACQUIRING, /* dyn_acquire under way */
    LEASE_LOADING,   /* ours; the journal is being read */
    LEASE_HELD,
};

struct lease {
    struct journal *journal;
    size_t account;
    char name[DYN_NAME_MAX + 1];
    enum lease_state state;
    bool taken; /* it was ours and somebody took it: wait until it stands still */
    char epoch_text[EPOCH_MAX];
    char seen_epoch[EPOCH_MAX];
    char seen_beat[EPOCH_MAX];
    int64_t still_since;
    int64_t asked_at;
    int64_t renew_at;
    int64_t renew_sent_at;
    bool renewing;
    int64_t deadline;
    uint64_t generation; /* answers of before a loss are of an older one */
};

struct journal {
    struct dyn_loop *loop;
    struct journal_options options;
    struct bus *bus; /* NULL: away */
    struct dyn_timer *timer;
    struct pack_reader *reader;
    char owner[DYN_NAME_MAX + 32];
    struct lease **leases; /* by account */
    size_t leases_count;
    size_t releasing;
    bool released;
    void (*done)(void *arg);
    void *done_arg;
};

/* What an answer needs to know; freed by it. */
struct pending {
    struct lease *lease;
    struct journal *journal;
    uint64_t generation;
    uint64_t token;
};

/* ---- small things ---- */

static struct dyn_str key_make(const struct lease *lease, const char *what, char *out)
{
    (void)snprintf(out, KEY_MAX, "%s:{act}:%s:%s", lease->journal->options.prefix, lease->name,
                   what);
    return dyn_str_from(out);
}

static struct pending *pending_new(struct lease *lease, uint64_t token)
{
    struct pending *pending = calloc(1, sizeof *pending);
    if (pending != NULL) {
        *pending = (struct pending){lease, lease->journal, lease->generation, token};
    }
    return pending;
}

/* The lease that an answer is for; NULL when it is of another time. Frees `pending`. */
static struct lease *pending_take(void *arg)
{
    struct pending *pending = arg;
    struct lease *lease = NULL;
    for (size_t i = 0; i < pending->journal->leases_count; i++) {
        struct lease *candidate = pending->journal->leases[i];
        if (candidate == pending->lease && candidate->generation == pending->generation) {
            lease = candidate;
        }
    }
    free(pending);
    return lease;
}

static bool lease_command(struct lease *lease, const struct dyn_str *argv, size_t argc, bus_fn *fn,
                          uint64_t token)
{
    struct journal *journal = lease->journal;
    struct pending *pending = pending_new(lease, token);
    if (journal->bus == NULL || pending == NULL ||
        bus_command(journal->bus, argv, argc, 0, fn, pending) != DYN_OK) {
        free(pending);
        return false;
    }
    return true;
}

static bool is_led(const struct lease *lease)
{
    return lease->state == LEASE_LOADING || lease->state == LEASE_HELD;
}

static void lease_drop(struct lease *lease, const char *why)
{
    bool led = is_led(lease);
    lease->state = LEASE_IDLE;
    lease->generation++;
    lease->renewing = false;
    lease->deadline = INT64_MIN;
    lease->still_since = dyn_clock_boot_ms();
    if (led) {
        lease->journal->options.lost(lease->journal->options.arg, lease->account, why);
    }
}

/* ---- loading ---- */

static void on_loaded(void *arg, dyn_err err, const struct bus_reply *reply)
{
    struct lease *lease = pending_take(arg);
    if (lease == NULL) {
        return;
    }
    struct journal *journal = lease->journal;
    if (err != DYN_OK) {
        lease_drop(lease, "the journal cannot be read");
        return;
    }
    for (size_t i = 0; i + 1 < bus_reply_count(reply); i += 2) {
        struct dyn_str field = bus_reply_str(bus_reply_at(reply, i));
        if (memchr(field.ptr, ':', field.len) != NULL) {
            continue; /* what the Functions keep beside an intent */
        }
        struct intent intent;
        struct dyn_str bytes = bus_reply_str(bus_reply_at(reply, i + 1));
        if (pack_reader_start(journal->reader, bytes) == DYN_OK &&
            message_read_kind(journal->reader) == MESSAGE_INTENT &&
            message_read_intent(journal->reader, &intent) == DYN_OK) {
            journal->options.entry(journal->options.arg, lease->account, &intent);
        } else {
            dyn_log(DYN_LOG_WARN, "journal_entry_malformed", "account=%s",
                    dyn_log_quoted(lease->name));
        }
    }
    lease->state = LEASE_HELD;
    journal->options.loaded(journal->options.arg, lease->account);
}

static void lease_load(struct lease *lease)
{
    char key[KEY_MAX];
    struct dyn_str argv[] = {DYN_STR("HGETALL"), key_make(lease, "journal", key)};
    if (!lease_command(lease, argv, 2, on_loaded, 0)) {
        lease_drop(lease, "the journal cannot be read");
    }
}

/* ---- taking ---- */

static void on_acquired(void *arg, dyn_err err, const struct bus_reply *reply)
{
    struct lease *lease = pending_take(arg);
    if (lease == NULL) {
        return;
    }
    struct journal *journal = lease->journal;
    uint64_t epoch;
    struct dyn_str text = err == DYN_OK ? bus_reply_str(bus_reply_at(reply, 0)) : DYN_STR("");
    if (err != DYN_OK || dyn_str_u64(text, &epoch) != DYN_OK) {
        lease->state = LEASE_IDLE; /* it moved meanwhile, or Redis is away: look again */
        return;
    }
    int64_t now = dyn_clock_boot_ms();
    dyn_str_copy(lease->epoch_text, sizeof lease->epoch_text, text);
    lease->state = LEASE_LOADING;
    lease->taken = false;
    lease->deadline = lease->asked_at + JOURNAL_HOLD_MS;
    lease->renew_at = now + JOURNAL_RENEW_MS;
    journal->options.led(journal->options.arg, lease->account, epoch);
    lease_load(lease);
}

static void lease_acquire(struct lease *lease)
{
    char key[KEY_MAX];
    struct dyn_str argv[] = {DYN_STR("FCALL"),
                             DYN_STR("dyn_acquire"),
                             DYN_STR("1"),
                             key_make(lease, "lease", key),
                             dyn_str_from(lease->journal->owner),
                             dyn_str_from(lease->seen_epoch),
                             dyn_str_from(lease->seen_beat),
                             DYN_STR("")};
    lease->state = LEASE_ACQUIRING;
    lease->asked_at = dyn_clock_boot_ms();
    if (!lease_command(lease, argv, sizeof argv / sizeof *argv, on_acquired, 0)) {
        lease->state = LEASE_IDLE;
    }
}

/* Remember what the record says; true when it moved since the last look. */
static bool lease_see(struct lease *lease, const struct bus_reply *reply)
{
    char epoch[EPOCH_MAX] = "0";
    char beat[EPOCH_MAX] = "0";
    struct dyn_str text = bus_reply_str(bus_reply_at(reply, 1));
    if (text.len > 0) {
        dyn_str_copy(epoch, sizeof epoch, text);
    }
    text = bus_reply_str(bus_reply_at(reply, 2));
    if (text.len > 0) {
        dyn_str_copy(beat, sizeof beat, text);
    }
    bool moved = strcmp(epoch, lease->seen_epoch) != 0 || strcmp(beat, lease->seen_beat) != 0;
    memcpy(lease->seen_epoch, epoch, sizeof epoch);
    memcpy(lease->seen_beat, beat, sizeof beat);
    return moved;
}

static void on_seen(void *arg, dyn_err err, const struct bus_reply *reply)
{
    struct lease *lease = pending_take(arg);
    if (lease == NULL) {
        return;
    }
    lease->state = LEASE_IDLE;
    if (err != DYN_OK || bus_reply_count(reply) != 3) {
        return;
    }
    int64_t now = dyn_clock_boot_ms();
    struct dyn_str owner = bus_reply_str(bus_reply_at(reply, 0));
    if (lease_see(lease, reply)) {
        lease->still_since = now;
    }
    bool free_to_take = owner.len == 0 || dyn_str_is(owner, lease->journal->owner);
    if (free_to_take || !lease->taken || now - lease->still_since >= JOURNAL_WAIT_MS) {
        lease_acquire(lease);
    }
}

static void lease_look(struct lease *lease)
{
    char key[KEY_MAX];
    struct dyn_str argv[] = {DYN_STR("HMGET"), key_make(lease, "lease", key), DYN_STR("owner"),
                             DYN_STR("epoch"), DYN_STR("beat")};
    lease->state = LEASE_ASKING;
    if (!lease_command(lease, argv, sizeof argv / sizeof *argv, on_seen, 0)) {
        lease->state = LEASE_IDLE;
    }
}

/* ---- holding ---- */

static void on_renewed(void *arg, dyn_err err, const struct bus_reply *reply)
{
    (void)reply;
    struct lease *lease = pending_take(arg);
    if (lease == NULL) {
        return;
    }
    lease->renewing = false;
    if (err == DYN_OK) {
        lease->deadline = lease->renew_sent_at + JOURNAL_HOLD_MS;
    } else if (err == DYN_FENCED) {
        lease->taken = true;
        lease_drop(lease, "another actuator has taken the lease");
    }
}

static void lease_renew(struct lease *lease, int64_t now)
{
    char key[KEY_MAX];
    struct dyn_str argv[] = {DYN_STR("FCALL"),
                             DYN_STR("dyn_renew"),
                             DYN_STR("1"),
                             key_make(lease, "lease", key),
                             dyn_str_from(lease->journal->owner),
                             dyn_str_from(lease->epoch_text)};
    lease->renew_at = now + JOURNAL_RENEW_MS;
    lease->renew_sent_at = now;
    lease->renewing = lease_command(lease, argv, sizeof argv / sizeof *argv, on_renewed, 0);
}

static void on_tick(void *arg)
{
    struct journal *journal = arg;
    int64_t now = dyn_clock_boot_ms();
    for (size_t i = 0; i < journal->leases_count && !journal->released; i++) {
        struct lease *lease = journal->leases[i];
        if (is_led(lease)) {
            if (now >= lease->deadline - JOURNAL_DROP_MS) {
                lease_drop(lease, "the lease could not be renewed in time");
            } else if (now >= lease->renew_at && !lease->renewing) {
                lease_renew(lease, now);
            }
        } else if (lease->state == LEASE_IDLE && journal->bus != NULL) {
            lease_look(lease);
        }
    }
}

/* ---- life ---- */

static struct lease *lease_new(struct journal *journal, size_t account, const char *name)
{
    struct lease *lease = calloc(1, sizeof *lease);
    if (lease != NULL) {
        lease->journal = journal;
        lease->account = account;
        lease->deadline = INT64_MIN;
        dyn_str_copy(lease->name, sizeof lease->name, dyn_str_from(name));
    }
    return lease;
}

static void leases_free(struct lease **leases, size_t count)
{
    for (size_t i = 0; leases != NULL && i < count; i++) {
        free(leases[i]);
    }
    free(leases);
}

static struct lease **leases_make(struct journal *journal, const struct config *config)
{
    struct lease **leases = calloc(config->accounts_count + 1, sizeof(struct lease *));
    for (size_t i = 0; leases != NULL && i < config->accounts_count; i++) {
        leases[i] = lease_new(journal, i, config->accounts[i].name);
        if (leases[i] == NULL) {
            leases_free(leases, i);
            return NULL;
        }
    }
    return leases;
}

struct journal *journal_new(struct dyn_loop *loop, const struct config *config,
                            const struct journal_options *options)
{
    struct journal *journal = calloc(1, sizeof *journal);
    if (journal == NULL) {
        return NULL;
    }
    journal->loop = loop;
    journal->options = *options;
    (void)snprintf(journal->owner, sizeof journal->owner, "%.100s-%016" PRIx64, options->instance,
                   dyn_random());
    journal->reader = pack_reader_new();
    journal->timer = dyn_timer_new(loop, on_tick, journal);
    journal->leases = leases_make(journal, config);
    journal->leases_count = config->accounts_count;
    if (journal->reader == NULL || journal->timer == NULL || journal->leases == NULL) {
        journal_free(journal);
        return NULL;
    }
    dyn_timer_start(journal->timer, JOURNAL_TICK_MS, JOURNAL_TICK_MS);
    return journal;
}

void journal_free(struct journal *journal)
{
    if (journal == NULL) {
        return;
    }
    leases_free(journal->leases, journal->leases_count);
    dyn_timer_free(journal->timer);
    pack_reader_free(journal->reader);
    free(journal);
}

void journal_open(struct journal *journal, struct bus *bus)
{
    journal->bus = bus;
    on_tick(journal);
}

void journal_close(struct journal *journal, const char *why)
{
    journal->bus = NULL;
    for (size_t i = 0; i < journal->leases_count; i++) {
        lease_drop(journal->leases[i], why);
    }
}

/* ---- intents ---- */

static struct dyn_str field_make(uint64_t controller, char *out)
{
    (void)snprintf(out, EPOCH_MAX, "%016" PRIx64, controller);
    return dyn_str_from(out);
}

static void on_begun(void *arg, dyn_err err, const struct bus_reply *reply)
{
    struct pending *pending = arg;
    struct journal *journal = pending->journal;
    uint64_t token = pending->token;
    free(pending);
    if (err == DYN_REFUSED && dyn_str_starts(bus_reply_str(reply), "INFLIGHT")) {
        err = DYN_BUSY;
    }
    journal->options.begun(journal->options.arg, token, err);
}

dyn_err journal_begin(struct journal *journal, size_t account, uint64_t token,
                      const struct intent *intent)
{
    DYN_ASSERT(account < journal->leases_count);
    struct lease *lease = journal->leases[account];
    char key[KEY_MAX];
    char journal_key[KEY_MAX];
    char field[EPOCH_MAX];
    struct dyn_buf bytes;
    dyn_buf_init(&bytes, DYN_ENTRY_MAX);
    message_write_intent(&bytes, intent);
    struct dyn_str argv[] = {DYN_STR("FCALL"),
                             DYN_STR("dyn_act_begin"),
                             DYN_STR("2"),
                             key_make(lease, "lease", key),
                             key_make(lease, "journal", journal_key),
                             dyn_str_from(journal->owner),
                             dyn_str_from(lease->epoch_text),
                             field_make(intent->controller, field),
                             dyn_buf_str(&bytes)};
    bool sent = is_led(lease) && dyn_buf_result(&bytes) == DYN_OK &&
                lease_command(lease, argv, sizeof argv / sizeof *argv, on_begun, token);
    dyn_buf_fini(&bytes);
    return sent ? DYN_OK : DYN_CLOSED;
}

static void on_ended(void *arg, dyn_err err, const struct bus_reply *reply)
{
    struct lease *lease = pending_take(arg);
    if (err == DYN_REFUSED) {
        struct dyn_str words = bus_reply_str(reply);
        dyn_log(DYN_LOG_ERROR, "journal_refused", "msg=\"" DYN_STR_FMT "\"", DYN_STR_ARG(words));
    }
    /* What is not recorded here would be found open by the next begin, or by a successor. */
    if (lease != NULL && err == DYN_FENCED) {
        lease->taken = true;
        lease_drop(lease, "another actuator has taken the lease");
    }
}

void journal_end(struct journal *journal, size_t account, const struct intent *intent,
                 const struct action *action)
{
    DYN_ASSERT(account < journal->leases_count);
    struct lease *lease = journal->leases[account];
    char keys[2][KEY_MAX];
    char actions[KEY_MAX];
    char field[EPOCH_MAX];
    char actions_max[EPOCH_MAX];
    struct dyn_buf bytes;
    struct dyn_buf action_bytes;
    dyn_buf_init(&bytes, DYN_ENTRY_MAX);
    dyn_buf_init(&action_bytes, DYN_ENTRY_MAX);
    message_write_intent(&bytes, intent);
    if (action != NULL) {
        message_write_action(&action_bytes, action);
    }
    (void)snprintf(actions, sizeof actions, "%s:actions", journal->options.prefix);
    (void)snprintf(actions_max, sizeof actions_max, "%d", JOURNAL_ACTIONS_MAX);
    struct dyn_str argv[] = {DYN_STR("FCALL"),
                             DYN_STR("dyn_act_end"),
                             DYN_STR("3"),
                             key_make(lease, "lease", keys[0]),
                             key_make(lease, "journal", keys[1]),
                             dyn_str_from(actions),
                             dyn_str_from(journal->owner),
                             dyn_str_from(lease->epoch_text),
                             field_make(intent->controller, field),
                             dyn_buf_str(&bytes),
                             dyn_buf_str(&action_bytes),
                             dyn_str_from(actions_max)};
    if (is_led(lease) && dyn_buf_result(&bytes) == DYN_OK &&
        dyn_buf_result(&action_bytes) == DYN_OK) {
        (void)lease_command(lease, argv, sizeof argv / sizeof *argv, on_ended, 0);
    }
    dyn_buf_fini(&bytes);
    dyn_buf_fini(&action_bytes);
}

void journal_fenced(struct journal *journal, size_t account)
{
    DYN_ASSERT(account < journal->leases_count);
    journal->leases[account]->taken = true;
    lease_drop(journal->leases[account], "another actuator has taken the lease");
}

int64_t journal_deadline(const struct journal *journal, size_t account)
{
    DYN_ASSERT(account < journal->leases_count);
    return journal->leases[account]->deadline;
}

bool journal_is_led(const struct journal *journal, size_t account)
{
    DYN_ASSERT(account < journal->leases_count);
    return journal->leases[account]->state == LEASE_HELD;
}

/* ---- giving up ---- */

static bool lease_release(struct lease *lease, bus_fn *fn)
{
    char key[KEY_MAX];
    struct dyn_str argv[] = {DYN_STR("FCALL"),
                             DYN_STR("dyn_release"),
                             DYN_STR("1"),
                             key_make(lease, "lease", key),
                             dyn_str_from(lease->journal->owner),
                             dyn_str_from(lease->epoch_text)};
    return is_led(lease) && lease_command(lease, argv, sizeof argv / sizeof *argv, fn, 0);
}

static void release_done(struct journal *journal)
{
    if (journal->releasing == 0 && journal->done != NULL) {
        void (*done)(void *arg) = journal->done;
        journal->done = NULL;
        done(journal->done_arg);
    }
}

static void on_released(void *arg, dyn_err err, const struct bus_reply *reply)
{
    (void)err;
    (void)reply;
    struct pending *pending = arg;
    struct journal *journal = pending->journal;
    free(pending);
    journal->releasing--;
    release_done(journal);
}

void journal_release(struct journal *journal, void (*done)(void *arg), void *arg)
{
    journal->done = done;
    journal->done_arg = arg;
    journal->released = true;
    for (size_t i = 0; i < journal->leases_count; i++) {
        journal->releasing += lease_release(journal->leases[i], on_released);
    }
    release_done(journal);
}

static void on_given_up(void *arg, dyn_err err, const struct bus_reply *reply)
{
    (void)err;
    (void)reply;
    free(arg);
}

dyn_err journal_reload(struct journal *journal, const struct config *next)
{
    struct lease **leases = leases_make(journal, next);
    if (leases == NULL) {
        return DYN_NOMEM;
    }
    for (size_t i = 0; i < journal->leases_count; i++) {
        struct lease *old = journal->leases[i];
        bool kept = false;
        for (size_t j = 0; j < next->accounts_count && !kept; j++) {
            if (strcmp(leases[j]->name, old->name) == 0) {
                free(leases[j]);
                leases[j] = old;
                old->account = j;
                journal->leases[i] = NULL;
                kept = true;
            }
        }
        if (!kept) {
            (void)lease_release(old, on_given_up);
        }
    }
    leases_free(journal->leases, journal->leases_count);
    journal->leases = leases;
    journal->leases_count = next->accounts_count;
    return DYN_OK;
}
