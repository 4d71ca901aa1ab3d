/*
 * How long it takes from the death of the master of Redis to the first good write, at default
 * settings: three servers, three Sentinels, the settings that the documentation asks for.
 */
#include "chaos.h"
#include "verdict.h"

#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SERVERS 3
#define SENTINELS 3
#define STEP_MS 100
#define REPLICAS_MS 120000 /* until both replicas follow again */
#define SETTLE_MS 15000    /* until leases and inputs are spread again */
#define WAIT_MS 180000
#define LATE_MS 5000
#define LEVEL_STEP 10

static const struct scene_times times = {
    .interval = 1000, .window = 60000, .max_gap = 15000, .cooldown = 1000};

struct sentinel_scene {
    struct scene scene;
    struct support_redis *servers[SERVERS]; /* the first is the fleet's */
    struct support_file *files[SENTINELS];
    struct program *sentinels[SENTINELS];
    int level;
};

static const char *const server_arguments[] = {"--min-replicas-to-write",
                                               "1",
                                               "--min-replicas-max-lag",
                                               "5",
                                               "--repl-diskless-sync-delay",
                                               "0",
                                               NULL};

/* ---- servers ---- */

static int answer_number(const char *answer, const char *name)
{
    const char *at = strstr(answer, name);
    return at != NULL ? (int)strtol(at + strlen(name), NULL, 10) : -1;
}

/* The server that is master and has that many replicas; NULL: none is. */
static struct support_redis *master_find(const struct sentinel_scene *all, int replicas)
{
    for (size_t i = 0; i < SERVERS; i++) {
        if (support_redis_pid(all->servers[i]) == 0) {
            continue;
        }
        const char *info = support_redis_call(all->servers[i], "INFO", "replication", (char *)NULL);
        if (strstr(info, "role:master") != NULL &&
            answer_number(info, "connected_slaves:") >= replicas) {
            return all->servers[i];
        }
    }
    return NULL;
}

static struct support_redis *master_await(struct sentinel_scene *all, int replicas)
{
    int64_t until_ms = fleet_now_ms() + REPLICAS_MS;
    struct support_redis *master = master_find(all, replicas);
    while (master == NULL) {
        ck_assert_msg(fleet_now_ms() < until_ms, "no master has %d replicas", replicas);
        (void)usleep(STEP_MS * 1000);
        master = master_find(all, replicas);
    }
    return master;
}

static void servers_start(struct sentinel_scene *all)
{
    static const char *arguments[SERVERS][16];
    static char port[8];
    all->servers[0] = fleet_redis(all->scene.fleet);
    (void)snprintf(port, sizeof port, "%d", support_redis_port(all->servers[0]));
    support_redis_start(all->servers[0]);
    for (size_t i = 1; i < SERVERS; i++) {
        size_t count = 0;
        while (server_arguments[count] != NULL) {
            arguments[i][count] = server_arguments[count];
            count++;
        }
        arguments[i][count++] = "--replicaof";
        arguments[i][count++] = "127.0.0.1";
        arguments[i][count++] = port;
        all->servers[i] = support_redis_new(&(struct support_redis_options){
            .append_only = true, .tcp = true, .arguments = arguments[i]});
    }
    (void)master_await(all, SERVERS - 1);
    fleet_setup(all->scene.fleet);
}

/* ---- Sentinels ---- */

static void sentinel_start(struct sentinel_scene *all, size_t i, int port)
{
    static const char *const program = "/usr/bin/redis-server";
    all->files[i] = support_file_new("sentinel.conf");
    support_file_write(all->files[i],
                       "port %d\n"
                       "bind 127.0.0.1\n"
                       "sentinel monitor dyn 127.0.0.1 %d 2\n"
                       "sentinel down-after-milliseconds dyn 5000\n"
                       "sentinel failover-timeout dyn 20000\n",
                       port, support_redis_port(all->servers[0]));
    const char *const argv[] = {program, support_file_path(all->files[i]), "--sentinel", NULL};
    all->sentinels[i] = program_start(argv);
}

/* Ports that a Redis of our own found free a moment ago. */
static int port_free(void)
{
    struct support_redis *redis =
        support_redis_prepare(&(struct support_redis_options){.tcp = true});
    int port = support_redis_port(redis);
    support_redis_free(redis);
    return port;
}

static void nodes_write(struct dyn_buf *out, const int *ports)
{
    (void)dyn_buf_addf(out, ", sentinel: {master: dyn, nodes: [");
    for (size_t i = 0; i < SENTINELS; i++) {
        (void)dyn_buf_addf(out, "%s\"127.0.0.1:%d\"", i > 0 ? ", " : "", ports[i]);
    }
    (void)dyn_buf_addf(out, "]}");
}

