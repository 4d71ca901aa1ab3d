#include "common/members.h"

#include "common/limits.h"

#include <stdlib.h>

#define MEMBERS_FORGET 10 /* times gone_ms: then an entry that never moved is removed */

struct member {
    char name[DYN_NAME_MAX + 64];
    uint64_t hash;
    uint64_t beats;
    int64_t moved_ms; /* its count was seen to move, or first seen, then */
    bool alive;
    bool listed;  /* in the answer that is being read */
    bool emptied; /* its entry went with all others: not seen since, and not because it left */
};

struct members {
    struct member self;
    int64_t beat_ms;
    int64_t gone_ms;
    struct member *others;
    size_t count;
    size_t room;
    int64_t opened_ms; /* INT64_MIN: not connected yet */
    int64_t now_ms;
    int64_t answered_ms; /* the last answer; INT64_MIN: none since it was opened */
    int64_t doubted_ms;  /* all others seemed gone then; INT64_MIN: no doubt */
    bool emptied;        /* our own count began anew */
    bool known;
    bool changed;
};

/* The finaliser of SplitMix64 (Steele, Lea, Flood 2014): FNV's high bits are weak. */
static uint64_t mix(uint64_t x)
{
    x ^= x >> 30;
    x *= UINT64_C(0xbf58476d1ce4e5b9);
    x ^= x >> 27;
    x *= UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static void member_name(struct member *member, struct dyn_str name)
{
    dyn_str_copy(member->name, sizeof member->name, name);
    member->hash = mix(dyn_hash(DYN_HASH_SEED, dyn_str_from(member->name)));
}

struct members *members_new(const char *self, int64_t beat_ms, int64_t gone_ms)
{
    DYN_ASSERT(beat_ms > 0 && gone_ms >= beat_ms);
    struct members *members = calloc(1, sizeof *members);
    if (members != NULL) {
        member_name(&members->self, dyn_str_from(self));
        members->self.alive = true;
        members->beat_ms = beat_ms;
        members->gone_ms = gone_ms;
        members->opened_ms = INT64_MIN;
        members->answered_ms = INT64_MIN;
        members->doubted_ms = INT64_MIN;
    }
    return members;
}

void members_free(struct members *members)
{
    if (members != NULL) {
        free(members->others);
        free(members);
    }
}

static void watch_anew(struct members *members, int64_t now_ms)
{
    members->doubted_ms = INT64_MIN;
    for (size_t i = 0; i < members->count; i++) {
        members->others[i].moved_ms = now_ms;
    }
}

void members_open(struct members *members, int64_t now_ms)
{
    members->opened_ms = now_ms;
    members->answered_ms = INT64_MIN;
    watch_anew(members, now_ms);
}

/* ---- an answer ---- */

void members_begin(struct members *members, int64_t now_ms)
{
    bool broken =
        members->answered_ms != INT64_MIN && now_ms - members->answered_ms > members->gone_ms / 2;
    if (broken) {
        watch_anew(members, now_ms);
    }
    members->now_ms = now_ms;
    members->answered_ms = now_ms;
    members->emptied = false;
    for (size_t i = 0; i < members->count; i++) {
        members->others[i].listed = false;
    }
}

static struct member *member_find(struct members *members, struct dyn_str name)
{
    for (size_t i = 0; i < members->count; i++) {
        if (dyn_str_is(name, members->others[i].name)) {
            return &members->others[i];
        }
    }
    return NULL;
}

static struct member *member_add(struct members *members, struct dyn_str name)
{
    if (members->count == members->room) {
        size_t room = members->room > 0 ? members->room * 2 : 8;
        struct member *others = realloc(members->others, room * sizeof *others);
        if (others == NULL) {
            return NULL;
        }
        members->others = others;
        members->room = room;
    }
    DYN_ASSERT(members->others != NULL);
    struct member *member = &members->others[members->count++];
    *member = (struct member){.moved_ms = members->now_ms};
    member_name(member, name);
    return member;
}

void members_see(struct members *members, struct dyn_str name, uint64_t beats)
{
    if (dyn_str_is(name, members->self.name)) {
        members->emptied = beats < members->self.beats;
        members->self.beats = beats;
        return;
    }
    if (name.len == 0 || name.len >= sizeof members->self.name) {
        return;
    }
    struct member *member = member_find(members, name);
    if (member == NULL) {
        member = members->count < MEMBERS_MAX ? member_add(members, name) : NULL;
        if (member == NULL) {
            return;
        }
    } else if (member->beats != beats || member->emptied) {
        member->moved_ms = members->now_ms;
        members->changed = members->changed || !member->alive;
        member->alive = true;
    }
    member->beats = beats;
    member->listed = true;
    member->emptied = false;
}

/* Whoever is not in the answer has left, unless the entry went with all others: whoever lived then
 * is awaited as long as somebody who is silent. */
static void absent_forget(struct members *members)
{
    size_t kept = 0;
    for (size_t i = 0; i < members->count; i++) {
        struct member *member = &members->others[i];
        member->emptied = !member->listed && (member->emptied || members->emptied);
        if (member->listed || (member->emptied && member->alive)) {
            members->others[kept++] = *member;
        } else {
            members->changed = members->changed || member->alive;
        }
    }
    members->count = kept;
}

static int64_t still_ms(const struct members *members, const struct member *member)
{
    return members->now_ms - member->moved_ms;
}

/* Nobody is called gone while all of several seem so, until they seemed so for another gone_ms.
 * Beats of one fault end up to a beat apart, and are seen up to a beat late: whoever is nearly
 * gone counts, too. */
static bool all_are_doubted(struct members *members)
{
    size_t alive = 0;
    size_t silent = 0;
    bool gone = false;
    for (size_t i = 0; i < members->count; i++) {
        const struct member *member = &members->others[i];
        if (member->alive) {
            int64_t still = still_ms(members, member);
            alive++;
            silent += still >= members->gone_ms - members->beat_ms * 3 / 2;
            gone = gone || still >= members->gone_ms;
        }
    }
    if (!gone || silent < 2 || silent < alive) {
        members->doubted_ms = INT64_MIN;
        return false;
    }
    if (members->doubted_ms == INT64_MIN) {
        members->doubted_ms = members->now_ms;
    }
    return members->now_ms - members->doubted_ms < members->gone_ms;
}

static void silent_drop(struct members *members)
{
    if (all_are_doubted(members)) {
        return;
    }
    members->doubted_ms = INT64_MIN;
    for (size_t i = 0; i < members->count; i++) {
        struct member *member = &members->others[i];
        if (member->alive && still_ms(members, member) >= members->gone_ms) {
            member->alive = false;
            members->changed = true;
        }
    }
}

/* Everybody who lives has moved within a beat and a half, and strangers are worth that wait. */
static void know(struct members *members)
{
    bool strangers = false;
    for (size_t i = 0; i < members->count; i++) {
        strangers = strangers || !members->others[i].alive;
    }
    int64_t waited_ms = members->now_ms - members->opened_ms;
    if (!members->known && (!strangers || waited_ms >= members->beat_ms * 3 / 2)) {
        members->known = true;
        members->changed = true;
    }
}

static bool changed_take(struct members *members)
{
    bool changed = members->changed && members->known;
    members->changed = false;
    return changed;
}

bool members_end(struct members *members)
{
    if (members->emptied) {
        watch_anew(members, members->now_ms);
    }
    absent_forget(members);
    silent_drop(members);
    know(members);
    return changed_take(members);
}

bool members_turn(struct members *members, int64_t now_ms)
{
    bool watching =
        members->answered_ms != INT64_MIN && now_ms - members->answered_ms <= members->gone_ms / 2;
    if (watching) {
        members->now_ms = now_ms;
        silent_drop(members);
        know(members);
    }
    return changed_take(members);
}

int64_t members_next_ms(const struct members *members)
{
    int64_t next_ms = INT64_MAX;
    if (members->answered_ms == INT64_MIN) {
        return next_ms;
    }
    for (size_t i = 0; i < members->count; i++) {
        const struct member *member = &members->others[i];
        int64_t gone_ms = member->moved_ms + members->gone_ms;
        if (member->alive && gone_ms < next_ms) {
            next_ms = gone_ms;
        }
    }
    if (members->doubted_ms != INT64_MIN) {
        next_ms = members->doubted_ms + members->gone_ms;
    }
    if (!members->known && members->opened_ms + members->beat_ms * 3 / 2 < next_ms) {
        next_ms = members->opened_ms + members->beat_ms * 3 / 2;
    }
    return next_ms;
}

/* ---- what follows ---- */

bool members_known(const struct members *members)
{
    return members->known;
}

size_t members_count(const struct members *members)
{
    size_t count = members->known;
    for (size_t i = 0; members->known && i < members->count; i++) {
        count += members->others[i].alive;
    }
    return count;
}

size_t members_dead(const struct members *members, int64_t now_ms, struct dyn_str *out_names,
                    size_t max)
{
    size_t count = 0;
    for (size_t i = 0; i < members->count && count < max; i++) {
        const struct member *member = &members->others[i];
        if (!member->alive && now_ms - member->moved_ms >= MEMBERS_FORGET * members->gone_ms) {
            out_names[count++] = dyn_str_from(member->name);
        }
    }
    return count;
}

static uint64_t weight(const struct member *member, uint64_t key)
{
    return mix(member->hash ^ mix(key));
}

/* Equal weights are as good as impossible; names decide, so that all say the same. */
static bool comes_before(const struct member *a, const struct member *b, uint64_t key)
{
    uint64_t first = weight(a, key);
    uint64_t second = weight(b, key);
    return first != second ? first > second : strcmp(a->name, b->name) < 0;
}

bool members_owns(const struct members *members, uint64_t key)
{
    bool ours = members->known;
    for (size_t i = 0; ours && i < members->count; i++) {
        const struct member *other = &members->others[i];
        ours = !other->alive || comes_before(&members->self, other, key);
    }
    return ours;
}

void members_spread(const struct members *members, const uint64_t *keys, size_t count,
                    bool *out_ours)
{
    DYN_ASSERT(count <= MEMBERS_SPREAD_MAX);
    const struct member *alive[MEMBERS_MAX + 1];
    size_t shares[MEMBERS_MAX + 1] = {0};
    size_t alive_count = 0;
    memset(out_ours, 0, count * sizeof *out_ours);
    if (!members->known) {
        return;
    }
    alive[alive_count++] = &members->self;
    for (size_t i = 0; i < members->count; i++) {
        if (members->others[i].alive) {
            alive[alive_count++] = &members->others[i];
        }
    }
    size_t full = count / alive_count;
    size_t extra = count % alive_count; /* so many may have one more */
    for (size_t i = 0; i < count; i++) {
        size_t best = SIZE_MAX;
        for (size_t j = 0; j < alive_count; j++) {
            bool room = shares[j] < full + (extra > 0);
            if (room && (best == SIZE_MAX || comes_before(alive[j], alive[best], keys[i]))) {
                best = j;
            }
        }
        extra -= shares[best] == full;
        shares[best]++;
        out_ours[i] = best == 0;
    }
}
