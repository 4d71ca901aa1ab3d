/*
 * record: one partition's log and its targets, as they stand in Redis, into a file.
 */
#include "common/bus_config.h"
#include "common/clock.h"
#include "deploy/cli/cli.h"
#include "deploy/cli/place.h"
#include "deploy/cli/recording.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <unistd.h>

#define RECORD_CONNECT_MS 10000
#define RECORD_KEY_MAX 256
#define RECORD_SECONDS_MAX 2592000 /* 30 days */

enum {
    OPTION_PARTITION,
    OPTION_APP,
    OPTION_SECONDS,
    OPTION_REDIS,
    OPTION_OUT
};

static const struct cli_option options[] = {
    [OPTION_PARTITION] = {"--partition", "N", "which partition"},
    [OPTION_APP] = {"--app", "APP", "the partition of this app"},
    [OPTION_SECONDS] = {"--seconds", "S",
                        "go on for that long (default: stop when all that is there\n"
                        "has been read)"},
    [OPTION_REDIS] = {"--redis", "URL", "instead of the file's redis.url, or $DYNOSAUR_REDIS"},
    [OPTION_OUT] = {"-o", "OUT", "the file to write"},
    {.name = NULL},
};

struct record {
    const struct cli_command *self;
    const char *file;
    const char *app;
    const char *redis;
    const char *out;
    int64_t partition; /* -1: not given */
    int64_t seconds;

    struct dyn_loop *loop;
    FILE *stream;
    uint64_t entries[RECORDING_TARGETS + 1];
    size_t values; /* index of the reader's stream */
    int64_t until_ms;
    bool connected;
    bool stopped;                 /* by a signal: what is there is whole */
    char why[DYN_ERROR_TEXT_MAX]; /* "": all is well */
};

/* ---- the command line ---- */

static int record_args(struct record *record, int argc, char **argv)
{
    struct cli_args args = {.command = record->self, .argc = argc, .argv = argv};
    int found;
    while ((found = cli_args_next(&args)) != CLI_ARG_END) {
        bool good = true;
        if (found == CLI_ARG_WRONG) {
            return CLI_USAGE;
        }
        if (found == CLI_ARG_PLAIN && record->file != NULL) {
            return cli_usage(record->self, "one FILE at a time, not also %s", args.value);
        }
        if (found == CLI_ARG_PLAIN) {
            record->file = args.value;
        } else if (found == OPTION_PARTITION) {
            good = cli_number(record->self, "--partition", args.value, 0, DYN_PARTITIONS_MAX - 1,
                              &record->partition);
        } else if (found == OPTION_SECONDS) {
            good = cli_number(record->self, "--seconds", args.value, 0, RECORD_SECONDS_MAX,
                              &record->seconds);
        } else if (found == OPTION_APP) {
            record->app = args.value;
        } else if (found == OPTION_REDIS) {
            record->redis = args.value;
        } else {
            record->out = args.value;
        }
        if (!good) {
            return CLI_USAGE;
        }
    }
    if (record->file == NULL || record->out == NULL) {
        return cli_usage(record->self, "%s",
                         record->file == NULL ? "the configuration file is missing"
                                              : "-o OUT is missing");
    }
    if ((record->app == NULL) == (record->partition < 0)) {
        return cli_usage(record->self, "one of --partition N and --app APP");
    }
    return CLI_DONE;
}

static int record_find_partition(struct record *record, const struct config *config)
{
    if (record->app == NULL) {
        return record->partition < config->redis.partitions
                   ? CLI_DONE
                   : cli_usage(record->self, "the file has partitions 0 to %" PRIu32,
                               config->redis.partitions - 1);
    }
    const char **names = calloc(config->apps_count + 1, sizeof(*names));
    for (size_t i = 0; names != NULL && i < config->apps_count; i++) {
        names[i] = config->apps[i].name;
        if (strcmp(names[i], record->app) == 0) {
            record->partition = config->apps[i].partition;
        }
    }
    const char *near = NULL;
    if (names != NULL && record->partition < 0) {
        near = dyn_str_nearest(dyn_str_from(record->app), names, config->apps_count);
    }
    free(names);
    if (record->partition >= 0) {
        return CLI_DONE;
    }
    return cli_usage(record->self, "the file has no app %s%s%s%s", record->app,
                     near != NULL ? "; did you mean " : "", near != NULL ? near : "",
                     near != NULL ? "?" : "");
}

