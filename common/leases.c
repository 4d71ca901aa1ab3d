#include "common/leases.h"

#include "common/clock.h"
#include "common/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define KEY_MAX 320
#define REPLID_MAX 64
#define KEPT_MAX_MS 1000 /* that long replicas may take; what waits behind it waits as well */

struct kept { /* a lease, and what the shell knows of it */
    char key[KEY_MAX];
    bool used;
    bool removing; /* given up, then forgotten */
    bool known;    /* it was seen in Redis, or held */
    bool unacted;  /* as granted, `other_server`, and leases_acted() has not been called since */
    struct lease core;
    enum lease_wish wish; /* what its owner asked for; the core hears of LEASE_UNWANTED later */
    char owner[DYN_NAME_MAX + 64];
    char epoch[LEASE_EPOCH_TEXT]; /* while held */
    uint64_t epoch_known;         /* the highest that was ever seen of it, or held */
    uint64_t generation;          /* answers of another one are of before */
};

struct leases {
    struct dyn_loop *loop;
    struct leases_options options;
    char owner[DYN_NAME_MAX + 64];
    char replid[REPLID_MAX];
    struct bus *bus; /* NULL: away */
    struct dyn_timer *ticker;
    struct kept **kept;
    size_t count;
    bool unkept; /* and told: too few replicas had the last taking or renewal */
    bool leaving;
    bool left;
    void (*done)(void *arg);
    void *done_arg;
};

/* What an answer needs; freed by it. */
struct question {
    struct leases *leases;
    size_t lease;
    uint64_t generation;
};

static void step(struct leases *leases, size_t index); /* an answer asks for the next one */

/* ---- questions ---- */

/* What counts only once replicas have it. Not longer than a renewal has time for. */
static dyn_err command_kept(struct leases *leases, const struct dyn_str *argv, size_t argc,
                            bus_fn *fn, void *arg)
{
    int64_t wait_ms = leases->options.times.renew_ms;
    wait_ms = wait_ms < KEPT_MAX_MS ? wait_ms : KEPT_MAX_MS;
    return bus_command_kept(leases->bus, argv, argc, wait_ms, fn, arg);
}

static bool ask(struct leases *leases, size_t index, const struct dyn_str *argv, size_t argc,
                bool kept, bus_fn *fn)
{
    struct question *question = malloc(sizeof *question);
    if (question == NULL) {
        return false;
    }
    *question = (struct question){leases, index, leases->kept[index]->generation};
    dyn_err err = leases->bus == NULL ? DYN_CLOSED
                  : kept              ? command_kept(leases, argv, argc, fn, question)
                                      : bus_command(leases->bus, argv, argc, 0, fn, question);
    if (err != DYN_OK) {
        free(question);
        return false;
    }
    return true;
}

/* The lease that an answer is for, SIZE_MAX when it is of another time. Frees the question. */
static size_t answered(void *arg, struct leases **out)
{
    struct question *question = arg;
    struct leases *leases = question->leases;
    size_t index = question->lease;
    bool ours =
        leases->kept[index]->used && leases->kept[index]->generation == question->generation;
    free(question);
    *out = leases;
    return ours ? index : SIZE_MAX;
}

static enum lease_answer answer_of(dyn_err err)
{
    if (err == DYN_OK) {
        return LEASE_DONE;
    }
    return err == DYN_FENCED ? LEASE_FENCED : LEASE_UNSURE;
}

/* The Functions are missing, the user may not call them, and the like. */
static void refusal_tell(const struct kept *kept, dyn_err err, const struct bus_reply *reply)
{
    if (err == DYN_REFUSED) {
        char words[DYN_ERROR_TEXT_MAX];
        dyn_str_copy(words, sizeof words, bus_reply_str(reply));
        dyn_log(DYN_LOG_WARN, "lease_refused", "key=%s msg=%s", kept->key, dyn_log_quoted(words));
    }
}

static void lost(struct leases *leases, size_t index, const char *why)
{
    struct kept *kept = leases->kept[index];
    if (kept->removing) {
        kept->used = kept->core.state == LEASE_LEAVING;
        return;
    }
    leases->options.lost(leases->options.arg, index, why);
}

