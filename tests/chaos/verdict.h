/*
 * verdict: whether what came of a scene holds the invariants, from what the source said, what it
 * was asked, and what the fake Heroku was told; never from what the programs say of themselves.
 */
#ifndef DYN_TESTS_CHAOS_VERDICT_H
#define DYN_TESTS_CHAOS_VERDICT_H

#include "scene.h"

struct verdict {
    size_t rises, falls;
    int64_t poll_gap_ms; /* the longest silence towards an input */
};

/**
 * I1: no fall below a level that the source gave for longer than max_gap and that was still given
 * less than a window before. What the actuator knew may have been late_ms old.
 */
void verdict_falls(struct scene *scene, int late_ms, struct verdict *verdict);
/** I2: two instances never have writes under way in one account. */
void verdict_writers(struct scene *scene);
/** Each input is asked at least every most_ms in [from_ms, now]. */
void verdict_polls(struct scene *scene, int64_t from_ms, int most_ms, struct verdict *verdict);
/** Over [from_ms, now] no input is asked much oftener than its interval says. */
void verdict_polled_once(struct scene *scene, int64_t from_ms);
/** Whether each app runs what its level asks for. */
bool verdict_converged(struct scene *scene);
/** Each app runs that, or more and `dynosaur explain` names what holds it. How many are held. */
unsigned verdict_explained(struct scene *scene);

#endif
