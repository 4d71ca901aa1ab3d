/*
 * budget: how many requests a Heroku account still has for us.
 *
 * Heroku's pool is a token bucket whose size and refill are its own business and change; every
 * answer says how many tokens are left. The budget never adds tokens by itself: it counts down from
 * the last answer, takes away what was sent after the answered request and what is still under way,
 * and waits for the next answer to see the refill (`GET /account/rate-limits` costs nothing and is
 * asked when nothing else tells). So it never asks for more than Heroku has, whatever the limits
 * are. The highest number of the last day is the level of which a share is left to people:
 * an unused pool is full within hours, so a level that is not seen for a day is Heroku's no more.
 *
 * When Heroku tells nothing for BUDGET_TOLD_MAX_MS, a slow trickle (20 a minute, the lowest rate
 * that was ever documented) is all that is allowed.
 *
 * Invariant: 0 <= left. Ownership: lives inside its owner. Threads: one.
 */
#ifndef DYN_ACTUATOR_BUDGET_H
#define DYN_ACTUATOR_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

#define BUDGET_TOLD_MAX_MS 120000   /* what Heroku told is believed for that long */
#define BUDGET_ASK_MS 55000         /* then the free question is asked */
#define BUDGET_ASK_STARVED_MS 10000 /* ... and that often when there is nothing left for us */
#define BUDGET_TRICKLE_MS 3000      /* one request each, when nothing is told */
#define BUDGET_BACKOFF_MS 30000     /* after 429 without Retry-After, doubled */
#define BUDGET_BACKOFF_MAX_MS 900000
#define BUDGET_LEVEL_AGE_MS 86400000
#define BUDGET_LEVEL_MAX 1000000 /* a number beyond it is not believed */

/* What a request is for; the earlier may use what the later must leave. */
enum act_purpose {
    ACT_FOR_RISE,
    ACT_FOR_FALL,
    ACT_FOR_READ,
};

struct act_budget {
    double reserve;   /* share of the level that is left to people, 0..1 */
    int64_t level;    /* the most that Heroku told; 0: it has not */
    int64_t level_at; /* when */
    int64_t left;
    int64_t told_at; /* boot ms; BUDGET_NEVER */
    int64_t ask_at;  /* when the free question may be asked again */
    int64_t trickle_at;
    int64_t blocked_until; /* 429 */
    int64_t backoff_ms;    /* the next one; 0: BUDGET_BACKOFF_MS */
    uint64_t sent;         /* requests that cost, ever */
    uint32_t flying;       /* of them without an answer */
    bool asking;           /* the free question is under way */
};
#define BUDGET_NEVER (INT64_MIN / 4)

void act_budget_init(struct act_budget *budget, double reserve_percent);

/** Whether Heroku said to wait, and the wait lasts. */
bool act_budget_waits(const struct act_budget *budget, int64_t now);
/** Whether one more request may be sent now. */
bool act_budget_may(const struct act_budget *budget, enum act_purpose purpose, int64_t now);
/** Count one that is being sent; its number, for act_budget_answered(). */
uint64_t act_budget_take(struct act_budget *budget, int64_t now);

/** Whether to ask for the rate limits now, and that it was done; number as above. */
bool act_budget_wants_limits(const struct act_budget *budget, int64_t now);
uint64_t act_budget_ask(struct act_budget *budget, int64_t now);

/** The answer to request `number`: `remaining` as told, -1 when not. `free`: it was the free
 *  question. */
void act_budget_answered(struct act_budget *budget, uint64_t number, bool free, int64_t remaining,
                         int64_t now);
/** 429. `retry_after_ms` -1: not told. `random` spreads the wait by up to a quarter.
 *  True when this begins a new wait. */
bool act_budget_limited(struct act_budget *budget, int64_t retry_after_ms, uint64_t random,
                        int64_t now);
/** A request that costs was served: the next 429 begins at the shortest wait. */
void act_budget_served(struct act_budget *budget);

/** Count `flying` requests that cost, and the free question if it is among them, in `to` rather
 *  than in `from`: their account belongs to another budget than was thought. */
void act_budget_move(struct act_budget *from, struct act_budget *to, uint32_t flying, bool asking);
/** Take over what another budget of the same account knows. */
void act_budget_join(struct act_budget *budget, const struct act_budget *other);

#endif