/* Nothing that needs replicas is held then, and nobody is fenced: without this line all is quiet.
 */
static void unkept_tell(struct leases *leases, dyn_err err)
{
    if (err == DYN_UNKEPT && !leases->unkept) {
        leases->unkept = true;
        dyn_log(DYN_LOG_ERROR, "leases_unkept", "msg=%s",
                dyn_log_quoted("Redis takes our leases, but fewer replicas than redis.replicas "
                               "confirm them in time, so none of them counts: bring replicas back, "
                               "or set redis.replicas to how many there are"));
    } else if (err == DYN_OK && leases->unkept) {
        leases->unkept = false;
        dyn_log(DYN_LOG_INFO, "leases_kept", "msg=%s",
                dyn_log_quoted("enough replicas confirm our leases again"));
    }
}

/* Redis may lose a taking, and would give its epoch a second time where its clock is behind. */
static void epoch_note(struct kept *kept, uint64_t epoch)
{
    kept->epoch_known = epoch > kept->epoch_known ? epoch : kept->epoch_known;
}

/* ---- looking ---- */

static void looked(void *arg, dyn_err err, const struct bus_reply *reply)
{
    struct leases *leases;
    size_t index = answered(arg, &leases);
    if (index == SIZE_MAX) {
        return;
    }
    struct kept *kept = leases->kept[index];
    int64_t now_ms = dyn_clock_boot_ms();
    if (err != DYN_OK || bus_reply_count(reply) != 3) {
        lease_unseen(&kept->core, now_ms);
        return;
    }
    struct dyn_str owner = bus_reply_str(bus_reply_at(reply, 0));
    dyn_str_copy(kept->owner, sizeof kept->owner, owner);
    kept->known = kept->known || bus_reply_str(bus_reply_at(reply, 1)).len > 0;
    epoch_note(kept, bus_reply_u64(bus_reply_at(reply, 1)));
    lease_seen(&kept->core, dyn_str_from(leases->owner), owner,
               bus_reply_str(bus_reply_at(reply, 1)), bus_reply_str(bus_reply_at(reply, 2)),
               now_ms);
    step(leases, index);
}

static void look(struct leases *leases, size_t index)
{
    struct kept *kept = leases->kept[index];
    struct dyn_str argv[] = {DYN_STR("HMGET"), dyn_str_from(kept->key), DYN_STR("owner"),
                             DYN_STR("epoch"), DYN_STR("beat")};
    if (!ask(leases, index, argv, 5, false, looked)) {
        lease_unseen(&kept->core, dyn_clock_boot_ms());
    }
}

/* ---- taking ---- */

/* What the record said before it was taken. */
static struct lease_grant grant_make(const struct kept *kept)
{
    const struct lease *core = &kept->core;
    uint64_t before = 0;
    if (dyn_str_u64(dyn_str_from(core->seen_epoch), &before) != DYN_OK) {
        before = 0;
    }
    bool own = core->owned && core->owned_by_self;
    return (struct lease_grant){.before = before,
                                .first = !kept->known && before == 0,
                                .stood_still = core->owned && !core->owned_by_self,
                                .own_again = own && strcmp(core->seen_epoch, kept->epoch) == 0};
}

