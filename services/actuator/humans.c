#include "actuator/humans.h"

#include "common/err.h"

void act_human_init(struct act_human *human)
{
    *human = (struct act_human){
        .confirmed = -1,
        .floor = -1,
        .maybe_from = -1,
        .maybe_to = -1,
        .before = -1,
    };
}

void act_human_confirm(struct act_human *human, int32_t from, int32_t to, int64_t now)
{
    DYN_ASSERT(to >= 0);
    human->confirmed = to;
    human->maybe_from = -1; /* but an earlier write without an answer may still come through */
    human->before = from;
    human->before_until = now + HUMAN_LATE_MS;
}

void act_human_doubt(struct act_human *human, int32_t from, int32_t to, int64_t until)
{
    human->maybe_from = from;
    human->maybe_to = to;
    human->maybe_until = until;
}

void act_human_unfinished(struct act_human *human, int64_t now)
{
    human->before_until = now + HUMAN_LATE_MS;
}

static enum act_seen compare(struct act_human *human, int32_t running, int64_t now)
{
    if (human->confirmed < 0) {
        return SEEN_FIRST;
    }
    bool doubtful = human->maybe_to >= 0 && now < human->maybe_until;
    if (doubtful && (running == human->maybe_to || running == human->maybe_from)) {
        return running == human->confirmed ? SEEN_SAME : SEEN_OURS;
    }
    if (running == human->confirmed) {
        return SEEN_SAME;
    }
    if (running == human->before && now < human->before_until) {
        human->before = -1;
        return SEEN_UNDONE;
    }
    return running > human->confirmed ? SEEN_RAISED : SEEN_LOWERED;
}

enum act_seen act_human_see(struct act_human *human, int32_t running, int64_t hold_ms, int64_t now)
{
    DYN_ASSERT(running >= 0);
    enum act_seen seen = compare(human, running, now);
    if (seen == SEEN_RAISED || seen == SEEN_LOWERED) {
        human->floor = seen == SEEN_RAISED ? running : 0;
        human->until = now + hold_ms;
        human->maybe_to = -1;
        human->before = -1;
    }
    human->confirmed = running;
    return seen;
}
