/*
 * The fold: what an input costs in memory, over real traces where they are at hand, and how fast
 * a log is folded from a Redis on a Unix socket (batches of 256), beside a bare XREAD of the same
 * entries by hiredis.
 */
#include "tests/integration/support_redis.h"

#include "common/bus.h"
#include "common/clock.h"
#include "common/trace.h"
#include "estimator/fold.h"
#include "estimator/window.h"

#include <dirent.h>
#include <hiredis.h>
#include <math.h>
#include <stdio.h>
#include <time.h>

#define CONTROLLERS 4000
#define INPUTS 25 /* of each */
#define BATCHES 8000
#define TARGET_SAMPLES_S 2e6
#define BYTES_LIMIT 200

static double processor_seconds(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* ---- memory ---- */

static void nothing(void *arg, const struct target *target, bool changed)
{
    (void)arg;
    (void)target;
    (void)changed;
}
static const struct fold_out mute = {.target = nothing};

static struct config_input input_of(int64_t interval_ms, uint64_t series)
{
    return (struct config_input){.name = "x",
                                 .interval_ms = interval_ms,
                                 .hysteresis_period_ms = 300000,
                                 .max_gap_ms = 3 * interval_ms,
                                 .doubt_zero_ms = 300000,
                                 .per_resource = 100,
                                 .series = series};
}

#define INDEX_BYTES 16 /* of one input at worst: four places of four bytes in the index */

/* Mean bytes of one input while a trace passes through it: the difference to a fold whose
 * controller has no input, and its share of the index. */
static double trace_bytes(const struct trace *trace)
{
    int64_t step = trace->count > 2 ? trace->rows[2].at_ms - trace->rows[1].at_ms : 60000;
    struct config_input input = input_of(step, 1);
    struct config_controller controller = {
        .id = 1, .min_resource = 1, .max_resource = 100, .inputs = &input, .inputs_count = 1};
    struct config_controller empty = controller;
    empty.inputs_count = 0;
    struct config_app apps_of[2] = {
        {.interval_ms = 5000, .controllers = &controller, .controllers_count = 1},
        {.interval_ms = 5000, .controllers = &empty, .controllers_count = 1}};
    struct config one = {.apps = &apps_of[0], .apps_count = 1, .hash = 1};
    struct config none = {.apps = &apps_of[1], .apps_count = 1, .hash = 1};
    struct fold *fold = fold_new(&one, 0);
    struct fold *bare = fold_new(&none, 0);
    size_t without = fold_bytes(bare);
    double sum = 0;
    for (size_t i = 0; i < trace->count; i++) {
        struct sample sample = {.series = 1, .value = trace->rows[i].value};
        struct batch batch = {.member = DYN_STR("b"), .seq = i + 1, .count = 1};
        fold_batch(fold, (struct entry_id){(uint64_t)trace->rows[i].at_ms, 0}, &batch, &sample,
                   &mute);
        sum += (double)(fold_bytes(fold) - without + INDEX_BYTES);
    }
    fold_free(fold);
    fold_free(bare);
    return sum / (double)trace->count;
}

static void measure_memory(const char *folder)
{
    DIR *dir = opendir(folder);
    if (dir == NULL) {
        printf("memory  no traces at %s: not measured\n", folder);
        return;
    }
    double sum = 0;
    size_t count = 0;
    for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        char path[1024];
        snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        struct trace *trace = strstr(entry->d_name, ".csv") != NULL
                                  ? trace_load(path, &(struct trace_options){0}, NULL)
                                  : NULL;
        if (trace == NULL) {
            continue;
        }
        double bytes = trace_bytes(trace);
        printf("memory  %-42s %6zu samples: %6.1f bytes an input\n", entry->d_name, trace->count,
               bytes);
        sum += bytes;
        count++;
        trace_free(trace);
    }
    closedir(dir);
    printf(
        "memory  formula: the input and its first %d spans, %d of the index, 16 a span of a grown "
        "ring (a power of two)\n",
        WINDOW_INLINE, INDEX_BYTES);
    printf("memory  mean over %zu traces at a 300 s window: %.1f bytes an input (limit %d)\n",
           count, count > 0 ? sum / (double)count : NAN, BYTES_LIMIT);
}

/* ---- speed ---- */

static struct config_input inputs[CONTROLLERS * INPUTS];
static struct config_controller controllers[CONTROLLERS];
static struct config_app apps[CONTROLLERS];
static struct config config = {.apps = apps, .apps_count = CONTROLLERS, .hash = 1};

static void make_config(void)
{
    for (size_t i = 0; i < CONTROLLERS * INPUTS; i++) {
        char name[32];
        snprintf(name, sizeof(name), "input-%zu", i);
        inputs[i] = input_of(10000, dyn_hash(DYN_HASH_SEED, dyn_str_from(name)));
    }
    for (size_t c = 0; c < CONTROLLERS; c++) {
        controllers[c] = (struct config_controller){.name = "dynos",
                                                    .id = c + 1,
                                                    .min_resource = 2,
                                                    .max_resource = 100,
                                                    .inputs = &inputs[c * INPUTS],
                                                    .inputs_count = INPUTS};
        apps[c] = (struct config_app){.name = "app",
                                      .interval_ms = 5000,
                                      .controllers = &controllers[c],
                                      .controllers_count = 1};
    }
}