static void taken(void *arg, dyn_err err, const struct bus_reply *reply)
{
    struct leases *leases;
    size_t index = answered(arg, &leases);
    if (index == SIZE_MAX) {
        return;
    }
    struct kept *kept = leases->kept[index];
    refusal_tell(kept, err, reply);
    unkept_tell(leases, err);
    struct lease_grant grant = grant_make(kept);
    if ((err == DYN_OK || err == DYN_UNKEPT) && bus_reply_count(reply) > 0) {
        epoch_note(kept, bus_reply_u64(bus_reply_at(reply, 0)));
    }
    struct dyn_str epoch = err == DYN_OK ? bus_reply_str(bus_reply_at(reply, 0)) : DYN_STR("");
    bool usable = epoch.len > 0 && dyn_str_u64(epoch, &grant.epoch) == DYN_OK;
    enum lease_answer answer = err == DYN_OK && !usable ? LEASE_UNSURE : answer_of(err);
    bool held = lease_taken(&kept->core, answer, dyn_clock_boot_ms());
    if (!held) {
        kept->used = !kept->removing;
        return;
    }
    kept->known = true;
    dyn_str_copy(kept->epoch, sizeof kept->epoch, epoch);
    dyn_str_copy(kept->owner, sizeof kept->owner, dyn_str_from(leases->owner));
    grant.epoch_text = dyn_str_from(kept->epoch);
    struct dyn_str before = bus_reply_str(bus_reply_at(reply, 3));
    grant.other_server = !dyn_str_is(before, leases->replid);
    kept->unacted = grant.other_server;
    grant.cursor = (struct entry_id){bus_reply_u64(bus_reply_at(reply, 1)),
                                     bus_reply_u64(bus_reply_at(reply, 2))};
    if (kept->removing) {
        step(leases, index); /* too late: given up at once */
        return;
    }
    leases->options.taken(leases->options.arg, index, &grant);
}

static void take(struct leases *leases, size_t index)
{
    struct kept *kept = leases->kept[index];
    char known[LEASE_EPOCH_TEXT];
    (void)snprintf(known, sizeof known, "%" PRIu64, kept->epoch_known);
    struct dyn_str argv[] = {DYN_STR("FCALL"),
                             DYN_STR("dyn_acquire"),
                             DYN_STR("1"),
                             dyn_str_from(kept->key),
                             dyn_str_from(leases->owner),
                             dyn_str_from(kept->core.seen_epoch),
                             dyn_str_from(kept->core.seen_beat),
                             dyn_str_from(known)};
    if (!ask(leases, index, argv, 8, true, taken)) {
        (void)lease_taken(&kept->core, LEASE_UNSURE, dyn_clock_boot_ms());
    }
}

/* ---- holding ---- */

static void renewed(void *arg, dyn_err err, const struct bus_reply *reply)
{
    struct leases *leases;
    size_t index = answered(arg, &leases);
    if (index == SIZE_MAX) {
        return;
    }
    refusal_tell(leases->kept[index], err, reply);
    unkept_tell(leases, err);
    if (!lease_renewed(&leases->kept[index]->core, answer_of(err), dyn_clock_boot_ms())) {
        lost(leases, index, "another has taken the lease");
    }
}

static void renew(struct leases *leases, size_t index)
{
    struct kept *kept = leases->kept[index];
    struct dyn_str argv[] = {
        DYN_STR("FCALL"),        DYN_STR("dyn_renew"),        DYN_STR("1"),
        dyn_str_from(kept->key), dyn_str_from(leases->owner), dyn_str_from(kept->epoch)};
    if (!ask(leases, index, argv, 6, true, renewed)) {
        (void)lease_renewed(&kept->core, LEASE_UNSURE, dyn_clock_boot_ms());
    }
}

/* ---- giving up ---- */

/* Redis may have us as the owner. */
static bool is_ours(const struct kept *kept)
{
    enum lease_state state = kept->core.state;
    return state == LEASE_TAKING || state == LEASE_HELD || state == LEASE_LEAVING;
}

static void leave_check(struct leases *leases)
{
    if (!leases->leaving || leases->left) {
        return;
    }
    for (size_t i = 0; i < leases->count; i++) {
        if (leases->kept[i]->used && is_ours(leases->kept[i])) {
            return;
        }
    }
    leases->left = true;
    leases->done(leases->done_arg);
}

static void left(void *arg, dyn_err err, const struct bus_reply *reply)
{
    (void)err; /* whoever follows waits then until it stood still */
    (void)reply;
    struct leases *leases;
    size_t index = answered(arg, &leases);
    if (index == SIZE_MAX) {
        return;
    }
    lease_left(&leases->kept[index]->core, dyn_clock_boot_ms());
    if (leases->kept[index]->removing) {
        leases->kept[index]->used = false;
    }
    leave_check(leases);
}