/* ---- following the two streams ---- */

static void record_entry(void *arg, size_t stream, const struct bus_entry *entry)
{
    struct record *record = arg;
    struct recording_entry kept = {
        .stream = stream == record->values ? RECORDING_VALUES : RECORDING_TARGETS,
        .id = entry->id,
        .message = entry->message,
    };
    if (entry->message.ptr == NULL) {
        return; /* somebody else's: no core sees it either */
    }
    recording_add(record->stream, &kept);
    record->entries[kept.stream]++;
}

static void record_round(void *arg, bool behind)
{
    struct record *record = arg;
    bool stop = record->stopped || dyn_loop_now_ms(record->loop) >= record->until_ms;
    if ((stop && !behind) || ferror(record->stream) != 0) {
        dyn_loop_stop(record->loop);
    }
}

static void record_give_up(struct record *record, const char *why)
{
    snprintf(record->why, sizeof(record->why), "%s", why);
    dyn_loop_stop(record->loop);
}

static void record_ready(void *arg, struct dyn_str replid, bool rewound)
{
    struct record *record = arg;
    (void)replid;
    record->connected = true;
    record->why[0] = 0; /* earlier attempts do not matter any more */
    if (rewound) {
        record_give_up(record, "a stream went back while it was recorded: Redis lost entries");
    }
}

static void record_lost(void *arg, const char *why)
{
    struct record *record = arg;
    /* Before the first connection it may be tried for a while; the timer ends that. */
    snprintf(record->why, sizeof(record->why), "Redis: %s", why);
    if (record->connected) {
        dyn_loop_stop(record->loop);
    }
}

static void record_waited(void *arg)
{
    struct record *record = arg;
    if (!record->connected) {
        dyn_loop_stop(record->loop);
    }
}

static void record_signalled(void *arg, int signum)
{
    struct record *record = arg;
    (void)signum;
    record->stopped = true;
    if (!record->connected) {
        record_give_up(record, "stopped");
    }
}

static bool record_follow(struct record *record, struct bus_reader *reader,
                          const struct config *config)
{
    struct dyn_buf key;
    dyn_buf_init(&key, RECORD_KEY_MAX);
    uint32_t partition = (uint32_t)record->partition;
    bus_key_partition(&key, config->redis.prefix, partition, "values");
    record->values = bus_reader_follow(reader, dyn_buf_text(&key), (struct entry_id){0});
    dyn_buf_clear(&key);
    bus_key_partition(&key, config->redis.prefix, partition, "targets");
    size_t targets = bus_reader_follow(reader, dyn_buf_text(&key), (struct entry_id){0});
    bool good = dyn_buf_result(&key) == DYN_OK;
    dyn_buf_fini(&key);
    return good && record->values != SIZE_MAX && targets != SIZE_MAX;
}

/* What went wrong is in record->why. */
static void record_streams(struct record *record, const struct config *config,
                           const struct bus_config *redis)
{
    struct dyn_error error = {.text = "no memory"};
    struct bus_reader_options reader_options = {.url = redis->url,
                                                .access = &redis->access,
                                                .name = "dynosaur-record",
                                                .entry = record_entry,
                                                .round = record_round,
                                                .ready = record_ready,
                                                .lost = record_lost,
                                                .arg = record};
    struct bus_reader *reader = bus_reader_new(record->loop, &reader_options, &error);
    struct dyn_timer *timer = dyn_timer_new(record->loop, record_waited, record);
    struct dyn_signal *interrupt = dyn_signal_new(record->loop, SIGINT, record_signalled, record);
    struct dyn_signal *terminate = dyn_signal_new(record->loop, SIGTERM, record_signalled, record);
    if (reader == NULL || timer == NULL || interrupt == NULL || terminate == NULL ||
        !record_follow(record, reader, config)) {
        snprintf(record->why, sizeof(record->why), "%s", error.text);
    } else {
        record->until_ms = dyn_clock_boot_ms() + record->seconds * 1000;
        dyn_timer_start(timer, RECORD_CONNECT_MS, 0);
        dyn_loop_run(record->loop);
    }
    dyn_signal_free(terminate);
    dyn_signal_free(interrupt);
    dyn_timer_free(timer);
    bus_reader_free(reader);
}