static void fill_log(const char *path)
{
    redisContext *redis = redisConnectUnix(path);
    struct dyn_buf out;
    dyn_buf_init(&out, DYN_ENTRY_MAX);
    for (size_t b = 0; b < BATCHES; b++) {
        static struct sample samples[DYN_BATCH_SAMPLES_MAX];
        for (size_t i = 0; i < DYN_BATCH_SAMPLES_MAX; i++) {
            samples[i] = (struct sample){
                .series = inputs[(b * DYN_BATCH_SAMPLES_MAX + i) % (CONTROLLERS * INPUTS)].series,
                .age_ms = (int64_t)(i % 40),
                .value = (double)(dyn_random() % 5000)};
        }
        struct batch batch = {
            .member = DYN_STR("bench"), .seq = b + 1, .count = DYN_BATCH_SAMPLES_MAX};
        dyn_buf_clear(&out);
        message_write_batch(&out, &batch, samples);
        redisAppendCommand(redis, "XADD dyn:{0}:values %llu-1 m %b",
                           (unsigned long long)(1000000 + b * 26), out.ptr, out.len);
        void *reply = NULL;
        if (b % 64 == 63 || b + 1 == BATCHES) {
            for (size_t r = 0; r <= b % 64; r++) {
                redisGetReply(redis, &reply);
                freeReplyObject(reply);
            }
        }
    }
    printf("fold    %d entries of %zu bytes, %d samples of %d inputs\n", BATCHES, out.len,
           BATCHES * DYN_BATCH_SAMPLES_MAX, CONTROLLERS * INPUTS);
    dyn_buf_fini(&out);
    redisFree(redis);
}

static double bare_read(const char *path)
{
    redisContext *redis = redisConnectUnix(path);
    char last[64] = "0-0";
    size_t entries = 0;
    double begun = processor_seconds();
    while (entries < BATCHES) {
        redisReply *reply = redisCommand(redis, "XREAD COUNT 1000 STREAMS dyn:{0}:values %s", last);
        const redisReply *page = reply->element[0]->element[1];
        entries += page->elements;
        snprintf(last, sizeof(last), "%s", page->element[page->elements - 1]->element[0]->str);
        freeReplyObject(reply);
    }
    double seconds = processor_seconds() - begun;
    redisFree(redis);
    return seconds;
}

struct run {
    struct dyn_loop *loop;
    struct fold *fold;
    struct pack_reader *reader;
    size_t entries;
};

static void take_entry(void *arg, size_t stream, const struct bus_entry *entry)
{
    struct run *run = arg;
    (void)stream;
    (void)fold_entry(run->fold, run->reader, entry->id, entry->message, &mute);
    if (++run->entries == BATCHES) {
        dyn_loop_stop(run->loop);
    }
}

static double fold_read(const char *url)
{
    struct run run = {
        .loop = dyn_loop_new(), .fold = fold_new(&config, 0), .reader = pack_reader_new()};
    struct bus_reader_options options = {
        .url = url, .name = "bench", .entry = take_entry, .arg = &run};
    struct bus_reader *reader = bus_reader_new(run.loop, &options, NULL);
    (void)bus_reader_follow(reader, "dyn:{0}:values", (struct entry_id){0, 0});
    double begun = processor_seconds();
    dyn_loop_run(run.loop);
    double seconds = processor_seconds() - begun;
    struct fold_counts counts;
    fold_counts(run.fold, &counts);
    if (counts.good != (uint64_t)BATCHES * DYN_BATCH_SAMPLES_MAX) {
        printf("fold    ONLY %zu GOOD SAMPLES\n", (size_t)counts.good);
    }
    bus_reader_free(reader);
    fold_free(run.fold);
    pack_reader_free(run.reader);
    dyn_loop_free(run.loop);
    return seconds;
}

int main(int argc, char **argv)
{
    measure_memory(argc > 1 ? argv[1] : "../shared/traces");
    make_config();
    struct support_redis *redis = support_redis_new(NULL);
    fill_log(support_redis_path(redis));
    double samples = (double)BATCHES * DYN_BATCH_SAMPLES_MAX;
    double bare = 1e9;
    double fold = 1e9;
    for (int turn = 0; turn < 5; turn++) {
        bare = fmin(bare, bare_read(support_redis_path(redis)));
        fold = fmin(fold, fold_read(support_redis_url(redis)));
    }
    printf("fold    %.2f million samples/s of one core (limit 2), %.0f ns a sample\n",
           samples / fold / 1e6, fold / samples * 1e9);
    printf("fold    bare XREAD of the same entries: %.0f ns a sample; folding is %.1f times that\n",
           bare / samples * 1e9, fold / bare);
    support_redis_free(redis);
    return EXIT_SUCCESS;
}
