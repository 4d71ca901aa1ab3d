#include "verdict.h"

#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLACK_MS 300 /* between a clock read here and one read there */

/* ---- I1 ---- */

/* A sample of it must have been known when something was decided between late_ms ago and now. */
static bool was_asked_for(const struct scene *scene, const struct plateau *plateau, int64_t at_ms,
                          int late_ms)
{
    int64_t end_ms = plateau->to_ms < at_ms - late_ms ? plateau->to_ms : at_ms - late_ms;
    return plateau->to_ms > at_ms - scene->times.window + SLACK_MS &&
           end_ms - plateau->from_ms > scene->times.max_gap + SLACK_MS;
}

static void fall_judge(struct scene *scene, unsigned app, int before,
                       const struct fleet_change *change, int late_ms)
{
    const struct demand *demand = &scene->demand[app];
    for (size_t i = 0; i < demand->count; i++) {
        const struct plateau *plateau = &demand->plateaus[i];
        if (was_asked_for(scene, plateau, change->at_ms, late_ms) &&
            change->quantity < scene_asked(plateau->level)) {
            scene_fail(scene,
                       "I1: %s lowered from %d to %d at +%" PRId64 " ms; %d was asked for from "
                       "+%" PRId64 " to +%" PRId64 " ms",
                       scene_app(app), before, change->quantity, change->at_ms - scene->began_ms,
                       scene_asked(plateau->level), plateau->from_ms - scene->began_ms,
                       plateau->to_ms - scene->began_ms);
        }
    }
}

void verdict_falls(struct scene *scene, int late_ms, struct verdict *verdict)
{
    for (unsigned app = 0; app < SCENE_APPS; app++) {
        struct fleet_changes changes = fleet_changes(scene->fleet, scene_app(app), SCENE_FIRST);
        int before = changes.first;
        for (size_t i = 0; i < changes.count; i++) {
            verdict->rises += changes.changes[i].quantity > before;
            verdict->falls += changes.changes[i].quantity < before;
            if (changes.changes[i].quantity < before) {
                fall_judge(scene, app, before, &changes.changes[i], late_ms);
            }
            before = changes.changes[i].quantity;
        }
        free(changes.changes);
    }
}

/* ---- I2 ---- */

struct writing {
    const char *account, *app;
    char instance[64];
    int64_t at_ms, done_ms;
};

/* "actuator-3-17": the instance, and a number of its own. */
static bool writing_read(const json_t *request, struct writing *out)
{
    const char *id =
        json_string_value(json_object_get(json_object_get(request, "headers"), "request-id"));
    if (strcmp(json_string_value(json_object_get(request, "method")), "PATCH") != 0) {
        return false;
    }
    ck_assert_ptr_nonnull(id);
    out->account = json_string_value(json_object_get(request, "account"));
    out->app = json_string_value(json_object_get(request, "app"));
    out->at_ms = json_integer_value(json_object_get(request, "time_ms"));
    out->done_ms = json_integer_value(json_object_get(request, "done_ms"));
    (void)snprintf(out->instance, sizeof out->instance, "%.*s", (int)(strrchr(id, '-') - id), id);
    return true;
}

void verdict_writers(struct scene *scene)
{
    json_t *answer = heroku_control(fleet_heroku(scene->fleet), "GET", "/requests?since=0", NULL);
    const json_t *requests = json_object_get(answer, "requests");
    struct writing *all = calloc(json_array_size(requests) + 1, sizeof *all);
    size_t count = 0;
    ck_assert_ptr_nonnull(all);
    for (size_t i = 0; i < json_array_size(requests); i++) {
        count += writing_read(json_array_get(requests, i), &all[count]);
    }
    for (size_t i = 0; i < count; i++) {
        for (size_t j = i + 1; j < count; j++) {
            if (strcmp(all[i].account, all[j].account) == 0 &&
                strcmp(all[i].instance, all[j].instance) != 0 && all[j].at_ms < all[i].done_ms) {
                scene_fail(scene,
                           "I2: %s writes %s and %s writes %s, both of %s, at +%" PRId64
                           " and +%" PRId64 " ms",
                           all[i].instance, all[i].app, all[j].instance, all[j].app, all[i].account,
                           all[i].at_ms - scene->began_ms, all[j].at_ms - scene->began_ms);
            }
        }
    }
    free(all);
    json_decref(answer);
}

