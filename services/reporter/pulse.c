#include "reporter/pulse.h"

#include <inttypes.h>

void pulse_init(struct pulse *pulse, uint32_t partitions)
{
    DYN_ASSERT(partitions <= DYN_PARTITIONS_MAX);
    *pulse = (struct pulse){.partitions = partitions};
    for (uint32_t i = 0; i < partitions; i++) {
        pulse->folded_ms[i] = INT64_MIN;
    }
    for (int i = 0; i < PULSE_ROLES; i++) {
        pulse->roles[i].beat_ms = INT64_MIN;
    }
}

const char *pulse_role_name(enum pulse_role role)
{
    static const char *const names[PULSE_ROLES] = {"collector", "estimator", "actuator"};
    return names[role];
}

void pulse_fold(struct pulse *pulse, uint32_t partition, int64_t cursor_ms, int64_t redis_ms,
                int64_t now_ms)
{
    DYN_ASSERT(partition < pulse->partitions);
    if (cursor_ms > redis_ms && cursor_ms == pulse->cursor_ms[partition]) {
        return;
    }
    pulse->cursor_ms[partition] = cursor_ms;
    int64_t age_ms = redis_ms > cursor_ms ? redis_ms - cursor_ms : 0;
    pulse->folded_ms[partition] = now_ms - age_ms;
}

void pulse_beat(struct pulse *pulse, enum pulse_role role, uint64_t beats, int64_t now_ms)
{
    bool moved = pulse->roles[role].seen && pulse->roles[role].beats != beats;
    pulse->roles[role].seen = true;
    pulse->roles[role].beats = beats;
    if (moved) {
        pulse->roles[role].beat_ms = now_ms;
    }
}

static bool is_recent(int64_t then_ms, int64_t now_ms)
{
    return then_ms != INT64_MIN && now_ms - then_ms <= PULSE_MAX_MS;
}

bool pulse_lives(const struct pulse *pulse, int64_t now_ms, struct dyn_error *why)
{
    for (enum pulse_role role = 0; role < PULSE_ROLES; role++) {
        if (!is_recent(pulse->roles[role].beat_ms, now_ms)) {
            (void)dyn_error_set(why, DYN_OK, "no %s was seen to beat for %d s",
                                pulse_role_name(role), PULSE_MAX_MS / 1000);
            return false;
        }
    }
    for (uint32_t i = 0; i < pulse->partitions; i++) {
        if (!is_recent(pulse->folded_ms[i], now_ms)) {
            (void)dyn_error_set(why, DYN_OK, "partition %" PRIu32 " was not folded for %d s", i,
                                PULSE_MAX_MS / 1000);
            return false;
        }
    }
    return true;
}
