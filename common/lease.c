#include "common/lease.h"

#include <string.h>

void lease_init(struct lease *lease, const struct lease_times *times)
{
    DYN_ASSERT(times->renew_ms > 0 && times->look_ms > 0);
    DYN_ASSERT(times->hold_ms == 0 || times->wait_ms > times->hold_ms);
    *lease = (struct lease){.times = *times, .wish = LEASE_WANTED, .deadline_ms = INT64_MIN};
}

/* Not held any more, and the watch begins anew: what was seen of it is of before. */
static void lease_watch(struct lease *lease, enum lease_state state, int64_t now_ms)
{
    lease->state = state;
    lease->asking = false;
    lease->seen = false;
    lease->deadline_ms = INT64_MIN;
    lease->next_look_ms = now_ms;
}

void lease_open(struct lease *lease, int64_t now_ms)
{
    lease_watch(lease, LEASE_WATCHED, now_ms);
}

bool lease_close(struct lease *lease)
{
    bool held = lease->state == LEASE_HELD;
    lease_watch(lease, LEASE_AWAY, 0);
    return held;
}

void lease_wish(struct lease *lease, enum lease_wish wish)
{
    lease->wish = wish;
}

/* When it may be taken, as far as is known now. */
static int64_t lease_free_ms(const struct lease *lease)
{
    if (lease->wish == LEASE_UNWANTED) {
        return INT64_MAX;
    }
    if (lease->owned && lease->owned_by_self) {
        return lease->still_since_ms;
    }
    return lease->still_since_ms + (lease->owned ? lease->times.wait_ms : 0) +
           (lease->wish == LEASE_SPARE ? LEASE_SPARE_MS : 0);
}

static enum lease_action lease_step_held(struct lease *lease, int64_t now_ms)
{
    if (lease->deadline_ms != INT64_MAX && now_ms >= lease->deadline_ms - lease->times.drop_ms) {
        lease_watch(lease, LEASE_WATCHED, now_ms);
        return LEASE_DROP;
    }
    if (lease->asking) {
        return LEASE_REST;
    }
    if (lease->wish == LEASE_UNWANTED) {
        lease->state = LEASE_LEAVING;
        lease->asking = true;
        lease->deadline_ms = INT64_MIN;
        return LEASE_GIVE_UP;
    }
    if (now_ms >= lease->next_renew_ms) {
        lease->asking = true;
        lease->sent_ms = now_ms;
        return LEASE_RENEW;
    }
    return LEASE_REST;
}

static enum lease_action lease_step_watched(struct lease *lease, int64_t now_ms)
{
    if (lease->asking) {
        return LEASE_REST;
    }
    if (lease->seen && now_ms >= lease_free_ms(lease)) {
        lease->state = LEASE_TAKING;
        lease->sent_ms = now_ms;
        return LEASE_TAKE;
    }
    if (now_ms >= lease->next_look_ms) {
        lease->asking = true;
        return LEASE_LOOK;
    }
    return LEASE_REST;
}

enum lease_action lease_step(struct lease *lease, int64_t now_ms)
{
    switch (lease->state) {
    case LEASE_HELD:
        return lease_step_held(lease, now_ms);
    case LEASE_WATCHED:
        return lease_step_watched(lease, now_ms);
    case LEASE_AWAY:
    case LEASE_TAKING:
    case LEASE_LEAVING:
        break;
    }
    return LEASE_REST;
}

static int64_t lease_earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

int64_t lease_next_ms(const struct lease *lease)
{
    if (lease->state == LEASE_HELD) {
        int64_t drop_ms =
            lease->deadline_ms == INT64_MAX ? INT64_MAX : lease->deadline_ms - lease->times.drop_ms;
        if (lease->asking) {
            return drop_ms;
        }
        return lease->wish == LEASE_UNWANTED ? 0 : lease_earlier(drop_ms, lease->next_renew_ms);
    }
    if (lease->state != LEASE_WATCHED || lease->asking) {
        return INT64_MAX;
    }
    return lease->seen ? lease_earlier(lease->next_look_ms, lease_free_ms(lease))
                       : lease->next_look_ms;
}

