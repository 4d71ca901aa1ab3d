/*
 * A long run at twenty times the speed of life: a day and more of load in an hour. The first copy
 * of each program is killed at random; the second lives through it all, and is measured.
 */
#include "chaos.h"
#include "scene.h"

#include <check.h>
#include <dirent.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SPEED 20
#define APPS 40
#define PARTITIONS 8
#define DAY_ROWS 1440 /* one a minute */
#define LOOK_S 5      /* between two samples */
#define TELL_S 60     /* between two lines of the table */
#define KILL_LOW_S 10
#define KILL_HIGH_S 30
#define REDIS_KILL_EVERY 8 /* every so many kills are Redis' */
#define RESTART_LOW_MS 300
#define RESTART_HIGH_MS 3000

/* What may grow: so much, and this share of what it was. */
#define RSS_MORE_KB 1536
#define FDS_MORE 6
#define REDIS_MORE_KB 2048
#define ENTRIES_MORE 500
#define SHARE 0.10

/* Of accounts a and b in turns; twenty times faster than the defaults. */
#define CONFIG                                                                           \
    "accounts: {a: {heroku_api_key: \"${FLEET_KEY_A}\"}, "                               \
    "b: {heroku_api_key: \"${FLEET_KEY_B}\"}}\n"                                         \
    "defaults: {interval: 3, hysteresis_period: 15, max_gap: 9, doubt_zero: 0, "         \
    "scale_down_cooldown: 3, max_step_down: 100, min_resource: 1, report_interval: 1}\n" \
    "apps:\n"

enum measure {
    MEASURE_RSS, /* kB of the second copy of each part, then */
    MEASURE_FDS = MEASURE_RSS + FLEET_PARTS,
    MEASURE_REDIS =
        MEASURE_FDS + FLEET_PARTS, /* kB of Redis but for the streams bounded by count */
    MEASURE_LOG,                   /* entries of values, targets, reports */
    MEASURE_BOUNDED,               /* entries of actions, events, commands, dead */
    MEASURE_PENDING,               /* entries that a group has not acknowledged */
    MEASURE_KEYS,
    MEASURES
};

struct soak_sample {
    double at_s;
    double values[MEASURES];
};

struct soak {
    struct scene scene;
    struct dice dice;
    struct soak_sample *samples;
    size_t count;
    struct support_file *files[APPS];
    unsigned kills, redis_kills;
};

/* ---- the fleet ---- */

static void load_write(struct soak *soak, unsigned app)
{
    char name[32];
    struct dyn_buf text;
    dyn_buf_init(&text, (size_t)1024 * 1024);
    (void)dyn_buf_addf(&text, "load\n");
    double phase = dice_between(&soak->dice, 0, 1439) / 1440.0;
    for (int row = 0; row < DAY_ROWS; row++) {
        double day = 1 + sin(2 * M_PI * ((double)row / DAY_ROWS + phase));
        double hour = sin(2 * M_PI * (double)row / 45);
        int noise = dice_between(&soak->dice, -15, 15);
        (void)dyn_buf_addf(&text, "%d\n", 40 + (int)(day * 120 + hour * 20) + noise);
    }
    (void)snprintf(name, sizeof name, "load-%u.csv", app);
    soak->files[app] = support_file_new(name);
    support_file_write(soak->files[app], "%s", dyn_buf_text(&text));
    dyn_buf_fini(&text);
}

static void world_write(struct dyn_buf *out)
{
    (void)dyn_buf_addf(out, "%s 'apps': [", FLEET_ACCOUNTS);
    for (unsigned app = 0; app < APPS; app++) {
        (void)dyn_buf_addf(out,
                           "%s{'name': 'app-%u', 'owner': '%s@example.com', "
                           "'formation': {'web': 2}}",
                           app > 0 ? "," : "", app, app % 2 == 0 ? "a" : "b");
    }
    (void)dyn_buf_addf(out, "]}");
}

static void apps_write(struct soak *soak, struct dyn_buf *out)
{
    for (unsigned app = 0; app < APPS; app++) {
        (void)dyn_buf_addf(out,
                           "  app-%u:\n"
                           "    account: %s\n"
                           "    controller_plugins:\n"
                           "      - name: web\n"
                           "        type: dynos\n"
                           "        input_plugins: [{name: load, type: csv, file: %s, "
                           "value_column: load, row_interval: 60, speed: %d, per_resource: 10}]\n",
                           app, app % 2 == 0 ? "a" : "b", support_file_path(soak->files[app]),
                           SPEED);
    }
}

