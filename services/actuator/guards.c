#include "actuator/guards.h"

static struct act_verdict hold(const struct act_facts *facts, enum guard guard, int64_t until)
{
    return (struct act_verdict){.want = facts->running, .guard = guard, .until = until};
}

int32_t act_step_down(int32_t running, double percent)
{
    int32_t step = (int32_t)((double)running * percent / 100);
    return step > 1 ? step : 1;
}

/* The guards that both directions share, asked last. */
static struct act_verdict allow(const struct act_facts *facts, int32_t want)
{
    const struct config_controller *policy = facts->policy;
    if (policy->max_changes_per_hour > 0 && facts->changes >= policy->max_changes_per_hour) {
        return hold(facts, GUARD_CHANGES, facts->changes_free_at);
    }
    if (facts->refused > 0 && want == facts->refused && facts->now < facts->refused_until) {
        return hold(facts, GUARD_REFUSED, facts->refused_until);
    }
    if (policy->mode == CONFIG_MODE_SHADOW) {
        return (struct act_verdict){.want = want, .guard = GUARD_SHADOW};
    }
    return (struct act_verdict){.write = true, .want = want};
}

static struct act_verdict judge_rise(const struct act_facts *facts)
{
    const struct config_controller *policy = facts->policy;
    int32_t want = facts->target < facts->ceiling ? facts->target : facts->ceiling;
    if (want <= facts->running) {
        return hold(facts, GUARD_LIMIT, 0);
    }
    bool cut = policy->max_step_up > 0 && want - facts->running > policy->max_step_up;
    if (cut) {
        want = facts->running + policy->max_step_up;
    }
    int64_t free_at = facts->last_up + policy->scale_up_cooldown_ms;
    if (facts->now < free_at) {
        return hold(facts, cut ? GUARD_STEP : GUARD_UP_COOLDOWN, free_at);
    }
    return allow(facts, want);
}

static struct act_verdict judge_fall(const struct act_facts *facts)
{
    const struct config_controller *policy = facts->policy;
    if (facts->raise_only) {
        return hold(facts, GUARD_UNCOVERED, 0);
    }
    if (policy->plans != NULL && !policy->allow_downgrade) {
        return hold(facts, GUARD_DOWNGRADE, 0);
    }
    if (policy->mode == CONFIG_MODE_RAISE_ONLY) {
        return hold(facts, GUARD_RAISE_ONLY_MODE, 0);
    }
    if (facts->now - facts->mark_at > ACT_MARK_MAX_AGE_MS) {
        return hold(facts, GUARD_OLD_MARK, 0);
    }
    int32_t want = facts->target;
    if (facts->manual_floor > want && facts->now < facts->manual_until) {
        want = facts->manual_floor;
        if (want >= facts->running) {
            return hold(facts, GUARD_MANUAL_FLOOR, facts->manual_until);
        }
    }
    int32_t step =
        policy->plans != NULL ? 1 : act_step_down(facts->running, policy->max_step_down_percent);
    bool cut = facts->running - want > step;
    if (cut) {
        want = facts->running - step;
    }
    /* A fall waits after a rise as well: what has just been asked for is not taken away at once. */
    int64_t last = facts->last_down > facts->last_up ? facts->last_down : facts->last_up;
    int64_t free_at = last + policy->scale_down_cooldown_ms;
    if (facts->now < free_at) {
        return hold(facts, cut ? GUARD_STEP : GUARD_DOWN_COOLDOWN, free_at);
    }
    return allow(facts, want);
}

struct act_verdict act_judge(const struct act_facts *facts)
{
    if (facts->policy->mode == CONFIG_MODE_OFF) {
        return hold(facts, GUARD_MODE_OFF, 0);
    }
    if (facts->running < 0) {
        return hold(facts, GUARD_NO_READING, 0);
    }
    if (facts->running == 0) {
        return hold(facts, GUARD_ZERO, 0);
    }
    if (facts->target < 0) {
        return hold(facts, GUARD_NO_TARGET, 0);
    }
    if (facts->target == facts->running) {
        return hold(facts, GUARD_NONE, 0);
    }
    if (facts->provisioning) {
        return hold(facts, GUARD_PROVISIONING, 0);
    }
    if (facts->paused) {
        return hold(facts, GUARD_PAUSED, 0);
    }
    if (facts->maintenance) {
        return hold(facts, GUARD_MAINTENANCE, 0);
    }
    if (facts->manual_floor == 0 && facts->now < facts->manual_until) {
        return hold(facts, GUARD_MANUAL_HOLD, facts->manual_until);
    }
    return facts->target > facts->running ? judge_rise(facts) : judge_fall(facts);
}