/* ---- membership ---- */

void verdict_polls(struct scene *scene, int64_t from_ms, int most_ms, struct verdict *verdict)
{
    size_t count = 0;
    struct source_served *served = source_record(&count);
    for (unsigned app = 0; app < SCENE_APPS; app++) {
        int64_t last_ms = from_ms;
        for (size_t i = 0; i <= count; i++) {
            bool end = i == count;
            if (!end && (served[i].source != app || served[i].at_ms < from_ms)) {
                continue;
            }
            int64_t at_ms = end ? fleet_now_ms() : served[i].at_ms;
            if (at_ms - last_ms > most_ms) {
                scene_fail(scene, "%s: nobody asked its input from +%" PRId64 " to +%" PRId64 " ms",
                           scene_app(app), last_ms - scene->began_ms, at_ms - scene->began_ms);
            }
            verdict->poll_gap_ms =
                at_ms - last_ms > verdict->poll_gap_ms ? at_ms - last_ms : verdict->poll_gap_ms;
            last_ms = at_ms;
        }
    }
    free(served);
}

void verdict_polled_once(struct scene *scene, int64_t from_ms)
{
    size_t count = 0;
    struct source_served *served = source_record(&count);
    int64_t most = (fleet_now_ms() - from_ms) / scene->times.interval + 3;
    for (unsigned app = 0; app < SCENE_APPS; app++) {
        int64_t asked = 0;
        for (size_t i = 0; i < count; i++) {
            asked += served[i].source == app && served[i].at_ms >= from_ms;
        }
        if (asked > most) {
            scene_fail(scene, "%s: its input was asked %" PRId64 " times, at most %" PRId64,
                       scene_app(app), asked, most);
        }
    }
    free(served);
}

/* ---- I6 ---- */

bool verdict_converged(struct scene *scene)
{
    for (unsigned app = 0; app < SCENE_APPS; app++) {
        if (fleet_quantity(scene->fleet, scene_app(app)) != scene_asked(scene_level(scene, app))) {
            return false;
        }
    }
    return true;
}

/* What `dynosaur explain` says of it. */
static void explain(struct scene *scene, unsigned app, char *out, size_t size)
{
    char program[1024];
    const char *build = getenv("DYN_BUILD");
    (void)snprintf(program, sizeof program, "%s/deploy/dynosaur", build != NULL ? build : ".");
    const char *const argv[] = {program,
                                "explain",
                                scene_app(app),
                                fleet_config_path(scene->fleet),
                                "--redis",
                                support_redis_url(fleet_redis(scene->fleet)),
                                NULL};
    struct program *explaining = program_start(argv);
    (void)program_end(explaining);
    (void)snprintf(out, size, "%s", program_output(explaining));
    program_free(explaining);
}

unsigned verdict_explained(struct scene *scene)
{
    unsigned held = 0;
    for (unsigned app = 0; app < SCENE_APPS; app++) {
        int asked = scene_asked(scene_level(scene, app));
        int runs = fleet_quantity(scene->fleet, scene_app(app));
        char words[8192];
        if (runs == asked) {
            continue;
        }
        explain(scene, app, words, sizeof words);
        scene_tell(scene, "%s runs %d, not %d:\n%s", scene_app(app), runs, asked, words);
        bool named =
            strstr(words, "raise_only") != NULL ||
            (strstr(words, "held by: ") != NULL && strstr(words, "held by: nothing") == NULL);
        if (runs < asked || !named) {
            scene_fail(scene, "I6: %s runs %d, not %d%s", scene_app(app), runs, asked,
                       runs < asked ? "" : ", and explain names no guard");
        }
        held++;
    }
    return held;
}