static void soak_start(struct soak *soak, const char *folder)
{
    struct scene *scene = &soak->scene;
    struct dyn_buf text;
    dyn_buf_init(&text, (size_t)1024 * 1024);
    for (unsigned app = 0; app < APPS; app++) {
        load_write(soak, app);
    }
    world_write(&text);
    scene->copies = 2;
    scene->began_ms = fleet_now_ms();
    scene->fleet = fleet_new(&(struct fleet_options){.world = dyn_buf_text(&text),
                                                     .partitions = PARTITIONS,
                                                     .redis = "",
                                                     .folder = folder,
                                                     .untaped = true});
    dyn_buf_clear(&text);
    apps_write(soak, &text);
    fleet_configure(scene->fleet, "%s%s", CONFIG, dyn_buf_text(&text));
    dyn_buf_fini(&text);
    for (unsigned copy = scene->copies; copy-- > 0;) {
        for (enum fleet_part part = 0; part < FLEET_PARTS; part++) {
            fleet_start_copy(scene->fleet, part, copy);
            fleet_await_copy(scene->fleet, part, copy);
        }
    }
}

/* ---- measuring ---- */

static double rss_kb(int pid)
{
    char path[64];
    unsigned long size = 0;
    unsigned long resident = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/statm", pid);
    FILE *file = fopen(path, "re");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fscanf(file, "%lu %lu", &size, &resident), 2);
    (void)fclose(file);
    return (double)resident * (double)sysconf(_SC_PAGESIZE) / 1024;
}

static double descriptors(int pid)
{
    char path[64];
    int count = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/fd", pid);
    DIR *dir = opendir(path);
    ck_assert_ptr_nonnull(dir);
    for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        count += entry->d_name[0] != '.';
    }
    (void)closedir(dir);
    return count;
}

/* kB used but for the bounded streams; entries of the one and the other kind; pending; keys. */
static const char measure_script[] =
    "local used = tonumber(redis.call('INFO', 'memory'):match('used_memory_dataset:(%d+)')) "
    "local log, bounded, pending = 0, 0, 0 "
    "local keys = redis.call('KEYS', '*') "
    "for _, key in ipairs(keys) do "
    "  if redis.call('TYPE', key).ok == 'stream' then "
    "    local length = redis.call('XLEN', key) "
    "    if key:find('}:') then log = log + length else "
    "      bounded = bounded + length "
    "      used = used - redis.call('MEMORY', 'USAGE', key, 'SAMPLES', '0') end "
    "    for _, group in ipairs(redis.call('XINFO', 'GROUPS', key)) do "
    "      pending = pending + group[6] end "
    "  end "
    "end "
    "return {math.floor(used / 1024), log, bounded, pending, #keys}";

static void redis_measure(struct soak *soak, struct soak_sample *sample)
{
    const char *answer = support_redis_call(fleet_redis(soak->scene.fleet), "EVAL", measure_script,
                                            "0", (char *)NULL);
    char *at = NULL;
    sample->values[MEASURE_REDIS] = (double)strtoll(answer, &at, 10);
    ck_assert_msg(at != answer, "Redis said: %s", answer);
    for (int i = MEASURE_LOG; i < MEASURES; i++) {
        sample->values[i] = (double)strtoll(at, &at, 10);
    }
}

static void measure(struct soak *soak)
{
    static size_t room;
    if (soak->count == room) {
        room = room > 0 ? 2 * room : 1024;
        soak->samples = realloc(soak->samples, room * sizeof *soak->samples);
        ck_assert_ptr_nonnull(soak->samples);
    }
    struct soak_sample *sample = &soak->samples[soak->count++];
    sample->at_s = (double)scene_age(&soak->scene) / 1000;
    for (enum fleet_part part = 0; part < FLEET_PARTS; part++) {
        int pid = program_pid(fleet_copy(soak->scene.fleet, part, 1));
        sample->values[MEASURE_RSS + (int)part] = rss_kb(pid);
        sample->values[MEASURE_FDS + (int)part] = descriptors(pid);
    }
    redis_measure(soak, sample);
}

/* ---- the table ---- */

static void head_print(void)
{
    printf("%8s", "minutes");
    for (enum fleet_part part = 0; part < FLEET_PARTS; part++) {
        printf(" %13s", fleet_part_name(part));
    }
    printf(" %9s %9s %9s %9s %6s %6s\n", "Redis kB", "log", "bounded", "pending", "keys", "kills");
    printf("%8s", "");
    for (enum fleet_part part = 0; part < FLEET_PARTS; part++) {
        printf(" %13s", "RSS kB    fds");
    }
    printf(" %9s %9s %9s\n", "", "entries", "entries");
}

static void line_print(const struct soak *soak)
{
    const struct soak_sample *sample = &soak->samples[soak->count - 1];
    printf("%8.1f", sample->at_s / 60);
    for (int part = 0; part < FLEET_PARTS; part++) {
        printf(" %8.0f %4.0f", sample->values[MEASURE_RSS + part],
               sample->values[MEASURE_FDS + part]);
    }
    printf(" %9.0f %9.0f %9.0f %9.0f %6.0f %6u\n", sample->values[MEASURE_REDIS],
           sample->values[MEASURE_LOG], sample->values[MEASURE_BOUNDED],
           sample->values[MEASURE_PENDING], sample->values[MEASURE_KEYS],
           soak->kills + soak->redis_kills);
}

/* ---- the verdict ---- */

static int double_compare(const void *a, const void *b)
{
    double left = *(const double *)a;
    double right = *(const double *)b;
    return left < right ? -1 : left > right;
}