/* A number of the record as text; absent is 0. */
static void number_take(char out[LEASE_EPOCH_TEXT], struct dyn_str text)
{
    dyn_str_copy(out, LEASE_EPOCH_TEXT, text.len > 0 ? text : DYN_STR("0"));
}

void lease_seen(struct lease *lease, struct dyn_str self, struct dyn_str owner,
                struct dyn_str epoch, struct dyn_str beat, int64_t now_ms)
{
    if (lease->state != LEASE_WATCHED) {
        return;
    }
    char epoch_now[LEASE_EPOCH_TEXT];
    char beat_now[LEASE_EPOCH_TEXT];
    number_take(epoch_now, epoch);
    number_take(beat_now, beat);
    bool owned = owner.len > 0;
    bool moved = !lease->seen || strcmp(epoch_now, lease->seen_epoch) != 0 ||
                 strcmp(beat_now, lease->seen_beat) != 0 || owned != lease->owned;
    if (moved) {
        /* The answer's time, not the question's: it stood so at some time in between at the
         * earliest, and waiting from the later one is the safe side. */
        lease->still_since_ms = now_ms;
    }
    memcpy(lease->seen_epoch, epoch_now, sizeof epoch_now);
    memcpy(lease->seen_beat, beat_now, sizeof beat_now);
    lease->seen = true;
    lease->owned = owned;
    lease->owned_by_self = dyn_str_eq(owner, self);
    lease->asking = false;
    lease->next_look_ms = now_ms + lease->times.look_ms;
}

void lease_unseen(struct lease *lease, int64_t now_ms)
{
    if (lease->state == LEASE_WATCHED) {
        lease_watch(lease, LEASE_WATCHED, now_ms);
        lease->next_look_ms = now_ms + lease->times.look_ms;
    }
}

bool lease_taken(struct lease *lease, enum lease_answer answer, int64_t now_ms)
{
    if (lease->state != LEASE_TAKING) {
        return false;
    }
    if (answer != LEASE_DONE) {
        lease_watch(lease, LEASE_WATCHED, now_ms);
        lease->next_look_ms = now_ms + lease->times.look_ms;
        return false;
    }
    lease->state = LEASE_HELD;
    lease->held_since_ms = now_ms;
    lease_beaten(lease, lease->sent_ms, now_ms);
    return true;
}

void lease_beaten(struct lease *lease, int64_t sent_ms, int64_t now_ms)
{
    if (lease->state == LEASE_HELD) {
        int64_t deadline_ms = sent_ms + lease->times.hold_ms;
        bool later = lease->deadline_ms == INT64_MIN || deadline_ms > lease->deadline_ms;
        if (lease->times.hold_ms == 0) {
            lease->deadline_ms = INT64_MAX;
        } else if (later) {
            lease->deadline_ms = deadline_ms;
        }
        lease->next_renew_ms = now_ms + lease->times.renew_ms;
    }
}

bool lease_renewed(struct lease *lease, enum lease_answer answer, int64_t now_ms)
{
    if (lease->state != LEASE_HELD || !lease->asking) {
        return true;
    }
    lease->asking = false;
    if (answer == LEASE_DONE) {
        lease_beaten(lease, lease->sent_ms, now_ms);
    } else if (answer == LEASE_FENCED) {
        return !lease_fenced(lease, now_ms);
    } else {
        lease->next_renew_ms = now_ms + lease->times.look_ms;
    }
    return true;
}

bool lease_fenced(struct lease *lease, int64_t now_ms)
{
    bool held = lease->state == LEASE_HELD;
    if (held) {
        lease_watch(lease, LEASE_WATCHED, now_ms);
    }
    return held;
}

bool lease_again(struct lease *lease, int64_t now_ms)
{
    return lease_fenced(lease, now_ms);
}

void lease_left(struct lease *lease, int64_t now_ms)
{
    if (lease->state == LEASE_LEAVING) {
        lease_watch(lease, LEASE_WATCHED, now_ms);
        lease->next_look_ms = now_ms + lease->times.look_ms;
    }
}

bool lease_may_write(const struct lease *lease, int64_t now_ms)
{
    return lease->state == LEASE_HELD && now_ms < lease->deadline_ms - lease->times.drop_ms / 2;
}