/* ---- the file ---- */

/* Written beside OUT and renamed, so that OUT is whole or what it was before. */
static int record_write(struct record *record, const struct config *config,
                        const struct bus_config *redis, const char *part)
{
    record->stream = fopen(part, "we");
    if (record->stream == NULL) {
        return cli_failed(record->self, "%s: %s", part, strerror(errno));
    }
    struct recording_head head = {.config = config->hash,
                                  .partition = (uint32_t)record->partition,
                                  .wall_ms = dyn_clock_wall_ms()};
    recording_begin(record->stream, &head);
    record_streams(record, config, redis);
    recording_end(record->stream,
                  record->entries[RECORDING_VALUES] + record->entries[RECORDING_TARGETS]);
    bool failed = ferror(record->stream) != 0;
    failed = fclose(record->stream) != 0 || failed;
    if (record->why[0] != 0) {
        return cli_failed(record->self, "%s", record->why);
    }
    if (failed || rename(part, record->out) != 0) {
        return cli_failed(record->self, "%s: %s", record->out, strerror(errno));
    }
    return CLI_DONE;
}

static int record_file(struct record *record, const struct config *config,
                       const struct bus_config *redis)
{
    struct dyn_buf part;
    dyn_buf_init(&part, PATH_MAX);
    dyn_buf_addf(&part, "%s.part", record->out);
    if (dyn_buf_result(&part) != DYN_OK) {
        dyn_buf_fini(&part);
        return cli_usage(record->self, "the path of OUT is too long");
    }
    int status = record_write(record, config, redis, dyn_buf_text(&part));
    if (status != CLI_DONE) {
        (void)unlink(dyn_buf_text(&part));
    } else {
        printf("partition %" PRId64 ": %" PRIu64 " values entries, %" PRIu64
               " targets entries written to %s\n",
               record->partition, record->entries[RECORDING_VALUES],
               record->entries[RECORDING_TARGETS], record->out);
    }
    dyn_buf_fini(&part);
    return status;
}

static int record_config(struct record *record, const struct config *config)
{
    struct dyn_error error = {.text = ""};
    struct bus_config redis = {0};
    int status = record_find_partition(record, config);
    if (status != CLI_DONE) {
        return status;
    }
    if (bus_config_resolve(&config->redis, place_redis_given(record->redis), &redis, &error) !=
        DYN_OK) {
        status = CLI_USAGE;
        cli_failed(record->self, "%s", error.text);
    }
    record->loop = status == CLI_DONE ? dyn_loop_new() : NULL;
    if (record->loop != NULL) {
        status = record_file(record, config, &redis);
        dyn_loop_free(record->loop);
    } else if (status == CLI_DONE) {
        status = cli_failed(record->self, "out of memory or descriptors");
    }
    bus_config_fini(&redis);
    return status;
}

static int record_run(const struct cli_command *self, int argc, char **argv)
{
    struct record record = {.self = self, .partition = -1};
    int status = record_args(&record, argc, argv);
    if (status != CLI_DONE) {
        return status;
    }
    struct config *config = cli_config_load(record.file);
    if (config == NULL) {
        return CLI_USAGE;
    }
    status = record_config(&record, config);
    config_free(config);
    return status;
}

const struct cli_command cli_record = {
    .name = "record",
    .arguments = "FILE --partition N|--app APP [--seconds S] [--redis URL] -o OUT",
    .summary = "write a partition's values and targets from Redis into a file",
    .help =
        "Reads the two streams of a partition from their beginning on and writes each entry,\n"
        "byte for byte, into OUT, for `dynosaur replay`. Nothing in Redis changes. SIGINT ends\n"
        "a recording early and leaves a whole file.",
    .options = options,
    .run = record_run,
};