/* ---- the run ---- */

static void rise(struct sentinel_scene *all)
{
    all->level += LEVEL_STEP;
    for (unsigned app = 0; app < SCENE_APPS; app++) {
        scene_demand(&all->scene, app, all->level);
    }
}

/* Until all apps run what the level asks for; when Heroku was first told so. */
static int64_t rise_await(struct sentinel_scene *all, int64_t since_ms)
{
    struct scene *scene = &all->scene;
    int64_t until_ms = fleet_now_ms() + WAIT_MS;
    int64_t first_ms = INT64_MAX;
    while (!verdict_converged(scene)) {
        if (fleet_now_ms() > until_ms) {
            scene_fail(scene, "nothing was written for %d s", WAIT_MS / 1000);
        }
        scene_pass(scene, STEP_MS);
    }
    for (unsigned app = 0; app < SCENE_APPS; app++) {
        struct fleet_changes changes = fleet_changes(scene->fleet, scene_app(app), SCENE_FIRST);
        for (size_t i = 0; i < changes.count; i++) {
            int64_t at_ms = changes.changes[i].at_ms;
            first_ms = at_ms > since_ms && at_ms < first_ms ? at_ms : first_ms;
        }
        free(changes.changes);
    }
    return first_ms;
}

static int64_t master_dies(struct sentinel_scene *all)
{
    struct scene *scene = &all->scene;
    struct support_redis *master = master_await(all, SERVERS - 1);
    scene_pass(scene, SETTLE_MS);
    rise(all);
    (void)rise_await(all, 0);
    scene_tell(scene, "kill -9 the master, port %d", support_redis_port(master));
    support_redis_kill(master);
    int64_t died_ms = fleet_now_ms();
    rise(all);
    struct support_redis *next = master_await(all, 1);
    scene_tell(scene, "port %d is master", support_redis_port(next));
    int64_t first_ms = rise_await(all, died_ms);
    int64_t last_ms = fleet_now_ms();
    scene_tell(scene, "the first write came after %" PRId64 " ms", first_ms - died_ms);
    printf("master dead -> first good write %5.1f s, all apps right %5.1f s\n",
           (double)(first_ms - died_ms) / 1000, (double)(last_ms - died_ms) / 1000);
    support_redis_start(master);
    return first_ms - died_ms;
}

static void sentinel_start_all(struct sentinel_scene *all, unsigned copies, const char *folder)
{
    int ports[SENTINELS];
    struct dyn_buf nodes;
    dyn_buf_init(&nodes, 1024);
    for (size_t i = 0; i < SENTINELS; i++) {
        ports[i] = port_free();
    }
    nodes_write(&nodes, ports);
    scene_prepare(&all->scene, &times, copies,
                  &(struct fleet_options){.redis = dyn_buf_text(&nodes),
                                          .folder = folder,
                                          .redis_away = true,
                                          .untaped = true,
                                          .by_file = true,
                                          .redis_arguments = server_arguments});
    servers_start(all);
    for (size_t i = 0; i < SENTINELS; i++) {
        sentinel_start(all, i, ports[i]);
    }
    scene_begin(&all->scene);
    dyn_buf_fini(&nodes);
}

static int ms_compare(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a;
    int64_t right = *(const int64_t *)b;
    return left < right ? -1 : left > right;
}

void sentinel_run(const struct chaos_options *options, const char *folder)
{
    static struct sentinel_scene all;
    static int64_t took_ms[CHAOS_TIMES_MAX];
    struct verdict verdict = {0};
    char path[512];
    all = (struct sentinel_scene){.level = SCENE_FIRST * SCENE_PER_RESOURCE};
    (void)snprintf(path, sizeof path, "%s/story", folder);
    all.scene.story = fopen(path, "we");
    ck_assert_ptr_nonnull(all.scene.story);
    sentinel_start_all(&all, options->copies, folder);
    for (int time = 0; time < options->times; time++) {
        took_ms[time] = master_dies(&all);
    }
    qsort(took_ms, (size_t)options->times, sizeof took_ms[0], ms_compare);
    printf("%d failovers: %.1f s at least, %.1f s median, %.1f s at most\n", options->times,
           (double)took_ms[0] / 1000, (double)took_ms[options->times / 2] / 1000,
           (double)took_ms[options->times - 1] / 1000);
    verdict_falls(&all.scene, LATE_MS, &verdict);
    verdict_writers(&all.scene);
    scene_end(&all.scene);
    for (size_t i = 0; i < SENTINELS; i++) {
        program_free(all.sentinels[i]);
        support_file_free(all.files[i]);
    }
    for (size_t i = 1; i < SERVERS; i++) {
        support_redis_free(all.servers[i]);
    }
    (void)fclose(all.scene.story);
}
