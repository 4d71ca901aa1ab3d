/*
 * How long it takes at default settings from the death of who leads to the first good write of who
 * follows: kill -9, a demand that rises in the same moment, and Heroku's record.
 */
#include "chaos.h"
#include "verdict.h"

#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STEP_MS 100
#define SETTLE_MS 12000 /* until leases and inputs are spread again */
#define WAIT_MS 60000
#define NEVER_MS 600000
#define LATE_MS 5000
#define LEVEL_STEP 10
#define LEVEL_MAX 900 /* then it begins below again */

static const struct scene_times times = {
    .interval = 500, .window = 30000, .max_gap = 5000, .cooldown = 1000};

/* What is promised at default settings. */
static const int promised_ms[FLEET_PARTS] = {
    [FLEET_COLLECTOR] = 8000, [FLEET_ESTIMATOR] = 12000, [FLEET_ACTUATOR] = 25000};

struct failover {
    struct scene scene;
    int level;
    int64_t took_ms[FLEET_PARTS][CHAOS_TIMES_MAX];
};

static unsigned copy_named(const struct scene *scene, enum fleet_part part, const char *text,
                           size_t len)
{
    for (unsigned copy = 0; copy < scene->copies; copy++) {
        const char *name = fleet_instance(scene->fleet, part, copy);
        if (strlen(name) == len && strncmp(name, text, len) == 0) {
            return copy;
        }
    }
    ck_abort_msg("nobody is called %.*s", (int)len, text);
    return 0;
}

/* The owner of the lease of app-0's partition: the instance, '-', and 16 hex digits. */
static unsigned estimator_leading(struct scene *scene)
{
    char key[64];
    (void)snprintf(key, sizeof key, "dyn:{%" PRIu32 "}:lease",
                   judge_app(scene->fleet, scene_app(0))->partition);
    const char *owner =
        support_redis_call(fleet_redis(scene->fleet), "HGET", key, "owner", (char *)NULL);
    const char *end = strrchr(owner, '-');
    ck_assert_msg(end != NULL, "the lease's owner is %s", owner);
    return copy_named(scene, FLEET_ESTIMATOR, owner, (size_t)(end - owner));
}

/* Whose request changed app-0 last. */
static unsigned actuator_leading(struct scene *scene)
{
    unsigned copy = 0;
    bool found = false;
    json_t *answer = heroku_control(fleet_heroku(scene->fleet), "GET", "/requests?since=0", NULL);
    const json_t *requests = json_object_get(answer, "requests");
    for (size_t i = json_array_size(requests); i-- > 0 && !found;) {
        const json_t *request = json_array_get(requests, i);
        const char *app = json_string_value(json_object_get(request, "app"));
        const char *id =
            json_string_value(json_object_get(json_object_get(request, "headers"), "request-id"));
        if (app != NULL && strcmp(app, scene_app(0)) == 0 &&
            strcmp(json_string_value(json_object_get(request, "method")), "PATCH") == 0) {
            copy = copy_named(scene, FLEET_ACTUATOR, id, (size_t)(strrchr(id, '-') - id));
            found = true;
        }
    }
    json_decref(answer);
    ck_assert(found);
    return copy;
}

static void rise(struct failover *failover)
{
    failover->level += LEVEL_STEP;
    scene_demand(&failover->scene, 0, failover->level);
}

/* Until app-0 runs what the level asks for; when Heroku was told so. */
static int64_t rise_await(struct failover *failover)
{
    struct scene *scene = &failover->scene;
    int64_t until_ms = fleet_now_ms() + WAIT_MS;
    int64_t at_ms = 0;
    while (fleet_quantity(scene->fleet, scene_app(0)) != scene_asked(failover->level)) {
        if (fleet_now_ms() > until_ms) {
            scene_fail(scene, "nothing was written for a minute");
        }
        scene_pass(scene, STEP_MS);
    }
    struct fleet_changes changes = fleet_changes(scene->fleet, scene_app(0), SCENE_FIRST);
    at_ms = changes.changes[changes.count - 1].at_ms;
    free(changes.changes);
    return at_ms;
}