static void give_up(struct leases *leases, size_t index)
{
    struct kept *kept = leases->kept[index];
    struct dyn_str argv[] = {
        DYN_STR("FCALL"),        DYN_STR("dyn_release"),      DYN_STR("1"),
        dyn_str_from(kept->key), dyn_str_from(leases->owner), dyn_str_from(kept->epoch)};
    if (!ask(leases, index, argv, 6, false, left)) {
        lease_left(&kept->core, dyn_clock_boot_ms());
    }
    lost(leases, index, "given up");
}

/* ---- stepping ---- */

static void wish_pass_on(struct leases *leases, size_t index)
{
    struct kept *kept = leases->kept[index];
    enum lease_wish wish = leases->leaving || kept->removing ? LEASE_UNWANTED : kept->wish;
    bool waits = wish == LEASE_UNWANTED && kept->core.state == LEASE_HELD && !kept->removing &&
                 leases->options.may_leave != NULL &&
                 !leases->options.may_leave(leases->options.arg, index);
    if (!waits) {
        lease_wish(&kept->core, wish);
    }
}

static void step(struct leases *leases, size_t index)
{
    wish_pass_on(leases, index);
    switch (lease_step(&leases->kept[index]->core, dyn_clock_boot_ms())) {
    case LEASE_REST:
        break;
    case LEASE_LOOK:
        look(leases, index);
        break;
    case LEASE_TAKE:
        take(leases, index);
        break;
    case LEASE_RENEW:
        renew(leases, index);
        break;
    case LEASE_GIVE_UP:
        give_up(leases, index);
        break;
    case LEASE_DROP:
        lost(leases, index, "the lease could not be renewed in time");
        break;
    }
}

static void tick(void *arg)
{
    struct leases *leases = arg;
    for (size_t i = 0; i < leases->count; i++) {
        if (leases->kept[i]->used && leases->bus != NULL) {
            step(leases, i);
        }
    }
    leave_check(leases);
}

/* ---- life ---- */

struct leases *leases_new(struct dyn_loop *loop, const struct leases_options *options)
{
    struct leases *leases = calloc(1, sizeof *leases);
    if (leases == NULL) {
        return NULL;
    }
    leases->loop = loop;
    leases->options = *options;
    dyn_str_copy(leases->owner, sizeof leases->owner, dyn_str_from(options->owner));
    leases->ticker = dyn_timer_new(loop, tick, leases);
    if (leases->ticker == NULL) {
        free(leases);
        return NULL;
    }
    int64_t tick_ms =
        options->times.look_ms < LEASES_TICK_MS ? options->times.look_ms : LEASES_TICK_MS;
    dyn_timer_start(leases->ticker, tick_ms, tick_ms);
    return leases;
}

void leases_free(struct leases *leases)
{
    if (leases == NULL) {
        return;
    }
    for (size_t i = 0; i < leases->count; i++) {
        free(leases->kept[i]);
    }
    dyn_timer_free(leases->ticker);
    free(leases->kept);
    free(leases);
}

static size_t place_find(struct leases *leases)
{
    for (size_t i = 0; i < leases->count; i++) {
        if (!leases->kept[i]->used) {
            return i;
        }
    }
    struct kept **kept = realloc(leases->kept, (leases->count + 1) * sizeof(struct kept *));
    if (kept == NULL) {
        return SIZE_MAX;
    }
    leases->kept = kept;
    kept[leases->count] = calloc(1, sizeof **kept);
    return kept[leases->count] != NULL ? leases->count++ : SIZE_MAX;
}

size_t leases_add(struct leases *leases, const char *key)
{
    size_t index = place_find(leases);
    if (index == SIZE_MAX) {
        return SIZE_MAX;
    }
    struct kept *kept = leases->kept[index];
    uint64_t generation = kept->generation;
    *kept = (struct kept){.used = true, .generation = generation + 1, .wish = LEASE_WANTED};
    DYN_ASSERT(strlen(key) < sizeof kept->key);
    dyn_str_copy(kept->key, sizeof kept->key, dyn_str_from(key));
    lease_init(&kept->core, &leases->options.times);
    if (leases->bus != NULL) {
        lease_open(&kept->core, dyn_clock_boot_ms());
    }
    return index;
}

