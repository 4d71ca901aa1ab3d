/*
 * guards: what one controller may do now, from what is known of it. A pure function of its facts;
 * each guard has a name (enum guard) that `explain` prints. What depends on other requests, on the
 * account or on Heroku's answers is the core's.
 */
#ifndef DYN_ACTUATOR_GUARDS_H
#define DYN_ACTUATOR_GUARDS_H

#include "actuator/core.h"

#define ACT_NEVER (INT64_MIN / 4) /* a time on the boot clock that is long ago */

/* Times are boot ms. */
struct act_facts {
    const struct config_controller *policy;
    int64_t now;
    int32_t running; /* -1: unknown */
    int32_t target;  /* -1: none */
    bool raise_only;
    bool paused;
    bool maintenance;
    int64_t mark_at; /* when the partition's last newer mark came; ACT_NEVER */
    int64_t last_up; /* ACT_NEVER */
    int64_t last_down;
    int32_t changes;         /* within the last hour */
    int64_t changes_free_at; /* when one of them is an hour old */
    int32_t manual_floor;    /* -1: none; 0: nothing moves; else a floor */
    int64_t manual_until;
    int32_t ceiling; /* what Heroku's limit leaves for this process type; INT32_MAX: none known */
    int32_t refused; /* a quantity that Heroku refused for this target; 0: none */
    int64_t refused_until; /* then it is tried again */
    bool provisioning;     /* of plans: a change of the add-on is under way */
};

struct act_verdict {
    bool write;       /* `want` may be written now */
    int32_t want;     /* the next quantity; `running` when nothing is to be changed */
    enum guard guard; /* when !write: what holds it, GUARD_NONE when it stands where it should */
    int64_t until;    /* when that ends by time; 0: not by time */
};

struct act_verdict act_judge(const struct act_facts *facts);

/** How far a fall of dynos may go at once: a quarter (or as configured), but at least one. */
int32_t act_step_down(int32_t running, double percent);

#endif