/* Of the inputs that fell silent with the collector, the last one to be asked again. */
static int64_t polls_await(struct scene *scene, int64_t died_ms)
{
    int64_t longest_ms = 0;
    for (unsigned app = 0; app < SCENE_APPS; app++) {
        int64_t first_ms = 0;
        while (first_ms == 0) {
            size_t count = 0;
            struct source_served *served = source_record(&count);
            for (size_t i = 0; i < count && first_ms == 0; i++) {
                first_ms =
                    served[i].source == app && served[i].at_ms > died_ms ? served[i].at_ms : 0;
            }
            free(served);
            if (fleet_now_ms() > died_ms + WAIT_MS) {
                scene_fail(scene, "%s: nobody asked its input for a minute", scene_app(app));
            }
            scene_pass(scene, STEP_MS);
        }
        longest_ms = first_ms - died_ms > longest_ms ? first_ms - died_ms : longest_ms;
    }
    return longest_ms;
}

static int64_t failover_once(struct failover *failover, enum fleet_part part, int time)
{
    struct scene *scene = &failover->scene;
    unsigned copy = (unsigned)time % scene->copies;
    if (failover->level > LEVEL_MAX) {
        failover->level = 0;
    }
    rise(failover);
    (void)rise_await(failover);
    if (part != FLEET_COLLECTOR) {
        copy = part == FLEET_ESTIMATOR ? estimator_leading(scene) : actuator_leading(scene);
    }
    scene_tell(scene, "kill -9 %s", fleet_instance(scene->fleet, part, copy));
    int64_t died_ms = fleet_now_ms();
    ck_assert(scene_kill(scene, part, copy, NEVER_MS));
    int64_t took_ms = 0;
    if (part == FLEET_COLLECTOR) {
        took_ms = polls_await(scene, died_ms);
    } else {
        rise(failover);
        took_ms = rise_await(failover) - died_ms;
    }
    scene_tell(scene, "%" PRId64 " ms", took_ms);
    scene->programs[part][copy].restart_ms = fleet_now_ms();
    scene_pass(scene, STEP_MS);
    fleet_await_copy(scene->fleet, part, copy);
    scene_pass(scene, SETTLE_MS);
    return took_ms;
}

static int ms_compare(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a;
    int64_t right = *(const int64_t *)b;
    return left < right ? -1 : left > right;
}

static bool part_tell(struct failover *failover, enum fleet_part part, int count)
{
    int64_t *took_ms = failover->took_ms[part];
    qsort(took_ms, (size_t)count, sizeof *took_ms, ms_compare);
    bool kept = took_ms[count - 1] <= promised_ms[part];
    printf(
        "%-10s %2d deaths: %6.1f s at least, %6.1f s median, %6.1f s at most; promised %4.1f s%s\n",
        fleet_part_name(part), count, (double)took_ms[0] / 1000, (double)took_ms[count / 2] / 1000,
        (double)took_ms[count - 1] / 1000, promised_ms[part] / 1e3, kept ? "" : "   TOO LATE");
    return kept;
}

void failover_run(const struct chaos_options *options, const char *folder)
{
    static struct failover failover;
    char path[512];
    bool kept = true;
    struct verdict verdict = {0};
    failover = (struct failover){.level = SCENE_FIRST * SCENE_PER_RESOURCE};
    (void)snprintf(path, sizeof path, "%s/story", folder);
    failover.scene.story = fopen(path, "we");
    ck_assert_ptr_nonnull(failover.scene.story);
    scene_start(&failover.scene, &times, 2, folder);
    scene_pass(&failover.scene, SETTLE_MS);
    for (int time = 0; time < options->times; time++) {
        for (enum fleet_part part = FLEET_COLLECTOR; part <= FLEET_ACTUATOR; part++) {
            failover.took_ms[part][time] = failover_once(&failover, part, time);
        }
    }
    for (enum fleet_part part = FLEET_COLLECTOR; part <= FLEET_ACTUATOR; part++) {
        kept &= part_tell(&failover, part, options->times);
    }
    verdict_falls(&failover.scene, LATE_MS, &verdict);
    verdict_writers(&failover.scene);
    scene_end(&failover.scene);
    (void)fclose(failover.scene.story);
    ck_assert_msg(kept, "it took longer than promised");
}
