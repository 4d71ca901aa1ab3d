#include "actuator/budget.h"

#include "common/err.h"

void act_budget_init(struct act_budget *budget, double reserve_percent)
{
    DYN_ASSERT(reserve_percent >= 0 && reserve_percent <= 100);
    *budget = (struct act_budget){
        .reserve = reserve_percent / 100,
        .told_at = BUDGET_NEVER,
        .ask_at = BUDGET_NEVER,
        .trickle_at = BUDGET_NEVER,
        .blocked_until = BUDGET_NEVER,
    };
}

static bool budget_is_told(const struct act_budget *budget, int64_t now)
{
    return now - budget->told_at <= BUDGET_TOLD_MAX_MS;
}

/* Rises may go down to the reserve, falls to a tenth of our share above it, reads to half of it:
 * however much there is to read, a rise finds tokens. */
static int64_t budget_floor(const struct act_budget *budget, enum act_purpose purpose)
{
    double level = (double)budget->level;
    double reserve = level * budget->reserve;
    double share = level - reserve;
    switch (purpose) {
    case ACT_FOR_RISE:
        return (int64_t)reserve;
    case ACT_FOR_FALL:
        return (int64_t)(reserve + share * 0.1);
    case ACT_FOR_READ:
        break;
    }
    return (int64_t)(reserve + share * 0.5);
}

bool act_budget_waits(const struct act_budget *budget, int64_t now)
{
    return now < budget->blocked_until;
}

bool act_budget_may(const struct act_budget *budget, enum act_purpose purpose, int64_t now)
{
    if (act_budget_waits(budget, now)) {
        return false;
    }
    if (budget_is_told(budget, now)) {
        return budget->left > budget_floor(budget, purpose);
    }
    /* The first words that Heroku says are awaited, then the trickle has a burst by purpose. */
    int64_t burst = purpose == ACT_FOR_RISE ? 5 : purpose == ACT_FOR_FALL ? 3 : 1;
    return !budget->asking && budget->trickle_at - now <= (burst - 1) * BUDGET_TRICKLE_MS;
}

uint64_t act_budget_take(struct act_budget *budget, int64_t now)
{
    if (budget->left > 0) {
        budget->left--;
    }
    budget->flying++;
    int64_t from = budget->trickle_at > now ? budget->trickle_at : now;
    budget->trickle_at = from + BUDGET_TRICKLE_MS;
    return ++budget->sent;
}

bool act_budget_wants_limits(const struct act_budget *budget, int64_t now)
{
    if (budget->asking || act_budget_waits(budget, now) || now < budget->ask_at) {
        return false;
    }
    bool starved = !act_budget_may(budget, ACT_FOR_READ, now);
    return starved || now - budget->told_at >= BUDGET_ASK_MS;
}

uint64_t act_budget_ask(struct act_budget *budget, int64_t now)
{
    DYN_ASSERT(!budget->asking);
    budget->asking = true;
    budget->ask_at = now + BUDGET_ASK_STARVED_MS;
    return budget->sent;
}

void act_budget_answered(struct act_budget *budget, uint64_t number, bool free, int64_t remaining,
                         int64_t now)
{
    DYN_ASSERT(number <= budget->sent);
    if (free) {
        budget->asking = false;
    } else {
        DYN_ASSERT(budget->flying > 0);
        budget->flying--;
    }
    if (remaining < 0 || remaining > BUDGET_LEVEL_MAX) {
        return;
    }
    if (remaining >= budget->level || now - budget->level_at > BUDGET_LEVEL_AGE_MS) {
        budget->level = remaining;
        budget->level_at = now;
    }
    /* Answers overtake each other. Whatever was sent later, or is still under way, may not have
     * been counted yet when Heroku wrote this number. */
    int64_t later = (int64_t)(budget->sent - number) + (int64_t)budget->flying;
    budget->left = remaining > later ? remaining - later : 0;
    budget->told_at = now;
}

bool act_budget_limited(struct act_budget *budget, int64_t retry_after_ms, uint64_t random,
                        int64_t now)
{
    bool begins = !act_budget_waits(budget, now);
    int64_t wait = retry_after_ms;
    if (wait < 0) {
        if (!begins) {
            return false; /* one of many that were under way: the wait is set already */
        }
        wait = budget->backoff_ms > 0 ? budget->backoff_ms : BUDGET_BACKOFF_MS;
        int64_t next = wait * 2;
        budget->backoff_ms = next < BUDGET_BACKOFF_MAX_MS ? next : BUDGET_BACKOFF_MAX_MS;
    }
    wait += (int64_t)(random % (uint64_t)(wait / 4 + 1));
    if (now + wait > budget->blocked_until) {
        budget->blocked_until = now + wait;
    }
    budget->left = 0;
    /* What was told before is void: ask anew when the wait is over. */
    budget->told_at = BUDGET_NEVER;
    budget->ask_at = BUDGET_NEVER;
    return begins;
}

void act_budget_served(struct act_budget *budget)
{
    budget->backoff_ms = 0;
}

void act_budget_move(struct act_budget *from, struct act_budget *to, uint32_t flying, bool asking)
{
    DYN_ASSERT(from->flying >= flying);
    from->flying -= flying;
    from->asking = from->asking && !asking;
    to->sent += flying;
    to->flying += flying;
    to->left = to->left > (int64_t)flying ? to->left - (int64_t)flying : 0;
}

void act_budget_join(struct act_budget *budget, const struct act_budget *other)
{
    if (other->level > budget->level) {
        budget->level = other->level;
        budget->level_at = other->level_at;
    }
    budget->reserve = other->reserve > budget->reserve ? other->reserve : budget->reserve;
    budget->left = other->left < budget->left ? other->left : budget->left;
    if (other->blocked_until > budget->blocked_until) {
        budget->blocked_until = other->blocked_until;
    }
}