void leases_remove(struct leases *leases, size_t index)
{
    struct kept *kept = leases->kept[index];
    kept->removing = true;
    if (kept->core.state == LEASE_HELD && leases->bus != NULL) {
        lease_wish(&kept->core, LEASE_UNWANTED);
        step(leases, index);
    }
    kept->used = is_ours(kept);
}

void leases_forget(struct leases *leases, size_t index)
{
    (void)lease_fenced(&leases->kept[index]->core, dyn_clock_boot_ms());
    leases_remove(leases, index);
}

void leases_wish(struct leases *leases, size_t index, enum lease_wish wish)
{
    struct kept *kept = leases->kept[index];
    bool wanted = kept->wish != wish && wish != LEASE_UNWANTED;
    kept->wish = wish;
    if (wanted && kept->core.state == LEASE_WATCHED && leases->bus != NULL) {
        step(leases, index); /* it may be free already */
    }
}

void leases_open(struct leases *leases, struct bus *bus, struct dyn_str replid)
{
    leases->bus = bus;
    dyn_str_copy(leases->replid, sizeof leases->replid, replid);
    for (size_t i = 0; i < leases->count; i++) {
        lease_open(&leases->kept[i]->core, dyn_clock_boot_ms());
    }
    tick(leases);
}

void leases_close(struct leases *leases, const char *why)
{
    leases->bus = NULL;
    for (size_t i = 0; i < leases->count; i++) {
        struct kept *kept = leases->kept[i];
        kept->generation++;
        kept->used = kept->used && !kept->removing;
        if (kept->used && lease_close(&kept->core)) {
            lost(leases, i, why);
        }
    }
    leave_check(leases);
}

void leases_beaten(struct leases *leases, size_t index, int64_t sent_ms)
{
    lease_beaten(&leases->kept[index]->core, sent_ms, dyn_clock_boot_ms());
}

void leases_fenced(struct leases *leases, size_t index)
{
    if (lease_fenced(&leases->kept[index]->core, dyn_clock_boot_ms())) {
        lost(leases, index, "another has taken the lease");
    }
}

/* As good as a renewal to those who watch, but the regular ones alone count for us. */
void leases_acted(struct leases *leases, size_t index)
{
    struct kept *kept = leases->kept[index];
    struct dyn_str argv[] = {DYN_STR("FCALL"),
                             DYN_STR("dyn_renew"),
                             DYN_STR("1"),
                             dyn_str_from(kept->key),
                             dyn_str_from(leases->owner),
                             dyn_str_from(kept->epoch),
                             dyn_str_from(leases->replid)};
    if (kept->unacted && kept->core.state == LEASE_HELD && leases->bus != NULL) {
        kept->unacted = bus_command(leases->bus, argv, 7, 0, NULL, NULL) != DYN_OK;
    }
}

void leases_again(struct leases *leases, size_t index)
{
    if (lease_again(&leases->kept[index]->core, dyn_clock_boot_ms())) {
        step(leases, index);
    }
}

bool leases_is_held(const struct leases *leases, size_t index)
{
    return leases->kept[index]->core.state == LEASE_HELD;
}

bool leases_may_write(const struct leases *leases, size_t index)
{
    return lease_may_write(&leases->kept[index]->core, dyn_clock_boot_ms());
}

int64_t leases_deadline_ms(const struct leases *leases, size_t index)
{
    const struct lease *core = &leases->kept[index]->core;
    return core->state == LEASE_HELD ? core->deadline_ms : INT64_MIN;
}

int64_t leases_first_deadline_ms(const struct leases *leases)
{
    int64_t first_ms = INT64_MAX;
    for (size_t i = 0; i < leases->count; i++) {
        int64_t deadline_ms = leases_deadline_ms(leases, i);
        if (deadline_ms != INT64_MIN && deadline_ms < first_ms) {
            first_ms = deadline_ms;
        }
    }
    return first_ms;
}

const char *leases_owner(const struct leases *leases, size_t index)
{
    return leases->kept[index]->owner;
}

void leases_leave(struct leases *leases, void (*done)(void *arg), void *arg)
{
    leases->leaving = true;
    leases->done = done;
    leases->done_arg = arg;
    tick(leases);
}
