/* One episode: a fleet, a demand that rises and falls, faults from the seed, quiet, the verdict. */
#include "chaos.h"
#include "faults.h"
#include "verdict.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#define STEP_MS 50
#define ACTIVE_MS 5500      /* the demand changes for that long */
#define FAULTS_LAST_MS 4000 /* the last fault begins by then */
#define CONVERGE_MS 40000
/* Where the log's time stands still nothing falls; what rises waits for up to 5 s until Redis is
 * found again, and for 13 s for the requests of who held the account before. */
#define FROZEN_MS 22000
#define LATE_MS 1000         /* from a sample to a request, when nothing slows it */
#define SETTLE_MS 3000       /* leases and inputs are spread again by then */
#define SETTLE_AWAY_MS 10000 /* ... who was away notices it in 5 s, and tries again every 5 s */
#define POLL_SLACK_MS 1200   /* of a busy machine */

/* As short as the protocol allows; every proportion is the default's or wider. */
static const struct scene_times times = {
    .interval = 300,
    .window = 3000,
    .max_gap = 1200,
    .cooldown = 500,
    .lease = ", lease: {renew: 0.4, estimator_wait: 1.2, hold: 1.8, actuator_wait: 2.6, "
             "beat: 0.3, gone: 1.2}",
    .renew = 400,
    .estimator_wait = 1200,
    .hold = 1800,
    .actuator_wait = 2600,
    .beat = 300,
    .gone = 1200,
};

struct script {
    int until_ms[SCENE_PLATEAUS_MAX];
    int level[SCENE_PLATEAUS_MAX];
    size_t count, at;
};

/* Plateaus of 1.6 to 3 s; the last one is low, so that something has to fall in the end. */
static void script_draw(struct dice *dice, struct script *script)
{
    int at_ms = 0;
    while (at_ms < ACTIVE_MS - 1600) {
        at_ms += dice_between(dice, 1600, 3000);
        script->until_ms[script->count] = at_ms < ACTIVE_MS ? at_ms : ACTIVE_MS;
        script->level[script->count++] = dice_between(dice, 40, 400);
    }
    script->until_ms[script->count - 1] = ACTIVE_MS;
    script->until_ms[script->count] = INT32_MAX;
    script->level[script->count++] = dice_between(dice, 11, 60);
}

static void script_step(struct scene *scene, struct script *script, unsigned app, int64_t age_ms)
{
    bool first = script->at == 0;
    while (age_ms >= script->until_ms[script->at]) {
        script->at++;
        first = true;
    }
    if (first && scene_level(scene, app) != script->level[script->at]) {
        scene_demand(scene, app, script->level[script->at]);
    }
}

struct episode {
    struct scene scene;
    struct dice dice;
    struct script scripts[SCENE_APPS];
    struct fault faults[FAULTS_MAX];
    size_t faults_count;
    int64_t demand_ms; /* wall clock, when the demand began to change */
};

static bool faults_are_over(const struct episode *episode)
{
    for (size_t i = 0; i < episode->faults_count; i++) {
        if (episode->faults[i].state != FAULT_OVER) {
            return false;
        }
    }
    return scene_is_whole(&episode->scene);
}

static void episode_act(struct episode *episode)
{
    struct scene *scene = &episode->scene;
    int64_t age_ms = 0;
    episode->demand_ms = fleet_now_ms();
    while (age_ms < ACTIVE_MS || !faults_are_over(episode)) {
        for (unsigned app = 0; app < SCENE_APPS; app++) {
            script_step(scene, &episode->scripts[app], app, age_ms);
        }
        for (size_t i = 0; i < episode->faults_count; i++) {
            fault_step(scene, &episode->faults[i], age_ms);
        }
        scene_pass(scene, STEP_MS);
        age_ms = fleet_now_ms() - episode->demand_ms;
    }
    for (unsigned app = 0; app < SCENE_APPS; app++) {
        script_step(scene, &episode->scripts[app], app, age_ms);
    }
    scene_tell(scene, "quiet");
}

static void episode_converge(struct episode *episode)
{
    struct scene *scene = &episode->scene;
    bool frozen = false; /* the log's time stands still, or ran ahead */
    for (size_t i = 0; i < episode->faults_count; i++) {
        frozen = frozen || episode->faults[i].kind == FAULT_REDIS_CLOCK;
    }
    int64_t until_ms = fleet_now_ms() + (frozen ? FROZEN_MS : CONVERGE_MS);
    while (!verdict_converged(scene) && fleet_now_ms() < until_ms) {
        scene_pass(scene, 2 * STEP_MS);
    }
    unsigned held = verdict_explained(scene);
    if (held > 0 && !frozen) {
        scene_fail(scene, "I6: %u apps are held after %d s of quiet", held, CONVERGE_MS / 1000);
    }
    scene_tell(scene, held > 0 ? "%u apps are held, and explain says by what" : "converged", held);
}