/* The median of a measure over a part of the run. */
static double median(const struct soak *soak, int measure, double from, double to)
{
    size_t first = (size_t)((double)soak->count * from);
    size_t end = (size_t)((double)soak->count * to);
    end = end > first ? end : first + 1;
    double *values = calloc(end - first, sizeof *values);
    ck_assert_ptr_nonnull(values);
    for (size_t i = first; i < end; i++) {
        values[i - first] = soak->samples[i].values[measure];
    }
    qsort(values, end - first, sizeof *values, double_compare);
    double middle = values[(end - first) / 2];
    free(values);
    return middle;
}

static bool grew(const struct soak *soak, int measure, const char *name, const char *what,
                 double more)
{
    double before = median(soak, measure, 0.25, 0.40);
    double after = median(soak, measure, 0.85, 1.0);
    bool growth = after > before + more + SHARE * before;
    printf("%-10s %-12s %10.0f -> %10.0f%s\n", name, what, before, after, growth ? "   GREW" : "");
    return growth;
}

static bool anything_grew(const struct soak *soak)
{
    bool growth = false;
    printf("medians of the time from 25%% to 40%% and of the last 15%%:\n");
    for (int part = 0; part < FLEET_PARTS; part++) {
        const char *name = fleet_part_name((enum fleet_part)part);
        growth |= grew(soak, MEASURE_RSS + part, name, "RSS kB", RSS_MORE_KB);
        growth |= grew(soak, MEASURE_FDS + part, name, "descriptors", FDS_MORE);
    }
    growth |= grew(soak, MEASURE_REDIS, "Redis", "kB", REDIS_MORE_KB);
    growth |= grew(soak, MEASURE_LOG, "Redis", "log entries", ENTRIES_MORE);
    growth |= grew(soak, MEASURE_PENDING, "Redis", "pending", 0);
    growth |= grew(soak, MEASURE_KEYS, "Redis", "keys", 0);
    return growth;
}

/* ---- the run ---- */

static void kill_something(struct soak *soak)
{
    struct scene *scene = &soak->scene;
    if ((soak->kills + soak->redis_kills) % REDIS_KILL_EVERY == REDIS_KILL_EVERY - 1) {
        support_redis_kill(fleet_redis(scene->fleet));
        scene_pass(scene, dice_between(&soak->dice, RESTART_LOW_MS, RESTART_HIGH_MS));
        support_redis_start(fleet_redis(scene->fleet));
        soak->redis_kills++;
        scene_tell(scene, "Redis was killed and started again");
        return;
    }
    enum fleet_part part = (enum fleet_part)dice_between(&soak->dice, 0, FLEET_PARTS - 1);
    if (scene_kill(scene, part, 0, dice_between(&soak->dice, RESTART_LOW_MS, RESTART_HIGH_MS))) {
        soak->kills++;
        scene_tell(scene, "kill -9 %s-0", fleet_part_name(part));
    }
}

static void soak_pass(struct soak *soak, int64_t until_ms)
{
    int64_t look_ms = 0;
    int64_t tell_ms = 0;
    int64_t kill_ms =
        scene_age(&soak->scene) + 1000 * dice_between(&soak->dice, KILL_LOW_S, KILL_HIGH_S);
    while (scene_age(&soak->scene) < until_ms) {
        int64_t age_ms = scene_age(&soak->scene);
        if (age_ms >= kill_ms) {
            kill_something(soak);
            kill_ms = age_ms + 1000 * dice_between(&soak->dice, KILL_LOW_S, KILL_HIGH_S);
        }
        if (age_ms >= look_ms) {
            measure(soak);
            look_ms = age_ms + 1000 * LOOK_S;
        }
        if (age_ms >= tell_ms) {
            line_print(soak);
            tell_ms = age_ms + 1000 * TELL_S;
        }
        scene_pass(&soak->scene, 200);
    }
}

void soak_run(const struct chaos_options *options, const char *folder)
{
    static struct soak soak;
    char path[512];
    soak = (struct soak){.dice = {options->seed}};
    (void)snprintf(path, sizeof path, "%s/story", folder);
    soak.scene.story = fopen(path, "we");
    ck_assert_ptr_nonnull(soak.scene.story);
    soak_start(&soak, folder);
    printf("soak: %d apps, %d times the speed of life, %d minutes; files in %s\n", APPS, SPEED,
           options->minutes, folder);
    head_print();
    soak_pass(&soak, (int64_t)options->minutes * 60000);
    struct fleet_changes changes = fleet_changes(soak.scene.fleet, "app-0", SCENE_FIRST);
    printf("%u kills of programs, %u of Redis; app-0 was changed %zu times\n", soak.kills,
           soak.redis_kills, changes.count);
    ck_assert_uint_gt(changes.count, (size_t)options->minutes);
    free(changes.changes);
    bool growth = anything_grew(&soak);
    scene_end(&soak.scene);
    for (unsigned app = 0; app < APPS; app++) {
        support_file_free(soak.files[app]);
    }
    free(soak.samples);
    (void)fclose(soak.scene.story);
    ck_assert_msg(!growth, "something grew");
}
