#include "scene.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STEP_MS 50
#define RESTART_MS 400 /* what died by its own timer */

/* Apps 0 and 1 are account a's, 2 and 3 account b's. */
#define WORLD                                                               \
    FLEET_ACCOUNTS                                                          \
    " 'apps': ["                                                            \
    "{'name': 'app-0', 'owner': 'a@example.com', 'formation': {'web': 2}}," \
    "{'name': 'app-1', 'owner': 'a@example.com', 'formation': {'web': 2}}," \
    "{'name': 'app-2', 'owner': 'b@example.com', 'formation': {'web': 2}}," \
    "{'name': 'app-3', 'owner': 'b@example.com', 'formation': {'web': 2}}]}"

#define APP                                                                                   \
    "  app-%u:\n"                                                                             \
    "    account: %s\n"                                                                       \
    "    controller_plugins:\n"                                                               \
    "      - name: web\n"                                                                     \
    "        type: dynos\n"                                                                   \
    "        input_plugins: [{name: load, type: http_json, url: \"http://127.0.0.1:%d/%u\", " \
    "pointer: /value, timeout: 1, per_resource: 10}]\n"

static const char *const app_names[SCENE_APPS] = {"app-0", "app-1", "app-2", "app-3"};

uint64_t dice_roll(struct dice *dice)
{
    dice->state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = dice->state;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

int dice_between(struct dice *dice, int low, int high)
{
    return low + (int)(dice_roll(dice) % (uint64_t)(high - low + 1));
}

const char *scene_app(unsigned app)
{
    return app_names[app];
}

int scene_asked(int level)
{
    int asked = (level + SCENE_PER_RESOURCE - 1) / SCENE_PER_RESOURCE;
    return asked > 1 ? asked : 1;
}

int64_t scene_age(const struct scene *scene)
{
    return fleet_now_ms() - scene->began_ms;
}

void scene_tell(struct scene *scene, const char *format, ...)
{
    va_list args;
    int64_t age_ms = scene_age(scene);
    (void)fprintf(scene->story, "  +%lld.%03lld  ", (long long)(age_ms / 1000),
                  (long long)(age_ms % 1000));
    va_start(args, format);
    (void)vfprintf(scene->story, format, args);
    va_end(args);
    (void)fputc('\n', scene->story);
    (void)fflush(scene->story);
}

_Noreturn void scene_fail(struct scene *scene, const char *format, ...)
{
    char words[1024];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(words, sizeof words, format, args);
    va_end(args);
    scene_tell(scene, "FAILED: %s", words);
    fleet_fail(scene->fleet, "%s", words);
}

/* ---- demand ---- */

void scene_demand(struct scene *scene, unsigned app, int level)
{
    struct demand *demand = &scene->demand[app];
    int64_t now_ms = fleet_now_ms();
    ck_assert_uint_lt(demand->count, SCENE_PLATEAUS_MAX);
    source_say(app, SOURCE_GOOD, level);
    if (demand->count > 0) {
        demand->plateaus[demand->count - 1].to_ms = now_ms;
    }
    demand->plateaus[demand->count++] = (struct plateau){now_ms, INT64_MAX, level};
}

int scene_level(const struct scene *scene, unsigned app)
{
    return scene->demand[app].plateaus[scene->demand[app].count - 1].level;
}

/* ---- programs ---- */

void scene_prepare(struct scene *scene, const struct scene_times *times, unsigned copies,
                   const struct fleet_options *options)
{
    struct fleet_options complete = *options;
    complete.world = WORLD;
    complete.partitions = SCENE_PARTITIONS;
    scene->times = *times;
    scene->copies = copies;
    scene->began_ms = fleet_now_ms();
    scene->fleet = fleet_new(&complete);
}

static void scene_configure(struct scene *scene)
{
    const struct scene_times *times = &scene->times;
    struct dyn_buf apps;
    int port = source_server_start();
    dyn_buf_init(&apps, 8192);
    for (unsigned app = 0; app < SCENE_APPS; app++) {
        (void)dyn_buf_addf(&apps, APP, app, app < 2 ? "a" : "b", port, app);
        scene_demand(scene, app, SCENE_FIRST * SCENE_PER_RESOURCE);
    }
    fleet_configure(scene->fleet,
                    "accounts: {a: {heroku_api_key: \"${FLEET_KEY_A}\"}, "
                    "b: {heroku_api_key: \"${FLEET_KEY_B}\"}}\n"
                    "defaults: {interval: %g, hysteresis_period: %g, max_gap: %g, doubt_zero: 0, "
                    "scale_down_cooldown: %g, max_step_down: 100, min_resource: 1, "
                    "report_interval: 1}\n"
                    "%s"
                    "apps:\n%s",
                    times->interval / 1e3, times->window / 1e3, times->max_gap / 1e3,
                    times->cooldown / 1e3, scene->sinks != NULL ? scene->sinks : "",
                    dyn_buf_text(&apps));
    dyn_buf_fini(&apps);
}

void scene_begin(struct scene *scene)
{
    scene_configure(scene);
    for (unsigned copy = 0; copy < scene->copies; copy++) {
        for (enum fleet_part part = 0; part < FLEET_PARTS; part++) {
            fleet_start_copy(scene->fleet, part, copy);
        }
    }
    for (unsigned copy = 0; copy < scene->copies; copy++) {
        for (enum fleet_part part = 0; part < FLEET_PARTS; part++) {
            fleet_await_copy(scene->fleet, part, copy);
        }
    }
    scene_tell(scene, "%u of each program are ready", scene->copies);
}

void scene_start(struct scene *scene, const struct scene_times *times, unsigned copies,
                 const char *folder)
{
    const struct fleet_options options = {.redis = times->lease != NULL ? times->lease : "",
                                          .folder = folder,
                                          .proxied = true,
                                          .clocked = true};
    scene_prepare(scene, times, copies, &options);
    scene_begin(scene);
}

static void program_supervise(struct scene *scene, enum fleet_part part, unsigned copy)
{
    struct scene_program *program = &scene->programs[part][copy];
    const char *name = fleet_part_name(part);
    if (program->restart_ms != 0) {
        if (fleet_now_ms() >= program->restart_ms) {
            *program = (struct scene_program){0};
            fleet_start_copy(scene->fleet, part, copy);
            scene_tell(scene, "%s-%u is started again", name, copy);
        }
        return;
    }
    if (!program_ended(fleet_copy(scene->fleet, part, copy))) {
        return;
    }
    int status = program_end(fleet_copy(scene->fleet, part, copy));
    if (part != FLEET_ACTUATOR || status != 128 + SIGKILL) {
        scene_fail(scene, "%s-%u died by itself with %d", name, copy, status);
    }
    scene_tell(scene, "%s-%u was killed by its own timer", name, copy);
    scene->self_ended++;
    program->restart_ms = fleet_now_ms() + RESTART_MS;
}

void scene_pass(struct scene *scene, int ms)
{
    int64_t until_ms = fleet_now_ms() + ms;
    do {
        int64_t left_ms = until_ms - fleet_now_ms();
        fleet_pass(scene->fleet, left_ms < STEP_MS ? (int)(left_ms > 0 ? left_ms : 0) : STEP_MS);
        for (enum fleet_part part = 0; part < FLEET_PARTS; part++) {
            for (unsigned copy = 0; copy < scene->copies; copy++) {
                program_supervise(scene, part, copy);
            }
        }
    } while (fleet_now_ms() < until_ms);
}

bool scene_kill(struct scene *scene, enum fleet_part part, unsigned copy, int restart_after_ms)
{
    struct scene_program *program = &scene->programs[part][copy];
    struct program *process = fleet_copy(scene->fleet, part, copy);
    if (program->restart_ms != 0 || program_ended(process)) {
        return false;
    }
    program_signal(process, SIGKILL);
    ck_assert_int_eq(program_end(process), 128 + SIGKILL);
    program->restart_ms = fleet_now_ms() + restart_after_ms;
    return true;
}

bool scene_stop(struct scene *scene, enum fleet_part part, unsigned copy)
{
    struct scene_program *program = &scene->programs[part][copy];
    if (program->restart_ms != 0 || program_ended(fleet_copy(scene->fleet, part, copy))) {
        return false;
    }
    program_signal(fleet_copy(scene->fleet, part, copy), SIGSTOP);
    program->stopped = true;
    program->was_stopped = true;
    return true;
}

void scene_go_on(struct scene *scene, enum fleet_part part, unsigned copy)
{
    struct scene_program *program = &scene->programs[part][copy];
    struct program *process = fleet_copy(scene->fleet, part, copy);
    if (program->restart_ms == 0 && program->stopped && !program_ended(process)) {
        program_signal(process, SIGCONT);
    }
    program->stopped = false;
}

bool scene_is_whole(const struct scene *scene)
{
    for (enum fleet_part part = 0; part < FLEET_PARTS; part++) {
        for (unsigned copy = 0; copy < scene->copies; copy++) {
            if (scene->programs[part][copy].restart_ms != 0) {
                return false;
            }
        }
    }
    return true;
}

void scene_end(struct scene *scene)
{
    while (!scene_is_whole(scene)) {
        scene_pass(scene, STEP_MS);
    }
    scene_pass(scene, 0);
    fleet_free(scene->fleet);
    scene->fleet = NULL;
}