/* Only what strikes one collector lets the inputs be judged from the beginning. */
static bool inputs_have_a_collector(const struct episode *episode)
{
    int struck = -1;
    for (size_t i = 0; i < episode->faults_count; i++) {
        const struct fault *fault = &episode->faults[i];
        bool one = fault->kind == FAULT_KILL || fault->kind == FAULT_STOP;
        if (!fault_hits_collectors(fault)) {
            continue;
        }
        if (!one || (struck >= 0 && struck != (int)fault->copy)) {
            return false;
        }
        struck = (int)fault->copy;
    }
    return episode->scene.copies > 1;
}

/* From when on the collectors know each other again, and share the inputs. */
static int64_t inputs_are_shared_ms(const struct episode *episode)
{
    int64_t shared_ms = episode->demand_ms;
    for (size_t i = 0; i < episode->faults_count; i++) {
        const struct fault *fault = &episode->faults[i];
        bool away = fault->kind == FAULT_LINK || fault->kind == FAULT_LINKS ||
                    fault->kind == FAULT_REDIS_KILL || fault->kind == FAULT_REDIS_STOP;
        int64_t at_ms = fault->over_ms + (away ? SETTLE_AWAY_MS : SETTLE_MS);
        if (fault_hits_collectors(fault) && at_ms > shared_ms) {
            shared_ms = at_ms;
        }
    }
    return shared_ms;
}

static void inputs_judge(struct episode *episode, struct verdict *verdict)
{
    struct scene *scene = &episode->scene;
    int64_t shared_ms = inputs_are_shared_ms(episode);
    int found_ms = times.interval + times.gone + 3 * times.beat + POLL_SLACK_MS;
    if (inputs_have_a_collector(episode)) {
        verdict_polls(scene, episode->demand_ms, found_ms, verdict);
    }
    if (fleet_now_ms() - shared_ms > found_ms) {
        verdict_polls(scene, shared_ms, times.interval + POLL_SLACK_MS, verdict);
        verdict_polled_once(scene, shared_ms);
    }
}

static void episode_judge(struct episode *episode)
{
    struct scene *scene = &episode->scene;
    struct verdict verdict = {0};
    int late_ms = LATE_MS;
    bool spoiled = false;
    for (size_t i = 0; i < episode->faults_count; i++) {
        late_ms += fault_slows_ms(scene, &episode->faults[i]);
        spoiled = spoiled || fault_spoils_tape(&episode->faults[i]);
    }
    verdict_falls(scene, late_ms, &verdict);
    verdict_writers(scene);
    inputs_judge(episode, &verdict);
    size_t equal = 0;
    if (!spoiled) {
        equal = judge_replay(scene->fleet);
        (void)judge_targets(scene->fleet);
    }
    scene_tell(scene,
               "%zu rises, %zu falls; %zu targets equal when folded again; inputs were silent for "
               "%lld ms at most",
               verdict.rises, verdict.falls, equal, (long long)verdict.poll_gap_ms);
}

void episode_run(const struct chaos_options *options, const char *folder)
{
    static struct episode episode;
    char path[512];
    episode = (struct episode){.dice = {options->seed}};
    (void)snprintf(path, sizeof path, "%s/story", folder);
    episode.scene.story = fopen(path, "we");
    ck_assert_ptr_nonnull(episode.scene.story);
    for (unsigned app = 0; app < SCENE_APPS; app++) {
        script_draw(&episode.dice, &episode.scripts[app]);
    }
    scene_start(&episode.scene, &times, options->copies, folder);
    episode.faults_count = (size_t)dice_between(&episode.dice, 1, FAULTS_MAX);
    for (size_t i = 0; i < episode.faults_count; i++) {
        episode.faults[i] = fault_draw(&episode.dice, &episode.scene, FAULTS_LAST_MS);
    }
    episode_act(&episode);
    episode_converge(&episode);
    episode_judge(&episode);
    scene_end(&episode.scene);
    scene_tell(&episode.scene, "all ended well");
    (void)fclose(episode.scene.story);
}
